//! The analyzer, tested by statements: results through the executor, errors with their texts and places.

mod dialogue;
mod errors;
mod plans;
