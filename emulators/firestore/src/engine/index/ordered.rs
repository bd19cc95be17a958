//! One index: live entries in order, and entries that only reads of the past still see.
//!
//! A read of the newest versions walks the live entries. A read at an earlier time walks both kinds
//! and asks each document's version of that time whether the entry held for it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use super::{Mode, Shape, key};
use crate::engine::store::{Change, Document, Store};
use crate::path::DocumentName;
use crate::value::Value;

/// A document's place in an index. Equal entries are of one document with the same values.
#[derive(Clone, Debug)]
struct Entry {
    key: Box<[u8]>,
    document: Arc<Document>,
}

/// A place to search from or to: before all documents with a key, or at one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    pub key: Vec<u8>,
    pub name: Option<DocumentName>,
}

/// A part of an index.
#[derive(Clone, Debug)]
pub struct Span {
    pub lower: Bound<Spot>,
    pub upper: Bound<Spot>,
}

/// What entries and spots have in common.
trait Place {
    fn key(&self) -> &[u8];
    fn name(&self) -> Option<&DocumentName>;
}

impl Place for Entry {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn name(&self) -> Option<&DocumentName> {
        Some(&self.document.name)
    }
}

impl Place for Spot {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn name(&self) -> Option<&DocumentName> {
        self.name.as_ref()
    }
}

impl Ord for dyn Place + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key()).then_with(|| self.name().cmp(&other.name()))
    }
}

impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for dyn Place + '_ {}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.key.cmp(&other.key).then_with(|| self.document.name.cmp(&other.document.name))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl<'a> Borrow<dyn Place + 'a> for Entry {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl Span {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: Vec<u8>) -> Span {
        let upper = match key::after(prefix.clone()) {
            Some(key) => Bound::Excluded(Spot { key, name: None }),
            None => Bound::Unbounded,
        };
        Span { lower: Bound::Included(Spot { key: prefix, name: None }), upper }
    }

    /// No more than what is at or after the bound as well.
    pub fn from(&mut self, bound: Bound<Spot>) {
        if is_stricter(&self.lower, &bound, Ordering::Greater) {
            self.lower = bound;
        }
    }

    /// No more than what is at or before the bound as well.
    pub fn to(&mut self, bound: Bound<Spot>) {
        if is_stricter(&self.upper, &bound, Ordering::Less) {
            self.upper = bound;
        }
    }

    fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Included(a), Bound::Included(b)) => compare(a, b) == Ordering::Greater,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
                compare(a, b) != Ordering::Less
            }
            _ => false,
        }
    }

    fn bounds(&self) -> (Bound<&dyn Place>, Bound<&dyn Place>) {
        fn borrowed(bound: &Bound<Spot>) -> Bound<&dyn Place> {
            match bound {
                Bound::Included(spot) => Bound::Included(spot),
                Bound::Excluded(spot) => Bound::Excluded(spot),
                Bound::Unbounded => Bound::Unbounded,
            }
        }
        (borrowed(&self.lower), borrowed(&self.upper))
    }
}

fn compare(a: &Spot, b: &Spot) -> Ordering {
    (a as &dyn Place).cmp(b as &dyn Place)
}

/// Whether `new` leaves less than `old`, where bounds move towards `wanted`.
fn is_stricter(old: &Bound<Spot>, new: &Bound<Spot>, wanted: Ordering) -> bool {
    match (old, new) {
        (_, Bound::Unbounded) => false,
        (Bound::Unbounded, _) => true,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => match compare(b, a) {
            Ordering::Equal => matches!(new, Bound::Excluded(_)),
            order => order == wanted,
        },
    }
}

/// One index over the documents of a space.
#[derive(Debug)]
pub struct Index {
    pub shape: Shape,
    /// When a query last asked for it, on the counter of all indexes.
    pub asked: u64,
    live: BTreeSet<Entry>,
    /// Entries that held until some time within the retention.
    past: BTreeMap<Entry, Timestamp>,
    /// The same in the order of those times; an entry that held again stands there more than once.
    fading: VecDeque<(Timestamp, Entry)>,
    changed: Timestamp,
}

impl Index {
    /// An index without entries; [`Index::change`] fills it.
    pub fn new(shape: Shape) -> Index {
        Index {
            shape,
            asked: 0,
            live: BTreeSet::new(),
            past: BTreeMap::new(),
            fading: VecDeque::new(),
            changed: Timestamp::EPOCH,
        }
    }

