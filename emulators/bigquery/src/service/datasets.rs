//! datasets.* and projects.*.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use scrimmage_core::Timestamp;
use serde_json::{Map, Value, json};

use super::error::{ApiError, ApiResult};
use super::{App, Caller, Params, body, etag, page};
use crate::catalog::valid_dataset_id;
use crate::engine::dataset::Dataset;
use crate::engine::store::DatasetPath;
use crate::texts;

/// Fields that the service makes; a caller's values for them are ignored.
const COMPUTED: [&str; 8] =
    ["kind", "etag", "id", "selfLink", "datasetReference", "creationTime", "lastModifiedTime", "type"];

fn resource(base: &str, path: &DatasetPath, dataset: &Dataset) -> Value {
    let mut resource = json!({
        "kind": "bigquery#dataset",
        "etag": tag(path, dataset),
        "id": format!("{}:{}", path.project, path.dataset),
        "selfLink": format!("{base}/bigquery/v2/projects/{}/datasets/{}", path.project, path.dataset),
        "datasetReference": {"projectId": path.project, "datasetId": path.dataset},
        "creationTime": dataset.created.as_millis().to_string(),
        "lastModifiedTime": dataset.modified.as_millis().to_string(),
        "location": texts::LOCATION,
        "type": "DEFAULT",
        "access": default_access(),
        "maxTimeTravelHours": "168",
    });
    for (key, value) in &dataset.metadata {
        resource[key] = value.clone();
    }
    resource
}

fn default_access() -> Value {
    json!([
        {"role": "WRITER", "specialGroup": "projectWriters"},
        {"role": "OWNER", "specialGroup": "projectOwners"},
        {"role": "OWNER", "userByEmail": crate::jobs::USER},
        {"role": "READER", "specialGroup": "projectReaders"},
    ])
}

fn tag(path: &DatasetPath, dataset: &Dataset) -> String {
    etag(&format!("{}:{}@{}", path.project, path.dataset, dataset.modified.as_micros()))
}

fn gone(error: crate::engine::EngineError, path: &DatasetPath) -> ApiError {
    match error {
        crate::engine::EngineError::DatasetNotFound { .. } => {
            ApiError::not_found(texts::dataset_gone(&path.project, &path.dataset))
        }
        other => other.into(),
    }
}

