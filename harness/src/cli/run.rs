//! `scrimmage run` and `scrimmage matrix`.

use clap::Args;
use futures::StreamExt as _;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{End, say};
use crate::SetupError;
use crate::layout::Layout;
use crate::pipeline::Pipeline;
use crate::report::{Live, Tried, Widths, calls_a_run, counted_line, grid, line, summary, to_html, to_json, to_junit};
use crate::run::{Kept, Options, Outcome, Setting, rehearse_kept, rehearse_watched};
use crate::scenario::{Scenario, all, find};
use crate::stage::cloud::Permission;
use crate::stage::containers::{Images, OURS};
use crate::stage::{StageKind, StageOptions};

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
    /// Leave the services and the pipeline up after the first run that is not as it should be, or else
    /// after the last one, and say how to look at them, until interrupted
    #[arg(long, conflicts_with = "repeat")]
    keep: bool,
    #[command(flatten)]
    common: Common,
}

impl Arguments {
    /// Whether it ends by being interrupted.
    pub(crate) fn keeps(&self) -> bool {
        self.keep
    }
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
    /// Where the services come from
    #[arg(long, value_enum, default_value_t)]
    stage: StageKind,
    /// With `--stage containers`: the image that plays the services, or `google` for Google's emulators
    #[arg(long, default_value = OURS, value_name = "IMAGE")]
    image: String,
    /// With `--stage cloud`: the project in which topics, subscriptions, datasets and documents are made
    /// and removed
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// With `--stage cloud`: yes, in that project
    #[arg(long)]
    yes: bool,
    /// With `--stage cloud`: what all names begin with; made up where it is left out
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Write one JSON object a run
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a page with the grid, the evidence and a timeline of every run's calls
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Fixes what is left to chance: the order of deliveries, moments that a scenario leaves open, ids
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Run everything so often, each time with the next seed, and count what came of it
    #[arg(long, default_value_t = 1, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// How many runs at once [default: 2, of a matrix 6: most of a run is waiting]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

const RUNS_AT_ONCE: u16 = 2;
const CELLS_AT_ONCE: u16 = 6;
/// How long a batch may take with a defect that its scenario is not about.
const FOREIGN_WITHIN: Duration = Duration::from_secs(30);

impl Common {
    fn times(&self) -> usize {
        usize::try_from(self.repeat).unwrap_or(usize::MAX)
    }

    fn stage_options(&self) -> StageOptions {
        let permission = Permission { project: self.project.clone(), is_given: self.yes, prefix: self.prefix.clone() };
        StageOptions { images: Images::named(&self.image), permission }
    }
}

type Cell = (Scenario, Option<String>);

pub(crate) async fn run(arguments: Arguments) -> Result<End, SetupError> {
    let layout = Layout::find()?;
    let scenarios: Vec<Scenario> = if arguments.scenarios.is_empty() {
        all(&layout)?
    } else {
        arguments.scenarios.iter().map(|name| find(&layout, name)).collect::<Result<_, _>>()?
    };
    // A missing fixture is told before anything is built.
    for scenario in &scenarios {
        scenario.batch.players.names(&layout)?;
    }
    let pipeline = Pipeline::read(&layout, &arguments.common.pipeline)?;
    let mut cells: Vec<Cell> = Vec::new();
    for scenario in scenarios {
        match &arguments.defect {
            Some(defect) => cells.push((scenario, Some(defect.clone()))),
            None => {
                cells.push((scenario.clone(), None));
                if !arguments.healthy {
                    // Another pipeline may not have them all.
                    let known = |defect: &String| pipeline.defects.known.contains(defect);
                    let catches: Vec<String> = scenario.catches.iter().filter(|one| known(one)).cloned().collect();
                    cells.extend(catches.into_iter().map(|defect| (scenario.clone(), Some(defect))));
                }
            }
        }
    }
    if arguments.keep {
        return play_and_keep(layout, cells, &arguments.common).await;
    }
    let tried = play(layout, cells, &arguments.common).await?;
    Ok(end(&tried))
}

/// Whether nothing speaks against any of the runs.
fn end(tried: &[Tried]) -> End {
    if tried.iter().all(Tried::is_good) { End::Held } else { End::Broke }
}

pub(crate) async fn matrix(mut arguments: MatrixArguments) -> Result<End, SetupError> {
    arguments.common.jobs.get_or_insert(CELLS_AT_ONCE);
    let layout = Layout::find()?;
    let pipeline = Pipeline::read(&layout, &arguments.common.pipeline)?;
    let mut cells: Vec<Cell> = Vec::new();
    for scenario in all(&layout)? {
        // A heavy one proves itself, and does not look at what it is not about.
        let known = pipeline.defects.known.iter();
        let defects = known.filter(|defect| !scenario.heavy || scenario.catches.contains(defect));
        cells.push((scenario.clone(), None));
        for defect in defects {
            let mut scenario = scenario.clone();
            if !scenario.catches.contains(defect) {
                // What hangs is seen to hang after less.
                scenario.expect.within.0 = scenario.expect.within.0.min(FOREIGN_WITHIN);
            }
            cells.push((scenario, Some(defect.clone())));
        }
    }
    let tried = play(layout, cells, &arguments.common).await?;
    say(grid(&tried).trim_end());
    Ok(end(&tried))
}

/// What all runs of one command share.
struct Performance<'a> {
    setting: Setting,
    common: &'a Common,
    begun: Instant,
    widths: Widths,
    live: Live,
}

