//! `*_ADD`, `*_SUB`, `*_DIFF`, `*_TRUNC`, EXTRACT, LAST_DAY, buckets, sequences of dates.

use crate::cast::{default_zone, named_zone};
use crate::error::{Result, SqlError};
use crate::functions::args::{any, fail, int, interval, optional_string, string};
use crate::functions::dates::arithmetic::{add_part, difference, last_day, truncate};
use crate::functions::dates::parts::{Part, WEEKDAYS};
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::civil::{self, DAY_MICROS};
use crate::value::{Interval, Value};

/// The longest array a generator makes.
pub(crate) const MAX_GENERATED: usize = 1 << 20;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "date_functions",
        "date_add",
        "DATE_ADD",
        Propagate,
        [
            "(DATE, INT64, DATEPART) -> DATE",
            "(DATETIME, INT64, DATEPART) -> DATETIME",
            "(TIMESTAMP, INT64, DATEPART) -> TIMESTAMP",
        ],
        |_, args| add_part("DATE_ADD", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, false)
    ),
    entry!(
        "date_functions",
        "date_sub",
        "DATE_SUB",
        Propagate,
        [
            "(DATE, INT64, DATEPART) -> DATE",
            "(DATETIME, INT64, DATEPART) -> DATETIME",
            "(TIMESTAMP, INT64, DATEPART) -> TIMESTAMP",
        ],
        |_, args| add_part("DATE_SUB", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, true)
    ),
    entry!(
        "datetime_functions",
        "datetime_add",
        "DATETIME_ADD",
        Propagate,
        ["(DATETIME, INT64, DATEPART) -> DATETIME", "(TIMESTAMP, INT64, DATEPART) -> TIMESTAMP"],
        |_, args| add_part("DATETIME_ADD", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, false)
    ),
    entry!(
        "datetime_functions",
        "datetime_sub",
        "DATETIME_SUB",
        Propagate,
        ["(DATETIME, INT64, DATEPART) -> DATETIME", "(TIMESTAMP, INT64, DATEPART) -> TIMESTAMP"],
        |_, args| add_part("DATETIME_SUB", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, true)
    ),
    entry!(
        "timestamp_functions",
        "timestamp_add",
        "TIMESTAMP_ADD",
        Propagate,
        ["(TIMESTAMP, INT64, DATEPART) -> TIMESTAMP", "(DATETIME, INT64, DATEPART) -> DATETIME"],
        |_, args| add_part("TIMESTAMP_ADD", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, false)
    ),
    entry!(
        "timestamp_functions",
        "timestamp_sub",
        "TIMESTAMP_SUB",
        Propagate,
        ["(TIMESTAMP, INT64, DATEPART) -> TIMESTAMP", "(DATETIME, INT64, DATEPART) -> DATETIME"],
        |_, args| add_part("TIMESTAMP_SUB", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, true)
    ),
    entry!("time_functions", "time_add", "TIME_ADD", Propagate, ["(TIME, INT64, DATEPART) -> TIME"], |_, args| {
        add_part("TIME_ADD", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, false)
    }),
    entry!("time_functions", "time_sub", "TIME_SUB", Propagate, ["(TIME, INT64, DATEPART) -> TIME"], |_, args| {
        add_part("TIME_SUB", any(args, 0), int(args, 1)?, Part::argument(args, 2)?, true)
    }),
    entry!(
        "date_functions",
        "date_diff",
        "DATE_DIFF",
        Propagate,
        [
            "(DATE, DATE, DATEPART) -> INT64",
            "(DATETIME, DATETIME, DATEPART) -> INT64",
            "(TIMESTAMP, TIMESTAMP, DATEPART) -> INT64",
        ],
        |_, args| difference("DATE_DIFF", any(args, 0), any(args, 1), Part::argument(args, 2)?)
    ),
    entry!(
        "datetime_functions",
        "datetime_diff",
        "DATETIME_DIFF",
        Propagate,
        ["(DATETIME, DATETIME, DATEPART) -> INT64", "(TIMESTAMP, TIMESTAMP, DATEPART) -> INT64"],
        |_, args| difference("DATETIME_DIFF", any(args, 0), any(args, 1), Part::argument(args, 2)?)
    ),
    entry!(
        "timestamp_functions",
        "timestamp_diff",
        "TIMESTAMP_DIFF",
        Propagate,
        ["(TIMESTAMP, TIMESTAMP, DATEPART) -> INT64", "(DATETIME, DATETIME, DATEPART) -> INT64"],
        |_, args| difference("TIMESTAMP_DIFF", any(args, 0), any(args, 1), Part::argument(args, 2)?)
    ),
    entry!("time_functions", "time_diff", "TIME_DIFF", Propagate, ["(TIME, TIME, DATEPART) -> INT64"], |_, args| {
        difference("TIME_DIFF", any(args, 0), any(args, 1), Part::argument(args, 2)?)
    }),
    entry!(
        "date_functions",
        "date_trunc",
        "DATE_TRUNC",
        Propagate,
        [
            "(DATE, DATEPART) -> DATE",
            "(DATETIME, DATEPART) -> DATETIME",
            "(TIMESTAMP, DATEPART, [STRING]) -> TIMESTAMP",
        ],
        |call, args| trunc("DATE_TRUNC", call, args)
    ),
    entry!(
        "datetime_functions",
        "datetime_trunc",
        "DATETIME_TRUNC",
        Propagate,
        ["(DATETIME, DATEPART) -> DATETIME", "(TIMESTAMP, DATEPART, [STRING]) -> TIMESTAMP"],
        |call, args| trunc("DATETIME_TRUNC", call, args)
    ),
    entry!(
        "timestamp_functions",
        "timestamp_trunc",
        "TIMESTAMP_TRUNC",
        Propagate,
        ["(TIMESTAMP, DATEPART, [STRING]) -> TIMESTAMP", "(DATETIME, DATEPART) -> DATETIME"],
        |call, args| trunc("TIMESTAMP_TRUNC", call, args)
    ),
    entry!("time_functions", "time_trunc", "TIME_TRUNC", Propagate, ["(TIME, DATEPART) -> TIME"], |call, args| {
        trunc("TIME_TRUNC", call, args)
    }),
    entry!(
        "date_functions",
        "$extract",
        "EXTRACT",
        Propagate,
        [
            "(DATE, DATEPART) -> INT64",
            "(TIMESTAMP, DATEPART, [STRING]) -> INT64",
            "(DATETIME, DATEPART) -> INT64",
            "(TIME, DATEPART) -> INT64",
            "(INTERVAL, DATEPART) -> INT64",
        ],
        extract
    ),
    entry!(
        "date_functions",
        "last_day",
        "LAST_DAY",
        Propagate,
        ["(DATE, [DATEPART]) -> DATE", "(DATETIME, [DATEPART]) -> DATE"],
        |_, args| {
            let days = days_of(any(args, 0));
            let part = if args.len() > 1 { Part::argument(args, 1)? } else { Part::Month };
            let last = last_day(days, part).ok_or_else(|| part.unsupported("LAST_DAY"))?;
            civil::date_in_range(last).map(Value::Date).ok_or_else(|| {
                SqlError::evaluation(format!("LAST_DAY of {} is out of range", civil::date_text(days as i32)))
            })
        }
    ),
    entry!(
        "date_functions",
        "next_day",
        "NEXT_DAY",
        Propagate,
        ["(DATE, STRING) -> DATE", "(DATETIME, STRING) -> DATE"],
        |_, args| {
            let days = days_of(any(args, 0));
            let name = string(args, 1)?;
            let wanted = name.to_ascii_uppercase();
            let Some(index) = WEEKDAYS
                .iter()
                .position(|day| *day == wanted || wanted.len() >= 2 && wanted.len() <= 3 && day.starts_with(&wanted))
            else {
                return fail(format!("Invalid day of week: {name}"));
            };
            let ahead = (index as i64 + 1 - civil::day_of_week(days) + 6).rem_euclid(7) + 1;
            let next = days + ahead;
            civil::date_in_range(next).map(Value::Date).ok_or_else(|| {
                SqlError::evaluation(format!(
                    "Next day of {} resulted in an out of range date value: {next}",
                    civil::date_text(days as i32)
                ))
            })
        }
    ),
    entry!(
        "time-series-functions",
        "date_bucket",
        "DATE_BUCKET",
        Propagate,
        ["(DATE, INTERVAL, [DATE]) -> DATE"],
        |call, args| bucket("DATE_BUCKET", call, args)
    ),
    entry!(
        "time-series-functions",
        "datetime_bucket",
        "DATETIME_BUCKET",
        Propagate,
        ["(DATETIME, INTERVAL, [DATETIME]) -> DATETIME"],
        |call, args| bucket("DATETIME_BUCKET", call, args)
    ),
    entry!(
        "time-series-functions",
        "timestamp_bucket",
        "TIMESTAMP_BUCKET",
        Propagate,
        [
            "(TIMESTAMP, INTERVAL, [TIMESTAMP]) -> TIMESTAMP",
            "~(DATE, INTERVAL, [DATE]) -> DATE",
            "~(DATETIME, INTERVAL, [DATETIME]) -> DATETIME"
        ],
        |call, args| bucket("TIMESTAMP_BUCKET", call, args)
    ),
    entry!(
        "array_functions",
        "generate_date_array",
        "GENERATE_DATE_ARRAY",
        Propagate,
        ["(DATE, DATE, [INT64], [DATEPART]) -> ARRAY<DATE>"],
        generate
    ),
    entry!(
        "array_functions",
        "generate_timestamp_array",
        "GENERATE_TIMESTAMP_ARRAY",
        Propagate,
        ["(TIMESTAMP, TIMESTAMP, INT64, DATEPART) -> ARRAY<TIMESTAMP>"],
        generate
    ),
];

