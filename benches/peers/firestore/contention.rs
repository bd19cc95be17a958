//! Many clients on the same documents.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use scrimmage_core::Rng;
use tokio::sync::Barrier;
use tonic::{Code, Status};

use super::client::{Client, document, increment, set};
use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::{Running, Subject};
use crate::{Result, Scale};

const PATIENT: Step = Step::time("40 contended transactions, attempts for up to 60 s");
const PATIENT_DONE: Step = Step::count("– of them committed", "of 40");
const PATIENT_RATE: Step = Step::rate("– commits");
const HASTY: Step = Step::time("40 contended transactions, 5 attempts each, no pause");
const HASTY_DONE: Step = Step::count("– of them committed (5 attempts)", "of 40");
const ATOMIC: Step = Step::rate("400 atomic updates by 40 writers of one document");
const ATOMIC_ABORTED: Step = Step::count("– of them aborted", "of 400");
const CROSSING: Step = Step::time("200 writers x 5 documents in crossing order");
const CROSSING_ABORTED: Step = Step::count("– of them refused", "of 200");

const WRITERS: usize = 40;
/// The longest pause of a patient writer before its second attempt; it doubles with each, up to
/// [`LONGEST_PAUSE`]. Without growth, a peer whose locks time out together never lets anybody through.
const PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);
/// How long a patient writer goes on.
const PATIENCE: Duration = Duration::from_secs(60);
const HASTY_ATTEMPTS: usize = 5;

pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    let started: Result<(Running, Client)> = within_limit(async {
        let running = subject.start().await?;
        let client = Client::connect(&running.address).await?;
        // The peer's compiler sees the path once before it counts.
        transactions(&client, "warm-up", 1, Attempts::ForAWhile).await?;
        Ok((running, client))
    })
    .await;
    let client = match &started {
        Ok((_, client)) => client,
        Err(reason) => return sheet.put(PATIENT, subject.name, Err(reason.clone())),
    };
    match within_limit(transactions(client, "patient", WRITERS, Attempts::ForAWhile)).await {
        Ok((time, done)) => {
            sheet.put(PATIENT, subject.name, Ok(time));
            sheet.put(PATIENT_DONE, subject.name, Ok(done as f64));
            sheet.put(PATIENT_RATE, subject.name, Ok(done as f64 * 1_000.0 / time));
        }
        Err(reason) => sheet.put(PATIENT, subject.name, Err(reason)),
    }
    match within_limit(transactions(client, "hasty", WRITERS, Attempts::Few)).await {
        Ok((time, done)) => {
            sheet.put(HASTY, subject.name, Ok(time));
            sheet.put(HASTY_DONE, subject.name, Ok(done as f64));
        }
        Err(reason) => sheet.put(HASTY, subject.name, Err(reason)),
    }
    let repetitions = scale.of(3, 1);
    match within_limit(repeated(repetitions, |number| atomic_updates(client, number))).await {
        Ok((rate, aborted)) => {
            sheet.put(ATOMIC, subject.name, Ok(rate));
            sheet.put(ATOMIC_ABORTED, subject.name, Ok(aborted));
        }
        Err(reason) => sheet.put(ATOMIC, subject.name, Err(reason)),
    }
    match within_limit(repeated(repetitions, |number| crossing(client, number))).await {
        Ok((time, refused)) => {
            sheet.put(CROSSING, subject.name, Ok(time));
            sheet.put(CROSSING_ABORTED, subject.name, Ok(refused));
        }
        Err(reason) => sheet.put(CROSSING, subject.name, Err(reason)),
    }
}

/// How a writer tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempts {
    /// Until it is through or [`PATIENCE`] is over, with growing pauses.
    ForAWhile,
    /// [`HASTY_ATTEMPTS`] times, without a pause.
    Few,
}

/// Medians of what is measured several times.
async fn repeated<F>(times: usize, work: impl Fn(usize) -> F) -> Result<(f64, f64)>
where
    F: Future<Output = Result<(f64, f64)>>,
{
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for number in 0..times {
        let (a, b) = work(number).await?;
        first.push(a);
        second.push(b);
    }
    Ok((median(&first)?, median(&second)?))
}

/// Read-modify-write transactions on one document that overlap entirely: the time of all, and how
/// many committed.
async fn transactions(client: &Client, id: &str, writers: usize, attempts: Attempts) -> Result<(f64, usize)> {
    let name = document("contended", id);
    client.commit(vec![set(name.clone(), 0)]).await.map_err(|status| status.to_string())?;
    let together = Arc::new(Barrier::new(writers));
    let begun = Instant::now();
    let tasks = (0..writers as u64).map(|number| {
        let (client, name, together) = (client.clone(), name.clone(), Arc::clone(&together));
        tokio::spawn(async move { count_up(&client, &name, &together, attempts, Rng::seeded(number)).await })
    });
    let mut done = 0;
    for ended in join_all(tasks).await {
        let ended = ended.map_err(|error| error.to_string())?;
        done += usize::from(ended.map_err(|status| status.to_string())?);
    }
    let time = milliseconds(begun);
    let counted = client.number(&name, None).await.map_err(|status| status.to_string())?;
    if usize::try_from(counted) != Ok(done) {
        return Err(format!("the counter is {counted} after {done} successes"));
    }
    Ok((time, done))
}

