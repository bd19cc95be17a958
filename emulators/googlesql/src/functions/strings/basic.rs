//! Length, case, trimming, padding, repetition, concatenation and single characters.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use crate::cast::to_text;
use crate::error::Result;
use crate::functions::args::{MAX_OUTPUT, any, bytes, check_size, fail, int, optional_string, string};
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("string_functions", "length", "LENGTH", Propagate, ["(STRING) -> INT64", "(BYTES) -> INT64"], length),
    entry!("string_functions", "char_length", "CHAR_LENGTH", Propagate, ["(STRING) -> INT64"], length),
    entry!("string_functions", "character_length", "CHARACTER_LENGTH", Propagate, ["(STRING) -> INT64"], length),
    entry!(
        "string_functions",
        "byte_length",
        "BYTE_LENGTH",
        Propagate,
        ["(STRING) -> INT64", "(BYTES) -> INT64"],
        byte_length
    ),
    entry!(
        "string_functions",
        "octet_length",
        "OCTET_LENGTH",
        Propagate,
        ["(STRING) -> INT64", "(BYTES) -> INT64"],
        byte_length
    ),
    entry!("string_functions", "upper", "UPPER", Propagate, ["(STRING) -> STRING", "(BYTES) -> BYTES"], upper),
    entry!("string_functions", "ucase", "UCASE", Propagate, ["(STRING) -> STRING", "(BYTES) -> BYTES"], upper),
    entry!("string_functions", "lower", "LOWER", Propagate, ["(STRING) -> STRING", "(BYTES) -> BYTES"], lower),
    entry!("string_functions", "lcase", "LCASE", Propagate, ["(STRING) -> STRING", "(BYTES) -> BYTES"], lower),
    entry!("string_functions", "initcap", "INITCAP", Propagate, ["(STRING, [STRING]) -> STRING"], |_, args| {
        const DELIMITERS: &str = "[](){}/|<>!?@\"^#$&~_,.:;*%+-";
        let text = string(args, 0)?;
        let delimiters = optional_string(args, 1)?;
        let is_delimiter = |c: char| match delimiters {
            Some(set) => set.contains(c),
            None => c.is_whitespace() || DELIMITERS.contains(c),
        };
        let mut out = String::with_capacity(text.len());
        let mut start = true;
        for c in text.chars() {
            if is_delimiter(c) {
                start = true;
                out.push(c);
            } else if start {
                start = false;
                out.extend(c.to_uppercase());
            } else {
                out.extend(c.to_lowercase());
            }
        }
        Ok(Value::string(out))
    }),
    entry!(
        "string_functions",
        "concat",
        "CONCAT",
        Propagate,
        ["(STRING, STRING...) -> STRING", "(BYTES, BYTES...) -> BYTES", "~(ANY, ANY...) -> STRING"],
        concat
    ),
    entry!(
        "string_functions",
        "trim",
        "TRIM",
        Propagate,
        ["(STRING, [STRING]) -> STRING", "(BYTES, BYTES) -> BYTES"],
        |_, args| trim(args, true, true)
    ),
    entry!(
        "string_functions",
        "ltrim",
        "LTRIM",
        Propagate,
        ["(STRING, [STRING]) -> STRING", "(BYTES, BYTES) -> BYTES"],
        |_, args| trim(args, true, false)
    ),
    entry!(
        "string_functions",
        "rtrim",
        "RTRIM",
        Propagate,
        ["(STRING, [STRING]) -> STRING", "(BYTES, BYTES) -> BYTES"],
        |_, args| trim(args, false, true)
    ),
    entry!(
        "string_functions",
        "lpad",
        "LPAD",
        Propagate,
        ["(STRING, INT64, [STRING]) -> STRING", "(BYTES, INT64, [BYTES]) -> BYTES"],
        |_, args| pad(args, true)
    ),
    entry!(
        "string_functions",
        "rpad",
        "RPAD",
        Propagate,
        ["(STRING, INT64, [STRING]) -> STRING", "(BYTES, INT64, [BYTES]) -> BYTES"],
        |_, args| pad(args, false)
    ),
    entry!(
        "string_functions",
        "repeat",
        "REPEAT",
        Propagate,
        ["(STRING, INT64) -> STRING", "(BYTES, INT64) -> BYTES"],
        |_, args| {
            let count = int(args, 1)?;
            if count < 0 {
                return fail("Second argument (repeat count) for REPEAT cannot be negative");
            }
            let length = match any(args, 0) {
                Value::Bytes(bytes) => bytes.len(),
                _ => string(args, 0)?.len(),
            };
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if length.saturating_mul(count) > MAX_OUTPUT {
                return fail("Output of REPEAT exceeds max allowed output size of 1MB");
            }
            let count = if length == 0 { 0 } else { count };
            match any(args, 0) {
                Value::Bytes(bytes) => Ok(Value::bytes(bytes.repeat(count))),
                _ => Ok(Value::string(string(args, 0)?.repeat(count))),
            }
        }
    ),
    entry!(
        "string_functions",
        "reverse",
        "REVERSE",
        Propagate,
        ["(STRING) -> STRING", "(BYTES) -> BYTES"],
        |_, args| {
            match any(args, 0) {
                Value::Bytes(bytes) => Ok(Value::bytes(bytes.iter().rev().copied().collect::<Vec<u8>>())),
                _ => Ok(Value::string(string(args, 0)?.chars().rev().collect::<String>())),
            }
        }
    ),
    entry!("string_functions", "ascii", "ASCII", Propagate, ["(STRING) -> INT64", "(BYTES) -> INT64"], |_, args| {
        let first = match any(args, 0) {
            Value::Bytes(bytes) => bytes.first().map_or(0, |byte| u32::from(*byte)),
            _ => string(args, 0)?.chars().next().map_or(0, u32::from),
        };
        if first > 127 {
            return fail(format!("First char of input is not an ASCII char: {first}"));
        }
        Ok(Value::Int64(i64::from(first)))
    }),
    entry!("string_functions", "unicode", "UNICODE", Propagate, ["(STRING) -> INT64"], |_, args| {
        Ok(Value::Int64(string(args, 0)?.chars().next().map_or(0, |c| i64::from(u32::from(c)))))
    }),
    entry!("string_functions", "chr", "CHR", Propagate, ["(INT64) -> STRING"], |_, args| {
        let code = int(args, 0)?;
        match u32::try_from(code).ok().and_then(char::from_u32) {
            Some(c) => Ok(Value::string(c.to_string())),
            None => fail(format!("Invalid codepoint {code}")),
        }
    }),
    entry!("string_functions", "normalize", "NORMALIZE", Propagate, ["(STRING, [STRING]) -> STRING"], |_, args| {
        normalize(string(args, 0)?, optional_string(args, 1)?.unwrap_or("NFC")).map(Value::string)
    }),
    entry!(
        "string_functions",
        "normalize_and_casefold",
        "NORMALIZE_AND_CASEFOLD",
        Propagate,
        ["(STRING, [STRING]) -> STRING"],
        |_, args| {
            let mode = optional_string(args, 1)?.unwrap_or("NFC");
            let folded = casefold(&normalize(string(args, 0)?, mode)?);
            normalize(&folded, mode).map(Value::string)
        }
    ),
    entry!("string_functions", "soundex", "SOUNDEX", Propagate, ["(STRING) -> STRING"], |_, args| {
        Ok(Value::string(soundex(string(args, 0)?)))
    }),
    entry!(
        "string_functions",
        "translate",
        "TRANSLATE",
        Propagate,
        ["(STRING, STRING, STRING) -> STRING", "(BYTES, BYTES, BYTES) -> BYTES"],
        |_, args| match any(args, 0) {
            Value::Bytes(text) => translate(text, bytes(args, 1)?, bytes(args, 2)?).map(Value::bytes),
            _ => {
                let units = |index| string(args, index).map(|text| text.chars().collect::<Vec<char>>());
                let out = translate(&units(0)?, &units(1)?, &units(2)?)?;
                Ok(Value::string(out.into_iter().collect::<String>()))
            }
        }
    ),
    entry!(
        "string_functions",
        "edit_distance",
        "EDIT_DISTANCE",
        Handled,
        ["(STRING, STRING, [max_distance => INT64]) -> INT64", "(BYTES, BYTES, [max_distance => INT64]) -> INT64"],
        |_, args| {
            if any(args, 0).is_null() || any(args, 1).is_null() || args.len() > 2 && any(args, 2).is_null() {
                return Ok(Value::Null);
            }
            let max = if args.len() > 2 { int(args, 2)? } else { i64::MAX };
            if max < 0 {
                return fail("max_distance must be non-negative");
            }
            let distance = match (any(args, 0), any(args, 1)) {
                (Value::Bytes(a), Value::Bytes(b)) => edit_distance(a, b),
                _ => {
                    let units = |index| string(args, index).map(|text| text.chars().collect::<Vec<char>>());
                    edit_distance(&units(0)?, &units(1)?)
                }
            };
            match distance {
                Some(distance) => Ok(Value::Int64(i64::try_from(distance).unwrap_or(i64::MAX).min(max))),
                None => fail("EDIT_DISTANCE exceeds the maximum size of its inputs"),
            }
        }
    ),
];

