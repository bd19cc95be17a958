//! The suite's clock: real time with an offset, or virtual time that only moves when told to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::Timestamp;

/// A shared clock; clones show the same time.
///
/// A real clock runs with the system's and can be moved ahead of it; a virtual one stands still
/// until [`Clock::advance`]. Everything that waits in the suite waits here.
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Real: how far ahead of the system's clock. Virtual: the time itself, counted from the epoch.
    offset: watch::Sender<Duration>,
    is_virtual: bool,
}

impl Clock {
    /// A clock that runs with the system's.
    pub fn real() -> Self {
        Self::new(Duration::ZERO, false)
    }

    /// A clock that stands at `start` (not before the epoch) until it is advanced.
    pub fn virtual_at(start: Timestamp) -> Self {
        Self::new(start.since(Timestamp::EPOCH), true)
    }

    fn new(offset: Duration, is_virtual: bool) -> Self {
        Clock { shared: Arc::new(Shared { offset: watch::Sender::new(offset), is_virtual }) }
    }

    /// Whether time only moves by [`Clock::advance`].
    pub fn is_virtual(&self) -> bool {
        self.shared.is_virtual
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let offset = *self.shared.offset.borrow();
        if self.shared.is_virtual {
            Timestamp::EPOCH + offset
        } else {
            Timestamp::from_system_time(SystemTime::now()) + offset
        }
    }

    /// Moves the clock ahead and wakes whoever waits for a time that has now come.
    pub fn advance(&self, by: Duration) -> Timestamp {
        self.shared.offset.send_modify(|offset| *offset = offset.saturating_add(by));
        self.now()
    }

    /// Returns once the clock shows `deadline` or later. Cancel-safe.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        let mut moved = self.shared.offset.subscribe();
        loop {
            moved.borrow_and_update();
            let left = deadline.since(self.now());
            if left.is_zero() {
                return;
            }
            if self.shared.is_virtual {
                // The sender lives in `self`, so the channel cannot close while this waits.
                let _ = moved.changed().await;
            } else {
                // `sleep` may wake a little early by the system's clock; the loop looks again.
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    _ = moved.changed() => {}
                }
            }
        }
    }

    /// Returns after `by` on this clock. Cancel-safe.
    pub async fn sleep(&self, by: Duration) {
        self.sleep_until(self.now() + by).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_virtual_clock_moves_only_when_told() {
        let clock = Clock::virtual_at(Timestamp::from_micros(5));
        assert_eq!(clock.now(), Timestamp::from_micros(5));
        let waiting = {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep(Duration::from_secs(60)).await })
        };
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_secs(1));
        waiting.await.expect("the sleeper ends");
    }

    #[tokio::test]
    async fn advancing_a_real_clock_ends_a_long_sleep() {
        let clock = Clock::real();
        let waiting = {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep(Duration::from_secs(3600)).await })
        };
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3601));
        waiting.await.expect("the sleeper ends");
    }
}
