//! Pub/Sub's surface, each case over gRPC and over REST: refusals word for word, masks, pages.
#![allow(clippy::expect_used, clippy::panic)]

mod common;

use bytes::{Buf, BufMut, Bytes};
use common::rest;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use scrimmage_suite::Suite;
use serde_json::{Value as Json, json};
use tonic::Code;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

const NAME_HINT: &str =
    "Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.";

/// Answers and refusals alike: the status and the text, or the answer.
type Said = Result<Json, (Code, String)>;

/// One method of Pub/Sub, by its gRPC name and by its REST address.
struct Call {
    method: &'static str,
    request: Json,
    verb: &'static str,
    path: String,
    body: Json,
}

fn call(method: &'static str, request: Json, verb: &'static str, path: impl Into<String>, body: Json) -> Call {
    Call { method, request, verb, path: path.into(), body }
}

struct Stage {
    suite: Suite,
    grpc: tonic::transport::Channel,
}

impl Stage {
    async fn start() -> Stage {
        let suite = Suite::builder().project("demo").start().await.expect("a suite");
        let grpc =
            tonic::transport::Channel::from_shared(suite.url()).expect("a URL").connect().await.expect("a connection");
        let stage = Stage { suite, grpc };
        for (path, body) in [
            ("topics/tee", json!({})),
            ("topics/gone", json!({})),
            ("subscriptions/sub", json!({"topic": "projects/demo/topics/tee"})),
            (
                "subscriptions/pushed",
                json!({"topic": "projects/demo/topics/tee", "pushConfig": {"pushEndpoint": "http://127.0.0.1:9/x"}}),
            ),
            ("subscriptions/detached", json!({"topic": "projects/demo/topics/tee"})),
            ("subscriptions/orphan", json!({"topic": "projects/demo/topics/gone"})),
            ("snapshots/snap", json!({"subscription": "projects/demo/subscriptions/sub"})),
        ] {
            stage.ok("PUT", &format!("/v1/projects/demo/{path}"), body).await;
        }
        stage.ok("POST", "/v1/projects/demo/subscriptions/detached:detach", json!({})).await;
        stage.ok("DELETE", "/v1/projects/demo/topics/gone", Json::Null).await;
        stage
    }

    async fn rest(&self, verb: &str, path: &str, body: Json) -> Said {
        let (status, body) = rest(verb, self.suite.addr(), path, body).await;
        if status == 200 {
            return Ok(body);
        }
        let error = &body["error"];
        assert_eq!(error["code"], status);
        let code = error["status"].as_str().expect("a status");
        Err((code_named(code), error["message"].as_str().expect("a message").to_owned()))
    }

    async fn ok(&self, verb: &str, path: &str, body: Json) -> Json {
        self.rest(verb, path, body).await.unwrap_or_else(|refused| panic!("{verb} {path}: {refused:?}"))
    }

    async fn grpc(&self, method: &str, request: &Json) -> Said {
        let (service, name) = method.split_once('/').expect("a service and a method");
        let package = if service == "IAMPolicy" { "google.iam.v1" } else { "google.pubsub.v1" };
        let pool = scrimmage_protos::pool();
        let service = pool.get_service_by_name(&format!("{package}.{service}")).expect("a service");
        let method = service.methods().find(|method| method.name() == name).expect("a method");
        let request = DynamicMessage::deserialize(method.input(), request).expect("a request");
        let mut client = tonic::client::Grpc::new(self.grpc.clone());
        client.ready().await.expect("ready");
        let path = format!("/{}/{name}", service.full_name()).parse().expect("a path");
        let request = tonic::Request::new(Bytes::from(request.encode_to_vec()));
        match client.unary(request, path, Raw).await {
            Ok(answer) => {
                let answer = DynamicMessage::decode(method.output(), answer.into_inner()).expect("an answer");
                let options = SerializeOptions::new();
                Ok(answer.serialize_with_options(serde_json::value::Serializer, &options).expect("JSON"))
            }
            Err(status) => Err((status.code(), status.message().to_owned())),
        }
    }

    async fn both(&self, call: &Call) -> [Said; 2] {
        [self.grpc(call.method, &call.request).await, self.rest(call.verb, &call.path, call.body.clone()).await]
    }
}

