//! Protocol Buffers definitions: one file without imports, with one top-level message.
//!
//! <https://cloud.google.com/pubsub/docs/create-schemas>. The compiler bounds the nesting of what it reads.

use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, SerializeOptions, Value,
};
use protox::file::{File, FileResolver};
use protox::{Compiler, Error};

const FILE: &str = "schema.proto";

#[derive(Debug)]
pub struct Protobuf {
    message: MessageDescriptor,
}

/// The definition is the only file there is.
struct Only(String);

impl FileResolver for Only {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        if name == FILE { File::from_source(FILE, &self.0) } else { Err(Error::file_not_found(name)) }
    }
}

impl Protobuf {
    /// Compiles a definition; the text of an error says what is wrong with it.
    pub fn parse(definition: &str) -> Result<Protobuf, String> {
        let mut compiler = Compiler::with_file_resolver(Only(definition.to_owned()));
        compiler.open_file(FILE).map_err(|error| error.to_string())?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(FILE).ok_or("nothing was compiled")?;
        let mut messages = file.messages();
        match (messages.next(), messages.next()) {
            (Some(message), None) => Ok(Protobuf { message }),
            _ => Err("there must be exactly one top-level message".to_owned()),
        }
    }

    /// Checks a message in Protocol Buffers' JSON form; its value in that form, with names as in the
    /// definition, or what does not fit.
    pub fn read_json(&self, data: &[u8]) -> Result<serde_json::Value, String> {
        let mut json = serde_json::Deserializer::from_slice(data);
        let message =
            DynamicMessage::deserialize(self.message.clone(), &mut json).map_err(|error| error.to_string())?;
        json.end().map_err(|error| error.to_string())?;
        self.checked(&message)
    }

    /// The same for a message in binary form. Fields that the definition has not do not fit.
    pub fn read_binary(&self, data: &[u8]) -> Result<serde_json::Value, String> {
        let message = DynamicMessage::decode(self.message.clone(), data).map_err(|error| error.to_string())?;
        self.checked(&message)
    }

    fn checked(&self, message: &DynamicMessage) -> Result<serde_json::Value, String> {
        check(message)?;
        let options = SerializeOptions::new().use_proto_field_name(true);
        message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|error| error.to_string())
    }

    pub fn fields(&self) -> Vec<String> {
        self.message.fields().map(|field| field.name().to_owned()).collect()
    }

    /// Whether a new revision may follow: optional fields may come and go, other fields may not, and a
    /// field that stays stays as it is
    /// (<https://cloud.google.com/pubsub/docs/commit-schema-revision>).
    pub fn is_compatible_with(&self, other: &Protobuf) -> bool {
        compatible(&self.message, &other.message, &mut Vec::new())
    }
}

fn check(message: &DynamicMessage) -> Result<(), String> {
    if message.unknown_fields().next().is_some() {
        return Err("Unknown fields in message".to_owned());
    }
    let kind = message.descriptor();
    if let Some(missing) = kind.fields().find(|field| is_required(field) && !message.has_field(field)) {
        return Err(format!("Field {} is missing", missing.name()));
    }
    message.fields().try_for_each(|(_, value)| check_value(value))
}

fn check_value(value: &Value) -> Result<(), String> {
    match value {
        Value::Message(message) => check(message),
        Value::List(values) => values.iter().try_for_each(check_value),
        Value::Map(values) => values.values().try_for_each(check_value),
        _ => Ok(()),
    }
}

fn is_required(field: &FieldDescriptor) -> bool {
    field.cardinality() == Cardinality::Required
}

fn compatible(old: &MessageDescriptor, new: &MessageDescriptor, seen: &mut Vec<String>) -> bool {
    if old.full_name() != new.full_name() {
        return false;
    }
    if seen.iter().any(|name| name == old.full_name()) {
        return true;
    }
    seen.push(old.full_name().to_owned());
    let alone = |from: &MessageDescriptor, to: &MessageDescriptor| {
        from.fields()
            .all(|field| to.get_field(field.number()).is_some() || field.cardinality() == Cardinality::Optional)
    };
    alone(old, new)
        && alone(new, old)
        && old.fields().all(|field| match new.get_field(field.number()) {
            Some(other) => same_field(&field, &other, seen),
            None => true,
        })
}

fn same_field(old: &FieldDescriptor, new: &FieldDescriptor, seen: &mut Vec<String>) -> bool {
    let kinds = match (old.kind(), new.kind()) {
        (Kind::Message(old), Kind::Message(new)) => compatible(&old, &new, seen),
        (Kind::Enum(old), Kind::Enum(new)) => {
            old.full_name() == new.full_name()
                && old
                    .values()
                    .all(|value| new.get_value(value.number()).is_some_and(|other| other.name() == value.name()))
        }
        (old, new) => old == new,
    };
    kinds && old.name() == new.name() && old.cardinality() == new.cardinality()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> Protobuf {
        Protobuf::parse(&format!("syntax = \"proto3\"; message State {{ {fields} }}")).expect("a definition")
    }

    #[test]
    fn definitions_that_are_none_are_refused() {
        for bad in [
            "",
            "message",
            "syntax = \"proto3\";",
            "syntax = \"proto3\"; message A {} message B {}",
            "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message A { google.protobuf.Timestamp t = 1; }",
            "syntax = \"proto3\"; message A { B b = 1; }",
            "syntax = \"proto3\"; message A { int32 a = 1; int32 b = 1; }",
        ] {
            assert!(Protobuf::parse(bad).is_err(), "{bad}");
        }
        let deep = format!("syntax = \"proto3\"; {} {}", "message A { ".repeat(500), "}".repeat(500));
        assert!(Protobuf::parse(&deep).is_err());
    }

    #[test]
    fn messages_fit_or_not() {
        let state = schema("string name = 1; int32 post = 2; repeated string towns = 3;");
        let value = state.read_json(br#"{"name": "Alaska", "post": 7, "towns": ["a"]}"#).expect("a message");
        assert_eq!(value, serde_json::json!({"name": "Alaska", "post": 7, "towns": ["a"]}));
        for bad in ["", "[]", r#"{"name": 1}"#, r#"{"name": "a", "capital": "b"}"#, r#"{"name": "a"} x"#] {
            assert!(state.read_json(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(state.read_binary(b"\x0a\x01a\x10\x07").expect("a message")["name"], "a");
        // Field 9 is none of the definition's; a length beyond the end.
        assert!(state.read_binary(b"\x48\x01").is_err());
        assert!(state.read_binary(b"\x0a\x09a").is_err());
        let required =
            Protobuf::parse("syntax = \"proto2\"; message A { required int32 a = 1; }").expect("a definition");
        assert!(required.read_json(b"{}").is_err());
        assert!(required.read_json(br#"{"a": 0}"#).is_ok());
    }

    #[test]
    fn optional_fields_come_and_go() {
        let base = schema("string name = 1;");
        assert!(base.is_compatible_with(&schema("string name = 1; optional int32 population = 2;")));
        assert!(schema("string name = 1; optional int32 population = 2;").is_compatible_with(&base));
        for other in [
            "string name = 1; repeated int32 n = 2;",
            "int32 name = 1;",
            "string title = 1;",
            "repeated string name = 1;",
        ] {
            assert!(!base.is_compatible_with(&schema(other)), "{other}");
        }
    }
}
