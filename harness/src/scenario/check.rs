//! `[[check]]`: an invariant that a scenario brings along.

use regex::Regex;
use serde::{Deserialize, Deserializer, de};

/// One `[[check]]`: a name, and one thing to look at.
///
/// ```toml
/// [[check]]
/// name = "rows-are-back"
/// sql = "SELECT COUNT(*) FROM {main} WHERE game_date = DATE '{date}'"
/// rows = [["150"]]
///
/// [[check]]
/// name = "the-silent-one-failed"
/// document = "{collection}/{batch}"
/// field = "failed_players"
/// is = ["a-player"]
///
/// [[check]]
/// name = "told-once"
/// topic = "phase5"
/// messages = 1
///
/// [[check]]
/// name = "nothing-swallowed"
/// log = "(?i)swallow"
/// lines = 0
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Entry")]
pub struct Check {
    pub name: String,
    pub looks: Looks,
}

/// What a check looks at, and what it wants to see.
#[derive(Clone, Debug)]
pub enum Looks {
    /// Rows of a GoogleSQL query, each cell as text, NULL as `NULL`.
    Rows { sql: String, rows: Vec<Vec<String>> },
    /// A field of a Firestore document.
    Field { document: String, field: String, is: serde_json::Value },
    /// How many different messages have been published to a topic.
    Messages { topic: String, count: Amount },
    /// How many lines of the captured log match.
    Lines { pattern: Regex, process: Option<String>, count: Amount },
}

/// `3`, or `{ at_least = 1, at_most = 3 }`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amount {
    at_least: usize,
    at_most: usize,
}

impl Amount {
    pub fn admits(self, count: usize) -> bool {
        (self.at_least..=self.at_most).contains(&count)
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.at_least, self.at_most) {
            (least, most) if least == most => write!(f, "{least}"),
            (least, usize::MAX) => write!(f, "at least {least}"),
            (0, most) => write!(f, "at most {most}"),
            (least, most) => write!(f, "{least} to {most}"),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an amount is a number or { at_least, at_most }")]
        enum Shape {
            Exactly(usize),
            Between {
                #[serde(default)]
                at_least: usize,
                #[serde(default)]
                at_most: Option<usize>,
            },
        }
        match Shape::deserialize(deserializer)? {
            Shape::Exactly(count) => Ok(Amount { at_least: count, at_most: count }),
            Shape::Between { at_least, at_most } => {
                let at_most = at_most.unwrap_or(usize::MAX);
                if at_least > at_most {
                    return Err(de::Error::custom("at_least is more than at_most"));
                }
                Ok(Amount { at_least, at_most })
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sql: Option<String>,
    rows: Option<Vec<Vec<toml::Value>>>,
    document: Option<String>,
    field: Option<String>,
    is: Option<toml::Value>,
    topic: Option<String>,
    messages: Option<Amount>,
    log: Option<String>,
    process: Option<String>,
    lines: Option<Amount>,
}

impl TryFrom<Entry> for Check {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Check, String> {
        let looks = match entry {
            Entry {
                sql: Some(sql),
                rows: Some(rows),
                document: None,
                field: None,
                is: None,
                topic: None,
                messages: None,
                log: None,
                process: None,
                lines: None,
                ..
            } => Looks::Rows { sql, rows: rows.iter().map(|row| row.iter().map(cell).collect()).collect() },
            Entry {
                document: Some(document),
                field: Some(field),
                is: Some(is),
                sql: None,
                rows: None,
                topic: None,
                messages: None,
                log: None,
                process: None,
                lines: None,
                ..
            } => Looks::Field { document, field, is: serde_json::to_value(is).map_err(|error| error.to_string())? },
            Entry {
                topic: Some(topic),
                messages: Some(count),
                sql: None,
                rows: None,
                document: None,
                field: None,
                is: None,
                log: None,
                process: None,
                lines: None,
                ..
            } => Looks::Messages { topic, count },
            Entry {
                log: Some(pattern),
                lines: Some(count),
                process,
                sql: None,
                rows: None,
                document: None,
                field: None,
                is: None,
                topic: None,
                messages: None,
                ..
            } => {
                let pattern = Regex::new(&pattern).map_err(|error| format!("check `{}`: {error}", entry.name))?;
                Looks::Lines { pattern, process, count }
            }
            _ => {
                return Err(format!(
                    "check `{}`: give it sql and rows, or document, field and is, or topic and messages, or log and lines",
                    entry.name
                ));
            }
        };
        Ok(Check { name: entry.name, looks })
    }
}

/// A cell as the query's answer has it.
fn cell(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Check, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn each_kind_reads() {
        let rows = check("name = 'a'\nsql = 'SELECT 1, NULL'\nrows = [[1, 'NULL']]").expect("rows");
        assert!(matches!(rows.looks, Looks::Rows { rows, .. } if rows == [["1", "NULL"]]));
        assert!(check("name = 'a'\ndocument = 'c/{batch}'\nfield = 'n'\nis = ['x']").is_ok());
        assert!(check("name = 'a'\ntopic = 'phase5'\nmessages = { at_most = 1 }").is_ok());
        let lines = check("name = 'a'\nlog = 'swallowed'\nlines = 0").expect("lines");
        assert!(matches!(lines.looks, Looks::Lines { count, .. } if count.admits(0) && !count.admits(1)));
    }

    #[test]
    fn mixtures_and_bad_patterns_are_refused() {
        assert!(check("name = 'a'").is_err_and(|text| text.contains("check `a`: give it sql and rows")));
        assert!(check("name = 'a'\nsql = 'SELECT 1'\nrows = []\nlines = 0").is_err());
        assert!(check("name = 'a'\nlog = '('\nlines = 0").is_err_and(|text| text.contains("unclosed group")));
        let wrong = "name = 'a'\nlog = 'x'\nlines = { at_least = 2, at_most = 1 }";
        assert!(check(wrong).is_err_and(|text| text.contains("more than at_most")));
    }
}
