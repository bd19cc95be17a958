//! Connections to a Firestore, the calls that workers make, and what they write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use scrimmage_protos::google::firestore::v1 as proto;
use tonic::codegen::Bytes;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use proto::batch_get_documents_request::ConsistencySelector;
use proto::batch_get_documents_response::Result as Found;
use proto::document_transform::FieldTransform;
use proto::document_transform::field_transform::TransformType;
use proto::firestore_client::FirestoreClient;
use proto::precondition::ConditionType;
use proto::transaction_options::{Mode, ReadWrite};
use proto::value::ValueType;
use proto::write::Operation;

use super::text;
use crate::strategy::{PREDICTIONS, SHARDS, Strategy};
use crate::{LoadError, channels};

pub(super) const DATABASE: &str = "projects/load/databases/(default)";
const LARGEST_ANSWER: usize = 64 << 20;

pub(super) type Client = FirestoreClient<InterceptedService<Channel, AsOwner>>;
type AsOwner = fn(Request<()>) -> Result<Request<()>, Status>;
pub(super) type Transaction = Bytes;

/// Google's emulator lets the owner past its security rules.
fn as_owner(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer owner"));
    Ok(request)
}

/// Clones share the connections.
#[derive(Clone)]
pub struct Connections {
    endpoint: Arc<str>,
    clients: Arc<[Client]>,
}

