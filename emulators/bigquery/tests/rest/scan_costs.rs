//! What statements would read: dry runs, bytes processed and billed, the limit on them.

use serde_json::{Value, json};

use crate::support::Server;

const MEGABYTE: u64 = 1 << 20;

/// Two partitions of two rows: an INT64 (8 bytes), a STRING of 3 (5 bytes) and the DATE (8 bytes) each.
const TABLE: [&str; 2] = [
    "CREATE TABLE d.t (day DATE, n INT64, s STRING) PARTITION BY day",
    "INSERT INTO d.t VALUES ('2026-01-01', 1, 'abc'), ('2026-01-01', 2, 'abc'), ('2026-01-02', 3, 'abc'), ('2026-01-02', 4, 'abc')",
];

async fn dry(server: &Server, sql: &str) -> Value {
    server
        .post("/projects/scrimmage/jobs", json!({"configuration": {"dryRun": true, "query": {"query": sql}}}))
        .await
        .ok()
}

#[tokio::test]
async fn columns_and_partitions_that_are_read_count() {
    let server = Server::with(&TABLE).await;
    for (sql, bytes) in [
        ("SELECT 1", "0"),
        ("SELECT n FROM d.t", "32"),
        ("SELECT s FROM d.t", "20"),
        ("SELECT * FROM d.t", "84"),
        ("SELECT n FROM d.t WHERE day = '2026-01-02'", "32"),
        ("SELECT n FROM d.t WHERE s = 'abc' AND day > '2026-01-01'", "42"),
        ("SELECT a.n FROM d.t AS a JOIN d.t AS b ON a.n = b.n", "32"),
        ("SELECT (SELECT MAX(n) FROM d.t)", "32"),
        ("SELECT n FROM (SELECT * FROM d.t)", "32"),
        ("WITH c AS (SELECT * FROM d.t) SELECT s FROM c", "20"),
        ("CREATE TABLE d.u AS SELECT n FROM d.t", "32"),
        ("INSERT INTO d.t (n) SELECT n FROM d.t", "32"),
    ] {
        let job = dry(&server, sql).await;
        assert_eq!(job["statistics"]["totalBytesProcessed"], bytes, "{sql}");
        assert_eq!(job["statistics"]["query"]["totalBytesProcessed"], bytes, "{sql}");
        assert_eq!(job["status"]["state"], "DONE");
    }
}

#[tokio::test]
async fn a_dry_run_describes_and_changes_nothing() {
    let server = Server::with(&TABLE).await;
    let job = dry(&server, "SELECT n, s AS name FROM d.t").await;
    let statistics = &job["statistics"]["query"];
    assert_eq!(
        statistics["schema"]["fields"],
        json!([{"name": "n", "type": "INTEGER", "mode": "NULLABLE"}, {"name": "name", "type": "STRING", "mode": "NULLABLE"}])
    );
    assert_eq!(statistics["referencedTables"], json!([{"projectId": "scrimmage", "datasetId": "d", "tableId": "t"}]));
    assert_eq!(statistics["totalBytesBilled"], "0");
    dry(&server, "DELETE FROM d.t WHERE true").await;
    dry(&server, "DROP TABLE d.t").await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "4");
    assert_eq!(job["jobReference"].get("jobId"), None, "a dry run is no job");
    let bad = json!({"configuration": {"dryRun": true, "query": {"query": "SELECT nix FROM d.t"}}});
    assert_eq!(server.post("/projects/scrimmage/jobs", bad).await.error().2, "Unrecognized name: nix at [1:8]");

    let query = json!({"query": "SELECT n FROM d.t", "dryRun": true});
    let answer = server.post("/projects/scrimmage/queries", query).await.ok();
    assert_eq!((&answer["totalBytesProcessed"], answer.get("rows")), (&json!("32"), None));
}

#[tokio::test]
async fn ten_megabytes_a_table_are_billed_at_least() {
    let server = Server::with(&TABLE).await;
    server.run("CREATE TABLE d.u AS SELECT 1 AS n").await;
    let job = server.job(json!({"query": {"query": "SELECT t.n FROM d.t JOIN d.u ON t.n = u.n"}})).await;
    let statistics = &job["statistics"];
    assert_eq!(statistics["totalBytesProcessed"], "40");
    assert_eq!(statistics["query"]["totalBytesBilled"], (20 * MEGABYTE).to_string());

    let limited = |limit: u64| json!({"query": "SELECT n FROM d.t", "maximumBytesBilled": limit.to_string()});
    let (status, reason, message) = server.post("/projects/scrimmage/queries", limited(1)).await.error();
    assert_eq!((status, reason.as_str()), (400, "bytesBilledLimitExceeded"));
    assert_eq!(message, "Query exceeded limit for bytes billed: 1. 10485760 or higher required.");
    server.post("/projects/scrimmage/queries", limited(10 * MEGABYTE)).await.ok();
    let free = json!({"query": "SELECT 1", "maximumBytesBilled": "1"});
    server.post("/projects/scrimmage/queries", free).await.ok();
}

#[tokio::test]
async fn a_wildcard_counts_all_its_tables() {
    let server =
        Server::with(&["CREATE TABLE d.w_1 AS SELECT 1 AS n", "CREATE TABLE d.w_2 AS SELECT 2 AS n, 'x' AS s"]).await;
    assert_eq!(dry(&server, "SELECT n FROM `d.w_*`").await["statistics"]["totalBytesProcessed"], "16");
    assert_eq!(dry(&server, "SELECT _TABLE_SUFFIX FROM `d.w_*`").await["statistics"]["totalBytesProcessed"], "0");
}
