//! The words that senders say first: where they are read, as written and as flags. The words themselves stand nowhere here.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_yaml::{Mapping, Value};

use crate::error::{Error, Result};
use crate::plan::{KEYWORD_VARIABLE, Keyword, NAMELESS, Source, is_name};
use crate::profile::flags::Overrides;
use crate::profile::problem::{Problem, quote};
use crate::profile::raw::{Key, RawStream};
use crate::profile::scalar;
use crate::profile::store::Profile;
use crate::profile::streams::secret;
use crate::profile::write::text_of;

/// What stands for a question at the terminal.
const ASK: &str = "-";
/// A key without a value would ask nobody for a word, and whoever wrote it meant to ask everybody.
pub(super) const BLANK: &str = "no file is named; leave the key out";

/// What the command line or the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeywordFlag {
    /// Its name, for messages.
    pub flag: &'static str,
    /// Where the word is.
    pub from: Source,
}

impl KeywordFlag {
    /// The flag is asked before the environment.
    pub fn new(flags: &Overrides) -> Result<Option<Self>> {
        let flag = "--keyword-file";
        Ok(match &flags.keyword_file {
            Some(file) if file == Path::new(ASK) => Some(Self { flag, from: Source::Given }),
            Some(file) => {
                let file = secret(file).map_err(|why| Error::usage(format!("{flag}: {why}")))?;
                Some(Self { flag, from: Source::File(file) })
            }
            None => flags.keyword_given.then_some(Self { flag: KEYWORD_VARIABLE, from: Source::Given }),
        })
    }

    /// It alone, where there is one; else what the profile says in `there`.
    pub fn over(flag: Option<&Self>, there: Vec<Keyword>) -> Vec<Keyword> {
        match flag {
            Some(flag) => vec![Keyword { name: NAMELESS.to_owned(), from: flag.from.clone() }],
            None => there,
        }
    }
}

/// What the stream `name` of a profile says.
pub(super) fn of_profile(profile: &Profile, name: &str, raw: &RawStream) -> Result<Vec<Keyword>> {
    let keyword = |name: &str, file: &str| Keyword { name: name.to_owned(), from: Source::File(profile.secret(file)) };
    let nameless = raw.keyword_file.iter().map(|file| keyword(NAMELESS, file));
    let named = raw.keywords.0.iter().map(|(name, file)| keyword(name, file));
    if raw.keyword_file.is_some() && raw.keywords.0.iter().any(|(name, _)| name == NAMELESS) {
        let message = format!("`{NAMELESS}` is what the one of `keyword_file` is called");
        let problem = Problem::key(&["streams", name, "keywords", NAMELESS], message);
        return Err(profile.error(problem.hint("choose another name, or leave `keyword_file` out")));
    }
    Ok(nameless.chain(named).collect())
}

/// `keywords:`, names and files, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RawKeywords(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for RawKeywords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = RawKeywords;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of names and the files of their keywords")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawKeywords, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = map.next_key_seed(Key { wrong: wrong_name })? {
                    let File(file) = map.next_value()?;
                    all.push((name, file));
                }
                if all.is_empty() { self.visit_unit() } else { Ok(RawKeywords(all)) }
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<RawKeywords, E> {
                Err(E::custom(BLANK))
            }
        }
        deserializer.deserialize_any(Map)
    }
}

/// The file of one of them.
struct File(String);

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::keyword_file(deserializer)?.map(Self).ok_or_else(|| D::Error::custom(BLANK))
    }
}

fn wrong_name(name: &str) -> Option<String> {
    (!is_name(name)).then(|| format!("{} cannot name a keyword: 1 to 64 letters, digits, `.`, `_`, `-`", quote(name)))
}

/// A path of a profile; nobody may be there to be asked when it is started.
pub(super) fn file_text(text: &str) -> Result<String, String> {
    if text == ASK {
        return Err("a profile names a file; `--keyword-file -` on the command line asks".to_owned());
    }
    scalar::secret_text(text)
}

/// Puts those that stand in files into the map of a stream; the others are nowhere.
pub(super) fn write(keywords: &[Keyword], map: &mut Mapping) -> Result<()> {
    let mut named = Mapping::new();
    for keyword in keywords {
        let Source::File(file) = &keyword.from else { continue };
        if keyword.name == NAMELESS {
            map.insert("keyword_file".into(), text_of(file)?);
        } else {
            named.insert(keyword.name.as_str().into(), text_of(file)?);
        }
    }
    if !named.is_empty() {
        map.insert("keywords".into(), Value::Mapping(named));
    }
    Ok(())
}

/// One for a person.
pub(super) fn explain(keyword: &Keyword) -> String {
    let from = match &keyword.from {
        Source::File(file) => format!("in {}", file.display()),
        Source::Given => "given at the start".to_owned(),
    };
    if keyword.name == NAMELESS { from } else { format!("{}, {from}", keyword.name) }
}
