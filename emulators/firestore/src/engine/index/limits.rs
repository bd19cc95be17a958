//! Limits on what a document brings into indexes.

use super::catalogue::{Catalogue, Composite, Kind, QueryScope, automatic};
use crate::engine::store::Document;
use crate::error::Error;
use crate::limits;
use crate::path::FieldPath;
use crate::value::size::name_size;
use crate::value::{Fields, Value};

/// Smaller documents cannot come near any of the limits, unless a composite index has an entry for each
/// element of an array ([`Catalogue::has_arrays`]).
pub const WORTH_A_LOOK: usize = 7_000;

/// Refuses a document with too many index entries, or with one that is too large.
pub fn check(catalogue: &Catalogue, document: &Document) -> Result<(), Error> {
    let group = document.name.collection_id();
    let composites: Vec<&Composite> =
        catalogue.composites().map(|(_, index)| index).filter(|index| *index.group == *group).collect();
    let plain = catalogue.fields().next().is_none();
    let mut count = Count { catalogue, group, plain, automatic: automatic(), total: 0 };
    count.fields(&document.fields, &mut Vec::new());
    for index in composites {
        let Some((entries, bytes)) = composite(index, document) else { continue };
        if bytes > limits::INDEX_ENTRY_BYTES {
            return Err(Error::IndexEntryTooLarge(document.name.path().to_owned()));
        }
        count.total += entries;
    }
    if count.total > limits::INDEX_ENTRIES {
        return Err(Error::TooManyIndexEntries(document.name.path().to_owned()));
    }
    Ok(())
}

struct Count<'a> {
    catalogue: &'a Catalogue,
    group: &'a str,
    /// Nothing is said about any field.
    plain: bool,
    automatic: Vec<(QueryScope, Kind)>,
    total: usize,
}

impl Count<'_> {
    /// The nesting of documents is limited where they enter, so this recursion is.
    fn fields(&mut self, fields: &Fields, path: &mut Vec<std::sync::Arc<str>>) {
        for (name, value) in fields.iter() {
            path.push(std::sync::Arc::clone(name));
            self.field(value, path);
            path.pop();
        }
    }

    fn field(&mut self, value: &Value, path: &mut Vec<std::sync::Arc<str>>) {
        let own;
        let indexes = if self.plain {
            &self.automatic
        } else {
            own = self.catalogue.indexes_of(self.group, &FieldPath::of(path)).0;
            &own
        };
        let ordered = indexes.iter().filter(|(_, kind)| *kind != Kind::Contains).count();
        let contains = indexes.len() - ordered;
        self.total += ordered;
        match value {
            // Reports of refused documents have two entries for each element.
            Value::Array(elements) => self.total += 2 * contains * elements.len(),
            Value::Map(fields) if value.as_vector().is_none() => self.fields(fields, path),
            _ => {}
        }
    }
}

/// How many entries of a composite index a document has, and the bytes of the largest.
fn composite(index: &Composite, document: &Document) -> Option<(usize, usize)> {
    let mut entries = 1;
    let mut bytes = name_size(document.name.path()) + 32;
    let size = |value: &Value| value.size().min(limits::INDEXED_VALUE_BYTES);
    for (path, kind) in index.fields.iter().filter(|(path, _)| !path.is_name()) {
        let value = path.get(&document.fields)?;
        match (kind, value) {
            (Kind::Contains, Value::Array(elements)) => {
                entries *= elements.len();
                bytes += elements.iter().map(size).max().unwrap_or(0);
            }
            (Kind::Contains, _) => return None,
            (Kind::Vector(_), _) => {}
            _ => bytes += size(value),
        }
    }
    Some((entries, bytes))
}
