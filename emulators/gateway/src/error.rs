//! Errors on the wire: Google's JSON bodies and gRPC's trailers-only answers.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use scrimmage_core::{Code, Status};
use serde_json::{Value, json};

/// The body shapes that Google's APIs have for errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ErrorShape {
    /// `{"error": {"code", "message", "status", "details"?}}`.
    #[default]
    Google,
    /// BigQuery's older shape, with `errors: [{message, domain, reason}]` besides.
    BigQuery,
}

/// A status as the answer to a REST call.
pub fn rest(status: &Status, details: Vec<Value>, pretty: bool) -> Response<Body> {
    let mut error = json!({
        "code": status.code.http_status(),
        "message": status.message,
        "status": status.code.name(),
    });
    if !details.is_empty() {
        error["details"] = Value::Array(details);
    }
    json_response(status.code.http_status(), &json!({ "error": error }), pretty)
}

/// A status as a service of this shape answers it; `reason` is BigQuery's.
pub fn shaped(shape: ErrorShape, status: &Status, reason: Option<&str>) -> Response<Body> {
    match shape {
        ErrorShape::Google => rest(status, Vec::new(), true),
        ErrorShape::BigQuery => {
            let (http, default_reason) = bigquery_code(status.code);
            let reason = reason.unwrap_or(default_reason);
            let error = json!({
                "code": http,
                "message": status.message,
                "errors": [{ "message": status.message, "domain": "global", "reason": reason }],
                "status": status.code.name(),
            });
            json_response(http, &json!({ "error": error }), true)
        }
    }
}

/// BigQuery's HTTP status and usual reason: a quota is 403 there, not 429.
fn bigquery_code(code: Code) -> (u16, &'static str) {
    match code {
        Code::ResourceExhausted => (403, "quotaExceeded"),
        Code::Unavailable => (503, "backendError"),
        Code::Internal | Code::Unknown | Code::DataLoss => (500, "internalError"),
        Code::NotFound => (404, "notFound"),
        Code::AlreadyExists => (409, "duplicate"),
        Code::PermissionDenied => (403, "accessDenied"),
        Code::Unauthenticated => (401, "authError"),
        Code::Unimplemented => (501, "notImplemented"),
        Code::DeadlineExceeded => (504, "timeout"),
        Code::Aborted => (409, "aborted"),
        other => (other.http_status(), "invalid"),
    }
}

/// The code that stands for an HTTP status in the journal.
pub fn code_of(http: StatusCode) -> Code {
    match http.as_u16() {
        200..=399 => Code::Ok,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::AlreadyExists,
        429 => Code::ResourceExhausted,
        499 => Code::Cancelled,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        400..=498 => Code::InvalidArgument,
        _ => Code::Internal,
    }
}

/// A JSON answer with Google's content type.
pub fn json_response(http: u16, body: &Value, pretty: bool) -> Response<Body> {
    let mut text = Vec::new();
    crate::transcode::write_json(body, pretty, &mut text);
    bytes_response(http, text)
}

pub fn bytes_response(http: u16, text: Vec<u8>) -> Response<Body> {
    response(http, "application/json; charset=UTF-8", text)
}

pub fn response(http: u16, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A status as a gRPC answer without messages.
pub fn grpc(status: Status) -> Response<Body> {
    tonic::Status::from(status).into_http()
}

pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Code and text of gRPC headers or trailers; `None` where they carry no status.
pub fn grpc_status(headers: &HeaderMap) -> Option<(Code, String)> {
    let code = headers.get(GRPC_STATUS)?.to_str().ok()?.parse().map_or(Code::Unknown, Code::from_number);
    let message = headers.get(GRPC_MESSAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    Some((code, crate::transcode::percent_decode(message)))
}
