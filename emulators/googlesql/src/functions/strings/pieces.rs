//! Parts of strings: SUBSTR, LEFT, RIGHT, SPLIT, REPLACE, positions, prefixes.

use crate::error::Result;
use crate::functions::args::{MAX_OUTPUT, any, bytes, fail, int, string};
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "string_functions",
        "substr",
        "SUBSTR",
        Propagate,
        ["(STRING, INT64, [INT64]) -> STRING", "(BYTES, INT64, [INT64]) -> BYTES"],
        |call, args| substr("SUBSTR", call, args)
    ),
    entry!(
        "string_functions",
        "substring",
        "SUBSTRING",
        Propagate,
        ["(STRING, INT64, [INT64]) -> STRING", "(BYTES, INT64, [INT64]) -> BYTES"],
        |call, args| substr("SUBSTRING", call, args)
    ),
    entry!(
        "string_functions",
        "left",
        "LEFT",
        Propagate,
        ["(STRING, INT64) -> STRING", "(BYTES, INT64) -> BYTES"],
        |_, args| edge("LEFT", args)
    ),
    entry!(
        "string_functions",
        "right",
        "RIGHT",
        Propagate,
        ["(STRING, INT64) -> STRING", "(BYTES, INT64) -> BYTES"],
        |_, args| edge("RIGHT", args)
    ),
    entry!(
        "string_functions",
        "split",
        "SPLIT",
        Propagate,
        ["(STRING, [STRING]) -> ARRAY<STRING>", "(BYTES, BYTES) -> ARRAY<BYTES>"],
        split
    ),
    entry!(
        "string_functions",
        "split_substr",
        "SPLIT_SUBSTR",
        Propagate,
        ["(STRING, STRING, INT64, [INT64]) -> STRING"],
        split_substr
    ),
    entry!(
        "string_functions",
        "replace",
        "REPLACE",
        Propagate,
        ["(STRING, STRING, STRING) -> STRING", "(BYTES, BYTES, BYTES) -> BYTES"],
        |_, args| {
            if let Value::Bytes(text) = any(args, 0) {
                return replace_bytes(text, bytes(args, 1)?, bytes(args, 2)?).map(Value::bytes);
            }
            let out =
                replace_bytes(string(args, 0)?.as_bytes(), string(args, 1)?.as_bytes(), string(args, 2)?.as_bytes())?;
            Ok(Value::string(String::from_utf8_lossy(&out)))
        }
    ),
    entry!(
        "string_functions",
        "starts_with",
        "STARTS_WITH",
        Propagate,
        ["(STRING, STRING) -> BOOL", "(BYTES, BYTES) -> BOOL"],
        |_, args| Ok(Value::Bool(units(args, 0)?.starts_with(units(args, 1)?)))
    ),
    entry!(
        "string_functions",
        "ends_with",
        "ENDS_WITH",
        Propagate,
        ["(STRING, STRING) -> BOOL", "(BYTES, BYTES) -> BOOL"],
        |_, args| Ok(Value::Bool(units(args, 0)?.ends_with(units(args, 1)?)))
    ),
    entry!(
        "string_functions",
        "strpos",
        "STRPOS",
        Propagate,
        ["(STRING, STRING) -> INT64", "(BYTES, BYTES) -> INT64"],
        |_, args| {
            let (text, part) = (units(args, 0)?, units(args, 1)?);
            let Some(at) = find(text, part, 0) else { return Ok(Value::Int64(0)) };
            Ok(Value::Int64(match any(args, 0) {
                Value::Bytes(_) => at as i64 + 1,
                _ => string(args, 0)?.get(..at).map_or(0, |head| head.chars().count()) as i64 + 1,
            }))
        }
    ),
    entry!(
        "string_functions",
        "instr",
        "INSTR",
        Propagate,
        ["(STRING, STRING, [INT64], [INT64]) -> INT64", "(BYTES, BYTES, [INT64], [INT64]) -> INT64"],
        instr
    ),
];

