//! `--data-dir`: datasets, tables, views, routines and row access policies on disk.
//!
//! The log `bigquery` gets one record for all that changed while somebody held the store, before the store is
//! let go: whatever was acknowledged is there after kill -9, and each change is there whole or not at all. Rows
//! are written once, when their segment first appears: small ones in the log, larger ones as files of their own
//! in `bigquery-segments`, which are complete under their name before a record mentions them. What cannot be
//! written stays to be written: the next try says the same again.
//!
//! Not kept: jobs, query results, sessions, the past of a table (time travel begins anew), and what was dropped.

pub mod codec;
pub mod record;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use scrimmage_core::{DataDir, DataError, Journal, Timestamp};
use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_googlesql::exec::column::{Batch, Column};

use crate::engine::Store;
use crate::engine::dataset::{RoutineEntry, TableEntry};
use crate::engine::restore::{RestoredTable, Touched};
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
    log: scrimmage_core::data::Keeper,
    folder: PathBuf,
    next_blob: u64,
    /// Where each is. A segment of the past may name one that is not there any more.
    blobs: HashMap<u64, Place>,
    datasets: BTreeSet<DatasetPath>,
    tables: BTreeMap<TablePath, Known>,
    routines: BTreeSet<TablePath>,
    /// How often the folder was opened.
    boot: u64,
}

/// Where a segment's rows are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Log,
    /// Whether it outlives the machine.
    File {
        synced: bool,
    },
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

/// A record that is being made, and what is known once the log has it.
#[derive(Default)]
struct Pending {
    changes: Vec<Change>,
    /// Forget everything first.
    cleared: bool,
    news: Vec<News>,
    blobs: Vec<(u64, Place)>,
}

enum News {
    Dataset(DatasetPath),
    DatasetGone(DatasetPath),
    Table(TablePath, Known),
    TableGone(TablePath),
    Routine(TablePath),
    RoutineGone(TablePath),
}

impl Keeper {
    /// How often the folder was opened, this time included.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Writes down what changed since the last call that went well.
    pub fn keep(&mut self, store: &mut Store) -> Result<(), DataError> {
        let touched = store.take_touched();
        if touched.is_empty() {
            return Ok(());
        }
        let written = self.pending(store, &touched).and_then(|pending| {
            if !pending.changes.is_empty() {
                self.log.append(vec![record::write(&pending.changes)])?;
            }
            Ok(pending)
        });
        match written {
            Ok(pending) => self.settle(pending),
            Err(error) => {
                // The next record says it all again.
                self.log.forget_missing();
                store.put_back(touched);
                return Err(error);
            }
        }
        self.tidy(store);
        Ok(())
    }

    /// What the log has to be told of what was touched. Files are written; nothing else changes.
    fn pending(&mut self, store: &Store, touched: &Touched) -> Result<Pending, DataError> {
        let mut pending = Pending { cleared: touched.cleared, ..Pending::default() };
        if touched.cleared {
            pending.changes.extend(self.datasets.iter().cloned().map(Change::DatasetGone));
        }
        for path in &touched.datasets {
            match store.datasets.get(path) {
                Some(dataset) if dataset.hidden => {}
                Some(dataset) => {
                    pending.news.push(News::Dataset(path.clone()));
                    pending.changes.push(Change::Dataset {
                        path: path.clone(),
                        created: dataset.created,
                        modified: dataset.modified,
                        metadata: dataset.metadata.clone(),
                    });
                }
                None if self.datasets.contains(path) && !touched.cleared => {
                    pending.news.push(News::DatasetGone(path.clone()));
                    pending.changes.push(Change::DatasetGone(path.clone()));
                }
                None => {}
            }
        }
        for path in &touched.tables {
            // Tables of a dataset that is gone went with it.
            if store.datasets.get(&DatasetPath::of(path)).is_none_or(|dataset| dataset.hidden) {
                continue;
            }
            match store.table(path) {
                Ok(entry) => self.table(path, entry, &mut pending)?,
                Err(_) => {
                    if self.tables.contains_key(path) && !touched.cleared {
                        pending.news.push(News::TableGone(path.clone()));
                        pending.changes.push(Change::TableGone(path.clone()));
                    }
                }
            }
        }
        for path in &touched.routines {
            match store.datasets.get(&DatasetPath::of(path)).and_then(|dataset| dataset.routines.get(&path.table)) {
                Some(entry) => {
                    pending.news.push(News::Routine(path.clone()));
                    pending.changes.push(Change::Routine(path.clone(), Box::new(entry.clone())));
                }
                None => {
                    if self.routines.contains(path) && !touched.cleared {
                        pending.news.push(News::RoutineGone(path.clone()));
                        pending.changes.push(Change::RoutineGone(path.clone()));
                    }
                }
            }
        }
        Ok(pending)
    }

