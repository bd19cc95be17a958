//! Versioned documents: every collection an ordered map, every document a short history.
//!
//! A version is kept while reads in the past may ask for it; [`Store::prune`] drops the rest. Field
//! indexes are made here when a query first wants them ([`Store::index`]) and kept up to date.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::engine::index::{Index, Indexes, Shape, Space};
use crate::path::DocumentName;
use crate::value::Fields;
use crate::value::size::document_size;

/// Collections with fewer documents are quicker looked through than indexed.
const WORTH_AN_INDEX: usize = 48;

/// One version of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub name: DocumentName,
    pub fields: Fields,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

/// What a document became at a commit; `None` where it was deleted.
#[derive(Clone, Debug)]
struct Version {
    time: Timestamp,
    document: Option<Arc<Document>>,
}

#[derive(Debug)]
struct Slot {
    head: Version,
    /// Oldest first.
    #[expect(clippy::box_collection, reason = "most documents have none: one pointer instead of four words")]
    older: Option<Box<VecDeque<Version>>>,
}

impl Slot {
    /// All versions that are still known, oldest first.
    fn versions(&self) -> impl Iterator<Item = &Version> {
        self.older.iter().flat_map(|older| older.iter()).chain(std::iter::once(&self.head))
    }

    fn at(&self, time: Option<Timestamp>) -> Option<&Arc<Document>> {
        let Some(time) = time else { return self.head.document.as_ref() };
        if self.head.time <= time {
            return self.head.document.as_ref();
        }
        let older = self.older.as_ref()?;
        let after = older.partition_point(|version| version.time <= time);
        older.get(after.checked_sub(1)?)?.document.as_ref()
    }

    /// Drops what no read at `horizon` or later can see; says whether anything is left to keep.
    fn prune(&mut self, horizon: Timestamp) -> bool {
        if let Some(older) = &mut self.older {
            if self.head.time <= horizon {
                self.older = None;
            } else {
                // The last version at or before the horizon is still what a read there sees.
                let keep_from = older.partition_point(|version| version.time <= horizon).saturating_sub(1);
                older.drain(..keep_from);
                if older.is_empty() {
                    self.older = None;
                }
            }
        }
        self.older.is_some() || self.head.document.is_some() || self.head.time > horizon
    }
}

#[derive(Debug, Default)]
struct Collection {
    documents: BTreeMap<DocumentName, Slot>,
}

/// One document of a commit, before and after.
#[derive(Clone, Debug)]
pub struct Change {
    pub name: DocumentName,
    pub before: Option<Arc<Document>>,
    pub after: Option<Arc<Document>>,
}

/// What a version takes in memory besides its name and fields.
const VERSION_BYTES: usize = 512;

/// A version that is no longer the newest.
#[derive(Debug)]
struct Superseded {
    time: Timestamp,
    name: DocumentName,
    bytes: usize,
}

/// All documents of a database.
#[derive(Debug)]
pub struct Store {
    /// By the collection's path.
    collections: BTreeMap<Arc<str>, Collection>,
    /// Collection ids, and the paths of the collections that have them.
    groups: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Superseded versions, oldest first.
    superseded: VecDeque<Superseded>,
    /// The bytes of them all.
    superseded_bytes: usize,
    /// Behind a cell, since they come into being by questions; held only for the time of one.
    indexes: RefCell<Indexes>,
    worth_an_index: usize,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            collections: BTreeMap::new(),
            groups: HashMap::new(),
            superseded: VecDeque::new(),
            superseded_bytes: 0,
            indexes: RefCell::default(),
            worth_an_index: WORTH_AN_INDEX,
        }
    }
}

impl Store {
    /// A store that indexes collections from this many documents on.
    #[cfg(test)]
    pub fn indexing_from(documents: usize) -> Store {
        Store { worth_an_index: documents, ..Store::default() }
    }

    /// Whether a space has so many documents that queries should go through an index.
    pub fn is_worth_an_index(&self, space: &Space) -> bool {
        let size = |path: &Arc<str>| self.collections.get(path).map_or(0, |collection| collection.documents.len());
        match space {
            Space::Collection(path) => size(path) >= self.worth_an_index,
            Space::Group(id) => {
                let mut total = 0;
                self.groups.get(id).into_iter().flatten().any(|path| {
                    total += size(path);
                    total >= self.worth_an_index
                })
            }
        }
    }

