//! All services of a suite through its one port, and two suites side by side.
#![allow(clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::rest;
use scrimmage_core::Clock;
use scrimmage_core::journal::{Body, Query};
use scrimmage_protos::google::firestore::v1::firestore_client::FirestoreClient;
use scrimmage_protos::google::firestore::v1::{CommitRequest, Document, GetDocumentRequest, Value, Write, write};
use scrimmage_suite::{Suite, SuiteError};
use serde_json::{Value as Json, json};

const DOCUMENTS: &str = "projects/demo/databases/(default)/documents";

async fn suite() -> Suite {
    Suite::builder().project("demo").start().await.expect("a suite")
}

#[tokio::test]
async fn every_service_answers_on_one_port() {
    let suite = suite().await;
    let address = suite.addr();
    let name = format!("{DOCUMENTS}/batches/b1");
    let write = json!({ "writes": [{ "update": { "name": name, "fields": { "n": { "integerValue": "1" } } } }] });
    let (status, body) = rest("POST", address, &format!("/v1/{DOCUMENTS}:commit"), write).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = rest("PUT", address, "/v1/projects/demo/topics/tee", json!({})).await;
    assert_eq!((status, &body["name"]), (200, &json!("projects/demo/topics/tee")));
    let query = json!({ "query": "SELECT 1 AS one", "useLegacySql": false });
    let (status, body) = rest("POST", address, "/bigquery/v2/projects/demo/queries", query).await;
    assert_eq!((status, &body["rows"][0]["f"][0]["v"]), (200, &json!("1")), "{body}");
    let (_, health) = rest("GET", address, "/admin/health", Json::Null).await;
    assert_eq!(health["services"], json!(["firestore", "pubsub", "bigquery"]));
    suite.shutdown().await;
}

#[tokio::test]
async fn firestore_by_rest_and_by_grpc_is_one() {
    let suite = suite().await;
    let address = suite.addr();
    let name = format!("{DOCUMENTS}/batches/b1");
    let mut client = FirestoreClient::connect(suite.url()).await.expect("a connection");
    let value = Value { value_type: Some(scrimmage_protos::google::firestore::v1::value::ValueType::IntegerValue(7)) };
    let document = Document { name: name.clone(), fields: [("n".to_owned(), value)].into(), ..Document::default() };
    let commit = CommitRequest {
        database: "projects/demo/databases/(default)".to_owned(),
        writes: vec![Write { operation: Some(write::Operation::Update(document)), ..Write::default() }],
        ..CommitRequest::default()
    };
    client.commit(commit).await.expect("committed");

    let (status, body) = rest("GET", address, &format!("/v1/{name}"), Json::Null).await;
    assert_eq!((status, &body["fields"]), (200, &json!({ "n": { "integerValue": "7" } })));
    let patch = json!({ "fields": { "s": { "stringValue": "x" } } });
    let (status, _) = rest("PATCH", address, &format!("/v1/{name}?updateMask.fieldPaths=s"), patch).await;
    assert_eq!(status, 200);
    let found = client.get_document(GetDocumentRequest { name: name.clone(), ..Default::default() }).await;
    let fields = found.expect("the document").into_inner().fields;
    assert_eq!(fields.len(), 2);

    // Server streams are arrays over REST.
    let wanted = json!({ "documents": [name, format!("{DOCUMENTS}/batches/none")] });
    let (status, body) = rest("POST", address, &format!("/v1/{DOCUMENTS}:batchGet"), wanted).await;
    assert_eq!(status, 200);
    let items = body.as_array().expect("an array");
    assert_eq!(items.iter().filter(|item| item["found"]["name"] == json!(name)).count(), 1, "{body}");
    assert_eq!(items.iter().filter(|item| item["missing"].is_string()).count(), 1, "{body}");
    let query = json!({ "structuredQuery": { "from": [{ "collectionId": "batches" }] } });
    let (status, body) = rest("POST", address, &format!("/v1/{DOCUMENTS}:runQuery"), query).await;
    assert_eq!((status, &body[0]["document"]["name"]), (200, &json!(name)), "{body}");
    let (status, body) = rest("GET", address, &format!("/v1/{DOCUMENTS}/batches"), Json::Null).await;
    assert_eq!((status, body["documents"].as_array().map(Vec::len)), (200, Some(1)), "{body}");

    // The journal knows a commit by the documents that it writes.
    let entries = suite.journal().read(&Query { method: Some("Commit".to_owned()), ..Query::default() });
    let Some(Body::Call(call)) = entries.first().map(|entry| &entry.body) else { panic!("no commit in the journal") };
    assert_eq!(call.info.resource(), name);
    suite.shutdown().await;
}

