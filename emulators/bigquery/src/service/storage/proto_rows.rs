//! Rows as protocol buffers of a type that the writer describes, into the table's columns.

use std::sync::Arc;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value as Proto,
};
use prost_types::{DescriptorProto, FileDescriptorProto};
use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use scrimmage_googlesql::value::{BigNumeric, Interval, Numeric, RangeValue, civil};
use scrimmage_googlesql::{Type, Value};

use crate::formats::nested_columns;
use crate::load::coerce;
use crate::texts;

const FILE: &str = "scrimmage/writer_schema.proto";
const WELL_KNOWN: [&str; 3] =
    ["google/protobuf/wrappers.proto", "google/protobuf/timestamp.proto", "google/protobuf/duration.proto"];

/// Why a writer schema does not go with a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SchemaMisfit {
    Invalid(String),
    ExtraFields(Vec<String>),
    Mismatch(String),
    /// `_CHANGE_TYPE` and `_CHANGE_SEQUENCE_NUMBER`.
    ChangeColumns,
}

/// The writer's own message type.
pub fn message_type(descriptor: &DescriptorProto) -> Result<MessageDescriptor, SchemaMisfit> {
    let invalid = |why: String| SchemaMisfit::Invalid(texts::invalid_proto_schema(&why));
    let mut message = descriptor.clone();
    let mut pool = DescriptorPool::new();
    let mut dependency = Vec::new();
    if names_well_known(&message) {
        for file in WELL_KNOWN {
            let known = scrimmage_protos::pool().get_file_by_name(file);
            let known = known.ok_or_else(|| invalid(format!("{file} is not there")))?;
            pool.add_file_descriptor_proto(known.file_descriptor_proto().clone())
                .map_err(|error| invalid(error.to_string()))?;
            dependency.push(file.to_owned());
        }
    }
    plain_optionals(&mut message);
    let name = message.name().to_owned();
    let file = FileDescriptorProto {
        name: Some(FILE.into()),
        syntax: Some("proto2".into()),
        message_type: vec![message],
        dependency,
        ..FileDescriptorProto::default()
    };
    pool.add_file_descriptor_proto(file).map_err(|error| invalid(error.to_string()))?;
    pool.get_message_by_name(&name).ok_or_else(|| invalid(format!("message {name} is not there")))
}

fn names_well_known(message: &DescriptorProto) -> bool {
    message.field.iter().any(|field| field.type_name().starts_with(".google.protobuf."))
        || message.nested_type.iter().any(names_well_known)
}

/// Fields of proto3 `optional` are like proto2's: their oneofs of one are only how protoc writes that.
fn plain_optionals(message: &mut DescriptorProto) {
    let mut synthetic = false;
    for field in &mut message.field {
        if field.proto3_optional.take() == Some(true) {
            field.oneof_index = None;
            synthetic = true;
        }
    }
    if synthetic {
        // Those of real oneofs stand first.
        let real = message.field.iter().filter_map(|field| field.oneof_index).max().map_or(0, |last| last as usize + 1);
        message.oneof_decl.truncate(real);
    }
    message.nested_type.iter_mut().for_each(plain_optionals);
}

/// How a table's columns come out of a message.
#[derive(Clone, Debug)]
pub struct Layout {
    columns: Vec<(ColumnDef, Option<Source>)>,
}

#[derive(Clone, Debug)]
struct Source {
    field: FieldDescriptor,
    /// For a STRUCT: its fields' own.
    nested: Option<Arc<Layout>>,
}

impl Layout {
    /// Matches the message's fields with columns by name, whatever the case.
    pub fn new(columns: &[ColumnDef], message: &MessageDescriptor) -> Result<Layout, SchemaMisfit> {
        Layout::within(columns, message, message.name())
    }

