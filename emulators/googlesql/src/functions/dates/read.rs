//! PARSE_DATE, PARSE_TIME, PARSE_DATETIME, PARSE_TIMESTAMP.
//!
//! What the format does not mention is 1970-01-01 00:00:00.

use jiff::tz::TimeZone;

use crate::cast::{default_zone, named_zone};
use crate::error::{Result, SqlError};
use crate::functions::args::{fail, optional_string, string};
use crate::functions::dates::print::{DAYS, MONTHS};
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::Value;
use crate::value::civil::{self, DAY_MICROS};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("date_functions", "parse_date", "PARSE_DATE", Propagate, ["(STRING, STRING) -> DATE"], parse),
    entry!("time_functions", "parse_time", "PARSE_TIME", Propagate, ["(STRING, STRING) -> TIME"], parse),
    entry!(
        "datetime_functions",
        "parse_datetime",
        "PARSE_DATETIME",
        Propagate,
        ["(STRING, STRING) -> DATETIME"],
        parse
    ),
    entry!(
        "timestamp_functions",
        "parse_timestamp",
        "PARSE_TIMESTAMP",
        Propagate,
        ["(STRING, STRING, [STRING]) -> TIMESTAMP"],
        parse
    ),
];

fn parse(call: &Call, args: &[Value]) -> Result<Value> {
    let zone = optional_string(args, 2)?.map_or_else(|| default_zone(call.ctx), named_zone)?;
    strptime(string(args, 0)?, string(args, 1)?, call.result_type, &zone)
}

#[derive(Default)]
struct Fields {
    year: Option<i64>,
    century: Option<i64>,
    year_of_century: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    hour12: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    micros: Option<i64>,
    /// Week number and the weekday it begins on (1 Sunday, 2 Monday).
    week: Option<(i64, i64)>,
    /// 0 Sunday to 6.
    weekday: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    /// The day of the ISO year.
    iso_day: Option<i64>,
    epoch: Option<i64>,
    /// Seconds east.
    offset: Option<i64>,
    zone: Option<TimeZone>,
}

impl Fields {
    fn set_year(&mut self, year: i64) {
        (self.year, self.century, self.year_of_century) = (Some(year), None, None);
    }

    fn set_offset(&mut self, offset: i64) {
        (self.offset, self.zone) = (Some(offset), None);
    }

    /// Days since 1970-01-01. Of elements that contradict each other the later one counts; an ISO year counts only
    /// where nothing else names a date.
    fn date(&self) -> Result<Option<i64>> {
        let year = match (self.century, self.year_of_century, self.year) {
            (Some(century), year, None) => century * 100 + year.unwrap_or(0),
            (_, Some(year), None) => two_digit_year(year),
            (_, _, year) => year.unwrap_or(1970),
        };
        let checked = |month: i64, day: i64| civil::checked_date(year, month, day).map(i64::from);
        let years = [self.year, self.century, self.year_of_century];
        let days = [self.month, self.day, self.day_of_year, self.week.map(|(week, _)| week)];
        if let (Some(iso_year), false) = (self.iso_year, years.iter().chain(&days).any(Option::is_some)) {
            let (start, next) = (civil::iso_year_start(iso_year), civil::iso_year_start(iso_year + 1));
            if let Some(day) = self.iso_day {
                return Ok(Some(start + day - 1).filter(|date| *date < next));
            }
            let Some(week) = self.iso_week else { return Ok(Some(start)) };
            let monday = start + (week - 1) * 7;
            if monday >= next {
                return fail(format!("Invalid ISO week {week} specified for ISO year {iso_year}"));
            }
            return Ok(Some(monday + self.weekday.map_or(0, |day| (day + 6) % 7)));
        }
        if let Some(day) = self.day_of_year {
            let Some(january) = checked(1, 1) else { return Ok(None) };
            let (in_year, month, day) = civil::ymd_from_days(january + day - 1);
            if in_year != year {
                return Ok(None);
            }
            return Ok(checked(self.month.unwrap_or(month), self.day.unwrap_or(day)));
        }
        if let (Some((week, first)), None, None) = (self.week, self.month, self.day) {
            let Some(january) = checked(1, 1) else { return Ok(None) };
            let start = civil::week_start(january + 6, first) + (week - 1) * 7;
            if civil::ymd_from_days(start).0 > year {
                return fail(format!("Week number {week} is invalid for year {year}"));
            }
            return Ok(Some(start + self.weekday.map_or(0, |day| (day + 1 - first).rem_euclid(7))));
        }
        Ok(checked(self.month.unwrap_or(1), self.day.unwrap_or(1)))
    }
}

struct Input<'a> {
    rest: &'a str,
}

