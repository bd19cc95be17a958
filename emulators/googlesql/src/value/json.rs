//! The JSON type's values: numbers keep how they were written, objects are sorted by key.

use std::collections::BTreeMap;

/// A JSON value. BigQuery keeps integers of 64 bits exact and objects in key order.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}
