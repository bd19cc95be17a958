//! routines.*, and models.*, of which there are none.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use scrimmage_googlesql::catalog::{ArgumentDirection, Routine, RoutineArgument, RoutineKind, TablePath};
use scrimmage_googlesql::{Type, parser};
use serde_json::{Map, Value, json};

use super::error::{ApiError, ApiResult};
use super::tables::list_page;
use super::{App, Caller, Params, body, etag};
use crate::engine::dataset::RoutineEntry;
use crate::engine::store::DatasetPath;
use crate::jobs::ddl_routines::data_type;
use crate::texts;

/// Types nest no deeper than schemas.
const MAX_DEPTH: usize = 15;
/// What the service makes.
const COMPUTED: [&str; 4] = ["etag", "routineReference", "creationTime", "lastModifiedTime"];

fn tag(path: &DatasetPath, name: &str, entry: &RoutineEntry) -> String {
    etag(&format!("{}.{name}@{}", path.dataset, entry.modified.as_micros()))
}

fn resource(path: &DatasetPath, name: &str, entry: &RoutineEntry) -> Value {
    let mut resource = json!({
        "etag": tag(path, name, entry),
        "routineReference": {"projectId": path.project, "datasetId": path.dataset, "routineId": name},
        "creationTime": entry.created.as_millis().to_string(),
        "lastModifiedTime": entry.modified.as_millis().to_string(),
    });
    for (key, value) in &entry.resource {
        resource[key] = value.clone();
    }
    resource
}

/// What lists show of each; `readMask` adds others.
const LISTED: [&str; 8] = [
    "etag",
    "routineReference",
    "routineType",
    "creationTime",
    "lastModifiedTime",
    "language",
    "returnType",
    "arguments",
];

pub async fn list(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    params: Params,
) -> ApiResult<Json<Value>> {
    let path = DatasetPath::new(&project, &dataset);
    let wanted = match params.text("filter").map(str::trim).filter(|filter| !filter.is_empty()) {
        None => None,
        Some(filter) => Some(
            filter
                .strip_prefix("routineType:")
                .ok_or_else(|| ApiError::invalid(format!("Invalid filter: {filter}")).at("filter"))?,
        ),
    };
    let mask: Vec<&str> =
        params.text("readMask").map_or_else(Vec::new, |mask| mask.split(',').map(str::trim).collect());
    let store = app.store.lock();
    let routines = &store.dataset(&path)?.routines;
    let items = routines
        .iter()
        .map(|(name, entry)| resource(&path, name, entry))
        .filter(|item| wanted.is_none_or(|wanted| item["routineType"] == wanted))
        .map(|mut item| {
            if let Some(fields) = item.as_object_mut() {
                fields.retain(|key, _| LISTED.contains(&key.as_str()) || mask.contains(&key.as_str()));
            }
            item
        })
        .collect();
    let Json(mut list) = list_page("", "routines", items, &params, params.number("maxResults")?)?;
    if let Some(fields) = list.as_object_mut() {
        for key in ["kind", "etag"] {
            fields.shift_remove(key);
        }
    }
    Ok(Json(list))
}

fn missing(path: &DatasetPath, routine: &str) -> ApiError {
    ApiError::not_found(texts::routine_not_found(&path.project, &path.dataset, routine))
}

pub async fn get(
    State(app): State<Arc<App>>,
    Path((project, dataset, routine)): Path<(String, String, String)>,
    params: Params,
    caller: Caller,
) -> ApiResult<Response> {
    let path = DatasetPath::new(&project, &dataset);
    let store = app.store.lock();
    let entry = store.dataset(&path)?.routines.get(&routine).ok_or_else(|| missing(&path, &routine))?;
    let mut resource = resource(&path, &routine, entry);
    if let (Some(mask), Some(fields)) =
        (params.text("readMask").filter(|mask| !mask.is_empty()), resource.as_object_mut())
    {
        let mask: Vec<&str> = mask.split(',').map(str::trim).collect();
        fields.retain(|key, _| mask.contains(&key.as_str()) || key == "etag" || key == "routineReference");
    }
    Ok(caller.answer(resource))
}

pub async fn delete(
    State(app): State<Arc<App>>,
    Path((project, dataset, routine)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    let path = TablePath { project, dataset, table: routine };
    match app.store.lock().drop_routine(&path)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(missing(&DatasetPath::of(&path), &path.table)),
    }
}

