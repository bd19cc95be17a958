//! Moving, subtracting and truncating dates and times.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::error::{Result, SqlError};
use crate::functions::Call;
use crate::functions::dates::parts::Part;
use crate::value::civil::{self, DAY_MICROS};
use crate::value::{Interval, Value};

/// What a value is called in overflow messages.
fn describe(value: &Value) -> String {
    match value {
        Value::Date(days) => format!("date {}", civil::date_text(*days)),
        Value::Datetime(micros) => format!("datetime {}", civil::datetime_text(*micros, ' ')),
        Value::Timestamp(micros) => format!("timestamp {}", civil::timestamp_text(*micros, &TimeZone::UTC)),
        Value::Time(micros) => format!("time {}", civil::time_text(*micros)),
        _ => String::new(),
    }
}

fn overflow(value: &Value, amount: i64, part: Part, minus: bool) -> SqlError {
    let what = describe(value);
    SqlError::evaluation(if minus {
        format!("Subtracting {amount} {part} from {what} causes overflow")
    } else {
        format!("Adding {amount} {part} to {what} causes overflow")
    })
}

/// `*_ADD` and, with `minus`, `*_SUB`.
pub(crate) fn add_part(function: &str, value: &Value, amount: i64, part: Part, minus: bool) -> Result<Value> {
    let fail = || overflow(value, amount, part, minus);
    if let Value::Time(start) = value {
        // A day's length apart is the same time, so no amount is too much.
        let unit = part.micros().filter(|_| part != Part::Day).ok_or_else(|| part.unsupported(function))?;
        let amount = if minus { -i128::from(amount) } else { i128::from(amount) };
        let moved = (i128::from(*start) + amount * i128::from(unit)).rem_euclid(i128::from(DAY_MICROS));
        return Ok(Value::Time(moved as i64));
    }
    let signed = if minus { amount.checked_neg().ok_or_else(fail)? } else { amount };
    let months = match part {
        Part::Month => Some(1),
        Part::Quarter => Some(3),
        Part::Year => Some(12),
        _ => None,
    };
    let days = match part {
        Part::Day => Some(1),
        Part::Week(_) => Some(7),
        _ => None,
    };
    let moved = |start: i64| -> Option<Result<i64>> {
        if let Some(months) = months {
            let total = signed.checked_mul(months);
            return Some(total.and_then(|total| civil::add_months(start, total)).ok_or_else(fail));
        }
        days.map(|days| signed.checked_mul(days).and_then(|days| start.checked_add(days)).ok_or_else(fail))
    };
    match value {
        Value::Date(start) => {
            let days = moved(i64::from(*start)).ok_or_else(|| part.unsupported(function))??;
            civil::date_in_range(days).map(Value::Date).ok_or_else(fail)
        }
        Value::Datetime(start) => {
            let micros = match moved(start.div_euclid(DAY_MICROS)) {
                Some(days) => {
                    days?.checked_mul(DAY_MICROS).and_then(|days| days.checked_add(start.rem_euclid(DAY_MICROS)))
                }
                None => {
                    let unit = part.micros().ok_or_else(|| part.unsupported(function))?;
                    signed.checked_mul(unit).and_then(|micros| start.checked_add(micros))
                }
            };
            micros.and_then(civil::micros_in_range).map(Value::Datetime).ok_or_else(fail)
        }
        Value::Timestamp(start) => {
            let unit = part.micros().ok_or_else(|| part.unsupported(function))?;
            let micros = signed.checked_mul(unit).and_then(|micros| start.checked_add(micros));
            micros.and_then(civil::micros_in_range).map(Value::Timestamp).ok_or_else(fail)
        }
        other => Err(SqlError::internal(format!("{function} of {other:?}"))),
    }
}

