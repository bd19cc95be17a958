//! Shapes around shapes: buffers, convex hulls, boxes; and distances between whole shapes.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::args::{any, fail, float, geography, int};
use crate::functions::geography::overlay::{Operation, overlay, union_of};
use crate::functions::geography::sphere::{
    RADIUS, Vector, add, angle, arcs, cross, dot, length, position, scale, unit, vector,
};
use crate::functions::geography::text::wrap;
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;
use crate::value::geography::{Geography, Position};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "geography_functions",
        "st_buffer",
        "ST_BUFFER",
        Handled,
        [
            "(GEOGRAPHY, FLOAT64, [num_seg_quarter_circle => FLOAT64], [use_spheroid => BOOL], [endcap => STRING], [side => STRING]) -> GEOGRAPHY"
        ],
        |_, args| {
            if any(args, 0).is_null() || any(args, 1).is_null() {
                return Ok(Value::Null);
            }
            let quarter = if any(args, 2).is_null() { 8.0 } else { float(args, 2)? };
            if quarter.is_nan() || quarter < 1.0 {
                return fail("ST_Buffer num_seg_quarter_circle must be at least 1");
            }
            if !any(args, 4).is_null() || !any(args, 5).is_null() {
                return Err(SqlError::unsupported("ST_BUFFER with endcap or side is not supported"));
            }
            wrap(buffer(geography(args, 0)?, float(args, 1)?, quarter)?)
        }
    ),
    entry!(
        "geography_functions",
        "st_bufferwithtolerance",
        "ST_BUFFERWITHTOLERANCE",
        Handled,
        [
            "(GEOGRAPHY, FLOAT64, tolerance_meters => FLOAT64, [use_spheroid => BOOL], [endcap => STRING], [side => STRING]) -> GEOGRAPHY"
        ],
        |_, args| {
            if (0..3).any(|index| any(args, index).is_null()) {
                return Ok(Value::Null);
            }
            if !any(args, 4).is_null() || !any(args, 5).is_null() {
                return Err(SqlError::unsupported("ST_BUFFERWITHTOLERANCE with endcap or side is not supported"));
            }
            let (radius, tolerance) = (float(args, 1)?, float(args, 2)?);
            if tolerance.is_nan() || tolerance <= 0.0 {
                return fail("ST_BufferWithTolerance tolerance_meters must be positive");
            }
            // A chord leaves its arc by radius × (1 - cos(half the step)).
            let half = (1.0 - (tolerance / radius.abs()).min(0.99)).acos();
            let quarter = (std::f64::consts::FRAC_PI_2 / (2.0 * half)).ceil().clamp(1.0, 1000.0);
            wrap(buffer(geography(args, 0)?, radius, quarter)?)
        }
    ),
    entry!(
        "geography_functions",
        "st_convexhull",
        "ST_CONVEXHULL",
        Propagate,
        ["(GEOGRAPHY) -> GEOGRAPHY"],
        |_, args| wrap(convex_hull(geography(args, 0)?))
    ),
    entry!(
        "geography_functions",
        "st_boundingbox",
        "ST_BOUNDINGBOX",
        Propagate,
        ["(GEOGRAPHY) -> ?"],
        |_, args| Ok(bounding_box([geography(args, 0)?])),
        result = |_| Ok(box_type())
    ),
    entry!(
        "geography_functions",
        "st_hausdorffdistance",
        "ST_HAUSDORFFDISTANCE",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY, [directed => BOOL]) -> FLOAT64"],
        |call, args| Ok(hausdorff(call, args)?.map_or(Value::Null, Value::Float64))
    ),
    entry!(
        "geography_functions",
        "st_hausdorffdwithin",
        "ST_HAUSDORFFDWITHIN",
        Propagate,
        ["(GEOGRAPHY, GEOGRAPHY, FLOAT64, [directed => BOOL]) -> BOOL"],
        |call, args| {
            let limit = float(args, 2)?;
            let mut rest = args.to_vec();
            rest.remove(2);
            Ok(Value::Bool(hausdorff(call, &rest)?.is_some_and(|far| far <= limit)))
        }
    ),
    entry!(
        "geography_functions",
        "st_linesubstring",
        "ST_LINESUBSTRING",
        Propagate,
        ["(GEOGRAPHY, FLOAT64, FLOAT64) -> GEOGRAPHY"],
        |_, args| {
            let (from, to) = (float(args, 1)?, float(args, 2)?);
            let shape = geography(args, 0)?;
            let [line] = &shape.lines[..] else { return fail("ST_LineSubstring only accepts a line") };
            if !(0.0..=1.0).contains(&from) || !(0.0..=1.0).contains(&to) || from > to {
                return fail("ST_LineSubstring fractions must be between 0 and 1, the first not above the second");
            }
            wrap(part_of_line(line, from, to))
        }
    ),
    entry!(
        "geography_functions",
        "s2_cellidfrompoint",
        "S2_CELLIDFROMPOINT",
        Propagate,
        ["(GEOGRAPHY, [level => INT64]) -> INT64"],
        |_, args| {
            let level = if args.len() > 1 { int(args, 1)? } else { 30 };
            if !(0..=30).contains(&level) {
                return fail(format!("S2_CellIdFromPoint level must be between 0 and 30, got {level}"));
            }
            match super::measure::one_point("S2_CellIdFromPoint", args, 0)? {
                Some(point) => Ok(Value::Int64(cell_id(vector(point), level as u32) as i64)),
                None => Ok(Value::Null),
            }
        }
    ),
];

