//! A fault plan at work.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::barrier::BarrierState;
use super::{BarrierWait, Fault, FaultError, FaultPlan, InjectedError};
use crate::{CallInfo, Timestamp};

/// Decides what happens to each call; starts without faults. Shared by a suite's services.
#[derive(Debug, Default)]
pub struct FaultGate {
    /// Lets the common case, no faults at all, pass without a lock.
    active: AtomicBool,
    rules: Mutex<Vec<Rule>>,
}

#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    fault: Fault,
    /// Calls that met the conditions so far.
    seen: u64,
    admitted: VecDeque<Timestamp>,
    barrier: BarrierState,
}

/// What is to be done to one call, in the order of the fields.
#[derive(Debug)]
pub struct Decision {
    /// Names of the faults that apply, for the journal.
    pub faults: Vec<Arc<str>>,
    /// Wait for each of these,
    pub barriers: Vec<BarrierWait>,
    /// then this long on the suite's clock,
    pub delay: Duration,
    /// then this.
    pub end: End,
}

/// How a call ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The service answers.
    Pass,
    /// This is the answer; the service sees nothing.
    Error(InjectedError),
    /// The service sees nothing and the connection is closed.
    DropBefore,
    /// The service runs, its answer is thrown away and the connection is closed.
    DropAfter,
}

impl FaultGate {
    /// A gate without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is any fault; cheap.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Replaces all faults; counts start anew, and calls held by old barriers go on.
    pub fn set(&self, plan: FaultPlan) -> Result<(), FaultError> {
        plan.check()?;
        let mut rules = self.rules();
        rules.clear();
        self.append(&mut rules, plan);
        Ok(())
    }

    /// Adds faults behind those that are there, whose counts go on.
    pub fn add(&self, plan: FaultPlan) -> Result<(), FaultError> {
        plan.check()?;
        self.append(&mut self.rules(), plan);
        Ok(())
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.rules().clear();
        self.active.store(false, Ordering::Release);
    }

    /// Takes the faults of this name away; calls that their barriers hold go on. Whether there was one.
    pub fn lift(&self, name: &str) -> bool {
        let mut rules = self.rules();
        let before = rules.len();
        rules.retain(|rule| &*rule.name != name);
        self.active.store(!rules.is_empty(), Ordering::Release);
        rules.len() < before
    }

    fn append(&self, rules: &mut Vec<Rule>, plan: FaultPlan) {
        for fault in plan.faults {
            let name = fault.name.clone().unwrap_or_else(|| format!("fault-{}", rules.len() + 1));
            rules.push(Rule {
                name: name.into(),
                fault,
                seen: 0,
                admitted: VecDeque::new(),
                barrier: BarrierState::new(),
            });
        }
        self.active.store(!rules.is_empty(), Ordering::Release);
    }

    /// The faults in force.
    pub fn plan(&self) -> FaultPlan {
        FaultPlan { faults: self.rules().iter().map(|rule| rule.fault.clone()).collect() }
    }

    /// Name and number of matching calls of each fault in force.
    pub fn counts(&self) -> Vec<(Arc<str>, u64)> {
        self.rules().iter().map(|rule| (rule.name.clone(), rule.seen)).collect()
    }

    /// Counts the call and says what is to be done to it; `None`: nothing.
    pub fn decide(&self, call: &CallInfo, now: Timestamp) -> Option<Decision> {
        if !self.is_active() {
            return None;
        }
        let mut decision = Decision { faults: Vec::new(), barriers: Vec::new(), delay: Duration::ZERO, end: End::Pass };
        for rule in self.rules().iter_mut() {
            rule.apply(call, now, &mut decision);
        }
        (!decision.faults.is_empty()).then_some(decision)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        // Counters and lists stay whole whatever a panicking holder was doing.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn apply(&mut self, call: &CallInfo, now: Timestamp, decision: &mut Decision) {
        if !self.fault.on.covers(call) {
            return;
        }
        self.seen += 1;
        if self.fault.on.nth.as_ref().is_some_and(|nth| !nth.strikes(self.seen)) {
            return;
        }
        let mut applied = false;
        if let Some(barrier) = &self.fault.barrier
            && let Some(wait) = self.barrier.arrive(barrier)
        {
            decision.barriers.push(wait);
            applied = true;
        }
        if let Some(delay) = self.fault.delay {
            decision.delay = decision.delay.saturating_add(delay.0.0);
            applied = true;
        }
        if decision.end == End::Pass {
            decision.end = self.end(call, now);
            applied |= decision.end != End::Pass;
        }
        if applied {
            decision.faults.push(self.name.clone());
        }
    }

