//! A gateway with the real Pub/Sub and a tiny HTTP service, and plain clients for it.
// Each test program uses a part of it.
#![allow(dead_code, clippy::expect_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Json;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use scrimmage_core::journal::{Body, Call, Query};
use scrimmage_core::{Clock, Code, Context, Status, Timestamp};
use scrimmage_gateway::{Gateway, HttpService};
use scrimmage_protos::google::pubsub::v1::Topic;
use scrimmage_protos::google::pubsub::v1::publisher_client::PublisherClient;
use scrimmage_pubsub::PubSub;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tonic::transport::Channel;

pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// 2026-01-01T00:00:00Z.
pub fn new_year() -> Timestamp {
    Timestamp::from_parts(1_767_225_600, 0)
}

pub async fn start_on(clock: Clock, port: u16) -> Result<Gateway, scrimmage_gateway::GatewayError> {
    let context = Context::new(clock).with_project("demo");
    let pubsub = PubSub::new(context.clone());
    let router = axum::Router::new()
        .route("/bigquery/v2/projects/{project}/jobs", post(|| async { Json(json!({ "kind": "bigquery#job" })) }))
        .route(
            "/bigquery/v2/projects/{project}/datasets/{dataset}",
            get(|| async {
                let error = json!({ "error": { "code": 404, "message": "Not found: Dataset", "status": "NOT_FOUND" } });
                (StatusCode::NOT_FOUND, Json(error))
            }),
        );
    Gateway::builder(context)
        .grpc("pubsub", pubsub.publisher())
        .grpc("pubsub", pubsub.subscriber())
        .http_service(HttpService::bigquery(router))
        .on_reset(move || pubsub.reset().map_err(|problem| Status::new(Code::Internal, problem.to_string())))
        .bind(port)
        .await
}

pub async fn start() -> Gateway {
    start_on(Clock::virtual_at(new_year()), 0).await.expect("a gateway")
}

pub async fn publisher(address: SocketAddr) -> PublisherClient<Channel> {
    PublisherClient::connect(format!("http://{address}")).await.expect("a connection")
}

pub fn topic(id: &str) -> Topic {
    Topic { name: format!("projects/demo/topics/{id}"), ..Topic::default() }
}

fn request(
    verb: &str,
    address: SocketAddr,
    target: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(verb).uri(target).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request")
}

/// One request on an HTTP/1.1 connection of its own.
pub async fn h1(
    verb: &str,
    address: SocketAddr,
    target: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Result<Response<String>, Failed> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request(verb, address, target, body, headers)).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, String::from_utf8(body.to_vec())?))
}

/// One request on an HTTP/2 connection of its own, without TLS.
pub async fn h2(verb: &str, address: SocketAddr, target: &str, body: &str) -> Result<Response<String>, Failed> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request(verb, address, &format!("http://{address}{target}"), body, &[])).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, String::from_utf8(body.to_vec())?))
}

/// A REST call: status and JSON body.
pub async fn rest(verb: &str, address: SocketAddr, target: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let response = h1(verb, address, target, &body, &[]).await.expect("an answer");
    let status = response.status().as_u16();
    (status, serde_json::from_str(response.body()).expect("JSON"))
}

/// Waits until the condition holds; fails the test after ten seconds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Puts faults in force, given as JSON.
pub fn set_faults(gateway: &Gateway, plan: Value) {
    let plan = serde_json::from_value(plan).expect("a plan");
    gateway.context().faults.set(plan).expect("a good plan");
}

/// The calls in the journal.
pub fn calls(gateway: &Gateway) -> Vec<Call> {
    let entries = gateway.context().journal.read(&Query::default());
    entries
        .iter()
        .filter_map(|entry| match &entry.body {
            Body::Call(call) => Some(call.clone()),
            Body::Event(_) => None,
        })
        .collect()
}
