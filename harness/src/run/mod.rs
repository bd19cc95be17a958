//! One scenario, once, with or without a defect: set up, start, act, wait, observe, judge.

mod activity;
mod checks;
mod evidence;
mod kept;
mod loading;
mod options;
mod record;
mod rest;
mod scheduling;
mod seeding;
mod starting;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use activity::{Activity, Breathing, Mark};
pub use kept::Kept;
pub use loading::{Loaded, rehearse_loaded};
pub(crate) use options::quoted;
pub use options::{Options, Phase};
pub use record::{CallRecord, LineRecord, Moment, PushRecord, Record, Tally};
pub(crate) use starting::StartCall;
pub use verdict::{Judged, Outcome, Verdict};

use crate::SetupError;
use crate::clients::Clients;
use crate::faults::{Director, Reach};
use crate::front_door::{FrontDoor, OpenDoor};
use crate::layout::Layout;
use crate::observe::Inbox;
use crate::pipeline::{CapturedLog, Done, Fleet, Pipeline};
use crate::scenario::Scenario;
use crate::scheduler::Crew;
use crate::stage::provision::Props;
use crate::stage::{Backing, JournalWatch, Services, StageKind, StageOptions, TableSet, cloud};

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
    stage: StageKind,
    backing: Option<Arc<Backing>>,
}

impl Setting {
    /// Reads the pipeline's description and builds it where that is needed; `tell` hears about it.
    pub async fn prepare(layout: Layout, pipeline: &str, tell: &dyn Fn(&str)) -> Result<Setting, SetupError> {
        let pipeline_argument = pipeline.to_owned();
        let pipeline = Pipeline::read(&layout, pipeline)?;
        let tables = TableSet::read(&layout)?;
        let programs = pipeline.build(tell).await?;
        Ok(Setting {
            layout,
            pipeline,
            pipeline_argument,
            options: Options::default(),
            programs,
            tables,
            stage: StageKind::Embedded,
            backing: None,
        })
    }

    /// With other options than the default ones.
    pub fn with_options(mut self, options: Options) -> Setting {
        self.options = options;
        self
    }

    /// The same on another stage, which is started here for all runs.
    pub async fn on(self, stage: StageKind, options: &StageOptions) -> Result<Setting, SetupError> {
        let backing = Backing::start(stage, options).await?;
        Ok(Setting { stage, backing, ..self })
    }

    /// The same on a stage that is up.
    pub fn on_running(self, stage: StageKind, backing: Arc<Backing>) -> Setting {
        Setting { stage, backing: Some(backing), ..self }
    }
}

/// Everything of one run that is alive. Dropping it ends the processes.
struct Run {
    origin: record::Origin,
    phase: Phase,
    stage: Arc<Services>,
    clients: Clients,
    props: Props,
    fleet: Arc<Fleet>,
    log: CapturedLog,
    inbox: Inbox,
    activity: Activity,
    /// Where completions come in, and where requests do.
    completions: Arc<FrontDoor>,
    requests: Vec<Arc<FrontDoor>>,
    doors: BTreeMap<String, Arc<FrontDoor>>,
    start: StartCall,
    /// The scenario's scheduler, once it works.
    schedule: OnceLock<Crew>,
    players: Vec<String>,
    /// Those of them who never report.
    silent: Vec<String>,
    /// Where the pipeline has a contract of its own: when a batch is over.
    done: Option<Done>,
    /// When the batch was started and when the last thing happened, once it is at rest.
    course: OnceLock<Course>,
    _doors: Vec<OpenDoor>,
    _watch: JournalWatch,
    _breathing: Breathing,
}

