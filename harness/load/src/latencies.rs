//! Latencies in a histogram: three digits of each, from a microsecond to ten hours.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told from longer ones, in microseconds.
const LONGEST: u64 = 36_000_000_000;
const DIGITS: u8 = 3;
/// Shares of the calls whose slowest is told.
const SHARES: [f64; 12] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];

/// So many of all calls took at most so long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// From 0 to 1.
    pub share: f64,
    pub ms: f64,
}

/// Empty where nothing was recorded yet: then all its quantiles are 0.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    pub fn record(&mut self, took: Duration) {
        if self.0.is_none() {
            // The bounds are in order and the digits at most five, which is all that it asks for.
            self.0 = Histogram::new_with_bounds(1, LONGEST, DIGITS).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }

    /// Takes in what another one has.
    pub fn add(&mut self, other: &Latencies) {
        match (&mut self.0, &other.0) {
            // Both have the same bounds.
            (Some(mine), Some(theirs)) => drop(mine.add(theirs)),
            (None, Some(theirs)) => self.0 = Some(theirs.clone()),
            (_, None) => {}
        }
    }

    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// How long this share of the calls took at most, in milliseconds.
    pub fn millis(&self, share: f64) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.value_at_quantile(share) as f64 / 1e3)
    }

    /// Its course in a few points; none where nothing was recorded.
    pub fn percentiles(&self) -> Vec<Percentile> {
        if self.count() == 0 {
            return Vec::new();
        }
        SHARES.into_iter().map(|share| Percentile { share, ms: self.millis(share) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_that_was_recorded() {
        let (mut one, mut other) = (Latencies::default(), Latencies::default());
        assert_eq!((one.count(), one.millis(0.5), one.percentiles().len()), (0, 0.0, 0));
        for millis in 1..=100 {
            if millis % 2 == 0 { &mut one } else { &mut other }.record(Duration::from_millis(millis));
        }
        let mut both = Latencies::default();
        both.add(&one);
        both.add(&other);
        assert_eq!(both.count(), 100);
        assert!((both.millis(0.5) - 50.0).abs() < 0.1 && (both.millis(1.0) - 100.0).abs() < 0.1, "{both:?}");
        assert!(both.percentiles().windows(2).all(|pair| pair[0].ms <= pair[1].ms));
    }

    #[test]
    fn what_is_too_long_to_tell_is_the_longest() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_secs(1_000_000));
        assert!(latencies.millis(0.5) >= 3.5e7);
    }
}
