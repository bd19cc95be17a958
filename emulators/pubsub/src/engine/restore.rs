//! Restarting: the engine from the records that an earlier one has left, and all it knows as records.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use prost::Message as _;
use scrimmage_core::Timestamp;

use super::message::Message;
use super::records::{Backlog, Batch, Change, Counters, Messages, Published, Snapshot, Sought, Subscription, Topic};
use super::schemas::Schema;
use super::{Engine, Seq, records, settings};

/// Messages in one batch of [`Engine::export`].
const EXPORT_MESSAGES: usize = 256;

/// An engine in the making. Nothing happens by itself before [`Restorer::finish`].
#[derive(Debug)]
pub struct Restorer {
    engine: Engine,
    /// Every message that a record has mentioned.
    messages: HashMap<Seq, Arc<Message>>,
}

impl Restorer {
    pub fn new(first_message: u64) -> Restorer {
        Restorer { engine: Engine::new(first_message), messages: HashMap::new() }
    }

    /// Does again what a batch of records says.
    pub fn replay(&mut self, batch: &[u8]) -> Result<(), String> {
        let batch = Batch::decode(batch).map_err(|error| format!("it does not decode: {error}"))?;
        for record in batch.records {
            match record.change {
                Some(change) => self.redo(change)?,
                None => return Err("it holds a change of a kind that this version does not know".to_owned()),
            }
        }
        Ok(())
    }

    /// The engine, which writes down its changes from now on. What came due meanwhile happens at the
    /// first tick.
    pub fn finish(self) -> Engine {
        let mut engine = self.engine;
        let subs: Vec<_> = engine.subs.keys().copied().collect();
        engine.touched.extend(subs);
        engine.records.start();
        engine
    }

    fn message(&self, seq: Seq) -> Result<Arc<Message>, String> {
        self.messages.get(&seq).cloned().ok_or_else(|| format!("it mentions message {seq}, which no record holds"))
    }

    fn messages(&self, seqs: &[Seq]) -> Result<Vec<Arc<Message>>, String> {
        seqs.iter().map(|seq| self.message(*seq)).collect()
    }

