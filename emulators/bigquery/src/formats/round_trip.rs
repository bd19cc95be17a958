//! Random tables of every type through every format come back as they were.

use std::sync::Arc;

use proptest::prelude::*;
use scrimmage_googlesql::catalog::{ColumnDef, Schema};
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::value::json::Json;
use scrimmage_googlesql::value::{Geography, Interval, Numeric, RangeValue, numeric};
use scrimmage_googlesql::{Type, Value};

use super::avro_encode::Encoder;
use super::avro_file::{self, Codec};
use super::avro_read::AvroOptions;
use super::avro_schema::{self, Style};
use super::parquet::{self, Packing, ParquetOptions};
use super::{DecimalTargets, arrow_read, arrow_schema, arrow_write, nested_columns, text_write};
use crate::engine::table::plain_column;
use crate::load::csv::CsvOptions;
use crate::load::{LoadOptions, avro, csv, ndjson};

const STRICT: LoadOptions = LoadOptions { max_bad_records: 0, ignore_unknown_values: false };
const DAY: i64 = 86_400_000_000;

/// A column with its fields written out at every depth, as a declared schema has them.
fn declared(name: &str, ty: &Type) -> ColumnDef {
    let column = plain_column(name, ty.clone());
    let fields = nested_columns(&column).iter().map(|field| declared(&field.name, &field.ty)).collect();
    ColumnDef { fields, ..column }
}

fn scalar_type() -> BoxedStrategy<Type> {
    proptest::sample::select(vec![
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
        Type::range(Type::Date),
        Type::range(Type::Datetime),
        Type::range(Type::Timestamp),
    ])
    .boxed()
}

fn any_type() -> BoxedStrategy<Type> {
    let record = (scalar_type(), scalar_type())
        .prop_map(|(a, b)| {
            Type::struct_of([("a", a), ("b", Type::array(b.clone())), ("c", Type::struct_of([("d", b)]))])
        })
        .boxed();
    prop_oneof![
        4 => scalar_type(),
        1 => scalar_type().prop_map(Type::array),
        1 => record.clone(),
        1 => record.prop_map(Type::array),
    ]
    .boxed()
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::Int),
        ".{0,6}".prop_map(Json::String),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(Json::Object),
        ]
    })
}

/// A value that is not NULL.
fn value(ty: &Type) -> BoxedStrategy<Value> {
    let days = -719_162..=2_932_896i32;
    let micros = -719_162 * DAY..2_932_897 * DAY;
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
        // Of few digits: the JSON parser may miss the last bit of others.
        Type::Float64 => prop_oneof![
            4 => any::<i32>().prop_map(|number| f64::from(number) / 64.0),
            1 => Just(f64::NAN),
            1 => Just(f64::NEG_INFINITY),
        ]
        .prop_map(Value::Float64)
        .boxed(),
        Type::Numeric => {
            let limit = Numeric::MAX.raw();
            (-limit..=limit).prop_map(|raw| Numeric::scaled(raw).map_or(Value::Null, Value::Numeric)).boxed()
        }
        Type::BigNumeric => (any::<i128>(), 0..=38u32)
            .prop_map(|(number, scale)| {
                let read = numeric::big::parse(&format!("{number}e-{scale}"), false);
                read.or_else(|| numeric::big::parse("0", false))
                    .map_or(Value::Null, |number| Value::BigNumeric(Arc::new(number)))
            })
            .boxed(),
        Type::String => "(?s).{0,12}".prop_map(Value::string).boxed(),
        // In CSV a cell of no bytes is NULL.
        Type::Bytes => proptest::collection::vec(any::<u8>(), 1..12).prop_map(Value::bytes).boxed(),
        Type::Date => days.prop_map(Value::Date).boxed(),
        Type::Time => (0..DAY).prop_map(Value::Time).boxed(),
        Type::Datetime => micros.prop_map(Value::Datetime).boxed(),
        Type::Timestamp => micros.prop_map(Value::Timestamp).boxed(),
        Type::Interval => (-1_000..1_000i64, -1_000..1_000i64, -DAY * 9..DAY * 9)
            .prop_map(|(months, days, micros)| Value::Interval(Arc::new(Interval { months, days, micros })))
            .boxed(),
        Type::Json => json_value().prop_map(|json| Value::Json(Arc::new(json))).boxed(),
        Type::Geography => (-179..180i32, -89..90i32)
            .prop_map(|(x, y)| Value::Geography(Arc::new(Geography::point((f64::from(x), f64::from(y) / 2.0)))))
            .boxed(),
        Type::Range(element) => {
            let element = element.clone();
            let bound = |element: &Type, at: i64| match element {
                Type::Date => Value::Date(at as i32),
                Type::Datetime => Value::Datetime(at * DAY + 1),
                _ => Value::Timestamp(at * DAY + 1),
            };
            (any::<bool>(), any::<bool>(), -9_000..9_000i64, 1..900i64)
                .prop_map(move |(from, to, start, length)| {
                    let range = RangeValue {
                        start: from.then(|| bound(&element, start)),
                        end: to.then(|| bound(&element, start + length)),
                    };
                    Value::Range(Arc::new(range))
                })
                .boxed()
        }
        Type::Array(element) => proptest::collection::vec(value(element), 0..3).prop_map(Value::array).boxed(),
        Type::Struct(fields) => {
            let parts: Vec<_> = fields.fields.iter().map(|field| nullable(&field.ty)).collect();
            parts.prop_map(Value::structure).boxed()
        }
    }
}

