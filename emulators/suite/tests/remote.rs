//! A suite in front of services that run elsewhere; here the other one is ours too.
#![allow(clippy::expect_used)]

mod common;

use common::rest;
use scrimmage_core::FaultPlan;
use scrimmage_core::journal::Query;
use scrimmage_protos::google::firestore::v1::GetDocumentRequest;
use scrimmage_protos::google::firestore::v1::firestore_client::FirestoreClient;
use scrimmage_suite::{Remote, Suite, Token};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tonic::Code;
use tonic::transport::Endpoint;

const DOCUMENTS: &str = "projects/demo/databases/(default)/documents";

fn remote(url: String) -> Remote {
    Remote::new(Endpoint::from_shared(url).expect("a URL").connect_lazy())
}

async fn pair() -> (Suite, Suite) {
    let behind = Suite::builder().project("demo").start().await.expect("a suite");
    let front = Suite::builder().project("demo").firestore_at(remote(behind.url())).pubsub_at(remote(behind.url()));
    let front = front.bigquery_at(remote(behind.url())).start().await.expect("a suite");
    (front, behind)
}

#[tokio::test]
async fn calls_go_on_to_the_other_end_and_are_written_down_here() {
    let (front, behind) = pair().await;
    let name = format!("{DOCUMENTS}/batches/b1");
    let write = json!({ "writes": [{ "update": { "name": name, "fields": { "n": { "integerValue": "1" } } } }] });
    let (status, body) = rest("POST", front.addr(), &format!("/v1/{DOCUMENTS}:commit"), write).await;
    assert_eq!(status, 200, "{body}");
    let (status, _) = rest("GET", behind.addr(), &format!("/v1/{name}"), Json::Null).await;
    assert_eq!(status, 200, "it is there");
    let mut client = FirestoreClient::connect(front.url()).await.expect("a connection");
    let found = client.get_document(GetDocumentRequest { name, ..Default::default() }).await.expect("found");
    assert_eq!(found.into_inner().fields.len(), 1);
    let nothing = GetDocumentRequest { name: format!("{DOCUMENTS}/batches/b2"), ..Default::default() };
    let refused = client.get_document(nothing).await.expect_err("there is none");
    assert_eq!(refused.code(), Code::NotFound);

    let (status, _) = rest("PUT", front.addr(), "/v1/projects/demo/topics/tee", json!({})).await;
    assert_eq!(status, 200);
    let (status, _) = rest("GET", behind.addr(), "/v1/projects/demo/topics/tee", Json::Null).await;
    assert_eq!(status, 200);

    let dataset = json!({ "datasetReference": { "projectId": "demo", "datasetId": "d" } });
    let (status, body) = rest("POST", front.addr(), "/bigquery/v2/projects/demo/datasets", dataset).await;
    assert_eq!(status, 200, "{body}");
    let (status, _) = rest("GET", behind.addr(), "/bigquery/v2/projects/demo/datasets/d", Json::Null).await;
    assert_eq!(status, 200);
    let (status, body) = rest("GET", front.addr(), "/bigquery/v2/projects/demo/datasets/none", Json::Null).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!(404)), "{body}");

    let written = front.journal().read(&Query::default());
    assert!(written.len() >= 6, "{}", written.len());
}

#[tokio::test]
async fn one_connection_carries_any_number_of_calls() {
    let (front, behind) = pair().await;
    let name = format!("{DOCUMENTS}/batches/b1");
    let (status, _) = rest("PATCH", behind.addr(), &format!("/v1/{name}"), json!({ "fields": {} })).await;
    assert_eq!(status, 200);
    let mut client = FirestoreClient::connect(front.url()).await.expect("a connection");
    for call in 0..400 {
        let asked = GetDocumentRequest { name: name.clone(), ..Default::default() };
        let found = client.get_document(asked).await;
        assert!(found.is_ok(), "call {call}: {found:?}");
    }
}

#[tokio::test]
async fn faults_act_before_the_other_end() {
    let (front, behind) = pair().await;
    let plan: FaultPlan = serde_json::from_value(json!([
        { "on": { "service": "pubsub", "method": "CreateTopic" }, "error": "UNAVAILABLE" }
    ]))
    .expect("a plan");
    front.faults().add(plan).expect("a good plan");
    let (status, _) = rest("PUT", front.addr(), "/v1/projects/demo/topics/tee", json!({})).await;
    assert_eq!(status, 503);
    let (status, _) = rest("GET", behind.addr(), "/v1/projects/demo/topics/tee", Json::Null).await;
    assert_eq!(status, 404, "it never got there");
}

#[tokio::test]
async fn an_end_that_is_not_there_is_unavailable() {
    let gone = Suite::builder().start().await.expect("a suite");
    let url = gone.url();
    gone.shutdown().await;
    let front = Suite::builder().project("demo").firestore_at(remote(url.clone())).bigquery_at(remote(url));
    let front = front.start().await.expect("a suite");
    let (status, _) = rest("GET", front.addr(), &format!("/v1/{DOCUMENTS}/batches/b1"), Json::Null).await;
    assert_eq!(status, 503);
    let (status, _) = rest("GET", front.addr(), "/bigquery/v2/projects/demo/datasets", Json::Null).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let behind = Suite::builder().project("demo").start().await.expect("a suite");
    let none: Token = Arc::new(|| Box::pin(async { Err("no default credentials".to_owned()) }));
    let front = Suite::builder().project("demo").firestore_at(remote(behind.url()).with_token(none));
    let front = front.start().await.expect("a suite");
    let mut client = FirestoreClient::connect(front.url()).await.expect("a connection");
    let asked = GetDocumentRequest { name: format!("{DOCUMENTS}/batches/b1"), ..Default::default() };
    let refused = client.get_document(asked).await.expect_err("no token");
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "no default credentials"));
    assert!(behind.journal().read(&Query::default()).is_empty());
}
