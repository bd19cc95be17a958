//! Parquet files: their columns, their rows, and files of our own.

use std::collections::HashSet;
use std::sync::Arc;

use ::arrow_schema::{DataType, Field};
use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, GzipLevel, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::SchemaDescriptor;
use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::{Type, Value};

use super::{DecimalTargets, arrow_read, arrow_schema, arrow_write, nested_columns};
use crate::engine::table::plain_column;

/// What a load says about types.
#[derive(Clone, Debug, Default)]
pub struct ParquetOptions {
    pub enum_as_string: bool,
    pub list_inference: bool,
    pub decimals: DecimalTargets,
}

/// A file that was opened: the columns it has by BigQuery's rules, and its rows.
pub struct ParquetFile {
    pub columns: Vec<ColumnDef>,
    batches: Vec<RecordBatch>,
}

/// Opens and reads a whole file.
pub fn read(file: Bytes, options: &ParquetOptions) -> Result<ParquetFile, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    // What Arrow itself noted about types is not looked at: Parquet's own types decide.
    let reading = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, reading).map_err(|error| failed(&error))?;
    let inference = Inference::new(builder.parquet_schema(), options);
    let fields = builder.schema().fields().clone();
    let columns = fields.iter().map(|field| inference.top(field)).collect::<Result<Vec<_>, _>>()?;
    let reader = builder.with_batch_size(8_192).build().map_err(|error| failed(&error))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    Ok(ParquetFile { columns, batches })
}

impl ParquetFile {
    /// The rows as these columns have them; a column that the file has not is NULL.
    pub fn rows(&self, columns: &[ColumnDef]) -> Result<Vec<Batch>, String> {
        self.batches.iter().map(|batch| rows(batch, columns)).collect()
    }
}

fn rows(batch: &RecordBatch, columns: &[ColumnDef]) -> Result<Batch, String> {
    let schema = batch.schema();
    let mut read = Vec::with_capacity(columns.len());
    for column in columns {
        let at = schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(&column.name));
        read.push(Arc::new(match at {
            Some(at) => {
                let values = arrow_read::column_values(batch.column(at), column)?;
                Column::from_values(&column.ty, values)
            }
            None if matches!(column.ty, Type::Array(_)) => Column::constant(Value::array(Vec::new()), batch.num_rows()),
            None => Column::nulls(batch.num_rows()),
        }));
    }
    Ok(Batch::new(read, batch.num_rows()))
}

/// What a file's own schema says beyond Arrow's: leaves by their dotted path.
struct Inference<'a> {
    options: &'a ParquetOptions,
    enums: HashSet<String>,
    int96: HashSet<String>,
    /// Top-level fields that are repeated without being annotated as lists.
    repeated: HashSet<String>,
}

impl<'a> Inference<'a> {
    fn new(schema: &SchemaDescriptor, options: &'a ParquetOptions) -> Inference<'a> {
        let (mut enums, mut int96) = (HashSet::new(), HashSet::new());
        for leaf in schema.columns() {
            let path = leaf.path().string();
            if leaf.logical_type_ref() == Some(&LogicalType::Enum) {
                enums.insert(path);
            } else if leaf.physical_type() == Physical::INT96 {
                int96.insert(path);
            }
        }
        let top = schema.root_schema().get_fields().iter();
        let repeated = top
            .map(|field| field.get_basic_info())
            .filter(|field| field.has_repetition() && field.repetition() == Repetition::REPEATED)
            .map(|field| field.name().to_owned())
            .collect();
        Inference { options, enums, int96, repeated }
    }

    fn top(&self, field: &Field) -> Result<ColumnDef, String> {
        self.column(field, field.name(), self.repeated.contains(field.name()))
    }

    /// `path` is where the field stands in the file; `is_repeated`: it is no annotated list.
    fn column(&self, field: &Field, path: &str, is_repeated: bool) -> Result<ColumnDef, String> {
        let name = field.name();
        let mode = if field.is_nullable() { Mode::Nullable } else { Mode::Required };
        let within =
            |set: &HashSet<String>| set.iter().any(|leaf| leaf == path || leaf.starts_with(&format!("{path}.")));
        let ty = match field.data_type() {
            DataType::Boolean => Type::Bool,
            kind if kind.is_integer() => Type::Int64,
            kind if kind.is_floating() => Type::Float64,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                if self.options.enum_as_string && within(&self.enums) { Type::String } else { Type::Bytes }
            }
            DataType::Date32 | DataType::Date64 => Type::Date,
            DataType::Time32(_) | DataType::Time64(_) => Type::Time,
            DataType::Timestamp(_, zone) => {
                if zone.is_some() || within(&self.int96) {
                    Type::Timestamp
                } else {
                    Type::Datetime
                }
            }
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                self.options.decimals.pick(u32::from(*precision), i32::from(*scale))
            }
            DataType::Struct(fields) => {
                let fields = fields.iter().map(|own| self.column(own, &format!("{path}.{}", own.name()), false));
                return Ok(ColumnDef { mode, ..record(name, fields.collect::<Result<_, _>>()?) });
            }
            DataType::List(item) | DataType::LargeList(item) => {
                if self.options.list_inference || is_repeated {
                    return repeated(name, self.column(item, path, false)?);
                }
                // A list is what Parquet makes it of: a group with one repeated group in it.
                let element = self.column(item, path, false)?;
                let list = repeated("list", record("list", vec![element]))?;
                return Ok(ColumnDef { mode, ..record(name, vec![list]) });
            }
            DataType::Map(entries, _) => return repeated(name, self.column(entries, path, false)?),
            other => return Err(format!("Parquet column '{name}' has type {other}, which is not supported")),
        };
        Ok(ColumnDef { mode, ..plain_column(name, ty) })
    }
}

