//! Regular expressions: RE2's syntax on the `regex` crate.
//!
//! RE2's `\d \w \s \b` are ASCII, `\Q…\E` quotes, and `[` inside brackets is itself; patterns are rewritten to that.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder, bytes};

use crate::error::{Result, SqlError};
use crate::functions::args::{MAX_OUTPUT, any, fail, int, string};
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "string_functions",
        "regexp_contains",
        "REGEXP_CONTAINS",
        Propagate,
        ["(STRING, STRING) -> BOOL", "(BYTES, BYTES) -> BOOL"],
        |_, args| Ok(Value::Bool(match any(args, 0) {
            Value::Bytes(text) => bytes_regex(args)?.is_match(text),
            _ => text_regex(string(args, 1)?)?.is_match(string(args, 0)?),
        }))
    ),
    entry!(
        "string_functions",
        "regexp_extract",
        "REGEXP_EXTRACT",
        Propagate,
        ["(STRING, STRING, [INT64], [INT64]) -> STRING", "(BYTES, BYTES, [INT64], [INT64]) -> BYTES"],
        extract
    ),
    entry!(
        "string_functions",
        "regexp_substr",
        "REGEXP_SUBSTR",
        Propagate,
        ["(STRING, STRING, [INT64], [INT64]) -> STRING", "(BYTES, BYTES, [INT64], [INT64]) -> BYTES"],
        extract
    ),
    entry!(
        "string_functions",
        "regexp_extract_all",
        "REGEXP_EXTRACT_ALL",
        Propagate,
        ["(STRING, STRING) -> ARRAY<STRING>", "(BYTES, BYTES) -> ARRAY<BYTES>"],
        |_, args| {
            let spans = spans(args, 0)?;
            Ok(Value::array(spans.into_iter().map(|span| slice(args, span.group)).collect::<Result<Vec<_>>>()?))
        }
    ),
    entry!(
        "string_functions",
        "regexp_instr",
        "REGEXP_INSTR",
        Propagate,
        ["(STRING, STRING, [INT64], [INT64], [INT64]) -> INT64", "(BYTES, BYTES, [INT64], [INT64], [INT64]) -> INT64"],
        instr
    ),
    entry!(
        "string_functions",
        "regexp_replace",
        "REGEXP_REPLACE",
        Propagate,
        ["(STRING, STRING, STRING) -> STRING", "(BYTES, BYTES, BYTES) -> BYTES"],
        replace
    ),
];

/// One match: the whole and the part that counts (the first group, if there is one), as byte offsets.
struct Span {
    group: Option<(usize, usize)>,
}

thread_local! {
    /// Compiled patterns: a query uses few and each for many rows.
    static TEXTS: RefCell<HashMap<String, Arc<Regex>>> = RefCell::default();
    static BYTES: RefCell<HashMap<Vec<u8>, Arc<bytes::Regex>>> = RefCell::default();
}

const CACHED: usize = 64;

pub(crate) fn text_regex(pattern: &str) -> Result<Arc<Regex>> {
    TEXTS.with_borrow_mut(|cache| {
        if let Some(regex) = cache.get(pattern) {
            return Ok(regex.clone());
        }
        let regex =
            RegexBuilder::new(&from_re2(pattern)).octal(true).build().map_err(|error| bad_pattern(pattern, &error))?;
        // Shared and not cloned: a clone has no scratch space yet and would make it anew for each row.
        let regex = Arc::new(regex);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(pattern.to_string(), regex.clone());
        Ok(regex)
    })
}

fn bytes_regex(args: &[Value]) -> Result<Arc<bytes::Regex>> {
    let pattern = crate::functions::args::bytes(args, 1)?;
    BYTES.with_borrow_mut(|cache| {
        if let Some(regex) = cache.get(pattern) {
            return Ok(regex.clone());
        }
        let text: String = pattern
            .iter()
            .map(|byte| if byte.is_ascii() { char::from(*byte).to_string() } else { format!("\\x{byte:02x}") })
            .collect();
        let regex = bytes::RegexBuilder::new(&from_re2(&text))
            .unicode(false)
            .octal(true)
            .build()
            .map_err(|error| bad_pattern(&text, &error))?;
        let regex = Arc::new(regex);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(pattern.to_vec(), regex.clone());
        Ok(regex)
    })
}

