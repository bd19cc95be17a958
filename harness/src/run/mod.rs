//! One scenario, once, with or without a defect: set up, start, act, wait, observe, judge.

mod activity;
mod evidence;
mod kept;
mod options;
mod record;
mod rest;
mod seeding;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use activity::{Activity, Mark};
pub use kept::Kept;
pub(crate) use options::quoted;
pub use options::{Options, Phase};
pub use record::{CallRecord, LineRecord, Moment, PushRecord, Record, Tally};
pub use verdict::{Judged, Outcome, Verdict};

use crate::SetupError;
use crate::clients::Clients;
use crate::faults::{Director, Reach};
use crate::front_door::{FrontDoor, OpenDoor};
use crate::layout::Layout;
use crate::observe::Inbox;
use crate::pipeline::{CapturedLog, Fleet, Pipeline};
use crate::scenario::Scenario;
use crate::stage::provision::Props;
use crate::stage::{Embedded, JournalWatch, TableSet};

/// What all runs have in common: a pipeline that is built, and the fixtures.
#[derive(Clone, Debug)]
pub struct Setting {
    pub layout: Layout,
    pub pipeline: Pipeline,
    /// As the user named the pipeline.
    pipeline_argument: String,
    pub options: Options,
    programs: PathBuf,
    tables: TableSet,
}

impl Setting {
    /// Reads the pipeline's description and builds it where that is needed; `tell` hears about it.
    pub async fn prepare(layout: Layout, pipeline: &str, tell: &dyn Fn(&str)) -> Result<Setting, SetupError> {
        let pipeline_argument = pipeline.to_owned();
        let pipeline = Pipeline::read(&layout, pipeline)?;
        let tables = TableSet::read(&layout)?;
        let programs = pipeline.build(tell).await?;
        Ok(Setting { layout, pipeline, pipeline_argument, options: Options::default(), programs, tables })
    }

    /// With other options than the default ones.
    pub fn with_options(mut self, options: Options) -> Setting {
        self.options = options;
        self
    }
}

/// Everything of one run that is alive. Dropping it ends the processes.
struct Run {
    origin: record::Origin,
    phase: Phase,
    stage: Arc<Embedded>,
    clients: Clients,
    props: Props,
    fleet: Arc<Fleet>,
    log: CapturedLog,
    inbox: Inbox,
    activity: Activity,
    /// Where completions come in, and where requests do.
    completions: Arc<FrontDoor>,
    requests: Vec<Arc<FrontDoor>>,
    players: Vec<String>,
    _doors: Vec<OpenDoor>,
    _watch: JournalWatch,
}

/// Runs a scenario once and judges what it leaves behind.
pub async fn rehearse(setting: &Setting, scenario: &Scenario, defect: Option<&str>) -> Result<Outcome, SetupError> {
    rehearse_watched(setting, scenario, defect, &Phase::default()).await
}

/// The same, telling `phase` how far it is.
pub async fn rehearse_watched(
    setting: &Setting,
    scenario: &Scenario,
    defect: Option<&str>,
    phase: &Phase,
) -> Result<Outcome, SetupError> {
    let begun = Instant::now();
    let (run, judged) = Run::through(setting, scenario, defect, phase).await?;
    run.fleet.stop().await;
    Ok(run.outcome(setting, scenario, defect, judged, begun.elapsed()))
}

/// The same, but what has run stays: the services, their data and the pipeline's processes.
pub async fn rehearse_kept(
    setting: &Setting,
    scenario: &Scenario,
    defect: Option<&str>,
    phase: &Phase,
) -> Result<(Outcome, Kept), SetupError> {
    let begun = Instant::now();
    let (run, judged) = Run::through(setting, scenario, defect, phase).await?;
    Ok((run.outcome(setting, scenario, defect, judged, begun.elapsed()), Kept::of(run)))
}

impl Run {
    /// From the first service's start to the judgement.
    async fn through(
        setting: &Setting,
        scenario: &Scenario,
        defect: Option<&str>,
        phase: &Phase,
    ) -> Result<(Run, Vec<Judged>), SetupError> {
        if let Some(defect) = defect {
            setting.pipeline.check_defect(defect)?;
        }
        phase.is("starting");
        let mut run = Run::set_up(setting, scenario, defect).await?;
        run.phase = phase.clone();
        match run.play(setting, scenario).await {
            Ok(judged) => Ok((run, judged)),
            Err(error) => {
                run.fleet.stop().await;
                Err(error)
            }
        }
    }

    fn outcome(
        &self,
        setting: &Setting,
        scenario: &Scenario,
        defect: Option<&str>,
        invariants: Vec<Judged>,
        took: Duration,
    ) -> Outcome {
        let verdict = Verdict::of(scenario, defect, &invariants);
        let record = setting.options.record_calls.map(|most| Arc::new(self.record(most)));
        Outcome {
            scenario: scenario.name.clone(),
            defect: defect.map(str::to_owned),
            pipeline: setting.pipeline.name.clone(),
            stage: "embedded".to_owned(),
            verdict,
            invariants,
            seconds: took.as_secs_f64(),
            seed: setting.options.seed,
            repeat: setting.repeat(scenario, defect),
            complaints: verdict::complaints(&self.log.lines()),
            title: scenario.title.clone(),
            incident: scenario.incident.clone(),
            record,
        }
    }

