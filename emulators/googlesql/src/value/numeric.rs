//! NUMERIC and BIGNUMERIC: exact decimal arithmetic, rounding half away from zero, and their texts.
//!
//! Every operation answers `None` where the result does not fit; the caller knows the text of its error.

use std::fmt;

use bnum::cast::As;
use bnum::types::{I256, I512};

use crate::value::{BigNumeric, Numeric};

/// 10^9.
pub const NUMERIC_ONE: i128 = 1_000_000_000;
/// The largest scaled NUMERIC: 38 nines.
pub const NUMERIC_MAX: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;
pub const NUMERIC_SCALE: u32 = 9;
pub const BIGNUMERIC_SCALE: u32 = 38;

/// 10^`exponent` as a 512-bit integer; `exponent` at most 150.
pub(crate) fn ten_to(exponent: u32) -> I512 {
    10i64.as_::<I512>().pow(exponent.min(150))
}

fn wide(value: i128) -> I512 {
    value.as_::<I512>()
}

/// `a / b`, rounded half away from zero. `b` is not 0.
fn divide_rounding(a: I512, b: I512) -> I512 {
    let zero = I512::default();
    let quotient = a / b;
    let remainder = a % b;
    let twice = remainder.abs() + remainder.abs();
    if twice >= b.abs() {
        let one = 1i64.as_::<I512>();
        if (a < zero) != (b < zero) { quotient - one } else { quotient + one }
    } else {
        quotient
    }
}

fn to_numeric(value: I512) -> Option<Numeric> {
    (value.abs() <= wide(NUMERIC_MAX)).then(|| Numeric(value.as_::<i128>()))
}

fn to_big(value: I512) -> Option<BigNumeric> {
    let max = I256::MAX.as_::<I512>();
    let min = I256::MIN.as_::<I512>();
    (value <= max && value >= min).then(|| value.as_::<I256>())
}

/// The square root of a BIGNUMERIC, exact to its last decimal; `None` for negative ones.
pub fn big_sqrt(value: &BigNumeric) -> Option<BigNumeric> {
    let zero = I512::default();
    let one = 1i64.as_::<I512>();
    let wanted = (*value).as_::<I512>() * ten_to(BIGNUMERIC_SCALE);
    if wanted <= zero {
        return (wanted == zero).then(|| zero.as_::<I256>());
    }
    // Newton's steps from a power of two above the root come down to it.
    let bits = 512 - wanted.leading_zeros();
    let mut root = one << bits.div_ceil(2);
    loop {
        let next = (root + wanted / root) / 2i64.as_::<I512>();
        if next >= root {
            break;
        }
        root = next;
    }
    if wanted - root * root > root {
        root += one;
    }
    to_big(root)
}

// `add` and its kin answer `Option`, which the operators' traits cannot.
#[allow(clippy::should_implement_trait)]
impl Numeric {
    pub const MAX: Numeric = Numeric(NUMERIC_MAX);
    pub const MIN: Numeric = Numeric(-NUMERIC_MAX);
    pub const ZERO: Numeric = Numeric(0);

    /// From an already scaled integer.
    pub fn scaled(value: i128) -> Option<Numeric> {
        (-NUMERIC_MAX..=NUMERIC_MAX).contains(&value).then_some(Numeric(value))
    }

    /// The scaled integer.
    pub fn raw(self) -> i128 {
        self.0
    }

    pub fn from_i64(value: i64) -> Numeric {
        Numeric(i128::from(value) * NUMERIC_ONE)
    }

    pub fn add(self, other: Numeric) -> Option<Numeric> {
        Numeric::scaled(self.0.checked_add(other.0)?)
    }

    pub fn sub(self, other: Numeric) -> Option<Numeric> {
        Numeric::scaled(self.0.checked_sub(other.0)?)
    }

    pub fn mul(self, other: Numeric) -> Option<Numeric> {
        if let Some(product) = { self.0 }.checked_mul(other.0) {
            return Numeric::scaled(round_half_away(product, NUMERIC_ONE));
        }
        to_numeric(divide_rounding(wide(self.0) * wide(other.0), wide(NUMERIC_ONE)))
    }

    /// `None` also for division by zero, which the caller has excluded.
    pub fn div(self, other: Numeric) -> Option<Numeric> {
        if other.0 == 0 {
            return None;
        }
        to_numeric(divide_rounding(wide(self.0) * wide(NUMERIC_ONE), wide(other.0)))
    }