    fn within(columns: &[ColumnDef], message: &MessageDescriptor, at: &str) -> Result<Layout, SchemaMisfit> {
        let is_known =
            |field: &FieldDescriptor| columns.iter().any(|column| column.name.eq_ignore_ascii_case(field.name()));
        let extra: Vec<String> =
            message.fields().filter(|field| !is_known(field)).map(|field| field.name().to_owned()).collect();
        if extra
            .iter()
            .any(|name| matches!(name.to_ascii_uppercase().as_str(), "_CHANGE_TYPE" | "_CHANGE_SEQUENCE_NUMBER"))
        {
            return Err(SchemaMisfit::ChangeColumns);
        }
        if !extra.is_empty() {
            return Err(SchemaMisfit::ExtraFields(extra));
        }
        let mut laid = Vec::with_capacity(columns.len());
        for column in columns {
            let field = message.fields().find(|field| field.name().eq_ignore_ascii_case(&column.name));
            let source = field.map(|field| source(column, field, at)).transpose()?;
            laid.push((column.clone(), source));
        }
        Ok(Layout { columns: laid })
    }
}

fn source(column: &ColumnDef, field: FieldDescriptor, at: &str) -> Result<Source, SchemaMisfit> {
    let at = format!("{at}.{}", field.name());
    let element = match &column.ty {
        Type::Array(element) => element.as_ref(),
        own => own,
    };
    let mismatch = || {
        let label = if field.is_list() { "repeated " } else { "" };
        let proto = format!("{label}{}", kind_name(&field.kind()));
        let mode = if matches!(column.ty, Type::Array(_)) { "REPEATED " } else { "" };
        SchemaMisfit::Mismatch(texts::proto_mismatch(
            &at,
            &proto,
            &format!("{mode}{}", crate::service::schema::type_name(element)),
        ))
    };
    if field.is_list() != matches!(column.ty, Type::Array(_)) || field.is_map() {
        return Err(mismatch());
    }
    let nested = match (element, field.kind()) {
        (Type::Struct(_), Kind::Message(message)) => {
            Some(Arc::new(Layout::within(&nested_columns(column), &message, &at)?))
        }
        (ty, kind) if accepts(ty, &kind) => None,
        _ => return Err(mismatch()),
    };
    Ok(Source { field, nested })
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(_) => "enum".into(),
        Kind::Double => "double".into(),
        Kind::Float => "float".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The table of "Supported protocol buffer data types".
fn accepts(ty: &Type, kind: &Kind) -> bool {
    let wrapped = match kind {
        Kind::Message(message) => message.full_name().strip_prefix("google.protobuf."),
        _ => None,
    };
    let small = matches!(kind, Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32);
    let signed64 = matches!(kind, Kind::Int64 | Kind::Sint64 | Kind::Sfixed64);
    let unsigned64 = matches!(kind, Kind::Uint64 | Kind::Fixed64);
    let text = matches!(kind, Kind::String);
    let blob = matches!(kind, Kind::Bytes) || wrapped == Some("BytesValue");
    let float = matches!(kind, Kind::Double | Kind::Float);
    let is = |names: &[&str]| wrapped.is_some_and(|name| names.contains(&name));
    match ty {
        Type::Bool => matches!(kind, Kind::Bool) || small || signed64 || unsigned64 || is(&["BoolValue"]),
        Type::Bytes => blob || text,
        Type::Date => small || signed64 || text,
        Type::Datetime | Type::Time => text || signed64,
        Type::Float64 => float || is(&["DoubleValue", "FloatValue"]),
        Type::Geography | Type::Json => text,
        Type::Int64 => {
            small || signed64 || matches!(kind, Kind::Enum(_)) || is(&["Int32Value", "Int64Value", "UInt32Value"])
        }
        Type::Numeric | Type::BigNumeric => small || signed64 || unsigned64 || float || text || blob,
        Type::String => text || matches!(kind, Kind::Enum(_)) || is(&["StringValue"]),
        Type::Timestamp => signed64 || small || text || is(&["Timestamp"]),
        Type::Interval => text || is(&["Duration"]),
        Type::Range(bound) => match kind {
            Kind::Message(message) => {
                message.fields().all(|field| matches!(field.name(), "start" | "end") && accepts(bound, &field.kind()))
            }
            _ => false,
        },
        Type::Array(_) | Type::Struct(_) => false,
    }
}

/// What stands in the place of a value that a row does not have, by top-level column.
pub type Missing<'a> = &'a dyn Fn(&ColumnDef) -> Result<Value, String>;

/// One encoded row into values in the table's order. The error is the row's own.
pub fn row(layout: &Layout, message: &MessageDescriptor, bytes: &[u8], missing: Missing) -> Result<Vec<Value>, String> {
    let message = DynamicMessage::decode(message.clone(), bytes)
        .map_err(|error| format!("The row could not be parsed: {error}"))?;
    record(layout, &message, "", missing)
}

fn record(layout: &Layout, message: &DynamicMessage, prefix: &str, missing: Missing) -> Result<Vec<Value>, String> {
    let mut values = Vec::with_capacity(layout.columns.len());
    for (column, source) in &layout.columns {
        let path = format!("{prefix}{}", column.name);
        let sent = source.as_ref().filter(|source| source.field.is_list() || message.has_field(&source.field));
        let value = match sent {
            Some(source) => column_value(column, source, &message.get_field(&source.field), &path)?,
            None if matches!(column.ty, Type::Array(_)) => Value::array(Vec::new()),
            None => missing(column)?,
        };
        if value.is_null() && column.mode == Mode::Required {
            return Err(format!("Field {path}: Required field cannot be null"));
        }
        values.push(value);
    }
    Ok(values)
}

fn column_value(column: &ColumnDef, source: &Source, value: &Proto, path: &str) -> Result<Value, String> {
    let one = |ty: &Type, params: &scrimmage_googlesql::TypeParams, value: &Proto| -> Result<Value, String> {
        if let (Some(nested), Proto::Message(message)) = (&source.nested, value) {
            let missing = |_: &ColumnDef| Ok(Value::Null);
            return Ok(Value::structure(record(nested, message, &format!("{path}."), &missing)?));
        }
        let read = scalar(ty, value).map_err(|what| format!("Field {path}: {what}"))?;
        coerce::check(read, ty, params, path).map_err(|misfit| misfit.to_string())
    };
    match (&column.ty, value) {
        (Type::Array(element), Proto::List(items)) => {
            let params = column.params.children.first().unwrap_or(&column.params);
            Ok(Value::array(items.iter().map(|item| one(element, params, item)).collect::<Result<_, _>>()?))
        }
        (ty, value) => one(ty, &column.params, value),
    }
}

fn scalar(ty: &Type, value: &Proto) -> Result<Value, String> {
    let whole = match value {
        Proto::I32(number) => Some(i128::from(*number)),
        Proto::I64(number) => Some(i128::from(*number)),
        Proto::U32(number) => Some(i128::from(*number)),
        Proto::U64(number) => Some(i128::from(*number)),
        Proto::EnumNumber(number) if *ty == Type::Int64 => Some(i128::from(*number)),
        _ => None,
    };
    let outside = || format!("value is out of range for {ty}");
    match (ty, value) {
        (_, Proto::Message(message)) => return from_message(ty, message),
        (Type::String, Proto::String(text)) => return Ok(Value::string(text)),
        (Type::Bytes, Proto::String(text)) => return Ok(Value::bytes(text.as_bytes())),
        (Type::Bytes, Proto::Bytes(bytes)) => return Ok(Value::bytes(bytes)),
        (Type::Bool, Proto::Bool(yes)) => return Ok(Value::Bool(*yes)),
        (Type::String, Proto::EnumNumber(number)) => return Ok(Value::string(number.to_string())),
        (_, Proto::String(text)) => {
            return coerce::scalar(ty, text, "").map_err(|_| format!("Invalid {ty} value: '{text}'"));
        }
        (Type::Numeric, Proto::Bytes(bytes)) => {
            let number = little_endian::<16>(bytes).map(i128::from_le_bytes).and_then(Numeric::scaled);
            return number.map(Value::Numeric).ok_or_else(outside);
        }
        (Type::BigNumeric, Proto::Bytes(bytes)) => {
            let number = little_endian::<32>(bytes).map(BigNumeric::from_le_bytes);
            return number.map(|number| Value::BigNumeric(Arc::new(number))).ok_or_else(outside);
        }
        _ => {}
    }
    let float = match value {
        Proto::F64(number) => Some(*number),
        Proto::F32(number) => Some(f64::from(*number)),
        _ => None,
    };
    if let Some(number) = float {
        return match ty {
            Type::Float64 => Some(Value::Float64(number)),
            Type::Numeric => Numeric::from_f64(number).map(Value::Numeric),
            Type::BigNumeric => scrimmage_googlesql::value::numeric::big::from_f64(number)
                .map(|number| Value::BigNumeric(Arc::new(number))),
            _ => None,
        }
        .ok_or_else(outside);
    }
    let Some(whole) = whole else { return Err(format!("value does not match {ty}")) };
    let narrow = i64::try_from(whole).map_err(|_| outside());
    match ty {
        Type::Bool => Ok(Value::Bool(whole != 0)),
        Type::Int64 => Ok(Value::Int64(narrow?)),
        Type::Date => civil::date_in_range(narrow?).map(Value::Date).ok_or_else(outside),
        Type::Timestamp => civil::micros_in_range(narrow?).map(Value::Timestamp).ok_or_else(outside),
        Type::Time => packed_time(narrow?).map(Value::Time).ok_or_else(outside),
        Type::Datetime => packed_datetime(narrow?).map(Value::Datetime).ok_or_else(outside),
        Type::Numeric => {
            whole.checked_mul(1_000_000_000).and_then(Numeric::scaled).map(Value::Numeric).ok_or_else(outside)
        }
        Type::BigNumeric => {
            let number = whole.checked_mul(1_000_000_000).and_then(Numeric::scaled).ok_or_else(outside)?;
            Ok(Value::BigNumeric(Arc::new(number.to_big())))
        }
        _ => Err(format!("value does not match {ty}")),
    }
}

fn from_message(ty: &Type, message: &DynamicMessage) -> Result<Value, String> {
    let part = |name: &str| {
        let field = message.descriptor().get_field_by_name(name)?;
        Some((message.has_field(&field), message.get_field(&field).into_owned()))
    };
    let number = |name: &str| match part(name) {
        Some((_, Proto::I64(number))) => i128::from(number),
        Some((_, Proto::I32(number))) => i128::from(number),
        _ => 0,
    };
    match ty {
        Type::Range(element) => {
            let bound = |name: &str| match part(name) {
                Some((true, value)) => scalar(element, &value).map(Some),
                _ => Ok(None),
            };
            Ok(Value::Range(Arc::new(RangeValue { start: bound("start")?, end: bound("end")? })))
        }
        Type::Timestamp | Type::Interval => {
            let micros = number("seconds") * 1_000_000 + number("nanos").div_euclid(1_000);
            let micros = i64::try_from(micros).ok();
            let value = if *ty == Type::Timestamp {
                micros.and_then(civil::micros_in_range).map(Value::Timestamp)
            } else {
                let interval = micros.and_then(|micros| Interval::checked(0, 0, micros).ok());
                interval.map(|interval| Value::Interval(Arc::new(interval)))
            };
            value.ok_or_else(|| format!("value is out of range for {ty}"))
        }
        _ => match part("value") {
            Some((_, value)) if !matches!(value, Proto::Message(_)) => scalar(ty, &value),
            _ => Err(format!("value does not match {ty}")),
        },
    }
}

/// A two's complement number of at most `N` bytes, lowest first.
fn little_endian<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut number = [fill; N];
    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(number)
}

