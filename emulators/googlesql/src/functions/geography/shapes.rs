//! Making geographies and taking them apart.

use std::sync::Arc;

use crate::error::Result;
use crate::functions::args::{array, fail, float, geography, int};
use crate::functions::geography::gather::centroid;
use crate::functions::geography::measure::one_point;
use crate::functions::geography::overlay::{Operation, overlay, union_of};
use crate::functions::geography::sphere::{RADIUS, add, angle, position, scale, to_arc, unit, vector};
use crate::functions::geography::text::{checked, line, polygon, wrap};
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;
use crate::value::geography::{Geography, Position};

macro_rules! property {
    ($name:literal, $sql_name:literal, $signature:literal, $code:expr) => {
        entry!("geography_functions", $name, $sql_name, Propagate, [$signature], |_, args| {
            let code: fn(&Geography) -> Value = $code;
            Ok(code(geography(args, 0)?))
        })
    };
}

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "geography_functions",
        "st_geogpoint",
        "ST_GEOGPOINT",
        Propagate,
        ["(FLOAT64, FLOAT64) -> GEOGRAPHY"],
        |_, args| match checked(float(args, 0)?, float(args, 1)?) {
            Ok(point) => wrap(Geography::point(point)),
            Err(why) => fail(format!("ST_GeogPoint failed: {why}")),
        }
    ),
    entry!("geography_functions", "st_x", "ST_X", Propagate, ["(GEOGRAPHY) -> FLOAT64"], |_, args| {
        Ok(one_point("ST_X", args, 0)?.map_or(Value::Null, |point| Value::Float64(point.0)))
    }),
    entry!("geography_functions", "st_y", "ST_Y", Propagate, ["(GEOGRAPHY) -> FLOAT64"], |_, args| {
        Ok(one_point("ST_Y", args, 0)?.map_or(Value::Null, |point| Value::Float64(point.1)))
    }),
    property!("st_geometrytype", "ST_GEOMETRYTYPE", "(GEOGRAPHY) -> STRING", |shape| {
        Value::string(format!("ST_{}", shape.kind()))
    }),
    property!("st_dimension", "ST_DIMENSION", "(GEOGRAPHY) -> INT64", |shape| {
        Value::Int64(if !shape.polygons.is_empty() {
            2
        } else if !shape.lines.is_empty() {
            1
        } else if !shape.points.is_empty() {
            0
        } else {
            -1
        })
    }),
    property!("st_npoints", "ST_NPOINTS", "(GEOGRAPHY) -> INT64", count_points),
    property!("st_numpoints", "ST_NUMPOINTS", "(GEOGRAPHY) -> INT64", count_points),
    property!("st_numgeometries", "ST_NUMGEOMETRIES", "(GEOGRAPHY) -> INT64", |shape| Value::Int64(
        shape.parts() as i64
    )),
    property!("st_isempty", "ST_ISEMPTY", "(GEOGRAPHY) -> BOOL", |shape| Value::Bool(shape.is_empty())),
    property!("st_iscollection", "ST_ISCOLLECTION", "(GEOGRAPHY) -> BOOL", |shape| Value::Bool(shape.parts() > 1)),
    property!("st_isclosed", "ST_ISCLOSED", "(GEOGRAPHY) -> BOOL", |shape| {
        Value::Bool(
            !shape.is_empty()
                && shape.polygons.is_empty()
                && shape.lines.iter().all(|line| line.first() == line.last()),
        )
    }),
    property!("st_isring", "ST_ISRING", "(GEOGRAPHY) -> BOOL", |shape| {
        let simple = |line: &Vec<Position>| {
            line.len() > 3
                && line.first() == line.last()
                && line
                    .iter()
                    .skip(1)
                    .enumerate()
                    .all(|(at, corner)| !line.iter().skip(at + 2).any(|other| other == corner))
        };
        Value::Bool(shape.parts() == 1 && shape.lines.iter().any(simple))
    }),
    entry!(
        "geography_functions",
        "st_startpoint",
        "ST_STARTPOINT",
        Propagate,
        ["(GEOGRAPHY) -> GEOGRAPHY"],
        |_, args| { point_of_line("ST_StartPoint", geography(args, 0)?, 1) }
    ),
    entry!("geography_functions", "st_endpoint", "ST_ENDPOINT", Propagate, ["(GEOGRAPHY) -> GEOGRAPHY"], |_, args| {
        point_of_line("ST_EndPoint", geography(args, 0)?, -1)
    }),
    entry!(
        "geography_functions",
        "st_pointn",
        "ST_POINTN",
        Propagate,
        ["(GEOGRAPHY, INT64) -> GEOGRAPHY"],
        |_, args| point_of_line("ST_PointN", geography(args, 0)?, int(args, 1)?)
    ),
    entry!(
        "geography_functions",
        "st_makeline",
        "ST_MAKELINE",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY) -> GEOGRAPHY", "(ARRAY<GEOGRAPHY>) -> GEOGRAPHY"],
        |_, args| {
            let pieces = match args {
                [Value::Array(items)] => items.to_vec(),
                pieces => pieces.to_vec(),
            };
            let mut positions: Vec<Position> = Vec::new();
            for piece in &pieces {
                let Value::Geography(shape) = piece else { continue };
                if !shape.polygons.is_empty() {
                    return fail("ST_MakeLine only accepts points and lines");
                }
                positions.extend(shape.points.iter().chain(shape.lines.iter().flatten()));
            }
            if positions.is_empty() {
                return Ok(Value::Null);
            }
            made("ST_MakeLine", line(positions))
        }
    ),
    entry!(
        "geography_functions",
        "st_makepolygon",
        "ST_MAKEPOLYGON",
        Propagate,
        ["(GEOGRAPHY, [ARRAY<GEOGRAPHY>]) -> GEOGRAPHY"],
        |_, args| make_polygon("ST_MakePolygon", args)
    ),
    entry!(
        "geography_functions",
        "st_makepolygonoriented",
        "ST_MAKEPOLYGONORIENTED",
        Propagate,
        ["(ARRAY<GEOGRAPHY>) -> GEOGRAPHY"],
        |_, args| {
            let mut rings = Vec::new();
            for item in array(args, 0)? {
                if let Value::Geography(shape) = item {
                    rings.extend(shape.lines.iter().cloned());
                }
            }
            made("ST_MakePolygonOriented", polygon(rings))
        }
    ),
    entry!(
        "geography_functions",
        "st_dump",
        "ST_DUMP",
        Propagate,
        ["(GEOGRAPHY, [INT64]) -> ARRAY<GEOGRAPHY>"],
        |_, args| {
            let shape = geography(args, 0)?;
            let wanted = if args.len() > 1 { int(args, 1)? } else { -1 };
            let of = |dimension: i64| wanted == -1 || wanted == dimension;
            let mut parts = Vec::new();
            if of(0) {
                parts.extend(shape.points.iter().map(|point| Geography::point(*point)));
            }
            if of(1) {
                parts.extend(shape.lines.iter().map(|line| Geography::line(line.clone())));
            }
            if of(2) {
                parts.extend(shape.polygons.iter().map(|rings| Geography::polygon(rings.clone())));
            }
            Ok(Value::array(parts.into_iter().map(|part| Value::Geography(Arc::new(part))).collect()))
        }
    ),
    entry!(
        "geography_functions",
        "st_dumppoints",
        "ST_DUMPPOINTS",
        Propagate,
        ["(GEOGRAPHY) -> ARRAY<GEOGRAPHY>"],
        |_, args| {
            let shape = geography(args, 0)?;
            let all = shape
                .points
                .iter()
                .chain(shape.lines.iter().flatten())
                .chain(shape.polygons.iter().flatten().flatten());
            Ok(Value::array(all.map(|point| Value::Geography(Arc::new(Geography::point(*point)))).collect()))
        }
    ),
    entry!("geography_functions", "st_boundary", "ST_BOUNDARY", Propagate, ["(GEOGRAPHY) -> GEOGRAPHY"], |_, args| {
        let shape = geography(args, 0)?;
        let mut out = Geography::default();
        for rings in &shape.polygons {
            out.lines.extend(rings.iter().cloned());
        }
        for line in &shape.lines {
            if let (Some(first), Some(last)) = (line.first(), line.last())
                && first != last
            {
                out.points.extend([*first, *last]);
            }
        }
        wrap(out)
    }),
    entry!(
        "geography_functions",
        "st_exteriorring",
        "ST_EXTERIORRING",
        Propagate,
        ["(GEOGRAPHY) -> GEOGRAPHY"],
        |_, args| match &geography(args, 0)?.polygons[..] {
            [rings] => wrap(rings.first().map(|ring| Geography::line(ring.clone())).unwrap_or_default()),
            _ => fail("ST_ExteriorRing only accepts a polygon"),
        }
    ),
    entry!(
        "geography_functions",
        "st_interiorrings",
        "ST_INTERIORRINGS",
        Propagate,
        ["(GEOGRAPHY) -> ARRAY<GEOGRAPHY>"],
        |_, args| match &geography(args, 0)?.polygons[..] {
            [rings] => Ok(Value::array(
                rings.iter().skip(1).map(|ring| Value::Geography(Arc::new(Geography::line(ring.clone())))).collect(),
            )),
            _ => fail("ST_InteriorRings only accepts a polygon"),
        }
    ),
    entry!(
        "geography_functions",
        "st_snaptogrid",
        "ST_SNAPTOGRID",
        Propagate,
        ["(GEOGRAPHY, FLOAT64) -> GEOGRAPHY"],
        |_, args| {
            let size = float(args, 1)?;
            let digits = -size.log10().round();
            if !(0.0..=9.0).contains(&digits) || ((10f64.powf(-digits) - size) / size).abs() > 1e-9 {
                return fail("ST_SnapToGrid grid size must be a power of ten from 1e-9 to 1");
            }
            let steps = 10f64.powf(digits);
            let snap = |value: f64| (value * steps).round() / steps;
            wrap(mapped(geography(args, 0)?, |(longitude, latitude)| (snap(longitude), snap(latitude))))
        }
    ),
    entry!(
        "geography_functions",
        "st_simplify",
        "ST_SIMPLIFY",
        Propagate,
        ["(GEOGRAPHY, FLOAT64) -> GEOGRAPHY"],
        |_, args| {
            let tolerance = float(args, 1)?;
            if tolerance.is_nan() || tolerance < 0.0 {
                return fail("ST_Simplify tolerance must be non-negative");
            }
            let shape = geography(args, 0)?;
            let mut out = Geography { points: shape.points.clone(), ..Geography::default() };
            out.lines = shape.lines.iter().map(|line| simplified(line, tolerance / RADIUS)).collect();
            for rings in &shape.polygons {
                let rings: Vec<_> = rings
                    .iter()
                    .map(|ring| simplified(ring, tolerance / RADIUS))
                    .filter(|ring| ring.len() > 3)
                    .collect();
                if !rings.is_empty() {
                    out.polygons.push(rings);
                }
            }
            wrap(out)
        }
    ),
    entry!("geography_functions", "st_centroid", "ST_CENTROID", Propagate, ["(GEOGRAPHY) -> GEOGRAPHY"], |_, args| {
        wrap(centroid(std::slice::from_ref(geography(args, 0)?)))
    }),
    entry!(
        "geography_functions",
        "st_union",
        "ST_UNION",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY) -> GEOGRAPHY", "(ARRAY<GEOGRAPHY>) -> GEOGRAPHY"],
        |_, args| {
            let pieces = match args {
                [Value::Array(items)] => items.to_vec(),
                pieces => pieces.to_vec(),
            };
            let shapes: Vec<&Geography> = pieces
                .iter()
                .filter_map(|piece| match piece {
                    Value::Geography(shape) => Some(&**shape),
                    _ => None,
                })
                .collect();
            if shapes.is_empty() { Ok(Value::Null) } else { wrap(union_of(shapes)) }
        }
    ),
    entry!(
        "geography_functions",
        "st_intersection",
        "ST_INTERSECTION",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY) -> GEOGRAPHY"],
        |_, args| wrap(overlay(Operation::Intersection, geography(args, 0)?, geography(args, 1)?))
    ),
    entry!(
        "geography_functions",
        "st_difference",
        "ST_DIFFERENCE",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY) -> GEOGRAPHY"],
        |_, args| wrap(overlay(Operation::Difference, geography(args, 0)?, geography(args, 1)?))
    ),
    entry!(
        "geography_functions",
        "st_lineinterpolatepoint",
        "ST_LINEINTERPOLATEPOINT",
        Propagate,
        ["(GEOGRAPHY, FLOAT64) -> GEOGRAPHY"],
        |_, args| {
            let share = float(args, 1)?;
            if !(0.0..=1.0).contains(&share) {
                return fail("ST_LineInterpolatePoint fraction must be between 0 and 1");
            }
            let [positions] = &geography(args, 0)?.lines[..] else {
                return fail("ST_LineInterpolatePoint only accepts a line");
            };
            let lengths: Vec<f64> = positions.windows(2).map(edge_angle).collect();
            let mut left = lengths.iter().sum::<f64>() * share;
            for (edge, length) in positions.windows(2).zip(&lengths) {
                let [a, b] = edge else { continue };
                if left <= *length && *length > 0.0 {
                    let (a, b) = (vector(*a), vector(*b));
                    let at = add(scale(a, (length - left).sin()), scale(b, left.sin()));
                    return wrap(Geography::point(position(unit(at))));
                }
                left -= length;
            }
            wrap(positions.last().map(|last| Geography::point(*last)).unwrap_or_default())
        }
    ),
    entry!(
        "geography_functions",
        "st_linelocatepoint",
        "ST_LINELOCATEPOINT",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY) -> FLOAT64"],
        |_, args| {
            let [positions] = &geography(args, 0)?.lines[..] else {
                return fail("ST_LineLocatePoint only accepts a line");
            };
            let Some(point) = one_point("ST_LineLocatePoint", args, 1)? else { return Ok(Value::Null) };
            let point = vector(point);
            let total: f64 = positions.windows(2).map(edge_angle).sum();
            let (mut walked, mut best) = (0.0, (f64::INFINITY, 0.0));
            for edge in positions.windows(2) {
                let [a, b] = edge else { continue };
                let (far, foot) = to_arc(point, vector(*a), vector(*b));
                if far < best.0 {
                    best = (far, walked + angle(vector(*a), foot));
                }
                walked += edge_angle(edge);
            }
            Ok(Value::Float64(if total > 0.0 { best.1 / total } else { 0.0 }))
        }
    ),
];

