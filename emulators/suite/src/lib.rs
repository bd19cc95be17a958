//! All emulators in one process on one port.
//!
//! ```no_run
//! # async fn example() -> Result<(), scrimmage_suite::SuiteError> {
//! use scrimmage_suite::Suite;
//!
//! let suite = Suite::builder().project("demo").start().await?;
//! for (name, value) in suite.env() {
//!     println!("export {name}={value}");
//! }
//! suite.shutdown().await;
//! # Ok(())
//! # }
//! ```
//! Suites share nothing: any number may run side by side in one process.

pub mod declarations;
mod environment;
mod sink;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use scrimmage_bigquery::BigQuery;
use scrimmage_core::{Clock, Code, Context, DataDir, DataError, FaultGate, Journal, Profile, Status};
use scrimmage_firestore::{DeclareError, Firestore};
pub use scrimmage_firestore::{IndexEnforcement, index_file};
use scrimmage_gateway::{Gateway, HttpService};
pub use scrimmage_gateway::{Remote, Token};
use scrimmage_pubsub::PubSub;
use thiserror::Error;

pub use declarations::{DeclarationError, Declarations};

/// The largest gRPC message that is decoded at all: services refuse above their own limits, which
/// are lower, with their own texts.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// Why a suite cannot be started.
#[derive(Debug, Error)]
pub enum SuiteError {
    #[error(transparent)]
    Gateway(#[from] scrimmage_gateway::GatewayError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Declarations(#[from] DeclarationError),
    #[error("`{0}` is not a project id")]
    Project(String),
    #[error("cannot read {}: {source}", path.display())]
    IndexFile { path: PathBuf, source: std::io::Error },
    /// The path and what is wrong, with its line.
    #[error("{}: {source}", path.display())]
    Indexes { path: PathBuf, source: DeclareError },
}

/// Settings of a suite, all with defaults.
#[derive(Clone, Debug)]
pub struct Builder {
    port: u16,
    clock: Clock,
    project: String,
    profile: Profile,
    seed: u64,
    data_dir: Option<PathBuf>,
    declarations: Option<PathBuf>,
    gcs_folder: Option<PathBuf>,
    firestore_indexes: Option<PathBuf>,
    firestore_index_enforcement: Option<IndexEnforcement>,
    firestore_at: Option<Remote>,
    pubsub_at: Option<Remote>,
    bigquery_at: Option<Remote>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            port: 0,
            clock: Clock::real(),
            project: "scrimmage".to_owned(),
            profile: Profile::default(),
            seed: 0,
            data_dir: None,
            declarations: None,
            gcs_folder: None,
            firestore_indexes: None,
            firestore_index_enforcement: None,
            firestore_at: None,
            pubsub_at: None,
            bigquery_at: None,
        }
    }
}

