//! This engine's answers, in the form that Spanner's REST API gives its own.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use scrimmage_googlesql::catalog::{Catalog, Outcome, Parameters, Relation, Routine, Table, TablePath};
use scrimmage_googlesql::exec::{ExecContext, execute};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::plan::AnalyzerContext;
use scrimmage_googlesql::{ErrorKind, Result, SqlError, Type, Value, analyzer, cast, parser};
use serde_json::{Value as Json, json};

use super::Answer;

/// Expressions read no tables.
struct Nothing;

impl Catalog for Nothing {
    fn relation(&self, name: &[String], _: Option<i64>) -> Result<Relation> {
        Err(SqlError::not_found(name.join(".")))
    }
    fn wildcard(&self, name: &[String], _: Option<i64>) -> Result<Arc<dyn Table>> {
        Err(SqlError::not_found(name.join(".")))
    }
    fn routine(&self, _: &[String]) -> Option<Arc<Routine>> {
        None
    }
    fn resolve(&self, name: &[String]) -> Result<TablePath> {
        Err(SqlError::not_found(name.join(".")))
    }
}

fn eval() -> EvalContext {
    EvalContext {
        now: 1_700_000_000_000_000,
        time_zone: "America/Los_Angeles".into(),
        draws: Draws::default(),
        session_user: "somebody@example.com".into(),
        project: "p".into(),
    }
}

pub fn answer(sql: &str) -> Answer {
    let eval = eval();
    let run = || {
        let (parameters, variables) = (Parameters::default(), HashMap::new());
        let context =
            AnalyzerContext { catalog: &Nothing, parameters: &parameters, variables: &variables, eval: &eval };
        let plan = analyzer::analyze(&parser::parse_statement(sql)?, &context)?;
        match execute(&plan, &ExecContext::new(eval.clone()))? {
            Outcome::Query(result) => {
                let ty = result.columns.first().map(|(_, ty)| ty.clone()).unwrap_or(Type::Int64);
                let value = result.batches.iter().flat_map(|batch| batch.rows()).next();
                let value = value.and_then(|row| row.into_iter().next()).unwrap_or_default();
                Ok(shown(&value, &ty, &eval))
            }
            _ => Err(SqlError::internal("no query")),
        }
    };
    match run() {
        Ok(value) => Answer::Value(value),
        Err(error) if error.kind == ErrorKind::Unsupported => Answer::Unsupported(error.to_string()),
        Err(error) => Answer::Error(error.locate(sql).to_string()),
    }
}

fn shown(value: &Value, ty: &Type, eval: &EvalContext) -> Json {
    match (value, ty) {
        (Value::Null, _) => Json::Null,
        (Value::Bool(value), _) => json!(value),
        (Value::Float64(value), _) if value.is_nan() => json!("NaN"),
        (Value::Float64(value), _) if value.is_infinite() => json!(if *value > 0.0 { "Infinity" } else { "-Infinity" }),
        (Value::Float64(value), _) => json!(value),
        (Value::Bytes(bytes), _) => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        (Value::Json(json), _) => json!(json.to_string()),
        (Value::Timestamp(micros), _) => {
            let text = scrimmage_googlesql::value::civil::datetime_text(*micros, 'T');
            json!(format!("{text}Z"))
        }
        (Value::Array(items), Type::Array(element)) => items.iter().map(|item| shown(item, element, eval)).collect(),
        (other, _) => json!(cast::to_text(other, eval).unwrap_or_default()),
    }
}