fn edge_angle(edge: &[Position]) -> f64 {
    match edge {
        [a, b] => angle(vector(*a), vector(*b)),
        _ => 0.0,
    }
}

fn count_points(shape: &Geography) -> Value {
    let lines: usize = shape.lines.iter().map(Vec::len).sum();
    let rings: usize = shape.polygons.iter().flatten().map(Vec::len).sum();
    Value::Int64((shape.points.len() + lines + rings) as i64)
}

fn made(name: &str, shape: Result<Geography, String>) -> Result<Value> {
    shape.map_or_else(|why| fail(format!("{name} failed: {why}")), wrap)
}

fn make_polygon(name: &str, args: &[Value]) -> Result<Value> {
    let [shell] = &geography(args, 0)?.lines[..] else { return fail(format!("{name} only accepts a line as shell")) };
    let mut rings = vec![shell.clone()];
    if args.len() > 1 {
        for item in array(args, 1)? {
            if let Value::Geography(hole) = item {
                rings.extend(hole.lines.iter().cloned());
            }
        }
    }
    for ring in &mut rings {
        if ring.first() != ring.last() {
            ring.extend(ring.first().copied());
        }
    }
    made(name, polygon(rings))
}

/// The n-th vertex of a line, from its end where negative.
fn point_of_line(name: &str, shape: &Geography, index: i64) -> Result<Value> {
    let [positions] = &shape.lines[..] else { return fail(format!("{name} only accepts a line")) };
    let at = if index > 0 {
        usize::try_from(index - 1).ok()
    } else {
        usize::try_from(index.unsigned_abs())
            .ok()
            .filter(|back| *back > 0)
            .and_then(|back| positions.len().checked_sub(back))
    };
    Ok(match at.and_then(|at| positions.get(at)) {
        Some(point) => Value::Geography(Arc::new(Geography::point(*point))),
        None => Value::Null,
    })
}

