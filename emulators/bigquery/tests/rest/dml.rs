//! Data manipulation: counts, the queue, snapshots and conflicts.

use futures::future::join_all;
use scrimmage_bigquery::service::error::ApiError;
use serde_json::json;

use crate::support::{Server, counts};

const PLAYERS: [&str; 2] = [
    "CREATE TABLE d.t (k INT64, v STRING, line FLOAT64)",
    "INSERT INTO d.t (k, v, line) VALUES (1, 'one', 13.5), (2, 'two', NULL), (3, 'three', 14.5)",
];

#[tokio::test]
async fn inserted_updated_and_deleted_rows_are_counted_apart() {
    let server = Server::with(&PLAYERS).await;
    let merge = "MERGE d.t T USING (SELECT k, v FROM UNNEST([STRUCT(1 AS k, 'eins' AS v), (3, NULL), (4, 'vier'), (5, 'fünf')])) S
        ON T.k = S.k
        WHEN MATCHED AND S.v IS NULL THEN DELETE
        WHEN MATCHED THEN UPDATE SET v = S.v
        WHEN NOT MATCHED THEN INSERT (k, v) VALUES (S.k, S.v)
        WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = 'gone'";
    let job = server.job(json!({"query": {"query": merge}})).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    let statistics = &job["statistics"]["query"];
    assert_eq!(statistics["statementType"], "MERGE");
    assert_eq!(statistics["numDmlAffectedRows"], "5");
    assert_eq!(counts(statistics), (2, 2, 1));
    let id = job["jobReference"]["jobId"].as_str().expect("an id");
    let results = server.get(&format!("/projects/scrimmage/queries/{id}")).await.ok();
    assert_eq!(results["numDmlAffectedRows"], "5");
    assert_eq!(
        server.rows("SELECT k, v FROM d.t ORDER BY k").await,
        [["1", "eins"], ["2", "gone"], ["4", "vier"], ["5", "fünf"]]
    );
}

#[tokio::test]
async fn a_merge_that_touches_nothing_counts_nothing() {
    let server = Server::with(&PLAYERS).await;
    let merge = "MERGE d.t T USING (SELECT 1 AS k LIMIT 0) S ON T.k = S.k
        WHEN MATCHED THEN UPDATE SET v = '' WHEN NOT MATCHED THEN INSERT (k) VALUES (S.k)";
    let answer = server.run(merge).await;
    assert_eq!(answer["numDmlAffectedRows"], "0");
    assert_eq!(counts(&answer), (0, 0, 0));
}

#[tokio::test]
async fn each_statement_counts_its_rows() {
    let server = Server::with(&PLAYERS).await;
    assert_eq!(counts(&server.run("INSERT INTO d.t (k) SELECT k + 10 FROM d.t").await), (3, 0, 0));
    assert_eq!(counts(&server.run("UPDATE d.t SET v = 'x' WHERE k > 2").await), (0, 4, 0));
    assert_eq!(counts(&server.run("DELETE FROM d.t WHERE k = 2").await), (0, 0, 1));
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "5");
    server.run("TRUNCATE TABLE d.t").await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "0");
}

#[tokio::test]
async fn null_keys_do_not_match_without_coalesce() {
    let server = Server::with(&PLAYERS).await;
    let merge = |on: &str| {
        format!(
            "MERGE d.t T USING (SELECT 2 AS k, CAST(NULL AS FLOAT64) AS line) S ON T.k = S.k AND {on}
             WHEN MATCHED THEN UPDATE SET v = 'again' WHEN NOT MATCHED THEN INSERT (k, line) VALUES (S.k, S.line)"
        )
    };
    assert_eq!(counts(&server.run(&merge("T.line = S.line")).await), (1, 0, 0));
    server.run("DELETE FROM d.t WHERE v IS NULL").await;
    assert_eq!(counts(&server.run(&merge("COALESCE(T.line, -1) = COALESCE(S.line, -1)")).await), (0, 1, 0));
}

#[tokio::test]
async fn of_mutating_statements_two_run_twenty_wait_and_one_more_fails() {
    let server = Server::with(&PLAYERS).await;
    let running = [server.hold_dml("t"), server.hold_dml("t")];
    // Two of them run at a time: merges that only insert never conflict, as updates of one row may.
    let merge = |number: usize| {
        let source = format!("(SELECT {} AS k)", 100 + number);
        format!("MERGE d.t T USING {source} S ON T.k = S.k WHEN NOT MATCHED THEN INSERT (k) VALUES (S.k)")
    };
    let mut waiting = Vec::new();
    for number in 0..20 {
        let id = format!("waits-{number}");
        let job = json!({"jobReference": {"jobId": id}, "configuration": {"query": {"query": merge(number)}}});
        waiting.push(server.post("/projects/scrimmage/jobs", job));
    }
    // jobs.insert answers before the job is done: all twenty are in line then.
    for answer in join_all(waiting).await {
        assert_ne!(answer.ok()["status"]["state"], "DONE");
    }
    server.dml_waiting("t", 20).await;
    let (status, reason, message) = server.refused(&merge(20)).await;
    assert_eq!((status, reason.as_str()), (400, "resourcesExceeded"));
    assert_eq!(
        message,
        "Resources exceeded during query execution: Too many DML statements outstanding against table scrimmage:d.t, limit is 20."
    );
    // An INSERT is not one of them, nor is a statement on another table.
    server.run("INSERT INTO d.t (k) VALUES (9)").await;
    drop(running);
    for number in 0..20 {
        let job = server.get(&format!("/projects/scrimmage/jobs/waits-{number}")).await.ok();
        let job = server.done(job).await;
        assert_eq!(job["status"].get("errorResult"), None, "{job}");
    }
    assert_eq!(server.value("SELECT COUNT(DISTINCT k) FROM d.t WHERE k >= 100").await, "20");
}

