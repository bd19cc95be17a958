//! One loopback port for all services.
//!
//! ```text
//! TCP ─ h1 or h2c ─┬─ application/grpc ────────────────┐
//!                  ├─ /v1/… by google.api.http ── JSON ┴─ gate ── tonic services
//!                  ├─ /bigquery/v2/… ──────────────────── gate ── axum router
//!                  ├─ /admin/…
//!                  └─ /token, /computeMetadata/…
//! ```
//! The gate decides faults and writes the journal, for every service alike.

mod admin;
mod bigquery_names;
mod connection;
mod credentials;
mod error;
mod gate;
mod methods;
mod plain;
mod record;
mod remote;
mod route;
mod scan;
mod transcode;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use http::{Request, Response};
use scrimmage_core::{Context, Status};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::server::NamedService;
use tower::Service;
use tower::util::BoxCloneSyncService;

pub use connection::{Kill, Peer};
pub use error::ErrorShape;
pub use plain::HttpService;
pub use remote::{Remote, RemoteGrpc, Token};

use connection::Alive;
use methods::Methods;
use transcode::Table;

type GrpcService = BoxCloneSyncService<Request<Body>, Response<tonic::body::Body>, Infallible>;
type Hook = Box<dyn Fn() -> Result<(), Status> + Send + Sync>;

/// Why a gateway cannot be started.
#[derive(Debug, Error)]
pub enum GatewayError {
    #[error("port {port} is already in use: stop the program that has it, or choose another with --port")]
    PortInUse { port: u16 },
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen { port: u16, source: io::Error },
}

/// What all connections share.
pub(crate) struct Core {
    context: Context,
    grpc: HashMap<&'static str, GrpcService>,
    /// Full service names and the short names that journal and faults use.
    names: Vec<(&'static str, Arc<str>)>,
    http: Vec<HttpService>,
    /// Services' own calls under `/admin/{name}/`.
    admin: Vec<(&'static str, axum::Router)>,
    resets: Vec<Hook>,
    methods: OnceLock<Methods>,
    table: OnceLock<Table>,
    /// The client's name where a call comes from inside of the process.
    in_process: Arc<str>,
}

impl Core {
    fn methods(&self) -> &Methods {
        self.methods.get_or_init(|| {
            methods::methods(scrimmage_protos::pool(), self.names.iter().map(|(full, short)| (*full, short)))
        })
    }

    fn table(&self) -> &Table {
        self.table.get_or_init(|| Table::new(scrimmage_protos::pool(), self.names.iter().map(|(full, _)| *full)))
    }

    /// The service of `/package.Service/Method`.
    fn grpc_service(&self, path: &str) -> Option<GrpcService> {
        let (service, _) = path.strip_prefix('/')?.split_once('/')?;
        self.grpc.get(service).cloned()
    }

    fn service_names(&self) -> Vec<&str> {
        let all = self.names.iter().map(|(_, short)| &**short).chain(self.http.iter().map(|service| service.name));
        let mut names: Vec<&str> = Vec::new();
        for name in all {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Resets every service, whatever comes of the others; the first problem is the answer.
    fn reset(&self) -> Result<(), Status> {
        self.context.faults.clear();
        let failed = self.resets.iter().filter_map(|reset| reset().err());
        let failed: Vec<Status> = failed.collect();
        self.context.journal.clear();
        self.context.journal.event("suite", "reset", "", "");
        match failed.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }
}

/// Collects services, then [binds](Builder::bind).
pub struct Builder {
    core: Core,
}

impl Builder {
    /// A gateway without services.
    pub fn new(context: Context) -> Self {
        Builder {
            core: Core {
                context,
                grpc: HashMap::new(),
                names: Vec::new(),
                http: Vec::new(),
                admin: Vec::new(),
                resets: Vec::new(),
                methods: OnceLock::new(),
                table: OnceLock::new(),
                in_process: "in-process".into(),
            },
        }
    }

    /// Adds a tonic service under the name that journal and faults use for it (`firestore`); its
    /// REST methods follow from the API's annotations.
    pub fn grpc<S>(mut self, name: &str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<tonic::body::Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.core.grpc.insert(S::NAME, BoxCloneSyncService::new(service));
        self.core.names.push((S::NAME, name.into()));
        self
    }

    /// Adds a service that speaks HTTP itself.
    pub fn http_service(mut self, service: HttpService) -> Self {
        self.core.http.push(service);
        self
    }

    /// Adds a service's own calls under `/admin/{name}/`; the router gets the whole path. They pass no
    /// gate: no faults, and no journal.
    pub fn admin(mut self, name: &'static str, router: axum::Router) -> Self {
        self.core.admin.push((name, router));
        self
    }

    /// Adds what `POST /admin/reset` and [`Gateway::reset`] call; an error is their answer.
    pub fn on_reset(mut self, hook: impl Fn() -> Result<(), Status> + Send + Sync + 'static) -> Self {
        self.core.resets.push(Box::new(hook));
        self
    }

    /// Listens on this port of 127.0.0.1 (0: any free one) and begins to serve.
    pub async fn bind(self, port: u16) -> Result<Gateway, GatewayError> {
        let listener = listen(port).await?;
        let address = listener.local_addr().map_err(|source| GatewayError::Listen { port, source })?;
        let core = Arc::new(self.core);
        let (alive, all_ended) = mpsc::channel(1);
        let stop = watch::Sender::new(false);
        tokio::spawn(connection::accept(listener, None, core.clone(), stop.subscribe(), alive.clone()));
        // Reading descriptors takes some milliseconds: done beside, before the first call needs it.
        let warm = (core.clone(), alive.clone());
        tokio::task::spawn_blocking(move || {
            let (core, _alive) = warm;
            core.methods();
            core.table();
        });
        Ok(Gateway { core, address, stop, alive, all_ended })
    }
}

async fn listen(port: u16) -> Result<TcpListener, GatewayError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => GatewayError::PortInUse { port },
        _ => GatewayError::Listen { port, source },
    })
}

/// A gateway that serves until [`Gateway::shutdown`]; dropping it stops it too, without waiting.
pub struct Gateway {
    core: Arc<Core>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    alive: Alive,
    all_ended: mpsc::Receiver<Infallible>,
}

impl Gateway {
    /// Starts to collect services.
    pub fn builder(context: Context) -> Builder {
        Builder::new(context)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    pub fn context(&self) -> &Context {
        &self.core.context
    }

    /// Opens one more port (any free one) for the same services. Calls that come in by it have
    /// `label` as their client: so journal and faults tell processes apart that look alike.
    pub async fn listen(&self, label: &str) -> Result<SocketAddr, GatewayError> {
        let listener = listen(0).await?;
        let address = listener.local_addr().map_err(|source| GatewayError::Listen { port: 0, source })?;
        let serving = connection::accept(
            listener,
            Some(label.into()),
            self.core.clone(),
            self.stop.subscribe(),
            self.alive.clone(),
        );
        tokio::spawn(serving);
        Ok(address)
    }

    /// Empties all services and the journal and takes all faults away. The clock keeps its time. After
    /// an error, a service may still have what it had.
    pub fn reset(&self) -> Result<(), Status> {
        self.core.reset()
    }

    /// Closes the ports and all connections; returns when every task has ended.
    pub async fn shutdown(self) {
        let Gateway { core, stop, alive, mut all_ended, .. } = self;
        stop.send_replace(true);
        drop(alive);
        // Nothing is ever sent: `None` comes when the last task has dropped its sender.
        let _ = all_ended.recv().await;
        drop(core);
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}
