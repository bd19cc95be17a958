//! Where a query or load writes: dispositions, schema changes, partitions.

use std::sync::Arc;

use scrimmage_core::{Profile, Timestamp};
use scrimmage_googlesql::catalog::{Mode, Schema, TablePath};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::{Type, Value};
use serde_json::{Map, Value as Json};

use super::ddl::check_layout;
use crate::engine::Store;
use crate::engine::dataset::TableKind;
use crate::engine::partition::{PartitionId, Partitioning};
use crate::engine::store::{NewTable, WriteMode, extended};
use crate::engine::table::{Shape, TableVersion};
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};
use crate::service::tables;
use crate::texts;

/// A table to write to, as a job's configuration describes it.
#[derive(Clone, Debug)]
pub struct Destination {
    pub path: TablePath,
    /// `T$20260101`: only this partition is written.
    pub partition: Option<String>,
    pub create: bool,
    pub write: Disposition,
    pub allow_field_addition: bool,
    pub allow_field_relaxation: bool,
    pub partitioning: Option<Partitioning>,
    pub clustering: Vec<String>,
    pub require_partition_filter: bool,
    pub description: Option<Json>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    Append,
    Truncate,
    /// Replaces rows; the schema, its constraints and policies stay.
    TruncateData,
    /// Fails where the table has rows.
    Empty,
}

impl Destination {
    /// Reads `destinationTable` and what goes with it from a `query` or `load` configuration.
    pub fn from_json(configuration: &Json, default_write: Disposition) -> ApiResult<Option<Destination>> {
        let Some(table) = configuration.get("destinationTable").filter(|table| table.is_object()) else {
            return Ok(None);
        };
        let (path, partition) = tables::reference(table)?;
        let text = |key: &str| configuration.get(key).and_then(Json::as_str);
        let write = match text("writeDisposition") {
            None => default_write,
            Some("WRITE_APPEND") => Disposition::Append,
            Some("WRITE_TRUNCATE") => Disposition::Truncate,
            Some("WRITE_TRUNCATE_DATA") => Disposition::TruncateData,
            Some("WRITE_EMPTY") => Disposition::Empty,
            Some(other) => {
                return Err(ApiError::invalid(format!(
                    "Invalid value for writeDisposition: {other} is not a valid value"
                )));
            }
        };
        let options: Vec<&str> = configuration
            .get("schemaUpdateOptions")
            .and_then(Json::as_array)
            .map_or_else(Vec::new, |list| list.iter().filter_map(Json::as_str).collect());
        let extends = match write {
            Disposition::Append => true,
            Disposition::Truncate => partition.is_some(),
            Disposition::TruncateData | Disposition::Empty => false,
        };
        if !options.is_empty() && !extends {
            return Err(ApiError::invalid(texts::SCHEMA_UPDATE_DISPOSITION));
        }
        Ok(Some(Destination {
            path,
            partition,
            create: text("createDisposition") != Some("CREATE_NEVER"),
            write,
            allow_field_addition: options.contains(&"ALLOW_FIELD_ADDITION"),
            allow_field_relaxation: options.contains(&"ALLOW_FIELD_RELAXATION"),
            partitioning: tables::partitioning(configuration)?,
            clustering: tables::clustering(configuration)?,
            require_partition_filter: tables::requires_filter(configuration),
            description: configuration
                .get("destinationTableProperties")
                .and_then(|properties| properties.get("description"))
                .cloned(),
        }))
    }
}

/// Writes rows with their schema, creating, truncating and extending the table as the destination allows.
pub fn write(
    app: &App,
    destination: &Destination,
    schema: &Schema,
    batches: Vec<Batch>,
) -> ApiResult<Arc<TableVersion>> {
    write_into(&mut app.store.lock(), &app.ctx, destination, schema, batches)
}

