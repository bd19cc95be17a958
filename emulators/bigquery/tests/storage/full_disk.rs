//! A disk that is full: nothing is acknowledged that is not kept, over any of the APIs, until there is room again.

use scrimmage_bigquery::service::direct::DirectError;
use scrimmage_core::{Clock, Context, DataDir, Timestamp};
use scrimmage_googlesql::catalog::TablePath;
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use serde_json::json;
use tonic::Code;
use wire::write_stream::Type::{Buffered, Committed, Pending};

use super::support::{START, Server, TABLE, rows};

fn table() -> TablePath {
    TablePath { project: "p".into(), dataset: "d".into(), table: "t".into() }
}

#[tokio::test]
async fn what_is_not_kept_is_not_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(folder.path()).expect("it opens");
    let context = Context::new(Clock::virtual_at(Timestamp::from_micros(START))).with_data(data.clone());
    let mut server = Server::on(context, &["CREATE TABLE d.t (id INT64, name STRING)"]).await;
    let stream = format!("{TABLE}/streams/_default");
    let (committed, pending, buffered) = (
        server.create_stream(Committed).await,
        server.create_stream(Pending).await,
        server.create_stream(Buffered).await,
    );
    for stream in [&pending, &buffered] {
        let (_, ended) = server.append(vec![rows(stream, Some(0), true, &[(Some(1), Some("hidden"))])]).await;
        assert!(ended.is_none(), "{ended:?}");
    }
    let finalize = wire::FinalizeWriteStreamRequest { name: pending.clone() };
    server.write.finalize_write_stream(finalize).await.expect("finalizes");
    let commit = wire::BatchCommitWriteStreamsRequest { parent: TABLE.into(), write_streams: vec![pending.clone()] };
    let flush = wire::FlushRowsRequest { write_stream: buffered.clone(), offset: Some(0) };

    // Each first write finds the disk full by itself: the one before it was given room.
    data.faults().fail_append(true);
    let full = |status: Option<tonic::Status>| assert_eq!(status.expect("ended").code(), Code::Unavailable);
    full(server.append(vec![rows(&stream, None, true, &[(Some(2), Some("default"))])]).await.1);
    full(server.append(vec![rows(&stream, None, true, &[(Some(2), Some("default"))])]).await.1);
    assert_eq!(server.status("SELECT 1").await, 503);
    assert!(server.session(TABLE, wire::DataFormat::Avro, Default::default(), (1, 0)).await.is_err());
    let again = || {
        data.faults().fail_append(false);
        assert!(server.bigquery.direct_columns(&table()).is_ok(), "there is room");
        data.faults().fail_append(true);
    };
    again();
    let row = json!({"id": 3, "name": "direct"}).as_object().cloned().expect("an object");
    let refused = server.bigquery.direct_insert(&table(), &[row]).expect_err("not kept");
    assert!(matches!(refused, DirectError::Refused(_)), "{refused:?}");
    again();
    full(server.append(vec![rows(&committed, Some(0), true, &[(Some(4), Some("committed"))])]).await.1);
    data.faults().fail_append(false);
    assert!(server.bigquery.direct_columns(&table()).is_ok());
    data.faults().fail_append(true);
    full(server.write.batch_commit_write_streams(commit.clone()).await.err());
    full(server.write.flush_rows(flush.clone()).await.err());

    // Whoever was refused tries again. Streams stand where they stood; that a refused write may have come through
    // after all is the nature of UNAVAILABLE.
    data.faults().fail_append(false);
    let (answers, ended) = server.append(vec![rows(&committed, Some(0), true, &[(Some(4), Some("committed"))])]).await;
    assert!(ended.is_none() && answers.len() == 1, "{ended:?}");
    let done = server.write.batch_commit_write_streams(commit).await.expect("answers").into_inner();
    assert!(done.commit_time.is_some(), "{:?}", done.stream_errors);
    server.write.flush_rows(flush).await.expect("flushes");
    let seen = server.query("SELECT DISTINCT name FROM d.t ORDER BY name").await;
    assert_eq!(seen, ["committed", "default", "direct", "hidden"]);
    let count = server.query("SELECT COUNT(*) FROM d.t").await;

    // What was said after that is there after a restart.
    drop(server);
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::copy(folder.path().join("bigquery.log"), copy.path().join("bigquery.log")).expect("copied");
    let data = DataDir::open(copy.path()).expect("it opens");
    let context = Context::new(Clock::virtual_at(Timestamp::from_micros(START))).with_data(data);
    let server = Server::again(context).await;
    assert_eq!(server.query("SELECT COUNT(*) FROM d.t").await, count);
}
