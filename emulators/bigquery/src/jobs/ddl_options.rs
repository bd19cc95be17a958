//! OPTIONS(…) of data definition statements.

use scrimmage_core::Timestamp;
use scrimmage_googlesql::value::{Numeric, civil};
use scrimmage_googlesql::{Type, Value};
use serde_json::{Map, Value as Json, json};

use crate::engine::partition::Partitioning;
use crate::engine::table::Shape;
use crate::service::datasets::merge;

/// Table and view options in the forms that REST keeps them in.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub expires: Option<Timestamp>,
    /// `expiration_timestamp = NULL`
    pub never_expires: bool,
    /// `None` inside: partitions stay for ever.
    pub partition_expiration_days: Option<Option<f64>>,
    pub require_partition_filter: Option<bool>,
    pub metadata: Map<String, Json>,
}

impl Settings {
    pub fn read(options: &[(String, Value, Type)]) -> Settings {
        let mut settings = Settings::default();
        for (name, value, _) in options {
            match (name.as_str(), value) {
                ("expiration_timestamp", Value::Null) => settings.never_expires = true,
                ("friendly_name", Value::Null) => drop(settings.metadata.insert("friendlyName".into(), Json::Null)),
                ("description" | "labels", Value::Null) => drop(settings.metadata.insert(name.clone(), Json::Null)),
                ("expiration_timestamp", value) => settings.expires = timestamp(value),
                ("partition_expiration_days", value) => settings.partition_expiration_days = Some(number(value)),
                ("require_partition_filter", Value::Bool(yes)) => settings.require_partition_filter = Some(*yes),
                ("friendly_name", Value::String(text)) => {
                    drop(settings.metadata.insert("friendlyName".into(), json!(&**text)))
                }
                ("description", Value::String(text)) => {
                    drop(settings.metadata.insert("description".into(), json!(&**text)))
                }
                ("labels", value) => drop(settings.metadata.insert("labels".into(), labels(value))),
                (name, value) => {
                    let Some((_, key)) = KEPT.iter().find(|(own, _)| *own == name) else { continue };
                    let kept = match value {
                        Value::String(text) => json!(&**text),
                        Value::Bool(yes) => json!(yes),
                        Value::Interval(interval) => json!(interval.to_string()),
                        other => number(other).map_or(Json::Null, |minutes| json!(minutes)),
                    };
                    settings.metadata.insert((*key).into(), kept);
                }
            }
        }
        settings
    }

    /// To the layout that a table has: its partitions' life and whether a filter is asked for.
    pub fn set_partitions(&self, shape: &mut Shape) {
        if let Some(require) = self.require_partition_filter {
            shape.require_partition_filter = require;
        }
        if let (Some(Partitioning::Time { expiration_ms, .. }), Some(days)) =
            (&mut shape.partitioning, self.partition_expiration_days)
        {
            *expiration_ms = days.map(|days| (days * 86_400_000.0) as i64);
        }
    }

    pub fn set(self, entry: &mut crate::engine::dataset::TableEntry, now: Timestamp) {
        if self.expires.is_some() || self.never_expires {
            entry.expires = self.expires;
        }
        if self.metadata.contains_key("labels") {
            // They are set as a whole.
            entry.metadata.shift_remove("labels");
        }
        merge(&mut entry.metadata, self.metadata);
        entry.modified = now;
    }
}

/// Options that REST keeps as they are, under a name of its own.
const KEPT: [(&str, &str); 3] = [
    ("max_staleness", "maxStaleness"),
    ("default_rounding_mode", "defaultRoundingMode"),
    ("enable_change_history", "enableChangeHistory"),
];

/// A TIMESTAMP, or what becomes one by itself.
fn timestamp(value: &Value) -> Option<Timestamp> {
    let micros = match value {
        Value::Timestamp(micros) => *micros,
        Value::Date(days) => i64::from(*days) * 86_400_000_000,
        Value::String(text) => civil::parse_timestamp(text, &civil::time_zone("UTC")?)?,
        _ => return None,
    };
    Some(Timestamp::from_micros(micros))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int64(number) => Some(*number as f64),
        Value::Float64(number) => Some(*number),
        Value::Numeric(number) => Some(Numeric::to_f64(*number)),
        _ => None,
    }
}

/// `[("key", "value")]`
fn labels(value: &Value) -> Json {
    let mut map = Map::new();
    if let Value::Array(items) = value {
        for item in items.iter() {
            if let Value::Struct(pair) = item
                && let (Some(Value::String(key)), Some(Value::String(value))) = (pair.first(), pair.get(1))
            {
                map.insert(key.to_string(), json!(&**value));
            }
        }
    }
    Json::Object(map)
}

/// A dataset's options, likewise.
pub(super) fn dataset_settings(options: &[(String, Value, Type)]) -> Map<String, Json> {
    let mut metadata = Map::new();
    for (name, value, _) in options {
        let (key, value) = match (name.as_str(), value) {
            ("description", Value::Null) => ("description", Json::Null),
            ("friendly_name", Value::Null) => ("friendlyName", Json::Null),
            ("labels", Value::Null) => ("labels", Json::Null),
            ("default_table_expiration_days", Value::Null) => ("defaultTableExpirationMs", Json::Null),
            ("default_partition_expiration_days", Value::Null) => ("defaultPartitionExpirationMs", Json::Null),
            ("max_time_travel_hours", Value::Int64(hours)) => ("maxTimeTravelHours", json!(hours.to_string())),
            ("storage_billing_model", Value::String(text)) => ("storageBillingModel", json!(&**text)),
            ("is_case_insensitive", Value::Bool(yes)) => ("isCaseInsensitive", json!(yes)),
            ("description", Value::String(text)) => ("description", json!(&**text)),
            ("friendly_name", Value::String(text)) => ("friendlyName", json!(&**text)),
            ("location", Value::String(text)) => ("location", json!(&**text)),
            ("labels", value) => ("labels", labels(value)),
            ("default_table_expiration_days", value) => match number(value) {
                // The cast saturates, whatever the number.
                Some(days) => ("defaultTableExpirationMs", json!(((days * 86_400_000.0) as u64).to_string())),
                None => continue,
            },
            ("default_partition_expiration_days", value) => match number(value) {
                Some(days) => ("defaultPartitionExpirationMs", json!(((days * 86_400_000.0) as u64).to_string())),
                None => continue,
            },
            _ => continue,
        };
        metadata.insert(key.into(), value);
    }
    metadata
}
