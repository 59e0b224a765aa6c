//! `reclog service print`, and what is refused before anything is written.

mod common;

use std::process::Command;

use common::login::locked_key;
use common::pam;
use common::{Env, SOON, Sshd, wait_until};

const LISTENS: &str = "streams:\n  main: { listen: '127.0.0.1:0', out: /var/log/web.log }\n";

fn env(profile: &str) -> Env {
    let env = Env::new();
    env.write("config/profiles/web.yaml", profile);
    env
}

fn through(sshd: &Sshd, env: &Env, key: &std::path::Path) -> String {
    let known = env.write("known_hosts", sshd.known_hosts());
    format!(
        "target: {}@127.0.0.1:{}\nssh: {{ identity: {}, options: {{ UserKnownHostsFile: {} }} }}\nstreams:\n  main: {{ remote_port: 0, out: /var/log/web.log }}\n",
        common::sshd::whoami(),
        sshd.port,
        key.display(),
        known.display()
    )
}

#[test]
fn systemd_has_nothing_against_what_is_printed() {
    require!("systemd-analyze");
    let env = env(LISTENS);
    let me = common::sshd::whoami();
    let account = if me == "root" { "daemon" } else { &me };
    for args in [&["service", "print", "web"][..], &["service", "print", "web", "--system", "--user", account]] {
        let text = env.run(args).ok().stdout;
        let unit = env.write("work/reclog-web.service", &text);
        let system = args.len() > 3;
        let mut verify = Command::new("systemd-analyze");
        // Without one the manager of a user is nowhere.
        verify.env("XDG_RUNTIME_DIR", env.path("work"));
        let said = verify.arg(if system { "--system" } else { "--user" }).arg("verify").arg(&unit).output().unwrap();
        assert!(said.status.success() && said.stderr.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said.stderr));
        if system {
            let mut security = Command::new("systemd-analyze");
            let said = security
                .args(["security", "--offline=true", "--no-pager", "--threshold=25"])
                .arg(&unit)
                .output()
                .unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
        }
    }
}

#[test]
fn a_property_list_is_one() {
    require!("python3");
    let text = env(LISTENS).run(&["service", "print", "web", "--kind", "launchd"]).ok().stdout;
    let script = "import plistlib,sys; p=plistlib.loads(sys.stdin.buffer.read()); print(p['Label'], p['ProgramArguments'][1:], p['KeepAlive'])";
    let mut python = Command::new("python3");
    python.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut python = python.spawn().unwrap();
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let said = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(said, "reclog.web ['up', 'web', '--foreground', '--keep-trying'] {'SuccessfulExit': False}\n");
}

