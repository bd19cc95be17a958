//! The matrix: which scenario catches which defect.

use std::collections::BTreeSet;

use crate::run::{Outcome, Verdict};

/// A grid of scenarios and defects: `+` caught as named, `x` something broke, `.` nothing did,
/// `!` not as it should be.
pub fn grid(outcomes: &[Outcome]) -> String {
    let mut scenarios: Vec<&str> = outcomes.iter().map(|outcome| outcome.scenario.as_str()).collect();
    scenarios.dedup();
    let mut defects: Vec<Option<&str>> = Vec::new();
    let mut seen = BTreeSet::new();
    defects.extend(outcomes.iter().map(|outcome| outcome.defect.as_deref()).filter(|defect| seen.insert(*defect)));
    let width = scenarios.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (number, defect) in defects.iter().enumerate() {
        let bars = " |".repeat(number);
        text.push_str(&format!("{:width$} {bars} {}\n", "", defect.unwrap_or("healthy")));
    }
    for scenario in scenarios {
        text.push_str(&format!("{scenario:width$} "));
        for defect in &defects {
            let cell = outcomes.iter().find(|one| one.scenario == scenario && one.defect.as_deref() == *defect);
            text.push_str(&format!(" {}", cell.map_or(' ', mark)));
        }
        text.push('\n');
    }
    text.push_str("+ caught as named   x something broke   . nothing broke   ! not as it should be\n");
    text
}

fn mark(outcome: &Outcome) -> char {
    match outcome.verdict {
        Verdict::Caught => '+',
        Verdict::Observed if outcome.broken().next().is_some() => 'x',
        Verdict::Skipped(_) => '-',
        Verdict::Holds | Verdict::Observed => '.',
        Verdict::Broken | Verdict::NotAsNamed { .. } => '!',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_place() {
        let outcome = Outcome::example;
        let text = grid(&[
            outcome("one", None, Verdict::Holds),
            outcome("one", Some("bug"), Verdict::Caught),
            outcome("three", None, Verdict::Broken),
            outcome("three", Some("bug"), Verdict::Observed),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..4], ["       healthy", "       | bug", "one    . +", "three  ! ."]);
    }
}
