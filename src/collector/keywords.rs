//! The words that senders say first: read at the start, and again when the collector is told to reload.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::intake::{Intake, Keywords};
use crate::paths::secret;
use crate::plan::{KEYWORD_VARIABLE, Keyword, LONGEST_KEYWORD, Plan, Source, StreamPlan, word};

/// A name and its word.
type Word = (String, Zeroizing<Vec<u8>>);

/// The words of one stream, and what there is to say about them: a sentence each.
type Words = (Vec<Word>, Vec<String>);

/// The words of every stream that asks for some.
#[derive(Debug, Default)]
pub struct Keyring {
    streams: Vec<(StreamPlan, Vec<Word>)>,
    /// Where they are handed over to, once there is somebody.
    doors: Vec<(StreamPlan, Keywords)>,
    stale: Stale,
}

/// Streams whose words could not be read again, and why. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stale(Arc<Mutex<BTreeMap<String, String>>>);

impl Stale {
    /// What is wrong, a sentence a stream.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |(stream, why): (&String, &String)| {
            format!("stream {stream}: the keyword is still the one before: {why}; then send SIGHUP again")
        };
        self.lock().iter().map(sentence).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keyring {
    /// Reads the words of `plan`; `given` is the one of a person or the environment. With them come warnings, a sentence each.
    ///
    /// # Errors
    /// Usage: which file cannot be used, and why.
    pub async fn read(plan: &Plan, given: Option<Zeroizing<String>>) -> Result<(Self, Vec<String>)> {
        let plans: Vec<_> = plan.streams.iter().filter(|stream| !stream.keywords.is_empty()).cloned().collect();
        // A disk that does not answer holds up nobody else.
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = (Vec::new(), Vec::new());
            for plan in plans {
                let given = given.as_ref().map(|word| word.as_bytes());
                let (words, warnings) = read(&plan.keywords, given).map_err(|wrong| wrong.into_error(&plan.name))?;
                all.0.push((plan, words));
                all.1.extend(warnings);
            }
            Ok(all)
        });
        let failed = |_| Err(Error::failed("cannot read the keywords: reclog failed"));
        let (streams, warnings) = reading.await.unwrap_or_else(failed)?;
        Ok((Self { streams, ..Self::default() }, warnings))
    }

    /// Hands the words over: from now on senders are asked. Here they are forgotten.
    pub fn hand_over(&mut self, intakes: &[Intake]) {
        for (plan, words) in self.streams.drain(..) {
            if let Some(intake) = intakes.iter().find(|intake| intake.plan().name == plan.name) {
                intake.keywords().set(&words);
                self.doors.push((plan, intake.keywords().clone()));
            }
        }
    }

    /// Reads the files again, without waiting for it; what is returned ends when it is done. A stream whose files are not all good
    /// keeps its words.
    #[must_use]
    pub fn reload(&self) -> oneshot::Receiver<()> {
        let (done, ends) = oneshot::channel();
        // What a person gave is in no file, and stays.
        let all =
            self.doors.iter().filter(|(plan, _)| plan.keywords.iter().all(|keyword| keyword.from != Source::Given));
        let all: Vec<_> = all.cloned().collect();
        let stale = self.stale.clone();
        if !all.is_empty() {
            tokio::task::spawn_blocking(move || {
                for (plan, door) in &all {
                    reload(plan, door, &stale);
                }
                drop(done);
            });
        }
        ends
    }

    /// What could not be read again.
    #[must_use]
    pub fn stale(&self) -> Stale {
        self.stale.clone()
    }
}

fn reload(plan: &StreamPlan, door: &Keywords, stale: &Stale) {
    // Two at once would leave behind whichever ends last.
    let mut stale = stale.lock();
    match read(&plan.keywords, None) {
        Ok((words, warnings)) => {
            door.set(&words);
            stale.remove(&plan.name);
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            tracing::info!("stream {}: the keywords were read again", plan.name);
        }
        Err(Wrong { why, .. }) => {
            tracing::warn!("stream {}: the keyword is still the one before: {why}", plan.name);
            stale.insert(plan.name.clone(), why);
        }
    }
}

