//! GEOGRAPHY to and from text: WKT, GeoJSON, WKB, geohashes.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::functions::args::{any, bytes, fail, geography, int, string};
use crate::functions::geography::sphere::{RADIUS, add, angle, position, unit, vector};
use crate::functions::{ScalarFunction, entry};
use crate::value::geography::{Geography, Position, degree_text};
use crate::value::json::{Json, WideNumbers};
use crate::value::{Value, json};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "geography_functions",
        "st_geogfromtext",
        "ST_GEOGFROMTEXT",
        Handled,
        ["(STRING, [oriented => BOOL], [planar => BOOL], [make_valid => BOOL]) -> GEOGRAPHY"],
        |_, args| {
            if any(args, 0).is_null() {
                return Ok(Value::Null);
            }
            wrap(
                from_wkt(string(args, 0)?)
                    .map_err(|why| SqlError::evaluation(format!("ST_GeogFromText failed: {why}")))?,
            )
        }
    ),
    entry!(
        "geography_functions",
        "st_geogfromgeojson",
        "ST_GEOGFROMGEOJSON",
        Handled,
        ["(STRING, [make_valid => BOOL]) -> GEOGRAPHY"],
        |_, args| {
            if any(args, 0).is_null() {
                return Ok(Value::Null);
            }
            let failed = |why: String| SqlError::evaluation(format!("ST_GeogFromGeoJSON failed: {why}"));
            let json = json::parse(string(args, 0)?, WideNumbers::Round).map_err(failed)?;
            wrap(from_geojson(&json, 0).map_err(failed)?)
        }
    ),
    entry!(
        "geography_functions",
        "st_geogfromwkb",
        "ST_GEOGFROMWKB",
        Propagate,
        ["(BYTES) -> GEOGRAPHY", "(STRING) -> GEOGRAPHY"],
        |_, args| {
            let invalid = || SqlError::evaluation("ST_GeogFromWKB failed: Invalid WKB");
            let data = match any(args, 0) {
                Value::Bytes(bytes) => bytes.to_vec(),
                _ => crate::functions::encoding::from_base_bits(string(args, 0)?, 4, "hex")?,
            };
            let mut rest = data.as_slice();
            wrap(from_wkb(&mut rest, 0).ok_or_else(invalid)?)
        }
    ),
    entry!(
        "geography_functions",
        "st_geogfrom",
        "ST_GEOGFROM",
        Propagate,
        ["(STRING) -> GEOGRAPHY", "(BYTES) -> GEOGRAPHY"],
        |_, args| {
            let failed = |why: String| SqlError::evaluation(format!("ST_GeogFrom failed: {why}"));
            if let Value::Bytes(_) = any(args, 0) {
                let mut rest = bytes(args, 0)?;
                return wrap(from_wkb(&mut rest, 0).ok_or_else(|| failed("Invalid WKB".into()))?);
            }
            wrap(from_any_text(string(args, 0)?).map_err(failed)?)
        }
    ),
    entry!("geography_functions", "st_astext", "ST_ASTEXT", Propagate, ["(GEOGRAPHY) -> STRING"], |_, args| {
        Ok(Value::string(geography(args, 0)?.to_string()))
    }),
    entry!("geography_functions", "st_asgeojson", "ST_ASGEOJSON", Propagate, ["(GEOGRAPHY) -> STRING"], |_, args| {
        Ok(Value::string(to_geojson(geography(args, 0)?)))
    }),
    entry!("geography_functions", "st_asbinary", "ST_ASBINARY", Propagate, ["(GEOGRAPHY) -> BYTES"], |_, args| {
        let mut out = Vec::new();
        to_wkb(geography(args, 0)?, &mut out);
        Ok(Value::bytes(out))
    }),
    entry!(
        "geography_functions",
        "st_geohash",
        "ST_GEOHASH",
        Propagate,
        ["(GEOGRAPHY, [INT64]) -> STRING"],
        |_, args| {
            let length = if args.len() > 1 { int(args, 1)? } else { 20 };
            let shape = geography(args, 0)?;
            let [point] = shape.points[..] else { return fail("ST_GeoHash only accepts a point") };
            if length < 1 {
                return fail("ST_GeoHash maxchars must be positive");
            }
            Ok(Value::string(geohash(point, length.min(20) as usize)))
        }
    ),
    entry!(
        "geography_functions",
        "st_geogpointfromgeohash",
        "ST_GEOGPOINTFROMGEOHASH",
        Propagate,
        ["(STRING) -> GEOGRAPHY"],
        |_, args| {
            let text = string(args, 0)?;
            match from_geohash(text) {
                Some(point) => wrap(Geography::point(point)),
                None => fail(format!("ST_GeogPointFromGeohash failed: invalid geohash {text}")),
            }
        }
    ),
];

