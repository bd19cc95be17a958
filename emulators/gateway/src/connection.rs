//! Sockets: accepting, h1 and h2c on one port, and closing a connection on purpose.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::{Core, route};

/// Flow control and frame sizes of HTTP/2: requests of 10 MiB and more are ordinary here.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
const MAX_FRAME: u32 = 1024 * 1024;
/// A load generator may keep thousands of calls on one connection.
const MAX_STREAMS: u32 = 20_000;
const MAX_HEADERS: u32 = 256 * 1024;

/// Who is at the other end; in every request's extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The label of the port, else the peer's address.
    pub client: Arc<str>,
    /// The address that the request came in by, for links back (`selfLink`, upload locations).
    pub local: std::net::SocketAddr,
    pub kill: Kill,
}

/// Closes a TCP connection from within a call.
#[derive(Clone, Debug)]
pub struct Kill(Arc<watch::Sender<bool>>);

impl Kill {
    fn new() -> Self {
        Kill(Arc::new(watch::Sender::new(false)))
    }

    /// Closes the connection; every call on it ends.
    pub fn kill(&self) {
        self.0.send_replace(true);
    }

    async fn killed(&self) {
        // The sender lives in `self`: the channel cannot close.
        let _ = self.0.subscribe().wait_for(|killed| *killed).await;
    }
}

/// Held by every task of a gateway; when the last is gone, all tasks have ended.
pub type Alive = mpsc::Sender<Infallible>;

/// Accepts connections until told to stop.
pub async fn accept(
    listener: TcpListener,
    label: Option<Arc<str>>,
    core: Arc<Core>,
    stop: watch::Receiver<bool>,
    alive: Alive,
) {
    let mut stopping = stop.clone();
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let client = label.clone().unwrap_or_else(|| address.to_string().into());
                tokio::spawn(connection(stream, client, core.clone(), stop.clone(), alive.clone()));
            }
            // Out of file descriptors or a client that left at once: others may still come.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    client: Arc<str>,
    core: Arc<Core>,
    mut stop: watch::Receiver<bool>,
    alive: Alive,
) {
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let kill = Kill::new();
    let peer = Peer { client, local, kill: kill.clone() };
    let service = service_fn(move |request: Request<Incoming>| {
        let (core, peer) = (core.clone(), peer.clone());
        // In a box: it is some kilobytes, and hyper and the task that it runs in move it several times.
        Box::pin(async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            Ok::<_, Infallible>(route::serve(&core, request).await)
        })
    });
    let mut builder = auto::Builder::new(Streams { kill: kill.clone(), alive });
    builder.http1().timer(TokioTimer::new()).keep_alive(true).pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::debug!(%error, "a connection ended early");
        },
        () = kill.killed() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // Calls of an h2 connection are tasks of their own.
    kill.kill();
}

/// Runs the calls of an h2 connection: each ends with it.
#[derive(Clone)]
struct Streams {
    kill: Kill,
    alive: Alive,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, call: F) {
        let Streams { kill, alive } = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = call => {}
                () = kill.killed() => {}
            }
            drop(alive);
        });
    }
}
