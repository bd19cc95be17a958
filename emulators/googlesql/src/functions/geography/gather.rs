//! Aggregates over GEOGRAPHY, and the centroid of one or many.

use crate::error::{Result, SqlError};
use crate::functions::aggregates::{Allows, PLAIN, aggregate};
use crate::functions::args::any;
use crate::functions::geography::hull::{bounding_box, box_type};
use crate::functions::geography::overlay::union_of;
use crate::functions::geography::sphere::{Vector, add, angle, cross, dot, position, scale, unit, vector};
use crate::functions::geography::text::wrap;
use crate::functions::{Accumulator, AggregateFunction};
use crate::value::Value;
use crate::value::geography::{Geography, Position};

const ALL: Allows = Allows { distinct: false, window: false, ..PLAIN };

pub(crate) static TABLE: &[AggregateFunction] = &[
    aggregate!("geography_functions", "st_union_agg", "ST_UNION_AGG", ALL, ["(GEOGRAPHY) -> GEOGRAPHY"], |_| Box::new(
        Gather { shapes: Vec::new(), finish: |shapes| wrap(union_of(shapes)) }
    )),
    aggregate!("geography_functions", "st_centroid_agg", "ST_CENTROID_AGG", ALL, ["(GEOGRAPHY) -> GEOGRAPHY"], |_| {
        Box::new(Gather { shapes: Vec::new(), finish: |shapes| wrap(centroid(shapes)) })
    }),
    aggregate!(
        "geography_functions",
        "st_extent",
        "ST_EXTENT",
        ALL,
        ["(GEOGRAPHY) -> ?"],
        |_| Box::new(Gather { shapes: Vec::new(), finish: |shapes| Ok(bounding_box(shapes)) }),
        |_| Ok(box_type())
    ),
];

struct Gather {
    shapes: Vec<Geography>,
    finish: fn(&[Geography]) -> Result<Value>,
}

impl Accumulator for Gather {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        match any(args, 0) {
            Value::Null => Ok(()),
            Value::Geography(shape) => {
                self.shapes.push((**shape).clone());
                Ok(())
            }
            _ => Err(SqlError::internal("no geography")),
        }
    }

    fn finish(&mut self) -> Result<Value> {
        if self.shapes.is_empty() { Ok(Value::Null) } else { (self.finish)(&self.shapes) }
    }
}

/// The middle of what has the highest dimension.
pub(super) fn centroid(shapes: &[Geography]) -> Geography {
    let mut sum = [0.0; 3];
    if shapes.iter().any(|shape| !shape.polygons.is_empty()) {
        for rings in shapes.iter().flat_map(|shape| &shape.polygons) {
            for (index, ring) in rings.iter().enumerate() {
                let moment = ring_moment(ring);
                // A ring's direction does not matter: its moment points to its own side.
                let middle = ring.iter().fold([0.0; 3], |sum, corner| add(sum, vector(*corner)));
                let towards = if dot(moment, middle) < 0.0 { -1.0 } else { 1.0 };
                sum = add(sum, scale(moment, if index == 0 { towards } else { -towards }));
            }
        }
    } else if shapes.iter().any(|shape| !shape.lines.is_empty()) {
        for edge in shapes.iter().flat_map(|shape| &shape.lines).flat_map(|line| line.windows(2)) {
            let [a, b] = edge else { continue };
            let (a, b) = (vector(*a), vector(*b));
            sum = add(sum, scale(unit(add(a, b)), 2.0 * (angle(a, b) / 2.0).sin()));
        }
    } else {
        sum = shapes.iter().flat_map(|shape| &shape.points).fold(sum, |sum, point| add(sum, vector(*point)));
    }
    if shapes.iter().all(Geography::is_empty) {
        return Geography::default();
    }
    Geography::point(position(unit(sum)))
}

/// The integral of the position over a ring, as a fan of triangles from its first corner.
fn ring_moment(ring: &[Position]) -> Vector {
    let corners: Vec<Vector> = ring.iter().take(ring.len().saturating_sub(1)).map(|corner| vector(*corner)).collect();
    let Some(origin) = corners.first() else { return [0.0; 3] };
    corners.windows(2).skip(1).fold([0.0; 3], |sum, edge| match edge {
        [a, b] => add(sum, triangle_moment(*origin, *a, *b)),
        _ => sum,
    })
}

/// The integral of the position over a spherical triangle: it solves `M · corner = det / 2 × side / sin(side)` for
/// the three corners; rows are subtracted first so that small triangles keep their digits.
fn triangle_moment(a: Vector, b: Vector, c: Vector) -> Vector {
    let share = |side: f64| if side == 0.0 { 1.0 } else { side / side.sin() };
    let (ra, rb, rc) = (share(angle(b, c)), share(angle(c, a)), share(angle(a, b)));
    let row = |axis: usize| [a[axis], b[axis] - a[axis], c[axis] - a[axis]];
    let (x, y, z) = (row(0), row(1), row(2));
    let r = [ra, rb - ra, rc - ra];
    scale([dot(cross(y, z), r), dot(cross(z, x), r), dot(cross(x, y), r)], 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geography::text::from_wkt;

    #[test]
    fn a_squares_middle_is_productions() {
        let square = from_wkt("POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))").expect("a square");
        assert_eq!(centroid(&[square]).to_string(), "POINT(2.00000000000004 2.00040218892024)");
    }
}
