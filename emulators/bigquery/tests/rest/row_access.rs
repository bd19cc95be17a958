//! Row access policies: made by SQL and by REST, and what they let through.

use serde_json::{Value, json};

use crate::support::{Server, rows_of};

const POLICIES: &str = "/projects/scrimmage/datasets/d/tables/t/rowAccessPolicies";

async fn server() -> Server {
    Server::with(&[
        "CREATE TABLE d.t AS SELECT * FROM UNNEST([STRUCT(1 AS id, 'US' AS country), (2, 'EU'), (3, 'JP')])",
    ])
    .await
}

async fn as_user(server: &Server, user: &str, groups: &str, sql: &str) -> Value {
    let body = json!({"query": sql, "useLegacySql": false}).to_string().into_bytes();
    let headers = [("x-scrimmage-user", user), ("x-scrimmage-groups", groups)];
    server.raw("POST", "/projects/scrimmage/queries", &headers, body).await.ok()
}

async fn seen(server: &Server, user: &str) -> Vec<String> {
    rows_of(&as_user(server, user, "", "SELECT id FROM d.t ORDER BY id").await).concat()
}

#[tokio::test]
async fn a_reader_sees_what_some_policy_grants() {
    let server = server().await;
    assert_eq!(seen(&server, "user:alice@example.com").await, ["1", "2", "3"], "no policy, no filter");
    server
        .run("CREATE ROW ACCESS POLICY us ON d.t GRANT TO ('user:alice@example.com', 'group:eng@example.com') FILTER USING (country = 'US')")
        .await;
    server
        .run("CREATE ROW ACCESS POLICY jp ON d.t GRANT TO ('domain:example.com') FILTER USING (country = 'JP')")
        .await;
    assert_eq!(seen(&server, "user:alice@example.com").await, ["1", "3"]);
    assert_eq!(seen(&server, "bob@example.com").await, ["3"]);
    assert_eq!(seen(&server, "user:eve@elsewhere.org").await, [""; 0], "who is granted nothing sees nothing");
    let eve = as_user(&server, "user:eve@elsewhere.org", "group:eng@example.com", "SELECT id FROM d.t").await;
    assert_eq!(rows_of(&eve), [["1"]]);
    // Through views, and in what functions of the filter see.
    server.run("CREATE VIEW d.v (number) AS SELECT id FROM d.t").await;
    let view = as_user(&server, "user:alice@example.com", "", "SELECT number FROM d.v ORDER BY 1").await;
    assert_eq!(rows_of(&view), [["1"], ["3"]]);
    server.run("CREATE OR REPLACE ROW ACCESS POLICY jp ON d.t GRANT TO ('allUsers') FILTER USING (SESSION_USER() = 'bob@example.com' OR country = 'EU')").await;
    assert_eq!(seen(&server, "user:bob@example.com").await, ["1", "2", "3"]);
    assert_eq!(seen(&server, "user:eve@elsewhere.org").await, ["2"]);
    // Changes are for those who see every row.
    for sql in [
        "DELETE FROM d.t WHERE country = 'EU'",
        "UPDATE d.t SET id = 0 WHERE TRUE",
        "MERGE d.t USING (SELECT 9 AS id) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (9)",
        "TRUNCATE TABLE d.t",
    ] {
        assert_eq!(server.refused(sql).await.0, 403, "{sql}");
    }
    server.run("CREATE ROW ACCESS POLICY whole ON d.t GRANT TO ('domain:scrimmage.iam.gserviceaccount.com') FILTER USING (TRUE)").await;
    server.run("DELETE FROM d.t WHERE country = 'EU'").await;
    assert_eq!(seen(&server, "user:bob@example.com").await, ["1", "3"]);
    server.run("DROP ALL ROW ACCESS POLICIES ON d.t").await;
    assert_eq!(seen(&server, "user:eve@elsewhere.org").await, ["1", "3"]);
}

#[tokio::test]
async fn policies_are_resources() {
    let server = server().await;
    let policy = |id: &str, filter: &str| {
        json!({
            "rowAccessPolicyReference": {"projectId": "scrimmage", "datasetId": "d", "tableId": "t", "policyId": id},
            "filterPredicate": filter,
            "grantees": ["user:alice@example.com"],
        })
    };
    let made = server.post(POLICIES, policy("us", "country = 'US'")).await.ok();
    assert_eq!(made["filterPredicate"], "country = 'US'");
    assert!(made["creationTime"].is_string() && made["etag"].is_string() && made.get("grantees").is_none());
    assert_eq!(server.post(POLICIES, policy("us", "TRUE")).await.error().1, "duplicate");
    assert_eq!(server.post(POLICIES, policy("bad", "nix = 1")).await.error().1, "invalidQuery");
    server.post(POLICIES, policy("all", "TRUE")).await.ok();
    let list = server.get(&format!("{POLICIES}?pageSize=1")).await.ok();
    assert_eq!(list["rowAccessPolicies"][0]["rowAccessPolicyReference"]["policyId"], "all");
    assert!(list["nextPageToken"].is_string());
    assert_eq!(seen(&server, "user:alice@example.com").await.len(), 3);

    let body = policy("all", "country = 'EU'").to_string().into_bytes();
    server.raw("PUT", &format!("{POLICIES}/all"), &[], body).await.ok();
    assert_eq!(seen(&server, "user:alice@example.com").await, ["1", "2"]);
    assert_eq!(server.get(&format!("{POLICIES}/nix")).await.error().0, 404);
    server.delete(&format!("{POLICIES}/all")).await.ok();
    assert_eq!(server.delete(&format!("{POLICIES}/us")).await.error().0, 400, "the last one goes by force alone");
    server.post(&format!("{POLICIES}:batchDelete"), json!({"policyIds": ["us"], "force": true})).await.ok();
    assert_eq!(server.get(POLICIES).await.ok(), json!({}));
}
