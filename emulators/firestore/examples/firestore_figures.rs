//! Measures the service over a loopback socket and prints a table:
//! `cargo run --release -p scrimmage-firestore --example firestore_figures`.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use scrimmage_core::{Clock, Context};
use scrimmage_firestore::Firestore;
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::firestore::v1::firestore_client::FirestoreClient;
use tokio::sync::{Barrier, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type Client = FirestoreClient<Channel>;

const DATABASE: &str = "projects/p/databases/(default)";
const ROOT: &str = "projects/p/databases/(default)/documents";

fn int(number: i64) -> pb::Value {
    pb::Value { value_type: Some(pb::value::ValueType::IntegerValue(number)) }
}

fn set(path: &str, number: i64) -> pb::Write {
    let fields = [("n".to_owned(), int(number)), ("m".to_owned(), int(number % 100))].into();
    let document = pb::Document { name: format!("{ROOT}/{path}"), fields, ..pb::Document::default() };
    pb::Write { operation: Some(pb::write::Operation::Update(document)), ..pb::Write::default() }
}

fn increment(path: &str) -> pb::Write {
    use pb::document_transform::{FieldTransform, field_transform::TransformType};
    pb::Write {
        update_mask: Some(pb::DocumentMask::default()),
        update_transforms: vec![FieldTransform {
            field_path: "n".to_owned(),
            transform_type: Some(TransformType::Increment(int(1))),
        }],
        operation: Some(pb::write::Operation::Update(pb::Document {
            name: format!("{ROOT}/{path}"),
            ..pb::Document::default()
        })),
        ..pb::Write::default()
    }
}

async fn commit(
    client: &mut Client,
    transaction: &[u8],
    writes: Vec<pb::Write>,
) -> std::result::Result<(), tonic::Status> {
    let transaction = transaction.to_vec().into();
    client.commit(pb::CommitRequest { database: DATABASE.to_owned(), writes, transaction }).await.map(|_| ())
}

async fn begin(client: &mut Client, retry: &[u8]) -> Result<Vec<u8>> {
    use pb::transaction_options::{Mode, ReadWrite};
    let mode = ReadWrite { retry_transaction: retry.to_vec().into(), ..ReadWrite::default() };
    let options = Some(pb::TransactionOptions { mode: Some(Mode::ReadWrite(mode)) });
    let request = pb::BeginTransactionRequest { database: DATABASE.to_owned(), options };
    Ok(client.begin_transaction(request).await?.into_inner().transaction.to_vec())
}

async fn read(client: &mut Client, transaction: &[u8], path: &str) -> std::result::Result<i64, tonic::Status> {
    use pb::batch_get_documents_request::ConsistencySelector;
    let request = pb::BatchGetDocumentsRequest {
        database: DATABASE.to_owned(),
        documents: vec![format!("{ROOT}/{path}")],
        mask: None,
        consistency_selector: (!transaction.is_empty())
            .then(|| ConsistencySelector::Transaction(transaction.to_vec().into())),
    };
    let mut answers = client.batch_get_documents(request).await?.into_inner();
    let found = answers.message().await?.and_then(|answer| answer.result);
    Ok(match found {
        Some(pb::batch_get_documents_response::Result::Found(document)) => match document.fields.get("n") {
            Some(pb::Value { value_type: Some(pb::value::ValueType::IntegerValue(number)) }) => *number,
            _ => 0,
        },
        _ => 0,
    })
}

/// Adds one to each of `paths`, retrying at once with the first attempt's id, at most `most` times;
/// returns the attempts, and whether the last one succeeded. Losers must hear production's text.
async fn add_one(mut client: Client, paths: Vec<String>, together: Arc<Barrier>, most: usize) -> Result<(usize, bool)> {
    let mut first = Vec::new();
    let mut attempts = 0;
    'attempts: loop {
        if attempts == most {
            return Ok((attempts, false));
        }
        attempts += 1;
        let id = begin(&mut client, &first).await?;
        let mut writes = Vec::new();
        for path in &paths {
            match read(&mut client, &id, path).await {
                Ok(number) => writes.push(set(path, number + 1)),
                Err(error) if error.code() == tonic::Code::Aborted => continue 'attempts,
                Err(error) => return Err(error.into()),
            }
        }
        if first.is_empty() {
            first = id.clone();
            together.wait().await;
        }
        match commit(&mut client, &id, writes).await {
            Ok(()) => return Ok((attempts, true)),
            Err(error) if error.message().starts_with("Aborted due to cross-transaction contention.") => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What came of writers that met.
struct Met {
    time: Duration,
    attempts: usize,
    succeeded: usize,
}

async fn contended(
    endpoint: &Endpoint,
    writers: usize,
    paths: impl Fn(usize) -> Vec<String>,
    overlap: bool,
    most: usize,
) -> Result<Met> {
    let together = Arc::new(Barrier::new(if overlap { writers } else { 1 }));
    let mut clients = Vec::new();
    for _ in 0..writers.min(40) {
        clients.push(FirestoreClient::new(endpoint.connect().await?));
    }
    let start = Instant::now();
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let client = clients[writer % clients.len()].clone();
        tasks.push(tokio::spawn(add_one(client, paths(writer), Arc::clone(&together), most)));
    }
    let (mut attempts, mut succeeded) = (0, 0);
    for task in tasks {
        let (tried, done) = task.await??;
        attempts += tried;
        succeeded += usize::from(done);
    }
    Ok(Met { time: start.elapsed(), attempts, succeeded })
}

fn by_query(query: pb::StructuredQuery) -> pb::target::TargetType {
    pb::target::TargetType::Query(pb::target::QueryTarget {
        parent: ROOT.to_owned(),
        query_type: Some(pb::target::query_target::QueryType::StructuredQuery(query)),
    })
}

fn by_name(path: &str) -> pb::target::TargetType {
    pb::target::TargetType::Documents(pb::target::DocumentsTarget { documents: vec![format!("{ROOT}/{path}")] })
}

type Requests = mpsc::UnboundedSender<pb::ListenRequest>;

async fn listen(
    client: &mut Client,
    targets: Vec<pb::target::TargetType>,
) -> Result<(Requests, tonic::Streaming<pb::ListenResponse>)> {
    let (requests, receiver) = mpsc::unbounded_channel();
    for (number, target) in (1..).zip(targets) {
        let target = pb::Target { target_id: number, target_type: Some(target), ..Default::default() };
        requests.send(pb::ListenRequest {
            database: DATABASE.to_owned(),
            target_change: Some(pb::listen_request::TargetChange::AddTarget(target)),
            ..Default::default()
        })?;
    }
    Ok((requests, client.listen(UnboundedReceiverStream::new(receiver)).await?.into_inner()))
}

async fn next_snapshot(answers: &mut tonic::Streaming<pb::ListenResponse>) -> Result<()> {
    while let Some(answer) = answers.message().await? {
        if let Some(pb::listen_response::ResponseType::TargetChange(change)) = answer.response_type
            && change.target_ids.is_empty()
        {
            return Ok(());
        }
    }
    Err("the stream ended".into())
}

/// Atomic updates a second of one document by 40 writers, so many each; none may fail.
async fn hot(endpoint: &Endpoint, each: usize) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(FirestoreClient::new(endpoint.connect().await?));
    }
    let start = Instant::now();
    let mut tasks = Vec::new();
    for mut client in clients {
        tasks.push(tokio::spawn(async move {
            for _ in 0..each {
                commit(&mut client, &[], vec![increment("c/hot")]).await?;
            }
            Ok::<_, tonic::Status>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok((40 * each) as f64 / start.elapsed().as_secs_f64())
}

/// A second service that keeps its state in a folder, and then the same folder opened again.
async fn kept() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let context = || -> Result<Context> {
        Ok(Context::new(Clock::real()).with_data(scrimmage_core::DataDir::open(folder.path())?))
    };
    let (endpoint, server) = serve(&Firestore::open(context()?)?).await?;
    let mut client = FirestoreClient::new(endpoint.connect().await?);
    let mut sets = Vec::new();
    for number in 0..2_000 {
        let one = Instant::now();
        commit(&mut client, &[], vec![set(&format!("lat/{}", number % 100), number)]).await?;
        sets.push(one.elapsed());
    }
    say("kept in a folder: set, median", format!("{:.1?}", median(sets)));
    say("kept in a folder: atomic updates by 40 writers", format!("{:.0}/s", hot(&endpoint, 100).await?));
    say("kept in a folder: BatchWrite of 500", format!("{:.0}/s", bulk(&mut client, "kept", 20).await?));
    server.abort();
    let _ = server.await;
    drop(client);
    let context = loop {
        // The folder is free when the last task of the server has let go of it.
        match context() {
            Ok(context) => break context,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let start = Instant::now();
    let firestore = Firestore::open(context)?;
    say("kept in a folder: opened again, 16,000 commits", format!("{:.1?}", start.elapsed()));
    drop(firestore);
    Ok(())
}

/// Documents a second by BatchWrite of 500.
async fn bulk(client: &mut Client, collection: &str, parts: i64) -> Result<f64> {
    let start = Instant::now();
    for part in 0..parts {
        let number = |at| part * 500 + at;
        let writes = (0..500).map(|at| set(&format!("{collection}/{:06}", number(at)), number(at))).collect();
        let request = pb::BatchWriteRequest { database: DATABASE.to_owned(), writes, ..Default::default() };
        client.batch_write(request).await?;
    }
    Ok((parts * 500) as f64 / start.elapsed().as_secs_f64())
}

async fn serve(firestore: &Firestore) -> Result<(Endpoint, tokio::task::JoinHandle<()>)> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let router = Server::builder().add_service(firestore.grpc());
    let server = tokio::spawn(async move {
        let _ = router.serve_with_incoming(incoming).await;
    });
    Ok((endpoint, server))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn say(what: &str, figure: impl std::fmt::Display) {
    println!("{what:<62} {figure}");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let start = Instant::now();
    let firestore = Firestore::new(Context::new(Clock::real()));
    let (endpoint, server) = serve(&firestore).await?;
    let mut client = FirestoreClient::new(endpoint.connect().await?);
    commit(&mut client, &[], vec![set("c/n", 0)]).await?;
    say("start to first commit", format!("{:.2?}", start.elapsed()));

    let mut sets = Vec::new();
    let mut gets = Vec::new();
    for number in 0..2_000 {
        let path = format!("lat/{}", number % 100);
        let one = Instant::now();
        commit(&mut client, &[], vec![set(&path, number)]).await?;
        sets.push(one.elapsed());
        let one = Instant::now();
        client.get_document(pb::GetDocumentRequest { name: format!("{ROOT}/{path}"), ..Default::default() }).await?;
        gets.push(one.elapsed());
    }
    say("set, median over the wire", format!("{:.1?}", median(sets)));
    say("get, median over the wire", format!("{:.1?}", median(gets)));

    let mut runs = Vec::new();
    let mut all = 0;
    for run in 0..100 {
        let path = format!("c/run{run}");
        let met = contended(&endpoint, 40, |_| vec![path.clone()], true, usize::MAX).await?;
        let number = read(&mut client, &[], &path).await?;
        if number != 40 {
            return Err(format!("run {run}: {number} of 40 applied").into());
        }
        runs.push(met.time);
        all += met.attempts;
    }
    let worst = runs.iter().max().copied().unwrap_or_default();
    let text = format!("{:.1?} median, {worst:.1?} worst ({} attempts a run)", median(runs), all / 100);
    say("40 overlapping read-modify-writes, 40/40 in each of 100 runs", text);
    let (mut fewest, mut most_of_all, mut runs) = (usize::MAX, 0, Vec::new());
    for run in 0..20 {
        let path = format!("c/five{run}");
        let met = contended(&endpoint, 40, |_| vec![path.clone()], true, 5).await?;
        let number = read(&mut client, &[], &path).await?;
        if usize::try_from(number) != Ok(met.succeeded) {
            return Err(format!("run {run}: {} succeeded and {number} are there", met.succeeded).into());
        }
        fewest = fewest.min(met.succeeded);
        most_of_all = most_of_all.max(met.succeeded);
        runs.push(met.time);
    }
    let text = format!("{fewest} to {most_of_all} of 40 committed, none lost, {:.1?} median", median(runs));
    say("the same with 5 attempts and no backoff, 20 runs", text);
    let crossing =
        |writer: usize| (0..5).map(|step| format!("x/{}", (writer * 7 + step * (1 + writer % 3)) % 50)).collect();
    let mut runs = Vec::new();
    let mut all = 0;
    for _ in 0..5 {
        let met = contended(&endpoint, 200, crossing, false, usize::MAX).await?;
        runs.push(met.time);
        all += met.attempts;
    }
    let worst = runs.iter().max().copied().unwrap_or_default();
    let text = format!("{:.1?} median, {worst:.1?} worst of 5 runs ({} attempts a run)", median(runs), all / 5);
    say("200 writers x 5 of 50 documents in crossing order", text);

    say("400 atomic updates of one document by 40 writers", format!("{:.0}/s", hot(&endpoint, 10).await?));
    say("4,000 atomic updates of one document by 40 writers", format!("{:.0}/s", hot(&endpoint, 100).await?));

    say("10,000 documents by BatchWrite of 500", format!("{:.0}/s", bulk(&mut client, "ten", 20).await?));

    let query = pb::StructuredQuery {
        from: vec![pb::structured_query::CollectionSelector {
            collection_id: "ten".to_owned(),
            all_descendants: false,
        }],
        order_by: vec![pb::structured_query::Order {
            field: Some(pb::structured_query::FieldReference { field_path: "m".to_owned() }),
            direction: pb::structured_query::Direction::Descending.into(),
        }],
        limit: Some(20),
        ..Default::default()
    };
    let mut times = Vec::new();
    for _ in 0..50 {
        let one = Instant::now();
        let request = pb::RunQueryRequest {
            parent: ROOT.to_owned(),
            query_type: Some(pb::run_query_request::QueryType::StructuredQuery(query.clone())),
            ..Default::default()
        };
        client.run_query(request).await?.into_inner().collect::<Vec<_>>().await;
        times.push(one.elapsed());
    }
    say("order by + limit 20 over 10,000 documents, median", format!("{:.1?}", median(times)));

    let mut times = Vec::new();
    for _ in 0..50 {
        use pb::structured_aggregation_query::{Aggregation, QueryType, aggregation};
        let one = Instant::now();
        let count =
            Aggregation { alias: String::new(), operator: Some(aggregation::Operator::Count(Default::default())) };
        let inner = pb::StructuredQuery { order_by: Vec::new(), limit: None, ..query.clone() };
        let request = pb::RunAggregationQueryRequest {
            parent: ROOT.to_owned(),
            query_type: Some(pb::run_aggregation_query_request::QueryType::StructuredAggregationQuery(
                pb::StructuredAggregationQuery {
                    aggregations: vec![count],
                    query_type: Some(QueryType::StructuredQuery(inner)),
                },
            )),
            ..Default::default()
        };
        client.run_aggregation_query(request).await?.into_inner().collect::<Vec<_>>().await;
        times.push(one.elapsed());
    }
    say("count over 10,000 documents, median", format!("{:.1?}", median(times)));

    for (what, limit) in [("a 10,000 document query", None), ("the first 20 of 10,000 in order", Some(20))] {
        let (_requests, mut answers) =
            listen(&mut client, vec![by_query(pb::StructuredQuery { limit, ..query.clone() })]).await?;
        next_snapshot(&mut answers).await?;
        let mut times = Vec::new();
        for number in 0..100 {
            let one = Instant::now();
            // Among the first in the order, and each time another one of them.
            let fields = [("n".to_owned(), int(number)), ("m".to_owned(), int(1_000 + number))].into();
            let document = pb::Document { name: format!("{ROOT}/ten/{:06}", number % 7), fields, ..Default::default() };
            let write = pb::Write { operation: Some(pb::write::Operation::Update(document)), ..Default::default() };
            commit(&mut client, &[], vec![write]).await?;
            next_snapshot(&mut answers).await?;
            times.push(one.elapsed());
        }
        say(&format!("commit to listener event on {what}, median"), format!("{:.1?}", median(times)));
    }
    let others = (0..1_000).map(|number| by_name(&format!("others/{number}"))).collect();
    let (_requests, mut answers) = listen(&mut client, others).await?;
    for _ in 0..1_000 {
        next_snapshot(&mut answers).await?;
    }
    let mut sets = Vec::new();
    for number in 0..1_000 {
        let one = Instant::now();
        commit(&mut client, &[], vec![set("lat/1", number)]).await?;
        sets.push(one.elapsed());
    }
    say("set, median, with 1,000 listeners on other documents", format!("{:.1?}", median(sets)));

    let before = resident_mib();
    bulk(&mut client, "many", 200).await?;
    say("memory of 100,000 small documents", format!("{:.0} MiB", resident_mib() - before));
    server.abort();
    kept().await
}
