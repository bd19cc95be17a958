//! INTERVAL literals and functions.

use std::sync::Arc;

use crate::error::Result;
use crate::functions::args::{int, interval, optional_int, string};
use crate::functions::{ScalarFunction, entry};
use crate::value::interval::{from_part, parse_parts};
use crate::value::{Interval, Value};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("interval_functions", "$interval", "INTERVAL", Propagate, ["(INT64, DATEPART) -> INTERVAL"], |_, args| {
        wrap(from_part(int(args, 0)?, string(args, 1)?))
    }),
    entry!(
        "interval_functions",
        "$interval_text",
        "INTERVAL",
        Propagate,
        ["(STRING, DATEPART) -> INTERVAL"],
        |_, args| { wrap(parse_parts(string(args, 0)?, string(args, 1)?, None)) }
    ),
    entry!(
        "interval_functions",
        "$interval_range",
        "INTERVAL",
        Propagate,
        ["(STRING, DATEPART, DATEPART) -> INTERVAL"],
        |_, args| wrap(parse_parts(string(args, 0)?, string(args, 1)?, Some(string(args, 2)?)))
    ),
    // NULL for a part that was left out counts as 0, so NULLs are not propagated.
    entry!(
        "interval_functions",
        "make_interval",
        "MAKE_INTERVAL",
        Propagate,
        [
            "([year => INT64], [month => INT64], [day => INT64], [hour => INT64], [minute => INT64], [second => INT64]) -> INTERVAL"
        ],
        |_, args| {
            let mut result = Interval::default();
            for (index, part) in ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"].into_iter().enumerate() {
                let amount = optional_int(args, index)?.unwrap_or(0);
                result = result.add(&from_part(amount, part)?)?;
            }
            Ok(Value::Interval(Arc::new(result)))
        }
    ),
    entry!("interval_functions", "justify_hours", "JUSTIFY_HOURS", Propagate, ["(INTERVAL) -> INTERVAL"], |_, args| {
        wrap(interval(args, 0)?.justify_hours())
    }),
    entry!("interval_functions", "justify_days", "JUSTIFY_DAYS", Propagate, ["(INTERVAL) -> INTERVAL"], |_, args| {
        wrap(interval(args, 0)?.justify_days())
    }),
    entry!(
        "interval_functions",
        "justify_interval",
        "JUSTIFY_INTERVAL",
        Propagate,
        ["(INTERVAL) -> INTERVAL"],
        |_, args| wrap(interval(args, 0)?.justify())
    ),
];

fn wrap(interval: Result<Interval>) -> Result<Value> {
    interval.map(|interval| Value::Interval(Arc::new(interval)))
}