    pub fn neg(self) -> Numeric {
        Numeric(-self.0)
    }

    pub fn abs(self) -> Numeric {
        Numeric({ self.0 }.abs())
    }

    /// Integer division, truncating. `None` for a zero divisor or an overflow.
    pub fn div_trunc(self, other: Numeric) -> Option<Numeric> {
        Numeric::scaled({ self.0 }.checked_div(other.0)?.checked_mul(NUMERIC_ONE)?)
    }

    /// Remainder with the sign of `self`. `None` for a zero divisor.
    pub fn rem(self, other: Numeric) -> Option<Numeric> {
        Some(Numeric({ self.0 }.checked_rem(other.0)?))
    }

    /// Nearest FLOAT64.
    /// To the nearest 10^-9; `None` of a negative value.
    pub fn sqrt(self) -> Option<Numeric> {
        if self.0 <= 0 {
            return (self.0 == 0).then_some(self);
        }
        let wanted = wide(self.0) * wide(NUMERIC_ONE);
        // Newton's steps from a start that has half the digits already, then to the very integer.
        let mut root = wide((self.to_f64().sqrt() * NUMERIC_ONE as f64) as i128).max(wide(1));
        for _ in 0..4 {
            root = (root + wanted / root) / wide(2);
        }
        while root * root > wanted {
            root -= wide(1);
        }
        while (root + wide(1)) * (root + wide(1)) <= wanted {
            root += wide(1);
        }
        if wanted - root * root > root {
            root += wide(1);
        }
        to_numeric(root)
    }

    pub fn to_f64(self) -> f64 {
        let raw = self.0;
        if raw.unsigned_abs() < 1 << 53 { raw as f64 / 1e9 } else { self.to_string().parse().unwrap_or(f64::NAN) }
    }

    /// The decimal nearest to the exact binary value; `None` for NaN, infinity and overflow.
    pub fn from_f64(value: f64) -> Option<Numeric> {
        to_numeric(scale_float(value, NUMERIC_SCALE)?)
    }

    /// Rounded half away from zero.
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(round_half_away(self.0, NUMERIC_ONE)).ok()
    }

    /// ROUND(x, digits): half away from zero; negative digits round before the point.
    pub fn round(self, digits: i64) -> Option<Numeric> {
        if digits >= i64::from(NUMERIC_SCALE) {
            return Some(self);
        }
        if digits < -29 {
            return Some(Numeric::ZERO);
        }
        let unit = 10i128.pow((i64::from(NUMERIC_SCALE) - digits) as u32);
        Numeric::scaled(round_half_away(self.0, unit).checked_mul(unit)?)
    }

    /// ROUND(x, digits, "ROUND_HALF_EVEN").
    pub fn round_half_even(self, digits: i64) -> Option<Numeric> {
        if digits >= i64::from(NUMERIC_SCALE) {
            return Some(self);
        }
        if digits < -29 {
            return Some(Numeric::ZERO);
        }
        let unit = 10i128.pow((i64::from(NUMERIC_SCALE) - digits) as u32);
        let quotient = self.0 / unit;
        let remainder = self.0 % unit;
        let twice = remainder.unsigned_abs() * 2;
        let up = twice > unit.unsigned_abs() || (twice == unit.unsigned_abs() && quotient % 2 != 0);
        let step = if up { { self.0 }.signum() } else { 0 };
        Numeric::scaled((quotient + step).checked_mul(unit)?)
    }

    /// TRUNC(x, digits).
    pub fn trunc(self, digits: i64) -> Numeric {
        if digits >= i64::from(NUMERIC_SCALE) {
            return self;
        }
        if digits < -29 {
            return Numeric::ZERO;
        }
        let unit = 10i128.pow((i64::from(NUMERIC_SCALE) - digits) as u32);
        Numeric(self.0 / unit * unit)
    }

    pub fn ceil(self) -> Option<Numeric> {
        let floor = { self.0 }.div_euclid(NUMERIC_ONE);
        let up = i128::from({ self.0 }.rem_euclid(NUMERIC_ONE) != 0);
        Numeric::scaled((floor + up).checked_mul(NUMERIC_ONE)?)
    }

    pub fn floor(self) -> Option<Numeric> {
        Numeric::scaled({ self.0 }.div_euclid(NUMERIC_ONE).checked_mul(NUMERIC_ONE)?)
    }

    /// Reads `-12.5e3`. More digits after the point than fit are rounded, or with `strict` refused.
    pub fn parse(text: &str, strict: bool) -> Option<Numeric> {
        to_numeric(parse_scaled(text, NUMERIC_SCALE, strict)?)
    }

    pub fn to_big(self) -> BigNumeric {
        (wide(self.0) * ten_to(BIGNUMERIC_SCALE - NUMERIC_SCALE)).as_::<I256>()
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.0;
        f.write_str(&decimal_text(raw < 0, &raw.unsigned_abs().to_string(), NUMERIC_SCALE))
    }
}

