//! JSON functions: paths, extraction, conversion, changing documents.

pub(crate) mod accessors;
mod change;
mod convert;
mod extract;
mod path;
mod raw;

pub(crate) use convert::to_json_string;

use crate::functions::ScalarFunction;

/// The rooms' tables.
pub(crate) static TABLES: [&[ScalarFunction]; 4] = [accessors::TABLE, change::TABLE, convert::TABLE, extract::TABLE];
