//! Keeping state across restarts: the engine's records in the data folder's log.
//!
//! Records are written before anybody hears of what they are about: one write for all that one
//! step of the engine brought. A log that has grown well past what it stands for is written anew.

mod codec;

use scrimmage_core::data::Log;
use scrimmage_core::{DataDir, DataError};

use crate::engine::Engine;
use crate::error::Error;

/// The log's name in the data folder.
const LOG: &str = "firestore";
/// A log is not written anew before it has this many bytes…
const COMPACT_BYTES: u64 = 8 * 1024 * 1024;
/// …and has grown to this many times what it was when it was last written anew.
const COMPACT_GROWTH: u64 = 2;

/// Keeps what an engine does.
#[derive(Debug)]
pub struct Keeper {
    log: Log,
    /// The log's size when it had nothing superfluous.
    compact: u64,
    /// A write has failed: the log lacks something that the engine has done.
    behind: bool,
}

impl Keeper {
    /// Brings an engine to the state that the folder has, and begins its next life.
    pub fn open(data: &DataDir, engine: &mut Engine) -> Result<Keeper, DataError> {
        let mut restored = false;
        let log = data.log(LOG, |record| {
            engine.restore(codec::decode(record)?);
            restored = true;
            Ok(())
        })?;
        let begun = if restored { engine.begin_life() } else { engine.began() };
        engine.record();
        let mut keeper = Keeper { compact: 0, log, behind: false };
        keeper.log.append(&codec::encode(&begun))?;
        Ok(keeper)
    }

    /// Writes down what the engine did since the last call. After an error, nothing of that may be
    /// acknowledged; the next call tries to write everything.
    pub fn keep(&mut self, engine: &mut Engine) -> Result<(), Error> {
        let records = engine.take_records();
        if records.is_empty() {
            return Ok(());
        }
        let kept = if self.behind || self.has_grown() {
            self.rewrite(engine)
        } else {
            let records: Vec<Vec<u8>> = records.iter().map(codec::encode).collect();
            self.log.append_all(records.iter().map(Vec::as_slice))
        };
        self.behind = kept.is_err();
        kept.map_err(|problem| Error::NotKept(problem.to_string()))
    }

    fn has_grown(&self) -> bool {
        self.log.bytes() > COMPACT_BYTES && self.log.bytes() > COMPACT_GROWTH * self.compact
    }

    /// Writes the log anew, with the state as it is.
    pub fn rewrite(&mut self, engine: &mut Engine) -> Result<(), DataError> {
        engine.take_records();
        self.log.replace(engine.snapshot().iter().map(codec::encode))?;
        self.compact = self.log.bytes();
        self.behind = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scrimmage_core::Timestamp;

    use super::*;
    use crate::engine::write::{Operation, Write};
    use crate::engine::{Command, Consistency, Outcome, Reply};
    use crate::path::{DatabaseName, DocumentName};
    use crate::value::{Fields, Value};

    fn database(id: &str) -> DatabaseName {
        DatabaseName::parse(&format!("projects/p/databases/{id}")).unwrap()
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
            let mut keeper = Keeper::open(&data, &mut engine).unwrap();
            put(&mut engine, 10, "(default)", "c/a", Some(1));
            put(&mut engine, 20, "(default)", "c/a", Some(2));
            put(&mut engine, 30, "other", "c/b", Some(3));
            put(&mut engine, 40, "(default)", "c/gone", Some(3));
            put(&mut engine, 50, "(default)", "c/gone", None);
            keeper.keep(&mut engine).unwrap();
            if rewritten {
                keeper.rewrite(&mut engine).unwrap();
            }
            drop(keeper);
            let mut engine = Engine::new();
            Keeper::open(&data, &mut engine).unwrap();
            assert_eq!(engine.epoch(), 1);
            assert_eq!(seen(&mut engine, 60, "(default)", "c/a", None), Some((10, 20)));
            assert_eq!(seen(&mut engine, 60, "(default)", "c/a", Some(15)), Some((10, 10)));
            assert_eq!(seen(&mut engine, 60, "(default)", "c/gone", None), None);
            assert_eq!(seen(&mut engine, 60, "(default)", "c/gone", Some(45)), Some((40, 40)));
            assert_eq!(seen(&mut engine, 60, "other", "c/b", None), Some((30, 30)));
            // The clock may have been set back: commit times go on all the same.
            let mut engine = Engine::new();
            Keeper::open(&data, &mut engine).unwrap();
            put(&mut engine, 5, "(default)", "c/a", Some(4));
            assert_eq!(seen(&mut engine, 5, "(default)", "c/a", None), Some((10, 51)));
        }
    }

    #[test]
    fn a_reset_and_a_clearing_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let mut engine = Engine::new();
        let mut keeper = Keeper::open(&data, &mut engine).unwrap();
        put(&mut engine, 10, "a", "c/a", Some(1));
        put(&mut engine, 10, "b", "c/a", Some(1));
        engine.clear(Timestamp::from_micros(20), &database("a"));
        keeper.keep(&mut engine).unwrap();
        let mut again = Engine::new();
        Keeper::open(&data, &mut again).unwrap();
        assert_eq!(seen(&mut again, 30, "a", "c/a", None), None);
        assert_eq!(seen(&mut again, 30, "b", "c/a", None), Some((10, 10)));
        engine.reset();
        keeper.rewrite(&mut engine).unwrap();
        let mut again = Engine::new();
        Keeper::open(&data, &mut again).unwrap();
        assert_eq!(seen(&mut again, 30, "b", "c/a", None), None);
        assert_eq!((again.epoch(), again.life()), (2, 1));
    }

    #[test]
    fn a_log_that_has_grown_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let mut engine = Engine::new();
        let mut keeper = Keeper::open(&data, &mut engine).unwrap();
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
            keeper.keep(&mut engine).unwrap();
            assert!(keeper.log.bytes() < 12 << 20, "{}", keeper.log.bytes());
        }
        let mut again = Engine::new();
        Keeper::open(&data, &mut again).unwrap();
        assert_eq!(seen(&mut again, 30 * hour, "a", "c/a", None), Some((1, 29 * hour)));
    }
}
