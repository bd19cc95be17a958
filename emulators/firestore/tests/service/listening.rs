//! The Listen stream as clients see it.

use std::time::Duration;

use scrimmage_core::Clock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use super::support::*;
use pb::listen_request::TargetChange;
use pb::listen_response::ResponseType;

pub struct Listening {
    requests: mpsc::UnboundedSender<pb::ListenRequest>,
    pub answers: Streaming<pb::ListenResponse>,
    token: Vec<u8>,
}

fn request(change: TargetChange) -> pb::ListenRequest {
    pb::ListenRequest { database: DATABASE.to_owned(), target_change: Some(change), labels: Default::default() }
}

fn documents(id: i32, paths: &[&str]) -> TargetChange {
    let documents = paths.iter().map(|path| full(path)).collect();
    TargetChange::AddTarget(pb::Target {
        target_id: id,
        target_type: Some(pb::target::TargetType::Documents(pb::target::DocumentsTarget { documents })),
        ..pb::Target::default()
    })
}

pub fn query(id: i32, query: pb::StructuredQuery, token: &[u8]) -> TargetChange {
    TargetChange::AddTarget(pb::Target {
        target_id: id,
        target_type: Some(pb::target::TargetType::Query(pb::target::QueryTarget {
            parent: ROOT.to_owned(),
            query_type: Some(pb::target::query_target::QueryType::StructuredQuery(query)),
        })),
        resume_type: (!token.is_empty()).then(|| pb::target::ResumeType::ResumeToken(token.to_vec().into())),
        ..pb::Target::default()
    })
}

impl Listening {
    pub async fn begin(client: &mut Client, first: TargetChange) -> Listening {
        let (requests, receiver) = mpsc::unbounded_channel();
        requests.send(request(first)).unwrap();
        let answers = client.0.listen(UnboundedReceiverStream::new(receiver)).await.unwrap().into_inner();
        Listening { requests, answers, token: Vec::new() }
    }

    fn send(&self, change: TargetChange) {
        self.requests.send(request(change)).unwrap();
    }

    async fn next(&mut self) -> String {
        let answer = tokio::time::timeout(Duration::from_secs(10), self.answers.message()).await;
        let answer = answer.expect("an answer in time").unwrap().expect("the stream goes on");
        match answer.response_type.unwrap() {
            ResponseType::TargetChange(change) => {
                if !change.resume_token.is_empty() {
                    self.token = change.resume_token.to_vec();
                }
                let cause = change.cause.as_ref().map(|cause| format!(" {}", cause.message)).unwrap_or_default();
                format!("{:?} {:?}{cause}", change.target_change_type(), change.target_ids)
            }
            ResponseType::DocumentChange(change) => {
                let document = change.document.unwrap();
                format!("{} = {}", &document.name[ROOT.len() + 1..], integer(&document.fields["n"]))
            }
            ResponseType::DocumentDelete(delete) => format!("{} deleted", &delete.document[ROOT.len() + 1..]),
            ResponseType::DocumentRemove(remove) => format!("{} removed", &remove.document[ROOT.len() + 1..]),
            ResponseType::Filter(filter) => format!("filter {}", filter.count),
        }
    }

    pub async fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.next().await;
            let ended = line == last;
            lines.push(line);
            if ended {
                return lines;
            }
        }
    }
}

#[tokio::test]
async fn targets_come_and_go_on_one_stream() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    client.commit(&[], vec![set("c/a", 1)]).await.unwrap();
    let mut listening = Listening::begin(&mut client, documents(3, &["c/a"])).await;
    assert_eq!(listening.until("NoChange []").await, ["Add [3]", "c/a = 1", "Current [3]", "NoChange []"]);
    listening.send(query(8, from("c"), &[]));
    assert_eq!(listening.until("NoChange []").await, ["Add [8]", "c/a = 1", "Current [8]", "NoChange []"]);
    client.commit(&[], vec![set("c/a", 2), set("c/b", 3)]).await.unwrap();
    assert_eq!(listening.until("NoChange []").await, ["c/a = 2", "c/b = 3", "NoChange []"]);
    listening.send(TargetChange::RemoveTarget(8));
    assert_eq!(listening.next().await, "Remove [8]");
    client.commit(&[], vec![set("c/b", 4)]).await.unwrap();
    client.commit(&[], vec![set("c/a", 5)]).await.unwrap();
    assert_eq!(listening.until("NoChange []").await, ["c/a = 5", "NoChange []"]);
}

#[tokio::test]
async fn a_resumed_stream_tells_only_what_changed() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    client.commit(&[], vec![set("c/a", 1), set("c/b", 1)]).await.unwrap();
    let mut listening = Listening::begin(&mut client, query(1, from("c"), &[])).await;
    assert_eq!(listening.until("NoChange []").await.len(), 5);
    let token = listening.token.clone();
    drop(listening);
    client.commit(&[], vec![set("c/b", 2)]).await.unwrap();
    let mut listening = Listening::begin(&mut client, query(1, from("c"), &token)).await;
    assert_eq!(listening.until("NoChange []").await, ["Add [1]", "c/b = 2", "Current [1]", "NoChange []"]);
}

#[tokio::test]
async fn a_bad_target_is_removed_with_its_cause() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let bad = pb::StructuredQuery { limit: Some(-1), ..from("c") };
    let mut listening = Listening::begin(&mut client, query(1, bad, &[])).await;
    assert_eq!(listening.next().await, "Remove [1] limit is negative");
    listening.send(query(2, from("c"), &[]));
    assert_eq!(listening.until("NoChange []").await, ["Add [2]", "Current [2]", "NoChange []"]);
}

#[tokio::test]
async fn a_reset_ends_the_stream() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let mut listening = Listening::begin(&mut client, query(1, from("c"), &[])).await;
    listening.until("NoChange []").await;
    served.firestore.reset().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), listening.answers.message()).await.unwrap();
    assert_eq!(ended.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn a_listener_of_before_a_reset_cannot_end_one_of_after() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    // More than fits between the service and a client that does not read.
    let long = "x".repeat(50_000);
    for from in (0..200).step_by(50) {
        let one = |id: i64| update(document(&format!("c/{id}"), &[("n", int(id)), ("s", text(&long))]));
        client.commit(&[], (from..from + 50).map(one).collect()).await.unwrap();
    }
    let mut other = served.client().await;
    let blocked = Listening::begin(&mut other, query(1, from("c"), &[])).await;
    served.firestore.reset().unwrap();
    let mut listening = Listening::begin(&mut client, query(1, from("c"), &[])).await;
    assert_eq!(listening.until("NoChange []").await, ["Add [1]", "Current [1]", "NoChange []"]);
    drop((blocked, other));
    for n in 0..50 {
        client.commit(&[], vec![set("c/a", n)]).await.unwrap();
        assert_eq!(listening.until("NoChange []").await, [format!("c/a = {n}"), "NoChange []".to_owned()]);
    }
}
