//! The `ddl` columns: statements that would make a dataset or table again, laid out as production does.

use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use serde_json::Value as Json;

use super::options::{self, quoted};
use super::tables::type_text;
use crate::engine::dataset::{Dataset, TableEntry, TableKind};
use crate::engine::partition::{Partitioning, TimeUnit};
use crate::engine::store::DatasetPath;
use crate::texts;

pub fn schema(path: &DatasetPath, dataset: &Dataset) -> String {
    let mut options = options::of_dataset(dataset);
    options.insert(0, ("location", "STRING", quoted(&texts::LOCATION.to_ascii_lowercase())));
    format!("CREATE SCHEMA `{}.{}`{};", path.project, path.dataset, clause(&options))
}

fn clause(options: &[options::SqlOption]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = options.iter().map(|(name, _, value)| format!("  {name}={value}")).collect();
    format!("\nOPTIONS(\n{}\n)", lines.join(",\n"))
}

/// Format and files; what else is said of them is left out.
fn external(full: &str, configuration: &str, columns: &[ColumnDef]) -> String {
    let configuration: Json = serde_json::from_str(configuration).unwrap_or_default();
    let columns: Vec<String> = columns.iter().map(|column| format!("  {}", line(column))).collect();
    format!(
        "CREATE EXTERNAL TABLE {full}\n(\n{}\n)\nOPTIONS(\n  format={},\n  uris={}\n);",
        columns.join(",\n"),
        configuration["sourceFormat"],
        configuration["sourceUris"]
    )
}

pub fn table(path: &DatasetPath, name: &str, entry: &TableEntry) -> String {
    let full = format!("`{}.{}.{name}`", path.project, path.dataset);
    let options = clause(&options::of_table(entry));
    let shape = &entry.current().shape;
    match &entry.kind {
        TableKind::View { sql, renames } => {
            let columns = if *renames { column_names(&shape.schema.columns) } else { String::new() };
            format!("CREATE VIEW {full}{columns}{options}\nAS {sql};")
        }
        TableKind::MaterializedView { sql, .. } => format!("CREATE MATERIALIZED VIEW {full}{options}\nAS {sql};"),
        TableKind::Snapshot { of, at } => format!(
            "CREATE SNAPSHOT TABLE {full}\nCLONE `{}.{}.{}`\nFOR SYSTEM_TIME AS OF TIMESTAMP \"{at}\"{options};",
            of.project, of.dataset, of.table
        ),
        TableKind::Clone { of, .. } => {
            format!("CREATE TABLE {full}\nCLONE `{}.{}.{}`{options};", of.project, of.dataset, of.table)
        }
        TableKind::External { configuration } => external(&full, configuration, &shape.schema.columns),
        TableKind::Table => {
            let columns: Vec<String> =
                shape.schema.columns.iter().map(|column| format!("  {}", line(column))).collect();
            let body = if columns.is_empty() { String::new() } else { format!("\n(\n{}\n)", columns.join(",\n")) };
            let partitions = shape
                .partitioning
                .as_ref()
                .map_or_else(String::new, |own| format!("\nPARTITION BY {}", partition_by(own, &shape.schema.columns)));
            let clusters = match shape.clustering.as_slice() {
                [] => String::new(),
                columns => format!("\nCLUSTER BY {}", columns.join(", ")),
            };
            format!("CREATE TABLE {full}{body}{partitions}{clusters}{options};")
        }
    }
}

fn column_names(columns: &[ColumnDef]) -> String {
    format!("({})", columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", "))
}

fn line(column: &ColumnDef) -> String {
    let mut line = format!("{} {}", column.name, type_text(&column.ty, &column.params));
    if let Some(default) = &column.default {
        line += &format!(" DEFAULT {default}");
    }
    if column.mode == Mode::Required {
        line += " NOT NULL";
    }
    if let Some(description) = &column.description {
        line += &format!(" OPTIONS(description={})", quoted(description));
    }
    line
}

fn partition_by(partitioning: &Partitioning, columns: &[ColumnDef]) -> String {
    match partitioning {
        Partitioning::Range { column, start, end, interval } => {
            format!("RANGE_BUCKET({column}, GENERATE_ARRAY({start}, {end}, {interval}))")
        }
        Partitioning::Time { column: None, unit: TimeUnit::Day, .. } => "_PARTITIONDATE".to_owned(),
        Partitioning::Time { column: None, unit, .. } => format!("TIMESTAMP_TRUNC(_PARTITIONTIME, {})", unit.name()),
        Partitioning::Time { column: Some(name), unit, .. } => {
            let ty = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).map(|column| &column.ty);
            match (ty, unit) {
                (Some(Type::Date), TimeUnit::Day) => name.clone(),
                (Some(Type::Date), unit) => format!("DATE_TRUNC({name}, {})", unit.name()),
                (_, TimeUnit::Day) => format!("DATE({name})"),
                (Some(Type::Datetime), unit) => format!("DATETIME_TRUNC({name}, {})", unit.name()),
                (_, unit) => format!("TIMESTAMP_TRUNC({name}, {})", unit.name()),
            }
        }
    }
}
