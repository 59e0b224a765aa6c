//! What the files say, without a server; who is meant by a line is compared with what ssh-keygen finds.

use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::plan::SshPlan;

const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

const RSA: &str = "rsa-sha2-512 AAAAB3NzaC1yc2EAAAADAQABAAABAQDboPqyY15TuTXL+30ffj79PTCaOscFEVsB3md3WHXVXtnum2JxDemJhgT1BZUL5d1g1oBjVxacFlyiDVewC/gq2IbvLD7PZMlGhs64KgGQJLe995VLD/WKlYFYnPMoqTcNTKuoRshRZ1K+TW9muhcErzSVv5JZ0v9A2FIGlkJX6TUnpIsaIv7p2XsuKFtUMg3ngdYZabHR1woopvR34vJ1tcubF3cjlwX+O5eO112cueTHAuC7YPfhq3u3ZcFdsigHeUTAobqgU6GQ4Uui1xNAo1FKv8Msibm4SrDh7MN6HMkF+Nbv5JrSsj64gwYSERxqEcuwDz3euGKb/LjRRJHn";
const CERTIFICATE: &str = "ssh-rsa-cert-v01@openssh.com AAAAHHNzaC1yc2EtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgJU3VHYqwLXZvMMO4MLlVIIU7Pqp5b56LPvpqTpXRcOIAAAADAQABAAABAQDboPqyY15TuTXL+30ffj79PTCaOscFEVsB3md3WHXVXtnum2JxDemJhgT1BZUL5d1g1oBjVxacFlyiDVewC/gq2IbvLD7PZMlGhs64KgGQJLe995VLD/WKlYFYnPMoqTcNTKuoRshRZ1K+TW9muhcErzSVv5JZ0v9A2FIGlkJX6TUnpIsaIv7p2XsuKFtUMg3ngdYZabHR1woopvR34vJ1tcubF3cjlwX+O5eO112cueTHAuC7YPfhq3u3ZcFdsigHeUTAobqgU6GQ4Uui1xNAo1FKv8Msibm4SrDh7MN6HMkF+Nbv5JrSsj64gwYSERxqEcuwDz3euGKb/LjRRJHnAAAAAAAAAAAAAAACAAAAAXgAAAAIAAAABGp1bXAAAAAAAAAAAP//////////AAAAAAAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACClx6SjCOmdUnXpeArNDHxtd1vFECYTg17yCW/CpZTG1gAAAFMAAAALc3NoLWVkMjU1MTkAAABA7Zx30d+eL9Bgin87XGJ6wP5er4aNp2CgCxNF3ungk6jPpSeSoH7FzCUEvZED45X3QFqauH9L5VUz2j2tWRMsAg==";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

/// Settings for `host` that name these files alone.
fn settings(host: &str, port: u16, files: &[&Path]) -> Settings {
    let mut settings = Settings::resolve(&SshPlan {
        host: host.into(),
        port: Some(port),
        config_file: Some("none".into()),
        user: Some("me".into()),
        ..SshPlan::default()
    })
    .unwrap();
    settings.user_known_hosts = files.iter().map(|f| f.to_path_buf()).collect();
    settings.global_known_hosts.clear();
    settings
}

fn known_as(names: Names, text: impl AsRef<[u8]>) -> KnownHosts {
    let mut known = KnownHosts::new(names);
    for (index, line) in text.as_ref().split(|b| *b == b'\n').enumerate() {
        known.add(line, at(index + 1));
    }
    known
}

fn known(host: &str, port: u16, text: impl AsRef<[u8]>) -> KnownHosts {
    known_as(Names::of(&settings(host, port, &[])), text)
}

fn check(host: &str, port: u16, text: impl AsRef<[u8]>, shown: &str) -> Verdict {
    known(host, port, text).check(key(shown).key_data())
}

fn at(line: usize) -> Place {
    Place::Line("kh".into(), line)
}

