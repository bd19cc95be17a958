//! Table schemas as Arrow schemas, as the Storage Read API documents the types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema as ArrowSchema, TimeUnit};
use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use scrimmage_googlesql::{StructType, Type};

use super::{nested_columns, struct_columns};

/// The Arrow schema of these columns.
pub fn arrow_schema(columns: &[ColumnDef]) -> ArrowSchema {
    ArrowSchema::new(columns.iter().map(arrow_field).collect::<Vec<_>>())
}

fn arrow_field(column: &ColumnDef) -> Field {
    let nested = nested_columns(column);
    let (data_type, nullable) = match &column.ty {
        Type::Array(element) => (DataType::List(Arc::new(item_field(element, &nested))), false),
        own => (scalar_type(own, &nested), column.mode == Mode::Nullable),
    };
    let element = match &column.ty {
        Type::Array(element) => element,
        own => own,
    };
    Field::new(&column.name, data_type, nullable).with_metadata(extension(element))
}

fn item_field(element: &Type, nested: &[ColumnDef]) -> Field {
    Field::new("item", scalar_type(element, nested), true)
}

fn scalar_type(ty: &Type, nested: &[ColumnDef]) -> DataType {
    match ty {
        Type::Struct(_) => DataType::Struct(nested.iter().map(arrow_field).collect::<Fields>()),
        other => data_type(other),
    }
}

/// The Arrow type that goes with a type.
pub fn data_type(ty: &Type) -> DataType {
    match ty {
        Type::Bool => DataType::Boolean,
        Type::Int64 => DataType::Int64,
        Type::Float64 => DataType::Float64,
        Type::Numeric => DataType::Decimal128(38, 9),
        Type::BigNumeric => DataType::Decimal256(76, 38),
        Type::String | Type::Json | Type::Geography => DataType::Utf8,
        Type::Bytes => DataType::Binary,
        Type::Date => DataType::Date32,
        Type::Time => DataType::Time64(TimeUnit::Microsecond),
        Type::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        Type::Range(element) => DataType::Struct(range_fields(element)),
        Type::Array(element) => {
            let nested = match element.as_ref() {
                Type::Struct(fields) => struct_columns(fields),
                _ => Vec::new(),
            };
            DataType::List(Arc::new(item_field(element, &nested)))
        }
        Type::Struct(fields) => struct_type(fields),
    }
}

fn struct_type(fields: &StructType) -> DataType {
    DataType::Struct(struct_columns(fields).iter().map(arrow_field).collect::<Fields>())
}

/// `start` and `end`.
pub fn range_fields(element: &Type) -> Fields {
    ["start", "end"].into_iter().map(|name| Field::new(name, data_type(element), true)).collect()
}

/// What tells types apart that look the same in Arrow.
fn extension(ty: &Type) -> HashMap<String, String> {
    let name = match ty {
        Type::Geography => "google:sqlType:geography",
        Type::Json => "google:sqlType:json",
        Type::Datetime => "google:sqlType:datetime",
        _ => return HashMap::new(),
    };
    let mut metadata = HashMap::from([("ARROW:extension:name".to_owned(), name.to_owned())]);
    if *ty == Type::Geography {
        metadata.insert("ARROW:extension:metadata".to_owned(), r#"{"encoding": "WKT"}"#.to_owned());
    }
    metadata
}
