//! CAST(number AS STRING FORMAT '…'): pictures such as `$999,990.00`, `S9.99EEEE`, `XXX`, `TM`.
//!
//! Elements: <https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements#format_numeric_type_as_string>.

use crate::error::{Result, SqlError};
use crate::value::numeric::big;
use crate::value::{Value, float};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SignStyle {
    /// A blank or a minus in front.
    Default,
    Leading,
    Trailing,
    TrailingMinus,
    Brackets,
}

/// A picture taken apart.
struct Picture {
    /// `0`, `9` and `,` before the point.
    whole: Vec<char>,
    fraction: Vec<char>,
    has_point: bool,
    hex: Option<bool>,
    exponent: bool,
    currency: Option<String>,
    sign: SignStyle,
    blank_zero: bool,
    shift: usize,
}

pub(super) fn print(value: &Value, format: &str) -> Result<String> {
    let invalid = || SqlError::evaluation(format!("Invalid format string '{format}'"));
    let upper = format.to_ascii_uppercase();
    if let Some(minimal) = upper.strip_prefix("TM") {
        return match minimal {
            "" | "9" => Ok(plain_text(value)),
            "E" => Ok(scientific(value, None, format.contains('e'))),
            _ => Err(invalid()),
        };
    }
    if let Value::Float64(number) = value
        && !number.is_finite()
    {
        let text = if number.is_nan() {
            "NaN"
        } else if *number > 0.0 {
            "Inf"
        } else {
            "-Inf"
        };
        return Ok(text.to_string());
    }
    let picture = parse_picture(format).ok_or_else(invalid)?;
    render(value, &picture).ok_or_else(invalid)
}

fn parse_picture(format: &str) -> Option<Picture> {
    let mut picture = Picture {
        whole: Vec::new(),
        fraction: Vec::new(),
        has_point: false,
        hex: None,
        exponent: false,
        currency: None,
        sign: SignStyle::Default,
        blank_zero: false,
        shift: 0,
    };
    let chars: Vec<char> = format.chars().collect();
    let mut at = 0;
    let mut shifting = false;
    let starts = |at: usize, word: &str| {
        word.chars()
            .enumerate()
            .all(|(index, c)| chars.get(at + index).is_some_and(|given| given.eq_ignore_ascii_case(&c)))
    };
    while let Some(c) = chars.get(at) {
        let mut width = 1;
        match c.to_ascii_uppercase() {
            '0' | '9' => {
                if picture.has_point {
                    picture.fraction.push(*c);
                } else {
                    picture.whole.push(*c);
                    if shifting {
                        picture.shift += 1;
                    }
                }
            }
            'X' => {
                picture.hex = Some(*c == 'X');
                picture.whole.push('X');
            }
            ',' | 'G' if !picture.has_point => picture.whole.push(','),
            '.' | 'D' if !picture.has_point => picture.has_point = true,
            '$' => picture.currency = Some("$".into()),
            'L' => picture.currency = Some("$".into()),
            'C' => picture.currency = Some("USD".into()),
            'B' => picture.blank_zero = true,
            'V' => shifting = true,
            'S' => {
                picture.sign = if at == 0 { SignStyle::Leading } else { SignStyle::Trailing };
            }
            'M' if starts(at, "MI") => {
                picture.sign = SignStyle::TrailingMinus;
                width = 2;
            }
            'P' if starts(at, "PR") => {
                picture.sign = SignStyle::Brackets;
                width = 2;
            }
            'E' if starts(at, "EEEE") => {
                picture.exponent = true;
                width = 4;
            }
            _ => return None,
        }
        at += width;
    }
    let any_digit = picture.whole.iter().chain(&picture.fraction).any(|c| matches!(c, '0' | '9' | 'X'));
    any_digit.then_some(picture)
}

/// The exact decimal digits of a number, without exponent.
fn plain_text(value: &Value) -> String {
    match value {
        Value::Int64(value) => value.to_string(),
        Value::Numeric(value) => value.to_string(),
        Value::BigNumeric(value) => big::to_text(value),
        Value::Float64(value) => float::to_text(*value),
        _ => String::new(),
    }
}

fn as_float(value: &Value) -> f64 {
    plain_text(value).parse().unwrap_or(0.0)
}

fn scientific(value: &Value, digits: Option<usize>, lower: bool) -> String {
    let number = as_float(value);
    let text = match digits {
        Some(digits) => float::exponent(number, digits),
        None => {
            let shortest = format!("{number:e}");
            let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
    };
    if lower { text } else { text.to_uppercase() }
}

/// The number rounded half away from zero to that many decimals: sign, whole digits, fraction digits.
fn rounded(value: &Value, decimals: usize, shift: usize) -> (bool, String, String) {
    let text = match value {
        Value::Float64(number) => format!("{number}"),
        other => plain_text(other),
    };
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.to_string()),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b.wrapping_sub(b'0')).collect();
    let point = whole.len() + shift;
    let wanted = point + decimals;
    while digits.len() <= wanted {
        digits.push(0);
    }
    let up = digits.get(wanted).is_some_and(|digit| *digit >= 5);
    digits.truncate(wanted);
    let mut carry = up;
    for digit in digits.iter_mut().rev() {
        if !carry {
            break;
        }
        if *digit == 9 {
            *digit = 0;
        } else {
            *digit += 1;
            carry = false;
        }
    }
    let mut text: String = digits.iter().map(|digit| char::from(b'0' + digit % 10)).collect();
    let mut split = point;
    if carry {
        text.insert(0, '1');
        split += 1;
    }
    let (whole, fraction) = text.split_at(split.min(text.len()));
    (negative, whole.trim_start_matches('0').to_string(), fraction.to_string())
}

