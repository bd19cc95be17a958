//! Which databases are of the Enterprise edition: those that were created, or declared, as such.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::path::DatabaseName;

#[derive(Debug, Default)]
pub struct Editions {
    enterprise: Mutex<BTreeSet<String>>,
}

impl Editions {
    /// Makes a database one of the Enterprise edition; says whether it was not one before.
    pub fn declare(&self, database: &DatabaseName) -> bool {
        self.names().insert(database.to_string())
    }

    pub fn is_enterprise(&self, database: &DatabaseName) -> bool {
        self.names().contains(database.as_str())
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.enterprise.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
