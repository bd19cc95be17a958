//! BigQuery subscriptions: what is published to a topic is read from a table.
#![allow(clippy::expect_used)]

mod common;

use std::time::Duration;

use common::{eventually, rest};
use scrimmage_core::{Clock, Timestamp};
use scrimmage_suite::Suite;
use serde_json::{Value as Json, json};

const SUB: &str = "/v1/projects/demo/subscriptions/rows";
const TABLES: &str = "/bigquery/v2/projects/demo/datasets/d/tables";

async fn start() -> Suite {
    let clock = Clock::virtual_at(Timestamp::from_micros(1_767_225_600_000_000));
    let suite = Suite::builder().project("demo").clock(clock).start().await.expect("a suite");
    let dataset = json!({"datasetReference": {"datasetId": "d"}});
    for (verb, path, body) in [
        ("POST", "/bigquery/v2/projects/demo/datasets", dataset),
        ("PUT", "/v1/projects/demo/topics/events", json!({})),
        ("PUT", "/v1/projects/demo/topics/dead", json!({})),
        ("PUT", "/v1/projects/demo/subscriptions/dead", json!({"topic": "projects/demo/topics/dead"})),
    ] {
        let (status, answer) = rest(verb, suite.addr(), path, body).await;
        assert_eq!(status, 200, "{answer}");
    }
    suite
}

async fn table(suite: &Suite, name: &str, columns: &[(&str, &str)]) {
    let fields: Vec<_> = columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let body = json!({"tableReference": {"tableId": name}, "schema": {"fields": fields}});
    let (status, answer) = rest("POST", suite.addr(), TABLES, body).await;
    assert_eq!(status, 200, "{answer}");
}

async fn subscribe(suite: &Suite, config: Json) -> (u16, Json) {
    let policy = json!({"deadLetterTopic": "projects/demo/topics/dead", "maxDeliveryAttempts": 5});
    let body = json!({"topic": "projects/demo/topics/events", "bigqueryConfig": config, "deadLetterPolicy": policy});
    rest("PUT", suite.addr(), SUB, body).await
}

async fn publish(suite: &Suite, message: Json) {
    let body = json!({"messages": [message]});
    let (status, answer) = rest("POST", suite.addr(), "/v1/projects/demo/topics/events:publish", body).await;
    assert_eq!(status, 200, "{answer}");
}

/// The cells of a table's rows, once there are so many.
async fn rows(suite: &Suite, table: &str, count: usize) -> Vec<Vec<Json>> {
    eventually("the rows", async || {
        let (_, answer) = rest("GET", suite.addr(), &format!("{TABLES}/{table}/data"), Json::Null).await;
        let rows = answer["rows"].as_array()?.clone();
        let cells = |row: &Json| -> Vec<Json> {
            row["f"].as_array().into_iter().flatten().map(|cell| cell["v"].clone()).collect()
        };
        (rows.len() >= count).then(|| rows.iter().map(cells).collect())
    })
    .await
}

#[tokio::test]
async fn messages_become_rows_with_their_metadata() {
    let suite = start().await;
    let columns = [
        ("subscription_name", "STRING"),
        ("message_id", "STRING"),
        ("publish_time", "TIMESTAMP"),
        ("data", "BYTES"),
        ("attributes", "JSON"),
    ];
    table(&suite, "t", &columns).await;
    let (status, made) = subscribe(&suite, json!({"table": "demo.d.t", "writeMetadata": true})).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!((&made["bigqueryConfig"]["state"], &made["state"]), (&json!("ACTIVE"), &json!("ACTIVE")));
    publish(&suite, json!({"data": "aGk=", "attributes": {"b": "2", "a": "1"}, "orderingKey": "k"})).await;
    let rows = rows(&suite, "t", 1).await;
    assert_eq!(rows[0][0], json!("projects/demo/subscriptions/rows"));
    assert_eq!(rows[0][2], json!("1.7672256E9"));
    assert_eq!(rows[0][3], json!("aGk="));
    let attributes: Json = serde_json::from_str(rows[0][4].as_str().expect("a text")).expect("JSON");
    assert_eq!(attributes, json!({"a": "1", "b": "2", "ordering_key": "k"}));
    // Nobody can pull from it.
    let (status, answer) = rest("POST", suite.addr(), &format!("{SUB}:pull"), json!({"maxMessages": 1})).await;
    assert_eq!((status, &answer["error"]["status"]), (400, &json!("FAILED_PRECONDITION")));
}

