//! Running a query: where candidates come from, and how they become a result.
//!
//! Candidates come from the collection's ordered map, cut to the range of names that filters and
//! cursors allow. Field indexes will be another source beside [`candidates`].

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use super::order::{self, Direction, Key, Target};
use super::{Filter, Operator, Query};
use crate::engine::store::{Document, Store};
use crate::path::DocumentName;

/// What a query found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub documents: Vec<Arc<Document>>,
    /// Distances, in the order of `documents`, for a nearest-neighbour search.
    pub distances: Vec<f64>,
    /// How many results the offset skipped.
    pub skipped: usize,
    /// The last document looked at where the limit ended the scan: later ones cannot matter.
    pub last: Option<Arc<Document>>,
}

/// Runs a query against the newest versions, or against those at `time`.
pub fn run(store: &Store, query: &Query, time: Option<Timestamp>) -> Found {
    let wanted = match (query.limit, &query.nearest) {
        (Some(limit), None) => query.offset.saturating_add(limit),
        _ => usize::MAX,
    };
    let mut documents = if wanted == 0 { Vec::new() } else { collect(store, query, time, wanted) };
    let full = documents.len() >= wanted;
    let last = if full { documents.last().cloned() } else { None };
    let skipped = query.offset.min(documents.len());
    documents.drain(..skipped);
    match &query.nearest {
        None => Found { documents, distances: Vec::new(), skipped, last },
        Some(nearest) => {
            let (documents, distances) = nearest.search(documents);
            let keep = query.limit.unwrap_or(usize::MAX).min(documents.len());
            Found {
                documents: documents.into_iter().take(keep).collect(),
                distances: distances.into_iter().take(keep).collect(),
                skipped,
                last: None,
            }
        }
    }
}

/// Every match between the cursors, in no particular order.
pub fn matching<'a>(
    store: &'a Store,
    query: &'a Query,
    time: Option<Timestamp>,
) -> impl Iterator<Item = &'a Arc<Document>> + 'a {
    candidates(store, query, time).filter(move |document| query.matches(document) && query.within_cursors(document))
}

/// The first `wanted` matches in order.
fn collect(store: &Store, query: &Query, time: Option<Timestamp>, wanted: usize) -> Vec<Arc<Document>> {
    let by_name = matches!(query.order.as_slice(), [only] if only.target == Target::Name);
    if by_name && query.scope.single_collection().is_some() {
        // The map has this very order, so the scan may end early.
        return match query.order.first().map(|order| order.direction) {
            Some(Direction::Descending) => collection_candidates(store, query, time)
                .rev()
                .filter(|document| query.matches(document) && query.within_cursors(document))
                .take(wanted)
                .cloned()
                .collect(),
            _ => matching(store, query, time).take(wanted).cloned().collect(),
        };
    }
    let mut documents: Vec<&Arc<Document>> = matching(store, query, time).collect();
    if wanted < documents.len() / 2 {
        documents.select_nth_unstable_by(wanted, |a, b| order::compare(&query.order, a, b));
        documents.truncate(wanted);
    }
    documents.sort_unstable_by(|a, b| order::compare(&query.order, a, b));
    documents.into_iter().take(wanted).cloned().collect()
}

/// Every document that may match.
fn candidates<'a>(
    store: &'a Store,
    query: &'a Query,
    time: Option<Timestamp>,
) -> Box<dyn Iterator<Item = &'a Arc<Document>> + 'a> {
    let scope = &query.scope;
    if scope.single_collection().is_some() {
        return Box::new(collection_candidates(store, query, time));
    }
    let all = move |path: &'a Arc<str>| store.collection(path, Bound::Unbounded, Bound::Unbounded, time);
    match &scope.collection_id {
        Some(id) => Box::new(store.group(id, &scope.parent).flat_map(all)),
        None => Box::new(store.collections_below(&scope.parent).flat_map(all)),
    }
}

fn collection_candidates<'a>(
    store: &'a Store,
    query: &'a Query,
    time: Option<Timestamp>,
) -> impl DoubleEndedIterator<Item = &'a Arc<Document>> + use<'a> {
    let path = query.scope.single_collection().unwrap_or_default();
    let (lower, upper) = name_range(query);
    store.collection(&path, lower, upper, time)
}

/// The range of names that the top-level conditions and the cursors allow. Wider is only slower.
fn name_range(query: &Query) -> (Bound<&DocumentName>, Bound<&DocumentName>) {
    let mut lower: Bound<&DocumentName> = Bound::Unbounded;
    let mut upper: Bound<&DocumentName> = Bound::Unbounded;
    let mut narrow = |operator: Operator, name| match operator {
        Operator::Equal => {
            lower = later(lower, Bound::Included(name));
            upper = earlier(upper, Bound::Included(name));
        }
        Operator::Greater => lower = later(lower, Bound::Excluded(name)),
        Operator::GreaterOrEqual => lower = later(lower, Bound::Included(name)),
        Operator::Less => upper = earlier(upper, Bound::Excluded(name)),
        Operator::LessOrEqual => upper = earlier(upper, Bound::Included(name)),
        _ => {}
    };
    let conditions = match &query.filter {
        Some(Filter::And(filters)) => filters.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    for condition in conditions {
        if let Filter::Name(operator, names) = condition
            && let Some(name) = names.first()
        {
            narrow(*operator, name);
        }
    }
    if let Some(first) = query.order.first()
        && first.target == Target::Name
    {
        let ascending = first.direction == Direction::Ascending;
        for (cursor, is_start) in [(&query.start, true), (&query.end, false)] {
            if let Some(cursor) = cursor
                && let Some(Key::Name(name)) = cursor.keys.first()
            {
                narrow(if is_start == ascending { Operator::GreaterOrEqual } else { Operator::LessOrEqual }, name);
            }
        }
    }
    (lower, upper)
}

fn later<'a>(a: Bound<&'a DocumentName>, b: Bound<&'a DocumentName>) -> Bound<&'a DocumentName> {
    stricter(a, b, Ordering::Greater)
}

fn earlier<'a>(a: Bound<&'a DocumentName>, b: Bound<&'a DocumentName>) -> Bound<&'a DocumentName> {
    stricter(a, b, Ordering::Less)
}

/// The bound whose name compares as `wanted` to the other's; of two at one name, the exclusive one.
fn stricter<'a>(a: Bound<&'a DocumentName>, b: Bound<&'a DocumentName>, wanted: Ordering) -> Bound<&'a DocumentName> {
    match (a, b) {
        (Bound::Unbounded, other) | (other, Bound::Unbounded) => other,
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => match x.cmp(y) {
            Ordering::Equal if matches!(b, Bound::Excluded(_)) => b,
            Ordering::Equal => a,
            order if order == wanted => a,
            _ => b,
        },
    }
}
