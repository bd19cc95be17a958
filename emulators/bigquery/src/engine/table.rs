//! One version of a table: immutable segments of rows, shared with the versions before and after it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{ColumnDef, HintOp, Mode, ScanHint, ScanRequest, Schema, Table, TablePath};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::{Type, TypeParams, Value};

use super::partition::{PartitionId, Partitioning, TimeUnit};
use crate::limits;

/// Identifies a column's data whatever the column is called and wherever it stands.
pub type StorageId = u32;

/// What a table is apart from its rows; a new one with every schema change.
#[derive(Clone, PartialEq, Debug)]
pub struct Shape {
    pub schema: Schema,
    /// Parallel to the schema's columns.
    pub storage: Vec<StorageId>,
    pub next_storage: StorageId,
    pub partitioning: Option<Partitioning>,
    pub clustering: Vec<String>,
    pub require_partition_filter: bool,
    pub read_only: bool,
    pseudo: Vec<ColumnDef>,
}

impl Shape {
    pub fn new(
        schema: Schema,
        partitioning: Option<Partitioning>,
        clustering: Vec<String>,
        require_partition_filter: bool,
    ) -> Shape {
        let count = schema.columns.len() as StorageId;
        let pseudo = match &partitioning {
            Some(Partitioning::Time { column: None, unit, .. }) => {
                let mut columns = vec![plain_column("_PARTITIONTIME", Type::Timestamp)];
                if *unit == TimeUnit::Day {
                    columns.push(plain_column("_PARTITIONDATE", Type::Date));
                }
                columns
            }
            _ => Vec::new(),
        };
        Shape {
            schema,
            storage: (0..count).collect(),
            next_storage: count,
            partitioning,
            clustering,
            require_partition_filter,
            read_only: false,
            pseudo,
        }
    }

    /// The same with another schema: columns of the same name keep their data, new ones start as NULL.
    pub fn with_schema(&self, schema: Schema) -> Shape {
        let mut next = self.next_storage;
        let storage = schema
            .columns
            .iter()
            .map(|column| match self.schema.position(&column.name) {
                Some(at) => self.storage[at],
                None => {
                    next += 1;
                    next - 1
                }
            })
            .collect();
        Shape { schema, storage, next_storage: next, ..self.clone() }
    }

