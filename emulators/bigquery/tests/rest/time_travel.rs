//! Tables as they were: FOR SYSTEM_TIME AS OF, snapshots, clones.

use std::time::Duration;

use serde_json::json;

use crate::support::Server;

const MINUTE: Duration = Duration::from_secs(60);

/// A table with two rows, both deleted ten minutes after it was made.
async fn emptied() -> Server {
    let server =
        Server::with(&["CREATE TABLE d.t AS SELECT n, FORMAT('row %d', n) AS s FROM UNNEST([1, 2]) AS n"]).await;
    server.advance(10 * MINUTE);
    server.run("DELETE FROM d.t WHERE true").await;
    server.advance(MINUTE);
    server
}

#[tokio::test]
async fn deleted_rows_can_be_read_and_put_back() {
    let server = emptied().await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "0");
    let before = "FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 5 MINUTE)";
    assert_eq!(server.rows(&format!("SELECT s FROM d.t {before} ORDER BY n")).await, [["row 1"], ["row 2"]]);
    server.run(&format!("INSERT INTO d.t (n, s) SELECT n, s FROM d.t {before}")).await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "2");
    server.run(&format!("CREATE OR REPLACE TABLE d.saved AS SELECT * FROM d.t {before}")).await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.saved").await, "2");
}

#[tokio::test]
async fn what_is_too_old_cannot_be_read() {
    let server = emptied().await;
    let (status, _, message) =
        server.refused("SELECT * FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2025-12-31 00:00:00+00'").await;
    assert_eq!(status, 400);
    assert_eq!(
        message,
        "Invalid time travel timestamp 1767139200000 for table scrimmage:d.t@1767139200000. Cannot read before 1767225600000."
    );
    server.advance(Duration::from_secs(8 * 24 * 3600));
    let (status, ..) =
        server.refused("SELECT * FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:05:00+00'").await;
    assert_eq!(status, 400);
    assert_eq!(
        server.value("SELECT COUNT(*) FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-03 00:00:00+00'").await,
        "0"
    );
}

#[tokio::test]
async fn an_older_version_keeps_its_columns() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    server.advance(MINUTE);
    server.run("ALTER TABLE d.t ADD COLUMN b STRING").await;
    server.advance(MINUTE);
    assert_eq!(server.rows("SELECT * FROM d.t").await, [["1", "NULL"]]);
    let before = "FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:30+00'";
    assert_eq!(server.rows(&format!("SELECT * FROM d.t {before}")).await, [["1"]]);
}

#[tokio::test]
async fn snapshots_and_clones_stay_as_they_were_made() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    server.advance(MINUTE);
    server.run("UPDATE d.t SET a = 2 WHERE true").await;
    server.advance(MINUTE);
    server.run("CREATE SNAPSHOT TABLE d.s CLONE d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:30+00'").await;
    server.run("CREATE TABLE d.c CLONE d.t").await;
    server.run("UPDATE d.t SET a = 3 WHERE true").await;
    server.run("UPDATE d.c SET a = a * 10 WHERE true").await;
    assert_eq!(server.value("SELECT a FROM d.s").await, "1");
    assert_eq!(server.value("SELECT a FROM d.c").await, "20");
    assert_eq!(server.refused("UPDATE d.s SET a = 9 WHERE true").await.0, 400);
    let snapshot = server.table("s").await;
    assert_eq!(snapshot["type"], "SNAPSHOT");
    assert_eq!(snapshot["snapshotDefinition"]["baseTableReference"]["tableId"], "t");
}

#[tokio::test]
async fn a_replaced_table_can_be_read_as_it_was() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a, 'x' AS b"]).await;
    server.advance(MINUTE);
    server.run("CREATE OR REPLACE TABLE d.t AS SELECT 2 AS c").await;
    server.advance(MINUTE);
    assert_eq!(server.rows("SELECT * FROM d.t").await, [["2"]]);
    let before = "FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:30+00'";
    assert_eq!(server.rows(&format!("SELECT * FROM d.t {before}")).await, [["1", "x"]]);
    server.run("UPDATE d.t SET c = 3 WHERE true").await;
    assert_eq!(server.rows("SELECT * FROM d.t").await, [["3"]]);
}