/// Bytes as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

fn code_named(name: &str) -> Code {
    match name {
        "NOT_FOUND" => Code::NotFound,
        "ALREADY_EXISTS" => Code::AlreadyExists,
        "INVALID_ARGUMENT" => Code::InvalidArgument,
        "FAILED_PRECONDITION" => Code::FailedPrecondition,
        other => panic!("{other}"),
    }
}

fn name(of: &str) -> String {
    format!("projects/demo/{of}")
}

/// A call on one resource that has nothing but its name.
fn on(method: &'static str, field: &str, resource: &str, verb: &'static str, suffix: &str) -> Call {
    let body = if verb == "POST" { json!({}) } else { Json::Null };
    call(method, json!({(field): name(resource)}), verb, format!("/v1/projects/demo/{resource}{suffix}"), body)
}

fn create_sub(config: Json) -> Call {
    let mut request = config.clone();
    request["name"] = json!(name("subscriptions/new"));
    call("Subscriber/CreateSubscription", request, "PUT", "/v1/projects/demo/subscriptions/new", config)
}

fn update(kind: &str, resource: &str, mask: &str, mut fields: Json) -> Call {
    fields["name"] = json!(name(resource));
    let (method, key) = match kind {
        "Topic" => ("Publisher/UpdateTopic", "topic"),
        "Snapshot" => ("Subscriber/UpdateSnapshot", "snapshot"),
        _ => ("Subscriber/UpdateSubscription", "subscription"),
    };
    let request = json!({(key): fields, "updateMask": mask});
    call(method, request.clone(), "PATCH", format!("/v1/projects/demo/{resource}"), request)
}

fn of_sub(method: &'static str, sub: &str, verb: &str, body: Json) -> Call {
    let mut request = body.clone();
    request["subscription"] = json!(name(sub));
    call(method, request, "POST", format!("/v1/projects/demo/{sub}:{verb}"), body)
}

fn immutable(kind: &str, field: &str) -> String {
    format!(
        "Invalid update_mask provided in the Update{kind}Request: the '{field}' field in the {kind} is not mutable."
    )
}

fn unknown(kind: &str, field: &str) -> String {
    format!(
        "Invalid update_mask provided in the Update{kind}Request: '{field}' is not a known {kind} field. Note that field \
         paths must be of the form 'push_config' rather than 'pushConfig'."
    )
}

fn no_mask(kind: &str) -> String {
    format!("The update_mask in the Update{kind}Request must be set, and must contain a non-empty paths list.")
}

