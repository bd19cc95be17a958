//! Export and import: documents as lines of JSON (NDJSON).
//!
//! Each line is one document in the form of Firestore's REST API, the database's documents one
//! after the other:
//! ```json
//! {"name":"projects/p/databases/(default)/documents/c/a","fields":{"n":{"integerValue":"1"}},"createTime":"2026-01-01T00:00:00Z","updateTime":"2026-01-01T00:00:00Z"}
//! ```
//! `name` is the full resource name, so that one file may hold several databases; `fields` may be
//! missing. An import reads and checks all lines first; then it writes each database's documents in
//! one commit, which replaces those of the same names and leaves others alone, as production's
//! managed import does. Either all databases' documents are written or none is; with several
//! databases, a transaction that holds one of the documents makes it fail at once. The times of an import are its own: those in the file are only checked.
//! Empty lines are skipped.

mod json;

use std::collections::BTreeMap;

use scrimmage_core::Status;

use super::Firestore;
use crate::engine::write::{Operation, Write};
use crate::error::Error;
use crate::path::DatabaseName;

impl Firestore {
    /// The documents of one database, or of all that were ever named, as lines of JSON; all are of
    /// one moment.
    pub fn export(&self, database: Option<&DatabaseName>) -> impl Iterator<Item = String> + Send + use<> {
        let databases = self.shell.documents(database);
        databases.into_iter().flat_map(|(database, documents)| {
            documents.into_iter().map(move |document| json::line(&database, &document))
        })
    }

    /// Reads what [`Firestore::export`] wrote and says how many documents there were. Nothing is
    /// written unless every line is right; errors begin with `line N: `. `into` puts all documents
    /// into that database, whichever they are from.
    pub async fn import(&self, text: &str, into: Option<&DatabaseName>) -> Result<usize, Status> {
        let mut databases: BTreeMap<DatabaseName, Vec<Write>> = BTreeMap::new();
        let mut count = 0;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let (database, name, fields) = json::parse(line)
                .map_err(|problem| Status::invalid_argument(format!("line {}: {problem}", number + 1)))?;
            let write = Write { name, operation: Operation::Set(fields), transforms: Vec::new(), precondition: None };
            databases.entry(into.cloned().unwrap_or(database)).or_default().push(write);
            count += 1;
        }
        let mut databases: Vec<_> = databases.into_iter().collect();
        match (databases.pop(), databases.is_empty()) {
            (None, _) => {}
            (Some((database, writes)), true) => {
                self.commit_plain(&database, writes, None).await.map_err(Status::from)?;
            }
            (Some(last), false) => {
                databases.push(last);
                self.shell.commit_all(databases).map_err(|(database, error)| {
                    let Status { code, message, .. } = Status::from(error);
                    Status::new(code, format!("{message} ({database}; nothing was written to any database)"))
                })?;
            }
        }
        Ok(count)
    }

    /// Deletes all documents of a database in no time, their past included. Transactions end,
    /// listeners begin anew.
    pub fn clear(&self, database: &DatabaseName) -> Result<(), Error> {
        self.shell.clear(database)
    }
}
