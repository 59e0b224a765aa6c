//! Configurations that are hard to read right, each compared with what the installed `ssh -G` makes of it.

mod common;
mod oracle;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use oracle::Case;
use reclog::ssh::{Proxy, Settings};

/// Both are of one opinion about `config` for `target`.
#[track_caller]
fn agree(target: &str, config: &str) {
    Case::new(target, config).agree();
}

#[test]
fn quotes_equals_signs_comments_and_odd_bytes_are_read_as_ssh_reads_them() {
    require!("ssh");
    for config in [
        "User a\"b c\"d # x\n",
        "User a#b\n",
        "User foo\\ bar\n",
        "User 'a\\'b'\n",
        "User \"a\\\\b\"\n",
        "User \"\"\n",
        "User \"a\n",
        "User 'a\n",
        "\"User\" me\n",
        "User\"me\"\n",
        "\"User me\n",
        "=User me\n",
        "User==me\n",
        "User = = me\n",
        "User me\r\nPort 7\r\n",
        "User me\x0c\n",
        "\x0cUser me\n",
        "\u{feff}User me\n",
        "User m\0e\nPort 7\n",
        "Port 7",
        "Port\n",
        "Port =\n",
        "Port 7 8\n",
        "Port 7 # 8\n",
        "User me \\\n",
        "HostName a b\n",
        "HoStNaMe    =\tx.example.org\t\n",
        "Compression true\n",
        "Port http\nHostName %%\n",
        "NumberOfPasswordPrompts \" 5\"\n",
        "NumberOfPasswordPrompts 2147483648\n",
        "ConnectTimeout none\nConnectTimeout 1m30\nConnectTimeout 5\n",
        "RekeyLimit 1.5G 1h\n",
        "RekeyLimit default none\n",
    ] {
        agree("jump", config);
    }
}

#[test]
fn the_first_value_wins_and_only_files_with_keys_add_up() {
    require!("ssh");
    agree("jump", "User a\nUser b\nPort 1\nPort 2\nUserKnownHostsFile /a\nUserKnownHostsFile /b\n");
    agree("jump", "IdentityFile /a\nIdentityFile /b\nIdentityFile /a\nCertificateFile /c\nCertificateFile /d\n");
    agree("jump", "IdentityFile none\n");
    agree("jump", "ChallengeResponseAuthentication no\nKbdInteractiveAuthentication yes\n");
    agree("jump", "PubkeyAcceptedKeyTypes ssh-rsa\nPubkeyAcceptedAlgorithms bogus\n");
    agree("jump", "Cipher x\nUsePrivilegedPort maybe\nProtocol 1 2\n");
    let many: String = (0..101).fold(String::new(), |text, n| text + &format!("IdentityFile /key{n}\n"));
    agree("jump", &many);
}

#[test]
fn bad_values_are_refused_in_blocks_that_do_not_hold_too() {
    require!("ssh");
    for bad in
        ["Port bogus", "User \"\"", "NoSuch x", "Ciphers bogus", "ProxyJump a, b", "RekeyLimit 3", "Compression maybe"]
    {
        agree("jump", &format!("Host other\n  {bad}\n"));
    }
    let error = Case::new("jump", "Prot 22\n\nHost x\n Usr me\n Port x\n").ours().unwrap_err();
    assert_eq!(error.kind.exit_code(), 2);
    for part in
        ["line 1: there is no keyword `Prot`", "line 4: there is no keyword `Usr`", "line 5: `port` takes a port"]
    {
        assert!(error.message.contains(part), "{error}");
    }
    assert!(error.hints.iter().any(|h| h.contains("did you mean `port`?")), "{error:?}");
    assert!(error.hints.iter().any(|h| h.contains("did you mean `user`?")), "{error:?}");
}

