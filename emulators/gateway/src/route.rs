//! Which part of the gateway answers a request.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Request, Response};

use crate::{Core, admin, credentials, gate, plain, transcode};

/// Answers one request, whatever the protocol.
///
/// Each way is in a box of its own: else every request would carry, and move, the room that the largest
/// of them needs.
pub async fn serve(core: &Core, request: Request<Body>) -> Response<Body> {
    let content_type = request.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    if content_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
        return Box::pin(gate::serve(core, request)).await;
    }
    let path = request.uri().path();
    if let Some(rest) = path.strip_prefix("/admin/") {
        let rest = rest.to_owned();
        return Box::pin(admin::serve(core, &rest, request)).await;
    }
    if credentials::covers(path) {
        return Box::pin(credentials::serve(core, request)).await;
    }
    if let Some(service) = core.http.iter().find(|service| service.covers(path)) {
        return Box::pin(plain::serve(core, service, request)).await;
    }
    Box::pin(transcoded(core, request)).await
}

async fn transcoded(core: &Core, request: Request<Body>) -> Response<Body> {
    match transcode::prepare(core.table(), request).await {
        Ok(mut call) => {
            let request = std::mem::take(&mut call.request);
            let response = gate::serve(core, request).await;
            call.answer(response).await
        }
        Err(answer) => answer,
    }
}
