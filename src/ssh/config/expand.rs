//! `%h` and its like, and `${NAME}`.

use sha1::{Digest as _, Sha1};

use crate::escape::escape_str;

/// What the tokens of ssh_config(5) stand for.
#[derive(Debug, Clone)]
pub struct Tokens(Vec<(char, String)>);

/// The parts from which tokens are made.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The host's name or address, `HostName` applied.
    pub host: &'a str,
    /// As the user wrote it.
    pub alias: &'a str,
    /// `HostKeyAlias`.
    pub key_alias: Option<&'a str>,
    /// Port of the server.
    pub port: u16,
    /// Login name there.
    pub user: &'a str,
    /// The host of `ProxyJump` next to the target, empty without.
    pub jump: &'a str,
    /// Login name here.
    pub local_user: &'a str,
    /// Home folder of the account.
    pub home: &'a str,
    /// Number of the account.
    pub uid: u32,
    /// This machine's name.
    pub local_host: &'a str,
}

/// Files and `Match exec`.
pub const FILE: &str = "CdhijkLlnpru";
/// `ProxyCommand` and `ProxyJump`.
pub const PROXY: &str = "hknpr";
/// `HostName`.
pub const HOST: &str = "h";

impl Tokens {
    /// All of them.
    #[must_use]
    pub fn new(facts: &Facts<'_>) -> Self {
        let port = facts.port.to_string();
        let mut hash = Sha1::new();
        for part in [facts.local_host, facts.host, &port, facts.user] {
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let short = facts.local_host.split('.').next().unwrap_or_default();
        let all = [
            ('d', facts.home.to_owned()),
            ('h', facts.host.to_owned()),
            ('i', facts.uid.to_string()),
            ('j', facts.jump.to_owned()),
            ('k', facts.key_alias.unwrap_or(facts.alias).to_owned()),
            ('L', short.to_owned()),
            ('l', facts.local_host.to_owned()),
            ('n', facts.alias.to_owned()),
            ('p', port),
            ('r', facts.user.to_owned()),
            ('u', facts.local_user.to_owned()),
            ('C', hash),
        ];
        Self(all.into())
    }

    /// Only `%h`, for `HostName`.
    #[must_use]
    pub fn host(host: &str) -> Self {
        Self(vec![('h', host.to_owned())])
    }

    /// `text` with the tokens in `allowed` expanded.
    ///
    /// # Errors
    /// What is wrong with it: another token, or a `%` at the end.
    pub fn expand(&self, text: &str, allowed: &str) -> Result<String, String> {
        self.replace(text, allowed, None)
    }

    /// [`expand`](Self::expand), and `${NAME}` replaced by what `env` says.
    ///
    /// # Errors
    /// Also when a variable is not set or its name not closed.
    pub fn expand_env(&self, text: &str, allowed: &str, env: Env<'_>) -> Result<String, String> {
        self.replace(text, allowed, Some(env))
    }

    fn replace(&self, text: &str, allowed: &str, env: Option<Env<'_>>) -> Result<String, String> {
        let (mut out, mut left) = (String::with_capacity(text.len()), text);
        while let Some(at) = left.find(['%', '$']) {
            out.push_str(&left[..at]);
            left = &left[at..];
            if let (Some(env), Some(rest)) = (env, left.strip_prefix("${")) {
                let (value, rest) = variable(rest, env)?;
                out.push_str(&value);
                left = rest;
                continue;
            }
            let Some(rest) = left.strip_prefix('%') else {
                out.push('$');
                left = &left[1..];
                continue;
            };
            let Some(token) = rest.chars().next() else {
                return Err("a `%` at the end (`%%` is a percent sign)".into());
            };
            match self.0.iter().find(|(name, _)| *name == token && allowed.contains(token)) {
                Some((_, value)) => out.push_str(value),
                None if token == '%' => out.push('%'),
                None => return Err(format!("`%{}` is not known there", escape_str(&token.to_string()))),
            }
            left = &rest[token.len_utf8()..];
        }
        out.push_str(left);
        Ok(out)
    }
}

/// What an environment variable holds.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a `${NAME}` stands for, the text beginning behind `${`, and what follows it.
fn variable<'a>(text: &'a str, env: Env<'_>) -> Result<(String, &'a str), String> {
    let (name, rest) = text.split_once('}').ok_or("`${` is not closed")?;
    if name.is_empty() {
        return Err("`${}` names no variable".into());
    }
    let value = env(name).ok_or_else(|| format!("the environment variable `{}` is not set", escape_str(name)))?;
    Ok((value, rest))
}

/// Whether every `${NAME}` of `text` can be replaced; a `%` is let pass.
///
/// # Errors
/// What is wrong with it.
pub fn check_env(text: &str, env: Env<'_>) -> Result<(), String> {
    let mut left = text;
    while let Some((_, rest)) = left.split_once("${") {
        left = variable(rest, env)?.1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_variables_are_replaced_once() {
        let tokens = Tokens(vec![('h', "%p${X}".into()), ('p', "22".into())]);
        let env = |name: &str| (name == "X").then(|| "%h".to_owned());
        assert_eq!(tokens.expand_env("a%h-${X}%%$x", "hp", &env).unwrap(), "a%p${X}-%h%$x");
        assert_eq!(tokens.expand("${X}%p", "hp").unwrap(), "${X}22");
        for bad in ["%", "%q", "a%", "${Y}", "${}", "${X"] {
            assert!(tokens.expand_env(bad, "hp", &env).is_err(), "{bad}");
        }
        assert!(tokens.expand("%p", "h").is_err());
        assert_eq!(tokens.expand("%\x1b[", "h").unwrap_err(), "`%\\x1b` is not known there");
    }
}
