//! The generated client on a few connections, and the requests that the measurements send.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use scrimmage_protos::google::firestore::v1 as proto;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use proto::batch_get_documents_request::ConsistencySelector;
use proto::batch_get_documents_response::Result as Found;
use proto::document_transform::FieldTransform;
use proto::document_transform::field_transform::TransformType;
use proto::firestore_client::FirestoreClient;
use proto::structured_query::{CollectionSelector, Direction, FieldReference, Order};
use proto::transaction_options::{Mode, ReadWrite};
use proto::value::ValueType;
use proto::write::Operation;

use crate::Result;

pub const DATABASE: &str = "projects/peers/databases/(default)";
pub const PARENT: &str = "projects/peers/databases/(default)/documents";

/// Enough connections that none of them is what is measured.
const CONNECTIONS: usize = 4;
/// Documents in one BatchWrite: production's limit.
const BATCH: usize = 500;
/// BatchWrites on their way at once.
const BATCHES_AT_ONCE: usize = 4;

/// A connection whose calls are the owner's: Google's emulator lets nobody else write in batches.
pub type Connection = FirestoreClient<InterceptedService<Channel, fn(Request<()>) -> Answer<Request<()>>>>;
type Answer<T> = std::result::Result<T, Status>;

fn as_owner(mut request: Request<()>) -> Answer<Request<()>> {
    request.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer owner"));
    Ok(request)
}

/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct Client {
    connections: Arc<Vec<Connection>>,
    next: Arc<AtomicUsize>,
}

impl Client {
    pub async fn connect(address: &str) -> Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
        let endpoint = endpoint.tcp_nodelay(true);
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
            let owner: fn(Request<()>) -> Answer<Request<()>> = as_owner;
            connections.push(FirestoreClient::with_interceptor(channel, owner).max_decoding_message_size(64 << 20));
        }
        Ok(Client { connections: Arc::new(connections), next: Arc::default() })
    }

    /// One of the connections, in turn.
    pub fn get(&self) -> Connection {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        // There are that many.
        self.connections[turn].clone()
    }

    pub async fn commit(&self, writes: Vec<proto::Write>) -> std::result::Result<(), Status> {
        self.commit_in(writes, Bytes::new()).await
    }

    pub async fn commit_in(&self, writes: Vec<proto::Write>, transaction: Bytes) -> std::result::Result<(), Status> {
        let request = proto::CommitRequest { database: DATABASE.to_owned(), writes, transaction };
        self.get().commit(request).await.map(drop)
    }

    pub async fn begin(&self, retry_of: Option<&Bytes>) -> std::result::Result<Bytes, Status> {
        let read_write = ReadWrite { retry_transaction: retry_of.cloned().unwrap_or_default(), ..Default::default() };
        let request = proto::BeginTransactionRequest {
            database: DATABASE.to_owned(),
            options: Some(proto::TransactionOptions { mode: Some(Mode::ReadWrite(read_write)) }),
        };
        Ok(self.get().begin_transaction(request).await?.into_inner().transaction)
    }

    /// The field `n` of a document.
    pub async fn number(&self, name: &str, transaction: Option<&Bytes>) -> std::result::Result<i64, Status> {
        let request = proto::BatchGetDocumentsRequest {
            database: DATABASE.to_owned(),
            documents: vec![name.to_owned()],
            consistency_selector: transaction.cloned().map(ConsistencySelector::Transaction),
            ..Default::default()
        };
        let mut answers = self.get().batch_get_documents(request).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let Some(Found::Found(document)) = answer.result else { continue };
            if let Some(ValueType::IntegerValue(value)) =
                document.fields.get("n").and_then(|value| value.value_type.clone())
            {
                return Ok(value);
            }
        }
        Err(Status::not_found(format!("no number in {name}")))
    }

    /// Writes this many small documents into a collection, in full batches, a few at once.
    pub async fn fill(&self, collection: &str, count: usize) -> Result<()> {
        let batches: Vec<Vec<proto::Write>> = (0..count.div_ceil(BATCH))
            .map(|batch| (batch * BATCH..count.min((batch + 1) * BATCH)).map(|i| small(collection, i)).collect())
            .collect();
        let send = |writes| async move {
            let request = proto::BatchWriteRequest { database: DATABASE.to_owned(), writes, ..Default::default() };
            let answer = self.get().batch_write(request).await.map_err(|status| status.to_string())?.into_inner();
            match answer.status.iter().find(|status| status.code != Code::Ok as i32) {
                Some(refused) => Err(refused.message.clone()),
                None => Ok(()),
            }
        };
        stream::iter(batches).map(send).buffer_unordered(BATCHES_AT_ONCE).try_collect().await
    }
}

/// The full name of a document.
pub fn document(collection: &str, id: &str) -> String {
    format!("{PARENT}/{collection}/{id}")
}

pub fn integer(value: i64) -> proto::Value {
    proto::Value { value_type: Some(ValueType::IntegerValue(value)) }
}

fn text(value: &str) -> proto::Value {
    proto::Value { value_type: Some(ValueType::StringValue(value.to_owned())) }
}

/// A write that makes the document `{n: value}`.
pub fn set(name: String, value: i64) -> proto::Write {
    update(name, HashMap::from([("n".to_owned(), integer(value))]))
}

/// A document of six fields, some 150 bytes.
fn small(collection: &str, number: usize) -> proto::Write {
    // Spread over the range, so that the order by `score` is not the order by name.
    let score = (number * 7_919) % 100_003;
    let fields = [
        ("n", integer(number as i64)),
        ("score", integer(score as i64)),
        ("player", text(&format!("player-{number:06}"))),
        ("team", text(&format!("team-{}", number % 30))),
        ("note", text("a short text of some forty characters, ok")),
        ("active", proto::Value { value_type: Some(ValueType::BooleanValue(number.is_multiple_of(2))) }),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    update(document(collection, &format!("d{number:06}")), fields)
}

fn update(name: String, fields: HashMap<String, proto::Value>) -> proto::Write {
    let document = proto::Document { name, fields, ..Default::default() };
    proto::Write { operation: Some(Operation::Update(document)), ..Default::default() }
}

/// A write that only adds one to `n`, whatever else the document holds.
pub fn increment(name: String) -> proto::Write {
    let document = proto::Document { name, ..Default::default() };
    let transform =
        FieldTransform { field_path: "n".to_owned(), transform_type: Some(TransformType::Increment(integer(1))) };
    proto::Write {
        operation: Some(Operation::Update(document)),
        update_mask: Some(proto::DocumentMask::default()),
        update_transforms: vec![transform],
        ..Default::default()
    }
}

/// A query over a collection, ordered by a field where one is given.
pub fn query(collection: &str, order: Option<&str>, limit: Option<i32>) -> proto::StructuredQuery {
    let order = order.map(|field| Order {
        field: Some(FieldReference { field_path: field.to_owned() }),
        direction: Direction::Descending as i32,
    });
    proto::StructuredQuery {
        from: vec![CollectionSelector { collection_id: collection.to_owned(), all_descendants: false }],
        order_by: order.into_iter().collect(),
        limit,
        ..Default::default()
    }
}
