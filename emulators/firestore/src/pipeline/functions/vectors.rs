//! Vectors and the distances between them.

use std::ops::RangeInclusive;

use super::{Call, Failure, Plain};
use crate::engine::query::Measure;
use crate::engine::query::nearest;
use crate::value::Value;

pub(super) fn plain(name: &str) -> Option<(Plain, RangeInclusive<usize>)> {
    Some(match name {
        "euclidean_distance" => (|call: &Call<'_>| distance(call, Measure::Euclidean), 2..=2),
        "cosine_distance" => (|call: &Call<'_>| distance(call, Measure::Cosine), 2..=2),
        "dot_product" => (|call: &Call<'_>| distance(call, Measure::DotProduct), 2..=2),
        "vector_length" => (length, 1..=1),
        _ => return None,
    })
}

fn distance(call: &Call<'_>, measure: Measure) -> Result<Value, Failure> {
    let vector = nearest::numbers(call.get(1)?).ok_or_else(|| call.wrong(1, "vector"))?;
    if call.get(0)?.as_vector().is_none() {
        return Err(call.wrong(0, "vector"));
    }
    measure
        .distance(&vector, call.get(0)?)
        .map(Value::Double)
        .ok_or_else(|| call.failed("the vectors differ in length"))
}

fn length(call: &Call<'_>) -> Result<Value, Failure> {
    let vector = call.get(0)?.as_vector().ok_or_else(|| call.wrong(0, "vector"))?;
    Ok(Value::Int(i64::try_from(vector.len()).unwrap_or(i64::MAX)))
}
