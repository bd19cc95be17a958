//! Errors in the shape of BigQuery's REST API.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use scrimmage_googlesql::{ErrorKind, SqlError};
use serde_json::{Value, json};

use crate::catalog::NotKept;
use crate::engine::EngineError;
use crate::texts;

/// A refused call: `{"error": {"code", "message", "errors": [{"message", "domain", "reason", …}], "status"}}`.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiError {
    pub code: u16,
    /// `notFound`, `invalidQuery`, ….
    pub reason: &'static str,
    pub message: String,
    /// `q` for a query of jobs.query, `query` within a job, or the field that is wrong.
    pub location: Option<String>,
}

pub type ApiResult<T = Json<Value>> = Result<T, ApiError>;

impl ApiError {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { code, reason, message: message.into(), location: None }
    }

    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "invalid", message)
    }

    pub fn required(field: &str) -> ApiError {
        ApiError::new(400, "required", "Required parameter is missing").at(field)
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(404, "notFound", message)
    }

    pub fn duplicate(message: impl Into<String>) -> ApiError {
        ApiError::new(409, "duplicate", message)
    }

    pub fn not_implemented(what: &str) -> ApiError {
        ApiError::new(501, "notImplemented", format!("{what} is not implemented in this emulator"))
    }

    pub fn at(mut self, location: impl Into<String>) -> ApiError {
        self.location.get_or_insert(location.into());
        self
    }

    /// The canonical name that goes with the HTTP status.
    fn status(&self) -> &'static str {
        match (self.code, self.reason) {
            (400, "resourceInUse") => "FAILED_PRECONDITION",
            (400, "resourcesExceeded") => "INVALID_ARGUMENT",
            (400, _) => "INVALID_ARGUMENT",
            (401, _) => "UNAUTHENTICATED",
            (403, _) => "PERMISSION_DENIED",
            (404, _) => "NOT_FOUND",
            (409, _) => "ALREADY_EXISTS",
            (412, _) => "FAILED_PRECONDITION",
            (499, _) => "CANCELLED",
            (501, _) => "UNIMPLEMENTED",
            (503, _) => "UNAVAILABLE",
            _ => "INTERNAL",
        }
    }

    /// `{"reason", "location"?, "message"}`, as a job's `errorResult` has it.
    pub fn proto(&self) -> Value {
        let mut proto = json!({"reason": self.reason, "message": self.message});
        if let Some(location) = &self.location {
            proto["location"] = json!(location);
        }
        proto
    }

    pub fn body(&self) -> Value {
        let mut detail = json!({"message": self.message, "domain": "global", "reason": self.reason});
        if let Some(location) = &self.location {
            detail["location"] = json!(location);
            detail["locationType"] = json!(if self.code == 404 { "other" } else { "parameter" });
        }
        json!({"error": {"code": self.code, "message": self.message, "errors": [detail], "status": self.status()}})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body())).into_response()
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> ApiError {
        let message = error.to_string();
        match error {
            EngineError::TableNotFound(_) | EngineError::DatasetNotFound { .. } | EngineError::NotFound(_) => {
                ApiError::not_found(message)
            }
            EngineError::TableExists(_) | EngineError::DatasetExists { .. } => ApiError::duplicate(message),
            EngineError::DatasetInUse { .. } => ApiError::new(400, "resourceInUse", message),
            EngineError::Conflict(_) | EngineError::StreamingBuffer(_) => ApiError::new(400, "invalidQuery", message),
            EngineError::TooManyDml(_) => ApiError::new(400, "resourcesExceeded", message),
            EngineError::RowsDenied(_) => ApiError::new(403, "accessDenied", message),
            EngineError::Quota(_) => ApiError::new(403, "quotaExceeded", message),
            EngineError::Invalid(_) => ApiError::invalid(message),
            EngineError::Unsupported(_) => ApiError::new(501, "notImplemented", message),
        }
    }
}

impl From<NotKept> for ApiError {
    fn from(problem: NotKept) -> ApiError {
        ApiError::new(503, "backendError", problem.to_string())
    }
}

/// Errors of a statement; the caller has located them in the text.
impl From<SqlError> for ApiError {
    fn from(error: SqlError) -> ApiError {
        let message = error.to_string();
        match error.kind {
            ErrorKind::NotFound if error.message.starts_with("Not found") => ApiError::not_found(error.message),
            ErrorKind::NotFound if error.message.starts_with("Invalid dataset ID") => ApiError::invalid(error.message),
            ErrorKind::AlreadyExists => ApiError::duplicate(error.message),
            ErrorKind::ResourcesExceeded if error.message.starts_with(texts::BYTES_BILLED) => {
                ApiError::new(400, "bytesBilledLimitExceeded", error.message)
            }
            ErrorKind::ResourcesExceeded => ApiError::new(400, "resourcesExceeded", message),
            ErrorKind::Unsupported => ApiError::new(501, "notImplemented", message),
            ErrorKind::Cancelled => ApiError::new(499, "stopped", message),
            ErrorKind::Internal => ApiError::new(500, "internalError", message),
            ErrorKind::Evaluation if error.message.starts_with(texts::ACCESS_DENIED) => {
                ApiError::new(403, "accessDenied", error.message)
            }
            ErrorKind::Evaluation if error.message.ends_with("is still in use") => {
                ApiError::new(400, "resourceInUse", error.message)
            }
            ErrorKind::Evaluation if error.message.starts_with("Invalid time travel") => {
                ApiError::invalid(error.message)
            }
            _ => ApiError::new(400, "invalidQuery", message),
        }
    }
}
