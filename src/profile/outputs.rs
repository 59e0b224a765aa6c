//! Where records go: `out` as written, as flags, and as meant.

use std::path::{Component, Path, PathBuf};

use serde_yaml::Value;

use crate::archive::aside;
use crate::error::Result as Done;
use crate::paths::absolute;
use crate::plan::{Field, Output, StreamPlan, To};
use crate::profile::problem::quote;
use crate::profile::scalar;
use crate::profile::streams::expanded;
use crate::profile::write::{one_or_many, text_of};

/// The outputs of a command line; paths start at the working directory.
pub(super) fn of_flags(written: &[PathBuf]) -> Result<Vec<Output>, String> {
    written.iter().map(|out| output(out, Path::new("."))).collect()
}

/// An output as written, found sound; nothing is absolute yet.
pub(super) fn text(text: &str) -> Result<String, String> {
    look(Path::new(text)).map(|()| text.to_owned())
}

/// An output as written; a path is made absolute against `folder` without touching the disk.
pub(super) fn output(written: &Path, folder: &Path) -> Result<Output, String> {
    look(written)?;
    let output = Output::parse(written)?;
    if output.is_on_disk() { Output::parse(absolute(&folder.join(expanded(written)))) } else { Ok(output) }
}

fn look(written: &Path) -> Result<(), String> {
    let shown = || quote(&written.display().to_string());
    if let Some(text) = written.to_str() {
        scalar::path_text(text)?;
    }
    let output = Output::parse(written).map_err(|why| format!("{} cannot be used: {why}", shown()))?;
    if !output.is_on_disk() {
        return Ok(());
    }
    let is_folder = written.to_str().is_some_and(|text| text.ends_with('/') || text.ends_with("/."))
        || matches!(written.components().next_back(), None | Some(Component::ParentDir | Component::CurDir))
        || written == Path::new("~");
    if is_folder {
        return Err(format!("{} is a folder; name the file in it", shown()));
    }
    Ok(())
}

