//! Writers within the process: what they are told, and that schemas may change under them.

use scrimmage_bigquery::service::direct::DirectError;
use scrimmage_googlesql::catalog::TablePath;
use serde_json::{Map, Value, json};

use super::support::Server;

fn path(table: &str) -> TablePath {
    TablePath { project: "p".into(), dataset: "d".into(), table: table.into() }
}

fn row(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

#[tokio::test]
async fn each_row_has_its_fate() {
    let server = Server::with(&[
        "CREATE TABLE d.t (n INT64 NOT NULL, s STRING)",
        "CREATE VIEW d.v AS SELECT 1 AS n",
        "CREATE TABLE d.gone (n INT64) OPTIONS(expiration_timestamp = TIMESTAMP '2026-01-01 01:00:00+00')",
    ])
    .await;
    let bigquery = &server.bigquery;
    let columns = bigquery.direct_columns(&path("t")).expect("a table");
    let shown: Vec<_> = columns.iter().map(|own| (own.name.as_str(), own.kind.as_str(), own.required)).collect();
    assert_eq!(shown, [("n", "INT64", true), ("s", "STRING", false)]);
    let rows = [row(json!({"n": 1})), row(json!({"s": "x"})), row(json!({"n": 2, "zz": 1})), row(json!({"n": 3}))];
    let fates = bigquery.direct_insert(&path("t"), &rows).expect("a table");
    let told: Vec<bool> = fates.iter().map(Option::is_none).collect();
    assert_eq!(told, [true, false, false, true], "{fates:?}");
    assert_eq!(fates[2].as_deref(), Some("no such field: zz."));
    assert_eq!(server.query("SELECT n FROM d.t ORDER BY n").await, ["1", "3"]);
    let refused = |table: &str| bigquery.direct_insert(&path(table), &rows).expect_err("no table");
    assert!(matches!(refused("v"), DirectError::Refused(_)) && matches!(refused("nix"), DirectError::NotFound(_)));
    server.clock.advance(std::time::Duration::from_secs(3600));
    assert!(matches!(refused("gone"), DirectError::NotFound(_)), "it has expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_come_and_go_do_not_mix_up_values() {
    let server = Server::with(&["CREATE TABLE d.t (a STRING, b STRING, c STRING)"]).await;
    let bigquery = server.bigquery.clone();
    let writer = tokio::task::spawn_blocking(move || {
        let all = row(json!({"a": "a", "b": "b", "c": "c"}));
        let fewer = row(json!({"b": "b", "c": "c"}));
        for _ in 0..300 {
            bigquery.direct_insert(&path("t"), &[all.clone(), fewer.clone()]).expect("a table");
        }
    });
    while !writer.is_finished() {
        server.query("ALTER TABLE d.t DROP COLUMN a").await;
        server.query("ALTER TABLE d.t ADD COLUMN a STRING").await;
    }
    writer.await.expect("it wrote");
    assert!(server.query("SELECT COUNT(*) FROM d.t").await[0].parse::<u32>().expect("a count") >= 300);
    let mixed =
        "SELECT COUNT(*) FROM d.t WHERE IFNULL(a, 'a') != 'a' OR b IS DISTINCT FROM 'b' OR c IS DISTINCT FROM 'c'";
    assert_eq!(server.query(mixed).await, ["0"]);
}
