//! Table schemas as the Storage Write API shows them.

use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use wire::table_field_schema::{FieldElementType, Mode as WireMode, Type as WireType};

use crate::formats::nested_columns;

pub fn table_schema(columns: &[ColumnDef]) -> wire::TableSchema {
    wire::TableSchema { fields: columns.iter().map(field).collect() }
}

fn field(column: &ColumnDef) -> wire::TableFieldSchema {
    let (element, params) = match &column.ty {
        Type::Array(element) => (element.as_ref(), column.params.children.first().unwrap_or(&column.params)),
        own => (own, &column.params),
    };
    let mode = match (&column.ty, column.mode) {
        (Type::Array(_), _) => WireMode::Repeated,
        (_, Mode::Required) => WireMode::Required,
        (_, Mode::Nullable) => WireMode::Nullable,
    };
    let range_element_type = match element {
        Type::Range(bound) => Some(FieldElementType { r#type: wire_type(bound).into() }),
        _ => None,
    };
    wire::TableFieldSchema {
        name: column.name.clone(),
        r#type: wire_type(element).into(),
        mode: mode.into(),
        fields: nested_columns(column).iter().map(field).collect(),
        description: column.description.clone().unwrap_or_default(),
        max_length: params.max_length.map_or(0, |length| length as i64),
        precision: params.precision.map_or(0, i64::from),
        scale: params.scale.map_or(0, i64::from),
        default_value_expression: column.default.clone().unwrap_or_default(),
        range_element_type,
        ..wire::TableFieldSchema::default()
    }
}

fn wire_type(ty: &Type) -> WireType {
    match ty {
        Type::Bool => WireType::Bool,
        Type::Int64 => WireType::Int64,
        Type::Float64 => WireType::Double,
        Type::Numeric => WireType::Numeric,
        Type::BigNumeric => WireType::Bignumeric,
        Type::String => WireType::String,
        Type::Bytes => WireType::Bytes,
        Type::Date => WireType::Date,
        Type::Time => WireType::Time,
        Type::Datetime => WireType::Datetime,
        Type::Timestamp => WireType::Timestamp,
        Type::Interval => WireType::Interval,
        Type::Json => WireType::Json,
        Type::Geography => WireType::Geography,
        Type::Range(_) => WireType::Range,
        Type::Array(element) => wire_type(element),
        Type::Struct(_) => WireType::Struct,
    }
}