impl Performance<'_> {
    /// Makes sure of everything that can be wrong before the first run, and builds the pipeline.
    async fn prepare<'a>(layout: Layout, cells: &[Cell], common: &'a Common) -> Result<Performance<'a>, SetupError> {
        for file in [&common.json, &common.junit, &common.html].into_iter().flatten() {
            // Now, not after the runs.
            write(file, "")?;
        }
        let options = common.stage_options();
        options.check(common.stage)?;
        let pipeline = crate::pipeline::Pipeline::read(&layout, &common.pipeline)?;
        for (scenario, _) in cells {
            scenario.fits(&pipeline, scenario.batch.players.names(&layout)?.len())?;
        }
        let setting = Setting::prepare(layout, &common.pipeline, &|text| eprintln!("{text}")).await?;
        let setting = setting.on(common.stage, &options).await?;
        for defect in cells.iter().filter_map(|cell| cell.1.as_deref()) {
            setting.pipeline.check_defect(defect)?;
        }
        let record_calls = common.html.is_some().then(|| calls_a_run(cells.len()));
        Ok(Performance {
            setting: setting.with_options(Options { seed: common.seed, record_calls }),
            common,
            begun: Instant::now(),
            widths: Widths::of(cells.iter().map(|cell| (cell.0.name.as_str(), cell.1.as_deref()))),
            live: Live::for_runs(cells.len().saturating_mul(common.times())),
        })
    }

    fn name(&self, cell: &Cell) -> String {
        let Widths { scenario, what } = self.widths;
        format!("{:scenario$}  {:what$}", cell.0.name, cell.1.as_deref().unwrap_or("healthy"))
    }

    /// Of many repeats only those that are not as they should be are told one by one.
    fn tell(&self, outcome: &Outcome) {
        let is_good = outcome.verdict.is_good();
        self.live.ended(is_good, || {
            if self.common.repeat == 1 || !is_good {
                say(&line(outcome, self.widths));
            }
        });
    }

    /// Runs a cell for the `round`th time, counted from 0, with a seed of its own.
    async fn play(&self, cell: &Cell, round: u32) -> Result<Outcome, SetupError> {
        let shown = self.live.begin(self.name(cell));
        let seed = self.common.seed.saturating_add(u64::from(round));
        let options = Options { seed, ..self.setting.options.clone() };
        let setting = self.setting.clone().with_options(options);
        rehearse_watched(&setting, &cell.0, cell.1.as_deref(), &shown.phase).await
    }

    /// The last line, and the reports.
    fn conclude(&self, tried: &[Tried]) -> Result<(), SetupError> {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.live.end();
        for one in tried.iter().filter(|one| one.runs.total > 1) {
            say(&counted_line(one, self.widths));
        }
        say(&summary(tried, seconds));
        if let Some(file) = &self.common.json {
            write(file, &to_json(tried))?;
        }
        if let Some(file) = &self.common.junit {
            write(file, &to_junit(tried))?;
        }
        if let Some(file) = &self.common.html {
            write(file, &to_html(tried, &command_line(), seconds))?;
        }
        Ok(())
    }
}

