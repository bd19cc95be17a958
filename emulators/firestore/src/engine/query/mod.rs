//! Queries: what to look for, in which order, from where to where.
//!
//! A [`Query`] is checked and normalised once ([`normalize`]); then it can be run ([`run`]), asked
//! whether a single document matches (listeners, range locks), and aggregated ([`aggregate`]).

pub mod aggregate;
mod disjunctions;
pub mod filter;
pub mod nearest;
pub mod normalize;
pub mod order;
pub mod plan;
pub mod run;

use std::sync::Arc;

pub use filter::{Filter, Operator, UnaryOperator};
pub use nearest::{Measure, Nearest};
pub use order::{Cursor, Direction, Key, Order, Target};

use crate::engine::store::{Document, is_below};
use crate::path::{DocumentName, FieldPath};

/// Which collections a query looks into.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// A document's path, or empty for the root.
    pub parent: Arc<str>,
    /// `None` looks into all collections.
    pub collection_id: Option<Arc<str>>,
    /// Whether all descendants count or only immediate children.
    pub all_descendants: bool,
}

impl Scope {
    /// Whether a document with this name is looked at.
    pub fn contains(&self, name: &DocumentName) -> bool {
        if self.collection_id.as_ref().is_some_and(|id| **id != *name.collection_id()) {
            return false;
        }
        let collection = name.collection();
        if self.all_descendants {
            return is_below(collection, &self.parent);
        }
        let own_id = name.collection_id().len();
        match collection.len().checked_sub(own_id + 1) {
            Some(parent) => collection.get(..parent) == Some(&*self.parent),
            None => self.parent.is_empty(),
        }
    }

    /// The path of the one collection that this scope is, if it is one.
    pub fn single_collection(&self) -> Option<String> {
        let id = self.collection_id.as_ref().filter(|_| !self.all_descendants)?;
        Some(if self.parent.is_empty() { id.to_string() } else { format!("{}/{id}", self.parent) })
    }
}

/// A checked query, with all implied orders written out. `__name__` is always the last order.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub scope: Scope,
    pub filter: Option<Filter>,
    pub order: Vec<Order>,
    pub start: Option<Cursor>,
    pub end: Option<Cursor>,
    pub offset: usize,
    pub limit: Option<usize>,
    /// Fields to return; `None` is all, empty is none.
    pub select: Option<Vec<FieldPath>>,
    pub nearest: Option<Nearest>,
}

impl Query {
    /// Whether a document is in the result before cursors, offset and limit.
    pub fn matches(&self, document: &Document) -> bool {
        self.scope.contains(&document.name)
            && self.filter.as_ref().is_none_or(|filter| filter.matches(document))
            && self.order.iter().all(|order| order.target.is_present(document))
    }

    /// Whether a document is between the cursors.
    pub fn within_cursors(&self, document: &Document) -> bool {
        self.start.as_ref().is_none_or(|cursor| cursor.admits_from(&self.order, document))
            && self.end.as_ref().is_none_or(|cursor| cursor.admits_to(&self.order, document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(parent: &str, id: Option<&str>, all_descendants: bool) -> Scope {
        Scope { parent: Arc::from(parent), collection_id: id.map(Arc::from), all_descendants }
    }

    #[test]
    fn scopes_know_their_documents() {
        let name = |path| DocumentName::parse_relative(path).unwrap();
        assert!(scope("", Some("a"), false).contains(&name("a/1")));
        assert!(!scope("", Some("a"), false).contains(&name("x/1/a/1")));
        assert!(scope("x/1", Some("a"), false).contains(&name("x/1/a/1")));
        assert!(!scope("x/1", Some("a"), false).contains(&name("x/11/a/1")));
        assert!(scope("", Some("a"), true).contains(&name("x/1/a/1")));
        assert!(scope("x/1", Some("a"), true).contains(&name("x/1/y/2/a/1")));
        assert!(!scope("x/1", Some("a"), true).contains(&name("a/1")));
        assert!(scope("x/1", None, false).contains(&name("x/1/b/1")));
        assert!(!scope("x/1", None, false).contains(&name("x/1/b/1/c/2")));
        assert!(scope("", None, false).contains(&name("b/1")));
    }
}
