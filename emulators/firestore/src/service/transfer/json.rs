//! Documents as lines of JSON, in the form that Firestore's REST API has for them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_types::Timestamp as ProtoTimestamp;
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::r#type::LatLng;
use serde_json::{Map, Value as Json};

use crate::engine::store::Document;
use crate::path::{DatabaseName, DocumentName};
use crate::service::decode::values;
use crate::value::size::document_size;
use crate::value::{Fields, Value};
use crate::{limits, texts};

/// One document as one line, its line feed included.
pub fn line(database: &DatabaseName, document: &Document) -> String {
    let mut out = String::with_capacity(256);
    out.push_str("{\"name\":");
    text(&mut out, &database.resource(document.name.path()));
    out.push_str(",\"fields\":");
    fields(&mut out, &document.fields);
    out.push_str(&format!(
        ",\"createTime\":\"{}\",\"updateTime\":\"{}\"}}\n",
        document.create_time, document.update_time
    ));
    out
}

fn text(out: &mut String, text: &str) {
    out.push_str(&Json::from(text).to_string());
}

fn fields(out: &mut String, fields: &Fields) {
    out.push('{');
    for (number, (key, value)) in fields.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        text(out, key);
        out.push(':');
        self::value(out, value);
    }
    out.push('}');
}

/// What is stored is nested no deeper than the limit, and so is this recursion.
fn value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("{\"nullValue\":null}"),
        Value::Bool(flag) => out.push_str(&format!("{{\"booleanValue\":{flag}}}")),
        Value::Int(number) => out.push_str(&format!("{{\"integerValue\":\"{number}\"}}")),
        Value::Double(number) => {
            out.push_str("{\"doubleValue\":");
            double(out, *number);
            out.push('}');
        }
        Value::Timestamp(time) => out.push_str(&format!("{{\"timestampValue\":\"{time}\"}}")),
        Value::String(string) => {
            out.push_str("{\"stringValue\":");
            text(out, string);
            out.push('}');
        }
        Value::Bytes(bytes) => out.push_str(&format!("{{\"bytesValue\":\"{}\"}}", STANDARD.encode(bytes))),
        Value::Reference(name) => {
            out.push_str("{\"referenceValue\":");
            text(out, name);
            out.push('}');
        }
        Value::Geo { latitude, longitude } => {
            out.push_str("{\"geoPointValue\":{\"latitude\":");
            double(out, *latitude);
            out.push_str(",\"longitude\":");
            double(out, *longitude);
            out.push_str("}}");
        }
        Value::Array(values) => {
            out.push_str("{\"arrayValue\":{\"values\":[");
            for (number, inner) in values.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                self::value(out, inner);
            }
            out.push_str("]}}");
        }
        Value::Map(map) => {
            out.push_str("{\"mapValue\":{\"fields\":");
            fields(out, map);
            out.push_str("}}");
        }
    }
}

fn double(out: &mut String, number: f64) {
    let name = if number.is_nan() {
        "\"NaN\""
    } else if number == f64::INFINITY {
        "\"Infinity\""
    } else if number == f64::NEG_INFINITY {
        "\"-Infinity\""
    } else {
        let digits = Json::from(number).to_string();
        // The JSON reader is off by the last bit for some numbers: as texts they are read exactly.
        let exact = serde_json::from_str::<f64>(&digits).is_ok_and(|read| read.to_bits() == number.to_bits());
        return out.push_str(&if exact { digits } else { format!("\"{digits}\"") });
    };
    out.push_str(name);
}

