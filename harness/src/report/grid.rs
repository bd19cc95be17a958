//! The matrix: which scenario catches which defect.

use std::collections::BTreeSet;

use super::Tried;
use crate::run::Verdict;

/// A grid of scenarios and defects: `+` caught as named, `x` something broke, `~` something broke now and
/// then, `.` nothing did, `-` not played, `!` not as it should be.
pub fn grid(tried: &[Tried]) -> String {
    let mut scenarios: Vec<&str> = tried.iter().map(|one| one.shown.scenario.as_str()).collect();
    scenarios.dedup();
    let mut defects: Vec<Option<&str>> = Vec::new();
    let mut seen = BTreeSet::new();
    defects.extend(tried.iter().map(|one| one.shown.defect.as_deref()).filter(|defect| seen.insert(*defect)));
    let width = scenarios.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (number, defect) in defects.iter().enumerate() {
        let bars = " |".repeat(number);
        text.push_str(&format!("{:width$} {bars} {}\n", "", defect.unwrap_or("healthy")));
    }
    for scenario in scenarios {
        text.push_str(&format!("{scenario:width$} "));
        for defect in &defects {
            let is_here = |one: &&Tried| one.shown.scenario == scenario && one.shown.defect.as_deref() == *defect;
            text.push_str(&format!(" {}", tried.iter().find(is_here).map_or(' ', mark)));
        }
        text.push('\n');
    }
    text.push_str("+ caught as named   x something broke   . nothing broke   ! not as it should be");
    if tried.iter().any(|one| mark(one) == '~') {
        text.push_str("   ~ something broke now and then");
    }
    text.push('\n');
    text
}

fn mark(tried: &Tried) -> char {
    match tried.shown.verdict {
        Verdict::Caught => '+',
        Verdict::Observed if tried.is_unsure() => '~',
        Verdict::Observed if tried.runs.broke > 0 => 'x',
        Verdict::Skipped(_) => '-',
        Verdict::Holds | Verdict::Observed => '.',
        Verdict::Broken | Verdict::NotAsNamed { .. } => '!',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Outcome;

    #[test]
    fn every_cell_has_its_place() {
        let tried = |scenario, defect, verdict| Tried::from(Outcome::example(scenario, defect, verdict));
        let text = grid(&[
            tried("one", None, Verdict::Holds),
            tried("one", Some("bug"), Verdict::Caught),
            tried("three", None, Verdict::Broken),
            tried("three", Some("bug"), Verdict::Observed),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..4], ["       healthy", "       | bug", "one    . +", "three  ! ."]);
    }
}
