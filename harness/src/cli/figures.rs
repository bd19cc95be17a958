//! `scrimmage figures`: the figures of the first rehearsal.

use clap::Args;
use std::path::PathBuf;
use std::time::Instant;

use super::{End, say};
use crate::SetupError;
use crate::figures::{Figure, measure};
use crate::layout::Layout;
use crate::run::{Setting, rehearse};
use crate::scenario::all;

/// How many runs at once, as `scrimmage run` does.
const JOBS: usize = 2;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write them as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave the scenarios out
    #[arg(long)]
    no_scenarios: bool,
}

pub(crate) async fn figures(arguments: Arguments) -> Result<End, SetupError> {
    let layout = Layout::find()?;
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: the limits are for `cargo run --release -- figures`");
    }
    let mut figures = measure(&layout, &show).await?;
    if !arguments.no_scenarios {
        let figure = scenarios(layout).await?;
        show(&figure);
        figures.push(figure);
    }
    if let Some(file) = arguments.json {
        let text = serde_json::to_string_pretty(&figures).unwrap_or_default();
        std::fs::write(&file, text).map_err(|error| SetupError::File {
            file,
            line: None,
            problem: error.to_string(),
        })?;
    }
    Ok(if figures.iter().all(Figure::is_within) { End::Held } else { End::Broke })
}

fn show(figure: &Figure) {
    let limit = figure.limit.map(|limit| format!("at most {limit} {}", figure.unit)).unwrap_or_default();
    let mark = if figure.is_within() { "" } else { "  OVER" };
    say(&format!("{:45} {:10.2} {:5}  {limit}{mark}", figure.name, figure.value, figure.unit));
}

/// Every scenario, healthy and with each defect it catches.
async fn scenarios(layout: Layout) -> Result<Figure, SetupError> {
    use futures::{StreamExt as _, TryStreamExt as _};
    let setting = Setting::prepare(layout, "rust", &|text| eprintln!("{text}")).await?;
    let scenarios = all(&setting.layout)?;
    let cells: Vec<_> = scenarios
        .iter()
        .flat_map(|scenario| {
            [None].into_iter().chain(scenario.catches.iter().map(Some)).map(move |defect| (scenario, defect))
        })
        .collect();
    let begun = Instant::now();
    let runs = futures::stream::iter(cells)
        .map(|(scenario, defect)| rehearse(&setting, scenario, defect.map(String::as_str)))
        .buffered(JOBS);
    let outcomes: Vec<_> = runs.try_collect().await?;
    if let Some(bad) = outcomes.iter().find(|outcome| !outcome.verdict.is_good()) {
        eprintln!("{} did not come out as it should: see `scrimmage run {}`", bad.scenario, bad.scenario);
    }
    Ok(Figure {
        name: "five scenarios, healthy and defective",
        value: begun.elapsed().as_secs_f64(),
        unit: "s",
        limit: Some(30.0),
    })
}
