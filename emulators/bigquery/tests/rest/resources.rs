//! Datasets and tables as REST resources: what is made, listed, changed and guarded.

use serde_json::{Value, json};

use crate::support::Server;

fn names(list: &Value, key: &str, reference: &str, id: &str) -> Vec<String> {
    let items = list[key].as_array().map_or(&[][..], Vec::as_slice);
    items.iter().map(|item| item[reference][id].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn resources_describe_themselves() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a, 'x' AS s, [1.5] AS f"]).await;
    let table = server.table("t").await;
    assert_eq!(table["kind"], "bigquery#table");
    assert_eq!(table["id"], "scrimmage:d.t");
    assert_eq!(table["type"], "TABLE");
    assert_eq!((&table["numRows"], &table["numBytes"]), (&json!("1"), &json!("19")));
    assert_eq!(table["creationTime"], "1767225600000");
    let link = table["selfLink"].as_str().expect("a link");
    assert_eq!(server.get(link).await.ok()["etag"], table["etag"]);
    let types: Vec<&str> = table["schema"]["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .filter_map(|field| field["type"].as_str())
        .collect();
    assert_eq!(types, ["INTEGER", "STRING", "FLOAT"]);
    let dataset = server.get("/projects/scrimmage/datasets/d").await.ok();
    assert_eq!(
        (&dataset["kind"], &dataset["id"], &dataset["location"]),
        (&json!("bigquery#dataset"), &json!("scrimmage:d"), &json!("US"))
    );
    assert!(dataset["access"].as_array().is_some_and(|access| !access.is_empty()));
}

#[tokio::test]
async fn tables_are_listed_in_pages_that_deletion_does_not_shift() {
    let server = Server::with_dataset().await;
    for number in 0..7 {
        let body = json!({"tableReference": {"tableId": format!("t{number}")}});
        server.post("/projects/scrimmage/datasets/d/tables", body).await.ok();
    }
    let list = |query: String| {
        let server = &server;
        async move { server.get(&format!("/projects/scrimmage/datasets/d/tables?maxResults=3{query}")).await.ok() }
    };
    let first = list(String::new()).await;
    assert_eq!(names(&first, "tables", "tableReference", "tableId"), ["t0", "t1", "t2"]);
    assert_eq!(first["totalItems"], 7);
    server.delete("/projects/scrimmage/datasets/d/tables/t0").await.ok();
    server.delete("/projects/scrimmage/datasets/d/tables/t2").await.ok();
    let second = list(format!("&pageToken={}", first["nextPageToken"].as_str().expect("more"))).await;
    assert_eq!(names(&second, "tables", "tableReference", "tableId"), ["t3", "t4", "t5"]);
    let third = list(format!("&pageToken={}", second["nextPageToken"].as_str().expect("more"))).await;
    assert_eq!(names(&third, "tables", "tableReference", "tableId"), ["t6"]);
    assert_eq!(third.get("nextPageToken"), None);
}

#[tokio::test]
async fn datasets_are_listed_by_project_and_label() {
    let server = Server::start().await;
    for (id, team) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let body = json!({"datasetReference": {"datasetId": id}, "labels": {"team": team}});
        server.post("/projects/scrimmage/datasets", body).await.ok();
    }
    server.post("/projects/other/datasets", json!({"datasetReference": {"datasetId": "z"}})).await.ok();
    let list = |query: &'static str| {
        let server = &server;
        async move { server.get(&format!("/projects/scrimmage/datasets{query}")).await.ok() }
    };
    assert_eq!(names(&list("").await, "datasets", "datasetReference", "datasetId"), ["a", "b", "c"]);
    let labelled = list("?filter=labels.team:x").await;
    assert_eq!(names(&labelled, "datasets", "datasetReference", "datasetId"), ["a", "c"]);
    let page = list("?maxResults=2").await;
    assert!(page["nextPageToken"].is_string());
    // Clients that drop the prefix are served too.
    assert_eq!(
        server.get(&format!("{}/projects/other/datasets", server.base)).await.ok()["datasets"][0]["id"],
        "other:z"
    );
}