#[test]
fn a_real_supervisord_runs_it_and_leaves_it_down() {
    require!("supervisord", "supervisorctl");
    let env = env("");
    env.write(
        "config/profiles/web.yaml",
        format!("streams:\n  main: {{ listen: '127.0.0.1:0', out: {} }}\n", env.arg("out")),
    );
    let section = env.run(&["service", "print", "web", "--kind", "supervisord"]).ok().stdout;
    let socket = env.arg("supervisor.sock");
    let config = format!(
        "[supervisord]\nlogfile={0}.log\npidfile={0}.pid\nchildlogdir={1}\n[unix_http_server]\nfile={0}\n[supervisorctl]\nserverurl=unix://{0}\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n{section}",
        socket,
        env.arg("work")
    );
    let config = env.write("supervisord.conf", config);
    let mut supervisord = env.command("supervisord");
    let _daemon = common::Daemon::start(supervisord.args(["-n", "-c"]).arg(&config));
    let control = |args: &[&str]| {
        let out = env.command("supervisorctl").arg("-c").arg(&config).args(args).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let pid = || env.processes().first().copied();
    let first = wait_until("it runs", SOON, pid);
    env.expect(first);
    env.wait_state("web", "up");
    common::procs::kill(first);
    let second = wait_until("it runs again", SOON, || pid().filter(|pid| *pid != first));
    env.expect(second);
    env.wait_state("web", "up");
    env.down("web");
    wait_until("it stays down", SOON, || control(&["status"]).contains("EXITED").then_some(()));
    assert_eq!(env.processes(), Vec::<u32>::new());
}

#[test]
fn a_profile_that_asks_is_refused_with_what_would_work() {
    require!("sshd", "ssh-keygen");
    let sshd = Sshd::start();
    let empty = Env::new();
    let locked = locked_key(&sshd, "ed25519", "open sesame");
    let env = env(&through(&sshd, &empty, &locked));
    let print = ["service", "print", "web"];
    env.run(&print).fails(2).says("asks a question").says("reclog harden web").says("IdentityAgent");
    // Also when nobody can be asked whether it would.
    sshd.stop();
    let run = env.run(&print).fails(2).says("asks a question");
    assert_eq!(run.stdout, "");
    env.write(
        "config/profiles/web.yaml",
        "streams:\n  main: { listen: '127.0.0.1:0', out: /var/log/web.log, keyword_file: '-' }\n",
    );
    env.run(&print).fails(2).says("a profile names a file");
}

#[test]
fn a_server_that_wants_a_code_is_found_out() {
    require!("sshd");
    if let Some(what) = pam::missing() {
        return common::lacks("a_server_that_wants_a_code_is_found_out", what, "root");
    }
    let sshd =
        Sshd::with_pam(&["AuthenticationMethods publickey,keyboard-interactive", "KbdInteractiveAuthentication yes"]);
    let empty = Env::new();
    let env = env(&through(&sshd, &empty, &sshd.user_key("ed25519")));
    env.run(&["service", "print", "web"]).fails(2).says("asks a question").says("reclog harden web");
}

#[test]
fn only_a_saved_profile_is_a_service_and_no_name_leads_out_of_a_folder() {
    let env = env(LISTENS);
    for verb in ["install", "uninstall", "status", "print"] {
        for name in ["../web", "me@jump:22", "/etc/passwd", "..", "a b", "-x"] {
            env.run(&["service", verb, "--", name]).fails(2).hinted();
        }
    }
    env.run(&["service", "print", "wep"]).fails(2).says("web").hinted();
    env.run(&["service", "print", "web", "--system", "--user", "no-such-user"]).fails(2);
    env.run(&["service", "print", "web", "--system", "--user", "root"]).fails(2).says("does not run as root");
    env.run(&["service", "print", "web", "--user", "daemon"]).fails(2);
}

#[test]
fn without_systemd_it_is_said_what_can_be_done() {
    let env = env(LISTENS);
    let mut command = env.reclog(&["service", "install", "web"]);
    command.env("PATH", env.path("empty"));
    let run = common::Bg::spawn(command).wait().fails(1);
    run.says("systemd does not run this machine")
        .says("--kind supervisord")
        .says("@reboot reclog up web --keep-trying");
}

#[test]
fn an_output_beside_keys_is_warned_of_and_one_in_a_folder_of_its_own_is_not() {
    let me = common::sshd::whoami();
    let account = if me == "root" { "daemon" } else { &me };
    let said = |out: &str| {
        let env = env(&format!("streams:\n  main: {{ listen: '127.0.0.1:0', out: {out} }}\n"));
        let print = ["service", "print", "web"];
        let of_the_machine = ["--system", "--user", account];
        let user = env.run(&print).ok().stderr;
        assert!(!user.contains("directly in"), "what the user may do in any case: {user}");
        env.run(&[&print[..], &of_the_machine[..]].concat()).ok().stderr
    };
    let beside = said("~/web.log");
    assert!(beside.contains("directly in") && beside.contains("hint: "), "{beside}");
    let apart = said("~/logs/web.log");
    assert!(!apart.contains("directly in"), "{apart}");
}
