//! The captured log.

use serde_json::Value;
use std::collections::BTreeSet;

use super::{Finding, some_of};
use crate::observe::EndState;

/// A completion is visible once it is on record, be it by a first delivery or a later one: a
/// process may be killed between its commit and its line.
const RECORDED: [&str; 2] = ["completion_recorded", "completion_repeated"];

pub(super) fn milestones_logged(state: &EndState) -> Finding {
    let lines = || state.log.iter().filter_map(|line| line.fields.as_ref());
    let milestone = |fields: &Value| fields["milestone"].as_str().unwrap_or_default().to_owned();
    let logged: BTreeSet<String> = lines().map(milestone).collect();
    let mut taken = vec!["batch_started", "requests_published"];
    if state.is_complete() {
        taken.extend(["batch_complete", "consolidation_started"]);
    }
    if state.consolidated() {
        taken.extend(["merge_done", "staging_dropped", "phase5_published"]);
    }
    if state.failed() {
        taken.push("consolidation_failed");
    }
    let missing: Vec<&str> = taken.into_iter().filter(|step| !logged.contains(*step)).collect();
    if !missing.is_empty() {
        return Finding::broken(format!("not in the log: {}", some_of(missing)));
    }
    let told: BTreeSet<&str> = lines()
        .filter(|fields| RECORDED.contains(&fields["milestone"].as_str().unwrap_or_default()))
        .filter_map(|fields| fields["player_lookup"].as_str())
        .collect();
    let untold: Vec<&str> =
        state.names("completed_players").into_iter().filter(|player| !told.contains(player)).collect();
    if untold.is_empty() {
        return Finding::Holds;
    }
    Finding::broken(format!("no line about the completion of {}", some_of(untold)))
}

#[cfg(test)]
mod tests {
    use super::super::examples::healthy;
    use super::*;

    #[test]
    fn a_swallowed_log_is_noticed() {
        let mut state = healthy();
        state.log.retain(|line| !line.text.contains("merge_done"));
        assert!(milestones_logged(&state).is_broken());
        let mut state = healthy();
        state.log.remove(0);
        assert!(milestones_logged(&state).is_broken());
    }
}
