//! Making dates and times: constructors, the current moment, Unix time, texts.

use jiff::tz::TimeZone;

use crate::cast::{default_zone, from_text, named_zone, to_text};
use crate::error::{Result, SqlError};
use crate::functions::args::{any, int, optional_string, string, timestamp};
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::Value;
use crate::value::civil::{self, DAY_MICROS};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("date_functions", "current_date", "CURRENT_DATE", Propagate, ["([STRING]) -> DATE"], |call, args| {
        Ok(Value::Date(now(call, args)?.div_euclid(DAY_MICROS) as i32))
    }),
    entry!("time_functions", "current_time", "CURRENT_TIME", Propagate, ["([STRING]) -> TIME"], |call, args| {
        Ok(Value::Time(now(call, args)?.rem_euclid(DAY_MICROS)))
    }),
    entry!(
        "datetime_functions",
        "current_datetime",
        "CURRENT_DATETIME",
        Propagate,
        ["([STRING]) -> DATETIME"],
        |call, args| Ok(Value::Datetime(now(call, args)?))
    ),
    entry!(
        "timestamp_functions",
        "current_timestamp",
        "CURRENT_TIMESTAMP",
        Propagate,
        ["() -> TIMESTAMP"],
        |call, _| Ok(Value::Timestamp(call.ctx.now))
    ),
    entry!(
        "date_functions",
        "date",
        "DATE",
        Propagate,
        [
            "(INT64, INT64, INT64) -> DATE",
            "(TIMESTAMP, [STRING]) -> DATE",
            "(DATETIME) -> DATE",
            "(DATE) -> DATE",
            "(STRING) -> DATE",
        ],
        date
    ),
    entry!(
        "functions-and-operators",
        "$extract_date",
        "EXTRACT",
        Propagate,
        ["(TIMESTAMP, [STRING]) -> DATE", "(DATETIME) -> DATE", "(DATE) -> DATE"],
        date
    ),
    entry!(
        "time_functions",
        "time",
        "TIME",
        Propagate,
        [
            "(INT64, INT64, INT64) -> TIME",
            "(TIMESTAMP, [STRING]) -> TIME",
            "(DATETIME) -> TIME",
            "(TIME) -> TIME",
            "(STRING) -> TIME",
        ],
        time
    ),
    entry!(
        "functions-and-operators",
        "$extract_time",
        "EXTRACT",
        Propagate,
        ["(TIMESTAMP, [STRING]) -> TIME", "(DATETIME) -> TIME", "(TIME) -> TIME"],
        time
    ),
    entry!(
        "datetime_functions",
        "datetime",
        "DATETIME",
        Propagate,
        [
            "(INT64, INT64, INT64, INT64, INT64, INT64) -> DATETIME",
            "(DATE, TIME) -> DATETIME",
            "(TIMESTAMP, [STRING]) -> DATETIME",
            "(DATE) -> DATETIME",
            "(DATETIME) -> DATETIME",
            "(STRING) -> DATETIME",
        ],
        datetime
    ),
    entry!(
        "functions-and-operators",
        "$extract_datetime",
        "EXTRACT",
        Propagate,
        ["(TIMESTAMP, [STRING]) -> DATETIME"],
        datetime
    ),
    entry!(
        "timestamp_functions",
        "timestamp",
        "TIMESTAMP",
        Propagate,
        [
            "(STRING, [STRING]) -> TIMESTAMP",
            "(DATE, [STRING]) -> TIMESTAMP",
            "(DATETIME, [STRING]) -> TIMESTAMP",
            "(TIMESTAMP) -> TIMESTAMP",
        ],
        |call, args| {
            let zone = zone(call, args, 1)?;
            match any(args, 0) {
                Value::Timestamp(micros) => Ok(Value::Timestamp(*micros)),
                Value::Date(days) => instant(i64::from(*days) * DAY_MICROS, &zone),
                Value::Datetime(micros) => instant(*micros, &zone),
                _ => {
                    let text = string(args, 0)?;
                    if args.len() > 1 && names_zone(text) {
                        return Err(SqlError::evaluation(format!("Timezone is not allowed in \"{text}\"")));
                    }
                    civil::parse_timestamp(text, &zone)
                        .map(Value::Timestamp)
                        .ok_or_else(|| SqlError::evaluation(format!("Invalid timestamp: '{text}'")))
                }
            }
        }
    ),
    entry!(
        "timestamp_functions",
        "string",
        "STRING",
        Propagate,
        [
            "(TIMESTAMP, [STRING]) -> STRING",
            "(DATE) -> STRING",
            "(TIME) -> STRING",
            "(DATETIME) -> STRING",
            "(JSON) -> STRING",
        ],
        |call, args| match any(args, 0) {
            Value::Timestamp(micros) => Ok(Value::string(civil::timestamp_text(*micros, &zone(call, args, 1)?))),
            Value::Json(json) => crate::functions::json::accessors::json_string(json),
            other => Ok(Value::string(to_text(other, call.ctx)?)),
        }
    ),
    entry!("timestamp_functions", "unix_seconds", "UNIX_SECONDS", Propagate, ["(TIMESTAMP) -> INT64"], |_, args| {
        Ok(Value::Int64(timestamp(args, 0)?.div_euclid(1_000_000)))
    }),
    entry!("timestamp_functions", "unix_millis", "UNIX_MILLIS", Propagate, ["(TIMESTAMP) -> INT64"], |_, args| {
        Ok(Value::Int64(timestamp(args, 0)?.div_euclid(1_000)))
    }),
    entry!("timestamp_functions", "unix_micros", "UNIX_MICROS", Propagate, ["(TIMESTAMP) -> INT64"], |_, args| {
        Ok(Value::Int64(timestamp(args, 0)?))
    }),
    entry!("date_functions", "unix_date", "UNIX_DATE", Propagate, ["(DATE) -> INT64"], |_, args| {
        Ok(Value::Int64(i64::from(crate::functions::args::date(args, 0)?)))
    }),
    entry!(
        "date_functions",
        "date_from_unix_date",
        "DATE_FROM_UNIX_DATE",
        Propagate,
        ["(INT64) -> DATE"],
        |_, args| {
            let days = int(args, 0)?;
            civil::date_in_range(days).map(Value::Date).ok_or_else(|| {
                SqlError::evaluation(format!("DATE_FROM_UNIX_DATE range is -719162 to 2932896 but saw {days}"))
            })
        }
    ),
    entry!(
        "timestamp_functions",
        "timestamp_seconds",
        "TIMESTAMP_SECONDS",
        Propagate,
        ["(INT64) -> TIMESTAMP"],
        |_, args| { from_unix("TIMESTAMP_SECONDS", args, 1_000_000) }
    ),
    entry!(
        "timestamp_functions",
        "timestamp_millis",
        "TIMESTAMP_MILLIS",
        Propagate,
        ["(INT64) -> TIMESTAMP"],
        |_, args| { from_unix("TIMESTAMP_MILLIS", args, 1_000) }
    ),
    entry!(
        "timestamp_functions",
        "timestamp_micros",
        "TIMESTAMP_MICROS",
        Propagate,
        ["(INT64) -> TIMESTAMP"],
        |_, args| { from_unix("TIMESTAMP_MICROS", args, 1) }
    ),
    entry!(
        "timestamp_functions",
        "timestamp_from_unix_seconds",
        "TIMESTAMP_FROM_UNIX_SECONDS",
        Propagate,
        ["(INT64) -> TIMESTAMP"],
        |_, args| from_unix("TIMESTAMP_FROM_UNIX_SECONDS", args, 1_000_000)
    ),
    entry!(
        "timestamp_functions",
        "timestamp_from_unix_millis",
        "TIMESTAMP_FROM_UNIX_MILLIS",
        Propagate,
        ["(INT64) -> TIMESTAMP"],
        |_, args| from_unix("TIMESTAMP_FROM_UNIX_MILLIS", args, 1_000)
    ),
    entry!(
        "timestamp_functions",
        "timestamp_from_unix_micros",
        "TIMESTAMP_FROM_UNIX_MICROS",
        Propagate,
        ["(INT64) -> TIMESTAMP"],
        |_, args| from_unix("TIMESTAMP_FROM_UNIX_MICROS", args, 1)
    ),
];

