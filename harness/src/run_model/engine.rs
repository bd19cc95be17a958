//! The platform's decisions as a state machine: what happened and when goes in, what is to be done
//! comes out. It starts no process, knows no clock and waits for nothing.
//!
//! An instance is starting, serving or stopping. A request is waiting, or running on one instance.
//! Requests go to the serving instance with the fewest on it, the least used of equals, the oldest
//! of those. Where all are full they wait, and as many instances are started as the waiting ones
//! need, up to the maximum; stopping instances do not count towards it, so that for a while there
//! may be more. A request that has waited its time is refused, unless an instance is just starting:
//! then that is waited for.
//!
//! An instance that ends unasked, or never comes up, is replaced: at once the first time, then after
//! one, two, four … sixty seconds, until a request has been served again. Meanwhile, where there is
//! no other instance, requests are refused at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use scrimmage_core::Timestamp;

use super::{Refusal, RunModel};

/// The longest pause before a failing service is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One instance, numbered from 1 in the order of their starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct InstanceId(pub(super) u64);

/// One request, numbered from 1 in the order of their arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct RequestId(pub(super) u64);

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    Start(InstanceId),
    Terminate(InstanceId),
    Kill(InstanceId),
    Route(RequestId, InstanceId),
    Refuse(RequestId, Refusal),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Begun at this time; not to serve before the other.
    Starting { not_before: Timestamp, is_ready: bool },
    /// Idle since, where it is.
    Serving { idle_since: Timestamp },
    /// To be killed at this time.
    Stopping { kill_at: Timestamp, was_killed: bool },
}

#[derive(Clone, Debug)]
struct Instance {
    state: State,
    running: usize,
    served: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: RequestId,
    arrived: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    instance: InstanceId,
    timeout_at: Timestamp,
}

/// One service.
#[derive(Debug)]
pub(super) struct Engine {
    model: RunModel,
    instances: BTreeMap<InstanceId, Instance>,
    waiting: VecDeque<Waiting>,
    running: BTreeMap<RequestId, Running>,
    last_instance: u64,
    last_request: u64,
    /// Shut down from outside: nothing is started until it is brought up.
    is_down: bool,
    failures: u32,
    not_before: Option<Timestamp>,
}

impl Engine {
    /// A service without an instance, down until [`bring_up`](Self::bring_up).
    pub(super) fn new(model: RunModel) -> Engine {
        Engine {
            model,
            instances: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            last_instance: 0,
            last_request: 0,
            is_down: true,
            failures: 0,
            not_before: None,
        }
    }

    /// A deployment: the minimum of instances, and one at least, since a revision is started once to
    /// see that it can be.
    pub(super) fn bring_up(&mut self, now: Timestamp) -> Vec<Effect> {
        self.is_down = false;
        self.failures = 0;
        self.not_before = None;
        let missing = self.model.min_instances.max(1).saturating_sub(self.alive());
        (0..missing).map(|_| self.start(now, Duration::ZERO)).collect()
    }

    /// A request has come.
    pub(super) fn arrive(&mut self, now: Timestamp) -> (RequestId, Vec<Effect>) {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        let mut effects = Vec::new();
        if self.is_down || (self.alive() == 0 && self.is_pausing(now)) {
            effects.push(Effect::Refuse(request, Refusal::NoInstance));
        } else if self.free_instance().is_none() && self.waiting.len() >= self.model.queue_size {
            effects.push(Effect::Refuse(request, Refusal::NoCapacity));
        } else {
            self.waiting.push_back(Waiting { request, arrived: now });
            self.settle(now, &mut effects);
        }
        (request, effects)
    }

