//! What two geographies have together, in common, or one without the other: ST_UNION, ST_INTERSECTION, ST_DIFFERENCE.
//!
//! Polygons: every edge is cut where the other side's edges meet it; each piece lies inside, outside or on the
//! other's boundary as a whole; the pieces that bound the result are chained into rings again.

use crate::functions::geography::sphere::{
    Side, TOUCH, Vector, add, angle, covers_point, cross, dot, length, position, scale, side, to_arc, unit, vector,
};
use crate::value::geography::{Geography, Position};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Union,
    Intersection,
    Difference,
}

pub(super) fn overlay(operation: Operation, a: &Geography, b: &Geography) -> Geography {
    let mut out = Geography { polygons: polygons(operation, &a.polygons, &b.polygons), ..Geography::default() };
    let only_polygons = |shape: &Geography| Geography { polygons: shape.polygons.clone(), ..Geography::default() };
    let (areas_a, areas_b) = (only_polygons(a), only_polygons(b));
    let pieces_a = cut_lines(&a.lines, b);
    let pieces_b = cut_lines(&b.lines, a);
    let within = |shape: &Geography, edge: &(Vector, Vector)| covers_point(shape, middle(*edge));
    let mut lines: Vec<(Vector, Vector)> = Vec::new();
    match operation {
        Operation::Union => {
            lines.extend(pieces_a.iter().filter(|edge| !within(&areas_b, edge)));
            let rest = pieces_b.iter().filter(|edge| !within(&areas_a, edge));
            for edge in rest {
                if !lines.iter().any(|known| same_edge(known, edge)) {
                    lines.push(*edge);
                }
            }
        }
        Operation::Intersection => {
            lines.extend(pieces_a.iter().filter(|edge| within(b, edge)));
            for edge in pieces_b.iter().filter(|edge| within(a, edge)) {
                if !lines.iter().any(|known| same_edge(known, edge)) {
                    lines.push(*edge);
                }
            }
        }
        Operation::Difference => lines.extend(pieces_a.iter().filter(|edge| !within(b, edge))),
    }
    let given: Vec<Position> = a.lines.iter().chain(&b.lines).flatten().copied().collect();
    out.lines = chained(lines, &given);
    let mut points: Vec<Vector> = Vec::new();
    let mut offer = |point: Vector, out: &Geography| {
        if !points.iter().any(|known| angle(*known, point) <= TOUCH) && !covers_point(out, point) {
            points.push(point);
        }
    };
    match operation {
        Operation::Union => {
            a.points.iter().chain(&b.points).for_each(|point| offer(vector(*point), &out));
        }
        Operation::Intersection => {
            a.points.iter().map(|point| vector(*point)).filter(|p| covers_point(b, *p)).for_each(|p| offer(p, &out));
            b.points.iter().map(|point| vector(*point)).filter(|p| covers_point(a, *p)).for_each(|p| offer(p, &out));
            for (p, q) in super::sphere::arcs(a) {
                for (r, s) in super::sphere::arcs(b) {
                    meetings((p, q), (r, s)).into_iter().for_each(|at| offer(at, &out));
                }
            }
        }
        Operation::Difference => {
            let left = a.points.iter().map(|point| vector(*point)).filter(|p| !covers_point(b, *p));
            left.for_each(|p| offer(p, &out));
        }
    }
    out.points = points.into_iter().map(rounded).collect();
    out
}

/// The union of many.
pub(super) fn union_of<'a>(shapes: impl IntoIterator<Item = &'a Geography>) -> Geography {
    let mut out = Geography::default();
    for shape in shapes {
        out = if out.is_empty() { shape.clone() } else { overlay(Operation::Union, &out, shape) };
    }
    out
}

fn middle((a, b): (Vector, Vector)) -> Vector {
    unit(add(a, b))
}

fn same_edge(a: &(Vector, Vector), b: &(Vector, Vector)) -> bool {
    let near = |p: Vector, q: Vector| angle(p, q) <= TOUCH;
    near(a.0, b.0) && near(a.1, b.1) || near(a.0, b.1) && near(a.1, b.0)
}