    /// The log has it.
    fn settle(&mut self, pending: Pending) {
        if pending.cleared {
            self.datasets.clear();
            self.tables.clear();
            self.routines.clear();
        }
        self.blobs.extend(pending.blobs);
        for news in pending.news {
            match news {
                News::Dataset(path) => drop(self.datasets.insert(path)),
                News::DatasetGone(path) => {
                    let within = |table: &TablePath| DatasetPath::of(table) == path;
                    self.tables.retain(|table, _| !within(table));
                    self.routines.retain(|routine| !within(routine));
                    self.datasets.remove(&path);
                }
                News::Table(path, known) => drop(self.tables.insert(path, known)),
                News::TableGone(path) => drop(self.tables.remove(&path)),
                News::Routine(path) => drop(self.routines.insert(path)),
                News::RoutineGone(path) => drop(self.routines.remove(&path)),
            }
        }
    }

    /// The changes that lead from what the log says of a table to what it is.
    fn table(&mut self, path: &TablePath, entry: &TableEntry, pending: &mut Pending) -> Result<(), DataError> {
        let version = entry.current();
        let old = self.tables.get(path).filter(|_| !pending.cleared);
        let same_state = old.filter(|known| known.says(entry)).map(|known| known.state.clone());
        let before = old.map_or_else(Vec::new, |known| known.segments.clone());
        let same_time = old.is_some_and(|known| known.modified == entry.modified);
        let state = match same_state {
            Some(state) => state,
            None => {
                let state = state(entry);
                pending.changes.push(Change::Table(path.clone(), Box::new(state.clone())));
                state
            }
        };
        let same_rows = before.len() == version.segments.len()
            && before.iter().zip(&version.segments).all(|(before, now)| Arc::ptr_eq(before, now));
        if !same_rows || !same_time {
            let at: HashMap<*const Segment, usize> =
                before.iter().enumerate().map(|(at, segment)| (Arc::as_ptr(segment), at)).collect();
            let mut parts: Vec<Part> = Vec::new();
            for segment in &version.segments {
                match (at.get(&Arc::as_ptr(segment)), parts.last_mut()) {
                    (Some(at), Some(Part::Same(from, count))) if *from + *count == *at => *count += 1,
                    (Some(at), _) => parts.push(Part::Same(*at, 1)),
                    (None, _) => {
                        let blob = self.blob(segment, &version.shape, pending)?;
                        parts.push(Part::New(segment_state(segment, blob)));
                    }
                }
            }
            let rows = Rows { modified: entry.modified, next_segment: entry.next_segment, parts };
            pending.changes.push(Change::Rows(path.clone(), rows));
        }
        let known = Known { state, modified: entry.modified, segments: version.segments.clone() };
        pending.news.push(News::Table(path.clone(), known));
        Ok(())
    }

    /// The number of the segment's rows; written now where they never were.
    fn blob(&mut self, segment: &Segment, shape: &Shape, pending: &mut Pending) -> Result<u64, DataError> {
        let known = segment.kept.load(Ordering::Relaxed);
        if known != 0 && (self.blobs.contains_key(&known) || pending.blobs.iter().any(|(number, _)| *number == known)) {
            return Ok(known);
        }
        let number = self.next_blob;
        self.next_blob += 1;
        let bytes = encode(segment, shape);
        let place = if bytes.len() > INLINE {
            self.write_file(number, &bytes)?;
            Place::File { synced: false }
        } else {
            pending.changes.push(Change::Blob(number, bytes));
            Place::Log
        };
        pending.blobs.push((number, place));
        segment.kept.store(number, Ordering::Relaxed);
        Ok(number)
    }