fn length(_: &Call, args: &[Value]) -> Result<Value> {
    let length = match any(args, 0) {
        Value::Bytes(bytes) => bytes.len(),
        _ => string(args, 0)?.chars().count(),
    };
    Ok(Value::Int64(length as i64))
}

fn byte_length(_: &Call, args: &[Value]) -> Result<Value> {
    let length = match any(args, 0) {
        Value::Bytes(bytes) => bytes.len(),
        _ => string(args, 0)?.len(),
    };
    Ok(Value::Int64(length as i64))
}

fn upper(_: &Call, args: &[Value]) -> Result<Value> {
    match any(args, 0) {
        Value::Bytes(bytes) => Ok(Value::bytes(bytes.to_ascii_uppercase())),
        _ => Ok(Value::string(string(args, 0)?.to_uppercase())),
    }
}

fn lower(_: &Call, args: &[Value]) -> Result<Value> {
    match any(args, 0) {
        Value::Bytes(bytes) => Ok(Value::bytes(bytes.to_ascii_lowercase())),
        _ => Ok(Value::string(string(args, 0)?.to_lowercase())),
    }
}

fn concat(call: &Call, args: &[Value]) -> Result<Value> {
    if matches!(any(args, 0), Value::Bytes(_)) && args.iter().all(|arg| matches!(arg, Value::Bytes(_))) {
        let mut out = Vec::new();
        for index in 0..args.len() {
            let part = bytes(args, index)?;
            check_size("CONCAT", out.len().saturating_add(part.len()))?;
            out.extend_from_slice(part);
        }
        return Ok(Value::bytes(out));
    }
    let mut out = String::new();
    for arg in args {
        match arg {
            Value::String(text) => {
                check_size("CONCAT", out.len().saturating_add(text.len()))?;
                out.push_str(text);
            }
            other => out.push_str(&to_text(other, call.ctx)?),
        }
    }
    Ok(Value::string(out))
}

