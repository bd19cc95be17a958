//! Who waits for whom, and who gives way.
//!
//! Two kinds of requests wait: a commit for the transactions that have read what it writes, and a
//! transaction's read for an older commit that wants to write what it reads. (A reader older than a
//! waiting commit goes first: the older wins, and since every newcomer is younger, neither starves.)
//! A wait that closes a circle is a deadlock. It is found when it arises, and the youngest
//! transaction in the circle is aborted. A plain commit is never that one: it waits only for older
//! transactions, and only younger ones wait for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
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

/// What keeps a request waiting, of all that may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocker {
    /// A transaction that holds a lock, or a commit that waits: nothing changes until it ends.
    Of(Age),
    /// A range: whether it is touched may change with every commit.
    Shifting,
}

/// All waiting requests, oldest first.
///
/// A request that waits for one certain blocker is not looked at again until that one ends: among
/// many that wait, most wait for somebody else than who has just ended.
#[derive(Debug, Default)]
pub struct Waits {
    queue: BTreeMap<Place, Pending>,
    deadlines: BTreeSet<(Timestamp, Place)>,
    /// To be looked at.
    awake: BTreeSet<Place>,
    /// To be looked at after every change.
    shifting: BTreeSet<Place>,
    /// Who waits for whom, at least: one blocker each.
    watchers: HashMap<Age, Vec<Place>>,
    /// The commits that wait to write a document.
    writers: HashMap<DocumentName, BTreeSet<Place>>,
}

impl Waits {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn insert(&mut self, place: Place, pending: Pending) {
        if let Some(deadline) = pending.deadline {
            self.deadlines.insert((deadline, place));
        }
        if let Action::Commit { writes, .. } = &pending.action {
            for write in writes {
                self.writers.entry(write.name.clone()).or_default().insert(place);
            }
        }
        self.queue.insert(place, pending);
        self.awake.insert(place);
    }

    pub fn remove(&mut self, place: &Place) -> Option<Pending> {
        let pending = self.queue.remove(place)?;
        self.awake.remove(place);
        self.shifting.remove(place);
        if let Some(deadline) = pending.deadline {
            self.deadlines.remove(&(deadline, *place));
        }
        if let Action::Commit { writes, .. } = &pending.action {
            for write in writes {
                if let Some(places) = self.writers.get_mut(&write.name) {
                    places.remove(place);
                    if places.is_empty() {
                        self.writers.remove(&write.name);
                    }
                }
            }
            self.wake(place.0);
        }
        Some(pending)
    }

    /// Has a request looked at no more until its blocker ends.
    pub fn sleep(&mut self, place: Place, blocker: Blocker) {
        self.awake.remove(&place);
        match blocker {
            Blocker::Of(age) => self.watchers.entry(age).or_default().push(place),
            Blocker::Shifting => {
                self.shifting.insert(place);
            }
        }
    }

    /// Has those looked at again that waited for this one.
    pub fn wake(&mut self, blocker: Age) {
        let places = self.watchers.remove(&blocker).unwrap_or_default();
        self.awake.extend(places.into_iter().filter(|place| self.queue.contains_key(place)));
    }

    /// Has a transaction's own requests looked at again.
    pub fn wake_own(&mut self, age: Age) {
        let places: Vec<Place> = self.of(age).map(|(place, _)| *place).collect();
        self.awake.extend(places);
    }

    /// Has those looked at again whose blockers shift with the data.
    pub fn wake_shifting(&mut self) {
        self.awake.append(&mut self.shifting);
    }

    /// Whether anyone waits for something that may change with every commit.
    pub fn has_shifting(&self) -> bool {
        !self.shifting.is_empty()
    }

    /// The oldest request that is to be looked at.
    pub fn next_awake(&mut self) -> Option<Place> {
        self.awake.pop_first()
    }

    /// The commits that wait to write a document, older ones than `age` only.
    pub fn older_writers(&self, name: &DocumentName, age: Age) -> impl Iterator<Item = Age> + use<'_> {
        self.writers.get(name).into_iter().flat_map(move |places| places.range(..(age, 0))).map(|place| place.0)
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

/// A shortest circle through `start`, which comes first in it, if there is one. `blockers` adds
/// those that an age waits for; it may leave out whom it has added before, but never `start`.
pub fn find_circle(start: Age, mut blockers: impl FnMut(Age, &mut Vec<Age>)) -> Option<Vec<Age>> {
    // Breadth first; each is remembered with who led to it.
    let mut from: HashMap<Age, Age> = HashMap::new();
    let mut next = VecDeque::from([start]);
    let mut found = Vec::new();
    while let Some(age) = next.pop_front() {
        found.clear();
        blockers(age, &mut found);
        for blocker in found.drain(..) {
            if blocker == start {
                let mut circle = vec![age];
                while let Some(earlier) = circle.last().and_then(|last| from.get(last)) {
                    circle.push(*earlier);
                }
                circle.reverse();
                return Some(circle);
            }
            if let std::collections::hash_map::Entry::Vacant(entry) = from.entry(blocker) {
                entry.insert(age);
                next.push_back(blocker);
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
        let found = find_circle(age(start), |from, found| {
            found.extend(edges.iter().filter(|(a, _)| age(*a) == from).map(|(_, b)| age(*b)));
        });
        found.map(|path| path.into_iter().map(|age| age.born).collect())
    }

    #[test]
    fn finds_circles_through_the_start_only() {
        assert_eq!(circle(&[(1, 2), (2, 3), (3, 1)], 1), Some(BTreeSet::from([1, 2, 3])));
        assert_eq!(circle(&[(1, 2), (2, 3), (3, 2)], 1), None);
        assert_eq!(circle(&[(1, 2), (1, 4), (2, 3), (4, 1)], 1), Some(BTreeSet::from([1, 4])));
        assert_eq!(circle(&[], 1), None);
        assert_eq!(circle(&[(1, 2), (2, 3), (3, 4), (4, 1), (2, 5), (5, 1)], 1), Some(BTreeSet::from([1, 2, 5])));
    }
}
