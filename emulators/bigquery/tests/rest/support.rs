//! A server on a free port, and a client that says what it expects.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use scrimmage_bigquery::catalog::{NameScope, Snapshot};
use scrimmage_bigquery::engine::EngineError;
use scrimmage_bigquery::jobs::gate::Turn;
use scrimmage_bigquery::service::{App, router};
use scrimmage_core::{Clock, Context, Timestamp};
use scrimmage_googlesql::catalog::{DmlStats, Outcome, Parameters, TableChange, TablePath};
use scrimmage_googlesql::exec::{ExecContext, execute};
use scrimmage_googlesql::functions::EvalContext;
use scrimmage_googlesql::plan::AnalyzerContext;
use scrimmage_googlesql::{analyzer, parser};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z, where every test begins.
pub const START: i64 = 1_767_225_600_000_000;
pub const PROJECT: &str = "scrimmage";

/// A server of its own; it ends with the test's runtime.
pub struct Server {
    pub app: Arc<App>,
    pub clock: Clock,
    pub base: String,
    http: reqwest::Client,
}

/// What came back: the status and the body, `null` where there is none.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Server {
    pub async fn start() -> Server {
        Server::on(Context::new(Clock::virtual_at(Timestamp::from_micros(START)))).await
    }

    /// A server with the dataset `d` and a folder that stands for Cloud Storage.
    pub async fn with_folder(folder: &std::path::Path) -> Server {
        let context = Context::new(Clock::virtual_at(Timestamp::from_micros(START))).with_gcs_folder(folder);
        let server = Server::on(context).await;
        server.post("/projects/scrimmage/datasets", json!({"datasetReference": {"datasetId": "d"}})).await.ok();
        server
    }

    async fn on(context: Context) -> Server {
        let clock = context.clock.clone();
        let app = Arc::new(App::new(context));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let router = router(app.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Server { app, clock, base, http: reqwest::Client::new() }
    }

    /// A server with the dataset `d`.
    pub async fn with_dataset() -> Server {
        let server = Server::start().await;
        server.post("/projects/scrimmage/datasets", json!({"datasetReference": {"datasetId": "d"}})).await.ok();
        server
    }

    /// A server with the dataset `d` in which these statements have run.
    pub async fn with(statements: &[&str]) -> Server {
        let server = Server::with_dataset().await;
        for sql in statements {
            server.run(sql).await;
        }
        server
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else if path.starts_with("/upload") || path.starts_with("/bigquery") {
            format!("{}{path}", self.base)
        } else {
            format!("{}/bigquery/v2{path}", self.base)
        };
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("a whole answer");
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"))
        };
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.raw("GET", path, &[], Vec::new()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.raw("DELETE", path, &[], Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.raw("POST", path, &[("content-type", "application/json")], body.to_string().into_bytes()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.raw("PATCH", path, &[("content-type", "application/json")], body.to_string().into_bytes()).await
    }

    /// jobs.query.
    pub async fn query(&self, sql: &str) -> Answer {
        self.post("/projects/scrimmage/queries", json!({"query": sql, "useLegacySql": false})).await
    }

    /// A statement that has to succeed.
    pub async fn run(&self, sql: &str) -> Value {
        let answer = self.query(sql).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        answer.body
    }

    /// A query's rows as texts; NULL is `NULL`.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        rows_of(&self.run(sql).await)
    }

    /// The one value of a query.
    pub async fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        assert!(matches!(rows.as_slice(), [row] if row.len() == 1), "{sql}: one value, not {rows:?}");
        rows[0][0].clone()
    }

    /// A statement that has to fail: status, reason and message.
    pub async fn refused(&self, sql: &str) -> (u16, String, String) {
        self.query(sql).await.error()
    }

    /// jobs.insert of a query, waited for; the job's resource.
    pub async fn job(&self, configuration: Value) -> Value {
        let job = self.post("/projects/scrimmage/jobs", json!({ "configuration": configuration })).await.ok();
        self.done(job).await
    }

    /// Waits for a job by jobs.getQueryResults' blocking sister: polling jobs.get until it is done.
    pub async fn done(&self, mut job: Value) -> Value {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while job["status"]["state"] != "DONE" {
            assert!(std::time::Instant::now() < deadline, "the job ends: {job}");
            tokio::task::yield_now().await;
            let id = job["jobReference"]["jobId"].as_str().expect("an id").to_owned();
            job = self.get(&format!("/projects/scrimmage/jobs/{id}")).await.ok();
        }
        job
    }

    /// A load of NDJSON by multipart upload, as the stock Python client sends it.
    pub async fn load(&self, table: &str, schema: Value, rows: &str, more: Value) -> Value {
        let mut load = json!({
            "destinationTable": {"projectId": PROJECT, "datasetId": "d", "tableId": table},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
        });
        if !schema.is_null() {
            load["schema"] = json!({ "fields": schema });
        }
        for (key, value) in more.as_object().into_iter().flatten() {
            load[key] = value.clone();
        }
        let answer = self.multipart(&json!({"configuration": {"load": load}}), rows.as_bytes()).await;
        self.done(answer.ok()).await
    }

    pub async fn multipart(&self, resource: &Value, media: &[u8]) -> Answer {
        let mut body = format!(
            "--===7330845974216740156==\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{resource}\r\n--===7330845974216740156==\r\ncontent-type: */*\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(media);
        body.extend_from_slice(b"\r\n--===7330845974216740156==--");
        self.raw(
            "POST",
            "/upload/bigquery/v2/projects/scrimmage/jobs?uploadType=multipart",
            &[("content-type", "multipart/related; boundary=\"===7330845974216740156==\"")],
            body,
        )
        .await
    }

    /// `tabledata.insertAll` of rows with their insert ids.
    pub async fn insert_all(&self, table: &str, rows: &[(&str, Value)]) -> Value {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(id, row)| if id.is_empty() { json!({"json": row}) } else { json!({"insertId": id, "json": row}) })
            .collect();
        self.post(&format!("/projects/scrimmage/datasets/d/tables/{table}/insertAll"), json!({ "rows": rows }))
            .await
            .ok()
    }

    /// Takes one of the two places that the DML queue of a table of `d` has, until it is dropped.
    pub fn hold_dml(&self, table: &str) -> Turn {
        let cancel = AtomicBool::new(false);
        self.app.dml_gate.enter(&self.app.store, &path(table), &cancel).expect("there is room").1
    }

    /// Returns once so many statements wait for a table of `d`.
    pub async fn dml_waiting(&self, table: &str, count: usize) {
        self.until(|| self.app.store.lock().dml.outstanding(&path(table)).1 == count).await;
    }

    /// Waits for what others bring about.
    pub async fn until(&self, came: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !came() {
            assert!(std::time::Instant::now() < deadline, "it has not come within a minute");
            tokio::task::yield_now().await;
        }
    }

    /// Computes a DML statement's change as of now without applying it.
    pub fn begin_dml(&self, sql: &str) -> Pending<'_> {
        let scope = NameScope { project: PROJECT.into(), dataset: None };
        let snapshot = Snapshot::take(&self.app.store, scope, self.clock.now());
        let eval = EvalContext {
            now: snapshot.now.as_micros(),
            time_zone: "UTC".into(),
            draws: scrimmage_googlesql::functions::Draws::default(),
            session_user: "somebody@example.com".into(),
            project: PROJECT.into(),
        };
        let (parameters, variables) = (Parameters::default(), HashMap::new());
        let context = AnalyzerContext {
            catalog: &snapshot,
            parameters: &parameters,
            variables: &variables,
            eval: &eval,
            cancel: None,
        };
        let statement = parser::parse_statement(sql).expect("it parses");
        let plan = analyzer::analyze(&statement, &context).expect("it resolves");
        match execute(&plan, &ExecContext::new(eval.clone())) {
            Ok(Outcome::Dml(change)) => Pending { server: self, change, base: snapshot.seq },
            Ok(_) => panic!("{sql} changes no rows"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// The resource of a table of `d`.
    pub async fn table(&self, table: &str) -> Value {
        self.get(&format!("/projects/scrimmage/datasets/d/tables/{table}")).await.ok()
    }
}

fn path(table: &str) -> TablePath {
    TablePath { project: PROJECT.into(), dataset: "d".into(), table: table.into() }
}

/// A change that was computed on a snapshot and waits to be applied.
pub struct Pending<'a> {
    server: &'a Server,
    change: TableChange,
    base: u64,
}

impl Pending<'_> {
    pub fn change(&self) -> &TableChange {
        &self.change
    }

    pub fn commit(self) -> Result<DmlStats, EngineError> {
        self.server.app.store.lock().apply(self.server.clock.now(), &self.change, self.base)
    }
}

