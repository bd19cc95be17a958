//! JSON to protobuf, with the texts of Google's front end for what does not fit.
//!
//! Field names are accepted in both spellings (`fieldPath`, `field_path`), numbers as text and
//! enums by name or number, as the protobuf JSON mapping asks. Where something is wrong, all
//! problems of the message are reported at once, each with the path of its message in `.proto`
//! spelling; maps count as lists of pairs there (`document.fields[0].value`), as in production.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use scrimmage_core::{Detail, Status};
use serde_json::Value as Json;

/// Production reports at most this many problems of one request.
const MAX_PROBLEMS: usize = 20;
/// As deep as a JSON text may nest; serde_json stops at 128 by itself.
const MAX_DEPTH: usize = 100;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What is wrong with a request, so far: field and description.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    fn push(&mut self, at: &str, text: String) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push((at.to_owned(), text));
        }
    }

    fn unknown_name(&mut self, at: &str, name: &str) {
        let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
        self.push(at, format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."));
    }

    /// A body where the method takes none.
    pub(super) fn unknown_body(&mut self, name: &str) {
        self.unknown_name("", name);
    }

    pub(super) fn unknown_parameter(&mut self, name: &str, part: &str) {
        self.push(
            "",
            format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{part}' \
                 could not be found in request message."
            ),
        );
    }

    pub(super) fn invalid_value(&mut self, at: &str, kind: &str, value: &Json) {
        let shown: String = value.to_string().chars().take(200).collect();
        self.push(at, format!("Invalid value at '{at}' ({kind}), {shown}"));
    }

    fn not_a(&mut self, at: &str, what: &str) {
        self.push(at, format!("Invalid JSON payload received. {what}"));
    }

    /// INVALID_ARGUMENT with all texts and a `google.rpc.BadRequest`, if there is any problem.
    pub fn into_status(self) -> Result<(), Status> {
        if self.0.is_empty() {
            return Ok(());
        }
        let text = self.0.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
        Err(Status::invalid_argument(text).with_detail(Detail::BadRequest { field_violations: self.0 }))
    }
}

/// Parses a JSON text; the error names the place as production does, by the text around it.
pub fn parse(body: &[u8]) -> Result<Json, Status> {
    serde_json::from_slice(body).map_err(|error| {
        let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let column = error.column().saturating_sub(1).min(40);
        let what = if error.is_eof() { "Unexpected end of string." } else { "Unexpected token." };
        let shown: String = line.chars().take(80).collect();
        let text = format!("Invalid JSON payload received. {what}\n{shown}\n{}^", " ".repeat(column));
        let violation = (String::new(), text.clone());
        Status::invalid_argument(text).with_detail(Detail::BadRequest { field_violations: vec![violation] })
    })
}

/// Reads a JSON object into a message of this type. `at` is the message's path for error texts.
pub fn message(descriptor: &MessageDescriptor, json: &Json, at: &str, problems: &mut Problems) -> DynamicMessage {
    read_message(descriptor, json, at, problems, 0)
}

fn read_message(
    descriptor: &MessageDescriptor,
    json: &Json,
    at: &str,
    problems: &mut Problems,
    depth: usize,
) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    if is_well_known(descriptor) {
        match well_known(descriptor, json) {
            Some(known) => return known,
            None => problems.invalid_value(at, &type_name(&Kind::Message(descriptor.clone())), json),
        }
        return message;
    }
    let Json::Object(object) = json else {
        if at.is_empty() {
            problems.not_a(at, "Root element must be a message.");
        } else {
            problems.invalid_value(at, &type_name(&Kind::Message(descriptor.clone())), json);
        }
        return message;
    };
    if depth > MAX_DEPTH {
        problems.not_a(at, "Message too deep. Max recursion depth reached.");
        return message;
    }
    for (name, value) in object {
        let Some(field) = find_field(descriptor, name) else {
            problems.unknown_name(at, name);
            continue;
        };
        let place = if at.is_empty() { field.name().to_owned() } else { format!("{at}.{}", field.name()) };
        if let Some(oneof) = field.containing_oneof()
            && oneof.fields().any(|other| other != field && message.has_field(&other))
            && !value.is_null()
        {
            problems.push(
                at,
                format!(
                    "Invalid value at '{at}' (oneof), oneof field '{}' is already set. Cannot set '{name}'",
                    oneof.name()
                ),
            );
            continue;
        }
        if let Some(value) = read_field(&field, value, &place, problems, depth + 1) {
            message.set_field(&field, value);
        }
    }
    message
}

