//! Documents one by one: create, get, update, delete, list, and what is refused.

use scrimmage_core::Clock;
use tonic::Code;

use super::support::*;

fn create(collection: &str, id: &str, fields: &[(&str, pb::Value)]) -> pb::CreateDocumentRequest {
    pb::CreateDocumentRequest {
        parent: ROOT.to_owned(),
        collection_id: collection.to_owned(),
        document_id: id.to_owned(),
        document: Some(pb::Document { name: String::new(), ..document("x/x", fields) }),
        mask: None,
    }
}

fn get(path: &str) -> pb::GetDocumentRequest {
    pb::GetDocumentRequest { name: full(path), ..pb::GetDocumentRequest::default() }
}

fn mask(paths: &[&str]) -> Option<pb::DocumentMask> {
    Some(pb::DocumentMask { field_paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

#[tokio::test]
async fn a_document_lives_and_dies() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await.0;
    let made = client.create_document(create("c", "a", &[("n", int(1)), ("s", text("ä"))])).await.unwrap().into_inner();
    assert_eq!(made.name, full("c/a"));
    assert_eq!(made.create_time, made.update_time);
    let error = client.create_document(create("c", "a", &[])).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::AlreadyExists, &*format!("Document already exists: {}", full("c/a")))
    );

    let changed = client
        .update_document(pb::UpdateDocumentRequest {
            document: Some(document("c/a", &[("n", int(2))])),
            update_mask: mask(&["n", "gone"]),
            mask: mask(&["n"]),
            current_document: None,
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(changed.fields, document("c/a", &[("n", int(2))]).fields);
    let read = client.get_document(get("c/a")).await.unwrap().into_inner();
    assert_eq!(read.fields, document("c/a", &[("n", int(2)), ("s", text("ä"))]).fields);
    assert_eq!(read.create_time, made.create_time);

    client.delete_document(pb::DeleteDocumentRequest { name: full("c/a"), current_document: None }).await.unwrap();
    let error = client.get_document(get("c/a")).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, &*format!("Document \"{}\" not found.", full("c/a"))));
}

#[tokio::test]
async fn automatic_ids_have_twenty_letters_and_differ() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await.0;
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(client.create_document(create("c", "", &[])).await.unwrap().into_inner().name);
    }
    assert_ne!(names[0], names[1]);
    assert_eq!(names[0].rsplit('/').next().unwrap().len(), 20);
}

#[tokio::test]
async fn lists_page_through_and_show_the_missing() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let writes = [("c/a", 3), ("c/b", 1), ("c/c", 2), ("c/x/sub/y", 1)];
    client.commit(&[], writes.iter().map(|(path, number)| set(path, *number)).collect()).await.unwrap();
    let list = |order: &str, missing: bool, token: String| pb::ListDocumentsRequest {
        parent: ROOT.to_owned(),
        collection_id: "c".to_owned(),
        page_size: 2,
        order_by: order.to_owned(),
        show_missing: missing,
        page_token: token,
        ..pb::ListDocumentsRequest::default()
    };
    for (order, missing, expected) in
        [("", false, vec!["a", "b", "c"]), ("n desc", false, vec!["a", "c", "b"]), ("", true, vec!["a", "b", "c", "x"])]
    {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let page = client.0.list_documents(list(order, missing, token)).await.unwrap().into_inner();
            assert!(page.documents.len() <= 2);
            found.extend(page.documents.iter().map(|document| document.name.rsplit('/').next().unwrap().to_owned()));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{order} {missing}");
    }
    let request = pb::ListCollectionIdsRequest { parent: full("c/x"), ..pb::ListCollectionIdsRequest::default() };
    assert_eq!(client.0.list_collection_ids(request).await.unwrap().into_inner().collection_ids, ["sub"]);
    let error = client.0.list_documents(list("", false, "zz".to_owned())).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "invalid page token"));
}

