//! Does what the [`engine`](super::engine) decides: starts and signals processes, waits on the
//! stage's clock, tells requests where to go.

use async_trait::async_trait;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use scrimmage_core::{Clock, Timestamp};

use super::engine::{Effect, Engine, InstanceId, RequestId};
use super::refusal::FAILED_TO_START;
use super::{Refusal, RunModel};
use crate::SetupError;
use crate::pipeline::CapturedLog;

/// What starts instances of a service.
#[async_trait]
pub(crate) trait Launcher: Send + Sync {
    /// Starts one and waits until it can work. Dropping the future ends what was started.
    async fn launch(&self, number: u64) -> Result<Arc<dyn Running>, SetupError>;
}

/// A started instance.
#[async_trait]
pub(crate) trait Running: Send + Sync {
    /// Where it listens, on the loopback address.
    fn port(&self) -> u16;
    /// SIGTERM.
    fn terminate(&self);
    /// SIGKILL.
    fn kill(&self);
    /// Returns when it has ended and its last words are captured, with how it ended.
    async fn gone(&self) -> String;
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// To the instance at this port.
    Route(u16),
    Refuse(Refusal),
}

type Report = mpsc::UnboundedSender<Result<(), SetupError>>;

/// One service with its instances.
pub(crate) struct Service {
    name: String,
    launcher: Arc<dyn Launcher>,
    clock: Clock,
    log: CapturedLog,
    shared: Mutex<Shared>,
    /// Counts changes, for the timer and for those who wait for one.
    changes: watch::Sender<u64>,
}

struct Shared {
    engine: Engine,
    starting: HashMap<InstanceId, AbortHandle>,
    running: HashMap<InstanceId, Arc<dyn Running>>,
    callers: HashMap<RequestId, mpsc::UnboundedSender<Decision>>,
}

impl Service {
    /// A service that is down. To be called within a tokio runtime.
    pub(crate) fn new(
        name: &str,
        model: RunModel,
        launcher: Arc<dyn Launcher>,
        clock: Clock,
        log: CapturedLog,
    ) -> Arc<Service> {
        let service = Arc::new(Service {
            name: name.to_owned(),
            launcher,
            clock: clock.clone(),
            log,
            shared: Mutex::new(Shared {
                engine: Engine::new(model),
                starting: HashMap::new(),
                running: HashMap::new(),
                callers: HashMap::new(),
            }),
            changes: watch::Sender::new(0),
        });
        tokio::spawn(keep_time(Arc::downgrade(&service), clock, service.changes.subscribe()));
        service
    }

    /// Starts the service and waits until its first instances can work; an error is the first of
    /// one that does not.
    pub(crate) async fn bring_up(self: &Arc<Self>) -> Result<(), SetupError> {
        let (report, mut reports) = mpsc::unbounded_channel();
        self.apply(Some(report), Engine::bring_up);
        while let Some(started) = reports.recv().await {
            started?;
        }
        Ok(())
    }

    /// Ends every instance at once; returns when they are gone. None comes until it is brought up.
    pub(crate) async fn kill(self: &Arc<Self>) {
        self.close();
        self.empty().await;
    }

    /// Asks every instance to end, and ends it after the grace; returns when they are gone. None comes
    /// until it is brought up.
    pub(crate) async fn terminate(self: &Arc<Self>) {
        self.apply(None, Engine::terminate);
        self.empty().await;
    }

    /// Ends one instance at once, the busiest; the platform replaces it.
    pub(crate) fn crash_one(self: &Arc<Self>) {
        self.apply(None, |engine, _| engine.crash_one().into_iter().collect());
    }

    /// Ends every instance at once, without waiting.
    pub(crate) fn close(self: &Arc<Self>) {
        self.apply(None, Engine::kill);
    }

    /// Lets a request in.
    pub(crate) fn arrive(self: &Arc<Self>) -> Pass {
        let (caller, decisions) = mpsc::unbounded_channel();
        let mut request = RequestId(0);
        self.apply_with(None, |shared, now| {
            let (id, effects) = shared.engine.arrive(now);
            request = id;
            shared.callers.insert(id, caller);
            effects
        });
        Pass { service: Arc::clone(self), request, decisions }
    }

    /// How many instances there are that are not stopping.
    #[cfg(test)]
    pub(crate) fn alive(&self) -> usize {
        self.shared().engine.alive()
    }

