//! What the engine refuses, typed; the words are in [`crate::texts`], the status is set here once.

use scrimmage_core::{Code, Status};
use thiserror::Error;

use crate::texts;

/// A refused command. Displays as the text that goes to the client.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// Aborted so that an older transaction can go on; clients retry it.
    #[error("{}", texts::CONTENTION)]
    Contention,
    /// A plain commit waited too long behind read locks.
    #[error("{}", texts::TOO_MUCH_CONTENTION)]
    TooMuchContention,
    /// A transaction id that was never given out.
    #[error("{}", texts::INVALID_TRANSACTION)]
    InvalidTransaction,
    /// A transaction that has ended, by commit, rollback, abort or age.
    #[error("{}", texts::TRANSACTION_EXPIRED)]
    TransactionExpired,
    /// Writes in a read-only transaction.
    #[error("{}", texts::READ_ONLY_TRANSACTION)]
    ReadOnlyTransaction,
    /// `exists = false` on an existing document; the full resource name.
    #[error("{}", texts::already_exists(.0))]
    AlreadyExists(String),
    /// `exists = true` on a missing document; the full resource name.
    #[error("{}", texts::no_document_to_update(.0))]
    NoDocumentToUpdate(String),
    /// A plain read of a missing document; the full resource name.
    #[error("{}", texts::not_found(.0))]
    NotFound(String),
    /// An `update_time` precondition that does not hold; microseconds, zero for a missing document.
    #[error("{}", texts::stale_version(*.stored, *.required))]
    StaleVersion { stored: i64, required: i64 },
    /// A document above the size limit: its full name and size in bytes.
    #[error("{}", texts::document_too_large(.name, *.bytes))]
    DocumentTooLarge { name: String, bytes: usize },
    /// The writes of one commit are too large together.
    #[error("{}", texts::TRANSACTION_TOO_BIG)]
    TransactionTooBig,
    /// A request above the payload limit.
    #[error("{}", texts::PAYLOAD_TOO_LARGE)]
    PayloadTooLarge,
    /// A field path that does not parse.
    #[error("{}", texts::invalid_field_path(.0))]
    FieldPath(String),
    /// A resource name that does not parse: what kind of name, the name, and the problem.
    #[error("{label} \"{name}\" {problem}.")]
    Name { label: &'static str, name: String, problem: String },
    /// `read_time` before what is kept.
    #[error("{}", texts::READ_TIME_TOO_OLD)]
    ReadTimeTooOld,
    /// A query without the index that it needs, by production's text.
    #[error("{0}")]
    IndexNeeded(String),
    /// A document with too many index entries; its path.
    #[error("{}", texts::too_many_index_entries(.0))]
    TooManyIndexEntries(String),
    /// A document with an index entry that is too large; its path.
    #[error("{}", texts::index_entry_too_large(.0))]
    IndexEntryTooLarge(String),
    /// A composite index that is there already.
    #[error("{}", texts::INDEX_EXISTS)]
    IndexExists,
    /// Something other than a document that is not there, by the text.
    #[error("{0}")]
    Missing(String),
    /// The state does not allow it, by the text.
    #[error("{0}")]
    Precondition(String),
    /// Any other bad argument, by its text.
    #[error("{0}")]
    Invalid(String),
    /// Valid in production and missing here.
    #[error("{0}")]
    Unimplemented(String),
    /// What was done could not be written to the data folder: the problem.
    #[error("{}", texts::not_kept(.0))]
    NotKept(String),
    /// A write stream that cannot be resumed.
    #[error("{}", texts::UNKNOWN_WRITE_STREAM)]
    WriteStreamGone,
    /// A listener's client reads more slowly than documents change.
    #[error("{}", texts::SLOW_LISTENER)]
    SlowListener,
    /// The engine answered a command with the outcome of another: a bug here.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub fn invalid(text: impl Into<String>) -> Error {
        Error::Invalid(text.into())
    }

    /// The same, with another word for the name that does not parse.
    pub fn about(self, label: &'static str) -> Error {
        match self {
            Error::Name { name, problem, .. } => Error::Name { label, name, problem },
            other => other,
        }
    }

    pub fn code(&self) -> Code {
        match self {
            // To web and mobile clients this ends the stream and not the writes that wait for one.
            Error::WriteStreamGone => Code::Aborted,
            Error::Contention | Error::TooMuchContention => Code::Aborted,
            Error::AlreadyExists(_) | Error::IndexExists => Code::AlreadyExists,
            Error::NoDocumentToUpdate(_) | Error::NotFound(_) | Error::Missing(_) => Code::NotFound,
            Error::StaleVersion { .. } | Error::ReadTimeTooOld | Error::IndexNeeded(_) | Error::Precondition(_) => {
                Code::FailedPrecondition
            }
            Error::Unimplemented(_) => Code::Unimplemented,
            Error::Internal(_) | Error::NotKept(_) => Code::Internal,
            Error::SlowListener => Code::ResourceExhausted,
            Error::InvalidTransaction
            | Error::TransactionExpired
            | Error::ReadOnlyTransaction
            | Error::DocumentTooLarge { .. }
            | Error::TooManyIndexEntries(_)
            | Error::IndexEntryTooLarge(_)
            | Error::TransactionTooBig
            | Error::PayloadTooLarge
            | Error::FieldPath(_)
            | Error::Name { .. }
            | Error::Invalid(_) => Code::InvalidArgument,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        Status::new(error.code(), error.to_string())
    }
}
