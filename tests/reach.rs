//! Whether senders from outside get through, and where they are lost if not: a jump host, a client and senders on machines of
//! their own.

mod common;

use common::disk::Disk;
use common::netns::{HOME, HOME_6, INNER, NAME, OUTSIDE, THERE, THERE_6, World};
use common::snapshot::number;
use common::{Bg, Collector, Env, Run, SOON, free_port, read_text, wait_for_text, wait_until};
use serde_json::{Value, json};

macro_rules! world {
    ($lay:expr) => {{
        fn inside() {}
        require!("sshd", "ip", "nft", "bash");
        let name = std::any::type_name_of_val(&inside).trim_end_matches("::inside");
        let Some(world) = $lay(name) else { return };
        world
    }};
}

/// A collector `c` of this world, and what `up` said.
struct Stage {
    // Who runs in a namespace goes before it.
    env: Env,
    world: World,
    port: u16,
}

impl Stage {
    /// The jump host is known by `address`.
    fn new(world: World, address: &str) -> Self {
        let env = Env::new();
        world.trust(&env, address);
        Self { env, world, port: free_port() }
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let (port, out) = (self.port.to_string(), self.env.arg("f"));
        self.env.to_jump(&["up", "jump"], &[&["--remote-port", &port, "--out", &out, "--name", "c"], more].concat())
    }

    /// `up` with its notes; it must succeed.
    #[track_caller]
    fn up_run(&self, more: &[&str]) -> Run {
        let run = Bg::spawn(self.world.reclog(&self.env, &self.args(more))).wait().ok();
        let pid = number(&self.env.snapshot("c")["pid"]);
        self.env.expect(u32::try_from(pid).unwrap());
        run
    }

    #[track_caller]
    fn up(&self, more: &[&str]) -> Collector {
        self.env.started(Bg::spawn(self.world.reclog(&self.env, &self.args(&[more, &["--json"]].concat()))).wait())
    }

    #[track_caller]
    fn line_arrives(&self, address: &str, line: &str) {
        assert!(self.world.send(address, self.port, line), "the port takes the line {line:?}");
        wait_for_text(self.env.path("f"), &format!("{line}\n"));
    }

    fn audit(&self, event: &str) -> Vec<Value> {
        let trail = read_text(self.env.path("state/c/audit.jsonl"));
        let lines = trail.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }

    /// What the trail tells of probes, once it tells of so many: it is written a moment after the fact.
    #[track_caller]
    fn probes(&self, least: usize) -> Vec<Value> {
        wait_until("probes stand in the trail", SOON, || {
            Some(self.audit("probe")).filter(|probes| probes.len() >= least)
        })
    }

    /// The end; no line of ours is in the file, and no sender was counted but those.
    #[track_caller]
    fn ends(self, senders: u64) {
        let down = self.env.run(&["down", "c", "--json"]).ok().last_event();
        let stream = &down["streams"][0];
        assert_eq!(number(&stream["senders"]["accepted"]), senders, "{stream}");
        assert_eq!(stream["senders"]["rejected"], json!({}), "{stream}");
        assert!(!read_text(self.env.path("f")).contains("reclog-echo"));
        assert_eq!(self.audit("sender_open").len() as u64, senders);
    }
}

fn finding(up: &Collector) -> &Value {
    &up.event["streams"][0]["finding"]
}

#[test]
fn a_port_that_everybody_can_connect_to_is_proven() {
    for line in ["GatewayPorts yes", "GatewayPorts clientspecified"] {
        let stage = Stage::new(world!(|name| World::lay(name, &[line])), NAME);
        let run = stage.up_run(&[]);
        assert!(
            [HOME, HOME_6]
                .iter()
                .any(|from| run.stdout.contains(&format!("\n  reach  proven from outside (seen as {from})\n"))),
            "{}",
            run.stdout
        );
        assert!(!run.stderr.contains("proven") && !run.stderr.contains("note: senders get"), "{}", run.stderr);
        let stream = stage.env.stream("c");
        assert_eq!(stream["reach"], "proven");
        assert!(stream["reach_checked"].is_string(), "{stream}");
        assert_eq!(stage.probes(1).len(), 1);
        stage.line_arrives(THERE, "four");
        stage.line_arrives(THERE_6, "six");
        assert!(read_text(stage.env.path("state/c/audit.jsonl")).contains(&format!("\"peer\":\"{OUTSIDE}:")));
        stage.ends(2);
    }
}

