//! Keeping state across restarts: the engine's records go into a log before anybody is answered.

use std::sync::Arc;

use scrimmage_core::{DataDir, DataError, Journal, Keeper};

use crate::engine::Engine;
use crate::engine::records::Batch;
use crate::engine::restore::Restorer;

/// The log's name in the folder.
const NAME: &str = "pubsub";
/// Shorter logs are left as they are.
const SMALL: u64 = 16 << 20;

/// The engine as the folder's last owner has left it, or a new one.
pub fn open(data: &DataDir, first_message: u64, journal: &Arc<Journal>) -> Result<(Engine, Keeper), DataError> {
    let mut restorer = Restorer::new(first_message);
    let mut empty = true;
    let log = data.log(NAME, |batch| {
        empty = false;
        restorer.replay(batch)
    })?;
    let engine = restorer.finish();
    let mut keeper = Keeper::new(log, NAME, journal).from_bytes(SMALL);
    if empty {
        // It begins with the first message's id.
        keeper.replace(engine.export())?;
    } else {
        keeper.tidy(|| engine.export());
    }
    Ok((engine, keeper))
}

/// Keeps what the engine has done since the last call.
pub fn keep(keeper: &mut Keeper, engine: &mut Engine) -> Result<(), DataError> {
    let changes = engine.take_changes();
    if !changes.is_empty() {
        keeper.append(vec![Batch::of(changes)])?;
        keeper.tidy(|| engine.export());
    }
    Ok(())
}
