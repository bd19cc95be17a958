//! INFORMATION_SCHEMA: metadata as tables, made when somebody asks.

mod field_paths;
mod options;

use std::sync::Arc;

use scrimmage_googlesql::catalog::{Mode, Schema, Table, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::{SqlError, Type, Value};

use crate::catalog::Snapshot;
use crate::engine::Store;
use crate::engine::dataset::{Dataset, TableEntry, TableKind};
use crate::engine::partition::PartitionId;
use crate::engine::store::DatasetPath;
use crate::engine::table::{Segment, Shape, TableVersion, plain_column};
use crate::texts;

/// The views that there are; others answer `Not found`.
const VIEWS: [(&str, View); 9] = [
    ("SCHEMATA", schemata),
    ("SCHEMATA_OPTIONS", options::of_schemata),
    ("TABLES", tables),
    ("TABLE_OPTIONS", options::of_tables),
    ("COLUMNS", columns),
    ("COLUMN_FIELD_PATHS", field_paths::field_paths),
    ("PARTITIONS", partitions),
    ("VIEWS", views),
    ("ROUTINES", routines),
];

/// Makes a view's rows.
type View = fn(&Scan) -> Rows;

/// What a view reads: the datasets in its scope.
struct Scan<'a> {
    datasets: Vec<(&'a DatasetPath, &'a Dataset)>,
}

struct Rows {
    columns: Vec<(&'static str, Type)>,
    rows: Vec<Vec<Value>>,
}

/// The view that a name means, if it has INFORMATION_SCHEMA in it.
pub fn lookup(snapshot: &Snapshot, name: &[String]) -> Result<Option<Arc<dyn Table>>, SqlError> {
    let Some(at) = name.iter().position(|part| part.eq_ignore_ascii_case("INFORMATION_SCHEMA")) else {
        return Ok(None);
    };
    let (before, view) = (&name[..at], name[at + 1..].join("."));
    let store = snapshot.store.lock();
    let (project, dataset) = match before {
        [] => (snapshot.scope.project.clone(), None),
        [region] if region.to_ascii_lowercase().starts_with("region-") => (snapshot.scope.project.clone(), None),
        [project, region] if region.to_ascii_lowercase().starts_with("region-") => (project.clone(), None),
        [dataset] => (snapshot.scope.project.clone(), Some(dataset.clone())),
        [project, dataset] => (project.clone(), Some(dataset.clone())),
        _ => return Err(SqlError::analysis(format!("Invalid table name: `{}`", name.join(".")))),
    };
    let path = TablePath {
        project: project.clone(),
        dataset: dataset.clone().unwrap_or_else(|| "region-us".into()),
        table: format!("INFORMATION_SCHEMA.{view}"),
    };
    let Some((_, make)) = VIEWS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&view)) else {
        return Err(SqlError::not_found(texts::table_not_found(&path)));
    };
    let rows = make(&scan(&store, &project, dataset.as_deref())?);
    let schema = Schema { columns: rows.columns.iter().map(|(name, ty)| plain_column(name, ty.clone())).collect() };
    let types: Vec<Type> = rows.columns.into_iter().map(|(_, ty)| ty).collect();
    let mut shape = Shape::new(schema, None, Vec::new(), false);
    shape.read_only = true;
    let storage: Arc<[u32]> = shape.storage.clone().into();
    let segment = Segment::new(0, PartitionId::Whole, storage, Batch::from_rows(&types, rows.rows));
    Ok(Some(Arc::new(TableVersion::new(path, snapshot.seq, snapshot.now, Arc::new(shape), vec![Arc::new(segment)]))))
}

fn scan<'a>(store: &'a Store, project: &str, dataset: Option<&str>) -> Result<Scan<'a>, SqlError> {
    if let Some(dataset) = dataset {
        store.dataset(&DatasetPath::new(project, dataset))?;
    }
    let datasets = store
        .datasets
        .iter()
        .filter(|(path, entry)| {
            path.project == project && !entry.hidden && dataset.is_none_or(|dataset| path.dataset == dataset)
        })
        .collect();
    Ok(Scan { datasets })
}

