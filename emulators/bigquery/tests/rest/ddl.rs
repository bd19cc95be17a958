//! Tables made, changed and dropped by SQL.

use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn old_rows_are_null_in_a_new_column() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    server.run("ALTER TABLE d.t ADD COLUMN b STRING, ADD COLUMN c ARRAY<INT64>").await;
    server.run("ALTER TABLE d.t ADD COLUMN IF NOT EXISTS b STRING").await;
    server.run("INSERT INTO d.t (a, b, c) VALUES (2, 'x', [7])").await;
    assert_eq!(
        server.rows("SELECT a, b, ARRAY_LENGTH(c) FROM d.t ORDER BY a").await,
        [["1", "NULL", "0"], ["2", "x", "1"]]
    );
    assert_eq!(server.refused("ALTER TABLE d.t ADD COLUMN b STRING").await.0, 400);
}

#[tokio::test]
async fn columns_are_renamed_and_dropped_with_their_data() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a, 'x' AS b"]).await;
    server.run("ALTER TABLE d.t RENAME COLUMN a TO z").await;
    assert_eq!(server.rows("SELECT z, b FROM d.t").await, [["1", "x"]]);
    server.run("ALTER TABLE d.t DROP COLUMN z").await;
    server.run("ALTER TABLE d.t ADD COLUMN z INT64").await;
    assert_eq!(server.rows("SELECT * FROM d.t").await, [["x", "NULL"]], "a column of an old name is a new column");
}

#[tokio::test]
async fn statements_say_what_they_did() {
    let server = Server::with_dataset().await;
    for (sql, kind, operation) in [
        ("CREATE TABLE d.t (a INT64)", "CREATE_TABLE", "CREATE"),
        ("CREATE TABLE IF NOT EXISTS d.t (a INT64)", "CREATE_TABLE", "SKIP"),
        ("CREATE OR REPLACE TABLE d.t AS SELECT 1 AS a", "CREATE_TABLE_AS_SELECT", "REPLACE"),
        ("CREATE VIEW d.v AS SELECT a FROM d.t", "CREATE_VIEW", "CREATE"),
        ("ALTER TABLE d.t ADD COLUMN b STRING", "ALTER_TABLE", "ALTER"),
        ("DROP VIEW d.v", "DROP_VIEW", "DROP"),
        ("DROP TABLE IF EXISTS d.nix", "DROP_TABLE", "SKIP"),
        ("DROP TABLE d.t", "DROP_TABLE", "DROP"),
    ] {
        let job = server.job(json!({"query": {"query": sql}})).await;
        assert_eq!(job["status"].get("errorResult"), None, "{sql}: {job}");
        let statistics = &job["statistics"]["query"];
        assert_eq!(
            (&statistics["statementType"], &statistics["ddlOperationPerformed"]),
            (&json!(kind), &json!(operation)),
            "{sql}"
        );
    }
    assert_eq!(server.refused("DROP TABLE d.t").await.2, "Not found: Table scrimmage:d.t");
}

#[tokio::test]
async fn views_read_the_newest_rows() {
    let server =
        Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a", "CREATE VIEW d.v AS SELECT a * 10 AS b FROM d.t"]).await;
    assert_eq!(server.rows("SELECT b FROM d.v").await, [["10"]]);
    server.run("INSERT INTO d.t (a) VALUES (2)").await;
    assert_eq!(server.value("SELECT SUM(b) FROM d.v").await, "30");
    assert_eq!(server.table("v").await["view"]["query"], "SELECT a * 10 AS b FROM d.t");
    assert_eq!(server.refused("CREATE VIEW d.w AS SELECT nix FROM d.t").await.0, 400);
    assert_eq!(server.refused("DELETE FROM d.v WHERE true").await.0, 400);
}

#[tokio::test]
async fn schemas_are_datasets() {
    let server = Server::start().await;
    server.run("CREATE SCHEMA s OPTIONS(description = 'mine', labels = [('team', 'x')])").await;
    let dataset = server.get("/projects/scrimmage/datasets/s").await.ok();
    assert_eq!((&dataset["description"], &dataset["labels"]), (&json!("mine"), &json!({"team": "x"})));
    server.run("CREATE TABLE s.t AS SELECT 1 AS a").await;
    assert_eq!(server.refused("DROP SCHEMA s").await.1, "resourceInUse");
    server.run("DROP SCHEMA s CASCADE").await;
    assert_eq!(server.get("/projects/scrimmage/datasets/s").await.status, 404);
}

#[tokio::test]
async fn options_no_machine_can_hold_do_no_harm() {
    let server = Server::with_dataset().await;
    for sql in [
        "CREATE SCHEMA s OPTIONS(default_table_expiration_days = 1e300)",
        "CREATE TABLE d.t (day DATE) PARTITION BY day OPTIONS(partition_expiration_days = 1e300)",
        "CREATE TABLE d.u (n INT64) PARTITION BY RANGE_BUCKET(n, GENERATE_ARRAY(-9223372036854775807, 9223372036854775807, 3))",
    ] {
        assert!(server.query(sql).await.status < 500, "{sql}");
    }
    assert!(server.query("INSERT INTO d.u VALUES (9223372036854775806), (-9223372036854775807)").await.status < 500);
    assert!(server.query("INSERT INTO d.t VALUES ('2026-01-01')").await.status < 500);
}

#[tokio::test]
async fn columns_and_constraints_are_altered() {
    let server = Server::with(&[
        "CREATE TABLE d.o (id INT64, PRIMARY KEY (id) NOT ENFORCED)",
        "CREATE TABLE d.t (n INT64, s STRING(3), r STRUCT<a INT64>) OPTIONS(description = 'x', labels = [('a', 'b')])",
        "INSERT d.t VALUES (7, 'abc', STRUCT(1))",
        "ALTER TABLE d.t ALTER COLUMN n SET DATA TYPE NUMERIC, ALTER COLUMN s SET DATA TYPE STRING(5)",
        "ALTER TABLE d.t ALTER COLUMN r.a SET OPTIONS(description = 'inner')",
        "ALTER TABLE d.t ADD PRIMARY KEY (n) NOT ENFORCED, ADD CONSTRAINT other FOREIGN KEY (n) REFERENCES d.o (id) NOT ENFORCED",
        "ALTER TABLE d.t SET OPTIONS(description = NULL, labels = [('c', 'd')])",
        "INSERT d.t VALUES (NUMERIC '0.5', 'abcde', NULL)",
    ])
    .await;
    assert_eq!(server.rows("SELECT n, s FROM d.t ORDER BY n").await, [["0.5", "abcde"], ["7", "abc"]]);
    let table = server.table("t").await;
    assert_eq!(table["schema"]["fields"][2]["fields"][0]["description"], "inner");
    assert_eq!(table["tableConstraints"]["primaryKey"]["columns"][0], "n");
    assert_eq!(table["tableConstraints"]["foreignKeys"][0]["name"], "other");
    assert_eq!((table.get("description"), &table["labels"]["c"]), (None, &serde_json::json!("d")));
    server.run("ALTER TABLE d.t DROP CONSTRAINT other, DROP PRIMARY KEY").await;
    assert!(server.table("t").await.get("tableConstraints").is_none());
    assert_eq!(server.query("ALTER TABLE d.t DROP CONSTRAINT other").await.status, 400);
    assert_eq!(server.query("ALTER TABLE d.t ALTER COLUMN s SET DATA TYPE INT64").await.status, 400);
}