fn record(name: &str, fields: Vec<ColumnDef>) -> ColumnDef {
    let ty = Type::struct_of(fields.iter().map(|field| (field.name.clone(), field.ty.clone())));
    ColumnDef { fields, ..plain_column(name, ty) }
}

fn repeated(name: &str, element: ColumnDef) -> Result<ColumnDef, String> {
    match element.ty {
        Type::Array(_) => Err(format!("Parquet column '{name}' is a list of lists, which is not supported")),
        ty => Ok(ColumnDef { fields: element.fields, ..plain_column(name, Type::array(ty)) }),
    }
}

/// How a file of our own is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    None,
    Snappy,
    Gzip,
    Zstd,
}

/// Writes rows as one file. INTERVAL has no type in Parquet: it is written as text.
pub fn write(columns: &[ColumnDef], batches: &[Batch], packing: Packing) -> Result<Vec<u8>, String> {
    let plain: Vec<ColumnDef> = columns.iter().map(without_intervals).collect();
    let types: Vec<Type> = plain.iter().map(|column| column.ty.clone()).collect();
    let schema = Arc::new(arrow_schema::arrow_schema(&plain));
    let compression = match packing {
        Packing::None => Compression::UNCOMPRESSED,
        Packing::Snappy => Compression::SNAPPY,
        Packing::Gzip => Compression::GZIP(GzipLevel::default()),
        Packing::Zstd => Compression::ZSTD(ZstdLevel::default()),
    };
    let properties = WriterProperties::builder().set_compression(compression).set_coerce_types(true).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options).map_err(|error| error.to_string())?;
    for batch in batches {
        let changed = columns.iter().zip(&plain).zip(&batch.columns).map(|((column, plain), values)| {
            if column.ty == plain.ty {
                return values.clone();
            }
            Arc::new(Column::from_values(&plain.ty, (0..batch.len).map(|row| interval_text(values.get(row)))))
        });
        let batch = Batch::new(changed.collect(), batch.len);
        let record = arrow_write::record_batch(&batch, &types, &schema).map_err(|error| error.to_string())?;
        writer.write(&record).map_err(|error| error.to_string())?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

fn without_intervals(column: &ColumnDef) -> ColumnDef {
    let fields: Vec<ColumnDef> = nested_columns(column).iter().map(without_intervals).collect();
    let plain = |ty: &Type| match ty {
        Type::Interval => Type::String,
        Type::Struct(_) => Type::struct_of(fields.iter().map(|field| (field.name.clone(), field.ty.clone()))),
        other => other.clone(),
    };
    let ty = match &column.ty {
        Type::Array(element) => Type::array(plain(element)),
        own => plain(own),
    };
    ColumnDef { ty, fields, ..column.clone() }
}

fn interval_text(value: Value) -> Value {
    match value {
        Value::Interval(interval) => Value::string(interval.to_string()),
        Value::Array(items) => Value::array(items.iter().cloned().map(interval_text).collect()),
        Value::Struct(parts) => Value::structure(parts.iter().cloned().map(interval_text).collect()),
        other => other,
    }
}
