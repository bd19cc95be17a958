//! When workers begin to complete: all at once, at a rate, on a ramp, by a trace, or each when the
//! one before has ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::LoadError;

/// When completions are meant to begin. Latency counts from then, however late a worker gets to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// All workers at the same moment, one completion each.
    Burst,
    /// Open loop: so many a second, evenly, one completion a worker.
    Rate(f64),
    /// Open loop: from one rate to another over all workers.
    Ramp { from: f64, to: f64 },
    /// Open loop: at these offsets, in milliseconds, of a recorded run.
    Trace(Vec<f64>),
    /// Closed loop: each worker completes so many, one after the other.
    Loop(usize),
}

impl Arrival {
    /// A trace: a number of milliseconds a line, or JSON objects with `offset_ms`.
    pub fn trace(file: &str, text: &str) -> Result<Arrival, LoadError> {
        let mut offsets = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let offset = match line.trim().parse::<f64>() {
                Ok(offset) => Some(offset),
                Err(_) => {
                    serde_json::from_str::<serde_json::Value>(line).ok().and_then(|value| value["offset_ms"].as_f64())
                }
            };
            match offset.filter(|offset| offset.is_finite() && *offset >= 0.0) {
                Some(offset) => offsets.push(offset),
                None => {
                    let problem =
                        format!("line {}: expected milliseconds since the start, or an object with offset_ms", at + 1);
                    return Err(LoadError::File { file: file.to_owned(), problem });
                }
            }
        }
        if offsets.is_empty() {
            return Err(LoadError::File { file: file.to_owned(), problem: "the trace has no arrivals".to_owned() });
        }
        offsets.sort_by(f64::total_cmp);
        let first = offsets.first().copied().unwrap_or(0.0);
        Ok(Arrival::Trace(offsets.into_iter().map(|offset| offset - first).collect()))
    }

    /// When each of so many workers begins its first completion.
    pub fn starts(&self, workers: usize) -> Vec<Duration> {
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, 1e7));
        match self {
            Arrival::Burst | Arrival::Loop(_) => vec![Duration::ZERO; workers],
            Arrival::Rate(rate) => (0..workers).map(|at| seconds(at as f64 / rate.max(1e-6))).collect(),
            Arrival::Ramp { from, to } => {
                let mut now = 0.0;
                (0..workers)
                    .map(|at| {
                        let start = seconds(now);
                        let share = at as f64 / workers.max(2).saturating_sub(1) as f64;
                        now += 1.0 / (from + (to - from) * share).max(1e-6);
                        start
                    })
                    .collect()
            }
            // Repeated, one after the other, where there are more workers than arrivals.
            Arrival::Trace(offsets) => {
                let length = offsets.last().copied().unwrap_or(0.0) + 1.0;
                (0..workers)
                    .map(|at| {
                        let round = (at / offsets.len().max(1)) as f64;
                        let offset = offsets.get(at % offsets.len().max(1)).copied().unwrap_or(0.0);
                        seconds((round * length + offset) / 1e3)
                    })
                    .collect()
            }
        }
    }

    /// Completions of each worker.
    pub fn each(&self) -> usize {
        match self {
            Arrival::Loop(count) => *count,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_follow_the_shape() {
        let millis = |arrival: &Arrival, workers| -> Vec<u128> {
            arrival.starts(workers).iter().map(Duration::as_millis).collect()
        };
        assert_eq!(millis(&Arrival::Burst, 2), [0, 0]);
        assert_eq!(millis(&Arrival::Rate(10.0), 3), [0, 100, 200]);
        assert_eq!(millis(&Arrival::Ramp { from: 1.0, to: 10.0 }, 3), [0, 1000, 1181]);
        let trace = Arrival::trace("t", "5\n{\"offset_ms\": 2}\n\n").unwrap();
        assert_eq!(millis(&trace, 3), [0, 3, 4]);
        assert_eq!(
            Arrival::trace("t", "5\nsoon\n").unwrap_err().to_string(),
            "t: line 2: expected milliseconds since the start, or an object with offset_ms"
        );
    }
}
