//! tables.*.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{Mode, Schema, TablePath};
use serde_json::{Map, Value, json};

use super::datasets::merge;
use super::error::{ApiError, ApiResult};
use super::schema::{self, Modes};
use super::{App, Caller, Params, body, etag, page, partitions_summary};
use crate::engine::EngineError;
use crate::engine::dataset::{TableEntry, TableKind};
use crate::engine::partition::{Partitioning, TimeUnit};
use crate::engine::store::{DatasetPath, NewTable};
use crate::engine::table::Shape;
use crate::jobs::ddl::{check_layout, table_reference};
use crate::jobs::external;
use crate::jobs::gcs::Objects;
use crate::texts;

/// Fields that the service makes or keeps elsewhere; the rest of a body is the table's metadata.
const COMPUTED: [&str; 23] = [
    "externalDataConfiguration",
    "kind",
    "etag",
    "id",
    "selfLink",
    "tableReference",
    "schema",
    "creationTime",
    "lastModifiedTime",
    "expirationTime",
    "numRows",
    "numBytes",
    "numLongTermBytes",
    "type",
    "timePartitioning",
    "rangePartitioning",
    "clustering",
    "requirePartitionFilter",
    "view",
    "location",
    "streamingBuffer",
    "materializedView",
    "partitionDefinition",
];

/// A table reference of a job's configuration, and the partition that its id names.
pub fn reference(table: &Value) -> ApiResult<(TablePath, Option<String>)> {
    let text = |key: &str| {
        table
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| ApiError::required(&format!("tableReference.{key}")))
    };
    let id = text("tableId")?;
    let (id, partition) = match id.split_once('$') {
        Some((id, partition)) => (id, Some(partition.to_owned())),
        None => (id, None),
    };
    Ok((
        TablePath { project: text("projectId")?.into(), dataset: text("datasetId")?.into(), table: id.into() },
        partition,
    ))
}

fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

/// `timePartitioning` or `rangePartitioning` of a table or a job's configuration.
pub fn partitioning(from: &Value) -> ApiResult<Option<Partitioning>> {
    if let Some(time) = from.get("timePartitioning").filter(|time| time.is_object()) {
        if from.get("rangePartitioning").is_some_and(Value::is_object) {
            return Err(ApiError::invalid("Only one of timePartitioning and rangePartitioning may be set"));
        }
        let unit = time.get("type").and_then(Value::as_str).unwrap_or("DAY");
        let unit = TimeUnit::from_name(unit)
            .ok_or_else(|| ApiError::invalid(format!("Invalid value for timePartitioning.type: {unit}")))?;
        let column = time.get("field").and_then(Value::as_str).map(str::to_owned);
        return Ok(Some(Partitioning::Time { column, unit, expiration_ms: number(time.get("expirationMs")) }));
    }
    let Some(range) = from.get("rangePartitioning").filter(|range| range.is_object()) else { return Ok(None) };
    let column =
        range.get("field").and_then(Value::as_str).ok_or_else(|| ApiError::required("rangePartitioning.field"))?;
    let bound = |key: &str| {
        number(range.pointer(&format!("/range/{key}")))
            .ok_or_else(|| ApiError::required(&format!("rangePartitioning.range.{key}")))
    };
    let (start, end, interval) = (bound("start")?, bound("end")?, bound("interval")?);
    if interval <= 0 || end <= start {
        return Err(ApiError::invalid(
            "Invalid rangePartitioning: end must be after start and interval must be positive",
        ));
    }
    Ok(Some(Partitioning::Range { column: column.to_owned(), start, end, interval }))
}

