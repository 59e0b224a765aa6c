//! Connect, authenticate, forward: the only room that knows russh.
//!
//! [`Settings`] says how to reach a host, [`Connection`] is one life of a connection to it. Who tries again, and when,
//! is decided elsewhere; whoever sits in front of it is a [`Person`].

mod algorithms;
mod answers;
mod arrival;
mod auth;
mod blame;
mod brake;
mod command;
mod config;
mod connection;
mod dial;
mod distance;
mod doors;
mod greeting;
mod half_closed;
mod handler;
mod harden;
mod host_key;
mod inward;
mod jumps;
mod leg;
mod pipe;
mod porch;
mod prompt;
mod proxy;
mod reach;
mod refusal;
mod rekey;
mod relay;
mod remote_socket;
mod routes;
mod seats;
mod server_process;
mod settings;
mod socket;
mod strange;
mod vigil;

use crate::error::io_reason;

pub use auth::{Memory, PublicHalf, is_locked, locked_alone, public_half};
pub use command::Output;
pub use connection::{Connection, Left};
pub use dial::{addresses, knock, try_each};
pub use distance::WINDOW;
pub use doors::check as check_doors;
pub use greeting::Greeting;
pub use harden::{Ability, Advice, Found, Need, check as check_abilities, own_port};
pub use inward::{Inward, NoWay};
pub use jumps::resolve;
pub use leg::Progress;
pub use prompt::{Answer, Asking, Nobody, Person, Question, QuestionKind, keep_out_of_core_files};
pub use reach::{Facts, Finding, Firewall, Prober, Pulse};
pub use relay::{Before as RelayBefore, Place as RelayPlace, Relayed};
pub use server_process::{Identity, Past};
pub use settings::{Algorithms, Family, Method, Proxy, Settings, StrictHostKeyChecking};

/// How far an attempt to connect has come. Each phase has its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Name resolution and TCP.
    Connect,
    /// Waiting for the server to say `SSH-2.0-…`.
    Banner,
    /// Keys and host key.
    KeyExchange,
    /// Logging in.
    Authentication,
    /// Asking for the ports.
    Forward,
}

impl Phase {
    /// The words for messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Banner => "banner",
            Self::KeyExchange => "key exchange",
            Self::Authentication => "authentication",
            Self::Forward => "forward",
        }
    }
}

/// The library's error in words for people.
fn reason(error: &russh::Error) -> String {
    use russh::Error as E;
    match error {
        E::HUP | E::Disconnect => "the server closed the connection".into(),
        E::IO(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "the server closed the connection".into(),
        E::IO(e) => io_reason(e),
        E::SendError => "the connection is gone".into(),
        other => auth::brief(&other.to_string()),
    }
}
