//! `scrimmage up --data-dir`, killed at any moment: no acknowledged publish is lost, and no confirmed
//! exactly-once acknowledgement is forgotten.

#![allow(clippy::expect_used, reason = "a test may")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const TOPIC: &str = "projects/demo/topics/requests";
const DEAD: &str = "projects/demo/topics/dead";
const SUB: &str = "projects/demo/subscriptions/workers";
const REPLAY: &str = "projects/demo/subscriptions/replay";
const SNAPSHOT: &str = "projects/demo/snapshots/before";

/// `scrimmage up` on a folder; killed, not stopped, when dropped.
struct Up {
    child: Child,
    host: String,
    client: reqwest::Client,
}

impl Up {
    fn start(folder: &Path) -> Up {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scrimmage"))
            .args(["up", "--port", "0", "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut host = String::new();
        for line in lines {
            let line = line.expect("a line");
            if line == "# ready" {
                break;
            }
            if let Some(value) = line.strip_prefix("export PUBSUB_EMULATOR_HOST=") {
                host = value.to_owned();
            }
        }
        Up { child, host, client: reqwest::Client::new() }
    }

    async fn put(&self, name: &str, body: Value) {
        let answer = self.client.put(format!("http://{}/v1/{name}", self.host)).json(&body).send().await;
        let answer = answer.expect("an answer");
        assert!(answer.status().is_success(), "{name}: {}", answer.text().await.unwrap_or_default());
    }

    async fn get(&self, name: &str) -> Value {
        let answer = self.client.get(format!("http://{}/v1/{name}", self.host)).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// The answer, or nothing where the process ended before it gave a whole one.
    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let answer = self.client.post(format!("http://{}/{path}", self.host)).json(body).send().await.ok()?;
        let good = answer.status().is_success();
        let answer: Value = answer.json().await.ok()?;
        assert!(good, "{path}: {answer}");
        Some(answer)
    }

    async fn publish(&self, count: usize) -> Option<Vec<String>> {
        let messages: Vec<_> = (0..count).map(|_| json!({"data": "eA=="})).collect();
        let answer = self.post(&format!("v1/{TOPIC}:publish"), &json!({"messages": messages})).await?;
        Some(strings(answer["messageIds"].as_array()?))
    }

    /// What there is at once: ack id, message id, attempt.
    async fn pull(&self, subscription: &str, most: usize) -> Option<Vec<(String, String, u64)>> {
        let body = json!({"maxMessages": most, "returnImmediately": true});
        let answer = self.post(&format!("v1/{subscription}:pull"), &body).await?;
        let received = answer["receivedMessages"].as_array().cloned().unwrap_or_default();
        let one = |of: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&of["ackId"]), text(&of["message"]["messageId"]), of["deliveryAttempt"].as_u64().unwrap_or(0))
        };
        Some(received.iter().map(one).collect())
    }

    async fn ack(&self, ids: &[String]) -> Option<Value> {
        self.post(&format!("v1/{SUB}:acknowledge"), &json!({"ackIds": ids})).await
    }

    async fn advance(&self, seconds: u64) {
        self.post("admin/clock:advance", &json!({"by": format!("{seconds}s")})).await.expect("the clock moves");
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn strings(of: &[Value]) -> Vec<String> {
    of.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_acknowledged_publish_and_no_confirmed_ack() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut published = BTreeSet::new();
    let mut acked = BTreeSet::new();
    for round in 0..3 {
        let up = Arc::new(Up::start(folder.path()));
        if round == 0 {
            up.put(TOPIC, json!({})).await;
            up.put(SUB, json!({"topic": TOPIC, "enableExactlyOnceDelivery": true, "ackDeadlineSeconds": 600})).await;
        }
        let done = Arc::new(AtomicUsize::new(0));
        let publishers: Vec<_> = (0..3)
            .map(|_| {
                let (up, done) = (up.clone(), done.clone());
                tokio::spawn(async move {
                    let mut ids = Vec::new();
                    while let Some(more) = up.publish(5).await {
                        done.fetch_add(1, Ordering::Relaxed);
                        ids.extend(more);
                    }
                    ids
                })
            })
            .collect();
        let worker = {
            let up = up.clone();
            tokio::spawn(async move {
                let mut confirmed = Vec::new();
                while let Some(some) = up.pull(SUB, 20).await {
                    let ack_ids: Vec<_> = some.iter().map(|(ack, _, _)| ack.clone()).collect();
                    if !ack_ids.is_empty() {
                        if up.ack(&ack_ids).await.is_none() {
                            break;
                        }
                        confirmed.extend(some.into_iter().map(|(_, message, _)| message));
                    }
                }
                confirmed
            })
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while done.load(Ordering::Relaxed) < 40 && Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        // In the middle of everything.
        rustix::process::kill_process(rustix::process::Pid::from_child(&up.child), rustix::process::Signal::KILL)
            .expect("the process is there");
        for publisher in publishers {
            published.extend(publisher.await.expect("no panic"));
        }
        for message in worker.await.expect("no panic") {
            assert!(acked.insert(message.clone()), "{message} came again after its ack was confirmed");
        }
    }
    let up = Up::start(folder.path());
    // What was out when the process died is out still: it comes back at its deadline.
    up.advance(601).await;
    let mut rest = BTreeSet::new();
    loop {
        let some = up.pull(SUB, 1_000).await.expect("an answer");
        if some.is_empty() {
            break;
        }
        let ack_ids: Vec<_> = some.iter().map(|(ack, _, _)| ack.clone()).collect();
        up.ack(&ack_ids).await.expect("they count");
        for (_, message, _) in some {
            assert!(!acked.contains(&message), "{message} came again after its ack was confirmed");
            assert!(rest.insert(message.clone()), "{message} came twice");
        }
    }
    assert!(published.len() >= 3 * 40 * 5 && !acked.is_empty());
    let lost: Vec<_> = published.iter().filter(|id| !acked.contains(*id) && !rest.contains(*id)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}

#[tokio::test]
async fn attempts_leases_snapshots_and_settings_survive() {
    let folder = tempfile::tempdir().expect("a folder");
    let up = Up::start(folder.path());
    up.put(TOPIC, json!({"labels": {"a": "b"}, "messageRetentionDuration": "3600s"})).await;
    up.put(DEAD, json!({})).await;
    let policy = json!({"deadLetterTopic": DEAD, "maxDeliveryAttempts": 5});
    up.put(SUB, json!({"topic": TOPIC, "deadLetterPolicy": policy, "filter": "NOT attributes:skip"})).await;
    let ids = up.publish(2).await.expect("ids");
    up.put(SNAPSHOT, json!({"subscription": SUB})).await;
    let nack = async |up: &Up, ack: &str| {
        let body = json!({"ackIds": [ack], "ackDeadlineSeconds": 0});
        up.post(&format!("v1/{SUB}:modifyAckDeadline"), &body).await.expect("an answer");
    };
    let first = up.pull(SUB, 2).await.expect("messages");
    assert_eq!(first.iter().map(|(_, id, attempt)| (id, *attempt)).collect::<Vec<_>>(), [(&ids[0], 1), (&ids[1], 1)]);
    nack(&up, &first[0].0).await;
    let (topic, subscription) = (up.get(TOPIC).await, up.get(SUB).await);
    drop(up);

    let up = Up::start(folder.path());
    assert_eq!((up.get(TOPIC).await, up.get(SUB).await), (topic, subscription));
    let second = up.pull(SUB, 2).await.expect("messages");
    assert_eq!(second.iter().map(|(_, id, attempt)| (id, *attempt)).collect::<Vec<_>>(), [(&ids[0], 2)]);
    // An ack id from before the end is still good.
    up.ack(&[first[1].0.clone(), second[0].0.clone()]).await.expect("they count");
    drop(up);

    let up = Up::start(folder.path());
    up.advance(600).await;
    assert_eq!(up.pull(SUB, 10).await.expect("an answer"), []);
    up.post(&format!("v1/{SUB}:seek"), &json!({"snapshot": SNAPSHOT})).await.expect("a seek");
    drop(up);

    let up = Up::start(folder.path());
    let again: Vec<_> = up.pull(SUB, 10).await.expect("messages").into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(again, ids);
    // The topic's own log is there too.
    up.put(REPLAY, json!({"topic": TOPIC})).await;
    up.post(&format!("v1/{REPLAY}:seek"), &json!({"time": "2020-01-01T00:00:00Z"})).await.expect("a seek");
    assert_eq!(up.pull(REPLAY, 10).await.expect("messages").len(), 2);
    up.post("admin/reset", &json!({})).await.expect("a reset");
    drop(up);

    let up = Up::start(folder.path());
    assert_eq!(up.get("projects/demo/topics").await, json!({}));
}
