//! FORMAT_DATE, FORMAT_TIME, FORMAT_DATETIME, FORMAT_TIMESTAMP.
//!
//! Elements: <https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements#format_elements_date_time>.

use crate::cast::{default_zone, named_zone};
use crate::error::{Result, SqlError};
use crate::functions::args::{any, optional_string, string};
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::Value;
use crate::value::civil::{self, Civil, DAY_MICROS};

pub(crate) const MONTHS: [&str; 12] = [
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
pub(crate) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "date_functions",
        "format_date",
        "FORMAT_DATE",
        Propagate,
        ["(STRING, DATE) -> STRING", "(STRING, DATETIME) -> STRING", "(STRING, TIMESTAMP, [STRING]) -> STRING"],
        format
    ),
    entry!("time_functions", "format_time", "FORMAT_TIME", Propagate, ["(STRING, TIME) -> STRING"], format),
    entry!(
        "datetime_functions",
        "format_datetime",
        "FORMAT_DATETIME",
        Propagate,
        ["(STRING, DATETIME) -> STRING", "(STRING, TIMESTAMP, [STRING]) -> STRING"],
        format
    ),
    entry!(
        "timestamp_functions",
        "format_timestamp",
        "FORMAT_TIMESTAMP",
        Propagate,
        ["(STRING, TIMESTAMP, [STRING]) -> STRING", "(STRING, DATETIME) -> STRING"],
        format
    ),
];

fn format(call: &Call, args: &[Value]) -> Result<Value> {
    let format = string(args, 0)?;
    let (ty, micros, offset) = match any(args, 1) {
        Value::Date(days) => (Type::Date, i64::from(*days) * DAY_MICROS, 0),
        Value::Time(micros) => (Type::Time, *micros, 0),
        Value::Datetime(micros) => (Type::Datetime, *micros, 0),
        Value::Timestamp(micros) => {
            let zone = optional_string(args, 2)?.map_or_else(|| default_zone(call.ctx), named_zone)?;
            let offset = civil::offset_seconds(&zone, *micros);
            (Type::Timestamp, micros + i64::from(offset) * 1_000_000, offset)
        }
        other => return Err(SqlError::internal(format!("FORMAT_* of {other:?}"))),
    };
    Ok(Value::string(strftime(format, &ty, micros, offset)))
}

/// What the format's elements say about a civil time; elements that the type lacks, and unknown ones, stay as they are.
pub(crate) fn strftime(format: &str, ty: &Type, micros: i64, offset: i32) -> String {
    let parts = civil::civil(micros);
    let days = micros.div_euclid(DAY_MICROS);
    let mut out = String::with_capacity(format.len() * 2);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let rest = chars.as_str();
        let Some(element) = chars.next() else {
            out.push('%');
            break;
        };
        if element == 'E' {
            let extended = rest.get(1..).unwrap_or_default();
            if let Some(width) = extended_element(extended, ty, &parts, offset, &mut out) {
                chars = extended.get(width..).unwrap_or_default().chars();
                continue;
            }
            // The locale's alternative: the same in English.
            match chars.next() {
                Some(next) => {
                    if !one(next, ty, &parts, days, micros, offset, &mut out) {
                        out.push_str("%E");
                        out.push(next);
                    }
                }
                None => out.push_str("%E"),
            }
            continue;
        }
        if element == 'O' {
            // The locale's digits: the same in English.
            match chars.clone().next() {
                Some(next)
                    if "deHImMSuUVwWy".contains(next) && one(next, ty, &parts, days, micros, offset, &mut out) =>
                {
                    chars.next();
                }
                _ => out.push_str("%O"),
            }
            continue;
        }
        if element == ':'
            && let Some(width) = colon_offset(rest, ty, offset, &mut out)
        {
            chars = rest.get(width..).unwrap_or_default().chars();
            continue;
        }
        if let Some(flagged) = Flagged::read(rest) {
            let mut plain = String::new();
            if one(flagged.element, &Type::Datetime, &parts, days, micros, offset, &mut plain) {
                flagged.write(&plain, &mut out);
                chars = rest.get(flagged.length..).unwrap_or_default().chars();
                continue;
            }
        }
        if !one(element, ty, &parts, days, micros, offset, &mut out) {
            out.push('%');
            out.push(element);
        }
    }
    out
}

