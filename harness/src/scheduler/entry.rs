//! `[[schedule]]`.

use serde::Deserialize;
use std::time::Duration;

use scrimmage_core::duration::HumaneDuration;

/// As many as Cloud Scheduler makes.
const MOST_RETRIES: u32 = 5;
const MOST_DOUBLINGS: u32 = 5;
const BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(180);

/// One job of the scheduler. Without any, the batch is started once, as soon as everything is up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// When it fires, from the moment when everything is up; default 0.
    #[serde(default)]
    pub at: HumaneDuration,
    /// It fires again after so long, `times` in all.
    #[serde(default)]
    pub every: Option<HumaneDuration>,
    /// How often it fires; default 1, needs `every` beyond that.
    #[serde(default)]
    pub times: Option<u32>,
    /// Which process is called; default the one that starts a batch.
    #[serde(default)]
    pub process: Option<String>,
    /// Its path; default the one that starts a batch.
    #[serde(default)]
    pub path: Option<String>,
    /// What is sent, as JSON; default the batch's request where the batch is started, else `{}`.
    #[serde(default)]
    pub body: Option<serde_json::Value>,
    /// How often a failed call is made again: 0 to 5, default 0.
    #[serde(default)]
    pub retries: u32,
    /// The pause before the first retry; default 5s. It doubles five times, up to `longest_backoff`.
    #[serde(default)]
    pub backoff: Option<HumaneDuration>,
    /// Default 1h.
    #[serde(default)]
    pub longest_backoff: Option<HumaneDuration>,
    /// When an attempt that is not answered has failed; default 180s.
    #[serde(default)]
    pub attempt_deadline: Option<HumaneDuration>,
    /// How many calls too many each firing makes; default 0.
    #[serde(default)]
    pub duplicates: u32,
    /// How long after the proper one; default 0, at the same instant.
    #[serde(default)]
    pub duplicate_after: HumaneDuration,
}

impl ScheduleEntry {
    /// What is wrong with the entry beyond the types of its keys.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.retries > MOST_RETRIES {
            return Err(format!("retries is {}; Cloud Scheduler makes {MOST_RETRIES} at most", self.retries));
        }
        if self.times == Some(0) {
            return Err("times is 0: it would never fire".to_owned());
        }
        if self.every.is_some() != self.times.is_some() {
            return Err("every and times go together".to_owned());
        }
        if self.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err("path begins with a slash".to_owned());
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Duration {
        self.attempt_deadline.map_or(ATTEMPT_DEADLINE, Duration::from)
    }

    /// The moments at which it fires, duplicates included.
    pub(super) fn firings(&self) -> impl Iterator<Item = Duration> + '_ {
        let every = self.every.map_or(Duration::ZERO, Duration::from);
        (0..self.times.unwrap_or(1)).flat_map(move |time| {
            let proper = self.at.0 + every * time;
            std::iter::once(proper).chain((0..self.duplicates).map(move |_| proper + self.duplicate_after.0))
        })
    }

    /// The pause before a retry, counted from 0: doubling five times, then in even steps.
    pub(super) fn pause(&self, retry: u32) -> Duration {
        let first = self.backoff.map_or(BACKOFF, Duration::from);
        let doubled = first.saturating_mul(1 << retry.min(MOST_DOUBLINGS));
        let pause = doubled.saturating_mul(1 + retry.saturating_sub(MOST_DOUBLINGS));
        pause.min(self.longest_backoff.map_or(LONGEST_BACKOFF, Duration::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> HumaneDuration {
        HumaneDuration(Duration::from_secs(seconds))
    }

    #[test]
    fn it_fires_as_often_as_it_says_and_once_too_many() {
        let entry = ScheduleEntry {
            at: seconds(60),
            every: Some(seconds(300)),
            times: Some(2),
            duplicates: 1,
            duplicate_after: seconds(1),
            ..ScheduleEntry::default()
        };
        let firings: Vec<u64> = entry.firings().map(|at| at.as_secs()).collect();
        assert_eq!(firings, [60, 61, 360, 361]);
        assert_eq!(ScheduleEntry::default().firings().collect::<Vec<_>>(), [Duration::ZERO]);
    }

    #[test]
    fn pauses_double_five_times_up_to_the_longest() {
        let pauses = |entry: &ScheduleEntry| (0..7).map(|retry| entry.pause(retry).as_secs()).collect::<Vec<_>>();
        assert_eq!(pauses(&ScheduleEntry::default()), [5, 10, 20, 40, 80, 160, 320]);
        let bounded = ScheduleEntry { longest_backoff: Some(seconds(30)), ..ScheduleEntry::default() };
        assert_eq!(pauses(&bounded), [5, 10, 20, 30, 30, 30, 30]);
    }

    #[test]
    fn what_the_scheduler_does_not_do_is_refused() {
        assert!(ScheduleEntry { retries: 6, ..ScheduleEntry::default() }.check().is_err());
        assert!(ScheduleEntry { times: Some(2), ..ScheduleEntry::default() }.check().is_err());
        assert!(ScheduleEntry { path: Some("start".to_owned()), ..ScheduleEntry::default() }.check().is_err());
        assert!(ScheduleEntry::default().check().is_ok());
    }
}
