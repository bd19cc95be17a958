//! Declared indexes: enforcement, the admin API, and what explain says.

use futures::StreamExt;
use prost::Message;
use scrimmage_core::{CallNotes, Clock};
use scrimmage_firestore::IndexEnforcement;
use scrimmage_protos::google::firestore::admin::v1 as admin;
use scrimmage_protos::google::firestore::admin::v1::firestore_admin_server::FirestoreAdmin;
use tonic::{Code, Request};

use super::support::*;
use pb::structured_query as sq;

const FILE: &str = r#"{ "indexes": [ { "collectionGroup": "c", "queryScope": "COLLECTION", "fields": [
    { "fieldPath": "a", "order": "ASCENDING" }, { "fieldPath": "n", "order": "DESCENDING" } ] } ] }"#;

fn reference(path: &str) -> Option<sq::FieldReference> {
    Some(sq::FieldReference { field_path: path.to_owned() })
}

/// `field == 1`, largest `n` first.
fn query(field: &str) -> pb::StructuredQuery {
    let filter =
        sq::FieldFilter { field: reference(field), op: sq::field_filter::Operator::Equal.into(), value: Some(int(1)) };
    pb::StructuredQuery {
        r#where: Some(sq::Filter { filter_type: Some(sq::filter::FilterType::FieldFilter(filter)) }),
        order_by: vec![sq::Order { field: reference("n"), direction: sq::Direction::Descending.into() }],
        ..from("c")
    }
}

async fn filled(client: &mut Client) {
    let one = |id: i64| update(document(&format!("c/{id:03}"), &[("a", int(id % 2)), ("b", int(1)), ("n", int(id))]));
    client.commit(&[], (0..100).map(one).collect()).await.unwrap();
}

#[tokio::test]
async fn without_a_file_a_missing_index_is_a_warning() {
    let notes = CallNotes::default();
    let served = serve_noting(Clock::real(), notes.clone()).await;
    let mut client = served.client().await;
    filled(&mut client).await;
    notes.take();
    assert_eq!(client.query(query("a")).await.unwrap().len(), 50);
    let warnings = notes.take().warnings;
    assert!(warnings[0].starts_with("The query requires an index. You can create it here: https://"), "{warnings:?}");
    let needed = scrimmage_firestore::index_file(&served.firestore.indexes().needed());
    assert_eq!(needed["indexes"][0]["fields"][1]["order"], "DESCENDING");
    served.firestore.indexes().set_enforcement(Some(IndexEnforcement::Off));
    client.query(query("a")).await.unwrap();
    assert!(notes.take().warnings.is_empty());
}

