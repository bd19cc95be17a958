//! `--data-dir`: datasets, tables, views, routines and row access policies on disk.
//!
//! The log `bigquery` gets one record for all that changed while somebody held the store, before the store is
//! let go: whatever was acknowledged is there after kill -9, and each change is there whole or not at all. Rows
//! are written once, when their segment first appears: small ones in the log, larger ones as files of their own
//! in `bigquery-segments`, which are complete under their name before a record mentions them.
//!
//! Not kept: jobs, query results, sessions, the past of a table (time travel begins anew), and what was dropped.

pub mod codec;
pub mod record;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use scrimmage_core::{DataDir, DataError, Timestamp};
use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_googlesql::exec::column::{Batch, Column};

use crate::engine::Store;
use crate::engine::dataset::{RoutineEntry, TableEntry};
use crate::engine::restore::RestoredTable;
use crate::engine::store::DatasetPath;
use crate::engine::table::{Segment, Shape};
use codec::{In, Out};
use record::{Change, Part, Rows, SegmentState, TableState};

/// Rows larger than this go to a file.
const INLINE: usize = 128 << 10;
/// A log is rewritten once it is this long, and twice as long as when it was rewritten last.
const COMPACT_AT: u64 = 32 << 20;

/// The writer of one store's log.
#[derive(Debug)]
pub struct Keeper {
    log: scrimmage_core::data::Log,
    folder: PathBuf,
    next_blob: u64,
    /// Those that the log or a file has. A segment of the past may name one that is not there any more.
    blobs: HashSet<u64>,
    /// The log's length when it was new or rewritten.
    compacted: u64,
    datasets: BTreeSet<DatasetPath>,
    tables: BTreeMap<TablePath, Known>,
    routines: BTreeSet<TablePath>,
}

/// What the log says of a table.
#[derive(Debug)]
struct Known {
    state: TableState,
    modified: Timestamp,
    segments: Vec<Arc<Segment>>,
}

impl Known {
    fn says(&self, entry: &TableEntry) -> bool {
        let state = &self.state;
        Arc::ptr_eq(&state.shape, &entry.current().shape)
            && state.created == entry.created
            && state.expires == entry.expires
            && state.kind == entry.kind
            && state.policies == entry.policies
            && state.metadata == entry.metadata
    }
}

fn state(entry: &TableEntry) -> TableState {
    TableState {
        kind: entry.kind.clone(),
        created: entry.created,
        expires: entry.expires,
        metadata: entry.metadata.clone(),
        policies: entry.policies.clone(),
        shape: entry.current().shape.clone(),
    }
}

