//! DATE, TIME, DATETIME, TIMESTAMP and INTERVAL functions.

mod arithmetic;
mod parts;

pub(crate) use arithmetic::{add_interval, interval_between};
