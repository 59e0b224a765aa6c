//! Schema and parser agree: over the examples, README, the profiles of the other tests, which come here through [`agree`], and
//! made-up ones. What the parser refuses and the schema cannot is a short list, each entry with its examples.

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;

use super::*;
use crate::error::Result;
use crate::profile::raw::RawProfile;
use crate::profile::resolve::resolve_profile;
use crate::profile::store::Profile;

/// What is left to the parser.
struct Left {
    /// In a few words.
    what: &'static str,
    /// Sentences of the parser, in part: no other refusal may pass the schema.
    said: &'static [&'static str],
    /// Each accepted by the schema and refused by the parser with one of these.
    examples: &'static [&'static str],
}

const LEFT: [Left; 6] = [
    Left {
        what: "the form of the file: a schema sees what was read, not how it was written",
        said: &["stands here a second time", "not floating point", "tags (`!name`)", "not integer `-"],
        examples: &[
            "target: jump\ntarget: jump\nstreams: { a: { remote_port: 1, out: /a } }",
            "target: jump\nstreams: { a: { remote_port: 1.0, out: /a } }",
        ],
    },
    Left {
        what: "the bounds of sizes and times that have a unit",
        said: &[
            "is not between",
            "is more than",
            "is less than",
            "is finer than",
            "is not a duration",
            "is not a size",
            "is no time between",
        ],
        examples: &[
            "target: jump\nstreams: { a: { remote_port: 1, out: /a, max_line: 1GiB } }",
            "target: jump\nstreams: { a: { remote_port: 1, out: /a, rotate: { size: 1B } } }",
            "target: jump\ndrain_timeout: 2d\nstreams: { a: { remote_port: 1, out: /a } }",
        ],
    },
    Left {
        what: "what hosts, addresses, networks and outputs are made of, beyond their characters",
        said: &[
            "is not a target",
            "an ssh:// target",
            "`none` stands alone",
            "is not a login name",
            "is no address to bind",
            "is no place to listen",
            "cannot be a socket: its path has more",
            "is no place for metrics",
            "names no credential",
            "is no network",
            "has bits behind its mask",
            "cannot be used",
            "is a folder; name",
        ],
        examples: &[
            "target: 'jump:99999'\nstreams: { a: { remote_port: 1, out: /a } }",
            "streams: { a: { listen: '::1:5', out: /a } }",
            "target: jump\nstreams: { a: { remote_port: 1, out: /a, allow: 10.0.0.1/8 } }",
            "target: jump\nstreams: { a: { remote_port: 1, out: '{time}' } }",
            "target: jump\nstreams: { a: { remote_port: 1, out: /a, keyword_file: 'credential:a/b' } }",
            "target: jump\nmetrics: 'udp:h:1'\nstreams: { a: { remote_port: 1, out: /a } }",
        ],
    },
    Left {
        what: "keys that exclude or need each other",
        said: &[
            "exclude each other",
            "needs a relay",
            "a relay is for addresses",
            "is about",
            "has no place in the format",
            "puts text before records",
            "acknowledges what is stored",
            "answers senders",
            "is said at the beginning of a connection",
            "names a syslog daemon",
            "has no `listen`",
            "is what the one of `keyword_file` is called",
        ],
        examples: &[
            "streams: { a: { listen: 1, remote_port: 1, out: /a } }",
            "target: jump\nstreams: { a: { remote_port: 1, out: /a, udp: true } }",
            "target: jump\nno_probe: true\nprobe_every: 1m\nstreams: { a: { remote_port: 1, out: /a } }",
        ],
    },
    Left {
        what: "what is said twice, differently",
        said: &["and `target` says"],
        examples: &["target: a@jump\nssh: { user: b }\nstreams: { a: { remote_port: 1, out: /a } }"],
    },
    Left {
        what: "outputs and ports that are in each other's way",
        said: &["the streams `", "has the output", "can be one of", "beside"],
        examples: &["target: jump\nstreams: { a: { remote_port: 1, out: /a }, b: { remote_port: 1, out: /b } }"],
    },
];

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::draft202012::meta::validate(&schema()).expect("a schema");
    jsonschema::draft202012::new(&schema()).expect("patterns and references that hold")
});

