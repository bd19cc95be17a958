//! Latency profiles: how long the steps of a call take in production, as distributions.

use std::path::Path;
use std::time::Duration;

use scrimmage_core::Rng;
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// A distribution by three of its quantiles, in milliseconds. Between them it is log-linear; below
/// the median it goes down to half of it, above the 99th percentile up to half as much again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

impl Quantiles {
    const ZERO: Quantiles = Quantiles { p50: 0.0, p95: 0.0, p99: 0.0 };

    /// One draw.
    pub fn draw(&self, rng: &mut Rng) -> Duration {
        if self.p99 <= 0.0 {
            return Duration::ZERO;
        }
        let at = rng.unit();
        let between = |low: f64, high: f64, share: f64| {
            if low <= 0.0 { high * share } else { low * (high / low).powf(share) }
        };
        let millis = if at < 0.5 {
            between(self.p50 / 2.0, self.p50, at / 0.5)
        } else if at < 0.95 {
            between(self.p50, self.p95, (at - 0.5) / 0.45)
        } else if at < 0.99 {
            between(self.p95, self.p99, (at - 0.95) / 0.04)
        } else {
            between(self.p99, self.p99 * 1.5, (at - 0.99) / 0.01)
        };
        Duration::from_nanos((millis * 1e6) as u64)
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let ordered = 0.0 <= self.p50 && self.p50 <= self.p95 && self.p95 <= self.p99 && self.p99 < 600_000.0;
        if ordered { Ok(()) } else { Err(format!("`{name}` is to have 0 <= p50 <= p95 <= p99 < 600000, in ms")) }
    }
}

/// How long things take, from the worker's call to its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    /// Where the figures come from.
    pub source: String,
    /// One way between a worker and the service.
    pub network: Quantiles,
    /// In the service, for a read.
    pub read: Quantiles,
    /// In the service, for a commit, once nobody is in its way; commits to one document take turns.
    pub commit: Quantiles,
    /// A load job from its insertion to its end, with the client's polling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Quantiles>,
    /// A publish call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Quantiles>,
    /// From the end of a publish call to the request at the push endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Quantiles>,
    /// Whether a worker's load job, publish and push come before its completion is counted; not a file's matter.
    #[serde(skip)]
    pub whole_way: bool,
}

/// Estimates too: a load job takes seconds however few its rows, a message some 100 ms from end to end.
const JOB: Option<Quantiles> = Some(Quantiles { p50: 2_500.0, p95: 5_000.0, p99: 10_000.0 });
const PUBLISH: Option<Quantiles> = Some(Quantiles { p50: 20.0, p95: 60.0, p99: 150.0 });
const PUSH: Option<Quantiles> = Some(Quantiles { p50: 80.0, p95: 200.0, p99: 500.0 });

impl Profile {
    /// Workers in the region of a regional database.
    pub fn regional() -> Profile {
        Profile {
            name: "regional".to_owned(),
            source: "estimate: Firestore publishes no latencies; replicas in zones of one region, about 1 ms apart, a \
                     quorum for each commit; seconds for a load job, 100 ms for a message. Put measurements of your own into a file"
                .to_owned(),
            network: Quantiles { p50: 1.0, p95: 2.0, p99: 5.0 },
            read: Quantiles { p50: 5.0, p95: 12.0, p99: 30.0 },
            commit: Quantiles { p50: 12.0, p95: 25.0, p99: 60.0 },
            job: JOB,
            publish: PUBLISH,
            push: PUSH,
            whole_way: false,
        }
    }

    /// Workers in one region of a multi-regional database.
    pub fn multi_regional() -> Profile {
        Profile {
            name: "multi-regional".to_owned(),
            source:
                "estimate: Firestore publishes no latencies; a commit's quorum spans regions some 10 to 15 ms apart, \
                     twice; seconds for a load job, 100 ms for a message. Put measurements of your own into a file"
                    .to_owned(),
            network: Quantiles { p50: 1.5, p95: 4.0, p99: 10.0 },
            read: Quantiles { p50: 15.0, p95: 35.0, p99: 80.0 },
            commit: Quantiles { p50: 45.0, p95: 90.0, p99: 180.0 },
            job: JOB,
            publish: PUBLISH,
            push: PUSH,
            whole_way: false,
        }
    }

