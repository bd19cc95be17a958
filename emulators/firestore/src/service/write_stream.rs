//! The Write stream: commits one after the other on one connection.

use futures::StreamExt;
use prost::bytes::Bytes;
use scrimmage_core::CallNotes;
use scrimmage_protos::google::firestore::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::rpc::{Answers, status};
use super::{Firestore, decode, encode};
use crate::error::Error;
use crate::path::DatabaseName;
use crate::texts;

/// Answers that may wait for a slow client before the stream holds its next write back.
const AHEAD: usize = 16;

impl Firestore {
    /// A stream's life: a handshake, then one commit a message. An error ends it.
    pub(super) fn do_write_stream(
        &self,
        mut requests: Streaming<pb::WriteRequest>,
        notes: Option<CallNotes>,
    ) -> Answers<pb::WriteResponse> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let service = self.clone();
        tokio::spawn(async move {
            let mut database: Option<DatabaseName> = None;
            let mut count: u64 = 0;
            while let Some(request) = requests.next().await {
                let answer = match request {
                    Ok(request) => service.write_message(&mut database, &mut count, request, notes.as_ref()).await,
                    Err(error) => Err(error),
                };
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
            }
        });
        Box::pin(ReceiverStream::new(receiver))
    }

    async fn write_message(
        &self,
        database: &mut Option<DatabaseName>,
        count: &mut u64,
        request: pb::WriteRequest,
        notes: Option<&CallNotes>,
    ) -> Result<pb::WriteResponse, Status> {
        *count += 1;
        let stream_token = Bytes::copy_from_slice(&count.to_be_bytes());
        let Some(database) = database else {
            let name = DatabaseName::parse(&request.database).map_err(status)?;
            if !request.writes.is_empty() {
                return Err(status(Error::invalid(texts::WRITES_IN_HANDSHAKE)));
            }
            *database = Some(name);
            // Streams are not resumable here: a resumed one begins anew under its old id.
            let stream_id = if request.stream_id.is_empty() { self.stream_id() } else { request.stream_id };
            return Ok(pb::WriteResponse { stream_id, stream_token, ..pb::WriteResponse::default() });
        };
        let writes: Result<Vec<_>, Error> =
            request.writes.into_iter().map(|write| decode::write::write(database, write)).collect();
        let done = self.commit_plain(database, writes.map_err(status)?, notes).await.map_err(status)?;
        Ok(pb::WriteResponse {
            stream_id: String::new(),
            stream_token,
            write_results: done.results.iter().map(encode::write_result).collect(),
            commit_time: Some(encode::time(done.commit_time)),
        })
    }
}
