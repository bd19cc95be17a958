//! Schemas: revisions, and topics whose messages must fit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Stage, TOPIC};
use prost::Message as _;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::schema::Type;
use scrimmage_protos::google::pubsub::v1::{Encoding, SchemaView};
use scrimmage_protos::google::rpc;
use tonic::Code;

const STATES: &str = "projects/demo/schemas/states";
const AVRO: &str = r#"{"type": "record", "name": "State", "fields": [{"name": "name", "type": "string"}]}"#;
const AVRO_PLUS: &str = r#"{"type": "record", "name": "State", "fields": [{"name": "name", "type": "string"},
    {"name": "post", "type": "int", "default": 0}]}"#;
const PROTO: &str = "syntax = \"proto3\"; message State { string name = 1; }";

fn schema(kind: Type, definition: &str) -> pb::Schema {
    pb::Schema { r#type: kind.into(), definition: definition.to_owned(), ..Default::default() }
}

async fn create(stage: &mut Stage, kind: Type, definition: &str) -> Result<pb::Schema, tonic::Status> {
    let schema = Some(schema(kind, definition));
    let request = pb::CreateSchemaRequest { parent: "projects/demo".into(), schema, schema_id: "states".into() };
    stage.schemas.create_schema(request).await.map(tonic::Response::into_inner)
}

async fn commit(stage: &mut Stage, kind: Type, definition: &str) -> Result<pb::Schema, tonic::Status> {
    let request = pb::CommitSchemaRequest { name: STATES.into(), schema: Some(schema(kind, definition)) };
    stage.schemas.commit_schema(request).await.map(tonic::Response::into_inner)
}

async fn attach(stage: &mut Stage, encoding: Encoding, first: &str, last: &str) -> Result<pb::Topic, tonic::Status> {
    let settings = pb::SchemaSettings {
        schema: STATES.into(),
        encoding: encoding.into(),
        first_revision_id: first.into(),
        last_revision_id: last.into(),
    };
    let request = pb::UpdateTopicRequest {
        topic: Some(pb::Topic { name: TOPIC.into(), schema_settings: Some(settings), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["schema_settings".into()] }),
    };
    stage.publisher.update_topic(request).await.map(tonic::Response::into_inner)
}

async fn publish(stage: &mut Stage, data: &[u8]) -> Result<(), tonic::Status> {
    let message = pb::PubsubMessage { data: data.to_vec().into(), ..Default::default() };
    let request = pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] };
    stage.publisher.publish(request).await.map(|_| ())
}

fn reason(status: &tonic::Status) -> (String, String) {
    let details = rpc::Status::decode(status.details()).expect("details");
    let info = rpc::ErrorInfo::decode(details.details[0].value.as_ref()).expect("error info");
    assert_eq!(info.domain, "pubsub.googleapis.com");
    assert_eq!(info.metadata["message"], "Message failed schema validation");
    (info.reason, info.metadata["revisionInfo"].clone())
}

