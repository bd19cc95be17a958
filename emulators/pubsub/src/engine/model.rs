//! The engine against a model that is too simple to be wrong: one list of messages, scanned anew for
//! every question. Random publishes, pulls, acknowledgements (in time, late, twice, out of order),
//! nacks, deliveries taken back unseen, deadline moves, seeks, snapshots, jumps of the clock, kills and restarts, and in the end a
//! deleted topic or a detached subscription; after each step both must agree.
//!
//! Beside it a [`History`] that knows nothing of either looks at what clients see: no delivery after a
//! confirmed acknowledgement, no two leases at a time, dead letters after exactly so many attempts.
//! `SCRIMMAGE_MODEL_STEPS` sets the number of steps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scrimmage_core::{Rng, Timestamp};
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::seek_request::Target;

use super::delivery::Pull;
use super::message::Delivery;
use super::publish::Publish;
use super::snapshots::{CreateSnapshot, DeleteSnapshot, Seek};
use super::subscriptions::{DetachSubscription, GetSubscription};
use super::tests::{Bench, DEAD, DEAD_SUB, SUB, TOPIC, data};
use super::topics::DeleteTopic;
use super::transforms::{Fate, Settle};
use crate::texts::Error;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ready,
    Delayed(Timestamp),
    Out {
        until: Timestamp,
        pull: u64,
        lease: usize,
    },
    /// Acknowledged; for a key not for good before the earlier ones are.
    Acked,
    Settled,
    Dead,
}

#[derive(Clone, Debug)]
struct Item {
    name: String,
    key: String,
    published: Timestamp,
    state: State,
    deliveries: u32,
    last_lease: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    ordered: bool,
    exactly_once: bool,
    retry: bool,
    dead_letter: bool,
    retain: bool,
}

struct Model {
    rules: Rules,
    items: Vec<Item>,
    pulls: u64,
    dead: Vec<String>,
    /// Each with what it holds.
    snapshots: BTreeMap<String, BTreeSet<usize>>,
}

const DEADLINE: Duration = Duration::from_secs(10);

impl Model {
    fn keyed(&self, index: usize) -> bool {
        self.rules.ordered && !self.items[index].key.is_empty()
    }

    fn earlier(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        (0..index).filter(move |other| self.keyed(index) && self.items[*other].key == self.items[index].key)
    }

    fn later(&self, index: usize) -> Vec<usize> {
        let keyed = self.keyed(index);
        (index + 1..self.items.len()).filter(|other| keyed && self.items[*other].key == self.items[index].key).collect()
    }

    /// The first message that this pull may have now.
    fn next(&self, pull: u64) -> Option<usize> {
        (0..self.items.len()).find(|index| {
            self.items[*index].state == State::Ready
                && self.earlier(*index).all(|other| match self.items[other].state {
                    State::Settled | State::Dead => true,
                    State::Out { pull: by, .. } => by == pull,
                    // Acknowledged behind one that is out: that one decides.
                    State::Acked => true,
                    State::Ready | State::Delayed(_) => false,
                })
        })
    }

    fn pull(&mut self, now: Timestamp, most: usize, first_lease: usize) -> Vec<String> {
        self.pulls += 1;
        let mut names = Vec::new();
        while names.len() < most
            && let Some(index) = self.next(self.pulls)
        {
            let lease = first_lease + names.len();
            let item = &mut self.items[index];
            item.deliveries += 1;
            item.last_lease = Some(lease);
            item.state = State::Out { until: now + DEADLINE, pull: self.pulls, lease };
            names.push(item.name.clone());
        }
        names
    }

    fn ack(&mut self, lease: usize) -> bool {
        let Some(index) = self.items.iter().position(|item| item.last_lease == Some(lease)) else { return false };
        let first = self.earlier(index).all(|other| matches!(self.items[other].state, State::Settled | State::Dead));
        let keyed = self.keyed(index);
        let item = &mut self.items[index];
        match item.state {
            State::Out { lease: current, .. } if current == lease => {
                if self.rules.exactly_once && keyed && !first {
                    return false;
                }
                item.state = if keyed { State::Acked } else { State::Settled };
                self.settle();
                true
            }
            State::Ready | State::Delayed(_) if !keyed && !self.rules.exactly_once => {
                item.state = State::Settled;
                true
            }
            _ => false,
        }
    }

