//! Extract jobs and EXPORT DATA: rows into files of a bucket.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{ColumnDef, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::{Type, Value};
use serde_json::{Value as Json, json};

use super::gcs::Objects;
use super::registry::JobCell;
use crate::catalog::{NameScope, Snapshot};
use crate::engine::dataset::TableKind;
use crate::engine::policy::Identity;
use crate::formats::avro_encode::Encoder;
use crate::formats::avro_file::{self, Codec};
use crate::formats::avro_schema::{self, Style};
use crate::formats::parquet::{self, Packing};
use crate::formats::text_write;
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};
use crate::service::tables;
use crate::{limits, texts};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Csv,
    Json,
    Avro,
    Parquet,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packed {
    None,
    Gzip,
    Deflate,
    Snappy,
    Zstd,
}

/// Where rows go, and how they are written.
#[derive(Clone, Debug)]
pub struct Target {
    uris: Vec<String>,
    format: Format,
    packed: Packed,
    delimiter: char,
    header: bool,
    logical: bool,
}

impl Target {
    fn new(uris: Vec<String>, format: &str, compression: Option<&str>) -> ApiResult<Target> {
        let format = match format {
            "CSV" => Format::Csv,
            "NEWLINE_DELIMITED_JSON" | "JSON" => Format::Json,
            "AVRO" => Format::Avro,
            "PARQUET" => Format::Parquet,
            other => {
                return Err(ApiError::invalid(format!(
                    "Invalid value for destinationFormat: {other} is not a valid value"
                )));
            }
        };
        let compression = compression.unwrap_or("NONE");
        let packed = match (format, compression) {
            (_, "NONE" | "") => Packed::None,
            (Format::Csv | Format::Json | Format::Parquet, "GZIP") => Packed::Gzip,
            (Format::Avro, "DEFLATE") => Packed::Deflate,
            (Format::Avro | Format::Parquet, "SNAPPY") => Packed::Snappy,
            (Format::Parquet, "ZSTD") => Packed::Zstd,
            _ => {
                return Err(ApiError::invalid(texts::bad_compression(
                    compression,
                    &format!("{format:?}").to_uppercase(),
                )));
            }
        };
        if uris.is_empty() {
            return Err(ApiError::required("destinationUris"));
        }
        Ok(Target { uris, format, packed, delimiter: ',', header: true, logical: false })
    }

    /// The options of EXPORT DATA; also whether files that are there may be written over.
    pub fn from_options(options: &[(String, Value, Type)]) -> ApiResult<(Target, bool)> {
        let option = |name: &str| options.iter().find(|(own, ..)| own == name).map(|(_, value, _)| value);
        let text = |name: &str| match option(name) {
            Some(Value::String(text)) => Some(text.to_string()),
            _ => None,
        };
        let flag = |name: &str, default| match option(name) {
            Some(Value::Bool(yes)) => *yes,
            _ => default,
        };
        let uri = text("uri").ok_or_else(|| ApiError::new(400, "invalidQuery", "Option uri must be set"))?;
        let format = text("format").ok_or_else(|| ApiError::new(400, "invalidQuery", "Option format must be set"))?;
        if !uri.contains('*') {
            return Err(ApiError::new(
                400,
                "invalidQuery",
                format!("Option 'uri' value must be a wild card URI: {uri}"),
            ));
        }
        let compression = text("compression").map(|name| name.to_uppercase());
        let mut target = Target::new(vec![uri], &format.to_uppercase(), compression.as_deref())?;
        target.header = flag("header", false);
        target.logical = flag("use_avro_logical_types", false);
        if let Some(delimiter) = text("field_delimiter").and_then(|text| text.chars().next()) {
            target.delimiter = delimiter;
        }
        Ok((target, flag("overwrite", false)))
    }

    fn check(&self, columns: &[ColumnDef]) -> ApiResult<()> {
        let nested = columns.iter().find(|column| matches!(column.ty, Type::Array(_) | Type::Struct(_)));
        match nested {
            Some(column) if self.format == Format::Csv => {
                Err(ApiError::invalid(format!("{}{}", texts::NESTED_CSV, column.name)))
            }
            _ => Ok(()),
        }
    }

    /// One file's bytes.
    fn encode(&self, columns: &[ColumnDef], batches: &[Batch]) -> ApiResult<Vec<u8>> {
        let failed = |why: String| ApiError::new(500, "internalError", why);
        match self.format {
            Format::Csv => self.pack(text_write::csv(columns, batches, self.delimiter, self.header)),
            Format::Json => self.pack(text_write::ndjson(columns, batches)),
            Format::Avro => {
                let style = if self.logical { Style::ExportLogical } else { Style::ExportPlain };
                let encoder = Encoder::new(columns, style);
                let blocks = batches.iter().filter(|batch| batch.len > 0).map(|batch| {
                    let mut block = Vec::new();
                    (0..batch.len).for_each(|row| encoder.row(batch, row, &mut block));
                    (batch.len, block)
                });
                let codec = match self.packed {
                    Packed::Deflate => Codec::Deflate,
                    Packed::Snappy => Codec::Snappy,
                    _ => Codec::Null,
                };
                let schema = avro_schema::avro_schema(columns, style);
                avro_file::write(&schema, codec, *b"scrimmage-avro-0", blocks.collect()).map_err(failed)
            }
            Format::Parquet => {
                let packing = match self.packed {
                    Packed::Gzip => Packing::Gzip,
                    Packed::Snappy => Packing::Snappy,
                    Packed::Zstd => Packing::Zstd,
                    _ => Packing::None,
                };
                parquet::write(columns, batches, packing).map_err(failed)
            }
        }
    }