#[tokio::test]
async fn a_schema_lives_through_its_revisions() {
    let mut stage = Stage::start().await;
    let first = create(&mut stage, Type::Avro, AVRO).await.expect("a schema");
    assert_eq!((first.name.as_str(), first.revision_id.len(), first.definition.as_str()), (STATES, 8, AVRO));
    assert!(first.revision_create_time.is_some());
    let again = create(&mut stage, Type::Avro, AVRO).await.expect_err("there already");
    assert_eq!(again.message(), "Resource already exists in the project (resource=states).");
    stage.advance(Duration::from_secs(1));
    let second = commit(&mut stage, Type::Avro, AVRO_PLUS).await.expect("a revision");
    assert_ne!(first.revision_id, second.revision_id);
    let refused = commit(&mut stage, Type::Avro, "\"int\"").await.expect_err("incompatible");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        commit(&mut stage, Type::ProtocolBuffer, PROTO).await.expect_err("another type").code(),
        Code::InvalidArgument
    );

    let get = |name: &str, view: SchemaView| pb::GetSchemaRequest { name: name.into(), view: view.into() };
    let latest = stage.schemas.get_schema(get(STATES, SchemaView::Unspecified)).await.expect("it").into_inner();
    assert_eq!(latest, second);
    let basic = stage.schemas.get_schema(get(STATES, SchemaView::Basic)).await.expect("it").into_inner();
    assert_eq!((basic.definition.as_str(), basic.revision_id), ("", second.revision_id.clone()));
    let at = format!("{STATES}@{}", first.revision_id);
    let old = stage.schemas.get_schema(get(&at, SchemaView::Full)).await.expect("it").into_inner();
    assert_eq!((old.definition.as_str(), old.revision_id), (AVRO, first.revision_id.clone()));

    let request = pb::RollbackSchemaRequest { name: STATES.into(), revision_id: first.revision_id.clone() };
    let third = stage.schemas.rollback_schema(request).await.expect("a revision").into_inner();
    assert_eq!(third.definition, AVRO);

    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            pb::ListSchemaRevisionsRequest { name: STATES.into(), page_size: 2, page_token, ..Default::default() };
        let page = stage.schemas.list_schema_revisions(request).await.expect("a page").into_inner();
        assert!(page.schemas.iter().all(|schema| schema.definition.is_empty()));
        ids.extend(page.schemas.into_iter().map(|schema| schema.revision_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, [third.revision_id.as_str(), &second.revision_id, &first.revision_id]);

    for id in [&first.revision_id, &second.revision_id] {
        let request = pb::DeleteSchemaRevisionRequest { name: format!("{STATES}@{id}"), ..Default::default() };
        stage.schemas.delete_schema_revision(request.clone()).await.expect("deleted");
        assert_eq!(stage.schemas.delete_schema_revision(request).await.expect_err("gone").code(), Code::NotFound);
    }
    let request =
        pb::DeleteSchemaRevisionRequest { name: format!("{STATES}@{}", third.revision_id), ..Default::default() };
    assert_eq!(
        stage.schemas.delete_schema_revision(request).await.expect_err("the last").code(),
        Code::FailedPrecondition
    );

    let list =
        pb::ListSchemasRequest { parent: "projects/demo".into(), view: SchemaView::Full.into(), ..Default::default() };
    let listed = stage.schemas.list_schemas(list).await.expect("a list").into_inner().schemas;
    assert_eq!(listed, [third]);
    stage.schemas.delete_schema(pb::DeleteSchemaRequest { name: STATES.into() }).await.expect("deleted");
    let gone = stage.schemas.get_schema(get(STATES, SchemaView::Full)).await.expect_err("gone");
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "Resource not found (resource=states)."));
}

