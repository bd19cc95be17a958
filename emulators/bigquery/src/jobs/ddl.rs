//! Data definition: what CREATE, ALTER and DROP do to the store.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use scrimmage_core::Timestamp;
use scrimmage_googlesql::ast::{
    CreateFunction, CreateTable, Expr, ExprKind, Ident, ObjectKind, Path, StatementKind, TableConstraint,
};
use scrimmage_googlesql::catalog::{DdlAction, Schema, TablePath};
use scrimmage_googlesql::{SqlError, Type, Value};
use serde_json::{Map, Value as Json, json};

use super::ddl_alter::alter_table;
use super::ddl_options::{Settings, dataset_settings};
use super::ddl_routines;
use crate::catalog::{NameScope, SharedStore, TempObjects};
use crate::engine::EngineError;
use crate::engine::dataset::TableKind;
use crate::engine::partition::{Partitioning, TimeUnit};
use crate::engine::policy::{Identity, RowPolicy};
use crate::engine::store::{DatasetPath, NewTable, Store};
use crate::engine::table::{Shape, TableVersion};
use crate::row_access;
use crate::service::datasets::merge;
use crate::texts;

/// What a DDL statement did, for the job's statistics.
#[derive(Clone, Debug)]
pub struct DdlDone {
    /// `CREATE`, `REPLACE`, `SKIP`, `DROP`, `ALTER`.
    pub operation: &'static str,
    pub target: DdlTarget,
}

#[derive(Clone, Debug)]
pub enum DdlTarget {
    Table(TablePath),
    Dataset(DatasetPath),
    Routine(TablePath),
    /// One policy by name, or all of a table's with how many there were.
    Policies {
        table: TablePath,
        policy: Option<String>,
        count: Option<usize>,
    },
}

type Result<T> = std::result::Result<T, SqlError>;

