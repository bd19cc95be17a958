//! Copy jobs: of several tables at once, and of tables whose rows not everybody sees.

use serde_json::{Value, json};

use crate::support::{PROJECT, Server, rows_of};

fn table(id: &str) -> Value {
    json!({"projectId": PROJECT, "datasetId": "d", "tableId": id})
}

async fn copy_as(server: &Server, user: &str, from: &[&str], to: &str, write: &str) -> Value {
    let sources: Vec<Value> = from.iter().map(|id| table(id)).collect();
    let copy = json!({"sourceTables": sources, "destinationTable": table(to), "writeDisposition": write});
    let body = json!({"configuration": {"copy": copy}}).to_string().into_bytes();
    let job = server.raw("POST", "/projects/scrimmage/jobs", &[("x-scrimmage-user", user)], body).await.ok();
    server.done(job).await
}

#[tokio::test]
async fn several_sources_are_copied_together_or_not_at_all() {
    let server = Server::with(&[
        "CREATE TABLE d.a AS SELECT 1 AS n",
        "CREATE TABLE d.b AS SELECT 2 AS n",
        "CREATE TABLE d.other AS SELECT 'x' AS s",
        "CREATE TABLE d.to AS SELECT 9 AS n",
    ])
    .await;
    for write in ["WRITE_TRUNCATE", "WRITE_APPEND"] {
        let job = copy_as(&server, "", &["a", "other"], "to", write).await;
        assert_eq!(job["status"]["errorResult"]["reason"], "invalid", "{job}");
        assert_eq!(server.rows("SELECT n FROM d.to").await, [["9"]], "{write}");
    }
    let job = copy_as(&server, "", &["a", "b"], "to", "WRITE_APPEND").await;
    assert_eq!(job["statistics"]["copy"]["copiedRows"], "2", "{job}");
    assert_eq!(server.rows("SELECT n FROM d.to ORDER BY n").await, [["1"], ["2"], ["9"]]);
    copy_as(&server, "", &["a", "b"], "to", "WRITE_TRUNCATE").await;
    assert_eq!(server.rows("SELECT n FROM d.to ORDER BY n").await, [["1"], ["2"]]);
}

#[tokio::test]
async fn policies_go_with_the_rows() {
    let server = Server::with(&[
        "CREATE TABLE d.secret AS SELECT n FROM UNNEST([1, 2, 3]) AS n",
        "CREATE TABLE d.plain AS SELECT 7 AS n",
        "CREATE ROW ACCESS POLICY part ON d.secret GRANT TO ('user:alice@example.com') FILTER USING (n = 1)",
        "CREATE ROW ACCESS POLICY whole ON d.secret GRANT TO ('user:owner@example.com') FILTER USING (TRUE)",
    ])
    .await;
    let (alice, owner) = ("user:alice@example.com", "user:owner@example.com");
    let job = copy_as(&server, alice, &["secret"], "c", "WRITE_EMPTY").await;
    assert_eq!(job["status"]["errorResult"]["reason"], "accessDenied", "{job}");
    copy_as(&server, owner, &["secret"], "c", "WRITE_EMPTY").await;
    let query = async |user: &str, sql: &str| {
        let body = json!({"query": sql, "useLegacySql": false}).to_string().into_bytes();
        server.raw("POST", "/projects/scrimmage/queries", &[("x-scrimmage-user", user)], body).await
    };
    let seen = async |table: &str| rows_of(&query(alice, &format!("SELECT n FROM d.{table}")).await.ok());
    assert_eq!(seen("c").await, [["1"]]);
    assert_eq!(query(alice, "CREATE TABLE d.x COPY d.secret").await.error().1, "accessDenied");
    assert_eq!(query(alice, "CREATE SNAPSHOT TABLE d.x CLONE d.secret").await.error().1, "accessDenied");
    query(owner, "CREATE TABLE d.x CLONE d.secret").await.ok();
    assert_eq!(seen("x").await, [["1"]]);
    // Lists are for those who see everything.
    let list = async |user: &str| {
        let path = "/projects/scrimmage/datasets/d/tables/secret/data";
        server.raw("GET", path, &[("x-scrimmage-user", user)], Vec::new()).await
    };
    assert_eq!(list(alice).await.error().1, "accessDenied");
    assert_eq!(rows_of(&list(owner).await.ok()).len(), 3);
    // A table without policies in the place of one with them takes them away.
    copy_as(&server, owner, &["plain"], "c", "WRITE_APPEND").await;
    assert_eq!(seen("c").await, [["1"]]);
    copy_as(&server, owner, &["plain"], "c", "WRITE_TRUNCATE").await;
    assert_eq!(seen("c").await, [["7"]]);
}

#[tokio::test]
async fn an_extract_has_the_rows_that_its_caller_sees() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with_folder(folder.path()).await;
    server.run("CREATE TABLE d.t AS SELECT n FROM UNNEST([1, 2]) AS n").await;
    server.run("CREATE ROW ACCESS POLICY p ON d.t GRANT TO ('user:alice@example.com') FILTER USING (n = 2)").await;
    let extract = json!({"sourceTable": table("t"), "destinationUris": ["gs://b/t.csv"]});
    let body = json!({"configuration": {"extract": extract}}).to_string().into_bytes();
    let headers = [("x-scrimmage-user", "user:alice@example.com")];
    let job = server.raw("POST", "/projects/scrimmage/jobs", &headers, body).await.ok();
    server.done(job).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("b/t.csv")).expect("a file"), "n\n2\n");
    assert_eq!(std::fs::read_dir(folder.path().join("b")).expect("a folder").count(), 1, "no parts are left");
}