    /// Acknowledged messages at the head of their key are done for good.
    fn settle(&mut self) {
        for index in 0..self.items.len() {
            if self.items[index].state == State::Acked
                && self.earlier(index).all(|other| matches!(self.items[other].state, State::Settled | State::Dead))
            {
                self.items[index].state = State::Settled;
            }
        }
    }

    fn owed(&self, index: usize) -> bool {
        matches!(self.items[index].state, State::Ready | State::Delayed(_) | State::Out { .. })
    }

    fn snapshot(&mut self, name: String) {
        let owed = (0..self.items.len()).filter(|index| self.owed(*index)).collect();
        self.snapshots.insert(name, owed);
    }

    fn seek(&mut self, wanted: impl Fn(usize, &Item, bool) -> bool) {
        for index in 0..self.items.len() {
            let known = self.owed(index) || self.rules.retain;
            let item = &mut self.items[index];
            if wanted(index, item, known) {
                (item.state, item.deliveries, item.last_lease) = (State::Ready, 0, None);
            } else {
                item.state = State::Settled;
            }
        }
    }

    fn holds(&self, lease: usize) -> Option<usize> {
        self.items.iter().position(|item| matches!(item.state, State::Out { lease: current, .. } if current == lease))
    }

    fn fail(&mut self, at: Timestamp, index: usize) {
        let deliveries = self.items[index].deliveries;
        if self.rules.dead_letter && deliveries >= 5 {
            self.items[index].state = State::Dead;
            self.dead.push(self.items[index].name.clone());
            self.settle();
            return;
        }
        self.take_back_behind(index);
        let backoff = Duration::from_secs([1, 2, 4, 8].get(deliveries as usize - 1).copied().unwrap_or(8));
        self.items[index].state = if self.rules.retry { State::Delayed(at + backoff) } else { State::Ready };
    }

    /// What is out or acknowledged behind a message of its key was not an attempt.
    fn take_back_behind(&mut self, index: usize) {
        for other in self.later(index) {
            if matches!(self.items[other].state, State::Out { .. } | State::Acked) {
                self.items[other].state = State::Ready;
                self.items[other].deliveries -= 1;
            }
        }
    }

    fn untake(&mut self, index: usize) {
        self.take_back_behind(index);
        self.items[index].state = State::Ready;
        self.items[index].deliveries -= 1;
    }

    fn pass(&mut self, to: Timestamp) {
        loop {
            let due = self.items.iter().enumerate().filter_map(|(index, item)| match item.state {
                State::Out { until, .. } => Some((until, 0, index)),
                State::Delayed(until) => Some((until, 1, index)),
                _ => None,
            });
            match due.min() {
                Some((at, 0, index)) if at <= to => self.fail(at, index),
                Some((at, _, index)) if at <= to => self.items[index].state = State::Ready,
                _ => return,
            }
        }
    }
}

/// What clients have seen of one message since it was published or sought.
#[derive(Default)]
struct Seen {
    confirmed: bool,
    /// The end of its latest lease.
    until: Option<Timestamp>,
    deliveries: u32,
}

#[derive(Default)]
struct History(BTreeMap<String, Seen>);

impl History {
    fn delivered(&mut self, now: Timestamp, name: &str, rules: Rules) {
        let seen = self.0.entry(name.to_owned()).or_default();
        if rules.exactly_once {
            assert!(!seen.confirmed, "{name} came again after its acknowledgement was confirmed");
        }
        assert!(seen.until.is_none_or(|until| until <= now), "{name} is out twice");
        seen.until = Some(now + DEADLINE);
        seen.deliveries += 1;
        assert!(!rules.dead_letter || rules.ordered || seen.deliveries <= 5, "{name} should be dead");
    }