impl Input<'_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Up to `most` digits.
    fn number(&mut self, most: usize) -> Option<i64> {
        let length = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        let value = digits.parse().ok()?;
        self.rest = rest;
        Some(value)
    }

    fn number_in(&mut self, most: usize, low: i64, high: i64) -> Option<i64> {
        self.number(most).filter(|value| (low..=high).contains(value))
    }

    /// A name in full or its first three letters: its index.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        for (index, name) in names.iter().enumerate() {
            for word in [*name, name.get(..3).unwrap_or(name)] {
                if self.rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)) {
                    self.rest = &self.rest[word.len()..];
                    return Some(index as i64);
                }
            }
        }
        None
    }

    /// Digits behind a point.
    fn fraction(&mut self, most: usize) -> Option<i64> {
        let Some(after) = self.rest.strip_prefix('.') else { return Some(0) };
        let length = after.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return Some(0);
        }
        let (digits, rest) = after.split_at(length);
        self.rest = rest;
        format!("{digits:0<6}").get(..6)?.parse().ok()
    }

    /// Two digits, neither more nor less.
    fn two_digits(&mut self) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        digits.parse().ok()
    }

    /// `+HHMM` or `+HH`; extended `+HH:MM` and `Z` too: seconds east.
    fn offset(&mut self, extended: bool) -> Option<i64> {
        if let (true, Some(rest)) = (extended, self.rest.strip_prefix('Z')) {
            self.rest = rest;
            return Some(0);
        }
        let negative = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let hours = self.two_digits().filter(|hours| *hours <= 14)?;
        let mut behind = Input { rest: self.rest };
        if extended {
            behind.rest = behind.rest.strip_prefix(':').unwrap_or(behind.rest);
        }
        let minutes = behind.two_digits();
        if minutes.is_some() {
            self.rest = behind.rest;
        }
        let minutes = minutes.unwrap_or(0);
        if minutes > 59 || hours * 60 + minutes > 14 * 60 {
            return None;
        }
        let seconds = (hours * 60 + minutes) * 60;
        Some(if negative { -seconds } else { seconds })
    }
}

pub(crate) fn strptime(format: &str, text: &str, ty: &Type, zone: &TimeZone) -> Result<Value> {
    let failed = || SqlError::evaluation(format!("Failed to parse input string \"{text}\""));
    let mut input = Input { rest: text };
    let mut fields = Fields::default();
    input.blank();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            input.blank();
            continue;
        }
        if c != '%' {
            match input.rest.chars().next() {
                Some(given) if given == c => input.rest = &input.rest[c.len_utf8()..],
                Some(given) => {
                    let index = text[..text.len() - input.rest.len()].chars().count();
                    return fail(format!(
                        "Mismatch between format character '{c}' and string character '{given}' at string index: {index} with format: '{format}'"
                    ));
                }
                None => return Err(failed()),
            }
            continue;
        }
        let Some(element) = chars.next() else { return Err(failed()) };
        if element == 'E' || element == 'O' {
            let rest = chars.as_str();
            if element == 'E' && rest.starts_with("4Y") {
                let before = input.rest.len();
                let year = input.number(4).filter(|_| before - input.rest.len() == 4);
                fields.set_year(year.ok_or_else(failed)?);
                chars.nth(1);
                continue;
            }
            if element == 'E'
                && rest.get(1..2) == Some("S")
                && rest.starts_with(|c: char| c == '*' || c.is_ascii_digit())
            {
                let most = rest.chars().next().and_then(|c| c.to_digit(10)).map_or(9, |digits| digits as usize);
                fields.second = Some(input.number_in(2, 0, 60).ok_or_else(failed)?);
                fields.micros = Some(if most == 0 { 0 } else { input.fraction(most).ok_or_else(failed)? });
                chars.nth(1);
                continue;
            }
            let Some(next) = chars.next() else { return Err(failed()) };
            let alternatives = if element == 'E' { "cCxXyYz" } else { "deHImMSuUVwWy" };
            if !alternatives.contains(next) {
                return Err(failed());
            }
            if (element, next) == ('E', 'z') && *ty == Type::Timestamp {
                input.blank();
                fields.set_offset(input.offset(true).ok_or_else(failed)?);
                continue;
            }
            element_into(next, &mut input, &mut fields, ty).ok_or_else(failed)?;
            continue;
        }
        element_into(element, &mut input, &mut fields, ty).ok_or_else(failed)?;
    }
    input.blank();
    if !input.rest.is_empty() {
        return fail(format!("Illegal non-space trailing data '{}' in string '{text}'", input.rest));
    }
    assemble(&fields, ty, zone)?.ok_or_else(failed)
}

