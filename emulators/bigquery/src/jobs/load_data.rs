//! LOAD DATA: a load job's work as a statement.

use scrimmage_core::Timestamp;
use scrimmage_googlesql::ast::LoadData;
use scrimmage_googlesql::catalog::{Schema, TablePath};
use scrimmage_googlesql::{SqlError, Type, Value};
use serde_json::{Map, Value as Json, json};

use super::ddl::{self, table_reference};
use super::ddl_options::Settings;
use super::gcs::Objects;
use super::load::{self, LoadSpec};
use super::query::constant;
use crate::catalog::SharedStore;
use crate::service::error::ApiError;

/// Options of FROM FILES and the fields of a load job's configuration that mean the same.
const SAME: [(&str, &str); 12] = [
    ("uris", "sourceUris"),
    ("field_delimiter", "fieldDelimiter"),
    ("skip_leading_rows", "skipLeadingRows"),
    ("quote", "quote"),
    ("null_marker", "nullMarker"),
    ("allow_jagged_rows", "allowJaggedRows"),
    ("allow_quoted_newlines", "allowQuotedNewlines"),
    ("ignore_unknown_values", "ignoreUnknownValues"),
    ("max_bad_records", "maxBadRecords"),
    ("enable_logical_types", "useAvroLogicalTypes"),
    ("decimal_target_types", "decimalTargetTypes"),
    ("encoding", "encoding"),
];

/// Loads files into the target; returns `loadQueryStatistics`.
pub fn run(
    store: &SharedStore,
    ctx: &scrimmage_core::Context,
    now: Timestamp,
    load: LoadData,
    target: &TablePath,
    schema: Option<Schema>,
    options: &[(String, Value, Type)],
) -> Result<Json, SqlError> {
    let mut configuration = json!({
        "destinationTable": table_reference(target),
        "writeDisposition": if load.overwrite { "WRITE_TRUNCATE" } else { "WRITE_APPEND" },
        "autodetect": schema.is_none(),
    });
    let mut parquet = Map::new();
    for entry in &load.files {
        let name = entry.name.name.to_lowercase();
        let value = plain(&constant(&entry.value, now)?.0);
        match (name.as_str(), SAME.iter().find(|(own, _)| *own == name)) {
            (_, Some((_, field))) => configuration[*field] = value,
            ("format", None) => {
                let format = value.as_str().unwrap_or_default().to_uppercase();
                let format = if format == "JSON" { "NEWLINE_DELIMITED_JSON" } else { &format };
                configuration["sourceFormat"] = json!(format);
            }
            ("enum_as_string", None) => drop(parquet.insert("enumAsString".into(), value)),
            ("enable_list_inference", None) => drop(parquet.insert("enableListInference".into(), value)),
            // What a file is packed with its first bytes tell.
            ("compression", None) => {}
            _ => {
                let text = format!("Option {} of LOAD DATA is not supported", entry.name.name);
                return Err(SqlError::unsupported(text).at(entry.name.pos));
            }
        }
    }
    for (option, field) in [("format", "sourceFormat"), ("uris", "sourceUris")] {
        if configuration.get(field).is_none() {
            return Err(SqlError::analysis(format!("Option {option} must be set in FROM FILES")));
        }
    }
    configuration["parquetOptions"] = Json::Object(parquet);
    let mut spec = LoadSpec::from_json(&configuration).map_err(failed)?;
    spec.schema = schema;
    let partitioning = load.partition_by.as_ref().map(ddl::partitioning).transpose()?;
    spec.destination.partitioning = partitioning;
    spec.destination.clustering = load.cluster_by.iter().map(ddl::cluster_column).collect::<Result<_, _>>()?;
    spec.destination.description = Settings::read(options).metadata.shift_remove("description");
    let files = Objects::of(ctx).read(&spec.uris).map_err(failed)?;
    let size: usize = files.iter().map(|(_, file)| file.len()).sum();
    let count = files.len();
    let files = files.into_iter().map(|(_, file)| file.into()).collect();
    let done = load::load(store, ctx, spec, files).map_err(|problem| failed(problem.error))?;
    Ok(json!({
        "inputFiles": count.to_string(),
        "inputFileBytes": size.to_string(),
        "outputRows": done.rows.to_string(),
        "outputBytes": done.bytes.to_string(),
        "badRecords": done.skipped.len().to_string(),
    }))
}

pub(super) fn failed(error: ApiError) -> SqlError {
    match error.code {
        404 => SqlError::not_found(error.message),
        409 => SqlError::already_exists(error.message),
        501 => SqlError::unsupported(error.message),
        _ => SqlError::evaluation(error.message),
    }
}

/// An option's value as a configuration has it.
pub(super) fn plain(value: &Value) -> Json {
    match value {
        Value::Bool(yes) => json!(yes),
        Value::Int64(number) => json!(number),
        Value::String(text) => json!(&**text),
        Value::Array(items) => items.iter().map(plain).collect(),
        _ => Json::Null,
    }
}
