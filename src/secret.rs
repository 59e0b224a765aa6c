//! Secrets in this process: what a keyword may be, and how what is secret stays out of core files.

/// Bytes of a keyword, and of what may come before its line end.
pub const LONGEST_KEYWORD: usize = 1024;
/// The variable of the environment that may hold a keyword. Nothing that is started from here may see it.
pub const KEYWORD_VARIABLE: &str = "RECLOG_KEYWORD";

/// The word in `bytes`, without the line end behind it.
///
/// # Errors
/// What is wrong with it, to stand after its name: no sender could say it.
pub fn word(bytes: &[u8]) -> std::result::Result<&[u8], &'static str> {
    let word = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let word = word.strip_suffix(b"\r").unwrap_or(word);
    match word {
        [] => Err("is empty"),
        _ if word.len() > LONGEST_KEYWORD => Err("is longer than 1024 bytes"),
        _ if word.contains(&b'\n') || word.contains(&b'\r') => Err("has more than one line"),
        _ if word.contains(&0) => Err("holds a NUL"),
        _ => Ok(word),
    }
}

/// From now on this process holds a secret: when it crashes, no file of its memory is left behind.
pub fn keep_out_of_core_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // A system that refuses keeps what it has; the secret is needed all the same.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) });
    // A handler that core files are piped to (core(5)) asks for no limit.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