/// From the start of a batch to the last thing that happened.
#[derive(Clone, Copy, Debug)]
struct Course {
    start: Instant,
    end: Instant,
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
    let obstacles = setting.stage.obstacles(scenario);
    if !obstacles.is_empty() {
        let took = begun.elapsed();
        let outcome = outcome(setting, scenario, defect, Vec::new(), took, None);
        return Ok(Outcome { verdict: Verdict::Skipped(obstacles), ..outcome });
    }
    let (run, judged) = match Run::through(setting, scenario, defect, phase).await {
        // With a defect, a pipeline that does not run is a result.
        Err(error) if defect.is_some() && error.is_of_pipeline() => {
            let judged = vec![Judged::never_ran(&error)];
            return Ok(outcome(setting, scenario, defect, judged, begun.elapsed(), None));
        }
        through => through?,
    };
    run.end().await?;
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
    let obstacles = setting.stage.obstacles(scenario);
    if !obstacles.is_empty() {
        return Err(SetupError::Stage(obstacles.join("; ")));
    }
    let (run, judged) = Run::through(setting, scenario, defect, phase).await?;
    Ok((run.outcome(setting, scenario, defect, judged, begun.elapsed()), Kept::of(run)))
}

/// What came of a run, also of one that did not get as far as to be one.
fn outcome(
    setting: &Setting,
    scenario: &Scenario,
    defect: Option<&str>,
    invariants: Vec<Judged>,
    took: Duration,
    run: Option<&Run>,
) -> Outcome {
    let verdict = Verdict::of(scenario, defect, &invariants);
    let recorded = run.zip(setting.options.record_calls);
    Outcome {
        scenario: scenario.name.clone(),
        defect: defect.map(str::to_owned),
        pipeline: setting.pipeline.name.clone(),
        stage: setting.stage.name().to_owned(),
        verdict,
        invariants,
        seconds: took.as_secs_f64(),
        batch_seconds: run
            .and_then(|run| run.course.get())
            .map(|course| course.end.saturating_duration_since(course.start).as_secs_f64()),
        seed: setting.options.seed,
        repeat: setting.repeat(scenario, defect),
        complaints: run.map(|run| verdict::complaints(&run.log.lines())).unwrap_or_default(),
        title: scenario.title.clone(),
        incident: scenario.incident.clone(),
        record: recorded.map(|(run, most)| Arc::new(run.record(most))),
    }
}

/// Removes what a run has made in services that are shared with others.
async fn clean_up(stage: &Services, props: &Props) -> Result<(), SetupError> {
    props.stop_relays();
    if stage.prefix().is_none() {
        return Ok(());
    }
    cloud::sweep(&stage.observer_url().await?, stage.project(), props).await
}

