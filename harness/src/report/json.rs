//! One object a run.

use crate::run::Outcome;

/// A JSON array, in the order of the runs.
pub fn to_json(outcomes: &[Outcome]) -> String {
    // Names, strings and numbers: there is nothing in it that could fail to serialise.
    serde_json::to_string_pretty(outcomes).unwrap_or_default()
}
