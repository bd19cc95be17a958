//! Faults at the gate, built in Rust.

use std::time::Duration;

use scrimmage_core::Code;
use scrimmage_core::duration::HumaneDuration;
use scrimmage_core::faults::{Barrier, Delay, Drop, Fault, Injected, Nth};
use scrimmage_core::glob::Glob;

/// A fault for every call, that does nothing yet: say which calls, then what is done to them.
///
/// ```
/// use scrimmage::testing::fault;
/// use std::time::Duration;
///
/// let slow = fault().service("firestore").resource("**/tallies/*").delay(Duration::from_millis(40));
/// let lost = fault().service("pubsub").method("Publish").nth(3).drop_after();
/// let together = fault().method("{Commit,BatchWrite}").barrier(2, Duration::from_secs(1));
/// # for fault in [slow, lost, together] { fault.built().unwrap(); }
/// ```
pub fn fault() -> FaultBuilder {
    FaultBuilder::default()
}

/// See [`fault`]. Patterns have `*` for a part of a name, `**` for several parts, `{a,b}` for a choice.
#[derive(Clone, Debug, Default)]
pub struct FaultBuilder {
    fault: Fault,
    problem: Option<String>,
}

impl FaultBuilder {
    /// How the journal calls it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.fault.name = Some(name.into());
        self
    }

    /// Calls of `firestore`, `pubsub` or `bigquery`.
    pub fn service(mut self, pattern: &str) -> Self {
        self.fault.on.service = self.glob(pattern);
        self
    }

    /// Calls of this method: `Commit`, `Publish`, `jobs.insert`.
    pub fn method(mut self, pattern: &str) -> Self {
        self.fault.on.method = self.glob(pattern);
        self
    }

    /// Calls that touch such a resource: `**/tallies/*`.
    pub fn resource(mut self, pattern: &str) -> Self {
        self.fault.on.resource = self.glob(pattern);
        self
    }

    /// Calls of a program with this label.
    pub fn client(mut self, pattern: &str) -> Self {
        self.fault.on.client = self.glob(pattern);
        self
    }

    /// Only the nth of these calls, counted from 1.
    pub fn nth(mut self, nth: u64) -> Self {
        self.fault.on.nth = Some(Nth::One(nth));
        self
    }

    /// Each of these calls with a probability, drawn from the seed.
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.fault.on.nth = Some(Nth::Chance { probability, seed });
        self
    }

    /// Holds calls until so many have come, or the time is up.
    pub fn barrier(mut self, count: u64, timeout: Duration) -> Self {
        self.fault.barrier = Some(Barrier { count, timeout: HumaneDuration(timeout), repeat: false });
        self
    }

    /// Holds each call for so long.
    pub fn delay(mut self, by: Duration) -> Self {
        self.fault.delay = Some(Delay::new(by));
        self
    }

    /// Answers in the service's stead.
    pub fn error(mut self, status: Code) -> Self {
        self.fault.error = Some(Injected::new(status));
        self
    }

    /// The connection is lost before the service has seen the call.
    pub fn drop_before(mut self) -> Self {
        self.fault.drop_before = Drop(true);
        self
    }

    /// The connection is lost after the service has applied the call.
    pub fn drop_after(mut self) -> Self {
        self.fault.drop_after = Drop(true);
        self
    }

    /// The fault, or what is wrong with a pattern.
    pub fn built(self) -> Result<Fault, String> {
        match self.problem {
            None => Ok(self.fault),
            Some(problem) => Err(problem),
        }
    }

    fn glob(&mut self, pattern: &str) -> Option<Glob> {
        match Glob::new(pattern) {
            Ok(glob) => Some(glob),
            Err(error) => {
                self.problem.get_or_insert_with(|| format!("`{pattern}`: {error}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_what_a_file_says() {
        let built = fault().name("lost").service("firestore").method("Commit").nth(2).drop_after().built();
        let written =
            r#"{"name": "lost", "on": {"service": "firestore", "method": "Commit", "nth": 2}, "drop_after": true}"#;
        assert_eq!(built, Ok(serde_json::from_str(written).expect("a fault")));
    }

    #[test]
    fn a_pattern_that_is_none_is_told() {
        assert!(fault().method("{Commit").delay(Duration::ZERO).built().is_err_and(|text| text.contains("{Commit")));
    }
}
