//! The tables' fixtures: `fixtures/schemas`.

use serde::Deserialize;

use crate::SetupError;
use crate::layout::Layout;
use crate::scenario::read_toml;

/// A column in BigQuery's own JSON form.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub mode: String,
    pub precision: Option<String>,
    pub scale: Option<String>,
}

impl Column {
    /// `name TYPE` as DDL has it, without the mode.
    pub fn declaration(&self) -> String {
        let kind = match self.kind.as_str() {
            "BOOLEAN" => "BOOL",
            other => other,
        };
        match (&self.precision, &self.scale) {
            (Some(precision), Some(scale)) => format!("{} {kind}({precision}, {scale})", self.name),
            (Some(precision), None) => format!("{} {kind}({precision})", self.name),
            _ => format!("{} {kind}", self.name),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    main: MainFile,
    staging: StagingFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MainFile {
    name: String,
    columns: String,
    partition_by: Partition,
    cluster_by: Vec<String>,
    business_key: Vec<String>,
    identity: Vec<String>,
    touched: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    field: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StagingFile {
    prefix: String,
    columns: String,
}

/// What is known about main and staging tables.
#[derive(Clone, Debug)]
pub struct TableSet {
    pub main: String,
    pub main_columns: Vec<Column>,
    pub partition_field: String,
    pub cluster_by: Vec<String>,
    pub business_key: Vec<String>,
    pub identity: Vec<String>,
    /// The column that an update moves.
    pub touched: String,
    pub staging_prefix: String,
    pub staging_columns: Vec<Column>,
}

impl TableSet {
    /// Reads `tables.toml` and the columns it points to.
    pub fn read(layout: &Layout) -> Result<TableSet, SetupError> {
        let folder = layout.schemas();
        let file: File = read_toml(&folder.join("tables.toml"))?;
        if file.main.partition_by.kind != "DAY" {
            let problem = format!("partition type `{}` is not supported; DAY is", file.main.partition_by.kind);
            return Err(SetupError::File { file: folder.join("tables.toml"), line: None, problem });
        }
        let columns = |name: &str| -> Result<Vec<Column>, SetupError> {
            let path = folder.join(name);
            let wrong = |problem: String| SetupError::File { file: path.clone(), line: None, problem };
            let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
        };
        Ok(TableSet {
            main_columns: columns(&file.main.columns)?,
            staging_columns: columns(&file.staging.columns)?,
            main: file.main.name,
            partition_field: file.main.partition_by.field,
            cluster_by: file.main.cluster_by,
            business_key: file.main.business_key,
            identity: file.main.identity,
            touched: file.main.touched,
            staging_prefix: file.staging.prefix,
        })
    }

    /// The columns that the main table has and the staging tables do not.
    pub fn only_in_main(&self) -> impl Iterator<Item = &Column> {
        self.main_columns.iter().filter(|column| !self.staging_columns.iter().any(|other| other.name == column.name))
    }

    /// The statement that creates the main table with these columns.
    pub fn create_main(&self, table: &str, columns: &[Column], filter: bool) -> String {
        let declared: Vec<String> = columns
            .iter()
            .map(|column| {
                let not_null = if column.mode == "REQUIRED" { " NOT NULL" } else { "" };
                format!("  {}{not_null}", column.declaration())
            })
            .collect();
        format!(
            "CREATE TABLE {table} (\n{}\n)\nPARTITION BY {}\nCLUSTER BY {}{}",
            declared.join(",\n"),
            self.partition_field,
            self.cluster_by.join(", "),
            if filter { "\nOPTIONS (require_partition_filter = TRUE)" } else { "" }
        )
    }

    /// The statement that adds what the main table does not have yet.
    pub fn grow_main(&self, table: &str) -> String {
        let added: Vec<String> =
            self.only_in_main().map(|column| format!("ADD COLUMN {}", column.declaration())).collect();
        format!("ALTER TABLE {table}\n{}", added.join(",\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_agree_with_one_another() {
        let tables = TableSet::read(&Layout::find().expect("a layout")).expect("the fixtures");
        assert_eq!((tables.main_columns.len(), tables.staging_columns.len()), (72, 63));
        assert_eq!(tables.only_in_main().count(), 9);
        let sql = tables.create_main("`p.d.t`", &tables.main_columns, false);
        assert!(sql.contains("predicted_points NUMERIC(5, 1) NOT NULL") && sql.contains("PARTITION BY game_date"));
        assert_eq!(tables.grow_main("`p.d.t`").matches("ADD COLUMN").count(), 9);
    }
}