#[test]
fn a_port_on_loopback_alone_is_told_with_both_ways_out() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts no"])), THERE);
    let run = stage.up_run(&[]);
    eprintln!("{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("warning: nobody outside can connect: "), "{}", run.stderr);
    for text in [
        "--relay",
        "reclog down NAME",
        "Match User root\n",
        "GatewayPorts clientspecified",
        "systemctl reload",
        "reclog kick NAME",
    ] {
        assert!(run.stderr.contains(text), "{text}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("not told"), "{}", run.stderr);
    let now = stage.env.snapshot("c");
    assert_eq!((&now["state"], &now["streams"][0]["reach"]), (&json!("up"), &json!("loopback-only")));
    let health = now["health"][0].as_str().unwrap();
    assert!(health.contains("stream main") && health.contains("GatewayPorts no"), "{health}");
    assert_eq!(stage.probes(1)[0]["reach"], "loopback-only");
    stage.ends(0);
}

#[test]
fn a_router_that_does_not_hand_the_port_on_is_told() {
    let stage = Stage::new(world!(|name| World::behind_nat(name, &["GatewayPorts yes"])), THERE);
    let up = stage.up(&[]);
    let found = finding(&up);
    eprintln!("{found:#}");
    assert_eq!(found["reach"], "unproven");
    let why = found["why"].as_str().unwrap();
    assert!(why.contains("NAT") && why.contains(INNER) && why.contains(THERE), "{why}");
    let remedies = found["remedies"].to_string();
    assert!(
        remedies.contains("security group") && remedies.contains(&format!("hand TCP port {}", stage.port)),
        "{remedies}"
    );
    stage.world.hand_on(stage.port);
    stage.env.run(&["kick", "c"]).ok();
    stage.env.wait_collector("c", "is proven", |c| c["streams"][0]["reach"] == "proven");
    stage.line_arrives(THERE, "now");
    stage.ends(1);
}

#[test]
fn a_firewall_is_told_from_a_port_that_is_not_open() {
    for verdict in ["drop", "reject", "reject with tcp reset"] {
        let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
        stage.world.guard(stage.port, verdict);
        let up = stage.up(&[]);
        let found = finding(&up);
        eprintln!("{verdict}: {found:#}");
        assert_eq!(found["reach"], "unproven");
        assert!(found["why"].as_str().unwrap().contains("firewall or security group"), "{found}");
        let remedies = found["remedies"].to_string();
        assert!(remedies.contains("security group") && remedies.contains(&stage.port.to_string()), "{remedies}");
        let now = stage.env.snapshot("c");
        assert!(now["health"][0].as_str().unwrap().contains("firewall or security group"), "{now:#}");
        assert_eq!(&now["streams"][0]["finding"], found);
        stage.ends(0);
    }
}

/// What `up` found in this world, at this address.
#[track_caller]
fn found(world: World, address: &str, more: &[&str]) -> Value {
    let stage = Stage::new(world, address);
    let up = stage.up(more);
    let found = finding(&up).clone();
    assert_eq!(up.event["streams"][0]["reach"], found["reach"], "{}", up.event);
    stage.ends(0);
    found
}

fn untold(found: &Value, text: &str) -> bool {
    found["untold"].as_array().unwrap().iter().any(|u| u.as_str().unwrap().contains(text))
}

#[test]
fn an_account_without_a_shell_still_tells_a_port_on_loopback() {
    for shell in ["ForceCommand /bin/false", "ForceCommand echo hello; sleep 600"] {
        let found = found(world!(|name| World::lay(name, &["GatewayPorts no", shell])), THERE, &[]);
        assert_eq!(found["reach"], "loopback-only", "{found:#}");
        assert!(untold(&found, "runs no commands"), "{found:#}");
    }
}

#[test]
fn a_firewall_is_told_without_a_shell() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes", "ForceCommand /bin/false"])), THERE);
    stage.world.guard(stage.port, "reject");
    let up = stage.up(&[]);
    assert!(finding(&up)["why"].as_str().unwrap().contains("firewall or security group"), "{:#}", finding(&up));
    stage.ends(0);
}

#[test]
fn an_account_that_may_connect_to_nothing_is_told_by_its_shell_alone() {
    let shell = found(world!(|name| World::lay(name, &["GatewayPorts no", "PermitOpen none"])), THERE, &[]);
    assert_eq!(shell["reach"], "loopback-only", "{shell:#}");
    let lines = ["GatewayPorts no", "PermitOpen none", "ForceCommand /bin/false"];
    let nothing = found(world!(|name| World::lay(name, &lines)), THERE, &[]);
    assert_eq!(nothing["reach"], "unproven", "{nothing:#}");
    assert!(nothing["why"].as_str().unwrap().contains("refuses the connection"), "{nothing:#}");
    assert!(untold(&nothing, "PermitOpen") && untold(&nothing, "runs no commands"), "{nothing:#}");
}

/// A program on the jump host that has the port at this address, and says nothing.
fn other_program(world: &World, address: &str, port: u16) -> common::Daemon {
    let (kind, bind) =
        if address.contains(':') { ("TCP6", format!("[{address}]")) } else { ("TCP4", address.to_owned()) };
    let listen = format!("{kind}-LISTEN:{port},bind={bind},fork,reuseaddr");
    let daemon = world.daemon_there("socat", &["-u", &listen, "OPEN:/dev/null"]);
    common::wait_until("it listens", common::SOON, || world.send(address, port, "x").then_some(()));
    daemon
}

#[test]
fn another_program_with_the_port_is_told() {
    require!("socat");
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts no"])), THERE);
    let _other = other_program(&stage.world, THERE, stage.port);
    let up = stage.up(&[]);
    let found = finding(&up);
    assert_eq!(found["reach"], "loopback-only", "{found:#}");
    let why = found["why"].as_str().unwrap();
    assert!(why.contains(&format!("another program on {THERE} answers on port {}", stage.port)), "{why}");
    assert!(found["remedies"].to_string().contains("ss -ltnp"), "{found:#}");
    stage.ends(0);
}

#[test]
fn a_family_that_another_program_has_is_told_beside_the_one_that_is_proven() {
    require!("socat");
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), NAME);
    let _other = other_program(&stage.world, THERE_6, stage.port);
    let run = stage.up_run(&[]);
    assert!(run.stdout.contains("  reach  proven from outside"), "{}", run.stdout);
    let note = format!("senders get to {NAME}:{} over IPv4 alone: over IPv6 another program has the port", stage.port);
    assert!(run.stderr.contains(&note), "{}", run.stderr);
    assert!(run.stderr.contains("warning: senders get to") && run.stderr.contains("sudo ss -ltnp"), "{}", run.stderr);
    let now = stage.env.snapshot("c");
    assert!(now["health"][0].as_str().unwrap().contains(&note), "{now:#}");
    assert!(now["streams"][0]["finding"]["remedies"].to_string().contains("ss -ltnp"), "{now:#}");
    stage.line_arrives(THERE, "four");
    stage.ends(1);
}

