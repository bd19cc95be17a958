//! `scrimmage load`: how completion contention scales, by strategy, under a latency profile.

use std::path::{Path, PathBuf};

use clap::Args;
use scrimmage_load::arrival::Arrival;
use scrimmage_load::profile::Profile;
use scrimmage_load::strategy::{ALL, Strategy};
use scrimmage_load::sweep::{Sweep, counts, sweep};
use scrimmage_load::{LoadError, report};

use super::{End, say};
use crate::SetupError;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Workers that complete against one batch: a number, a list such as 10,40, or 1..1000
    #[arg(long, default_value = "1..1000", value_name = "COUNTS")]
    workers: String,
    /// Only this way to count a completion; may be given several times
    #[arg(long = "strategy", value_name = "NAME", value_parser = strategy)]
    strategies: Vec<Strategy>,
    /// How long production takes: regional, multi-regional, instant, or a TOML file with name, source, network, read, commit
    #[arg(long, default_value = "regional", value_name = "PROFILE")]
    latency: String,
    /// Completions begin at this rate a second instead of all at once
    #[arg(long, value_name = "N", conflicts_with_all = ["ramp", "trace", "each"])]
    rate: Option<f64>,
    /// Completions begin at a rate that goes from one to another, such as 5..100 a second
    #[arg(long, value_name = "FROM..TO", conflicts_with_all = ["trace", "each"])]
    ramp: Option<String>,
    /// Completions begin as in a recorded run: milliseconds since its start, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "each")]
    trace: Option<PathBuf>,
    /// Each worker completes so many, one after the other
    #[arg(long, value_name = "N")]
    each: Option<usize>,
    /// The same seed gives the same figures
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Compare the JSON of two runs instead of running
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    compare: Option<Vec<PathBuf>>,
}

fn strategy(name: &str) -> Result<Strategy, String> {
    Strategy::find(name).ok_or_else(|| {
        let all: Vec<&str> = ALL.into_iter().map(Strategy::name).collect();
        format!("there are {}", all.join(", "))
    })
}

pub(crate) async fn load(arguments: Arguments) -> Result<End, SetupError> {
    // The simulation computes without a pause; what waits for signals must go on meanwhile.
    let ran = tokio::task::spawn_blocking(move || run(&arguments)).await;
    ran.map_err(|error| SetupError::Load(LoadError::Asked(error.to_string())))?.map_err(SetupError::Load)
}

fn run(arguments: &Arguments) -> Result<End, LoadError> {
    if let Some([before, after]) = arguments.compare.as_deref() {
        let text = report::compare(&read(before)?, &read(after)?);
        say(text.trim_end());
        return Ok(End::Held);
    }
    let counts = counts(&arguments.workers)?;
    let profile = Profile::find(&arguments.latency)?;
    let arrival = arrival(arguments)?;
    let strategies = if arguments.strategies.is_empty() { ALL.to_vec() } else { arguments.strategies.clone() };
    say(&format!("latency profile {}: {}", profile.name, profile.source));
    say(&report::head());
    let swept = sweep(&strategies, &counts, &arrival, &profile, arguments.seed, |figures| say(&report::line(figures)))?;
    for conclusion in report::conclusions(&swept) {
        say(&conclusion);
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&swept).map_err(|error| LoadError::Asked(error.to_string()))?;
        write(path, &text)?;
    }
    if let Some(path) = &arguments.html {
        write(path, &report::page(&swept))?;
    }
    if swept.holds() {
        return Ok(End::Held);
    }
    say("a strategy that claims to be safe lost, doubled or gave up completions");
    Ok(End::Broke)
}

fn arrival(arguments: &Arguments) -> Result<Arrival, LoadError> {
    let positive = |name: &str, rate: f64| {
        if rate.is_finite() && rate > 0.0 {
            Ok(rate)
        } else {
            Err(LoadError::Asked(format!("{name}: a rate is more than 0")))
        }
    };
    if let Some(rate) = arguments.rate {
        return Ok(Arrival::Rate(positive("--rate", rate)?));
    }
    if let Some(ramp) = &arguments.ramp {
        let wrong = || LoadError::Asked(format!("--ramp {ramp}: expected two rates, such as 5..100"));
        let (from, to) = ramp.split_once("..").ok_or_else(wrong)?;
        let (from, to) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
        return Ok(Arrival::Ramp { from: positive("--ramp", from)?, to: positive("--ramp", to)? });
    }
    if let Some(path) = &arguments.trace {
        return Arrival::trace(&path.display().to_string(), &text(path)?);
    }
    match arguments.each {
        Some(0) => Err(LoadError::Asked("--each: at least 1".to_owned())),
        Some(each) => Ok(Arrival::Loop(each)),
        None => Ok(Arrival::Burst),
    }
}

fn failed(path: &Path, problem: impl ToString) -> LoadError {
    LoadError::File { file: path.display().to_string(), problem: problem.to_string() }
}

fn text(path: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|error| failed(path, error))
}

fn read(path: &Path) -> Result<Sweep, LoadError> {
    serde_json::from_str(&text(path)?).map_err(|error| failed(path, format!("not the JSON of scrimmage load: {error}")))
}

fn write(path: &Path, text: &str) -> Result<(), LoadError> {
    std::fs::write(path, text).map_err(|error| failed(path, error))
}
