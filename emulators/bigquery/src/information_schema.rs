//! INFORMATION_SCHEMA: metadata as tables, made when somebody asks. Columns, types and their order are those of
//! the documentation's pages of each view.

mod constraints;
mod ddl_text;
mod empty;
mod field_paths;
mod jobs;
mod options;
mod routines;
mod storage;
mod tables;

use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{Schema, Table, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::{SqlError, Type, Value};

use crate::catalog::Snapshot;
use crate::engine::Store;
use crate::engine::dataset::{Dataset, TableEntry};
use crate::engine::partition::PartitionId;
use crate::engine::store::DatasetPath;
use crate::engine::table::{Segment, Shape, TableVersion, plain_column};
use crate::jobs::registry::Jobs;
use crate::jobs::sessions::Sessions;
use crate::texts;

/// Where a view may be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Both,
    /// Not of one dataset.
    Region,
}

/// The views that there are; others answer `Not found`.
const VIEWS: [(&str, Of, View); 45] = [
    ("SCHEMATA", Of::Region, tables::schemata),
    ("SCHEMATA_OPTIONS", Of::Region, options::of_schemata),
    ("TABLES", Of::Both, tables::tables),
    ("TABLE_OPTIONS", Of::Both, options::of_tables),
    ("TABLE_SNAPSHOTS", Of::Both, tables::snapshots),
    ("COLUMNS", Of::Both, tables::columns),
    ("COLUMN_FIELD_PATHS", Of::Both, field_paths::field_paths),
    ("PARTITIONS", Of::Both, storage::partitions),
    ("TABLE_STORAGE", Of::Region, storage::table_storage),
    ("TABLE_STORAGE_BY_PROJECT", Of::Region, storage::table_storage),
    ("TABLE_STORAGE_TIMELINE", Of::Region, storage::table_storage_timeline),
    ("TABLE_STORAGE_TIMELINE_BY_PROJECT", Of::Region, storage::table_storage_timeline),
    ("VIEWS", Of::Both, tables::views),
    ("MATERIALIZED_VIEWS", Of::Both, tables::materialized_views),
    ("TABLE_CONSTRAINTS", Of::Both, constraints::table_constraints),
    ("KEY_COLUMN_USAGE", Of::Both, constraints::key_column_usage),
    ("CONSTRAINT_COLUMN_USAGE", Of::Both, constraints::constraint_column_usage),
    ("ROUTINES", Of::Both, routines::routines),
    ("ROUTINE_OPTIONS", Of::Both, routines::routine_options),
    ("PARAMETERS", Of::Both, routines::parameters),
    ("JOBS", Of::Region, jobs::jobs),
    ("JOBS_BY_PROJECT", Of::Region, jobs::jobs),
    ("JOBS_BY_USER", Of::Region, jobs::jobs_by_user),
    ("JOBS_BY_FOLDER", Of::Region, jobs::jobs),
    ("JOBS_BY_ORGANIZATION", Of::Region, jobs::jobs),
    ("JOBS_TIMELINE", Of::Region, jobs::jobs_timeline),
    ("JOBS_TIMELINE_BY_PROJECT", Of::Region, jobs::jobs_timeline),
    ("JOBS_TIMELINE_BY_USER", Of::Region, jobs::jobs_timeline_by_user),
    ("JOBS_TIMELINE_BY_FOLDER", Of::Region, jobs::jobs_timeline),
    ("JOBS_TIMELINE_BY_ORGANIZATION", Of::Region, jobs::jobs_timeline),
    ("SESSIONS", Of::Region, jobs::sessions),
    ("SESSIONS_BY_PROJECT", Of::Region, jobs::sessions),
    ("SESSIONS_BY_USER", Of::Region, jobs::sessions_by_user),
    ("STREAMING_TIMELINE", Of::Region, storage::streaming_timeline),
    ("STREAMING_TIMELINE_BY_PROJECT", Of::Region, storage::streaming_timeline),
    ("WRITE_API_TIMELINE", Of::Region, storage::write_api_timeline),
    ("SEARCH_INDEXES", Of::Both, empty::search_indexes),
    ("SEARCH_INDEX_COLUMNS", Of::Both, empty::index_columns),
    ("VECTOR_INDEXES", Of::Both, empty::vector_indexes),
    ("VECTOR_INDEX_COLUMNS", Of::Both, empty::index_columns),
    ("VECTOR_INDEX_OPTIONS", Of::Both, empty::index_options),
    ("OBJECT_PRIVILEGES", Of::Region, empty::object_privileges),
    ("SCHEMATA_LINKS", Of::Region, empty::schemata_links),
    ("SCHEMATA_REPLICAS", Of::Region, empty::schemata_replicas),
    ("EFFECTIVE_PROJECT_OPTIONS", Of::Region, empty::effective_project_options),
];

/// Makes a view's rows.
type View = fn(&Scan) -> Rows;

