//! Who waits at a subscription: pulls that found nothing, and open streams.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::backlog::Freed;
use super::{Token, Wake};
use crate::texts::Error;

/// Why a consumer's subscription does not serve it any more.
pub type Ended = Error;

/// How many clients are remembered after their streams have ended.
const CLIENTS: usize = 1_000;

/// What a consumer is doing, as far as the engine knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    /// Sleeps until woken.
    Asleep,
    /// Was woken, or is between two takes: it will come.
    Awake,
    /// Cannot take at the moment, its client reads too slowly: not to be counted on.
    Busy,
}

/// Limits on what a stream has out; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowControl {
    pub messages: usize,
    pub bytes: usize,
}

#[derive(Debug)]
struct Consumer {
    /// Ack deadline of a stream's deliveries; none for a pull, which uses the subscription's.
    deadline: Option<Duration>,
    flow: FlowControl,
    messages: usize,
    bytes: usize,
    mood: Mood,
}

impl Consumer {
    fn has_room(&self) -> bool {
        (self.flow.messages == 0 || self.messages < self.flow.messages)
            && (self.flow.bytes == 0 || self.bytes < self.flow.bytes)
    }
}

#[derive(Default, Debug)]
pub struct Consumers {
    all: BTreeMap<Token, Consumer>,
    /// In the order in which they fell asleep, so that work goes round.
    asleep: VecDeque<Token>,
    awake: usize,
    /// The latest stream of each client that names itself.
    clients: HashMap<String, Token>,
}

impl Consumers {
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A consumer that sleeps at once.
    pub fn join(&mut self, token: Token, deadline: Option<Duration>, flow: FlowControl) {
        self.all.insert(token, Consumer { deadline, flow, messages: 0, bytes: 0, mood: Mood::Asleep });
        self.asleep.push_back(token);
    }

    /// Notes a client's new stream; the one before, if that is over.
    pub fn succeed(&mut self, client: String, token: Token) -> Option<Token> {
        if self.clients.len() >= CLIENTS {
            let all = &self.all;
            self.clients.retain(|_, token| all.contains_key(token));
        }
        let before = self.clients.insert(client, token)?;
        (!self.all.contains_key(&before)).then_some(before)
    }

    pub fn leave(&mut self, token: Token) {
        self.set_mood(token, Mood::Busy);
        self.all.remove(&token);
    }

    /// Everybody leaves.
    pub fn drain(&mut self) -> Vec<Token> {
        self.asleep.clear();
        self.awake = 0;
        std::mem::take(&mut self.all).into_keys().collect()
    }

    fn set_mood(&mut self, token: Token, mood: Mood) {
        let Some(consumer) = self.all.get_mut(&token) else { return };
        match std::mem::replace(&mut consumer.mood, mood) {
            Mood::Asleep if mood != Mood::Asleep => self.asleep.retain(|asleep| *asleep != token),
            Mood::Awake => self.awake -= 1,
            _ => {}
        }
        match mood {
            Mood::Asleep if !self.asleep.contains(&token) => self.asleep.push_back(token),
            Mood::Awake => self.awake += 1,
            _ => {}
        }
    }

    pub fn sleep(&mut self, token: Token) {
        self.set_mood(token, Mood::Asleep);
    }

    pub fn wake(&mut self, token: Token) {
        self.set_mood(token, Mood::Awake);
    }

    pub fn busy(&mut self, token: Token) {
        self.set_mood(token, Mood::Busy);
    }

    /// How many consumers are about to take.
    pub fn awake(&self) -> usize {
        self.awake
    }

    pub fn deadline(&self, token: Token) -> Option<Duration> {
        self.all.get(&token)?.deadline
    }

    pub fn set_deadline(&mut self, token: Token, deadline: Duration) {
        if let Some(consumer) = self.all.get_mut(&token) {
            consumer.deadline = Some(deadline);
        }
    }

    pub fn has_room(&self, token: Token) -> bool {
        self.all.get(&token).is_some_and(Consumer::has_room)
    }

    pub fn leased(&mut self, token: Token, bytes: usize) {
        if let Some(consumer) = self.all.get_mut(&token) {
            consumer.messages += 1;
            consumer.bytes += bytes;
        }
    }

    pub fn freed(&mut self, freed: Freed) {
        if let Some(consumer) = self.all.get_mut(&freed.by) {
            consumer.messages = consumer.messages.saturating_sub(1);
            consumer.bytes = consumer.bytes.saturating_sub(freed.bytes);
        }
    }

    /// Wakes sleepers until as many are awake as there are messages for anybody.
    pub fn wake_for(&mut self, available: usize, wakes: &mut Vec<Wake>) {
        let mut looked_at = 0;
        while self.awake < available && looked_at < self.asleep.len() {
            let Some(token) = self.asleep.get(looked_at).copied() else { return };
            if self.has_room(token) {
                self.wake(token);
                wakes.push(Wake::Consumer(token));
            } else {
                looked_at += 1;
            }
        }
    }

    /// Wakes the sleepers for whom something special waits.
    pub fn wake_where(&mut self, waits_for: impl Fn(Token) -> bool, wakes: &mut Vec<Wake>) {
        let chosen: Vec<Token> =
            self.asleep.iter().copied().filter(|token| self.has_room(*token) && waits_for(*token)).collect();
        for token in chosen {
            self.wake(token);
            wakes.push(Wake::Consumer(token));
        }
    }

    /// Checks that nobody sleeps who could be served, and that flow control counts what is out.
    #[cfg(test)]
    pub fn check(&self, backlog: &super::backlog::Backlog) {
        let awake = self.all.values().filter(|consumer| consumer.mood == Mood::Awake).count();
        assert_eq!(awake, self.awake);
        for (token, consumer) in &self.all {
            assert_eq!(self.asleep.contains(token), consumer.mood == Mood::Asleep);
            assert_eq!(backlog.out_with(*token), (consumer.messages, consumer.bytes));
            if consumer.mood == Mood::Asleep && consumer.has_room() {
                assert!(backlog.available() <= awake, "{} wait, {awake} awake, {token} sleeps", backlog.available());
                assert!(!backlog.has_own(*token), "{token} sleeps over what only it may have");
            }
        }
    }
}
