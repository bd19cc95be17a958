//! What can go wrong with a statement, and where in its text.

use thiserror::Error;

/// A byte offset into the statement's text.
///
/// Kept as an offset while a statement is worked on; [`SqlError::locate`] turns it into GoogleSQL's
/// `[line:column]` once, at the end.
pub type Pos = u32;

/// What sort of failure it is; the service maps it to its own status and reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The text does not parse: `Syntax error: …`.
    Syntax,
    /// It parses but does not resolve: names, types, signatures.
    Analysis,
    /// It failed while running: overflow, division by zero, bad cast. `SAFE.` and `SAFE_CAST` turn it into NULL.
    Evaluation,
    /// A table, dataset, routine or column of the catalog is missing.
    NotFound,
    /// It is there already.
    AlreadyExists,
    /// The partition filter that the table requires is missing.
    PartitionFilter,
    /// GoogleSQL has it, this engine does not (yet).
    Unsupported,
    /// The statement needs more memory or steps than it may have.
    ResourcesExceeded,
    /// Another statement changed the same rows first.
    Conflict,
    /// Somebody cancelled the job.
    Cancelled,
    /// An error that a script raised itself.
    Raised,
    /// A bug in this engine.
    Internal,
}

/// A failed statement.
#[derive(Clone, PartialEq, Debug, Error)]
#[error("{message}{}", location.map(|(line, column)| format!(" at [{line}:{column}]")).unwrap_or_default())]
pub struct SqlError {
    pub kind: ErrorKind,
    /// GoogleSQL's text, without the location.
    pub message: String,
    /// Where in the statement; `None` where GoogleSQL gives no location.
    pub pos: Option<Pos>,
    /// Line and column, from 1; filled in by [`SqlError::locate`].
    pub location: Option<(u32, u32)>,
}

pub type Result<T, E = SqlError> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {$(
        #[doc = concat!("An error of the kind `", stringify!($kind), "`, without a place.")]
        pub fn $name(message: impl Into<String>) -> SqlError {
            SqlError::new(ErrorKind::$kind, message)
        }
    )*};
}

impl SqlError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> SqlError {
        SqlError { kind, message: message.into(), pos: None, location: None }
    }

    constructors! {
        syntax => Syntax,
        analysis => Analysis,
        evaluation => Evaluation,
        not_found => NotFound,
        already_exists => AlreadyExists,
        partition_filter => PartitionFilter,
        unsupported => Unsupported,
        resources => ResourcesExceeded,
        conflict => Conflict,
        cancelled => Cancelled,
        raised => Raised,
        internal => Internal,
    }

    /// The same at `pos`, unless a place is known already (the innermost one counts).
    pub fn at(mut self, pos: Pos) -> SqlError {
        self.pos.get_or_insert(pos);
        self
    }

    /// Fills in line and column from the text that `pos` points into. Columns count code points.
    pub fn locate(mut self, text: &str) -> SqlError {
        if let (None, Some(pos)) = (self.location, self.pos) {
            let before = text.get(..pos as usize).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let line = before.bytes().filter(|byte| *byte == b'\n').count() as u32 + 1;
            let column = before[line_start..].chars().count() as u32 + 1;
            self.location = Some((line, column));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_count_lines_and_code_points() {
        let text = "SELECT 'é',\n  foo";
        let error =
            SqlError::analysis("Unrecognized name: foo").at(text.find("foo").expect("there") as u32).locate(text);
        assert_eq!(error.to_string(), "Unrecognized name: foo at [2:3]");
        assert_eq!(SqlError::evaluation("division by zero: 1 / 0").locate(text).to_string(), "division by zero: 1 / 0");
    }
}