#[tokio::test]
async fn a_replacement_in_between_is_no_place_for_a_change() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 'x' AS b"]).await;
    let insert = server.begin_dml("INSERT INTO d.t (b) VALUES ('y')");
    server.run("CREATE OR REPLACE TABLE d.t AS SELECT 2 AS c").await;
    assert!(insert.commit().is_err());
    assert_eq!(server.rows("SELECT * FROM d.t").await, [["2"]]);
}

#[tokio::test]
async fn a_copy_job_brings_back_a_dropped_table() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    let then = server.clock.now().as_millis();
    server.advance(MINUTE);
    server.run("DROP TABLE d.t").await;
    server.advance(MINUTE);
    let table = |id: &str| json!({"projectId": "scrimmage", "datasetId": "d", "tableId": id});
    let copy = |to: &str| json!({"copy": {"sourceTable": table(&format!("t@{then}")), "destinationTable": table(to)}});
    let job = server.job(copy("t")).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(server.rows("SELECT a FROM d.t").await, [["1"]]);
    server.run("DROP TABLE d.t").await;
    assert_eq!(
        server.refused("SELECT a FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:30+00'").await.0,
        404
    );
    server.advance(Duration::from_secs(8 * 24 * 3600));
    let job = server.job(copy("u")).await;
    assert_eq!(job["status"]["errorResult"]["reason"], "notFound");
}

#[tokio::test]
async fn versions_follow_one_another_as_they_were_committed() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    let slow = server.begin_dml("UPDATE d.t SET a = 10 WHERE a = 1");
    server.advance(MINUTE);
    server.run("INSERT INTO d.t (a) VALUES (2)").await;
    server.advance(MINUTE);
    slow.commit().expect("an INSERT is no conflict");
    assert_eq!(server.rows("SELECT a FROM d.t ORDER BY a").await, [["2"], ["10"]]);
    let between = "FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:01:30+00'";
    assert_eq!(server.rows(&format!("SELECT a FROM d.t {between} ORDER BY a")).await, [["1"], ["2"]]);
}

#[tokio::test]
async fn copy_jobs_make_snapshots_clones_and_restores() {
    let server = Server::with(&[
        "CREATE TABLE d.t (day DATE, n INT64) PARTITION BY day",
        "INSERT d.t VALUES ('2026-01-01', 1), ('2026-01-02', 2)",
    ])
    .await;
    let table = |id: &str| serde_json::json!({"projectId": "scrimmage", "datasetId": "d", "tableId": id});
    let copy = |from: &str, to: &str, operation: &str| {
        let copy = serde_json::json!({
            "sourceTable": table(from), "destinationTable": table(to), "operationType": operation,
        });
        let server = &server;
        async move { server.job(serde_json::json!({ "copy": copy })).await }
    };
    let done = copy("t", "s", "SNAPSHOT").await;
    assert_eq!(done["statistics"]["copy"]["copiedRows"], "2");
    assert_eq!(server.table("s").await["type"], "SNAPSHOT");
    assert_eq!(server.query("DELETE FROM d.s WHERE TRUE").await.status, 400, "a snapshot does not change");
    copy("t", "c", "CLONE").await;
    assert_eq!(server.table("c").await["cloneDefinition"]["baseTableReference"]["tableId"], "t");
    server.run("DELETE FROM d.t WHERE TRUE").await;
    copy("s", "r", "RESTORE").await;
    server.run("INSERT d.r VALUES (NULL, 3)").await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.r").await, "3");
    let wrong = copy("c", "x", "RESTORE").await;
    assert_eq!(wrong["status"]["errorResult"]["reason"], "invalid");
    let again = copy("r", "c", "CLONE").await;
    assert_eq!(again["status"]["errorResult"]["reason"], "duplicate");
    copy("r$20260102", "part", "COPY").await;
    assert_eq!(server.value("SELECT n FROM d.part").await, "2");
}
