//! Receivers on plain TCP, without a jump host: `reclog listen`, and rsyslogd as a distribution would start it.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Fallible;
use super::bed::{Bed, free_port};
use super::corpus::{BLOCK_LINES, Corpus};
use super::process::{self, Group};
use super::senders::connect;
use super::shape::PRIORITY;
use super::side::{reclog, run};
use super::stop::{interrupted, wait_for};
use super::watch;

const LIMIT: Duration = Duration::from_secs(60);

/// Somebody who takes bytes at `port` and writes to `file`.
#[derive(Debug)]
pub struct Plain<'a> {
    pub port: u16,
    pub file: PathBuf,
    bed: &'a Bed,
    pid: u32,
    rsyslogd: Option<Group>,
}

impl<'a> Plain<'a> {
    /// `reclog listen` with these options.
    pub fn reclog(bed: &'a Bed, options: &[&str]) -> Fallible<Self> {
        let file = bed.path("plain.log");
        File::create(&file)?;
        let mut command = reclog(bed);
        command.args(["listen", "127.0.0.1:0", "--name", "plain", "--json", "--out"]).arg(&file).args(options);
        let (status, says) = run(bed, &mut command, "reclog listen")?;
        let last: Value = says.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let pid = last["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let port = last["streams"][0]["remote_port"].as_u64().and_then(|port| u16::try_from(port).ok());
        match (pid, port) {
            (Some(pid), Some(port)) if status.success() => Ok(Self { port, file, bed, pid, rsyslogd: None }),
            _ => Err(format!("reclog listen did not start ({status}): {}", says.trim()).into()),
        }
    }

    /// rsyslogd with this input, whose messages go to the file with this template: batches and buffers as its manual
    /// advises for much traffic, no look into the DNS.
    pub fn rsyslog(bed: &'a Bed, input: &str, template: &str) -> Fallible<Self> {
        let file = bed.path("plain.log");
        File::create(&file)?;
        let folder = bed.path("rsyslog");
        fs::create_dir_all(&folder)?;
        let (config, log) = (bed.path("rsyslog.conf"), bed.path("rsyslog.log"));
        // Our lines begin with a year, which it would take for an octet count.
        let more = if input == "imtcp" { " SupportOctetCountedFraming=\"off\"" } else { "" };
        for _ in 0..5 {
            let port = free_port()?;
            let text = format!(
                "global(workDirectory=\"{}\" maxMessageSize=\"64k\" net.enableDNS=\"off\")\n\
                 module(load=\"{input}\")\n\
                 template(name=\"bench\" type=\"string\" string=\"{template}\\n\")\n\
                 ruleset(name=\"bench\" queue.type=\"FixedArray\" queue.size=\"200000\" queue.dequeueBatchSize=\"4096\") {{\n  \
                   action(type=\"omfile\" file=\"{}\" template=\"bench\" ioBufferSize=\"256k\")\n}}\n\
                 input(type=\"{input}\" port=\"{port}\" ruleset=\"bench\"{more})\n",
                folder.display(),
                file.display()
            );
            fs::write(&config, text)?;
            let mut command = Command::new(rsyslogd());
            command.args(["-n", "-f"]).arg(&config).arg("-i").arg(bed.path("rsyslog.pid"));
            let mut group = Group::spawn(&mut command, &log)?;
            let listens = wait_for("rsyslogd's port", LIMIT, || {
                Ok(if group.ended()?.is_some() { Some(false) } else { process::listens(port).then_some(true) })
            })?;
            if listens {
                return Ok(Self { port, file, bed, pid: group.pid(), rsyslogd: Some(group) });
            }
        }
        Err(format!("rsyslogd does not listen: {}", fs::read_to_string(log)?.trim()).into())
    }

    /// Seconds of processor time so far.
    pub fn cpu(&self) -> f64 {
        process::cpu_seconds(&process::tree(self.pid))
    }

    /// Stops it, and takes its file away.
    pub fn stop(mut self) -> Fallible<()> {
        if self.rsyslogd.take().is_none() {
            let (status, says) = run(self.bed, reclog(self.bed).args(["down", "plain", "--json"]), "reclog down")?;
            if !status.success() {
                return Err(format!("reclog down failed ({status}): {}", says.trim()).into());
            }
            wait_for("the end of the collector", LIMIT, || Ok(process::tree(self.pid).is_empty().then_some(())))?;
        }
        Ok(fs::remove_file(&self.file)?)
    }
}

impl Drop for Plain<'_> {
    fn drop(&mut self) {
        if self.rsyslogd.is_none() {
            // Gone already, after `stop`.
            process::tree(self.pid).into_iter().for_each(process::kill);
        }
    }
}

fn rsyslogd() -> PathBuf {
    let places = ["/usr/sbin/rsyslogd", "/usr/local/sbin/rsyslogd"].map(PathBuf::from);
    places.into_iter().find(|path| path.exists()).unwrap_or_else(|| "rsyslogd".into())
}

/// What one sender sends.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a> {
    pub corpus: &'a Corpus,
    /// Before the first line.
    pub first: &'a [u8],
    /// Each line has a priority and stands behind its octet count.
    pub counted: bool,
    /// Whole blocks.
    pub lines: u64,
}

impl Stream<'_> {
    /// Sends all of it and waits until the file has `length` bytes; seconds from the first byte to the last.
    pub fn run(self, to: &Plain, length: u64) -> Fallible<f64> {
        let mut stream = connect(to.port)?;
        thread::scope(|scope| {
            let start = Instant::now();
            let sends = scope.spawn(move || -> Fallible<_> {
                stream.write_all(self.first)?;
                let (mut block, mut buffer) = (self.corpus.of_sender(0), Vec::new());
                for number in 0..self.lines / BLOCK_LINES {
                    if interrupted() {
                        break;
                    }
                    block.renumber(number);
                    if self.counted {
                        count(&block, &mut buffer);
                        stream.write_all(&buffer)?;
                    } else {
                        stream.write_all(block.bytes())?;
                    }
                }
                Ok(stream)
            });
            let last = watch::until_length(&to.file, length)?;
            drop(sends.join().map_err(|_| "the sender panicked")??);
            Ok(last.duration_since(start).as_secs_f64())
        })
    }
}

/// The lines of a block as messages of syslog with their octet counts. `out` holds nothing, or a block: from one to the next
/// lengths stay, so that the sender has hardly more to do than with lines.
fn count(block: &Corpus, out: &mut Vec<u8>) {
    let (is_first, mut at) = (out.is_empty(), 0);
    for index in 0..usize::try_from(BLOCK_LINES).unwrap_or_default() {
        let line = block.line(index);
        let length = PRIORITY.len() + line.len();
        at += length.ilog10() as usize + 2 + PRIORITY.len();
        if is_first {
            let _ = write!(out, "{length} ");
            out.extend_from_slice(PRIORITY);
            out.extend_from_slice(line);
        } else {
            out[at..at + line.len()].copy_from_slice(line);
        }
        at += line.len();
    }
}
