//! The fault `quota`: calls above a rate are refused in the service's own words.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::duration::HumaneDuration;
use crate::faults::InjectedError;
use crate::{CallInfo, Status, Timestamp};

/// Lets `limit` calls through in any window of `per` on the suite's clock:
/// `quota = { limit = 5, per = "10s" }`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub limit: usize,
    pub per: HumaneDuration,
    /// Default: the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Quota {
    /// Whether one more call at `now` passes, given the times of those that did; notes it if so.
    pub(super) fn admits(&self, passed: &mut VecDeque<Timestamp>, now: Timestamp) -> bool {
        while passed.front().is_some_and(|earliest| now.since(*earliest) >= self.per.0) {
            passed.pop_front();
        }
        let admitted = passed.len() < self.limit;
        if admitted {
            passed.push_back(now);
        }
        admitted
    }

    pub(super) fn error(&self, call: &CallInfo) -> InjectedError {
        let (text, reason) = match (&*call.service, &*call.method) {
            ("bigquery", "jobs.insert" | "jobs.query") => (
                "Exceeded rate limits: too many api requests per user per method for this user_method. For more \
                 information, see https://cloud.google.com/bigquery/docs/troubleshoot-quotas",
                Some("rateLimitExceeded"),
            ),
            ("bigquery", "tables.insert" | "tables.patch" | "tables.update") => (
                "Exceeded rate limits: too many table update operations for this table. For more information, see \
                 https://cloud.google.com/bigquery/docs/troubleshoot-quotas",
                Some("rateLimitExceeded"),
            ),
            ("bigquery", _) => (
                "Quota exceeded: Your project exceeded quota for api requests. For more information, see \
                 https://cloud.google.com/bigquery/docs/troubleshoot-quotas",
                Some("quotaExceeded"),
            ),
            ("pubsub", "Publish") => (
                "Quota exceeded for quota metric 'Regional publisher throughput, kB' and limit 'Regional publisher \
                 throughput, kB per minute per region' of service 'pubsub.googleapis.com'",
                None,
            ),
            _ => ("Quota exceeded.", None),
        };
        InjectedError {
            status: Status::resource_exhausted(self.text.clone().unwrap_or_else(|| text.to_owned())),
            reason: reason.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_window_slides() {
        let quota = Quota { limit: 2, per: HumaneDuration(Duration::from_secs(10)), text: None };
        let mut passed = VecDeque::new();
        let mut at = |seconds| quota.admits(&mut passed, Timestamp::from_parts(seconds, 0));
        assert_eq!([at(0), at(1), at(9), at(10), at(10), at(11)], [true, true, false, true, false, true]);
    }
}
