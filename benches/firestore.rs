//! Firestore's engine alone: commits, contended commits, queries, listeners. No socket, no service.

#![allow(clippy::expect_used, reason = "a bench may")]

use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use scrimmage_core::Timestamp;
use scrimmage_firestore::engine::listen::{TargetKind, TargetSpec};
use scrimmage_firestore::engine::query::aggregate::{Aggregation, Aggregator};
use scrimmage_firestore::engine::query::{Direction, Order, Query, Scope, Target};
use scrimmage_firestore::engine::transform::{Kind, Transform};
use scrimmage_firestore::engine::write::{Operation, Write};
use scrimmage_firestore::engine::{Command, Consistency, Engine, Outcome, Reply, TransactionOptions};
use scrimmage_firestore::path::{DatabaseName, DocumentName, FieldPath};
use scrimmage_firestore::value::{Fields, Value};

const DOCUMENTS: usize = 10_000;
const STEP: Duration = Duration::from_millis(1);

/// An engine with one database, and the time it is.
struct Bench {
    engine: Engine,
    database: DatabaseName,
    now: Timestamp,
}

impl Bench {
    /// With 10,000 documents in `scores`.
    fn full() -> Bench {
        let database = DatabaseName::parse("projects/p/databases/(default)").expect("a name");
        let mut bench = Bench { engine: Engine::new(), database, now: Timestamp::from_micros(1) };
        for number in 0..DOCUMENTS {
            bench.commit(vec![set(number, (number * 7_919 % 100_003) as i64)]);
        }
        bench
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.now = Timestamp::from_micros(self.now.as_micros() + STEP.as_micros() as i64);
        self.engine.tick(self.now);
        self.engine.apply(self.now, &self.database, command).expect("it is accepted")
    }

    fn commit(&mut self, writes: Vec<Write>) -> Reply {
        self.apply(Command::Commit { transaction: None, writes })
    }

    /// Eight transactions that read one document and all want to change it: one may.
    fn contend(&mut self) {
        let name = name(0);
        let begun: Vec<_> = (0..8)
            .map(|_| match self.apply(Command::Begin(TransactionOptions::Pessimistic { retry: None })) {
                Reply::Now(Outcome::Begun(id)) => id,
                other => unreachable!("{other:?}"),
            })
            .collect();
        for id in &begun {
            self.apply(Command::Get { names: vec![name.clone()], consistency: Consistency::In(*id) });
        }
        for id in begun {
            // The losers are refused, at once or when they are resolved.
            let commit = Command::Commit { transaction: Some(id), writes: vec![set(0, 1)] };
            let _ = self.engine.apply(self.now, &self.database, commit);
        }
        assert!(!self.engine.take_resolved().is_empty());
    }
}

fn name(number: usize) -> DocumentName {
    DocumentName::parse_relative(&format!("scores/d{number:05}")).expect("a name")
}

fn set(number: usize, score: i64) -> Write {
    let fields = [
        ("score", Value::Int(score)),
        ("player", Value::String(Arc::from(format!("player-{number}")))),
        ("team", Value::String(Arc::from(format!("team-{}", number % 30)))),
        ("active", Value::Bool(number.is_multiple_of(2))),
    ];
    let fields: Fields = fields.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    Write { name: name(number), operation: Operation::Set(fields), transforms: Vec::new(), precondition: None }
}

fn increment(number: usize) -> Write {
    let operation = Operation::Merge { mask: Vec::new(), fields: Fields::new() };
    let transform = Transform { path: FieldPath::single("score"), kind: Kind::Increment(Value::Int(1)) };
    Write { name: name(number), operation, transforms: vec![transform], precondition: None }
}

fn query(limit: Option<usize>) -> Arc<Query> {
    let order = |target| Order { target, direction: Direction::Descending };
    Arc::new(Query {
        scope: Scope { parent: Arc::from(""), collection_id: Some(Arc::from("scores")), all_descendants: false },
        filter: None,
        order: vec![order(Target::Field(FieldPath::single("score"))), order(Target::Name)],
        start: None,
        end: None,
        offset: 0,
        limit,
        select: None,
        nearest: None,
    })
}

fn commits(c: &mut Criterion) {
    let mut bench = Bench::full();
    let mut number = 0;
    c.bench_function("commit: set one document of 10,000", |b| {
        b.iter(|| {
            number = (number + 1) % DOCUMENTS;
            bench.commit(vec![set(number, number as i64)])
        });
    });
    c.bench_function("commit: increment one field", |b| b.iter(|| bench.commit(vec![increment(1)])));
    let mut group = c.benchmark_group("contended commit");
    group.throughput(Throughput::Elements(8));
    group.bench_function("eight transactions on one document", |b| b.iter(|| bench.contend()));
    group.finish();
}

fn queries(c: &mut Criterion) {
    let mut bench = Bench::full();
    c.bench_function("query: order by and limit 20 over 10,000", |b| {
        b.iter(|| bench.apply(Command::Query { query: query(Some(20)), consistency: Consistency::Strong }));
    });
    c.bench_function("query: count of 10,000", |b| {
        b.iter(|| {
            let count = Aggregation { alias: "n".to_owned(), operator: Aggregator::Count { up_to: None } };
            bench.apply(Command::Aggregate {
                query: query(None),
                aggregations: vec![count],
                consistency: Consistency::Strong,
            })
        });
    });
}

/// One commit, told to two hundred streams that listen to a query of 10,000 documents each.
fn listeners(c: &mut Criterion) {
    const STREAMS: usize = 200;
    let mut group = c.benchmark_group("listen");
    group.throughput(Throughput::Elements(STREAMS as u64));
    group.sample_size(20);
    group.bench_function("fan-out of one commit to 200 streams", |b| {
        let listening = || {
            let mut bench = Bench::full();
            for target in 0..STREAMS {
                let stream = bench.engine.open_stream(&bench.database);
                let kind = TargetKind::Query(query(Some(20)));
                let spec = TargetSpec { kind, resume: None, once: false, expected_count: None };
                bench.engine.add_target(bench.now, stream, target as i32 + 1, spec);
            }
            bench.engine.take_events();
            bench
        };
        b.iter_batched_ref(
            listening,
            |bench| {
                bench.commit(vec![set(5, 1_000_000)]);
                assert!(bench.engine.take_events().len() >= STREAMS);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, commits, queries, listeners);
criterion_main!(benches);