#[test]
fn a_family_that_goes_dark_later_is_told_and_its_recovery_is_too() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), NAME);
    stage.up(&["--probe-every", "1s"]);
    let proven = stage.env.wait_collector("c", "is proven", |c| c["streams"][0]["reach"] == "proven");
    assert_eq!(
        (&proven["health"], proven["streams"][0]["finding"]["through"].to_string().matches("true").count()),
        (&json!([]), 2)
    );
    stage.world.nft(&format!(
        "add table inet six; add chain inet six in {{ type filter hook input priority 0; }}; \
         add rule inet six in iif != lo meta nfproto ipv6 tcp dport {} reject with tcp reset",
        stage.port
    ));
    let dark = stage.env.wait_collector("c", "tells", |c| c["health"] != json!([]));
    let health = dark["health"][0].as_str().unwrap();
    assert!(health.contains("over IPv4 alone: over IPv6") && health.contains("refuses"), "{health}");
    assert_eq!(dark["streams"][0]["reach"], "proven");
    assert!(stage.probes(2)[1]["why"].as_str().unwrap().contains("over IPv6"));
    stage.world.nft("delete table inet six");
    stage.env.wait_collector("c", "is well again", |c| c["health"] == json!([]));
    assert_eq!(stage.probes(3)[2]["why"], "");
    stage.ends(0);
}

