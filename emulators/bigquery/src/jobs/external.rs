//! External tables: their rows stay in files, which every query reads anew.

use scrimmage_core::{Context, Timestamp};
use scrimmage_googlesql::ast::CreateTable;
use scrimmage_googlesql::catalog::{Schema, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use scrimmage_googlesql::{SqlError, Type, Value};
use serde_json::{Map, Value as Json, json};

use super::ddl::{DdlDone, DdlTarget};
use super::ddl_options::Settings;
use super::gcs::Objects;
use super::load::{self, LoadSpec};
use super::load_data::{failed, plain};
use crate::catalog::SharedStore;
use crate::engine::dataset::TableKind;
use crate::engine::store::NewTable;
use crate::engine::table::Shape;
use crate::service::error::{ApiError, ApiResult};
use crate::texts;

/// Options of CREATE EXTERNAL TABLE, and where `externalDataConfiguration` has the same.
const SAME: [(&str, &str); 15] = [
    ("uris", "/sourceUris"),
    ("max_bad_records", "/maxBadRecords"),
    ("ignore_unknown_values", "/ignoreUnknownValues"),
    ("decimal_target_types", "/decimalTargetTypes"),
    ("compression", "/compression"),
    ("null_marker", "/csvOptions/nullMarker"),
    ("field_delimiter", "/csvOptions/fieldDelimiter"),
    ("skip_leading_rows", "/csvOptions/skipLeadingRows"),
    ("quote", "/csvOptions/quote"),
    ("allow_jagged_rows", "/csvOptions/allowJaggedRows"),
    ("allow_quoted_newlines", "/csvOptions/allowQuotedNewlines"),
    ("encoding", "/csvOptions/encoding"),
    ("enable_logical_types", "/avroOptions/useAvroLogicalTypes"),
    ("enum_as_string", "/parquetOptions/enumAsString"),
    ("enable_list_inference", "/parquetOptions/enableListInference"),
];

/// Options that are the table's own.
const TABLE: [&str; 4] = ["description", "friendly_name", "labels", "expiration_timestamp"];

/// How the files are read: as a load job would.
fn spec(configuration: &Json, schema: Option<Schema>) -> ApiResult<LoadSpec> {
    if configuration.get("hivePartitioningOptions").is_some_and(Json::is_object) {
        return Err(ApiError::not_implemented("Hive partitioning of external tables"));
    }
    let source = configuration.get("sourceFormat").and_then(Json::as_str);
    let source = source.ok_or_else(|| ApiError::required("externalDataConfiguration.sourceFormat"))?;
    if ["GOOGLE_SHEETS", "BIGTABLE", "ICEBERG", "DELTA_LAKE"].contains(&source) {
        return Err(ApiError::not_implemented(&format!("An external table of {source}")));
    }
    let mut load = configuration.clone();
    for key in ["csvOptions", "avroOptions", "jsonOptions"] {
        let own = configuration.get(key).and_then(Json::as_object).cloned().unwrap_or_default();
        own.into_iter().for_each(|(key, value)| load[key] = value);
    }
    // It goes nowhere.
    load["destinationTable"] = json!({"projectId": "external", "datasetId": "external", "tableId": "external"});
    let mut spec = LoadSpec::from_json(&load)?;
    if spec.uris.is_empty() {
        return Err(ApiError::required("externalDataConfiguration.sourceUris"));
    }
    spec.schema = schema.or(spec.schema);
    Ok(spec)
}

/// The columns of an external table that is to be made: given, or those of its files.
pub fn columns(configuration: &Json, schema: Option<Schema>, objects: Objects) -> ApiResult<Schema> {
    let spec = spec(configuration, schema)?;
    if let Some(schema) = spec.schema {
        return Ok(schema);
    }
    let files = files(&spec, objects)?;
    load::rows_of(&spec, None, files).map(|(schema, ..)| schema).map_err(|problem| problem.error)
}

fn files(spec: &LoadSpec, objects: Objects) -> ApiResult<Vec<axum::body::Bytes>> {
    Ok(objects.read(&spec.uris)?.into_iter().map(|(_, file)| file.into()).collect())
}

/// What the files hold now.
pub fn rows(path: &TablePath, configuration: &str, schema: &Schema, objects: Objects) -> Result<Vec<Batch>, SqlError> {
    let configuration: Json = serde_json::from_str(configuration).unwrap_or_default();
    let read = || {
        let mut spec = spec(&configuration, Some(schema.clone()))?;
        let files = files(&spec, objects)?;
        load::skip_header(&mut spec, &files)?;
        Ok(load::rows_of(&spec, None, files))
    };
    let rows = read().map_err(failed)?;
    rows.map(|(_, batches, _)| batches).map_err(|problem| {
        let first = problem.rows.first().unwrap_or(&problem.error);
        SqlError::evaluation(texts::external_failed(path, &first.message))
    })
}

/// CREATE EXTERNAL TABLE.
pub(super) fn create(
    store: &SharedStore,
    ctx: &Context,
    now: Timestamp,
    create: &CreateTable,
    target: TablePath,
    schema: Option<Schema>,
    options: &[(String, Value, Type)],
) -> Result<DdlDone, SqlError> {
    let done = |operation, target| Ok(DdlDone { operation, target: DdlTarget::Table(target) });
    let exists = store.lock().table(&target).is_ok();
    if exists && create.if_not_exists {
        return done("SKIP", target);
    }
    let mut configuration = json!({"autodetect": schema.is_none()});
    for (name, value, _) in options {
        if TABLE.contains(&name.as_str()) {
            continue;
        }
        let value = plain(value);
        if name == "format" {
            let format = value.as_str().unwrap_or_default().to_uppercase();
            let format = if format == "JSON" { "NEWLINE_DELIMITED_JSON" } else { &format };
            configuration["sourceFormat"] = json!(format);
            continue;
        }
        if name.starts_with("hive_partition") || name == "require_hive_partition_filter" {
            return Err(SqlError::unsupported("Hive partitioning of external tables is not supported"));
        }
        let Some((_, field)) = SAME.iter().find(|(own, _)| own == name) else {
            let place = create.options.iter().find(|entry| entry.name.name.eq_ignore_ascii_case(name));
            let error = SqlError::analysis(format!("Unknown option: {name}"));
            return Err(place.map_or(error.clone(), |entry| error.at(entry.name.pos)));
        };
        match field.trim_start_matches('/').split_once('/') {
            Some((group, field)) => configuration[group][field] = value,
            None => configuration[field.trim_start_matches('/')] = value,
        }
    }
    let schema = columns(&configuration, schema, Objects::of(ctx)).map_err(failed)?;
    let settings = Settings::read(options);
    let mut metadata: Map<String, Json> = settings.metadata;
    metadata.retain(|_, value| !value.is_null());
    let new = NewTable { expires: settings.expires, ..made(schema, &configuration, metadata) };
    store.lock().create_table(now, &target, new, Vec::new(), create.or_replace)?;
    done(if exists { "REPLACE" } else { "CREATE" }, target)
}

/// An external table, to be put into the store.
pub fn made(schema: Schema, configuration: &Json, metadata: Map<String, Json>) -> NewTable {
    let mut shape = Shape::new(schema, None, Vec::new(), false);
    shape.read_only = true;
    let kind = TableKind::External { configuration: configuration.to_string() };
    NewTable { shape, kind, expires: None, metadata }
}
