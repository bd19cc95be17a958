//! Firestore beside Google's emulator.

mod client;
mod contention;
mod latency;

use std::time::Instant;

use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::Subject;
use crate::{Result, Scale};
use client::{Client, document, set};

const START: Step = Step::time("cold start to the first commit, median of 3");
const IDLE: Step = Step::memory("memory after the first commit");
const GROWTH: Step = Step::memory("memory for 100,000 small documents");

/// Everything about one subject.
pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    match within_limit(starts(subject, scale)).await {
        Ok((start, idle)) => {
            sheet.put(START, subject.name, Ok(start));
            sheet.put(IDLE, subject.name, Ok(idle));
        }
        Err(reason) => return sheet.put(START, subject.name, Err(reason)),
    }
    latency::measure(subject, scale, sheet).await;
    contention::measure(subject, scale, sheet).await;
    sheet.take(GROWTH, subject.name, growth(subject, scale)).await;
}

/// Median time from the process's start to its first commit, and what it then has in memory.
async fn starts(subject: &Subject, scale: Scale) -> Result<(f64, f64)> {
    let (mut times, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..scale.of(3, 1) {
        let mut running = subject.start().await?;
        let first = async |address: &str| {
            let client = Client::connect(address).await?;
            client.commit(vec![set(document("starts", "first"), 1)]).await.map_err(|status| status.to_string())
        };
        running.first_answer(first).await?;
        times.push(milliseconds(running.program.begun));
        idle.push(running.program.resident_megabytes());
    }
    Ok((median(&times)?, median(&idle)?))
}

/// What 100,000 small documents add to a fresh process's memory.
async fn growth(subject: &Subject, scale: Scale) -> Result<f64> {
    let count = scale.of(100_000, 5_000);
    let running = subject.start().await?;
    let client = Client::connect(&running.address).await?;
    client.commit(vec![set(document("warm", "up"), 1)]).await.map_err(|status| status.to_string())?;
    let before = running.program.resident_megabytes();
    let begun = Instant::now();
    client.fill("growth", count).await?;
    eprintln!("  {count} documents written in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(running.program.resident_megabytes() - before)
}
