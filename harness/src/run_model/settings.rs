//! What can be set of a service: `run = { … }`.

use serde::Deserialize;
use std::time::Duration;

use scrimmage_core::duration::HumaneDuration;

/// Cloud Run's own default for requests an instance takes at once.
const CONCURRENCY: usize = 80;
/// Cloud Run's own default for how long a request may take.
const TIMEOUT: Duration = Duration::from_secs(300);
/// An idle instance is kept for about so long.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long a request waits for an instance.
const QUEUE: Duration = Duration::from_secs(10);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// The `run` of a `[[process]]`, or a `[run.NAME]` of a scenario, which wins over it key by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEntry {
    /// Instances that are kept however little there is to do; `instances` where it is left out.
    #[serde(default)]
    pub min_instances: Option<usize>,
    /// As many as there may ever be; at least `instances` and `min_instances` where it is left out.
    #[serde(default)]
    pub max_instances: Option<usize>,
    /// Requests that an instance is given at once; default 80.
    #[serde(default)]
    pub concurrency: Option<usize>,
    /// How long an instance that is started for a request takes until it is given any, at least; default 0.
    #[serde(default)]
    pub cold_start: Option<HumaneDuration>,
    /// How long an instance above the minimum is kept without a request; default 15m.
    #[serde(default)]
    pub idle: Option<HumaneDuration>,
    /// How long a request may take before the caller gets 504; default 300s.
    #[serde(default)]
    pub timeout: Option<HumaneDuration>,
    /// How long a request waits for an instance before the caller gets 429; default 10s. While one
    /// is starting, it waits on.
    #[serde(default)]
    pub queue: Option<HumaneDuration>,
    /// How many requests may wait; one more gets 429 at once. Default: any number.
    #[serde(default)]
    pub queue_size: Option<usize>,
    /// Between SIGTERM and SIGKILL; default 10s.
    #[serde(default)]
    pub grace: Option<HumaneDuration>,
}

impl RunEntry {
    /// This entry, and for what it leaves out the other.
    pub fn over(&self, other: &RunEntry) -> RunEntry {
        RunEntry {
            min_instances: self.min_instances.or(other.min_instances),
            max_instances: self.max_instances.or(other.max_instances),
            concurrency: self.concurrency.or(other.concurrency),
            cold_start: self.cold_start.or(other.cold_start),
            idle: self.idle.or(other.idle),
            timeout: self.timeout.or(other.timeout),
            queue: self.queue.or(other.queue),
            queue_size: self.queue_size.or(other.queue_size),
            grace: self.grace.or(other.grace),
        }
    }

    /// The whole model of a process that has so many `instances`; an error says what is wrong.
    pub fn model(&self, instances: usize) -> Result<RunModel, String> {
        let duration = |given: Option<HumaneDuration>, default: Duration| given.map_or(default, |given| given.0);
        let min = self.min_instances.unwrap_or(instances);
        let max = self.max_instances.unwrap_or(instances.max(min));
        // A maximum below the declared instances means what it says.
        let min = if self.min_instances.is_none() { min.min(max) } else { min };
        let model = RunModel {
            min_instances: min,
            max_instances: max,
            concurrency: self.concurrency.unwrap_or(CONCURRENCY),
            cold_start: duration(self.cold_start, Duration::ZERO),
            idle: duration(self.idle, IDLE),
            timeout: duration(self.timeout, TIMEOUT),
            queue: duration(self.queue, QUEUE),
            queue_size: self.queue_size.unwrap_or(usize::MAX),
            grace: duration(self.grace, GRACE),
        };
        if model.max_instances == 0 {
            return Err("max_instances is 0: there would never be an instance".to_owned());
        }
        if model.min_instances > model.max_instances {
            return Err(format!(
                "min_instances is {}, more than the {} that max_instances allows",
                model.min_instances, model.max_instances
            ));
        }
        if model.concurrency == 0 {
            return Err("concurrency is 0: no instance could take a request".to_owned());
        }
        if model.timeout.is_zero() {
            return Err("timeout is 0: every request would be too late".to_owned());
        }
        Ok(model)
    }
}

/// Everything settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunModel {
    pub min_instances: usize,
    pub max_instances: usize,
    pub concurrency: usize,
    pub cold_start: Duration,
    pub idle: Duration,
    pub timeout: Duration,
    pub queue: Duration,
    pub queue_size: usize,
    pub grace: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_instances_is_both_bounds_where_nothing_else_is_said() {
        let model = RunEntry::default().model(2).expect("good");
        assert_eq!((model.min_instances, model.max_instances, model.concurrency), (2, 2, 80));
        let to_zero = RunEntry { min_instances: Some(0), ..RunEntry::default() }.model(2).expect("good");
        assert_eq!((to_zero.min_instances, to_zero.max_instances), (0, 2));
        let more = RunEntry { max_instances: Some(5), ..RunEntry::default() }.model(2).expect("good");
        assert_eq!((more.min_instances, more.max_instances), (2, 5));
        let fewer = RunEntry { max_instances: Some(1), ..RunEntry::default() }.model(2).expect("good");
        assert_eq!((fewer.min_instances, fewer.max_instances), (1, 1));
    }

    #[test]
    fn a_scenario_wins_key_by_key() {
        let process = RunEntry { concurrency: Some(8), min_instances: Some(0), ..RunEntry::default() };
        let scenario = RunEntry { concurrency: Some(1), ..RunEntry::default() };
        let model = scenario.over(&process).model(1).expect("good");
        assert_eq!((model.concurrency, model.min_instances), (1, 0));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let none = RunEntry { max_instances: Some(0), ..RunEntry::default() };
        assert!(none.model(1).is_err_and(|text| text.starts_with("max_instances is 0")));
        let crossed = RunEntry { min_instances: Some(3), max_instances: Some(2), ..RunEntry::default() };
        assert!(crossed.model(1).is_err_and(|text| text.contains("more than the 2")));
        let idle = RunEntry { concurrency: Some(0), ..RunEntry::default() };
        assert!(idle.model(1).is_err());
    }
}