/// `%:z` (`+05:30`), `%::z` (with seconds), `%:::z` (as short as it can be): how many characters it takes.
fn colon_offset(rest: &str, ty: &Type, offset: i32, out: &mut String) -> Option<usize> {
    let colons = rest.bytes().take_while(|byte| *byte == b':').count();
    if *ty != Type::Timestamp || rest.as_bytes().get(colons) != Some(&b'z') || colons > 3 {
        return None;
    }
    let (hours, minutes, seconds) = (offset.abs() / 3600, offset.abs() / 60 % 60, offset.abs() % 60);
    out.push_str(&format!("{}{hours:02}", if offset < 0 { '-' } else { '+' }));
    if colons < 3 || minutes != 0 || seconds != 0 {
        out.push_str(&format!(":{minutes:02}"));
    }
    if colons == 2 || colons == 3 && seconds != 0 {
        out.push_str(&format!(":{seconds:02}"));
    }
    Some(colons + 1)
}

/// An element with the C library's flags (`-` no padding, `_` spaces, `0` zeros, `^` and `#` letter case) and width.
struct Flagged {
    element: char,
    padding: Option<char>,
    case: Option<char>,
    width: Option<usize>,
    /// Characters behind the `%`.
    length: usize,
}

impl Flagged {
    const NUMBERS: &str = "CdegGHIjklmMSuUVwWyY";
    const WORDS: &str = "aAbBcDFhnpPrRtTxX";

    fn read(rest: &str) -> Option<Flagged> {
        let (mut padding, mut case) = (None, None);
        let flags = rest.find(|c: char| !matches!(c, '-' | '_' | '0' | '^' | '#'))?;
        for flag in rest[..flags].chars() {
            match flag {
                '^' | '#' => case = Some(flag),
                _ => padding = Some(flag),
            }
        }
        let digits = rest[flags..].bytes().take_while(u8::is_ascii_digit).count();
        if flags + digits == 0 {
            return None;
        }
        let width: Option<usize> = rest[flags..flags + digits].parse().ok();
        let element = rest[flags + digits..].chars().next()?;
        let known = (Self::NUMBERS.contains(element) || Self::WORDS.contains(element))
            && width.is_none_or(|width| width <= 1024);
        known.then_some(Flagged { element, padding, case, width, length: flags + digits + 1 })
    }

    fn write(&self, plain: &str, out: &mut String) {
        let is_number = Self::NUMBERS.contains(self.element);
        let bare = match plain.trim_start_matches([' ', '0']) {
            _ if !is_number => plain,
            "" => "0",
            bare => bare,
        };
        let usual = if is_number && !matches!(self.element, 'e' | 'k' | 'l') { '0' } else { ' ' };
        let (fill, width) = match self.padding {
            Some('-') => (' ', self.width.unwrap_or(0)),
            Some('_') => (' ', self.width.unwrap_or(plain.len())),
            Some(_) => ('0', self.width.unwrap_or(plain.len())),
            None => (usual, self.width.unwrap_or(plain.len())),
        };
        out.extend(std::iter::repeat_n(fill, width.saturating_sub(bare.len())));
        match (self.case, self.element) {
            (Some('#'), 'p') => out.push_str(&bare.to_ascii_lowercase()),
            (Some(_), 'P') | (None, _) => out.push_str(bare),
            (Some('#'), 'c' | 'D' | 'r' | 'x' | 'X') => out.push_str(bare),
            _ => out.push_str(&bare.to_ascii_uppercase()),
        }
    }
}

