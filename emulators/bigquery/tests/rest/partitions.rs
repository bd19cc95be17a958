//! Partitioned tables: filters that are required, decorators, ingestion time, expiry.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{PROJECT, Server};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_required_filter_is_asked_of_queries_and_dml_alike() {
    let server = Server::with(&[
        "CREATE TABLE d.t (game_date DATE, n INT64) PARTITION BY game_date OPTIONS(require_partition_filter = true)",
        "INSERT INTO d.t (game_date, n) VALUES ('2026-01-01', 1), ('2026-01-02', 2)",
    ])
    .await;
    let refused = (
        400,
        "invalidQuery".to_owned(),
        "Cannot query over table 'scrimmage.d.t' without a filter over column(s) 'game_date' that can be used for partition elimination".to_owned(),
    );
    for sql in [
        "SELECT * FROM d.t",
        "SELECT * FROM d.t WHERE n = 1",
        "UPDATE d.t SET n = 0 WHERE n = 1",
        "DELETE FROM d.t WHERE true",
        "MERGE d.t T USING (SELECT 1 AS n) S ON T.n = S.n WHEN MATCHED THEN DELETE",
        "SELECT (SELECT COUNT(*) FROM d.t)",
    ] {
        assert_eq!(server.refused(sql).await, refused, "{sql}");
    }
    assert_eq!(server.rows("SELECT n FROM d.t WHERE game_date = '2026-01-01'").await, [["1"]]);
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE game_date > '2025-01-01' AND n > 0").await, "2");
    server
        .run("MERGE d.t T USING (SELECT 1 AS n) S ON T.n = S.n AND T.game_date = '2026-01-01' WHEN MATCHED THEN UPDATE SET n = 9")
        .await;
    assert_eq!(server.value("SELECT SUM(n) FROM d.t WHERE game_date IS NOT NULL").await, "11");
    assert_eq!(server.table("t").await["requirePartitionFilter"], true);
    server.run("ALTER TABLE d.t SET OPTIONS(require_partition_filter = false)").await;
    assert_eq!(server.value("SELECT SUM(n) FROM d.t").await, "11");
}

#[tokio::test]
async fn a_decorator_writes_one_partition() {
    let server = Server::with(&[
        "CREATE TABLE d.t (day DATE, n INT64) PARTITION BY day",
        "INSERT INTO d.t VALUES ('2026-01-01', 1), ('2026-01-02', 2)",
    ])
    .await;
    let into = |rows: &'static str, write: &'static str| {
        let server = &server;
        async move {
            let fields = json!([{"name": "day", "type": "DATE"}, {"name": "n", "type": "INTEGER"}]);
            server.load("t$20260101", fields, rows, json!({"writeDisposition": write})).await
        }
    };
    let job = into("{\"day\": \"2026-01-01\", \"n\": 10}", "WRITE_TRUNCATE").await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(server.rows("SELECT n FROM d.t ORDER BY n").await, [["2"], ["10"]]);
    let job = into("{\"day\": \"2026-01-02\", \"n\": 11}", "WRITE_APPEND").await;
    assert_eq!(job["status"]["errorResult"]["reason"], "invalid", "{job}");
    assert_eq!(server.rows("SELECT n FROM d.t ORDER BY n").await, [["2"], ["10"]]);

    let job = server
        .job(json!({"query": {
            "query": "SELECT DATE '2026-01-02' AS day, 20 AS n",
            "destinationTable": {"projectId": PROJECT, "datasetId": "d", "tableId": "t$20260102"},
            "writeDisposition": "WRITE_TRUNCATE",
        }}))
        .await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(server.rows("SELECT n FROM d.t ORDER BY n").await, [["10"], ["20"]]);

    let listed = server.get("/projects/scrimmage/datasets/d/tables/t$20260101/data").await.ok();
    assert_eq!(crate::support::rows_of(&listed), [["2026-01-01", "10"]]);
    server.delete("/projects/scrimmage/datasets/d/tables/t$20260101").await.ok();
    assert_eq!(server.rows("SELECT n FROM d.t").await, [["20"]]);
}

