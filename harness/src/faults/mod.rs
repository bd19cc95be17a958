//! What the harness does to a run: `[[fault]]` entries, each a moment and one action.

mod director;

use serde::Deserialize;

use scrimmage_core::duration::HumaneDuration;
use scrimmage_core::faults::{Fault, FaultPlan};

pub(crate) use director::{Director, Reach};

use crate::scenario::When;

/// One `[[fault]]`: exactly one of `gate`, `kill`, `terminate`, `duplicate_delivery` and
/// `grow_main_table`.
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
}

impl FaultEntry {
    /// In a few words, for reports.
    pub(crate) fn describe(&self) -> String {
        if let Some(gate) = &self.gate {
            return format!("fault at the gate: {}", gate.name.as_deref().unwrap_or("without a name"));
        }
        let named =
            [("kill", &self.kill), ("terminate", &self.terminate), ("deliver twice to", &self.duplicate_delivery)];
        let given = named.iter().find_map(|(what, name)| name.as_ref().map(|name| format!("{what} {name}")));
        given.unwrap_or_else(|| "the main table grows".to_owned())
    }

    /// What is wrong with the entry beyond the types of its keys.
    pub(crate) fn check(&self) -> Result<(), String> {
        let actions = [
            self.gate.is_some(),
            self.kill.is_some(),
            self.terminate.is_some(),
            self.duplicate_delivery.is_some(),
            self.grow_main_table,
        ];
        if actions.iter().filter(|given| **given).count() != 1 {
            return Err("give it exactly one of gate, kill, terminate, duplicate_delivery, grow_main_table".to_owned());
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
