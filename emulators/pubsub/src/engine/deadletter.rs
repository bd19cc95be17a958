//! Deliveries that came to nothing: redelivery, backoff, and the dead-letter topic.

use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::message::Message;
use super::push::PUSH;
use super::records::{Change, Messages};
use super::{Engine, Seq, SubId, TopicId, names};

/// Something that happened by itself, for the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// `lease_expired`, `dead_letter`.
    pub kind: &'static str,
    /// The subscription.
    pub resource: String,
    pub text: String,
}

impl Engine {
    pub(super) fn lease_expired(&mut self, at: Timestamp, sub: SubId, seq: Seq) {
        if let Some(subscription) = self.subs.get(&sub)
            && let Some((deliveries, message)) = subscription.backlog.deliveries(seq)
        {
            self.events.push(Event {
                kind: "lease_expired",
                resource: subscription.config.name.clone(),
                text: format!("message {} after delivery {deliveries}", message.content.message_id),
            });
        }
        self.fail_delivery(at, sub, seq);
    }

    /// A nack, an expiry, or a failed push: the message goes to the dead-letter topic if that was
    /// its last attempt, or out again, after the retry policy's backoff.
    pub(super) fn fail_delivery(&mut self, at: Timestamp, sub: SubId, seq: Seq) {
        let Some(subscription) = self.subs.get_mut(&sub) else { return };
        if subscription.settings.push.is_some()
            && subscription.backlog.holder(seq).is_some_and(|(by, _)| by == PUSH)
            && let Some(until) = subscription.push.failed(at)
        {
            self.timers.set(until, super::timers::Timer::PushBackoff(sub));
        }
        self.fail_with(at, sub, seq, None);
    }

    /// The same whatever it was delivered by; with the reason, where the dead-letter topic is to have it.
    pub(super) fn fail_with(&mut self, at: Timestamp, sub: SubId, seq: Seq, why: Option<&str>) {
        let Some(subscription) = self.subs.get_mut(&sub) else { return };
        let Some((deliveries, _)) = subscription.backlog.deliveries(seq) else { return };
        let target = subscription
            .settings
            .dead_letter
            .as_ref()
            .filter(|policy| deliveries >= policy.attempts)
            // Without its topic a policy cannot be followed: the message stays.
            .and_then(|policy| self.topic_names.get(&policy.topic).copied());
        if let Some(target) = target {
            if let Some(message) = subscription.backlog.remove(&mut self.timers, seq) {
                self.forward(at, sub, target, &message, deliveries, why);
                self.bury(sub, message);
            }
        } else {
            let retry = subscription.settings.retry.map(|retry| at + retry.delay(deliveries));
            let retry = retry.filter(|until| *until > at);
            subscription.backlog.fail(&mut self.timers, seq, retry);
            self.records.failed(sub, seq, retry);
        }
        self.touch(sub);
    }

    /// To its subscription a forwarded message is an acknowledged one.
    pub(super) fn bury(&mut self, sub: SubId, message: Arc<Message>) {
        self.records.note(|| Change::Buried(Messages { of: sub, seqs: vec![message.seq] }));
        if let Some(subscription) = self.subs.get_mut(&sub)
            && subscription.settings.retain_acked
        {
            subscription.acked.insert(message.seq, message);
        }
    }

    fn forward(
        &mut self,
        at: Timestamp,
        sub: SubId,
        target: TopicId,
        message: &Message,
        deliveries: u32,
        why: Option<&str>,
    ) {
        let Some(name) = self.subs.get(&sub).map(|subscription| subscription.config.name.clone()) else { return };
        let mut content =
            pb::PubsubMessage { message_id: String::new(), publish_time: None, ..message.content.clone() };
        for (key, value) in [
            ("CloudPubSubDeadLetterSourceDeliveryCount", deliveries.to_string()),
            ("CloudPubSubDeadLetterSourceSubscription", names::id(&name).to_owned()),
            ("CloudPubSubDeadLetterSourceSubscriptionProject", names::project(&name).to_owned()),
            ("CloudPubSubDeadLetterSourceTopicPublishTime", message.published.to_string()),
        ] {
            content.attributes.insert(key.to_owned(), value);
        }
        if let Some(why) = why {
            content.attributes.insert("CloudPubSubDeadLetterSourceDeliveryErrorMessage".to_owned(), why.to_owned());
        }
        let id = self.append(at, target, content);
        self.events.push(Event {
            kind: "dead_letter",
            resource: name,
            text: format!("message {} after delivery {deliveries}, now {id}", message.content.message_id),
        });
    }
}
