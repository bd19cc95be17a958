//! Transactions of several statements: versions that nobody else sees, and their commit.
//!
//! A transaction reads every table as of its beginning, with its own changes on top. At its end the difference
//! between what it read and what it made is put on the newest versions, or refused where somebody else changed
//! rows of the same partitions meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{DmlStats, TableChange, TablePath};

use super::error::{EngineError, Result};
use super::partition::PartitionId;
use super::past::Pin;
use super::segments::{check_ingestion_times, make_segments};
use super::store::{Removed, Store, push_version};
use super::table::{Segment, TableVersion};

/// What a transaction has done so far.
#[derive(Debug)]
pub struct Transaction {
    /// The commit it reads at; what was there then stays meanwhile.
    base: Pin,
    own: BTreeMap<TablePath, Arc<TableVersion>>,
}

impl Transaction {
    pub fn begin(store: &mut Store) -> Transaction {
        Transaction { base: store.pin(), own: BTreeMap::new() }
    }

    /// The commit it reads at.
    pub fn base(&self) -> u64 {
        *self.base
    }

    /// The transaction's own version of a table that it changed.
    pub fn version(&self, path: &TablePath) -> Option<Arc<TableVersion>> {
        self.own.get(path).cloned()
    }
}

impl Store {
    /// Puts a DML statement's change on what the transaction sees.
    pub fn apply_within(
        &mut self,
        now: Timestamp,
        change: &TableChange,
        transaction: &mut Transaction,
    ) -> Result<DmlStats> {
        let path = change.table.path().clone();
        let read = match transaction.version(&path) {
            Some(own) => own,
            None => self.version_at(&path, transaction.base())?,
        };
        if !std::ptr::addr_eq(Arc::as_ptr(&change.table), Arc::as_ptr(&read)) {
            return Err(EngineError::Conflict(path));
        }
        let removed = Removed::by(change, &read, now)?;
        let mut segments = Vec::with_capacity(read.segments.len() + 1);
        for segment in read.segments.iter().filter(|_| !change.truncate) {
            match removed.rows.get(&segment.id) {
                None => segments.push(segment.clone()),
                Some(rows) => {
                    let left = segment.without(rows);
                    if left.live() > 0 {
                        segments.push(Arc::new(left));
                    }
                }
            }
        }
        check_ingestion_times(&read.shape, &change.added)?;
        let entry = self.entry(&path)?;
        segments.extend(make_segments(&mut entry.next_segment, now, &read.shape, change.added.clone())?);
        let own = TableVersion::new(path.clone(), transaction.base(), now, read.shape.clone(), segments);
        transaction.own.insert(path, Arc::new(own));
        Ok(change.stats)
    }

    /// Makes all changes of a transaction visible at once, or none of them.
    pub fn commit(&mut self, now: Timestamp, transaction: Transaction) -> Result<()> {
        let Transaction { base, own } = transaction;
        let mut next = Vec::with_capacity(own.len());
        for (path, own) in own {
            let (segments, touched) = self.rebased(&path, &own, *base)?;
            next.push((path, segments, touched));
        }
        let seq = self.next_seq();
        for (path, segments, touched) in next {
            let entry = self.entry(&path)?;
            for partition in touched {
                entry.mutated.insert(partition, seq);
            }
            let shape = entry.current().shape.clone();
            let pushed = push_version(entry, now, TableVersion::new(path, seq, now, shape, segments));
            self.settle(pushed);
        }
        Ok(())
    }

    /// The newest version's segments with the difference between `base` and `own`, and the partitions that lost rows.
    fn rebased(
        &mut self,
        path: &TablePath,
        own: &TableVersion,
        base: u64,
    ) -> Result<(Vec<Arc<Segment>>, HashSet<PartitionId>)> {
        let conflict = || EngineError::Conflict(path.clone());
        let read = self.version_at(path, base)?;
        let entry = self.entry(path)?;
        if entry.made > base && read.seq <= base {
            return Err(conflict());
        }
        let known: HashMap<u64, &Arc<Segment>> = read.segments.iter().map(|segment| (segment.id, segment)).collect();
        let mut kept: HashMap<u64, &Arc<Segment>> = HashMap::new();
        let mut added = Vec::new();
        for segment in &own.segments {
            match known.get(&segment.id) {
                Some(_) => drop(kept.insert(segment.id, segment)),
                None => added.push(segment.clone()),
            }
        }
        let changed =
            |segment: &Segment| kept.get(&segment.id).is_none_or(|kept| kept.removed.len() != segment.removed.len());
        let touched: HashSet<PartitionId> =
            read.segments.iter().filter(|segment| changed(segment)).map(|segment| segment.partition).collect();
        if touched.iter().any(|partition| entry.mutated.get(partition).is_some_and(|last| *last > base)) {
            return Err(conflict());
        }
        let mut lost = read.segments.iter().filter(|segment| changed(segment)).count();
        let mut segments = Vec::with_capacity(entry.current().segments.len() + added.len());
        for segment in &entry.current().segments {
            match known.get(&segment.id) {
                Some(read) if changed(read) => {
                    lost -= 1;
                    segments.extend(kept.get(&segment.id).map(|kept| Arc::clone(kept)));
                }
                _ => segments.push(segment.clone()),
            }
        }
        // Segments that were merged meanwhile are not there any more.
        if lost > 0 {
            return Err(conflict());
        }
        segments.extend(added);
        Ok((segments, touched))
    }
}