#[test]
fn unknown_keywords_are_passed_over_when_ignore_unknown_says_so() {
    require!("ssh");
    for config in [
        "IgnoreUnknown foo*,bar\nFooBar x y z\nBar x\n",
        "IgnoreUnknown FOO*\nFooBar x\n",
        "IgnoreUnknown foo\nFooBar x\n",
        "IgnoreUnknown foo\nFoo\n",
        "IgnoreUnknown foo\nFoo \"x\n",
        "IgnoreUnknown foo\nIgnoreUnknown bar\nBar x\n",
        "Host other\nIgnoreUnknown bar\nBar x\n",
        "Bar x\nIgnoreUnknown bar\n",
    ] {
        agree("jump", config);
    }
}

/// The variants of `Match`.
#[test]
fn cfgmatch_each_condition_holds_for_whom_it_holds_with_ssh() {
    require!("ssh");
    for condition in [
        "all",
        "ALL",
        "!all",
        "all # c",
        "all host jump",
        "host jump all",
        "host jump user me all",
        "final all",
        "host jump",
        "host JUMP",
        "Host=jump",
        "host \"a,jump\"",
        "host 'jump'",
        "host *,!jump",
        "host !other",
        "host jump # c",
        "host jump#c",
        "host",
        "host \"\"",
        "host jump \"\"",
        "host jump user",
        "!host other user me",
        "user ME",
        "!user \"m*,!me\"",
        "localuser nobody-here",
        "!localuser nobody-here",
        "originalhost jump",
        "originalhost jump.example.org",
        "nosuch x",
        "final",
        "!final",
        "canonical",
        "!canonical host jump",
        "exec true",
        "exec false",
        "!exec false",
        "exec \"test %h-%n-%p-%r = jump-jump-22-me\"",
        "exec \"exit 3\"",
        "exec \"kill -9 $$\"",
        "exec \"echo %T\"",
        "exec",
    ] {
        agree("me@jump", &format!("Match {condition}\nPort 7\nHost *\nUser late\n"));
        agree(
            "me@jump",
            &format!("HostName jump.example.org\nMatch {condition}\nPort 7\nMatch final host *.org\nCompression yes\n"),
        );
    }
    agree("jump", "User x\nMatch user x\nPort 4\n");
    agree("jump", "Match user x\nPort 4\nHost *\nUser x\n");
    agree("jump", "HostKeyAlias Q\nMatch exec \"test %k = Q\"\nPort 4\n");
    agree("jump", "CanonicalizeHostname yes\nMatch canonical\nUser c\nMatch final\nPort 6\n");
    agree("JUMP", "HostName X%h\nMatch final host xjump\nUser u\nHost xjump\nPort 7\nHost JUMP\nPort 8\n");
}

#[test]
fn cfgmatch_a_command_runs_only_when_all_before_it_holds() {
    let case = Case::new(
        "jump",
        "Match host other exec \"touch @/ran-1\"\nMatch host jump exec \"touch @/ran-2\"\nHost other\nInclude @/inner\n",
    );
    case.file("inner", "Match exec \"touch @/ran-3\"\n");
    case.ours().unwrap();
    let ran: Vec<_> = (1..4).filter(|n| case.folder.path().join(format!("ran-{n}")).exists()).collect();
    assert_eq!(ran, [2]);
}

