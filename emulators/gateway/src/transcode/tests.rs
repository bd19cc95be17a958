//! Binding of requests and writing of answers, by table.

use proptest::prelude::*;
use prost_reflect::MethodDescriptor;
use rstest::rstest;
use scrimmage_core::Detail;
use serde_json::{Value as Json, json};

use super::json_out::Style;
use super::*;

const SERVICES: [&str; 3] =
    ["google.firestore.v1.Firestore", "google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber"];

fn bound(verb: &str, target: &str, body: &str) -> Result<(String, Json), Status> {
    let table = Table::new(scrimmage_protos::pool(), SERVICES);
    let verb = http::Method::from_bytes(verb.as_bytes()).expect("a method");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = Path::new(path).expect("a path");
    let (rule, captures) = table.find(&verb, &path).expect("a rule");
    let message = bind(rule, &captures, &query::system(query).1, body.as_bytes())?;
    let mut text = Vec::new();
    json_out::write(&message, Style::default(), &mut text);
    Ok((rule.method.name().to_owned(), serde_json::from_slice(&text).expect("JSON")))
}

#[rstest]
#[case::body_and_path("POST", "/v1/projects/p/topics/t:publish", r#"{"messages": [{"data": "aGk=", "attributes": {"k": "v"}}]}"#,
    "Publish", json!({"topic": "projects/p/topics/t", "messages": [{"data": "aGk=", "attributes": {"k": "v"}}]}))]
#[case::url_safe_base64("POST", "/v1/projects/p/topics/t:publish", r#"{"messages": [{"data": "_-8"}]}"#,
    "Publish", json!({"topic": "projects/p/topics/t", "messages": [{"data": "/+8="}]}))]
#[case::snake_case_names("POST", "/v1/projects/p/subscriptions/s:pull", r#"{"max_messages": "5", "return_immediately": true}"#,
    "Pull", json!({"subscription": "projects/p/subscriptions/s", "maxMessages": 5, "returnImmediately": true}))]
#[case::path_wins_over_body("PUT", "/v1/projects/p/topics/t", r#"{"name": "other", "messageRetentionDuration": "600s"}"#,
    "CreateTopic", json!({"name": "projects/p/topics/t", "messageRetentionDuration": "600s"}))]
#[case::no_body("PUT", "/v1/projects/p/topics/t", "", "CreateTopic", json!({"name": "projects/p/topics/t"}))]
#[case::query("GET", "/v1/projects/p/topics?pageSize=7&pageToken=a%20b&key=k&alt=json", "",
    "ListTopics", json!({"project": "projects/p", "pageSize": 7, "pageToken": "a b"}))]
#[case::repeated_and_nested_query("PATCH",
    "/v1/projects/p/databases/d/documents/c/x?updateMask.fieldPaths=a&updateMask.fieldPaths=b.c&currentDocument.exists=true&mask.field_paths=z",
    r#"{"fields": {"a": {"integerValue": "1"}}}"#, "UpdateDocument",
    json!({"document": {"name": "projects/p/databases/d/documents/c/x", "fields": {"a": {"integerValue": "1"}}},
        "updateMask": {"fieldPaths": ["a", "b.c"]}, "mask": {"fieldPaths": ["z"]}, "currentDocument": {"exists": true}}))]
#[case::timestamp_query("GET", "/v1/projects/p/databases/d/documents/c/x?readTime=2026-01-01T00:00:00.5Z", "",
    "GetDocument", json!({"name": "projects/p/databases/d/documents/c/x", "readTime": "2026-01-01T00:00:00.500Z"}))]
#[case::field_mask("PATCH", "/v1/projects/p/subscriptions/s", r#"{"subscription": {"ackDeadlineSeconds": 30}, "updateMask": "ackDeadlineSeconds,push_config"}"#,
    "UpdateSubscription", json!({"subscription": {"name": "projects/p/subscriptions/s", "ackDeadlineSeconds": 30}, "updateMask": "ackDeadlineSeconds,pushConfig"}))]
#[case::wrapper_in_query_struct("POST", "/v1/projects/p/databases/d/documents:runQuery",
    r#"{"structuredQuery": {"from": [{"collectionId": "c"}], "limit": 3, "orderBy": [{"field": {"fieldPath": "a"}, "direction": "DESCENDING"}]}}"#,
    "RunQuery", json!({"parent": "projects/p/databases/d/documents", "structuredQuery": {"from": [{"collectionId": "c"}],
        "orderBy": [{"field": {"fieldPath": "a"}, "direction": "DESCENDING"}], "limit": 3}}))]
#[case::null_value("POST", "/v1/projects/p/databases/d/documents/c?documentId=x",
    r#"{"fields": {"n": {"nullValue": null}, "d": {"doubleValue": "NaN"}, "w": {"doubleValue": 2}, "t": {"timestampValue": "2026-01-01T00:00:00Z"}}}"#,
    "CreateDocument", json!({"parent": "projects/p/databases/d/documents", "collectionId": "c", "documentId": "x",
        "document": {"fields": {"d": {"doubleValue": "NaN"}, "n": {"nullValue": null}, "t": {"timestampValue": "2026-01-01T00:00:00Z"}, "w": {"doubleValue": 2}}}}))]
#[case::null_is_absent("PUT", "/v1/projects/p/topics/t", r#"{"labels": null, "kmsKeyName": null}"#,
    "CreateTopic", json!({"name": "projects/p/topics/t"}))]
fn binds(#[case] verb: &str, #[case] target: &str, #[case] body: &str, #[case] method: &str, #[case] expected: Json) {
    assert_eq!(bound(verb, target, body), Ok((method.to_owned(), expected)));
}

