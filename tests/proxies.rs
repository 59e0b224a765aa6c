//! Through other hosts and programs: ProxyJump and ProxyCommand, on real servers.

mod common;

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use common::procs::{alive, descendants, kill};
use common::senders::{Sender, check_flood, flood, send};
use common::{Bg, Env, SOON, Sshd, wait_until};

/// Hosts `a`, `b` and `jump`, each a server of its own with its own user key and known_hosts file.
struct Chain {
    a: Sshd,
    b: Sshd,
    jump: Sshd,
    env: Env,
}

impl Chain {
    /// `jump` has these lines in its Host block, `a` and `b` these in their sshd_config.
    fn new(proxy: &str, lines: &[&str]) -> Self {
        let lines = [lines, &["LogLevel DEBUG1"]].concat();
        let (a, b, jump) = (Sshd::with_lines(&lines), Sshd::with_lines(&lines), Sshd::start());
        let chain = Self { a, b, jump, env: Env::new() };
        chain.configure(proxy);
        chain
    }

    fn configure(&self, proxy: &str) {
        let block = |name: &str, sshd: &Sshd, more: &str| {
            let known = self.env.write(&format!("known_{name}"), sshd.known_hosts());
            format!(
                "Host {name}\n{}  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  {more}\n",
                sshd.config_lines(),
                sshd.user_key("ed25519").display(),
                known.display()
            )
        };
        let blocks = [block("a", &self.a, ""), block("b", &self.b, ""), block("jump", &self.jump, proxy)];
        self.env.write("ssh_config", blocks.concat());
    }

    fn out(&self) -> PathBuf {
        self.env.path("out.log")
    }
}

/// The jump host sees its connections come from where the hop runs; here all run on one machine, so what tells a detour
/// is the log of the hop.
fn went_through(hop: &Sshd) -> bool {
    hop.log().contains("server_request_direct_tcpip")
}

fn lines(n: usize) -> String {
    (0..n).flat_map(|i| ["line ".to_owned(), i.to_string(), " of a sender\n".to_owned()]).collect()
}

#[test]
fn every_byte_comes_through_one_hop() {
    let chain = Chain::new("ProxyJump a", &[]);
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    let text = lines(20_000);
    send(up.port(), &text);
    chain.env.down(&up.name);
    assert_eq!(std::fs::read_to_string(chain.out()).unwrap(), text);
    assert!(went_through(&chain.a) && !went_through(&chain.b));
    wait_until("the hop has no session left", SOON, || chain.a.sessions().is_empty().then_some(()));
    chain.env.assert_nothing_left();
}

#[test]
fn several_hops_each_with_their_own_host_key_and_login() {
    let chain = Chain::new("ProxyJump a,b", &[]);
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    send(up.port(), "through two\n");
    chain.env.down(&up.name);
    assert_eq!(std::fs::read_to_string(chain.out()).unwrap(), "through two\n");
    assert!(went_through(&chain.a) && went_through(&chain.b));
}

#[test]
fn a_hop_whose_host_key_is_not_known_is_named() {
    let chain = Chain::new("ProxyJump a,b", &[]);
    chain.env.write("known_b", "");
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]).fails(5).hinted();
    let target = |sshd: &Sshd| format!("127.0.0.1:{}", sshd.port);
    run.says(format!("[127.0.0.1]:{}", chain.b.port))
        .says(chain.b.fingerprint("ed25519"))
        .says("hop 2 of 2 on the way to")
        .says(target(&chain.jump));
    assert!(!chain.jump.log().contains("Accepted"), "nobody logs in behind a hop that is not trusted");
    assert!(!chain.out().exists());
    chain.env.assert_nothing_left();
}

#[test]
fn a_hop_that_refuses_the_key_is_named() {
    let chain = Chain::new("ProxyJump a", &[]);
    std::fs::write(chain.a.file("authorized_keys"), "").unwrap();
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]).fails(4).hinted();
    run.says("hop 1 of 1 on the way to").says(format!("127.0.0.1:{}", chain.a.port));
}

#[test]
fn a_hop_that_forbids_tunnels_is_named_with_the_rule() {
    let chain = Chain::new("ProxyJump a", &["AllowTcpForwarding no"]);
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]).fails(4).hinted();
    run.matches(&format!(r"127\.0\.0\.1:{} forbids a tunnel to 127\.0\.0\.1:{}", chain.a.port, chain.jump.port))
        .says("AllowTcpForwarding");
}

#[test]
fn a_host_that_cannot_be_reached_from_the_hop_is_told_so() {
    let chain = Chain::new("ProxyJump a", &[]);
    chain.jump.stop();
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]).fails(1).hinted();
    run.matches(&format!(r":{} cannot connect to 127\.0\.0\.1:{}: Connection refused", chain.a.port, chain.jump.port));
}

