//! Load jobs: uploaded bytes or files of a bucket into a table, all or nothing.

use std::io::Read;

use axum::body::Bytes;
use flate2::read::MultiGzDecoder;
use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::{ColumnDef, Schema};
use scrimmage_googlesql::exec::column::Batch;
use serde_json::{Value as Json, json};

use super::Failed;
use super::destination::{self, Destination, Disposition};
use super::gcs::Objects;
use super::registry::JobCell;
use crate::catalog::SharedStore;
use crate::formats::avro_read::AvroOptions;
use crate::formats::parquet::ParquetOptions;
use crate::formats::{DecimalTargets, parquet};
use crate::load::csv::CsvOptions;
use crate::load::encoding::Encoding;
use crate::load::{LoadFailed, LoadOptions, Loaded, autodetect, avro, csv, ndjson};
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};
use crate::service::schema;
use crate::{limits, texts};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Json,
    Csv,
    Avro,
    Parquet,
}

/// What a load's configuration asks for, read and checked.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    pub destination: Destination,
    pub schema: Option<Schema>,
    pub autodetect: bool,
    pub format: Format,
    pub csv: CsvOptions,
    pub encoding: Encoding,
    pub avro: AvroOptions,
    pub parquet: ParquetOptions,
    pub options: LoadOptions,
    /// `sourceUris`; empty for an upload.
    pub uris: Vec<String>,
}