impl Answer {
    /// The body of a call that succeeded.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status < 300, "{}: {}", self.status, self.body);
        self.body
    }

    /// Status, reason and message of a refused call, whose body has to have Google's shape.
    #[track_caller]
    pub fn error(self) -> (u16, String, String) {
        let error = &self.body["error"];
        let message = error["message"].as_str().unwrap_or_else(|| panic!("no error: {} {}", self.status, self.body));
        assert_eq!(error["code"], self.status, "{}", self.body);
        assert_eq!(error["errors"][0]["message"], message);
        assert_eq!(error["errors"][0]["domain"], "global");
        assert!(error["status"].as_str().is_some_and(|status| !status.is_empty()));
        let reason = error["errors"][0]["reason"].as_str().expect("a reason");
        (self.status, reason.to_owned(), message.to_owned())
    }
}

/// Rows of any answer that has them, as texts; arrays as JSON.
pub fn rows_of(body: &Value) -> Vec<Vec<String>> {
    let cell = |cell: &Value| match &cell["v"] {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows = body["rows"].as_array().map_or(&[][..], Vec::as_slice);
    rows.iter().map(|row| row["f"].as_array().expect("cells").iter().map(cell).collect()).collect()
}

/// Counts of inserted, updated and deleted rows.
pub fn counts(body: &Value) -> (u64, u64, u64) {
    let count = |key: &str| body["dmlStats"][key].as_str().and_then(|text| text.parse().ok()).expect("a count");
    (count("insertedRowCount"), count("updatedRowCount"), count("deletedRowCount"))
}
