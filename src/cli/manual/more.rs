//! What the page of a verb says beside what `--help` says: the parts of README that are about it, and examples.
//!
//! A verb without an entry here fails a test.

/// What is said of one verb.
pub struct More {
    /// The verb.
    pub verb: &'static str,
    /// Headings of README whose sections belong into its page.
    pub sections: &'static [&'static str],
    /// Exit codes that it can have; 0 and 2 every verb has.
    pub exits: &'static [u8],
    /// Command lines, and what they do.
    pub examples: &'static [(&'static str, &'static str)],
    /// Other verbs to look at.
    pub see: &'static [&'static str],
}

/// One verb each, in the order of `--help`.
pub const MORE: &[More] = &[
    More {
        verb: "up",
        sections: &["On the jump host", "Through a default sshd: `--relay`", "SSH", "When the connection is lost"],
        exits: &[1, 4, 5, 130],
        examples: &[
            ("reclog up log@jump.example.org --remote-port 55514 --out file.log", "Opens port 55514 of the jump host."),
            ("reclog up tremplin", "Starts the saved profile `tremplin`."),
            (
                "reclog up jump --remote-port 0 --out file.log --rotate-size 100MB --keep 10",
                "The jump host chooses the port.",
            ),
            ("reclog up jump --remote-port 55514 --out - --foreground", "Records go to standard output."),
        ],
        see: &["down", "status", "how", "doctor"],
    },
    More {
        verb: "listen",
        sections: &[],
        exits: &[1, 130],
        examples: &[
            ("reclog listen 5514 --out file.log", "TCP, on all interfaces."),
            ("reclog listen udp:127.0.0.1:5514 --out datagrams.log", "Datagrams of this machine."),
            ("reclog listen unix:/run/user/1000/log.sock --out local.log", "A Unix socket."),
        ],
        see: &["up", "down"],
    },
    More {
        verb: "down",
        sections: &[],
        exits: &[1],
        examples: &[
            ("reclog down", "Stops the only collector."),
            ("reclog down --all --now", "Stops all, and waits for no sender."),
        ],
        see: &["up", "status"],
    },
    More {
        verb: "status",
        sections: &[],
        exits: &[1, 3],
        examples: &[
            ("reclog status --watch", "Draws it again every second."),
            ("reclog status tremplin --json", "The snapshot."),
        ],
        see: &["tail", "audit"],
    },
    More {
        verb: "health",
        sections: &["Watching"],
        exits: &[1, 3],
        examples: &[
            ("reclog health", "One sentence a trouble; 0 when there is none, 1 when there is, 3 when nothing runs."),
            ("reclog health tremplin --json", "The same as one object."),
        ],
        see: &["status", "metrics"],
    },
    More {
        verb: "metrics",
        sections: &["Watching"],
        exits: &[1, 3],
        examples: &[
            ("reclog metrics", "What `metrics:` in a profile serves."),
            (
                "reclog metrics --textfile /var/lib/prometheus/node-exporter/reclog.prom",
                "Written at once, for the node exporter.",
            ),
        ],
        see: &["health", "status"],
    },
    More {
        verb: "tail",
        sections: &[],
        exits: &[1, 3],
        examples: &[
            ("reclog tail -n 5", "The last five records."),
            ("reclog tail tremplin/web -f -e error", "Goes on with what matches `error` in the stream `web`."),
        ],
        see: &["status", "audit"],
    },
    More {
        verb: "web",
        sections: &["In a browser"],
        exits: &[1],
        examples: &[
            ("reclog web --open", "All streams, in the browser of this desktop."),
            (
                "reclog web tremplin --listen unix:/run/user/1000/reclog-web.sock --no-token",
                "One of them, for a proxy of this machine.",
            ),
            ("reclog web user add ann --stream tremplin/main", "Lets a colleague log in, who sees one stream."),
            ("reclog web --listen 0.0.0.0:8866", "For whoever logs in, by TLS."),
        ],
        see: &["tail", "status", "audit"],
    },
    More {
        verb: "audit",
        sections: &["Audit trail"],
        exits: &[1, 3],
        examples: &[
            ("reclog audit --since today --event reject,cut", "Who was turned away or cut today."),
            ("reclog audit tremplin -f --json", "Lines of the trail as they come."),
            ("reclog audit --web tremplin", "Who looked at it in a browser."),
        ],
        see: &["status", "tail"],
    },
    More {
        verb: "kick",
        sections: &[],
        exits: &[1, 3],
        examples: &[("reclog kick tremplin", "Makes its connection anew.")],
        see: &["up", "status"],
    },
    More {
        verb: "rotate",
        sections: &[],
        exits: &[1, 3],
        examples: &[("reclog rotate tremplin --json", "Says what the archives are called.")],
        see: &["up", "status"],
    },
    More {
        verb: "restart",
        sections: &["Restart and upgrade"],
        exits: &[1, 3, 4, 5, 130],
        examples: &[("reclog restart tremplin", "After its profile was changed, or reclog upgraded.")],
        see: &["up", "down", "kick"],
    },
    More {
        verb: "doctor",
        sections: &["Before the first start: `doctor`"],
        exits: &[1, 4, 5, 130],
        examples: &[("reclog doctor log@jump.example.org --remote-port 55514", "Tries the way that `up` would take.")],
        see: &["up", "harden"],
    },
    More {
        verb: "how",
        sections: &[],
        exits: &[1, 3],
        examples: &[
            ("reclog how", "A line for bash."),
            ("reclog how tremplin/web --sender rsyslog", "A fragment for the configuration of rsyslog."),
        ],
        see: &["up", "send"],
    },
    More {
        verb: "send",
        sections: &["Sending"],
        exits: &[1, 130],
        examples: &[
            ("reclog send jump.example.org:55514", "Sends the lines of standard input."),
            ("reclog send jump.example.org:55514 --ack --follow app.log", "Follows a file, and loses nothing."),
        ],
        see: &["how", "up"],
    },
    More {
        verb: "harden",
        sections: &["The least a key needs: `harden`"],
        exits: &[1, 4, 5, 130],
        examples: &[
            ("reclog harden tremplin", "Prints the line for authorized_keys."),
            ("reclog harden tremplin --check", "Tries what more the key can do."),
        ],
        see: &["doctor", "up"],
    },
    More {
        verb: "profile",
        sections: &[],
        exits: &[1],
        examples: &[
            ("reclog profile init tremplin", "Writes a commented profile to start from."),
            ("reclog profile check tremplin", "Says what is wrong with it, or what it means."),
            ("reclog profile schema", "Prints the JSON Schema of profiles."),
        ],
        see: &["up"],
    },
    More {
        verb: "service",
        sections: &["As a service"],
        exits: &[1, 4, 5, 130],
        examples: &[
            ("reclog service install tremplin", "From now on and after each boot."),
            (
                "reclog service print tremplin --kind supervisord",
                "Prints what another manager needs, and installs nothing.",
            ),
            ("reclog service uninstall tremplin", "Drains, stops, and removes the unit."),
        ],
        see: &["profile", "status", "health"],
    },
    More {
        verb: "completions",
        sections: &["Shell completions"],
        exits: &[1],
        examples: &[("reclog completions bash", "Prints the script for bash.")],
        see: &["man"],
    },
    More {
        verb: "man",
        sections: &[],
        exits: &[1],
        examples: &[
            ("reclog man up", "Shows reclog-up(1)."),
            ("reclog man profile.5", "Shows the keys of profiles."),
            ("reclog man --dir ~/.local/share/man", "Lets man(1) find all of them."),
        ],
        see: &["completions"],
    },
    More {
        verb: "demo",
        sections: &[],
        exits: &[1, 130],
        examples: &[("reclog demo", "Shows the whole path on this machine.")],
        see: &["up"],
    },
];

/// What is said of `verb`.
#[must_use]
pub fn of(verb: &str) -> Option<&'static More> {
    MORE.iter().find(|more| more.verb == verb)
}
