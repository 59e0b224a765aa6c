use super::*;

const AT: &str = "2026-11-21T00:41:28.123456Z";

fn fields(time: Option<&str>, peer: Option<&str>) -> Fields {
    Fields { time: time.map(|time| time.parse().unwrap()), peer: peer.map(str::to_owned) }
}

#[test]
fn a_prefix_is_read_as_its_template_says() {
    for (template, line, time, peer) in [
        ("{time} {peer} ", "2026-11-21T00:41:28.123456Z 10.0.0.1:50123 hello", Some(AT), Some("10.0.0.1:50123")),
        ("{peer} {time} ", "[fe80::1%eth0]:7 2026-11-21T00:41:28.123456Z x", Some(AT), Some("[fe80::1%eth0]:7")),
        ("[{n}] ({keyword}/{stream}) {time}: ", "[7] (-/main) 2026-11-21T00:41:28.123456Z: x", Some(AT), None),
        ("{peer}|{n}|", "unix: a client|12|x|y", None, Some("unix: a client")),
        ("{time}{peer}", "2026-11-21T00:41:28.123456Z10.0.0.1:5hello", Some(AT), Some("10.0.0.1:5")),
        ("{time}{peer}", "2026-11-21T00:41:28.123456Zhello", Some(AT), None),
        ("{peer} {peer} {time} {time} ", &format!("10.0.0.1:5 10.0.0.1:5 {AT} {AT} x"), Some(AT), Some("10.0.0.1:5")),
        ("a+b {time} ", "a+b 2026-11-21T00:41:28.123456Z x", Some(AT), None),
        ("a+b {time} ", "aab 2026-11-21T00:41:28.123456Z x", None, None),
        ("{time} ", "2026-11-21T00:41:28Z of an older format", None, None),
        ("{time} ", "2026-99-21T00:41:28.123456Z x", None, None),
        ("{time} ", " 2026-11-21T00:41:28.123456Z x", None, None),
        ("{time} ", "", None, None),
    ] {
        let columns = Columns::new("prefix", Some(template));
        assert_eq!(columns.read(line.as_bytes()), fields(time, peer), "{template} {line}");
    }
    assert_eq!(Columns::new("prefix", None).read(AT.as_bytes()), Fields::default());
}

#[test]
fn a_prefix_is_read_whatever_bytes_the_record_has() {
    let columns = Columns::new("prefix", Some("{time} {peer} "));
    let line = [AT.as_bytes(), b" 10.0.0.1:5 \xff\xfe\0"].concat();
    assert_eq!(columns.read(&line), fields(Some(AT), Some("10.0.0.1:5")));
}

#[test]
fn an_object_tells_when_and_from_whom_in_any_shape() {
    let json = Columns::new("json", None);
    let read = |line: &str| json.read(line.as_bytes());
    let both = fields(Some(AT), Some("10.0.0.1:5"));
    assert_eq!(read(&format!(r#"{{"time":"{AT}","peer":"10.0.0.1:5","keyword":null,"record":"x"}}"#)), both);
    assert_eq!(read(&format!(r#"{{"record": "\"peer\":\"no\"", "peer": "10.0.0.1:5", "time": "{AT}"}}"#)), both);
    let named = fields(Some(AT), Some("a \"b\\\" \u{e9}"));
    assert_eq!(read(&format!(r#"{{"time":"{AT}","peer":"a \"b\\\" \u00e9","record":""}}"#)), named);
    assert_eq!(read(r#"{"time":"2026-11-21T00:41:28Z","peer":"p"}"#), fields(Some("2026-11-21T00:41:28Z"), Some("p")));
    assert_eq!(read(r#"{"time":null,"peer":"p"}"#), fields(None, Some("p")));
    for nothing in
        ["", "{", "{}", "time", "[1]", r#"{"time":"soon"}"#, r#"{"time":"2026-11-21T00:41:28.123456Z","peer":"\"#]
    {
        assert_eq!(read(nothing), Fields::default(), "{nothing}");
    }
}

#[test]
fn raw_lines_say_nothing() {
    assert_eq!(Columns::new("raw", Some("{time} ")).read(format!("{AT} x").as_bytes()), Fields::default());
}
