//! The completion scripts, as committed and as shells run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap_complete::Shell;
use reclog::cli::completions::script;

const FILES: [(Shell, &str); 5] = [
    (Shell::Bash, "reclog.bash"),
    (Shell::Zsh, "_reclog"),
    (Shell::Fish, "reclog.fish"),
    (Shell::Elvish, "reclog.elv"),
    (Shell::PowerShell, "_reclog.ps1"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions")
}

/// Whether `program` is here; a missing one skips the test, or fails it under `RECLOG_TEST_STRICT=1`.
fn has(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|f| f.join(program).is_file());
    if !found {
        assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// An environment with profiles, collectors and `reclog` in the PATH.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        for file in
            ["config/profiles/tremplin.yaml", "config/profiles/web.yaml", "run/jump.sock", "state/run/cron.sock"]
        {
            let path = stage.0.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        stage
    }

    /// What `program arguments…` prints, as words in order; it has to say nothing on stderr.
    fn words(&self, program: &str, arguments: &[&str]) -> Vec<String> {
        let bin = Path::new(env!("CARGO_BIN_EXE_reclog")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let output = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs([("PATH", path.as_str()), ("TERM", "xterm"), ("LC_ALL", "C.UTF-8")])
            .env("HOME", self.0.path())
            .env("RECLOG_CONFIG_DIR", self.0.path().join("config"))
            .env("RECLOG_STATE_DIR", self.0.path().join("state"))
            .env("RECLOG_RUNTIME_DIR", self.0.path().join("run"))
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.is_empty(), "{program} {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
    }
}

/// What is typed, and the names that are offered then.
const CASES: [(&[&str], &[&str]); 23] = [
    (&["up", ""], &["tremplin", "web"]),
    (&["up", "tr"], &["tremplin"]),
    (&["doctor", "tr"], &["tremplin"]),
    (&["harden", "--check", "w"], &["web"]),
    (&["-q", "up", "--remote-port", "5", "w"], &["web"]),
    (&["up", "-i", "key", "-f", "w"], &["web"]),
    (&["profile", "show", ""], &["tremplin", "web"]),
    (&["profile", "check", "w"], &["web"]),
    (&["profile", "edit", "w"], &["web"]),
    (&["profile", "path", "w"], &["web"]),
    (&["profile", "rm", "t"], &["tremplin"]),
    (&["profile", "init", "t"], &[]),
    (&["down", ""], &["cron", "jump"]),
    (&["down", "jump", "c"], &["cron"]),
    (&["status", "j"], &["jump"]),
    (&["tail", "-n", "5", "-f", "j"], &["jump"]),
    (&["audit", "-n", "5", "-f", "j"], &["jump"]),
    (&["kick", "j"], &["jump"]),
    (&["web", "jump", "c"], &["cron"]),
    (&["restart", "j"], &["jump"]),
    (&["how", "--sender", "nc", "j"], &["jump"]),
    (&["up", "--name", "w"], &[]),
    (&["man", "trem"], &[]),
];

#[test]
fn committed_scripts_are_those_the_program_prints() {
    for (shell, file) in FILES {
        let path = folder().join(file);
        if std::env::var_os("RECLOG_UPDATE").is_some() {
            std::fs::write(&path, script(shell)).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == script(shell), "{file} is old: run this test with RECLOG_UPDATE=1");
    }
}

#[test]
fn hidden_verbs_are_not_offered() {
    for (shell, file) in FILES {
        let script = script(shell);
        assert!(!script.contains("__collector"), "{file}");
        let calls = [
            "\"$1\" __names \"$what\"",
            "reclog __names profiles",
            "reclog __names collectors",
            "reclog __names pages",
        ];
        let rest = calls.iter().fold(script, |text, call| text.replace(call, ""));
        assert!(!rest.contains("__names"), "{file}");
    }
}

#[test]
fn shells_find_no_fault_in_the_scripts() {
    for (program, options, file) in
        [("bash", &["-n"][..], "reclog.bash"), ("zsh", &["-n"], "_reclog"), ("fish", &["-n"], "reclog.fish")]
    {
        if has(program) {
            let output = Command::new(program).args(options).arg(folder().join(file)).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
        }
    }
}

#[test]
fn elvish_takes_the_script_and_completes() {
    if !has("elvish") {
        return;
    }
    // Only an interactive elvish has the module `edit:`; as much of it as the script uses is easily made.
    let stub = "fn complex-candidate {|word &display=''| put $word }
        var edit: = (ns [&completion:=(ns [&arg-completer=[&]]) &complex-candidate~=$complex-candidate~])\n";
    let call = "\nfor word [($edit:completion:arg-completer[reclog] reclog how --)] { echo $word }\n";
    let offered = Stage::new().words("elvish", &["-norc", "-c", &(stub.to_owned() + &script(Shell::Elvish) + call)]);
    assert!(offered.contains(&"--sender".to_owned()), "{offered:?}");
}

#[test]
fn bash_offers_names() {
    if !has("bash") {
        return;
    }
    let stage = Stage::new();
    let script = folder().join("reclog.bash").display().to_string();
    let driver = r#"source "$1"; shift
        # What readline does: words, the current one, and the function that was registered.
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        function=$(complete -p reclog); function=${function#*-F }; function=${function%% *}
        "$function" reclog "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let complete = |typed: &[&str]| {
        let arguments = [&["--norc", "-c", driver, "bash", &script, "reclog"], typed].concat();
        stage.words("bash", &arguments)
    };
    for (typed, names) in CASES {
        assert_eq!(complete(typed), names, "{typed:?}");
    }
    assert_eq!(complete(&["up", "--out", "=", "file", "w"]), ["web"]);
    assert_eq!(complete(&["st"]), ["status"]);
    assert_eq!(complete(&["down", "--al"]), ["--all"]);
    assert_eq!(complete(&["how", "--sender", "py"]), ["python"]);
    assert_eq!(complete(&["man", "profile"]), ["profile", "profile.5"]);
}

#[test]
fn fish_offers_names() {
    if !has("fish") {
        return;
    }
    let stage = Stage::new();
    let script = folder().join("reclog.fish").display().to_string();
    let complete = |typed: &[&str]| {
        let line = format!("reclog {}", typed.join(" "));
        // Without it the last tab and description would be words, too.
        let driver = "source $argv[1]; complete -C $argv[2] | string replace -r '\\t.*' ''";
        stage.words("fish", &["--no-config", "-c", driver, &script, &line])
    };
    for (typed, names) in CASES {
        let mut offered = complete(typed);
        offered.retain(|word| ["tremplin", "web", "cron", "jump"].contains(&word.as_str()));
        assert_eq!(offered, names, "{typed:?}");
    }
    assert_eq!(complete(&["sta"]), ["status"]);
    assert_eq!(complete(&["man", "profile"]), ["profile", "profile.5"]);
    assert_eq!(complete(&["how", "--sender", "py"]), ["python"]);
}

#[test]
fn zsh_offers_names() {
    if !has("zsh") {
        return;
    }
    let stage = Stage::new();
    let scratch = stage.0.path().join("matches").display().to_string();
    let driver = include_str!("completions.zsh");
    for (typed, names) in CASES {
        let line = format!("reclog {}", typed.join(" "));
        let mut offered =
            stage.words("zsh", &["-f", "-c", driver, "zsh", &folder().display().to_string(), &line, &scratch]);
        offered.retain(|word| ["tremplin", "web", "cron", "jump"].contains(&word.as_str()));
        assert_eq!(offered, names, "{typed:?}");
    }
}
