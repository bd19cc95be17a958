//! Which calls a fault is for.

use serde::{Deserialize, Serialize};

use crate::CallInfo;
use crate::faults::Nth;
use crate::glob::Glob;

/// Conditions that must all hold; what is left out holds for every call. Patterns are [`Glob`]s.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `firestore`, `pubsub`, `bigquery`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Glob>,
    /// `Commit`, `Publish`, `jobs.insert`, `{Commit,BatchWrite}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Glob>,
    /// Any of the call's resources, such as `**/prediction_batches/*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Glob>,
    /// The caller: the label of the port it came in by, else its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Glob>,
    /// Which of the calls that meet the other conditions; default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<Nth>,
}

impl Match {
    /// Whether all conditions but `nth` hold.
    pub fn covers(&self, call: &CallInfo) -> bool {
        let holds = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        holds(&self.service, &call.service)
            && holds(&self.method, &call.method)
            && holds(&self.client, &call.client)
            && self.resource.as_ref().is_none_or(|glob| call.resources.iter().any(|name| glob.matches(name)))
    }
}