    /// The same with another schema, told where each of its columns was before; new ones start as NULL.
    pub fn rearranged(&self, schema: Schema, from: &[Option<usize>]) -> Shape {
        let mut next = self.next_storage;
        let storage = from
            .iter()
            .map(|at| {
                at.and_then(|at| self.storage.get(at)).copied().unwrap_or_else(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        Shape { schema, storage, next_storage: next, ..self.clone() }
    }

    /// Empty, or the names a filter may be on.
    fn filter_columns(&self) -> Option<&str> {
        match &self.partitioning {
            Some(partitioning) => Some(partitioning.column().unwrap_or("_PARTITIONTIME")),
            None => None,
        }
    }
}

/// A nullable column without anything special about it.
pub fn plain_column(name: &str, ty: Type) -> ColumnDef {
    ColumnDef {
        name: name.to_owned(),
        ty,
        params: TypeParams::default(),
        mode: Mode::Nullable,
        description: None,
        default: None,
        rounding_mode: None,
        fields: Vec::new(),
    }
}

/// Rows that were written together and belong to one partition.
#[derive(Debug)]
pub struct Segment {
    /// Unique within the table's life; what a change refers to.
    pub id: u64,
    pub partition: PartitionId,
    /// Parallel to the batch's columns.
    pub storage: Arc<[StorageId]>,
    pub batch: Batch,
    /// Indexes of rows that are gone, ascending; empty for most segments.
    pub removed: Arc<[u32]>,
    /// Rows of `insertAll` cannot be changed by DML before this.
    pub buffered_until: Option<Timestamp>,
    /// The number under which the rows are on disk; 0 where they are not. Shared by all that share the rows.
    pub kept: Arc<AtomicU64>,
    /// Parallel to the batch's columns.
    bytes: OnceLock<Vec<u64>>,
}

impl Segment {
    pub fn new(id: u64, partition: PartitionId, storage: Arc<[StorageId]>, batch: Batch) -> Segment {
        Segment {
            id,
            partition,
            storage,
            batch,
            removed: Arc::from([]),
            buffered_until: None,
            kept: Arc::default(),
            bytes: OnceLock::new(),
        }
    }

    /// The same rows less those at `removed` (ascending, on top of what is gone already).
    pub fn without(&self, removed: &[u32]) -> Segment {
        let mut all: Vec<u32> = self.removed.iter().chain(removed).copied().collect();
        all.sort_unstable();
        all.dedup();
        Segment {
            id: self.id,
            partition: self.partition,
            storage: self.storage.clone(),
            batch: self.batch.clone(),
            removed: Arc::from(all),
            buffered_until: self.buffered_until,
            kept: self.kept.clone(),
            bytes: OnceLock::new(),
        }
    }

    pub fn live(&self) -> usize {
        self.batch.len - self.removed.len()
    }

    /// Indexes of the rows that are left, or `None` where all are.
    fn kept(&self) -> Option<Vec<u32>> {
        if self.removed.is_empty() {
            return None;
        }
        let mut gone = self.removed.iter().copied().peekable();
        Some(
            (0..self.batch.len as u32)
                .filter(|row| {
                    let hit = gone.peek() == Some(row);
                    if hit {
                        gone.next();
                    }
                    !hit
                })
                .collect(),
        )
    }

    pub fn column(&self, id: StorageId) -> Option<&Arc<Column>> {
        let at = self.storage.iter().position(|stored| *stored == id)?;
        self.batch.columns.get(at)
    }

    /// Logical size by BigQuery's data-size rules, of the rows that are left.
    pub fn logical_bytes(&self) -> u64 {
        (0..self.batch.columns.len()).map(|at| self.column_size(at)).sum()
    }

    /// Logical size of one column's rows that are left; 0 for a column that came later.
    fn stored_bytes(&self, id: StorageId) -> u64 {
        self.storage.iter().position(|stored| *stored == id).map_or(0, |at| self.column_size(at))
    }

    /// Whole columns are measured once; where rows are gone, in proportion to those that are left.
    fn column_size(&self, at: usize) -> u64 {
        let sizes = self.bytes.get_or_init(|| self.batch.columns.iter().map(|column| column_bytes(column)).collect());
        let whole = sizes.get(at).copied().unwrap_or(0);
        (whole * self.live() as u64).checked_div(self.batch.len as u64).unwrap_or(0)
    }
}

/// Logical size of a whole column.
pub fn column_bytes(column: &Column) -> u64 {
    let text = |text: &str| 2 + text.len() as u64;
    let fixed = |size: u64| {
        let some = if column.has_no_nulls() {
            column.len()
        } else {
            (0..column.len()).filter(|row| !column.is_null(*row)).count()
        };
        size * some as u64
    };
    match column {
        Column::Bool(_) => fixed(1),
        Column::Int64(_)
        | Column::Float64(_)
        | Column::Date(_)
        | Column::Time(_)
        | Column::Datetime(_)
        | Column::Timestamp(_) => fixed(8),
        Column::Numeric(_) => fixed(16),
        Column::Constant(value, len) => value_bytes(value) * *len as u64,
        Column::String(_) | Column::Dictionary(_) => {
            (0..column.len()).filter_map(|row| column.str_at(row)).map(text).sum()
        }
        Column::Bytes(_) | Column::Any(_) => (0..column.len()).map(|row| value_bytes(&column.get(row))).sum(),
    }
}

/// Data size of one value, as the pricing page counts it; NULL is free.
fn value_bytes(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int64(_)
        | Value::Float64(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Datetime(_)
        | Value::Timestamp(_) => 8,
        Value::Numeric(_) | Value::Interval(_) | Value::Range(_) => 16,
        Value::BigNumeric(_) => 32,
        Value::String(text) => 2 + text.len() as u64,
        Value::Bytes(bytes) => 2 + bytes.len() as u64,
        Value::Json(json) => json_bytes(json),
        Value::Geography(geography) => 16 + 24 * geography_points(geography) as u64,
        Value::Array(items) | Value::Struct(items) => items.iter().map(value_bytes).sum(),
    }
}

fn geography_points(geography: &scrimmage_googlesql::value::Geography) -> usize {
    geography.vertices().count()
}

fn json_bytes(json: &scrimmage_googlesql::value::json::Json) -> u64 {
    use scrimmage_googlesql::value::json::Json;
    match json {
        Json::Null | Json::Bool(_) => 1,
        Json::Int(_) | Json::Uint(_) | Json::Float(_) => 8,
        Json::String(text) => 2 + text.len() as u64,
        Json::Array(items) => items.iter().map(json_bytes).sum(),
        Json::Object(fields) => fields.iter().map(|(key, value)| 2 + key.len() as u64 + json_bytes(value)).sum(),
    }
}

/// An immutable table: what statements read.
#[derive(Debug)]
pub struct TableVersion {
    pub path: TablePath,
    /// The commit that made it; larger is newer, across all tables.
    pub seq: u64,
    pub at: Timestamp,
    pub shape: Arc<Shape>,
    pub segments: Vec<Arc<Segment>>,
    pub rows: u64,
}

impl TableVersion {
    pub fn new(
        path: TablePath,
        seq: u64,
        at: Timestamp,
        shape: Arc<Shape>,
        segments: Vec<Arc<Segment>>,
    ) -> TableVersion {
        let rows = segments.iter().map(|segment| segment.live() as u64).sum();
        TableVersion { path, seq, at, shape, segments, rows }
    }

    /// The rows of one partition, by its id; `None` where that is none of this table's.
    pub fn only(&self, partition: &str) -> Option<TableVersion> {
        let wanted = self.shape.partitioning.as_ref()?.parse(partition)?;
        let segments = self.segments.iter().filter(|segment| segment.partition == wanted).cloned().collect();
        Some(TableVersion::new(self.path.clone(), self.seq, self.at, self.shape.clone(), segments))
    }

    /// The same, or why there is none such.
    pub fn partition(&self, partition: &str) -> super::error::Result<Arc<TableVersion>> {
        self.only(partition).map(Arc::new).ok_or_else(|| {
            super::error::EngineError::Invalid(format!(
                "Invalid partition decorator ${partition} for table {}",
                self.path.table
            ))
        })
    }

    /// What is in the streaming buffer: rows, their bytes, and when the oldest came. `None` where it is empty.
    pub fn streaming_buffer(&self, now: Timestamp) -> Option<(u64, u64, Timestamp)> {
        let buffered = self
            .segments
            .iter()
            .filter_map(|segment| Some((segment, segment.buffered_until.filter(|until| *until > now)?)));
        let sums = buffered.map(|(segment, until)| (segment.live() as u64, segment.logical_bytes(), until));
        let (rows, bytes, until) = sums.reduce(|a, b| (a.0 + b.0, a.1 + b.1, a.2.min(b.2)))?;
        Some((rows, bytes, until - limits::STREAMING_BUFFER))
    }

    pub fn logical_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.logical_bytes()).sum()
    }

    /// Position of the segment and of the row in it.
    pub fn locate(row: u64) -> (usize, u32) {
        ((row >> 32) as usize, row as u32)
    }

    /// Rows in storage order, full schema, for tabledata.list and copies.
    pub fn batches(&self) -> Vec<Batch> {
        let request =
            ScanRequest { columns: (0..self.shape.schema.columns.len()).collect(), row_ids: false, hints: Vec::new() };
        self.read(&request)
    }

    /// The same, each batch of a table partitioned by ingestion time with `_PARTITIONTIME` as one column more: written
    /// to another table, or to this one, the rows stay in their partitions.
    pub fn batches_in_place(&self) -> Vec<Batch> {
        let width = self.shape.schema.columns.len() + usize::from(self.ingestion_time().is_some());
        self.read(&ScanRequest { columns: (0..width).collect(), row_ids: false, hints: Vec::new() })
    }

    fn read(&self, request: &ScanRequest) -> Vec<Batch> {
        let mut batches = Vec::with_capacity(self.segments.len());
        for (index, segment) in self.segments.iter().enumerate() {
            if segment.live() == 0 || !self.may_match(segment, &request.hints) {
                continue;
            }
            let kept = segment.kept();
            let mut columns: Vec<Arc<Column>> = request
                .columns
                .iter()
                .map(|position| self.segment_column(segment, *position, kept.as_deref()))
                .collect();
            if request.row_ids {
                let first = (index as i64) << 32;
                let ids: Box<dyn Iterator<Item = i64>> = match &kept {
                    Some(rows) => Box::new(rows.iter().map(move |row| first | i64::from(*row))),
                    None => Box::new((0..segment.batch.len as i64).map(move |row| first | row)),
                };
                columns.push(Arc::new(Column::from_values(&Type::Int64, ids.map(Value::Int64))));
            }
            batches.push(Batch::new(columns, segment.live()));
        }
        batches
    }

    fn segment_column(&self, segment: &Segment, position: usize, kept: Option<&[u32]>) -> Arc<Column> {
        let schema = &self.shape.schema.columns;
        let Some(definition) = schema.get(position) else {
            let pseudo = self.shape.pseudo.get(position - schema.len());
            return self.pseudo_column(segment, pseudo);
        };
        match segment.column(self.shape.storage[position]) {
            Some(column) => match kept {
                Some(rows) => Arc::new(column.gather(rows)),
                None => column.clone(),
            },
            // The column came after these rows: NULL, and for an array the empty one.
            None => {
                let value =
                    if matches!(definition.ty, Type::Array(_)) { Value::array(Vec::new()) } else { Value::Null };
                Arc::new(Column::constant(value, segment.live()))
            }
        }
    }

    fn pseudo_column(&self, segment: &Segment, definition: Option<&ColumnDef>) -> Arc<Column> {
        let name = definition.map_or("", |column| column.name.as_str());
        let start =
            self.shape.partitioning.as_ref().and_then(|partitioning| partitioning.start_micros(segment.partition));
        let value = match (start, name) {
            (Some(micros), "_PARTITIONDATE") => Value::Date(micros.div_euclid(86_400_000_000) as i32),
            (Some(micros), _) => Value::Timestamp(micros),
            (None, _) => Value::Null,
        };
        Arc::new(Column::constant(value, segment.live()))
    }

    /// False only where no row of the segment's partition can satisfy the hints.
    fn may_match(&self, segment: &Segment, hints: &[ScanHint]) -> bool {
        let Some(partitioning) = &self.shape.partitioning else { return true };
        let schema = &self.shape.schema;
        let column = match partitioning.position(schema) {
            Some(position) => position,
            None => schema.columns.len(),
        };
        hints.iter().filter(|hint| hint.column == column).all(|hint| {
            match (segment.partition, partitioning.of(&hint.value)) {
                (PartitionId::Null, _) => false,
                (PartitionId::At(own), PartitionId::At(wanted)) => match hint.op {
                    HintOp::Equal => own == wanted,
                    HintOp::Less if partitioning.begins_with(&hint.value) => own < wanted,
                    HintOp::Greater if partitioning.holds_only(&hint.value) => own > wanted,
                    HintOp::Less | HintOp::LessOrEqual => own <= wanted,
                    HintOp::Greater | HintOp::GreaterOrEqual => own >= wanted,
                },
                _ => true,
            }
        })
    }
}

impl Table for TableVersion {
    fn path(&self) -> &TablePath {
        &self.path
    }

    fn schema(&self) -> &Schema {
        &self.shape.schema
    }

    fn pseudo_columns(&self) -> &[ColumnDef] {
        &self.shape.pseudo
    }

    fn row_count(&self) -> u64 {
        self.rows
    }

    fn scan(&self, request: &ScanRequest) -> scrimmage_googlesql::Result<Vec<Batch>> {
        Ok(self.read(request))
    }

    fn required_partition_filter(&self) -> Option<&str> {
        if self.shape.require_partition_filter { self.shape.filter_columns() } else { None }
    }

    fn partition_column(&self) -> Option<&str> {
        self.shape.filter_columns()
    }

    fn logical_bytes(&self, columns: &[usize], hints: &[ScanHint]) -> u64 {
        let scanned = self.segments.iter().filter(|segment| self.may_match(segment, hints));
        let ids: Vec<StorageId> = columns.iter().filter_map(|at| self.shape.storage.get(*at)).copied().collect();
        scanned.map(|segment| ids.iter().map(|id| segment.stored_bytes(*id)).sum::<u64>()).sum()
    }

    fn read_only(&self) -> bool {
        self.shape.read_only
    }
}
