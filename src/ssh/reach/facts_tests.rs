//! The script in real shells, and what is read from its answers.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

const MARK: &str = "reclog-0123";

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/bin".into(), "/usr/bin".into()]);
    places.map(|place| place.join(program)).find(|file| file.is_file())
}

fn output(shell: &PathBuf, folder: &std::path::Path, path: &str, ports: &[u16]) -> Vec<u8> {
    let mut run = Command::new(shell);
    run.arg("-c").arg(ask(MARK, ports)).env_clear().env("HOME", folder).env("PATH", path);
    run.env("SSH_CONNECTION", "192.0.2.7 4711 198.51.100.1 22").stdin(Stdio::null());
    let output = run.output().unwrap();
    assert!(is_done(&output.stdout, MARK), "{shell:?}: {output:?}");
    output.stdout
}

fn lines(text: &str) -> Facts {
    let text = text.replace('\n', &format!("\n{MARK} "));
    Facts::parse(format!("{MARK} {text}\n").as_bytes(), MARK, &[22, 514])
}

fn places(listeners: &[&str]) -> Vec<SocketAddr> {
    listeners.iter().map(|at| at.parse().unwrap()).collect()
}

#[test]
fn every_login_shell_tells_where_ports_are_listened_on() {
    let listeners = ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"].map(|at| TcpListener::bind(at).unwrap());
    let mut places = listeners.each_ref().map(|l| l.local_addr().unwrap()).to_vec();
    places.sort();
    let ports: Vec<u16> = places.iter().map(SocketAddr::port).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut shells = 0;
    for shell in ["dash", "bash", "zsh", "fish", "tcsh"].iter().filter_map(|name| which(name)) {
        let facts = Facts::parse(&output(&shell, folder.path(), "/usr/bin:/bin", &ports), MARK, &ports);
        assert_eq!(facts.listeners, Some(places.clone()), "{shell:?}");
        assert_eq!(facts.seen_as, "192.0.2.7".parse().ok(), "{shell:?}");
        assert_eq!(facts.arrived_at, "198.51.100.1".parse().ok(), "{shell:?}");
        shells += 1;
    }
    assert!(shells >= 2, "only {shells} shells are installed");
}

#[test]
fn nobody_who_listens_is_told_from_a_machine_that_does_not_tell() {
    let folder = tempfile::tempdir().unwrap();
    // Port 1 is nobody's here.
    let facts = Facts::parse(&output(&which("sh").unwrap(), folder.path(), "/usr/bin:/bin", &[1]), MARK, &[1]);
    assert_eq!((facts.listeners.clone(), facts.is_loopback_only(1)), (Some(Vec::new()), Some(false)));
    // Without a single program, and with the files of a system that has none.
    let script =
        ask(MARK, &[1]).replace("/proc/net/", "/nowhere/").replace("$PATH:/usr/sbin:/sbin:/usr/local/sbin", "/no");
    let output = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
    assert!(is_done(&output.stdout, MARK), "{output:?}");
    assert_eq!(Facts::parse(&output.stdout, MARK, &[1]), Facts::default());
}

#[test]
fn the_script_is_one_word_for_any_shell() {
    let command = ask(MARK, &[22, 55514]);
    let script = command.strip_prefix("exec /bin/sh -c '").and_then(|c| c.strip_suffix('\'')).unwrap();
    assert!(!script.contains(['\'', '\\', '!', '\n']), "{script}");
    assert!(script.contains(":(0016|D8DA) ") && script.contains("(22|55514)"), "{script}");
}

#[test]
fn places_are_read_as_each_program_writes_them() {
    let told = |text: &str| lines(&format!("{text}\ntold\ndone")).listeners.unwrap();
    assert_eq!(told("raw 0100007F:0202\nraw 00000000:0202"), places(&["0.0.0.0:514", "127.0.0.1:514"]));
    assert_eq!(told("raw 00000000000000000000000001000000:0202"), places(&["[::1]:514"]));
    assert_eq!(told("order 18698\nraw 7F000001:0202"), places(&["127.0.0.1:514"]), "the other order of bytes");
    assert_eq!(
        told("at ss 127.0.0.53%lo:514\nat ss [::1]:514\nat ss *:22"),
        places(&["0.0.0.0:22", "127.0.0.53:514", "[::]:22", "[::1]:514"])
    );
    assert_eq!(
        told("at tcp 0.0.0.0:22\nat tcp6 :::22\nat tcp6 ::1:514"),
        places(&["0.0.0.0:22", "[::]:22", "[::1]:514"])
    );
    assert_eq!(
        told("at tcp4 *.22\nat tcp6 *.22\nat tcp4 127.0.0.1.514"),
        places(&["0.0.0.0:22", "127.0.0.1:514", "[::]:22"])
    );
    assert_eq!(told("at ss 1.2.3.4:8022"), places(&[]), "nobody asked for that port");
}

#[test]
fn addresses_that_nobody_else_knows_are_left_out() {
    let facts = lines("own 127.0.0.1/8\nown 10.0.0.5/24\nown fe80::1/64\nown 169.254.1.1/16\nown 2001:db8::5/64\ndone");
    let own: Vec<IpAddr> = ["10.0.0.5", "2001:db8::5"].iter().map(|ip| ip.parse().unwrap()).collect();
    assert_eq!(facts.addresses, Some(own));
    assert_eq!(facts.is_own("10.0.0.5".parse().unwrap()), Some(true));
    assert_eq!(facts.is_own("203.0.113.1".parse().unwrap()), Some(false));
    assert_eq!(lines("own 127.0.0.1/8\ndone").addresses, None);
}

#[test]
fn a_guard_that_is_on_comes_first_and_once() {
    let facts = lines("guard firewall-cmd\nguard ufw\nguard firewall-cmd\nguard nft\nguard other\ndone");
    assert_eq!(facts.firewalls, [Firewall::Firewalld, Firewall::Ufw, Firewall::Nft]);
}

#[test]
fn an_answer_that_is_cut_off_does_not_count_as_whole() {
    let facts = lines("own 10.0.0.5/24\nraw 0100007F:0202\ntold");
    assert_eq!((facts.listeners, facts.addresses), (None, None));
}

proptest! {
    #[test]
    fn whatever_a_jump_host_says_is_borne(
        words in proptest::collection::vec("(told|done|raw|at|own|order|connection|guard|[0-9A-F:.*%/\\[\\]é]{0,12}| |\n)", 0..40),
    ) {
        let text = words.concat().replace('\n', &format!("\n{MARK} "));
        let facts = Facts::parse(text.as_bytes(), MARK, &[22]);
        prop_assert!(facts.listeners.unwrap_or_default().iter().all(|at| at.port() == 22));
    }
}
