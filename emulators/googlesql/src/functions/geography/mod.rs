//! GEOGRAPHY functions: points, lines and polygons on a sphere of 6,371,010 m.

mod buffer;
pub(crate) mod cluster;
pub(crate) mod gather;
pub(crate) mod hull;
mod measure;
mod offset;
mod overlay;
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
pub(crate) static TABLES: [&[ScalarFunction]; 6] =
    [buffer::TABLE, hull::TABLE, measure::TABLE, relate::TABLE, shapes::TABLE, text::TABLE];
