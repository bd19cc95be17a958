//! What query jobs say of themselves: cache hits, plans, optional jobs, time limits, INFORMATION_SCHEMA.JOBS.

use serde_json::{Value, json};

use crate::support::Server;

#[tokio::test]
async fn the_same_query_over_the_same_rows_is_a_cache_hit() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS n", "CREATE VIEW d.v AS SELECT n FROM d.t"]).await;
    let hit = |sql: &'static str| {
        let server = &server;
        async move { server.run(sql).await["cacheHit"] == true }
    };
    assert!(!hit("SELECT n FROM d.t").await);
    let again = server.run("SELECT n FROM d.t").await;
    assert_eq!((&again["cacheHit"], &again["totalBytesProcessed"]), (&json!(true), &json!("0")));
    assert_eq!(again["rows"], json!([{"f": [{"v": "1"}]}]));
    server.run("INSERT d.t VALUES (2)").await;
    assert!(!hit("SELECT n FROM d.t").await, "the table has changed");
    assert!(hit("SELECT n FROM d.t").await);
    for sql in ["SELECT n, RAND() FROM d.t", "SELECT n FROM d.v", "SELECT 1"] {
        assert!(!hit(sql).await && !hit(sql).await, "{sql}");
    }
    let fresh = json!({"query": "SELECT n FROM d.t", "useQueryCache": false});
    assert_eq!(server.post("/projects/scrimmage/queries", fresh).await.ok()["cacheHit"], false);
    server.advance(std::time::Duration::from_secs(25 * 3600));
    assert!(!hit("SELECT n FROM d.t").await, "a day has passed");
}

#[tokio::test]
async fn jobs_describe_their_stages_and_are_rows_of_a_view() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS n"]).await;
    let job = server.job(json!({"query": {"query": "SELECT n FROM d.t"}, "labels": {"team": "x"}})).await;
    let query = &job["statistics"]["query"];
    assert_eq!(
        (&query["queryPlan"][0]["name"], &query["queryPlan"][1]["name"]),
        (&json!("S00: Input"), &json!("S01: Output"))
    );
    assert_eq!(query["timeline"][0]["completedUnits"], "2");
    let id = job["jobReference"]["jobId"].as_str().expect("an id");
    let sql = format!(
        "SELECT job_type, statement_type, state, query, referenced_tables[0].table_id, labels[0].value, cache_hit
         FROM `region-us`.INFORMATION_SCHEMA.JOBS WHERE job_id = '{id}'"
    );
    assert_eq!(server.rows(&sql).await, [["QUERY", "SELECT", "DONE", "SELECT n FROM d.t", "t", "x", "false"]]);
    assert_eq!(server.query("SELECT nix FROM d.t").await.status, 400);
    let sql =
        "SELECT error_result.reason FROM `region-us`.INFORMATION_SCHEMA.JOBS_BY_USER WHERE error_result IS NOT NULL";
    assert_eq!(server.rows(sql).await, [["invalidQuery"]]);
}

#[tokio::test]
async fn a_query_may_leave_no_job_behind() {
    let server = Server::with_dataset().await;
    let body = json!({"query": "SELECT 1", "jobCreationMode": "JOB_CREATION_OPTIONAL"});
    let answer = server.post("/projects/scrimmage/queries", body).await.ok();
    assert!(answer.get("jobReference").is_none() && answer["queryId"].is_string());
    assert_eq!(answer["rows"], json!([{"f": [{"v": "1"}]}]));
    assert!(server.get("/projects/scrimmage/jobs").await.ok().get("jobs").is_none());
}

#[tokio::test]
async fn metadata_is_shown_in_the_documented_views() {
    let server = Server::with(&[
        "CREATE TABLE d.o (id INT64, PRIMARY KEY (id) NOT ENFORCED)",
        "CREATE TABLE d.t (id INT64, o INT64, FOREIGN KEY (o) REFERENCES d.o (id) NOT ENFORCED)",
        "INSERT d.t VALUES (1, 1), (2, 1)",
        "CREATE MATERIALIZED VIEW d.m AS SELECT o, COUNT(*) AS n FROM d.t GROUP BY o",
        "CREATE SNAPSHOT TABLE d.s CLONE d.t",
    ])
    .await;
    assert_eq!(
        server
            .rows("SELECT constraint_name, constraint_type FROM d.INFORMATION_SCHEMA.TABLE_CONSTRAINTS ORDER BY 1")
            .await,
        [["o.pk$", "PRIMARY KEY"], ["t.fk$1", "FOREIGN KEY"]]
    );
    assert_eq!(
        server
            .rows(
                "SELECT table_name, column_name, ordinal_position FROM d.INFORMATION_SCHEMA.KEY_COLUMN_USAGE ORDER BY 1"
            )
            .await,
        [["o", "id", "1"], ["t", "o", "1"]]
    );
    assert_eq!(
        server.rows("SELECT table_name, column_name FROM d.INFORMATION_SCHEMA.CONSTRAINT_COLUMN_USAGE ORDER BY constraint_name").await,
        [["o", "id"], ["o", "id"]]
    );
    assert_eq!(
        server
            .rows(
                "SELECT table_name, total_rows FROM `region-us`.INFORMATION_SCHEMA.TABLE_STORAGE WHERE table_name = 't'"
            )
            .await,
        [["t", "2"]]
    );
    assert_eq!(server.rows("SELECT table_id, row_count, type FROM d.__TABLES__ ORDER BY 1").await.len(), 4);
    assert_eq!(server.rows("SELECT table_id FROM d.__TABLES_SUMMARY__ WHERE type = 2").await, [["m"]]);
    assert_eq!(server.rows("SELECT base_table_name FROM d.INFORMATION_SCHEMA.TABLE_SNAPSHOTS").await, [["t"]]);
    assert_eq!(server.rows("SELECT table_name FROM d.INFORMATION_SCHEMA.MATERIALIZED_VIEWS").await, [["m"]]);
    assert_eq!(
        server.value("SELECT ddl FROM d.INFORMATION_SCHEMA.TABLES WHERE table_name = 'o'").await,
        "CREATE TABLE `scrimmage.d.o`\n(\n  id INT64\n);"
    );
    assert_eq!(server.refused("SELECT * FROM d.INFORMATION_SCHEMA.JOBS").await.0, 404, "jobs belong to no dataset");
}

