//! What changed since somebody last asked, and state put back as it was: the engine's side of `--data-dir`.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;
use serde_json::{Map, Value as Json};

use super::dataset::{Dataset, RoutineEntry, TableEntry, TableKind};
use super::policy::RowPolicy;
use super::store::{DatasetPath, Store};
use super::stream::StreamingBuffer;
use super::table::{Segment, Shape, TableVersion};

/// Names of what may have changed; each stands for what is there under it now, or for nothing any more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Touched {
    /// Everything was forgotten first.
    pub cleared: bool,
    pub datasets: BTreeSet<DatasetPath>,
    pub tables: BTreeSet<TablePath>,
    pub routines: BTreeSet<TablePath>,
}

impl Touched {
    pub fn is_empty(&self) -> bool {
        *self == Touched::default()
    }
}

/// A table as it was.
#[derive(Debug)]
pub struct RestoredTable {
    pub kind: TableKind,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub expires: Option<Timestamp>,
    pub metadata: Map<String, Json>,
    pub policies: BTreeMap<String, RowPolicy>,
    pub shape: Arc<Shape>,
    pub next_segment: u64,
    pub segments: Vec<Arc<Segment>>,
}

impl Store {
    /// What may have changed since the last call.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// It was not written down after all.
    pub fn put_back(&mut self, touched: Touched) {
        let Touched { cleared, datasets, tables, routines } = touched;
        self.touched.cleared |= cleared;
        self.touched.datasets.extend(datasets);
        self.touched.tables.extend(tables);
        self.touched.routines.extend(routines);
    }

    /// A dataset with everything in it.
    pub(super) fn touch_contents(&mut self, path: &DatasetPath) {
        self.touched.datasets.insert(path.clone());
        let Some(dataset) = self.datasets.get(path) else { return };
        let within = |name: &String| TablePath {
            project: path.project.clone(),
            dataset: path.dataset.clone(),
            table: name.clone(),
        };
        self.touched.tables.extend(dataset.tables.keys().map(within));
        self.touched.routines.extend(dataset.routines.keys().map(within));
    }

    /// Puts a dataset back, empty.
    pub fn restore_dataset(
        &mut self,
        path: DatasetPath,
        created: Timestamp,
        modified: Timestamp,
        metadata: Map<String, Json>,
    ) {
        self.datasets.insert(path, Dataset { created, modified, metadata, ..Dataset::default() });
    }

    /// Puts a table back; nothing happens where its dataset is missing. Its past is not there any more.
    pub fn restore_table(&mut self, now: Timestamp, path: &TablePath, table: RestoredTable) {
        let seq = self.next_seq();
        let Ok(dataset) = self.dataset_mut(&DatasetPath::of(path)) else { return };
        // A virtual clock may begin earlier than the one by which the table was written.
        let at = table.modified.min(now);
        let version = TableVersion::new(path.clone(), seq, at, table.shape, table.segments);
        let entry = TableEntry {
            kind: table.kind,
            created: table.created,
            modified: table.modified,
            expires: table.expires,
            metadata: table.metadata,
            versions: VecDeque::from([Arc::new(version)]),
            mutated: HashMap::new(),
            stream: StreamingBuffer::default(),
            imports: (0, 0),
            next_segment: table.next_segment,
            made: seq,
            policies: table.policies,
        };
        dataset.tables.insert(path.table.clone(), entry);
        self.expect(Some(Timestamp::EPOCH));
    }

    /// Puts a routine back; nothing happens where its dataset is missing.
    pub fn restore_routine(&mut self, path: &TablePath, entry: RoutineEntry) {
        if let Ok(dataset) = self.dataset_mut(&DatasetPath::of(path)) {
            dataset.routines.insert(path.table.clone(), entry);
        }
    }
}