impl Scan<'_> {
    fn entries(&self) -> impl Iterator<Item = (&DatasetPath, &str, &TableEntry)> {
        self.datasets
            .iter()
            .flat_map(|(path, dataset)| dataset.tables.iter().map(move |(name, entry)| (*path, name.as_str(), entry)))
    }
}

fn yes_no(yes: bool) -> Value {
    Value::string(if yes { "YES" } else { "NO" })
}

fn schemata(scan: &Scan) -> Rows {
    let rows = scan.datasets.iter().map(|(path, dataset)| {
        vec![
            Value::string(&path.project),
            Value::string(&path.dataset),
            Value::Null,
            Value::Timestamp(dataset.created.as_micros()),
            Value::Timestamp(dataset.modified.as_micros()),
            Value::string(texts::LOCATION),
        ]
    });
    Rows {
        columns: vec![
            ("catalog_name", Type::String),
            ("schema_name", Type::String),
            ("schema_owner", Type::String),
            ("creation_time", Type::Timestamp),
            ("last_modified_time", Type::Timestamp),
            ("location", Type::String),
        ],
        rows: rows.collect(),
    }
}

fn tables(scan: &Scan) -> Rows {
    let rows = scan.entries().map(|(path, name, entry)| {
        let kind = match entry.kind {
            TableKind::Table => "BASE TABLE",
            TableKind::Clone { .. } => "CLONE",
            TableKind::Snapshot { .. } => "SNAPSHOT",
            TableKind::View { .. } => "VIEW",
            TableKind::MaterializedView { .. } => "MATERIALIZED VIEW",
        };
        vec![
            Value::string(&path.project),
            Value::string(&path.dataset),
            Value::string(name),
            Value::string(kind),
            yes_no(matches!(entry.kind, TableKind::Table | TableKind::Clone { .. })),
            yes_no(false),
            Value::Timestamp(entry.created.as_micros()),
        ]
    });
    Rows {
        columns: vec![
            ("table_catalog", Type::String),
            ("table_schema", Type::String),
            ("table_name", Type::String),
            ("table_type", Type::String),
            ("is_insertable_into", Type::String),
            ("is_typed", Type::String),
            ("creation_time", Type::Timestamp),
        ],
        rows: rows.collect(),
    }
}

fn columns(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, table, entry) in scan.entries() {
        let shape = &entry.current().shape;
        for (index, column) in shape.schema.columns.iter().enumerate() {
            let cluster = shape.clustering.iter().position(|name| name.eq_ignore_ascii_case(&column.name));
            let partitions = shape.partitioning.as_ref().and_then(|partitioning| partitioning.column());
            rows.push(vec![
                Value::string(&path.project),
                Value::string(&path.dataset),
                Value::string(table),
                Value::string(&column.name),
                Value::Int64(index as i64 + 1),
                yes_no(column.mode == Mode::Nullable && !matches!(column.ty, Type::Array(_))),
                Value::string(type_text(&column.ty, &column.params)),
                Value::string("NEVER"),
                yes_no(false),
                yes_no(partitions.is_some_and(|name| name.eq_ignore_ascii_case(&column.name))),
                cluster.map_or(Value::Null, |at| Value::Int64(at as i64 + 1)),
                Value::string("NULL"),
                Value::string(column.default.as_deref().unwrap_or("NULL")),
                column.rounding_mode.as_deref().map_or(Value::Null, Value::string),
            ]);
        }
    }
    Rows {
        columns: vec![
            ("table_catalog", Type::String),
            ("table_schema", Type::String),
            ("table_name", Type::String),
            ("column_name", Type::String),
            ("ordinal_position", Type::Int64),
            ("is_nullable", Type::String),
            ("data_type", Type::String),
            ("is_generated", Type::String),
            ("is_hidden", Type::String),
            ("is_partitioning_column", Type::String),
            ("clustering_ordinal_position", Type::Int64),
            ("collation_name", Type::String),
            ("column_default", Type::String),
            ("rounding_mode", Type::String),
        ],
        rows,
    }
}