    fn redo(&mut self, change: Change) -> Result<(), String> {
        let engine = &mut self.engine;
        match change {
            Change::Counters(counters) => {
                engine.first_message = counters.first_message;
                engine.ids = engine.ids.max(counters.ids);
                engine.seq = engine.seq.max(counters.seq);
            }
            Change::Topic(topic) => return self.topic(topic),
            Change::TopicGone(id) => engine.remove_topic(id),
            Change::Subscription(subscription) => return self.subscription(subscription),
            Change::SubscriptionGone(id) => engine.drop_subscription(id),
            Change::Snapshot(snapshot) => return self.snapshot(snapshot),
            Change::SnapshotGone(id) => engine.remove_snapshot(id),
            Change::Published(published) => self.published(published),
            Change::Took(took) => {
                if let Some(subscription) = engine.subs.get_mut(&took.sub) {
                    subscription.active = Timestamp::from_micros(took.at);
                    let until = Timestamp::from_micros(took.until);
                    for (seq, lease) in took.seqs.into_iter().zip(took.first_lease..) {
                        subscription.backlog.retake(&mut engine.timers, seq, lease, until);
                    }
                }
            }
            Change::Acked(acked) => {
                if let Some(subscription) = engine.subs.get_mut(&acked.sub) {
                    subscription.active = Timestamp::from_micros(acked.at);
                    for seq in acked.seqs {
                        subscription.backlog.reack(&mut engine.timers, seq);
                    }
                    subscription.book();
                }
            }
            Change::Moved(moved) => {
                if let Some(subscription) = engine.subs.get_mut(&moved.sub) {
                    for seq in moved.seqs {
                        subscription.backlog.reextend(&mut engine.timers, seq, Timestamp::from_micros(moved.until));
                    }
                }
            }
            Change::Failed(failed) => {
                if let Some(subscription) = engine.subs.get_mut(&failed.sub) {
                    let retry = failed.retry.map(Timestamp::from_micros);
                    subscription.backlog.fail(&mut engine.timers, failed.seq, retry);
                    subscription.book();
                }
            }
            Change::Removed(removed) => {
                if let Some(subscription) = engine.subs.get_mut(&removed.of) {
                    for seq in removed.seqs {
                        subscription.backlog.remove(&mut engine.timers, seq);
                    }
                    subscription.book();
                }
            }
            Change::Returned(returned) => {
                if let Some(subscription) = engine.subs.get_mut(&returned.of) {
                    for seq in returned.seqs {
                        subscription.backlog.untake(&mut engine.timers, seq);
                    }
                    subscription.book();
                }
            }
            Change::Schema(schema) => {
                engine.ids = engine.ids.max(schema.order.values().copied().max().unwrap_or(0));
                let name = schema.name.clone();
                engine.schemas.insert(name, Schema::restored(schema).map_err(|error| error.to_string())?);
            }
            Change::SchemaGone(name) => engine.remove_schema(&name),
            Change::Policy(policy) => {
                engine.policies.insert(policy.resource, policy.policy.unwrap_or_default());
            }
            Change::Buried(buried) => {
                for seq in buried.seqs {
                    if let Some(subscription) = engine.subs.get_mut(&buried.of)
                        && let Some(message) = subscription.backlog.remove(&mut engine.timers, seq)
                    {
                        engine.bury(buried.of, message);
                    }
                }
                if let Some(subscription) = engine.subs.get_mut(&buried.of) {
                    subscription.book();
                }
            }
            Change::Sought(sought) => return self.sought(&sought),
            Change::Log(log) => {
                let messages = self.messages(&log.seqs)?;
                let engine = &mut self.engine;
                if let Some(topic) = engine.topics.get_mut(&log.of) {
                    topic.log = messages.into();
                    engine.schedule_log(log.of);
                }
            }
            Change::Backlog(backlog) => return self.backlog(&backlog),
            Change::Retained(retained) => {
                let messages = self.messages(&retained.seqs)?;
                if let Some(subscription) = self.engine.subs.get_mut(&retained.of) {
                    subscription.acked = messages.into_iter().map(|message| (message.seq, message)).collect();
                    subscription.schedule_retention(&mut self.engine.timers);
                }
            }
        }
        Ok(())
    }

    fn topic(&mut self, topic: Topic) -> Result<(), String> {
        let mut config = topic.config.unwrap_or_default();
        let retention = settings::topic(&mut config).map_err(|error| error.to_string())?;
        self.engine.ids = self.engine.ids.max(topic.id);
        self.engine.put_topic(Timestamp::from_micros(topic.at), topic.id, config, retention);
        Ok(())
    }

