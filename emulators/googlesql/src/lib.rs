//! GoogleSQL: lexer → parser → analyzer → plan → exec. Knows nothing of BigQuery's API.
//!
//! A statement's way: [`parser`] turns text into [`ast`] nodes, each with its position; the analyzer
//! resolves names, types and coercions against a [`catalog`] into a typed [`plan`]; the executor runs
//! the plan over batches of columns. Functions stand in one registry ([`functions`]), values in [`value`].

pub mod analyzer;
pub mod ast;
pub mod cast;
pub mod catalog;
pub mod coercion;
pub mod error;
pub mod exec;
pub mod functions;
pub mod lexer;
pub mod parser;
pub mod plan;
pub mod reads;
pub mod script;
pub mod stack;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
pub mod value;

pub use error::{ErrorKind, Pos, Result, SqlError};
pub use types::{StructField, StructType, Type, TypeParams};
pub use value::Value;
