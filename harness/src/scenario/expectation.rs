//! What must hold after a scenario, and what must break with a defect.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

use scrimmage_core::duration::HumaneDuration;

use crate::invariants::{self, Invariant};

/// The `[expect]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// How long the batch may take, counted from its start.
    pub within: HumaneDuration,
    /// How long nothing may have happened before a batch that is not done is given up.
    #[serde(default = "default_quiet")]
    pub quiet: HumaneDuration,
    /// The same while a consolidation is under way, which may be one long statement without a sign
    /// of life. Default: as long as the batch may take.
    #[serde(default)]
    pub quiet_consolidation: Option<HumaneDuration>,
    #[serde(default)]
    pub consolidation: Consolidation,
    #[serde(default)]
    pub invariants: InvariantChoice,
    /// Exactly what breaks with each defect of `catches`.
    #[serde(default)]
    pub breaks: BTreeMap<String, Vec<String>>,
}

fn default_quiet() -> HumaneDuration {
    HumaneDuration(Duration::from_millis(1_000))
}

/// How a healthy consolidation ends here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consolidation {
    #[default]
    Succeeds,
    /// The scenario leaves it nothing to do: it must notice and say so.
    Fails,
}

/// Which invariants are held against the end state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged, expecting = "invariants is `\"all\"` or a list of names")]
pub enum InvariantChoice {
    #[default]
    Everything,
    All(AllWord),
    Listed(Vec<String>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AllWord {
    All,
}

impl InvariantChoice {
    /// The chosen invariants, in the catalogue's order.
    pub fn chosen(&self) -> Vec<&'static Invariant> {
        let all = invariants::CATALOGUE.iter();
        match self {
            InvariantChoice::Everything | InvariantChoice::All(_) => all.collect(),
            InvariantChoice::Listed(names) => all.filter(|one| names.iter().any(|name| name == one.name)).collect(),
        }
    }
}