/// Plays the cells as often as it is asked for, tells of each run as it ends, writes the reports, in the order of
/// the cells.
async fn play(layout: Layout, cells: Vec<Cell>, common: &Common) -> Result<Vec<Tried>, SetupError> {
    let performance = Performance::prepare(layout, &cells, common).await?;
    let performance = &performance;
    // Round by round, so that runs of different scenarios share the machine, and an early end has seen all of them.
    let runs = (0..common.repeat).flat_map(|round| cells.iter().enumerate().map(move |(at, cell)| (round, at, cell)));
    // Not in order: one that takes its time must not hold the others.
    let mut runs = futures::stream::iter(runs)
        .map(|(round, at, cell)| async move { performance.play(cell, round).await.map(|outcome| (at, outcome)) })
        .buffer_unordered(usize::from(common.jobs.unwrap_or(RUNS_AT_ONCE)));
    let mut tried: BTreeMap<usize, Tried> = BTreeMap::new();
    let mut failed = None;
    while let Some(ran) = runs.next().await {
        match ran {
            Ok((at, outcome)) => {
                performance.tell(&outcome);
                match tried.entry(at) {
                    Entry::Vacant(place) => {
                        place.insert(outcome.into());
                    }
                    Entry::Occupied(mut place) => place.get_mut().again(outcome),
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let tried: Vec<Tried> = tried.into_values().collect();
    // What has been run is not lost where a later run could not be.
    if failed.is_none() || !tried.is_empty() {
        performance.conclude(&tried)?;
    }
    failed.map_or(Ok(tried), Err)
}

/// Plays the cells one by one up to the first that is not as it should be, and leaves the last one up.
async fn play_and_keep(layout: Layout, cells: Vec<Cell>, common: &Common) -> Result<End, SetupError> {
    let (tried, kept) = tokio::select! {
        played = play_to_the_first_bad(layout, cells, common) => played?,
        () = super::interrupted() => return Err(SetupError::Interrupted),
    };
    if let Some(kept) = kept {
        say(kept.guide().trim_end());
        super::interrupted().await;
        kept.end().await;
    }
    Ok(end(&tried))
}

async fn play_to_the_first_bad(
    layout: Layout,
    cells: Vec<Cell>,
    common: &Common,
) -> Result<(Vec<Tried>, Option<Kept>), SetupError> {
    let performance = Performance::prepare(layout, &cells, common).await?;
    let mut tried: Vec<Tried> = Vec::new();
    let mut kept: Option<Kept> = None;
    for cell in &cells {
        if let Some(before) = kept.take() {
            before.end().await;
        }
        let shown = performance.live.begin(performance.name(cell));
        let (outcome, stage) = rehearse_kept(&performance.setting, &cell.0, cell.1.as_deref(), &shown.phase).await?;
        drop(shown);
        performance.tell(&outcome);
        kept = Some(stage);
        tried.push(outcome.into());
        if tried.iter().any(|one| !one.is_good()) {
            break;
        }
    }
    performance.conclude(&tried)?;
    Ok((tried, kept))
}

/// How this program was called, as a shell would take it.
fn command_line() -> String {
    let arguments = std::env::args().skip(1).map(|argument| crate::run::quoted(&argument));
    std::iter::once("scrimmage".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn write(file: &PathBuf, text: &str) -> Result<(), SetupError> {
    std::fs::write(file, text).map_err(|error| SetupError::File {
        file: file.clone(),
        line: None,
        problem: error.to_string(),
    })
}
