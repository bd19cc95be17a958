//! The simulation: workers, the way to the service and back, and the engine, in virtual time.
//!
//! A read is looked at by the engine when it arrives, and answered after the profile's read time. A
//! commit takes the profile's commit time and is then carried out; its transaction keeps its locks
//! until then, and plain commits to one document take turns. Who waits for whom, who is aborted and
//! when a wait has been too long is decided by the engine, by production's rules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use scrimmage_core::{Rng, Timestamp};
use scrimmage_firestore::engine::token::TransactionId;
use scrimmage_firestore::engine::write::Write;
use scrimmage_firestore::engine::{Command, Consistency, Engine, Outcome, Reply, TransactionOptions, Waiter};
use scrimmage_firestore::error::Error;
use scrimmage_firestore::limits::PLAIN_COMMIT_WAIT;
use scrimmage_firestore::path::{DatabaseName, DocumentName};
use scrimmage_firestore::value::Value;
use serde::{Deserialize, Serialize};

use crate::arrival::Arrival;
use crate::latencies::{Latencies, Percentile};
use crate::profile::Profile;
use crate::strategy::{self, PREDICTIONS, Strategy};

const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// What came of so many workers with one strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub strategy: Strategy,
    pub workers: usize,
    /// Completions that were to be counted.
    pub asked: usize,
    pub acknowledged: usize,
    /// Given up after the strategy's attempts, or because of an error that is no contention.
    pub failed: usize,
    /// Of those that failed: still on their way when the time for the run was over. In real time only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: usize,
    /// Errors that were no contention, by code. In real time only: in the simulation there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    pub attempts: u64,
    /// Attempts that were aborted.
    pub aborted: u64,
    /// Requests that waited for a lock, and how long together; a client over a socket cannot know.
    pub lock_waits: Option<u64>,
    pub lock_wait_ms: Option<f64>,
    /// Acknowledged and not in the batch at the end.
    pub lost: usize,
    /// Counted more often than once.
    pub doubled: usize,
    /// From the first intended start to the last answer.
    pub elapsed_ms: f64,
    pub throughput_per_second: f64,
    /// Of acknowledged completions, from the intended start.
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// The histogram's course, from the fastest to the slowest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percentiles: Vec<Percentile>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Figures {
    /// The share of attempts that were aborted.
    pub fn abort_rate(&self) -> f64 {
        if self.attempts == 0 { 0.0 } else { self.aborted as f64 / self.attempts as f64 }
    }
}

/// What became of acknowledged completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counted {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
}

impl Counted {
    /// Compares what was acknowledged with who is on record and with the total of predictions.
    pub(crate) fn of(acknowledged: &BTreeSet<String>, recorded: &[String], total: i64) -> Counted {
        let distinct: BTreeSet<&str> = recorded.iter().map(String::as_str).collect();
        let lost = acknowledged.iter().filter(|name| !distinct.contains(name.as_str())).count();
        let counted = usize::try_from(total / PREDICTIONS).unwrap_or(0);
        // A total that lacks a completion that is on record has lost it all the same.
        let uncounted = distinct.len().saturating_sub(counted).min(acknowledged.len());
        let doubled = (recorded.len() - distinct.len()).max(counted.saturating_sub(distinct.len()));
        Counted { lost: lost.max(uncounted), doubled }
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// A worker means to begin its next completion.
    Begin(usize),
    /// Another attempt.
    Attempt(usize),
    ReadArrives(usize),
    ReadAnswered(usize, Vec<Value>),
    CommitArrives(usize),
    CommitDone(usize),
    Committed(usize),
    Refused(usize),
    GaveWay(usize),
}

#[derive(Clone, Debug, Default)]
struct Worker {
    /// Completions begun.
    begun: usize,
    /// When the present one was meant to begin.
    intended: Timestamp,
    attempt: u32,
    transaction: Option<TransactionId>,
    earlier: Option<TransactionId>,
    writes: Vec<Write>,
    waiting: Option<(Waiter, Timestamp)>,
}

struct Simulation<'a> {
    strategy: Strategy,
    profile: &'a Profile,
    each: usize,
    engine: Engine,
    database: DatabaseName,
    rng: Rng,
    now: Timestamp,
    events: BinaryHeap<Reverse<(Timestamp, u64)>>,
    planned: HashMap<u64, Event>,
    sequence: u64,
    workers: Vec<Worker>,
    waiters: HashMap<Waiter, usize>,
    /// When a document's last commit in line is done.
    turns: HashMap<DocumentName, Timestamp>,
    latencies: Latencies,
    acknowledged: BTreeSet<String>,
    failed: usize,
    attempts: u64,
    aborted: u64,
    lock_waits: u64,
    lock_wait: Duration,
    last: Timestamp,
}

