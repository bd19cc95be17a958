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
use super::past::{Past, Superseded, tables_memory};
use super::restore::Touched;
use super::segments::{check_ingestion_times, compact, make_segments, whole_segments};
use super::stream::StreamingBuffer;
use super::table::{Segment, Shape, TableVersion};
use crate::limits;
use crate::texts;

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
    /// Deleted ones, oldest first, for as long as time travel reaches.
    undeletable: VecDeque<Deleted>,
    pub(super) past: Past,
    /// What changed since somebody wrote it down.
    pub(super) touched: Touched,
    seq: u64,
    /// No later than the first expiry that is to come; the epoch where somebody has to look.
    due: Option<Timestamp>,
}

impl Store {
    /// The newest commit.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Forgets all datasets. Commits and tickets are counted on: statements that are under way refer to old ones.
    pub fn clear(&mut self) {
        self.datasets.clear();
        self.touched = Touched { cleared: true, ..Touched::default() };
        self.dml.clear();
        self.undeletable.clear();
        self.past = Past::default();
        self.due = None;
        self.next_seq();
    }

    pub(super) fn next_seq(&mut self) -> u64 {
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
        self.touched.datasets.insert(path.clone());
        let dataset = Dataset { created: now, modified: now, metadata, ..Dataset::default() };
        Ok(self.datasets.entry(path.clone()).or_insert(dataset))
    }

    pub fn dataset(&self, path: &DatasetPath) -> Result<&Dataset> {
        self.datasets.get(path).ok_or_else(|| path.missing())
    }

    pub fn dataset_mut(&mut self, path: &DatasetPath) -> Result<&mut Dataset> {
        self.touched.datasets.insert(path.clone());
        self.inner(path)
    }

    /// To change a dataset's tables or routines, which are written down by themselves.
    fn inner(&mut self, path: &DatasetPath) -> Result<&mut Dataset> {
        self.datasets.get_mut(path).ok_or_else(|| path.missing())
    }

    /// Deletes a dataset; [`Store::undelete_dataset`] brings it back.
    pub fn delete_dataset(&mut self, now: Timestamp, path: &DatasetPath, with_contents: bool) -> Result<()> {
        let dataset = self.dataset(path)?;
        let is_empty = dataset.tables.is_empty() && dataset.routines.is_empty();
        if !with_contents && !is_empty {
            return Err(EngineError::DatasetInUse { project: path.project.clone(), dataset: path.dataset.clone() });
        }
        self.touch_contents(path);
        if let Some(dataset) = self.datasets.remove(path).filter(|dataset| !dataset.hidden) {
            let bytes = tables_memory(dataset.tables.values());
            self.undeletable.push_back(Deleted { at: now, path: path.clone(), dataset, bytes });
            self.forget_deleted(now);
        }
        self.next_seq();
        Ok(())
    }

    /// Brings back the dataset of that name that was deleted last, or last at or before `deleted`.
    pub fn undelete_dataset(&mut self, now: Timestamp, path: &DatasetPath, deleted: Option<Timestamp>) -> Result<()> {
        if self.datasets.contains_key(path) {
            return Err(EngineError::DatasetExists { project: path.project.clone(), dataset: path.dataset.clone() });
        }
        self.forget_deleted(now);
        let at = self.undeletable.iter().rposition(|gone| {
            gone.path == *path && deleted.is_none_or(|deleted| gone.at.as_millis() <= deleted.as_millis())
        });
        let Deleted { mut dataset, .. } =
            at.and_then(|at| self.undeletable.remove(at)).ok_or_else(|| path.missing())?;
        dataset.modified = now;
        let seq = self.next_seq();
        for entry in dataset.tables.values_mut() {
            entry.made = seq;
        }
        self.datasets.insert(path.clone(), dataset);
        self.touch_contents(path);
        self.due = Some(Timestamp::EPOCH);
        Ok(())
    }