#[tokio::test]
async fn twenty_revisions_at_a_time() {
    let mut stage = Stage::start().await;
    create(&mut stage, Type::ProtocolBuffer, PROTO).await.expect("a schema");
    for _ in 1..20 {
        commit(&mut stage, Type::ProtocolBuffer, PROTO).await.expect("a revision");
    }
    assert_eq!(
        commit(&mut stage, Type::ProtocolBuffer, PROTO).await.expect_err("too many").code(),
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn messages_must_fit_an_allowed_revision() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let first = create(&mut stage, Type::Avro, AVRO).await.expect("a schema").revision_id;
    let second = commit(&mut stage, Type::Avro, AVRO_PLUS).await.expect("a revision").revision_id;
    attach(&mut stage, Encoding::Json, "", "").await.expect("attached");

    for (data, revision) in [(&br#"{"name": "Ohio"}"#[..], &first), (br#"{"name": "Ohio", "post": 1}"#, &second)] {
        publish(&mut stage, data).await.expect("it fits");
        let got = stage.pull_now(1).await.remove(0);
        let attributes = got.message.clone().expect("a message").attributes;
        assert_eq!(attributes["googclient_schemaencoding"], "JSON");
        assert_eq!(attributes["googclient_schemaname"], STATES);
        assert_eq!(&attributes["googclient_schemarevisionid"], revision);
        stage.ack(&got).await.expect("acknowledged");
    }
    let refused = publish(&mut stage, br#"{"name": 1}"#).await.expect_err("it does not fit");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "Invalid data in message: Message failed schema validation.");
    let (why, info) = reason(&refused);
    assert_eq!(why, "INVALID_JSON_AVRO_MESSAGE");
    assert_eq!(
        info,
        format!(
            "Could not validate message with any schema revision for schema: {STATES}, last checked revision: \
             revision_id={first} failed with status: JSON object with type number_integer does not match schema which \
             expected string"
        )
    );

    attach(&mut stage, Encoding::Json, &second, "").await.expect("attached");
    publish(&mut stage, br#"{"name": "Ohio"}"#).await.expect_err("too old a revision");
    attach(&mut stage, Encoding::Json, "", &first).await.expect("attached");
    publish(&mut stage, br#"{"name": "Ohio", "post": 1}"#).await.expect_err("too new a revision");
    let order = attach(&mut stage, Encoding::Json, &second, &first).await.expect_err("the wrong way round");
    assert_eq!(order.code(), Code::InvalidArgument);

    attach(&mut stage, Encoding::Binary, "", "").await.expect("attached");
    publish(&mut stage, b"\x08Ohio").await.expect("it fits");
    let (why, info) = reason(&publish(&mut stage, b"\x08Ohio\x02\x02\x02").await.expect_err("too long"));
    assert_eq!(why, "INVALID_BINARY_AVRO_MESSAGE");
    assert!(info.ends_with("failed with status: Too much data to parse for schema."), "{info}");

    stage.schemas.delete_schema(pb::DeleteSchemaRequest { name: STATES.into() }).await.expect("deleted");
    let shown = stage.publisher.get_topic(pb::GetTopicRequest { topic: TOPIC.into() }).await.expect("it").into_inner();
    assert_eq!(shown.schema_settings.expect("settings").schema, "_deleted-schema_");
    assert_eq!(publish(&mut stage, b"\x08Ohio").await.expect_err("deleted").code(), Code::InvalidArgument);
    // A schema of the same name is another one.
    create(&mut stage, Type::Avro, AVRO).await.expect("a schema");
    publish(&mut stage, b"\x08Ohio").await.expect_err("deleted");
    let clear = pb::UpdateTopicRequest {
        topic: Some(pb::Topic { name: TOPIC.into(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["schema_settings".into()] }),
    };
    assert_eq!(stage.publisher.update_topic(clear).await.expect("cleared").into_inner().schema_settings, None);
    publish(&mut stage, b"anything").await.expect("no schema");
}

#[tokio::test]
async fn protocol_buffers_in_both_encodings() {
    let mut stage = Stage::start().await;
    create(&mut stage, Type::ProtocolBuffer, PROTO).await.expect("a schema");
    attach(&mut stage, Encoding::Binary, "", "").await.expect("attached");
    publish(&mut stage, b"\x0a\x04Ohio").await.expect("it fits");
    let (why, _) = reason(&publish(&mut stage, b"Ohio").await.expect_err("it does not fit"));
    assert_eq!(why, "INVALID_BINARY_PROTO_MESSAGE");
    attach(&mut stage, Encoding::Json, "", "").await.expect("attached");
    publish(&mut stage, br#"{"name": "Ohio"}"#).await.expect("it fits");
    publish(&mut stage, br#"{"capital": "Columbus"}"#).await.expect_err("it does not fit");
}

#[tokio::test]
async fn definitions_and_messages_are_checked_on_request() {
    let mut stage = Stage::start().await;
    let good = pb::ValidateSchemaRequest { parent: "projects/demo".into(), schema: Some(schema(Type::Avro, AVRO)) };
    stage.schemas.validate_schema(good).await.expect("good");
    for bad in [schema(Type::Avro, "{"), schema(Type::ProtocolBuffer, AVRO)] {
        let request = pb::ValidateSchemaRequest { parent: "projects/demo".into(), schema: Some(bad.clone()) };
        let refused = stage.schemas.validate_schema(request).await.expect_err("bad");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("Invalid schema definition: Could not parse schema."));
        assert_eq!(
            create(&mut stage, bad.r#type(), &bad.definition).await.expect_err("bad").message(),
            refused.message()
        );
    }
    create(&mut stage, Type::Avro, AVRO).await.expect("a schema");
    let specs = [
        pb::validate_message_request::SchemaSpec::Name(STATES.into()),
        pb::validate_message_request::SchemaSpec::Schema(schema(Type::ProtocolBuffer, PROTO)),
    ];
    for spec in specs {
        let request = |message: &'static [u8]| pb::ValidateMessageRequest {
            parent: "projects/demo".into(),
            message: message.into(),
            encoding: Encoding::Json.into(),
            schema_spec: Some(spec.clone()),
        };
        stage.schemas.validate_message(request(br#"{"name": "Ohio"}"#)).await.expect("it fits");
        let refused = stage.schemas.validate_message(request(b"[]")).await.expect_err("it does not fit");
        assert_eq!(refused.message(), "Invalid data in message: Message failed schema validation.");
    }
    let none = attach(&mut stage, Encoding::Json, "deadbeef", "").await.expect_err("no such revision");
    assert_eq!((none.code(), none.message()), (Code::NotFound, "Resource not found (resource=states@deadbeef)."));
}