/// Plays `workers` workers. The same arguments give the same figures.
pub fn simulate(
    strategy: Strategy,
    workers: usize,
    arrival: &Arrival,
    profile: &Profile,
    seed: u64,
) -> Result<Figures, Error> {
    let mut simulation = Simulation {
        strategy,
        profile,
        each: arrival.each(),
        engine: Engine::new(),
        database: DatabaseName::parse("projects/load/databases/(default)")?,
        rng: Rng::stream(seed, strategy.name()),
        now: START,
        events: BinaryHeap::new(),
        planned: HashMap::new(),
        sequence: 0,
        workers: vec![Worker::default(); workers],
        waiters: HashMap::new(),
        turns: HashMap::new(),
        latencies: Latencies::default(),
        acknowledged: BTreeSet::new(),
        failed: 0,
        attempts: 0,
        aborted: 0,
        lock_waits: 0,
        lock_wait: Duration::ZERO,
        last: START,
    };
    let starts = arrival.starts(workers);
    for (who, start) in starts.into_iter().enumerate() {
        simulation.plan(START + start, Event::Begin(who));
    }
    simulation.run()?;
    simulation.figures()
}

impl Simulation<'_> {
    fn plan(&mut self, at: Timestamp, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence)));
        self.planned.insert(self.sequence, event);
    }

    fn way(&mut self) -> Duration {
        self.profile.network.draw(&mut self.rng)
    }

    fn run(&mut self) -> Result<(), Error> {
        loop {
            let next = self.events.peek().map(|Reverse((at, _))| *at);
            // Timers of the engine matter only while somebody waits.
            let due = if self.waiters.is_empty() { None } else { self.engine.due() };
            match (next, due) {
                (next, Some(due)) if next.is_none_or(|next| due < next) => {
                    self.now = self.now.max(due);
                    self.engine.tick(self.now);
                }
                (Some(_), _) => {
                    let Some(Reverse((at, number))) = self.events.pop() else { return Ok(()) };
                    self.now = self.now.max(at);
                    if let Some(event) = self.planned.remove(&number) {
                        self.happen(event)?;
                    }
                }
                (None, _) => return Ok(()),
            }
            self.resolve()?;
        }
    }

    fn name(&self, who: usize) -> String {
        let begun = self.workers.get(who).map_or(0, |worker| worker.begun);
        if self.each == 1 { format!("player-{who}") } else { format!("player-{who}-{begun}") }
    }

    fn happen(&mut self, event: Event) -> Result<(), Error> {
        let now = self.now;
        match event {
            Event::Begin(who) => {
                if let Some(worker) = self.workers.get_mut(who) {
                    *worker = Worker { begun: worker.begun + 1, intended: now, ..Worker::default() };
                }
                if self.profile.whole_way {
                    let way = self.profile.draw_way(&mut self.rng);
                    self.plan(now + way, Event::Attempt(who));
                    return Ok(());
                }
                self.happen(Event::Attempt(who))
            }
            Event::Attempt(who) => {
                self.attempts += 1;
                if let Some(worker) = self.workers.get_mut(who) {
                    worker.attempt += 1;
                }
                let way = self.way();
                if self.strategy.reads() {
                    self.plan(now + way, Event::ReadArrives(who));
                } else {
                    let name = self.name(who);
                    let writes = self.strategy.writes(&name, who, &[])?;
                    if let Some(worker) = self.workers.get_mut(who) {
                        worker.writes = writes;
                    }
                    self.plan(now + way, Event::CommitArrives(who));
                }
                Ok(())
            }
            Event::ReadArrives(who) => {
                let retry = self.workers.get(who).and_then(|worker| worker.earlier);
                let options = TransactionOptions::Pessimistic { retry };
                let command = Command::Get { names: vec![strategy::batch()?], consistency: Consistency::New(options) };
                self.ask(who, command)
            }
            Event::ReadAnswered(who, completed) => {
                let name = self.name(who);
                let writes = self.strategy.writes(&name, who, &completed)?;
                if let Some(worker) = self.workers.get_mut(who) {
                    worker.writes = writes;
                }
                let way = self.way();
                self.plan(now + way, Event::CommitArrives(who));
                Ok(())
            }
            Event::CommitArrives(who) => {
                let takes = self.profile.commit.draw(&mut self.rng);
                let Some(worker) = self.workers.get(who) else { return Ok(()) };
                if worker.transaction.is_some() {
                    self.plan(now + takes, Event::CommitDone(who));
                    return Ok(());
                }
                let names: Vec<DocumentName> = worker.writes.iter().map(|write| write.name.clone()).collect();
                let turn = names.iter().filter_map(|name| self.turns.get(name)).max().copied().unwrap_or(now).max(now);
                if turn.since(now) > PLAIN_COMMIT_WAIT {
                    self.plan(now + PLAIN_COMMIT_WAIT, Event::GaveWay(who));
                    return Ok(());
                }
                if turn > now {
                    self.lock_waits += 1;
                    self.lock_wait += turn.since(now);
                }
                for name in names {
                    self.turns.insert(name, turn + takes);
                }
                self.plan(turn + takes, Event::CommitDone(who));
                Ok(())
            }
            Event::CommitDone(who) => {
                let Some(worker) = self.workers.get_mut(who) else { return Ok(()) };
                let (transaction, writes) = (worker.transaction, worker.writes.clone());
                self.ask(who, Command::Commit { transaction, writes })
            }
            Event::GaveWay(who) => self.refuse(who),
            Event::Committed(who) => {
                let name = self.name(who);
                let Some(worker) = self.workers.get(who) else { return Ok(()) };
                let (begun, took) = (worker.begun, now.since(worker.intended));
                self.latencies.record(took);
                self.acknowledged.insert(name);
                self.finished(who, begun);
                Ok(())
            }
            Event::Refused(who) => {
                let Some(worker) = self.workers.get_mut(who) else { return Ok(()) };
                worker.transaction = None;
                let (attempt, begun) = (worker.attempt, worker.begun);
                if attempt >= self.strategy.attempts() {
                    self.failed += 1;
                    self.finished(who, begun);
                    return Ok(());
                }
                let pause = self.strategy.pause(attempt, &mut self.rng);
                self.plan(now + pause, Event::Attempt(who));
                Ok(())
            }
        }
    }

    fn finished(&mut self, who: usize, begun: usize) {
        self.last = self.last.max(self.now);
        if begun < self.each {
            self.plan(self.now, Event::Begin(who));
        }
    }

    fn ask(&mut self, who: usize, command: Command) -> Result<(), Error> {
        match self.engine.apply(self.now, &self.database, command) {
            Ok(Reply::Now(outcome)) => self.answer(who, Ok(outcome)),
            Ok(Reply::Later(waiter)) => {
                self.lock_waits += 1;
                self.waiters.insert(waiter, who);
                if let Some(worker) = self.workers.get_mut(who) {
                    worker.waiting = Some((waiter, self.now));
                }
                Ok(())
            }
            Err(error) => self.answer(who, Err(error)),
        }
    }

    fn resolve(&mut self) -> Result<(), Error> {
        loop {
            let resolved = self.engine.take_resolved();
            if resolved.is_empty() {
                return Ok(());
            }
            for (waiter, answer) in resolved {
                let Some(who) = self.waiters.remove(&waiter) else { continue };
                if let Some((_, since)) = self.workers.get_mut(who).and_then(|worker| worker.waiting.take()) {
                    self.lock_wait += self.now.since(since);
                }
                self.answer(who, answer)?;
            }
        }
    }

    /// The service's answer goes its way back.
    fn answer(&mut self, who: usize, answer: Result<Outcome, Error>) -> Result<(), Error> {
        let way = self.way();
        match answer {
            Ok(Outcome::Documents(read)) => {
                let completed = read
                    .what
                    .first()
                    .and_then(|(_, document)| document.as_ref())
                    .and_then(|document| match document.fields.get("completed_players") {
                        Some(Value::Array(players)) => Some(players.to_vec()),
                        _ => None,
                    })
                    .unwrap_or_default();
                if let Some(worker) = self.workers.get_mut(who) {
                    worker.transaction = read.begun;
                    worker.earlier = read.begun;
                }
                let takes = self.profile.read.draw(&mut self.rng);
                self.plan(self.now + takes + way, Event::ReadAnswered(who, completed));
                Ok(())
            }
            Ok(_) => {
                self.plan(self.now + way, Event::Committed(who));
                Ok(())
            }
            Err(
                Error::Contention | Error::TooMuchContention | Error::TransactionExpired | Error::InvalidTransaction,
            ) => self.refuse(who),
            Err(other) => Err(other),
        }
    }

    fn refuse(&mut self, who: usize) -> Result<(), Error> {
        self.aborted += 1;
        let way = self.way();
        self.plan(self.now + way, Event::Refused(who));
        Ok(())
    }

    fn figures(self) -> Result<Figures, Error> {
        let documents: BTreeMap<String, _> = self
            .engine
            .documents(&self.database)
            .into_iter()
            .map(|found| (found.name.path().to_owned(), found))
            .collect();
        let number = |path: &str| match documents.get(path).and_then(|found| found.fields.get("total_predictions")) {
            Some(Value::Int(number)) => *number,
            _ => 0,
        };
        let batch = strategy::batch()?.path().to_owned();
        let mut recorded: Vec<String> = Vec::new();
        let mut total = number(&batch);
        match self.strategy {
            Strategy::Transaction | Strategy::TransactionWithBackoff | Strategy::AtomicUpdate => {
                if let Some(Value::Array(players)) =
                    documents.get(&batch).and_then(|found| found.fields.get("completed_players"))
                {
                    recorded.extend(players.iter().filter_map(|player| match player {
                        Value::String(player) => Some(player.to_string()),
                        _ => None,
                    }));
                }
            }
            Strategy::Subcollection | Strategy::ShardedCounter => {
                let below = format!("{batch}/completions/");
                recorded.extend(documents.keys().filter_map(|path| path.strip_prefix(&below)).map(str::to_owned));
                for shard in 0..strategy::SHARDS {
                    total += number(strategy::shard(shard)?.path());
                }
            }
        }
        let Counted { lost, doubled } = Counted::of(&self.acknowledged, &recorded, total);
        let elapsed = self.last.since(START);
        let acknowledged = self.acknowledged.len();
        let seconds = elapsed.as_secs_f64();
        Ok(Figures {
            strategy: self.strategy,
            workers: self.workers.len(),
            asked: self.workers.len() * self.each,
            acknowledged,
            failed: self.failed,
            late: 0,
            errors: BTreeMap::new(),
            attempts: self.attempts,
            aborted: self.aborted,
            lock_waits: Some(self.lock_waits),
            lock_wait_ms: Some(self.lock_wait.as_secs_f64() * 1e3),
            lost,
            doubled,
            elapsed_ms: seconds * 1e3,
            throughput_per_second: if seconds > 0.0 { acknowledged as f64 / seconds } else { 0.0 },
            p50_ms: self.latencies.millis(0.5),
            p90_ms: self.latencies.millis(0.9),
            p99_ms: self.latencies.millis(0.99),
            max_ms: self.latencies.millis(1.0),
            percentiles: self.latencies.percentiles(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::{ALL, Strategy};
    use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

    fn play(strategy: Strategy, workers: usize) -> Figures {
        simulate(strategy, workers, &Arrival::Burst, &Profile::regional(), 1).unwrap()
    }

    #[test]
    fn one_worker_takes_what_the_profile_says() {
        let figures = play(Strategy::AtomicUpdate, 1);
        assert_eq!((figures.acknowledged, figures.aborted, figures.attempts), (1, 0, 1));
        assert!((6.0..120.0).contains(&figures.p50_ms), "{figures:?}");
    }

    #[test]
    fn safe_strategies_count_every_completion_once() {
        for strategy in ALL.into_iter().filter(|strategy| strategy.is_safe()) {
            let figures = play(strategy, 120);
            assert_eq!(
                (figures.acknowledged, figures.failed, figures.lost, figures.doubled),
                (120, 0, 0, 0),
                "{figures:?}"
            );
        }
    }

    #[test]
    fn five_attempts_are_not_enough_for_many() {
        let few = play(Strategy::Transaction, 2);
        assert_eq!((few.acknowledged, few.lost), (2, 0));
        let many = play(Strategy::Transaction, 120);
        assert!(many.failed > 60, "{many:?}");
        assert_eq!((many.acknowledged + many.failed, many.lost, many.doubled), (120, 0, 0));
    }

    #[test]
    fn the_same_seed_gives_the_same_figures() {
        assert_eq!(play(Strategy::TransactionWithBackoff, 30), play(Strategy::TransactionWithBackoff, 30));
    }

    #[test]
    fn latency_counts_from_the_intended_start() {
        // A thousand a second is more than one document takes: the queue grows, and so do latencies.
        let figures = simulate(Strategy::AtomicUpdate, 300, &Arrival::Rate(1000.0), &Profile::regional(), 1).unwrap();
        assert!(figures.max_ms > 1_000.0, "{figures:?}");
    }

    #[test]
    fn the_way_before_a_completion_spreads_what_begins_at_once() {
        let whole = Profile::regional().with_whole_way().unwrap();
        let spread = simulate(Strategy::Transaction, 40, &Arrival::Burst, &whole, 1).unwrap();
        let burst = play(Strategy::Transaction, 40);
        assert!(spread.p50_ms > 2_000.0 && burst.p50_ms < 2_000.0, "{spread:?}");
        assert!(spread.aborted * 2 < burst.aborted && spread.failed < burst.failed, "{spread:?} {burst:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_acknowledged_is_lost_and_nothing_counted_twice(
            strategy in prop::sample::select(ALL.to_vec()),
            workers in 1..60_usize,
            each in 1..4_usize,
            seed in any::<u64>(),
        ) {
            let figures = simulate(strategy, workers, &Arrival::Loop(each), &Profile::multi_regional(), seed).unwrap();
            prop_assert_eq!((figures.lost, figures.doubled), (0, 0));
            prop_assert_eq!(figures.acknowledged + figures.failed, workers * each);
        }
    }
}
