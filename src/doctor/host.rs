//! What a shell on the jump host tells: its clock, and when its server ends what is quiet.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Patient;
use super::limits::{Limits, Source};
use super::step::{Name, Step, Verdict};
use crate::ssh::Output;

/// The start of a shell, and what it reads as it starts.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clocks that are further apart make times in logs hard to compare.
const CLOCK: f64 = 2.0;

/// Where a command may not be run.
const NO_SHELL: &str = "the account may run no command, and nothing else tells";

/// Seconds and, where date(1) knows them, nanoseconds.
const DATE: &str = "date +%s.%N";

/// Finds the listening sshd above this shell, with its options, and has that very program say what holds for this login;
/// where it may not (it needs the host keys, so root), prints the files, of which the first that says something counts.
/// See the rules for such scripts at `Connection::command`.
const LIMITS: &str = r#"exec 2>/dev/null </dev/null; set -f; p=$PPID; n=0; f=; b=; \
while [ $n -lt 16 ] && [ "$p" -gt 1 ]; do n=$((n+1)); \
set -- $(cat /proc/$p/cmdline); l=; for w in "$@"; do [ "$w" = "[listener]" ] && l=1; done; \
if [ -n "$l" ]; then b=$2; while [ $# -gt 0 ]; do case $1 in -f) f=$2;; -f?*) f=${1#-f};; esac; shift; done; break; fi; \
while read -r k v r; do case $k in PPid:) p=$v; break;; esac; done </proc/$p/status; done; \
case $b in /*) ;; *) b=$(command -v sshd || echo /usr/sbin/sshd);; esac; \
u=$(id -un); set -- $SSH_CONNECTION; set -- "$b" -T ${f:+-f "$f"} -C "user=$u,host=$1,addr=$1,laddr=$3,lport=$4"; \
if t=$("$@") && [ -n "$t" ]; then echo effective; echo "$t"; \
else set +f; c=${f:-/etc/ssh/sshd_config}; if [ -r "$c" ]; then echo files; \
[ -n "$f" ] || cat /etc/ssh/sshd_config.d/*.conf; cat "$c"; fi; fi"#;

impl Patient<'_> {
    /// Both steps.
    pub(super) async fn host(&mut self) {
        let Some(connection) = &self.connection else {
            for name in [Name::Clock, Name::IdleLimits] {
                self.chart.skip(name, "there is no connection");
            }
            return;
        };
        self.chart.begin(Name::Clock);
        let began = Instant::now();
        // Both ends of the answer's time by the same clock: this machine's may be set meanwhile.
        let (wall, steady) = (SystemTime::now(), Instant::now());
        let said = connection.command(DATE, PATIENCE).await;
        let step = clock(said.as_ref(), wall, steady);
        self.chart.done(step.took(began.elapsed()));

        self.chart.begin(Name::IdleLimits);
        let began = Instant::now();
        let script = LIMITS.replace("\\\n", "");
        let said = connection.command(&script, PATIENCE).await;
        let limits = said.and_then(|output| read_limits(&output.text));
        let step = idle(limits.as_ref(), &self.settings.user);
        self.chart.done(step.took(began.elapsed()));
    }
}

/// `wall` and `steady` are the same instant.
fn clock(said: Option<&Output>, wall: SystemTime, steady: Instant) -> Step {
    let time = said.and_then(|output| Some((output, seconds(output.text.trim())?)));
    let Some((output, (there, exact))) = time else {
        return Step::new(Name::Clock, Verdict::CannotTell, NO_SHELL);
    };
    let here = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = |instant: Instant| (here + instant.saturating_duration_since(steady)).as_secs_f64();
    let (asked, answered) = (at(output.asked), at(output.answered));
    // It was read somewhere between the two; whole seconds are up to one second old.
    let slack = (answered - asked) / 2.0 + if exact { 0.0 } else { 0.5 };
    let there = there + if exact { 0.0 } else { 0.5 };
    apart(there - f64::midpoint(asked, answered), slack)
}

/// What clocks that are `offset` seconds apart mean, give or take `slack`.
fn apart(offset: f64, slack: f64) -> Step {
    let ahead = if offset < 0.0 { "behind" } else { "ahead of" };
    let text = format!("the jump host is {:.1} s {ahead} this machine (± {slack:.1} s)", offset.abs());
    if offset.abs() - slack > CLOCK {
        return Step::new(Name::Clock, Verdict::Warning, text)
            .hint("times that senders write will not fit those of this machine; `timedatectl` on both shows whose clock is not set by NTP");
    }
    Step::new(Name::Clock, Verdict::Ok, text)
}

/// Seconds since the epoch, and whether they are exact.
fn seconds(text: &str) -> Option<(f64, bool)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u32 = whole.parse().ok()?;
    let exact = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: f64 = if exact { format!("0.{fraction}").parse().ok()? } else { 0.0 };
    Some((f64::from(whole) + fraction, exact))
}

fn read_limits(text: &str) -> Option<Limits> {
    let (source, text) = text.split_once('\n')?;
    let source = match source {
        "effective" => Source::Effective,
        "files" => Source::Files,
        _ => return None,
    };
    Some(Limits::parse(text, source))
}

fn idle(limits: Option<&Limits>, user: &str) -> Step {
    let Some(limits) = limits else {
        return Step::new(Name::IdleLimits, Verdict::CannotTell, NO_SHELL)
            .detail("UnusedConnectionTimeout and ChannelTimeout of its sshd_config would end a quiet collector");
    };
    let (mut troubles, mut lines) = (Vec::new(), Vec::new());
    if let Some(time) = limits.unused.filter(|s| *s > 0) {
        troubles.push(format!("a collector without senders is cut after {} (UnusedConnectionTimeout)", time_of(time)));
        lines.push("    UnusedConnectionTimeout none");
    }
    if let Some(time) = limits.senders.filter(|s| *s > 0) {
        troubles.push(format!("a sender that is quiet for {} is cut (ChannelTimeout)", time_of(time)));
        lines.push("    ChannelTimeout none");
    }
    let mut step = if troubles.is_empty() {
        Step::new(Name::IdleLimits, Verdict::Ok, "nothing ends a quiet collector")
    } else {
        let lines = lines.join("\n");
        let step = Step::new(Name::IdleLimits, Verdict::Warning, troubles.join("; "));
        step.hint(format!("in sshd_config there, at its end:\nMatch User {user}\n{lines}"))
    };
    step = step.detail(match (limits.gone_after(), limits.alive_interval) {
        (Some(time), _) => {
            format!("a connection that was lost is noticed there after {} (ClientAliveInterval)", time_of(time))
        }
        (None, Some(_)) => {
            "a connection that was lost keeps its port until TCP gives up: ClientAliveInterval 15 makes that 45 s"
                .into()
        }
        (None, None) => "ClientAliveInterval was not told".into(),
    });
    if let Some(time) = limits.login.filter(|s| *s > 0) {
        step = step.detail(format!("a login may take {} (LoginGraceTime)", time_of(time)));
    }
    if limits.source == Source::Files {
        let blocks = if limits.more { "a Match block in them says more" } else { "files that they include were not" };
        step = step.detail(format!("read from the files of sshd, `sshd -T` is for root; {blocks}"));
    }
    step
}

/// Seconds in the largest unit that fits.
fn time_of(seconds: u64) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_one_that_every_login_shell_hands_on() {
        for script in [DATE.to_owned(), LIMITS.replace("\\\n", "")] {
            assert!(!script.contains(['\'', '\\', '!', '\n']), "{script}");
        }
    }

    #[test]
    fn a_clock_is_apart_only_when_the_way_does_not_explain_it() {
        assert_eq!(apart(-2.5, 0.6).verdict, Verdict::Ok);
        let late = apart(-4.0, 0.5);
        assert_eq!((late.verdict, late.message.contains("4.0 s behind")), (Verdict::Warning, true));
        assert_eq!(seconds("1700000000.250000000"), Some((1_700_000_000.25, true)));
        assert_eq!(seconds("1700000000.%N"), Some((1_700_000_000.0, false)));
        assert_eq!(seconds("now"), None);
    }

    #[test]
    fn what_would_end_a_quiet_collector_is_told_with_what_to_write() {
        let limits = read_limits("effective\nunusedconnectiontimeout 300\n").unwrap();
        let step = idle(Some(&limits), "log");
        assert_eq!(step.verdict, Verdict::Warning, "{step:?}");
        assert!(step.message.contains("5 min") && step.hints[0].contains("Match User log\n    Unused"), "{step:?}");
        assert_eq!(read_limits(""), None);
        assert_eq!(idle(None, "log").verdict, Verdict::CannotTell);
    }
}
