//! Services under a real systemd, which runs a machine of the test's own.

mod common;

use common::machine::Machine;
use common::{SOON, Sshd, free_port, send, wait_until};

const UNIT: &str = "reclog-web.service";
const PROFILE: &str = "/home/log/.config/reclog/profiles/web.yaml";

fn profile(sshd: &Sshd, port: u16, out: &str) -> String {
    format!(
        "target: root@127.0.0.1:{}\nssh: {{ identity: ~/.ssh/id }}\nstreams:\n  main: {{ remote_port: {port}, bind: 127.0.0.1, out: {out}, sync: always }}\n",
        sshd.port
    )
}

/// A machine with the profile `web` of `log`, and its port.
fn machine(test: &str, out: &str) -> Option<(Machine, Sshd, u16)> {
    let machine = Machine::boot(test)?;
    let (sshd, port) = (Sshd::start(), free_port());
    machine.trust(&sshd);
    machine.write(PROFILE, &profile(&sshd, port, out));
    Some((machine, sshd, port))
}

/// A line arrives in the file.
#[track_caller]
fn delivers(machine: &Machine, port: u16, line: &str, file: &str) {
    send(port, format!("{line}\n"));
    wait_until("the line is in the file", SOON, || {
        machine.sh(&format!("cat {file}")).stdout.contains(line).then_some(())
    });
}

#[test]
fn a_system_service_lives_its_life() {
    require!("sshd", "unshare", "nsenter", "systemctl");
    for out in ["~/out/file.log", "/srv/log/file.log"] {
        let Some((machine, _sshd, port)) = machine("a_system_service_lives_its_life", out) else { return };
        let file = out.replace('~', "/home/log");
        let install = "service install web --system --user log";
        let run = machine
            .reclog(install)
            .ok()
            .prints(format!("✔ 127.0.0.1:{port} → {file}"))
            .prints("(collector \"web\", pid");
        assert!(run.stderr.contains("wrote /etc/systemd/system/reclog-web.service"), "{}", run.stderr);
        delivers(&machine, port, "one", &file);
        assert_eq!(machine.sh(&format!("stat -c %U:%a {file}")).stdout, "log:600\n");

        // Again: nothing changes, and the same process goes on.
        let pid = machine.unit(UNIT, "MainPID");
        machine.reclog(install).ok().says("is as it should be").prints(format!("pid {pid}"));
        assert_eq!(machine.unit(UNIT, "MainPID"), pid);

        // Killed: it comes back by itself, on the same port.
        machine.sh(&format!("kill -KILL {pid}")).ok();
        wait_until("it runs again", SOON, || {
            (!["0", &pid].contains(&machine.unit(UNIT, "MainPID").as_str())).then_some(())
        });
        machine.wait_unit(UNIT, "ActiveState", "active");
        delivers(&machine, port, "two", &file);
        machine
            .reclog("service status web --system")
            .ok()
            .prints("active (pid")
            .prints("enabled")
            .prints("restarts  1");

        // Root sees it, and its `down` is no failure: it stays down.
        machine.reclog("status web").ok().prints(&file);
        machine.reclog("audit web").ok().prints("start");
        machine.reclog("down web").ok().says("web is down");
        machine.wait_unit(UNIT, "ActiveState", "inactive");
        assert_eq!(machine.unit(UNIT, "Result"), "success");
        machine.reclog("service status web --system").fails(3);

        machine.reclog(install).ok().prints("✔ ");
        machine.reclog("service uninstall web --system").ok().says("web is down").says("removed");
        let left = machine.sh("find /etc/systemd /run/systemd/system /run/reclog -name '*reclog*'");
        assert_eq!(left.stdout, "", "something is left");
        assert_eq!(machine.unit(UNIT, "LoadState"), "not-found");
        machine.reclog("service uninstall web --system").ok().says("is not installed");
    }
}