/// Back to degrees, without the noise of the way through vectors.
fn rounded(v: Vector) -> Position {
    let (longitude, latitude) = position(v);
    let tidy = |degrees: f64| {
        let near = (degrees * 1e9).round() / 1e9;
        if (near - degrees).abs() < 1e-12 { near } else { degrees }
    };
    (tidy(longitude), tidy(latitude))
}

/// Where two arcs meet: their crossing, and ends of one that lie on the other.
fn meetings(a: (Vector, Vector), b: (Vector, Vector)) -> Vec<Vector> {
    let mut found: Vec<Vector> = Vec::new();
    for (end, arc) in [(a.0, b), (a.1, b), (b.0, a), (b.1, a)] {
        if to_arc(end, arc.0, arc.1).0 <= TOUCH && !found.iter().any(|known| angle(*known, end) <= TOUCH) {
            found.push(end);
        }
    }
    if found.is_empty() && super::sphere::arcs_cross(a.0, a.1, b.0, b.1) {
        let line = cross(cross(a.0, a.1), cross(b.0, b.1));
        if length(line) > 0.0 {
            let at = unit(line);
            found.push(if dot(at, middle(a)) >= 0.0 { at } else { scale(at, -1.0) });
        }
    }
    found
}

/// The arc in pieces that meet the others only at their ends.
fn cut(edge: (Vector, Vector), others: &[(Vector, Vector)], out: &mut Vec<(Vector, Vector)>) {
    let mut stops: Vec<Vector> = vec![edge.0, edge.1];
    for other in others {
        stops.extend(meetings(edge, *other));
    }
    stops.sort_by(|p, q| angle(edge.0, *p).total_cmp(&angle(edge.0, *q)));
    let mut from = edge.0;
    for stop in stops {
        if angle(from, stop) > TOUCH {
            let to = if angle(stop, edge.1) <= TOUCH { edge.1 } else { stop };
            out.push((from, to));
            from = to;
        }
    }
}

fn cut_lines(lines: &[Vec<Position>], other: &Geography) -> Vec<(Vector, Vector)> {
    let others = super::sphere::arcs(other);
    let mut out = Vec::new();
    for edge in lines.iter().flat_map(|line| line.windows(2)) {
        if let [a, b] = edge {
            cut((vector(*a), vector(*b)), &others, &mut out);
        }
    }
    out
}

/// Edges that follow on each other as one line.
fn chained(edges: Vec<(Vector, Vector)>, given: &[Position]) -> Vec<Vec<Position>> {
    let mut lines: Vec<Vec<Vector>> = Vec::new();
    for (from, to) in edges {
        match lines.last_mut() {
            Some(line) if line.last().is_some_and(|last| angle(*last, from) <= TOUCH) => line.push(to),
            _ => lines.push(vec![from, to]),
        }
    }
    lines.into_iter().map(|line| straightened(line.into_iter().map(rounded).collect(), false, given)).collect()
}

/// The polygons' edges, each with its inside to the left.
fn oriented(polygons: &[Vec<Vec<Position>>]) -> Vec<(Vector, Vector)> {
    let mut edges = Vec::new();
    for rings in polygons {
        for (index, ring) in rings.iter().enumerate() {
            let corners: Vec<Vector> = ring.iter().map(|corner| vector(*corner)).collect();
            // Shells turn counterclockwise, holes the other way.
            let right_way = (turning(&corners) >= 0.0) == (index == 0);
            for pair in corners.windows(2) {
                let [a, b] = pair else { continue };
                edges.push(if right_way { (*a, *b) } else { (*b, *a) });
            }
        }
    }
    edges
}

/// Positive where a closed ring goes counterclockwise around its smaller side.
fn turning(corners: &[Vector]) -> f64 {
    let Some(origin) = corners.first() else { return 0.0 };
    let total: f64 = corners
        .windows(2)
        .map(|edge| match edge {
            [a, b] => {
                let volume = dot(*origin, cross(*a, *b));
                2.0 * volume.atan2(1.0 + dot(*origin, *a) + dot(*a, *b) + dot(*b, *origin))
            }
            _ => 0.0,
        })
        .sum();
    let whole = 4.0 * std::f64::consts::PI;
    if total > whole / 2.0 {
        total - whole
    } else if total < -whole / 2.0 {
        total + whole
    } else {
        total
    }
}

