//! When something happens in a run.

use scrimmage_core::duration::HumaneDuration;
use serde::Deserialize;

/// A moment of a run, defined by what has happened, not by a clock.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum When {
    /// Before the batch is started.
    #[default]
    Start,
    /// When so many completions have been acknowledged. Further ones are held back until the
    /// fault has acted, so that the moment is the same in every run.
    Completions(usize),
    /// When the gate fault of this name has struck for the first time: with a barrier, the call is held.
    Held(String),
    /// When the entries above have acted and nothing has happened for so long, whatever the batch is
    /// waiting for.
    Quiet(HumaneDuration),
    /// When the batch has come to its end, or nothing that could still bring it there is on its way.
    /// Several of these come one after the other, each when the one before has had its effect.
    Rest,
    /// Right after the entry before, which is at rest too.
    Next,
    /// After some number of completions that the seed picks, the last one excepted.
    AnyCompletion,
}
