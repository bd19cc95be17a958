//! Dialogues: files in `tests/dialogues` with statements behind `> ` and what is answered below each.
//!
//! A statement goes on over lines that begin with `| `. Rows are answered one a line, values separated by ` | `; a
//! statement that changes rows answers `n inserted, n updated, n deleted`, DDL answers `ok`, an error `error: …`.
//! Rows without ORDER BY are compared in any order where the statement stands behind `?> `.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ast::{FunctionBody, StatementKind, TypeNameKind};
use crate::catalog::{Catalog, Outcome, Parameters, Routine, RoutineArgument, RoutineKind, Schema, TableChange};
use crate::error::Result;
use crate::exec::column::{Batch, Column};
use crate::exec::{ExecContext, execute};
use crate::plan::AnalyzerContext;
use crate::testing::{MemoryCatalog, MemoryTable, eval_context};
use crate::types::Type;
use crate::value::Value;

/// Tables that statements change.
#[derive(Default)]
pub(super) struct World {
    tables: BTreeMap<String, MemoryTable>,
    views: BTreeMap<String, String>,
    routines: BTreeMap<String, Arc<Routine>>,
}

impl World {
    pub fn with(mut self, table: MemoryTable) -> World {
        self.tables.insert(table.path.table.clone(), table);
        self
    }

    fn catalog(&self) -> MemoryCatalog {
        let mut catalog = MemoryCatalog::default();
        for table in self.tables.values() {
            catalog = catalog.with(table.clone());
        }
        catalog.views = self.views.clone();
        catalog.routines = self.routines.clone();
        catalog
    }

    /// Runs one statement and says what it came to, one line a row.
    pub fn say(&mut self, sql: &str) -> Vec<String> {
        match self.run(sql) {
            Ok(lines) => lines,
            Err(error) => {
                format!("error: {}", error.locate(sql)).lines().map(|line| line.trim_end().to_owned()).collect()
            }
        }
    }

    fn run(&mut self, sql: &str) -> Result<Vec<String>> {
        let statement = crate::parser::parse_statement(sql)?;
        if self.created_function(&statement.kind)? {
            return Ok(vec!["ok".to_owned()]);
        }
        let catalog = self.catalog();
        let (parameters, variables, eval) = (Parameters::default(), HashMap::new(), eval_context());
        let context = AnalyzerContext {
            catalog: &catalog as &dyn Catalog,
            parameters: &parameters,
            variables: &variables,
            eval: &eval,
            cancel: None,
        };
        let plan = crate::analyzer::analyze(&statement, &context)?;
        match execute(&plan, &ExecContext::new(eval.clone()))? {
            Outcome::Query(result) => {
                let types: Vec<&Type> = result.columns.iter().map(|(_, ty)| ty).collect();
                Ok(result.batches.iter().flat_map(Batch::rows).map(|row| line(&row, &types)).collect())
            }
            Outcome::Dml(change) => Ok(vec![self.changed(&change)]),
            Outcome::Ddl(action) => {
                let name = action.target.table.clone();
                match &action.statement.kind {
                    StatementKind::CreateTable(_) => {
                        let schema = action.schema.clone().unwrap_or_default();
                        self.tables.insert(name.clone(), table(&name, schema, action.rows.unwrap_or_default()));
                    }
                    StatementKind::AlterTable { .. } => {
                        if let (Some(schema), Some(old)) = (action.schema, self.tables.get(&name)) {
                            let mut batches = old.batches.clone();
                            for batch in &mut batches {
                                while batch.columns.len() < schema.columns.len() {
                                    batch.columns.push(Arc::new(Column::nulls(batch.len)));
                                }
                            }
                            self.tables.insert(name.clone(), table(&name, schema, batches));
                        }
                    }
                    StatementKind::CreateView(view) => {
                        self.views.insert(name, view.query_text.clone());
                    }
                    StatementKind::Drop { .. } => {
                        self.tables.remove(&name);
                        self.views.remove(&name);
                    }
                    _ => {}
                }
                Ok(vec!["ok".to_owned()])
            }
        }
    }

    fn changed(&mut self, change: &TableChange) -> String {
        let name = &change.table.path().table;
        if let Some(old) = self.tables.get(name) {
            let next = old.apply(change);
            self.tables.insert(name.clone(), next);
        }
        let stats = change.stats;
        format!("{} inserted, {} updated, {} deleted", stats.inserted, stats.updated, stats.deleted)
    }

