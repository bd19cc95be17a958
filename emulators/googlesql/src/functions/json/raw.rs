//! A JSON text taken apart without changing it: keys in their order, numbers as they were written.
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
                    self.value(depth + 1)?;
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
                    if self.eat(b',').is_none() {
                        self.eat(b'}')?;
                        return Some(Raw::Object(fields));
                    }
                }
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                if self.eat(b']').is_some() {
                    return Some(Raw::Array(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    if self.eat(b',').is_none() {
                        self.eat(b']')?;
                        return Some(Raw::Array(items));
                    }
                }
            }
            b'"' => self.string().map(Raw::String),
            b'-' | b'0'..=b'9' => {
                let start = self.at;
                while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
                    self.at += 1;
                }
                let text = self.text.get(start..self.at)?;
                // A number that reads as one; the grammar's finer points do not matter for echoing it.
                text.parse::<f64>().ok()?;
                (!text.ends_with('.') && !text.starts_with("-.")).then(|| Raw::Number(text.to_string()))
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

    fn string(&mut self) -> Option<String> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    break;
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let inner = self.text.get(start + 1..self.at - 1)?;
        if inner.bytes().all(|byte| byte != b'\\' && byte >= 0x20) {
            return Some(inner.to_owned());
        }
        // Escapes are the JSON type's business.
        match crate::value::json::parse(self.text.get(start..self.at)?, crate::value::json::WideNumbers::Round) {
            Ok(crate::value::json::Json::String(text)) => Some(text),
            _ => None,
        }
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
        for bad in ["", "{", "[1,]", "{\"a\"}", "nul"] {
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
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}:,\"\\\\a-c0-9.eé -]{0,20}") {
            let _ = (Raw::find(&text, &[]), Raw::find(&text, &[Step::Key("a".into()), Step::Index(1)]));
        }
    }
}
