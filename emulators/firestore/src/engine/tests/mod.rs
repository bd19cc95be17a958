//! What the engine promises, as dialogues with it.

mod contention;
mod expiring;
mod listening;
mod model;
mod reading;
mod writing;

use super::query::normalize::Draft;
use super::query::{Filter, Operator, Scope};
use super::write::{Operation, Precondition};
use super::*;
use crate::path::FieldPath;
use crate::value::{Fields, Value};
use std::time::Duration;

const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// An engine, a time, and short words for what clients do.
struct World {
    engine: Engine,
    now: Timestamp,
    database: DatabaseName,
}

type Answer = Result<Outcome, Error>;

impl World {
    fn new() -> World {
        let database = DatabaseName::parse("projects/p/databases/(default)").unwrap();
        World { engine: Engine::new(), now: START, database }
    }

    fn apply(&mut self, command: Command) -> Result<Reply, Error> {
        let reply = self.engine.apply(self.now, &self.database, command);
        if let Some(database) = self.engine.databases.first() {
            database.check_waits(self.now);
        }
        reply
    }

    /// A command that must be answered at once.
    fn at_once(&mut self, command: Command) -> Answer {
        match self.apply(command)? {
            Reply::Now(outcome) => Ok(outcome),
            Reply::Later(waiter) => panic!("{waiter:?} had to wait"),
        }
    }

    /// A command that must wait.
    fn waits(&mut self, command: Command) -> Waiter {
        match self.apply(command) {
            Ok(Reply::Later(waiter)) => waiter,
            other => panic!("expected a wait: {other:?}"),
        }
    }

    /// The one request that has been resolved since the last look.
    fn resolved(&mut self, waiter: Waiter) -> Answer {
        let mut all = self.engine.take_resolved();
        assert_eq!(all.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>(), [waiter]);
        all.pop().unwrap().1
    }

    fn nothing_resolved(&mut self) {
        assert!(self.engine.take_resolved().is_empty());
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.engine.tick(self.now);
    }

    fn set_ttl(&mut self, group: &str, policy: Option<Policy>) {
        let record = self.engine.policing(&self.database, group, policy.as_ref()).unwrap();
        self.engine.carry_out(self.now, record);
    }

    fn begin(&mut self) -> TransactionId {
        self.begin_as(TransactionOptions::Pessimistic { retry: None }).unwrap()
    }

    fn retry(&mut self, id: TransactionId) -> TransactionId {
        self.begin_as(TransactionOptions::Pessimistic { retry: Some(id) }).unwrap()
    }

    fn begin_as(&mut self, options: TransactionOptions) -> Result<TransactionId, Error> {
        match self.at_once(Command::Begin(options))? {
            Outcome::Begun(id) => Ok(id),
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self, id: TransactionId, path: &str) -> Option<i64> {
        number(self.at_once(get(Consistency::In(id), path)).unwrap())
    }

    /// The number in a document now, without a transaction.
    fn number(&mut self, path: &str) -> Option<i64> {
        number(self.at_once(get(Consistency::Strong, path)).unwrap())
    }

    fn put(&mut self, path: &str, number: i64) -> Committed {
        committed(self.at_once(commit(None, vec![set(path, number)]))).unwrap()
    }

    fn run(&mut self, consistency: Consistency, query: Query) -> Result<Read<Found>, Error> {
        match self.at_once(Command::Query { query: Arc::new(query), consistency })? {
            Outcome::Found(read) => Ok(read),
            other => panic!("{other:?}"),
        }
    }
}

fn name(path: &str) -> DocumentName {
    DocumentName::parse_relative(path).unwrap()
}

fn field(path: &str) -> FieldPath {
    FieldPath::parse(path).unwrap()
}

fn fields(entries: &[(&str, Value)]) -> Fields {
    entries.iter().map(|(key, value)| (Arc::from(*key), value.clone())).collect()
}

fn set(path: &str, number: i64) -> Write {
    write(path, Operation::Set(fields(&[("n", Value::Int(number))])))
}

fn delete(path: &str) -> Write {
    write(path, Operation::Delete)
}

fn write(path: &str, operation: Operation) -> Write {
    Write { name: name(path), operation, transforms: Vec::new(), precondition: None }
}

fn when(condition: Precondition, write: Write) -> Write {
    Write { precondition: Some(condition), ..write }
}

fn commit(transaction: Option<TransactionId>, writes: Vec<Write>) -> Command {
    Command::Commit { transaction, writes }
}

fn get(consistency: Consistency, path: &str) -> Command {
    Command::Get { names: vec![name(path)], consistency }
}

fn committed(answer: Answer) -> Result<Committed, Error> {
    match answer? {
        Outcome::Committed(committed) => Ok(committed),
        other => panic!("{other:?}"),
    }
}

fn number(outcome: Outcome) -> Option<i64> {
    match outcome {
        Outcome::Documents(read) => match read.what.into_iter().next().unwrap().1?.fields.get("n") {
            Some(Value::Int(number)) => Some(*number),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn collection(id: &str) -> Draft {
    Draft::new(Scope { parent: Arc::from(""), collection_id: Some(Arc::from(id)), all_descendants: false })
}

/// `n >= least` in a collection.
fn at_least(id: &str, least: i64) -> Query {
    let mut draft = collection(id);
    draft.filter = Some(Filter::Field(field("n"), Operator::GreaterOrEqual, Value::Int(least)));
    draft.normalize().unwrap()
}

fn names(found: &Found) -> Vec<&str> {
    found.documents.iter().map(|document| document.name.path()).collect()
}
