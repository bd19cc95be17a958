//! Several statements that take effect together, or not at all.

use serde_json::json;

use crate::support::Server;

const TABLES: [&str; 3] =
    ["CREATE TABLE d.t (a INT64)", "INSERT INTO d.t (a) VALUES (1), (2)", "CREATE TABLE d.u (a INT64)"];

#[tokio::test]
async fn a_commit_shows_all_changes_and_a_rollback_none() {
    let server = Server::with(&TABLES).await;
    let sql = "BEGIN TRANSACTION;
        UPDATE d.t SET a = a + 10 WHERE true;
        DELETE FROM d.t WHERE a = 11;
        INSERT INTO d.u (a) SELECT a FROM d.t;
        COMMIT TRANSACTION;
        SELECT t.a, u.a AS b FROM d.t CROSS JOIN d.u;";
    assert_eq!(server.rows(sql).await, [["12", "12"]]);
    server.run("BEGIN TRANSACTION; DELETE FROM d.t WHERE true; ROLLBACK TRANSACTION;").await;
    assert_eq!(server.rows("SELECT a FROM d.t").await, [["12"]]);
    // A script that fails or ends with one open rolls it back.
    assert_eq!(server.query("BEGIN TRANSACTION; DELETE FROM d.t WHERE true; SELECT ERROR('x');").await.status, 400);
    assert_eq!(server.rows("SELECT a FROM d.t").await, [["12"]]);
    let sql = "BEGIN BEGIN TRANSACTION; DELETE FROM d.t WHERE true; SELECT ERROR('x');
        EXCEPTION WHEN ERROR THEN ROLLBACK TRANSACTION; END; SELECT COUNT(*) FROM d.t;";
    assert_eq!(server.rows(sql).await, [["1"]]);
}

#[tokio::test]
async fn a_transaction_meets_what_others_committed_meanwhile() {
    let server = Server::with(&TABLES).await;
    let update = server.begin_dml("UPDATE d.t SET a = 100 WHERE a = 1");
    let truncate = server.begin_dml("TRUNCATE TABLE d.u");
    let now = server.clock.now();
    let begin = || scrimmage_bigquery::engine::transaction::Transaction::begin(&mut server.app.store.lock());
    let (mut first, mut second) = (begin(), begin());
    server.app.store.lock().apply_within(now, update.change(), &mut first).expect("applied within");
    server.app.store.lock().apply_within(now, update.change(), &mut second).expect("applied within");
    server.app.store.lock().apply_within(now, truncate.change(), &mut second).expect("applied within");
    // An INSERT of somebody else is no conflict, and is not lost.
    server.run("INSERT INTO d.t (a) VALUES (3)").await;
    server.app.store.lock().commit(now, first).expect("the first commits");
    assert_eq!(server.rows("SELECT a FROM d.t ORDER BY a").await, [["2"], ["3"], ["100"]]);
    server.run("INSERT INTO d.u (a) VALUES (7)").await;
    assert!(server.app.store.lock().commit(now, second).is_err());
    assert_eq!(server.rows("SELECT a FROM d.u").await, [["7"]], "nothing of the refused one is seen");
}

#[tokio::test]
async fn others_see_nothing_before_the_commit() {
    let server = Server::with(&TABLES).await;
    let held = [server.hold_dml("u"), server.hold_dml("u")];
    let sql = "BEGIN TRANSACTION; DELETE FROM d.t WHERE true; UPDATE d.u SET a = 1 WHERE true; COMMIT TRANSACTION;";
    let job = json!({"jobReference": {"jobId": "script"}, "configuration": {"query": {"query": sql}}});
    server.post("/projects/scrimmage/jobs", job).await.ok();
    server.dml_waiting("u", 1).await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "2");
    drop(held);
    server.done(server.get("/projects/scrimmage/jobs/script").await.ok()).await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "0");
}
