//! Published messages and their deliveries.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message as _;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::records::Published;
use super::{Seq, SubId, TopicId};

/// One published message; every subscription shares it.
#[derive(Debug)]
pub struct Message {
    /// Place in the order of publishing, over all topics.
    pub seq: Seq,
    pub published: Timestamp,
    /// Encoded size, bytes: what flow control counts.
    pub size: usize,
    /// As it goes out, with id and publish time.
    pub content: pb::PubsubMessage,
}

impl Message {
    pub fn new(seq: Seq, id: u64, published: Timestamp, mut content: pb::PubsubMessage) -> Message {
        let (seconds, nanos) = published.to_parts();
        content.message_id = id.to_string();
        content.publish_time = Some(prost_types::Timestamp { seconds, nanos });
        Message { seq, published, size: content.encoded_len(), content }
    }

    /// As it is kept: published to a topic (0: only mentioned), for these subscriptions.
    pub fn record(&self, topic: TopicId, subs: Vec<SubId>) -> Published {
        let content = Some(self.content.clone());
        Published { seq: self.seq, topic, at: self.published.as_micros(), content, subs }
    }
}

/// A message on its way to a consumer.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub ack: AckId,
    pub message: Arc<Message>,
    /// How often the message has been delivered, this time included; only with a dead-letter policy.
    pub attempt: Option<u32>,
}

impl Delivery {
    pub fn into_received(self) -> pb::ReceivedMessage {
        pb::ReceivedMessage {
            ack_id: self.ack.to_string(),
            message: Some(self.message.content.clone()),
            delivery_attempt: self.attempt.map_or(0, |attempt| i32::try_from(attempt).unwrap_or(i32::MAX)),
        }
    }
}

/// Names one delivery of one message: opaque to clients, 38 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AckId {
    pub sub: SubId,
    pub seq: Seq,
    /// Counts the deliveries of the subscription.
    pub lease: u64,
}

impl AckId {
    /// Reads an id that a client sent; nothing for what was never one.
    pub fn parse(text: &str) -> Option<AckId> {
        let mut bytes = [0u8; 28];
        if URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()? != bytes.len() {
            return None;
        }
        let word = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let ack = AckId { sub: word(0)?, seq: word(8)?, lease: word(16)? };
        (bytes.get(24..)? == ack.check()).then_some(ack)
    }

    /// Four bytes that tell an id from a text that happens to decode.
    fn check(&self) -> [u8; 4] {
        let mixed = [self.sub, self.seq, self.lease].iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, word| {
            (hash.rotate_left(23) ^ word).wrapping_mul(0x2545_f491_4f6c_dd1d)
        });
        ((mixed >> 32) as u32).to_be_bytes()
    }
}

impl fmt::Display for AckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0u8; 28];
        for (to, word) in bytes.chunks_exact_mut(8).zip([self.sub, self.seq, self.lease]) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        if let Some(tail) = bytes.get_mut(24..) {
            tail.copy_from_slice(&self.check());
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ack_ids_read_back_and_nothing_else_does() {
        let ack = AckId { sub: 3, seq: u64::MAX, lease: 7 };
        let text = ack.to_string();
        assert_eq!(AckId::parse(&text), Some(ack));
        assert_eq!(text.len(), 38);
        for bad in ["", "not-an-ack-id", "é", &text[1..], &format!("{text}A"), &text.replace('B', "C"), &"A".repeat(38)]
        {
            assert!(AckId::parse(bad).is_none() || bad == text, "{bad}");
        }
    }
}
