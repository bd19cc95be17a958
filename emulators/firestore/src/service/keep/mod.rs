//! Keeping state across restarts: the engine's records in the data folder's log.
//!
//! Records are written before anybody hears of what they are about: one write for all that one
//! step of the engine brought. Where that fails, the engine takes the step's commits back: they are
//! refused, and nobody has seen them. What is declared (indexes, policies, clearings, resets) is
//! written first and then carried out.

mod catalogue;
mod codec;

use scrimmage_core::{Context, DataDir, DataError, Timestamp, data};

use crate::engine::Engine;
use crate::engine::listen::StreamId;
use crate::engine::record::Record;
use crate::error::Error;

/// The log's name in the data folder.
const LOG: &str = "firestore";

/// Keeps what an engine does.
#[derive(Debug)]
pub struct Keeper(data::Keeper);

/// What an engine did is not kept, and was taken back.
#[derive(Debug)]
pub struct Lost {
    pub error: Error,
    /// Streams of listeners that have ended by it.
    pub streams: Vec<StreamId>,
}

fn not_kept(problem: DataError) -> Error {
    Error::NotKept(problem.to_string())
}

impl Keeper {
    /// Brings an engine to the state that the folder has, and begins its next life.
    pub fn open(data: &DataDir, context: &Context, engine: &mut Engine) -> Result<Keeper, DataError> {
        let mut restored = false;
        let log = data.log(LOG, |record| {
            engine.restore(codec::decode(record)?);
            restored = true;
            Ok(())
        })?;
        let begun = if restored { engine.begin_life() } else { engine.began() };
        engine.record();
        let mut keeper = Keeper(data::Keeper::new(log, LOG, &context.journal));
        keeper.0.append(vec![codec::encode(&begun)])?;
        keeper.tidy(engine);
        Ok(keeper)
    }

    /// Writes down what the engine did since the last call, or takes it back.
    pub fn keep(&mut self, now: Timestamp, engine: &mut Engine) -> Result<(), Lost> {
        let records = engine.take_records();
        if records.is_empty() {
            return Ok(());
        }
        match self.append(&records) {
            Ok(()) => {
                engine.settle_records();
                self.tidy(engine);
                Ok(())
            }
            Err(error) => Err(Lost { error, streams: engine.take_back(now) }),
        }
    }

    /// Writes down what is to be carried out next.
    pub fn declare(&mut self, record: &Record) -> Result<(), Error> {
        self.append(std::slice::from_ref(record))
    }

    fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        let kept = self.0.append(records.iter().map(codec::encode).collect());
        kept.map_err(|problem| {
            self.0.forget_missing();
            not_kept(problem)
        })
    }

    /// Writes the log anew where it has grown well past what it stands for.
    pub fn tidy(&mut self, engine: &Engine) {
        self.0.tidy(|| engine.snapshot().into_iter().map(|record| codec::encode(&record)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scrimmage_core::Clock;

    use super::*;
    use crate::engine::write::{Operation, Write};
    use crate::engine::{Command, Consistency, Outcome, Reply};
    use crate::path::{DatabaseName, DocumentName};
    use crate::value::{Fields, Value};

    fn database(id: &str) -> DatabaseName {
        DatabaseName::parse(&format!("projects/p/databases/{id}")).unwrap()
    }

    fn open(data: &DataDir, engine: &mut Engine) -> Result<Keeper, DataError> {
        Keeper::open(data, &Context::new(Clock::real()), engine)
    }

    fn name(path: &str) -> DocumentName {
        DocumentName::parse_relative(path).unwrap()
    }

    fn put(engine: &mut Engine, now: i64, id: &str, path: &str, number: Option<i64>) {
        let operation = match number {
            Some(number) => {
                let fields: Fields = [(Arc::from("n"), Value::Int(number))].into_iter().collect();
                Operation::Set(fields)
            }
            None => Operation::Delete,
        };
        let write = Write { name: name(path), operation, transforms: Vec::new(), precondition: None };
        let command = Command::Commit { transaction: None, writes: vec![write] };
        engine.apply(Timestamp::from_micros(now), &database(id), command).unwrap();
    }

    fn seen(engine: &mut Engine, now: i64, id: &str, path: &str, at: Option<i64>) -> Option<(i64, i64)> {
        let consistency = at.map_or(Consistency::Strong, |at| Consistency::At(Timestamp::from_micros(at)));
        let command = Command::Get { names: vec![name(path)], consistency };
        let reply = engine.apply(Timestamp::from_micros(now), &database(id), command).unwrap();
        let Reply::Now(Outcome::Documents(read)) = reply else { panic!("{reply:?}") };
        let document = read.what.into_iter().next().unwrap().1?;
        Some((document.create_time.as_micros(), document.update_time.as_micros()))
    }

    #[test]
    fn a_new_life_has_documents_times_and_the_past() {
        let folder = tempfile::tempdir().unwrap();
        for rewritten in [false, true] {
            let data = DataDir::open(folder.path().join(rewritten.to_string())).unwrap();
            let mut engine = Engine::new();
            let mut keeper = open(&data, &mut engine).unwrap();
            put(&mut engine, 10, "(default)", "c/a", Some(1));
            put(&mut engine, 20, "(default)", "c/a", Some(2));
            put(&mut engine, 30, "other", "c/b", Some(3));
            put(&mut engine, 40, "(default)", "c/gone", Some(3));
            put(&mut engine, 50, "(default)", "c/gone", None);
            keeper.keep(Timestamp::from_micros(50), &mut engine).unwrap();
            if rewritten {
                keeper.0.replace(engine.snapshot().iter().map(codec::encode)).unwrap();
            }
            drop(keeper);
            let mut engine = Engine::new();
            open(&data, &mut engine).unwrap();
            assert_eq!(engine.epoch(), 1);
            assert_eq!(seen(&mut engine, 60, "(default)", "c/a", None), Some((10, 20)));
            assert_eq!(seen(&mut engine, 60, "(default)", "c/a", Some(15)), Some((10, 10)));
            assert_eq!(seen(&mut engine, 60, "(default)", "c/gone", None), None);
            assert_eq!(seen(&mut engine, 60, "(default)", "c/gone", Some(45)), Some((40, 40)));
            assert_eq!(seen(&mut engine, 60, "other", "c/b", None), Some((30, 30)));
            // The clock may have been set back: commit times go on all the same.
            let mut engine = Engine::new();
            open(&data, &mut engine).unwrap();
            put(&mut engine, 5, "(default)", "c/a", Some(4));
            assert_eq!(seen(&mut engine, 5, "(default)", "c/a", None), Some((10, 51)));
        }
    }

    #[test]
    fn a_reset_and_a_clearing_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let mut engine = Engine::new();
        let mut keeper = open(&data, &mut engine).unwrap();
        put(&mut engine, 10, "a", "c/a", Some(1));
        put(&mut engine, 10, "b", "c/a", Some(1));
        keeper.keep(Timestamp::from_micros(10), &mut engine).unwrap();
        let record = engine.clearing(Timestamp::from_micros(20), &database("a"));
        keeper.declare(&record).unwrap();
        engine.carry_out(Timestamp::from_micros(20), record);
        drop(keeper);
        let mut again = Engine::new();
        let mut keeper = open(&data, &mut again).unwrap();
        assert_eq!(seen(&mut again, 30, "a", "c/a", None), None);
        assert_eq!(seen(&mut again, 30, "b", "c/a", None), Some((10, 10)));
        keeper.declare(&again.resetting()).unwrap();
        again.reset();
        drop(keeper);
        let mut again = Engine::new();
        open(&data, &mut again).unwrap();
        assert_eq!(seen(&mut again, 30, "b", "c/a", None), None);
        assert_eq!((again.epoch(), again.life()), (3, 1));
    }

    #[test]
    fn what_cannot_be_kept_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let mut engine = Engine::new();
        let mut keeper = open(&data, &mut engine).unwrap();
        put(&mut engine, 10, "a", "c/a", Some(1));
        keeper.keep(Timestamp::from_micros(10), &mut engine).unwrap();
        data.faults().fail_append(true);
        put(&mut engine, 20, "a", "c/a", Some(2));
        put(&mut engine, 20, "a", "c/b", Some(2));
        put(&mut engine, 20, "b", "c/a", Some(2));
        let lost = keeper.keep(Timestamp::from_micros(20), &mut engine).unwrap_err();
        assert!(matches!(lost.error, Error::NotKept(_)));
        keeper.declare(&engine.resetting()).unwrap_err();
        data.faults().fail_append(false);
        for _ in 0..2 {
            assert_eq!(seen(&mut engine, 30, "a", "c/a", None), Some((10, 10)));
            assert_eq!(seen(&mut engine, 30, "a", "c/b", None), None);
            assert_eq!(seen(&mut engine, 30, "b", "c/a", None), None);
            drop(keeper);
            engine = Engine::new();
            keeper = open(&data, &mut engine).unwrap();
        }
        put(&mut engine, 40, "a", "c/b", Some(3));
        keeper.keep(Timestamp::from_micros(40), &mut engine).unwrap();
        drop(keeper);
        let mut again = Engine::new();
        open(&data, &mut again).unwrap();
        assert_eq!(seen(&mut again, 50, "a", "c/b", None), Some((40, 40)));
    }

    #[test]
    fn a_log_that_has_grown_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let mut engine = Engine::new();
        let mut keeper = open(&data, &mut engine).unwrap();
        let big: Fields = [(Arc::from("s"), Value::string(&"x".repeat(1_000_000)))].into_iter().collect();
        let hour = 3_600_000_000;
        for round in 0..30 {
            let operation = Operation::Set(
                big.iter()
                    .map(|(key, value)| (Arc::clone(key), value.clone()))
                    .chain([(Arc::from("n"), Value::Int(round))])
                    .collect(),
            );
            let write = Write { name: name("c/a"), operation, transforms: Vec::new(), precondition: None };
            let command = Command::Commit { transaction: None, writes: vec![write] };
            engine.apply(Timestamp::from_micros(round * hour), &database("a"), command).unwrap();
            keeper.keep(Timestamp::from_micros(round * hour), &mut engine).unwrap();
            assert!(keeper.0.bytes() < 12 << 20, "{}", keeper.0.bytes());
        }
        let mut again = Engine::new();
        open(&data, &mut again).unwrap();
        assert_eq!(seen(&mut again, 30 * hour, "a", "c/a", None), Some((1, 29 * hour)));
    }
}
