//! The way back: gRPC frames and trailers to JSON.

use std::convert::Infallible;

use axum::body::Body;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{Buf, Bytes, BytesMut};
use futures::stream;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use scrimmage_core::{Code, Detail, Status};
use scrimmage_protos::google::rpc;
use serde_json::{Value, json};

use super::json_out::{self, Style};
use super::query::System;
use crate::error;

/// How the answer of one call is written.
#[derive(Clone, Debug)]
pub struct Answer {
    output: MessageDescriptor,
    streaming: bool,
    system: System,
}

/// An error found before any method was called.
pub fn refuse(status: Status, pretty: bool) -> Response<Body> {
    let details = status.details.iter().map(detail_json).collect();
    error::rest(&status, details, pretty)
}

fn detail_json(detail: &Detail) -> Value {
    match detail {
        Detail::ErrorInfo { reason, domain, metadata } => json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason, "domain": domain, "metadata": metadata,
        }),
        Detail::BadRequest { field_violations } => {
            let violations: Vec<_> = field_violations
                .iter()
                .map(|(field, description)| {
                    if field.is_empty() {
                        json!({ "description": description })
                    } else {
                        json!({ "field": field, "description": description })
                    }
                })
                .collect();
            json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations })
        }
    }
}

impl Answer {
    pub fn new(output: MessageDescriptor, streaming: bool, system: System) -> Self {
        Answer { output, streaming, system }
    }

    fn style(&self) -> Style {
        Style { pretty: self.system.pretty, enum_numbers: self.system.enum_numbers }
    }

    /// Turns a gRPC answer into the REST answer.
    pub async fn write(self, response: Response<Body>) -> Response<Body> {
        if let Some((code, message)) = error::grpc_status(response.headers())
            && code != Code::Ok
        {
            return self.failed(code, message, response.headers());
        }
        let mut frames = Frames::new(response.into_body());
        let first = frames.next().await;
        if let Next::Failed { code, message, trailers } = &first {
            return self.failed(*code, message.clone(), trailers);
        }
        if self.streaming {
            return self.stream(first, frames);
        }
        let Next::Message(bytes) = first else {
            return self.failed(Code::Internal, "The service sent no answer.".to_owned(), &HeaderMap::new());
        };
        let mut text = Vec::new();
        match self.encode(bytes, &mut text) {
            Ok(()) => {}
            Err(status) => return refuse(status, self.system.pretty),
        }
        // The status comes behind the message: a unary method may still have failed.
        match frames.next().await {
            Next::Failed { code, message, trailers } => self.failed(code, message, &trailers),
            _ => {
                text.push(b'\n');
                error::bytes_response(200, text)
            }
        }
    }

    fn encode(&self, bytes: Bytes, text: &mut Vec<u8>) -> Result<(), Status> {
        let message = DynamicMessage::decode(self.output.clone(), bytes)
            .map_err(|error| Status::internal(format!("The service's answer cannot be read: {error}")))?;
        json_out::write(&message, self.style(), text);
        Ok(())
    }

    fn failed(&self, code: Code, message: String, headers: &HeaderMap) -> Response<Body> {
        error::rest(&Status::new(code, message), details(headers), self.system.pretty)
    }

    /// A JSON array, or events, that grows as the service answers.
    fn stream(self, first: Next, frames: Frames) -> Response<Body> {
        let content_type =
            if self.system.sse { "text/event-stream; charset=UTF-8" } else { "application/json; charset=UTF-8" };
        let state = StreamState { answer: self, frames, pending: Some(first), count: 0, done: false };
        let chunks = stream::unfold(state, |mut state| async move {
            let chunk = state.chunk().await?;
            Some((Ok::<_, Infallible>(Bytes::from(chunk)), state))
        });
        error::response(200, content_type, Body::from_stream(chunks))
    }
}

struct StreamState {
    answer: Answer,
    frames: Frames,
    pending: Option<Next>,
    count: u64,
    done: bool,
}

