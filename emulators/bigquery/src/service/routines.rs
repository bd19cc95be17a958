//! routines.* as far as SQL makes them, and the empty list of models.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::tables::list_page;
use super::{App, Params, etag};
use crate::engine::dataset::RoutineEntry;
use crate::engine::store::DatasetPath;
use crate::texts;

fn resource(path: &DatasetPath, name: &str, entry: &RoutineEntry) -> Value {
    let mut resource = json!({
        "etag": etag(&format!("{}.{name}@{}", path.dataset, entry.modified.as_micros())),
        "routineReference": {"projectId": path.project, "datasetId": path.dataset, "routineId": name},
        "creationTime": entry.created.as_millis().to_string(),
        "lastModifiedTime": entry.modified.as_millis().to_string(),
    });
    for (key, value) in &entry.resource {
        resource[key] = value.clone();
    }
    resource
}

pub async fn list(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    params: Params,
) -> ApiResult<Json<Value>> {
    let path = DatasetPath::new(&project, &dataset);
    let store = app.store.lock();
    let routines = &store.dataset(&path)?.routines;
    let items = routines.iter().map(|(name, entry)| resource(&path, name, entry)).collect();
    list_page("bigquery#listRoutines", "routines", items, &params)
}

pub async fn get(
    State(app): State<Arc<App>>,
    Path((project, dataset, routine)): Path<(String, String, String)>,
) -> ApiResult<Json<Value>> {
    let path = DatasetPath::new(&project, &dataset);
    let store = app.store.lock();
    match store.dataset(&path)?.routines.get(&routine) {
        Some(entry) => Ok(Json(resource(&path, &routine, entry))),
        None => Err(ApiError::not_found(texts::routine_not_found(&project, &dataset, &routine))),
    }
}

pub async fn delete(
    State(app): State<Arc<App>>,
    Path((project, dataset, routine)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    let path = DatasetPath::new(&project, &dataset);
    let mut store = app.store.lock();
    match store.dataset_mut(&path)?.routines.remove(&routine) {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(ApiError::not_found(texts::routine_not_found(&project, &dataset, &routine))),
    }
}

pub async fn no_models(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    app.store.lock().dataset(&DatasetPath::new(&project, &dataset))?;
    Ok(Json(json!({})))
}
