//! BigQuery subscriptions, the shell's side: from messages to rows of a table.
//!
//! Columns (<https://cloud.google.com/pubsub/docs/bigquery#write_metadata>): `data` with the message's
//! bytes where no schema is used, otherwise one a field of the message, by the table's schema or by the
//! topic's; with `write_metadata` also `subscription_name`, `message_id`, `publish_time` and `attributes`, a
//! JSON object with the attributes and the ordering key.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::big_query_config::State;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::{Shell, transforming};
use crate::engine::message::{AckId, Message};
use crate::engine::schemas::definition::Definition;
use crate::engine::schemas::validation::{ENCODING_ATTRIBUTE, NAME_ATTRIBUTE, REVISION_ATTRIBUTE};
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

/// Checks that a table takes what a subscription to `topic` will write, as production does when one is made.
pub(super) fn check(shell: &Shell, topic: &str, config: &pb::BigQueryConfig) -> Result<(), Error> {
    let settings = shell.state().engine.topic_schema(topic).cloned();
    check_table(shell, settings.as_ref(), config)
}

/// The same for a topic with this schema.
fn check_table(shell: &Shell, schema: Option<&pb::SchemaSettings>, config: &pb::BigQueryConfig) -> Result<(), Error> {
    if config.use_topic_schema && config.use_table_schema {
        return Err(Error::TwoSchemas);
    }
    let mut fields = Vec::new();
    if config.use_topic_schema {
        let definition = schema.and_then(|settings| shell.state().engine.topic_definition(settings));
        fields = definition.ok_or(Error::NoTopicSchema)?.fields();
    }
    let Some(sink) = shell.sink() else {
        return Err(Error::Unimplemented("A BigQuery subscription (bigquery_config)"));
    };
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
    let mut written: Vec<&str> = Vec::new();
    if config.use_topic_schema {
        let known = |field: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(field));
        if let Some(field) = fields.iter().find(|field| !config.drop_unknown_fields && !known(field)) {
            return Err(Error::NoColumn { column: field.clone(), table: config.table.clone() });
        }
        written.extend(fields.iter().map(String::as_str));
    } else if !config.use_table_schema {
        has("data", &["BYTES", "STRING", "JSON"])?;
        written.push("data");
    }
    if config.write_metadata {
        has("subscription_name", &["STRING"])?;
        has("message_id", &["STRING"])?;
        has("publish_time", &["TIMESTAMP"])?;
        has("attributes", &["STRING", "JSON"])?;
        written.extend(["subscription_name", "message_id", "publish_time", "attributes"]);
    }
    let missed = |column: &&Column| column.required && !written.iter().any(|one| column.name.eq_ignore_ascii_case(one));
    match columns.iter().find(missed) {
        Some(column) if !config.use_table_schema => Err(Error::RequiredColumn(column.name.clone())),
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
    // Each message says what schema it has, also when its topic is gone.
    let by_gone_topic = job.config.use_topic_schema && job.schema.is_none();
    if !by_gone_topic && let Err(error) = check_table(shell, job.schema.as_ref(), &job.config) {
        return all(State::SchemaMismatch, &error.to_string());
    }
    let mut schemas = Definitions { shell, known: HashMap::new() };
    let mut fates: Vec<(AckId, Option<String>)> = Vec::with_capacity(job.deliveries.len());
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for delivery in &job.deliveries {
        match row(job, &delivery.message, &columns, &mut schemas) {
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

/// The definitions of a batch's messages.
struct Definitions<'a> {
    shell: &'a Shell,
    known: HashMap<(String, String), Option<Arc<Definition>>>,
}

impl Definitions<'_> {
    /// The fields of a message, by the schema that it was published with.
    fn fields(&mut self, content: &pb::PubsubMessage) -> Result<Map<String, Value>, String> {
        let said = |name: &str| content.attributes.get(name).cloned();
        let (Some(schema), Some(revision)) = (said(NAME_ATTRIBUTE), said(REVISION_ATTRIBUTE)) else {
            return Err("The message was published without a schema.".to_owned());
        };
        let encoding = said(ENCODING_ATTRIBUTE).and_then(|name| pb::Encoding::from_str_name(&name));
        let shell = self.shell;
        let definition = self
            .known
            .entry((schema, revision))
            .or_insert_with_key(|(schema, revision)| shell.state().engine.definition(schema, revision));
        let definition = definition.as_ref().ok_or("The schema's revision does not exist any more.")?;
        // A transform may have made something else of it.
        match definition.read(encoding.unwrap_or(pb::Encoding::Json), &content.data)? {
            Value::Object(fields) => Ok(fields),
            _ => Err("The schema's type is no record.".to_owned()),
        }
    }
}

/// A field's value as its column takes it: maps are repeated records of `key` and `value`; whole numbers are
/// microseconds or days, as in Avro's logical types.
fn as_column(value: Value, kind: &str) -> Value {
    match value {
        Value::Object(entries) if kind.starts_with("ARRAY") => {
            let entry = |(key, value): (String, Value)| json!({ "key": key, "value": value });
            Value::Array(entries.into_iter().map(entry).collect())
        }
        Value::Number(number) => match (kind, number.as_i64()) {
            ("TIMESTAMP", Some(micros)) => Value::String(Timestamp::from_micros(micros).to_string()),
            ("DATE", Some(days)) => {
                let text = Timestamp::from_parts(days.saturating_mul(86_400), 0).to_string();
                Value::String(text.split('T').next().unwrap_or_default().to_owned())
            }
            ("TIME", Some(micros)) => {
                let text = Timestamp::from_micros(micros).to_string();
                let time = text.split('T').nth(1).unwrap_or_default();
                Value::String(time.trim_end_matches('Z').to_owned())
            }
            _ => Value::Number(number),
        },
        value => value,
    }
}

/// One message as a row; an error is why it does not fit.
fn row(
    job: &SinkJob,
    message: &Message,
    columns: &[Column],
    schemas: &mut Definitions<'_>,
) -> Result<Map<String, Value>, String> {
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
    } else if job.config.use_topic_schema {
        for (name, value) in schemas.fields(content)? {
            match kind(&name) {
                Some(kind) => {
                    row.insert(name, as_column(value, kind));
                }
                None if job.config.drop_unknown_fields => {}
                None => return Err(format!("The table has no column {name}.")),
            }
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