/// One writer with its attempts, which keep the age of the first; whether it got through.
async fn count_up(
    client: &Client,
    name: &str,
    together: &Barrier,
    attempts: Attempts,
    mut rng: Rng,
) -> std::result::Result<bool, Status> {
    let begun = Instant::now();
    let mut first = None;
    for attempt in 0_usize.. {
        if attempt > 0 && attempts == Attempts::ForAWhile {
            let longest = PAUSE.saturating_mul(1 << attempt.min(16)).min(LONGEST_PAUSE);
            tokio::time::sleep(longest.mul_f64(rng.unit())).await;
        }
        let over = match attempts {
            Attempts::ForAWhile => begun.elapsed() > PATIENCE,
            Attempts::Few => attempt >= HASTY_ATTEMPTS,
        };
        if over {
            break;
        }
        let transaction = client.begin(first.as_ref()).await?;
        first.get_or_insert_with(|| transaction.clone());
        let value = match client.number(name, Some(&transaction)).await {
            Ok(value) => Some(value),
            Err(status) if status.code() == Code::Aborted => None,
            Err(status) => return Err(status),
        };
        if attempt == 0 {
            // Everybody has read before anybody commits.
            together.wait().await;
        }
        let Some(value) = value else { continue };
        match client.commit_in(vec![set(name.to_owned(), value + 1)], transaction).await {
            Ok(()) => return Ok(true),
            Err(status) if status.code() == Code::Aborted => {}
            Err(status) => return Err(status),
        }
    }
    Ok(false)
}

/// Increments a second of one document by 40 writers of 10 each, and how many were aborted.
async fn atomic_updates(client: &Client, number: usize) -> Result<(f64, f64)> {
    const EACH: usize = 10;
    let name = document("atomic", &format!("d{number}"));
    client.commit(vec![set(name.clone(), 0)]).await.map_err(|status| status.to_string())?;
    let begun = Instant::now();
    let tasks = (0..WRITERS).map(|_| {
        let (client, name) = (client.clone(), name.clone());
        tokio::spawn(async move {
            let mut done = 0;
            for _ in 0..EACH {
                done += usize::from(passed(client.commit(vec![increment(name.clone())]).await)?);
            }
            Ok::<_, Status>(done)
        })
    });
    let done = sum(join_all(tasks).await)?;
    let time = begun.elapsed().as_secs_f64();
    let counted = client.number(&name, None).await.map_err(|status| status.to_string())?;
    if usize::try_from(counted) != Ok(done) {
        return Err(format!("the counter is {counted} after {done} successes"));
    }
    Ok((done as f64 / time, (WRITERS * EACH - done) as f64))
}

/// The time of 200 commits at once, each of five out of 50 documents in an order of its own, and
/// how many were refused.
async fn crossing(client: &Client, number: usize) -> Result<(f64, f64)> {
    const COMMITS: usize = 200;
    let name = |place: usize| document("crossing", &format!("{number}-{}", place % 50));
    let all = (0..50).map(|place| set(name(place), 0)).collect();
    client.commit(all).await.map_err(|status| status.to_string())?;
    let begun = Instant::now();
    let tasks = (0..COMMITS).map(|one| {
        // Upwards and downwards through the same documents, by steps of several lengths.
        let places = (0..5).map(|step| if one % 2 == 0 { one + step * 7 } else { one + 49 * (step + 1) });
        let writes = places.map(|place| increment(name(place))).collect();
        let client = client.clone();
        tokio::spawn(async move { Ok::<_, Status>(usize::from(passed(client.commit(writes).await)?)) })
    });
    let done = sum(join_all(tasks).await)?;
    Ok((milliseconds(begun), (COMMITS - done) as f64))
}

/// Whether it was committed; what is not contention is an error.
fn passed(ended: std::result::Result<(), Status>) -> std::result::Result<bool, Status> {
    match ended {
        Ok(()) => Ok(true),
        Err(status) if matches!(status.code(), Code::Aborted | Code::DeadlineExceeded | Code::Unavailable) => Ok(false),
        Err(status) => Err(status),
    }
}

type Ended = std::result::Result<std::result::Result<usize, Status>, tokio::task::JoinError>;

fn sum(ended: Vec<Ended>) -> Result<usize> {
    let mut sum = 0;
    for one in ended {
        sum += one.map_err(|error| error.to_string())?.map_err(|status| status.to_string())?;
    }
    Ok(sum)
}
