//! The gate before every gRPC method: faults are decided here and calls written down.
//!
//! Without faults nothing is buffered: the request's first bytes are looked at as they pass by, and
//! the status is read from the trailers.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as Poller, Poll};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, StreamBody};
use scrimmage_core::faults::{Decision, End, InjectedError};
use scrimmage_core::{CallInfo, Code, Context, Status, Timestamp};
use tower::ServiceExt;

use crate::Core;
use crate::connection::Peer;
use crate::error;
use crate::methods::Method;
use crate::record::Record;

/// The length of the prefix of a gRPC message: a flag and four bytes of length.
const PREFIX: usize = 5;

/// Serves one gRPC call.
pub async fn serve(core: &Core, mut request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let (Some(method), Some(service)) = (core.methods().get(path), core.grpc_service(path)) else {
        return unknown(core, &request);
    };
    let peer = request.extensions().get::<Peer>().cloned();
    let mut record = Record::new(
        &core.context,
        CallInfo {
            service: method.service.clone(),
            method: method.name.clone(),
            resources: Vec::new(),
            client: peer.as_ref().map_or_else(|| core.in_process.clone(), |peer| peer.client.clone()),
        },
    );
    request.extensions_mut().insert(record.notes.clone());
    let mut drop_after = false;
    if core.context.faults.is_active() {
        let (parts, body) = request.into_parts();
        let (head, body) = Box::pin(first_message(body)).await;
        record.info.resources = message_of(&head).map(|message| method.resources(message)).unwrap_or_default();
        let now = core.context.clock.now();
        if let Some(decision) = core.context.faults.decide(&record.info, now) {
            match Box::pin(hold(&core.context, decision, now, &mut record)).await {
                End::Pass => {}
                End::DropAfter => drop_after = true,
                End::DropBefore => {
                    return Box::pin(lose(record, peer, "The connection was dropped before the call.")).await;
                }
                End::Error(InjectedError { status, .. }) => {
                    record.finish(status.code, status.message.clone());
                    return error::grpc(status);
                }
            }
        }
        request = Request::from_parts(parts, body);
    } else {
        let (method, found) = (method.clone(), record.resources.clone());
        request = request.map(|inner| Body::new(Tap { inner, method: Some(method), found }));
    }
    let Ok(response) = service.oneshot(request).await;
    if drop_after {
        let server_streaming = method.server_streaming;
        Box::pin(note_applied(response.map(Body::new), server_streaming, &mut record)).await;
        return Box::pin(lose(record, peer, "")).await;
    }
    if let Some((code, message)) = error::grpc_status(response.headers()) {
        record.finish(code, message);
        return response.map(Body::new);
    }
    response.map(|inner| Body::new(Watched { inner, record: Some(record) }))
}

fn unknown(core: &Core, request: &Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let client = request.extensions().get::<Peer>().map_or("in-process", |peer| &peer.client);
    let mut record = Record::new(&core.context, CallInfo::new(service, method, "", client));
    let status = Status::unimplemented(format!("Method not found: {path} is not served here."));
    record.finish(status.code, status.message.clone());
    error::grpc(status)
}

/// Does the waiting of a decision that was taken at `now`; says how the call is to end.
pub async fn hold(context: &Context, decision: Decision, now: Timestamp, record: &mut Record) -> End {
    record.faults.extend(decision.faults);
    let mut held_from = now;
    for barrier in decision.barriers {
        barrier.opened(&context.clock).await;
        held_from = context.clock.now();
    }
    if !decision.delay.is_zero() {
        context.clock.sleep_until(held_from + decision.delay).await;
    }
    decision.end
}

/// Closes the connection; the call's future ends with it.
pub async fn lose(mut record: Record, peer: Option<Peer>, message: &str) -> Response<Body> {
    record.finish(Code::Unavailable, message.to_owned());
    drop(record);
    let Some(peer) = peer else {
        // No connection to lose: the nearest that a caller inside the process can see.
        return error::grpc(Status::unavailable("Connection lost."));
    };
    peer.kill.kill();
    std::future::pending().await
}

/// Lets a call run to its end (a stream: to its first message) and notes its true status.
async fn note_applied(response: Response<Body>, streaming: bool, record: &mut Record) {
    if let Some((code, message)) = error::grpc_status(response.headers()) {
        return record.finish(code, message);
    }
    let mut body = response.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some((code, message)) = frame.trailers_ref().and_then(error::grpc_status) {
            return record.finish(code, message);
        }
        if streaming {
            break;
        }
    }
    record.finish(Code::Ok, String::new());
}

/// Reads up to the end of the first message; the body that is given back begins with it again.
async fn first_message(mut body: Body) -> (Bytes, Body) {
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut length = 0;
    let mut wanted = PREFIX;
    let mut left_over = None;
    while length < wanted {
        match body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    length += data.len();
                    chunks.push(data);
                    if wanted == PREFIX && length >= PREFIX {
                        wanted = PREFIX + declared_length(&chunks);
                    }
                }
                Err(trailers) => {
                    left_over = Some(Ok(trailers));
                    break;
                }
            },
            Some(Err(error)) => {
                left_over = Some(Err(error));
                break;
            }
            None => break,
        }
    }
    let head = match chunks.as_slice() {
        [one] => one.clone(),
        several => several
            .iter()
            .fold(BytesMut::with_capacity(length), |mut all, chunk| {
                all.extend_from_slice(chunk);
                all
            })
            .freeze(),
    };
    let replayed = chunks.into_iter().map(|chunk| Ok(Frame::data(chunk))).chain(left_over);
    let rest = futures::stream::unfold(body, |mut body| async move { body.frame().await.map(|frame| (frame, body)) });
    let whole = futures::StreamExt::chain(futures::stream::iter(replayed), rest);
    (head, Body::new(StreamBody::new(whole)))
}

fn declared_length(chunks: &[Bytes]) -> usize {
    let prefix = chunks.iter().flatten().skip(1).take(4);
    prefix.fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// The message behind the prefix, as far as it is there; `None` where it is compressed.
fn message_of(head: &[u8]) -> Option<&[u8]> {
    match head.split_at_checked(PREFIX) {
        Some(([0, ..], message)) => Some(message),
        _ => None,
    }
}

/// Looks at the first bytes of a request as they pass by.
struct Tap {
    inner: Body,
    /// Taken at the first look.
    method: Option<Arc<Method>>,
    found: Arc<OnceLock<Vec<String>>>,
}

impl HttpBody for Tap {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Some(method) = self.method.take()
            && let Some(message) = message_of(data)
        {
            let _ = self.found.set(method.resources(message));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads the status from an answer's trailers; an answer that is dropped before was cancelled.
struct Watched {
    inner: tonic::body::Body,
    record: Option<Record>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let status = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.trailers_ref().and_then(error::grpc_status),
            Poll::Ready(Some(Err(status))) => Some((status.code().into(), status.message().to_owned())),
            Poll::Ready(None) => Some((Code::Ok, String::new())),
            Poll::Pending => None,
        };
        if let Some((code, message)) = status
            && let Some(mut record) = self.record.take()
        {
            record.finish(code, message);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
