//! Message transforms: on topics before messages are published, on subscriptions as they are delivered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Endpoint, SUB, Stage, TOPIC, within};
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::message_transform::Transform;
use tonic::Code;

/// Drops what is marked, fails on what is bad, and shouts the rest.
const CODE: &str = "function f(message, metadata) {
    if (message.attributes.drop) return null;
    if (message.data === 'bad') throw new Error('bad message');
    return {data: message.data.toUpperCase(), attributes: {was: message.data, id: metadata.message_id || 'none'}};
}";

fn udf(code: &str) -> Vec<pb::MessageTransform> {
    let udf = pb::JavaScriptUdf { function_name: "f".into(), code: code.into() };
    vec![pb::MessageTransform { transform: Some(Transform::JavascriptUdf(udf)), ..Default::default() }]
}

fn message(data: &str) -> pb::PubsubMessage {
    pb::PubsubMessage { data: data.to_owned().into(), ..Default::default() }
}

fn dropped() -> pb::PubsubMessage {
    pb::PubsubMessage { attributes: [("drop".to_owned(), "yes".to_owned())].into(), ..message("x") }
}

async fn publish(stage: &mut Stage, messages: Vec<pb::PubsubMessage>) -> Result<Vec<String>, tonic::Status> {
    let request = pb::PublishRequest { topic: TOPIC.into(), messages };
    stage.publisher.publish(request).await.map(|answer| answer.into_inner().message_ids)
}

#[tokio::test]
async fn a_topic_publishes_what_its_transform_makes_of_it() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let update = |code: &str| pb::UpdateTopicRequest {
        topic: Some(pb::Topic { name: TOPIC.into(), message_transforms: udf(code), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["message_transforms".into()] }),
    };
    let refused = stage.publisher.update_topic(update("function f(")).await.expect_err("no code");
    assert_eq!(refused.code(), Code::InvalidArgument);
    stage.publisher.update_topic(update(CODE)).await.expect("updated");
    let ids = publish(&mut stage, vec![message("a"), dropped(), message("b")]).await.expect("ids");
    assert_eq!(ids.len(), 3);
    let got = stage.pull_now(10).await;
    let texts: Vec<_> = got.iter().filter_map(|got| got.message.clone()).map(|m| (m.data, m.message_id)).collect();
    assert_eq!(texts, [("A".into(), ids[0].clone()), ("B".into(), ids[2].clone())]);
    assert_eq!(got[0].message.as_ref().expect("a message").attributes["id"], "none");
    let refused = publish(&mut stage, vec![message("a"), message("bad")]).await.expect_err("one is bad");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("bad message"), "{refused}");
    assert!(stage.pull_now(10).await.is_empty(), "all or none");
    stage.publisher.update_topic(update("function f(m) { return m; }")).await.expect("updated");
    publish(&mut stage, vec![message("bad")]).await.expect("other code");
}

#[tokio::test]
async fn a_subscription_delivers_what_its_transform_makes_of_it() {
    let mut stage = Stage::start().await;
    stage.subscribe(|config| config.message_transforms = udf(CODE)).await;
    let ids = publish(&mut stage, vec![dropped(), message("a"), dropped()]).await.expect("ids");
    let got = stage.pull_now(10).await;
    assert_eq!(got.len(), 1);
    let first = got[0].message.clone().expect("a message");
    assert_eq!((first.data.as_ref(), &first.attributes["id"], &first.message_id), (&b"A"[..], &ids[1], &ids[1]));
    stage.ack(&got[0]).await.expect("acknowledged");
    stage.advance(Duration::from_secs(3_600));
    assert!(stage.pull_now(10).await.is_empty(), "what is filtered is done with");
    // A pull that waits goes on to wait where everything is filtered.
    let mut waiting = stage.subscriber.clone();
    let request = pb::PullRequest { subscription: SUB.into(), max_messages: 10, ..Default::default() };
    let pull = tokio::spawn(async move { waiting.pull(request).await });
    publish(&mut stage, vec![dropped()]).await.expect("ids");
    publish(&mut stage, vec![message("late")]).await.expect("ids");
    let got = within(pull).await.expect("no panic").expect("an answer").into_inner().received_messages;
    assert_eq!(got[0].message.as_ref().expect("a message").data, "LATE");
}

