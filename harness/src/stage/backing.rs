//! What stands behind the suite where the services of a stage are not its own.

use scrimmage_suite::{Builder, Remote};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tonic::transport::Endpoint;

use super::cloud::Cloud;
use super::containers::Container;
use super::google::Installation;
use super::{StageKind, StageOptions};
use crate::SetupError;
use crate::pipeline::Instance;

/// Services outside of this process, for all runs of a command. Dropping it ends what it has started.
///
/// Every run has a project of its own in them, so that runs do not meet.
pub struct Backing {
    /// `http://127.0.0.1:N` of each service that the suite does not play itself.
    pub(super) firestore: Option<String>,
    pub(super) pubsub: Option<String>,
    pub(super) bigquery: Option<String>,
    pub(super) processes: Vec<Arc<Instance>>,
    pub(super) containers: Vec<Container>,
    pub(super) cloud: Option<Cloud>,
}

impl std::fmt::Debug for Backing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services = (&self.firestore, &self.pubsub, &self.bigquery);
        let started = (self.processes.len(), self.containers.len());
        f.debug_struct("Backing")
            .field("services", &services)
            .field("started", &started)
            .field("cloud", &self.cloud)
            .finish()
    }
}

impl Backing {
    /// Starts what a stage needs; `None` where it needs nothing.
    pub(crate) async fn start(kind: StageKind, options: &StageOptions) -> Result<Option<Arc<Backing>>, SetupError> {
        match kind {
            StageKind::Embedded => Ok(None),
            StageKind::Google => Ok(Some(Arc::new(Installation::find()?.start().await?))),
            StageKind::Containers => Ok(Some(Arc::new(options.images.start().await?))),
            StageKind::Cloud => Ok(Some(Arc::new(Backing::cloud(Cloud::google(&options.permission)?)))),
        }
    }

    /// A project that may be used.
    pub fn cloud(cloud: Cloud) -> Backing {
        Backing {
            firestore: None,
            pubsub: None,
            bigquery: None,
            processes: Vec::new(),
            containers: Vec::new(),
            cloud: Some(cloud),
        }
    }

    /// Puts the suite in front of it; what names in it are to begin with, where it is shared with others.
    pub(super) fn place(&self, mut builder: Builder) -> Result<(Builder, Option<String>), SetupError> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(cloud) = &self.cloud {
            return Ok((cloud.place(builder), Some(format!("{}r{run}", cloud.prefix))));
        }
        let remote = |url: &String| -> Result<Remote, SetupError> {
            let endpoint = Endpoint::from_shared(url.clone()).map_err(|error| SetupError::Stage(error.to_string()))?;
            Ok(Remote::new(endpoint.connect_lazy()))
        };
        builder = builder.project(format!("scrimmage-{run}"));
        if let Some(url) = &self.firestore {
            builder = builder.firestore_at(remote(url)?);
        }
        if let Some(url) = &self.pubsub {
            builder = builder.pubsub_at(remote(url)?);
        }
        if let Some(url) = &self.bigquery {
            builder = builder.bigquery_at(remote(url)?);
        }
        Ok((builder, None))
    }
}
