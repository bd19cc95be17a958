//! The lease machine: what a subscription still owes, and who has it at the moment.
//!
//! Every unacknowledged message is an [`Entry`] in one of four states:
//!
//! ```text
//!            take                    ack
//!   Ready ─────────► Leased ───────────────────► gone
//!     ▲  ▲             │  │ ack, ordered, an earlier one of the key still out
//!     │  └── fail ─────┘  └────────► Acked ── the earlier ones acked ──► gone
//!     │                   │            └───── an earlier one failed ───► Ready
//!     └─ timer ─ Delayed ◄┘ fail, with a retry policy
//! ```
//!
//! Messages with an ordering key wait in the key's queue; only its head is offered to everybody, and
//! while something of the key is out, its next messages are offered to the same consumer alone. A
//! failure takes the message and all later ones of its key back, acknowledged ones included, as
//! documented (<https://cloud.google.com/pubsub/docs/ordering>).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;

use super::message::{AckId, Delivery, Message};
use super::records;
use super::timers::{Timer, Timers};
use super::{Seq, SubId, Token};

/// The consumer that stands for those of an earlier process.
const GONE: Token = Token::MAX;

/// Where a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ready,
    Leased { lease: u64, until: Timestamp, by: Token },
    Delayed { until: Timestamp },
    Acked,
}

#[derive(Debug)]
struct Entry {
    message: Arc<Message>,
    key: Option<Arc<str>>,
    deliveries: u32,
    /// The latest lease, also after it has ended: a late acknowledgement names it.
    last_lease: u64,
    state: State,
}

/// One ordering key: what is out, in order, and what waits behind it.
#[derive(Default, Debug)]
struct KeyQueue {
    out: VecDeque<Seq>,
    waiting: VecDeque<Seq>,
    owner: Option<Token>,
}

/// A lease that has ended, for the consumer's flow control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freed {
    pub by: Token,
    pub bytes: usize,
}

/// What became of an acknowledgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Acked {
    /// It counts.
    Done,
    /// The delivery is over: acknowledged before, expired, or redelivered since.
    Stale,
    /// Refused: an earlier message of its key is still out (exactly-once with ordering only).
    Unordered,
}

/// How acknowledgements are treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AckRules {
    pub exactly_once: bool,
}

#[derive(Debug)]
pub struct Backlog {
    sub: SubId,
    ordered: bool,
    entries: BTreeMap<Seq, Entry>,
    /// What any consumer may take now.
    ready: BTreeSet<Seq>,
    keys: HashMap<Arc<str>, KeyQueue>,
    /// What only one consumer may take now, because it has the key's earlier messages.
    owned: HashMap<Token, BTreeSet<Seq>>,
    leases: u64,
    freed: Vec<Freed>,
    settled: Vec<Arc<Message>>,
}

