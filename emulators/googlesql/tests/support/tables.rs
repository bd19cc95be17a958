//! Tables in memory and a catalog of them, for tests and examples that see the crate from outside.
// Nobody uses all of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_googlesql::catalog::{
    Catalog, ColumnDef, Mode, Outcome, Parameters, Relation, Routine, ScanRequest, Schema, Table, TablePath,
};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::exec::{ExecContext, execute};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::plan::AnalyzerContext;
use scrimmage_googlesql::{Result, SqlError, Type, TypeParams, Value, analyzer, parser};

const BATCH: usize = 8192;

/// 2023-11-14, UTC.
pub fn eval() -> EvalContext {
    EvalContext {
        now: 1_700_000_000_000_000,
        time_zone: "UTC".into(),
        draws: Draws::default(),
        session_user: "somebody@example.com".into(),
        project: "p".into(),
    }
}

struct Memory {
    path: TablePath,
    schema: Schema,
    batches: Vec<Batch>,
}

impl Table for Memory {
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
                request.columns.iter().filter_map(|at| batch.columns.get(*at).cloned()).collect();
            if request.row_ids {
                let ids = (first..first + batch.len as i64).map(Value::Int64);
                columns.push(Arc::new(Column::from_values(&Type::Int64, ids)));
            }
            first += batch.len as i64;
            Batch::new(columns, batch.len)
        });
        Ok(batches.collect())
    }
}

/// By their last names.
#[derive(Default)]
pub struct Tables(pub HashMap<String, Arc<dyn Table>>);

impl Catalog for Tables {
    fn relation(&self, name: &[String], _: Option<i64>) -> Result<Relation> {
        let found = name.last().and_then(|name| self.0.get(name));
        found.cloned().map(Relation::Table).ok_or_else(|| SqlError::not_found(name.join(".")))
    }
    fn wildcard(&self, name: &[String], _: Option<i64>) -> Result<Arc<dyn Table>> {
        Err(SqlError::not_found(name.join(".")))
    }
    fn routine(&self, _: &[String]) -> Option<Arc<Routine>> {
        None
    }
    fn resolve(&self, name: &[String]) -> Result<TablePath> {
        Ok(path(name.last().map_or("", String::as_str)))
    }
}

fn path(table: &str) -> TablePath {
    TablePath { project: "p".into(), dataset: "d".into(), table: table.into() }
}

impl Tables {
    /// A table whose cells are `value(row, column)`.
    pub fn add(&mut self, name: &str, columns: &[(&str, Type)], rows: usize, value: impl Fn(usize, usize) -> Value) {
        let types: Vec<Type> = columns.iter().map(|(_, ty)| ty.clone()).collect();
        let definition = |name: &str, ty: &Type| ColumnDef {
            name: name.into(),
            ty: ty.clone(),
            params: TypeParams::default(),
            mode: Mode::Nullable,
            description: None,
            default: None,
            rounding_mode: None,
            fields: Vec::new(),
        };
        let batches = (0..rows).step_by(BATCH).map(|from| {
            let rows = (from..(from + BATCH).min(rows)).map(|row| (0..types.len()).map(|at| value(row, at)).collect());
            Batch::from_rows(&types, rows)
        });
        let table = Memory {
            path: path(name),
            batches: batches.collect(),
            schema: Schema { columns: columns.iter().map(|(name, ty)| definition(name, ty)).collect() },
        };
        self.0.insert(name.into(), Arc::new(table));
    }

    /// Parses, analyzes and runs one statement.
    pub fn run(&self, sql: &str, context: &ExecContext) -> Result<Outcome> {
        let (parameters, variables) = (Parameters::default(), HashMap::new());
        let analyzer = AnalyzerContext {
            catalog: self,
            parameters: &parameters,
            variables: &variables,
            eval: &context.eval,
            cancel: Some(&context.cancel),
        };
        execute(&analyzer::analyze(&parser::parse_statement(sql)?, &analyzer)?, context)
    }
}
