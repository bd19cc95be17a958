//! The window of a query with a limit: which documents are in it, kept up from commit to commit.
//!
//! What lies up to a full window's last document is known entirely; of what comes after it, nothing
//! is. So a change costs as much as the window is long, and the query is run again only when a full
//! window has lost a document and nothing known takes its place.

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::engine::query::{Query, order, run};
use crate::engine::store::{Change, Document, Store};
use crate::path::DocumentName;

/// A document before and after a commit.
type Replaced = (Option<Arc<Document>>, Option<Arc<Document>>);

/// Whether a query's result depends on more than each document by itself.
pub fn is_windowed(query: &Query) -> bool {
    query.limit.is_some() || query.offset > 0 || query.nearest.is_some()
}

/// What a window lost, and what is new or newer in it.
#[derive(Debug, Default, PartialEq)]
pub struct Difference {
    pub left: Vec<DocumentName>,
    pub entered: Vec<Arc<Document>>,
}

/// The result of a query at some time.
#[derive(Debug)]
pub struct Window {
    query: Arc<Query>,
    /// In the query's order.
    documents: Vec<Arc<Document>>,
}

impl Window {
    /// The window as it is, or as it was at `time`.
    pub fn new(store: &Store, query: &Arc<Query>, time: Option<Timestamp>) -> Window {
        Window { query: Arc::clone(query), documents: run::run(store, query, time).documents }
    }

    pub fn documents(&self) -> &[Arc<Document>] {
        &self.documents
    }

    pub fn clear(&mut self) {
        self.documents.clear();
    }

    /// Follows a commit that the store has already.
    pub fn follow(&mut self, store: &Store, changes: &[&Change]) -> Difference {
        let admitted = |document: &&Arc<Document>| self.query.matches(document) && self.query.within_cursors(document);
        let of = |document: &Option<Arc<Document>>| document.as_ref().filter(admitted).cloned();
        let changes: Vec<_> = changes.iter().map(|change| (of(&change.before), of(&change.after))).collect();
        if changes.iter().all(|(before, after)| before.is_none() && after.is_none()) {
            return Difference::default();
        }
        let new = match self.query.limit {
            Some(limit) if self.query.offset == 0 && self.query.nearest.is_none() => self.shifted(limit, &changes),
            _ => None,
        };
        let new = new.unwrap_or_else(|| run::run(store, &self.query, None).documents);
        let old = std::mem::replace(&mut self.documents, new);
        difference(&old, &self.documents)
    }

    /// The window after these changes, where that follows from what is known.
    fn shifted(&self, limit: usize, changes: &[Replaced]) -> Option<Vec<Arc<Document>>> {
        let compare = |a: &Document, b: &Document| order::compare(&self.query.order, a, b);
        let mut known = self.documents.clone();
        for (before, after) in changes {
            let place = |known: &[Arc<Document>], document| known.binary_search_by(|other| compare(other, document));
            if let Some(before) = before
                && let Ok(at) = place(&known, before)
            {
                known.remove(at);
            }
            if let Some(after) = after {
                match place(&known, after) {
                    Ok(at) => known[at] = Arc::clone(after),
                    Err(at) => known.insert(at, Arc::clone(after)),
                }
            }
        }
        if self.documents.len() >= limit
            && let Some(last) = self.documents.last()
        {
            // Unknown documents may lie anywhere after the old last one.
            let certain = known.partition_point(|document| compare(document, last).is_le());
            if certain < limit {
                return None;
            }
        }
        known.truncate(limit);
        Some(known)
    }
}

/// What distinguishes two windows.
pub fn difference(before: &[Arc<Document>], after: &[Arc<Document>]) -> Difference {
    let mut gone: HashMap<&DocumentName, &Arc<Document>> =
        before.iter().map(|document| (&document.name, document)).collect();
    let mut entered = Vec::new();
    for document in after {
        if gone.remove(&document.name).is_none_or(|known| !Arc::ptr_eq(known, document)) {
            entered.push(Arc::clone(document));
        }
    }
    let mut left: Vec<DocumentName> = gone.into_keys().cloned().collect();
    left.sort();
    Difference { left, entered }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::query::Scope;
    use crate::engine::query::normalize::Draft;
    use crate::engine::query::{Direction, Filter, Operator, Order, Target};
    use crate::path::FieldPath;
    use crate::value::{Fields, Value};

    fn document(id: u8, number: i64, at: Timestamp) -> Arc<Document> {
        let name = DocumentName::parse_relative(&format!("c/{id}")).unwrap();
        let fields: Fields = [(Arc::from("n"), Value::Int(number))].into_iter().collect();
        Arc::new(Document { name, fields, create_time: at, update_time: at })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Following commits leads to what the query finds, and the differences to what a client has.
        #[test]
        fn a_window_that_follows_is_what_the_query_finds(
            limit in 1..6_usize,
            offset in 0..2_usize,
            descending in any::<bool>(),
            commits in prop::collection::vec(prop::collection::vec((0..12_u8, prop::option::of(0..10_i64)), 1..4), 1..40),
        ) {
            let scope = Scope { parent: Arc::from(""), collection_id: Some(Arc::from("c")), all_descendants: false };
            let mut draft = Draft::new(scope);
            draft.filter = Some(Filter::Field(FieldPath::parse("n").unwrap(), Operator::GreaterOrEqual, Value::Int(2)));
            let direction = if descending { Direction::Descending } else { Direction::Ascending };
            draft.order = vec![Order { target: Target::Field(FieldPath::parse("n").unwrap()), direction }];
            let query = Arc::new(Query { limit: Some(limit), offset, ..draft.normalize().unwrap() });
            let mut store = Store::default();
            let mut window = Window::new(&store, &query, None);
            let mut client: HashMap<DocumentName, Arc<Document>> = HashMap::new();
            for (number, commit) in commits.into_iter().enumerate() {
                let time = Timestamp::from_micros(number as i64 + 1);
                let mut changes: Vec<Change> = Vec::new();
                for (id, number) in commit {
                    let name = DocumentName::parse_relative(&format!("c/{id}")).unwrap();
                    if changes.iter().all(|change| change.name != name) {
                        let before = store.get(&name, None).cloned();
                        changes.push(Change { name, before, after: number.map(|number| document(id, number, time)) });
                    }
                }
                store.install(time, &changes);
                let Difference { left, entered } = window.follow(&store, &changes.iter().collect::<Vec<_>>());
                for name in left {
                    prop_assert!(client.remove(&name).is_some());
                }
                client.extend(entered.into_iter().map(|document| (document.name.clone(), document)));
                let expected = run::run(&store, &query, None).documents;
                prop_assert_eq!(window.documents(), &expected[..]);
                prop_assert_eq!(client.len(), expected.len());
                prop_assert!(expected.iter().all(|document| Arc::ptr_eq(&client[&document.name], document)));
            }
        }
    }
}
