//! The types of GoogleSQL as BigQuery has them, and their names.

use std::fmt;
use std::sync::Arc;

/// A type without parameters; `STRING(10)` is `Type::String` with [`TypeParams`] beside it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    Bool,
    Int64,
    Float64,
    Numeric,
    BigNumeric,
    String,
    Bytes,
    Date,
    Time,
    Datetime,
    Timestamp,
    Interval,
    Json,
    Geography,
    /// The element is DATE, DATETIME or TIMESTAMP.
    Range(Arc<Type>),
    /// The element is never itself an array.
    Array(Arc<Type>),
    Struct(Arc<StructType>),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct StructType {
    pub fields: Vec<StructField>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StructField {
    /// Empty for an anonymous field.
    pub name: String,
    pub ty: Type,
}

/// What stands in parentheses behind a type; enforced when a value is stored or cast, never part of
/// an expression's type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TypeParams {
    /// `STRING(n)` in code points, `BYTES(n)` in bytes.
    pub max_length: Option<u64>,
    /// `NUMERIC(p[, s])`, `BIGNUMERIC(p[, s])`.
    pub precision: Option<u32>,
    pub scale: Option<u32>,
    /// For an array its element's parameters (one entry), for a struct its fields'; else empty.
    pub children: Vec<TypeParams>,
}

impl TypeParams {
    /// No parameter at any depth.
    pub fn is_empty(&self) -> bool {
        self.max_length.is_none()
            && self.precision.is_none()
            && self.scale.is_none()
            && self.children.iter().all(TypeParams::is_empty)
    }
}

impl Type {
    pub fn array(element: Type) -> Type {
        Type::Array(Arc::new(element))
    }

    pub fn range(element: Type) -> Type {
        Type::Range(Arc::new(element))
    }

    pub fn struct_of<N: Into<String>>(fields: impl IntoIterator<Item = (N, Type)>) -> Type {
        let fields = fields.into_iter().map(|(name, ty)| StructField { name: name.into(), ty }).collect();
        Type::Struct(Arc::new(StructType { fields }))
    }

    pub fn element(&self) -> Option<&Type> {
        match self {
            Type::Array(element) | Type::Range(element) => Some(element),
            _ => None,
        }
    }

    pub fn is_numeric(&self) -> bool {
        matches!(self, Type::Int64 | Type::Float64 | Type::Numeric | Type::BigNumeric)
    }

    /// Equal up to the names of struct fields.
    pub fn equivalent(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Array(a), Type::Array(b)) | (Type::Range(a), Type::Range(b)) => a.equivalent(b),
            (Type::Struct(a), Type::Struct(b)) => {
                a.fields.len() == b.fields.len() && a.fields.iter().zip(&b.fields).all(|(a, b)| a.ty.equivalent(&b.ty))
            }
            _ => self == other,
        }
    }
}

/// GoogleSQL's own spelling: `ARRAY<STRUCT<a INT64, STRING>>`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Bool => f.write_str("BOOL"),
            Type::Int64 => f.write_str("INT64"),
            Type::Float64 => f.write_str("FLOAT64"),
            Type::Numeric => f.write_str("NUMERIC"),
            Type::BigNumeric => f.write_str("BIGNUMERIC"),
            Type::String => f.write_str("STRING"),
            Type::Bytes => f.write_str("BYTES"),
            Type::Date => f.write_str("DATE"),
            Type::Time => f.write_str("TIME"),
            Type::Datetime => f.write_str("DATETIME"),
            Type::Timestamp => f.write_str("TIMESTAMP"),
            Type::Interval => f.write_str("INTERVAL"),
            Type::Json => f.write_str("JSON"),
            Type::Geography => f.write_str("GEOGRAPHY"),
            Type::Range(element) => write!(f, "RANGE<{element}>"),
            Type::Array(element) => write!(f, "ARRAY<{element}>"),
            Type::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (index, field) in fields.fields.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    if !field.name.is_empty() {
                        write!(f, "{} ", field.name)?;
                    }
                    write!(f, "{}", field.ty)?;
                }
                f.write_str(">")
            }
        }
    }
}