#[tokio::test]
async fn refusals_say_the_same_over_grpc_and_rest() {
    use Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound};
    let stage = Stage::start().await;
    let tee = json!({"topic": name("topics/tee")});
    let missing = "Resource not found (resource=none).";
    let with = |extra: Json| {
        let mut config = json!({"topic": name("topics/tee")});
        for (key, value) in extra.as_object().expect("an object") {
            config[key] = value.clone();
        }
        create_sub(config)
    };
    let bad_name = |of: &str| format!("Invalid resource name given (name={}). {NAME_HINT}", name(of));
    let exists = |id: &str| format!("Resource already exists in the project (resource={id}).");
    let rows: Vec<(Call, Code, String)> = vec![
        (on("Publisher/GetTopic", "topic", "topics/none", "GET", ""), NotFound, missing.into()),
        (on("Publisher/DeleteTopic", "topic", "topics/none", "DELETE", ""), NotFound, missing.into()),
        (on("Publisher/ListTopicSubscriptions", "topic", "topics/none", "GET", "/subscriptions"), NotFound, missing.into()),
        (on("Publisher/ListTopicSnapshots", "topic", "topics/none", "GET", "/snapshots"), NotFound, missing.into()),
        (on("Publisher/DetachSubscription", "subscription", "subscriptions/none", "POST", ":detach"), NotFound, missing.into()),
        (on("Subscriber/GetSubscription", "subscription", "subscriptions/none", "GET", ""), NotFound, missing.into()),
        (on("Subscriber/DeleteSubscription", "subscription", "subscriptions/none", "DELETE", ""), NotFound, missing.into()),
        (on("Subscriber/GetSnapshot", "snapshot", "snapshots/none", "GET", ""), NotFound, missing.into()),
        (on("Subscriber/DeleteSnapshot", "snapshot", "snapshots/none", "DELETE", ""), NotFound, missing.into()),
        (on("SchemaService/GetSchema", "name", "schemas/none", "GET", ""), NotFound, missing.into()),
        (on("SchemaService/DeleteSchema", "name", "schemas/none", "DELETE", ""), NotFound, missing.into()),
        (on("SchemaService/ListSchemaRevisions", "name", "schemas/none", "GET", ":listRevisions"), NotFound, missing.into()),
        (on("IAMPolicy/GetIamPolicy", "resource", "topics/none", "GET", ":getIamPolicy"), NotFound, missing.into()),
        (on("IAMPolicy/GetIamPolicy", "resource", "topics/none", "POST", ":getIamPolicy"), NotFound, missing.into()),
        (of_sub("Subscriber/Pull", "subscriptions/none", "pull", json!({"maxMessages": 1})), NotFound, missing.into()),
        (
            call(
                "Publisher/Publish",
                json!({"topic": name("topics/none"), "messages": [{"data": "eA=="}]}),
                "POST",
                "/v1/projects/demo/topics/none:publish",
                json!({"messages": [{"data": "eA=="}]}),
            ),
            NotFound,
            missing.into(),
        ),
        (
            call("Publisher/CreateTopic", json!({"name": name("topics/tee")}), "PUT", "/v1/projects/demo/topics/tee", json!({})),
            AlreadyExists,
            exists("tee"),
        ),
        (
            call(
                "Subscriber/CreateSubscription",
                json!({"name": name("subscriptions/sub"), "topic": name("topics/tee")}),
                "PUT",
                "/v1/projects/demo/subscriptions/sub",
                tee.clone(),
            ),
            AlreadyExists,
            exists("sub"),
        ),
        (
            call(
                "Subscriber/CreateSnapshot",
                json!({"name": name("snapshots/snap"), "subscription": name("subscriptions/sub")}),
                "PUT",
                "/v1/projects/demo/snapshots/snap",
                json!({"subscription": name("subscriptions/sub")}),
            ),
            AlreadyExists,
            exists("snap"),
        ),
        (
            call("Publisher/CreateTopic", json!({"name": name("topics/ab")}), "PUT", "/v1/projects/demo/topics/ab", json!({})),
            InvalidArgument,
            bad_name("topics/ab"),
        ),
        (
            call("Publisher/CreateTopic", json!({"name": name("topics/google")}), "PUT", "/v1/projects/demo/topics/google", json!({})),
            InvalidArgument,
            bad_name("topics/google"),
        ),
        (create_sub(json!({"topic": name("topics/none")})), NotFound, missing.into()),
        (
            create_sub(json!({"topic": "_deleted-topic_"})),
            InvalidArgument,
            format!("Invalid resource name given (name=_deleted-topic_). {NAME_HINT}"),
        ),
        (
            of_sub("Subscriber/Pull", "subscriptions/sub", "pull", json!({"maxMessages": 0})),
            InvalidArgument,
            "You have passed an invalid argument to the service (argument=max_messages).".into(),
        ),
        (
            of_sub("Subscriber/Pull", "subscriptions/pushed", "pull", json!({"maxMessages": 1})),
            FailedPrecondition,
            "This method is not supported for this subscription type.".into(),
        ),
        (
            of_sub("Subscriber/Acknowledge", "subscriptions/sub", "acknowledge", json!({"ackIds": []})),
            InvalidArgument,
            "You have not specified an ack ID in the request.".into(),
        ),
        (
            of_sub("Subscriber/Acknowledge", "subscriptions/sub", "acknowledge", json!({"ackIds": ["not-an-ack-id"]})),
            InvalidArgument,
            "You have passed an invalid ack ID to the service (ack_id=not-an-ack-id).".into(),
        ),
        (
            of_sub(
                "Subscriber/ModifyAckDeadline",
                "subscriptions/sub",
                "modifyAckDeadline",
                json!({"ackIds": ["x"], "ackDeadlineSeconds": 601}),
            ),
            InvalidArgument,
            "Invalid ack deadline given (ack_deadline=601). The ack deadline must be between 0 and 600 seconds.".into(),
        ),
        (
            call(
                "Publisher/Publish",
                json!({"topic": name("topics/tee"), "messages": []}),
                "POST",
                "/v1/projects/demo/topics/tee:publish",
                json!({"messages": []}),
            ),
            InvalidArgument,
            "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.".into(),
        ),
        (
            call(
                "Publisher/Publish",
                json!({"topic": name("topics/tee"), "messages": [{}]}),
                "POST",
                "/v1/projects/demo/topics/tee:publish",
                json!({"messages": [{}]}),
            ),
            InvalidArgument,
            "One or more messages in the publish request is empty. Each message must contain either non-empty data, or at \
             least one attribute."
                .into(),
        ),
        (
            with(json!({"messageRetentionDuration": "599s"})),
            InvalidArgument,
            "The value for message retention duration is out of bounds. You passed 9m59s in the request, but the value \
             must be between 10m and 744h."
                .into(),
        ),
        (
            with(json!({"expirationPolicy": {"ttl": "3600s"}})),
            InvalidArgument,
            "The value for expiration duration is too small. You passed 1h in the request, but the minimum value is 24h."
                .into(),
        ),
        (
            with(json!({"pushConfig": {"pushEndpoint": "here"}})),
            InvalidArgument,
            "Invalid push endpoint given (endpoint=here). Refer to \
             https://cloud.google.com/pubsub/docs/subscriber#create for more information."
                .into(),
        ),
        (update("Subscription", "subscriptions/sub", "", json!({})), InvalidArgument, no_mask("Subscription")),
        (update("Topic", "topics/tee", "", json!({})), InvalidArgument, no_mask("Topic")),
        (update("Snapshot", "snapshots/snap", "", json!({})), InvalidArgument, no_mask("Snapshot")),
        (update("Subscription", "subscriptions/sub", "color", json!({})), InvalidArgument, unknown("Subscription", "color")),
        (
            update("Subscription", "subscriptions/sub", "pushConfig.color", json!({})),
            InvalidArgument,
            unknown("Subscription", "push_config.color"),
        ),
        (update("Topic", "topics/tee", "color", json!({})), InvalidArgument, unknown("Topic", "color")),
        (update("Snapshot", "snapshots/snap", "color", json!({})), InvalidArgument, unknown("Snapshot", "color")),
        (update("Subscription", "subscriptions/none", "labels", json!({})), NotFound, missing.into()),
        (
            call(
                "Publisher/ListTopics",
                json!({"project": "projects/demo", "pageSize": -1}),
                "GET",
                "/v1/projects/demo/topics?pageSize=-1",
                Json::Null,
            ),
            InvalidArgument,
            "You have passed an invalid argument to the service (argument=page_size).".into(),
        ),
    ];
    for (call, code, text) in &rows {
        for (said, by) in stage.both(call).await.into_iter().zip(["gRPC", "REST"]) {
            assert_eq!(said, Err((*code, text.clone())), "{} by {by}: {}", call.method, call.request);
        }
    }
    for (kind, resource, fields) in [
        (
            "Subscription",
            "subscriptions/sub",
            &[
                "name",
                "topic",
                "filter",
                "enable_message_ordering",
                "detached",
                "state",
                "topic_message_retention_duration",
            ][..],
        ),
        ("Topic", "topics/tee", &["name", "state", "satisfies_pzs"]),
        ("Snapshot", "snapshots/snap", &["name", "topic"]),
    ] {
        for field in fields {
            let mask: String = field
                .split('_')
                .enumerate()
                .map(|(at, word)| if at == 0 { word.to_owned() } else { word[..1].to_uppercase() + &word[1..] })
                .collect();
            for said in stage.both(&update(kind, resource, &mask, json!({}))).await {
                assert_eq!(said, Err((InvalidArgument, immutable(kind, field))));
            }
        }
    }
    let pull = of_sub("Subscriber/Pull", "subscriptions/detached", "pull", json!({"maxMessages": 1}));
    for said in stage.both(&pull).await {
        assert_eq!(said.expect_err("detached").0, FailedPrecondition);
    }
    let (status, body) =
        rest("PUT", stage.suite.addr(), "/v1/projects/demo/topics/new", json!({"noSuchField": 1})).await;
    assert_eq!(status, 400);
    let text = body["error"]["message"].as_str().expect("a text");
    assert!(text.starts_with("Invalid JSON payload received. Unknown name \"noSuchField\""), "{text}");
    assert!(text.ends_with(": Cannot find field."), "{text}");
    stage.suite.shutdown().await;
}

