//! The generated clients on one connection each, and the requests that the measurements send.

use bytes::Bytes;
use scrimmage_protos::google::pubsub::v1 as proto;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use proto::publisher_client::PublisherClient;
use proto::subscriber_client::SubscriberClient;

use crate::Result;

const PROJECT: &str = "projects/peers";
const ACK_DEADLINE_SECONDS: i32 = 60;

/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct Client {
    publisher: PublisherClient<Channel>,
    subscriber: SubscriberClient<Channel>,
}

/// An open streaming pull.
#[derive(Debug)]
pub struct Stream {
    requests: Sender<proto::StreamingPullRequest>,
    answers: Streaming<proto::StreamingPullResponse>,
}

impl Client {
    pub async fn connect(address: &str) -> Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(text)?.tcp_nodelay(true);
        let (one, another) = (endpoint.connect().await.map_err(text)?, endpoint.connect().await.map_err(text)?);
        Ok(Client {
            publisher: PublisherClient::new(one),
            subscriber: SubscriberClient::new(another).max_decoding_message_size(64 << 20),
        })
    }

    /// Makes a topic; its full name.
    pub async fn topic(&self, id: &str) -> Result<String> {
        let name = format!("{PROJECT}/topics/{id}");
        let topic = proto::Topic { name: name.clone(), ..Default::default() };
        self.publisher.clone().create_topic(topic).await.map_err(text)?;
        Ok(name)
    }

    /// Makes a subscription; its full name.
    pub async fn subscription(&self, id: &str, topic: &str, ordered: bool, push_to: Option<String>) -> Result<String> {
        let name = format!("{PROJECT}/subscriptions/{id}");
        let push_config = push_to.map(|push_endpoint| proto::PushConfig { push_endpoint, ..Default::default() });
        let subscription = proto::Subscription {
            name: name.clone(),
            topic: topic.to_owned(),
            ack_deadline_seconds: ACK_DEADLINE_SECONDS,
            enable_message_ordering: ordered,
            push_config,
            ..Default::default()
        };
        self.subscriber.clone().create_subscription(subscription).await.map_err(text)?;
        Ok(name)
    }

    pub async fn publish(&self, topic: &str, messages: Vec<proto::PubsubMessage>) -> Result<()> {
        let request = proto::PublishRequest { topic: topic.to_owned(), messages };
        self.publisher.clone().publish(request).await.map(drop).map_err(text)
    }

    pub async fn open(&self, subscription: &str) -> Result<Stream> {
        let (requests, sent) = channel(64);
        let first = proto::StreamingPullRequest {
            subscription: subscription.to_owned(),
            stream_ack_deadline_seconds: ACK_DEADLINE_SECONDS,
            client_id: "peers".to_owned(),
            max_outstanding_messages: 100_000,
            max_outstanding_bytes: 1 << 30,
            ..Default::default()
        };
        requests.send(first).await.map_err(text)?;
        let answers = self.subscriber.clone().streaming_pull(ReceiverStream::new(sent)).await.map_err(text)?;
        Ok(Stream { requests, answers: answers.into_inner() })
    }
}

impl Stream {
    /// The next messages, acknowledged on the same stream before they are returned.
    pub async fn next(&mut self) -> Result<Vec<proto::PubsubMessage>> {
        let answer = loop {
            let answer = self.answers.message().await.map_err(text)?.ok_or("the stream ended")?;
            // Some answers only tell the subscription's properties.
            if !answer.received_messages.is_empty() {
                break answer;
            }
        };
        let mut messages = Vec::with_capacity(answer.received_messages.len());
        let mut ack_ids = Vec::with_capacity(answer.received_messages.len());
        for received in answer.received_messages {
            ack_ids.push(received.ack_id);
            messages.extend(received.message);
        }
        let acks = proto::StreamingPullRequest { ack_ids, ..Default::default() };
        self.requests.send(acks).await.map_err(text)?;
        Ok(messages)
    }
}

/// A message of 100 bytes.
pub fn message(ordering_key: &str) -> proto::PubsubMessage {
    proto::PubsubMessage {
        data: Bytes::from_static(&[b'x'; 100]),
        ordering_key: ordering_key.to_owned(),
        ..Default::default()
    }
}

pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
