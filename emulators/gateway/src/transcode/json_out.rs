//! Protobuf to JSON, as Google's REST APIs write it: camelCase, defaults left out, maps in the
//! order of their keys (so that answers are the same in every run), 64-bit integers as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use super::json_in::key_text;

/// How to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Indented by two spaces, a field a line.
    pub pretty: bool,
    /// Enums as numbers instead of names.
    pub enum_numbers: bool,
}

/// Appends a message to `out`.
pub fn write(message: &DynamicMessage, style: Style, out: &mut Vec<u8>) {
    Writer { style, out, depth: 0 }.message(message);
}

/// Appends a JSON value to `out` in the same layout.
pub fn write_json(json: &serde_json::Value, pretty: bool, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = if pretty { serde_json::to_writer_pretty(out, json) } else { serde_json::to_writer(out, json) };
}

struct Writer<'a> {
    style: Style,
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl Writer<'_> {
    fn message(&mut self, message: &DynamicMessage) {
        let descriptor = message.descriptor();
        if descriptor.package_name() == "google.protobuf" && self.well_known(message) {
            return;
        }
        self.open(b'{');
        let mut first = true;
        for (field, value) in message.fields() {
            self.item(&mut first);
            self.text(field.json_name());
            self.colon();
            self.field(&field, value);
        }
        self.close(b'}', first);
    }

    /// Whether the message was one with a JSON form of its own.
    fn well_known(&mut self, message: &DynamicMessage) -> bool {
        let number = |field: &str| message.get_field_by_name(field).map(std::borrow::Cow::into_owned);
        let whole =
            |field| number(field).and_then(|value| value.as_i64().or(value.as_i32().map(i64::from))).unwrap_or(0);
        match message.descriptor().name() {
            "Timestamp" => {
                let text = timestamp(whole("seconds"), whole("nanos"));
                self.text(&text);
            }
            "Duration" => {
                let text = duration(whole("seconds"), whole("nanos"));
                self.text(&text);
            }
            "FieldMask" => {
                let paths = number("paths").and_then(|paths| {
                    let paths = paths.as_list()?.iter().filter_map(Value::as_str).map(camel_case);
                    Some(paths.collect::<Vec<_>>().join(","))
                });
                self.text(&paths.unwrap_or_default());
            }
            "Empty" => self.out.extend_from_slice(b"{}"),
            "Any" | "Struct" | "Value" | "ListValue" => {
                // Rare, and small where they occur: through the library's own form.
                let json = serde_json::to_value(message).unwrap_or_default();
                write_json(&json, false, self.out);
            }
            name if name.ends_with("Value") => {
                if let (Some(value), Some(field)) = (number("value"), message.descriptor().get_field_by_name("value")) {
                    self.value(&field.kind(), &value);
                }
            }
            _ => return false,
        }
        true
    }

    fn field(&mut self, field: &FieldDescriptor, value: &Value) {
        match value {
            Value::List(items) => {
                let kind = field.kind();
                self.open(b'[');
                let mut first = true;
                for item in items {
                    self.item(&mut first);
                    self.value(&kind, item);
                }
                self.close(b']', first);
            }
            Value::Map(map) => {
                let kind = field.kind();
                let Some(kind) = kind.as_message().map(|entry| entry.map_entry_value_field().kind()) else { return };
                let mut entries: Vec<_> = map.iter().map(|(key, value)| (key_text(key), value)).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                self.open(b'{');
                let mut first = true;
                for (key, value) in entries {
                    self.item(&mut first);
                    self.text(&key);
                    self.colon();
                    self.value(&kind, value);
                }
                self.close(b'}', first);
            }
            other => self.value(&field.kind(), other),
        }
    }

    fn value(&mut self, kind: &Kind, value: &Value) {
        match value {
            Value::Bool(value) => self.plain(value),
            Value::I32(value) => self.plain(value),
            Value::U32(value) => self.plain(value),
            Value::I64(value) => self.quoted(value),
            Value::U64(value) => self.quoted(value),
            Value::F32(value) if value.is_finite() => self.json(*value),
            Value::F64(value) if value.is_finite() => self.double(*value),
            Value::F32(value) => self.not_finite(f64::from(*value)),
            Value::F64(value) => self.not_finite(*value),
            Value::String(text) => self.text(text),
            Value::Bytes(bytes) => {
                self.out.push(b'"');
                self.out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                self.out.push(b'"');
            }
            Value::EnumNumber(number) => {
                let name = kind.as_enum().and_then(|descriptor| descriptor.get_value(*number));
                match (name, kind.as_enum()) {
                    (_, Some(descriptor)) if descriptor.full_name() == "google.protobuf.NullValue" => {
                        self.out.extend_from_slice(b"null");
                    }
                    (Some(name), _) if !self.style.enum_numbers => self.text(name.name()),
                    _ => self.plain(number),
                }
            }
            Value::Message(message) => self.message(message),
            // A list or map inside of one does not exist in protobuf.
            Value::List(_) | Value::Map(_) => self.out.extend_from_slice(b"null"),
        }
    }

    /// A double that is whole is written without a fraction, as production does.
    fn double(&mut self, value: f64) {
        if value.fract() == 0.0 && value.abs() < 1e15 && !(value == 0.0 && value.is_sign_negative()) {
            self.plain(&(value as i64));
        } else {
            self.json(value);
        }
    }

    fn not_finite(&mut self, value: f64) {
        let text = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        self.text(text);
    }

    fn plain(&mut self, value: &dyn std::fmt::Display) {
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    fn quoted(&mut self, value: &dyn std::fmt::Display) {
        self.out.push(b'"');
        self.plain(value);
        self.out.push(b'"');
    }

    fn text(&mut self, text: &str) {
        self.json(text);
    }

    fn json<T: serde::Serialize>(&mut self, value: T) {
        // Writing text and finite numbers to memory does not fail.
        let _ = serde_json::to_writer(&mut *self.out, &value);
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.depth += 1;
    }

    fn close(&mut self, bracket: u8, empty: bool) {
        self.depth -= 1;
        if !empty {
            self.line();
        }
        self.out.push(bracket);
    }

    fn item(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(b',');
        }
        self.line();
    }

    fn line(&mut self) {
        if self.style.pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.depth, b' ');
        }
    }

    fn colon(&mut self) {
        self.out.extend_from_slice(if self.style.pretty { b": " } else { b":" });
    }
}

/// RFC 3339 with 0, 3, 6 or 9 fraction digits.
fn timestamp(seconds: i64, nanos: i64) -> String {
    let whole = scrimmage_core::Timestamp::from_parts(seconds, 0).to_string();
    format!("{}{}Z", whole.trim_end_matches('Z'), fraction(nanos))
}

/// `3.5s`, `-0.001s`.
fn duration(seconds: i64, nanos: i64) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.saturating_abs()))
}

fn fraction(nanos: i64) -> String {
    let nanos = nanos.clamp(0, 999_999_999);
    if nanos == 0 {
        String::new()
    } else if nanos % 1_000_000 == 0 {
        format!(".{:03}", nanos / 1_000_000)
    } else if nanos % 1_000 == 0 {
        format!(".{:06}", nanos / 1_000)
    } else {
        format!(".{nanos:09}")
    }
}

fn camel_case(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut upper = false;
    for c in path.chars() {
        if c == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.push(c.to_ascii_uppercase());
        } else {
            camel.push(c);
        }
    }
    camel
}
