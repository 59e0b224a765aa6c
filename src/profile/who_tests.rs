//! Who may send, what records look like and where they go: from profile and command line to the plan.

use super::*;
use crate::plan::{DEFAULT_PREFIX, Format, Keyword, Limits, Source, Template, To};

const GUARDED: &str = "target: jump
streams:
  main:
    remote_port: 1
    out: [logs/a.log, 'exec:wc -c', 'syslog+unix:///dev/log']
    keyword_file: word
    keywords: { nginx: ~/nginx.word, app: /etc/app.word }
    allow: [10.0.0.0/8, '2001:db8::/32']
    deny: 10.6.6.6
    prefix: '{time} {keyword} '
    max_per_address: 9
    max_new: 20
    max_rate: 1MB/s
    max_bytes: 1GB
    idle_timeout: 10m
  each: { remote_port: 2, out: 'logs/{peer_ip}/{date}.log', format: json }
";

#[test]
fn a_profile_says_who_may_send_and_where_records_go() {
    let home = Home::new(&[("p", GUARDED)]);
    let plan = home.up(&flags("p")).unwrap();
    let folder = home.paths.profiles();
    let [main, each] = &plan.streams[..] else { panic!("two streams") };
    assert_eq!(main.out.file(), Some(folder.join("logs/a.log").as_path()));
    assert!(matches!(main.also[0].to(), To::Exec(command) if command == "wc -c"));
    assert!(matches!(main.also[1].to(), To::Syslog(_)));
    let keyword = |name: &str, file: PathBuf| Keyword { name: name.into(), from: Source::File(file) };
    let own = crate::paths::expand_tilde("~/nginx.word");
    let words =
        [keyword("default", folder.join("word")), keyword("nginx", own), keyword("app", "/etc/app.word".into())];
    assert_eq!(main.keywords, words);
    let limits = Limits {
        allow: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        deny: vec!["10.6.6.6/32".parse().unwrap()],
        max_per_address: 9,
        max_new: 20,
        max_rate: Some(1_000_000),
        max_bytes: Some(1_000_000_000),
        idle_timeout: Some(Duration::from_secs(600)),
    };
    assert_eq!(main.limits, limits);
    assert_eq!(main.format, Format::Prefix(Template::prefix("{time} {keyword} ").unwrap()));
    assert_eq!((each.out.name(), &each.format), (folder.join("logs/{peer_ip}/{date}.log").as_path(), &Format::Json));
    assert_eq!((&each.limits, &each.keywords[..]), (&Limits::default(), &[][..]));
    save(&plan, "saved", false, &home.paths).unwrap();
    assert_eq!(home.up(&flags("saved")).unwrap().streams, plan.streams);
}

#[test]
fn the_command_line_takes_the_place_of_what_the_profile_says_about_main() {
    let home = Home::new(&[("p", GUARDED)]);
    let given = Overrides {
        out: vec!["/x".into(), "-".into()],
        keyword_file: Some("/k".into()),
        format: Some(Shape::Prefix),
        limits: LimitFlags { deny: vec!["::/0".into()], max_bytes: Some("0".into()), ..LimitFlags::default() },
        ..flags("p")
    };
    let main = home.up(&given).unwrap().streams.swap_remove(0);
    assert_eq!((main.out.name(), main.also.len()), (Path::new("/x"), 1));
    assert_eq!(main.keywords, [Keyword { name: "default".into(), from: Source::File("/k".into()) }]);
    assert_eq!(main.format, Format::Prefix(Template::prefix("{time} {keyword} ").unwrap()));
    assert_eq!((main.limits.deny[0].to_string().as_str(), main.limits.max_bytes), ("::/0", None));
    assert_eq!(main.limits.max_rate, Some(1_000_000), "what is not said stays");
    let alone = home.up(&Overrides { format: Some(Shape::Prefix), ..complete("jump") }).unwrap();
    assert_eq!(alone.streams[0].format, Format::Prefix(Template::prefix(DEFAULT_PREFIX).unwrap()));
}

