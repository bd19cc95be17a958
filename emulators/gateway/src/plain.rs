//! Services that speak HTTP themselves (BigQuery), behind the same gate and journal.

use axum::body::Body;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use scrimmage_core::faults::{End, InjectedError};
use scrimmage_core::{CallInfo, Code};
use tower::ServiceExt;

use crate::Core;
use crate::connection::Peer;
use crate::error::{self, ErrorShape};
use crate::gate::{hold, lose};
use crate::record::Record;

/// Error bodies are read for the journal up to this size.
const MAX_ERROR_BODY: usize = 1024 * 1024;

/// A service behind an [`axum::Router`].
#[derive(Clone, Debug)]
pub struct HttpService {
    /// `bigquery`.
    pub name: &'static str,
    /// It gets every path that begins with one of these.
    pub prefixes: &'static [&'static str],
    pub router: axum::Router,
    pub shape: ErrorShape,
    /// Method name and resource of a call.
    pub describe: fn(&Method, &str) -> (String, String),
}

impl HttpService {
    /// BigQuery's paths, also without the `/bigquery/v2` that some clients drop.
    pub fn bigquery(router: axum::Router) -> Self {
        HttpService {
            name: "bigquery",
            prefixes: &["/bigquery/", "/upload/", "/resumable/upload/", "/projects", "/discovery/", "/$discovery/"],
            router,
            shape: ErrorShape::BigQuery,
            describe: crate::bigquery_names::describe,
        }
    }

    /// What Google's Firestore emulator has beside the API, under `/emulator/`.
    pub fn firestore_emulator(router: axum::Router) -> Self {
        HttpService {
            name: "firestore",
            prefixes: &["/emulator/"],
            router,
            shape: ErrorShape::Google,
            describe: |method, path| (format!("{method} emulator"), path.to_owned()),
        }
    }

    pub(crate) fn covers(&self, path: &str) -> bool {
        self.prefixes.iter().any(|prefix| path.starts_with(prefix))
    }
}

/// Serves one call.
pub(crate) async fn serve(core: &Core, service: &HttpService, mut request: Request<Body>) -> Response<Body> {
    let (method, resource) = (service.describe)(request.method(), request.uri().path());
    let peer = request.extensions().get::<Peer>().cloned();
    let client = peer.as_ref().map_or(&core.in_process, |peer| &peer.client);
    let mut record = Record::new(&core.context, CallInfo::new(service.name, &method, &resource, client));
    request.extensions_mut().insert(record.notes.clone());
    let mut drop_after = false;
    let now = core.context.clock.now();
    if let Some(decision) = core.context.faults.decide(&record.info, now) {
        match hold(&core.context, decision, now, &mut record).await {
            End::Pass => {}
            End::DropAfter => drop_after = true,
            End::DropBefore => return lose(record, peer, "The connection was dropped before the call.").await,
            End::Error(InjectedError { status, reason }) => {
                record.finish(status.code, status.message.clone());
                return error::shaped(service.shape, &status, reason.as_deref());
            }
        }
    }
    let Ok(response) = service.router.clone().oneshot(request).await;
    let code = error::code_of(response.status());
    if drop_after {
        record.finish(code, String::new());
        return lose(record, peer, "").await;
    }
    if code == Code::Ok {
        record.finish(code, String::new());
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match Limited::new(body, MAX_ERROR_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => bytes::Bytes::new(),
    };
    let (code, message) = read_error(&body, code);
    record.finish(code, message);
    Response::from_parts(parts, Body::from(body))
}

/// The canonical code and the text of an error body, where it has them.
fn read_error(body: &[u8], code: Code) -> (Code, String) {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| body.pointer(&format!("/error/{field}")).and_then(serde_json::Value::as_str);
    (text("status").and_then(Code::from_name).unwrap_or(code), text("message").unwrap_or("").to_owned())
}
