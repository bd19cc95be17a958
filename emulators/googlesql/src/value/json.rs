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
    let mut parser = Parser { bytes: text.as_bytes(), at: 0, last: 0, text, numbers };
    let value = parser.value(0)?;
    parser.blank();
    if parser.at < parser.bytes.len() {
        return Err(parser.unexpected("value", Some("end of input")));
    }
    Ok(value)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the last number or string began: what "last read" quotes from.
    last: usize,
    text: &'a str,
    numbers: WideNumbers,
}

/// What may stand where a value is expected.
const A_VALUE: Option<&str> = Some("'[', '{', or a literal");

impl Parser<'_> {
    fn blank(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A token cannot be read; `self.at` is behind what was read of it.
    fn broken(&self, within: &str, what: &str, expected: Option<&str>) -> String {
        let mut end = self.at.min(self.bytes.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let mut read = String::new();
        for c in self.text.get(self.last..end).unwrap_or_default().chars() {
            if (c as u32) < 0x20 {
                read.push_str(&format!("<U+{:04X}>", c as u32));
            } else {
                read.push(c);
            }
        }
        let expected = expected.map_or_else(String::new, |expected| format!("; expected {expected}"));
        format!("syntax error while parsing {within} - {what}; last read: '{read}'{expected}")
    }

    /// A token where another should be. A number or string is read for its own mistakes first.
    fn unexpected(&mut self, within: &str, expected: Option<&str>) -> String {
        let plain = |what: &str| {
            let expected = expected.map_or_else(String::new, |expected| format!("; expected {expected}"));
            format!("syntax error while parsing {within} - unexpected {what}{expected}")
        };
        match self.bytes.get(self.at) {
            None => plain("end of input"),
            Some(byte @ (b'{' | b'}' | b'[' | b']' | b':' | b',')) => plain(&format!("'{}'", char::from(*byte))),
            Some(b'"') => plain("string literal"),
            Some(b'-' | b'0'..=b'9') => plain("number literal"),
            Some(_) => match self.word() {
                Ok(Json::Null) => plain("null literal"),
                Ok(Json::Bool(true)) => plain("true literal"),
                Ok(_) => plain("false literal"),
                Err(()) => self.broken(within, "invalid literal", expected),
            },
        }
    }

    /// `null`, `true`, `false`; otherwise as far as one of them was read.
    fn word(&mut self) -> Result<Json, ()> {
        let first = self.bytes.get(self.at).copied();
        for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
            if first != word.bytes().next() {
                continue;
            }
            for byte in word.bytes() {
                let found = self.bytes.get(self.at).copied();
                self.at += usize::from(found.is_some());
                if found != Some(byte) {
                    return Err(());
                }
            }
            return Ok(value);
        }
        self.at += 1;
        Err(())
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
            None | Some(b'}' | b']' | b':' | b',') => Err(self.unexpected("value", A_VALUE)),
            Some(_) => self.word().map_err(|()| self.broken("value", "invalid literal", None)),
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
                _ => return Err(self.unexpected("array", Some("']'"))),
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
                return Err(self.unexpected("object key", Some("string literal")));
            }
            let key = self.string()?;
            self.blank();
            if self.bytes.get(self.at) != Some(&b':') {
                return Err(self.unexpected("object separator", Some("':'")));
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
                _ => return Err(self.unexpected("object", Some("'}'"))),
            }
        }
    }

    fn bad_string(&self, what: &str) -> String {
        self.broken("value", &format!("invalid string: {what}"), None)
    }

    fn string(&mut self) -> Result<String, String> {
        self.last = self.at;
        self.at += 1;
        let mut out = String::new();
        let mut start = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.bad_string("missing closing quote")),
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
                Some(byte) if *byte < 0x20 => {
                    let text = control(*byte);
                    self.at += 1;
                    return Err(self.bad_string(&text));
                }
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
                let pair = "surrogate U+DC00..U+DFFF must be followed by U+DC00..U+DFFF";
                let first = self.hex4()?;
                let code = if (0xD800..0xDC00).contains(&first) {
                    for wanted in *b"\\u" {
                        let found = self.bytes.get(self.at).copied();
                        self.at += usize::from(found.is_some());
                        if found != Some(wanted) {
                            return Err(self.bad_string(pair));
                        }
                    }
                    let second = self.hex4()?;
                    if !(0xDC00..0xE000).contains(&second) {
                        return Err(self.bad_string(pair));
                    }
                    0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                } else {
                    first
                };
                let lone = "surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF";
                char::from_u32(code).ok_or_else(|| self.bad_string(lone))?
            }
            Some(_) => return Err(self.bad_string("forbidden character after backslash")),
            None => return Err(self.bad_string("missing closing quote")),
        });
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.bad_string("'\\u' must be followed by 4 hex digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Json, String> {
        let start = self.at;
        self.last = start;
        let digits = |parser: &mut Self, before: &str| {
            let from = parser.at;
            while matches!(parser.bytes.get(parser.at), Some(b'0'..=b'9')) {
                parser.at += 1;
            }
            if parser.at > from {
                return Ok(());
            }
            parser.at += usize::from(parser.at < parser.bytes.len());
            Err(parser.broken("value", &format!("invalid number; expected {before}"), None))
        };
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            digits(self, "digit after '-'")?;
        }
        let mut integer = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            digits(self, "digit after '.'")?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
                digits(self, "digit after exponent sign")?;
            } else {
                digits(self, "'+', '-', or digit after exponent")?;
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if integer {
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

/// What is wrong with a control character in a string.
fn control(byte: u8) -> String {
    const NAMES: [&str; 32] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI", "DLE",
        "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
    ];
    let short = match byte {
        8 => " or \\b",
        9 => " or \\t",
        10 => " or \\n",
        12 => " or \\f",
        13 => " or \\r",
        _ => "",
    };
    let name = NAMES.get(usize::from(byte)).copied().unwrap_or_default();
    format!("control character U+{byte:04X} ({name}) must be escaped to \\u{byte:04X}{short}")
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
