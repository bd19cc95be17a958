//! Methods and parameters of the REST API that are less travelled: routines, undelete, templates, views of resources.

use serde_json::{Value, json};

use crate::support::Server;

#[tokio::test]
async fn routines_are_resources() {
    let server = Server::with_dataset().await;
    let routines = "/projects/scrimmage/datasets/d/routines";
    let int = json!({"typeKind": "INT64"});
    let body = json!({
        "routineReference": {"projectId": "scrimmage", "datasetId": "d", "routineId": "add"},
        "routineType": "SCALAR_FUNCTION",
        "language": "SQL",
        "arguments": [{"name": "a", "dataType": int}, {"name": "b", "dataType": int}],
        "definitionBody": "a + b",
        "description": "a sum",
    });
    let made = server.post(routines, body.clone()).await.ok();
    assert_eq!((&made["description"], &made["routineReference"]["routineId"]), (&json!("a sum"), &json!("add")));
    assert_eq!(server.value("SELECT d.add(1, 2)").await, "3");
    assert_eq!(server.post(routines, body.clone()).await.error().1, "duplicate");
    let mut changed = body.clone();
    changed["definitionBody"] = json!("a * b");
    let put = |etag: &str| {
        let (etag, body) = (etag.to_owned(), changed.to_string().into_bytes());
        let server = &server;
        async move { server.raw("PUT", &format!("{routines}/add"), &[("if-match", &etag)], body).await }
    };
    assert_eq!(put("other").await.error().0, 412);
    put(made["etag"].as_str().expect("an etag")).await.ok();
    assert_eq!(server.value("SELECT d.add(3, 4)").await, "12");
    let procedure = json!({
        "routineReference": {"routineId": "fill"},
        "routineType": "PROCEDURE",
        "language": "SQL",
        "arguments": [{"name": "out", "dataType": int, "mode": "OUT"}],
        "definitionBody": "BEGIN SET out = 9; END",
    });
    server.post(routines, procedure).await.ok();
    assert_eq!(server.value("DECLARE x INT64; CALL d.fill(x); SELECT x;").await, "9");
    let table_function = json!({
        "routineReference": {"routineId": "upto"},
        "routineType": "TABLE_VALUED_FUNCTION",
        "arguments": [{"name": "top", "dataType": int}],
        "definitionBody": "SELECT n FROM UNNEST(GENERATE_ARRAY(1, top)) AS n",
    });
    server.post(routines, table_function).await.ok();
    assert_eq!(server.value("SELECT SUM(n) FROM d.upto(4)").await, "10");
    let list = server.get(&format!("{routines}?filter=routineType:PROCEDURE")).await.ok();
    assert_eq!(list["routines"].as_array().map(Vec::len), Some(1));
    let bad =
        json!({"routineReference": {"routineId": "bad"}, "routineType": "SCALAR_FUNCTION", "definitionBody": "1 +"});
    assert_eq!(server.post(routines, bad).await.error().1, "invalidQuery");
    assert_eq!(
        server.rows("SELECT specific_name, routine_type FROM d.INFORMATION_SCHEMA.ROUTINES ORDER BY 1").await,
        [["add", "FUNCTION"], ["fill", "PROCEDURE"], ["upto", "TABLE FUNCTION"]]
    );
    assert_eq!(
        server.rows("SELECT specific_name, parameter_name, parameter_mode, data_type FROM d.INFORMATION_SCHEMA.PARAMETERS WHERE specific_name = 'fill'").await,
        [["fill", "out", "OUT", "INT64"]]
    );
    server.delete(&format!("{routines}/add")).await.ok();
    assert_eq!(server.get(&format!("{routines}/add")).await.error().0, 404);
}

#[tokio::test]
async fn a_deleted_dataset_comes_back_within_a_week() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS n", "DROP SCHEMA d CASCADE"]).await;
    assert_eq!(server.query("SELECT * FROM d.t").await.status, 404);
    server.run("UNDROP SCHEMA d").await;
    assert_eq!(server.value("SELECT n FROM d.t").await, "1");
    server.delete("/projects/scrimmage/datasets/d?deleteContents=true").await.ok();
    let back = server.post("/projects/scrimmage/datasets/d:undelete", json!({})).await.ok();
    assert_eq!(back["datasetReference"]["datasetId"], "d");
    assert_eq!(server.value("SELECT n FROM d.t").await, "1");
    assert_eq!(server.post("/projects/scrimmage/datasets/d:undelete", json!({})).await.error().1, "duplicate");
    server.run("DROP SCHEMA d CASCADE").await;
    server.advance(std::time::Duration::from_secs(8 * 24 * 3600));
    assert_eq!(server.post("/projects/scrimmage/datasets/d:undelete", json!({})).await.error().0, 404);
}

#[tokio::test]
async fn rows_are_streamed_by_template_and_into_partitions() {
    let server =
        Server::with(&["CREATE TABLE d.t (n INT64)", "CREATE TABLE d.p (n INT64) PARTITION BY _PARTITIONDATE"]).await;
    let send = |table: &'static str, body: Value| {
        let server = &server;
        async move { server.post(&format!("/projects/scrimmage/datasets/d/tables/{table}/insertAll"), body).await }
    };
    let rows = json!([{"json": {"n": 1}}]);
    send("t", json!({"rows": rows, "templateSuffix": "_eu"})).await.ok();
    assert_eq!(server.value("SELECT n FROM d.t_eu").await, "1");
    send("p$20251231", json!({"rows": rows})).await.ok();
    assert_eq!(server.value("SELECT CAST(_PARTITIONDATE AS STRING) FROM d.p").await, "2025-12-31");
    assert_eq!(send("p$soon", json!({"rows": rows})).await.error().0, 400);
}

