//! Lengths, areas, distances, angles.

use crate::error::Result;
use crate::functions::args::{any, fail, float, geography};
use crate::functions::geography::sphere::{RADIUS, angle, arcs, cross, dot, nearest, position, ring_area, vector};
use crate::functions::geography::text::wrap;
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;
use crate::value::geography::{Geography, Position};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "geography_functions",
        "st_distance",
        "ST_DISTANCE",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY, [BOOL]) -> FLOAT64"],
        |_, args| Ok(match nearest(geography(args, 0)?, geography(args, 1)?) {
            Some((far, _)) => Value::Float64(far * RADIUS),
            None => Value::Null,
        })
    ),
    entry!(
        "geography_functions",
        "st_dwithin",
        "ST_DWITHIN",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY, FLOAT64, [BOOL]) -> BOOL"],
        |_, args| {
            let limit = float(args, 2)?;
            if limit.is_nan() || limit < 0.0 {
                return fail("ST_DWithin distance must be non-negative");
            }
            let found = nearest(geography(args, 0)?, geography(args, 1)?);
            Ok(Value::Bool(found.is_some_and(|(far, _)| far * RADIUS <= limit)))
        }
    ),
    entry!(
        "geography_functions",
        "st_maxdistance",
        "ST_MAXDISTANCE",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY, [BOOL]) -> FLOAT64"],
        |_, args| {
            let (a, b) = (geography(args, 0)?, geography(args, 1)?);
            let all = a.vertices().flat_map(|p| b.vertices().map(move |q| angle(vector(p), vector(q))));
            Ok(all.max_by(f64::total_cmp).map_or(Value::Null, |far| Value::Float64(far * RADIUS)))
        }
    ),
    entry!(
        "geography_functions",
        "st_closestpoint",
        "ST_CLOSESTPOINT",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY, [BOOL]) -> GEOGRAPHY"],
        |_, args| match nearest(geography(args, 0)?, geography(args, 1)?) {
            Some((_, at)) => wrap(Geography::point(position(at))),
            None => Ok(Value::Null),
        }
    ),
    entry!(
        "geography_functions",
        "st_length",
        "ST_LENGTH",
        Propagate,
        ["(GEOGRAPHY, [BOOL]) -> FLOAT64"],
        |_, args| {
            let shape = geography(args, 0)?;
            let lines = Geography { lines: shape.lines.clone(), ..Geography::default() };
            Ok(Value::Float64(total_length(&lines)))
        }
    ),
    entry!(
        "geography_functions",
        "st_perimeter",
        "ST_PERIMETER",
        Propagate,
        ["(GEOGRAPHY, [BOOL]) -> FLOAT64"],
        |_, args| {
            let shape = geography(args, 0)?;
            let rings = Geography { polygons: shape.polygons.clone(), ..Geography::default() };
            Ok(Value::Float64(total_length(&rings)))
        }
    ),
    entry!("geography_functions", "st_area", "ST_AREA", Propagate, ["(GEOGRAPHY, [BOOL]) -> FLOAT64"], |_, args| {
        let mut area = 0.0;
        for rings in &geography(args, 0)?.polygons {
            for (index, ring) in rings.iter().enumerate() {
                area += if index == 0 { ring_area(ring) } else { -ring_area(ring) };
            }
        }
        Ok(Value::Float64(area * RADIUS * RADIUS))
    }),
    entry!(
        "geography_functions",
        "st_azimuth",
        "ST_AZIMUTH",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY) -> FLOAT64"],
        |_, args| {
            let (a, b) = (one_point("ST_Azimuth", args, 0)?, one_point("ST_Azimuth", args, 1)?);
            let (Some(a), Some(b)) = (a, b) else { return Ok(Value::Null) };
            if a == b {
                return Ok(Value::Null);
            }
            Ok(Value::Float64(bearing(a, b).rem_euclid(2.0 * std::f64::consts::PI)))
        }
    ),
    entry!(
        "geography_functions",
        "st_angle",
        "ST_ANGLE",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY, GEOGRAPHY) -> FLOAT64"],
        |_, args| {
            let at = |index| one_point("ST_Angle", args, index);
            let (Some(a), Some(b), Some(c)) = (at(0)?, at(1)?, at(2)?) else { return Ok(Value::Null) };
            if a == b || b == c {
                return Ok(Value::Null);
            }
            Ok(Value::Float64((bearing(b, c) - bearing(b, a)).rem_euclid(2.0 * std::f64::consts::PI)))
        }
    ),
];

fn total_length(shape: &Geography) -> f64 {
    arcs(shape).iter().map(|(a, b)| angle(*a, *b)).sum::<f64>() * RADIUS
}

/// Radians from north, clockwise.
fn bearing(a: Position, b: Position) -> f64 {
    let (p, q) = (vector(a), vector(b));
    let north = [0.0, 0.0, 1.0];
    let east = cross(north, p);
    let up = cross(p, east);
    dot(q, east).atan2(dot(q, up))
}

/// The position of a point argument; `None` for an empty one.
pub(super) fn one_point(name: &str, args: &[Value], index: usize) -> Result<Option<Position>> {
    let shape = geography(args, index)?;
    if shape.is_empty() {
        return Ok(None);
    }
    match (&shape.points[..], shape.parts()) {
        ([point], 1) => Ok(Some(*point)),
        _ => fail(format!("{name} only accepts points, got {}", any(args, index).geography_kind())),
    }
}

impl Value {
    /// The kind of a GEOGRAPHY value for messages.
    fn geography_kind(&self) -> &'static str {
        match self {
            Value::Geography(shape) => shape.kind(),
            _ => "no geography",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geography::text::from_wkt;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= b.abs() * 1e-9
    }

    #[test]
    fn distances_and_areas_are_productions() {
        let far = |a: &str, b: &str| {
            nearest(&from_wkt(a).expect("a"), &from_wkt(b).expect("b")).map_or(0.0, |(far, _)| far * RADIUS)
        };
        assert!(near(far("POINT(-73.9857 40.7580)", "POINT(-73.9857 40.8480)"), 10_007.559_105_973_656));
        assert!(near(far("POINT(-74.0060 40.7128)", "POINT(-104.9903 39.7392)"), 2_619_059.534_335_369_7));
        assert_eq!(far("POINT(1 1)", "POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))"), 0.0);
        let area = |text: &str| ring_area(&from_wkt(text).expect("a polygon").polygons[0][0]) * RADIUS * RADIUS;
        assert!(near(
            area("POLYGON((-74.05 40.70, -73.95 40.70, -73.95 40.80, -74.05 40.80, -74.05 40.70))"),
            93_667_971.624_869_3
        ));
        assert!(near(area("POLYGON((-125 25, -65 25, -65 50, -125 50, -125 25))"), 14_376_048_775_182.924));
    }
}
