//! Time-to-live policies: which documents expire, and when.
//!
//! Production deletes "typically within 24 hours" of the time in the policy's field. Here a
//! document goes as soon as the clock passes that time, or a delay of the policy's own later.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::Unbounded;
use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;

use crate::engine::store::{Change, Document, Store};
use crate::path::{DocumentName, FieldPath};
use crate::value::Value;

/// When the documents of one collection group expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The field with the time; documents where it holds anything else never expire.
    pub field: FieldPath,
    /// How long after that time a document is deleted.
    pub delay: Duration,
}

/// A database's policies, and what they will delete.
#[derive(Debug, Default)]
pub struct Expiries {
    /// By collection id: production has at most one policy for each.
    policies: HashMap<Arc<str>, Policy>,
    /// Times at which a document is worth a look. Some are out of date: a look shows it.
    due: BTreeSet<(Timestamp, DocumentName)>,
}

impl Expiries {
    pub fn policies(&self) -> impl Iterator<Item = (&Arc<str>, &Policy)> {
        self.policies.iter()
    }

    pub fn policy(&self, group: &str) -> Option<&Policy> {
        self.policies.get(group)
    }

    /// Sets or ends the policy of a collection group.
    pub fn set(&mut self, store: &Store, group: &Arc<str>, policy: Option<Policy>) {
        match policy {
            Some(policy) => self.policies.insert(Arc::clone(group), policy),
            None => self.policies.remove(group),
        };
        let paths = store.group(group, "");
        let documents = paths.flat_map(|path| store.collection(path, Unbounded, Unbounded, None));
        let found: Vec<_> = documents.filter_map(|document| self.look_at(document)).collect();
        self.due.extend(found);
    }

    /// Takes note of what a commit changed.
    pub fn note(&mut self, changes: &[Change]) {
        if self.policies.is_empty() {
            return;
        }
        for change in changes {
            if let Some(look) = change.before.as_ref().and_then(|document| self.look_at(document)) {
                self.due.remove(&look);
            }
            if let Some(look) = change.after.as_ref().and_then(|document| self.look_at(document)) {
                self.due.insert(look);
            }
        }
    }

    /// Forgets what was to be deleted, since all documents are gone.
    pub fn clear(&mut self) {
        self.due.clear();
    }

    /// Nothing is worth a look before this time.
    pub fn hold(&mut self, until: Timestamp) {
        while self.due.first().is_some_and(|(time, _)| *time < until) {
            if let Some((_, name)) = self.due.pop_first() {
                self.due.insert((until, name));
            }
        }
    }

    /// When a document expires, if it does.
    pub fn expiry(&self, document: &Document) -> Option<Timestamp> {
        let policy = self.policies.get(document.name.collection_id())?;
        match policy.field.get(&document.fields) {
            Some(Value::Timestamp(time)) => Some(*time + policy.delay),
            _ => None,
        }
    }

    fn look_at(&self, document: &Arc<Document>) -> Option<(Timestamp, DocumentName)> {
        Some((self.expiry(document)?, document.name.clone()))
    }

    /// When the next document is worth a look.
    pub fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(time, _)| *time)
    }

    /// A document to look at now: it is to be deleted if its expiry has really come.
    pub fn overdue(&mut self, now: Timestamp) -> Option<DocumentName> {
        if self.due.first().is_none_or(|(time, _)| *time > now) {
            return None;
        }
        self.due.pop_first().map(|(_, name)| name)
    }

    /// Puts a document off that could not be deleted.
    pub fn postpone(&mut self, until: Timestamp, name: DocumentName) {
        self.due.insert((until, name));
    }
}
