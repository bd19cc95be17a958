//! Faults at the gate: what is done to which calls, for every service alike.
//!
//! A [`FaultPlan`] is data, the same in scenario files (TOML), over `/admin/faults` (JSON) and in
//! Rust. A [`FaultGate`] is a plan at work: it counts calls and decides. It is a function of the
//! call and the time: the gateway does the waiting and the closing that a [`Decision`] asks for.
//!
//! ```
//! # use scrimmage_core::FaultPlan;
//! let plan: FaultPlan = serde_json::from_str(r#"[
//!     {"on": {"service": "firestore", "method": "Commit", "nth": 1}, "drop_after": true},
//!     {"on": {"resource": "**/prediction_batches/*"}, "delay": "40ms"}
//! ]"#).unwrap();
//! plan.check().unwrap();
//! ```

mod barrier;
mod delay;
mod drop;
mod error;
mod gate;
mod matching;
mod nth;
mod quota;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use barrier::{Barrier, BarrierWait};
pub use delay::Delay;
pub use drop::Drop;
pub use error::{Injected, InjectedError};
pub use gate::{Decision, End, FaultGate};
pub use matching::{JOB_RUN, Match};
pub use nth::Nth;
pub use quota::Quota;

/// A plan that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("fault {position} {problem}")]
pub struct FaultError {
    /// Counted from 1.
    pub position: usize,
    pub problem: &'static str,
}

/// Faults in the order in which they are tried; of several that would end a call the first does.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultPlan {
    pub faults: Vec<Fault>,
}

/// One fault: which calls, and what is done to them.
///
/// At least one action. Applied in this order: `barrier`, `delay`, then at most one end of `quota`,
/// `error`, `drop_before` and `drop_after`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// How the journal calls it; default `fault-N`, its position counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which calls; all where it is left out.
    #[serde(default)]
    pub on: Match,
    /// Holds calls until enough have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrier: Option<Barrier>,
    /// Holds each call for some time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Refuses calls above a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Answers in the service's stead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Injected>,
    /// Not applied, connection lost.
    #[serde(default, skip_serializing_if = "Drop::is_off")]
    pub drop_before: Drop,
    /// Applied, answer lost.
    #[serde(default, skip_serializing_if = "Drop::is_off")]
    pub drop_after: Drop,
}

impl FaultPlan {
    /// What a file can get wrong beyond the types of its fields.
    pub fn check(&self) -> Result<(), FaultError> {
        for (index, fault) in self.faults.iter().enumerate() {
            let fail = |problem| Err(FaultError { position: index + 1, problem });
            let ends =
                [fault.error.is_some(), fault.quota.is_some(), !fault.drop_before.is_off(), !fault.drop_after.is_off()];
            match ends.iter().filter(|end| **end).count() {
                0 if fault.barrier.is_none() && fault.delay.is_none() => {
                    return fail("does nothing: give it one of barrier, delay, quota, error, drop_before, drop_after");
                }
                0 | 1 => {}
                _ => return fail("has more than one of quota, error, drop_before, drop_after"),
            }
            if fault.on.is_within_jobs() && ends.contains(&true) {
                return fail("is for `jobs.run`, which is no call: it can be held (barrier, delay), not ended");
            }
            if fault.on.is_within_jobs() && fault.on.client.is_some() {
                return fail("is for `jobs.run`, which has no client: leave it out");
            }
            if fault.barrier.as_ref().is_some_and(|barrier| barrier.count == 0) {
                return fail("has a barrier for 0 calls");
            }
            if fault.quota.as_ref().is_some_and(|quota| quota.per.0.is_zero()) {
                return fail("has a quota per 0s");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> String {
        match serde_json::from_str::<FaultPlan>(json) {
            Ok(plan) => plan.check().expect_err("a bad plan").to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_plan() {
        assert!(problem(r#"[{"on": {"servise": "firestore"}, "delay": "1s"}]"#).starts_with("unknown field `servise`"));
        assert!(problem(r#"[{"delayed": "1s"}]"#).starts_with("unknown field `delayed`"));
        assert!(problem(r#"[{"delay": "1 second"}]"#).starts_with("`1 second` is not a duration"));
        assert!(problem(r#"[{"delay": "1s"}, {}]"#).starts_with("fault 2 does nothing"));
        assert!(problem(r#"[{"error": "ABORTED", "drop_after": true}]"#).contains("more than one of"));
        assert!(problem(r#"[{"error": "ABORT"}]"#).contains("`ABORT` is not a status"));
        assert!(problem(r#"[{"error": {"status": "ABORTED", "txt": "x"}}]"#).contains("unknown field `txt`"));
        assert!(problem(r#"[{"barrier": {"count": 0, "timeout": "1s"}}]"#).contains("barrier for 0 calls"));
        assert!(problem(r#"[{"on": {"method": "jobs.run"}, "error": "ABORTED"}]"#).contains("which is no call"));
        assert!(problem(r#"[{"on": {"method": "jobs.run", "client": "w"}, "delay": "1s"}]"#).contains("has no client"));
        assert!(problem(r#"[{"on": {"nth": 0}, "delay": "1s"}]"#).contains("counts from 1"));
        assert!(problem(r#"[{"on": {"resource": "a{b"}, "delay": "1s"}]"#).contains("without a `}`"));
    }

    #[test]
    fn a_plan_survives_json() {
        let text = r#"[{"name":"slow","on":{"service":"firestore","method":"Commit","resource":"**/a/*","client":"w-*","nth":[1,3]},"delay":"500ms"},{"on":{"nth":{"every":3}},"error":{"status":"ABORTED","text":"no"}},{"on":{"nth":{"from":2,"to":4}},"drop_after":true},{"on":{"nth":{"probability":0.25,"seed":7}},"quota":{"limit":5,"per":"10s"}},{"on":{},"barrier":{"count":40,"timeout":"5s"}}]"#;
        let plan: FaultPlan = serde_json::from_str(text).expect("a plan");
        plan.check().expect("a good plan");
        assert_eq!(serde_json::to_string(&plan).expect("JSON"), text);
    }
}
