//! The value model: what a document holds, compact and cheap to clone.
//!
//! Strings, arrays and maps are shared behind `Arc`, so copying a document to change one field
//! copies one level of pointers. [`PartialEq`] is identity (`3` and `3.0` differ, `NaN` equals
//! itself): it decides whether a write changed anything. How queries compare is in [`order`].

pub mod order;
pub mod size;

use std::sync::Arc;

use scrimmage_core::Timestamp;

/// The reserved key that marks a map as a vector.
pub const VECTOR_TYPE_KEY: &str = "__type__";
/// The value of [`VECTOR_TYPE_KEY`] in a vector.
pub const VECTOR_TYPE: &str = "__vector__";
/// The key under which a vector keeps its numbers.
pub const VECTOR_VALUE_KEY: &str = "value";

/// One Firestore value.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Timestamp(Timestamp),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    /// A full resource name, `projects/…/databases/…/documents/…`.
    Reference(Arc<str>),
    Geo {
        latitude: f64,
        longitude: f64,
    },
    Array(Arc<Vec<Value>>),
    Map(Arc<Fields>),
}

impl Value {
    pub fn string(text: &str) -> Value {
        Value::String(Arc::from(text))
    }

    pub fn array(values: Vec<Value>) -> Value {
        Value::Array(Arc::new(values))
    }

    pub fn map(fields: Fields) -> Value {
        Value::Map(Arc::new(fields))
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Value::Int(_) | Value::Double(_))
    }

    pub fn is_nan(&self) -> bool {
        matches!(self, Value::Double(number) if number.is_nan())
    }

    /// The numbers of a vector, where this is one.
    pub fn as_vector(&self) -> Option<&[Value]> {
        let Value::Map(fields) = self else { return None };
        match (fields.get(VECTOR_TYPE_KEY), fields.get(VECTOR_VALUE_KEY)) {
            (Some(Value::String(kind)), Some(Value::Array(values))) if &**kind == VECTOR_TYPE => Some(values),
            _ => None,
        }
    }
}

/// Identity, not query equality: see the module's introduction.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Value::String(a), Value::String(b)) | (Value::Reference(a), Value::Reference(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Geo { latitude: a_lat, longitude: a_long }, Value::Geo { latitude: b_lat, longitude: b_long }) => {
                a_lat.to_bits() == b_lat.to_bits() && a_long.to_bits() == b_long.to_bits()
            }
            (Value::Array(a), Value::Array(b)) => Arc::ptr_eq(a, b) || a == b,
            (Value::Map(a), Value::Map(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

/// A map's entries, sorted by the UTF-8 bytes of their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(Arc<str>, Value)>);

impl Fields {
    pub fn new() -> Fields {
        Fields::default()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(name, _)| (**name).cmp(key))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.position(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let at = self.position(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub fn insert(&mut self, key: Arc<str>, value: Value) {
        match self.position(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position(key).ok()?;
        Some(self.0.remove(at).1)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

/// Sorts once; of entries with the same key the last one stays.
impl FromIterator<(Arc<str>, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(entries: I) -> Fields {
        let mut entries: Vec<(Arc<str>, Value)> = entries.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Fields(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_and_the_last_of_a_key_wins() {
        let fields: Fields =
            [("b", 1), ("a", 2), ("b", 3)].into_iter().map(|(key, n)| (Arc::from(key), Value::Int(n))).collect();
        assert_eq!(fields.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fields.get("b"), Some(&Value::Int(3)));
    }

    #[test]
    fn identity_tells_int_from_double_and_takes_nan_for_itself() {
        assert_ne!(Value::Int(3), Value::Double(3.0));
        assert_eq!(Value::Double(f64::NAN), Value::Double(f64::NAN));
        assert_ne!(Value::Double(0.0), Value::Double(-0.0));
    }

    #[test]
    fn a_value_stays_small() {
        assert!(size_of::<Value>() <= 24, "{}", size_of::<Value>());
    }
}
