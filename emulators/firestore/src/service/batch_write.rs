//! BatchWrite: many writes, each for itself.

use std::collections::HashSet;

use futures::future::join_all;
use prost::Message;
use scrimmage_core::{CallNotes, Status as CoreStatus};
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::rpc::Status as RpcStatus;

use super::{Firestore, decode, encode};
use crate::error::Error;
use crate::limits;
use crate::path::DatabaseName;
use crate::texts;

impl Firestore {
    /// Every write succeeds or fails for itself. A write that does not decode fails the whole
    /// request, as does a document that is named twice.
    pub(super) async fn do_batch_write(
        &self,
        request: pb::BatchWriteRequest,
        notes: Option<&CallNotes>,
    ) -> Result<pb::BatchWriteResponse, Error> {
        let database = DatabaseName::parse(&request.database)?;
        if request.encoded_len() > limits::COMMIT_BYTES {
            return Err(Error::TransactionTooBig);
        }
        let mut seen = HashSet::new();
        let mut writes = Vec::with_capacity(request.writes.len());
        for write in request.writes {
            let write = decode::write::write(&database, write)?;
            if !seen.insert(write.name.clone()) {
                return Err(Error::invalid(texts::SAME_DOCUMENT_TWICE));
            }
            writes.push(write);
        }
        // All at once: one that has to wait for a lock does not hold up the others.
        let commits = writes.into_iter().map(|write| self.commit_plain(&database, vec![write], notes));
        let mut response = pb::BatchWriteResponse::default();
        for result in join_all(commits).await {
            let (result, status) = match result {
                Ok(done) => (done.results.first().map(encode::write_result).unwrap_or_default(), RpcStatus::default()),
                Err(error) => (pb::WriteResult::default(), rpc_status(error)),
            };
            response.write_results.push(result);
            response.status.push(status);
        }
        Ok(response)
    }
}

/// The error as a message within an answer.
pub fn rpc_status(error: Error) -> RpcStatus {
    let status = CoreStatus::from(error);
    RpcStatus { code: status.code.number(), message: status.message, details: Vec::new() }
}