/// `moment + interval`; a DATE becomes a DATETIME.
pub(crate) fn add_interval(_: &Call, moment: &Value, interval: &Interval) -> Result<Value> {
    let fail = || SqlError::evaluation(format!("Adding interval {interval} to {} causes overflow", describe(moment)));
    match moment {
        Value::Timestamp(micros) => {
            if interval.months != 0 {
                return Err(SqlError::evaluation(
                    "TIMESTAMP +/- INTERVAL is not supported for intervals with non-zero MONTH or YEAR part.",
                ));
            }
            let total = interval.days.checked_mul(DAY_MICROS).and_then(|days| days.checked_add(interval.micros));
            total
                .and_then(|total| micros.checked_add(total))
                .and_then(civil::micros_in_range)
                .map(Value::Timestamp)
                .ok_or_else(fail)
        }
        Value::Date(_) | Value::Datetime(_) => {
            let start = match moment {
                Value::Date(days) => i64::from(*days) * DAY_MICROS,
                Value::Datetime(micros) => *micros,
                _ => 0,
            };
            let days =
                civil::add_months(start.div_euclid(DAY_MICROS), interval.months).ok_or_else(fail)? + interval.days;
            days.checked_mul(DAY_MICROS)
                .and_then(|days| days.checked_add(start.rem_euclid(DAY_MICROS)))
                .and_then(|micros| micros.checked_add(interval.micros))
                .and_then(civil::micros_in_range)
                .map(Value::Datetime)
                .ok_or_else(fail)
        }
        other => Err(SqlError::internal(format!("interval added to {other:?}"))),
    }
}

/// `a - b` as INTERVAL: days between dates, time between the others.
pub(crate) fn interval_between(a: &Value, b: &Value) -> Result<Value> {
    let interval = match (a, b) {
        (Value::Date(a), Value::Date(b)) => Interval::checked(0, i64::from(*a) - i64::from(*b), 0)?,
        (Value::Datetime(a), Value::Datetime(b)) => {
            let difference = a - b;
            Interval::checked(0, difference / DAY_MICROS, difference % DAY_MICROS)?
        }
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Time(a), Value::Time(b)) => {
            Interval::checked(0, 0, a - b)?
        }
        _ => return Err(SqlError::internal(format!("difference of {a:?} and {b:?}"))),
    };
    Ok(Value::Interval(Arc::new(interval)))
}

/// Which month (from year 0), ISO week and so on a day is in, so that a difference counts boundaries.
fn day_index(days: i64, part: Part) -> Option<i64> {
    let (year, month, _) = civil::ymd_from_days(days);
    Some(match part {
        Part::Day => days,
        Part::Week(first) => civil::week_start(days, first).div_euclid(7),
        Part::IsoWeek => civil::week_start(days, 2).div_euclid(7),
        Part::Month => year * 12 + month,
        Part::Quarter => year * 4 + (month - 1) / 3,
        Part::Year => year,
        Part::IsoYear => civil::iso_week(days).0,
        _ => return None,
    })
}

/// `*_DIFF(a, b, part)`: boundaries crossed, except for TIMESTAMP, where whole units count.
pub(crate) fn difference(function: &str, a: &Value, b: &Value, part: Part) -> Result<Value> {
    let unsupported = || part.unsupported(function);
    let result = match (a, b) {
        (Value::Date(a), Value::Date(b)) => {
            let a = day_index(i64::from(*a), part).ok_or_else(unsupported)?;
            Some(a - day_index(i64::from(*b), part).ok_or_else(unsupported)?)
        }
        (Value::Datetime(a), Value::Datetime(b)) => match part.micros() {
            Some(unit) => a.div_euclid(unit).checked_sub(b.div_euclid(unit)),
            None => {
                let a = day_index(a.div_euclid(DAY_MICROS), part).ok_or_else(unsupported)?;
                Some(a - day_index(b.div_euclid(DAY_MICROS), part).ok_or_else(unsupported)?)
            }
        },
        (Value::Timestamp(a), Value::Timestamp(b)) => Some((a - b) / part.micros().ok_or_else(unsupported)?),
        (Value::Time(a), Value::Time(b)) => {
            let unit = part.micros().filter(|_| part != Part::Day).ok_or_else(unsupported)?;
            Some(a.div_euclid(unit) - b.div_euclid(unit))
        }
        _ => return Err(SqlError::internal(format!("{function} of {a:?} and {b:?}"))),
    };
    result.map(Value::Int64).ok_or_else(crate::functions::operators::integer_overflow)
}

