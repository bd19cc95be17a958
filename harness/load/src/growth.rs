//! What a larger batch costs: the same pipeline with more and more players.

use serde::{Deserialize, Serialize};

use crate::LoadError;

/// A player of a larger batch may cost so many times what one of a smaller batch costs.
pub const TOLERANCE: f64 = 1.2;

/// One batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub players: usize,
    /// From the batch's start to the last thing that happened.
    pub seconds: f64,
    /// As the harness judged it.
    pub verdict: String,
    /// The invariants that broke.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
}

impl Batch {
    pub fn millis_a_player(&self) -> f64 {
        self.seconds * 1e3 / self.players.max(1) as f64
    }
}

/// Batches of one pipeline, the smallest first: what `--json` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    pub pipeline: String,
    pub batches: Vec<Batch>,
}

impl Growth {
    /// The most that a player costs more in a larger batch than in a smaller one: 1 where none does.
    pub fn ratio(&self) -> f64 {
        let mut cheapest = f64::INFINITY;
        let mut ratio: f64 = 1.0;
        for batch in &self.batches {
            ratio = ratio.max(batch.millis_a_player() / cheapest);
            cheapest = cheapest.min(batch.millis_a_player());
        }
        ratio
    }

    pub fn is_linear(&self) -> bool {
        self.ratio() <= TOLERANCE
    }

    /// Whether it is linear and no invariant broke.
    pub fn holds(&self) -> bool {
        self.is_linear() && self.batches.iter().all(|batch| batch.broken.is_empty())
    }

    /// The last line.
    pub fn conclusion(&self) -> String {
        let ratio = self.ratio();
        if self.is_linear() {
            format!("linear: a player of a larger batch costs at most {ratio:.2} times one of a smaller batch")
        } else {
            format!("not linear: a player of a larger batch costs {ratio:.2} times one of a smaller batch")
        }
    }
}

/// `40,400,4000`, ascending, each once.
pub fn players(text: &str) -> Result<Vec<usize>, LoadError> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|count| (1..=100_000).contains(count));
    let mut all = text.split(',').map(number).collect::<Option<Vec<usize>>>().ok_or_else(|| {
        LoadError::Asked(format!("--players {text}: expected numbers of players, such as 40,400,4000"))
    })?;
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The head of [`line`]'s columns.
pub fn head() -> String {
    format!("{:>8} {:>10} {:>12}  {}", "players", "time", "a player", "verdict")
}

/// One line of the table.
pub fn line(batch: &Batch) -> String {
    format!(
        "{:>8} {:>8.2} s {:>9.2} ms  {}",
        batch.players,
        batch.seconds,
        batch.millis_a_player(),
        if batch.broken.is_empty() {
            batch.verdict.clone()
        } else {
            format!("{}: {}", batch.verdict, batch.broken.join(", "))
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(batches: &[(usize, f64)]) -> Growth {
        let batch = |(players, seconds): &(usize, f64)| Batch {
            players: *players,
            seconds: *seconds,
            verdict: "holds".to_owned(),
            broken: Vec::new(),
        };
        Growth { pipeline: "rust".to_owned(), batches: batches.iter().map(batch).collect() }
    }

    #[test]
    fn a_fixed_cost_is_no_growth_and_a_square_is() {
        let fixed = growth(&[(40, 1.0), (400, 4.0), (4000, 44.0)]);
        assert!(fixed.is_linear() && (fixed.ratio() - 1.1).abs() < 1e-9, "{}", fixed.ratio());
        let square = growth(&[(40, 0.4), (400, 4.0), (4000, 200.0)]);
        assert!(!square.is_linear() && (square.ratio() - 5.0).abs() < 1e-9, "{}", square.ratio());
        assert!(square.conclusion().starts_with("not linear: a player of a larger batch costs 5.00 times"));
        assert_eq!(growth(&[(40, 1.0)]).ratio(), 1.0);
    }

    #[test]
    fn a_broken_invariant_does_not_hold() {
        let mut one = growth(&[(40, 1.0)]);
        assert!(one.holds());
        one.batches[0].broken.push("keys-unique".to_owned());
        assert!(!one.holds() && line(&one.batches[0]).ends_with("keys-unique"));
    }

    #[test]
    fn numbers_of_players_are_numbers() {
        assert_eq!(players("400, 40,400").unwrap(), [40, 400]);
        assert_eq!(
            players("40,many").unwrap_err().to_string(),
            "--players 40,many: expected numbers of players, such as 40,400,4000"
        );
    }
}