/// A line as a document that may be stored: its database, name and fields. The error says what is
/// wrong with it.
pub fn parse(line: &str) -> Result<(DatabaseName, DocumentName, Fields), String> {
    let json: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Json::Object(mut object) = json else { return Err("a document must be a JSON object".to_owned()) };
    let Some(Json::String(name)) = object.remove("name") else {
        return Err("`name` must be the document's full resource name".to_owned());
    };
    let (database, name) = DocumentName::parse(&name).map_err(|error| error.to_string())?;
    let raw = match object.remove("fields") {
        None => HashMap::new(),
        Some(json) => entries(json, "fields")?,
    };
    for times in ["createTime", "updateTime"] {
        if let Some(json) = object.remove(times) {
            time(&json).ok_or_else(|| format!("`{times}` must be a time in RFC 3339"))?;
        }
    }
    if let Some(unknown) = object.keys().next() {
        return Err(format!("unknown key `{unknown}`: there are name, fields, createTime and updateTime"));
    }
    let fields = values::fields(raw).map_err(|error| error.to_string())?;
    let bytes = document_size(&name, &fields);
    if bytes > limits::DOCUMENT_BYTES {
        return Err(texts::document_too_large(&database.resource(name.path()), bytes));
    }
    Ok((database, name, fields))
}

fn object(json: Json, what: &str) -> Result<Map<String, Json>, String> {
    match json {
        Json::Object(object) => Ok(object),
        _ => Err(format!("`{what}` must be a JSON object")),
    }
}

fn entries(json: Json, what: &str) -> Result<HashMap<String, pb::Value>, String> {
    let entries = object(json, what)?.into_iter();
    entries
        .map(|(key, json)| parse_value(json).map(|value| (key.clone(), value)).map_err(|error| within(&key, &error)))
        .collect()
}

fn within(key: &str, error: &str) -> String {
    match error.strip_prefix("field `") {
        Some(inner) => format!("field `{key}.{inner}"),
        None => format!("field `{key}`: {error}"),
    }
}

/// A value in REST form. JSON's own depth limit holds for this recursion.
fn parse_value(json: Json) -> Result<pb::Value, String> {
    use pb::value::ValueType as V;
    let mut parts = object(json, "value")?.into_iter();
    let (Some((kind, json)), None) = (parts.next(), parts.next()) else {
        return Err("a value must have exactly one key, such as `stringValue`".to_owned());
    };
    let wrong = |wanted: &str| format!("`{kind}` must be {wanted}");
    let value = match (kind.as_str(), json) {
        ("nullValue", Json::Null) => V::NullValue(0),
        ("nullValue", Json::String(name)) if name == "NULL_VALUE" => V::NullValue(0),
        ("nullValue", _) => return Err(wrong("null")),
        ("booleanValue", Json::Bool(flag)) => V::BooleanValue(flag),
        ("booleanValue", _) => return Err(wrong("true or false")),
        ("integerValue", Json::String(digits)) => {
            V::IntegerValue(digits.parse().map_err(|_| wrong("a 64-bit integer in quotes"))?)
        }
        ("integerValue", json) => V::IntegerValue(json.as_i64().ok_or_else(|| wrong("a 64-bit integer in quotes"))?),
        ("doubleValue", json) => V::DoubleValue(number(&json).ok_or_else(|| wrong("a number"))?),
        ("timestampValue", json) => V::TimestampValue(time(&json).ok_or_else(|| wrong("a time in RFC 3339"))?),
        ("stringValue", Json::String(text)) => V::StringValue(text),
        ("stringValue", _) => return Err(wrong("a string")),
        ("bytesValue", Json::String(text)) => {
            V::BytesValue(STANDARD.decode(text).map_err(|_| wrong("bytes in base64"))?.into())
        }
        ("bytesValue", _) => return Err(wrong("bytes in base64")),
        ("referenceValue", Json::String(name)) => V::ReferenceValue(name),
        ("referenceValue", _) => return Err(wrong("a document's resource name")),
        ("geoPointValue", json) => {
            let point = object(json, &kind)?;
            let part = |name| point.get(name).map_or(Some(0.0), number);
            match (part("latitude"), part("longitude")) {
                (Some(latitude), Some(longitude)) => V::GeoPointValue(LatLng { latitude, longitude }),
                _ => return Err(wrong("an object of two numbers")),
            }
        }
        ("arrayValue", json) => {
            let values = match object(json, &kind)?.remove("values") {
                None => Vec::new(),
                Some(Json::Array(values)) => values.into_iter().map(parse_value).collect::<Result<_, _>>()?,
                Some(_) => return Err("`values` must be an array".to_owned()),
            };
            V::ArrayValue(pb::ArrayValue { values })
        }
        ("mapValue", json) => {
            let fields =
                object(json, &kind)?.remove("fields").map_or(Ok(HashMap::new()), |json| entries(json, "fields"))?;
            V::MapValue(pb::MapValue { fields })
        }
        _ => return Err(format!("there is no kind of value `{kind}`")),
    };
    Ok(pb::Value { value_type: Some(value) })
}

