//! Values and fields as clients send them.

use std::collections::HashMap;
use std::sync::Arc;

use prost_types::Timestamp as ProtoTimestamp;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::firestore::v1 as pb;

use crate::error::Error;
use crate::limits;
use crate::path::DocumentName;
use crate::path::field::is_reserved;
use crate::texts;
use crate::value::{Fields, VECTOR_TYPE, VECTOR_TYPE_KEY, Value};

/// The first second of year 1, and the last of year 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// What a value is being read for, and where in it we are.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The field that error texts name.
    field: &'a str,
    depth: usize,
    in_array: bool,
    /// Whether it is to be stored: what is only compared with may hold arrays in arrays.
    stored: bool,
}

/// A document's fields.
pub fn fields(fields: HashMap<String, pb::Value>) -> Result<Fields, Error> {
    let mut entries = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        check_field_name(&name)?;
        let value = decode(value, Place { field: &name, depth: 0, in_array: false, stored: true })?;
        entries.push((Arc::from(name), value));
    }
    Ok(entries.into_iter().collect())
}

/// A value outside a document: an operand of a filter, of a cursor.
pub fn value(value: pb::Value) -> Result<Value, Error> {
    decode(value, Place { field: "", depth: 0, in_array: false, stored: false })
}

/// The operand of a filter whose operator takes a list, of which each element stands for itself.
pub fn list_operand(operand: pb::Value) -> Result<Value, Error> {
    match operand.value_type {
        Some(pb::value::ValueType::ArrayValue(array)) => {
            let values: Result<Vec<Value>, Error> = array.values.into_iter().map(value).collect();
            Ok(Value::array(values?))
        }
        value_type => value(pb::Value { value_type }),
    }
}

/// The elements of an array that a transform puts into another.
pub fn elements(array: pb::ArrayValue) -> Result<Vec<Value>, Error> {
    let place = Place { field: "", depth: 0, in_array: true, stored: true };
    array.values.into_iter().map(|value| decode(value, place)).collect()
}

/// A time within years 1 to 9999, cut to microseconds.
pub fn timestamp(time: ProtoTimestamp) -> Result<Timestamp, Error> {
    if !SECONDS.contains(&time.seconds) {
        return Err(Error::invalid(texts::SECONDS_OUT_OF_RANGE));
    }
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(Error::invalid(texts::NANOS_OUT_OF_RANGE));
    }
    Ok(Timestamp::from_parts(time.seconds, time.nanos))
}

fn check_field_name(name: &str) -> Result<(), Error> {
    check_nested_name(name)
        .map_err(|error| if is_reserved(name) { Error::invalid(texts::reserved_field(name)) } else { error })
}

fn check_nested_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid(texts::EMPTY_FIELD_NAME));
    }
    if name.len() > limits::FIELD_NAME_BYTES {
        return Err(Error::invalid(texts::LONG_FIELD_NAME));
    }
    if is_reserved(name) {
        return Err(Error::invalid(texts::reserved_nested_field(name)));
    }
    Ok(())
}

