//! `scrimmage load --pipeline` and `--players`: a whole pipeline under load.

use std::time::Duration;

use scrimmage_core::duration;
use scrimmage_load::arrival::Arrival;
use scrimmage_load::growth::{self, Batch, Growth};
use scrimmage_load::pushed::{self, Figures, Pushed};
use scrimmage_load::{LoadError, sweep};

use super::{Arguments, arrival, json};
use crate::SetupError;
use crate::cli::{End, say};
use crate::layout::Layout;
use crate::run::{Outcome, Phase, Setting, rehearse, rehearse_loaded};
use crate::scenario::Scenario;

/// Enough for thousands of players on a slow machine.
const WITHIN: Duration = Duration::from_secs(600);
const PIPELINE: &str = "rust";
const WORKERS: &str = "40";
/// Predictions of each player, as production has them.
const PREDICTIONS: usize = 25;

/// A batch of so many players that nothing happens to.
fn batch(players: usize, within: Duration) -> Result<Scenario, SetupError> {
    let within = duration::format(within);
    // Nothing is given up for being quiet: a large consolidation shows no sign of life.
    let text = format!(
        "title = \"{players} players\"\n[batch]\nplayers = {players}\npredictions_per_player = {PREDICTIONS}\n\
         arrival = {{ burst = 1 }}\n[expect]\nwithin = \"{within}\"\nquiet = \"{within}\"\n"
    );
    let scenario: Scenario =
        toml::from_str(&text).map_err(|error| SetupError::Load(LoadError::Asked(error.to_string())))?;
    Ok(Scenario { name: format!("{players}-players"), ..scenario })
}

async fn setting(arguments: &Arguments) -> Result<Setting, SetupError> {
    let pipeline = arguments.pipeline.as_deref().unwrap_or(PIPELINE);
    let setting = Setting::prepare(Layout::find()?, pipeline, &|text| eprintln!("{text}")).await?;
    let options = crate::run::Options { seed: arguments.seed, record_calls: None };
    Ok(setting.with_options(options))
}

fn broken(outcome: &Outcome) -> Vec<String> {
    outcome.broken().map(|(name, _)| name.to_owned()).collect()
}

fn tell_broken(outcome: &Outcome) {
    for (name, evidence) in outcome.broken() {
        say(&format!("  {name}: {evidence}"));
    }
}

/// Batches of more and more players.
pub(super) async fn grow(arguments: &Arguments, players: &str) -> Result<End, SetupError> {
    let counts = growth::players(players).map_err(SetupError::Load)?;
    let setting = setting(arguments).await?;
    say(&growth::head());
    let mut all = Growth { pipeline: setting.pipeline.name.clone(), batches: Vec::new() };
    for players in counts {
        let outcome = rehearse(&setting, &batch(players, arguments.within.unwrap_or(WITHIN))?, None).await?;
        let batch = Batch {
            players,
            seconds: outcome.batch_seconds.unwrap_or(outcome.seconds),
            verdict: outcome.verdict.word().to_owned(),
            broken: broken(&outcome),
        };
        say(&growth::line(&batch));
        tell_broken(&outcome);
        all.batches.push(batch);
    }
    say(&all.conclusion());
    json(arguments, &all)?;
    Ok(if all.holds() { End::Held } else { End::Broke })
}

/// Completions through push to the pipeline's own endpoint.
pub(super) async fn push(arguments: &Arguments) -> Result<End, SetupError> {
    let counts = sweep::counts(arguments.workers.as_deref().unwrap_or(WORKERS)).map_err(SetupError::Load)?;
    let arrival = arrival(arguments).map_err(SetupError::Load)?;
    if let Arrival::Loop(_) = arrival {
        let problem = "--each: a worker of a pipeline completes once; give --rate, --ramp or --trace";
        return Err(SetupError::Load(LoadError::Asked(problem.to_owned())));
    }
    let setting = setting(arguments).await?;
    say(&pushed::head());
    let mut all = Pushed { pipeline: setting.pipeline.name.clone(), arrival: arrival.clone(), figures: Vec::new() };
    for workers in counts {
        let scenario = batch(workers, arguments.within.unwrap_or(WITHIN))?;
        let loaded = rehearse_loaded(&setting, &scenario, &arrival, &Phase::default()).await?;
        let verdict = loaded.outcome.verdict.word();
        let figures = Figures::of(workers, &loaded.events, loaded.batch, verdict, broken(&loaded.outcome));
        say(&pushed::line(&figures));
        tell_broken(&loaded.outcome);
        all.figures.push(figures);
    }
    json(arguments, &all)?;
    Ok(if all.figures.iter().all(Figures::holds) { End::Held } else { End::Broke })
}
