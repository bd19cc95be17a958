//! Reading: sessions, streams, formats, restrictions, errors.

use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use tonic::Code;
use wire::DataFormat::{Arrow, Avro};
use wire::read_session::TableReadOptions;

use super::support::{Server, TABLE};

fn plain() -> TableReadOptions {
    TableReadOptions::default()
}

fn sum(batches: &[arrow_array::RecordBatch]) -> i64 {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).sum()
}

#[tokio::test]
async fn streams_share_the_rows_and_can_be_resumed_and_split() {
    let mut server = Server::with(&["CREATE TABLE d.t AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS x"]).await;
    let session = server.session(TABLE, Arrow, plain(), (4, 4)).await.expect("a session");
    assert_eq!((session.streams.len(), session.estimated_row_count), (4, 1000));
    let mut total = 0;
    for stream in &session.streams {
        total += sum(&server.arrow(&session, &stream.name, 0).await);
    }
    assert_eq!(total, 500_500);
    let first = session.streams[0].name.clone();
    let whole = sum(&server.arrow(&session, &first, 0).await);
    let resumed: usize = server.arrow(&session, &first, 249).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(resumed, 1);
    assert!(server.rows(&first, 250).await.expect("the end").is_empty());
    let beyond = server.rows(&first, 251).await.expect_err("beyond the end");
    assert_eq!((beyond.code(), beyond.message()), (Code::FailedPrecondition, "offset 251 has not been allocated yet"));

    let split = wire::SplitReadStreamRequest { name: first, fraction: 0.25 };
    let split = server.read.split_read_stream(split).await.expect("splits").into_inner();
    let mut parts = 0;
    for stream in [split.primary_stream, split.remainder_stream] {
        parts += sum(&server.arrow(&session, &stream.expect("a stream").name, 0).await);
    }
    assert_eq!(parts, whole);

    let answers = server.rows(&session.streams[1].name, 0).await.expect("rows");
    let progress = answers[0].stats.as_ref().and_then(|stats| stats.progress).expect("progress");
    assert_eq!((progress.at_response_start, progress.at_response_end), (0.0, 1.0));
    assert!(answers[0].schema.is_some() && answers[0].row_count == 250);
}

#[tokio::test]
async fn restrictions_and_selected_fields_narrow_a_session() {
    let create = "CREATE TABLE d.t AS SELECT x AS t, STRUCT(x AS a, 'b' AS b) AS s FROM UNNEST([1, 2, 3]) AS x";
    let mut server = Server::with(&[create]).await;
    let options = TableReadOptions {
        selected_fields: vec!["s.a".into()],
        row_restriction: "t >= 2 AND s.b = 'b'".into(),
        ..plain()
    };
    let session = server.session(TABLE, Arrow, options, (1, 0)).await.expect("a session");
    let batches = server.arrow(&session, &session.streams[0].name, 0).await;
    assert_eq!(batches[0].num_rows(), 2);
    assert_eq!(batches[0].column(0).as_struct().column_names(), ["a"]);
    let nothing = TableReadOptions { row_restriction: "t > 9".into(), ..plain() };
    assert!(server.session(TABLE, Arrow, nothing, (0, 0)).await.expect("a session").streams.is_empty());
    for (options, text) in [
        (
            TableReadOptions { row_restriction: "zz = 1".into(), ..plain() },
            "Query error: Unrecognized name: zz at [1:1]",
        ),
        (TableReadOptions { row_restriction: "t =".into(), ..plain() }, "Query error: Syntax error"),
        (TableReadOptions { selected_fields: vec!["s.q".into()], ..plain() }, "s.q"),
        (TableReadOptions { sample_percentage: Some(101.0), ..plain() }, "sample_percentage"),
    ] {
        let refused = server.session(TABLE, Arrow, options, (0, 0)).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(text), "{}", refused.message());
    }
}

#[tokio::test]
async fn a_session_reads_as_of_its_moment() {
    let mut server = Server::with(&["CREATE TABLE d.t AS SELECT 1 AS x"]).await;
    let before = server.clock.now().as_micros();
    let session = server.session(TABLE, Arrow, plain(), (1, 0)).await.expect("a session");
    server.clock.advance(Duration::from_secs(60));
    server.query("INSERT INTO d.t VALUES (10)").await;
    assert_eq!(sum(&server.arrow(&session, &session.streams[0].name, 0).await), 1);
    let at = prost_types::Timestamp { seconds: before / 1_000_000, nanos: 0 };
    for (at, wanted) in [(Some(at), 1), (None, 11)] {
        let session = wire::ReadSession {
            table: TABLE.into(),
            data_format: Arrow.into(),
            table_modifiers: Some(wire::read_session::TableModifiers { snapshot_time: at }),
            ..Default::default()
        };
        let request = wire::CreateReadSessionRequest {
            parent: "projects/p".into(),
            read_session: Some(session),
            ..Default::default()
        };
        let session = server.read.create_read_session(request).await.expect("a session").into_inner();
        assert_eq!(sum(&server.arrow(&session, &session.streams[0].name, 0).await), wanted);
    }
    server.clock.advance(Duration::from_secs(6 * 3600));
    let gone = server.rows(&session.streams[0].name, 0).await.expect_err("expired");
    assert!(gone.message().contains("session expired"), "{gone}");
}

#[tokio::test]
async fn query_results_and_avro_can_be_read() {
    let mut server = Server::with(&[]).await;
    let table = server.result_table("SELECT 7 AS n, 'x' AS s").await;
    let session = server.session(&table, Avro, plain(), (1, 0)).await.expect("a session");
    let Some(wire::read_session::Schema::AvroSchema(schema)) = &session.schema else { panic!("no Avro schema") };
    assert!(schema.schema.contains(r#"{"name":"n","type":["null","long"]}"#), "{}", schema.schema);
    let answers = server.rows(&session.streams[0].name, 0).await.expect("rows");
    let Some(wire::read_rows_response::Rows::AvroRows(rows)) = &answers[0].rows else { panic!("no Avro rows") };
    // Branch 1 of each union: 7, and a string of one byte.
    assert_eq!(rows.serialized_binary_rows.as_ref(), [2, 14, 2, 2, b'x']);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let mut server = Server::with(&["CREATE VIEW d.v AS SELECT 1 AS x"]).await;
    let missing = server.session(TABLE, Arrow, plain(), (0, 0)).await.expect_err("no table");
    assert_eq!((missing.code(), missing.message()), (Code::NotFound, "Not found: Table p:d.t"));
    let view = server.session("projects/p/datasets/d/tables/v", Arrow, plain(), (0, 0)).await.expect_err("a view");
    assert_eq!(view.code(), Code::InvalidArgument);
    let format = server.session(TABLE, wire::DataFormat::Unspecified, plain(), (0, 0)).await.expect_err("no format");
    assert_eq!(format.message(), "request failed: data format unspecified");
    let stream = server.rows("projects/p/locations/us/sessions/s/streams/x", 0).await.expect_err("no stream");
    assert_eq!(stream.code(), Code::NotFound);
}
