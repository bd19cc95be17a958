//! The reference batch's BigQuery work: forty load jobs at once and one MERGE of forty tables.

use gcp_bigquery_client::model::dataset::Dataset;
use serde_json::{Map, Value, json};
use std::time::Instant;

use super::{Figure, stage};
use crate::SetupError;
use crate::clients::{Clients, local_http};
use crate::observe::run_statement;
use crate::stage::{Column, Services, TableSet};

const TABLES: usize = 40;
const ROWS: usize = 25;
const DATASET: &str = "figures";

pub(super) async fn figures(tables: &TableSet) -> Result<Vec<Figure>, SetupError> {
    let (stage, clients) = stage().await?;
    let created = clients.bigquery.dataset().create(Dataset::new(&clients.project, DATASET)).await;
    created.map_err(|error| failed("the dataset", error))?;
    let main = quoted(&clients, "main");
    let statement = tables.create_main(&main, &tables.main_columns, false);
    run_statement(&clients, &statement).await.map_err(|error| failed("the main table", error))?;
    let http = local_http();
    let begun = Instant::now();
    let loads = (0..TABLES).map(|table| load(&stage, &http, tables, table));
    futures::future::try_join_all(loads).await?;
    let loaded = begun.elapsed().as_secs_f64() * 1_000.0;
    let merging = Instant::now();
    run_statement(&clients, &merge(tables, &clients)).await.map_err(|error| failed("the MERGE", error))?;
    let merged = merging.elapsed().as_secs_f64() * 1_000.0;
    let total = begun.elapsed().as_secs_f64() * 1_000.0;
    let count = run_statement(&clients, &format!("SELECT COUNT(*) FROM {main} WHERE game_date = '2026-01-01'")).await;
    let count = count.map_err(|error| failed("the count", error))?;
    let rows = count.first().and_then(|row| row.first()?.clone()).unwrap_or_default();
    if rows != (TABLES * ROWS).to_string() {
        return Err(failed("the MERGE", format!("{rows} rows instead of {}", TABLES * ROWS)));
    }
    stage.stop().await;
    Ok(vec![
        Figure::new("40 load jobs of 25 rows x 63 columns", loaded, "ms", None),
        Figure::new("40-way MERGE of 1,000 rows", merged, "ms", Some(50.0)),
        Figure::new("loads and MERGE", total, "ms", Some(500.0)),
    ])
}

fn failed(what: &str, problem: impl std::fmt::Display) -> SetupError {
    SetupError::prepare(what, problem)
}

fn quoted(clients: &Clients, table: &str) -> String {
    format!("`{}.{DATASET}.{table}`", clients.project)
}

async fn load(stage: &Services, http: &reqwest::Client, tables: &TableSet, table: usize) -> Result<(), SetupError> {
    const BOUNDARY: &str = "figures";
    let what = format!("load job {table}");
    let fields: Vec<Value> = tables.staging_columns.iter().map(field).collect();
    let configuration = json!({ "configuration": { "load": {
        "destinationTable": { "projectId": stage.project(), "datasetId": DATASET, "tableId": format!("staging_{table}") },
        "schema": { "fields": fields },
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "writeDisposition": "WRITE_TRUNCATE",
    } } });
    let rows: String = (0..ROWS).map(|index| format!("{}\n", row(tables, table, index))).collect();
    let body = format!(
        "--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{configuration}\r\n--{BOUNDARY}\r\nContent-Type: */*\r\n\r\n{rows}\r\n--{BOUNDARY}--\r\n"
    );
    let url = format!("{}/upload/bigquery/v2/projects/{}/jobs?uploadType=multipart", stage.url(), stage.project());
    let request = http.post(url).header("Content-Type", format!("multipart/related; boundary={BOUNDARY}")).body(body);
    let mut job: Value = answer(request, &what).await?;
    while job["status"]["state"] != "DONE" {
        let id = job["jobReference"]["jobId"].as_str().unwrap_or_default();
        // Waits on the server, not here.
        let url = format!("{}/bigquery/v2/projects/{}/jobs/{id}", stage.url(), stage.project());
        job = answer(http.get(url), &what).await?;
    }
    match job["status"]["errorResult"]["message"].as_str() {
        Some(message) => Err(failed(&what, message)),
        None => Ok(()),
    }
}

