//! Values as REST sends them: `{"f": [{"v": "1"}]}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::value::{civil, numeric};
use scrimmage_googlesql::{Type, Value};
use serde_json::{Value as Json, json};

/// How timestamps travel: seconds as a float by default, microseconds where the caller asks for
/// `formatOptions.useInt64Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timestamps {
    #[default]
    FloatSeconds,
    Int64Micros,
    Iso8601,
}

/// Rows `from..from + count` over all batches, as REST rows.
pub fn rows(batches: &[Batch], types: &[Type], from: usize, count: usize, timestamps: Timestamps) -> Vec<Json> {
    let mut skip = from;
    let mut out = Vec::new();
    for batch in batches {
        if skip >= batch.len {
            skip -= batch.len;
            continue;
        }
        for index in skip..batch.len {
            if out.len() == count {
                return out;
            }
            let cells: Vec<Json> = batch
                .columns
                .iter()
                .zip(types)
                .map(|(column, ty)| json!({"v": cell(&column.get(index), ty, timestamps)}))
                .collect();
            out.push(json!({"f": cells}));
        }
        skip = 0;
    }
    out
}

/// One value; an array that is NULL is sent as an empty one.
pub fn cell(value: &Value, ty: &Type, timestamps: Timestamps) -> Json {
    match (value, ty) {
        (Value::Null, Type::Array(_)) => json!([]),
        (Value::Null, _) => Json::Null,
        (Value::Array(items), Type::Array(element)) => {
            items.iter().map(|item| json!({"v": cell(item, element, timestamps)})).collect()
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            // A record that got a field later has rows without it.
            let values = values.iter().chain(std::iter::repeat(&Value::Null));
            let cells: Vec<Json> = values
                .zip(&fields.fields)
                .map(|(value, field)| json!({"v": cell(value, &field.ty, timestamps)}))
                .collect();
            json!({"f": cells})
        }
        (Value::Timestamp(micros), _) => Json::String(match timestamps {
            Timestamps::FloatSeconds => java_double(*micros as f64 / 1e6),
            Timestamps::Int64Micros => micros.to_string(),
            Timestamps::Iso8601 => format!("{}Z", civil::datetime_text(*micros, 'T')),
        }),
        (Value::Range(range), Type::Range(element)) => {
            let bound = |bound: &Option<Value>| match bound {
                None | Some(Value::Null) => "UNBOUNDED".to_owned(),
                Some(value) => match cell(value, element, Timestamps::FloatSeconds) {
                    Json::String(text) => text,
                    other => other.to_string(),
                },
            };
            Json::String(format!("[{}, {})", bound(&range.start), bound(&range.end)))
        }
        _ => Json::String(text(value)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Float64(number) => java_double(*number),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => BASE64.encode(bytes),
        Value::Date(days) => civil::date_text(*days),
        Value::Time(micros) => civil::time_text(*micros),
        Value::Datetime(micros) => civil::datetime_text(*micros, 'T'),
        Value::Numeric(number) => number.to_string(),
        Value::BigNumeric(number) => numeric::big::to_text(number),
        Value::Interval(interval) => interval.to_string(),
        Value::Json(json) => json.to_string(),
        Value::Geography(geography) => geography.to_string(),
        // The cases that have a type beside them are `cell`'s.
        Value::Null | Value::Timestamp(_) | Value::Range(_) | Value::Array(_) | Value::Struct(_) => String::new(),
    }
}

/// Java's `Double.toString`, which is what the service writes: `1.0`, `1.5E10`, `1.0E-4`.
pub fn java_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    if mantissa.contains('.') { format!("{mantissa}E{exponent}") } else { format!("{mantissa}.0E{exponent}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_does() {
        for (number, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1.5e10, "1.5E10"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (0.0001, "1.0E-4"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_double(number), text);
        }
    }

    #[test]
    fn nested_values_nest_their_cells() {
        let ty = Type::array(Type::struct_of([("k", Type::Int64), ("w", Type::String)]));
        let value = Value::array(vec![Value::structure(vec![Value::Int64(1), Value::Null])]);
        assert_eq!(cell(&value, &ty, Timestamps::FloatSeconds), json!([{"v": {"f": [{"v": "1"}, {"v": null}]}}]));
        assert_eq!(cell(&Value::Null, &ty, Timestamps::FloatSeconds), json!([]));
    }
}
