//! The service through the generated client, over a loopback socket.

mod contention;
mod documents;
mod listening;
mod queries;
mod support;
