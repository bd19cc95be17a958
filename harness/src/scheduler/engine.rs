//! What is to be called when, as a state machine: time and answers go in, attempts come out.

use std::collections::BTreeMap;

use scrimmage_core::Timestamp;

use super::ScheduleEntry;

/// One attempt that was made, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Which `[[schedule]]`, counted from 0.
    pub entry: usize,
    /// Counted from 1.
    pub attempt: u32,
    pub at: Timestamp,
    /// `None` while it runs, and for good where no answer came in time.
    pub status: Option<u16>,
}

impl Call {
    fn has_succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// An attempt, numbered from 0 in the order in which they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct CallId(pub(super) usize);

/// A call to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attempt {
    pub(super) id: CallId,
    pub(super) entry: usize,
}

/// All jobs of a run.
#[derive(Debug)]
pub(super) struct Engine {
    entries: Vec<ScheduleEntry>,
    /// To be made, by time and then in the order of the file: which entry, which attempt.
    coming: Vec<(Timestamp, usize, u32)>,
    /// Being made, until this time.
    open: BTreeMap<CallId, Timestamp>,
    calls: Vec<Call>,
}

impl Engine {
    /// The jobs, of a run that begins now.
    pub(super) fn new(entries: Vec<ScheduleEntry>, now: Timestamp) -> Engine {
        let firings = entries.iter().enumerate();
        let coming = firings.flat_map(|(at, entry)| entry.firings().map(move |after| (now + after, at, 1))).collect();
        Engine { entries, coming, open: BTreeMap::new(), calls: Vec::new() }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.coming.iter().map(|one| one.0).chain(self.open.values().copied()).min()
    }

    /// Time has passed: what is to be called now.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Attempt> {
        let late: Vec<CallId> = self.open.iter().filter(|(_, until)| **until <= now).map(|(id, _)| *id).collect();
        for id in late {
            self.answered(now, id, None);
        }
        let mut ready: Vec<(Timestamp, usize, u32)> = Vec::new();
        self.coming.retain(|one| {
            if one.0 <= now {
                ready.push(*one);
            }
            one.0 > now
        });
        ready.sort();
        ready.into_iter().filter_map(|(_, entry, attempt)| self.begin(now, entry, attempt)).collect()
    }

    fn begin(&mut self, now: Timestamp, entry: usize, attempt: u32) -> Option<Attempt> {
        let deadline = self.entries.get(entry)?.deadline();
        let id = CallId(self.calls.len());
        self.calls.push(Call { entry, attempt, at: now, status: None });
        self.open.insert(id, now + deadline);
        Some(Attempt { id, entry })
    }

    /// A call was answered with a status, or its connection broke. What comes after its deadline is
    /// not looked at any more.
    pub(super) fn answered(&mut self, now: Timestamp, id: CallId, status: Option<u16>) {
        if self.open.remove(&id).is_none() {
            return;
        }
        let Some(call) = self.calls.get_mut(id.0) else { return };
        call.status = status;
        let (entry, attempt, failed) = (call.entry, call.attempt, !call.has_succeeded());
        let Some(job) = self.entries.get(entry) else { return };
        if failed && attempt <= job.retries {
            self.coming.push((now + job.pause(attempt - 1), entry, attempt + 1));
        }
    }

    /// Whether nothing is running and nothing is to come.
    pub(super) fn is_done(&self) -> bool {
        self.coming.is_empty() && self.open.is_empty()
    }

    /// Every attempt so far, in the order in which they were made.
    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrimmage_core::duration::HumaneDuration;
    use std::time::Duration;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(seconds)
    }

    fn retrying(retries: u32) -> ScheduleEntry {
        ScheduleEntry { retries, ..ScheduleEntry::default() }
    }

    fn ids(attempts: &[Attempt]) -> Vec<usize> {
        attempts.iter().map(|one| one.id.0).collect()
    }

    #[test]
    fn a_success_is_the_end() {
        let mut engine = Engine::new(vec![retrying(3)], at(0));
        assert_eq!(ids(&engine.tick(at(0))), [0]);
        assert!(!engine.is_done());
        engine.answered(at(1), CallId(0), Some(202));
        assert!(engine.is_done() && engine.due().is_none());
    }

    #[test]
    fn a_failure_is_tried_again_after_growing_pauses_and_then_given_up() {
        let mut engine = Engine::new(vec![retrying(2)], at(0));
        engine.tick(at(0));
        engine.answered(at(1), CallId(0), Some(503));
        assert_eq!(engine.due(), Some(at(6)));
        assert_eq!(ids(&engine.tick(at(6))), [1]);
        engine.answered(at(6), CallId(1), None);
        assert_eq!(engine.due(), Some(at(16)));
        assert_eq!(ids(&engine.tick(at(16))), [2]);
        engine.answered(at(17), CallId(2), Some(429));
        assert!(engine.is_done());
        let attempts: Vec<(u32, Option<u16>)> = engine.calls().iter().map(|call| (call.attempt, call.status)).collect();
        assert_eq!(attempts, [(1, Some(503)), (2, None), (3, Some(429))]);
    }

    #[test]
    fn a_late_answer_is_a_failure_and_the_first_attempt_still_runs() {
        let mut engine = Engine::new(vec![retrying(1)], at(0));
        engine.tick(at(0));
        assert_eq!(engine.tick(at(179)), []);
        assert_eq!(engine.tick(at(180)), [], "the pause begins");
        assert_eq!(ids(&engine.tick(at(185))), [1]);
        engine.answered(at(186), CallId(0), Some(200));
        assert_eq!(engine.calls()[0].status, None, "nobody listens any more");
        engine.answered(at(187), CallId(1), Some(200));
        assert!(engine.is_done());
    }

    #[test]
    fn a_duplicate_is_a_call_of_its_own() {
        let twice = ScheduleEntry { duplicates: 1, ..ScheduleEntry::default() };
        let later = ScheduleEntry { at: HumaneDuration(Duration::from_secs(9)), ..ScheduleEntry::default() };
        let mut engine = Engine::new(vec![later, twice], at(0));
        let first = engine.tick(at(0));
        assert_eq!(first.iter().map(|one| one.entry).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(engine.due(), Some(at(9)));
        assert_eq!(engine.tick(at(9)).iter().map(|one| one.entry).collect::<Vec<_>>(), [0]);
    }
}
