//! Messages to a topic, each at its intended moment, however long the others take.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use scrimmage_protos::google::pubsub::v1 as proto;
use tokio::task::JoinSet;
use tonic::codegen::Bytes;

use proto::publisher_client::PublisherClient;

use crate::{LoadError, channels};

/// From the moment when all are there to the first intended one.
const LEAD: Duration = Duration::from_millis(20);
const CONNECTIONS: usize = 16;

/// What is to be published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    pub data: Vec<u8>,
    pub attributes: HashMap<String, String>,
    pub ordering_key: String,
}

/// What was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    pub message_id: String,
    /// When it was meant to be published.
    pub intended: Instant,
}

/// Publishes each payload at its offset; the answers in the order of the payloads.
pub async fn publish(
    endpoint: &str,
    topic: &str,
    payloads: Vec<(Duration, Payload)>,
) -> Result<Vec<Published>, LoadError> {
    let failed = |problem: String| LoadError::Service { endpoint: endpoint.to_owned(), problem };
    let channels = channels::open(endpoint, CONNECTIONS.min(payloads.len())).await?;
    let clients: Vec<_> = channels.into_iter().map(PublisherClient::new).collect();
    let begin = Instant::now() + LEAD;
    let mut tasks = JoinSet::new();
    for ((number, (offset, payload)), client) in payloads.into_iter().enumerate().zip(clients.iter().cycle()) {
        let (mut client, topic) = (client.clone(), topic.to_owned());
        let intended = begin + offset;
        tasks.spawn(async move {
            tokio::time::sleep_until(intended.into()).await;
            let message = proto::PubsubMessage {
                data: Bytes::from(payload.data),
                attributes: payload.attributes,
                ordering_key: payload.ordering_key,
                ..Default::default()
            };
            let answer = client.publish(proto::PublishRequest { topic, messages: vec![message] }).await?.into_inner();
            let message_id = answer.message_ids.into_iter().next().unwrap_or_default();
            Ok::<_, tonic::Status>((number, Published { message_id, intended }))
        });
    }
    let mut published = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.map_err(|error| failed(error.to_string()))?;
        published.push(ended.map_err(|status| failed(super::told(&status)))?);
    }
    published.sort_by_key(|(number, _)| *number);
    Ok(published.into_iter().map(|(_, one)| one).collect())
}