#[tokio::test]
async fn every_mutable_field_changes_by_its_mask_and_no_other() {
    let stage = Stage::start().await;
    let dead = json!({"deadLetterTopic": name("topics/tee"), "maxDeliveryAttempts": 7});
    let udf = json!([{"javascriptUdf": {"functionName": "f", "code": "function f(m) { return m; }"}}]);
    let schema = json!({"type": "AVRO", "definition": r#"{"type": "record", "name": "R", "fields": []}"#});
    stage.ok("POST", "/v1/projects/demo/schemas?schemaId=shape", schema).await;
    let settings = json!({"schema": name("schemas/shape"), "encoding": "JSON"});
    let rows = [
        ("Subscription", "ackDeadlineSeconds", json!({"ackDeadlineSeconds": 20})),
        ("Subscription", "retainAckedMessages", json!({"retainAckedMessages": true})),
        ("Subscription", "messageRetentionDuration", json!({"messageRetentionDuration": "1200s"})),
        ("Subscription", "labels", json!({"labels": {"a": "b"}})),
        ("Subscription", "enableExactlyOnceDelivery", json!({"enableExactlyOnceDelivery": true})),
        ("Subscription", "expirationPolicy", json!({"expirationPolicy": {"ttl": "86400s"}})),
        ("Subscription", "expirationPolicy.ttl", json!({"expirationPolicy": {"ttl": "86401s"}})),
        ("Subscription", "deadLetterPolicy", json!({"deadLetterPolicy": dead})),
        ("Subscription", "retryPolicy", json!({"retryPolicy": {"minimumBackoff": "1s", "maximumBackoff": "2s"}})),
        (
            "Subscription",
            "pushConfig",
            json!({"pushConfig": {"pushEndpoint": "http://127.0.0.1:9/x", "attributes": {"x-goog-version": "v1"}}}),
        ),
        (
            "Subscription",
            "pushConfig.pushEndpoint",
            json!({"pushConfig": {"pushEndpoint": "http://127.0.0.1:9/y", "attributes": {"x-goog-version": "v1"}}}),
        ),
        ("Subscription", "messageTransforms", json!({"messageTransforms": udf})),
        ("Topic", "labels", json!({"labels": {"a": "b"}})),
        ("Topic", "messageRetentionDuration", json!({"messageRetentionDuration": "1200s"})),
        (
            "Topic",
            "messageStoragePolicy",
            json!({"messageStoragePolicy": {"allowedPersistenceRegions": ["europe-west1"]}}),
        ),
        ("Topic", "schemaSettings", json!({"schemaSettings": settings})),
        ("Topic", "messageTransforms", json!({"messageTransforms": udf})),
        ("Topic", "kmsKeyName", json!({"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"})),
        ("Snapshot", "labels", json!({"labels": {"a": "b"}})),
        ("Snapshot", "expireTime", json!({"expireTime": "2100-01-01T00:00:00Z"})),
    ];
    for (at, (kind, mask, fields)) in rows.into_iter().enumerate() {
        let (resource, config) = match kind {
            "Topic" => (format!("topics/topic{at}"), json!({})),
            "Snapshot" => (format!("snapshots/snap{at}"), json!({"subscription": name("subscriptions/sub")})),
            _ => (format!("subscriptions/sub{at}"), json!({"topic": name("topics/tee")})),
        };
        let path = format!("/v1/{}", name(&resource));
        let before = stage.ok("PUT", &path, config).await;
        let mut given = fields.clone();
        // Not in the mask: not looked at.
        if mask != "labels" {
            given["labels"] = json!({"not": "masked"});
        }
        let mut expected = before;
        for (key, value) in fields.as_object().expect("an object") {
            expected[key] = value.clone();
        }
        for said in stage.both(&update(kind, &resource, mask, given)).await {
            assert_eq!(said.as_ref(), Ok(&expected), "{kind} {mask}");
        }
        assert_eq!(stage.ok("GET", &path, Json::Null).await, expected, "{kind} {mask}");
    }
    stage.suite.shutdown().await;
}

#[tokio::test]
async fn lists_come_in_pages_with_everything_once() {
    let stage = Stage::start().await;
    for at in 0..5 {
        stage.ok("PUT", &format!("/v1/projects/demo/topics/page{at}"), json!({})).await;
        stage
            .ok("PUT", &format!("/v1/projects/demo/subscriptions/page{at}"), json!({"topic": name("topics/page0")}))
            .await;
        let config = json!({"subscription": name("subscriptions/page0")});
        stage.ok("PUT", &format!("/v1/projects/demo/snapshots/page{at}"), config).await;
        let schema = json!({"type": "AVRO", "definition": "\"string\""});
        stage.ok("POST", &format!("/v1/projects/demo/schemas?schemaId=page{at}"), schema).await;
    }
    for (path, field, method, parent) in [
        ("projects/demo/topics", "topics", "Publisher/ListTopics", "project"),
        ("projects/demo/subscriptions", "subscriptions", "Subscriber/ListSubscriptions", "project"),
        ("projects/demo/snapshots", "snapshots", "Subscriber/ListSnapshots", "project"),
        ("projects/demo/schemas", "schemas", "SchemaService/ListSchemas", "parent"),
        ("projects/demo/topics/page0/subscriptions", "subscriptions", "Publisher/ListTopicSubscriptions", "topic"),
        ("projects/demo/topics/page0/snapshots", "snapshots", "Publisher/ListTopicSnapshots", "topic"),
    ] {
        let all = stage.ok("GET", &format!("/v1/{path}"), Json::Null).await;
        assert!(all.get("nextPageToken").is_none(), "{path}");
        let all = all[field].as_array().expect("a list").clone();
        assert!(all.len() >= 5, "{path}");
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let of = path.rsplit_once('/').expect("a parent").0;
            let list = call(
                method,
                json!({(parent): of, "pageSize": 2, "pageToken": token}),
                "GET",
                format!("/v1/{path}?pageSize=2&pageToken={token}"),
                Json::Null,
            );
            let [grpc, rest] = stage.both(&list).await;
            assert_eq!(grpc, rest);
            let page = grpc.expect("a page");
            seen.extend(page[field].as_array().expect("a list").clone());
            token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, all, "{path}");
        let bad = call(
            method,
            json!({(parent): path.rsplit_once('/').expect("a parent").0, "pageToken": "%"}),
            "GET",
            format!("/v1/{path}?pageToken=%25"),
            Json::Null,
        );
        for said in stage.both(&bad).await {
            assert_eq!(said.expect_err("no token").0, Code::InvalidArgument);
        }
    }
    stage.suite.shutdown().await;
}

#[tokio::test]
async fn what_is_deleted_or_detached_shows_it() {
    let stage = Stage::start().await;
    let orphan = stage.ok("GET", "/v1/projects/demo/subscriptions/orphan", Json::Null).await;
    assert_eq!(orphan["topic"], "_deleted-topic_");
    let detached = stage.ok("GET", "/v1/projects/demo/subscriptions/detached", Json::Null).await;
    assert_eq!((&detached["detached"], &detached["topic"]), (&json!(true), &json!(name("topics/tee"))));
    let members = stage.ok("GET", "/v1/projects/demo/topics/tee/subscriptions", Json::Null).await;
    assert_eq!(members["subscriptions"], json!([name("subscriptions/pushed"), name("subscriptions/sub")]));
    let retention = json!({"messageRetentionDuration": "600s", "labels": {"team": "blue"}});
    let made = stage.ok("PUT", "/v1/projects/demo/topics/kept", retention).await;
    assert_eq!((&made["labels"]["team"], &made["state"]), (&json!("blue"), &json!("ACTIVE")));
    let sub = stage.ok("PUT", "/v1/projects/demo/subscriptions/kept", json!({"topic": name("topics/kept")})).await;
    assert_eq!(sub["topicMessageRetentionDuration"], "600s");
    stage.suite.shutdown().await;
}
