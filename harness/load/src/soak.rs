//! Many client connections that load Firestore, Pub/Sub and BigQuery at once, for a while: what fails,
//! how long calls take, and whether the service's memory stays where it is.
//!
//! Each connection is one client that calls again as soon as it is answered. What clients write is
//! bounded (they write the same documents and tables again, and take what they publish), so that a
//! service that grows grows by itself.

mod bigquery;
mod firestore;
mod pubsub;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::LoadError;
use crate::channels;
use crate::latencies::Latencies;
use crate::report::millis;

const PROJECT: &str = "load";
/// Memory of the last third may be so many times that of the middle one, and so much more. In the first
/// third what is bounded fills up: the journal, jobs, versions for time travel.
const GROWTH: f64 = 1.1;
const GROWTH_BYTES: f64 = 8e6;
/// An error that is told of in full.
const TOLD: usize = 160;

/// What to load, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// HOST:PORT of all services.
    pub endpoint: String,
    /// Half of them Firestore's, three tenths Pub/Sub's, the rest BigQuery's; at least three.
    pub connections: usize,
    pub time: Duration,
    /// The process to watch.
    pub pid: Option<u32>,
}

/// All calls of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    pub service: String,
    pub call: String,
    pub count: u64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// By their text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Soaked {
    pub endpoint: String,
    pub connections: usize,
    pub seconds: f64,
    pub calls: Vec<Calls>,
    /// Bytes that the kernel had resident for the service, second by second.
    pub resident: Vec<u64>,
}

/// What one client has seen, by service and call.
#[derive(Debug, Default)]
struct Seen(BTreeMap<(&'static str, &'static str), Tally>);

/// How long calls took, and what went wrong how often.
#[derive(Debug, Default)]
struct Tally {
    latencies: Latencies,
    errors: BTreeMap<String, u64>,
}

impl Seen {
    /// Notes the end of a call that began at `begun`, and hands its answer on.
    fn note<T>(
        &mut self,
        service: &'static str,
        call: &'static str,
        begun: Instant,
        answer: Result<T, String>,
    ) -> Option<T> {
        let tally = self.0.entry((service, call)).or_default();
        tally.latencies.record(begun.elapsed());
        match answer {
            Ok(answer) => Some(answer),
            Err(problem) => {
                let problem: String =
                    problem.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TOLD).collect();
                *tally.errors.entry(problem).or_default() += 1;
                None
            }
        }
    }

    fn add(&mut self, other: Seen) {
        for (key, theirs) in other.0 {
            let mine = self.0.entry(key).or_default();
            mine.latencies.add(&theirs.latencies);
            for (error, count) in theirs.errors {
                *mine.errors.entry(error).or_default() += count;
            }
        }
    }
}

/// Loads the services; `tell` hears how far it is, once a second.
pub async fn soak(plan: &Plan, mut tell: impl FnMut(Duration, Option<u64>)) -> Result<Soaked, LoadError> {
    let failed = |problem: String| LoadError::Service { endpoint: plan.endpoint.clone(), problem };
    let pubsub = (plan.connections * 3 / 10).max(1);
    let bigquery = (plan.connections / 5).max(1);
    let firestore = plan.connections.saturating_sub(pubsub + bigquery).max(1);
    let firestore = firestore::Clients::connect(&plan.endpoint, firestore).await?;
    let channels = channels::open(&plan.endpoint, pubsub).await?;
    let pubsub = pubsub::Clients::on(channels).await.map_err(failed)?;
    let bigquery = bigquery::Clients::connect(&plan.endpoint, bigquery).await.map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let begun = Instant::now();
    let mut tasks: JoinSet<Seen> = JoinSet::new();
    let connections = firestore.count() + pubsub.count() + bigquery.count();
    firestore.begin(&mut tasks, &stopped);
    pubsub.begin(&mut tasks, &stopped);
    bigquery.begin(&mut tasks, &stopped);
    let mut resident = Vec::new();
    let mut next = begun;
    while begun.elapsed() < plan.time {
        next += Duration::from_secs(1);
        tokio::time::sleep_until(next.min(begun + plan.time)).await;
        let now = plan.pid.and_then(resident_bytes);
        resident.extend(now);
        tell(begun.elapsed(), now);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let _ = stop.send(true);
    let mut all = Seen::default();
    while let Some(ended) = tasks.join_next().await {
        all.add(ended.map_err(|error| failed(error.to_string()))?);
    }
    let calls = all.0.into_iter().map(|((service, call), Tally { latencies, errors })| Calls {
        service: service.to_owned(),
        call: call.to_owned(),
        count: latencies.count(),
        per_second: latencies.count() as f64 / seconds,
        p50_ms: latencies.millis(0.5),
        p99_ms: latencies.millis(0.99),
        max_ms: latencies.millis(1.0),
        errors,
    });
    Ok(Soaked { endpoint: plan.endpoint.clone(), connections, seconds, calls: calls.collect(), resident })
}

/// What the kernel says the process has in memory.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
}