/// Hours, minutes, seconds and microseconds packed in bits, as the clients' civil-time encoders do.
fn packed_time(bits: i64) -> Option<i64> {
    let field = |shift: u32, width: u32| (bits >> shift) & ((1 << width) - 1);
    if bits >> 37 != 0 {
        return None;
    }
    civil::checked_time(field(32, 5), field(26, 6), field(20, 6), field(0, 20))
}

/// The same with year, month and day above.
fn packed_datetime(bits: i64) -> Option<i64> {
    let field = |shift: u32, width: u32| (bits >> shift) & ((1 << width) - 1);
    let days = civil::checked_date(bits >> 46, field(42, 4), field(37, 5))?;
    Some(i64::from(days) * 86_400_000_000 + packed_time(bits & ((1 << 37) - 1))?)
}

#[cfg(test)]
mod tests {
    use prost_types::field_descriptor_proto::Type as ProtoType;

    use super::*;
    use crate::engine::table::plain_column;

    fn field(name: &str, number: i32, ty: ProtoType) -> prost_types::FieldDescriptorProto {
        prost_types::FieldDescriptorProto {
            name: Some(name.into()),
            number: Some(number),
            label: Some(prost_types::field_descriptor_proto::Label::Optional as i32),
            r#type: Some(ty as i32),
            ..Default::default()
        }
    }

