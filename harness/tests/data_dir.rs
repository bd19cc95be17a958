//! `--data-dir` and Firestore: what was acknowledged survives kill -9.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may")]

mod served;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use served::Served;

const COMMITS: usize = 1_000;
const WRITERS: usize = 8;
/// After so many acknowledgements the process is killed, in the middle of the others.
const KILL_AFTER: usize = 400;

fn documents(database: &str) -> String {
    format!("v1/projects/demo/databases/{database}/documents")
}

fn set(database: &str, path: &str, number: usize) -> Value {
    let name = format!("projects/demo/databases/{database}/documents/{path}");
    json!({ "update": { "name": name, "fields": { "n": { "integerValue": number.to_string() } } } })
}

async fn commit(client: &reqwest::Client, url: &str, database: &str, writes: Vec<Value>) -> Result<Value, String> {
    let url = format!("{url}/{}:commit", documents(database));
    let answer = client.post(url).json(&json!({ "writes": writes })).send().await.map_err(|error| error.to_string())?;
    let ok = answer.status().is_success();
    let body: Value = answer.json().await.map_err(|error| error.to_string())?;
    if ok { Ok(body) } else { Err(body.to_string()) }
}

/// The numbers of all documents of a collection.
async fn numbers(client: &reqwest::Client, url: &str, database: &str, collection: &str) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut token = String::new();
    loop {
        let url = format!("{url}/{}/{collection}?pageSize=300&pageToken={token}", documents(database));
        let body: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        for document in body["documents"].as_array().into_iter().flatten() {
            let number = document["fields"]["n"]["integerValue"].as_str().unwrap();
            found.insert(number.parse().unwrap());
        }
        match body["nextPageToken"].as_str() {
            Some(next) if !next.is_empty() => token = next.to_owned(),
            _ => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_amid_a_thousand_commits_loses_no_acknowledged_one_and_halves_none() {
    let folder = tempfile::tempdir().unwrap();
    let client = reqwest::Client::new();
    let served = Served::start(folder.path());
    commit(&client, &served.url, "other", vec![set("other", "c/a", 7)]).await.unwrap();
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    for writer in 0..WRITERS {
        let (client, url, acknowledge) = (client.clone(), served.url.clone(), acknowledge.clone());
        tokio::spawn(async move {
            for number in (writer..COMMITS).step_by(WRITERS) {
                let pair = ["left", "right"].map(|side| set("(default)", &format!("{side}/{number}"), number));
                if commit(&client, &url, "(default)", pair.to_vec()).await.is_err() {
                    return;
                }
                acknowledge.send(number).unwrap();
            }
        });
    }
    drop(acknowledge);
    let mut known = BTreeSet::new();
    let mut served = Some(served);
    while let Some(number) = acknowledged.recv().await {
        known.insert(number);
        if known.len() == KILL_AFTER
            && let Some(served) = served.take()
        {
            served.kill();
        }
    }
    assert!((KILL_AFTER..COMMITS).contains(&known.len()), "it was killed amid the load: {}", known.len());

    let served = Served::start(folder.path());
    let left = numbers(&client, &served.url, "(default)", "left").await;
    let right = numbers(&client, &served.url, "(default)", "right").await;
    assert_eq!(left, right, "a commit is all or nothing");
    assert!(left.is_superset(&known), "lost: {:?}", known.difference(&left).collect::<Vec<_>>());
    assert_eq!(numbers(&client, &served.url, "other", "c").await, BTreeSet::from([7]));

    // A reset is kept as well.
    client.post(format!("{}/admin/reset", served.url)).send().await.unwrap();
    served.kill();
    let served = Served::start(folder.path());
    assert!(numbers(&client, &served.url, "(default)", "left").await.is_empty());
}
