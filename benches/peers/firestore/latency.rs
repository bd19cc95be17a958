//! One client alone: single calls, queries over 10,000 documents, a listener.

use std::time::Instant;

use scrimmage_protos::google::firestore::v1 as proto;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use proto::listen_response::ResponseType;
use proto::structured_aggregation_query::aggregation::{Count, Operator};
use proto::structured_aggregation_query::{Aggregation, QueryType as Aggregated};
use proto::target::query_target::QueryType as Listened;
use proto::target::{QueryTarget, TargetType};
use proto::target_change::TargetChangeType;

use super::client::{Client, DATABASE, PARENT, document, query, set};
use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::{Running, Subject};
use crate::{Result, Scale};

const SET: Step = Step::time("set, p50");
const GET: Step = Step::time("get, p50");
const FILL: Step = Step::rate("BatchWrite of 10,000 documents");
const ORDERED: Step = Step::time("order by + limit 20 over 10,000, p50");
const COUNT: Step = Step::time("count of 10,000, p50");
const LISTEN: Step = Step::time("commit to listener's event, query of 10,000, p50");

const COLLECTION: &str = "scores";

pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    let started: Result<(Running, Client)> = within_limit(async {
        let running = subject.start().await?;
        let client = Client::connect(&running.address).await?;
        Ok((running, client))
    })
    .await;
    let client = match &started {
        Ok((_, client)) => client,
        Err(reason) => return sheet.put(SET, subject.name, Err(reason.clone())),
    };
    let documents = scale.of(10_000, 1_000);
    sheet.take(SET, subject.name, sets(client, scale)).await;
    sheet.take(GET, subject.name, gets(client, scale)).await;
    sheet.take(FILL, subject.name, fills(client, documents, scale)).await;
    sheet.take(ORDERED, subject.name, ordered(client, scale)).await;
    sheet.take(COUNT, subject.name, counts(client, documents, scale)).await;
    sheet.take(LISTEN, subject.name, listens(client, documents, scale)).await;
}

async fn sets(client: &Client, scale: Scale) -> Result<f64> {
    let (warm_up, count) = (scale.of(500, 50), scale.of(2_000, 100));
    let mut times = Vec::with_capacity(count);
    for number in 0..warm_up + count {
        let write = set(document("sets", &format!("d{}", number % 100)), number as i64);
        let begun = Instant::now();
        client.commit(vec![write]).await.map_err(|status| status.to_string())?;
        if number >= warm_up {
            times.push(milliseconds(begun));
        }
    }
    median(&times)
}

async fn gets(client: &Client, scale: Scale) -> Result<f64> {
    let (warm_up, count) = (scale.of(500, 50), scale.of(2_000, 100));
    let mut times = Vec::with_capacity(count);
    for number in 0..warm_up + count {
        let request =
            proto::GetDocumentRequest { name: document("sets", &format!("d{}", number % 50)), ..Default::default() };
        let begun = Instant::now();
        client.get().get_document(request).await.map_err(|status| status.to_string())?;
        if number >= warm_up {
            times.push(milliseconds(begun));
        }
    }
    median(&times)
}

/// Documents a second, the median of three collections; the last stays for the queries.
async fn fills(client: &Client, documents: usize, scale: Scale) -> Result<f64> {
    let mut rates = Vec::new();
    let repetitions = scale.of(3, 1);
    for number in 0..repetitions {
        let name = if number + 1 == repetitions { COLLECTION.to_owned() } else { format!("fill-{number}") };
        let begun = Instant::now();
        client.fill(&name, documents).await?;
        rates.push(documents as f64 / begun.elapsed().as_secs_f64());
    }
    median(&rates)
}

async fn ordered(client: &Client, scale: Scale) -> Result<f64> {
    let mut times = Vec::new();
    for number in 0..scale.of(220, 22) {
        let request = proto::RunQueryRequest {
            parent: PARENT.to_owned(),
            query_type: Some(proto::run_query_request::QueryType::StructuredQuery(query(
                COLLECTION,
                Some("score"),
                Some(20),
            ))),
            ..Default::default()
        };
        let begun = Instant::now();
        let mut answers = client.get().run_query(request).await.map_err(|status| status.to_string())?.into_inner();
        let mut found = 0;
        while let Some(answer) = answers.message().await.map_err(|status| status.to_string())? {
            found += usize::from(answer.document.is_some());
        }
        if found != 20 {
            return Err(format!("{found} documents instead of 20"));
        }
        if number >= scale.of(20, 2) {
            times.push(milliseconds(begun));
        }
    }
    median(&times)
}

