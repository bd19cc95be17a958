//! Writing: the kinds of streams, offsets, commits, bad rows, changed schemas.

use arrow_array::{Int64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use tonic::Code;
use wire::append_rows_response::Response;
use wire::write_stream::Type::{Buffered, Committed, Pending};

use super::support::{Server, TABLE, descriptor, rows};

const CREATE: &str = "CREATE TABLE d.t (id INT64 NOT NULL, name STRING(3))";

async fn count(server: &Server) -> String {
    server.query("SELECT COUNT(*) FROM d.t").await.remove(0)
}

fn error(answer: &wire::AppendRowsResponse) -> (i32, String) {
    match &answer.response {
        Some(Response::Error(error)) => (error.code, error.message.clone()),
        other => panic!("not refused: {other:?}"),
    }
}

fn offset(answer: &wire::AppendRowsResponse) -> Option<i64> {
    match &answer.response {
        Some(Response::AppendResult(result)) => result.offset,
        other => panic!("refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_committed_stream_shows_rows_at_once_and_checks_offsets() {
    let mut server = Server::with(&[CREATE]).await;
    let stream = server.create_stream(Committed).await;
    let row = [(Some(1), Some("a"))];
    let requests = vec![
        rows(&stream, Some(0), true, &[(Some(1), None), (Some(2), None)]),
        rows("", Some(1), false, &row),
        rows("", Some(3), false, &row),
        rows("", Some(2), false, &row),
        rows("", None, false, &row),
    ];
    let (answers, ended) = server.append(requests).await;
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(offset(&answers[0]), Some(0));
    let within = format!("The offset is within stream, expected offset 2, received 1 Entity: {stream}");
    assert_eq!(error(&answers[1]), (6, within));
    let beyond = format!("The offset is beyond stream, expected offset 2, received 3 Entity: {stream}");
    assert_eq!(error(&answers[2]), (11, beyond));
    let Some(Response::Error(status)) = &answers[1].response else { panic!("refused above") };
    let detail = wire::StorageError::decode(status.details[0].value.as_slice()).expect("a StorageError");
    assert_eq!(
        (detail.code(), detail.entity.as_str()),
        (wire::storage_error::StorageErrorCode::OffsetAlreadyExists, stream.as_str())
    );
    assert_eq!((offset(&answers[3]), offset(&answers[4])), (Some(2), Some(3)));
    assert_eq!(count(&server).await, "4");
    // Rows of this API can be changed at once.
    server.query("DELETE FROM d.t WHERE id = 2").await;
    assert_eq!(count(&server).await, "3");

    let finalize = wire::FinalizeWriteStreamRequest { name: stream.clone() };
    assert_eq!(server.write.finalize_write_stream(finalize).await.expect("finalizes").into_inner().row_count, 4);
    let (answers, _) = server.append(vec![rows(&stream, None, true, &row)]).await;
    assert_eq!(error(&answers[0]).0, 3);
}

#[tokio::test]
async fn pending_streams_are_committed_together_or_not_at_all() {
    let mut server = Server::with(&[CREATE]).await;
    let (one, two) = (server.create_stream(Pending).await, server.create_stream(Pending).await);
    for stream in [&one, &two] {
        server.append(vec![rows(stream, Some(0), true, &[(Some(1), None)])]).await;
    }
    let commit =
        wire::BatchCommitWriteStreamsRequest { parent: TABLE.into(), write_streams: vec![one.clone(), two.clone()] };
    server.write.finalize_write_stream(wire::FinalizeWriteStreamRequest { name: one }).await.expect("finalizes");
    let refused = server.write.batch_commit_write_streams(commit.clone()).await.expect("answers").into_inner();
    assert!(refused.commit_time.is_none());
    assert_eq!(refused.stream_errors[0].entity, two);
    assert_eq!(count(&server).await, "0");
    server.write.finalize_write_stream(wire::FinalizeWriteStreamRequest { name: two }).await.expect("finalizes");
    let done = server.write.batch_commit_write_streams(commit.clone()).await.expect("answers").into_inner();
    assert!(done.commit_time.is_some());
    assert_eq!(count(&server).await, "2");
    let again = server.write.batch_commit_write_streams(commit).await.expect("answers").into_inner();
    assert_eq!(again.stream_errors[0].code(), wire::storage_error::StorageErrorCode::StreamAlreadyCommitted);
    assert_eq!(count(&server).await, "2");
}

#[tokio::test]
async fn a_buffered_stream_shows_what_is_flushed() {
    let mut server = Server::with(&[CREATE]).await;
    let stream = server.create_stream(Buffered).await;
    server.append(vec![rows(&stream, Some(0), true, &[(Some(1), None), (Some(2), None), (Some(3), None)])]).await;
    assert_eq!(count(&server).await, "0");
    let flush = |offset| wire::FlushRowsRequest { write_stream: stream.clone(), offset: Some(offset) };
    assert_eq!(server.write.flush_rows(flush(1)).await.expect("flushes").into_inner().offset, 1);
    assert_eq!(count(&server).await, "2");
    assert_eq!(server.write.flush_rows(flush(1)).await.expect_err("again").code(), Code::AlreadyExists);
    let beyond = server.write.flush_rows(flush(3)).await.expect_err("beyond");
    assert_eq!(beyond.message(), format!("Offset 3 is beyond the end of the stream Entity: {stream}"));
    server.write.flush_rows(flush(2)).await.expect("the rest");
    assert_eq!(count(&server).await, "3");
}

#[tokio::test]
async fn bad_rows_are_named_and_none_is_written() {
    let mut server = Server::with(&[CREATE]).await;
    let stream = format!("{TABLE}/streams/_default");
    let bad = [(Some(1), Some("fine")), (None, Some("x")), (Some(3), Some("abc"))];
    let (answers, ended) =
        server.append(vec![rows(&stream, None, true, &bad), rows("", None, false, &[(Some(4), None)])]).await;
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(answers[0].row_errors.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 1]);
    assert!(error(&answers[0]).1.starts_with("Errors found while processing rows."));
    assert_eq!(offset(&answers[1]), None);
    assert_eq!(count(&server).await, "1");
}

#[tokio::test]
async fn a_changed_schema_is_told_and_defaults_are_filled_in() {
    let mut server = Server::with(&["CREATE TABLE d.t (id INT64, name STRING DEFAULT 'none')"]).await;
    let stream = format!("{TABLE}/streams/_default");
    let (sender, requests) = tokio::sync::mpsc::channel(4);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    sender.send(rows(&stream, None, true, &[(Some(1), None)])).await.expect("open");
    let mut answers = server.write.append_rows(requests).await.expect("open").into_inner();
    assert!(answers.message().await.expect("an answer").expect("an answer").updated_schema.is_none());
    server.query("ALTER TABLE d.t ADD COLUMN more STRING").await;
    let mut request = rows("", None, false, &[(Some(2), None)]);
    request.default_missing_value_interpretation = 2;
    sender.send(request).await.expect("open");
    let answer = answers.message().await.expect("an answer").expect("an answer");
    assert_eq!(answer.updated_schema.expect("a new schema").fields.len(), 3);
    assert_eq!(server.query("SELECT name FROM d.t ORDER BY id").await, ["NULL", "none"]);
}

#[tokio::test]
async fn schemas_that_do_not_fit_end_the_connection() {
    let mut server = Server::with(&[CREATE]).await;
    let stream = format!("{TABLE}/streams/_default");
    let mut request = rows(&stream, None, true, &[(Some(1), None)]);
    for (fields, text) in [
        (
            vec![("id", Type::Int64), ("zz", Type::String)],
            "Input schema has more fields than BigQuery schema, extra fields: 'zz'",
        ),
        (
            vec![("id", Type::String)],
            "The proto field mismatched with BigQuery field at Row.id, the proto field type string",
        ),
    ] {
        let Some(wire::append_rows_request::Rows::ProtoRows(data)) = &mut request.rows else { panic!("proto rows") };
        data.writer_schema = Some(wire::ProtoSchema { proto_descriptor: Some(descriptor(&fields)) });
        let (_, ended) = server.append(vec![request.clone()]).await;
        let ended = ended.expect("ended");
        assert_eq!(ended.code(), Code::InvalidArgument);
        assert!(ended.message().starts_with(text), "{}", ended.message());
    }
    let nowhere = "projects/p/datasets/d/tables/none/streams/_default";
    let (_, ended) = server.append(vec![rows(nowhere, None, true, &[(Some(1), None)])]).await;
    let ended = ended.expect("ended");
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::NotFound, format!("Requested entity was not found. Entity: {nowhere}").as_str())
    );
}

