//! The token: who knows it may look. It is kept, so that links and cookies outlive the process.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::kept::Kept;
use crate::error::{Error, Result, io_reason};

/// The one of links; its name in the folder of the configuration.
pub const FILE: &str = "web.token";
/// Bytes of chance.
const BYTES: usize = 32;

/// A token.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The one that is kept in `config` in a file called `name`, made when there is none.
    ///
    /// # Errors
    /// When it can be neither read nor made, or when others may read it.
    pub fn kept(config: &Path, name: &str) -> Result<Self> {
        let path = config.join(name);
        if let Some(token) = Self::read(&path)? {
            return Ok(token);
        }
        let failed = |e: io::Error| failed("write", &path, &e);
        let kept = Kept::lock(config).map_err(failed)?;
        if let Some(token) = Self::read(&path)? {
            // Another one has made it meanwhile.
            return Ok(token);
        }
        let mut bytes = [0; BYTES];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|e| Error::failed(format!("cannot make a token: {e}")))?;
        let text: String = bytes.iter().fold(String::new(), |text, b| format!("{text}{b:02x}"));
        kept.write(name, &text).map_err(failed)?;
        Ok(Self(text))
    }

    /// The one that is kept at `path`, if there is one.
    fn read(path: &Path) -> Result<Option<Self>> {
        match fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("read", path, &e)),
            Ok(meta) if meta.mode() & 0o077 != 0 => {
                return Err(Error::failed(format!("the token {} may be read by others", path.display()))
                    .hint(format!("`rm {}` makes a new one at the next start", path.display())));
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(path).map_err(|e| failed("read", path, &e))?;
        let text = text.trim();
        let is_one = text.len() == 2 * BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(is_one.then(|| Self(text.to_owned())))
    }

    /// As it stands in the link.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this one, told in a time that tells nothing.
    #[must_use]
    pub fn is(&self, said: &str) -> bool {
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        digest(&self.0).ct_eq(&digest(said)).into()
    }
}

fn failed(what: &str, path: &Path, e: &io::Error) -> Error {
    Error::failed(format!("cannot {what} the token {}: {}", path.display(), io_reason(e)))
}

/// The value of the cookie `name` in a `Cookie` field.
#[must_use]
pub fn cookie<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    field
        .split(';')
        .find_map(|pair| pair.trim().split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_made_once_and_read_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("new");
        let one = Token::kept(&config, FILE).unwrap();
        assert_eq!(one.as_str().len(), 64);
        assert_eq!(Token::kept(&config, FILE).unwrap().as_str(), one.as_str());
        assert!(one.is(one.as_str()) && !one.is("") && !one.is(&one.as_str()[1..]));
        let path = config.join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Token::kept(&config, FILE).err().unwrap().message.contains("may be read by others"));
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        assert_eq!(cookie("a=1; reclog-8866=x=y;b=", "reclog-8866"), Some("x=y"));
        assert_eq!(cookie("xreclog-8866=1; reclog-88=2", "reclog-8866"), None);
    }
}
