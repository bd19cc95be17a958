//! STRING and BYTES functions.

mod basic;
mod format;
mod literal;
mod pieces;
mod regexp;
mod search;

use crate::functions::ScalarFunction;

/// The rooms' tables.
pub(crate) static TABLES: [&[ScalarFunction]; 5] =
    [basic::TABLE, format::TABLE, pieces::TABLE, regexp::TABLE, search::TABLE];
