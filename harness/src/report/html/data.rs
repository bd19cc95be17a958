//! A run's course for the script: short, as there may be thousands of calls.
//!
//! Times are microseconds since the run's beginning. Texts that repeat are numbers into `texts`.
//! ```text
//! { "length": 1234, "texts": ["coordinator", "firestore", …],
//!   "calls": [[start, took, client, service, method, resource, status, message, waited, attempt, [fault, …]], …],
//!   "pushes": [[at, to, path, message id, player or -1, status], …],
//!   "moments": [[at, text, is a fault], …],
//!   "lines": [[at, process, severity, text], …] }          (complaints only)
//! ```

use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

use scrimmage_core::Code;

use crate::run::Record;

const LINES: usize = 300;

#[derive(Default)]
struct Texts {
    numbers: HashMap<String, usize>,
    texts: Vec<String>,
}

impl Texts {
    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len();
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// JSON that is safe within a `script` element.
pub(super) fn data(record: &Record) -> String {
    let mut texts = Texts::default();
    let calls: Vec<Value> = record
        .calls
        .iter()
        .map(|call| {
            let status = if call.status == Code::Ok { "OK" } else { call.status.name() };
            let faults: Vec<usize> = call.faults.iter().map(|fault| texts.number(fault)).collect();
            json!([
                micros(call.start),
                micros(call.end.saturating_sub(call.start)),
                texts.number(&call.client),
                texts.number(&call.service),
                texts.number(&call.method),
                texts.number(short(&call.resource)),
                texts.number(status),
                texts.number(&call.message),
                micros(call.lock_wait),
                call.attempt,
                faults
            ])
        })
        .collect();
    let pushes: Vec<Value> = record
        .pushes
        .iter()
        .map(|push| {
            let player = push.player.as_ref().map_or(json!(-1), |player| json!(texts.number(player)));
            json!([
                micros(push.at),
                texts.number(&push.to),
                texts.number(&push.path),
                push.message_id,
                player,
                push.status
            ])
        })
        .collect();
    let moments: Vec<Value> =
        record.moments.iter().map(|moment| json!([micros(moment.at), moment.text, moment.is_fault])).collect();
    let lines: Vec<Value> = record
        .lines
        .iter()
        .filter(|line| line.is_complaint())
        .take(LINES)
        .map(|line| json!([micros(line.at), texts.number(&line.process), texts.number(&line.severity), line.text]))
        .collect();
    let data = json!({
        "length": micros(record.length), "texts": texts.texts, "calls": calls, "pushes": pushes, "moments": moments,
        "lines": lines,
    });
    // The only things that end or change a script element from within.
    data.to_string().replace('<', "\\u003c")
}

/// A resource without the project that all have.
fn short(resource: &str) -> &str {
    let mut parts = resource.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("projects"), Some(_), Some(rest)) => rest.strip_prefix("databases/(default)/documents/").unwrap_or(rest),
        _ => resource,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Moment, PushRecord};

    #[test]
    fn it_cannot_end_its_script_element() {
        let record = Record {
            moments: vec![Moment { at: Duration::ZERO, text: "</script><!--".into(), is_fault: false }],
            ..Record::default()
        };
        let text = data(&record);
        assert!(!text.contains('<'), "{text}");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["moments"][0][1], "</script><!--");
    }

    #[test]
    fn texts_are_told_once() {
        let push = PushRecord {
            at: Duration::from_millis(1),
            to: "worker".into(),
            path: "/predict".into(),
            message_id: "1".into(),
            player: None,
            status: 204,
        };
        let record = Record { pushes: vec![push.clone(), push], ..Record::default() };
        let read: Value = serde_json::from_str(&data(&record)).expect("JSON");
        assert_eq!(read["texts"], json!(["worker", "/predict"]));
        assert_eq!(read["pushes"][1], json!([1000, 0, 1, "1", -1, 204]));
    }

    #[test]
    fn resources_are_shown_without_what_all_share() {
        assert_eq!(short("projects/p/databases/(default)/documents/batches/1"), "batches/1");
        assert_eq!(short("projects/p/topics/t"), "topics/t");
        assert_eq!(short("elsewhere"), "elsewhere");
    }
}
