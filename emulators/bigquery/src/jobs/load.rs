//! Load jobs: uploaded bytes into a table, all or nothing.

use scrimmage_googlesql::catalog::Schema;
use serde_json::{Value as Json, json};

use super::JobState;
use super::destination::{self, Destination, Disposition};
use super::registry::JobCell;
use crate::load::csv::CsvOptions;
use crate::load::{LoadFailed, LoadOptions, Loaded, autodetect, csv, ndjson};
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};
use crate::service::schema;
use crate::texts;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Json,
    Csv,
}

/// What a load's configuration asks for, read and checked.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    pub destination: Destination,
    pub schema: Option<Schema>,
    pub autodetect: bool,
    pub format: Format,
    pub csv: CsvOptions,
    pub options: LoadOptions,
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
            other @ ("AVRO" | "PARQUET" | "ORC" | "DATASTORE_BACKUP") => {
                return Err(ApiError::not_implemented(&format!("Loading {other}")));
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
                Some(text) => text.chars().next().unwrap_or(','),
            },
            quote,
            skip_leading_rows: number("skipLeadingRows").unwrap_or(0) as usize,
            null_marker: text("nullMarker").unwrap_or_default().to_owned(),
            allow_jagged_rows: flag("allowJaggedRows"),
            allow_quoted_newlines: flag("allowQuotedNewlines"),
        };
        let options = LoadOptions {
            max_bad_records: number("maxBadRecords").unwrap_or(0) as usize,
            ignore_unknown_values: flag("ignoreUnknownValues"),
        };
        Ok(LoadSpec { destination, schema, autodetect: flag("autodetect"), format, csv, options })
    }
}

/// Runs a registered load job to its end, on a blocking thread.
pub fn run(app: &App, cell: &JobCell, spec: LoadSpec, bytes: &[u8]) {
    {
        let mut job = cell.lock();
        job.state = JobState::Running;
        job.started = Some(app.ctx.clock.now());
    }
    let outcome = load(app, spec, bytes);
    let now = app.ctx.clock.now();
    cell.update(|job| {
        job.state = JobState::Done;
        job.ended = Some(now);
        job.statistics.insert("inputFiles".into(), json!("1"));
        job.statistics.insert("inputFileBytes".into(), json!(bytes.len().to_string()));
        match outcome {
            Ok(done) => {
                job.statistics.insert("outputRows".into(), json!(done.rows.to_string()));
                job.statistics.insert("outputBytes".into(), json!(done.bytes.to_string()));
                job.statistics.insert("badRecords".into(), json!(done.skipped.len().to_string()));
                job.errors = done.skipped;
            }
            Err((error, rows)) => {
                job.error = Some(error.clone());
                job.errors.push(error);
                job.errors.extend(rows);
            }
        }
    });
}

struct Done {
    rows: usize,
    bytes: usize,
    skipped: Vec<ApiError>,
}

type Failed = (ApiError, Vec<ApiError>);

fn load(app: &App, spec: LoadSpec, bytes: &[u8]) -> Result<Done, Failed> {
    let alone = |error: ApiError| (error, Vec::new());
    let mut csv = spec.csv.clone();
    let existing =
        app.store.lock().table(&spec.destination.path).ok().map(|entry| entry.current().shape.schema.clone());
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
            Format::Json => autodetect::ndjson(bytes),
            Format::Csv => {
                let (schema, skip) = autodetect::csv(bytes, &csv);
                csv.skip_leading_rows = csv.skip_leading_rows.max(skip);
                schema
            }
        },
        (None, _) => return Err(alone(ApiError::invalid("No schema specified on job or table."))),
    };
    let loaded = match spec.format {
        Format::Json => ndjson::read(bytes, &schema, &spec.options),
        Format::Csv => csv::read(bytes, &schema, &csv, &spec.options),
    };
    let Loaded { batch, skipped } = loaded.map_err(|LoadFailed { rows, errors }| {
        let count = errors.len() as u64;
        let text = match spec.format {
            Format::Json => texts::json_load_failed(rows, count),
            Format::Csv => texts::csv_load_failed(rows, count, spec.options.max_bad_records),
        };
        (ApiError::invalid(text), errors.into_iter().map(|error| ApiError::invalid(error.message)).collect())
    })?;
    let done = Done {
        rows: batch.len,
        bytes: batch.memory(),
        skipped: skipped.into_iter().map(|error| ApiError::invalid(error.message)).collect(),
    };
    destination::write(app, &spec.destination, &schema, vec![batch]).map_err(alone)?;
    Ok(done)
}
