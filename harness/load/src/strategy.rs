//! The ways to count a completion, each as the steps that a worker takes.

use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Rng;
use scrimmage_firestore::engine::transform::{Kind, Transform};
use scrimmage_firestore::engine::write::{Operation, Precondition, Write};
use scrimmage_firestore::error::Error;
use scrimmage_firestore::path::{DocumentName, FieldPath};
use scrimmage_firestore::value::{Fields, Value};
use serde::{Deserialize, Serialize};

/// Predictions that each completion adds.
pub const PREDICTIONS: i64 = 25;
/// Documents that a sharded counter is spread over.
pub const SHARDS: usize = 10;

/// The first pause before another attempt, doubled each time up to the longest, with full jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Reads the batch, adds to it, writes it; five attempts as the Python client has them.
    Transaction,
    /// The same with exponential pauses between attempts, and as many as it takes.
    TransactionWithBackoff,
    /// One write: ArrayUnion and Increment on the batch.
    AtomicUpdate,
    /// A document of its own for each completion, and Increment on the batch, in one commit.
    Subcollection,
    /// A document of its own for each completion, and Increment on one of ten counters.
    ShardedCounter,
}

pub const ALL: [Strategy; 5] = [
    Strategy::Transaction,
    Strategy::TransactionWithBackoff,
    Strategy::AtomicUpdate,
    Strategy::Subcollection,
    Strategy::ShardedCounter,
];

impl Strategy {
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Transaction => "transaction",
            Strategy::TransactionWithBackoff => "transaction-with-backoff",
            Strategy::AtomicUpdate => "atomic-update",
            Strategy::Subcollection => "subcollection",
            Strategy::ShardedCounter => "sharded-counter",
        }
    }

    pub fn find(name: &str) -> Option<Strategy> {
        ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether a completion begins with a read in a transaction.
    pub fn reads(self) -> bool {
        matches!(self, Strategy::Transaction | Strategy::TransactionWithBackoff)
    }

    /// How often one completion is tried before the worker gives up.
    pub fn attempts(self) -> u32 {
        match self {
            Strategy::Transaction => 5,
            _ => 1_000,
        }
    }

    /// How long a worker waits after its so manieth attempt before it tries again.
    pub fn pause(self, attempt: u32, rng: &mut Rng) -> Duration {
        if self == Strategy::Transaction {
            return Duration::ZERO;
        }
        let longest = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(12)).min(LONGEST_PAUSE);
        longest.mul_f64(rng.unit())
    }

    /// Whether the strategy claims that every completion is counted, whatever the contention.
    pub fn is_safe(self) -> bool {
        self != Strategy::Transaction
    }

    /// What one completion writes. `completed` is what a transaction has read.
    pub fn writes(self, who: &str, number: usize, completed: &[Value]) -> Result<Vec<Write>, Error> {
        Ok(match self {
            Strategy::Transaction | Strategy::TransactionWithBackoff => {
                let mut players = completed.to_vec();
                let total = PREDICTIONS * i64::try_from(players.len() + 1).unwrap_or(i64::MAX);
                players.push(Value::string(who));
                let entries = [("completed_players", Value::array(players)), ("total_predictions", Value::Int(total))];
                let fields: Fields = entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect();
                let mask = vec![FieldPath::single("completed_players"), FieldPath::single("total_predictions")];
                vec![write(batch()?, Operation::Merge { mask, fields }, Vec::new(), None)]
            }
            Strategy::AtomicUpdate => {
                let union = Kind::AppendMissing(vec![Value::string(who)]);
                let union = Transform { path: FieldPath::single("completed_players"), kind: union };
                vec![touch(batch()?, vec![union, increment()])]
            }
            Strategy::Subcollection => vec![own(who)?, touch(batch()?, vec![increment()])],
            Strategy::ShardedCounter => vec![own(who)?, touch(shard(number % SHARDS)?, vec![increment()])],
        })
    }
}

/// The batch's document.
pub fn batch() -> Result<DocumentName, Error> {
    DocumentName::parse_relative("prediction_batches/batch")
}

/// One of the counter's documents.
pub fn shard(number: usize) -> Result<DocumentName, Error> {
    DocumentName::parse_relative(&format!("prediction_batches/batch/shards/{number}"))
}

/// A completion's document.
pub fn completion(who: &str) -> Result<DocumentName, Error> {
    DocumentName::parse_relative(&format!("prediction_batches/batch/completions/{who}"))
}

fn increment() -> Transform {
    Transform { path: FieldPath::single("total_predictions"), kind: Kind::Increment(Value::Int(PREDICTIONS)) }
}

fn write(
    name: DocumentName,
    operation: Operation,
    transforms: Vec<Transform>,
    precondition: Option<Precondition>,
) -> Write {
    Write { name, operation, transforms, precondition }
}

/// Transforms alone.
fn touch(name: DocumentName, transforms: Vec<Transform>) -> Write {
    write(name, Operation::Merge { mask: Vec::new(), fields: Fields::new() }, transforms, None)
}

/// A completion's own document; one that is there already has been counted.
fn own(who: &str) -> Result<Write, Error> {
    let fields = [(Arc::from("predictions"), Value::Int(PREDICTIONS))].into_iter().collect();
    Ok(write(completion(who)?, Operation::Set(fields), Vec::new(), Some(Precondition::Exists(false))))
}
