//! Pulls what a real project cannot push: its Pub/Sub does not reach this machine's front doors.
//!
//! To a front door a relayed message looks like a pushed one: the same envelope, and its answer
//! acknowledges or refuses.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

use crate::clients::local_http;

/// Messages a pull.
const BATCH: usize = 100;
/// After a pull that failed, and before a refused message may come again.
const PAUSE: Duration = Duration::from_millis(200);

/// One subscription being relayed. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Relay(JoinHandle<()>);

impl Relay {
    /// Relays `projects/…/subscriptions/…`, pulled at the suite at `url`, to an endpoint.
    pub(crate) fn begin(url: &str, subscription: &str, endpoint: &str) -> Relay {
        let line = Line {
            http: local_http(),
            subscription: subscription.to_owned(),
            at: format!("{url}/v1/{subscription}"),
            endpoint: endpoint.to_owned(),
        };
        Relay(tokio::spawn(line.work()))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone)]
struct Line {
    http: reqwest::Client,
    subscription: String,
    at: String,
    endpoint: String,
}

impl Line {
    async fn work(self) {
        let mut deliveries = JoinSet::new();
        loop {
            let pulled = self.call("pull", json!({ "maxMessages": BATCH })).await;
            let Some(pulled) = pulled else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            for received in pulled["receivedMessages"].as_array().into_iter().flatten() {
                deliveries.spawn(self.clone().deliver(received.clone()));
            }
            while deliveries.try_join_next().is_some() {}
        }
    }

    async fn call(&self, verb: &str, body: Value) -> Option<Value> {
        let answer = self.http.post(format!("{}:{verb}", self.at)).json(&body).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    async fn deliver(self, received: Value) {
        let answer = self.http.post(&self.endpoint).json(&envelope(&received, &self.subscription)).send().await;
        let is_acknowledged =
            answer.is_ok_and(|answer| matches!(answer.status().as_u16(), 102 | 200 | 201 | 202 | 204));
        let ids = [&received["ackId"]];
        if is_acknowledged {
            self.call("acknowledge", json!({ "ackIds": ids })).await;
        } else {
            tokio::time::sleep(PAUSE).await;
            self.call("modifyAckDeadline", json!({ "ackIds": ids, "ackDeadlineSeconds": 0 })).await;
        }
    }
}

/// What a push request has in its body.
fn envelope(received: &Value, subscription: &str) -> Value {
    let mut message = received["message"].clone();
    if let Some(fields) = message.as_object_mut() {
        for (old, new) in [("messageId", "message_id"), ("publishTime", "publish_time")] {
            if let Some(value) = fields.get(old).cloned() {
                fields.insert(new.to_owned(), value);
            }
        }
    }
    let mut envelope = json!({ "message": message, "subscription": subscription });
    if let Some(attempt) = received.get("deliveryAttempt") {
        envelope["deliveryAttempt"] = attempt.clone();
    }
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front_door::Message;

    #[test]
    fn a_relayed_message_looks_like_a_pushed_one() {
        let received = json!({ "ackId": "a", "message": { "data": "eyJhIjoxfQ==", "messageId": "7" } });
        let body = envelope(&received, "projects/p/subscriptions/s").to_string();
        let message = Message::in_body(body.as_bytes()).expect("a push");
        assert_eq!((message.id.as_str(), &message.content["a"]), ("7", &json!(1)));
    }
}
