//! Why the engine refuses something; the service gives it its HTTP status and reason.

use scrimmage_googlesql::catalog::TablePath;
use thiserror::Error;

use crate::texts;

#[derive(Clone, PartialEq, Debug, Error)]
pub enum EngineError {
    #[error("{}", texts::table_not_found(.0))]
    TableNotFound(TablePath),
    #[error("{}", texts::dataset_not_found(project, dataset))]
    DatasetNotFound { project: String, dataset: String },
    #[error("{}", texts::table_exists(.0))]
    TableExists(TablePath),
    #[error("{}", texts::dataset_exists(project, dataset))]
    DatasetExists { project: String, dataset: String },
    #[error("{}", texts::dataset_in_use(project, dataset))]
    DatasetInUse { project: String, dataset: String },
    #[error("{}", texts::serialize_conflict(.0))]
    Conflict(TablePath),
    #[error("{}", texts::too_many_dml(.0))]
    TooManyDml(TablePath),
    #[error("{}", texts::streaming_buffer(.0))]
    StreamingBuffer(TablePath),
    /// The service's own wording of a request that makes no sense: HTTP 400, reason `invalid`.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    /// Row access policies hide rows from somebody who needs all of them. HTTP 403, reason `accessDenied`.
    #[error("{}", texts::rows_denied(.0))]
    RowsDenied(TablePath),
    /// HTTP 403, reason `quotaExceeded`.
    #[error("{0}")]
    Quota(String),
    /// HTTP 501, reason `notImplemented`.
    #[error("{0}")]
    Unsupported(String),
}

pub type Result<T, E = EngineError> = std::result::Result<T, E>;

impl From<EngineError> for scrimmage_googlesql::SqlError {
    fn from(error: EngineError) -> Self {
        use scrimmage_googlesql::{ErrorKind, SqlError};
        let kind = match &error {
            EngineError::TableNotFound(_) | EngineError::DatasetNotFound { .. } | EngineError::NotFound(_) => {
                ErrorKind::NotFound
            }
            EngineError::TableExists(_) | EngineError::DatasetExists { .. } => ErrorKind::AlreadyExists,
            EngineError::Conflict(_) => ErrorKind::Conflict,
            EngineError::TooManyDml(_) | EngineError::Quota(_) => ErrorKind::ResourcesExceeded,
            EngineError::Unsupported(_) => ErrorKind::Unsupported,
            EngineError::DatasetInUse { .. }
            | EngineError::StreamingBuffer(_)
            | EngineError::RowsDenied(_)
            | EngineError::Invalid(_) => ErrorKind::Evaluation,
        };
        SqlError::new(kind, error.to_string())
    }
}
