//! Every place where senders are lost, from the answers that it gives.

use super::super::facts::Firewall;
use super::*;

const V4: &str = "203.0.113.1";
const V6: &str = "2001:db8::1";
const INNER: &str = "10.0.0.5";
const PORT: u16 = 514;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn to(address: &str, outcome: Outside) -> Attempt {
    Attempt { address: Some(ip(address)), outcome }
}

fn back() -> Outside {
    Outside::CameBack { seen_as: "198.51.100.7:4711".into() }
}

fn not_asked() -> Outside {
    Outside::NotAsked("this machine has no IPv6".into())
}

/// A shell tells that somebody listens at these places, and that the machine has these addresses.
fn facts(listeners: &[&str], addresses: &[&str]) -> Facts {
    Facts {
        listeners: Some(listeners.iter().map(|at| (ip(at), PORT).into()).collect()),
        addresses: (!addresses.is_empty()).then(|| addresses.iter().map(|at| ip(at)).collect()),
        ..Facts::default()
    }
}

/// What came from outside, what own addresses answered, what a shell told.
type Case<'a> = (Outside, &'a [(&'a str, Door)], &'a Facts);

const OURS: Doors = Doors { v4: Door::Ours, v6: Door::Ours };
const SILENT: Doors = Doors { v4: Door::CannotTell, v6: Door::CannotTell };

fn judged(outside: &[Attempt], doors: Doors, own: &[(&str, Door)], facts: &Facts) -> Finding {
    let own: Vec<_> = own.iter().map(|(at, door)| (ip(at), *door)).collect();
    let doors = Some(doors);
    let (ssh, before) = (Some("-p 2222 me@jump"), Families::default());
    judge(&Evidence { host: "jump", user: "me", ssh, port: PORT, outside, doors, own: &own, facts, before })
}

/// The same for an account that runs no commands.
fn judged_mute(outside: &[Attempt], doors: Doors, own: &[(&str, Door)]) -> Finding {
    let own: Vec<_> = own.iter().map(|(at, door)| (ip(at), *door)).collect();
    let (doors, facts, before) = (Some(doors), &Facts::default(), Families::default());
    judge(&Evidence { host: "jump", user: "me", ssh: None, port: PORT, outside, doors, own: &own, facts, before })
}

/// The same where these families came back before.
fn judged_again(outside: &[Attempt], before: Families) -> Finding {
    let (ssh, doors, facts) = (Some("me@jump"), Some(OURS), &Facts::default());
    judge(&Evidence { host: "jump", user: "me", ssh, port: PORT, outside, doors, own: &[], facts, before })
}

fn remedies(finding: &Finding) -> String {
    finding.remedies.join("\n")
}

#[test]
fn what_comes_back_is_proven_and_nothing_else_is_said() {
    let finding = judged(&[to(V4, back()), to(V6, back())], OURS, &[], &Facts::default());
    let seen_as = Some("198.51.100.7:4711".into());
    let through = Families { v4: true, v6: true };
    assert_eq!(finding, Finding { reach: Reach::Proven, seen_as, through, ..Finding::default() });
    let finding = judged(&[to(V4, back()), to(V6, not_asked())], OURS, &[], &Facts::default());
    assert_eq!((finding.reach, finding.notes.len()), (Reach::Proven, 0), "what was not asked is no trouble");
}

#[test]
fn what_another_program_hands_on_is_not_proven() {
    let handed_on = |from: &str| Outside::CameBack { seen_as: std::net::SocketAddr::new(ip(from), 4711).to_string() };
    let own = facts(&["127.0.0.1", V4], &[V4, INNER]);
    let none = Facts::default();
    let arrived = Facts { arrived_at: Some(ip(INNER)), ..Facts::default() };
    for (from, facts) in
        [("127.0.0.1", &none), ("::1", &none), (V4, &none), (V4, &own), (INNER, &own), (INNER, &arrived)]
    {
        let finding = judged(&[to(V4, handed_on(from))], OURS, &[(V4, Door::Ours)], facts);
        assert_eq!((finding.reach, finding.has_failed()), (Reach::Unproven, true), "{from}: {finding:?}");
        assert!(finding.why.contains("another program on jump hands connections on"), "{finding:?}");
        assert!(remedies(&finding).contains("ss -ltnp 'sport = :514'"), "{finding:?}");
        assert!(finding.seen_as.is_some() && finding.through.is_none(), "{finding:?}");
    }
    // A router in front that puts its own address in the place of the sender's is no program there.
    let router = judged(&[to(V4, handed_on(V4))], OURS, &[], &facts(&["0.0.0.0"], &[INNER]));
    assert_eq!((router.reach, router.why.as_str()), (Reach::Proven, ""));
    // One family is handed on, the other comes in by itself.
    let half = judged(&[to(V4, handed_on("127.0.0.1")), to(V6, back())], OURS, &[], &none);
    assert_eq!((half.reach, half.through), (Reach::Proven, Families { v4: false, v6: true }));
    assert!(half.why.contains("over IPv4 another program hands connections on there"), "{half:?}");
    assert!(remedies(&half).contains("ss -ltnp"), "{half:?}");
}

#[test]
fn a_family_that_does_not_get_through_is_a_note_with_a_way_out() {
    let note = |lost: Attempt, came: &str, facts: &Facts| {
        let finding = judged(&[lost, to(came, back())], OURS, &[], facts);
        assert_eq!((finding.reach, finding.why.as_str()), (Reach::Proven, ""));
        (finding.notes.join("; "), remedies(&finding))
    };
    let silent = Facts::default();
    let four = "senders get to jump:514 over IPv4 alone: over IPv6 ";
    let (said, way) = note(to(V6, Outside::NoAnswer), V4, &silent);
    assert_eq!(said, format!("{four}[{V6}] does not answer"));
    assert!(way.contains("ip6tables -I INPUT"), "{way}");
    let (said, way) = note(to(V6, Outside::Refused), V4, &facts(&["0.0.0.0"], &[]));
    assert_eq!(said, format!("{four}[{V6}] refuses the connection, and the port is not open over IPv6"));
    assert!(way.contains("AddressFamily any") && way.contains("reclog kick NAME"), "{way}");
    let (away, way) = note(to("203.0.113.2", Outside::NoAnswer), V4, &silent);
    assert_eq!(
        (away.as_str(), way.as_str()),
        ("jump has an address that does not lead there: 203.0.113.2 does not answer", "")
    );
}

#[test]
fn a_family_that_another_program_takes_is_trouble_though_the_port_is_proven() {
    for (address, taken, twin) in [(V4, "IPv4", "IPv6"), (V6, "IPv6", "IPv4")] {
        let other = if address == V4 { V6 } else { V4 };
        let attempts = [to(address, Outside::Other), to(other, back())];
        let finding = judged(&attempts, OURS, &[(address, Door::Other)], &Facts::default());
        assert_eq!(finding.reach, Reach::Proven);
        let sentence =
            format!("senders get to jump:514 over {twin} alone: over {taken} another program has the port there");
        assert_eq!((finding.why, finding.notes.len()), (sentence, 0));
        assert!(finding.remedies.concat().contains("sudo ss -ltnp 'sport = :514'"), "{:?}", finding.remedies);
    }
}

#[test]
fn a_family_that_came_through_before_and_does_not_is_trouble() {
    let attempts = [to(V4, back()), to(V6, Outside::NoAnswer)];
    let (four, six) = (Families { v4: true, v6: false }, Families { v4: true, v6: true });
    assert_eq!(judged_again(&attempts, four).why, "");
    let lost = judged_again(&attempts, six);
    assert_eq!((lost.reach, lost.through, lost.notes.len()), (Reach::Proven, four, 0));
    assert!(lost.why.contains("over IPv4 alone: over IPv6") && lost.has_failed(), "{lost:?}");
    // One that was not even asked is no news.
    assert_eq!(judged_again(&[to(V4, back()), to(V6, not_asked())], six).why, "");
}

#[test]
fn a_slow_way_is_not_loopback_alone() {
    let none = Facts::default();
    for (outcome, own) in
        [(Outside::Other, Door::Late), (Outside::NoAnswer, Door::Late), (Outside::Other, Door::Nobody)]
    {
        let finding = judged(&[to(V4, outcome)], OURS, &[(V4, own)], &none);
        assert_eq!(finding.reach, Reach::Unproven, "{finding:?}");
        assert!(!finding.why.contains("GatewayPorts no)"), "{finding:?}");
    }
    let taken = judged(&[to(V4, Outside::Other)], OURS, &[(V4, Door::Late)], &none);
    assert!(taken.untold.iter().any(|u| u.contains("no answer came in time")), "{taken:?}");
    assert!(!taken.untold.iter().any(|u| u.contains("PermitOpen")), "nothing forbids it: {taken:?}");
    assert!(taken.why.starts_with("203.0.113.1 takes the connection, and our line does not come back"), "{taken:?}");
    assert!(!remedies(&taken).contains("GatewayPorts"), "it is open to others: {taken:?}");
}

#[test]
fn an_account_that_runs_no_commands_is_told_of_gateway_ports_and_of_no_shell_or_relay() {
    let finding = judged_mute(&[to(V4, Outside::Refused)], OURS, &[(V4, Door::Nobody)]);
    let [sshd] = &finding.remedies[..] else { panic!("{finding:?}") };
    assert!(sshd.starts_with("let its sshd") && sshd.contains("GatewayPorts clientspecified"), "{sshd}");
    // Where not even that can be told, it comes first all the same.
    for outcome in [Outside::Refused, Outside::NoAnswer] {
        let finding = judged_mute(&[to(V4, outcome)], SILENT, &[(V4, Door::CannotTell)]);
        assert_eq!(finding.reach, Reach::Unproven);
        assert!(finding.why.contains("GatewayPorts no"), "{finding:?}");
        let [sshd, firewall, look] = &finding.remedies[..] else { panic!("{finding:?}") };
        assert!(sshd.contains("\n  Match User me\n    GatewayPorts clientspecified\n"), "{sshd}");
        assert!(firewall.contains("iptables -I INPUT") && look.contains("ss -ltn "), "{finding:?}");
        assert!(!remedies(&finding).contains("ssh me@") && !remedies(&finding).contains("--relay"), "{finding:?}");
    }
}

#[test]
fn a_port_on_loopback_alone_is_known_with_a_shell_and_without() {
    let shell = facts(&["127.0.0.1", "::1"], &[V4]);
    let none = Facts::default();
    let cases: [Case; 6] = [
        (Outside::Refused, &[(V4, Door::Nobody)], &shell),
        (Outside::NoAnswer, &[(V4, Door::Nobody)], &shell),
        (Outside::Refused, &[(V4, Door::CannotTell)], &shell),
        (not_asked(), &[], &shell),
        (Outside::Refused, &[(V4, Door::Nobody)], &none),
        (Outside::NoAnswer, &[(V4, Door::Nobody)], &none),
    ];
    for (outcome, own, facts) in cases {
        let finding = judged(&[to(V4, outcome)], OURS, own, facts);
        assert_eq!(finding.reach, Reach::LoopbackOnly, "{finding:?}");
        assert!(finding.why.contains("GatewayPorts no"), "{finding:?}");
        let [relay, sshd] = &finding.remedies[..] else { panic!("{finding:?}") };
        assert!(
            relay.contains("`reclog down NAME`") && relay.contains("--relay") && relay.contains("relay: auto"),
            "{relay}"
        );
        assert!(sshd.contains("\n  Match User me\n    GatewayPorts clientspecified\n"), "{sshd}");
        assert!(sshd.ends_with("\n  reclog kick NAME"), "a session keeps its configuration: {sshd}");
        assert_eq!(finding.untold.iter().any(|u| u.contains("NAT")), facts.addresses.is_none(), "{finding:?}");
    }
}

#[test]
fn loopback_alone_is_not_concluded_from_silence() {
    for (doors, own) in [
        (OURS, &[][..]),
        (OURS, &[(V4, Door::CannotTell)]),
        (SILENT, &[(V4, Door::CannotTell)]),
        (SILENT, &[(V4, Door::Nobody)]),
    ] {
        let finding = judged(&[to(V4, Outside::Refused)], doors, own, &Facts::default());
        assert_eq!(finding.reach, Reach::Unproven, "{finding:?}");
        assert!(finding.why.contains("refuses") && finding.why.contains("cannot be told"), "{finding:?}");
        assert!(finding.has_failed() && remedies(&finding).contains("ss -ltn"), "{finding:?}");
        let asked = own.first().is_some_and(|(_, door)| *door == Door::CannotTell);
        assert!(!asked || finding.untold.iter().any(|u| u.contains("PermitOpen")), "{finding:?}");
        assert!(finding.untold.iter().any(|u| u.contains("runs no commands")), "{finding:?}");
    }
}

#[test]
fn a_firewall_stands_before_a_port_that_is_open() {
    let told = facts(&["0.0.0.0", "::"], &[V4, V6]);
    for (own, facts) in [(&[(V4, Door::Ours)][..], &Facts::default()), (&[], &told), (&[(V4, Door::Ours)], &told)] {
        for (outcome, words) in [
            (Outside::NoAnswer, "does not answer"),
            (Outside::Refused, "refuses"),
            (Outside::Unreachable("No route to host".into()), "No route to host"),
        ] {
            let silent = outcome == Outside::NoAnswer;
            let finding = judged(&[to(V4, outcome)], OURS, own, facts);
            assert_eq!(finding.reach, Reach::Unproven);
            assert!(finding.why.contains("firewall or security group") && finding.why.contains(words), "{finding:?}");
            assert!(remedies(&finding).contains("security group"), "{finding:?}");
            let untold = finding.untold.iter().any(|u| u.contains("the network of this machine"));
            assert_eq!(untold, silent, "{finding:?}");
        }
    }
}

#[test]
fn a_firewall_is_opened_by_its_own_command() {
    for (guard, line) in [
        (Some(Firewall::Ufw), "  sudo ufw allow 514/tcp"),
        (Some(Firewall::Firewalld), "  sudo firewall-cmd --permanent --add-port=514/tcp\n  sudo firewall-cmd --reload"),
        (Some(Firewall::Nft), "  sudo nft insert rule inet filter input tcp dport 514 accept\n"),
        (Some(Firewall::Iptables), "  sudo iptables -I INPUT -p tcp --dport 514 -j ACCEPT\n  sudo ip6tables -I"),
        (None, "or what its firewall has for that:\n  sudo iptables -I INPUT"),
    ] {
        let facts = Facts { firewalls: guard.into_iter().collect(), ..facts(&["0.0.0.0", "::"], &[V4, V6]) };
        let lost = [to(V4, Outside::NoAnswer), to(V6, Outside::NoAnswer)];
        let finding = judged(&lost, OURS, &[(V4, Door::Ours)], &facts);
        assert!(remedies(&finding).contains(line), "{finding:?}");
        assert!(remedies(&finding).contains("(ssh -p 2222 me@jump)"), "{finding:?}");
    }
}

#[test]
fn an_address_that_is_not_its_own_is_that_of_a_router() {
    let told = facts(&["0.0.0.0"], &[INNER, "2001:db8:9::5"]);
    for outcome in [Outside::NoAnswer, Outside::Refused, Outside::Other] {
        for own in [&[(V4, Door::Nobody), (INNER, Door::Ours)][..], &[(V4, Door::CannotTell)]] {
            let finding = judged(&[to(V4, outcome.clone())], OURS, own, &told);
            assert!(finding.why.contains("NAT") && finding.why.contains("(10.0.0.5 is)"), "{finding:?}");
            assert!(remedies(&finding).contains("hand TCP port 514 on to 10.0.0.5"), "{finding:?}");
        }
    }
    // Behind NAT and on loopback alone: that comes first.
    let finding = judged(&[to(V4, Outside::Refused)], OURS, &[], &facts(&["127.0.0.1"], &[INNER]));
    assert_eq!(finding.reach, Reach::LoopbackOnly);
}

#[test]
fn another_program_is_named_with_the_command_that_shows_it() {
    let other = [(V4, Door::Other)];
    for facts in [facts(&["203.0.113.1"], &[V4]), Facts::default()] {
        let finding = judged(&[to(V4, Outside::Other)], SILENT, &other, &facts);
        assert!(finding.why.contains("another program on jump answers on port 514 (203.0.113.1)"), "{finding:?}");
        assert!(remedies(&finding).contains("sudo ss -ltnp 'sport = :514'"), "{finding:?}");
        assert!(remedies(&finding).contains("--remote-port"), "{finding:?}");
    }
    let both = judged(&[to(V4, Outside::Other)], OURS, &other, &facts(&["127.0.0.1", V4], &[V4]));
    assert_eq!(both.reach, Reach::LoopbackOnly, "what listens there for others is not ours");
    assert!(both.why.contains("another program") && remedies(&both).contains("ss -ltnp"), "{both:?}");
}

#[test]
fn what_nobody_asked_is_said_to_be_unproven_and_no_failure() {
    let attempt = [to("127.0.0.1", Outside::NotAsked("127.0.0.1 is this very machine".into()))];
    let finding = judged(&attempt, OURS, &[], &facts(&["0.0.0.0"], &[]));
    assert_eq!((finding.reach, finding.has_failed()), (Reach::Unproven, false));
    assert!(
        finding.why.starts_with("127.0.0.1 is this very machine") && finding.why.contains("open on jump"),
        "{finding:?}"
    );
    let finding = judged(&attempt, SILENT, &[], &Facts::default());
    assert_eq!(finding.why, "127.0.0.1 is this very machine");
}

#[test]
fn no_verdict_fails_without_a_way_out_and_none_is_too_wide() {
    let outcomes =
        [back(), Outside::Refused, Outside::NoAnswer, Outside::Unreachable("x".into()), Outside::Other, not_asked()];
    let doors = [Door::Ours, Door::Other, Door::Nobody, Door::CannotTell, Door::Late];
    let told = [Facts::default(), facts(&["127.0.0.1"], &[V4]), facts(&["0.0.0.0"], &[V4]), facts(&[], &[INNER])];
    for outcome in &outcomes {
        for v4 in doors {
            for own in doors {
                for facts in &told {
                    let attempts = [to(V4, outcome.clone())];
                    let finding = judged(&attempts, Doors { v4, v6: Door::Absent }, &[(V4, own)], facts);
                    let proven = matches!(outcome, Outside::CameBack { .. });
                    assert_eq!(finding.reach == Reach::Proven, proven);
                    assert_eq!(finding.why.is_empty(), proven, "{finding:?}");
                    assert!(!attempts[0].failed() || finding.has_failed(), "{finding:?}");
                    let wide = finding.remedies.iter().flat_map(|r| r.lines().skip(1)).find(|line| line.len() > 74);
                    assert_eq!(wide, None);
                }
            }
        }
    }
}
