//! Publishing: checks, ids, and the fan-out to subscriptions.

use std::sync::Arc;

use prost::Message as _;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::message::Message;
use super::records::{Change, Counters};
use super::{Command, Engine, TopicId};
use crate::limits;
use crate::texts::Error;

/// Adds messages to a topic; the outcome is their ids, in order.
#[derive(Debug)]
pub struct Publish(pub pb::PublishRequest);

/// The same, of messages that have gone through the topic's transforms: those that were filtered get an id
/// and nothing else.
#[derive(Debug)]
pub struct PublishTransformed {
    pub request: pb::PublishRequest,
    pub filtered: Vec<bool>,
}

impl Command for Publish {
    type Outcome = Vec<String>;
    fn run(mut self, engine: &mut Engine, now: Timestamp) -> Result<Vec<String>, Error> {
        check(&self.0)?;
        let topic = engine.topic(&self.0.topic)?;
        engine.apply_schema(topic, &mut self.0.messages)?;
        Ok(self.0.messages.into_iter().map(|message| engine.append(now, topic, message)).collect())
    }
}

impl Command for PublishTransformed {
    type Outcome = Vec<String>;
    fn run(mut self, engine: &mut Engine, now: Timestamp) -> Result<Vec<String>, Error> {
        check(&self.request)?;
        let topic = engine.topic(&self.request.topic)?;
        let filtered = |at: usize| self.filtered.get(at).copied().unwrap_or_default();
        let mut kept: Vec<pb::PubsubMessage> = Vec::with_capacity(self.request.messages.len());
        let mut places = Vec::with_capacity(self.request.messages.len());
        for (at, message) in std::mem::take(&mut self.request.messages).into_iter().enumerate() {
            places.push(filtered(at));
            if !filtered(at) {
                kept.push(message);
            }
        }
        engine.apply_schema(topic, &mut kept)?;
        let mut kept = kept.into_iter();
        let ids = places.into_iter().map(|filtered| {
            let message = if filtered { None } else { kept.next() };
            match message {
                Some(message) => engine.append(now, topic, message),
                None => engine.skip(),
            }
        });
        Ok(ids.collect())
    }
}

/// Holds a request against production's limits.
pub fn check(request: &pb::PublishRequest) -> Result<(), Error> {
    let count = request.messages.len();
    if count == 0 {
        return Err(Error::TooSmall { what: "message_count", given: "0".to_owned(), least: "1".to_owned() });
    }
    too_large("message_count", count, limits::PUBLISH_MESSAGES)?;
    too_large("request_size", request.encoded_len(), limits::PUBLISH_BYTES)?;
    for message in &request.messages {
        if message.data.is_empty() && message.attributes.is_empty() {
            return Err(Error::EmptyMessage);
        }
        too_large("ordering_key_size", message.ordering_key.len(), limits::ORDERING_KEY_BYTES)?;
        too_large("attribute_count", message.attributes.len(), limits::ATTRIBUTES)?;
        for (key, value) in &message.attributes {
            if key.is_empty() || key.starts_with("goog") {
                return Err(Error::BadArgument("attributes"));
            }
            too_long("", "key", key, limits::ATTRIBUTE_KEY_BYTES)?;
            too_long(key, "value", value, limits::ATTRIBUTE_VALUE_BYTES)?;
        }
    }
    Ok(())
}

fn too_large(what: &'static str, given: usize, most: usize) -> Result<(), Error> {
    if given <= most {
        return Ok(());
    }
    Err(Error::TooLarge { what, given: given.to_string(), most: most.to_string() })
}

fn too_long(name: &str, part: &'static str, text: &str, most: usize) -> Result<(), Error> {
    if text.len() <= most {
        return Ok(());
    }
    Err(Error::LongAttribute { name: name.to_owned(), part, given: text.len(), most })
}

impl Engine {
    /// The id of a message that nobody will see.
    fn skip(&mut self) -> String {
        let seq = self.seq;
        self.seq += 1;
        let (first_message, ids) = (self.first_message, self.ids);
        self.records.note(|| Change::Counters(Counters { first_message, ids, seq: seq + 1 }));
        first_message.saturating_add(seq).to_string()
    }

    /// Adds one message to a topic and to whoever listens; its id.
    pub(super) fn append(&mut self, now: Timestamp, topic: TopicId, content: pb::PubsubMessage) -> String {
        let seq = self.seq;
        self.seq += 1;
        // Production's publish times have milliseconds.
        let published = Timestamp::from_micros(now.as_millis().saturating_mul(1_000));
        let message = Arc::new(Message::new(seq, self.first_message.saturating_add(seq), published, content));
        self.log_message(topic, &message);
        let Some(topic_state) = self.topics.get(&topic) else { return message.content.message_id.clone() };
        let mut takers = Vec::new();
        for sub in &topic_state.subs {
            if let Some(subscription) = self.subs.get_mut(sub)
                && subscription.wants(&message)
            {
                subscription.add(message.clone(), &mut self.timers);
                if self.records.is_on() {
                    takers.push(*sub);
                }
                if self.touched.last() != Some(sub) {
                    self.touched.push(*sub);
                }
            }
        }
        self.records.note(|| Change::Published(message.record(topic, takers)));
        message.content.message_id.clone()
    }

    /// Keeps a message for the topic's retention and in its snapshots.
    pub(super) fn log_message(&mut self, topic: TopicId, message: &Arc<Message>) {
        let Some(state) = self.topics.get_mut(&topic) else { return };
        if state.retention.is_some() {
            state.log.push_back(message.clone());
        }
        for snapshot in &state.snapshots {
            if let Some(snapshot) = self.snapshots.get_mut(snapshot) {
                snapshot.messages.push(message.clone());
            }
        }
        self.schedule_log(topic);
    }
}
