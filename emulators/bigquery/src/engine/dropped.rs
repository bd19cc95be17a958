//! Tables that were dropped, for as long as a copy job can bring them back.

use std::collections::VecDeque;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use super::dataset::TableEntry;
use super::past::{forget_to, holds};
use super::table::TableVersion;
use crate::limits;

/// A dataset's dropped tables, oldest first.
#[derive(Debug, Default)]
pub struct Dropped {
    tables: VecDeque<(Timestamp, String, TableEntry)>,
}

impl Dropped {
    pub fn add(&mut self, now: Timestamp, name: String, entry: TableEntry) {
        self.expire(now);
        self.tables.push_back((now, name, entry));
        while self.tables.len() > limits::DROPPED_KEPT {
            self.tables.pop_front();
        }
    }

    /// The version that was current at `at`, of the table that had the name then.
    pub fn version_as_of(&self, name: &str, at: Timestamp) -> Option<Arc<TableVersion>> {
        let (.., entry) =
            self.tables.iter().rev().find(|(gone, own, entry)| own == name && entry.created <= at && at < *gone)?;
        entry.versions.iter().rev().find(|version| version.at <= at).cloned()
    }

    /// Forgets one of the versions and all that are older: with the newest the table goes, but for the last few tables.
    pub fn forget_to(&mut self, version: &TableVersion) {
        let found =
            self.tables.iter().position(|(_, name, entry)| *name == version.path.table && holds(entry, version));
        let Some(at) = found else { return };
        let Some((.., entry)) = self.tables.get_mut(at) else { return };
        if entry.current().seq > version.seq {
            forget_to(entry, version);
        } else if at + limits::DROPPED_ANYWAY < self.tables.len() {
            self.tables.remove(at);
        }
    }

    /// Forgets what is beyond time travel.
    pub fn expire(&mut self, now: Timestamp) {
        while self.tables.front().is_some_and(|(gone, ..)| now.since(*gone) > limits::TIME_TRAVEL) {
            self.tables.pop_front();
        }
    }
}
