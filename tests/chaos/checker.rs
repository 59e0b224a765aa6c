//! What must be true after a run, whatever was broken. Pure: files, memories and audit come in, sentences come out.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::line::{self, Found, Id};
use super::schedule::Fault;
use super::senders::{Connection, End, Micros};

/// What is told of the same moment by different clocks of one machine under load.
const SLACK: Micros = 1_000_000;
/// After lines come in again, connections that the fault has killed may take so long to learn of it.
const AFTERMATH: Micros = 5_000_000;

/// A fault as it happened.
#[derive(Debug, Clone)]
pub struct Happened {
    pub number: usize,
    pub fault: Fault,
    pub begin: Micros,
    pub end: Micros,
    /// When the first line came in that was sent after the end.
    pub back: Option<Micros>,
    /// The next fault did not wait for that.
    pub overlapped: bool,
    pub note: String,
}

impl Happened {
    /// Whether it may have ended a connection that was there from `opened` to `ended`.
    fn explains(&self, opened: Micros, ended: Micros) -> bool {
        let over = self.back.unwrap_or(Micros::MAX - AFTERMATH) + AFTERMATH;
        self.fault.cuts() && opened <= over && ended >= self.begin - SLACK
    }
}

/// `event: gap` of the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub from: Micros,
    pub to: Micros,
    pub senders_cut: u64,
    pub bytes_at_most: u64,
}

/// What the audit trail says.
#[derive(Debug, Clone, Default)]
pub struct Audited {
    pub gaps: Vec<Gap>,
    pub troubles: Vec<Trouble>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A line that nobody sent, or half of one where none may be.
    Torn,
    /// A line is there more than once.
    Twice,
    /// A line is missing before others of its connection, or behind them.
    Hole,
    /// A file does not end with the end of a line.
    Unended,
    /// A connection ended, or bytes are missing, and nothing was broken then that may do so.
    Unexplained,
    /// Bytes are missing that no gap of the audit covers.
    Unaudited,
    /// More is missing than the gap says.
    Bound,
    /// The audit trail is not what it should be.
    Audit,
    /// A sample of the status is not what it should be.
    Sample,
    /// A verb did what it should not.
    Verb,
}

/// One sentence of the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub kind: Kind,
    pub says: String,
}

impl Trouble {
    pub fn new(kind: Kind, says: impl Into<String>) -> Self {
        Self { kind, says: says.into() }
    }
}

/// What stands in the files, line by line.
#[derive(Debug, Default)]
pub struct Tally {
    run: u32,
    /// Of each connection: whole lines so far, and the bytes of the half line that ended it.
    pub connections: HashMap<Id, (u32, Option<usize>)>,
    /// Half lines too short to tell whose.
    stubs: u64,
    pub lines: u64,
    pub bytes: u64,
    pub troubles: Vec<Trouble>,
    file: String,
    at: u64,
}

impl Tally {
    pub fn new(run: u32) -> Self {
        Self { run, ..Self::default() }
    }

    /// The next file in the order of writing. `taken`: somebody else took it away, so that nobody could end its last line.
    pub fn file(&mut self, name: &str, taken: bool, mut content: impl std::io::BufRead) -> std::io::Result<()> {
        name.clone_into(&mut self.file);
        self.at = 0;
        let mut line = Vec::new();
        while content.read_until(b'\n', &mut line)? > 0 {
            self.at += 1;
            self.bytes += line.len() as u64;
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if !taken {
                self.trouble(Kind::Unended, &line, "the file does not end with the end of a line");
            }
            self.line(&line);
            line.clear();
        }
        Ok(())
    }