fn decode(value: pb::Value, place: Place<'_>) -> Result<Value, Error> {
    use pb::value::ValueType;
    let Some(kind) = value.value_type else { return Err(Error::invalid(texts::VALUE_UNSET)) };
    match kind {
        ValueType::NullValue(_) => Ok(Value::Null),
        ValueType::BooleanValue(value) => Ok(Value::Bool(value)),
        ValueType::IntegerValue(value) => Ok(Value::Int(value)),
        ValueType::DoubleValue(value) => Ok(Value::Double(value)),
        ValueType::TimestampValue(time) => Ok(Value::Timestamp(timestamp(time)?)),
        ValueType::StringValue(text) => {
            check_length(text.len(), place)?;
            Ok(Value::String(Arc::from(text)))
        }
        ValueType::BytesValue(bytes) => {
            check_length(bytes.len(), place)?;
            Ok(Value::Bytes(Arc::from(&*bytes)))
        }
        ValueType::ReferenceValue(name) => {
            DocumentName::parse(&name).map_err(|error| error.about("Resource name"))?;
            Ok(Value::Reference(Arc::from(name)))
        }
        ValueType::GeoPointValue(point) => {
            for (axis, number, bound) in [("latitude", point.latitude, 90.0), ("longitude", point.longitude, 180.0)] {
                if number.is_nan() || number.abs() > bound {
                    return Err(Error::invalid(texts::geo_out_of_range(axis, number, bound)));
                }
            }
            Ok(Value::Geo { latitude: point.latitude, longitude: point.longitude })
        }
        ValueType::ArrayValue(_) if place.in_array && place.stored => Err(Error::invalid(texts::ARRAY_IN_ARRAY)),
        ValueType::ArrayValue(array) => {
            let place = deeper(place, true)?;
            let values: Result<Vec<Value>, Error> =
                array.values.into_iter().map(|value| decode(value, place)).collect();
            Ok(Value::array(values?))
        }
        ValueType::MapValue(map) => {
            let is_vector = is_vector(&map);
            if is_vector && place.in_array && place.stored {
                return Err(Error::invalid(texts::VECTOR_IN_ARRAY));
            }
            let mut entries = Vec::with_capacity(map.fields.len());
            for (name, value) in map.fields {
                if name == VECTOR_TYPE_KEY && !is_vector {
                    return Err(Error::invalid(texts::nested_too_deep(place.field)));
                }
                if name != VECTOR_TYPE_KEY {
                    check_nested_name(&name)?;
                }
                let field = if place.field.is_empty() { name.as_str() } else { place.field };
                let value = decode(value, deeper(Place { field, ..place }, false)?)?;
                entries.push((Arc::from(name), value));
            }
            let map = Value::map(entries.into_iter().collect());
            if is_vector {
                if matches!(&map, Value::Map(fields) if fields.len() > 2) {
                    return Err(Error::invalid(texts::VECTOR_WITH_MORE));
                }
                check_vector(&map)?;
            }
            Ok(map)
        }
        ValueType::FieldReferenceValue(_)
        | ValueType::VariableReferenceValue(_)
        | ValueType::FunctionValue(_)
        | ValueType::PipelineValue(_) => Err(Error::invalid(texts::PIPELINE_VALUE)),
    }
}

fn is_vector(map: &pb::MapValue) -> bool {
    use pb::value::ValueType;
    map.fields
        .get(VECTOR_TYPE_KEY)
        .is_some_and(|kind| matches!(&kind.value_type, Some(ValueType::StringValue(text)) if text == VECTOR_TYPE))
}

fn check_vector(vector: &Value) -> Result<(), Error> {
    match vector.as_vector() {
        None => Err(Error::invalid(texts::VECTOR_WITHOUT_VALUE)),
        Some([]) => Err(Error::invalid(texts::EMPTY_VECTOR)),
        Some(values) if values.len() > limits::VECTOR_DIMENSIONS => Err(Error::invalid(texts::VECTOR_TOO_LONG)),
        Some(values) if !values.iter().all(|value| matches!(value, Value::Double(_))) => {
            Err(Error::invalid(texts::VECTOR_OF_DOUBLES))
        }
        Some(_) => Ok(()),
    }
}

fn deeper(place: Place<'_>, in_array: bool) -> Result<Place<'_>, Error> {
    if place.depth >= limits::NESTING {
        return Err(Error::invalid(texts::nested_too_deep(place.field)));
    }
    Ok(Place { depth: place.depth + 1, in_array, ..place })
}

fn check_length(bytes: usize, place: Place<'_>) -> Result<(), Error> {
    if bytes > limits::VALUE_BYTES { Err(Error::invalid(texts::long_value(place.field))) } else { Ok(()) }
}
