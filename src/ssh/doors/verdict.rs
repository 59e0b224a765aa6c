//! What the answers about one port's two address families mean. Pure.

use crate::error::Error;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// The loopback address that the jump host is asked to connect to.
    #[must_use]
    pub fn loopback(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.1",
            Self::V6 => "::1",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    fn twin(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

/// Who listens at the port in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// We: what was sent there came back through our own forward.
    Ours,
    /// Somebody else: the connection was taken, and nothing came back.
    Other,
    /// Nobody, though the jump host has the family.
    Nobody,
    /// Nobody can: the jump host does not have the family, or does not use it.
    Absent,
    /// It may not be asked.
    CannotTell,
    /// It was asked, and the answer may be late.
    Late,
}

/// Both families of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doors {
    pub v4: Door,
    pub v6: Door,
}

/// The families of a port that were ours in an earlier life of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proven {
    pub v4: bool,
    pub v6: bool,
}

impl Proven {
    /// What is proven now and before.
    #[must_use]
    pub fn and(self, doors: Doors) -> Self {
        Self { v4: self.v4 || doors.v4 == Door::Ours, v6: self.v6 || doors.v6 == Door::Ours }
    }
}

impl Doors {
    fn each(self, proven: Proven) -> [(Family, Door, bool); 2] {
        [(Family::V4, self.v4, proven.v4), (Family::V6, self.v6, proven.v6)]
    }

    /// Whether senders can get to `port` of `target` as far as can be told, given what was proven `before`; the note is for
    /// a person.
    ///
    /// # Errors
    /// Refused: a family belongs to somebody else, or is no longer ours.
    pub fn judge(self, before: Proven, target: &str, port: u16) -> Result<Option<String>, Error> {
        let who = format!("`ss -ltnp 'sport = :{port}'` on the jump host shows who listens");
        for (family, door, was_ours) in self.each(before) {
            let (name, twin) = (family.name(), family.twin().name());
            if door == Door::Other {
                return Err(Error::refused(format!(
                    "{target} opened port {port}, but over {name} another program there answers on it: senders that come \
                     by {name} would never get here"
                ))
                .hint(who)
                .hint("or choose another port with --remote-port; 0 lets the jump host choose"));
            }
            if door == Door::Nobody && was_ours {
                return Err(Error::refused(format!(
                    "{target} opened port {port} over {twin} alone: over {name}, where senders got here before, nobody \
                     listens now"
                ))
                .hint(who)
                .hint("the port may be taken on one address there, and free again later"));
            }
        }
        let missing = match self {
            Self { v4: Door::Ours, v6: Door::Nobody } => Family::V6,
            Self { v4: Door::Nobody, v6: Door::Ours } => Family::V4,
            _ => return Ok(None),
        };
        Ok(Some(format!(
            "{target} opened port {port} over {} alone: senders that come by {} find nobody",
            missing.twin().name(),
            missing.name()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const ALL: [Door; 6] = [Door::Ours, Door::Other, Door::Nobody, Door::Absent, Door::CannotTell, Door::Late];

    fn judge(v4: Door, v6: Door, before: Proven) -> Result<Option<String>, Error> {
        Doors { v4, v6 }.judge(before, "u@jump:22", 514)
    }

    #[test]
    fn a_family_of_somebody_else_is_a_refusal_that_names_it() {
        for door in ALL {
            let error = judge(Door::Other, door, Proven::default()).unwrap_err();
            assert!(error.kind == Kind::Refused && error.message.contains("over IPv4 another program"), "{error}");
            assert!(error.hints[0].contains("ss -ltnp 'sport = :514'"));
            if door != Door::Other {
                let error = judge(door, Door::Other, Proven::default()).unwrap_err();
                assert!(error.message.contains("over IPv6 another program"), "{error}");
            }
        }
    }

    #[test]
    fn what_cannot_be_told_is_never_a_failure() {
        let both = Proven { v4: true, v6: true };
        for door in [Door::Ours, Door::Absent, Door::CannotTell, Door::Late] {
            assert_eq!(judge(Door::CannotTell, door, both), Ok(None));
            assert_eq!(judge(Door::Late, door, both), Ok(None));
            assert_eq!(judge(door, Door::Absent, both), Ok(None));
        }
    }

    #[test]
    fn a_family_without_a_listener_is_a_note_at_first_and_a_refusal_once_it_was_ours() {
        let first = Proven::default();
        let note = judge(Door::Ours, Door::Nobody, first).unwrap().unwrap();
        assert!(note.contains("over IPv4 alone") && note.contains("by IPv6 find nobody"), "{note}");
        let error = judge(Door::Ours, Door::Nobody, Proven { v4: false, v6: true }).unwrap_err();
        assert!(error.message.contains("over IPv6, where senders got here before"), "{error}");
        assert!(judge(Door::Ours, Door::Nobody, Proven { v4: true, v6: false }).is_ok());
        let known = first.and(Doors { v4: Door::Ours, v6: Door::Nobody });
        assert_eq!(known, Proven { v4: true, v6: false });
        assert_eq!(known.and(Doors { v4: Door::CannotTell, v6: Door::Ours }), Proven { v4: true, v6: true });
    }
}
