//! Storage sizes, by the documented formula ("Storage size calculations").

use super::{Fields, Value};
use crate::path::DocumentName;

/// Bytes of a string: its UTF-8 form and one.
fn string_size(text: &str) -> usize {
    text.len() + 1
}

/// Bytes of a document name: each segment as a string, and sixteen.
pub fn name_size(relative_path: &str) -> usize {
    // One for each segment; a path has one slash less than segments.
    relative_path.len() + 1 + 16
}

/// Bytes of a whole document: name, fields, and thirty-two.
pub fn document_size(name: &DocumentName, fields: &Fields) -> usize {
    name_size(name.path()) + fields_size(fields) + 32
}

fn fields_size(fields: &Fields) -> usize {
    fields.iter().map(|(key, value)| string_size(key) + value.size()).sum()
}

impl Value {
    /// Bytes that the value counts for. Nesting is limited where values enter, so this recursion is.
    pub fn size(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) => 1,
            Value::Int(_) | Value::Double(_) | Value::Timestamp(_) => 8,
            Value::Geo { .. } => 16,
            Value::String(text) => string_size(text),
            Value::Bytes(bytes) => bytes.len(),
            Value::Reference(name) => name.split_once("/documents/").map_or(name.len(), |(_, path)| name_size(path)),
            Value::Array(values) => values.iter().map(Value::size).sum(),
            Value::Map(fields) => fields_size(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_documented_example() {
        // "users/jeff/tasks/my_task_id" with type, description, done and priority: 147 bytes.
        let name = DocumentName::parse_relative("users/jeff/tasks/my_task_id").unwrap();
        let fields: Fields = [
            ("type", Value::string("Personal")),
            ("done", Value::Bool(false)),
            ("priority", Value::Int(1)),
            ("description", Value::string("Learn Cloud Firestore")),
        ]
        .into_iter()
        .map(|(key, value)| (Arc::from(key), value))
        .collect();
        assert_eq!(document_size(&name, &fields), 147);
    }
}