/// `STRUCT<xmin, ymin, xmax, ymax>`.
pub(crate) fn box_type() -> crate::types::Type {
    let names = ["xmin", "ymin", "xmax", "ymax"];
    crate::types::Type::struct_of(names.map(|name| (name, crate::types::Type::Float64)))
}

/// The least box around all of them; NULL for nothing. Arcs may reach beyond their ends' latitudes.
pub(crate) fn bounding_box<'a>(shapes: impl IntoIterator<Item = &'a Geography>) -> Value {
    let (mut south, mut north) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for shape in shapes {
        for (longitude, latitude) in shape.vertices() {
            (south, north) = (south.min(latitude), north.max(latitude));
            spans.push((longitude, longitude));
        }
        for (a, b) in arcs(shape) {
            let normal = cross(a, b);
            for pole in [1.0, -1.0] {
                // The highest point of the great circle, where it lies on the arc.
                let top = unit(cross(cross(normal, [0.0, 0.0, pole]), normal));
                if dot(cross(a, top), normal) > 0.0 && dot(cross(top, b), normal) > 0.0 {
                    let latitude = position(top).1;
                    (south, north) = (south.min(latitude), north.max(latitude));
                }
            }
            let (from, to) = (position(a).0, position(b).0);
            let (west, east) = if from <= to { (from, to) } else { (to, from) };
            spans.push(if east - west <= 180.0 { (west, east) } else { (east, west + 360.0) });
        }
    }
    if spans.is_empty() {
        return Value::Null;
    }
    // The widest gap between the spans stays outside the box.
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    let count = merged.len();
    let gap_before = |index: usize| match index {
        0 => merged[0].0 + 360.0 - merged[count - 1].1,
        _ => merged[index].0 - merged[index - 1].1,
    };
    let first = (0..count).max_by(|a, b| gap_before(*a).total_cmp(&gap_before(*b))).unwrap_or_default();
    let west = merged[first].0;
    let east = if first == 0 { merged[count - 1].1 } else { merged[first - 1].1 + 360.0 };
    Value::Struct(Arc::new([west, south, east, north].map(Value::Float64).to_vec()))
}

/// A direction square to `v`, the same that production's circles begin with.
fn square_to(v: Vector) -> Vector {
    let largest = (0..3).max_by(|a, b| v[*a].abs().total_cmp(&v[*b].abs())).unwrap_or_default();
    let mut other = [0.012, 0.0053, 0.00457];
    other[(largest + 2) % 3] = 1.0;
    unit(cross(v, other))
}

