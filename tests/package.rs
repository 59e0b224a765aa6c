//! The Debian package: made, looked at by lintian, installed where nothing else is, used by a new user, and removed again.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{left_out_for, read, read_text};

/// Where `man` finds the first page.
const PAGE: &str = "usr/share/man/man1/reclog.1.gz";

/// What `command` says on stdout; it has to succeed.
#[track_caller]
fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{text}{}", String::from_utf8_lossy(&stderr));
    text
}

/// A package of what cargo built for this test, in `folder`.
fn package(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = Path::new(env!("CARGO_BIN_EXE_reclog")).ancestors().nth(2).expect("target/debug/reclog");
    let mut script = Command::new(root.join("scripts/package"));
    script.args(["--built", "dev", "--out"]).arg(folder).arg("deb");
    said(script.env("CARGO_TARGET_DIR", target).env("PATH", path()));
    let arch = said(Command::new("dpkg").arg("--print-architecture"));
    folder.join(format!("reclog_{}_{}.deb", env!("CARGO_PKG_VERSION"), arch.trim()))
}

fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// A Debian of the release that this machine runs, with nothing in it.
struct Root(tempfile::TempDir);

impl Root {
    fn lay(folder: tempfile::TempDir) -> Self {
        let release = read_text("/etc/os-release");
        let named = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let name = named.expect("a Debian that has a name");
        let root = Self(folder);
        let top = root.0.path().join("root");
        said(Command::new("mmdebstrap").args(["--quiet", "--variant=minbase", name]).arg(top).env("PATH", path()));
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("root").join(name)
    }

    /// `line` for sh in there: as `user`, with `/proc` and a loopback device of its own.
    #[track_caller]
    fn run(&self, user: &str, line: &str) -> String {
        let script = r#"ip link set lo up && mount -t proc proc "$1/proc" && exec chroot --userspec="$2" "$1" \
            env -i HOME="$3" PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -ec "cd; $4""#;
        let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script, "sh"])
            .arg(self.path(""));
        said(command.args([user, &home, line]).env("PATH", path()))
    }

    /// Every file and its content, but what dpkg writes about its work, and what of `home` is to be left out.
    fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, top: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let inside = path.strip_prefix(top).unwrap().to_owned();
                let kind = path.symlink_metadata().unwrap().file_type();
                if ["proc", "sys", "dev", "home", "tmp", "var/lib/dpkg", "var/log", "var/cache"]
                    .iter()
                    .any(|d| inside == Path::new(d))
                {
                    continue;
                }
                if kind.is_dir() {
                    walk(&path, top, all);
                }
                all.insert(inside, if kind.is_file() { read(&path) } else { Vec::new() });
            }
        }
        let mut all = BTreeMap::new();
        walk(&self.path(folder), &self.path(folder), &mut all);
        all
    }
}