impl LoadSpec {
    pub fn from_json(load: &Json) -> ApiResult<LoadSpec> {
        let text = |key: &str| load.get(key).and_then(Json::as_str);
        let flag = |key: &str| match load.get(key) {
            Some(Json::Bool(yes)) => *yes,
            Some(Json::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        };
        let number = |key: &str| match load.get(key) {
            Some(Json::Number(number)) => number.as_u64(),
            Some(Json::String(text)) => text.parse().ok(),
            _ => None,
        };
        let destination = Destination::from_json(load, Disposition::Append)?
            .ok_or_else(|| ApiError::required("configuration.load.destinationTable"))?;
        let format = match text("sourceFormat").unwrap_or("CSV") {
            "NEWLINE_DELIMITED_JSON" => Format::Json,
            "CSV" => Format::Csv,
            "AVRO" => Format::Avro,
            "PARQUET" => Format::Parquet,
            other @ ("ORC" | "DATASTORE_BACKUP") => {
                return Err(ApiError::new(501, "notImplemented", texts::format_not_implemented(other)));
            }
            other => return Err(ApiError::invalid(format!("Invalid source format: {other}"))),
        };
        let schema =
            load.get("schema").filter(|schema| schema.get("fields").is_some()).map(schema::from_json).transpose()?;
        let quote = match load.get("quote").and_then(Json::as_str) {
            None => Some('"'),
            Some(text) => text.chars().next(),
        };
        let csv = CsvOptions {
            delimiter: match text("fieldDelimiter") {
                None => ',',
                Some("\\t" | "tab") => '\t',
                Some(text) => match text.chars().collect::<Vec<_>>().as_slice() {
                    [] => ',',
                    [one] => *one,
                    _ => {
                        let text = format!("Field delimiter must be a single character, found: \"{text}\"");
                        return Err(ApiError::invalid(text));
                    }
                },
            },
            quote,
            skip_leading_rows: number("skipLeadingRows").unwrap_or(0) as usize,
            null_marker: text("nullMarker").unwrap_or_default().to_owned(),
            allow_jagged_rows: flag("allowJaggedRows"),
            allow_quoted_newlines: flag("allowQuotedNewlines"),
            keep_control_characters: flag("preserveAsciiControlCharacters"),
        };
        let encoding = match text("encoding") {
            None => Encoding::default(),
            Some(name) => Encoding::from_name(name)
                .ok_or_else(|| ApiError::invalid(format!("Invalid value for encoding: {name} is not a valid value")))?,
        };
        let options = LoadOptions {
            max_bad_records: number("maxBadRecords").unwrap_or(0) as usize,
            ignore_unknown_values: flag("ignoreUnknownValues"),
        };
        let decimals = decimal_targets(load)?;
        let avro = AvroOptions { logical: flag("useAvroLogicalTypes"), decimals: decimals.clone() };
        let within =
            |key: &str| load.get("parquetOptions").and_then(|options| options.get(key)).and_then(Json::as_bool);
        let parquet = ParquetOptions {
            enum_as_string: within("enumAsString").unwrap_or(false),
            list_inference: within("enableListInference").unwrap_or(false),
            decimals,
        };
        let uris = load
            .get("sourceUris")
            .and_then(Json::as_array)
            .map_or_else(Vec::new, |uris| uris.iter().filter_map(Json::as_str).map(str::to_owned).collect());
        let autodetect = flag("autodetect");
        Ok(LoadSpec { destination, schema, autodetect, format, csv, encoding, avro, parquet, options, uris })
    }
}

/// `decimalTargetTypes`.
fn decimal_targets(load: &Json) -> ApiResult<DecimalTargets> {
    let Some(list) = load.get("decimalTargetTypes").and_then(Json::as_array).filter(|list| !list.is_empty()) else {
        return Ok(DecimalTargets::default());
    };
    let types = list.iter().map(|name| match name.as_str() {
        Some("NUMERIC") => Ok(Type::Numeric),
        Some("BIGNUMERIC") => Ok(Type::BigNumeric),
        Some("STRING") => Ok(Type::String),
        _ => Err(ApiError::invalid(format!("Invalid value for decimalTargetTypes: {name} is not a valid value"))),
    });
    Ok(DecimalTargets(types.collect::<ApiResult<_>>()?))
}

/// Runs a registered load job to its end, on a blocking thread. `media` is the upload, where there is one.
pub fn run(app: &App, cell: &JobCell, spec: LoadSpec, media: Option<Bytes>) {
    let work = |_| {
        let files: Vec<Bytes> = match media {
            Some(media) => vec![media],
            None => {
                let found = Objects::of(&app.ctx).read(&spec.uris)?;
                found.into_iter().map(|(_, file)| file.into()).collect()
            }
        };
        cell.update(|job| {
            let size: usize = files.iter().map(Bytes::len).sum();
            job.statistics.insert("inputFiles".into(), json!(files.len().to_string()));
            job.statistics.insert("inputFileBytes".into(), json!(size.to_string()));
        });
        load(&app.store, &app.ctx, spec, files)
    };
    super::perform(app, cell, work, |job, done| {
        job.statistics.insert("outputRows".into(), json!(done.rows.to_string()));
        job.statistics.insert("outputBytes".into(), json!(done.bytes.to_string()));
        job.statistics.insert("badRecords".into(), json!(done.skipped.len().to_string()));
        job.errors = done.skipped;
    });
}

/// What a load came to.
pub(super) struct Done {
    pub rows: usize,
    pub bytes: usize,
    pub skipped: Vec<ApiError>,
}

/// Reads the files and writes their rows, all or none.
pub(super) fn load(
    store: &SharedStore,
    ctx: &scrimmage_core::Context,
    spec: LoadSpec,
    files: Vec<Bytes>,
) -> Result<Done, Failed> {
    let existing = store.lock().table(&spec.destination.path).ok().map(|entry| entry.current().shape.schema.clone());
    let (schema, batches, skipped) = rows_of(&spec, existing, files)?;
    let done = Done {
        rows: batches.iter().map(|batch| batch.len).sum(),
        bytes: batches.iter().map(Batch::memory).sum(),
        skipped,
    };
    destination::write_into(&mut store.lock(), ctx, &spec.destination, &schema, batches)?;
    Ok(done)
}

/// Reads the files; `existing` is the schema of the table that is there already.
pub(super) fn rows_of(spec: &LoadSpec, existing: Option<Schema>, files: Vec<Bytes>) -> Result<RowsRead, Failed> {
    match spec.format {
        Format::Json | Format::Csv => text_rows(spec, existing, files),
        Format::Avro | Format::Parquet => file_rows(spec, existing, files),
    }
}

/// Passes over the header that a look at the files would find, where the schema is known from an earlier look.
pub(super) fn skip_header(spec: &mut LoadSpec, files: &[Bytes]) -> ApiResult<()> {
    if let (true, Format::Csv, Some(first)) = (spec.autodetect, spec.format, files.first()) {
        let (_, skip) = autodetect::csv(&spec.encoding.decoded(unpacked(first.clone())?), &spec.csv);
        spec.csv.skip_leading_rows = spec.csv.skip_leading_rows.max(skip);
    }
    Ok(())
}

pub(super) type RowsRead = (Schema, Vec<Batch>, Vec<ApiError>);

/// CSV and NDJSON: the schema is given, the table's, or guessed.
fn text_rows(spec: &LoadSpec, existing: Option<Schema>, files: Vec<Bytes>) -> Result<RowsRead, Failed> {
    let read = |file| Ok(spec.encoding.decoded(unpacked(file)?));
    let files = files.into_iter().map(read).collect::<ApiResult<Vec<_>>>()?;
    let first = files.first().cloned().unwrap_or_default();
    let mut csv = spec.csv.clone();
    let schema = match (&spec.schema, existing) {
        (Some(schema), _) => schema.clone(),
        // A table that is there and kept lends its schema.
        (None, Some(existing))
            if !spec.autodetect
                || spec.destination.write == Disposition::Append && !spec.destination.allow_field_addition =>
        {
            existing
        }
        (None, _) if spec.autodetect => match spec.format {
            Format::Json => autodetect::ndjson(&first),
            _ => {
                let (schema, skip) = autodetect::csv(&first, &csv);
                csv.skip_leading_rows = csv.skip_leading_rows.max(skip);
                schema
            }
        },
        (None, _) => return Err(ApiError::invalid("No schema specified on job or table.").into()),
    };
    if spec.format == Format::Csv {
        check_flat(&schema)?;
    }
    let (mut batches, mut skipped) = (Vec::new(), Vec::new());
    for file in &files {
        let loaded = match spec.format {
            Format::Json => ndjson::read(file, &schema, &spec.options),
            _ => csv::read(file, &schema, &csv, &spec.options),
        };
        let loaded = loaded.map_err(|LoadFailed { rows, errors }| {
            let count = errors.len() as u64;
            let text = match spec.format {
                Format::Json => texts::json_load_failed(rows, count),
                _ => texts::csv_load_failed(rows, count, spec.options.max_bad_records),
            };
            Failed {
                error: ApiError::invalid(text),
                rows: errors.into_iter().map(|error| ApiError::invalid(error.message)).collect(),
            }
        })?;
        let Loaded { batch, skipped: bad } = loaded;
        batches.push(batch);
        skipped.extend(bad.into_iter().map(|error| ApiError::invalid(error.message)));
    }
    Ok((schema, batches, skipped))
}

/// CSV has one cell a column.
fn check_flat(schema: &Schema) -> ApiResult<()> {
    for column in &schema.columns {
        let kind = match &column.ty {
            Type::Struct(_) => "a nested schema",
            Type::Array(_) => "a repeated field",
            _ => continue,
        };
        return Err(ApiError::invalid(texts::csv_nested(kind, &column.name)));
    }
    Ok(())
}

/// Text that came gzip-compressed, which its first bytes tell.
fn unpacked(file: Bytes) -> ApiResult<Bytes> {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return Ok(file);
    }
    let mut text = Vec::new();
    let mut decoder = MultiGzDecoder::new(file.as_ref()).take(limits::UPLOAD_BYTES as u64 + 1);
    decoder.read_to_end(&mut text).map_err(|error| {
        ApiError::invalid(texts::file_load_failed(&format!("Failed to decompress gzip data: {error}")))
    })?;
    if text.len() > limits::UPLOAD_BYTES {
        return Err(ApiError::invalid(texts::file_load_failed("The file is too large when it is unpacked")));
    }
    Ok(text.into())
}

