//! Rows into segments of one partition each, and small segments into larger ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::Value;
use scrimmage_googlesql::exec::column::{Batch, Column};

use super::dataset::TableEntry;
use super::error::{EngineError, Result};
use super::partition::PartitionId;
use super::table::{Segment, Shape, TableVersion};
use crate::texts;

/// Segments below this many rows are merged…
const SMALL: usize = 1_024;
/// …once a table has this many more of them than it needs.
const MANY_SMALL: usize = 128;

/// Merges small segments partition by partition, so that a table written row by row stays quick to scan.
///
/// A statement that is under way refers to the merged segments by id, does not find them, and is run again.
pub(super) fn compact(entry: &mut TableEntry, version: TableVersion) -> TableVersion {
    let is_small = |segment: &Segment| segment.live() < SMALL && segment.buffered_until.is_none();
    let mut small: BTreeMap<PartitionId, usize> = BTreeMap::new();
    for segment in version.segments.iter().filter(|segment| is_small(segment)) {
        *small.entry(segment.partition).or_default() += 1;
    }
    // One small segment a partition is what there has to be.
    if small.values().map(|count| count - 1).sum::<usize>() < MANY_SMALL {
        return version;
    }
    let (parts, mut kept): (Vec<_>, Vec<_>) = version
        .segments
        .iter()
        .cloned()
        .partition(|segment| is_small(segment) && small.get(&segment.partition).is_some_and(|count| *count > 1));
    let mut merged: BTreeMap<PartitionId, Vec<Arc<Segment>>> = BTreeMap::new();
    for segment in parts {
        merged.entry(segment.partition).or_default().push(segment);
    }
    for (partition, segments) in merged {
        let part = TableVersion::new(version.path.clone(), version.seq, version.at, version.shape.clone(), segments);
        let rows = Batch::concat(&part.batches());
        entry.next_segment += 1;
        let storage: Arc<[u32]> = version.shape.storage.clone().into();
        kept.push(Arc::new(Segment::new(entry.next_segment, partition, storage, rows)));
    }
    TableVersion::new(version.path, version.seq, version.at, version.shape, kept)
}

/// Cuts rows (full schema order) into segments of one partition each.
///
/// Rows of a table partitioned by ingestion time may bring their `_PARTITIONTIME` as one column more; those without,
/// or with NULL, belong to the present. Other tables take no notice of it.
pub(super) fn make_segments(
    next: &mut u64,
    now: Timestamp,
    shape: &Shape,
    rows: Vec<Batch>,
) -> Result<Vec<Arc<Segment>>> {
    let storage: Arc<[u32]> = shape.storage.clone().into();
    let mut segments = Vec::new();
    for batch in rows {
        if batch.len == 0 {
            continue;
        }
        let (batch, place) = cut(batch, shape)?;
        for (partition, part) in split(&batch, place.as_deref(), now, shape) {
            *next += 1;
            segments.push(Arc::new(Segment::new(*next, partition, storage.clone(), part)));
        }
    }
    Ok(segments)
}

/// Rows of one partition, whatever they hold.
pub(super) fn whole_segments(
    next: &mut u64,
    partition: PartitionId,
    shape: &Shape,
    rows: Vec<Batch>,
) -> Result<Vec<Arc<Segment>>> {
    let storage: Arc<[u32]> = shape.storage.clone().into();
    let mut segments = Vec::new();
    for batch in rows.into_iter().filter(|batch| batch.len > 0) {
        *next += 1;
        segments.push(Arc::new(Segment::new(*next, partition, storage.clone(), cut(batch, shape)?.0)));
    }
    Ok(segments)
}

impl TableVersion {
    /// The same table with other rows, which are all of one partition.
    pub fn with_rows(&self, rows: Vec<Batch>) -> Result<TableVersion> {
        let segments = whole_segments(&mut 0, PartitionId::Whole, &self.shape, rows)?;
        Ok(TableVersion::new(self.path.clone(), self.seq, self.at, self.shape.clone(), segments))
    }
}

/// That DML puts rows at the beginnings of partitions only, as production asks.
pub(super) fn check_ingestion_times(shape: &Shape, rows: &[Batch]) -> Result<()> {
    let Some(partitioning) = shape.partitioning.as_ref().filter(|own| own.column().is_none()) else { return Ok(()) };
    for batch in rows {
        let Some(times) = batch.columns.get(shape.schema.columns.len()) else { continue };
        for row in 0..batch.len {
            let value = times.get(row);
            if !matches!(value, Value::Null) && !partitioning.begins_with(&value) {
                return Err(EngineError::Invalid(texts::INGESTION_TIME.to_owned()));
            }
        }
    }
    Ok(())
}

/// The columns of the schema, and the one behind them that says where the rows belong.
fn cut(mut batch: Batch, shape: &Shape) -> Result<(Batch, Option<Arc<Column>>)> {
    let width = shape.schema.columns.len();
    let place = if batch.columns.len() == width + 1 { batch.columns.pop() } else { None };
    if batch.columns.len() != width {
        // Rows that were laid out for another schema would be stored under other columns' names.
        let found = batch.columns.len();
        return Err(EngineError::Invalid(format!("Rows have {found} columns where the table has {width}")));
    }
    Ok((batch, place))
}

fn split(batch: &Batch, place: Option<&Column>, now: Timestamp, shape: &Shape) -> Vec<(PartitionId, Batch)> {
    let Some(partitioning) = &shape.partitioning else { return vec![(PartitionId::Whole, batch.clone())] };
    let present = partitioning.of(&Value::Timestamp(now.as_micros()));
    let column = match partitioning.position(&shape.schema) {
        Some(position) => batch.columns.get(position).map(|column| &**column),
        None => place,
    };
    let Some(column) = column else { return vec![(present, batch.clone())] };
    let by_column = partitioning.column().is_some();
    let mut rows: BTreeMap<PartitionId, Vec<u32>> = BTreeMap::new();
    for row in 0..batch.len {
        let partition = match column.get(row) {
            Value::Null if !by_column => present,
            value => partitioning.of(&value),
        };
        rows.entry(partition).or_default().push(row as u32);
    }
    if rows.len() == 1 {
        return rows.into_keys().map(|partition| (partition, batch.clone())).collect();
    }
    rows.into_iter().map(|(partition, rows)| (partition, batch.gather(&rows))).collect()
}
