//! The files of a template, followed together: those that grow, and those that come.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use regex::bytes::Regex;

use super::follow::Follower;
use crate::archive::{Made, made};
use crate::plan::Template;

/// Files that are followed at once, in descriptors. What grows beyond them is found at the next look, for a file that was
/// quiet for the longest time.
const FOLLOWED: usize = 64;

/// Follows all files of a template. Which they are is looked for by [`look`](Many::look); up to the next one, new files are
/// not seen.
#[derive(Debug)]
pub struct Many {
    template: Template,
    followed: BTreeMap<PathBuf, Followed>,
    /// Of the others, up to where they are shown, in bytes.
    known: BTreeMap<PathBuf, u64>,
    /// Counts polls.
    turn: u64,
}

#[derive(Debug)]
struct Followed {
    follower: Follower,
    /// The turn in which something arrived, or it was begun.
    last: u64,
}

/// Lines and the file that they are from.
pub type Shown = (PathBuf, Vec<Vec<u8>>);

impl Many {
    /// The last `n` lines of the files together, those of the file that was written last at the end, and who goes on behind
    /// them. Across files the order of lines is not known: files that were written later have all of theirs shown first.
    ///
    /// # Errors
    /// Those of reading the fixed folder, the files and their archives.
    pub fn after_last(template: &Template, n: usize, filter: Option<&Regex>) -> io::Result<(Vec<Shown>, Self)> {
        let mut many = Self { template: template.clone(), followed: BTreeMap::new(), known: BTreeMap::new(), turn: 0 };
        let (mut shown, mut left) = (Vec::new(), n);
        for Made { path, bytes, .. } in made(template)? {
            if left > 0 || many.followed.len() < FOLLOWED {
                let (lines, follower) = Follower::after_last(&path, left, filter)?;
                left -= lines.len().min(left);
                if !lines.is_empty() {
                    shown.push((path.clone(), lines));
                }
                if many.followed.len() < FOLLOWED {
                    many.followed.insert(path, Followed { follower, last: 0 });
                    continue;
                }
            }
            many.known.insert(path, bytes);
        }
        shown.reverse();
        Ok((shown, many))
    }

