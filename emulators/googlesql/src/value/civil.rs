//! Civil time: calendar arithmetic, the texts of DATE, TIME, DATETIME and TIMESTAMP, time zones.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// 0001-01-01 and 9999-12-31 in days since 1970-01-01.
pub const DATE_MIN: i64 = -719_162;
pub const DATE_MAX: i64 = 2_932_896;
pub const DAY_MICROS: i64 = 86_400_000_000;
/// The bounds of DATETIME and TIMESTAMP, microseconds since 1970-01-01 00:00:00.
pub const MICROS_MIN: i64 = DATE_MIN * DAY_MICROS;
pub const MICROS_MAX: i64 = (DATE_MAX + 1) * DAY_MICROS - 1;

/// A civil date and time taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

/// Days since 1970-01-01 of a proleptic Gregorian date; month and day must be in range.
pub fn days_from_ymd(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month, day.
pub fn ymd_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A valid date of years 1 to 9999.
pub fn checked_date(year: i64, month: i64, day: i64) -> Option<i32> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    i32::try_from(days_from_ymd(year, month, day)).ok()
}

/// Microseconds since midnight of a valid time.
pub fn checked_time(hour: i64, minute: i64, second: i64, micros: i64) -> Option<i64> {
    ((0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..1_000_000).contains(&micros))
    .then(|| ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// A DATE within its bounds.
pub fn date_in_range(days: i64) -> Option<i32> {
    (DATE_MIN..=DATE_MAX).contains(&days).then_some(days as i32)
}

/// DATETIME or TIMESTAMP microseconds within their bounds.
pub fn micros_in_range(micros: i64) -> Option<i64> {
    (MICROS_MIN..=MICROS_MAX).contains(&micros).then_some(micros)
}

/// Takes DATETIME's microseconds apart.
pub fn civil(micros: i64) -> Civil {
    let (year, month, day) = ymd_from_days(micros.div_euclid(DAY_MICROS));
    let time = micros.rem_euclid(DAY_MICROS);
    let seconds = time / 1_000_000;
    Civil {
        year,
        month,
        day,
        hour: seconds / 3600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        micros: time % 1_000_000,
    }
}

/// 1 is Sunday, 7 Saturday, as EXTRACT(DAYOFWEEK) counts.
pub fn day_of_week(days: i64) -> i64 {
    (days + 4).rem_euclid(7) + 1
}

/// From 1.
pub fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = ymd_from_days(days);
    days - days_from_ymd(year, 1, 1) + 1
}

/// ISO year and week.
pub fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, _, _) = ymd_from_days(thursday);
    (year, (thursday - days_from_ymd(year, 1, 1)) / 7 + 1)
}

/// Monday of the ISO year's first week.
pub fn iso_year_start(year: i64) -> i64 {
    let fourth = days_from_ymd(year, 1, 4);
    fourth - (fourth + 3).rem_euclid(7)
}

/// The week of the year, 0 to 53; weeks begin on `first` (1 Sunday … 7 Saturday), days before the first such day are week 0.
pub fn week_of_year(days: i64, first: i64) -> i64 {
    let since = (day_of_week(days) - first).rem_euclid(7);
    (day_of_year(days) + 6 - since) / 7
}

/// The last day not after `days` that is the weekday `first` (1 Sunday … 7 Saturday).
pub fn week_start(days: i64, first: i64) -> i64 {
    days - (day_of_week(days) - first).rem_euclid(7)
}

/// `days` moved by months; a day past the month's end becomes its last.
pub fn add_months(days: i64, months: i64) -> Option<i64> {
    let (year, month, day) = ymd_from_days(days);
    let index = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(months)?;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
    if !(1..=9999).contains(&year) {
        return None;
    }
    Some(days_from_ymd(year, month, day.min(days_in_month(year, month))))
}

/// `.123`, `.123456` or nothing.
pub fn fraction_text(micros: i64) -> String {
    if micros == 0 {
        String::new()
    } else if micros % 1000 == 0 {
        format!(".{:03}", micros / 1000)
    } else {
        format!(".{micros:06}")
    }
}

pub fn date_text(days: i32) -> String {
    let (year, month, day) = ymd_from_days(i64::from(days));
    format!("{year:04}-{month:02}-{day:02}")
}