async fn answer(request: reqwest::RequestBuilder, what: &str) -> Result<Value, SetupError> {
    let answer = request.send().await.map_err(|error| failed(what, error))?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(|error| failed(what, error))?;
    if status.is_success() { Ok(body) } else { Err(failed(what, &body["error"]["message"])) }
}

fn field(column: &Column) -> Value {
    let mut field = json!({ "name": column.name, "type": column.kind, "mode": column.mode });
    if let (Some(precision), Some(scale)) = (&column.precision, &column.scale) {
        field["precision"] = json!(precision);
        field["scale"] = json!(scale);
    }
    field
}

/// A row with a value in every column, and a key of its own.
fn row(tables: &TableSet, table: usize, index: usize) -> Value {
    let value = |column: &Column| match (column.name.as_str(), column.kind.as_str()) {
        ("game_date", _) => json!("2026-01-01"),
        ("current_points_line", _) if index % 5 == 4 => Value::Null,
        ("current_points_line", _) => json!(10.5 + (index % 5) as f64),
        ("system_id", _) => json!(format!("system_{}", index / 5)),
        ("player_lookup", _) => json!(format!("player_{table}")),
        (_, "INT64") => json!(index),
        (_, "FLOAT64") => json!(index as f64 + 0.25),
        (_, "NUMERIC") => json!("1.5"),
        (_, "BOOLEAN") => json!(index.is_multiple_of(2)),
        (_, "TIMESTAMP") => json!("2026-01-01T12:00:00Z"),
        (_, "JSON") => json!({ "index": index }),
        (name, _) => json!(format!("{name}_{table}")),
    };
    let row: Map<String, Value> =
        tables.staging_columns.iter().map(|column| (column.name.clone(), value(column))).collect();
    Value::Object(row)
}

fn merge(tables: &TableSet, clients: &Clients) -> String {
    let names: Vec<&str> = tables.staging_columns.iter().map(|column| column.name.as_str()).collect();
    let list = names.join(", ");
    let union: Vec<String> = (0..TABLES)
        .map(|table| format!("SELECT {list} FROM {}", quoted(clients, &format!("staging_{table}"))))
        .collect();
    let kept = |name: &&&str| {
        let key = tables.business_key.iter().chain(&tables.identity).any(|kept| kept == **name);
        !key && **name != tables.touched && **name != tables.partition_field
    };
    let set: Vec<String> = names.iter().filter(kept).map(|name| format!("{name} = S.{name}")).collect();
    let values: Vec<String> = names.iter().map(|name| format!("S.{name}")).collect();
    format!(
        "MERGE {main} T USING (SELECT * EXCEPT (row_rank) FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY game_id, \
         player_lookup, system_id, CAST(COALESCE(current_points_line, -1) AS INT64) ORDER BY created_at DESC) AS \
         row_rank FROM ({union})) WHERE row_rank = 1) S ON T.game_date = DATE '2026-01-01' AND T.game_id = S.game_id \
         AND T.player_lookup = S.player_lookup AND T.system_id = S.system_id AND COALESCE(T.current_points_line, -1) = \
         COALESCE(S.current_points_line, -1) WHEN MATCHED THEN UPDATE SET {set}, updated_at = CURRENT_TIMESTAMP() \
         WHEN NOT MATCHED THEN INSERT ({list}) VALUES ({values})",
        main = quoted(clients, "main"),
        union = union.join(" UNION ALL "),
        set = set.join(", "),
        values = values.join(", "),
    )
}
