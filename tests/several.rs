//! Several collectors side by side, several streams in one, and what two of them must never share.

mod common;

use common::{Env, Sshd, free_port, listening, read, send};

#[test]
fn down_without_a_name_lists_them_and_stops_none() {
    let env = Env::new();
    let a = env.listen(&["--out", &env.arg("1"), "--name", "alpha"]);
    let b = env.listen(&["--out", &env.arg("2"), "--name", "beta"]);
    env.run(&["down"]).fails(2).matches("alpha(?s:.*)beta");
    assert!(listening(a.port()) && listening(b.port()));
    for verb in ["tail", "kick", "how"] {
        env.run(&[verb]).fails(2).matches("alpha(?s:.*)beta");
    }
    let status = env.run(&["status"]).ok();
    assert!(status.stdout.contains("alpha") && status.stdout.contains("beta"), "{}", status.stdout);
    env.run(&["down", "--all"]).ok();
    env.assert_nothing_left();
}

#[test]
fn down_stops_those_that_are_named_and_no_other() {
    let env = Env::new();
    let [_, b, _] = ["a", "b", "c"].map(|name| env.listen(&["--out", &env.arg(name), "--name", name]));
    let down = env.run(&["down", "a", "c", "--json"]).ok();
    let names: Vec<_> = down.events().iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 2, "one object a collector: {names:?}");
    assert!(names.contains(&"a".to_owned()) && names.contains(&"c".to_owned()), "{names:?}");
    assert_eq!(env.processes(), [b.pid]);
    send(b.port(), "still here\n");
    env.run(&["down"]).ok();
    assert_eq!(read(env.path("b")), b"still here\n");
    env.assert_nothing_left();
}

#[test]
fn a_name_that_runs_is_refused_and_the_running_one_goes_on() {
    let env = Env::new();
    let first = env.listen(&["--out", &env.arg("1"), "--name", "same"]);
    let second = env.run(&["listen", "127.0.0.1:0", "--out", &env.arg("2"), "--name", "same"]);
    second.fails(1).hinted().says("same").says(first.pid.to_string());
    assert_eq!(env.processes(), [first.pid]);
    send(first.port(), "x\n");
    env.down("same");
    assert_eq!(read(env.path("1")), b"x\n");
}

#[test]
fn a_file_that_another_collector_writes_is_refused_under_any_name() {
    let env = Env::new();
    let first = env.listen(&["--out", &env.arg("file"), "--name", "owner"]);
    std::os::unix::fs::symlink(env.path("file"), env.path("link")).unwrap();
    std::os::unix::fs::symlink(env.path("."), env.path("folder")).unwrap();
    std::fs::hard_link(env.path("file"), env.path("hard")).unwrap();
    for out in ["file", "link", "folder/file", "work/../file", "hard"] {
        let second = env.run(&["listen", "127.0.0.1:0", "--out", &env.arg(out), "--name", "thief"]);
        second.fails(1).says("owner").says(first.pid.to_string());
    }
    assert_eq!(env.processes(), [first.pid]);
    env.down("owner");
    env.assert_nothing_left();
    let free_again = env.listen(&["--out", &env.arg("link"), "--name", "thief"]);
    send(free_again.port(), "x\n");
    env.down("thief");
    assert_eq!(read(env.path("file")), b"x\n", "a link is followed, not replaced");
}

#[test]
fn a_profile_opens_every_stream_into_its_own_file() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (main, web) = (free_port(), free_port());
    let (main_out, web_out) = (env.arg("main.log"), env.arg("web.log"));
    env.write(
        "config/profiles/site.yaml",
        format!(
            "target: jump\nstreams:\n  main:\n    remote_port: {main}\n    out: {main_out}\n  web:\n    remote_port: \
             {web}\n    out: {web_out}\n"
        ),
    );
    let up = env.started(env.run(&["up", "site", "-F", &env.arg("ssh_config"), "--json"]));
    assert_eq!(up.name, "site", "a collector is called like its profile");
    assert_eq!((up.port_at(0), up.port_at(1)), (main, web));
    send(web, "to web\n");
    send(main, "to main\n");
    let down = env.run(&["down", "site", "--json"]).ok().last_event();
    assert_eq!((&down["streams"][0]["name"], &down["streams"][1]["name"]), (&"main".into(), &"web".into()));
    common::snapshot::assert_settled(&down["streams"][0], &env.path("main.log"));
    common::snapshot::assert_settled(&down["streams"][1], &env.path("web.log"));
    assert_eq!(read(main_out), b"to main\n");
    assert_eq!(read(web_out), b"to web\n");
    assert!(!listening(main) && !listening(web));
    env.assert_nothing_left();
}

#[test]
fn a_stream_that_cannot_be_opened_takes_the_others_down_with_it() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (good, taken) = (free_port(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let taken_port = taken.local_addr().unwrap().port();
    let profile = format!(
        "target: jump\nstreams:\n  good: {{ remote_port: {good}, bind: 127.0.0.1, out: {} }}\n  bad: {{ remote_port: \
         {taken_port}, bind: 127.0.0.1, out: {} }}\n",
        env.arg("1"),
        env.arg("2")
    );
    env.write("config/profiles/half.yaml", profile);
    let up = env.run(&["up", "half", "-F", &env.arg("ssh_config")]);
    up.fails(4).says(taken_port.to_string());
    env.assert_nothing_left();
    common::wait_until("the good port is closed", common::SOON, || (!listening(good)).then_some(()));
}
