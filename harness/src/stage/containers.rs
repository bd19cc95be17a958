//! Services in containers of the [`engine`](crate::engine).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Backing;
use crate::SetupError;
use crate::clients::local_http;
use crate::engine;
use crate::pipeline::{CapturedLog, Instance, Recipe, watch_container};
use crate::run::Activity;
use crate::run_model::Running as _;

pub use crate::engine::engine;

/// Our own image, as `docker build -t scrimmage .` names it.
pub const OURS: &str = "scrimmage";
/// Google's image with the emulators of its SDK.
const GOOGLES: &str = "gcr.io/google.com/cloudsdktool/google-cloud-cli:emulators";
/// A pull may be part of it.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// Which images play the services.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Images {
    /// One of ours plays all of them. It must be there already: it is built, not pulled.
    Ours(String),
    /// Google's play Firestore and Pub/Sub, the suite BigQuery.
    Googles(String),
}

impl Default for Images {
    fn default() -> Self {
        Images::Ours(OURS.to_owned())
    }
}

impl Images {
    /// `google`, or the name of an image of ours.
    pub fn named(name: &str) -> Images {
        if name == "google" { Images::Googles(GOOGLES.to_owned()) } else { Images::Ours(name.to_owned()) }
    }

    /// Starts the containers and waits until they answer.
    pub(super) async fn start(&self) -> Result<Backing, SetupError> {
        engine::engine().await?;
        match self {
            Images::Ours(image) => {
                is_built(image).await?;
                let container = Container::start(image, "/admin/health", &["--port", "{port}"]).await?;
                let url = Some(container.url());
                let (firestore, pubsub, bigquery) = (url.clone(), url.clone(), url);
                Ok(Backing {
                    firestore,
                    pubsub,
                    bigquery,
                    processes: Vec::new(),
                    containers: vec![container],
                    cloud: None,
                })
            }
            Images::Googles(image) => {
                let start = |service: &'static str| async move {
                    let command = ["gcloud", "beta", "emulators", service, "start", "--host-port=127.0.0.1:{port}"];
                    Container::start(image, "/", &command).await
                };
                let (firestore, pubsub) = futures::try_join!(start("firestore"), start("pubsub"))?;
                Ok(Backing {
                    firestore: Some(firestore.url()),
                    pubsub: Some(pubsub.url()),
                    bigquery: None,
                    processes: Vec::new(),
                    containers: vec![firestore, pubsub],
                    cloud: None,
                })
            }
        }
    }
}

async fn is_built(image: &str) -> Result<(), SetupError> {
    engine::present(image).await.map_err(|problem| {
        SetupError::Stage(format!(
            "there is no image `{image}` ({problem}); build it with `docker build -t {image} .`, or name another one \
             with --image"
        ))
    })
}

/// One container; dropping it removes it.
pub(super) struct Container {
    name: String,
    /// The `docker run` that waits for it and carries its output.
    client: Arc<Instance>,
}

impl Container {
    async fn start(image: &str, ready: &str, arguments: &[&str]) -> Result<Container, SetupError> {
        let name = engine::new_name();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let recipe = Recipe {
            name: format!("the container of {image}").into(),
            command: engine::run_command(&name, image, std::iter::empty(), &arguments),
            image: None,
            port: None,
            environment: BTreeMap::new(),
            folder: std::env::temp_dir(),
            ready: ready.to_owned(),
            ready_within: READY_WITHIN,
        };
        // Before it is there: whenever this process ends, the container does.
        watch_container(&name);
        let removal = Removal(name.clone());
        let log = CapturedLog::new(Activity::default());
        let client = recipe.start(&log, &local_http()).await?;
        std::mem::forget(removal);
        Ok(Container { name, client: Arc::new(client) })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client.port())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(Removal(std::mem::take(&mut self.name)));
    }
}

/// Removes a container when it is dropped, if there is one.
struct Removal(String);

impl Drop for Removal {
    fn drop(&mut self) {
        let mut command = std::process::Command::new(engine::DOCKER);
        command.args(["rm", "--force", &self.0]).stdin(std::process::Stdio::null());
        // What cannot be removed now the watchdog tries again when this process has ended.
        let _ = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status();
    }
}
