//! What a pipeline reads, known before it runs, and the documents that were read for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Expression, Named, Pipeline, Stage};
use crate::engine::query::Scope;
use crate::engine::store::{Document, is_below};
use crate::path::{DocumentName, compare_paths};

/// The scopes of all input stages, those of pipelines within included, each once.
pub fn scopes(pipeline: &Pipeline) -> Vec<Scope> {
    let mut found = Vec::new();
    collect(pipeline, &mut found);
    let everything = Scope { parent: Arc::from(""), collection_id: None, all_descendants: true };
    if found.contains(&everything) { vec![everything] } else { found }
}

/// A scope in which nothing can be: its collection's id is reserved.
pub fn nothing() -> Scope {
    single("__nothing__")
}

fn add(found: &mut Vec<Scope>, scope: Scope) {
    if !found.contains(&scope) {
        found.push(scope);
    }
}

/// The collection with this path from the root.
fn single(path: &str) -> Scope {
    let (parent, id) = path.rsplit_once('/').unwrap_or(("", path));
    Scope { parent: Arc::from(parent), collection_id: Some(Arc::from(id)), all_descendants: false }
}

fn group(id: &str) -> Scope {
    Scope { parent: Arc::from(""), collection_id: Some(Arc::from(id)), all_descendants: true }
}

fn collect(pipeline: &Pipeline, found: &mut Vec<Scope>) {
    for stage in &pipeline.stages {
        match stage {
            Stage::Collection(path) => add(found, single(path)),
            Stage::CollectionGroup(id) => add(found, group(id)),
            // Below which document is only known for each row.
            Stage::Subcollection(path) => add(found, group(path.rsplit('/').next().unwrap_or(path))),
            Stage::Database => {
                add(found, Scope { parent: Arc::from(""), collection_id: None, all_descendants: true });
            }
            Stage::Documents(names) => names.iter().for_each(|name| add(found, single(name.collection()))),
            Stage::Literals(rows) => rows.iter().for_each(|row| within(row, found)),
            Stage::Where(expression) | Stage::ReplaceWith(expression) => within(expression, found),
            Stage::Select(list) | Stage::AddFields(list) | Stage::Let(list) | Stage::Distinct(list) => all(list, found),
            Stage::Aggregate { accumulators, groups } => {
                all(accumulators, found);
                all(groups, found);
            }
            Stage::Sort(orders) => orders.iter().for_each(|order| within(&order.expression, found)),
            Stage::FindNearest { field, .. } => within(field, found),
            Stage::Unnest { array, .. } => within(array, found),
            Stage::Union(other) => collect(other, found),
            Stage::RemoveFields(_) | Stage::Offset(_) | Stage::Limit(_) | Stage::Sample(_) => {}
        }
    }
}

fn all(list: &[Named], found: &mut Vec<Scope>) {
    list.iter().for_each(|named| within(&named.expression, found));
}

fn within(expression: &Expression, found: &mut Vec<Scope>) {
    match expression {
        Expression::Subquery { pipeline, .. } => collect(pipeline, found),
        Expression::Function { arguments, .. } => arguments.iter().for_each(|argument| within(argument, found)),
        Expression::Constant(_) | Expression::Field(_) | Expression::Variable(_) => {}
    }
}

/// All documents that a pipeline may look at, as of one time.
#[derive(Debug, Default)]
pub struct Snapshot {
    by_path: BTreeMap<Path, Arc<Document>>,
}

/// A document's path, in the order of documents.
#[derive(Debug, PartialEq, Eq)]
struct Path(Arc<str>);

impl Ord for Path {
    fn cmp(&self, other: &Path) -> std::cmp::Ordering {
        compare_paths(&self.0, &other.0)
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Path) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Snapshot {
    pub fn add(&mut self, documents: Vec<Arc<Document>>) {
        self.by_path.extend(documents.into_iter().map(|document| (Path(Arc::from(document.name.path())), document)));
    }

    /// The documents directly in a collection, in the order of their names.
    pub fn collection(&self, path: &str) -> Vec<Arc<Document>> {
        self.by_path.values().filter(|document| document.name.collection() == path).cloned().collect()
    }

    pub fn group(&self, id: &str) -> Vec<Arc<Document>> {
        self.by_path.values().filter(|document| document.name.collection_id() == id).cloned().collect()
    }

    pub fn everything(&self) -> Vec<Arc<Document>> {
        self.by_path.values().filter(|document| is_below(document.name.collection(), "")).cloned().collect()
    }

    pub fn document(&self, name: &DocumentName) -> Option<Arc<Document>> {
        self.by_path.get(&Path(Arc::from(name.path()))).cloned()
    }
}
