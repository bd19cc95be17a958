//! CAST … FORMAT for dates and times: `YYYY-MM-DD HH24:MI:SS`.
//!
//! Elements: <https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements#format_date_time_as_string>.

use jiff::tz::TimeZone;

use crate::cast::{default_zone, named_zone};
use crate::error::{Result, SqlError};
use crate::functions::EvalContext;
use crate::types::Type;
use crate::value::Value;
use crate::value::civil::{self, Civil, DAY_MICROS};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Category {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Meridian,
    Zone,
    Literal,
}

impl Category {
    fn name(self) -> &'static str {
        match self {
            Category::Year => "YEAR",
            Category::Month => "MONTH",
            Category::Day => "DAY",
            Category::Hour => "HOUR",
            Category::Minute => "MINUTE",
            Category::Second => "SECOND",
            Category::Meridian => "MERIDIAN_INDICATOR",
            Category::Zone => "TIME_ZONE",
            Category::Literal => "LITERAL",
        }
    }

    /// Whether a value of that type has such a part.
    fn belongs(self, ty: &Type) -> bool {
        match self {
            Category::Year | Category::Month | Category::Day => *ty != Type::Time,
            Category::Hour | Category::Minute | Category::Second | Category::Meridian => *ty != Type::Date,
            Category::Zone => *ty == Type::Timestamp,
            Category::Literal => true,
        }
    }
}

/// Longer names first, so that the first that fits is the one meant.
const ELEMENTS: &[(&str, Category)] = &[
    ("YYYY", Category::Year),
    ("RRRR", Category::Year),
    ("YYY", Category::Year),
    ("YY", Category::Year),
    ("RR", Category::Year),
    ("Y", Category::Year),
    ("MONTH", Category::Month),
    ("MON", Category::Month),
    ("MM", Category::Month),
    ("DDD", Category::Day),
    ("DD", Category::Day),
    ("DAY", Category::Day),
    ("DY", Category::Day),
    ("D", Category::Day),
    ("HH24", Category::Hour),
    ("HH12", Category::Hour),
    ("HH", Category::Hour),
    ("MI", Category::Minute),
    ("SSSSS", Category::Second),
    ("SS", Category::Second),
    ("FF1", Category::Second),
    ("FF2", Category::Second),
    ("FF3", Category::Second),
    ("FF4", Category::Second),
    ("FF5", Category::Second),
    ("FF6", Category::Second),
    ("FF7", Category::Second),
    ("FF8", Category::Second),
    ("FF9", Category::Second),
    ("A.M.", Category::Meridian),
    ("P.M.", Category::Meridian),
    ("AM", Category::Meridian),
    ("PM", Category::Meridian),
    ("TZH", Category::Zone),
    ("TZM", Category::Zone),
];

struct Element {
    /// Upper case; a literal's own text.
    name: String,
    /// As it was written: it decides the case of names.
    written: String,
    category: Category,
}

fn tokenize(format: &str) -> Result<Vec<Element>> {
    let mut elements = Vec::new();
    let mut rest = format;
    'next: while let Some(first) = rest.chars().next() {
        if first == '"' {
            let mut text = String::new();
            let mut chars = rest.char_indices().skip(1);
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        elements.push(Element { name: text.clone(), written: text, category: Category::Literal });
                        rest = &rest[at + 1..];
                        continue 'next;
                    }
                    '\\' => text.extend(chars.next().map(|(_, c)| c)),
                    c => text.push(c),
                }
            }
            return Err(SqlError::evaluation("Cannot find matching \" for quoted literal"));
        }
        for (name, category) in ELEMENTS {
            if rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                elements.push(Element {
                    name: (*name).to_string(),
                    written: rest[..name.len()].to_string(),
                    category: *category,
                });
                rest = &rest[name.len()..];
                continue 'next;
            }
        }
        if !matches!(first, '-' | '.' | '/' | ',' | '\'' | ';' | ':' | ' ') {
            return Err(SqlError::evaluation(format!(
                "Cannot find matched format element at {}",
                format.len() - rest.len()
            )));
        }
        elements.push(Element { name: first.to_string(), written: first.to_string(), category: Category::Literal });
        rest = &rest[1..];
    }
    Ok(elements)
}

