//! When two answers count as equal, and which differences are the dialects' own.

use serde_json::Value as Json;

use super::Answer;

/// Relative: both engines leave the last bits of transcendental functions to their libraries.
const TOLERANCE: f64 = 1e-12;

pub fn agree(ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Answer::Value(ours), Answer::Value(theirs)) => same(ours, theirs),
        _ => false,
    }
}

fn same(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            a == b || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::String(a), Json::String(b)) => a == b || nanos_cut(a) == nanos_cut(b) && b.ends_with('Z'),
        (a, b) => a == b,
    }
}

/// Spanner's timestamps have nanoseconds; what shows is cut where zeros begin.
fn nanos_cut(text: &str) -> String {
    match text.strip_suffix('Z').and_then(|text| text.split_once('.')) {
        Some((seconds, fraction)) => {
            let fraction = fraction.get(..6).unwrap_or(fraction).trim_end_matches('0');
            if fraction.is_empty() { format!("{seconds}Z") } else { format!("{seconds}.{fraction}Z") }
        }
        None => text.to_owned(),
    }
}

/// Differences that `DIFFERENCES.md` explains.
pub fn known(sql: &str, ours: &Answer, theirs: &Answer) -> bool {
    let _ = (sql, ours, theirs);
    false
}
