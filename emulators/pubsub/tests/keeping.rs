//! The folder that state is kept in: full disks, and what comes back after a restart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{SUB, Stage, TOPIC, within};
use scrimmage_core::data::DataFaults;
use scrimmage_core::{Context, DataDir, Timestamp};
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::message_transform::Transform;
use scrimmage_pubsub::engine::{Engine, subscriptions, topics};
use tonic::Code;

fn in_folder(folder: &tempfile::TempDir) -> Context {
    Stage::context().with_data(DataDir::open(folder.path()).expect("it opens"))
}

fn faults(stage: &Stage) -> &DataFaults {
    stage.ctx.data.as_ref().expect("a folder").faults()
}

async fn topic(stage: &mut Stage, name: &str) -> Result<(), tonic::Status> {
    stage.publisher.create_topic(pb::Topic { name: name.into(), ..Default::default() }).await.map(|_| ())
}

async fn publish(stage: &mut Stage, data: &[u8]) -> Result<(), tonic::Status> {
    let messages = vec![pb::PubsubMessage { data: data.to_vec().into(), ..Default::default() }];
    stage.publisher.publish(pb::PublishRequest { topic: TOPIC.into(), messages }).await.map(|_| ())
}

fn pull(stage: &Stage) -> impl Future<Output = Result<Vec<pb::ReceivedMessage>, tonic::Status>> + Send + 'static {
    let mut subscriber = stage.subscriber.clone();
    async move {
        let request = pb::PullRequest { subscription: SUB.into(), max_messages: 10, ..Default::default() };
        subscriber.pull(request).await.map(|answer| answer.into_inner().received_messages)
    }
}

fn texts(received: &[pb::ReceivedMessage]) -> Vec<String> {
    let text = |one: &pb::ReceivedMessage| String::from_utf8_lossy(&one.message.as_ref().unwrap().data).into_owned();
    received.iter().map(text).collect()
}

#[tokio::test]
async fn a_log_that_cannot_be_written_anew_refuses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::open(in_folder(&folder)).await;
    topic(&mut stage, TOPIC).await.expect("a topic");
    stage.subscribe(|_| ()).await;
    faults(&stage).fail_replace(true);
    let mut events = stage.events();
    for _ in 0..3 {
        publish(&mut stage, &[b'x'; 8 << 20]).await.expect("an id");
        let got = stage.pull_now(10).await;
        assert_eq!(got.len(), 1);
        stage.ack(&got[0]).await.expect("it counts");
    }
    let said = events.next("data").await;
    assert!(said.text.contains("goes on growing"), "{}", said.text);
}

#[tokio::test]
async fn after_a_failed_write_nothing_changes_until_the_disk_is_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::open(in_folder(&folder)).await;
    topic(&mut stage, TOPIC).await.expect("a topic");
    stage.subscribe(|_| ()).await;
    let waiting = tokio::spawn(pull(&stage));
    faults(&stage).fail_append(true);
    let refused = publish(&mut stage, b"in doubt").await.expect_err("the disk is full");
    assert_eq!(refused.code(), Code::Internal);
    let other = "projects/demo/topics/other";
    for _ in 0..2 {
        let refused = topic(&mut stage, other).await.expect_err("the disk is full");
        assert!(refused.message().starts_with("The change is not on disk"), "{refused}");
    }
    assert_eq!(within(pull(&stage)).await.expect_err("a lease would not be kept").code(), Code::Internal);
    let get = pb::GetTopicRequest { topic: TOPIC.into() };
    stage.publisher.get_topic(get).await.expect("looking changes nothing");
    let get = pb::GetTopicRequest { topic: other.into() };
    assert_eq!(stage.publisher.get_topic(get).await.expect_err("refused means not done").code(), Code::NotFound);
    stage.advance(Duration::from_secs(3_600));
    faults(&stage).fail_append(false);
    topic(&mut stage, other).await.expect("a topic");
    // Whoever waited was told, or has the one change that was in doubt.
    let mut got = match within(waiting).await.expect("no panic") {
        Ok(got) => texts(&got),
        Err(status) => {
            assert_eq!(status.code(), Code::Internal);
            Vec::new()
        }
    };
    publish(&mut stage, b"after").await.expect("an id");
    while got.last().is_none_or(|last| last != "after") {
        let more = within(pull(&stage)).await.expect("messages");
        for one in &more {
            stage.ack(one).await.expect("it counts");
        }
        got.extend(texts(&more));
    }
    assert_eq!(got, ["in doubt", "after"]);
}

