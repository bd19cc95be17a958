//! Figures of completions that reach a pipeline's own endpoint through push.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arrival::Arrival;
use crate::latencies::{Latencies, Percentile};
use crate::report::millis;

/// One completion event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// From when it was meant to be published until its delivery was acknowledged; `None`: it never was.
    pub latency: Option<Duration>,
    /// How often it was pushed.
    pub deliveries: u64,
}

/// What came of so many workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub workers: usize,
    /// Events that were published, and whose delivery was acknowledged.
    pub published: usize,
    pub acknowledged: usize,
    pub deliveries: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub percentiles: Vec<Percentile>,
    /// From the first intended moment to the end of the batch, consolidation included.
    pub batch_ms: f64,
    /// As the harness judged the batch.
    pub verdict: String,
    /// The invariants that broke: what was lost or counted twice is among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
}

/// What `--json` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pushed {
    pub pipeline: String,
    pub arrival: Arrival,
    pub figures: Vec<Figures>,
}

impl Figures {
    pub fn of(workers: usize, events: &[Event], batch: Duration, verdict: &str, broken: Vec<String>) -> Figures {
        let mut latencies = Latencies::default();
        events.iter().filter_map(|event| event.latency).for_each(|latency| latencies.record(latency));
        Figures {
            workers,
            published: events.len(),
            acknowledged: usize::try_from(latencies.count()).unwrap_or(usize::MAX),
            deliveries: events.iter().map(|event| event.deliveries).sum(),
            p50_ms: latencies.millis(0.5),
            p90_ms: latencies.millis(0.9),
            p99_ms: latencies.millis(0.99),
            max_ms: latencies.millis(1.0),
            percentiles: latencies.percentiles(),
            batch_ms: batch.as_secs_f64() * 1e3,
            verdict: verdict.to_owned(),
            broken,
        }
    }

    /// Whether every event was acknowledged and no invariant broke.
    pub fn holds(&self) -> bool {
        self.broken.is_empty() && self.published == self.workers && self.acknowledged == self.published
    }
}

/// The head of [`line`]'s columns.
pub fn head() -> String {
    format!(
        "{:>7} {:>9} {:>12} {:>10} {:>9} {:>9} {:>9} {:>9}  verdict",
        "workers", "published", "acknowledged", "deliveries", "p50", "p99", "max", "batch"
    )
}

/// One line of the table.
pub fn line(figures: &Figures) -> String {
    format!(
        "{:>7} {:>9} {:>12} {:>10} {:>9} {:>9} {:>9} {:>9}  {}{}",
        figures.workers,
        figures.published,
        figures.acknowledged,
        figures.deliveries,
        millis(figures.p50_ms),
        millis(figures.p99_ms),
        millis(figures.max_ms),
        millis(figures.batch_ms),
        figures.verdict,
        if figures.broken.is_empty() { String::new() } else { format!(": {}", figures.broken.join(", ")) }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_never_acknowledged_does_not_hold() {
        let event = |latency| Event { latency, deliveries: 2 };
        let all = [event(Some(Duration::from_millis(2))), event(Some(Duration::from_millis(4)))];
        let figures = Figures::of(2, &all, Duration::from_millis(9), "holds", Vec::new());
        assert!(figures.holds() && figures.deliveries == 4, "{figures:?}");
        assert!(line(&figures).ends_with("9.0 ms  holds"), "{}", line(&figures));
        let one = Figures::of(2, &[all[0], event(None)], Duration::ZERO, "holds", Vec::new());
        assert!(!one.holds() && (one.published, one.acknowledged) == (2, 1));
        assert!(!Figures::of(2, &all, Duration::ZERO, "broken", vec!["no-acked-loss".to_owned()]).holds());
    }
}
