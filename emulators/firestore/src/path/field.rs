//! Field paths: dots separate segments, backticks quote whatever is not a plain identifier.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::limits;
use crate::texts;
use crate::value::{Fields, Value};

/// The pseudo field that stands for the document's name.
pub const NAME_FIELD: &str = "__name__";

/// One or more field names, outermost first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FieldPath(Arc<[Arc<str>]>);

impl FieldPath {
    /// A path of one segment, taken literally.
    pub fn single(segment: &str) -> FieldPath {
        FieldPath(Arc::from([Arc::from(segment)]))
    }

    /// A path of these segments, taken literally.
    pub fn of(segments: &[Arc<str>]) -> FieldPath {
        FieldPath(Arc::from(segments))
    }

    /// Parses the wire form.
    ///
    /// A segment is `[a-zA-Z_][a-zA-Z_0-9]*`, or anything in backticks with `\` as the escape.
    /// Anything else is [`Error::FieldPath`], whose text quotes the whole path as production does.
    pub fn parse(text: &str) -> Result<FieldPath, Error> {
        if text.is_empty() {
            return Err(Error::invalid(texts::EMPTY_FIELD_PATH));
        }
        let invalid = || Error::FieldPath(text.to_owned());
        let mut segments: Vec<Arc<str>> = Vec::new();
        let mut bytes = 0;
        let mut rest = text;
        loop {
            let (segment, after) = match rest.strip_prefix('`') {
                Some(quoted) => quoted_segment(quoted).ok_or_else(invalid)?,
                None => plain_segment(rest).ok_or_else(invalid)?,
            };
            bytes += segment.len() + usize::from(bytes > 0);
            if bytes > limits::FIELD_NAME_BYTES {
                return Err(Error::invalid(texts::LONG_FIELD_PATH));
            }
            segments.push(segment);
            if after.is_empty() {
                if segments.len() > limits::FIELD_PATH_SEGMENTS {
                    return Err(Error::invalid(texts::LONG_PATH));
                }
                return Ok(FieldPath(segments.into()));
            }
            rest = after.strip_prefix('.').ok_or_else(invalid)?;
        }
    }

    /// The path as a sentence has it: without quotes.
    pub fn plain(&self) -> String {
        self.0.join(".")
    }

    pub fn segments(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Whether this is `__name__`, the document's own name.
    pub fn is_name(&self) -> bool {
        matches!(&*self.0, [only] if &**only == NAME_FIELD)
    }

    /// Whether a segment has the reserved form `__…__`.
    pub fn reserved_segment(&self) -> Option<&str> {
        self.0.iter().map(|segment| &**segment).find(|segment| is_reserved(segment))
    }

    /// Whether `self` is `other` or leads to it.
    pub fn is_prefix_of(&self, other: &FieldPath) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The value at this path.
    pub fn get<'a>(&self, fields: &'a Fields) -> Option<&'a Value> {
        let (first, inner) = self.0.split_first()?;
        let mut value = fields.get(first)?;
        for segment in inner {
            let Value::Map(fields) = value else { return None };
            value = fields.get(segment)?;
        }
        Some(value)
    }

    /// Puts a value at this path; what is on the way and is no map becomes one.
    pub fn set(&self, fields: &mut Fields, value: Value) {
        set_at(&self.0, fields, value);
    }

    /// Takes away what is at this path; nothing happens where the way does not lead there.
    pub fn remove(&self, fields: &mut Fields) {
        // Looked at first, so that a missing field does not copy shared maps on the way.
        if self.get(fields).is_some() {
            remove_at(&self.0, fields);
        }
    }
}

/// Whether a name has the form `__.*__`.
pub fn is_reserved(name: &str) -> bool {
    name.len() >= 4 && name.starts_with("__") && name.ends_with("__")
}

fn set_at(path: &[Arc<str>], fields: &mut Fields, value: Value) {
    let Some((first, inner)) = path.split_first() else { return };
    if inner.is_empty() {
        fields.insert(Arc::clone(first), value);
        return;
    }
    if let Some(Value::Map(map)) = fields.get_mut(first) {
        set_at(inner, Arc::make_mut(map), value);
    } else {
        let mut map = Fields::new();
        set_at(inner, &mut map, value);
        fields.insert(Arc::clone(first), Value::map(map));
    }
}

