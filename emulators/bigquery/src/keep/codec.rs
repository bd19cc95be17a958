//! The binary form of what is kept: numbers as varints, texts with their length, values by their type.
//!
//! Reading checks everything: bytes that make no sense are an error and never a panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use scrimmage_googlesql::catalog::{ColumnDef, Mode, Schema};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::types::{StructField, StructType};
use scrimmage_googlesql::value::json::{self, Json};
use scrimmage_googlesql::value::{Geography, Interval, Numeric, RangeValue, numeric};
use scrimmage_googlesql::{Type, TypeParams, Value};

/// Types and schemas nest 15 levels; this is for damaged bytes.
const MAX_DEPTH: usize = 64;

/// Bytes that are written from the front.
#[derive(Debug, Default)]
pub struct Out(pub Vec<u8>);

impl Out {
    pub fn u8(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn bool(&mut self, yes: bool) {
        self.u8(u8::from(yes));
    }

    pub fn uint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Small of either sign is short.
    pub fn int(&mut self, number: i64) {
        self.uint(((number << 1) ^ (number >> 63)) as u64);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Out, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Out, &T)) {
        self.uint(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    fn f64(&mut self, number: f64) {
        self.0.extend_from_slice(&number.to_bits().to_le_bytes());
    }

    // ------------------------------------------------------------ types

    pub fn ty(&mut self, ty: &Type) {
        match ty {
            Type::Range(element) => {
                self.u8(14);
                self.ty(element);
            }
            Type::Array(element) => {
                self.u8(15);
                self.ty(element);
            }
            Type::Struct(fields) => {
                self.u8(16);
                self.list(&fields.fields, |out, field| {
                    out.text(&field.name);
                    out.ty(&field.ty);
                });
            }
            Type::Bool => self.u8(0),
            Type::Int64 => self.u8(1),
            Type::Float64 => self.u8(2),
            Type::Numeric => self.u8(3),
            Type::BigNumeric => self.u8(4),
            Type::String => self.u8(5),
            Type::Bytes => self.u8(6),
            Type::Date => self.u8(7),
            Type::Time => self.u8(8),
            Type::Datetime => self.u8(9),
            Type::Timestamp => self.u8(10),
            Type::Interval => self.u8(11),
            Type::Json => self.u8(12),
            Type::Geography => self.u8(13),
        }
    }

    fn params(&mut self, params: &TypeParams) {
        self.option(params.max_length, Out::uint);
        self.option(params.precision, |out, value| out.uint(u64::from(value)));
        self.option(params.scale, |out, value| out.uint(u64::from(value)));
        self.list(&params.children, Out::params);
    }

    fn column(&mut self, column: &ColumnDef) {
        self.text(&column.name);
        self.ty(&column.ty);
        self.params(&column.params);
        self.bool(column.mode == Mode::Required);
        for text in [&column.description, &column.default, &column.rounding_mode] {
            self.option(text.as_deref(), Out::text);
        }
        self.list(&column.fields, Out::column);
    }

    pub fn schema(&mut self, schema: &Schema) {
        self.list(&schema.columns, Out::column);
    }

    // ------------------------------------------------------------ values

    /// A value of that type. One of another (a column's type may widen) brings its own.
    pub fn value(&mut self, ty: &Type, value: &Value) {
        let start = self.0.len();
        self.u8(1);
        match (ty, value) {
            (Type::Bool, Value::Bool(yes)) => self.bool(*yes),
            (Type::Int64, Value::Int64(number)) => self.int(*number),
            (Type::Float64, Value::Float64(number)) => self.f64(*number),
            (Type::Numeric, Value::Numeric(number)) => {
                let number = number.0;
                self.0.extend_from_slice(&number.to_le_bytes());
            }
            (Type::BigNumeric, Value::BigNumeric(number)) => self.text(&numeric::big::to_text(number)),
            (Type::String, Value::String(text)) => self.text(text),
            (Type::Bytes, Value::Bytes(bytes)) => self.bytes(bytes),
            (Type::Date, Value::Date(days)) => self.int(i64::from(*days)),
            (Type::Time, Value::Time(micros))
            | (Type::Datetime, Value::Datetime(micros))
            | (Type::Timestamp, Value::Timestamp(micros)) => self.int(*micros),
            (Type::Interval, Value::Interval(interval)) => {
                for part in [interval.months, interval.days, interval.micros] {
                    self.int(part);
                }
            }
            (Type::Json, Value::Json(json)) => self.json(json),
            (Type::Geography, Value::Geography(geography)) => self.geography(geography),
            (Type::Range(element), Value::Range(range)) => {
                for bound in [&range.start, &range.end] {
                    self.value(element, bound.as_ref().unwrap_or(&Value::Null));
                }
            }
            (Type::Array(element), Value::Array(items)) => self.list(items, |out, item| out.value(element, item)),
            (Type::Struct(fields), Value::Struct(values)) => {
                // A record that got a field later has rows without it.
                self.uint(fields.fields.len().min(values.len()) as u64);
                for (field, value) in fields.fields.iter().zip(values.iter()) {
                    self.value(&field.ty, value);
                }
            }
            _ => {
                self.0.truncate(start);
                match own_type(value).filter(|own| own != ty) {
                    Some(own) => {
                        self.u8(2);
                        self.ty(&own);
                        self.value(&own, value);
                    }
                    None => self.u8(0),
                }
            }
        }
    }

    fn json(&mut self, value: &Json) {
        match value {
            Json::Null => self.u8(0),
            Json::Bool(yes) => self.u8(1 + u8::from(*yes)),
            Json::Int(number) => {
                self.u8(3);
                self.int(*number);
            }
            Json::Uint(number) => {
                self.u8(4);
                self.uint(*number);
            }
            Json::Float(number) => {
                self.u8(5);
                self.f64(*number);
            }
            Json::String(text) => {
                self.u8(6);
                self.text(text);
            }
            Json::Array(items) => {
                self.u8(7);
                self.list(items, Out::json);
            }
            Json::Object(fields) => {
                self.u8(8);
                self.uint(fields.len() as u64);
                for (key, value) in fields {
                    self.text(key);
                    self.json(value);
                }
            }
        }
    }

    fn positions(&mut self, positions: &[(f64, f64)]) {
        self.list(positions, |out, (x, y)| {
            out.f64(*x);
            out.f64(*y);
        });
    }

    fn geography(&mut self, geography: &Geography) {
        self.positions(&geography.points);
        self.list(&geography.lines, |out, line| out.positions(line));
        self.list(&geography.polygons, |out, rings| out.list(rings, |out, ring| out.positions(ring)));
    }

    /// Columns, each with its storage id and type.
    pub fn batch(&mut self, columns: &[(u32, &Type, &Column)], rows: usize) {
        self.uint(rows as u64);
        self.list(columns, |out, (id, ty, column)| {
            out.uint(u64::from(*id));
            out.ty(ty);
            for row in 0..rows {
                out.value(ty, &column.get(row));
            }
        });
    }
}

/// A type that holds the value; none for NULL, which all do.
fn own_type(value: &Value) -> Option<Type> {
    Some(match value {
        Value::Bool(_) => Type::Bool,
        Value::Int64(_) => Type::Int64,
        Value::Float64(_) => Type::Float64,
        Value::Numeric(_) => Type::Numeric,
        Value::BigNumeric(_) => Type::BigNumeric,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        Value::Date(_) => Type::Date,
        Value::Time(_) => Type::Time,
        Value::Datetime(_) => Type::Datetime,
        Value::Timestamp(_) => Type::Timestamp,
        Value::Interval(_) => Type::Interval,
        Value::Json(_) => Type::Json,
        Value::Geography(_) => Type::Geography,
        Value::Range(range) => {
            let bound = [&range.start, &range.end].into_iter().flatten().find_map(own_type);
            Type::range(bound.unwrap_or(Type::Date))
        }
        // An item of another type than the first brings its own.
        Value::Array(items) => Type::array(items.iter().find_map(own_type).unwrap_or(Type::Int64)),
        Value::Struct(values) => {
            let types = values.iter().map(|value| own_type(value).unwrap_or(Type::Int64));
            Type::struct_of(types.map(|ty| (String::new(), ty)))
        }
        Value::Null => return None,
    })
}

/// By the number that stands for them.
const SIMPLE: [Type; 14] = [
    Type::Bool,
    Type::Int64,
    Type::Float64,
    Type::Numeric,
    Type::BigNumeric,
    Type::String,
    Type::Bytes,
    Type::Date,
    Type::Time,
    Type::Datetime,
    Type::Timestamp,
    Type::Interval,
    Type::Json,
    Type::Geography,
];

pub type Read<T> = Result<T, String>;

/// Bytes that are read from the front.
#[derive(Debug)]
pub struct In<'a> {
    bytes: &'a [u8],
}

impl<'a> In<'a> {
    pub fn new(bytes: &'a [u8]) -> In<'a> {
        In { bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or("it ends too early")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "it ends too early".to_owned())
    }

    pub fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn bool(&mut self) -> Read<bool> {
        Ok(self.u8()? != 0)
    }

    pub fn uint(&mut self) -> Read<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number is too long".to_owned())
    }