    fn subscription(&mut self, subscription: Subscription) -> Result<(), String> {
        let engine = &mut self.engine;
        let mut config = subscription.config.unwrap_or_default();
        let state = config.state;
        let settings = settings::subscription(&mut config).map_err(|error| error.to_string())?;
        config.state = state;
        engine.ids = engine.ids.max(subscription.id);
        let (id, at) = (subscription.id, Timestamp::from_micros(subscription.at));
        let topic = Some(subscription.topic).filter(|topic| *topic != 0);
        if engine.subs.contains_key(&id) {
            if config.detached {
                engine.detach(id);
            }
            engine.change_subscription(at, id, config, settings);
        } else {
            engine.put_subscription(at, id, config, settings, topic);
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let messages = self.messages(&snapshot.seqs)?;
        let engine = &mut self.engine;
        engine.ids = engine.ids.max(snapshot.id);
        let config = snapshot.config.unwrap_or_default();
        let topic = Some(snapshot.topic).filter(|topic| *topic != 0);
        engine.put_snapshot(snapshot.id, config, topic, messages);
        Ok(())
    }

    fn published(&mut self, published: Published) {
        let engine = &mut self.engine;
        let seq = published.seq;
        engine.seq = engine.seq.max(seq.saturating_add(1));
        let id = engine.first_message.saturating_add(seq);
        let at = Timestamp::from_micros(published.at);
        let message = Arc::new(Message::new(seq, id, at, published.content.unwrap_or_default()));
        self.messages.insert(seq, message.clone());
        engine.log_message(published.topic, &message);
        for sub in published.subs {
            if let Some(subscription) = engine.subs.get_mut(&sub) {
                subscription.add(message.clone(), &mut engine.timers);
            }
        }
    }

    fn sought(&mut self, sought: &Sought) -> Result<(), String> {
        let (unacked, acked) = (self.messages(&sought.unacked)?, self.messages(&sought.acked)?);
        self.engine.put_backlog(sought.sub, unacked, acked.into_iter().map(|message| (message.seq, message)).collect());
        if let Some(subscription) = self.engine.subs.get_mut(&sought.sub) {
            subscription.book();
        }
        Ok(())
    }

    fn backlog(&mut self, backlog: &Backlog) -> Result<(), String> {
        let messages = backlog.entries.iter().map(|entry| self.message(entry.seq)).collect::<Result<Vec<_>, _>>()?;
        let engine = &mut self.engine;
        if let Some(subscription) = engine.subs.get_mut(&backlog.sub) {
            subscription.backlog.restore(&mut engine.timers, backlog, messages);
            subscription.schedule_retention(&mut engine.timers);
        }
        Ok(())
    }
}

impl Engine {
    /// What was changed since the last call; nothing unless this engine is being kept.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.records.take()
    }

    /// All that there is, as batches that make an engine like this one.
    pub fn export(&self) -> Vec<Vec<u8>> {
        let counters = Counters { first_message: self.first_message, ids: self.ids, seq: self.seq };
        let mut batches = vec![Batch::of(vec![Change::Counters(counters)])];
        let mut messages: BTreeMap<Seq, &Arc<Message>> = BTreeMap::new();
        let mut meet = |message| {
            let message: &Arc<Message> = message;
            messages.insert(message.seq, message);
        };
        self.topics.values().flat_map(|topic| &topic.log).for_each(&mut meet);
        self.snapshots.values().flat_map(|snapshot| &snapshot.messages).for_each(&mut meet);
        for subscription in self.subs.values() {
            subscription.acked.values().chain(subscription.backlog.all()).for_each(&mut meet);
        }
        let mentioned: Vec<_> = messages.into_values().collect();
        batches.extend(mentioned.chunks(EXPORT_MESSAGES).map(|some| {
            Batch::of(some.iter().map(|message| Change::Published(message.record(0, Vec::new()))).collect())
        }));
        let schemas = self.schemas.iter().map(|(name, schema)| Change::Schema(schema.record(name)));
        let policies = self.policies.iter().map(|(resource, policy)| {
            Change::Policy(records::Policy { resource: resource.clone(), policy: Some(policy.clone()) })
        });
        batches.extend(schemas.chain(policies).map(|change| Batch::of(vec![change])));
        for (id, topic) in &self.topics {
            let config = Some(topic.config.clone());
            let log = topic.log.iter().map(|message| message.seq).collect();
            batches.push(Batch::of(vec![
                Change::Topic(Topic { id: *id, at: 0, config }),
                Change::Log(Messages { of: *id, seqs: log }),
            ]));
        }
        for (id, subscription) in &self.subs {
            let acked = subscription.acked.keys().copied().collect();
            batches.push(Batch::of(vec![
                Change::Subscription(subscription.record()),
                Change::Backlog(subscription.backlog.record()),
                Change::Retained(Messages { of: *id, seqs: acked }),
            ]));
        }
        batches.extend(
            self.snapshots.iter().map(|(id, snapshot)| Batch::of(vec![Change::Snapshot(snapshot.record(*id))])),
        );
        batches
    }
}