/// What a caller may set, with nulls as removals.
fn settings(body: &Value) -> Map<String, Value> {
    let fields = body.as_object().into_iter().flatten();
    fields
        .filter(|(key, _)| !COMPUTED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

pub async fn insert(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let body = body(&bytes)?;
    let id = body
        .pointer("/datasetReference/datasetId")
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::required("datasetReference.datasetId"))?;
    if !valid_dataset_id(id) {
        return Err(ApiError::invalid(texts::invalid_dataset_id(id)));
    }
    super::checks::dataset(&body)?;
    let path = DatasetPath::new(&project, id);
    let mut metadata = settings(&body);
    metadata.retain(|_, value| !value.is_null());
    let mut store = app.store.lock();
    let dataset = store.create_dataset(app.ctx.clock.now(), &path, metadata)?;
    Ok(Json(resource(&caller.base, &path, dataset)))
}

pub async fn get(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    params: Params,
    caller: Caller,
) -> ApiResult<Response> {
    let path = DatasetPath::new(&project, &dataset);
    let store = app.store.lock();
    let dataset = store.dataset(&path).map_err(|error| gone(error, &path))?;
    let mut resource = resource(&caller.base, &path, dataset);
    if let Some(fields) = resource.as_object_mut() {
        match params.text("datasetView") {
            None | Some("" | "FULL" | "DATASET_VIEW_UNSPECIFIED") => {}
            Some("METADATA") => drop(fields.shift_remove("access")),
            Some("ACL") => fields.retain(|key, _| {
                ["kind", "etag", "id", "selfLink", "datasetReference", "access"].contains(&key.as_str())
            }),
            Some(other) => {
                return Err(ApiError::invalid(format!("Invalid value for datasetView: {other}")).at("datasetView"));
            }
        }
    }
    Ok(caller.answer(resource))
}

pub async fn patch(
    app: State<Arc<App>>,
    path: Path<(String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    change(app, path, caller, &bytes, false)
}

pub async fn update(
    app: State<Arc<App>>,
    path: Path<(String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    change(app, path, caller, &bytes, true)
}

fn change(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    caller: Caller,
    bytes: &[u8],
    whole: bool,
) -> ApiResult<Json<Value>> {
    let body = body(bytes)?;
    super::checks::dataset(&body)?;
    let path = DatasetPath::new(&project, &dataset);
    let now = app.ctx.clock.now();
    let mut store = app.store.lock();
    let dataset = store.dataset_mut(&path).map_err(|error| gone(error, &path))?;
    caller.check_match(&tag(&path, dataset))?;
    if whole {
        let location = dataset.metadata.remove("location");
        dataset.metadata.clear();
        dataset.metadata.extend(location.map(|location| ("location".to_owned(), location)));
    }
    merge(&mut dataset.metadata, settings(&body));
    dataset.modified = now;
    Ok(Json(resource(&caller.base, &path, dataset)))
}

/// PATCH: null removes, objects are merged, everything else replaces.
pub fn merge(into: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (key, value) in changes {
        match (into.get_mut(&key), value) {
            (_, Value::Null) => drop(into.shift_remove(&key)),
            (Some(Value::Object(own)), Value::Object(changes)) => {
                merge(own, changes);
                // The last label's end is the list's.
                if key == "labels" && own.is_empty() {
                    into.shift_remove(&key);
                }
            }
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

pub async fn delete(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    params: Params,
) -> ApiResult<StatusCode> {
    let path = DatasetPath::new(&project, &dataset);
    let now = app.ctx.clock.now();
    app.store.lock().delete_dataset(now, &path, params.flag("deleteContents")).map_err(|error| gone(error, &path))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/datasets/D:undelete`, the only method of that form.
pub async fn undelete(
    State(app): State<Arc<App>>,
    Path((project, call)): Path<(String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let Some(dataset) = call.strip_suffix(":undelete") else {
        return Err(ApiError::not_found(format!("Not Found: /projects/{project}/datasets/{call}")));
    };
    let body = body(&bytes)?;
    let deleted = match body.get("deletionTime").and_then(Value::as_str) {
        None => None,
        Some(text) => Some(rfc3339(text).ok_or_else(|| {
            ApiError::invalid(format!("Invalid value at 'deletion_time': {text} is not a timestamp")).at("deletionTime")
        })?),
    };
    let path = DatasetPath::new(&project, dataset);
    let mut store = app.store.lock();
    store.undelete_dataset(app.ctx.clock.now(), &path, deleted).map_err(|error| gone(error, &path))?;
    Ok(Json(resource(&caller.base, &path, store.dataset(&path)?)))
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    match crate::load::coerce::scalar(&scrimmage_googlesql::Type::Timestamp, text, "deletionTime") {
        Ok(scrimmage_googlesql::Value::Timestamp(micros)) => Some(Timestamp::from_micros(micros)),
        _ => None,
    }
}

pub async fn list(State(app): State<Arc<App>>, Path(project): Path<String>, params: Params) -> ApiResult<Json<Value>> {
    let store = app.store.lock();
    let wanted = label_filter(params.text("filter"))?;
    let datasets: Vec<Value> = store
        .datasets
        .iter()
        .filter(|(path, dataset)| path.project == project && (params.flag("all") || !dataset.hidden))
        .filter(|(_, dataset)| wanted.iter().all(|(key, value)| has_label(&dataset.metadata, key, value.as_deref())))
        .map(|(path, dataset)| {
            let mut item = json!({
                "kind": "bigquery#dataset",
                "id": format!("{}:{}", path.project, path.dataset),
                "datasetReference": {"projectId": path.project, "datasetId": path.dataset},
                "location": texts::LOCATION,
                "type": "DEFAULT",
            });
            for key in ["labels", "friendlyName"] {
                if let Some(value) = dataset.metadata.get(key) {
                    item[key] = value.clone();
                }
            }
            item
        })
        .collect();
    let (datasets, next) = page(datasets, params.number("maxResults")?, params.text("pageToken"), 1_000)?;
    let mut list = json!({"kind": "bigquery#datasetList", "etag": etag(&format!("{project}{}", store.seq()))});
    if !datasets.is_empty() {
        list["datasets"] = Value::Array(datasets);
    }
    if let Some(next) = next {
        list["nextPageToken"] = json!(next);
    }
    Ok(Json(list))
}

/// `labels.key` and `labels.key:value`, separated by spaces.
fn label_filter(filter: Option<&str>) -> ApiResult<Vec<(String, Option<String>)>> {
    filter
        .unwrap_or_default()
        .split_whitespace()
        .map(|term| {
            let rest = term
                .strip_prefix("labels.")
                .ok_or_else(|| ApiError::invalid(format!("Invalid filter: {term}")).at("filter"))?;
            Ok(match rest.split_once(':') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (rest.to_owned(), None),
            })
        })
        .collect()
}

fn has_label(metadata: &Map<String, Value>, key: &str, value: Option<&str>) -> bool {
    let label = metadata.get("labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
    label.is_some_and(|label| value.is_none_or(|value| value == label))
}

pub async fn projects(State(app): State<Arc<App>>, params: Params) -> ApiResult<Json<Value>> {
    let store = app.store.lock();
    let mut names: Vec<&str> = store
        .datasets
        .iter()
        .filter(|(_, own)| !own.hidden)
        .map(|(path, _)| path.project.as_str())
        .chain([&*app.ctx.project])
        .collect();
    names.sort_unstable();
    names.dedup();
    let projects: Vec<Value> = names
        .iter()
        .map(|name| {
            let number = name.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            json!({
                "kind": "bigquery#project",
                "id": name,
                "numericId": (number % 1_000_000_000_000).to_string(),
                "friendlyName": name,
                "projectReference": {"projectId": name},
            })
        })
        .collect();
    let total = projects.len();
    let (projects, next) = page(projects, params.number("maxResults")?, params.text("pageToken"), 1_000)?;
    let mut list = json!({
        "kind": "bigquery#projectList",
        "etag": etag(&names.join(",")),
        "totalItems": total,
        "projects": projects,
    });
    if let Some(next) = next {
        list["nextPageToken"] = json!(next);
    }
    Ok(Json(list))
}

pub async fn service_account(Path(project): Path<String>) -> Json<Value> {
    Json(
        json!({"kind": "bigquery#getServiceAccountResponse", "email": format!("bq-0@{project}.iam.gserviceaccount.com")}),
    )
}
