//! Field indexes: ordered maps beside the documents, so that queries do not look at all of them.
//!
//! An index belongs to one collection, or to all collections with one id, and to one [`Shape`]. It
//! is built when a query first asks for it, from then on every commit keeps it up to date, and
//! the one unused for longest goes where a space has too many. Which indexes production would demand
//! of the user ([`required`], from what is declared in a [`catalogue`]) is another matter: queries are
//! answered the same whatever is declared.

pub mod catalogue;
pub mod file;
pub mod key;
pub mod limits;
mod ordered;
pub mod required;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::engine::store::Change;
use crate::path::FieldPath;

pub use ordered::{Index, Span, Spot};

/// The most shapes that one space keeps.
const SHAPES: usize = 32;

/// How one field stands in an index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Mode {
    Ascending,
    Descending,
    /// One entry for each distinct element of an array.
    Contains,
}

/// The fields of an index, in order. The document's name, ascending, comes after them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shape(pub Box<[(FieldPath, Mode)]>);

/// The documents that an index is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Space {
    /// One collection, by its path.
    Collection(Arc<str>),
    /// All collections with an id.
    Group(Arc<str>),
}

/// All indexes of a database.
#[derive(Debug, Default)]
pub struct Indexes {
    collections: HashMap<Arc<str>, Vec<Index>>,
    groups: HashMap<Arc<str>, Vec<Index>>,
    /// Counts the questions, to know which index was asked last.
    asked: u64,
    /// When the next entry that only the past still has may be forgotten.
    fades: Option<Timestamp>,
}

impl Indexes {
    /// The index of a shape, if it is there.
    pub fn get(&self, space: &Space, shape: &Shape) -> Option<&Index> {
        self.of(space)?.iter().find(|index| index.shape == *shape)
    }

    fn of(&self, space: &Space) -> Option<&Vec<Index>> {
        match space {
            Space::Collection(path) => self.collections.get(path),
            Space::Group(id) => self.groups.get(id),
        }
    }

    /// Marks the index as used; says whether it is there.
    pub fn touch(&mut self, space: &Space, shape: &Shape) -> bool {
        self.asked += 1;
        let asked = self.asked;
        let indexes = match space {
            Space::Collection(path) => self.collections.get_mut(path),
            Space::Group(id) => self.groups.get_mut(id),
        };
        let Some(index) = indexes.and_then(|all| all.iter_mut().find(|index| index.shape == *shape)) else {
            return false;
        };
        index.asked = asked;
        true
    }

    /// Takes in a new index.
    pub fn insert(&mut self, space: &Space, mut index: Index) {
        index.asked = self.asked;
        self.note_fading(index.fades());
        let indexes = match space {
            Space::Collection(path) => self.collections.entry(Arc::clone(path)).or_default(),
            Space::Group(id) => self.groups.entry(Arc::clone(id)).or_default(),
        };
        if indexes.len() >= SHAPES
            && let Some(oldest) = (0..indexes.len()).min_by_key(|at| indexes.get(*at).map(|index| index.asked))
        {
            indexes.swap_remove(oldest);
        }
        indexes.push(index);
    }

    /// Brings all indexes up to a commit at `time`.
    pub fn apply(&mut self, time: Timestamp, change: &Change) {
        let mut fades = None;
        let collection = self.collections.get_mut(change.name.collection());
        let group = self.groups.get_mut(change.name.collection_id());
        for index in collection.into_iter().chain(group).flatten() {
            index.apply(time, change);
            fades = fades.or(index.fades());
        }
        self.note_fading(fades);
    }

    fn note_fading(&mut self, time: Option<Timestamp>) {
        self.fades = [self.fades, time].into_iter().flatten().min();
    }

    pub fn is_empty(&self) -> bool {
        self.collections.is_empty() && self.groups.is_empty()
    }

    /// Forgets entries that no read at `horizon` or later can see.
    pub fn prune(&mut self, horizon: Timestamp) {
        if self.fades.is_none_or(|time| time > horizon) {
            return;
        }
        self.fades = None;
        let mut fades = None;
        for index in self.collections.values_mut().chain(self.groups.values_mut()).flatten() {
            index.prune(horizon);
            fades = [fades, index.fades()].into_iter().flatten().min();
        }
        self.fades = fades;
    }

    /// Forgets the indexes of a collection that is gone, and of its group where that is gone too.
    pub fn drop_collection(&mut self, path: &str, group: Option<&str>) {
        self.collections.remove(path);
        if let Some(id) = group {
            self.groups.remove(id);
        }
    }
}
