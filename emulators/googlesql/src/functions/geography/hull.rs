//! Shapes around shapes: convex hulls, boxes; and distances between whole shapes.

use std::sync::Arc;

use crate::error::Result;
use crate::functions::args::{any, fail, float, geography, int};
use crate::functions::geography::sphere::{
    RADIUS, Vector, add, angle, arcs, cross, dot, position, scale, unit, vector,
};
use crate::functions::geography::text::wrap;
use crate::functions::{Call, ScalarFunction, entry};
use crate::value::Value;
use crate::value::geography::{Geography, Position};

pub(crate) static TABLE: &[ScalarFunction] = &[
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

    #[test]
    fn cells_of_known_places() {
        // Face 0's middle; levels only cut the id.
        assert_eq!(cell_id(vector((0.0, 0.0)), 0), 0x1000_0000_0000_0000);
        assert_eq!(cell_id(vector((0.0, 0.0)), 30) >> 61, 0);
        assert_eq!(cell_id(vector((-90.0, 0.0)), 0) >> 61, 4);
    }
}
