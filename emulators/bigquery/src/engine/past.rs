//! The bound on what time travel keeps: versions that newer ones took the place of, and tables that were
//! dropped. The oldest go first, whichever table they are of.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::sync::{Arc, Weak};

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;

use super::dataset::TableEntry;
use super::store::{DatasetPath, Store};
use super::table::{Segment, TableVersion};
use crate::limits;

/// What was the newest version of a table.
#[derive(Debug)]
pub(super) struct Superseded {
    version: Weak<TableVersion>,
    /// What would be freed with it, roughly.
    bytes: usize,
    /// The commit from which on readers do not see it.
    until: u64,
}

impl Superseded {
    /// By another version of the same table, which may share most of its rows.
    pub(super) fn by(newer: &TableVersion, older: &Arc<TableVersion>) -> Superseded {
        let stay: HashMap<u64, usize> =
            newer.segments.iter().map(|segment| (segment.id, segment.removed.len())).collect();
        let segments = older.segments.iter().map(|segment| match stay.get(&segment.id) {
            Some(removed) if *removed == segment.removed.len() => size_of::<Arc<Segment>>(),
            Some(_) => size_of::<Segment>() + segment.removed.len() * size_of::<u32>(),
            None => memory(segment),
        });
        let shape = if Arc::ptr_eq(&newer.shape, &older.shape) { 0 } else { SHAPE_BYTES };
        let bytes = VERSION_BYTES + shape + segments.sum::<usize>();
        Superseded { version: Arc::downgrade(older), bytes, until: newer.seq }
    }

    /// By nothing: the table was dropped with commit `until`.
    fn whole(version: &Arc<TableVersion>, until: u64) -> Superseded {
        let bytes = VERSION_BYTES + SHAPE_BYTES + version_memory(version);
        Superseded { version: Arc::downgrade(version), bytes, until }
    }
}

/// A version without its rows: names, lists and what the allocator adds.
const VERSION_BYTES: usize = 512;
/// A schema of a few columns.
const SHAPE_BYTES: usize = 1_024;

fn memory(segment: &Segment) -> usize {
    size_of::<Segment>() + segment.batch.memory() + segment.batch.columns.len() * 64
}

fn version_memory(version: &TableVersion) -> usize {
    version.segments.iter().map(|segment| memory(segment)).sum()
}

/// What all the tables' newest versions take in memory, roughly.
pub(super) fn tables_memory<'a>(tables: impl Iterator<Item = &'a TableEntry>) -> usize {
    tables.map(|entry| version_memory(entry.current())).sum()
}

/// A reader that wants to see every table as of one commit for as long as it lives.
pub(super) type Pin = Arc<u64>;

/// Oldest first.
#[derive(Debug, Default)]
pub(super) struct Past {
    superseded: VecDeque<Superseded>,
    bytes: usize,
    pins: Vec<Weak<u64>>,
}

impl Past {
    fn pin(&mut self, seq: u64) -> Pin {
        self.pins.retain(|pin| pin.strong_count() > 0);
        let pin = Arc::new(seq);
        self.pins.push(Arc::downgrade(&pin));
        pin
    }

    fn add(&mut self, superseded: Superseded) {
        self.bytes += superseded.bytes;
        self.superseded.push_back(superseded);
    }

    /// The oldest, where there is too much; none while somebody still reads it.
    fn crowded_out(&mut self) -> Option<Superseded> {
        let first = self.superseded.front().filter(|_| self.bytes > limits::PAST_BYTES)?;
        if self.pins.iter().filter_map(Weak::upgrade).any(|base| *base < first.until) {
            return None;
        }
        let first = self.superseded.pop_front()?;
        self.bytes -= first.bytes;
        Some(first)
    }
}

impl Store {
    /// Keeps what is there now for as long as somebody holds the answer.
    pub(super) fn pin(&mut self) -> Pin {
        let seq = self.seq();
        self.past.pin(seq)
    }

    /// Bounds what is kept of the past once more has become past.
    pub(super) fn remember(&mut self, superseded: Superseded) {
        self.past.add(superseded);
        while let Some(oldest) = self.past.crowded_out() {
            // Gone for another reason, most often with its table.
            let Some(version) = oldest.version.upgrade() else { continue };
            let Some(dataset) = self.datasets.get_mut(&DatasetPath::of(&version.path)) else { continue };
            match dataset.tables.get_mut(&version.path.table) {
                Some(entry) if holds(entry, &version) => forget_to(entry, &version),
                _ => dataset.dropped.forget_to(&version),
            }
        }
    }

    /// Keeps a table that is not there any more for those who ask for it as of before.
    pub(super) fn remember_dropped(&mut self, now: Timestamp, path: &TablePath, entry: TableEntry) {
        let whole = Superseded::whole(entry.current(), self.seq());
        let Some(dataset) = self.datasets.get_mut(&DatasetPath::of(path)) else { return };
        dataset.dropped.add(now, path.table.clone(), entry);
        self.remember(whole);
    }
}

/// Whether it is, or would be, among the entry's versions.
pub(super) fn holds(entry: &TableEntry, version: &TableVersion) -> bool {
    entry.versions.front().is_some_and(|first| first.seq <= version.seq) && version.seq <= entry.current().seq
}