    fn created_function(&mut self, kind: &StatementKind) -> Result<bool> {
        let StatementKind::CreateFunction(create) = kind else { return Ok(false) };
        let name = create.name.parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>();
        let (kind, body) = match &create.body {
            FunctionBody::Expr(_, text) if create.aggregate => (RoutineKind::Aggregate, text.clone()),
            FunctionBody::Expr(_, text) => (RoutineKind::Scalar, text.clone()),
            FunctionBody::Query(_, text) => (RoutineKind::TableFunction, text.clone()),
            FunctionBody::Code(text) if create.aggregate => (RoutineKind::JavaScriptAggregate, text.clone()),
            FunctionBody::Code(text) => (RoutineKind::JavaScript, text.clone()),
            FunctionBody::None => return Ok(false),
        };
        let arguments = create
            .parameters
            .iter()
            .map(|parameter| RoutineArgument {
                name: parameter.name.name.clone(),
                ty: crate::analyzer::resolve_type(&parameter.ty).ok().map(|(ty, _)| ty),
                is_table: matches!(parameter.ty.kind, TypeNameKind::AnyTable | TypeNameKind::Table(_)),
                is_aggregate: !parameter.not_aggregate,
                direction: Default::default(),
            })
            .collect();
        let returns = create.returns.as_ref().map(crate::analyzer::resolve_type).transpose()?.map(|(ty, _)| ty);
        let last = name.last().cloned().unwrap_or_default();
        self.routines
            .insert(last, Arc::new(Routine { name, arguments, kind, returns, body, javascript: Arc::default() }));
        Ok(true)
    }
}

fn table(name: &str, schema: Schema, batches: Vec<Batch>) -> MemoryTable {
    let mut table = MemoryTable::new(name, &[], Vec::new());
    table.schema = schema;
    table.batches = batches;
    table
}

fn line(row: &[Value], types: &[&Type]) -> String {
    row.iter().zip(types).map(|(value, ty)| text(value, ty)).collect::<Vec<_>>().join(" | ")
}

fn text(value: &Value, ty: &Type) -> String {
    match (value, ty) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Array(items), Type::Array(element)) => {
            format!("[{}]", items.iter().map(|item| text(item, element)).collect::<Vec<_>>().join(", "))
        }
        (Value::Struct(items), Type::Struct(fields)) => {
            let items = items.iter().zip(&fields.fields).map(|(item, field)| text(item, &field.ty));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        (value, _) => crate::cast::to_text(value, &eval_context()).unwrap_or_else(|error| error.to_string()),
    }
}

/// How many exchanges there are at least; it grows with them.
const LEAST: usize = 1500;

/// One exchange of a file.
struct Exchange {
    line: usize,
    sql: String,
    any_order: bool,
    answer: Vec<String>,
}

fn exchanges(text: &str) -> Vec<Exchange> {
    let mut out: Vec<Exchange> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if let Some(sql) = line.strip_prefix("> ").or(line.strip_prefix("?> ")) {
            let any_order = line.starts_with('?');
            out.push(Exchange { line: index + 1, sql: sql.to_owned(), any_order, answer: Vec::new() });
        } else if line.is_empty() || line.starts_with('#') {
        } else if let Some(last) = out.last_mut() {
            match line.strip_prefix("| ") {
                Some(more) if last.answer.is_empty() => {
                    last.sql.push('\n');
                    last.sql.push_str(more);
                }
                _ => last.answer.push(line.to_owned()),
            }
        }
    }
    out
}

/// `DIALOGUE=FILE cargo test … dialogues -- --nocapture` says what the statements of another file come to.
fn ask(file: &str) {
    let text = std::fs::read_to_string(file).expect("the statements");
    let mut world = World::default();
    for exchange in exchanges(&text) {
        let order = if exchange.any_order { "?" } else { "" };
        println!("{order}> {}", exchange.sql.replace('\n', "\n| "));
        world.say(&exchange.sql).iter().for_each(|line| println!("{line}"));
        println!();
    }
}

#[test]
fn dialogues_answer_as_written() {
    if let Ok(file) = std::env::var("DIALOGUE") {
        return ask(&file);
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the dialogues").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut wrong = String::new();
    let mut count = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let mut world = World::default();
        for exchange in exchanges(&text) {
            count += 1;
            let mut got: Vec<String> = world
                .say(&exchange.sql)
                .iter()
                .flat_map(|row| row.split('\n'))
                .map(|line| line.trim_end().to_owned())
                .collect();
            let mut wanted = exchange.answer;
            if exchange.any_order {
                got.sort();
                wanted.sort();
            }
            if got != wanted {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let (got, wanted) = (got.join("\n    "), wanted.join("\n    "));
                wrong.push_str(&format!(
                    "{name}:{}: {}\n  wanted\n    {wanted}\n  got\n    {got}\n",
                    exchange.line, exchange.sql
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= LEAST, "{count} exchanges: some were lost");
}