fn place(p: Vector, polygons: &[Vec<Vec<Position>>]) -> Side {
    let mut found = Side::Outside;
    for rings in polygons {
        match side(p, rings) {
            Side::Inside => return Side::Inside,
            Side::Boundary => found = Side::Boundary,
            Side::Outside => {}
        }
    }
    found
}

fn polygons(operation: Operation, a: &[Vec<Vec<Position>>], b: &[Vec<Vec<Position>>]) -> Vec<Vec<Vec<Position>>> {
    if b.is_empty() {
        return if operation == Operation::Intersection { Vec::new() } else { a.to_vec() };
    }
    if a.is_empty() {
        return if operation == Operation::Union { b.to_vec() } else { Vec::new() };
    }
    let (edges_a, edges_b) = (oriented(a), oriented(b));
    let (mut pieces_a, mut pieces_b) = (Vec::new(), Vec::new());
    edges_a.iter().for_each(|edge| cut(*edge, &edges_b, &mut pieces_a));
    edges_b.iter().for_each(|edge| cut(*edge, &edges_a, &mut pieces_b));
    let mut kept: Vec<(Vector, Vector)> = Vec::new();
    for edge in &pieces_a {
        let keep = match place(middle(*edge), b) {
            Side::Inside => operation == Operation::Intersection,
            Side::Outside => operation != Operation::Intersection,
            Side::Boundary => {
                let along =
                    pieces_b.iter().any(|other| angle(edge.0, other.0) <= TOUCH && angle(edge.1, other.1) <= TOUCH);
                along != (operation == Operation::Difference)
            }
        };
        if keep {
            kept.push(*edge);
        }
    }
    for edge in &pieces_b {
        match (place(middle(*edge), a), operation) {
            (Side::Inside, Operation::Intersection) | (Side::Outside, Operation::Union) => kept.push(*edge),
            (Side::Inside, Operation::Difference) => kept.push((edge.1, edge.0)),
            _ => {}
        }
    }
    let given: Vec<Position> = a.iter().chain(b).flatten().flatten().copied().collect();
    assembled(rings(kept, &given))
}

/// Closed rings out of edges; where several go on, the one that turns most to the left.
fn rings(mut edges: Vec<(Vector, Vector)>, given: &[Position]) -> Vec<Vec<Position>> {
    let mut out = Vec::new();
    while !edges.is_empty() {
        let (start, mut at) = edges.remove(0);
        let mut ring = vec![start, at];
        let mut before = start;
        while angle(at, start) > TOUCH {
            let leftness = |to: Vector| {
                let (back, on) = (cross(cross(at, before), at), cross(cross(at, to), at));
                // The angle from the way back, clockwise: the greatest is the sharpest turn to the left.
                let turn = dot(cross(back, on), at).atan2(dot(back, on));
                if turn <= 0.0 { -turn } else { 2.0 * std::f64::consts::PI - turn }
            };
            let next = edges
                .iter()
                .enumerate()
                .filter(|(_, (from, _))| angle(*from, at) <= TOUCH)
                .max_by(|(_, p), (_, q)| leftness(p.1).total_cmp(&leftness(q.1)))
                .map(|(index, _)| index);
            let Some(index) = next else { break };
            let (_, to) = edges.remove(index);
            before = at;
            at = to;
            ring.push(at);
        }
        if angle(at, start) <= TOUCH && ring.len() > 3 {
            let mut ring: Vec<Position> = ring.into_iter().map(rounded).collect();
            if let (Some(first), Some(last)) = (ring.first().copied(), ring.last_mut()) {
                *last = first;
            }
            let ring = straightened(ring, true, given);
            if ring.len() > 3 {
                out.push(ring);
            }
        }
    }
    out
}