fn disc(center: Vector, radius: f64, quarter: f64) -> Geography {
    let steps = (4.0 * quarter).round().max(4.0) as usize;
    let first = square_to(center);
    let second = cross(center, first);
    let mut ring: Vec<Position> = (0..steps)
        .map(|index| {
            let turn = index as f64 * (2.0 * std::f64::consts::PI / steps as f64);
            let towards = unit(add(scale(first, turn.cos()), scale(second, turn.sin())));
            position(unit(add(scale(center, radius.cos()), scale(towards, radius.sin()))))
        })
        .collect();
    ring.extend(ring.first().copied());
    Geography::polygon(vec![ring])
}

/// The band around one arc, without its round ends.
fn band(a: Vector, b: Vector, radius: f64) -> Option<Geography> {
    let normal = cross(a, b);
    if length(normal) < 1e-15 {
        return None;
    }
    let normal = unit(normal);
    let aside = |p: Vector, way: f64| position(unit(add(scale(p, radius.cos()), scale(normal, way * radius.sin()))));
    let ring = vec![aside(a, -1.0), aside(b, -1.0), aside(b, 1.0), aside(a, 1.0), aside(a, -1.0)];
    Some(Geography::polygon(vec![ring]))
}

fn buffer(shape: &Geography, meters: f64, quarter: f64) -> Result<Geography> {
    if meters.is_nan() || meters.is_infinite() {
        return fail("ST_Buffer radius must be finite");
    }
    let radius = meters.abs() / RADIUS;
    let areas = Geography { polygons: shape.polygons.clone(), ..Geography::default() };
    if meters == 0.0 || shape.is_empty() {
        return Ok(areas);
    }
    if radius >= std::f64::consts::FRAC_PI_2 {
        return Err(SqlError::unsupported("ST_BUFFER of a quarter of the globe and more is not supported"));
    }
    let rim = |edges: Vec<(Vector, Vector)>| {
        let mut pieces: Vec<Geography> = Vec::new();
        for (a, b) in edges {
            pieces.push(disc(a, radius, quarter));
            pieces.push(disc(b, radius, quarter));
            pieces.extend(band(a, b, radius));
        }
        pieces
    };
    if meters < 0.0 {
        // Points and lines vanish; polygons lose their rim.
        let pieces = rim(arcs(&areas));
        return Ok(overlay(Operation::Difference, &areas, &union_of(&pieces)));
    }
    let mut pieces: Vec<Geography> = vec![areas];
    pieces.extend(shape.points.iter().map(|point| disc(vector(*point), radius, quarter)));
    pieces.extend(rim(arcs(shape)));
    pieces.retain(|piece| !piece.is_empty());
    Ok(union_of(&pieces))
}

pub(crate) fn convex_hull(shape: &Geography) -> Geography {
    let mut corners: Vec<Position> = Vec::new();
    for corner in shape.vertices() {
        if !corners.contains(&corner) {
            corners.push(corner);
        }
    }
    match corners[..] {
        [] => return Geography::default(),
        [only] => return Geography::point(only),
        [a, b] => return Geography::line(vec![a, b]),
        _ => {}
    }
    let vectors: Vec<Vector> = corners.iter().map(|corner| vector(*corner)).collect();
    let middle = unit(vectors.iter().fold([0.0; 3], |sum, v| add(sum, *v)));
    // The southernmost corner is on the hull; from each corner on, the next has all others to its left.
    let start = (0..corners.len())
        .min_by(|a, b| corners[*a].1.total_cmp(&corners[*b].1).then(corners[*a].0.total_cmp(&corners[*b].0)))
        .unwrap_or_default();
    // From the farthest corner of the middle: surely a corner of the hull.
    let start = (0..corners.len())
        .max_by(|a, b| angle(middle, vectors[*a]).total_cmp(&angle(middle, vectors[*b])))
        .unwrap_or(start);
    let mut ring = vec![start];
    let mut at = start;
    loop {
        let mut next = if at == 0 { 1 } else { 0 };
        for other in 0..vectors.len() {
            if other == at || other == next {
                continue;
            }
            let turn = dot(cross(vectors[at], vectors[next]), vectors[other]);
            let farther = angle(vectors[at], vectors[other]) > angle(vectors[at], vectors[next]);
            if turn < -1e-15 || turn.abs() <= 1e-15 && farther {
                next = other;
            }
        }
        if next == start || ring.len() > vectors.len() {
            break;
        }
        ring.push(next);
        at = next;
    }
    if ring.len() < 3 {
        return Geography::line(ring.into_iter().map(|index| corners[index]).collect());
    }
    let mut ring: Vec<Position> = ring.into_iter().map(|index| corners[index]).collect();
    ring.extend(ring.first().copied());
    Geography::polygon(vec![ring])
}

