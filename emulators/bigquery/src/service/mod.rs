//! The REST API: routes, and what all handlers share.

pub mod cells;
pub mod checks;
pub mod datasets;
pub mod direct;
pub mod discovery;
pub mod error;
mod fields;
pub mod iam;
pub mod identity;
pub mod jobs;
pub mod params;
mod partitions_summary;
pub mod policies;
pub mod queries;
pub mod routines;
pub mod schema;
mod selection;
pub mod storage;
pub mod tabledata;
pub mod tables;
pub mod unpack;
pub mod uploads;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scrimmage_core::DataError;
use scrimmage_googlesql::functions::Draws;
use serde_json::Value as Json;

use crate::catalog::SharedStore;
use crate::engine::policy::Identity;
use crate::jobs::cache::Cache;
use crate::jobs::gate::DmlGate;
use crate::jobs::registry::Jobs;
use crate::jobs::results::Results;
use crate::jobs::sessions::Sessions;
use error::{ApiError, ApiResult};
use fields::Mask;
use uploads::Uploads;

/// How often what somebody left behind is looked for: uploads, streams, sessions.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// One BigQuery: what requests and jobs share.
#[derive(Debug)]
pub struct App {
    pub ctx: scrimmage_core::Context,
    pub store: SharedStore,
    pub jobs: Arc<Jobs>,
    pub results: Results,
    pub uploads: Uploads,
    /// Read sessions and write streams.
    pub storage: storage::Storage,
    pub sessions: Arc<Sessions>,
    pub cache: Cache,
    pub dml_gate: Arc<DmlGate>,
    /// Jobs that got their id from the service so far.
    pub job_count: AtomicU64,
    /// Memory that one statement may take for intermediate results; [`crate::limits::STATEMENT_BYTES`] at first.
    pub statement_bytes: AtomicUsize,
    /// Sessions so far.
    pub session_count: AtomicU64,
    /// When what is left behind was looked for last, in microseconds.
    swept: AtomicI64,
    /// Random numbers for SQL, from the suite's seed.
    pub draws: Draws,
    /// IAM policies that somebody set, by resource.
    pub iam: std::sync::Mutex<std::collections::HashMap<String, Json>>,
}

impl App {
    /// In memory, whatever the context says.
    pub fn new(ctx: scrimmage_core::Context) -> App {
        App::with(ctx, SharedStore::default())
    }

    /// With what the context's folder holds, and with changes written there.
    pub fn open(ctx: scrimmage_core::Context) -> Result<App, DataError> {
        let store = match &ctx.data {
            None => SharedStore::default(),
            Some(data) => {
                let (store, keeper) = crate::keep::open(data, &ctx.journal, ctx.clock.now())?;
                SharedStore::kept(store, keeper)
            }
        };
        Ok(App::with(ctx, store))
    }

    fn with(ctx: scrimmage_core::Context, store: SharedStore) -> App {
        let draws = Draws::seeded(ctx.seed);
        // Nothing is called as anything was called before a restart: whoever still holds an old name must not get
        // what has it now.
        let first = store.boot() << 32;
        App {
            ctx,
            store,
            jobs: Arc::default(),
            results: Results::default(),
            uploads: Uploads::counted_from(first),
            storage: storage::Storage::counted_from(first),
            sessions: Arc::default(),
            cache: Cache::default(),
            dml_gate: Arc::default(),
            job_count: AtomicU64::new(first),
            statement_bytes: AtomicUsize::new(crate::limits::STATEMENT_BYTES),
            session_count: AtomicU64::new(first),
            swept: AtomicI64::new(i64::MIN),
            draws,
            iam: std::sync::Mutex::default(),
        }
    }

    /// Before anybody looks: what has expired by the clock is gone.
    pub fn expire(&self) {
        let now = self.ctx.clock.now();
        let mut store = self.store.lock();
        if store.due().is_some_and(|due| due <= now) {
            store.expire(now);
        }
        drop(store);
        let last = self.swept.load(Ordering::Relaxed);
        if now.as_micros().saturating_sub(last) >= SWEEP_EVERY.as_micros() as i64
            && self.swept.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.uploads.expire(now);
            self.storage.expire(self, now);
            crate::jobs::sessions::expire(self);
        }
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.jobs.clear();
        self.results.clear();
        self.uploads.clear();
        self.storage.clear();
        iam::clear(self);
        self.sessions.clear();
        self.cache.clear();
        self.store.lock().clear();
    }
}