#[tokio::test]
async fn with_a_file_a_missing_index_is_refused_until_it_is_made() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    filled(&mut client).await;
    served.firestore.declare_indexes(FILE).unwrap();
    assert_eq!(client.query(query("a")).await.unwrap().len(), 50);
    let error = client.query(query("b")).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    let wanted = "The query requires an index. You can create it here: \
                  https://console.firebase.google.com/v1/r/project/p/firestore/indexes?create_composite=";
    assert!(error.message().starts_with(wanted), "{}", error.message());

    let api = scrimmage_firestore::Admin(std::sync::Arc::new(served.firestore.clone()));
    let field = |path: &str, order: admin::index::index_field::Order| admin::index::IndexField {
        field_path: path.to_owned(),
        value_mode: Some(admin::index::index_field::ValueMode::Order(order.into())),
    };
    use admin::index::index_field::Order::{Ascending, Descending};
    let index = admin::Index {
        query_scope: admin::index::QueryScope::Collection.into(),
        fields: vec![field("b", Ascending), field("n", Descending)],
        ..admin::Index::default()
    };
    let parent = format!("{DATABASE}/collectionGroups/c");
    let create = || admin::CreateIndexRequest { parent: parent.clone(), index: Some(index.clone()) };
    let operation = api.create_index(Request::new(create())).await.unwrap().into_inner();
    assert!(operation.done);
    let Some(scrimmage_protos::google::longrunning::operation::Result::Response(any)) = operation.result else {
        panic!("no response")
    };
    let made = admin::Index::decode(any.value.as_slice()).unwrap();
    assert_eq!(made.fields.last().map(|field| field.field_path.as_str()), Some("__name__"));
    assert_eq!(client.query(query("b")).await.unwrap().len(), 100);
    let twice = api.create_index(Request::new(create())).await.unwrap_err();
    assert_eq!((twice.code(), twice.message()), (Code::AlreadyExists, "index already exists"));
    let list = admin::ListIndexesRequest { parent: parent.clone(), ..admin::ListIndexesRequest::default() };
    assert_eq!(api.list_indexes(Request::new(list)).await.unwrap().into_inner().indexes.len(), 2);
    api.delete_index(Request::new(admin::DeleteIndexRequest { name: made.name.clone() })).await.unwrap();
    let gone = api.get_index(Request::new(admin::GetIndexRequest { name: made.name })).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(client.query(query("b")).await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_field_without_indexes_serves_no_query() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    served.firestore.declare_indexes("{}").unwrap();
    let api = scrimmage_firestore::Admin(std::sync::Arc::new(served.firestore.clone()));
    let name = format!("{DATABASE}/collectionGroups/c/fields/n");
    let config = Some(admin::field::IndexConfig::default());
    let field = admin::Field { name: name.clone(), index_config: config, ..admin::Field::default() };
    api.update_field(Request::new(admin::UpdateFieldRequest { field: Some(field), update_mask: None })).await.unwrap();
    let by_n = pb::StructuredQuery { r#where: None, ..query("a") };
    let error = client.query(by_n.clone()).await.unwrap_err();
    assert!(error.message().starts_with("The query requires a COLLECTION_DESC index for collection c and field n."));
    let field = admin::Field { name: name.clone(), ..admin::Field::default() };
    api.update_field(Request::new(admin::UpdateFieldRequest { field: Some(field), update_mask: None })).await.unwrap();
    client.query(by_n).await.unwrap();
    let field = api.get_field(Request::new(admin::GetFieldRequest { name })).await.unwrap().into_inner();
    let config = field.index_config.unwrap();
    assert!(config.uses_ancestor_config && config.indexes.len() == 3);
    assert_eq!(config.ancestor_field, format!("{DATABASE}/collectionGroups/__default__/fields/*"));
}

fn shown(value: &prost_types::Struct, key: &str) -> String {
    match value.fields.get(key).and_then(|value| value.kind.as_ref()) {
        Some(prost_types::value::Kind::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn explain_tells_the_plan_and_what_running_it_took() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    filled(&mut client).await;
    served.firestore.declare_indexes(FILE).unwrap();
    let explain = |analyze| pb::RunQueryRequest {
        parent: ROOT.to_owned(),
        query_type: Some(pb::run_query_request::QueryType::StructuredQuery(pb::StructuredQuery {
            limit: Some(3),
            ..query("a")
        })),
        explain_options: Some(pb::ExplainOptions { analyze }),
        ..pb::RunQueryRequest::default()
    };
    let planned: Vec<_> = client.0.run_query(explain(false)).await.unwrap().into_inner().collect().await;
    let [Ok(only)] = planned.as_slice() else { panic!("{planned:?}") };
    let metrics = only.explain_metrics.as_ref().unwrap();
    assert!(only.document.is_none() && metrics.execution_stats.is_none());
    let used = &metrics.plan_summary.as_ref().unwrap().indexes_used[0];
    assert_eq!(shown(used, "query_scope"), "Collection");
    assert_eq!(shown(used, "properties"), "(a ASC, n DESC, __name__ DESC)");
    let run: Vec<_> = client.0.run_query(explain(true)).await.unwrap().into_inner().collect().await;
    assert_eq!(run.len(), 4);
    let stats = run[3].as_ref().unwrap().explain_metrics.clone().unwrap().execution_stats.unwrap();
    assert_eq!((stats.results_returned, stats.read_operations), (3, 3));
    let debug = stats.debug_stats.unwrap();
    assert_eq!((shown(&debug, "documents_scanned"), shown(&debug, "index_entries_scanned")), ("3".into(), "3".into()));
}

#[tokio::test]
async fn a_document_may_have_so_many_index_entries() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let list = |count| {
        let values = (0..count).map(int).collect();
        value(pb::value::ValueType::ArrayValue(pb::ArrayValue { values }))
    };
    let write = |count| vec![update(document("c/d", &[("list", list(count))]))];
    client.commit(&[], write(19_999)).await.unwrap();
    let error = client.commit(&[], write(20_000)).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "too many index entries for entity /c/d"));
    let exempt = r#"{ "fieldOverrides": [ { "collectionGroup": "c", "fieldPath": "list", "indexes": [] } ] }"#;
    served.firestore.declare_indexes(exempt).unwrap();
    client.commit(&[], write(30_000)).await.unwrap();
}

