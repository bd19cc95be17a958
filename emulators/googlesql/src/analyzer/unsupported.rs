//! Functions that production documents and this engine does not have: they say so.
//!
//! They need a model, a key service, object storage, raster data or a table's change history.

use crate::error::SqlError;

const NAMES: &[&str] = &[
    "appends",
    "changes",
    "vector_search",
    "search_index",
    "external_object_transform",
    "external_query",
    "s2_coveringcellids",
    "st_regionstats",
    "deterministic_encrypt",
    "deterministic_decrypt_bytes",
    "deterministic_decrypt_string",
    "dlp_deterministic_encrypt",
    "dlp_deterministic_decrypt",
    "dlp_key_chain",
];

/// Whole families, by what stands before the dot.
const FAMILIES: &[&str] = &["aead", "keys", "ml", "ai", "obj"];

/// The refusal, where the name is such a function's.
pub(super) fn function(name: &str) -> Option<SqlError> {
    let lower = name.to_lowercase();
    let family = lower.split_once('.').map(|(family, _)| family);
    let known = NAMES.contains(&lower.as_str()) || family.is_some_and(|family| FAMILIES.contains(&family));
    known.then(|| SqlError::unsupported(format!("Function {} is not supported", name.to_uppercase())))
}
