//! What happened, as records: in order, they bring another engine to the same state.
//!
//! The engine hands them out with [`Engine::take_records`](super::Engine::take_records); whoever
//! keeps them must have done so before a client hears of what they are about.

use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;

use crate::engine::edition::Edition;
use crate::engine::index::catalogue::Catalogue;
use crate::engine::store::Document;
use crate::path::{DatabaseName, DocumentName, FieldPath};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An engine's life began. Transaction ids of an earlier `epoch` have expired; resume tokens of
    /// an earlier `life` know of data that is gone.
    Began { epoch: u32, life: u32 },
    /// Everything went but what is declared, and another life began.
    Reset { epoch: u32, life: u32 },
    /// A commit, whole: what each document that changed became, `None` where it was deleted.
    Committed { database: DatabaseName, time: Timestamp, changes: Vec<(DocumentName, Option<Arc<Document>>)> },
    /// All documents of a database went, and their past with them.
    Cleared { database: DatabaseName, time: Timestamp },
    /// The records before this one have every version after `from`, and of earlier ones the last.
    Complete { database: DatabaseName, from: Timestamp },
    /// A time-to-live policy came (or went: `None`).
    TimeToLive { database: DatabaseName, group: Arc<str>, field: FieldPath, delay: Option<Duration> },
    /// A database was created, as one of this edition.
    Created { database: DatabaseName, edition: Edition },
    /// These indexes are declared from now on: for one database, or for all in place of what was
    /// declared for any.
    Indexes { database: Option<DatabaseName>, catalogue: Arc<Catalogue> },
}