/// Applies one DDL statement of `reader`, who has to see all rows of what is copied.
pub fn apply(
    store: &SharedStore,
    scope: &NameScope,
    temp: Option<&TempObjects>,
    now: Timestamp,
    reader: &Identity,
    action: DdlAction,
) -> Result<DdlDone> {
    let mut store = store.lock();
    let done = |operation, target| Ok(DdlDone { operation, target });
    let DdlAction { statement, target, schema, rows, options } = action;
    match statement.kind {
        StatementKind::CreateTable(create) => {
            create_table(&mut store, scope, now, reader, *create, target, schema, rows.unwrap_or_default(), &options)
        }
        StatementKind::CreateView(view) => {
            let exists = store.table(&target).is_ok();
            if exists && view.if_not_exists {
                return done("SKIP", DdlTarget::Table(target));
            }
            let sql = view.query_text.trim().to_owned();
            let renames = !view.columns.is_empty();
            let kind = match view.materialized {
                true => TableKind::MaterializedView { sql, renames },
                false => TableKind::View { sql, renames },
            };
            let settings = Settings::read(&options);
            let shape = Shape::new(schema.unwrap_or_default(), None, Vec::new(), false);
            let new = NewTable { shape, kind, expires: settings.expires, metadata: settings.metadata };
            store.create_table(now, &target, new, Vec::new(), view.or_replace)?;
            done(if exists { "REPLACE" } else { "CREATE" }, DdlTarget::Table(target))
        }
        StatementKind::CreateSchema { name, if_not_exists, or_replace, .. } => {
            let path = dataset_path(scope, &name)?;
            if store.dataset(&path).is_ok() {
                if if_not_exists {
                    return done("SKIP", DdlTarget::Dataset(path));
                }
                if or_replace {
                    store.delete_dataset(now, &path, true)?;
                }
            }
            let mut settings = dataset_settings(&options);
            settings.retain(|_, value| !value.is_null());
            store.create_dataset(now, &path, settings)?;
            done("CREATE", DdlTarget::Dataset(path))
        }
        StatementKind::CreateSnapshot(snapshot) => {
            if store.table(&target).is_ok() && snapshot.if_not_exists {
                return done("SKIP", DdlTarget::Table(target));
            }
            let source = source_version(&store, scope, now, &snapshot.source, snapshot.as_of.as_ref())?;
            let policies = source_policies(&store, &source.path, reader)?;
            let settings = Settings::read(&options);
            let mut shape = (*source.shape).clone();
            shape.read_only = true;
            let kind = TableKind::Snapshot { of: source.path.clone(), at: source.at };
            let new = NewTable { shape, kind, expires: settings.expires, metadata: settings.metadata };
            store.create_table(now, &target, new, source.batches_in_place(), false)?;
            store.entry(&target)?.policies = policies;
            done("CREATE", DdlTarget::Table(target))
        }
        StatementKind::CreateFunction(function) if function.temporary => create_temp_function(temp, target, &function),
        StatementKind::CreateFunction(function) => ddl_routines::create_function(&mut store, now, &target, &function),
        StatementKind::CreateProcedure(procedure) => {
            ddl_routines::create_procedure(&mut store, now, &target, &procedure)
        }
        StatementKind::Drop { object: ObjectKind::Schema, name, if_exists, cascade, .. } => {
            let path = dataset_path(scope, &name)?;
            match store.delete_dataset(now, &path, cascade) {
                Err(EngineError::DatasetNotFound { .. }) if if_exists => done("SKIP", DdlTarget::Dataset(path)),
                other => other.map_err(SqlError::from).and_then(|()| done("DROP", DdlTarget::Dataset(path))),
            }
        }
        StatementKind::Drop {
            object: ObjectKind::Function | ObjectKind::TableFunction | ObjectKind::Procedure,
            if_exists,
            ..
        } => match (store.drop_routine(&target)?, if_exists) {
            (true, _) => done("DROP", DdlTarget::Routine(target)),
            (false, true) => done("SKIP", DdlTarget::Routine(target)),
            (false, false) => {
                Err(SqlError::not_found(texts::routine_not_found(&target.project, &target.dataset, &target.table)))
            }
        },
        StatementKind::Drop { object, if_exists, .. } => {
            let wanted = match object {
                ObjectKind::Table => "TABLE",
                ObjectKind::View => "VIEW",
                ObjectKind::MaterializedView => "MATERIALIZED_VIEW",
                ObjectKind::SnapshotTable => "SNAPSHOT",
                ObjectKind::ExternalTable => "EXTERNAL",
                _ => return Err(SqlError::unsupported(format!("DROP of {object:?} is not supported"))),
            };
            match store.table(&target).map(|entry| entry.kind.name()) {
                Err(EngineError::TableNotFound(_) | EngineError::DatasetNotFound { .. }) if if_exists => {
                    return done("SKIP", DdlTarget::Table(target));
                }
                Err(EngineError::TableNotFound(path)) => return Err(SqlError::not_found(texts::table_gone(&path))),
                Err(other) => return Err(other.into()),
                Ok(kind) if kind != wanted => {
                    return Err(SqlError::analysis(format!(
                        "{}:{}.{} is not allowed for this operation because it is currently a {kind}.",
                        target.project, target.dataset, target.table
                    )));
                }
                Ok(_) => {}
            }
            store.drop_table(now, &target)?;
            done("DROP", DdlTarget::Table(target))
        }
        StatementKind::Undrop { object: ObjectKind::Schema, name, if_not_exists, .. } => {
            let path = dataset_path(scope, &name)?;
            match store.undelete_dataset(now, &path, None) {
                Err(EngineError::DatasetExists { .. }) if if_not_exists => done("SKIP", DdlTarget::Dataset(path)),
                other => other.map_err(SqlError::from).and_then(|()| done("CREATE", DdlTarget::Dataset(path))),
            }
        }
        StatementKind::AlterTable { if_exists, actions, .. } => {
            if store.table(&target).is_err() && if_exists {
                return done("SKIP", DdlTarget::Table(target));
            }
            let mut target = target;
            alter_table(&mut store, now, &mut target, actions, schema.as_ref(), scope, &options)?;
            done("ALTER", DdlTarget::Table(target))
        }
        StatementKind::Alter { object: ObjectKind::Schema, name, if_exists, .. } => {
            let path = dataset_path(scope, &name)?;
            if store.dataset(&path).is_err() && if_exists {
                return done("SKIP", DdlTarget::Dataset(path));
            }
            let dataset = store.dataset_mut(&path)?;
            merge(&mut dataset.metadata, dataset_settings(&options));
            dataset.modified = now;
            done("ALTER", DdlTarget::Dataset(path))
        }
        StatementKind::Alter { object: ObjectKind::View | ObjectKind::MaterializedView, if_exists, .. } => {
            if store.table(&target).is_err() && if_exists {
                return done("SKIP", DdlTarget::Table(target));
            }
            Settings::read(&options).set(store.table_mut(&target)?, now);
            done("ALTER", DdlTarget::Table(target))
        }
        _ => Err(SqlError::unsupported("This data definition statement is not supported")),
    }
}

