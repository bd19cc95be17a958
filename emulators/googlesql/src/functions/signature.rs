//! The registry's notation for signatures, parsed once and kept.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use crate::types::Type;

/// What an argument or a result may be.
#[derive(Clone, PartialEq, Debug)]
pub enum Pattern {
    Exact(Type),
    /// `T`, `U`, `V`: any type, the same wherever the letter stands in one signature.
    Variable(usize),
    /// `ANY`: any type, each time another.
    Any,
    /// `STRUCT`: any struct.
    AnyStruct,
    /// `DATEPART`: a STRING literal holding the part's upper-case name.
    DatePart,
    Array(Box<Pattern>),
    Range(Box<Pattern>),
    /// The inner type must have `<`.
    Orderable(Box<Pattern>),
    /// The inner type must be groupable.
    Groupable(Box<Pattern>),
    /// The inner type must have `=`.
    Comparable(Box<Pattern>),
    /// A result that the entry's `result` function computes.
    Computed,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Argument {
    pub pattern: Pattern,
    pub optional: bool,
    pub repeated: bool,
    /// Set for `name => X`: may be passed by this name.
    pub name: Option<String>,
    /// `!name => X`: by its name and not by its place.
    pub by_name_only: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Signature {
    pub args: Vec<Argument>,
    pub result: Pattern,
    /// Written with `~` in front: it matches, but messages do not list it.
    pub hidden: bool,
}

impl Signature {
    /// Parses the notation that the registry's module describes. `None` is a mistake in a table, which a test finds.
    pub fn parse(notation: &str) -> Option<Signature> {
        let (notation, hidden) = match notation.strip_prefix('~') {
            Some(rest) => (rest, true),
            None => (notation, false),
        };
        let (args, result) = notation.rsplit_once("->")?;
        let args = args.trim().strip_prefix('(')?.strip_suffix(')')?;
        let args = split_top(args).into_iter().map(parse_argument).collect::<Option<Vec<_>>>()?;
        Some(Signature { args, result: parse_pattern(result.trim())?, hidden })
    }

    /// The least and (without repetition) the greatest number of arguments.
    pub fn arity(&self) -> (usize, Option<usize>) {
        let least = self.args.iter().filter(|arg| !arg.optional && !arg.repeated).count();
        let most = if self.args.iter().any(|arg| arg.repeated) { None } else { Some(self.args.len()) };
        (least, most)
    }
}

fn split_top(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0i32;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if !text[..at].ends_with('=') && !text[..at].ends_with('-') => depth -= 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

fn parse_argument(text: &str) -> Option<Argument> {
    let (text, optional) = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inner) => (inner.trim(), true),
        None => (text, false),
    };
    let (name, text) = match text.split_once("=>") {
        Some((name, rest)) => (Some(name.trim()), rest.trim()),
        None => (None, text),
    };
    let by_name_only = name.is_some_and(|name| name.starts_with('!'));
    let name = name.map(|name| name.trim_start_matches('!').to_string());
    let (text, repeated) = match text.strip_suffix("...") {
        Some(rest) => (rest.trim(), true),
        None => (text, false),
    };
    Some(Argument { pattern: parse_pattern(text)?, optional, repeated, name, by_name_only })
}

fn parse_pattern(text: &str) -> Option<Pattern> {
    if let Some((head, rest)) = text.split_once('<') {
        let inner = Box::new(parse_pattern(rest.strip_suffix('>')?.trim())?);
        return match head.trim() {
            "ARRAY" => Some(Pattern::Array(inner)),
            "RANGE" => Some(Pattern::Range(inner)),
            "ORDERABLE" => Some(Pattern::Orderable(inner)),
            "GROUPABLE" => Some(Pattern::Groupable(inner)),
            "COMPARABLE" => Some(Pattern::Comparable(inner)),
            _ => None,
        };
    }
    Some(match text {
        "T" => Pattern::Variable(0),
        "U" => Pattern::Variable(1),
        "V" => Pattern::Variable(2),
        "ANY" => Pattern::Any,
        "STRUCT" => Pattern::AnyStruct,
        "DATEPART" => Pattern::DatePart,
        "?" => Pattern::Computed,
        "BOOL" => Pattern::Exact(Type::Bool),
        "INT64" => Pattern::Exact(Type::Int64),
        "FLOAT64" => Pattern::Exact(Type::Float64),
        "NUMERIC" => Pattern::Exact(Type::Numeric),
        "BIGNUMERIC" => Pattern::Exact(Type::BigNumeric),
        "STRING" => Pattern::Exact(Type::String),
        "BYTES" => Pattern::Exact(Type::Bytes),
        "DATE" => Pattern::Exact(Type::Date),
        "TIME" => Pattern::Exact(Type::Time),
        "DATETIME" => Pattern::Exact(Type::Datetime),
        "TIMESTAMP" => Pattern::Exact(Type::Timestamp),
        "INTERVAL" => Pattern::Exact(Type::Interval),
        "JSON" => Pattern::Exact(Type::Json),
        "GEOGRAPHY" => Pattern::Exact(Type::Geography),
        _ => return None,
    })
}

/// The parsed signatures of a table entry; parsed on first use, then kept for the program's life.
pub fn parsed(notations: &'static [&'static str]) -> &'static [Signature] {
    /// By the address and length of the table's slice, which is static.
    type Known = HashMap<(usize, usize), &'static [Signature]>;
    static CACHE: OnceLock<Mutex<Known>> = OnceLock::new();
    let cache = CACHE.get_or_init(Mutex::default);
    let mut cache = cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // A table's slice is static, so its address names it; two equal slices may share one.
    cache.entry((notations.as_ptr() as usize, notations.len())).or_insert_with(|| {
        let signatures: Vec<Signature> = notations.iter().filter_map(|notation| Signature::parse(notation)).collect();
        Box::leak(signatures.into_boxed_slice())
    })
}

/// A pattern as messages print it: `T1`, `ARRAY<T1>`, `DATE_TIME_PART`.
pub fn pattern_text(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(ty) => ty.to_string(),
        Pattern::Variable(index) => format!("T{}", index + 1),
        Pattern::Any | Pattern::Computed => "ANY".into(),
        Pattern::AnyStruct => "STRUCT".into(),
        Pattern::DatePart => "DATE_TIME_PART".into(),
        Pattern::Array(inner) => format!("ARRAY<{}>", pattern_text(inner)),
        Pattern::Range(inner) => format!("RANGE<{}>", pattern_text(inner)),
        Pattern::Orderable(inner) | Pattern::Groupable(inner) | Pattern::Comparable(inner) => pattern_text(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_understood() {
        let signature =
            Signature::parse("(ARRAY<T>, [STRING], wide_number_mode => STRING, [x => INT64], ORDERABLE<T>...) -> ?")
                .expect("parses");
        assert_eq!(signature.args.len(), 5);
        assert_eq!(signature.args[0].pattern, Pattern::Array(Box::new(Pattern::Variable(0))));
        assert!(signature.args[1].optional && signature.args[4].repeated);
        assert_eq!(signature.args[2].name.as_deref(), Some("wide_number_mode"));
        assert_eq!(signature.arity(), (2, None));
        assert_eq!(Signature::parse("() -> DATE").expect("parses").args.len(), 0);
        assert_eq!(Signature::parse("(FOO) -> DATE"), None);
    }
}
