use super::*;
use crate::plan::{Compress, DEFAULT_MAX_LINE, Framing, Sync};
use crate::profile::keys::STREAM;
use crate::profile::limits::LimitFlags;
use crate::profile::schema::tests::agree;
use crate::profile::shape::Shape;
use crate::profile::store::save;
use proptest::prelude::*;
use std::path::Path;

#[path = "door_tests.rs"]
mod doors;
#[path = "who_tests.rs"]
mod who;

/// A configuration folder with profiles in it.
struct Home {
    folder: tempfile::TempDir,
    paths: Paths,
}

impl Home {
    fn new(profiles: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let paths = Paths { config: at("config"), state: at("state"), runtime: at("run") };
        std::fs::create_dir_all(paths.profiles()).unwrap();
        for (name, text) in profiles {
            agree(text);
            std::fs::write(paths.profile(name), text).unwrap();
        }
        Self { folder, paths }
    }

    fn up(&self, flags: &Overrides) -> Result<Plan> {
        resolve_up(flags, &self.paths).map(|resolved| resolved.plan)
    }

    /// The error as printed, with this home's folder replaced.
    fn refused(&self, flags: &Overrides) -> String {
        let error = self.up(flags).expect_err("must be refused");
        assert_eq!(error.kind.exit_code(), 2, "{error:?}");
        error
            .hints
            .iter()
            .fold(error.message.clone(), |text, hint| text + "\nhint: " + hint)
            .replace(self.folder.path().to_str().unwrap(), "…")
    }
}

fn flags(target: &str) -> Overrides {
    Overrides { target: Some(target.into()), ..Overrides::default() }
}

/// Flags that need no profile.
fn complete(target: &str) -> Overrides {
    Overrides { remote_port: Some(5), out: vec!["/tmp/x.log".into()], ..flags(target) }
}

const TREMPLIN: &str = "target: me@jump.example.org:2222
ssh: { identity: key, keepalive: 20s, options: { Compression: no } }
drain_timeout: 1m
streams:
  main: { remote_port: 55514, out: logs/../a.log, max_line: 64KiB, sync: always }
  web: { remote_port: 55515, bind: 10.0.0.1, out: /var/b.log, framing: raw, max_connections: 7 }
";

const HERE: &str = "streams: { main: { listen: 5514, out: /tmp/a.log }, v6: { listen: '[::1]:0', out: /tmp/b.log } }";

#[test]
fn a_profile_means_what_it_says_and_paths_start_at_its_folder() {
    let home = Home::new(&[("tremplin", TREMPLIN)]);
    let plan = home.up(&flags("tremplin")).unwrap();
    let folder = home.paths.profiles();
    assert_eq!(plan.name, "tremplin");
    assert_eq!(plan.drain_timeout, Duration::from_secs(60));
    let ssh = plan.ssh.unwrap();
    assert_eq!((ssh.user.as_deref(), ssh.host.as_str(), ssh.port), (Some("me"), "jump.example.org", Some(2222)));
    assert_eq!(ssh.identities, [folder.join("key")]);
    assert_eq!(ssh.options, [("Compression".to_owned(), "no".to_owned())]);
    assert_eq!(ssh.keepalive, Some(Duration::from_secs(20)));
    let [main, web] = &plan.streams[..] else { panic!("two streams") };
    assert_eq!((main.bind.as_str(), main.port, main.max_line), ("*", 55514, 65536));
    assert_eq!((main.framing, main.sync), (Framing::Lines, Sync::Always));
    assert_eq!(main.out.name(), folder.join("logs/../a.log"));
    assert_eq!((web.bind.as_str(), web.port, web.max_connections), ("10.0.0.1", 55515, 7));
    assert_eq!((web.framing, web.sync, web.max_line), (Framing::Raw, Sync::Interval, DEFAULT_MAX_LINE));
}