fn trim(args: &[Value], left: bool, right: bool) -> Result<Value> {
    if let Value::Bytes(text) = any(args, 0) {
        let set = bytes(args, 1)?;
        let mut rest: &[u8] = text;
        while left && rest.first().is_some_and(|byte| set.contains(byte)) {
            rest = &rest[1..];
        }
        while right && rest.last().is_some_and(|byte| set.contains(byte)) {
            rest = &rest[..rest.len() - 1];
        }
        return Ok(Value::bytes(rest));
    }
    let text = string(args, 0)?;
    let set = optional_string(args, 1)?;
    let inside = |c: char| set.map_or(c.is_whitespace(), |set| set.contains(c));
    let text = if left { text.trim_start_matches(inside) } else { text };
    Ok(Value::string(if right { text.trim_end_matches(inside) } else { text }))
}

fn pad(args: &[Value], left: bool) -> Result<Value> {
    let size = int(args, 1)?;
    if size < 0 {
        return fail("Second argument (output size) for LPAD/RPAD cannot be negative");
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > MAX_OUTPUT {
        return fail("Output of LPAD/RPAD exceeds max allowed output size of 1MB");
    }
    if let Value::Bytes(text) = any(args, 0) {
        let pattern = if args.len() > 2 { bytes(args, 2)? } else { b" " };
        return padded(text, size, pattern, left).map(Value::bytes);
    }
    let text: Vec<char> = string(args, 0)?.chars().collect();
    let pattern: Vec<char> = optional_string(args, 2)?.unwrap_or(" ").chars().collect();
    Ok(Value::string(padded(&text, size, &pattern, left)?.into_iter().collect::<String>()))
}

fn padded<T: Copy>(text: &[T], size: usize, pattern: &[T], left: bool) -> Result<Vec<T>> {
    if pattern.is_empty() {
        return fail("Third argument (pad pattern) for LPAD/RPAD cannot be empty");
    }
    if let Some(head) = text.get(..size) {
        return Ok(head.to_vec());
    }
    let fill = pattern.iter().cycle().take(size - text.len()).copied();
    Ok(if left { fill.chain(text.iter().copied()).collect() } else { text.iter().copied().chain(fill).collect() })
}

fn normalize(text: &str, mode: &str) -> Result<String> {
    Ok(match mode.to_ascii_uppercase().as_str() {
        "NFC" => ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned(),
        "NFKC" => ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned(),
        "NFD" => DecomposingNormalizerBorrowed::new_nfd().normalize(text).into_owned(),
        "NFKD" => DecomposingNormalizerBorrowed::new_nfkd().normalize(text).into_owned(),
        _ => return fail(format!("Invalid normalization mode: {mode}")),
    })
}

/// Full case folding: by way of upper case, so that `ß` becomes `ss` and the sigmas meet.
pub(crate) fn casefold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .collect()
}

