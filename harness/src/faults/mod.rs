//! What the harness does to a run: `[[fault]]` entries, each a moment and one action. Not all are
//! faults: the clock, the scheduler and an operator act here too.

mod director;
mod known;

use serde::Deserialize;

use scrimmage_core::duration::HumaneDuration;
use scrimmage_core::faults::{Fault, FaultPlan};

pub(crate) use director::{Director, Reach};

use crate::scenario::When;

/// One `[[fault]]`: a moment and exactly one action.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultEntry {
    #[serde(default)]
    pub when: When,
    /// A fault at the services' gate: delays, errors, lost connections, barriers, quotas.
    #[serde(default)]
    pub gate: Option<Fault>,
    /// Ends every instance of a process at once (SIGKILL).
    #[serde(default)]
    pub kill: Option<String>,
    /// Asks every instance of a process to end (SIGTERM) and ends it after ten seconds, as Cloud Run does.
    #[serde(default)]
    pub terminate: Option<String>,
    /// Ends one instance of a process at once, the busiest; the platform replaces it.
    #[serde(default)]
    pub crash: Option<String>,
    /// With `kill` and `terminate`: when the process is started again. Never, where it is left out.
    #[serde(default)]
    pub restart_after: Option<HumaneDuration>,
    /// From then on every message to this process is delivered again, with the same id, right after
    /// its first delivery was acknowledged.
    #[serde(default)]
    pub duplicate_delivery: Option<String>,
    /// The main table gets the columns that its schema has and the staging tables do not.
    #[serde(default)]
    pub grow_main_table: bool,
    /// Moves the clock of the services ahead; by `"0s"` nothing, which makes a moment that a later entry follows.
    #[serde(default)]
    pub advance: Option<HumaneDuration>,
    /// Takes the gate fault of this name away; what its barrier holds goes on.
    #[serde(default)]
    pub lift: Option<String>,
    /// POSTs to a process, as a scheduler does, and waits for the answer.
    #[serde(default)]
    pub call: Option<CallEntry>,
    /// Starts the batch once more, as a scheduler that did not hear the answer does.
    #[serde(default)]
    pub start_again: bool,
    /// A statement that an operator runs; `{main}`, `{dataset}` and `{date}` stand for this run's.
    #[serde(default)]
    pub sql: Option<String>,
}

/// Where a call goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallEntry {
    pub process: String,
    pub path: String,
}

/// What an entry may do, for messages.
const ACTIONS: &str =
    "gate, kill, terminate, crash, duplicate_delivery, grow_main_table, advance, lift, call, start_again, sql";

impl FaultEntry {
    /// In a few words, for reports.
    pub(crate) fn describe(&self) -> String {
        if let Some(gate) = &self.gate {
            return format!("at the gate: {}", gate.name.as_deref().unwrap_or("without a name"));
        }
        if self.advance.is_some_and(|by| by.0.is_zero()) {
            return "a moment that another waits for".to_owned();
        }
        if let Some(by) = self.advance {
            return format!("the clock moves {:?} ahead", by.0);
        }
        if let Some(call) = &self.call {
            return format!("POST {} of {}", call.path, call.process);
        }
        let named = [
            ("kill", &self.kill),
            ("terminate", &self.terminate),
            ("crash an instance of", &self.crash),
            ("deliver twice to", &self.duplicate_delivery),
            ("lift", &self.lift),
            ("an operator:", &self.sql),
        ];
        let given = named.iter().find_map(|(what, name)| name.as_ref().map(|name| format!("{what} {name}")));
        let other = if self.start_again { "the batch is started again" } else { "the main table grows" };
        given.unwrap_or_else(|| other.to_owned())
    }

    /// The text to look for in the file and what is wrong, where the entry can strike nothing.
    pub(crate) fn strikes_nothing(&self) -> Result<(), (String, String)> {
        self.gate.as_ref().map_or(Ok(()), known::strikes_nothing)
    }

    /// What is wrong with the entry beyond the types of its keys.
    pub(crate) fn check(&self) -> Result<(), String> {
        let actions = [
            self.gate.is_some(),
            self.kill.is_some(),
            self.terminate.is_some(),
            self.crash.is_some(),
            self.duplicate_delivery.is_some(),
            self.grow_main_table,
            self.advance.is_some(),
            self.lift.is_some(),
            self.call.is_some(),
            self.start_again,
            self.sql.is_some(),
        ];
        if actions.iter().filter(|given| **given).count() != 1 {
            return Err(format!("give it exactly one of {ACTIONS}"));
        }
        if self.restart_after.is_some() && self.kill.is_none() && self.terminate.is_none() {
            return Err("restart_after goes with kill or terminate".to_owned());
        }
        if let Some(gate) = &self.gate {
            let plan = FaultPlan { faults: vec![gate.clone()] };
            plan.check().map_err(|error| error.problem.to_owned())?;
        }
        Ok(())
    }
}
