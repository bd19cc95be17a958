//! Whatever is sent, every endpoint answers, and refuses in Google's shape.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::Server;

/// Keys that mean something somewhere, so that random bodies get past the first check.
const KEYS: [&str; 44] = [
    "configuration",
    "query",
    "load",
    "copy",
    "extract",
    "dryRun",
    "jobReference",
    "jobId",
    "projectId",
    "datasetId",
    "tableId",
    "datasetReference",
    "tableReference",
    "schema",
    "fields",
    "name",
    "type",
    "mode",
    "timePartitioning",
    "field",
    "expirationMs",
    "rangePartitioning",
    "range",
    "start",
    "end",
    "interval",
    "clustering",
    "view",
    "destinationTable",
    "writeDisposition",
    "sourceFormat",
    "sourceTables",
    "sourceTable",
    "queryParameters",
    "parameterType",
    "parameterValue",
    "value",
    "arrayValues",
    "rows",
    "json",
    "insertId",
    "labels",
    "expirationTime",
    "defaultDataset",
];
const TEXTS: [&str; 16] = [
    "",
    "d",
    "t",
    "t$20260101",
    "t@-1",
    "t@99999999999999999",
    "scrimmage",
    "SELECT 1",
    "SELECT * FROM d.t",
    "WRITE_TRUNCATE",
    "NEWLINE_DELIMITED_JSON",
    "DAY",
    "INT64",
    "RECORD",
    "-1",
    "18446744073709551615",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

/// A body that begins as a real one and is then changed in one place.
fn nearly_right() -> impl Strategy<Value = Value> {
    let bases = vec![
        json!({"configuration": {"query": {"query": "SELECT a FROM d.t", "destinationTable": {"projectId": "scrimmage", "datasetId": "d", "tableId": "t"}}}}),
        json!({"configuration": {"copy": {"sourceTables": [{"projectId": "scrimmage", "datasetId": "d", "tableId": "t"}], "destinationTable": {"projectId": "scrimmage", "datasetId": "d", "tableId": "u"}}}}),
        json!({"query": "SELECT @a", "queryParameters": [{"name": "a", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}}], "maxResults": 1, "timeoutMs": 1}),
        json!({"datasetReference": {"datasetId": "e"}, "labels": {"a": "b"}}),
        json!({"tableReference": {"tableId": "v"}, "schema": {"fields": [{"name": "a", "type": "INTEGER"}]}, "timePartitioning": {"type": "DAY", "expirationMs": "1"}, "clustering": {"fields": ["a"]}}),
        json!({"rows": [{"insertId": "x", "json": {"a": 1}}]}),
    ];
    (prop::sample::select(bases), any::<prop::sample::Index>(), any_json()).prop_map(|(mut base, at, new)| {
        let mut places = Vec::new();
        pointers(&base, String::new(), &mut places);
        if let Some(place) = base.pointer_mut(&places[at.index(places.len())]) {
            *place = new;
        }
        base
    })
}

fn pointers(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| pointers(value, format!("{at}/{key}"), into)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(key, value)| pointers(value, format!("{at}/{key}"), into))
        }
        _ => {}
    }
    into.push(at);
}

const PATHS: [(&str, &str); 16] = [
    ("POST", "/projects/scrimmage/datasets"),
    ("PATCH", "/projects/scrimmage/datasets/d"),
    ("PUT", "/projects/scrimmage/datasets/d"),
    ("POST", "/projects/scrimmage/datasets/d/tables"),
    ("PATCH", "/projects/scrimmage/datasets/d/tables/t"),
    ("PUT", "/projects/scrimmage/datasets/d/tables/t"),
    ("POST", "/projects/scrimmage/datasets/d/tables/t/insertAll"),
    ("POST", "/projects/scrimmage/jobs"),
    ("POST", "/projects/scrimmage/queries"),
    ("POST", "/upload/bigquery/v2/projects/scrimmage/jobs?uploadType=resumable"),
    ("POST", "/upload/bigquery/v2/projects/scrimmage/jobs?uploadType=multipart"),
    ("POST", "/upload/bigquery/v2/projects/scrimmage/jobs"),
    ("PUT", "/upload/bigquery/v2/projects/scrimmage/jobs?upload_id=scrimmage-1"),
    ("POST", "/projects/scrimmage/jobs/x/cancel"),
    ("DELETE", "/projects/scrimmage/datasets/d/tables/t$20260101"),
    ("POST", "/nowhere"),
];

