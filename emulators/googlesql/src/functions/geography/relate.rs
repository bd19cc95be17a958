//! How two geographies lie to each other.

use crate::error::Result;
use crate::functions::args::{float, geography};
use crate::functions::geography::sphere::{Side, Vector, arcs, arcs_cross, covers_point, intersects, side, vector};
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;
use crate::value::geography::Geography;

macro_rules! relation {
    ($name:literal, $sql_name:literal, $code:expr) => {
        entry!("geography_functions", $name, $sql_name, Propagate, ["(GEOGRAPHY, GEOGRAPHY) -> BOOL"], |_, args| {
            let code: fn(&Geography, &Geography) -> bool = $code;
            Ok(Value::Bool(code(geography(args, 0)?, geography(args, 1)?)))
        })
    };
}

pub(crate) static TABLE: &[ScalarFunction] = &[
    relation!("st_intersects", "ST_INTERSECTS", intersects),
    relation!("st_disjoint", "ST_DISJOINT", |a, b| !intersects(a, b)),
    relation!("st_covers", "ST_COVERS", covers),
    relation!("st_coveredby", "ST_COVEREDBY", |a, b| covers(b, a)),
    relation!("st_contains", "ST_CONTAINS", |a, b| covers(a, b) && interiors_meet(a, b)),
    relation!("st_within", "ST_WITHIN", |a, b| covers(b, a) && interiors_meet(b, a)),
    relation!("st_touches", "ST_TOUCHES", |a, b| intersects(a, b) && !interiors_meet(a, b)),
    relation!("st_equals", "ST_EQUALS", |a, b| a.is_empty() && b.is_empty() || covers(a, b) && covers(b, a)),
    entry!(
        "geography_functions",
        "st_intersectsbox",
        "ST_INTERSECTSBOX",
        Propagate,
        ["(GEOGRAPHY, FLOAT64, FLOAT64, FLOAT64, FLOAT64) -> BOOL"],
        |_, args| intersects_box(args)
    ),
];

fn middle(a: Vector, b: Vector) -> Vector {
    super::sphere::unit(super::sphere::add(a, b))
}

/// Whether nothing of `b` lies outside `a`: its vertices, the middles of its edges, and no edge crosses.
fn covers(a: &Geography, b: &Geography) -> bool {
    if b.is_empty() || a.is_empty() {
        return false;
    }
    let outer: Vec<(Vector, Vector)> = {
        let rings = Geography { polygons: a.polygons.clone(), ..Geography::default() };
        arcs(&rings)
    };
    let edges = arcs(b);
    b.vertices().all(|point| covers_point(a, vector(point)))
        && edges.iter().all(|(p, q)| covers_point(a, middle(*p, *q)))
        && !edges.iter().any(|(p, q)| outer.iter().any(|(r, s)| arcs_cross(*p, *q, *r, *s)))
        && (b.polygons.is_empty() || !a.polygons.is_empty())
}

fn in_interior(shape: &Geography, p: Vector) -> bool {
    let ends = shape.lines.iter().flat_map(|line| [line.first(), line.last()]).flatten();
    let is_end = |p: Vector| ends.clone().any(|end| super::sphere::angle(p, vector(*end)) <= super::sphere::TOUCH);
    shape.polygons.iter().any(|rings| side(p, rings) == Side::Inside)
        || !shape.points.is_empty()
            && covers_point(&Geography { points: shape.points.clone(), ..Geography::default() }, p)
        || !shape.lines.is_empty()
            && covers_point(&Geography { lines: shape.lines.clone(), ..Geography::default() }, p)
            && !is_end(p)
}

fn interiors_meet(a: &Geography, b: &Geography) -> bool {
    let (arcs_a, arcs_b) = (arcs(a), arcs(b));
    if arcs_a.iter().any(|(p, q)| arcs_b.iter().any(|(r, s)| arcs_cross(*p, *q, *r, *s))) {
        return true;
    }
    let probes = |shape: &Geography, edges: &[(Vector, Vector)]| -> Vec<Vector> {
        let inner = shape.polygons.iter().filter_map(|rings| rings.first()).map(|ring| {
            let sum = ring.iter().skip(1).fold([0.0; 3], |sum, corner| super::sphere::add(sum, vector(*corner)));
            super::sphere::unit(sum)
        });
        let middles = edges.iter().map(|(p, q)| middle(*p, *q));
        shape.points.iter().map(|point| vector(*point)).chain(inner).chain(middles).collect()
    };
    let shared = |p: &Vector| in_interior(a, *p) && (in_interior(b, *p));
    probes(a, &arcs_a).iter().any(shared) || probes(b, &arcs_b).iter().any(shared)
}

fn intersects_box(args: &[Value]) -> Result<Value> {
    let shape = geography(args, 0)?;
    let (west, south, east, north) = (float(args, 1)?, float(args, 2)?, float(args, 3)?, float(args, 4)?);
    let inside = |longitude: f64, latitude: f64| {
        let within =
            if west <= east { (west..=east).contains(&longitude) } else { longitude >= west || longitude <= east };
        within && (south..=north).contains(&latitude)
    };
    if shape.vertices().any(|(longitude, latitude)| inside(longitude, latitude)) {
        return Ok(Value::Bool(true));
    }
    let corners = [(west, south), (east, south), (east, north), (west, north)];
    Ok(Value::Bool(corners.iter().any(|corner| covers_point(shape, vector(*corner)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geography::text::from_wkt;

    #[test]
    fn relations_of_points_and_polygons() {
        let shape = |text: &str| from_wkt(text).expect(text);
        let square = shape("POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))");
        let contains = |a: &Geography, b: &Geography| covers(a, b) && interiors_meet(a, b);
        assert!(contains(&square, &shape("POINT(2 2)")));
        assert!(!contains(&square, &shape("POINT(10 10)")));
        assert!(!contains(&square, &shape("POINT(0 0)")) && covers(&square, &shape("POINT(0 0)")));
        assert!(contains(&square, &shape("POLYGON((1 1, 2 1, 2 2, 1 2, 1 1))")));
        let other = shape("POLYGON((1 1, 5 1, 5 5, 1 5, 1 1))");
        assert!(intersects(&square, &other) && !covers(&square, &other));
        assert!(intersects(&shape("LINESTRING(0 0, 2 2)"), &shape("LINESTRING(0 2, 2 0)")));
        assert!(!intersects(&shape("LINESTRING(0 0, 1 1)"), &shape("LINESTRING(5 5, 6 6)")));
    }
}