/// What `reclog profile check` says.
fn parsed(text: &str) -> Result<()> {
    let path = Path::new("/p/x.yaml");
    let raw = RawProfile::parse(text).map_err(|problem| problem.into_error(path, text))?;
    let profile = Profile { name: "x".into(), path: path.into(), text: text.into(), raw };
    resolve_profile(&profile).map(drop)
}

/// What the schema says; `None` when there is nothing to show it.
fn validated(text: &str) -> Option<Result<(), String>> {
    let value: Value = serde_yaml::from_str(text).ok()?;
    Some(SCHEMA.validate(&value).map_err(|error| format!("{}: {error}", error.instance_path())))
}

/// Panics when one of them takes what the other refuses, and nothing on the list says why.
pub(in crate::profile) fn agree(text: &str) {
    match (parsed(text), validated(text)) {
        (Ok(()), said) => assert_eq!(said, Some(Ok(())), "the parser takes it, the schema does not:\n{text}"),
        (Err(error), Some(Ok(()))) => {
            let left = LEFT.iter().flat_map(|left| left.said).any(|said| error.message.contains(said));
            assert!(left, "the schema takes what the parser refuses: {}\n{text}", error.message);
        }
        (Err(_), _) => {}
    }
}

#[test]
fn what_is_left_to_the_parser_is_what_the_list_says() {
    for Left { what, said, examples } in LEFT {
        for text in examples {
            assert_eq!(validated(text), Some(Ok(())), "{what}: the schema can say that:\n{text}");
            let error = parsed(text).expect_err(text).message;
            assert!(said.iter().any(|said| error.contains(said)), "{what}: {error}");
        }
    }
}

#[test]
fn the_examples_the_template_and_readme_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let examples = std::fs::read_dir(root.join("profiles")).unwrap().map(|entry| read(&entry.unwrap().path()));
    let readme = read(&root.join("README.md"));
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let good: Vec<String> = examples.chain(blocks).chain([read(&root.join("src/profile/template.yaml"))]).collect();
    assert!(good.len() > 9, "{}", good.len());
    for text in good {
        assert_eq!(parsed(&text), Ok(()), "{text}");
        agree(&text);
    }
}

/// A sound profile in which the key of that level has this value.
fn with(level: &Level, key: &str, value: &str) -> String {
    let (before, after) = match level.prefix {
        "" if level.place == STREAM.place => ("", format!("{key}: {value}")),
        "rotate." => ("", format!("rotate: {{ {key}: {value} }}")),
        "ssh." => return sound(&format!("ssh: {{ {key}: {value} }}\n"), ""),
        _ => return sound(&format!("{key}: {value}\n"), ""),
    };
    sound(before, &after)
}

fn sound(top: &str, stream: &str) -> String {
    let target = if top.starts_with("target:") { "" } else { "target: jump\n" };
    let door = if ["remote_port:", "listen:", "remote_socket:"].iter().any(|key| stream.starts_with(key)) {
        ""
    } else {
        "remote_port: 1, "
    };
    let out = if stream.starts_with("out:") { "" } else { "out: /a, " };
    let target = if stream.starts_with("listen:") { "" } else { target };
    if top.starts_with("streams:") {
        return format!("{target}{top}");
    }
    format!("{target}{top}streams: {{ a: {{ {door}{out}{stream} }} }}\n")
}