    fn trouble(&mut self, kind: Kind, line: &[u8], says: &str) {
        let shown: String = String::from_utf8_lossy(&line[..line.len().min(60)]).escape_debug().collect();
        self.troubles.push(Trouble::new(kind, format!("{}:{}: {says}: {shown}", self.file, self.at)));
    }

    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        match line::read(self.run, line) {
            Found::Whole(id, n) => self.of(id, n, None, line),
            Found::Part(id, n, bytes) => self.of(id, n, Some(bytes), line),
            Found::Stub => self.stubs += 1,
            Found::Torn => self.trouble(Kind::Torn, line, "nobody has sent this"),
        }
    }

    fn of(&mut self, id: Id, n: u32, part: Option<usize>, line: &[u8]) {
        let (next, half) = self.connections.get(&id).copied().unwrap_or_default();
        if half.is_some() {
            self.trouble(Kind::Torn, line, "the connection goes on after half a line");
        }
        if n < next {
            self.trouble(Kind::Twice, line, "was there already");
            return;
        }
        if n > next {
            self.trouble(Kind::Hole, line, &format!("line {next} was due"));
        }
        let whole = if part.is_none() { n + 1 } else { n };
        self.connections.insert(id, (whole, part));
    }
}

/// Everything that is known after a run.
#[derive(Debug)]
pub struct Evidence<'a> {
    pub run: u32,
    pub tally: &'a Tally,
    pub connections: &'a HashMap<Id, Connection>,
    pub faults: &'a [Happened],
    pub audited: &'a Audited,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verdict {
    pub troubles: Vec<Trouble>,
    pub connections: usize,
    pub cut: usize,
    /// Lines that kernels took from senders.
    pub handed: u64,
    /// Of them, those that are in no file.
    pub missing: u64,
    pub missing_bytes: u64,
    /// Half lines of connections that were cut.
    pub halves: u64,
    /// Of the missing bytes, those of connections that began when nobody was there any more to say so.
    pub sent_into_gaps: u64,
    /// Of each gap, what is missing in it; the bound stands in the audit.
    pub of_gaps: Vec<u64>,
}

/// Reads the evidence.
pub fn check(evidence: &Evidence) -> Verdict {
    let Evidence { run, tally, connections, faults, audited } = *evidence;
    let mut verdict = Verdict { troubles: tally.troubles.clone(), ..Verdict::default() };
    verdict.of_gaps = vec![0; audited.gaps.len()];
    for id in tally.connections.keys().filter(|id| !connections.contains_key(id)) {
        verdict.troubles.push(Trouble::new(Kind::Torn, format!("{id}: nobody has opened this connection")));
    }
    // In order, so that the same evidence gives the same sentences.
    let ordered: BTreeMap<Id, &Connection> = connections.iter().map(|(id, c)| (*id, c)).collect();
    let mut unnamed = 0;
    for (id, connection) in ordered {
        let (whole, half) = tally.connections.get(&id).copied().unwrap_or_default();
        let told = Told { run, id, connection, whole, half };
        told.check(faults, audited, &mut verdict);
        let cut = matches!(connection.end, Some((_, End::Cut(_))));
        unnamed += u64::from(cut && half.is_none());
    }
    if tally.stubs > unnamed {
        let says = format!("{} half lines, and only {unnamed} cut connections that may own one", tally.stubs);
        verdict.troubles.push(Trouble::new(Kind::Torn, says));
    }
    verdict.halves += tally.stubs;
    verdict.troubles.extend(one_half_a_kill(evidence));
    verdict.troubles.extend(audited.troubles.clone());
    for (gap, missing) in audited.gaps.iter().zip(&verdict.of_gaps) {
        if *missing > gap.bytes_at_most {
            let says = format!("{missing} bytes are missing in a gap of at most {}: {gap:?}", gap.bytes_at_most);
            verdict.troubles.push(Trouble::new(Kind::Bound, says));
        }
    }
    verdict
}

/// A collector that is killed has one last line, so one half line at most.
fn one_half_a_kill(evidence: &Evidence) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for (at, fault) in evidence.faults.iter().enumerate() {
        let alone = at == 0 || !evidence.faults[at - 1].overlapped;
        if fault.fault != Fault::KillCollector || !alone {
            continue;
        }
        let halves = evidence.connections.iter().filter(|(id, c)| {
            let half = evidence.tally.connections.get(id).is_some_and(|(_, half)| half.is_some());
            half && c.end.as_ref().is_some_and(|(end, _)| (fault.begin..fault.begin + SLACK / 2).contains(end))
        });
        let halves = halves.count();
        if halves > 1 {
            let says = format!("fault {}: {halves} half lines of one killed collector", fault.number);
            troubles.push(Trouble::new(Kind::Torn, says));
        }
    }
    troubles
}

