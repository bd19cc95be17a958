//! Acts the faults out, each at its moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

use scrimmage_core::faults::FaultPlan;

use super::FaultEntry;
use crate::SetupError;
use crate::clients::Clients;
use crate::front_door::FrontDoor;
use crate::pipeline::Fleet;
use crate::run::Activity;
use crate::scenario::When;
use crate::stage::Embedded;
use crate::stage::provision::{Props, subscriptions_of};

/// What faults act on.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) stage: Arc<Embedded>,
    pub(crate) clients: Clients,
    pub(crate) props: Props,
    pub(crate) fleet: Arc<Fleet>,
    /// Where completions come in.
    pub(crate) completions: Arc<FrontDoor>,
    pub(crate) activity: Activity,
}

/// The faults of one run. Dropping it ends those that wait.
pub(crate) struct Director {
    tasks: JoinSet<Result<(), SetupError>>,
    acting: Arc<AtomicUsize>,
}

impl Director {
    /// Acts those that come before the batch, and waits for the moments of the others.
    pub(crate) async fn begin(faults: &[FaultEntry], reach: &Reach) -> Result<Director, SetupError> {
        let mut director = Director { tasks: JoinSet::new(), acting: Arc::default() };
        for fault in faults {
            for role in [&fault.kill, &fault.terminate, &fault.duplicate_delivery].into_iter().flatten() {
                reach.fleet.check_role(role)?;
            }
            match fault.when {
                When::Start => reach.act(fault).await?,
                When::Completions(count) => {
                    reach.completions.hold_at(count);
                    let (fault, reach, acting) = (fault.clone(), reach.clone(), Arc::clone(&director.acting));
                    director.tasks.spawn(async move {
                        reach.completions.reached(count).await;
                        acting.fetch_add(1, Ordering::SeqCst);
                        let acted = reach.strike(&fault, count).await;
                        acting.fetch_sub(1, Ordering::SeqCst);
                        reach.activity.note();
                        acted
                    });
                }
            }
        }
        Ok(director)
    }

    /// Whether a fault is being acted out right now.
    pub(crate) fn is_acting(&self) -> bool {
        self.acting.load(Ordering::SeqCst) > 0
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
    /// Acts at a moment that is being held: what must be done before anything goes on, then the
    /// release, then what takes its time.
    async fn strike(&self, fault: &FaultEntry, held_at: usize) -> Result<(), SetupError> {
        let acted = self.act(fault).await;
        self.completions.release(held_at);
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
        if let Some(role) = &fault.duplicate_delivery {
            self.stage.duplicate_deliveries(&subscriptions_of(role))?;
        }
        if fault.grow_main_table {
            self.props.grow_main_table(&self.clients).await?;
        }
        Ok(())
    }
}
