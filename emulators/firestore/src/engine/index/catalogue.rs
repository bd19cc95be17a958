//! Declared indexes: the composite ones, and what was said about single fields.
//!
//! As in production, every field has ascending, descending and array indexes at collection scope
//! unless its settings, or those of the map it lies in, say otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::ttl::Policy;
use crate::path::FieldPath;
use crate::path::field::NAME_FIELD;

/// The collection group whose settings of `*` hold for all others.
pub const DEFAULT_GROUP: &str = "__default__";
/// Stands for all fields of a collection group.
pub const ALL_FIELDS: &str = "*";

/// Which collections an index serves together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum QueryScope {
    /// One collection at a time.
    Collection,
    /// All collections with the same id.
    Group,
}

/// How a field stands in a declared index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    Ascending,
    Descending,
    Contains,
    /// Nearest neighbours of vectors with so many dimensions.
    Vector(u32),
}

/// A composite index, with the document's name written out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Composite {
    pub group: Arc<str>,
    pub scope: QueryScope,
    pub fields: Vec<(FieldPath, Kind)>,
}

impl Composite {
    /// Writes out the name where it is implied: last, or before a vector, in the direction of the
    /// field before it.
    pub fn new(group: &str, scope: QueryScope, mut fields: Vec<(FieldPath, Kind)>) -> Composite {
        if fields.iter().all(|(path, _)| !path.is_name()) {
            let at = fields.iter().position(|(_, kind)| matches!(kind, Kind::Vector(_))).unwrap_or(fields.len());
            let direction = match at.checked_sub(1).and_then(|before| fields.get(before)) {
                Some((_, Kind::Descending)) => Kind::Descending,
                _ => Kind::Ascending,
            };
            fields.insert(at, (FieldPath::single(NAME_FIELD), direction));
        }
        Composite { group: Arc::from(group), scope, fields }
    }

    pub fn is_vector(&self) -> bool {
        self.fields.iter().any(|(_, kind)| matches!(kind, Kind::Vector(_)))
    }
}

/// What was said about one field of a collection group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldSettings {
    /// Its indexes, all of them; `None` where it inherits.
    pub indexes: Option<Vec<(QueryScope, Kind)>>,
    /// Whether its time ends the life of the document.
    pub ttl: bool,
}

/// All declared indexes of a database.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Catalogue {
    composites: BTreeMap<u64, Composite>,
    /// The same the other way round.
    numbers: BTreeMap<Composite, u64>,
    /// By collection group and field path, as it is written.
    fields: BTreeMap<(Arc<str>, String), FieldSettings>,
    last: u64,
    /// How many composite indexes have an entry for each element of an array.
    arrays: usize,
}

fn has_array(index: &Composite) -> bool {
    index.fields.iter().any(|(_, kind)| *kind == Kind::Contains)
}

impl Catalogue {
    /// Adds a composite index and returns its number; `None` where there is the same already.
    pub fn add(&mut self, index: Composite) -> Option<u64> {
        if self.numbers.contains_key(&index) {
            return None;
        }
        let number = self.last + 1;
        self.restore(number, index);
        Some(number)
    }

    /// Puts an index back under the number that it had.
    pub fn restore(&mut self, number: u64, index: Composite) {
        self.remove(number);
        self.last = self.last.max(number);
        self.arrays += usize::from(has_array(&index));
        self.numbers.insert(index.clone(), number);
        self.composites.insert(number, index);
    }

    /// Adds what another catalogue has and this one does not.
    pub fn merge(&mut self, other: &Catalogue) {
        for (_, index) in other.composites() {
            self.add(index.clone());
        }
        for (key, settings) in &other.fields {
            self.fields.entry(key.clone()).or_insert_with(|| settings.clone());
        }
    }

    pub fn remove(&mut self, number: u64) -> Option<Composite> {
        let index = self.composites.remove(&number)?;
        self.numbers.remove(&index);
        self.arrays -= usize::from(has_array(&index));
        Some(index)
    }

