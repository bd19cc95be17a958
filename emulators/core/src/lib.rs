//! What every emulator shares: time, status, names, faults, the journal, seeded randomness.
//!
//! Engines depend on [`Timestamp`] and [`Status`] only; everything that waits or watches
//! (the [`Clock`], the journal, the fault plan) belongs to the async shell around them.

pub mod clock;
pub mod status;
pub mod timestamp;

pub use clock::Clock;
pub use status::{Code, Detail, Status};
pub use timestamp::Timestamp;