#[tokio::test]
async fn slow_code_holds_nothing_back_for_long() {
    let mut stage = Stage::start().await;
    stage
        .subscribe(|config| {
            config.message_transforms =
                udf("function f(m) { const until = Date.now() + 150; while (Date.now() < until) {} return m; }");
        })
        .await;
    let ids = publish(&mut stage, vec![message("x"); 10]).await.expect("ids");
    let first = stage.pull_now(10).await;
    assert!(first.len() < ids.len(), "those that were done in time, the others can be had");
    let mut got = std::collections::BTreeSet::new();
    let mut received = first;
    while got.len() < ids.len() {
        for one in &received {
            stage.ack(one).await.expect("its lease is good");
            assert!(got.insert(one.message.clone().expect("a message").message_id), "once");
        }
        if received.is_empty() {
            // On a busy machine a call may take too long, and its message rests.
            stage.advance(Duration::from_secs(60));
        }
        received = stage.pull_now(10).await;
    }
}

#[tokio::test]
async fn what_fails_comes_again_and_ends_as_a_dead_letter() {
    let mut stage = Stage::start().await;
    let dead = "projects/demo/topics/dead";
    let graves = "projects/demo/subscriptions/graves";
    stage.publisher.create_topic(pb::Topic { name: dead.into(), ..Default::default() }).await.expect("a topic");
    let config = pb::Subscription { name: graves.into(), topic: dead.into(), ..Default::default() };
    stage.subscriber.create_subscription(config).await.expect("a subscription");
    stage
        .subscribe(|config| {
            config.message_transforms = udf(CODE);
            config.dead_letter_policy =
                Some(pb::DeadLetterPolicy { dead_letter_topic: dead.into(), max_delivery_attempts: 5 });
        })
        .await;
    publish(&mut stage, vec![message("bad")]).await.expect("an id");
    for _ in 0..5 {
        assert!(stage.pull_now(10).await.is_empty());
        stage.advance(Duration::from_secs(60));
    }
    #[allow(deprecated, reason = "what clients send")]
    let pull = pb::PullRequest { subscription: graves.into(), return_immediately: true, max_messages: 10 };
    let buried = stage.subscriber.pull(pull).await.expect("an answer").into_inner().received_messages;
    let buried = buried[0].message.clone().expect("a message");
    assert_eq!(buried.data, "bad", "as it was published");
    assert_eq!(buried.attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "5");
}

#[tokio::test]
async fn streams_and_pushes_are_transformed_too() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[]).await;
    let push_endpoint = endpoint.url();
    stage
        .subscribe(|config| {
            config.message_transforms = udf(CODE);
            config.push_config = Some(pb::PushConfig { push_endpoint, ..Default::default() });
        })
        .await;
    let streamed = "projects/demo/subscriptions/streamed";
    stage
        .subscribe(|config| {
            config.name = streamed.into();
            config.message_transforms = udf(CODE);
        })
        .await;
    let first = pb::StreamingPullRequest {
        subscription: streamed.into(),
        stream_ack_deadline_seconds: 10,
        ..Default::default()
    };
    let requests = tokio_stream::StreamExt::chain(tokio_stream::iter([first]), tokio_stream::pending());
    let mut stream = stage.subscriber.streaming_pull(requests).await.expect("a stream").into_inner();
    let ids = publish(&mut stage, vec![dropped(), message("a")]).await.expect("ids");
    let pushed = endpoint.next().await;
    assert_eq!((pushed.message_id(), pushed.json()["message"]["data"].as_str()), (ids[1].clone(), Some("QQ==")));
    let received = loop {
        let answer = within(stream.message()).await.expect("no error").expect("an answer");
        if !answer.received_messages.is_empty() {
            break answer.received_messages;
        }
    };
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].message.as_ref().expect("a message").data, "A");
}