    /// How many composite indexes and field settings there are.
    pub fn size(&self) -> usize {
        self.composites.len() + self.fields.len()
    }

    /// The last number that an index was given.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// As [`Catalogue::last`], for a catalogue that is put together again.
    pub fn set_last(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    /// Whether a composite index has an entry for each element of an array.
    pub fn has_arrays(&self) -> bool {
        self.arrays > 0
    }

    /// Whether any field's time ends the life of its document.
    pub fn has_ttl(&self) -> bool {
        self.fields.values().any(|settings| settings.ttl)
    }

    /// The time-to-live policies that the field settings stand for.
    pub fn policies(&self) -> impl Iterator<Item = (Arc<str>, Policy)> {
        self.fields.iter().filter(|(_, settings)| settings.ttl).filter_map(|((group, path), _)| {
            let field = FieldPath::parse(path).ok()?;
            Some((Arc::clone(group), Policy { field, delay: Duration::ZERO }))
        })
    }

    /// Says of the fields of a collection group that none, or this one alone, has a time to live.
    pub fn set_ttl(&mut self, group: &str, path: Option<&str>) {
        let of_group = self.fields.keys().filter(|(other, _)| **other == *group).map(|(_, path)| path.clone());
        let paths: Vec<String> = of_group.chain(path.map(str::to_owned)).collect();
        for each in paths {
            let mut settings = self.field(group, &each).cloned().unwrap_or_default();
            settings.ttl = Some(each.as_str()) == path;
            self.set_field(group, &each, settings);
        }
    }

    pub fn composite(&self, number: u64) -> Option<&Composite> {
        self.composites.get(&number)
    }

    pub fn composites(&self) -> impl Iterator<Item = (u64, &Composite)> {
        self.composites.iter().map(|(number, index)| (*number, index))
    }

    /// Sets what is said about a field; the default settings say nothing.
    pub fn set_field(&mut self, group: &str, path: &str, settings: FieldSettings) {
        let key = (Arc::from(group), path.to_owned());
        if settings == FieldSettings::default() {
            self.fields.remove(&key);
        } else {
            self.fields.insert(key, settings);
        }
    }

    pub fn field(&self, group: &str, path: &str) -> Option<&FieldSettings> {
        self.fields.get(&(Arc::from(group), path.to_owned()))
    }

    pub fn fields(&self) -> impl Iterator<Item = (&str, &str, &FieldSettings)> {
        self.fields.iter().map(|((group, path), settings)| (&**group, path.as_str(), settings))
    }

    /// A field's indexes, and whose settings they come from: the group and the path.
    pub fn indexes_of(&self, group: &str, path: &FieldPath) -> (Vec<(QueryScope, Kind)>, String, String) {
        let own = path.to_string();
        let mut steps = vec![own];
        let mut segments = path.segments();
        while let Some((_, outer)) = segments.split_last()
            && !outer.is_empty()
        {
            steps.push(FieldPath::of(outer).to_string());
            segments = outer;
        }
        let places = steps
            .into_iter()
            .map(|step| (group, step))
            .chain([(group, ALL_FIELDS.to_owned()), (DEFAULT_GROUP, ALL_FIELDS.to_owned())]);
        for (group, step) in places {
            let settings = self.field(group, &step);
            if let Some(indexes) = settings.and_then(|settings| settings.indexes.as_ref()) {
                return (indexes.clone(), group.to_owned(), step);
            }
        }
        (automatic(), DEFAULT_GROUP.to_owned(), ALL_FIELDS.to_owned())
    }

    /// Whether a field has an index of its own.
    pub fn has_single(&self, group: &str, path: &FieldPath, scope: QueryScope, kind: Kind) -> bool {
        self.indexes_of(group, path).0.contains(&(scope, kind))
    }
}

/// The indexes of a field that nothing is said about.
pub fn automatic() -> Vec<(QueryScope, Kind)> {
    [Kind::Ascending, Kind::Descending, Kind::Contains].map(|kind| (QueryScope::Collection, kind)).to_vec()
}