fn nullable(ty: &Type) -> BoxedStrategy<Value> {
    match ty {
        // A NULL array is an empty one once it is stored.
        Type::Array(_) => value(ty),
        _ => prop_oneof![1 => Just(Value::Null), 3 => value(ty)].boxed(),
    }
}

/// A schema and rows that it has.
fn table(ty: BoxedStrategy<Type>) -> impl Strategy<Value = (Schema, Vec<Batch>)> {
    proptest::collection::vec(ty, 1..5).prop_flat_map(|types| {
        let columns = types.iter().enumerate().map(|(index, ty)| declared(&format!("c{index}"), ty)).collect();
        let row: Vec<_> = types.iter().map(nullable).collect();
        let batches = proptest::collection::vec(proptest::collection::vec(row, 1..4), 1..3);
        (
            Just(Schema { columns }),
            batches.prop_map(move |batches| batches.into_iter().map(|rows| Batch::from_rows(&types, rows)).collect()),
        )
    })
}

/// Values have no equality of Rust's own.
fn shown(batches: &[Batch]) -> Vec<String> {
    batches.iter().flat_map(|batch| batch.rows().map(|row| format!("{row:?}")).collect::<Vec<_>>()).collect()
}

fn every_decimal() -> DecimalTargets {
    DecimalTargets(vec![Type::Numeric, Type::BigNumeric, Type::String])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn arrow((schema, batches) in table(any_type())) {
        let types: Vec<Type> = schema.columns.iter().map(|column| column.ty.clone()).collect();
        let arrow = Arc::new(arrow_schema::arrow_schema(&schema.columns));
        let message = arrow_write::schema_message(&arrow).expect("a schema");
        let mut read = Vec::new();
        for (index, batch) in batches.iter().enumerate() {
            let record = arrow_write::record_batch(batch, &types, &arrow).expect("a record batch");
            let compression = [None, Some(arrow_ipc::CompressionType::LZ4_FRAME)][index % 2];
            let bytes = arrow_write::batch_message(&record, compression).expect("a message");
            for record in arrow_read::read_ipc(&message, &bytes).expect("reads") {
                let columns = record.columns().iter().zip(&schema.columns).map(|(array, column)| {
                    let values = arrow_read::column_values(array, column).expect("values");
                    Arc::new(scrimmage_googlesql::exec::column::Column::from_values(&column.ty, values))
                });
                read.push(Batch::new(columns.collect(), record.num_rows()));
            }
        }
        prop_assert_eq!(shown(&read), shown(&batches));
    }

    #[test]
    fn avro((schema, batches) in table(any_type()), style in 0..3usize, codec in 0..3usize) {
        let style = [Style::Read, Style::ExportLogical, Style::ExportPlain][style];
        let codec = [Codec::Null, Codec::Deflate, Codec::Snappy][codec];
        let encoder = Encoder::new(&schema.columns, style);
        let blocks = batches.iter().map(|batch| {
            let mut block = Vec::new();
            (0..batch.len).for_each(|row| encoder.row(batch, row, &mut block));
            (batch.len, block)
        });
        let text = avro_schema::avro_schema(&schema.columns, style);
        let file = avro_file::write(&text, codec, [7; 16], blocks.collect()).expect("writes");
        let options = AvroOptions { logical: true, decimals: every_decimal() };
        let opened = avro::open(&file, &options).expect("opens");
        // The file's own schema has every type again.
        let types: Vec<String> = opened.columns.iter().map(|column| column.ty.to_string()).collect();
        let wanted: Vec<String> = schema.columns.iter().map(|column| column.ty.to_string()).collect();
        prop_assert_eq!(types, wanted);
        let read = opened.rows(&opened.columns).expect("reads");
        prop_assert_eq!(shown(&[read]), shown(&batches));
    }

    #[test]
    fn parquet((schema, batches) in table(any_type()), packing in 0..4usize) {
        let packing = [Packing::None, Packing::Snappy, Packing::Gzip, Packing::Zstd][packing];
        let file = parquet::write(&schema.columns, &batches, packing).expect("writes");
        let options = ParquetOptions { list_inference: true, decimals: every_decimal(), ..ParquetOptions::default() };
        let opened = parquet::read(file.into(), &options).expect("reads");
        let read = opened.rows(&schema.columns).expect("goes with the schema");
        prop_assert_eq!(shown(&read), shown(&batches));
    }

    #[test]
    fn newline_delimited_json((schema, batches) in table(any_type())) {
        let text = text_write::ndjson(&schema.columns, &batches);
        let read = ndjson::read(&text, &schema, &STRICT).expect("reads");
        prop_assert_eq!(shown(&[read.batch]), shown(&batches));
    }

    #[test]
    fn comma_separated_values((schema, batches) in table(scalar_type()), delimiter in 0..3usize) {
        let delimiter = [',', '\t', '|'][delimiter];
        let text = text_write::csv(&schema.columns, &batches, delimiter, true);
        let options = CsvOptions {
            delimiter,
            skip_leading_rows: 1,
            allow_quoted_newlines: true,
            keep_control_characters: true,
            ..CsvOptions::default()
        };
        let read = csv::read(&text, &schema, &options, &STRICT).expect("reads");
        // A row of nothing but one NULL is an empty line, which is no row.
        if schema.columns.len() > 1 {
            prop_assert_eq!(shown(&[read.batch]), shown(&batches));
        }
    }

    #[test]
    fn bytes_that_are_no_file_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parquet::read(bytes.clone().into(), &ParquetOptions::default());
        let _ = avro::open(&bytes, &AvroOptions::default());
        let mut header = b"Obj\x01\x02\x16avro.schema".to_vec();
        header.extend(&bytes);
        let _ = avro::open(&header, &AvroOptions::default());
        let _ = arrow_read::read_ipc(&bytes, &bytes);
    }

    #[test]
    fn avro_files_with_bytes_that_are_others_are_read_or_refused(
        (schema, batches) in table(any_type()),
        codec in 0..3usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let codec = [Codec::Null, Codec::Deflate, Codec::Snappy][codec];
        let encoder = Encoder::new(&schema.columns, Style::Read);
        let blocks = batches.iter().map(|batch| {
            let mut block = Vec::new();
            (0..batch.len).for_each(|row| encoder.row(batch, row, &mut block));
            (batch.len, block)
        });
        let text = avro_schema::avro_schema(&schema.columns, Style::Read);
        let mut file = avro_file::write(&text, codec, [7; 16], blocks.collect()).expect("writes");
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(opened) = avro::open(&file, &AvroOptions { logical: true, decimals: every_decimal() }) {
            let _ = opened.rows(&opened.columns);
        }
    }
}

