//! Push, from publish to an endpoint that answers well, badly, late or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Endpoint, Manner, SUB, Stage, within};
use scrimmage_core::FaultPlan;
use scrimmage_protos::google::pubsub::v1 as pb;

fn to(endpoint: &Endpoint) -> impl FnOnce(&mut pb::Subscription) + use<> {
    let push_endpoint = endpoint.url();
    move |config| config.push_config = Some(pb::PushConfig { push_endpoint, ..Default::default() })
}

#[tokio::test]
async fn an_endpoint_that_says_too_much_has_said_enough() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let push_endpoint = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                // The envelope is small: it comes at once.
                let _ = socket.read(&mut [0; 4_096]).await;
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n").await;
                while socket.write_all(&[b'x'; 65_536]).await.is_ok() {}
            });
        }
    });
    let mut stage = Stage::start().await;
    let mut events = stage.events();
    stage.subscribe(|config| config.push_config = Some(pb::PushConfig { push_endpoint, ..Default::default() })).await;
    stage.publish("x").await;
    let event = events.next("push").await;
    assert!(event.text.ends_with(": 200"), "{}", event.text);
}

#[tokio::test]
async fn a_message_arrives_in_its_envelope() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[]).await;
    stage.subscribe(to(&endpoint)).await;
    let mut events = stage.events();
    let message = pb::PubsubMessage {
        data: "hello".into(),
        attributes: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    let id = stage.publish_message(message).await;
    let pushed = endpoint.next().await;
    assert_eq!(pushed.headers["content-type"], "application/json");
    assert_eq!(
        String::from_utf8_lossy(&pushed.body),
        format!(
            r#"{{"message":{{"attributes":{{"k":"v"}},"data":"aGVsbG8=","messageId":"{id}","message_id":"{id}","publishTime":"2026-01-01T00:00:00Z","publish_time":"2026-01-01T00:00:00Z"}},"subscription":"{SUB}"}}"#
        )
    );
    assert!(events.next("push").await.text.ends_with(": 204"));
    stage.advance(Duration::from_secs(3_600));
    assert!(endpoint.requests.try_recv().is_err());
}

#[tokio::test]
async fn what_is_not_accepted_comes_again_with_the_same_id() {
    let mut stage = Stage::start().await;
    let manners = [Manner::Status(500), Manner::Close, Manner::Status(203), Manner::Status(429), Manner::Status(201)];
    let mut endpoint = Endpoint::start(&manners).await;
    stage.subscribe(to(&endpoint)).await;
    let mut events = stage.events();
    let id = stage.publish("x").await;
    for (manner, backoff) in manners.iter().zip([100, 200, 400, 800, 60_000]) {
        let pushed = endpoint.next().await;
        assert_eq!(pushed.message_id(), id, "{manner:?}");
        assert!(pushed.json().get("deliveryAttempt").is_none());
        events.next("push").await;
        stage.advance(Duration::from_millis(backoff));
    }
    assert!(endpoint.requests.try_recv().is_err(), "the last one acknowledged");
}

#[tokio::test]
async fn a_hanging_handler_still_runs_while_the_message_goes_out_again() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[Manner::Hang]).await;
    stage.subscribe(to(&endpoint)).await;
    let mut events = stage.events();
    let id = stage.publish("x").await;
    let first = endpoint.next().await;
    stage.advance(Duration::from_secs(10));
    events.next("lease_expired").await;
    stage.advance(Duration::from_millis(100));
    let second = endpoint.next().await;
    assert_eq!((first.message_id(), second.message_id()), (id.clone(), id));
    assert!(events.next("push").await.text.ends_with(": 204"));
    first.release.expect("it hangs").send(200).expect("the connection is still open");
    assert!(events.next("push").await.text.ends_with(": 200, too late"));
}

#[tokio::test]
async fn a_refused_connection_is_a_nack() {
    let mut stage = Stage::start().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let push_endpoint = format!("http://{address}/complete");
    stage.subscribe(|config| config.push_config = Some(pb::PushConfig { push_endpoint, ..Default::default() })).await;
    let mut events = stage.events();
    stage.publish("x").await;
    assert!(events.next("push").await.text.contains("onnect"));
    stage.advance(Duration::from_millis(100));
    events.next("push").await;
}

