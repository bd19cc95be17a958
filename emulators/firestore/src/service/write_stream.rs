//! The Write stream: commits one after the other on one connection.
//!
//! Every answer has a token. A client acknowledges answers by sending the token of the last one that
//! it has; one that lost its connection names the stream and that token, and gets the answers since.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use prost::Message as _;
use prost::bytes::Bytes;
use scrimmage_core::CallNotes;
use scrimmage_protos::google::firestore::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::rpc::{Answers, status};
use super::{Firestore, decode, encode};
use crate::error::Error;
use crate::limits;
use crate::path::DatabaseName;
use crate::texts;

/// Answers that may wait for a slow client before the stream holds its next write back.
const AHEAD: usize = 16;
/// Answers that a stream keeps until the client has acknowledged them; older ones are given up.
const UNACKNOWLEDGED: usize = 1_000;
/// Streams without a connection that may be resumed; the one that was left first is given up first.
const CLOSED: usize = 1_000;

/// The write streams, by their ids.
#[derive(Debug, Default)]
pub struct WriteStreams {
    streams: HashMap<String, Arc<Mutex<Told>>>,
    /// Streams by when a connection to them ended, with the number of that connection.
    closed: VecDeque<(String, u64)>,
}

/// What a stream has answered.
#[derive(Debug)]
struct Told {
    database: DatabaseName,
    /// The number of the newest connection, counted from 1. An older one may not know yet that its
    /// client is gone.
    connection: u64,
    /// The number of the last answer, which is its token.
    last: u64,
    /// Answers that the client may not have, oldest first.
    answers: VecDeque<pb::WriteResponse>,
}

/// One connection's view of its stream. When it ends, the stream may be resumed for a while.
struct Connection {
    id: String,
    number: u64,
    database: DatabaseName,
    told: Arc<Mutex<Told>>,
    all: Arc<Mutex<WriteStreams>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves them whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        all.closed.push_back((std::mem::take(&mut self.id), self.number));
        while all.closed.len() > CLOSED
            && let Some((id, number)) = all.closed.pop_front()
        {
            // A later connection lives, or has its own place in the line.
            if all.streams.get(&id).is_some_and(|told| lock(told).connection == number) {
                all.streams.remove(&id);
            }
        }
    }
}

fn token(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn number(token: &[u8]) -> Result<u64, Error> {
    let bytes = token.try_into().map_err(|_| Error::invalid(texts::BAD_STREAM_TOKEN))?;
    Ok(u64::from_be_bytes(bytes))
}

impl Told {
    /// Forgets the answers up to this token, which the client has.
    fn acknowledge(&mut self, token: &[u8]) -> Result<(), Error> {
        if token.is_empty() {
            return Ok(());
        }
        let known = number(token)?;
        if known > self.last {
            return Err(Error::invalid(texts::BAD_STREAM_TOKEN));
        }
        while self.answers.front().is_some_and(|answer| number(&answer.stream_token).is_ok_and(|of| of <= known)) {
            self.answers.pop_front();
        }
        Ok(())
    }

    /// Gives an answer its token and keeps it.
    fn tell(&mut self, answer: pb::WriteResponse) -> pb::WriteResponse {
        self.last += 1;
        let answer = pb::WriteResponse { stream_token: token(self.last), ..answer };
        self.answers.push_back(answer.clone());
        if self.answers.len() > UNACKNOWLEDGED {
            self.answers.pop_front();
        }
        answer
    }
}

impl Firestore {
    /// A stream's life: a handshake, then one commit a message. An error ends it; it can be resumed.
    pub(super) fn do_write_stream(
        &self,
        mut requests: Streaming<pb::WriteRequest>,
        notes: Option<CallNotes>,
    ) -> Answers<pb::WriteResponse> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let service = self.clone();
        tokio::spawn(async move {
            let mut connection: Option<Connection> = None;
            while let Some(request) = requests.next().await {
                let answers = match request {
                    Ok(request) => {
                        service.write_message(&mut connection, request, notes.as_ref()).await.map_err(status)
                    }
                    Err(error) => Err(error),
                };
                match answers {
                    Ok(answers) => {
                        for answer in answers {
                            if sender.send(Ok(answer)).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(error) => {
                        let _ = sender.send(Err(error)).await;
                        return;
                    }
                }
            }
        });
        Box::pin(ReceiverStream::new(receiver))
    }

    async fn write_message(
        &self,
        connection: &mut Option<Connection>,
        request: pb::WriteRequest,
        notes: Option<&CallNotes>,
    ) -> Result<Vec<pb::WriteResponse>, Error> {
        if request.encoded_len() > limits::COMMIT_BYTES {
            return Err(Error::TransactionTooBig);
        }
        let Some(Connection { database, told, .. }) = connection else {
            let (opened, answers) = self.open_writes(&request)?;
            *connection = Some(opened);
            return Ok(answers);
        };
        lock(told).acknowledge(&request.stream_token)?;
        let writes: Result<Vec<_>, Error> =
            request.writes.into_iter().map(|write| decode::write::write(database, write)).collect();
        let done = self.commit_plain(database, writes?, notes).await?;
        let answer = pb::WriteResponse {
            write_results: done.results.iter().map(encode::write_result).collect(),
            commit_time: Some(encode::time(done.commit_time)),
            ..pb::WriteResponse::default()
        };
        Ok(vec![lock(told).tell(answer)])
    }

    /// The handshake: a new stream, or the answers of an old one that the client does not have.
    fn open_writes(&self, request: &pb::WriteRequest) -> Result<(Connection, Vec<pb::WriteResponse>), Error> {
        let database = DatabaseName::parse(&request.database)?;
        if !request.writes.is_empty() {
            return Err(Error::invalid(texts::WRITES_IN_HANDSHAKE));
        }
        let connect = |id: String, number, told| {
            let all = Arc::clone(&self.writes);
            Connection { id, number, database: database.clone(), told, all }
        };
        if !request.stream_id.is_empty() {
            let known = lock(&self.writes).streams.get(&request.stream_id).map(Arc::clone);
            let known = known.ok_or(Error::WriteStreamGone)?;
            let mut told = lock(&known);
            if told.database != database {
                return Err(Error::WriteStreamGone);
            }
            told.acknowledge(&request.stream_token)?;
            told.connection += 1;
            let first = pb::WriteResponse { stream_token: request.stream_token.clone(), ..Default::default() };
            let answers = [first].into_iter().chain(told.answers.iter().cloned()).collect();
            let connection = connect(request.stream_id.clone(), told.connection, Arc::clone(&known));
            return Ok((connection, answers));
        }
        let id = self.auto_id();
        let mut told = Told { database: database.clone(), connection: 1, last: 0, answers: VecDeque::new() };
        let answer = pb::WriteResponse { stream_id: id.clone(), ..told.tell(pb::WriteResponse::default()) };
        told.answers.clear();
        let told = Arc::new(Mutex::new(told));
        lock(&self.writes).streams.insert(id.clone(), Arc::clone(&told));
        Ok((connect(id, 1, told), vec![answer]))
    }
}
