//! Takes the pipeline's announcement as the next phase would: by push, and looks at once whether
//! what is announced is there.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::rows::run_statement;
use crate::SetupError;
use crate::clients::Clients;
use crate::front_door::Message;
use crate::run::Activity;
use crate::stage::provision::Props;

/// One announcement.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub message_id: String,
    pub content: Value,
    /// Rows of the announced date in the main table when the message came.
    pub rows_readable: usize,
    /// The subscriptions that it came by: each starts the next phase.
    pub subscriptions: BTreeSet<String>,
}

struct Shared {
    clients: Clients,
    count_rows: String,
    /// By message id: what is delivered twice was announced once.
    received: Mutex<BTreeMap<String, Announcement>>,
    /// Ids of the messages that came by topics that are only counted.
    counted: Mutex<BTreeMap<String, BTreeSet<String>>>,
    activity: Activity,
}

/// The endpoint and what it has received. Dropping it closes the endpoint.
pub struct Inbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Inbox {
    /// Opens an endpoint on a port of its own.
    pub async fn open(
        clients: &Clients,
        props: &Props,
        game_date: &str,
        activity: Activity,
    ) -> Result<Inbox, SetupError> {
        let failed = |error: std::io::Error| SetupError::prepare("the inbox", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let count_rows = format!(
            "SELECT COUNT(*) FROM {} WHERE {} = DATE '{game_date}'",
            props.quoted(&clients.project, &props.tables.main),
            props.tables.partition_field
        );
        let (received, counted) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { clients: clients.clone(), count_rows, received, counted, activity });
        let router = Router::new()
            .route("/announcements", post(receive))
            .route("/counted/{topic}", post(count))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // Accepting goes on until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Inbox { shared, address, serving })
    }

    /// What to subscribe with.
    pub fn url(&self) -> String {
        format!("http://{}/announcements", self.address)
    }

    /// What to subscribe with to a topic whose messages are only counted.
    pub fn counter_url(&self, topic: &str) -> String {
        format!("http://{}/counted/{topic}", self.address)
    }

    /// How many different messages such a topic had.
    pub fn counted(&self, topic: &str) -> usize {
        self.shared.counted.lock().unwrap_or_else(PoisonError::into_inner).get(topic).map_or(0, BTreeSet::len)
    }

    /// What has come so far.
    pub fn received(&self) -> Vec<Announcement> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    let Some(message) = Message::in_body(&body) else { return StatusCode::BAD_REQUEST };
    let Ok(rows) = run_statement(&shared.clients, &shared.count_rows).await else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    let count = rows.first().and_then(|row| row.first()?.as_ref()?.parse().ok()).unwrap_or(0);
    let mut received = shared.received.lock().unwrap_or_else(PoisonError::into_inner);
    let announcement = received.entry(message.id.clone()).or_insert_with(|| Announcement {
        message_id: message.id,
        content: message.content,
        rows_readable: count,
        subscriptions: BTreeSet::new(),
    });
    announcement.subscriptions.insert(message.subscription);
    shared.activity.note();
    StatusCode::NO_CONTENT
}

async fn count(State(shared): State<Arc<Shared>>, Path(topic): Path<String>, body: Bytes) -> StatusCode {
    let Some(message) = Message::in_body(&body) else { return StatusCode::BAD_REQUEST };
    shared.counted.lock().unwrap_or_else(PoisonError::into_inner).entry(topic).or_default().insert(message.id);
    shared.activity.note();
    StatusCode::NO_CONTENT
}