/// All paths, under `/bigquery/v2`, `/upload/bigquery/v2`, and without the prefix, which some clients drop.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/projects", get(datasets::projects))
        .route("/projects/{project}/serviceAccount", get(datasets::service_account))
        .route("/projects/{project}/datasets", get(datasets::list).post(datasets::insert))
        .route(
            "/projects/{project}/datasets/{dataset}",
            get(datasets::get)
                .put(datasets::update)
                .patch(datasets::patch)
                .delete(datasets::delete)
                .post(datasets::undelete),
        )
        .route("/projects/{project}/datasets/{dataset}/tables", get(tables::list).post(tables::insert))
        .route(
            "/projects/{project}/datasets/{dataset}/tables/{table}",
            get(tables::get).put(tables::update).patch(tables::patch).delete(tables::delete).post(tables::iam),
        )
        .route("/projects/{project}/datasets/{dataset}/tables/{table}/data", get(tabledata::list))
        .route("/projects/{project}/datasets/{dataset}/tables/{table}/insertAll", post(tabledata::insert_all))
        .route(
            "/projects/{project}/datasets/{dataset}/tables/{table}/rowAccessPolicies",
            get(policies::list).post(policies::insert),
        )
        .route(
            "/projects/{project}/datasets/{dataset}/tables/{table}/rowAccessPolicies:batchDelete",
            post(policies::batch_delete),
        )
        .route(
            "/projects/{project}/datasets/{dataset}/tables/{table}/rowAccessPolicies/{policy}",
            get(policies::get).put(policies::update).delete(policies::delete).post(policies::iam),
        )
        .route("/projects/{project}/datasets/{dataset}/routines", get(routines::list).post(routines::insert))
        .route(
            "/projects/{project}/datasets/{dataset}/routines/{routine}",
            get(routines::get).put(routines::update).delete(routines::delete).post(routines::iam),
        )
        .route("/projects/{project}/datasets/{dataset}/models", get(routines::no_models))
        .route(
            "/projects/{project}/datasets/{dataset}/models/{model}",
            get(routines::no_model).patch(routines::no_model).delete(routines::no_model),
        )
        .route("/projects/{project}/jobs", get(jobs::list).post(jobs::insert))
        .route("/projects/{project}/jobs/{job}", get(jobs::get))
        .route("/projects/{project}/jobs/{job}/cancel", post(jobs::cancel))
        .route("/projects/{project}/jobs/{job}/delete", axum::routing::delete(jobs::delete))
        .route("/projects/{project}/queries", post(queries::query))
        .route("/projects/{project}/queries/{job}", get(queries::results));
    let upload = Router::new().route("/projects/{project}/jobs", post(uploads::start).put(uploads::put));
    let fallback = |uri: Uri| async move { ApiError::new(404, "notFound", format!("Not Found: {}", uri.path())) };
    Router::new()
        .route("/$discovery/rest", get(discovery::describe))
        .route("/discovery/v1/apis/bigquery/v2/rest", get(discovery::describe))
        .nest("/upload/bigquery/v2", upload.clone())
        .nest("/resumable/upload/bigquery/v2", upload)
        .nest("/bigquery/v2", api.clone().fallback(fallback))
        .merge(api)
        .route("/upload/projects/{project}/jobs", post(uploads::start).put(uploads::put))
        .fallback(fallback)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(unpack::unpack))
        .layer(middleware::from_fn_with_state(app.clone(), expire))
        .layer(middleware::from_fn(partial))
        .with_state(app)
}

/// Before anybody looks: what has expired by the clock is gone.
async fn expire(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Nobody may take for done what would be gone after a restart.
    if let Err(problem) = app.store.check() {
        return ApiError::from(problem).into_response();
    }
    app.expire();
    let response = next.run(request).await;
    match app.store.check() {
        Ok(()) => response,
        Err(problem) => ApiError::from(problem).into_response(),
    }
}

/// The part of the answer that `fields` asks for, and as readable as `prettyPrint` does. Refusals are whole.
async fn partial(request: Request, next: Next) -> Response {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let pairs = query.map_or_else(|_| Vec::new(), |axum::extract::Query(pairs)| pairs);
    let last =
        |key: &str| pairs.iter().rev().find(|(own, _)| own.trim_start_matches('$') == key).map(|(_, value)| value);
    let mask = match last("fields").filter(|text| !text.is_empty()).map(|text| Mask::parse(text)).transpose() {
        Ok(mask) => mask,
        Err(error) => return error.into_response(),
    };
    let pretty = last("prettyPrint").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let response = next.run(request).await;
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json || !(pretty || (mask.is_some() && response.status().is_success())) {
        return response;
    }
    let is_success = response.status().is_success();
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return ApiError::new(500, "internalError", crate::texts::INTERNAL).into_response();
    };
    let cut = mask.filter(|_| is_success).and_then(|mask| mask.apply(std::str::from_utf8(&bytes).ok()?));
    let mut text = cut.map_or(bytes, |text| text.into());
    if pretty && let Ok(value) = serde_json::from_slice::<Json>(&text) {
        text = format!("{value:#}\n").into();
    }
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, axum::body::Body::from(text))
}

