//! The admin API, the token endpoint and the metadata server.

mod common;

use common::{h1, rest, start};
use serde_json::{Value, json};

#[tokio::test]
async fn health_names_the_services() {
    let gateway = start().await;
    let (status, body) = rest("GET", gateway.addr(), "/admin/health", Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(body["status"], "ok");
    assert_eq!(body["services"], json!(["pubsub", "bigquery"]));
    assert_eq!(body["clock"], json!({ "now": "2026-01-01T00:00:00Z", "virtual": true }));
    assert_eq!(rest("GET", gateway.addr(), "/admin/nothing", Value::Null).await.0, 404);
    gateway.shutdown().await;
}

#[tokio::test]
async fn the_clock_moves_ahead_only() {
    let gateway = start().await;
    let (_, body) = rest("POST", gateway.addr(), "/admin/clock:advance", json!({ "by": "10m" })).await;
    assert_eq!(body["now"], "2026-01-01T00:10:00Z");
    let (_, body) = rest("POST", gateway.addr(), "/admin/clock", json!({ "to": "2026-01-02T00:00:00Z" })).await;
    assert_eq!(body["now"], "2026-01-02T00:00:00Z");
    let (status, body) = rest("POST", gateway.addr(), "/admin/clock", json!({ "to": "2026-01-01T00:00:00Z" })).await;
    assert_eq!((status, &body["error"]["message"]), (400, &json!("The clock only moves ahead.")));
    let (status, body) = rest("POST", gateway.addr(), "/admin/clock:advance", json!({ "by": "soon" })).await;
    assert_eq!(status, 400);
    assert!(body["error"]["message"].as_str().is_some_and(|text| text.starts_with("`soon` is not a duration")));
    gateway.shutdown().await;
}

#[tokio::test]
async fn faults_come_and_go() {
    let gateway = start().await;
    let address = gateway.addr();
    let fault = json!({ "name": "no", "on": { "method": "GetTopic" }, "error": "UNAVAILABLE" });
    assert_eq!(rest("POST", address, "/admin/faults", fault).await.0, 200);
    assert_eq!(rest("GET", address, "/v1/projects/demo/topics/tee", Value::Null).await.0, 503);
    let (_, body) = rest("GET", address, "/admin/faults", Value::Null).await;
    assert_eq!(body["counts"], json!([{ "name": "no", "seen": 1 }]));
    assert_eq!(body["faults"][0]["error"], json!({ "status": "UNAVAILABLE" }));
    let (status, body) = rest("POST", address, "/admin/faults", json!([{ "delai": "1s" }])).await;
    assert_eq!(status, 400);
    assert!(body["error"]["message"].as_str().is_some_and(|text| text.contains("unknown field `delai`")));
    assert_eq!(rest("DELETE", address, "/admin/faults", Value::Null).await.0, 200);
    assert_eq!(rest("GET", address, "/v1/projects/demo/topics/tee", Value::Null).await.0, 404);
    gateway.shutdown().await;
}

#[tokio::test]
async fn the_journal_is_read_by_page() {
    let gateway = start().await;
    let address = gateway.addr();
    for id in ["one", "two", "three"] {
        rest("PUT", address, &format!("/v1/projects/demo/topics/{id}"), json!({})).await;
    }
    let (_, page) = rest("GET", address, "/admin/journal?limit=2&service=pubsub", Value::Null).await;
    assert_eq!(page["entries"].as_array().map(Vec::len), Some(2));
    assert_eq!(page["entries"][0]["method"], "CreateTopic");
    assert_eq!(page["entries"][0]["resource"], "projects/demo/topics/one");
    let next = format!("/admin/journal?since={}&method=CreateTopic", page["next"]);
    let (_, page) = rest("GET", address, &next, Value::Null).await;
    assert_eq!(page["entries"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest("GET", address, "/admin/journal?sins=1", Value::Null).await.0, 400);
    gateway.shutdown().await;
}

#[tokio::test]
async fn reset_empties_everything() {
    let gateway = start().await;
    let address = gateway.addr();
    rest("PUT", address, "/v1/projects/demo/topics/tee", json!({})).await;
    rest("POST", address, "/admin/faults", json!({ "on": { "method": "Publish" }, "error": "ABORTED" })).await;
    assert_eq!(rest("POST", address, "/admin/reset", json!({})).await.0, 200);
    assert_eq!(rest("GET", address, "/v1/projects/demo/topics/tee", Value::Null).await.0, 404);
    assert!(!gateway.context().faults.is_active());
    gateway.shutdown().await;
}

#[tokio::test]
async fn default_credentials_are_served() {
    let gateway = start().await;
    let address = gateway.addr();
    let flavor = [("Metadata-Flavor", "Google")];
    let get = |target: &'static str| async move { h1("GET", address, target, "", &flavor).await.expect("an answer") };
    let ping = h1("GET", address, "/", "", &[]).await.expect("an answer");
    assert_eq!(ping.headers().get("metadata-flavor").map(|value| value.as_bytes()), Some(&b"Google"[..]));
    assert_eq!(get("/computeMetadata/v1/project/project-id").await.body(), "demo");
    let account = "/computeMetadata/v1/instance/service-accounts/default";
    assert_eq!(
        get("/computeMetadata/v1/instance/service-accounts/default/email").await.body(),
        "scrimmage@demo.iam.gserviceaccount.com"
    );
    let token: Value =
        serde_json::from_str(get("/computeMetadata/v1/instance/service-accounts/default/token?scopes=a").await.body())
            .expect("JSON");
    assert_eq!(token["token_type"], "Bearer");
    let all: Value =
        serde_json::from_str(get("/computeMetadata/v1/instance/service-accounts/default/?recursive=true").await.body())
            .expect("JSON");
    assert_eq!(all["email"], "scrimmage@demo.iam.gserviceaccount.com");
    let identity = get("/computeMetadata/v1/instance/service-accounts/default/identity?audience=https://x").await;
    assert_eq!(identity.body().split('.').count(), 3);
    let refused = h1("GET", address, account, "", &[]).await.expect("an answer");
    assert_eq!(refused.status(), 403);
    assert_eq!(get("/computeMetadata/v1/nothing").await.status(), 404);
    gateway.shutdown().await;
}

#[tokio::test]
async fn every_grant_gets_a_token() {
    let gateway = start().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for grant in [
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x.y.z",
        "grant_type=refresh_token&refresh_token=r",
    ] {
        let response = h1("POST", gateway.addr(), "/token", grant, &form).await.expect("an answer");
        let token: Value = serde_json::from_str(response.body()).expect("JSON");
        assert_eq!((response.status().as_u16(), &token["token_type"]), (200, &json!("Bearer")), "{grant}");
    }
    let response = h1("POST", gateway.addr(), "/token", "", &form).await.expect("an answer");
    assert_eq!(response.status(), 400);
    gateway.shutdown().await;
}
