//! Table schemas as Avro schemas: what the Storage Read API sends and what extract jobs write.

use std::collections::HashSet;

use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::{ColumnDef, Mode};
use serde_json::{Value as Json, json};

use super::nested_columns;

/// Which of BigQuery's two Avro dialects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// The Storage Read API: logical types always.
    Read,
    /// Extract jobs with `useAvroLogicalTypes`.
    ExportLogical,
    /// Extract jobs without: dates and times are strings.
    ExportPlain,
}

impl Style {
    /// Whether DATE, TIME and TIMESTAMP travel as numbers.
    pub fn is_logical(self) -> bool {
        self != Style::ExportPlain
    }
}

/// The schema's JSON text.
pub fn avro_schema(columns: &[ColumnDef], style: Style) -> String {
    let mut namer = Namer { style, records: 0, ranges: HashSet::new() };
    let name = if style == Style::Read { "__root__" } else { "Root" };
    json!({"type": "record", "name": name, "fields": namer.fields(columns)}).to_string()
}

struct Namer {
    style: Style,
    records: usize,
    /// Range records that are defined already: later ones refer to them by name.
    ranges: HashSet<String>,
}

impl Namer {
    fn fields(&mut self, columns: &[ColumnDef]) -> Vec<Json> {
        let fields = columns.iter().map(|column| {
            let mut field = json!({"name": column.name, "type": self.column(column)});
            if let Some(description) = &column.description {
                field["doc"] = json!(description);
            }
            field
        });
        fields.collect()
    }

    fn column(&mut self, column: &ColumnDef) -> Json {
        let nested = nested_columns(column);
        match &column.ty {
            Type::Array(element) => json!({"type": "array", "items": self.value(element, &nested)}),
            own if column.mode == Mode::Required => self.value(own, &nested),
            own => json!(["null", self.value(own, &nested)]),
        }
    }

    fn value(&mut self, ty: &Type, nested: &[ColumnDef]) -> Json {
        let logical = self.style.is_logical();
        let annotated = |name: &str| json!({"type": "string", "sqlType": name});
        match ty {
            Type::Bool => json!("boolean"),
            Type::Int64 => json!("long"),
            Type::Float64 => json!("double"),
            Type::String => json!("string"),
            Type::Bytes => json!("bytes"),
            Type::Numeric => json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}),
            Type::BigNumeric => json!({"type": "bytes", "logicalType": "decimal", "precision": 77, "scale": 38}),
            Type::Date if logical => json!({"type": "int", "logicalType": "date"}),
            Type::Time if logical => json!({"type": "long", "logicalType": "time-micros"}),
            Type::Timestamp if logical => json!({"type": "long", "logicalType": "timestamp-micros"}),
            Type::Datetime if logical => json!({"type": "string", "logicalType": "datetime"}),
            Type::Date | Type::Time | Type::Timestamp | Type::Datetime => annotated(&ty.to_string()),
            Type::Interval | Type::Json | Type::Geography => annotated(&ty.to_string()),
            Type::Range(element) => {
                let name = format!("RANGE_{element}");
                let full = format!("google.sqlType.{name}");
                if !self.ranges.insert(name.clone()) {
                    return json!(full);
                }
                let bound = self.value(element, &[]);
                json!({
                    "type": "record",
                    "namespace": "google.sqlType",
                    "name": name,
                    "sqlType": "RANGE",
                    "fields": [
                        {"name": "start", "type": ["null", bound]},
                        {"name": "end", "type": ["null", bound]},
                    ],
                })
            }
            Type::Struct(_) => {
                let name = format!("__s_{}", self.records);
                self.records += 1;
                json!({"type": "record", "name": name, "fields": self.fields(nested)})
            }
            // An array's element is never an array.
            Type::Array(element) => json!({"type": "array", "items": self.value(element, nested)}),
        }
    }
}