impl Backlog {
    pub fn new(sub: SubId, ordered: bool) -> Backlog {
        Backlog {
            sub,
            ordered,
            entries: BTreeMap::new(),
            ready: BTreeSet::new(),
            keys: HashMap::new(),
            owned: HashMap::new(),
            leases: 0,
            freed: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Messages that any consumer could take now.
    pub fn available(&self) -> usize {
        self.ready.len()
    }

    /// Whether something waits that only this consumer may take.
    pub fn has_own(&self, consumer: Token) -> bool {
        self.owned.get(&consumer).is_some_and(|own| !own.is_empty())
    }

    /// Leases that ended since the last call.
    pub fn take_freed(&mut self) -> Vec<Freed> {
        std::mem::take(&mut self.freed)
    }

    /// Messages that were acknowledged for good since the last call.
    pub fn take_settled(&mut self) -> Vec<Arc<Message>> {
        std::mem::take(&mut self.settled)
    }

    /// The unacknowledged messages, oldest first.
    pub fn unacked(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.entries.values().filter(|entry| entry.state != State::Acked).map(|entry| &entry.message)
    }

    pub fn oldest(&self) -> Option<&Arc<Message>> {
        self.entries.values().next().map(|entry| &entry.message)
    }

    pub fn deliveries(&self, seq: Seq) -> Option<(u32, &Arc<Message>)> {
        self.entries.get(&seq).map(|entry| (entry.deliveries, &entry.message))
    }

    /// Lets a consumer keep the order of keys over several takes.
    pub fn join(&mut self, consumer: Token) {
        self.owned.entry(consumer).or_default();
    }

    /// Ends that; what it has stays leased until acknowledged or expired.
    pub fn leave(&mut self, consumer: Token) {
        self.owned.remove(&consumer);
    }

    /// Gives what one consumer has out, and the keys it is at, to another; the sizes of the messages.
    pub fn hand_over(&mut self, from: Token, to: Token) -> Vec<usize> {
        let mut sizes = Vec::new();
        for entry in self.entries.values_mut() {
            if let State::Leased { by, .. } = &mut entry.state
                && *by == from
            {
                *by = to;
                sizes.push(entry.message.size);
            }
        }
        let keys: Vec<Arc<str>> =
            self.keys.iter().filter(|(_, queue)| queue.owner == Some(from)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(queue) = self.keys.get_mut(&key) {
                queue.owner = Some(to);
            }
            self.offer(&key);
        }
        sizes
    }

    /// A message to deliver; messages come in the order of publishing.
    pub fn add(&mut self, message: Arc<Message>) {
        let seq = message.seq;
        let key = self.key_of(&message);
        if self.entries.contains_key(&seq) {
            return;
        }
        match &key {
            None => {
                self.ready.insert(seq);
            }
            Some(key) => self.keys.entry(key.clone()).or_default().waiting.push_back(seq),
        }
        self.entries
            .insert(seq, Entry { message, key: key.clone(), deliveries: 0, last_lease: 0, state: State::Ready });
        if let Some(key) = key {
            self.offer(&key);
        }
    }

    /// Leases the next message to a consumer, oldest first.
    pub fn take(
        &mut self,
        now: Timestamp,
        timers: &mut Timers,
        consumer: Token,
        deadline: Duration,
    ) -> Option<(Delivery, u32)> {
        let own = self.owned.get(&consumer).and_then(|own| own.first().copied());
        let seq = own.into_iter().chain(self.ready.first().copied()).min()?;
        self.ready.remove(&seq);
        if let Some(own) = self.owned.get_mut(&consumer) {
            own.remove(&seq);
        }
        self.leases += 1;
        let entry = self.entries.get_mut(&seq)?;
        let until = now + deadline;
        entry.deliveries = entry.deliveries.saturating_add(1);
        entry.last_lease = self.leases;
        entry.state = State::Leased { lease: self.leases, until, by: consumer };
        timers.set(until, Timer::Lease(self.sub, seq));
        let ack = AckId { sub: self.sub, seq, lease: self.leases };
        let delivery = Delivery { ack, message: entry.message.clone(), attempt: None };
        let deliveries = entry.deliveries;
        if let Some(key) = entry.key.clone() {
            if let Some(queue) = self.keys.get_mut(&key) {
                queue.waiting.pop_front();
                queue.out.push_back(seq);
                queue.owner = Some(consumer);
            }
            self.offer(&key);
        }
        Some((delivery, deliveries))
    }

    /// Acknowledges a delivery.
    pub fn ack(&mut self, timers: &mut Timers, ack: AckId, rules: AckRules) -> Acked {
        let Some(entry) = self.entries.get_mut(&ack.seq) else { return Acked::Stale };
        if entry.last_lease != ack.lease {
            return Acked::Stale;
        }
        match (entry.state, entry.key.clone()) {
            (State::Leased { until, by, .. }, key) => {
                let queue = key.as_ref().and_then(|key| self.keys.get_mut(key));
                if rules.exactly_once && queue.is_some_and(|queue| queue.out.front() != Some(&ack.seq)) {
                    return Acked::Unordered;
                }
                timers.clear(until, Timer::Lease(self.sub, ack.seq));
                self.freed.push(Freed { by, bytes: entry.message.size });
                entry.state = State::Acked;
                match key {
                    None => self.forget(ack.seq),
                    Some(key) => self.advance(&key),
                }
                Acked::Done
            }
            // Late, but nobody else has it yet: at least once, it counts. Not so for a key, whose
            // later messages wait for this redelivery, and not with exactly-once delivery.
            (State::Ready, None) if !rules.exactly_once => {
                self.ready.remove(&ack.seq);
                self.forget(ack.seq);
                Acked::Done
            }
            (State::Delayed { until }, None) if !rules.exactly_once => {
                timers.clear(until, Timer::Delay(self.sub, ack.seq));
                self.forget(ack.seq);
                Acked::Done
            }
            _ => Acked::Stale,
        }
    }

    /// Whether the delivery is still out.
    pub fn holds(&self, ack: AckId) -> bool {
        self.entries
            .get(&ack.seq)
            .is_some_and(|entry| matches!(entry.state, State::Leased { lease, .. } if lease == ack.lease))
    }

    /// Who has the message at the moment, and since which delivery.
    pub fn holder(&self, seq: Seq) -> Option<(Token, u64)> {
        match self.entries.get(&seq)?.state {
            State::Leased { by, lease, .. } => Some((by, lease)),
            _ => None,
        }
    }

    /// Moves a delivery's deadline; `false` where the delivery is over.
    pub fn extend(&mut self, timers: &mut Timers, ack: AckId, to: Timestamp) -> bool {
        match self.entries.get_mut(&ack.seq).map(|entry| &mut entry.state) {
            Some(State::Leased { lease, until, .. }) if *lease == ack.lease => {
                timers.clear(*until, Timer::Lease(self.sub, ack.seq));
                *until = to;
                timers.set(to, Timer::Lease(self.sub, ack.seq));
                true
            }
            _ => false,
        }
    }

    /// A delivery came to nothing: the message is to go out again, at `retry` or at once, and with it
    /// all later ones of its key.
    pub fn fail(&mut self, timers: &mut Timers, seq: Seq, retry: Option<Timestamp>) {
        let key = self.entries.get(&seq).and_then(|entry| entry.key.clone());
        let Some(key) = key else {
            self.put_back(timers, seq, retry);
            if retry.is_none() && self.entries.contains_key(&seq) {
                self.ready.insert(seq);
            }
            return;
        };
        let Some(queue) = self.keys.get_mut(&key) else { return };
        let Some(place) = queue.out.iter().position(|out| *out == seq) else { return };
        if let Some(next) = queue.waiting.front() {
            self.ready.remove(next);
            if let Some(own) = queue.owner.and_then(|owner| self.owned.get_mut(&owner)) {
                own.remove(next);
            }
        }
        let back: Vec<Seq> = queue.out.drain(place..).collect();
        for seq in back.iter().rev() {
            queue.waiting.push_front(*seq);
        }
        for (index, seq) in back.into_iter().enumerate() {
            self.put_back(timers, seq, retry.filter(|_| index == 0));
            // An attempt counts by its own nack or deadline alone (API reference of `delivery_attempt`).
            if index > 0
                && let Some(entry) = self.entries.get_mut(&seq)
            {
                entry.deliveries = entry.deliveries.saturating_sub(1);
            }
        }
        self.offer(&key);
    }

    /// Undoes the latest taking of a message, and that of all later ones of its key, which go out behind it.
    pub fn untake(&mut self, timers: &mut Timers, seq: Seq) {
        if let Some(entry) = self.entries.get_mut(&seq)
            && matches!(entry.state, State::Leased { .. })
        {
            entry.deliveries = entry.deliveries.saturating_sub(1);
            self.fail(timers, seq, None);
        }
    }

    fn put_back(&mut self, timers: &mut Timers, seq: Seq, retry: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&seq) else { return };
        if let State::Leased { until, by, .. } = entry.state {
            timers.clear(until, Timer::Lease(self.sub, seq));
            self.freed.push(Freed { by, bytes: entry.message.size });
        }
        entry.state = match retry {
            None => State::Ready,
            Some(until) => {
                timers.set(until, Timer::Delay(self.sub, seq));
                State::Delayed { until }
            }
        };
    }

    /// A message's backoff is over.
    pub fn delay_over(&mut self, seq: Seq) {
        let Some(entry) = self.entries.get_mut(&seq) else { return };
        if !matches!(entry.state, State::Delayed { .. }) {
            return;
        }
        entry.state = State::Ready;
        match entry.key.clone() {
            None => {
                self.ready.insert(seq);
            }
            Some(key) => self.offer(&key),
        }
    }

    /// Takes a message out for good: dead-lettered, or older than its retention.
    pub fn remove(&mut self, timers: &mut Timers, seq: Seq) -> Option<Arc<Message>> {
        let entry = self.entries.remove(&seq)?;
        match entry.state {
            State::Leased { until, by, .. } => {
                timers.clear(until, Timer::Lease(self.sub, seq));
                self.freed.push(Freed { by, bytes: entry.message.size });
            }
            State::Delayed { until } => timers.clear(until, Timer::Delay(self.sub, seq)),
            State::Ready | State::Acked => {}
        }
        self.ready.remove(&seq);
        if let Some(key) = &entry.key {
            if let Some(queue) = self.keys.get_mut(key) {
                if let Some(own) = queue.owner.and_then(|owner| self.owned.get_mut(&owner)) {
                    own.remove(&seq);
                }
                queue.out.retain(|out| *out != seq);
                queue.waiting.retain(|waiting| *waiting != seq);
            }
            self.advance(key);
        }
        Some(entry.message)
    }

    /// Forgets everything, leases included.
    pub fn clear(&mut self, timers: &mut Timers) {
        for (seq, entry) in std::mem::take(&mut self.entries) {
            match entry.state {
                State::Leased { until, by, .. } => {
                    timers.clear(until, Timer::Lease(self.sub, seq));
                    self.freed.push(Freed { by, bytes: entry.message.size });
                }
                State::Delayed { until } => timers.clear(until, Timer::Delay(self.sub, seq)),
                State::Ready | State::Acked => {}
            }
        }
        self.ready.clear();
        self.keys.clear();
        self.owned.values_mut().for_each(BTreeSet::clear);
    }

    fn forget(&mut self, seq: Seq) {
        if let Some(entry) = self.entries.remove(&seq) {
            self.settled.push(entry.message);
        }
    }

    /// Drops the acknowledged messages at the head of a key and offers what comes next.
    fn advance(&mut self, key: &Arc<str>) {
        let Some(queue) = self.keys.get_mut(key) else { return };
        while let Some(seq) = queue.out.front().copied() {
            if self.entries.get(&seq).is_some_and(|entry| entry.state != State::Acked) {
                break;
            }
            queue.out.pop_front();
            if let Some(entry) = self.entries.remove(&seq) {
                self.settled.push(entry.message);
            }
        }
        if queue.out.is_empty() && queue.waiting.is_empty() {
            self.keys.remove(key);
        } else {
            self.offer(key);
        }
    }

    /// Makes a key's next message available to whom it may go.
    fn offer(&mut self, key: &Arc<str>) {
        let Some(queue) = self.keys.get_mut(key) else { return };
        let Some(next) = queue.waiting.front().copied() else { return };
        let ready = self.entries.get(&next).is_some_and(|entry| entry.state == State::Ready);
        if queue.out.is_empty() {
            if let Some(own) = queue.owner.take().and_then(|owner| self.owned.get_mut(&owner)) {
                own.remove(&next);
            }
            if ready {
                self.ready.insert(next);
            }
        } else if ready && let Some(own) = queue.owner.and_then(|owner| self.owned.get_mut(&owner)) {
            own.insert(next);
        }
    }

    /// All messages, those that are acknowledged behind an unacknowledged one of their key included.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.entries.values().map(|entry| &entry.message)
    }

