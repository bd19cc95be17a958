//! Keeping state across restarts: the engine's records go into a log before anybody is answered.

use scrimmage_core::data::Log;
use scrimmage_core::{DataDir, DataError};

use crate::engine::Engine;
use crate::engine::records::Batch;
use crate::engine::restore::Restorer;

/// The log's name in the folder.
const NAME: &str = "pubsub";
/// A log that has doubled since it was last made is made anew, unless it is smaller than this.
const COMPACT_BYTES: u64 = 16 << 20;

#[derive(Debug)]
pub struct Keeper {
    log: Log,
    /// How long the log may become.
    most: u64,
    /// A record is missing: only the whole state is good enough now.
    incomplete: bool,
}

impl Keeper {
    /// The engine as the folder's last owner has left it, or a new one.
    pub fn open(data: &DataDir, first_message: u64) -> Result<(Engine, Keeper), DataError> {
        let mut restorer = Restorer::new(first_message);
        let mut empty = true;
        let log = data.log(NAME, |batch| {
            empty = false;
            restorer.replay(batch)
        })?;
        let engine = restorer.finish();
        let mut keeper = Keeper { log, most: COMPACT_BYTES, incomplete: false };
        if empty || keeper.log.bytes() > keeper.most {
            keeper.compact(&engine)?;
        }
        Ok((engine, keeper))
    }

    /// Keeps what the engine has done since the last call.
    pub fn keep(&mut self, engine: &mut Engine) -> Result<(), DataError> {
        let changes = engine.take_changes();
        if changes.is_empty() {
            return Ok(());
        }
        if self.incomplete {
            return self.compact(engine);
        }
        if let Err(error) = self.log.append(&Batch::of(changes)) {
            self.incomplete = true;
            return Err(error);
        }
        if self.log.bytes() > self.most { self.compact(engine) } else { Ok(()) }
    }

    /// Puts the state itself in place of its history.
    pub fn compact(&mut self, engine: &Engine) -> Result<(), DataError> {
        self.incomplete = true;
        self.log.replace(engine.export())?;
        self.incomplete = false;
        self.most = COMPACT_BYTES.max(self.log.bytes().saturating_mul(2));
        Ok(())
    }
}