    async fn empty(&self) {
        let mut changes = self.changes.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        while !self.shared().engine.is_empty() && changes.changed().await.is_ok() {}
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(self: &Arc<Self>, report: Option<Report>, step: impl FnOnce(&mut Engine, Timestamp) -> Vec<Effect>) {
        self.apply_with(report, |shared, now| step(&mut shared.engine, now));
    }

    fn apply_with(self: &Arc<Self>, report: Option<Report>, step: impl FnOnce(&mut Shared, Timestamp) -> Vec<Effect>) {
        let now = self.clock.now();
        {
            let mut shared = self.shared();
            let mut effects = VecDeque::from(step(&mut shared, now));
            while let Some(effect) = effects.pop_front() {
                effects.extend(self.perform(&mut shared, effect, now, report.as_ref()));
            }
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// Does one thing; the engine may answer with more.
    fn perform(
        self: &Arc<Self>,
        shared: &mut Shared,
        effect: Effect,
        now: Timestamp,
        report: Option<&Report>,
    ) -> Vec<Effect> {
        match effect {
            Effect::Start(id) => {
                let starting = tokio::spawn(Arc::clone(self).start(id, report.cloned()));
                shared.starting.insert(id, starting.abort_handle());
            }
            Effect::Terminate(id) | Effect::Kill(id) => {
                if let Some(starting) = shared.starting.remove(&id) {
                    // Its process ends with the task.
                    starting.abort();
                    return shared.engine.ended(now, id);
                }
                if let Some(instance) = shared.running.get(&id) {
                    if effect == Effect::Kill(id) { instance.kill() } else { instance.terminate() }
                }
            }
            Effect::Route(request, id) => {
                if let (Some(caller), Some(instance)) = (shared.callers.get(&request), shared.running.get(&id)) {
                    // A caller that has gone has finished its request.
                    let _ = caller.send(Decision::Route(instance.port()));
                }
            }
            Effect::Refuse(request, refusal) => {
                if let Some(caller) = shared.callers.remove(&request) {
                    let _ = caller.send(Decision::Refuse(refusal));
                }
                self.log.platform(&self.name, refusal.log_text());
            }
        }
        Vec::new()
    }

    async fn start(self: Arc<Self>, id: InstanceId, report: Option<Report>) {
        let launched = self.launcher.launch(id.0).await;
        let failure = match launched {
            Ok(instance) => {
                self.started(id, instance);
                Ok(())
            }
            Err(error) => {
                self.log.platform(&self.name, &format!("{FAILED_TO_START} ({error})"));
                self.apply_with(None, |shared, now| {
                    shared.starting.remove(&id);
                    shared.engine.ended(now, id)
                });
                Err(error)
            }
        };
        if let Some(report) = report {
            // Who has stopped waiting has another error already.
            let _ = report.send(failure);
        }
    }

    fn started(self: &Arc<Self>, id: InstanceId, instance: Arc<dyn Running>) {
        let (service, watched) = (Arc::clone(self), Arc::clone(&instance));
        self.apply_with(None, |shared, now| {
            if shared.starting.remove(&id).is_none() {
                // It was ended while it came up.
                instance.kill();
                return Vec::new();
            }
            shared.running.insert(id, instance);
            shared.engine.ready(now, id)
        });
        tokio::spawn(async move {
            let how = watched.gone().await;
            service.log.platform(&service.name, &format!("Container terminated: {how}."));
            service.apply_with(None, |shared, now| {
                shared.running.remove(&id);
                shared.engine.ended(now, id)
            });
        });
    }
}

/// Tells the engine when its time has come.
async fn keep_time(service: Weak<Service>, clock: Clock, mut changes: watch::Receiver<u64>) {
    loop {
        let due = {
            let Some(service) = service.upgrade() else { return };
            service.shared().engine.due()
        };
        let come = async {
            match due {
                Some(due) => clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = come => {
                let Some(service) = service.upgrade() else { return };
                service.apply(None, Engine::tick);
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// One request on its way. Dropping it is its end without an answer.
pub(crate) struct Pass {
    service: Arc<Service>,
    request: RequestId,
    decisions: mpsc::UnboundedReceiver<Decision>,
}

impl Pass {
    /// What becomes of it next: where it goes, later perhaps that it is refused all the same. Never
    /// returns where there is nothing more to come.
    pub(crate) async fn decision(&mut self) -> Decision {
        match self.decisions.recv().await {
            Some(decision) => decision,
            None => std::future::pending().await,
        }
    }

    /// It has got its answer, or its connection broke.
    pub(crate) fn finish(self, was_answered: bool) {
        if !was_answered {
            self.service.log.platform(&self.service.name, Refusal::BrokenConnection.log_text());
        }
        self.end(was_answered);
    }

    fn end(&self, was_answered: bool) {
        self.service.apply_with(None, |shared, now| {
            shared.callers.remove(&self.request);
            shared.engine.finished(now, self.request, was_answered)
        });
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Nothing, where it has ended already.
        self.end(false);
    }
}

#[cfg(test)]
mod tests;
