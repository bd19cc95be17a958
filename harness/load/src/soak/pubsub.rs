//! Pub/Sub's clients: each publishes and then pulls and acknowledges as much; every tenth publishes to a
//! topic that is pushed, and waits for its message to come.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use scrimmage_protos::google::pubsub::v1 as proto;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;

use proto::publisher_client::PublisherClient;
use proto::subscriber_client::SubscriberClient;

use super::{PROJECT, Seen};

const SERVICE: &str = "pubsub";
/// Topics that the pulling clients share.
const TOPICS: usize = 10;
/// Messages of one publish.
const MESSAGES: usize = 10;
/// A message that is not pushed by then is lost.
const PUSHED_WITHIN: Duration = Duration::from_secs(30);

/// Who waits for which pushed message, by what is in it.
type Awaited = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

pub(super) struct Clients {
    channels: Vec<Channel>,
    awaited: Awaited,
    pushed_to: Arc<Endpointed>,
}

/// Takes pushes; dropping it ends that.
struct Endpointed(JoinHandle<()>);

impl Drop for Endpointed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn told(status: tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

fn topic(number: usize) -> String {
    format!("projects/{PROJECT}/topics/load-{}", number % TOPICS)
}

fn subscription(number: usize) -> String {
    format!("projects/{PROJECT}/subscriptions/load-{}", number % TOPICS)
}

fn pushed_topic() -> String {
    format!("projects/{PROJECT}/topics/load-pushed")
}

async fn receive(State(awaited): State<Awaited>, body: Bytes) -> StatusCode {
    let Ok(envelope) = serde_json::from_slice::<serde_json::Value>(&body) else { return StatusCode::BAD_REQUEST };
    if let Some(key) = envelope["message"]["attributes"]["key"].as_str()
        && let Some(waiting) = awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    {
        let _ = waiting.send(());
    }
    StatusCode::NO_CONTENT
}

impl Clients {
    /// A client on each of these connections.
    pub(super) async fn on(channels: Vec<Channel>) -> Result<Clients, String> {
        let first = channels.first().cloned().ok_or("no connection")?;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(text)?;
        let push_endpoint = format!("http://{}/push", listener.local_addr().map_err(text)?);
        let awaited = Awaited::default();
        let router = Router::new().route("/push", post(receive)).with_state(Arc::clone(&awaited));
        let serving = tokio::spawn(async move {
            // Accepting goes on until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        let (mut publisher, mut subscriber) = (PublisherClient::new(first.clone()), SubscriberClient::new(first));
        for number in 0..=TOPICS {
            let pushed = number == TOPICS;
            let name = if pushed { pushed_topic() } else { topic(number) };
            let created = publisher.create_topic(proto::Topic { name: name.clone(), ..Default::default() }).await;
            there(created)?;
            let mut wanted = proto::Subscription {
                name: subscription(number),
                topic: name,
                ack_deadline_seconds: 60,
                ..Default::default()
            };
            if pushed {
                wanted.name = format!("projects/{PROJECT}/subscriptions/load-pushed-{}", std::process::id());
                wanted.push_config =
                    Some(proto::PushConfig { push_endpoint: push_endpoint.clone(), ..Default::default() });
            }
            there(subscriber.create_subscription(wanted).await)?;
        }
        Ok(Clients { channels, awaited, pushed_to: Arc::new(Endpointed(serving)) })
    }

    pub(super) fn count(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn begin(&self, tasks: &mut JoinSet<Seen>, stopped: &watch::Receiver<bool>) {
        for (who, channel) in self.channels.iter().cloned().enumerate() {
            let (stopped, awaited, pushed_to) =
                (stopped.clone(), Arc::clone(&self.awaited), Arc::clone(&self.pushed_to));
            tasks.spawn(async move {
                let mut seen = Seen::default();
                let mut round = 0;
                // At least once, however short it is.
                loop {
                    if who % 10 == 0 {
                        publish_to_push(channel.clone(), &awaited, format!("{who}-{round}"), &mut seen).await;
                    } else {
                        publish_and_pull(channel.clone(), who, &mut seen).await;
                    }
                    round += 1;
                    if *stopped.borrow() {
                        break;
                    }
                }
                drop(pushed_to);
                seen
            });
        }
    }
}

/// What is there already is as good.
fn there<T>(made: Result<T, tonic::Status>) -> Result<(), String> {
    match made {
        Err(status) if status.code() != Code::AlreadyExists => Err(told(status)),
        _ => Ok(()),
    }
}

fn message(key: &str) -> proto::PubsubMessage {
    proto::PubsubMessage {
        data: Bytes::from_static(&[b'x'; 100]),
        attributes: HashMap::from([("key".to_owned(), key.to_owned())]),
        ..Default::default()
    }
}

async fn publish_and_pull(channel: Channel, who: usize, seen: &mut Seen) {
    let (mut publisher, mut subscriber) = (PublisherClient::new(channel.clone()), SubscriberClient::new(channel));
    let begun = Instant::now();
    let request = proto::PublishRequest { topic: topic(who), messages: vec![message(""); MESSAGES] };
    let published = publisher.publish(request).await.map_err(told);
    if seen.note(SERVICE, "Publish (10)", begun, published).is_none() {
        return;
    }
    // Others may have taken its messages; they have left theirs.
    let mut left = MESSAGES;
    while left > 0 {
        let begun = Instant::now();
        #[allow(deprecated, reason = "an empty answer at once is what is wanted")]
        let request = proto::PullRequest {
            subscription: subscription(who),
            max_messages: i32::try_from(left).unwrap_or(1),
            return_immediately: true,
        };
        let pulled = subscriber.pull(request).await.map_err(told);
        let Some(pulled) = seen.note(SERVICE, "Pull", begun, pulled) else { return };
        let ack_ids: Vec<String> =
            pulled.into_inner().received_messages.into_iter().map(|received| received.ack_id).collect();
        if ack_ids.is_empty() {
            return;
        }
        left -= ack_ids.len().min(left);
        let begun = Instant::now();
        let request = proto::AcknowledgeRequest { subscription: subscription(who), ack_ids };
        let acknowledged = subscriber.acknowledge(request).await.map_err(told);
        seen.note(SERVICE, "Acknowledge", begun, acknowledged);
    }
}

async fn publish_to_push(channel: Channel, awaited: &Awaited, key: String, seen: &mut Seen) {
    let (send, pushed) = oneshot::channel();
    awaited.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), send);
    let begun = Instant::now();
    let request = proto::PublishRequest { topic: pushed_topic(), messages: vec![message(&key)] };
    if let Err(status) = PublisherClient::new(channel).publish(request).await {
        seen.note::<()>(SERVICE, "publish to push", begun, Err(told(status)));
        awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        return;
    }
    let came = match tokio::time::timeout(PUSHED_WITHIN, pushed).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(format!("not pushed within {PUSHED_WITHIN:?}")),
    };
    seen.note(SERVICE, "publish to push", begun, came);
}