/// The day of a DATE or DATETIME.
fn days_of(value: &Value) -> i64 {
    match value {
        Value::Date(days) => i64::from(*days),
        Value::Datetime(micros) | Value::Timestamp(micros) => micros.div_euclid(DAY_MICROS),
        _ => 0,
    }
}

fn trunc(function: &str, call: &Call, args: &[Value]) -> Result<Value> {
    let zone = optional_string(args, 2)?.map_or_else(|| default_zone(call.ctx), named_zone)?;
    truncate(function, any(args, 0), Part::argument(args, 1)?, &zone)
}

fn extract(call: &Call, args: &[Value]) -> Result<Value> {
    let part = Part::argument(args, 1)?;
    let value = any(args, 0);
    let unsupported =
        |ty: Type| SqlError::evaluation(format!("EXTRACT from {ty} does not support the {part} date part"));
    let result = match value {
        Value::Date(days) => date_field(i64::from(*days), part).ok_or_else(|| unsupported(Type::Date))?,
        Value::Datetime(micros) => datetime_field(*micros, part).ok_or_else(|| unsupported(Type::Datetime))?,
        Value::Timestamp(micros) => {
            let zone = optional_string(args, 2)?.map_or_else(|| default_zone(call.ctx), named_zone)?;
            datetime_field(civil::to_civil(&zone, *micros), part).ok_or_else(|| unsupported(Type::Timestamp))?
        }
        Value::Time(micros) => time_field(*micros, part).ok_or_else(|| unsupported(Type::Time))?,
        Value::Interval(interval) => interval_field(interval, part).ok_or_else(|| unsupported(Type::Interval))?,
        other => return Err(SqlError::internal(format!("EXTRACT from {other:?}"))),
    };
    Ok(Value::Int64(result))
}