pub async fn insert(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let body = body(&bytes)?;
    let id = body
        .pointer("/routineReference/routineId")
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::required("routineReference.routineId"))?
        .to_owned();
    if id.is_empty() || id.len() > 256 || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(ApiError::invalid(format!(
            "Invalid routine ID \"{id}\". Routine IDs must be alphanumeric (plus underscores) and must be at most 256 characters long."
        )));
    }
    let path = TablePath { project, dataset, table: id };
    let (routine, fields) = read(&path, &body)?;
    check_body(&app, &path, &routine)?;
    let owner = DatasetPath::of(&path);
    let now = app.ctx.clock.now();
    let mut store = app.store.lock();
    if store.dataset(&owner)?.routines.contains_key(&path.table) {
        return Err(ApiError::duplicate(format!(
            "Already Exists: Routine {}:{}.{}",
            path.project, path.dataset, path.table
        )));
    }
    store.create_routine(now, &path, routine, fields, false)?;
    let entry = store.dataset(&owner)?.routines.get(&path.table).ok_or_else(|| missing(&owner, &path.table))?;
    Ok(Json(resource(&owner, &path.table, entry)))
}

/// The whole resource is sent; what it leaves out is gone.
pub async fn update(
    State(app): State<Arc<App>>,
    Path((project, dataset, routine)): Path<(String, String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let body = body(&bytes)?;
    let path = TablePath { project, dataset, table: routine };
    let owner = DatasetPath::of(&path);
    let (routine, fields) = read(&path, &body)?;
    check_body(&app, &path, &routine)?;
    let now = app.ctx.clock.now();
    let mut store = app.store.lock();
    let old = store.dataset(&owner)?.routines.get(&path.table).ok_or_else(|| missing(&owner, &path.table))?;
    caller.check_match(&tag(&owner, &path.table, old))?;
    store.create_routine(now, &path, routine, fields, true)?;
    let entry = store.dataset(&owner)?.routines.get(&path.table).ok_or_else(|| missing(&owner, &path.table))?;
    Ok(Json(resource(&owner, &path.table, entry)))
}

/// A routine as REST describes it, and the fields to keep.
fn read(path: &TablePath, body: &Value) -> ApiResult<(Routine, Map<String, Value>)> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let routine_type = text("routineType").ok_or_else(|| ApiError::required("routineType"))?;
    let definition = text("definitionBody").ok_or_else(|| ApiError::required("definitionBody"))?;
    let language = text("language").unwrap_or("SQL");
    let kind = match (routine_type, language) {
        ("SCALAR_FUNCTION", "SQL") => RoutineKind::Scalar,
        ("SCALAR_FUNCTION", "JAVASCRIPT") => RoutineKind::JavaScript,
        ("AGGREGATE_FUNCTION", "SQL") => RoutineKind::Aggregate,
        ("AGGREGATE_FUNCTION", "JAVASCRIPT") => RoutineKind::JavaScriptAggregate,
        ("TABLE_VALUED_FUNCTION", "SQL") => RoutineKind::TableFunction,
        ("PROCEDURE", "SQL") => RoutineKind::Procedure,
        ("SCALAR_FUNCTION" | "AGGREGATE_FUNCTION" | "TABLE_VALUED_FUNCTION" | "PROCEDURE", _) => {
            return Err(ApiError::not_implemented(&format!("A {routine_type} in {language}")));
        }
        (other, _) => {
            return Err(ApiError::invalid(format!("Invalid value for routineType: {other}")).at("routineType"));
        }
    };
    let invalid = |error: scrimmage_googlesql::SqlError| ApiError::from(error.locate(definition));
    match kind {
        RoutineKind::Scalar | RoutineKind::Aggregate => drop(parser::parse_expression(definition).map_err(invalid)?),
        RoutineKind::TableFunction => drop(parser::parse_query(definition).map_err(invalid)?),
        RoutineKind::Procedure => drop(parser::parse(definition).map_err(invalid)?),
        RoutineKind::JavaScript | RoutineKind::JavaScriptAggregate => {}
    }
    let mut arguments = Vec::new();
    for argument in body.get("arguments").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        arguments.push(read_argument(argument)?);
    }
    let returns = body.get("returnType").filter(|ty| ty.is_object()).map(|ty| standard_type(ty, 0)).transpose()?;
    if matches!(kind, RoutineKind::JavaScript | RoutineKind::JavaScriptAggregate) && returns.is_none() {
        return Err(ApiError::required("returnType"));
    }
    let mut fields: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
    fields.retain(|key, value| !COMPUTED.contains(&key.as_str()) && !value.is_null());
    fields.insert("language".into(), json!(language));
    if let Some(returns) = &returns {
        fields.insert("returnType".into(), data_type(returns));
    }
    let name = vec![path.project.clone(), path.dataset.clone(), path.table.clone()];
    Ok((Routine { name, arguments, kind, returns, body: definition.to_owned(), javascript: Arc::default() }, fields))
}