/// One connection: what its sender says, and what the files say.
struct Told<'a> {
    run: u32,
    id: Id,
    connection: &'a Connection,
    whole: u32,
    half: Option<usize>,
}

impl Told<'_> {
    fn check(&self, faults: &[Happened], audited: &Audited, verdict: &mut Verdict) {
        let Self { id, connection, .. } = self;
        let handed = u32::try_from(connection.lines.len()).unwrap();
        verdict.connections += 1;
        verdict.handed += u64::from(handed);
        verdict.halves += u64::from(self.half.is_some());
        let mut tell = |kind, says: String| verdict.troubles.push(Trouble::new(kind, format!("{id}: {says}")));
        if self.whole > handed {
            // The last write failed half-way, or the line would be in the memory.
            tell(Kind::Torn, format!("{} lines are there, {handed} were sent", self.whole));
        }
        let (ended, clean) = match &connection.end {
            Some((at, end)) => (*at, *end == End::Clean),
            None => (Micros::MAX, false),
        };
        let missing = handed.saturating_sub(self.whole);
        // Who ended cleanly was in no danger before that, or would have been cut.
        let from = if clean { connection.finished.unwrap_or(connection.opened) } else { connection.opened };
        let explained = faults.iter().any(|fault| fault.explains(from, ended));
        if clean && missing == 0 && self.half.is_some() {
            tell(Kind::Torn, "half a line too many".into());
        }
        if !explained && !clean {
            let how = connection.end.as_ref().map_or_else(|| "never ended".into(), |(_, end)| format!("{end:?}"));
            tell(Kind::Unexplained, format!("the connection was cut, and nothing was broken ({how})"));
        }
        if !explained && missing > 0 {
            tell(Kind::Unexplained, format!("{missing} lines of {handed} are missing, and nothing was broken"));
        }
        verdict.cut += usize::from(!clean);
        if missing == 0 {
            return;
        }
        let bytes: usize = (self.whole..handed).map(|n| line::length(self.run, *id, n)).sum();
        let bytes = (bytes - self.half.unwrap_or(0)) as u64;
        verdict.missing += u64::from(missing);
        verdict.missing_bytes += bytes;
        self.audited(audited, from, ended, bytes, verdict);
    }

    /// What is missing lies in a gap.
    fn audited(&self, audited: &Audited, from: Micros, ended: Micros, bytes: u64, verdict: &mut Verdict) {
        let id = self.id;
        let mut tell = |says: String| verdict.troubles.push(Trouble::new(Kind::Unaudited, format!("{id}: {says}")));
        let (first, last) = (self.connection.lines[self.whole as usize], *self.connection.lines.last().unwrap());
        // No sender lives through a gap: the first one that it could have met is the one that cut it.
        let met = |gap: &Gap| gap.to >= from - SLACK && gap.from <= ended.saturating_add(SLACK);
        let holds = |gap: &Gap| gap.from - SLACK <= first && last <= gap.to + SLACK;
        let met: Vec<usize> = (0..audited.gaps.len()).filter(|at| met(&audited.gaps[*at])).collect();
        let Some(&at) = met.iter().find(|at| holds(&audited.gaps[**at])).or(met.last()) else {
            tell(format!("{bytes} bytes are missing, and no gap is near (sent {} to {})", clock(first), clock(last)));
            return;
        };
        let gap = audited.gaps[at];
        if !holds(&gap) {
            let (sent, gap) = ((clock(first), clock(last)), (clock(gap.from), clock(gap.to)));
            tell(format!("{bytes} bytes sent {} to {} are missing, the gap is {} to {}", sent.0, sent.1, gap.0, gap.1));
        }
        if self.connection.opened >= gap.from - SLACK {
            verdict.sent_into_gaps += bytes;
        } else {
            verdict.of_gaps[at] += bytes;
        }
    }
}

/// For people.
pub fn clock(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at).map_or_else(|_| "never".into(), |at| at.strftime("%H:%M:%S%.3f").to_string())
}