impl Keeper {
    /// Writes down what changed since the last call.
    pub fn keep(&mut self, store: &mut Store) -> Result<(), DataError> {
        let touched = store.take_touched();
        if touched.is_empty() {
            return Ok(());
        }
        if touched.cleared {
            self.datasets.clear();
            self.tables.clear();
            self.routines.clear();
            return self.compact(store);
        }
        let mut changes = Vec::new();
        for path in &touched.datasets {
            match store.datasets.get(path) {
                Some(dataset) if dataset.hidden => {}
                Some(dataset) => {
                    self.datasets.insert(path.clone());
                    changes.push(Change::Dataset {
                        path: path.clone(),
                        created: dataset.created,
                        modified: dataset.modified,
                        metadata: dataset.metadata.clone(),
                    });
                }
                None if self.datasets.remove(path) => {
                    let within = |table: &TablePath| DatasetPath::of(table) == *path;
                    self.tables.retain(|table, _| !within(table));
                    self.routines.retain(|routine| !within(routine));
                    changes.push(Change::DatasetGone(path.clone()));
                }
                None => {}
            }
        }
        for path in &touched.tables {
            if !self.datasets.contains(&DatasetPath::of(path)) {
                continue;
            }
            match store.table(path) {
                Ok(entry) => self.table(path, entry, &mut changes)?,
                Err(_) => {
                    if self.tables.remove(path).is_some() {
                        changes.push(Change::TableGone(path.clone()));
                    }
                }
            }
        }
        for path in &touched.routines {
            match store.datasets.get(&DatasetPath::of(path)).and_then(|dataset| dataset.routines.get(&path.table)) {
                Some(entry) => {
                    self.routines.insert(path.clone());
                    changes.push(Change::Routine(path.clone(), Box::new(entry.clone())));
                }
                None => {
                    if self.routines.remove(path) {
                        changes.push(Change::RoutineGone(path.clone()));
                    }
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.log.append(&record::write(&changes))?;
        if self.log.bytes() > COMPACT_AT.max(self.compacted.saturating_mul(2)) {
            self.compact(store)?;
        }
        Ok(())
    }

    /// The changes that lead from what the log says of a table to what it is.
    fn table(&mut self, path: &TablePath, entry: &TableEntry, changes: &mut Vec<Change>) -> Result<(), DataError> {
        let version = entry.current();
        let old = self.tables.remove(path);
        let same_state = old.as_ref().filter(|known| known.says(entry)).map(|known| known.state.clone());
        let state = match same_state {
            Some(state) => state,
            None => {
                let state = state(entry);
                changes.push(Change::Table(path.clone(), Box::new(state.clone())));
                state
            }
        };
        let before = old.as_ref().map_or(&[][..], |known| &known.segments);
        let same_rows = before.len() == version.segments.len()
            && before.iter().zip(&version.segments).all(|(before, now)| Arc::ptr_eq(before, now));
        let same_time = old.as_ref().is_some_and(|known| known.modified == entry.modified);
        if !same_rows || !same_time {
            let at: HashMap<*const Segment, usize> =
                before.iter().enumerate().map(|(at, segment)| (Arc::as_ptr(segment), at)).collect();
            let mut parts: Vec<Part> = Vec::new();
            for segment in &version.segments {
                match (at.get(&Arc::as_ptr(segment)), parts.last_mut()) {
                    (Some(at), Some(Part::Same(from, count))) if *from + *count == *at => *count += 1,
                    (Some(at), _) => parts.push(Part::Same(*at, 1)),
                    (None, _) => {
                        let blob = self.blob(segment, &version.shape, changes)?;
                        parts.push(Part::New(segment_state(segment, blob)));
                    }
                }
            }
            let rows = Rows { modified: entry.modified, next_segment: entry.next_segment, parts };
            changes.push(Change::Rows(path.clone(), rows));
        }
        let known = Known { state, modified: entry.modified, segments: version.segments.clone() };
        self.tables.insert(path.clone(), known);
        Ok(())
    }

    /// The number of the segment's rows; written now where they never were.
    fn blob(&mut self, segment: &Segment, shape: &Shape, changes: &mut Vec<Change>) -> Result<u64, DataError> {
        let known = segment.kept.load(Ordering::Relaxed);
        if known != 0 && self.blobs.contains(&known) {
            return Ok(known);
        }
        let number = self.next_blob;
        let bytes = encode(segment, shape);
        if bytes.len() > INLINE {
            self.write_file(number, &bytes)?;
        } else {
            changes.push(Change::Blob(number, bytes));
        }
        self.next_blob += 1;
        self.blobs.insert(number);
        segment.kept.store(number, Ordering::Relaxed);
        Ok(number)
    }

    fn file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.rows"))
    }

    fn write_file(&self, number: u64, bytes: &[u8]) -> Result<(), DataError> {
        let (new, path) = (self.folder.join("new"), self.file(number));
        std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path)).map_err(|problem| DataError::Io {
            path,
            action: "it cannot be written",
            problem,
        })
    }