fn remove_at(path: &[Arc<str>], fields: &mut Fields) {
    let Some((first, inner)) = path.split_first() else { return };
    if inner.is_empty() {
        fields.remove(first);
    } else if let Some(Value::Map(map)) = fields.get_mut(first) {
        remove_at(inner, Arc::make_mut(map));
    }
}

fn is_plain_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn plain_segment(text: &str) -> Option<(Arc<str>, &str)> {
    let end = text.find(|c: char| !(is_plain_start(c) || c.is_ascii_digit())).unwrap_or(text.len());
    let (segment, rest) = text.split_at(end);
    segment.starts_with(is_plain_start).then(|| (Arc::from(segment), rest))
}

/// `text` begins after the opening backtick.
fn quoted_segment(text: &str) -> Option<(Arc<str>, &str)> {
    let mut segment = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '`' if segment.is_empty() => return None,
            '`' => return Some((Arc::from(segment), &text[at + 1..])),
            '\\' => segment.push(chars.next()?.1),
            other => segment.push(other),
        }
    }
    None
}

/// The wire form, with quotes only where they are needed.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            if plain_segment(segment).is_some_and(|(_, rest)| rest.is_empty()) {
                f.write_str(segment)?;
            } else {
                f.write_str("`")?;
                for c in segment.chars() {
                    if matches!(c, '`' | '\\') {
                        f.write_str("\\")?;
                    }
                    write!(f, "{c}")?;
                }
                f.write_str("`")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segments(text: &str) -> Vec<String> {
        FieldPath::parse(text).unwrap().segments().iter().map(|segment| segment.to_string()).collect()
    }

    #[test]
    fn a_dot_always_nests() {
        assert_eq!(segments("predictions_by_player.`p.j.-tucker`"), ["predictions_by_player", "p.j.-tucker"]);
        assert_eq!(segments("a.b.c"), ["a", "b", "c"]);
        assert_eq!(segments(r"`a\`b\\c`.d"), [r"a`b\c", "d"]);
        assert_eq!(segments("`ä`"), ["ä"]);
    }

    #[test]
    fn an_unquoted_hyphen_is_refused_in_productions_words() {
        for path in ["a-b", "a..b", ".a", "a.", "``", "`a", "a`b`", "1a", "p.j.-tucker", "`a`b", "ä", "a b"] {
            let error = FieldPath::parse(path).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "Invalid property path \"{path}\". Unquoted property paths must match regex \
                     ([a-zA-Z_][a-zA-Z_0-9]*), and quoted property paths must match regex (`(?:[^`\\\\]|(?:\\\\.))+`)"
                )
            );
        }
    }

    #[test]
    fn sets_and_removes_through_maps() {
        let mut fields = Fields::new();
        FieldPath::parse("a.b").unwrap().set(&mut fields, Value::Int(1));
        FieldPath::parse("a.c").unwrap().set(&mut fields, Value::Int(2));
        assert_eq!(FieldPath::parse("a.b").unwrap().get(&fields), Some(&Value::Int(1)));
        FieldPath::parse("a.b").unwrap().remove(&mut fields);
        FieldPath::parse("x.y").unwrap().remove(&mut fields);
        assert_eq!(FieldPath::parse("a.b").unwrap().get(&fields), None);
        FieldPath::parse("a.c.d").unwrap().set(&mut fields, Value::Null);
        assert_eq!(FieldPath::parse("a.c.d").unwrap().get(&fields), Some(&Value::Null));
        assert_eq!(fields.len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_is_shown_parses_back(segments in prop::collection::vec("[^\\x00]{1,8}", 1..5)) {
            let path = FieldPath(segments.iter().map(|segment| Arc::from(segment.as_str())).collect());
            prop_assert_eq!(FieldPath::parse(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a-z`\\\\.\\-ä0-9_]{0,12}") {
            let _ = FieldPath::parse(&text);
        }
    }
}