/// What the trail says, line by line.
pub fn audit(lines: &[Value]) -> Audited {
    let mut audited = Audited::default();
    let mut wrong = |says: String| audited.troubles.push(Trouble::new(Kind::Audit, says));
    let time = |value: &Value| value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond);
    let mut last: Option<u64> = None;
    for line in lines {
        let (Some(_), Some(seq), Some(event)) = (time(&line["ts"]), line["seq"].as_u64(), line["event"].as_str())
        else {
            wrong(format!("a line without ts, seq or event: {line}"));
            continue;
        };
        if last.is_some_and(|last| seq != last + 1) {
            wrong(format!("seq {seq} follows {}: {line}", last.unwrap_or_default()));
        }
        last = Some(seq);
        if event != "gap" {
            continue;
        }
        match (time(&line["from"]), time(&line["to"]), &line["senders_cut"], &line["bytes_at_most"]) {
            (Some(from), Some(to), senders, bytes) if from <= to && senders.is_u64() && bytes.is_u64() => {
                let (senders_cut, bytes_at_most) = (senders.as_u64().unwrap(), bytes.as_u64().unwrap());
                audited.gaps.push(Gap { from, to, senders_cut, bytes_at_most });
            }
            _ => wrong(format!("a gap that cannot be: {line}")),
        }
    }
    audited
}

/// One answer of the collector about itself.
#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Micros,
    /// The collector in the snapshot.
    pub collector: Value,
    /// `VmRSS` of its process in bytes.
    pub resident: Option<u64>,
}

/// What may wait for the disk in each stream: its queue, and the records that are just being put into it.
pub const MOST_PENDING: u64 = (64 + 1) << 20;
/// The queue, the SSH windows, the program.
pub const MOST_RESIDENT: u64 = (64 + 64) << 20;

/// What is wrong with a sample, the one before it of the same process in hand.
pub fn sample(now: &Sample, before: Option<&Sample>) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let mut wrong = |says: String| {
        troubles.push(Trouble::new(Kind::Sample, format!("{}: {says}: {}", clock(now.at), now.collector)));
    };
    if now.resident.is_some_and(|resident| resident > MOST_RESIDENT) {
        wrong(format!("{} bytes resident", now.resident.unwrap_or_default()));
    }
    for (at, stream) in now.collector["streams"].as_array().into_iter().flatten().enumerate() {
        let ledger = &stream["ledger"];
        let figure = |ledger: &Value, key: &str| ledger[key].as_u64();
        let all = ["received", "stored", "synced", "pending"].map(|key| figure(ledger, key));
        let [Some(received), Some(stored), Some(synced), Some(pending)] = all else {
            wrong("a ledger without figures".into());
            continue;
        };
        let discarded: u64 =
            ledger["discarded"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        if received != stored + pending + discarded {
            wrong("bytes are not accounted for".into());
        }
        if synced > stored {
            wrong("more synced than stored".into());
        }
        if pending > MOST_PENDING {
            wrong(format!("{pending} bytes wait"));
        }
        let before = before.filter(|before| before.collector["pid"] == now.collector["pid"]);
        for key in ["received", "stored", "synced"] {
            let was = before.and_then(|b| figure(&b.collector["streams"][at]["ledger"], key)).unwrap_or(0);
            if figure(ledger, key).is_some_and(|is| is < was) {
                wrong(format!("{key} went down from {was}"));
            }
        }
    }
    troubles
}

/// A disk that is full shows within a second, while lines come in.
pub fn stalls_show(fault: &Happened, states: &[(Micros, String)]) -> Option<Trouble> {
    let second: Micros = Duration::from_secs(1).as_micros().try_into().unwrap();
    let during: Vec<&str> = states
        .iter()
        .filter(|(at, _)| (fault.begin + second + SLACK / 2..=fault.end).contains(at))
        .map(|(_, state)| state.as_str())
        .collect();
    // Whoever has no connection has nothing to write, and where bytes are stored there was room.
    let up = !during.is_empty() && during.iter().all(|state| matches!(*state, "up" | "stalled"));
    (up && !during.contains(&"stalled")).then(|| {
        Trouble::new(Kind::Sample, format!("fault {}: the disk was full, and no status said so", fault.number))
    })
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