/// RE2's words for the commonest mistakes.
fn bad_pattern(pattern: &str, error: &regex::Error) -> SqlError {
    let text = error.to_string();
    let why = if text.contains("unclosed group") {
        format!("missing ): {pattern}")
    } else if text.contains("unopened group") {
        format!("unexpected ): {pattern}")
    } else if text.contains("unclosed character class") {
        let from = pattern.rfind('[').unwrap_or(0);
        format!("missing ]: {}", &pattern[from..])
    } else if text.contains("repetition operator missing expression") {
        let operator = pattern.chars().find(|c| matches!(c, '*' | '+' | '?' | '{')).unwrap_or('*');
        format!("no argument for repetition operator: {operator}")
    } else if text.contains("size limit") {
        "pattern too large - compile failed".to_string()
    } else {
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string()
    };
    SqlError::evaluation(format!("Cannot parse regular expression: {why}"))
}

/// The `regex` crate's pattern for RE2's.
fn from_re2(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let Some(escaped) = chars.next() else {
                    out.push('\\');
                    break;
                };
                match (escaped, class) {
                    ('d', false) => out.push_str("[0-9]"),
                    ('D', false) => out.push_str("[^0-9]"),
                    ('w', false) => out.push_str("[0-9A-Za-z_]"),
                    ('W', false) => out.push_str("[^0-9A-Za-z_]"),
                    ('s', false) => out.push_str("[\\t\\n\\f\\r ]"),
                    ('S', false) => out.push_str("[^\\t\\n\\f\\r ]"),
                    ('d', true) => out.push_str("0-9"),
                    ('w', true) => out.push_str("0-9A-Za-z_"),
                    ('s', true) => out.push_str("\\t\\n\\f\\r "),
                    ('D', true) => out.push_str("[^0-9]"),
                    ('W', true) => out.push_str("[^0-9A-Za-z_]"),
                    ('S', true) => out.push_str("[^\\t\\n\\f\\r ]"),
                    ('b', false) => out.push_str("(?-u:\\b)"),
                    ('Q', false) => {
                        let mut quoted = String::new();
                        while let Some(c) = chars.next() {
                            if c == '\\' && chars.peek() == Some(&'E') {
                                chars.next();
                                break;
                            }
                            quoted.push(c);
                        }
                        out.push_str(&regex::escape(&quoted));
                    }
                    ('E', false) => {}
                    (other, _) => {
                        out.push('\\');
                        out.push(other);
                    }
                }
            }
            '[' if !class => {
                class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
                // A bracket right behind is itself.
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            '[' => {
                if chars.peek() == Some(&':') {
                    out.push('[');
                    for c in chars.by_ref() {
                        out.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                } else {
                    out.push_str("\\[");
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// All matches from a byte offset on.
fn spans(args: &[Value], from: usize) -> Result<Vec<Span>> {
    fn checked(groups: usize) -> Result<usize> {
        if groups > 2 {
            return fail(
                "Regular expressions passed into extraction functions must not have more than 1 capturing group",
            );
        }
        Ok(groups - 1)
    }
    match any(args, 0) {
        Value::Bytes(text) => {
            let regex = bytes_regex(args)?;
            let group = checked(regex.captures_len())?;
            let mut out = Vec::new();
            let mut at = from;
            while at <= text.len() {
                let Some(found) = regex.captures_at(text, at) else { break };
                let Some(whole) = found.get(0) else { break };
                // Nothing is found behind the last character, unless there is no other.
                if at == text.len() && at > from {
                    break;
                }
                out.push(Span { group: found.get(group).map(|part| (part.start(), part.end())) });
                at = if whole.end() == whole.start() { whole.end() + 1 } else { whole.end() };
            }
            Ok(out)
        }
        _ => {
            let text = string(args, 0)?;
            let regex = text_regex(string(args, 1)?)?;
            let group = checked(regex.captures_len())?;
            let mut out = Vec::new();
            let mut at = from;
            while at <= text.len() {
                let Some(found) = regex.captures_at(text, at) else { break };
                let Some(whole) = found.get(0) else { break };
                // Nothing is found behind the last character, unless there is no other.
                if at == text.len() && at > from {
                    break;
                }
                out.push(Span { group: found.get(group).map(|part| (part.start(), part.end())) });
                at = if whole.end() == whole.start() {
                    whole.end() + text[whole.end()..].chars().next().map_or(1, char::len_utf8)
                } else {
                    whole.end()
                };
            }
            Ok(out)
        }
    }
}

/// A piece of the first argument; NULL for a group that took no part, which production gives as an empty text.
fn slice(args: &[Value], span: Option<(usize, usize)>) -> Result<Value> {
    let (start, end) = span.unwrap_or((0, 0));
    Ok(match any(args, 0) {
        Value::Bytes(text) => Value::bytes(text.get(start..end).unwrap_or_default()),
        _ => Value::string(string(args, 0)?.get(start..end).unwrap_or_default()),
    })
}

/// The byte offset of a 1-based position; `None` past the end.
fn offset_of(args: &[Value], position: i64) -> Result<Option<usize>> {
    if position < 1 {
        return fail("Position must be positive");
    }
    let skip = usize::try_from(position - 1).unwrap_or(usize::MAX);
    Ok(match any(args, 0) {
        Value::Bytes(text) => (skip <= text.len()).then_some(skip),
        _ => {
            let text = string(args, 0)?;
            let ends = std::iter::once(text.len());
            text.char_indices().map(|(at, _)| at).chain(ends).nth(skip)
        }
    })
}

fn extract(_: &Call, args: &[Value]) -> Result<Value> {
    let position = if args.len() > 2 { int(args, 2)? } else { 1 };
    let occurrence = if args.len() > 3 { int(args, 3)? } else { 1 };
    if occurrence < 1 {
        return fail("Occurrence must be positive");
    }
    let Some(from) = offset_of(args, position)? else { return Ok(Value::Null) };
    let nth = usize::try_from(occurrence - 1).unwrap_or(usize::MAX);
    match spans(args, from)?.into_iter().nth(nth) {
        Some(Span { group: Some(span) }) => slice(args, Some(span)),
        _ => Ok(Value::Null),
    }
}

fn instr(_: &Call, args: &[Value]) -> Result<Value> {
    let position = if args.len() > 2 { int(args, 2)? } else { 1 };
    let occurrence = if args.len() > 3 { int(args, 3)? } else { 1 };
    let after = if args.len() > 4 { int(args, 4)? } else { 0 };
    if occurrence < 1 {
        return fail("Occurrence must be positive");
    }
    if !(0..=1).contains(&after) {
        return fail(format!("Invalid return_position_after_match: {after}"));
    }
    let empty = match any(args, 1) {
        Value::Bytes(pattern) => pattern.is_empty(),
        _ => string(args, 1)?.is_empty(),
    };
    let Some(from) = offset_of(args, position)?.filter(|_| !empty) else { return Ok(Value::Int64(0)) };
    let nth = usize::try_from(occurrence - 1).unwrap_or(usize::MAX);
    let Some(Span { group: Some((start, end)) }) = spans(args, from)?.into_iter().nth(nth) else {
        return Ok(Value::Int64(0));
    };
    let at = if after == 1 { end } else { start };
    Ok(Value::Int64(match any(args, 0) {
        Value::Bytes(_) => at as i64 + 1,
        _ => string(args, 0)?.get(..at).map_or(0, |head| head.chars().count()) as i64 + 1,
    }))
}

/// A replacement taken apart: literal bytes and group numbers.
enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

fn pieces(replacement: &[u8], groups: usize) -> Result<Vec<Piece>> {
    let mut out = vec![Piece::Text(Vec::new())];
    let mut units = replacement.iter();
    while let Some(unit) = units.next() {
        let next = if *unit == b'\\' { units.next() } else { None };
        let literal = match (*unit, next) {
            (b'\\', Some(digit)) if digit.is_ascii_digit() => {
                let group = usize::from(digit - b'0');
                if group >= groups {
                    return fail(format!(
                        "Invalid REGEXP_REPLACE pattern: Rewrite schema requests {group} matches, but the regexp only has {} \
                         parenthesized subexpressions.",
                        groups - 1
                    ));
                }
                out.push(Piece::Group(group));
                out.push(Piece::Text(Vec::new()));
                continue;
            }
            (b'\\', Some(b'\\')) => b'\\',
            (b'\\', _) => {
                return fail(
                    "Invalid REGEXP_REPLACE pattern: Rewrite schema error: '\\' must be followed by a digit or '\\'.",
                );
            }
            (unit, _) => unit,
        };
        if let Some(Piece::Text(text)) = out.last_mut() {
            text.push(literal);
        }
    }
    Ok(out)
}

fn replace(_: &Call, args: &[Value]) -> Result<Value> {
    let too_long = || SqlError::evaluation("REGEXP_REPLACE: exceeded maximum output length");
    let (out, is_bytes) = match any(args, 0) {
        Value::Bytes(text) => {
            let regex = bytes_regex(args)?;
            let pieces = pieces(crate::functions::args::bytes(args, 2)?, regex.captures_len())?;
            let mut out = Vec::with_capacity(text.len());
            let mut last = 0;
            for found in regex.captures_iter(text) {
                let Some(whole) = found.get(0) else { break };
                out.extend_from_slice(&text[last..whole.start()]);
                for piece in &pieces {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text),
                        Piece::Group(group) => {
                            out.extend_from_slice(found.get(*group).map_or(b"", |part| part.as_bytes()))
                        }
                    }
                }
                last = whole.end();
                if out.len() > MAX_OUTPUT * 10 {
                    return Err(too_long());
                }
            }
            out.extend_from_slice(&text[last..]);
            (out, true)
        }
        _ => {
            let text = string(args, 0)?;
            let regex = text_regex(string(args, 1)?)?;
            let pieces = pieces(string(args, 2)?.as_bytes(), regex.captures_len())?;
            let mut out = Vec::with_capacity(text.len());
            let mut last = 0;
            for found in regex.captures_iter(text) {
                let Some(whole) = found.get(0) else { break };
                out.extend_from_slice(&text.as_bytes()[last..whole.start()]);
                for piece in &pieces {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text),
                        Piece::Group(group) => {
                            out.extend_from_slice(
                                found.get(*group).map_or(b"".as_slice(), |part| part.as_str().as_bytes()),
                            );
                        }
                    }
                }
                last = whole.end();
                if out.len() > MAX_OUTPUT * 10 {
                    return Err(too_long());
                }
            }
            out.extend_from_slice(&text.as_bytes()[last..]);
            (out, false)
        }
    };
    Ok(if is_bytes { Value::bytes(out) } else { Value::string(String::from_utf8_lossy(&out)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str, pattern: &str) -> Vec<String> {
        let args = [Value::string(text), Value::string(pattern)];
        let found = spans(&args, 0).expect("matches");
        found
            .into_iter()
            .map(|span| span.group.and_then(|(start, end)| text.get(start..end)).unwrap_or("").to_string())
            .collect()
    }

    #[test]
    fn re2s_syntax_is_kept() {
        assert_eq!(texts("a1b22", "[0-9]+"), ["1", "22"]);
        assert_eq!(texts("ab12cd", "b([0-9])"), ["1"]);
        assert_eq!(texts("x٣3", r"\d"), ["3"]);
        assert_eq!(texts("a[b]", r"[[\]]"), ["[", "]"]);
        assert_eq!(texts("a.c abc", r"\Qa.c\E"), ["a.c"]);
        assert_eq!(texts("a&&b", "[&&]"), ["&", "&"]);
        assert_eq!(texts("]x", "[]]"), ["]"]);
        assert_eq!(text_regex("a(b").unwrap_err().message, "Cannot parse regular expression: missing ): a(b");
    }

    proptest! {
        #[test]
        fn no_pattern_panics(text in "\\PC{0,8}", pattern in r"[\[\]\\QEdwsbD()*+?{}|^$a-c0-9é&~:-]{0,10}") {
            let args = [Value::string(&text), Value::string(&pattern)];
            let _ = spans(&args, 0);
        }
    }
}