    fn moved(&mut self, name: &str, until: Option<Timestamp>) {
        self.0.entry(name.to_owned()).or_default().until = until;
    }

    fn acked(&mut self, name: &str) {
        self.0.insert(name.to_owned(), Seen { confirmed: true, ..Seen::default() });
    }
}

/// What both sides are told.
struct Pair {
    model: Model,
    bench: Bench,
    leases: Vec<Delivery>,
    history: History,
    topic_is_gone: bool,
}

impl Pair {
    fn new(rules: Rules) -> Pair {
        let mut bench = Bench::with(|config| {
            config.enable_message_ordering = rules.ordered;
            config.enable_exactly_once_delivery = rules.exactly_once;
            config.retain_acked_messages = rules.retain;
            config.retry_policy = rules.retry.then_some(pb::RetryPolicy {
                minimum_backoff: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
                maximum_backoff: Some(prost_types::Duration { seconds: 8, nanos: 0 }),
            });
            config.dead_letter_policy = rules
                .dead_letter
                .then(|| pb::DeadLetterPolicy { dead_letter_topic: DEAD.to_owned(), max_delivery_attempts: 5 });
        });
        bench.subscribe(DEAD_SUB, DEAD, |_| ());
        let model = Model { rules, items: Vec::new(), pulls: 0, dead: Vec::new(), snapshots: BTreeMap::new() };
        Pair { model, bench, leases: Vec::new(), history: History::default(), topic_is_gone: false }
    }

    fn publish(&mut self, key: &str) {
        let index = self.model.items.len();
        let name = index.to_string();
        if self.topic_is_gone {
            let message = pb::PubsubMessage { data: name.into(), ..Default::default() };
            let refused =
                self.bench.run(Publish(pb::PublishRequest { topic: TOPIC.to_owned(), messages: vec![message] }));
            assert!(matches!(refused, Err(Error::NotFound(_))));
            return;
        }
        self.bench.publish(&name, key);
        let published = Timestamp::from_micros(self.bench.now.as_millis() * 1_000);
        let key = key.to_owned();
        self.model.items.push(Item { name, key, published, state: State::Ready, deliveries: 0, last_lease: None });
        self.model.snapshots.values_mut().for_each(|snapshot| {
            snapshot.insert(index);
        });
    }

    fn pull(&mut self, most: usize) -> usize {
        let expected = self.model.pull(self.bench.now, most, self.leases.len());
        let found = self.bench.pull(i32::try_from(most).expect("small"));
        assert_eq!(data(&found), expected);
        for delivery in &found {
            let name = &data(std::slice::from_ref(delivery))[0];
            self.history.delivered(self.bench.now, name, self.model.rules);
            let item = &self.model.items[name.parse::<usize>().expect("a number")];
            assert_eq!(delivery.attempt, self.model.rules.dead_letter.then_some(item.deliveries));
        }
        self.leases.extend(found);
        expected.len()
    }

    fn ack(&mut self, lease: usize) {
        let counted = self.model.ack(lease);
        let answer = self.bench.ack(&self.leases[lease].clone());
        if counted {
            let name = data(std::slice::from_ref(&self.leases[lease]))[0].clone();
            // Behind an earlier one of its key it may come again.
            let item = &self.model.items[name.parse::<usize>().expect("a number")];
            match item.state {
                State::Settled => self.history.acked(&name),
                _ => self.history.moved(&name, None),
            }
        }
        assert_eq!(answer.is_ok(), counted || !self.model.rules.exactly_once, "ack of lease {lease}");
    }

