//! `scrimmage export` and `scrimmage import`, and what tools for Google's emulator call beside the API.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may")]

mod served;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use served::Served;

const DATABASE: &str = "projects/demo/databases/(default)";

/// Runs the program: exit code, and what it said on both outputs.
fn scrimmage(arguments: &[&str], file: &Path, served: &Served) -> (Option<i32>, String) {
    let port = served.url.rsplit(':').next().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_scrimmage"))
        .args(arguments)
        .arg(file)
        .args(["--port", port])
        .output()
        .expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

async fn document(client: &reqwest::Client, served: &Served, path: &str) -> Option<Value> {
    let answer = client.get(format!("{}/v1/{DATABASE}/documents/{path}", served.url)).send().await.unwrap();
    answer.status().is_success().then_some(())?;
    answer.json().await.ok()
}

#[tokio::test]
async fn what_is_exported_can_be_imported_and_mistakes_are_located() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("documents.ndjson");
    let client = reqwest::Client::new();
    let served = Served::start(&folder.path().join("data"));
    let fields = json!({ "d": { "doubleValue": 2.5 }, "l": { "arrayValue": { "values": [{ "nullValue": null }] } } });
    for path in ["c?documentId=a", "c/a/sub?documentId=b"] {
        let url = format!("{}/v1/{DATABASE}/documents/{path}", served.url);
        let answer = client.post(url).json(&json!({ "fields": fields })).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
    let (code, said) = scrimmage(&["export", "firestore"], &file, &served);
    assert_eq!((code, said.starts_with("2 documents in ")), (Some(0), true), "{said}");

    // The emulator's own way to empty a database.
    let url = format!("{}/emulator/v1/{DATABASE}/documents", served.url);
    let answer = client.delete(url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "{}"));
    assert_eq!(document(&client, &served, "c/a").await, None);

    let (code, said) = scrimmage(&["import", "firestore"], &file, &served);
    assert_eq!((code, said.starts_with("2 documents from ")), (Some(0), true), "{said}");
    assert_eq!(document(&client, &served, "c/a/sub/b").await.unwrap()["fields"], fields);

    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str(&format!(
        "{{\"name\":\"{DATABASE}/documents/c/new\",\"fields\":{{\"n\":{{\"integerValue\":\"x\"}}}}}}\n"
    ));
    std::fs::write(&file, text.replace("2.5", "3.5")).unwrap();
    let (code, said) = scrimmage(&["import", "firestore"], &file, &served);
    let expected = "documents.ndjson:3: field `n`: `integerValue` must be a 64-bit integer in quotes";
    assert!(code == Some(2) && said.contains(expected), "{said}");
    // Nothing of a file with a mistake is written.
    assert_eq!(document(&client, &served, "c/a").await.unwrap()["fields"], fields);
}

#[tokio::test]
async fn a_policy_deletes_what_has_expired_and_rules_are_refused_clearly() {
    let folder = tempfile::tempdir().unwrap();
    let client = reqwest::Client::new();
    let served = Served::start(folder.path());
    let policy = json!({ "database": DATABASE, "collectionGroup": "sessions", "field": "until" });
    let url = format!("{}/admin/firestore/ttl", served.url);
    assert!(client.post(&url).json(&policy).send().await.unwrap().status().is_success());
    served.kill();
    // Policies are kept as documents are.
    let served = Served::start(folder.path());
    let url = format!("{}/admin/firestore/ttl", served.url);
    let known: Value = client.get(format!("{url}?database={DATABASE}")).send().await.unwrap().json().await.unwrap();
    assert_eq!(known["policies"][0]["field"], "until");
    for (id, until) in [("old", "2001-01-01T00:00:00Z"), ("new", "2999-01-01T00:00:00Z")] {
        let url = format!("{}/v1/{DATABASE}/documents/sessions?documentId={id}", served.url);
        let fields = json!({ "fields": { "until": { "timestampValue": until } } });
        assert!(client.post(url).json(&fields).send().await.unwrap().status().is_success());
    }
    assert_eq!(document(&client, &served, "sessions/old").await, None);
    assert!(document(&client, &served, "sessions/new").await.is_some());

    let url = format!("{}/emulator/v1/projects/demo:securityRules", served.url);
    let answer = client.put(url).json(&json!({ "rules": { "files": [] } })).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 501);
    assert!(answer.text().await.unwrap().contains("Security rules are not evaluated here"));
}