    /// Leases a message as an earlier process has, to a consumer that is gone.
    pub fn retake(&mut self, timers: &mut Timers, seq: Seq, lease: u64, until: Timestamp) {
        self.leases = self.leases.max(lease);
        let Some(entry) = self.entries.get_mut(&seq) else { return };
        match entry.state {
            State::Ready => {}
            State::Delayed { until } => timers.clear(until, Timer::Delay(self.sub, seq)),
            State::Leased { .. } | State::Acked => return,
        }
        entry.deliveries = entry.deliveries.saturating_add(1);
        entry.last_lease = lease;
        entry.state = State::Leased { lease, until, by: GONE };
        timers.set(until, Timer::Lease(self.sub, seq));
        self.ready.remove(&seq);
        if let Some(key) = entry.key.clone() {
            if let Some(queue) = self.keys.get_mut(&key) {
                queue.waiting.retain(|waiting| *waiting != seq);
                queue.out.push_back(seq);
                queue.owner = Some(GONE);
            }
            self.offer(&key);
        }
    }

    /// Acknowledges a message's latest delivery.
    pub fn reack(&mut self, timers: &mut Timers, seq: Seq) {
        if let Some(lease) = self.entries.get(&seq).map(|entry| entry.last_lease) {
            self.ack(timers, AckId { sub: self.sub, seq, lease }, AckRules { exactly_once: false });
        }
    }

