//! This engine's answers, in the form that Spanner's REST API gives its own.

use base64::Engine as _;
use scrimmage_googlesql::catalog::Outcome;
use scrimmage_googlesql::exec::ExecContext;
use scrimmage_googlesql::functions::EvalContext;
use scrimmage_googlesql::{ErrorKind, Result, SqlError, Type, Value, cast};
use serde_json::{Value as Json, json};

use super::Answer;
use super::tables::{self, Tables};

fn eval() -> EvalContext {
    // Spanner's default.
    EvalContext { time_zone: "America/Los_Angeles".into(), ..tables::eval() }
}

pub fn answer(sql: &str) -> Answer {
    let eval = eval();
    let run = || -> Result<Json> {
        match Tables::default().run(sql, &ExecContext::new(eval.clone()))? {
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
