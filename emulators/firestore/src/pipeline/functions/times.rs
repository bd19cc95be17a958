//! Timestamps: units, parts and zones.

use std::ops::RangeInclusive;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, Zoned};
use scrimmage_core::Timestamp;

use super::{Call, Failure, Plain};
use crate::value::Value;

/// Microseconds of the years 1 to 9999.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

pub(super) fn plain(name: &str) -> Option<(Plain, RangeInclusive<usize>)> {
    Some(match name {
        "timestamp_to_unix_micros" => (|call: &Call<'_>| whole(call, 1), 1..=1),
        "timestamp_to_unix_millis" => (|call: &Call<'_>| whole(call, 1_000), 1..=1),
        "timestamp_to_unix_seconds" => (|call: &Call<'_>| whole(call, 1_000_000), 1..=1),
        "unix_micros_to_timestamp" => (|call: &Call<'_>| made(call, 1), 1..=1),
        "unix_millis_to_timestamp" => (|call: &Call<'_>| made(call, 1_000), 1..=1),
        "unix_seconds_to_timestamp" => (|call: &Call<'_>| made(call, 1_000_000), 1..=1),
        "timestamp_add" => (|call: &Call<'_>| moved(call, 1), 3..=3),
        "timestamp_subtract" => (|call: &Call<'_>| moved(call, -1), 3..=3),
        "timestamp_diff" => (difference, 3..=3),
        "timestamp_trunc" => (truncated, 2..=3),
        "timestamp_extract" => (extracted, 2..=3),
        _ => return None,
    })
}

fn micros(call: &Call<'_>, at: usize) -> Result<i64, Failure> {
    match call.get(at)? {
        Value::Timestamp(time) => Ok(time.as_micros()),
        _ => Err(call.wrong(at, "timestamp")),
    }
}

fn timestamp(call: &Call<'_>, micros: i128) -> Result<Value, Failure> {
    match i64::try_from(micros) {
        Ok(micros) if (EARLIEST..=LATEST).contains(&micros) => Ok(Value::Timestamp(Timestamp::from_micros(micros))),
        _ => Err(call.failed("the timestamp is out of range")),
    }
}

fn whole(call: &Call<'_>, unit: i64) -> Result<Value, Failure> {
    Ok(Value::Int(micros(call, 0)?.div_euclid(unit)))
}

fn made(call: &Call<'_>, unit: i128) -> Result<Value, Failure> {
    timestamp(call, i128::from(call.int(0)?) * unit)
}

/// The microseconds of a unit of fixed length.
fn unit(call: &Call<'_>, at: usize) -> Result<i64, Failure> {
    Ok(match call.text(at)? {
        "microsecond" => 1,
        "millisecond" => 1_000,
        "second" => 1_000_000,
        "minute" => 60_000_000,
        "hour" => 3_600_000_000,
        "day" => 86_400_000_000,
        _ => return Err(call.wrong(at, "microsecond, millisecond, second, minute, hour or day")),
    })
}

fn moved(call: &Call<'_>, sign: i128) -> Result<Value, Failure> {
    let unit = unit(call, 1)?;
    let by = match call.get(2)? {
        Value::Int(amount) => i128::from(*amount) * i128::from(unit),
        Value::Double(amount) if amount.is_finite() && amount.abs() < 1e18 => (amount * unit as f64) as i128,
        _ => return Err(call.wrong(2, "a number")),
    };
    timestamp(call, i128::from(micros(call, 0)?) + sign * by)
}

/// Whole units from the second timestamp to the first, toward zero.
fn difference(call: &Call<'_>) -> Result<Value, Failure> {
    let between = i128::from(micros(call, 0)?) - i128::from(micros(call, 1)?);
    let units = between / i128::from(unit(call, 2)?);
    i64::try_from(units).map(Value::Int).map_err(|_| call.failed("integer overflow"))
}

/// The first argument in the zone of the third, or in UTC.
fn zoned(call: &Call<'_>) -> Result<Zoned, Failure> {
    let zone = match call.arguments.len() {
        3 => {
            let name = call.text(2)?;
            zone(name).ok_or_else(|| call.failed(&format!("unknown time zone {name}")))?
        }
        _ => TimeZone::UTC,
    };
    let instant =
        Instant::from_microsecond(micros(call, 0)?).map_err(|_| call.failed("the timestamp is out of range"))?;
    Ok(instant.to_zoned(zone))
}

fn zone(name: &str) -> Option<TimeZone> {
    if let Some(sign) = name.bytes().next().filter(|byte| matches!(byte, b'+' | b'-')) {
        let (hours, minutes) = name.get(1..)?.split_once(':').unwrap_or((name.get(1..)?, "0"));
        let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = i32::from(hours) * 3_600 + i32::from(minutes) * 60;
        let seconds = if sign == b'-' { -seconds } else { seconds };
        return jiff::tz::Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
    }
    TimeZone::get(name).ok()
}

/// The day on which a `week(monday)` and the like begins; `week` begins on Sunday.
fn week_start(part: &str) -> Option<Weekday> {
    Some(match part {
        "week" | "week(sunday)" => Weekday::Sunday,
        "week(monday)" => Weekday::Monday,
        "week(tuesday)" => Weekday::Tuesday,
        "week(wednesday)" => Weekday::Wednesday,
        "week(thursday)" => Weekday::Thursday,
        "week(friday)" => Weekday::Friday,
        "week(saturday)" => Weekday::Saturday,
        _ => return None,
    })
}

fn begin_of_week(date: Date, start: Weekday) -> Option<Date> {
    let back = i64::from(date.weekday().since(start));
    date.checked_sub(jiff::Span::new().try_days(back).ok()?).ok()
}

fn truncated(call: &Call<'_>) -> Result<Value, Failure> {
    let part = call.text(1)?;
    let time = zoned(call)?;
    let out = || call.failed("the timestamp is out of range");
    let below = match part {
        "microsecond" => Some(1),
        "millisecond" => Some(1_000),
        "second" => Some(1_000_000),
        "minute" => Some(60_000_000),
        "hour" => Some(3_600_000_000),
        _ => None,
    };
    if let Some(unit) = below {
        // Below a day what counts is the clock of the zone, which may be half an hour off.
        let offset = i64::from(time.offset().seconds()) * 1_000_000;
        let local = micros(call, 0)? + offset;
        return timestamp(call, i128::from(local - local.rem_euclid(unit) - offset));
    }
    let date = time.date();
    let start = match part {
        "day" => Some(date),
        "month" => Some(date.first_of_month()),
        "quarter" => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).ok(),
        "year" => Some(date.first_of_year()),
        "isoweek" => begin_of_week(date, Weekday::Monday),
        "isoyear" => {
            let year = date.iso_week_date().year();
            Date::new(year, 1, 4).ok().and_then(|fourth| begin_of_week(fourth, Weekday::Monday))
        }
        other => match week_start(other) {
            Some(start) => begin_of_week(date, start),
            None => return Err(call.wrong(1, "a granularity from microsecond to year")),
        },
    };
    let start = start.ok_or_else(out)?.to_zoned(time.time_zone().clone()).map_err(|_| out())?;
    timestamp(call, i128::from(start.timestamp().as_microsecond()))
}

fn extracted(call: &Call<'_>) -> Result<Value, Failure> {
    let part = call.text(1)?;
    let time = zoned(call)?;
    let date = time.date();
    let number = match part {
        "microsecond" => i64::from(time.subsec_nanosecond()) / 1_000,
        "millisecond" => i64::from(time.subsec_nanosecond()) / 1_000_000,
        "second" => i64::from(time.second()),
        "minute" => i64::from(time.minute()),
        "hour" => i64::from(time.hour()),
        "day" => i64::from(date.day()),
        "dayofweek" => i64::from(date.weekday().to_sunday_one_offset()),
        "dayofyear" => i64::from(date.day_of_year()),
        "month" => i64::from(date.month()),
        "quarter" => i64::from((date.month() - 1) / 3 + 1),
        "year" => i64::from(date.year()),
        "isoweek" => i64::from(date.iso_week_date().week()),
        "isoyear" => i64::from(date.iso_week_date().year()),
        // Days before the year's first such weekday are in week 0.
        other => match week_start(other) {
            Some(start) => {
                let into = i64::from(date.weekday().since(start));
                (i64::from(date.day_of_year()) - 1 - into + 7) / 7
            }
            None => return Err(call.wrong(1, "a part of a timestamp")),
        },
    };
    Ok(Value::Int(number))
}
