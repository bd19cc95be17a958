//! Strings and bytes. Positions and lengths count characters (code points).

use std::ops::RangeInclusive;
use std::sync::Arc;

use regex::Regex;

use super::{Call, Failure, MANY, MOST_BYTES, Plain, check_size};
use crate::value::Value;

pub(super) fn plain(name: &str) -> Option<(Plain, RangeInclusive<usize>)> {
    Some(match name {
        "char_length" => (char_length, 1..=1),
        "byte_length" => (byte_length, 1..=1),
        "like" => (like, 2..=2),
        "regex_contains" => (regex_contains, 2..=2),
        "regex_match" => (regex_match, 2..=2),
        "regex_find" => (regex_find, 2..=2),
        "regex_find_all" => (regex_find_all, 2..=2),
        "string_contains" => (contains, 2..=2),
        "starts_with" => (starts_with, 2..=2),
        "ends_with" => (ends_with, 2..=2),
        "string_concat" => (concat, 1..=MANY),
        "to_lower" => (to_lower, 1..=1),
        "to_upper" => (to_upper, 1..=1),
        "trim" => (|call: &Call<'_>| trim(call, true, true), 1..=2),
        "ltrim" => (|call: &Call<'_>| trim(call, true, false), 1..=2),
        "rtrim" => (|call: &Call<'_>| trim(call, false, true), 1..=2),
        "string_reverse" => (reverse, 1..=1),
        "substring" => (substring, 2..=3),
        "split" => (split, 1..=2),
        "string_repeat" => (repeat, 2..=2),
        "string_replace_all" => (|call: &Call<'_>| replace(call, false), 3..=3),
        "string_replace_one" => (|call: &Call<'_>| replace(call, true), 3..=3),
        "string_index_of" => (index_of, 2..=2),
        _ => return None,
    })
}

fn count(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

fn char_length(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(count(call.text(0)?.chars().count()))
}

fn byte_length(call: &Call<'_>) -> Result<Value, Failure> {
    match call.get(0)? {
        Value::String(text) => Ok(count(text.len())),
        Value::Bytes(bytes) => Ok(count(bytes.len())),
        _ => Err(call.wrong(0, "string or bytes")),
    }
}

/// `%` stands for any characters, `_` for one, `\` takes the next as it is.
fn like(call: &Call<'_>) -> Result<Value, Failure> {
    let mut pattern = String::from("(?s)^");
    let mut characters = call.text(1)?.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => pattern.push_str(".*"),
            '_' => pattern.push('.'),
            '\\' => {
                let next = characters.next().ok_or_else(|| call.failed("the pattern ends with a backslash"))?;
                pattern.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
            }
            other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    Ok(Value::Bool(compile(call, &pattern)?.is_match(call.text(0)?)))
}

fn compile(call: &Call<'_>, pattern: &str) -> Result<Regex, Failure> {
    let builder = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
    builder.map_err(|_| call.failed("the regular expression is not valid"))
}

fn regex_contains(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(compile(call, call.text(1)?)?.is_match(call.text(0)?)))
}

/// The whole string has to match.
fn regex_match(call: &Call<'_>) -> Result<Value, Failure> {
    let whole = compile(call, &format!("^(?:{})$", call.text(1)?))?;
    Ok(Value::Bool(whole.is_match(call.text(0)?)))
}

/// What was found: the only group where the expression has one, else all of the match.
fn found(expression: &Regex, captures: &regex::Captures<'_>) -> Value {
    let group = usize::from(expression.captures_len() == 2);
    captures.get(group).map_or(Value::Null, |part| Value::string(part.as_str()))
}

fn groups(call: &Call<'_>) -> Result<Regex, Failure> {
    let expression = compile(call, call.text(1)?)?;
    if expression.captures_len() > 2 {
        return Err(call.failed("the regular expression has more than one group"));
    }
    Ok(expression)
}

fn regex_find(call: &Call<'_>) -> Result<Value, Failure> {
    let expression = groups(call)?;
    Ok(expression.captures(call.text(0)?).map_or(Value::Null, |captures| found(&expression, &captures)))
}

fn regex_find_all(call: &Call<'_>) -> Result<Value, Failure> {
    let expression = groups(call)?;
    let all = expression.captures_iter(call.text(0)?).map(|captures| found(&expression, &captures));
    Ok(Value::array(all.collect()))
}

fn contains(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(call.text(0)?.contains(call.text(1)?)))
}

fn starts_with(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(call.text(0)?.starts_with(call.text(1)?)))
}

fn ends_with(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(call.text(0)?.ends_with(call.text(1)?)))
}

pub(super) fn concat(call: &Call<'_>) -> Result<Value, Failure> {
    let mut all = String::new();
    for at in 0..call.arguments.len() {
        all.push_str(call.text(at)?);
        check_size(call, all.len())?;
    }
    Ok(Value::string(&all))
}

fn to_lower(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::string(&call.text(0)?.to_lowercase()))
}

fn to_upper(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::string(&call.text(0)?.to_uppercase()))
}

