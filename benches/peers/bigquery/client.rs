//! BigQuery's REST API as the stock clients call it, without their work.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::Result;

const PROJECT: &str = "peers";
/// One dataset is enough.
const DATASET: &str = "d";
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    root: String,
}

impl Client {
    pub fn new(address: &str) -> Client {
        Client { http: reqwest::Client::new(), root: format!("http://{address}") }
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value> {
        let answer = request.send().await.map_err(|error| with_causes(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| with_causes(&error))?;
        let body: Value =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::Null) };
        if status.is_success() {
            return Ok(body);
        }
        let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or(&text);
        Err(format!("{status}: {}", message.chars().take(200).collect::<String>()))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/bigquery/v2/projects/{PROJECT}{path}", self.root))
    }

    /// Asks until it is answered at all, then runs a query.
    pub async fn until_it_answers(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.call(self.request(Method::GET, "/datasets")).await {
                Ok(_) => return self.query("SELECT 1").await.map(drop),
                Err(reason) if Instant::now() > deadline => return Err(reason),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    pub async fn dataset(&self) -> Result<()> {
        let body = json!({"datasetReference": {"projectId": PROJECT, "datasetId": DATASET}});
        self.call(self.request(Method::POST, "/datasets").json(&body)).await.map(drop)
    }

    /// Runs a statement to its end, never from a cache; its answer.
    pub async fn query(&self, sql: &str) -> Result<Value> {
        let body = json!({
            "query": sql,
            "useLegacySql": false,
            "useQueryCache": false,
            "timeoutMs": 200_000,
        });
        let answer = self.call(self.request(Method::POST, "/queries").json(&body)).await?;
        match answer.get("jobComplete") {
            Some(Value::Bool(false)) => Err("the answer came before the job's end".to_owned()),
            _ => Ok(answer),
        }
    }

    /// The first column of the first row of a query's answer.
    pub async fn scalar(&self, sql: &str) -> Result<String> {
        let answer = self.query(sql).await?;
        let value = answer.pointer("/rows/0/f/0/v").and_then(Value::as_str).map(str::to_owned);
        value.ok_or_else(|| format!("no value in {answer}"))
    }

    /// A load job of newline-delimited JSON, to its end.
    pub async fn load(&self, table: &str, fields: &Value, rows: &str) -> Result<()> {
        const BOUNDARY: &str = "peers";
        let job = json!({"configuration": {"load": {
            "destinationTable": {"projectId": PROJECT, "datasetId": DATASET, "tableId": table},
            "schema": {"fields": fields},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
            "writeDisposition": "WRITE_TRUNCATE",
        }}});
        let body = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{job}\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\r\n{rows}\r\n--{BOUNDARY}--\r\n"
        );
        let url = format!("{}/upload/bigquery/v2/projects/{PROJECT}/jobs?uploadType=multipart", self.root);
        let request =
            self.http.post(url).header("Content-Type", format!("multipart/related; boundary={BOUNDARY}")).body(body);
        let mut job = self.call(request).await?;
        let deadline = Instant::now() + PATIENCE;
        while job.pointer("/status/state").and_then(Value::as_str) != Some("DONE") {
            if Instant::now() > deadline {
                return Err(format!("the load job does not end: {}", job["status"]));
            }
            tokio::time::sleep(POLL).await;
            let id = job.pointer("/jobReference/jobId").and_then(Value::as_str).unwrap_or_default();
            job = self.call(self.request(Method::GET, &format!("/jobs/{id}"))).await?;
        }
        match job.pointer("/status/errorResult/message").and_then(Value::as_str) {
            Some(message) => Err(message.to_owned()),
            None => Ok(()),
        }
    }

    pub async fn delete(&self, table: &str) -> Result<()> {
        self.call(self.request(Method::DELETE, &format!("/datasets/{DATASET}/tables/{table}"))).await.map(drop)
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