    fn forget_deleted(&mut self, now: Timestamp) {
        let mut bytes: usize = self.undeletable.iter().map(|gone| gone.bytes).sum();
        while let Some(oldest) = self.undeletable.front()
            && (now.since(oldest.at) > limits::TIME_TRAVEL
                || self.undeletable.len() > limits::DROPPED_KEPT
                || (bytes > limits::PAST_BYTES && self.undeletable.len() > limits::DROPPED_ANYWAY))
        {
            bytes -= oldest.bytes;
            self.undeletable.pop_front();
        }
    }

    /// Takes a routine out; false where there is none of that name.
    pub fn drop_routine(&mut self, path: &TablePath) -> Result<bool> {
        self.touched.routines.insert(path.clone());
        Ok(self.inner(&DatasetPath::of(path))?.routines.remove(&path.table).is_some())
    }

    // ------------------------------------------------------------ tables

    pub fn table(&self, path: &TablePath) -> Result<&TableEntry> {
        self.dataset(&DatasetPath::of(path))?
            .tables
            .get(&path.table)
            .ok_or_else(|| EngineError::TableNotFound(path.clone()))
    }

    /// The table's entry, to change anything about it.
    pub fn table_mut(&mut self, path: &TablePath) -> Result<&mut TableEntry> {
        self.due = Some(Timestamp::EPOCH);
        self.entry(path)
    }

