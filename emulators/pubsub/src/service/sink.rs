//! BigQuery subscriptions, the shell's side: from messages to rows of a table.
//!
//! Columns (<https://cloud.google.com/pubsub/docs/bigquery#write_metadata>): `data` with the message's
//! bytes where no schema is used; with `write_metadata` also `subscription_name`, `message_id`,
//! `publish_time` and `attributes`, a JSON object with the attributes and the ordering key.

use std::fmt::Debug;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::big_query_config::State;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use super::{Shell, transforming};
use crate::engine::message::{AckId, Message};
use crate::engine::sink::{SinkDone, SinkJob, table_name};
use crate::texts::Error;

/// A column of a table, as far as writing needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    /// `STRING`, `BYTES`, `JSON`, `TIMESTAMP`, …
    pub kind: String,
    pub required: bool,
}

/// Why a table cannot be written to at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unwritable {
    NotFound,
    /// Not a table of its own, say.
    Other(String),
}

/// Where BigQuery subscriptions write. Tables are named by project, dataset and table.
pub trait TableSink: Debug + Send + Sync {
    fn columns(&self, table: [&str; 3]) -> Result<Vec<Column>, Unwritable>;

    /// Writes rows, each an object with a field a column; the answer has one entry a row: none for
    /// one that is in the table, else why it is not.
    fn write(&self, table: [&str; 3], rows: Vec<Map<String, Value>>) -> Result<Vec<Option<String>>, Unwritable>;
}

/// Checks that a table takes what a subscription will write, as production does when one is made.
pub fn check(sink: Option<&Arc<dyn TableSink>>, config: &pb::BigQueryConfig) -> Result<(), Error> {
    if config.use_topic_schema && config.use_table_schema {
        return Err(Error::TwoSchemas);
    }
    if config.use_topic_schema {
        return Err(Error::Unimplemented("A BigQuery subscription by the topic's schema (use_topic_schema)"));
    }
    let Some(sink) = sink else { return Err(Error::Unimplemented("A BigQuery subscription (bigquery_config)")) };
    let name = table_name(&config.table).ok_or_else(|| Error::BadTable(config.table.clone()))?;
    let columns = sink.columns(name).map_err(|why| match why {
        Unwritable::NotFound => Error::NoTable(config.table.clone()),
        Unwritable::Other(why) => Error::UnwritableTable(why),
    })?;
    let has = |name: &str, kinds: &[&str]| match columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
        None => Err(Error::NoColumn { column: name.to_owned(), table: config.table.clone() }),
        Some(column) if !kinds.contains(&column.kind.as_str()) => {
            Err(Error::WrongColumn { column: name.to_owned(), kind: column.kind.clone(), right: kinds.join(" or ") })
        }
        Some(_) => Ok(()),
    };
    let by_schema = config.use_table_schema || config.use_topic_schema;
    if !by_schema {
        has("data", &["BYTES", "STRING", "JSON"])?;
    }
    let mut written = vec!["data"];
    if config.write_metadata {
        has("subscription_name", &["STRING"])?;
        has("message_id", &["STRING"])?;
        has("publish_time", &["TIMESTAMP"])?;
        has("attributes", &["STRING", "JSON"])?;
        written.extend(["subscription_name", "message_id", "publish_time", "attributes"]);
    }
    let missed = |column: &&Column| column.required && !written.iter().any(|one| column.name.eq_ignore_ascii_case(one));
    match columns.iter().find(missed) {
        Some(column) if !by_schema => Err(Error::RequiredColumn(column.name.clone())),
        _ => Ok(()),
    }
}

/// Writes a batch in a task of its own.
pub(super) fn start(shell: &Arc<Shell>, mut job: SinkJob) {
    let shell = Arc::downgrade(shell);
    tokio::spawn(async move {
        let Some(shell) = shell.upgrade() else { return };
        job.deliveries = transforming::deliver(&shell, &job.subscription, job.deliveries).await;
        if job.deliveries.is_empty() {
            return;
        }
        // The table is the suite's own: writing it is work on this machine.
        let (writer, to_write) = (shell.clone(), job.clone());
        let Ok(done) = spawn_blocking(move || write(&writer, &to_write)).await else { return };
        let failed = done.rows.iter().filter(|(_, why)| why.is_some()).count();
        let why = done.rows.iter().find_map(|(_, why)| why.clone()).map(|why| format!(": {why}")).unwrap_or_default();
        let text = format!("{} rows to {}, {failed} not written{why}", done.rows.len(), job.config.table);
        shell.ctx.journal.event("pubsub", "sink", job.subscription, text);
        // The subscription may be gone.
        let _ = shell.apply(done);
    });
}

