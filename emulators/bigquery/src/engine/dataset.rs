//! What a dataset holds, and what is known of each table besides its rows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::Routine;
use serde_json::Value as Json;

use super::dropped::Dropped;
use super::partition::PartitionId;
use super::policy::RowPolicy;
use super::stream::StreamingBuffer;
use super::table::TableVersion;

/// A dataset. `metadata` keeps the REST fields that a user set and nothing computes:
/// `description`, `friendlyName`, `labels`, `access`, `defaultTableExpirationMs`, ….
#[derive(Debug, Default)]
pub struct Dataset {
    pub created: Timestamp,
    pub modified: Timestamp,
    pub metadata: serde_json::Map<String, Json>,
    pub tables: BTreeMap<String, TableEntry>,
    pub dropped: Dropped,
    pub routines: BTreeMap<String, RoutineEntry>,
    /// Holds query results: left out of lists.
    pub hidden: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableKind {
    Table,
    /// With `renames` the columns have the names of the view's own list, which the schema keeps.
    View {
        sql: String,
        renames: bool,
    },
    MaterializedView {
        sql: String,
        renames: bool,
    },
    Snapshot {
        of: scrimmage_googlesql::catalog::TablePath,
        at: Timestamp,
    },
    Clone {
        of: scrimmage_googlesql::catalog::TablePath,
        at: Timestamp,
    },
    /// Its rows are in files; the configuration is REST's, as text.
    External {
        configuration: String,
    },
}

impl TableKind {
    /// `type` of the REST resource.
    pub fn name(&self) -> &'static str {
        match self {
            TableKind::Table | TableKind::Clone { .. } => "TABLE",
            TableKind::View { .. } => "VIEW",
            TableKind::MaterializedView { .. } => "MATERIALIZED_VIEW",
            TableKind::Snapshot { .. } => "SNAPSHOT",
            TableKind::External { .. } => "EXTERNAL",
        }
    }
}

/// A table or view under one name.
#[derive(Debug)]
pub struct TableEntry {
    pub kind: TableKind,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// When the table goes by itself.
    pub expires: Option<Timestamp>,
    /// REST fields that a user set and nothing computes: `description`, `labels`, ….
    pub metadata: serde_json::Map<String, Json>,
    /// Newest last; never empty. Those of tables that CREATE OR REPLACE put this one in the place of come first.
    pub versions: VecDeque<Arc<TableVersion>>,
    /// The last commit that changed or removed rows of a partition: what makes a later change conflict.
    pub mutated: HashMap<PartitionId, u64>,
    pub stream: StreamingBuffer,
    /// Loads and query appends of one day (days since the epoch).
    pub imports: (i64, u32),
    pub next_segment: u64,
    /// The commit that made the table, or put it in another's place: what was read before fits no more.
    pub made: u64,
    /// Row access policies by id.
    pub policies: BTreeMap<String, RowPolicy>,
}

impl TableEntry {
    pub fn current(&self) -> &Arc<TableVersion> {
        // A table is made with one version and versions are only cut from the front down to one.
        &self.versions[self.versions.len() - 1]
    }
}

#[derive(Clone, Debug)]
pub struct RoutineEntry {
    pub created: Timestamp,
    pub modified: Timestamp,
    pub routine: Arc<Routine>,
    /// The REST resource's own fields (`routineType`, `language`, `arguments`, `definitionBody`, …).
    pub resource: serde_json::Map<String, Json>,
}