fn round_half_away(value: i128, unit: i128) -> i128 {
    let quotient = value / unit;
    let remainder = value % unit;
    if remainder.unsigned_abs() * 2 >= unit.unsigned_abs() { quotient + value.signum() } else { quotient }
}

/// `digits` scaled by 10^`scale`, without trailing zeros after the point.
fn decimal_text(negative: bool, digits: &str, scale: u32) -> String {
    let scale = scale as usize;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if negative { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The exact value of a finite float times 10^scale, rounded half away from zero.
fn scale_float(value: f64, scale: u32) -> Option<I512> {
    if !value.is_finite() || value.abs() > 1e40 {
        return None;
    }
    let bits = value.to_bits();
    let raw_exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (mantissa, exponent) =
        if raw_exponent == 0 { (fraction, -1074) } else { (fraction | (1 << 52), raw_exponent - 1075) };
    let scaled = mantissa.as_::<I512>() * ten_to(scale);
    let magnitude = if exponent >= 0 {
        scaled.checked_shl(exponent as u32)?
    } else if exponent < -400 {
        I512::default()
    } else {
        divide_rounding(scaled, 1i64.as_::<I512>().checked_shl(exponent.unsigned_abs())?)
    };
    Some(if value < 0.0 { -magnitude } else { magnitude })
}

/// Reads a decimal text into an integer scaled by 10^scale.
fn parse_scaled(text: &str, scale: u32, strict: bool) -> Option<I512> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = &digits[leading..];
    if digits.is_empty() {
        return Some(I512::default());
    }
    // How many of the digits stand at or above the last scaled place.
    let kept = digits.len() as i64 - fraction.len() as i64 + exponent + i64::from(scale);
    if kept > 100 {
        return None;
    }
    let mut value = I512::default();
    let ten = 10i64.as_::<I512>();
    for index in 0..kept.max(0) {
        let digit = digits.get(index as usize).copied().unwrap_or(0);
        value = value * ten + i64::from(digit).as_::<I512>();
    }
    let dropped = digits.get(kept.max(0) as usize..).unwrap_or(&[]);
    if kept < 0 {
        if strict {
            return None;
        }
    } else if let Some(first) = dropped.first() {
        if strict && dropped.iter().any(|digit| *digit != 0) {
            return None;
        }
        if *first >= 5 {
            value += 1i64.as_::<I512>();
        }
    }
    Some(if negative { -value } else { value })
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude: i64 = digits.parse().unwrap_or(i64::from(i32::MAX)).min(i64::from(i32::MAX));
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// BIGNUMERIC's operations; the type is a plain 256-bit integer scaled by 10^38.
pub mod big {
    use super::*;

    fn up(value: &BigNumeric) -> I512 {
        (*value).as_::<I512>()
    }

    pub fn from_i64(value: i64) -> BigNumeric {
        value.as_::<I256>() * ten_to(BIGNUMERIC_SCALE).as_::<I256>()
    }

    pub fn add(a: &BigNumeric, b: &BigNumeric) -> Option<BigNumeric> {
        a.checked_add(*b)
    }

    pub fn sub(a: &BigNumeric, b: &BigNumeric) -> Option<BigNumeric> {
        a.checked_sub(*b)
    }

    pub fn mul(a: &BigNumeric, b: &BigNumeric) -> Option<BigNumeric> {
        to_big(divide_rounding(up(a) * up(b), ten_to(BIGNUMERIC_SCALE)))
    }

    /// `None` also for division by zero, which the caller has excluded.
    pub fn div(a: &BigNumeric, b: &BigNumeric) -> Option<BigNumeric> {
        if b.is_zero() {
            return None;
        }
        to_big(divide_rounding(up(a) * ten_to(BIGNUMERIC_SCALE), up(b)))
    }

    pub fn neg(a: &BigNumeric) -> Option<BigNumeric> {
        a.checked_neg()
    }

    pub fn abs(a: &BigNumeric) -> Option<BigNumeric> {
        a.checked_abs()
    }

    pub fn div_trunc(a: &BigNumeric, b: &BigNumeric) -> Option<BigNumeric> {
        if b.is_zero() {
            return None;
        }
        to_big(up(a) / up(b) * ten_to(BIGNUMERIC_SCALE))
    }

    pub fn rem(a: &BigNumeric, b: &BigNumeric) -> Option<BigNumeric> {
        if b.is_zero() {
            return None;
        }
        Some((up(a) % up(b)).as_::<I256>())
    }

    pub fn to_f64(a: &BigNumeric) -> f64 {
        to_text(a).parse().unwrap_or(f64::NAN)
    }

    pub fn from_f64(value: f64) -> Option<BigNumeric> {
        to_big(scale_float(value, BIGNUMERIC_SCALE)?)
    }

    /// Rounded half away from zero.
    pub fn to_i64(a: &BigNumeric) -> Option<i64> {
        i64::try_from(divide_rounding(up(a), ten_to(BIGNUMERIC_SCALE))).ok()
    }

    /// Rounded half away from zero.
    pub fn to_numeric(a: &BigNumeric) -> Option<Numeric> {
        super::to_numeric(divide_rounding(up(a), ten_to(BIGNUMERIC_SCALE - NUMERIC_SCALE)))
    }

    fn unit(digits: i64) -> Option<I512> {
        u32::try_from(i64::from(BIGNUMERIC_SCALE) - digits).ok().map(ten_to)
    }

    pub fn round(a: &BigNumeric, digits: i64) -> Option<BigNumeric> {
        if digits >= i64::from(BIGNUMERIC_SCALE) {
            return Some(*a);
        }
        if digits < -39 {
            return Some(BigNumeric::default());
        }
        let unit = unit(digits)?;
        to_big(divide_rounding(up(a), unit) * unit)
    }

    pub fn round_half_even(a: &BigNumeric, digits: i64) -> Option<BigNumeric> {
        if digits >= i64::from(BIGNUMERIC_SCALE) {
            return Some(*a);
        }
        if digits < -39 {
            return Some(BigNumeric::default());
        }
        let unit = unit(digits)?;
        let wide = up(a);
        let mut quotient = wide / unit;
        let remainder = (wide % unit).abs();
        let two = 2i64.as_::<I512>();
        if remainder * two > unit || (remainder * two == unit && !(quotient % two).is_zero()) {
            quotient += wide.signum();
        }
        to_big(quotient * unit)
    }

    pub fn trunc(a: &BigNumeric, digits: i64) -> Option<BigNumeric> {
        if digits >= i64::from(BIGNUMERIC_SCALE) {
            return Some(*a);
        }
        if digits < -39 {
            return Some(BigNumeric::default());
        }
        let unit = unit(digits)?;
        to_big(up(a) / unit * unit)
    }

    pub fn floor(a: &BigNumeric) -> Option<BigNumeric> {
        let unit = ten_to(BIGNUMERIC_SCALE);
        let wide = up(a);
        let mut quotient = wide / unit;
        if wide.is_negative() && !(wide % unit).is_zero() {
            quotient -= 1i64.as_::<I512>();
        }
        to_big(quotient * unit)
    }

    pub fn ceil(a: &BigNumeric) -> Option<BigNumeric> {
        let unit = ten_to(BIGNUMERIC_SCALE);
        let wide = up(a);
        let mut quotient = wide / unit;
        if wide.is_positive() && !(wide % unit).is_zero() {
            quotient += 1i64.as_::<I512>();
        }
        to_big(quotient * unit)
    }

    pub fn parse(text: &str, strict: bool) -> Option<BigNumeric> {
        to_big(parse_scaled(text, BIGNUMERIC_SCALE, strict)?)
    }

    pub fn to_text(a: &BigNumeric) -> String {
        decimal_text(a.is_negative(), &a.unsigned_abs().to_string(), BIGNUMERIC_SCALE)
    }
}

/// A running exact sum that is checked for overflow only at its end, as SUM and AVG need it.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecimalSum {
    total: I512,
}

impl DecimalSum {
    /// `low` plus `carry` times 2^128.
    pub fn from_parts(low: i128, carry: i64) -> DecimalSum {
        DecimalSum { total: wide(low) + (carry.as_::<I512>() << 128) }
    }

    pub fn add_numeric(&mut self, value: Numeric) {
        self.total += wide(value.0);
    }

    pub fn sub_numeric(&mut self, value: Numeric) {
        self.total -= wide(value.0);
    }

    pub fn add_big(&mut self, value: &BigNumeric) {
        self.total += (*value).as_::<I512>();
    }

    /// The sum where the added values are NUMERIC.
    pub fn numeric(&self) -> Option<Numeric> {
        to_numeric(self.total)
    }

    /// The sum where the added values are BIGNUMERIC.
    pub fn big(&self) -> Option<BigNumeric> {
        to_big(self.total)
    }

    pub fn numeric_average(&self, count: i64) -> Option<Numeric> {
        (count != 0).then(|| divide_rounding(self.total, count.as_::<I512>())).and_then(to_numeric)
    }

    pub fn big_average(&self, count: i64) -> Option<BigNumeric> {
        (count != 0).then(|| divide_rounding(self.total, count.as_::<I512>())).and_then(to_big)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text, false).expect("a NUMERIC")
    }

    #[test]
    fn numeric_arithmetic_rounds_half_away_from_zero() {
        assert_eq!(n("1").div(n("3")).expect("fits").to_string(), "0.333333333");
        assert_eq!(n("-2").div(n("3")).expect("fits").to_string(), "-0.666666667");
        assert_eq!(n("0.000000005").mul(n("0.1")).expect("fits").to_string(), "0.000000001");
        assert_eq!(n("99999999999999999999999999999.999999999").add(n("0.000000001")), None);
        assert_eq!(n("1e28").mul(n("-9.5")).expect("fits").to_string(), "-95000000000000000000000000000");
        assert_eq!(n("2.5").to_i64(), Some(3));
        assert_eq!(n("-2.5").to_i64(), Some(-3));
        assert_eq!(n("1234.567").round(-2).expect("fits").to_string(), "1200");
        assert_eq!(n("2.5").round_half_even(0).expect("fits").to_string(), "2");
        assert_eq!(n("-1.5").floor().expect("fits").to_string(), "-2");
        assert_eq!(n("-1.5").ceil().expect("fits").to_string(), "-1");
    }

    #[test]
    fn parsing_rounds_or_refuses_what_does_not_fit() {
        assert_eq!(Numeric::parse("1.4999999999", true), None);
        assert_eq!(n("1.4999999999").to_string(), "1.5");
        assert_eq!(n(" +.5e1 ").to_string(), "5");
        assert_eq!(n("1e-10").to_string(), "0");
        for bad in ["", ".", "1e", "e1", "1.2.3", "nan", "--1", "1e400", "99999999999999999999999999999.9999999999"] {
            assert_eq!(Numeric::parse(bad, false), None, "{bad}");
        }
    }

    #[test]
    fn floats_convert_by_their_exact_value() {
        assert_eq!(Numeric::from_f64(0.1).expect("fits").to_string(), "0.1");
        assert_eq!(big::to_text(&big::from_f64(0.1).expect("fits")), "0.10000000000000000555111512312578270212");
        assert_eq!(Numeric::from_f64(f64::NAN), None);
        assert_eq!(n("123456789012345678901.5").to_f64(), 123456789012345678901.5);
    }

    #[test]
    fn square_roots_of_bignumeric_are_exact() {
        let of = |text: &str| {
            let root = big_sqrt(&big::parse(text, true).expect("a number"));
            root.map(|root| big::to_text(&root))
        };
        assert_eq!(of("2").as_deref(), Some("1.41421356237309504880168872420969807857"));
        assert_eq!(of("4").as_deref(), Some("2"));
        assert_eq!(of("0").as_deref(), Some("0"));
        assert_eq!(of("1e-38").as_deref(), Some("0.0000000000000000001"));
        assert_eq!(of("1e38").as_deref(), Some("10000000000000000000"));
        assert_eq!(of("-1"), None);
    }

    #[test]
    fn bignumeric_has_its_own_bounds() {
        let max = "578960446186580977117854925043439539266.34992332820282019728792003956564819967";
        assert_eq!(big::to_text(&big::parse(max, true).expect("fits")), max);
        assert_eq!(
            big::parse("578960446186580977117854925043439539266.34992332820282019728792003956564819968", true),
            None
        );
        let third = big::div(&big::from_i64(1), &big::from_i64(3)).expect("fits");
        assert_eq!(big::to_text(&third), "0.33333333333333333333333333333333333333");
        assert_eq!(big::to_numeric(&third).expect("fits").to_string(), "0.333333333");
    }
}
