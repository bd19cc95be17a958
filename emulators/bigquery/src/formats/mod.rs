//! Rows in other programs' formats: Arrow, Avro, Parquet, and back.

pub mod arrow_read;
pub mod arrow_schema;
pub mod arrow_write;
pub mod avro_decode;
pub mod avro_encode;
pub mod avro_file;
pub mod avro_read;
pub mod avro_schema;
pub mod parquet;
#[cfg(test)]
mod round_trip;
pub mod text_write;

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

/// `decimalTargetTypes` of a load: the first of NUMERIC, BIGNUMERIC, STRING among them that holds a file's decimal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecimalTargets(pub Vec<Type>);

impl Default for DecimalTargets {
    fn default() -> DecimalTargets {
        DecimalTargets(vec![Type::Numeric])
    }
}

impl DecimalTargets {
    /// Where none holds it, the widest: values that do not fit are errors.
    pub fn pick(&self, precision: u32, scale: i32) -> Type {
        let whole = i64::from(precision) - i64::from(scale);
        let holds = |ty: &Type| match ty {
            Type::Numeric => whole <= 29 && scale <= 9,
            // The 39th digit before the point is only partly there; extracts of our own claim it.
            Type::BigNumeric => whole <= 39 && scale <= 38,
            _ => true,
        };
        let offered = || [Type::Numeric, Type::BigNumeric, Type::String].into_iter().filter(|ty| self.0.contains(ty));
        offered().find(holds).or_else(|| offered().last()).unwrap_or(Type::Numeric)
    }
}