impl Connections {
    /// Opens so many connections to HOST:PORT.
    pub async fn open(endpoint: &str, count: usize) -> Result<Connections, LoadError> {
        let channels = channels::open(endpoint, count).await?;
        let client = |channel| {
            FirestoreClient::with_interceptor(channel, as_owner as AsOwner).max_decoding_message_size(LARGEST_ANSWER)
        };
        Ok(Connections { endpoint: endpoint.into(), clients: channels.into_iter().map(client).collect() })
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn failed(&self, problem: impl ToString) -> LoadError {
        LoadError::Service { endpoint: self.endpoint.to_string(), problem: problem.to_string() }
    }

    /// The connection of a worker.
    pub(super) fn of(&self, who: usize) -> Result<Client, Status> {
        let at = who % self.clients.len().max(1);
        self.clients.get(at).cloned().ok_or_else(|| Status::internal("no connection"))
    }

    /// Documents that no other run has.
    pub(super) fn documents(&self) -> Documents {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Documents { batch: format!("{DATABASE}/documents/load_batches/{now:x}-{:x}", std::process::id()) }
    }

    pub(super) async fn commit(
        &self,
        who: usize,
        writes: Vec<proto::Write>,
        transaction: Option<Transaction>,
    ) -> Result<(), Status> {
        let transaction = transaction.unwrap_or_default();
        let request = proto::CommitRequest { database: DATABASE.to_owned(), writes, transaction };
        self.of(who)?.commit(request).await.map(drop)
    }

    /// Begins a transaction with a read of the batch: who has completed so far.
    pub(super) async fn begin_with(
        &self,
        who: usize,
        batch: &str,
        retry_of: Option<&Transaction>,
    ) -> Result<(Transaction, Vec<String>), Status> {
        let mode = Mode::ReadWrite(ReadWrite {
            retry_transaction: retry_of.cloned().unwrap_or_default(),
            ..Default::default()
        });
        let request = proto::BatchGetDocumentsRequest {
            database: DATABASE.to_owned(),
            documents: vec![batch.to_owned()],
            consistency_selector: Some(ConsistencySelector::NewTransaction(proto::TransactionOptions {
                mode: Some(mode),
            })),
            ..Default::default()
        };
        let mut answers = self.of(who)?.batch_get_documents(request).await?.into_inner();
        let (mut transaction, mut players) = (None, Vec::new());
        while let Some(answer) = answers.message().await? {
            if !answer.transaction.is_empty() {
                transaction = Some(answer.transaction);
            }
            if let Some(Found::Found(document)) = answer.result {
                players = completed(&document);
            }
        }
        let transaction = transaction.ok_or_else(|| Status::internal("the answer began no transaction"))?;
        Ok((transaction, players))
    }
}

/// The players in a batch's document.
pub(super) fn completed(document: &proto::Document) -> Vec<String> {
    match document.fields.get("completed_players").and_then(|value| value.value_type.as_ref()) {
        Some(ValueType::ArrayValue(array)) => array
            .values
            .iter()
            .filter_map(|value| match &value.value_type {
                Some(ValueType::StringValue(player)) => Some(player.clone()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A document's total.
pub(super) fn total(document: &proto::Document) -> i64 {
    match document.fields.get("total_predictions").and_then(|value| value.value_type.as_ref()) {
        Some(ValueType::IntegerValue(total)) => *total,
        _ => 0,
    }
}

pub(super) fn integer(value: i64) -> proto::Value {
    proto::Value { value_type: Some(ValueType::IntegerValue(value)) }
}

/// The documents of one run, and what is written to them.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    batch: String,
}

impl Documents {
    pub(super) fn batch(&self) -> String {
        self.batch.clone()
    }

    pub(super) fn shard(&self, number: usize) -> String {
        format!("{}/shards/{number}", self.batch)
    }

    /// What a completion without a transaction writes.
    pub(super) fn counting(&self, strategy: Strategy, who: usize, name: &str) -> Vec<proto::Write> {
        let increment = increment();
        let union = FieldTransform {
            field_path: "completed_players".to_owned(),
            transform_type: Some(TransformType::AppendMissingElements(proto::ArrayValue { values: vec![text(name)] })),
        };
        match strategy {
            Strategy::Transaction | Strategy::TransactionWithBackoff | Strategy::AtomicUpdate => {
                vec![touch(self.batch(), vec![union, increment])]
            }
            Strategy::Subcollection => vec![self.own(name), touch(self.batch(), vec![increment])],
            Strategy::ShardedCounter => vec![self.own(name), touch(self.shard(who % SHARDS), vec![increment])],
        }
    }

    /// What a transaction writes that has read the rest of the players.
    pub(super) fn whole(&self, players: &[String]) -> proto::Write {
        let values = players.iter().map(|player| text(player)).collect();
        let total = PREDICTIONS * i64::try_from(players.len()).unwrap_or(i64::MAX);
        let players = proto::Value { value_type: Some(ValueType::ArrayValue(proto::ArrayValue { values })) };
        let fields = [("completed_players", players), ("total_predictions", integer(total))];
        let mask = proto::DocumentMask { field_paths: fields.iter().map(|(name, _)| (*name).to_owned()).collect() };
        proto::Write {
            operation: Some(Operation::Update(document(self.batch(), fields))),
            update_mask: Some(mask),
            ..Default::default()
        }
    }

    /// A completion's own document; one that is there already has been counted.
    fn own(&self, name: &str) -> proto::Write {
        let fields = [("predictions", integer(PREDICTIONS))];
        let absent = proto::Precondition { condition_type: Some(ConditionType::Exists(false)) };
        proto::Write {
            operation: Some(Operation::Update(document(format!("{}/completions/{name}", self.batch), fields))),
            current_document: Some(absent),
            ..Default::default()
        }
    }
}

fn document<const N: usize>(name: String, fields: [(&str, proto::Value); N]) -> proto::Document {
    let fields: HashMap<String, proto::Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    proto::Document { name, fields, ..Default::default() }
}

/// Adds a completion's predictions to the total.
pub(super) fn increment() -> FieldTransform {
    FieldTransform {
        field_path: "total_predictions".to_owned(),
        transform_type: Some(TransformType::Increment(integer(PREDICTIONS))),
    }
}

/// Transforms alone.
pub(super) fn touch(name: String, update_transforms: Vec<FieldTransform>) -> proto::Write {
    proto::Write {
        operation: Some(Operation::Update(document(name, []))),
        update_mask: Some(proto::DocumentMask::default()),
        update_transforms,
        ..Default::default()
    }
}
