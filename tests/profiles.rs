//! The examples in `profiles/` work as they are.

use std::path::{Path, PathBuf};

use reclog::paths::Paths;
use reclog::profile::{Overrides, check, resolve_up};

/// The example files.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let entries = std::fs::read_dir(folder).expect("profiles/ is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Folders that hold nothing, so that nothing of this machine helps.
fn nowhere() -> Paths {
    Paths { config: "/nonexistent/c".into(), state: "/nonexistent/s".into(), runtime: "/nonexistent/r".into() }
}

#[test]
fn every_example_resolves_as_it_is() {
    let files = examples();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let reference = file.to_str().expect("UTF-8");
        assert_eq!(file.extension().and_then(|extension| extension.to_str()), Some("yaml"), "{reference}");
        let flags = Overrides { target: Some(reference.to_owned()), ..Overrides::default() };
        let resolved = resolve_up(&flags, &nowhere()).unwrap_or_else(|error| panic!("{error}\n{:?}", error.hints));
        assert_eq!(file.file_stem().and_then(|stem| stem.to_str()), Some(resolved.plan.name.as_str()));
        assert!(!resolved.plan.streams.is_empty());
        assert!(resolved.plan.streams.iter().all(|stream| stream.out.name().is_absolute()));
        let checked = check(reference, &nowhere()).expect("what resolves checks");
        assert_eq!(checked.plan, resolved.plan);
        let other: Vec<_> = checked.warnings.iter().filter(|warning| !warning.contains("whoever reaches")).collect();
        assert_eq!(other, Vec::<&String>::new(), "{reference}");
    }
}

#[test]
fn the_examples_show_both_kinds_of_profile() {
    let plans: Vec<_> = examples().iter().map(|file| check(file.to_str().unwrap(), &nowhere()).unwrap().plan).collect();
    assert!(plans.iter().any(|plan| plan.ssh.is_none()), "one without SSH");
    assert!(plans.iter().any(|plan| plan.ssh.is_some() && plan.streams.len() > 1), "one with several streams");
}