    fn pack(&self, text: Vec<u8>) -> ApiResult<Vec<u8>> {
        if self.packed != Packed::Gzip {
            return Ok(text);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let packed = encoder.write_all(&text).and_then(|()| encoder.finish());
        packed.map_err(|error| ApiError::new(500, "internalError", error.to_string()))
    }

    /// Writes everything; returns how many files each URI became.
    pub fn write(&self, objects: Objects, columns: &[ColumnDef], batches: &[Batch]) -> ApiResult<Vec<u64>> {
        self.check(columns)?;
        self.uris.iter().try_for_each(|uri| objects.check(uri))?;
        let mut counts = Vec::with_capacity(self.uris.len());
        for (index, uri) in self.uris.iter().enumerate() {
            // Several URIs share the rows, batch by batch.
            let (from, to) = (batches.len() * index / self.uris.len(), batches.len() * (index + 1) / self.uris.len());
            let files = shards(batches.get(from..to).unwrap_or_default());
            if !uri.contains('*') && files.len() > 1 {
                return Err(ApiError::invalid(texts::EXTRACT_TOO_LARGE));
            }
            for (number, rows) in files.iter().enumerate() {
                let bytes = self.encode(columns, rows)?;
                objects.write(&uri.replace('*', &format!("{number:012}")), &bytes)?;
            }
            counts.push(files.len() as u64);
        }
        Ok(counts)
    }

    /// The first URI, for messages.
    pub fn uri(&self) -> &str {
        self.uris.first().map_or("", String::as_str)
    }

    /// Whether files stand where these would.
    pub fn is_taken(&self, objects: Objects) -> bool {
        self.uris.iter().any(|uri| objects.exists(uri))
    }
}

/// Batches of about a file's size each; at least one file, which may be empty.
fn shards(batches: &[Batch]) -> Vec<&[Batch]> {
    let mut files = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (index, batch) in batches.iter().enumerate() {
        let own = batch.memory();
        if index > from && size + own > limits::EXTRACT_FILE_BYTES {
            files.push(&batches[from..index]);
            (from, size) = (index, 0);
        }
        size += own;
    }
    files.push(&batches[from..]);
    files
}

/// What an extract's configuration asks for.
#[derive(Clone, Debug)]
pub struct ExtractSpec {
    source: TablePath,
    partition: Option<String>,
    target: Target,
    reader: Arc<Identity>,
}

impl ExtractSpec {
    pub fn from_json(extract: &Json, reader: Arc<Identity>) -> ApiResult<ExtractSpec> {
        if extract.get("sourceModel").is_some() {
            return Err(ApiError::not_implemented("Extracting a model"));
        }
        let table =
            extract.get("sourceTable").ok_or_else(|| ApiError::required("configuration.extract.sourceTable"))?;
        let (source, partition) = tables::reference(table)?;
        let text = |key: &str| extract.get(key).and_then(Json::as_str);
        let uris = match (extract.get("destinationUris").and_then(Json::as_array), text("destinationUri")) {
            (Some(list), _) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            (None, one) => one.map(str::to_owned).into_iter().collect(),
        };
        let mut target = Target::new(uris, text("destinationFormat").unwrap_or("CSV"), text("compression"))?;
        let flag = |key: &str, default: bool| match extract.get(key) {
            Some(Json::Bool(yes)) => *yes,
            Some(Json::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => default,
        };
        target.header = flag("printHeader", true);
        target.logical = flag("useAvroLogicalTypes", false);
        target.delimiter = match text("fieldDelimiter") {
            None => ',',
            Some("\\t" | "tab") => '\t',
            Some(text) => text.chars().next().unwrap_or(','),
        };
        Ok(ExtractSpec { source, partition, target, reader })
    }
}

/// Runs a registered extract job to its end, on a blocking thread.
pub fn run(app: &App, cell: &JobCell, spec: &ExtractSpec) {
    super::perform(
        app,
        cell,
        |now| Ok(extract(app, spec, now)?),
        |job, (counts, bytes)| {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            job.statistics.insert("destinationUriFileCounts".into(), json!(counts));
            job.statistics.insert("inputBytes".into(), json!(bytes.to_string()));
        },
    );
}

fn extract(app: &App, spec: &ExtractSpec, now: Timestamp) -> ApiResult<(Vec<u64>, u64)> {
    let version = {
        let store = app.store.lock();
        let entry = store.table(&spec.source)?;
        if let TableKind::View { .. } | TableKind::MaterializedView { .. } | TableKind::External { .. } = entry.kind {
            return Err(ApiError::invalid(texts::extract_view(&spec.source)));
        }
        entry.current().clone()
    };
    let version = match &spec.partition {
        None => version,
        Some(partition) => version.partition(partition)?,
    };
    // As documented: of a table with row access policies those rows leave that the caller may see.
    let scope = NameScope { project: spec.source.project.clone(), dataset: None };
    let mut snapshot = Snapshot::take(&app.store, scope, now);
    snapshot.reader = Some(spec.reader.clone());
    let version = snapshot.visible(version)?;
    let columns = &version.shape.schema.columns;
    let counts = spec.target.write(Objects::of(&app.ctx), columns, &version.batches())?;
    Ok((counts, version.logical_bytes()))
}