pub fn clustering(from: &Value) -> ApiResult<Vec<String>> {
    let fields = from.pointer("/clustering/fields").and_then(Value::as_array);
    Ok(fields.map_or_else(Vec::new, |fields| fields.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
}

pub fn requires_filter(from: &Value) -> bool {
    let flag = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
    flag(from.get("requirePartitionFilter")) || flag(from.pointer("/timePartitioning/requirePartitionFilter"))
}

fn tag(entry: &TableEntry) -> String {
    let version = entry.current();
    etag(&format!("{}.{}@{}#{}", version.path.dataset, version.path.table, entry.modified.as_micros(), version.seq))
}

/// The full REST resource.
pub fn resource(base: &str, entry: &TableEntry, now: Timestamp) -> Value {
    let version = entry.current();
    let path = &version.path;
    let bytes = version.logical_bytes().to_string();
    let mut resource = json!({
        "kind": "bigquery#table",
        "etag": tag(entry),
        "id": format!("{}:{}.{}", path.project, path.dataset, path.table),
        "selfLink": format!("{base}/bigquery/v2/projects/{}/datasets/{}/tables/{}", path.project, path.dataset, path.table),
        "tableReference": table_reference(path),
        "schema": schema::to_json(&version.shape.schema, Modes::OmitNullable),
        "numBytes": bytes,
        "numLongTermBytes": "0",
        "numRows": version.rows.to_string(),
        "creationTime": entry.created.as_millis().to_string(),
        "lastModifiedTime": entry.modified.as_millis().to_string(),
        "type": entry.kind.name(),
        "location": texts::LOCATION,
        "numTotalLogicalBytes": bytes,
        "numActiveLogicalBytes": bytes,
        "numLongTermLogicalBytes": "0",
    });
    describe_layout(&mut resource, entry);
    if let Some((rows, bytes, oldest)) = version.streaming_buffer(now) {
        resource["streamingBuffer"] = json!({
            "estimatedRows": rows.to_string(),
            "estimatedBytes": bytes.to_string(),
            "oldestEntryTime": oldest.as_millis().to_string(),
        });
    }
    for (key, value) in &entry.metadata {
        resource[key] = value.clone();
    }
    resource
}

/// Kind, partitioning, clustering, expiration: what lists show too.
fn describe_layout(resource: &mut Value, entry: &TableEntry) {
    let shape = &entry.current().shape;
    match &shape.partitioning {
        Some(Partitioning::Time { column, unit, expiration_ms }) => {
            let mut time = json!({"type": unit.name()});
            if let Some(column) = column {
                time["field"] = json!(column);
            }
            if let Some(ms) = expiration_ms {
                time["expirationMs"] = json!(ms.to_string());
            }
            if shape.require_partition_filter {
                time["requirePartitionFilter"] = json!(true);
            }
            resource["timePartitioning"] = time;
        }
        Some(Partitioning::Range { column, start, end, interval }) => {
            resource["rangePartitioning"] = json!({"field": column, "range": {"start": start.to_string(), "end": end.to_string(), "interval": interval.to_string()}});
        }
        None => {}
    }
    if let (Some(column), TableKind::Table | TableKind::Clone { .. }) =
        (shape.partitioning.as_ref().and_then(Partitioning::column), &entry.kind)
    {
        resource["partitionDefinition"] = json!({"partitionedColumn": [{"field": column}]});
    }
    if shape.require_partition_filter {
        resource["requirePartitionFilter"] = json!(true);
    }
    if !shape.clustering.is_empty() {
        resource["clustering"] = json!({"fields": shape.clustering});
    }
    if let Some(expires) = entry.expires {
        resource["expirationTime"] = json!(expires.as_millis().to_string());
    }
    match &entry.kind {
        TableKind::View { sql, .. } => resource["view"] = json!({"query": sql, "useLegacySql": false}),
        TableKind::MaterializedView { sql, .. } => resource["materializedView"] = json!({"query": sql}),
        TableKind::Snapshot { of, at } => {
            resource["snapshotDefinition"] =
                json!({"baseTableReference": table_reference(of), "snapshotTime": at.to_string()});
        }
        TableKind::Clone { of, at } => {
            resource["cloneDefinition"] =
                json!({"baseTableReference": table_reference(of), "cloneTime": at.to_string()})
        }
        TableKind::External { configuration } => {
            resource["externalDataConfiguration"] = serde_json::from_str(configuration).unwrap_or_default();
        }
        TableKind::Table => {}
    }
}

pub(super) fn gone(error: EngineError) -> ApiError {
    match error {
        EngineError::TableNotFound(path) => ApiError::not_found(texts::table_gone(&path)),
        EngineError::DatasetNotFound { project, dataset } => {
            ApiError::not_found(texts::dataset_gone(&project, &dataset))
        }
        other => other.into(),
    }
}

fn table_path(project: String, dataset: String, table: &str) -> TablePath {
    // A decorator (`T$20260101`, `T@1`) names the same table here.
    let table = table.split(['$', '@']).next().unwrap_or(table).to_owned();
    TablePath { project, dataset, table }
}

fn settings(body: &Value) -> Map<String, Value> {
    let fields = body.as_object().into_iter().flatten();
    fields
        .filter(|(key, _)| !COMPUTED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn expiration(body: &Value) -> Option<Timestamp> {
    number(body.get("expirationTime")).map(|ms| Timestamp::EPOCH + Duration::from_millis(ms.max(0) as u64))
}

pub async fn insert(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let body = body(&bytes)?;
    let id = body
        .pointer("/tableReference/tableId")
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::required("tableReference.tableId"))?;
    if id.is_empty() || id.chars().count() > 1024 || id.contains(['$', '@', '.', '/', '*', ':', '`']) {
        return Err(ApiError::invalid(texts::invalid_table_id(id)));
    }
    let path = TablePath { project, dataset, table: id.to_owned() };
    if body.get("snapshotDefinition").is_some_and(Value::is_object) {
        return Err(ApiError::not_implemented("A snapshot made by tables.insert"));
    }
    super::checks::labels(&body)?;
    let now = app.ctx.clock.now();
    let mut metadata = settings(&body);
    metadata.retain(|_, value| !value.is_null());
    if let Some(configuration) = body.get("externalDataConfiguration").filter(|own| own.is_object()) {
        metadata.shift_remove("externalDataConfiguration");
        let schema = body.get("schema").filter(|schema| schema.get("fields").is_some());
        let schema = schema.map(schema::from_json).transpose()?;
        let schema = external::columns(configuration, schema, Objects::of(&app.ctx))?;
        let new = NewTable { expires: expiration(&body), ..external::made(schema, configuration, metadata) };
        let mut store = app.store.lock();
        store.create_table(now, &path, new, Vec::new(), false).map_err(gone)?;
        return Ok(Json(resource(&caller.base, store.table(&path)?, now)));
    }
    let view = |key: &str| body.get(key).and_then(|view| view.get("query")).and_then(Value::as_str).map(str::to_owned);
    let (kind, schema) = match (view("view"), view("materializedView")) {
        (Some(sql), _) => {
            let schema = crate::jobs::view_schema(&app, &path, &sql)?;
            (TableKind::View { sql, renames: false }, schema)
        }
        (None, Some(sql)) => {
            let schema = crate::jobs::view_schema(&app, &path, &sql)?;
            (TableKind::MaterializedView { sql, renames: false }, schema)
        }
        (None, None) => (TableKind::Table, schema::from_json(body.get("schema").unwrap_or(&Value::Null))?),
    };
    let partitioning = partitioning(&body)?;
    let clustering = clustering(&body)?;
    check_layout(&schema, partitioning.as_ref(), &clustering).map_err(|error| ApiError::invalid(error.message))?;
    let shape = Shape::new(schema, partitioning, clustering, requires_filter(&body));
    let new = NewTable { shape, kind, expires: expiration(&body), metadata };
    let mut store = app.store.lock();
    store.create_table(now, &path, new, Vec::new(), false).map_err(gone)?;
    Ok(Json(resource(&caller.base, store.table(&path)?, now)))
}

pub async fn get(
    State(app): State<Arc<App>>,
    Path((project, dataset, table)): Path<(String, String, String)>,
    params: Params,
    caller: Caller,
) -> ApiResult<Response> {
    let path = table_path(project, dataset, &table);
    let now = app.ctx.clock.now();
    let store = app.store.lock();
    let entry = store.table(&path).map_err(gone)?;
    let mut resource = resource(&caller.base, entry, now);
    if let Some((_, partitions_summary::DECORATOR)) = table.split_once('$') {
        let summary = partitions_summary::version(entry)?;
        resource = json!({
            "kind": "bigquery#table",
            "etag": tag(entry),
            "id": format!("{}:{}.{table}", path.project, path.dataset),
            "selfLink": format!("{}${}", resource["selfLink"].as_str().unwrap_or_default(), partitions_summary::DECORATOR),
            "tableReference": {"projectId": path.project, "datasetId": path.dataset, "tableId": table},
            "schema": schema::to_json(&summary.shape.schema, Modes::OmitNullable),
            "numRows": summary.rows.to_string(),
            "type": "TABLE",
            "location": texts::LOCATION,
        });
    }
    if let Some(fields) = resource.as_object_mut() {
        match params.text("view") {
            None | Some("" | "FULL" | "STORAGE_STATS" | "TABLE_METADATA_VIEW_UNSPECIFIED") => {}
            Some("BASIC") => fields
                .retain(|key, _| !(key.starts_with("num") || key == "lastModifiedTime" || key == "streamingBuffer")),
            Some(other) => return Err(ApiError::invalid(format!("Invalid value for view: {other}")).at("view")),
        }
    }
    if let Some(wanted) = params.text("selectedFields").filter(|wanted| !wanted.is_empty()) {
        let shape = &entry.current().shape;
        let schema = schema::selected(&shape.schema, wanted);
        resource["schema"] = schema::to_json(&schema, Modes::OmitNullable);
    }
    Ok(caller.answer(resource))
}

/// `POST …/tables/T:getIamPolicy` and its sisters.
pub async fn iam(
    State(app): State<Arc<App>>,
    Path((project, dataset, call)): Path<(String, String, String)>,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    let (table, method) = call.split_once(':').unwrap_or((&call, ""));
    let path = table_path(project, dataset, table);
    app.store.lock().table(&path).map_err(gone)?;
    let name = format!("tables/{}.{}.{}", path.project, path.dataset, path.table);
    super::iam::call(&app, &name, method, &body(&bytes)?)
}

pub async fn delete(
    State(app): State<Arc<App>>,
    Path((project, dataset, table)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    let now = app.ctx.clock.now();
    let decorated = table.split_once('$').map(|(_, partition)| partition.to_owned());
    let path = table_path(project, dataset, &table);
    let mut store = app.store.lock();
    match decorated {
        None => store.drop_table(now, &path).map_err(gone)?,
        Some(partition) => {
            let shape = store.table(&path).map_err(gone)?.current().shape.clone();
            let id = shape.partitioning.as_ref().and_then(|partitioning| partitioning.parse(&partition));
            let id = id.ok_or_else(|| ApiError::invalid(format!("Invalid partition decorator ${partition}")))?;
            store.write(now, &path, None, Vec::new(), crate::engine::store::WriteMode::Truncate, Some(id))?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

pub async fn patch(
    app: State<Arc<App>>,
    path: Path<(String, String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    change(app, path, caller, &bytes, false)
}

pub async fn update(
    app: State<Arc<App>>,
    path: Path<(String, String, String)>,
    caller: Caller,
    bytes: Bytes,
) -> ApiResult<Json<Value>> {
    change(app, path, caller, &bytes, true)
}

fn change(
    State(app): State<Arc<App>>,
    Path((project, dataset, table)): Path<(String, String, String)>,
    caller: Caller,
    bytes: &[u8],
    whole: bool,
) -> ApiResult<Json<Value>> {
    let body = body(bytes)?;
    super::checks::labels(&body)?;
    let path = table_path(project, dataset, &table);
    let now = app.ctx.clock.now();
    let text = |key: &str| body.get(key).and_then(|view| view.get("query")).and_then(Value::as_str);
    let query = text("view").or_else(|| text("materializedView"));
    let viewed = query.map(|sql| crate::jobs::view_schema(&app, &path, sql)).transpose()?;
    let mut store = app.store.lock();
    let entry = store.table(&path).map_err(gone)?;
    caller.check_match(&tag(entry))?;
    if query.is_some() && !matches!(entry.kind, TableKind::View { .. } | TableKind::MaterializedView { .. }) {
        let text = format!("Cannot give a query to a table of type {}.", entry.kind.name());
        return Err(ApiError::invalid(text));
    }
    let mut shape = (*entry.current().shape).clone();
    let whole_schema = body.get("schema").filter(|schema| schema.get("fields").is_some());
    if let Some(wanted) = whole_schema.filter(|_| viewed.is_none()) {
        let wanted = schema::from_json(wanted)?;
        check_evolution(&shape.schema, &wanted, &path)?;
        shape = shape.with_schema(wanted);
    }
    if let Some(schema) = viewed {
        shape = shape.with_schema(schema);
    }
    if let Some(wanted) = partitioning(&body)? {
        match (&mut shape.partitioning, wanted) {
            (Some(Partitioning::Time { expiration_ms, .. }), Partitioning::Time { expiration_ms: wanted, .. }) => {
                *expiration_ms = wanted
            }
            (None, _) => return Err(ApiError::invalid("Cannot convert non partitioned table to partitioned table.")),
            _ => {}
        }
    }
    if body.get("clustering").is_some() {
        shape.clustering = clustering(&body)?;
    }
    if body.get("requirePartitionFilter").is_some() {
        shape.require_partition_filter = requires_filter(&body);
    }
    check_layout(&shape.schema, shape.partitioning.as_ref(), &shape.clustering)
        .map_err(|error| ApiError::invalid(error.message))?;
    if shape != *entry.current().shape {
        store.alter(now, &path, shape)?;
    }
    let entry = store.table_mut(&path)?;
    if whole {
        entry.metadata.clear();
    }
    merge(&mut entry.metadata, settings(&body));
    if body.get("expirationTime").is_some() || whole {
        entry.expires = expiration(&body);
    }
    for (key, materialized) in [("view", false), ("materializedView", true)] {
        if let Some(sql) = body.get(key).and_then(|view| view.get("query")).and_then(Value::as_str) {
            let sql = sql.to_owned();
            entry.kind = match materialized {
                true => TableKind::MaterializedView { sql, renames: false },
                false => TableKind::View { sql, renames: false },
            };
        }
    }
    entry.modified = now;
    Ok(Json(resource(&caller.base, entry, now)))
}

/// A schema may grow at its end and be relaxed; everything else is refused as the service does.
fn check_evolution(from: &Schema, to: &Schema, path: &TablePath) -> ApiResult<()> {
    let refuse = |why: String| {
        Err(ApiError::invalid(format!(
            "Provided Schema does not match Table {}:{}.{}. {why}",
            path.project, path.dataset, path.table
        )))
    };
    for column in &from.columns {
        match to.position(&column.name).map(|at| &to.columns[at]) {
            None => return refuse(format!("Field {} is missing in new schema", column.name)),
            Some(new)
                if !new.ty.equivalent(&column.ty)
                    && !matches!(
                        column.ty,
                        scrimmage_googlesql::Type::Struct(_) | scrimmage_googlesql::Type::Array(_)
                    ) =>
            {
                return refuse(format!(
                    "Field {} has changed type from {} to {}",
                    column.name,
                    schema::type_name(&column.ty),
                    schema::type_name(&new.ty)
                ));
            }
            Some(new) if column.mode == Mode::Nullable && new.mode == Mode::Required => {
                return refuse(format!("Field {} has changed mode from NULLABLE to REQUIRED", column.name));
            }
            Some(_) => {}
        }
    }
    match to.columns.iter().find(|column| column.mode == Mode::Required && from.position(&column.name).is_none()) {
        Some(column) => refuse(format!("Cannot add required fields to an existing schema. (field: {})", column.name)),
        None => Ok(()),
    }
}

pub async fn list(
    State(app): State<Arc<App>>,
    Path((project, dataset)): Path<(String, String)>,
    params: Params,
) -> ApiResult<Json<Value>> {
    let path = DatasetPath::new(&project, &dataset);
    let store = app.store.lock();
    let tables = &store.dataset(&path).map_err(gone)?.tables;
    let total = tables.len();
    let after = params.text("pageToken").filter(|token| !token.is_empty()).map(super::read_name_token).transpose()?;
    let count = params.number("maxResults")?.unwrap_or(1_000).min(1_000);
    let mut rest = tables
        .range::<String, _>((after.as_ref().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
        .map(|(_, entry)| entry)
        .peekable();
    let items: Vec<Value> = rest
        .by_ref()
        .take(count)
        .map(|entry| {
            let own = &entry.current().path;
            let mut item = json!({
                "kind": "bigquery#table",
                "id": format!("{}:{}.{}", own.project, own.dataset, own.table),
                "tableReference": table_reference(own),
                "type": entry.kind.name(),
                "creationTime": entry.created.as_millis().to_string(),
            });
            describe_layout(&mut item, entry);
            if let Some(view) = item.get_mut("view").and_then(Value::as_object_mut) {
                view.shift_remove("query");
            }
            for key in ["labels", "friendlyName"] {
                if let Some(value) = entry.metadata.get(key) {
                    item[key] = value.clone();
                }
            }
            item
        })
        .collect();
    let mut list =
        json!({"kind": "bigquery#tableList", "etag": etag(&format!("{dataset}{}", store.seq())), "totalItems": total});
    let last = items.last().and_then(|item| item["tableReference"]["tableId"].as_str()).map(str::to_owned);
    if !items.is_empty() {
        list["tables"] = Value::Array(items);
    }
    if let (Some(_), Some(last)) = (rest.peek(), last) {
        list["nextPageToken"] = json!(super::write_name_token(&last));
    }
    Ok(Json(list))
}

/// Cuts any list into pages; shared with the smaller lists.
pub fn list_page(
    kind: &str,
    key: &str,
    items: Vec<Value>,
    params: &Params,
    count: Option<usize>,
) -> ApiResult<Json<Value>> {
    let (items, next) = page(items, count, params.text("pageToken"), 1_000)?;
    let mut list = json!({"kind": kind, "etag": etag(&format!("{kind}{}", items.len()))});
    if !items.is_empty() {
        list[key] = Value::Array(items);
    }
    if let Some(next) = next {
        list["nextPageToken"] = json!(next);
    }
    Ok(Json(list))
}