/// Avro and Parquet: files bring their schema; columns that the table or the job knows are read as those say.
fn file_rows(spec: &LoadSpec, existing: Option<Schema>, files: Vec<Bytes>) -> Result<RowsRead, Failed> {
    let failed = |why: String| ApiError::invalid(texts::file_load_failed(&why));
    let keeps = spec.destination.write != Disposition::Truncate || spec.destination.partition.is_some();
    let known = existing.filter(|_| keeps);
    let mut schema: Option<Schema> = spec.schema.clone();
    let mut batches = Vec::new();
    for file in files {
        let mut columns = |own: Vec<ColumnDef>| -> Vec<ColumnDef> {
            let schema = schema.get_or_insert_with(|| {
                let known = |column: ColumnDef| {
                    let at = known.as_ref().and_then(|known| Some((known, known.position(&column.name)?)));
                    at.map_or(column, |(known, at)| known.columns[at].clone())
                };
                Schema { columns: own.into_iter().map(known).collect() }
            });
            schema.columns.clone()
        };
        match spec.format {
            Format::Avro => {
                let file = avro::open(&file, &spec.avro).map_err(failed)?;
                batches.push(file.rows(&columns(file.columns.clone())).map_err(failed)?);
            }
            _ => {
                let file = parquet::read(file, &spec.parquet).map_err(failed)?;
                batches.extend(file.rows(&columns(file.columns.clone())).map_err(failed)?);
            }
        }
    }
    let schema = schema.ok_or_else(|| ApiError::invalid("No schema specified on job or table."))?;
    for batch in &batches {
        check_rows(&schema, batch).map_err(failed)?;
    }
    Ok((schema, batches, Vec::new()))
}

/// REQUIRED columns and type parameters, which a file knows nothing of.
fn check_rows(schema: &Schema, batch: &Batch) -> Result<(), String> {
    use scrimmage_googlesql::catalog::Mode;
    for (column, values) in schema.columns.iter().zip(&batch.columns) {
        if column.mode == Mode::Required && (0..batch.len).any(|row| values.is_null(row)) {
            return Err(format!("Required field {} cannot be null", column.name));
        }
        if column.params.is_empty() {
            continue;
        }
        for row in 0..batch.len {
            crate::load::coerce::check(values.get(row), &column.ty, &column.params, &column.name)
                .map_err(|misfit| misfit.to_string())?;
        }
    }
    Ok(())
}
