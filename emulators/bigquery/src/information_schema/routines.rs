//! ROUTINES, ROUTINE_OPTIONS, PARAMETERS.

use scrimmage_googlesql::Value;
use scrimmage_googlesql::catalog::{ArgumentDirection, RoutineKind};
use serde_json::Value as Json;

use super::options::quoted;
use super::{Rows, Scan, at, number, or_null, owner, text, time, yes_no};
use crate::engine::dataset::RoutineEntry;
use crate::engine::store::DatasetPath;

fn all<'a>(scan: &'a Scan) -> impl Iterator<Item = (&'a DatasetPath, &'a str, &'a RoutineEntry)> {
    scan.datasets
        .iter()
        .flat_map(|(path, dataset)| dataset.routines.iter().map(move |(name, entry)| (*path, name.as_str(), entry)))
}

/// CREATE FUNCTION and its sisters as they would make the routine again.
fn ddl(path: &DatasetPath, name: &str, entry: &RoutineEntry) -> String {
    let routine = &entry.routine;
    let arguments: Vec<String> = routine
        .arguments
        .iter()
        .map(|argument| {
            let mode = match argument.direction {
                ArgumentDirection::Out => "OUT ",
                ArgumentDirection::InOut => "INOUT ",
                ArgumentDirection::In => "",
            };
            let ty = argument.ty.as_ref().map_or_else(|| "ANY TYPE".to_owned(), ToString::to_string);
            format!("{mode}{} {ty}", argument.name)
        })
        .collect();
    let head = format!("`{}`.{}.{name}({})", path.project, path.dataset, arguments.join(", "));
    let returns = routine.returns.as_ref().map_or_else(String::new, |ty| format!(" RETURNS {ty}"));
    match routine.kind {
        RoutineKind::Procedure => format!("CREATE PROCEDURE {head}\n{};", routine.body),
        RoutineKind::TableFunction => format!("CREATE TABLE FUNCTION {head}{returns}\nAS (\n{}\n);", routine.body),
        RoutineKind::JavaScript => {
            format!("CREATE FUNCTION {head}{returns} LANGUAGE js\nAS r\"\"\"\n{}\n\"\"\";", routine.body)
        }
        RoutineKind::JavaScriptAggregate => {
            format!("CREATE AGGREGATE FUNCTION {head}{returns} LANGUAGE js\nAS r\"\"\"\n{}\n\"\"\";", routine.body)
        }
        RoutineKind::Aggregate => format!("CREATE AGGREGATE FUNCTION {head}{returns}\nAS (\n{}\n);", routine.body),
        RoutineKind::Scalar => format!("CREATE FUNCTION {head}{returns}\nAS (\n{}\n);", routine.body),
    }
}

pub fn routines(scan: &Scan) -> Rows {
    let rows = all(scan).map(|(path, name, entry)| {
        let kind = match entry.routine.kind {
            RoutineKind::Procedure => "PROCEDURE",
            RoutineKind::TableFunction => "TABLE FUNCTION",
            _ => "FUNCTION",
        };
        let external = matches!(entry.routine.kind, RoutineKind::JavaScript | RoutineKind::JavaScriptAggregate);
        let determinism = match entry.resource.get("determinismLevel").and_then(Json::as_str) {
            Some("DETERMINISTIC") => yes_no(true),
            Some("NOT_DETERMINISTIC") => yes_no(false),
            _ => Value::Null,
        };
        let mut row = owner([&path.project, &path.dataset, name, &path.project, &path.dataset, name, kind]);
        row.extend([
            entry.routine.returns.as_ref().map_or(Value::Null, |ty| Value::string(ty.to_string())),
            Value::string(if external { "EXTERNAL" } else { "SQL" }),
            Value::string(&entry.routine.body),
            or_null(external.then_some("JAVASCRIPT")),
            determinism,
            Value::Null,
            at(entry.created),
            at(entry.modified),
            Value::string(ddl(path, name, entry)),
            Value::Null,
        ]);
        row
    });
    Rows {
        columns: vec![
            text("specific_catalog"),
            text("specific_schema"),
            text("specific_name"),
            text("routine_catalog"),
            text("routine_schema"),
            text("routine_name"),
            text("routine_type"),
            text("data_type"),
            text("routine_body"),
            text("routine_definition"),
            text("external_language"),
            text("is_deterministic"),
            text("security_type"),
            time("created"),
            time("last_altered"),
            text("ddl"),
            text("connection"),
        ],
        rows: rows.collect(),
    }
}

pub fn routine_options(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, name, entry) in all(scan) {
        if let Some(description) = entry.resource.get("description").and_then(Json::as_str) {
            rows.push(owner([&path.project, &path.dataset, name, "description", "STRING", &quoted(description)]));
        }
        let libraries = entry.resource.get("importedLibraries").and_then(Json::as_array);
        if let Some(libraries) = libraries.filter(|list| !list.is_empty()) {
            let list: Vec<String> = libraries.iter().filter_map(Json::as_str).map(quoted).collect();
            let list = format!("[{}]", list.join(", "));
            rows.push(owner([&path.project, &path.dataset, name, "library", "ARRAY<STRING>", &list]));
        }
    }
    Rows {
        columns: vec![
            text("specific_catalog"),
            text("specific_schema"),
            text("specific_name"),
            text("option_name"),
            text("option_type"),
            text("option_value"),
        ],
        rows,
    }
}

pub fn parameters(scan: &Scan) -> Rows {
    let mut rows = Vec::new();
    for (path, name, entry) in all(scan) {
        let routine = &entry.routine;
        let mut add = |position: i64, mode: Value, result: bool, parameter: Value, ty: Value, aggregate: Value| {
            let mut row = owner([&path.project, &path.dataset, name]);
            row.extend([Value::Int64(position), mode, yes_no(result), parameter, ty, Value::Null, aggregate]);
            rows.push(row);
        };
        if let Some(returns) = &routine.returns {
            let ty = Value::string(returns.to_string());
            add(0, Value::Null, true, Value::Null, ty, Value::Null);
        }
        for (index, argument) in routine.arguments.iter().enumerate() {
            let mode = match (routine.kind, argument.direction) {
                (RoutineKind::Procedure, ArgumentDirection::In) => Value::string("IN"),
                (_, ArgumentDirection::Out) => Value::string("OUT"),
                (_, ArgumentDirection::InOut) => Value::string("INOUT"),
                _ => Value::Null,
            };
            let ty = match &argument.ty {
                Some(ty) => ty.to_string(),
                None if argument.is_table => "ANY TABLE".to_owned(),
                None => "ANY TYPE".to_owned(),
            };
            let aggregate =
                if routine.kind == RoutineKind::Aggregate { yes_no(argument.is_aggregate) } else { Value::Null };
            let parameter = Value::string(&argument.name);
            add(index as i64 + 1, mode, false, parameter, Value::string(ty), aggregate);
        }
    }
    Rows {
        columns: vec![
            text("specific_catalog"),
            text("specific_schema"),
            text("specific_name"),
            number("ordinal_position"),
            text("parameter_mode"),
            text("is_result"),
            text("parameter_name"),
            text("data_type"),
            text("parameter_default"),
            text("is_aggregate"),
        ],
        rows,
    }
}
