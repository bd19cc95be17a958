//! Pull, streaming pull and the management calls, through the generated clients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{SUB, Stage, TOPIC, within};
use scrimmage_protos::google::pubsub::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Streaming};

struct Opened {
    requests: mpsc::UnboundedSender<pb::StreamingPullRequest>,
    answers: Streaming<pb::StreamingPullResponse>,
}

impl Opened {
    async fn start(stage: &Stage, change: impl FnOnce(&mut pb::StreamingPullRequest)) -> Opened {
        let mut first = pb::StreamingPullRequest {
            subscription: SUB.into(),
            stream_ack_deadline_seconds: 10,
            ..Default::default()
        };
        change(&mut first);
        let (requests, inbound) = mpsc::unbounded_channel();
        requests.send(first).expect("open");
        let mut subscriber = stage.subscriber.clone();
        let answers = subscriber.streaming_pull(UnboundedReceiverStream::new(inbound)).await.expect("a stream");
        Opened { requests, answers: answers.into_inner() }
    }

    /// The next answer that says something.
    async fn next(&mut self) -> Result<pb::StreamingPullResponse, tonic::Status> {
        within(async {
            loop {
                let answer = self.answers.message().await?.expect("the stream goes on");
                if !answer.received_messages.is_empty()
                    || answer.acknowledge_confirmation.is_some()
                    || answer.modify_ack_deadline_confirmation.is_some()
                {
                    return Ok(answer);
                }
            }
        })
        .await
    }

    /// The next messages' data.
    async fn messages(&mut self, count: usize) -> Vec<pb::ReceivedMessage> {
        let mut found = Vec::new();
        while found.len() < count {
            found.extend(self.next().await.expect("messages").received_messages);
        }
        found
    }

    fn ack(&self, messages: &[pb::ReceivedMessage]) {
        let ack_ids = messages.iter().map(|message| message.ack_id.clone()).collect();
        self.requests.send(pb::StreamingPullRequest { ack_ids, ..Default::default() }).expect("open");
    }

    fn modify(&self, message: &pb::ReceivedMessage, seconds: i32) {
        let request = pb::StreamingPullRequest {
            modify_deadline_ack_ids: vec![message.ack_id.clone()],
            modify_deadline_seconds: vec![seconds],
            ..Default::default()
        };
        self.requests.send(request).expect("open");
    }
}

fn data(messages: &[pb::ReceivedMessage]) -> Vec<String> {
    messages.iter().filter_map(|m| Some(String::from_utf8_lossy(&m.message.as_ref()?.data).into_owned())).collect()
}

#[tokio::test]
async fn a_waiting_pull_is_served_by_the_next_publish() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let mut subscriber = stage.subscriber.clone();
    let request = pb::PullRequest { subscription: SUB.into(), max_messages: 5, ..Default::default() };
    let pull = tokio::spawn(async move { subscriber.pull(request).await });
    stage.publish("a").await;
    let answer = within(pull).await.expect("no panic").expect("an answer").into_inner();
    assert_eq!(data(&answer.received_messages), ["a"]);
}

#[tokio::test]
async fn an_empty_pull_answers_before_the_client_gives_up() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let mut request =
        tonic::Request::new(pb::PullRequest { subscription: SUB.into(), max_messages: 5, ..Default::default() });
    request.set_timeout(Duration::from_millis(400));
    let answer = stage.subscriber.pull(request).await.expect("not the client's deadline");
    assert_eq!(answer.into_inner().received_messages.len(), 0);
}

#[tokio::test]
async fn an_empty_pull_without_a_deadline_answers_by_the_suites_clock() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let mut subscriber = stage.subscriber.clone();
    let request = pb::PullRequest { subscription: SUB.into(), max_messages: 5, ..Default::default() };
    let pull = tokio::spawn(async move { subscriber.pull(request).await });
    while !pull.is_finished() {
        stage.advance(Duration::from_secs(30));
        // A round trip: time for the pull to be seen.
        stage.pull_now(1).await;
    }
    assert_eq!(pull.await.expect("no panic").expect("an answer").into_inner().received_messages.len(), 0);
}

