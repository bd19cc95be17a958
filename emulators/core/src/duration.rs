//! Durations as people write them: `500ms`, `2s`, `1m30s`, `10m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A text that is no duration.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("`{0}` is not a duration: write a number and a unit, such as 500ms, 2s, 1m30s, 10m, 24h or 7d")]
pub struct DurationError(String);

/// Largest first; nanoseconds each.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads one or more pairs of number and unit (`d`, `h`, `m`, `s`, `ms`, `us`, `ns`); a number may
/// have a fraction, a plain `0` needs no unit.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let fail = || DurationError(text.chars().take(40).collect());
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(fail());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(fail)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic() && c != 'µ').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = if unit == "µs" { "us" } else { unit };
        let scale = UNITS.iter().find(|row| row.0 == unit).ok_or_else(fail)?.1;
        nanos = scaled(number, scale).and_then(|part| nanos.checked_add(part)).ok_or_else(fail)?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| fail())?;
    Ok(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// A decimal number times `scale`, digits below one nanosecond cut off.
fn scaled(number: &str, scale: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let scale = u128::from(scale);
    let nanos = whole.parse::<u128>().ok()?.checked_mul(scale)?;
    // The largest unit has 14 digits of nanoseconds: more digits of a fraction cannot count.
    let digits = fraction.get(..fraction.len().min(15))?;
    let part = if digits.is_empty() { 0 } else { digits.parse::<u128>().ok()? };
    nanos.checked_add(scale * part / 10_u128.pow(digits.len() as u32))
}

/// The shortest exact form that [`parse`] reads back: `1m30s`, `500ms`, `0s`.
pub fn format(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS {
        let count = left / u128::from(scale);
        left %= u128::from(scale);
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

/// A duration that TOML and JSON hold as such a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct HumaneDuration(pub Duration);

impl fmt::Display for HumaneDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(self.0))
    }
}

impl FromStr for HumaneDuration {
    type Err = DurationError;
    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(HumaneDuration)
    }
}

impl From<HumaneDuration> for Duration {
    fn from(duration: HumaneDuration) -> Duration {
        duration.0
    }
}

impl Serialize for HumaneDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumaneDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        parse(&text).map(HumaneDuration).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("1.5s", 1_500),
            ("10m", 600_000),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            ("0", 0),
            ("1000us", 1),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_clear() {
        for text in ["", "5", "s", "-1s", "1.s", ".5s", "1..5s", "1y", "5 s", "1.2.3s", "99999999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "\\PC{0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn number_soup_never_panics(text in "[0-9.]{0,35}(ms|s|m|h|d|ns|us|µs)?[0-9.smhd]{0,10}") {
            let _ = parse(&text);
        }

        #[test]
        fn format_and_parse_agree(seconds in any::<u64>(), nanos in 0_u32..1_000_000_000) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
