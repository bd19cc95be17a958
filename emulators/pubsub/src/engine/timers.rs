//! The one heap of everything that will happen by itself.

use std::collections::BTreeSet;

use scrimmage_core::Timestamp;

use super::{Seq, SnapshotId, SubId, TopicId};

/// What is due. Times that are equal fire in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// A delivery's acknowledgement deadline passes.
    Lease(SubId, Seq),
    /// A message's retry backoff ends.
    Delay(SubId, Seq),
    /// A push endpoint is tried again.
    PushBackoff(SubId),
    /// The oldest message of a subscription may have outlived its retention.
    Retention(SubId),
    /// The same for a topic.
    TopicRetention(TopicId),
    /// A subscription may have been unused for its whole time to live.
    Expiry(SubId),
    SnapshotExpiry(SnapshotId),
}

/// An ordered set, so that a timer that is no longer wanted is taken out rather than left to fire in vain.
#[derive(Default, Debug)]
pub struct Timers(BTreeSet<(Timestamp, Timer)>);

impl Timers {
    pub fn set(&mut self, at: Timestamp, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub fn clear(&mut self, at: Timestamp, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub fn due(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The earliest timer that is due by `now`, taken out.
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Timer)> {
        if self.due()? <= now { self.0.pop_first() } else { None }
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
