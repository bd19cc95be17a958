//! Real time: workers that complete against a service over sockets, through the generated gRPC client.
//!
//! The strategies are the simulation's, step by step. Latency counts from the intended start also where a
//! worker comes to it late (tokio's timers alone are up to a millisecond late). What was acknowledged is
//! compared with what is stored afterwards.

mod client;
pub mod publish;
mod small;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Rng;
use scrimmage_protos::google::firestore::v1 as proto;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Status};

pub use client::Connections;

use crate::LoadError;
use crate::arrival::Arrival;
use crate::latencies::Latencies;
use crate::simulate::{Counted, Figures};
use crate::strategy::Strategy;
use crate::sweep::{Measured, Sweep};
use client::Documents;

/// From the moment when all workers are there to the first intended start.
const LEAD: Duration = Duration::from_millis(20);
/// An error that is told of in full.
const TOLD: usize = 200;

/// Where to measure, and how.
#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    /// HOST:PORT of a Firestore.
    pub endpoint: String,
    /// Connections at most; workers share them in turn.
    pub connections: usize,
    /// How long one number of workers may take. Who has not completed by then has failed.
    pub within: Duration,
}

/// Measures each strategy with each number of workers; `progress` hears of each.
pub async fn sweep(
    target: &Target,
    strategies: &[Strategy],
    counts: &[usize],
    arrival: &Arrival,
    seed: u64,
    mut progress: impl FnMut(&Figures),
) -> Result<Sweep, LoadError> {
    let most = counts.iter().copied().max().unwrap_or(1);
    let connections = Connections::open(&target.endpoint, target.connections.clamp(1, most.max(1))).await?;
    // The way is walked once before it counts.
    measure(&connections, Strategy::AtomicUpdate, 1, &Arrival::Loop(5), seed, target.within).await?;
    let mut figures = Vec::new();
    for strategy in strategies {
        for workers in counts {
            let one = measure(&connections, *strategy, *workers, arrival, seed, target.within).await?;
            progress(&one);
            figures.push(one);
        }
    }
    let measured = Measured {
        endpoint: target.endpoint.clone(),
        connections: connections.count(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        within_s: target.within.as_secs_f64(),
    };
    let source = format!(
        "measured at {} over {} connections; clients and, where it is local, the service share {} cores",
        measured.endpoint, measured.connections, measured.cores
    );
    Ok(Sweep {
        profile: "none".to_owned(),
        source,
        arrival: arrival.clone(),
        whole_way: false,
        seed,
        measured: Some(measured),
        figures,
    })
}

/// What the workers of one run have in common.
struct Job {
    strategy: Strategy,
    each: usize,
    documents: Documents,
    begin: Instant,
    deadline: Instant,
}

/// What one worker has seen, or all of them.
#[derive(Default)]
struct Tally {
    latencies: Latencies,
    acknowledged: BTreeSet<String>,
    failed: usize,
    late: usize,
    attempts: u64,
    aborted: u64,
    errors: BTreeMap<String, u64>,
    /// When the last answer came.
    last: Option<Instant>,
}

/// One strategy with one number of workers, against a batch of its own.
pub async fn measure(
    connections: &Connections,
    strategy: Strategy,
    workers: usize,
    arrival: &Arrival,
    seed: u64,
    within: Duration,
) -> Result<Figures, LoadError> {
    let documents = connections.documents();
    let begin = Instant::now() + LEAD;
    let job = Arc::new(Job { strategy, each: arrival.each(), documents, begin, deadline: begin + within });
    let mut tasks = JoinSet::new();
    for (who, start) in arrival.starts(workers).into_iter().enumerate() {
        let (job, connections) = (Arc::clone(&job), connections.clone());
        let rng = Rng::stream(seed, &format!("{}/{who}", strategy.name()));
        tasks.spawn(async move { job.work(&connections, who, start, rng).await });
    }
    let mut all = Tally::default();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(tally) => all.take(tally),
            Err(error) => return Err(connections.failed(error)),
        }
    }
    let (recorded, total) = job.stored(connections).await.map_err(|status| connections.failed(told(&status)))?;
    Ok(all.figures(&job, workers, Counted::of(&all.acknowledged, &recorded, total)))
}

/// A status for people, cut to a line.
fn told(status: &Status) -> String {
    let text: String = status.message().split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{:?}: {}", status.code(), text.chars().take(TOLD).collect::<String>())
}

impl Job {
    fn name(&self, who: usize, begun: usize) -> String {
        if self.each == 1 { format!("player-{who}") } else { format!("player-{who}-{begun}") }
    }

