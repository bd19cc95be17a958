//! What a service is built with: the suite's clock, journal, faults and settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Clock, DataDir, FaultGate, Journal};

/// How closely the services keep to production.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// As production, limits and indexes included.
    #[default]
    Strict,
    /// What needs a deployment first (composite indexes, quotas) is only warned of, in the journal.
    Lenient,
}

/// One suite's shared parts; clones share them. Two contexts share nothing.
#[derive(Clone, Debug)]
pub struct Context {
    pub clock: Clock,
    pub journal: Arc<Journal>,
    pub faults: Arc<FaultGate>,
    /// The project that a request without one means.
    pub project: Arc<str>,
    pub profile: Profile,
    /// Where every random choice in the suite starts from; give each user its own stream by
    /// [`Rng::stream`](crate::Rng::stream).
    pub seed: u64,
    /// Where services keep their state across restarts; none: in memory alone.
    pub data: Option<DataDir>,
    /// The folder whose subfolders stand for Cloud Storage's buckets; none: `gs://` names nothing.
    pub gcs: Option<Arc<Path>>,
}

impl Context {
    /// A context of its own on `clock`: empty journal, no faults, project `scrimmage`, strict, seed 0,
    /// in memory.
    pub fn new(clock: Clock) -> Self {
        Context {
            journal: Arc::new(Journal::new(clock.clone())),
            faults: Arc::new(FaultGate::new()),
            clock,
            project: Arc::from("scrimmage"),
            profile: Profile::default(),
            seed: 0,
            data: None,
            gcs: None,
        }
    }

    /// The same with another default project.
    pub fn with_project(mut self, project: &str) -> Self {
        self.project = Arc::from(project);
        self
    }

    /// The same with another profile.
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The same, with state kept in this folder.
    pub fn with_data(mut self, data: DataDir) -> Self {
        self.data = Some(data);
        self
    }

    /// The same, with `gs://BUCKET/OBJECT` as the file `BUCKET/OBJECT` in this folder.
    pub fn with_gcs_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.gcs = Some(folder.into().into());
        self
    }

    /// The same with another seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