fn create_temp_function(temp: Option<&TempObjects>, target: TablePath, create: &CreateFunction) -> Result<DdlDone> {
    let Some(temp) = temp else {
        return Err(SqlError::analysis("A temporary function needs a statement that uses it"));
    };
    let (routine, _) = ddl_routines::function(vec![target.table.clone()], create)?;
    let mut routines = temp.routines.lock().unwrap_or_else(PoisonError::into_inner);
    let old = routines.insert(target.table.to_lowercase(), Arc::new(routine));
    let operation = if old.is_some() { "REPLACE" } else { "CREATE" };
    Ok(DdlDone { operation, target: DdlTarget::Routine(target) })
}

/// `dataset` or `project.dataset`.
fn dataset_path(scope: &NameScope, name: &Path) -> Result<DatasetPath> {
    match name.parts.as_slice() {
        [dataset] => Ok(DatasetPath::new(&scope.project, &dataset.name)),
        [project, dataset] => Ok(DatasetPath::new(&project.name, &dataset.name)),
        _ => Err(SqlError::analysis("Invalid dataset name").at(name.pos)),
    }
}

pub(super) fn names(path: &Path) -> Vec<String> {
    path.parts.iter().map(|part| part.name.clone()).collect()
}

fn source_version(
    store: &Store,
    scope: &NameScope,
    now: Timestamp,
    source: &Path,
    as_of: Option<&Expr>,
) -> Result<std::sync::Arc<TableVersion>> {
    let path = scope.path(&names(source))?;
    match as_of {
        None => Ok(store.version_at(&path, u64::MAX)?),
        Some(expr) => {
            let at = constant_timestamp(expr, now)?;
            Ok(store.version_as_of(now, &path, at)?)
        }
    }
}

/// The policies that a copy takes along; none of a table that is not there any more.
fn source_policies(store: &Store, source: &TablePath, reader: &Identity) -> Result<BTreeMap<String, RowPolicy>> {
    let Ok(entry) = store.table(source) else { return Ok(BTreeMap::new()) };
    row_access::check_whole(entry, reader)?;
    Ok(entry.policies.clone())
}

fn constant_timestamp(expr: &Expr, now: Timestamp) -> Result<Timestamp> {
    match super::query::constant(expr, now)? {
        (Value::Timestamp(micros), _) => Ok(Timestamp::from_micros(micros)),
        _ => Err(SqlError::analysis("FOR SYSTEM_TIME AS OF expects a TIMESTAMP").at(expr.pos)),
    }
}

