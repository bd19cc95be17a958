//! The smallest query, again and again: how long, and whether it grows.

use std::time::{Duration, Instant};

use super::fresh;
use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::Subject;
use crate::{Result, Scale};

const ONE: Step = Step::time("`SELECT 1`, p50");
const MADE: Step = Step::count("– queries made", "");
const FLAT: Step = Step::count("– p50 of the last tenth to that of the first", "×");
const GROWTH: Step = Step { unit: "kB", ..Step::memory("– memory that a query leaves") };

/// The longest that the queries may take; who is slow makes fewer.
const BUDGET: Duration = Duration::from_secs(60);

pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    match within_limit(queries(subject, scale)).await {
        Ok((p50, made, flat, growth)) => {
            sheet.put(ONE, subject.name, Ok(p50));
            sheet.put(MADE, subject.name, Ok(made));
            sheet.put(FLAT, subject.name, Ok(flat));
            sheet.put(GROWTH, subject.name, Ok(growth));
        }
        Err(reason) => sheet.put(ONE, subject.name, Err(reason)),
    }
}

async fn queries(subject: &Subject, scale: Scale) -> Result<(f64, f64, f64, f64)> {
    let (running, client) = fresh(subject).await?;
    for _ in 0..scale.of(100, 10) {
        client.query("SELECT 1").await?;
    }
    let before = running.program.resident_megabytes();
    let budget = if scale.quick { BUDGET / 20 } else { BUDGET };
    let begun_all = Instant::now();
    let mut times = Vec::new();
    while times.len() < scale.of(10_000, 500) && begun_all.elapsed() < budget {
        let begun = Instant::now();
        client.query("SELECT 1").await?;
        times.push(milliseconds(begun));
    }
    let growth = (running.program.resident_megabytes() - before).max(0.0) * 1_024.0 / times.len() as f64;
    let tenth = (times.len() / 10).max(1);
    let (first, last) = (times.get(..tenth), times.get(times.len().saturating_sub(tenth)..));
    let flat = median(last.unwrap_or_default())? / median(first.unwrap_or_default())?;
    Ok((median(&times)?, times.len() as f64, flat, growth))
}
