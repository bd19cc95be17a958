//! BigQuery beside the emulators from PyPI.

mod analysis;
mod client;
mod consolidation;
mod small;

use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::{Running, Subject};
use crate::{Result, Scale};
use client::Client;

const START: Step = Step::time("start to the first `SELECT 1`, median of 3");
const IDLE: Step = Step::memory("memory after the first query");

/// Everything about one subject.
pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    match within_limit(starts(subject, scale)).await {
        Ok((start, idle)) => {
            sheet.put(START, subject.name, Ok(start));
            sheet.put(IDLE, subject.name, Ok(idle));
        }
        Err(reason) => return sheet.put(START, subject.name, Err(reason)),
    }
    small::measure(subject, scale, sheet).await;
    consolidation::measure(subject, scale, sheet).await;
    analysis::measure(subject, scale, sheet).await;
}

/// A fresh process with the dataset `d`.
async fn fresh(subject: &Subject) -> Result<(Running, Client)> {
    let running = subject.start().await?;
    let client = Client::new(&running.address);
    client.until_it_answers().await?;
    client.dataset().await?;
    Ok((running, client))
}

/// Median time from the process's start to its first query's answer, and what it then has in memory.
async fn starts(subject: &Subject, scale: Scale) -> Result<(f64, f64)> {
    let (mut times, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..scale.of(3, 1) {
        let running = subject.start().await?;
        Client::new(&running.address).until_it_answers().await?;
        times.push(milliseconds(running.program.begun));
        idle.push(running.program.resident_megabytes());
    }
    Ok((median(&times)?, median(&idle)?))
}