#[tokio::test]
async fn rows_know_when_they_were_ingested() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64) PARTITION BY _PARTITIONDATE"]).await;
    server.run("INSERT INTO d.t (n) VALUES (1)").await;
    server.advance(DAY);
    let fields = json!([{"name": "n", "type": "INTEGER"}]);
    server.load("t", fields.clone(), "{\"n\": 2}", json!({})).await;
    let job = server.load("t$20251224", fields, "{\"n\": 3}", json!({})).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(
        server.rows("SELECT n, _PARTITIONDATE, _PARTITIONTIME = TIMESTAMP(_PARTITIONDATE) FROM d.t ORDER BY n").await,
        [["1", "2026-01-01", "true"], ["2", "2026-01-02", "true"], ["3", "2025-12-24", "true"]]
    );
    assert_eq!(server.rows("SELECT n FROM d.t WHERE _PARTITIONDATE = '2025-12-24'").await, [["3"]]);
    assert_eq!(
        server.rows("SELECT * FROM d.t WHERE _PARTITIONTIME > TIMESTAMP '2026-01-01 12:00:00+00'").await,
        [["2"]]
    );
    let resource = server.table("t").await;
    assert_eq!(resource["timePartitioning"], json!({"type": "DAY"}));
}

#[tokio::test]
async fn partitions_expire_by_the_clock() {
    let server = Server::with(&[
        "CREATE TABLE d.t (day DATE, n INT64) PARTITION BY day OPTIONS(partition_expiration_days = 3)",
        "INSERT INTO d.t VALUES ('2026-01-01', 1), ('2026-01-02', 2), (NULL, 3)",
    ])
    .await;
    server.advance(2 * DAY);
    assert_eq!(server.rows("SELECT n FROM d.t ORDER BY n").await, [["1"], ["2"], ["3"]]);
    server.advance(DAY);
    assert_eq!(server.rows("SELECT n FROM d.t ORDER BY n").await, [["2"], ["3"]]);
    server.advance(DAY);
    assert_eq!(server.rows("SELECT n FROM d.t ORDER BY n").await, [["3"]]);
}

#[tokio::test]
async fn integer_ranges_partition_too() {
    let server = Server::with(&[
        "CREATE TABLE d.t (id INT64, s STRING) PARTITION BY RANGE_BUCKET(id, GENERATE_ARRAY(0, 100, 10)) CLUSTER BY s",
        "INSERT INTO d.t VALUES (5, 'a'), (15, 'b'), (1000, 'c'), (NULL, 'd')",
    ])
    .await;
    assert_eq!(server.rows("SELECT s FROM d.t WHERE id >= 10 ORDER BY s").await, [["b"], ["c"]]);
    assert_eq!(server.rows("SELECT s FROM d.t WHERE id IS NULL").await, [["d"]]);
    let resource = server.table("t").await;
    assert_eq!(resource["rangePartitioning"]["range"], json!({"start": "0", "end": "100", "interval": "10"}));
    assert_eq!(resource["clustering"]["fields"], json!(["s"]));
    let ids = server
        .rows("SELECT partition_id FROM d.INFORMATION_SCHEMA.PARTITIONS WHERE table_name = 't' ORDER BY partition_id")
        .await;
    assert_eq!(ids, [["0"], ["10"], ["__NULL__"], ["__UNPARTITIONED__"]]);
}

#[tokio::test]
async fn a_float_cannot_partition() {
    let server = Server::with(&["CREATE TABLE d.t (line FLOAT64)"]).await;
    let (status, reason, message) = server.refused("SELECT ROW_NUMBER() OVER (PARTITION BY line) FROM d.t").await;
    assert_eq!((status, reason.as_str()), (400, "invalidQuery"));
    assert_eq!(message, "Partitioning by expressions of type FLOAT64 is not allowed at [1:40]");
    let sql = "SELECT ROW_NUMBER() OVER (PARTITION BY CAST(COALESCE(line, -1) AS INT64)) FROM d.t";
    assert_eq!(server.query(sql).await.status, 200);
    assert_eq!(server.refused("CREATE TABLE d.u (line FLOAT64) PARTITION BY line").await.0, 400);
    let body = json!({"tableReference": {"tableId": "v"}, "schema": {"fields": [{"name": "f", "type": "FLOAT"}]},
        "timePartitioning": {"type": "DAY", "field": "f"}});
    assert_eq!(server.post("/projects/scrimmage/datasets/d/tables", body).await.error().0, 400);
}