fn render(value: &Value, picture: &Picture) -> Option<String> {
    if let Some(upper) = picture.hex {
        let (negative, whole, _) = rounded(value, 0, 0);
        let number: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let digits = if upper { format!("{number:X}") } else { format!("{number:x}") };
        let width = picture.whole.len();
        let zeros = picture.whole.contains(&'0');
        let body = if digits.len() > width {
            "#".repeat(width)
        } else if zeros {
            format!("{digits:0>width$}")
        } else {
            digits
        };
        let padded = format!("{}{body}", if negative { "-" } else { "" });
        return Some(format!("{padded:>total$}", total = width + 1));
    }
    if picture.exponent {
        let text = scientific(value, Some(picture.fraction.len()), false);
        let negative = text.starts_with('-');
        let body = text.trim_start_matches('-').to_string();
        return Some(signed(picture.sign, negative, &body, " "));
    }
    let (negative, whole, fraction) = rounded(value, picture.fraction.len(), picture.shift);
    let zero = whole.is_empty() && fraction.bytes().all(|b| b == b'0');
    let negative = negative && !zero;
    let slots = picture.whole.iter().filter(|c| **c != ',').count();
    let width = picture.whole.len();
    let currency = picture.currency.as_deref().unwrap_or_default();
    let total = width + usize::from(picture.has_point) + picture.fraction.len() + currency.chars().count();
    if whole.len() > slots {
        return Some(signed(picture.sign, negative, &"#".repeat(total), " "));
    }
    if picture.blank_zero && zero {
        return Some(" ".repeat(total + 1));
    }
    // From the right: digits, then what the picture asks for where the digits end.
    let force_from = picture.whole.iter().position(|c| *c == '0');
    let mut digits = whole.chars().rev();
    let mut body: Vec<char> = Vec::with_capacity(width);
    for (index, slot) in picture.whole.iter().enumerate().rev() {
        let forced = force_from.is_some_and(|from| index >= from);
        if *slot == ',' {
            let more = digits.clone().next().is_some() || force_from.is_some_and(|from| from < index);
            body.push(if more { ',' } else { ' ' });
            continue;
        }
        match digits.next() {
            Some(digit) => body.push(digit),
            None if forced => body.push('0'),
            None if index + 1 == width && whole.is_empty() && !picture.has_point => body.push('0'),
            None => body.push(' '),
        }
    }
    let body: String = body.into_iter().rev().collect();
    let trimmed = body.trim_start();
    let pad = body.len() - trimmed.len();
    let mut text = format!("{currency}{trimmed}");
    if picture.has_point {
        text.push('.');
        text.push_str(&fraction);
    }
    Some(format!("{}{}", " ".repeat(pad), signed(picture.sign, negative, &text, " ")))
}

fn signed(style: SignStyle, negative: bool, body: &str, blank: &str) -> String {
    match style {
        SignStyle::Default => format!("{}{body}", if negative { "-" } else { blank }),
        SignStyle::Leading => format!("{}{body}", if negative { "-" } else { "+" }),
        SignStyle::Trailing => format!("{body}{}", if negative { "-" } else { "+" }),
        SignStyle::TrailingMinus => format!("{body}{}", if negative { "-" } else { " " }),
        SignStyle::Brackets => {
            if negative {
                format!("<{body}>")
            } else {
                format!(" {body} ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(value: Value, format: &str) -> String {
        print(&value, format).unwrap_or_else(|error| error.message)
    }

    #[test]
    fn pictures_fill_their_width() {
        assert_eq!(shown(Value::Int64(12), "999"), "  12");
        assert_eq!(shown(Value::Int64(12), "000"), " 012");
        assert_eq!(shown(Value::Int64(-12), "999"), " -12");
        assert_eq!(shown(Value::Float64(1234.5), "$9,999.99"), " $1,234.50");
        assert_eq!(shown(Value::Int64(1234), "999"), " ###");
        assert_eq!(shown(Value::Int64(12), "S999"), " +12");
        assert_eq!(shown(Value::Int64(-12), "999PR"), " <12>");
        assert_eq!(shown(Value::Int64(255), "XXX"), "  FF");
        assert_eq!(shown(Value::Int64(1234), "9.99EEEE"), " 1.23E+03");
        assert_eq!(shown(Value::Int64(0), "9"), " 0");
        assert_eq!(shown(Value::Float64(12.34), "TM9"), "12.34");
    }

    proptest! {
        #[test]
        fn nothing_panics(number in any::<f64>(), format in "[0-9X.,$SLCBVEPRMIDGT]{0,10}") {
            let _ = print(&Value::Float64(number), &format);
        }
    }
}