    /// An instance can work.
    pub(super) fn ready(&mut self, now: Timestamp, id: InstanceId) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(Instance { state: State::Starting { is_ready, .. }, .. }) = self.instances.get_mut(&id) {
            *is_ready = true;
            self.settle(now, &mut effects);
        }
        effects
    }

    /// An instance has ended, or did not come up in time and was ended.
    pub(super) fn ended(&mut self, now: Timestamp, id: InstanceId) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(gone) = self.instances.remove(&id) else { return effects };
        let (was_starting, was_asked) =
            (matches!(gone.state, State::Starting { .. }), matches!(gone.state, State::Stopping { .. }));
        if !was_asked {
            let pause = match self.failures {
                0 => Duration::ZERO,
                times => Duration::from_secs(1 << (times - 1).min(6)).min(LONGEST_PAUSE),
            };
            self.failures = self.failures.saturating_add(1);
            self.not_before = Some(now + pause);
        }
        if was_starting && self.alive() == 0 {
            // What waited for it has nothing left to wait for.
            effects.extend(self.waiting.drain(..).map(|one| Effect::Refuse(one.request, Refusal::NoInstance)));
        }
        self.settle(now, &mut effects);
        effects
    }

    /// A request has come to its end, with an answer or without.
    pub(super) fn finished(&mut self, now: Timestamp, request: RequestId, was_answered: bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        // One that was refused meanwhile has given its place back already.
        if self.running.contains_key(&request) {
            self.give_back(now, request);
            if was_answered {
                self.failures = 0;
                self.not_before = None;
            }
            self.settle(now, &mut effects);
        }
        effects
    }

    /// Ends every instance at once, as a crash of them all, and starts none.
    pub(super) fn kill(&mut self, now: Timestamp) -> Vec<Effect> {
        self.go_down(now, true)
    }

    /// Asks every instance to end, and starts none.
    pub(super) fn terminate(&mut self, now: Timestamp) -> Vec<Effect> {
        self.go_down(now, false)
    }

    /// Ends the busiest serving instance at once, as a crash; the platform replaces it.
    pub(super) fn crash_one(&mut self) -> Option<Effect> {
        let serving = self.instances.iter().filter(|(_, one)| matches!(one.state, State::Serving { .. }));
        let busiest = serving.max_by_key(|(id, one)| (one.running, std::cmp::Reverse(**id)));
        busiest.map(|(id, _)| Effect::Kill(*id))
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let starting = self.instances.values().any(|one| matches!(one.state, State::Starting { .. }));
        let of_instances = self.instances.values().filter_map(|one| match one.state {
            State::Starting { not_before, is_ready: true } => Some(not_before),
            State::Starting { .. } | State::Stopping { was_killed: true, .. } => None,
            State::Serving { idle_since } => {
                (one.running == 0 && self.has_spare()).then(|| idle_since + self.model.idle)
            }
            State::Stopping { kill_at, was_killed: false } => Some(kill_at),
        });
        let of_running = self.running.values().map(|one| one.timeout_at);
        let patience = if starting { self.model.timeout } else { self.model.queue.min(self.model.timeout) };
        let of_waiting = self.waiting.front().map(|one| one.arrived + patience);
        let has_to_start = self.alive() < self.model.min_instances || !self.waiting.is_empty();
        let of_pause = self.not_before.filter(|_| !self.is_down && has_to_start);
        of_instances.chain(of_running).chain(of_waiting).chain(of_pause).min()
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let late: Vec<RequestId> =
            self.running.iter().filter(|(_, one)| one.timeout_at <= now).map(|(request, _)| *request).collect();
        for request in late {
            self.give_back(now, request);
            effects.push(Effect::Refuse(request, Refusal::TimedOut));
        }
        self.settle(now, &mut effects);
        for (id, one) in &mut self.instances {
            if let State::Stopping { kill_at, was_killed } = &mut one.state
                && *kill_at <= now
                && !*was_killed
            {
                *was_killed = true;
                effects.push(Effect::Kill(*id));
            }
        }
        effects
    }

    /// How many instances count towards the bounds.
    pub(super) fn alive(&self) -> usize {
        self.instances.values().filter(|one| !matches!(one.state, State::Stopping { .. })).count()
    }

    /// Whether there is no instance at all, stopping ones included.
    pub(super) fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    fn has_spare(&self) -> bool {
        self.alive() > self.model.min_instances
    }

    fn is_pausing(&self, now: Timestamp) -> bool {
        self.not_before.is_some_and(|not_before| now < not_before)
    }

    fn start(&mut self, now: Timestamp, cold_start: Duration) -> Effect {
        self.last_instance += 1;
        let id = InstanceId(self.last_instance);
        let state = State::Starting { not_before: now + cold_start, is_ready: false };
        self.instances.insert(id, Instance { state, running: 0, served: 0 });
        Effect::Start(id)
    }

    fn give_back(&mut self, now: Timestamp, request: RequestId) {
        let Some(run) = self.running.remove(&request) else { return };
        let Some(instance) = self.instances.get_mut(&run.instance) else { return };
        instance.running = instance.running.saturating_sub(1);
        if let State::Serving { idle_since } = &mut instance.state {
            *idle_since = now;
        }
    }

    fn free_instance(&self) -> Option<InstanceId> {
        let free = self
            .instances
            .iter()
            .filter(|(_, one)| matches!(one.state, State::Serving { .. }) && one.running < self.model.concurrency);
        free.min_by_key(|(id, one)| (one.running, one.served, **id)).map(|(id, _)| *id)
    }

    /// Brings everything to where it should be now.
    fn settle(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.not_before = self.not_before.filter(|not_before| now < *not_before);
        for instance in self.instances.values_mut() {
            if let State::Starting { not_before, is_ready: true } = instance.state
                && not_before <= now
            {
                instance.state = State::Serving { idle_since: now };
            }
        }
        self.route(now, effects);
        self.refuse_the_late(now, effects);
        self.scale_out(now, effects);
        self.scale_in(now, effects);
    }

    fn route(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some(first) = self.waiting.front().copied() {
            if first.arrived + self.model.timeout <= now {
                self.waiting.pop_front();
                effects.push(Effect::Refuse(first.request, Refusal::TimedOut));
                continue;
            }
            let Some(id) = self.free_instance() else { return };
            let Some(instance) = self.instances.get_mut(&id) else { return };
            self.waiting.pop_front();
            instance.running += 1;
            instance.served += 1;
            let run = Running { instance: id, timeout_at: first.arrived + self.model.timeout };
            self.running.insert(first.request, run);
            effects.push(Effect::Route(first.request, id));
        }
    }

    fn refuse_the_late(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.instances.values().any(|one| matches!(one.state, State::Starting { .. })) {
            return;
        }
        while let Some(first) = self.waiting.front().copied() {
            if now < first.arrived + self.model.queue {
                return;
            }
            self.waiting.pop_front();
            effects.push(Effect::Refuse(first.request, Refusal::NoCapacity));
        }
    }

    fn scale_out(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.is_down || self.is_pausing(now) {
            return;
        }
        while self.alive() < self.model.min_instances {
            effects.push(self.start(now, self.model.cold_start));
        }
        let starting = self.instances.values().filter(|one| matches!(one.state, State::Starting { .. })).count();
        let wanted = self.waiting.len().div_ceil(self.model.concurrency);
        let allowed = self.model.max_instances.saturating_sub(self.alive());
        for _ in 0..wanted.saturating_sub(starting).min(allowed) {
            effects.push(self.start(now, self.model.cold_start));
        }
    }

    fn scale_in(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while self.has_spare() {
            // The one that has been idle longest, the newest of equals.
            let idle = self.instances.iter().filter_map(|(id, one)| match one.state {
                State::Serving { idle_since } if one.running == 0 && idle_since + self.model.idle <= now => {
                    Some((idle_since, std::cmp::Reverse(*id)))
                }
                _ => None,
            });
            let Some((_, std::cmp::Reverse(id))) = idle.min() else { return };
            self.stop(now, id);
            effects.push(Effect::Terminate(id));
        }
    }

    fn stop(&mut self, now: Timestamp, id: InstanceId) {
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.state = State::Stopping { kill_at: now + self.model.grace, was_killed: false };
        }
    }

    fn go_down(&mut self, now: Timestamp, at_once: bool) -> Vec<Effect> {
        self.is_down = true;
        let mut effects: Vec<Effect> =
            self.waiting.drain(..).map(|one| Effect::Refuse(one.request, Refusal::NoInstance)).collect();
        for (id, instance) in &mut self.instances {
            match instance.state {
                State::Stopping { was_killed: true, .. } => {}
                State::Stopping { .. } if !at_once => {}
                _ => {
                    instance.state = State::Stopping { kill_at: now + self.model.grace, was_killed: at_once };
                    effects.push(if at_once { Effect::Kill(*id) } else { Effect::Terminate(*id) });
                }
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests;
