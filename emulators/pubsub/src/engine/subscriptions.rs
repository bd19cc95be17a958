//! Subscriptions: created, changed, listed, detached, deleted, expired.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::backlog::Backlog;
use super::consumers::Consumers;
use super::message::Message;
use super::names::{self, Kind};
use super::push::PushState;
use super::records::{self, Change};
use super::settings::{self, Settings};
use super::timers::{Timer, Timers};
use super::transforms::Transforms;
use super::{Command, Engine, Seq, SubId, TopicId, Wake, lists, masks};
use crate::texts::Error;

#[derive(Debug)]
pub struct Subscription {
    pub id: SubId,
    pub config: pb::Subscription,
    pub settings: Settings,
    pub transforms: Option<Arc<Transforms>>,
    /// None once the topic is deleted or the subscription detached.
    pub topic: Option<TopicId>,
    pub backlog: Backlog,
    /// Acknowledged messages, where they are retained.
    pub acked: BTreeMap<Seq, Arc<Message>>,
    pub consumers: Consumers,
    pub push: PushState,
    /// When somebody last pulled, streamed, acknowledged or took a push.
    pub active: Timestamp,
    /// How long the topic keeps messages: they are as long available here.
    pub kept_by_topic: Duration,
    retiring: bool,
}

impl Subscription {
    /// Whether a message of the topic is for this subscription.
    pub fn wants(&self, message: &Message) -> bool {
        self.settings.filter.as_ref().is_none_or(|filter| filter.matches(&message.content.attributes))
    }

    /// How long a message stays, counted from its publishing. What a topic retains is "always available to
    /// subscribers" for that long (API reference of `message_retention_duration`).
    pub fn retention(&self) -> Duration {
        self.settings.retention.max(self.kept_by_topic)
    }

    pub fn add(&mut self, message: Arc<Message>, timers: &mut Timers) {
        if !self.retiring {
            self.retiring = true;
            timers.set(message.published + self.retention(), Timer::Retention(self.id));
        }
        self.backlog.add(message);
    }

    /// Sees to it that the oldest message goes in time.
    pub fn schedule_retention(&mut self, timers: &mut Timers) {
        let oldest = self.backlog.oldest().into_iter().chain(self.acked.values().next());
        let oldest = oldest.map(|message| message.published).min();
        self.retiring = oldest.is_some();
        if let Some(oldest) = oldest {
            timers.set(oldest + self.retention(), Timer::Retention(self.id));
        }
    }

    /// As it is kept, without its messages.
    pub fn record(&self) -> records::Subscription {
        records::Subscription {
            id: self.id,
            at: self.active.as_micros(),
            topic: self.topic.unwrap_or(0),
            config: Some(self.config.clone()),
        }
    }

    /// Books what has ended.
    pub fn book(&mut self) {
        for freed in self.backlog.take_freed() {
            self.consumers.freed(freed);
            self.push.freed(freed);
        }
        let settled = self.backlog.take_settled();
        if self.settings.retain_acked {
            self.acked.extend(settled.into_iter().map(|message| (message.seq, message)));
        }
    }

    /// Books what has ended and wakes whoever can take something now.
    pub fn serve(&mut self, wakes: &mut Vec<Wake>) {
        self.book();
        if !self.settings.is_pull() {
            let is_sink = self.settings.sink.is_some();
            if self.backlog.available() > 0 && (!is_sink || self.push.is_idle()) && self.push.call() {
                wakes.push(if is_sink { Wake::Sink(self.id) } else { Wake::Push(self.id) });
            }
            return;
        }
        if self.settings.ordered {
            let backlog = &self.backlog;
            self.consumers.wake_where(|token| backlog.has_own(token), wakes);
        }
        self.consumers.wake_for(self.backlog.available(), wakes);
    }
}

#[derive(Debug)]
pub struct CreateSubscription(pub pb::Subscription);
#[derive(Debug)]
pub struct GetSubscription(pub String);
#[derive(Debug)]
pub struct UpdateSubscription(pub pb::UpdateSubscriptionRequest);
#[derive(Debug)]
pub struct ModifyPushConfig(pub pb::ModifyPushConfigRequest);
#[derive(Debug)]
pub struct ListSubscriptions(pub pb::ListSubscriptionsRequest);
#[derive(Debug)]
pub struct DeleteSubscription(pub String);
#[derive(Debug)]
pub struct DetachSubscription(pub String);