#[rstest]
#[case(
    "PUT",
    "/v1/projects/p/topics/t",
    r#"{"noSuchField": 1}"#,
    r#"Invalid JSON payload received. Unknown name "noSuchField": Cannot find field."#,
    ""
)]
#[case(
    "POST",
    "/v1/projects/p/topics/t:publish",
    r#"{"messages": [{"data": ""}, {"x": 1}]}"#,
    r#"Invalid JSON payload received. Unknown name "x" at 'messages[1]': Cannot find field."#,
    "messages[1]"
)]
#[case(
    "PATCH",
    "/v1/projects/p/databases/d/documents/c/x",
    r#"{"fields": {"a": {"stringvalue": "x"}}}"#,
    r#"Invalid JSON payload received. Unknown name "stringvalue" at 'document.fields[0].value': Cannot find field."#,
    "document.fields[0].value"
)]
#[case(
    "POST",
    "/v1/projects/p/subscriptions/s:pull",
    r#"{"maxMessages": "many"}"#,
    r#"Invalid value at 'max_messages' (TYPE_INT32), "many""#,
    "max_messages"
)]
#[case("GET", "/v1/projects/p/topics?pageSize=x", "", r#"Invalid value at 'pageSize' (TYPE_INT32), "x""#, "pageSize")]
#[case("GET", "/v1/projects/p/topics?nope=x", "",
    r#"Invalid JSON payload received. Unknown name "nope": Cannot bind query parameter. Field 'nope' could not be found in request message."#, "")]
#[case("PUT", "/v1/projects/p/topics/t", "[1]", "Invalid JSON payload received. Root element must be a message.", "")]
#[case(
    "PUT",
    "/v1/projects/p/topics/t",
    "{\"a\": tru}",
    "Invalid JSON payload received. Unexpected token.\n{\"a\": tru}\n         ^",
    ""
)]
#[case(
    "DELETE",
    "/v1/projects/p/topics/t",
    r#"{"x": 1}"#,
    r#"Invalid JSON payload received. Unknown name "x": Cannot find field."#,
    ""
)]
fn refuses(#[case] verb: &str, #[case] target: &str, #[case] body: &str, #[case] text: &str, #[case] field: &str) {
    let status = bound(verb, target, body).expect_err("a refusal");
    assert_eq!(status.code, scrimmage_core::Code::InvalidArgument);
    assert_eq!(status.message, text);
    assert_eq!(status.details, [Detail::BadRequest { field_violations: vec![(field.to_owned(), text.to_owned())] }]);
}

#[test]
fn two_values_of_one_choice_are_refused() {
    let body = r#"{"fields": {"a": {"stringValue": "x", "integerValue": "1"}}}"#;
    let status = bound("PATCH", "/v1/projects/p/databases/d/documents/c/x", body).expect_err("a refusal");
    assert!(status.message.contains("oneof field 'value_type' is already set"), "{}", status.message);
}

#[test]
fn deep_bodies_are_refused_without_harm() {
    let deep = format!("{}{}", r#"{"fields":{"a":{"mapValue":"#.repeat(60), "}}}".repeat(60));
    assert!(bound("PATCH", "/v1/projects/p/databases/d/documents/c/x", &deep).is_err());
    let deeper = "[".repeat(100_000);
    assert!(bound("PATCH", "/v1/projects/p/databases/d/documents/c/x", &deeper).is_err());
}

#[test]
fn writes_pretty_as_production_does() {
    let pool = scrimmage_protos::pool();
    let descriptor = pool.get_message_by_name("google.pubsub.v1.Topic").expect("a message");
    let mut problems = Problems::default();
    let json = json!({"name": "t", "labels": {"b": "2", "a": "1"}, "messageStoragePolicy": {}});
    let message = json_in::message(&descriptor, &json, "", &mut problems);
    let mut text = Vec::new();
    json_out::write(&message, Style { pretty: true, enum_numbers: false }, &mut text);
    let expected = "{\n  \"name\": \"t\",\n  \"labels\": {\n    \"a\": \"1\",\n    \"b\": \"2\"\n  },\n  \"messageStoragePolicy\": {}\n}";
    assert_eq!(String::from_utf8(text).expect("UTF-8"), expected);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[\\PC]{0,8}".prop_map(Json::from),
    ];
    let name = prop_oneof![
        Just("fields".to_owned()),
        Just("mapValue".to_owned()),
        Just("arrayValue".to_owned()),
        Just("values".to_owned()),
        Just("integerValue".to_owned()),
        Just("timestampValue".to_owned()),
        Just("bytesValue".to_owned()),
        Just("name".to_owned()),
        "[a-z]{0,4}",
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn bodies_never_panic(json in any_json()) {
        let descriptor = scrimmage_protos::pool().get_message_by_name("google.firestore.v1.Document").expect("a message");
        let mut problems = Problems::default();
        let message = json_in::message(&descriptor, &json, "document", &mut problems);
        let mut text = Vec::new();
        json_out::write(&message, Style::default(), &mut text);
        prop_assert!(serde_json::from_slice::<Json>(&text).is_ok());
    }

    #[test]
    fn texts_never_panic(body in "\\PC{0,60}") {
        let _ = json_in::parse(body.as_bytes());
    }

    #[test]
    fn parameters_never_panic(query in "([a-zA-Z.$_]{0,12}=?[a-zA-Z0-9%+&=.:-]{0,12}&?){0,4}") {
        let method: Option<MethodDescriptor> = scrimmage_protos::pool()
            .get_service_by_name("google.firestore.v1.Firestore")
            .and_then(|service| service.methods().find(|method| method.name() == "RunQuery"));
        let mut message = DynamicMessage::new(method.expect("a method").input());
        let (_, own) = query::system(&query);
        let mut problems = Problems::default();
        query::bind(&mut message, &own, &mut problems);
    }
}
