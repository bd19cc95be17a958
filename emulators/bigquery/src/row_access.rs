//! What row access policies leave of a table: the rows that some policy grants to the one who reads.
//!
//! As in production a table with policies shows nothing to whom none of them grants anything, its owner
//! included. Reading is filtered, through views too; a DML statement's own target is not.

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_googlesql::catalog::{Catalog, Outcome, Parameters, Relation, Routine, Table, TablePath};
use scrimmage_googlesql::exec::{self, ExecContext};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::plan::AnalyzerContext;
use scrimmage_googlesql::{SqlError, analyzer, parser};

use crate::catalog::Snapshot;
use crate::engine::EngineError;
use crate::engine::dataset::TableEntry;
use crate::engine::policy::Identity;
use crate::engine::table::TableVersion;

/// The filters that hold for a reader: none where the table has no policies, or one of them grants everything.
pub fn filters(entry: &TableEntry, reader: &Identity) -> Option<Vec<String>> {
    if entry.policies.is_empty() {
        return None;
    }
    let granted = entry.policies.values().filter(|policy| policy.grantees.iter().any(|one| reader.is_granted(one)));
    let filters: Vec<String> = granted.map(|policy| policy.filter.clone()).collect();
    (!filters.iter().any(|filter| filter.trim().eq_ignore_ascii_case("true"))).then_some(filters)
}

/// Refuses who does not see all rows: copies, lists and exports of whole tables are for those who do.
pub fn check_whole(entry: &TableEntry, reader: &Identity) -> Result<(), EngineError> {
    match filters(entry, reader) {
        None => Ok(()),
        Some(_) => Err(EngineError::RowsDenied(entry.current().path.clone())),
    }
}

/// The same table with only the rows for which one of the filters is true.
pub fn visible(
    snapshot: &Snapshot,
    version: Arc<TableVersion>,
    filters: &[String],
    reader: &Identity,
) -> Result<Arc<TableVersion>, SqlError> {
    let with = |segments| {
        let (path, shape) = (version.path.clone(), version.shape.clone());
        Arc::new(TableVersion::new(path, version.seq, version.at, shape, segments))
    };
    if filters.is_empty() {
        return Ok(with(Vec::new()));
    }
    // Deleting all others computes which they are, and nobody applies it.
    let any: Vec<String> = filters.iter().map(|filter| format!("({filter}\n)")).collect();
    let removed = rows_where(snapshot, &version, &format!("IFNULL({}, FALSE) IS FALSE", any.join(" OR ")), reader)?;
    let mut by_segment: HashMap<usize, Vec<u32>> = HashMap::new();
    for row in removed {
        let (segment, within) = TableVersion::locate(row);
        by_segment.entry(segment).or_default().push(within);
    }
    let left = version.segments.iter().enumerate().filter_map(|(index, segment)| match by_segment.get(&index) {
        None => Some(segment.clone()),
        Some(gone) => Some(Arc::new(segment.without(gone))).filter(|left| left.live() > 0),
    });
    Ok(with(left.collect()))
}

/// That a filter can be evaluated over the table.
pub fn check(
    snapshot: &Snapshot,
    version: &Arc<TableVersion>,
    filter: &str,
    reader: &Identity,
) -> Result<(), SqlError> {
    let empty = TableVersion::new(version.path.clone(), version.seq, version.at, version.shape.clone(), Vec::new());
    rows_where(snapshot, &Arc::new(empty), &format!("({filter}\n)"), reader).map(drop)
}

fn rows_where(
    snapshot: &Snapshot,
    version: &Arc<TableVersion>,
    condition: &str,
    reader: &Identity,
) -> Result<Vec<u64>, SqlError> {
    let TablePath { project, dataset, table } = &version.path;
    let statement =
        parser::parse_statement(&format!("DELETE FROM `{project}`.`{dataset}`.`{table}` WHERE {condition}"))?;
    let mut shape = (*version.shape).clone();
    (shape.read_only, shape.require_partition_filter) = (false, false);
    let plain =
        TableVersion::new(version.path.clone(), version.seq, version.at, Arc::new(shape), version.segments.clone());
    let catalog = One { snapshot: Snapshot { reader: None, ..snapshot.clone() }, table: Arc::new(plain) };
    let eval = EvalContext {
        now: snapshot.now.as_micros(),
        time_zone: "UTC".into(),
        draws: Draws::default(),
        session_user: reader.email().to_owned(),
        project: snapshot.scope.project.clone(),
    };
    let (parameters, variables) = (Parameters::default(), HashMap::new());
    let context = AnalyzerContext {
        catalog: &catalog,
        parameters: &parameters,
        variables: &variables,
        eval: &eval,
        cancel: None,
    };
    let plan = analyzer::analyze(&statement, &context)?;
    match exec::execute(&plan, &ExecContext::new(eval.clone()))? {
        Outcome::Dml(change) => Ok(change.removed),
        Outcome::Query(_) | Outcome::Ddl(_) => Ok(Vec::new()),
    }
}

/// A snapshot in which the table is the one given, whole.
struct One {
    snapshot: Snapshot,
    table: Arc<TableVersion>,
}

impl Catalog for One {
    fn relation(&self, name: &[String], as_of: Option<i64>) -> Result<Relation, SqlError> {
        let path = &self.table.path;
        if let [project, dataset, table] = name
            && (project, dataset, table) == (&path.project, &path.dataset, &path.table)
        {
            return Ok(Relation::Table(self.table.clone()));
        }
        self.snapshot.relation(name, as_of)
    }

    fn wildcard(&self, name: &[String], as_of: Option<i64>) -> Result<Arc<dyn Table>, SqlError> {
        self.snapshot.wildcard(name, as_of)
    }

    fn routine(&self, name: &[String]) -> Option<Arc<Routine>> {
        self.snapshot.routine(name)
    }

    fn resolve(&self, name: &[String]) -> Result<TablePath, SqlError> {
        self.snapshot.resolve(name)
    }
}