/// The same for those who hold the store already.
pub fn write_into(
    store: &mut Store,
    ctx: &scrimmage_core::Context,
    destination: &Destination,
    schema: &Schema,
    batches: Vec<Batch>,
) -> ApiResult<Arc<TableVersion>> {
    let now = ctx.clock.now();
    let path = &destination.path;
    if ctx.profile == Profile::Strict {
        store.count_import(now, path)?;
    }
    let existing = match store.table(path) {
        Ok(entry) if entry.kind != TableKind::Table && !matches!(entry.kind, TableKind::Clone { .. }) => {
            return Err(ApiError::invalid(format!(
                "{}:{}.{} is not a table that can be written to",
                path.project, path.dataset, path.table
            )));
        }
        Ok(entry) => Some(entry.current().clone()),
        Err(error @ crate::engine::EngineError::DatasetNotFound { .. }) => return Err(error.into()),
        Err(_) => None,
    };
    let Some(existing) = existing else {
        if !destination.create {
            return Err(ApiError::not_found(texts::table_not_found(path)));
        }
        return create(store, now, destination, schema, batches);
    };
    if destination.write == Disposition::Empty && existing.rows > 0 {
        return Err(ApiError::duplicate(texts::table_exists(path)));
    }
    let partition = partition_of(&existing.shape, destination)?;
    if destination.write == Disposition::Truncate && partition.is_none() {
        // The table takes the rows' schema; its layout stays unless the job brings one.
        let mut shape = existing.shape.with_schema(schema.clone());
        if destination.partitioning.is_some() {
            shape = Shape::new(
                schema.clone(),
                destination.partitioning.clone(),
                destination.clustering.clone(),
                destination.require_partition_filter,
            );
        }
        check_layout(&shape.schema, shape.partitioning.as_ref(), &shape.clustering)
            .map_err(|error| ApiError::invalid(error.message))?;
        store.write(now, path, Some(shape), batches, WriteMode::Truncate, None)?;
    } else {
        let target = updated_schema(&existing.shape.schema, schema, destination)?;
        let shape = (target != existing.shape.schema).then(|| existing.shape.with_schema(target.clone()));
        let rows = batches.iter().map(|batch| arrange(batch, schema, &target)).collect::<ApiResult<Vec<_>>>()?;
        let mode = match destination.write {
            Disposition::Truncate | Disposition::TruncateData => WriteMode::Truncate,
            Disposition::Append | Disposition::Empty => WriteMode::Append,
        };
        store.write(now, path, shape, rows, mode, partition)?;
    }
    Ok(store.table(path)?.current().clone())
}

fn create(
    store: &mut Store,
    now: Timestamp,
    destination: &Destination,
    schema: &Schema,
    batches: Vec<Batch>,
) -> ApiResult<Arc<TableVersion>> {
    check_layout(schema, destination.partitioning.as_ref(), &destination.clustering)
        .map_err(|error| ApiError::invalid(error.message))?;
    let mut metadata = Map::new();
    if let Some(description) = &destination.description {
        metadata.insert("description".into(), description.clone());
    }
    let shape = Shape::new(
        schema.clone(),
        destination.partitioning.clone(),
        destination.clustering.clone(),
        destination.require_partition_filter,
    );
    let new = NewTable { shape, kind: TableKind::Table, expires: None, metadata };
    Ok(store.create_table(now, &destination.path, new, batches, false)?)
}

fn partition_of(shape: &Shape, destination: &Destination) -> ApiResult<Option<PartitionId>> {
    let Some(text) = &destination.partition else { return Ok(None) };
    let id = shape.partitioning.as_ref().and_then(|partitioning| partitioning.parse(text));
    id.map(Some).ok_or_else(|| {
        ApiError::invalid(format!("Invalid partition decorator ${text} for table {}", destination.path.table))
    })
}