#[tokio::test]
async fn faults_match_the_documents_of_a_commit() {
    let suite = suite().await;
    let plan = json!([{ "on": { "method": "Commit", "resource": "**/batches/*" }, "error": "ABORTED" }]);
    suite.faults().set(serde_json::from_value(plan).expect("a plan")).expect("a good plan");
    let write = |id: &str| json!({ "writes": [{ "update": { "name": format!("{DOCUMENTS}/{id}") } }] });
    let target = format!("/v1/{DOCUMENTS}:commit");
    assert_eq!(rest("POST", suite.addr(), &target, write("batches/b")).await.0, 409);
    assert_eq!(rest("POST", suite.addr(), &target, write("others/b")).await.0, 200);
    suite.shutdown().await;
}

#[tokio::test]
async fn two_suites_share_nothing() {
    let (one, two) = (suite().await, suite().await);
    assert_ne!(one.addr(), two.addr());
    rest("PUT", one.addr(), "/v1/projects/demo/topics/tee", json!({})).await;
    let write = json!({ "writes": [{ "update": { "name": format!("{DOCUMENTS}/a/1") } }] });
    rest("POST", one.addr(), &format!("/v1/{DOCUMENTS}:commit"), write).await;
    let dataset = json!({ "datasetReference": { "datasetId": "d", "projectId": "demo" } });
    assert_eq!(rest("POST", one.addr(), "/bigquery/v2/projects/demo/datasets", dataset).await.0, 200);
    for target in
        ["/v1/projects/demo/topics/tee", &format!("/v1/{DOCUMENTS}/a/1"), "/bigquery/v2/projects/demo/datasets/d"]
    {
        assert_eq!(rest("GET", one.addr(), target, Json::Null).await.0, 200, "{target}");
        assert_eq!(rest("GET", two.addr(), target, Json::Null).await.0, 404, "{target}");
    }
    one.reset().expect("a reset");
    for target in
        ["/v1/projects/demo/topics/tee", &format!("/v1/{DOCUMENTS}/a/1"), "/bigquery/v2/projects/demo/datasets/d"]
    {
        assert_eq!(rest("GET", one.addr(), target, Json::Null).await.0, 404, "{target}");
    }
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test]
async fn shutdown_ends_every_task_and_frees_the_port() {
    let runtime = tokio::runtime::Handle::current().metrics();
    let before = runtime.num_alive_tasks();
    let suite =
        Suite::builder().clock(Clock::virtual_at(scrimmage_core::Timestamp::EPOCH)).start().await.expect("a suite");
    let address = suite.addr();
    rest("PUT", address, "/v1/projects/demo/topics/tee", json!({})).await;
    let subscription =
        json!({ "topic": "projects/demo/topics/tee", "pushConfig": { "pushEndpoint": "http://127.0.0.1:9/" } });
    rest("PUT", address, "/v1/projects/demo/subscriptions/sub", subscription).await;
    let write = json!({ "writes": [{ "update": { "name": format!("{DOCUMENTS}/a/1") } }] });
    rest("POST", address, &format!("/v1/{DOCUMENTS}:commit"), write).await;
    suite.shutdown().await;
    let started = Instant::now();
    while runtime.num_alive_tasks() > before {
        assert!(started.elapsed() < Duration::from_secs(10), "{} tasks are left", runtime.num_alive_tasks() - before);
        tokio::task::yield_now().await;
    }
    let again = Suite::builder().port(address.port()).start().await.expect("the port is free");
    let error = Suite::builder().port(address.port()).start().await.expect_err("the port is taken");
    assert!(error.to_string().starts_with(&format!("port {} is already in use", address.port())), "{error}");
    again.shutdown().await;
}

#[tokio::test]
async fn the_environment_points_stock_clients_here() {
    let suite = suite().await;
    let address = suite.addr().to_string();
    let variables = suite.env();
    let value = |name: &str| {
        variables.iter().find(|variable| variable.0 == name).map(|variable| variable.1.clone()).unwrap_or_default()
    };
    assert_eq!(value("FIRESTORE_EMULATOR_HOST"), address);
    assert_eq!(value("PUBSUB_EMULATOR_HOST"), address);
    assert_eq!(value("BIGQUERY_EMULATOR_HOST"), format!("http://{address}"));
    assert_eq!(value("GCE_METADATA_HOST"), address);
    assert_eq!(value("GOOGLE_CLOUD_PROJECT"), "demo");
    let labelled = suite.env_for("worker-1").await.expect("a port");
    assert_ne!(labelled, variables);
    suite.shutdown().await;
}

#[tokio::test]
async fn a_bad_project_is_refused() {
    let error = Suite::builder().project("no/project").start().await.expect_err("a bad project");
    assert!(matches!(error, SuiteError::Project(_)));
}
