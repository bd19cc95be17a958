//! Geometry on the unit sphere: vectors, arcs, and where they meet.

use crate::value::geography::{Geography, Position};

/// Metres; production's sphere.
pub(super) const RADIUS: f64 = 6_371_010.0;

pub(super) type Vector = [f64; 3];

pub(super) fn vector((longitude, latitude): Position) -> Vector {
    let (lon, lat) = (longitude.to_radians(), latitude.to_radians());
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

pub(super) fn position(v: Vector) -> Position {
    (v[1].atan2(v[0]).to_degrees(), v[2].atan2(v[0].hypot(v[1])).to_degrees())
}

pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(super) fn length(v: Vector) -> f64 {
    dot(v, v).sqrt()
}

pub(super) fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(super) fn scale(v: Vector, factor: f64) -> Vector {
    [v[0] * factor, v[1] * factor, v[2] * factor]
}

pub(super) fn unit(v: Vector) -> Vector {
    let length = length(v);
    if length == 0.0 { v } else { scale(v, 1.0 / length) }
}

/// The angle between two positions, in radians.
pub(super) fn angle(a: Vector, b: Vector) -> f64 {
    length(cross(a, b)).atan2(dot(a, b))
}

/// The angle between a point and the arc `a`–`b`, and the arc's point nearest to it.
pub(super) fn to_arc(p: Vector, a: Vector, b: Vector) -> (f64, Vector) {
    let normal = cross(a, b);
    let size = length(normal);
    if size > 1e-15 {
        let normal = scale(normal, 1.0 / size);
        let foot = unit(add(p, scale(normal, -dot(p, normal))));
        // The foot lies on the arc where it is on the inner side of both ends.
        if dot(cross(normal, a), foot) >= 0.0 && dot(cross(foot, b), normal) >= 0.0 {
            return (angle(p, foot), foot);
        }
    }
    let (to_a, to_b) = (angle(p, a), angle(p, b));
    if to_a <= to_b { (to_a, a) } else { (to_b, b) }
}

/// Whether two arcs cross in their inside.
pub(super) fn arcs_cross(a: Vector, b: Vector, c: Vector, d: Vector) -> bool {
    let ab = cross(a, b);
    let cd = cross(c, d);
    let (acb, bda) = (-dot(ab, c), dot(ab, d));
    let (cbd, dac) = (-dot(cd, b), dot(cd, a));
    let same = |x: f64, y: f64| x > 0.0 && y > 0.0 || x < 0.0 && y < 0.0;
    same(acb, bda) && same(bda, cbd) && same(cbd, dac)
}

/// The angle below which two places count as one: about a micrometre.
pub(super) const TOUCH: f64 = 1e-13;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Inside,
    Boundary,
    Outside,
}

/// Where a point lies as to a polygon's rings.
pub(super) fn side(p: Vector, rings: &[Vec<Position>]) -> Side {
    let mut inside = false;
    for (index, ring) in rings.iter().enumerate() {
        let corners: Vec<Vector> = ring.iter().map(|corner| vector(*corner)).collect();
        if corners.windows(2).any(|edge| matches!(edge, [a, b] if to_arc(p, *a, *b).0 <= TOUCH)) {
            return Side::Boundary;
        }
        // The directions to the corners turn once around a point inside.
        let mut turned = 0.0;
        for edge in corners.windows(2) {
            let [a, b] = edge else { continue };
            let (da, db) = (cross(p, *a), cross(p, *b));
            turned += dot(cross(da, db), p).atan2(dot(da, db));
        }
        let within = turned.abs() > std::f64::consts::PI;
        if index == 0 {
            inside = within;
        } else if within {
            inside = false;
        }
    }
    if inside { Side::Inside } else { Side::Outside }
}

/// Every arc of lines and rings.
pub(super) fn arcs(geography: &Geography) -> Vec<(Vector, Vector)> {
    let rings = geography.polygons.iter().flatten();
    geography
        .lines
        .iter()
        .chain(rings)
        .flat_map(|line| line.windows(2))
        .filter_map(|edge| match edge {
            [a, b] => Some((vector(*a), vector(*b))),
            _ => None,
        })
        .collect()
}

/// Whether a point lies in or on a geography.
pub(super) fn covers_point(geography: &Geography, p: Vector) -> bool {
    geography.points.iter().any(|point| angle(p, vector(*point)) <= TOUCH)
        || geography
            .lines
            .iter()
            .flat_map(|line| line.windows(2))
            .any(|edge| matches!(edge, [a, b] if to_arc(p, vector(*a), vector(*b)).0 <= TOUCH))
        || geography.polygons.iter().any(|rings| side(p, rings) != Side::Outside)
}

pub(super) fn intersects(a: &Geography, b: &Geography) -> bool {
    if a.vertices().any(|point| covers_point(b, vector(point)))
        || b.vertices().any(|point| covers_point(a, vector(point)))
    {
        return true;
    }
    let others = arcs(b);
    arcs(a).iter().any(|(p, q)| others.iter().any(|(r, s)| arcs_cross(*p, *q, *r, *s)))
}

/// The angle between the nearest points of two geographies, and those points; `None` where one is empty.
pub(super) fn nearest(a: &Geography, b: &Geography) -> Option<(f64, Vector)> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    if let Some(shared) = a.vertices().map(vector).find(|point| covers_point(b, *point)) {
        return Some((0.0, shared));
    }
    if intersects(a, b) {
        let shared = b.vertices().map(vector).find(|point| covers_point(a, *point));
        return Some((0.0, shared.or_else(|| a.vertices().next().map(vector))?));
    }
    let mut best: Option<(f64, Vector)> = None;
    let mut offer = |far: f64, on_a: Vector| {
        if best.is_none_or(|(known, _)| far < known) {
            best = Some((far, on_a));
        }
    };
    let (arcs_a, arcs_b) = (arcs(a), arcs(b));
    for p in a.vertices().map(vector) {
        b.points.iter().for_each(|q| offer(angle(p, vector(*q)), p));
        arcs_b.iter().for_each(|(q, r)| offer(to_arc(p, *q, *r).0, p));
    }
    for q in b.vertices().map(vector) {
        for (p, r) in &arcs_a {
            let (far, foot) = to_arc(q, *p, *r);
            offer(far, foot);
        }
    }
    best
}

/// The area of a ring on the unit sphere, positive; the smaller of its two sides.
pub(super) fn ring_area(ring: &[Position]) -> f64 {
    let corners: Vec<Vector> = ring.iter().map(|corner| vector(*corner)).collect();
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
    let area = total.abs() % (4.0 * std::f64::consts::PI);
    area.min(4.0 * std::f64::consts::PI - area)
}
