//! The Pub/Sub engine: topics, subscriptions and leases as a function of state, command and time.
//!
//! A topic is a log with retention; a subscription is a [`backlog`] of leases; everything that
//! happens by itself is a [`timers::Timer`] in one heap. Pull, streaming pull and push are three
//! mouths of the same lease machine: each takes what is ready ([`delivery`]), and each is asleep
//! while there is nothing. [`Engine::apply`] runs whatever is due, then the command, and leaves
//! behind the [`Wake`]s of exactly those consumers that can now be served.

pub mod acks;
pub mod backlog;
pub mod consumers;
pub mod deadletter;
pub mod delivery;
pub mod filter;
pub mod lists;
pub mod masks;
pub mod message;
pub mod names;
pub mod policies;
pub mod publish;
pub mod push;
pub mod records;
pub mod restore;
pub mod schemas;
pub mod settings;
pub mod sink;
pub mod snapshots;
pub mod subscriptions;
pub mod timers;
pub mod topics;
pub mod transforms;

#[cfg(test)]
mod model;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wakes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::texts::Error;
use consumers::Ended;
use deadletter::Event;
use records::Recorder;
use snapshots::Snapshot;
use subscriptions::Subscription;
use timers::{Timer, Timers};
use topics::Topic;

/// Place of a message in the order of publishing.
pub type Seq = u64;
/// One incarnation of a subscription: a new one of the same name has another.
pub type SubId = u64;
/// The same for topics.
pub type TopicId = u64;
/// The same for snapshots.
pub type SnapshotId = u64;
/// A consumer: a waiting pull, an open stream, or a subscription's pushes.
pub type Token = u64;

/// A consumer that the shell is to act for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Wake {
    /// A waiting pull or a stream: there is something for it, or its subscription is gone.
    Consumer(Token),
    /// A subscription has something to push.
    Push(SubId),
    /// A subscription has something for its table.
    Sink(SubId),
}

/// What the engine can be told. The outcome's type goes with the command's.
pub trait Command {
    type Outcome;
    /// Whether it can change what is kept; one that cannot may be run [alone](Engine::alone).
    const CHANGES: bool = true;

    /// The consumer that an outcome has made.
    fn token(_outcome: &Self::Outcome) -> Option<Token> {
        None
    }

    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Self::Outcome, Error>;
}

/// All state of one suite's Pub/Sub.
#[derive(Debug)]
pub struct Engine {
    topics: HashMap<TopicId, Topic>,
    topic_names: BTreeMap<String, TopicId>,
    subs: HashMap<SubId, Subscription>,
    sub_names: BTreeMap<String, SubId>,
    snapshots: HashMap<SnapshotId, Snapshot>,
    snapshot_names: BTreeMap<String, SnapshotId>,
    schemas: schemas::Schemas,
    policies: policies::Policies,
    /// Compiled transforms that come with the command that runs.
    offered: Option<Arc<transforms::Transforms>>,
    timers: Timers,
    /// Waiting pulls and open streams.
    tokens: HashMap<Token, SubId>,
    ended: HashMap<Token, Ended>,
    events: Vec<Event>,
    /// What to keep across restarts.
    records: Recorder,
    wakes: Vec<Wake>,
    /// Subscriptions whose consumers may have something new to do.
    touched: Vec<SubId>,
    /// Source of ids of every kind.
    ids: u64,
    seq: Seq,
    first_message: u64,
    push_window: u32,
}

impl Engine {
    /// An empty engine. Message ids count up from `first_message`.
    pub fn new(first_message: u64) -> Engine {
        Engine {
            topics: HashMap::new(),
            topic_names: BTreeMap::new(),
            subs: HashMap::new(),
            sub_names: BTreeMap::new(),
            snapshots: HashMap::new(),
            snapshot_names: BTreeMap::new(),
            schemas: schemas::Schemas::new(),
            policies: policies::Policies::new(),
            offered: None,
            timers: Timers::default(),
            tokens: HashMap::new(),
            ended: HashMap::new(),
            events: Vec::new(),
            records: Recorder::default(),
            wakes: Vec::new(),
            touched: Vec::new(),
            ids: 0,
            seq: 0,
            first_message,
            push_window: crate::limits::PUSH_WINDOW_START,
        }
    }

