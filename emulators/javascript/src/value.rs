//! What crosses the border between Rust and JavaScript.

use serde_json::{Map, Number, Value as Json};

/// A JavaScript value without identity: what a call is given and what it gives back.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Js {
    #[default]
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    /// Decimal digits, perhaps with a sign.
    BigInt(String),
    String(String),
    /// A `Date`.
    Date {
        /// Milliseconds since the epoch; NaN for an invalid date.
        millis: f64,
        /// The property `microsecond`: microseconds beyond the milliseconds, 0 to 999.
        micros: Option<f64>,
    },
    Array(Vec<Js>),
    /// Own enumerable properties, in their order.
    Object(Vec<(String, Js)>),
}

impl Js {
    /// As `JSON.stringify` sees it: `None` for undefined; NaN and infinities are null.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Js::Undefined => return None,
            Js::Null => Json::Null,
            Js::Bool(value) => Json::Bool(*value),
            Js::Number(value) => number(*value),
            Js::BigInt(digits) => digits.parse::<i64>().map_or_else(|_| Json::from(digits.as_str()), Json::from),
            Js::String(text) => Json::from(text.as_str()),
            Js::Date { millis, .. } => iso(*millis).map_or(Json::Null, Json::from),
            Js::Array(items) => Json::Array(items.iter().map(|item| item.to_json().unwrap_or_default()).collect()),
            Js::Object(fields) => {
                let fields = fields.iter().filter_map(|(name, value)| Some((name.clone(), value.to_json()?)));
                Json::Object(fields.collect::<Map<_, _>>())
            }
        })
    }

    pub fn from_json(json: &Json) -> Js {
        match json {
            Json::Null => Js::Null,
            Json::Bool(value) => Js::Bool(*value),
            Json::Number(value) => Js::Number(value.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Js::String(text.clone()),
            Json::Array(items) => Js::Array(items.iter().map(Js::from_json).collect()),
            Json::Object(fields) => {
                Js::Object(fields.iter().map(|(name, value)| (name.clone(), Js::from_json(value))).collect())
            }
        }
    }
}

/// Whole numbers that JavaScript prints without a point stay whole.
fn number(value: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Json::from(value as i64);
    }
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// `Date.prototype.toISOString`, for the years that have four digits.
fn iso(millis: f64) -> Option<String> {
    const DAY: i64 = 86_400_000;
    if !millis.is_finite() || millis.abs() > 8.64e15 {
        return None;
    }
    let millis = millis as i64;
    let (day, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    // Days to civil date, by years that begin in March.
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    Some(format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}
