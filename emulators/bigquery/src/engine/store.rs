//! All datasets and tables, and the commits that change them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{DmlStats, Routine, Schema, TableChange, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use serde_json::{Map, Value as Json};

use super::dataset::{Dataset, RoutineEntry, TableEntry, TableKind};
use super::dml_queue::DmlQueue;
use super::error::{EngineError, Result};
use super::partition::{PartitionId, Partitioning};
use super::stream::StreamingBuffer;
use super::table::{Segment, Shape, TableVersion};
use crate::limits;

/// A dataset's full name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DatasetPath {
    pub project: String,
    pub dataset: String,
}

impl DatasetPath {
    pub fn new(project: &str, dataset: &str) -> DatasetPath {
        DatasetPath { project: project.to_owned(), dataset: dataset.to_owned() }
    }

    pub fn of(path: &TablePath) -> DatasetPath {
        DatasetPath::new(&path.project, &path.dataset)
    }

    fn missing(&self) -> EngineError {
        EngineError::DatasetNotFound { project: self.project.clone(), dataset: self.dataset.clone() }
    }
}

/// How a table is to be made.
#[derive(Clone, Debug)]
pub struct NewTable {
    pub shape: Shape,
    pub kind: TableKind,
    pub expires: Option<Timestamp>,
    pub metadata: Map<String, Json>,
}

/// What becomes of the rows that are there when others are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteMode {
    Append,
    /// Every row goes; with a partition only its own.
    Truncate,
}

/// The state of one BigQuery. Commits are numbered; a reader at number N sees what N and before wrote.
#[derive(Debug, Default)]
pub struct Store {
    pub datasets: BTreeMap<DatasetPath, Dataset>,
    pub dml: DmlQueue,
    seq: u64,
}

impl Store {
    /// The newest commit.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    // ------------------------------------------------------------ datasets

    pub fn create_dataset(
        &mut self,
        now: Timestamp,
        path: &DatasetPath,
        metadata: Map<String, Json>,
    ) -> Result<&Dataset> {
        if self.datasets.contains_key(path) {
            return Err(EngineError::DatasetExists { project: path.project.clone(), dataset: path.dataset.clone() });
        }
        let dataset = Dataset { created: now, modified: now, metadata, ..Dataset::default() };
        Ok(self.datasets.entry(path.clone()).or_insert(dataset))
    }

    pub fn dataset(&self, path: &DatasetPath) -> Result<&Dataset> {
        self.datasets.get(path).ok_or_else(|| path.missing())
    }

    pub fn dataset_mut(&mut self, path: &DatasetPath) -> Result<&mut Dataset> {
        self.datasets.get_mut(path).ok_or_else(|| path.missing())
    }

    pub fn delete_dataset(&mut self, path: &DatasetPath, with_contents: bool) -> Result<()> {
        let dataset = self.dataset(path)?;
        if !with_contents && !(dataset.tables.is_empty() && dataset.routines.is_empty()) {
            return Err(EngineError::DatasetInUse { project: path.project.clone(), dataset: path.dataset.clone() });
        }
        self.datasets.remove(path);
        Ok(())
    }

    // ------------------------------------------------------------ tables

    pub fn table(&self, path: &TablePath) -> Result<&TableEntry> {
        self.dataset(&DatasetPath::of(path))?
            .tables
            .get(&path.table)
            .ok_or_else(|| EngineError::TableNotFound(path.clone()))
    }

    pub fn table_mut(&mut self, path: &TablePath) -> Result<&mut TableEntry> {
        self.dataset_mut(&DatasetPath::of(path))?
            .tables
            .get_mut(&path.table)
            .ok_or_else(|| EngineError::TableNotFound(path.clone()))
    }

    /// The version that a reader at commit `seq` sees.
    pub fn version_at(&self, path: &TablePath, seq: u64) -> Result<Arc<TableVersion>> {
        let entry = self.table(path)?;
        // A table that came after the reader's start is seen as it began: a script's own CREATE, or a
        // query that was analyzed while somebody created it.
        let version = entry.versions.iter().rev().find(|version| version.seq <= seq).or_else(|| entry.versions.front());
        version.cloned().ok_or_else(|| EngineError::TableNotFound(path.clone()))
    }

    /// The version that was current at `at` (FOR SYSTEM_TIME AS OF).
    pub fn version_as_of(&self, now: Timestamp, path: &TablePath, at: Timestamp) -> Result<Arc<TableVersion>> {
        let entry = self.table(path)?;
        let oldest = entry.versions.front().map_or(entry.created, |version| version.at).max(now - limits::TIME_TRAVEL);
        let found = entry.versions.iter().rev().find(|version| version.at <= at);
        match found {
            Some(version) if at + limits::TIME_TRAVEL >= now => Ok(version.clone()),
            _ => Err(EngineError::Invalid(format!(
                "Invalid time travel timestamp {at} for table {project}:{dataset}.{table}@{at}. Cannot read before {oldest}.",
                at = at.as_millis(),
                project = path.project,
                dataset = path.dataset,
                table = path.table,
                oldest = oldest.as_millis()
            ))),
        }
    }