    /// Nothing takes any time: only the order of calls is left.
    pub fn instant() -> Profile {
        Profile {
            name: "instant".to_owned(),
            source: "no latency at all".to_owned(),
            network: Quantiles::ZERO,
            read: Quantiles::ZERO,
            commit: Quantiles::ZERO,
            job: Some(Quantiles::ZERO),
            publish: Some(Quantiles::ZERO),
            push: Some(Quantiles::ZERO),
            whole_way: false,
        }
    }

    /// The same, with what a worker does before its completion is counted.
    pub fn with_whole_way(self) -> Result<Profile, LoadError> {
        let steps = [("job", self.job), ("publish", self.publish), ("push", self.push)];
        match steps.into_iter().find(|(_, quantiles)| quantiles.is_none()) {
            Some((missing, _)) => {
                Err(LoadError::Asked(format!("--whole-way: the latency profile {} has no `{missing}`", self.name)))
            }
            None => Ok(Profile { whole_way: true, ..self }),
        }
    }

    /// How long after its beginning a worker's completion comes to be counted.
    pub(crate) fn draw_way(&self, rng: &mut Rng) -> Duration {
        let steps = [self.job, self.publish, self.push];
        steps.into_iter().flatten().map(|quantiles| quantiles.draw(rng)).sum()
    }

    /// `regional`, `multi-regional`, `instant`, or the path of a TOML file with the fields of this type.
    pub fn find(word: &str) -> Result<Profile, LoadError> {
        match word {
            "regional" => Ok(Profile::regional()),
            "multi-regional" => Ok(Profile::multi_regional()),
            "instant" => Ok(Profile::instant()),
            path => Profile::read(Path::new(path)),
        }
    }

    fn read(path: &Path) -> Result<Profile, LoadError> {
        let file = path.display().to_string();
        let failed = |problem: String| LoadError::File { file: file.clone(), problem };
        let text = std::fs::read_to_string(path).map_err(|error| {
            failed(format!("{error}; a latency profile is regional, multi-regional, instant or such a file"))
        })?;
        Profile::parse(&text).map_err(failed)
    }

    /// A profile from the text of a file.
    pub fn parse(text: &str) -> Result<Profile, String> {
        let profile: Profile = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count());
            format!("line {line}: {}", error.message())
        })?;
        let steps = [("network", profile.network), ("read", profile.read), ("commit", profile.commit)];
        let before = [("job", profile.job), ("publish", profile.publish), ("push", profile.push)];
        let before = before.into_iter().filter_map(|(name, quantiles)| Some((name, quantiles?)));
        for (name, quantiles) in steps.into_iter().chain(before) {
            quantiles.check(name)?;
        }
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_quantiles() {
        let quantiles = Quantiles { p50: 10.0, p95: 40.0, p99: 100.0 };
        let mut rng = Rng::seeded(7);
        let mut drawn: Vec<f64> = (0..20_000).map(|_| quantiles.draw(&mut rng).as_secs_f64() * 1e3).collect();
        drawn.sort_by(f64::total_cmp);
        for (share, wanted) in [(0.5, 10.0), (0.95, 40.0), (0.99, 100.0)] {
            let found = drawn[(drawn.len() as f64 * share) as usize];
            assert!((found / wanted - 1.0).abs() < 0.1, "{share}: {found}");
        }
        assert!(drawn.iter().all(|millis| (5.0..=150.0).contains(millis)));
    }

    #[test]
    fn files_are_read_or_refused_with_a_reason() {
        let good = "name = \"own\"\nsource = \"measured\"\nnetwork = { p50 = 1, p95 = 2, p99 = 3 }\n\
                    read = { p50 = 1, p95 = 2, p99 = 3 }\ncommit = { p50 = 1, p95 = 2, p99 = 3 }\n";
        assert_eq!(Profile::parse(good).unwrap().name, "own");
        assert_eq!(
            Profile::parse(&good.replace("commit = { p50 = 1", "commit = { p50 = 9")).unwrap_err(),
            "`commit` is to have 0 <= p50 <= p95 <= p99 < 600000, in ms"
        );
        let pushing = format!("{good}push = {{ p50 = 9, p95 = 2, p99 = 3 }}\n");
        assert!(Profile::parse(&pushing).unwrap_err().starts_with("`push` is to have"));
        assert_eq!(
            Profile::parse(good).unwrap().with_whole_way().unwrap_err().to_string(),
            "--whole-way: the latency profile own has no `job`"
        );
        assert!(Profile::parse(&good.replace("read", "reed")).unwrap_err().starts_with("line 4: unknown field `reed`"));
    }
}
