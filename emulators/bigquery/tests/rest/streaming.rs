//! `tabledata.insertAll`: de-duplication, bad rows, and the streaming buffer that DML may not touch.

use std::time::Duration;

use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn an_insert_id_counts_once_within_a_minute() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64)"]).await;
    server.insert_all("t", &[("a", json!({"n": 1})), ("a", json!({"n": 1})), ("b", json!({"n": 2}))]).await;
    server.insert_all("t", &[("a", json!({"n": 1})), ("", json!({"n": 3})), ("", json!({"n": 3}))]).await;
    assert_eq!(server.rows("SELECT n FROM d.t ORDER BY n").await, [["1"], ["2"], ["3"], ["3"]]);
    server.advance(Duration::from_secs(61));
    server.insert_all("t", &[("a", json!({"n": 1}))]).await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "5");
}

#[tokio::test]
async fn streamed_rows_cannot_be_changed_for_ninety_minutes() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64)", "INSERT INTO d.t (n) VALUES (1)"]).await;
    server.insert_all("t", &[("", json!({"n": 2}))]).await;
    assert_eq!(server.value("SELECT SUM(n) FROM d.t").await, "3");
    assert_eq!(server.table("t").await["streamingBuffer"]["estimatedRows"], "1");

    let refused = (
        400,
        "invalidQuery".to_owned(),
        "UPDATE or DELETE statement over table scrimmage.d.t would affect rows in the streaming buffer, which is not supported".to_owned(),
    );
    let merge = "MERGE d.t T USING (SELECT 2 AS n) S ON T.n = S.n WHEN MATCHED THEN DELETE";
    for sql in ["UPDATE d.t SET n = 0 WHERE n = 2", "DELETE FROM d.t WHERE true", merge] {
        assert_eq!(server.refused(sql).await, refused, "{sql}");
    }
    // Rows beside the buffered ones can be changed.
    server.run("UPDATE d.t SET n = 10 WHERE n = 1").await;

    server.advance(Duration::from_secs(89 * 60));
    assert_eq!(server.refused("DELETE FROM d.t WHERE true").await, refused);
    server.advance(Duration::from_secs(2 * 60));
    server.run("DELETE FROM d.t WHERE true").await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "0");
}

#[tokio::test]
async fn the_buffer_leaves_the_table_resource_with_its_rows() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64)"]).await;
    server.insert_all("t", &[("", json!({"n": 2}))]).await;
    server.advance(Duration::from_secs(30 * 60));
    server.insert_all("t", &[("", json!({"n": 3}))]).await;
    let buffer = server.table("t").await["streamingBuffer"].clone();
    assert_eq!((&buffer["estimatedRows"], &buffer["oldestEntryTime"]), (&json!("2"), &json!("1767225600000")));
    server.advance(Duration::from_secs(61 * 60));
    let buffer = server.table("t").await["streamingBuffer"].clone();
    assert_eq!((&buffer["estimatedRows"], &buffer["oldestEntryTime"]), (&json!("1"), &json!("1767227400000")));
    server.advance(Duration::from_secs(30 * 60));
    assert_eq!(server.table("t").await.get("streamingBuffer"), None);
}

#[tokio::test]
async fn rows_of_loads_and_dml_can_be_changed_at_once() {
    let server = Server::with(&["CREATE TABLE d.t (n INTEGER)"]).await;
    server.load("t", json!([{"name": "n", "type": "INTEGER"}]), "{\"n\": 1}", json!({})).await;
    server.run("INSERT INTO d.t (n) VALUES (2)").await;
    server.run("DELETE FROM d.t WHERE true").await;
}

#[tokio::test]
async fn one_bad_row_stops_them_all() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64)"]).await;
    let rows = [("", json!({"n": 1})), ("", json!({"m": 2})), ("", json!({"n": "x"}))];
    let answer = server.insert_all("t", &rows).await;
    let errors = answer["insertErrors"].as_array().expect("errors");
    let of = |index: u64| errors.iter().find(|error| error["index"] == index).map(|error| error["errors"][0].clone());
    let unknown = of(1).expect("the unknown field");
    assert_eq!((&unknown["reason"], &unknown["location"]), (&json!("invalid"), &json!("m")));
    assert_eq!(unknown["message"], "no such field: m.");
    assert_eq!(of(2).expect("the wrong type")["location"], "n");
    assert_eq!(of(0).expect("the good one")["reason"], "stopped");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "0");

    let lenient = json!({"skipInvalidRows": true, "ignoreUnknownValues": true,
        "rows": [{"json": {"n": 1}}, {"json": {"n": 2, "m": 2}}, {"json": {"n": "x"}}]});
    let answer = server.post("/projects/scrimmage/datasets/d/tables/t/insertAll", lenient).await.ok();
    assert_eq!(answer["insertErrors"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.value("SELECT SUM(n) FROM d.t").await, "3");
}

#[tokio::test]
async fn a_table_has_to_be_there() {
    let server = Server::with_dataset().await;
    let rows = json!({"rows": [{"json": {}}]});
    let answer = server.post("/projects/scrimmage/datasets/d/tables/t/insertAll", rows).await;
    assert_eq!(answer.error(), (404, "notFound".into(), "Not found: Table scrimmage:d.t".into()));
    let rows = json!({"rows": []});
    let answer = server.post("/projects/scrimmage/datasets/d/tables/t/insertAll", rows).await;
    assert_eq!(answer.error().2, "No rows present in the request.");
}