    /// Looks for files that are new, or have grown while nobody followed them.
    ///
    /// # Errors
    /// Those of reading the fixed folder, except that it is not there.
    pub fn look(&mut self) -> io::Result<()> {
        let all = match made(&self.template) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            all => all?,
        };
        let mut known = std::mem::take(&mut self.known);
        for Made { path, bytes, .. } in all {
            if self.followed.contains_key(&path) {
                continue;
            }
            // It may have made room a moment ago.
            let seen = known.remove(&path).or_else(|| self.known.get(&path).copied());
            if seen != Some(bytes) && (bytes > 0 || seen.is_some()) && self.make_room() {
                // One that is shorter is another one.
                let from = seen.filter(|seen| *seen <= bytes).unwrap_or(0);
                self.followed.insert(path.clone(), Followed { follower: Follower::new(&path, from), last: self.turn });
            } else {
                self.known.insert(path, seen.unwrap_or(0));
            }
        }
        Ok(())
    }

    /// Whether one more may be followed; for it the one that was quiet for the longest time may have gone.
    fn make_room(&mut self) -> bool {
        if self.followed.len() < FOLLOWED {
            return true;
        }
        let quiet = self.followed.iter().filter_map(|(path, one)| Some((one.last, path, one.follower.rests_at()?)));
        let Some((path, at)) =
            quiet.min().filter(|(last, ..)| *last < self.turn).map(|(_, path, at)| (path.clone(), at))
        else {
            return false;
        };
        self.followed.remove(&path);
        self.known.insert(path, at);
        true
    }

    /// What has arrived, as [`Follower::poll`] tells it, file by file. Empty when there is nothing.
    ///
    /// # Errors
    /// Those of opening and reading.
    pub fn poll(&mut self) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        self.turn += 1;
        let mut all = Vec::new();
        for (path, one) in &mut self.followed {
            let arrived = one.follower.poll()?;
            if !arrived.is_empty() {
                one.last = self.turn;
                all.push((path.clone(), arrived));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    fn append(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn texts(shown: Vec<(PathBuf, Vec<u8>)>, root: &Path) -> Vec<(String, String)> {
        let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        shown.into_iter().map(|(path, bytes)| (name(&path), String::from_utf8(bytes).unwrap())).collect()
    }

    #[test]
    fn the_last_lines_are_those_of_the_files_written_last_and_new_files_follow() {
        let dir = tempfile::tempdir().unwrap();
        let template = Template::path(&format!("{}/{{peer_ip}}/{{date}}.log", dir.path().display())).unwrap();
        let file = |name: &str| dir.path().join(name);
        for (second, name) in
            [(3, "10.0.0.1/2026-11-21.log"), (1, "10.0.0.2/2026-11-20.log"), (2, "10.0.0.2/2026-11-21.log")]
        {
            append(&file(name), &format!("{second} a\n{second} b\n"));
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            fs::File::options().append(true).open(file(name)).unwrap().set_modified(at).unwrap();
        }
        // Nothing of that was made by the template.
        append(&file("10.0.0.9/2026-11-21.log.2026-11-21T00-41-28.123456Z"), "archive\n");
        append(&file("10.0.0.1/other.log"), "other\n");
        append(&file("2026-11-21.log"), "other\n");
        std::os::unix::fs::symlink(file("10.0.0.1"), file("10.0.0.3")).unwrap();
        let (shown, mut many) = Many::after_last(&template, 3, None).unwrap();
        let lines: Vec<_> = shown.into_iter().flat_map(|(_, lines)| lines).collect();
        assert_eq!(lines, [b"2 b", b"3 a", b"3 b"]);
        assert_eq!(many.followed.len(), 3);
        assert_eq!(many.poll().unwrap(), []);
        append(&file("10.0.0.2/2026-11-20.log"), "old\n");
        append(&file("10.0.0.4/2026-11-21.log"), "new\n");
        assert_eq!(texts(many.poll().unwrap(), dir.path()), [("10.0.0.2/2026-11-20.log".into(), "old\n".into())]);
        many.look().unwrap();
        assert_eq!(texts(many.poll().unwrap(), dir.path()), [("10.0.0.4/2026-11-21.log".into(), "new\n".into())]);
    }

    #[test]
    fn more_files_than_may_be_followed_are_all_shown_once() {
        let dir = tempfile::tempdir().unwrap();
        let template = Template::path(&format!("{}/{{keyword}}", dir.path().display())).unwrap();
        let file = |n: usize| dir.path().join(format!("k{n:03}"));
        (0..FOLLOWED + 9).for_each(|n| append(&file(n), "before\n"));
        let (_, mut many) = Many::after_last(&template, 0, None).unwrap();
        let mut seen = vec![String::new(); FOLLOWED + 20];
        for round in 0..4 {
            // Sizes of all kinds, and files that are new.
            for n in (0..FOLLOWED + 9 + round).filter(|n| n % 4 != round) {
                append(&file(n), &format!("{round} {n}\n"));
            }
            for _ in 0..3 {
                many.look().unwrap();
                assert!(many.followed.len() <= FOLLOWED);
                for (name, text) in texts(many.poll().unwrap(), dir.path()) {
                    seen[name[1..].parse::<usize>().unwrap()].push_str(&text);
                }
            }
        }
        for (n, seen) in seen.iter().enumerate() {
            let begun = n.saturating_sub(FOLLOWED + 8);
            let all: Vec<_> =
                (begun..4).filter(|round| n % 4 != *round).map(|round| format!("{round} {n}\n")).collect();
            assert_eq!(*seen, all.concat(), "{n}");
        }
    }
}
