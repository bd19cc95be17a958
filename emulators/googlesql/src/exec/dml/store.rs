//! What a value must be to stand in a column: not NULL where required, within its type's parameters.

use std::sync::Arc;

use crate::cast;
use crate::catalog::{ColumnDef, Mode, Schema};
use crate::error::{Result, SqlError};
use crate::exec::column::{Batch, Column, ColumnBuilder};
use crate::types::Type;
use crate::value::Value;

/// The rows as the table will have them. A NULL array becomes an empty one.
///
/// # Errors
/// `Required field x cannot be null`, `Field x: STRING(2) has maximum length 2 but got a value with length 3`,
/// `Array cannot have a null element; error in writing field x`.
pub(crate) fn stored(schema: &Schema, batch: Batch) -> Result<Batch> {
    let len = batch.len;
    let mut given = batch.columns.into_iter();
    let columns = schema.columns.iter().zip(given.by_ref()).map(|(def, column)| stored_column(def, column, len));
    let mut columns = columns.collect::<Result<Vec<_>>>()?;
    // What stands behind the schema says where the rows belong.
    columns.extend(given);
    Ok(Batch::new(columns, len))
}

fn stored_column(def: &ColumnDef, column: Arc<Column>, len: usize) -> Result<Arc<Column>> {
    let nested = matches!(def.ty, Type::Array(_) | Type::Struct(_));
    if !nested && def.params.is_empty() {
        if def.mode == Mode::Required && !column.has_no_nulls() && (0..len).any(|row| column.is_null(row)) {
            return Err(required(&def.name));
        }
        return Ok(column);
    }
    let mut builder = ColumnBuilder::with_capacity(&def.ty, len);
    for row in 0..len {
        let value = stored_value(def, column.get(row), &def.name)?;
        builder.push(cast::enforce(value, &def.ty, &def.params).map_err(|mut error| {
            error.message = format!("Field {}: {}", def.name, error.message);
            error
        })?);
    }
    Ok(Arc::new(builder.finish()))
}

fn required(path: &str) -> SqlError {
    SqlError::evaluation(format!("Required field {path} cannot be null"))
}

/// Checks modes, at every depth.
fn stored_value(def: &ColumnDef, value: Value, path: &str) -> Result<Value> {
    match (value, &def.ty) {
        (Value::Null, Type::Array(_)) => Ok(Value::array(Vec::new())),
        (Value::Null, _) if def.mode == Mode::Required => Err(required(path)),
        (Value::Array(items), Type::Array(element)) => {
            if items.iter().any(Value::is_null) {
                return Err(SqlError::evaluation(format!(
                    "Array cannot have a null element; error in writing field {path}"
                )));
            }
            if !matches!(**element, Type::Struct(_)) || def.fields.is_empty() {
                return Ok(Value::Array(items));
            }
            let items = items.iter().map(|item| stored_fields(def, item, path)).collect::<Result<Vec<_>>>()?;
            Ok(Value::array(items))
        }
        (value @ Value::Struct(_), Type::Struct(_)) if !def.fields.is_empty() => stored_fields(def, &value, path),
        (value, _) => Ok(rounded(def, value)),
    }
}

/// Digits beyond the column's scale are cut by its own rounding mode; the usual one is the type's own affair.
fn rounded(def: &ColumnDef, value: Value) -> Value {
    if def.rounding_mode.as_deref() != Some("ROUND_HALF_EVEN") {
        return value;
    }
    let scale = i64::from(def.params.scale.unwrap_or_default());
    match &value {
        _ if def.params.precision.is_none() => value,
        Value::Numeric(number) => number.round_half_even(scale).map_or(value, Value::Numeric),
        Value::BigNumeric(number) => crate::value::numeric::big::round_half_even(number, scale)
            .map_or(value, |number| Value::BigNumeric(Arc::new(number))),
        _ => value,
    }
}

fn stored_fields(def: &ColumnDef, value: &Value, path: &str) -> Result<Value> {
    let Value::Struct(values) = value else { return Ok(value.clone()) };
    let stored = def.fields.iter().zip(values.iter()).map(|(field, value)| {
        let path = format!("{path}.{}", field.name);
        stored_value(field, value.clone(), &path)
    });
    Ok(Value::structure(stored.collect::<Result<_>>()?))
}
