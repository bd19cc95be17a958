//! The Write stream: tokens, and streams that go on after a lost connection.

use scrimmage_core::Clock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Streaming};

use super::support::*;

struct Writing {
    requests: mpsc::UnboundedSender<pb::WriteRequest>,
    answers: Streaming<pb::WriteResponse>,
}

impl Writing {
    async fn begin(client: &mut Client, id: &str, token: &[u8]) -> (Writing, Answer<pb::WriteResponse>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        let first = pb::WriteRequest {
            database: DATABASE.to_owned(),
            stream_id: id.to_owned(),
            stream_token: token.to_vec().into(),
            ..Default::default()
        };
        requests.send(first).unwrap();
        let answers = client.0.write(UnboundedReceiverStream::new(receiver)).await.unwrap().into_inner();
        let mut writing = Writing { requests, answers };
        let answer = writing.next().await;
        (writing, answer)
    }

    fn send(&self, token: &[u8], writes: Vec<pb::Write>) {
        let request = pb::WriteRequest { stream_token: token.to_vec().into(), writes, ..Default::default() };
        self.requests.send(request).unwrap();
    }

    async fn next(&mut self) -> Answer<pb::WriteResponse> {
        self.answers.message().await.map(|answer| answer.expect("the stream goes on"))
    }
}

#[tokio::test]
async fn a_resumed_stream_tells_again_what_was_not_acknowledged() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let (mut writing, opened) = Writing::begin(&mut client, "", &[]).await;
    let opened = opened.unwrap();
    assert!(!opened.stream_id.is_empty() && opened.write_results.is_empty());
    writing.send(&opened.stream_token, vec![increment("c/n", 1)]);
    let first = writing.next().await.unwrap();
    assert_eq!(first.write_results[0].transform_results, [int(1)]);
    writing.send(&first.stream_token, vec![increment("c/n", 1)]);
    let second = writing.next().await.unwrap();
    drop(writing);
    // The second answer might have been lost: it comes again, and nothing is applied twice.
    let (mut writing, resumed) = Writing::begin(&mut client, &opened.stream_id, &first.stream_token).await;
    assert_eq!(resumed.unwrap().stream_token, first.stream_token);
    assert_eq!(writing.next().await.unwrap(), second);
    writing.send(&second.stream_token, vec![increment("c/n", 1)]);
    assert_eq!(writing.next().await.unwrap().write_results[0].transform_results, [int(3)]);
}

#[tokio::test]
async fn what_cannot_be_resumed_is_refused() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let (_, unknown) = Writing::begin(&mut client, "nobody", &[]).await;
    // Not a code at which web and mobile clients drop the writes that wait for a stream.
    assert_eq!(unknown.unwrap_err().code(), Code::Aborted);
    let (mut writing, opened) = Writing::begin(&mut client, "", &[]).await;
    let id = opened.unwrap().stream_id;
    writing.send(&99_u64.to_be_bytes(), vec![set("c/a", 1)]);
    assert_eq!(writing.next().await.unwrap_err().message(), "Invalid stream token.");
    assert_eq!(client.number(&[], "c/a").await.unwrap(), None);
    let (_, bad) = Writing::begin(&mut client, &id, b"x").await;
    assert_eq!(bad.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_stream_lives_however_many_others_come_and_go() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let (mut first, opened) = Writing::begin(&mut client, "", &[]).await;
    let opened = opened.unwrap();
    for _ in 0..1_010 {
        let (_, other) = Writing::begin(&mut client, "", &[]).await;
        other.unwrap();
    }
    first.send(&opened.stream_token, vec![set("c/a", 1)]);
    let answer = first.next().await.unwrap();
    drop(first);
    let (_, resumed) = Writing::begin(&mut client, &opened.stream_id, &answer.stream_token).await;
    assert_eq!(resumed.unwrap().stream_token, answer.stream_token);
}
