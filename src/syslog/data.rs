//! Structured data (RFC 5424, section 6.3).

use std::borrow::Cow;

/// All parameters of all elements, sorted by element and name; those of one name are in the order of the line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data<'a>(Vec<Param<'a>>);

/// One parameter of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param<'a> {
    /// The element, SD-ID.
    pub id: &'a str,
    /// Name, and value as it stands in the line. `None`: the element, which may have no parameter at all.
    pub pair: Option<(&'a str, &'a str)>,
}

impl<'a> Param<'a> {
    /// The name.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.pair.map(|(name, _)| name)
    }

    /// The value, with `\"`, `\\` and `\]` as what they stand for; any other backslash is one (section 6.3.3).
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        let raw = self.pair.map_or("", |(_, value)| value);
        if !raw.contains('\\') {
            return raw.into();
        }
        let mut value = String::with_capacity(raw.len());
        let mut chars = raw.chars().peekable();
        while let Some(c) = chars.next() {
            match chars.peek() {
                Some(&next @ ('"' | '\\' | ']')) if c == '\\' => {
                    value.push(next);
                    chars.next();
                }
                _ => value.push(c),
            }
        }
        value.into()
    }
}

impl<'a> Data<'a> {
    /// Each element with its parameters, the first of which is the element itself. An element that stands several times
    /// is one.
    pub fn elements(&self) -> impl Iterator<Item = &[Param<'a>]> {
        self.0.chunk_by(|a, b| a.id == b.id)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes structured data, `-` or elements, from the beginning of `text`; returns the rest, which is empty or begins
    /// with a space. `None`: it is none.
    pub(super) fn take(text: &'a str) -> Option<(Self, &'a str)> {
        let mut params = Vec::new();
        let mut rest = text;
        if let Some(none) = text.strip_prefix('-') {
            rest = none;
        } else {
            rest = element(rest, &mut params)?;
            while rest.starts_with('[') {
                rest = element(rest, &mut params)?;
            }
        }
        if !(rest.is_empty() || rest.starts_with(' ')) {
            return None;
        }
        // Sorted, not searched one by one: a stranger may send thousands.
        params.sort_by(|a, b| (a.id, a.name()).cmp(&(b.id, b.name())));
        Some((Self(params), rest.strip_prefix(' ').unwrap_or(rest)))
    }
}

/// One element in brackets; returns what follows it.
fn element<'a>(text: &'a str, params: &mut Vec<Param<'a>>) -> Option<&'a str> {
    let (id, mut rest) = name(text.strip_prefix('[')?)?;
    params.push(Param { id, pair: None });
    loop {
        if let Some(rest) = rest.strip_prefix(']') {
            return Some(rest);
        }
        let (name, after) = name(rest.strip_prefix(' ')?)?;
        let value = after.strip_prefix("=\"")?;
        let end = end_of_value(value)?;
        params.push(Param { id, pair: Some((name, &value[..end])) });
        rest = &value[end + 1..];
    }
}

/// SD-NAME: printable, and none of `= ] "`. Its length is not looked at.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_graphic() || matches!(b, b'=' | b']' | b'"')).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Where the quote stands that ends a value.
fn end_of_value(value: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + value.as_bytes()[from..].iter().position(|b| matches!(b, b'"' | b'\\'))?;
        if value.as_bytes()[at] == b'"' {
            return Some(at);
        }
        // The byte after a backslash never ends the value; a backslash at the end of the line has none.
        from = (at + 2).min(value.len());
    }
}
