//! Offset curves: the vertices that production's buffers have, to the last digit that a text shows.
//!
//! Production's geometry library measures angles by squared chords and steps by sums of them, so the rounding of
//! each step shows in the last digits. The same arithmetic is done here: S2's documented chord angles and its order
//! of vertices (S2BufferOperation).

use std::f64::consts::{FRAC_PI_2, PI};

use crate::functions::geography::sphere::{Vector, add, arcs_cross, cross, dot, scale, unit, vector};
use crate::value::geography::{Geography, Position};

/// How the ends of lines are closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cap {
    Round,
    Flat,
}

/// Which side of a line is covered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Both,
    Left,
    Right,
}

/// Angles are kept as the squared length of their chord: 2 is a right angle, 4 a straight one.
const RIGHT: f64 = 2.0;

fn chord(radians: f64) -> f64 {
    let length = 2.0 * (0.5 * radians.min(PI)).sin();
    length * length
}

fn plus(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a;
    }
    if a + b >= 4.0 {
        return 4.0;
    }
    let (x, y) = (a * (1.0 - 0.25 * b), b * (1.0 - 0.25 * a));
    (x + y + 2.0 * (x * y).sqrt()).min(4.0)
}

fn minus(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a;
    }
    if a <= b {
        return 0.0;
    }
    let (x, y) = (a * (1.0 - 0.25 * b), b * (1.0 - 0.25 * a));
    let length = (x.sqrt() - y.sqrt()).max(0.0);
    length * length
}

fn between(a: Vector, b: Vector) -> f64 {
    let apart = add(a, scale(b, -1.0));
    dot(apart, apart).min(4.0)
}

/// The point at the angle `far` from `from`, in the direction `towards`, which is square to it.
fn along(from: Vector, towards: Vector, far: f64) -> Vector {
    let (cosine, sine) = (1.0 - 0.5 * far, (far * (1.0 - 0.25 * far)).sqrt());
    unit(add(scale(from, cosine), scale(towards, sine)))
}

/// A direction square to `v`, the one that production's circles begin with.
fn square_to(v: Vector) -> Vector {
    let largest = (0..3).fold(0, |best, axis| if v[axis].abs() > v[best].abs() { axis } else { best });
    let mut other = [0.012, 0.0053, 0.00457];
    other[(largest + 2) % 3] = 1.0;
    unit(cross(v, other))
}

/// The direction to the right of the arc from `a` to `b`.
fn right_of(a: Vector, b: Vector) -> Vector {
    unit(cross(add(b, a), add(a, scale(b, -1.0))))
}

fn position(v: Vector) -> Position {
    (v[1].atan2(v[0]).to_degrees(), v[2].atan2((v[0] * v[0] + v[1] * v[1]).sqrt()).to_degrees())
}

/// Offsets by one radius, below a quarter of the globe.
pub(super) struct Offset {
    radius: f64,
    circle_step: f64,
    vertex_step: f64,
    edge_step: f64,
}

/// The longest step around a circle of `radius` whose chord strays from it by no more than `error`.
fn longest_span(radius: f64, error: f64) -> f64 {
    let third = 2.0 * PI / 3.0 + 1e-15;
    let inner = radius - error;
    if radius < FRAC_PI_2 {
        third.min(2.0 * (inner.tan() / radius.tan()).acos())
    } else if inner > FRAC_PI_2 {
        third.min(2.0 * (radius.tan() / inner.tan()).acos())
    } else {
        third
    }
}

/// What part of its radius a circle of so many segments a quarter strays.
pub(super) fn error_of_segments(quarter: f64) -> f64 {
    1.0 - (PI / (4.0 * quarter)).cos() + 1e-15
}

impl Offset {
    /// `radius` in radians; `error` is the part of it that the curve may stray.
    pub(super) fn new(radius: f64, error: f64) -> Offset {
        let error = error.clamp(1e-6, 1.0) * radius;
        let step = longest_span(radius, error);
        Offset {
            radius: chord(radius),
            circle_step: chord(2.0 * PI / (2.0 * PI / step).ceil() + 1e-15),
            vertex_step: chord(step),
            edge_step: chord(longest_span(FRAC_PI_2 - radius, error)),
        }
    }

