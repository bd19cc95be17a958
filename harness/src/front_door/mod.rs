//! The stable address of a process: what Pub/Sub pushes to, whichever instances there are.
//!
//! It holds messages back where a scenario wants a moment to be exact, hands them to the service's
//! [run model](crate::run_model), which finds an instance or answers itself, and keeps what went
//! through: who was told what, and what was acknowledged.

mod arrival;
mod catcher;
mod ledger;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use ledger::{Exchange, Message};
use scrimmage_load::live::publish::Payload;

use crate::SetupError;
use crate::clients::local_http_builder;
use crate::run::Activity;
use crate::run_model::{Decision, Refusal, Service};
use crate::scenario::Arrival;
use arrival::ArrivalGate;
use catcher::Catcher;
use ledger::Ledger;

/// The front door of one kind of process.
pub struct FrontDoor {
    role: String,
    address: SocketAddr,
    ledger: Ledger,
    arrival: Option<ArrivalGate>,
    /// Players whose messages are acknowledged and go nowhere.
    silent: Mutex<HashSet<String>>,
    catcher: Catcher,
    http: reqwest::Client,
    /// What is behind the door, once it is.
    service: OnceLock<Arc<Service>>,
    activity: Activity,
}

/// The task that serves a door; dropping it closes the door.
pub struct OpenDoor(JoinHandle<()>);

impl Drop for OpenDoor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl FrontDoor {
    /// Opens a door on a port of its own; `arrival` is how messages are let in, and how many there
    /// will be.
    pub async fn open(
        role: &str,
        arrival: Option<(Arrival, usize)>,
        activity: Activity,
    ) -> Result<(Arc<FrontDoor>, OpenDoor), SetupError> {
        let failed = |error: std::io::Error| SetupError::prepare(format!("the front door of {role}"), error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let door = Arc::new(FrontDoor {
            role: role.to_owned(),
            address: listener.local_addr().map_err(failed)?,
            ledger: Ledger::default(),
            arrival: arrival.map(|(arrival, total)| ArrivalGate::new(arrival, total)),
            silent: Mutex::default(),
            catcher: Catcher::default(),
            // A connection a request: one that an instance closes while it is being used again would
            // look like a broken instance.
            http: local_http_builder()
                .pool_max_idle_per_host(0)
                .build()
                .map_err(|error| SetupError::prepare(format!("the front door of {role}"), error))?,
            service: OnceLock::new(),
            activity,
        });
        let router = Router::new().fallback(enter).with_state(Arc::clone(&door));
        let serving = tokio::spawn(async move {
            // Accepting goes on until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok((door, OpenDoor(serving)))
    }

    /// The process behind it.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The URL of a path behind the door.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Messages about these players are acknowledged from now on and go nowhere, as with an instance
    /// that dies after it has answered.
    pub fn silence(&self, players: &[String]) {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).extend(players.iter().cloned());
    }

    /// Messages are acknowledged from now on, kept, and go nowhere, until there are as many as
    /// [`caught`](Self::caught) waits for.
    pub fn catch(&self) {
        self.catcher.begin();
    }

    /// Waits until so many different messages are caught, and lets the next ones in. What they said.
    pub async fn caught(&self, count: usize) -> Vec<Payload> {
        self.catcher.end_with(count).await
    }

    fn is_silent(&self, message: &Message) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        message.content["player_lookup"].as_str().is_some_and(|player| silent.contains(player))
    }

    /// Puts a service behind the door; there is one for as long as the door is.
    pub(crate) fn serve(&self, service: Arc<Service>) {
        // A second one would be a mistake of the harness, and changes nothing.
        let _ = self.service.set(service);
    }

    /// Everything that went through so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.ledger.exchanges()
    }

    /// How many different messages were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.ledger.acknowledged()
    }

    /// Whether nothing is on its way: no request in flight, no message refused and still to come again.
    pub fn is_idle(&self) -> bool {
        self.ledger.is_idle()
    }

    /// Lets no more than `count` messages through until [`release`](Self::release).
    pub fn hold_at(&self, count: usize) {
        self.ledger.hold_at(count);
    }

    /// Returns once `count` different messages have been acknowledged.
    pub async fn reached(&self, count: usize) {
        self.ledger.reached(count).await;
    }

    /// Takes the hold at `count` away.
    pub fn release(&self, count: usize) {
        self.ledger.release(count);
        self.activity.note();
    }

    async fn pass(&self, request: Incoming) -> Response {
        let message = Message::in_body(&request.body);
        if let Some(message) = &message {
            if let Some(arrival) = self.arrival.as_ref().filter(|_| self.ledger.is_new(&message.id)) {
                arrival.wait().await;
            }
            self.ledger.admit(&message.id).await;
        }
        let is_kept = |message: &&Message| self.is_silent(message) || self.catcher.takes(&message.id, &request.body);
        if let Some(message) = message.as_ref().filter(is_kept) {
            self.activity.note();
            self.ledger.write(&self.role, request.uri.path(), Some(message), StatusCode::NO_CONTENT);
            return StatusCode::NO_CONTENT.into_response();
        }
        self.activity.note();
        let answer = self.forward(&request).await;
        self.ledger.write(&self.role, request.uri.path(), message.as_ref(), answer.status());
        self.activity.note();
        answer
    }

    async fn forward(&self, request: &Incoming) -> Response {
        let Some(service) = self.service.get() else { return Refusal::NoInstance.into_response() };
        let mut pass = service.arrive();
        let port = match pass.decision().await {
            Decision::Route(port) => port,
            Decision::Refuse(refusal) => return refusal.into_response(),
        };
        // A task of its own: when the platform gives up, the instance goes on all the same.
        let mut sending = tokio::spawn(request.clone().send(self.http.clone(), port));
        tokio::select! {
            sent = &mut sending => {
                let answer = sent.ok().flatten();
                pass.finish(answer.is_some());
                answer.unwrap_or_else(|| Refusal::BrokenConnection.into_response())
            }
            decision = pass.decision() => match decision {
                Decision::Refuse(refusal) => refusal.into_response(),
                // A request is routed once.
                Decision::Route(_) => Refusal::BrokenConnection.into_response(),
            }
        }
    }
}

#[derive(Clone)]
struct Incoming {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Incoming {
    /// Asks the instance at a port; `None` where the connection breaks.
    async fn send(self, http: reqwest::Client, port: u16) -> Option<Response> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut outgoing =
            http.request(self.method.clone(), format!("http://127.0.0.1:{port}{path}")).body(self.body.clone());
        for (name, value) in &self.headers {
            if name != header::HOST && name != header::CONTENT_LENGTH && name != header::CONNECTION {
                outgoing = outgoing.header(name, value);
            }
        }
        let answer = outgoing.send().await.ok()?;
        let status = answer.status();
        let mut headers = HeaderMap::new();
        if let Some(kind) = answer.headers().get(header::CONTENT_TYPE) {
            headers.insert(header::CONTENT_TYPE, kind.clone());
        }
        let body = answer.bytes().await.ok()?;
        Some((status, headers, body).into_response())
    }
}

async fn enter(
    State(door): State<Arc<FrontDoor>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    const MOST_BYTES: usize = 32 * 1024 * 1024;
    let body = match axum::body::to_bytes(body, MOST_BYTES).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
    };
    let request = Incoming { method, uri, headers, body };
    // A task of its own: a caller that gives up does not end the work, as on Cloud Run.
    let passing = tokio::spawn(async move { door.pass(request).await });
    passing.await.unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response())
}