/// Why a word cannot be used.
#[derive(Debug)]
struct Wrong {
    why: String,
    hint: String,
}

impl Wrong {
    fn into_error(self, stream: &str) -> Error {
        Error::usage(format!("cannot ask for the keyword of the stream `{stream}`: {}", self.why)).hint(self.hint)
    }
}

/// The words of `keywords`.
fn read(keywords: &[Keyword], given: Option<&[u8]>) -> std::result::Result<Words, Wrong> {
    let (mut words, mut warnings): Words = Default::default();
    for Keyword { name, from } in keywords {
        let word = match from {
            Source::File(file) => from_file(file, &mut warnings)?,
            Source::Given => {
                let wrong = |why: &str| Wrong {
                    why: format!("the word that was given {why}"),
                    hint: format!("set {KEYWORD_VARIABLE}, or name a file: --keyword-file FILE"),
                };
                let given = given.ok_or_else(|| wrong("did not come"))?;
                Zeroizing::new(word(given).map_err(wrong)?.to_vec())
            }
        };
        if let Some((other, _)) = words.iter().find(|(_, known)| **known == *word) {
            return Err(Wrong {
                why: format!("`{other}` and `{name}` have the same word"),
                hint: "give each name a word of its own, or nobody can tell their senders apart".into(),
            });
        }
        words.push((name.clone(), word));
    }
    Ok((words, warnings))
}

