//! What a line of syslog says: RFC 5424, and RFC 3164 as it is really sent.
//!
//! Nothing is required and nothing is refused: what is not understood is message. Values stand as they were written, in
//! the bytes of the line.

mod bsd;
mod data;
pub mod format;
mod protocol;
mod time;

pub use data::{Data, Param};

/// The highest priority: 23 facilities times 8, plus 7.
const HIGHEST: u8 = 191;

/// A line that was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Facility times 8 plus severity; at most 191.
    pub priority: u8,
    /// As written. RFC 3164 has neither year nor zone.
    pub time: Option<&'a str>,
    /// Name or address of the machine that says so.
    pub host: Option<&'a str>,
    /// APP-NAME; the tag of RFC 3164.
    pub app: Option<&'a str>,
    /// PROCID; mostly a number.
    pub pid: Option<&'a str>,
    /// MSGID of RFC 5424.
    pub msgid: Option<&'a str>,
    /// STRUCTURED-DATA of RFC 5424.
    pub data: Data<'a>,
    /// The rest, without a byte order mark.
    pub message: &'a str,
}

impl Message<'_> {
    /// 0 (kernel) to 23 (local7).
    #[must_use]
    pub fn facility(&self) -> u8 {
        self.priority / 8
    }

    /// 0 (emergency) to 7 (debug).
    #[must_use]
    pub fn severity(&self) -> u8 {
        self.priority % 8
    }
}

/// The priority `<N>` at the beginning of `line`, and the length of it with its brackets. `None`: there is none.
#[must_use]
pub fn priority(line: &[u8]) -> Option<(u8, usize)> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || rest.get(digits) != Some(&b'>') {
        return None;
    }
    let number = rest[..digits].iter().fold(0, |n: u16, b| n * 10 + u16::from(b - b'0'));
    let number = u8::try_from(number).ok().filter(|n| *n <= HIGHEST)?;
    Some((number, digits + 2))
}

/// What `line`, without its line end, says. `None`: it does not begin with a priority, so it is no syslog.
#[must_use]
pub fn parse(line: &str) -> Option<Message<'_>> {
    let (priority, bytes) = priority(line.as_bytes())?;
    let rest = &line[bytes..];
    let said = protocol::parse(rest).unwrap_or_else(|| bsd::parse(rest));
    Some(Message { priority, ..said })
}

#[cfg(test)]
#[path = "syslog_tests.rs"]
mod tests;