/// The greatest distance from a vertex of one shape to the other; both ways unless directed.
fn hausdorff(_: &Call, args: &[Value]) -> Result<Option<f64>> {
    let (a, b) = (geography(args, 0)?, geography(args, 1)?);
    let directed = matches!(any(args, 2), Value::Bool(true));
    if a.is_empty() || b.is_empty() {
        return Ok(None);
    }
    let one_way = |from: &Geography, to: &Geography| {
        from.vertices()
            .filter_map(|point| super::sphere::nearest(&Geography::point(point), to).map(|(far, _)| far * RADIUS))
            .fold(0.0, f64::max)
    };
    let there = one_way(a, b);
    Ok(Some(if directed { there } else { there.max(one_way(b, a)) }))
}

fn part_of_line(line: &[Position], from: f64, to: f64) -> Geography {
    let vectors: Vec<Vector> = line.iter().map(|point| vector(*point)).collect();
    let lengths: Vec<f64> =
        vectors.windows(2).map(|edge| if let [a, b] = edge { angle(*a, *b) } else { 0.0 }).collect();
    let total: f64 = lengths.iter().sum();
    let at = |share: f64| -> Position {
        let mut left = total * share;
        for (index, size) in lengths.iter().enumerate() {
            if left <= *size && *size > 0.0 {
                if left == 0.0 {
                    return line[index];
                }
                if left == *size {
                    return line[index + 1];
                }
                let (a, b) = (vectors[index], vectors[index + 1]);
                return position(unit(add(scale(a, (size - left).sin()), scale(b, left.sin()))));
            }
            left -= size;
        }
        line.last().copied().unwrap_or_default()
    };
    if from == to {
        return Geography::point(at(from));
    }
    let mut out = vec![at(from)];
    let mut walked = 0.0;
    for (index, size) in lengths.iter().enumerate() {
        walked += size;
        if walked > total * from && walked < total * to && index + 1 < line.len() - 1 {
            out.push(line[index + 1]);
        }
    }
    out.push(if to == 1.0 { line.last().copied().unwrap_or_default() } else { at(to) });
    out.dedup();
    Geography::line(out)
}

