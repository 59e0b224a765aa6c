//! Agents: the real one, and one that does what a test wants.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use russh::keys::signature::Signer;
use russh::keys::ssh_key::HashAlg;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::{Daemon, Env, SOON, find_program, wait_until};

/// A real `ssh-agent`.
pub struct Agent {
    pub socket: String,
    _daemon: Daemon,
}

impl Agent {
    #[track_caller]
    pub fn start(env: &Env) -> Self {
        let socket = env.arg("agent");
        let mut agent = env.command(find_program("ssh-agent").unwrap());
        let daemon = Daemon::start(agent.args(["-D", "-a", &socket]));
        wait_until("the agent listens", SOON, || UnixStream::connect(&socket).ok());
        Self { socket, _daemon: daemon }
    }

    /// `ssh-add` with these arguments.
    #[track_caller]
    pub fn add(&self, env: &Env, args: &[&Path]) {
        let added = env.command("ssh-add").env("SSH_AUTH_SOCK", &self.socket).arg("-q").args(args).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
}

/// What a [`Fake`] answers to a request: the bytes on the wire, its length included. Nothing: it hangs.
pub type Answer = Box<dyn FnMut(u8, &[u8]) -> Option<Vec<u8>> + Send>;

/// An agent that answers as a test wants. It ends with the test.
pub struct Fake {
    pub socket: PathBuf,
    /// The kinds of requests so far.
    pub asked: Arc<Mutex<Vec<u8>>>,
}

pub const LIST: u8 = 11;
pub const SIGN: u8 = 13;

impl Fake {
    pub fn start(env: &Env, mut answer: Answer) -> Self {
        let socket = env.path("fake-agent");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::<Mutex<Vec<u8>>>::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                while let Some((kind, body)) = request(&mut stream) {
                    log.lock().unwrap().push(kind);
                    let Some(bytes) = answer(kind, &body) else {
                        silent.push(stream.try_clone().unwrap());
                        break;
                    };
                    let _ = stream.write_all(&bytes);
                }
            }
        });
        Self { socket, asked }
    }
}

fn request(stream: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some((body.remove(0), body))
}

/// A message with its length.
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len() + 1).unwrap().to_be_bytes()[..], &[kind], body].concat()
}

/// A string of the wire.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// The answer to [`LIST`].
pub fn list(keys: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let keys_on_wire = keys.iter().flat_map(|(blob, comment)| [string(blob), string(comment)].concat());
    let count = u32::try_from(keys.len()).unwrap().to_be_bytes();
    frame(12, &count.into_iter().chain(keys_on_wire).collect::<Vec<_>>())
}

/// A key of a security key that lies in memory: its public half on the wire, and what its device would sign.
pub struct SecurityKey(Ed25519Keypair);

const SK: &[u8] = b"sk-ssh-ed25519@openssh.com";

impl SecurityKey {
    pub fn new(seed: u8) -> Self {
        Self(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    pub fn blob(&self) -> Vec<u8> {
        [string(SK), string(self.0.public.as_ref()), string(b"ssh:")].concat()
    }

    /// The answer to [`SIGN`]; `touched` is what the device says.
    pub fn sign(&self, request: &[u8], touched: bool) -> Vec<u8> {
        // string key, string data, flags
        let skip = |from: &[u8]| 4 + usize::try_from(u32::from_be_bytes(from[..4].try_into().unwrap())).unwrap();
        let rest = &request[skip(request)..];
        let data = &rest[4..skip(rest)];
        let tail = [&[u8::from(touched)][..], &7u32.to_be_bytes()].concat();
        let signed = [HashAlg::Sha256.digest(b"ssh:"), tail.clone(), HashAlg::Sha256.digest(data)].concat();
        let signature = self.0.try_sign(&signed).unwrap();
        frame(14, &string(&[string(SK), string(signature.as_bytes()), tail].concat()))
    }
}
