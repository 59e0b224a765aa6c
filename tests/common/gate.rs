//! An SSH server that asks, says and does what a test wants; forwards are granted and nothing ever comes in by them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, Config, Handler, PublicKeyOffer, Response, Session, VerifiedPublicKey};
use russh::{MethodKind, MethodSet};
use tokio::sync::watch;

/// A prompt, whether it is echoed, and the right answer.
pub type Asked = (&'static str, bool, &'static str);

/// What the server does.
#[derive(Clone, Default)]
pub struct Script {
    pub methods: Vec<MethodKind>,
    pub banner: Option<String>,
    /// Requests of keyboard-interactive: name, instruction, prompts.
    pub requests: Vec<(String, String, Vec<Asked>)>,
    pub password: Option<&'static str>,
    /// Never answers this method.
    pub hangs_at: Option<MethodKind>,
    /// What is right is not enough: these methods are wanted, too.
    pub then: Vec<MethodKind>,
    /// Asks the same again for ever.
    pub endless: bool,
    /// Ends connections that did not log in within this time.
    pub patience: Option<Duration>,
}

/// The server. `Drop` ends it.
pub struct Gate {
    pub address: SocketAddr,
    key: PublicKey,
    /// What clients did: `none`, `password x`, `answers a|b`, `in`.
    heard: Arc<Mutex<Vec<String>>>,
    cut: watch::Sender<u32>,
    script: Arc<Mutex<Script>>,
    _end: tokio_util::sync::DropGuard,
}

impl Gate {
    pub fn start(script: Script) -> Self {
        let host = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let key = host.public_key().clone();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let end = tokio_util::sync::CancellationToken::new();
        let (cut, cuts) = watch::channel(0);
        let (tell, told) = std::sync::mpsc::channel();
        let config = Arc::new(Config {
            methods: MethodSet::from(&script.methods[..]),
            keys: vec![host],
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            max_auth_attempts: 100,
            ..Config::default()
        });
        let script = Arc::new(Mutex::new(script));
        let (log, over, scripts) = (Arc::clone(&heard), end.clone(), Arc::clone(&script));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let serve = async {
                    loop {
                        let Ok((stream, _)) = listener.accept().await else { return };
                        let script = scripts.lock().unwrap().clone();
                        let patience = script.patience;
                        let client = Client { script, heard: Arc::clone(&log), step: 0, passed: false };
                        let (config, mut cuts) = (Arc::clone(&config), cuts.clone());
                        tokio::spawn(async move {
                            cuts.mark_unchanged();
                            let Ok(session) = russh::server::run_stream(config, stream, client).await else { return };
                            let handle = session.handle();
                            let late = async {
                                match patience {
                                    Some(patience) => tokio::time::sleep(patience).await,
                                    None => std::future::pending().await,
                                }
                            };
                            // Runs on without anybody who waits for it.
                            drop(session);
                            let last = tokio::select! {
                                _ = cuts.changed() => "cut",
                                () = late => "Timeout before authentication",
                            };
                            let reason = russh::Disconnect::ByApplication;
                            let _ = handle.disconnect(reason, last.into(), String::new()).await;
                        });
                    }
                };
                over.run_until_cancelled(serve).await;
            });
            runtime.shutdown_background();
        });
        Self { address: told.recv().unwrap(), key, heard, cut, script, _end: end.drop_guard() }
    }

    /// What it does with connections from now on; the methods that it names first stay.
    pub fn rewrite(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    /// What clients did so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Its line of known_hosts.
    pub fn known_hosts(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.address.port(), self.key.to_openssh().unwrap())
    }
}

struct Client {
    script: Script,
    heard: Arc<Mutex<Vec<String>>>,
    /// Requests of keyboard-interactive that were made.
    step: usize,
    passed: bool,
}

impl Client {
    async fn hear(&self, method: MethodKind, what: String) {
        self.heard.lock().unwrap().push(what);
        if self.script.hangs_at == Some(method) {
            std::future::pending::<()>().await;
        }
    }

    fn right(&mut self) -> Auth {
        if self.script.then.is_empty() || self.passed {
            self.heard.lock().unwrap().push("in".into());
            return Auth::Accept;
        }
        self.passed = true;
        Auth::Reject { proceed_with_methods: Some(MethodSet::from(&self.script.then[..])), partial_success: true }
    }

    fn wrong(&self) -> Auth {
        let methods = if self.passed { &self.script.then } else { &self.script.methods };
        Auth::Reject { proceed_with_methods: Some(MethodSet::from(&methods[..])), partial_success: false }
    }

    fn request(&mut self) -> Auth {
        let (name, instructions, prompts) = self.script.requests[self.step].clone();
        if !self.script.endless {
            self.step += 1;
        }
        Auth::Partial {
            name: name.into(),
            instructions: instructions.into(),
            prompts: prompts.into_iter().map(|(p, echo, _)| (Cow::Borrowed(p), echo)).collect::<Vec<_>>().into(),
        }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(self.script.banner.clone())
    }

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        self.hear(MethodKind::None, "none".into()).await;
        if self.script.methods.is_empty() { Ok(self.right()) } else { Ok(self.wrong()) }
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.hear(MethodKind::Password, format!("password {password}")).await;
        Ok(if self.script.password == Some(password) { self.right() } else { self.wrong() })
    }

    async fn auth_publickey_offered(&mut self, _user: &str, _offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        self.hear(MethodKind::PublicKey, "offer".into()).await;
        Ok(Auth::Accept)
    }

    async fn auth_publickey(&mut self, _user: &str, _key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.right())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(response) = response else {
            self.hear(MethodKind::KeyboardInteractive, "questions".into()).await;
            self.step = 0;
            return Ok(if self.script.requests.is_empty() { self.wrong() } else { self.request() });
        };
        let given: Vec<String> = response.map(|r| String::from_utf8_lossy(&r).into_owned()).collect();
        self.heard.lock().unwrap().push(format!("answers {}", given.join("|")));
        if self.script.endless {
            return Ok(self.request());
        }
        let right = self.script.requests[self.step - 1].2.iter().map(|(_, _, right)| *right);
        if !right.eq(given.iter().map(String::as_str)) {
            return Ok(self.wrong());
        }
        Ok(if self.step < self.script.requests.len() { self.request() } else { self.right() })
    }

    async fn tcpip_forward(&mut self, _: &str, port: &mut u32, _: &mut Session) -> Result<bool, Self::Error> {
        if *port == 0 {
            *port = 55514;
        }
        Ok(true)
    }
}
