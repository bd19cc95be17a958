//! `/admin/firestore/indexes`: what is declared, what was needed, and what comes of what is missing.
//!
//! | call | does |
//! |---|---|
//! | `GET /admin/firestore/indexes` | the declared indexes, as a `firestore.indexes.json` |
//! | `PUT /admin/firestore/indexes[?enforcement=off\|warn\|enforce\|default]` | declares those of the body, in place of all others; an empty body leaves them and chooses the enforcement alone |
//! | `GET /admin/firestore/indexes:needed` | the index file that all queries so far needed |
//! | `DELETE /admin/firestore/indexes:needed` | begins it anew |
//! | `GET /admin/firestore/indexes:enforcement` | what comes of a query without its index |

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use scrimmage_core::{Code, Status};
use serde_json::{Value, json};

use super::http::Refusal;
use super::{DeclareError, Firestore};
use crate::engine::index::file;

pub fn routes() -> Router<Firestore> {
    Router::new()
        .route("/admin/firestore/indexes", get(declared).put(declare))
        .route("/admin/firestore/indexes:needed", get(needed).delete(forget))
        .route("/admin/firestore/indexes:enforcement", get(enforcement))
}

async fn declared(State(firestore): State<Firestore>) -> Json<Value> {
    Json(file::write(&firestore.indexes().declared()))
}

async fn needed(State(firestore): State<Firestore>) -> Json<Value> {
    Json(file::write(&firestore.indexes().needed()))
}

async fn forget(State(firestore): State<Firestore>) -> Json<Value> {
    firestore.indexes().forget_needed();
    Json(json!({}))
}

async fn enforcement(State(firestore): State<Firestore>) -> Json<Value> {
    Json(json!({ "enforcement": firestore.indexes().enforcement().word() }))
}

async fn declare(
    State(firestore): State<Firestore>,
    Query(parameters): Query<HashMap<String, String>>,
    text: String,
) -> Result<Json<Value>, Refusal> {
    let chosen = match parameters.get("enforcement").map(String::as_str) {
        None => None,
        Some("default") => Some(None),
        Some(word) => Some(Some(word.parse().map_err(|problem: String| Refusal(Status::invalid_argument(problem)))?)),
    };
    if !text.trim().is_empty() {
        firestore.replace_indexes(&text).map_err(|error| match error {
            DeclareError::File(error) => Refusal(Status::invalid_argument(error.to_string())),
            DeclareError::Policy(error) => Refusal(Status::new(Code::Internal, error.to_string())),
        })?;
    }
    if let Some(enforcement) = chosen {
        firestore.indexes().set_enforcement(enforcement);
    }
    Ok(declared(State(firestore)).await)
}