pub(super) fn wrap(geography: Geography) -> Result<Value> {
    Ok(Value::Geography(Arc::new(geography)))
}

/// A position within bounds; longitudes of one turn more are brought back.
pub(super) fn checked(longitude: f64, latitude: f64) -> Result<Position, String> {
    if !longitude.is_finite() {
        return Err(format!("Longitude must be finite. Actual value: {}", degree_text(longitude)));
    }
    if !latitude.is_finite() || latitude.abs() > 90.0 {
        return Err(format!("Latitude must be between -90 and 90 degrees. Actual value: {}", degree_text(latitude)));
    }
    let longitude = if longitude.abs() > 180.0 { (longitude + 180.0).rem_euclid(360.0) - 180.0 } else { longitude };
    Ok((longitude, latitude))
}

const MAX_DEPTH: usize = 50;

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        self.blank();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.eat(c) { Ok(()) } else { Err(format!("Expected '{c}' at: {}", self.rest)) }
    }

    fn word(&mut self) -> String {
        self.blank();
        let length = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        word.to_ascii_uppercase()
    }

    fn number(&mut self) -> Result<f64, String> {
        self.blank();
        let length = self
            .rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
            .count();
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        text.parse().map_err(|_| format!("Expected a number at: {text}{rest}"))
    }

    fn position(&mut self) -> Result<Position, String> {
        let (longitude, latitude) = (self.number()?, self.number()?);
        checked(longitude, latitude)
    }

    /// `(item, item, …)`.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.expect('(')?;
        let mut items = vec![item(self)?];
        while self.eat(',') {
            items.push(item(self)?);
        }
        self.expect(')')?;
        Ok(items)
    }

    fn shape(&mut self, depth: usize) -> Result<Geography, String> {
        if depth > MAX_DEPTH {
            return Err("Nested too deeply".into());
        }
        let kind = self.word();
        let before = self.rest;
        if self.word() == "EMPTY" {
            return Ok(Geography::default());
        }
        self.rest = before;
        match kind.as_str() {
            "POINT" => {
                let points = self.list(Self::position)?;
                match points[..] {
                    [point] => Ok(Geography::point(point)),
                    _ => Err("A point must have one position".into()),
                }
            }
            "MULTIPOINT" => {
                let points = self.list(|words| {
                    if words.eat('(') {
                        let point = words.position()?;
                        words.expect(')')?;
                        Ok(point)
                    } else {
                        words.position()
                    }
                })?;
                Ok(Geography { points, ..Geography::default() })
            }
            "LINESTRING" => line(self.list(Self::position)?),
            "MULTILINESTRING" => {
                let mut all = Geography::default();
                for positions in self.list(|words| words.list(Self::position))? {
                    all.extend(line(positions)?);
                }
                Ok(all)
            }
            "POLYGON" => polygon(self.list(|words| words.list(Self::position))?),
            "MULTIPOLYGON" => {
                let mut all = Geography::default();
                for rings in self.list(|words| words.list(|words| words.list(Self::position)))? {
                    all.extend(polygon(rings)?);
                }
                Ok(all)
            }
            "GEOMETRYCOLLECTION" => {
                self.expect('(')?;
                let mut all = self.shape(depth + 1)?;
                while self.eat(',') {
                    all.extend(self.shape(depth + 1)?);
                }
                self.expect(')')?;
                Ok(all)
            }
            "" => Err(format!("Expected a geometry at: {}", self.rest)),
            other => Err(format!("Unknown geometry type: {other}")),
        }
    }
}

pub(super) fn line(mut positions: Vec<Position>) -> Result<Geography, String> {
    positions.dedup();
    match positions[..] {
        [] => Err("A line must have at least two vertices".into()),
        // A line of no length is its point.
        [only] => Ok(Geography::point(only)),
        _ => Ok(Geography::line(positions)),
    }
}

