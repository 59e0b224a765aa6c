use proptest::prelude::*;

use super::*;

/// The words of a line: time, host, app, pid, msgid, message.
type Words = [&'static str; 6];

/// `-` stands for nothing.
fn words(line: &str) -> [String; 6] {
    let Message { time, host, app, pid, msgid, message, .. } = parse(line).unwrap_or_else(|| panic!("{line}"));
    [time, host, app, pid, msgid, Some(message)].map(|word| word.unwrap_or("-").to_owned())
}

#[test]
fn a_priority_is_a_number_up_to_191_in_brackets() {
    assert_eq!(priority(b"<0>"), Some((0, 3)));
    assert_eq!(priority(b"<191>x"), Some((191, 5)));
    assert_eq!(priority(b"<013>x"), Some((13, 5)));
    for none in ["", "<", "<>", "<192>", "<999>", "<1000>", "<1", "<1 >", "<-1>", "x<1>", " <1>", "<1a>"] {
        assert_eq!(priority(none.as_bytes()), None, "{none}");
        assert_eq!(parse(none), None, "{none}");
    }
    let said = parse("<165>x").unwrap();
    assert_eq!((said.facility(), said.severity()), (20, 5));
}

/// Lines as they are found.
const LINES: &[(&str, Words)] = &[
    // RFC 5424, section 6.5.
    (
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick on /dev/pts/8",
        [
            "2003-10-11T22:14:15.003Z",
            "mymachine.example.com",
            "su",
            "-",
            "ID47",
            "'su root' failed for lonvick on /dev/pts/8",
        ],
    ),
    (
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
        ["2003-08-24T05:14:15.000003-07:00", "192.0.2.1", "myproc", "8710", "-", "%% It's time to make the do-nuts."],
    ),
    (
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"][examplePriority@32473 class=\"high\"]",
        ["2003-10-11T22:14:15.003Z", "mymachine.example.com", "evntslog", "-", "ID47", ""],
    ),
    ("<13>1 - - - - - -", ["-", "-", "-", "-", "-", ""]),
    ("<13>1 - - - - - - ", ["-", "-", "-", "-", "-", ""]),
    // Structured data that cannot be read is message; the rest stands.
    ("<13>1 - h a - - [x y=\"z] m", ["-", "h", "a", "-", "-", "[x y=\"z] m"]),
    ("<13>1 - h a - - no data", ["-", "h", "a", "-", "-", "no data"]),
    // logger --rfc5424, and --rfc3164.
    (
        "<13>1 2026-11-21T00:41:28.123456+00:00 web1 app - - [timeQuality tzKnown=\"1\" isSynced=\"0\"] counted",
        ["2026-11-21T00:41:28.123456+00:00", "web1", "app", "-", "-", "counted"],
    ),
    ("<13>Nov 21 00:41:28 web1 app: a line", ["Nov 21 00:41:28", "web1", "app", "-", "-", "a line"]),
    ("<13>Nov 21 00:41:28 web1 app[4711]: a line", ["Nov 21 00:41:28", "web1", "app", "4711", "-", "a line"]),
    // syslog(3), which leaves the machine out.
    (
        "<86>Nov  1 00:41:28 sshd[912]: Accepted publickey for log",
        ["Nov  1 00:41:28", "-", "sshd", "912", "-", "Accepted publickey for log"],
    ),
    ("<13>Nov 21 00:41:28 root: x", ["Nov 21 00:41:28", "-", "root", "-", "-", "x"]),
    // RSYSLOG_TraditionalForwardFormat, RSYSLOG_ForwardFormat, RSYSLOG_SyslogProtocol23Format.
    (
        "<38>Nov 21 00:41:28 web1 systemd[1]: Started Session 5.",
        ["Nov 21 00:41:28", "web1", "systemd", "1", "-", "Started Session 5."],
    ),
    (
        "<38>2026-11-21T00:41:28.123456+00:00 web1 systemd[1]: Started.",
        ["2026-11-21T00:41:28.123456+00:00", "web1", "systemd", "1", "-", "Started."],
    ),
    (
        "<13>1 2026-11-21T00:41:28.123456+00:00 web1 numbered - - -  n000001",
        ["2026-11-21T00:41:28.123456+00:00", "web1", "numbered", "-", "-", " n000001"],
    ),
    (
        "<22>Nov 21 00:41:28 mx1 postfix/smtpd[7]: connect from unknown[192.0.2.9]",
        ["Nov 21 00:41:28", "mx1", "postfix/smtpd", "7", "-", "connect from unknown[192.0.2.9]"],
    ),
    // RFC 3164, section 5.4, and machines that are named by address.
    (
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        ["Oct 11 22:14:15", "mymachine", "su", "-", "-", "'su root' failed for lonvick on /dev/pts/8"],
    ),
    ("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", ["Feb  5 17:32:18", "10.0.0.99", "-", "-", "-", "Use the BFG!"]),
    ("<13>Feb  5 17:32:18 fe80::1 app: x", ["Feb  5 17:32:18", "fe80::1", "app", "-", "-", "x"]),
    (
        "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's",
        ["Aug 24 05:34:00", "CST", "-", "-", "-", "1987 mymachine myproc[10]: %% It's"],
    ),
    // Years, parts of a second, zones.
    ("<13>Nov 21 2026 00:41:28 fw1 app: x", ["Nov 21 2026 00:41:28", "fw1", "app", "-", "-", "x"]),
    (
        "<13>2026 Nov 21 00:41:28 UTC: %ETHPORT-5-IF_UP: up",
        ["2026 Nov 21 00:41:28 UTC", "-", "%ETHPORT-5-IF_UP", "-", "-", "up"],
    ),
    ("<13>Nov 21 00:41:28.123 sw1 app: x", ["Nov 21 00:41:28.123", "sw1", "app", "-", "-", "x"]),
    ("<13>Nov 21 00:41:28 2026 sw1 app: x", ["Nov 21 00:41:28 2026", "sw1", "app", "-", "-", "x"]),
    ("<13>Nov 21 00:41:28 PARIS app: x", ["Nov 21 00:41:28", "PARIS", "app", "-", "-", "x"]),
    // Cisco.
    (
        "<166>Nov 21 2026 00:41:28: %ASA-6-302013: Built outbound TCP",
        ["Nov 21 2026 00:41:28", "-", "%ASA-6-302013", "-", "-", "Built outbound TCP"],
    ),
    (
        "<166>Nov 21 2026 00:41:28 fw01 : %ASA-6-302013: Built",
        ["Nov 21 2026 00:41:28", "fw01", "%ASA-6-302013", "-", "-", "Built"],
    ),
    (
        "<189>123: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured",
        ["Mar  1 18:46:11.123", "-", "%SYS-5-CONFIG_I", "-", "-", "Configured"],
    ),
    (
        "<189>29: router1: Mar  1 18:46:11.123 CET: %SYS-5-CONFIG_I: Configured",
        ["Mar  1 18:46:11.123 CET", "router1", "%SYS-5-CONFIG_I", "-", "-", "Configured"],
    ),
    ("<189>29: no time", ["-", "-", "-", "-", "-", "29: no time"]),
    // VMware, Palo Alto, MikroTik, Fortinet, Windows.
    (
        "<166>2026-11-21T00:41:28.123Z esx01 Hostd: info hostd[2099] [Originator@6876 sub=Vimsvc]",
        ["2026-11-21T00:41:28.123Z", "esx01", "Hostd", "-", "-", "info hostd[2099] [Originator@6876 sub=Vimsvc]"],
    ),
    (
        "<14>Nov 21 00:41:28 PA-220 1,2026/11/21 00:41:27,0011",
        ["Nov 21 00:41:28", "PA-220", "-", "-", "-", "1,2026/11/21 00:41:27,0011"],
    ),
    ("<30>dhcp,info dhcp1 assigned 192.0.2.7", ["-", "-", "-", "-", "-", "dhcp,info dhcp1 assigned 192.0.2.7"]),
    (
        "<189>date=2026-11-21 time=00:41:28 devname=\"FG\"",
        ["-", "-", "-", "-", "-", "date=2026-11-21 time=00:41:28 devname=\"FG\""],
    ),
    (
        "<14>Nov 21 00:41:28 WIN01 MSWinEventLog\t1\tSystem",
        ["Nov 21 00:41:28", "WIN01", "-", "-", "-", "MSWinEventLog\t1\tSystem"],
    ),
    // No time, and nothing at all.
    ("<14>app[1]: x", ["-", "-", "app", "1", "-", "x"]),
    ("<14> app: x", ["-", "-", "app", "-", "-", "x"]),
    ("<14>see http://example.org", ["-", "-", "-", "-", "-", "see http://example.org"]),
    ("<14>http://example.org", ["-", "-", "-", "-", "-", "http://example.org"]),
    ("<14>", ["-", "-", "-", "-", "-", ""]),
    ("<14>Nov 21 00:41:28", ["Nov 21 00:41:28", "-", "-", "-", "-", ""]),
    ("<14>1 not really", ["-", "-", "-", "-", "-", "1 not really"]),
    ("<14>grün: é", ["-", "-", "-", "-", "-", "grün: é"]),
];

#[test]
fn lines_as_they_are_found_are_understood() {
    for (line, meant) in LINES {
        assert_eq!(words(line), *meant, "{line}");
    }
}

#[test]
fn values_of_structured_data_are_what_was_meant() {
    let line = r#"<13>1 - - - - - [z][a q="\"\\\]\n" ip="1" ip="2"][a b=""] x"#;
    let data = parse(line).unwrap().data;
    let all: Vec<Vec<(Option<&str>, String)>> =
        data.elements().map(|e| e.iter().map(|p| (p.name(), p.value().into_owned())).collect()).collect();
    let own = |name, value: &str| (Some(name), value.to_owned());
    let none = || (None, String::new());
    assert_eq!(
        all,
        [vec![none(), none(), own("b", ""), own("ip", "1"), own("ip", "2"), own("q", r#""\]\n"#)], vec![none()]]
    );
    for bad in
        ["[]", "[a", "[a ]", "[a b]", "[a b=]", "[a b=\"]", "[a b=\"\\", "[a b=\"\\\"]", "[a]x", "x", "", "[a  b=\"\"]"]
    {
        assert!(Data::take(bad).is_none(), "{bad}");
    }
    assert!(parse("<13>1 - - - - - - x").unwrap().data.is_empty());
}

proptest! {
    #[test]
    fn any_text_is_understood_or_not_and_values_stand_in_it(
        line in "<[0-9]{1,3}>(1 |[0-9]: )?(\\PC|[ -~]|Nov 21 00:41:28|2026-11-21T00:41:28Z|\\[a b=\"|\"\\]|: |\u{feff}|20[0-9]{2} ){0,12}",
    ) {
        if let Some(said) = parse(&line) {
            let within = |word: &str| line.as_bytes().as_ptr_range().contains(&word.as_ptr()) || word.is_empty();
            for word in [said.time, said.host, said.app, said.pid, said.msgid].into_iter().flatten() {
                prop_assert!(within(word) && !word.is_empty() && line.contains(word));
            }
            prop_assert!(line.ends_with(said.message), "the message is the rest of the line");
        }
    }

    #[test]
    fn what_is_put_together_by_rfc_5424_is_taken_apart_again(
        priority in 0u8..=191, host in "[!-~]{1,20}", app in "[!-~]{1,20}", pid in "[!-~]{1,20}", msgid in "[!-~]{1,20}",
        id in "[!#-<>-\\\\^-~]{1,10}", name in "[!#-<>-\\\\^-~]{1,10}", value in "\\PC{0,20}", message in "[^\u{feff}]\\PC{0,30}",
    ) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let line = format!("<{priority}>1 2026-11-21T00:41:28Z {host} {app} {pid} {msgid} [{id} {name}=\"{escaped}\"] {message}");
        let said = parse(&line).unwrap();
        let some = |word: &'_ str| (word != "-").then(|| word.to_owned());
        prop_assert_eq!(said.priority, priority);
        prop_assert_eq!(said.time, Some("2026-11-21T00:41:28Z"));
        let words = [said.host, said.app, said.pid, said.msgid].map(|word| word.map(str::to_owned));
        prop_assert_eq!(words, [some(&host), some(&app), some(&pid), some(&msgid)]);
        let elements: Vec<_> = said.data.elements().collect();
        prop_assert_eq!((elements[0][1].id, elements[0][1].name()), (&id[..], Some(&name[..])));
        prop_assert_eq!(elements[0][1].value(), value);
        prop_assert_eq!(said.message, message);
    }
}