/// The S2 cell that a point lies in: the cube's face, then 30 steps along its Hilbert curve.
pub(crate) fn cell_id(p: Vector, level: u32) -> u64 {
    let face = {
        let axis = (0..3).max_by(|a, b| p[*a].abs().total_cmp(&p[*b].abs())).unwrap_or_default();
        if p[axis] < 0.0 { axis + 3 } else { axis }
    };
    let (u, v) = match face {
        0 => (p[1] / p[0], p[2] / p[0]),
        1 => (-p[0] / p[1], p[2] / p[1]),
        2 => (-p[0] / p[2], -p[1] / p[2]),
        3 => (p[2] / p[0], p[1] / p[0]),
        4 => (p[2] / p[1], -p[0] / p[1]),
        _ => (-p[1] / p[2], -p[0] / p[2]),
    };
    let to_st = |u: f64| if u >= 0.0 { 0.5 * (1.0 + 3.0 * u).sqrt() } else { 1.0 - 0.5 * (1.0 - 3.0 * u).sqrt() };
    let cells = f64::from(1u32 << 30);
    let to_ij = |s: f64| (cells * s).floor().clamp(0.0, cells - 1.0) as u32;
    let (i, j) = (to_ij(to_st(u)), to_ij(to_st(v)));
    // Along the curve: which quarter comes at which place depends on how the curve is turned there.
    const PLACE: [[u64; 4]; 4] = [[0, 1, 3, 2], [0, 3, 1, 2], [2, 3, 1, 0], [2, 1, 3, 0]];
    const TURN: [usize; 4] = [1, 0, 0, 3];
    let mut orientation = face & 1;
    let mut id = face as u64;
    for bit in (0..30).rev() {
        let quarter = (((i >> bit) & 1) << 1 | ((j >> bit) & 1)) as usize;
        let place = PLACE[orientation][quarter];
        id = id << 2 | place;
        orientation ^= TURN[place as usize];
    }
    let leaf = id << 1 | 1;
    let lowest = 1u64 << (2 * (30 - level));
    (leaf & lowest.wrapping_neg()) | lowest
}

/// Whether two shapes are at most that many radians apart.
pub(crate) fn within(a: &Geography, b: &Geography, limit: f64) -> bool {
    if let ([p], [q]) = (&a.points[..], &b.points[..])
        && a.parts() == 1
        && b.parts() == 1
    {
        return angle(vector(*p), vector(*q)) <= limit;
    }
    super::sphere::nearest(a, b).is_some_and(|(far, _)| far <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geography::sphere::ring_area;
    use crate::functions::geography::text::from_wkt;

    #[test]
    fn circles_are_productions() {
        let ring = &disc(vector((0.0, 0.0)), 100.0 / RADIUS, 8.0).polygons[0][0];
        assert_eq!(ring.len(), 33);
        assert!(
            (ring[0].0 + 0.000_899_307_563_648_656).abs() < 1e-15
                && (ring[0].1 - 4.766_330_087_142_16e-6).abs() < 1e-17
        );
        let ring = &disc(vector((-100.0, 40.0)), 100_000.0 / RADIUS, 8.0).polygons[0][0];
        assert!((ring[0].0 + 100.142_221_859_014).abs() < 1e-10 && (ring[0].1 - 40.892_783_986_085_1).abs() < 1e-10);
    }

    #[test]
    fn a_square_grows_by_its_rim() {
        let square = from_wkt("POLYGON((0 0, 0.1 0, 0.1 0.1, 0 0.1, 0 0))").expect("a square");
        let area =
            |shape: &Geography| shape.polygons.iter().map(|rings| ring_area(&rings[0])).sum::<f64>() * RADIUS * RADIUS;
        let (side, radius) = (0.1f64.to_radians() * RADIUS, 1000.0);
        let grown = buffer(&square, radius, 8.0).expect("a buffer");
        let wanted = side * side + 4.0 * side * radius + std::f64::consts::PI * radius * radius;
        assert_eq!(grown.polygons.len(), 1);
        assert!((area(&grown) / wanted - 1.0).abs() < 0.001, "{} {wanted}", area(&grown));
        let shrunk = buffer(&square, -radius, 8.0).expect("a buffer");
        assert!((area(&shrunk) / (side - 2.0 * radius).powi(2) - 1.0).abs() < 0.001);
    }

    #[test]
    fn cells_of_known_places() {
        // Face 0's middle; levels only cut the id.
        assert_eq!(cell_id(vector((0.0, 0.0)), 0), 0x1000_0000_0000_0000);
        assert_eq!(cell_id(vector((0.0, 0.0)), 30) >> 61, 0);
        assert_eq!(cell_id(vector((-90.0, 0.0)), 0) >> 61, 4);
    }
}
