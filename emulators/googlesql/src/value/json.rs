//! The JSON type's values: parsing, printing, numbers kept as they were written, objects sorted by key.

use std::collections::BTreeMap;
use std::fmt;

use crate::value::float;

/// A JSON value. BigQuery keeps integers of 64 bits exact and objects in key order.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// What to do with a number that FLOAT64 cannot hold exactly: PARSE_JSON's `wide_number_mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WideNumbers {
    /// Refuse it.
    Exact,
    /// Take the nearest FLOAT64.
    Round,
}

/// BigQuery refuses deeper nesting.
pub const MAX_DEPTH: usize = 500;

/// Parses one JSON text. The error is what follows `Invalid input to PARSE_JSON: ` or the like.
pub fn parse(text: &str, numbers: WideNumbers) -> Result<Json, String> {
    let mut parser = Parser { bytes: text.as_bytes(), at: 0, text, numbers };
    let value = parser.value(0)?;
    parser.blank();
    if parser.at < parser.bytes.len() {
        return Err(parser.fail("unexpected text after the value"));
    }
    Ok(value)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    text: &'a str,
    numbers: WideNumbers,
}

impl Parser<'_> {
    fn blank(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fail(&self, what: &str) -> String {
        if self.at >= self.bytes.len() {
            "syntax error while parsing value - unexpected end of input".into()
        } else {
            format!("syntax error while parsing value - {what} at offset {}", self.at)
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > MAX_DEPTH {
            return Err(format!("Max nesting of {MAX_DEPTH} has been exceeded while parsing JSON document"));
        }
        self.blank();
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
                    if self.bytes[self.at.min(self.bytes.len())..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fail("invalid literal"))
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blank();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.fail("expected ',' or ']'")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut fields = BTreeMap::new();
        self.blank();
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(Json::Object(fields));
        }
        loop {
            self.blank();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.fail("expected a string as key"));
            }
            let key = self.string()?;
            self.blank();
            if self.bytes.get(self.at) != Some(&b':') {
                return Err(self.fail("expected ':'"));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            // Of duplicate keys the first counts.
            fields.entry(key).or_insert(value);
            self.blank();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(fields));
                }
                _ => return Err(self.fail("expected ',' or '}'")),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        let mut start = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.fail("unterminated string")),
                Some(b'"') => {
                    out.push_str(self.text.get(start..self.at).unwrap_or_default());
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(self.text.get(start..self.at).unwrap_or_default());
                    self.at += 1;
                    self.escape(&mut out)?;
                    start = self.at;
                }
                Some(byte) if *byte < 0x20 => return Err(self.fail("control character in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), String> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        out.push(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.hex4()?;
                let code = if (0xD800..0xDC00).contains(&first) {
                    if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                        return Err(self.fail("lone surrogate"));
                    }
                    self.at += 2;
                    let second = self.hex4()?;
                    if !(0xDC00..0xE000).contains(&second) {
                        return Err(self.fail("lone surrogate"));
                    }
                    0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.fail("lone surrogate"))?
            }
            _ => return Err(self.fail("invalid escape")),
        });
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.fail("invalid \\u escape"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Json, String> {
        let start = self.at;
        let digits = |parser: &mut Self| {
            let from = parser.at;
            while matches!(parser.bytes.get(parser.at), Some(b'0'..=b'9')) {
                parser.at += 1;
            }
            parser.at > from
        };
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else if !digits(self) {
            return Err(self.fail("invalid number"));
        }
        let mut integer = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            if !digits(self) {
                return Err(self.fail("invalid number"));
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !digits(self) {
                return Err(self.fail("invalid number"));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if integer {
            if text == "-0" {
                return Ok(Json::Float(-0.0));
            }
            if let Ok(value) = text.parse::<i64>() {
                return Ok(Json::Int(value));
            }
            if let Ok(value) = text.parse::<u64>() {
                return Ok(Json::Uint(value));
            }
        }
        number_from_decimal(text, self.numbers)
    }
}

/// The FLOAT64 for a decimal text, under `numbers`' rule.
fn number_from_decimal(text: &str, numbers: WideNumbers) -> Result<Json, String> {
    let refuse = || format!("Input number: {text} cannot round-trip through string representation");
    let value: f64 = text.parse().map_err(|_| refuse())?;
    if !value.is_finite() {
        return Err(refuse());
    }
    if numbers == WideNumbers::Exact
        && !same_decimal(text, &float::general(value, 17, false))
        && !same_decimal(text, &print_float(value))
    {
        return Err(refuse());
    }
    Ok(Json::Float(value))
}

/// Whether two decimal texts denote the same number.
fn same_decimal(a: &str, b: &str) -> bool {
    fn normal(text: &str) -> (bool, String, i64) {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent = exponent.parse::<i64>().unwrap_or(0);
        let digits = format!("{whole}{fraction}");
        let trimmed = digits.trim_end_matches('0');
        let exponent = exponent - fraction.len() as i64 + (digits.len() - trimmed.len()) as i64;
        let trimmed = trimmed.trim_start_matches('0');
        if trimmed.is_empty() { (negative, String::new(), 0) } else { (negative, trimmed.to_string(), exponent) }
    }
    normal(a) == normal(b)
}

/// A JSON number's text of a FLOAT64: shortest that reads back, with `.0` where it is whole.
pub fn print_float(value: f64) -> String {
    if !value.is_finite() {
        return "null".into();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-5..15).contains(&exponent) {
        let text = format!("{value}");
        if text.contains('.') { text } else { format!("{text}.0") }
    } else {
        format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

/// `text` between quotes, escaped as TO_JSON_STRING does.
pub fn quote_into(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl Json {
    /// `null`, `boolean`, `number`, `string`, `array` or `object`: what JSON_TYPE says.
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Int(_) | Json::Uint(_) | Json::Float(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// The compact text appended to `out`.
    pub fn print(&self, out: &mut String) {
        self.print_with(out, None, 0);
    }

    /// With line breaks and two spaces a level, as `TO_JSON_STRING(x, TRUE)`.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.print_with(&mut out, Some(2), 0);
        out
    }

    fn print_with(&self, out: &mut String, indent: Option<usize>, level: usize) {
        let line = |out: &mut String, level: usize| {
            if let Some(width) = indent {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', width * level));
            }
        };
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Int(value) => out.push_str(&value.to_string()),
            Json::Uint(value) => out.push_str(&value.to_string()),
            Json::Float(value) => out.push_str(&print_float(*value)),
            Json::String(value) => quote_into(value, out),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    line(out, level + 1);
                    item.print_with(out, indent, level + 1);
                }
                if !items.is_empty() {
                    line(out, level);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    line(out, level + 1);
                    quote_into(key, out);
                    out.push_str(if indent.is_some() { ": " } else { ":" });
                    value.print_with(out, indent, level + 1);
                }
                if !fields.is_empty() {
                    line(out, level);
                }
                out.push('}');
            }
        }
    }
}

/// The compact text.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.print(&mut out);
        f.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(text: &str) -> Result<String, String> {
        parse(text, WideNumbers::Exact).map(|json| json.to_string())
    }

    #[test]
    fn texts_come_back_compact_and_sorted() {
        assert_eq!(
            round(r#" {"b": [1, 2.50, "x\u00e9\n"], "a": null, "b": 3} "#).expect("JSON"),
            r#"{"a":null,"b":[1,2.5,"xé\n"]}"#
        );
        assert_eq!(round("1e100").expect("JSON"), "1e+100");
        assert_eq!(round("18446744073709551615").expect("JSON"), "18446744073709551615");
        assert_eq!(round("1.0").expect("JSON"), "1.0");
        for bad in ["", "{", "[1,]", "nul", "01", "1.", "\"\\ud800\"", "1 2", "{\"a\" 1}"] {
            assert!(round(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wide_numbers_are_refused_or_rounded() {
        let wide = "123456789012345678901234567890";
        assert!(round(wide).is_err());
        assert!(parse(wide, WideNumbers::Round).is_ok());
        assert!(parse("0.1", WideNumbers::Exact).is_ok());
        assert!(parse("1e999", WideNumbers::Round).is_err());
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        assert!(round(&"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = round(&text);
        }

        #[test]
        fn what_was_printed_parses_to_the_same(text in r#"[\[\]{}:,"a0-9.e\\u ]{0,20}"#) {
            if let Ok(json) = parse(&text, WideNumbers::Round) {
                prop_assert_eq!(parse(&json.to_string(), WideNumbers::Round), Ok(json));
            }
        }
    }
}