/// The zone of an optional argument, or the statement's.
fn zone(call: &Call, args: &[Value], index: usize) -> Result<TimeZone> {
    optional_string(args, index)?.map_or_else(|| default_zone(call.ctx), named_zone)
}

/// The statement's start as civil time in the zone of the first argument.
fn now(call: &Call, args: &[Value]) -> Result<i64> {
    Ok(civil::to_civil(&zone(call, args, 0)?, call.ctx.now))
}

/// A timestamp's civil time; `to` has no years before 1 and after 9999.
fn local(micros: i64, zone: &TimeZone, to: &Type) -> Result<i64> {
    civil::to_civil_checked(zone, micros).ok_or_else(|| out_of_range(micros, to))
}

fn out_of_range(micros: i64, to: &Type) -> SqlError {
    let shown = civil::timestamp_text(micros, &TimeZone::UTC);
    SqlError::evaluation(format!("Timestamp {shown} is out of range of {to} in that time zone"))
}

fn instant(datetime: i64, zone: &TimeZone) -> Result<Value> {
    civil::to_instant(zone, datetime).map(Value::Timestamp).ok_or_else(|| {
        SqlError::evaluation(format!("Cannot convert Datetime {} to timestamp", civil::datetime_text(datetime, ' ')))
    })
}

