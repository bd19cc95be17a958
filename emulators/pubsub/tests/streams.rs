//! Streaming pulls over their lifetime: limits, ends, and clients that come back.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{SUB, Stage, within};
use scrimmage_protos::google::pubsub::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Streaming};

type Requests = mpsc::UnboundedSender<pb::StreamingPullRequest>;
type Answers = Streaming<pb::StreamingPullResponse>;

async fn open(stage: &Stage, change: impl FnOnce(&mut pb::StreamingPullRequest)) -> (Requests, Answers) {
    let mut first =
        pb::StreamingPullRequest { subscription: SUB.into(), stream_ack_deadline_seconds: 60, ..Default::default() };
    change(&mut first);
    let (requests, inbound) = mpsc::unbounded_channel();
    requests.send(first).expect("open");
    let mut subscriber = stage.subscriber.clone();
    let answers = subscriber.streaming_pull(UnboundedReceiverStream::new(inbound)).await.expect("a stream");
    (requests, answers.into_inner())
}

/// How a stream ends.
async fn end(answers: &mut Answers) -> tonic::Status {
    within(async {
        loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended well"),
                Err(status) => return status,
            }
        }
    })
    .await
}

async fn messages(answers: &mut Answers, count: usize) -> Vec<pb::ReceivedMessage> {
    within(async {
        let mut found = Vec::new();
        while found.len() < count {
            found.extend(answers.message().await.expect("an answer").expect("it goes on").received_messages);
        }
        found
    })
    .await
}

#[tokio::test]
async fn a_stream_ends_after_half_an_hour_and_its_client_takes_over_with_another() {
    let mut stage = Stage::start().await;
    stage.subscribe(|config| config.ack_deadline_seconds = 600).await;
    let named = |request: &mut pb::StreamingPullRequest| {
        request.client_id = "me".into();
        request.stream_ack_deadline_seconds = 600;
        request.max_outstanding_messages = 1;
    };
    let (requests, mut answers) = open(&stage, named).await;
    stage.advance(Duration::from_secs(29 * 60));
    stage.publish("a").await;
    stage.publish("b").await;
    let found = messages(&mut answers, 1).await;
    stage.advance(Duration::from_secs(60));
    let status = end(&mut answers).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "The service was unable to fulfill your request. Please try again. [code=8a75]");
    drop((requests, answers));
    // What the first stream has got counts on the second: there is no room before its acknowledgement.
    let (requests, mut answers) = open(&stage, named).await;
    let first = within(answers.message()).await.expect("an answer").expect("it goes on");
    assert!(first.received_messages.is_empty());
    let ack_ids = found.into_iter().map(|message| message.ack_id).collect();
    requests.send(pb::StreamingPullRequest { ack_ids, ..Default::default() }).expect("open");
    assert_eq!(messages(&mut answers, 1).await.len(), 1);
}

#[tokio::test]
async fn a_lifetime_of_ones_own() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    stage.pubsub.set_stream_lifetime(Duration::from_secs(5));
    let (_requests, mut answers) = open(&stage, |_| ()).await;
    within(answers.message()).await.expect("the properties");
    stage.advance(Duration::from_secs(5));
    assert_eq!(end(&mut answers).await.code(), Code::Unavailable);
}

#[tokio::test]
async fn requests_keep_to_the_documented_limits() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    for deadline in [0, 9, 601] {
        let (_requests, mut answers) = open(&stage, |first| first.stream_ack_deadline_seconds = deadline).await;
        assert_eq!(end(&mut answers).await.code(), Code::InvalidArgument, "{deadline}");
    }
    let (requests, mut answers) = open(&stage, |_| ()).await;
    requests.send(pb::StreamingPullRequest { protocol_version: 1, ..Default::default() }).expect("open");
    assert_eq!(end(&mut answers).await.code(), Code::InvalidArgument);
    let ack_ids = vec!["x".repeat(200); 2_700];
    let too_much = "Request payload size exceeds the limit: 524288 bytes.";
    let (requests, mut answers) = open(&stage, |_| ()).await;
    requests.send(pb::StreamingPullRequest { ack_ids: ack_ids.clone(), ..Default::default() }).expect("open");
    assert_eq!(end(&mut answers).await.message(), too_much);
    let request = pb::AcknowledgeRequest { subscription: SUB.into(), ack_ids };
    let refused = stage.subscriber.acknowledge(request).await.expect_err("too large");
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, too_much));
}
