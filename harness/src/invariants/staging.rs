//! The consolidation and what it leaves of the staging tables.

use serde_json::Value;

use super::{Finding, some_of};
use crate::observe::EndState;
use crate::scenario::Consolidation;

/// The status of a batch whose consolidation has been claimed and has not ended.
const CLAIMED: &str = "consolidating";

pub(super) fn bounded_wait(state: &EndState) -> Finding {
    if state.status() != CLAIMED {
        return Finding::Holds;
    }
    Finding::broken("the consolidation is claimed, nobody works on it, and the claim is not taken over")
}

pub(super) fn no_old_staging(state: &EndState) -> Finding {
    match state.old_staging.len() {
        0 => Finding::Holds,
        old => Finding::broken(format!("{old} staging tables are older than a day: {}", some_of(&state.old_staging))),
    }
}

pub(super) fn batch_consolidates(state: &EndState) -> Finding {
    if !state.is_complete() {
        return Finding::moot("the batch is not complete");
    }
    let why = || state.field("failure").and_then(Value::as_str).unwrap_or("it does not say why").to_owned();
    match state.plan.consolidation {
        Consolidation::Succeeds if state.consolidated() => Finding::Holds,
        Consolidation::Succeeds if state.failed() => Finding::broken(format!("the consolidation failed: {}", why())),
        Consolidation::Fails if state.failed() => Finding::Holds,
        Consolidation::Fails if state.consolidated() => {
            Finding::broken("the consolidation says that it succeeded, with nothing that it could have done")
        }
        _ if state.status() == CLAIMED => Finding::moot("the consolidation has not ended: see bounded-wait"),
        _ => Finding::broken(format!("the consolidation has not ended: status is `{}`", state.status())),
    }
}

pub(super) fn staging_kept_on_failure(state: &EndState) -> Finding {
    let touched_nothing = state.field("rows_affected").and_then(Value::as_i64) == Some(0);
    if !state.failed() && !touched_nothing {
        return Finding::moot("the consolidation has not failed");
    }
    let (left, before) = (state.staging_tables.len(), state.staged_tables);
    if left < before {
        return Finding::broken(format!("{left} of {before} staging tables are left after a failure"));
    }
    if !state.failed() {
        return Finding::broken(format!("no row was touched and the batch says `{}`", state.status()));
    }
    Finding::Holds
}

pub(super) fn staging_cleaned_on_success(state: &EndState) -> Finding {
    if !state.consolidated() {
        return Finding::moot("the consolidation has not succeeded");
    }
    match state.staging_tables.len() {
        0 => Finding::Holds,
        left => Finding::broken(format!("{left} staging tables are left")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::healthy;
    use super::*;
    use serde_json::json;

    fn failed() -> EndState {
        let mut state = healthy();
        let batch = state.batch.as_mut().expect("a batch");
        batch.insert("status".into(), json!("failed"));
        batch.remove("rows_affected");
        state
    }

    #[test]
    fn staging_dropped_after_a_failure_is_noticed() {
        let mut state = failed();
        assert!(staging_kept_on_failure(&state).is_broken());
        state.staging_tables = vec!["a".into(), "b".into()];
        assert_eq!(staging_kept_on_failure(&state), Finding::Holds);
    }

    #[test]
    fn a_success_that_touched_nothing_is_none() {
        let mut state = healthy();
        state.batch.as_mut().expect("a batch").insert("rows_affected".into(), json!(0));
        state.staging_tables = vec!["a".into(), "b".into()];
        assert!(staging_kept_on_failure(&state).is_broken());
    }

    #[test]
    fn a_failure_is_right_where_the_scenario_asks_for_one() {
        let mut state = failed();
        assert!(batch_consolidates(&state).is_broken());
        state.plan.consolidation = Consolidation::Fails;
        assert_eq!(batch_consolidates(&state), Finding::Holds);
        let mut state = healthy();
        state.plan.consolidation = Consolidation::Fails;
        assert!(batch_consolidates(&state).is_broken());
    }

    #[test]
    fn a_claim_that_nobody_takes_over_is_one_finding() {
        let mut state = healthy();
        state.batch.as_mut().expect("a batch").insert("status".into(), json!("consolidating"));
        assert!(bounded_wait(&state).is_broken());
        assert!(matches!(batch_consolidates(&state), Finding::Moot(_)));
    }

    #[test]
    fn a_table_of_yesterday_is_noticed() {
        let mut state = healthy();
        state.old_staging = vec!["_staging_x".into()];
        assert!(no_old_staging(&state).is_broken());
    }

    #[test]
    fn leftovers_of_a_success_are_noticed() {
        let mut state = healthy();
        state.staging_tables = vec!["left".into()];
        assert!(staging_cleaned_on_success(&state).is_broken());
    }
}