#[test]
fn a_program_that_hands_connections_on_is_told_and_the_port_is_not_proven() {
    require!("socat");
    // With its own address at both ends, or as loopback.
    for from in ["", &format!(",bind={THERE}")] {
        let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts no"])), THERE);
        let listen = format!("TCP4-LISTEN:{},bind={THERE},fork,reuseaddr", stage.port);
        let to = format!("TCP4:127.0.0.1:{}{from}", stage.port);
        let _socat = stage.world.daemon_there("socat", &[&listen, &to]);
        let place = format!("{THERE}:{}", stage.port);
        wait_until("it listens", SOON, || {
            let all = stage.world.there("ss", &["-ltn"]);
            all.contains(&place).then_some(())
        });
        let up = stage.up(&[]);
        let found = finding(&up);
        assert_eq!(found["reach"], "unproven", "{found:#}");
        assert!(found["why"].as_str().unwrap().contains("hands connections on"), "{found:#}");
        assert!(found["remedies"][0].as_str().unwrap().contains("ss -ltnp"), "{found:#}");
        let health = stage.env.snapshot("c")["health"].to_string();
        assert!(health.contains("hands connections on"), "{health}");
        stage.ends(0);
    }
}

#[test]
fn a_connection_that_is_full_is_no_verdict_and_no_line_of_ours_a_sender() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
    stage.up(&["--probe-every", "2s"]);
    assert_eq!(stage.env.stream("c")["reach"], "proven");
    let ssh = stage.world.sshd().port;
    stage.world.nft(&format!(
        "add table inet slow; add chain inet slow out {{ type filter hook output priority 0; }}; \
         add rule inet slow out tcp sport {ssh} limit rate over 400 kbytes/second burst 20 kbytes drop"
    ));
    let script = format!("exec yes 'a line like any other, and long enough' > /dev/tcp/{THERE}/{}", stage.port);
    let bulk = || {
        let mut sender = stage.env.command("ip");
        common::Daemon::start(sender.args(["netns", "exec", &stage.world.outside, "bash", "-c", &script]))
    };
    let bulk = [bulk(), bulk()];
    stage.env.wait_collector("c", "has both", |c| c["streams"][0]["senders"]["open"] == 2);
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs_f64() < 20.0 {
        let now = stage.env.snapshot("c");
        let stream = &now["streams"][0];
        assert_eq!((&stream["reach"], &now["reconnects"]), (&json!("proven"), &json!(0)), "{now:#}");
        assert_eq!(number(&stream["senders"]["accepted"]), 2, "{now:#}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    drop(bulk);
    stage.world.nft("delete table inet slow");
    stage.env.run(&["down", "c", "--now"]).ok();
    assert!(!read_text(stage.env.path("f")).contains("reclog-echo"));
}

#[test]
fn a_collector_that_ends_before_the_answer_says_that_nobody_looked() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
    stage.world.guard(stage.port, "drop");
    let up = Bg::spawn(stage.world.reclog(&stage.env, &stage.args(&[])));
    wait_until("it is up", SOON, || (stage.env.find("c")?["state"] == "up").then_some(()));
    stage.env.run(&["down", "c"]).ok();
    let up = up.wait().ok();
    assert!(up.stderr.contains("nobody has looked yet") && !up.stderr.contains("no answer within"), "{}", up.stderr);
    stage.env.assert_nothing_left();
}

