//! Forty read-modify-write transactions on one document, all overlapping, each with up to thirty
//! attempts that keep the age of the first.
//!
//! Of transactions that overlap entirely one commits a round, so forty that retry at once (the Python
//! client's way) need up to forty attempts. These pause for a random few milliseconds before they try
//! again, as the other clients do for longer: that spreads them out and thirty attempts are plenty.

use firestore::gcloud_sdk::google::firestore::v1 as proto;
use firestore::gcloud_sdk::tonic::{Code, Status};
use proto::batch_get_documents_request::ConsistencySelector;
use proto::batch_get_documents_response::Result as Found;
use proto::transaction_options::{Mode, ReadWrite};
use proto::value::ValueType;
use scrimmage_core::Rng;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;

use super::{Figure, stage};
use crate::SetupError;
use crate::clients::Clients;

const TRANSACTIONS: usize = 40;
const ATTEMPTS: usize = 30;
/// The longest pause before another attempt.
const PAUSE: Duration = Duration::from_millis(8);

pub(super) async fn figures() -> Result<Vec<Figure>, SetupError> {
    let (stage, clients) = stage().await?;
    let failed = |problem: &dyn std::fmt::Display| SetupError::prepare("contended transactions", problem);
    let counter = format!("{}/figures/counter", clients.firestore.get_documents_path());
    let created = write(&clients, vec![set(&counter, 0)], Vec::new()).await;
    created.map_err(|status| failed(&status))?;
    let together = Arc::new(Barrier::new(TRANSACTIONS));
    let begun = Instant::now();
    let tasks = (0..TRANSACTIONS as u64).map(|number| {
        let rng = Rng::seeded(number);
        let (clients, counter, together) = (clients.clone(), counter.clone(), Arc::clone(&together));
        tokio::spawn(async move { count_up(&clients, &counter, &together, rng).await })
    });
    let (mut applied, mut attempts) = (0, 0);
    for ended in futures::future::join_all(tasks).await {
        let ended = ended.map_err(|error| failed(&error))?;
        let (done, tries) = ended.map_err(|status| failed(&status))?;
        applied += i64::from(done);
        attempts += tries;
    }
    let milliseconds = begun.elapsed().as_secs_f64() * 1_000.0;
    let value = read(&clients, &counter, None).await.map_err(|status| failed(&status))?;
    if value != applied {
        return Err(failed(&format!("the counter is {value} after {applied} successes")));
    }
    stage.stop().await;
    Ok(vec![
        Figure::new("40 contended transactions: not applied", TRANSACTIONS as f64 - applied as f64, "", Some(0.0)),
        Figure::new("  attempts in all", attempts as f64, "", None),
        Figure::new("  time", milliseconds, "ms", Some(500.0)),
    ])
}

/// One transaction with its retries; whether it was applied, and after how many attempts.
async fn count_up(clients: &Clients, counter: &str, together: &Barrier, mut rng: Rng) -> Result<(bool, usize), Status> {
    let mut first: Option<Vec<u8>> = None;
    for attempt in 1..=ATTEMPTS {
        if attempt > 1 {
            tokio::time::sleep(PAUSE.mul_f64(rng.unit())).await;
        }
        let transaction = begin(clients, first.as_deref()).await?;
        first.get_or_insert_with(|| transaction.clone());
        let value = match read(clients, counter, Some(&transaction)).await {
            Ok(value) => value,
            Err(status) if status.code() == Code::Aborted => continue,
            Err(status) => return Err(status),
        };
        if attempt == 1 {
            // Everybody has read before anybody commits.
            together.wait().await;
        }
        match write(clients, vec![set(counter, value + 1)], transaction).await {
            Ok(()) => return Ok((true, attempt)),
            Err(status) if status.code() == Code::Aborted => {}
            Err(status) => return Err(status),
        }
    }
    Ok((false, ATTEMPTS))
}

async fn begin(clients: &Clients, retry_of: Option<&[u8]>) -> Result<Vec<u8>, Status> {
    let read_write =
        ReadWrite { retry_transaction: retry_of.map(<[u8]>::to_vec).unwrap_or_default(), ..Default::default() };
    let request = proto::BeginTransactionRequest {
        database: clients.firestore.get_database_path().clone(),
        options: Some(proto::TransactionOptions { mode: Some(Mode::ReadWrite(read_write)) }),
        ..Default::default()
    };
    Ok(clients.firestore.client().get().begin_transaction(request).await?.into_inner().transaction)
}

async fn read(clients: &Clients, name: &str, transaction: Option<&[u8]>) -> Result<i64, Status> {
    let request = proto::BatchGetDocumentsRequest {
        database: clients.firestore.get_database_path().clone(),
        documents: vec![name.to_owned()],
        consistency_selector: transaction.map(|id| ConsistencySelector::Transaction(id.to_vec())),
        ..Default::default()
    };
    let mut answers = clients.firestore.client().get().batch_get_documents(request).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        let Some(Found::Found(document)) = answer.result else { continue };
        if let Some(ValueType::IntegerValue(value)) =
            document.fields.get("count").and_then(|value| value.value_type.clone())
        {
            return Ok(value);
        }
    }
    Err(Status::not_found("the counter is gone"))
}

async fn write(clients: &Clients, writes: Vec<proto::Write>, transaction: Vec<u8>) -> Result<(), Status> {
    let request = proto::CommitRequest {
        database: clients.firestore.get_database_path().clone(),
        writes,
        transaction,
        ..Default::default()
    };
    clients.firestore.client().get().commit(request).await.map(|_| ())
}

fn set(name: &str, count: i64) -> proto::Write {
    let value = proto::Value { value_type: Some(ValueType::IntegerValue(count)) };
    let document = proto::Document {
        name: name.to_owned(),
        fields: HashMap::from([("count".to_owned(), value)]),
        ..Default::default()
    };
    proto::Write { operation: Some(proto::write::Operation::Update(document)), ..Default::default() }
}