async fn counts(client: &Client, documents: usize, scale: Scale) -> Result<f64> {
    let mut times = Vec::new();
    for number in 0..scale.of(220, 22) {
        let aggregation =
            Aggregation { alias: "count".to_owned(), operator: Some(Operator::Count(Count { up_to: None })) };
        let aggregated = proto::StructuredAggregationQuery {
            aggregations: vec![aggregation],
            query_type: Some(Aggregated::StructuredQuery(query(COLLECTION, None, None))),
        };
        let request = proto::RunAggregationQueryRequest {
            parent: PARENT.to_owned(),
            query_type: Some(proto::run_aggregation_query_request::QueryType::StructuredAggregationQuery(aggregated)),
            ..Default::default()
        };
        let begun = Instant::now();
        let answers = client.get().run_aggregation_query(request).await.map_err(|status| status.to_string())?;
        let mut answers = answers.into_inner();
        let mut counted = None;
        while let Some(answer) = answers.message().await.map_err(|status| status.to_string())? {
            counted = answer.result.and_then(|result| result.aggregate_fields.get("count").cloned()).or(counted);
        }
        let expected = super::client::integer(documents as i64);
        if counted.as_ref() != Some(&expected) {
            return Err(format!("{counted:?} instead of {documents}"));
        }
        if number >= scale.of(20, 2) {
            times.push(milliseconds(begun));
        }
    }
    median(&times)
}

/// From the commit's call to the changed document on a stream that listens to a query of them all.
async fn listens(client: &Client, documents: usize, scale: Scale) -> Result<f64> {
    let target = proto::Target {
        target_id: 2,
        target_type: Some(TargetType::Query(QueryTarget {
            parent: PARENT.to_owned(),
            query_type: Some(Listened::StructuredQuery(query(COLLECTION, Some("score"), None))),
        })),
        ..Default::default()
    };
    let (requests, sent) = tokio::sync::mpsc::channel(1);
    let add = proto::ListenRequest {
        database: DATABASE.to_owned(),
        target_change: Some(proto::listen_request::TargetChange::AddTarget(target)),
        ..Default::default()
    };
    requests.send(add).await.map_err(|error| error.to_string())?;
    let mut request = Request::new(ReceiverStream::new(sent));
    if let Ok(value) = DATABASE.parse() {
        request.metadata_mut().insert("google-cloud-resource-prefix", value);
    }
    let mut events = client.get().listen(request).await.map_err(|status| status.to_string())?.into_inner();
    let initial = until_current(&mut events).await?;
    if initial != documents {
        return Err(format!("the listener's first snapshot has {initial} documents instead of {documents}"));
    }
    let mut times = Vec::new();
    for number in 0..scale.of(220, 22) {
        let name = document(COLLECTION, &format!("d{:06}", number % documents));
        let mut write = set(name.clone(), 0);
        if let Some(proto::write::Operation::Update(document)) = &mut write.operation {
            document.fields.insert("score".to_owned(), super::client::integer(200_000 + number as i64));
        }
        let begun = Instant::now();
        client.commit(vec![write]).await.map_err(|status| status.to_string())?;
        loop {
            let event = events.message().await.map_err(|status| status.to_string())?;
            let event = event.ok_or("the listener's stream ended")?;
            if matches!(event.response_type, Some(ResponseType::DocumentChange(change))
                if change.document.as_ref().is_some_and(|document| document.name == name))
            {
                break;
            }
        }
        if number >= scale.of(20, 2) {
            times.push(milliseconds(begun));
        }
    }
    drop(requests);
    median(&times)
}

/// The documents of the first snapshot.
async fn until_current(events: &mut Streaming<proto::ListenResponse>) -> Result<usize> {
    let mut documents = 0;
    while let Some(event) = events.message().await.map_err(|status| status.to_string())? {
        match event.response_type {
            Some(ResponseType::DocumentChange(_)) => documents += 1,
            Some(ResponseType::TargetChange(change))
                if change.target_change_type == TargetChangeType::Current as i32 =>
            {
                return Ok(documents);
            }
            Some(ResponseType::TargetChange(change)) if change.cause.is_some() => {
                return Err(format!("the listener was refused: {:?}", change.cause));
            }
            _ => {}
        }
    }
    Err("the listener's stream ended".to_owned())
}