    /// Makes a table (or view) with its first rows. `replace` drops one of that name first.
    pub fn create_table(
        &mut self,
        now: Timestamp,
        path: &TablePath,
        new: NewTable,
        rows: Vec<Batch>,
        replace: bool,
    ) -> Result<Arc<TableVersion>> {
        let seq = self.next_seq();
        let dataset = self.dataset_mut(&DatasetPath::of(path))?;
        if !replace && dataset.tables.contains_key(&path.table) {
            return Err(EngineError::TableExists(path.clone()));
        }
        let expires = new.expires.or_else(|| {
            let default =
                dataset.metadata.get("defaultTableExpirationMs").and_then(|value| value.as_str()?.parse::<u64>().ok());
            default.map(|ms| now + std::time::Duration::from_millis(ms))
        });
        let shape = Arc::new(new.shape);
        let mut entry = TableEntry {
            kind: new.kind,
            created: now,
            modified: now,
            expires,
            metadata: new.metadata,
            versions: VecDeque::new(),
            mutated: HashMap::new(),
            stream: StreamingBuffer::default(),
            next_segment: 0,
        };
        let segments = make_segments(&mut entry.next_segment, now, &shape, rows);
        let version = Arc::new(TableVersion::new(path.clone(), seq, now, shape, segments));
        entry.versions.push_back(version.clone());
        dataset.tables.insert(path.table.clone(), entry);
        Ok(version)
    }

    pub fn drop_table(&mut self, path: &TablePath) -> Result<TableEntry> {
        self.next_seq();
        self.dataset_mut(&DatasetPath::of(path))?
            .tables
            .remove(&path.table)
            .ok_or_else(|| EngineError::TableNotFound(path.clone()))
    }

    pub fn rename_table(&mut self, now: Timestamp, from: &TablePath, to: &TablePath) -> Result<()> {
        if self.table(to).is_ok() {
            return Err(EngineError::TableExists(to.clone()));
        }
        let mut entry = self.drop_table(from)?;
        let seq = self.next_seq();
        let current = entry.current().clone();
        let version = TableVersion::new(to.clone(), seq, now, current.shape.clone(), current.segments.clone());
        entry.versions = VecDeque::from([Arc::new(version)]);
        entry.modified = now;
        self.dataset_mut(&DatasetPath::of(to))?.tables.insert(to.table.clone(), entry);
        Ok(())
    }

    /// Changes what a table is; rows stay.
    pub fn alter(&mut self, now: Timestamp, path: &TablePath, shape: Shape) -> Result<()> {
        let seq = self.next_seq();
        let entry = self.table_mut(path)?;
        let segments = entry.current().segments.clone();
        push_version(entry, now, TableVersion::new(path.clone(), seq, now, Arc::new(shape), segments));
        Ok(())
    }

    /// Writes rows outside of DML: load jobs, query destinations, `insertAll`. Never conflicts.
    ///
    /// `partition` limits a truncation to that partition, and refuses rows of any other.
    pub fn write(
        &mut self,
        now: Timestamp,
        path: &TablePath,
        rows: Vec<Batch>,
        mode: WriteMode,
        partition: Option<PartitionId>,
    ) -> Result<u64> {
        let seq = self.next_seq();
        let entry = self.table_mut(path)?;
        let current = entry.current().clone();
        let added = make_segments(&mut entry.next_segment, now, &current.shape, rows);
        if let (Some(wanted), Some(partitioning)) = (partition, &current.shape.partitioning)
            && let Some(other) = added.iter().find(|segment| segment.partition != wanted)
        {
            return Err(EngineError::Invalid(format!(
                "Some rows belong to different partitions rather than destination partition {}; first: {}",
                partitioning.show(wanted),
                partitioning.show(other.partition)
            )));
        }
        let count = added.iter().map(|segment| segment.live() as u64).sum();
        let mut segments: Vec<Arc<Segment>> = match (mode, partition) {
            (WriteMode::Append, _) => current.segments.clone(),
            (WriteMode::Truncate, Some(gone)) => {
                current.segments.iter().filter(|segment| segment.partition != gone).cloned().collect()
            }
            (WriteMode::Truncate, None) => Vec::new(),
        };
        if mode == WriteMode::Truncate {
            for segment in &current.segments {
                entry.mutated.insert(segment.partition, seq);
            }
        }
        segments.extend(added);
        push_version(entry, now, TableVersion::new(path.clone(), seq, now, current.shape.clone(), segments));
        Ok(count)
    }

