//! What can be wrong before there is anything to judge. One line each, exit code 2.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// The setup is wrong: nothing was proven either way.
#[derive(Debug, Error)]
pub enum SetupError {
    #[error("{file}{}: {problem}", line.map(|line| format!(":{line}")).unwrap_or_default(), file = file.display())]
    File {
        file: PathBuf,
        /// Counted from 1, where it is known.
        line: Option<usize>,
        problem: String,
    },
    #[error("there is no scenario `{name}`{guess}; there are {known}")]
    NoScenario { name: String, guess: String, known: String },
    #[error("there is no {what} `{name}`{guess}: {file} does not exist", file = file.display())]
    NoFixture { what: &'static str, name: String, guess: String, file: PathBuf },
    #[error("pipeline `{pipeline}` has no defect `{defect}`{guess}; it has {known}")]
    NoDefect { pipeline: String, defect: String, guess: String, known: String },
    #[error(
        "`scenarios` and `fixtures` were not found, neither above the working folder nor where this program was built"
    )]
    NoLayout,
    #[error("no container engine answers: {0}")]
    NoEngine(String),
    #[error("the stage does not start: {0}")]
    Stage(String),
    #[error("`{command}` failed:\n{output}")]
    Build { command: String, output: String },
    #[error("{process} does not start: {problem}")]
    Spawn { process: String, problem: String },
    #[error("{process} ended with {status} before it was ready{last}", last = last_words(said))]
    ExitedEarly { process: String, status: String, said: String },
    #[error("{process} was not ready within {within:?}: {problem}{last}", last = last_words(said))]
    NotReady { process: String, within: Duration, problem: String, said: String },
    #[error("{call}: {problem}")]
    NotStarted { call: String, problem: String },
    #[error("an operator's statement: {0}")]
    Operator(String),
    #[error("preparing {what}: {problem}")]
    Prepare { what: String, problem: String },
    #[error("observing {what}: {problem}")]
    Observe { what: String, problem: String },
    #[error("{command}: {problem}")]
    Command { command: String, problem: String },
    #[error(transparent)]
    Load(scrimmage_load::LoadError),
    #[error("interrupted")]
    Interrupted,
}

fn last_words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; the last it said was: {said}") }
}

impl SetupError {
    /// Whether it is the pipeline that does not start or does not answer. With a defect that is a
    /// result, not a wrong setup.
    pub(crate) fn is_of_pipeline(&self) -> bool {
        use SetupError::{ExitedEarly, NotReady, NotStarted, Observe, Operator};
        // Observed while the pipeline still drops tables, or operated on without them.
        matches!(self, ExitedEarly { .. } | NotReady { .. } | NotStarted { .. } | Observe { .. } | Operator(_))
    }

    /// Something that was to be created before the run could not be.
    pub(crate) fn prepare(what: impl Into<String>, problem: impl std::fmt::Display) -> SetupError {
        SetupError::Prepare { what: what.into(), problem: one_line(&problem.to_string()) }
    }

    /// The end state could not be read.
    pub(crate) fn observe(what: impl Into<String>, problem: impl std::fmt::Display) -> SetupError {
        SetupError::Observe { what: what.into(), problem: one_line(&problem.to_string()) }
    }
}

/// Errors of libraries may have several lines; a message to the user has one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
