//! Columns into Arrow arrays and IPC messages.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array, Int64Array,
    IntervalMonthDayNanoArray, ListArray, RecordBatch, RecordBatchOptions, StringArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{IntervalMonthDayNano, NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType, Fields, SchemaRef};
use scrimmage_googlesql::exec::column::{Batch, Column, Primitive};
use scrimmage_googlesql::{Type, Value};

/// Rows as one record batch. `types` are the columns', `schema` is made from them by
/// [`arrow_schema`](super::arrow_schema::arrow_schema).
pub fn record_batch(batch: &Batch, types: &[Type], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns.iter().zip(types).zip(schema.fields());
    let arrays = columns.map(|((column, ty), field)| column_array(column, ty, field.data_type()));
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new_with_options(
        schema.clone(),
        arrays,
        &RecordBatchOptions::new().with_row_count(Some(batch.len)),
    )
}

fn nulls<T: Copy + Default>(primitive: &Primitive<T>) -> Option<NullBuffer> {
    primitive.valid.as_ref().map(|valid| valid.iter().take(primitive.values.len()).collect::<Vec<bool>>().into())
}

fn column_array(column: &Column, ty: &Type, to: &DataType) -> Result<ArrayRef, ArrowError> {
    // The columns that are stored as Arrow has them, without a look at single values.
    Ok(match (column, ty) {
        (Column::Int64(p), Type::Int64) => Arc::new(Int64Array::try_new(p.values.clone().into(), nulls(p))?),
        (Column::Float64(p), Type::Float64) => Arc::new(Float64Array::try_new(p.values.clone().into(), nulls(p))?),
        (Column::Date(p), Type::Date) => Arc::new(Date32Array::try_new(p.values.clone().into(), nulls(p))?),
        (Column::Time(p), Type::Time) => Arc::new(Time64MicrosecondArray::try_new(p.values.clone().into(), nulls(p))?),
        (Column::Datetime(p), Type::Datetime) => {
            Arc::new(TimestampMicrosecondArray::try_new(p.values.clone().into(), nulls(p))?)
        }
        (Column::Timestamp(p), Type::Timestamp) => {
            Arc::new(TimestampMicrosecondArray::try_new(p.values.clone().into(), nulls(p))?.with_timezone("UTC"))
        }
        (Column::String(strings), Type::String) => {
            Arc::new((0..strings.len()).map(|row| strings.get(row)).collect::<StringArray>())
        }
        (Column::Dictionary(dictionary), Type::String) => Arc::new(
            (0..dictionary.codes.len())
                .map(|row| dictionary.get(row).map(AsRef::<str>::as_ref))
                .collect::<StringArray>(),
        ),
        _ => array(ty, to, (0..column.len()).map(|row| column.get(row)).collect())?,
    })
}