#[test]
fn nobody_is_asked_with_no_probe() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts no"])), THERE);
    let run = stage.up_run(&["--no-probe"]);
    assert!(run.stderr.contains("nobody looked: --no-probe"), "{}", run.stderr);
    let stream = stage.env.stream("c");
    assert_eq!((&stream["reach"], &stream["reach_checked"]), (&json!("unproven"), &Value::Null));
    assert!(!stage.world.sshd().log().contains("direct-tcpip") && stage.audit("probe").is_empty());
    stage.ends(0);
}

#[test]
fn loopback_that_was_asked_for_is_no_complaint() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts no"])), THERE);
    let run = stage.up_run(&["--bind", "127.0.0.1"]);
    assert!(!run.stderr.contains("proven") && !run.stderr.contains("outside"), "{}", run.stderr);
    let now = stage.env.snapshot("c");
    assert_eq!((&now["streams"][0]["reach"], &now["health"]), (&json!("loopback-only"), &json!([])));
    stage.ends(0);
}

#[test]
fn a_heartbeat_that_fails_is_told_and_its_recovery_is_too() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
    stage.up(&["--probe-every", "1s"]);
    let reach = |c: &Value| c["streams"][0]["reach"].clone();
    for round in 1..=2 {
        stage.env.wait_collector("c", "is proven", |c| reach(c) == "proven" && c["health"] == json!([]));
        stage.world.guard(stage.port, "reject");
        let lost = stage.env.wait_collector("c", "tells", |c| reach(c) == "unproven");
        let health = lost["health"][0].as_str().unwrap();
        assert!(health.contains("nobody outside gets through") && health.contains("firewall"), "{health}");
        assert_eq!((&lost["state"], &lost["reconnects"]), (&json!("up"), &json!(0)), "the connection lives");
        stage.world.unguard();
        stage.env.wait_collector("c", "is proven again", |c| reach(c) == "proven" && c["health"] == json!([]));
        let told = 1 + 2 * round;
        assert_eq!(stage.probes(told).len(), told, "only what changes is told");
    }
    // And not once in every second.
    let checked = stage.env.stream("c")["reach_checked"].clone();
    stage.env.wait_collector("c", "is asked again", |c| c["streams"][0]["reach_checked"] != checked);
    assert_eq!(stage.probes(5).len(), 5);
    stage.line_arrives(THERE, "x");
    stage.ends(1);
}

#[test]
fn a_connection_that_is_found_dead_is_made_anew() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes", "ClientAliveInterval 1"])), THERE);
    let config = read_text(stage.env.path("ssh_config"));
    // Nobody else would notice.
    stage.env.write("ssh_config", config + "  ServerAliveInterval 0\n");
    stage.up(&["--probe-every", "1s"]);
    assert_eq!(stage.env.stream("c")["reach"], "proven");
    stage.world.nft("add table inet cut; add chain inet cut in { type filter hook input priority 0; policy drop; }");
    let lost = stage.env.wait_collector("c", "has lost it", |c| c["state"] != "up");
    let error = lost["last_error"].as_str().unwrap();
    assert!(error.contains("nothing comes back from outside"), "{error}");
    stage.world.nft("delete table inet cut");
    stage.env.wait_collector("c", "is up again", |c| {
        c["state"] == "up" && c["reconnects"] == 1 && c["streams"][0]["reach"] == "proven"
    });
    stage.line_arrives(THERE, "again");
    stage.ends(1);
}