#[tokio::test]
async fn a_stream_delivers_redelivers_and_is_acknowledged() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let mut stream = Opened::start(&stage, |_| ()).await;
    stage.publish("a").await;
    let first = stream.messages(1).await;
    stage.advance(Duration::from_secs(10));
    let second = stream.messages(1).await;
    assert_eq!(data(&first), data(&second));
    stream.modify(&second[0], 0);
    let third = stream.messages(1).await;
    stream.ack(&third);
    stage.publish("b").await;
    assert_eq!(data(&stream.messages(1).await), ["b"], "behind the acknowledgement");
    stage.advance(Duration::from_secs(10));
    assert_eq!(data(&stream.messages(1).await), ["b"], "and nothing else comes again");
}

#[tokio::test]
async fn flow_control_counts_what_is_out() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    for n in 0..3 {
        stage.publish(&n.to_string()).await;
    }
    let mut stream = Opened::start(&stage, |first| first.max_outstanding_messages = 1).await;
    for n in 0..3 {
        let got = stream.messages(1).await;
        assert_eq!(data(&got), [n.to_string()]);
        stream.ack(&got);
    }
}

#[tokio::test]
async fn flow_control_by_bytes_lets_the_message_through_that_reaches_the_limit() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    stage.publish("big").await;
    stage.publish("next").await;
    let mut stream = Opened::start(&stage, |first| first.max_outstanding_bytes = 1).await;
    let got = stream.next().await.expect("messages").received_messages;
    assert_eq!(data(&got), ["big"]);
    stream.ack(&got);
    assert_eq!(data(&stream.messages(1).await), ["next"]);
}

#[tokio::test]
async fn exactly_once_streams_are_told_what_counted() {
    let mut stage = Stage::start().await;
    stage.subscribe(|config| config.enable_exactly_once_delivery = true).await;
    let mut stream = Opened::start(&stage, |_| ()).await;
    stage.publish("a").await;
    let answer = stream.next().await.expect("messages");
    assert!(answer.subscription_properties.expect("properties").exactly_once_delivery_enabled);
    let got = answer.received_messages;
    stream.modify(&got[0], 30);
    let confirmed = stream.next().await.expect("a confirmation");
    assert_eq!(confirmed.modify_ack_deadline_confirmation.expect("it").ack_ids, [got[0].ack_id.clone()]);
    stage.advance(Duration::from_secs(29));
    stream.ack(&got);
    let confirmed = stream.next().await.expect("a confirmation");
    assert_eq!(confirmed.acknowledge_confirmation.expect("it").ack_ids, [got[0].ack_id.clone()]);
    stream.ack(&got);
    let confirmed = stream.next().await.expect("a confirmation");
    assert!(confirmed.subscription_properties.expect("properties").exactly_once_delivery_enabled);
    assert_eq!(confirmed.acknowledge_confirmation.expect("it").invalid_ack_ids, [got[0].ack_id.clone()]);
    let refused = stage.ack(&got[0]).await.expect_err("twice");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = String::from_utf8_lossy(refused.details()).into_owned();
    assert!(details.contains("PERMANENT_FAILURE_INVALID_ACK_ID"), "{details}");
}

#[tokio::test]
async fn a_stream_ends_with_its_subscription_and_with_a_reset() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let mut stream = Opened::start(&stage, |_| ()).await;
    stage.subscriber.delete_subscription(pb::DeleteSubscriptionRequest { subscription: SUB.into() }).await.expect("ok");
    assert_eq!(stream.next().await.expect_err("the end").code(), Code::NotFound);
    stage.subscribe(|_| ()).await;
    let mut stream = Opened::start(&stage, |_| ()).await;
    stage.pubsub.reset().expect("nothing is kept");
    assert_eq!(stream.next().await.expect_err("the end").code(), Code::Unavailable);
    let gone = stage.publisher.get_topic(pb::GetTopicRequest { topic: TOPIC.into() }).await.expect_err("reset");
    assert_eq!(gone.message(), "Resource not found (resource=requests).");
}

