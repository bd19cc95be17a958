//! Views of what this service has none of: indexes, privileges, links, replicas, options. They have their columns, and
//! no rows.

use scrimmage_googlesql::Type;

use super::{Rows, Scan, number, text, time};

fn none(columns: Vec<(&'static str, Type)>) -> Rows {
    Rows { columns, rows: Vec::new() }
}

fn index() -> Vec<(&'static str, Type)> {
    ["index_catalog", "index_schema", "table_name", "index_name"].map(text).to_vec()
}

fn indexes() -> Vec<(&'static str, Type)> {
    let mut columns = index();
    columns.push(text("index_status"));
    columns.extend(["creation_time", "last_modification_time", "last_refresh_time", "disable_time"].map(time));
    columns.extend(["disable_reason", "ddl"].map(text));
    let sizes = ["coverage_percentage", "unindexed_row_count", "total_logical_bytes", "total_storage_bytes"];
    columns.extend(sizes.map(number));
    columns
}

pub fn search_indexes(_scan: &Scan) -> Rows {
    let mut columns = indexes();
    columns.push(text("analyzer"));
    none(columns)
}

pub fn vector_indexes(_scan: &Scan) -> Rows {
    none(indexes())
}

pub fn index_columns(_scan: &Scan) -> Rows {
    let mut columns = index();
    columns.extend(["index_column_name", "index_field_path"].map(text));
    none(columns)
}

pub fn index_options(_scan: &Scan) -> Rows {
    let mut columns = index();
    columns.extend(["option_name", "option_type", "option_value"].map(text));
    none(columns)
}

pub fn object_privileges(_scan: &Scan) -> Rows {
    let columns = ["object_catalog", "object_schema", "object_name", "object_type", "privilege_type", "grantee"];
    none(columns.map(text).to_vec())
}

pub fn schemata_links(_scan: &Scan) -> Rows {
    none(vec![
        text("catalog_name"),
        text("schema_name"),
        text("linked_schema_catalog_number"),
        text("linked_schema_catalog_name"),
        text("linked_schema_name"),
        time("linked_schema_creation_time"),
        text("linked_schema_org_display_name"),
        text("shared_asset_id"),
        text("link_type"),
    ])
}

pub fn schemata_replicas(_scan: &Scan) -> Rows {
    none(vec![
        text("catalog_name"),
        text("schema_name"),
        text("replica_name"),
        text("location"),
        ("replica_primary_assigned", Type::Bool),
        ("replica_primary_assignment_complete", Type::Bool),
        ("creation_complete", Type::Bool),
        time("creation_time"),
        time("replication_time"),
        ("sync_status", Type::Json),
    ])
}

pub fn effective_project_options(_scan: &Scan) -> Rows {
    let columns = ["option_name", "option_description", "option_type", "option_set_level", "option_set_on_id"];
    none(columns.map(text).to_vec())
}
