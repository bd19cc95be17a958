//! Media uploads for load jobs: multipart in one request, or resumable in several.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scrimmage_core::Timestamp;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::{App, Caller, Params, body};
use crate::jobs::load::LoadSpec;
use crate::jobs::registry::JobCell;
use crate::{limits, texts};

/// Resumable uploads that are under way, by session id.
#[derive(Debug, Default)]
pub struct Uploads {
    sessions: Mutex<HashMap<String, Session>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Session {
    project: String,
    created: Timestamp,
    state: Progress,
}

#[derive(Debug)]
enum Progress {
    Receiving {
        resource: Value,
        bytes: Vec<u8>,
    },
    /// The last byte has come: what a client that missed the answer gets again.
    Done(Result<Arc<JobCell>, ApiError>),
}

impl Uploads {
    /// Sessions are called by numbers from this one on.
    pub fn counted_from(first: u64) -> Uploads {
        Uploads { sessions: Mutex::default(), next: AtomicU64::new(first) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Forgets those that began long ago.
    pub fn expire(&self, now: Timestamp) {
        self.lock().retain(|_, session| now.since(session.created) <= limits::UPLOAD_LIFETIME);
    }
}

/// `POST /upload/…?uploadType=multipart|resumable|media`.
pub async fn start(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    params: Params,
    caller: Caller,
    headers: HeaderMap,
    bytes: Bytes,
) -> ApiResult<Response> {
    match params.text("uploadType") {
        Some("multipart") => {
            let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let (metadata, media) = split_multipart(content_type, &bytes)?;
            let resource = body(&metadata)?;
            let cell = load(&app, &project, &resource, media)?;
            finish(&cell, &caller).await
        }
        Some("resumable") => {
            let resource = body(&bytes)?;
            // A bad configuration is refused before anything is sent.
            read_load(&app, &project, &resource)?;
            let id = format!("scrimmage-{}", app.uploads.next.fetch_add(1, Ordering::Relaxed) + 1);
            let state = Progress::Receiving { resource, bytes: Vec::new() };
            let created = app.ctx.clock.now();
            app.uploads.lock().insert(id.clone(), Session { project: project.clone(), created, state });
            let location = format!(
                "{}/upload/bigquery/v2/projects/{project}/jobs?uploadType=resumable&upload_id={id}",
                caller.base
            );
            Ok((StatusCode::OK, [(LOCATION.as_str(), location), ("x-guploader-uploadid", id)]).into_response())
        }
        Some(other) => {
            Err(ApiError::invalid(format!("Invalid upload type: {other}; use multipart or resumable")).at("uploadType"))
        }
        None => Err(ApiError::required("uploadType")),
    }
}

/// `PUT` of a resumable session: a part of the media, or a question how much has come.
pub async fn put(
    State(app): State<Arc<App>>,
    params: Params,
    caller: Caller,
    headers: HeaderMap,
    bytes: Bytes,
) -> ApiResult<Response> {
    let id = params.text("upload_id").ok_or_else(|| ApiError::required("upload_id"))?.to_owned();
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let part = ContentRange::parse(range, bytes.len())?;
    let cell = match receive(&app, &id, &part, &bytes)? {
        Received::Whole(cell) => cell,
        Received::Partly(received) => {
            let mut answer = StatusCode::PERMANENT_REDIRECT.into_response();
            if let (true, Ok(value)) = (received > 0, format!("bytes=0-{}", received.saturating_sub(1)).parse()) {
                answer.headers_mut().insert(RANGE, value);
            }
            return Ok(answer);
        }
    };
    finish(&cell, &caller).await
}

/// Where a session stands after a part.
enum Received {
    /// So many bytes have come.
    Partly(usize),
    /// The last byte has come, now or before; this is its job.
    Whole(Arc<JobCell>),
}

fn receive(app: &Arc<App>, id: &str, part: &ContentRange, body: &[u8]) -> ApiResult<Received> {
    let mut sessions = app.uploads.lock();
    let held = |session: &Session| match &session.state {
        Progress::Receiving { bytes, .. } => bytes.len(),
        Progress::Done(_) => 0,
    };
    let all: usize = sessions.values().map(held).sum();
    let session =
        sessions.get_mut(id).ok_or_else(|| ApiError::not_found(format!("Upload session {id} was not found")))?;
    let (resource, bytes) = match &mut session.state {
        Progress::Done(done) => return done.clone().map(Received::Whole),
        Progress::Receiving { resource, bytes } => (resource, bytes),
    };
    if let Some(start) = part.start {
        if start > bytes.len() {
            let have = bytes.len();
            return Err(ApiError::invalid(format!("Upload part begins at byte {start}, but only {have} have come")));
        }
        if start + body.len() > limits::UPLOAD_BYTES {
            return Err(ApiError::new(
                413,
                "uploadTooLarge",
                format!("Uploads are limited to {} bytes", limits::UPLOAD_BYTES),
            ));
        }
        if all + body.len() > limits::UPLOADS_BYTES {
            return Err(ApiError::new(503, "backendError", texts::UPLOADS_FULL));
        }
        // A part may be sent again from where the client last knew.
        bytes.truncate(start);
        bytes.extend_from_slice(body);
    }
    if part.total.is_none_or(|total| bytes.len() < total) {
        return Ok(Received::Partly(bytes.len()));
    }
    // Within the lock: two requests that both bring the last byte begin one job.
    let (resource, media) = (std::mem::take(resource), std::mem::take(bytes));
    let done = load(app, &session.project, &resource, Bytes::from(media));
    session.state = Progress::Done(done.clone());
    done.map(Received::Whole)
}

/// `bytes 0-99/100`, `bytes 0-99/*`, `bytes */100`, `bytes */*`; none at all is the whole.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    start: Option<usize>,
    total: Option<usize>,
}

impl ContentRange {
    fn parse(header: Option<&str>, length: usize) -> ApiResult<ContentRange> {
        let Some(header) = header else { return Ok(ContentRange { start: Some(0), total: Some(length) }) };
        let invalid = || ApiError::invalid(format!("Invalid Content-Range: {header}"));
        let (range, total) = header.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(invalid)?;
        let total = if total == "*" { None } else { Some(total.parse().map_err(|_| invalid())?) };
        if range == "*" {
            return Ok(ContentRange { start: None, total });
        }
        let (start, end) = range.split_once('-').ok_or_else(invalid)?;
        let (start, end): (usize, usize) = (start.parse().map_err(|_| invalid())?, end.parse().map_err(|_| invalid())?);
        if end.checked_sub(start).and_then(|span| span.checked_add(1)) != Some(length) {
            return Err(ApiError::invalid(format!("Content-Range {header} does not match a body of {length} bytes")));
        }
        Ok(ContentRange { start: Some(start), total })
    }
}

fn read_load(app: &App, project: &str, resource: &Value) -> ApiResult<(crate::jobs::Job, LoadSpec)> {
    let (job, configuration) = super::jobs::read_job(app, project, resource)?;
    let load = configuration.get("load").ok_or_else(|| ApiError::invalid("Media upload is only for load jobs"))?;
    let spec = LoadSpec::from_json(load)?;
    Ok((job, spec))
}

fn load(app: &Arc<App>, project: &str, resource: &Value, media: Bytes) -> ApiResult<Arc<JobCell>> {
    let (job, spec) = read_load(app, project, resource)?;
    super::jobs::start_load(app, job, spec, Some(media))
}

async fn finish(cell: &JobCell, caller: &Caller) -> ApiResult<Response> {
    let _ = tokio::time::timeout(std::time::Duration::from_millis(500), cell.wait()).await;
    let resource = cell.lock().resource(&caller.base);
    Ok(Json(json!(resource)).into_response())
}

/// The two parts of `multipart/related`: the job's resource and the media.
fn split_multipart(content_type: &str, bytes: &Bytes) -> ApiResult<(Bytes, Bytes)> {
    let bad = |what: &str| ApiError::new(400, "badContent", format!("Malformed multipart body: {what}"));
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="));
    let boundary = boundary
        .map(|boundary| boundary.trim().trim_matches('"'))
        .filter(|boundary| !boundary.is_empty())
        .ok_or_else(|| bad("no boundary"))?;
    let delimiter = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut at = find(bytes, &delimiter, 0).ok_or_else(|| bad("the boundary does not occur"))? + delimiter.len();
    while !bytes[at..].starts_with(b"--") && parts.len() < 2 {
        let next = find(bytes, &delimiter, at).ok_or_else(|| bad("a part does not end"))?;
        parts.push(part(bytes, at, next).ok_or_else(|| bad("a part has no headers"))?);
        at = next + delimiter.len();
    }
    match <[Bytes; 2]>::try_from(parts) {
        Ok([metadata, media]) => Ok((metadata, media)),
        Err(_) => Err(bad("expected two parts")),
    }
}

/// The content of one part: behind its headers, before the line end that belongs to the boundary.
fn part(bytes: &Bytes, from: usize, to: usize) -> Option<Bytes> {
    let raw = &bytes[from..to];
    let header_end =
        [&b"\r\n\r\n"[..], b"\n\n"].iter().filter_map(|end| find(raw, end, 0).map(|at| at + end.len())).min()?;
    let content_end = if raw.ends_with(b"\r\n") {
        to - 2
    } else if raw.ends_with(b"\n") {
        to - 1
    } else {
        to
    };
    let start = from + header_end;
    Some(if start <= content_end { bytes.slice(start..content_end) } else { Bytes::new() })
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = from;
    while at + wanted.len() <= bytes.len() {
        let skip = bytes[at..].iter().position(|byte| *byte == first)?;
        at += skip;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_parts_are_split() {
        let body = Bytes::from_static(b"--==x==\r\ncontent-type: application/json\r\n\r\n{\"a\":1}\r\n--==x==\r\nContent-Type: */*\r\n\r\nrow\nrow\n\r\n--==x==--");
        let (metadata, media) = split_multipart("multipart/related; boundary=\"==x==\"", &body).expect("two parts");
        assert_eq!((&metadata[..], &media[..]), (&b"{\"a\":1}"[..], &b"row\nrow\n"[..]));
        assert!(split_multipart("multipart/related", &body).is_err());
        assert!(split_multipart("multipart/related; boundary=y", &body).is_err());
    }

    #[test]
    fn content_ranges_are_read() {
        let range = |header, length| ContentRange::parse(header, length).ok();
        assert_eq!(range(None, 7), Some(ContentRange { start: Some(0), total: Some(7) }));
        assert_eq!(range(Some("bytes 5-9/10"), 5), Some(ContentRange { start: Some(5), total: Some(10) }));
        assert_eq!(range(Some("bytes 0-4/*"), 5), Some(ContentRange { start: Some(0), total: None }));
        assert_eq!(range(Some("bytes */10"), 0), Some(ContentRange { start: None, total: Some(10) }));
        assert_eq!(range(Some("bytes 0-4/5"), 3), None);
        assert_eq!(range(Some("0-4"), 5), None);
    }

    proptest! {
        #[test]
        fn any_body_is_split_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200), boundary in "[-a]{0,4}") {
            let _ = split_multipart(&format!("multipart/related; boundary={boundary}"), &Bytes::from(body));
        }

        #[test]
        fn any_range_is_read_or_refused(header in "(bytes )?[0-9*/-]{0,30}", length in 0usize..100) {
            let _ = ContentRange::parse(Some(&header), length);
        }
    }
}