fn read_field(field: &FieldDescriptor, json: &Json, at: &str, problems: &mut Problems, depth: usize) -> Option<Value> {
    let kind = field.kind();
    if json.is_null() && !takes_null(&kind) {
        return None;
    }
    if field.is_map() {
        return read_map(&kind, json, at, problems, depth);
    }
    if !field.is_list() {
        return read_value(&kind, json, at, problems, depth);
    }
    let Json::Array(items) = json else {
        // Production takes a lone value for a list of one.
        return Some(Value::List(read_value(&kind, json, at, problems, depth).into_iter().collect()));
    };
    let mut list = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        list.extend(read_value(&kind, item, &format!("{at}[{index}]"), problems, depth));
    }
    Some(Value::List(list))
}

fn read_map(kind: &Kind, json: &Json, at: &str, problems: &mut Problems, depth: usize) -> Option<Value> {
    let entry = kind.as_message()?;
    let (key_kind, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
    let Json::Object(object) = json else {
        problems.invalid_value(at, &type_name(kind), json);
        return None;
    };
    let mut map = std::collections::HashMap::with_capacity(object.len());
    for (index, (key, value)) in object.iter().enumerate() {
        let Some(key) = scalar_from_text(&key_kind, key).and_then(Value::into_map_key) else {
            let key = Json::String(key.clone());
            problems.invalid_value(&format!("{at}[{index}].key"), &type_name(&key_kind), &key);
            continue;
        };
        if let Some(value) = read_value(&value_kind, value, &format!("{at}[{index}].value"), problems, depth) {
            map.insert(key, value);
        }
    }
    Some(Value::Map(map))
}

fn read_value(kind: &Kind, json: &Json, at: &str, problems: &mut Problems, depth: usize) -> Option<Value> {
    if let Kind::Message(descriptor) = kind {
        return Some(Value::Message(read_message(descriptor, json, at, problems, depth)));
    }
    let value = scalar(kind, json);
    if value.is_none() {
        problems.invalid_value(at, &type_name(kind), json);
    }
    value
}

fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        Kind::Enum(descriptor) => descriptor.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

/// A field by either of its spellings.
pub(super) fn find_field(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor.get_field_by_json_name(name).or_else(|| descriptor.get_field_by_name(name))
}

/// `TYPE_INT32` and the like: how production names types in error texts.
pub(super) fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Double => "TYPE_DOUBLE",
        Kind::Float => "TYPE_FLOAT",
        Kind::Int32 => "TYPE_INT32",
        Kind::Int64 => "TYPE_INT64",
        Kind::Uint32 => "TYPE_UINT32",
        Kind::Uint64 => "TYPE_UINT64",
        Kind::Sint32 => "TYPE_SINT32",
        Kind::Sint64 => "TYPE_SINT64",
        Kind::Fixed32 => "TYPE_FIXED32",
        Kind::Fixed64 => "TYPE_FIXED64",
        Kind::Sfixed32 => "TYPE_SFIXED32",
        Kind::Sfixed64 => "TYPE_SFIXED64",
        Kind::Bool => "TYPE_BOOL",
        Kind::String => "TYPE_STRING",
        Kind::Bytes => "TYPE_BYTES",
        Kind::Message(message) => return format!("type.googleapis.com/{}", message.full_name()),
        Kind::Enum(descriptor) => return format!("type.googleapis.com/{}", descriptor.full_name()),
    }
    .to_owned()
}