/// `Include`: nested, with patterns, conditional.
#[test]
fn cfginclude_blocks_and_conditions_reach_as_far_as_with_ssh() {
    require!("ssh");
    for config in [
        "Include @/d/*.conf\n",
        "Host other\nInclude @/d/*.conf\nPort 9\n",
        "Host jump\nInclude @/d/*.conf\nPort 9\n",
        "Match host other\nInclude @/d/a.conf\nHost jump\nInclude @/d/b.conf\n",
        "Include @/d/host-other @/d/b.conf\nPort 9\n",
        "Include @/nosuch @/d/nosuch*.conf\nPort 9\n",
        "Include \"@/d/a.conf\" @/d/b.conf\n",
        "Include @/d/?.conf\n",
        "Include @/d/[ab].conf\n",
        "Include @/d/[!a].conf\n",
        "Include @/d/**.conf\n",
        "Include @/d/*\n",
        "Include @/d\nPort 9\n",
        "Include \"\"\n",
        "Include\n",
        "Include @/d/nested\nPort 9\n",
        "Host other\nInclude @/d/nested\n",
        "Include @/d/bad\n",
        "Host other\nInclude @/d/bad\n",
        "Host other\nInclude @/d/star\nPort 9\n",
        "Match final\nInclude @/d/a.conf\n",
        "Include=@/d/a.conf # c\n",
    ] {
        let case = Case::new("jump", config);
        case.file("d/a.conf", "User from-a\nHost jump\nPort 1\n");
        case.file("d/b.conf", "User from-b\nPort 2\n");
        case.file("d/.hidden.conf", "User hidden\n");
        case.file("d/host-other", "Host other\nUser never\n");
        case.file("d/star", "Host *\nUser star\nMatch all\nCompression yes\n");
        case.file("d/nested", "Host j*\nInclude @/d/star\nHostKeyAlias after\n");
        case.file("d/folder.conf/x", "User x\n");
        if config.contains("bad") {
            case.file("d/bad", "Prot 5\n");
        }
        case.agree();
    }
}

