//! The message that starts the next phase.

use serde_json::Value;

use super::Finding;
use crate::observe::EndState;

pub(super) fn exactly_once(state: &EndState) -> Finding {
    if !state.consolidated() {
        return Finding::moot("there is nothing to announce");
    }
    let [announcement] = state.announcements.as_slice() else {
        return Finding::broken(format!("{} messages for one batch", state.announcements.len()));
    };
    let content = &announcement.content;
    if content["status"] != "success" {
        return Finding::broken(format!("its status is {}, the contract says \"success\"", content["status"]));
    }
    if content["batch_id"] != state.batch_id.as_str() {
        return Finding::broken(format!("it announces batch {}", content["batch_id"]));
    }
    let players =
        |key: &[Option<String>]| state.reported.keys().any(|player| key.iter().flatten().any(|part| part == player));
    let rows = state.main.iter().filter(|row| players(&row.key)).count();
    match content["count"].as_u64().and_then(|count| usize::try_from(count).ok()) {
        Some(count) if count != rows => Finding::broken(format!("it says {count} rows, the table has {rows}")),
        Some(count) if announcement.rows_readable < count => {
            Finding::broken(format!("it came when {} of its {count} rows were readable", announcement.rows_readable))
        }
        Some(_) => Finding::Holds,
        None => Finding::broken(format!("its count is {}", content.get("count").unwrap_or(&Value::Null))),
    }
}

pub(super) fn never_on_failure(state: &EndState) -> Finding {
    if state.consolidated() {
        return Finding::moot("the consolidation has succeeded");
    }
    match state.announcements.len() {
        0 => Finding::Holds,
        many => Finding::broken(format!("{many} messages for a batch with status `{}`", state.status())),
    }
}

pub(super) fn one_export_a_batch(state: &EndState) -> Finding {
    match state.announcements.iter().map(|announcement| announcement.subscriptions.len()).max() {
        None => Finding::moot("nothing was announced"),
        Some(0 | 1) => Finding::Holds,
        Some(many) => Finding::broken(format!("{many} subscriptions start one export each for the same message")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::healthy;
    use super::*;
    use serde_json::json;

    #[test]
    fn twice_is_not_once_and_never_is_not_either() {
        let mut state = healthy();
        state.announcements.push(state.announcements[0].clone());
        assert!(exactly_once(&state).is_broken());
        state.announcements.clear();
        assert!(exactly_once(&state).is_broken());
    }

    #[test]
    fn the_words_of_the_contract_count() {
        for (field, value) in
            [("status", json!("complete")), ("count", json!(3)), ("count", json!("4")), ("batch_id", json!("c"))]
        {
            let mut state = healthy();
            state.announcements[0].content[field] = value;
            assert!(exactly_once(&state).is_broken(), "{field}");
        }
    }

    #[test]
    fn rows_must_be_readable_when_it_comes() {
        let mut state = healthy();
        state.announcements[0].rows_readable = 3;
        assert!(exactly_once(&state).is_broken());
    }

    #[test]
    fn two_subscriptions_are_two_exports_and_two_messages_are_not() {
        let mut state = healthy();
        state.announcements.push(state.announcements[0].clone());
        assert_eq!(one_export_a_batch(&state), Finding::Holds);
        state.announcements[0].subscriptions.insert("another".into());
        assert!(one_export_a_batch(&state).is_broken());
    }

    #[test]
    fn a_failed_batch_announces_nothing() {
        let mut state = healthy();
        state.batch.as_mut().expect("a batch").insert("status".into(), json!("failed"));
        assert!(never_on_failure(&state).is_broken());
        state.announcements.clear();
        assert_eq!(never_on_failure(&state), Finding::Holds);
    }
}
