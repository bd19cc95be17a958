//! ST_BUFFER and ST_BUFFERWITHTOLERANCE: what lies within a distance of a shape.

use crate::error::{Result, SqlError};
use crate::functions::args::{any, fail, float, geography};
use crate::functions::geography::offset::{Cap, Offset, Side, error_of_segments};
use crate::functions::geography::overlay::{Operation, overlay, union_of};
use crate::functions::geography::sphere::{RADIUS, Vector, arcs, vector};
use crate::functions::geography::text::wrap;
use crate::functions::{ScalarFunction, entry};
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
            refuse_spheroid("ST_BUFFER", any(args, 3))?;
            let form = Form { error: error_of_segments(quarter), cap: cap(any(args, 4))?, side: side(any(args, 5))? };
            wrap(buffer(geography(args, 0)?, float(args, 1)?, form)?)
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
            let (radius, tolerance) = (float(args, 1)?, float(args, 2)?);
            if tolerance.is_nan() || tolerance <= 0.0 {
                return fail("ST_BufferWithTolerance tolerance_meters must be positive");
            }
            refuse_spheroid("ST_BUFFERWITHTOLERANCE", any(args, 3))?;
            let form = Form { error: tolerance / radius.abs(), cap: cap(any(args, 4))?, side: side(any(args, 5))? };
            wrap(buffer(geography(args, 0)?, radius, form)?)
        }
    ),
];

struct Form {
    /// The part of the radius that the curve may stray.
    error: f64,
    cap: Cap,
    side: Side,
}

fn refuse_spheroid(name: &str, value: &Value) -> Result<()> {
    match value {
        Value::Bool(true) => Err(SqlError::unsupported(format!("{name} with use_spheroid is not supported"))),
        _ => Ok(()),
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_ascii_uppercase()),
        _ => None,
    }
}

fn cap(value: &Value) -> Result<Cap> {
    match word(value).as_deref() {
        None | Some("ROUND") => Ok(Cap::Round),
        Some("FLAT") => Ok(Cap::Flat),
        Some(_) => fail("ST_Buffer endcap must be ROUND or FLAT"),
    }
}

fn side(value: &Value) -> Result<Side> {
    match word(value).as_deref() {
        None | Some("BOTH") => Ok(Side::Both),
        Some("LEFT") => Ok(Side::Left),
        Some("RIGHT") => Ok(Side::Right),
        Some(_) => fail("ST_Buffer side must be BOTH, LEFT or RIGHT"),
    }
}