/// Two outputs that would be in each other's way.
pub(super) struct Meeting {
    /// The stream of the second one.
    pub stream: String,
    /// Whether both are outputs of it.
    pub same: bool,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// The first two that are.
pub(super) fn meeting(streams: &[StreamPlan]) -> Option<Meeting> {
    let all = |stream: &StreamPlan| [vec![stream.out.clone()], stream.also.clone()].concat();
    let all: Vec<_> = streams.iter().flat_map(|stream| all(stream).into_iter().map(move |out| (stream, out))).collect();
    all.iter().enumerate().find_map(|(i, second)| all[..i].iter().find_map(|first| meet(first, second)))
}

fn meet((a, first): &(&StreamPlan, Output), (b, second): &(&StreamPlan, Output)) -> Option<Meeting> {
    let same = a.name == b.name;
    let found = |message: String, hint| Some(Meeting { stream: b.name.clone(), same, message, hint });
    let (a, b) = (&a.name, &b.name);
    let out = quote(&second.to_string());
    let one_file = "records of one file come from one stream, so that lines stay whole";
    if !first.is_on_disk() || !second.is_on_disk() {
        if first != second {
            return None;
        }
        return match second.to() {
            _ if same => found(format!("the stream `{b}` has the output {out} twice"), "name it once"),
            To::Stdout => found(
                format!("the streams `{a}` and `{b}` both write to standard output"),
                "one stream can; give the other one a file",
            ),
            // A command runs once for each, and a daemon takes from many.
            _ => None,
        };
    }
    let (one, other) = (normal(first.name()), normal(second.name()));
    if one == other {
        // The name of the stream keeps their files apart.
        let apart = matches!(second.to(), To::Files(template) if template.has(Field::Stream));
        return match (same, apart) {
            (true, _) => found(format!("the stream `{b}` has the output {out} twice"), "name it once"),
            (false, true) => None,
            (false, false) => found(format!("the streams `{a}` and `{b}` write to the same file {out}"), one_file),
        };
    }
    let makes = |output: &Output, stream: &str, path: &Path| match output.to() {
        To::Files(template) => {
            path.strip_prefix(normal(template.fixed())).is_ok_and(|name| template.makes(name, stream))
        }
        _ => false,
    };
    if second.file().is_some() && makes(first, a, &other) || first.file().is_some() && makes(second, b, &one) {
        let (file, files) = if second.file().is_some() { (second, first) } else { (first, second) };
        return found(
            format!("the file {} can be one of {}", quote(&file.to_string()), quote(&files.to_string())),
            "give it a name that the placeholders cannot make, or a folder of its own",
        );
    }
    if aside(&one) == other || aside(&other) == one {
        let whose = if same { "another one of its files".to_owned() } else { format!("the file of `{a}`") };
        return found(
            format!("the stream `{b}` cannot write to {out} beside {whose}"),
            "a file that is put away is called FILE.rotating for a moment; choose another name",
        );
    }
    None
}

/// `path` without `.` and `..`, for comparing. Links are not followed: files need not exist yet.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// The value of `out` in a profile.
pub(super) fn write(stream: &StreamPlan) -> Done<Value> {
    let all = std::iter::once(&stream.out).chain(&stream.also);
    Ok(one_or_many(all.map(|out| text_of(out.name())).collect::<Done<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_folder_and_nothing_else_does() {
        let of = |text: &str| output(Path::new(text), Path::new("/p")).map(|out| out.to_string());
        for (text, out) in [
            ("a.log", "/p/a.log"),
            ("/x/a.log", "/x/a.log"),
            ("{peer_ip}.log", "/p/{peer_ip}.log"),
            ("logs/{date}/{hour}.log", "/p/logs/{date}/{hour}.log"),
            ("../{stream}.log", "/p/../{stream}.log"),
            ("./-", "/p/./-"),
            ("-", "-"),
            ("exec:cat > a.log", "exec:cat > a.log"),
            ("syslog+unix:///dev/log", "syslog+unix:///dev/log"),
        ] {
            assert_eq!(of(text).as_deref().map(|out| out.replace("/./", "/")), Ok(out.replace("/./", "/")), "{text}");
        }
        let home = crate::paths::expand_tilde("~/{date}.log").display().to_string();
        assert_eq!(of("~/{date}.log"), Ok(home));
        for wrong in ["", "logs/", "{date}/", "..", "~", "~bob/x", "{peer}", "{date}/../x", "a{", "http://x/", "exec: "]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    fn stream(name: &str, outs: &[&str]) -> StreamPlan {
        let mut outs = outs.iter().map(|out| output(Path::new(out), Path::new("/p")).unwrap());
        let (out, also) = (outs.next().unwrap(), outs.collect());
        StreamPlan { name: name.into(), out, also, ..StreamPlan::example() }
    }

    #[test]
    fn outputs_that_meet_are_found_wherever_they_stand() {
        let met = |a: &[&str], b: &[&str]| meeting(&[stream("a", a), stream("b", b)]).map(|met| met.message);
        for (a, b, words) in [
            (&["/a", "x"][..], &["/b", "/p/./x"][..], "write to the same file"),
            (&["{date}.log"], &["/c", "/p/{date}.log"], "write to the same file"),
            (&["/a"], &["/b", "/a.rotating"], "beside the file of `a`"),
            (&["-"], &["/b", "-"], "both write to standard output"),
            (&["/a"], &["/b", "/b"], "the stream `b` has the output `/b` twice"),
            (&["/a"], &["exec:cat", "exec:cat"], "twice"),
            (&["/a"], &["{stream}", "{stream}"], "twice"),
            (&["/a"], &["/b", "/b.rotating"], "beside another one of its files"),
            (&["/logs/{peer_ip}.log"], &["/logs/x/../127.0.0.1.log"], "can be one of `/logs/{peer_ip}.log`"),
            (&["/a"], &["/logs/main.log", "/logs/{keyword}.log"], "can be one of"),
            (&["/logs/a/x"], &["/logs/{peer_ip}/{stream}", "/logs/y/b"], "the file `/logs/y/b` can be one of"),
        ] {
            let said = met(a, b).unwrap_or_default();
            assert!(said.contains(words), "{a:?} {b:?}: {said}");
        }
        for (a, b) in [
            (&["/a", "exec:cat"][..], &["/b", "exec:cat"][..]),
            (&["syslog+unix:///dev/log"], &["syslog+unix:///dev/log"]),
            (&["{stream}.log"], &["{stream}.log"]),
            (&["{date}.log"], &["{peer_ip}.log"]),
            (&["/logs/{stream}.log"], &["/logs/b.log"]),
            (&["/logs/{date}.log", "/logs/all.log"], &["/logs/{hour}/x", "/logs/7/x"]),
        ] {
            assert_eq!(met(a, b), None, "{a:?} {b:?}");
        }
    }
}