#[test]
fn known_changed_and_unknown_are_three_answers() {
    let text = format!("# hosts\n\nother {OTHER}\nJump,10.0.0.1 {ED}\n");
    assert_eq!(check("jump", 22, &text, ED), Verdict::Known);
    assert_eq!(check("JUMP", 22, &text, OTHER), Verdict::Changed(at(4)));
    assert_eq!(check("elsewhere", 22, &text, ED), Verdict::Unknown);
}

#[test]
fn another_algorithm_of_a_known_host_is_no_new_host() {
    let text = format!("jump {ED}\n");
    assert_eq!(check("jump", 22, &text, ECDSA), Verdict::Changed(at(1)));
    assert_eq!(known("jump", 22, &text).algorithms(), [Algorithm::Ed25519]);
}

#[test]
fn the_line_that_is_named_holds_a_key_of_the_same_type_if_any() {
    let text = format!("jump {ECDSA}\njump {OTHER}\n");
    assert_eq!(check("jump", 22, &text, ED), Verdict::Changed(at(2)));
}

#[test]
fn an_unusual_port_is_part_of_the_name() {
    let text = format!("[jump]:2222 {ED}\njump {OTHER}\n");
    assert_eq!(check("jump", 2222, &text, ED), Verdict::Known);
    assert_eq!(check("jump", 2222, &text, OTHER), Verdict::Changed(at(1)));
    assert_eq!(check("jump", 22, &text, ED), Verdict::Changed(at(2)));
    assert_eq!(check("jump", 2200, &text, OTHER), Verdict::Known, "the host's key without its port");
    assert_eq!(check("jump", 2200, &text, ED), Verdict::Unknown);
    assert_eq!(known("jump", 2200, &text).algorithms(), [Algorithm::Ed25519]);
}

#[test]
fn an_alias_stands_without_a_port_and_is_found_hidden_as_written_and_in_lower_case() {
    let mut with_alias = settings("127.0.0.1", 2222, &[]);
    with_alias.host_key_alias = Some("Tremplin".into());
    let names = || Names::of(&with_alias);
    assert_eq!((names().full.as_str(), names().principal.as_str()), ("tremplin", "Tremplin"));
    for name in ["tremplin", "Tremplin"] {
        let hidden = super::super::entry::hide([1; 20], name).unwrap();
        for written in [name.to_owned(), hidden] {
            let known = known_as(names(), format!("{written} {ED}\n"));
            assert_eq!(known.check(key(ED).key_data()), Verdict::Known, "{written}");
        }
    }
    let known = known_as(names(), format!("127.0.0.1 {ED}\n[127.0.0.1]:2222 {ED}\n"));
    assert_eq!(known.check(key(ED).key_data()), Verdict::Unknown);
}

#[test]
fn patterns_and_negation_hold() {
    let text = format!("*.example.org,!bad.example.org {ED}\n");
    assert_eq!(check("a.example.org", 22, &text, ED), Verdict::Known);
    assert_eq!(check("bad.example.org", 22, &text, ED), Verdict::Unknown);
}

#[test]
fn a_revoked_key_is_revoked_wherever_it_stands_and_whatever_else_is_said() {
    let text = format!("*.example.org {ED}\n@revoked * {OTHER}\n@revoked a.* {ED}\n");
    assert_eq!(check("a.example.org", 22, &text, OTHER), Verdict::Revoked(at(2)));
    assert_eq!(check("a.example.org", 22, &text, ED), Verdict::Revoked(at(3)));
    assert_eq!(check("b.example.org", 22, &text, ED), Verdict::Known);
    assert_eq!(check("a.b", 2222, format!("@revoked a.b {ED}\n"), ED), Verdict::Revoked(at(1)), "without its port");
}

