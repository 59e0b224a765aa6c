//! Collectors of other releases: the verbs are replaced while collectors run.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use common::{Env, read_text, wait_until};
use serde_json::{Value, json};

/// A collector `tremplin` that says what another release says, to one request after the other.
struct Other {
    requests: Arc<Mutex<Vec<Value>>>,
    _serving: JoinHandle<()>,
}

impl Other {
    /// `says`: to a request, the hello and what follows, a line each; `None` ends it.
    fn start(env: &Env, says: impl Fn(&str) -> Vec<String> + Send + 'static) -> Self {
        let folder = env.path("run");
        if !folder.exists() {
            use std::os::unix::fs::DirBuilderExt as _;
            std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        }
        let path = folder.join("tremplin.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let requests = Arc::<Mutex<Vec<Value>>>::default();
        let heard = Arc::clone(&requests);
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // The hello is the same whatever is asked.
                let _ = writeln!(stream, "{}", says("status")[0]);
                let mut line = String::new();
                if BufReader::new(&stream).read_line(&mut line).unwrap_or(0) == 0 {
                    continue;
                }
                let request: Value = serde_json::from_str(&line).unwrap();
                let what = request["request"].as_str().unwrap().to_owned();
                heard.lock().unwrap().push(request);
                for line in &says(&what)[1..] {
                    // Who has its answer goes.
                    let _ = writeln!(stream, "{line}");
                }
                if what == "down" {
                    std::fs::remove_file(&path).unwrap();
                    return;
                }
            }
        });
        Self { requests, _serving: serving }
    }

    fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

/// What was recorded, with the paths of this test.
fn recorded(root: &Path, what: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/older");
    let file = folder.join(format!("{what}.jsonl"));
    let text = read_text(if file.exists() { file } else { folder.join("unknown.jsonl") });
    text.lines().map(|line| line.replace("/srv/", &format!("{}/", root.display()))).collect()
}

/// The recorded collector, with its file and its audit trail.
fn older(env: &Env) -> Other {
    let root = env.path("");
    env.write("tremplin.log", "one\ntwo\nthree\n");
    std::fs::create_dir_all(env.path("state/tremplin")).unwrap();
    env.write("state/tremplin/audit.jsonl", recorded(&root, "audit").join("\n") + "\n");
    Other::start(env, move |what| recorded(&root, what))
}

const OLDER: &str = "note: the collector \"tremplin\" is reclog 0.1.0, older than ";

#[test]
fn a_recorded_older_collector_is_understood_and_said_to_be_older() {
    let env = Env::new();
    let other = older(&env);
    let status = env.run(&["status", "--json"]).ok().says(OLDER);
    assert_eq!(status.stderr.matches("note: ").count(), 1, "{}", status.stderr);
    let collector = status.last_event()["collectors"][0].clone();
    assert_eq!((&collector["reclog"], &collector["state"]), (&"0.1.0".into(), &"up".into()));
    assert_eq!(collector["streams"][0]["ledger"]["stored"], 14);
    env.run(&["status"]).ok().says(OLDER).prints("tremplin  up");
    env.run(&["tail", "-n", "2"]).ok().says(OLDER).prints("two\nthree\n");
    env.run(&["how"]).ok().prints("35549");
    env.run(&["kick", "tremplin"]).ok().says("reconnects now");
    let rotated = env.run(&["rotate", "--json"]).ok().last_event();
    assert_eq!(rotated["outputs"][0]["bytes"], 14);
    env.run(&["audit", "tremplin"]).ok().prints("rotate").prints("gap");
    let down = env.run(&["down", "--json"]).ok().says(OLDER).last_event();
    assert_eq!((&down["event"], &down["streams"][0]["records"]), (&"down".into(), &4.into()));
    assert!(down.get("gap").is_none() && down.get("lost").is_none(), "{down}");
    // It is asked for nothing that its release does not know.
    let asked = other.requests();
    assert_eq!(asked.last(), Some(&json!({"request": "down", "now": false})));
    assert!(asked[..asked.len() - 1].iter().all(|request| request.as_object().unwrap().len() == 1), "{asked:?}");
    env.run(&["audit", "tremplin", "--json"]).ok();
    env.assert_nothing_left();
}

