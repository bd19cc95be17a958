//! Pub/Sub beside Google's emulator.

mod client;
mod idle;
mod latency;
mod throughput;

use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::{Running, Subject};
use crate::{Result, Scale};
use client::Client;

const START: Step = Step::time("start to the first topic, median of 3");
const IDLE_MEMORY: Step = Step::memory("idle memory");

/// Everything about one subject.
pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    match within_limit(starts(subject, scale)).await {
        Ok((start, idle)) => {
            sheet.put(START, subject.name, Ok(start));
            sheet.put(IDLE_MEMORY, subject.name, Ok(idle));
        }
        Err(reason) => return sheet.put(START, subject.name, Err(reason)),
    }
    let started: Result<(Running, Client)> = within_limit(async {
        let running = subject.start().await?;
        let client = Client::connect(&running.address).await?;
        Ok((running, client))
    })
    .await;
    let client = match &started {
        Ok((_, client)) => client,
        Err(reason) => return sheet.put(latency::PUBLISH, subject.name, Err(reason.clone())),
    };
    sheet.take(latency::PUBLISH, subject.name, latency::publish(client, scale)).await;
    sheet.take(latency::PULL, subject.name, latency::to_pull(client, scale)).await;
    sheet.take(latency::PUSH, subject.name, latency::to_push(client, scale)).await;
    throughput::measure(client, subject, scale, sheet).await;
    sheet.take(idle::PROCESSOR, subject.name, idle::processor(subject, scale)).await;
}

/// Median time from the process's start to its first topic, and what it then has in memory.
async fn starts(subject: &Subject, scale: Scale) -> Result<(f64, f64)> {
    let (mut times, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..scale.of(3, 1) {
        let mut running = subject.start().await?;
        running.first_answer(async |address: &str| Client::connect(address).await?.topic("first").await).await?;
        times.push(milliseconds(running.program.begun));
        idle.push(running.program.resident_megabytes());
    }
    Ok((median(&times)?, median(&idle)?))
}
