//! When a server ends what is quiet: read from what `sshd -T` prints, or from sshd_config. Pure.

/// Where the words come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `sshd -T`: the whole truth for this login.
    Effective,
    /// Files: what a `Match` block says is left out.
    Files,
}

/// The limits, in seconds; `None`: not told. 0 is none at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Where they come from.
    pub source: Source,
    /// `ClientAliveInterval`.
    pub alive_interval: Option<u64>,
    /// `ClientAliveCountMax`.
    pub alive_count: Option<u64>,
    /// `UnusedConnectionTimeout`.
    pub unused: Option<u64>,
    /// `ChannelTimeout`, as far as it is about senders.
    pub senders: Option<u64>,
    /// `LoginGraceTime`.
    pub login: Option<u64>,
    /// A `Match` block that was left out says something about them.
    pub more: bool,
}

/// What sshd takes where nothing is said (sshd_config(5)).
const ALIVE_COUNT: u64 = 3;

impl Limits {
    /// Reads `text`; as with sshd the first of a keyword counts.
    #[must_use]
    pub fn parse(text: &str, source: Source) -> Self {
        let (mut interval, mut count, mut unused, mut senders, mut login) = (None, None, None, None, None);
        let (mut matching, mut more) = (false, false);
        for line in text.lines() {
            let mut words = line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| !word.is_empty());
            let Some(keyword) = words.next().map(str::to_ascii_lowercase) else { continue };
            let slot = match keyword.as_str() {
                "match" => {
                    matching = true;
                    continue;
                }
                "clientaliveinterval" => &mut interval,
                "clientalivecountmax" => &mut count,
                "unusedconnectiontimeout" => &mut unused,
                "logingracetime" => &mut login,
                "channeltimeout" => {
                    more |= matching;
                    // The `=` of its pairs was a separator, too.
                    let pairs: Vec<&str> = words.collect();
                    if !matching && senders.is_none() {
                        senders = Some(of_senders(&pairs));
                    }
                    continue;
                }
                _ => continue,
            };
            more |= matching;
            if !matching && slot.is_none() {
                *slot = words.next().and_then(seconds);
            }
        }
        let files = source == Source::Files;
        Self {
            source,
            alive_interval: interval.or(files.then_some(0)),
            alive_count: count.or(files.then_some(ALIVE_COUNT)),
            // A server that is too old for it does not know the keyword, either.
            unused: unused.or(Some(0)),
            senders: senders.or(Some(0)),
            login,
            more,
        }
    }

    /// Seconds after which a client that is gone is noticed; `None`: by TCP alone, or not told.
    #[must_use]
    pub fn gone_after(&self) -> Option<u64> {
        let interval = self.alive_interval.filter(|s| *s > 0)?;
        let count = self.alive_count.filter(|n| *n > 0)?;
        Some(interval.saturating_mul(count))
    }
}

/// The shortest that holds for a sender's channel.
fn of_senders(pairs: &[&str]) -> u64 {
    let all = pairs.chunks(2).filter_map(|pair| Some((pair.first()?, seconds(pair.get(1)?)?)));
    let about = all.filter(|(kind, _)| {
        // Patterns as they are usually written; `global` (OpenSSH 9.7) counts all channels together.
        let kind = kind.trim_matches('"');
        kind == "*" || kind == "global" || kind.starts_with("forwarded-") || kind == "forwarded*"
    });
    about.map(|(_, time)| time).filter(|time| *time > 0).min().unwrap_or(0)
}

/// A time of sshd_config(5): `90`, `5m`, `1h30m`, `none`; in seconds.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim_matches('"').to_ascii_lowercase();
    if text == "none" {
        return Some(0);
    }
    let (mut sum, mut number) = (0u64, None::<u64>);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        sum = sum.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    sum.checked_add(number.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_prints_is_read() {
        let text = "port 22\nlogingracetime 120\nclientaliveinterval 0\nclientalivecountmax 3\n\
                    unusedconnectiontimeout 300\nchanneltimeout session=5m forwarded-tcpip=10m\n";
        let limits = Limits::parse(text, Source::Effective);
        assert_eq!((limits.unused, limits.senders, limits.login), (Some(300), Some(600), Some(120)));
        assert_eq!((limits.alive_interval, limits.gone_after(), limits.more), (Some(0), None, false));
        let none = Limits::parse("unusedconnectiontimeout none\nchanneltimeout none\n", Source::Effective);
        assert_eq!((none.unused, none.senders, none.alive_interval), (Some(0), Some(0), None));
    }

    #[test]
    fn files_are_read_as_sshd_reads_them() {
        let text = "# UnusedConnectionTimeout 1m\nClientAliveInterval=15\n ClientAliveInterval 99\n\
                    ChannelTimeout \"*\"=1h session=1m\nMatch User x\n  UnusedConnectionTimeout 5m\n";
        let limits = Limits::parse(text, Source::Files);
        assert_eq!((limits.alive_interval, limits.alive_count, limits.gone_after()), (Some(15), Some(3), Some(45)));
        assert_eq!((limits.unused, limits.senders, limits.more), (Some(0), Some(3600), true));
        assert_eq!(Limits::parse("", Source::Files).alive_interval, Some(0));
    }

    #[test]
    fn times_are_those_of_sshd_config() {
        for (text, time) in
            [("90", Some(90)), ("1h30m", Some(5400)), ("2w", Some(1_209_600)), ("none", Some(0)), ("5x", None)]
        {
            assert_eq!(seconds(text), time, "{text}");
        }
        assert_eq!(seconds("99999999999999999999"), None);
    }
}