    /// Moves the deadline of a message's latest delivery.
    pub fn reextend(&mut self, timers: &mut Timers, seq: Seq, to: Timestamp) {
        if let Some(lease) = self.entries.get(&seq).map(|entry| entry.last_lease) {
            self.extend(timers, AckId { sub: self.sub, seq, lease }, to);
        }
    }

    /// As it is kept.
    pub fn record(&self) -> records::Backlog {
        let entries = self.entries.iter().map(|(seq, entry)| {
            let (state, until) = match entry.state {
                State::Ready => (0, 0),
                State::Leased { until, .. } => (1, until.as_micros()),
                State::Delayed { until } => (2, until.as_micros()),
                State::Acked => (3, 0),
            };
            records::Entry { seq: *seq, deliveries: entry.deliveries, last_lease: entry.last_lease, state, until }
        });
        records::Backlog { sub: self.sub, leases: self.leases, entries: entries.collect() }
    }

    /// Takes over what was kept; its entries go with `messages` one to one.
    pub fn restore(&mut self, timers: &mut Timers, kept: &records::Backlog, messages: Vec<Arc<Message>>) {
        self.clear(timers);
        self.leases = self.leases.max(kept.leases);
        for (kept, message) in kept.entries.iter().zip(messages) {
            let seq = message.seq;
            let until = Timestamp::from_micros(kept.until);
            let state = match kept.state {
                1 => {
                    timers.set(until, Timer::Lease(self.sub, seq));
                    State::Leased { lease: kept.last_lease, until, by: GONE }
                }
                2 => {
                    timers.set(until, Timer::Delay(self.sub, seq));
                    State::Delayed { until }
                }
                3 => State::Acked,
                _ => State::Ready,
            };
            let key = self.key_of(&message);
            match &key {
                Some(key) => {
                    let queue = self.keys.entry(key.clone()).or_default();
                    let out = matches!(state, State::Leased { .. } | State::Acked);
                    if out { queue.out.push_back(seq) } else { queue.waiting.push_back(seq) }
                }
                None if state == State::Ready => {
                    self.ready.insert(seq);
                }
                None => {}
            }
            let (deliveries, last_lease) = (kept.deliveries, kept.last_lease);
            self.entries.insert(seq, Entry { message, key, deliveries, last_lease, state });
        }
        let keys: Vec<_> = self.keys.keys().cloned().collect();
        for key in keys {
            self.offer(&key);
        }
    }