#[tokio::test]
async fn two_merges_that_only_insert_may_both_commit() {
    let server = Server::with(&PLAYERS).await;
    let merge = "MERGE d.t T USING (SELECT 77 AS k) S ON T.k = S.k WHEN NOT MATCHED THEN INSERT (k) VALUES (S.k)";
    let (first, second) = (server.begin_dml(merge), server.begin_dml(merge));
    first.commit().expect("the first commits");
    second.commit().expect("the second saw nothing of it and commits too");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE k = 77").await, "2");
}

#[tokio::test]
async fn the_later_of_two_changes_of_one_row_is_refused() {
    let server = Server::with(&PLAYERS).await;
    let update = |v: &str| format!("UPDATE d.t SET v = '{v}' WHERE k = 1");
    let first = server.begin_dml(&update("a"));
    let second = server.begin_dml(&update("b"));
    // What comes in between and only inserts is no conflict.
    server.run("INSERT INTO d.t (k) VALUES (50)").await;
    first.commit().expect("the first commits");
    let error = second.commit().expect_err("the second conflicts");
    assert_eq!(ApiError::from(error.clone()).reason, "invalidQuery");
    assert_eq!(error.to_string(), "Could not serialize access to table scrimmage:d.t due to concurrent update");
    assert_eq!(server.value("SELECT v FROM d.t WHERE k = 1").await, "a");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "4");
}

#[tokio::test]
async fn concurrent_updates_of_one_counter_are_all_applied_or_refused() {
    let server = Server::with(&PLAYERS).await;
    let update = "UPDATE d.t SET line = line + 1 WHERE k = 1";
    let answers = join_all((0..12).map(|_| server.query(update))).await;
    let mut applied = 0;
    for answer in answers {
        if answer.status == 200 {
            applied += 1;
        } else {
            assert!(answer.error().2.starts_with("Could not serialize access"));
        }
    }
    assert!(applied >= 2);
    assert_eq!(server.value("SELECT line FROM d.t WHERE k = 1").await, format!("{:.1}", 13.5 + f64::from(applied)));
}

#[tokio::test]
async fn changes_of_different_partitions_do_not_conflict() {
    let server = Server::with(&[
        "CREATE TABLE d.p (day DATE, n INT64) PARTITION BY day",
        "INSERT INTO d.p VALUES ('2026-01-01', 1), ('2026-01-02', 1)",
    ])
    .await;
    let update = |day: &str| format!("UPDATE d.p SET n = n + 1 WHERE day = '{day}'");
    let first = server.begin_dml(&update("2026-01-01"));
    let second = server.begin_dml(&update("2026-01-02"));
    first.commit().expect("commits");
    second.commit().expect("commits too");
    assert_eq!(server.rows("SELECT n FROM d.p").await, [["2"], ["2"]]);
}

#[tokio::test]
async fn a_table_made_anew_is_not_the_one_that_was_read() {
    let server = Server::with(&PLAYERS).await;
    let change = server.begin_dml("DELETE FROM d.t WHERE k = 1");
    server.run("DROP TABLE d.t").await;
    server.run("CREATE TABLE d.t AS SELECT 'other' AS name").await;
    assert!(change.commit().is_err());
    assert_eq!(server.value("SELECT name FROM d.t").await, "other");
}

#[tokio::test]
async fn insert_row_needs_as_many_columns_as_the_table_has() {
    let server = Server::with(&PLAYERS).await;
    server.run("CREATE TABLE d.s AS SELECT 9 AS k, 'x' AS v").await;
    let merge = "MERGE d.t T USING (SELECT * FROM d.s) S ON T.k = S.k WHEN NOT MATCHED THEN INSERT ROW";
    let (status, reason, _) = server.refused(merge).await;
    assert_eq!((status, reason.as_str()), (400, "invalidQuery"));
    let merge = "MERGE d.t T USING d.s S ON T.k = S.k WHEN NOT MATCHED THEN INSERT (k, v) VALUES (S.k, S.v)";
    assert_eq!(counts(&server.run(merge).await), (1, 0, 0));
}

#[tokio::test]
async fn a_statement_that_waits_can_be_cancelled() {
    let server = Server::with(&PLAYERS).await;
    let running = [server.hold_dml("t"), server.hold_dml("t")];
    let job = json!({"jobReference": {"jobId": "waits"}, "configuration": {"query": {"query": "DELETE FROM d.t WHERE true"}}});
    assert_ne!(server.post("/projects/scrimmage/jobs", job).await.ok()["status"]["state"], "DONE");
    server.dml_waiting("t", 1).await;
    let cancelled = server.post("/projects/scrimmage/jobs/waits/cancel", json!({})).await.ok();
    assert_eq!(cancelled["kind"], "bigquery#jobCancelResponse");
    let job = server.done(cancelled["job"].clone()).await;
    assert_eq!(job["status"]["errorResult"]["reason"], "stopped");
    server.dml_waiting("t", 0).await;
    drop(running);
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "3");
}

#[tokio::test]
async fn a_request_sent_twice_runs_once() {
    let server = Server::with(&PLAYERS).await;
    let request = json!({"query": "INSERT INTO d.t (k) VALUES (60)", "requestId": "7c5f"});
    let first = server.post("/projects/scrimmage/queries", request.clone()).await.ok();
    let second = server.post("/projects/scrimmage/queries", request.clone()).await.ok();
    assert_eq!(first["jobReference"], second["jobReference"]);
    assert_eq!(second["numDmlAffectedRows"], "1");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE k = 60").await, "1");
    server.advance(std::time::Duration::from_secs(16 * 60));
    server.post("/projects/scrimmage/queries", request).await.ok();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE k = 60").await, "2");
}
