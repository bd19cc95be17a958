//! Texts, statuses and reasons of what production refuses.

use serde_json::json;

use crate::support::Server;

fn refusal(status: u16, reason: &str, message: &str) -> (u16, String, String) {
    (status, reason.to_owned(), message.to_owned())
}

#[tokio::test]
async fn what_is_missing_is_not_found() {
    let server = Server::with_dataset().await;
    assert_eq!(
        server.refused("SELECT 1 FROM d.t").await,
        refusal(404, "notFound", "Not found: Table scrimmage:d.t was not found in location US")
    );
    assert_eq!(
        server.refused("SELECT 1 FROM nix.t").await,
        refusal(404, "notFound", "Not found: Dataset scrimmage:nix was not found in location US")
    );
    assert_eq!(
        server.get("/projects/scrimmage/datasets/d/tables/t").await.error(),
        refusal(404, "notFound", "Not found: Table scrimmage:d.t")
    );
    assert_eq!(
        server.get("/projects/scrimmage/datasets/nix").await.error(),
        refusal(404, "notFound", "Not found: Dataset scrimmage:nix")
    );
    assert_eq!(
        server.get("/projects/scrimmage/jobs/nix").await.error(),
        refusal(404, "notFound", "Not found: Job scrimmage:nix")
    );
    assert_eq!(
        server.get("/projects/scrimmage/queries/nix").await.error(),
        refusal(404, "notFound", "Not found: Job scrimmage:nix")
    );
    assert_eq!(server.get("/projects/scrimmage/nothing").await.error().0, 404);
}

#[tokio::test]
async fn what_is_there_is_a_duplicate() {
    let server = Server::with(&["CREATE TABLE d.t (a INT64)"]).await;
    let twice = refusal(409, "duplicate", "Already Exists: Table scrimmage:d.t");
    assert_eq!(server.refused("CREATE TABLE d.t (a INT64)").await, twice);
    let table = json!({"tableReference": {"tableId": "t"}});
    assert_eq!(server.post("/projects/scrimmage/datasets/d/tables", table).await.error(), twice);
    let dataset = json!({"datasetReference": {"datasetId": "d"}});
    assert_eq!(
        server.post("/projects/scrimmage/datasets", dataset).await.error(),
        refusal(409, "duplicate", "Already Exists: Dataset scrimmage:d")
    );
    let job = json!({"jobReference": {"jobId": "mine"}, "configuration": {"query": {"query": "SELECT 1"}}});
    server.post("/projects/scrimmage/jobs", job.clone()).await.ok();
    assert_eq!(
        server.post("/projects/scrimmage/jobs", job).await.error(),
        refusal(409, "duplicate", "Already Exists: Job scrimmage:US.mine")
    );
}

#[tokio::test]
async fn a_dataset_with_tables_is_in_use() {
    let server = Server::with(&["CREATE TABLE d.t (a INT64)"]).await;
    assert_eq!(
        server.delete("/projects/scrimmage/datasets/d").await.error(),
        refusal(400, "resourceInUse", "Dataset scrimmage:d is still in use")
    );
    server.delete("/projects/scrimmage/datasets/d?deleteContents=true").await.ok();
    assert_eq!(server.get("/projects/scrimmage/datasets/d").await.status, 404);
}

#[tokio::test]
async fn bad_sql_names_its_place() {
    let server = Server::with(&["CREATE TABLE d.t (a INT64, fob INT64, f FLOAT64, s STRING)"]).await;
    for (sql, message) in [
        ("SELECT foo FROM d.t", "Unrecognized name: foo; Did you mean fob? at [1:8]"),
        ("SELECT nowhere_near FROM d.t", "Unrecognized name: nowhere_near at [1:8]"),
        (
            "SELECT a FROM d.t GROUP BY s",
            "SELECT list expression references column a which is neither grouped nor aggregated at [1:8]",
        ),
        (
            "SELECT ROW_NUMBER() OVER (PARTITION BY f) FROM d.t",
            "Partitioning by expressions of type FLOAT64 is not allowed at [1:40]",
        ),
        ("UPDATE d.t SET a = 1, a = 2 WHERE true", "Update item a assigned more than once at [1:23]"),
    ] {
        assert_eq!(server.refused(sql).await, refusal(400, "invalidQuery", message), "{sql}");
    }
    for (sql, start) in [
        ("SELEC 1", "Syntax error: "),
        ("SELECT 1 + s FROM d.t", "No matching signature for operator + for argument types: INT64, STRING"),
    ] {
        let (status, reason, message) = server.refused(sql).await;
        assert_eq!((status, reason.as_str()), (400, "invalidQuery"), "{sql}");
        assert!(message.starts_with(start), "{sql}: {message}");
    }
}

