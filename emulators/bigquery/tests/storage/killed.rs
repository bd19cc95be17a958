//! What the folder holds at any moment is what a kill would leave: every request that was acknowledged, whole, and
//! none by half. And what is called something after a restart was never called so before.

use std::path::Path;
use std::sync::{Arc, Mutex};

use scrimmage_core::{Clock, Context, DataDir, Timestamp};
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use tonic::transport::Channel;
use wire::append_rows_response::Response;
use wire::big_query_write_client::BigQueryWriteClient;
use wire::write_stream::Type::{Committed, Pending};

use super::support::{START, Server, TABLE, rows};

const REQUESTS: i64 = 40;

fn context(data: DataDir) -> Context {
    Context::new(Clock::virtual_at(Timestamp::from_micros(START))).with_data(data)
}

/// The folder as it is now, the log before the files that it names.
fn copy(from: &Path, to: &Path) {
    std::fs::copy(from.join("bigquery.log"), to.join("bigquery.log")).expect("copied");
    std::fs::create_dir(to.join("bigquery-segments")).expect("made");
    for file in std::fs::read_dir(from.join("bigquery-segments")).expect("a folder").flatten() {
        let to = to.join("bigquery-segments").join(file.file_name());
        // One that is being written goes by another name when it is done.
        let _ = std::fs::copy(file.path(), to);
    }
}

/// Two rows a request, one request after the other; what was acknowledged is noted.
async fn write(
    mut client: BigQueryWriteClient<Channel>,
    stream: String,
    first: i64,
    with_offsets: bool,
    acknowledged: Arc<Mutex<Vec<i64>>>,
) {
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let request = |number: i64| {
        let offset = with_offsets.then_some(number * 2);
        let id = first + number;
        let name = if number == 0 { stream.as_str() } else { "" };
        rows(name, offset, number == 0, &[(Some(id), Some("left")), (Some(id), Some("right"))])
    };
    sender.send(request(0)).await.expect("open");
    let mut answers = client.append_rows(requests).await.expect("open").into_inner();
    for number in 0..REQUESTS {
        let answer = answers.message().await.expect("an answer").expect("an answer");
        assert!(matches!(answer.response, Some(Response::AppendResult(_))), "{answer:?}");
        acknowledged.lock().expect("a list").push(first + number);
        if number + 1 < REQUESTS {
            sender.send(request(number + 1)).await.expect("open");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_rows_are_in_every_later_copy_of_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(folder.path()).expect("it opens");
    let mut server = Server::on(context(data), &["CREATE TABLE d.t (id INT64, name STRING)"]).await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let committed = server.create_stream(Committed).await;
    let default = format!("{TABLE}/streams/_default");
    let writers = [
        tokio::spawn(write(server.write.clone(), default, 1_000, false, acknowledged.clone())),
        tokio::spawn(write(server.write.clone(), committed, 2_000, true, acknowledged.clone())),
    ];
    let mut last = false;
    while !last {
        last = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let wanted = acknowledged.lock().expect("a list").clone();
        let killed = tempfile::tempdir().expect("a folder");
        copy(folder.path(), killed.path());
        let again = Server::again(context(DataDir::open(killed.path()).expect("it opens"))).await;
        let seen = again.query("SELECT FORMAT('%d*%d', id, COUNT(*)) FROM d.t GROUP BY id").await;
        for id in wanted {
            assert!(seen.contains(&format!("{id}*2")), "{id} was acknowledged: {seen:?}");
        }
        assert!(seen.iter().all(|id| id.ends_with("*2")), "no request is there by half: {seen:?}");
    }
    for writer in writers {
        writer.await.expect("it wrote");
    }
    let count = server.query("SELECT COUNT(*) FROM d.t").await;
    assert_eq!(count, [(REQUESTS * 4).to_string()]);
}

#[tokio::test]
async fn a_stream_of_before_a_restart_is_nobody_elses_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(folder.path()).expect("it opens");
    let create = ["CREATE TABLE d.t (id INT64, name STRING)"];
    let mut server = Server::on(context(data), &create).await;
    let before = server.create_stream(Pending).await;
    let old_session =
        server.session(TABLE, wire::DataFormat::Avro, Default::default(), (1, 0)).await.expect("a session");
    let killed = tempfile::tempdir().expect("a folder");
    copy(folder.path(), killed.path());
    let mut again = Server::again(context(DataDir::open(killed.path()).expect("it opens"))).await;
    let after = again.create_stream(Pending).await;
    assert_ne!(before, after);
    let session = again.session(TABLE, wire::DataFormat::Avro, Default::default(), (1, 0)).await.expect("a session");
    assert_ne!(old_session.name, session.name);
    let (_, ended) = again.append(vec![rows(&before, None, true, &[(Some(1), None)])]).await;
    assert_eq!(ended.expect("ended").code(), tonic::Code::NotFound);
}