    /// Rewrites the log as one record of all that there is, and drops files that nothing refers to.
    fn compact(&mut self, store: &mut Store) -> Result<(), DataError> {
        let mut changes = Vec::new();
        let mut written = HashSet::new();
        self.datasets.clear();
        self.tables.clear();
        self.routines.clear();
        for (path, dataset) in store.datasets.iter().filter(|(_, dataset)| !dataset.hidden) {
            self.datasets.insert(path.clone());
            changes.push(Change::Dataset {
                path: path.clone(),
                created: dataset.created,
                modified: dataset.modified,
                metadata: dataset.metadata.clone(),
            });
            let within = |name: &String| TablePath {
                project: path.project.clone(),
                dataset: path.dataset.clone(),
                table: name.clone(),
            };
            for (name, entry) in &dataset.tables {
                let path = within(name);
                // Rows that are in the old log have to be in the new one; those in files stay there.
                for segment in &entry.current().segments {
                    let number = segment.kept.load(Ordering::Relaxed);
                    if self.blobs.contains(&number) && written.insert(number) && !self.file(number).exists() {
                        changes.push(Change::Blob(number, encode(segment, &entry.current().shape)));
                    }
                }
                self.table(&path, entry, &mut changes)?;
                written.extend(entry.current().segments.iter().map(|segment| segment.kept.load(Ordering::Relaxed)));
            }
            for (name, entry) in &dataset.routines {
                self.routines.insert(within(name));
                changes.push(Change::Routine(within(name), Box::new(entry.clone())));
            }
        }
        self.log.replace([record::write(&changes)])?;
        self.compacted = self.log.bytes();
        self.sweep(&written);
        self.blobs = written;
        Ok(())
    }

    /// Files that cannot go now go another time: nothing refers to them.
    fn sweep(&self, live: &HashSet<u64>) {
        for file in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = file.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".rows")?.parse::<u64>().ok());
            if number.is_none_or(|number| !live.contains(&number)) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

fn segment_state(segment: &Segment, blob: u64) -> SegmentState {
    SegmentState {
        id: segment.id,
        partition: segment.partition,
        blob,
        removed: segment.removed.to_vec(),
        buffered_until: segment.buffered_until,
    }
}

/// A segment's rows, those that are gone too: the numbers of the others must stay.
fn encode(segment: &Segment, shape: &Shape) -> Vec<u8> {
    let columns: Vec<(u32, &Type, &Column)> = shape
        .storage
        .iter()
        .zip(&shape.schema.columns)
        .filter_map(|(id, definition)| Some((*id, &definition.ty, &**segment.column(*id)?)))
        .collect();
    let mut out = Out::default();
    out.batch(&columns, segment.batch.len);
    out.0
}

/// What the log told, before rows are read.
#[derive(Debug, Default)]
struct Replay {
    datasets: BTreeMap<DatasetPath, (Timestamp, Timestamp, serde_json::Map<String, serde_json::Value>)>,
    tables: BTreeMap<TablePath, ReplayedTable>,
    routines: BTreeMap<TablePath, RoutineEntry>,
    blobs: HashMap<u64, Vec<u8>>,
    last_blob: u64,
}

#[derive(Debug)]
struct ReplayedTable {
    state: TableState,
    modified: Timestamp,
    next_segment: u64,
    segments: Vec<SegmentState>,
}

impl Replay {
    fn apply(&mut self, change: Change) -> Result<(), String> {
        match change {
            Change::Dataset { path, created, modified, metadata } => {
                self.datasets.insert(path, (created, modified, metadata));
            }
            Change::DatasetGone(path) => {
                self.datasets.remove(&path);
                self.tables.retain(|table, _| DatasetPath::of(table) != path);
                self.routines.retain(|routine, _| DatasetPath::of(routine) != path);
            }
            Change::Table(path, state) => match self.tables.get_mut(&path) {
                Some(table) => table.state = *state,
                None => {
                    let modified = state.created;
                    let table = ReplayedTable { state: *state, modified, next_segment: 0, segments: Vec::new() };
                    self.tables.insert(path, table);
                }
            },
            Change::TableGone(path) => drop(self.tables.remove(&path)),
            Change::Rows(path, rows) => {
                let table = self.tables.get_mut(&path).ok_or_else(|| format!("rows of no table: {path:?}"))?;
                let mut segments = Vec::new();
                for part in rows.parts {
                    match part {
                        Part::Same(from, count) => {
                            let end = from.checked_add(count).ok_or("a part is too long")?;
                            let same = table.segments.get(from..end).ok_or("a part is not there")?;
                            segments.extend_from_slice(same);
                        }
                        Part::New(segment) => {
                            self.last_blob = self.last_blob.max(segment.blob);
                            segments.push(segment);
                        }
                    }
                }
                (table.segments, table.modified, table.next_segment) = (segments, rows.modified, rows.next_segment);
            }
            Change::Routine(path, entry) => drop(self.routines.insert(path, *entry)),
            Change::RoutineGone(path) => drop(self.routines.remove(&path)),
            Change::Blob(number, bytes) => {
                self.last_blob = self.last_blob.max(number);
                self.blobs.insert(number, bytes);
            }
        }
        Ok(())
    }
}

