//! The folder of an output: may something be written there, and is there room. The output itself is left alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use rustix::fs::{Access, access, statvfs};
use tempfile::TempPath;
use tokio::time::timeout;

use super::rig;
use super::step::{Name, Step, Verdict};
use crate::error::{Error, io_reason};
use crate::plan::{StreamPlan, To};

/// A folder on a network that is away answers never.
const PATIENCE: Duration = Duration::from_secs(10);
/// Less than this above what shall stay free is told: a busy hour writes it.
const SOON_FULL: u64 = 256 * 1024 * 1024;

/// Looks at the folder of `stream`'s output, which is on a disk. With the step comes a file in that folder, where one could be made.
pub async fn look(stream: &StreamPlan) -> (Step, Option<TempPath>) {
    let begun = Instant::now();
    let (out, min_free) = (stream.out.clone(), stream.min_free);
    let looking = tokio::task::spawn_blocking(move || match out.to() {
        // Folders below are made when somebody sends.
        To::Files(template) => examine(&template.fixed().join(".reclog"), min_free),
        _ => examine(out.name(), min_free),
    });
    if let Ok(Ok((step, file))) = timeout(PATIENCE, looking).await {
        return (step.took(begun.elapsed()), file);
    }
    // The thread stays behind until the disk answers.
    let folder = match stream.out.to() {
        To::Files(template) => template.fixed(),
        _ => stream.out.name().parent().unwrap_or(Path::new(".")),
    };
    let error =
        Error::failed(format!("the folder {} does not answer within {} s", folder.display(), PATIENCE.as_secs()))
            .hint("a network disk that is away?");
    (Step::failed(Name::Output, &error).took(begun.elapsed()), None)
}

/// Where `out` lies: where a link leads to.
fn folder(out: &Path) -> PathBuf {
    let place = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    place.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn examine(out: &Path, min_free: u64) -> (Step, Option<TempPath>) {
    let folder = folder(out);
    let shown = folder.display();
    let failed = |error: &Error| (Step::failed(Name::Output, error), None);
    match out.metadata() {
        Ok(meta) if !meta.is_file() => {
            let error = Error::failed(format!("cannot append to {}: it is no regular file", out.display()));
            return failed(&error.hint("--out takes the path of a regular file; it is created if it is not there"));
        }
        Ok(_) if access(out, Access::WRITE_OK).is_err() => {
            let error = Error::failed(format!("may not write to {}", out.display()));
            return failed(&error.hint(format!("ls -l {} shows who may", out.display())));
        }
        _ => {}
    }
    let file = match rig::make(&folder) {
        Ok(file) => file,
        Err(e) => {
            let error = Error::failed(format!("cannot make a file in {shown}: {}", io_reason(&e)));
            return failed(&match e.kind() {
                std::io::ErrorKind::NotFound => error.hint(format!("make the folder first: mkdir -p {shown}")),
                std::io::ErrorKind::PermissionDenied => error.hint(format!("ls -ld {shown} shows who may write there")),
                _ => error,
            });
        }
    };
    let step = match statvfs(&folder) {
        Ok(system) => space(&folder, system.f_bavail.saturating_mul(system.f_frsize), min_free),
        Err(e) => {
            let why = io_reason(&e.into());
            Step::new(Name::Output, Verdict::CannotTell, format!("{shown} may be written to; its free space: {why}"))
        }
    };
    (step, Some(file))
}

/// What `free` bytes of the file system of `folder` mean.
fn space(folder: &Path, free: u64, min_free: u64) -> Step {
    let (shown, size) = (folder.display(), |n| ByteSize(n).display().si().to_string());
    let has = format!("{shown} may be written to and has {} free", size(free));
    if free <= min_free {
        let error = Error::failed(format!("{has}: senders would have to wait ({} shall stay free)", size(min_free)))
            .hint("make room, or lower --min-free");
        return Step::failed(Name::Output, &error);
    }
    if free - min_free < SOON_FULL {
        return Step::new(Name::Output, Verdict::Warning, has).hint(format!(
            "senders wait when no more than {} are left; make room, or bound the files: --rotate-size, --rotate-total",
            size(min_free)
        ));
    }
    Step::new(Name::Output, Verdict::Ok, has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_when_no_more_is_left_than_shall_stay_free() {
        let verdict = |free, min| space(Path::new("/x"), free, min).verdict;
        assert_eq!(verdict(0, 0), Verdict::Failed);
        assert_eq!(verdict(64, 64), Verdict::Failed);
        assert_eq!(verdict(65, 64), Verdict::Warning);
        assert_eq!(verdict(SOON_FULL + 64, 64), Verdict::Ok);
    }

    #[tokio::test]
    async fn of_files_with_placeholders_the_fixed_folder_is_examined() {
        let dir = tempfile::tempdir().unwrap();
        let stream = |out: &str| StreamPlan {
            out: crate::plan::Output::parse(out).unwrap(),
            min_free: 0,
            ..crate::doctor::tests::stream()
        };
        let path = |rest: &str| dir.path().join(rest).display().to_string();
        let (step, file) = look(&stream(&path("{peer_ip}/{date}.log"))).await;
        assert_eq!(step.verdict, Verdict::Ok, "{step:?}");
        assert_eq!(file.unwrap().parent(), Some(dir.path()));
        let (step, _) = look(&stream(&path("none/{date}.log"))).await;
        assert!(step.verdict == Verdict::Failed && step.hints[0].ends_with("none"), "{step:?}");
    }

    #[tokio::test]
    async fn the_output_is_neither_made_nor_touched() {
        let dir = tempfile::tempdir().unwrap();
        let stream = |out: PathBuf| StreamPlan {
            out: crate::plan::Output::file_at(out),
            min_free: 0,
            ..crate::doctor::tests::stream()
        };
        let (step, file) = look(&stream(dir.path().join("new"))).await;
        assert_eq!(step.verdict, Verdict::Ok, "{step:?}");
        assert!(!dir.path().join("new").exists());
        drop(file);
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        let (step, file) = look(&stream(dir.path().to_owned())).await;
        assert!(step.verdict == Verdict::Failed && file.is_none() && step.message.contains("no regular file"));
        let (step, _) = look(&stream(dir.path().join("no/such"))).await;
        assert!(step.hints[0].contains("mkdir -p"));
    }
}