/// The word in `file`.
fn from_file(file: &Path, warnings: &mut Vec<String>) -> std::result::Result<Zeroizing<Vec<u8>>, Wrong> {
    /// A line end may follow.
    const LONGEST_FILE: usize = LONGEST_KEYWORD + 2;
    let (found, is_credential) = secret(file).map_err(|(why, hint)| Wrong { why, hint })?;
    let (file, shown) = (&*found, escape_str(&found.display().to_string()));
    let wrong = |why: &str| Wrong {
        why: format!("{shown} {why}"),
        hint: format!("name a file that holds one line of 1 to {LONGEST_KEYWORD} bytes"),
    };
    // Where something stands already it may be anything: a key, a folder. Nobody is told to write over that.
    let make = |wrong: Wrong| Wrong {
        hint: format!("it holds one line of 1 to {LONGEST_KEYWORD} bytes: (umask 077; openssl rand -hex 16 > {shown})"),
        ..wrong
    };
    let unread = |e: std::io::Error| {
        let unread = wrong(&format!("cannot be read: {}", io_reason(&e)));
        if e.kind() == std::io::ErrorKind::NotFound { make(unread) } else { unread }
    };
    let meta = std::fs::metadata(file).map_err(unread)?;
    // A pipe could keep us waiting for ever, and has nothing for the second reader.
    if !meta.is_file() {
        return Err(wrong("is not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE + 1));
    File::open(file).map_err(unread)?.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    let nothing = bytes.iter().all(|b| matches!(b, b'\r' | b'\n'));
    let unfit = |why| if nothing { make(wrong(why)) } else { wrong(why) };
    let word = Zeroizing::new(word(&bytes).map_err(unfit)?.to_vec());
    let mode = meta.permissions().mode();
    // A service manager has given a credential to its user alone, and where it does so with an ACL the group's bits show it.
    if mode & 0o077 != 0 && !is_credential {
        let mode = mode & 0o7777;
        warnings.push(format!("others may use the keyword file {shown} (mode {mode:04o}); chmod go= {shown}"));
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> Keyword {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Keyword { name: name.into(), from: Source::File(path) }
    }

    #[test]
    fn a_word_is_one_line_that_a_sender_can_say() {
        for (bytes, said) in [
            (&b"secret"[..], Ok(&b"secret"[..])),
            (b"secret\n", Ok(b"secret")),
            (b"secret\r\n", Ok(b"secret")),
            (b" two words \n", Ok(b" two words ")),
            (b"\xff\xfe", Ok(b"\xff\xfe")),
            (b"", Err("is empty")),
            (b"\r\n", Err("is empty")),
            (b"a\nb", Err("has more than one line")),
            (b"a\rb", Err("has more than one line")),
            (b"a\n\n", Err("has more than one line")),
            (b"a\0", Err("holds a NUL")),
        ] {
            assert_eq!(word(bytes), said, "{bytes:?}");
        }
        assert_eq!(word(&[b'x'; LONGEST_KEYWORD]).map(<[u8]>::len), Ok(LONGEST_KEYWORD));
        assert_eq!(word(&[b'x'; LONGEST_KEYWORD + 1]), Err("is longer than 1024 bytes"));
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_path_and_never_with_its_word() {
        let dir = tempfile::tempdir().unwrap();
        let why = |keywords: &[Keyword]| read(keywords, Some(b"given")).unwrap_err().why;
        let missing = Keyword { name: "a".into(), from: Source::File(dir.path().join("missing")) };
        assert!(why(&[missing]).contains("missing cannot be read: "));
        let folder = Keyword { name: "a".into(), from: Source::File(dir.path().to_owned()) };
        assert!(why(&[folder]).contains("is not a regular file"));
        assert!(why(&[file(&dir, "empty", b"\n")]).contains("empty is empty"));
        assert!(why(&[file(&dir, "long", &[b'x'; 5000])]).contains("longer than 1024"));
        let two = [file(&dir, "a", b"s3cret"), file(&dir, "b", b"s3cret\n")];
        assert_eq!(why(&two), "`a` and `b` have the same word");
        let given = Keyword { name: "default".into(), from: Source::Given };
        assert!(read(std::slice::from_ref(&given), None).unwrap_err().why.contains("did not come"));
        let (words, _) = read(&[given], Some(b"given")).unwrap();
        assert_eq!(words[0].1.as_slice(), b"given");
    }

    #[test]
    fn nobody_is_told_to_write_over_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |keyword| read(&[keyword], None).unwrap_err().hint;
        let at = |path: std::path::PathBuf| Keyword { name: "a".into(), from: Source::File(path) };
        for made in [at(dir.path().join("missing")), file(&dir, "empty", b""), file(&dir, "blank", b"\n")] {
            assert!(hint(made).contains("openssl rand -hex 16 > "));
        }
        let key = file(&dir, "key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n");
        let long = file(&dir, "long", &[b'x'; 5000]);
        for kept in [at(dir.path().to_owned()), at(dir.path().join("key/below")), key, long, file(&dir, "nul", b"a\0")]
        {
            assert_eq!(hint(kept), "name a file that holds one line of 1 to 1024 bytes");
        }
    }

    #[test]
    fn a_file_that_others_read_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let keyword = file(&dir, "word", b"secret");
        assert!(read(std::slice::from_ref(&keyword), None).unwrap().1.is_empty());
        let path = dir.path().join("word");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let (_, warnings) = read(&[keyword], None).unwrap();
        assert!(warnings[0].contains("mode 0640") && !warnings[0].contains("secret"), "{warnings:?}");
    }

    #[test]
    fn a_bad_file_leaves_the_old_words_and_is_told_until_it_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let plan = StreamPlan { keywords: vec![file(&dir, "word", b"old")], ..StreamPlan::example() };
        let (door, stale) = (Keywords::default(), Stale::default());
        reload(&plan, &door, &stale);
        assert!(door.name_of(b"old").is_some() && stale.sentences().is_empty());
        std::fs::write(dir.path().join("word"), b"").unwrap();
        reload(&plan, &door, &stale);
        assert!(door.name_of(b"old").is_some());
        let said = stale.sentences().concat();
        assert!(said.starts_with("stream main: the keyword is still the one before: ") && said.contains("is empty"));
        std::fs::write(dir.path().join("word"), b"new").unwrap();
        reload(&plan, &door, &stale);
        assert!(door.name_of(b"old").is_none() && door.name_of(b"new").is_some() && stale.sentences().is_empty());
    }
}