#[tokio::test]
async fn arrow_rows_are_written_too() {
    let mut server = Server::with(&[CREATE]).await;
    let batch =
        RecordBatch::try_from_iter([("ID", std::sync::Arc::new(Int64Array::from(vec![5, 6])) as _)]).expect("a batch");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a schema");
    let schema = writer.get_ref().clone();
    writer.write(&batch).expect("a batch");
    let data = wire::append_rows_request::ArrowData {
        writer_schema: Some(wire::ArrowSchema { serialized_schema: schema.clone().into() }),
        rows: Some(wire::ArrowRecordBatch {
            serialized_record_batch: writer.get_ref()[schema.len()..].to_vec().into(),
            ..Default::default()
        }),
    };
    let request = wire::AppendRowsRequest {
        write_stream: format!("{TABLE}/streams/_default"),
        rows: Some(wire::append_rows_request::Rows::ArrowRows(data)),
        ..Default::default()
    };
    let (answers, ended) = server.append(vec![request]).await;
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(offset(&answers[0]), None);
    assert_eq!(server.query("SELECT id FROM d.t ORDER BY id").await, ["5", "6"]);
}

#[tokio::test]
async fn a_stream_ends_with_its_table() {
    let mut server = Server::with(&["CREATE TABLE d.t (id INT64, name STRING)"]).await;
    let (pending, buffered, committed) = (
        server.create_stream(Pending).await,
        server.create_stream(Buffered).await,
        server.create_stream(Committed).await,
    );
    for stream in [&pending, &buffered] {
        server.append(vec![rows(stream, Some(0), true, &[(Some(1), None)])]).await;
    }
    let finalize = wire::FinalizeWriteStreamRequest { name: pending.clone() };
    server.write.finalize_write_stream(finalize).await.expect("finalizes");
    server.query("DROP TABLE d.t").await;
    server.query("CREATE TABLE d.t (id STRING, name STRING)").await;
    let commit = wire::BatchCommitWriteStreamsRequest { parent: TABLE.into(), write_streams: vec![pending] };
    let refused = server.write.batch_commit_write_streams(commit).await.expect("answers").into_inner();
    assert!(refused.commit_time.is_none());
    assert_eq!(refused.stream_errors[0].code(), wire::storage_error::StorageErrorCode::StreamNotFound);
    let flush = wire::FlushRowsRequest { write_stream: buffered, offset: Some(0) };
    assert_eq!(server.write.flush_rows(flush).await.expect_err("gone").code(), Code::NotFound);
    let (_, ended) = server.append(vec![rows(&committed, None, true, &[(Some(1), None)])]).await;
    assert_eq!(ended.expect("ended").code(), Code::NotFound);
    assert_eq!(count(&server).await, "0");
}