    pub(super) fn circle(&self, point: Vector) -> Geography {
        let mut path = Vec::new();
        let (mut start, mut angle) = (square_to(point), 0.0);
        for _ in 0..4 {
            let turn = unit(cross(point, start));
            while angle < RIGHT {
                path.push(along(point, along(start, turn, angle), self.radius));
                angle = plus(angle, self.circle_step);
            }
            angle = minus(angle, RIGHT);
            start = turn;
        }
        ring(path)
    }

    /// The arc around `vertex` from one direction to another, without its end.
    fn around(&self, path: &mut Vec<Vector>, vertex: Vector, from: Vector, to: Vector) {
        let turn = unit(cross(vertex, from));
        let (mut angle, span) = (0.0, between(from, to));
        loop {
            path.push(along(vertex, along(from, turn, angle), self.radius));
            angle = plus(angle, self.vertex_step);
            if angle >= span {
                break;
            }
        }
    }

    /// The curve to the right of an arc, without its end.
    fn beside(&self, path: &mut Vec<Vector>, a: Vector, b: Vector) {
        let axis = right_of(a, b);
        let turn = unit(cross(a, axis));
        let (mut angle, span) = (0.0, between(a, b));
        loop {
            path.push(along(along(a, turn, angle), axis, self.radius));
            angle = plus(angle, self.edge_step);
            if angle >= span {
                break;
            }
        }
    }

    /// What surrounds one arc; a flat cap ends where the arc does.
    pub(super) fn segment(&self, a: Vector, b: Vector, start: Cap, end: Cap, side: Side) -> Geography {
        if side == Side::Left {
            return self.segment(b, a, end, start, Side::Right);
        }
        let axis = right_of(a, b);
        let back = scale(axis, -1.0);
        let mut path = Vec::new();
        match (start, side) {
            (Cap::Flat, Side::Both) => path.push(along(a, back, self.radius)),
            (Cap::Flat, _) => {}
            (Cap::Round, Side::Both) => self.around(&mut path, a, back, axis),
            (Cap::Round, _) => self.around(&mut path, a, unit(cross(axis, a)), axis),
        }
        self.beside(&mut path, a, b);
        match (end, side) {
            (Cap::Flat, _) => path.push(along(b, axis, self.radius)),
            (Cap::Round, Side::Both) => self.around(&mut path, b, axis, back),
            (Cap::Round, _) => {
                let last = unit(cross(b, axis));
                self.around(&mut path, b, axis, last);
                path.push(along(b, last, self.radius));
            }
        }
        if side == Side::Both {
            self.beside(&mut path, b, a);
        } else {
            path.extend([b, a]);
        }
        ring(path)
    }

    /// The wedge that joins what lies to the right of two arcs, where the line turns left.
    pub(super) fn joint(&self, a: Vector, b: Vector, c: Vector) -> Option<Geography> {
        let (from, to) = (right_of(a, b), right_of(b, c));
        if dot(cross(a, b), c) <= 0.0 {
            return None;
        }
        let mut path = vec![b];
        self.around(&mut path, b, from, to);
        path.push(along(b, to, self.radius));
        Some(ring(path))
    }

    /// What surrounds a polygon that turns left at each corner; none for others.
    pub(super) fn convex(&self, corners: &[Position]) -> Option<Geography> {
        let corners: Vec<Vector> = corners.iter().map(|corner| vector(*corner)).collect();
        let at = |index: usize| corners[index % corners.len()];
        let mut path = Vec::new();
        for index in 0..corners.len() {
            let (a, b, c) = (at(index), at(index + 1), at(index + 2));
            if dot(cross(a, b), c) <= 0.0 {
                return None;
            }
            self.beside(&mut path, a, b);
            self.around(&mut path, b, right_of(a, b), right_of(b, c));
        }
        simple(&path).then(|| ring(path))
    }
}

/// Whether no two arcs of a path cross.
fn simple(path: &[Vector]) -> bool {
    let count = path.len();
    let arc = |index: usize| (path[index], path[(index + 1) % count]);
    (0..count).all(|one| {
        (one + 2..count).filter(|other| one + count - other > 1).all(|other| {
            let ((a, b), (c, d)) = (arc(one), arc(other));
            !arcs_cross(a, b, c, d)
        })
    })
}

fn ring(path: Vec<Vector>) -> Geography {
    let mut positions: Vec<Position> = path.into_iter().map(position).collect();
    positions.dedup();
    positions.extend(positions.first().copied());
    Geography::polygon(vec![positions])
}