#[test]
fn a_hop_that_dies_is_replaced_by_a_new_way_through_it() {
    let chain = Chain::new("ProxyJump a,b", &[]);
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    send(up.port(), "before\n");
    chain.env.wait_stored(&up.name, 7);
    chain.a.kill_sessions();
    let status = chain.env.wait_collector(&up.name, "is up again", |s| s["state"] == "up" && s["reconnects"] == 1);
    assert!(
        status["last_error"].as_str().is_some_and(|e| e.contains(&format!("127.0.0.1:{}", chain.a.port))),
        "{status}"
    );
    send(up.port(), "after\n");
    chain.env.down(&up.name);
    assert_eq!(std::fs::read_to_string(chain.out()).unwrap(), "before\nafter\n");
}

#[test]
fn proxy_connect() {
    // What a ProxyCommand is for: the bytes go through a program, here socat.
    let chain = Chain::new("ProxyCommand socat - TCP:%h:%p", &[]);
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    let text = lines(5_000);
    send(up.port(), &text);
    let programs = descendants(up.pid);
    assert_eq!(programs.len(), 1, "socat itself, no shell around it");
    chain.env.down(&up.name);
    assert_eq!(std::fs::read_to_string(chain.out()).unwrap(), text);
    chain.env.assert_nothing_left();
    wait_until("the program is gone", SOON, || (!alive(programs[0])).then_some(()));
}

#[test]
fn a_proxy_command_in_the_folder_of_the_start_is_found_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let chain = Chain::new("ProxyCommand ./proxy %h %p", &[]);
    let proxy = chain.env.write("work/proxy", "#!/bin/sh\nexec socat - TCP:$1:$2\n");
    std::fs::set_permissions(proxy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", up.pid)).unwrap(), PathBuf::from("/"));
    chain.jump.kill_sessions();
    chain.env.wait_collector(&up.name, "is up again", |s| s["state"] == "up" && s["reconnects"] == 1);
    chain.env.down(&up.name);
}

/// The pipes that a process has open.
fn pipes(pid: u32, besides: &[&str]) -> Vec<PathBuf> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let fds = fds.filter(|fd| !besides.iter().any(|b| fd.file_name() == *b));
    fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).filter(|l| l.to_string_lossy().contains("pipe:")).collect()
}

#[test]
fn a_proxy_command_cannot_read_the_answers_of_a_person() {
    let chain = Chain::new("ProxyCommand socat - TCP:%h:%p", &[]);
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    // Whoever runs the tests may have pipes open that everybody inherits.
    let (ours, proxy) = (pipes(std::process::id(), &[]), descendants(up.pid)[0]);
    let inherited: Vec<_> = pipes(proxy, &["0", "1", "2"]).into_iter().filter(|p| !ours.contains(p)).collect();
    assert_eq!(inherited, Vec::<PathBuf>::new());
    chain.env.down(&up.name);
}

#[test]
fn a_proxy_command_that_fails_says_its_last_words() {
    let chain = Chain::new("ProxyCommand sh -c 'echo no way to %h >&2; exit 7'", &[]);
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]).fails(1);
    run.says("the ProxyCommand `sh -c 'echo no way to 127.0.0.1 >&2; exit 7'` ended with exit code 7: ");
    chain.env.assert_nothing_left();
}

#[test]
fn a_proxy_command_that_is_not_there_is_told() {
    let chain = Chain::new("ProxyCommand no-such-program-here %h", &[]);
    chain
        .env
        .up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")])
        .fails(1)
        .says("ended with exit code 127")
        .says("no-such-program-here")
        .says("is it installed");
}

#[test]
fn a_proxy_command_that_says_nothing_ends_in_a_timeout_and_is_gone() {
    let env = Env::new();
    let pid = env.arg("pid");
    let chain = Chain::new(&format!("ConnectTimeout 1\n  ProxyCommand sh -c 'echo $$ > {pid}; exec sleep 4711'"), &[]);
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]).fails(1);
    run.says("within 1 s (phase: banner)");
    let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    wait_until("the program is gone", SOON, || (!alive(pid)).then_some(()));
}

#[test]
fn a_proxy_command_that_dies_is_started_again() {
    let chain = Chain::new("ProxyCommand socat - TCP:%h:%p", &[]);
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    for pid in descendants(up.pid) {
        kill(pid);
    }
    let status = chain.env.wait_collector(&up.name, "is up again", |s| s["state"] == "up" && s["reconnects"] == 1);
    assert!(status["last_error"].as_str().is_some_and(|e| e.contains("the ProxyCommand was killed")), "{status}");
    chain.env.down(&up.name);
}