#[tokio::test]
async fn arithmetic_fails_by_name() {
    let server = Server::with_dataset().await;
    for (sql, start) in [
        ("SELECT ABS(n) FROM UNNEST([-9223372036854775808]) AS n", "int64 overflow: "),
        ("SELECT 1 / n FROM UNNEST([0]) AS n", "division by zero: 1 / 0"),
        ("SELECT CAST(s AS INT64) FROM UNNEST(['1e3']) AS s", "Bad int64 value: 1e3"),
    ] {
        let (status, reason, message) = server.refused(sql).await;
        assert_eq!((status, reason.as_str()), (400, "invalidQuery"), "{sql}");
        assert!(message.starts_with(start), "{sql}: {message}");
    }
}

#[tokio::test]
async fn two_sources_for_one_row_are_refused() {
    let server = Server::with(&["CREATE TABLE d.t (k INT64, v INT64)", "INSERT INTO d.t (k, v) VALUES (1, 0)"]).await;
    let wanted = refusal(400, "invalidQuery", "UPDATE/MERGE must match at most one source row for each target row");
    let source = "(SELECT 1 AS k, 1 AS v UNION ALL SELECT 1, 2)";
    let merge = format!("MERGE d.t T USING {source} S ON T.k = S.k WHEN MATCHED THEN UPDATE SET v = S.v");
    assert_eq!(server.refused(&merge).await, wanted);
    let update = format!("UPDATE d.t T SET v = S.v FROM {source} S WHERE T.k = S.k");
    assert_eq!(server.refused(&update).await, wanted);
    assert_eq!(server.value("SELECT v FROM d.t").await, "0");
}

#[tokio::test]
async fn a_merge_cannot_set_a_column_twice() {
    let server = Server::with(&["CREATE TABLE d.t (k INT64, updated_at TIMESTAMP)"]).await;
    let sql = "MERGE d.t T USING (SELECT 1 AS k, CURRENT_TIMESTAMP() AS updated_at) S ON T.k = S.k\nWHEN MATCHED THEN UPDATE SET updated_at = S.updated_at, updated_at = CURRENT_TIMESTAMP()";
    assert_eq!(
        server.refused(sql).await,
        refusal(400, "invalidQuery", "Update item updated_at assigned more than once at [2:57]")
    );
}

#[tokio::test]
async fn requests_without_sense_say_which_field() {
    let server = Server::with_dataset().await;
    assert_eq!(server.post("/projects/scrimmage/queries", json!({})).await.error().0, 400);
    let answer = server.raw("POST", "/projects/scrimmage/queries", &[], b"{".to_vec()).await;
    assert_eq!(answer.error().1, "parseError");
    let job = json!({"configuration": {}});
    assert_eq!(server.post("/projects/scrimmage/jobs", job).await.error().0, 400);
    let answer = server.get("/projects/scrimmage/datasets/d/tables?maxResults=many").await;
    assert_eq!(answer.body["error"]["errors"][0]["location"], "maxResults");
    assert_eq!(answer.error().0, 400);
    assert_eq!(server.get("/projects/scrimmage/datasets/d/tables?pageToken=!!").await.error().0, 400);
    let query = json!({"query": "SELECT 1", "useLegacySql": true});
    assert_eq!(server.post("/projects/scrimmage/queries", query).await.error().0, 501);
}
