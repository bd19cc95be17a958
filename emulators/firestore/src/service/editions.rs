//! What databases were created, or declared, as: all others are of the Standard edition.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::engine::edition::Edition;
use crate::path::DatabaseName;

#[derive(Debug, Default)]
pub struct Editions {
    known: Mutex<BTreeMap<DatabaseName, Edition>>,
}

impl Editions {
    /// With what a data folder has.
    pub fn restored(kept: impl IntoIterator<Item = (DatabaseName, Edition)>) -> Editions {
        Editions { known: Mutex::new(kept.into_iter().collect()) }
    }

    pub fn declare(&self, database: DatabaseName, edition: Edition) {
        self.all().insert(database, edition);
    }

    pub fn of(&self, database: &DatabaseName) -> Edition {
        self.all().get(database).copied().unwrap_or(Edition::STANDARD)
    }

    /// The databases of which it is known.
    pub fn databases(&self) -> Vec<DatabaseName> {
        self.all().keys().cloned().collect()
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<DatabaseName, Edition>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