/// What a view reads: the datasets in its scope, and the project's jobs.
struct Scan<'a> {
    project: String,
    /// Who asks; `None` sees what everybody does.
    user: Option<String>,
    now: Timestamp,
    datasets: Vec<(&'a DatasetPath, &'a Dataset)>,
    jobs: Option<&'a Jobs>,
    sessions: Option<&'a Sessions>,
}

struct Rows {
    columns: Vec<(&'static str, Type)>,
    rows: Vec<Vec<Value>>,
}

/// The view that a name means, if it has INFORMATION_SCHEMA in it, or is one of the two older meta tables.
pub fn lookup(snapshot: &Snapshot, name: &[String]) -> Result<Option<Arc<dyn Table>>, SqlError> {
    if let Some(make) = meta_table(name) {
        let path = snapshot.scope.path(name)?;
        let store = snapshot.store.lock();
        let scan = scan(snapshot, &store, &path.project, Some(&path.dataset))?;
        return Ok(Some(table(snapshot, path, make(&scan))));
    }
    let Some(at) = name.iter().position(|part| part.eq_ignore_ascii_case("INFORMATION_SCHEMA")) else {
        return Ok(None);
    };
    let (before, view) = (&name[..at], name[at + 1..].join("."));
    let is_region = |part: &str| part.to_ascii_lowercase().starts_with("region-");
    let own = &snapshot.scope.project;
    let known = VIEWS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(&view));
    let of_region = known.is_some_and(|(_, of, _)| *of == Of::Region);
    let is_dataset = |name: &str| snapshot.store.lock().dataset(&DatasetPath::new(own, name)).is_ok();
    let (project, dataset) = match before {
        [] => (own.clone(), None),
        [region] if is_region(region) => (own.clone(), None),
        [project, region] if is_region(region) => (project.clone(), None),
        [project] if of_region && !is_dataset(project) => (project.clone(), None),
        [dataset] => (own.clone(), Some(dataset.clone())),
        [project, dataset] => (project.clone(), Some(dataset.clone())),
        _ => return Err(SqlError::analysis(format!("Invalid table name: `{}`", name.join(".")))),
    };
    let path = TablePath {
        project: project.clone(),
        dataset: dataset.clone().unwrap_or_else(|| "region-us".into()),
        table: format!("INFORMATION_SCHEMA.{view}"),
    };
    let Some((_, _, make)) = known.filter(|(_, of, _)| *of == Of::Both || dataset.is_none()) else {
        return Err(SqlError::not_found(texts::table_not_found(&path)));
    };
    let store = snapshot.store.lock();
    let rows = make(&scan(snapshot, &store, &project, dataset.as_deref())?);
    Ok(Some(table(snapshot, path, rows)))
}

/// `dataset.__TABLES__` and `dataset.__TABLES_SUMMARY__`.
fn meta_table(name: &[String]) -> Option<View> {
    match name.last()?.as_str() {
        "__TABLES__" => Some(storage::meta_tables),
        "__TABLES_SUMMARY__" => Some(storage::meta_tables_summary),
        _ => None,
    }
}

fn table(snapshot: &Snapshot, path: TablePath, rows: Rows) -> Arc<dyn Table> {
    let schema = Schema { columns: rows.columns.iter().map(|(name, ty)| plain_column(name, ty.clone())).collect() };
    let types: Vec<Type> = rows.columns.into_iter().map(|(_, ty)| ty).collect();
    let mut shape = Shape::new(schema, None, Vec::new(), false);
    shape.read_only = true;
    let storage: Arc<[u32]> = shape.storage.clone().into();
    let segment = Segment::new(0, PartitionId::Whole, storage, Batch::from_rows(&types, rows.rows));
    Arc::new(TableVersion::new(path, snapshot.seq, snapshot.now, Arc::new(shape), vec![Arc::new(segment)]))
}

fn scan<'a>(
    snapshot: &'a Snapshot,
    store: &'a Store,
    project: &str,
    dataset: Option<&str>,
) -> Result<Scan<'a>, SqlError> {
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
    Ok(Scan {
        project: project.to_owned(),
        user: snapshot.reader.as_ref().map(|reader| reader.email().to_owned()),
        now: snapshot.now,
        datasets,
        jobs: snapshot.jobs.as_deref(),
        sessions: snapshot.sessions.as_deref(),
    })
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

fn text(name: &'static str) -> (&'static str, Type) {
    (name, Type::String)
}

fn number(name: &'static str) -> (&'static str, Type) {
    (name, Type::Int64)
}

fn time(name: &'static str) -> (&'static str, Type) {
    (name, Type::Timestamp)
}

fn at(at: Timestamp) -> Value {
    Value::Timestamp(at.as_micros())
}

fn or_null(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::string)
}

/// Catalog, schema and table, or whatever a row begins with.
fn owner<const N: usize>(names: [&str; N]) -> Vec<Value> {
    names.into_iter().map(Value::string).collect()
}
