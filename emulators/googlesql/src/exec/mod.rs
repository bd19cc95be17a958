//! Runs a plan over batches of columns.

pub mod column;
