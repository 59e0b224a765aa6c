//! One connection to a real server through the library, with a person who answers from a list, beside the same
//! connection made by ssh.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use reclog::error::{Error, Result};
use reclog::plan::SshPlan;
use reclog::ssh::{Answer, Asking, Connection, Memory, Person, Question, Settings};
use tempfile::TempDir;

use super::sshd::{Sshd, whoami};
use super::{SOON, keygen};

/// A person who gives these answers, one after the other, and then is gone.
#[derive(Default)]
pub struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Question>>,
    told: Mutex<Vec<String>>,
}

impl Script {
    /// Nobody is there.
    pub fn nobody() -> Arc<Self> {
        Arc::default()
    }

    pub fn typing(answers: &[&str]) -> Arc<Self> {
        let answers = answers.iter().map(|text| Answer::Text((*text).to_owned().into()));
        Arc::new(Self { answers: Mutex::new(answers.collect()), ..Self::default() })
    }

    pub fn giving(answer: Answer) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new([answer].into()), ..Self::default() })
    }

    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }

    /// All that was said without a question.
    pub fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }
}

impl Person for Script {
    fn ask(&self, question: Question) -> Asking<'_> {
        self.asked.lock().unwrap().push(question);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Nobody);
        Box::pin(std::future::ready(answer))
    }

    fn tell(&self, text: &str) {
        self.told.lock().unwrap().push(text.to_owned());
    }
}

/// A server, and a folder with the files of a client.
pub struct Stage {
    pub sshd: Sshd,
    pub dir: TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub fn new(sshd: Sshd) -> Self {
        sshd.user_key("ed25519");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { sshd, dir: tempfile::tempdir().unwrap(), runtime }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The user's known_hosts, with this content.
    pub fn known(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("known_hosts");
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `[127.0.0.1]:port`.
    pub fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.sshd.port)
    }

    /// Settings that read known hosts from `known_hosts` of the folder alone.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::resolve(&SshPlan {
            user: Some(whoami()),
            host: "127.0.0.1".into(),
            port: Some(self.sshd.port),
            identities: vec![self.sshd.user_key("ed25519")],
            config_file: Some("none".into()),
            options: vec![("IdentityAgent".into(), "none".into())],
            ..SshPlan::default()
        })
        .unwrap();
        settings.user_known_hosts = vec![self.path("known_hosts")];
        settings.global_known_hosts.clear();
        settings
    }

    /// Connects and logs in, and ends the connection again.
    pub fn connect(&self, settings: &Settings, person: Arc<Script>, memory: &Arc<Memory>) -> Result<()> {
        self.runtime.block_on(async {
            let settings = Arc::new(settings.clone());
            let connection = Connection::establish(settings, person, Arc::clone(memory), &|_, _| ()).await?;
            connection.close(SOON).await;
            Ok(())
        })
    }

    /// As [`Stage::connect`], with nobody there.
    pub fn alone(&self, settings: &Settings) -> Result<()> {
        self.connect(settings, Script::nobody(), &Arc::default())
    }

    /// The host key error of a connection with nobody there.
    #[track_caller]
    pub fn refusal(&self, settings: &Settings) -> Error {
        let error = self.alone(settings).expect_err("refused");
        assert_eq!(error.kind.exit_code(), 5, "{error}");
        error
    }

    /// Whether ssh connects with the same known hosts and asks nothing.
    pub fn ssh_connects(&self, options: &[&str]) -> bool {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ]);
        ssh.args(["-o", "UpdateHostKeys=no", "-p", &self.sshd.port.to_string(), "-i"])
            .arg(self.sshd.user_key("ed25519"));
        for option in options {
            ssh.args(["-o", option]);
        }
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", self.path("known_hosts").display()));
        ssh.args(["-o", "StrictHostKeyChecking=yes", "-l", &whoami(), "127.0.0.1", "true"]);
        ssh.stdin(Stdio::null()).output().expect("ssh").status.success()
    }

    /// A key pair in the folder; made at the first call.
    pub fn keypair(&self, name: &str, kind: &str) -> PathBuf {
        let path = self.path(name);
        if !path.exists() {
            keygen(&path, kind);
        }
        path
    }

    /// The server shows a certificate for its host key of this type from now on, signed by `authority` with these options
    /// of ssh-keygen.
    #[track_caller]
    pub fn certify(&self, kind: &str, authority: &Path, options: &[&str]) {
        let key = self.sshd.file(&format!("host_{kind}.pub"));
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-I", "a host", "-s"]).arg(authority).args(options).arg(&key);
        let signed = sign.output().expect("ssh-keygen");
        assert!(signed.status.success(), "{sign:?}: {}", String::from_utf8_lossy(&signed.stderr));
        let config = self.sshd.file("sshd_config");
        let line = format!("HostCertificate {}\n", self.sshd.file(&format!("host_{kind}-cert.pub")).display());
        let text = std::fs::read_to_string(&config).unwrap();
        if !text.contains(&line) {
            std::fs::write(&config, text + &line).unwrap();
        }
        self.sshd.stop();
        self.sshd.start_again();
    }
}

/// Type and key of a public key file.
pub fn public(key: &Path) -> String {
    let text = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}
