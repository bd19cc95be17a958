//! Topics: created, changed, listed, deleted; and the log that a retention keeps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::message::Message;
use super::names::{self, Kind};
use super::records::Change;
use super::timers::Timer;
use super::transforms::Transforms;
use super::{Command, Engine, SnapshotId, SubId, TopicId, lists, masks, settings};
use crate::texts::Error;

#[derive(Debug)]
pub struct Topic {
    pub config: pb::Topic,
    /// How long the log keeps messages; none: it keeps nothing.
    pub retention: Option<Duration>,
    pub transforms: Option<Arc<Transforms>>,
    pub log: VecDeque<Arc<Message>>,
    pub retiring: bool,
    pub subs: Vec<SubId>,
    pub snapshots: Vec<SnapshotId>,
}

#[derive(Debug)]
pub struct CreateTopic(pub pb::Topic);
#[derive(Debug)]
pub struct UpdateTopic(pub pb::UpdateTopicRequest);
#[derive(Debug)]
pub struct GetTopic(pub String);
#[derive(Debug)]
pub struct ListTopics(pub pb::ListTopicsRequest);
#[derive(Debug)]
pub struct ListTopicSubscriptions(pub pb::ListTopicSubscriptionsRequest);
#[derive(Debug)]
pub struct DeleteTopic(pub String);

impl Command for CreateTopic {
    type Outcome = pb::Topic;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Topic, Error> {
        let mut config = self.0;
        let retention = settings::topic(&mut config)?;
        if engine.topic_names.contains_key(&config.name) {
            return Err(Error::already_exists(&config.name));
        }
        engine.check_schema_settings(&config)?;
        let id = engine.next_id();
        engine.put_topic(now, id, config.clone(), retention);
        Ok(config)
    }
}

impl Command for UpdateTopic {
    type Outcome = pb::Topic;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Topic, Error> {
        let given = self.0.topic.unwrap_or_default();
        let id = engine.topic(&given.name)?;
        let topic = engine.topics.get(&id).ok_or_else(|| Error::not_found(&given.name))?;
        let mut config = topic.config.clone();
        masks::topic(&mut config, &given, self.0.update_mask.as_ref())?;
        let retention = settings::topic(&mut config)?;
        engine.check_schema_settings(&config)?;
        engine.put_topic(now, id, config.clone(), retention);
        Ok(config)
    }
}

impl Command for GetTopic {
    type Outcome = pb::Topic;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<pb::Topic, Error> {
        let id = engine.topic(&self.0)?;
        engine.topics.get(&id).map(|topic| topic.config.clone()).ok_or_else(|| Error::not_found(&self.0))
    }
}

impl Command for ListTopics {
    type Outcome = pb::ListTopicsResponse;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<pb::ListTopicsResponse, Error> {
        names::check_project(&self.0.project)?;
        let prefix = format!("{}/", self.0.project);
        let page = lists::page(
            engine.topic_names.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix)),
            self.0.page_size,
            &self.0.page_token,
        )?;
        Ok(pb::ListTopicsResponse {
            topics: page.ids.iter().filter_map(|id| engine.topics.get(id)).map(|topic| topic.config.clone()).collect(),
            next_page_token: page.next,
        })
    }
}

impl Command for ListTopicSubscriptions {
    type Outcome = pb::ListTopicSubscriptionsResponse;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<Self::Outcome, Error> {
        let id = engine.topic(&self.0.topic)?;
        let members = engine.topics.get(&id).map(|topic| topic.subs.as_slice()).unwrap_or_default();
        let mut found: Vec<_> =
            members.iter().filter_map(|sub| Some((&engine.subs.get(sub)?.config.name, sub))).collect();
        found.sort();
        let page = lists::page(found.into_iter(), self.0.page_size, &self.0.page_token)?;
        let subscriptions =
            page.ids.iter().filter_map(|sub| engine.subs.get(sub)).map(|sub| sub.config.name.clone()).collect();
        Ok(pb::ListTopicSubscriptionsResponse { subscriptions, next_page_token: page.next })
    }
}

impl Command for DeleteTopic {
    type Outcome = ();
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        let id = engine.topic(&self.0)?;
        engine.remove_topic(id);
        Ok(())
    }
}

impl Engine {
    /// A topic as it is from now on, new or not.
    pub(super) fn put_topic(&mut self, now: Timestamp, id: TopicId, config: pb::Topic, retention: Option<Duration>) {
        self.records.topic(id, now, &config);
        let before = self.topics.get(&id).and_then(|topic| topic.transforms.as_ref());
        let transforms = self.transforms(&config.message_transforms, before);
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.config = config;
            topic.transforms = transforms;
            topic.retention = retention;
            if retention.is_none() {
                topic.log.clear();
            }
        } else {
            self.topic_names.insert(config.name.clone(), id);
            let (log, subs, snapshots) = (VecDeque::new(), Vec::new(), Vec::new());
            self.topics.insert(id, Topic { config, retention, transforms, log, retiring: false, subs, snapshots });
        }
        let members = self.topics.get(&id).map(|topic| topic.subs.clone()).unwrap_or_default();
        for sub in members {
            if let Some(subscription) = self.subs.get_mut(&sub) {
                subscription.kept_by_topic = retention.unwrap_or_default();
            }
            self.retire_messages(now, sub);
        }
        self.retire_log(now, id);
    }

    pub(super) fn remove_topic(&mut self, id: TopicId) {
        let Some(topic) = self.topics.remove(&id) else { return };
        self.records.note(|| Change::TopicGone(id));
        self.topic_names.remove(&topic.config.name);
        self.policies.remove(&topic.config.name);
        // Detached ones too: they are no members of the topic any more, but show its name.
        for sub in self.subs.values_mut().filter(|sub| sub.config.topic == topic.config.name) {
            sub.config.topic = names::DELETED_TOPIC.to_owned();
            sub.topic = None;
        }
        for snapshot in topic.snapshots {
            if let Some(snapshot) = self.snapshots.get_mut(&snapshot) {
                snapshot.config.topic = names::DELETED_TOPIC.to_owned();
                snapshot.topic = None;
            }
        }
    }

    /// Drops what the log has kept long enough and sees to the rest later.
    pub(super) fn retire_log(&mut self, now: Timestamp, id: TopicId) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        topic.retiring = false;
        let Some(retention) = topic.retention else { return };
        while topic.log.front().is_some_and(|oldest| oldest.published + retention <= now) {
            topic.log.pop_front();
        }
        self.schedule_log(id);
    }

    /// Sees to it that the log's oldest message goes in time.
    pub(super) fn schedule_log(&mut self, id: TopicId) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        if let (false, Some(retention), Some(oldest)) = (topic.retiring, topic.retention, topic.log.front()) {
            self.timers.set(oldest.published + retention, Timer::TopicRetention(id));
            topic.retiring = true;
        }
    }

    /// What a subscription shows as the retention of its topic.
    pub(super) fn topic_retention(&self, topic: Option<TopicId>) -> Option<prost_types::Duration> {
        self.topics.get(&topic?)?.retention.map(settings::proto)
    }

    /// The name checks of a topic reference that must exist.
    pub(super) fn referenced_topic(&self, name: &str) -> Result<TopicId, Error> {
        names::check(Kind::Topic, name)?;
        self.topic(name)
    }
}
