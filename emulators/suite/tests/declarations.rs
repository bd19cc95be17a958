//! Resources that are there from the start.
#![allow(clippy::expect_used, clippy::panic)]

mod common;

use common::{eventually, rest};
use scrimmage_core::DataError;
use scrimmage_suite::{Suite, SuiteError};
use serde_json::{Value as Json, json};

const FILE: &str = r#"
[[pubsub.schema]]
name = "player"
type = "AVRO"
definition = '{"type": "record", "name": "P", "fields": [{"name": "name", "type": "string"}]}'

[[pubsub.topic]]
name = "requests"
schema_settings = { schema = "player", encoding = "JSON" }
labels = { team = "a" }

[[pubsub.topic]]
name = "dead"

[[pubsub.subscription]]
name = "workers"
topic = "requests"
ack_deadline_seconds = 60
filter = "attributes:kind"
enable_message_ordering = true
retry_policy = { minimum_backoff = "1s" }
dead_letter_policy = { dead_letter_topic = "dead", max_delivery_attempts = 7 }
"#;

#[tokio::test]
async fn they_are_there_again_after_a_reset() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("suite.toml");
    std::fs::write(&file, FILE).expect("written");
    let suite = Suite::builder().project("demo").declarations(&file).start().await.expect("a suite");
    for _ in 0..2 {
        let (_, topic) = rest("GET", suite.addr(), "/v1/projects/demo/topics/requests", Json::Null).await;
        assert_eq!(topic["schemaSettings"]["schema"], "projects/demo/schemas/player");
        assert_eq!(topic["labels"], json!({"team": "a"}));
        let (_, shown) = rest("GET", suite.addr(), "/v1/projects/demo/subscriptions/workers", Json::Null).await;
        assert_eq!(shown["topic"], "projects/demo/topics/requests");
        assert_eq!(shown["ackDeadlineSeconds"], 60);
        assert_eq!(shown["filter"], "attributes:kind");
        assert_eq!(shown["retryPolicy"], json!({"minimumBackoff": "1s", "maximumBackoff": "600s"}));
        assert_eq!(shown["deadLetterPolicy"]["maxDeliveryAttempts"], 7);
        suite.reset().expect("a reset");
    }
    assert_eq!(suite.notes(), [""; 0]);
}

#[tokio::test]
async fn a_table_that_is_not_there_yet_is_told_and_one_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("suite.toml");
    let start = async |table: &str| {
        let text = format!(
            "[[pubsub.topic]]\nname = \"events\"\n[[pubsub.subscription]]\nname = \"rows\"\ntopic = \"events\"\n\
             bigquery_config = {{ table = \"{table}\" }}\n"
        );
        std::fs::write(&file, text).expect("written");
        Suite::builder().project("demo").declarations(&file).start().await
    };
    let suite = start("demo.d.t").await.expect("it may be made later");
    let [note] = suite.notes() else { panic!("{:?}", suite.notes()) };
    assert!(note.contains("The BigQuery table does not exist (table=demo.d.t)."), "{note}");
    drop(suite);
    let refused = start("demo.t").await.expect_err("no table's name");
    assert!(refused.to_string().contains("Invalid BigQuery table given (table=demo.t)."), "{refused}");
}

#[tokio::test]
async fn what_a_data_folder_holds_stays_and_differences_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("suite.toml");
    let start = async |text: &str| {
        std::fs::write(&file, text).expect("written");
        let data = folder.path().join("data");
        // The one before lets go of the folder when its last task has ended.
        eventually("the folder", async || {
            match Suite::builder().project("demo").declarations(&file).data_dir(&data).start().await {
                Err(SuiteError::Data(DataError::InUse { .. })) => None,
                started => Some(started.expect("a suite")),
            }
        })
        .await
    };
    let suite = start(FILE).await;
    suite.shutdown().await;
    let suite = start(FILE).await;
    assert_eq!(suite.notes(), [""; 0]);
    suite.shutdown().await;
    let suite = start(&FILE.replace("ack_deadline_seconds = 60", "ack_deadline_seconds = 30")).await;
    let [note] = suite.notes() else { panic!("one, please: {:?}", suite.notes()) };
    let expected = "suite.toml:15: projects/demo/subscriptions/workers differs and stays: ack_deadline_seconds is 60, \
                    declared 30";
    assert!(note.ends_with(expected), "{note}");
    let (_, shown) = rest("GET", suite.addr(), "/v1/projects/demo/subscriptions/workers", Json::Null).await;
    assert_eq!(shown["ackDeadlineSeconds"], 60);
}

#[tokio::test]
async fn what_the_service_refuses_names_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("suite.toml");
    for (text, line, problem) in [
        (FILE.replace("= 60", "= 601"), 15, "Invalid ack deadline given (ack_deadline=601)."),
        (FILE.replace("topic = \"requests\"", "topic = \"requestz\""), 15, "Resource not found (resource=requestz)."),
        (FILE.replace("= 7", "= 70000000000"), 22, "`max_delivery_attempts` is to be a whole number"),
    ] {
        std::fs::write(&file, text).expect("written");
        let refused = Suite::builder().project("demo").declarations(&file).start().await.expect_err("not good");
        let SuiteError::Declarations(refused) = refused else { panic!("{refused}") };
        assert_eq!(refused.line, Some(line), "{refused}");
        assert!(refused.problem.starts_with(problem), "{refused}");
    }
}