#[tokio::test]
async fn a_patch_merges_and_an_old_etag_is_refused() {
    let server = Server::with(&["CREATE TABLE d.t (a INT64)"]).await;
    let path = "/projects/scrimmage/datasets/d/tables/t";
    let before = server.get(path).await.ok();
    server.advance(std::time::Duration::from_secs(1));
    let patched = server.patch(path, json!({"description": "x", "labels": {"a": "1"}})).await.ok();
    assert_eq!((&patched["description"], &patched["labels"]), (&json!("x"), &json!({"a": "1"})));
    let patched = server.patch(path, json!({"description": null, "labels": {"b": "2"}})).await.ok();
    assert_eq!((patched.get("description"), &patched["labels"]), (None, &json!({"a": "1", "b": "2"})));

    let old = before["etag"].as_str().expect("an etag");
    let answer = server.raw("PATCH", path, &[("if-match", old)], b"{}".to_vec()).await;
    assert_eq!(answer.error().0, 412);
    let new = server.get(path).await.ok()["etag"].as_str().expect("an etag").to_owned();
    assert_eq!(server.raw("GET", path, &[("if-none-match", &new)], Vec::new()).await.status, 304);
    assert_eq!(server.raw("PATCH", path, &[("if-match", &new)], b"{}".to_vec()).await.status, 200);
}

#[tokio::test]
async fn a_schema_grows_by_patch_and_keeps_its_types() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS a"]).await;
    let path = "/projects/scrimmage/datasets/d/tables/t";
    let fields = |fields: Value| json!({"schema": {"fields": fields}});
    let grown = fields(json!([{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}]));
    server.patch(path, grown).await.ok();
    assert_eq!(server.rows("SELECT a, b FROM d.t").await, [["1", "NULL"]]);
    for wrong in [
        json!([{"name": "a", "type": "STRING"}, {"name": "b", "type": "STRING"}]),
        json!([{"name": "a", "type": "INTEGER"}]),
        json!([{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}, {"name": "c", "type": "STRING", "mode": "REQUIRED"}]),
    ] {
        let (status, reason, message) = server.patch(path, fields(wrong)).await.error();
        assert_eq!((status, reason.as_str()), (400, "invalid"));
        assert!(message.starts_with("Provided Schema does not match Table scrimmage:d.t."), "{message}");
    }
}

#[tokio::test]
async fn rows_are_listed_in_pages_by_column() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT n, n * 10 AS m FROM UNNEST([1, 2, 3, 4, 5]) AS n"]).await;
    let path = "/projects/scrimmage/datasets/d/tables/t/data";
    let first = server.get(&format!("{path}?maxResults=2&selectedFields=m")).await.ok();
    assert_eq!(first["totalRows"], "5");
    assert_eq!(crate::support::rows_of(&first), [["10"], ["20"]]);
    let token = first["pageToken"].as_str().expect("more");
    let second = server.get(&format!("{path}?maxResults=9&pageToken={token}")).await.ok();
    assert_eq!(crate::support::rows_of(&second), [["3", "30"], ["4", "40"], ["5", "50"]]);
    assert_eq!(second.get("pageToken"), None);
    assert_eq!(crate::support::rows_of(&server.get(&format!("{path}?startIndex=4")).await.ok()), [["5", "50"]]);
}

#[tokio::test]
async fn names_are_checked() {
    let server = Server::with_dataset().await;
    for id in ["", "a.b", "x y!", "a/b"] {
        let body = json!({"datasetReference": {"datasetId": id}});
        assert_eq!(server.post("/projects/scrimmage/datasets", body).await.error().0, 400, "{id}");
    }
    for id in ["", "a.b", "t$1", "t@1", "t*"] {
        let body = json!({"tableReference": {"tableId": id}});
        assert_eq!(server.post("/projects/scrimmage/datasets/d/tables", body).await.error().0, 400, "{id}");
    }
    let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": [{"name": "a", "type": "INTEGR"}]}});
    assert_eq!(server.post("/projects/scrimmage/datasets/d/tables", body).await.error().0, 400);
}