impl Run {
    /// Ends the pipeline's processes, and what is left of the run in services that are shared.
    async fn end(&self) -> Result<(), SetupError> {
        self.fleet.stop().await;
        clean_up(&self.stage, &self.props).await
    }

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
                // The first error is the one to tell.
                let _ = run.end().await;
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
        outcome(setting, scenario, defect, invariants, took, Some(self))
    }

    async fn set_up(setting: &Setting, scenario: &Scenario, defect: Option<&str>) -> Result<Run, SetupError> {
        let pipeline = &setting.pipeline;
        let builder = scrimmage_suite::Suite::builder().seed(setting.options.seed);
        let stage = Arc::new(Services::before(setting.backing.as_deref(), builder).await?);
        let props = Props::of(pipeline, &setting.tables);
        let props = match stage.prefix() {
            Some(prefix) => props.within(prefix, &stage.observer_url().await?),
            None => props,
        };
        let furnished = Run::furnish(setting, scenario, defect, Arc::clone(&stage), props.clone()).await;
        if furnished.is_err() {
            // The first error is the one to tell.
            let _ = clean_up(&stage, &props).await;
        }
        furnished
    }

    /// Creates what the batch needs and starts the pipeline.
    async fn furnish(
        setting: &Setting,
        scenario: &Scenario,
        defect: Option<&str>,
        stage: Arc<Services>,
        props: Props,
    ) -> Result<Run, SetupError> {
        let pipeline = &setting.pipeline;
        let players = scenario.batch.players.names(&setting.layout)?;
        let silent = players[players.len().saturating_sub(scenario.batch.silent)..].to_vec();
        let players = options::in_order_of(setting.options.seed, players);
        let origin = record::Origin { instant: Instant::now(), timestamp: stage.now() };
        stage.warm_pushes();
        let activity = Activity::default();
        let watch = stage.watch(activity.clone());
        let breathing = activity.breathe();
        let project = stage.project();
        let clients = Clients::connect(&stage.observer_url().await?, project).await?;
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
        let mut deployment = pipeline.deployment(defect);
        deployment.ack_deadline = deployment.ack_deadline.or(scenario.batch.ack_deadline);
        let counted = checks::counted_topics(scenario);
        let topics = props.create_topics(&clients, pipeline, &deployment, &doors, &inbox, &counted);
        let tables = async {
            match pipeline.is_own() {
                true => props.create_own_tables(&clients, pipeline).await,
                false => props.create_tables(&clients, &scenario.batch).await,
            }
        };
        futures::try_join!(topics, tables)?;
        let log = CapturedLog::new(activity.clone());
        let common = crate::pipeline::Common {
            pipeline,
            defect,
            programs: setting.programs.clone(),
            substitutions: props
                .substitutions(project)
                .with("predictions", scenario.batch.predictions_per_player.to_string()),
            environments,
            overrides: &scenario.run,
            clock: stage.clock(),
        };
        for name in scenario.run.keys() {
            pipeline.process(name)?;
        }
        let fleet = Arc::new(Fleet::start(common, &doors, log.clone()).await?);
        let completions = doors.get(&pipeline.batch.start.process).cloned().ok_or_else(|| {
            SetupError::prepare("the run", format!("there is no process `{}`", pipeline.batch.start.process))
        })?;
        let requests: Vec<Arc<FrontDoor>> =
            doors.values().filter(|door| !Arc::ptr_eq(door, &completions)).cloned().collect();
        requests.iter().for_each(|door| door.silence(&silent));
        let start = StartCall::new(&completions, pipeline, scenario, &players);
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
            doors,
            start,
            schedule: OnceLock::new(),
            players,
            silent,
            done: pipeline.batch.done.clone(),
            course: OnceLock::new(),
            _doors: open,
            _watch: watch,
            _breathing: breathing,
        })
    }

    async fn play(&self, setting: &Setting, scenario: &Scenario) -> Result<Vec<Judged>, SetupError> {
        let reach = Reach {
            stage: Arc::clone(&self.stage),
            clients: self.clients.clone(),
            props: self.props.clone(),
            fleet: Arc::clone(&self.fleet),
            doors: self.doors.clone(),
            completions: Arc::clone(&self.completions),
            activity: self.activity.clone(),
            start: self.start.clone(),
            game_date: scenario.batch.game_date.clone(),
        };
        let faults = options::decided(setting.options.seed, &scenario.faults, self.players.len());
        let mut director = Director::begin(&faults, &reach).await?;
        let seeding = self.begin_seeding(scenario);
        let started = Instant::now();
        self.activity.mark("the batch is started");
        let batch_id = match self.begin_schedule(setting, scenario).await? {
            Some(batch_id) => batch_id,
            None => self.start.start(scenario.batch.starts).await?,
        };
        let rest = self.come_to_rest(scenario, &batch_id, started, &mut director).await?;
        let _ = self.course.set(Course { start: started, end: self.activity.last() });
        let seeded = match seeding {
            Some(seeding) => seeding.rows().await?,
            None => Vec::new(),
        };
        self.activity.mark(if rest.in_time { "at rest" } else { "time is up" });
        self.phase.is("looking at what is left");
        let state = self.gather(scenario, batch_id, rest, seeded).await?;
        let chosen = if self.done.is_some() { Vec::new() } else { scenario.expect.invariants.chosen() };
        let mut judged: Vec<Judged> = chosen.into_iter().map(|one| Judged::new(one, &state)).collect();
        judged.extend(self.examine(scenario, &state).await?);
        Ok(judged)
    }
}
