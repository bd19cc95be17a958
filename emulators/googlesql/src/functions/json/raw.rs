//! A JSON text taken apart without changing it: keys in their order, numbers as they were written.
//!
//! As lenient as GoogleSQL's reader of JSON texts: single quotes, commas before a closing bracket, nothing between
//! commas.
//!
//! The functions over STRING answer with pieces of their input, so they must not sort or round.

use crate::functions::json::path::Step;
use crate::value::json::{MAX_DEPTH, quote_into};

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Raw {
    Null,
    Bool(bool),
    /// Its text.
    Number(String),
    String(String),
    Array(Vec<Raw>),
    Object(Vec<(String, Raw)>),
}

impl Raw {
    /// What is at the path. As in GoogleSQL's own reader, the text behind it is not looked at: it need not be JSON.
    pub(crate) fn find(text: &str, steps: &[Step]) -> Option<Raw> {
        Reader { text, at: 0 }.find(steps, 0)
    }

    pub(crate) fn print(&self, out: &mut String) {
        match self {
            Raw::Null => out.push_str("null"),
            Raw::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Raw::Number(text) => out.push_str(text),
            Raw::String(text) => quote_into(text, out),
            Raw::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.print(out);
                }
                out.push(']');
            }
            Raw::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote_into(key, out);
                    out.push(':');
                    value.print(out);
                }
                out.push('}');
            }
        }
    }

    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        self.print(&mut out);
        out
    }

    /// The text of a scalar; `None` for null, arrays and objects.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Raw::Bool(value) => Some(value.to_string()),
            Raw::Number(text) | Raw::String(text) => Some(text.clone()),
            _ => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        self.blank();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn find(&mut self, steps: &[Step], depth: usize) -> Option<Raw> {
        let Some((step, rest)) = steps.split_first() else { return self.value(depth) };
        if depth > MAX_DEPTH {
            return None;
        }
        match step {
            Step::Nowhere => None,
            Step::Key(wanted) => {
                self.eat(b'{')?;
                loop {
                    self.blank();
                    let key = self.string()?;
                    self.eat(b':')?;
                    if key == *wanted {
                        let start = self.at;
                        if let Some(found) = self.find(rest, depth + 1) {
                            return Some(found);
                        }
                        self.at = start;
                    }
                    self.value(depth + 1)?;
                    self.eat(b',')?;
                }
            }
            Step::Index(wanted) => {
                self.eat(b'[')?;
                for _ in 0..*wanted {
                    self.element(depth + 1)?;
                    self.eat(b',')?;
                }
                self.find(rest, depth + 1)
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Raw> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blank();
        match self.peek()? {
            b'{' => {
                self.at += 1;
                let mut fields = Vec::new();
                self.blank();
                if self.eat(b'}').is_some() {
                    return Some(Raw::Object(fields));
                }
                loop {
                    self.blank();
                    let key = self.string()?;
                    self.eat(b':')?;
                    fields.push((key, self.value(depth + 1)?));
                    let more = self.eat(b',').is_some();
                    if self.eat(b'}').is_some() {
                        return Some(Raw::Object(fields));
                    }
                    more.then_some(())?;
                }
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                if self.eat(b']').is_some() {
                    return Some(Raw::Array(items));
                }
                loop {
                    items.push(self.element(depth + 1)?);
                    let more = self.eat(b',').is_some();
                    if self.eat(b']').is_some() {
                        return Some(Raw::Array(items));
                    }
                    more.then_some(())?;
                }
            }
            b'"' | b'\'' => self.string().map(Raw::String),
            b'-' | b'0'..=b'9' => {
                let start = self.at;
                self.at += usize::from(self.peek() == Some(b'-'));
                if self.peek() == Some(b'0') {
                    self.at += 1;
                } else {
                    self.digits()?;
                }
                if self.peek() == Some(b'.') {
                    self.at += 1;
                    self.digits()?;
                }
                if matches!(self.peek(), Some(b'e' | b'E')) {
                    self.at += 1;
                    self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
                    self.digits()?;
                }
                self.text.get(start..self.at).map(|text| Raw::Number(text.to_string()))
            }
            _ => {
                for (word, value) in [("null", Raw::Null), ("true", Raw::Bool(true)), ("false", Raw::Bool(false))] {
                    if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
                        self.at += word.len();
                        return Some(value);
                    }
                }
                None
            }
        }
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// An array's element; nothing between commas is null.
    fn element(&mut self, depth: usize) -> Option<Raw> {
        self.blank();
        if self.peek()? == b',' { Some(Raw::Null) } else { self.value(depth) }
    }

    /// In double or single quotes. Escapes that JSON does not know stand for what is behind the backslash.
    fn string(&mut self) -> Option<String> {
        let quote = self.peek().filter(|byte| matches!(byte, b'"' | b'\''))?;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            let length = rest.bytes().position(|byte| byte == quote || byte == b'\\')?;
            out.push_str(rest.get(..length)?);
            self.at += length + 1;
            if rest.as_bytes().get(length) == Some(&quote) {
                return Some(out);
            }
            let escaped = self.text.get(self.at..)?.chars().next()?;
            self.at += escaped.len_utf8();
            out.push(match escaped {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'x' => char::from_u32(self.code(2, 16)?)?,
                '0'..='7' => {
                    self.at -= 1;
                    char::from_u32(self.code(3, 8)?)?
                }
                'u' => {
                    let first = self.code(4, 16)?;
                    let pair = (0xD800..0xDC00).contains(&first)
                        && self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u"));
                    if pair {
                        self.at += 2;
                        let second = self.code(4, 16)?;
                        let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                        char::from_u32(0x10000 + ((first - 0xD800) << 10) + low)?
                    } else {
                        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                }
                other => other,
            });
        }
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<u32> {
        let text =
            self.text.get(self.at..self.at + digits).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += digits;
        u32::from_str_radix(text, radix).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_and_numbers_stay() {
        let text = r#"{ "b" : [1.50, 1e5, "x\u0041"], "a":null }"#;
        assert_eq!(Raw::find(text, &[]).expect("JSON").to_text(), r#"{"b":[1.50,1e5,"xA"],"a":null}"#);
        for bad in ["", "{", "[1", "{\"a\"}", "nul", "[1 2]", "\"\\u12\""] {
            assert_eq!(Raw::find(bad, &[]), None, "{bad}");
        }
    }

    #[test]
    fn a_path_reads_as_far_as_it_must() {
        let at = |text, steps: &[Step]| Raw::find(text, steps).map(|found| found.to_text());
        let key = |name: &str| Step::Key(name.into());
        assert_eq!(at(r#"{"a":{"b":1}, "a":{"c":[7, 8"#, &[key("a"), key("c"), Step::Index(1)]), Some("8".into()));
        assert_eq!(at("[1, 2]", &[Step::Index(2)]), None);
        assert_eq!(at("{}", &[key("a")]), None);
        assert_eq!(at("2024-02-29", &[]), Some("2024".into()));
        assert_eq!(at("{'a': 'it\\'s \\x41\\101\\q',}", &[key("a")]), Some("\"it's AAq\"".into()));
        assert_eq!(at("[1,,2,]", &[]), Some("[1,null,2]".into()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}:,\"\\\\a-c0-9.eé -]{0,20}") {
            let _ = (Raw::find(&text, &[]), Raw::find(&text, &[Step::Key("a".into()), Step::Index(1)]));
        }
    }
}
