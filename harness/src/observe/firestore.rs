//! The batch document, through the Firestore client, as JSON.

use firestore::gcloud_sdk::google::firestore::v1::Value as Proto;
use firestore::gcloud_sdk::google::firestore::v1::value::ValueType;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::SetupError;
use crate::clients::Clients;

/// The document of a batch, if there is one.
pub async fn batch_document(
    clients: &Clients,
    collection: &str,
    batch_id: &str,
) -> Result<Option<Map<String, Value>>, SetupError> {
    document(clients, &format!("{collection}/{batch_id}")).await
}

/// A document by its path below the database's documents.
pub async fn document(clients: &Clients, path: &str) -> Result<Option<Map<String, Value>>, SetupError> {
    let Some((parent, id)) = path.rsplit_once('/') else { return Ok(None) };
    let (above, collection) = parent.rsplit_once('/').map_or((None, parent), |(above, name)| (Some(above), name));
    let select = clients.firestore.fluent().select().by_id_in(collection);
    let found = match above {
        Some(above) => select.parent(format!("{}/{above}", clients.firestore.get_documents_path())).one(id).await,
        None => select.one(id).await,
    };
    let found = found.map_err(|error| SetupError::observe(format!("document {path}"), error))?;
    Ok(found.map(|document| map(document.fields)))
}

/// How many batch documents there are for a date.
pub async fn batches_of_date(clients: &Clients, collection: &str, game_date: &str) -> Result<usize, SetupError> {
    let query = clients.firestore.fluent().select().from(collection);
    let filtered = query.filter(|by| by.field("game_date").eq(game_date));
    let found = filtered.query().await.map_err(|error| SetupError::observe("the batch documents", error))?;
    Ok(found.len())
}

fn map(fields: HashMap<String, Proto>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name, json_of(value))).collect()
}

fn json_of(value: Proto) -> Value {
    match value.value_type {
        Some(ValueType::BooleanValue(truth)) => json!(truth),
        Some(ValueType::IntegerValue(number)) => json!(number),
        Some(ValueType::DoubleValue(number)) => json!(number),
        Some(ValueType::StringValue(text) | ValueType::ReferenceValue(text)) => json!(text),
        Some(ValueType::TimestampValue(at)) => json!(format!("{}.{:09}", at.seconds, at.nanos)),
        Some(ValueType::ArrayValue(array)) => Value::Array(array.values.into_iter().map(json_of).collect()),
        Some(ValueType::MapValue(inner)) => Value::Object(map(inner.fields)),
        _ => Value::Null,
    }
}