fn date_field(days: i64, part: Part) -> Option<i64> {
    let (year, month, day) = civil::ymd_from_days(days);
    Some(match part {
        Part::DayOfWeek => civil::day_of_week(days),
        Part::Day => day,
        Part::DayOfYear => civil::day_of_year(days),
        Part::Week(first) => civil::week_of_year(days, first),
        Part::IsoWeek => civil::iso_week(days).1,
        Part::Month => month,
        Part::Quarter => (month + 2) / 3,
        Part::Year => year,
        Part::IsoYear => civil::iso_week(days).0,
        _ => return None,
    })
}

fn time_field(micros: i64, part: Part) -> Option<i64> {
    Some(match part {
        Part::Microsecond => micros % 1_000_000,
        Part::Millisecond => micros % 1_000_000 / 1000,
        Part::Second => micros / 1_000_000 % 60,
        Part::Minute => micros / 60_000_000 % 60,
        Part::Hour => micros / 3_600_000_000,
        _ => return None,
    })
}

fn datetime_field(micros: i64, part: Part) -> Option<i64> {
    date_field(micros.div_euclid(DAY_MICROS), part).or_else(|| time_field(micros.rem_euclid(DAY_MICROS), part))
}

fn interval_field(interval: &Interval, part: Part) -> Option<i64> {
    Some(match part {
        Part::Year => interval.months / 12,
        Part::Month => interval.months % 12,
        Part::Day => interval.days,
        Part::Hour => interval.micros / 3_600_000_000,
        Part::Minute => interval.micros / 60_000_000 % 60,
        Part::Second => interval.micros / 1_000_000 % 60,
        Part::Millisecond => interval.micros % 1_000_000 / 1000,
        Part::Microsecond => interval.micros % 1_000_000,
        _ => return None,
    })
}