/// That the body of a function whose arguments have types can be resolved; others show when they are called.
fn check_body(app: &App, path: &TablePath, routine: &Routine) -> ApiResult<()> {
    if routine.kind != RoutineKind::Scalar {
        return Ok(());
    }
    let mut arguments = Vec::new();
    for argument in &routine.arguments {
        let Some(ty) = &argument.ty else { return Ok(()) };
        arguments.push(format!("`{}` {ty}", argument.name));
    }
    let returns = routine.returns.as_ref().map_or_else(String::new, |ty| format!(" RETURNS {ty}"));
    let TablePath { project, dataset, table } = path;
    let (arguments, body) = (arguments.join(", "), &routine.body);
    let sql = format!("CREATE FUNCTION `{project}`.`{dataset}`.`{table}`({arguments}){returns} AS (\n{body}\n)");
    crate::jobs::check_statement(app, &DatasetPath::of(path), &sql)
}

fn read_argument(argument: &Value) -> ApiResult<RoutineArgument> {
    let text = |key: &str| argument.get(key).and_then(Value::as_str);
    let any = text("argumentKind") == Some("ANY_TYPE");
    let ty = argument.get("dataType").filter(|ty| ty.is_object() && !any).map(|ty| standard_type(ty, 0)).transpose()?;
    let is_table = argument.get("tableType").is_some() || text("argumentKind") == Some("FIXED_TABLE");
    if ty.is_none() && !any && !is_table {
        return Err(ApiError::required("arguments.dataType"));
    }
    Ok(RoutineArgument {
        name: text("name").unwrap_or_default().to_owned(),
        ty,
        is_table,
        is_aggregate: argument.get("isAggregate").and_then(Value::as_bool).unwrap_or(true),
        direction: match text("mode") {
            Some("OUT") => ArgumentDirection::Out,
            Some("INOUT") => ArgumentDirection::InOut,
            _ => ArgumentDirection::In,
        },
    })
}

/// `StandardSqlDataType`.
fn standard_type(ty: &Value, depth: usize) -> ApiResult<Type> {
    let kind = ty.get("typeKind").and_then(Value::as_str).unwrap_or_default();
    let invalid = || ApiError::invalid(format!("Invalid value for typeKind: {kind}"));
    if depth > MAX_DEPTH {
        return Err(ApiError::invalid("A type is nested too deep"));
    }
    Ok(match kind {
        "INT64" => Type::Int64,
        "BOOL" => Type::Bool,
        "FLOAT64" => Type::Float64,
        "STRING" => Type::String,
        "BYTES" => Type::Bytes,
        "TIMESTAMP" => Type::Timestamp,
        "DATE" => Type::Date,
        "TIME" => Type::Time,
        "DATETIME" => Type::Datetime,
        "INTERVAL" => Type::Interval,
        "GEOGRAPHY" => Type::Geography,
        "NUMERIC" => Type::Numeric,
        "BIGNUMERIC" => Type::BigNumeric,
        "JSON" => Type::Json,
        "ARRAY" => Type::array(standard_type(ty.get("arrayElementType").ok_or_else(invalid)?, depth + 1)?),
        "RANGE" => Type::range(standard_type(ty.get("rangeElementType").ok_or_else(invalid)?, depth + 1)?),
        "STRUCT" => {
            let fields = ty.pointer("/structType/fields").and_then(Value::as_array).ok_or_else(invalid)?;
            let mut members = Vec::new();
            for field in fields {
                let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
                members.push((name.to_owned(), standard_type(field.get("type").ok_or_else(invalid)?, depth + 1)?));
            }
            Type::struct_of(members)
        }
        _ => return Err(invalid()),
    })
}

/// `POST …/routines/R:getIamPolicy` and its sisters.
pub async fn iam(
    State(app): State<Arc<App>>,
    Path((project, dataset, call)): Path<(String, String, String)>,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let (routine, method) = call.split_once(':').unwrap_or((&call, ""));
    let path = DatasetPath::new(&project, &dataset);
    if !app.store.lock().dataset(&path)?.routines.contains_key(routine) {
        return Err(missing(&path, routine));
    }
    super::iam::call(&app, &format!("routines/{project}.{dataset}.{routine}"), method, &body(&bytes)?)
}

pub async fn no_models(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    app.store.lock().dataset(&DatasetPath::new(&project, &dataset))?;
    Ok(Json(json!({})))
}

pub async fn no_model(
    State(app): State<Arc<App>>,
    Path((project, dataset, model)): Path<(String, String, String)>,
) -> ApiResult<Json<Value>> {
    app.store.lock().dataset(&DatasetPath::new(&project, &dataset))?;
    Err(ApiError::not_found(format!("Not found: Model {project}:{dataset}.{model}")))
}
