//! Runs a plan over batches of columns.

pub mod bitmap;
pub mod column;