/// `Day`, `DAY` or `day`, after how the element was written.
fn cased(text: &str, written: &str) -> String {
    let mut letters = written.chars().filter(|c| c.is_ascii_alphabetic());
    match (
        letters.next().is_some_and(|c| c.is_ascii_uppercase()),
        letters.next().is_some_and(|c| c.is_ascii_uppercase()),
    ) {
        (true, true) => text.to_uppercase(),
        (true, false) => text.to_string(),
        (false, _) => text.to_lowercase(),
    }
}

pub(super) fn print(value: &Value, format: &str, zone: Option<&str>, ctx: &EvalContext) -> Result<String> {
    let (ty, micros, offset) = match value {
        Value::Date(days) => (Type::Date, i64::from(*days) * DAY_MICROS, 0),
        Value::Time(micros) => (Type::Time, *micros, 0),
        Value::Datetime(micros) => (Type::Datetime, *micros, 0),
        Value::Timestamp(micros) => {
            let zone = zone.map_or_else(|| default_zone(ctx), named_zone)?;
            let offset = civil::offset_seconds(&zone, *micros);
            (Type::Timestamp, micros + i64::from(offset) * 1_000_000, offset)
        }
        other => return Err(SqlError::internal(format!("CAST FORMAT of {other:?}"))),
    };
    let parts = civil::civil(micros);
    let days = micros.div_euclid(DAY_MICROS);
    let weekday = DAYS.get((civil::day_of_week(days) - 1) as usize).copied().unwrap_or_default();
    let month = MONTHS.get((parts.month - 1) as usize).copied().unwrap_or_default();
    let mut out = String::new();
    for element in tokenize(format)? {
        if !element.category.belongs(&ty) {
            return Err(SqlError::evaluation(format!("{ty} does not support '{}'", element.name)));
        }
        if element.category == Category::Literal {
            out.push_str(&element.name);
            continue;
        }
        out.push_str(&match element.name.as_str() {
            "YYYY" | "RRRR" => format!("{:04}", parts.year),
            "YYY" => format!("{:03}", parts.year % 1000),
            "YY" | "RR" => format!("{:02}", parts.year % 100),
            "Y" => format!("{}", parts.year % 10),
            "MONTH" => cased(month, &element.written),
            "MON" => cased(&month[..3], &element.written),
            "MM" => format!("{:02}", parts.month),
            "DAY" => cased(weekday, &element.written),
            "DY" => cased(&weekday[..3], &element.written),
            "D" => format!("{}", civil::day_of_week(days)),
            "DDD" => format!("{:03}", civil::day_of_year(days)),
            "DD" => format!("{:02}", parts.day),
            "HH24" => format!("{:02}", parts.hour),
            "HH" | "HH12" => format!("{:02}", (parts.hour + 11) % 12 + 1),
            "MI" => format!("{:02}", parts.minute),
            "SS" => format!("{:02}", parts.second),
            "SSSSS" => format!("{:05}", parts.hour * 3600 + parts.minute * 60 + parts.second),
            "AM" | "PM" => cased(if parts.hour < 12 { "Am" } else { "Pm" }, &element.written),
            "A.M." | "P.M." => {
                let text = if parts.hour < 12 { "A.M." } else { "P.M." };
                if element.written.starts_with(|c: char| c.is_ascii_lowercase()) {
                    text.to_lowercase()
                } else {
                    text.into()
                }
            }
            "TZH" => format!("{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3600),
            "TZM" => format!("{:02}", offset.abs() / 60 % 60),
            fraction => {
                let digits: usize = fraction.trim_start_matches("FF").parse().unwrap_or(6);
                format!("{:06}000", parts.micros)[..digits.min(9)].to_string()
            }
        });
    }
    Ok(out)
}

#[derive(Default)]
struct Found {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    /// Of a 12-hour clock.
    hour12: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    second_of_day: Option<i64>,
    micros: Option<i64>,
    offset_negative: bool,
    offset_hours: Option<i64>,
    offset_minutes: Option<i64>,
}

pub(super) fn parse(text: &str, to: &Type, format: &str, zone: Option<&str>, ctx: &EvalContext) -> Result<Value> {
    let elements = tokenize(format)?;
    for element in &elements {
        if !element.category.belongs(to) {
            return Err(SqlError::evaluation(format!(
                "Format element in category {} ('{}') is not allowed for output type {to}",
                element.category.name(),
                element.name
            )));
        }
    }
    let zone = match zone {
        Some(name) => named_zone(name)?,
        None => default_zone(ctx)?,
    };
    let now = civil::civil(civil::to_civil(&zone, ctx.now));
    let failed = || SqlError::evaluation(format!("Failed to parse input string \"{text}\""));
    let mut found = Found::default();
    let mut rest = text.trim();
    for element in &elements {
        rest = read(element, rest, &mut found, &now).ok_or_else(failed)?;
    }
    if !rest.trim().is_empty() {
        return Err(failed());
    }
    assemble(&found, to, &zone, &now).ok_or_else(failed)
}

/// Reads one element from the front of `rest` and gives what is left.
fn read<'a>(element: &Element, rest: &'a str, found: &mut Found, now: &Civil) -> Option<&'a str> {
    let number = |rest: &'a str, most: usize| -> Option<(i64, &'a str)> {
        let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        Some((rest.get(..length)?.parse().ok()?, rest.get(length..)?))
    };
    if element.category == Category::Literal {
        if element.name.trim().is_empty() {
            return Some(rest.trim_start());
        }
        return rest.strip_prefix(element.name.as_str());
    }
    let name = element.name.as_str();
    let names = |list: &[&str], length: Option<usize>| -> Option<(i64, &'a str)> {
        list.iter().enumerate().find_map(|(index, full)| {
            let word = length.map_or(*full, |length| full.get(..length).unwrap_or(full));
            let head = rest.get(..word.len())?;
            head.eq_ignore_ascii_case(word).then(|| (index as i64 + 1, &rest[word.len()..]))
        })
    };
    let (value, left) = match name {
        "MONTH" => names(&MONTHS, None)?,
        "MON" => names(&MONTHS, Some(3))?,
        "DAY" => names(&DAYS, None)?,
        "DY" => names(&DAYS, Some(3))?,
        "AM" | "PM" => names(&["AM", "PM"], None)?,
        "A.M." | "P.M." => names(&["A.M.", "P.M."], None)?,
        "YYYY" => number(rest, 5)?,
        "RRRR" => number(rest, 4)?,
        "YYY" | "DDD" => number(rest, 3)?,
        "Y" | "D" => number(rest, 1)?,
        "SSSSS" => number(rest, 5)?,
        "TZH" => {
            found.offset_negative = rest.starts_with('-');
            number(rest.strip_prefix(['+', '-']).unwrap_or(rest), 2)?
        }
        name if name.starts_with("FF") => {
            let most = name[2..].parse().unwrap_or(9);
            let (_, left) = number(rest, most)?;
            let digits = &rest[..rest.len() - left.len()];
            (format!("{digits:0<6}").get(..6)?.parse().ok()?, left)
        }
        _ => number(rest, 2)?,
    };
    let century = now.year / 100 * 100;
    match name {
        "YYYY" => found.year = Some(value),
        "RRRR" | "RR" if value < 100 => {
            found.year = Some(match (value < 50, now.year % 100 < 50) {
                (true, false) => century + 100 + value,
                (false, true) => century - 100 + value,
                _ => century + value,
            });
        }
        "RRRR" => found.year = Some(value),
        "YYY" => found.year = Some(now.year / 1000 * 1000 + value),
        "YY" => found.year = Some(century + value),
        "Y" => found.year = Some(now.year / 10 * 10 + value),
        "MONTH" | "MON" | "MM" => found.month = Some(value),
        "DD" => found.day = Some(value),
        "DDD" => found.day_of_year = Some(value),
        "HH24" => found.hour = Some(value),
        "HH" | "HH12" => found.hour12 = Some(value),
        "MI" => found.minute = Some(value),
        "SS" => found.second = Some(value),
        "SSSSS" => found.second_of_day = Some(value),
        "AM" | "PM" | "A.M." | "P.M." => found.afternoon = Some(value == 2),
        "TZH" => found.offset_hours = Some(value),
        "TZM" => found.offset_minutes = Some(value),
        name if name.starts_with("FF") => found.micros = Some(value),
        _ => {}
    }
    Some(left)
}