    /// How many pushes at a time subscriptions created from now on start with; at least one.
    pub fn set_push_window(&mut self, window: u32) {
        self.push_window = window.max(1);
    }

    /// An engine like this one before anything was made. Ids go on, so that nothing from before is taken for
    /// something new.
    pub fn fresh(&self) -> Engine {
        let mut fresh = Engine::new(self.first_message);
        if self.records.is_on() {
            fresh.records.start();
        }
        Engine { ids: self.ids, seq: self.seq, push_window: self.push_window, ..fresh }
    }

    /// Runs what is due at `now`, then the command.
    pub fn apply<C: Command>(&mut self, now: Timestamp, command: C) -> Result<C::Outcome, Error> {
        self.fire(now);
        let outcome = command.run(self, now);
        self.serve();
        outcome
    }

    /// Runs a command that changes nothing that is kept, and nothing else: what is due waits, and so do wakes.
    pub fn alone<C: Command>(&mut self, now: Timestamp, command: C) -> Result<C::Outcome, Error> {
        let outcome = command.run(self, now);
        self.serve();
        outcome
    }

    /// Runs what is due at `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.fire(now);
        self.serve();
    }

    /// When [`Engine::tick`] has something to do next.
    pub fn due(&self) -> Option<Timestamp> {
        self.timers.due()
    }

    /// Whom to wake since the last call.
    pub fn take_wakes(&mut self) -> Vec<Wake> {
        std::mem::take(&mut self.wakes)
    }

    /// What happened by itself since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn fire(&mut self, now: Timestamp) {
        // Each timer runs at its own time, so that a jump of the clock gives the history that
        // waiting would have given.
        while let Some((at, timer)) = self.timers.pop(now) {
            match timer {
                Timer::Lease(sub, seq) => self.lease_expired(at, sub, seq),
                Timer::Delay(sub, seq) => {
                    if let Some(subscription) = self.subs.get_mut(&sub) {
                        subscription.backlog.delay_over(seq);
                        self.touched.push(sub);
                    }
                }
                Timer::PushBackoff(sub) => self.push_backoff_over(at, sub),
                Timer::Retention(sub) => self.retire_messages(at, sub),
                Timer::TopicRetention(topic) => self.retire_log(at, topic),
                Timer::Expiry(sub) => self.expire_subscription(at, sub),
                Timer::SnapshotExpiry(snapshot) => self.expire_snapshot(at, snapshot),
            }
        }
    }

    fn serve(&mut self) {
        while let Some(sub) = self.touched.pop() {
            if let Some(subscription) = self.subs.get_mut(&sub) {
                subscription.serve(&mut self.wakes);
            }
        }
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn topic(&self, name: &str) -> Result<TopicId, Error> {
        names::check(names::Kind::Topic, name)?;
        self.topic_names.get(name).copied().ok_or_else(|| Error::not_found(name))
    }

    fn sub(&self, name: &str) -> Result<SubId, Error> {
        names::check(names::Kind::Subscription, name)?;
        self.sub_names.get(name).copied().ok_or_else(|| Error::not_found(name))
    }

    fn sub_mut(&mut self, name: &str) -> Result<&mut Subscription, Error> {
        let id = self.sub(name)?;
        self.subs.get_mut(&id).ok_or_else(|| Error::not_found(name))
    }

    /// Whether a delivery is still out.
    pub fn holds(&self, ack: message::AckId) -> bool {
        self.subs.get(&ack.sub).is_some_and(|subscription| subscription.backlog.holds(ack))
    }

    /// Checks what must always hold.
    #[cfg(test)]
    fn check(&self) {
        for subscription in self.subs.values() {
            subscription.backlog.check();
            if !subscription.settings.is_pull() {
                subscription.push.check(&subscription.backlog, subscription.settings.sink.is_some());
            } else {
                subscription.consumers.check(&subscription.backlog);
            }
        }
    }

    /// Which resources there are, for checks that nothing leaks: topics, subscriptions, timers.
    #[cfg(test)]
    fn sizes(&self) -> (usize, usize, usize) {
        (self.topics.len(), self.subs.len(), self.timers.count())
    }
}
