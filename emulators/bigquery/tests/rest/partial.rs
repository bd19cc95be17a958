//! What a client may leave out of an answer, and what stops a statement: memory, cancellation, dialects.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::support::{Server, rows_of};

#[tokio::test]
async fn fields_choose_the_part_of_an_answer() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT n, 'x' AS s FROM UNNEST([1, 2]) AS n"]).await;
    let table = "/projects/scrimmage/datasets/d/tables/t";
    let part = server.get(&format!("{table}?fields=tableReference/tableId,schema(fields/name)")).await.ok();
    let wanted = json!({"schema": {"fields": [{"name": "n"}, {"name": "s"}]}, "tableReference": {"tableId": "t"}});
    assert_eq!(part, wanted);
    let list = server.get("/projects/scrimmage/datasets/d/tables?fields=tables/id&prettyPrint=true").await.ok();
    assert_eq!(list, json!({"tables": [{"id": "scrimmage:d.t"}]}));
    let rows = server.get(&format!("{table}/data?fields=rows,totalRows&prettyPrint=false")).await.ok();
    assert_eq!((rows_of(&rows).len(), &rows["totalRows"], rows.get("kind")), (2, &json!("2"), None));
    assert_eq!(server.get(&format!("{table}?fields=a(")).await.error().1, "invalidParameter");
    // A refusal is whole.
    assert_eq!(server.get("/projects/scrimmage/datasets/d/tables/none?fields=id").await.error().0, 404);
}

#[tokio::test]
async fn selected_fields_reach_into_records() {
    let server = Server::with(&[
        "CREATE TABLE d.t AS SELECT STRUCT(1 AS a, 'x' AS b) AS r, [STRUCT(2 AS c, 3 AS d)] AS l, 4 AS n",
    ])
    .await;
    let data = "/projects/scrimmage/datasets/d/tables/t/data";
    let list = server.get(&format!("{data}?selectedFields=r.b,l.c")).await.ok();
    let cell = |value: Value| json!({ "v": value });
    let record = |value: Value| cell(json!({"f": [value]}));
    let wanted = json!([{"f": [record(cell(json!("x"))), cell(json!([record(cell(json!("2")))]))]}]);
    assert_eq!(list["rows"], wanted);
    assert_eq!(server.get(&format!("{data}?selectedFields=nix")).await.error().0, 400);
}

#[tokio::test]
async fn a_statement_that_takes_too_much_memory_fails() {
    let server = Server::with_dataset().await;
    server.app.statement_bytes.store(4 << 20, Ordering::Relaxed);
    let sql = "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS n)";
    let (status, reason, message) = server.refused(sql).await;
    assert_eq!((status, reason.as_str()), (400, "resourcesExceeded"), "{message}");
    assert!(message.starts_with("Resources exceeded during query execution"), "{message}");
    assert_eq!(server.value("SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS n").await, "1000");
}

#[tokio::test]
async fn a_running_query_is_cancelled() {
    let server = Server::with_dataset().await;
    let sql = "SELECT COUNTIF(a * b > 7) FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a
               CROSS JOIN UNNEST(GENERATE_ARRAY(1, 1000000)) AS b";
    let body = json!({
        "jobReference": {"projectId": "scrimmage", "jobId": "long"},
        "configuration": {"query": {"query": sql, "useLegacySql": false}},
    });
    let insert = server.post("/projects/scrimmage/jobs", body);
    let cancel = async {
        loop {
            let job = server.get("/projects/scrimmage/jobs/long").await;
            if job.status == 200 && job.body["status"]["state"] == "RUNNING" {
                return server.post("/projects/scrimmage/jobs/long/cancel", json!({})).await.ok();
            }
            tokio::task::yield_now().await;
        }
    };
    let (job, cancelled) = tokio::join!(insert, cancel);
    assert_eq!(cancelled["kind"], "bigquery#jobCancelResponse");
    let job = server.done(job.ok()).await;
    assert_eq!(job["status"]["errorResult"]["reason"], "stopped", "{job}");
    assert_eq!(server.get("/projects/scrimmage/queries/long").await.error().1, "stopped");
}

#[tokio::test]
async fn legacy_sql_and_orc_are_refused_clearly() {
    let server = Server::with_dataset().await;
    let ask = async |sql: &str, legacy: bool| {
        server.post("/projects/scrimmage/queries", json!({"query": sql, "useLegacySql": legacy})).await
    };
    for (sql, legacy) in [("SELECT 1", true), ("#legacySQL\nSELECT 1", false)] {
        let (status, reason, message) = ask(sql, legacy).await.error();
        assert_eq!((status, reason.as_str()), (501, "notImplemented"));
        assert!(message.starts_with("Legacy SQL is not implemented"), "{message}");
    }
    assert_eq!(rows_of(&ask("#standardSQL\nSELECT 1", true).await.ok()), [["1"]]);
    let table = json!({"projectId": "scrimmage", "datasetId": "d", "tableId": "t"});
    let load = json!({"destinationTable": table, "sourceFormat": "ORC", "sourceUris": ["gs://b/x.orc"]});
    let refused = server.post("/projects/scrimmage/jobs", json!({"configuration": {"load": load}})).await.error();
    assert_eq!((refused.0, refused.1.as_str()), (501, "notImplemented"));
}

#[tokio::test]
async fn load_data_is_a_statement() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with_folder(folder.path()).await;
    std::fs::create_dir(folder.path().join("b")).expect("a bucket");
    std::fs::write(folder.path().join("b/1.csv"), "n;s\n1;x\n2;y\n").expect("a file");
    std::fs::write(folder.path().join("b/2.json"), "{\"n\": 3, \"s\": \"z\"}\n").expect("a file");
    let answer = server
        .run(
            "LOAD DATA INTO d.t (n INT64, s STRING) CLUSTER BY n OPTIONS(description = 'loaded')
             FROM FILES (format = 'CSV', uris = ['gs://b/*.csv'], skip_leading_rows = 1, field_delimiter = ';')",
        )
        .await;
    assert_eq!(answer["statementType"], "LOAD_DATA");
    server.run("LOAD DATA INTO d.t FROM FILES (format = 'JSON', uris = ['gs://b/2.json'])").await;
    assert_eq!(server.rows("SELECT n, s FROM d.t ORDER BY n").await, [["1", "x"], ["2", "y"], ["3", "z"]]);
    let table = server.table("t").await;
    assert_eq!((&table["description"], &table["clustering"]["fields"]), (&json!("loaded"), &json!(["n"])));
    let job = server
        .job(json!({"query": {"query":
            "LOAD DATA OVERWRITE d.t FROM FILES (format = 'JSON', uris = ['gs://b/2.json'])"}}))
        .await;
    assert_eq!(job["statistics"]["query"]["loadQueryStatistics"]["outputRows"], "1", "{job}");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "1");
    for wrong in [
        "format = 'CSV'",
        "uris = ['gs://b/1.csv']",
        "format = 'CSV', uris = ['gs://b/nix.csv']",
        "format = 'CSV', uris = ['gs://b/1.csv'], nix = 1",
        "format = 'ORC', uris = ['gs://b/1.csv']",
    ] {
        let (status, ..) = server.refused(&format!("LOAD DATA INTO d.t FROM FILES ({wrong})")).await;
        assert!((400..=501).contains(&status), "{wrong}");
    }
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "1");
}
