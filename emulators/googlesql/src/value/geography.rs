//! GEOGRAPHY values: points, lines and polygons on the sphere, and their well-known text.

use std::fmt;

use crate::value::float;

/// Longitude and latitude in degrees.
pub type Position = (f64, f64);

/// A set of points, lines and polygons; empty is `GEOMETRYCOLLECTION EMPTY`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Geography {
    pub points: Vec<Position>,
    /// At least two positions each.
    pub lines: Vec<Vec<Position>>,
    /// Rings, the outer one first; each ends where it begins.
    pub polygons: Vec<Vec<Vec<Position>>>,
}

impl Geography {
    pub fn point(position: Position) -> Geography {
        Geography { points: vec![position], ..Geography::default() }
    }

    pub fn line(positions: Vec<Position>) -> Geography {
        Geography { lines: vec![positions], ..Geography::default() }
    }

    pub fn polygon(rings: Vec<Vec<Position>>) -> Geography {
        Geography { polygons: vec![rings], ..Geography::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.lines.is_empty() && self.polygons.is_empty()
    }

    /// How many points, lines and polygons together.
    pub fn parts(&self) -> usize {
        self.points.len() + self.lines.len() + self.polygons.len()
    }

    /// Every vertex, a ring's last one (which repeats its first) left out.
    pub fn vertices(&self) -> impl Iterator<Item = Position> {
        let rings = self.polygons.iter().flatten().flat_map(|ring| ring.iter().take(ring.len().saturating_sub(1)));
        self.points.iter().chain(self.lines.iter().flatten()).chain(rings).copied()
    }

    /// Puts another's parts beside these.
    pub fn extend(&mut self, other: Geography) {
        for point in other.points {
            if !self.points.contains(&point) {
                self.points.push(point);
            }
        }
        self.lines.extend(other.lines);
        self.polygons.extend(other.polygons);
    }

    /// `Point`, `MultiLineString`, `GeometryCollection`: without its prefix the name of the type.
    pub fn kind(&self) -> &'static str {
        match (self.points.len(), self.lines.len(), self.polygons.len()) {
            (1, 0, 0) => "Point",
            (0, 1, 0) => "LineString",
            (0, 0, 1) => "Polygon",
            (1.., 0, 0) => "MultiPoint",
            (0, 1.., 0) => "MultiLineString",
            (0, 0, 1..) => "MultiPolygon",
            _ => "GeometryCollection",
        }
    }
}

/// A degree as texts show it.
pub fn degree_text(value: f64) -> String {
    let text = float::general(value, 15, false);
    if text == "-0" { "0".into() } else { text }
}

fn position_text(position: &Position) -> String {
    format!("{} {}", degree_text(position.0), degree_text(position.1))
}

fn list_text(positions: &[Position]) -> String {
    format!("({})", positions.iter().map(position_text).collect::<Vec<_>>().join(", "))
}

fn rings_text(rings: &[Vec<Position>]) -> String {
    format!("({})", rings.iter().map(|ring| list_text(ring)).collect::<Vec<_>>().join(", "))
}

/// Well-known text as ST_ASTEXT gives it.
impl fmt::Display for Geography {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("GEOMETRYCOLLECTION EMPTY");
        }
        match self.kind() {
            "MultiPoint" => write!(f, "MULTIPOINT{}", list_text(&self.points)),
            "MultiLineString" => write!(f, "MULTILINESTRING{}", rings_text(&self.lines)),
            "MultiPolygon" => {
                let polygons: Vec<String> = self.polygons.iter().map(|rings| rings_text(rings)).collect();
                write!(f, "MULTIPOLYGON({})", polygons.join(", "))
            }
            _ => {
                let points = self.points.iter().map(|point| format!("POINT({})", position_text(point)));
                let lines = self.lines.iter().map(|line| format!("LINESTRING{}", list_text(line)));
                let polygons = self.polygons.iter().map(|rings| format!("POLYGON{}", rings_text(rings)));
                let all: Vec<String> = points.chain(lines).chain(polygons).collect();
                match &all[..] {
                    [only] => f.write_str(only),
                    all => write!(f, "GEOMETRYCOLLECTION({})", all.join(", ")),
                }
            }
        }
    }
}
