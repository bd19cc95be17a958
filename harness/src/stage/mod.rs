//! Where a pipeline runs: the services, and what is created in them before a batch.
//!
//! A suite of ours is in front on every [kind](StageKind) of stage, so that its gate and its journal
//! work on all of them; behind it are its own services, or [others](Backing).

mod backing;
pub mod containers;
mod embedded;
mod google;
mod kind;
pub mod provision;
mod tables;

pub use backing::Backing;
pub use embedded::{Embedded, JournalWatch};
pub use google::Installation;
pub use kind::{Ability, StageKind};
pub use tables::{Column, TableSet};
