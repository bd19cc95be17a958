//! Evaluating expressions for one row.
//!
//! A value may be absent (`None`), which is something other than null. Functions that do not say
//! otherwise give null for a null or absent argument, and an error for one of the wrong type.

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_core::{Rng, Timestamp};

use super::sources::Snapshot;
use super::stages::{self, Row};
use super::{Expression, Failure, functions};
use crate::path::{DatabaseName, FieldPath};
use crate::value::{Fields, Value};

/// A value, or nothing where the value is absent.
pub type Evaluated = Result<Option<Value>, Failure>;

/// Variables by name; copied where a scope adds some.
pub type Variables = HashMap<Arc<str>, Option<Value>>;

/// What is the same for all rows of one execution.
pub struct Run<'a> {
    pub database: &'a DatabaseName,
    /// The time of the request: `current_timestamp`.
    pub now: Timestamp,
    pub snapshot: &'a Snapshot,
    pub rng: Rng,
    /// How many rows stages have looked at, for explain and as a bound.
    pub steps: usize,
}

/// Rows and elements that one execution may look at before it is refused: nested pipelines multiply.
pub const MOST_STEPS: usize = 20_000_000;

impl Run<'_> {
    /// Counts work done; refuses when it is too much.
    pub fn step(&mut self, rows: usize) -> Result<(), Failure> {
        self.steps = self.steps.saturating_add(rows);
        if self.steps > MOST_STEPS {
            return Err(Failure::invalid(format!("The pipeline looks at more than {MOST_STEPS} rows and elements.")));
        }
        Ok(())
    }
}

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub row: &'a Row,
    pub variables: &'a Variables,
}

pub fn evaluate(run: &mut Run<'_>, scope: Scope<'_>, expression: &Expression) -> Evaluated {
    match expression {
        Expression::Constant(value) => Ok(Some(value.clone())),
        Expression::Field(path) => Ok(field(run, scope.row, path)),
        Expression::Variable(name) => match scope.variables.get(name) {
            Some(value) => Ok(value.clone()),
            None => Err(Failure::invalid(format!("Variable \"{name}\" is not defined."))),
        },
        Expression::Subquery { pipeline, scalar } => {
            let rows = stages::run(run, pipeline, scope.variables, Some(scope.row))?;
            if !scalar {
                return Ok(Some(Value::array(rows.into_iter().map(unwrapped).collect())));
            }
            match rows.len() {
                0 => Ok(Some(Value::Null)),
                1 => Ok(rows.into_iter().next().map(unwrapped)),
                count => Err(Failure::invalid(format!("A scalar pipeline gave {count} results; it may give one."))),
            }
        }
        Expression::Function { name, arguments } => functions::call(run, scope, name, arguments),
    }
}

/// What a nested pipeline's row is: its only field, or a map of all.
fn unwrapped(row: Row) -> Value {
    if row.fields.len() == 1
        && row.document.is_none()
        && let Some((_, value)) = row.fields.iter().next()
    {
        return value.clone();
    }
    Value::map(row.fields)
}

/// A field of a row; the reserved ones are those of its document.
pub fn field(run: &Run<'_>, row: &Row, path: &FieldPath) -> Option<Value> {
    match path.segments() {
        [only] if &**only == "__name__" => {
            let document = row.document.as_ref()?;
            Some(Value::Reference(Arc::from(run.database.resource(document.name.path()))))
        }
        [only] if &**only == "__create_time__" => {
            row.document.as_ref().map(|document| Value::Timestamp(document.create_time))
        }
        [only] if &**only == "__update_time__" => {
            row.document.as_ref().map(|document| Value::Timestamp(document.update_time))
        }
        _ => path.get(&row.fields).cloned(),
    }
}

/// All fields of a row as a map.
pub fn whole(run: &Run<'_>, row: &Row) -> Value {
    let mut fields: Fields = row.fields.clone();
    if let Some(document) = &row.document {
        let name = Value::Reference(Arc::from(run.database.resource(document.name.path())));
        fields.insert(Arc::from("__name__"), name);
    }
    Value::map(fields)
}
