//! What every emulator shares: time, status, names, faults, the journal, seeded randomness.
//!
//! Engines depend on [`Timestamp`] and [`Status`] only; everything that waits or watches
//! (the [`Clock`], the [`Journal`], the [`FaultGate`]) belongs to the async shell around them and
//! comes to it in a [`Context`].

pub mod call;
pub mod clock;
pub mod context;
pub mod data;
pub mod duration;
pub mod faults;
pub mod glob;
pub mod journal;
pub mod names;
pub mod rng;
pub mod status;
pub mod timestamp;
mod tonic_status;

pub use call::{CallInfo, CallNotes};
pub use clock::Clock;
pub use context::{Context, Profile};
pub use data::{DataDir, DataError, Keeper, Log};
pub use faults::{FaultGate, FaultPlan};
pub use journal::Journal;
pub use rng::Rng;
pub use status::{Code, Detail, Status};
pub use timestamp::Timestamp;
