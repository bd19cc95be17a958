//! Everything that the invariants look at, gathered once a run has come to rest.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use super::inbox::Announcement;
use super::rows::{Key, MainRow};
use crate::pipeline::LogLine;
use crate::scenario::Consolidation;

/// What was asked of the pipeline.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub players: Vec<String>,
    pub predictions_per_player: usize,
    pub consolidation: Consolidation,
    /// As the scenario writes it, for evidence.
    pub within: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct EndState {
    pub plan: Plan,
    pub batch_id: String,
    /// The batch document, if there is one.
    pub batch: Option<Map<String, Value>>,
    pub batches_of_date: usize,
    /// Players whose completion got a 2xx.
    pub acknowledged: BTreeSet<String>,
    /// What each completion said it had staged, acknowledged or not.
    pub reported: BTreeMap<String, i64>,
    /// How many workers' requests were acknowledged: as many staging tables there were.
    pub staged_tables: usize,
    /// The main table's rows when they were seeded.
    pub seeded: Vec<MainRow>,
    pub main: Vec<MainRow>,
    pub staging_tables: Vec<String>,
    /// Staging tables of any batch that are older than a day.
    pub old_staging: Vec<String>,
    pub staged_keys: BTreeSet<Key>,
    pub announcements: Vec<Announcement>,
    pub log: Vec<LogLine>,
    /// Whether the batch came to its end in time.
    pub in_time: bool,
}

impl EndState {
    /// A field of the batch document.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.batch.as_ref()?.get(name)
    }

    /// A list of names in the batch document; repeated where they are.
    pub fn names(&self, field: &str) -> Vec<&str> {
        self.field(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Where the batch says that it stands.
    pub fn status(&self) -> &str {
        self.field("status").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether every player has reported, by the batch's own account.
    pub fn is_complete(&self) -> bool {
        self.field("is_complete").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether the consolidation succeeded, by the batch's own account.
    pub fn consolidated(&self) -> bool {
        self.status() == "complete"
    }

    /// Whether it failed, by the batch's own account.
    pub fn failed(&self) -> bool {
        self.status() == "failed"
    }
}
