//! The Listen stream: targets come and go, snapshots flow.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use prost::bytes::Bytes;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::firestore::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::batch_write::rpc_status;
use super::rpc::{Answers, status};
use super::shell::Stream;
use super::{Firestore, IndexSettings, bloom, decode, encode};
use crate::engine::listen::{ListenEvent, Resume, TargetId, TargetKind, TargetSpec};
use crate::error::Error;
use crate::path::DatabaseName;
use crate::texts;
use pb::listen_response::ResponseType;
use pb::target_change::TargetChangeType;

/// Answers that may wait for a slow client before its events queue up unshaped.
const AHEAD: usize = 64;

impl Firestore {
    pub(super) fn do_listen(&self, requests: Streaming<pb::ListenRequest>) -> Answers<pb::ListenResponse> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let service = self.clone();
        tokio::spawn(async move {
            if let Err(error) = service.serve_listen(requests, &sender).await {
                // A client that is gone needs no error.
                let _ = sender.send(Err(error)).await;
            }
        });
        Box::pin(ReceiverStream::new(receiver))
    }

    /// Runs until the client ends the stream, goes away, or everything is reset.
    async fn serve_listen(
        &self,
        mut requests: Streaming<pb::ListenRequest>,
        sender: &mpsc::Sender<Result<pb::ListenResponse, Status>>,
    ) -> Result<(), Status> {
        let Some(first) = requests.next().await else { return Ok(()) };
        let first = first?;
        let database = DatabaseName::parse(&first.database).map_err(status)?;
        let (stream, mut events) = self.shell.open_stream(&database);
        // A reset ends the stream, so that this holds for as long as it lives.
        let life = self.shell.life();
        let indexes = &self.indexes;
        let mut targets = Targets { database: &database, stream: &stream, indexes, life, assigned: None };
        targets.change(first)?;
        let mut open = true;
        loop {
            tokio::select! {
                request = requests.next(), if open => match request {
                    Some(request) => targets.change(request?)?,
                    None => return Ok(()),
                },
                event = events.next() => match event {
                    Ok(event) => {
                        let response = encode_event(&database, life, event);
                        if sender.send(Ok(response)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(None) => return Err(Status::unavailable(texts::RESET)),
                    // What the client has is still right: it may resume.
                    Err(Some(error @ Error::NotKept(_))) => return Err(Status::unavailable(error.to_string())),
                    Err(Some(error)) => return Err(status(error)),
                },
                () = sender.closed() => open = false,
            }
            if !open {
                return Ok(());
            }
        }
    }
}

/// The targets of one stream.
struct Targets<'a> {
    database: &'a DatabaseName,
    stream: &'a Stream,
    /// Which life of the data resume tokens are of.
    life: u32,
    indexes: &'a IndexSettings,
    /// The last id that we assigned, once the client leaves that to us.
    assigned: Option<TargetId>,
}

impl Targets<'_> {
    fn change(&mut self, request: pb::ListenRequest) -> Result<(), Status> {
        use pb::listen_request::TargetChange;
        match request.target_change {
            Some(TargetChange::AddTarget(target)) => self.add(target)?,
            Some(TargetChange::RemoveTarget(id)) => self.stream.remove_target(id),
            None => return Err(status(Error::invalid(texts::NO_TARGET_CHANGE))),
        }
        Ok(())
    }

    /// Adds a target; what is wrong with it removes it with that cause and leaves the stream alone.
    fn add(&mut self, target: pb::Target) -> Result<(), Status> {
        let id = match (target.target_id, self.assigned) {
            (0, last) => {
                let id = last.map_or(1, |last| last.saturating_add(1));
                self.assigned = Some(id);
                id
            }
            (id, None) => id,
            (id, Some(_)) => {
                self.stream.refuse_target(id, Error::invalid(texts::TARGET_IDS_MIXED));
                return Ok(());
            }
        };
        if self.stream.has_target(id) {
            // To remove the new target would look as if the old one had gone.
            return Err(status(Error::invalid(texts::TARGET_ID_IN_USE)));
        }
        let spec = decode_target(self.database, self.life, target).and_then(|spec| {
            if let TargetKind::Query(query) = &spec.kind {
                self.indexes.check(self.database, query, None)?;
            }
            Ok(spec)
        });
        match spec {
            Ok(spec) => self.stream.add_target(id, spec),
            Err(error) => self.stream.refuse_target(id, error),
        }
        Ok(())
    }
}

