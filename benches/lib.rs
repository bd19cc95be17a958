//! What the benches share: a BigQuery without a socket, with staging tables in it.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use scrimmage_bigquery::BigQuery;
use scrimmage_core::{Clock, Context};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Columns of a staging table besides its key: as wide as the reference pipeline's 63.
const EXTRA_COLUMNS: usize = 58;
/// Rows that one worker stages.
const ROWS: usize = 25;

/// One BigQuery, called in process.
#[derive(Clone, Debug)]
pub struct Service {
    router: Router,
}

impl Service {
    /// An empty one with the dataset `d`.
    ///
    /// # Errors
    /// The service's refusal.
    pub async fn start() -> Result<Service, String> {
        let service = Service { router: BigQuery::new(Context::new(Clock::real())).router() };
        let body = json!({"datasetReference": {"datasetId": "d"}});
        service.call(Method::POST, "/bigquery/v2/projects/p/datasets", "application/json", body.to_string()).await?;
        Ok(service)
    }

    async fn call(&self, method: Method, path: &str, content_type: &str, body: String) -> Result<Value, String> {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        let request = request.body(Body::from(body)).map_err(|error| error.to_string())?;
        let answer = self.router.clone().oneshot(request).await.map_err(|error| error.to_string())?;
        let ok = answer.status().is_success();
        let bytes = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let body: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        if ok { Ok(body) } else { Err(body.to_string()) }
    }

    /// Runs a query to its end.
    ///
    /// # Errors
    /// The service's refusal.
    pub async fn query(&self, sql: &str) -> Result<Value, String> {
        let body = json!({"query": sql, "useLegacySql": false}).to_string();
        self.call(Method::POST, "/bigquery/v2/projects/p/queries", "application/json", body).await
    }

    /// Checks a query without running it.
    ///
    /// # Errors
    /// The service's refusal.
    pub async fn dry_run(&self, sql: &str) -> Result<Value, String> {
        let body = json!({"query": sql, "useLegacySql": false, "dryRun": true}).to_string();
        self.call(Method::POST, "/bigquery/v2/projects/p/queries", "application/json", body).await
    }

    /// Makes `main` and loads `count` staging tables of [`ROWS`] rows, one load job each.
    ///
    /// # Errors
    /// The service's refusal.
    pub async fn stage(&self, count: usize) -> Result<(), String> {
        self.query(&format!("CREATE TABLE d.main ({}) PARTITION BY game_date", declarations())).await?;
        for table in 0..count {
            self.load(table).await?;
        }
        Ok(())
    }

    /// Loads one staging table.
    ///
    /// # Errors
    /// The service's refusal, or the job's error.
    pub async fn load(&self, table: usize) -> Result<(), String> {
        let job = json!({"configuration": {"load": {
            "destinationTable": {"projectId": "p", "datasetId": "d", "tableId": staging(table)},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
            "schema": {"fields": staging_fields()},
        }}});
        let rows: Vec<String> = (0..ROWS).map(|row| row_json(table, row).to_string()).collect();
        let body = format!(
            "--b\r\nContent-Type: application/json\r\n\r\n{job}\r\n--b\r\nContent-Type: */*\r\n\r\n{}\r\n--b--",
            rows.join("\n")
        );
        let path = "/upload/bigquery/v2/projects/p/jobs?uploadType=multipart";
        let answer = self.call(Method::POST, path, "multipart/related; boundary=b", body).await?;
        match answer.pointer("/status/errorResult") {
            None => Ok(()),
            Some(error) => Err(error.to_string()),
        }
    }
}

/// The REST schema of a staging table.
pub fn staging_fields() -> Vec<Value> {
    let mut fields = vec![
        json!({"name": "game_id", "type": "STRING"}),
        json!({"name": "player", "type": "STRING"}),
        json!({"name": "system", "type": "STRING"}),
        json!({"name": "line", "type": "FLOAT"}),
        json!({"name": "game_date", "type": "DATE"}),
    ];
    fields.extend((0..EXTRA_COLUMNS).map(|column| json!({"name": format!("c{column}"), "type": kind(column).0})));
    fields
}

