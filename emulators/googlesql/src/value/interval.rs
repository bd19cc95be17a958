//! INTERVAL: arithmetic, bounds, texts and their parsing.

use std::fmt;

use crate::error::{Result, SqlError};
use crate::value::Interval;

pub const MAX_MONTHS: i64 = 120_000;
pub const MAX_DAYS: i64 = 3_660_000;
pub const MAX_MICROS: i64 = 87_840_000 * 3_600 * 1_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

// `add` and its kin are checked, which the operators' traits cannot be.
#[allow(clippy::should_implement_trait)]
impl Interval {
    /// Checks the bounds of the three parts.
    pub fn checked(months: i64, days: i64, micros: i64) -> Result<Interval> {
        for (name, value, max) in
            [("months", months, MAX_MONTHS), ("days", days, MAX_DAYS), ("micros", micros, MAX_MICROS)]
        {
            if !(-max..=max).contains(&value) {
                return Err(SqlError::evaluation(format!(
                    "Interval field {name} '{value}' is out of range -{max} to {max}"
                )));
            }
        }
        Ok(Interval { months, days, micros })
    }

    /// For comparison: a month has 30 days and a day 24 hours.
    pub fn total_micros(&self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY_MICROS) + i128::from(self.micros)
    }

    pub fn add(&self, other: &Interval) -> Result<Interval> {
        Interval::checked(self.months + other.months, self.days + other.days, self.micros + other.micros)
    }

    pub fn sub(&self, other: &Interval) -> Result<Interval> {
        self.add(&other.neg())
    }

    pub fn neg(&self) -> Interval {
        Interval { months: -self.months, days: -self.days, micros: -self.micros }
    }

    pub fn mul(&self, factor: i64) -> Result<Interval> {
        let part = |value: i64| {
            value.checked_mul(factor).ok_or_else(|| SqlError::evaluation(format!("int64 overflow: {value} * {factor}")))
        };
        Interval::checked(part(self.months)?, part(self.days)?, part(self.micros)?)
    }

    /// Division by an integer: what is left of months becomes days (30 a month), of days microseconds.
    pub fn div(&self, divisor: i64) -> Result<Interval> {
        if divisor == 0 {
            return Err(SqlError::evaluation("Interval division by zero"));
        }
        let months = self.months.checked_div(divisor).unwrap_or_default();
        let days_total = self.days + self.months.wrapping_rem(divisor) * 30;
        let days = days_total.checked_div(divisor).unwrap_or_default();
        let micros_total =
            i128::from(self.micros) + i128::from(days_total.wrapping_rem(divisor)) * i128::from(DAY_MICROS);
        let micros = i64::try_from(micros_total / i128::from(divisor)).unwrap_or(i64::MAX);
        Interval::checked(months, days, micros)
    }

    /// JUSTIFY_HOURS: 24 hours become a day, signs agree.
    pub fn justify_hours(&self) -> Result<Interval> {
        let mut days = self.days + self.micros / DAY_MICROS;
        let mut micros = self.micros % DAY_MICROS;
        if days > 0 && micros < 0 {
            days -= 1;
            micros += DAY_MICROS;
        } else if days < 0 && micros > 0 {
            days += 1;
            micros -= DAY_MICROS;
        }
        Interval::checked(self.months, days, micros)
    }

    /// JUSTIFY_DAYS: 30 days become a month, signs agree.
    pub fn justify_days(&self) -> Result<Interval> {
        let mut months = self.months + self.days / 30;
        let mut days = self.days % 30;
        if months > 0 && days < 0 {
            months -= 1;
            days += 30;
        } else if months < 0 && days > 0 {
            months += 1;
            days -= 30;
        }
        Interval::checked(months, days, self.micros)
    }

    /// JUSTIFY_INTERVAL: both, with one sign throughout.
    pub fn justify(&self) -> Result<Interval> {
        let total = self.total_micros();
        let day = i128::from(DAY_MICROS);
        let micros = (total % day) as i64;
        let all_days = total / day;
        Interval::checked((all_days / 30) as i64, (all_days % 30) as i64, micros)
    }
}

/// `Y-M D H:M:S[.F]`, each of the three parts with its own sign.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |value: i64| if value < 0 { "-" } else { "" };
        let months = self.months.unsigned_abs();
        let micros = self.micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        write!(
            f,
            "{}{}-{} {} {}{}:{}:{}",
            sign(self.months),
            months / 12,
            months % 12,
            self.days,
            sign(self.micros),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        f.write_str(&super::civil::fraction_text((micros % 1_000_000) as i64))
    }
}

/// The parts of an interval literal, greatest first.
const PARTS: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];

