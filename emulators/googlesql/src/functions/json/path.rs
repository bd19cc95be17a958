//! JSONPath as BigQuery has it: `$.a['b.c'][0]` in the JSON_EXTRACT family, `$.a."b.c"[0]` in the JSON_QUERY family,
//! and the modes `lax` and `lax recursive`.

use crate::error::{Result, SqlError};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
    /// A negative index or one beyond all arrays: nothing is there, and nothing can be put there.
    Nowhere,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Mode {
    #[default]
    Strict,
    Lax,
    LaxRecursive,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Path {
    pub mode: Mode,
    pub steps: Vec<Step>,
}

/// Which of the two notations a function reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notation {
    /// Brackets and single quotes: JSON_EXTRACT.
    Legacy,
    /// Double quotes: JSON_QUERY, JSON_SET and the rest.
    Standard,
}

/// More steps than any document has levels.
const MAX_STEPS: usize = 1000;

pub(crate) fn parse(text: &str, notation: Notation) -> Result<Path> {
    let (mode, body) = parse_mode(text)?;
    let Some(mut rest) = body.strip_prefix('$') else {
        return Err(SqlError::evaluation(if mode == Mode::Strict && notation == Notation::Legacy {
            "JSONPath must start with '$'"
        } else {
            "JSONPath must start with zero or more unique modifiers followed by '$'"
        }));
    };
    let invalid = |rest: &str| SqlError::evaluation(format!("Invalid token in JSONPath at: {rest}"));
    let mut steps = Vec::new();
    while let Some(first) = rest.chars().next() {
        if steps.len() >= MAX_STEPS {
            return Err(invalid(rest));
        }
        let at = rest;
        match first {
            '.' => {
                let body = &rest[1..];
                if notation == Notation::Standard && body.starts_with('"') {
                    let (key, left) = quoted(body, '"').ok_or_else(|| invalid(at))?;
                    steps.push(Step::Key(key));
                    rest = left;
                    continue;
                }
                let length = body.find(['.', '[', '\'', '"']).unwrap_or(body.len());
                let (key, left) = body.split_at(length);
                if key == "*" || key.is_empty() && left.starts_with('.') {
                    return Err(SqlError::evaluation(
                        "Unsupported operator in JSONPath: *".replace('*', if key.is_empty() { ".." } else { "*" }),
                    ));
                }
                if key.is_empty() {
                    return Err(invalid(at));
                }
                steps.push(Step::Key(key.to_string()));
                rest = left;
            }
            '[' => {
                let body = rest[1..].trim_start();
                if let Some(quote) = body.chars().next().filter(|c| *c == '\'' || *c == '"') {
                    if quote != '\'' || notation != Notation::Legacy {
                        return Err(invalid(at));
                    }
                    let (key, left) = quoted(body, quote).ok_or_else(|| invalid(at))?;
                    rest = left.trim_start().strip_prefix(']').ok_or_else(|| invalid(at))?;
                    steps.push(Step::Key(key));
                    continue;
                }
                let end = body.find(']').ok_or_else(|| invalid(at))?;
                let inner = body[..end].trim();
                rest = &body[end + 1..];
                if inner.contains(['*', ':', ',', '?', '(', '@']) {
                    return Err(SqlError::evaluation(format!("Unsupported operator in JSONPath: {}", &inner[..1])));
                }
                if inner.is_empty() {
                    return Err(invalid(at));
                }
                let digits = inner.strip_prefix('-').unwrap_or(inner);
                let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                match inner.parse::<usize>() {
                    _ if number && (inner.starts_with('-') || inner.len() > 18) => steps.push(Step::Nowhere),
                    Ok(index) if inner.bytes().all(|b| b.is_ascii_digit()) => steps.push(Step::Index(index)),
                    _ if notation == Notation::Legacy && !inner.starts_with('-') => {
                        steps.push(Step::Key(inner.to_string()))
                    }
                    _ => return Err(invalid(at)),
                }
            }
            _ => return Err(invalid(at)),
        }
    }
    Ok(Path { mode, steps })
}

fn parse_mode(text: &str) -> Result<(Mode, &str)> {
    let (mut lax, mut recursive) = (false, false);
    let mut rest = text;
    loop {
        let word_end = rest.find(' ').unwrap_or(rest.len());
        let word = &rest[..word_end];
        let seen = if word.eq_ignore_ascii_case("lax") {
            &mut lax
        } else if word.eq_ignore_ascii_case("recursive") {
            &mut recursive
        } else {
            break;
        };
        if *seen {
            return Err(SqlError::evaluation("JSONPath must start with zero or more unique modifiers followed by '$'"));
        }
        *seen = true;
        rest = rest[word_end..].trim_start();
    }
    match (lax, recursive) {
        (false, false) => Ok((Mode::Strict, text)),
        (true, false) => Ok((Mode::Lax, rest)),
        (true, true) => Ok((Mode::LaxRecursive, rest)),
        (false, true) => Err(SqlError::evaluation(
            "JSONPath has an invalid combination of modifiers. The 'lax' modifier must be included if 'recursive' is specified.",
        )),
    }
}

/// A quoted key at the front and what follows; a backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((key, &text[at + c.len_utf8()..]));
        }
        if c == '\\' {
            match chars.next()?.1 {
                escaped if escaped == quote || escaped == '\\' => key.push(escaped),
                other => {
                    key.push('\\');
                    key.push(other);
                }
            }
        } else {
            key.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(name: &str) -> Step {
        Step::Key(name.into())
    }

    #[test]
    fn both_notations_read_keys_and_indexes() {
        let steps = |text, notation| parse(text, notation).map(|path| path.steps);
        assert_eq!(
            steps("$.a['b.c'][0]", Notation::Legacy).expect("a path"),
            vec![key("a"), key("b.c"), Step::Index(0)]
        );
        assert_eq!(steps("$[a][1]", Notation::Legacy).expect("a path"), vec![key("a"), Step::Index(1)]);
        assert_eq!(steps("$.\"a.b\".c", Notation::Standard).expect("a path"), vec![key("a.b"), key("c")]);
        for bad in ["a", "$.", "$[", "$['a'", "$.*", "$..a", "$[-a]", "$.a['b']"] {
            assert!(steps(bad, Notation::Standard).is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_may_stand_in_front() {
        assert_eq!(parse("lax $.a", Notation::Standard).expect("a path").mode, Mode::Lax);
        assert_eq!(parse("Recursive LAX $.a", Notation::Standard).expect("a path").mode, Mode::LaxRecursive);
        assert_eq!(
            parse("recursive lax RECURSIVE $.a.b", Notation::Standard).unwrap_err().message,
            "JSONPath must start with zero or more unique modifiers followed by '$'"
        );
    }

    proptest! {
        #[test]
        fn no_path_panics(text in "[$.\\[\\]'\"a-c0-9* é\\\\]{0,12}") {
            let _ = parse(&text, Notation::Legacy);
            let _ = parse(&text, Notation::Standard);
        }
    }
}
