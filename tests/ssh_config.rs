//! ssh_config as ssh reads it: the installed `ssh -G` is the oracle.

mod common;
mod oracle;

use oracle::Case;
use rand::prelude::*;

/// Makes configurations.
struct Maker {
    rng: StdRng,
    includes: Vec<(String, String)>,
}

impl Maker {
    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.rng.random_range(0..all.len())]
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_ratio(1, n)
    }

    fn case(seed: u64) -> Case {
        let mut maker = Maker { rng: StdRng::seed_from_u64(seed), includes: Vec::new() };
        let lines = maker.rng.random_range(1..25);
        let text = maker.text(lines, 0);
        let user = if maker.one_in(4) { maker.pick(&["me@", "log@"]) } else { "" };
        let host = maker.pick(&["jump", "JUMP", "a.example.org", "b.example.org", "10.0.0.1", "x-y"]);
        let mut case = Case::new(&format!("{user}{host}"), &text);
        for (name, text) in std::mem::take(&mut maker.includes) {
            case.file(&name, &text);
        }
        for _ in 0..maker.rng.random_range(0..4) {
            let (keyword, value) = maker.setting();
            if keyword != "identityfile" {
                case.options.push((keyword.to_owned(), value));
            }
        }
        if maker.one_in(5) {
            case.port = Some(2022);
        }
        if maker.one_in(5) {
            // ssh leaves out files that are not there, reclog says so when it comes to them.
            case.file("given", "");
            case.identities = vec![case.folder.path().join("given")];
        }
        // ssh does not let -J follow a ProxyCommand on the command line.
        if maker.one_in(8) && case.options.iter().all(|(k, _)| !k.starts_with("proxy")) {
            case.jump = vec!["first".into(), "me@last:2200".into()];
        }
        case
    }

    fn text(&mut self, lines: usize, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..lines {
            let line = match self.rng.random_range(0..20) {
                0..=3 => self.host_line(),
                4..=6 => self.match_line(),
                7 | 8 if depth < 3 => self.include(depth),
                9 => self.pick(&["", "# comment", "   ", "\t# Host x"]).to_owned(),
                _ => {
                    let (keyword, value) = self.setting();
                    self.written(keyword, &value)
                }
            };
            text += self.pick(&["", "", "  ", "\t"]);
            text += &line;
            text += self.pick(&["\n", "\n", "\n", "\r\n", "  \n"]);
        }
        text
    }

    fn host_line(&mut self) -> String {
        let patterns =
            ["jump", "*", "!jump", "*.example.org", "?.example.org", "!b.*", "10.*", "J*", "x-?", "jump.real"];
        let count = self.rng.random_range(1..4);
        let all: Vec<_> = (0..count).map(|_| self.pick(&patterns)).collect();
        let separator = self.pick(&[" ", "  ", "\t"]);
        let value = all.join(separator);
        self.keyword("Host") + &value
    }

    fn match_line(&mut self) -> String {
        if self.one_in(8) {
            let all = self.pick(&["all", "all # c", "!all", "final all", "canonical all", "ALL"]);
            return self.keyword("Match") + all;
        }
        let mut parts = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let not = if self.one_in(4) { "!" } else { "" };
            let lists = ["jump", "*", "JUMP", "*.example.org,!a*", "!jump,*", "jump.real", "x*,y", "\"jump,x-y\""];
            let users = ["me", "log", "*", "!me,*", "ME", "\"me,log\"", "root"];
            parts.push(match self.rng.random_range(0..14) {
                0..=2 => format!("{not}host {}", self.pick(&lists)),
                3..=5 => format!("{not}originalhost {}", self.pick(&lists)),
                6..=8 => format!("{not}user {}", self.pick(&users)),
                9 => format!("{not}localuser {}", self.pick(&users)),
                10 => format!("{not}final"),
                11 => format!("{not}canonical"),
                12 => {
                    format!("{not}exec {}", self.pick(&["true", "false", "\"test %h = jump\"", "\"test %p%r = 22me\""]))
                }
                _ => format!("{not}Host={}", self.pick(&lists)),
            });
        }
        self.keyword("Match") + &parts.join(" ")
    }

    fn include(&mut self, depth: usize) -> String {
        let name = format!("inc/{}.conf", self.includes.len());
        let lines = self.rng.random_range(0..6);
        // The number is taken before deeper files take theirs.
        self.includes.push((name.clone(), String::new()));
        let at = self.includes.len() - 1;
        let text = self.text(lines, depth + 1);
        self.includes[at].1 = text;
        let file = format!("@/{name}");
        let other = self.pick(&["", " @/inc/nosuch*", " /nosuch/file"]);
        let file = if self.one_in(4) { format!("\"{file}\"") } else { file };
        self.keyword("Include") + &file + other
    }

    /// The keyword with what separates it from its value.
    fn keyword(&mut self, keyword: &str) -> String {
        let keyword = match self.rng.random_range(0..4) {
            0 => keyword.to_uppercase(),
            1 => keyword.to_lowercase(),
            _ => keyword.to_owned(),
        };
        keyword + self.pick(&[" ", " ", " ", "=", " = ", "\t", "  "])
    }

    fn written(&mut self, keyword: &str, value: &str) -> String {
        let raw = keyword.starts_with("proxy");
        let quotable = !raw && !value.contains(['"', '\\', ' ', '#']);
        let value = match self.rng.random_range(0..10) {
            0 if quotable => format!("\"{value}\""),
            1 if quotable => format!("'{value}'"),
            2 if quotable => format!("{value} # comment"),
            _ => value.to_owned(),
        };
        self.keyword(keyword) + &value
    }

    fn setting(&mut self) -> (&'static str, String) {
        const FLAGS: &[&str] = &["yes", "no", "true", "false", "YES", "No"];
        const KEYS: &[(&str, &[&str])] = &[
            ("hostname", &["jump.real", "%h.example.org", "JUMP.Real", "127.0.0.1", "%%x", "jump"]),
            ("port", &["22", "2222", "022", "+5", "65535", "ssh"]),
            ("user", &["me", "log", "a b", "\"a b\"", "x\\ y", "%r"]),
            (
                "identityfile",
                &["/keys/a", "/keys/b", "/keys/%h-%r", "none", "~/key", "/keys/%n%p%d", "\"/keys/with blank\""],
            ),
            ("certificatefile", &["/keys/a-cert.pub", "/keys/%h-cert.pub"]),
            ("identitiesonly", FLAGS),
            ("identityagent", &["/agent", "none", "SSH_AUTH_SOCK", "%d/agent", "~/agent", "$SSH_AUTH_SOCK"]),
            ("hostkeyalias", &["alias", "ALIAS"]),
            ("userknownhostsfile", &["/k1", "/k1 /k2", "none", "~/k", "/k/%h/%k-%C", "/k${HOME}/x", "/k/%l.%L.%i.%u"]),
            ("globalknownhostsfile", &["/g1", "/g1 /g2", "none"]),
            ("revokedhostkeys", &["/revoked", "none"]),
            ("stricthostkeychecking", &["yes", "no", "ask", "off", "accept-new", "Accept-New"]),
            ("hashknownhosts", FLAGS),
            ("proxyjump", &["none", "bastion", "me@bastion:2222", "a,b", "ssh://a@b:22", "[::1]:5,c", "x # y"]),
            ("proxycommand", &["none", "nc %h %p", "ssh -W x \"y z\" # not a comment", "= connect %n %r"]),
            ("connecttimeout", &["5", "1m30", "none", "0", "1h", "2D"]),
            ("connectionattempts", &["1", "3"]),
            ("serveraliveinterval", &["0", "15", "1m", "none"]),
            ("serveralivecountmax", &["0", "1", "7"]),
            ("compression", &["yes", "no"]),
            ("addressfamily", &["any", "inet", "inet6", "INET"]),
            ("bindaddress", &["127.0.0.1", "%h"]),
            ("preferredauthentications", &["password", "publickey,password", "gssapi-with-mic,publickey", "hostbased"]),
            ("pubkeyauthentication", &["yes", "no", "unbound", "host-bound"]),
            ("passwordauthentication", FLAGS),
            ("kbdinteractiveauthentication", FLAGS),
            ("challengeresponseauthentication", FLAGS),
            ("numberofpasswordprompts", &["0", "1", "5"]),
            ("batchmode", FLAGS),
            ("rekeylimit", &["1G", "default", "500M 1h", "1.5k none", "0"]),
            ("canonicalizehostname", &["no", "no", "yes", "always"]),
            ("forwardagent", &["yes", "no"]),
            ("sendenv", &["LANG LC_*", "-X"]),
            ("localforward", &["8080 localhost:80"]),
            ("visualhostkey", FLAGS),
            ("loglevel", &["INFO", "debug3"]),
            ("ignoreunknown", &["Foo*,bar"]),
            ("ciphers", &["aes128-ctr", "+3des-cbc", "-aes*", "^aes256-ctr"]),
        ];
        const BAD: &[(&str, &[&str])] = &[
            ("port", &["0", "65536", "x", "22 23", "\"\""]),
            ("identitiesonly", &["maybe", "yes no"]),
            ("stricthostkeychecking", &["perhaps"]),
            ("connecttimeout", &["1x", "-1"]),
            ("proxyjump", &["a, b", "a@", "b:99999"]),
            ("userknownhostsfile", &["none x", "/a \"\"", "/%x", "/a%"]),
            ("hostname", &["%p", "a b"]),
            ("nosuchkeyword", &["x"]),
            ("user", &["\"x"]),
            ("ciphers", &["aes128-ctr,nosuch"]),
            ("rekeylimit", &["15", "1G x"]),
            ("identityagent", &["$-", "${NOSUCH_VARIABLE}"]),
            ("foobar", &["x y z"]),
        ];
        let table = if self.one_in(150) { BAD } else { KEYS };
        let (keyword, values) = table[self.rng.random_range(0..table.len())];
        (keyword, self.pick(values).to_owned())
    }
}

/// The same configurations every time; `RECLOG_CASES` for more of them, `RECLOG_SEED` for others.
fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn compare(seeds: impl Iterator<Item = u64>) -> usize {
    let mut refused = 0;
    for seed in seeds {
        let case = Maker::case(seed);
        let result = std::panic::catch_unwind(|| case.agree());
        assert!(result.is_ok(), "the configuration of seed {seed}");
        refused += usize::from(case.ours().is_err());
    }
    refused
}

#[test]
fn generated_configurations_mean_what_they_mean_to_ssh() {
    require!("ssh");
    let (start, all) = (number("RECLOG_SEED", 0), number("RECLOG_CASES", 600));
    let refused = compare(start..start + all);
    assert!(refused > 0 && refused < usize::try_from(all).unwrap() / 3, "{refused} of {all} are refused");
}