fn invalid(text: &str, why: &str) -> SqlError {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    SqlError::evaluation(format!("Invalid INTERVAL value '{text}'{why}"))
}

/// `INTERVAL n part`.
pub fn from_part(amount: i64, part: &str) -> Result<Interval> {
    let overflow = || SqlError::evaluation(format!("Interval value {amount} {part} is out of range"));
    let times = |factor: i64| amount.checked_mul(factor).ok_or_else(overflow);
    match part {
        "YEAR" => Interval::checked(times(12)?, 0, 0),
        "QUARTER" => Interval::checked(times(3)?, 0, 0),
        "MONTH" => Interval::checked(amount, 0, 0),
        "WEEK" => Interval::checked(0, times(7)?, 0),
        "DAY" => Interval::checked(0, amount, 0),
        "HOUR" => Interval::checked(0, 0, times(3_600_000_000)?),
        "MINUTE" => Interval::checked(0, 0, times(60_000_000)?),
        "SECOND" => Interval::checked(0, 0, times(1_000_000)?),
        "MILLISECOND" => Interval::checked(0, 0, times(1_000)?),
        "MICROSECOND" => Interval::checked(0, 0, amount),
        _ => Err(SqlError::evaluation(format!("Invalid interval datetime part: {part}"))),
    }
}

