//! Rows in other programs' formats: Arrow, Avro, Parquet, and back.

pub mod arrow_read;
pub mod arrow_schema;
pub mod arrow_write;
pub mod avro_decode;
pub mod avro_encode;
pub mod avro_file;
pub mod avro_schema;

use scrimmage_googlesql::catalog::ColumnDef;
use scrimmage_googlesql::{StructType, Type};

use crate::engine::table::plain_column;

/// The fields' own definitions of a STRUCT or ARRAY<STRUCT> column; where nobody wrote them, made from its type.
pub fn nested_columns(column: &ColumnDef) -> Vec<ColumnDef> {
    let element = match &column.ty {
        Type::Array(element) => element,
        own => own,
    };
    match element {
        Type::Struct(fields) if fields.fields.len() == column.fields.len() => column.fields.clone(),
        Type::Struct(fields) => struct_columns(fields),
        _ => Vec::new(),
    }
}

fn struct_columns(fields: &StructType) -> Vec<ColumnDef> {
    fields
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let name = if field.name.is_empty() { format!("_field_{}", index + 1) } else { field.name.clone() };
            plain_column(&name, field.ty.clone())
        })
        .collect()
}
