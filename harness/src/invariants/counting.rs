//! Completions and the batch document.

use serde_json::Value;
use std::collections::BTreeSet;

use super::{Finding, some_of};
use crate::observe::EndState;

pub(super) fn one_batch_per_date(state: &EndState) -> Finding {
    match state.batches_of_date {
        0 | 1 => Finding::Holds,
        many => Finding::broken(format!("{many} batch documents for one date")),
    }
}

pub(super) fn no_acked_loss(state: &EndState) -> Finding {
    let completed = state.names("completed_players");
    let recorded: BTreeSet<&str> = completed.into_iter().chain(state.names("failed_players")).collect();
    let lost: Vec<&String> = state.acknowledged.iter().filter(|player| !recorded.contains(player.as_str())).collect();
    if lost.is_empty() {
        return Finding::Holds;
    }
    let (lost_count, all) = (lost.len(), state.acknowledged.len());
    Finding::broken(format!("{lost_count} of {all} acknowledged completions are not on record: {}", some_of(lost)))
}

pub(super) fn completions_counted_once(state: &EndState) -> Finding {
    if state.batch.is_none() {
        return Finding::moot("no batch document keeps count");
    }
    let completed = state.names("completed_players");
    let recorded: BTreeSet<&str> = completed.iter().copied().collect();
    let expected: BTreeSet<&str> = state.plan.players.iter().map(String::as_str).collect();
    // Who never reported is the business of batch-completes.
    let reported: BTreeSet<&str> = state.reported.keys().map(String::as_str).collect();
    let missing: Vec<&&str> = reported.difference(&recorded).collect();
    if !missing.is_empty() {
        let (count, of) = (missing.len(), reported.len());
        return Finding::broken(format!("{count} of {of} players are not in completed_players: {}", some_of(missing)));
    }
    let strange: Vec<&&str> = recorded.difference(&expected).collect();
    if !strange.is_empty() {
        return Finding::broken(format!("nobody asked for {}", some_of(strange)));
    }
    if completed.len() > recorded.len() {
        return Finding::broken(format!("{} entries for {} players", completed.len(), recorded.len()));
    }
    let sum: i64 = state.reported.values().sum();
    match state.field("total_predictions").and_then(Value::as_i64) {
        Some(total) if total == sum => Finding::Holds,
        total => Finding::broken(format!(
            "total_predictions is {}, the completions sum up to {sum}",
            total.map_or("missing".to_owned(), |total| total.to_string())
        )),
    }
}

pub(super) fn map_keys_are_players(state: &EndState) -> Finding {
    let Some(Value::Object(map)) = state.field("predictions_by_player") else {
        return Finding::moot("predictions_by_player is not kept");
    };
    let recorded: BTreeSet<&str> = state.names("completed_players").into_iter().collect();
    let without: Vec<&&str> =
        recorded.iter().filter(|player| !map.get(**player).is_some_and(Value::is_number)).collect();
    let strange: Vec<&String> = map.keys().filter(|key| !recorded.contains(key.as_str())).collect();
    if without.is_empty() && strange.is_empty() {
        return Finding::Holds;
    }
    let mut evidence = Vec::new();
    if !without.is_empty() {
        evidence.push(format!("no count under {}", some_of(without)));
    }
    if !strange.is_empty() {
        evidence.push(format!("keys that are no players: {}", some_of(strange)));
    }
    Finding::broken(evidence.join("; "))
}

pub(super) fn batch_completes(state: &EndState) -> Finding {
    if state.is_complete() && state.in_time {
        return Finding::Holds;
    }
    if let Finding::Broken(_) = completions_counted_once(state) {
        return Finding::moot("completions are missing: see completions-counted-once");
    }
    if state.batch.is_none() {
        let of = state.acknowledged.len();
        return Finding::broken(format!("{of} completions were acknowledged and no batch document says complete"));
    }
    if state.is_complete() {
        return Finding::broken(format!("complete, but not within {}", state.plan.within));
    }
    let unheard: Vec<&String> =
        state.plan.players.iter().filter(|player| !state.reported.contains_key(*player)).collect();
    if !unheard.is_empty() {
        let (count, of) = (unheard.len(), state.plan.players.len());
        return Finding::broken(format!("{count} of {of} players never report and nobody goes on without them"));
    }
    Finding::broken(format!("all completions are in and is_complete is not set within {}", state.plan.within))
}

#[cfg(test)]
mod tests {
    use super::super::examples::healthy;
    use super::*;
    use serde_json::json;

    fn set(state: &mut EndState, field: &str, value: Value) {
        state.batch.as_mut().expect("a batch").insert(field.to_owned(), value);
    }

    #[test]
    fn a_lost_completion_breaks_counting_and_not_completion() {
        let mut state = healthy();
        set(&mut state, "completed_players", json!(["o'neale"]));
        set(&mut state, "is_complete", json!(false));
        assert!(no_acked_loss(&state).is_broken());
        assert!(completions_counted_once(&state).is_broken());
        assert!(matches!(batch_completes(&state), Finding::Moot(_)));
    }

    #[test]
    fn a_batch_that_left_no_trace_breaks_completion() {
        let mut state = healthy();
        state.batch = None;
        assert!(batch_completes(&state).is_broken());
        assert!(no_acked_loss(&state).is_broken());
        assert!(matches!(completions_counted_once(&state), Finding::Moot(_)));
    }

    #[test]
    fn a_doubled_total_is_not_counted_once() {
        let mut state = healthy();
        set(&mut state, "total_predictions", json!(8));
        assert!(completions_counted_once(&state).is_broken());
    }

    #[test]
    fn a_dot_that_nests_is_no_flat_key() {
        let mut state = healthy();
        set(&mut state, "predictions_by_player", json!({ "o'neale": 2, "p": { "j": { "-tucker": 2 } } }));
        let Finding::Broken(evidence) = map_keys_are_players(&state) else { panic!("it must break") };
        assert!(evidence.contains("p.j.-tucker"), "{evidence}");
    }
}
