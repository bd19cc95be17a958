//! `fields=` and `prettyPrint`: the part of an answer that a client asked for.
//!
//! Answers may be long, so they are cut as text: what is wanted is copied, the rest is stepped over.

use std::collections::BTreeMap;

use super::error::{ApiError, ApiResult};

/// Selections nest at most this deep.
const MAX_DEPTH: usize = 32;

/// What is wanted of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mask {
    Whole,
    /// Of an object these members; of a list, each item's. `*` stands for those that are not named.
    Members(BTreeMap<String, Mask>),
}

impl Mask {
    /// Reads `kind,items(id,status/state),labels/*`.
    pub fn parse(text: &str) -> ApiResult<Mask> {
        let mut rest = text;
        let mut members = BTreeMap::new();
        let read = list(&mut rest, &mut members, 0).is_some() && rest.is_empty();
        match read {
            true => Ok(Mask::Members(members)),
            false => {
                Err(ApiError::new(400, "invalidParameter", format!("Invalid field selection {text}")).at("fields"))
            }
        }
    }

    /// What is left of a JSON text; `None` where it is no JSON.
    pub fn apply(&self, json: &str) -> Option<String> {
        let mut out = String::with_capacity(json.len() / 2);
        let mut input = Text { bytes: json.as_bytes(), at: 0 };
        input.copy(self, &mut out, 0)?;
        Some(out)
    }

    fn of(&self, name: &str) -> Option<&Mask> {
        match self {
            Mask::Whole => Some(&Mask::Whole),
            Mask::Members(members) => members.get(name).or_else(|| members.get("*")),
        }
    }

    fn join(&mut self, other: Mask) {
        match (&mut *self, other) {
            (Mask::Members(own), Mask::Members(others)) => {
                for (name, mask) in others {
                    insert(own, name, mask);
                }
            }
            _ => *self = Mask::Whole,
        }
    }
}

fn insert(members: &mut BTreeMap<String, Mask>, name: String, mask: Mask) {
    match members.get_mut(&name) {
        Some(own) => own.join(mask),
        None => drop(members.insert(name, mask)),
    }
}

/// `a,b/c,d(e,f)` up to a closing parenthesis or the end.
fn list(rest: &mut &str, members: &mut BTreeMap<String, Mask>, depth: usize) -> Option<()> {
    loop {
        let (name, mask) = selection(rest, depth)?;
        insert(members, name, mask);
        match rest.strip_prefix(',') {
            Some(more) => *rest = more,
            None => return Some(()),
        }
    }
}

fn selection(rest: &mut &str, depth: usize) -> Option<(String, Mask)> {
    if depth > MAX_DEPTH {
        return None;
    }
    let end = rest.find([',', '/', '(', ')']).unwrap_or(rest.len());
    let (name, more) = rest.split_at_checked(end)?;
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    *rest = more;
    let mut members = BTreeMap::new();
    if let Some(more) = rest.strip_prefix('/') {
        *rest = more;
        let (inner, mask) = selection(rest, depth + 1)?;
        members.insert(inner, mask);
    } else if let Some(more) = rest.strip_prefix('(') {
        *rest = more;
        list(rest, &mut members, depth + 1)?;
        *rest = rest.strip_prefix(')')?;
    } else {
        return Some((name.to_owned(), Mask::Whole));
    }
    Some((name.to_owned(), Mask::Members(members)))
}

struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Text<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn since(&self, from: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(from..self.at)?).ok()
    }

    /// A string with its quotes; what stands between them is not looked at.
    fn string(&mut self) -> Option<&str> {
        let from = { (self.peek()? == b'"').then_some(self.at)? };
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.since(from)
    }

    /// Steps over a value: brackets are counted, not nested.
    fn skip(&mut self) -> Option<()> {
        let mut open = 0usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if open > 0 => self.at += 1,
                b',' | b':' => return None,
                _ => {
                    while self.bytes.get(self.at).is_some_and(|byte| !b",:]} \n\r\t".contains(byte)) {
                        self.at += 1;
                    }
                }
            }
            if open == 0 {
                return Some(());
            }
        }
    }

    fn copy(&mut self, mask: &Mask, out: &mut String, depth: usize) -> Option<()> {
        let first = self.peek()?;
        let from = self.at;
        if *mask == Mask::Whole || !matches!(first, b'{' | b'[') || depth > MAX_DEPTH {
            self.skip()?;
            out.push_str(self.since(from)?);
            return Some(());
        }
        let (open, close) = if first == b'{' { ('{', '}') } else { ('[', ']') };
        self.at += 1;
        out.push(open);
        let mut is_first = true;
        while self.peek()? != close as u8 {
            let wanted = if first == b'{' {
                let name = self.string()?.to_owned();
                self.expect(b':')?;
                match mask.of(name.get(1..name.len() - 1)?) {
                    Some(wanted) => {
                        separate(out, &mut is_first);
                        out.push_str(&name);
                        out.push(':');
                        Some(wanted)
                    }
                    None => None,
                }
            } else {
                separate(out, &mut is_first);
                Some(mask)
            };
            match wanted {
                Some(wanted) => self.copy(wanted, out, depth + 1)?,
                None => self.skip()?,
            }
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        out.push(close);
        Some(())
    }
}

fn separate(out: &mut String, is_first: &mut bool) {
    if !std::mem::take(is_first) {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cut(mask: &str, value: &Value) -> Value {
        let text = Mask::parse(mask).expect("a selection").apply(&value.to_string()).expect("JSON");
        serde_json::from_str(&text).expect("JSON still")
    }

    #[test]
    fn what_is_named_is_left() {
        let value = json!({
            "kind": "list", "items": [{"id": 1, "status": {"state": "DONE", "error": "a\"}],\\"}}, {"id": 2}, 3],
            "labels": {"a": {"x": 1, "y": 2}, "b": {"x": 3}}, "n": null, "": {},
        });
        assert_eq!(cut("kind,n,none", &value), json!({"kind": "list", "n": null}));
        assert_eq!(cut("items/status/state", &value), json!({"items": [{"status": {"state": "DONE"}}, {}, 3]}));
        assert_eq!(cut("items(id,status/error)", &value)["items"][0]["status"]["error"], "a\"}],\\");
        assert_eq!(cut("labels/*/x", &value), json!({"labels": {"a": {"x": 1}, "b": {"x": 3}}}));
        assert_eq!(cut("labels/a/x,labels/a/y", &value), json!({"labels": {"a": {"x": 1, "y": 2}}}));
        assert_eq!(cut("labels/a/x,labels", &value)["labels"], value["labels"]);
        assert_eq!(cut("*", &value), value);
        assert_eq!(cut("kind", &json!([])), json!([]));
        for wrong in ["", ",", "a,", "a(", "a(b", "a)b", "a//b", "(a)", "a()"] {
            assert_eq!(Mask::parse(wrong).expect_err("no selection").reason, "invalidParameter", "{wrong}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c\"\\\\{}\\[\\],: é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[ab\"\\\\]{0,2}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_is_all(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value).expect("text") } else { value.to_string() };
            for mask in [Mask::Whole, Mask::Members([("*".to_owned(), Mask::Whole)].into())] {
                let cut = mask.apply(&text).expect("JSON");
                prop_assert_eq!(serde_json::from_str::<Value>(&cut).expect("JSON"), value.clone());
            }
        }

        #[test]
        fn any_text_is_cut_or_refused(mask in "[ab*,/()]{0,12}", text in "[ab\"\\\\{}\\[\\],:0 ]{0,20}") {
            if let Ok(mask) = Mask::parse(&mask) {
                let _ = mask.apply(&text);
            }
        }
    }
}
