//! `reclog doctor` where the jump host, this machine and the senders have addresses of their own.

mod common;

use common::netns::{HOME, HOME_6, NAME, THERE, THERE_6, World};
use common::{Bg, Env, Run, SOON, free_port, wait_until};
use serde_json::Value;

macro_rules! world {
    ($lay:expr) => {{
        fn inside() {}
        require!("sshd", "ip", "nft", "bash", "python3");
        let name = std::any::type_name_of_val(&inside).trim_end_matches("::inside");
        let Some(world) = $lay(name) else { return };
        world
    }};
}

fn doctor(world: &World, env: &Env, port: u16, more: &[&str]) -> Run {
    let port = port.to_string();
    let args = env.to_jump(&["doctor", "jump"], &[&["--remote-port", &port, "--out", "out"], more].concat());
    Bg::spawn(world.reclog(env, &args)).wait()
}

#[track_caller]
fn step<'a>(events: &'a [Value], name: &str) -> &'a Value {
    events.iter().find(|e| e["step"] == name).unwrap_or_else(|| panic!("no step {name}: {events:#?}"))
}

#[track_caller]
fn assert_step(events: &[Value], name: &str, verdict: &str, says: &str) {
    let step = step(events, name);
    assert_eq!(step["verdict"], verdict, "{step:#}");
    assert!(step["message"].as_str().unwrap().contains(says), "{says:?}: {step:#}");
}

/// The folder of the output, which must be as it was.
#[track_caller]
fn assert_nothing_left(world: &World, env: &Env, port: u16) {
    assert!(!env.path("work/out").exists());
    let names: Vec<_> = env.path("work").read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["no_config"]);
    wait_until("the sessions are over", SOON, || world.sshd().sessions().is_empty().then_some(()));
    let listeners =
        std::process::Command::new("ip").args(["netns", "exec", &world.jump, "ss", "-ltnH"]).output().unwrap();
    let listeners = String::from_utf8(listeners.stdout).unwrap();
    assert!(listeners.contains(":22") || listeners.contains(&world.sshd().port.to_string()), "{listeners}");
    assert!(!listeners.contains(&format!(":{port} ")), "{listeners}");
}

#[test]
fn where_everybody_gets_through_each_step_proves_it_over_both_families() {
    let world = world!(|name| World::lay(name, &["GatewayPorts clientspecified"]));
    let (env, port) = (Env::new(), free_port());
    world.trust(&env, NAME);
    let run = doctor(&world, &env, port, &["--json"]).ok();
    let events = run.events();
    let resolve = step(&events, "resolve")["message"].as_str().unwrap();
    assert!(resolve.contains(THERE) && resolve.contains(THERE_6), "{resolve}");
    let tcp = step(&events, "tcp")["message"].as_str().unwrap();
    assert!(tcp.contains(THERE) && tcp.contains(THERE_6), "{tcp}");
    assert_step(&events, "bind-address", "ok", "0.0.0.0 and ::");
    assert_step(&events, "reach", "ok", "proven");
    let seen = step(&events, "sender-address")["message"].as_str().unwrap();
    assert!(seen.starts_with("kept: ") && (seen.contains(HOME) || seen.contains(HOME_6)), "{seen}");
    assert_step(&events, "byte-in-file", "ok", "from outside");
    assert_step(&events, "throughput", "ok", "from outside");
    assert_eq!(events.last().unwrap()["verdict"], "ok", "{}", run.stdout);
    assert_nothing_left(&world, &env, port);
}

#[test]
fn one_family_that_does_not_answer_is_a_warning() {
    let world = world!(|name| World::lay(name, &["GatewayPorts clientspecified"]));
    let (env, port) = (Env::new(), free_port());
    world.trust(&env, NAME);
    world.nft(&format!(
        "add table inet f
         add chain inet f in {{ type filter hook input priority 0; }}
         add rule inet f in ip6 daddr {THERE_6} tcp dport {} reject with tcp reset",
        world.sshd().port
    ));
    let events = doctor(&world, &env, port, &["--json"]).ok().events();
    assert_step(&events, "tcp", "warning", THERE);
    assert!(step(&events, "tcp")["details"][0].as_str().unwrap().contains(THERE_6), "{events:#?}");
    assert_step(&events, "authentication", "ok", "");
}