    fn file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.rows"))
    }

    fn write_file(&self, number: u64, bytes: &[u8]) -> Result<(), DataError> {
        let (new, path) = (self.folder.join("new"), self.file(number));
        let written = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path));
        written.map_err(|problem| {
            // It may be what fills the disk.
            let _ = std::fs::remove_file(&new);
            DataError::Io { path, action: "it cannot be written", problem }
        })
    }

    /// Rewrites the log as all that there is, where it has grown enough, and drops files that nothing refers to. The
    /// log says the same as the store; where this fails, it goes on growing.
    fn tidy(&mut self, store: &Store) {
        if self.log.bytes() <= COMPACT_AT {
            return;
        }
        let live = live_blobs(store);
        if !self.sync(&live) {
            return;
        }
        let (blobs, boot) = (&self.blobs, self.boot);
        if self.log.tidy(|| whole(store, blobs, boot)) {
            self.forget_dead(&live);
        }
    }

    /// Rewrites the log now.
    #[cfg(test)]
    fn compact(&mut self, store: &Store) -> Result<(), DataError> {
        let live = live_blobs(store);
        assert!(self.sync(&live), "files can be synced");
        self.log.replace(whole(store, &self.blobs, self.boot))?;
        self.forget_dead(&live);
        Ok(())
    }

    /// A synced log must not name files that a dying machine takes along. False where that cannot be had.
    fn sync(&mut self, live: &HashSet<u64>) -> bool {
        for number in live {
            if self.blobs.get(number) == Some(&Place::File { synced: false }) {
                let synced = File::open(self.file(*number)).and_then(|file| file.sync_data());
                if let Err(error) = synced {
                    tracing::warn!(%error, "a file of rows cannot be synced");
                    return false;
                }
                self.blobs.insert(*number, Place::File { synced: true });
            }
        }
        true
    }

    fn forget_dead(&mut self, live: &HashSet<u64>) {
        self.sweep(live);
        self.blobs.retain(|number, _| live.contains(number));
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

fn kept_tables(store: &Store) -> impl Iterator<Item = (TablePath, &TableEntry)> {
    let datasets = store.datasets.iter().filter(|(_, dataset)| !dataset.hidden);
    datasets.flat_map(|(path, dataset)| {
        dataset.tables.iter().map(move |(name, entry)| {
            let (project, dataset) = (path.project.clone(), path.dataset.clone());
            (TablePath { project, dataset, table: name.clone() }, entry)
        })
    })
}

fn live_blobs(store: &Store) -> HashSet<u64> {
    let segments = kept_tables(store).flat_map(|(_, entry)| &entry.current().segments);
    segments.map(|segment| segment.kept.load(Ordering::Relaxed)).collect()
}

/// Records that stand for all that there is, each made when it is its turn: one for datasets and routines, one a table.
fn whole<'a>(store: &'a Store, blobs: &'a HashMap<u64, Place>, boot: u64) -> impl Iterator<Item = Vec<u8>> + 'a {
    let mut first = vec![Change::Boot(boot)];
    for (path, dataset) in store.datasets.iter().filter(|(_, dataset)| !dataset.hidden) {
        first.push(Change::Dataset {
            path: path.clone(),
            created: dataset.created,
            modified: dataset.modified,
            metadata: dataset.metadata.clone(),
        });
        first.extend(dataset.routines.iter().map(|(name, entry)| {
            let (project, dataset) = (path.project.clone(), path.dataset.clone());
            Change::Routine(TablePath { project, dataset, table: name.clone() }, Box::new(entry.clone()))
        }));
    }
    let tables = kept_tables(store).map(move |(path, entry)| {
        let version = entry.current();
        let mut changes = vec![Change::Table(path.clone(), Box::new(state(entry)))];
        let mut parts = Vec::with_capacity(version.segments.len());
        for segment in &version.segments {
            let number = segment.kept.load(Ordering::Relaxed);
            // Rows that are in the old log have to be in the new one; those in files stay there.
            if blobs.get(&number) == Some(&Place::Log) {
                changes.push(Change::Blob(number, encode(segment, &version.shape)));
            }
            parts.push(Part::New(segment_state(segment, number)));
        }
        let rows = Rows { modified: entry.modified, next_segment: entry.next_segment, parts };
        changes.push(Change::Rows(path, rows));
        record::write(&changes)
    });
    std::iter::once(record::write(&first)).chain(tables)
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
    boot: u64,
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
            Change::Boot(number) => self.boot = number,
            Change::Blob(number, bytes) => {
                self.last_blob = self.last_blob.max(number);
                self.blobs.insert(number, bytes);
            }
        }
        Ok(())
    }
}

/// Reads what is kept in the folder into a new store, as of `now`.
pub fn open(data: &DataDir, journal: &Arc<Journal>, now: Timestamp) -> Result<(Store, Keeper), DataError> {
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
        log: scrimmage_core::data::Keeper::new(log, "bigquery", journal).from_bytes(COMPACT_AT),
        folder,
        next_blob: replay.last_blob + 1,
        blobs: HashMap::new(),
        boot: replay.boot + 1,
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
        store.restore_table(now, &path, restored);
    }
    let _ = store.take_touched();
    let place = |number: u64| match replay.blobs.contains_key(&number) {
        true => (number, Place::Log),
        false => (number, Place::File { synced: false }),
    };
    keeper.blobs = rows.into_keys().map(place).collect();
    keeper.sweep(&keeper.blobs.keys().copied().collect());
    // A later process must know that there was this one.
    if let Err(error) = keeper.log.append(vec![record::write(&[Change::Boot(keeper.boot)])]) {
        // A folder on a full disk can be read all the same.
        tracing::warn!(%error, "names of this run may come again in the next");
        keeper.log.forget_missing();
    }
    // What is dead in the log was read once more; it need not be read again.
    keeper.tidy(&store);
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
mod tests;
