//! One object a scenario or cell: the run worth a look, and how all of its runs ended.

use super::Tried;

/// A JSON array, in the order of the cells.
pub fn to_json(tried: &[Tried]) -> String {
    // Names, strings and numbers: there is nothing in it that could fail to serialise.
    serde_json::to_string_pretty(tried).unwrap_or_default()
}