#[tokio::test]
async fn only_the_first_request_of_a_stream_may_set_it_up() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let mut stream = Opened::start(&stage, |_| ()).await;
    let again = pb::StreamingPullRequest { max_outstanding_messages: 5, ..Default::default() };
    stream.requests.send(again).expect("open");
    assert_eq!(stream.next().await.expect_err("the end").code(), Code::InvalidArgument);
    let mut stream = Opened::start(&stage, |first| first.stream_ack_deadline_seconds = 601).await;
    assert_eq!(
        stream.next().await.expect_err("the end").message(),
        "Invalid ack deadline given (ack_deadline=601). The ack deadline must be between 0 and 600 seconds."
    );
}

#[tokio::test]
async fn a_gone_streams_work_goes_to_another() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let mut first = Opened::start(&stage, |_| ()).await;
    stage.publish("a").await;
    first.messages(1).await;
    drop(first);
    let mut second = Opened::start(&stage, |_| ()).await;
    stage.advance(Duration::from_secs(10));
    assert_eq!(data(&second.messages(1).await), ["a"]);
}

#[tokio::test]
async fn a_seek_brings_back_what_was_retained() {
    let mut stage = Stage::start().await;
    stage.subscribe(|config| config.retain_acked_messages = true).await;
    stage.publish("a").await;
    let got = stage.pull_now(1).await;
    stage.ack(&got[0]).await.expect("ok");
    let snapshot = "projects/demo/snapshots/moment".to_owned();
    let request = pb::CreateSnapshotRequest { name: snapshot.clone(), subscription: SUB.into(), ..Default::default() };
    stage.subscriber.create_snapshot(request).await.expect("a snapshot");
    stage.advance(Duration::from_secs(5));
    stage.publish("b").await;
    let got = stage.pull_now(1).await;
    stage.ack(&got[0]).await.expect("ok");
    let seek = |target| pb::SeekRequest { subscription: SUB.into(), target: Some(target) };
    stage.subscriber.seek(seek(pb::seek_request::Target::Snapshot(snapshot))).await.expect("ok");
    let got = stage.pull_now(5).await;
    assert_eq!(data(&got), ["b"]);
    let start = prost_types::Timestamp { seconds: 1_767_225_600, nanos: 0 };
    stage.subscriber.seek(seek(pb::seek_request::Target::Time(start))).await.expect("ok");
    assert_eq!(data(&stage.pull_now(5).await), ["a", "b"]);
    let end = prost_types::Timestamp { seconds: 1_767_225_700, nanos: 0 };
    stage.subscriber.seek(seek(pb::seek_request::Target::Time(end))).await.expect("ok");
    stage.advance(Duration::from_secs(100));
    assert_eq!(stage.pull_now(5).await.len(), 0);
}

#[tokio::test]
async fn a_detached_subscription_is_empty_and_refuses_pulls() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    stage.publish("a").await;
    let request = pb::DetachSubscriptionRequest { subscription: SUB.into() };
    stage.publisher.detach_subscription(request).await.expect("ok");
    let request = pb::GetSubscriptionRequest { subscription: SUB.into() };
    assert!(stage.subscriber.get_subscription(request).await.expect("it").into_inner().detached);
    let request = pb::PullRequest { subscription: SUB.into(), max_messages: 1, ..Default::default() };
    assert_eq!(stage.subscriber.pull(request).await.expect_err("detached").code(), Code::FailedPrecondition);
    let listed = stage
        .publisher
        .list_topic_subscriptions(pb::ListTopicSubscriptionsRequest { topic: TOPIC.into(), ..Default::default() })
        .await
        .expect("a list");
    assert_eq!(listed.into_inner().subscriptions, [""; 0]);
}
