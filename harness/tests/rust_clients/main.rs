//! The stock Rust crates, unchanged, against the suite: what the README's table claims, service by
//! service, as far as each crate goes.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may")]

mod bigquery;
mod firestore;
mod pubsub;

use scrimmage::clients::Clients;
use scrimmage_suite::Suite;

/// A suite of the test's own and the crates' clients for it.
async fn served() -> (Suite, Clients) {
    let suite = Suite::builder().start().await.expect("the suite starts");
    let clients = Clients::connect(&suite.url(), suite.project()).await.expect("the clients connect");
    (suite, clients)
}
