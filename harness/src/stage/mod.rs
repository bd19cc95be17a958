//! Where a pipeline runs: the services, and what is created in them before a batch.
//!
//! A suite of ours is in front on every [kind](StageKind) of stage, so that its gate and its journal
//! work on all of them; behind it are its own services, or [others](Backing).

mod backing;
pub mod cloud;
pub mod containers;
mod google;
mod kind;
pub mod provision;
mod relay;
mod services;
mod tables;

pub use backing::Backing;
pub use google::Installation;
pub use kind::{Ability, StageKind};
pub use services::{JournalWatch, Services};
pub use tables::{Column, TableSet};

/// What has to be known beyond the kind of a stage.
#[derive(Clone, Debug, Default)]
pub struct StageOptions {
    /// What plays the services on the stage `containers`.
    pub images: containers::Images,
    /// To use a real project, on the stage `cloud`.
    pub permission: cloud::Permission,
}

impl StageOptions {
    /// What is missing for a kind of stage, before anything is built or started.
    pub(crate) fn check(&self, kind: StageKind) -> Result<(), crate::SetupError> {
        if kind == StageKind::Cloud { self.permission.check() } else { Ok(()) }
    }
}
