//! Both protocols on one port, errors in both, and the journal's view of them.

mod common;

use common::{calls, h1, h2, publisher, rest, start, start_on, topic, until};
use scrimmage_core::{Clock, Code};
use scrimmage_gateway::GatewayError;
use scrimmage_protos::google::firestore::v1::CommitRequest;
use scrimmage_protos::google::firestore::v1::firestore_client::FirestoreClient;
use scrimmage_protos::google::pubsub::v1::subscriber_client::SubscriberClient;
use scrimmage_protos::google::pubsub::v1::{GetTopicRequest, PullRequest};
use serde_json::{Value, json};

#[tokio::test]
async fn grpc_and_rest_see_the_same_service() {
    let gateway = start().await;
    let mut client = publisher(gateway.addr()).await;
    client.create_topic(topic("by-grpc")).await.expect("a topic");
    let (status, body) = rest("GET", gateway.addr(), "/v1/projects/demo/topics/by-grpc", Value::Null).await;
    assert_eq!((status, &body["name"]), (200, &json!("projects/demo/topics/by-grpc")));

    let (status, _) = rest("PUT", gateway.addr(), "/v1/projects/demo/topics/by-rest", json!({})).await;
    assert_eq!(status, 200);
    let name = "projects/demo/topics/by-rest".to_owned();
    client.get_topic(GetTopicRequest { topic: name }).await.expect("the topic");

    let response =
        h2("GET", gateway.addr(), "/v1/projects/demo/topics?prettyPrint=false", "").await.expect("an answer");
    let listed: Value = serde_json::from_str(response.body()).expect("JSON");
    let names: Vec<_> = listed["topics"].as_array().into_iter().flatten().map(|topic| &topic["name"]).collect();
    assert_eq!(names, ["projects/demo/topics/by-grpc", "projects/demo/topics/by-rest"]);
    assert!(response.body().starts_with("{\"topics\":[{\"name\":"), "not indented: {}", response.body());
    gateway.shutdown().await;
}