    /// The entry of a table whose expiry stays as it is.
    pub fn entry(&mut self, path: &TablePath) -> Result<&mut TableEntry> {
        self.touched.tables.insert(path.clone());
        self.inner(&DatasetPath::of(path))?
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

    /// The version that was current at `at` (FOR SYSTEM_TIME AS OF), also of a table that was dropped since.
    pub fn version_as_of(&self, now: Timestamp, path: &TablePath, at: Timestamp) -> Result<Arc<TableVersion>> {
        let entry = match self.table(path) {
            Ok(entry) => entry,
            Err(error) => {
                let dropped = &self.dataset(&DatasetPath::of(path))?.dropped;
                let found = dropped.version_as_of(&path.table, at);
                return found.filter(|_| at + limits::TIME_TRAVEL >= now).ok_or(error);
            }
        };
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
        self.touched.tables.insert(path.clone());
        let dataset = self.inner(&DatasetPath::of(path))?;
        if !replace && dataset.tables.contains_key(&path.table) {
            return Err(EngineError::TableExists(path.clone()));
        }
        let expires = new.expires.or_else(|| {
            let default =
                dataset.metadata.get("defaultTableExpirationMs").and_then(|value| value.as_str()?.parse::<u64>().ok());
            default.map(|ms| now + std::time::Duration::from_millis(ms))
        });
        let mut shape = new.shape;
        if let Some(Partitioning::Time { expiration_ms: unset @ None, .. }) = &mut shape.partitioning {
            *unset = dataset.metadata.get("defaultPartitionExpirationMs").and_then(|ms| ms.as_str()?.parse().ok());
        }
        let shape = Arc::new(shape);
        let mut entry = TableEntry {
            kind: new.kind,
            created: now,
            modified: now,
            expires,
            metadata: new.metadata,
            versions: VecDeque::new(),
            mutated: HashMap::new(),
            stream: StreamingBuffer::default(),
            imports: (0, 0),
            next_segment: 0,
            made: seq,
            policies: BTreeMap::new(),
        };
        let goes_on = |old: &TableEntry| entry.kind == TableKind::Table && old.kind == TableKind::Table;
        let replaced = dataset.tables.get(&path.table).filter(|old| goes_on(old));
        entry.next_segment = replaced.map_or(0, |old| old.next_segment);
        let segments = make_segments(&mut entry.next_segment, now, &shape, rows)?;
        // Time travel goes on behind the table that is replaced.
        if let Some(old) = dataset.tables.remove(&path.table).filter(|old| goes_on(old)) {
            entry.versions = old.versions;
        }
        let version = Arc::new(TableVersion::new(path.clone(), seq, now, shape, segments));
        let past = entry.versions.back().map(|replaced| Superseded::by(&version, replaced));
        entry.versions.push_back(version.clone());
        let due = due(&entry);
        dataset.tables.insert(path.table.clone(), entry);
        self.settle(Pushed { due, past });
        Ok(version)
    }

    /// Drops a table; a copy job can still read it as of before.
    pub fn drop_table(&mut self, now: Timestamp, path: &TablePath) -> Result<()> {
        let entry = self.take_table(path)?;
        self.remember_dropped(now, path, entry);
        Ok(())
    }

    /// Takes a table out for good.
    pub fn take_table(&mut self, path: &TablePath) -> Result<TableEntry> {
        self.next_seq();
        self.touched.tables.insert(path.clone());
        self.inner(&DatasetPath::of(path))?
            .tables
            .remove(&path.table)
            .ok_or_else(|| EngineError::TableNotFound(path.clone()))
    }

    pub fn rename_table(&mut self, now: Timestamp, from: &TablePath, to: &TablePath) -> Result<()> {
        if self.table(to).is_ok() {
            return Err(EngineError::TableExists(to.clone()));
        }
        let mut entry = self.take_table(from)?;
        let seq = self.next_seq();
        entry.made = seq;
        let current = entry.current().clone();
        let version = TableVersion::new(to.clone(), seq, now, current.shape.clone(), current.segments.clone());
        entry.versions = VecDeque::from([Arc::new(version)]);
        entry.modified = now;
        self.touched.tables.insert(to.clone());
        self.inner(&DatasetPath::of(to))?.tables.insert(to.table.clone(), entry);
        Ok(())
    }

    /// Changes what a table is; rows stay.
    pub fn alter(&mut self, now: Timestamp, path: &TablePath, shape: Shape) -> Result<()> {
        let seq = self.next_seq();
        let entry = self.entry(path)?;
        let segments = entry.current().segments.clone();
        let pushed = push_version(entry, now, TableVersion::new(path.clone(), seq, now, Arc::new(shape), segments));
        self.settle(pushed);
        Ok(())
    }

    /// Writes rows outside of DML: load jobs, query destinations. Never conflicts.
    ///
    /// `shape` is what the table becomes with them. `partition` limits a truncation to that partition, and
    /// refuses rows of any other; rows of a table partitioned by ingestion belong to it.
    pub fn write(
        &mut self,
        now: Timestamp,
        path: &TablePath,
        shape: Option<Shape>,
        rows: Vec<Batch>,
        mode: WriteMode,
        partition: Option<PartitionId>,
    ) -> Result<u64> {
        let seq = self.seq + 1;
        let entry = self.entry(path)?;
        let current = entry.current().clone();
        // Most writes leave the table what it is.
        let shape = shape.filter(|shape| *shape != *current.shape).map_or_else(|| current.shape.clone(), Arc::new);
        let ingested = match &shape.partitioning {
            Some(Partitioning::Time { column: None, .. }) => partition,
            _ => None,
        };
        let added = match ingested {
            Some(partition) => whole_segments(&mut entry.next_segment, partition, &shape, rows)?,
            None => make_segments(&mut entry.next_segment, now, &shape, rows)?,
        };
        if let (Some(wanted), Some(partitioning)) = (partition, &shape.partitioning)
            && let Some(other) = added.iter().find(|segment| segment.partition != wanted)
        {
            return Err(EngineError::Invalid(format!(
                "Some rows belong to different partitions rather than destination partition {}; first: {}",
                partitioning.show(wanted),
                partitioning.show(other.partition)
            )));
        }
        let count = added.iter().map(|segment| segment.live() as u64).sum();
        let goes = |segment: &Segment| {
            mode == WriteMode::Truncate && partition.is_none_or(|partition| partition == segment.partition)
        };
        let mut segments = Vec::with_capacity(current.segments.len() + added.len());
        for segment in &current.segments {
            if goes(segment) {
                entry.mutated.insert(segment.partition, seq);
            } else {
                segments.push(segment.clone());
            }
        }
        segments.extend(added);
        let pushed = push_version(entry, now, TableVersion::new(path.clone(), seq, now, shape, segments));
        self.settle(pushed);
        self.seq = seq;
        Ok(count)
    }

    /// Counts a load or a query append against the table's daily quota. A table that is not there yet has all of it.
    pub fn count_import(&mut self, now: Timestamp, path: &TablePath) -> Result<()> {
        let Ok(entry) = self.entry(path) else { return Ok(()) };
        let today = now.as_millis().div_euclid(86_400_000);
        if entry.imports.0 != today {
            entry.imports = (today, 0);
        }
        if entry.imports.1 >= limits::IMPORTS_A_DAY {
            return Err(EngineError::Quota(texts::IMPORT_QUOTA.to_owned()));
        }
        entry.imports.1 += 1;
        Ok(())
    }

    /// Streams rows in: they can be read at once and not be changed for a while.
    /// With `partition` they belong to that one of a table partitioned by ingestion.
    pub fn write_streaming(
        &mut self,
        now: Timestamp,
        path: &TablePath,
        rows: Batch,
        partition: Option<PartitionId>,
    ) -> Result<()> {
        let seq = self.next_seq();
        let entry = self.entry(path)?;
        let current = entry.current().clone();
        let added = match (partition, &current.shape.partitioning) {
            (Some(partition), Some(Partitioning::Time { column: None, .. })) => {
                whole_segments(&mut entry.next_segment, partition, &current.shape, vec![rows])?
            }
            _ => make_segments(&mut entry.next_segment, now, &current.shape, vec![rows])?,
        };
        let mut segments = current.segments.clone();
        segments.extend(added.into_iter().map(|segment| {
            let mut buffered = segment.without(&[]);
            buffered.buffered_until = Some(now + limits::STREAMING_BUFFER);
            Arc::new(buffered)
        }));
        let pushed =
            push_version(entry, now, TableVersion::new(path.clone(), seq, now, current.shape.clone(), segments));
        self.settle(pushed);
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
        // Another table may have taken the name: rows are counted within the version that was read.
        let same = std::ptr::addr_eq(Arc::as_ptr(&change.table), Arc::as_ptr(&read));
        let seq = self.seq + 1;
        let entry = self.entry(&path)?;
        if !same || entry.made > base {
            return Err(EngineError::Conflict(path));
        }
        let current = entry.current().clone();
        let Removed { rows: removed, partitions: touched } = Removed::by(change, &read, now)?;
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
        check_ingestion_times(&read.shape, &added)?;
        segments.extend(make_segments(&mut entry.next_segment, now, &read.shape, added)?);
        for partition in touched {
            entry.mutated.insert(partition, seq);
        }
        let pushed = push_version(entry, now, TableVersion::new(path, seq, now, current.shape.clone(), segments));
        self.settle(pushed);
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
        self.touched.routines.insert(path.clone());
        let dataset = self.inner(&DatasetPath::of(path))?;
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

    /// When [`Store::expire`] may have something to do; it may also find that it is too early.
    pub fn due(&self) -> Option<Timestamp> {
        self.due
    }

    pub(super) fn expect(&mut self, due: Option<Timestamp>) {
        self.due = self.due.into_iter().chain(due).min();
    }

    /// After a new version: its table's expiry, and the bound on what is past.
    pub(super) fn settle(&mut self, pushed: Pushed) {
        self.expect(pushed.due);
        if let Some(superseded) = pushed.past {
            self.remember(superseded);
        }
    }

    /// Drops what has expired: tables with an expiration, partitions past theirs, versions beyond time travel.
    pub fn expire(&mut self, now: Timestamp) {
        let seq = self.next_seq();
        let mut next: Option<Timestamp> = None;
        let mut past = Vec::new();
        let touched = &mut self.touched.tables;
        for dataset in self.datasets.values_mut() {
            dataset.tables.retain(|_, entry| {
                let stays = entry.expires.is_none_or(|expires| expires > now);
                if !stays {
                    touched.insert(entry.current().path.clone());
                }
                stays
            });
            dataset.dropped.expire(now);
            for entry in dataset.tables.values_mut() {
                trim_versions(entry, now);
                if let Some(pushed) = expire_partitions(entry, now, seq) {
                    touched.insert(entry.current().path.clone());
                    past.extend(pushed.past);
                }
                next = next.into_iter().chain(due(entry)).min();
            }
        }
        self.due = next;
        for superseded in past {
            self.remember(superseded);
        }
    }
}

/// A dataset that can be brought back.
#[derive(Debug)]
struct Deleted {
    at: Timestamp,
    path: DatasetPath,
    dataset: Dataset,
    /// What its tables take in memory, roughly.
    bytes: usize,
}

/// What a change takes away: rows by segment, and the partitions that they are of.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub rows: HashMap<u64, Vec<u32>>,
    pub partitions: HashSet<PartitionId>,
}

impl Removed {
    /// `read` is the version that the change was computed on. Rows in the streaming buffer cannot go.
    pub fn by(change: &TableChange, read: &TableVersion, now: Timestamp) -> Result<Removed> {
        let buffered = |segment: &Segment| segment.buffered_until.is_some_and(|until| until > now);
        let mut removed = Removed::default();
        if change.truncate {
            if read.segments.iter().any(|segment| buffered(segment)) {
                return Err(EngineError::Invalid(texts::truncate_streaming_buffer(&read.path)));
            }
            removed.partitions.extend(read.segments.iter().map(|segment| segment.partition));
        }
        for row in &change.removed {
            let (index, within) = TableVersion::locate(*row);
            let segment = read.segments.get(index).ok_or_else(|| EngineError::Conflict(read.path.clone()))?;
            if buffered(segment) {
                return Err(EngineError::StreamingBuffer(read.path.clone()));
            }
            removed.partitions.insert(segment.partition);
            removed.rows.entry(segment.id).or_default().push(within);
        }
        Ok(removed)
    }
}

/// When the table or its oldest partition goes.
pub(super) fn due(entry: &TableEntry) -> Option<Timestamp> {
    let current = entry.current();
    let oldest = current.shape.partitioning.as_ref().and_then(|partitioning| {
        let lifetime = partitioning.lifetime()?;
        let starts = current.segments.iter().filter_map(|segment| partitioning.start_micros(segment.partition));
        starts.min().map(|start| Timestamp::from_micros(start) + lifetime)
    });
    entry.expires.into_iter().chain(oldest).min()
}

/// `None` where there were none.
fn expire_partitions(entry: &mut TableEntry, now: Timestamp, seq: u64) -> Option<Pushed> {
    let current = entry.current().clone();
    let partitioning = current.shape.partitioning.as_ref()?;
    let lifetime = partitioning.lifetime()?;
    let gone = |segment: &Segment| {
        partitioning
            .start_micros(segment.partition)
            .is_some_and(|start| Timestamp::from_micros(start) + lifetime <= now)
    };
    current.segments.iter().any(|segment| gone(segment)).then(|| {
        let left = current.segments.iter().filter(|segment| !gone(segment)).cloned().collect();
        let version = TableVersion::new(current.path.clone(), seq, now, current.shape.clone(), left);
        push_version(entry, now, version)
    })
}

/// What a new version leaves to be settled by the store.
#[must_use]
#[derive(Debug)]
pub(super) struct Pushed {
    due: Option<Timestamp>,
    past: Option<Superseded>,
}

pub(super) fn push_version(entry: &mut TableEntry, now: Timestamp, mut version: TableVersion) -> Pushed {
    // A statement that began earlier may commit later: time travel reads versions in the order of commits.
    version.at = version.at.max(entry.current().at);
    let version = compact(entry, version);
    let past = Some(Superseded::by(&version, entry.current()));
    entry.modified = now;
    entry.versions.push_back(Arc::new(version));
    trim_versions(entry, now);
    Pushed { due: due(entry), past }
}

fn trim_versions(entry: &mut TableEntry, now: Timestamp) {
    // The version that was current when the window began is still needed: the second oldest decides.
    while entry.versions.len() > 1
        && (entry.versions.len() > limits::VERSIONS_KEPT || now.since(entry.versions[1].at) > limits::TIME_TRAVEL)
    {
        entry.versions.pop_front();
    }
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