pub(super) fn polygon(mut rings: Vec<Vec<Position>>) -> Result<Geography, String> {
    for ring in &mut rings {
        ring.dedup();
        if ring.len() > 1 && ring.first() != ring.last() {
            return Err("A polygon's ring must be closed: its first and last vertex differ".into());
        }
        if ring.len() < 4 {
            return Err("A polygon's ring must have at least three different vertices".into());
        }
    }
    Ok(Geography::polygon(rings))
}

/// Well-known text, or GeoJSON.
pub(super) fn from_any_text(text: &str) -> Result<Geography, String> {
    if text.trim_start().starts_with('{') {
        return from_geojson(&json::parse(text, WideNumbers::Round)?, 0);
    }
    from_wkt(text)
}

pub(super) fn from_wkt(text: &str) -> Result<Geography, String> {
    let mut words = Words { rest: text };
    let shape = words.shape(0)?;
    words.blank();
    if words.rest.is_empty() { Ok(shape) } else { Err(format!("Unexpected text behind the geometry: {}", words.rest)) }
}

fn from_geojson(json: &Json, depth: usize) -> Result<Geography, String> {
    if depth > MAX_DEPTH {
        return Err("Nested too deeply".into());
    }
    let Json::Object(fields) = json else { return Err("Expected a GeoJSON object".into()) };
    let Some(Json::String(kind)) = fields.get("type") else { return Err("The GeoJSON object has no type".into()) };
    let number = |json: &Json| match json {
        Json::Int(value) => Some(*value as f64),
        Json::Uint(value) => Some(*value as f64),
        Json::Float(value) => Some(*value),
        _ => None,
    };
    let position = |json: &Json| -> Result<Position, String> {
        match json {
            Json::Array(items) => match (items.first().and_then(number), items.get(1).and_then(number)) {
                (Some(longitude), Some(latitude)) => checked(longitude, latitude),
                _ => Err("A position must be two numbers".into()),
            },
            _ => Err("A position must be an array".into()),
        }
    };
    fn list<T>(json: &Json, item: &dyn Fn(&Json) -> Result<T, String>) -> Result<Vec<T>, String> {
        match json {
            Json::Array(items) => items.iter().map(item).collect(),
            _ => Err("Coordinates must be arrays".into()),
        }
    }
    let positions = |json: &Json| list(json, &position);
    let rings = |json: &Json| list(json, &positions);
    let coordinates = fields.get("coordinates").unwrap_or(&Json::Null);
    match kind.as_str() {
        "Point" => position(coordinates).map(Geography::point),
        "MultiPoint" => Ok(Geography { points: positions(coordinates)?, ..Geography::default() }),
        "LineString" => line(positions(coordinates)?),
        "Polygon" => polygon(rings(coordinates)?),
        "MultiLineString" => {
            let mut all = Geography::default();
            for positions in rings(coordinates)? {
                all.extend(line(positions)?);
            }
            Ok(all)
        }
        "MultiPolygon" => {
            let mut all = Geography::default();
            for rings in list(coordinates, &rings)? {
                all.extend(polygon(rings)?);
            }
            Ok(all)
        }
        "GeometryCollection" => {
            let Some(Json::Array(shapes)) = fields.get("geometries") else {
                return Err("A collection needs geometries".into());
            };
            let mut all = Geography::default();
            for shape in shapes {
                all.extend(from_geojson(shape, depth + 1)?);
            }
            Ok(all)
        }
        other => Err(format!("Unknown GeoJSON type: {other}")),
    }
}

/// How far a straight line between degrees may lie from the great circle, in metres, before a vertex is put between.
const TOLERANCE: f64 = 10.0;

/// GeoJSON's edges are straight in degrees, so long ones get vertices of the great circle.
fn follow(positions: &[Position]) -> Vec<Position> {
    fn between(a: Position, b: Position, depth: usize, out: &mut Vec<Position>) {
        let middle = position(unit(add(vector(a), vector(b))));
        let straight = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
        if depth < 12 && angle(vector(middle), vector(straight)) * RADIUS > TOLERANCE {
            between(a, middle, depth + 1, out);
            out.push(middle);
            between(middle, b, depth + 1, out);
        }
    }
    let mut out = Vec::with_capacity(positions.len());
    for (index, at) in positions.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).and_then(|before| positions.get(before)) {
            between(*before, *at, 0, &mut out);
        }
        out.push(*at);
    }
    out
}