    async fn work(&self, connections: &Connections, who: usize, start: Duration, mut rng: Rng) -> Tally {
        let mut tally = Tally::default();
        for begun in 1..=self.each {
            let intended = if begun == 1 { self.begin + start } else { Instant::now() };
            let name = self.name(who, begun);
            let completing = async {
                sleep_until(intended).await;
                self.complete(connections, who, &name, &mut tally, &mut rng).await
            };
            // A start after the end is not waited for.
            let until = if intended < self.deadline { self.deadline } else { Instant::now() };
            let completed = timeout_at(until, completing).await;
            let now = Instant::now();
            match completed {
                Ok(true) => {
                    tally.latencies.record(now.saturating_duration_since(intended));
                    tally.acknowledged.insert(name);
                }
                Ok(false) => tally.failed += 1,
                Err(_) => {
                    let left = self.each - begun + 1;
                    tally.failed += left;
                    tally.late += left;
                    tally.last = Some(now);
                    return tally;
                }
            }
            tally.last = Some(now);
        }
        tally
    }

    /// Whether the completion was acknowledged.
    async fn complete(
        &self,
        connections: &Connections,
        who: usize,
        name: &str,
        tally: &mut Tally,
        rng: &mut Rng,
    ) -> bool {
        let mut earlier = None;
        for attempt in 1..=self.strategy.attempts() {
            tally.attempts += 1;
            match self.attempt(connections, who, name, &mut earlier).await {
                Ok(()) => return true,
                Err(status) if status.code() == Code::Aborted => tally.aborted += 1,
                // Whether it was counted is not known: another attempt might count it twice.
                Err(status) => {
                    *tally.errors.entry(told(&status)).or_default() += 1;
                    return false;
                }
            }
            tokio::time::sleep(self.strategy.pause(attempt, rng)).await;
        }
        false
    }

    async fn attempt(
        &self,
        connections: &Connections,
        who: usize,
        name: &str,
        earlier: &mut Option<client::Transaction>,
    ) -> Result<(), Status> {
        if !self.strategy.reads() {
            return connections.commit(who, self.documents.counting(self.strategy, who, name), None).await;
        }
        let (transaction, mut players) = connections.begin_with(who, &self.documents.batch(), earlier.as_ref()).await?;
        *earlier = Some(transaction.clone());
        players.push(name.to_owned());
        connections.commit(who, vec![self.documents.whole(&players)], Some(transaction)).await
    }

    /// Who is on record, and the total. Read again while it changes: what was given up by the worker may
    /// still be under way in the service.
    async fn stored(&self, connections: &Connections) -> Result<(Vec<String>, i64), Status> {
        const LOOKS: usize = 10;
        let mut before = stored::look(connections, &self.documents, self.strategy).await?;
        for _ in 1..LOOKS {
            let now = stored::look(connections, &self.documents, self.strategy).await?;
            if now == before {
                break;
            }
            before = now;
        }
        Ok(before)
    }
}

impl Tally {
    fn take(&mut self, other: Tally) {
        self.latencies.add(&other.latencies);
        self.acknowledged.extend(other.acknowledged);
        self.failed += other.failed;
        self.late += other.late;
        self.attempts += other.attempts;
        self.aborted += other.aborted;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        self.last = self.last.max(other.last);
    }

    fn figures(&self, job: &Job, workers: usize, counted: Counted) -> Figures {
        let elapsed = self.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(job.begin));
        let seconds = elapsed.as_secs_f64();
        let acknowledged = self.acknowledged.len();
        Figures {
            strategy: job.strategy,
            workers,
            asked: workers * job.each,
            acknowledged,
            failed: self.failed,
            late: self.late,
            errors: self.errors.clone(),
            attempts: self.attempts,
            aborted: self.aborted,
            lock_waits: None,
            lock_wait_ms: None,
            lost: counted.lost,
            doubled: counted.doubled,
            elapsed_ms: seconds * 1e3,
            throughput_per_second: if seconds > 0.0 { acknowledged as f64 / seconds } else { 0.0 },
            p50_ms: self.latencies.millis(0.5),
            p90_ms: self.latencies.millis(0.9),
            p99_ms: self.latencies.millis(0.99),
            max_ms: self.latencies.millis(1.0),
            percentiles: self.latencies.percentiles(),
        }
    }
}

/// A string as Firestore has it.
fn text(text: &str) -> proto::Value {
    proto::Value { value_type: Some(proto::value::ValueType::StringValue(text.to_owned())) }
}
