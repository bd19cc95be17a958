//! Messages in Avro's JSON encoding.
//!
//! A value of a union is `null` or an object with the branch's name as its only key; bytes are a string whose
//! characters are the bytes; every field of a record must be there, whatever its default (a default is for
//! readers), and no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Avro, DEPTH, Node};

impl Avro {
    /// Checks a message; its value with the branches of unions taken out of their objects and bytes in
    /// base64, or what does not fit.
    pub fn read_json(&self, data: &[u8]) -> Result<Value, String> {
        let value: Value = serde_json::from_slice(data).map_err(|_| "Could not parse message as JSON".to_owned())?;
        self.json(self.root, &value, 0)
    }

    fn json(&self, at: usize, value: &Value, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err("The message is nested too deeply".to_owned());
        }
        let node = self.node(at);
        let mismatch = |expected: &str| {
            Err(format!("JSON object with type {} does not match schema which expected {expected}", type_name(value)))
        };
        match (node, value) {
            (Node::Null, Value::Null) | (Node::Boolean, Value::Bool(_)) | (Node::String, Value::String(_)) => {
                Ok(value.clone())
            }
            (Node::Int, Value::Number(number)) => match number.as_i64().map(i32::try_from) {
                Some(Ok(_)) => Ok(value.clone()),
                Some(Err(_)) => Err("Integer value is out of range for type int".to_owned()),
                None => mismatch("number_integer"),
            },
            (Node::Long, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
            (Node::Float | Node::Double, Value::Number(_)) => Ok(value.clone()),
            (Node::Bytes, Value::String(text)) => match bytes(text) {
                Some(bytes) => Ok(STANDARD.encode(bytes).into()),
                None => Err("A string that encodes bytes has a character above U+00FF".to_owned()),
            },
            (Node::Fixed { size, name }, Value::String(text)) => match bytes(text) {
                Some(bytes) if bytes.len() == *size => Ok(STANDARD.encode(bytes).into()),
                _ => Err(format!("A value of {name} must have {size} bytes")),
            },
            (Node::Enum { symbols, name, .. }, Value::String(text)) => {
                if symbols.contains(text) {
                    Ok(value.clone())
                } else {
                    Err(format!("Symbol {text} is not one of {name}"))
                }
            }
            (Node::Array(items), Value::Array(values)) => values
                .iter()
                .map(|value| self.json(*items, value, depth + 1))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::from),
            (Node::Map(values), Value::Object(object)) => {
                let entries =
                    object.iter().map(|(key, value)| Ok((key.clone(), self.json(*values, value, depth + 1)?)));
                entries.collect::<Result<Map<_, _>, String>>().map(Value::from)
            }
            (Node::Record { name, fields }, Value::Object(object)) => {
                let mut read = Map::new();
                for field in fields {
                    let value = object.get(&field.name);
                    let value = value.ok_or_else(|| format!("Field {} of {name} is missing", field.name))?;
                    read.insert(field.name.clone(), self.json(field.node, value, depth + 1)?);
                }
                match object.keys().find(|key| !read.contains_key(*key)) {
                    Some(key) => Err(format!("Field {key} is not one of {name}")),
                    None => Ok(read.into()),
                }
            }
            (Node::Union(branches), Value::Null) => {
                if branches.iter().any(|branch| matches!(self.node(*branch), Node::Null)) {
                    Ok(json!(null))
                } else {
                    mismatch("object")
                }
            }
            (Node::Union(branches), Value::Object(object)) => {
                let mut entries = object.iter();
                let (Some((key, value)), None) = (entries.next(), entries.next()) else {
                    return Err("The value of a union must have exactly one key".to_owned());
                };
                let branch = branches.iter().find(|branch| {
                    let name = self.branch_name(**branch);
                    name == key && name != "null"
                });
                match branch {
                    Some(branch) => self.json(*branch, value, depth + 1),
                    None => Err(format!("{key} is not a branch of the union")),
                }
            }
            (Node::Null, _) => mismatch("null"),
            (Node::Boolean, _) => mismatch("boolean"),
            (Node::Int | Node::Long, _) => mismatch("number_integer"),
            (Node::Float | Node::Double, _) => mismatch("number_float"),
            (Node::Bytes | Node::String | Node::Fixed { .. } | Node::Enum { .. }, _) => mismatch("string"),
            (Node::Array(_), _) => mismatch("array"),
            (Node::Map(_) | Node::Record { .. } | Node::Union(_), _) => mismatch("object"),
            (Node::Open, _) => Err("The schema has an open type".to_owned()),
        }
    }
}

/// One byte a character.
fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number_float",
        Value::Number(_) => "number_integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(field: &str) -> Avro {
        let text = format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "f", "type": {field}}}]}}"#);
        Avro::parse(&text).expect("a definition")
    }

    #[test]
    fn values_fit_their_types_or_not() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (r#""int""#, &["1", "-2147483648"], &["2147483648", "1.5", "\"1\"", "null"]),
            (r#""long""#, &["9223372036854775807"], &["9223372036854775808", "1.0"]),
            (r#""double""#, &["1", "1.5", "1e300"], &["\"1\"", "true"]),
            (r#""boolean""#, &["true"], &["1"]),
            (r#""bytes""#, &["\"\\u00ff\""], &["\"\\u0100\"", "1"]),
            (
                r#"["null", "string"]"#,
                &["null", r#"{"string": "a"}"#],
                &["\"a\"", r#"{"int": 1}"#, r#"{"null": null}"#],
            ),
            (r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#, &["\"A\""], &["\"C\""]),
            (r#"{"type": "fixed", "name": "F", "size": 2}"#, &["\"ab\""], &["\"abc\""]),
            (r#"{"type": "array", "items": "int"}"#, &["[]", "[1, 2]"], &["[1, \"2\"]", "{}"]),
            (r#"{"type": "map", "values": "int"}"#, &["{}", r#"{"a": 1}"#], &[r#"{"a": "1"}"#, "[]"]),
        ];
        for (field, good, bad) in cases {
            let avro = with(field);
            for value in *good {
                let read = avro.read_json(format!(r#"{{"f": {value}}}"#).as_bytes());
                assert!(read.is_ok(), "{field} {value}: {read:?}");
            }
            for value in *bad {
                assert!(avro.read_json(format!(r#"{{"f": {value}}}"#).as_bytes()).is_err(), "{field} {value}");
            }
        }
        let avro = with("\"int\"");
        for bad in ["{}", r#"{"f": 1, "g": 2}"#, "1", "not json"] {
            assert!(avro.read_json(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(
            avro.read_json(br#"{"f": "x"}"#),
            Err("JSON object with type string does not match schema which expected number_integer".to_owned())
        );
    }
}
