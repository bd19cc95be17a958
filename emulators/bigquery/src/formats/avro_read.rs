//! Avro data as columns: which type a file's field has, and its values as a column has them.

use std::sync::Arc;

use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use scrimmage_googlesql::value::{BigNumeric, Interval, RangeValue, civil, numeric};
use scrimmage_googlesql::{Type, Value};

use super::avro_decode::{Datum, Kind, Node};
use super::{DecimalTargets, nested_columns};
use crate::engine::table::plain_column;
use crate::load::convert::{big, convert, decimal};

/// What a load says about types.
#[derive(Clone, Debug, Default)]
pub struct AvroOptions {
    /// `useAvroLogicalTypes`.
    pub logical: bool,
    pub decimals: DecimalTargets,
}

/// The columns of a file; its schema must be a record.
pub fn columns(schema: &Node, options: &AvroOptions) -> Result<Vec<ColumnDef>, String> {
    let Kind::Record(fields) = &schema.kind else { return Err("The Avro schema is not a record".into()) };
    fields.iter().filter(|(_, node)| !is_null(node)).map(|(name, node)| column(name, node, options)).collect()
}

fn is_null(node: &Node) -> bool {
    match &node.kind {
        Kind::Null => true,
        Kind::Union(branches) => branches.iter().all(is_null),
        _ => false,
    }
}

/// The only branch that is not null, and whether there is a null one.
fn branch(node: &Node) -> Option<(&Node, bool)> {
    let Kind::Union(branches) = &node.kind else { return Some((node, false)) };
    let mut values = branches.iter().filter(|branch| !is_null(branch));
    let only = values.next()?;
    values.next().is_none().then_some((only, branches.iter().any(is_null)))
}

fn column(name: &str, node: &Node, options: &AvroOptions) -> Result<ColumnDef, String> {
    let (node, nullable) =
        branch(node).ok_or_else(|| format!("Avro field {name} is a union of several types, which is not supported"))?;
    let mode = if nullable { Mode::Nullable } else { Mode::Required };
    let repeated = |element: ColumnDef| match element.ty {
        Type::Array(_) => Err(format!("Avro field {name} is an array of arrays, which is not supported")),
        ty => Ok(ColumnDef { fields: element.fields, ..plain_column(name, Type::array(ty)) }),
    };
    match &node.kind {
        Kind::Array(items) => repeated(column(name, items, options)?),
        Kind::Map(values) => {
            let fields = vec![
                ColumnDef { mode: Mode::Required, ..plain_column("key", Type::String) },
                column("value", values, options)?,
            ];
            repeated(record(name, fields))
        }
        Kind::Record(fields) if node.sql_type.as_deref() != Some("RANGE") => {
            let fields = fields.iter().filter(|(_, node)| !is_null(node));
            let fields = fields.map(|(name, node)| column(name, node, options)).collect::<Result<Vec<_>, _>>()?;
            Ok(ColumnDef { mode, ..record(name, fields) })
        }
        _ => Ok(ColumnDef { mode, ..plain_column(name, scalar_type(node, options)) }),
    }
}

fn record(name: &str, fields: Vec<ColumnDef>) -> ColumnDef {
    let ty = Type::struct_of(fields.iter().map(|field| (field.name.clone(), field.ty.clone())));
    ColumnDef { fields, ..plain_column(name, ty) }
}

