//! Who waits for whom, and who gives way.
//!
//! Two kinds of requests wait: a commit for the transactions that have read what it writes, and a
//! transaction's read for an older commit that wants to write what it reads. (A reader older than a
//! waiting commit goes first: the older wins, and since every newcomer is younger, neither starves.)
//! A wait that closes a circle is a deadlock. It is found when it arises, and the youngest
//! transaction in the circle is aborted. A plain commit is never that one: it waits only for older
//! transactions, and only younger ones wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::engine::Waiter;
use crate::engine::query::Query;
use crate::engine::query::aggregate::Aggregation;
use crate::engine::token::{Age, TransactionId};
use crate::engine::write::Write;
use crate::path::DocumentName;

/// What a waiting request is to do once it can.
#[derive(Clone, Debug)]
pub enum Action {
    Get(Vec<DocumentName>),
    Query(Arc<Query>),
    Aggregate(Arc<Query>, Vec<Aggregation>),
    /// `transaction` is the one that ends with this commit; a plain commit has none.
    Commit {
        transaction: Option<Age>,
        writes: Vec<Write>,
    },
}

/// A request that cannot be served yet.
#[derive(Debug)]
pub struct Pending {
    pub waiter: Waiter,
    pub action: Action,
    /// The transaction begun by this very request, to be reported with its answer.
    pub begun: Option<TransactionId>,
    /// When it gives up.
    pub deadline: Option<Timestamp>,
}

/// The place of a waiting request: the age that it waits with, and its number.
pub type Place = (Age, u64);

/// All waiting requests, oldest first.
#[derive(Debug, Default)]
pub struct Waits {
    queue: BTreeMap<Place, Pending>,
    deadlines: BTreeSet<(Timestamp, Place)>,
}

impl Waits {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn insert(&mut self, place: Place, pending: Pending) {
        if let Some(deadline) = pending.deadline {
            self.deadlines.insert((deadline, place));
        }
        self.queue.insert(place, pending);
    }

    pub fn remove(&mut self, place: &Place) -> Option<Pending> {
        let pending = self.queue.remove(place)?;
        if let Some(deadline) = pending.deadline {
            self.deadlines.remove(&(deadline, *place));
        }
        Some(pending)
    }

    pub fn get(&self, place: &Place) -> Option<&Pending> {
        self.queue.get(place)
    }

    /// The places of all requests, oldest first.
    pub fn places(&self) -> Vec<Place> {
        self.queue.keys().copied().collect()
    }

    /// All requests of one transaction.
    pub fn of(&self, age: Age) -> impl Iterator<Item = (&Place, &Pending)> {
        self.queue.range((age, 0)..=(age, u64::MAX))
    }

    pub fn place_of(&self, waiter: Waiter) -> Option<Place> {
        self.queue.iter().find(|(_, pending)| pending.waiter == waiter).map(|(place, _)| *place)
    }

    /// The commits that wait and are older than `age`.
    pub fn older_commits(&self, age: Age) -> impl Iterator<Item = (Age, &[Write])> {
        self.queue.range(..(age, 0)).filter_map(|(place, pending)| match &pending.action {
            Action::Commit { writes, .. } => Some((place.0, writes.as_slice())),
            _ => None,
        })
    }

    /// The next time at which a request gives up.
    pub fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A request whose time is up.
    pub fn overdue(&self, now: Timestamp) -> Option<Place> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, place)| *place)
    }
}

/// A circle through `start` in the graph of `blockers`, if there is one; `start` is in it.
pub fn find_circle(start: Age, mut blockers: impl FnMut(Age) -> BTreeSet<Age>) -> Option<Vec<Age>> {
    // Depth first, with an explicit stack: the path from `start`, and what is left to try at each step.
    let mut path = vec![start];
    let mut left: Vec<Vec<Age>> = vec![blockers(start).into_iter().collect()];
    let mut seen = BTreeSet::from([start]);
    while let Some(choices) = left.last_mut() {
        match choices.pop() {
            Some(next) if next == start => return Some(path),
            Some(next) => {
                if seen.insert(next) {
                    path.push(next);
                    left.push(blockers(next).into_iter().collect());
                }
            }
            None => {
                path.pop();
                left.pop();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(number: u64) -> Age {
        Age { born: number, attempt: number }
    }

    fn circle(edges: &[(u64, u64)], start: u64) -> Option<BTreeSet<u64>> {
        let found = find_circle(age(start), |from| {
            edges.iter().filter(|(a, _)| age(*a) == from).map(|(_, b)| age(*b)).collect()
        });
        found.map(|path| path.into_iter().map(|age| age.born).collect())
    }

    #[test]
    fn finds_circles_through_the_start_only() {
        assert_eq!(circle(&[(1, 2), (2, 3), (3, 1)], 1), Some(BTreeSet::from([1, 2, 3])));
        assert_eq!(circle(&[(1, 2), (2, 3), (3, 2)], 1), None);
        assert_eq!(circle(&[(1, 2), (1, 4), (2, 3), (4, 1)], 1), Some(BTreeSet::from([1, 4])));
        assert_eq!(circle(&[], 1), None);
    }
}