#[test]
fn flags_override_the_profile_and_describe_the_stream_main() {
    let home = Home::new(&[("tremplin", TREMPLIN)]);
    let unchanged = home.up(&flags("tremplin")).unwrap();
    let given = Overrides {
        name: Some("other".into()),
        remote_port: Some(0),
        bind: Some("[::1]".into()),
        out: vec!["/tmp/x.log".into()],
        identities: vec!["/k1".into(), "/k2".into()],
        port: Some(22),
        ssh_config: Some("/c".into()),
        options: vec!["compression = yes".into(), "SendEnv A B".into()],
        framing: Some(Framing::Raw),
        max_line: Some("1KiB".into()),
        max_connections: Some(3),
        sync: Some(Sync::Never),
        drain_timeout: Some("5s".into()),
        ..flags("tremplin")
    };
    let plan = home.up(&given).unwrap();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!((plan.name.as_str(), plan.drain_timeout), ("other", Duration::from_secs(5)));
    let ssh = plan.ssh.unwrap();
    assert_eq!((ssh.port, ssh.config_file), (Some(22), Some("/c".into())));
    assert_eq!(ssh.identities, [PathBuf::from("/k1"), "/k2".into()]);
    let options = [pair("compression", "yes"), pair("compression", "no"), pair("SendEnv", "A B")];
    assert_eq!(ssh.options, options, "the command line's value stands first, as ssh wants it");
    let main = &plan.streams[0];
    assert_eq!((main.port, main.bind.as_str(), main.out.name()), (0, "::1", Path::new("/tmp/x.log")));
    assert_eq!((main.framing, main.max_line, main.max_connections, main.sync), (Framing::Raw, 1024, 3, Sync::Never));
    assert_eq!(plan.streams[1], unchanged.streams[1], "other streams stay as they are");
}

#[test]
fn a_name_is_a_profile_first_and_a_host_else() {
    let home = Home::new(&[("jump", TREMPLIN)]);
    assert_eq!(home.up(&complete("jump")).unwrap().ssh.unwrap().host, "jump.example.org");
    assert_eq!(home.up(&complete("jump2")).unwrap().ssh.unwrap().host, "jump2");
    assert_eq!(home.up(&complete("me@jump")).unwrap().ssh.unwrap().host, "jump");
    let path = home.paths.profile("jump");
    assert_eq!(home.up(&flags(path.to_str().unwrap())).unwrap().name, "jump");
    assert_eq!(resolve_up(&flags("jump"), &home.paths).unwrap().profile, Some(path));
}

#[test]
fn a_collector_is_called_like_its_profile_else_like_its_host() {
    let home = Home::new(&[("tremplin", TREMPLIN)]);
    let name = |flags: &Overrides| home.up(flags).unwrap().name;
    assert_eq!(name(&flags("tremplin")), "tremplin");
    assert_eq!(name(&complete("me@jump.example.org:22")), "jump.example.org");
    assert_eq!(name(&complete("[2001:db8::1]:22")), "2001_db8__1");
    assert_eq!(name(&Overrides { save: Some("s".into()), ..complete("jump") }), "s");
    assert_eq!(name(&Overrides { save: Some("s".into()), name: Some("n".into()), ..complete("jump") }), "n");
}

