//! Many numbers of workers, one after the other, and where a design stops holding.

use serde::{Deserialize, Serialize};

use crate::LoadError;
use crate::arrival::Arrival;
use crate::profile::Profile;
use crate::simulate::{Figures, simulate};
use crate::strategy::Strategy;

/// Throughput that grows less than this while workers double has met its limit.
const GROWTH: f64 = 1.15;

/// All figures of one command: what `--json` writes and `--compare` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    pub profile: String,
    /// Where the profile's figures come from.
    pub source: String,
    pub arrival: Arrival,
    /// Whether workers begin with their load job; else with the completion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_way: bool,
    pub seed: u64,
    /// Where it was measured, if it was: then nothing is simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    pub figures: Vec<Figures>,
}

/// What real-time figures are figures of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// HOST:PORT, and whose it is.
    pub endpoint: String,
    pub connections: usize,
    /// Of the machine that the clients ran on.
    pub cores: usize,
    /// Seconds that a number of workers had at most.
    pub within_s: f64,
}

/// Where a strategy stops holding, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Knee {
    pub workers: usize,
    pub why: String,
}

/// `1..1000` as 1, 2, 5, 10 …, or a list `10,40,80`, or one number.
pub fn counts(text: &str) -> Result<Vec<usize>, LoadError> {
    let wrong = || LoadError::Asked(format!("--workers {text}: expected a number, a list such as 10,40, or 1..1000"));
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|count| (1..=100_000).contains(count));
    let Some((from, to)) = text.split_once("..") else {
        let mut all = text.split(',').map(|one| number(one).ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()?;
        all.sort_unstable();
        all.dedup();
        return Ok(all);
    };
    let (from, to) = (number(from).ok_or_else(wrong)?, number(to).ok_or_else(wrong)?);
    if from > to {
        return Err(wrong());
    }
    let mut all = vec![from];
    let mut ten = 1;
    while ten <= to {
        all.extend([ten, 2 * ten, 5 * ten].into_iter().filter(|count| (from..=to).contains(count)));
        ten *= 10;
    }
    all.push(to);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Runs the simulation for each strategy and number of workers; `progress` hears of each.
pub fn sweep(
    strategies: &[Strategy],
    counts: &[usize],
    arrival: &Arrival,
    profile: &Profile,
    seed: u64,
    mut progress: impl FnMut(&Figures),
) -> Result<Sweep, LoadError> {
    let mut figures = Vec::new();
    for strategy in strategies {
        for workers in counts {
            let one = simulate(*strategy, *workers, arrival, profile, seed)
                .map_err(|error| LoadError::Asked(format!("{} with {workers} workers: {error}", strategy.name())))?;
            progress(&one);
            figures.push(one);
        }
    }
    Ok(Sweep {
        profile: profile.name.clone(),
        source: profile.source.clone(),
        arrival: arrival.clone(),
        whole_way: profile.whole_way,
        seed,
        measured: None,
        figures,
    })
}

impl Sweep {
    /// The strategies there are figures of, in their order.
    pub fn strategies(&self) -> Vec<Strategy> {
        let mut all: Vec<Strategy> = Vec::new();
        for figures in &self.figures {
            if !all.contains(&figures.strategy) {
                all.push(figures.strategy);
            }
        }
        all
    }

    pub fn of(&self, strategy: Strategy) -> impl Iterator<Item = &Figures> {
        self.figures.iter().filter(move |figures| figures.strategy == strategy)
    }

    /// Whether every strategy that claims to be safe was: nothing lost, doubled or given up.
    pub fn holds(&self) -> bool {
        self.figures.iter().all(|figures| {
            figures.lost == 0 && figures.doubled == 0 && (figures.failed == 0 || !figures.strategy.is_safe())
        })
    }

    /// The least number of workers at which completions fail; else where more workers stop meaning
    /// more throughput.
    pub fn knee(&self, strategy: Strategy) -> Option<Knee> {
        let figures: Vec<&Figures> = self.of(strategy).collect();
        if let Some(first) = figures.iter().find(|figures| figures.failed > 0) {
            let why = if first.late > 0 {
                format!("{} of {} completions not counted in time", first.failed, first.asked)
            } else {
                format!(
                    "{} of {} completions given up after {} attempts",
                    first.failed,
                    first.asked,
                    strategy.attempts()
                )
            };
            return Some(Knee { workers: first.workers, why });
        }
        figures.windows(2).find_map(|pair| match pair {
            [before, after] => {
                let doublings = (after.workers as f64 / before.workers as f64).log2();
                let wanted = GROWTH.powf(doublings);
                let found = after.throughput_per_second / before.throughput_per_second.max(1e-9);
                (found < wanted).then(|| Knee {
                    workers: before.workers,
                    why: format!(
                        "throughput stays near {:.0} a second",
                        before.throughput_per_second.max(after.throughput_per_second)
                    ),
                })
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_spread_over_the_decades() {
        assert_eq!(counts("1..1000").unwrap(), [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]);
        assert_eq!(counts("40, 10,40").unwrap(), [10, 40]);
        assert_eq!(counts("3..30").unwrap(), [3, 5, 10, 20, 30]);
        for wrong in ["", "0", "9..3", "a", "1..x", "200000"] {
            assert!(counts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_transaction_strategy_has_a_knee_where_it_gives_up() {
        let strategies = [Strategy::Transaction, Strategy::AtomicUpdate];
        let swept = sweep(&strategies, &[1, 10, 100], &Arrival::Burst, &Profile::regional(), 1, |_| {}).unwrap();
        assert!(swept.holds());
        let knee = swept.knee(Strategy::Transaction).unwrap();
        assert!(knee.workers <= 100 && knee.why.contains("given up after 5 attempts"), "{knee:?}");
        assert!(swept.knee(Strategy::AtomicUpdate).unwrap().why.contains("throughput"));
    }
}
