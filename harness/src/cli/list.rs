//! `scrimmage list`.

use clap::Args;

use super::{End, say};
use crate::SetupError;
use crate::invariants::CATALOGUE;
use crate::layout::Layout;
use crate::pipeline::Pipeline;
use crate::scenario::all;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A pipeline of fixtures/pipelines, or a path to a pipeline.toml
    #[arg(long, default_value = "rust")]
    pipeline: String,
}

pub(crate) fn list(arguments: &Arguments) -> Result<End, SetupError> {
    let layout = Layout::find()?;
    say("Scenarios");
    for scenario in all(&layout)? {
        say(&format!("  {:30} {} ({})", scenario.name, scenario.title, scenario.incident));
        let checks: Vec<&str> = scenario.checks.iter().map(|check| check.name.as_str()).collect();
        match scenario.catches.as_slice() {
            [] => say(&format!("  {:30} checks {}", "", checks.join(", "))),
            defects => say(&format!("  {:30} catches {}", "", defects.join(", "))),
        }
    }
    let pipeline = Pipeline::read(&layout, &arguments.pipeline)?;
    say(&format!("\nDefects of pipeline `{}`\n  {}", pipeline.name, pipeline.defects.known.join("\n  ")));
    say("\nInvariants");
    for invariant in CATALOGUE {
        say(&format!("  {:30} {}", invariant.name, invariant.holds_when));
    }
    Ok(End::Held)
}