fn mapped(shape: &Geography, change: impl Fn(Position) -> Position) -> Geography {
    let line = |positions: &Vec<Position>| -> Vec<Position> {
        let mut out: Vec<Position> = positions.iter().map(|position| change(*position)).collect();
        out.dedup();
        out
    };
    let mut out =
        Geography { points: shape.points.iter().map(|point| change(*point)).collect(), ..Geography::default() };
    for positions in shape.lines.iter().map(line) {
        match positions[..] {
            [only] => out.points.push(only),
            _ => out.lines.push(positions),
        }
    }
    for rings in &shape.polygons {
        let rings: Vec<_> = rings.iter().map(line).filter(|ring| ring.len() > 3).collect();
        if !rings.is_empty() {
            out.polygons.push(rings);
        }
    }
    out
}

/// Douglas and Peucker's: what is nearer to the chord than the tolerance (in radians) goes.
fn simplified(line: &[Position], tolerance: f64) -> Vec<Position> {
    let mut keep = vec![false; line.len()];
    let mut work = vec![(0, line.len().saturating_sub(1))];
    while let Some((from, to)) = work.pop() {
        let (Some(a), Some(b)) = (line.get(from), line.get(to)) else { continue };
        keep[from] = true;
        keep[to] = true;
        let far = (from + 1..to)
            .map(|at| (to_arc(vector(line[at]), vector(*a), vector(*b)).0, at))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((far, at)) = far
            && far > tolerance
        {
            work.push((from, at));
            work.push((at, to));
        }
    }
    line.iter().zip(keep).filter(|(_, keep)| *keep).map(|(position, _)| *position).collect()
}
