//! Scrimmage in a Rust test: a stage of the test's own, faults and invariants.
//!
//! ```no_run
//! use scrimmage::testing::{Invariants, Stage, fault};
//!
//! # async fn program(_: Vec<(String, String)>) {}
//! #[scrimmage::test(seed = 7)]
//! async fn votes_survive_a_lost_answer(stage: Stage) {
//!     stage.add(fault().service("firestore").method("Commit").nth(1).drop_after());
//!     program(stage.environment()).await;
//!     Invariants::new()
//!         .field("every vote counts", "tallies/today", "votes", 12)
//!         .calls("nobody gives up", "firestore", "Commit", 1..)
//!         .hold(&stage)
//!         .await;
//! }
//! ```
//! Stages share nothing: tests run side by side. With rstest a stage is a fixture as any other:
//! ```no_run
//! # use scrimmage::testing::Stage;
//! // #[rstest::fixture]
//! async fn stage() -> Stage {
//!     Stage::builder().project("demo").start().await.expect("a stage")
//! }
//! ```
//! A whole scenario, with the pipeline's own processes:
//! ```no_run
//! # use scrimmage::testing::Rehearsal;
//! # async fn example() -> Result<(), scrimmage::SetupError> {
//! let outcome = Rehearsal::of("restart-mid-batch").pipeline("rust").seed(3).run().await?;
//! assert!(outcome.verdict.is_good(), "{:?}", outcome.broken().collect::<Vec<_>>());
//! # Ok(())
//! # }
//! ```

mod faults;
mod invariants;
mod rehearsal;
mod stage;

use std::future::Future;

pub use faults::{FaultBuilder, fault};
pub use invariants::{Invariants, Judgement};
pub use rehearsal::Rehearsal;
pub use stage::{Stage, StageBuilder};

/// What `#[scrimmage::test]` calls: a runtime, a stage, the test.
///
/// # Panics
/// Where the stage does not start: then there is nothing to test.
pub fn run<F, T>(builder: StageBuilder, test: impl FnOnce(Stage) -> F) -> T
where
    F: Future<Output = T>,
{
    #[allow(clippy::expect_used, reason = "a test that cannot begin fails")]
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ended = runtime.block_on(async {
        match builder.start().await {
            Ok(stage) => test(stage).await,
            Err(error) => panic!("{error}"),
        }
    });
    // Not waited for: a blocking call that hangs must not hold the test.
    runtime.shutdown_background();
    ended
}
