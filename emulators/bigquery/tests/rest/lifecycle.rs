//! Expiry by the clock, and forgetting everything.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn tables_expire_by_the_clock() {
    let server = Server::with(&[
        "CREATE TABLE d.short (a INT64) OPTIONS(expiration_timestamp = TIMESTAMP '2026-01-01 02:00:00+00')",
        "CREATE TABLE d.long (a INT64)",
    ])
    .await;
    assert_eq!(server.table("short").await["expirationTime"], "1767232800000");
    server.advance(HOUR);
    assert_eq!(server.query("SELECT * FROM d.short").await.status, 200);
    server.patch("/projects/scrimmage/datasets/d/tables/long", json!({"expirationTime": "1767236400000"})).await.ok();
    server.advance(HOUR);
    assert_eq!(server.refused("SELECT * FROM d.short").await.0, 404);
    server.table("long").await;
    server.advance(HOUR);
    let list = server.get("/projects/scrimmage/datasets/d/tables").await.ok();
    assert_eq!((list.get("tables"), &list["totalItems"]), (None, &json!(0)));
}

#[tokio::test]
async fn a_dataset_gives_its_tables_their_time() {
    let server = Server::start().await;
    let dataset = json!({"datasetReference": {"datasetId": "d"}, "defaultTableExpirationMs": "3600000"});
    server.post("/projects/scrimmage/datasets", dataset).await.ok();
    server.run("CREATE TABLE d.t AS SELECT 1 AS a").await;
    assert_eq!(server.table("t").await["expirationTime"], "1767229200000");
    server.advance(HOUR);
    assert_eq!(server.get("/projects/scrimmage/datasets/d/tables/t").await.status, 404);
}

#[tokio::test]
async fn results_are_kept_for_a_day() {
    let server = Server::start().await;
    let id = server.run("SELECT 1").await["jobReference"]["jobId"].as_str().expect("an id").to_owned();
    let job = server.get(&format!("/projects/scrimmage/jobs/{id}")).await.ok();
    let table = &job["configuration"]["query"]["destinationTable"];
    let text = |key: &str| table[key].as_str().expect("a name").to_owned();
    let path = format!("/projects/scrimmage/datasets/{}/tables/{}", text("datasetId"), text("tableId"));
    server.advance(23 * HOUR);
    server.get(&path).await.ok();
    server.advance(2 * HOUR);
    assert_eq!(server.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_reset_forgets_datasets_and_jobs() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    let job = json!({"jobReference": {"jobId": "mine"}, "configuration": {"query": {"query": "SELECT 1"}}});
    server.post("/projects/scrimmage/jobs", job.clone()).await.ok();
    server.app.reset();
    let list = server.get("/projects/scrimmage/datasets").await.ok();
    assert_eq!(list.get("datasets"), None::<&Value>);
    assert_eq!(server.get("/projects/scrimmage/jobs/mine").await.status, 404);
    server.post("/projects/scrimmage/jobs", job).await.ok();
    assert_eq!(server.refused("SELECT * FROM d.t").await.0, 404);
}

#[tokio::test]
async fn a_reset_ends_what_waits_and_what_runs_changes_nothing_after_it() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    let change = server.begin_dml("UPDATE d.t SET a = 2 WHERE true");
    let held = [server.hold_dml("t"), server.hold_dml("t")];
    let job = json!({"jobReference": {"jobId": "waits"}, "configuration": {"query": {"query": "DELETE FROM d.t WHERE true"}}});
    let waits = server.post("/projects/scrimmage/jobs", job);
    let (answer, ()) = futures::join!(waits, async {
        server.dml_waiting("t", 1).await;
        server.app.reset();
    });
    answer.ok();
    let dataset = json!({"datasetReference": {"datasetId": "d"}});
    server.post("/projects/scrimmage/datasets", dataset).await.ok();
    server.run("CREATE TABLE d.t AS SELECT 1 AS a").await;
    assert!(change.commit().is_err());
    // The queue is empty again, and turns of before do not let anybody in or out.
    let now = [server.hold_dml("t"), server.hold_dml("t")];
    drop(held);
    assert_eq!(
        server.app.store.lock().dml.outstanding(&scrimmage_googlesql::catalog::TablePath {
            project: "scrimmage".into(),
            dataset: "d".into(),
            table: "t".into()
        }),
        (2, 0)
    );
    drop(now);
    server.run("UPDATE d.t SET a = a + 5 WHERE true").await;
    assert_eq!(server.value("SELECT a FROM d.t").await, "6");
}
