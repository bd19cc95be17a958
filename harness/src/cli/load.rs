//! `scrimmage load`: how completion contention scales, by strategy, under a latency profile or in real time;
//! a whole pipeline under load; all services under load.

mod pipeline;
mod soak;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use scrimmage_load::arrival::Arrival;
use scrimmage_load::live::{self, Target};
use scrimmage_load::profile::Profile;
use scrimmage_load::simulate::Figures;
use scrimmage_load::strategy::{ALL, Strategy};
use scrimmage_load::sweep::{Sweep, counts, sweep};
use scrimmage_load::{LoadError, report};
use serde::Serialize;

use super::served::Served;
use super::{End, say};
use crate::SetupError;

const WORKERS: &str = "1..1000";
const PROFILE: &str = "regional";
/// The word for no latency profile at all.
const REAL_TIME: &str = "none";
/// More workers share connections: a stream each.
const CONNECTIONS: usize = 64;
const WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Workers that complete against one batch: a number, a list such as 10,40, or 1..1000 [default: 1..1000; with
    /// --pipeline 40]
    #[arg(long, value_name = "COUNTS")]
    workers: Option<String>,
    /// 1 to 1000 workers, as without --workers
    #[arg(long, conflicts_with = "workers")]
    sweep: bool,
    /// Only this way to count a completion; may be given several times
    #[arg(long = "strategy", value_name = "NAME", value_parser = strategy)]
    strategies: Vec<Strategy>,
    /// Completions through push to the own endpoint of this pipeline: a name of fixtures/pipelines, or a path to a
    /// pipeline.toml
    #[arg(long, value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// Whole batches of so many players each, such as 40,400,4000: what a player costs as batches grow [pipeline: rust]
    #[arg(long, value_name = "COUNTS")]
    players: Option<String>,
    /// Load Firestore, Pub/Sub and BigQuery at once for so long: errors, latencies, memory
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    soak: Option<Duration>,
    /// How long production takes: regional, multi-regional, instant, or a TOML file with name, source, network, read,
    /// commit (and job, publish, push); or none: in real time, by clients over sockets
    /// [default: regional]
    #[arg(long, value_name = "PROFILE")]
    latency: Option<String>,
    /// A worker begins with its load job, and its completion is published and pushed, before it is counted
    #[arg(long)]
    whole_way: bool,
    /// With --latency none: measure the Firestore at HOST:PORT, such as Google's emulator, instead of one started for
    /// it; with --soak: all services at HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Option<String>,
    /// With --latency none: connections that the workers share [default: 64]; with --soak: clients [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: Option<u16>,
    /// In real time: how long each number of workers may take [default: 60s; a whole batch 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    within: Option<Duration>,
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

impl Arguments {
    fn counts(&self) -> Result<Vec<usize>, LoadError> {
        let given = self.workers.as_deref().filter(|_| !self.sweep);
        counts(given.unwrap_or(WORKERS))
    }

    fn strategies(&self) -> Vec<Strategy> {
        if self.strategies.is_empty() { ALL.to_vec() } else { self.strategies.clone() }
    }
}

fn strategy(name: &str) -> Result<Strategy, String> {
    Strategy::find(name).ok_or_else(|| {
        let all: Vec<&str> = ALL.into_iter().map(Strategy::name).collect();
        format!("there are {}", all.join(", "))
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    match scrimmage_core::duration::parse(text) {
        Ok(Duration::ZERO) => Err("more than 0".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

/// What is asked for. Each takes some of the options and cannot do anything with the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Compare,
    Soak,
    Growth,
    Pipeline,
    RealTime,
    Simulation,
}

impl Arguments {
    fn kind(&self) -> Kind {
        if self.compare.is_some() {
            Kind::Compare
        } else if self.soak.is_some() {
            Kind::Soak
        } else if self.players.is_some() {
            Kind::Growth
        } else if self.pipeline.is_some() {
            Kind::Pipeline
        } else if self.latency.as_deref() == Some(REAL_TIME) {
            Kind::RealTime
        } else {
            Kind::Simulation
        }
    }

    /// An option that changes nothing is a mistake of whoever gives it.
    fn check(&self) -> Result<(), LoadError> {
        use Kind::{Compare, Growth, Pipeline, RealTime, Simulation, Soak};
        let given: [(&str, bool, &[Kind]); 16] = [
            ("--soak", self.soak.is_some(), &[Soak]),
            ("--players", self.players.is_some(), &[Growth]),
            ("--pipeline", self.pipeline.is_some(), &[Growth, Pipeline]),
            ("--workers", self.workers.is_some(), &[Pipeline, RealTime, Simulation]),
            ("--sweep", self.sweep, &[RealTime, Simulation]),
            ("--strategy", !self.strategies.is_empty(), &[RealTime, Simulation]),
            ("--latency", self.latency.is_some(), &[RealTime, Simulation]),
            ("--whole-way", self.whole_way, &[Simulation]),
            ("--endpoint", self.endpoint.is_some(), &[Soak, RealTime]),
            ("--connections", self.connections.is_some(), &[Soak, RealTime]),
            ("--within", self.within.is_some(), &[Growth, Pipeline, RealTime]),
            ("--rate", self.rate.is_some(), &[Pipeline, RealTime, Simulation]),
            ("--ramp", self.ramp.is_some(), &[Pipeline, RealTime, Simulation]),
            ("--trace", self.trace.is_some(), &[Pipeline, RealTime, Simulation]),
            ("--each", self.each.is_some(), &[RealTime, Simulation]),
            ("--html", self.html.is_some(), &[RealTime, Simulation]),
        ];
        let kind = self.kind();
        let what = match kind {
            Compare => "--compare only reads two files",
            Soak => "--soak loads all services as it does",
            Growth => "--players runs whole batches of a pipeline",
            Pipeline => "--pipeline measures that pipeline's own endpoint",
            RealTime => "--latency none is measured in real time",
            Simulation => "time is virtual under a latency profile; add --latency none",
        };
        match given.iter().find(|(_, is_given, kinds)| *is_given && !kinds.contains(&kind)) {
            Some((name, ..)) => Err(LoadError::Asked(format!("{name}: {what}"))),
            None => Ok(()),
        }
    }
}

pub(crate) async fn load(arguments: Arguments) -> Result<End, SetupError> {
    arguments.check().map_err(SetupError::Load)?;
    match (arguments.kind(), &arguments.players, arguments.soak) {
        (Kind::Soak, _, Some(time)) => return soak::run(&arguments, time).await,
        (Kind::Growth, Some(players), _) => return pipeline::grow(&arguments, players).await,
        (Kind::Pipeline, ..) => return pipeline::push(&arguments).await,
        (Kind::RealTime, ..) => return live(&arguments).await,
        _ => {}
    }
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
    let counts = arguments.counts()?;
    let mut profile = Profile::find(arguments.latency.as_deref().unwrap_or(PROFILE))?;
    if arguments.whole_way {
        profile = profile.with_whole_way()?;
    }
    let arrival = arrival(arguments)?;
    let strategies = arguments.strategies();
    say(&format!("latency profile {}: {}", profile.name, profile.source));
    say(&report::head());
    let swept = sweep(&strategies, &counts, &arrival, &profile, arguments.seed, |figures| say(&report::line(figures)))?;
    conclude(arguments, &swept)
}

/// The same in real time.
async fn live(arguments: &Arguments) -> Result<End, SetupError> {
    let counts = arguments.counts().map_err(SetupError::Load)?;
    let arrival = arrival(arguments).map_err(SetupError::Load)?;
    let served = match &arguments.endpoint {
        Some(_) => None,
        None => Some(Served::start().await?),
    };
    let endpoint = arguments.endpoint.clone().or_else(|| served.as_ref().map(|served| served.address.clone()));
    let target = Target {
        endpoint: endpoint.unwrap_or_default(),
        connections: arguments.connections.map_or(CONNECTIONS, usize::from),
        within: arguments.within.unwrap_or(WITHIN),
    };
    let whose = if served.is_some() { "a suite started for it" } else { "as named" };
    say(&format!("real time at {} ({whose}): figures are of this machine", target.endpoint));
    say(&report::head());
    let tell = |figures: &Figures| say(&report::line(figures));
    let swept = live::sweep(&target, &arguments.strategies(), &counts, &arrival, arguments.seed, tell).await;
    let swept = swept.map_err(SetupError::Load)?;
    drop(served);
    conclude(arguments, &swept).map_err(SetupError::Load)
}

/// Knees and reports, and whether what claims to be safe was.
fn conclude(arguments: &Arguments, swept: &Sweep) -> Result<End, LoadError> {
    for conclusion in report::conclusions(swept) {
        say(&conclusion);
    }
    write_json(arguments, swept)?;
    if let Some(path) = &arguments.html {
        write(path, &report::page(swept))?;
    }
    if swept.holds() {
        return Ok(End::Held);
    }
    say("a strategy that claims to be safe lost, doubled or gave up completions");
    Ok(End::Broke)
}

fn write_json(arguments: &Arguments, figures: &impl Serialize) -> Result<(), LoadError> {
    let Some(path) = &arguments.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(figures).map_err(|error| LoadError::Asked(error.to_string()))?;
    write(path, &text)
}

fn json(arguments: &Arguments, figures: &impl Serialize) -> Result<(), SetupError> {
    write_json(arguments, figures).map_err(SetupError::Load)
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