/// The answer is one of Google's, and nothing broke inside.
#[track_caller]
fn check(sent: &str, status: u16, body: &Value) {
    assert!(status != 500 && status != 502, "{sent}: {status} {body}");
    if status >= 400 {
        let error = &body["error"];
        assert_eq!(error["code"], status, "{sent}: {body}");
        for place in ["/message", "/status", "/errors/0/reason", "/errors/0/message"] {
            assert!(error.pointer(place).is_some_and(Value::is_string), "{sent}: {place} of {body}");
        }
    }
    if let Some(error) = body.pointer("/status/errorResult") {
        assert_ne!(error["reason"], "internalError", "{sent}: {body}");
    }
}

/// Runs a property whose cases talk to one server.
fn with_server<S: Strategy>(cases: u32, strategy: S, test: impl Fn(&Server, &tokio::runtime::Runtime, S::Value)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let server = runtime.block_on(Server::with(&["CREATE TABLE d.t (a INT64, day DATE) PARTITION BY day"]));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&strategy, |value| {
        test(&server, &runtime, value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn any_body_at_any_endpoint_gets_an_answer() {
    let bodies = prop_oneof![any_json(), nearly_right()];
    with_server(1_500, (0..PATHS.len(), bodies), |server, runtime, (path, body)| {
        let (method, path) = PATHS[path];
        let text = body.to_string();
        let headers = [("content-type", "application/json")];
        let answer = runtime.block_on(server.raw(method, path, &headers, text.clone().into_bytes()));
        check(&format!("{method} {path} {text}"), answer.status, &answer.body);
    });
}

#[test]
fn any_bytes_at_any_endpoint_get_an_answer() {
    let bodies =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..64), "[\\[{\":,0a}\\]-]{0,40}".prop_map(String::into_bytes)];
    with_server(400, (0..PATHS.len(), bodies), |server, runtime, (path, body)| {
        let (method, path) = PATHS[path];
        let answer = runtime.block_on(server.raw(method, path, &[], body.clone()));
        check(&format!("{method} {path} {body:?}"), answer.status, &answer.body);
    });
}

#[test]
fn any_page_token_and_number_get_an_answer() {
    let paths = [
        "/projects/scrimmage/datasets",
        "/projects/scrimmage/datasets/d/tables",
        "/projects/scrimmage/datasets/d/tables/t/data",
        "/projects/scrimmage/datasets/d/routines",
        "/projects/scrimmage/jobs",
    ];
    let offsets = prop_oneof![Just(usize::MAX), 0..5usize, any::<usize>()];
    let tokens = prop_oneof![
        "[a-zA-Z0-9_-]{0,12}",
        offsets.prop_map(scrimmage_bigquery::service::write_token),
        "\\PC{0,4}".prop_map(|name| scrimmage_bigquery::service::write_name_token(&name)),
    ];
    let numbers = prop_oneof![Just("0".to_owned()), Just(usize::MAX.to_string()), "-?[0-9]{1,22}", "[a-z]{0,3}"];
    with_server(400, (0..paths.len(), tokens, numbers), |server, runtime, (path, token, number)| {
        let path = format!("{}?pageToken={token}&maxResults={number}&startIndex={number}", paths[path]);
        let answer = runtime.block_on(server.get(&path));
        check(&path, answer.status, &answer.body);
    });
}

#[test]
fn any_file_is_loaded_or_refused() {
    let lines = prop_oneof![
        any_json().prop_map(|json| json.to_string()),
        "[{}\\[\\]\":,a-d0-9\\\\ .eE-]{0,30}",
        "\\PC{0,20}",
        Just(r#"{"a": 1, "b": "x", "c": [1.5], "d": {"e": "2026-01-01"}}"#.to_owned()),
    ];
    let files = prop::collection::vec(lines, 0..6).prop_map(|lines| lines.join("\n"));
    with_server(400, (files, any::<bool>(), any::<bool>()), |server, runtime, (file, csv, autodetect)| {
        let mut load = json!({
            "destinationTable": {"projectId": "scrimmage", "datasetId": "d", "tableId": "l"},
            "sourceFormat": if csv { "CSV" } else { "NEWLINE_DELIMITED_JSON" },
            "writeDisposition": "WRITE_TRUNCATE",
            "autodetect": autodetect,
        });
        if !autodetect {
            load["schema"] = json!({"fields": [
                {"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"},
                {"name": "c", "type": if csv { "NUMERIC" } else { "FLOAT" }, "mode": if csv { "NULLABLE" } else { "REPEATED" }},
            ]});
        }
        let resource = json!({"configuration": {"load": load}});
        runtime.block_on(async {
            let answer = server.multipart(&resource, file.as_bytes()).await;
            check(&file, answer.status, &answer.body);
            check(&file, 200, &server.done(answer.body).await);
        });
    });
}
