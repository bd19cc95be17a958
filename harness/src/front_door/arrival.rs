//! Lets messages in as a scenario's `arrival` says.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::scenario::Arrival;

/// A group that does not fill, because the service pushes fewer at a time, is let in all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct ArrivalGate {
    arrival: Arrival,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Messages that have not been let in yet.
    left: usize,
    waiting: usize,
    group: watch::Sender<bool>,
    /// A group has not filled in time: no further one is waited for.
    given_up: bool,
    next: Option<Instant>,
}

impl ArrivalGate {
    pub(super) fn new(arrival: Arrival, total: usize) -> ArrivalGate {
        let state = State { left: total, waiting: 0, group: watch::Sender::new(false), given_up: false, next: None };
        ArrivalGate { arrival, state: Mutex::new(state) }
    }

    /// Returns when the message may come in.
    pub(super) async fn wait(&self) {
        match self.arrival {
            Arrival::Burst(size) => {
                let Some(mut group) = self.join_group(size) else { return };
                if tokio::time::timeout(LONGEST_WAIT, group.wait_for(|open| *open)).await.is_err() {
                    self.give_up();
                }
            }
            Arrival::PerSecond(rate) => {
                let slot = self.next_slot(rate);
                tokio::time::sleep_until(slot).await;
            }
        }
    }

    /// Joins the group that gathers; `None` where that completes it.
    fn join_group(&self, size: usize) -> Option<watch::Receiver<bool>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        if state.given_up || state.waiting >= size.min(state.left) {
            state.open();
            return None;
        }
        Some(state.group.subscribe())
    }

    fn give_up(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.given_up = true;
        state.open();
    }

    fn next_slot(&self, rate: f64) -> Instant {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let slot = state.next.filter(|next| *next > now).unwrap_or(now);
        state.next = Some(slot + Duration::from_secs_f64(1.0 / rate));
        slot
    }
}

impl State {
    fn open(&mut self) {
        self.left = self.left.saturating_sub(self.waiting);
        self.waiting = 0;
        self.group.send_replace(true);
        self.group = watch::Sender::new(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn groups_come_in_together_and_the_last_may_be_smaller() {
        let gate = ArrivalGate::new(Arrival::Burst(2), 3);
        let first = gate.wait();
        tokio::pin!(first);
        assert!(futures::poll!(&mut first).is_pending());
        gate.wait().await;
        assert!(futures::poll!(&mut first).is_ready());
        gate.wait().await;
    }

    #[test]
    fn a_rate_spaces_them_evenly() {
        let gate = ArrivalGate::new(Arrival::PerSecond(10.0), 3);
        let slots: Vec<Instant> = (0..3).map(|_| gate.next_slot(10.0)).collect();
        assert_eq!(slots[2] - slots[1], Duration::from_millis(100));
        assert_eq!(slots[1] - slots[0], Duration::from_millis(100));
    }
}
