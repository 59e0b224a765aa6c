//! The keywords of ssh_config(5), what their values may be, and which of them count.

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Begins a block.
    Host,
    /// Begins a block.
    Match,
    /// Names other files.
    Include,
    /// `yes` or `no`.
    Flag,
    /// One of these words, without regard to case.
    Choice(&'static [&'static str]),
    /// A number that is not negative.
    Number,
    /// A port or the name of a service.
    Port,
    /// A span of time, or `none`.
    Time,
    /// One text.
    Text,
    /// One text each time; all of them count.
    Several,
    /// One text in which `${NAME}` has to exist.
    Agent,
    /// Several files, or `none` alone.
    Files,
    /// The rest of the line as it stands.
    Command,
    /// [`Command`](Kind::Command) that loses to an earlier `ProxyJump`, and the other way round.
    Jump,
    /// Bytes, then maybe a time.
    Rekey,
    /// Names of algorithms.
    Algorithms(List),
    /// Texts, so many of them.
    Words(usize, usize),
    /// Anything: ssh reads it no more, or checks what does not concern reclog.
    Loose,
}

/// Which algorithms a list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `Ciphers`
    Ciphers,
    /// `MACs`
    Macs,
    /// `KexAlgorithms`
    Kex,
    /// Signatures and the keys that make them; patterns are allowed.
    Keys,
}

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It is followed.
    Taken,
    /// It is about something that reclog does not do.
    Idle,
    /// ssh itself has given it up.
    Gone,
}

/// One keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyword {
    /// In lower case.
    pub name: &'static str,
    /// Under which its value is kept: older spellings lead to the newer one.
    pub slot: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What becomes of it.
    pub used: Use,
}