fn scalar_type(node: &Node, options: &AvroOptions) -> Type {
    let annotated = match node.sql_type.as_deref() {
        Some("JSON") => Some(Type::Json),
        Some("GEOGRAPHY") => Some(Type::Geography),
        Some("INTERVAL") => Some(Type::Interval),
        Some("DATETIME") => Some(Type::Datetime),
        Some("DATE") => Some(Type::Date),
        Some("TIME") => Some(Type::Time),
        Some("TIMESTAMP") => Some(Type::Timestamp),
        _ => None,
    };
    if let (Some(ty), Kind::String) = (annotated, &node.kind) {
        return ty;
    }
    match (&node.kind, node.logical.as_deref()) {
        (Kind::Bytes | Kind::Fixed(_), Some("decimal")) => options.decimals.pick(node.precision, node.scale as i32),
        (Kind::Int, Some("date")) if options.logical => Type::Date,
        (Kind::Int, Some("time-millis")) | (Kind::Long, Some("time-micros")) if options.logical => Type::Time,
        (Kind::Long, Some("timestamp-millis" | "timestamp-micros")) if options.logical => Type::Timestamp,
        (Kind::Long, Some("local-timestamp-millis" | "local-timestamp-micros")) if options.logical => Type::Datetime,
        (Kind::String, Some("datetime")) if options.logical => Type::Datetime,
        (Kind::Fixed(12), Some("duration")) if options.logical => Type::Interval,
        (Kind::Boolean, _) => Type::Bool,
        (Kind::Int | Kind::Long, _) => Type::Int64,
        (Kind::Float | Kind::Double, _) => Type::Float64,
        (Kind::Bytes | Kind::Fixed(_), _) => Type::Bytes,
        (Kind::Record(fields), _) => {
            // A range: its bounds tell of what.
            let bound = fields.first().and_then(|(_, node)| branch(node));
            Type::range(
                bound.map_or(Type::Date, |(node, _)| {
                    scalar_type(node, &AvroOptions { logical: true, ..options.clone() })
                }),
            )
        }
        _ => Type::String,
    }
}

/// A datum of this schema as the column has it. The error says what does not go together.
pub fn value(datum: &Datum, node: &Node, column: &ColumnDef) -> Result<Value, String> {
    typed(datum, node, &column.ty, &nested_columns(column))
        .map_err(|what| if what.contains(": ") { what } else { format!("{}: {what}", column.name) })
}

/// What stands in a column that a file does not have.
pub fn absent(column: &ColumnDef) -> Value {
    if matches!(column.ty, Type::Array(_)) { Value::array(Vec::new()) } else { Value::Null }
}

fn typed(datum: &Datum, node: &Node, to: &Type, nested: &[ColumnDef]) -> Result<Value, String> {
    let (node, _) = branch(node).ok_or("a union of several types is not supported")?;
    let mismatch = || format!("Avro type {} does not match {to}", kind_name(&node.kind));
    match (to, &node.kind, datum) {
        (Type::Array(_), _, Datum::Null) => Ok(Value::array(Vec::new())),
        (_, _, Datum::Null) => Ok(Value::Null),
        (Type::Array(element), Kind::Array(items), Datum::Array(all)) => {
            let read = all.iter().map(|item| match typed(item, items, element, nested) {
                Ok(Value::Null) => Err("Only optional fields can be set to NULL".to_owned()),
                other => other,
            });
            Ok(Value::array(read.collect::<Result<_, _>>()?))
        }
        (Type::Array(_), Kind::Map(values), Datum::Map(all)) => {
            let [key, own] = nested else { return Err(mismatch()) };
            let read = all.iter().map(|(name, item)| {
                let key = convert(Value::string(name), &key.ty).ok_or_else(mismatch)?;
                Ok(Value::structure(vec![key, value(item, values, own)?]))
            });
            Ok(Value::array(read.collect::<Result<_, String>>()?))
        }
        (Type::Struct(_), Kind::Record(fields), Datum::Record(parts)) => {
            let mut read = Vec::with_capacity(nested.len());
            for own in nested {
                let at = fields.iter().position(|(name, _)| name.eq_ignore_ascii_case(&own.name));
                read.push(match at.and_then(|at| Some((fields.get(at)?, parts.get(at)?))) {
                    Some(((_, node), part)) => value(part, node, own)?,
                    None => absent(own),
                });
            }
            Ok(Value::structure(read))
        }
        (Type::Range(element), Kind::Record(fields), Datum::Record(parts)) => {
            let bound = |wanted: &str| -> Result<Option<Value>, String> {
                let at = fields.iter().position(|(name, _)| name == wanted);
                let Some(((_, node), part)) = at.and_then(|at| Some((fields.get(at)?, parts.get(at)?))) else {
                    return Ok(None);
                };
                Ok(Some(typed(part, node, element, &[])?).filter(|bound| !bound.is_null()))
            };
            Ok(Value::Range(Arc::new(RangeValue { start: bound("start")?, end: bound("end")? })))
        }
        _ => natural(datum, node, to).and_then(|value| convert(value, to)).ok_or_else(mismatch),
    }
}

