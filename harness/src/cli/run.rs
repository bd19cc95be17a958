//! `scrimmage run` and `scrimmage matrix`.

use clap::Args;
use futures::StreamExt as _;
use std::path::PathBuf;
use std::time::Instant;

use super::{End, say};
use crate::SetupError;
use crate::layout::Layout;
use crate::report::{Widths, grid, line, summary, to_json, to_junit};
use crate::run::{Outcome, Setting, rehearse};
use crate::scenario::{Scenario, all, find};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names or files; without any, all scenarios
    scenarios: Vec<String>,
    /// Only with this defect, whether a scenario is about it or not
    #[arg(long)]
    defect: Option<String>,
    /// Only healthy
    #[arg(long, conflicts_with = "defect")]
    healthy: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct MatrixArguments {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// A pipeline of fixtures/pipelines, or a path to a pipeline.toml
    #[arg(long, default_value = "rust")]
    pipeline: String,
    /// Write one JSON object a run
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How many runs at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
}

type Cell = (Scenario, Option<String>);

pub(crate) async fn run(arguments: Arguments) -> Result<End, SetupError> {
    let layout = Layout::find()?;
    let scenarios = if arguments.scenarios.is_empty() {
        all(&layout)?
    } else {
        arguments.scenarios.iter().map(|name| find(&layout, name)).collect::<Result<_, _>>()?
    };
    let mut cells: Vec<Cell> = Vec::new();
    for scenario in scenarios {
        // A missing fixture is told before anything is built.
        scenario.batch.players.names(&layout)?;
        match &arguments.defect {
            Some(defect) => cells.push((scenario, Some(defect.clone()))),
            None => {
                cells.push((scenario.clone(), None));
                if !arguments.healthy {
                    let catches = scenario.catches.clone();
                    cells.extend(catches.into_iter().map(|defect| (scenario.clone(), Some(defect))));
                }
            }
        }
    }
    let outcomes = play(layout, cells, &arguments.common).await?;
    Ok(end(&outcomes))
}

/// Whether nothing speaks against any of the runs.
fn end(outcomes: &[Outcome]) -> End {
    if outcomes.iter().all(|outcome| outcome.verdict.is_good()) { End::Held } else { End::Broke }
}

pub(crate) async fn matrix(arguments: MatrixArguments) -> Result<End, SetupError> {
    let layout = Layout::find()?;
    let pipeline = crate::pipeline::Pipeline::read(&layout, &arguments.common.pipeline)?;
    let mut cells: Vec<Cell> = Vec::new();
    for scenario in all(&layout)? {
        let defects = pipeline.defects.known.iter().map(|defect| Some(defect.clone()));
        cells.extend([None].into_iter().chain(defects).map(|defect| (scenario.clone(), defect)));
    }
    let outcomes = play(layout, cells, &arguments.common).await?;
    say(grid(&outcomes).trim_end());
    Ok(end(&outcomes))
}

/// Plays the cells, tells of each as it ends, writes the reports.
async fn play(layout: Layout, cells: Vec<Cell>, common: &Common) -> Result<Vec<Outcome>, SetupError> {
    for file in [&common.json, &common.junit].into_iter().flatten() {
        // Now, not after the runs.
        write(file, "")?;
    }
    let setting = Setting::prepare(layout, &common.pipeline, &|text| eprintln!("{text}")).await?;
    for defect in cells.iter().filter_map(|cell| cell.1.as_deref()) {
        setting.pipeline.check_defect(defect)?;
    }
    let begun = Instant::now();
    let widths = Widths::of(cells.iter().map(|cell| (cell.0.name.as_str(), cell.1.as_deref())));
    let mut runs = futures::stream::iter(&cells)
        .map(|(scenario, defect)| rehearse(&setting, scenario, defect.as_deref()))
        .buffered(usize::from(common.jobs));
    let mut outcomes: Vec<Outcome> = Vec::new();
    while let Some(outcome) = runs.next().await {
        let outcome = outcome?;
        say(&line(&outcome, widths));
        outcomes.push(outcome);
    }
    say(&summary(&outcomes, begun.elapsed().as_secs_f64()));
    if let Some(file) = &common.json {
        write(file, &to_json(&outcomes))?;
    }
    if let Some(file) = &common.junit {
        write(file, &to_junit(&outcomes))?;
    }
    Ok(outcomes)
}

fn write(file: &PathBuf, text: &str) -> Result<(), SetupError> {
    std::fs::write(file, text).map_err(|error| SetupError::File {
        file: file.clone(),
        line: None,
        problem: error.to_string(),
    })
}
