//! FORMAT: C's printf with SQL's types.
//!
//! <https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions#format_string>

use crate::error::{Result, SqlError};
use crate::functions::args::{MAX_OUTPUT, any, as_float, fail, string};
use crate::functions::json::to_json_string;
use crate::functions::strings::literal;
use crate::functions::{Call, ScalarFunction, entry};
use crate::types::Type;
use crate::value::numeric::big;
use crate::value::{Value, float};

// NULL is `NULL` for %t and %T, and makes the whole NULL for the others, so the code sees it.
pub(crate) static TABLE: &[ScalarFunction] =
    &[entry!("string_functions", "format", "FORMAT", Handled, ["(STRING, ANY...) -> STRING"], format)];

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    hash: bool,
    zero: bool,
    group: bool,
    width: usize,
    precision: Option<usize>,
}

fn format(call: &Call, args: &[Value]) -> Result<Value> {
    if any(args, 0).is_null() {
        return Ok(Value::Null);
    }
    let pattern = string(args, 0)?;
    let mut out = String::new();
    let mut next = 1;
    let mut null = false;
    let mut chars = pattern.chars().peekable();
    let mut missing = false;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        loop {
            match chars.peek() {
                Some('-') => spec.minus = true,
                Some('+') => spec.plus = true,
                Some(' ') => spec.space = true,
                Some('#') => spec.hash = true,
                Some('0') => spec.zero = true,
                Some('\'') => spec.group = true,
                _ => break,
            }
            chars.next();
        }
        // A width or precision of `*` takes an argument.
        let mut star = |null: &mut bool, next: &mut usize| -> Result<Option<i64>> {
            let index = *next;
            *next += 1;
            match args.get(index) {
                Some(Value::Int64(value)) => Ok(Some(*value)),
                Some(Value::Null) => {
                    *null = true;
                    Ok(None)
                }
                None => {
                    missing = true;
                    Ok(None)
                }
                Some(_) => Err(wrong_type(call, index, "integer")),
            }
        };
        let digits = |chars: &mut std::iter::Peekable<std::str::Chars>| -> Option<usize> {
            let mut value: Option<usize> = None;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize));
                chars.next();
            }
            value
        };
        if chars.peek() == Some(&'*') {
            chars.next();
            if let Some(width) = star(&mut null, &mut next)? {
                spec.minus |= width < 0;
                spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
            }
        } else {
            spec.width = digits(&mut chars).unwrap_or(0);
        }
        if chars.peek() == Some(&'.') {
            chars.next();
            if chars.peek() == Some(&'*') {
                chars.next();
                spec.precision = star(&mut null, &mut next)?.and_then(|value| usize::try_from(value).ok());
            } else {
                spec.precision = Some(digits(&mut chars).unwrap_or(0));
            }
        }
        if spec.width > MAX_OUTPUT || spec.precision.is_some_and(|precision| precision > MAX_OUTPUT) {
            return fail("Output string too long while evaluating FORMAT; limit 1048576");
        }
        let Some(kind) = chars.next() else {
            return fail(format!("Invalid FORMAT string {}: Expected a specifier after %", literal::quoted(pattern)));
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        if !"diouxXfFeEgGsptPT".contains(kind) {
            return fail(format!(
                "Invalid format specifier character \"{kind}\" in FORMAT string: {}",
                literal::quoted(pattern)
            ));
        }
        let index = next;
        next += 1;
        let Some(value) = args.get(index) else {
            missing = true;
            continue;
        };
        let ty = call.arg_types.get(index).unwrap_or(&Type::Int64);
        let text = one(call, &spec, kind, value, ty, index)?;
        match text {
            Some(text) => out.push_str(&text),
            None => null = true,
        }
        if out.len() > MAX_OUTPUT {
            return fail("Output string too long while evaluating FORMAT; limit 1048576");
        }
    }
    if missing || next < args.len() {
        let few = if missing { "few" } else { "many" };
        return fail(format!(
            "Too {few} arguments to FORMAT for pattern {}; Expected {next}; Got {}",
            literal::quoted(pattern),
            args.len()
        ));
    }
    Ok(if null { Value::Null } else { Value::string(out) })
}

fn wrong_type(call: &Call, index: usize, expected: &str) -> SqlError {
    let got = call.arg_types.get(index).map_or("NULL".to_string(), Type::to_string);
    SqlError::evaluation(format!("Invalid type for argument {} to FORMAT; Expected {expected}; Got {got}", index + 1))
}

