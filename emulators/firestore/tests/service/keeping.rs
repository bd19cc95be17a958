//! What a data folder keeps, what it cannot keep, and what a reset leaves.

use std::time::Duration;

use scrimmage_core::{Clock, DataDir, Timestamp};
use scrimmage_firestore::Admin;
use scrimmage_protos::google::firestore::admin::v1 as admin;
use scrimmage_protos::google::firestore::admin::v1::firestore_admin_server::FirestoreAdmin;
use tonic::{Code, Request};

use super::listening::{Listening, query};
use super::support::*;

const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
const GROUP: &str = "projects/p/databases/(default)/collectionGroups/c";

fn folder() -> (tempfile::TempDir, DataDir) {
    let temporary = tempfile::tempdir().unwrap();
    let data = DataDir::open(temporary.path()).unwrap();
    (temporary, data)
}

fn api(served: &Served) -> Admin {
    Admin(std::sync::Arc::new(served.firestore.clone()))
}

fn expiring(path: &str, seconds: i64) -> pb::Write {
    let at = prost_types::Timestamp { seconds: START.as_micros() / 1_000_000 + seconds, nanos: 0 };
    update(document(path, &[("n", int(1)), ("exp", value(pb::value::ValueType::TimestampValue(at)))]))
}

async fn set_ttl(served: &Served, field: &str, seconds: i64) -> Result<(), tonic::Status> {
    let offset = prost_types::Duration { seconds, nanos: 0 };
    let config = admin::field::TtlConfig { expiration_offset: Some(offset), ..Default::default() };
    let name = format!("{GROUP}/fields/{field}");
    let field = admin::Field { name, ttl_config: Some(config), ..admin::Field::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["ttl_config".to_owned()] });
    let request = admin::UpdateFieldRequest { field: Some(field), update_mask };
    api(served).update_field(Request::new(request)).await.map(drop)
}

