//! Snapshots, and seeking to them or to a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::message::Message;
use super::names::{self, Kind};
use super::records::{self, Change, Sought};
use super::timers::Timer;
use super::{Command, Engine, Seq, SnapshotId, SubId, TopicId, lists, masks, settings};
use crate::limits;
use crate::texts::Error;

/// What a subscription had not acknowledged at a moment, and everything published since.
#[derive(Debug)]
pub struct Snapshot {
    pub config: pb::Snapshot,
    pub topic: Option<TopicId>,
    pub messages: Vec<Arc<Message>>,
}

impl Snapshot {
    /// As it is kept.
    pub fn record(&self, id: SnapshotId) -> records::Snapshot {
        let seqs = self.messages.iter().map(|message| message.seq).collect();
        records::Snapshot { id, topic: self.topic.unwrap_or(0), config: Some(self.config.clone()), seqs }
    }
}

#[derive(Debug)]
pub struct CreateSnapshot(pub pb::CreateSnapshotRequest);
#[derive(Debug)]
pub struct GetSnapshot(pub String);
#[derive(Debug)]
pub struct UpdateSnapshot(pub pb::UpdateSnapshotRequest);
#[derive(Debug)]
pub struct ListSnapshots(pub pb::ListSnapshotsRequest);
#[derive(Debug)]
pub struct ListTopicSnapshots(pub pb::ListTopicSnapshotsRequest);
#[derive(Debug)]
pub struct DeleteSnapshot(pub String);
#[derive(Debug)]
pub struct Seek(pub pb::SeekRequest);

impl Command for CreateSnapshot {
    type Outcome = pb::Snapshot;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Snapshot, Error> {
        let mut request = self.0;
        let sub = engine.sub(&request.subscription)?;
        let id = engine.next_id();
        if request.name.is_empty() {
            request.name = format!("projects/{}/snapshots/snapshot-{id}", names::project(&request.subscription));
        }
        names::check(Kind::Snapshot, &request.name)?;
        settings::labels(&request.labels)?;
        if engine.snapshot_names.contains_key(&request.name) {
            return Err(Error::already_exists(&request.name));
        }
        let subscription = engine.subs.get(&sub).ok_or_else(|| Error::not_found(&request.subscription))?;
        let messages: Vec<Arc<Message>> = subscription.backlog.unacked().cloned().collect();
        let age = messages.first().map(|oldest| now.since(oldest.published)).unwrap_or_default();
        let lifetime = limits::SNAPSHOT_LIFETIME.saturating_sub(age);
        if lifetime < limits::SNAPSHOT_MIN_LIFETIME {
            return Err(Error::ShortSnapshot(names::id(&request.name).to_owned()));
        }
        let (seconds, nanos) = (now + lifetime).to_parts();
        let config = pb::Snapshot {
            name: request.name,
            topic: subscription.config.topic.clone(),
            expire_time: Some(prost_types::Timestamp { seconds, nanos }),
            labels: request.labels,
        };
        let topic = subscription.topic;
        engine.put_snapshot(id, config.clone(), topic, messages);
        Ok(config)
    }
}

impl Command for GetSnapshot {
    type Outcome = pb::Snapshot;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<pb::Snapshot, Error> {
        let id = engine.snapshot(&self.0)?;
        engine.snapshots.get(&id).map(|snapshot| snapshot.config.clone()).ok_or_else(|| Error::not_found(&self.0))
    }
}

impl Command for UpdateSnapshot {
    type Outcome = pb::Snapshot;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Snapshot, Error> {
        let given = self.0.snapshot.unwrap_or_default();
        let id = engine.snapshot(&given.name)?;
        let snapshot = engine.snapshots.get_mut(&id).ok_or_else(|| Error::not_found(&given.name))?;
        let mut config = snapshot.config.clone();
        masks::snapshot(&mut config, &given, self.0.update_mask.as_ref())?;
        settings::labels(&config.labels)?;
        if config.expire_time.is_none() {
            let (seconds, nanos) = now.to_parts();
            config.expire_time = Some(prost_types::Timestamp { seconds, nanos });
        }
        engine.put_snapshot(id, config.clone(), None, Vec::new());
        Ok(config)
    }
}

impl Command for ListSnapshots {
    type Outcome = pb::ListSnapshotsResponse;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<Self::Outcome, Error> {
        names::check_project(&self.0.project)?;
        let prefix = format!("{}/", self.0.project);
        let page = lists::page(
            engine.snapshot_names.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix)),
            self.0.page_size,
            &self.0.page_token,
        )?;
        let snapshots =
            page.ids.iter().filter_map(|id| engine.snapshots.get(id)).map(|snapshot| snapshot.config.clone()).collect();
        Ok(pb::ListSnapshotsResponse { snapshots, next_page_token: page.next })
    }
}

impl Command for ListTopicSnapshots {
    type Outcome = pb::ListTopicSnapshotsResponse;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<Self::Outcome, Error> {
        let topic = engine.topic(&self.0.topic)?;
        let members = engine.topics.get(&topic).map(|topic| topic.snapshots.as_slice()).unwrap_or_default();
        let mut found: Vec<_> =
            members.iter().filter_map(|id| Some((&engine.snapshots.get(id)?.config.name, id))).collect();
        found.sort();
        let page = lists::page(found.into_iter(), self.0.page_size, &self.0.page_token)?;
        let snapshots = page
            .ids
            .iter()
            .filter_map(|id| engine.snapshots.get(id))
            .map(|snapshot| snapshot.config.name.clone())
            .collect();
        Ok(pb::ListTopicSnapshotsResponse { snapshots, next_page_token: page.next })
    }
}