    /// Makes sure that the index is there: builds it from all versions where it is not.
    pub fn index(&self, space: &Space, shape: &Shape) {
        let mut indexes = self.indexes.borrow_mut();
        if indexes.touch(space, shape) {
            return;
        }
        let mut index = Index::new(shape.clone());
        let mut fill = |path: &Arc<str>| {
            for slot in self.collections.get(path).into_iter().flat_map(|collection| collection.documents.values()) {
                let mut before = None;
                for version in slot.versions() {
                    index.change(version.time, before, version.document.as_ref());
                    before = version.document.as_ref();
                }
            }
        };
        match space {
            Space::Collection(path) => fill(path),
            Space::Group(id) => self.groups.get(id).into_iter().flatten().for_each(fill),
        }
        index.sort();
        indexes.insert(space, index);
    }

    /// All indexes, to be held while a query runs.
    pub fn indexes(&self) -> std::cell::Ref<'_, Indexes> {
        self.indexes.borrow()
    }

    /// The document as it is now, or as it was at `time`.
    pub fn get(&self, name: &DocumentName, time: Option<Timestamp>) -> Option<&Arc<Document>> {
        self.collections.get(name.collection())?.documents.get(name)?.at(time)
    }

    /// When the document last changed, deletion included; `None` where nothing is known of it.
    pub fn changed_at(&self, name: &DocumentName) -> Option<Timestamp> {
        Some(self.collections.get(name.collection())?.documents.get(name)?.head.time)
    }

    /// Makes a commit's changes the newest versions. `time` is later than any before.
    pub fn install(&mut self, time: Timestamp, changes: &[Change]) {
        let indexes = self.indexes.get_mut();
        for change in changes {
            if !indexes.is_empty() {
                indexes.apply(time, change);
            }
            let version = Version { time, document: change.after.clone() };
            if !self.collections.contains_key(change.name.collection()) {
                let path: Arc<str> = Arc::from(change.name.collection());
                self.groups.entry(Arc::from(change.name.collection_id())).or_default().insert(Arc::clone(&path));
                self.collections.insert(path, Collection::default());
            }
            let Some(collection) = self.collections.get_mut(change.name.collection()) else { continue };
            if let Some(slot) = collection.documents.get_mut(&change.name) {
                let before = std::mem::replace(&mut slot.head, version);
                let document = before.document.as_ref();
                let bytes =
                    VERSION_BYTES + document.map_or(0, |document| document_size(&document.name, &document.fields));
                slot.older.get_or_insert_default().push_back(before);
                self.superseded_bytes += bytes;
                self.superseded.push_back(Superseded { time, name: change.name.clone(), bytes });
            } else {
                if version.document.is_none() {
                    continue;
                }
                collection.documents.insert(change.name.clone(), Slot { head: version, older: None });
            }
        }
    }

    /// Takes the newest commit back, as if it had never been.
    pub fn take_back(&mut self, time: Timestamp, changes: &[Change]) {
        // They come again when they are wanted.
        *self.indexes.get_mut() = Indexes::default();
        for change in changes {
            let Some(collection) = self.collections.get_mut(change.name.collection()) else { continue };
            let Some(slot) = collection.documents.get_mut(&change.name).filter(|slot| slot.head.time == time) else {
                continue;
            };
            if let Some(before) = slot.older.as_mut().and_then(|older| older.pop_back()) {
                slot.head = before;
                if slot.older.as_ref().is_some_and(|older| older.is_empty()) {
                    slot.older = None;
                }
            } else {
                collection.documents.remove(&change.name);
                self.drop_if_empty(&change.name);
            }
        }
        while self.superseded.back().is_some_and(|last| last.time == time) {
            self.superseded_bytes -= self.superseded.pop_back().map_or(0, |last| last.bytes);
        }
    }

    /// All versions that are kept, deletions included, by their times. A document's oldest one may
    /// stand for all that came before it.
    pub fn versions(&self) -> Vec<(Timestamp, &DocumentName, Option<&Arc<Document>>)> {
        let slots = self.collections.values().flat_map(|collection| &collection.documents);
        let mut all: Vec<_> = slots
            .flat_map(|(name, slot)| {
                let versions = slot.older.iter().flat_map(|older| older.iter()).chain([&slot.head]);
                versions.map(move |version| (version.time, name, version.document.as_ref()))
            })
            .collect();
        all.sort_by_key(|(time, _, _)| *time);
        all
    }

    /// Up to when versions are to be forgotten so that the rest may stay: `None` while all may.
    pub fn crowded(&self, bytes: usize) -> Option<Timestamp> {
        let first = self.superseded.front()?;
        (self.superseded_bytes > bytes).then_some(first.time)
    }

    /// Forgets versions that were superseded before `horizon`; a little at each call.
    pub fn prune(&mut self, horizon: Timestamp) {
        self.indexes.get_mut().prune(horizon);
        for _ in 0..64 {
            if self.superseded.front().is_none_or(|first| first.time > horizon) {
                return;
            }
            let Some(Superseded { name, bytes, .. }) = self.superseded.pop_front() else { return };
            self.superseded_bytes -= bytes;
            let Some(collection) = self.collections.get_mut(name.collection()) else { continue };
            if collection.documents.get_mut(&name).is_some_and(|slot| !slot.prune(horizon)) {
                collection.documents.remove(&name);
            }
            self.drop_if_empty(&name);
        }
    }

    /// Forgets the collection of a document that has gone, if it was the last.
    fn drop_if_empty(&mut self, name: &DocumentName) {
        if !self.collections.get(name.collection()).is_some_and(|collection| collection.documents.is_empty()) {
            return;
        }
        self.collections.remove(name.collection());
        let mut group_is_gone = false;
        if let Some(paths) = self.groups.get_mut(name.collection_id()) {
            paths.remove(name.collection());
            if paths.is_empty() {
                self.groups.remove(name.collection_id());
                group_is_gone = true;
            }
        }
        let group = group_is_gone.then(|| name.collection_id());
        self.indexes.get_mut().drop_collection(name.collection(), group);
    }

    /// The documents of one collection in name order, from `lower` to `upper`.
    pub fn collection<'a>(
        &'a self,
        path: &str,
        lower: Bound<&'a DocumentName>,
        upper: Bound<&'a DocumentName>,
        time: Option<Timestamp>,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Document>> + use<'a> {
        let valid = match (lower, upper) {
            (Bound::Included(a), Bound::Included(b)) => a <= b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a < b,
            _ => true,
        };
        let collection = if valid { self.collections.get(path) } else { None };
        collection
            .map(|collection| collection.documents.range::<DocumentName, _>((lower, upper)))
            .into_iter()
            .flatten()
            .filter_map(move |(_, slot)| slot.at(time))
    }

    /// The paths of all collections with this id at or below `parent` (the root, or a document).
    pub fn group<'a>(&'a self, id: &str, parent: &'a str) -> impl Iterator<Item = &'a Arc<str>> + use<'a> {
        self.groups.get(id).into_iter().flatten().filter(move |path| is_below(path, parent))
    }

    /// The paths of all collections at or below `parent`.
    pub fn collections_below<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a Arc<str>> + use<'a> {
        let lower = if parent.is_empty() { Bound::Unbounded } else { Bound::Included(parent) };
        self.collections
            .range::<str, _>((lower, Bound::Unbounded))
            .map(|(path, _)| path)
            // What starts with the parent's path is contiguous; siblings such as `a/x-y` may lie between.
            .take_while(move |path| path.starts_with(parent))
            .filter(move |path| is_below(path, parent))
    }

    /// Ids of the collections directly below `parent` that have documents, in order.
    pub fn collection_ids(&self, parent: &str, time: Option<Timestamp>) -> Vec<String> {
        let skip = if parent.is_empty() { 0 } else { parent.len() + 1 };
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        for path in self.collections_below(parent) {
            let id = path.get(skip..).unwrap_or_default().split('/').next().unwrap_or_default();
            if !ids.contains(id) && self.has_documents(path, time) {
                ids.insert(id);
            }
        }
        ids.into_iter().map(str::to_owned).collect()
    }

    /// Names directly below `parent` that have no document but descendants, in order.
    pub fn missing_documents(
        &self,
        parent: &str,
        collection_id: Option<&str>,
        time: Option<Timestamp>,
    ) -> Vec<DocumentName> {
        let skip = if parent.is_empty() { 0 } else { parent.len() + 1 };
        let mut names = BTreeSet::new();
        for path in self.collections_below(parent) {
            let mut segments = path.get(skip..).unwrap_or_default().split('/');
            let (Some(collection), Some(id), Some(_)) = (segments.next(), segments.next(), segments.next()) else {
                continue;
            };
            if collection_id.is_some_and(|wanted| wanted != collection) {
                continue;
            }
            let end = skip + collection.len() + 1 + id.len();
            let Ok(name) = DocumentName::parse_relative(path.get(..end).unwrap_or_default()) else { continue };
            if !names.contains(&name) && self.get(&name, time).is_none() && self.has_documents(path, time) {
                names.insert(name);
            }
        }
        names.into_iter().collect()
    }

    /// Whether a collection has any document at `time`.
    fn has_documents(&self, collection: &str, time: Option<Timestamp>) -> bool {
        self.collections
            .get(collection)
            .is_some_and(|collection| collection.documents.values().any(|slot| slot.at(time).is_some()))
    }
}