/// Values at the edges of what a key takes, good ones and bad ones.
fn edges(form: Form) -> (Vec<String>, Vec<String>) {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    match form {
        Form::Truth => (texts(&["true", "false"]), texts(&["yes", "1", "'true'"])),
        Form::OneOf(words) => (texts(words), texts(&["nonsense", "''", "1", "true", "[]"])),
        Form::Whole(least, most) => {
            let below = least.checked_sub(1).map_or("-1".to_owned(), |number| number.to_string());
            let bad = [below, (most + 1).to_string(), format!("'{most}'"), "x".to_owned(), "1.5".to_owned()];
            (vec![least.to_string(), most.to_string()], bad.to_vec())
        }
        Form::Size(least, most) => {
            let mut bad = texts(&["-1", "x", "1XB", "''", "[1]"]);
            bad.extend(least.checked_sub(1).map(|number| number.to_string()));
            bad.extend(most.checked_add(1).map(|number| number.to_string()));
            (vec![least.to_string(), "2000".to_owned(), "2KiB".to_owned(), " '2 k'".to_owned()], bad)
        }
        Form::Rate => (texts(&["0", "1MB/s", "1MB", "'5 KiB/s'"]), texts(&["1MB/m", "/s", "x", "-1"])),
        Form::Time { least, zero, most } => {
            let mut good = texts(&["1", "2s", "'1m 5s'"]);
            good.extend((zero || least.is_zero()).then(|| "0".to_owned()));
            let mut bad = texts(&["-1", "-5s", "x", "3 parsecs", "1.5", "''"]);
            good.extend((most != Duration::MAX).then(|| most.as_secs().to_string()));
            bad.extend((most != Duration::MAX).then(|| (most.as_secs() + 1).to_string()));
            bad.extend((!zero && !least.is_zero()).then(|| "0".to_owned()));
            (good, bad)
        }
        Form::Text(text) | Form::List(text) => {
            let (good, bad): (&[&str], &[&str]) = match text {
                Text::Target => (&["jump", "a@b:22", "'[::1]:22'", "ssh://a@b/"], &["-x", "a b", "''", "[]", "1"]),
                Text::Hop => (&["jump", "'a@b:22, c'", "none"], &["-x", "a b", "''", "1"]),
                Text::User => (&["log", "a.b"], &["-x", "''", "a b", "1"]),
                Text::Path => (&["/a", "a b", "~/x"], &["''", "' '", "~bob/x", "\"a\\e\"", "1"]),
                Text::Secret => (&["/a", "~/x", "credential:key"], &["''", "~bob/x", "1"]),
                Text::Metrics => {
                    (&["127.0.0.1:9184", "'[::1]:0'", "':5'", "unix:/a"], &["9184", "'9184'", "here", "''"])
                }
                Text::KeywordFile => (&["/a", "~/x", "x -", "credential:word"], &["'-'", "''", "", "1"]),
                Text::Output => (
                    &["/a", "~/x", "'-'", "exec:cat /", "syslog+udp://h"],
                    &["a/", "'..'", "'~'", "http://x", "1", "''"],
                ),
                Text::Address => (&["'*'", "'::1'", "'[::1]'", "10.0.0.1"], &["''", "a b", "1", "a/b"]),
                Text::Listen => {
                    (&["1", "'1'", "'a-b:5'", "udp:5", "'UDP:[::1]:5'", "unix:/a b"], &["here", "70000", "-1", "''"])
                }
                Text::Socket => (&["/a", "/a b"], &["a", "/", "/a/", "/a/..", "''"]),
                Text::Prefix => (&["x", "'{time} {n}'", "a: b"][..2], &["'{tiem}'", "'{'", "'}'", "''", "\"\\n\""]),
                Text::Network => (&["10.0.0.0/8", "'::1'"], &["", "x", "[]", "10", "''"]),
            };
            let listed = matches!(form, Form::List(_));
            let mut good = texts(good);
            let mut bad = texts(bad);
            good.extend(listed.then(|| format!("[{}]", good[0])));
            bad.extend(["[[x]]".to_owned(), "{ a: b }".to_owned()]);
            bad.push(if listed { "[~]".to_owned() } else { format!("[{}]", good[0]) });
            (good, bad)
        }
        Form::TimeOfDay => {
            (texts(&["hourly", "daily", "'3:05'", "'23:59'"]), texts(&["weekly", "'24:00'", "'1:60'", "5", "''"]))
        }
        Form::Options => (
            texts(&["{ A: 1 }", "{ A: true, B: [x, 5] }", "{ A: }", "{}"]),
            texts(&[
                "{ 'A b': 1 }",
                "{ A: { b: c } }",
                "{ A: [] }",
                "{ A: ' ' }",
                "{ A: [true] }",
                "[a]",
                "{ A: 1.5 }",
            ]),
        ),
        Form::Keywords => (
            texts(&["{ a: /b }", "{ a.b: /c, d: e }"]),
            texts(&["{ a b: /c }", "{ a: }", "{}", "", "word", "{ a: '-' }"]),
        ),
        Form::Streams => (
            texts(&["{ a: { remote_port: 0, out: /a } }"]),
            texts(&[
                "{}",
                "",
                "[a]",
                "{ a b: {} }",
                "{ a: }",
                "{ a: { remote_port: 1 } }",
                "{ a: { out: /a } }",
                "{ .a: { remote_port: 0, out: /a } }",
            ]),
        ),
        Form::Level(_) => (texts(&["", "{}"]), texts(&["{ zebra: 1 }", "[a]", "5"])),
    }
}

