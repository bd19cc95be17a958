//! rowAccessPolicies.*.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::tables::{gone, list_page};
use super::{App, Caller, Params, body, etag};
use crate::catalog::{NameScope, Snapshot};
use crate::engine::policy::RowPolicy;
use crate::jobs::ddl::table_reference;
use crate::jobs::ddl_policies::{self, Mode, check_last};
use crate::texts;

/// Grantees are input only, as the reference says.
fn resource(table: &TablePath, id: &str, policy: &RowPolicy) -> Value {
    let mut reference = table_reference(table);
    reference["policyId"] = json!(id);
    let time = |at: Timestamp| at.to_string();
    json!({
        "etag": tag(table, id, policy),
        "rowAccessPolicyReference": reference,
        "filterPredicate": policy.filter,
        "creationTime": time(policy.created),
        "lastModifiedTime": time(policy.modified),
    })
}

fn tag(table: &TablePath, id: &str, policy: &RowPolicy) -> String {
    etag(&format!("{}.{}/{id}@{}", table.dataset, table.table, policy.modified.as_micros()))
}

fn path((project, dataset, table): (String, String, String)) -> TablePath {
    TablePath { project, dataset, table }
}

pub async fn list(
    State(app): State<Arc<App>>,
    Path(table): Path<(String, String, String)>,
    params: Params,
) -> ApiResult<Json<Value>> {
    let table = path(table);
    let store = app.store.lock();
    let entry = store.table(&table).map_err(gone)?;
    let items = entry.policies.iter().map(|(id, policy)| resource(&table, id, policy)).collect();
    let count = params.number("pageSize")?;
    let Json(mut list) = list_page("", "rowAccessPolicies", items, &params, count)?;
    if let Some(fields) = list.as_object_mut() {
        for key in ["kind", "etag"] {
            fields.shift_remove(key);
        }
    }
    Ok(Json(list))
}

pub async fn get(
    State(app): State<Arc<App>>,
    Path((project, dataset, table, id)): Path<(String, String, String, String)>,
) -> ApiResult<Json<Value>> {
    let table = TablePath { project, dataset, table };
    let store = app.store.lock();
    match store.table(&table).map_err(gone)?.policies.get(&id) {
        Some(policy) => Ok(Json(resource(&table, &id, policy))),
        None => Err(ApiError::not_found(texts::policy_not_found(&table, &id))),
    }
}

fn id_of(body: &Value) -> ApiResult<&str> {
    body.pointer("/rowAccessPolicyReference/policyId")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty())
        .ok_or_else(|| ApiError::required("rowAccessPolicyReference.policyId"))
}

fn put(app: &App, caller: &Caller, table: &TablePath, id: &str, body: &Value, mode: Mode) -> ApiResult<Json<Value>> {
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || id.len() > 256 {
        return Err(ApiError::invalid(format!(
            "Invalid row access policy ID \"{id}\". Row access policy IDs must be alphanumeric (plus underscores) and must be at most 256 characters long."
        )));
    }
    let filter = body
        .get("filterPredicate")
        .and_then(Value::as_str)
        .filter(|filter| !filter.trim().is_empty())
        .ok_or_else(|| ApiError::required("filterPredicate"))?;
    let listed = body.get("grantees").and_then(Value::as_array);
    let grantees = match listed {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        // They are input only: an update that does not send them keeps them.
        None => {
            let store = app.store.lock();
            store.table(table).map_err(gone)?.policies.get(id).map_or_else(Vec::new, |old| old.grantees.clone())
        }
    };
    let scope = NameScope { project: table.project.clone(), dataset: None };
    let snapshot = Snapshot::take(&app.store, scope, app.ctx.clock.now());
    ddl_policies::put(&snapshot, &caller.identity, table, id, filter.trim(), grantees, mode)?;
    let store = app.store.lock();
    let policies = &store.table(table).map_err(gone)?.policies;
    let policy = policies.get(id).ok_or_else(|| ApiError::not_found(texts::policy_not_found(table, id)))?;
    Ok(Json(resource(table, id, policy)))
}

pub async fn insert(
    State(app): State<Arc<App>>,
    Path(table): Path<(String, String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let (table, body) = (path(table), body(&bytes)?);
    let id = id_of(&body)?;
    put(&app, &caller, &table, id, &body, Mode::New)
}

pub async fn update(
    State(app): State<Arc<App>>,
    Path((project, dataset, table, id)): Path<(String, String, String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let (table, body) = (TablePath { project, dataset, table }, body(&bytes)?);
    match app.store.lock().table(&table).map_err(gone)?.policies.get(&id) {
        Some(policy) => caller.check_match(&tag(&table, &id, policy))?,
        None => return Err(ApiError::not_found(texts::policy_not_found(&table, &id))),
    }
    put(&app, &caller, &table, &id, &body, Mode::Any)
}

/// `POST …/rowAccessPolicies/P:getIamPolicy` and its sisters; a policy's grantees are its filtered data viewers.
pub async fn iam(
    State(app): State<Arc<App>>,
    Path((project, dataset, table, call)): Path<(String, String, String, String)>,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let table = TablePath { project, dataset, table };
    let (id, method) = call.split_once(':').unwrap_or((&call, ""));
    let grantees = match app.store.lock().table(&table).map_err(gone)?.policies.get(id) {
        Some(policy) => policy.grantees.clone(),
        None => return Err(ApiError::not_found(texts::policy_not_found(&table, id))),
    };
    if method == "getIamPolicy" {
        let role = "roles/bigquery.filteredDataViewer";
        return Ok(Json(json!({"version": 1, "etag": etag(&call), "bindings": [{"role": role, "members": grantees}]})));
    }
    super::iam::call(
        &app,
        &format!("policies/{}.{}.{}.{id}", table.project, table.dataset, table.table),
        method,
        &body(&bytes)?,
    )
}

pub async fn delete(
    State(app): State<Arc<App>>,
    Path((project, dataset, table, id)): Path<(String, String, String, String)>,
    params: Params,
) -> ApiResult<StatusCode> {
    let table = TablePath { project, dataset, table };
    let mut store = app.store.lock();
    let policies = &mut store.entry(&table).map_err(gone)?.policies;
    if !policies.contains_key(&id) {
        return Err(ApiError::not_found(texts::policy_not_found(&table, &id)));
    }
    if !params.flag("force") {
        check_last(policies, &[&id])?;
    }
    policies.remove(&id);
    Ok(StatusCode::NO_CONTENT)
}

pub async fn batch_delete(
    State(app): State<Arc<App>>,
    Path(table): Path<(String, String, String)>,
    bytes: Bytes,
) -> ApiResult<StatusCode> {
    let (table, body) = (path(table), body(&bytes)?);
    let ids: Vec<&str> = body
        .get("policyIds")
        .and_then(Value::as_array)
        .filter(|ids| !ids.is_empty())
        .ok_or_else(|| ApiError::required("policyIds"))?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut store = app.store.lock();
    let policies = &mut store.entry(&table).map_err(gone)?.policies;
    if let Some(missing) = ids.iter().find(|id| !policies.contains_key(**id)) {
        return Err(ApiError::not_found(texts::policy_not_found(&table, missing)));
    }
    let force = body.get("force").and_then(Value::as_bool).unwrap_or(false);
    if !force {
        check_last(policies, &ids)?;
    }
    policies.retain(|id, _| !ids.contains(&id.as_str()));
    Ok(StatusCode::NO_CONTENT)
}