    pub fn int(&mut self) -> Read<i64> {
        let number = self.uint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn u32(&mut self) -> Read<u32> {
        u32::try_from(self.uint()?).map_err(|_| "a number is too large".to_owned())
    }

    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        let count = usize::try_from(self.uint()?).map_err(|_| "it ends too early".to_owned())?;
        self.take(count)
    }

    pub fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }

    pub fn option<T>(&mut self, read: impl FnOnce(&mut In<'a>) -> Read<T>) -> Read<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    pub fn list<T>(&mut self, mut read: impl FnMut(&mut In<'a>) -> Read<T>) -> Read<Vec<T>> {
        let count = self.uint()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn f64(&mut self) -> Read<f64> {
        Ok(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    // ------------------------------------------------------------ types

    pub fn ty(&mut self) -> Read<Type> {
        self.ty_within(0)
    }

    fn ty_within(&mut self, depth: usize) -> Read<Type> {
        if depth > MAX_DEPTH {
            return Err("a type is nested too deep".to_owned());
        }
        let tag = self.u8()?;
        Ok(match tag {
            14 => Type::range(self.ty_within(depth + 1)?),
            15 => Type::array(self.ty_within(depth + 1)?),
            16 => {
                let fields = self.list(|input| {
                    Ok(StructField { name: input.text()?.to_owned(), ty: input.ty_within(depth + 1)? })
                })?;
                Type::Struct(Arc::new(StructType { fields }))
            }
            simple => SIMPLE.get(usize::from(simple)).cloned().ok_or_else(|| format!("there is no type {simple}"))?,
        })
    }

    fn params(&mut self, depth: usize) -> Read<TypeParams> {
        if depth > MAX_DEPTH {
            return Err("parameters are nested too deep".to_owned());
        }
        Ok(TypeParams {
            max_length: self.option(In::uint)?,
            precision: self.option(In::u32)?,
            scale: self.option(In::u32)?,
            children: self.list(|input| input.params(depth + 1))?,
        })
    }

    fn column(&mut self, depth: usize) -> Read<ColumnDef> {
        if depth > MAX_DEPTH {
            return Err("a schema is nested too deep".to_owned());
        }
        let text = |input: &mut In<'a>| input.option(|input| input.text().map(str::to_owned));
        Ok(ColumnDef {
            name: self.text()?.to_owned(),
            ty: self.ty()?,
            params: self.params(0)?,
            mode: if self.bool()? { Mode::Required } else { Mode::Nullable },
            description: text(self)?,
            default: text(self)?,
            rounding_mode: text(self)?,
            fields: self.list(|input| input.column(depth + 1))?,
        })
    }

    pub fn schema(&mut self) -> Read<Schema> {
        Ok(Schema { columns: self.list(|input| input.column(0))? })
    }

    // ------------------------------------------------------------ values

    /// Types nest [`MAX_DEPTH`] levels at most, which bounds the recursion.
    pub fn value(&mut self, ty: &Type) -> Read<Value> {
        self.value_within(ty, 0)
    }

    fn value_within(&mut self, ty: &Type, depth: usize) -> Read<Value> {
        match self.u8()? {
            0 => return Ok(Value::Null),
            _ if depth > MAX_DEPTH => return Err("a value is nested too deep".to_owned()),
            2 => {
                let own = self.ty()?;
                return self.value_within(&own, depth + 1);
            }
            1 => {}
            other => return Err(format!("there is no value {other}")),
        }
        Ok(match ty {
            Type::Bool => Value::Bool(self.bool()?),
            Type::Int64 => Value::Int64(self.int()?),
            Type::Float64 => Value::Float64(self.f64()?),
            Type::Numeric => Value::Numeric(Numeric(i128::from_le_bytes(self.array()?))),
            Type::BigNumeric => {
                let text = self.text()?;
                let number = numeric::big::parse(text, false).ok_or_else(|| format!("{text} is no BIGNUMERIC"))?;
                Value::BigNumeric(Arc::new(number))
            }
            Type::String => Value::string(self.text()?),
            Type::Bytes => Value::bytes(self.bytes()?),
            Type::Date => Value::Date(i32::try_from(self.int()?).map_err(|error| error.to_string())?),
            Type::Time => Value::Time(self.int()?),
            Type::Datetime => Value::Datetime(self.int()?),
            Type::Timestamp => Value::Timestamp(self.int()?),
            Type::Interval => {
                let (months, days, micros) = (self.int()?, self.int()?, self.int()?);
                Value::Interval(Arc::new(Interval { months, days, micros }))
            }
            Type::Json => Value::Json(Arc::new(self.json(0)?)),
            Type::Geography => Value::Geography(Arc::new(self.geography()?)),
            Type::Range(element) => {
                let bound = |value: Value| if value.is_null() { None } else { Some(value) };
                let (start, end) =
                    (bound(self.value_within(element, depth + 1)?), bound(self.value_within(element, depth + 1)?));
                Value::Range(Arc::new(RangeValue { start, end }))
            }
            Type::Array(element) => Value::array(self.list(|input| input.value_within(element, depth + 1))?),
            Type::Struct(fields) => {
                let count = usize::try_from(self.uint()?).map_err(|error| error.to_string())?;
                let present = fields.fields.get(..count).ok_or("a record has too many fields")?;
                Value::structure(
                    present.iter().map(|field| self.value_within(&field.ty, depth + 1)).collect::<Read<_>>()?,
                )
            }
        })
    }

    fn json(&mut self, depth: usize) -> Read<Json> {
        if depth > json::MAX_DEPTH + 1 {
            return Err("a JSON value is nested too deep".to_owned());
        }
        Ok(match self.u8()? {
            0 => Json::Null,
            1 => Json::Bool(false),
            2 => Json::Bool(true),
            3 => Json::Int(self.int()?),
            4 => Json::Uint(self.uint()?),
            5 => Json::Float(self.f64()?),
            6 => Json::String(self.text()?.to_owned()),
            7 => Json::Array(self.list(|input| input.json(depth + 1))?),
            8 => {
                let fields = self.list(|input| Ok((input.text()?.to_owned(), input.json(depth + 1)?)))?;
                Json::Object(fields.into_iter().collect::<BTreeMap<_, _>>())
            }
            other => return Err(format!("there is no JSON value {other}")),
        })
    }

    fn positions(&mut self) -> Read<Vec<(f64, f64)>> {
        self.list(|input| Ok((input.f64()?, input.f64()?)))
    }

    fn geography(&mut self) -> Read<Geography> {
        Ok(Geography {
            points: self.positions()?,
            lines: self.list(In::positions)?,
            polygons: self.list(|input| input.list(In::positions))?,
        })
    }

    /// Columns with their storage ids.
    pub fn batch(&mut self) -> Read<(Arc<[u32]>, Batch)> {
        let rows = usize::try_from(self.uint()?).map_err(|error| error.to_string())?;
        let mut ids = Vec::new();
        let columns = self.list(|input| {
            ids.push(input.u32()?);
            let ty = input.ty()?;
            let mut values = Vec::new();
            for _ in 0..rows {
                values.push(input.value(&ty)?);
            }
            Ok(Arc::new(Column::from_values(&ty, values)))
        })?;
        Ok((ids.into(), Batch::new(columns, rows)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples() -> Vec<(Type, Value)> {
        let json = json::parse(r#"{"a": [1, -2.5, "x", null, true, 18446744073709551615]}"#, json::WideNumbers::Round);
        let big = numeric::big::parse("-1234567890123456789012345678.5", false).expect("a number");
        let range = RangeValue { start: Some(Value::Date(1)), end: None };
        let inner = Type::struct_of([("k", Type::Int64), ("", Type::array(Type::String))]);
        vec![
            (Type::Bool, Value::Bool(true)),
            (Type::Int64, Value::Int64(i64::MIN)),
            (Type::Float64, Value::Float64(f64::NEG_INFINITY)),
            (Type::Numeric, Value::Numeric(Numeric(-5_000_000_001))),
            (Type::BigNumeric, Value::BigNumeric(Arc::new(big))),
            (Type::String, Value::string("żółw\n")),
            (Type::Bytes, Value::bytes([0, 255])),
            (Type::Date, Value::Date(-719_162)),
            (Type::Time, Value::Time(86_399_999_999)),
            (Type::Datetime, Value::Datetime(-1)),
            (Type::Timestamp, Value::Timestamp(i64::MAX)),
            (Type::Interval, Value::Interval(Arc::new(Interval { months: 1, days: -2, micros: 3 }))),
            (Type::Json, Value::Json(Arc::new(json.expect("JSON")))),
            (Type::Geography, Value::Geography(Arc::new(Geography::line(vec![(1.5, -2.0), (0.0, 0.0)])))),
            (Type::range(Type::Date), Value::Range(Arc::new(range))),
            (
                Type::array(inner),
                Value::array(vec![
                    Value::structure(vec![Value::Null, Value::array(vec![Value::string("a")])]),
                    Value::Null,
                ]),
            ),
        ]
    }

    #[test]
    fn values_and_types_survive() {
        for (ty, value) in samples() {
            for value in [value, Value::Null] {
                let mut out = Out::default();
                out.ty(&ty);
                out.value(&ty, &value);
                let mut input = In::new(&out.0);
                assert_eq!(input.ty().expect("a type"), ty);
                let read = input.value(&ty).expect("a value");
                assert_eq!(format!("{read:?}"), format!("{value:?}"));
                assert!(input.is_empty());
            }
        }
    }

    #[test]
    fn batches_and_schemas_survive() {
        let samples = samples();
        let types: Vec<Type> = samples.iter().map(|(ty, _)| ty.clone()).collect();
        let rows = [samples.iter().map(|(_, value)| value.clone()).collect(), vec![Value::Null; samples.len()]];
        let batch = Batch::from_rows(&types, rows);
        let columns: Vec<(u32, &Type, &Column)> =
            types.iter().enumerate().map(|(at, ty)| (at as u32 * 3, ty, &*batch.columns[at])).collect();
        let mut out = Out::default();
        out.batch(&columns, 2);
        let (ids, read) = In::new(&out.0).batch().expect("a batch");
        assert_eq!((ids.len(), ids[1], read.len), (types.len(), 3, 2));
        assert_eq!(format!("{:?}", read.row(0)), format!("{:?}", batch.row(0)));
        let definition = ColumnDef {
            params: TypeParams { max_length: Some(7), ..TypeParams::default() },
            mode: Mode::Required,
            default: Some("'x'".into()),
            fields: vec![crate::engine::table::plain_column("inner", Type::Int64)],
            ..crate::engine::table::plain_column("c", Type::String)
        };
        let schema = Schema { columns: vec![definition] };
        let mut out = Out::default();
        out.schema(&schema);
        assert_eq!(In::new(&out.0).schema().expect("a schema"), schema);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = In::new(&bytes).schema();
            let _ = In::new(&bytes).ty();
            for (ty, _) in samples() {
                let _ = In::new(&bytes).value(&ty);
            }
        }
    }
}