/// Values of type `ty` (or NULL) as an array of the Arrow type that goes with it.
fn array(ty: &Type, to: &DataType, values: Vec<Value>) -> Result<ArrayRef, ArrowError> {
    macro_rules! primitives {
        ($array:ident, $($pattern:pat => $value:expr),+) => {
            values.iter().map(|value| match value { $($pattern => Some($value),)+ _ => None }).collect::<$array>()
        };
    }
    Ok(match ty {
        Type::Bool => Arc::new(primitives!(BooleanArray, Value::Bool(yes) => *yes)),
        Type::Int64 => Arc::new(primitives!(Int64Array, Value::Int64(number) => *number)),
        Type::Float64 => Arc::new(primitives!(Float64Array, Value::Float64(number) => *number)),
        Type::Numeric => {
            let array = primitives!(Decimal128Array, Value::Numeric(number) => number.raw());
            Arc::new(array.with_precision_and_scale(38, 9)?)
        }
        Type::BigNumeric => {
            let array =
                primitives!(Decimal256Array, Value::BigNumeric(number) => i256::from_le_bytes(number.to_le_bytes()));
            Arc::new(array.with_precision_and_scale(76, 38)?)
        }
        Type::String => Arc::new(primitives!(StringArray, Value::String(text) => text.to_string())),
        Type::Json => Arc::new(primitives!(StringArray, Value::Json(json) => json.to_string())),
        Type::Geography => Arc::new(primitives!(StringArray, Value::Geography(shape) => shape.to_string())),
        Type::Bytes => Arc::new(primitives!(BinaryArray, Value::Bytes(bytes) => bytes.to_vec())),
        Type::Date => Arc::new(primitives!(Date32Array, Value::Date(days) => *days)),
        Type::Time => Arc::new(primitives!(Time64MicrosecondArray, Value::Time(micros) => *micros)),
        Type::Datetime => Arc::new(primitives!(TimestampMicrosecondArray, Value::Datetime(micros) => *micros)),
        Type::Timestamp => {
            Arc::new(primitives!(TimestampMicrosecondArray, Value::Timestamp(micros) => *micros).with_timezone("UTC"))
        }
        Type::Interval => Arc::new(primitives!(IntervalMonthDayNanoArray, Value::Interval(interval) => {
            IntervalMonthDayNano::new(
                i32::try_from(interval.months).unwrap_or_default(),
                i32::try_from(interval.days).unwrap_or_default(),
                // Up to 10,000 years of microseconds may stand in one interval; nanoseconds reach for 292.
                interval.micros.saturating_mul(1_000),
            )
        })),
        Type::Range(element) => {
            let bound = |end: bool| -> Vec<Value> {
                let bounds = values.iter().map(|value| match value {
                    Value::Range(range) => {
                        if end { range.end.clone() } else { range.start.clone() }.unwrap_or_default()
                    }
                    _ => Value::Null,
                });
                bounds.collect()
            };
            let fields = struct_fields(to)?;
            let columns = fields.iter().zip([bound(false), bound(true)]);
            let columns = columns.map(|(field, values)| array(element, field.data_type(), values));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, validity(&values))?)
        }
        Type::Array(element) => {
            let DataType::List(item) = to else { return Err(mismatch(to)) };
            let mut offsets = vec![0i32];
            let mut all = Vec::new();
            for value in &values {
                if let Value::Array(items) = value {
                    all.extend(items.iter().cloned());
                }
                offsets.push(i32::try_from(all.len()).map_err(|_| ArrowError::OffsetOverflowError(all.len()))?);
            }
            let items = array(element, item.data_type(), all)?;
            // A NULL array is an empty one to everybody outside.
            Arc::new(ListArray::try_new(item.clone(), OffsetBuffer::new(ScalarBuffer::from(offsets)), items, None)?)
        }
        Type::Struct(own) => {
            let fields = struct_fields(to)?;
            let mut columns = Vec::with_capacity(fields.len());
            for (index, (field, own)) in fields.iter().zip(&own.fields).enumerate() {
                let part = values.iter().map(|value| match value {
                    Value::Struct(parts) => parts.get(index).cloned().unwrap_or_default(),
                    _ => Value::Null,
                });
                // A field that may not be NULL still needs a value where its whole struct is.
                let part = part.collect::<Vec<_>>();
                columns.push(array(&own.ty, field.data_type(), part)?);
            }
            let valid = validity(&values);
            if fields.is_empty() {
                Arc::new(StructArray::new_empty_fields(values.len(), valid))
            } else {
                Arc::new(StructArray::try_new(fields.clone(), columns, valid)?)
            }
        }
    })
}

fn validity(values: &[Value]) -> Option<NullBuffer> {
    values.iter().any(Value::is_null).then(|| values.iter().map(|value| !value.is_null()).collect::<Vec<bool>>().into())
}

fn struct_fields(to: &DataType) -> Result<&Fields, ArrowError> {
    match to {
        DataType::Struct(fields) => Ok(fields),
        _ => Err(mismatch(to)),
    }
}

fn mismatch(to: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("the column's type does not go with {to}"))
}

/// The schema as an encapsulated IPC message.
pub fn schema_message(schema: &SchemaRef) -> Result<Vec<u8>, ArrowError> {
    Ok(StreamWriter::try_new(Vec::new(), schema)?.get_ref().clone())
}

/// A record batch as an encapsulated IPC message, without its schema.
pub fn batch_message(batch: &RecordBatch, compression: Option<CompressionType>) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default().try_with_compression(compression)?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    let behind_schema = writer.get_ref().len();
    writer.write(batch)?;
    Ok(writer.get_ref().get(behind_schema..).unwrap_or_default().to_vec())
}
