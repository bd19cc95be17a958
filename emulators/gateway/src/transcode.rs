//! REST to gRPC: a JSON request becomes a call on the same in-process routes that gRPC clients
//! reach, so that gate and journal see it once, and the answer becomes JSON again.

mod answer;
mod json_in;
mod json_out;
mod query;
mod table;
mod template;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderValue, Request, Response, request};
use http_body_util::BodyExt;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, Value};
use scrimmage_core::Status;

use json_in::Problems;
use table::Rule;
use template::{Captures, Path};

pub use json_out::write_json;
pub use table::Table;

use crate::error;

/// The largest JSON body that is read; services have limits of their own below.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Decodes `%XX` in header and path texts.
pub fn percent_decode(text: &str) -> String {
    template::percent::decode(text, false)
}

/// The parameters of a query string, decoded.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    query::pairs(query).collect()
}

/// A REST call on its way to a method.
pub struct Call {
    /// The gRPC request to hand to the routes.
    pub request: Request<Body>,
    answer: answer::Answer,
}

impl Call {
    /// Turns the routes' answer into the REST answer.
    pub async fn answer(self, response: Response<Body>) -> Response<Body> {
        self.answer.write(response).await
    }
}

/// Takes a request apart; an `Err` is the finished answer.
pub async fn prepare(table: &Table, request: Request<Body>) -> Result<Call, Response<Body>> {
    let (parts, body) = request.into_parts();
    let (system, parameters) = query::system(parts.uri.query().unwrap_or(""));
    let refuse = |status: Status| answer::refuse(status, system.pretty);
    let path = Path::new(parts.uri.path());
    let Some((rule, captures)) = path.as_ref().and_then(|path| table.find(&parts.method, path)) else {
        return Err(refuse(Status::not_found("Method not found.")));
    };
    if rule.method.is_client_streaming() {
        let text = format!("{} is a stream of requests: call it by gRPC.", rule.method.full_name());
        return Err(refuse(Status::unimplemented(text)));
    }
    let body = match collect(body).await {
        Ok(body) => body,
        Err(status) => return Err(refuse(status)),
    };
    let message = bind(rule, &captures, &parameters, &body).map_err(refuse)?;
    let answer = answer::Answer::new(rule.method.output(), rule.method.is_server_streaming(), system);
    Ok(Call { request: grpc_request(&rule.grpc_path, parts, &message), answer })
}

async fn collect(body: Body) -> Result<Bytes, Status> {
    http_body_util::Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|_| Status::invalid_argument(format!("Request payload size exceeds the limit: {MAX_BODY} bytes.")))
}

/// Builds the request message from body, path and query, in this order of precedence upwards.
fn bind(
    rule: &Rule,
    captures: &Captures<'_>,
    parameters: &[(String, String)],
    body: &[u8],
) -> Result<DynamicMessage, Status> {
    let input = rule.method.input();
    let mut problems = Problems::default();
    let has_body = body.iter().any(|byte| !byte.is_ascii_whitespace());
    let mut message = DynamicMessage::new(input.clone());
    match &rule.body {
        table::Body::All if has_body => {
            message = json_in::message(&input, &json_in::parse(body)?, "", &mut problems);
        }
        table::Body::Field(name) if has_body => {
            if let Some(field) = input.get_field_by_name(name)
                && let Kind::Message(inner) = field.kind()
            {
                let value = json_in::message(&inner, &json_in::parse(body)?, name, &mut problems);
                message.set_field(&field, Value::Message(value));
            }
        }
        table::Body::None if has_body && !is_empty_object(body) => {
            // Production refuses a body on GET and DELETE by naming its first field.
            if let serde_json::Value::Object(object) = json_in::parse(body)? {
                for name in object.keys() {
                    problems.unknown_body(name);
                }
            }
        }
        _ => {}
    }
    query::bind(&mut message, parameters, &mut problems);
    for (field, value) in captures {
        // The variable's field is the API's own and a string: setting it does not fail.
        let _ = query::set(&mut message, field, value);
    }
    problems.into_status()?;
    Ok(message)
}

fn is_empty_object(body: &[u8]) -> bool {
    body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).eq(*b"{}")
}

fn grpc_request(path: &str, parts: request::Parts, message: &DynamicMessage) -> Request<Body> {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(length + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // A `BytesMut` grows as needed.
    let _ = message.encode(&mut frame);
    let mut request = Request::new(Body::from(frame.freeze()));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    for (name, value) in &parts.headers {
        let name_text = name.as_str();
        if name_text == "authorization" || name_text == "user-agent" || name_text.starts_with("x-goog-") {
            headers.append(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    *request.extensions_mut() = parts.extensions;
    request
}

/// For paths that no service has.
pub fn not_found() -> Response<Body> {
    error::rest(&Status::not_found("Method not found."), Vec::new(), true)
}

#[cfg(test)]
mod tests;