fn decode_target(database: &DatabaseName, life: u32, target: pb::Target) -> Result<TargetSpec, Error> {
    use pb::target::{ResumeType, TargetType, query_target::QueryType};
    let kind = match target.target_type {
        Some(TargetType::Documents(documents)) => {
            let mut seen = HashSet::new();
            let mut names = Vec::with_capacity(documents.documents.len());
            for name in &documents.documents {
                let name = decode::write::name_in(database, name)?;
                if seen.insert(name.clone()) {
                    names.push(name);
                }
            }
            TargetKind::Documents(names)
        }
        Some(TargetType::Query(query)) => {
            let (_, parent) = decode::parent(&query.parent)?;
            let Some(QueryType::StructuredQuery(structured)) = query.query_type else {
                return Err(Error::invalid(texts::NO_QUERY));
            };
            TargetKind::Query(Arc::new(decode::query::query(database, parent, structured)?))
        }
        None => return Err(Error::invalid(texts::NO_TARGET)),
    };
    let resume = match target.resume_type {
        Some(ResumeType::ResumeToken(token)) if token.is_empty() => None,
        Some(ResumeType::ResumeToken(token)) => Some(parse_token(&token, life)?),
        Some(ResumeType::ReadTime(time)) => Some(Resume::Since(decode::precise_time(time)?)),
        None => None,
    };
    Ok(TargetSpec { kind, resume, once: target.once, expected_count: target.expected_count })
}

/// A resume token is a commit time, in one life of the data.
fn token(time: Timestamp, life: u32) -> Bytes {
    let mut bytes = time.as_micros().to_be_bytes().to_vec();
    bytes.extend(life.to_be_bytes());
    Bytes::from(bytes)
}

fn parse_token(token: &[u8], life: u32) -> Result<Resume, Error> {
    let bad = |_| Error::invalid(texts::BAD_RESUME_TOKEN);
    let (time, of) = token.split_at_checked(8).ok_or_else(|| Error::invalid(texts::BAD_RESUME_TOKEN))?;
    let time = Timestamp::from_micros(i64::from_be_bytes(time.try_into().map_err(bad)?));
    let of = u32::from_be_bytes(of.try_into().map_err(bad)?);
    Ok(if of == life { Resume::Since(time) } else { Resume::Void })
}

fn encode_event(database: &DatabaseName, life: u32, event: ListenEvent) -> pb::ListenResponse {
    let change = |kind: TargetChangeType, targets: Vec<TargetId>| pb::TargetChange {
        target_change_type: kind.into(),
        target_ids: targets,
        ..pb::TargetChange::default()
    };
    let resource = |path: &str| database.resource(path);
    let response = match event {
        ListenEvent::Added(target) => ResponseType::TargetChange(change(TargetChangeType::Add, vec![target])),
        ListenEvent::Reset(target) => ResponseType::TargetChange(change(TargetChangeType::Reset, vec![target])),
        ListenEvent::Changed { document, targets, removed } => ResponseType::DocumentChange(pb::DocumentChange {
            document: Some(encode::document(database, &document, None)),
            target_ids: targets,
            removed_target_ids: removed,
        }),
        ListenEvent::Deleted { name, removed, read_time } => ResponseType::DocumentDelete(pb::DocumentDelete {
            document: resource(name.path()),
            removed_target_ids: removed,
            read_time: Some(encode::time(read_time)),
        }),
        ListenEvent::Removed { name, removed, read_time } => ResponseType::DocumentRemove(pb::DocumentRemove {
            document: resource(name.path()),
            removed_target_ids: removed,
            read_time: Some(encode::time(read_time)),
        }),
        ListenEvent::Filter { target, names } => ResponseType::Filter(pb::ExistenceFilter {
            target_id: target,
            count: i32::try_from(names.len()).unwrap_or(i32::MAX),
            unchanged_names: Some(bloom::filter(names.iter().map(|name| resource(name.path())))),
        }),
        ListenEvent::Current { target, read_time } => ResponseType::TargetChange(pb::TargetChange {
            resume_token: token(read_time, life),
            read_time: Some(encode::time(read_time)),
            ..change(TargetChangeType::Current, vec![target])
        }),
        ListenEvent::Snapshot { read_time } => ResponseType::TargetChange(pb::TargetChange {
            resume_token: token(read_time, life),
            read_time: Some(encode::time(read_time)),
            ..change(TargetChangeType::NoChange, Vec::new())
        }),
        ListenEvent::TargetRemoved { target, cause } => ResponseType::TargetChange(pb::TargetChange {
            cause: cause.map(rpc_status),
            ..change(TargetChangeType::Remove, vec![target])
        }),
    };
    pb::ListenResponse { response_type: Some(response) }
}
