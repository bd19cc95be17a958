//! Whether a scenario can do to a pipeline what it says.

use super::read::lines_where;
use super::{Scenario, When};
use crate::SetupError;
use crate::mistakes::did_you_mean;
use crate::pipeline::Pipeline;

impl Scenario {
    /// What no reading of the scenario alone can tell: faults on processes that there are not, moments
    /// that never come.
    pub fn fits(&self, pipeline: &Pipeline, players: usize) -> Result<(), SetupError> {
        self.misfit(pipeline, players).map_err(|(text, problem)| SetupError::File {
            file: self.file.clone(),
            line: lines_where(&self.file, &text).first().copied(),
            problem,
        })
    }

    fn misfit(&self, pipeline: &Pipeline, players: usize) -> Result<(), (String, String)> {
        let known = || pipeline.processes.iter().map(|process| process.name.as_str());
        for fault in &self.faults {
            let called = fault.call.as_ref().map(|call| &call.process);
            let named = [&fault.kill, &fault.terminate, &fault.crash, &fault.duplicate_delivery].into_iter().flatten();
            for name in named.chain(called) {
                let Some(process) = pipeline.processes.iter().find(|process| process.name == *name) else {
                    let (guess, known) = (did_you_mean(name, known()), known().collect::<Vec<_>>().join(", "));
                    let problem =
                        format!("pipeline `{}` has no process `{name}`{guess}; it has {known}", pipeline.name);
                    return Err((format!("\"{name}\""), problem));
                };
                if fault.duplicate_delivery.is_some() && process.push.is_none() {
                    let problem = format!("the fault strikes nothing: nothing is pushed to process `{name}`");
                    return Err(("duplicate_delivery".to_owned(), problem));
                }
            }
            if let When::Completions(count) = &fault.when
                && *count > players
            {
                let problem =
                    format!("the fault never acts: there are {players} players, so never {count} completions");
                return Err((format!("completions = {count}"), problem));
            }
            let client = fault.gate.as_ref().and_then(|gate| gate.on.client.as_ref());
            if let Some(client) = client.filter(|client| !known().any(|name| client.matches(name))) {
                let written = serde_json::to_value(client).ok().and_then(|value| value.as_str().map(str::to_owned));
                let written = written.unwrap_or_default();
                let (guess, known) = (did_you_mean(&written, known()), known().collect::<Vec<_>>().join(", "));
                let problem = format!("the fault strikes nothing: no process is `{written}`{guess}; there are {known}");
                return Err((format!("\"{written}\""), problem));
            }
        }
        Ok(())
    }
}