#[allow(clippy::too_many_arguments)]
fn create_table(
    store: &mut Store,
    scope: &NameScope,
    now: Timestamp,
    reader: &Identity,
    create: CreateTable,
    target: TablePath,
    schema: Option<Schema>,
    rows: Vec<scrimmage_googlesql::exec::column::Batch>,
    options: &[(String, Value, Type)],
) -> Result<DdlDone> {
    let exists = store.table(&target).is_ok();
    if exists && create.if_not_exists {
        return Ok(DdlDone { operation: "SKIP", target: DdlTarget::Table(target) });
    }
    let settings = Settings::read(options);
    let mut rows = rows;
    let mut policies = BTreeMap::new();
    let mut kind = TableKind::Table;
    let mut shape = if let Some(copy) = &create.copy {
        let source = source_version(store, scope, now, &copy.source, copy.as_of.as_ref())?;
        policies = source_policies(store, &source.path, reader)?;
        rows = source.batches_in_place();
        if copy.clone {
            kind = TableKind::Clone { of: source.path.clone(), at: source.at };
        }
        let mut shape = (*source.shape).clone();
        shape.read_only = false;
        shape
    } else if let (Some(like), None) = (&create.like, &create.partition_by) {
        let source = source_version(store, scope, now, like, None)?;
        let mut shape = (*source.shape).clone();
        if let Some(schema) = schema {
            shape = Shape::new(schema, shape.partitioning, shape.clustering, shape.require_partition_filter);
        }
        shape.read_only = false;
        shape
    } else {
        let schema = match (schema, &create.like) {
            (Some(schema), _) => schema,
            (None, Some(like)) => source_version(store, scope, now, like, None)?.shape.schema.clone(),
            (None, None) => Schema::default(),
        };
        let partitioning = create.partition_by.as_ref().map(partitioning).transpose()?;
        let clustering = create.cluster_by.iter().map(cluster_column).collect::<Result<Vec<_>>>()?;
        check_layout(&schema, partitioning.as_ref(), &clustering)?;
        Shape::new(schema, partitioning, clustering, false)
    };
    settings.set_partitions(&mut shape);
    let mut metadata = settings.metadata;
    metadata.retain(|_, value| !value.is_null());
    let mut keys = Map::new();
    for column in create.columns.iter().filter(|column| column.primary_key) {
        keys.insert("primaryKey".into(), json!({"columns": [column.name.name]}));
    }
    for column in &create.columns {
        if let Some(key) = &column.references {
            let (name, columns, key) = (None, vec![column.name.clone()], key.clone());
            add_constraint(&mut keys, scope, &TableConstraint::ForeignKey { name, columns, key })?;
        }
    }
    for constraint in &create.constraints {
        add_constraint(&mut keys, scope, constraint)?;
    }
    if !keys.is_empty() {
        metadata.insert("tableConstraints".into(), Json::Object(keys));
    }
    let new = NewTable { shape, kind, expires: settings.expires, metadata };
    store.create_table(now, &target, new, rows, create.or_replace)?;
    if !policies.is_empty() {
        store.entry(&target)?.policies = policies;
    }
    Ok(DdlDone { operation: if exists { "REPLACE" } else { "CREATE" }, target: DdlTarget::Table(target) })
}

pub(super) fn add_constraint(
    keys: &mut Map<String, Json>,
    scope: &NameScope,
    constraint: &TableConstraint,
) -> Result<()> {
    let list = |idents: &[Ident]| idents.iter().map(|ident| ident.name.clone()).collect::<Vec<_>>();
    match constraint {
        TableConstraint::PrimaryKey { columns, .. } => {
            if keys.contains_key("primaryKey") {
                return Err(SqlError::analysis("Multiple primary keys are not allowed"));
            }
            keys.insert("primaryKey".into(), json!({"columns": list(columns)}));
        }
        TableConstraint::ForeignKey { name, columns, key } => {
            let referenced = scope.path(&names(&key.table))?;
            let pairs: Vec<Json> = columns
                .iter()
                .zip(&key.columns)
                .map(|(own, other)| json!({"referencingColumn": own.name, "referencedColumn": other.name}))
                .collect();
            let mut entry = json!({"referencedTable": table_reference(&referenced), "columnReferences": pairs});
            if let Some(name) = name {
                entry["name"] = json!(name.name);
            }
            if let Json::Array(all) = keys.entry("foreignKeys").or_insert_with(|| json!([])) {
                all.push(entry);
            }
        }
    }
    Ok(())
}

/// `{"projectId", "datasetId", "tableId"}`.
pub fn table_reference(path: &TablePath) -> Json {
    json!({"projectId": path.project, "datasetId": path.dataset, "tableId": path.table})
}

/// That partitioning and clustering columns exist and fit.
pub fn check_layout(schema: &Schema, partitioning: Option<&Partitioning>, clustering: &[String]) -> Result<()> {
    if let Some(partitioning) = partitioning
        && let Some(column) = partitioning.column()
    {
        let position = schema.position(column).ok_or_else(|| SqlError::analysis(texts::PARTITION_FIELD))?;
        let ty = &schema.columns[position].ty;
        if !partitioning.accepts(ty) {
            return Err(SqlError::analysis(match partitioning {
                Partitioning::Time { .. } => format!(
                    "PARTITION BY expression must be DATE(<timestamp_column>), DATE(<datetime_column>), a DATE column or a truncation of one; {column} is {ty}"
                ),
                Partitioning::Range { .. } => {
                    format!("PARTITION BY RANGE_BUCKET needs an INT64 column; {column} is {ty}")
                }
            }));
        }
    }
    if clustering.len() > 4 {
        return Err(SqlError::analysis("Cannot cluster by more than 4 columns"));
    }
    for column in clustering {
        let Some(own) = schema.position(column).and_then(|at| schema.columns.get(at)) else {
            return Err(SqlError::analysis(format!("{}{column}", texts::CLUSTER_FIELD)));
        };
        if !matches!(
            own.ty,
            Type::Int64
                | Type::Numeric
                | Type::BigNumeric
                | Type::Bool
                | Type::String
                | Type::Bytes
                | Type::Date
                | Type::Datetime
                | Type::Timestamp
                | Type::Geography
                | Type::Range(_)
        ) {
            return Err(SqlError::analysis(format!("Clustering by expressions of type {} is not allowed", own.ty)));
        }
    }
    Ok(())
}