fn write(shell: &Shell, job: &SinkJob) -> SinkDone {
    let all = |state: State, why: &str| SinkDone {
        sub: job.sub,
        rows: job.deliveries.iter().map(|delivery| (delivery.ack, Some(why.to_owned()))).collect(),
        state,
    };
    let (Some(sink), Some(name)) = (shell.sink(), table_name(&job.config.table)) else {
        return all(State::NotFound, "there is no such table");
    };
    let unwritable = |why: Unwritable| match why {
        Unwritable::NotFound => all(State::NotFound, &Error::NoTable(job.config.table.clone()).to_string()),
        Unwritable::Other(why) => all(State::SchemaMismatch, &why),
    };
    let columns = match sink.columns(name) {
        Ok(columns) => columns,
        Err(why) => return unwritable(why),
    };
    if let Err(error) = check(Some(&sink), &job.config) {
        return all(State::SchemaMismatch, &error.to_string());
    }
    let mut fates: Vec<(AckId, Option<String>)> = Vec::with_capacity(job.deliveries.len());
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for delivery in &job.deliveries {
        match row(job, &delivery.message, &columns) {
            Ok(row) => {
                places.push(fates.len());
                rows.push(row);
                fates.push((delivery.ack, None));
            }
            Err(why) => fates.push((delivery.ack, Some(why))),
        }
    }
    if !rows.is_empty() {
        match sink.write(name, rows) {
            Ok(results) => {
                for (place, why) in places.into_iter().zip(results) {
                    if let Some(fate) = fates.get_mut(place) {
                        fate.1 = why;
                    }
                }
            }
            Err(why) => return unwritable(why),
        }
    }
    SinkDone { sub: job.sub, rows: fates, state: State::Active }
}

/// One message as a row; an error is why it does not fit.
fn row(job: &SinkJob, message: &Message, columns: &[Column]) -> Result<Map<String, Value>, String> {
    let content = &message.content;
    let kind =
        |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).map(|c| c.kind.as_str());
    let mut row = Map::new();
    if job.config.use_table_schema {
        let fields: Value =
            serde_json::from_slice(&content.data).map_err(|error| format!("The message is not JSON: {error}"))?;
        let Value::Object(fields) = fields else { return Err("The message is not a JSON object.".to_owned()) };
        row = fields;
        if job.config.drop_unknown_fields {
            row.retain(|name, _| kind(name).is_some());
        }
    } else {
        let data = match kind("data") {
            Some("BYTES") => Value::String(STANDARD.encode(&content.data)),
            Some("JSON") => {
                serde_json::from_slice(&content.data).map_err(|error| format!("The message is not JSON: {error}"))?
            }
            _ => {
                let text = String::from_utf8(content.data.to_vec());
                Value::String(text.map_err(|_| "The message is not UTF-8.".to_owned())?)
            }
        };
        row.insert("data".to_owned(), data);
    }
    if job.config.write_metadata {
        let mut attributes: Map<String, Value> = Map::new();
        let mut sorted: Vec<_> = content.attributes.iter().collect();
        sorted.sort();
        attributes.extend(sorted.into_iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))));
        if !content.ordering_key.is_empty() {
            attributes.insert("ordering_key".to_owned(), Value::String(content.ordering_key.clone()));
        }
        for (name, value) in [
            ("subscription_name", job.subscription.clone()),
            ("message_id", content.message_id.clone()),
            ("publish_time", message.published.to_string()),
        ] {
            row.insert(name.to_owned(), Value::String(value));
        }
        let attributes = Value::Object(attributes);
        let is_json = kind("attributes") == Some("JSON");
        let attributes = if is_json { attributes } else { Value::String(attributes.to_string()) };
        row.insert("attributes".to_owned(), attributes);
    }
    Ok(row)
}
