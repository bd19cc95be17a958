//! Contention among real clients.

use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::{Clock, Timestamp};
use tokio::sync::Barrier;
use tonic::Code;

use super::support::*;

const TEXT_1: &str = "Aborted due to cross-transaction contention. This occurs when multiple transactions attempt to \
    access the same data, requiring Firestore to abort at least one in order to enforce serializability.";

/// One read-modify-write in the manner of the Python client: retries at once, with the first attempt's id.
async fn add_one(mut client: Client, attempts: usize, together: Arc<Barrier>) -> Result<usize, tonic::Status> {
    let mut first = Vec::new();
    let mut last = None;
    for attempt in 1..=attempts {
        let id = client.begin(&first).await;
        let seen = client.number(&id, "c/n").await?.unwrap();
        if first.is_empty() {
            first = id.clone();
            // All have read before any commits.
            together.wait().await;
        }
        match client.commit(&id, vec![set("c/n", seen + 1)]).await {
            Ok(_) => return Ok(attempt),
            Err(error) if error.code() == Code::Aborted => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap())
}

async fn counters(clients: usize, attempts: usize) -> (Served, Vec<Result<usize, tonic::Status>>) {
    let served = serve(Clock::real()).await;
    served.client().await.commit(&[], vec![set("c/n", 0)]).await.unwrap();
    let together = Arc::new(Barrier::new(clients));
    let mut tasks = Vec::new();
    for _ in 0..clients {
        tasks.push(tokio::spawn(add_one(served.client().await, attempts, Arc::clone(&together))));
    }
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    (served, results)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_read_modify_writes_all_apply_with_attempts_enough() {
    let (served, results) = counters(40, 40).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(served.client().await.number(&[], "c/n").await.unwrap(), Some(40));
}

#[tokio::test]
async fn transactions_of_an_enterprise_database_are_optimistic_unless_they_ask_otherwise() {
    use pb::transaction_options::{ConcurrencyMode, Mode, ReadWrite};
    let begin = async |client: &mut Client, mode: Option<ConcurrencyMode>| {
        let mode =
            mode.map(|mode| Mode::ReadWrite(ReadWrite { concurrency_mode: mode.into(), ..ReadWrite::default() }));
        let options = Some(pb::TransactionOptions { mode });
        let request = pb::BeginTransactionRequest { database: DATABASE.to_owned(), options };
        client.0.begin_transaction(request).await.unwrap().into_inner().transaction
    };
    let served = serve(Clock::virtual_at(Timestamp::EPOCH)).await;
    let mut client = served.client().await;
    for enterprise in [false, true] {
        served.firestore.declare_edition("projects/p/databases/(default)", enterprise).unwrap();
        for mode in [
            None,
            Some(ConcurrencyMode::Unspecified),
            Some(ConcurrencyMode::Optimistic),
            Some(ConcurrencyMode::Pessimistic),
        ] {
            client.commit(&[], vec![set("c/n", 0)]).await.unwrap();
            let id = begin(&mut client, mode).await;
            assert_eq!(client.number(&id, "c/n").await.unwrap(), Some(0));
            let mut other = client.clone();
            let write = tokio::spawn(async move { other.commit(&[], vec![set("c/n", 1)]).await });
            let optimistic = match mode {
                Some(ConcurrencyMode::Optimistic) => true,
                Some(ConcurrencyMode::Pessimistic) => false,
                _ => enterprise,
            };
            if optimistic {
                // Nobody is in its way; whoever read before has to begin again.
                write.await.unwrap().unwrap();
                let error = client.commit(&id, vec![set("c/n", 2)]).await.unwrap_err();
                assert_eq!((error.code(), error.message()), (Code::Aborted, TEXT_1));
            } else {
                client.commit(&id, vec![set("c/m", 2)]).await.unwrap();
                write.await.unwrap().unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_five_attempts_most_of_forty_fail_and_no_update_is_lost() {
    let (served, results) = counters(40, 5).await;
    let applied = results.iter().filter(|result| result.is_ok()).count();
    assert!((5..40).contains(&applied), "{applied}");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!((error.code(), error.message()), (Code::Aborted, TEXT_1));
    }
    assert_eq!(served.client().await.number(&[], "c/n").await.unwrap(), Some(applied as i64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn atomic_updates_never_abort_each_other() {
    let served = serve(Clock::real()).await;
    let mut tasks = Vec::new();
    for _ in 0..40 {
        let mut client = served.client().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                client.commit(&[], vec![increment("c/n", 1)]).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(served.client().await.number(&[], "c/n").await.unwrap(), Some(400));
}

#[tokio::test]
async fn writers_in_crossing_order_need_no_timeout() {
    const WRITERS: usize = 60;
    // The clock stands still: whatever needed a timeout would hang.
    let served = serve(Clock::virtual_at(Timestamp::from_micros(1_767_225_600_000_000))).await;
    let client = served.client().await;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let mut client = client.clone();
        tasks.push(tokio::spawn(async move {
            let mut first = Vec::new();
            'attempts: loop {
                let id = client.begin(&first).await;
                if first.is_empty() {
                    first = id.clone();
                }
                let mut writes = Vec::new();
                for step in 0..5 {
                    let path = format!("c/{}", (writer * 7 + step * (1 + writer % 3)) % 11);
                    match client.number(&id, &path).await {
                        Ok(seen) => writes.push(set(&path, seen.unwrap_or(0) + 1)),
                        Err(error) => {
                            assert_eq!(error.code(), Code::Aborted);
                            continue 'attempts;
                        }
                    }
                }
                match client.commit(&id, writes).await {
                    Ok(_) => return,
                    Err(error) => assert_eq!(error.code(), Code::Aborted),
                }
            }
        }));
    }
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(60), task).await.expect("no timeout is needed").unwrap();
    }
    let mut client = client;
    let mut total = 0;
    for number in 0..11 {
        total += client.number(&[], &format!("c/{number}")).await.unwrap().unwrap_or(0);
    }
    assert_eq!(total, 5 * WRITERS as i64);
}

#[tokio::test]
async fn a_plain_commit_gives_up_on_the_suites_clock() {
    let served = serve(Clock::virtual_at(Timestamp::from_micros(1_767_225_600_000_000))).await;
    let mut reader = served.client().await;
    let id = reader.begin(&[]).await;
    reader.number(&id, "c/a").await.unwrap();
    let mut writer = served.client().await;
    let waiting = tokio::spawn(async move { writer.commit(&[], vec![set("c/a", 1)]).await });
    // However the two tasks interleave, the commit ends once its twenty seconds have passed.
    while !waiting.is_finished() {
        served.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        // Keeps the reader from idling away.
        reader.number(&id, "c/a").await.unwrap();
        if served.clock.now() > Timestamp::from_micros(1_767_225_600_000_000) + Duration::from_secs(250) {
            break;
        }
    }
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
    assert_eq!(error.message(), "Too much contention on these documents. Please try again.");
}

#[tokio::test]
async fn a_client_that_goes_away_withdraws_its_commit() {
    let served = serve(Clock::real()).await;
    let mut reader = served.client().await;
    let id = reader.begin(&[]).await;
    reader.number(&id, "c/a").await.unwrap();
    let mut writer = served.client().await;
    let gone = tokio::time::timeout(Duration::from_millis(200), writer.commit(&[], vec![set("c/a", 1)])).await;
    assert!(gone.is_err());
    drop(writer);
    // A younger transaction's read would wait behind that commit for as long as it is in line.
    let mut other = served.client().await;
    let young = other.begin(&[]).await;
    let read = tokio::time::timeout(Duration::from_secs(10), other.number(&young, "c/a")).await;
    assert_eq!(read.expect("the commit is out of the way").unwrap(), None);
    reader.rollback(&id).await;
    assert_eq!(reader.number(&[], "c/a").await.unwrap(), None);
}

#[tokio::test]
async fn batch_writes_wait_each_for_itself() {
    let served = serve(Clock::real()).await;
    let mut reader = served.client().await;
    let id = reader.begin(&[]).await;
    reader.number(&id, "c/a").await.unwrap();
    let mut writer = served.client().await;
    let exists = pb::Precondition { condition_type: Some(pb::precondition::ConditionType::Exists(true)) };
    let writes =
        vec![set("c/a", 1), set("c/b", 2), pb::Write { current_document: Some(exists), ..set("c/missing", 3) }];
    let request = pb::BatchWriteRequest { database: DATABASE.to_owned(), writes, labels: Default::default() };
    let batch = tokio::spawn(async move { writer.0.batch_write(request).await.unwrap().into_inner() });
    // `c/b` is written although `c/a` waits.
    let written = async {
        while reader.number(&[], "c/b").await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), written).await.unwrap();
    assert_eq!(reader.number(&[], "c/a").await.unwrap(), None);
    assert!(!batch.is_finished());
    reader.rollback(&id).await;
    let response = batch.await.unwrap();
    assert_eq!(response.status.iter().map(|status| status.code).collect::<Vec<_>>(), [0, 0, 5]);
    assert_eq!(response.status[2].message, format!("No document to update: {}", full("c/missing")));
    assert_eq!(reader.number(&[], "c/a").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_reset_aborts_whoever_waits() {
    let served = serve(Clock::real()).await;
    let mut reader = served.client().await;
    let id = reader.begin(&[]).await;
    reader.number(&id, "c/a").await.unwrap();
    let mut writer = served.client().await;
    let waiting = tokio::spawn(async move { writer.commit(&[], vec![set("c/a", 1)]).await });
    let ended = async {
        while !waiting.is_finished() {
            // Until the commit is in line there is nothing to abort; once it is, one reset ends it.
            served.firestore.reset().unwrap();
            let again = reader.begin(&[]).await;
            reader.number(&again, "c/a").await.ok();
            tokio::task::yield_now().await;
        }
        waiting.await.unwrap()
    };
    let result = tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    assert!(result.is_ok() || result.unwrap_err().code() == Code::Aborted);
    let late = reader.commit(&id, vec![]).await.unwrap_err();
    assert_eq!(late.message(), "The referenced transaction has expired or is no longer valid.");
}

#[tokio::test]
async fn the_journal_learns_of_attempts_and_lock_waits() {
    let start = Timestamp::from_micros(1_767_225_600_000_000);
    let clock = Clock::virtual_at(start);
    let notes = scrimmage_core::CallNotes::default();
    let served = serve_noting(clock.clone(), notes.clone()).await;
    let mut client = served.client().await;
    let first = client.begin(&[]).await;
    let second = client.begin(&first).await;
    assert_eq!(notes.take().attempt, 2);
    client.number(&second, "c/a").await.unwrap();
    let mut writer = served.client().await;
    let waiting = tokio::spawn(async move { writer.commit(&[], vec![set("c/a", 1)]).await });
    // The clock moves only while the commit is known to be in line: a younger reader waits behind it.
    let mut other = served.client().await;
    let in_line = async {
        loop {
            let young = other.begin(&[]).await;
            let read = tokio::time::timeout(Duration::from_millis(100), other.number(&young, "c/a")).await;
            if read.is_err() {
                return;
            }
            other.rollback(&young).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), in_line).await.unwrap();
    notes.take();
    clock.advance(Duration::from_secs(3));
    client.rollback(&second).await;
    waiting.await.unwrap().unwrap();
    assert!(notes.take().lock_wait >= Duration::from_secs(3));
}
