//! Values in Avro's binary encoding, one after the other.

use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::value::civil;
use scrimmage_googlesql::{Type, Value};

use super::avro_schema::Style;
use super::nested_columns;

/// A column with all that encoding asks for each row.
pub struct Encoder {
    columns: Vec<Field>,
    style: Style,
}

struct Field {
    ty: Type,
    is_nullable: bool,
    nested: Vec<Field>,
}

impl Field {
    fn of(column: &ColumnDef) -> Field {
        Field {
            ty: column.ty.clone(),
            is_nullable: column.mode == Mode::Nullable && !matches!(column.ty, Type::Array(_)),
            nested: nested_columns(column).iter().map(Field::of).collect(),
        }
    }
}

impl Encoder {
    pub fn new(columns: &[ColumnDef], style: Style) -> Encoder {
        Encoder { columns: columns.iter().map(Field::of).collect(), style }
    }

    /// Appends one row of a batch in these columns' order.
    pub fn row(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        for (field, column) in self.columns.iter().zip(&batch.columns) {
            self.field(field, &column.get(row), out);
        }
    }

    fn field(&self, field: &Field, value: &Value, out: &mut Vec<u8>) {
        if field.is_nullable {
            if value.is_null() {
                return long(0, out);
            }
            long(1, out);
        }
        match (&field.ty, value) {
            (Type::Array(element), Value::Array(items)) => {
                if !items.is_empty() {
                    long(items.len() as i64, out);
                    items.iter().for_each(|item| self.value(element, &field.nested, item, out));
                }
                long(0, out);
            }
            // A NULL array is an empty one to everybody outside.
            (Type::Array(_), _) => long(0, out),
            (ty, value) => self.value(ty, &field.nested, value, out),
        }
    }

    /// A value that is not NULL; one that does not go with its type is written as the type's zero.
    fn value(&self, ty: &Type, nested: &[Field], value: &Value, out: &mut Vec<u8>) {
        let logical = self.style.is_logical();
        match (ty, value) {
            (_, Value::Bool(yes)) => out.push(u8::from(*yes)),
            (_, Value::Int64(number)) => long(*number, out),
            (_, Value::Float64(number)) => out.extend(number.to_le_bytes()),
            (_, Value::String(text)) => bytes(text.as_bytes(), out),
            (_, Value::Bytes(blob)) => bytes(blob, out),
            (_, Value::Numeric(number)) => bytes(shortest(&number.raw().to_be_bytes()), out),
            (_, Value::BigNumeric(number)) => bytes(shortest(&number.to_be_bytes()), out),
            (_, Value::Date(days)) if logical => long(i64::from(*days), out),
            (_, Value::Time(micros) | Value::Timestamp(micros)) if logical => long(*micros, out),
            (_, Value::Date(days)) => bytes(civil::date_text(*days).as_bytes(), out),
            (_, Value::Time(micros)) => bytes(civil::time_text(*micros).as_bytes(), out),
            (_, Value::Timestamp(micros)) => bytes(timestamp_text(*micros).as_bytes(), out),
            (_, Value::Datetime(micros)) => bytes(civil::datetime_text(*micros, 'T').as_bytes(), out),
            (_, Value::Interval(interval)) => bytes(interval.to_string().as_bytes(), out),
            (_, Value::Json(json)) => bytes(json.to_string().as_bytes(), out),
            (_, Value::Geography(shape)) => bytes(shape.to_string().as_bytes(), out),
            (Type::Range(element), Value::Range(range)) => {
                for bound in [&range.start, &range.end] {
                    match bound {
                        None | Some(Value::Null) => long(0, out),
                        Some(bound) => {
                            long(1, out);
                            self.value(element, &[], bound, out);
                        }
                    }
                }
            }
            (Type::Struct(_), Value::Struct(parts)) => {
                for (field, part) in nested.iter().zip(parts.iter()) {
                    self.field(field, part, out);
                }
            }
            (Type::Bool, _) => out.push(0),
            (Type::Float64, _) => out.extend([0; 8]),
            (Type::Struct(_), _) => nested.iter().for_each(|field| self.field(field, &Value::Null, out)),
            (Type::Range(_), _) => out.extend([0, 0]),
            _ => long(0, out),
        }
    }
}

/// As extract jobs without logical types write timestamps: `2026-01-01 00:00:00 UTC`.
fn timestamp_text(micros: i64) -> String {
    format!("{} UTC", civil::datetime_text(micros, ' '))
}

/// Zig-zag, seven bits a byte, lowest first.
pub fn long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Length, then the bytes.
pub fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// A big-endian two's complement number without the leading bytes that only repeat its sign.
fn shortest(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let Some(next) = tail.first() else { break };
        let repeats = (*first == 0 && next & 0x80 == 0) || (*first == 0xff && next & 0x80 != 0);
        if !repeats {
            break;
        }
        rest = tail;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (number, wanted) in
            [(0i128, vec![0u8]), (-1, vec![0xff]), (127, vec![127]), (128, vec![0, 128]), (-129, vec![0xff, 0x7f])]
        {
            assert_eq!(shortest(&number.to_be_bytes()), wanted, "{number}");
        }
        let mut out = Vec::new();
        for number in [0, -1, 1, 63, 64, i64::MIN] {
            long(number, &mut out);
        }
        assert_eq!(&out[..7], [0, 1, 2, 126, 128, 1, 255]);
    }
}
