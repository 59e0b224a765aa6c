//! Whether senders from outside get through, and where they are lost if not: a jump host, a client and senders on machines of
//! their own.

mod common;

use common::netns::{HOME, HOME_6, INNER, NAME, OUTSIDE, THERE, THERE_6, World};
use common::snapshot::number;
use common::{Bg, Collector, Env, Run, free_port, read_text, wait_for_text};
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
        assert_eq!(stage.audit("probe").len(), 1);
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
    for text in ["--relay", "Match User root\n", "GatewayPorts clientspecified", "systemctl reload"] {
        assert!(run.stderr.contains(text), "{text}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("not told"), "{}", run.stderr);
    let now = stage.env.snapshot("c");
    assert_eq!((&now["state"], &now["streams"][0]["reach"]), (&json!("up"), &json!("loopback-only")));
    let health = now["health"][0].as_str().unwrap();
    assert!(health.contains("stream main") && health.contains("GatewayPorts no"), "{health}");
    assert_eq!(stage.audit("probe")[0]["reach"], "loopback-only");
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
        stage.ends(0);
    }
}