#[tokio::test]
async fn names_and_paths_are_refused_in_productions_words() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let masked = |path: &str| pb::Write { update_mask: mask(&[path]), ..set("c/a", 1) };
    let mut deep = int(1);
    for _ in 0..21 {
        let fields = [("f".to_owned(), deep)].into();
        deep = value(pb::value::ValueType::MapValue(pb::MapValue { fields }));
    }
    let array = |values| value(pb::value::ValueType::ArrayValue(pb::ArrayValue { values }));
    let cases = [
        (
            masked("predictions_by_player.p-j"),
            "Invalid property path \"predictions_by_player.p-j\". Unquoted property paths must match regex \
             ([a-zA-Z_][a-zA-Z_0-9]*), and quoted property paths must match regex (`(?:[^`\\\\]|(?:\\\\.))+`)",
        ),
        (masked("__a__"), "Invalid reserved name in field path __a__"),
        (masked(""), "Invalid empty property path string."),
        (pb::Write::default(), "empty write operation"),
        (update(document("c/a", &[("__a__", int(1))])), "field name __a__ is reserved"),
        (update(document("c/a", &[("", int(1))])), "The property.name is the empty string."),
        (update(document("c/a", &[("f", deep)])), "Property f contains an invalid nested entity."),
        (
            update(document("c/a", &[("f", array(vec![array(vec![])]))])),
            "Cannot convert an array value in an array value.",
        ),
        (set("c/__a__", 1), "Resource id \"__a__\" is invalid because it is reserved."),
        (set("c", 1), "Document name \"projects/p/databases/(default)/documents/c\" lacks \"/\" at index 42."),
    ];
    for (write, text) in cases {
        let error = client.commit(&[], vec![write]).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, text));
    }
    let error = client.commit(b"zz", vec![]).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "Invalid transaction."));
}

#[tokio::test]
async fn requests_have_a_size_limit_of_their_own_wording() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let big = |bytes: usize| {
        let chunk = "x".repeat(1_000_000);
        (0..bytes / 1_000_000).map(|n| update(document(&format!("c/{n}"), &[("s", text(&chunk))]))).collect::<Vec<_>>()
    };
    client.commit(&[], big(10_000_000)).await.unwrap();
    let error = client.commit(&[], big(11_000_000)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::InvalidArgument, "Transaction too big. Decrease transaction size.")
    );
    let error = client.commit(&[], big(12_000_000)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::InvalidArgument, "Request payload size exceeds the limit: 11534336 bytes.")
    );
}

#[tokio::test]
async fn the_write_stream_commits_message_by_message() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let message = |writes| pb::WriteRequest { database: DATABASE.to_owned(), writes, ..pb::WriteRequest::default() };
    let requests =
        vec![message(vec![]), message(vec![set("c/a", 1)]), message(vec![set("c/a", 2), increment("c/a", 5)])];
    let mut answers = client.0.write(futures::stream::iter(requests)).await.unwrap().into_inner();
    let hello = answers.message().await.unwrap().unwrap();
    assert!(!hello.stream_id.is_empty() && !hello.stream_token.is_empty());
    assert_eq!(answers.message().await.unwrap().unwrap().write_results.len(), 1);
    let last = answers.message().await.unwrap().unwrap();
    assert_eq!(last.write_results[1].transform_results, [int(7)]);
    assert!(answers.message().await.unwrap().is_none());
    assert_eq!(client.number(&[], "c/a").await.unwrap(), Some(7));
}

#[tokio::test]
async fn databases_are_apart_and_named_ones_work() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    client.commit(&[], vec![set("c/a", 1)]).await.unwrap();
    let name = "projects/p/databases/other/documents/c/a".to_owned();
    let error =
        client.0.get_document(pb::GetDocumentRequest { name, ..pb::GetDocumentRequest::default() }).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let elsewhere =
        pb::Document { name: "projects/q/databases/(default)/documents/c/a".to_owned(), ..document("c/a", &[]) };
    let error = client.commit(&[], vec![update(elsewhere)]).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}