#[tokio::test]
async fn operations_are_remembered_by_database() {
    use scrimmage_protos::google::longrunning as lro;
    use scrimmage_protos::google::longrunning::operations_server::Operations;
    let served = serve(Clock::real()).await;
    let api = scrimmage_firestore::Admin(std::sync::Arc::new(served.firestore.clone()));
    let made = async |field: &str| {
        let name = format!("{DATABASE}/collectionGroups/c/fields/{field}");
        let field = admin::Field { name, index_config: Some(Default::default()), ..admin::Field::default() };
        let request = admin::UpdateFieldRequest { field: Some(field), update_mask: None };
        api.update_field(Request::new(request)).await.unwrap().into_inner()
    };
    let (one, two) = (made("a").await, made("a").await);
    assert_ne!(one.name, two.name);
    let get = async |name: &str| {
        let name = name.to_owned();
        api.get_operation(Request::new(lro::GetOperationRequest { name })).await.map(tonic::Response::into_inner)
    };
    assert_eq!(get(&one.name).await.unwrap(), one);
    let list = async |name: &str, page_size: i32| {
        let request = lro::ListOperationsRequest { name: name.to_owned(), page_size, ..Default::default() };
        api.list_operations(Request::new(request)).await.unwrap().into_inner()
    };
    assert_eq!(list(DATABASE, 0).await.operations, [one.clone(), two.clone()]);
    let first = list(&format!("{DATABASE}/operations"), 1).await;
    assert_eq!((first.operations.as_slice(), first.next_page_token.is_empty()), (std::slice::from_ref(&one), false));
    assert_eq!(list("projects/p/databases/other", 0).await.operations, []);
    for (filter, found) in [("done=true", Some(2)), ("done = false", Some(0)), ("metadata.state=SUCCESSFUL", None)] {
        let filter = filter.to_owned();
        let request = lro::ListOperationsRequest { name: DATABASE.to_owned(), filter, ..Default::default() };
        let listed = api.list_operations(Request::new(request)).await;
        assert_eq!(listed.ok().map(|listed| listed.into_inner().operations.len()), found);
    }
    api.cancel_operation(Request::new(lro::CancelOperationRequest { name: one.name.clone() })).await.unwrap();
    api.delete_operation(Request::new(lro::DeleteOperationRequest { name: one.name.clone() })).await.unwrap();
    assert_eq!(get(&one.name).await.unwrap_err().code(), Code::NotFound);
    served.firestore.reset().unwrap();
    assert_eq!(get(&two.name).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn databases_are_listed_by_project() {
    let served = serve(Clock::real()).await;
    let api = scrimmage_firestore::Admin(std::sync::Arc::new(served.firestore.clone()));
    served.client().await.commit(&[], vec![set("c/a", 1)]).await.unwrap();
    let create = admin::CreateDatabaseRequest {
        parent: "projects/p".to_owned(),
        database_id: "made".to_owned(),
        ..Default::default()
    };
    api.create_database(Request::new(create)).await.unwrap();
    let listed = async |parent: &str| {
        let request = admin::ListDatabasesRequest { parent: parent.to_owned(), ..Default::default() };
        let databases = api.list_databases(Request::new(request)).await.unwrap().into_inner().databases;
        databases.into_iter().map(|database| database.name).collect::<Vec<_>>()
    };
    assert_eq!(listed("projects/p").await, [DATABASE, "projects/p/databases/made"]);
    assert_eq!(listed("projects/other").await, [""; 0]);
    let wrong = admin::ListDatabasesRequest { parent: "p".to_owned(), ..Default::default() };
    assert_eq!(api.list_databases(Request::new(wrong)).await.unwrap_err().code(), Code::InvalidArgument);
}
