//! The results of one service: a table for people, objects for programs.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::{Lineup, Result};

/// One thing that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
}

/// Which way a figure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// A count that says something, without a ratio.
    Neither,
}

impl Step {
    pub const fn time(name: &'static str) -> Step {
        Step { name, unit: "ms", better: Better::Lower }
    }

    pub const fn rate(name: &'static str) -> Step {
        Step { name, unit: "/s", better: Better::Higher }
    }

    pub const fn memory(name: &'static str) -> Step {
        Step { name, unit: "MB", better: Better::Lower }
    }

    pub const fn count(name: &'static str, unit: &'static str) -> Step {
        Step { name, unit, better: Better::Neither }
    }
}

/// The longest that one step may take of one subject.
const LIMIT: Duration = Duration::from_secs(120);

/// All results of one service.
#[derive(Clone, Debug)]
pub struct Sheet {
    service: &'static str,
    subjects: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    step: Step,
    /// By subject, in the order of the sheet's; absent where a step was not tried.
    results: Vec<Option<Result<f64>>>,
}

impl Sheet {
    pub fn new(service: &'static str, lineup: &Lineup) -> Sheet {
        let subjects = lineup.running.iter().map(|one| (one.name.to_owned(), one.version.clone())).collect();
        Sheet { service, subjects, skipped: lineup.skipped.clone(), rows: Vec::new() }
    }

    /// Takes a result down, and says so.
    pub fn put(&mut self, step: Step, subject: &str, result: Result<f64>) {
        match &result {
            Ok(value) => eprintln!("{}: {subject}: {}: {} {}", self.service, step.name, figure(*value), step.unit),
            Err(reason) => eprintln!("{}: {subject}: {}: NOT DONE: {reason}", self.service, step.name),
        }
        let Some(place) = self.subjects.iter().position(|(name, _)| name == subject) else { return };
        let row = match self.rows.iter_mut().position(|row| row.step.name == step.name) {
            Some(row) => row,
            None => {
                self.rows.push(Row { step, results: vec![None; self.subjects.len()] });
                self.rows.len() - 1
            }
        };
        if let Some(cell) = self.rows.get_mut(row).and_then(|row| row.results.get_mut(place)) {
            *cell = Some(result);
        }
    }

    /// Does a step within the limit and takes its result down.
    pub async fn take(&mut self, step: Step, subject: &str, work: impl Future<Output = Result<f64>>) {
        let result = within_limit(work).await;
        self.put(step, subject, result);
    }

    fn json(&self) -> Value {
        let subjects: Vec<Value> =
            self.subjects.iter().map(|(name, version)| json!({"name": name, "version": version})).collect();
        let skipped: Vec<Value> =
            self.skipped.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
        let result = |cell: &Option<Result<f64>>| match cell {
            Some(Ok(value)) => json!({"value": value}),
            Some(Err(reason)) => json!({"notDone": reason}),
            None => Value::Null,
        };
        let row = |row: &Row| {
            let results = self.subjects.iter().zip(&row.results);
            let results: serde_json::Map<_, _> =
                results.map(|((name, _), cell)| (name.clone(), result(cell))).collect();
            json!({"step": row.step.name, "unit": row.step.unit, "results": results, "ratios": row.ratios()})
        };
        json!({
            "service": self.service,
            "subjects": subjects,
            "skipped": skipped,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

impl Row {
    /// How many times better the first subject is than each other.
    fn ratios(&self) -> Vec<Option<f64>> {
        let mut results = self.results.iter();
        let Some(Some(Ok(ours))) = results.next() else { return vec![None; self.results.len().saturating_sub(1)] };
        let ratio = |cell: &Option<Result<f64>>| {
            let theirs = *cell.as_ref()?.as_ref().ok()?;
            let ratio = match self.step.better {
                Better::Lower => theirs / ours,
                Better::Higher => ours / theirs,
                Better::Neither => return None,
            };
            ratio.is_finite().then_some(ratio)
        };
        results.map(ratio).collect()
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "## {}\n", self.service)?;
        for (name, version) in &self.subjects {
            writeln!(out, "- {name}: {version}")?;
        }
        for (name, reason) in &self.skipped {
            writeln!(out, "- {name}: SKIPPED: {reason}")?;
        }
        let names = self.subjects.iter().map(|(name, _)| name.clone());
        let times = self.subjects.iter().skip(1).map(|(name, _)| format!("better than {name}"));
        let header: Vec<String> = names.chain(times).collect();
        writeln!(out, "\n| step | {} |\n|---|{}", header.join(" | "), "---:|".repeat(header.len()))?;
        let mut notes = Vec::new();
        for row in &self.rows {
            let cell = |cell: &Option<Result<f64>>| match cell {
                Some(Ok(value)) => format!("{} {}", figure(*value), row.step.unit).trim().to_owned(),
                Some(Err(_)) => "not done".to_owned(),
                None => String::new(),
            };
            let cells = row.results.iter().map(cell);
            let ratio = |ratio: Option<f64>| ratio.map(|ratio| format!("{} ×", figure(ratio))).unwrap_or_default();
            let cells: Vec<String> = cells.chain(row.ratios().into_iter().map(ratio)).collect();
            writeln!(out, "| {} | {} |", row.step.name, cells.join(" | "))?;
            for ((name, _), cell) in self.subjects.iter().zip(&row.results) {
                if let Some(Err(reason)) = cell {
                    notes.push(format!("- {name}, {}: {reason}", row.step.name));
                }
            }
        }
        if notes.is_empty() { Ok(()) } else { write!(out, "\nNot done:\n{}\n", notes.join("\n")) }
    }
}

/// Gives up after [`LIMIT`].
pub async fn within_limit<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result,
        Err(_) => Err(format!("no end after {} s", LIMIT.as_secs())),
    }
}

/// Everything, for programs.
pub fn json(machine: &Machine, quick: bool, sheets: &[Sheet]) -> Value {
    json!({
        "machine": machine.json(),
        "quick": quick,
        "services": sheets.iter().map(Sheet::json).collect::<Vec<_>>(),
    })
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.1 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        size if size < 10_000.0 => format!("{value:.0}"),
        _ => thousands(value),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The middle one.
pub fn median(values: &[f64]) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().ok_or_else(|| "nothing was measured".to_owned())
}

/// Since an instant, in ms.
pub fn milliseconds(since: std::time::Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}