    /// To be called where changes were told document by document rather than in the order of time.
    pub fn sort(&mut self) {
        self.fading.make_contiguous().sort_by_key(|(time, _)| *time);
    }

    /// Brings the index up to a commit.
    pub fn apply(&mut self, time: Timestamp, change: &Change) {
        self.change(time, change.before.as_ref(), change.after.as_ref());
    }

    /// A document was one thing until `time` and is another since.
    pub fn change(&mut self, time: Timestamp, before: Option<&Arc<Document>>, after: Option<&Arc<Document>>) {
        self.changed = self.changed.max(time);
        let keys_after = after.map(|document| keys(&self.shape, document)).unwrap_or_default();
        if let Some(document) = before {
            for key in keys(&self.shape, document) {
                if keys_after.contains(&key) {
                    continue;
                }
                let entry = Entry { key, document: Arc::clone(document) };
                self.live.remove(&entry);
                self.past.insert(entry.clone(), time);
                self.fading.push_back((time, entry));
            }
        }
        if let Some(document) = after {
            for key in keys_after {
                // An entry that stays gets the new version of the document.
                self.live.replace(Entry { key, document: Arc::clone(document) });
            }
        }
    }

    /// When the oldest entry of the past ceased to hold.
    pub fn fades(&self) -> Option<Timestamp> {
        self.fading.front().map(|(time, _)| *time)
    }

    /// Forgets entries that no read at `horizon` or later can see.
    pub fn prune(&mut self, horizon: Timestamp) {
        while self.fading.front().is_some_and(|(time, _)| *time <= horizon) {
            let Some((time, entry)) = self.fading.pop_front() else { return };
            if self.past.get(&entry) == Some(&time) {
                self.past.remove(&entry);
            }
        }
    }

    /// The documents of a span, in order: as they are, or as they were at `time`.
    pub fn scan<'a>(
        &'a self,
        store: &'a Store,
        span: &Span,
        time: Option<Timestamp>,
    ) -> Box<dyn DoubleEndedIterator<Item = &'a Arc<Document>> + 'a> {
        if span.is_empty() {
            return Box::new(std::iter::empty());
        }
        let live = self.live.range::<dyn Place, _>(span.bounds());
        match time {
            Some(time) if time < self.changed => {
                let past = self.past.range::<dyn Place, _>(span.bounds()).map(|(entry, _)| entry);
                let both: BTreeSet<&Entry> = live.chain(past).collect();
                let then: Vec<&Arc<Document>> = both
                    .into_iter()
                    .filter_map(|entry| {
                        let document = store.get(&entry.document.name, Some(time))?;
                        keys(&self.shape, document).contains(&entry.key).then_some(document)
                    })
                    .collect();
                Box::new(then.into_iter())
            }
            _ => Box::new(live.map(|entry| &entry.document)),
        }
    }

    #[cfg(test)]
    pub fn sizes(&self) -> (usize, usize) {
        (self.live.len(), self.past.len())
    }
}

/// A document's keys: none where a field is missing, several where an array has several elements.
fn keys(shape: &Shape, document: &Document) -> Vec<Box<[u8]>> {
    let mut stem: Vec<u8> = Vec::with_capacity(32);
    // The elements of an array field, and how long the stem was before them.
    let mut several: Option<(usize, Vec<Vec<u8>>)> = None;
    for (path, mode) in &shape.0 {
        let Some(value) = path.get(&document.fields) else { return Vec::new() };
        if *mode != Mode::Contains {
            key::push(&mut stem, value, *mode);
            continue;
        }
        let Value::Array(elements) = value else { return Vec::new() };
        let mut encoded: Vec<Vec<u8>> = elements
            .iter()
            .map(|element| {
                let mut bytes = Vec::new();
                key::push(&mut bytes, element, Mode::Ascending);
                bytes
            })
            .collect();
        encoded.sort_unstable();
        encoded.dedup();
        several = Some((stem.len(), encoded));
    }
    match several {
        None => vec![stem.into()],
        Some((at, elements)) => {
            let (head, tail) = stem.split_at(at);
            elements.into_iter().map(|element| [head, &element, tail].concat().into()).collect()
        }
    }
}