    /// Streams rows in: they can be read at once and not be changed for a while.
    pub fn write_streaming(&mut self, now: Timestamp, path: &TablePath, rows: Batch) -> Result<()> {
        let seq = self.next_seq();
        let entry = self.table_mut(path)?;
        let current = entry.current().clone();
        let count = rows.len as u64;
        let added = make_segments(&mut entry.next_segment, now, &current.shape, vec![rows]);
        let mut segments = current.segments.clone();
        segments.extend(added.into_iter().map(|segment| {
            let mut buffered = segment.without(&[]);
            buffered.buffered_until = Some(now + limits::STREAMING_BUFFER);
            Arc::new(buffered)
        }));
        entry.stream.oldest.get_or_insert(now);
        entry.stream.rows += count;
        push_version(entry, now, TableVersion::new(path.clone(), seq, now, current.shape.clone(), segments));
        Ok(())
    }

    /// Puts a DML statement's change on top of the newest version.
    ///
    /// `base` is the commit the statement read at. A change that removes rows of a partition whose rows another
    /// statement changed or removed after `base` is refused with [`EngineError::Conflict`]; one that only adds
    /// rows never is.
    pub fn apply(&mut self, now: Timestamp, change: &TableChange, base: u64) -> Result<DmlStats> {
        let path = change.table.path().clone();
        let read = self.version_at(&path, base)?;
        let seq = self.seq + 1;
        let entry = self.table_mut(&path)?;
        let current = entry.current().clone();

        let mut removed: HashMap<u64, Vec<u32>> = HashMap::new();
        let mut touched: HashSet<PartitionId> = HashSet::new();
        if change.truncate {
            touched.extend(read.segments.iter().map(|segment| segment.partition));
        }
        for row in &change.removed {
            let (index, within) = TableVersion::locate(*row);
            let segment = read.segments.get(index).ok_or_else(|| EngineError::Conflict(path.clone()))?;
            if segment.buffered_until.is_some_and(|until| until > now) {
                return Err(EngineError::StreamingBuffer(path));
            }
            touched.insert(segment.partition);
            removed.entry(segment.id).or_default().push(within);
        }
        if touched.iter().any(|partition| entry.mutated.get(partition).is_some_and(|last| *last > base)) {
            return Err(EngineError::Conflict(path));
        }

        let mut segments = Vec::with_capacity(current.segments.len() + 1);
        let mut found = 0;
        for segment in &current.segments {
            match removed.get(&segment.id) {
                Some(rows) => {
                    found += 1;
                    let left = segment.without(rows);
                    if left.live() > 0 {
                        segments.push(Arc::new(left));
                    }
                }
                None if change.truncate => {}
                None => segments.push(segment.clone()),
            }
        }
        if found < removed.len() {
            return Err(EngineError::Conflict(path));
        }
        let added = change.added.clone();
        segments.extend(make_segments(&mut entry.next_segment, now, &read.shape, added));
        for partition in touched {
            entry.mutated.insert(partition, seq);
        }
        push_version(entry, now, TableVersion::new(path, seq, now, current.shape.clone(), segments));
        self.seq = seq;
        Ok(change.stats)
    }

    // ------------------------------------------------------------ routines

    pub fn create_routine(
        &mut self,
        now: Timestamp,
        path: &TablePath,
        routine: Routine,
        resource: Map<String, Json>,
        replace: bool,
    ) -> Result<()> {
        let dataset = self.dataset_mut(&DatasetPath::of(path))?;
        if !replace && dataset.routines.contains_key(&path.table) {
            return Err(EngineError::Invalid(format!(
                "Already Exists: Routine {}:{}.{}",
                path.project, path.dataset, path.table
            )));
        }
        let created = dataset.routines.get(&path.table).map_or(now, |old| old.created);
        dataset
            .routines
            .insert(path.table.clone(), RoutineEntry { created, modified: now, routine: Arc::new(routine), resource });
        Ok(())
    }

    // ------------------------------------------------------------ time

    /// Drops what has expired: tables with an expiration, partitions past theirs, versions beyond time travel.
    pub fn expire(&mut self, now: Timestamp) {
        for dataset in self.datasets.values_mut() {
            dataset.tables.retain(|_, entry| entry.expires.is_none_or(|expires| expires > now));
            for entry in dataset.tables.values_mut() {
                trim_versions(entry, now);
                expire_partitions(entry, now);
            }
        }
    }
}

