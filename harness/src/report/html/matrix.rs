//! The grid: a row a scenario, a column a defect.

use std::fmt::Write as _;

use super::escaped;
use crate::run::{Outcome, Verdict};

/// A cell's class, sign and words.
pub(super) fn sign(outcome: &Outcome) -> (&'static str, &'static str, &'static str) {
    match outcome.verdict {
        Verdict::Caught => ("caught", "✓", "caught as named"),
        Verdict::Holds => ("holds", "·", "all invariants hold"),
        Verdict::Observed if outcome.broken().next().is_some() => ("broke", "×", "something broke"),
        Verdict::Observed => ("quiet", "·", "nothing broke"),
        Verdict::Skipped(_) => ("quiet", "-", "not played: the stage cannot do it"),
        Verdict::Broken => ("alarm", "!", "broke without a defect"),
        Verdict::NotAsNamed { .. } => ("alarm", "!", "not as it should be"),
    }
}

/// Writes the grid, where there is more than one run.
pub(super) fn matrix(page: &mut String, outcomes: &[Outcome]) {
    if outcomes.len() < 2 {
        return;
    }
    let mut scenarios: Vec<&str> = Vec::new();
    let mut defects: Vec<Option<&str>> = Vec::new();
    for outcome in outcomes {
        if !scenarios.contains(&outcome.scenario.as_str()) {
            scenarios.push(&outcome.scenario);
        }
        if !defects.contains(&outcome.defect.as_deref()) {
            defects.push(outcome.defect.as_deref());
        }
    }
    page.push_str("<section aria-labelledby=\"grid\">\n<h2 id=\"grid\">What catches what</h2>\n");
    page.push_str("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"grid\">\n");
    page.push_str("<table class=\"grid\">\n<thead><tr><td></td>");
    for defect in &defects {
        let _ = write!(page, "<th scope=\"col\"><span>{}</span></th>", escaped(defect.unwrap_or("healthy")));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for scenario in scenarios {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", escaped(scenario));
        for defect in &defects {
            let is_here = |outcome: &&Outcome| outcome.scenario == scenario && outcome.defect.as_deref() == *defect;
            let here: Vec<usize> = (0..outcomes.len()).filter(|at| is_here(&&outcomes[*at])).collect();
            cell(page, outcomes, &here, scenario, defect.unwrap_or("healthy"));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n<ul class=\"key\">\n");
    let key = [
        ("caught", "✓", "caught as named"),
        ("broke", "×", "something broke"),
        ("quiet", "·", "nothing broke"),
        ("alarm", "!", "not as it should be"),
    ];
    for (class, sign, words) in key {
        let _ = writeln!(page, "<li><span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span> {words}</li>");
    }
    page.push_str("</ul>\n</section>\n");
}

/// The worst of the runs that share a cell: a run repeated is as good as its worst time.
fn cell(page: &mut String, outcomes: &[Outcome], here: &[usize], scenario: &str, defect: &str) {
    let worst = here.iter().copied().find(|at| !outcomes[*at].verdict.is_good()).or(here.first().copied());
    let Some(worst) = worst else {
        page.push_str("<td></td>");
        return;
    };
    let (class, sign, words) = self::sign(&outcomes[worst]);
    let times = if here.len() > 1 { format!(", {} times", here.len()) } else { String::new() };
    let label = escaped(&format!("{scenario}, {defect}: {words}{times}"));
    let _ = write!(
        page,
        "<td><a class=\"sign {class}\" href=\"#run-{worst}\" title=\"{label}\" aria-label=\"{label}\">{sign}</a></td>"
    );
}
