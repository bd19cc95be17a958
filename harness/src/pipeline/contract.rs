//! How a pipeline is spoken to: what starts a batch, and how it is known that one is over.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Pipeline;

/// What starts a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartCall {
    pub process: String,
    pub path: String,
    /// The body, a JSON text in which `{date}` stands for the scenario's day and `{players}` for the JSON list
    /// of its players; default: the reference pipeline's.
    #[serde(default)]
    pub body: Option<String>,
    /// The field of the answer that has the batch's id.
    #[serde(default = "batch_id")]
    pub id: String,
}

fn batch_id() -> String {
    "batch_id".to_owned()
}

/// When a batch is over, in a pipeline that does not keep to the reference pipeline's contract.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Of the batch document.
    pub field: String,
    pub is: OneOrMore,
}

/// A value, or a list of values any of which will do.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    More(Vec<Value>),
    One(Value),
}

impl Done {
    /// Whether a batch document says so.
    pub fn is_over(&self, document: &Map<String, Value>) -> bool {
        let Some(found) = document.get(&self.field) else { return false };
        match &self.is {
            OneOrMore::More(values) => values.contains(found),
            OneOrMore::One(value) => value == found,
        }
    }
}

impl StartCall {
    /// The body of the call.
    pub fn body(&self, date: &str, players: &[String], correlation: &str) -> Result<Value, String> {
        let Some(body) = &self.body else {
            return Ok(json!({ "game_date": date, "players": players, "correlation_id": correlation }));
        };
        let spelled_out = body.replace("{date}", date).replace("{players}", &json!(players).to_string());
        serde_json::from_str(&spelled_out).map_err(|error| format!("its body is no JSON: {error}"))
    }
}

impl Pipeline {
    /// Whether it has a contract of its own: then the invariants of the reference pipeline do not apply, and a
    /// scenario brings its own.
    pub fn is_own(&self) -> bool {
        self.batch.done.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_over_when_its_field_says_so() {
        let document = |status: Value| json!({ "status": status }).as_object().cloned().expect("an object");
        let done: Done = toml::from_str("field = 'status'\nis = ['done', 'failed']").expect("a list");
        assert!(done.is_over(&document(json!("failed"))));
        assert!(!done.is_over(&document(json!("open"))));
        assert!(!done.is_over(&Map::new()));
        let done: Done = toml::from_str("field = 'status'\nis = true").expect("a value");
        assert!(done.is_over(&document(json!(true))));
    }

    #[test]
    fn the_body_is_json_whatever_the_names_are() {
        let call: StartCall =
            toml::from_str("process = 'p'\npath = '/'\nbody = '{\"day\": \"{date}\", \"who\": {players}}'")
                .expect("a call");
        let body = call.body("2026-01-01", &["o'neale".into(), "\"quoted\"".into()], "c");
        assert_eq!(body, Ok(json!({ "day": "2026-01-01", "who": ["o'neale", "\"quoted\""] })));
        assert_eq!(call.id, "batch_id");
    }
}