#[tokio::test]
async fn dead_letters_carry_their_attempts() {
    let mut stage = Stage::start().await;
    let dead = "projects/demo/topics/dead";
    stage.publisher.create_topic(pb::Topic { name: dead.into(), ..Default::default() }).await.expect("a topic");
    let mut endpoint = Endpoint::start(&[Manner::Status(500); 5]).await;
    let push = to(&endpoint);
    stage
        .subscribe(|config| {
            push(config);
            config.dead_letter_policy =
                Some(pb::DeadLetterPolicy { dead_letter_topic: dead.into(), max_delivery_attempts: 5 });
        })
        .await;
    let mut events = stage.events();
    stage.publish("poison").await;
    for attempt in 1..=5 {
        assert_eq!(endpoint.next().await.json()["deliveryAttempt"], attempt);
        let kind = if attempt < 5 { "push" } else { "dead_letter" };
        events.next(kind).await;
        stage.advance(Duration::from_secs(2));
    }
}

#[tokio::test]
async fn forty_messages_go_out_at_once_to_a_fast_endpoint() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[]).await;
    stage.subscribe(to(&endpoint)).await;
    for n in 0..40 {
        stage.publish(&n.to_string()).await;
    }
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..40 {
        ids.insert(endpoint.next().await.message_id());
    }
    assert_eq!(ids.len(), 40);
}

#[tokio::test]
async fn a_wider_window_lets_as_many_hang_together() {
    let mut stage = Stage::start().await;
    stage.pubsub.set_push_window(40);
    let mut endpoint = Endpoint::start(&[Manner::Hang; 40]).await;
    stage.subscribe(to(&endpoint)).await;
    for n in 0..40 {
        stage.publish(&n.to_string()).await;
    }
    let mut hanging = Vec::new();
    for _ in 0..40 {
        hanging.push(endpoint.next().await);
    }
    let mut events = stage.events();
    for pushed in hanging {
        pushed.release.expect("it hangs").send(204).expect("open");
    }
    for _ in 0..40 {
        assert!(events.next("push").await.text.ends_with(": 204"));
    }
}

#[tokio::test]
async fn faults_reach_pushes() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[]).await;
    stage.subscribe(to(&endpoint)).await;
    let plan: FaultPlan = serde_json::from_str(
        r#"[{"on": {"service": "pubsub", "method": "Push", "resource": "**/workers", "nth": 1}, "error": "UNAVAILABLE"},
            {"on": {"method": "Push", "nth": 2}, "drop_before": true},
            {"on": {"method": "Push", "nth": 3}, "drop_after": true}]"#,
    )
    .expect("a plan");
    stage.ctx.faults.set(plan).expect("a good plan");
    let mut events = stage.events();
    let id = stage.publish("x").await;
    for (result, backoff) in [("503", 100), ("before the request", 200), ("before the answer", 400), ("204", 0)] {
        let event = events.next("push").await;
        assert!(event.text.contains(result), "{}", event.text);
        stage.advance(Duration::from_millis(backoff));
    }
    // Two of the four reached the endpoint.
    assert_eq!(endpoint.next().await.message_id(), id);
    assert_eq!(endpoint.next().await.message_id(), id);
    assert!(endpoint.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_duplicate_is_the_same_message_again_though_acknowledged() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[]).await;
    stage.subscribe(to(&endpoint)).await;
    stage.pubsub.duplicate_next("**/workers".parse().expect("a pattern"), 1);
    let mut events = stage.events();
    let id = stage.publish("x").await;
    assert_eq!(endpoint.next().await.message_id(), id);
    assert_eq!(endpoint.next().await.message_id(), id);
    events.next("push_duplicate").await;
    let other = stage.publish("y").await;
    assert_eq!(endpoint.next().await.message_id(), other);
    events.next("push").await;
    assert!(endpoint.requests.try_recv().is_err());
}