/// Forgets versions up to this one, but for the newest few.
pub(super) fn forget_to(entry: &mut TableEntry, version: &TableVersion) {
    while entry.versions.len() > limits::VERSIONS_ANYWAY
        && entry.versions.front().is_some_and(|first| first.seq <= version.seq)
    {
        entry.versions.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use scrimmage_googlesql::catalog::Schema;
    use scrimmage_googlesql::exec::column::Batch;
    use scrimmage_googlesql::{Type, Value};
    use serde_json::Map;

    use super::*;
    use crate::engine::dataset::TableKind;
    use crate::engine::store::{NewTable, WriteMode};
    use crate::engine::table::{Shape, plain_column};
    use crate::engine::transaction::Transaction;

    const ROW_BYTES: usize = 1 << 20;
    /// More of them than may stay.
    const TOO_MANY: i64 = (limits::PAST_BYTES / ROW_BYTES) as i64 + 10;

    fn path(table: &str) -> TablePath {
        TablePath { project: "p".into(), dataset: "d".into(), table: table.into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn store() -> Store {
        let mut store = Store::default();
        store.create_dataset(at(0), &DatasetPath::new("p", "d"), Map::new()).expect("a dataset");
        store
    }

    fn create(store: &mut Store, second: i64, table: &str) {
        let shape = Shape::new(Schema { columns: vec![plain_column("text", Type::String)] }, None, Vec::new(), false);
        let new = NewTable { shape, kind: TableKind::Table, expires: None, metadata: Map::new() };
        store.create_table(at(second), &path(table), new, Vec::new(), false).expect("a table");
    }

    fn truncate(store: &mut Store, second: i64, table: &str) {
        let rows = Batch::from_rows(&[Type::String], [vec![Value::string("x".repeat(ROW_BYTES))]]);
        store.write(at(second), &path(table), None, vec![rows], WriteMode::Truncate, None).expect("written");
    }

    fn rows_as_of(store: &Store, now: i64, second: i64) -> Option<u64> {
        store.version_as_of(at(now), &path("t"), at(second)).ok().map(|version| version.rows)
    }

    #[test]
    fn the_oldest_versions_go_once_they_take_too_much() {
        let mut store = store();
        create(&mut store, 1, "t");
        create(&mut store, 1, "other");
        truncate(&mut store, 2, "other");
        truncate(&mut store, 3, "other");
        for second in 10..10 + TOO_MANY {
            truncate(&mut store, second, "t");
        }
        let now = 10 + TOO_MANY;
        assert!(store.past.bytes <= limits::PAST_BYTES, "{}", store.past.bytes);
        let kept = store.table(&path("t")).expect("there").versions.len();
        assert!((10..=16).contains(&kept), "{kept}");
        assert_eq!(rows_as_of(&store, now, 11), None);
        assert_eq!(rows_as_of(&store, now, now - 10), Some(1));
        let few = store.version_as_of(at(now), &path("other"), at(1)).map(|version| version.rows);
        assert_eq!(few.ok(), Some(0), "a table's newest few stay");
    }

    #[test]
    fn what_a_transaction_sees_stays() {
        let mut store = store();
        create(&mut store, 1, "t");
        let transaction = Transaction::begin(&mut store);
        let seen = |store: &Store| store.version_at(&path("t"), transaction.base()).expect("there").rows;
        for second in 2..2 + TOO_MANY {
            truncate(&mut store, second, "t");
        }
        assert_eq!(seen(&store), 0);
        assert!(store.past.bytes > limits::PAST_BYTES);
        drop(transaction);
        truncate(&mut store, 3 + TOO_MANY, "t");
        assert!(store.past.bytes <= limits::PAST_BYTES);
    }

    #[test]
    fn the_oldest_dropped_tables_go_too() {
        let mut store = store();
        for second in 1..=TOO_MANY {
            create(&mut store, second * 10, "t");
            truncate(&mut store, second * 10 + 1, "t");
            store.drop_table(at(second * 10 + 5), &path("t")).expect("dropped");
        }
        let now = TOO_MANY * 10 + 9;
        assert!(store.past.bytes <= limits::PAST_BYTES);
        assert_eq!(rows_as_of(&store, now, 12), None);
        assert_eq!(rows_as_of(&store, now, TOO_MANY * 10 + 2), Some(1));
        create(&mut store, now, "t");
        assert_eq!(store.table(&path("t")).expect("there").versions.len(), 1);
    }

    #[test]
    fn the_oldest_deleted_datasets_go_too() {
        let mut store = Store::default();
        let dataset = DatasetPath::new("p", "d");
        for second in 1..=TOO_MANY {
            store.create_dataset(at(second * 10), &dataset, Map::new()).expect("a dataset");
            create(&mut store, second * 10 + 1, "t");
            truncate(&mut store, second * 10 + 2, "t");
            store.delete_dataset(at(second * 10 + 5), &dataset, true).expect("deleted");
        }
        let now = at(TOO_MANY * 10 + 9);
        assert!(store.undelete_dataset(now, &dataset, Some(at(20))).is_err());
        store.undelete_dataset(now, &dataset, Some(at(TOO_MANY * 10 - 4))).expect("the last but one is there");
        assert_eq!(store.table(&path("t")).expect("with its table").current().rows, 1);
    }

    #[test]
    fn a_version_that_shares_its_rows_costs_little() {
        let mut store = store();
        create(&mut store, 1, "t");
        // Too many rows to be merged with others.
        let many = Batch::from_rows(&[Type::String], vec![vec![Value::string("x".repeat(500))]; 2_000]);
        store.write(at(2), &path("t"), None, vec![many], WriteMode::Append, None).expect("written");
        for second in 3..1_003 {
            let rows = Batch::from_rows(&[Type::String], [vec![Value::string("x")]]);
            store.write(at(second), &path("t"), None, vec![rows], WriteMode::Append, None).expect("written");
        }
        assert_eq!(store.table(&path("t")).expect("there").versions.len(), 1_002);
        assert!(store.past.bytes < 4 << 20, "{}", store.past.bytes);
    }
}
