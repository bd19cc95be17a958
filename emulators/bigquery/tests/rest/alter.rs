//! ALTER TABLE of several actions: all or none; and what stays as it is.

use serde_json::{Value, json};

use crate::support::Server;

fn names(table: &Value) -> Vec<(String, String)> {
    let text = |field: &Value, key: &str| field[key].as_str().unwrap_or_default().to_owned();
    let fields = table["schema"]["fields"].as_array().cloned().unwrap_or_default();
    fields.iter().map(|field| (text(field, "name"), text(field, "type"))).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned())).collect()
}

#[tokio::test]
async fn a_refused_action_leaves_nothing_of_the_others() {
    let server = Server::with(&[
        "CREATE TABLE d.t (Day DATE, a INT64, PRIMARY KEY (a) NOT ENFORCED) PARTITION BY day CLUSTER BY a",
        "INSERT d.t VALUES ('2026-01-01', 1)",
    ])
    .await;
    let before = server.table("t").await;
    for sql in [
        "ALTER TABLE d.t ADD COLUMN x INT64, DROP COLUMN day",
        "ALTER TABLE d.t ADD COLUMN x INT64, RENAME COLUMN day TO d",
        "ALTER TABLE d.t ADD COLUMN x INT64, RENAME COLUMN A TO b",
        "ALTER TABLE d.t ADD COLUMN x INT64, ALTER COLUMN day SET DATA TYPE TIMESTAMP",
        "ALTER TABLE d.t ADD COLUMN x INT64, DROP CONSTRAINT nix",
        "ALTER TABLE d.t SET OPTIONS(description = 'x'), DROP COLUMN a",
    ] {
        assert_eq!(server.refused(sql).await.0, 400, "{sql}");
        let after = server.table("t").await;
        assert_eq!((&after["schema"], after.get("description")), (&before["schema"], None), "{sql}");
    }
    server.run("INSERT d.t VALUES ('2026-01-05', 2)").await;
    assert_eq!(server.rows("SELECT a FROM d.t WHERE day = '2026-01-05'").await, [["2"]]);
}

#[tokio::test]
async fn actions_see_what_those_before_them_did() {
    let server =
        Server::with(&["CREATE TABLE d.t (a INT64, b STRING, c INT64)", "INSERT d.t VALUES (1, 'x', 7)"]).await;
    server
        .run(
            "ALTER TABLE d.t ALTER COLUMN a SET DATA TYPE NUMERIC, RENAME COLUMN a TO n,
             ADD COLUMN late STRUCT<s STRING(3)> OPTIONS(description = 'came late'), DROP COLUMN c",
        )
        .await;
    let table = server.table("t").await;
    assert_eq!(names(&table), pairs(&[("n", "NUMERIC"), ("b", "STRING"), ("late", "RECORD")]));
    assert_eq!(table["schema"]["fields"][2]["description"], "came late");
    assert_eq!(table["schema"]["fields"][2]["fields"][0]["maxLength"], "3");
    assert_eq!(server.rows("SELECT n, b, late.s FROM d.t").await, [["1", "x", "NULL"]]);
    // A name that is free again stands for another column.
    server.run("ALTER TABLE d.t DROP COLUMN b, ADD COLUMN b INT64, ADD COLUMN c STRING").await;
    assert_eq!(server.rows("SELECT n, b, c FROM d.t").await, [["1", "NULL", "NULL"]]);
    server.run("ALTER TABLE d.t RENAME COLUMN n TO N").await;
    assert_eq!(server.table("t").await["schema"]["fields"][0]["name"], "N");
    assert_eq!(server.refused("ALTER TABLE d.t RENAME TO u, ADD COLUMN y INT64").await.0, 400);
}

#[tokio::test]
async fn keys_and_policies_hold_their_columns() {
    let server = Server::with(&[
        "CREATE TABLE d.p (id INT64, PRIMARY KEY (id) NOT ENFORCED)",
        "CREATE TABLE d.t (a INT64, b INT64, PRIMARY KEY (a) NOT ENFORCED)",
        "ALTER TABLE d.t ADD CONSTRAINT k FOREIGN KEY (b) REFERENCES d.p(id) NOT ENFORCED",
        "ALTER TABLE d.t RENAME COLUMN a TO x, RENAME COLUMN b TO y",
    ])
    .await;
    let keys = server.table("t").await["tableConstraints"].clone();
    assert_eq!(keys["primaryKey"], json!({"columns": ["x"]}));
    assert_eq!(keys["foreignKeys"][0]["columnReferences"][0]["referencingColumn"], "y");
    for column in ["x", "y"] {
        assert_eq!(server.refused(&format!("ALTER TABLE d.t DROP COLUMN {column}")).await.0, 400);
    }
    server.run("ALTER TABLE d.t DROP CONSTRAINT k, DROP COLUMN y").await;
    server.run("CREATE TABLE d.r (a INT64, b INT64)").await;
    server.run("CREATE ROW ACCESS POLICY p ON d.r GRANT TO ('allUsers') FILTER USING (a > 0)").await;
    for action in ["DROP COLUMN a", "RENAME COLUMN a TO c", "ADD COLUMN e INT64, DROP COLUMN b"] {
        assert_eq!(server.refused(&format!("ALTER TABLE d.r {action}")).await.0, 400, "{action}");
    }
    assert_eq!(server.rows("SELECT * FROM d.r").await, [[""; 0]; 0]);
    server.run("ALTER TABLE d.r ADD COLUMN c INT64").await;
}

#[tokio::test]
async fn options_are_known_and_of_their_types() {
    let server = Server::with(&[
        "CREATE TABLE d.t (day DATE) PARTITION BY day OPTIONS(partition_expiration_days = 3)",
        "CREATE VIEW d.v AS SELECT 1 AS x",
    ])
    .await;
    for (sql, text) in [
        ("ALTER TABLE d.t SET OPTIONS(descripton = 'x')", "Unknown option: descripton at [1:29]"),
        ("CREATE TABLE d.u (x INT64) OPTIONS(nix = 1)", "Unknown option: nix at [1:36]"),
        (
            "ALTER VIEW d.v SET OPTIONS(partition_expiration_days = 1)",
            "Unknown option: partition_expiration_days at [1:28]",
        ),
        (
            "ALTER SCHEMA d SET OPTIONS(default_table_expiration = 1)",
            "Unknown option: default_table_expiration at [1:28]",
        ),
        (
            "ALTER TABLE d.t SET OPTIONS(description = 7)",
            "Option description value has type INT64 which cannot be coerced to expected type STRING at [1:43]",
        ),
    ] {
        let (status, _, error) = server.refused(sql).await;
        assert_eq!((status, error.contains(text)), (400, true), "{sql}: {error}");
    }
    let expiration = async || server.table("t").await["timePartitioning"].get("expirationMs").cloned();
    assert_eq!(expiration().await, Some(json!("259200000")));
    server.run("ALTER TABLE d.t SET OPTIONS(partition_expiration_days = NULL, description = NULL)").await;
    assert_eq!(expiration().await, None);
    server.run("ALTER TABLE d.t SET OPTIONS(expiration_timestamp = '2100-01-01 00:00:00 UTC')").await;
    assert_eq!(server.table("t").await["expirationTime"], "4102444800000");
}
