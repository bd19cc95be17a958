//! Every kind of fault, over both protocols, on a virtual clock.

mod common;

use std::time::Duration;

use common::{calls, h1, publisher, rest, set_faults, start, topic, until};
use scrimmage_core::Code;
use scrimmage_gateway::Gateway;
use serde_json::{Value, json};

fn seen(gateway: &Gateway) -> u64 {
    gateway.context().faults.counts().iter().map(|(_, seen)| seen).sum()
}

async fn has_topic(gateway: &Gateway, id: &str) -> bool {
    rest("GET", gateway.addr(), &format!("/v1/projects/demo/topics/{id}"), Value::Null).await.0 == 200
}

#[tokio::test]
async fn delay_holds_calls_on_the_suites_clock() {
    let gateway = start().await;
    set_faults(&gateway, json!([{ "name": "slow", "on": { "method": "CreateTopic" }, "delay": "10m" }]));
    let mut client = publisher(gateway.addr()).await;
    let by_grpc = tokio::spawn(async move { client.create_topic(topic("grpc")).await.map(|_| ()) });
    let address = gateway.addr();
    let by_rest = tokio::spawn(async move { rest("PUT", address, "/v1/projects/demo/topics/rest", json!({})).await.0 });
    until("both calls are held", || seen(&gateway) == 2).await;
    assert!(!has_topic(&gateway, "grpc").await && !has_topic(&gateway, "rest").await);
    gateway.context().clock.advance(Duration::from_secs(600));
    by_grpc.await.expect("it ends").expect("a topic");
    assert_eq!(by_rest.await.expect("it ends"), 200);
    let delayed: Vec<_> = calls(&gateway).into_iter().filter(|call| !call.faults.is_empty()).collect();
    assert_eq!(delayed.len(), 2);
    for call in delayed {
        assert_eq!(call.faults, ["slow".into()]);
        assert_eq!(call.end.since(call.start), Duration::from_secs(600));
    }
    gateway.shutdown().await;
}

#[tokio::test]
async fn error_answers_in_the_services_stead() {
    let gateway = start().await;
    set_faults(
        &gateway,
        json!([{ "on": { "service": "pubsub", "resource": "**/topics/bad-*" }, "error": { "status": "ABORTED", "text": "no" } }]),
    );
    let mut client = publisher(gateway.addr()).await;
    let status = client.create_topic(topic("bad-1")).await.expect_err("injected");
    assert_eq!((status.code(), status.message()), (tonic::Code::Aborted, "no"));
    client.create_topic(topic("good")).await.expect("not matched");
    let (status, body) = rest("PUT", gateway.addr(), "/v1/projects/demo/topics/bad-2", json!({})).await;
    assert_eq!(status, 409);
    assert_eq!(body, json!({ "error": { "code": 409, "message": "no", "status": "ABORTED" } }));
    gateway.context().faults.clear();
    assert!(!has_topic(&gateway, "bad-1").await && !has_topic(&gateway, "bad-2").await);
    gateway.shutdown().await;
}

#[tokio::test]
async fn drop_before_loses_the_connection_and_applies_nothing() {
    let gateway = start().await;
    set_faults(&gateway, json!([{ "on": { "method": "CreateTopic" }, "drop_before": true }]));
    let mut client = publisher(gateway.addr()).await;
    client.create_topic(topic("grpc")).await.expect_err("the connection is gone");
    h1("PUT", gateway.addr(), "/v1/projects/demo/topics/rest", "{}", &[]).await.expect_err("the connection is gone");
    gateway.context().faults.clear();
    assert!(!has_topic(&gateway, "grpc").await && !has_topic(&gateway, "rest").await);
    assert!(calls(&gateway).iter().filter(|call| call.status == Code::Unavailable).count() >= 2);
    gateway.shutdown().await;
}

