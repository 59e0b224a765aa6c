//! What the installed `ssh` makes of a configuration (`ssh -G`), beside what reclog makes of it.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reclog::plan::SshPlan;
use reclog::ssh::{Family, Method, Proxy, Settings, StrictHostKeyChecking};

/// One command line and the files that it reads.
pub struct Case {
    /// Holds `config` and what that includes.
    pub folder: tempfile::TempDir,
    /// `[user@]host`.
    pub target: String,
    pub port: Option<u16>,
    pub options: Vec<(String, String)>,
    pub identities: Vec<PathBuf>,
    pub jump: Vec<String>,
}

impl Case {
    /// `config` for `target`; `@` in it stands for the folder of the case.
    pub fn new(target: &str, config: &str) -> Self {
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
            target: target.to_owned(),
            port: None,
            options: Vec::new(),
            identities: Vec::new(),
            jump: Vec::new(),
        };
        case.file("config", config);
        case
    }

    /// Another file in the folder.
    pub fn file(&self, name: &str, text: &str) {
        let text = text.replace("@/", &format!("{}/", self.folder.path().display()));
        self.bytes(name, text.as_bytes());
    }

    pub fn bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub fn plan(&self) -> SshPlan {
        let (user, host) = match self.target.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, self.target.as_str()),
        };
        SshPlan {
            user,
            host: host.to_owned(),
            port: self.port,
            options: self.options.clone(),
            identities: self.identities.clone(),
            jump: self.jump.clone(),
            config_file: Some(self.config()),
            ..SshPlan::default()
        }
    }

    pub fn ours(&self) -> Result<Settings, reclog::error::Error> {
        Settings::resolve(&self.plan())
    }

    /// `ssh`, its arguments but for what it shall do.
    pub fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.config()).arg("-T").stdin(Stdio::null());
        self.port.iter().for_each(|port| {
            ssh.args(["-p", &port.to_string()]);
        });
        self.identities.iter().for_each(|file| {
            ssh.arg("-i").arg(file);
        });
        if !self.jump.is_empty() {
            ssh.args(["-J", &self.jump.join(",")]);
        }
        // The target first: a user in it comes before `-o User`.
        ssh.arg(&self.target);
        for (keyword, value) in &self.options {
            ssh.arg("-o").arg(format!("{keyword}={value}"));
        }
        ssh
    }

    /// What `ssh -G` prints, or what it says when it refuses.
    pub fn theirs(&self) -> Result<Theirs, String> {
        let out = self.ssh().arg("-G").output().unwrap();
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
        let mut all = BTreeMap::<String, Vec<String>>::new();
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            all.entry(keyword.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Theirs(all))
    }

    /// Both are of one opinion.
    #[track_caller]
    pub fn agree(&self) {
        match (self.ours(), self.theirs()) {
            (Ok(ours), Ok(theirs)) => {
                for (what, here, there) in theirs.compared(&ours) {
                    assert_eq!(here, there, "{what} differs (reclog left, ssh right)\n{}", self.shown());
                }
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(why)) => panic!("ssh refuses and reclog does not: {why}\n{}", self.shown()),
            (Err(why), Ok(_)) => panic!("reclog refuses and ssh does not: {why}\n{}", self.shown()),
        }
    }

    /// Command line and files, to see what failed.
    pub fn shown(&self) -> String {
        let mut text = format!("{:?}\n", self.ssh());
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if let Ok(content) = std::fs::read(entry.path()) {
                    let content = String::from_utf8_lossy(&content).chars().take(4000).collect::<String>();
                    text += &format!("--- {}\n{content}\n", entry.path().display());
                }
            }
        }
        text
    }
}

/// What `ssh -G` printed.
pub struct Theirs(BTreeMap<String, Vec<String>>);

impl Theirs {
    pub fn one(&self, keyword: &str) -> &str {
        self.0.get(keyword).and_then(|all| all.first()).map_or("", String::as_str)
    }

    fn all(&self, keyword: &str) -> &[String] {
        self.0.get(keyword).map_or(&[], Vec::as_slice)
    }

    fn yes(&self, keyword: &str) -> bool {
        !matches!(self.one(keyword), "no" | "false" | "")
    }

