//! Rows into segments of one partition each, and small segments into larger ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::exec::column::Batch;

use super::dataset::TableEntry;
use super::partition::PartitionId;
use super::table::{Segment, Shape, TableVersion};

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
pub(super) fn make_segments(next: &mut u64, now: Timestamp, shape: &Shape, rows: Vec<Batch>) -> Vec<Arc<Segment>> {
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

/// Rows of one partition, whatever they hold.
pub(super) fn whole_segments(
    next: &mut u64,
    partition: PartitionId,
    shape: &Shape,
    rows: Vec<Batch>,
) -> Vec<Arc<Segment>> {
    let storage: Arc<[u32]> = shape.storage.clone().into();
    let mut segments = Vec::new();
    for batch in rows.into_iter().filter(|batch| batch.len > 0) {
        *next += 1;
        segments.push(Arc::new(Segment::new(*next, partition, storage.clone(), batch)));
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
