//! BatchWrite: many writes, each for itself.

use std::collections::HashSet;

use prost::Message;
use scrimmage_core::{CallNotes, Status as CoreStatus};
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::rpc::Status as RpcStatus;

use super::documents::unexpected;
use super::{Firestore, decode, encode};
use crate::engine::Outcome;
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
        let commits = writes.into_iter().map(|write| vec![write]);
        let answers = self.shell.commit_each(&database, commits, notes).await;
        let mut response = pb::BatchWriteResponse::default();
        for answer in answers {
            let (result, status) = match answer {
                Ok(Outcome::Committed(done)) => {
                    (done.results.first().map(encode::write_result).unwrap_or_default(), RpcStatus::default())
                }
                Ok(other) => (pb::WriteResult::default(), rpc_status(unexpected(&other))),
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