/// Reads what is kept in the folder into a new store.
pub fn open(data: &DataDir) -> Result<(Store, Keeper), DataError> {
    let folder = data.path().join("bigquery-segments");
    std::fs::create_dir_all(&folder).map_err(|problem| DataError::Io {
        path: folder.clone(),
        action: "it cannot be made",
        problem,
    })?;
    let mut replay = Replay::default();
    let log = data.log("bigquery", |bytes| {
        for change in record::read(bytes)? {
            replay.apply(change)?;
        }
        Ok(())
    })?;
    let mut keeper = Keeper {
        compacted: log.bytes(),
        log,
        folder,
        next_blob: replay.last_blob + 1,
        blobs: HashSet::new(),
        datasets: BTreeSet::new(),
        tables: BTreeMap::new(),
        routines: BTreeSet::new(),
    };
    let mut store = Store::default();
    for (path, (created, modified, metadata)) in std::mem::take(&mut replay.datasets) {
        keeper.datasets.insert(path.clone());
        store.restore_dataset(path, created, modified, metadata);
    }
    for (path, entry) in std::mem::take(&mut replay.routines) {
        keeper.routines.insert(path.clone());
        store.restore_routine(&path, entry);
    }
    let mut rows: HashMap<u64, Blob> = HashMap::new();
    for (path, table) in std::mem::take(&mut replay.tables) {
        let mut segments = Vec::with_capacity(table.segments.len());
        for state in table.segments {
            let (storage, batch, kept) = match rows.entry(state.blob) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(read_blob(&keeper, &replay.blobs, state.blob)?),
            };
            let mut segment = Segment::new(state.id, state.partition, storage.clone(), batch.clone());
            segment.kept = kept.clone();
            segment.buffered_until = state.buffered_until;
            let live = state.removed.iter().all(|row| (*row as usize) < batch.len);
            if !live {
                return Err(damaged(keeper.file(state.blob), "a row that is gone was never there".to_owned()));
            }
            segments.push(Arc::new(if state.removed.is_empty() { segment } else { segment.without(&state.removed) }));
        }
        let known = Known { state: table.state.clone(), modified: table.modified, segments: segments.clone() };
        keeper.tables.insert(path.clone(), known);
        let TableState { kind, created, expires, metadata, policies, shape } = table.state;
        let restored = RestoredTable {
            kind,
            created,
            modified: table.modified,
            expires,
            metadata,
            policies,
            shape,
            next_segment: table.next_segment,
            segments,
        };
        store.restore_table(&path, restored);
    }
    let _ = store.take_touched();
    keeper.blobs = rows.into_keys().collect();
    keeper.sweep(&keeper.blobs);
    // What is dead in the log was read once more; it need not be read again.
    if keeper.log.bytes() > COMPACT_AT {
        keeper.compact(&mut store)?;
    }
    Ok((store, keeper))
}

fn damaged(path: PathBuf, problem: String) -> DataError {
    DataError::Record { path, record: 1, problem }
}

/// Rows as they lie in a file: how they are stored, their values, and which blob it is.
type Blob = (Arc<[u32]>, Batch, Arc<AtomicU64>);