/// Whether a path lies below `parent`, which is empty for the root.
pub fn is_below(path: &str, parent: &str) -> bool {
    parent.is_empty() || path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> DocumentName {
        DocumentName::parse_relative(path).unwrap()
    }

    fn document(path: &str, at: i64) -> Option<Arc<Document>> {
        let time = Timestamp::from_micros(at);
        Some(Arc::new(Document { name: name(path), fields: Fields::new(), create_time: time, update_time: time }))
    }

    fn put(store: &mut Store, path: &str, at: i64) {
        let before = store.get(&name(path), None).cloned();
        let change = Change { name: name(path), before, after: document(path, at) };
        store.install(Timestamp::from_micros(at), &[change]);
    }

    #[test]
    fn old_versions_crowd_each_other_out() {
        let mut store = Store::default();
        for at in [10, 20, 30] {
            put(&mut store, "c/a", at);
        }
        let all = store.superseded_bytes;
        assert!(all > 0 && store.crowded(all).is_none());
        assert_eq!(store.crowded(all - 1), Some(Timestamp::from_micros(20)), "the first one was superseded then");
        store.prune(Timestamp::from_micros(20));
        assert_eq!((store.superseded_bytes, store.crowded(all - 1)), (all / 2, None));
        let seen = store.get(&name("c/a"), Some(Timestamp::from_micros(25)));
        assert_eq!(seen.map(|document| document.update_time.as_micros()), Some(20));
        store.prune(Timestamp::from_micros(40));
        assert_eq!((store.superseded_bytes, store.crowded(0)), (0, None));
    }

    fn delete(store: &mut Store, path: &str, at: i64) {
        let before = store.get(&name(path), None).cloned();
        store.install(Timestamp::from_micros(at), &[Change { name: name(path), before, after: None }]);
    }

    #[test]
    fn the_past_stays_readable_until_it_is_pruned() {
        let mut store = Store::default();
        put(&mut store, "c/a", 10);
        put(&mut store, "c/a", 20);
        delete(&mut store, "c/a", 30);
        let seen = |store: &Store, at| {
            store.get(&name("c/a"), Some(Timestamp::from_micros(at))).map(|document| document.update_time.as_micros())
        };
        assert_eq!(
            [5, 10, 19, 20, 29, 30].map(|at| seen(&store, at)),
            [None, Some(10), Some(10), Some(20), Some(20), None]
        );
        store.prune(Timestamp::from_micros(25));
        assert_eq!([19, 25, 30].map(|at| seen(&store, at)), [None, Some(20), None]);
        store.prune(Timestamp::from_micros(40));
        assert!(store.collections.is_empty() && store.groups.is_empty());
    }

    #[test]
    fn a_commit_taken_back_leaves_no_trace() {
        let mut store = Store::default();
        put(&mut store, "c/a", 10);
        let changes = [
            Change { name: name("c/a"), before: store.get(&name("c/a"), None).cloned(), after: None },
            Change { name: name("d/new"), before: None, after: document("d/new", 20) },
            Change { name: name("d/none"), before: None, after: None },
        ];
        store.install(Timestamp::from_micros(20), &changes);
        store.take_back(Timestamp::from_micros(20), &changes);
        let seen = |store: &Store, at: Option<i64>| {
            let at = at.map(Timestamp::from_micros);
            store.get(&name("c/a"), at).map(|document| document.update_time.as_micros())
        };
        assert_eq!([Some(10), Some(20), None].map(|at| seen(&store, at)), [Some(10); 3]);
        assert_eq!(store.collections.keys().map(|path| &**path).collect::<Vec<_>>(), ["c"]);
        assert!(!store.groups.contains_key("d") && store.superseded.is_empty());
        put(&mut store, "c/a", 30);
        assert_eq!([Some(20), Some(30)].map(|at| seen(&store, at)), [Some(10), Some(30)]);
    }

    #[test]
    fn groups_and_prefixes_respect_whole_segments() {
        let mut store = Store::default();
        for path in ["a/x/g/1", "a/x-y/g/1", "g/1", "b/z/h/1"] {
            put(&mut store, path, 1);
        }
        let group: Vec<_> = store.group("g", "a/x").map(|path| path.to_string()).collect();
        assert_eq!(group, ["a/x/g"]);
        assert_eq!(store.group("g", "").count(), 3);
        let below: Vec<_> = store.collections_below("a/x").map(|path| path.to_string()).collect();
        assert_eq!(below, ["a/x/g"]);
    }
}
