//! A whole scenario in a test.

use crate::SetupError;
use crate::layout::Layout;
use crate::run::{Options, Outcome, Setting, rehearse};
use crate::scenario::find;

/// One scenario with one pipeline, to be run once.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    scenario: String,
    pipeline: String,
    defect: Option<String>,
    options: Options,
    layout: Option<Layout>,
}

impl Rehearsal {
    /// Of a scenario by name, or by a path to its file.
    pub fn of(scenario: impl Into<String>) -> Rehearsal {
        Rehearsal {
            scenario: scenario.into(),
            pipeline: "rust".to_owned(),
            defect: None,
            options: Options::default(),
            layout: None,
        }
    }

    /// A pipeline by name, or a path to its `pipeline.toml`; default the reference pipeline.
    pub fn pipeline(mut self, pipeline: impl Into<String>) -> Self {
        self.pipeline = pipeline.into();
        self
    }

    /// With a defect; default healthy.
    pub fn defect(mut self, defect: impl Into<String>) -> Self {
        self.defect = Some(defect.into());
        self
    }

    /// See [`Options::seed`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Keeps the course of the run, with at most so many calls, in [`Outcome::record`].
    pub fn record(mut self, calls: usize) -> Self {
        self.options.record_calls = Some(calls);
        self
    }

    /// Where scenarios and fixtures are; default the nearest folder above the working folder that has them.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Runs it.
    pub async fn run(self) -> Result<Outcome, SetupError> {
        let layout = match self.layout {
            Some(layout) => layout,
            None => Layout::find()?,
        };
        let scenario = find(&layout, &self.scenario)?;
        let setting = Setting::prepare(layout, &self.pipeline, &|text| eprintln!("{text}")).await?;
        rehearse(&setting.with_options(self.options), &scenario, self.defect.as_deref()).await
    }
}