#[test]
fn a_port_on_loopback_alone_is_a_warning_with_the_ways_out_and_bytes_go_through_inside() {
    let world = world!(|name| World::lay(name, &["GatewayPorts no"]));
    let (env, port) = (Env::new(), free_port());
    world.trust(&env, THERE);
    let events = doctor(&world, &env, port, &["--json"]).ok().events();
    assert_step(&events, "bind-address", "warning", "127.0.0.1");
    assert_step(&events, "reach", "warning", "loopback");
    let hint = step(&events, "reach")["hint"].as_str().unwrap();
    assert!(hint.contains("Match User") && hint.contains("GatewayPorts clientspecified"), "{hint}");
    assert_step(&events, "sender-address", "cannot-tell", "");
    assert_step(&events, "byte-in-file", "ok", "from the jump host itself");
    assert_eq!(events.last().unwrap()["verdict"], "warning");
    assert_nothing_left(&world, &env, port);

    let run = doctor(&world, &env, port, &[]).ok();
    assert!(run.stdout.contains("\n! reach ") && run.stdout.contains("\n        Match User "), "{}", run.stdout);
}

#[test]
fn a_firewall_is_found() {
    let world = world!(|name| World::lay(name, &["GatewayPorts clientspecified"]));
    let (env, port) = (Env::new(), free_port());
    world.trust(&env, THERE);
    world.guard(port, "drop");
    let events = doctor(&world, &env, port, &["--json"]).ok().events();
    assert_step(&events, "bind-address", "ok", "0.0.0.0");
    assert_step(&events, "reach", "warning", "");
    assert!(step(&events, "reach")["hint"].is_string(), "{events:#?}");
    assert_step(&events, "byte-in-file", "ok", "from the jump host itself");
}

#[test]
fn a_collector_that_runs_says_what_it_has_proven() {
    let world = world!(|name| World::lay(name, &["GatewayPorts clientspecified"]));
    let (env, port) = (Env::new(), free_port());
    world.trust(&env, THERE);
    let text = port.to_string();
    world.up(&env, &["--remote-port", &text, "--out", &env.arg("f"), "--name", "c"]);
    env.wait_collector("c", "is proven", |c| c["streams"][0]["reach"] == "proven");
    let events = doctor(&world, &env, port, &["--json"]).ok().events();
    assert_step(&events, "reach", "ok", &format!("port {port}: the collector \"c\" says proven"));
    assert_step(&events, "forward", "ok", "chosen by the jump host");
    env.down("c");
}

#[test]
fn a_collector_that_runs_says_why_nobody_gets_through_and_what_to_do() {
    let world = world!(|name| World::lay(name, &["GatewayPorts no"]));
    let env = Env::new();
    world.trust(&env, THERE);
    let held = |more: &[&str], reach: &str, look: &dyn Fn(&[Value], u16)| {
        let port = free_port();
        let args = ["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"];
        world.up(&env, &[&args[..], more].concat());
        let known =
            |s: &Value| s["reach"] == reach && (reach == "proven" || !more.is_empty() || s["finding"].is_object());
        env.wait_collector("c", "has looked", |c| known(&c["streams"][0]));
        look(&doctor(&world, &env, port, &["--json"]).ok().events(), port);
        env.down("c");
    };
    held(&[], "loopback-only", &|events, port| {
        assert_step(events, "reach", "warning", &format!("port {port}: the collector \"c\" says loopback-only"));
        assert_step(events, "reach", "warning", "s ago: ");
        let hint = step(events, "reach")["hint"].as_str().unwrap();
        assert!(hint.contains("Match User") && hint.contains("GatewayPorts clientspecified"), "{hint}");
        assert_step(events, "bind-address", "warning", "127.0.0.1");
    });
    held(&["--bind", "127.0.0.1"], "loopback-only", &|events, _| {
        assert_step(events, "reach", "ok", "as asked for (127.0.0.1)");
    });
    held(&["--relay"], "proven", &|events, port| {
        assert_step(events, "reach", "ok", "says proven");
        assert_step(events, "bind-address", "ok", "for the port that is examined");
        assert!(step(events, "bind-address")["details"].to_string().contains(&format!("port {port} of the collector")));
    });
}