#[test]
fn a_system_service_sees_nothing_that_it_does_not_need() {
    require!("sshd", "unshare", "nsenter", "systemctl");
    let Some((machine, _sshd, _)) = machine("a_system_service_sees_nothing_that_it_does_not_need", "~/out/file.log")
    else {
        return;
    };
    machine.sh("install -m 644 -o log -g log /dev/null /home/log/diary; install -m 644 /dev/null /tmp/others").ok();
    machine.reclog("service install web --system --user log").ok();
    let inside = |line: &str| {
        let pid = machine.unit(UNIT, "MainPID");
        machine.sh(&format!(
            "nsenter --target {pid} --mount setpriv --reuid=log --regid=log --clear-groups sh -c '{line}'"
        ))
    };
    let writable = |path: &str| inside(&format!("touch {path}/x")).status.success();
    assert!(writable("/home/log/out") && writable("/var/lib/reclog/web") && writable("/run/reclog/web"));
    for folder in ["/home/log/.ssh", "/home/log", "/srv/log", "/var/log", "/home/log/.config/reclog/profiles"] {
        assert!(!writable(folder), "{folder}");
    }
    assert!(inside("cat /home/log/.ssh/id /home/log/.ssh/known_hosts").status.success());
    for file in ["/home/log/diary", "/tmp/others"] {
        assert!(!inside(&format!("cat {file}")).status.success(), "{file}");
    }
    let said = machine.sh("systemd-analyze security --no-pager --threshold=25 reclog-web.service");
    assert!(said.status.success(), "{}", said.stdout);
    let said = machine.sh(&format!("systemd-analyze verify /etc/systemd/system/{UNIT}"));
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
}

#[test]
fn what_no_restart_can_mend_is_not_restarted() {
    require!("sshd", "unshare", "nsenter", "systemctl");
    let Some((machine, _sshd, _)) = machine("what_no_restart_can_mend_is_not_restarted", "~/out/file.log") else {
        return;
    };
    machine.reclog("service install web --system --user log").ok();
    let fails = |change: &str, code: &str, back: &str| {
        machine.sh(&format!("systemctl stop {UNIT} && {change}")).ok();
        machine.sh(&format!("systemctl start --no-block {UNIT}")).ok();
        machine.wait_unit(UNIT, "ActiveState", "failed");
        assert_eq!((machine.unit(UNIT, "ExecMainStatus"), machine.unit(UNIT, "NRestarts")), (code.into(), "0".into()));
        machine.sh(back).ok();
    };
    // The profile has vanished: its name is not taken for that of a host.
    fails(&format!("mv {PROFILE} /root/"), "2", &format!("mv /root/web.yaml {PROFILE}"));
    fails("mv /home/log/.ssh/id /root/", "4", "mv /root/id /home/log/.ssh/");
    fails("mv /home/log/.ssh/known_hosts /root/", "5", "mv /root/known_hosts /home/log/.ssh/");
    // Anything else is tried again.
    machine.sh(&format!("mv /home/log/out /root/ && systemctl start --no-block {UNIT}")).ok();
    wait_until("it is tried again", SOON, || (machine.unit(UNIT, "NRestarts") != "0").then_some(()));
    machine.sh("mv /root/out /home/log/").ok();
    machine.wait_unit(UNIT, "ActiveState", "active");
}

#[test]
fn install_tells_what_up_would_have_told() {
    require!("sshd", "unshare", "nsenter", "systemctl");
    let Some((machine, sshd, port)) = machine("install_tells_what_up_would_have_told", "~/out/file.log") else {
        return;
    };
    let install = "service install web --system --user log";
    let nothing = || assert_eq!(machine.unit(UNIT, "LoadState"), "not-found");
    machine.sh("mv /home/log/.ssh/known_hosts /root/").ok();
    machine.reclog(install).fails(5).says("is not known").hinted();
    nothing();
    machine.sh("mv /root/known_hosts /home/log/.ssh/").ok();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    machine.reclog(install).fails(4).says(format!("port {port}")).says("is installed").hinted();
    drop(taken);
    machine.reclog(install).ok().prints("✔ ").says("is as it should be");

    // Another unit: what changed is said, and senders are drained.
    machine.write(PROFILE, &profile(&sshd, port, "/srv/log/other.log"));
    machine.reclog(install).ok().says("+ ReadWritePaths=-/srv/log").says("restarting it").prints("/srv/log/other.log");

    // Somebody's hand in it.
    machine.sh(&format!("echo '# mine' >>/etc/systemd/system/{UNIT}")).ok();
    machine.reclog(install).fails(1).says("somebody has changed it").hinted();
    machine.reclog("service uninstall web --system").fails(1).says("somebody has changed it").hinted();
    machine.sh(&format!("echo '[Service]' >/etc/systemd/system/{UNIT}")).ok();
    machine.reclog(install).fails(1).says("somebody else wrote it");
    assert_eq!(machine.sh(&format!("cat /etc/systemd/system/{UNIT}")).stdout, "[Service]\n");
}