    fn modify(&mut self, lease: usize, seconds: i32) {
        let held = self.model.holds(lease);
        if let Some(index) = held {
            let name = self.model.items[index].name.clone();
            let until = self.bench.now + Duration::from_secs(u64::from(seconds.unsigned_abs()));
            self.history.moved(&name, Some(until).filter(|_| seconds > 0));
            if seconds == 0 {
                for later in self.model.later(index) {
                    let name = self.model.items[later].name.clone();
                    self.history.moved(&name, None);
                }
            }
            match &mut self.model.items[index].state {
                State::Out { until, .. } if seconds > 0 => {
                    *until = self.bench.now + Duration::from_secs(u64::from(seconds.unsigned_abs()));
                }
                _ => self.model.fail(self.bench.now, index),
            }
        }
        let answer = self.bench.modify(&self.leases[lease].clone(), seconds);
        assert_eq!(answer.is_ok(), held.is_some() || !self.model.rules.exactly_once, "deadline of lease {lease}");
    }

    /// A delivery that never left: as transforms give them back whose time is up.
    fn untake(&mut self, lease: usize) {
        if let Some(index) = self.model.holds(lease) {
            let name = self.model.items[index].name.clone();
            self.history.0.entry(name.clone()).and_modify(|seen| seen.deliveries -= 1);
            self.history.moved(&name, None);
            for later in self.model.later(index) {
                let name = self.model.items[later].name.clone();
                self.history.moved(&name, None);
            }
            self.model.untake(index);
        }
        let ack = self.leases[lease].ack;
        self.bench.run(Settle(vec![(ack, Fate::Untouched)])).expect("settled");
    }

    fn pass(&mut self, time: Duration) {
        self.bench.pass(time);
        let ended: Vec<usize> = (0..self.model.items.len())
            .filter(
                |index| matches!(self.model.items[*index].state, State::Out { until, .. } if until <= self.bench.now),
            )
            .flat_map(|index| self.model.later(index))
            .collect();
        for index in ended {
            // An expiry takes the later ones of the key back.
            let name = self.model.items[index].name.clone();
            self.history.moved(&name, None);
        }
        self.model.pass(self.bench.now);
    }

    fn seek(&mut self, rng: &mut Rng) {
        let mut names: Vec<String> = self.model.snapshots.keys().cloned().collect();
        let target = match names.len() {
            count if count > 0 && rng.chance(0.5) && !self.topic_is_gone => {
                let name = names.swap_remove(usize::try_from(rng.below(count as u64)).expect("small"));
                let held = self.model.snapshots[&name].clone();
                self.model.seek(|index, _, _| held.contains(&index));
                Target::Snapshot(name)
            }
            _ => {
                let at = match self.model.items.len() as u64 {
                    0 => self.bench.now,
                    count => self.model.items[usize::try_from(rng.below(count)).expect("small")].published,
                };
                self.model.seek(|_, item, known| known && item.published >= at);
                let (seconds, nanos) = at.to_parts();
                Target::Time(prost_types::Timestamp { seconds, nanos })
            }
        };
        self.bench.run(Seek(pb::SeekRequest { subscription: SUB.to_owned(), target: Some(target) })).expect("a seek");
        self.history = History::default();
    }

    fn snapshot(&mut self, rng: &mut Rng) {
        let name = format!("projects/p/snapshots/at-{}", self.bench.now.as_micros());
        if self.topic_is_gone || self.model.snapshots.contains_key(&name) {
            return;
        }
        if self.model.snapshots.len() >= 3 || (rng.chance(0.3) && !self.model.snapshots.is_empty()) {
            let (oldest, _) = self.model.snapshots.pop_first().expect("there is one");
            self.bench.run(DeleteSnapshot(oldest)).expect("it is there");
        }
        let request =
            pb::CreateSnapshotRequest { name: name.clone(), subscription: SUB.to_owned(), ..Default::default() };
        self.bench.run(CreateSnapshot(request)).expect("a snapshot");
        self.model.snapshot(name);
    }

