//! SCHEMATA, TABLES, COLUMNS, VIEWS, MATERIALIZED_VIEWS, TABLE_SNAPSHOTS.

use scrimmage_googlesql::catalog::{Mode, TablePath};
use scrimmage_googlesql::{Type, TypeParams, Value};

use super::{Rows, Scan, at, ddl_text, number, or_null, owner, text, time, yes_no};
use crate::engine::dataset::TableKind;
use crate::texts;

pub fn schemata(scan: &Scan) -> Rows {
    let rows = scan.datasets.iter().map(|(path, dataset)| {
        vec![
            Value::string(&path.project),
            Value::string(&path.dataset),
            Value::Null,
            at(dataset.created),
            at(dataset.modified),
            Value::string(texts::LOCATION),
            Value::string(ddl_text::schema(path, dataset)),
            Value::Null,
        ]
    });
    Rows {
        columns: vec![
            text("catalog_name"),
            text("schema_name"),
            text("schema_owner"),
            time("creation_time"),
            time("last_modified_time"),
            text("location"),
            text("ddl"),
            text("default_collation_name"),
        ],
        rows: rows.collect(),
    }
}

pub fn tables(scan: &Scan) -> Rows {
    let rows = scan.entries().map(|(path, name, entry)| {
        let kind = match entry.kind {
            TableKind::Table => "BASE TABLE",
            TableKind::Clone { .. } => "CLONE",
            TableKind::Snapshot { .. } => "SNAPSHOT",
            TableKind::View { .. } => "VIEW",
            TableKind::MaterializedView { .. } => "MATERIALIZED VIEW",
            TableKind::External { .. } => "EXTERNAL",
        };
        let base = match &entry.kind {
            TableKind::Clone { of, at } | TableKind::Snapshot { of, at } => Some((of, *at)),
            _ => None,
        };
        let of = |part: fn(&TablePath) -> &String| base.map_or(Value::Null, |(of, _)| Value::string(part(of)));
        let stored = matches!(entry.kind, TableKind::Table | TableKind::Clone { .. } | TableKind::Snapshot { .. });
        let mut row = owner([&path.project, &path.dataset, name, kind]);
        row.extend([
            if stored { Value::string("NATIVE") } else { Value::Null },
            yes_no(matches!(entry.kind, TableKind::Table | TableKind::Clone { .. })),
            yes_no(false),
            yes_no(false),
            yes_no(false),
            at(entry.created),
            of(|of| &of.project),
            of(|of| &of.dataset),
            of(|of| &of.table),
            base.map_or(Value::Null, |(_, taken)| at(taken)),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::string(ddl_text::table(path, name, entry)),
            Value::Null,
            Value::Null,
        ]);
        row
    });
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("table_type"),
            text("managed_table_type"),
            text("is_insertable_into"),
            text("is_fine_grained_mutations_enabled"),
            text("is_typed"),
            text("is_change_history_enabled"),
            time("creation_time"),
            text("base_table_catalog"),
            text("base_table_schema"),
            text("base_table_name"),
            time("snapshot_time_ms"),
            text("replica_source_catalog"),
            text("replica_source_schema"),
            text("replica_source_name"),
            text("replication_status"),
            text("replication_error"),
            text("ddl"),
            text("default_collation_name"),
            time("upsert_stream_apply_watermark"),
        ],
        rows: rows.collect(),
    }
}

