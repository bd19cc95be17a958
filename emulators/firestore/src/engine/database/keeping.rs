//! What outlasts a database's moment: records of what happened, taking back what could not be kept,
//! and what is declared.

use std::ops::Bound;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use super::Database;
use crate::engine::index::catalogue::Catalogue;
use crate::engine::listen::StreamId;
use crate::engine::locks::Locks;
use crate::engine::record::Record;
use crate::engine::store::{Change, Document, Store};
use crate::engine::ttl::Policy;
use crate::engine::waits::Waits;
use crate::limits;
use crate::path::{DatabaseName, DocumentName, FieldPath};

impl Database {
    pub fn name(&self) -> &DatabaseName {
        &self.name
    }

    pub fn record(&mut self) {
        self.records.get_or_insert_default();
    }

    pub fn take_records(&mut self) -> Vec<Record> {
        self.records.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The records taken so far are kept.
    pub fn settle_records(&mut self) {
        self.unsettled.clear();
    }

    /// Undoes every commit that is not settled, newest first. The streams of listeners end: what
    /// they follow has gone back.
    pub fn take_back(&mut self, now: Timestamp) -> Vec<StreamId> {
        let unsettled = std::mem::take(&mut self.unsettled);
        if unsettled.is_empty() {
            return Vec::new();
        }
        if let Some(records) = &mut self.records {
            records.clear();
        }
        for (time, changes) in unsettled.into_iter().rev() {
            self.store.take_back(time, &changes);
            self.listeners.take_back(time);
            let back = |change: Change| Change { name: change.name, before: change.after, after: change.before };
            let changes: Vec<Change> = changes.into_iter().map(back).collect();
            self.expiries.note(&changes);
        }
        // What had expired cannot be deleted just now.
        self.expiries.hold(now + limits::EXPIRY_RETRY);
        self.listeners.end_all()
    }

    pub fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.listeners.set_epoch(epoch);
    }

    pub fn restore(&mut self, record: Record) {
        match record {
            Record::Committed { time, changes, .. } => {
                let change = |(name, after): (DocumentName, Option<Arc<Document>>)| {
                    let before = self.store.get(&name, None).cloned();
                    Change { name, before, after }
                };
                let changes = changes.into_iter().map(change).collect();
                self.last_time = self.last_time.max(time);
                self.install(time, changes, false);
            }
            Record::Cleared { time, .. } => {
                self.last_time = self.last_time.max(time);
                self.forget(time);
            }
            Record::Complete { from, .. } => {
                self.complete_from = from;
                // Readers of now must not be told that now is too long ago, whatever the clock says.
                self.last_time = self.last_time.max(from);
                self.listeners.forget_before(from);
            }
            Record::TimeToLive { group, field, delay, .. } => {
                self.set_policy(&group, delay.map(|delay| Policy { field, delay }));
            }
            Record::Began { .. } | Record::Reset { .. } | Record::Indexes { .. } | Record::Created { .. } => {}
        }
    }

    pub fn snapshot(&self, records: &mut Vec<Record>) {
        let database = || self.name.clone();
        for (group, policy) in self.expiries.policies() {
            records.push(policy_record(&self.name, group, &policy.field, Some(policy)));
        }
        for (time, name, document) in self.store.versions() {
            let change = (name.clone(), document.cloned());
            match records.last_mut() {
                Some(Record::Committed { database, time: last, changes })
                    if *last == time && *database == self.name =>
                {
                    changes.push(change);
                }
                _ => records.push(Record::Committed { database: database(), time, changes: vec![change] }),
            }
        }
        records.push(Record::Complete { database: database(), from: self.complete_from });
    }

    pub fn documents(&self) -> Vec<Arc<Document>> {
        let all = |path| self.store.collection(path, Bound::Unbounded, Bound::Unbounded, None);
        self.store.collections_below("").flat_map(|path| all(path)).cloned().collect()
    }

    /// The record of a clearing that is to come.
    pub fn clearing(&mut self, now: Timestamp) -> Record {
        Record::Cleared { database: self.name.clone(), time: self.commit_stamp(now) }
    }

    /// Forgets all documents and their past as of `time`; transactions end, since what they have read
    /// is gone.
    pub fn clear(&mut self, time: Timestamp) {
        self.abort_all();
        self.transactions.clear();
        self.waits = Waits::default();
        self.locks = Locks::default();
        self.forget(time);
    }

    fn forget(&mut self, time: Timestamp) {
        self.store = Store::default();
        self.expiries.clear();
        self.complete_from = time;
        self.listeners.start_over(time);
    }

    /// Sets or ends a policy; what has expired by it goes at the next tick.
    pub fn set_policy(&mut self, group: &Arc<str>, policy: Option<Policy>) {
        self.expiries.set(&self.store, group, policy);
    }

    pub fn ttl_policy(&self, group: &str) -> Option<&Policy> {
        self.expiries.policy(group)
    }

    pub fn ttl_policies(&self) -> Vec<(Arc<str>, Policy)> {
        let policies = self.expiries.policies();
        policies.map(|(group, policy)| (Arc::clone(group), policy.clone())).collect()
    }

    /// From now on, these are the declared indexes that writes are checked against.
    pub fn set_catalogue(&mut self, catalogue: Arc<Catalogue>) {
        self.catalogue = catalogue;
    }
}

/// The record of a policy that came, or of the end of the one of this field.
pub fn policy_record(database: &DatabaseName, group: &Arc<str>, field: &FieldPath, policy: Option<&Policy>) -> Record {
    let (database, group, field) = (database.clone(), Arc::clone(group), field.clone());
    Record::TimeToLive { database, group, field, delay: policy.map(|policy| policy.delay) }
}
