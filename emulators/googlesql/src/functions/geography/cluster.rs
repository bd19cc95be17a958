//! ST_CLUSTERDBSCAN: which geographies lie densely together.

use std::collections::VecDeque;
use std::sync::Arc;

use super::hull::within;
use super::sphere::RADIUS;
use crate::error::Result;
use crate::functions::args::fail;
use crate::value::{Geography, Value};

/// A cluster's number from 0 for each shape; NULL for what belongs to none.
///
/// A core has at least `least` shapes (itself too) within `far` metres; a cluster is what cores reach.
pub(crate) fn dbscan(shapes: &[Value], far: Option<&Value>, least: Option<&Value>) -> Result<Vec<Value>> {
    let (Some(Value::Float64(far)), Some(Value::Int64(least))) = (far, least) else {
        return if shapes.is_empty() {
            Ok(Vec::new())
        } else {
            fail("ST_ClusterDBSCAN epsilon and minimum_geographies must not be NULL")
        };
    };
    if far.is_nan() || *far < 0.0 || *least < 1 {
        return fail("ST_ClusterDBSCAN epsilon must not be negative and minimum_geographies must be positive");
    }
    let limit = far / RADIUS;
    let shapes: Vec<Option<&Arc<Geography>>> = shapes
        .iter()
        .map(|value| match value {
            Value::Geography(shape) if !shape.is_empty() => Some(shape),
            _ => None,
        })
        .collect();
    let near = |at: usize| -> Vec<usize> {
        let Some(Some(own)) = shapes.get(at) else { return Vec::new() };
        let reached = |other: &Option<&Arc<Geography>>| other.is_some_and(|other| within(own, other, limit));
        shapes.iter().enumerate().filter(|(_, other)| reached(other)).map(|(index, _)| index).collect()
    };
    let mut cluster: Vec<Option<i64>> = vec![None; shapes.len()];
    let mut next = 0;
    for start in 0..shapes.len() {
        if cluster[start].is_some() {
            continue;
        }
        let around = near(start);
        if (around.len() as i64) < *least {
            continue;
        }
        cluster[start] = Some(next);
        let mut queue: VecDeque<usize> = around.into();
        while let Some(at) = queue.pop_front() {
            if cluster[at].is_some() {
                continue;
            }
            cluster[at] = Some(next);
            let around = near(at);
            if around.len() as i64 >= *least {
                queue.extend(around);
            }
        }
        next += 1;
    }
    Ok(cluster.into_iter().map(|number| number.map_or(Value::Null, Value::Int64)).collect())
}
