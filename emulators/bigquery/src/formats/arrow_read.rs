//! Arrow arrays into values: rows of the Storage Write API, and Parquet files.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNanoType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use scrimmage_googlesql::catalog::ColumnDef;
use scrimmage_googlesql::value::{Interval, RangeValue, civil, numeric};
use scrimmage_googlesql::{Type, Value};

use super::nested_columns;
use crate::load::convert::{big, convert, decimal};

/// Columns nest at most this deep.
const MAX_DEPTH: usize = 32;

/// The record batches behind a schema message; each is an encapsulated IPC message.
pub fn read_ipc(schema: &[u8], batches: &[u8]) -> Result<Vec<RecordBatch>, String> {
    let stream = [schema, batches].concat();
    let reader = StreamReader::try_new(std::io::Cursor::new(stream), None).map_err(|error| error.to_string())?;
    reader.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
}

/// The array's values as the column has them. The error says what does not go with what.
pub fn column_values(array: &ArrayRef, column: &ColumnDef) -> Result<Vec<Value>, String> {
    values(array, &column.ty, &nested_columns(column), 0).map_err(|what| format!("{}: {what}", column.name))
}

fn values(array: &ArrayRef, to: &Type, nested: &[ColumnDef], depth: usize) -> Result<Vec<Value>, String> {
    if depth > MAX_DEPTH {
        return Err("nested too deeply".into());
    }
    if let DataType::Dictionary(_, _) = array.data_type() {
        let dictionary = array.as_any_dictionary_opt().ok_or("an unreadable dictionary")?;
        let all = values(dictionary.values(), to, nested, depth + 1)?;
        // Of an empty dictionary there are no keys, and what has none is NULL.
        if all.is_empty() {
            return Ok(vec![Value::Null; array.len()]);
        }
        let keys = dictionary.normalized_keys();
        return Ok((0..array.len())
            .map(|row| {
                if array.is_null(row) {
                    Value::Null
                } else {
                    keys.get(row).and_then(|key| all.get(*key)).cloned().unwrap_or_default()
                }
            })
            .collect());
    }
    match to {
        Type::Array(element) => lists(array, element, nested, depth),
        Type::Struct(_) => structs(array, nested, depth),
        Type::Range(element) => ranges(array, element, depth),
        _ => scalars(array, to),
    }
}

fn lists(array: &ArrayRef, element: &Type, nested: &[ColumnDef], depth: usize) -> Result<Vec<Value>, String> {
    let cut = |items: Vec<Value>, bounds: &mut dyn Iterator<Item = (usize, usize)>| -> Vec<Value> {
        bounds.map(|(from, to)| Value::array(items.get(from..to).unwrap_or_default().to_vec())).collect()
    };
    let own = |row: usize, bounds: (usize, usize)| if array.is_null(row) { (0, 0) } else { bounds };
    match array.data_type() {
        DataType::Null => Ok(vec![Value::array(Vec::new()); array.len()]),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let items = values(list.values(), element, nested, depth + 1)?;
            let mut bounds =
                list.offsets().windows(2).enumerate().map(|(row, pair)| own(row, (pair[0] as usize, pair[1] as usize)));
            Ok(cut(items, &mut bounds))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let items = values(list.values(), element, nested, depth + 1)?;
            let mut bounds =
                list.offsets().windows(2).enumerate().map(|(row, pair)| own(row, (pair[0] as usize, pair[1] as usize)));
            Ok(cut(items, &mut bounds))
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(list.value_length()).unwrap_or(0);
            let items = values(list.values(), element, nested, depth + 1)?;
            Ok(cut(items, &mut (0..list.len()).map(|row| own(row, (row * size, (row + 1) * size)))))
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let items = values(&entries, element, nested, depth + 1)?;
            let mut bounds =
                map.offsets().windows(2).enumerate().map(|(row, pair)| own(row, (pair[0] as usize, pair[1] as usize)));
            Ok(cut(items, &mut bounds))
        }
        other => Err(format!("{other} does not match a repeated field")),
    }
}

fn structs(array: &ArrayRef, nested: &[ColumnDef], depth: usize) -> Result<Vec<Value>, String> {
    let DataType::Struct(fields) = array.data_type() else {
        if *array.data_type() == DataType::Null {
            return Ok(vec![Value::Null; array.len()]);
        }
        // A Parquet list that nobody asked to infer: the groups that it is made of are fields.
        if let ([only], DataType::List(_) | DataType::LargeList(_)) = (nested, array.data_type())
            && let [element] = nested_columns(only).as_slice()
        {
            let column =
                ColumnDef { ty: Type::array(element.ty.clone()), fields: element.fields.clone(), ..element.clone() };
            let lists = values(array, &column.ty, &nested_columns(&column), depth + 1)?;
            let wrap = |list: Value| match list {
                Value::Array(items) => {
                    let items = items.iter().map(|item| Value::structure(vec![item.clone()]));
                    Value::structure(vec![Value::array(items.collect())])
                }
                other => other,
            };
            return Ok(lists
                .into_iter()
                .enumerate()
                .map(|(row, list)| if array.is_null(row) { Value::Null } else { wrap(list) })
                .collect());
        }
        return Err(format!("{} does not match a record", array.data_type()));
    };
    let source = array.as_struct();
    let mut parts = Vec::with_capacity(nested.len());
    for field in nested {
        let at = fields.iter().position(|own| own.name().eq_ignore_ascii_case(&field.name));
        parts.push(match at.map(|at| source.column(at)) {
            Some(part) => {
                let read = values(part, &field.ty, &nested_columns(field), depth + 1);
                read.map_err(|what| format!("{}: {what}", field.name))?
            }
            None if matches!(field.ty, Type::Array(_)) => vec![Value::array(Vec::new()); array.len()],
            None => vec![Value::Null; array.len()],
        });
    }
    let row =
        |row: usize| parts.iter_mut().map(|part| part.get_mut(row).map(std::mem::take).unwrap_or_default()).collect();
    let mut row = row;
    Ok((0..array.len())
        .map(|at| {
            let fields = row(at);
            if array.is_null(at) { Value::Null } else { Value::structure(fields) }
        })
        .collect())
}