/// The table's schema after the write: columns may come only where the job says so.
pub(super) fn updated_schema(table: &Schema, incoming: &Schema, destination: &Destination) -> ApiResult<Schema> {
    let mut added = Vec::new();
    let mut updated = table.clone();
    for column in &incoming.columns {
        match updated.position(&column.name) {
            None if destination.allow_field_addition => {
                let mut column = column.clone();
                column.mode = Mode::Nullable;
                added.push(column);
            }
            None => {
                return Err(ApiError::invalid(format!(
                    "Invalid schema update. Cannot add fields (field: {})",
                    column.name
                )));
            }
            Some(at) => {
                let own = &mut updated.columns[at];
                if !own.ty.equivalent(&column.ty) && !widens(&column.ty, &own.ty) {
                    return Err(changed_type(&column.name, &own.ty, &column.ty));
                }
                if own.mode == Mode::Required && column.mode == Mode::Nullable && destination.allow_field_relaxation {
                    own.mode = Mode::Nullable;
                }
            }
        }
    }
    for own in &mut updated.columns {
        if own.mode == Mode::Required && incoming.position(&own.name).is_none() {
            if !destination.allow_field_relaxation {
                return Err(ApiError::invalid(format!(
                    "Required field {} is missing from the provided schema",
                    own.name
                )));
            }
            own.mode = Mode::Nullable;
        }
    }
    Ok(extended(&updated, added))
}

fn widens(from: &Type, to: &Type) -> bool {
    matches!(
        (from, to),
        (Type::Int64, Type::Numeric | Type::BigNumeric | Type::Float64)
            | (Type::Numeric, Type::BigNumeric | Type::Float64)
    )
}

fn changed_type(column: &str, own: &Type, incoming: &Type) -> ApiError {
    ApiError::invalid(format!(
        "Invalid schema update. Field {column} has changed type from {} to {}",
        schema::type_name(own),
        schema::type_name(incoming)
    ))
}

use crate::service::schema;

/// Rows in the order (and with the types) of the table; what they lack is NULL. REQUIRED columns are checked. What
/// rows carry beyond the schema (their partition, see [`crate::engine::table::TableVersion::batches_in_place`]) they keep.
pub(crate) fn arrange(batch: &Batch, from: &Schema, to: &Schema) -> ApiResult<Batch> {
    let mut columns = Vec::with_capacity(to.columns.len());
    for column in &to.columns {
        let data = match from.position(&column.name) {
            None if matches!(column.ty, Type::Array(_)) => {
                Arc::new(Column::constant(Value::array(Vec::new()), batch.len))
            }
            None => Arc::new(Column::nulls(batch.len)),
            Some(at) => {
                let own = &batch.columns[at];
                let ty = &from.columns[at].ty;
                if ty.equivalent(&column.ty) {
                    own.clone()
                } else {
                    if !widens(ty, &column.ty) {
                        return Err(changed_type(&column.name, &column.ty, ty));
                    }
                    Arc::new(Column::from_values(
                        &column.ty,
                        (0..batch.len).map(|row| widened(own.get(row), &column.ty)),
                    ))
                }
            }
        };
        if column.mode == Mode::Required && (0..batch.len).any(|row| data.is_null(row)) {
            return Err(ApiError::invalid(format!("Required field {} cannot be null", column.name)));
        }
        columns.push(data);
    }
    columns.extend(batch.columns.iter().skip(from.columns.len()).cloned());
    Ok(Batch::new(columns, batch.len))
}

/// The value of a type that [`widens`] to `to`.
fn widened(value: Value, to: &Type) -> Value {
    use scrimmage_googlesql::value::Numeric;
    match (&value, to) {
        (Value::Int64(number), Type::Float64) => Value::Float64(*number as f64),
        (Value::Int64(number), Type::Numeric) => Value::Numeric(Numeric::from_i64(*number)),
        (Value::Int64(number), Type::BigNumeric) => Value::BigNumeric(Arc::new(Numeric::from_i64(*number).to_big())),
        (Value::Numeric(number), Type::Float64) => Value::Float64(number.to_f64()),
        (Value::Numeric(number), Type::BigNumeric) => Value::BigNumeric(Arc::new(number.to_big())),
        _ => value,
    }
}