#[tokio::test]
async fn rows_that_fit_no_more_stay_with_their_stream() {
    let mut server = Server::with(&["CREATE TABLE d.t (id INT64, name STRING)"]).await;
    let pending = server.create_stream(Pending).await;
    server.append(vec![rows(&pending, Some(0), true, &[(Some(1), Some("a"))])]).await;
    let finalize = wire::FinalizeWriteStreamRequest { name: pending.clone() };
    server.write.finalize_write_stream(finalize).await.expect("finalizes");
    server.query("ALTER TABLE d.t DROP COLUMN name").await;
    server.query("ALTER TABLE d.t ADD COLUMN name INT64").await;
    let commit = wire::BatchCommitWriteStreamsRequest { parent: TABLE.into(), write_streams: vec![pending.clone()] };
    let refused = server.write.batch_commit_write_streams(commit.clone()).await.expect_err("another type");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    server.query("ALTER TABLE d.t DROP COLUMN name").await;
    server.query("ALTER TABLE d.t ADD COLUMN name STRING").await;
    let done = server.write.batch_commit_write_streams(commit).await.expect("answers").into_inner();
    assert!(done.commit_time.is_some(), "{:?}", done.stream_errors);
    assert_eq!(server.query("SELECT name FROM d.t").await, ["a"]);
}

#[tokio::test]
async fn two_connections_share_one_stream_and_its_offsets() {
    let mut server = Server::with(&[CREATE]).await;
    let stream = server.create_stream(Committed).await;
    let (first, _) = server.append(vec![rows(&stream, Some(0), true, &[(Some(1), None)])]).await;
    assert_eq!(offset(&first[0]), Some(0));
    let (second, _) = server
        .append(vec![rows(&stream, Some(0), true, &[(Some(1), None)]), rows("", Some(1), false, &[(Some(2), None)])])
        .await;
    assert_eq!((error(&second[0]).0, offset(&second[1])), (6, Some(1)));
    assert_eq!(count(&server).await, "2");
}
