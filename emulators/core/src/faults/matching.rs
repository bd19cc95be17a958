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

/// No call but a moment within BigQuery: a job's statement, load, copy or extraction has begun to run. Only a
/// fault that names it is for it, so that `jobs.*` counts and holds each job once, at its call.
pub const JOB_RUN: &str = "jobs.run";

impl Match {
    /// Whether the fault names [`JOB_RUN`].
    pub fn is_within_jobs(&self) -> bool {
        self.method.as_ref().is_some_and(|method| method.to_string() == JOB_RUN)
    }

    /// Whether all conditions but `nth` hold.
    pub fn covers(&self, call: &CallInfo) -> bool {
        if &*call.method == JOB_RUN && !self.is_within_jobs() {
            return false;
        }
        let holds = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        holds(&self.service, &call.service)
            && holds(&self.method, &call.method)
            && holds(&self.client, &call.client)
            && self.resource.as_ref().is_none_or(|glob| call.resources.iter().any(|name| glob.matches(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_of_a_job_is_for_those_that_name_it() {
        let run = CallInfo::new("bigquery", JOB_RUN, "projects/p/datasets/d/tables/t", "");
        let on = |json: &str| serde_json::from_str::<Match>(json).expect("conditions").covers(&run);
        assert!(on(r#"{"method": "jobs.run"}"#));
        assert!(on(r#"{"service": "bigquery", "method": "jobs.run", "resource": "**/tables/t"}"#));
        assert!(!on(r#"{"method": "jobs.run", "resource": "**/tables/u"}"#));
        assert!(!on(r#"{"method": "jobs.*"}"#));
        assert!(!on(r#"{"service": "bigquery"}"#));
    }
}
