//! Patterns for resource names: `**/prediction_batches/*`.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A pattern that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the pattern `{pattern}` {problem}")]
pub struct GlobError {
    pattern: String,
    problem: &'static str,
}

/// A pattern over the whole of a name.
///
/// `*` stands for any characters within one segment, `**` for any at all (and `**/` also for
/// nothing), `?` for one character, `{a,b}` for either; every other character for itself.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    regex: Regex,
}

impl Glob {
    /// Compiles a pattern of at most 2,000 bytes; matching takes time linear in the name.
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        let fail = |problem| GlobError { pattern: pattern.chars().take(80).collect(), problem };
        if pattern.len() > 2_000 {
            return Err(fail("is longer than 2000 bytes"));
        }
        let mut regex = String::from("(?s)^");
        let mut rest = pattern;
        let mut in_braces = false;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '*' if rest.starts_with("**/") => {
                    regex.push_str("(?:.*/)?");
                    3
                }
                '*' if rest.starts_with("**") => {
                    regex.push_str(".*");
                    2
                }
                '*' => {
                    regex.push_str("[^/]*");
                    1
                }
                '?' => {
                    regex.push_str("[^/]");
                    1
                }
                '{' if in_braces => return Err(fail("has a `{` inside `{…}`")),
                '{' => {
                    in_braces = true;
                    regex.push_str("(?:");
                    1
                }
                '}' if in_braces => {
                    in_braces = false;
                    regex.push(')');
                    1
                }
                '}' => return Err(fail("has a `}` without a `{`")),
                ',' if in_braces => {
                    regex.push('|');
                    1
                }
                _ => {
                    regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
                    c.len_utf8()
                }
            };
            rest = rest.get(length..).unwrap_or("");
        }
        if in_braces {
            return Err(fail("has a `{` without a `}`"));
        }
        regex.push('$');
        let regex = Regex::new(&regex).map_err(|_| fail("is too large"))?;
        Ok(Glob { text: pattern.to_owned(), regex })
    }

    /// Whether the pattern covers the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Glob) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Glob {
    type Err = GlobError;
    fn from_str(text: &str) -> Result<Self, GlobError> {
        Glob::new(text)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Glob::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn covers_segments() {
        let name = "projects/p/databases/(default)/documents/prediction_batches/b.1";
        for (pattern, expected) in [
            ("**/prediction_batches/*", true),
            ("**", true),
            ("projects/*/databases/(default)/**", true),
            ("prediction_batches/*", false),
            ("**/prediction_batches", false),
            ("projects/*", false),
            ("**/b?1", true),
            ("**/bx1", false),
            ("**/{other,prediction_batches}/*", true),
        ] {
            assert_eq!(Glob::new(pattern).expect(pattern).matches(name), expected, "{pattern}");
        }
        assert!(Glob::new("**/x").expect("a pattern").matches("x"));
        assert!(Glob::new("Commit").expect("a pattern").matches("Commit"));
        assert!(!Glob::new("Commit").expect("a pattern").matches("Commits"));
    }

    #[test]
    fn says_what_is_wrong() {
        let text = Glob::new("a{b").expect_err("an open brace").to_string();
        assert_eq!(text, "the pattern `a{b` has a `{` without a `}`");
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "\\PC{0,40}", name in "\\PC{0,40}") {
            if let Ok(glob) = Glob::new(&pattern) {
                glob.matches(&name);
            }
        }

        #[test]
        fn a_plain_name_covers_itself(name in "[a-z0-9/().+_-]{0,40}") {
            prop_assert!(Glob::new(&name).expect("no special characters").matches(&name));
        }
    }
}