#[tokio::test]
async fn tables_made_by_rest_are_partitioned_too() {
    let server = Server::with_dataset().await;
    let body = json!({
        "tableReference": {"projectId": PROJECT, "datasetId": "d", "tableId": "t"},
        "schema": {"fields": [{"name": "moment", "type": "TIMESTAMP"}, {"name": "n", "type": "INTEGER"}]},
        "timePartitioning": {"type": "HOUR", "field": "moment", "expirationMs": "7200000"},
        "requirePartitionFilter": true,
        "clustering": {"fields": ["n"]},
    });
    let made = server.post("/projects/scrimmage/datasets/d/tables", body).await.ok();
    assert_eq!(made["timePartitioning"]["type"], "HOUR");
    assert_eq!(made["requirePartitionFilter"], Value::Bool(true));
    server
        .run("INSERT INTO d.t VALUES (TIMESTAMP '2026-01-01 00:30:00+00', 1), (TIMESTAMP '2026-01-01 01:30:00+00', 2)")
        .await;
    assert_eq!(server.refused("SELECT n FROM d.t").await.0, 400);
    assert_eq!(server.rows("SELECT n FROM d.t WHERE moment >= '2026-01-01 01:00:00+00'").await, [["2"]]);
    server.advance(Duration::from_secs(2 * 3600));
    assert_eq!(server.rows("SELECT n FROM d.t WHERE moment IS NOT NULL").await, [["2"]]);
}

#[tokio::test]
async fn a_table_written_row_by_row_stays_in_few_pieces() {
    let server = Server::with(&["CREATE TABLE d.t (day DATE, n INT64) PARTITION BY day"]).await;
    // Two hundred partitions of one row each are as few pieces as there can be.
    server.run("INSERT INTO d.t (day, n) SELECT day, 0 FROM UNNEST(GENERATE_DATE_ARRAY('2026-01-01', '2026-07-19')) AS day").await;
    let pieces = || {
        let path =
            scrimmage_googlesql::catalog::TablePath { project: PROJECT.into(), dataset: "d".into(), table: "t".into() };
        server.app.store.lock().table(&path).expect("there").current().segments.len()
    };
    assert_eq!(pieces(), 200);
    let update = server.begin_dml("UPDATE d.t SET n = 1 WHERE day = '2026-01-01'");
    server.run("INSERT INTO d.t (day, n) VALUES ('2026-01-02', 5)").await;
    update.commit().expect("nothing was merged under it");
    for n in 0..300 {
        server.run(&format!("INSERT INTO d.t (day, n) VALUES ('2026-01-02', {n})")).await;
    }
    assert!(pieces() < 400, "{} pieces", pieces());
    assert_eq!(server.rows("SELECT COUNT(*), SUM(n), COUNT(DISTINCT day) FROM d.t").await, [["501", "44856", "200"]]);
    assert_eq!(server.rows("SELECT COUNT(*) FROM d.t WHERE day = '2026-01-02'").await, [["302"]]);
}

#[tokio::test]
async fn partitions_are_listed_by_the_older_meta_table() {
    let server = Server::with(&[
        "CREATE TABLE d.s (day DATE) PARTITION BY day",
        "INSERT d.s VALUES ('2026-01-02'), ('2026-01-01'), (NULL)",
    ])
    .await;
    let table = "/projects/scrimmage/datasets/d/tables/s$__PARTITIONS_SUMMARY__";
    let schema = server.get(table).await.ok()["schema"]["fields"].clone();
    assert_eq!(schema[3]["name"], "partition_id");
    let data = server.get(&format!("{table}/data?selectedFields=partition_id")).await.ok();
    assert_eq!(crate::support::rows_of(&data), [["__NULL__"], ["20260101"], ["20260102"]]);
}