/// The first day of the part that a day is in.
pub(crate) fn truncate_days(days: i64, part: Part) -> Option<i64> {
    let (year, month, _) = civil::ymd_from_days(days);
    Some(match part {
        Part::Day => days,
        Part::Week(first) => civil::week_start(days, first),
        Part::IsoWeek => civil::week_start(days, 2),
        Part::Month => civil::days_from_ymd(year, month, 1),
        Part::Quarter => civil::days_from_ymd(year, (month - 1) / 3 * 3 + 1, 1),
        Part::Year => civil::days_from_ymd(year, 1, 1),
        Part::IsoYear => civil::iso_year_start(civil::iso_week(days).0),
        _ => return None,
    })
}

/// `*_TRUNC(value, part[, zone])`.
pub(crate) fn truncate(function: &str, value: &Value, part: Part, zone: &TimeZone) -> Result<Value> {
    let unsupported = || part.unsupported(function);
    let range =
        || SqlError::evaluation(format!("Truncating {} to {part} resulted in an out of range value", describe(value)));
    let civil_truncate = |micros: i64| -> Result<i64> {
        match part.micros() {
            Some(unit) => Ok(micros.div_euclid(unit) * unit),
            None => Ok(truncate_days(micros.div_euclid(DAY_MICROS), part).ok_or_else(unsupported)? * DAY_MICROS),
        }
    };
    match value {
        Value::Date(days) => {
            let days = truncate_days(i64::from(*days), part).ok_or_else(unsupported)?;
            civil::date_in_range(days).map(Value::Date).ok_or_else(range)
        }
        Value::Datetime(micros) => {
            civil::micros_in_range(civil_truncate(*micros)?).map(Value::Datetime).ok_or_else(range)
        }
        Value::Time(micros) => {
            let unit = part.micros().filter(|_| part != Part::Day).ok_or_else(unsupported)?;
            Ok(Value::Time(micros / unit * unit))
        }
        Value::Timestamp(micros) => {
            // Below an hour the zone does not matter, save for its odd minutes.
            if matches!(part, Part::Microsecond | Part::Millisecond | Part::Second) {
                return Ok(Value::Timestamp(civil_truncate(*micros)?));
            }
            let offset = i64::from(civil::offset_seconds(zone, *micros)) * 1_000_000;
            let local = civil_truncate(micros + offset)?;
            let instant = if matches!(part, Part::Minute | Part::Hour) {
                civil::micros_in_range(local - offset)
            } else {
                civil::to_instant(zone, local)
            };
            instant.map(Value::Timestamp).ok_or_else(range)
        }
        other => Err(SqlError::internal(format!("{function} of {other:?}"))),
    }
}

/// The last day of the part that a day is in.
pub(crate) fn last_day(days: i64, part: Part) -> Option<i64> {
    let (year, month, _) = civil::ymd_from_days(days);
    let next_month = |year: i64, month: i64| {
        let index = year * 12 + month;
        civil::days_from_ymd(index.div_euclid(12), index.rem_euclid(12) + 1, 1)
    };
    Some(match part {
        Part::Week(first) => civil::week_start(days, first) + 6,
        Part::IsoWeek => civil::week_start(days, 2) + 6,
        Part::Month => next_month(year, month) - 1,
        Part::Quarter => next_month(year, (month - 1) / 3 * 3 + 3) - 1,
        Part::Year => civil::days_from_ymd(year, 12, 31),
        Part::IsoYear => civil::iso_year_start(civil::iso_week(days).0 + 1) - 1,
        _ => return None,
    })
}
