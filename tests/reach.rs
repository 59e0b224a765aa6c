//! Whether senders from outside get through, and where they are lost if not: a jump host, a client and senders on machines of
//! their own.

mod common;

use common::netns::{NAME, OUTSIDE, THERE, THERE_6, World};
use common::{Env, free_port, read_text, wait_for_text};

macro_rules! world {
    ($lay:expr) => {{
        fn inside() {}
        require!("sshd", "ip", "nft", "bash");
        let name = std::any::type_name_of_val(&inside).trim_end_matches("::inside");
        let Some(world) = $lay(name) else { return };
        world
    }};
}

#[test]
fn senders_outside_are_known_by_their_own_addresses() {
    let world = world!(|name| World::lay(name, &["GatewayPorts yes"]));
    let env = Env::new();
    world.trust(&env, NAME);
    let port = free_port();
    world.up(&env, &["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"]);
    assert!(world.send(THERE, port, "four"));
    assert!(world.send(&format!("{THERE_6}"), port, "six"));
    wait_for_text(env.path("f"), "four\n");
    wait_for_text(env.path("f"), "six\n");
    env.down("c");
    assert!(read_text(env.path("state/c/audit.jsonl")).contains(&format!("\"peer\":\"{OUTSIDE}:")));
}

#[test]
fn a_router_hands_the_ssh_port_on_and_nothing_else() {
    let world = world!(|name| World::behind_nat(name, &["GatewayPorts yes"]));
    let env = Env::new();
    world.trust(&env, THERE);
    let port = free_port();
    world.up(&env, &["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"]);
    assert!(!world.send(THERE, port, "too early"));
    world.hand_on(port);
    assert!(world.send(THERE, port, "now"));
    wait_for_text(env.path("f"), "now\n");
    env.down("c");
}