#[test]
fn our_own_lines_are_in_no_file_whoever_else_sends_what_looks_like_them() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), NAME);
    stage.up(&["--probe-every", "1s"]);
    // Each line one connection; half of them begin as ours do, some are silent for a while before they speak.
    let script = format!(
        "for n in $(seq 90); do ( exec 3<>/dev/tcp/{THERE}/{port}; \
         case $((n % 3)) in 0) printf 'reclog-ech';; 1) sleep 0.$((n % 10));; esac; printf 'line %s\\n' $n >&3 ) & \
         [ $((n % 10)) = 0 ] && wait; done; wait; \
         for n in $(seq 20); do exec 3<>/dev/tcp/{THERE}/{port}; printf 'reclog-echo 0123456789abcdef0123456789abcdef\\n' >&3; \
         exec 3>&-; done",
        port = stage.port
    )
    .replace("printf 'reclog-ech'", "printf 'reclog-ech' >&3; sleep 0.1");
    stage.world.outside("bash", &["-c", &script]);
    stage.env.wait_collector("c", "has all", |c| number(&c["streams"][0]["records"]) == 110);
    let checked = stage.env.stream("c")["reach_checked"].clone();
    stage.env.wait_collector("c", "is asked again", |c| c["streams"][0]["reach_checked"] != checked);
    let down = stage.env.run(&["down", "c", "--json"]).ok().last_event();
    let stream = &down["streams"][0];
    assert_eq!(number(&stream["senders"]["accepted"]), 110, "{stream}");
    assert_eq!(stream["reach"], "proven");
    let text = read_text(stage.env.path("f"));
    for n in 1..=90 {
        let line = if n % 3 == 0 { format!("reclog-echline {n}") } else { format!("line {n}") };
        assert_eq!(text.lines().filter(|l| *l == line).count(), 1, "{line}");
    }
    let guesses = text.lines().filter(|l| *l == "reclog-echo 0123456789abcdef0123456789abcdef").count();
    assert_eq!((guesses, text.lines().count()), (20, 110), "nothing of our own is in the file:\n{text}");
}

#[test]
fn a_silent_sender_while_an_answer_is_awaited_loses_nothing() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), NAME);
    // Over IPv6 nobody answers: somebody is awaited for seconds.
    stage.world.nft(&format!(
        "add table inet six; add chain inet six in {{ type filter hook input priority 0; }}; \
         add rule inet six in iif != lo meta nfproto ipv6 tcp dport {} drop",
        stage.port
    ));
    let args = stage.args(&["--json"]);
    let mut up = Bg::spawn(stage.world.reclog(&stage.env, &args));
    common::wait_until("it is up", common::SOON, || (stage.env.find("c")?["state"] == "up").then_some(()));
    let script = format!(
        "exec 3<>/dev/tcp/{THERE}/{port}; exec 4<>/dev/tcp/{THERE}/{port}; sleep 1; printf 'late\\n' >&3; exec 3>&-; sleep 60",
        port = stage.port
    );
    let mut sender = stage.env.command("ip");
    let _sender = common::Daemon::start(sender.args(["netns", "exec", &stage.world.outside, "bash", "-c", &script]));
    wait_for_text(stage.env.path("f"), "late\n");
    assert!(up.running(), "an answer is still awaited");
    let up = stage.env.started(up.wait());
    assert_eq!(finding(&up)["reach"], "proven");
    assert!(finding(&up)["notes"].to_string().contains("over IPv6"), "{:#}", finding(&up));
    stage.env.wait_collector("c", "knows the silent one", |c| c["streams"][0]["senders"]["open"] == 1);
    stage.env.run(&["down", "c", "--now"]).ok();
    assert_eq!(read_text(stage.env.path("f")), "late\n");
}

