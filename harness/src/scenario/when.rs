//! When something happens in a run.

use serde::Deserialize;

/// A moment of a run, defined by what has happened, not by a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum When {
    /// Before the batch is started.
    #[default]
    Start,
    /// When so many completions have been acknowledged. Further ones are held back until the
    /// fault has acted, so that the moment is the same in every run.
    Completions(usize),
}