    fn key_of(&self, message: &Message) -> Option<Arc<str>> {
        let key = message.content.ordering_key.as_str();
        (self.ordered && !key.is_empty()).then(|| Arc::from(key))
    }

    /// Number and bytes of what a consumer has out.
    #[cfg(test)]
    pub fn out_with(&self, consumer: Token) -> (usize, usize) {
        let out =
            self.entries.values().filter(|entry| matches!(entry.state, State::Leased { by, .. } if by == consumer));
        out.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.message.size))
    }

    /// Checks what must always hold; for tests.
    #[cfg(test)]
    pub fn check(&self) {
        for seq in self.ready.iter().chain(self.owned.values().flatten()) {
            assert_eq!(self.entries[seq].state, State::Ready, "offered {seq} is not ready");
        }
        for (seq, entry) in &self.entries {
            match &entry.key {
                None => assert_eq!(entry.state == State::Ready, self.ready.contains(seq)),
                Some(key) => {
                    let queue = &self.keys[key];
                    assert!(queue.out.contains(seq) != queue.waiting.contains(seq));
                }
            }
        }
        for queue in self.keys.values() {
            let all: Vec<Seq> = queue.out.iter().chain(&queue.waiting).copied().collect();
            assert!(all.is_sorted(), "a key's queue is out of order: {all:?}");
            for seq in &queue.out {
                assert!(matches!(self.entries[seq].state, State::Leased { .. } | State::Acked));
            }
        }
    }
}