#[tokio::test]
async fn a_pull_whose_answer_is_lost_takes_nothing_from_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::open(in_folder(&folder)).await;
    topic(&mut stage, TOPIC).await.expect("a topic");
    stage.subscribe(|_| ()).await;
    publish(&mut stage, b"old").await.expect("an id");
    faults(&stage).fail_append(true);
    // What is due now would have to be kept, by whoever comes first.
    stage.advance(Duration::from_secs(8 * 24 * 3_600));
    for _ in 0..3 {
        within(pull(&stage)).await.expect_err("the disk is full");
    }
    faults(&stage).fail_append(false);
    let waiting = tokio::spawn(pull(&stage));
    publish(&mut stage, b"new").await.expect("an id");
    assert_eq!(texts(&within(waiting).await.expect("no panic").expect("messages")), ["new"]);
}

#[tokio::test]
async fn a_reset_that_cannot_be_kept_does_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage::open(in_folder(&folder)).await;
    topic(&mut stage, TOPIC).await.expect("a topic");
    faults(&stage).fail_replace(true);
    stage.pubsub.reset().expect_err("the disk is full");
    let get = pb::GetTopicRequest { topic: TOPIC.into() };
    stage.publisher.get_topic(get.clone()).await.expect("still there");
    faults(&stage).fail_replace(false);
    stage.pubsub.reset().expect("the disk is well");
    stage.publisher.get_topic(get).await.expect_err("gone");
}

/// A folder whose subscription, and perhaps topic, has code that does not come to an end.
fn with_endless_code(folder: &tempfile::TempDir, on_topic: bool) {
    let udf = pb::JavaScriptUdf { function_name: "f".into(), code: "while (true) {}".into() };
    let endless = vec![pb::MessageTransform { transform: Some(Transform::JavascriptUdf(udf)), ..Default::default() }];
    let (now, mut engine) = (Timestamp::from_micros(1_767_225_600_000_000), Engine::new(1));
    let topic = pb::Topic {
        name: TOPIC.into(),
        message_transforms: if on_topic { endless.clone() } else { Vec::new() },
        ..Default::default()
    };
    engine.apply(now, topics::CreateTopic(topic)).expect("the engine runs no code");
    let subscription =
        pb::Subscription { name: SUB.into(), topic: TOPIC.into(), message_transforms: endless, ..Default::default() };
    engine.apply(now, subscriptions::CreateSubscription(subscription)).expect("the engine runs no code");
    let data = DataDir::open(folder.path()).expect("it opens");
    let mut log = data.log("pubsub", |_| Ok(())).expect("it opens");
    log.replace(engine.export()).expect("written");
}

#[tokio::test]
async fn code_that_does_not_compile_any_more_fails_messages_and_lets_none_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    with_endless_code(&folder, true);
    let mut stage = Stage::open(in_folder(&folder)).await;
    let refused = publish(&mut stage, b"x").await.expect_err("its transform cannot be run");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("no result after"), "{refused}");
    drop(stage);

    let folder = tempfile::tempdir().expect("a folder");
    with_endless_code(&folder, false);
    let mut stage = Stage::open(in_folder(&folder)).await;
    let mut events = stage.events();
    publish(&mut stage, b"x").await.expect("an id");
    assert!(stage.pull_now(10).await.is_empty());
    assert!(events.next("transform_failed").await.text.contains("no result after"));
    // Other code, and it goes on.
    let request = pb::UpdateSubscriptionRequest {
        subscription: Some(pb::Subscription { name: SUB.into(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["message_transforms".into()] }),
    };
    stage.subscriber.update_subscription(request).await.expect("updated");
    stage.advance(Duration::from_secs(60));
    assert_eq!(texts(&stage.pull_now(10).await), ["x"]);
}
