//! Orders, sort keys and cursors.

use std::cmp::Ordering;

use crate::engine::store::Document;
use crate::path::{DocumentName, FieldPath};
use crate::value::Value;

/// What is ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Name,
    Field(FieldPath),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub target: Target,
    pub direction: Direction,
}

/// A document's place in one order, or a cursor's.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    Value(Value),
    Name(DocumentName),
}

/// A position in an ordered result: a prefix of the keys, and a side of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    pub keys: Vec<Key>,
    /// Just before the position, or just after it.
    pub before: bool,
}

impl Target {
    /// Whether the document has what is ordered by; documents without it are not in the result.
    pub fn is_present(&self, document: &Document) -> bool {
        match self {
            Target::Name => true,
            Target::Field(path) => path.get(&document.fields).is_some(),
        }
    }
}

impl Direction {
    pub fn apply(self, order: Ordering) -> Ordering {
        match self {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        }
    }
}

impl Order {
    fn compare(&self, a: &Document, b: &Document) -> Ordering {
        let order = match &self.target {
            Target::Name => a.name.cmp(&b.name),
            Target::Field(path) => match (path.get(&a.fields), path.get(&b.fields)) {
                (Some(a), Some(b)) => a.compare(b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            },
        };
        self.direction.apply(order)
    }

    fn compare_to_key(&self, document: &Document, key: &Key) -> Ordering {
        let order = match (&self.target, key) {
            (Target::Name, Key::Name(name)) => document.name.cmp(name),
            (Target::Field(path), Key::Value(value)) => match path.get(&document.fields) {
                Some(stored) => stored.compare(value),
                None => Ordering::Less,
            },
            // Cursors are checked against the orders when a query is normalised.
            _ => Ordering::Equal,
        };
        self.direction.apply(order)
    }
}

/// Compares two documents in the order of a query.
pub fn compare(orders: &[Order], a: &Document, b: &Document) -> Ordering {
    orders.iter().map(|order| order.compare(a, b)).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

impl Cursor {
    fn compare(&self, orders: &[Order], document: &Document) -> Ordering {
        orders
            .iter()
            .zip(&self.keys)
            .map(|(order, key)| order.compare_to_key(document, key))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }

    /// Whether a document is at or after this cursor, taken as a start.
    pub fn admits_from(&self, orders: &[Order], document: &Document) -> bool {
        match self.compare(orders, document) {
            Ordering::Less => false,
            Ordering::Equal => self.before,
            Ordering::Greater => true,
        }
    }

    /// Whether a document is before this cursor, taken as an end.
    pub fn admits_to(&self, orders: &[Order], document: &Document) -> bool {
        match self.compare(orders, document) {
            Ordering::Less => true,
            Ordering::Equal => !self.before,
            Ordering::Greater => false,
        }
    }
}
