//! Pulls and streams: taking messages, and waiting for them.

use std::time::Duration;

use scrimmage_core::Timestamp;

use super::consumers::FlowControl;
use super::message::Delivery;
use super::records::Recorder;
use super::subscriptions::Subscription;
use super::timers::Timers;
use super::{Command, Engine, SubId, Token, settings};
use crate::limits;
use crate::texts::Error;

/// A unary pull.
#[derive(Debug)]
pub struct Pull {
    pub subscription: String,
    pub max_messages: i32,
    /// Whether to wait where there is nothing.
    pub wait: bool,
}

#[derive(Debug)]
pub enum Pulled {
    /// Perhaps none, where the pull was not to wait.
    Messages(Vec<Delivery>),
    /// Nothing now: a [`Wake`](super::Wake) will name this token, then comes [`Resume`] or [`Leave`].
    Waiting(Token),
}

/// A waiting pull tries again; an empty outcome waits on.
#[derive(Debug)]
pub struct Resume {
    pub token: Token,
    pub max_messages: i32,
}

/// A pull or stream is over. Its messages stay leased.
#[derive(Debug)]
pub struct Leave(pub Token);

/// A streaming pull begins.
#[derive(Debug)]
pub struct OpenStream {
    pub subscription: String,
    /// Seconds, 10 to 600.
    pub deadline: i32,
    pub flow: FlowControl,
    /// A client that names itself takes over what its stream before had out.
    pub client: String,
}

/// A stream sets another deadline, for deliveries to come.
#[derive(Debug)]
pub struct SetStreamDeadline {
    pub token: Token,
    pub deadline: i32,
}

/// What a stream can have now. Where the outcome has no messages the stream sleeps until woken.
#[derive(Debug)]
pub struct TakeForStream(pub Token);

#[derive(Debug)]
pub struct Taken {
    pub messages: Vec<Delivery>,
    pub exactly_once: bool,
    pub ordered: bool,
}

/// A woken stream cannot take, its client does not read: others should.
#[derive(Debug)]
pub struct StreamBusy(pub Token);

impl Command for Pull {
    type Outcome = Pulled;
    fn token(outcome: &Pulled) -> Option<Token> {
        match outcome {
            Pulled::Waiting(token) => Some(*token),
            Pulled::Messages(_) => None,
        }
    }
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Pulled, Error> {
        let id = engine.sub(&self.subscription)?;
        let most = max_messages(self.max_messages)?;
        let token = engine.next_id();
        let subscription = engine.subs.get_mut(&id).ok_or_else(|| Error::not_found(&self.subscription))?;
        pullable(subscription)?;
        subscription.active = now;
        subscription.backlog.join(token);
        let messages = take(subscription, &mut engine.timers, &mut engine.records, now, token, most);
        if messages.is_empty() && self.wait {
            subscription.consumers.join(token, None, FlowControl::default());
            engine.tokens.insert(token, id);
            return Ok(Pulled::Waiting(token));
        }
        subscription.backlog.leave(token);
        Ok(Pulled::Messages(messages))
    }
}

impl Command for Resume {
    type Outcome = Vec<Delivery>;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Vec<Delivery>, Error> {
        let id = engine.consumer(self.token)?;
        let most = max_messages(self.max_messages)?;
        let Some(subscription) = engine.subs.get_mut(&id) else { return Ok(Vec::new()) };
        let messages = take(subscription, &mut engine.timers, &mut engine.records, now, self.token, most);
        if messages.is_empty() {
            subscription.consumers.sleep(self.token);
            engine.touched.push(id);
        } else {
            engine.dismiss(self.token);
        }
        Ok(messages)
    }
}

impl Command for Leave {
    type Outcome = ();
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        engine.ended.remove(&self.0);
        engine.dismiss(self.0);
        Ok(())
    }
}

