//! Scenarios: what happens to a batch, and what must hold afterwards. One TOML file each.

mod catalogue;
mod check;
mod expectation;
mod fit;
mod players;
mod read;
mod seed;
mod when;

use scrimmage_core::duration::HumaneDuration;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub use catalogue::{all, find};
pub use check::{Check, Looks};
pub use expectation::{Consolidation, Expect, InvariantChoice};
pub use players::Players;
pub(crate) use read::{lines_where, read, read_toml};
pub use seed::{Seed, SeedPlayers, Written};
pub use when::When;

use crate::faults::FaultEntry;
use crate::run_model::RunEntry;
use crate::scheduler::ScheduleEntry;
use crate::stage::Ability;

/// One scenario, as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending; filled in when it is read.
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    pub file: PathBuf,
    /// One line for people.
    pub title: String,
    /// The day of the incident, or several days; empty where there was none.
    #[serde(default)]
    pub incident: String,
    /// What happened, and how the scenario brings it about.
    #[serde(default)]
    pub about: String,
    /// Defects that this scenario proves itself on: each must break what `expect.breaks` says. None
    /// where the incident had none: there it is the services that must behave, and `check`s say how.
    #[serde(default)]
    pub catches: Vec<String>,
    /// Too large for the tests of a debug build; `run` and `matrix` play it.
    #[serde(default)]
    pub heavy: bool,
    pub batch: BatchPlan,
    /// What the main table holds before the consolidation.
    #[serde(default)]
    pub seed: Option<Seed>,
    /// How the platform treats a service in this scenario: `[run.NAME]`, over what the pipeline's
    /// own description says.
    #[serde(default)]
    pub run: BTreeMap<String, RunEntry>,
    /// What the scheduler calls. Without any entry, the batch is started once.
    #[serde(default, rename = "schedule")]
    pub schedules: Vec<ScheduleEntry>,
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultEntry>,
    /// Invariants of this scenario's own.
    #[serde(default, rename = "check")]
    pub checks: Vec<Check>,
    pub expect: Expect,
}

impl Scenario {
    /// What it needs of a stage beyond the services themselves.
    pub fn needs(&self) -> Vec<Ability> {
        let duplicates = self.faults.iter().any(|fault| fault.duplicate_delivery.is_some());
        let clock = self.faults.iter().any(|fault| fault.advance.is_some_and(|by| !by.0.is_zero()));
        let jobs = self.faults.iter().filter_map(|fault| fault.gate.as_ref()).any(|gate| gate.on.is_within_jobs());
        let needs = [(duplicates, Ability::DuplicateDelivery), (clock, Ability::Clock), (jobs, Ability::HoldJobs)];
        needs.into_iter().filter(|need| need.0).map(|need| need.1).collect()
    }
}

/// The batch that is run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchPlan {
    /// A fixture's name, a list, or how many to make up.
    pub players: Players,
    #[serde(default = "reference_predictions")]
    pub predictions_per_player: usize,
    /// How many of the players, from the end of the list, never report: their workers die unheard.
    #[serde(default)]
    pub silent: usize,
    /// How many schedulers start the batch at the same instant.
    #[serde(default = "one")]
    pub starts: usize,
    pub arrival: Arrival,
    #[serde(default = "reference_date")]
    pub game_date: String,
    /// Which columns the main table begins with.
    #[serde(default)]
    pub main_table: MainTable,
    /// Whether the main table refuses statements without a filter on its partitions.
    #[serde(default)]
    pub require_partition_filter: bool,
    /// The acknowledgement deadline of the push subscriptions; 600s where it is left out.
    #[serde(default)]
    pub ack_deadline: Option<HumaneDuration>,
    /// How many staging tables of long gone batches there are at the start.
    #[serde(default)]
    pub orphans: usize,
}

fn one() -> usize {
    1
}

/// How the workers' requests come in.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Arrival {
    /// In groups of so many at the same instant.
    Burst(usize),
    /// Evenly spread.
    PerSecond(f64),
}

/// The main table's columns at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MainTable {
    /// All columns of the schema.
    #[default]
    Full,
    /// Only those that the staging tables have too: the table before it grew.
    AsStaging,
}

fn reference_predictions() -> usize {
    25
}

fn reference_date() -> String {
    "2026-01-01".to_owned()
}
