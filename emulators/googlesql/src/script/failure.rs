//! Where a script failed, in production's words: `Query error: … at [line:column]`.

use super::host::Frame;
use crate::error::{ErrorKind, Pos, SqlError};

/// The frame of a stretch of a text.
pub(super) fn frame(procedure: Option<&str>, text: &str, start: Pos, end: Pos) -> Frame {
    let (line, column) = place(text, start);
    let (end_line, end_column) = place(text, end);
    let text = text.get(start as usize..end as usize).unwrap_or_default().to_owned();
    Frame { procedure: procedure.map(str::to_owned), line, column, end_line, end_column, text }
}

/// Line and column, from 1; columns count code points.
pub(super) fn place(text: &str, pos: Pos) -> (u32, u32) {
    SqlError::internal("").at(pos).locate(text).location.unwrap_or((1, 1))
}

/// An error of a statement in a script: prefix, and a location even where the statement gave none.
///
/// `at` is the statement; `procedure` names the routine whose body `text` is.
pub(super) fn in_script(error: SqlError, text: &str, at: Pos, procedure: Option<&str>) -> SqlError {
    if error.kind == ErrorKind::Cancelled || error.location.is_some() {
        return error;
    }
    let mut error = error.at(at).locate(text);
    if matches!(error.kind, ErrorKind::Analysis | ErrorKind::Evaluation | ErrorKind::PartitionFilter)
        && !error.message.starts_with("Query error: ")
    {
        error.message = format!("Query error: {}", error.message);
    }
    if let (Some(name), Some((line, column))) = (procedure, error.location) {
        // The place is part of the text: it does not lie in the text that the caller knows.
        error.message = format!("{} at [{name}:{line}:{column}]", error.message);
        error.pos = None;
        error.location = None;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_prefix_and_locate() {
        let text = "SELECT 1;\nSELECT 1/0";
        let error = in_script(SqlError::evaluation("division by zero: 1 / 0"), text, 10, None);
        assert_eq!(error.to_string(), "Query error: division by zero: 1 / 0 at [2:1]");
        let error = in_script(SqlError::analysis("Unrecognized name: x").at(17), text, 10, Some("p.d.f"));
        assert_eq!(error.to_string(), "Query error: Unrecognized name: x at [p.d.f:2:8]");
    }
}
