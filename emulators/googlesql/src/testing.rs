//! A small catalog in memory, for this crate's own tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::analyzer::analyze;
use crate::catalog::{
    Catalog, ColumnDef, DmlStats, Mode, Outcome, Parameters, Relation, Routine, ScanRequest, Schema, Table,
    TableChange, TablePath,
};
use crate::error::{Result, SqlError};
use crate::exec::column::{Batch, Column};
use crate::exec::{ExecContext, execute};
use crate::functions::EvalContext;
use crate::parser::parse_statement;
use crate::plan::AnalyzerContext;
use crate::types::{Type, TypeParams};
use crate::value::Value;

/// 2024-02-29 12:34:56.789012 UTC, which every test's statement starts at.
pub(crate) const NOW: i64 = 1_709_210_096_789_012;

pub(crate) fn eval_context() -> EvalContext {
    EvalContext {
        now: NOW,
        time_zone: "UTC".into(),
        draws: crate::functions::Draws::default(),
        session_user: "tester@example.com".into(),
        project: "p".into(),
    }
}

pub(crate) fn column_def(name: &str, ty: Type) -> ColumnDef {
    let fields = match &ty {
        Type::Struct(fields) => fields.fields.iter().map(|field| column_def(&field.name, field.ty.clone())).collect(),
        Type::Array(element) => match &**element {
            Type::Struct(fields) => {
                fields.fields.iter().map(|field| column_def(&field.name, field.ty.clone())).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    ColumnDef {
        name: name.into(),
        ty,
        params: TypeParams::default(),
        mode: Mode::Nullable,
        description: None,
        default: None,
        rounding_mode: None,
        fields,
    }
}

/// A table whose row ids are positions.
#[derive(Clone)]
pub(crate) struct MemoryTable {
    pub path: TablePath,
    pub schema: Schema,
    pub batches: Vec<Batch>,
    pub partition_filter: Option<String>,
}

impl MemoryTable {
    /// `p.d.name`.
    pub fn new(name: &str, columns: &[(&str, Type)], rows: Vec<Vec<Value>>) -> MemoryTable {
        let types: Vec<Type> = columns.iter().map(|(_, ty)| ty.clone()).collect();
        MemoryTable {
            path: TablePath { project: "p".into(), dataset: "d".into(), table: name.into() },
            schema: Schema { columns: columns.iter().map(|(name, ty)| column_def(name, ty.clone())).collect() },
            batches: vec![Batch::from_rows(&types, rows)],
            partition_filter: None,
        }
    }

    /// The next version.
    pub fn apply(&self, change: &TableChange) -> MemoryTable {
        let mut next = self.clone();
        if change.truncate {
            next.batches.clear();
        }
        let mut first = 0;
        for batch in &mut next.batches {
            let stays = |row: &u32| !change.removed.contains(&(first + u64::from(*row)));
            let rows: Vec<u32> = (0..batch.len as u32).filter(stays).collect();
            first += batch.len as u64;
            *batch = batch.gather(&rows);
        }
        next.batches.extend(change.added.iter().cloned());
        next
    }
}

impl Table for MemoryTable {
    fn path(&self) -> &TablePath {
        &self.path
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn pseudo_columns(&self) -> &[ColumnDef] {
        &[]
    }

    fn row_count(&self) -> u64 {
        self.batches.iter().map(|batch| batch.len as u64).sum()
    }

    fn scan(&self, request: &ScanRequest) -> Result<Vec<Batch>> {
        let mut first = 0;
        let batches = self.batches.iter().map(|batch| {
            let mut columns: Vec<Arc<Column>> =
                request.columns.iter().map(|at| batch.columns.get(*at).cloned().unwrap_or_default()).collect();
            if request.row_ids {
                let ids = (first..first + batch.len as i64).map(Value::Int64);
                columns.push(Arc::new(Column::from_values(&Type::Int64, ids)));
            }
            first += batch.len as i64;
            Batch::new(columns, batch.len)
        });
        Ok(batches.collect())
    }

    fn required_partition_filter(&self) -> Option<&str> {
        self.partition_filter.as_deref()
    }
}

/// A value as tests write it: texts as CAST gives them, `[…]` for arrays, `{…}` for structs.
pub(crate) fn shown(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => "NULL".into(),
        Value::Array(items) => format!("[{}]", list(items)),
        Value::Struct(items) => format!("{{{}}}", list(items)),
        Value::Json(json) => json.to_string(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        other => crate::cast::to_text(other, &eval_context()).unwrap_or_else(|error| error.to_string()),
    }
}

/// Tables, views and routines of the dataset `p.d`, by their last names.
#[derive(Default)]
pub(crate) struct MemoryCatalog {
    pub tables: BTreeMap<String, Arc<dyn Table>>,
    pub views: BTreeMap<String, String>,
    pub routines: BTreeMap<String, Arc<Routine>>,
}

impl MemoryCatalog {
    pub fn with(mut self, table: MemoryTable) -> MemoryCatalog {
        self.tables.insert(table.path.table.clone(), Arc::new(table));
        self
    }

    /// Analyzes and runs a statement; errors have their place.
    pub fn run(&self, sql: &str) -> Result<Outcome> {
        let eval = eval_context();
        let run = || {
            let context = AnalyzerContext {
                catalog: self,
                parameters: &Parameters::default(),
                variables: &HashMap::new(),
                eval: &eval,
                cancel: None,
            };
            let plan = analyze(&parse_statement(sql)?, &context)?;
            execute(&plan, &ExecContext::new(eval.clone()))
        };
        run().map_err(|error| error.locate(sql))
    }

    /// A query's rows, values joined by `, `; an error is one row: its text.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        match self.run(sql) {
            Ok(Outcome::Query(result)) => {
                let rows = result.batches.iter().flat_map(Batch::rows);
                rows.map(|row| row.iter().map(shown).collect::<Vec<_>>().join(", ")).collect()
            }
            Ok(_) => vec!["no query".into()],
            Err(error) => vec![error.to_string()],
        }
    }

    /// Runs DML and puts the table's next version in its place.
    pub fn change(&mut self, sql: &str) -> Result<DmlStats> {
        match self.run(sql)? {
            Outcome::Dml(change) => {
                let path = change.table.path().clone();
                let columns: Vec<usize> = (0..change.table.schema().columns.len()).collect();
                let batches = change.table.scan(&ScanRequest { columns, ..ScanRequest::default() })?;
                let old = MemoryTable {
                    schema: change.table.schema().clone(),
                    path: path.clone(),
                    batches,
                    partition_filter: change.table.required_partition_filter().map(str::to_owned),
                };
                self.tables.insert(path.table, Arc::new(old.apply(&change)));
                Ok(change.stats)
            }
            _ => Err(SqlError::internal("no DML")),
        }
    }
}

impl Catalog for MemoryCatalog {
    fn relation(&self, name: &[String], _as_of: Option<i64>) -> Result<Relation> {
        let path = self.resolve(name)?;
        if let Some(table) = self.tables.get(&path.table) {
            return Ok(Relation::Table(table.clone()));
        }
        match self.views.get(&path.table) {
            Some(sql) => Ok(Relation::View { path, sql: sql.clone() }),
            None => Err(SqlError::not_found(format!(
                "Not found: Table {}:{}.{} was not found in location US",
                path.project, path.dataset, path.table
            ))),
        }
    }

    fn wildcard(&self, name: &[String], _as_of: Option<i64>) -> Result<Arc<dyn Table>> {
        Err(SqlError::unsupported(format!("{} in tests", name.join("."))))
    }

    fn routine(&self, name: &[String]) -> Option<Arc<Routine>> {
        self.routines.get(name.last()?).cloned()
    }

    fn resolve(&self, name: &[String]) -> Result<TablePath> {
        let (table, before) = name.split_last().ok_or_else(|| SqlError::internal("a name without parts"))?;
        let (dataset, before) = before.split_last().map_or(("d", before), |(last, rest)| (last.as_str(), rest));
        let project = before.last().map_or("p", String::as_str);
        Ok(TablePath { project: project.into(), dataset: dataset.into(), table: table.clone() })
    }
}
