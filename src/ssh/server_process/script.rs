//! What is run on the jump host: two small scripts, as one command for whatever login shell there is. Pure.
//!
//! sshd hands the command to the shell of the account (`shell -c COMMAND`), and that may be any. So the command is one word
//! of single quotes for `/bin/sh`, and inside the quotes stands nothing that some shell takes for more than itself: no single
//! quote, no backslash (fish), no exclamation mark and no new line (csh).
//!
//! Every line that the scripts print begins with a word that was made up for this one run. What else an account prints (a
//! greeting of its `.bashrc`, the output of a forced command) is told from it by that, and left alone.

use super::identity::Identity;

/// Finds the server's process of this very connection, among the parents of the shell, and prints what tells it from all
/// others. `look PID` reads `/proc/PID/stat` (proc(5)): the name stands in parentheses and may hold any character, what
/// follows is the state, the parent, …, and as the 22nd field the start in clock ticks since boot. `owner PID` is its user.
/// `cat` and not `read` for the buffers: some shells read a byte at a time, and that file gives its first byte alone then.
const FIND: &str = r"set -f; exec 2>/dev/null </dev/null; \
look() { L=; S=; Q=0; T=; C=; read -r L </proc/$1/stat || return 1; \
C=${L#*(}; C=${C%)*}; set -- ${L##*) }; S=$1; Q=$2; T=${20}; case $S in Z|X) return 1;; esac; return 0; }; \
owner() { W=; while read -r a b c; do case $a in Uid:) W=$b;; esac; done </proc/$1/status; }; \
ours() { case $C in sshd*|dropbear*|tinysshd*) return 0;; esac; return 1; }; \
B=-; R=-; M=0; U=-; read -r B </proc/sys/kernel/random/boot_id; \
set -- $(cat /proc/sys/net/ipv4/tcp_rmem); R=$3; \
N=$(readlink /proc/self/ns/pid); N=${N#pid:?}; N=${N%?}; \
p=$$; n=0; while [ $n -lt 32 ] && [ $p -gt 1 ]; do look $p || break; if ours; then M=$p; break; fi; p=$Q; n=$((n+1)); done; \
owner $M; U=$W; [ $M -gt 1 ] && echo MARK is ${B:--} ${N:--} $M ${T:--} ${C:--} ${U:--} ${R:--}; ";

/// Ends each `pid/start/boot/namespace` of the list that is still the very process it was, and says what became of it. A
/// process that is stopped takes no SIGTERM; where `sleep` knows no fractions, one try of a second has to do.
const END: &str = r#"there() { look $k && [ "$T" = "$t" ] && ours; }; \
gone() { n=0; while [ $n -lt 20 ]; do there || return 0; sleep 0.05 || { sleep 1; n=20; }; n=$((n+1)); done; there && return 1; return 0; }; \
for o in LIST; do IFS=/; set -- $o; unset IFS; k=$1; t=$2; r=gone; \
if [ "$3" = "$B" ]; then if [ "$4" = "$N" ]; then if there; then owner $k; \
if [ $k = $M ]; then r=self; elif [ "$W" = "$U" ]; then \
if kill -TERM $k; then r=ended; gone || { r=killed; kill -KILL $k; gone || r=kept; }; else r=kept; there || r=gone; fi; \
else r=kept; fi; fi; else r=elsewhere; fi; fi; echo MARK was $k $t $r; done; "#;

/// The command that prints the identity of the server's process.
#[must_use]
pub fn find(mark: &str) -> String {
    command(mark, FIND, "")
}

/// The command that prints it and ends `old` ones first.
#[must_use]
pub fn end(mark: &str, old: &[Identity]) -> String {
    let list = old.iter().map(|who| format!("{}/{}/{}/{}", who.pid, who.start, who.boot, who.space));
    command(mark, &[FIND, END].concat(), &list.collect::<Vec<_>>().join(" "))
}

fn command(mark: &str, script: &str, list: &str) -> String {
    let script = script.replace("\\\n", "").replace("MARK", mark).replace("LIST", list);
    format!("exec /bin/sh -c '{script}echo {mark} done'")
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