impl Builder {
    /// The port on 127.0.0.1; default 0, any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The clock that everything waits on; default the real one.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The default project; default `scrimmage`. Requests may name any other.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = project.into();
        self
    }

    /// How closely to keep to production; default strict.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Where random choices start from; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A folder that keeps the services' state across restarts, kill -9 included; default none: state
    /// is in memory and ends with the suite. Only one suite may use it at a time.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// A TOML file with the resources that are to be there from the start, and after each reset;
    /// default none. See [`declarations`].
    pub fn declarations(mut self, path: impl Into<PathBuf>) -> Self {
        self.declarations = Some(path.into());
        self
    }

    /// A folder that stands for Cloud Storage: `gs://BUCKET/OBJECT` is the file `BUCKET/OBJECT` in it, for
    /// BigQuery's load and extract jobs; default none: they find nothing.
    pub fn gcs_folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.gcs_folder = Some(path.into());
        self
    }

    /// Firestore's declared indexes, a `firestore.indexes.json` as the Firebase CLI has it; default
    /// none: there are the automatic single-field indexes alone.
    pub fn firestore_indexes(mut self, path: impl Into<PathBuf>) -> Self {
        self.firestore_indexes = Some(path.into());
        self
    }

    /// What comes of a Firestore query whose index is not declared; default: under the strict profile
    /// it is refused where there is an index file, else it is answered and the journal says what to add.
    pub fn firestore_index_enforcement(mut self, enforcement: IndexEnforcement) -> Self {
        self.firestore_index_enforcement = Some(enforcement);
        self
    }

    /// Firestore is one that runs elsewhere, such as Google's emulator: calls pass this suite's gate and
    /// journal and go on there. A reset does not reach it.
    pub fn firestore_at(mut self, remote: Remote) -> Self {
        self.firestore_at = Some(remote);
        self
    }

    /// The same for Pub/Sub.
    pub fn pubsub_at(mut self, remote: Remote) -> Self {
        self.pubsub_at = Some(remote);
        self
    }

    /// The same for BigQuery.
    pub fn bigquery_at(mut self, remote: Remote) -> Self {
        self.bigquery_at = Some(remote);
        self
    }

    /// Starts all services. To be called within a tokio runtime.
    pub async fn start(self) -> Result<Suite, SuiteError> {
        // The longest part of a start, and the first call waits for it: done beside all else.
        tokio::task::spawn_blocking(scrimmage_protos::pool);
        if !scrimmage_core::names::is_project_id(&self.project) {
            return Err(SuiteError::Project(self.project));
        }
        let declarations = match &self.declarations {
            Some(path) => Declarations::read(path, &self.project)?,
            None => Declarations::default(),
        };
        let mut context =
            Context::new(self.clock).with_project(&self.project).with_profile(self.profile).with_seed(self.seed);
        if let Some(path) = self.data_dir {
            context = context.with_data(DataDir::open(path)?);
        }
        if let Some(path) = self.gcs_folder {
            context = context.with_gcs_folder(path);
        }
        let firestore = Firestore::open(context.clone())?;
        firestore.indexes().set_enforcement(self.firestore_index_enforcement);
        if let Some(path) = self.firestore_indexes {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| SuiteError::IndexFile { path: path.clone(), source })?;
            firestore.declare_indexes(&text).map_err(|source| SuiteError::Indexes { path, source })?;
        }
        declarations::firestore::apply(&declarations, &firestore)?;
        let pubsub = PubSub::open(context.clone())?;
        let bigquery = BigQuery::open(context.clone())?;
        pubsub.write_to(Arc::new(sink::Sink(bigquery.clone())));
        let notes = declarations::pubsub::apply(&declarations, &pubsub)?;
        let journal = context.journal.clone();
        let gateway = Gateway::builder(context);
        let gateway = match &self.firestore_at {
            None => gateway
                .grpc("firestore", firestore.grpc().max_decoding_message_size(MAX_MESSAGE))
                .grpc("firestore", firestore.admin())
                .grpc("firestore", firestore.operations())
                .http_service(HttpService::firestore_emulator(firestore.emulator_routes())),
            Some(remote) => gateway
                .grpc("firestore", remote.in_place_of(&firestore.grpc()))
                .grpc("firestore", remote.in_place_of(&firestore.admin()))
                .grpc("firestore", remote.in_place_of(&firestore.operations()))
                .http_service(HttpService::firestore_emulator(remote.router())),
        };
        let gateway = match &self.pubsub_at {
            None => gateway
                .grpc("pubsub", pubsub.publisher().max_decoding_message_size(MAX_MESSAGE))
                .grpc("pubsub", pubsub.subscriber().max_decoding_message_size(MAX_MESSAGE))
                .grpc("pubsub", pubsub.schemas().max_decoding_message_size(MAX_MESSAGE))
                .grpc("pubsub", pubsub.iam()),
            Some(remote) => gateway
                .grpc("pubsub", remote.in_place_of(&pubsub.publisher()))
                .grpc("pubsub", remote.in_place_of(&pubsub.subscriber()))
                .grpc("pubsub", remote.in_place_of(&pubsub.schemas()))
                .grpc("pubsub", remote.in_place_of(&pubsub.iam())),
        };
        let gateway = match &self.bigquery_at {
            None => gateway
                .grpc("bigquery", bigquery.storage_read())
                .grpc("bigquery", bigquery.storage_write())
                .http_service(HttpService::bigquery(bigquery.router())),
            Some(remote) => gateway
                .grpc("bigquery", remote.in_place_of(&bigquery.storage_read()))
                .grpc("bigquery", remote.in_place_of(&bigquery.storage_write()))
                .http_service(HttpService::bigquery(remote.router())),
        };
        let gateway = gateway
            .admin("firestore", firestore.admin_routes())
            .on_reset({
                let (firestore, pubsub, bigquery) = (firestore.clone(), pubsub.clone(), bigquery.clone());
                move || {
                    let firestore = firestore.reset();
                    let pubsub_reset = pubsub.reset();
                    bigquery.reset();
                    // They were good at the start, and nothing is there that could differ.
                    if let Err(error) = declarations::pubsub::apply(&declarations, &pubsub) {
                        journal.event("suite", "declaration", "", error.to_string());
                    }
                    firestore.and(pubsub_reset.map_err(|problem| Status::new(Code::Internal, problem.to_string())))
                }
            })
            .bind(self.port)
            .await?;
        Ok(Suite { gateway, firestore, pubsub, bigquery, notes })
    }
}