/// The datum as the type that its schema and the column make of it together.
fn natural(datum: &Datum, node: &Node, to: &Type) -> Option<Value> {
    Some(match (datum, node.logical.as_deref(), to) {
        (Datum::Long(days), Some("date"), Type::Date | Type::Datetime | Type::Timestamp) => {
            Value::Date(civil::date_in_range(*days)?)
        }
        (Datum::Long(number), Some(logical @ ("time-millis" | "time-micros")), Type::Time) => {
            let micros = if logical == "time-millis" { number.checked_mul(1_000)? } else { *number };
            (0..86_400_000_000).contains(&micros).then_some(Value::Time(micros))?
        }
        (Datum::Long(number), Some(logical), Type::Timestamp | Type::Datetime) => {
            let micros = if logical.ends_with("millis") { number.checked_mul(1_000)? } else { *number };
            let micros = civil::micros_in_range(micros)?;
            if logical.starts_with("local-") { Value::Datetime(micros) } else { Value::Timestamp(micros) }
        }
        (Datum::Bytes(bytes), Some("decimal"), Type::Numeric | Type::BigNumeric | Type::Float64 | Type::String) => {
            decimal_value(bytes, node.scale)?
        }
        (Datum::Bytes(bytes), Some("duration"), Type::Interval) => {
            let part = |at: usize| Some(i64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)));
            let interval = Interval::checked(part(0)?, part(4)?, part(8)? * 1_000).ok()?;
            Value::Interval(Arc::new(interval))
        }
        (Datum::Boolean(yes), ..) => Value::Bool(*yes),
        (Datum::Long(number), ..) => Value::Int64(*number),
        (Datum::Double(number), ..) => Value::Float64(*number),
        (Datum::Bytes(bytes), ..) => Value::bytes(bytes),
        (Datum::String(text), ..) => Value::string(text),
        (Datum::Null | Datum::Array(_) | Datum::Map(_) | Datum::Record(_), ..) => return None,
    })
}

/// A big-endian two's complement number with `scale` digits behind the point.
fn decimal_value(bytes: &[u8], scale: u32) -> Option<Value> {
    let fill = if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    if bytes.len() <= 16 {
        let mut number = [fill; 16];
        number.get_mut(16 - bytes.len()..)?.copy_from_slice(bytes);
        return decimal(i128::from_be_bytes(number), i8::try_from(scale).ok()?);
    }
    let mut number = [fill; 32];
    number.get_mut(32_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    let number = BigNumeric::from_be_bytes(number);
    if scale == numeric::BIGNUMERIC_SCALE {
        return Some(big(number));
    }
    numeric::big::parse(&format!("{number}e-{scale}"), false).map(big)
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Boolean => "boolean",
        Kind::Int => "int",
        Kind::Long => "long",
        Kind::Float => "float",
        Kind::Double => "double",
        Kind::Bytes => "bytes",
        Kind::String => "string",
        Kind::Fixed(_) => "fixed",
        Kind::Enum(_) => "enum",
        Kind::Array(_) => "array",
        Kind::Map(_) => "map",
        Kind::Union(_) => "union",
        Kind::Record(_) => "record",
    }
}