#[tokio::test]
async fn a_commit_that_cannot_be_kept_never_was() {
    let (_temporary, data) = folder();
    let served = serve_kept(&data, Clock::real()).await;
    let mut client = served.client().await;
    client.commit(&[], vec![set("c/a", 1)]).await.unwrap();
    let mut listening = Listening::begin(&mut client, query(1, from("c"), &[])).await;
    listening.until("NoChange []").await;
    let transaction = client.begin(&[]).await;
    client.number(&transaction, "c/t").await.unwrap();

    data.faults().fail_append(true);
    for writes in [vec![set("c/a", 7), set("c/b", 7)], vec![increment("c/a", 1)]] {
        let refused = client.commit(&[], writes).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
        assert!(refused.message().starts_with("The commit could not be kept: "), "{}", refused.message());
    }
    client.commit(&transaction, vec![set("c/t", 7)]).await.unwrap_err();
    // Reading goes on, and sees nothing of it; nor do listeners.
    assert_eq!(client.number(&[], "c/a").await.unwrap(), Some(1));
    assert_eq!(client.number(&[], "c/b").await.unwrap(), None);
    let ended = tokio::time::timeout(Duration::from_secs(10), listening.answers.message()).await.unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    served.firestore.reset().unwrap_err();
    assert_eq!(client.number(&[], "c/a").await.unwrap(), Some(1));

    data.faults().fail_append(false);
    client.commit(&[], vec![increment("c/a", 1)]).await.unwrap();
    let mut listening = Listening::begin(&mut client, query(1, from("c"), &[])).await;
    assert_eq!(listening.until("NoChange []").await, ["Add [1]", "c/a = 2", "Current [1]", "NoChange []"]);
    drop(served);
    let served = serve_kept(&data, Clock::real()).await;
    let mut client = served.client().await;
    assert_eq!(client.number(&[], "c/a").await.unwrap(), Some(2));
    assert_eq!(client.number(&[], "c/t").await.unwrap(), None);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_anew_is_nobodys_business() {
    let (_temporary, data) = folder();
    data.faults().fail_replace(true);
    let served = serve_kept(&data, Clock::real()).await;
    let mut client = served.client().await;
    let long = "x".repeat(900_000);
    for id in 0..12 {
        let write = update(document(&format!("c/{id}"), &[("n", int(id)), ("s", text(&long))]));
        client.commit(&[], vec![write]).await.unwrap();
    }
    drop(served);
    let served = serve_kept(&data, Clock::real()).await;
    assert_eq!(served.client().await.number(&[], "c/11").await.unwrap(), Some(11));
}

#[tokio::test]
async fn documents_expire_after_a_restart_for_those_who_only_listen() {
    let (_temporary, data) = folder();
    let clock = Clock::virtual_at(START);
    let served = serve_kept(&data, clock.clone()).await;
    set_ttl(&served, "exp", 0).await.unwrap();
    served.client().await.commit(&[], vec![expiring("c/a", 6), expiring("c/b", 60)]).await.unwrap();
    drop(served);
    let served = serve_kept(&data, clock.clone()).await;
    let mut client = served.client().await;
    let mut listening = Listening::begin(&mut client, query(1, from("c"), &[])).await;
    assert_eq!(listening.until("NoChange []").await.len(), 5);
    clock.advance(Duration::from_secs(7));
    assert_eq!(listening.until("NoChange []").await, ["c/a deleted", "NoChange []"]);
}

#[tokio::test]
async fn what_is_declared_outlasts_restarts_and_resets() {
    use admin::index::index_field::{Order, ValueMode};
    let (_temporary, data) = folder();
    let served = serve_kept(&data, Clock::virtual_at(START)).await;
    let file = r#"{ "fieldOverrides": [ { "collectionGroup": "c", "fieldPath": "exp", "ttl": true } ] }"#;
    served.firestore.declare_indexes(file).unwrap();
    let field = |path: &str| admin::index::IndexField {
        field_path: path.to_owned(),
        value_mode: Some(ValueMode::Order(Order::Ascending.into())),
    };
    let index = admin::Index {
        query_scope: admin::index::QueryScope::Collection.into(),
        fields: vec![field("a"), field("b")],
        ..admin::Index::default()
    };
    let request = || admin::CreateIndexRequest { parent: GROUP.to_owned(), index: Some(index.clone()) };
    api(&served).create_index(Request::new(request())).await.unwrap();
    let name = format!("{GROUP}/fields/plain");
    let plain = admin::Field { name, index_config: Some(Default::default()), ..admin::Field::default() };
    let request = admin::UpdateFieldRequest { field: Some(plain), update_mask: None };
    api(&served).update_field(Request::new(request)).await.unwrap();
    let declared = async |served: &Served| {
        let request = admin::ListIndexesRequest { parent: GROUP.to_owned(), ..Default::default() };
        let indexes = api(served).list_indexes(Request::new(request)).await.unwrap().into_inner().indexes;
        let fields = async |filter: &str| {
            let (parent, filter) = (GROUP.to_owned(), filter.to_owned());
            let request = admin::ListFieldsRequest { parent, filter, ..Default::default() };
            api(served).list_fields(Request::new(request)).await.unwrap().into_inner().fields
        };
        (indexes, fields("").await, fields("ttlConfig:*").await)
    };
    let before = declared(&served).await;
    assert_eq!([before.0.len(), before.1.len(), before.2.len()], [1; 3]);
    served.firestore.reset().unwrap();
    assert_eq!(declared(&served).await, before);
    // In force as well: the document goes at once.
    let mut client = served.client().await;
    client.commit(&[], vec![expiring("c/a", -1)]).await.unwrap();
    assert_eq!(client.number(&[], "c/a").await.unwrap(), None);
    drop(served);
    let served = serve_kept(&data, Clock::virtual_at(START)).await;
    assert_eq!(declared(&served).await, before);
    // With the file's next version, databases with indexes of their own have both.
    served
        .firestore
        .declare_indexes(
            r#"{ "indexes": [ { "collectionGroup": "c", "fields": [
        { "fieldPath": "x", "order": "ASCENDING" }, { "fieldPath": "y", "order": "ASCENDING" } ] } ] }"#,
        )
        .unwrap();
    assert_eq!(declared(&served).await.0.len(), 2);
}

