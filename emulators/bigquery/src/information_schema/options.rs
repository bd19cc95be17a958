//! SCHEMATA_OPTIONS and TABLE_OPTIONS: what OPTIONS(…) would have to say to make things as they are.

use scrimmage_googlesql::{Type, Value};
use serde_json::{Map, Value as Json};

use super::{Rows, Scan};
use crate::engine::dataset::{Dataset, TableEntry};
use crate::engine::partition::Partitioning;

/// Name, type and value as SQL writes them.
pub type SqlOption = (&'static str, &'static str, String);

pub fn of_schemata(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, dataset) in &scan.datasets {
        let options = of_dataset(dataset);
        rows.extend(options.into_iter().map(|option| row(&[&path.project, &path.dataset], option)));
    }
    Rows { columns: columns(&["catalog_name", "schema_name"]), rows }
}

/// A dataset's options.
pub fn of_dataset(dataset: &Dataset) -> Vec<SqlOption> {
    let mut options = described(&dataset.metadata);
    for (key, name) in [
        ("defaultTableExpirationMs", "default_table_expiration_days"),
        ("defaultPartitionExpirationMs", "default_partition_expiration_days"),
    ] {
        let ms = dataset.metadata.get(key).and_then(Json::as_str).and_then(|ms| ms.parse::<f64>().ok());
        if let Some(ms) = ms {
            options.push((name, "FLOAT64", format!("{:?}", ms / 86_400_000.0)));
        }
    }
    options
}

pub fn of_tables(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, table, entry) in scan.entries() {
        rows.extend(of_table(entry).into_iter().map(|option| row(&[&path.project, &path.dataset, table], option)));
    }
    Rows { columns: columns(&["table_catalog", "table_schema", "table_name"]), rows }
}

fn columns(owner: &[&'static str]) -> Vec<(&'static str, Type)> {
    owner.iter().chain(&["option_name", "option_type", "option_value"]).map(|name| (*name, Type::String)).collect()
}

fn row(owner: &[&str], (name, ty, value): SqlOption) -> Vec<Value> {
    owner.iter().copied().chain([name, ty, &value]).map(Value::string).collect()
}

pub fn of_table(entry: &TableEntry) -> Vec<SqlOption> {
    let shape = &entry.current().shape;
    let mut options = described(&entry.metadata);
    if let Some(expires) = entry.expires {
        options.push(("expiration_timestamp", "TIMESTAMP", format!("TIMESTAMP \"{expires}\"")));
    }
    if let Some(Partitioning::Time { expiration_ms: Some(ms), .. }) = &shape.partitioning {
        options.push(("partition_expiration_days", "FLOAT64", format!("{:?}", *ms as f64 / 86_400_000.0)));
    }
    if shape.require_partition_filter {
        options.push(("require_partition_filter", "BOOL", "true".into()));
    }
    options
}

/// The options that datasets and tables share.
fn described(metadata: &Map<String, Json>) -> Vec<SqlOption> {
    let mut options = Vec::new();
    for (key, name) in [("friendlyName", "friendly_name"), ("description", "description")] {
        if let Some(text) = metadata.get(key).and_then(Json::as_str) {
            options.push((name, "STRING", quoted(text)));
        }
    }
    if let Some(labels) = metadata.get("labels").and_then(Json::as_object).filter(|labels| !labels.is_empty()) {
        let pairs: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("STRUCT({}, {})", quoted(key), quoted(value.as_str().unwrap_or_default())))
            .collect();
        options.push(("labels", "ARRAY<STRUCT<STRING, STRING>>", format!("[{}]", pairs.join(", "))));
    }
    options
}

/// A string literal; JSON's escapes are SQL's too.
pub fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}
