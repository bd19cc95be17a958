//! Acts the faults out, each at its moment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

use scrimmage_core::faults::FaultPlan;

use super::FaultEntry;
use crate::SetupError;
use crate::clients::{Clients, local_http};
use crate::front_door::FrontDoor;
use crate::observe::run_statement;
use crate::pipeline::Fleet;
use crate::run::{Activity, StartCall};
use crate::scenario::When;
use crate::stage::Services;
use crate::stage::provision::{Props, subscriptions_of};

/// How long to wait for a sign of life before a condition is looked at again.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long a scheduler waits for the answer to a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What faults act on.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) stage: Arc<Services>,
    pub(crate) clients: Clients,
    pub(crate) props: Props,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) doors: BTreeMap<String, Arc<FrontDoor>>,
    /// Where completions come in.
    pub(crate) completions: Arc<FrontDoor>,
    pub(crate) activity: Activity,
    pub(crate) start: StartCall,
    pub(crate) game_date: String,
}

/// The faults of one run. Dropping it ends those that wait.
pub(crate) struct Director {
    tasks: JoinSet<Result<(), SetupError>>,
    progress: Arc<Progress>,
    /// What is done whenever the run has come to rest.
    at_rest: VecDeque<Vec<FaultEntry>>,
    reach: Reach,
}

/// Which of the entries with a moment of their own have acted, in the order of the file.
#[derive(Debug, Default)]
struct Progress {
    acting: AtomicUsize,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    acted: AtomicBool,
    /// Whether its moment comes once those before it have acted.
    comes: bool,
}

impl Progress {
    fn all_acted_before(&self, index: usize) -> bool {
        self.entries.iter().take(index).all(|entry| entry.acted.load(Ordering::SeqCst))
    }

    /// Whether the first entry that has not acted will.
    fn something_comes(&self) -> bool {
        self.entries.iter().find(|entry| !entry.acted.load(Ordering::SeqCst)).is_some_and(|entry| entry.comes)
    }
}

impl Director {
    /// Acts those that come before the batch, and waits for the moments of the others.
    pub(crate) async fn begin(faults: &[FaultEntry], reach: &Reach) -> Result<Director, SetupError> {
        let mut at_rest: VecDeque<Vec<FaultEntry>> = VecDeque::new();
        let mut timed: Vec<&FaultEntry> = Vec::new();
        for fault in faults {
            let called = fault.call.as_ref().map(|call| &call.process);
            let roles = [&fault.kill, &fault.terminate, &fault.crash, &fault.duplicate_delivery].into_iter().flatten();
            for role in roles.chain(called) {
                reach.fleet.check_role(role)?;
            }
            match (&fault.when, at_rest.back_mut()) {
                // One that the seed was to decide is decided by now.
                (When::Start | When::AnyCompletion, _) => reach.act(fault).await?,
                (When::Next, Some(before)) => before.push(fault.clone()),
                (When::Rest | When::Next, _) => at_rest.push_back(vec![fault.clone()]),
                (When::Completions(_) | When::Held(_) | When::Quiet(_), _) => timed.push(fault),
            }
        }
        let entry =
            |fault: &&FaultEntry| Entry { acted: AtomicBool::new(false), comes: matches!(fault.when, When::Quiet(_)) };
        let entries = timed.iter().map(entry).collect();
        let progress = Arc::new(Progress { acting: AtomicUsize::new(0), entries });
        let mut tasks = JoinSet::new();
        for (index, fault) in timed.into_iter().enumerate() {
            if let When::Completions(count) = fault.when {
                reach.completions.hold_at(count);
            }
            let (fault, reach, progress) = (fault.clone(), reach.clone(), Arc::clone(&progress));
            tasks.spawn(async move {
                reach.wait_for(&fault.when, index, &progress).await;
                progress.acting.fetch_add(1, Ordering::SeqCst);
                let acted = reach.strike(&fault).await;
                reach.activity.note();
                if let Some(entry) = progress.entries.get(index) {
                    entry.acted.store(true, Ordering::SeqCst);
                }
                progress.acting.fetch_sub(1, Ordering::SeqCst);
                acted
            });
        }
        Ok(Director { tasks, progress, at_rest, reach: reach.clone() })
    }

