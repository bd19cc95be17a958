//! Faults that hold a job while it runs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;

const TABLE: [&str; 2] = ["CREATE TABLE d.t (k INT64)", "INSERT INTO d.t (k) VALUES (1), (2), (3)"];
const COUNTS_ITSELF: &str = "INSERT INTO d.t (k) SELECT 100 + COUNT(*) FROM d.t";

async fn with_faults(faults: Value) -> Server {
    let server = Server::with(&TABLE).await;
    server.app.ctx.faults.set(serde_json::from_value(faults).expect("a plan")).expect("a good plan");
    server
}

fn query_job(id: &str, sql: &str) -> Value {
    json!({"jobReference": {"jobId": id}, "configuration": {"query": {"query": sql}}})
}

#[tokio::test]
async fn statements_that_meet_at_a_barrier_run_side_by_side() {
    let barrier = json!([{"on": {"method": "jobs.run", "resource": "**/datasets/d/tables/t"},
        "barrier": {"count": 2, "timeout": "1h"}}]);
    let server = with_faults(barrier).await;
    // A query that writes to no table passes by.
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "3");
    tokio::join!(server.run(COUNTS_ITSELF), server.run(COUNTS_ITSELF));
    assert_eq!(server.rows("SELECT k FROM d.t WHERE k > 100").await, [["103"], ["103"]], "neither saw the other's row");
    server.run(COUNTS_ITSELF).await;
    assert_eq!(server.value("SELECT MAX(k) FROM d.t").await, "105", "open once and for all");
}

#[tokio::test]
async fn a_slow_job_runs_until_its_time_has_come() {
    let server = with_faults(json!([{"on": {"method": "jobs.run"}, "delay": "90s"}])).await;
    for (id, job) in [
        ("statement", query_job("statement", "DELETE FROM d.t WHERE k = 1")),
        (
            "copy",
            json!({"jobReference": {"jobId": "copy"}, "configuration": {"copy": {
                "sourceTable": {"projectId": "scrimmage", "datasetId": "d", "tableId": "t"},
                "destinationTable": {"projectId": "scrimmage", "datasetId": "d", "tableId": "u"},
            }}}),
        ),
    ] {
        let job = server.post("/projects/scrimmage/jobs", job).await.ok();
        assert_ne!(job["status"]["state"], "DONE", "{id}");
        let is_held = || server.app.ctx.faults.counts().iter().map(|(_, seen)| *seen).sum::<u64>();
        let before = if id == "statement" { 1 } else { 2 };
        server.until(|| is_held() == before).await;
        server.advance(Duration::from_secs(91));
        let done = server.done(job).await;
        assert_eq!(done["status"].get("errorResult"), None, "{id}");
        let statistics = &done["statistics"];
        let time = |key: &str| statistics[key].as_str().and_then(|text| text.parse::<i64>().ok()).expect("a time");
        assert!(time("endTime") - time("startTime") >= 90_000, "{id}: {statistics}");
    }
    server.app.ctx.faults.clear();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.u").await, "2");
}

#[tokio::test]
async fn a_held_job_can_be_cancelled() {
    let server = with_faults(json!([{"on": {"method": "jobs.run"}, "barrier": {"count": 9, "timeout": "1h"}}])).await;
    server.post("/projects/scrimmage/jobs", query_job("held", COUNTS_ITSELF)).await.ok();
    let cancelled = server.post("/projects/scrimmage/jobs/held/cancel", json!({})).await.ok();
    let job = server.done(cancelled["job"].clone()).await;
    assert_eq!(job["status"]["errorResult"]["reason"], "stopped");
    server.app.ctx.faults.clear();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "3");
}
