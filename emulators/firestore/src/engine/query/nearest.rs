//! Nearest-neighbour search over vectors.

use std::sync::Arc;

use crate::engine::store::Document;
use crate::path::FieldPath;
use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Euclidean,
    Cosine,
    DotProduct,
}

/// A search for the vectors nearest to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    pub field: FieldPath,
    pub vector: Vec<f64>,
    pub measure: Measure,
    pub limit: usize,
    /// Where the distance goes in each result.
    pub result_field: Option<FieldPath>,
    /// No farther than this; for the dot product, no less than this.
    pub threshold: Option<f64>,
}

impl Nearest {
    /// The nearest documents, nearest first, and their distances.
    pub fn search(&self, documents: Vec<Arc<Document>>) -> (Vec<Arc<Document>>, Vec<f64>) {
        let farther = self.measure.nearer_is_less();
        let mut found: Vec<(f64, Arc<Document>)> = documents
            .into_iter()
            .filter_map(|document| {
                Some((self.measure.distance(&self.vector, self.field.get(&document.fields)?)?, document))
            })
            .filter(|(distance, _)| match self.threshold {
                Some(threshold) if farther => *distance <= threshold,
                Some(threshold) => *distance >= threshold,
                None => true,
            })
            .collect();
        found.sort_by(|(a, _), (b, _)| if farther { a.total_cmp(b) } else { b.total_cmp(a) });
        found.truncate(self.limit);
        found.into_iter().map(|(distance, document)| (document, distance)).unzip()
    }
}

impl Measure {
    /// Whether a smaller number means nearer.
    pub fn nearer_is_less(self) -> bool {
        self != Measure::DotProduct
    }

    /// Between a vector and a value; `None` for what is no vector of the same length.
    pub fn distance(self, vector: &[f64], value: &Value) -> Option<f64> {
        let numbers = numbers(value)?;
        if numbers.len() != vector.len() {
            return None;
        }
        let pairs = || numbers.iter().zip(vector);
        let dot = || pairs().map(|(a, b)| a * b).sum::<f64>();
        Some(match self {
            Measure::Euclidean => pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
            Measure::DotProduct => dot(),
            Measure::Cosine => {
                let norm = |vector: &[f64]| vector.iter().map(|a| a * a).sum::<f64>().sqrt();
                1.0 - dot() / (norm(&numbers) * norm(vector))
            }
        })
    }
}

/// The numbers of a vector value.
pub fn numbers(value: &Value) -> Option<Vec<f64>> {
    value
        .as_vector()?
        .iter()
        .map(|element| match element {
            Value::Int(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            _ => None,
        })
        .collect()
}