fn from_unix(name: &str, args: &[Value], unit: i64) -> Result<Value> {
    let amount = int(args, 0)?;
    amount.checked_mul(unit).and_then(civil::micros_in_range).map(Value::Timestamp).ok_or_else(|| {
        let (low, high) = (civil::MICROS_MIN.div_euclid(unit), civil::MICROS_MAX.div_euclid(unit));
        SqlError::evaluation(format!("Input to {name} range is {low} to {high} but saw {amount}"))
    })
}

fn date(call: &Call, args: &[Value]) -> Result<Value> {
    match any(args, 0) {
        Value::Int64(year) => {
            let (month, day) = (int(args, 1)?, int(args, 2)?);
            civil::checked_date(*year, month, day).map(Value::Date).ok_or_else(|| {
                SqlError::evaluation(format!("Input calculates to invalid date: {year:04}-{month:02}-{day:02}"))
            })
        }
        Value::Timestamp(micros) => {
            let local = local(*micros, &zone(call, args, 1)?, &Type::Date)?;
            Ok(Value::Date(local.div_euclid(DAY_MICROS) as i32))
        }
        Value::Datetime(micros) => Ok(Value::Date(micros.div_euclid(DAY_MICROS) as i32)),
        Value::Date(days) => Ok(Value::Date(*days)),
        // A text may say a moment too, whose day counts.
        _ => {
            let text = string(args, 0)?;
            match civil::parse_timestamp(text, &default_zone(call.ctx)?) {
                Some(micros) if civil::parse_date(text).is_none() => {
                    let local = local(micros, &default_zone(call.ctx)?, &Type::Date)?;
                    Ok(Value::Date(local.div_euclid(DAY_MICROS) as i32))
                }
                _ => from_text(text, &Type::Date, call.ctx),
            }
        }
    }
}

fn time(call: &Call, args: &[Value]) -> Result<Value> {
    match any(args, 0) {
        Value::Int64(hour) => {
            let (minute, second) = (int(args, 1)?, int(args, 2)?);
            civil::checked_time(*hour, minute, second, 0).map(Value::Time).ok_or_else(|| {
                SqlError::evaluation(format!("Input calculates to invalid time: {hour:02}:{minute:02}:{second:02}"))
            })
        }
        Value::Timestamp(micros) => {
            Ok(Value::Time(civil::to_civil(&zone(call, args, 1)?, *micros).rem_euclid(DAY_MICROS)))
        }
        Value::Datetime(micros) => Ok(Value::Time(micros.rem_euclid(DAY_MICROS))),
        Value::Time(micros) => Ok(Value::Time(*micros)),
        _ => from_text(string(args, 0)?, &Type::Time, call.ctx),
    }
}

fn datetime(call: &Call, args: &[Value]) -> Result<Value> {
    match any(args, 0) {
        Value::Int64(year) => {
            let rest = [int(args, 1)?, int(args, 2)?, int(args, 3)?, int(args, 4)?, int(args, 5)?];
            let [month, day, hour, minute, second] = rest;
            let date = civil::checked_date(*year, month, day);
            let time = civil::checked_time(hour, minute, second, 0);
            match (date, time) {
                (Some(date), Some(time)) => Ok(Value::Datetime(i64::from(date) * DAY_MICROS + time)),
                _ => Err(SqlError::evaluation(format!(
                    "Input calculates to invalid datetime: {year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
                ))),
            }
        }
        Value::Date(days) => {
            let time = if args.len() > 1 { crate::functions::args::time(args, 1)? } else { 0 };
            Ok(Value::Datetime(i64::from(*days) * DAY_MICROS + time))
        }
        Value::Timestamp(micros) => local(*micros, &zone(call, args, 1)?, &Type::Datetime).map(Value::Datetime),
        Value::Datetime(micros) => Ok(Value::Datetime(*micros)),
        _ => from_text(string(args, 0)?, &Type::Datetime, call.ctx),
    }
}
/// Whether a timestamp's text has a zone of its own: then it is the same moment whatever the zone around it.
fn names_zone(text: &str) -> bool {
    let at = |zone: &str| civil::parse_timestamp(text, &civil::time_zone(zone)?);
    at("+00:00").is_some() && at("+00:00") == at("+01:00")
}