#[test]
fn a_word_from_a_person_or_the_environment_goes_before_the_profile_and_is_not_saved() {
    let home = Home::new(&[("p", GUARDED)]);
    let words = |given: &Overrides| home.up(given).unwrap().streams.swap_remove(0).keywords;
    let given = [Keyword { name: "default".into(), from: Source::Given }];
    assert_eq!(words(&Overrides { keyword_given: true, ..flags("p") }), given);
    assert_eq!(words(&Overrides { keyword_file: Some("-".into()), ..flags("p") }), given);
    let file = Overrides { keyword_given: true, keyword_file: Some("/k".into()), ..flags("p") };
    assert_eq!(words(&file)[0].from, Source::File("/k".into()), "a flag goes before the environment");
    let plan = home.up(&Overrides { keyword_given: true, ..complete("jump") }).unwrap();
    save(&plan, "saved", false, &home.paths).unwrap();
    assert_eq!(words(&flags("saved")), []);
}

#[test]
fn what_does_not_go_together_is_refused_where_it_stands() {
    let here = |rest: &str| format!("streams:\n  main: {{ listen: 5514, out: /a, {rest} }}");
    let at = |listen: &str, rest: &str| format!("streams:\n  main: {{ listen: '{listen}', {rest} }}");
    let cases = [
        at("udp:1", "out: /a, keyword_file: k"),
        at("udp:1", "out: /a, keywords: { a: k }"),
        at("udp:1", "out: /a, max_bytes: 1GB"),
        at("udp:1", "out: /a, idle_timeout: 10m"),
        at("unix:/run/x", "out: /a, allow: '::1'"),
        at("unix:/run/x", "out: /a, deny: 10.0.0.1"),
        at("unix:/run/x", "out: /a, max_per_address: 3"),
        at("unix:/run/x", "out: /a, max_new: 3"),
        at("unix:/run/x", "out: /a, max_rate: 3"),
        here("framing: raw, prefix: 'x'"),
        here("framing: raw, format: prefix"),
        here("format: json, prefix: 'x'"),
        here("keyword_file: k, keywords: { default: l }"),
        at("1", "out: [/a, 'syslog+udp://h'], framing: raw"),
        at("1", "out: 'exec:cat', framing: relp"),
        at("1", "out: ['-', /a], rotate: { size: 1MB }"),
        at("1", "out: 'exec:cat', sync: always"),
        at("1", "out: 'exec:cat', min_free: 1GB"),
        at("1", "out: [/a, /x/../a]"),
        "streams:\n  a: { listen: 1, out: '-' }\n  b: { listen: 2, out: [/b, '-'] }".to_owned(),
        "streams:\n  a: { listen: 1, out: '/l/{date}' }\n  b: { listen: 2, out: '/l/{date}' }".to_owned(),
    ];
    let all = cases.map(|text| {
        let error = Home::new(&[("p", &text)]).refused(&flags("p"));
        error.replace("cannot use the profile …/config/profiles/p.yaml: ", "")
    });
    insta::assert_snapshot!(all.join("\n"), @r##"
    line 2, column 37: `keyword_file` is said at the beginning of a connection, and UDP has none
    hint: `allow` tells senders of datagrams apart, by their addresses; or take TCP
    line 2, column 37: `keywords` is said at the beginning of a connection, and UDP has none
    hint: `allow` tells senders of datagrams apart, by their addresses; or take TCP
    line 2, column 37: `max_bytes` is about connections, and UDP has none
    hint: leave it out; `max_rate` bounds what an address sends
    line 2, column 37: `idle_timeout` is about connections, and UDP has none
    hint: leave it out; `max_rate` bounds what an address sends
    line 2, column 43: `allow` is about addresses, and senders of a Unix socket have none
    hint: leave it out; the socket's folder says who reaches it
    line 2, column 43: `deny` is about addresses, and senders of a Unix socket have none
    hint: leave it out; the socket's folder says who reaches it
    line 2, column 43: `max_per_address` is about addresses, and senders of a Unix socket have none
    hint: leave it out; the socket's folder says who reaches it
    line 2, column 43: `max_new` is about addresses, and senders of a Unix socket have none
    hint: leave it out; the socket's folder says who reaches it
    line 2, column 43: `max_rate` is about addresses, and senders of a Unix socket have none
    hint: leave it out; the socket's folder says who reaches it
    line 2, column 48: `prefix` puts text before records, and in the framing raw nobody knows where they begin
    hint: take another framing, or the format json
    line 2, column 48: `format` puts text before records, and in the framing raw nobody knows where they begin
    hint: take another framing, or the format json
    line 2, column 48: `prefix` has no place in the format json
    hint: leave one of the two out; a prefix is that of the format prefix
    line 2, column 63: `default` is what the one of `keyword_file` is called
    hint: choose another name, or leave `keyword_file` out
    line 2, column 24: `out` names a syslog daemon, which takes records, and the framing raw has none
    hint: take the framing lines or syslog
    line 2, column 41: `framing` relp acknowledges what is stored, and `exec:cat` stores nothing
    hint: let a file stand first in `out`, and this behind it
    line 2, column 40: `rotate` is about files, and the output `-` is none
    hint: leave it out, or let a file stand first in `out`
    line 2, column 41: `sync` is about files, and the output `exec:cat` is none
    hint: leave it out
    line 2, column 41: `min_free` is about files, and the output `exec:cat` is none
    hint: leave it out
    line 2, column 29: the stream `main` has the output `/x/../a` twice
    hint: name it once
    line 3, column 3: the streams `a` and `b` both write to standard output
    hint: one stream can; give the other one a file
    line 3, column 3: the streams `a` and `b` write to the same file `/l/{date}`
    hint: records of one file come from one stream, so that lines stay whole
    "##);
}

#[test]
fn what_does_not_go_together_is_refused_by_the_flag_that_says_so() {
    let home = Home::new(&[
        ("udp", "streams: { main: { listen: 'udp:1', out: /a } }"),
        ("pipe", "streams: { main: { listen: 1, out: 'exec:cat' } }"),
        ("raw", "streams: { main: { listen: 1, out: /a, framing: raw } }"),
        ("other", "streams: { web: { listen: 1, out: /a } }"),
    ]);
    let refused = |given| home.refused(&given);
    for (words, said) in [
        ("--keyword-file is said at", refused(Overrides { keyword_file: Some("/k".into()), ..flags("udp") })),
        ("RECLOG_KEYWORD is said at", refused(Overrides { keyword_given: true, ..flags("udp") })),
        ("--rotate-size is about files", refused(Overrides { rotate_size: Some("1MB".into()), ..flags("pipe") })),
        ("--keep is about files", refused(Overrides { keep: Some(3), ..flags("pipe") })),
        ("--framing relp acknowledges", refused(Overrides { framing: Some(Framing::Relp), ..flags("pipe") })),
        ("--format puts text", refused(Overrides { format: Some(Shape::Prefix), ..flags("raw") })),
        ("--prefix puts text", refused(Overrides { prefix: Some("x".into()), ..flags("raw") })),
        ("RECLOG_KEYWORD describes the stream `main`", refused(Overrides { keyword_given: true, ..flags("other") })),
    ] {
        assert!(said.starts_with(words), "{said}");
    }
    let socket = |limits| {
        let given = Overrides { out: vec!["/a".into()], limits, ..Overrides::default() };
        resolve_listen("unix:/run/x", &given).unwrap_err().message
    };
    let allow = LimitFlags { allow: vec!["::1".into()], ..LimitFlags::default() };
    assert!(socket(allow).starts_with("--allow is about addresses"));
}

#[test]
fn a_key_that_is_left_blank_lets_nobody_in() {
    for (key, what) in [("keyword_file", "file"), ("keywords", "file"), ("allow", "network"), ("deny", "network")] {
        for blank in ["", "~", "null", "{}", "[]", "''"] {
            let text = format!("streams:\n  main:\n    listen: 5514\n    out: /a\n    {key}: {blank}\n");
            let error = Home::new(&[("p", &text)]).refused(&flags("p"));
            assert!(error.contains("line 5, column ") || blank.is_empty(), "{key}: {blank}: {error}");
            let says = format!("no {what} is named; leave the key out");
            let null = matches!(blank, "" | "~" | "null") || (key, blank) == ("keywords", "{}");
            assert!(error.contains(&says) || !null, "{key}: {blank}: {error}");
        }
    }
    let whole = "streams: { main: { listen: 5514, out: /a, keywords: { a: ~ } } }";
    let error = Home::new(&[("p", whole)]).refused(&flags("p"));
    assert!(error.contains("line 1, column 58: no file is named"), "{error}");
}
