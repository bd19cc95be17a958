//! Services in containers, through the `docker` program: whatever it talks to is the engine.
//!
//! Not through a library: it would bring an HTTP client and the engine's whole API for the four
//! commands that are needed. Containers use the machine's own network, so that services that
//! listen on the loopback address only are reached, and can push back to the front doors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::process::Command;

use super::Backing;
use crate::SetupError;
use crate::clients::local_http;
use crate::pipeline::{CapturedLog, Instance, Recipe, watch_container};
use crate::run::Activity;
use crate::run_model::Running as _;

/// Our own image, as `docker build -t scrimmage .` names it.
pub const OURS: &str = "scrimmage";
/// Google's image with the emulators of its SDK.
const GOOGLES: &str = "gcr.io/google.com/cloudsdktool/google-cloud-cli:emulators";
const DOCKER: &str = "docker";
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
        engine().await?;
        match self {
            Images::Ours(image) => {
                present(image).await?;
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

/// That there is an engine that answers.
pub async fn engine() -> Result<(), SetupError> {
    let answer = docker(&["version", "--format", "{{.Server.Version}}"]).await;
    answer.map_err(|problem| SetupError::Stage(format!("no container engine answers: {problem}")))
}

async fn present(image: &str) -> Result<(), SetupError> {
    docker(&["image", "inspect", "--format", "{{.Id}}", image]).await.map_err(|problem| {
        SetupError::Stage(format!(
            "there is no image `{image}` ({problem}); build it with `docker build -t {image} .`, or name another one \
             with --image"
        ))
    })
}

async fn docker(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(DOCKER).args(arguments).output().await.map_err(|error| format!("{DOCKER}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// One container; dropping it removes it.
pub(super) struct Container {
    name: String,
    /// The `docker run` that waits for it and carries its output.
    client: Arc<Instance>,
}

impl Container {
    async fn start(image: &str, ready: &str, arguments: &[&str]) -> Result<Container, SetupError> {
        static CONTAINERS: AtomicU64 = AtomicU64::new(0);
        let number = CONTAINERS.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("scrimmage-{}-{number}", std::process::id());
        let options = ["run", "--rm", "--network", "host", "--label", "scrimmage", "--name", &name, image];
        let command = std::iter::once(DOCKER).chain(options).chain(arguments.iter().copied());
        let recipe = Recipe {
            name: format!("the container of {image}").into(),
            command: command.map(str::to_owned).collect(),
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
        let mut command = std::process::Command::new(DOCKER);
        command.args(["rm", "--force", &self.0]).stdin(std::process::Stdio::null());
        // What cannot be removed now the watchdog tries again when this process has ended.
        let _ = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status();
    }
}