/// `%Ez`, `%E4Y`, `%E#S`, `%E*S`: how many characters behind the `E` it takes.
fn extended_element(rest: &str, ty: &Type, parts: &Civil, offset: i32, out: &mut String) -> Option<usize> {
    if rest.starts_with('z') && *ty == Type::Timestamp {
        let sign = if offset < 0 { '-' } else { '+' };
        out.push_str(&format!("{sign}{:02}:{:02}", offset.abs() / 3600, offset.abs() / 60 % 60));
        return Some(1);
    }
    if rest.starts_with("4Y") && *ty != Type::Time {
        out.push_str(&format!("{:04}", parts.year));
        return Some(2);
    }
    if rest.starts_with("*S") && *ty != Type::Date {
        let fraction = format!("{:06}", parts.micros);
        let fraction = fraction.trim_end_matches('0');
        out.push_str(&format!("{:02}{}{fraction}", parts.second, if fraction.is_empty() { "" } else { "." }));
        return Some(2);
    }
    if rest.starts_with("*f") {
        let fraction = format!("{:06}", parts.micros);
        let fraction = fraction.trim_end_matches('0');
        out.push_str(if fraction.is_empty() { "0" } else { fraction });
        return Some(2);
    }
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    // Eighteen digits at most.
    let digits = rest.get(..length)?.parse::<usize>().ok()?.min(18);
    let fraction = format!("{:06}{}", parts.micros, "0".repeat(12));
    let fraction = fraction.get(..digits).unwrap_or(&fraction);
    match rest.as_bytes().get(length) {
        Some(b'S') if *ty != Type::Date => {
            out.push_str(&format!("{:02}{}{fraction}", parts.second, if digits > 0 { "." } else { "" }));
        }
        Some(b'f') => out.push_str(fraction),
        _ => return None,
    }
    Some(length + 1)
}