fn expire_partitions(entry: &mut TableEntry, now: Timestamp) {
    let current = entry.current().clone();
    let Some(partitioning @ Partitioning::Time { expiration_ms: Some(lifetime), .. }) = &current.shape.partitioning
    else {
        return;
    };
    let Ok(lifetime) = u64::try_from(*lifetime) else { return };
    let lifetime = std::time::Duration::from_millis(lifetime);
    let gone = |segment: &Segment| {
        partitioning
            .start_micros(segment.partition)
            .is_some_and(|start| Timestamp::from_micros(start) + lifetime <= now)
    };
    if current.segments.iter().any(|segment| gone(segment)) {
        let left = current.segments.iter().filter(|segment| !gone(segment)).cloned().collect();
        push_version(
            entry,
            now,
            TableVersion::new(current.path.clone(), current.seq, now, current.shape.clone(), left),
        );
    }
}

fn push_version(entry: &mut TableEntry, now: Timestamp, version: TableVersion) {
    let version = compact(entry, version);
    entry.modified = now;
    entry.versions.push_back(Arc::new(version));
    trim_versions(entry, now);
}

fn trim_versions(entry: &mut TableEntry, now: Timestamp) {
    // The version that was current when the window began is still needed: the second oldest decides.
    while entry.versions.len() > 1
        && (entry.versions.len() > limits::VERSIONS_KEPT || now.since(entry.versions[1].at) > limits::TIME_TRAVEL)
    {
        entry.versions.pop_front();
    }
}

/// Segments below this many rows are merged…
const SMALL: usize = 1_024;
/// …once a table has this many of them.
const MANY_SMALL: usize = 128;

/// Merges small segments partition by partition, so that a table written row by row stays quick to scan.
///
/// A statement that is under way refers to the merged segments by id, does not find them, and is run again.
fn compact(entry: &mut TableEntry, version: TableVersion) -> TableVersion {
    let is_small = |segment: &Segment| segment.live() < SMALL && segment.buffered_until.is_none();
    if version.segments.iter().filter(|segment| is_small(segment)).count() < MANY_SMALL {
        return version;
    }
    let mut kept = Vec::new();
    let mut small: BTreeMap<PartitionId, Vec<Arc<Segment>>> = BTreeMap::new();
    for segment in &version.segments {
        if is_small(segment) {
            small.entry(segment.partition).or_default().push(segment.clone());
        } else {
            kept.push(segment.clone());
        }
    }
    for (partition, segments) in small {
        let part = TableVersion::new(version.path.clone(), version.seq, version.at, version.shape.clone(), segments);
        let merged = Batch::concat(&part.batches());
        entry.next_segment += 1;
        let storage: Arc<[u32]> = version.shape.storage.clone().into();
        kept.push(Arc::new(Segment::new(entry.next_segment, partition, storage, merged)));
    }
    TableVersion::new(version.path, version.seq, version.at, version.shape, kept)
}

/// Cuts rows (full schema order) into segments of one partition each.
fn make_segments(next: &mut u64, now: Timestamp, shape: &Shape, rows: Vec<Batch>) -> Vec<Arc<Segment>> {
    let storage: Arc<[u32]> = shape.storage.clone().into();
    let mut segments = Vec::new();
    for batch in rows {
        if batch.len == 0 {
            continue;
        }
        for (partition, part) in split(&batch, now, shape) {
            *next += 1;
            segments.push(Arc::new(Segment::new(*next, partition, storage.clone(), part)));
        }
    }
    segments
}

fn split(batch: &Batch, now: Timestamp, shape: &Shape) -> Vec<(PartitionId, Batch)> {
    let Some(partitioning) = &shape.partitioning else { return vec![(PartitionId::Whole, batch.clone())] };
    let Some(position) = partitioning.position(&shape.schema) else {
        let ingested = scrimmage_googlesql::Value::Timestamp(now.as_micros());
        return vec![(partitioning.of(&ingested), batch.clone())];
    };
    let Some(column) = batch.columns.get(position) else { return vec![(PartitionId::Null, batch.clone())] };
    let mut rows: BTreeMap<PartitionId, Vec<u32>> = BTreeMap::new();
    for row in 0..batch.len {
        rows.entry(partitioning.of(&column.get(row))).or_default().push(row as u32);
    }
    if rows.len() == 1 {
        return rows.into_keys().map(|partition| (partition, batch.clone())).collect();
    }
    rows.into_iter().map(|(partition, rows)| (partition, batch.gather(&rows))).collect()
}

/// A schema with the new columns of `added` at its end; existing ones stay as they are.
pub fn extended(schema: &Schema, added: impl IntoIterator<Item = scrimmage_googlesql::catalog::ColumnDef>) -> Schema {
    let mut extended = schema.clone();
    for column in added {
        if extended.position(&column.name).is_none() {
            extended.columns.push(column);
        }
    }
    extended
}