#[tokio::test]
async fn pull_and_push_change_places() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[]).await;
    stage.subscribe(to(&endpoint)).await;
    let request = pb::PullRequest { subscription: SUB.into(), max_messages: 1, ..Default::default() };
    let refused = stage.subscriber.pull(request.clone()).await.expect_err("a push subscription");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert_eq!(refused.message(), "This method is not supported for this subscription type.");
    let modify = |push_config| pb::ModifyPushConfigRequest { subscription: SUB.into(), push_config };
    stage.subscriber.modify_push_config(modify(Some(pb::PushConfig::default()))).await.expect("ok");
    let id = stage.publish("x").await;
    assert!(endpoint.requests.try_recv().is_err());
    let mut waiting = stage.subscriber.clone();
    assert_eq!(stage.pull_now(1).await.len(), 1);
    let pull = tokio::spawn(async move { waiting.pull(request).await });
    let push = Some(pb::PushConfig { push_endpoint: endpoint.url(), ..Default::default() });
    // Whether the pull waits by now or comes later: it is refused.
    stage.subscriber.modify_push_config(modify(push)).await.expect("ok");
    let refused = within(pull).await.expect("no panic").expect_err("a push subscription now");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    stage.advance(Duration::from_secs(10));
    assert_eq!(endpoint.next().await.message_id(), id);
}

#[tokio::test]
async fn a_push_with_a_service_account_carries_its_token() {
    let mut stage = Stage::start().await;
    let mut endpoint = Endpoint::start(&[]).await;
    let push = to(&endpoint);
    let oidc = |audience: &str| {
        Some(pb::push_config::AuthenticationMethod::OidcToken(pb::push_config::OidcToken {
            service_account_email: "pusher@demo.iam.gserviceaccount.com".into(),
            audience: audience.into(),
        }))
    };
    let made = stage
        .subscribe(|config| {
            push(config);
            config.push_config.as_mut().expect("a push").authentication_method = oidc("");
        })
        .await;
    let mut config = made.push_config.expect("a push");
    assert_eq!(config.attributes["x-goog-version"], "v1");
    let mut events = stage.events();
    stage.publish("x").await;
    let url = endpoint.url();
    let first = claims(&endpoint.next().await);
    events.next("push").await;
    assert_eq!(first["aud"], url);
    assert_eq!(first["email"], "pusher@demo.iam.gserviceaccount.com");
    assert_eq!((first["iat"].as_i64(), first["exp"].as_i64()), (Some(1_767_225_600), Some(1_767_229_200)));
    assert_eq!(first["sub"], first["azp"]);
    stage.advance(Duration::from_secs(3_600));
    config.authentication_method = oidc("https://example.com");
    let modify = pb::ModifyPushConfigRequest { subscription: SUB.into(), push_config: Some(config.clone()) };
    stage.subscriber.modify_push_config(modify).await.expect("ok");
    stage.publish("y").await;
    let second = claims(&endpoint.next().await);
    assert_eq!((second["aud"].as_str(), second["iat"].as_i64()), (Some("https://example.com"), Some(1_767_229_200)));
    config.authentication_method = Some(pb::push_config::AuthenticationMethod::OidcToken(Default::default()));
    let modify = pb::ModifyPushConfigRequest { subscription: SUB.into(), push_config: Some(config) };
    let refused = stage.subscriber.modify_push_config(modify).await.expect_err("nobody's token");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

fn claims(pushed: &common::Pushed) -> serde_json::Value {
    use base64::Engine as _;
    let token = pushed.headers["authorization"].to_str().expect("text").strip_prefix("Bearer ").expect("a token");
    let part = token.split('.').nth(1).expect("three parts");
    let part = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).expect("base64");
    serde_json::from_slice(&part).expect("JSON")
}

#[tokio::test]
async fn an_endpoint_with_tls_needs_no_real_certificate_on_this_machine() {
    let mut stage = Stage::start().await;
    let (address, mut requests) = common::tls::start().await;
    let push_endpoint = format!("https://localhost:{}/complete", address.port());
    stage.subscribe(|config| config.push_config = Some(pb::PushConfig { push_endpoint, ..Default::default() })).await;
    let mut events = stage.events();
    let id = stage.publish("x").await;
    assert_eq!(within(requests.recv()).await.expect("a push").message_id(), id);
    assert!(events.next("push").await.text.ends_with(": 204"));
}