/// The bytes of a STRING or BYTES argument.
fn units(args: &[Value], index: usize) -> Result<&[u8]> {
    match any(args, index) {
        Value::Bytes(bytes) => Ok(bytes),
        _ => string(args, index).map(str::as_bytes),
    }
}

fn find(text: &[u8], part: &[u8], from: usize) -> Option<usize> {
    if part.is_empty() {
        return (from <= text.len()).then_some(from);
    }
    text.get(from..)?.windows(part.len()).position(|window| window == part).map(|at| at + from)
}

/// Start and end, in units, of SUBSTR(position, length) over `total` units.
fn window(total: usize, position: i64, length: i64) -> (usize, usize) {
    let total = total as i64;
    let start = match position {
        0 => 0,
        position if position > 0 => (position - 1).min(total),
        position => total.saturating_add(position).max(0),
    };
    (start as usize, start.saturating_add(length).min(total) as usize)
}

fn substr(name: &str, _: &Call, args: &[Value]) -> Result<Value> {
    let position = int(args, 1)?;
    let length = if args.len() > 2 { int(args, 2)? } else { i64::MAX };
    if length < 0 {
        return fail(format!("Third argument in {name}() cannot be negative"));
    }
    if let Value::Bytes(bytes) = any(args, 0) {
        let (start, end) = window(bytes.len(), position, length);
        return Ok(Value::bytes(bytes.get(start..end).unwrap_or_default()));
    }
    let text = string(args, 0)?;
    if text.is_ascii() {
        let (start, end) = window(text.len(), position, length);
        return Ok(Value::string(text.get(start..end).unwrap_or_default()));
    }
    let (start, end) = window(text.chars().count(), position, length);
    Ok(Value::string(text.chars().skip(start).take(end.saturating_sub(start)).collect::<String>()))
}

fn edge(name: &str, args: &[Value]) -> Result<Value> {
    let count = int(args, 1)?;
    if count < 0 {
        return fail(format!("Second argument in {name}() cannot be negative"));
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if let Value::Bytes(bytes) = any(args, 0) {
        let count = count.min(bytes.len());
        return Ok(Value::bytes(if name == "LEFT" { &bytes[..count] } else { &bytes[bytes.len() - count..] }));
    }
    let text = string(args, 0)?;
    let total = text.chars().count();
    Ok(Value::string(if name == "LEFT" {
        text.chars().take(count).collect::<String>()
    } else {
        text.chars().skip(total.saturating_sub(count)).collect::<String>()
    }))
}

fn split(_: &Call, args: &[Value]) -> Result<Value> {
    if let Value::Bytes(text) = any(args, 0) {
        let delimiter = bytes(args, 1)?;
        if delimiter.is_empty() {
            let items: Vec<Value> = text.iter().map(|byte| Value::bytes([*byte])).collect();
            return Ok(Value::array(if items.is_empty() { vec![Value::bytes([])] } else { items }));
        }
        let mut items = Vec::new();
        let mut start = 0;
        while let Some(at) = find(text, delimiter, start) {
            items.push(Value::bytes(&text[start..at]));
            start = at + delimiter.len();
        }
        items.push(Value::bytes(&text[start..]));
        return Ok(Value::array(items));
    }
    let text = string(args, 0)?;
    let delimiter = if args.len() > 1 { string(args, 1)? } else { "," };
    Ok(Value::array(split_text(text, delimiter).into_iter().map(Value::string).collect()))
}

fn split_text<'a>(text: &'a str, delimiter: &str) -> Vec<&'a str> {
    if delimiter.is_empty() && !text.is_empty() {
        return text.char_indices().filter_map(|(at, c)| text.get(at..at + c.len_utf8())).collect();
    }
    if delimiter.is_empty() {
        return vec![""];
    }
    text.split(delimiter).collect()
}