/// A file of one block.
fn avro_bytes(schema: &str, rows: usize, block: &[u8]) -> Vec<u8> {
    avro_file::write(schema, Codec::Null, [7; 16], vec![(rows, block.to_vec())]).expect("writes")
}

#[test]
fn avro_schemas_that_grow_by_names_are_refused() {
    let record =
        |name: usize, fields: &str| format!(r#"{{"type": "record", "name": "R{name}", "fields": [{fields}]}}"#);
    let field = |name: &str, ty: &str| format!(r#"{{"name": "{name}", "type": {ty}}}"#);
    let table = |types: Vec<String>| {
        let fields: Vec<String> = types.iter().enumerate().map(|(at, ty)| field(&format!("f{at}"), ty)).collect();
        format!(r#"{{"type": "record", "name": "t", "fields": [{}]}}"#, fields.join(","))
    };
    let deep = (0..20_000).map(|at| match at {
        0 => record(0, &field("n", "\"int\"")),
        _ => record(at, &field("x", &format!("\"R{}\"", at - 1))),
    });
    let wide = (0..40).map(|at| match at {
        0 => record(0, &field("n", "\"int\"")),
        _ => {
            let inner = format!("\"R{}\"", at - 1);
            record(at, &[field("a", &inner), field("b", &inner)].join(","))
        }
    });
    for schema in [table(deep.collect()), table(wide.collect())] {
        assert!(avro::open(&avro_bytes(&schema, 0, &[]), &AvroOptions::default()).is_err());
    }
    let fine = table(vec![record(0, &field("n", "\"int\"")), "\"R0\"".to_owned()]);
    assert!(avro::open(&avro_bytes(&fine, 1, &[2, 4]), &AvroOptions::default()).is_ok());
}

#[test]
fn avro_rows_of_no_bytes_are_not_counted() {
    let nothing = r#"{"type": "record", "name": "t", "fields": []}"#;
    let opened = avro::open(&avro_bytes(nothing, 1 << 60, &[]), &AvroOptions::default()).expect("opens");
    assert!(opened.rows(&[crate::engine::table::plain_column("n", Type::Int64)]).is_err());
    let nulls =
        r#"{"type": "record", "name": "t", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]}"#;
    let mut block = vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
    block.push(0);
    let opened = avro::open(&avro_bytes(nulls, 1, &block), &AvroOptions::default());
    assert!(opened.is_err() || opened.is_ok_and(|opened| opened.rows(&opened.columns).is_err()));
}

#[test]
fn an_arrow_dictionary_without_values_is_null() {
    use arrow_array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
    let keys = Int32Array::from(vec![None, None]);
    let array = DictionaryArray::new(keys, Arc::new(StringArray::from(Vec::<&str>::new())));
    let array: ArrayRef = Arc::new(array);
    let column = crate::engine::table::plain_column("s", Type::String);
    let values = arrow_read::column_values(&array, &column).expect("values");
    assert!(values.len() == 2 && values.iter().all(Value::is_null), "{values:?}");
}