/// Production's GeoJSON, with its own blanks.
fn to_geojson(shape: &Geography) -> String {
    let one = |position: &Position| format!("[{}, {}]", degree_text(position.0), degree_text(position.1));
    let list = |positions: &[Position]| format!("[ {} ]", positions.iter().map(one).collect::<Vec<_>>().join(", "));
    let line = |positions: &Vec<Position>| list(&follow(positions));
    let nested = |items: Vec<String>| format!("[ {} ]", items.join(", "));
    let rings = |rings: &Vec<Vec<Position>>| nested(rings.iter().map(line).collect());
    let object =
        |kind: &str, coordinates: String| format!("{{ \"type\": \"{kind}\", \"coordinates\": {coordinates} }} ");
    match shape.kind() {
        "Point" => object("Point", shape.points.first().map(one).unwrap_or_default()),
        "MultiPoint" => object("MultiPoint", list(&shape.points)),
        "LineString" => object("LineString", shape.lines.first().map(line).unwrap_or_default()),
        "MultiLineString" => object("MultiLineString", rings(&shape.lines)),
        "Polygon" => object("Polygon", shape.polygons.first().map(rings).unwrap_or_default()),
        "MultiPolygon" => object("MultiPolygon", nested(shape.polygons.iter().map(rings).collect())),
        _ => {
            let points = shape.points.iter().map(|point| object("Point", one(point)));
            let lines = shape.lines.iter().map(|positions| object("LineString", line(positions)));
            let polygons = shape.polygons.iter().map(|polygon| object("Polygon", rings(polygon)));
            let all: Vec<String> =
                points.chain(lines).chain(polygons).map(|text| text.trim_end().to_string()).collect();
            if all.is_empty() {
                return "{ \"type\": \"GeometryCollection\", \"geometries\": [] } ".into();
            }
            format!("{{ \"type\": \"GeometryCollection\", \"geometries\": [ {} ] }} ", all.join(", "))
        }
    }
}

fn to_wkb(shape: &Geography, out: &mut Vec<u8>) {
    fn head(kind: u32, out: &mut Vec<u8>) {
        out.push(1);
        out.extend(kind.to_le_bytes());
    }
    fn position(position: &Position, out: &mut Vec<u8>) {
        out.extend(position.0.to_le_bytes());
        out.extend(position.1.to_le_bytes());
    }
    fn positions(all: &[Position], out: &mut Vec<u8>) {
        out.extend((all.len() as u32).to_le_bytes());
        all.iter().for_each(|one| position(one, out));
    }
    let single = shape.parts() == 1;
    if !single {
        let kind = match shape.kind() {
            "MultiPoint" => 4,
            "MultiLineString" => 5,
            "MultiPolygon" => 6,
            _ => 7,
        };
        head(kind, out);
        out.extend((shape.parts() as u32).to_le_bytes());
    }
    for point in &shape.points {
        head(1, out);
        position(point, out);
    }
    for line in &shape.lines {
        head(2, out);
        positions(line, out);
    }
    for rings in &shape.polygons {
        head(3, out);
        out.extend((rings.len() as u32).to_le_bytes());
        rings.iter().for_each(|ring| positions(ring, out));
    }
}

fn from_wkb(rest: &mut &[u8], depth: usize) -> Option<Geography> {
    if depth > MAX_DEPTH {
        return None;
    }
    fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (head, tail) = rest.split_at_checked(count)?;
        *rest = tail;
        Some(head)
    }
    let little = match take(rest, 1)? {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    let integer = |rest: &mut &[u8]| -> Option<u32> {
        let raw: [u8; 4] = take(rest, 4)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    };
    let number = |rest: &mut &[u8]| -> Option<f64> {
        let raw: [u8; 8] = take(rest, 8)?.try_into().ok()?;
        Some(if little { f64::from_le_bytes(raw) } else { f64::from_be_bytes(raw) })
    };
    let position = |rest: &mut &[u8]| -> Option<Position> {
        let (longitude, latitude) = (number(rest)?, number(rest)?);
        checked(longitude, latitude).ok()
    };
    let positions = |rest: &mut &[u8]| -> Option<Vec<Position>> {
        let count = integer(rest)?;
        (0..count).map(|_| position(rest)).collect()
    };
    match integer(rest)? {
        1 => position(rest).map(Geography::point),
        2 => line(positions(rest)?).ok(),
        3 => {
            let count = integer(rest)?;
            let rings: Option<Vec<Vec<Position>>> = (0..count).map(|_| positions(rest)).collect();
            polygon(rings?).ok()
        }
        4..=7 => {
            let count = integer(rest)?;
            let mut all = Geography::default();
            for _ in 0..count {
                all.extend(from_wkb(rest, depth + 1)?);
            }
            Some(all)
        }
        _ => None,
    }
}

