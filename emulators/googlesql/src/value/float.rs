//! FLOAT64 as text: GoogleSQL's shortest form, and C's `%g`, `%e` and `%f`.

/// GoogleSQL's text of a FLOAT64: 15 significant digits where they read back the same, else 17.
///
/// `inf`, `-inf` and `nan` for the others; exponents as C writes them (`1e+15`).
pub fn to_text(value: f64) -> String {
    let short = general(value, 15, false);
    if !value.is_finite() || short.parse() == Ok(value) { short } else { general(value, 17, false) }
}

/// Six significant digits: how messages print a FLOAT64.
pub fn to_message(value: f64) -> String {
    general(value, 6, false)
}

/// C's `%.{precision}g`; with `keep_zeros` as with the flag `#`.
pub fn general(value: f64, precision: usize, keep_zeros: bool) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let precision = precision.max(1);
    let scientific = format!("{:.*e}", precision - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        let mantissa = if keep_zeros { mantissa } else { strip_zeros(mantissa) };
        return format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let fixed = format!("{:.*}", (precision as i32 - 1 - exponent).max(0) as usize, value);
    if keep_zeros { fixed } else { strip_zeros(&fixed).to_string() }
}

/// C's `%.{precision}e`.
pub fn exponent(value: f64, precision: usize) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let scientific = format!("{value:.precision$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// C's `%.{precision}f`.
pub fn fixed(value: f64, precision: usize) -> String {
    special(value).unwrap_or_else(|| format!("{value:.precision$}"))
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("nan".into())
    } else if value.is_infinite() {
        Some(if value > 0.0 { "inf" } else { "-inf" }.into())
    } else {
        None
    }
}

fn strip_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_and_look_like_c() {
        for (value, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.33333333333333331"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345"),
            (1e-5, "1e-05"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(to_text(value), text);
        }
        assert_eq!(to_message(9223372036854775807.0), "9.22337e+18");
        assert_eq!(exponent(12345.678, 2), "1.23e+04");
    }
}