/// A quoted etag for a text that names a resource's state.
pub fn etag(state: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in state.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let bytes = [hash.to_be_bytes(), hash.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()].concat();
    format!("{}==", URL_SAFE_NO_PAD.encode(bytes))
}

/// What a request says besides path, query and body.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `http://host:port`, for links.
    pub base: String,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    /// Who calls, see [`identity`].
    pub identity: Arc<Identity>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let host =
            text(HOST).or_else(|| parts.uri.authority().map(ToString::to_string)).unwrap_or_else(|| "localhost".into());
        Ok(Caller {
            base: format!("http://{host}"),
            if_match: text(IF_MATCH),
            if_none_match: text(IF_NONE_MATCH),
            identity: Arc::new(identity::of(&parts.headers)),
        })
    }
}

impl Caller {
    /// Refuses a change to something that is no longer what the caller saw.
    pub fn check_match(&self, etag: &str) -> ApiResult<()> {
        match &self.if_match {
            Some(wanted) if wanted != "*" && wanted.trim_matches('"') != etag => {
                Err(ApiError::new(412, "conditionNotMet", "Precondition Failed").at("If-Match"))
            }
            _ => Ok(()),
        }
    }

    /// The resource, or 304 where the caller has it already.
    pub fn answer(&self, resource: Json) -> Response {
        let etag = resource.get("etag").and_then(Json::as_str).unwrap_or_default();
        match &self.if_none_match {
            Some(seen) if !etag.is_empty() && seen.trim_matches('"') == etag => {
                StatusCode::NOT_MODIFIED.into_response()
            }
            _ => axum::Json(resource).into_response(),
        }
    }
}

/// A JSON body; an empty one is `{}`.
pub fn body(bytes: &[u8]) -> ApiResult<Json> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Json::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(bytes).map_err(|error| ApiError::new(400, "parseError", format!("Parse Error: {error}")))
}

/// `maxResults` and `pageToken` cut a list; returns the page and the next token.
pub fn page<T>(
    items: Vec<T>,
    max: Option<usize>,
    token: Option<&str>,
    default: usize,
) -> ApiResult<(Vec<T>, Option<String>)> {
    let from = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => read_token(token)?,
    };
    let count = max.unwrap_or(default);
    let more = items.len() > from.saturating_add(count);
    let page = items.into_iter().skip(from).take(count).collect();
    Ok((page, more.then(|| write_token(from.saturating_add(count)))))
}

/// A page token that continues after a name: what is deleted between two pages does not shift the second.
pub fn write_name_token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("n:{last}"))
}

pub fn read_name_token(token: &str) -> ApiResult<String> {
    read_token_as(token, |text| text.strip_prefix("n:").map(str::to_owned))
}

/// A page token that continues at an offset.
pub fn write_token(offset: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("o:{offset}"))
}

pub fn read_token(token: &str) -> ApiResult<usize> {
    read_token_as(token, |text| text.strip_prefix("o:").and_then(|offset| offset.parse().ok()))
}

fn read_token_as<T>(token: &str, read: impl FnOnce(&str) -> Option<T>) -> ApiResult<T> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.as_deref()
        .and_then(read)
        .ok_or_else(|| ApiError::invalid(format!("Invalid value for pageToken: {token}")).at("pageToken"))
}

/// Parameters that may be given several times; their values are joined by commas.
const REPEATED: [&str; 2] = ["stateFilter", "selectedFields"];

/// Query-string parameters, last one wins but for [`REPEATED`].
#[derive(Clone, Debug, Default)]
pub struct Params(pub std::collections::HashMap<String, String>);

impl Params {
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn number(&self, key: &str) -> ApiResult<Option<usize>> {
        match self.text(key) {
            None | Some("") => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| ApiError::invalid(format!("Invalid value for {key}: {text}")).at(key)),
        }
    }

    pub fn flag(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let query = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let axum::extract::Query(pairs) = query.map_err(|error| ApiError::invalid(error.to_string()))?;
        let mut params = std::collections::HashMap::new();
        for (key, value) in pairs {
            let repeated = REPEATED.contains(&key.as_str());
            match params.get_mut(&key) {
                Some(old) if repeated => *old = format!("{old},{value}"),
                _ => drop(params.insert(key, value)),
            }
        }
        Ok(Params(params))
    }
}
