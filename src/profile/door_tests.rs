//! Where senders come in: what the keys and flags mean, exclude and need.

use super::*;

#[test]
fn doors_mean_what_they_say() {
    let home = Home::new(&[("doors", DOORS), ("places", PLACES), ("quiet", "target: jump\nno_probe: true")]);
    let plan = home.up(&flags("doors")).unwrap();
    assert_eq!(plan.probe_every, Some(Duration::from_secs(90)));
    let [udp, far, local, tcp] = &plan.streams[..] else { panic!("four streams") };
    assert_eq!((&udp.transport, udp.relay, udp.port), (&Transport::TcpAndUdp, Relay::Auto, 514));
    assert_eq!((&far.transport, far.relay, far.bind.as_str()), (&Transport::Tcp, Relay::Always, "192.0.2.7"));
    assert_eq!(local.transport, Transport::Unix("/run/user/1000/a b.sock".into()));
    assert_eq!((local.bind.as_str(), local.port, local.relay), ("", 0, Relay::Never));
    assert_eq!((&tcp.transport, tcp.relay), (&Transport::Tcp, Relay::Never));
    let plan = home.up(&flags("places")).unwrap();
    let transports: Vec<_> = plan.streams.iter().map(|s| s.transport.clone()).collect();
    let unix = Transport::Unix("/run/x".into());
    assert_eq!(
        transports,
        [Transport::Tcp, Transport::Udp, Transport::Udp, unix],
        "TCP and UDP ports of one number do not meet"
    );
    assert_eq!((plan.streams[2].bind.as_str(), plan.probe_every), ("::1", None));
    assert_eq!(home.up(&Overrides { remote_port: Some(1), ..complete("quiet") }).unwrap().probe_every, None);
    assert_eq!(home.up(&complete("jump")).unwrap().probe_every, Some(DEFAULT_PROBE_EVERY));
}

#[test]
fn flags_about_doors_override_the_profile() {
    let home = Home::new(&[("tremplin", TREMPLIN), ("quiet", "target: jump\nno_probe: true")]);
    let plan = home.up(&Overrides { relay: true, no_probe: true, ..flags("tremplin") }).unwrap();
    assert_eq!((plan.streams[0].relay, plan.streams[1].relay), (Relay::Always, Relay::Never));
    assert_eq!(plan.probe_every, None);
    let every = Overrides { probe_every: Some("2m".into()), ..complete("quiet") };
    assert_eq!(home.up(&every).unwrap().probe_every, Some(Duration::from_secs(120)), "what is typed wins");
    for given in [
        Overrides { relay: true, ..Overrides::default() },
        Overrides { no_probe: true, ..Overrides::default() },
        Overrides { probe_every: Some("1m".into()), ..Overrides::default() },
    ] {
        let error = resolve_listen("unix:/run/x", &Overrides { out: vec!["/tmp/x".into()], ..given }).unwrap_err();
        assert!(error.message.contains("is about SSH, and `listen` uses none"), "{error:?}");
    }
    let wrong = |every: &str| home.refused(&Overrides { probe_every: Some(every.into()), ..complete("jump") });
    for every in ["0", "soon", "10ms", "8d"] {
        assert!(wrong(every).starts_with("--probe-every: "), "{every}: {}", wrong(every));
    }
}