/// One argument; `None` where it is NULL and the specifier has no word for that.
fn one(call: &Call, spec: &Spec, kind: char, value: &Value, ty: &Type, index: usize) -> Result<Option<String>> {
    match kind {
        't' | 'T' => {
            let mut text = String::new();
            literal::print(value, ty, kind == 'T', call.ctx, &mut text)?;
            return Ok(Some(fit(spec, text)));
        }
        'p' | 'P' => {
            if *ty != Type::Json {
                return Err(wrong_type(call, index, "PROTO or JSON"));
            }
            if value.is_null() {
                return Ok(None);
            }
            let mut text = String::new();
            to_json_string(value, ty, (kind == 'P').then_some(0), &mut text)?;
            return Ok(Some(fit(spec, text)));
        }
        _ => {}
    }
    let integer = matches!(kind, 'd' | 'i' | 'o' | 'x' | 'X' | 'u');
    let fits = match ty {
        Type::Int64 => integer,
        Type::Float64 | Type::Numeric | Type::BigNumeric => !integer && kind != 's',
        Type::String => kind == 's',
        _ => false,
    };
    let untyped_null = value.is_null() && *ty == Type::Int64;
    if !(fits || untyped_null) {
        let expected = if integer {
            "integer"
        } else if kind == 's' {
            "STRING"
        } else {
            "FLOAT64"
        };
        return Err(wrong_type(call, index, expected));
    }
    Ok(match (kind, value) {
        (_, Value::Null) => None,
        ('s', Value::String(text)) => Some(fit(spec, text.to_string())),
        ('d' | 'i' | 'u', Value::Int64(number)) => {
            Some(numeric(spec, *number < 0, "", number.unsigned_abs().to_string(), Some(THOUSANDS)))
        }
        ('o' | 'x' | 'X', Value::Int64(number)) => {
            let magnitude = number.unsigned_abs();
            let (prefix, digits) = match kind {
                'o' => ("0", format!("{magnitude:o}")),
                'x' => ("0x", format!("{magnitude:x}")),
                _ => ("0X", format!("{magnitude:X}")),
            };
            let prefix = if spec.hash && magnitude != 0 { prefix } else { "" };
            let groups = if kind == 'o' { (4, ',') } else { (4, ':') };
            Some(numeric(spec, *number < 0, prefix, digits, Some(groups)))
        }
        (_, value) => {
            let Some(number) = as_float(value) else { return Err(wrong_type(call, index, "FLOAT64")) };
            Some(floating(spec, kind, value, number))
        }
    })
}

/// Width and, for a text, precision as the greatest length.
fn fit(spec: &Spec, text: String) -> String {
    let text = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text,
    };
    let length = text.chars().count();
    let fill = " ".repeat(spec.width.saturating_sub(length));
    if spec.minus { text + &fill } else { fill + &text }
}

/// How many digits stand between separators, and the separator.
const THOUSANDS: (usize, char) = (3, ',');

/// Sign, prefix, leading zeros, separators and width around digits; `integer` are an integer's groups.
fn numeric(spec: &Spec, negative: bool, prefix: &str, digits: String, integer: Option<(usize, char)>) -> String {
    let (groups, integer) = (integer.unwrap_or(THOUSANDS), integer.is_some());
    let sign = match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    let mut digits = digits;
    if integer && let Some(precision) = spec.precision {
        if precision == 0 && digits == "0" {
            digits.clear();
        }
        digits = "0".repeat(precision.saturating_sub(digits.len())) + &digits;
    }
    if spec.group {
        digits = grouped(&digits, groups);
    }
    let used = sign.len() + prefix.len() + digits.len();
    let missing = spec.width.saturating_sub(used);
    if spec.minus {
        format!("{sign}{prefix}{digits}{}", " ".repeat(missing))
    } else if spec.zero && !(integer && spec.precision.is_some()) {
        format!("{sign}{prefix}{}{digits}", "0".repeat(missing))
    } else {
        format!("{}{sign}{prefix}{digits}", " ".repeat(missing))
    }
}