impl Command for CreateSubscription {
    type Outcome = pb::Subscription;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Subscription, Error> {
        let mut config = self.0;
        let settings = settings::subscription(&mut config)?;
        if engine.sub_names.contains_key(&config.name) {
            return Err(Error::already_exists(&config.name));
        }
        let topic = engine.referenced_topic(&config.topic)?;
        if let Some(dead_letter) = &settings.dead_letter {
            engine.referenced_topic(&dead_letter.topic)?;
        }
        let id = engine.next_id();
        config.topic_message_retention_duration = engine.topic_retention(Some(topic));
        config.detached = false;
        engine.put_subscription(now, id, config.clone(), settings, Some(topic));
        Ok(config)
    }
}

impl Command for GetSubscription {
    type Outcome = pb::Subscription;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<pb::Subscription, Error> {
        let id = engine.sub(&self.0)?;
        engine.shown(id).ok_or_else(|| Error::not_found(&self.0))
    }
}

impl Command for UpdateSubscription {
    type Outcome = pb::Subscription;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Subscription, Error> {
        let given = self.0.subscription.unwrap_or_default();
        let id = engine.sub(&given.name)?;
        let mut config = engine.sub_mut(&given.name)?.config.clone();
        masks::subscription(&mut config, &given, self.0.update_mask.as_ref())?;
        engine.reconfigure(now, id, config)?;
        engine.shown(id).ok_or_else(|| Error::not_found(&given.name))
    }
}

impl Command for ModifyPushConfig {
    type Outcome = ();
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<(), Error> {
        let subscription = engine.sub_mut(&self.0.subscription)?;
        let (id, mut config) = (subscription.id, subscription.config.clone());
        config.push_config = self.0.push_config;
        engine.reconfigure(now, id, config)
    }
}

impl Command for ListSubscriptions {
    type Outcome = pb::ListSubscriptionsResponse;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<Self::Outcome, Error> {
        names::check_project(&self.0.project)?;
        let prefix = format!("{}/", self.0.project);
        let page = lists::page(
            engine.sub_names.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix)),
            self.0.page_size,
            &self.0.page_token,
        )?;
        Ok(pb::ListSubscriptionsResponse {
            subscriptions: page.ids.iter().filter_map(|id| engine.shown(*id)).collect(),
            next_page_token: page.next,
        })
    }
}

impl Command for DeleteSubscription {
    type Outcome = ();
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        let id = engine.sub(&self.0)?;
        engine.drop_subscription(id);
        Ok(())
    }
}

impl Command for DetachSubscription {
    type Outcome = ();
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        names::check(Kind::Subscription, &self.0)?;
        let id = engine.sub(&self.0)?;
        engine.detach(id);
        Ok(())
    }
}

impl Engine {
    /// The subscription as the API shows it.
    fn shown(&self, id: SubId) -> Option<pb::Subscription> {
        let subscription = self.subs.get(&id)?;
        let mut config = subscription.config.clone();
        config.topic_message_retention_duration = self.topic_retention(subscription.topic);
        Some(config)
    }

    fn reconfigure(&mut self, now: Timestamp, id: SubId, mut config: pb::Subscription) -> Result<(), Error> {
        let settings = settings::subscription(&mut config)?;
        let before = self.subs.get(&id).and_then(|subscription| subscription.settings.dead_letter.as_ref());
        if let Some(dead_letter) = &settings.dead_letter
            // One that has been deleted since does not stand in the way of other settings.
            && before.is_none_or(|before| before.topic != dead_letter.topic)
        {
            self.referenced_topic(&dead_letter.topic)?;
        }
        self.change_subscription(now, id, config, settings);
        Ok(())
    }

    /// A new subscription.
    pub(super) fn put_subscription(
        &mut self,
        now: Timestamp,
        id: SubId,
        config: pb::Subscription,
        settings: Settings,
        topic: Option<TopicId>,
    ) {
        if let Some(time_to_live) = settings.time_to_live {
            self.timers.set(now + time_to_live, Timer::Expiry(id));
        }
        let mut kept_by_topic = Duration::ZERO;
        if let Some(topic) = topic.and_then(|topic| self.topics.get_mut(&topic)) {
            topic.subs.push(id);
            kept_by_topic = topic.retention.unwrap_or_default();
        }
        self.sub_names.insert(config.name.clone(), id);
        let transforms = self.transforms(&config.message_transforms, None);
        let subscription = Subscription {
            id,
            transforms,
            backlog: Backlog::new(id, settings.ordered),
            config,
            settings,
            topic,
            acked: BTreeMap::new(),
            consumers: Consumers::default(),
            push: PushState::new(self.push_window),
            active: now,
            kept_by_topic,
            retiring: false,
        };
        self.records.note(|| Change::Subscription(subscription.record()));
        self.subs.insert(id, subscription);
    }