/// The name of a staging table.
pub fn staging(table: usize) -> String {
    format!("staging_{table:03}")
}

/// REST and SQL names of a column's type.
fn kind(column: usize) -> (&'static str, &'static str) {
    [("STRING", "STRING"), ("FLOAT", "FLOAT64"), ("INTEGER", "INT64"), ("BOOLEAN", "BOOL"), ("NUMERIC", "NUMERIC")]
        [column % 5]
}

/// The columns of `main`, as DDL has them.
pub fn declarations() -> String {
    let extra: Vec<String> = (0..EXTRA_COLUMNS).map(|column| format!("c{column} {}", kind(column).1)).collect();
    format!("game_id STRING, player STRING, system STRING, line FLOAT64, game_date DATE, {}", extra.join(", "))
}

/// A row of a staging table with a business key of its own.
pub fn row_json(table: usize, row: usize) -> Value {
    let mut made = json!({
        "game_id": format!("game_{}", table % 8),
        "player": format!("player-{table}"),
        "system": format!("system_{}", row / 5),
        "line": if row % 5 == 4 { Value::Null } else { json!(10.5 + (row % 5) as f64) },
        "game_date": "2026-01-01",
    });
    for column in 0..EXTRA_COLUMNS {
        made[format!("c{column}")] = match column % 5 {
            0 => json!(format!("text {row}")),
            1 => json!(row as f64 + 0.25),
            2 => json!(row),
            3 => json!(row.is_multiple_of(2)),
            _ => json!("1.5"),
        };
    }
    made
}

/// The consolidation of `count` staging tables: one MERGE of their UNION ALL, the newest row a key.
pub fn consolidation(count: usize) -> String {
    let union: Vec<String> = (0..count).map(|table| format!("SELECT * FROM d.{}", staging(table))).collect();
    format!(
        "MERGE d.main T USING (
           SELECT * EXCEPT (rank) FROM (
             SELECT *, ROW_NUMBER() OVER (PARTITION BY game_id, player, system, CAST(COALESCE(line, -1) AS INT64) ORDER BY c2 DESC) AS rank
             FROM ({})) WHERE rank = 1) S
         ON T.game_id = S.game_id AND T.player = S.player AND T.system = S.system
           AND COALESCE(T.line, -1) = COALESCE(S.line, -1) AND T.game_date = '2026-01-01'
         WHEN MATCHED THEN UPDATE SET c0 = S.c0, c1 = S.c1
         WHEN NOT MATCHED THEN INSERT ROW",
        union.join(" UNION ALL ")
    )
}

/// As [`consolidation`], with every column named and keys that are whole numbers before the cast: for
/// engines that cannot tell the columns by themselves or that round halves to even.
pub fn merge_statement(count: usize) -> String {
    let names: Vec<String> =
        staging_fields().iter().filter_map(|field| Some(field["name"].as_str()?.to_owned())).collect();
    let list = names.join(", ");
    let union: Vec<String> = (0..count).map(|table| format!("SELECT {list} FROM d.{}", staging(table))).collect();
    let source = |name: &String| format!("S.{name}");
    let set: Vec<String> = names.iter().skip(5).map(|name| format!("{name} = S.{name}")).collect();
    format!(
        "MERGE d.main AS T USING (
           SELECT {list} FROM (
             SELECT *, ROW_NUMBER() OVER (PARTITION BY game_id, player, system, CAST(COALESCE(line, -1) * 2 AS INT64) ORDER BY c2 DESC) AS place
             FROM ({})) WHERE place = 1) AS S
         ON T.game_id = S.game_id AND T.player = S.player AND T.system = S.system
           AND COALESCE(T.line, -1) = COALESCE(S.line, -1) AND T.game_date = '2026-01-01'
         WHEN MATCHED THEN UPDATE SET {}
         WHEN NOT MATCHED THEN INSERT ({list}) VALUES ({})",
        union.join(" UNION ALL "),
        set.join(", "),
        names.iter().map(source).collect::<Vec<_>>().join(", "),
    )
}