/// The start of the bucket that a moment falls in; buckets are counted from the origin.
fn bucket(function: &str, call: &Call, args: &[Value]) -> Result<Value> {
    let width = interval(args, 1)?;
    let scale = |value: &Value| match value {
        Value::Date(days) => i64::from(*days) * DAY_MICROS,
        Value::Datetime(micros) | Value::Timestamp(micros) => *micros,
        _ => 0,
    };
    let default_origin = civil::days_from_ymd(1950, 1, 1) * DAY_MICROS;
    let origin = if args.len() > 2 { scale(any(args, 2)) } else { default_origin };
    let moment = scale(any(args, 0));
    let parts = [width.months, width.days, width.micros].iter().filter(|part| **part != 0).count();
    if parts != 1 || width.months < 0 || width.days < 0 || width.micros < 0 {
        return fail(format!("{function} requires an interval with exactly one positive part, got {width}"));
    }
    let is_date = matches!(any(args, 0), Value::Date(_));
    if is_date && width.micros != 0 {
        return fail(format!("{function} does not support an interval with a time part: {width}"));
    }
    if width.months != 0 && matches!(any(args, 0), Value::Timestamp(_)) {
        return fail(format!("{function} does not support MONTH, QUARTER and YEAR intervals"));
    }
    let out_of_range =
        || SqlError::evaluation(format!("Bucket for the input of {function} is outside of the supported range"));
    let start = if width.months != 0 {
        let months = |micros: i64| {
            let (year, month, _) = civil::ymd_from_days(micros.div_euclid(DAY_MICROS));
            year * 12 + month - 1
        };
        let (origin_day, origin_time) = (origin.div_euclid(DAY_MICROS), origin.rem_euclid(DAY_MICROS));
        let at = |count: i64| -> Option<i64> {
            civil::add_months(origin_day, count * width.months).map(|day| day * DAY_MICROS + origin_time)
        };
        let mut count = (months(moment) - months(origin)).div_euclid(width.months);
        if at(count).ok_or_else(out_of_range)? > moment {
            count -= 1;
        }
        at(count).ok_or_else(out_of_range)?
    } else {
        let size = width
            .days
            .checked_mul(DAY_MICROS)
            .and_then(|days| days.checked_add(width.micros))
            .ok_or_else(out_of_range)?;
        moment - (moment - origin).rem_euclid(size)
    };
    let start = civil::micros_in_range(start).ok_or_else(out_of_range)?;
    Ok(match call.result_type {
        Type::Date => Value::Date(start.div_euclid(DAY_MICROS) as i32),
        Type::Datetime => Value::Datetime(start),
        _ => Value::Timestamp(start),
    })
}

fn generate(_: &Call, args: &[Value]) -> Result<Value> {
    let step = if args.len() > 2 { int(args, 2)? } else { 1 };
    let part = if args.len() > 3 { Part::argument(args, 3)? } else { Part::Day };
    if step == 0 {
        return fail("Sequence step cannot be 0.");
    }
    let (start, end) = (any(args, 0), any(args, 1));
    let mut items = Vec::new();
    let past = |value: &Value| {
        let order = crate::value::sql_cmp(value, end);
        if step > 0 { order.is_gt() } else { order.is_lt() }
    };
    let mut current = start.clone();
    while !past(&current) {
        if items.len() >= MAX_GENERATED {
            return fail(format!("Cannot generate arrays with more than {MAX_GENERATED} elements."));
        }
        // Each from the one before: after a shorter month the day stays cut.
        let next = add_part("GENERATE_DATE_ARRAY", &current, step, part, false);
        items.push(current);
        current = match next {
            Ok(next) => next,
            Err(error) if items.len() == 1 && error.message.contains("does not support") => return Err(error),
            Err(_) => break,
        };
    }
    Ok(Value::array(items))
}