/// What is missing comes from the current year and month, the first day, and midnight.
fn assemble(found: &Found, to: &Type, zone: &TimeZone, now: &Civil) -> Option<Value> {
    let year = found.year.unwrap_or(now.year);
    let date = match found.day_of_year {
        Some(day) => {
            let first = i64::from(civil::checked_date(year, 1, 1)?);
            let last = i64::from(civil::checked_date(year, 12, 31)?);
            Some(first + day - 1).filter(|days| day >= 1 && *days <= last)?
        }
        None => i64::from(civil::checked_date(year, found.month.unwrap_or(now.month), found.day.unwrap_or(1))?),
    };
    let hour = match (found.hour12, found.afternoon) {
        (Some(hour), afternoon) => {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour % 12 + if afternoon == Some(true) { 12 } else { 0 }
        }
        _ => found.hour.unwrap_or(0),
    };
    let time = match found.second_of_day {
        Some(second) => civil::checked_time(second / 3600, second / 60 % 60, second % 60, found.micros.unwrap_or(0))?,
        None => {
            civil::checked_time(hour, found.minute.unwrap_or(0), found.second.unwrap_or(0), found.micros.unwrap_or(0))?
        }
    };
    let datetime = date * DAY_MICROS + time;
    Some(match to {
        Type::Date => Value::Date(date as i32),
        Type::Time => Value::Time(time),
        Type::Datetime => Value::Datetime(datetime),
        _ if found.offset_hours.is_some() || found.offset_minutes.is_some() => {
            let minutes = found.offset_hours.unwrap_or(0) * 60 + found.offset_minutes.unwrap_or(0);
            let offset = minutes * 60_000_000 * if found.offset_negative { -1 } else { 1 };
            Value::Timestamp(civil::micros_in_range(datetime - offset)?)
        }
        _ => Value::Timestamp(civil::to_instant(zone, datetime)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ctx() -> EvalContext {
        EvalContext {
            now: civil::parse_datetime("2024-06-15 12:00:00").expect("a datetime"),
            time_zone: "UTC".into(),
            draws: crate::functions::Draws::default(),
            session_user: String::new(),
            project: String::new(),
        }
    }

    #[test]
    fn prints_and_reads_elements() {
        let moment = Value::Datetime(civil::parse_datetime("2024-03-04 17:06:07.012345").expect("a datetime"));
        let shown = |format| print(&moment, format, None, &ctx()).expect("prints");
        assert_eq!(shown("YYYY-MM-DD HH24:MI:SS.FF3"), "2024-03-04 17:06:07.012");
        assert_eq!(shown("Month mon DAY Dy HH12 \"h\" PM"), "March mar MONDAY Mon 05 h PM");
        let read = |text, format| parse(text, &Type::Date, format, None, &ctx()).ok();
        assert!(
            matches!(read("03/Apr/21", "DD/Mon/YY"), Some(Value::Date(days)) if civil::date_text(days) == "2021-04-03")
        );
        assert!(matches!(read("", ""), Some(Value::Date(days)) if civil::date_text(days) == "2024-06-01"));
        assert!(read("2021-02-30", "YYYY-MM-DD").is_none());
    }

    #[test]
    fn parts_that_a_type_lacks_are_refused() {
        assert_eq!(
            parse("x", &Type::Datetime, "yyyymitzh", None, &ctx()).unwrap_err().message,
            "Format element in category TIME_ZONE ('TZH') is not allowed for output type DATETIME"
        );
        assert_eq!(
            print(&Value::Datetime(0), "tzh", None, &ctx()).unwrap_err().message,
            "DATETIME does not support 'TZH'"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,12}", format in "[YMDHIS24FRAPTZ./ \"é-]{0,12}") {
            let _ = parse(&text, &Type::Timestamp, &format, None, &ctx());
            let _ = print(&Value::Timestamp(0), &format, None, &ctx());
        }
    }
}