/// What CONTAINS_SUBSTR and SEARCH compare: NFKC, case folded.
pub(crate) fn search_form(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    casefold(&ComposingNormalizerBorrowed::new_nfkc().normalize(text))
}

fn soundex(text: &str) -> String {
    fn code(c: char) -> Option<char> {
        Some(match c.to_ascii_uppercase() {
            'B' | 'F' | 'P' | 'V' => '1',
            'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
            'D' | 'T' => '3',
            'L' => '4',
            'M' | 'N' => '5',
            'R' => '6',
            _ => return None,
        })
    }
    let mut letters = text.chars().filter(char::is_ascii_alphabetic);
    let Some(first) = letters.next() else { return String::new() };
    let mut out = String::from(first);
    let mut last = code(first);
    for c in letters {
        // What has no code does not separate equal codes, vowels neither.
        let Some(digit) = code(c) else { continue };
        if last != Some(digit) {
            out.push(digit);
        }
        last = Some(digit);
        if out.len() == 4 {
            break;
        }
    }
    format!("{out:0<4}")
}

fn translate<T: Copy + PartialEq + std::fmt::Debug>(text: &[T], from: &[T], to: &[T]) -> Result<Vec<T>> {
    for (index, unit) in from.iter().enumerate() {
        if from[..index].contains(unit) {
            return fail(format!("Duplicate character {unit:?} in TRANSLATE source characters"));
        }
    }
    Ok(text
        .iter()
        .filter_map(|unit| match from.iter().position(|known| known == unit) {
            None => Some(*unit),
            Some(index) => to.get(index).copied(),
        })
        .collect())
}

/// Levenshtein's distance; `None` where the inputs are too long for it.
fn edit_distance<T: PartialEq>(a: &[T], b: &[T]) -> Option<usize> {
    if a.len().saturating_mul(b.len()) > 100_000_000 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, unit) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(unit != other);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_algorithms() {
        assert_eq!(soundex("Robert"), "R163");
        assert_eq!(soundex("Ashcraft"), "A261");
        assert_eq!(soundex("123"), "");
        assert_eq!(edit_distance(b"kitten", b"sitting"), Some(3));
        assert_eq!(casefold("Straße ΣΑΣ"), "strasse σασ");
        assert_eq!(padded(b"abc", 10, b"-*=", false).expect("pads"), b"abc-*=-*=-");
        assert_eq!(translate(b"hello", b"el", b"ip").expect("translates"), b"hippo");
    }
}