/// Without vertices that only the cutting made: those on the way between their neighbours that nobody gave.
fn straightened(points: Vec<Position>, closed: bool, given: &[Position]) -> Vec<Position> {
    let mut out: Vec<Position> = Vec::with_capacity(points.len());
    let straight = |a: Position, b: Position, c: Position| {
        if given.contains(&b) {
            return false;
        }
        let (a, b, c) = (vector(a), vector(b), vector(c));
        to_arc(b, a, c).0 <= TOUCH && angle(a, b) + angle(b, c) <= angle(a, c) + TOUCH
    };
    for point in points {
        while let [.., a, b] = out[..] {
            if !straight(a, b, point) {
                break;
            }
            out.pop();
        }
        out.push(point);
    }
    // A ring's start may itself be such a vertex.
    if closed
        && let [first, second, .., before, _] = out[..]
        && out.len() > 4
        && straight(before, first, second)
    {
        out.pop();
        out.remove(0);
        out.extend(out.first().copied());
    }
    out
}

/// Shells with the holes inside them.
fn assembled(rings: Vec<Vec<Position>>) -> Vec<Vec<Vec<Position>>> {
    let (mut shells, mut holes) = (Vec::new(), Vec::new());
    for ring in rings {
        let corners: Vec<Vector> = ring.iter().map(|corner| vector(*corner)).collect();
        if turning(&corners) >= 0.0 { shells.push(vec![ring]) } else { holes.push(ring) }
    }
    for hole in holes {
        let inner = |shell: &&mut Vec<Vec<Position>>| {
            hole.iter().all(|corner| {
                shell.first().is_some_and(|outer| side(vector(*corner), std::slice::from_ref(outer)) != Side::Outside)
            })
        };
        if let Some(shell) = shells.iter_mut().find(inner) {
            shell.push(hole);
        }
    }
    shells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geography::sphere::ring_area;
    use crate::functions::geography::text::from_wkt;

    fn shape(text: &str) -> Geography {
        from_wkt(text).expect("a geography")
    }

    fn area(shape: &Geography) -> f64 {
        shape
            .polygons
            .iter()
            .map(|rings| {
                let holes: f64 = rings.iter().skip(1).map(|ring| ring_area(ring)).sum();
                ring_area(&rings[0]) - holes
            })
            .sum()
    }

    #[test]
    fn areas_add_up() {
        let pairs = [
            ("POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))", "POLYGON((1 1, 3 1, 3 3, 1 3, 1 1))"),
            ("POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))", "POLYGON((2 0, 4 0, 4 2, 2 2, 2 0))"),
            ("POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))", "POLYGON((1 1, 2 1, 2 2, 1 2, 1 1))"),
            ("POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))", "POLYGON((5 5, 6 5, 6 6, 5 6, 5 5))"),
            ("POLYGON((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 1 3, 3 3, 3 1, 1 1))", "POLYGON((2 2, 6 2, 6 3, 2 3, 2 2))"),
        ];
        for (a, b) in pairs {
            let (a, b) = (shape(a), shape(b));
            let union = area(&overlay(Operation::Union, &a, &b));
            let common = area(&overlay(Operation::Intersection, &a, &b));
            let rest = area(&overlay(Operation::Difference, &a, &b));
            assert!((area(&a) + area(&b) - union - common).abs() < 1e-12, "{a} {b}");
            assert!((area(&a) - common - rest).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn lines_and_points_meet_polygons() {
        let square = shape("POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))");
        let line = shape("LINESTRING(-1 0, 3 0)");
        assert_eq!(overlay(Operation::Intersection, &line, &square).lines.len(), 1);
        let points = shape("MULTIPOINT(1 1, 5 5)");
        assert_eq!(overlay(Operation::Intersection, &points, &square).to_string(), "POINT(1 1)");
        assert_eq!(overlay(Operation::Difference, &points, &square).to_string(), "POINT(5 5)");
        let hole = overlay(Operation::Difference, &square, &shape("POLYGON((0.5 0.5, 1 0.5, 1 1, 0.5 1, 0.5 0.5))"));
        assert_eq!((hole.polygons.len(), hole.polygons[0].len()), (1, 2));
    }
}