/// Pieces `start` to `start + count`, still joined by the delimiter; positions count from 1, or from the end.
fn split_substr(_: &Call, args: &[Value]) -> Result<Value> {
    let (text, delimiter) = (string(args, 0)?, string(args, 1)?);
    let (start, count) = (int(args, 2)?, if args.len() > 3 { int(args, 3)? } else { i64::MAX });
    if delimiter.is_empty() {
        return fail("SPLIT_SUBSTR does not support empty delimiter");
    }
    if count < 0 {
        return fail("SPLIT_SUBSTR does not support negative count");
    }
    let pieces = split_text(text, delimiter);
    let (from, to) = window(pieces.len(), start, count);
    Ok(Value::string(pieces.get(from..to).unwrap_or_default().join(delimiter)))
}

fn replace_bytes(text: &[u8], from: &[u8], to: &[u8]) -> Result<Vec<u8>> {
    if from.is_empty() {
        return Ok(text.to_vec());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut start = 0;
    while let Some(at) = find(text, from, start) {
        out.extend_from_slice(&text[start..at]);
        out.extend_from_slice(to);
        start = at + from.len();
        if out.len() > MAX_OUTPUT * 10 {
            return fail("REPLACE: exceeded maximum output length");
        }
    }
    out.extend_from_slice(&text[start..]);
    Ok(out)
}

fn instr(_: &Call, args: &[Value]) -> Result<Value> {
    let position = if args.len() > 2 { int(args, 2)? } else { 1 };
    let occurrence = if args.len() > 3 { int(args, 3)? } else { 1 };
    if position == 0 {
        return fail("Third argument (position) for INSTR cannot be 0");
    }
    if occurrence <= 0 {
        return fail("Fourth argument (occurrence) for INSTR must be positive");
    }
    let found = match (any(args, 0), any(args, 1)) {
        (Value::Bytes(text), Value::Bytes(part)) => nth(text, part, position, occurrence),
        _ => {
            let units = |index| string(args, index).map(|text| text.chars().collect::<Vec<char>>());
            nth(&units(0)?, &units(1)?, position, occurrence)
        }
    };
    Ok(Value::Int64(found.map_or(0, |at| at as i64 + 1)))
}

/// Where the n-th occurrence begins, counted from a position, backwards where that is negative.
fn nth<T: PartialEq>(text: &[T], part: &[T], position: i64, occurrence: i64) -> Option<usize> {
    if part.is_empty() || part.len() > text.len() {
        return None;
    }
    let last = text.len() - part.len();
    let matches = |at: &usize| text[*at..*at + part.len()] == *part;
    let skip = usize::try_from(occurrence - 1).ok()?;
    if position > 0 {
        let start = usize::try_from(position - 1).ok()?;
        (start..=last).filter(matches).nth(skip)
    } else {
        let back = usize::try_from(position.unsigned_abs()).ok()?;
        let start = text.len().checked_sub(back)?.min(last);
        (0..=start).rev().filter(matches).nth(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_count_from_either_end() {
        let part = |position, length| {
            let (start, end) = window(6, position, length);
            "abcdef".get(start..end).unwrap_or_default()
        };
        assert_eq!((part(2, 3), part(-2, 9), part(0, 1), part(-9, 2), part(9, 1)), ("bcd", "ef", "a", "ab", ""));
        assert_eq!(part(i64::MIN, i64::MAX), "abcdef");
    }

    #[test]
    fn occurrences_are_counted_from_a_position() {
        assert_eq!(nth(b"banana", b"an", 1, 2), Some(3));
        assert_eq!(nth(b"banana", b"an", -1, 1), Some(3));
        assert_eq!(nth(b"banana", b"an", -3, 2), Some(1));
        assert_eq!(nth(b"banana", b"an", 5, 1), None);
        assert_eq!(nth(b"banana", b"an", i64::MIN, 1), None);
    }
}
