//! Names: documents and collections within a database, and field paths.

pub mod field;
pub mod name;

pub use field::FieldPath;
pub use name::{DatabaseName, DocumentName, check_id, check_parent, compare_paths, compare_resource_names, numeric_id};
