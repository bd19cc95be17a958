//! GEOGRAPHY functions: points, lines and polygons on a sphere of 6,371,010 m.

mod measure;
mod relate;
mod shapes;
mod sphere;
mod text;

use crate::functions::ScalarFunction;

/// The rooms' tables.
pub(crate) static TABLES: [&[ScalarFunction]; 4] = [measure::TABLE, relate::TABLE, shapes::TABLE, text::TABLE];