#[tokio::test]
async fn drop_after_loses_the_answer_of_a_call_that_was_applied() {
    let gateway = start().await;
    set_faults(&gateway, json!([{ "on": { "method": "CreateTopic" }, "drop_after": true }]));
    let mut client = publisher(gateway.addr()).await;
    client.create_topic(topic("grpc")).await.expect_err("the connection is gone");
    h1("PUT", gateway.addr(), "/v1/projects/demo/topics/rest", "{}", &[]).await.expect_err("the connection is gone");
    gateway.context().faults.clear();
    assert!(has_topic(&gateway, "grpc").await && has_topic(&gateway, "rest").await);
    let applied = calls(&gateway).into_iter().find(|call| call.info.resource() == "projects/demo/topics/rest");
    assert_eq!(applied.expect("its line").status, Code::Ok);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_dropped_connection_takes_its_other_calls_with_it() {
    let gateway = start().await;
    set_faults(
        &gateway,
        json!([
            { "on": { "resource": "**/held" }, "delay": "1h" },
            { "on": { "resource": "**/dropped" }, "drop_before": true },
        ]),
    );
    let client = publisher(gateway.addr()).await;
    let held = {
        let mut client = client.clone();
        tokio::spawn(async move { client.create_topic(topic("held")).await })
    };
    until("the call is held", || seen(&gateway) == 1).await;
    let mut other = client.clone();
    other.create_topic(topic("dropped")).await.expect_err("the connection is gone");
    held.await.expect("it ends").expect_err("the connection is gone");
    gateway.shutdown().await;
}

#[tokio::test]
async fn quota_refuses_above_the_rate_until_the_window_has_passed() {
    let gateway = start().await;
    set_faults(
        &gateway,
        json!([{ "on": { "method": "{CreateTopic,jobs.insert}" }, "quota": { "limit": 1, "per": "10s" } }]),
    );
    let mut client = publisher(gateway.addr()).await;
    client.create_topic(topic("one")).await.expect("within the quota");
    let status = client.create_topic(topic("two")).await.expect_err("above it");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let (status, body) = rest("POST", gateway.addr(), "/bigquery/v2/projects/demo/jobs", json!({})).await;
    assert_eq!((status, &body["error"]["errors"][0]["reason"]), (403, &json!("rateLimitExceeded")));
    let text = body["error"]["message"].as_str().expect("a text");
    assert!(text.starts_with("Exceeded rate limits: too many api requests per user per method"), "{text}");
    gateway.context().clock.advance(Duration::from_secs(10));
    client.create_topic(topic("two")).await.expect("a new window");
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_barrier_makes_calls_overlap() {
    let gateway = start().await;
    set_faults(&gateway, json!([{ "on": { "method": "CreateTopic" }, "barrier": { "count": 5, "timeout": "1h" } }]));
    let mut held = Vec::new();
    for index in 0..4 {
        let mut client = publisher(gateway.addr()).await;
        held.push(tokio::spawn(async move { client.create_topic(topic(&format!("t{index}x"))).await }));
    }
    until("four are held", || seen(&gateway) == 4).await;
    assert!(held.iter().all(|call| !call.is_finished()));
    let (status, _) = rest("PUT", gateway.addr(), "/v1/projects/demo/topics/fifth", json!({})).await;
    assert_eq!(status, 200);
    for call in held {
        call.await.expect("it ends").expect("a topic");
    }
    gateway.shutdown().await;
}

#[tokio::test]
async fn plain_http_services_have_the_same_faults() {
    let gateway = start().await;
    let target = "/bigquery/v2/projects/demo/jobs";
    set_faults(
        &gateway,
        json!([{ "on": { "service": "bigquery", "method": "jobs.insert", "nth": 1 }, "error": "UNAVAILABLE" }]),
    );
    let (status, body) = rest("POST", gateway.addr(), target, json!({})).await;
    assert_eq!(status, 503);
    assert_eq!(body["error"]["errors"][0]["reason"], "backendError");
    assert_eq!(rest("POST", gateway.addr(), target, json!({})).await.0, 200);
    for fault in ["drop_before", "drop_after"] {
        set_faults(&gateway, json!([{ "on": { "service": "bigquery" }, fault: true }]));
        h1("POST", gateway.addr(), target, "{}", &[]).await.expect_err("the connection is gone");
    }
    set_faults(&gateway, json!([{ "on": { "client": "worker-*" }, "error": "INTERNAL" }]));
    let worker = gateway.listen("worker-7").await.expect("a port");
    assert_eq!(rest("POST", worker, target, json!({})).await.0, 500);
    assert_eq!(rest("POST", gateway.addr(), target, json!({})).await.0, 200);
    gateway.shutdown().await;
}