impl Command for OpenStream {
    type Outcome = Token;
    fn token(outcome: &Token) -> Option<Token> {
        Some(*outcome)
    }
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Token, Error> {
        let id = engine.sub(&self.subscription)?;
        let deadline = settings::lease_deadline(self.deadline)?;
        let token = engine.next_id();
        let subscription = engine.subs.get_mut(&id).ok_or_else(|| Error::not_found(&self.subscription))?;
        pullable(subscription)?;
        subscription.active = now;
        subscription.backlog.join(token);
        subscription.consumers.join(token, Some(deadline), self.flow);
        if !self.client.is_empty()
            && let Some(before) = subscription.consumers.succeed(self.client, token)
        {
            for bytes in subscription.backlog.hand_over(before, token) {
                subscription.consumers.leased(token, bytes);
            }
        }
        engine.tokens.insert(token, id);
        engine.touched.push(id);
        Ok(token)
    }
}

impl Command for SetStreamDeadline {
    type Outcome = ();
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        let deadline = settings::lease_deadline(self.deadline)?;
        let id = engine.consumer(self.token)?;
        if let Some(subscription) = engine.subs.get_mut(&id) {
            subscription.consumers.set_deadline(self.token, deadline);
        }
        Ok(())
    }
}

impl Command for TakeForStream {
    type Outcome = Taken;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Taken, Error> {
        let id = engine.consumer(self.0)?;
        let subscription = engine.subs.get_mut(&id).ok_or(Error::Reset)?;
        subscription.consumers.wake(self.0);
        // What there is for anybody is shared among those who are about to take.
        let share = subscription.backlog.available().div_ceil(subscription.consumers.awake().max(1));
        let most = share.clamp(1, limits::PULL_MESSAGES);
        let messages = take(subscription, &mut engine.timers, &mut engine.records, now, self.0, most);
        if messages.is_empty() {
            subscription.consumers.sleep(self.0);
        } else {
            subscription.active = now;
        }
        engine.touched.push(id);
        let (exactly_once, ordered) = (subscription.settings.exactly_once, subscription.settings.ordered);
        Ok(Taken { messages, exactly_once, ordered })
    }
}

impl Command for StreamBusy {
    type Outcome = ();
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        let id = engine.consumer(self.0)?;
        if let Some(subscription) = engine.subs.get_mut(&id) {
            subscription.consumers.busy(self.0);
            engine.touched.push(id);
        }
        Ok(())
    }
}

fn max_messages(given: i32) -> Result<usize, Error> {
    match usize::try_from(given) {
        Ok(most) if most > 0 => Ok(most.min(limits::PULL_MESSAGES)),
        _ => Err(Error::BadArgument("max_messages")),
    }
}

fn pullable(subscription: &Subscription) -> Result<(), Error> {
    if subscription.config.detached {
        return Err(Error::Detached(super::names::id(&subscription.config.name).to_owned()));
    }
    if subscription.settings.is_pull() { Ok(()) } else { Err(Error::WrongType) }
}

/// Leases up to `most` messages, as long as flow control and the size of one answer allow.
fn take(
    subscription: &mut Subscription,
    timers: &mut Timers,
    records: &mut Recorder,
    now: Timestamp,
    token: Token,
    most: usize,
) -> Vec<Delivery> {
    let is_stream = subscription.consumers.deadline(token).is_some();
    let deadline: Duration = subscription.consumers.deadline(token).unwrap_or(subscription.settings.ack_deadline);
    let mut messages = Vec::new();
    let mut bytes = 0;
    while messages.len() < most
        && bytes < limits::RESPONSE_BYTES
        && (!is_stream || subscription.consumers.has_room(token))
        && let Some((mut delivery, deliveries)) = subscription.backlog.take(now, timers, token, deadline)
    {
        delivery.attempt = subscription.settings.dead_letter.is_some().then_some(deliveries);
        records.took(subscription.id, now, now + deadline, &delivery);
        bytes += delivery.message.size;
        subscription.consumers.leased(token, delivery.message.size);
        messages.push(delivery);
    }
    messages
}

impl Engine {
    /// The subscription of a consumer, or why it has none any more.
    fn consumer(&mut self, token: Token) -> Result<SubId, Error> {
        if let Some(why) = self.ended.remove(&token) {
            self.tokens.remove(&token);
            return Err(why);
        }
        self.tokens.get(&token).copied().ok_or(Error::Reset)
    }

    fn dismiss(&mut self, token: Token) {
        if let Some(id) = self.tokens.remove(&token)
            && let Some(subscription) = self.subs.get_mut(&id)
        {
            subscription.consumers.leave(token);
            subscription.backlog.leave(token);
            self.touched.push(id);
        }
    }
}