    async fn set_up(setting: &Setting, scenario: &Scenario, defect: Option<&str>) -> Result<Run, SetupError> {
        let pipeline = &setting.pipeline;
        let seed = setting.options.seed;
        let players = options::in_order_of(seed, scenario.batch.players.names(&setting.layout)?);
        let stage = Arc::new(Embedded::built(scrimmage_suite::Suite::builder().seed(seed)).await?);
        let origin = record::Origin { instant: Instant::now(), timestamp: stage.now() };
        stage.warm_pushes();
        let activity = Activity::default();
        let watch = stage.watch(activity.clone());
        let project = stage.project();
        let clients = Clients::connect(&stage.observer_url().await?, project).await?;
        let props = Props::of(pipeline, &setting.tables);
        let inbox = Inbox::open(&clients, &props, &scenario.batch.game_date, activity.clone()).await?;
        let (mut doors, mut open, mut environments) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        for process in &pipeline.processes {
            let takes_requests = process.name != pipeline.batch.start.process && process.push.is_some();
            let arrival = takes_requests.then_some((scenario.batch.arrival, players.len()));
            let (door, serving) = FrontDoor::open(&process.name, arrival, activity.clone()).await?;
            environments.insert(process.name.clone(), stage.environment_for(&process.name).await?);
            doors.insert(process.name.clone(), door);
            open.push(serving);
        }
        let announcements_to = inbox.url();
        let (topics, tables) = (
            props.create_topics(&clients, pipeline, &doors, &announcements_to),
            props.create_tables(&clients, scenario.batch.main_table),
        );
        futures::try_join!(topics, tables)?;
        let log = CapturedLog::new(activity.clone());
        let common = crate::pipeline::Common {
            pipeline,
            defect,
            programs: setting.programs.clone(),
            substitutions: props.substitutions(project),
            environments,
        };
        let fleet = Arc::new(Fleet::start(common, &doors, log.clone()).await?);
        let completions = doors.get(&pipeline.batch.start.process).cloned().ok_or_else(|| {
            SetupError::prepare("the run", format!("there is no process `{}`", pipeline.batch.start.process))
        })?;
        let requests = doors.values().filter(|door| !Arc::ptr_eq(door, &completions)).cloned().collect();
        Ok(Run {
            origin,
            phase: Phase::default(),
            stage,
            clients,
            props,
            fleet,
            log,
            inbox,
            activity,
            completions,
            requests,
            players,
            _doors: open,
            _watch: watch,
        })
    }

    async fn play(&self, setting: &Setting, scenario: &Scenario) -> Result<Vec<Judged>, SetupError> {
        let reach = Reach {
            stage: Arc::clone(&self.stage),
            clients: self.clients.clone(),
            props: self.props.clone(),
            fleet: Arc::clone(&self.fleet),
            completions: Arc::clone(&self.completions),
            activity: self.activity.clone(),
        };
        let mut director = Director::begin(&scenario.faults, &reach).await?;
        let seeding = self.begin_seeding(scenario);
        let started = Instant::now();
        self.activity.mark("the batch is started");
        let batch_id = self.start_batch(setting, scenario).await?;
        let rest = self.come_to_rest(scenario, &batch_id, started, &mut director).await?;
        let seeded = match seeding {
            Some(seeding) => seeding.rows().await?,
            None => Vec::new(),
        };
        self.activity.mark(if rest.in_time { "at rest" } else { "time is up" });
        self.phase.is("looking at what is left");
        let state = self.gather(scenario, batch_id, rest, seeded).await?;
        Ok(scenario.expect.invariants.chosen().into_iter().map(|one| Judged::new(one, &state)).collect())
    }

    /// Calls the pipeline's start, as the scheduler does.
    async fn start_batch(&self, setting: &Setting, scenario: &Scenario) -> Result<String, SetupError> {
        let call = &setting.pipeline.batch.start;
        let body = serde_json::json!({
            "game_date": scenario.batch.game_date,
            "players": self.players,
            "correlation_id": format!("scrimmage-{}", scenario.name),
        });
        let failed = |problem: String| SetupError::prepare(format!("POST {} of {}", call.path, call.process), problem);
        let request = reqwest::Client::new().post(self.completions.url(&call.path)).json(&body);
        let answer = request.timeout(scenario.expect.within.0.max(Duration::from_secs(1))).send().await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
        if !status.is_success() {
            return Err(failed(format!("{status}: {text}")));
        }
        let answer: serde_json::Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let id = answer["batch_id"].as_str();
        id.map(str::to_owned).ok_or_else(|| failed("the answer has no batch_id".to_owned()))
    }
}