#[tokio::test]
async fn only_queries_have_a_destination() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS x"]).await;
    let table = json!({"projectId": "scrimmage", "datasetId": "d", "tableId": "o"});
    for (sql, text) in [
        ("CREATE TABLE d.u (x INT64)", "Cannot set destination table in jobs with DDL statements"),
        ("DELETE FROM d.t WHERE TRUE", "Cannot set destination table in jobs with DML statements"),
        ("SELECT 1; SELECT 2", "configuration.query.destinationTable cannot be set for scripts"),
    ] {
        let job = server.job(json!({"query": {"query": sql, "useLegacySql": false, "destinationTable": table}})).await;
        assert_eq!(job["status"]["errorResult"]["message"], text, "{sql}");
    }
    assert_eq!(server.rows("SELECT * FROM d.t").await, [["1"]]);
    let write = async |sql: &str, disposition: &str| {
        let query =
            json!({"query": sql, "useLegacySql": false, "destinationTable": table, "writeDisposition": disposition});
        server.job(json!({ "query": query })).await["status"].get("errorResult").cloned()
    };
    server.run("CREATE TABLE d.o (x INT64, y STRING)").await;
    assert_eq!(write("SELECT 7 AS x", "WRITE_TRUNCATE_DATA").await, None);
    assert_eq!(server.rows("SELECT x, y FROM d.o").await, [["7", "NULL"]]);
    assert!(write("SELECT 'a' AS x", "WRITE_TRUNCATE_DATA").await.is_some(), "the schema stays");
}

#[tokio::test]
async fn what_a_configuration_says_is_looked_at() {
    let server = Server::with_dataset().await;
    let query = |more: Value| {
        let mut query = json!({"query": "SELECT 1", "useLegacySql": false});
        for (key, value) in more.as_object().into_iter().flatten() {
            query[key] = value.clone();
        }
        json!({"configuration": {"query": query}})
    };
    let mut labelled = query(json!({}));
    labelled["configuration"]["labels"] = json!({"Team": "a"});
    let mut two = query(json!({}));
    two["configuration"]["load"] = json!({});
    for (body, word) in [
        (query(json!({"priority": "SOON"})), "priority"),
        (query(json!({"createDisposition": "CREATE_MAYBE"})), "createDisposition"),
        (query(json!({"schemaUpdateOptions": ["ALLOW_ALL"]})), "schemaUpdateOptions"),
        (labelled, "Label key \"Team\" has invalid characters."),
        (two, "exactly one"),
    ] {
        let (status, _, message) = server.post("/projects/scrimmage/jobs", body.clone()).await.error();
        assert_eq!((status, message.contains(word)), (400, true), "{body}: {message}");
    }
}

#[tokio::test]
async fn connection_properties_set_the_time_zone() {
    let server = Server::with_dataset().await;
    let ask = async |zone: &str| {
        let sql = "SELECT STRING(TIMESTAMP '2026-01-01 00:00:00+00')";
        let properties = json!([{"key": "time_zone", "value": zone}]);
        let body = json!({"query": sql, "useLegacySql": false, "connectionProperties": properties});
        server.post("/projects/scrimmage/queries", body).await
    };
    assert_eq!(ask("Asia/Tokyo").await.ok()["rows"][0]["f"][0]["v"], "2026-01-01 09:00:00+09");
    assert_eq!(ask("UTC").await.ok()["rows"][0]["f"][0]["v"], "2026-01-01 00:00:00+00");
    assert_eq!(ask("Moon/Base").await.error().0, 400);
}

#[tokio::test]
async fn a_function_made_by_rest_is_resolved() {
    let server = Server::with_dataset().await;
    let make = async |id: &str, body: &str| {
        let resource = json!({
            "routineReference": {"projectId": "scrimmage", "datasetId": "d", "routineId": id},
            "routineType": "SCALAR_FUNCTION", "language": "SQL", "definitionBody": body,
            "arguments": [{"name": "x", "dataType": {"typeKind": "INT64"}}],
        });
        server.post("/projects/scrimmage/datasets/d/routines", resource).await
    };
    assert_eq!(make("good", "x + 1").await.status, 200);
    assert_eq!(server.rows("SELECT d.good(2)").await, [["3"]]);
    let (status, reason, message) = make("bad", "y + 1").await.error();
    assert_eq!((status, reason.as_str(), message.as_str()), (400, "invalidQuery", "Unrecognized name: y"));
}
