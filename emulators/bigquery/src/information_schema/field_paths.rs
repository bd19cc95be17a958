//! COLUMN_FIELD_PATHS: every column and every field within it.

use scrimmage_googlesql::catalog::ColumnDef;
use scrimmage_googlesql::{Type, Value};

use super::tables::type_text;
use super::{Rows, Scan};

pub fn field_paths(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, table, entry) in scan.entries() {
        for column in &entry.current().shape.schema.columns {
            let owner = [&path.project, &path.dataset, table, &column.name].map(Value::string);
            add(&owner, &column.name, column, &mut rows);
        }
    }
    let text = |name| (name, Type::String);
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("column_name"),
            text("field_path"),
            text("data_type"),
            text("description"),
            text("collation_name"),
            text("rounding_mode"),
            ("policy_tags", Type::array(Type::String)),
        ],
        rows,
    }
}

/// Schemas nest 15 levels at most, so this recursion is shallow.
fn add(owner: &[Value; 4], path: &str, column: &ColumnDef, rows: &mut Vec<Vec<Value>>) {
    let or_null = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::string);
    let mut row = owner.to_vec();
    row.extend([
        Value::string(path),
        Value::string(type_text(&column.ty, &column.params)),
        or_null(&column.description),
        Value::string("NULL"),
        or_null(&column.rounding_mode),
        Value::array(Vec::new()),
    ]);
    rows.push(row);
    for field in &column.fields {
        add(owner, &format!("{path}.{}", field.name), field, rows);
    }
}