#[test]
fn a_revoked_or_certifying_key_is_no_key_of_the_host() {
    let text = format!("@cert-authority jump {ED}\n@revoked jump {OTHER}\n");
    assert_eq!(check("jump", 22, &text, ED), Verdict::Unknown);
    assert!(known("jump", 22, &text).algorithms().is_empty());
    let wants = |host, port, text: &str| known(host, port, text).wants_certificates();
    assert!(wants("jump", 22, &text) && !wants("other", 22, &text) && wants("jump", 2222, &text));
    assert!(wants("jump", 22, &format!("@revoked jump {OTHER}\n")), "it may be the key of an authority");
    assert!(!wants("jump", 22, &format!("jump {OTHER}\n")));
}

#[test]
fn garbage_long_lines_and_other_line_ends_change_nothing_and_cost_little() {
    let mut text = b"\xff\xfe\x00garbage\n\n   \n@nonsense jump x\njump\n".to_vec();
    text.extend([b"jump ssh-ed25519 ".to_vec(), vec![b'A'; 1 << 20], b"\n".to_vec()].concat());
    text.extend([vec![b'*'; 1 << 20], format!(" {OTHER}\n").into_bytes()].concat());
    text.extend([b"x,".repeat(1 << 19), format!("y {OTHER}\n").into_bytes()].concat());
    text.extend([b"|1|".to_vec(), vec![b'/'; 1 << 20], format!(" {OTHER}\n").into_bytes()].concat());
    text.extend(format!("jump {ED}\r\n").bytes());
    let begun = std::time::Instant::now();
    assert_eq!(check("jump", 2222, &text, ED), Verdict::Known);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let many = format!("{}jump {ED}\n", "h,".repeat(1 << 19));
    assert_eq!(check("jump", 22, &many, ED), Verdict::Known, "a long list of names is an entry");
}

#[test]
fn a_certificate_in_the_place_of_a_key_revokes_what_is_inside_and_is_no_hosts_key() {
    let rsa = RSA.replace("rsa-sha2-512", "ssh-rsa");
    assert_eq!(check("jump", 22, format!("jump {RSA}\n"), &rsa), Verdict::Known);
    assert_eq!(check("jump", 22, format!("jump {CERTIFICATE}\n"), &rsa), Verdict::Changed(at(1)));
    assert_eq!(check("jump", 22, format!("jump {RSA}\n@revoked jump {CERTIFICATE}\n"), &rsa), Verdict::Revoked(at(2)));
}

#[test]
fn several_files_count_together_and_a_missing_one_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, none] = ["one", "two", "none"].map(|n| dir.path().join(n));
    std::fs::write(&one, format!("other {ED}\njump {ECDSA}\n")).unwrap();
    std::fs::write(&two, format!("jump {ED}\n@revoked jump {OTHER}")).unwrap();
    let mut settings = settings("jump", 22, &[&none, &one]);
    settings.global_known_hosts = vec![two.clone()];
    let known = KnownHosts::read(&settings, &Accepted::default()).unwrap();
    assert_eq!(known.check(key(ED).key_data()), Verdict::Known);
    assert_eq!(known.check(key(OTHER).key_data()), Verdict::Revoked(Place::Line(two, 2)));
    assert_eq!(known.algorithms(), [key(ECDSA).algorithm(), Algorithm::Ed25519]);
    let others = other_names(&settings, &key(ED)).unwrap();
    assert_eq!(others[0], format!("{}:1: other", one.display()));
}