pub(super) fn cluster_column(expr: &Expr) -> Result<String> {
    match &expr.kind {
        ExprKind::Name(ident) => Ok(ident.name.clone()),
        _ => Err(SqlError::analysis("CLUSTER BY expression must be a column").at(expr.pos)),
    }
}

/// PARTITION BY in its forms: a DATE column, `DATE(ts)`, `TIMESTAMP_TRUNC(ts, HOUR)`, `DATE_TRUNC(d, MONTH)`,
/// `RANGE_BUCKET(n, GENERATE_ARRAY(…))`, `_PARTITIONDATE`.
pub(super) fn partitioning(expr: &Expr) -> Result<Partitioning> {
    let wrong = || {
        SqlError::analysis(
            "PARTITION BY expression must be DATE(<timestamp_column>), DATE(<datetime_column>), DATETIME_TRUNC(<datetime_column>, DAY/HOUR/MONTH/YEAR), a DATE column, TIMESTAMP_TRUNC(<timestamp_column>, DAY/HOUR/MONTH/YEAR), DATE_TRUNC(<date_column>, MONTH/YEAR), or RANGE_BUCKET(<int64_column>, GENERATE_ARRAY(<int64_value>, <int64_value>[, <int64_value>]))",
        )
        .at(expr.pos)
    };
    let by = |column: &str, unit| {
        let column = if column.eq_ignore_ascii_case("_PARTITIONTIME") || column.eq_ignore_ascii_case("_PARTITIONDATE") {
            None
        } else {
            Some(column.to_owned())
        };
        Partitioning::Time { column, unit, expiration_ms: None }
    };
    match &expr.kind {
        ExprKind::Parenthesized(inner) => partitioning(inner),
        ExprKind::Name(ident) => Ok(by(&ident.name, TimeUnit::Day)),
        ExprKind::Call(call) => {
            let function =
                call.name.parts.iter().map(|part| part.name.to_ascii_uppercase()).collect::<Vec<_>>().join(".");
            let column = match call.args.first().map(|arg| &arg.kind) {
                Some(ExprKind::Name(ident)) => ident.name.clone(),
                _ => return Err(wrong()),
            };
            match function.as_str() {
                "DATE" if call.args.len() == 1 => Ok(by(&column, TimeUnit::Day)),
                "TIMESTAMP_TRUNC" | "DATETIME_TRUNC" | "DATE_TRUNC" => {
                    let Some(ExprKind::Name(unit)) = call.args.get(1).map(|arg| &arg.kind) else { return Err(wrong()) };
                    TimeUnit::from_name(&unit.name).map(|unit| by(&column, unit)).ok_or_else(wrong)
                }
                "RANGE_BUCKET" => {
                    let Some(ExprKind::Call(array)) = call.args.get(1).map(|arg| &arg.kind) else {
                        return Err(wrong());
                    };
                    let bounds: Vec<i64> =
                        array.args.iter().map(|arg| integer(arg).ok_or_else(wrong)).collect::<Result<_>>()?;
                    match bounds.as_slice() {
                        [start, end] => Ok(Partitioning::Range { column, start: *start, end: *end, interval: 1 }),
                        [start, end, interval] if *interval > 0 => {
                            Ok(Partitioning::Range { column, start: *start, end: *end, interval: *interval })
                        }
                        _ => Err(wrong()),
                    }
                }
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

fn integer(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Int(digits) => digits.parse().ok(),
        ExprKind::Unary { op: scrimmage_googlesql::ast::UnaryOp::Minus, expr } => integer(expr).map(|value| -value),
        _ => None,
    }
}