fn read_blob(keeper: &Keeper, inline: &HashMap<u64, Vec<u8>>, number: u64) -> Result<Blob, DataError> {
    let path = keeper.file(number);
    let read = match inline.get(&number) {
        Some(bytes) => In::new(bytes).batch(),
        None => {
            let bytes = std::fs::read(&path).map_err(|problem| DataError::Io {
                path: path.clone(),
                action: "it cannot be read",
                problem,
            })?;
            In::new(&bytes).batch()
        }
    };
    let (storage, batch) = read.map_err(|problem| damaged(path, problem))?;
    Ok((storage, batch, Arc::new(AtomicU64::new(number))))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use scrimmage_googlesql::Value;
    use scrimmage_googlesql::catalog::Schema;

    use super::*;
    use crate::engine::dataset::TableKind;
    use crate::engine::store::{NewTable, WriteMode};
    use crate::engine::table::plain_column;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn path(table: &str) -> TablePath {
        TablePath { project: "p".into(), dataset: "d".into(), table: table.into() }
    }

    fn batch(numbers: std::ops::Range<i64>) -> Batch {
        Batch::from_rows(&[Type::Int64], numbers.map(|number| vec![Value::Int64(number)]))
    }

    fn create(store: &mut Store, table: &str) {
        let schema = Schema { columns: vec![plain_column("n", Type::Int64)] };
        let shape = Shape::new(schema, None, Vec::new(), false);
        let new = NewTable { shape, kind: TableKind::Table, expires: None, metadata: Map::new() };
        store.create_table(NOW, &path(table), new, Vec::new(), false).expect("a table");
    }

    fn append(store: &mut Store, table: &str, rows: Batch) {
        store.write(NOW, &path(table), None, vec![rows], WriteMode::Append, None).expect("written");
    }

    fn files(data: &DataDir) -> usize {
        std::fs::read_dir(data.path().join("bigquery-segments")).expect("a folder").count()
    }

    #[test]
    fn what_was_compacted_away_is_written_again_when_it_comes_back() {
        let temporary = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(temporary.path()).expect("it can be made");
        let (mut store, mut keeper) = open(&data).expect("empty");
        let dataset = DatasetPath::new("p", "d");
        store.create_dataset(NOW, &dataset, Map::new()).expect("a dataset");
        create(&mut store, "small");
        append(&mut store, "small", batch(0..10));
        create(&mut store, "large");
        append(&mut store, "large", batch(0..100_000));
        keeper.keep(&mut store).expect("kept");
        assert_eq!(files(&data), 1, "large rows have a file");
        let before = keeper.log.bytes();
        append(&mut store, "small", batch(10..11));
        keeper.keep(&mut store).expect("kept");
        assert!(keeper.log.bytes() - before < 100, "only what is new is written");

        store.delete_dataset(NOW, &dataset, true).expect("deleted");
        keeper.keep(&mut store).expect("kept");
        keeper.compact(&mut store).expect("compacted");
        assert_eq!(files(&data), 0);
        store.undelete_dataset(NOW, &dataset, None).expect("back");
        keeper.keep(&mut store).expect("kept");
        for round in 0..2 {
            let rows = |store: &Store, table| store.table(&path(table)).expect("there").current().rows;
            drop(keeper);
            (store, keeper) = open(&data).expect("it opens");
            assert_eq!((rows(&store, "small"), rows(&store, "large"), files(&data)), (11, 100_000, 1), "round {round}");
            keeper.compact(&mut store).expect("compacted");
        }
        store.clear();
        keeper.keep(&mut store).expect("kept");
        drop(keeper);
        assert!(open(&data).expect("it opens").0.datasets.is_empty());
        assert_eq!(files(&data), 0);
    }

    #[test]
    fn hidden_datasets_are_not_kept() {
        let temporary = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(temporary.path()).expect("it can be made");
        let (mut store, mut keeper) = open(&data).expect("empty");
        let dataset = DatasetPath::new("p", "d");
        store.create_dataset(NOW, &dataset, Map::new()).expect("a dataset");
        store.dataset_mut(&dataset).expect("there").hidden = true;
        create(&mut store, "t");
        keeper.keep(&mut store).expect("kept");
        assert_eq!(keeper.log.bytes(), 16, "the header alone");
    }
}
