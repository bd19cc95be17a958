//! Aggregations over a query's result: count, sum, average.

use std::sync::Arc;

use scrimmage_core::Timestamp;

use super::{Query, run};
use crate::engine::store::{Document, Store};
use crate::path::FieldPath;
use crate::value::Value;

/// One aggregation and the name of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    pub alias: String,
    pub operator: Aggregator,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Aggregator {
    /// How many documents, at most `up_to`.
    Count { up_to: Option<i64> },
    /// The sum of the numbers in a field: an integer while all are and it fits, else a double.
    Sum(FieldPath),
    /// The mean of the numbers in a field as a double; null where there are none.
    Average(FieldPath),
}

impl Aggregator {
    /// The field that is aggregated, where there is one.
    pub fn field(&self) -> Option<&FieldPath> {
        match self {
            Aggregator::Sum(path) | Aggregator::Average(path) => Some(path),
            Aggregator::Count { .. } => None,
        }
    }
}

/// What came of aggregations.
#[derive(Clone, Debug, Default)]
pub struct Aggregated {
    /// In the order of the aggregations.
    pub values: Vec<(String, Value)>,
    /// How many index entries were looked at.
    pub scanned: usize,
}

/// Runs the query and aggregates its result, in the order of `aggregations`.
///
/// As in production, a document without a summed or averaged field counts for none of the
/// aggregations: the query has to have been made for them, by `Draft::aggregated`.
pub fn aggregate(store: &Store, query: &Query, aggregations: &[Aggregation], time: Option<Timestamp>) -> Aggregated {
    let mut tallies: Vec<Tally> = aggregations.iter().map(|_| Tally::default()).collect();
    let mut add = |document: &Arc<Document>| {
        for (tally, aggregation) in tallies.iter_mut().zip(aggregations) {
            tally.add(&aggregation.operator, document);
        }
    };
    let scanned = match up_to(query, aggregations) {
        // Nobody asks for more than so many.
        Some(most) if query.limit.is_none_or(|limit| limit > most) => {
            let query = Query { limit: Some(most), ..query.clone() };
            let found = run::run(store, &query, time);
            found.documents.iter().for_each(&mut add);
            found.scanned
        }
        _ if query.limit.is_none() && query.offset == 0 && query.nearest.is_none() => {
            run::each(store, query, time, &mut add)
        }
        _ => {
            let found = run::run(store, query, time);
            found.documents.iter().for_each(&mut add);
            found.scanned
        }
    };
    let values = tallies
        .into_iter()
        .zip(aggregations)
        .map(|(tally, aggregation)| (aggregation.alias.clone(), tally.result(&aggregation.operator)))
        .collect();
    Aggregated { values, scanned }
}

/// How many results are enough, where all aggregations are counts with a bound.
fn up_to(query: &Query, aggregations: &[Aggregation]) -> Option<usize> {
    let mut most = None;
    for aggregation in aggregations {
        let Aggregator::Count { up_to: Some(bound) } = aggregation.operator else { return None };
        most = most.max(Some(usize::try_from(bound).ok()?));
    }
    most.filter(|_| query.nearest.is_none())
}

#[derive(Default)]
struct Tally {
    count: i64,
    /// Exact while all are integers: it cannot overflow with fewer than 2^64 of them.
    integers: i128,
    doubles: f64,
    has_doubles: bool,
}

impl Tally {
    fn add(&mut self, operator: &Aggregator, document: &Document) {
        match operator {
            Aggregator::Count { .. } => self.count += 1,
            Aggregator::Sum(path) | Aggregator::Average(path) => match path.get(&document.fields) {
                Some(Value::Int(number)) => {
                    self.count += 1;
                    self.integers += i128::from(*number);
                }
                Some(Value::Double(number)) => {
                    self.count += 1;
                    self.doubles += number;
                    self.has_doubles = true;
                }
                _ => {}
            },
        }
    }

    fn result(&self, operator: &Aggregator) -> Value {
        let total = || self.integers as f64 + self.doubles;
        match operator {
            Aggregator::Count { up_to } => Value::Int(up_to.map_or(self.count, |most| self.count.min(most))),
            Aggregator::Sum(_) => match i64::try_from(self.integers) {
                Ok(sum) if !self.has_doubles => Value::Int(sum),
                _ => Value::Double(total()),
            },
            Aggregator::Average(_) if self.count == 0 => Value::Null,
            Aggregator::Average(_) => Value::Double(total() / self.count as f64),
        }
    }
}