/// Paths that are in one of them alone, or differ.
fn difference(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let differs = |path: &&PathBuf| a.get(*path) != b.get(*path);
    let mut all: Vec<PathBuf> = a.keys().chain(b.keys()).filter(differs).cloned().collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn the_package_comes_works_for_a_new_user_and_goes_without_what_is_theirs() {
    require!("lintian", "mmdebstrap", "dpkg-shlibdeps", "unshare", "ip");
    if !rustix::process::geteuid().is_root() {
        return left_out_for("the_package_comes_works_for_a_new_user_and_goes_without_what_is_theirs", "root");
    }
    let folder = tempfile::Builder::new().prefix("rl-").tempdir_in("/tmp").unwrap();
    let deb = package(folder.path());

    // As a distributor looks at it. A debug build has its own idea of a manual only when the program has one.
    said(Command::new("lintian").args(["--fail-on", "error", "--allow-root"]).arg(&deb));
    let field = |name: &str| said(Command::new("dpkg-deb").arg("--field").arg(&deb).arg(name));
    assert_eq!(field("Version").trim(), env!("CARGO_PKG_VERSION"));
    assert!(field("Depends").contains("libc6 (>= "), "{}", field("Depends"));
    let sums = read_text(folder.path().join("SHA256SUMS"));
    assert!(sums.contains(deb.file_name().unwrap().to_str().unwrap()), "{sums}");

    let root = Root::lay(folder);
    root.run("root", "useradd --create-home eve");
    let before = root.files("");
    std::fs::copy(&deb, root.path("tmp/reclog.deb")).unwrap();
    root.run("root", "dpkg --install /tmp/reclog.deb");
    let installed = difference(&before, &root.files(""));
    let manual = said(Command::new(env!("CARGO_BIN_EXE_reclog")).arg("--help")).contains("\n  man ");
    for file in [
        "usr/bin/reclog",
        "usr/share/bash-completion/completions/reclog",
        "usr/share/zsh/vendor-completions/_reclog",
        "usr/share/fish/vendor_completions.d/reclog.fish",
        "usr/lib/systemd/user/reclog@.service",
        "usr/share/doc/reclog/copyright",
        "usr/share/doc/reclog/examples/profiles/tremplin.yaml",
    ]
    .into_iter()
    .chain(manual.then_some(PAGE))
    {
        assert!(installed.contains(&PathBuf::from(file)), "no {file} in {installed:?}");
    }

    // The whole path, and something to leave behind: a profile, a state folder with a trail, a log.
    let demo = root.run("eve", "reclog demo");
    assert!(demo.contains('✔'), "{demo}");
    let line = "reclog profile init mine && reclog listen 127.0.0.1:0 --out file.log --name c --json >up \
        && port=$(sed -n 's/.*\\\"remote_port\\\":\\([0-9]*\\).*/\\1/p' up | tail -n 1) \
        && echo hello | reclog send 127.0.0.1:$port && reclog down";
    root.run("eve", line);
    assert_eq!(read_text(root.path("home/eve/file.log")), "hello\n");
    let theirs = root.files("home/eve");
    let names: Vec<_> = theirs.keys().map(|path| path.to_string_lossy().into_owned()).collect();
    for kept in [".config/reclog/profiles/mine.yaml", ".local/state/reclog/c/audit.jsonl", "file.log"] {
        assert!(names.iter().any(|name| name == kept), "{kept} is not in {names:?}");
    }

    root.run("root", "dpkg --remove reclog");
    assert_eq!(difference(&before, &root.files("")), Vec::<PathBuf>::new(), "of the package is left");
    assert_eq!(difference(&theirs, &root.files("home/eve")), Vec::<PathBuf>::new(), "of the user's is gone or changed");
}

#[test]
fn the_template_unit_is_one_that_systemd_takes_and_keeps_the_contract() {
    require!("systemd-analyze");
    let text = read_text(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/reclog@.service"));
    // As `service install` would write it, but for what it knows of this machine, its systemd and the profile.
    let env = common::Env::new();
    env.write("config/profiles/web.yaml", "streams: { main: { listen: '127.0.0.1:0', out: /tmp/web.log } }\n");
    let printed = env.run(&["service", "print", "web"]).ok().stdout;
    let here = common::env::binary();
    let printed = printed.replace(here.to_str().unwrap(), "/usr/bin/reclog").replace("up web ", "up %i ");
    let own =
        ["Environment", "Description", "Documentation", "Type", "ExecReload", "RestartSteps", "RestartMaxDelaySec"];
    let rules = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.filter(|l| !own.iter().any(|key| l.starts_with(&format!("{key}=")))).map(str::to_owned).collect()
    };
    assert_eq!(rules(&text), rules(&printed));
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("reclog@.service");
    // The program is not installed here.
    std::fs::write(&unit, text.replace("/usr/bin/reclog", here.to_str().unwrap())).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["--user", "--man=no", "verify"]).arg(&unit).env("XDG_RUNTIME_DIR", folder.path());
    let output = verify.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}
