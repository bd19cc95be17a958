//! GEOGRAPHY functions: points, lines and polygons on a sphere of 6,371,010 m.

mod measure;
mod relate;
mod shapes;
mod sphere;
mod text;

use crate::functions::ScalarFunction;
use crate::value::Geography;

/// Well-known text or GeoJSON, as loads and writers send geographies.
pub fn geography_from_text(text: &str) -> Result<Geography, String> {
    text::from_any_text(text)
}

/// The rooms' tables.
pub(crate) static TABLES: [&[ScalarFunction]; 4] = [measure::TABLE, relate::TABLE, shapes::TABLE, text::TABLE];
