//! The service through the generated client, over a loopback socket.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its helpers fail")]

mod contention;
mod documents;
mod indexes;
mod keeping;
mod limits;
mod listening;
mod queries;
mod support;
mod write_stream;