#[tokio::test]
async fn resources_are_shown_as_far_as_asked() {
    let server =
        Server::with(&["CREATE TABLE d.t (a INT64, r STRUCT<x INT64, y STRING>)", "CREATE VIEW d.v AS SELECT 1 AS n"])
            .await;
    let basic = server.get("/projects/scrimmage/datasets/d/tables/t?view=BASIC").await.ok();
    assert!(basic.get("numRows").is_none() && basic.get("schema").is_some());
    let selected = server.get("/projects/scrimmage/datasets/d/tables/t?selectedFields=r.y").await.ok();
    assert_eq!(selected["schema"]["fields"][0]["fields"], json!([{"name": "y", "type": "STRING"}]));
    assert_eq!(server.get("/projects/scrimmage/datasets/d/tables/t?view=NIX").await.error().0, 400);
    let etag = basic["etag"].as_str().expect("an etag").to_owned();
    let seen =
        server.raw("GET", "/projects/scrimmage/datasets/d/tables/t", &[("if-none-match", &etag)], Vec::new()).await;
    assert_eq!(seen.status, 304);
    let list = server.get("/projects/scrimmage/datasets/d/tables").await.ok();
    assert_eq!(list["tables"][1]["view"], json!({"useLegacySql": false}), "lists leave the query out");
    let acl = server.get("/projects/scrimmage/datasets/d?datasetView=ACL").await.ok();
    assert!(acl.get("access").is_some() && acl.get("creationTime").is_none());
    assert_eq!(server.get("/projects/scrimmage/datasets/d/models").await.ok(), json!({}));
    assert_eq!(server.get("/projects/scrimmage/datasets/d/models/m").await.error().0, 404);
    let policy = json!({"policy": {"bindings": [{"role": "roles/bigquery.dataViewer", "members": ["allUsers"]}]}});
    let table = "/projects/scrimmage/datasets/d/tables/t";
    server.post(&format!("{table}:setIamPolicy"), policy.clone()).await.ok();
    let got = server.post(&format!("{table}:getIamPolicy"), json!({})).await.ok();
    assert_eq!(got["bindings"], policy["policy"]["bindings"]);
    let asked = json!({"permissions": ["bigquery.tables.get"]});
    assert_eq!(server.post(&format!("{table}:testIamPermissions"), asked.clone()).await.ok(), asked);
}

#[tokio::test]
async fn jobs_are_listed_by_state_parent_and_user() {
    let server = Server::with_dataset().await;
    server.run("SELECT 1").await;
    server.run("SELECT 1; SELECT 2;").await;
    let body = json!({"query": "SELECT 3"}).to_string().into_bytes();
    server.raw("POST", "/projects/scrimmage/queries", &[("x-scrimmage-user", "user:a@b.c")], body).await.ok();
    let count = |query: &'static str| {
        let server = &server;
        async move {
            let list = server.get(&format!("/projects/scrimmage/jobs?{query}")).await.ok();
            list["jobs"].as_array().map_or(0, Vec::len)
        }
    };
    assert_eq!(count("").await, 2, "the caller's own, without child jobs");
    assert_eq!(count("allUsers=true").await, 3);
    assert_eq!(count("allUsers=true&stateFilter=running&stateFilter=pending").await, 0);
    assert_eq!(count("stateFilter=running&stateFilter=done").await, 2);
    let list = server.get("/projects/scrimmage/jobs?projection=full").await.ok();
    let script = &list["jobs"][0];
    assert_eq!(script["statistics"]["numChildJobs"], "2");
    let id = script["jobReference"]["jobId"].as_str().expect("an id");
    let children = server.get(&format!("/projects/scrimmage/jobs?parentJobId={id}&projection=full")).await.ok();
    let child = &children["jobs"][1];
    assert_eq!(child["statistics"]["parentJobId"], id);
    assert_eq!(child["statistics"]["scriptStatistics"]["evaluationKind"], "STATEMENT");
    assert_eq!(child["statistics"]["scriptStatistics"]["stackFrames"][0]["text"], "SELECT 1");
    let minimal = server.get("/projects/scrimmage/jobs").await.ok();
    assert!(minimal["jobs"][0].get("configuration").is_none());
    assert_eq!(server.get(&format!("/projects/scrimmage/jobs/{id}?location=EU")).await.error().0, 404);
}

#[tokio::test]
async fn a_record_may_get_fields_later() {
    let server = Server::with(&["CREATE TABLE d.t (r STRUCT<a INT64>)", "INSERT d.t VALUES (STRUCT(1))"]).await;
    let field = |name: &str, ty: &str| json!({"name": name, "type": ty});
    let record = json!({"name": "r", "type": "RECORD", "fields": [field("a", "INTEGER"), field("b", "STRING")]});
    let schema = json!({"schema": {"fields": [record]}});
    server.patch("/projects/scrimmage/datasets/d/tables/t", schema).await.ok();
    server.run("INSERT d.t VALUES (STRUCT(2, 'x'))").await;
    assert_eq!(server.rows("SELECT r.a, r.b FROM d.t ORDER BY 1").await, [["1", "NULL"], ["2", "x"]]);
    let data = server.get("/projects/scrimmage/datasets/d/tables/t/data").await.ok();
    assert_eq!(data["totalRows"], "2");
    assert_eq!(data["rows"][0]["f"][0]["v"]["f"], json!([{"v": "1"}, {"v": null}]));
}
