//! A definition of either type, ready to check messages.

use scrimmage_protos::google::pubsub::v1::Encoding;
use scrimmage_protos::google::pubsub::v1::schema::Type;

use super::avro::Avro;
use super::protobuf::Protobuf;
use crate::limits;
use crate::texts::Error;

#[derive(Debug)]
pub enum Definition {
    Avro(Avro),
    Protobuf(Protobuf),
}

impl Definition {
    /// Reads a definition of this type.
    pub fn parse(kind: Type, text: &str) -> Result<Definition, Error> {
        if text.len() > limits::SCHEMA_BYTES {
            return Err(Error::TooLarge {
                what: "schema_definition_size",
                given: text.len().to_string(),
                most: limits::SCHEMA_BYTES.to_string(),
            });
        }
        let read = match kind {
            Type::Avro => Avro::parse(text).map(Definition::Avro),
            Type::ProtocolBuffer => Protobuf::parse(text).map(Definition::Protobuf),
            Type::Unspecified => return Err(Error::BadArgument("schema.type")),
        };
        read.map_err(Error::BadDefinition)
    }

    /// The value of a message as JSON, or in words why it does not fit. Protocol Buffers as in their JSON
    /// form; Avro with bytes in base64 and without the names of branches.
    pub fn read(&self, encoding: Encoding, data: &[u8]) -> Result<serde_json::Value, String> {
        match (self, encoding) {
            (Definition::Avro(avro), Encoding::Binary) => avro.read_binary(data),
            (Definition::Avro(avro), _) => avro.read_json(data),
            (Definition::Protobuf(protobuf), Encoding::Binary) => protobuf.read_binary(data),
            (Definition::Protobuf(protobuf), _) => protobuf.read_json(data),
        }
    }

    /// The names of the fields of a message, top level alone; none where the type is no record.
    pub fn fields(&self) -> Vec<String> {
        match self {
            Definition::Avro(avro) => avro.fields(),
            Definition::Protobuf(protobuf) => protobuf.fields(),
        }
    }

    /// Whether a revision of `self` may be followed by one of `next`.
    pub fn is_compatible_with(&self, next: &Definition) -> bool {
        match (self, next) {
            (Definition::Avro(old), Definition::Avro(new)) => old.is_compatible_with(new),
            (Definition::Protobuf(old), Definition::Protobuf(new)) => old.is_compatible_with(new),
            _ => false,
        }
    }

    /// The reason in the details of a refusal.
    pub fn violation(&self, encoding: Encoding) -> &'static str {
        match (self, encoding) {
            (Definition::Avro(_), Encoding::Binary) => "INVALID_BINARY_AVRO_MESSAGE",
            (Definition::Avro(_), _) => "INVALID_JSON_AVRO_MESSAGE",
            (Definition::Protobuf(_), Encoding::Binary) => "INVALID_BINARY_PROTO_MESSAGE",
            (Definition::Protobuf(_), _) => "INVALID_JSON_PROTO_MESSAGE",
        }
    }
}
