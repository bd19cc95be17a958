//! getIamPolicy, setIamPolicy and testIamPermissions: kept as sent, enforced nowhere. Everybody may do everything.

use std::sync::PoisonError;

use axum::Json;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::{App, etag};

/// One of the three calls on a resource that exists.
pub fn call(app: &App, resource: &str, method: &str, body: &Value) -> ApiResult<Json<Value>> {
    let mut policies = app.iam.lock().unwrap_or_else(PoisonError::into_inner);
    let none = || json!({"version": 1, "etag": etag(resource)});
    match method {
        "getIamPolicy" => Ok(Json(policies.get(resource).cloned().unwrap_or_else(none))),
        "setIamPolicy" => {
            let mut policy =
                body.get("policy").cloned().filter(Value::is_object).ok_or_else(|| ApiError::required("policy"))?;
            let current = policies.get(resource).cloned().unwrap_or_else(none);
            if let Some(seen) = policy.get("etag").filter(|seen| !seen.is_null())
                && *seen != current["etag"]
            {
                return Err(ApiError::new(
                    409,
                    "aborted",
                    "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
                ));
            }
            policy["version"] = json!(1);
            let bindings = policy.get("bindings").cloned().unwrap_or_default();
            policy["etag"] = json!(etag(&format!("{resource}{}{bindings}", current["etag"])));
            policies.insert(resource.to_owned(), policy.clone());
            Ok(Json(policy))
        }
        "testIamPermissions" => Ok(Json(json!({"permissions": body.get("permissions").cloned().unwrap_or(json!([]))}))),
        _ => Err(ApiError::not_found(format!("Not Found: {resource}:{method}"))),
    }
}

pub fn clear(app: &App) {
    app.iam.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