    /// Every value that both know: what it is, ours, theirs.
    pub fn compared(&self, ours: &Settings) -> Vec<(&'static str, String, String)> {
        let text = |value: &str| value.to_owned();
        let paths = |files: &[PathBuf]| files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(" ");
        let listed = |text: &str| if text == "none" { String::new() } else { text.to_owned() };
        let mut all = vec![
            ("host", ours.host.clone(), text(self.one("hostname"))),
            ("user", ours.user.clone(), text(self.one("user"))),
            ("port", ours.port.to_string(), text(self.one("port"))),
            ("identities", paths(&ours.identities), self.identities(ours)),
            ("identities only", ours.identities_only.to_string(), self.yes("identitiesonly").to_string()),
            ("certificates", paths(&ours.certificates), Self::expanded(ours, self.all("certificatefile"))),
            ("methods", format!("{:?}", ours.methods), format!("{:?}", self.methods())),
            ("prompts", ours.password_prompts.to_string(), text(self.one("numberofpasswordprompts"))),
            ("batch mode", ours.batch_mode.to_string(), self.yes("batchmode").to_string()),
            ("compression", ours.algorithms.compression.to_string(), self.yes("compression").to_string()),
            ("proxy", proxy(&ours.proxy), self.proxy(ours)),
            ("family", family(ours.family).into(), text(self.one("addressfamily"))),
            ("bind address", ours.bind_address.clone().unwrap_or_default(), text(self.one("bindaddress"))),
            ("attempts", ours.connection_attempts.to_string(), self.number("connectionattempts", 0, 1)),
            ("user known hosts", paths(&ours.user_known_hosts), listed(self.one("userknownhostsfile"))),
            ("global known hosts", paths(&ours.global_known_hosts), listed(self.one("globalknownhostsfile"))),
            (
                "revoked",
                ours.revoked_host_keys.as_deref().map(Path::display).map(|p| p.to_string()).unwrap_or_default(),
                Self::expanded(ours, &[listed(self.one("revokedhostkeys"))]),
            ),
            ("hash known hosts", ours.hash_known_hosts.to_string(), self.yes("hashknownhosts").to_string()),
            ("key alias", ours.host_key_alias.clone().unwrap_or_default(), text(self.one("hostkeyalias"))),
            ("strict", strict(ours.strict).into(), text(self.one("stricthostkeychecking"))),
            ("timeout", ours.connect_timeout.as_secs().to_string(), self.number("connecttimeout", 0, 10)),
            ("count", ours.keepalive_count.to_string(), self.number("serveralivecountmax", 0, 1)),
            (
                "rekey",
                ours.rekey_limit.unwrap_or(0).to_string(),
                text(self.one("rekeylimit").split(' ').next().unwrap_or_default()),
            ),
        ];
        // Debian's ssh asks every 300 s in batch mode; reclog keeps to its own 15 s.
        if !(ours.batch_mode && self.one("serveraliveinterval") == "300") {
            let keepalive = ours.keepalive.unwrap_or_default().as_secs().to_string();
            all.push(("keepalive", keepalive, self.number("serveraliveinterval", 0, 15)));
        }
        let agent = ours.agent.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
        match self.one("identityagent") {
            "" | "SSH_AUTH_SOCK" => {}
            name if name.starts_with('$') => {}
            path => all.push(("agent", agent, listed(path))),
        }
        all
    }

    fn number(&self, keyword: &str, none: u64, instead: u64) -> String {
        let number = self.one(keyword).parse().unwrap_or(none);
        (if number == none { instead } else { number }).to_string()
    }

    /// ssh -G prints these without having expanded them.
    fn expanded(ours: &Settings, files: &[String]) -> String {
        let home = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap();
        let one = |file: &String| {
            let file = file.strip_prefix('~').map_or(file.clone(), |rest| format!("{}{rest}", home.dir.display()));
            let file = file.replace("%h", &ours.host).replace("%n", &ours.alias).replace("%p", &ours.port.to_string());
            file.replace("%r", &ours.user).replace("%u", &home.name).replace("%d", &home.dir.to_string_lossy())
        };
        files.iter().filter(|f| *f != "none").map(one).collect::<Vec<_>>().join(" ")
    }

    fn identities(&self, ours: &Settings) -> String {
        let ignored = ["~/.ssh/id_xmss", "~/.ssh/id_dsa"];
        let files: Vec<_> =
            self.all("identityfile").iter().filter(|f| !ignored.contains(&f.as_str())).cloned().collect();
        Self::expanded(ours, &files)
    }

    fn methods(&self) -> Vec<Method> {
        let preferred = match self.one("preferredauthentications") {
            "" => "publickey,keyboard-interactive,password",
            list => list,
        };
        let batch = self.yes("batchmode");
        let mut all = Vec::new();
        for name in preferred.split(',') {
            let (method, on) = match name {
                "publickey" => (Method::PublicKey, self.yes("pubkeyauthentication")),
                "keyboard-interactive" => {
                    (Method::KeyboardInteractive, self.yes("kbdinteractiveauthentication") && !batch)
                }
                "password" => (Method::Password, self.yes("passwordauthentication") && !batch),
                _ => continue,
            };
            if on && !all.contains(&method) {
                all.push(method);
            }
        }
        all
    }

    fn proxy(&self, ours: &Settings) -> String {
        match (self.one("proxyjump"), self.one("proxycommand")) {
            ("", "") => String::new(),
            // The last hop is printed as it was understood.
            ("", command) => Self::expanded(ours, &[command.to_owned()]),
            (jump, _) => {
                let plain = |hop: &str| hop.trim_start_matches("ssh://").trim_end_matches('/').to_owned();
                jump.split(',').map(plain).collect::<Vec<_>>().join(",")
            }
        }
    }
}

fn proxy(proxy: &Proxy) -> String {
    let plain = |hop: &String| hop.trim_start_matches("ssh://").trim_end_matches('/').to_owned();
    match proxy {
        Proxy::None => String::new(),
        Proxy::Command(command) => command.clone(),
        Proxy::Jump(hops) => hops.iter().map(plain).collect::<Vec<_>>().join(","),
    }
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Any => "any",
        Family::Inet => "inet",
        Family::Inet6 => "inet6",
    }
}

fn strict(strict: StrictHostKeyChecking) -> &'static str {
    match strict {
        StrictHostKeyChecking::Yes => "true",
        StrictHostKeyChecking::Ask => "ask",
        StrictHostKeyChecking::AcceptNew => "accept-new",
        StrictHostKeyChecking::No => "false",
    }
}
