//! STRING and BYTES functions.

mod basic;
mod format;
mod literal;
mod pieces;
mod regexp;
mod search;
pub(crate) mod terms;

use crate::functions::ScalarFunction;

/// The rooms' tables.
pub(crate) static TABLES: [&[ScalarFunction]; 6] =
    [basic::TABLE, format::TABLE, pieces::TABLE, regexp::TABLE, search::TABLE, terms::TABLE];
