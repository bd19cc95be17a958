//! The fault `barrier`: calls wait for one another, so that they certainly overlap.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::Clock;
use crate::duration::HumaneDuration;

/// Holds matching calls until `count` of them wait, then lets all go:
/// `barrier = { count = 40, timeout = "5s" }`.
///
/// Once open it stays open (retries pass), unless `repeat`: then it closes behind each full group.
/// A call held for `timeout` on the suite's clock opens it too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Barrier {
    pub count: u64,
    pub timeout: HumaneDuration,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
}

/// A barrier at work: the group that gathers now.
#[derive(Debug)]
pub(super) struct BarrierState {
    group: Arc<watch::Sender<bool>>,
    waiting: u64,
    open: bool,
}

impl BarrierState {
    pub(super) fn new() -> Self {
        BarrierState { group: Arc::new(watch::Sender::new(false)), waiting: 0, open: false }
    }

    /// A call arrives; what it has to wait for, if anything.
    pub(super) fn arrive(&mut self, barrier: &Barrier) -> Option<BarrierWait> {
        // A timeout opens the group from outside; a barrier that does not repeat stays so.
        if !self.open && *self.group.borrow() {
            if barrier.repeat {
                *self = BarrierState::new();
            } else {
                self.open = true;
            }
        }
        if self.open {
            return None;
        }
        self.waiting += 1;
        let group = self.group.clone();
        if self.waiting < barrier.count {
            return Some(BarrierWait { group, timeout: barrier.timeout });
        }
        group.send_replace(true);
        if barrier.repeat {
            *self = BarrierState::new();
        } else {
            self.open = true;
        }
        None
    }
}

impl Drop for BarrierState {
    /// Faults that are taken away hold nobody.
    fn drop(&mut self) {
        self.group.send_replace(true);
    }
}

/// What a held call waits for.
#[derive(Debug)]
pub struct BarrierWait {
    group: Arc<watch::Sender<bool>>,
    timeout: HumaneDuration,
}

impl BarrierWait {
    /// Returns when the barrier opens, at the latest after its timeout.
    pub async fn opened(self, clock: &Clock) {
        let mut opened = self.group.subscribe();
        tokio::select! {
            _ = opened.wait_for(|open| *open) => {}
            () = clock.sleep(self.timeout.0) => {
                self.group.send_replace(true);
            }
        }
    }
}