#[test]
fn ctrl_c_in_the_foreground_drains_through_a_proxy_command() {
    let chain = Chain::new("ProxyCommand socat - TCP:%h:%p", &[]);
    let config = chain.env.arg("ssh_config");
    let out = chain.env.arg("out.log");
    let up = ["up", "jump", "-F", &config, "--remote-port", "0", "--out", &out, "-f", "--json"];
    let mut fg = chain.env.reclog(&up);
    // What a terminal does with Ctrl-C: the whole group hears of it.
    fg.process_group(0);
    let mut fg = Bg::spawn(fg);
    chain.env.expect(fg.pid());
    let text = fg.wait_stdout("\"event\":\"up\"");
    let event: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let port = u16::try_from(event["streams"][0]["remote_port"].as_u64().unwrap()).unwrap();
    let mut sender = Sender::open(port);
    sender.write("first\n");
    chain.env.wait_stored("jump", 6);
    let group = i32::try_from(fg.pid()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    sender.write("last\n");
    sender.finish();
    fg.wait().ok();
    assert_eq!(std::fs::read_to_string(chain.out()).unwrap(), "first\nlast\n");
}

#[test]
fn addresses_are_those_of_the_family_and_bind_address_asked_for() {
    let chain = Chain::new("AddressFamily inet6", &[]);
    let out = chain.env.arg("out.log");
    let args = ["--remote-port", "0", "--out", &out];
    chain.env.up_run(&args).fails(1).says("IPv6");
    chain.configure("BindAddress 127.0.0.9");
    let up = chain.env.up(&args);
    assert!(chain.jump.log().contains("from 127.0.0.9 port"), "{}", chain.jump.log());
    chain.env.down(&up.name);
    chain.configure("BindAddress 192.0.2.1");
    chain.env.up_run(&args).fails(1).says("BindAddress 192.0.2.1");
}

#[test]
fn many_senders_keep_their_lines_whole_and_in_order_through_hops() {
    let chain = Chain::new("ProxyJump a,b", &[]);
    let up = chain.env.up(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]);
    flood(up.port(), 16, 5_000);
    chain.env.down(&up.name);
    check_flood(&chain.out(), 16, 5_000);
}

#[test]
fn hops_of_the_command_line_come_before_those_of_the_configuration() {
    let chain = Chain::new("ProxyJump nowhere.invalid", &[]);
    let out = chain.env.arg("out.log");
    let up = chain.env.up(&["--remote-port", "0", "--out", &out, "-J", "a,b"]);
    assert!(went_through(&chain.a) && went_through(&chain.b));
    chain.env.down(&up.name);
    let up = chain.env.up(&["--remote-port", "0", "--out", &out, "-J", "none", "--save", "direct"]);
    chain.env.down(&up.name);
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &out]).fails(1);
    run.says("cannot find the host nowhere.invalid").says("hop 1 of 1");
    let up = chain.env.started(chain.env.run(&["up", "direct", "--json"]));
    chain.env.down(&up.name);
}

#[test]
fn a_profile_names_its_hops() {
    let chain = Chain::new("ProxyJump nowhere.invalid", &[]);
    let profile = format!(
        "target: jump\nssh:\n  config: {}\n  jump: [a, b]\nstreams:\n  main:\n    remote_port: 0\n    out: {}\n",
        chain.env.arg("ssh_config"),
        chain.env.arg("out.log")
    );
    chain.env.write("config/profiles/far.yaml", profile);
    let up = chain.env.started(chain.env.run(&["up", "far", "--json"]));
    send(up.port(), "from far\n");
    chain.env.down(&up.name);
    assert_eq!(std::fs::read_to_string(chain.out()).unwrap(), "from far\n");
    assert!(went_through(&chain.a) && went_through(&chain.b));
}

#[test]
fn what_the_configuration_asks_for_in_vain_is_said_at_up() {
    let chain = Chain::new("RemoteForward 5555 localhost:22\n  CheckHostIP yes", &[]);
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log")]).ok();
    let run = run.says("note: RemoteForward of the ssh configuration is not taken: reclog opens only its own ports\n");
    assert!(!run.stderr.contains("CheckHostIP"), "harmless ones are for the log: {}", run.stderr);
    chain.env.down("jump");
    let run = chain.env.up_run(&["--remote-port", "0", "--out", &chain.env.arg("out.log"), "-v"]).ok();
    assert!(run.stderr.contains("RemoteForward"));
    let log = std::fs::read_to_string(chain.env.path("state/jump/collector.log")).unwrap().to_lowercase();
    assert!(log.contains("checkhostip of the ssh configuration has no effect"), "{log}");
    chain.env.down("jump");
}

#[test]
fn hops_that_lead_in_a_circle_are_refused_before_anything_is_tried() {
    let env = Env::new();
    env.write("ssh_config", "Host jump b\n  ProxyJump a\nHost a\n  ProxyJump b\n");
    let run = env.up_run(&["--remote-port", "0", "--out", &env.arg("out.log")]).fails(2).hinted();
    run.says("its ProxyJump leads in a circle: ");
    assert!(!env.path("out.log").exists());
}