fn element_into(element: char, input: &mut Input, fields: &mut Fields, ty: &Type) -> Option<()> {
    let is_date = matches!(
        element,
        'A' | 'a'
            | 'B'
            | 'b'
            | 'h'
            | 'C'
            | 'D'
            | 'd'
            | 'e'
            | 'F'
            | 'G'
            | 'g'
            | 'J'
            | 'j'
            | 'm'
            | 'Q'
            | 'U'
            | 'u'
            | 'V'
            | 'W'
            | 'w'
            | 'x'
            | 'Y'
            | 'y'
            | 'c'
    );
    let is_time = matches!(element, 'H' | 'I' | 'k' | 'l' | 'M' | 'P' | 'p' | 'R' | 'r' | 'S' | 'T' | 'X' | 'c');
    if is_date && *ty == Type::Time || is_time && *ty == Type::Date {
        return None;
    }
    if matches!(element, 'Z' | 'z' | 's') && *ty != Type::Timestamp {
        return None;
    }
    let mut each = |elements: &str| -> Option<()> {
        for c in elements.chars() {
            match c {
                ' ' => input.blank(),
                '/' | ':' | '-' => input.rest = input.rest.strip_prefix(c)?,
                c => element_into(c, input, fields, ty)?,
            }
        }
        Some(())
    };
    match element {
        'c' => return each("a b e T Y"),
        'D' | 'x' => return each("m/d/y"),
        'F' => return each("Y-m-d"),
        'R' => return each("H:M"),
        'T' | 'X' => return each("H:M:S"),
        'r' => return each("I:M:S p"),
        _ => {}
    }
    if !matches!(element, 'n' | 't' | '%' | 'Z') {
        input.blank();
    }
    match element {
        'A' | 'a' => fields.weekday = Some(input.name(&DAYS)?),
        'B' | 'b' | 'h' => fields.month = Some(input.name(&MONTHS)? + 1),
        'C' => {
            fields.century = Some(input.number(2)?);
            fields.year = None;
        }
        'd' | 'e' => fields.day = Some(input.number_in(2, 1, 31)?),
        'G' => fields.iso_year = Some(input.number(4)?),
        'g' => fields.iso_year = Some(two_digit_year(input.number(2)?)),
        'H' | 'k' => {
            fields.hour = Some(input.number_in(2, 0, 23)?);
            fields.hour12 = None;
        }
        'I' | 'l' => fields.hour12 = Some(input.number_in(2, 1, 12)?),
        'J' => fields.iso_day = Some(input.number_in(3, 1, 371)?),
        'j' => {
            // A month or day that follows changes only its part.
            fields.day_of_year = Some(input.number_in(3, 1, 366)?);
            (fields.month, fields.day) = (None, None);
        }
        'M' => fields.minute = Some(input.number_in(2, 0, 59)?),
        'm' => fields.month = Some(input.number_in(2, 1, 12)?),
        'n' | 't' => input.blank(),
        'P' | 'p' => fields.afternoon = Some(input.name(&["AM", "PM"])? == 1),
        'Q' => fields.month = Some(input.number_in(1, 1, 4)? * 3 - 2),
        'S' => fields.second = Some(input.number_in(2, 0, 60)?),
        's' => {
            let negative = input.rest.starts_with('-');
            input.rest = input.rest.strip_prefix('-').unwrap_or(input.rest);
            let seconds = input.number(12)?;
            fields.epoch = Some(if negative { -seconds } else { seconds });
        }
        'U' | 'W' => {
            fields.week = Some((input.number_in(2, 0, 53)?, if element == 'U' { 1 } else { 2 }));
            (fields.month, fields.day) = (None, None);
        }
        'u' => fields.weekday = Some(input.number_in(1, 1, 7)? % 7),
        'w' => fields.weekday = Some(input.number_in(1, 0, 6)?),
        'V' => fields.iso_week = Some(input.number_in(2, 1, 53)?),
        'Y' => {
            let negative = input.rest.starts_with('-');
            if negative {
                return None;
            }
            // Four digits, so that `%Y%m%d` knows where the month begins.
            let year = input.number(4)?;
            fields.set_year(year);
        }
        'y' => {
            fields.year_of_century = Some(input.number_in(2, 0, 99)?);
            fields.year = None;
        }
        'Z' => {
            let length = input
                .rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-' | ':')))
                .unwrap_or(input.rest.len());
            let (name, rest) = input.rest.split_at(length);
            fields.zone = Some(civil::time_zone(name)?);
            fields.offset = None;
            input.rest = rest;
        }
        'z' => {
            let offset = input.offset(false)?;
            fields.set_offset(offset);
        }
        '%' => input.rest = input.rest.strip_prefix('%')?,
        _ => return None,
    }
    Some(())
}

