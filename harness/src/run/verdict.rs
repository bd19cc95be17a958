//! What came of a run.

use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;

use super::Record;
use crate::SetupError;
use crate::invariants::{Finding, Invariant};
use crate::observe::EndState;
use crate::pipeline::{LogLine, Stream};
use crate::scenario::Scenario;

/// One invariant, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    pub name: Cow<'static, str>,
    pub finding: Finding,
}

impl Judged {
    pub(super) fn new(invariant: &'static Invariant, state: &EndState) -> Judged {
        Judged { name: invariant.name.into(), finding: (invariant.judge)(state) }
    }

    /// The pipeline did not get as far as to leave anything behind.
    pub(super) fn never_ran(error: &SetupError) -> Judged {
        Judged { name: "batch-completes".into(), finding: Finding::Broken(error.to_string()) }
    }
}

impl Serialize for Judged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (finding, text) = match &self.finding {
            Finding::Holds => ("holds", None),
            Finding::Broken(evidence) => ("broken", Some(evidence)),
            Finding::Moot(reason) => ("moot", Some(reason)),
        };
        let mut shape = serde_json::json!({ "name": self.name, "finding": finding });
        if let Some(text) = text {
            shape["text"] = text.as_str().into();
        }
        shape.serialize(serializer)
    }
}

/// Whether the run came out as the scenario says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Healthy, and every invariant holds.
    Holds,
    /// With a defect, and exactly what the scenario names breaks.
    Caught,
    /// Healthy, and something breaks.
    Broken,
    /// With a defect, and what breaks is not what the scenario names.
    NotAsNamed { unbroken: Vec<String>, also_broken: Vec<String> },
    /// With a defect that the scenario does not name: what it breaks is only reported.
    Observed,
    /// Not played: what the stage cannot do.
    Skipped(Vec<String>),
}

impl Verdict {
    pub(super) fn of(scenario: &Scenario, defect: Option<&str>, judged: &[Judged]) -> Verdict {
        let broken: Vec<&str> = judged.iter().filter(|one| one.finding.is_broken()).map(|one| &*one.name).collect();
        let Some(defect) = defect else {
            return if broken.is_empty() { Verdict::Holds } else { Verdict::Broken };
        };
        let Some(named) = scenario.expect.breaks.get(defect) else { return Verdict::Observed };
        let unbroken: Vec<String> = named.iter().filter(|name| !broken.contains(&name.as_str())).cloned().collect();
        let also_broken: Vec<String> =
            broken.iter().filter(|name| !named.iter().any(|one| one == *name)).map(|name| (*name).to_owned()).collect();
        if unbroken.is_empty() && also_broken.is_empty() {
            Verdict::Caught
        } else {
            Verdict::NotAsNamed { unbroken, also_broken }
        }
    }

    /// Whether nothing speaks against the run.
    pub fn is_good(&self) -> bool {
        matches!(self, Verdict::Holds | Verdict::Caught | Verdict::Observed | Verdict::Skipped(_))
    }

    /// The word for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Caught => "caught",
            Verdict::Broken => "broken",
            Verdict::NotAsNamed { .. } => "not-as-named",
            Verdict::Observed => "observed",
            Verdict::Skipped(_) => "skipped",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.word().serialize(serializer)
    }
}

/// One run's result.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub scenario: String,
    pub defect: Option<String>,
    pub pipeline: String,
    pub stage: String,
    pub verdict: Verdict,
    pub invariants: Vec<Judged>,
    pub seconds: f64,
    /// From the batch's start to the last thing that happened, where it came to rest.
    #[serde(skip)]
    pub batch_seconds: Option<f64>,
    pub seed: u64,
    /// The one command that makes this run again.
    pub repeat: String,
    /// What the pipeline's processes complained of, for whoever looks into a surprise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<String>,
    #[serde(skip)]
    pub title: String,
    /// The day of the incident.
    #[serde(skip)]
    pub incident: String,
    /// Its course, where a report asks for it.
    #[serde(skip)]
    pub record: Option<Arc<Record>>,
}

/// A few different complaints in the captured log: errors by their severity, and what went to stderr.
pub(super) fn complaints(log: &[LogLine]) -> Vec<String> {
    const SHOWN: usize = 5;
    const LONGEST: usize = 300;
    const ALIKE: usize = 40;
    let mut found: Vec<String> = Vec::new();
    for line in log {
        let text = match &line.fields {
            Some(fields) if fields["severity"] == "ERROR" => fields["message"].as_str().unwrap_or(&line.text),
            None if line.stream == Stream::Stderr => &line.text,
            _ => continue,
        };
        let text = format!("{}: {}", line.process, text.chars().take(LONGEST).collect::<String>());
        // Alike in how they begin is alike: what follows are ids.
        let beginning: String = text.chars().take(ALIKE).collect();
        if found.len() < SHOWN && !found.iter().any(|other| other.starts_with(&beginning)) {
            found.push(text);
        }
    }
    found
}

impl Outcome {
    /// An outcome to make others of, in tests and examples.
    pub fn example(scenario: &str, defect: Option<&str>, verdict: Verdict) -> Outcome {
        Outcome {
            scenario: scenario.to_owned(),
            defect: defect.map(str::to_owned),
            pipeline: "rust".to_owned(),
            stage: "embedded".to_owned(),
            verdict,
            invariants: Vec::new(),
            seconds: 1.25,
            batch_seconds: None,
            seed: 0,
            repeat: format!("scrimmage run {scenario}"),
            complaints: Vec::new(),
            title: String::new(),
            incident: "2026-01-01".to_owned(),
            record: None,
        }
    }

    /// The invariants that broke, with their evidence.
    pub fn broken(&self) -> impl Iterator<Item = (&str, &str)> {
        self.invariants.iter().filter_map(|one| match &one.finding {
            Finding::Broken(evidence) => Some((&*one.name, evidence.as_str())),
            _ => None,
        })
    }
}
