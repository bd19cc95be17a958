//! Pipelines of Enterprise databases: stages over rows, and the expressions in them.
//!
//! What a pipeline reads is known beforehand ([`sources`]) and is read
//! through the engine like any query, and all else happens here, on values: [`stages`] runs the
//! stages, [`eval`] the expressions, [`functions`] has one table of functions by name.
//!
//! Names, arguments and examples are those of the pages under "Pipeline operations" of Firestore's
//! documentation and of what the Python and Node clients send.

pub mod accumulate;
pub mod eval;
pub mod functions;
pub mod sources;
pub mod stages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use thiserror::Error;

use crate::engine::query::Measure;
use crate::error::Error;
use crate::path::{DocumentName, FieldPath};
use crate::value::Value;

/// How deep expressions may nest, pipelines in pipelines included.
pub const MAX_DEPTH: usize = 64;

/// Why a pipeline has no result.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum Failure {
    /// Something is wrong with the pipeline or with a value that it met; the text says what.
    #[error("{0}")]
    Invalid(String),
    /// Valid in production and missing here.
    #[error("{0}")]
    Unimplemented(String),
}

impl Failure {
    pub fn invalid(text: impl Into<String>) -> Failure {
        Failure::Invalid(text.into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Invalid(text) => Error::Invalid(text),
            Failure::Unimplemented(text) => Error::Unimplemented(text),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Unimplemented(text) => Failure::Unimplemented(text),
            other => Failure::Invalid(other.to_string()),
        }
    }
}

/// Something to compute for a row.
#[derive(Clone, PartialEq, Debug)]
pub enum Expression {
    Constant(Value),
    Field(FieldPath),
    Variable(Arc<str>),
    Function {
        name: Arc<str>,
        arguments: Vec<Expression>,
    },
    /// A pipeline within one: `array` gives all its rows, `scalar` its only one.
    Subquery {
        pipeline: Pipeline,
        scalar: bool,
    },
}

/// An expression and where its result goes.
#[derive(Clone, PartialEq, Debug)]
pub struct Named {
    pub target: FieldPath,
    pub expression: Expression,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Ordering {
    pub expression: Expression,
    pub descending: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Sample {
    /// So many rows.
    Documents(usize),
    /// Each row with this probability, 0 to 1.
    Percent(f64),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Stage {
    /// The path of a collection, from the root.
    Collection(Arc<str>),
    CollectionGroup(Arc<str>),
    /// A collection below the current document, of a pipeline within another.
    Subcollection(Arc<str>),
    Database,
    Documents(Vec<DocumentName>),
    Literals(Vec<Expression>),
    Where(Expression),
    Select(Vec<Named>),
    AddFields(Vec<Named>),
    RemoveFields(Vec<FieldPath>),
    /// Variables for this pipeline and those in it.
    Let(Vec<Named>),
    Sort(Vec<Ordering>),
    Offset(usize),
    Limit(usize),
    Distinct(Vec<Named>),
    Aggregate {
        accumulators: Vec<Named>,
        groups: Vec<Named>,
    },
    FindNearest {
        field: Expression,
        vector: Vec<f64>,
        measure: Measure,
        limit: Option<usize>,
        distance: Option<FieldPath>,
    },
    ReplaceWith(Expression),
    Sample(Sample),
    Union(Pipeline),
    Unnest {
        array: Expression,
        alias: FieldPath,
        index: Option<FieldPath>,
    },
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Pipeline {
    pub stages: Vec<Stage>,
}
