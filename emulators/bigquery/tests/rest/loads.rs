//! Load jobs: what is refused, what is accepted, and that nothing comes half.

use serde_json::{Value, json};

use crate::support::{PROJECT, Server};

fn fields() -> Value {
    json!([
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "points", "type": "FLOAT"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        {"name": "game_date", "type": "DATE"},
        {"name": "info", "type": "RECORD", "fields": [{"name": "team", "type": "STRING"}]},
    ])
}

/// The error's reason and message, and all details.
fn failure(job: &Value) -> (String, String, Vec<String>) {
    let error = &job["status"]["errorResult"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let errors = job["status"]["errors"].as_array().expect("details");
    (text(&error["reason"]), text(&error["message"]), errors.iter().map(|error| text(&error["message"])).collect())
}

#[tokio::test]
async fn a_bad_row_fails_the_load_and_is_named() {
    let server = Server::with_dataset().await;
    for (row, detail) in [
        (r#"{"id": 2, "points": NaN}"#, "JSON parsing error in row starting at position 10: "),
        (r#"{"id": 2, "points": Infinity}"#, "JSON parsing error in row starting at position 10: "),
        (r#"{"id": 2, "x": 1}"#, "No such field: x."),
        (r#"{"id": 2, "info": {"y": 1}}"#, "No such field: info.y."),
        (r#"{"id": 2, "tags": null}"#, "Only optional fields can be set to NULL. Field: tags; Value: NULL"),
        (r#"{"id": "abc"}"#, "Could not convert value to integer. Field: id; Value: abc"),
        (r#"{"id": 2, "game_date": "tomorrow"}"#, "Could not convert value to date. Field: game_date; Value: tomorrow"),
        (r#"{"points": 1.5}"#, "Missing required field: id."),
        (r#"[1]"#, "JSON parsing error in row starting at position 10: "),
    ] {
        let job = server.load("t", fields(), &format!("{{\"id\": 1}}\n{row}\n"), json!({})).await;
        let (reason, message, details) = failure(&job);
        assert_eq!(reason, "invalid", "{row}");
        assert_eq!(
            message,
            "Error while reading data, error message: JSON table encountered too many errors, giving up. Rows: 2; errors: 1. Please look into the errors[] collection for more details."
        );
        assert!(
            details[1..].iter().any(|text| text.contains(detail) && text.contains("position 10")),
            "{row}: {details:?}"
        );
        assert_eq!(server.get("/projects/scrimmage/datasets/d/tables/t").await.status, 404, "nothing came of {row}");
    }
}

#[tokio::test]
async fn a_load_is_all_or_nothing() {
    let server = Server::with_dataset().await;
    let job = server
        .load("t", fields(), "{\"id\": 1, \"tags\": [\"a\", \"b\"], \"info\": {\"team\": \"x\"}}", json!({}))
        .await;
    assert_eq!(job["statistics"]["load"]["outputRows"], "1", "{job}");
    server.load("t", fields(), "{\"id\": 2}\n{\"id\": 3}\n{\"id\": null}\n", json!({})).await;
    assert_eq!(server.rows("SELECT id, tags, info.team FROM d.t").await, [["1", "[{\"v\":\"a\"},{\"v\":\"b\"}]", "x"]]);
    let job = server.load("t", Value::Null, "{\"id\": 2}\n", json!({"writeDisposition": "WRITE_TRUNCATE"})).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(server.rows("SELECT id FROM d.t").await, [["2"]]);
    let job = server.load("t", fields(), "{\"id\": 2}\n", json!({"writeDisposition": "WRITE_EMPTY"})).await;
    assert_eq!(failure(&job).1, "Already Exists: Table scrimmage:d.t");
}

#[tokio::test]
async fn a_failed_write_does_not_change_the_schema_either() {
    let server = Server::with(&["CREATE TABLE d.t (day DATE) PARTITION BY day"]).await;
    let more = json!([{"name": "day", "type": "DATE"}, {"name": "n", "type": "INTEGER"}]);
    let options = json!({"schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"]});
    let job = server.load("t$20260101", more, "{\"day\": \"2026-01-02\", \"n\": 1}", options).await;
    assert_eq!(failure(&job).0, "invalid");
    assert_eq!(server.table("t").await["schema"]["fields"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn fewer_columns_fit_and_more_need_permission() {
    let server = Server::with(&["CREATE TABLE d.t (a INT64, b STRING)"]).await;
    let a = json!([{"name": "a", "type": "INTEGER"}]);
    server.load("t", a, "{\"a\": 1}", json!({})).await;
    let more = json!([{"name": "a", "type": "INTEGER"}, {"name": "c", "type": "STRING"}]);
    let job = server.load("t", more.clone(), "{\"a\": 2, \"c\": \"x\"}", json!({})).await;
    assert_eq!(failure(&job).0, "invalid");
    let options = json!({"schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"]});
    server.load("t", more, "{\"a\": 2, \"c\": \"x\"}", options).await;
    assert_eq!(server.rows("SELECT a, b, c FROM d.t ORDER BY a").await, [["1", "NULL", "NULL"], ["2", "NULL", "x"]]);
    let wrong = json!([{"name": "a", "type": "STRING"}]);
    let job = server.load("t", wrong, "{\"a\": \"x\"}", json!({})).await;
    assert_eq!(failure(&job).0, "invalid");
}

#[tokio::test]
async fn bad_records_may_be_allowed() {
    let server = Server::with_dataset().await;
    let job = server.load("t", fields(), "{\"id\": 1}\n{\"id\": \"x\"}\n", json!({"maxBadRecords": 1})).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(job["statistics"]["load"]["badRecords"], "1");
    assert_eq!(job["status"]["errors"].as_array().map(Vec::len), Some(1));
    let job = server.load("t", fields(), "{\"id\": 2, \"zz\": 1}\n", json!({"ignoreUnknownValues": true})).await;
    assert_eq!(job["statistics"]["load"]["outputRows"], "1", "{job}");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "2");
}

#[tokio::test]
async fn csv_knows_headers_quotes_and_nulls() {
    let server = Server::with_dataset().await;
    let load = |table: &'static str, text: &'static str, more: Value| {
        let server = &server;
        async move {
            let mut load = json!({
                "destinationTable": {"projectId": PROJECT, "datasetId": "d", "tableId": table},
                "sourceFormat": "CSV",
                "schema": {"fields": [{"name": "n", "type": "INTEGER"}, {"name": "s", "type": "STRING"}]},
            });
            for (key, value) in more.as_object().into_iter().flatten() {
                load[key] = value.clone();
            }
            server.done(server.multipart(&json!({"configuration": {"load": load}}), text.as_bytes()).await.ok()).await
        }
    };
    load("t", "n,s\n1,a\n,\n3,\"\"\n4,\"b, \"\"c\"\"\"\n", json!({"skipLeadingRows": "1"})).await;
    assert_eq!(
        server.rows("SELECT n, s FROM d.t ORDER BY n").await,
        [["NULL", "NULL"], ["1", "a"], ["3", ""], ["4", "b, \"c\""]]
    );
    load("u", "1|\\N\n2|\n", json!({"fieldDelimiter": "|", "nullMarker": "\\N"})).await;
    assert_eq!(server.rows("SELECT n, s FROM d.u ORDER BY n").await, [["1", "NULL"], ["2", ""]]);
    let job = load("v", "1,a\nx,b\n", json!({})).await;
    let (reason, message, details) = failure(&job);
    assert_eq!(reason, "invalid");
    assert_eq!(
        message,
        "Error while reading data, error message: CSV processing encountered too many errors, giving up. Rows: 2; errors: 1; max bad: 0; error percent: 0"
    );
    assert_eq!(
        details[1],
        "Error while reading data, error message: Unable to parse; line_number: 2 byte_offset_to_start_of_line: 4 column_index: 0 column_name: \"n\" column_type: INT64 value: \"x\""
    );
    let job = load("w", "1\n", json!({})).await;
    assert_eq!(failure(&job).0, "invalid");
}

#[tokio::test]
async fn a_load_needs_a_schema_and_a_dataset() {
    let server = Server::with_dataset().await;
    let job = server.load("t", Value::Null, "{}", json!({})).await;
    assert_eq!(failure(&job).1, "No schema specified on job or table.");
    let job = server.load("t", Value::Null, "{\"a\": 1, \"b\": \"2026-01-01\"}", json!({"autodetect": true})).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(server.rows("SELECT a, b FROM d.t").await, [["1", "2026-01-01"]]);
    let nowhere = json!({"destinationTable": {"projectId": PROJECT, "datasetId": "nix", "tableId": "t"}});
    let job = server.load("t", fields(), "{\"id\": 1}", nowhere).await;
    assert_eq!(failure(&job).0, "notFound");
}

#[tokio::test]
async fn forty_loads_at_once_lose_no_row() {
    let server = Server::with_dataset().await;
    let loads =
        (0..40).map(|worker| {
            let server = &server;
            async move {
                server.load("t", fields(), &format!("{{\"id\": {worker}}}\n{{\"id\": {worker}}}"), json!({})).await
            }
        });
    for job in futures::future::join_all(loads).await {
        assert_eq!(job["status"].get("errorResult"), None, "{job}");
    }
    assert_eq!(server.rows("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.t").await, [["80", "40"]]);
}

#[tokio::test]
async fn a_table_takes_so_many_imports_a_day() {
    let server = Server::with_dataset().await;
    server.load("t", fields(), "{\"id\": 1}", json!({})).await;
    let path =
        scrimmage_googlesql::catalog::TablePath { project: PROJECT.into(), dataset: "d".into(), table: "t".into() };
    let mut taken = 0;
    while server.app.store.lock().count_import(server.clock.now(), &path).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 1_500, "the load that made the table found none to count for");
    let job = server.load("t", fields(), "{\"id\": 2}", json!({})).await;
    let (reason, message, _) = failure(&job);
    assert_eq!(reason, "quotaExceeded");
    assert_eq!(message, "Quota exceeded: Your table exceeded quota for imports or query appends per table");
    let id = job["jobReference"]["jobId"].as_str().expect("an id");
    assert_eq!(server.get(&format!("/projects/scrimmage/jobs/{id}")).await.ok()["status"]["state"], "DONE");
    server.run("INSERT INTO d.t (id) VALUES (3)").await;
    server.advance(std::time::Duration::from_secs(24 * 3600));
    server.load("t", fields(), "{\"id\": 2}", json!({})).await;
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "3");
}

#[tokio::test]
async fn csv_is_read_by_its_encoding_and_its_quotes() {
    let server = Server::with_dataset().await;
    let fields = || json!([{"name": "n", "type": "INTEGER"}, {"name": "s", "type": "STRING"}]);
    let csv = |more: Value| {
        let mut options = json!({"sourceFormat": "CSV"});
        for (key, value) in more.as_object().into_iter().flatten() {
            options[key] = value.clone();
        }
        options
    };
    for (text, options, detail) in [
        ("1,\"a\nb\"\n", json!({}), "Missing close quote character (\")."),
        ("1,\"a\" b\n", json!({}), "Data between close quote character (\") and field separator."),
        ("1,a\0b\n", json!({}), "Bad character (ASCII 0) encountered."),
    ] {
        let job = server.load("bad", fields(), text, csv(options)).await;
        let (_, _, details) = failure(&job);
        assert!(details.iter().any(|own| own.contains(detail)), "{details:?}");
    }
    let nested = json!([{"name": "r", "type": "RECORD", "fields": [{"name": "x", "type": "STRING"}]}]);
    let (_, message, _) = failure(&server.load("bad", nested, "1\n", csv(json!({}))).await);
    assert_eq!(message, "Cannot load CSV data with a nested schema. Field: r");
    server.load("good", fields(), "1,\"a\nb\"\n", csv(json!({"allowQuotedNewlines": true}))).await;
    // The bytes of UTF-8, taken for Latin-1.
    server.load("good", fields(), "2,\u{e9}\n", csv(json!({"encoding": "ISO-8859-1"}))).await;
    assert_eq!(server.rows("SELECT s FROM d.good ORDER BY n").await, [["a\nb"], ["\u{c3}\u{a9}"]]);
}
