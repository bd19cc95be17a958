//! A server of one's own, a client, and short words for messages.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use futures::StreamExt;
use scrimmage_core::{CallNotes, Clock, Context, DataDir};
use scrimmage_firestore::Firestore;
pub use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::firestore::v1::firestore_client::FirestoreClient;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

pub const DATABASE: &str = "projects/p/databases/(default)";
pub const ROOT: &str = "projects/p/databases/(default)/documents";

/// Dropping it stops the server.
pub struct Served {
    pub firestore: Firestore,
    pub clock: Clock,
    address: String,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn serve(clock: Clock) -> Served {
    serve_noting(clock, CallNotes::default()).await
}

/// A server whose calls all note into `notes`, as the gateway's calls do into one each.
pub async fn serve_noting(clock: Clock, notes: CallNotes) -> Served {
    serve_this(Firestore::new(Context::new(clock.clone())), clock, notes).await
}

/// A server with what a data folder has.
pub async fn serve_kept(data: &DataDir, clock: Clock) -> Served {
    let context = Context::new(clock.clone()).with_project("p").with_data(data.clone());
    serve_this(Firestore::open(context).unwrap(), clock, CallNotes::default()).await
}

async fn serve_this(firestore: Firestore, clock: Clock, notes: CallNotes) -> Served {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let noting = InterceptedService::new(firestore.grpc(), move |mut request: tonic::Request<()>| {
        request.extensions_mut().insert(notes.clone());
        Ok(request)
    });
    let router = Server::builder().add_service(noting);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let task = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    Served { firestore, clock, address, task }
}

impl Served {
    pub async fn client(&self) -> Client {
        let channel = Endpoint::from_shared(self.address.clone()).unwrap().connect().await.unwrap();
        Client(FirestoreClient::new(channel).max_decoding_message_size(usize::MAX))
    }
}

#[derive(Clone)]
pub struct Client(pub FirestoreClient<Channel>);

pub type Answer<T> = Result<T, tonic::Status>;

impl Client {
    pub async fn commit(&mut self, transaction: &[u8], writes: Vec<pb::Write>) -> Answer<pb::CommitResponse> {
        let transaction = transaction.to_vec().into();
        let request = pb::CommitRequest { database: DATABASE.to_owned(), writes, transaction };
        self.0.commit(request).await.map(tonic::Response::into_inner)
    }

    pub async fn begin(&mut self, retry: &[u8]) -> Vec<u8> {
        use pb::transaction_options::{Mode, ReadWrite};
        let mode = ReadWrite { retry_transaction: retry.to_vec().into(), ..ReadWrite::default() };
        let request = pb::BeginTransactionRequest {
            database: DATABASE.to_owned(),
            options: Some(pb::TransactionOptions { mode: Some(Mode::ReadWrite(mode)) }),
        };
        self.0.begin_transaction(request).await.unwrap().into_inner().transaction.to_vec()
    }

    pub async fn rollback(&mut self, transaction: &[u8]) {
        let transaction = transaction.to_vec().into();
        self.0.rollback(pb::RollbackRequest { database: DATABASE.to_owned(), transaction }).await.unwrap();
    }

    /// The integer field `n` of a document, read in a transaction where one is given.
    pub async fn number(&mut self, transaction: &[u8], path: &str) -> Answer<Option<i64>> {
        use pb::batch_get_documents_request::ConsistencySelector;
        use pb::batch_get_documents_response::Result as Found;
        let request = pb::BatchGetDocumentsRequest {
            database: DATABASE.to_owned(),
            documents: vec![full(path)],
            mask: None,
            consistency_selector: (!transaction.is_empty())
                .then(|| ConsistencySelector::Transaction(transaction.to_vec().into())),
        };
        let mut answers = self.0.batch_get_documents(request).await?.into_inner();
        let answer = answers.next().await.unwrap()?;
        Ok(match answer.result {
            Some(Found::Found(document)) => Some(integer(&document.fields["n"])),
            _ => None,
        })
    }

    pub async fn query(&mut self, query: pb::StructuredQuery) -> Answer<Vec<pb::RunQueryResponse>> {
        let request = pb::RunQueryRequest {
            parent: ROOT.to_owned(),
            query_type: Some(pb::run_query_request::QueryType::StructuredQuery(query)),
            ..pb::RunQueryRequest::default()
        };
        self.0.run_query(request).await?.into_inner().collect::<Vec<_>>().await.into_iter().collect()
    }
}

pub fn full(path: &str) -> String {
    format!("{ROOT}/{path}")
}

pub fn value(kind: pb::value::ValueType) -> pb::Value {
    pb::Value { value_type: Some(kind) }
}

pub fn int(number: i64) -> pb::Value {
    value(pb::value::ValueType::IntegerValue(number))
}

pub fn text(text: &str) -> pb::Value {
    value(pb::value::ValueType::StringValue(text.to_owned()))
}

pub fn integer(value: &pb::Value) -> i64 {
    match value.value_type {
        Some(pb::value::ValueType::IntegerValue(number)) => number,
        _ => panic!("{value:?}"),
    }
}

pub fn document(path: &str, fields: &[(&str, pb::Value)]) -> pb::Document {
    let fields: HashMap<_, _> = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    pb::Document { name: full(path), fields, ..pb::Document::default() }
}

pub fn update(document: pb::Document) -> pb::Write {
    pb::Write { operation: Some(pb::write::Operation::Update(document)), ..pb::Write::default() }
}

/// Sets `n`, and nothing else, in a document.
pub fn set(path: &str, number: i64) -> pb::Write {
    update(document(path, &[("n", int(number))]))
}

/// Adds to `n` in a document.
pub fn increment(path: &str, by: i64) -> pb::Write {
    use pb::document_transform::{FieldTransform, field_transform::TransformType};
    pb::Write {
        update_mask: Some(pb::DocumentMask::default()),
        update_transforms: vec![FieldTransform {
            field_path: "n".to_owned(),
            transform_type: Some(TransformType::Increment(int(by))),
        }],
        ..update(document(path, &[]))
    }
}

pub fn from(collection: &str) -> pb::StructuredQuery {
    pb::StructuredQuery {
        from: vec![pb::structured_query::CollectionSelector {
            collection_id: collection.to_owned(),
            all_descendants: false,
        }],
        ..pb::StructuredQuery::default()
    }
}