pub fn columns(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, table, entry) in scan.entries() {
        let shape = &entry.current().shape;
        let partitions = shape.partitioning.as_ref().map(|own| own.column().unwrap_or("_PARTITIONTIME"));
        for (index, column) in shape.schema.columns.iter().enumerate() {
            let cluster = shape.clustering.iter().position(|name| name.eq_ignore_ascii_case(&column.name));
            let mut row = owner([&path.project, &path.dataset, table, &column.name]);
            row.extend([
                Value::Int64(index as i64 + 1),
                yes_no(column.mode == Mode::Nullable && !matches!(column.ty, Type::Array(_))),
                Value::string(type_text(&column.ty, &column.params)),
                Value::string("NEVER"),
                Value::Null,
                Value::Null,
                yes_no(false),
                Value::Null,
                yes_no(false),
                yes_no(partitions.is_some_and(|name| name.eq_ignore_ascii_case(&column.name))),
                cluster.map_or(Value::Null, |at| Value::Int64(at as i64 + 1)),
                Value::string("NULL"),
                Value::string(column.default.as_deref().unwrap_or("NULL")),
                or_null(column.rounding_mode.as_deref()),
                Value::array(Vec::new()),
            ]);
            rows.push(row);
        }
        if partitions == Some("_PARTITIONTIME") {
            let mut row = owner([&path.project, &path.dataset, table, "_PARTITIONTIME"]);
            row.extend([
                Value::Null,
                yes_no(true),
                Value::string("TIMESTAMP"),
                Value::string("NEVER"),
                Value::Null,
                Value::Null,
                yes_no(true),
                Value::Null,
                yes_no(true),
                yes_no(true),
                Value::Null,
                Value::string("NULL"),
                Value::string("NULL"),
                Value::Null,
                Value::array(Vec::new()),
            ]);
            rows.push(row);
        }
    }
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("column_name"),
            number("ordinal_position"),
            text("is_nullable"),
            text("data_type"),
            text("is_generated"),
            text("generation_expression"),
            text("is_stored"),
            text("is_hidden"),
            text("is_updatable"),
            text("is_system_defined"),
            text("is_partitioning_column"),
            number("clustering_ordinal_position"),
            text("collation_name"),
            text("column_default"),
            text("rounding_mode"),
            ("policy_tags", Type::array(Type::String)),
        ],
        rows,
    }
}

/// `NUMERIC(5, 1)`, `ARRAY<STRING(10)>`: a type with its parameters, but those within records.
pub fn type_text(ty: &Type, params: &TypeParams) -> String {
    if let (Type::Array(element), [own]) = (ty, params.children.as_slice()) {
        return format!("ARRAY<{}>", type_text(element, own));
    }
    match (params.max_length, params.precision, params.scale) {
        (Some(length), ..) => format!("{ty}({length})"),
        (_, Some(precision), Some(scale)) => format!("{ty}({precision}, {scale})"),
        (_, Some(precision), None) => format!("{ty}({precision})"),
        _ => ty.to_string(),
    }
}

pub fn views(scan: &Scan) -> Rows {
    let rows = scan.entries().filter_map(|(path, name, entry)| {
        let TableKind::View { sql, .. } = &entry.kind else { return None };
        let mut row = owner([&path.project, &path.dataset, name, sql]);
        row.extend([Value::Null, yes_no(true)]);
        Some(row)
    });
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("view_definition"),
            text("check_option"),
            text("use_standard_sql"),
        ],
        rows: rows.collect(),
    }
}

pub fn materialized_views(scan: &Scan) -> Rows {
    let rows = scan.entries().filter_map(|(path, name, entry)| {
        let TableKind::MaterializedView { .. } = &entry.kind else { return None };
        let mut row = owner([&path.project, &path.dataset, name]);
        // It is computed when it is read: always fresh.
        row.extend([at(scan.now), at(scan.now), Value::Null]);
        Some(row)
    });
    let status = Type::struct_of([
        ("reason", Type::String),
        ("location", Type::String),
        ("debug_info", Type::String),
        ("message", Type::String),
    ]);
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            time("last_refresh_time"),
            time("refresh_watermark"),
            ("last_refresh_status", status),
        ],
        rows: rows.collect(),
    }
}

pub fn snapshots(scan: &Scan) -> Rows {
    let rows = scan.entries().filter_map(|(path, name, entry)| {
        let TableKind::Snapshot { of, at: taken } = &entry.kind else { return None };
        let mut row = owner([&path.project, &path.dataset, name, &of.project, &of.dataset, &of.table]);
        row.push(at(*taken));
        Some(row)
    });
    Rows {
        columns: vec![
            text("table_catalog"),
            text("table_schema"),
            text("table_name"),
            text("base_table_catalog"),
            text("base_table_schema"),
            text("base_table_name"),
            time("snapshot_time"),
        ],
        rows: rows.collect(),
    }
}