const ASK: &[&str] = &["true", "false", "yes", "no", "ask"];
const LEVELS: &[&str] =
    &["silent", "quiet", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3"];
const STRICT: &[&str] = &["true", "false", "yes", "no", "ask", "off", "accept-new"];
const PUBKEY: &[&str] = &["true", "false", "yes", "no", "unbound", "host-bound"];
const MASTER: &[&str] = &["true", "false", "yes", "no", "auto", "ask", "autoask"];
const TUNNEL: &[&str] = &["true", "false", "yes", "no", "ethernet", "point-to-point"];
const CANONICALIZE: &[&str] = &["true", "false", "yes", "no", "always"];

macro_rules! table {
    ($($used:ident { $($name:literal $(=> $slot:literal)?: $kind:expr;)+ })+) => {
        &[$($(Keyword { name: $name, slot: table!(@ $name $(, $slot)?), kind: $kind, used: Use::$used },)+)+]
    };
    (@ $name:literal) => { $name };
    (@ $name:literal, $slot:literal) => { $slot };
}

const TABLE: &[Keyword] = table! {
    Taken {
        "host": Kind::Host;
        "match": Kind::Match;
        "include": Kind::Include;
        "addressfamily": Kind::Choice(&["any", "inet", "inet6"]);
        "batchmode": Kind::Flag;
        "bindaddress": Kind::Text;
        "canonicalizehostname": Kind::Choice(CANONICALIZE);
        "casignaturealgorithms": Kind::Algorithms(List::Keys);
        "certificatefile": Kind::Several;
        "ciphers": Kind::Algorithms(List::Ciphers);
        "compression": Kind::Choice(&["yes", "no"]);
        "connectionattempts": Kind::Number;
        "connecttimeout": Kind::Time;
        "globalknownhostsfile": Kind::Files;
        "hashknownhosts": Kind::Flag;
        "hostkeyalgorithms": Kind::Algorithms(List::Keys);
        "hostkeyalias": Kind::Text;
        "hostname": Kind::Text;
        "identitiesonly": Kind::Flag;
        "identityagent": Kind::Agent;
        "identityfile": Kind::Several;
        "identityfile2" => "identityfile": Kind::Several;
        "ignoreunknown": Kind::Text;
        "kbdinteractiveauthentication": Kind::Flag;
        "challengeresponseauthentication" => "kbdinteractiveauthentication": Kind::Flag;
        "skeyauthentication" => "kbdinteractiveauthentication": Kind::Flag;
        "tisauthentication" => "kbdinteractiveauthentication": Kind::Flag;
        "kexalgorithms": Kind::Algorithms(List::Kex);
        "knownhostscommand": Kind::Command;
        "macs": Kind::Algorithms(List::Macs);
        "numberofpasswordprompts": Kind::Number;
        "passwordauthentication": Kind::Flag;
        "port": Kind::Port;
        "preferredauthentications": Kind::Text;
        "proxycommand": Kind::Command;
        "proxyjump": Kind::Jump;
        "pubkeyacceptedalgorithms": Kind::Algorithms(List::Keys);
        "pubkeyacceptedkeytypes" => "pubkeyacceptedalgorithms": Kind::Algorithms(List::Keys);
        "pubkeyauthentication": Kind::Choice(PUBKEY);
        "dsaauthentication" => "pubkeyauthentication": Kind::Choice(PUBKEY);
        "rekeylimit": Kind::Rekey;
        "remoteforward": Kind::Words(1, 2);
        "requiredrsasize": Kind::Number;
        "revokedhostkeys": Kind::Text;
        "serveralivecountmax": Kind::Number;
        "serveraliveinterval": Kind::Time;
        "protocolkeepalives" => "serveraliveinterval": Kind::Time;
        "setuptimeout" => "connecttimeout": Kind::Time;
        "sessiontype": Kind::Choice(&["none", "subsystem", "default"]);
        "stricthostkeychecking": Kind::Choice(STRICT);
        "tag": Kind::Text;
        "user": Kind::Text;
        "userknownhostsfile": Kind::Files;
    }
    Idle {
        "addkeystoagent": Kind::Words(1, 2);
        "bindinterface": Kind::Text;
        "canonicaldomains": Kind::Loose;
        "canonicalizefallbacklocal": Kind::Flag;
        "canonicalizemaxdots": Kind::Number;
        "canonicalizepermittedcnames": Kind::Loose;
        "channeltimeout": Kind::Loose;
        "checkhostip": Kind::Flag;
        "clearallforwardings": Kind::Flag;
        "controlmaster": Kind::Choice(MASTER);
        "controlpath": Kind::Text;
        "controlpersist": Kind::Text;
        "dynamicforward": Kind::Text;
        "enableescapecommandline": Kind::Flag;
        "enablesshkeysign": Kind::Flag;
        "escapechar": Kind::Text;
        "exitonforwardfailure": Kind::Flag;
        "fingerprinthash": Kind::Choice(&["md5", "sha256"]);
        "forkafterauthentication": Kind::Flag;
        "forwardagent": Kind::Agent;
        "forwardx11": Kind::Flag;
        "forwardx11timeout": Kind::Time;
        "forwardx11trusted": Kind::Flag;
        "gatewayports": Kind::Flag;
        "gssapiauthentication": Kind::Flag;
        "gssapiclientidentity": Kind::Text;
        "gssapidelegatecredentials": Kind::Flag;
        "gssapikexalgorithms": Kind::Text;
        "gssapikeyexchange": Kind::Flag;
        "gssapirenewalforcesrekey": Kind::Flag;
        "gssapiserveridentity": Kind::Text;
        "gssapitrustdns": Kind::Flag;
        "hostbasedacceptedalgorithms": Kind::Algorithms(List::Keys);
        "hostbasedkeytypes" => "hostbasedacceptedalgorithms": Kind::Algorithms(List::Keys);
        "hostbasedauthentication": Kind::Flag;
        "ipqos": Kind::Words(1, 2);
        "kbdinteractivedevices": Kind::Text;
        "localcommand": Kind::Command;
        "localforward": Kind::Words(2, 2);
        "loglevel": Kind::Choice(LEVELS);
        "logverbose": Kind::Loose;
        "nohostauthenticationforlocalhost": Kind::Flag;
        "obscurekeystroketiming": Kind::Loose;
        "permitlocalcommand": Kind::Flag;
        "permitremoteopen": Kind::Loose;
        "pkcs11provider": Kind::Text;
        "smartcarddevice" => "pkcs11provider": Kind::Text;
        "proxyusefdpass": Kind::Flag;
        "refuseconnection": Kind::Loose;
        "remotecommand": Kind::Command;
        "requesttty": Kind::Choice(&["true", "false", "yes", "no", "force", "auto"]);
        "securitykeyprovider": Kind::Text;
        "sendenv": Kind::Loose;
        "setenv": Kind::Loose;
        "stdinnull": Kind::Flag;
        "streamlocalbindmask": Kind::Text;
        "streamlocalbindunlink": Kind::Flag;
        "syslogfacility": Kind::Text;
        "tcpkeepalive": Kind::Flag;
        "keepalive" => "tcpkeepalive": Kind::Flag;
        "tunnel": Kind::Choice(TUNNEL);
        "tunneldevice": Kind::Text;
        "updatehostkeys": Kind::Choice(ASK);
        "verifyhostkeydns": Kind::Choice(ASK);
        "versionaddendum": Kind::Loose;
        "visualhostkey": Kind::Flag;
        "warnweakcrypto": Kind::Loose;
        "xauthlocation": Kind::Text;
    }
    Gone {
        "afstokenpassing": Kind::Loose;
        "cipher": Kind::Loose;
        "compressionlevel": Kind::Loose;
        "fallbacktorsh": Kind::Loose;
        "globalknownhostsfile2": Kind::Loose;
        "kerberosauthentication": Kind::Loose;
        "kerberostgtpassing": Kind::Loose;
        "protocol": Kind::Loose;
        "rhostsauthentication": Kind::Loose;
        "rhostsrsaauthentication": Kind::Loose;
        "rsaauthentication": Kind::Loose;
        "useblacklistedkeys": Kind::Loose;
        "usekeychain": Kind::Loose;
        "useprivilegedport": Kind::Loose;
        "userknownhostsfile2": Kind::Loose;
        "useroaming": Kind::Loose;
        "usersh": Kind::Loose;
    }
};

/// The keyword called `name`, in lower case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Keyword> {
    TABLE.iter().find(|k| k.name == name && (name != "usekeychain" || cfg!(target_os = "macos")))
}

/// The known keyword that is most like `name`.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    // What is much longer is like none, and would take for ever to compare.
    let near = |k: &&Keyword| {
        k.used != Use::Gone && name.len() <= k.name.len() + 2 && strsim::damerau_levenshtein(k.name, name) <= 2
    };
    TABLE.iter().filter(near).min_by_key(|k| strsim::damerau_levenshtein(k.name, name)).map(|k| k.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_stands_once_and_leads_to_one_that_exists() {
        for (at, keyword) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|k| k.name != keyword.name), "{}", keyword.name);
            let elsewhere = keyword.slot == "usekeychain" && cfg!(not(target_os = "macos"));
            assert_eq!(find(keyword.slot).map(|k| k.kind), (!elsewhere).then_some(keyword.kind), "{}", keyword.name);
        }
    }

    #[test]
    fn the_nearest_keyword_is_found() {
        assert_eq!(nearest("prot"), Some("port"));
        assert_eq!(nearest("nosuchkeyword"), None);
    }
}