    fn descriptor(fields: Vec<prost_types::FieldDescriptorProto>) -> MessageDescriptor {
        let message = DescriptorProto { name: Some("Row".into()), field: fields, ..DescriptorProto::default() };
        message_type(&message).expect("a good schema")
    }

    #[test]
    fn rows_become_values() {
        let message = descriptor(vec![field("id", 1, ProtoType::Int64), field("day", 2, ProtoType::Int32)]);
        let columns =
            [plain_column("ID", Type::Int64), plain_column("day", Type::Date), plain_column("x", Type::String)];
        let layout = Layout::new(&columns, &message).expect("matches");
        let missing = |_: &ColumnDef| Ok(Value::Null);
        // 08 07: field 1 = 7; 10 01: field 2 = 1.
        let values = row(&layout, &message, &[8, 7, 16, 1], &missing).expect("a row");
        assert!(matches!(values.as_slice(), [Value::Int64(7), Value::Date(1), Value::Null]), "{values:?}");
        assert!(row(&layout, &message, &[8], &missing).is_err());
    }

    #[test]
    fn schemas_are_held_against_the_table() {
        let columns = [plain_column("id", Type::Int64)];
        let text = descriptor(vec![field("id", 1, ProtoType::String)]);
        assert!(matches!(Layout::new(&columns, &text), Err(SchemaMisfit::Mismatch(why)) if why.contains("Row.id")));
        let more = descriptor(vec![field("id", 1, ProtoType::Int64), field("z", 2, ProtoType::String)]);
        assert_eq!(Layout::new(&columns, &more).err(), Some(SchemaMisfit::ExtraFields(vec!["z".into()])));
    }

    #[test]
    fn packed_civil_times_unpack() {
        // 03:04:05.000006 on 2024-01-02.
        let time = ((3i64 << 12 | 4 << 6 | 5) << 20) | 6;
        assert_eq!(packed_time(time), civil::checked_time(3, 4, 5, 6));
        let datetime = ((2024i64 << 26 | 1 << 22 | 2 << 17) << 20) | time;
        assert_eq!(packed_datetime(datetime), civil::parse_datetime("2024-01-02T03:04:05.000006"));
        assert_eq!(packed_time(-1), None);
    }

    #[test]
    fn numbers_come_as_little_endian_bytes() {
        let bytes = Proto::Bytes((-1_500_000_000i64).to_le_bytes()[..5].to_vec().into());
        assert!(matches!(scalar(&Type::Numeric, &bytes), Ok(Value::Numeric(number)) if number.to_string() == "-1.5"));
    }
}
