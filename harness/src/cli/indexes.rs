//! What `up` and `exec` take and give of Firestore's indexes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use scrimmage_suite::{Builder, IndexEnforcement};

use crate::SetupError;
use crate::stage::Services;

#[derive(Debug, Args)]
pub(crate) struct IndexArguments {
    /// Firestore's declared indexes, a firestore.indexes.json as the Firebase CLI has it. With it,
    /// queries without their index are refused as in production
    #[arg(long, value_name = "FILE")]
    firestore_indexes: Option<PathBuf>,
    /// What comes of a Firestore query without its index: it is answered, or answered with a warning
    /// in the journal, or refused
    #[arg(long, value_name = "WHAT")]
    firestore_index_enforcement: Option<Enforcement>,
    /// Where to write, at the end, the firestore.indexes.json that all queries needed; `-` prints it
    #[arg(long, value_name = "FILE")]
    firestore_indexes_needed: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Enforcement {
    Off,
    Warn,
    Enforce,
}

impl IndexArguments {
    /// Tells a suite to come.
    pub(crate) fn apply(&self, mut builder: Builder) -> Builder {
        if let Some(path) = &self.firestore_indexes {
            builder = builder.firestore_indexes(path);
        }
        match self.firestore_index_enforcement {
            None => builder,
            Some(Enforcement::Off) => builder.firestore_index_enforcement(IndexEnforcement::Off),
            Some(Enforcement::Warn) => builder.firestore_index_enforcement(IndexEnforcement::Warn),
            Some(Enforcement::Enforce) => builder.firestore_index_enforcement(IndexEnforcement::Enforce),
        }
    }

    /// Writes what was needed, where that is wanted.
    pub(crate) fn report(&self, stage: &Services) -> Result<(), SetupError> {
        let Some(path) = &self.firestore_indexes_needed else { return Ok(()) };
        let text = format!("{:#}", stage.needed_firestore_indexes());
        if path.as_os_str() == "-" {
            super::say(&text);
            return Ok(());
        }
        let problem = |error: std::io::Error| SetupError::Stage(format!("cannot write {}: {error}", path.display()));
        std::fs::write(path, text + "\n").map_err(problem)
    }
}