fn grouped(digits: &str, (size, separator): (usize, char)) -> String {
    let is_digit = |byte: &u8| if separator == ':' { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let whole_length = digits.bytes().take_while(is_digit).count();
    let (whole, rest) = digits.split_at(whole_length);
    let mut out = String::new();
    for (index, c) in whole.chars().enumerate() {
        if index > 0 && (whole_length - index).is_multiple_of(size) {
            out.push(separator);
        }
        out.push(c);
    }
    out + rest
}

fn floating(spec: &Spec, kind: char, value: &Value, number: f64) -> String {
    let precision = spec.precision.unwrap_or(6);
    let lower = kind.to_ascii_lowercase();
    // Zero has no sign.
    let number = number + 0.0;
    let text = match (lower, value) {
        ('f', Value::Numeric(_) | Value::BigNumeric(_)) => {
            let exact = match value {
                Value::Numeric(number) => number.to_big(),
                Value::BigNumeric(number) => **number,
                _ => big::from_i64(0),
            };
            let rounded = big::round(&exact, precision as i64).unwrap_or(exact);
            let text = big::to_text(&rounded);
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            if precision == 0 { whole.to_string() } else { format!("{whole}.{fraction:0<precision$}") }
        }
        ('f', _) => float::fixed(number, precision),
        ('e', _) => float::exponent(number, precision),
        _ => float::general(number, precision, spec.hash),
    };
    let text = if spec.hash && precision == 0 && lower != 'g' && number.is_finite() { text + "." } else { text };
    let text = if kind.is_ascii_uppercase() { text.to_uppercase() } else { text };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.to_string()),
        None => (false, text),
    };
    if number.is_finite() {
        numeric(spec, negative, "", digits, None)
    } else {
        let plain = Spec {
            zero: false,
            group: false,
            minus: spec.minus,
            width: spec.width,
            plus: spec.plus,
            space: spec.space,
            ..Spec::default()
        };
        numeric(&plain, negative, "", digits, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::EvalContext;
    use proptest::prelude::*;

    fn run(pattern: &str, args: Vec<(Type, Value)>) -> String {
        let ctx = EvalContext {
            now: 0,
            time_zone: "UTC".into(),
            draws: crate::functions::Draws::default(),
            session_user: String::new(),
            project: String::new(),
        };
        let mut types = vec![Type::String];
        let mut values = vec![Value::string(pattern)];
        for (ty, value) in args {
            types.push(ty);
            values.push(value);
        }
        let call = Call { ctx: &ctx, arg_types: &types, result_type: &Type::String };
        match format(&call, &values) {
            Ok(Value::String(text)) => text.to_string(),
            Ok(_) => "(null)".into(),
            Err(error) => error.message,
        }
    }

    fn int(value: i64) -> (Type, Value) {
        (Type::Int64, Value::Int64(value))
    }

    #[test]
    fn specifiers_print_as_documented() {
        assert_eq!(
            run("%d-%5d|%-5d|%05d|%+d|%'d", vec![int(1), int(2), int(3), int(-4), int(5), int(1234567)]),
            "1-    2|3    |-0004|+5|1,234,567"
        );
        assert_eq!(run("%x %X %#x %o", vec![int(255), int(255), int(255), int(8)]), "ff FF 0xff 10");
        assert_eq!(
            run(
                "%.3f %e %g",
                vec![
                    (Type::Float64, Value::Float64(3.14259)),
                    (Type::Float64, Value::Float64(12345.678)),
                    (Type::Float64, Value::Float64(0.0001))
                ]
            ),
            "3.143 1.234568e+04 0.0001"
        );
        assert_eq!(run("%s|%5s|%-5s|%.2s", vec![(Type::String, Value::string("é")); 4]), "é|    é|é    |é");
        assert_eq!(
            run("%T %t", vec![(Type::String, Value::string("a\"b")), (Type::Float64, Value::Float64(1.0))]),
            "'a\"b' 1.0"
        );
        assert_eq!(
            run(
                "%t %T",
                vec![
                    (Type::array(Type::String), Value::array(vec![Value::string("x"), Value::Null])),
                    (Type::Date, Value::Date(0))
                ]
            ),
            "[x, NULL] DATE \"1970-01-01\""
        );
        assert_eq!(run("%0.*d", vec![int(4), int(12)]), "0012");
        assert_eq!(run("%*d", vec![(Type::Int64, Value::Null), int(12)]), "(null)");
        assert_eq!(
            run(
                "%.2f",
                vec![(Type::Numeric, Value::Numeric(crate::value::Numeric::parse("1.005", true).expect("fits")))]
            ),
            "1.01"
        );
    }

    #[test]
    fn mistakes_have_productions_texts() {
        assert_eq!(
            run("%d", vec![int(17), (Type::String, Value::string("abc"))]),
            "Too many arguments to FORMAT for pattern \"%d\"; Expected 2; Got 3"
        );
        assert_eq!(run("%d %d", vec![int(17)]), "Too few arguments to FORMAT for pattern \"%d %d\"; Expected 3; Got 2");
        assert_eq!(
            run("%d", vec![(Type::String, Value::string("x"))]),
            "Invalid type for argument 2 to FORMAT; Expected integer; Got STRING"
        );
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[%0-9.*' +#a-zA-Zé-]{0,12}", number in proptest::num::f64::ANY) {
            let _ = run(&pattern, vec![int(7), (Type::Float64, Value::Float64(number)), (Type::String, Value::string("é"))]);
        }
    }
}