/// 69 to 99 are the last century's.
fn two_digit_year(value: i64) -> i64 {
    if value >= 69 { 1900 + value } else { 2000 + value }
}

fn assemble(fields: &Fields, ty: &Type, zone: &TimeZone) -> Result<Option<Value>> {
    if let (Some(seconds), Type::Timestamp) = (fields.epoch, ty) {
        return Ok(seconds.checked_mul(1_000_000).and_then(civil::micros_in_range).map(Value::Timestamp));
    }
    let date = fields.date()?.and_then(civil::date_in_range);
    Ok(date.and_then(|date| at_time_of_day(fields, i64::from(date), ty, zone)))
}

fn at_time_of_day(fields: &Fields, date: i64, ty: &Type, zone: &TimeZone) -> Option<Value> {
    let hour = match fields.hour12 {
        Some(hour) => hour % 12 + if fields.afternoon == Some(true) { 12 } else { 0 },
        None => fields.hour.unwrap_or(0),
    };
    let second = fields.second.unwrap_or(0);
    let time = ((hour * 60 + fields.minute.unwrap_or(0)) * 60 + second) * 1_000_000 + fields.micros.unwrap_or(0);
    let datetime = date * DAY_MICROS + time;
    Some(match ty {
        Type::Date => Value::Date(date as i32),
        Type::Time => Value::Time(time.rem_euclid(DAY_MICROS)),
        Type::Datetime => Value::Datetime(civil::micros_in_range(datetime)?),
        _ => match (fields.offset, &fields.zone) {
            (Some(offset), _) => Value::Timestamp(civil::micros_in_range(datetime - offset * 1_000_000)?),
            (None, Some(zone)) => Value::Timestamp(civil::to_instant(zone, datetime)?),
            (None, None) => Value::Timestamp(civil::to_instant(zone, datetime)?),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(format: &str, text: &str, ty: Type) -> String {
        match strptime(format, text, &ty, &TimeZone::UTC) {
            Ok(Value::Date(days)) => civil::date_text(days),
            Ok(Value::Time(micros)) => civil::time_text(micros),
            Ok(Value::Datetime(micros)) => civil::datetime_text(micros, ' '),
            Ok(Value::Timestamp(micros)) => civil::timestamp_text(micros, &TimeZone::UTC),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.message,
        }
    }

    #[test]
    fn formats_read_what_they_say() {
        assert_eq!(read("%Y-%m", "2024-02", Type::Date), "2024-02-01");
        assert_eq!(read("%b %e %Y", "Mar  5 2024", Type::Date), "2024-03-05");
        assert_eq!(read("%A %d %B %y", "Tuesday 05 march 24", Type::Date), "2024-03-05");
        assert_eq!(read("%I:%M:%S %p", "02:30:08 PM", Type::Time), "14:30:08");
        assert_eq!(read("%Y-%m-%dT%H:%M:%E*S", "2024-01-15T12:30:45.678", Type::Datetime), "2024-01-15 12:30:45.678");
        assert_eq!(read("%FT%T%Ez", "2024-01-15T12:30:45+02:00", Type::Timestamp), "2024-01-15 10:30:45+00");
        assert_eq!(read("%c", "Thu Dec 25 07:30:00 2008", Type::Timestamp), "2008-12-25 07:30:00+00");
        assert_eq!(read("%s", "1230219000", Type::Timestamp), "2008-12-25 15:30:00+00");
        assert_eq!(read("%G-W%V-%u", "2008-W52-4", Type::Date), "2008-12-25");
    }

    #[test]
    fn failures_have_productions_texts() {
        assert_eq!(read("%Y-%m-%d", "2024-02-30", Type::Date), "Failed to parse input string \"2024-02-30\"");
        assert_eq!(
            read("%Y-%m-%d", "2024/02/03", Type::Date),
            "Mismatch between format character '-' and string character '/' at string index: 4 with format: '%Y-%m-%d'"
        );
        assert_eq!(
            read("%Y-%m-%d", "2024-02-03 00:00:00", Type::Date),
            "Illegal non-space trailing data '00:00:00' in string '2024-02-03 00:00:00'"
        );
    }

    proptest! {
        #[test]
        fn no_input_panics(format in "[%A-Za-z0-9*: é-]{0,12}", text in "[0-9A-Za-z:+ é.-]{0,16}") {
            for ty in [Type::Date, Type::Time, Type::Datetime, Type::Timestamp] {
                let _ = strptime(&format, &text, &ty, &TimeZone::UTC);
            }
        }
    }
}
