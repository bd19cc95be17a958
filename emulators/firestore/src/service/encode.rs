//! From the engine's types to the API's messages.

use prost::bytes::Bytes;
use prost_types::Timestamp as ProtoTimestamp;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::r#type::LatLng;

use crate::engine::Committed;
use crate::engine::store::Document;
use crate::engine::write::WriteResult;
use crate::path::{DatabaseName, FieldPath};
use crate::value::{Fields, Value};

pub fn time(time: Timestamp) -> ProtoTimestamp {
    let (seconds, nanos) = time.to_parts();
    ProtoTimestamp { seconds, nanos }
}

/// A document; `mask` are the fields to return, `None` for all.
pub fn document(database: &DatabaseName, document: &Document, mask: Option<&[FieldPath]>) -> pb::Document {
    let fields = match mask {
        None => fields(&document.fields),
        Some(mask) => fields(&masked(&document.fields, mask)),
    };
    pb::Document {
        name: database.resource(document.name.path()),
        fields,
        create_time: Some(time(document.create_time)),
        update_time: Some(time(document.update_time)),
    }
}

fn masked(fields: &Fields, mask: &[FieldPath]) -> Fields {
    let mut kept = Fields::new();
    for path in mask {
        if let Some(value) = path.get(fields) {
            path.set(&mut kept, value.clone());
        }
    }
    kept
}

/// Named values: a document's, a map's, a pipeline's result.
pub fn fields(fields: &Fields) -> std::collections::HashMap<String, pb::Value> {
    fields.iter().map(|(name, inner)| (name.to_string(), value(inner))).collect()
}

/// A value. What is stored is nested no deeper than the limit, and so is this recursion.
pub fn value(value: &Value) -> pb::Value {
    use pb::value::ValueType;
    let kind = match value {
        Value::Null => ValueType::NullValue(0),
        Value::Bool(flag) => ValueType::BooleanValue(*flag),
        Value::Int(number) => ValueType::IntegerValue(*number),
        Value::Double(number) => ValueType::DoubleValue(*number),
        Value::Timestamp(at) => ValueType::TimestampValue(time(*at)),
        Value::String(text) => ValueType::StringValue(text.to_string()),
        Value::Bytes(bytes) => ValueType::BytesValue(Bytes::copy_from_slice(bytes)),
        Value::Reference(name) => ValueType::ReferenceValue(name.to_string()),
        Value::Geo { latitude, longitude } => {
            ValueType::GeoPointValue(LatLng { latitude: *latitude, longitude: *longitude })
        }
        Value::Array(values) => {
            ValueType::ArrayValue(pb::ArrayValue { values: values.iter().map(self::value).collect() })
        }
        Value::Map(map) => ValueType::MapValue(pb::MapValue { fields: fields(map) }),
    };
    pb::Value { value_type: Some(kind) }
}

pub fn write_result(result: &WriteResult) -> pb::WriteResult {
    pb::WriteResult {
        update_time: result.update_time.map(time),
        transform_results: result.transform_results.iter().map(value).collect(),
    }
}

pub fn committed(committed: &Committed) -> pb::CommitResponse {
    pb::CommitResponse {
        write_results: committed.results.iter().map(write_result).collect(),
        commit_time: Some(time(committed.commit_time)),
    }
}

/// Puts a number into an encoded document, for results that are not stored: distances.
pub fn put_double(document: &mut pb::Document, path: &FieldPath, number: f64) {
    let double = pb::Value { value_type: Some(pb::value::ValueType::DoubleValue(number)) };
    let Some((last, way)) = path.segments().split_last() else { return };
    let mut fields = &mut document.fields;
    for segment in way {
        let entry = fields.entry(segment.to_string()).or_default();
        if !matches!(entry.value_type, Some(pb::value::ValueType::MapValue(_))) {
            entry.value_type = Some(pb::value::ValueType::MapValue(pb::MapValue::default()));
        }
        match &mut entry.value_type {
            Some(pb::value::ValueType::MapValue(map)) => fields = &mut map.fields,
            _ => return,
        }
    }
    fields.insert(last.to_string(), double);
}
