//! A BigQuery without a socket, with staging tables in it.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use scrimmage_benches::{ROWS, declarations, row_json, staging, staging_fields};
use scrimmage_bigquery::BigQuery;
use scrimmage_core::{Clock, Context};
use serde_json::{Value, json};
use tower::ServiceExt as _;

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
