//! Running a query: where candidates come from, and how they become a result.
//!
//! Where a collection is large enough, candidates come from field indexes ([`super::plan`]), already
//! in order, so that a limit ends the walk. Else they come from the collection's ordered map, cut to
//! the range of names that filters and cursors allow. Both give the same result.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use super::order::{self, Direction, Key, Target};
use super::plan::{self, Walk};
use super::{Filter, Operator, Query};
use crate::engine::index::Space;
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
    /// How many index entries were looked at, or would have been where there was no need for one.
    pub scanned: usize,
}

/// Runs a query against the newest versions, or against those at `time`.
pub fn run(store: &Store, query: &Query, time: Option<Timestamp>) -> Found {
    let wanted = match (query.limit, &query.nearest) {
        (Some(limit), None) => query.offset.saturating_add(limit),
        _ => usize::MAX,
    };
    let mut documents = Vec::new();
    let mut scanned = 0;
    if wanted > 0 {
        scanned = ordered(store, query, time, wanted, &mut |document| documents.push(Arc::clone(document)));
    }
    let full = documents.len() >= wanted;
    let last = if full { documents.last().cloned() } else { None };
    let skipped = query.offset.min(documents.len());
    documents.drain(..skipped);
    match &query.nearest {
        None => Found { documents, distances: Vec::new(), skipped, last, scanned },
        Some(nearest) => {
            let (documents, distances) = nearest.search(documents);
            let keep = query.limit.unwrap_or(usize::MAX).min(documents.len());
            Found {
                documents: documents.into_iter().take(keep).collect(),
                distances: distances.into_iter().take(keep).collect(),
                skipped,
                last: None,
                scanned,
            }
        }
    }
}

/// Shows `visit` every match between the cursors, in no particular order; offset and limit apart.
/// Returns how many entries were looked at.
pub fn each(store: &Store, query: &Query, time: Option<Timestamp>, visit: &mut dyn FnMut(&Arc<Document>)) -> usize {
    match walks(store, query) {
        Some(walks) => merged(store, query, time, &walks, usize::MAX, visit),
        None => {
            let mut scanned = 0;
            let all = all_pass(query);
            candidates(store, query, time).filter(|document| all || passes(query, document)).for_each(|document| {
                scanned += 1;
                visit(document);
            });
            scanned
        }
    }
}

fn passes(query: &Query, document: &Document) -> bool {
    query.matches(document) && query.within_cursors(document)
}

/// Whether every candidate is a match, so that none need be looked at.
fn all_pass(query: &Query) -> bool {
    query.filter.is_none()
        && query.start.is_none()
        && query.end.is_none()
        && query.scope.single_collection().is_some()
        && query.order.iter().all(|order| order.target == Target::Name)
}

/// The query's walks through indexes, which are there then; `None` where it is better to look
/// through the documents by name.
fn walks(store: &Store, query: &Query) -> Option<Vec<(Walk, Space)>> {
    let space = plan::space(query)?;
    if !store.is_worth_an_index(&space) {
        return None;
    }
    let walks = plan::walks(query, &space)?;
    for walk in &walks {
        if let Walk::Index { shape, .. } = walk {
            store.index(&space, shape);
        }
    }
    Some(walks.into_iter().map(|walk| (walk, space.clone())).collect())
}

/// Shows `visit` the first `wanted` matches in order. Returns how many entries were looked at.
fn ordered(
    store: &Store,
    query: &Query,
    time: Option<Timestamp>,
    wanted: usize,
    visit: &mut dyn FnMut(&Arc<Document>),
) -> usize {
    if let Some(walks) = walks(store, query) {
        return merged(store, query, time, &walks, wanted, visit);
    }
    let mut scanned = 0;
    let by_name = matches!(query.order.as_slice(), [only] if only.target == Target::Name);
    if by_name && query.scope.single_collection().is_some() {
        // The map has this very order, so the scan may end early.
        let candidates = collection_candidates(store, query, time);
        let mut show = |candidates: &mut dyn Iterator<Item = &Arc<Document>>| {
            let all = all_pass(query);
            candidates.filter(|document| all || passes(query, document)).take(wanted).for_each(|document| {
                scanned += 1;
                visit(document);
            });
        };
        match query.order.first().map(|order| order.direction) {
            Some(Direction::Descending) => show(&mut candidates.rev()),
            _ => show(&mut { candidates }),
        }
        return scanned;
    }
    let mut documents: Vec<&Arc<Document>> =
        candidates(store, query, time).filter(|document| passes(query, document)).inspect(|_| scanned += 1).collect();
    if wanted < documents.len() / 2 {
        documents.select_nth_unstable_by(wanted, |a, b| order::compare(&query.order, a, b));
        documents.truncate(wanted);
    }
    documents.sort_unstable_by(|a, b| order::compare(&query.order, a, b));
    documents.into_iter().take(wanted).for_each(visit);
    scanned
}

/// Merges walks that are each in the order of the query.
fn merged(
    store: &Store,
    query: &Query,
    time: Option<Timestamp>,
    walks: &[(Walk, Space)],
    wanted: usize,
    visit: &mut dyn FnMut(&Arc<Document>),
) -> usize {
    let indexes = store.indexes();
    let scanned = std::cell::Cell::new(0);
    let mut streams: Vec<Box<dyn Iterator<Item = &Arc<Document>> + '_>> = Vec::with_capacity(walks.len());
    for (walk, space) in walks {
        match walk {
            Walk::Name(name) => {
                let document = store.get(name, time).filter(|document| passes(query, document));
                streams.push(Box::new(document.into_iter().inspect(|_| scanned.set(scanned.get() + 1))));
            }
            Walk::Index { shape, span, reverse, exact } => {
                let Some(index) = indexes.get(space, shape) else { continue };
                let all = index.scan(store, span, time);
                let all: Box<dyn Iterator<Item = &Arc<Document>>> =
                    if *reverse { Box::new(all.rev()) } else { Box::new(all) };
                let all = all.inspect(|_| scanned.set(scanned.get() + 1));
                if *exact {
                    streams.push(Box::new(all));
                } else {
                    streams.push(Box::new(all.filter(|document| passes(query, document))));
                }
            }
        }
    }
    if let [only] = streams.as_mut_slice() {
        only.take(wanted).for_each(visit);
        return scanned.get();
    }
    let mut heads: Vec<Option<&Arc<Document>>> = streams.iter_mut().map(Iterator::next).collect();
    for _ in 0..wanted {
        let first = heads.iter().flatten().min_by(|a, b| order::compare(&query.order, a, b));
        let Some(first) = first.copied() else { break };
        visit(first);
        // Terms overlap: the same document stands first in every walk that has it.
        for (head, stream) in heads.iter_mut().zip(&mut streams) {
            if head.is_some_and(|head| head.name == first.name) {
                *head = stream.next();
            }
        }
    }
    scanned.get()
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
