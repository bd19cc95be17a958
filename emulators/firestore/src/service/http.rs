//! What has no place in Firestore's API: `/emulator/…`, which tools for Google's emulator call, and
//! `/admin/firestore/…`.
//!
//! | call | what it does |
//! |---|---|
//! | `DELETE /emulator/v1/projects/P/databases/D/documents` | deletes all documents of a database |
//! | `GET /admin/firestore/export?database=NAME` | the documents as lines of JSON; of all databases without `database` |
//! | `POST /admin/firestore/import?database=NAME` | reads such lines; with `database`, puts all documents there |
//! | `GET /admin/firestore/ttl?database=NAME` | the time-to-live policies |
//! | `POST /admin/firestore/ttl` | sets or ends one: `{"database", "collectionGroup", "field", "delay": "24h", "enabled": true}` |
//!
//! Database names are full, `projects/P/databases/D`; where one must be named and is not, it is the
//! default database of the suite's project.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use futures::StreamExt;
use scrimmage_core::duration::HumaneDuration;
use scrimmage_core::{Code, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Firestore;
use crate::engine::ttl::Policy;
use crate::path::{DatabaseName, FieldPath};
use crate::texts;

type Answer = Result<Response<Body>, Refusal>;

/// Lines of an export that go out together.
const LINES_A_CHUNK: usize = 256;

/// A status as Google's APIs answer it over HTTP.
pub struct Refusal(pub Status);

impl<E: Into<Status>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let Status { code, message, .. } = self.0;
        let error = json!({ "error": { "code": code.http_status(), "message": message, "status": code.name() } });
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, axum::Json(error)).into_response()
    }
}

fn answer(body: &Value) -> Answer {
    Ok(axum::Json(body).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    database: Option<String>,
}

impl Which {
    fn name(&self) -> Result<Option<DatabaseName>, Refusal> {
        Ok(self.database.as_deref().map(DatabaseName::parse).transpose()?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TimeToLive {
    database: Option<String>,
    collection_group: String,
    field: String,
    delay: Option<HumaneDuration>,
    enabled: Option<bool>,
}

impl Firestore {
    /// The routes under `/emulator/`, as Google's emulator has them beside the API.
    pub fn emulator_routes(&self) -> Router {
        Router::new()
            .route("/emulator/v1/projects/{project}/databases/{database}/documents", delete(clear))
            .route("/emulator/v1/projects/{call}", axum::routing::any(project_call))
            .fallback(nowhere)
            .with_state(self.clone())
    }

    /// The routes under `/admin/firestore/`.
    pub fn admin_routes(&self) -> Router {
        Router::new()
            .route("/admin/firestore/export", get(export))
            .route("/admin/firestore/import", post(import).layer(DefaultBodyLimit::disable()))
            .route("/admin/firestore/ttl", get(policies).post(set_policy))
            .merge(super::index_routes::routes())
            .fallback(nowhere)
            .with_state(self.clone())
    }

    fn default_database(&self) -> Result<DatabaseName, Refusal> {
        Ok(DatabaseName::parse(&format!("projects/{}/databases/(default)", self.project))?)
    }
}

async fn nowhere(request: axum::extract::Request) -> Refusal {
    Refusal(Status::not_found(format!("There is no {} {}.", request.method(), request.uri().path())))
}

async fn clear(State(firestore): State<Firestore>, Path((project, database)): Path<(String, String)>) -> Answer {
    firestore.clear(&DatabaseName::parse(&format!("projects/{project}/databases/{database}"))?)?;
    answer(&json!({}))
}

/// `…/projects/P:method`, of which none is supported.
async fn project_call(Path(call): Path<String>) -> Refusal {
    let text = match call.rsplit_once(':').map(|(_, method)| method) {
        Some("securityRules") => texts::NO_SECURITY_RULES,
        Some(method) if method.starts_with("ruleCoverage") => texts::NO_SECURITY_RULES,
        Some("export" | "import") => texts::NO_EMULATOR_EXPORT,
        _ => return Refusal(Status::not_found(format!("There is no /emulator/v1/projects/{call}."))),
    };
    Refusal(Status::new(Code::Unimplemented, text))
}

async fn export(State(firestore): State<Firestore>, Query(which): Query<Which>) -> Answer {
    let lines = firestore.export(which.name()?.as_ref());
    let chunks = futures::stream::iter(lines)
        .ready_chunks(LINES_A_CHUNK)
        .map(|lines| Ok::<_, std::convert::Infallible>(lines.concat()));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(chunks)).into_response())
}

async fn import(State(firestore): State<Firestore>, Query(which): Query<Which>, text: String) -> Answer {
    let imported = firestore.import(&text, which.name()?.as_ref()).await?;
    answer(&json!({ "imported": imported }))
}

async fn policies(State(firestore): State<Firestore>, Query(which): Query<Which>) -> Answer {
    let database = which.name()?.map_or_else(|| firestore.default_database(), Ok)?;
    let mut policies = firestore.shell.ttl_policies(&database);
    policies.sort_by(|(a, _), (b, _)| a.cmp(b));
    let policy = |(group, Policy { field, delay }): (std::sync::Arc<str>, Policy)| json!({ "collectionGroup": &*group, "field": field.to_string(), "delay": HumaneDuration(delay) });
    let policies: Vec<Value> = policies.into_iter().map(policy).collect();
    answer(&json!({ "database": database.as_str(), "policies": policies }))
}

async fn set_policy(State(firestore): State<Firestore>, text: String) -> Answer {
    let wanted: TimeToLive =
        serde_json::from_str(&text).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let database = match &wanted.database {
        Some(name) => DatabaseName::parse(name)?,
        None => firestore.default_database()?,
    };
    super::decode::collection_id(&wanted.collection_group)?;
    let field = FieldPath::parse(&wanted.field)?;
    let delay = wanted.delay.map(|delay| delay.0).unwrap_or_default();
    if delay > crate::limits::EXPIRATION_OFFSET {
        return Err(Refusal(Status::invalid_argument(texts::BAD_EXPIRATION_OFFSET)));
    }
    let policy = wanted.enabled.unwrap_or(true).then_some(Policy { field, delay });
    firestore.set_ttl(&database, &wanted.collection_group, policy)?;
    answer(&json!({}))
}