#[test]
fn other_names_are_few_and_safe_to_show() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kh");
    let hidden = super::super::entry::hide([1; 20], "x").unwrap();
    let many = format!("n {ED}\n").repeat(20);
    std::fs::write(&file, format!("a\x1b[2Jb {ED}\n{hidden} {ED}\n@revoked c {ED}\nd {OTHER}\n{many}")).unwrap();
    let others = other_names(&settings("jump", 22, &[&file]), &key(ED)).unwrap();
    assert!(others[0].ends_with(":1: a\\x1b[2Jb"), "{others:?}");
    assert!(others[1].ends_with(":2: (a hidden name)"), "{others:?}");
    assert!(others[2].ends_with(":5: n"), "{others:?}");
    assert_eq!((others.len(), others.last().unwrap().as_str()), (9, "and 14 more"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let below_a_file = dir.path().join("file/known_hosts");
    std::fs::write(dir.path().join("file"), "").unwrap();
    for file in [dir.path(), &below_a_file] {
        let error = KnownHosts::read(&settings("jump", 22, &[file]), &Accepted::default()).unwrap_err();
        assert_eq!(error.kind.exit_code(), 5, "{error}");
        assert!(error.message.contains(&file.display().to_string()), "{error}");
    }
}

#[test]
fn revoked_host_keys_count_for_every_host_and_must_be_readable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("revoked");
    let mut settings = settings("jump", 22, &[]);
    settings.revoked_host_keys = Some(file.clone());
    let read = |settings: &Settings| KnownHosts::read(settings, &Accepted::default());
    assert_eq!(read(&settings).unwrap_err().kind.exit_code(), 5, "it is not there");

    std::fs::write(&file, format!("# gone\r\n\n \t\n  {OTHER} me@here\r\n{ECDSA}")).unwrap();
    let known = read(&settings).unwrap();
    assert_eq!(known.check(key(OTHER).key_data()), Verdict::Revoked(Place::Line(file.clone(), 4)));
    assert_eq!(known.check(key(ECDSA).key_data()), Verdict::Revoked(Place::Line(file.clone(), 5)));
    assert_eq!(known.check(key(ED).key_data()), Verdict::Unknown);

    std::fs::write(&file, format!("{OTHER}\nnonsense\n")).unwrap();
    assert!(read(&settings).unwrap_err().message.contains("line 2"));
    std::fs::write(&file, b"SSHKRL\n\0\0\0\0\x01").unwrap();
    let error = read(&settings).unwrap_err();
    assert!(error.message.contains("KRL") && error.kind.exit_code() == 5, "{error}");
    settings.revoked_host_keys = Some(dir.path().into());
    assert_eq!(read(&settings).unwrap_err().kind.exit_code(), 5);
}

#[test]
fn what_was_accepted_counts_where_the_files_say_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kh");
    let settings = settings("jump", 2222, &[&file]);
    let accepted = Accepted::default();
    accepted.add("[jump]:2222", &key(ED));
    accepted.add("elsewhere", &key(OTHER));
    let known = KnownHosts::read(&settings, &accepted).unwrap();
    assert_eq!(known.check(key(ED).key_data()), Verdict::Known);
    assert_eq!(known.check(key(OTHER).key_data()), Verdict::Changed(Place::Memory));
    assert_eq!(known.algorithms(), [Algorithm::Ed25519], "it is asked for again");
    std::fs::write(&file, format!("[jump]:2222 {OTHER}\n@revoked jump {ECDSA}\n")).unwrap();
    let known = KnownHosts::read(&settings, &accepted).unwrap();
    assert_eq!(known.check(key(OTHER).key_data()), Verdict::Known, "the person changed the file meanwhile");
    assert_eq!(known.check(key(ED).key_data()), Verdict::Changed(Place::Line(file, 1)));
}

/// Names that people look for.
const HOSTS: [&str; 6] = ["jump", "[jump]:2222", "a.example.org", "[a.example.org]:2222", "10.0.0.1", "fe80::1"];

