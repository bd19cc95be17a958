//! The syntax tree: what was written, with positions, before anything has a meaning.
//!
//! Every node's `pos` is the byte offset of its first character. Identifiers keep their case.

mod ddl;
mod dml;
mod expr;
mod query;
mod statement;

use crate::error::Pos;

pub use ddl::*;
pub use dml::*;
pub use expr::*;
pub use query::*;
pub use statement::*;

#[derive(Clone, PartialEq, Debug)]
pub struct Ident {
    pub name: String,
    /// Written in backticks: never a keyword, and `a.b` within one pair is split by the parser of paths.
    pub quoted: bool,
    pub pos: Pos,
}

/// `a.b.c`; table paths may have dashes in the first part (`my-project.ds.t`) and a trailing `*`.
#[derive(Clone, PartialEq, Debug)]
pub struct Path {
    pub parts: Vec<Ident>,
    pub pos: Pos,
}