    fn step(&mut self, rng: &mut Rng) {
        let lease = |rng: &mut Rng, count: usize| {
            // Mostly recent ones: those may still be out.
            let reach = if rng.chance(0.8) { 12 } else { 200 };
            let back = rng.below(reach);
            count.checked_sub(1 + usize::try_from(back).expect("small"))
        };
        if rng.chance(0.01) {
            self.bench.restart(rng.chance(0.5));
        }
        if rng.chance(0.01) {
            self.seek(rng);
        }
        if rng.chance(0.01) {
            self.snapshot(rng);
        }
        match rng.below(100) {
            0..30 => {
                let key = ["", "a", "b", "c"][usize::try_from(rng.below(4)).expect("small")];
                self.publish(key);
            }
            30..55 => {
                let most = 1 + usize::try_from(rng.below(6)).expect("small");
                self.pull(most);
            }
            55..75 => {
                if let Some(lease) = lease(rng, self.leases.len()) {
                    self.ack(lease);
                }
            }
            75..83 => {
                if let Some(lease) = lease(rng, self.leases.len()) {
                    self.modify(lease, 0);
                }
            }
            83..85 => {
                if let Some(lease) = lease(rng, self.leases.len()) {
                    self.untake(lease);
                }
            }
            85..88 => {
                if let Some(lease) = lease(rng, self.leases.len()) {
                    self.modify(lease, 10 + i32::try_from(rng.below(50)).expect("small"));
                }
            }
            _ => {
                let millis = if rng.chance(0.2) { rng.below(30_000) } else { rng.below(3_000) };
                self.pass(Duration::from_millis(millis));
            }
        }
        self.bench.engine.check();
    }

    /// In the end everything is delivered and acknowledged, or dead: nothing is lost.
    fn drain(&mut self) {
        for _ in 0..400 {
            let first = self.leases.len();
            self.pull(1_000);
            for lease in first..self.leases.len() {
                self.ack(lease);
            }
            self.pass(Duration::from_secs(61));
        }
        for item in &self.model.items {
            assert!(matches!(item.state, State::Settled | State::Dead), "{item:?}");
        }
        let mut dead = Vec::new();
        loop {
            let some = self.bench.pull_from(DEAD_SUB, 1_000);
            if some.is_empty() {
                break;
            }
            dead.extend(data(&some));
        }
        assert_eq!(dead, self.model.dead);
        for item in self.model.items.iter().filter(|item| item.state == State::Dead && !self.model.rules.ordered) {
            if let Some(seen) = self.history.0.get(&item.name) {
                assert_eq!(seen.deliveries, 5, "{item:?}");
            }
        }
    }

    fn delete_topic(&mut self) {
        self.bench.run(DeleteTopic(TOPIC.to_owned())).expect("it is there");
        self.topic_is_gone = true;
        let shown = self.bench.run(GetSubscription(SUB.to_owned())).expect("it is there");
        assert_eq!(shown.topic, "_deleted-topic_");
    }

    fn detach(&mut self) {
        self.publish("");
        let lease = self.pull(1);
        self.bench.run(DetachSubscription(SUB.to_owned())).expect("it is there");
        for _ in 0..2 {
            let pull = Pull { subscription: SUB.to_owned(), max_messages: 1, wait: false };
            assert!(matches!(self.bench.run(pull), Err(Error::Detached(_))));
            self.bench.restart(lease == 1);
        }
    }
}

#[test]
fn the_engine_agrees_with_the_model() {
    let steps = std::env::var("SCRIMMAGE_MODEL_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(25_600_u64);
    for seed in 0..steps.div_ceil(400) {
        let mut rng = Rng::stream(seed, "pubsub model");
        let rules = Rules {
            ordered: seed & 1 != 0,
            exactly_once: seed & 2 != 0,
            retry: seed & 4 != 0,
            dead_letter: seed & 8 != 0,
            retain: seed & 16 != 0,
        };
        let mut pair = Pair::new(rules);
        for step in 0..400 {
            if step == 300 && seed & 32 != 0 {
                pair.delete_topic();
            }
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.step(&mut rng)));
            assert!(caught.is_ok(), "seed {seed}, step {step}, {rules:?}");
        }
        pair.drain();
        if !pair.topic_is_gone {
            pair.detach();
        }
    }
}