#[tokio::test]
async fn a_database_stays_what_it_was_created_as() {
    use admin::database::{ConcurrencyMode, DatabaseEdition};
    let create = async |served: &Served, id: &str, edition: DatabaseEdition, mode: ConcurrencyMode| {
        let database = admin::Database {
            database_edition: edition.into(),
            concurrency_mode: mode.into(),
            ..admin::Database::default()
        };
        let (parent, database_id) = ("projects/p".to_owned(), id.to_owned());
        let request = admin::CreateDatabaseRequest { parent, database_id, database: Some(database) };
        api(served).create_database(Request::new(request)).await
    };
    let described = async |served: &Served| {
        let request = admin::ListDatabasesRequest { parent: "projects/p".to_owned(), ..Default::default() };
        let databases = api(served).list_databases(Request::new(request)).await.unwrap().into_inner().databases;
        let mut all = Vec::new();
        for database in databases {
            let id = database.name.rsplit('/').next().unwrap().to_owned();
            all.push((id, database.database_edition(), database.concurrency_mode()));
        }
        all
    };
    let (_temporary, data) = folder();
    let served = serve_kept(&data, Clock::real()).await;
    create(&served, "e", DatabaseEdition::Enterprise, ConcurrencyMode::Unspecified).await.unwrap();
    create(&served, "p", DatabaseEdition::Enterprise, ConcurrencyMode::Pessimistic).await.unwrap();
    create(&served, "s", DatabaseEdition::Unspecified, ConcurrencyMode::Optimistic).await.unwrap();
    let refused = create(&served, "x", DatabaseEdition::Standard, ConcurrencyMode::OptimisticWithEntityGroups).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let expected = [
        ("e".to_owned(), DatabaseEdition::Enterprise, ConcurrencyMode::Optimistic),
        ("p".to_owned(), DatabaseEdition::Enterprise, ConcurrencyMode::Pessimistic),
        ("s".to_owned(), DatabaseEdition::Standard, ConcurrencyMode::Optimistic),
    ];
    assert_eq!(described(&served).await, expected);
    served.firestore.reset().unwrap();
    drop(served);
    // The second time the log has been written anew, perhaps.
    for _ in 0..2 {
        let served = serve_kept(&data, Clock::real()).await;
        assert_eq!(described(&served).await.len(), 3);
        let pipeline = pb::ExecutePipelineRequest {
            database: "projects/p/databases/e".to_owned(),
            ..pb::ExecutePipelineRequest::default()
        };
        // Past the question of its edition.
        let error = served.client().await.0.execute_pipeline(pipeline).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(described(&served).await, expected);
    }
    // What is declared for this run goes before.
    let served = serve_kept(&data, Clock::real()).await;
    served.firestore.declare_edition("e", false).unwrap();
    assert_eq!(described(&served).await[0].1, DatabaseEdition::Standard);
    drop(served);
    let served = serve_kept(&data, Clock::real()).await;
    assert_eq!(described(&served).await, expected);
}

#[tokio::test]
async fn a_time_to_live_moves_between_fields_and_has_a_sensible_offset() {
    let served = serve(Clock::virtual_at(START)).await;
    for seconds in [-1, i64::from(i32::MAX) + 1] {
        assert_eq!(set_ttl(&served, "exp", seconds).await.unwrap_err().code(), Code::InvalidArgument);
    }
    set_ttl(&served, "first", 5).await.unwrap();
    set_ttl(&served, "exp", 5).await.unwrap();
    let file = scrimmage_firestore::index_file(&served.firestore.indexes().declared());
    let overrides = file["fieldOverrides"].as_array().unwrap();
    assert_eq!(overrides.len(), 1, "{file}");
    assert_eq!(overrides[0]["fieldPath"], "exp");
    let mut client = served.client().await;
    client.commit(&[], vec![expiring("c/a", 0)]).await.unwrap();
    assert_eq!(client.number(&[], "c/a").await.unwrap(), Some(1));
    served.clock.advance(Duration::from_secs(5));
    assert_eq!(client.number(&[], "c/a").await.unwrap(), None);
}

#[tokio::test]
async fn an_import_is_for_all_databases_or_none() {
    let served = serve(Clock::real()).await;
    let line = |database: &str, count: usize| {
        let values = vec![r#"{"booleanValue":true}"#; count].join(",");
        format!(
            r#"{{"name":"projects/p/databases/{database}/documents/c/x","fields":{{"l":{{"arrayValue":{{"values":[{values}]}}}}}}}}"#
        )
    };
    let text = format!("{}\n{}\n", line("a", 1), line("b", 25_000));
    let refused = served.firestore.import(&text, None).await.unwrap_err();
    assert!(refused.message.starts_with("too many index entries for entity /c/x"), "{}", refused.message);
    assert!(refused.message.contains("projects/p/databases/b"), "{}", refused.message);
    assert_eq!(served.firestore.export(None).count(), 0);
    let text = format!("{}\n{}\n", line("a", 1), line("b", 2));
    assert_eq!(served.firestore.import(&text, None).await.unwrap(), 2);
    assert_eq!(served.firestore.export(None).count(), 2);
}