/// White space, or the characters (bytes) of the second argument.
fn trim(call: &Call<'_>, left: bool, right: bool) -> Result<Value, Failure> {
    if let Value::Bytes(bytes) = call.get(0)? {
        let unwanted: &[u8] = match call.arguments.get(1) {
            None => b" \t\r\n",
            Some(Value::Bytes(unwanted)) => unwanted,
            Some(_) => return Err(call.wrong(1, "bytes")),
        };
        let is_kept = |byte: &u8| !unwanted.contains(byte);
        let from = if left { bytes.iter().position(is_kept).unwrap_or(bytes.len()) } else { 0 };
        let to = if right { bytes.iter().rposition(is_kept).map_or(from, |last| last + 1) } else { bytes.len() };
        return Ok(Value::Bytes(Arc::from(bytes.get(from..to.max(from)).unwrap_or_default())));
    }
    let unwanted: Option<Vec<char>> = match call.arguments.get(1) {
        None => None,
        Some(_) => Some(call.text(1)?.chars().collect()),
    };
    let goes = |character: char| match &unwanted {
        None => character.is_whitespace(),
        Some(unwanted) => unwanted.contains(&character),
    };
    let mut text = call.text(0)?;
    if left {
        text = text.trim_start_matches(goes);
    }
    if right {
        text = text.trim_end_matches(goes);
    }
    Ok(Value::string(text))
}

fn reverse(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::string(&call.text(0)?.chars().rev().collect::<String>()))
}

/// From a position counted from zero, or from the end where it is negative.
fn substring(call: &Call<'_>) -> Result<Value, Failure> {
    let position = call.int(1)?;
    let length = match call.arguments.len() {
        3 => usize::try_from(call.int(2)?).map_err(|_| call.failed("the length is negative"))?,
        _ => usize::MAX,
    };
    let from = |whole: usize| {
        let whole = i64::try_from(whole).unwrap_or(i64::MAX);
        let from = if position < 0 { whole.saturating_add(position).max(0) } else { position };
        usize::try_from(from).unwrap_or(usize::MAX)
    };
    match call.get(0)? {
        Value::Bytes(bytes) => Ok(Value::Bytes(bytes.iter().skip(from(bytes.len())).take(length).copied().collect())),
        _ => {
            let text = call.text(0)?;
            let part: String = text.chars().skip(from(text.chars().count())).take(length).collect();
            Ok(Value::string(&part))
        }
    }
}

/// By a comma where no delimiter is given; by none into characters.
fn split(call: &Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    let delimiter = if call.arguments.len() > 1 { call.text(1)? } else { "," };
    if delimiter.is_empty() {
        let characters = text.chars().map(|character| Value::string(character.encode_utf8(&mut [0; 4])));
        return Ok(Value::array(characters.collect()));
    }
    Ok(Value::array(text.split(delimiter).map(Value::string).collect()))
}

fn repeat(call: &Call<'_>) -> Result<Value, Failure> {
    let times = usize::try_from(call.int(1)?).map_err(|_| call.failed("the count is negative"))?;
    match call.get(0)? {
        Value::Bytes(bytes) => {
            check_size(call, bytes.len().checked_mul(times).unwrap_or(MOST_BYTES + 1))?;
            Ok(Value::Bytes(Arc::from(bytes.repeat(times))))
        }
        _ => {
            let text = call.text(0)?;
            check_size(call, text.len().checked_mul(times).unwrap_or(MOST_BYTES + 1))?;
            Ok(Value::string(&text.repeat(times)))
        }
    }
}

fn replace(call: &Call<'_>, once: bool) -> Result<Value, Failure> {
    let (text, find, with) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if find.is_empty() {
        return Ok(Value::string(text));
    }
    let most = if once { 1 } else { text.matches(find).count() };
    check_size(call, text.len().saturating_add(with.len().saturating_mul(most)))?;
    Ok(Value::string(&text.replacen(find, with, most)))
}

/// The first position, counted in characters; -1 where there is none.
fn index_of(call: &Call<'_>) -> Result<Value, Failure> {
    let (text, wanted) = (call.text(0)?, call.text(1)?);
    let before = text.find(wanted).and_then(|at| text.get(..at));
    Ok(before.map_or(Value::Int(-1), |before| count(before.chars().count())))
}
