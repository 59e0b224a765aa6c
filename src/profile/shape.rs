//! What records look like: `format` and `prefix` as written, as flags, and as meant.

use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};

use crate::error::{Error, Result};
use crate::plan::{DEFAULT_PREFIX, Format, Template};
use crate::profile::problem::Problem;
use crate::profile::raw::RawStream;
use crate::profile::store::Profile;
use crate::profile::units::named;

/// The value of `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// As they came.
    Raw,
    /// With text in front.
    Prefix,
    /// One JSON object a line.
    Json,
}

impl Shape {
    fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Prefix => "prefix",
            Self::Json => "json",
        }
    }
}

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ShapeFlags {
    /// `--format`
    pub format: Option<Shape>,
    /// `--prefix`
    pub prefix: Option<Template>,
}

/// Why a prefix is none of another format's.
const ELSEWHERE: &str = "leave one of the two out; a prefix is that of the format prefix";

impl ShapeFlags {
    /// Checked, each by itself and both together.
    pub fn new(format: Option<Shape>, prefix: Option<&str>) -> Result<Self> {
        let prefix = prefix.map(template).transpose().map_err(|why| Error::usage(format!("--prefix: {why}")))?;
        if let (Some(shape), Some(_)) = (format.filter(|shape| *shape != Shape::Prefix), &prefix) {
            let message = format!("--prefix has no place in the format {}", shape.as_str());
            return Err(Error::usage(message).hint(ELSEWHERE));
        }
        Ok(Self { format, prefix })
    }

    /// What the stream `name` of a profile says is sound, too.
    pub fn check(profile: &Profile, name: &str, raw: &RawStream) -> Result<()> {
        let (Some(shape), Some(_)) = (raw.format.filter(|shape| *shape != Shape::Prefix), &raw.prefix) else {
            return Ok(());
        };
        let message = format!("`prefix` has no place in the format {}", shape.as_str());
        Err(profile.error(Problem::key(&["streams", name, "prefix"], message).hint(ELSEWHERE)))
    }

    /// These, and below them what a profile says. A prefix alone is a format, too.
    pub fn over(&self, raw: &RawStream) -> Format {
        let implied = |prefix: &Option<Template>| prefix.as_ref().map(|_| Shape::Prefix);
        let here = self.format.or(implied(&self.prefix));
        let shape = here.or(raw.format).or(implied(&raw.prefix)).unwrap_or(Shape::Raw);
        match shape {
            Shape::Raw => Format::Raw,
            Shape::Json => Format::Json,
            Shape::Prefix => Format::Prefix(self.prefix.clone().or_else(|| raw.prefix.clone()).unwrap_or_else(usual)),
        }
    }
}

fn usual() -> Template {
    Template::prefix(DEFAULT_PREFIX).expect("a constant that is tested")
}

/// The format of that name.
pub(super) fn shape(text: &str) -> Result<Shape, String> {
    named("format", text, &[Shape::Raw, Shape::Prefix, Shape::Json].map(|shape| (shape.as_str(), shape)))
}

/// `prefix`
pub(super) fn template(text: &str) -> Result<Template, String> {
    if text.is_empty() {
        return Err(format!("the prefix is empty; write `{DEFAULT_PREFIX}`, or take the format raw"));
    }
    Template::prefix(text)
}

/// Puts what is not as it is by default into the map of a stream.
pub(super) fn write(format: &Format, map: &mut Mapping) {
    if *format != Format::default() {
        map.insert("format".into(), Value::from(format.as_str()));
    }
    if let Format::Prefix(template) = format
        && *template != usual()
    {
        map.insert("prefix".into(), Value::from(template.as_str()));
    }
}

/// The format for a person.
pub(super) fn explain(format: &Format) -> String {
    match format {
        Format::Raw => "raw (default)".to_owned(),
        Format::Prefix(template) => format!("prefix `{template}`"),
        Format::Json => "json".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(format: Option<Shape>, prefix: Option<&str>) -> ShapeFlags {
        ShapeFlags::new(format, prefix).unwrap()
    }

    fn raw(format: Option<Shape>, prefix: Option<&str>) -> RawStream {
        RawStream { format, prefix: prefix.map(|text| template(text).unwrap()), ..RawStream::default() }
    }

    #[test]
    fn a_prefix_alone_is_a_format_and_the_format_alone_has_one() {
        let nothing = raw(None, None);
        assert_eq!(flags(None, None).over(&nothing), Format::Raw);
        let own = Format::Prefix(Template::prefix("{n} ").unwrap());
        assert_eq!(flags(None, Some("{n} ")).over(&nothing), own);
        assert_eq!(flags(Some(Shape::Prefix), Some("{n} ")).over(&nothing), own);
        assert_eq!(flags(None, None).over(&raw(None, Some("{n} "))), own);
        assert_eq!(flags(Some(Shape::Prefix), None).over(&nothing), Format::Prefix(usual()));
        assert_eq!(flags(Some(Shape::Prefix), None).over(&raw(None, Some("{n} "))), own);
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        let own = Format::Prefix(Template::prefix("{n} ").unwrap());
        assert_eq!(flags(None, Some("{n} ")).over(&raw(Some(Shape::Json), None)), own);
        assert_eq!(flags(Some(Shape::Json), None).over(&raw(None, Some("{n} "))), Format::Json);
        assert_eq!(flags(Some(Shape::Raw), None).over(&raw(Some(Shape::Json), None)), Format::Raw);
    }

    #[test]
    fn a_prefix_beside_another_format_and_a_bad_one_are_refused() {
        for shape in [Shape::Raw, Shape::Json] {
            assert!(ShapeFlags::new(Some(shape), Some("{n}")).unwrap_err().message.starts_with("--prefix "));
        }
        for wrong in ["", "{date}", "{", "a\nb"] {
            assert!(ShapeFlags::new(None, Some(wrong)).unwrap_err().message.starts_with("--prefix: "), "{wrong}");
        }
        assert!(shape("jsn").unwrap_err().contains("did you mean `json`"));
    }
}