fn one(element: char, ty: &Type, parts: &Civil, days: i64, micros: i64, offset: i32, out: &mut String) -> bool {
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
    );
    let is_time = matches!(element, 'H' | 'I' | 'k' | 'l' | 'M' | 'P' | 'p' | 'R' | 'r' | 'S' | 'T' | 'X');
    if is_date && *ty == Type::Time || is_time && *ty == Type::Date {
        return false;
    }
    if matches!(element, 'c') && matches!(ty, Type::Date | Type::Time) {
        return false;
    }
    if matches!(element, 'Z' | 'z' | 's') && *ty != Type::Timestamp {
        return false;
    }
    let weekday = DAYS.get((civil::day_of_week(days) - 1) as usize).copied().unwrap_or_default();
    let month = MONTHS.get((parts.month - 1) as usize).copied().unwrap_or_default();
    let hour12 = (parts.hour + 11) % 12 + 1;
    let two = |value: i64| format!("{value:02}");
    let text = match element {
        'A' => weekday.to_string(),
        'a' => weekday[..3].to_string(),
        'B' => month.to_string(),
        'b' | 'h' => month[..3].to_string(),
        'C' => (parts.year / 100).to_string(),
        'c' => format!(
            "{} {} {:>2} {:02}:{:02}:{:02} {}",
            &weekday[..3],
            &month[..3],
            parts.day,
            parts.hour,
            parts.minute,
            parts.second,
            parts.year
        ),
        'D' | 'x' => format!("{:02}/{:02}/{:02}", parts.month, parts.day, parts.year % 100),
        'd' => two(parts.day),
        'e' => format!("{:>2}", parts.day),
        'F' => format!("{}-{:02}-{:02}", parts.year, parts.month, parts.day),
        'G' => civil::iso_week(days).0.to_string(),
        'g' => two(civil::iso_week(days).0.rem_euclid(100)),
        'H' => two(parts.hour),
        'I' => two(hour12),
        'J' => format!("{:03}", days - civil::iso_year_start(civil::iso_week(days).0) + 1),
        'j' => format!("{:03}", civil::day_of_year(days)),
        'k' => format!("{:>2}", parts.hour),
        'l' => format!("{hour12:>2}"),
        'M' => two(parts.minute),
        'm' => two(parts.month),
        'n' => "\n".to_string(),
        'P' => if parts.hour < 12 { "am" } else { "pm" }.to_string(),
        'p' => if parts.hour < 12 { "AM" } else { "PM" }.to_string(),
        'Q' => ((parts.month + 2) / 3).to_string(),
        'R' => format!("{:02}:{:02}", parts.hour, parts.minute),
        'r' => {
            format!("{hour12:02}:{:02}:{:02} {}", parts.minute, parts.second, if parts.hour < 12 { "AM" } else { "PM" })
        }
        'S' => two(parts.second),
        's' => (micros.div_euclid(1_000_000) - i64::from(offset)).to_string(),
        'T' | 'X' => format!("{:02}:{:02}:{:02}", parts.hour, parts.minute, parts.second),
        't' => "\t".to_string(),
        'U' => two(civil::week_of_year(days, 1)),
        'u' => ((civil::day_of_week(days) + 5) % 7 + 1).to_string(),
        'V' => two(civil::iso_week(days).1),
        'W' => two(civil::week_of_year(days, 2)),
        'w' => (civil::day_of_week(days) - 1).to_string(),
        'Y' => parts.year.to_string(),
        'y' => two(parts.year.rem_euclid(100)),
        'Z' => {
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
            match (hours, minutes) {
                (0, 0) => "UTC".to_string(),
                (hours, 0) => format!("UTC{sign}{hours}"),
                (hours, minutes) => format!("UTC{sign}{hours:02}{minutes:02}"),
            }
        }
        'z' => format!("{}{:02}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3600, offset.abs() / 60 % 60),
        '%' => "%".to_string(),
        _ => return false,
    };
    out.push_str(&text);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_print_as_documented() {
        let moment = civil::parse_datetime("2008-12-25 15:30:00.120000").expect("a datetime");
        let shown = |format: &str| strftime(format, &Type::Timestamp, moment, -28_800);
        assert_eq!(shown("%c"), "Thu Dec 25 15:30:00 2008");
        assert_eq!(shown("%A %b %e %Y %I %p %l:%M"), "Thursday Dec 25 2008 03 PM  3:30");
        assert_eq!(shown("%E*S %E3S %E0S %Ez %z %Z"), "00.12 00.120 00 -08:00 -0800 UTC-8");
        assert_eq!(shown("%G-W%V-%u %j %Q %U %W %s"), "2008-W52-4 360 4 51 51 1230247800");
        assert_eq!(strftime("%Y-%m-%d", &Type::Date, civil::DATE_MIN * DAY_MICROS, 0), "1-01-01");
        assert_eq!(strftime("%H %%", &Type::Date, 0, 0), "%H %");
    }

    #[test]
    fn flags_and_widths_are_the_c_librarys() {
        let day = civil::parse_datetime("2008-02-05 05:04:03.120000").expect("a datetime");
        let shown = |format: &str| strftime(format, &Type::Timestamp, day, 0);
        assert_eq!(
            shown("%-d|%_d|%0e|%-e|%10Y|%05d|%_j|%-j|%5d|%-5d"),
            "5| 5|05|5|0000002008|00005| 36|36|00005|    5"
        );
        assert_eq!(
            shown("%^a|%^B|%#B|%^c|%#p|%^P|%-F|%3n|"),
            "TUE|FEBRUARY|FEBRUARY|TUE FEB  5 05:04:03 2008|am|am|2008-02-05|  \n|"
        );
        assert_eq!(strftime("%-H %_H", &Type::Date, day, 0), "5  5");
        assert_eq!(shown("%Oe|%OI|%OY|%E*f|%E3f|%E10S|%E20f"), " 5|05|%OY|12|120|03.1200000000|120000000000000000");
        let west = |format: &str| strftime(format, &Type::Timestamp, day, -28_378);
        assert_eq!(west("%:z|%::z|%:::z|%z"), "-07:52|-07:52:58|-07:52:58|-0752");
        assert_eq!(shown("%-Q|%-E4Y|%:d|%-"), "%-Q|%-E4Y|%:d|%-");
    }

    proptest! {
        #[test]
        fn no_format_panics(format in "[%A-Za-z0-9*#é ]{0,12}", micros in civil::MICROS_MIN..civil::MICROS_MAX) {
            let _ = strftime(&format, &Type::Timestamp, micros, 0);
        }
    }
}
