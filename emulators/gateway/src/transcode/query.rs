//! Query parameters: `a.b=1&list=x&list=y`, bound to the fields of a request message.

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage, Value};

use super::json_in::{self, Problems, scalar_from_text};
use super::template::percent;

/// How deep a dotted name may go.
const MAX_DEPTH: usize = 32;

/// The parameters that every Google API takes beside a method's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct System {
    /// Production's default: indented.
    pub pretty: bool,
    /// `alt=sse`: a stream as server-sent events.
    pub sse: bool,
    /// Enums as numbers (`$alt=json;enum-encoding=int`).
    pub enum_numbers: bool,
}

/// Splits a query string into decoded pairs.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let decode = |text: &str| percent::decode(&text.replace('+', " "), false);
        (decode(name), decode(value))
    })
}

/// Takes the system parameters out of the pairs; the rest belongs to the method.
pub fn system(query: &str) -> (System, Vec<(String, String)>) {
    let mut system = System { pretty: true, sse: false, enum_numbers: false };
    let mut own = Vec::new();
    for (name, value) in pairs(query) {
        match name.strip_prefix('$').unwrap_or(&name) {
            "alt" => {
                system.sse = value == "sse";
                system.enum_numbers = value.contains("enum-encoding=int");
            }
            "prettyPrint" | "pp" => system.pretty = !matches!(value.as_str(), "false" | "0"),
            "key" | "fields" | "access_token" | "oauth_token" | "quotaUser" | "userIp" | "callback" | "uploadType"
            | "upload_protocol" | ".xgafv" | "bearer_token" | "userProject" => {}
            _ => own.push((name, value)),
        }
    }
    (system, own)
}

/// Binds pairs to the message's fields; what does not fit goes to `problems`.
pub fn bind(message: &mut DynamicMessage, pairs: &[(String, String)], problems: &mut Problems) {
    for (name, value) in pairs {
        if let Err(problem) = set(message, name, value) {
            match problem {
                Unbound::Unknown(at) => problems.unknown_parameter(name, &at),
                Unbound::Value(kind) => problems.invalid_value(name, &kind, &serde_json::Value::String(value.clone())),
            }
        }
    }
}

/// Sets the field at a dotted path from text: what path variables and query parameters do alike.
pub fn set(message: &mut DynamicMessage, path: &str, text: &str) -> Result<(), Unbound> {
    let parts: Vec<&str> = path.split('.').collect();
    if parts.len() > MAX_DEPTH {
        return Err(Unbound::Unknown(path.to_owned()));
    }
    set_parts(message, &parts, text).map_err(|problem| match problem {
        Unbound::Unknown(part) if part.is_empty() => Unbound::Unknown(path.to_owned()),
        other => other,
    })
}

/// Why a parameter could not be bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unbound {
    /// No such field; the part of the name that failed.
    Unknown(String),
    /// The text is no value of this type (`TYPE_INT32`).
    Value(String),
}

fn set_parts(message: &mut DynamicMessage, parts: &[&str], text: &str) -> Result<(), Unbound> {
    let Some((first, rest)) = parts.split_first() else { return Err(Unbound::Unknown(String::new())) };
    let descriptor = message.descriptor();
    let field = json_in::find_field(&descriptor, first).ok_or_else(|| Unbound::Unknown((*first).to_owned()))?;
    let kind = field.kind();
    if rest.is_empty() {
        if field.is_map() {
            return Err(Unbound::Unknown((*first).to_owned()));
        }
        let value = leaf(&kind, text)?;
        if field.is_list() {
            if let Some(list) = message.get_field_mut(&field).as_list_mut() {
                list.push(value);
            }
        } else {
            message.set_field(&field, value);
        }
        return Ok(());
    }
    // Lists of messages and maps have no place in a query string.
    if field.is_list() || field.is_map() || !matches!(kind, Kind::Message(_)) {
        return Err(Unbound::Unknown((*first).to_owned()));
    }
    match message.get_field_mut(&field).as_message_mut() {
        Some(inner) => set_parts(inner, rest, text),
        None => Err(Unbound::Unknown((*first).to_owned())),
    }
}

fn leaf(kind: &Kind, text: &str) -> Result<Value, Unbound> {
    let fail = || Unbound::Value(json_in::type_name(kind));
    match kind {
        Kind::Message(descriptor) if has_text_form(descriptor) => {
            let json = serde_json::Value::String(text.to_owned());
            json_in::well_known(descriptor, &json).map(Value::Message).ok_or_else(fail)
        }
        Kind::Message(_) => Err(fail()),
        scalar => scalar_from_text(scalar, text).ok_or_else(fail),
    }
}

/// Well-known messages that are one text in JSON, and wrappers, which take the text of their value.
fn has_text_form(descriptor: &MessageDescriptor) -> bool {
    matches!(
        descriptor.full_name(),
        "google.protobuf.Timestamp" | "google.protobuf.Duration" | "google.protobuf.FieldMask"
    ) || json_in::is_wrapper(descriptor)
}
