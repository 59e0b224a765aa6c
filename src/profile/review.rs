//! What an auditor would say about a plan: allowed, but worth a second thought.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;

use crate::plan::{Plan, Rotate, StreamPlan, is_loopback};
use crate::profile::address::Address;

/// Warnings about `plan`, a sentence each, not yet safe for a terminal. Looks at the output files, if they are there.
#[must_use]
pub fn review(plan: &Plan) -> Vec<String> {
    let look = |stream: &StreamPlan| stream.out.file().and_then(|file| std::fs::metadata(file).ok());
    let of_streams = plan.streams.iter().flat_map(|stream| warnings(stream, plan.ssh.is_some(), look(stream).as_ref()));
    let place = plan.metrics.iter().filter(|place| place.is_public());
    let of_metrics = place.map(|place| {
        format!("metrics: whoever reaches {place} can read figures, names of streams and paths of outputs; 127.0.0.1 keeps them here")
    });
    of_streams.chain(of_metrics).collect()
}

fn warnings(stream: &StreamPlan, remote: bool, file: Option<&Metadata>) -> Vec<String> {
    let mut all = Vec::new();
    let name = &stream.name;
    if stream.transport.socket().is_none() && !is_loopback(&stream.bind) {
        let door = match (stream.port, remote) {
            (0, _) => "its port".to_owned(),
            (port, true) => format!("port {port} of the jump host"),
            (_, false) => format!("{} of this machine", Address::of(stream)),
        };
        let way = if remote { "up to the jump host" } else { "from sender to here" };
        match (stream.limits.allow.is_empty(), stream.keywords.is_empty()) {
            (true, true) => all.push(format!(
                "stream {name}: whoever reaches {door} can write to the file; let a firewall, `bind`, `allow` or \
                 `keyword_file` decide who does"
            )),
            (true, false) => all.push(format!(
                "stream {name}: whoever reaches {door} and knows the keyword can write to the file; it crosses the network in \
                 clear {way}: it keeps noise out, and is no authentication"
            )),
            // The address of a connection is known for certain.
            (false, _) => {}
        }
    }
    if let Some(file) = file.filter(|file| file.is_file()) {
        let mode = file.permissions().mode();
        if mode & 0o006 != 0 {
            let what = if mode & 0o002 != 0 { "changed" } else { "read" };
            let out = &stream.out;
            all.push(format!(
                "stream {name}: {out} can be {what} by every user of this machine (mode {:04o}); chmod o-rw {out}",
                mode & 0o7777
            ));
        }
    }
    if stream.out.is_on_disk() && !is_bounded(&stream.rotate) {
        all.push(format!("stream {name}: nothing bounds what is kept; `rotate: {{ size: 100MB, keep: 10 }}` does"));
    }
    all
}

/// Whether old records go at some time.
fn is_bounded(rotate: &Rotate) -> bool {
    let begins_anew = rotate.size.is_some() || rotate.every.is_some();
    begins_anew && (rotate.keep.is_some() || rotate.age.is_some() || rotate.total.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Compress, Every, Keyword, Limits, Output, Source};
    use std::time::Duration;

    fn stream(bind: &str, rotate: Rotate, out: &std::path::Path) -> StreamPlan {
        StreamPlan { bind: bind.into(), port: 55514, out: Output::file_at(out), rotate, ..StreamPlan::example() }
    }

    fn bounded() -> Rotate {
        Rotate { size: Some(1000), keep: Some(3), ..Rotate::default() }
    }

    fn said(bind: &str, rotate: Rotate, remote: bool) -> Vec<String> {
        warnings(&stream(bind, rotate, "/nowhere/out".as_ref()), remote, None)
    }

    #[test]
    fn a_port_in_the_open_is_told_and_a_loopback_one_is_not() {
        assert_eq!(
            said("*", bounded(), true),
            [
                "stream main: whoever reaches port 55514 of the jump host can write to the file; let a firewall, `bind`, `allow` or `keyword_file` decide who does"
            ]
        );
        assert!(said("192.0.2.1", bounded(), false)[0].contains("192.0.2.1:55514 of this machine"));
        for bind in ["localhost", "127.0.0.1", "::1", "127.9.9.9"] {
            assert_eq!(said(bind, bounded(), true), Vec::<String>::new(), "{bind}");
        }
    }

    #[test]
    fn a_keyword_is_told_to_be_a_filter_and_a_list_of_addresses_says_enough() {
        let file = "/nowhere/out".as_ref();
        let keywords = vec![Keyword { name: "default".into(), from: Source::Given }];
        let guarded = StreamPlan { keywords, ..stream("*", bounded(), file) };
        let said = warnings(&guarded, true, None).concat();
        assert!(said.contains("knows the keyword") && said.contains("in clear up to the jump host"), "{said}");
        assert!(warnings(&guarded, false, None).concat().contains("from sender to here"));
        let limits = Limits { allow: vec!["10.0.0.0/8".parse().unwrap()], ..Limits::default() };
        assert_eq!(warnings(&StreamPlan { limits, ..guarded }, true, None), Vec::<String>::new());
    }

    #[test]
    fn only_files_grow() {
        let out = Output::parse("exec:cat").unwrap();
        let stream = StreamPlan { out, ..stream("::1", Rotate::default(), "/nowhere/out".as_ref()) };
        assert_eq!(warnings(&stream, true, None), Vec::<String>::new());
    }

    #[test]
    fn growth_is_bounded_when_a_file_ends_and_archives_go() {
        let all = |rotate| said("::1", rotate, true).len();
        assert_eq!(all(Rotate::default()), 1);
        assert_eq!(all(Rotate { size: Some(1000), compress: Compress::Gzip, ..Rotate::default() }), 1);
        assert_eq!(all(Rotate { keep: Some(3), ..Rotate::default() }), 1);
        let daily = Some(Every::Day { hour: 0, minute: 0 });
        assert_eq!(all(Rotate { every: daily, age: Some(Duration::from_secs(9)), ..Rotate::default() }), 0);
        assert_eq!(all(Rotate { every: daily, total: Some(9000), ..Rotate::default() }), 0);
    }

    #[test]
    fn a_file_that_everybody_reads_is_told_with_its_mode() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, word) in [(0o644, Some("read")), (0o622, Some("changed")), (0o640, None), (0o600, None)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let metadata = std::fs::metadata(file.path()).unwrap();
            let all = warnings(&stream("::1", bounded(), file.path()), true, Some(&metadata));
            match word {
                Some(word) => assert!(
                    all[0].contains(&format!("can be {word} by")) && all[0].contains(&format!("{mode:04o}")),
                    "{all:?}"
                ),
                None => assert_eq!(all, Vec::<String>::new()),
            }
        }
    }
}