    fn end(&mut self, call: &CallInfo, now: Timestamp) -> End {
        if let Some(quota) = &self.fault.quota {
            return if quota.admits(&mut self.admitted, now) { End::Pass } else { End::Error(quota.error(call)) };
        }
        if let Some(error) = &self.fault.error {
            return End::Error(error.error());
        }
        match (self.fault.drop_before.0, self.fault.drop_after.0) {
            (true, _) => End::DropBefore,
            (false, true) => End::DropAfter,
            (false, false) => End::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Code};

    fn gate(json: &str) -> FaultGate {
        let gate = FaultGate::new();
        gate.set(serde_json::from_str(json).expect("a plan")).expect("a good plan");
        gate
    }

    fn commit(gate: &FaultGate, resource: &str) -> Option<Decision> {
        gate.decide(&CallInfo::new("firestore", "Commit", resource, "coordinator"), Timestamp::EPOCH)
    }

    #[test]
    fn no_faults_decide_nothing() {
        assert!(commit(&FaultGate::new(), "a").is_none());
    }

    #[test]
    fn strikes_only_what_matches_and_counts_only_that() {
        let gate = gate(
            r#"[{"name": "second", "on": {"method": "Commit", "resource": "**/b/*", "nth": 2}, "error": "ABORTED"}]"#,
        );
        assert!(commit(&gate, "x/b/1").is_none());
        assert!(commit(&gate, "x/c/1").is_none());
        let decision = commit(&gate, "x/b/2").expect("the second match");
        assert_eq!(decision.faults, [Arc::from("second")]);
        assert!(matches!(&decision.end, End::Error(error) if error.status.code == Code::Aborted));
        assert!(commit(&gate, "x/b/3").is_none());
        assert_eq!(gate.counts(), [(Arc::from("second"), 3)]);
    }

    #[test]
    fn delays_add_up_and_the_first_end_wins() {
        let gate = gate(r#"[{"delay": "1s", "drop_after": true}, {"delay": "500ms"}, {"error": "ABORTED"}]"#);
        let decision = commit(&gate, "a").expect("a decision");
        assert_eq!(decision.delay, Duration::from_millis(1_500));
        assert_eq!(decision.end, End::DropAfter);
        assert_eq!(decision.faults.len(), 2);
    }

    #[test]
    fn a_quota_speaks_as_the_service() {
        let gate = gate(r#"[{"quota": {"limit": 1, "per": "10s"}}]"#);
        let insert = CallInfo::new("bigquery", "jobs.insert", "projects/p/jobs", "w");
        assert!(gate.decide(&insert, Timestamp::EPOCH).is_none());
        let decision = gate.decide(&insert, Timestamp::EPOCH).expect("the second is over the limit");
        let End::Error(error) = decision.end else { panic!("{:?}", decision.end) };
        assert_eq!(error.reason.as_deref(), Some("rateLimitExceeded"));
        assert!(error.status.message.starts_with("Exceeded rate limits"));
        assert!(gate.decide(&insert, Timestamp::from_parts(10, 0)).is_none());
    }

    #[test]
    fn added_faults_leave_counts_alone() {
        let gate = gate(r#"[{"on": {"nth": 2}, "error": "ABORTED"}]"#);
        assert!(commit(&gate, "a").is_none());
        gate.add(serde_json::from_str(r#"[{"on": {"nth": 9}, "delay": "1s"}]"#).expect("a plan")).expect("a good plan");
        assert!(commit(&gate, "a").is_some());
        assert_eq!(gate.plan().faults.len(), 2);
        gate.clear();
        assert!(!gate.is_active());
    }

    #[tokio::test]
    async fn a_barrier_opens_for_all_at_once_and_stays_open() {
        let gate = gate(r#"[{"barrier": {"count": 3, "timeout": "5s"}}]"#);
        let clock = Clock::virtual_at(Timestamp::EPOCH);
        let first = commit(&gate, "a").expect("held").barriers.remove(0);
        let second = commit(&gate, "b").expect("held").barriers.remove(0);
        assert!(commit(&gate, "c").is_none(), "the third opens it");
        first.opened(&clock).await;
        second.opened(&clock).await;
        assert!(commit(&gate, "d").is_none(), "it stays open");
    }

    #[tokio::test]
    async fn a_barrier_gives_up_after_its_timeout() {
        let gate = gate(r#"[{"barrier": {"count": 3, "timeout": "5s"}}]"#);
        let clock = Clock::virtual_at(Timestamp::EPOCH);
        let wait = commit(&gate, "a").expect("held").barriers.remove(0);
        let waiting = {
            let clock = clock.clone();
            tokio::spawn(async move { wait.opened(&clock).await })
        };
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(5));
        waiting.await.expect("released");
        assert!(commit(&gate, "b").is_none());
    }

    #[tokio::test]
    async fn lifting_one_fault_lets_its_calls_go_and_leaves_the_others() {
        let gate =
            gate(r#"[{"name": "held", "barrier": {"count": 2, "timeout": "1h"}}, {"name": "slow", "delay": "1s"}]"#);
        let wait = commit(&gate, "a").expect("held").barriers.remove(0);
        assert!(gate.lift("held") && !gate.lift("held"));
        wait.opened(&Clock::virtual_at(Timestamp::EPOCH)).await;
        assert_eq!(gate.counts().len(), 1);
    }

    #[tokio::test]
    async fn clearing_lets_held_calls_go() {
        let gate = gate(r#"[{"barrier": {"count": 2, "timeout": "1h", "repeat": true}}]"#);
        let wait = commit(&gate, "a").expect("held").barriers.remove(0);
        gate.clear();
        wait.opened(&Clock::virtual_at(Timestamp::EPOCH)).await;
    }
}
