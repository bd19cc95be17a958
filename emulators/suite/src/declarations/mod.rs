//! What a suite has from the start, read from a TOML file.
//!
//! Each service has a section and a room for it here; [`read`] has what they share: values with
//! their place in the file, and messages of the API filled from tables. A new section is one more
//! field of [`Declarations`] and one more arm of the match in [`Declarations::parse`].

pub mod firestore;
pub mod pubsub;
pub mod read;

use std::fmt;
use std::path::Path;

use thiserror::Error;
use toml::de::DeTable;

use read::{Problem, Scope};

/// Why a file cannot be taken: one line that says where, what, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{file}{}: {problem}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct DeclarationError {
    pub file: String,
    /// Counted from 1; none where it is the whole file.
    pub line: Option<usize>,
    pub problem: String,
}

/// The resources of a file. They are made when the suite starts and again after a reset.
///
/// A resource that is there already, from a data folder, stays as it is; where it differs from the
/// file, the suite says so ([`Suite::notes`](crate::Suite::notes)).
#[derive(Clone, Default, Debug)]
pub struct Declarations {
    file: String,
    pub(crate) firestore: firestore::Section,
    pub(crate) pubsub: pubsub::Section,
}

/// Something declared, with the line it stands on.
#[derive(Clone, Debug)]
pub(crate) struct Declared<T> {
    pub line: usize,
    pub value: T,
}

impl Declarations {
    /// Reads a file; names without a project are completed with `project`.
    pub fn read(path: impl AsRef<Path>, project: &str) -> Result<Declarations, DeclarationError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Declarations::parse(&file, &text, project),
            Err(error) => Err(DeclarationError { file, line: None, problem: error.to_string() }),
        }
    }

    /// The same for a text; `file` is what errors call it.
    pub fn parse(file: &str, text: &str, project: &str) -> Result<Declarations, DeclarationError> {
        let at = |at: usize| text.get(..at).map(|before| before.matches('\n').count() + 1);
        let failed =
            |problem: Problem| DeclarationError { file: file.to_owned(), line: at(problem.at), problem: problem.text };
        let table = DeTable::parse(text).map_err(|error| {
            let problem = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            failed(Problem { at: error.span().map_or(0, |span| span.start), text: problem })
        })?;
        let scope = Scope { text, project };
        let mut declarations = Declarations { file: file.to_owned(), ..Declarations::default() };
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "firestore" => declarations.firestore = firestore::section(&scope, value).map_err(failed)?,
                "pubsub" => declarations.pubsub = pubsub::section(&scope, value).map_err(failed)?,
                other => {
                    return Err(failed(Problem::unknown(key, "a section", other, &["firestore", "pubsub"])));
                }
            }
        }
        Ok(declarations)
    }

    /// An error about something declared.
    pub(crate) fn refused(&self, line: usize, problem: impl fmt::Display) -> DeclarationError {
        DeclarationError { file: self.file.clone(), line: Some(line), problem: problem.to_string() }
    }

    /// A note about something declared.
    pub(crate) fn note(&self, line: usize, text: impl fmt::Display) -> String {
        format!("{}:{line}: {text}", self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) -> String {
        Declarations::parse("suite.toml", text, "demo").expect_err("not good").to_string()
    }

    #[test]
    fn errors_name_the_line_the_problem_and_what_would_be_right() {
        for (text, expected) in [
            ("[pubsub", "suite.toml:1: unclosed table, expected `]`"),
            ("\n[pubsup]\n", "suite.toml:2: `pubsup` is not a section; did you mean `pubsub`?"),
            ("[pubsub]\ntopics = []", "suite.toml:2: `topics` is not a list of pubsub; did you mean `topic`?"),
            ("[pubsub]\ntopic = 3", "suite.toml:2: `topic` is to be tables, as in [[pubsub.topic]]"),
            (
                "[[pubsub.topic]]\nname = \"one\"\n\n[[pubsub.topic]]\nlabels = {}\n",
                "suite.toml:4: a topic needs a `name`",
            ),
            (
                "[[pubsub.subscription]]\nname = \"one\"\ntopic = \"t-1\"\nack_deadline = 3\n",
                "suite.toml:4: `ack_deadline` is not a field of Subscription; did you mean `ack_deadline_seconds`?",
            ),
            (
                "[[pubsub.subscription]]\nname = \"one\"\ntopic = \"t-1\"\nretry_policy = { minimum_backof = \"1s\" }\n",
                "suite.toml:4: `minimum_backof` is not a field of RetryPolicy; did you mean `minimum_backoff`?",
            ),
            (
                "[[pubsub.subscription]]\nname = \"one\"\ntopic = \"t-1\"\nenable_message_ordering = 1\n",
                "suite.toml:4: `enable_message_ordering` is to be true or false, not 1",
            ),
            (
                "[[pubsub.subscription]]\nname = \"one\"\ntopic = \"t-1\"\nmessage_retention_duration = \"soon\"\n",
                "suite.toml:4: `message_retention_duration`: `soon` is not a duration: write a number and a unit, such \
                 as 500ms, 2s, 1m30s, 10m, 24h or 7d",
            ),
            (
                "[[pubsub.subscription]]\nname = \"one\"\ntopic = \"t-1\"\nlabels = { a = 1 }\n",
                "suite.toml:4: `a` is to be a text in quotes, not 1",
            ),
            (
                "[[pubsub.subscription]]\nname = \"one\"\ntopic = \"t-1\"\nstate = \"ACTIVE\"\n",
                "suite.toml:4: `state` is only ever shown, it cannot be set",
            ),
        ] {
            let found = refused(text);
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
    }

    #[test]
    fn names_are_completed_with_the_project() {
        let text = r#"
            [[pubsub.topic]]
            name = "requests"
            [[pubsub.topic]]
            name = "projects/other/topics/dead"
            [[pubsub.subscription]]
            name = "workers"
            topic = "requests"
            ack_deadline_seconds = 600
            push_config = { push_endpoint = "http://127.0.0.1:1/", no_wrapper = { write_metadata = true } }
            retry_policy = { minimum_backoff = "1m30s" }
            labels = { team = "a" }
            [pubsub.subscription.dead_letter_policy]
            dead_letter_topic = "dead"
        "#;
        let section = Declarations::parse("suite.toml", text, "demo").expect("good").pubsub;
        let names: Vec<_> = section.topics.iter().map(|topic| topic.value.name.as_str()).collect();
        assert_eq!(names, ["projects/demo/topics/requests", "projects/other/topics/dead"]);
        let [subscription] = section.subscriptions.as_slice() else { panic!("one, please") };
        assert_eq!(subscription.line, 6);
        let value = &subscription.value;
        assert_eq!(value.name, "projects/demo/subscriptions/workers");
        assert_eq!(value.topic, "projects/demo/topics/requests");
        assert_eq!(value.ack_deadline_seconds, 600);
        assert_eq!(value.labels.get("team").map(String::as_str), Some("a"));
        let policy = value.dead_letter_policy.as_ref().expect("a policy");
        assert_eq!(policy.dead_letter_topic, "projects/demo/topics/dead");
        let retry = value.retry_policy.as_ref().expect("a policy");
        assert_eq!(retry.minimum_backoff.as_ref().map(|backoff| backoff.seconds), Some(90));
        assert!(value.push_config.as_ref().is_some_and(|push| push.wrapper.is_some()));
    }
}
