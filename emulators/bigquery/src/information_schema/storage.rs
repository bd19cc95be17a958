//! PARTITIONS, TABLE_STORAGE and the older meta tables; timelines of streaming, which are empty.

use std::collections::BTreeMap;

use scrimmage_googlesql::{Type, Value};

use super::{Rows, Scan, at, number, owner, text, time};
use crate::engine::dataset::{TableEntry, TableKind};
use crate::engine::partition::PartitionId;

fn is_stored(entry: &TableEntry) -> bool {
    !matches!(entry.kind, TableKind::View { .. } | TableKind::MaterializedView { .. } | TableKind::External { .. })
}

fn int(number: u64) -> Value {
    Value::Int64(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Rows and bytes by partition.
fn by_partition(entry: &TableEntry) -> BTreeMap<PartitionId, (u64, u64)> {
    let mut totals: BTreeMap<PartitionId, (u64, u64)> = BTreeMap::new();
    for segment in &entry.current().segments {
        let total = totals.entry(segment.partition).or_default();
        total.0 += segment.live() as u64;
        total.1 += segment.logical_bytes();
    }
    totals
}

pub fn partitions(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, table, entry) in scan.entries().filter(|(.., entry)| is_stored(entry)) {
        let partitioning = entry.current().shape.partitioning.as_ref();
        for (partition, (count, bytes)) in by_partition(entry) {
            let mut row = owner([&path.project, &path.dataset, table]);
            row.extend([
                partitioning.map_or(Value::Null, |own| Value::string(own.show(partition))),
                int(count),
                int(bytes),
                int(bytes),
                at(entry.modified),
                Value::string("ACTIVE"),
            ]);
            rows.push(row);
        }
    }
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("partition_id"),
            number("total_rows"),
            number("total_logical_bytes"),
            number("total_billable_bytes"),
            time("last_modified_time"),
            text("storage_tier"),
        ],
        rows,
    }
}

pub fn table_storage(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, table, entry) in scan.entries() {
        let kind = match entry.kind {
            TableKind::Table => "BASE TABLE",
            TableKind::Clone { .. } => "CLONE",
            TableKind::Snapshot { .. } => "SNAPSHOT",
            TableKind::MaterializedView { .. } => "MATERIALIZED VIEW",
            TableKind::View { .. } | TableKind::External { .. } => continue,
        };
        let version = entry.current();
        let (bytes, nothing) = (version.logical_bytes(), || Value::Int64(0));
        let parts = if version.shape.partitioning.is_some() { by_partition(entry).len() as u64 } else { 0 };
        let mut row = vec![Value::string(&path.project), Value::Null];
        row.extend(owner([&path.project, &path.dataset, table]));
        row.extend([
            at(entry.created),
            Value::Bool(false),
            at(entry.modified),
            int(version.rows),
            int(parts),
            int(bytes),
            int(bytes),
            nothing(),
            int(bytes),
            int(bytes),
            int(bytes),
            nothing(),
            nothing(),
            nothing(),
            Value::string(kind),
            Value::string("NATIVE"),
            Value::Null,
            Value::Null,
            Value::Null,
        ]);
        rows.push(row);
    }
    Rows {
        columns: vec![
            text("project_id"),
            number("project_number"),
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            time("creation_time"),
            ("deleted", Type::Bool),
            time("storage_last_modified_time"),
            number("total_rows"),
            number("total_partitions"),
            number("total_logical_bytes"),
            number("active_logical_bytes"),
            number("long_term_logical_bytes"),
            number("current_physical_bytes"),
            number("total_physical_bytes"),
            number("active_physical_bytes"),
            number("long_term_physical_bytes"),
            number("time_travel_physical_bytes"),
            number("fail_safe_physical_bytes"),
            text("table_type"),
            text("managed_table_type"),
            time("last_metadata_index_refresh_time"),
            text("table_deletion_reason"),
            time("table_deletion_time"),
        ],
        rows,
    }
}

pub fn table_storage_timeline(scan: &Scan) -> Rows {
    let rows = scan.entries().filter(|(.., entry)| is_stored(entry)).map(|(path, table, entry)| {
        let bytes = entry.current().logical_bytes();
        let mut row = vec![at(entry.modified)];
        row.extend([Value::string(&path.project), Value::Null]);
        row.extend(owner([&path.dataset, table]));
        row.extend([
            Value::Bool(false),
            at(entry.created),
            int(entry.current().rows),
            int(bytes),
            int(bytes),
            Value::Int64(0),
            int(bytes),
        ]);
        row
    });
    Rows {
        columns: vec![
            time("timestamp"),
            text("project_id"),
            number("project_number"),
            text("table_schema"),
            text("table_name"),
            ("deleted", Type::Bool),
            time("creation_time"),
            number("total_rows"),
            number("total_logical_bytes"),
            number("active_logical_bytes"),
            number("long_term_logical_bytes"),
            number("total_physical_bytes"),
        ],
        rows: rows.collect(),
    }
}

/// Nobody counts requests by the minute here.
pub fn streaming_timeline(_scan: &Scan) -> Rows {
    Rows {
        columns: vec![
            time("start_timestamp"),
            text("project_id"),
            number("project_number"),
            text("dataset_id"),
            text("table_id"),
            text("error_code"),
            number("total_requests"),
            number("total_rows"),
            number("total_input_bytes"),
        ],
        rows: Vec::new(),
    }
}

pub fn write_api_timeline(_scan: &Scan) -> Rows {
    Rows {
        columns: vec![
            time("start_timestamp"),
            text("project_id"),
            number("project_number"),
            text("dataset_id"),
            text("table_id"),
            text("stream_type"),
            text("error_code"),
            number("total_requests"),
            number("total_rows"),
            number("total_input_bytes"),
        ],
        rows: Vec::new(),
    }
}

/// 1 is a table, 2 a view.
fn meta_type(entry: &TableEntry) -> Value {
    Value::Int64(if is_stored(entry) { 1 } else { 2 })
}

pub fn meta_tables(scan: &Scan) -> Rows {
    let rows = scan.entries().map(|(path, table, entry)| {
        let version = entry.current();
        let mut row = owner([&path.project, &path.dataset, table]);
        row.extend([
            Value::Int64(entry.created.as_millis()),
            Value::Int64(entry.modified.as_millis()),
            int(version.rows),
            int(version.logical_bytes()),
            meta_type(entry),
        ]);
        row
    });
    Rows {
        columns: vec![
            text("project_id"),
            text("dataset_id"),
            text("table_id"),
            number("creation_time"),
            number("last_modified_time"),
            number("row_count"),
            number("size_bytes"),
            number("type"),
        ],
        rows: rows.collect(),
    }
}

pub fn meta_tables_summary(scan: &Scan) -> Rows {
    let rows = scan.entries().map(|(path, table, entry)| {
        let mut row = owner([&path.project, &path.dataset, table]);
        row.extend([Value::Int64(entry.created.as_millis()), meta_type(entry)]);
        row
    });
    Rows {
        columns: vec![
            text("project_id"),
            text("dataset_id"),
            text("table_id"),
            number("creation_time"),
            number("type"),
        ],
        rows: rows.collect(),
    }
}
