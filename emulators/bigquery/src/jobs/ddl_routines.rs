//! CREATE FUNCTION and CREATE PROCEDURE.

use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::analyzer;
use scrimmage_googlesql::ast::{
    CreateFunction, CreateProcedure, FunctionBody, FunctionParameter, ProcedureMode, TypeNameKind,
};
use scrimmage_googlesql::catalog::{ArgumentDirection, Routine, RoutineArgument, RoutineKind, TablePath};
use scrimmage_googlesql::{SqlError, Type};
use serde_json::{Map, Value as Json, json};

use super::ddl::{DdlDone, DdlTarget};
use crate::engine::store::{DatasetPath, Store};

type Result<T> = std::result::Result<T, SqlError>;

fn argument(parameter: &FunctionParameter, direction: ArgumentDirection) -> Result<RoutineArgument> {
    let (ty, is_table) = match &parameter.ty.kind {
        TypeNameKind::Any => (None, false),
        TypeNameKind::Table(_) | TypeNameKind::AnyTable => (None, true),
        _ => (Some(analyzer::resolve_type(&parameter.ty)?.0), false),
    };
    Ok(RoutineArgument {
        name: parameter.name.name.clone(),
        ty,
        is_table,
        is_aggregate: !parameter.not_aggregate,
        direction,
    })
}

fn put(
    store: &mut Store,
    now: Timestamp,
    target: &TablePath,
    routine: Routine,
    resource: Map<String, Json>,
    or_replace: bool,
    if_not_exists: bool,
) -> Result<DdlDone> {
    let exists = store.dataset(&DatasetPath::of(target))?.routines.contains_key(&target.table);
    let done = |operation| Ok(DdlDone { operation, target: DdlTarget::Routine(target.clone()) });
    if exists && if_not_exists {
        return done("SKIP");
    }
    if exists && !or_replace {
        return Err(SqlError::already_exists(format!(
            "Already Exists: Routine {}:{}.{}",
            target.project, target.dataset, target.table
        )));
    }
    store.create_routine(now, target, routine, resource, true)?;
    done(if exists { "REPLACE" } else { "CREATE" })
}

/// A function as declared, with its REST resource.
pub fn function(name: Vec<String>, create: &CreateFunction) -> Result<(Routine, Map<String, Json>)> {
    let arguments: Vec<RoutineArgument> =
        create.parameters.iter().map(|parameter| argument(parameter, ArgumentDirection::In)).collect::<Result<_>>()?;
    let returns = match &create.returns {
        Some(ty) if !matches!(ty.kind, TypeNameKind::Table(_) | TypeNameKind::AnyTable) => {
            Some(analyzer::resolve_type(ty)?.0)
        }
        _ => None,
    };
    let (kind, body, language) = match &create.body {
        FunctionBody::Expr(_, text) if create.aggregate => (RoutineKind::Aggregate, text.clone(), "SQL"),
        FunctionBody::Expr(_, text) => (RoutineKind::Scalar, text.clone(), "SQL"),
        FunctionBody::Query(_, text) => (RoutineKind::TableFunction, text.clone(), "SQL"),
        FunctionBody::Code(code) if create.aggregate => (RoutineKind::JavaScriptAggregate, code.clone(), "JAVASCRIPT"),
        FunctionBody::Code(code) => (RoutineKind::JavaScript, code.clone(), "JAVASCRIPT"),
        FunctionBody::None => return Err(SqlError::unsupported("Remote functions are not supported")),
    };
    let routine_type = match kind {
        RoutineKind::TableFunction => "TABLE_VALUED_FUNCTION",
        RoutineKind::Aggregate | RoutineKind::JavaScriptAggregate => "AGGREGATE_FUNCTION",
        _ => "SCALAR_FUNCTION",
    };
    let mut resource = describe(routine_type, language, &arguments, &body);
    if let Some(returns) = &returns {
        resource.insert("returnType".into(), data_type(returns));
    }
    Ok((Routine { name, arguments, kind, returns, body, javascript: Arc::default() }, resource))
}

pub fn create_function(
    store: &mut Store,
    now: Timestamp,
    target: &TablePath,
    create: &CreateFunction,
) -> Result<DdlDone> {
    let name = vec![target.project.clone(), target.dataset.clone(), target.table.clone()];
    let (routine, resource) = function(name, create)?;
    put(store, now, target, routine, resource, create.or_replace, create.if_not_exists)
}

pub fn create_procedure(
    store: &mut Store,
    now: Timestamp,
    target: &TablePath,
    create: &CreateProcedure,
) -> Result<DdlDone> {
    let arguments: Vec<RoutineArgument> = create
        .parameters
        .iter()
        .map(|(mode, parameter)| {
            let direction = match mode {
                ProcedureMode::In => ArgumentDirection::In,
                ProcedureMode::Out => ArgumentDirection::Out,
                ProcedureMode::InOut => ArgumentDirection::InOut,
            };
            argument(parameter, direction)
        })
        .collect::<Result<_>>()?;
    let resource = describe("PROCEDURE", "SQL", &arguments, &create.body_text);
    let name = vec![target.project.clone(), target.dataset.clone(), target.table.clone()];
    let routine = Routine {
        name,
        arguments,
        kind: RoutineKind::Procedure,
        returns: None,
        body: create.body_text.clone(),
        javascript: Arc::default(),
    };
    put(store, now, target, routine, resource, create.or_replace, create.if_not_exists)
}

fn describe(routine_type: &str, language: &str, arguments: &[RoutineArgument], body: &str) -> Map<String, Json> {
    let arguments: Vec<Json> = arguments
        .iter()
        .map(|argument| {
            let mut entry = json!({"name": argument.name});
            match &argument.ty {
                Some(ty) => entry["dataType"] = data_type(ty),
                None => entry["argumentKind"] = json!("ANY_TYPE"),
            }
            match argument.direction {
                ArgumentDirection::In => {}
                ArgumentDirection::Out => entry["mode"] = json!("OUT"),
                ArgumentDirection::InOut => entry["mode"] = json!("INOUT"),
            }
            entry
        })
        .collect();
    let mut resource = Map::new();
    resource.insert("routineType".into(), json!(routine_type));
    resource.insert("language".into(), json!(language));
    if !arguments.is_empty() {
        resource.insert("arguments".into(), Json::Array(arguments));
    }
    resource.insert("definitionBody".into(), json!(body));
    resource
}

/// `StandardSqlDataType`.
pub fn data_type(ty: &Type) -> Json {
    match ty {
        Type::Array(element) => json!({"typeKind": "ARRAY", "arrayElementType": data_type(element)}),
        Type::Range(element) => json!({"typeKind": "RANGE", "rangeElementType": data_type(element)}),
        Type::Struct(fields) => {
            let fields: Vec<Json> =
                fields.fields.iter().map(|field| json!({"name": field.name, "type": data_type(&field.ty)})).collect();
            json!({"typeKind": "STRUCT", "structType": {"fields": fields}})
        }
        simple => json!({"typeKind": simple.to_string()}),
    }
}