#[tokio::test]
async fn errors_have_googles_shape() {
    let gateway = start().await;
    let (status, body) = rest("GET", gateway.addr(), "/v1/projects/demo/topics/none", Value::Null).await;
    assert_eq!(status, 404);
    assert_eq!(
        body,
        json!({ "error": { "code": 404, "message": "Resource not found (resource=none).", "status": "NOT_FOUND" } })
    );
    let (status, body) =
        rest("PUT", gateway.addr(), "/v1/projects/demo/topics/good", json!({ "noSuchField": 1 })).await;
    let text = "Invalid JSON payload received. Unknown name \"noSuchField\": Cannot find field.";
    assert_eq!(status, 400);
    assert_eq!(
        body,
        json!({ "error": { "code": 400, "message": text, "status": "INVALID_ARGUMENT", "details": [{
            "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{ "description": text }],
        }] } })
    );
    let (status, body) = rest("GET", gateway.addr(), "/v1/nowhere", Value::Null).await;
    assert_eq!((status, &body["error"]["status"]), (404, &json!("NOT_FOUND")));
    let (status, _) = rest("POST", gateway.addr(), "/v1/projects/demo/topics/good", json!({})).await;
    assert_eq!(status, 404);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unimplemented() {
    let gateway = start().await;
    let mut client = FirestoreClient::connect(format!("http://{}", gateway.addr())).await.expect("a connection");
    let status = client.commit(CommitRequest::default()).await.expect_err("no such service");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert!(status.message().contains("/google.firestore.v1.Firestore/Commit"), "{}", status.message());
    gateway.shutdown().await;
}

#[tokio::test]
async fn the_journal_has_a_line_for_each_call() {
    let gateway = start().await;
    let mut client = publisher(gateway.addr()).await;
    client.create_topic(topic("tee")).await.expect("a topic");
    client.create_topic(topic("tee")).await.expect_err("it exists");
    rest("GET", gateway.addr(), "/v1/projects/demo/topics/tee", Value::Null).await;
    let (status, body) = rest("GET", gateway.addr(), "/bigquery/v2/projects/demo/datasets/d", Value::Null).await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("Not found: Dataset")));
    until("four calls", || calls(&gateway).len() == 4).await;
    let lines: Vec<_> = calls(&gateway)
        .into_iter()
        .map(|call| {
            (call.info.service.to_string(), call.info.method.to_string(), call.info.resource().to_owned(), call.status)
        })
        .collect();
    let line = |service: &str, method: &str, resource: &str, status| {
        (service.to_owned(), method.to_owned(), resource.to_owned(), status)
    };
    assert_eq!(
        lines,
        [
            line("pubsub", "CreateTopic", "projects/demo/topics/tee", Code::Ok),
            line("pubsub", "CreateTopic", "projects/demo/topics/tee", Code::AlreadyExists),
            line("pubsub", "GetTopic", "projects/demo/topics/tee", Code::Ok),
            line("bigquery", "datasets.get", "projects/demo/datasets/d", Code::NotFound),
        ]
    );
    assert_eq!(calls(&gateway)[1].message, "Resource already exists in the project (resource=tee).");
    assert_eq!(calls(&gateway)[3].message, "Not found: Dataset");
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_call_that_its_client_gives_up_is_cancelled() {
    let gateway = start().await;
    let mut client = publisher(gateway.addr()).await;
    client.create_topic(topic("tee")).await.expect("a topic");
    let body = json!({ "topic": "projects/demo/topics/tee" });
    rest("PUT", gateway.addr(), "/v1/projects/demo/subscriptions/sub", body).await;
    // Held at the gate, so that it is certainly under way when the client goes.
    common::set_faults(&gateway, json!([{ "on": { "method": "Pull" }, "delay": "1h" }]));
    let address = gateway.addr();
    let waiting = tokio::spawn(async move {
        let mut client = SubscriberClient::connect(format!("http://{address}")).await.expect("a connection");
        let subscription = "projects/demo/subscriptions/sub".to_owned();
        client.pull(PullRequest { subscription, max_messages: 1, ..PullRequest::default() }).await
    });
    until("the pull is held", || gateway.context().faults.counts().iter().any(|(_, seen)| *seen == 1)).await;
    waiting.abort();
    until("the pull ends", || calls(&gateway).iter().any(|call| &*call.info.method == "Pull")).await;
    let pull = calls(&gateway).into_iter().find(|call| &*call.info.method == "Pull").expect("the pull");
    assert_eq!(pull.status, Code::Cancelled);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_port_of_its_own_tells_a_client_apart() {
    let gateway = start().await;
    let labelled = gateway.listen("worker-1").await.expect("another port");
    rest("PUT", labelled, "/v1/projects/demo/topics/tee", json!({})).await;
    rest("GET", gateway.addr(), "/v1/projects/demo/topics/tee", Value::Null).await;
    until("two calls", || calls(&gateway).len() == 2).await;
    assert_eq!(&*calls(&gateway)[0].info.client, "worker-1");
    assert!(calls(&gateway)[1].info.client.starts_with("127.0.0.1:"));
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let gateway = start().await;
    let port = gateway.addr().port();
    let error = start_on(Clock::real(), port).await.expect_err("the port is taken");
    assert!(matches!(error, GatewayError::PortInUse { port: taken } if taken == port));
    assert!(error.to_string().contains(&port.to_string()));
    gateway.shutdown().await;
}

#[tokio::test]
async fn shutdown_frees_the_port_and_closes_connections() {
    let gateway = start().await;
    let address = gateway.addr();
    let mut client = publisher(address).await;
    client.create_topic(topic("tee")).await.expect("a topic");
    gateway.shutdown().await;
    client.create_topic(topic("tee2")).await.expect_err("nobody is there");
    let again = start_on(Clock::real(), address.port()).await.expect("the port is free");
    again.shutdown().await;
}

#[tokio::test]
async fn two_gateways_share_nothing() {
    let (one, two) = (start().await, start().await);
    rest("PUT", one.addr(), "/v1/projects/demo/topics/tee", json!({})).await;
    let (status, _) = rest("GET", two.addr(), "/v1/projects/demo/topics/tee", Value::Null).await;
    assert_eq!(status, 404);
    assert!(calls(&one).iter().all(|call| &*call.info.method == "CreateTopic"));
    one.context().clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(two.context().clock.now(), common::new_year());
    one.shutdown().await;
    let (status, _) = rest("GET", two.addr(), "/v1/projects/demo/topics/tee", Value::Null).await;
    assert_eq!(status, 404);
    two.shutdown().await;
}

#[tokio::test]
async fn ten_mebibytes_pass() {
    let gateway = start().await;
    rest("PUT", gateway.addr(), "/v1/projects/demo/topics/tee", json!({})).await;
    let data = "A".repeat(12 * 1024 * 1024);
    let body = json!({ "messages": [{ "data": data }] }).to_string();
    let response =
        h1("POST", gateway.addr(), "/v1/projects/demo/topics/tee:publish", &body, &[]).await.expect("an answer");
    assert_eq!(response.status(), 200, "{}", response.body());
    gateway.shutdown().await;
}
