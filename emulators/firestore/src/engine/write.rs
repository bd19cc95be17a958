//! What a commit's writes make of the documents: masks, transforms, preconditions, in order.

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::engine::store::{Change, Document, Store};
use crate::engine::transform::{self, Transform};
use crate::error::Error;
use crate::limits;
use crate::path::{DatabaseName, DocumentName, FieldPath};
use crate::texts;
use crate::value::size::document_size;
use crate::value::{Fields, Value};

/// One write to one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub name: DocumentName,
    pub operation: Operation,
    /// Applied after the operation, in order. Empty for a delete.
    pub transforms: Vec<Transform>,
    pub precondition: Option<Precondition>,
}

impl Write {
    /// The word that error texts have for this write.
    fn verb(&self) -> &'static str {
        match (&self.operation, self.precondition) {
            (Operation::Delete, _) => "delete",
            (_, Some(Precondition::Exists(false))) => "insert",
            (_, None) => "upsert",
            _ => "update",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Replaces all fields.
    Set(Fields),
    /// Changes the masked fields only; those without a value in `fields` are removed.
    Merge {
        mask: Vec<FieldPath>,
        fields: Fields,
    },
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    Exists(bool),
    /// The document exists and was last updated at this time.
    UpdateTime(Timestamp),
}

/// What a client learns of one write.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteResult {
    /// `None` after a delete.
    pub update_time: Option<Timestamp>,
    pub transform_results: Vec<Value>,
}

/// The writes of a commit, worked out against the store but not yet installed.
#[derive(Debug)]
pub struct Evaluated {
    pub results: Vec<WriteResult>,
    /// One entry for each document that really changes.
    pub changes: Vec<Change>,
    /// Bytes of the largest document that is written.
    pub largest: usize,
}

/// Works out a commit at `commit_time`. Later writes see earlier ones of the same commit.
pub fn evaluate(
    store: &Store,
    database: &DatabaseName,
    writes: &[Write],
    commit_time: Timestamp,
) -> Result<Evaluated, Error> {
    check_sequences(writes)?;
    let mut results = Vec::with_capacity(writes.len());
    let mut changes: Vec<Change> = Vec::with_capacity(writes.len());
    let mut places: HashMap<&DocumentName, usize> = HashMap::new();
    for write in writes {
        let place = *places.entry(&write.name).or_insert_with(|| {
            let before = store.get(&write.name, None).cloned();
            changes.push(Change { name: write.name.clone(), before: before.clone(), after: before });
            changes.len() - 1
        });
        let Some(change) = changes.get_mut(place) else { continue };
        check_precondition(write, change.after.as_deref(), database)?;
        let (after, result) = apply(write, change.after.take(), commit_time);
        change.after = after;
        results.push(result);
    }
    if changes.len() < writes.len() {
        // A document written several times is judged by what came of it all: whether it changed,
        // and the one update time that all its results have.
        for change in &mut changes {
            if let (Some(before), Some(after)) = (&change.before, &change.after)
                && before.fields == after.fields
                && before.create_time == after.create_time
            {
                change.after = Some(Arc::clone(before));
            }
        }
        for (write, result) in writes.iter().zip(&mut results) {
            let change = places.get(&write.name).and_then(|place| changes.get(*place));
            result.update_time = change.and_then(|change| change.after.as_ref()).map(|after| after.update_time);
        }
    }
    changes.retain(|change| match (&change.before, &change.after) {
        (None, None) => false,
        (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
        _ => true,
    });
    let mut largest = 0;
    for after in changes.iter().filter_map(|change| change.after.as_ref()) {
        let bytes = document_size(&after.name, &after.fields);
        largest = largest.max(bytes);
        if bytes > limits::DOCUMENT_BYTES {
            return Err(Error::DocumentTooLarge { name: database.resource(after.name.path()), bytes });
        }
    }
    Ok(Evaluated { results, changes, largest })
}

/// Refuses writes to one document whose preconditions cannot hold one after the other, and too
/// many transforms of one.
fn check_sequences(writes: &[Write]) -> Result<(), Error> {
    if writes.len() < 2 {
        return Ok(());
    }
    let mut last: HashMap<&DocumentName, &Write> = HashMap::new();
    let mut transforms: HashMap<&DocumentName, usize> = HashMap::new();
    for write in writes {
        if !write.transforms.is_empty() {
            // Documented for a document in a commit, however many writes they come in.
            let count = transforms.entry(&write.name).or_default();
            *count += write.transforms.len();
            if *count > limits::TRANSFORMS {
                return Err(Error::invalid(texts::too_many_transforms(*count)));
            }
        }
        if let Some(earlier) = last.insert(&write.name, write)
            && let Some(Precondition::Exists(wanted)) = write.precondition
            && wanted == (earlier.operation == Operation::Delete)
        {
            return Err(Error::invalid(texts::impossible_sequence(earlier.verb(), write.verb())));
        }
    }
    Ok(())
}

fn check_precondition(write: &Write, stored: Option<&Document>, database: &DatabaseName) -> Result<(), Error> {
    let name = || database.resource(write.name.path());
    match (write.precondition, stored) {
        (Some(Precondition::Exists(true)), None) => Err(Error::NoDocumentToUpdate(name())),
        (Some(Precondition::Exists(false)), Some(_)) => Err(Error::AlreadyExists(name())),
        (Some(Precondition::UpdateTime(required)), stored) => {
            let stored = stored.map_or(0, |document| document.update_time.as_micros());
            if stored == required.as_micros() {
                Ok(())
            } else {
                Err(Error::StaleVersion { stored, required: required.as_micros() })
            }
        }
        _ => Ok(()),
    }
}

fn apply(write: &Write, stored: Option<Arc<Document>>, time: Timestamp) -> (Option<Arc<Document>>, WriteResult) {
    let mut fields = match &write.operation {
        Operation::Delete => {
            return (None, WriteResult { update_time: None, transform_results: Vec::new() });
        }
        Operation::Set(fields) => fields.clone(),
        Operation::Merge { mask, fields } => {
            let mut merged = stored.as_ref().map(|document| document.fields.clone()).unwrap_or_default();
            for path in mask {
                match path.get(fields) {
                    Some(value) => path.set(&mut merged, value.clone()),
                    None => path.remove(&mut merged),
                }
            }
            merged
        }
    };
    let transform_results =
        write.transforms.iter().map(|transform| transform::apply(transform, &mut fields, time)).collect();
    let after = match stored {
        // A write that changes nothing keeps the version, and with it `update_time`.
        Some(document) if document.fields == fields => document,
        Some(document) => Arc::new(Document {
            name: write.name.clone(),
            fields,
            create_time: document.create_time,
            update_time: time,
        }),
        None => Arc::new(Document { name: write.name.clone(), fields, create_time: time, update_time: time }),
    };
    let update_time = Some(after.update_time);
    (Some(after), WriteResult { update_time, transform_results })
}
