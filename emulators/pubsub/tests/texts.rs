//! The texts that production answers with, word for word.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{SUB, Stage, TOPIC};
use scrimmage_protos::google::pubsub::v1 as pb;
use tonic::Code;

fn said<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), status.message().to_owned())
}

fn invalid(text: &str) -> (Code, String) {
    (Code::InvalidArgument, text.to_owned())
}

#[tokio::test]
async fn resources() {
    let mut stage = Stage::start().await;
    let get = |topic: &str| pb::GetTopicRequest { topic: topic.to_owned() };
    assert_eq!(
        said(stage.publisher.get_topic(get("projects/demo/topics/none")).await),
        (Code::NotFound, "Resource not found (resource=none).".to_owned())
    );
    assert_eq!(
        said(stage.publisher.create_topic(pb::Topic { name: TOPIC.into(), ..Default::default() }).await),
        (Code::AlreadyExists, "Resource already exists in the project (resource=requests).".to_owned())
    );
    assert_eq!(
        said(
            stage.publisher.create_topic(pb::Topic { name: "projects/p/topics/ab".into(), ..Default::default() }).await
        ),
        invalid(
            "Invalid resource name given (name=projects/p/topics/ab). Refer to \
             https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
        )
    );
    let create = pb::Subscription { name: SUB.into(), topic: "projects/demo/topics/none".into(), ..Default::default() };
    assert_eq!(
        said(stage.subscriber.create_subscription(create).await),
        (Code::NotFound, "Resource not found (resource=none).".to_owned())
    );
}

#[tokio::test]
async fn pulls_and_acknowledgements() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    for max_messages in [0, -1] {
        let request = pb::PullRequest { subscription: SUB.into(), max_messages, ..Default::default() };
        assert_eq!(
            said(stage.subscriber.pull(request).await),
            invalid("You have passed an invalid argument to the service (argument=max_messages).")
        );
    }
    let ack = |ids: &[&str]| pb::AcknowledgeRequest {
        subscription: SUB.into(),
        ack_ids: ids.iter().map(|id| id.to_string()).collect(),
    };
    assert_eq!(
        said(stage.subscriber.acknowledge(ack(&[])).await),
        invalid("You have not specified an ack ID in the request.")
    );
    assert_eq!(
        said(stage.subscriber.acknowledge(ack(&["not-an-ack-id"])).await),
        invalid("You have passed an invalid ack ID to the service (ack_id=not-an-ack-id).")
    );
    stage.publish("x").await;
    let got = stage.pull_now(1).await;
    for seconds in [601, -1] {
        let request = pb::ModifyAckDeadlineRequest {
            subscription: SUB.into(),
            ack_ids: vec![got[0].ack_id.clone()],
            ack_deadline_seconds: seconds,
        };
        assert_eq!(
            said(stage.subscriber.modify_ack_deadline(request).await),
            invalid(&format!(
                "Invalid ack deadline given (ack_deadline={seconds}). The ack deadline must be between 0 and 600 seconds."
            ))
        );
    }
}

#[tokio::test]
async fn publishing() {
    let mut stage = Stage::start().await;
    let publish = |messages| pb::PublishRequest { topic: TOPIC.into(), messages };
    let small = pb::PubsubMessage { data: "x".into(), ..Default::default() };
    assert_eq!(
        said(stage.publisher.publish(publish(vec![])).await),
        invalid("The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.")
    );
    assert_eq!(
        said(stage.publisher.publish(publish(vec![small.clone(); 1_001])).await),
        invalid(
            "The value for message_count is too large. You passed 1001 in the request, but the maximum value is 1000."
        )
    );
    assert_eq!(
        stage.publisher.publish(publish(vec![small; 1_000])).await.expect("ids").into_inner().message_ids.len(),
        1_000
    );
    let attribute = |key: String, value: String| {
        let attributes = [(key, value)].into();
        vec![pb::PubsubMessage { attributes, ..Default::default() }]
    };
    assert_eq!(
        said(stage.publisher.publish(publish(attribute("k".repeat(257), String::new()))).await),
        invalid(
            "The attribute \"\" in the request has a key that is too long. The length is 257 characters, but the maximum \
             allowed is 256. Refer to https://cloud.google.com/pubsub/quotas for more information."
        )
    );
    assert_eq!(
        said(stage.publisher.publish(publish(attribute("k".to_owned(), "v".repeat(1_025)))).await),
        invalid(
            "The attribute \"k\" in the request has a value that is too long. The length is 1025 characters, but the \
             maximum allowed is 1024. Refer to https://cloud.google.com/pubsub/quotas for more information."
        )
    );
    let sized = |size: usize| vec![pb::PubsubMessage { data: vec![7; size].into(), ..Default::default() }];
    let (code, text) = said(stage.publisher.publish(publish(sized(10_000_000))).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.starts_with("The value for request_size is too large. You passed 100000"), "{text}");
    assert!(text.ends_with(" in the request, but the maximum value is 10000000."), "{text}");
    assert_eq!(
        said(stage.publisher.publish(publish(sized(10_485_761))).await),
        invalid("Request payload size exceeds the limit: 10485760 bytes.")
    );
}