pub fn time_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let fraction = fraction_text(micros % 1_000_000);
    format!("{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `separator` is a space in casts and `T` in JSON.
pub fn datetime_text(micros: i64, separator: char) -> String {
    let days = micros.div_euclid(DAY_MICROS);
    format!("{}{separator}{}", date_text(days as i32), time_text(micros.rem_euclid(DAY_MICROS)))
}

/// `2024-01-02 03:04:05.678+00` in `zone`.
pub fn timestamp_text(micros: i64, zone: &TimeZone) -> String {
    let offset = offset_seconds(zone, micros);
    format!("{}{}", datetime_text(micros + i64::from(offset) * 1_000_000, ' '), offset_text(offset))
}

/// `+00`, `-08`, `+05:30`.
pub fn offset_text(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    if minutes.is_multiple_of(60) {
        format!("{sign}{:02}", minutes / 60)
    } else {
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A zone by name (`America/New_York`, `UTC`) or offset (`+2`, `-07:30`).
pub fn time_zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    if name.starts_with(['+', '-']) {
        let seconds = parse_offset(name)?;
        return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
    }
    if name.is_empty() {
        return None;
    }
    // Names are spelled one way only; `UTC+5` and its like are offsets.
    if let Some(offset) = name.strip_prefix("UTC").filter(|rest| rest.starts_with(['+', '-'])) {
        return time_zone(offset);
    }
    TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}

/// `+H`, `+HH`, `+H:MM`, `+HH:MM`, `+HHMM`, up to 14 hours.
fn parse_offset(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let body = text.get(1..)?;
    let (hours, minutes) = match body.split_once(':') {
        Some(parts) => parts,
        None if body.len() > 2 => body.split_at_checked(2)?,
        None => (body, "0"),
    };
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours * 60 + minutes <= 14 * 60 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

/// The zone's offset from UTC at an instant, in seconds east.
pub fn offset_seconds(zone: &TimeZone, micros: i64) -> i32 {
    if zone == &TimeZone::UTC {
        return 0;
    }
    // The last days of year 9999 are beyond what the zone's rules can be asked for; no zone changes within them.
    let instant = micros.min(jiff::Timestamp::MAX.as_microsecond() - 20 * DAY_MICROS);
    jiff::Timestamp::from_microsecond(instant).map_or(0, |instant| zone.to_offset(instant).seconds())
}

/// The civil time in `zone` at an instant, where it is within years 1 to 9999.
pub fn to_civil_checked(zone: &TimeZone, micros: i64) -> Option<i64> {
    micros_in_range(to_civil(zone, micros))
}

/// The civil time in `zone` at an instant.
pub fn to_civil(zone: &TimeZone, micros: i64) -> i64 {
    micros + i64::from(offset_seconds(zone, micros)) * 1_000_000
}

/// The instant of a civil time in `zone`; in a gap or overlap the offset before the change counts.
pub fn to_instant(zone: &TimeZone, datetime: i64) -> Option<i64> {
    if zone == &TimeZone::UTC {
        return micros_in_range(datetime);
    }
    let parts = civil(datetime);
    let date_time = DateTime::new(
        parts.year as i16,
        parts.month as i8,
        parts.day as i8,
        parts.hour as i8,
        parts.minute as i8,
        parts.second as i8,
        (parts.micros * 1000) as i32,
    )
    .ok()?;
    let offset = match zone.to_ambiguous_timestamp(date_time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    micros_in_range(datetime - i64::from(offset.seconds()) * 1_000_000)
}

/// Reads from the front of a text.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let length = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if length < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        digits.parse().ok()
    }

    fn eat(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }

    fn date(&mut self) -> Option<i32> {
        let year = self.number(4, 5)?;
        self.eat('-')?;
        let month = self.number(1, 2)?;
        self.eat('-')?;
        let day = self.number(1, 2)?;
        checked_date(year, month, day)
    }

    /// `H:M:S[.F]`; at most six decimals. A leap second counts as the next minute's first.
    fn time(&mut self) -> Option<i64> {
        let hour = self.number(1, 2)?;
        self.eat(':')?;
        let minute = self.number(1, 2)?;
        self.eat(':')?;
        let second = self.number(1, 2)?;
        let mut micros = 0;
        if self.rest.starts_with('.') {
            self.eat('.')?;
            let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=6).contains(&length) {
                return None;
            }
            let digits = self.number(1, 6)?;
            micros = digits * 10i64.pow(6 - length as u32);
        }
        if second == 60 && (0..24).contains(&hour) && (0..60).contains(&minute) {
            return Some(((hour * 60 + minute) * 60 + 60) * 1_000_000);
        }
        checked_time(hour, minute, second, micros)
    }

    /// Date with an optional time behind a space or `T`.
    fn datetime(&mut self) -> Option<i64> {
        let date = i64::from(self.date()?) * DAY_MICROS;
        let mut chars = self.rest.chars();
        if matches!(chars.next(), Some(' ' | 'T' | 't')) && chars.next().is_some_and(|c| c.is_ascii_digit()) {
            self.rest = &self.rest[1..];
            return micros_in_range(date + self.time()?);
        }
        Some(date)
    }
}

/// `YYYY-[M]M-[D]D`.
pub fn parse_date(text: &str) -> Option<i32> {
    let mut reader = Reader { rest: text };
    reader.date().filter(|_| reader.rest.is_empty())
}

/// `[H]H:[M]M:[S]S[.F]`.
pub fn parse_time(text: &str) -> Option<i64> {
    let mut reader = Reader { rest: text };
    let text = text.strip_prefix(['T', 't']).unwrap_or(text);
    reader.rest = text;
    reader.time().filter(|time| reader.rest.is_empty() && *time < DAY_MICROS)
}

/// `YYYY-[M]M-[D]D[( |T)[H]H:[M]M:[S]S[.F]]`.
pub fn parse_datetime(text: &str) -> Option<i64> {
    let mut reader = Reader { rest: text };
    reader.datetime().filter(|_| reader.rest.is_empty())
}

/// A DATETIME's text with an optional zone behind it: `Z`, an offset, or a space and a name.
pub fn parse_timestamp(text: &str, default_zone: &TimeZone) -> Option<i64> {
    let mut reader = Reader { rest: text };
    let datetime = reader.datetime()?;
    let rest = reader.rest;
    if rest.is_empty() {
        return to_instant(default_zone, datetime);
    }
    // A zone follows a time of day only.
    if !text[..text.len() - rest.len()].contains(':') {
        return None;
    }
    if rest == "Z" || rest == "z" {
        return Some(datetime);
    }
    let zone = match rest.strip_prefix(' ') {
        // No space before an offset, one before a name.
        Some(name) if !name.starts_with([' ', '+', '-']) => time_zone(name)?,
        Some(_) => return None,
        None if rest.starts_with(['+', '-']) => time_zone(rest)?,
        None => return None,
    };
    to_instant(&zone, datetime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_calendar_agrees_with_itself_and_with_jiff() {
        for days in (DATE_MIN..=DATE_MAX).step_by(97) {
            let (year, month, day) = ymd_from_days(days);
            assert_eq!(days_from_ymd(year, month, day), days);
            let date = jiff::civil::Date::new(year as i16, month as i8, day as i8).expect("a date");
            assert_eq!(i64::from(date.day_of_year()), day_of_year(days));
            let iso = date.iso_week_date();
            assert_eq!((i64::from(iso.year()), i64::from(iso.week())), iso_week(days));
            assert_eq!(i64::from(date.weekday().to_sunday_one_offset()), day_of_week(days));
        }
        assert_eq!(
            (date_text(DATE_MIN as i32), date_text(DATE_MAX as i32)),
            ("0001-01-01".into(), "9999-12-31".into())
        );
    }

    #[test]
    fn timestamps_read_every_documented_form() {
        let utc = TimeZone::UTC;
        for (text, shown) in [
            ("2024-01-02 03:04:05.678+00", "2024-01-02 03:04:05.678+00"),
            ("2024-1-2T3:4:5Z", "2024-01-02 03:04:05+00"),
            ("2024-01-02", "2024-01-02 00:00:00+00"),
            ("2024-01-02 03:04:05 America/Los_Angeles", "2024-01-02 11:04:05+00"),
            ("2024-07-02 03:04:05-7", "2024-07-02 10:04:05+00"),
            ("2024-01-02 00:00:00+05:30", "2024-01-01 18:30:00+00"),
            ("2024-01-02 00:00:00+0530", "2024-01-01 18:30:00+00"),
            ("2024-01-02 00:00:00 UTC+5", "2024-01-01 19:00:00+00"),
            ("2024-01-02 03:04:05 UTC", "2024-01-02 03:04:05+00"),
        ] {
            assert_eq!(timestamp_text(parse_timestamp(text, &utc).expect(text), &utc), shown);
        }
        for bad in [
            "not a time",
            "2024-01-02 03:04:05.1234567",
            "2024-13-01",
            "2024-02-30",
            "2024-01-02 25:00:00",
            "2024-01-02 03:04",
        ] {
            assert_eq!(parse_timestamp(bad, &utc), None, "{bad}");
        }
    }

    #[test]
    fn a_skipped_hour_takes_the_offset_before_the_change() {
        let zone = time_zone("America/New_York").expect("known");
        let skipped = parse_datetime("2024-03-10 02:30:00").expect("a datetime");
        assert_eq!(
            timestamp_text(to_instant(&zone, skipped).expect("in range"), &TimeZone::UTC),
            "2024-03-10 07:30:00+00"
        );
        assert!(time_zone("Nowhere/Else").is_none());
        assert!(time_zone("+15").is_none());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-0-9T:. Z+a/é]{0,24}") {
            let _ = (parse_date(&text), parse_time(&text), parse_datetime(&text), parse_timestamp(&text, &TimeZone::UTC));
        }

        #[test]
        fn texts_read_back(micros in MICROS_MIN..=MICROS_MAX) {
            prop_assert_eq!(parse_datetime(&datetime_text(micros, ' ')), Some(micros));
            prop_assert_eq!(parse_timestamp(&timestamp_text(micros, &TimeZone::UTC), &TimeZone::UTC), Some(micros));
        }
    }
}