fn buffer(shape: &Geography, meters: f64, form: Form) -> Result<Geography> {
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
    let offset = Offset::new(radius, form.error);
    // A disc around each corner and a band along each edge: what they share they share exactly.
    let rim = |edges: Vec<(Vector, Vector)>| -> Vec<Geography> {
        let around = |(a, b): (Vector, Vector)| {
            [offset.circle(a), offset.circle(b), offset.segment(a, b, Cap::Flat, Cap::Flat, Side::Both)]
        };
        edges.into_iter().flat_map(around).collect()
    };
    if meters < 0.0 {
        // Points and lines vanish; polygons lose their rim.
        let pieces = rim(arcs(&areas));
        return Ok(overlay(Operation::Difference, &areas, &union_of(&pieces)));
    }
    let mut pieces: Vec<Geography> = shape.points.iter().map(|point| offset.circle(vector(*point))).collect();
    for line in &shape.lines {
        pieces.extend(around_line(&offset, line, &form));
    }
    for rings in &shape.polygons {
        let convex = match &rings[..] {
            [ring] => ring.split_last().and_then(|(_, corners)| offset.convex(corners)),
            _ => None,
        };
        match convex {
            Some(whole) => pieces.push(whole),
            None => {
                let area = Geography::polygon(rings.clone());
                pieces.extend(rim(arcs(&area)));
                pieces.push(area);
            }
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    Ok(union_of(&pieces))
}

/// The pieces whose union surrounds a line: one for each arc, and what closes the gaps where it bends.
fn around_line(offset: &Offset, line: &[Position], form: &Form) -> Vec<Geography> {
    let mut corners: Vec<Vector> = line.iter().map(|corner| vector(*corner)).collect();
    corners.dedup();
    let [first, .., last] = corners[..] else {
        return corners.iter().map(|only| offset.circle(*only)).collect();
    };
    if let [a, b] = corners[..] {
        return vec![offset.segment(a, b, form.cap, form.cap, form.side)];
    }
    let (closed, both, count) = (first == last, form.side == Side::Both, corners.len());
    let cap = |outer: bool| if outer && !closed && !both { form.cap } else { Cap::Flat };
    let mut pieces = Vec::new();
    for (index, pair) in corners.windows(2).enumerate() {
        if let [a, b] = *pair {
            pieces.push(offset.segment(a, b, cap(index == 0), cap(index + 2 == count), form.side));
        }
    }
    if both {
        // Discs close the gaps where the line bends, and are its round ends.
        let inner = 1..count - 1;
        let round = (0..count).filter(|at| inner.contains(at) || closed || form.cap == Cap::Round);
        pieces.extend(round.filter_map(|at| corners.get(at)).map(|corner| offset.circle(*corner)));
    }
    for corner in corners.windows(3) {
        if let [a, b, c] = *corner {
            match form.side {
                Side::Both => {}
                Side::Right => pieces.extend(offset.joint(a, b, c)),
                Side::Left => pieces.extend(offset.joint(c, b, a)),
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geography::sphere::ring_area;
    use crate::functions::geography::text::from_wkt;

    #[test]
    fn a_square_grows_by_its_rim() {
        let area =
            |shape: &Geography| shape.polygons.iter().map(|rings| ring_area(&rings[0])).sum::<f64>() * RADIUS * RADIUS;
        let (side, radius) = (0.1f64.to_radians() * RADIUS, 1000.0);
        let form = || Form { error: error_of_segments(8.0), cap: Cap::Round, side: Side::Both };
        // The second one has a corner that points inwards: no convex path.
        let convex = "POLYGON((0 0, 0.1 0, 0.1 0.1, 0 0.1, 0 0))";
        let dented = "POLYGON((0 0, 0.1 0, 0.1 0.1, 0.05 0.0999, 0 0.1, 0 0))";
        for square in [convex, dented].map(|text| from_wkt(text).expect("a square")) {
            let grown = buffer(&square, radius, form()).expect("a buffer");
            let wanted = side * side + 4.0 * side * radius + std::f64::consts::PI * radius * radius;
            assert_eq!(grown.polygons.len(), 1);
            assert!((area(&grown) / wanted - 1.0).abs() < 0.002, "{} {wanted}", area(&grown));
            let shrunk = buffer(&square, -radius, form()).expect("a buffer");
            assert!((area(&shrunk) / (side - 2.0 * radius).powi(2) - 1.0).abs() < 0.002);
        }
    }

    #[test]
    fn lines_end_and_lean_as_they_are_told() {
        let line = from_wkt("LINESTRING(0 0, 0.1 0)").expect("a line");
        let bent = from_wkt("LINESTRING(0 0, 0.1 0, 0.1 0.1)").expect("a line");
        let area = |shape: &Geography, cap: Cap, side: Side| {
            let grown = buffer(shape, 1000.0, Form { error: error_of_segments(8.0), cap, side }).expect("a buffer");
            grown.polygons.iter().map(|rings| ring_area(&rings[0])).sum::<f64>() * RADIUS * RADIUS
        };
        let length = 0.1f64.to_radians() * RADIUS;
        let disc = std::f64::consts::PI * 1e6;
        let near = |got: f64, wanted: f64| assert!((got / wanted - 1.0).abs() < 0.005, "{got} {wanted}");
        near(area(&line, Cap::Flat, Side::Both), length * 2000.0);
        near(area(&line, Cap::Round, Side::Both), length * 2000.0 + disc);
        near(area(&line, Cap::Flat, Side::Right), length * 1000.0);
        near(area(&line, Cap::Round, Side::Left), length * 1000.0 + disc / 2.0);
        // It turns left: the right side gains a wedge, the left one loses a square.
        near(area(&bent, Cap::Flat, Side::Right), 2.0 * length * 1000.0 + disc / 4.0);
        near(area(&bent, Cap::Flat, Side::Left), 2.0 * length * 1000.0 - 1e6);
        near(area(&bent, Cap::Flat, Side::Both), 4.0 * length * 1000.0 - 1e6 + disc / 4.0);
    }

    /// The first corners of circles that production draws.
    #[test]
    fn circles_have_the_corners_that_production_gives_them() {
        let ring = |longitude: f64, latitude: f64, meters: f64| {
            let form = Form { error: error_of_segments(8.0), cap: Cap::Round, side: Side::Both };
            let shape = buffer(&Geography::point((longitude, latitude)), meters, form).expect("a circle");
            shape.to_string()
        };
        let near = ring(0.0, 0.0, 100.0);
        assert!(near.contains("-0.000899307563648656 4.76633008714216e-06"), "{near}");
        // The seventeenth and the last one show what the steps' rounding adds up to.
        assert!(near.contains("0.000899307563648656 -4.76633008712778e-06"), "{near}");
        assert!(near.contains("-0.000881097756113225 0.000180120948567833"), "{near}");
        let far = ring(-100.0, 40.0, 100_000.0);
        assert!(far.contains("-100.142221859014 40.8927839860851"), "{far}");
    }
}