    /// Whether a fault is being acted out right now, or one is still to come for certain.
    pub(crate) fn is_acting(&self) -> bool {
        self.progress.something_comes() || self.progress.acting.load(Ordering::SeqCst) > 0
    }

    /// Acts what is to be done now that the run has come to rest; `false` where there is nothing more.
    pub(crate) async fn act_at_rest(&mut self) -> Result<bool, SetupError> {
        let Some(entries) = self.at_rest.pop_front() else { return Ok(false) };
        for entry in &entries {
            self.reach.strike(entry).await?;
        }
        self.reach.activity.note();
        Ok(true)
    }

    /// An error of a fault that could not be acted out.
    pub(crate) fn failure(&mut self) -> Option<SetupError> {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(error),
                Err(error) => return Some(SetupError::prepare("a fault", error)),
            }
        }
        None
    }
}

impl Reach {
    async fn wait_for(&self, when: &When, index: usize, progress: &Progress) {
        match when {
            When::Start | When::AnyCompletion | When::Rest | When::Next => {}
            When::Completions(count) => self.completions.reached(*count).await,
            When::Held(name) => {
                while self.stage.struck(name) == 0 {
                    self.activity.next(PATIENCE).await;
                }
            }
            When::Quiet(duration) => {
                // What is being acted out, such as a restart, is something happening.
                while !progress.all_acted_before(index)
                    || progress.acting.load(Ordering::SeqCst) > 0
                    || self.activity.quiet_for() < duration.0
                {
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }

    /// Acts at a moment that may be held: what must be done before anything goes on, then the
    /// release, then what takes its time.
    async fn strike(&self, fault: &FaultEntry) -> Result<(), SetupError> {
        let acted = self.act(fault).await;
        if let When::Completions(held_at) = fault.when {
            self.completions.release(held_at);
        }
        acted?;
        let Some(after) = fault.restart_after else { return Ok(()) };
        tokio::time::sleep(after.0).await;
        for role in [&fault.kill, &fault.terminate].into_iter().flatten() {
            self.fleet.restart(role).await?;
            self.activity.mark_fault(format!("{role} is started again"));
        }
        Ok(())
    }

    async fn act(&self, fault: &FaultEntry) -> Result<(), SetupError> {
        self.activity.mark_fault(fault.describe());
        if let Some(gate) = &fault.gate {
            self.stage.add_faults(FaultPlan { faults: vec![gate.clone()] })?;
        }
        if let Some(role) = &fault.kill {
            self.fleet.kill(role).await?;
        }
        if let Some(role) = &fault.terminate {
            self.fleet.terminate(role).await?;
        }
        if let Some(role) = &fault.crash {
            self.fleet.crash(role)?;
        }
        if let Some(role) = &fault.duplicate_delivery {
            self.stage.duplicate_deliveries(&subscriptions_of(role))?;
        }
        if fault.grow_main_table {
            self.props.grow_main_table(&self.clients).await?;
        }
        if let Some(by) = fault.advance {
            self.stage.advance(by.0);
        }
        if let Some(name) = &fault.lift {
            self.stage.lift(name);
        }
        if let Some(call) = &fault.call
            && let Some(door) = self.doors.get(&call.process)
        {
            // Whatever the answer is: a scheduler does not look at it either.
            let _ = local_http().post(door.url(&call.path)).timeout(CALL_TIMEOUT).send().await;
        }
        if fault.start_again {
            let _ = self.start.once().await;
        }
        if let Some(sql) = &fault.sql {
            let statement = self.props.spelled_out(sql, &self.clients.project, &self.game_date);
            let done = run_statement(&self.clients, &statement).await;
            done.map_err(SetupError::Operator)?;
        }
        Ok(())
    }
}
