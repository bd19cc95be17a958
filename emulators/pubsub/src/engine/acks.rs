//! Acknowledgements and deadlines, from unary calls and from streams.

use std::collections::BTreeMap;
use std::time::Duration;

use scrimmage_core::Timestamp;

use super::backlog::{AckRules, Acked};
use super::message::AckId;
use super::{Command, Engine, SubId, settings};
use crate::texts::{self, Error};

/// Acknowledges deliveries.
#[derive(Debug)]
pub struct Acknowledge {
    pub subscription: String,
    pub ack_ids: Vec<String>,
}

/// Moves the deadline of deliveries to so many seconds from now; 0 gives them back.
#[derive(Debug)]
pub struct ModifyAckDeadline {
    pub subscription: String,
    pub ack_ids: Vec<String>,
    pub seconds: i32,
}

/// The same two from one message of a stream, which is told id by id what counted.
#[derive(Debug)]
pub struct StreamAcks {
    pub subscription: String,
    pub acks: Vec<String>,
    /// Pairs of id and seconds.
    pub deadlines: Vec<(String, i32)>,
}

/// What became of the ids of one stream message; texts as the client sent them.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Confirmed {
    pub exactly_once: bool,
    pub ordered: bool,
    pub acked: Vec<String>,
    pub invalid_acks: Vec<String>,
    pub unordered_acks: Vec<String>,
    pub moved: Vec<String>,
    pub invalid_moves: Vec<String>,
}

impl Command for Acknowledge {
    type Outcome = ();
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<(), Error> {
        let sub = engine.sub(&self.subscription)?;
        let ids = parse_all(&self.ack_ids, engine.is_exactly_once(sub))?;
        let mut refused = BTreeMap::new();
        for (text, ack) in self.ack_ids.into_iter().zip(ids) {
            match engine.ack(now, sub, ack) {
                Acked::Done => {}
                Acked::Stale => {
                    refused.insert(text, texts::INVALID_ACK_ID);
                }
                Acked::Unordered => {
                    refused.insert(text, texts::UNORDERED_ACK_ID);
                }
            }
        }
        engine.refuse(sub, refused)
    }
}

impl Command for ModifyAckDeadline {
    type Outcome = ();
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<(), Error> {
        let sub = engine.sub(&self.subscription)?;
        let deadline = settings::modified_deadline(self.seconds)?;
        let ids = parse_all(&self.ack_ids, engine.is_exactly_once(sub))?;
        let mut refused = BTreeMap::new();
        for (text, ack) in self.ack_ids.into_iter().zip(ids) {
            if !engine.modify(now, sub, ack, deadline) {
                refused.insert(text, texts::INVALID_ACK_ID);
            }
        }
        engine.refuse(sub, refused)
    }
}

impl Command for StreamAcks {
    type Outcome = Confirmed;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Confirmed, Error> {
        let sub = engine.sub(&self.subscription)?;
        let exactly_once = engine.is_exactly_once(sub);
        let ordered = engine.subs.get(&sub).is_some_and(|subscription| subscription.settings.ordered);
        let mut confirmed = Confirmed { exactly_once, ordered, ..Confirmed::default() };
        for text in self.acks {
            let became = AckId::parse(&text).map_or(Acked::Stale, |ack| engine.ack(now, sub, Some(ack)));
            match became {
                Acked::Done => confirmed.acked.push(text),
                Acked::Stale => confirmed.invalid_acks.push(text),
                Acked::Unordered => confirmed.unordered_acks.push(text),
            }
        }
        for (text, seconds) in self.deadlines {
            let deadline = settings::modified_deadline(seconds)?;
            if AckId::parse(&text).is_some_and(|ack| engine.modify(now, sub, Some(ack), deadline)) {
                confirmed.moved.push(text);
            } else {
                confirmed.invalid_moves.push(text);
            }
        }
        Ok(confirmed)
    }
}

/// Reads the ids. One that never was one fails the whole request, but for exactly-once delivery,
/// where it is refused by itself, in the details.
fn parse_all(texts: &[String], exactly_once: bool) -> Result<Vec<Option<AckId>>, Error> {
    if texts.is_empty() {
        return Err(Error::NoAckId);
    }
    texts
        .iter()
        .map(|text| match AckId::parse(text) {
            None if !exactly_once => Err(Error::BadAckId(text.clone())),
            ack => Ok(ack),
        })
        .collect()
}

impl Engine {
    fn is_exactly_once(&self, sub: SubId) -> bool {
        self.subs.get(&sub).is_some_and(|subscription| subscription.settings.exactly_once)
    }

    fn ack(&mut self, now: Timestamp, sub: SubId, ack: Option<AckId>) -> Acked {
        let Some(subscription) = self.subs.get_mut(&sub) else { return Acked::Stale };
        subscription.active = now;
        let Some(ack) = ack.filter(|ack| ack.sub == sub) else { return Acked::Stale };
        let rules = AckRules { exactly_once: subscription.settings.exactly_once };
        self.touch(sub);
        match self.subs.get_mut(&sub) {
            Some(subscription) => {
                let became = subscription.backlog.ack(&mut self.timers, ack, rules);
                if became == Acked::Done {
                    self.records.acked(sub, now, ack.seq);
                }
                became
            }
            None => Acked::Stale,
        }
    }

    /// `false` where the delivery is over.
    fn modify(&mut self, now: Timestamp, sub: SubId, ack: Option<AckId>, deadline: Duration) -> bool {
        let Some(subscription) = self.subs.get_mut(&sub) else { return false };
        subscription.active = now;
        let Some(ack) = ack.filter(|ack| ack.sub == sub) else { return false };
        if !deadline.is_zero() {
            let moved = subscription.backlog.extend(&mut self.timers, ack, now + deadline);
            if moved {
                self.records.moved(sub, now + deadline, ack.seq);
            }
            return moved;
        }
        let out = subscription.backlog.holds(ack);
        if out {
            self.fail_delivery(now, sub, ack.seq);
        }
        out
    }

    /// Ids that did not count are an error with exactly-once delivery, and nothing otherwise.
    fn refuse(&self, sub: SubId, refused: BTreeMap<String, &'static str>) -> Result<(), Error> {
        if refused.is_empty() || !self.is_exactly_once(sub) { Ok(()) } else { Err(Error::InvalidAckIds(refused)) }
    }

    pub(super) fn touch(&mut self, sub: SubId) {
        if self.touched.last() != Some(&sub) {
            self.touched.push(sub);
        }
    }
}