#[test]
fn down_does_not_wait_for_an_answer_and_neither_does_ctrl_c() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
    stage.world.guard(stage.port, "drop");
    let mut front = Bg::spawn(stage.world.reclog(&stage.env, &stage.args(&["--foreground", "-v"])));
    stage.env.expect(front.pid());
    common::wait_until("it is up", common::SOON, || {
        assert!(front.running(), "{}", front.stderr());
        (stage.env.find("c")?["state"] == "up").then_some(())
    });
    assert_eq!(front.stdout(), "", "the first answer is awaited");
    let begun = std::time::Instant::now();
    stage.env.run(&["down", "c"]).ok();
    front.wait().ok();
    assert!(begun.elapsed().as_secs_f64() < 3.0, "{:?}", begun.elapsed());

    let mut front = Bg::spawn(stage.world.reclog(&stage.env, &stage.args(&["--foreground"])));
    stage.env.expect(front.pid());
    common::wait_until("it is up", common::SOON, || {
        assert!(front.running(), "{}", front.stderr());
        (stage.env.find("c")?["state"] == "up").then_some(())
    });
    let begun = std::time::Instant::now();
    front.signal(rustix::process::Signal::INT);
    front.wait().fails(130);
    assert!(begun.elapsed().as_secs_f64() < 3.0, "{:?}", begun.elapsed());
    stage.env.assert_nothing_left();
}

/// A second sshd, on the machine outside, as the host `hop` of the ssh configuration.
fn hop(stage: &Stage, lines: &[&str]) -> common::Sshd {
    let hop = common::Sshd::in_namespace(&stage.world.outside, OUTSIDE, lines);
    let known = read_text(stage.env.path("known_hosts")) + &hop.known_hosts();
    stage.env.write("known_hosts", known);
    let lines = [
        read_text(stage.env.path("ssh_config")),
        format!("Host hop\n{}", hop.config_lines()),
        format!("  IdentityFile {}\n  IdentitiesOnly yes\n", hop.user_key("ed25519").display()),
        format!("  UserKnownHostsFile {}\n", stage.env.arg("known_hosts")),
    ];
    stage.env.write("ssh_config", lines.concat());
    hop
}

#[test]
fn behind_a_hop_it_is_the_hop_that_connects() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
    let _hop = hop(&stage, &[]);
    let run = stage.up_run(&["-J", "hop"]);
    assert!(run.stdout.contains(&format!("  reach  proven from outside (seen as {OUTSIDE})")), "{}", run.stdout);
    stage.world.guard(stage.port, "reject");
    stage.env.run(&["kick", "c"]).ok();
    let lost = stage.env.wait_collector("c", "tells", |c| c["streams"][0]["reach"] == "unproven");
    let health = lost["health"][0].as_str().unwrap();
    assert!(health.contains("firewall") && health.contains("refuses the connection"), "{health}");
    stage.ends(0);
}

#[test]
fn a_hop_that_connects_to_the_jump_host_alone_is_told() {
    for (gateway, reach) in [("GatewayPorts yes", "unproven"), ("GatewayPorts no", "loopback-only")] {
        let stage = Stage::new(world!(|name| World::lay(name, &[gateway])), THERE);
        let there = format!("PermitOpen {THERE}:{}", stage.world.sshd().port);
        let _hop = hop(&stage, &[&there]);
        let up = stage.up(&["-J", "hop"]);
        assert_eq!(finding(&up)["reach"], reach, "{:#}", finding(&up));
        assert!(
            reach != "unproven" || finding(&up)["why"].as_str().unwrap().contains("does not connect"),
            "{up:?}",
            up = finding(&up)
        );
        stage.ends(0);
    }
}

#[test]
fn behind_a_program_nothing_is_proven_but_loopback_is_told() {
    require!("socat");
    for (gateway, reach) in [("GatewayPorts yes", "unproven"), ("GatewayPorts no", "loopback-only")] {
        let stage = Stage::new(world!(|name| World::lay(name, &[gateway])), THERE);
        let up = stage.up(&["-o", "ProxyCommand=socat - TCP:%h:%p"]);
        let found = finding(&up);
        assert_eq!(found["reach"], reach, "{found:#}");
        assert!(found["why"].as_str().unwrap().contains(if reach == "unproven" { "ProxyCommand" } else { "loopback" }));
        stage.ends(0);
    }
}