#[test]
fn a_jump_host_that_is_away_holds_up_no_boot() {
    require!("sshd", "unshare", "nsenter", "systemctl");
    let Some((machine, sshd, port)) = machine("a_jump_host_that_is_away_holds_up_no_boot", "~/out/file.log") else {
        return;
    };
    sshd.stop();
    machine.reclog("service install web --system --user log").fails(1).says("cannot connect").says("keeps trying");
    assert_eq!(machine.unit(UNIT, "ActiveState"), "activating");
    // As at boot: the target is reached while the service still tries.
    machine.sh("systemctl start --no-block basic.target && systemctl isolate multi-user.target").ok();
    assert_eq!(machine.unit("multi-user.target", "ActiveState"), "active");
    assert_eq!(machine.unit(UNIT, "ActiveState"), "activating");
    // Told to stay down before it was up, it does; systemd calls a start that comes to nothing a failure.
    machine.reclog("down web").ok();
    machine.wait_unit(UNIT, "ActiveState", "failed");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!((machine.unit(UNIT, "ActiveState"), machine.unit(UNIT, "NRestarts")), ("failed".into(), "0".into()));
    machine.sh(&format!("systemctl start --no-block {UNIT}")).ok();
    sshd.start_again();
    machine.wait_unit(UNIT, "ActiveState", "active");
    delivers(&machine, port, "late", "/home/log/out/file.log");
}

#[test]
fn a_user_service_lives_its_life() {
    require!("sshd", "unshare", "nsenter", "systemctl", "dbus-daemon");
    let Some((machine, _sshd, port)) = machine("a_user_service_lives_its_life", "~/out/file.log") else { return };
    machine.reclog_as_log("service install web").fails(1).says("cannot reach the service manager of log").hinted();
    machine.sh("loginctl enable-linger log").ok();
    machine.wait_unit("user@2345.service", "ActiveState", "active");
    machine.reclog_as_log("service install web").ok().prints("✔ ").says("enabled reclog-web.service");
    delivers(&machine, port, "one", "/home/log/out/file.log");
    machine.reclog_as_log("service status web").ok().prints("active (pid");
    machine.reclog_as_log("status web").ok();
    let pid =
        |machine: &Machine| machine.as_log(&format!("systemctl --user show --value -p MainPID {UNIT}")).ok().stdout;
    let first = pid(&machine);
    machine.sh(&format!("kill -KILL {first}")).ok();
    wait_until("it runs again", SOON, || (!["0\n".into(), first.clone()].contains(&pid(&machine))).then_some(()));
    machine.reclog_as_log("service install web").ok().says("is as it should be").prints("✔ ");
    machine.reclog_as_log("service uninstall web").ok().says("web is down").says("removed");
    assert_eq!(machine.as_log("find .config/systemd -type f -o -type l").stdout, "");
    // Without lingering it is said what that means.
    machine.sh("rm /var/lib/systemd/linger/log").ok();
    machine.reclog_as_log("service install web").ok().says("sudo loginctl enable-linger log");
    machine.reclog_as_log("service uninstall web").ok();
}

#[test]
fn a_system_service_has_its_secrets_as_credentials() {
    require!("sshd", "unshare", "nsenter", "systemctl");
    let Some((machine, sshd, port)) = machine("a_system_service_has_its_secrets_as_credentials", "~/out/file.log")
    else {
        return;
    };
    let profile = profile(&sshd, port, "~/out/file.log")
        .replace("identity: ~/.ssh/id", "identity: credential:key")
        .replace("sync: always", "sync: always, keyword_file: credential:word");
    machine.write(PROFILE, &profile);
    let install = "service install web --system --user log";
    machine.reclog(install).fails(1).says("there is no credential key").hinted();
    // Root's alone; the one for the gate is encrypted.
    machine
        .sh("install -d -m 700 /etc/credstore /etc/credstore.encrypted && install -m 600 /home/log/.ssh/id /etc/credstore/key && \
             rm /home/log/.ssh/id && echo Tr0mpette | systemd-creds encrypt --with-key=host --name=word - /etc/credstore.encrypted/word")
        .ok();
    machine.reclog(install).ok().prints("✔ ");
    send(port, "wrong\nno\n");
    send(port, "Tr0mpette\nyes\n");
    wait_until("the line is in the file", SOON, || {
        (machine.sh("cat /home/log/out/file.log").stdout == "yes\n").then_some(())
    });
    let unit = machine.sh(&format!("cat /etc/systemd/system/{UNIT}")).stdout;
    assert!(unit.contains("\nLoadCredential=key:/etc/credstore/key\n"), "{unit}");
    assert!(unit.contains("\nLoadCredentialEncrypted=word:/etc/credstore.encrypted/word\n"), "{unit}");
    machine.reclog("service uninstall web --system").ok();
}