#[test]
fn an_older_collector_that_cannot_tell_its_options_is_left_alone_by_restart() {
    let env = Env::new();
    let other = older(&env);
    env.run(&["restart"]).fails(1).hinted().says("cannot tell with which options").says("reclog down tremplin");
    env.run(&["listen", "0", "--out", "f", "--name", "tremplin"])
        .fails(1)
        .hinted()
        .says("is already running (pid 11097), and it is older: reclog 0.1.0");
    let json = env.run(&["restart", "tremplin", "--json"]).fails(1).last_event();
    assert_eq!((&json["event"], &json["kind"]), (&"failed".into(), &"failed".into()));
    assert!(other.requests().is_empty(), "{:?}", other.requests());
    std::fs::remove_file(env.path("run/tremplin.sock")).unwrap();
}

/// What a release says that has more of everything.
fn newer(line: &str) -> String {
    fn more(value: &mut Value) {
        match value {
            Value::Object(all) => {
                all.values_mut().for_each(more);
                // Reasons are names by themselves: whatever stands there is one.
                if !all.is_empty() {
                    all.insert("mood".into(), json!({"good": [1, 2]}));
                }
            }
            Value::Array(all) => all.iter_mut().for_each(more),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(line).unwrap();
    more(&mut value);
    if value.get("protocol").is_some() {
        (value["reclog"], value["minor"]) = ("9.9.9".into(), 7.into());
    }
    value.to_string()
}

#[test]
fn what_a_newer_collector_says_beyond_our_release_is_left_out() {
    let env = Env::new();
    let root = env.path("");
    let other = Other::start(&env, move |what| {
        let lines: Vec<_> = recorded(&root, what).iter().map(|line| newer(line)).collect();
        let weather = json!({"event": "weather", "clouds": {"many": true}}).to_string();
        lines.into_iter().flat_map(|line| [line, weather.clone()]).collect()
    });
    let status = env.run(&["status", "--json"]).ok();
    assert_eq!(status.stderr, "", "a newer one is no trouble");
    assert_eq!(status.last_event()["collectors"][0]["streams"][0]["records"], 3);
    env.run(&["kick"]).ok().says("reconnects now");
    assert_eq!(env.run(&["rotate", "--json"]).ok().last_event()["outputs"][0]["bytes"], 14);
    assert_eq!(env.run(&["down", "--json"]).ok().last_event()["streams"][0]["records"], 4);
    assert_eq!(other.requests().len(), 4);
}

#[test]
fn options_of_a_newer_collector_are_not_lost_by_a_restart() {
    let env = Env::new();
    let root = env.path("");
    let other = Other::start(&env, move |what| {
        let mut lines: Vec<_> = recorded(&root, what).iter().map(|line| newer(line)).collect();
        if what == "origin" {
            let flags = json!({"out": ["/f"], "colour": "blue"});
            lines[1] = json!({"event": "origin", "origin": {"listen": "0", "flags": flags, "folder": "/"}}).to_string();
        }
        lines
    });
    env.run(&["restart"]).fails(1).hinted().says("reclog 9.9.9").says("colour");
    assert!(other.requests().iter().all(|request| request["request"] != "down"), "{:?}", other.requests());
    std::fs::remove_file(env.path("run/tremplin.sock")).unwrap();
}

#[test]
fn a_protocol_that_we_do_not_speak_is_refused_with_the_way_out() {
    let env = Env::new();
    let _other = Other::start(&env, |_| {
        vec![json!({"protocol": 2, "reclog": "9.9.9", "name": "tremplin", "pid": 1}).to_string(), "{}".into()]
    });
    env.run(&["status", "tremplin"]).fails(1).hinted().says("newer than this reclog");
    std::fs::remove_file(env.path("run/tremplin.sock")).unwrap();
}

#[test]
fn a_newer_verb_asks_and_the_collector_goes_on() {
    let env = Env::new();
    env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let answer = env.ask("c", "weather");
    assert_eq!(answer["event"], "error");
    assert!(answer["error"]["message"].as_str().unwrap().contains("does not know this request"), "{answer}");
    wait_until("it goes on", common::SOON, || env.find("c").filter(|c| c["state"] == "up"));
    env.down("c");
}