/// `INTERVAL 'text' from [TO to]`.
pub fn parse_parts(text: &str, from: &str, to: Option<&str>) -> Result<Interval> {
    let first = PARTS.iter().position(|part| *part == from);
    let Some(to) = to else {
        if from == "SECOND" {
            return Ok(Interval { micros: seconds(text).ok_or_else(|| invalid(text, ""))?, ..Interval::default() });
        }
        let amount = text.trim().parse().map_err(|_| invalid(text, ""))?;
        return from_part(amount, from);
    };
    let last = PARTS.iter().position(|part| *part == to);
    let (Some(first), Some(last)) = (first, last) else { return Err(invalid(text, "")) };
    if first >= last {
        return Err(invalid(text, ""));
    }
    let mut result = Interval::default();
    let mut sections: Vec<(usize, usize)> = Vec::new();
    for (start, end) in [(0, 1), (2, 2), (3, 5)] {
        let (start, end) = (first.max(start), last.min(end));
        if start <= end {
            sections.push((start, end));
        }
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.len() != sections.len() {
        return Err(invalid(text, ""));
    }
    for (word, (start, end)) in words.iter().zip(sections) {
        let (sign, body) = match word.strip_prefix('-') {
            Some(body) => (-1, body),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let pieces: Vec<&str> = body.split(if start < 2 { '-' } else { ':' }).collect();
        if pieces.len() != end - start + 1 {
            return Err(invalid(text, ""));
        }
        for (piece, part) in pieces.iter().zip(start..=end) {
            let parsed = if part == 5 {
                if piece.starts_with(['-', '+']) { None } else { seconds(piece) }
            } else {
                Some(piece)
                    .filter(|piece| piece.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(|piece| piece.parse().ok())
            };
            let amount: i64 = parsed.ok_or_else(|| invalid(text, ""))?;
            let one = if part == 5 {
                Interval::checked(0, 0, sign * amount)?
            } else {
                from_part(sign * amount, PARTS[part])?
            };
            result = result.add(&one)?;
        }
    }
    Ok(result)
}

/// Seconds with up to six decimals, as microseconds.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 6 {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    let micros = whole.checked_mul(1_000_000)?.checked_add(fraction)?;
    Some(if negative { -micros } else { micros })
}

/// CAST(text AS INTERVAL): the canonical form, any run of parts that is unambiguous, or ISO 8601 (`P1Y2M3DT4H5M6S`).
pub fn parse(text: &str) -> Result<Interval> {
    if text.starts_with(['P', 'p']) {
        return parse_iso(text);
    }
    let words: Vec<&str> = text.split(' ').collect();
    let colons = text.matches(':').count();
    let body = |word: &str| word.trim_start_matches(['-', '+']).to_string();
    let dashed = words.first().is_some_and(|word| body(word).contains('-'));
    let (from, to) = match (words.len(), dashed, colons) {
        (1, true, 0) => ("YEAR", "MONTH"),
        (2, true, 0) => ("YEAR", "DAY"),
        (3, true, 2) => ("YEAR", "SECOND"),
        (2, false, 2) => ("DAY", "SECOND"),
        (1, false, 2) => ("HOUR", "SECOND"),
        _ => return Err(invalid(text, "")),
    };
    parse_parts(text, from, Some(to))
}

fn parse_iso(text: &str) -> Result<Interval> {
    let mut result = Interval::default();
    let mut in_time = false;
    let mut rest = text.get(1..).unwrap_or_default();
    let mut any = false;
    while let Some(first) = rest.chars().next() {
        if first == 'T' && !in_time {
            in_time = true;
            rest = &rest[1..];
            if rest.is_empty() {
                return Err(invalid(text, "At least one time part must be present after 'T'"));
            }
            continue;
        }
        let number_len = rest
            .char_indices()
            .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || *c == ',' || *at == 0 && (*c == '-' || *c == '+')))
            .map_or(rest.len(), |(at, _)| at);
        let (number, tail) = rest.split_at(number_len);
        if number.trim_start_matches(['-', '+']).is_empty() {
            return Err(match tail.chars().next() {
                Some(c) => invalid(text, &format!("Unexpected '{c}'")),
                None => invalid(text, "Expected number at end of string"),
            });
        }
        let Some(unit) = tail.chars().next() else {
            return Err(invalid(text, "Unexpected end of input in the time portion"));
        };
        let unexpected = || invalid(text, &format!("Unexpected '{unit}'"));
        let part = match (unit, in_time) {
            ('Y', false) => "YEAR",
            ('M', false) => "MONTH",
            ('W', false) => "WEEK",
            ('D', false) => "DAY",
            ('H', true) => "HOUR",
            ('M', true) => "MINUTE",
            ('S', true) => {
                let micros = seconds(&number.replace(',', ".")).ok_or_else(unexpected)?;
                result = result.add(&Interval::checked(0, 0, micros)?)?;
                any = true;
                rest = &tail[1..];
                continue;
            }
            _ => return Err(unexpected()),
        };
        let amount: i64 = number.parse().map_err(|_| unexpected())?;
        result = result.add(&from_part(amount, part)?)?;
        any = true;
        rest = &tail[unit.len_utf8()..];
    }
    if any {
        Ok(result)
    } else {
        Err(invalid(text, "At least one datetime part must be defined in the ISO8601 duration"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_have_three_signed_parts() {
        let show = |months, days, micros| Interval { months, days, micros }.to_string();
        assert_eq!(show(14, 3, 14_706_789_000), "1-2 3 4:5:6.789");
        assert_eq!(show(-14, -3, -1), "-1-2 -3 -0:0:0.000001");
        assert_eq!(show(0, 0, 0), "0-0 0 0:0:0");
    }

    #[test]
    fn casts_read_every_documented_form() {
        for (text, canonical) in [
            ("1-2 3 4:5:6.789", "1-2 3 4:5:6.789"),
            ("-1-2", "-1-2 0 0:0:0"),
            ("1-2 3", "1-2 3 0:0:0"),
            ("3 4:5:6", "0-0 3 4:5:6"),
            ("-4:5:6.5", "0-0 0 -4:5:6.500"),
            ("P1Y2M3DT4H5M6.789S", "1-2 3 4:5:6.789"),
            ("P-1Y-2W", "-1-0 -14 0:0:0"),
        ] {
            assert_eq!(parse(text).expect(text).to_string(), canonical);
        }
        assert_eq!(parse("P-").unwrap_err().message, "Invalid INTERVAL value 'P-': Expected number at end of string");
        assert_eq!(parse("P1Y2M<3D").unwrap_err().message, "Invalid INTERVAL value 'P1Y2M<3D': Unexpected '<'");
    }

    #[test]
    fn justify_makes_signs_agree() {
        let text = |interval: Result<Interval>| interval.expect("in range").to_string();
        assert_eq!(text(Interval { months: 0, days: 1, micros: -3_600_000_000 }.justify_hours()), "0-0 0 23:0:0");
        assert_eq!(text(Interval { months: 1, days: -1, micros: 0 }.justify_days()), "0-0 29 0:0:0");
        assert_eq!(text(Interval { months: 0, days: 29, micros: 90_000_000_000 }.justify()), "0-1 0 1:0:0");
        assert_eq!(text(Interval { months: 1, days: 0, micros: 0 }.div(4)), "0-0 7 12:0:0");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+P0-9YMWDTHS:. ,<]{0,16}") {
            let _ = parse(&text);
            let _ = parse_parts(&text, "YEAR", Some("SECOND"));
        }

        #[test]
        fn the_canonical_text_reads_back(months in -120_000i64..120_000, days in -3_660_000i64..3_660_000, micros in -MAX_MICROS..MAX_MICROS) {
            let interval = Interval { months, days, micros };
            prop_assert_eq!(parse(&interval.to_string()).expect("canonical"), interval);
        }
    }
}
