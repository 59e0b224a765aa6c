//! What an auditor would say about the way to a host.

use super::{Settings, StrictHostKeyChecking};

/// Warnings, a sentence each: of this host and of those on the way.
pub fn warnings(settings: &Settings) -> Vec<String> {
    let mut all: Vec<String> = settings.jumps.iter().flat_map(warnings).collect();
    let host = &settings.alias;
    if settings.strict == StrictHostKeyChecking::No {
        all.push(format!("{host}: StrictHostKeyChecking no takes unknown host keys unseen; accept-new does so once"));
    } else if !settings.user_known_hosts.is_empty()
        && settings.user_known_hosts.iter().all(|file| file.as_os_str() == "/dev/null")
    {
        all.push(format!("{host}: host keys go to /dev/null: nobody would notice another host in its place"));
    }
    let algorithms = &settings.algorithms;
    for (keyword, list) in [
        ("Ciphers", &algorithms.ciphers),
        ("MACs", &algorithms.macs),
        ("KexAlgorithms", &algorithms.kex),
        ("HostKeyAlgorithms", &algorithms.host_keys),
        ("PubkeyAcceptedAlgorithms", &algorithms.public_keys),
        ("CASignatureAlgorithms", &algorithms.ca_signatures),
    ] {
        let weak: Vec<&str> = list.iter().flatten().map(String::as_str).filter(|name| is_weak(name)).collect();
        if !weak.is_empty() {
            all.push(format!("{host}: {keyword} allows what is too weak today: {}", weak.join(", ")));
        }
    }
    all
}

/// SHA-1, and ciphers in CBC mode (RFC 9142; RFC 4253, section 6.3 is older than the attacks on it).
pub fn is_weak(name: &str) -> bool {
    name.ends_with("-cbc") || name.contains("sha1") || name.starts_with("ssh-rsa")
}