/// `NUMERIC(5, 1)`, `STRING(10)`: a type with its parameters at the top level.
fn type_text(ty: &Type, params: &scrimmage_googlesql::TypeParams) -> String {
    match (params.max_length, params.precision, params.scale) {
        (Some(length), ..) => format!("{ty}({length})"),
        (_, Some(precision), Some(scale)) => format!("{ty}({precision}, {scale})"),
        (_, Some(precision), None) => format!("{ty}({precision})"),
        _ => ty.to_string(),
    }
}

fn partitions(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, table, entry) in scan.entries() {
        if matches!(entry.kind, TableKind::View { .. } | TableKind::MaterializedView { .. }) {
            continue;
        }
        let version = entry.current();
        let mut totals: std::collections::BTreeMap<PartitionId, (u64, u64)> = std::collections::BTreeMap::new();
        for segment in &version.segments {
            let total = totals.entry(segment.partition).or_default();
            total.0 += segment.live() as u64;
            total.1 += segment.logical_bytes();
        }
        for (partition, (count, bytes)) in totals {
            let id = version.shape.partitioning.as_ref().map(|partitioning| partitioning.show(partition));
            rows.push(vec![
                Value::string(&path.project),
                Value::string(&path.dataset),
                Value::string(table),
                id.map_or(Value::Null, Value::string),
                Value::Int64(count as i64),
                Value::Int64(bytes as i64),
                Value::Timestamp(entry.modified.as_micros()),
                Value::string("ACTIVE"),
            ]);
        }
    }
    Rows {
        columns: vec![
            ("table_catalog", Type::String),
            ("table_schema", Type::String),
            ("table_name", Type::String),
            ("partition_id", Type::String),
            ("total_rows", Type::Int64),
            ("total_logical_bytes", Type::Int64),
            ("last_modified_time", Type::Timestamp),
            ("storage_tier", Type::String),
        ],
        rows,
    }
}

fn views(scan: &Scan) -> Rows {
    let rows = scan.entries().filter_map(|(path, name, entry)| {
        let TableKind::View { sql, .. } = &entry.kind else { return None };
        Some(vec![
            Value::string(&path.project),
            Value::string(&path.dataset),
            Value::string(name),
            Value::string(sql),
            Value::Null,
            yes_no(true),
        ])
    });
    Rows {
        columns: vec![
            ("table_catalog", Type::String),
            ("table_schema", Type::String),
            ("table_name", Type::String),
            ("view_definition", Type::String),
            ("check_option", Type::String),
            ("use_standard_sql", Type::String),
        ],
        rows: rows.collect(),
    }
}

fn routines(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, dataset) in &scan.datasets {
        for (name, entry) in &dataset.routines {
            let text = |key: &str| {
                entry.resource.get(key).and_then(serde_json::Value::as_str).map_or(Value::Null, Value::string)
            };
            let kind = match entry.routine.kind {
                scrimmage_googlesql::catalog::RoutineKind::Procedure => "PROCEDURE",
                scrimmage_googlesql::catalog::RoutineKind::TableFunction => "TABLE FUNCTION",
                _ => "FUNCTION",
            };
            rows.push(vec![
                Value::string(&path.project),
                Value::string(&path.dataset),
                Value::string(name),
                Value::string(&path.project),
                Value::string(&path.dataset),
                Value::string(name),
                Value::string(kind),
                entry.routine.returns.as_ref().map_or(Value::Null, |ty| Value::string(ty.to_string())),
                text("language"),
                Value::string(&entry.routine.body),
                Value::Timestamp(entry.created.as_micros()),
                Value::Timestamp(entry.modified.as_micros()),
            ]);
        }
    }
    Rows {
        columns: vec![
            ("specific_catalog", Type::String),
            ("specific_schema", Type::String),
            ("specific_name", Type::String),
            ("routine_catalog", Type::String),
            ("routine_schema", Type::String),
            ("routine_name", Type::String),
            ("routine_type", Type::String),
            ("data_type", Type::String),
            ("external_language", Type::String),
            ("routine_definition", Type::String),
            ("created", Type::Timestamp),
            ("last_altered", Type::Timestamp),
        ],
        rows,
    }
}
