//! Sessions: what one query leaves to the next.

use serde_json::{Value, json};

use crate::support::{Server, rows_of};

async fn begin(server: &Server) -> String {
    let body = json!({"query": "SELECT 1", "createSession": true});
    let answer = server.post("/projects/scrimmage/queries", body).await.ok();
    answer["sessionInfo"]["sessionId"].as_str().expect("a session").to_owned()
}

fn within(session: &str, sql: &str) -> Value {
    json!({"query": sql, "connectionProperties": [{"key": "session_id", "value": session}]})
}

async fn run(server: &Server, session: &str, sql: &str) -> Vec<Vec<String>> {
    rows_of(&server.post("/projects/scrimmage/queries", within(session, sql)).await.ok())
}

#[tokio::test]
async fn temporary_tables_variables_and_settings_stay() {
    let server = Server::with_dataset().await;
    let session = begin(&server).await;
    run(&server, &session, "CREATE TEMP TABLE kept AS SELECT 7 AS n").await;
    run(&server, &session, "CREATE TEMP FUNCTION half(n INT64) AS (n / 2)").await;
    run(&server, &session, "DECLARE x INT64 DEFAULT 20; SET @@dataset_id = 'd';").await;
    run(&server, &session, "SET x = x + 1").await;
    run(&server, &session, "CREATE TABLE plain AS SELECT 1 AS n").await;
    assert_eq!(run(&server, &session, "SELECT n + x, half(n) FROM kept").await, [["28", "3.5"]]);
    assert_eq!(server.value("SELECT n FROM d.plain").await, "1", "@@dataset_id completes names");
    assert_eq!(run(&server, &session, "SELECT @@session_id").await, [[session.clone()]]);
    assert_eq!(server.refused("SELECT * FROM kept").await.0, 400, "others do not see it");
    let other = begin(&server).await;
    assert_ne!(session, other);
    let sql = "SELECT session_id FROM `region-us`.INFORMATION_SCHEMA.SESSIONS_BY_PROJECT WHERE is_active";
    assert_eq!(server.rows(sql).await.len(), 2);

    run(&server, &session, "CALL BQ.ABORT_SESSION()").await;
    assert_eq!(server.post("/projects/scrimmage/queries", within(&session, "SELECT 1")).await.status, 400);
    assert_eq!(server.post("/projects/scrimmage/queries", within("nix", "SELECT 1")).await.error().0, 404);
    assert_eq!(server.rows(sql).await, [[other]]);
}

#[tokio::test]
async fn a_transaction_spans_queries() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64)"]).await;
    let session = begin(&server).await;
    run(&server, &session, "BEGIN TRANSACTION").await;
    run(&server, &session, "INSERT d.t VALUES (1)").await;
    assert_eq!(run(&server, &session, "SELECT COUNT(*) FROM d.t").await, [["1"]]);
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "0");
    run(&server, &session, "COMMIT TRANSACTION").await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "1");
    run(&server, &session, "BEGIN TRANSACTION").await;
    run(&server, &session, "DELETE FROM d.t WHERE TRUE").await;
    run(&server, &session, "ROLLBACK TRANSACTION").await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "1");
}

#[tokio::test]
async fn a_session_ends_after_a_day_without_queries() {
    let server = Server::with_dataset().await;
    let session = begin(&server).await;
    server.advance(std::time::Duration::from_secs(23 * 3600));
    run(&server, &session, "SELECT 1").await;
    server.advance(std::time::Duration::from_secs(25 * 3600));
    let (status, reason, _) = server.post("/projects/scrimmage/queries", within(&session, "SELECT 1")).await.error();
    assert_eq!((status, reason.as_str()), (400, "invalid"));
}