impl Soaked {
    pub fn errors(&self) -> u64 {
        self.calls.iter().flat_map(|calls| calls.errors.values()).sum()
    }

    /// Mean memory of the middle and of the last third, in bytes; `None` where it was not watched.
    pub fn memory(&self) -> Option<(f64, f64)> {
        let third = self.resident.len() / 3;
        let mean = |of: &[u64]| of.iter().map(|bytes| *bytes as f64).sum::<f64>() / of.len() as f64;
        let last = self.resident.len() - third;
        let (middle, last) = (self.resident.get(last - third..last)?, self.resident.get(last..)?);
        (third > 0).then(|| (mean(middle), mean(last)))
    }

    /// Whether memory stayed where it was, as far as it was watched.
    pub fn is_flat(&self) -> bool {
        self.memory().is_none_or(|(middle, last)| last <= middle * GROWTH + GROWTH_BYTES)
    }

    pub fn holds(&self) -> bool {
        self.errors() == 0 && self.is_flat()
    }

    /// The table, the errors, and what became of memory.
    pub fn table(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<10} {:<22} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
            "service", "call", "calls", "/s", "p50", "p99", "max", "errors"
        )];
        for calls in &self.calls {
            lines.push(format!(
                "{:<10} {:<22} {:>9} {:>9.0} {:>9} {:>9} {:>9} {:>7}",
                calls.service,
                calls.call,
                calls.count,
                calls.per_second,
                millis(calls.p50_ms),
                millis(calls.p99_ms),
                millis(calls.max_ms),
                calls.errors.values().sum::<u64>()
            ));
        }
        for calls in &self.calls {
            let errors = calls.errors.iter();
            lines.extend(errors.map(|(error, count)| format!("{} {}: {count} × {error}", calls.service, calls.call)));
        }
        lines.push(match self.memory() {
            Some((middle, last)) => format!(
                "memory: {:.1} MB in the middle third, {:.1} MB in the last ({:+.0}%): {}",
                middle / 1e6,
                last / 1e6,
                (last / middle - 1.0) * 100.0,
                if self.is_flat() { "flat" } else { "it grows" }
            ),
            None => "memory: not watched".to_owned(),
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soaked(resident: Vec<u64>) -> Soaked {
        Soaked { endpoint: "here".to_owned(), connections: 3, seconds: 1.0, calls: Vec::new(), resident }
    }

    #[test]
    fn memory_that_grows_is_not_flat() {
        let flat = soaked((0..60).map(|second| 100_000_000 + second * 100_000).collect());
        assert!(flat.is_flat() && flat.holds());
        let filled = soaked((0..60_u64).map(|second| second.min(19) * 10_000_000).collect());
        assert!(filled.is_flat() && filled.memory() == Some((190e6, 190e6)));
        let grows = soaked((0..60).map(|second| 100_000_000 + second * 2_000_000).collect());
        assert!(!grows.is_flat() && !grows.holds());
        assert_eq!(soaked(vec![1, 2]).memory(), None);
    }

    #[test]
    fn errors_are_counted_by_their_text() {
        let (mut one, mut other) = (Seen::default(), Seen::default());
        let now = Instant::now();
        assert_eq!(one.note("s", "c", now, Ok(1)), Some(1));
        assert_eq!(one.note::<()>("s", "c", now, Err("no\n way".to_owned())), None);
        assert_eq!(other.note::<()>("s", "c", now, Err("no way".to_owned())), None);
        one.add(other);
        let Tally { latencies, errors } = &one.0[&("s", "c")];
        assert_eq!((latencies.count(), errors.get("no way")), (3, Some(&2)));
    }
}
