//! The words that senders may say first.

use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// Those of one stream; none: nobody is asked. Cheap to clone. The words themselves are not kept.
#[derive(Debug, Clone, Default)]
pub struct Keywords(Arc<RwLock<Vec<Known>>>);

/// A name, and the SHA-256 of its word.
type Known = (Arc<str>, [u8; 32]);

impl Keywords {
    /// Takes other words from now on: name and word. Whoever is in stays.
    pub fn set(&self, words: &[(String, Zeroizing<Vec<u8>>)]) {
        let digests = words.iter().map(|(name, word)| (Arc::from(name.as_str()), Sha256::digest(word).into()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = digests.collect();
    }

    /// Whether nobody is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The name of the word that was `said`. Takes as long for one as for another: what is compared are digests, all of them.
    #[must_use]
    pub fn name_of(&self, said: &[u8]) -> Option<Arc<str>> {
        let said = Sha256::digest(said);
        let words = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for (name, digest) in words.iter() {
            let same: Choice = digest.as_slice().ct_eq(said.as_slice());
            if bool::from(same) {
                found = Some(Arc::clone(name));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_known_by_its_name_until_others_take_its_place() {
        let keywords = Keywords::default();
        assert!(keywords.is_empty() && keywords.name_of(b"").is_none());
        let word = |name: &str, word: &[u8]| (name.to_owned(), Zeroizing::new(word.to_vec()));
        keywords.set(&[word("nginx", b"blue"), word("app", b"green")]);
        assert_eq!(keywords.name_of(b"green").as_deref(), Some("app"));
        for wrong in [&b""[..], b"gree", b"greens", b"Green", b"nginx"] {
            assert!(keywords.name_of(wrong).is_none());
        }
        keywords.set(&[word("nginx", b"red")]);
        assert!(keywords.name_of(b"blue").is_none() && keywords.name_of(b"red").is_some());
    }
}
