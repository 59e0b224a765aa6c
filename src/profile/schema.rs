//! The JSON Schema of a profile (draft 2020-12), for editors: made of the same table as the manual.
//!
//! It takes whatever the parser takes. What it cannot say is left to the parser; the tests have the list of that.
//!
//! Patterns keep to what the regular expressions of ECMAScript, Python and Rust have in common.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::profile::form::{Form, Text};
use crate::profile::keys::{Key, LEVELS, Level, STREAM};

/// The dialect.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Control characters, for a class.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// What no host and no login name may hold, for a class.
const UNSAFE: &str = r#"\s\u0000-\u001f\u007f-\u009f'"`$;&<>|(){}"#;
/// A name of a stream or a keyword.
const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$";

/// The schema of a profile, as `reclog profile schema` prints it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = level(LEVELS[0]);
    let given = json!({ "not": { "type": "null" } });
    let more = json!({
        "$schema": DRAFT,
        "title": "A profile of reclog",
        "description": format!("See reclog-profile(5). Of reclog {}.", env!("CARGO_PKG_VERSION")),
        "type": "object",
        "required": ["streams"],
        // Without a jump host every stream is a place of this machine.
        "anyOf": [
            { "required": ["target"], "properties": { "target": given } },
            { "properties": { "streams": { "additionalProperties": {
                "required": ["listen"], "properties": { "listen": given }
            } } } },
        ],
        "$defs": { "stream": stream(&given), "output": output() },
    });
    merge(&mut schema, more);
    schema
}

fn merge(into: &mut Value, more: Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else { unreachable!("both are objects") };
    into.extend(more);
}

fn level(level: &Level) -> Value {
    let keys: Map<String, Value> = level.keys.iter().map(|key| (key.name.to_owned(), told(key))).collect();
    // A level that is left empty is left out.
    json!({ "type": ["object", "null"], "properties": keys, "additionalProperties": false })
}

fn stream(given: &Value) -> Value {
    let mut stream = level(&STREAM);
    let doors = ["remote_port", "remote_socket", "listen"]
        .map(|key| json!({ "required": [key], "properties": { key: given } }));
    merge(
        &mut stream,
        json!({
            "type": "object",
            "required": ["out"],
            "allOf": [{ "properties": { "out": given } }],
            "anyOf": doors,
        }),
    );
    stream
}

/// The form of a key, and what people are told of it.
fn told(key: &Key) -> Value {
    let mut text = format!("{}{}.", key.meaning[..1].to_uppercase(), &key.meaning[1..]);
    match key.form {
        // An editor shows these by itself.
        Form::Truth | Form::OneOf(_) | Form::Options | Form::Keywords | Form::Streams | Form::Level(_) => {}
        form => text.push_str(&format!("\n\nValue: {}.", form.words())),
    }
    if !key.default.is_empty() {
        text.push_str(&format!("\n\nDefault: {}.", key.default));
    }
    let mut value = form(key.form);
    let default = key.default_value().map(|default| match key.form {
        Form::Truth | Form::Whole(..) => serde_json::from_str(default).expect("a test parses it"),
        _ => Value::from(default),
    });
    merge(&mut value, json!({ "description": text }));
    if let Some(default) = default {
        merge(&mut value, json!({ "default": default }));
    }
    value
}

/// A value left empty is a key left out, so most may be null.
fn form(form: Form) -> Value {
    match form {
        Form::Truth => json!({ "type": ["boolean", "null"] }),
        Form::OneOf(words) => {
            let words = words.iter().map(|word| Value::from(*word)).chain([Value::Null]);
            json!({ "enum": words.collect::<Vec<_>>() })
        }
        Form::Whole(least, most) => json!({ "type": ["integer", "null"], "minimum": least, "maximum": most }),
        Form::Size(least, most) => bytes(least, most, ""),
        Form::Rate => bytes(0, u64::MAX, r"(/s\s*)?"),
        Form::Time { least, zero, most } => time(if zero { Duration::ZERO } else { least }, most),
        Form::Text(text) => text_or_number(text),
        Form::List(text) => list(text),
        Form::TimeOfDay => {
            let pattern = "^(hourly|daily|([01]?[0-9]|2[0-3]):[0-5]?[0-9])$";
            json!({ "type": ["string", "null"], "pattern": pattern })
        }
        Form::Options => options(),
        Form::Keywords => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": NAME },
            "additionalProperties": text(Text::KeywordFile),
        }),
        Form::Streams => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": NAME },
            "additionalProperties": { "$ref": "#/$defs/stream" },
        }),
        Form::Level(keys) => level(keys),
    }
}

/// The bounds hold for numbers; those of text are the parser's.
fn bytes(least: u64, most: u64, after: &str) -> Value {
    let number = r"([0-9]+\.?[0-9]*|\.[0-9]+)";
    let unit = "([kKmMgGtTpPeE][iI]?[bB]?|[bB])";
    let pattern = format!(r"^\s*(\+?[0-9]+|{number}\s*{unit})\s*{after}$");
    json!({ "type": ["string", "integer", "null"], "pattern": pattern, "minimum": least, "maximum": most })
}

