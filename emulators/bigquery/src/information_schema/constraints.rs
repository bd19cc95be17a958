//! TABLE_CONSTRAINTS, KEY_COLUMN_USAGE, CONSTRAINT_COLUMN_USAGE.

use scrimmage_googlesql::Value;
use serde_json::Value as Json;

use super::{Rows, Scan, number, owner, text};

/// A primary or foreign key of a table.
struct Key {
    catalog: String,
    schema: String,
    table: String,
    /// `orders.pk$`, `orders.fk$1`.
    name: String,
    primary: bool,
    columns: Vec<String>,
    /// Of a foreign key: the columns that it refers to, with the table's three names.
    referenced: Vec<([String; 3], String)>,
}

fn strings(list: Option<&Json>) -> Vec<String> {
    let list = list.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn keys(scan: &Scan) -> Vec<Key> {
    let mut keys = Vec::new();
    for (path, table, entry) in scan.entries() {
        let Some(constraints) = entry.metadata.get("tableConstraints") else { continue };
        let key = |name: String, primary, columns, referenced| Key {
            catalog: path.project.clone(),
            schema: path.dataset.clone(),
            table: table.to_owned(),
            name: format!("{table}.{name}"),
            primary,
            columns,
            referenced,
        };
        if let Some(primary) = constraints.get("primaryKey") {
            keys.push(key("pk$".to_owned(), true, strings(primary.get("columns")), Vec::new()));
        }
        let foreign = constraints.get("foreignKeys").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        for (index, own) in foreign.iter().enumerate() {
            let text = |at: &str| own.pointer(at).and_then(Json::as_str).unwrap_or_default().to_owned();
            let to = ["projectId", "datasetId", "tableId"].map(|part| text(&format!("/referencedTable/{part}")));
            let pairs = own.get("columnReferences").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            let of = |pair: &Json, side: &str| pair.get(side).and_then(Json::as_str).unwrap_or_default().to_owned();
            let name = own.get("name").and_then(Json::as_str).map(str::to_owned);
            keys.push(key(
                name.unwrap_or_else(|| format!("fk${}", index + 1)),
                false,
                pairs.iter().map(|pair| of(pair, "referencingColumn")).collect(),
                pairs.iter().map(|pair| (to.clone(), of(pair, "referencedColumn"))).collect(),
            ));
        }
    }
    keys
}

pub fn table_constraints(scan: &Scan) -> Rows {
    let rows = keys(scan).into_iter().map(|key| {
        let kind = if key.primary { "PRIMARY KEY" } else { "FOREIGN KEY" };
        owner([&key.catalog, &key.schema, &key.name, &key.catalog, &key.schema, &key.table, kind, "NO", "NO", "NO"])
    });
    Rows {
        columns: vec![
            text("constraint_catalog"),
            text("constraint_schema"),
            text("constraint_name"),
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("constraint_type"),
            text("is_deferrable"),
            text("initially_deferred"),
            text("enforced"),
        ],
        rows: rows.collect(),
    }
}

pub fn key_column_usage(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for key in keys(scan) {
        for (index, column) in key.columns.iter().enumerate() {
            let mut row =
                owner([&key.catalog, &key.schema, &key.name, &key.catalog, &key.schema, &key.table, column.as_str()]);
            let position = Value::Int64(index as i64 + 1);
            row.extend([position.clone(), if key.primary { Value::Null } else { position }]);
            rows.push(row);
        }
    }
    Rows {
        columns: vec![
            text("constraint_catalog"),
            text("constraint_schema"),
            text("constraint_name"),
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("column_name"),
            number("ordinal_position"),
            number("position_in_unique_constraint"),
        ],
        rows,
    }
}

/// A primary key's own columns; a foreign key's referenced ones.
pub fn constraint_column_usage(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for key in keys(scan) {
        let own = key.columns.iter().filter(|_| key.primary);
        let own = own.map(|column| ([key.catalog.clone(), key.schema.clone(), key.table.clone()], column.clone()));
        for ([catalog, schema, table], column) in own.chain(key.referenced.clone()) {
            rows.push(owner([&catalog, &schema, &table, &column, &key.catalog, &key.schema, &key.name]));
        }
    }
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("column_name"),
            text("constraint_catalog"),
            text("constraint_schema"),
            text("constraint_name"),
        ],
        rows,
    }
}
