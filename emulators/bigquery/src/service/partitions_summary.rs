//! `T$__PARTITIONS_SUMMARY__`: the older meta table with one row a partition, which clients still list.

use std::collections::BTreeSet;
use std::sync::Arc;

use scrimmage_googlesql::catalog::Schema;
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::{Type, Value};

use super::error::{ApiError, ApiResult};
use crate::engine::dataset::TableEntry;
use crate::engine::partition::PartitionId;
use crate::engine::table::{Segment, Shape, TableVersion, plain_column};

/// What stands behind the `$`.
pub const DECORATOR: &str = "__PARTITIONS_SUMMARY__";

const COLUMNS: [(&str, Type); 6] = [
    ("project_id", Type::String),
    ("dataset_id", Type::String),
    ("table_id", Type::String),
    ("partition_id", Type::String),
    ("creation_time", Type::Int64),
    ("last_modified_time", Type::Int64),
];

pub fn version(entry: &TableEntry) -> ApiResult<Arc<TableVersion>> {
    let current = entry.current();
    let path = &current.path;
    let partitioning = current.shape.partitioning.as_ref().ok_or_else(|| {
        ApiError::invalid(format!("Table {}:{}.{} is not partitioned", path.project, path.dataset, path.table))
    })?;
    let ids: BTreeSet<PartitionId> = current.segments.iter().map(|segment| segment.partition).collect();
    let rows = ids.into_iter().map(|id| {
        let mut row: Vec<Value> = [&path.project, &path.dataset, &path.table].map(Value::string).to_vec();
        row.push(Value::string(partitioning.show(id)));
        row.extend([entry.created, entry.modified].map(|at| Value::Int64(at.as_millis())));
        row
    });
    let types: Vec<Type> = COLUMNS.iter().map(|(_, ty)| ty.clone()).collect();
    let schema = Schema { columns: COLUMNS.iter().map(|(name, ty)| plain_column(name, ty.clone())).collect() };
    let shape = Shape::new(schema, None, Vec::new(), false);
    let segment = Segment::new(0, PartitionId::Whole, shape.storage.clone().into(), Batch::from_rows(&types, rows));
    let (seq, at) = (current.seq, current.at);
    Ok(Arc::new(TableVersion::new(path.clone(), seq, at, Arc::new(shape), vec![Arc::new(segment)])))
}