/// The same.
fn time(least: Duration, most: Duration) -> Value {
    let number = "[0-9]+([.,][0-9]+)?";
    let clock = "[0-9]+:[0-9]+:[0-9]+([.,][0-9]+)?";
    let units = [
        "w|wks?|weeks?",
        "d|days?",
        "h|hrs?|hours?",
        "m|mins?|minutes?",
        "s|secs?|seconds?",
        "ms|msecs?|millis?|milliseconds?",
        "us|µs|usecs?|micros?|microseconds?",
        "ns|nsecs?|nanos?|nanoseconds?",
    ];
    let part = format!(r"{number}\s*({})", units.join("|"));
    let pattern = format!(r"^\s*([0-9]+|\+?[Pp][0-9A-Za-z.,]+|\+?{part}(,?\s*{part})*(,?\s*{clock})?|\+?{clock})\s*$");
    let least = least.as_secs() + u64::from(least.subsec_nanos() > 0);
    json!({ "type": ["string", "integer", "null"], "pattern": pattern, "minimum": least, "maximum": most.as_secs() })
}

/// A text that stands alone.
fn text(text: Text) -> Value {
    let mut form = json!({ "type": "string", "pattern": pattern(text) });
    let more = match text {
        // Nobody may be there to be asked.
        Text::KeywordFile => json!({ "not": { "const": "-" } }),
        // `sun_path` holds so much.
        Text::Socket => json!({ "not": { "pattern": r"/\.{0,2}$" }, "maxLength": 107 }),
        _ => return form,
    };
    merge(&mut form, more);
    form
}

fn text_or_number(of: Text) -> Value {
    let mut form = text(of);
    let types = match of {
        // Who leaves it empty meant to keep somebody out.
        Text::KeywordFile => return form,
        Text::Listen => json!({ "type": ["string", "integer", "null"], "minimum": 0, "maximum": 65_535 }),
        _ => json!({ "type": ["string", "null"] }),
    };
    merge(&mut form, types);
    form
}

fn list(of: Text) -> Value {
    let null = if of == Text::Network { None } else { Some("null") };
    let types: Vec<_> = ["string", "array"].into_iter().chain(null).collect();
    if of == Text::Output {
        let output = json!({ "$ref": "#/$defs/output" });
        let text = json!({ "type": "string" });
        return json!({ "type": types, "if": text, "then": output, "items": output, "minItems": 1 });
    }
    json!({ "type": types, "pattern": pattern(of), "items": text(of), "minItems": 1 })
}

fn options() -> Value {
    let pattern = format!(r"^\s*[^\s{CONTROL}]([^{CONTROL}]*[^\s{CONTROL}])?\s*$");
    json!({
        "type": ["object", "null"],
        "propertyNames": { "pattern": "^[A-Za-z0-9]+$" },
        "additionalProperties": {
            "type": ["string", "integer", "boolean", "array", "null"],
            "pattern": pattern,
            "items": { "type": ["string", "integer"], "pattern": pattern, "minimum": 0 },
            "minItems": 1,
        },
    })
}

/// A command, a syslog daemon, standard output, or a path that does not name a folder.
fn output() -> Value {
    json!({
        "type": "string",
        "anyOf": [
            { "pattern": format!(r"^exec:[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$") },
            { "pattern": format!(r"^syslog\+(udp|tcp)://[^\s{CONTROL}]+$") },
            { "pattern": format!(r"^syslog\+unix:///[^{CONTROL}]+$") },
            { "pattern": pattern(Text::Path), "not": { "pattern": r"^exec:|^[^/]*://|(^|/)\.{0,2}$|^~$" } },
        ],
    })
}

fn pattern(text: Text) -> String {
    // Blanks that are no control characters.
    let blank = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
    let c = CONTROL;
    match text {
        // Not blank, and of homes only one's own.
        Text::Path | Text::Secret | Text::KeywordFile | Text::Output => {
            format!(r"^(~(/[^{c}]*)?|[^~{blank}{c}][^{c}]*|[{blank}]+[^{blank}{c}][^{c}]*)$")
        }
        Text::Target | Text::User => format!("^[^{UNSAFE}-][^{UNSAFE}]*$"),
        Text::Hop => format!(r"^\s*[^{UNSAFE},-][^{UNSAFE},]*\s*(,\s*[^{UNSAFE},-][^{UNSAFE},]*\s*)*$"),
        Text::Address => format!(r"^[^{UNSAFE}/@-][^{UNSAFE}/@]*$"),
        Text::Listen => format!(r"^([uU][nN][iI][xX]:/[^{c}]*|([^{UNSAFE}/@-][^{UNSAFE}/@]*)?[0-9])$"),
        // Not a port alone.
        Text::Metrics => format!(r"^([uU][nN][iI][xX]:/[^{c}]*|([^{UNSAFE}/@-][^{UNSAFE}/@]*)?:[0-9]+)$"),
        Text::Socket => format!("^/[^{c}]*$"),
        Text::Prefix => r"^([^{}\r\n\u0000]|\{(time|peer|keyword|stream|n)\})+$".to_owned(),
        Text::Network => r"^\s*[0-9A-Fa-f:.]+(/[0-9]+)?\s*$".to_owned(),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
pub(super) mod tests;
