//! Which file a record goes to: a template, the sender and the time make a path. Pure; clock and zone come in as arguments.

use core::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Zoned;

use crate::plan::{Field, NAMELESS, Piece, Template, name_from};

/// The address of who has none.
const UNIX: &str = "unix";

/// Makes the paths of one stream's files.
#[derive(Debug, Clone)]
pub struct Route {
    template: Template,
    /// The stream, as it stands in names.
    stream: String,
}

impl Route {
    /// For the stream of this name.
    pub fn new(template: Template, stream: &str) -> Self {
        Self { template, stream: name_from(stream) }
    }

    /// The path of the file of a sender at a time. `peer` is `ip:port` or what stands for it. Of what is not known here before,
    /// nothing but letters, digits, `.`, `_` and `-` gets into a name, and it never begins with a dot.
    pub fn path(&self, peer: &str, keyword: Option<&str>, at: &Zoned) -> PathBuf {
        let mut path = String::new();
        for piece in self.template.pieces() {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Field(Field::PeerIp) => path.push_str(&address(peer)),
                Piece::Field(Field::Keyword) => path.push_str(&keyword.map_or(NAMELESS.into(), name_from)),
                Piece::Field(Field::Stream) => path.push_str(&self.stream),
                Piece::Field(Field::Date) => path.push_str(&at.strftime("%Y-%m-%d").to_string()),
                Piece::Field(Field::Hour) => path.push_str(&at.strftime("%H").to_string()),
                // Refused where the template was made.
                Piece::Field(Field::Time | Field::Peer | Field::Number) => {}
            }
        }
        path.into()
    }

    /// What of a sender its path depends on.
    pub fn key<'a>(&self, peer: &'a str, keyword: Option<&'a str>) -> [&'a str; 2] {
        let peer = if self.template.has(Field::PeerIp) { without_port(peer) } else { "" };
        let keyword = if self.template.has(Field::Keyword) { keyword.unwrap_or(NAMELESS) } else { "" };
        [peer, keyword]
    }

    /// Whether paths depend on the time.
    pub fn is_timed(&self) -> bool {
        self.template.has(Field::Date) || self.template.has(Field::Hour)
    }

    /// What paths are made of.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// As it was written.
    pub fn written(&self) -> &Path {
        Path::new(self.template.as_str())
    }

    /// The folder below which all files are.
    pub fn fixed(&self) -> &Path {
        self.template.fixed()
    }
}

/// `ip` of `ip:port` and `[ip]:port`; `unix` for all that came through a socket here; all else as it is.
fn without_port(peer: &str) -> &str {
    // Who sends there is told by process numbers: each would have a file of its own.
    if peer.starts_with(UNIX) {
        return UNIX;
    }
    let port = peer.rsplit_once(':').filter(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    match port {
        Some((ip, _)) if ip.starts_with('[') && ip.ends_with(']') => &ip[1..ip.len() - 1],
        Some((ip, _)) if !ip.contains(':') => ip,
        _ => peer,
    }
}

/// An address as a name. No colons: rsync, scp and other systems take them for something else. `::1` is `0--1`.
fn address(peer: &str) -> String {
    let peer = without_port(peer);
    match peer.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Ok(IpAddr::V6(ip)) => {
            let text = ip.to_string().replace(':', "-");
            if text.starts_with('-') { format!("0{text}") } else { text }
        }
        Err(_) => name_from(peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::is_name;
    use proptest::prelude::*;

    fn route(template: &str) -> Route {
        Route::new(Template::path(template).unwrap(), "main")
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_made_of_the_sender_and_the_time() {
        let all = route("/logs/{stream}/{peer_ip}/{keyword}-{date}.{hour}.log");
        let now = at("2026-11-21T07:59:59.999+01:00[Europe/Berlin]");
        let path = |peer, keyword| all.path(peer, keyword, &now).to_str().unwrap().to_owned();
        assert_eq!(path("192.0.2.7:514", Some("app")), "/logs/main/192.0.2.7/app-2026-11-21.07.log");
        for (peer, name) in [
            ("[2001:db8::7]:514", "2001-db8--7"),
            ("[::1]:514", "0--1"),
            ("::1", "0--1"),
            ("[::ffff:192.0.2.7]:1", "192.0.2.7"),
            ("[fe80::1%eth0]:9", "fe80__1_eth0"),
            ("192.0.2.7", "192.0.2.7"),
            ("unix:uid=0,pid=4711", "unix"),
            ("unix", "unix"),
            ("", "_"),
            ("../../etc:7", "_.._.._etc"),
            ("..:1", "_.."),
        ] {
            assert_eq!(path(peer, None), format!("/logs/main/{name}/default-2026-11-21.07.log"), "{peer}");
        }
        assert_eq!(path("192.0.2.7:1", Some("../x")), "/logs/main/192.0.2.7/_.._x-2026-11-21.07.log");
        assert_eq!(all.fixed(), Path::new("/logs"));
        assert!(all.is_timed() && !route("/logs/{peer_ip}").is_timed());
    }

    #[test]
    fn senders_whose_paths_are_the_same_have_one_key() {
        let by_address = route("/logs/{peer_ip}");
        assert_eq!(by_address.key("192.0.2.7:1", Some("a")), by_address.key("192.0.2.7:2", None));
        assert_ne!(by_address.key("192.0.2.7:1", None), by_address.key("192.0.2.8:1", None));
        let by_keyword = route("/logs/{keyword}");
        assert_eq!(by_keyword.key("192.0.2.7:1", None), by_keyword.key("192.0.2.8:1", Some("default")));
        assert_ne!(by_keyword.key("192.0.2.7:1", Some("a")), by_keyword.key("192.0.2.7:1", Some("b")));
    }

    proptest! {
        #[test]
        fn no_sender_gets_out_of_its_place(peer in "\\PC{0,80}|[a-f0-9:.\\[\\]/]{0,50}", keyword in proptest::option::of("\\PC{0,80}")) {
            let now = at("2026-11-21T07:00:00[UTC]");
            let path = route("/logs/{peer_ip}/{keyword}").path(&peer, keyword.as_deref(), &now);
            let below = path.strip_prefix("/logs").unwrap();
            let names: Vec<_> = below.components().map(|c| c.as_os_str().to_str().unwrap()).collect();
            prop_assert_eq!(names.len(), 2, "{:?}", path);
            prop_assert!(names.iter().all(|name| is_name(name)), "{:?}", path);
        }
    }
}
