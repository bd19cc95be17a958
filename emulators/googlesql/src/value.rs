//! A single SQL value. Whole columns of them are `exec`'s; this is what functions are written over.

use std::sync::Arc;

use crate::value::json::Json;

pub mod civil;
pub mod compare;
pub mod float;
pub mod geography;
pub mod interval;
pub mod json;
pub mod numeric;

pub use compare::{GroupKey, group_equal, group_hash, group_key, sql_cmp, sql_equal, sql_less};
pub use geography::Geography;

/// NUMERIC: scaled by 10^9, at most 38 digits (29 before the point).
///
/// Packed to 8 bytes so that a [`Value`] stays at 24.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(Rust, packed(8))]
pub struct Numeric(pub i128);

/// BIGNUMERIC: a 256-bit two's complement integer scaled by 10^38.
pub type BigNumeric = bnum::types::I256;

/// INTERVAL: three parts that do not convert into each other by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Interval {
    pub months: i64,
    pub days: i64,
    pub micros: i64,
}

/// RANGE: half open; `None` is unbounded. The bounds are DATE, DATETIME or TIMESTAMP values.
#[derive(Clone, Debug)]
pub struct RangeValue {
    pub start: Option<Value>,
    pub end: Option<Value>,
}

/// A value of any type; NULL has no type of its own (the expression has it).
///
/// Equality, order and hashing follow SQL and not Rust, so they are methods and not traits.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int64(i64),
    Float64(f64),
    Numeric(Numeric),
    BigNumeric(Arc<BigNumeric>),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    /// Days since 1970-01-01; 0001-01-01 to 9999-12-31.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds of the civil time since 1970-01-01T00:00:00.
    Datetime(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    Interval(Arc<Interval>),
    Json(Arc<Json>),
    Geography(Arc<Geography>),
    Range(Arc<RangeValue>),
    Array(Arc<Vec<Value>>),
    /// In the order of the type's fields.
    Struct(Arc<Vec<Value>>),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn string(text: impl AsRef<str>) -> Value {
        Value::String(Arc::from(text.as_ref()))
    }

    pub fn bytes(bytes: impl AsRef<[u8]>) -> Value {
        Value::Bytes(Arc::from(bytes.as_ref()))
    }

    pub fn array(items: Vec<Value>) -> Value {
        Value::Array(Arc::new(items))
    }

    pub fn structure(fields: Vec<Value>) -> Value {
        Value::Struct(Arc::new(fields))
    }
}