fn ranges(array: &ArrayRef, element: &Type, depth: usize) -> Result<Vec<Value>, String> {
    let DataType::Struct(fields) = array.data_type() else { return scalars(array, &Type::range(element.clone())) };
    let source = array.as_struct();
    let bound = |name: &str| match fields.iter().position(|field| field.name() == name) {
        Some(at) => values(source.column(at), element, &[], depth + 1),
        None => Ok(vec![Value::Null; array.len()]),
    };
    let (starts, ends) = (bound("start")?, bound("end")?);
    let some = |value: Value| if value.is_null() { None } else { Some(value) };
    Ok(starts
        .into_iter()
        .zip(ends)
        .enumerate()
        .map(|(row, (start, end))| {
            if array.is_null(row) {
                return Value::Null;
            }
            Value::Range(Arc::new(RangeValue { start: some(start), end: some(end) }))
        })
        .collect())
}

fn scalars(array: &ArrayRef, to: &Type) -> Result<Vec<Value>, String> {
    let mut read = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        if array.is_null(row) {
            read.push(Value::Null);
            continue;
        }
        let value =
            natural(array, row).ok_or_else(|| format!("a value of type {} cannot be read", array.data_type()))?;
        let shown = if let Value::String(text) = &value { Some(text.clone()) } else { None };
        read.push(convert(value, to).ok_or_else(|| match shown {
            Some(text) if !matches!(to, Type::Int64 | Type::Float64 | Type::Bool) => {
                format!("could not convert '{text}' to {to}")
            }
            _ => format!("{} does not match {to}", array.data_type()),
        })?);
    }
    Ok(read)
}

/// One value that is not NULL, as the type that is nearest to the array's.
fn natural(array: &ArrayRef, row: usize) -> Option<Value> {
    macro_rules! whole {
        ($kind:ty) => {
            Value::Int64(array.as_primitive_opt::<$kind>()?.value(row).into())
        };
    }
    macro_rules! number {
        ($kind:ty) => {
            array.as_primitive_opt::<$kind>()?.value(row)
        };
    }
    let time = |micros: i64| (0..86_400_000_000).contains(&micros).then_some(Value::Time(micros));
    Some(match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean_opt()?.value(row)),
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => Value::Int64(i64::try_from(number!(UInt64Type)).ok()?),
        DataType::Float16 => Value::Float64(number!(Float16Type).to_f64()),
        DataType::Float32 => Value::Float64(number!(Float32Type).into()),
        DataType::Float64 => Value::Float64(number!(Float64Type)),
        DataType::Utf8 => Value::string(array.as_string_opt::<i32>()?.value(row)),
        DataType::LargeUtf8 => Value::string(array.as_string_opt::<i64>()?.value(row)),
        DataType::Utf8View => Value::string(array.as_string_view_opt()?.value(row)),
        DataType::Binary => Value::bytes(array.as_binary_opt::<i32>()?.value(row)),
        DataType::LargeBinary => Value::bytes(array.as_binary_opt::<i64>()?.value(row)),
        DataType::BinaryView => Value::bytes(array.as_binary_view_opt()?.value(row)),
        DataType::FixedSizeBinary(_) => Value::bytes(array.as_fixed_size_binary_opt()?.value(row)),
        DataType::Date32 => Value::Date(civil::date_in_range(number!(Date32Type).into())?),
        DataType::Date64 => Value::Date(civil::date_in_range(number!(Date64Type).div_euclid(86_400_000))?),
        DataType::Time32(TimeUnit::Second) => time(i64::from(number!(Time32SecondType)) * 1_000_000)?,
        DataType::Time32(_) => time(i64::from(number!(Time32MillisecondType)) * 1_000)?,
        DataType::Time64(TimeUnit::Nanosecond) => time(number!(Time64NanosecondType).div_euclid(1_000))?,
        DataType::Time64(_) => time(number!(Time64MicrosecondType))?,
        DataType::Timestamp(unit, zone) => {
            let micros = match unit {
                TimeUnit::Second => number!(TimestampSecondType).checked_mul(1_000_000)?,
                TimeUnit::Millisecond => number!(TimestampMillisecondType).checked_mul(1_000)?,
                TimeUnit::Microsecond => number!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => number!(TimestampNanosecondType).div_euclid(1_000),
            };
            let micros = civil::micros_in_range(micros)?;
            if zone.is_some() { Value::Timestamp(micros) } else { Value::Datetime(micros) }
        }
        DataType::Decimal128(_, scale) => decimal(number!(Decimal128Type), *scale)?,
        DataType::Decimal256(_, _) => {
            big(numeric::big::parse(&array.as_primitive_opt::<Decimal256Type>()?.value_as_string(row), false)?)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let interval = number!(IntervalMonthDayNanoType);
            let micros = interval.nanoseconds.div_euclid(1_000);
            let checked = Interval::checked(interval.months.into(), interval.days.into(), micros);
            Value::Interval(Arc::new(checked.ok()?))
        }
        _ => return None,
    })
}