#[test]
fn while_an_output_is_behind_nobody_is_asked_and_what_was_known_holds() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
    let test = "while_an_output_is_behind_nobody_is_asked_and_what_was_known_holds";
    let Some(disk) = Disk::mount(&stage.env, test, "384m") else { return };
    let (port, out) = (stage.port.to_string(), stage.env.arg("disk/f"));
    let args = ["--remote-port", &port, "--out", &out, "--name", "c", "--probe-every", "1s", "--min-free", "0"];
    stage.world.count(stage.port);
    stage.world.up(&stage.env, &args);
    assert_eq!(stage.env.stream("c")["reach"], "proven");
    assert!(stage.world.counted() > 0);
    disk.fill(4096);
    let script = format!("exec yes 'a line like any other, and long enough' > /dev/tcp/{THERE}/{port}");
    let mut sender = stage.env.command("ip");
    let sender = common::Daemon::start(sender.args(["netns", "exec", &stage.world.outside, "bash", "-c", &script]));
    let full = |c: &Value| number(&c["streams"][0]["ledger"]["pending"]) >= common::disk::QUEUE;
    stage.env.wait_collector("c", "has a full queue", |c| c["state"] == "stalled" && full(c));
    let checked = stage.env.stream("c")["reach_checked"].clone();
    // Nobody would come back. One may have been asked just before.
    let begun = std::time::Instant::now();
    common::wait_until("that is over", common::SOON, || (begun.elapsed().as_secs_f64() > 1.0).then_some(()));
    let asked = stage.world.counted();
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs_f64() < 4.0 {
        let now = stage.env.snapshot("c");
        assert_eq!((&now["state"], &now["reconnects"]), (&json!("stalled"), &json!(0)), "{now}");
        let stream = &now["streams"][0];
        assert_eq!((&stream["reach"], &stream["reach_checked"]), (&json!("proven"), &checked), "{now}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(stage.world.counted(), asked, "somebody was asked");
    drop(sender);
    disk.free();
    stage.env.wait_collector("c", "asks again", |c| {
        c["state"] == "up" && c["streams"][0]["reach"] == "proven" && c["streams"][0]["reach_checked"] != checked
    });
    assert_eq!(stage.probes(1).len(), 1);
    stage.env.run(&["down", "c", "--now"]).ok();
}

#[test]
fn a_line_of_ours_that_comes_late_is_in_no_file_either() {
    let stage = Stage::new(world!(|name| World::lay(name, &["GatewayPorts yes"])), THERE);
    stage.world.count(stage.port);
    stage.up(&["--probe-every", "1s"]);
    let reach = |c: &Value| c["streams"][0]["reach"].clone();
    assert_eq!(reach(&stage.env.snapshot("c")), "proven");
    // The kernel of the jump host takes connections, and nobody there reads from them.
    let sessions = stage.world.sshd().sessions();
    for pid in &sessions {
        common::procs::signal(*pid, rustix::process::Signal::STOP);
    }
    let before = stage.world.counted();
    common::wait_until("another line is on its way", common::SOON, || (stage.world.counted() > before).then_some(()));
    let begun = std::time::Instant::now();
    common::wait_until("nobody awaits it", common::SOON, || (begun.elapsed().as_secs_f64() > 6.0).then_some(()));
    let checked = stage.env.stream("c")["reach_checked"].clone();
    for pid in &sessions {
        common::procs::signal(*pid, rustix::process::Signal::CONT);
    }
    stage.env.wait_collector("c", "is proven again", |c| {
        reach(c) == "proven" && c["streams"][0]["reach_checked"] != checked
    });
    assert_eq!(stage.env.snapshot("c")["reconnects"], 0);
    stage.ends(0);
}
