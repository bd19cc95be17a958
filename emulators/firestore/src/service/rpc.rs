//! The methods of `google.firestore.v1.Firestore`, each handed to the room that does it.

use std::pin::Pin;

use futures::Stream;
use scrimmage_core::{CallNotes, Status as CoreStatus};
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::firestore::v1::firestore_server::Firestore as Api;
use tonic::{Request, Response, Status, Streaming};

use super::Firestore;
use crate::error::Error;
use crate::limits;

/// A stream of answers.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The error as tonic has it.
pub fn status(error: Error) -> Status {
    Status::from(CoreStatus::from(error))
}

/// A request's message and where to note things about it, once its size has been checked.
fn open<T: prost::Message>(request: Request<T>) -> Result<(T, Option<CallNotes>), Status> {
    let notes = request.extensions().get::<CallNotes>().cloned();
    let message = request.into_inner();
    if message.encoded_len() > limits::REQUEST_BYTES {
        return Err(status(Error::PayloadTooLarge));
    }
    Ok((message, notes))
}

/// Answers that are all known already; each is shaped only when it is sent.
pub fn answers<T: 'static>(items: impl Iterator<Item = T> + Send + 'static) -> Answers<T> {
    Box::pin(futures::stream::iter(items.map(Ok)))
}

macro_rules! unary {
    ($self:ident, $request:ident, $method:ident) => {{
        let (message, notes) = open($request)?;
        $self.$method(message, notes.as_ref()).await.map(Response::new).map_err(status)
    }};
}

#[tonic::async_trait]
impl Api for Firestore {
    type BatchGetDocumentsStream = Answers<pb::BatchGetDocumentsResponse>;
    type RunQueryStream = Answers<pb::RunQueryResponse>;
    type ExecutePipelineStream = Answers<pb::ExecutePipelineResponse>;
    type RunAggregationQueryStream = Answers<pb::RunAggregationQueryResponse>;
    type WriteStream = Answers<pb::WriteResponse>;
    type ListenStream = Answers<pb::ListenResponse>;

    async fn get_document(&self, request: Request<pb::GetDocumentRequest>) -> Result<Response<pb::Document>, Status> {
        unary!(self, request, do_get)
    }

    async fn list_documents(
        &self,
        request: Request<pb::ListDocumentsRequest>,
    ) -> Result<Response<pb::ListDocumentsResponse>, Status> {
        unary!(self, request, do_list)
    }

    async fn create_document(
        &self,
        request: Request<pb::CreateDocumentRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        unary!(self, request, do_create)
    }

    async fn update_document(
        &self,
        request: Request<pb::UpdateDocumentRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        unary!(self, request, do_update)
    }

    async fn delete_document(&self, request: Request<pb::DeleteDocumentRequest>) -> Result<Response<()>, Status> {
        unary!(self, request, do_delete)
    }

    async fn batch_get_documents(
        &self,
        request: Request<pb::BatchGetDocumentsRequest>,
    ) -> Result<Response<Self::BatchGetDocumentsStream>, Status> {
        unary!(self, request, do_batch_get)
    }

    async fn begin_transaction(
        &self,
        request: Request<pb::BeginTransactionRequest>,
    ) -> Result<Response<pb::BeginTransactionResponse>, Status> {
        unary!(self, request, do_begin)
    }

    async fn commit(&self, request: Request<pb::CommitRequest>) -> Result<Response<pb::CommitResponse>, Status> {
        unary!(self, request, do_commit)
    }

    async fn rollback(&self, request: Request<pb::RollbackRequest>) -> Result<Response<()>, Status> {
        unary!(self, request, do_rollback)
    }

    async fn run_query(&self, request: Request<pb::RunQueryRequest>) -> Result<Response<Self::RunQueryStream>, Status> {
        unary!(self, request, do_run_query)
    }

    async fn run_aggregation_query(
        &self,
        request: Request<pb::RunAggregationQueryRequest>,
    ) -> Result<Response<Self::RunAggregationQueryStream>, Status> {
        unary!(self, request, do_aggregate)
    }

    async fn partition_query(
        &self,
        request: Request<pb::PartitionQueryRequest>,
    ) -> Result<Response<pb::PartitionQueryResponse>, Status> {
        unary!(self, request, do_partition)
    }

    async fn list_collection_ids(
        &self,
        request: Request<pb::ListCollectionIdsRequest>,
    ) -> Result<Response<pb::ListCollectionIdsResponse>, Status> {
        unary!(self, request, do_list_collection_ids)
    }

    async fn batch_write(
        &self,
        request: Request<pb::BatchWriteRequest>,
    ) -> Result<Response<pb::BatchWriteResponse>, Status> {
        unary!(self, request, do_batch_write)
    }

    async fn execute_pipeline(
        &self,
        request: Request<pb::ExecutePipelineRequest>,
    ) -> Result<Response<Self::ExecutePipelineStream>, Status> {
        unary!(self, request, do_execute_pipeline)
    }

    async fn write(
        &self,
        request: Request<Streaming<pb::WriteRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let notes = request.extensions().get::<CallNotes>().cloned();
        Ok(Response::new(self.do_write_stream(request.into_inner(), notes)))
    }

    async fn listen(
        &self,
        request: Request<Streaming<pb::ListenRequest>>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        Ok(Response::new(self.do_listen(request.into_inner())))
    }
}
