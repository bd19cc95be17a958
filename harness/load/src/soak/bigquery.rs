//! BigQuery's clients: each loads a staging table of its own again and again, asks for it, and merges it
//! into a main table that it shares with a few.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{PROJECT, Seen};

const SERVICE: &str = "bigquery";
const DATASET: &str = "load";
/// Clients that share a main table: fewer than may wait for their turn with DML on one table.
const SHARING: usize = 10;
/// Load jobs into one table: fewer than production takes a day.
const LOADS_A_TABLE: usize = 1_000;
/// Rows of one load.
const ROWS: usize = 25;
const BOUNDARY: &str = "scrimmage-load";
const LONGEST: Duration = Duration::from_secs(120);

pub(super) struct Clients {
    http: Vec<reqwest::Client>,
    url: String,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Clients {
    pub(super) async fn connect(endpoint: &str, count: usize) -> Result<Clients, String> {
        let client = || reqwest::Client::builder().pool_max_idle_per_host(1).tcp_nodelay(true).timeout(LONGEST).build();
        let http = (0..count).map(|_| client()).collect::<Result<Vec<_>, _>>().map_err(text)?;
        let url = format!("http://{endpoint}/bigquery/v2/projects/{PROJECT}");
        let first = http.first().ok_or("no connection")?;
        let made = answer(
            first
                .post(format!("{url}/datasets"))
                .json(&json!({ "datasetReference": { "projectId": PROJECT, "datasetId": DATASET } })),
        );
        match made.await {
            Err(problem) if !problem.starts_with("409") => return Err(problem),
            _ => {}
        }
        for table in 0..count.div_ceil(SHARING) {
            let statement =
                format!("CREATE OR REPLACE TABLE {DATASET}.main_{table} (player STRING, line FLOAT64, n INT64)");
            query(first, &url, &statement).await?;
        }
        Ok(Clients { http, url })
    }

    pub(super) fn count(&self) -> usize {
        self.http.len()
    }

    pub(super) fn begin(&self, tasks: &mut JoinSet<Seen>, stopped: &watch::Receiver<bool>) {
        for (who, http) in self.http.iter().cloned().enumerate() {
            let (url, stopped) = (self.url.clone(), stopped.clone());
            tasks.spawn(async move {
                let mut seen = Seen::default();
                let mut round = 0;
                // At least once, however short it is.
                loop {
                    act(&http, &url, who, round, &mut seen).await;
                    round += 1;
                    if *stopped.borrow() {
                        break;
                    }
                }
                seen
            });
        }
    }
}

async fn act(http: &reqwest::Client, url: &str, who: usize, round: usize, seen: &mut Seen) {
    let staging = format!("staging_{who}_{}", round / LOADS_A_TABLE);
    let begun = Instant::now();
    let loaded = load(http, url, &staging, who, round).await;
    if seen.note(SERVICE, "load job (25 rows)", begun, loaded).is_none() {
        return;
    }
    let begun = Instant::now();
    let found = query(http, url, &format!("SELECT COUNT(*), SUM(n) FROM {DATASET}.{staging}")).await;
    let found = found.and_then(|found| {
        let rows = found["rows"][0]["f"][0]["v"].as_str().unwrap_or_default().to_owned();
        if rows == ROWS.to_string() { Ok(()) } else { Err(format!("`{rows}` rows instead of {ROWS}")) }
    });
    seen.note(SERVICE, "query", begun, found);
    if round % 5 == 4 {
        let statement = format!(
            "MERGE {DATASET}.main_{main} T USING (SELECT * FROM {DATASET}.{staging}) S ON T.player = S.player AND T.line = S.line \
             WHEN MATCHED THEN UPDATE SET n = S.n WHEN NOT MATCHED THEN INSERT (player, line, n) VALUES (player, line, n)",
            main = who / SHARING
        );
        let begun = Instant::now();
        let merged = query(http, url, &statement).await;
        seen.note(SERVICE, "MERGE", begun, merged);
    }
}

/// The answer's body, or status and message.
async fn answer(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.map_err(text)?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(text)?;
    match body["error"]["message"].as_str() {
        Some(message) => Err(format!("{status}: {message}")),
        None if status.is_success() => Ok(body),
        None => Err(status.to_string()),
    }
}

async fn query(http: &reqwest::Client, url: &str, statement: &str) -> Result<Value, String> {
    let body = json!({ "query": statement, "useLegacySql": false, "useQueryCache": false, "timeoutMs": 60_000 });
    let body = answer(http.post(format!("{url}/queries")).json(&body)).await?;
    if body["jobComplete"] == json!(true) { Ok(body) } else { Err("not complete within 60 s".to_owned()) }
}

async fn load(http: &reqwest::Client, url: &str, table: &str, who: usize, round: usize) -> Result<(), String> {
    let configuration = json!({ "configuration": { "load": {
        "destinationTable": { "projectId": PROJECT, "datasetId": DATASET, "tableId": table },
        "schema": { "fields": [
            { "name": "player", "type": "STRING" }, { "name": "line", "type": "FLOAT64" }, { "name": "n", "type": "INT64" },
        ] },
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "writeDisposition": "WRITE_TRUNCATE",
    } } });
    let rows: String = (0..ROWS)
        .map(|row| format!("{}\n", json!({ "player": format!("player-{who}"), "line": row as f64 + 0.5, "n": round })))
        .collect();
    let body = format!(
        "--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{configuration}\r\n--{BOUNDARY}\r\nContent-Type: */*\r\n\r\n{rows}\r\n--{BOUNDARY}--\r\n"
    );
    let upload = url.replacen("/bigquery/", "/upload/bigquery/", 1);
    let request = http
        .post(format!("{upload}/jobs?uploadType=multipart"))
        .header("Content-Type", format!("multipart/related; boundary={BOUNDARY}"))
        .body(body);
    let mut job = answer(request).await?;
    while job["status"]["state"] != "DONE" {
        // Waits on the server, not here.
        let id = job["jobReference"]["jobId"].as_str().unwrap_or_default();
        job = answer(http.get(format!("{url}/jobs/{id}"))).await?;
    }
    match job["status"]["errorResult"]["message"].as_str() {
        Some(message) => Err(message.to_owned()),
        None => Ok(()),
    }
}
