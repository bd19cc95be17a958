//! DATE, TIME, DATETIME, TIMESTAMP and INTERVAL functions.

pub(crate) mod arithmetic;
mod calc;
mod construct;
mod intervals;
pub(crate) mod parts;
mod print;
mod read;

pub(crate) use arithmetic::{add_interval, interval_between};

use crate::functions::ScalarFunction;

/// The rooms' tables.
pub(crate) static TABLES: [&[ScalarFunction]; 5] =
    [calc::TABLE, construct::TABLE, intervals::TABLE, print::TABLE, read::TABLE];