#[test]
fn doors_that_do_not_fit_are_refused_with_their_place() {
    let cases = [
        "target: jump\nstreams:\n  main: { remote_socket: /x, remote_port: 1, out: /a }",
        "target: jump\nstreams:\n  main: { remote_socket: /x, bind: '*', out: /a }",
        "target: jump\nstreams:\n  main: { remote_socket: /x, relay: auto, out: /a }",
        "target: jump\nstreams:\n  main: { remote_socket: /x, udp: true, out: /a }",
        "target: jump\nstreams:\n  main: { remote_socket: x, out: /a }",
        "streams:\n  main: { listen: 1, remote_socket: /x, out: /a }",
        "streams:\n  main: { listen: 1, relay: auto, out: /a }",
        "streams:\n  main: { listen: 1, udp: true, out: /a }",
        "target: jump\nstreams:\n  main: { remote_port: 1, udp: true, out: /a }",
        "target: jump\nstreams:\n  main: { remote_port: 1, relay: sometimes, out: /a }",
        "target: jump\nstreams:\n  main: { remote_port: 1, relay: always, bind: localhost, out: /a }",
        "target: jump\nstreams:\n  a: { remote_socket: /x, out: /a }\n  b: { remote_socket: /y/../x, out: /b }",
        "streams:\n  a: { listen: 'udp:1', out: /a }\n  b: { listen: 'udp:1', out: /b }",
        "no_probe: true\nstreams:\n  main: { listen: 1, out: /a }",
        "target: jump\nno_probe: true\nprobe_every: 1m\nstreams:\n  main: { remote_port: 1, out: /a }",
        "target: jump\nprobe_every: 0\nstreams:\n  main: { remote_port: 1, out: /a }",
    ];
    let all = cases.map(|text| {
        let error = Home::new(&[("p", text)]).refused(&flags("p"));
        error.replace("cannot use the profile …/config/profiles/p.yaml: ", "")
    });
    insta::assert_snapshot!(all.join("\n"), @r"
    line 3, column 30: `remote_port` and `remote_socket` exclude each other
    hint: a socket is for programs on the jump host itself, a port for everybody who reaches it
    line 3, column 30: `bind` and `remote_socket` exclude each other
    hint: a socket is for programs on the jump host itself, a port for everybody who reaches it
    line 3, column 30: `relay` and `remote_socket` exclude each other
    hint: a socket is for programs on the jump host itself, a port for everybody who reaches it
    line 3, column 30: `udp` and `remote_socket` exclude each other
    hint: a socket is for programs on the jump host itself, a port for everybody who reaches it
    line 3, column 26: `x` cannot be a socket: its path does not begin with /
    line 2, column 22: `remote_socket` and `listen` exclude each other
    hint: `listen: unix:/PATH` is a socket of this machine, `remote_socket` one of the jump host
    line 2, column 22: `relay` and `listen` exclude each other
    hint: `listen: HOST:PORT` is a port of this machine, `remote_port` one of the jump host
    line 2, column 22: `udp` and `listen` exclude each other
    hint: `listen: udp:HOST:PORT` takes datagrams on this machine
    line 3, column 27: `udp` needs a relay: SSH forwards no datagrams
    hint: add `relay: auto`, if python3 or perl is on the jump host
    line 3, column 34: `relay` is one of never, auto, always, not `sometimes`
    line 3, column 27: a relay is for addresses that sshd does not bind, and a loopback address is not one
    hint: leave out `relay`, or `bind`
    line 4, column 3: the streams `a` and `b` have the same socket
    line 3, column 3: the streams `a` and `b` have the same port: *:1 and *:1
    line 1, column 1: `no_probe` is about jump hosts, and this profile listens here
    line 2, column 1: `no_probe` and `probe_every` exclude each other
    line 2, column 14: 0 is no time between two probes; `no_probe: true` turns them off
    ");
    let home = Home::new(&[("p", "target: jump\nstreams: { main: { remote_socket: /x, out: /a } }")]);
    for given in [
        Overrides { remote_port: Some(1), ..flags("p") },
        Overrides { bind: Some("*".into()), ..flags("p") },
        Overrides { relay: true, ..flags("p") },
    ] {
        let error = home.refused(&given);
        assert!(error.contains("is about a port, and the stream `main`"), "{error}");
    }
}

#[test]
fn check_says_where_senders_come_in() {
    let home = Home::new(&[("doors", DOORS), ("places", PLACES)]);
    let said = |name: &str| {
        let checked = crate::profile::check(name, &home.paths).unwrap();
        let rows = checked.text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let wanted = |row: &String| ["senders ", "relay ", "probe_every "].iter().any(|w| row.starts_with(w));
        rows.filter(wanted).collect::<Vec<_>>()
    };
    assert_eq!(
        said("doors"),
        [
            "probe_every 1m30s",
            "senders port 514 on all interfaces of the jump host, TCP and UDP",
            "relay auto",
            "senders 192.0.2.7:515 of the jump host",
            "relay always",
            "senders unix:/run/user/1000/a b.sock of the jump host",
            "senders port 516 on all interfaces of the jump host",
        ]
    );
    assert_eq!(
        said("places"),
        [
            "senders port 5514 on all interfaces of this machine",
            "senders port 5514 on all interfaces of this machine, UDP",
            "senders a port that this machine chooses, on ::1, UDP",
            "senders unix:/run/x of this machine",
        ]
    );
}
