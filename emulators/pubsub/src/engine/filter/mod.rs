//! Subscription filters: the language, and what it says of a message's attributes.
//!
//! | form | holds when |
//! |---|---|
//! | `attributes:k` | the message has the attribute |
//! | `attributes.k = "v"` | it has it with that value |
//! | `attributes.k != "v"` | it does not have it with that value; a message without the attribute passes |
//! | `hasPrefix(attributes.k, "p")` | its value starts with the prefix |
//! | `NOT f`, `-f`, `f AND g`, `f OR g`, `( f )` | as they read; AND and OR mix only with parentheses |
//!
//! Keys other than letters, digits, `_` and `-` are written as string literals. Operators are upper
//! case, everything is case-sensitive (<https://cloud.google.com/pubsub/docs/subscription-message-filter>).

mod lexer;
mod parser;

use std::collections::HashMap;
use std::fmt;

pub use parser::SyntaxError;

/// A parsed filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    Has(String),
    Equal(String, String),
    NotEqual(String, String),
    HasPrefix(String, String),
    Not(Box<Filter>),
    All(Vec<Filter>),
    Any(Vec<Filter>),
}

impl Filter {
    /// Reads a filter; the error says where it stops being one.
    pub fn parse(text: &str) -> Result<Filter, SyntaxError> {
        parser::parse(text)
    }

    /// Whether a message with these attributes passes.
    pub fn matches(&self, attributes: &HashMap<String, String>) -> bool {
        match self {
            Filter::Has(key) => attributes.contains_key(key),
            Filter::Equal(key, value) => attributes.get(key) == Some(value),
            Filter::NotEqual(key, value) => attributes.get(key) != Some(value),
            Filter::HasPrefix(key, prefix) => attributes.get(key).is_some_and(|value| value.starts_with(prefix)),
            Filter::Not(inner) => !inner.matches(attributes),
            Filter::All(parts) => parts.iter().all(|part| part.matches(attributes)),
            Filter::Any(parts) => parts.iter().any(|part| part.matches(attributes)),
        }
    }

    fn write_operand(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All(_) | Filter::Any(_) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

/// Writes the filter so that it parses to itself again.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::Has(key) => write!(f, "attributes:{}", Literal(key)),
            Filter::Equal(key, value) => write!(f, "attributes.{} = {}", Literal(key), Literal(value)),
            Filter::NotEqual(key, value) => write!(f, "attributes.{} != {}", Literal(key), Literal(value)),
            Filter::HasPrefix(key, prefix) => write!(f, "hasPrefix(attributes.{}, {})", Literal(key), Literal(prefix)),
            Filter::Not(inner) => {
                write!(f, "NOT ")?;
                inner.write_operand(f)
            }
            Filter::All(parts) | Filter::Any(parts) => {
                let word = if matches!(self, Filter::All(_)) { " AND " } else { " OR " };
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        f.write_str(word)?;
                    }
                    part.write_operand(f)?;
                }
                Ok(())
            }
        }
    }
}

struct Literal<'a>(&'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                c if (c as u32) < 0x20 => write!(f, "\\x{:02x}", c as u32)?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passes(filter: &str, attributes: &[(&str, &str)]) -> bool {
        let attributes = attributes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&attributes)
    }

    #[test]
    fn every_form_means_what_it_says() {
        assert!(passes("attributes:lang", &[("lang", "")]));
        assert!(!passes("attributes:lang", &[("Lang", "en")]));
        assert!(passes(r#"attributes.lang = "en""#, &[("lang", "en")]));
        assert!(passes(r#"attributes.lang="en""#, &[("lang", "en")]));
        assert!(!passes(r#"attributes.lang = "en""#, &[("lang", "EN")]));
        assert!(passes(r#"attributes.lang != "en""#, &[]));
        assert!(!passes(r#"attributes.lang != "en""#, &[("lang", "en")]));
        assert!(passes(r#"hasPrefix(attributes.lang, "e")"#, &[("lang", "en")]));
        assert!(!passes(r#"hasPrefix(attributes.lang, "e")"#, &[]));
        assert!(passes(r#"NOT attributes:lang"#, &[]));
        assert!(passes(r#"-attributes:lang"#, &[]));
        assert!(passes(r#"attributes:a AND NOT attributes:b"#, &[("a", "1")]));
        assert!(passes(r#"attributes:a OR attributes:b OR attributes:c"#, &[("c", "1")]));
        assert!(passes(r#"(attributes:a OR attributes:b) AND attributes:c"#, &[("b", "1"), ("c", "1")]));
        assert!(passes(r#"attributes:"iana.org/language_tag""#, &[("iana.org/language_tag", "en")]));
        assert!(passes(r#"attributes."a.b" = "x\"\u00e9\x41\101\n""#, &[("a.b", "x\"éAA\n")]));
        assert!(passes("attributes.k-1_x = 'v'", &[("k-1_x", "v")]));
    }

    #[test]
    fn what_is_not_the_language_is_refused() {
        for bad in [
            "",
            " ",
            "attributes",
            "attributes.",
            "attributes.a",
            "attributes.a =",
            "attributes.a = b",
            "attributes.a == \"b\"",
            "attributes.a > \"b\"",
            "attributes.a = \"b",
            "attributes:a AND",
            "attributes:a and attributes:b",
            "attributes:a attributes:b",
            "attributes:a AND attributes:b OR attributes:c",
            "attributes:a OR attributes:b AND attributes:c",
            "(attributes:a",
            "attributes:a)",
            "data = \"x\"",
            "hasprefix(attributes.a, \"b\")",
            "hasPrefix(attributes.a)",
            "hasPrefix(attributes:a, \"b\")",
            "attributes.a.b = \"c\"",
            "NOT",
            "attributes:a AND NOT",
            "attributes.a = \"\\q\"",
            "attributes.a = \"\\ud800\"",
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
        let deep = format!("{}attributes:a", "(".repeat(10_000));
        assert!(Filter::parse(&deep).is_err());
        let deep = format!("{}attributes:a", "NOT ".repeat(10_000));
        assert!(Filter::parse(&deep).is_err());
    }

    fn filters() -> impl Strategy<Value = Filter> {
        let text = || proptest::string::string_regex("[a-c\"\\\\ é\\n]{0,4}").expect("a pattern");
        let leaf = prop_oneof![
            text().prop_map(Filter::Has),
            (text(), text()).prop_map(|(k, v)| Filter::Equal(k, v)),
            (text(), text()).prop_map(|(k, v)| Filter::NotEqual(k, v)),
            (text(), text()).prop_map(|(k, v)| Filter::HasPrefix(k, v)),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|f| Filter::Not(Box::new(f))),
                proptest::collection::vec(inner.clone(), 2..4).prop_map(Filter::All),
                proptest::collection::vec(inner, 2..4).prop_map(Filter::Any),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_written_filter_reads_back_the_same(filter in filters()) {
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = Filter::parse(&text);
        }

        #[test]
        fn no_near_filter_panics(parts in proptest::collection::vec(
            prop_oneof![
                Just("attributes"), Just("."), Just(":"), Just("a"), Just("\"v\""), Just("="), Just("!="),
                Just("AND"), Just("OR"), Just("NOT"), Just("-"), Just("("), Just(")"), Just("hasPrefix"), Just(",")
            ], 0..16)) {
            let text = parts.join(" ");
            if let Ok(filter) = Filter::parse(&text) {
                prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
            }
        }
    }
}
