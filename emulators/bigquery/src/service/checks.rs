//! What the fields of resources and configurations have to be, where nothing else looks at them.

use serde_json::Value;

use super::error::{ApiError, ApiResult};
use crate::texts;

/// Longest key and longest value of a label, in characters.
const LABEL_LENGTH: usize = 63;
/// Labels of one resource.
const LABELS: usize = 64;

/// `labels` of a body or a configuration: letters (no capitals), digits, underscores and dashes; keys begin with a letter.
pub fn labels(body: &Value) -> ApiResult<()> {
    let Some(labels) = body.get("labels").and_then(Value::as_object) else { return Ok(()) };
    if labels.len() > LABELS {
        return Err(ApiError::invalid(format!("There can be no more than {LABELS} labels")));
    }
    let fits = |text: &str| {
        text.chars().count() <= LABEL_LENGTH
            && text.chars().all(|c| c == '_' || c == '-' || c.is_numeric() || (c.is_alphabetic() && !c.is_uppercase()))
    };
    for (key, value) in labels {
        if !fits(key) || !key.chars().next().is_some_and(char::is_alphabetic) {
            return Err(ApiError::invalid(texts::bad_label("key", key)));
        }
        if let Some(value) = value.as_str().filter(|value| !fits(value)) {
            return Err(ApiError::invalid(texts::bad_label("value", value)));
        }
    }
    Ok(())
}

/// That a field, where it is there, has one of these values.
pub fn choice(body: &Value, key: &str, values: &[&str]) -> ApiResult<()> {
    match body.get(key).and_then(Value::as_str) {
        Some(text) if !values.contains(&text) => Err(texts_choice(key, text)),
        _ => Ok(()),
    }
}

/// The same of a field that lists such values.
pub fn choices(body: &Value, key: &str, values: &[&str]) -> ApiResult<()> {
    let mut list = body.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    match list.find(|text| !values.contains(text)) {
        Some(text) => Err(texts_choice(key, text)),
        None => Ok(()),
    }
}

fn texts_choice(key: &str, text: &str) -> ApiError {
    ApiError::invalid(format!("Invalid value for {key}: {text} is not a valid value"))
}

/// A whole number, as REST sends it: as a number or as its text. `None` where there is none.
fn whole(body: &Value, key: &str) -> ApiResult<Option<i64>> {
    let number = match body.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    let bad = || ApiError::invalid(format!("Invalid value for {key}: {} is not a valid value", body[key]));
    number.map(Some).ok_or_else(bad)
}

/// A dataset's labels and numbers: tables and partitions live an hour at least, time travel reaches two to seven
/// whole days.
pub fn dataset(body: &Value) -> ApiResult<()> {
    const HOUR: i64 = 3_600_000;
    labels(body)?;
    if whole(body, "defaultTableExpirationMs")?.is_some_and(|ms| ms < HOUR) {
        return Err(ApiError::invalid(format!("Invalid value for defaultTableExpirationMs: must be at least {HOUR}")));
    }
    whole(body, "defaultPartitionExpirationMs")?;
    if whole(body, "maxTimeTravelHours")?.is_some_and(|hours| !(48..=168).contains(&hours) || hours % 24 != 0) {
        return Err(ApiError::invalid(
            "Invalid value for maxTimeTravelHours: must be a multiple of 24 from 48 (two days) to 168 (seven days)",
        ));
    }
    choice(body, "storageBillingModel", &["LOGICAL", "PHYSICAL", "STORAGE_BILLING_MODEL_UNSPECIFIED"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_of_small_letters() {
        assert!(labels(&json!({"labels": {"team-1": "data_eng", "größe": "", "gone": null}})).is_ok());
        for bad in
            [json!({"A": "b"}), json!({"": "b"}), json!({"1a": "b"}), json!({"a": "b c"}), json!({"a": "x".repeat(64)})]
        {
            assert!(labels(&json!({ "labels": bad })).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_come_as_texts_too() {
        assert!(dataset(&json!({"defaultTableExpirationMs": "3600000", "maxTimeTravelHours": 48})).is_ok());
        for bad in [
            json!({"defaultTableExpirationMs": "1000"}),
            json!({"defaultTableExpirationMs": "soon"}),
            json!({"maxTimeTravelHours": "50"}),
            json!({"storageBillingModel": "FREE"}),
        ] {
            assert!(dataset(&bad).is_err(), "{bad}");
        }
    }
}