fn number(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(name) => match name.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            digits if digits.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn time(json: &Json) -> Option<ProtoTimestamp> {
    json.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use scrimmage_core::Timestamp;

    use super::*;

    fn leaf() -> impl Strategy<Value = Value> {
        // Years 1970 to 9999.
        let time = (0..253_402_300_799_999_999_i64).prop_map(|micros| Value::Timestamp(Timestamp::from_micros(micros)));
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Double),
            Just(Value::Double(f64::NAN)),
            Just(Value::Double(-0.0)),
            time,
            ".*".prop_map(|text| Value::string(&text)),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(Arc::from(bytes))),
            Just(Value::Reference(Arc::from("projects/p/databases/d/documents/c/a"))),
            (-90.0..90.0, -180.0..180.0).prop_map(|(latitude, longitude)| Value::Geo { latitude, longitude }),
        ]
    }

    fn map(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Fields> {
        let entries = prop::collection::vec(("[a-z\"\\\\ .`]{1,5}", inner), 0..4);
        entries.prop_map(|entries| entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn documents_go_both_ways(
            plain in map(leaf()),
            nested in map(leaf()),
            list in prop::collection::vec(leaf(), 0..4),
        ) {
            let database = DatabaseName::parse("projects/p/databases/(default)").unwrap();
            let name = DocumentName::parse_relative("c/a-ü \"q\"").unwrap();
            let mut fields = plain;
            fields.insert(Arc::from("nested"), Value::map(nested));
            fields.insert(Arc::from("list"), Value::array(list));
            let time = Timestamp::from_micros(1_767_225_600_123_456);
            let document = Document { name: name.clone(), fields: fields.clone(), create_time: time, update_time: time };
            let line = line(&database, &document);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(parse(line.trim_end()).unwrap(), (database, name, fields));
        }

        #[test]
        fn other_lines_are_refused_or_read_but_never_trip(line in ".*") {
            let _ = parse(&line);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let name = r#""name":"projects/p/databases/d/documents/c/a""#;
        let cases = [
            ("[]".to_owned(), "a document must be a JSON object"),
            ("{}".to_owned(), "`name` must be the document's full resource name"),
            (r#"{"name":"c/a"}"#.to_owned(), "Document name \"c/a\" lacks \"projects\" at index 0."),
            (
                format!("{{{name},\"field\":1}}"),
                "unknown key `field`: there are name, fields, createTime and updateTime",
            ),
            (
                format!(
                    "{{{name},\"fields\":{{\"a\":{{\"mapValue\":{{\"fields\":{{\"b\":{{\"integerValue\":\"x\"}}}}}}}}}}}}"
                ),
                "field `a.b`: `integerValue` must be a 64-bit integer in quotes",
            ),
            (format!("{{{name},\"fields\":{{\"a\":{{\"text\":1}}}}}}"), "field `a`: there is no kind of value `text`"),
            (format!("{{{name},\"fields\":{{\"__a__\":{{\"nullValue\":null}}}}}}"), "field name __a__ is reserved"),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(&line).unwrap_err(), expected, "{line}");
        }
    }
}
