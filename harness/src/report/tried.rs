//! What came of a scenario with or without a defect, over all the times that it was run.

use serde::Serialize;
use std::collections::BTreeMap;

use crate::run::{Outcome, Verdict};

/// One cell of the grid. A run that is repeated is as good as its worst time.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The run that a reader wants to see: the first of the worst.
    #[serde(flatten)]
    pub shown: Outcome,
    pub runs: Runs,
    /// Of the first run; each further one has the next.
    pub first_seed: u64,
}

/// How all the runs of a cell ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Runs {
    pub total: usize,
    /// As the scenario says: healthy and nothing broke, or with its defect and exactly what it names broke.
    /// Of a defect that the scenario is not about: all.
    pub as_named: usize,
    /// In which something broke.
    pub broke: usize,
    /// With a defect of the scenario's own: in which something that it names did not break.
    pub missed: usize,
    /// By invariant, in how many of them it broke.
    pub broken: BTreeMap<String, usize>,
    pub seconds: Seconds,
}

/// How long the runs took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    pub least: f64,
    pub most: f64,
    pub in_all: f64,
}

impl From<Outcome> for Tried {
    fn from(outcome: Outcome) -> Tried {
        let mut tried = Tried { runs: Runs::default(), first_seed: outcome.seed, shown: outcome };
        tried.runs.count(&tried.shown);
        tried
    }
}

impl Tried {
    /// One more run of the same.
    pub fn again(&mut self, outcome: Outcome) {
        self.first_seed = self.first_seed.min(outcome.seed);
        self.runs.count(&outcome);
        if rank(&outcome) > rank(&self.shown) {
            self.shown = outcome;
        }
    }

    /// Whether nothing speaks against any of the runs.
    pub fn is_good(&self) -> bool {
        self.shown.verdict.is_good()
    }

    /// Whether it was not played.
    pub fn is_skipped(&self) -> bool {
        matches!(self.shown.verdict, Verdict::Skipped(_))
    }

    /// Whether something breaks, but not always: of a defect that the scenario is not about that is no
    /// fault, and still nothing to rely on.
    pub fn is_unsure(&self) -> bool {
        self.runs.broke > 0 && self.runs.broke < self.runs.total
    }

    /// How often, in words; nothing where it was run once.
    pub fn counted(&self) -> Option<String> {
        let Runs { total, as_named, broke, missed, .. } = &self.runs;
        if *total < 2 {
            return None;
        }
        Some(match (&self.shown.verdict, self.shown.defect.is_some()) {
            (Verdict::Skipped(_), _) => format!("{total} times"),
            (Verdict::Observed, _) => format!("broke in {broke} of {total}"),
            (_, false) => format!("alarm in {broke} of {total}"),
            (_, true) if *missed > 0 => format!("caught {as_named} of {total}, missed {missed}"),
            (_, true) => format!("caught {as_named} of {total}"),
        })
    }
}

impl Runs {
    fn count(&mut self, outcome: &Outcome) {
        let least = if self.total == 0 { outcome.seconds } else { self.seconds.least.min(outcome.seconds) };
        let most = self.seconds.most.max(outcome.seconds);
        self.seconds = Seconds { least, most, in_all: self.seconds.in_all + outcome.seconds };
        self.total += 1;
        self.as_named += usize::from(outcome.verdict.is_good());
        self.broke += usize::from(outcome.broken().next().is_some());
        let missed = matches!(&outcome.verdict, Verdict::NotAsNamed { unbroken, .. } if !unbroken.is_empty());
        self.missed += usize::from(missed);
        for (name, _) in outcome.broken() {
            *self.broken.entry(name.to_owned()).or_default() += 1;
        }
    }
}

/// The higher the more it is worth a look.
fn rank(outcome: &Outcome) -> u8 {
    match outcome.verdict.is_good() {
        false => 2,
        true => u8::from(matches!(outcome.verdict, Verdict::Observed) && outcome.broken().next().is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::Finding;
    use crate::run::Judged;

    fn broke(defect: Option<&str>, verdict: Verdict) -> Outcome {
        let judged = Judged { name: "keys-unique".into(), finding: Finding::Broken("twice".into()) };
        Outcome { invariants: vec![judged], seconds: 3.0, ..Outcome::example("one", defect, verdict) }
    }

    #[test]
    fn the_worst_run_is_shown_and_all_are_counted() {
        let mut tried = Tried::from(Outcome::example("one", None, Verdict::Holds));
        assert_eq!((tried.counted(), tried.is_good()), (None, true));
        tried.again(broke(None, Verdict::Broken));
        tried.again(Outcome::example("one", None, Verdict::Holds));
        assert_eq!(tried.counted().as_deref(), Some("alarm in 1 of 3"));
        assert!(!tried.is_good() && tried.is_unsure() && tried.shown.verdict == Verdict::Broken);
        assert_eq!(tried.runs.broken["keys-unique"], 1);
        assert_eq!(tried.runs.seconds, Seconds { least: 1.25, most: 3.0, in_all: 5.5 });
    }

    #[test]
    fn a_defect_that_is_missed_once_is_missed() {
        let missed = Verdict::NotAsNamed { unbroken: vec!["keys-unique".into()], also_broken: Vec::new() };
        let mut tried = Tried::from(broke(Some("bug"), Verdict::Caught));
        tried.again(Outcome::example("one", Some("bug"), missed));
        assert_eq!(tried.counted().as_deref(), Some("caught 1 of 2, missed 1"));
        assert!(!tried.is_good());
    }

    #[test]
    fn what_a_scenario_is_not_about_may_break_now_and_then() {
        let mut tried = Tried::from(Outcome::example("one", Some("other"), Verdict::Observed));
        tried.again(broke(Some("other"), Verdict::Observed));
        assert_eq!(tried.counted().as_deref(), Some("broke in 1 of 2"));
        assert!(tried.is_good() && tried.is_unsure() && tried.shown.broken().next().is_some());
    }
}
