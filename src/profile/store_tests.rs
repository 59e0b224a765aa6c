use super::*;
use crate::profile::explain::check;
use crate::profile::flags::Overrides;
use crate::profile::resolve::resolve_up;
use std::os::unix::fs::PermissionsExt;

fn home() -> (tempfile::TempDir, Paths) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let paths = Paths { config: at("config"), state: at("state"), runtime: at("run") };
    (folder, paths)
}

fn plan(paths: &Paths) -> Plan {
    let flags = Overrides {
        target: Some("me@jump:2222".into()),
        remote_port: Some(5),
        out: vec!["/tmp/x.log".into()],
        identities: vec!["/k".into()],
        options: vec!["Compression=yes".into()],
        ..Overrides::default()
    };
    resolve_up(&flags, paths).unwrap().plan
}

#[test]
fn the_template_parses_as_it_is_and_with_every_option_taken_in() {
    let (_folder, paths) = home();
    init("fresh", false, &paths).unwrap();
    let fresh = check("fresh", &paths).unwrap().plan;
    assert!(fresh.streams[0].out.name().ends_with("fresh.log"), "{fresh:?}");
    // Options are `#` and a key; prose is `# ` and a capital letter.
    // The first line is for editors.
    let all: Vec<String> = TEMPLATE
        .lines()
        .skip(1)
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') || option.trim_start().starts_with(|c: char| c.is_lowercase()) => {
                option.to_owned()
            }
            _ => line.to_owned(),
        })
        .collect();
    fs::write(paths.profile("all"), all.join("\n")).unwrap();
    let all = check("all", &paths).unwrap().plan;
    assert_eq!(all.ssh.unwrap().options.len(), 1);
    assert_eq!(all.streams[0].bind, "*");
}

#[test]
fn the_first_line_of_a_new_profile_leads_to_the_schema_which_is_kept_fresh() {
    let (_folder, paths) = home();
    let file = init("fresh", false, &paths).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
    let schema = file.parent().unwrap().join(named);
    let read = || serde_json::from_str::<serde_json::Value>(&fs::read_to_string(&schema).unwrap()).unwrap();
    assert_eq!(read(), crate::profile::schema());
    fs::write(&schema, "{}").unwrap();
    refresh_schema(&paths).unwrap();
    assert_eq!(read(), crate::profile::schema());
    let entries = fs::read_dir(&paths.config).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(
        entries.collect::<std::collections::BTreeSet<_>>(),
        ["profile.schema.json", "profiles"].map(Into::into).into()
    );
    assert_eq!(names(&paths), ["fresh"]);
}

#[test]
fn saving_never_replaces_without_force_and_leaves_nothing_else_behind() {
    let (_folder, paths) = home();
    let plan = plan(&paths);
    let file = save(&plan, "s", false, &paths).unwrap();
    let first = fs::read_to_string(&file).unwrap();
    insta::assert_snapshot!(first, @r#"
    # yaml-language-server: $schema=../profile.schema.json
    # Written by `reclog up --save`; `reclog profile check` says what it means.
    target: me@jump
    ssh:
      identity: /k
      port: 2222
      options:
        Compression: yes
    streams:
      main:
        remote_port: 5
        out: /tmp/x.log
    "#);
    let named = file.parent().unwrap().join("../profile.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(named).unwrap()).unwrap();
    assert_eq!(schema, crate::profile::schema(), "what the first line names is there");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(paths.profiles()).unwrap().count(), 1, "no temporary file stays");
    let mut other = plan.clone();
    other.streams[0].port = 6;
    let error = save(&other, "s", false, &paths).unwrap_err();
    assert_eq!((error.kind.exit_code(), error.hints.concat()), (2, "--force replaces it".to_owned()));
    assert_eq!(fs::read_to_string(&file).unwrap(), first);
    save(&other, "s", true, &paths).unwrap();
    assert!(fs::read_to_string(&file).unwrap().contains("remote_port: 6"));
    assert_eq!(fs::read_dir(paths.profiles()).unwrap().count(), 1, "no temporary file stays");
    assert_eq!(save(&plan, "../s", false, &paths).unwrap_err().kind.exit_code(), 2);
}

#[test]
fn the_list_has_summaries_and_flags_broken_profiles() {
    let (_folder, paths) = home();
    assert_eq!(list(&paths).unwrap(), []);
    save(&plan(&paths), "good", false, &paths).unwrap();
    fs::write(paths.profile("broken"), "nope: 1").unwrap();
    fs::write(paths.profiles().join("notes.txt"), "").unwrap();
    let all = list(&paths).unwrap();
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["broken", "good"]);
    assert!(all[0].summary.as_ref().unwrap_err().message.contains("unknown key `nope`"));
    assert_eq!(all[1].summary.as_deref(), Ok("me@jump:2222: main 5"));
}

#[test]
fn an_unknown_profile_is_answered_with_the_nearest_name() {
    let (_folder, paths) = home();
    save(&plan(&paths), "tremplin", false, &paths).unwrap();
    let folder = paths.profiles();
    for error in [show("tremplim", &paths).unwrap_err(), remove("tremplim", &paths).unwrap_err()] {
        assert_eq!(error.kind.exit_code(), 2);
        assert_eq!(error.message, format!("no profile called `tremplim` in {}", folder.display()));
        assert_eq!(error.hints, ["did you mean `tremplin`?"]);
    }
    assert!(show("../../etc/passwd", &paths).is_err());
    assert!(show("tremplin", &paths).unwrap().contains("target: me@jump"));
    remove("tremplin", &paths).unwrap();
    assert_eq!(list(&paths).unwrap(), []);
}

#[test]
fn files_that_cannot_be_profiles_are_refused_with_the_reason() {
    let (folder, paths) = home();
    fs::create_dir_all(paths.profiles()).unwrap();
    let refused = |name: &str| {
        let error = Profile::load(&folder.path().join(name)).unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
        error.message.rsplit_once(".yaml: ").unwrap().1.to_owned()
    };
    fs::create_dir(folder.path().join("folder.yaml")).unwrap();
    fs::write(folder.path().join("latin.yaml"), b"a: 1\nb: \xe9\n").unwrap();
    fs::write(folder.path().join("huge.yaml"), " ".repeat(300 * 1024)).unwrap();
    assert_eq!(refused("folder.yaml"), "it is a folder");
    assert_eq!(refused("latin.yaml"), "line 2 is not UTF-8");
    assert_eq!(refused("huge.yaml"), "it has more than 256 KiB");
    assert_eq!(refused("missing.yaml"), "No such file or directory");
    std::os::unix::fs::symlink("nowhere", paths.profile("dangling")).unwrap();
    assert!(find("dangling", &paths).unwrap_err().message.ends_with("No such file or directory"));
}