#[test]
fn a_target_without_port_or_file_is_told_the_whole_command() {
    let home = Home::new(&[("tremplin", TREMPLIN)]);
    insta::assert_snapshot!(home.refused(&flags("tremplim")), @r"
    `tremplim` is no saved profile, and to use it as a jump host --remote-port and --out are missing
    hint: did you mean the profile `tremplin`?
    hint: reclog up tremplim --remote-port 55514 --out ~/tremplim.log
    ");
    insta::assert_snapshot!(home.refused(&Overrides { remote_port: Some(7), ..flags("me@[::1]:22") }), @r"
    `me@[::1]:22` is no saved profile, and to use it as a jump host --out is missing
    hint: reclog up me@[::1]:22 --remote-port 7 --out ~/__1.log
    ");
}

#[test]
fn no_target_lists_the_saved_profiles() {
    let home = Home::new(&[("b", HERE), ("a", HERE)]);
    insta::assert_snapshot!(home.refused(&Overrides::default()), @r"
    no jump host and no profile is named
    hint: saved profiles: a, b
    hint: reclog up user@jump.example.org --remote-port 55514 --out ~/file.log
    ");
    assert!(Home::new(&[]).refused(&Overrides::default()).contains("profile init"));
}

#[test]
fn contradictions_between_a_profile_and_flags_name_both_sides() {
    let home = Home::new(&[
        ("others", "target: jump\nstreams: { web: { remote_port: 1, out: /a }, db: { remote_port: 2, out: /b } }"),
        ("here", HERE),
        ("tremplin", TREMPLIN),
    ]);
    insta::assert_snapshot!(home.refused(&Overrides { remote_port: Some(1), ..flags("others") }), @r"
    --remote-port describes the stream `main`, and the profile …/config/profiles/others.yaml has none: its streams are web, db
    hint: change the profile, or name the jump host instead of it
    ");
    insta::assert_snapshot!(home.refused(&Overrides { port: Some(22), ..flags("here") }), @"--port is about SSH, and the profile …/config/profiles/here.yaml listens on this machine without it");
    insta::assert_snapshot!(home.refused(&Overrides { port: Some(22), ..complete("jump:2222") }), @"--port says 22 and the target `jump:2222` says 2222");
    insta::assert_snapshot!(home.refused(&Overrides { remote_port: Some(55515), bind: Some("*".into()), ..flags("tremplin") }), @r"
    cannot use the profile …/config/profiles/tremplin.yaml: line 6, column 3: the streams `main` and `web` have the same port: *:55515 and 10.0.0.1:55515
    ");
}

#[test]
fn impossible_profiles_are_refused_with_their_place() {
    let cases = [
        "streams: { main: { remote_port: 1, out: /a } }",
        "target: jump",
        "target: jump\nstreams:\n  main: { out: /a }",
        "target: jump\nstreams:\n  main: { remote_port: 1 }",
        "target: jump\nstreams:\n  main: { listen: 1, out: /a }",
        "ssh: {}\nstreams:\n  main: { listen: 1, out: /a }",
        "streams:\n  main: { listen: 1, out: /a, remote_port: 2 }",
        "streams:\n  main: { listen: 1, out: /a, bind: '::1' }",
        "streams:\n  main: { listen: 1, out: /a }\n  web: { remote_port: 2, out: /b }",
        "target: jump\nstreams:\n  a: { remote_port: 1, out: /a }\n  b: { remote_port: 1, out: /b }",
        "target: jump\nstreams:\n  a: { remote_port: 1, out: /x/../a }\n  b: { remote_port: 2, out: //a }",
        "target: a@jump\nssh:\n  user: b",
        "target: jump:1\nssh:\n  port: 2",
        "target: jump\nstreams:\n  main: { remote_port: 1, out: logs/ }",
        "target: jump\nstreams:\n  main: { remote_port: 1, out: 'exec:' }",
        "target: jump\nstreams:\n  main: { remote_port: 1, out: '{day}.log' }",
        "target: jump\nstreams:\n  main: { remote_port: 1, out: '~bob/x' }",
    ];
    let all = cases.map(|text| {
        let error = Home::new(&[("p", text)]).refused(&flags("p"));
        error.replace("cannot use the profile …/config/profiles/p.yaml: ", "")
    });
    insta::assert_snapshot!(all.join("\n"), @r##"
    line 1, column 1: it names no `target`
    hint: add `target: user@jump.example.org`, or `listen: PORT` to its streams for a collector without SSH
    line 1, column 1: it has no stream
    hint: add `streams: { main: { remote_port: 55514, out: ~/file.log } }`, or give --remote-port and --out
    line 3, column 3: the stream `main` has no `remote_port`
    hint: add `remote_port: 55514`; 0 lets the jump host choose
    line 3, column 3: the stream `main` has no `out`
    hint: add `out: ~/file.log`
    line 1, column 1: `target` is about SSH, and the streams of this profile `listen` here
    hint: a stream has either `remote_port` (on the jump host) or `listen` (on this machine)
    line 1, column 1: `ssh` is about SSH, and the streams of this profile `listen` here
    hint: a stream has either `remote_port` (on the jump host) or `listen` (on this machine)
    line 2, column 31: `remote_port` and `listen` exclude each other
    hint: `listen: HOST:PORT` is a port of this machine, `remote_port` one of the jump host
    line 2, column 31: `bind` and `listen` exclude each other
    hint: `listen: HOST:PORT` is a port of this machine, `remote_port` one of the jump host
    line 3, column 3: the stream `web` has no `listen`
    hint: the other streams of this profile have one; one profile cannot mix both
    line 4, column 3: the streams `a` and `b` have the same port: *:1 and *:1
    line 4, column 3: the streams `a` and `b` write to the same file `//a`
    hint: records of one file come from one stream, so that lines stay whole
    line 3, column 9: `user` says `b` and `target` says `a`
    line 3, column 9: `port` says 2 and `target` says 1
    line 3, column 32: `logs/` is a folder; name the file in it
    line 3, column 32: `exec:` cannot be used: `exec:` names no command; write exec:COMMAND
    line 3, column 32: `{day}.log` cannot be used: {day} is no placeholder here; there are {peer_ip}, {keyword}, {stream}, {date}, {hour}
    line 3, column 32: only your own `~/` is known here; write `~bob/x` in full
    "##);
}

const DOORS: &str = "target: jump
probe_every: 90s
metrics: '[::1]:9184'
streams:
  udp: { remote_port: 514, relay: auto, udp: true, out: /tmp/udp.log }
  far: { remote_port: 515, relay: always, bind: 192.0.2.7, out: /tmp/far.log }
  local: { remote_socket: '/run/user/1000/a b.sock', out: /tmp/local.log }
  tcp: { remote_port: 516, out: /tmp/tcp.log }
";

const PLACES: &str = "metrics: unix:/run/user/1000/m.sock
streams:
  both: { listen: '5514', out: /tmp/a.log }
  udp: { listen: 'udp:5514', out: /tmp/b.log }
  v6: { listen: 'udp:[::1]:0', out: /tmp/c.log }
  unix: { listen: 'unix:/run/x', out: /tmp/d.log }
";

#[test]
fn a_file_with_the_name_that_another_has_while_it_is_put_away_is_refused() {
    for (a, b) in [("/l/f", "/l/f.rotating"), ("/l/f.rotating", "/l/../l/f")] {
        let text = format!(
            "target: jump\nstreams: {{ a: {{ remote_port: 1, out: {a} }}, b: {{ remote_port: 2, out: {b} }} }}"
        );
        let error = Home::new(&[("p", &text)]).refused(&flags("p"));
        assert!(error.contains("beside the file of `a`") && error.contains("FILE.rotating"), "{error}");
    }
}

#[test]
fn streams_that_do_not_meet_are_allowed() {
    for text in [
        "target: jump\nstreams: { a: { remote_port: 0, out: /a }, b: { remote_port: 0, out: /b } }",
        "target: jump\nstreams: { a: { remote_port: 1, bind: 10.0.0.1, out: /a }, b: { remote_port: 1, bind: 10.0.0.2, out: /b } }",
        "target: a@jump:5\nssh: { user: a, port: 5 }\nstreams: { a: { remote_port: 1, out: /a } }",
        HERE,
    ] {
        assert!(Home::new(&[("p", text)]).up(&flags("p")).is_ok(), "{text}");
    }
}

#[test]
fn a_profile_without_streams_takes_them_from_flags() {
    let home = Home::new(&[("p", "target: jump")]);
    assert_eq!(home.up(&complete("p")).unwrap().streams[0].name, "main");
}

#[test]
fn wrong_flags_are_refused_by_their_name() {
    let home = Home::new(&[]);
    let wrong = |change: fn(&mut Overrides)| {
        let mut flags = complete("jump");
        change(&mut flags);
        home.refused(&flags)
    };
    for (flag, text) in [
        ("--name", wrong(|f| f.name = Some("a/b".into()))),
        ("--save", wrong(|f| f.save = Some(".x".into()))),
        ("--bind", wrong(|f| f.bind = Some(String::new()))),
        ("--out", wrong(|f| f.out = vec!["/tmp/".into()])),
        ("--out", wrong(|f| f.out = vec!["http://x/".into()])),
        ("--out", wrong(|f| f.out = vec!["..".into()])),
        ("--port", wrong(|f| f.port = Some(0))),
        ("--identity", wrong(|f| f.identities = vec!["".into()])),
        ("--jump", wrong(|f| f.jump = vec!["a,b c".into()])),
        ("--jump", wrong(|f| f.jump = vec!["a".into(), "none".into()])),
        ("--jump", wrong(|f| f.jump = vec!["a,".into()])),
        ("-o", wrong(|f| f.options = vec!["Compression".into()])),
        ("-o", wrong(|f| f.options = vec!["=x".into()])),
        ("-o", wrong(|f| f.options = vec!["Port= ".into()])),
        ("--max-line", wrong(|f| f.max_line = Some("1".into()))),
        ("--max-connections", wrong(|f| f.max_connections = Some(0))),
        ("--drain-timeout", wrong(|f| f.drain_timeout = Some("soon".into()))),
        ("--min-free", wrong(|f| f.min_free = Some("some".into()))),
        ("--rotate-size", wrong(|f| f.rotate_size = Some("1".into()))),
        ("--rotate-every", wrong(|f| f.rotate_every = Some("25:00".into()))),
        ("--rotate-total", wrong(|f| f.rotate_total = Some("-1".into()))),
        ("--rotate-age", wrong(|f| f.rotate_age = Some("0".into()))),
        ("--keep", wrong(|f| f.keep = Some(0))),
        ("--out", wrong(|f| f.out = vec!["/a".into(), "/x/../a".into()])),
        ("--out", wrong(|f| f.out = vec!["/{date}/../a".into()])),
        ("--keyword-file", wrong(|f| f.keyword_file = Some("".into()))),
        ("--prefix", wrong(|f| f.prefix = Some("{peer_ip}".into()))),
        ("--allow", wrong(|f| f.limits.allow = vec!["10.0.0.0/8".into(), "10.0.0.1/8".into()])),
        ("--deny", wrong(|f| f.limits.deny = vec!["nobody".into()])),
        ("--max-per-address", wrong(|f| f.limits.max_per_address = Some(0))),
        ("--max-new", wrong(|f| f.limits.max_new = Some(0))),
        ("--max-rate", wrong(|f| f.limits.max_rate = Some("1MB/m".into()))),
        ("--max-bytes", wrong(|f| f.limits.max_bytes = Some("much".into()))),
        ("--idle-timeout", wrong(|f| f.limits.idle_timeout = Some("1ms".into()))),
    ] {
        assert!(text.starts_with(&format!("{flag}: ")), "{text}");
    }
}

#[test]
fn options_are_split_as_ssh_splits_them() {
    for (text, value) in [
        ("Port=22", "22"),
        ("Port = 22", "22"),
        (" Port 22 ", "22"),
        ("Port\t=22", "22"),
        ("Port==22", "=22"),
        ("Port=a=b c", "a=b c"),
    ] {
        assert_eq!(split_option(text), Ok(("Port".to_owned(), value.to_owned())), "{text}");
    }
}

#[test]
fn hops_come_from_the_command_line_else_from_the_profile() {
    let home = Home::new(&[
        ("one", "target: x\nssh: { jump: 'a,b@[::1]:5' }\nstreams: { main: { remote_port: 1, out: y } }\n"),
        ("many", "target: x\nssh: { jump: [a, 'ssh://b:7'] }\nstreams: { main: { remote_port: 1, out: y } }\n"),
    ]);
    let jump = |flags: Overrides| home.up(&flags).unwrap().ssh.unwrap().jump;
    assert_eq!(jump(flags("one")), ["a", "b@[::1]:5"]);
    assert_eq!(jump(flags("many")), ["a", "b:7"]);
    let given = |hops: &[&str]| hops.iter().map(|hop| (*hop).to_owned()).collect();
    assert_eq!(jump(Overrides { jump: given(&["c,d", "e"]), ..flags("one") }), ["c", "d", "e"]);
    assert_eq!(jump(Overrides { jump: given(&["none"]), ..flags("one") }), ["none"]);
}

#[test]
fn listen_needs_a_file_and_names_itself_after_its_port() {
    let out = |out: Option<&str>| Overrides { out: out.map(Into::into).into_iter().collect(), ..Overrides::default() };
    let plan = |address: &str| resolve_listen(address, &out(Some("/tmp/x"))).unwrap().plan;
    assert_eq!((plan("5514").name.as_str(), plan("5514").ssh), ("listen-5514", None));
    assert_eq!(plan("[::1]:0").name, "listen");
    let stream = plan("[::1]:7").streams[0].clone();
    assert_eq!((stream.name.as_str(), stream.bind.as_str(), stream.port), ("main", "::1", 7));
    let error = resolve_listen("localhost:5514", &out(None)).unwrap_err();
    assert_eq!(error.hints, ["reclog listen localhost:5514 --out ~/listen-5514.log"]);
    assert!(resolve_listen("high", &out(Some("/tmp/x"))).is_err());
    let ssh = Overrides { port: Some(22), ..out(Some("/tmp/x")) };
    assert!(resolve_listen("5514", &ssh).unwrap_err().message.starts_with("--port"));
}

/// What is said about who may send, and what records look like.
fn who() -> impl Strategy<Value = (Vec<PathBuf>, Option<Shape>, Option<String>, Option<PathBuf>, LimitFlags)> {
    let net = "([1-9][0-9]?\\.){3}[1-9]|10\\.[0-9]\\.0\\.0/16|2001:db8:[1-9a-f]{1,4}::/48|::1";
    let nets = || prop::collection::vec(net, 0..3);
    let bounds = (1_usize..=100_000, 1_u32..=1_000_000, any::<u32>(), any::<u64>(), 0_u32..1 << 20);
    let limits = (nets(), nets(), prop::option::of(bounds)).prop_map(|(allow, deny, bounds)| {
        let (each, new, rate, bytes, idle) = bounds.map_or_else(Default::default, |(each, new, rate, bytes, idle)| {
            (Some(each), Some(new), Some(rate), Some(bytes >> 1), Some(idle))
        });
        LimitFlags {
            allow,
            deny,
            max_per_address: each,
            max_new: new,
            max_rate: rate.map(|n: u32| format!("{n}/s")),
            max_bytes: bytes.map(|n: u64| n.to_string()),
            idle_timeout: idle.map(|n: u32| format!("{n}s")),
        }
    });
    let other =
        prop::sample::select(vec!["exec:cat >'x'", "syslog+tcp://h:1", "-", "/l/{stream}/{date}.log", "{keyword}"]);
    let shape = prop::sample::select(vec![None, Some(Shape::Raw), Some(Shape::Prefix), Some(Shape::Json)]);
    let prefix = prop::option::of("[ -z]{0,3}\\{(time|peer|n)\\}[ -z]{0,3}");
    let also = prop::option::of(other.prop_map(PathBuf::from)).prop_map(|also| also.into_iter().collect());
    (also, shape, prefix, prop::option::of(path()), limits)
}

/// A path that needs care in YAML.
fn path() -> impl Strategy<Value = PathBuf> {
    "/([a-zA-Z0-9 .:#'\"\\\\&*!|>%@é?~-]{1,8}/){0,2}[a-zA-Z0-9 :#'\"\\\\&*!|>%@é?~-]{1,10}[a-z]".prop_map(PathBuf::from)
}

fn any_flags() -> impl Strategy<Value = Overrides> {
    let target = "([a-z0-9_.]{1,5}@)?([a-z][a-z0-9.]{0,6}|[0-9]{1,4}|true|null|1e3|\\[::1\\])(:[1-9][0-9]{0,3})?";
    let option = "[A-Za-z0-9]{1,6}=[!-~]([ -~]{0,8}[!-~])?";
    let ssh = (
        prop::collection::vec(path(), 0..3),
        prop::option::of(path()),
        prop::collection::vec(option, 0..4),
        prop::collection::vec(target, 0..3),
        prop::sample::select(vec!["*", "::1", "10.0.0.1", "localhost"]),
    );
    let stream = (
        any::<u16>(),
        path(),
        any::<bool>(),
        64_u32..=16 << 20,
        1_usize..=100_000,
        prop::sample::select(vec![Sync::Never, Sync::Interval, Sync::Always]),
        0_u32..86_400_000,
    );
    let rotate = (
        prop::option::of(1000_u64..1 << 40),
        prop::option::of("hourly|daily|([01][0-9]|2[0-3]):[0-5][0-9]"),
        prop::option::of(1000_u64..1 << 40),
        prop::option::of(1_u32..1 << 30),
        prop::option::of(1_u32..=1_000_000),
        prop::option::of(prop::sample::select(vec![Compress::None, Compress::Gzip, Compress::Zstd])),
        0_u64..1 << 40,
        any::<bool>(),
    );
    let probes = (any::<bool>(), any::<bool>(), prop::option::of(1_u32..=86_400));
    (target, ssh, stream, rotate, probes, who()).prop_map(|(target, ssh, stream, rotate, probes, who)| {
        let (relay, no_probe, probe_every) = probes;
        let (also, shape, prefix, keyword_file, limits) = who;
        let (identities, ssh_config, options, jump, bind) = ssh;
        let (size, every, total, age, keep, compress, min_free, keep_trying) = rotate;
        let (port, out, raw, max_line, max_connections, sync, drain) = stream;
        Overrides {
            remote_port: Some(port),
            bind: Some(bind.into()),
            out: [vec![out], also].concat(),
            format: shape,
            prefix,
            keyword_file,
            limits,
            identities,
            ssh_config,
            jump,
            options,
            framing: raw.then_some(Framing::Raw),
            max_line: Some(max_line.to_string()),
            max_connections: Some(max_connections),
            sync: Some(sync),
            drain_timeout: Some(format!("{drain}ms")),
            rotate_size: size.map(|n| n.to_string()),
            rotate_every: every,
            rotate_total: total.map(|n| n.to_string()),
            rotate_age: age.map(|n| format!("{n}s")),
            keep,
            compress,
            min_free: Some(min_free.to_string()),
            keep_trying,
            relay,
            no_probe,
            probe_every: probe_every.map(|n| format!("{n}s")),
            ..flags(&target)
        }
    })
}

proptest! {
    #[test]
    fn what_is_saved_is_the_same_plan_when_it_is_read(given in any_flags()) {
        let home = Home::new(&[]);
        let plan = home.up(&Overrides { save: Some("saved".into()), ..given });
        // Some of these texts are no targets and no files; those that are must survive.
        prop_assume!(plan.is_ok());
        let plan = plan.unwrap();
        save(&plan, "saved", false, &home.paths).unwrap();
        prop_assert_eq!(home.up(&flags("saved")).unwrap(), plan);
    }
}

#[test]
fn saved_profiles_and_options_are_the_same_plan_when_they_are_read() {
    let home = Home::new(&[("here", HERE), ("tremplin", TREMPLIN), ("doors", DOORS), ("places", PLACES)]);
    let options = ["A=1", "B=2", "a=3"].map(str::to_owned).to_vec();
    for flags in [
        flags("here"),
        flags("tremplin"),
        flags("doors"),
        flags("places"),
        Overrides { options, ..complete("me@jump:22") },
    ] {
        let plan = home.up(&flags).unwrap();
        save(&plan, "saved", true, &home.paths).unwrap();
        assert_eq!(home.up(&self::flags("saved")).unwrap(), Plan { name: "saved".into(), ..plan });
    }
}

/// Profiles that are nearly right: known keys with values that may or may not fit.
fn nearly() -> impl Strategy<Value = String> {
    let value = "[0-9]{1,6}|'?[a-z0-9./~:*@%-]{0,12}'?|\\[[a-z, ]{0,5}\\]|[0-9]{1,3}(s|ms|MB|KiB)|~|\\PC{0,6}";
    let stream_keys = STREAM.keys.iter().map(|key| key.name).collect();
    let pairs = |keys: Vec<&'static str>| prop::collection::vec((prop::sample::select(keys), value), 0..4);
    let streams = prop::collection::vec(("[a-z]{1,3}", pairs(stream_keys)), 0..3);
    (pairs(vec!["target", "drain_timeout", "metrics", "ssh"]), streams).prop_map(|(top, streams)| {
        let mut lines: Vec<String> = top.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        lines.push("streams:".to_owned());
        for (name, keys) in streams {
            lines.push(format!("  {name}:"));
            lines.extend(keys.iter().map(|(key, value)| format!("    {key}: {value}")));
        }
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in nearly(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let home = Home::new(&[("nearly", &text)]);
        std::fs::write(home.paths.profile("bytes"), bytes).unwrap();
        for name in ["nearly", "bytes"] {
            match home.up(&flags(name)) {
                Ok(plan) => prop_assert!(!plan.streams.is_empty()),
                Err(error) => prop_assert_eq!(error.kind.exit_code(), 2),
            }
        }
    }
}
