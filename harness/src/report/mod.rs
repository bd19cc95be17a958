//! Results for people and for machines.

mod grid;
mod json;
mod junit;
mod table;

pub use grid::grid;
pub use json::to_json;
pub use junit::to_junit;
pub use table::{Widths, line, summary};