#[test]
fn at_the_edges_of_every_key_the_table_tells_the_truth_and_both_agree() {
    for level in LEVELS {
        for key in level.keys {
            let (good, bad) = edges(key.form);
            let needs = |value: &String| match key.name {
                "udp" if value == "true" => with(level, "udp", "true, relay: auto"),
                _ => with(level, key.name, value),
            };
            for text in good.iter().map(needs) {
                assert_eq!(parsed(&text), Ok(()), "the table says that it is good:\n{text}");
                agree(&text);
            }
            for text in bad.iter().map(|value| with(level, key.name, value)) {
                assert!(parsed(&text).is_err(), "the table says that it is bad:\n{text}");
                agree(&text);
            }
        }
    }
}

#[test]
fn a_default_is_what_holds_when_the_key_is_left_out() {
    let plan = |text: &str| {
        let raw = RawProfile::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
        let profile = Profile { name: "x".into(), path: "/p/x.yaml".into(), text: text.into(), raw };
        resolve_profile(&profile).unwrap()
    };
    let mut seen = 0;
    for level in LEVELS {
        for (key, default) in level.keys.iter().filter_map(|key| Some((key, key.default_value()?))) {
            let quoted = match key.form {
                Form::Text(_) => format!("\"{default}\""),
                _ => default.to_owned(),
            };
            // A prefix has no place in another format.
            let without = if key.name == "prefix" { sound("", "format: prefix") } else { sound("", "") };
            assert_eq!(plan(&with(level, key.name, &quoted)), plan(&without), "{}", key.name);
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

/// Text that is nearly right for some key.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,3}(\\.[0-9])? ?(s|ms|m|h|d|w|MB|KiB|kb|B|us|sec|years?|parsecs|/s|:[0-9]{2})(,? ?[0-9]{1,2} ?(s|m|h|ms|:[0-9]{2}))?",
        "[+P]?[0-9]{1,2}[a-zA-Z]{0,3}( [0-9]:[0-9]{2}:[0-9]{2}(\\.[0-9])?)?",
        "(udp:|tcp:|unix:|exec:|ssh://|syslog\\+udp://)?[a-z@\\[\\]:.*/~ {}-]{0,8}[0-9]{0,5}(/[0-9]{0,2})?",
        "[0-9.:a-f]{1,12}(/[0-9]{1,3})?",
        "\\PC{0,8}",
        "[ \t\n\u{a0}~/-]{0,3}[a-z{}.]{0,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn what_is_made_up_is_taken_by_both_or_by_none(
        (level, key) in (0..LEVELS.len()).prop_flat_map(|n| (Just(LEVELS[n]), prop::sample::select(LEVELS[n].keys.iter().collect::<Vec<_>>()))),
        value in value(),
        list in any::<bool>(),
    ) {
        let quoted = serde_json::to_string(&value).unwrap();
        let quoted = if list && matches!(key.form, Form::List(_)) { format!("[{quoted}]") } else { quoted };
        agree(&with(level, key.name, &quoted));
    }
}
