//! Requests that come packed: `Content-Encoding: gzip`, which Google's APIs take from every client.

use std::io::Read as _;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::read::MultiGzDecoder;

use super::error::{ApiError, ApiResult};
use crate::limits;

/// Gives the handlers the plain body.
pub async fn unpack(request: Request, next: Next) -> Response {
    if !is_packed(request.headers()) {
        return next.run(request).await;
    }
    match unpacked(request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn is_packed(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip"))
}

async fn unpacked(request: Request) -> ApiResult<Request> {
    let (mut parts, body) = request.into_parts();
    let packed = to_bytes(body, limits::UPLOAD_BYTES).await.map_err(|error| bad(&error.to_string()))?;
    let plain = gunzip(&packed)?;
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Request::from_parts(parts, Body::from(plain)))
}

fn gunzip(packed: &[u8]) -> ApiResult<Bytes> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(packed).take(limits::UPLOAD_BYTES as u64 + 1);
    decoder.read_to_end(&mut plain).map_err(|error| bad(&error.to_string()))?;
    if plain.len() > limits::UPLOAD_BYTES {
        return Err(ApiError::new(413, "uploadTooLarge", "The request is too large when it is unpacked"));
    }
    Ok(plain.into())
}

fn bad(problem: &str) -> ApiError {
    ApiError::new(400, "badRequest", format!("The body is not what Content-Encoding: gzip says: {problem}"))
}