/// Running emulators; dropping it stops them without waiting, [`Suite::shutdown`] waits.
#[derive(Debug)]
pub struct Suite {
    gateway: Gateway,
    firestore: Firestore,
    pubsub: PubSub,
    bigquery: BigQuery,
    notes: Vec<String>,
}

impl Suite {
    /// Starts with the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where all services listen.
    pub fn addr(&self) -> SocketAddr {
        self.gateway.addr()
    }

    /// `http://127.0.0.1:N`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// The variables that point stock clients at this suite.
    pub fn env(&self) -> Vec<(String, String)> {
        environment::variables(self.addr(), self.project())
    }

    /// A port of its own for one program, and the variables that point it there: its calls have
    /// `label` as their client in journal and faults.
    pub async fn env_for(&self, label: &str) -> Result<Vec<(String, String)>, SuiteError> {
        let address = self.gateway.listen(label).await?;
        Ok(environment::variables(address, self.project()))
    }

    pub fn project(&self) -> &str {
        &self.context().project
    }

    pub fn context(&self) -> &Context {
        self.gateway.context()
    }

    pub fn clock(&self) -> &Clock {
        &self.context().clock
    }

    pub fn journal(&self) -> Arc<Journal> {
        self.context().journal.clone()
    }

    pub fn faults(&self) -> Arc<FaultGate> {
        self.context().faults.clone()
    }

    /// What the start has to say: declared resources that were there already and differ, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Firestore itself.
    pub fn firestore(&self) -> &Firestore {
        &self.firestore
    }

    /// Pub/Sub itself, for what has no place in its API: duplicate deliveries and the like.
    pub fn pubsub(&self) -> &PubSub {
        &self.pubsub
    }

    /// BigQuery itself.
    pub fn bigquery(&self) -> &BigQuery {
        &self.bigquery
    }

    /// Empties all services and the journal and takes all faults away. The clock keeps its time.
    /// Declared indexes, their times to live and declared resources are there afterwards. After an
    /// error, a service may still have what it had.
    pub fn reset(&self) -> Result<(), Status> {
        self.gateway.reset()
    }

    /// Closes the ports and ends all tasks; when it returns, the port is free.
    pub async fn shutdown(self) {
        // The services' own tasks end with their last handle; the gateway holds the others.
        let Suite { gateway, firestore, pubsub, bigquery, notes: _ } = self;
        drop((firestore, pubsub, bigquery));
        gateway.shutdown().await;
    }
}