#[test]
fn cfginclude_relative_names_are_looked_for_in_the_users_ssh_folder() {
    require!("ssh");
    // Unlike everywhere else, ssh takes $HOME there; a process of its own has another one.
    let case = Case::new("jump", "Include rel.conf ~/home.conf\n");
    case.file(".ssh/rel.conf", "User from-rel\n");
    case.file("home.conf", "Port 77\n");
    let out = case.ssh().arg("-G").env("HOME", case.folder.path()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("user from-rel\n") && text.contains("port 77\n"), "{text}");
    // A ProxyJump that leads to the host itself is refused: so it shows what was read.
    let env = common::Env::new();
    for (jump, leads_back) in [("from-rel@jump:77", true), ("other@jump:77", false)] {
        case.file("config", &format!("Include rel.conf ~/home.conf\nProxyJump {jump}\nRevokedHostKeys %x\n"));
        let mut up = env.command(env!("CARGO_BIN_EXE_reclog"));
        up.args(["up", "jump", "--remote-port", "0", "--name", "c", "--out"]).arg(env.path("f"));
        up.arg("-F").arg(case.config());
        let out = up.env("HOME", case.folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!((out.status.code(), said.contains("leads to itself")), (Some(2), leads_back), "{said}");
    }
}

#[test]
fn files_that_include_each_other_are_refused_with_their_names() {
    require!("ssh");
    for files in
        [&[("config", "Include @/config\n")][..], &[("config", "Include @/b\n"), ("b", "Host x\nInclude @/config\n")]]
    {
        let case = Case::new("jump", "");
        for (name, text) in files {
            case.file(name, text);
        }
        case.agree();
        let error = case.ours().unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
        assert!(error.message.contains("16 deep") && error.hint_text().unwrap().contains("config"), "{error:?}");
    }
    // As deep as ssh lets it be, and one deeper.
    for (deepest, fits) in [(16, true), (17, false)] {
        let case = Case::new("jump", "Include @/1\n");
        (1..=deepest).for_each(|n| case.file(&n.to_string(), &format!("Include @/{}\n", n + 1)));
        case.file(&deepest.to_string(), "User deep\n");
        case.agree();
        assert_eq!(case.ours().is_ok(), fits, "{deepest}");
    }
}

#[test]
fn files_that_others_may_write_are_refused_as_ssh_does() {
    require!("ssh");
    for mode in [0o600, 0o644, 0o666, 0o602, 0o660, 0o664] {
        let case = Case::new("jump", "Include @/inner\n");
        case.file("inner", "User x\n");
        std::fs::set_permissions(case.folder.path().join("inner"), PermissionsExt::from_mode(mode)).unwrap();
        case.agree();
        if mode & 0o002 != 0 {
            let error = case.ours().unwrap_err();
            assert!(error.message.contains("bad owner or permissions") && error.hints.len() == 1, "{error:?}");
        }
    }
    // The file of -F itself may be anybody's.
    let case = Case::new("jump", "User x\n");
    std::fs::set_permissions(case.config(), PermissionsExt::from_mode(0o666)).unwrap();
    case.agree();
    assert_eq!(case.ours().unwrap().user, "x");
}

#[test]
fn proxies_are_cut_as_ssh_cuts_them_and_the_first_wins() {
    require!("ssh");
    for config in [
        "ProxyJump a\nProxyCommand b\n",
        "ProxyCommand b\nProxyJump a\n",
        "ProxyJump none\nProxyCommand b\n",
        "ProxyJump none\nProxyJump b\n",
        "ProxyCommand none\nProxyJump a\n",
        "ProxyCommand NONE\n",
        "ProxyJump NONE\n",
        "ProxyJump none,x\n",
        "ProxyJump a # c\n",
        "ProxyJump a b:5\n",
        "ProxyJump a#b\n",
        "ProxyJump a:5 \n",
        "ProxyJump a@b@c:3\n",
        "ProxyJump [a]b\n",
        "ProxyJump [::1]:7,q\n",
        "ProxyJump ::1\n",
        "ProxyJump a:0\n",
        "ProxyJump a:5\n",
        "ProxyJump a:x,b\n",
        "ProxyJump a::5\n",
        "ProxyJump a/b\n",
        "ProxyJump :5\n",
        "ProxyJump \"a b\n",
        "ProxyJump ssh://x:5/foo\n",
        "ProxyJump ssh://u%4\n",
        "ProxyJump jump\n",
        "ProxyJump a,jump\n",
        "ProxyJump jump,a\n",
        "ProxyJump me@jump:22\n",
        "ProxyJump other@jump\n",
        "User x\nHostName Z\nProxyJump x@z\n",
        "ProxyCommand foo \"bar\n",
        "ProxyCommand \"a b\" c  # d\n",
        "ProxyCommand   =   a b  \n",
    ] {
        agree("me@jump", config);
    }
}

/// Every token in every keyword that takes it.
#[test]
fn percent_tokens_stand_for_what_ssh_has_them_stand_for() {
    require!("ssh");
    let head = "HostName Real.%h\nPort 2200\nUser log\nHostKeyAlias Alias\n";
    for token in "CdhijkLlnpruTtfHIK%aZ".chars().chain([' ']) {
        // %j came with later versions of ssh.
        if token == 'j' {
            continue;
        }
        for line in [
            format!("UserKnownHostsFile /k/x%{token}y /k/%h%{token}\n"),
            format!("IdentityAgent /a/x%{token}y\n"),
            format!("Match exec \"test -n x%{token}y\"\nCompression yes\n"),
            format!("HostName x%{token}y\n"),
        ] {
            agree("jump", &format!("{head}{line}"));
            agree("jump", &line);
        }
    }
    for text in [
        "%",
        "a%",
        "%%%",
        "${HOME}",
        "a${HOME}b${HOME}",
        "${NOSUCH_VARIABLE}",
        "${",
        "${}",
        "$HOME",
        "$",
        "~",
        "~/a",
        "~root/a",
        "~nosuch-user/a",
    ] {
        agree("jump", &format!("UserKnownHostsFile /{text}\n"));
        agree("jump", &format!("IdentityAgent /{text}\n"));
        if text.starts_with('~') {
            let name = text.trim_end_matches('/');
            agree("jump", &format!("UserKnownHostsFile {name}/k\n"));
        }
    }
}

/// What `ssh -v` says that it does with files and proxies: `ssh -G` prints them as they are written.
#[test]
fn percent_tokens_in_keys_certificates_and_proxies_are_expanded_as_ssh_does() {
    require!("ssh");
    for (token, in_proxy) in "CdhikLlnpru%".chars().map(|c| (c, "hknpr%".contains(c))) {
        let case = Case::new(
            "jump",
            &format!(
                "HostName Real.%h\nPort 2200\nUser log\nHostKeyAlias Alias\nIdentityFile /i/x%{token}y-${{HOME}}\n\
                 CertificateFile /c/x%{token}y\nProxyCommand exit 0\n"
            ),
        );
        let ours = case.ours().unwrap();
        let said = case.ssh().arg("-v").output().unwrap();
        let said = String::from_utf8_lossy(&said.stderr).replace("//", "/");
        let key = format!("identity file {} type", ours.identities[0].display());
        let certificate = format!("certificate file {} type", ours.certificates[0].display());
        assert!(said.contains(&key) && said.contains(&certificate), "{token}: {key}, {certificate}\n{said}");
        let case = Case::new(
            "jump",
            &format!(
                "HostName Real.%h\nPort 2200\nUser log\nHostKeyAlias Alias\nProxyCommand : x%{token}y ${{HOME}}\n"
            ),
        );
        let said = case.ssh().arg("-v").output().unwrap();
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        match case.ours() {
            Ok(Settings { proxy: Proxy::Command(command), .. }) => {
                assert!(
                    said.contains(&format!("Executing proxy command: exec {command}")),
                    "{token}: {command}\n{said}"
                );
            }
            Ok(other) => panic!("{:?}", other.proxy),
            Err(error) => assert!(!in_proxy && said.contains("unknown key"), "{token}: {error}\n{said}"),
        }
    }
}

#[test]
fn what_stands_on_the_command_line_comes_first() {
    require!("ssh");
    let mut case =
        Case::new("me@jump", "Port 8\nUser x\nConnectTimeout 4\nProxyJump a\nMatch user me\nCompression yes\n");
    case.port = Some(9);
    case.options =
        vec![("Port".into(), "7".into()), ("ConnectTimeout".into(), "3".into()), ("User".into(), "y".into())];
    case.jump = vec!["b".into(), "c@d:5".into()];
    case.agree();
    assert_eq!(case.ours().unwrap().proxy, Proxy::Jump(vec!["b".into(), "c@d:5".into()]));
    for (keyword, value) in [
        ("Host", "x"),
        ("Match", "all"),
        ("Include", "/x"),
        ("NoSuch", "1"),
        ("Port", "x"),
        ("User", "\"a b\""),
        ("User", "a b"),
        ("ProxyCommand", "a \"b c\" # d"),
        ("IgnoreUnknown", "x"),
    ] {
        let mut case = Case::new("jump", "");
        case.options = vec![(keyword.into(), value.into())];
        case.agree();
    }
}

#[test]
fn a_hop_has_the_configuration_of_its_own_host() {
    let case = Case::new(
        "target",
        "Host first\n User one\n Port 2201\nHost last\n HostName last.example.org\n ProxyCommand none\n\
         Host target\n User me\n Port 2203\n ProxyJump first,two@last:2202\n",
    );
    let mut plan = case.plan();
    plan.options = vec![("ConnectTimeout".into(), "3".into())];
    let target = Settings::resolve(&plan).unwrap();
    let hops: Vec<_> = target.hops(&plan).unwrap().iter().map(|hop| Settings::resolve(hop).unwrap()).collect();
    assert_eq!(hops.iter().map(Settings::target).collect::<Vec<_>>(), ["one@first:2201", "two@last.example.org:2202"]);
    assert_eq!(hops[0].proxy, Proxy::None);
    assert_eq!(hops[1].proxy, Proxy::Jump(vec!["first".into()]), "the hops before it, whatever its configuration says");
    assert_eq!((target.connect_timeout.as_secs(), hops[0].connect_timeout.as_secs()), (3, 10));
}

#[test]
fn whoever_types_ssh_jump_types_reclog_up_jump() {
    require!("sshd", "ssh");
    let (env, sshd) = (common::Env::new(), common::Sshd::start());
    env.trust(&sshd);
    // All that `trust` has written, but by another name, from another file, under conditions, with tokens.
    let trusted = common::read_text(env.path("ssh_config")).replace("Host jump", "Host 127.0.0.1");
    env.write("inner.conf", format!("{trusted}\nHost *\n"));
    let inner = env.arg("inner.conf");
    let known = common::read_text(env.path("known_hosts"));
    env.write("known-alias", format!("alias {}\n", known.split_once(' ').unwrap().1.trim()));
    env.write(
        "ssh_config",
        format!(
            "HostKeyAlias alias\nUserKnownHostsFile \"{}-%k\"\nRemoteForward 1 localhost:2\n\
             Match originalhost jump,other exec \"test %n = jump\"\n  HostName 127.0.0.1\n  RekeyLimit 1G 1h # c\n\
             Host j?mp !jxmp\nMatch final host 127.0.0.1\n  Include \"{inner}*\"\n",
            env.arg("known"),
        ),
    );
    let config = env.arg("ssh_config");
    let ssh =
        env.command("ssh").args(["-F", &config, "-o", "ClearAllForwardings=yes", "jump", "echo in"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ssh.stdout), "in\n", "{}", String::from_utf8_lossy(&ssh.stderr));
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    common::send(up.port(), "x\n");
    env.down("c");
    assert_eq!(common::read(env.path("f")), b"x\n");
    let log = common::read_text(env.path("state/c/collector.log"));
    assert!(log.contains("RemoteForward of the ssh configuration is not taken"), "{log}");
}

#[test]
fn lists_of_algorithms_are_refused_where_ssh_refuses_them() {
    require!("ssh");
    for line in [
        "Ciphers aes128-ctr,nosuch",
        "Ciphers aes*",
        "Ciphers +",
        "Ciphers ^",
        "Ciphers AES128-CTR",
        "Ciphers !aes128-ctr",
        "Ciphers none",
        "Ciphers -nosuch",
        "Ciphers ,aes128-ctr,",
        "MACs umac*",
        "MACs hmac-sha2-256,hmac-md5",
        "KexAlgorithms nosuch",
        "KexAlgorithms -curve*,!x",
        "HostKeyAlgorithms nosuch*,ssh-rsa",
        "HostKeyAlgorithms ssh-rsa*",
        "HostKeyAlgorithms +",
        "HostKeyAlgorithms SSH-RSA",
        "HostKeyAlgorithms ^ssh-rsa,rsa-sha2-256",
        "PubkeyAcceptedAlgorithms *",
        "PubkeyAcceptedKeyTypes ssh-ed25519",
        "CASignatureAlgorithms ^ssh-rsa",
    ] {
        agree("jump", &format!("{line}\n"));
    }
    // What ssh lists and reclog can do, in ssh's order.
    for (keyword, printed) in [
        ("Ciphers", "ciphers"),
        ("MACs", "macs"),
        ("KexAlgorithms", "kexalgorithms"),
        ("HostKeyAlgorithms", "hostkeyalgorithms"),
        ("PubkeyAcceptedAlgorithms", "pubkeyacceptedalgorithms"),
    ] {
        let all = Case::new("jump", "").theirs().unwrap().one(printed).to_owned();
        let mut names: Vec<_> = all.split(',').collect();
        names.reverse();
        let case = Case::new("jump", &format!("{keyword} {}\n", names.join(",")));
        let lists = case.ours().unwrap().algorithms;
        let ours = match keyword {
            "Ciphers" => lists.ciphers,
            "MACs" => lists.macs,
            "KexAlgorithms" => lists.kex,
            "HostKeyAlgorithms" => lists.host_keys,
            _ => lists.public_keys,
        };
        let ours = ours.unwrap();
        names.retain(|name| ours.iter().any(|o| o == name));
        assert!(ours.len() > 3 && ours == names, "{keyword}: {ours:?}");
    }
    let error = Case::new("jump", "MACs umac-64@openssh.com\n").ours().unwrap_err();
    assert_eq!(error.kind.exit_code(), 2);
    assert!(error.message.contains("macs umac-64@openssh.com"), "{error}");
    assert!(error.hint_text().unwrap().contains("hmac-sha2-256-etm@openssh.com"), "{error:?}");
}

/// Many thousand lines.
#[test]
fn connect_bigconf_a_configuration_of_many_thousand_lines_is_read_quickly() {
    require!("ssh");
    let mut text = String::new();
    for n in 0..20_000 {
        let _ = write!(text, "Host h{n} h{n}.example.org\n  Port {}\n  User u{n}\n  # one of many\n", 1 + n % 60_000);
    }
    let begun = std::time::Instant::now();
    let case = Case::new("h19999", &text);
    assert_eq!(case.ours().unwrap().user, "u19999");
    assert!(begun.elapsed() < common::SOON);
    case.agree();
    agree("nowhere", &text);
}

#[test]
fn what_is_no_configuration_is_refused_in_time() {
    let refused = |config: PathBuf, what: &str| {
        let case = Case::new("jump", "");
        let mut plan = case.plan();
        plan.config_file = Some(config);
        let error = Settings::resolve(&plan).unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
        assert!(error.message.contains(what), "{error}");
    };
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path().into(), "is a directory");
    refused(folder.path().join("nosuch"), "No such file");
    refused("/dev/zero".into(), "64 MiB");
    let case = Case::new("jump", "");
    case.bytes("config", &[b"User ", &vec![b'x'; 10 << 20][..], b"\nPort 5\n"].concat());
    assert_eq!((case.ours().unwrap().user.len(), case.ours().unwrap().port), (10 << 20, 5));
    case.bytes("config", &[b"User \"", &vec![b'x'; 10 << 20][..], b"\n"].concat());
    assert!(case.ours().unwrap_err().message.len() < 1000);
    case.bytes("config", &[b"Host ", &b"*a".repeat(2000)[..], b"\nPort 5\n"].concat());
    assert_eq!(case.ours().unwrap().port, 22);
    case.bytes("config", &vec![b'x'; 10 << 20]);
    assert!(case.ours().is_err());
    for bad in ["x\n".repeat(5 << 20), format!("{} y\n", "x".repeat(10 << 20))] {
        let begun = std::time::Instant::now();
        case.bytes("config", bad.as_bytes());
        let error = case.ours().unwrap_err();
        assert!(error.message.len() < 10_000 && begun.elapsed() < common::SOON, "{} bytes", error.message.len());
    }
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    case.bytes("config", &garbage);
    let error = case.ours().unwrap_err();
    assert!(error.message.chars().all(|c| !c.is_control()) && error.message.len() < 20_000, "{error}");
    if !nix::unistd::geteuid().is_root() {
        std::fs::set_permissions(case.config(), PermissionsExt::from_mode(0o000)).unwrap();
        refused(case.config(), "Permission denied");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(600))]

    #[test]
    fn no_text_makes_the_reader_panic_or_hang(
        lines in proptest::collection::vec(
            "(Host|Match|Match host|Match !user|Port|User|ProxyJump|ProxyCommand|IdentityAgent|Ciphers|RekeyLimit|\
              ConnectTimeout|UserKnownHostsFile|HostName|[ -~]{0,6}|\\PC{0,6})[ =\t]{0,2}\
              ([ -~éß\u{0}\r]{0,24}|[0-9.+-]{1,4}[smhKGé]?[0-9]{0,2}|[%$~{}Ah!,*@:/\"'é]{0,10})",
            0..12,
        ),
        host in "[a-z*?!%]{1,8}",
    ) {
        // Nothing is to be run or read that chance has made up.
        let text = lines.join("\n").to_ascii_lowercase().replace("exec", "exit").replace("include", "inside");
        let case = Case::new(&host, "");
        case.bytes("config", text.as_bytes());
        if let Err(error) = case.ours() {
            assert!(error.message.chars().all(|c| !c.is_control() || c == '\t'), "{error}");
        }
    }
}
