//! Scrimmage: rehearses the incidents of a batch pipeline against emulated Google Cloud services.
//!
//! A [`scenario`] says what happens, a [`pipeline`] is what it happens to, a [`stage`] is where. A
//! [`run`](mod@run) brings the three together: it sets the [`stage`] up, starts the pipeline's
//! processes behind a [`front_door`], acts out the [`faults`], [`observe`]s the end state through
//! the stock clients and holds it against the [`invariants`]; [`report`] shows what came of it.

pub mod cli;
pub mod clients;
mod engine;
pub mod error;
pub mod faults;
pub mod figures;
pub mod front_door;
pub mod invariants;
pub mod layout;
pub mod mistakes;
pub mod observe;
pub mod pipeline;
pub mod report;
pub mod run;
pub mod run_model;
pub mod scenario;
pub mod scheduler;
pub mod stage;
pub mod testing;

pub use error::SetupError;
/// Makes a test of an async function that takes a [`testing::Stage`]: a stage of its own, started before
/// and ended after it. Settings are the calls of [`testing::StageBuilder`]:
/// ```no_run
/// # use scrimmage::testing::Stage;
/// #[scrimmage::test(seed = 7, project = "demo", virtual_clock)]
/// async fn leases_run_out(stage: Stage) {
///     stage.advance(std::time::Duration::from_secs(600));
/// }
/// ```
pub use scrimmage_macros::test;
