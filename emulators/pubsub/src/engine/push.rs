//! Push, the engine's side: how many deliveries may be under way, and what their results do.
//!
//! Production documents a push window that starts at a small single digit, widens exponentially with
//! successes (faster than a second) and linearly above 3,000, shrinks with failures, and a push backoff
//! of 100 ms to 60 s when too many deliveries fail
//! (<https://cloud.google.com/pubsub/docs/push#push_delivery_rate>). Here: a fast success widens the window
//! by one, so that it doubles a round trip; a slow one, or one above the knee, by one a window. A failure
//! halves it and, while no success has come in between, starts a backoff that doubles each round. A
//! success ends the backoff: one poison message does not slow the others down.

use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::backlog::{AckRules, Freed};
use super::message::{AckId, Delivery};
use super::{Command, Engine, SubId, Token};
use crate::limits;
use crate::texts::Error;

/// The consumer that stands for a subscription's pushes.
pub const PUSH: Token = 0;

#[derive(Debug)]
pub struct PushState {
    window: u32,
    /// Successes that have not widened the window yet.
    credit: u32,
    outstanding: u32,
    /// Rounds of failure without a success.
    failures: u32,
    backoff: Option<Timestamp>,
    /// The shell has been told to take.
    called: bool,
}

impl PushState {
    pub fn new(window: u32) -> PushState {
        PushState { window, credit: 0, outstanding: 0, failures: 0, backoff: None, called: false }
    }

    /// Whether the shell is to be told that there is something to push.
    pub fn call(&mut self) -> bool {
        let call = !self.called && self.backoff.is_none() && self.outstanding < self.window;
        self.called |= call;
        call
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.outstanding == 0
    }

    /// The shell has come.
    pub fn taken(&mut self) {
        self.called = false;
    }

    pub fn sent(&mut self) {
        self.outstanding += 1;
    }

    /// A success, where the window is not the matter.
    pub fn recovered(&mut self) {
        self.failures = 0;
        self.backoff = None;
    }

    pub fn freed(&mut self, freed: Freed) {
        if freed.by == PUSH {
            self.outstanding = self.outstanding.saturating_sub(1);
        }
    }

    /// Checks that the shell has been told where there is something to do.
    #[cfg(test)]
    pub fn check(&self, backlog: &super::backlog::Backlog, is_sink: bool) {
        assert_eq!(backlog.out_with(PUSH).0, self.outstanding as usize);
        if is_sink && self.outstanding > 0 {
            return;
        }
        if backlog.available() > 0 && self.backoff.is_none() && self.outstanding < self.window {
            assert!(self.called, "nobody was told of {} messages", backlog.available());
        }
    }

    fn succeeded(&mut self, took: Duration) {
        self.failures = 0;
        self.backoff = None;
        if took <= limits::PUSH_FAST && self.window < limits::PUSH_WINDOW_KNEE {
            self.window += 1;
        } else {
            self.credit += 1;
            if self.credit >= self.window {
                self.credit = 0;
                self.window = self.window.saturating_add(1);
            }
        }
    }

    /// A delivery failed; when to try again, where this begins a backoff.
    pub fn failed(&mut self, at: Timestamp) -> Option<Timestamp> {
        if self.backoff.is_some() {
            // Sent before the backoff began: part of the same round.
            return None;
        }
        self.window = (self.window / 2).max(1);
        let doubled = limits::PUSH_BACKOFF_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let until = at + doubled.min(limits::PUSH_BACKOFF_MAX);
        self.backoff = Some(until);
        Some(until)
    }
}

/// What is to be pushed now.
#[derive(Debug)]
pub struct TakeForPush(pub SubId);

/// One delivery to make.
#[derive(Clone, Debug)]
pub struct PushJob {
    pub subscription: String,
    pub config: pb::PushConfig,
    pub delivery: Delivery,
    /// When the delivery counts as failed by itself.
    pub until: Timestamp,
}

/// A delivery was answered.
#[derive(Debug)]
pub struct PushDone {
    pub ack: AckId,
    pub accepted: bool,
    pub took: Duration,
}

impl Command for TakeForPush {
    type Outcome = Vec<PushJob>;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Vec<PushJob>, Error> {
        let mut jobs = Vec::new();
        let Some(subscription) = engine.subs.get_mut(&self.0) else { return Ok(jobs) };
        subscription.push.called = false;
        let Some(config) = subscription.settings.push.clone() else { return Ok(jobs) };
        let deadline = subscription.settings.ack_deadline;
        while subscription.push.backoff.is_none()
            && subscription.push.outstanding < subscription.push.window
            && let Some((mut delivery, deliveries)) = subscription.backlog.take(now, &mut engine.timers, PUSH, deadline)
        {
            engine.records.took(self.0, now, now + deadline, &delivery);
            subscription.push.outstanding += 1;
            delivery.attempt = subscription.settings.dead_letter.is_some().then_some(deliveries);
            jobs.push(PushJob {
                subscription: subscription.config.name.clone(),
                config: config.clone(),
                delivery,
                until: now + deadline,
            });
        }
        engine.touch(self.0);
        Ok(jobs)
    }
}

impl Command for PushDone {
    /// Whether the answer still counted: not so after the deadline.
    type Outcome = bool;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<bool, Error> {
        let sub = self.ack.sub;
        let Some(subscription) = engine.subs.get_mut(&sub) else { return Ok(false) };
        if !subscription.backlog.holds(self.ack) {
            return Ok(false);
        }
        if self.accepted {
            subscription.active = now;
            subscription.push.succeeded(self.took);
            subscription.backlog.ack(&mut engine.timers, self.ack, AckRules { exactly_once: false });
            engine.records.acked(sub, now, self.ack.seq);
            engine.touch(sub);
        } else {
            engine.fail_delivery(now, sub, self.ack.seq);
        }
        Ok(true)
    }
}

impl Engine {
    pub(super) fn push_backoff_over(&mut self, at: Timestamp, sub: SubId) {
        if let Some(subscription) = self.subs.get_mut(&sub)
            && subscription.push.backoff.is_some_and(|until| until <= at)
        {
            subscription.push.backoff = None;
            self.touch(sub);
        }
    }
}
