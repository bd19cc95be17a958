//! Shared locks: what read-write transactions have read.
//!
//! A transaction that reads a document, or finds it missing, holds a shared lock on it; a query
//! locks the range that it looked at, as a predicate, so that a write which brings a document into
//! the range conflicts as well. Nothing holds an exclusive lock for longer than an instant: a
//! commit is applied the moment that nobody else's shared lock is in its way, and until then it
//! waits in [`super::waits`] without holding anything new.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::engine::query::{Query, order};
use crate::engine::store::{Change, Document};
use crate::engine::token::Age;
use crate::path::DocumentName;

/// The range that a query looked at.
#[derive(Clone, Debug)]
pub struct Range {
    pub query: Arc<Query>,
    /// Where a limit ended the scan: documents after this one were not looked at.
    pub last: Option<Arc<Document>>,
}

impl Range {
    /// Whether a document, as it is or would be, lies in the range.
    pub fn contains(&self, document: &Document) -> bool {
        self.query.matches(document)
            && self.query.within_cursors(document)
            && self.last.as_ref().is_none_or(|last| order::compare(&self.query.order, document, last).is_le())
    }

    /// Whether a change takes a document out of the range, into it, or alters it there.
    pub fn is_touched_by(&self, change: &Change) -> bool {
        [&change.before, &change.after].into_iter().flatten().any(|document| self.contains(document))
    }
}

/// Who holds which shared locks.
#[derive(Debug, Default)]
pub struct Locks {
    documents: HashMap<DocumentName, BTreeSet<Age>>,
    ranges: HashMap<Age, Vec<Range>>,
    held: HashMap<Age, Vec<DocumentName>>,
}

impl Locks {
    pub fn lock_document(&mut self, owner: Age, name: &DocumentName) {
        if let Some(holders) = self.documents.get_mut(name) {
            if !holders.insert(owner) {
                return;
            }
        } else {
            self.documents.insert(name.clone(), BTreeSet::from([owner]));
        }
        self.held.entry(owner).or_default().push(name.clone());
    }

    pub fn lock_range(&mut self, owner: Age, range: Range) {
        self.ranges.entry(owner).or_default().push(range);
    }

    pub fn holds_document(&self, owner: Age, name: &DocumentName) -> bool {
        self.documents.get(name).is_some_and(|holders| holders.contains(&owner))
    }

    /// Gives up all that a transaction holds; says whether it held anything.
    pub fn release(&mut self, owner: Age) -> bool {
        let ranges = self.ranges.remove(&owner).is_some();
        let Some(names) = self.held.remove(&owner) else { return ranges };
        for name in names {
            if let Some(holders) = self.documents.get_mut(&name) {
                holders.remove(&owner);
                if holders.is_empty() {
                    self.documents.remove(&name);
                }
            }
        }
        true
    }

    /// Whether any transaction holds a range, so that writes need to be worked out to be tested.
    pub fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Everyone who has read this document, oldest first.
    pub fn readers(&self, name: &DocumentName) -> impl Iterator<Item = Age> + use<'_> {
        self.documents.get(name).into_iter().flatten().copied()
    }

    /// Whether anyone but `writer` has read a range that these changes touch.
    pub fn is_range_read_by_others(&self, changes: &[Change], writer: Age) -> bool {
        let touched = |range: &Range| changes.iter().any(|change| range.is_touched_by(change));
        self.ranges.iter().any(|(holder, ranges)| *holder != writer && ranges.iter().any(touched))
    }

    /// Everyone but `writer` who has read one of these documents.
    pub fn readers_of<'a>(
        &self,
        names: impl Iterator<Item = &'a DocumentName>,
        writer: Age,
        found: &mut BTreeSet<Age>,
    ) {
        if self.documents.is_empty() {
            return;
        }
        for name in names {
            if let Some(holders) = self.documents.get(name) {
                found.extend(holders.iter().copied().filter(|holder| *holder != writer));
            }
        }
    }

    /// Everyone but `writer` who has read a range that these changes touch.
    pub fn readers_of_ranges(&self, changes: &[Change], writer: Age, found: &mut BTreeSet<Age>) {
        for (holder, ranges) in &self.ranges {
            let touched = || ranges.iter().any(|range| changes.iter().any(|change| range.is_touched_by(change)));
            if *holder != writer && !found.contains(holder) && touched() {
                found.insert(*holder);
            }
        }
    }
}