    /// Takes a subscription from its topic, with all its messages.
    pub(super) fn detach(&mut self, id: SubId) {
        self.unlink(id);
        let Some(name) = self.subs.get(&id).map(|subscription| names::id(&subscription.config.name).to_owned()) else {
            return;
        };
        self.end_consumers(id, &Error::Detached(name));
        if let Some(subscription) = self.subs.get_mut(&id) {
            subscription.topic = None;
            subscription.config.detached = true;
            subscription.backlog.clear(&mut self.timers);
            subscription.acked.clear();
            self.records.note(|| Change::Subscription(subscription.record()));
            self.touched.push(id);
        }
    }

    /// Other settings for a subscription, checked before.
    pub(super) fn change_subscription(
        &mut self,
        now: Timestamp,
        id: SubId,
        config: pb::Subscription,
        settings: Settings,
    ) {
        let pull = settings.is_pull();
        let before = self.subs.get(&id).and_then(|subscription| subscription.transforms.as_ref());
        let transforms = self.transforms(&config.message_transforms, before);
        let Some(subscription) = self.subs.get_mut(&id) else { return };
        let switched = pull != subscription.settings.is_pull();
        let time_to_live = settings.time_to_live;
        if !settings.retain_acked {
            subscription.acked.clear();
        }
        subscription.config = config;
        subscription.settings = settings;
        subscription.transforms = transforms;
        subscription.active = now;
        self.records.note(|| Change::Subscription(subscription.record()));
        if let Some(time_to_live) = time_to_live {
            self.timers.set(now + time_to_live, Timer::Expiry(id));
        }
        if switched && !pull {
            self.end_consumers(id, &Error::WrongType);
        }
        self.retire_messages(now, id);
        self.touched.push(id);
    }

    /// Tells everybody who waits at a subscription that it is over.
    pub(super) fn end_consumers(&mut self, id: SubId, why: &Error) {
        let Some(subscription) = self.subs.get_mut(&id) else { return };
        for token in subscription.consumers.drain() {
            subscription.backlog.leave(token);
            self.ended.insert(token, why.clone());
            self.wakes.push(Wake::Consumer(token));
        }
    }

    fn unlink(&mut self, id: SubId) {
        let topic = self.subs.get(&id).and_then(|subscription| subscription.topic);
        if let Some(topic) = topic.and_then(|topic| self.topics.get_mut(&topic)) {
            topic.subs.retain(|sub| *sub != id);
        }
    }

    pub(super) fn drop_subscription(&mut self, id: SubId) {
        self.unlink(id);
        let Some(name) = self.subs.get(&id).map(|subscription| subscription.config.name.clone()) else { return };
        self.records.note(|| Change::SubscriptionGone(id));
        self.end_consumers(id, &Error::not_found(&name));
        if let Some(mut subscription) = self.subs.remove(&id) {
            subscription.backlog.clear(&mut self.timers);
        }
        self.sub_names.remove(&name);
        self.policies.remove(&name);
    }

    /// Deletes a subscription that nobody has used for its time to live. Open streams and waiting
    /// pulls are use.
    pub(super) fn expire_subscription(&mut self, at: Timestamp, id: SubId) {
        let Some(subscription) = self.subs.get_mut(&id) else { return };
        let Some(time_to_live) = subscription.settings.time_to_live else { return };
        if !subscription.consumers.is_empty() {
            subscription.active = at;
        }
        let end = subscription.active + time_to_live;
        if end > at {
            self.timers.set(end, Timer::Expiry(id));
        } else {
            self.drop_subscription(id);
        }
    }

    /// Drops the messages that have outlived a subscription's retention and sees to the rest later.
    pub(super) fn retire_messages(&mut self, at: Timestamp, id: SubId) {
        let Some(subscription) = self.subs.get_mut(&id) else { return };
        let retention = subscription.retention();
        while let Some(oldest) = subscription.backlog.oldest()
            && oldest.published + retention <= at
        {
            let seq = oldest.seq;
            subscription.backlog.remove(&mut self.timers, seq);
            self.records.removed(id, seq);
        }
        while let Some(oldest) = subscription.acked.first_entry()
            && oldest.get().published + retention <= at
        {
            oldest.remove();
        }
        subscription.schedule_retention(&mut self.timers);
        self.touched.push(id);
    }
}