impl StreamState {
    async fn chunk(&mut self) -> Option<Vec<u8>> {
        if self.done {
            return None;
        }
        let next = match self.pending.take() {
            Some(next) => next,
            None => self.frames.next().await,
        };
        let mut item = Vec::new();
        match next {
            Next::Message(bytes) => {
                if let Err(status) = self.answer.encode(bytes, &mut item) {
                    self.done = true;
                    item = error_item(&status, Vec::new(), self.answer.system.pretty);
                }
            }
            // A stream that fails half way ends with the error as its last element.
            Next::Failed { code, message, trailers } => {
                self.done = true;
                item = error_item(&Status::new(code, message), details(&trailers), self.answer.system.pretty);
            }
            Next::End => self.done = true,
        }
        let chunk = if self.answer.system.sse { self.event(item) } else { self.element(item) };
        self.count += 1;
        Some(chunk)
    }

    fn event(&self, item: Vec<u8>) -> Vec<u8> {
        if item.is_empty() {
            return item;
        }
        let mut event = b"data: ".to_vec();
        event.extend(item.into_iter().filter(|byte| *byte != b'\n'));
        event.extend_from_slice(b"\r\n\r\n");
        event
    }

    fn element(&self, item: Vec<u8>) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(item.len() + 3);
        match (self.count, item.is_empty()) {
            (0, _) => chunk.push(b'['),
            (_, false) => chunk.extend_from_slice(b",\n"),
            _ => {}
        }
        chunk.extend_from_slice(&item);
        if self.done {
            chunk.extend_from_slice(b"]\n");
        } else {
            chunk.push(b'\n');
        }
        chunk
    }
}

fn error_item(status: &Status, details: Vec<Value>, pretty: bool) -> Vec<u8> {
    let mut error = json!({
        "code": status.code.http_status(), "message": status.message, "status": status.code.name(),
    });
    if !details.is_empty() {
        error["details"] = Value::Array(details);
    }
    let mut text = Vec::new();
    json_out::write_json(&json!({ "error": error }), pretty, &mut text);
    text
}

/// The typed details of a failed call, as JSON with `@type`.
fn details(headers: &HeaderMap) -> Vec<Value> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let status = headers
        .get(error::GRPC_DETAILS)
        .and_then(|value| LENIENT.decode(value.as_bytes()).ok())
        .and_then(|bytes| rpc::Status::decode(bytes.as_slice()).ok())
        .unwrap_or_default();
    status.details.into_iter().filter_map(|any| any_json(&any.type_url, any.value)).collect()
}

fn any_json(type_url: &str, value: Vec<u8>) -> Option<Value> {
    let name = type_url.rsplit('/').next()?;
    let descriptor = scrimmage_protos::pool().get_message_by_name(name)?;
    let message = DynamicMessage::decode(descriptor, value.as_slice()).ok()?;
    let mut text = Vec::new();
    json_out::write(&message, Style::default(), &mut text);
    let mut shown = serde_json::Map::new();
    shown.insert("@type".to_owned(), json!(type_url));
    if let Value::Object(fields) = serde_json::from_slice(&text).ok()? {
        shown.extend(fields);
    }
    Some(Value::Object(shown))
}

/// Messages and end of a gRPC body.
struct Frames {
    body: Body,
    buffer: BytesMut,
    trailers: Option<HeaderMap>,
    ended: bool,
}

enum Next {
    Message(Bytes),
    Failed { code: Code, message: String, trailers: HeaderMap },
    End,
}

impl Frames {
    fn new(body: Body) -> Self {
        Frames { body, buffer: BytesMut::new(), trailers: None, ended: false }
    }

    async fn next(&mut self) -> Next {
        loop {
            if let Some(message) = self.take() {
                return Next::Message(message);
            }
            if self.ended {
                return self.end();
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(_)) | None => self.ended = true,
            }
        }
    }

    /// A whole message at the front of the buffer; in-process answers are not compressed.
    fn take(&mut self) -> Option<Bytes> {
        let length = u32::from_be_bytes(self.buffer.get(1..5)?.try_into().ok()?) as usize;
        if self.buffer.len() < length.checked_add(5)? {
            return None;
        }
        self.buffer.advance(5);
        Some(self.buffer.split_to(length).freeze())
    }

    fn end(&mut self) -> Next {
        let trailers = self.trailers.take().unwrap_or_default();
        match error::grpc_status(&trailers) {
            Some((code, message)) if code != Code::Ok => Next::Failed { code, message, trailers },
            _ => Next::End,
        }
    }
}
