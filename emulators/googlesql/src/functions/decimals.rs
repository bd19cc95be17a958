//! ROUND and TRUNC of FLOAT64 at a decimal: by the exact value, not by what a product with a power of ten rounds to.
//!
//! 2.675 is a little less than it looks, so ROUND(2.675, 2) is 2.67; TRUNC(2.3, 1) is 2.2 for the same reason. So
//! GoogleSQL's reference engine has it.

/// The largest power of ten that FLOAT64 holds exactly.
const EXACT: i64 = 22;

/// From here on FLOAT64 has no fractions.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// `value` at `digits` decimals (negative: before the point), ties away from zero.
pub(super) fn round(value: f64, digits: i64) -> f64 {
    at(value, digits, true)
}

/// `value` cut at `digits` decimals.
pub(super) fn trunc(value: f64, digits: i64) -> f64 {
    at(value, digits, false)
}

fn at(value: f64, digits: i64, nearest: bool) -> f64 {
    if !value.is_finite() || value == 0.0 || digits > 1100 {
        return value;
    }
    if digits < -310 {
        return 0.0;
    }
    if digits == 0 {
        return if nearest { value.round() } else { value.trunc() };
    }
    let sign = value.signum();
    let unit = 10f64.powi(digits.unsigned_abs() as i32);
    if digits < 0 {
        let mut whole = (value / unit).trunc();
        // Exact for the units that are; the others have hardly anything below them.
        let mut rest = (-whole).mul_add(unit, value) * sign;
        if rest < 0.0 {
            whole -= sign;
            rest += unit;
        }
        let up = nearest && rest >= unit / 2.0;
        return if up { (whole + sign) * unit } else { whole * unit };
    }
    if digits > EXACT {
        return by_text(value, digits as usize, nearest);
    }
    let scaled = value * unit;
    if scaled.abs() >= WHOLE {
        return value;
    }
    let whole = scaled.trunc();
    let rest = (scaled - whole).abs();
    // What the product lost, as seen from zero: negative where the true value is nearer to it.
    let lost = value.mul_add(unit, -scaled) * sign;
    let result = if nearest {
        let up = rest > 0.5 || rest == 0.5 && lost >= 0.0;
        if up { whole + sign } else { whole }
    } else if rest == 0.0 && lost < 0.0 {
        whole - sign
    } else {
        whole
    };
    result / unit
}

fn by_text(value: f64, digits: usize, nearest: bool) -> f64 {
    let text = if nearest {
        format!("{value:.digits$}")
    } else {
        // Every FLOAT64 ends within 1074 decimals.
        let mut text = format!("{value:.1100}");
        let point = text.find('.').unwrap_or(text.len());
        text.truncate((point + 1 + digits).min(text.len()));
        text
    };
    text.parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_exact_value_decides() {
        let rounds = [
            (2.5, 0, 3.0),
            (2.34567, 2, 2.35),
            (1234.5, -2, 1200.0),
            (1e308, 300, 1e308),
            (2.675, 2, 2.67),
            (1.45, 1, 1.4),
            (0.25, 1, 0.3),
            (-0.25, 1, -0.3),
            (0.35, 1, 0.3),
            (1235.0, -1, 1240.0),
            (-15.0, -1, -20.0),
            (5e-324, 323, 0.0),
            (4_503_599_627_370_497.5, 0, 4_503_599_627_370_498.0),
        ];
        for (value, digits, wanted) in rounds {
            assert_eq!(round(value, digits), wanted, "ROUND({value}, {digits})");
        }
        for (value, digits, wanted) in [(2.3, 1, 2.2), (-3.79, 1, -3.7), (8.41, 2, 8.41), (1999.0, -3, 1000.0)] {
            assert_eq!(trunc(value, digits), wanted, "TRUNC({value}, {digits})");
        }
    }

    proptest! {
        /// Against the decimal text of the exact value.
        #[test]
        fn texts_agree(value in -1e6f64..1e6, digits in 1i64..9) {
            let full = format!("{value:.80}");
            let point = full.find('.').unwrap_or(full.len());
            let cut: f64 = full[..point + 1 + digits as usize].parse().expect("a number");
            prop_assert_eq!(trunc(value, digits), cut);
            let rounded: f64 = format!("{value:.*}", digits as usize).parse().expect("a number");
            let tie = full[point + 1 + digits as usize..].trim_end_matches('0') == "5";
            prop_assert!(tie || round(value, digits) == rounded, "{} {}", value, digits);
        }
    }
}