fn scalar(kind: &Kind, json: &Json) -> Option<Value> {
    match (kind, json) {
        (Kind::String, Json::String(text)) => Some(Value::String(text.clone())),
        (Kind::String, _) => None,
        (_, Json::String(text)) => scalar_from_text(kind, text),
        (Kind::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
        (Kind::Enum(_), Json::Number(number)) => Some(Value::EnumNumber(i32::try_from(number.as_i64()?).ok()?)),
        (Kind::Enum(descriptor), Json::Null) if descriptor.full_name() == "google.protobuf.NullValue" => {
            Some(Value::EnumNumber(0))
        }
        (_, Json::Number(number)) => match kind {
            Kind::Double => Some(Value::F64(number.as_f64()?)),
            Kind::Float => float(number.as_f64()?),
            Kind::Uint32 | Kind::Fixed32 => Some(Value::U32(u32::try_from(unsigned(number)?).ok()?)),
            Kind::Uint64 | Kind::Fixed64 => Some(Value::U64(unsigned(number)?)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Some(Value::I32(i32::try_from(signed(number)?).ok()?)),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Some(Value::I64(signed(number)?)),
            _ => None,
        },
        _ => None,
    }
}

fn float(value: f64) -> Option<Value> {
    let narrow = value as f32;
    (narrow.is_finite() || !value.is_finite()).then_some(Value::F32(narrow))
}

/// Whole numbers may come as `1.0` or `1e3`; beyond 2^53 only written out.
fn signed(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| whole(number.as_f64()?).map(|value| value as i64))
}

fn unsigned(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| whole(number.as_f64()?).filter(|value| *value >= 0.0).map(|value| value as u64))
}

fn whole(value: f64) -> Option<f64> {
    (value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0).then_some(value)
}

/// A scalar from a path, a query parameter, a map key or a JSON string.
pub(super) fn scalar_from_text(kind: &Kind, text: &str) -> Option<Value> {
    let number = || serde_json::from_str::<serde_json::Number>(text).ok();
    match kind {
        Kind::String => Some(Value::String(text.to_owned())),
        Kind::Bool => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            text.parse().ok().or_else(|| i32::try_from(signed(&number()?)?).ok()).map(Value::I32)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => text.parse().ok().or_else(|| signed(&number()?)).map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => {
            text.parse().ok().or_else(|| u32::try_from(unsigned(&number()?)?).ok()).map(Value::U32)
        }
        Kind::Uint64 | Kind::Fixed64 => text.parse().ok().or_else(|| unsigned(&number()?)).map(Value::U64),
        Kind::Double => double(text).map(Value::F64),
        Kind::Float => float(double(text)?),
        Kind::Bytes => base64(text).map(|bytes| Value::Bytes(bytes.into())),
        Kind::Enum(descriptor) => enum_number(descriptor, text).map(Value::EnumNumber),
        Kind::Message(_) => None,
    }
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        // The Rust parser would also take `inf` and `nan`.
        _ if text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => text.parse().ok(),
        _ => None,
    }
}

/// Either alphabet, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(text).ok()
}

fn enum_number(descriptor: &EnumDescriptor, text: &str) -> Option<i32> {
    descriptor.get_value_by_name(text).map(|value| value.number()).or_else(|| text.parse().ok())
}

pub(super) fn is_wrapper(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf" && descriptor.name().ends_with("Value") && {
        !matches!(descriptor.name(), "Value" | "ListValue")
    }
}

fn is_well_known(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf" && {
        is_wrapper(descriptor)
            || matches!(
                descriptor.name(),
                "Timestamp" | "Duration" | "FieldMask" | "Struct" | "Value" | "ListValue" | "Any" | "Empty"
            )
    }
}

/// A message of `google.protobuf` that has a JSON form of its own.
pub(super) fn well_known(descriptor: &MessageDescriptor, json: &Json) -> Option<DynamicMessage> {
    let mut message = DynamicMessage::new(descriptor.clone());
    if is_wrapper(descriptor) {
        let field = descriptor.get_field(1)?;
        message.set_field(&field, scalar(&field.kind(), json)?);
        return Some(message);
    }
    if descriptor.full_name() == "google.protobuf.FieldMask" {
        let paths = json.as_str()?.split(',').map(str::trim).filter(|path| !path.is_empty());
        let paths = paths.map(|path| Value::String(snake_case(path))).collect();
        message.set_field(&descriptor.get_field(1)?, Value::List(paths));
        return Some(message);
    }
    DynamicMessage::deserialize(descriptor.clone(), json).ok()
}

/// `ackDeadlineSeconds` as the `.proto` file spells it; what is so spelled already stays.
fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
            snake.push(c.to_ascii_lowercase());
        } else {
            snake.push(c);
        }
    }
    snake
}

/// A map key as JSON spells it.
pub(super) fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(value) => value.to_string(),
        MapKey::I32(value) => value.to_string(),
        MapKey::I64(value) => value.to_string(),
        MapKey::U32(value) => value.to_string(),
        MapKey::U64(value) => value.to_string(),
        MapKey::String(value) => value.clone(),
    }
}