#[tokio::test]
async fn the_topics_schema_names_the_columns() {
    let suite = start().await;
    let columns = [("player", "STRING"), ("at", "TIMESTAMP"), ("points", "INTEGER"), ("note", "STRING")];
    table(&suite, "t", &columns).await;
    let config = json!({"table": "demo.d.t", "useTopicSchema": true});
    let (status, refused) = subscribe(&suite, config.clone()).await;
    assert_eq!((status, &refused["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "a topic without a schema");
    let definition = json!({"type": "record", "name": "R", "fields": [
        {"name": "player", "type": "string"}, {"name": "note", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "points", "type": "int"}, {"name": "extra", "type": "boolean"}]});
    let schema = json!({"type": "AVRO", "definition": definition.to_string()});
    let topic = json!({"schemaSettings": {"schema": "projects/demo/schemas/points", "encoding": "JSON"}});
    let mask = json!({"topic": {"name": "projects/demo/topics/events", "schemaSettings": topic["schemaSettings"]},
        "updateMask": "schemaSettings"});
    for (verb, path, body) in [
        ("POST", "/v1/projects/demo/schemas?schemaId=points", schema),
        ("PATCH", "/v1/projects/demo/topics/events", mask),
    ] {
        let (status, answer) = rest(verb, suite.addr(), path, body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let (status, refused) = subscribe(&suite, config).await;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert_eq!((status, message), (400, "The BigQuery table has no column extra (table=demo.d.t)."));
    let config = json!({"table": "demo.d.t", "useTopicSchema": true, "dropUnknownFields": true});
    let (status, made) = subscribe(&suite, config).await;
    assert_eq!(status, 200, "{made}");
    // {"player":"lebron","note":{"string":"a"},"at":1767225600000000,"points":27,"extra":true}
    let data = "eyJwbGF5ZXIiOiJsZWJyb24iLCJub3RlIjp7InN0cmluZyI6ImEifSwiYXQiOjE3NjcyMjU2MDAwMDAwMDAsInBvaW50cyI6MjcsImV4dHJhIjp0cnVlfQ==";
    publish(&suite, json!({"data": data})).await;
    let row = [json!("lebron"), json!("1.7672256E9"), json!("27"), json!("a")];
    assert_eq!(rows(&suite, "t", 1).await, [row]);
}

#[tokio::test]
async fn what_does_not_fit_the_tables_schema_goes_to_the_dead_letter_topic() {
    let suite = start().await;
    table(&suite, "t", &[("player", "STRING"), ("points", "INTEGER")]).await;
    let (status, made) = subscribe(&suite, json!({"table": "demo:d.t", "useTableSchema": true})).await;
    assert_eq!(status, 200, "{made}");
    // {"player":"lebron","points":27}, then {"points":"many"}, then text that is no JSON.
    for data in ["eyJwbGF5ZXIiOiJsZWJyb24iLCJwb2ludHMiOjI3fQ==", "eyJwb2ludHMiOiJtYW55In0=", "aGk="] {
        publish(&suite, json!({"data": data})).await;
    }
    assert_eq!(rows(&suite, "t", 1).await, [[json!("lebron"), json!("27")]]);
    let mut reasons: Vec<String> = Vec::new();
    eventually("both dead letters", async || {
        let body = json!({"maxMessages": 10, "returnImmediately": true});
        let (_, answer) = rest("POST", suite.addr(), "/v1/projects/demo/subscriptions/dead:pull", body).await;
        for one in answer["receivedMessages"].as_array().into_iter().flatten() {
            let attributes = &one["message"]["attributes"];
            assert_eq!(attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "5");
            let reason = &attributes["CloudPubSubDeadLetterSourceDeliveryErrorMessage"];
            reasons.push(reason.as_str().unwrap_or_default().to_owned());
        }
        (reasons.len() == 2).then_some(())
    })
    .await;
    reasons.sort();
    assert!(reasons[0].starts_with("Cannot convert value to"), "{reasons:?}");
    assert!(reasons[1].starts_with("The message is not JSON"), "{reasons:?}");
}

#[tokio::test]
async fn a_table_that_goes_away_shows_in_the_state() {
    let suite = start().await;
    table(&suite, "t", &[("data", "STRING")]).await;
    let (status, made) = subscribe(&suite, json!({"table": "demo.d.t"})).await;
    assert_eq!(status, 200, "{made}");
    let (status, _) = rest("DELETE", suite.addr(), &format!("{TABLES}/t"), Json::Null).await;
    assert_eq!(status, 204);
    publish(&suite, json!({"data": "aGk="})).await;
    let state = async |wanted: &str| {
        eventually(wanted, async || {
            let (_, shown) = rest("GET", suite.addr(), SUB, Json::Null).await;
            (shown["bigqueryConfig"]["state"] == wanted).then(|| shown["state"].clone())
        })
        .await
    };
    assert_eq!(state("NOT_FOUND").await, json!("RESOURCE_ERROR"));
    table(&suite, "t", &[("data", "STRING")]).await;
    suite.clock().advance(Duration::from_secs(60));
    assert_eq!(rows(&suite, "t", 1).await, [[json!("hi")]]);
    assert_eq!(state("ACTIVE").await, json!("ACTIVE"));
}

#[tokio::test]
async fn a_table_that_cannot_take_it_is_refused_when_the_subscription_is_made() {
    let suite = start().await;
    table(&suite, "t", &[("player", "STRING")]).await;
    for (config, status, text) in [
        (json!({"table": "t"}), 400, "Invalid BigQuery table given (table=t)."),
        (json!({"table": "demo.d.none"}), 404, "The BigQuery table does not exist (table=demo.d.none)."),
        (json!({"table": "demo.d.t"}), 400, "The BigQuery table has no column data (table=demo.d.t)."),
        (
            json!({"table": "demo.d.t", "useTableSchema": true, "writeMetadata": true}),
            400,
            "The BigQuery table has no column subscription_name",
        ),
        (
            json!({"table": "demo.d.t", "useTableSchema": true, "useTopicSchema": true}),
            400,
            "use_topic_schema and use_table_schema cannot both be enabled.",
        ),
    ] {
        let (found, answer) = subscribe(&suite, config).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(found == status && message.starts_with(text), "{found} {message}");
    }
}