impl Command for DeleteSnapshot {
    type Outcome = ();
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        let id = engine.snapshot(&self.0)?;
        engine.remove_snapshot(id);
        Ok(())
    }
}

impl Command for Seek {
    type Outcome = ();
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<(), Error> {
        let sub = engine.sub(&self.0.subscription)?;
        let target = self.0.target.ok_or(Error::BadArgument("target"))?;
        let subscription = engine.subs.get(&sub).ok_or_else(|| Error::not_found(&self.0.subscription))?;
        if subscription.config.detached {
            return Err(Error::Detached(names::id(&self.0.subscription).to_owned()));
        }
        // Everything that is still there, in order: what the subscription owes or keeps, and its topic's log.
        let mut known: BTreeMap<Seq, Arc<Message>> = subscription.acked.clone();
        known.extend(subscription.backlog.unacked().map(|message| (message.seq, message.clone())));
        if subscription.settings.retain_acked {
            // Those that are acknowledged behind an earlier one of their key too.
            known.extend(subscription.backlog.all().map(|message| (message.seq, message.clone())));
        }
        if let Some(topic) = subscription.topic.and_then(|topic| engine.topics.get(&topic)) {
            let log = topic.log.iter().filter(|message| subscription.wants(message));
            known.extend(log.map(|message| (message.seq, message.clone())));
        }
        let unacked: BTreeMap<Seq, Arc<Message>> = match target {
            pb::seek_request::Target::Time(at) => {
                let at = time(Some(&at)).ok_or(Error::BadArgument("time"))?;
                known.iter().filter(|(_, message)| message.published >= at).map(|(seq, m)| (*seq, m.clone())).collect()
            }
            pb::seek_request::Target::Snapshot(name) => {
                let id = engine.snapshot(&name)?;
                let snapshot = engine.snapshots.get(&id).ok_or_else(|| Error::not_found(&name))?;
                if snapshot.topic.is_none() || snapshot.topic != subscription.topic {
                    return Err(Error::ForeignSnapshot(names::id(&name).to_owned()));
                }
                let kept = snapshot.messages.iter().filter(|message| subscription.wants(message));
                kept.map(|message| (message.seq, message.clone())).collect()
            }
        };
        known.retain(|seq, _| !unacked.contains_key(seq));
        if let Some(subscription) = engine.subs.get_mut(&sub) {
            subscription.active = now;
        }
        engine.put_backlog(sub, unacked.into_values().collect(), known);
        Ok(())
    }
}

fn time(of: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    of.map(|time| Timestamp::from_parts(time.seconds, time.nanos))
}

impl Engine {
    fn snapshot(&self, name: &str) -> Result<SnapshotId, Error> {
        names::check(Kind::Snapshot, name)?;
        self.snapshot_names.get(name).copied().ok_or_else(|| Error::not_found(name))
    }

    /// A snapshot's time has come, unless it has been moved since.
    pub(super) fn expire_snapshot(&mut self, at: Timestamp, id: SnapshotId) {
        let due = self.snapshots.get(&id).and_then(|snapshot| time(snapshot.config.expire_time.as_ref()));
        if due.is_some_and(|due| due <= at) {
            self.remove_snapshot(id);
        }
    }

    /// A new snapshot, or the new settings of one.
    pub(super) fn put_snapshot(
        &mut self,
        id: SnapshotId,
        config: pb::Snapshot,
        topic: Option<TopicId>,
        messages: Vec<Arc<Message>>,
    ) {
        if let Some(at) = time(config.expire_time.as_ref()) {
            self.timers.set(at, Timer::SnapshotExpiry(id));
        }
        if let Some(snapshot) = self.snapshots.get_mut(&id) {
            snapshot.config = config;
        } else {
            if let Some(topic) = topic.and_then(|topic| self.topics.get_mut(&topic)) {
                topic.snapshots.push(id);
            }
            self.snapshot_names.insert(config.name.clone(), id);
            self.snapshots.insert(id, Snapshot { config, topic, messages });
        }
        if let Some(snapshot) = self.snapshots.get(&id) {
            self.records.note(|| Change::Snapshot(snapshot.record(id)));
        }
    }

    /// What a subscription owes from now on, and what of the rest it retains as acknowledged.
    pub(super) fn put_backlog(&mut self, sub: SubId, unacked: Vec<Arc<Message>>, acked: BTreeMap<Seq, Arc<Message>>) {
        let Some(subscription) = self.subs.get_mut(&sub) else { return };
        self.records.note(|| {
            let seqs = unacked.iter().map(|message| message.seq).collect();
            Change::Sought(Sought { sub, unacked: seqs, acked: acked.keys().copied().collect() })
        });
        subscription.backlog.clear(&mut self.timers);
        if subscription.settings.retain_acked {
            subscription.acked = acked;
        }
        for message in unacked {
            subscription.add(message, &mut self.timers);
        }
        self.touch(sub);
    }

    pub(super) fn remove_snapshot(&mut self, id: SnapshotId) {
        let Some(snapshot) = self.snapshots.remove(&id) else { return };
        self.records.note(|| Change::SnapshotGone(id));
        self.snapshot_names.remove(&snapshot.config.name);
        self.policies.remove(&snapshot.config.name);
        if let Some(topic) = snapshot.topic.and_then(|topic| self.topics.get_mut(&topic)) {
            topic.snapshots.retain(|other| *other != id);
        }
    }
}