/// A field of names as people and programs write them, and worse.
fn hosts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(&HOSTS[..]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "*", "?", "j*", "jum?", "*.example.org", "[*]:2222", "[jump]:*", "10.0.0.*", "JUMP", "A.Example.ORG", "other",
            "", "fe80::*", "[jump]:222?", "****p", "*.*.*",
        ]).prop_map(str::to_owned),
        1 => "[a-z.*?]{1,8}",
    ];
    let piece = (piece, prop::bool::weighted(0.2)).prop_map(|(p, not)| if not { format!("!{p}") } else { p });
    prop_oneof![
        4 => prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.join(",")),
        2 => (prop::sample::select(&HOSTS[..]), any::<[u8; 20]>())
            .prop_map(|(name, salt)| super::super::entry::hide(salt, name).unwrap()),
        1 => prop::sample::select(vec!["|1|", "|1|AAAA|AAAA", "|2|x|y", "|1|BwcHBwcHBwcHBwcHBwcHBwcHBwc=|BwcHBwcHBwcHBwcHBwcHBwcHBwc=,jump"])
            .prop_map(str::to_owned),
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let marker = prop::sample::select(vec![
        "",
        "",
        "",
        "",
        "",
        "@revoked ",
        "@cert-authority ",
        "@revoked  \t",
        "@Revoked ",
        "@revoked @cert-authority ",
        "@ ",
    ]);
    let keys = prop::sample::select(vec![
        ED,
        ED,
        OTHER,
        ECDSA,
        RSA,
        CERTIFICATE,
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti",
        "ED25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti",
        "1024 37 159",
        "",
    ]);
    let end = prop::sample::select(vec!["", "", " me@here", " \t # x", "\r", " \r", " m\u{e9}"]);
    let gap = || prop::sample::select(vec![" ", " ", " ", "\t", "  "]);
    let entry = (prop::sample::select(vec!["", "", " ", "\t "]), marker, hosts(), gap(), keys, end)
        .prop_map(|(lead, marker, hosts, gap, key, end)| format!("{lead}{marker}{hosts}{gap}{key}{end}").into_bytes());
    prop_oneof![
        8 => entry,
        1 => Just(format!("# jump {ED}").into_bytes()),
        1 => prop::collection::vec(any::<u8>().prop_filter("one line", |b| *b != b'\n'), 0..60),
    ]
}

/// The line numbers at which ssh-keygen finds keys of `host`, with what it says of their markers.
fn found_by_ssh_keygen(file: &Path, host: &str) -> Vec<(usize, String)> {
    let output = Command::new("ssh-keygen").arg("-lF").arg(host).arg("-f").arg(file).output();
    let output = output.expect("ssh-keygen (Debian: openssh-client) is installed");
    let begin = format!("# Host {host} found: line ");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = out.lines().filter_map(|line| line.strip_prefix(&begin));
    found
        .map(|rest| {
            let (number, marker) = rest.split_once(' ').unwrap_or((rest, ""));
            (number.parse().unwrap(), marker.trim().to_owned())
        })
        .collect()
}

#[test]
fn the_same_lines_are_about_a_host_as_for_ssh_keygen() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(250);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let files = (prop::collection::vec(line(), 1..20), prop::sample::select(&HOSTS[..]));
    let mut matches = 0;
    let count = std::cell::RefCell::new(&mut matches);
    runner
        .run(&files, |(lines, host)| {
            let text = lines.join(&b'\n');
            std::fs::write(&file, &text).unwrap();
            let names = Names { full: host.to_owned(), bare: None, principal: host.to_owned(), written: None };
            let known = known_as(names, &text);
            let ours: Vec<(usize, String)> = known
                .entries
                .iter()
                .map(|known| {
                    let Place::Line(_, line) = known.place else { unreachable!() };
                    let marker = match known.marker {
                        Marker::None => "",
                        Marker::Authority => "CA",
                        Marker::Revoked => "REVOKED",
                    };
                    (line, marker.to_owned())
                })
                .collect();
            **count.borrow_mut() += ours.len();
            prop_assert_eq!(&ours, &found_by_ssh_keygen(&file, host), "{}", String::from_utf8_lossy(&text));
            Ok(())
        })
        .unwrap();
    assert!(matches > 100, "the files say too little: {matches}");
}