const GEOHASH: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

fn geohash(point: Position, length: usize) -> String {
    let (mut lon, mut lat) = ((-180.0, 180.0), (-90.0, 90.0));
    let mut out = String::new();
    let mut even = true;
    for _ in 0..length {
        let mut digit = 0;
        for _ in 0..5 {
            let (range, value) = if even { (&mut lon, point.0) } else { (&mut lat, point.1) };
            let middle = (range.0 + range.1) / 2.0;
            digit *= 2;
            if value >= middle {
                digit += 1;
                range.0 = middle;
            } else {
                range.1 = middle;
            }
            even = !even;
        }
        out.push(char::from(GEOHASH[digit]));
    }
    out
}

fn from_geohash(text: &str) -> Option<Position> {
    if text.is_empty() {
        return None;
    }
    let (mut lon, mut lat): ((f64, f64), (f64, f64)) = ((-180.0, 180.0), (-90.0, 90.0));
    let mut even = true;
    for byte in text.bytes() {
        let digit = GEOHASH.iter().position(|known| *known == byte.to_ascii_lowercase())?;
        for bit in (0..5).rev() {
            let range = if even { &mut lon } else { &mut lat };
            let middle = (range.0 + range.1) / 2.0;
            if digit >> bit & 1 == 1 {
                range.0 = middle;
            } else {
                range.1 = middle;
            }
            even = !even;
        }
    }
    Some(((lon.0 + lon.1) / 2.0, (lat.0 + lat.1) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_come_back() {
        for text in [
            "POINT(1 2)",
            "MULTIPOINT(0 0, 1 1)",
            "LINESTRING(0 0, 1 1, 2 2)",
            "POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))",
            "MULTIPOLYGON(((0 0, 4 0, 4 4, 0 0)), ((10 10, 14 10, 14 14, 10 10)))",
            "GEOMETRYCOLLECTION(POINT(0 0), LINESTRING(1 1, 2 2))",
            "GEOMETRYCOLLECTION EMPTY",
        ] {
            let shape = from_wkt(text).expect(text);
            assert_eq!(shape.to_string(), text);
            let mut binary = Vec::new();
            to_wkb(&shape, &mut binary);
            assert_eq!(from_wkb(&mut binary.as_slice(), 0), Some(shape.clone()));
            // GeoJSON has more vertices where an edge is long.
            if text.contains("POINT(1") || text.contains("MULTIPOINT") {
                let json = json::parse(&to_geojson(&shape), WideNumbers::Round).expect("JSON");
                assert_eq!(from_geojson(&json, 0), Ok(shape));
            }
        }
        assert!(from_wkt("POLYGON((0 0, 1 1))").is_err());
        assert!(from_wkt("POINT(0 91)").is_err());
    }

    #[test]
    fn geojson_follows_the_great_circle() {
        let line = from_wkt("LINESTRING(0 0, 1 1, 2 2)").expect("a line");
        assert_eq!(
            to_geojson(&line),
            "{ \"type\": \"LineString\", \"coordinates\": [ [0, 0], [1, 1], [1.49988573656168, 1.5000570914792], [2, 2] ] } "
        );
    }

    #[test]
    fn geohashes_come_back() {
        let hash = geohash((-122.35, 47.62), 10);
        assert_eq!(hash, "c22yzugqw7");
        let (longitude, latitude) = from_geohash(&hash).expect("a place");
        assert!((longitude + 122.35).abs() < 1e-4 && (latitude - 47.62).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[A-Z(), 0-9.e-]{0,24}", data in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            let _ = from_wkt(&text);
            let _ = from_wkt(&format!("POLYGON({text}"));
            let _ = from_wkb(&mut data.as_slice(), 0);
        }
    }
}