#[tokio::test]
async fn durations() {
    let mut stage = Stage::start().await;
    let retention = |seconds| pb::Subscription {
        name: SUB.into(),
        topic: TOPIC.into(),
        message_retention_duration: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..Default::default()
    };
    assert_eq!(
        said(stage.subscriber.create_subscription(retention(599)).await),
        invalid(
            "The value for message retention duration is out of bounds. You passed 9m59s in the request, but the value \
             must be between 10m and 744h."
        )
    );
    let expiration = pb::Subscription {
        name: SUB.into(),
        topic: TOPIC.into(),
        expiration_policy: Some(pb::ExpirationPolicy { ttl: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }) }),
        ..Default::default()
    };
    assert_eq!(
        said(stage.subscriber.create_subscription(expiration).await),
        invalid(
            "The value for expiration duration is too small. You passed 1h in the request, but the minimum value is 24h."
        )
    );
}

#[tokio::test]
async fn policies() {
    let mut stage = Stage::start().await;
    let base = || pb::Subscription { name: SUB.into(), topic: TOPIC.into(), ..Default::default() };
    let dead_letter = |attempts| pb::Subscription {
        dead_letter_policy: Some(pb::DeadLetterPolicy {
            dead_letter_topic: TOPIC.into(),
            max_delivery_attempts: attempts,
        }),
        ..base()
    };
    for (attempts, text) in [(4, "small. You passed 4 in the request, but the minimum value is 5."), (101, "large.")] {
        let (_, said) = said(stage.subscriber.create_subscription(dead_letter(attempts)).await);
        assert!(said.starts_with(&format!("The value for max_delivery_attempts is too {text}")), "{said}");
    }
    let retry = pb::RetryPolicy {
        minimum_backoff: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
        maximum_backoff: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
    };
    assert_eq!(
        said(stage.subscriber.create_subscription(pb::Subscription { retry_policy: Some(retry), ..base() }).await),
        invalid(
            "The value for maximum_backoff is too small. You passed 10s in the request, but the minimum value is 20s."
        )
    );
    let push = pb::PushConfig { push_endpoint: "here".into(), ..Default::default() };
    assert_eq!(
        said(stage.subscriber.create_subscription(pb::Subscription { push_config: Some(push), ..base() }).await),
        invalid(
            "Invalid push endpoint given (endpoint=here). Refer to \
             https://cloud.google.com/pubsub/docs/subscriber#create for more information."
        )
    );
    let bad = pb::Subscription { filter: "attributes.a = b".into(), ..base() };
    let (code, _) = said(stage.subscriber.create_subscription(bad).await);
    assert_eq!(code, Code::InvalidArgument);
    let sink = pb::BigQueryConfig { table: "p.d.t".into(), ..Default::default() };
    let (code, text) =
        said(stage.subscriber.create_subscription(pb::Subscription { bigquery_config: Some(sink), ..base() }).await);
    assert_eq!(
        (code, text.as_str()),
        (Code::Unimplemented, "A BigQuery subscription (bigquery_config) is not supported yet.")
    );
}

#[tokio::test]
async fn defaults() {
    let mut stage = Stage::start().await;
    let made = stage.subscribe(|_| ()).await;
    assert_eq!(made.ack_deadline_seconds, 10);
    assert_eq!(made.message_retention_duration.map(|duration| duration.seconds), Some(604_800));
    assert_eq!(made.expiration_policy.and_then(|policy| policy.ttl).map(|ttl| ttl.seconds), Some(2_678_400));
    assert_eq!(made.state(), pb::subscription::State::Active);
    assert_eq!(made.push_config, Some(pb::PushConfig::default()));
}

#[tokio::test]
async fn lists_have_pages() {
    let mut stage = Stage::start().await;
    for n in 0..5 {
        stage.subscribe(|config| config.name = format!("{SUB}-{n}")).await;
    }
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListSubscriptionsRequest { project: "projects/demo".into(), page_size: 2, page_token };
        let page = stage.subscriber.list_subscriptions(request).await.expect("a page").into_inner();
        assert!(page.subscriptions.len() <= 2);
        names.extend(page.subscriptions.into_iter().map(|subscription| subscription.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, (0..5).map(|n| format!("{SUB}-{n}")).collect::<Vec<_>>());
}