#[tokio::test]
async fn rewritten_rows_stay_where_they_were_ingested() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64, s STRING) PARTITION BY _PARTITIONDATE"]).await;
    let fields = json!([{"name": "n", "type": "INTEGER"}, {"name": "s", "type": "STRING"}]);
    for (day, row) in [("20251224", "{\"n\": 1}"), ("20251225", "{\"n\": 2}")] {
        let job = server.load(&format!("t${day}"), fields.clone(), row, json!({})).await;
        assert_eq!(job["status"].get("errorResult"), None, "{job}");
    }
    server.advance(DAY);
    let days = async |table: &str| server.rows(&format!("SELECT n, _PARTITIONDATE FROM d.{table} ORDER BY n")).await;
    let both = [["1", "2025-12-24"], ["2", "2025-12-25"]];
    server.run("UPDATE d.t SET s = 'u' WHERE TRUE").await;
    assert_eq!(days("t").await, both);
    server
        .run(
            "MERGE d.t T USING (SELECT n FROM UNNEST([1, 3]) AS n) S ON T.n = S.n
             WHEN MATCHED THEN UPDATE SET s = 'm' WHEN NOT MATCHED THEN INSERT (n) VALUES (n)",
        )
        .await;
    assert_eq!(days("t").await, [["1", "2025-12-24"], ["2", "2025-12-25"], ["3", "2026-01-02"]]);
    server.run("DELETE FROM d.t WHERE n = 3").await;
    server.run("BEGIN TRANSACTION; UPDATE d.t SET s = 'x' WHERE n = 1; COMMIT TRANSACTION;").await;
    server.run("ALTER TABLE d.t ALTER COLUMN n SET DATA TYPE NUMERIC").await;
    assert_eq!(days("t").await, both);
    server.run("CREATE TABLE d.copied COPY d.t").await;
    server.run("CREATE TABLE d.cloned CLONE d.t").await;
    server.run("CREATE SNAPSHOT TABLE d.snapshot CLONE d.t").await;
    let copy = async |from: &str, to: &str, more: Value| {
        let table = |id: &str| json!({"projectId": PROJECT, "datasetId": "d", "tableId": id});
        let mut copy = json!({"sourceTable": table(from), "destinationTable": table(to)});
        copy.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let job = server.job(json!({"copy": copy})).await;
        assert_eq!(job["status"].get("errorResult"), None, "{job}");
    };
    copy("t", "job", json!({})).await;
    copy("snapshot", "restored", json!({"operationType": "RESTORE"})).await;
    server.run("CREATE TABLE d.appended (n NUMERIC, s STRING) PARTITION BY _PARTITIONDATE").await;
    copy("t", "appended", json!({"writeDisposition": "WRITE_APPEND"})).await;
    copy("t$20251224", "part", json!({})).await;
    for table in ["copied", "cloned", "snapshot", "job", "restored", "appended"] {
        assert_eq!(days(table).await, both, "{table}");
    }
    assert_eq!(days("part").await, both[..1]);
}

#[tokio::test]
async fn dml_says_where_rows_belong() {
    let server = Server::with(&["CREATE TABLE d.t (n INT64) PARTITION BY _PARTITIONDATE"]).await;
    server.run("INSERT INTO d.t (_PARTITIONTIME, n) SELECT TIMESTAMP '2017-05-01', 1").await;
    server.run("INSERT INTO d.t (n, _partitiontime) VALUES (2, '2017-05-02'), (3, NULL)").await;
    let days = async || server.rows("SELECT n, _PARTITIONDATE FROM d.t ORDER BY n").await;
    assert_eq!(days().await, [["1", "2017-05-01"], ["2", "2017-05-02"], ["3", "2026-01-01"]]);
    let (status, reason, _) =
        server.refused("INSERT INTO d.t (_PARTITIONTIME, n) SELECT TIMESTAMP '2017-05-01 21:30:00', 1").await;
    assert_eq!((status, reason.as_str()), (400, "invalidQuery"));
    server.run("UPDATE d.t SET _PARTITIONTIME = '2017-06-01' WHERE n = 1").await;
    server
        .run(
            "MERGE d.t T USING (SELECT 4 AS n) S ON T.n = S.n
             WHEN NOT MATCHED THEN INSERT (n, _PARTITIONTIME) VALUES (n, TIMESTAMP '2017-05-04')",
        )
        .await;
    let all = [["1", "2017-06-01"], ["2", "2017-05-02"], ["3", "2026-01-01"], ["4", "2017-05-04"]];
    assert_eq!(days().await, all);
    assert_eq!(server.refused("INSERT INTO d.t VALUES (1, TIMESTAMP '2017-05-01')").await.0, 400);
    server.run("CREATE TABLE d.plain (n INT64)").await;
    assert_eq!(server.refused("INSERT INTO d.plain (_PARTITIONTIME, n) VALUES (NULL, 1)").await.0, 400);
}
