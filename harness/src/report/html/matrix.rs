//! The grid: a row a scenario, a column a defect.

use std::fmt::Write as _;

use super::escaped;
use crate::report::Tried;
use crate::run::Verdict;

/// A cell's class, sign and words.
pub(super) fn sign(tried: &Tried) -> (&'static str, &'static str, &'static str) {
    match tried.shown.verdict {
        Verdict::Caught => ("caught", "✓", "caught as named"),
        Verdict::Holds => ("holds", "·", "all invariants hold"),
        Verdict::Observed if tried.is_unsure() => ("unsure", "~", "something broke now and then"),
        Verdict::Observed if tried.runs.broke > 0 => ("broke", "×", "something broke"),
        Verdict::Observed => ("quiet", "·", "nothing broke"),
        Verdict::Skipped(_) => ("quiet", "-", "not played: the stage cannot do it"),
        Verdict::Broken => ("alarm", "!", "broke without a defect"),
        Verdict::NotAsNamed { .. } => ("alarm", "!", "not as it should be"),
    }
}

/// Writes the grid, where there is more than one cell.
pub(super) fn matrix(page: &mut String, tried: &[Tried]) {
    if tried.len() < 2 {
        return;
    }
    let mut scenarios: Vec<&str> = Vec::new();
    let mut defects: Vec<Option<&str>> = Vec::new();
    for one in tried {
        if !scenarios.contains(&one.shown.scenario.as_str()) {
            scenarios.push(&one.shown.scenario);
        }
        if !defects.contains(&one.shown.defect.as_deref()) {
            defects.push(one.shown.defect.as_deref());
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
            let is_here = |one: &Tried| one.shown.scenario == scenario && one.shown.defect.as_deref() == *defect;
            match tried.iter().position(is_here) {
                Some(number) => cell(page, number, &tried[number]),
                None => page.push_str("<td></td>"),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n<ul class=\"key\">\n");
    let key = [
        ("caught", "✓", "caught as named"),
        ("broke", "×", "something broke"),
        ("unsure", "~", "something broke now and then"),
        ("quiet", "·", "nothing broke"),
        ("alarm", "!", "not as it should be"),
    ];
    let unsure = tried.iter().any(|one| sign(one).0 == "unsure");
    for (class, sign, words) in key.into_iter().filter(|key| key.0 != "unsure" || unsure) {
        let _ = writeln!(page, "<li><span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span> {words}</li>");
    }
    page.push_str("</ul>\n</section>\n");
}

fn cell(page: &mut String, number: usize, tried: &Tried) {
    let (class, sign, words) = sign(tried);
    let outcome = &tried.shown;
    let counted = tried.counted().map(|counted| format!(", {counted}")).unwrap_or_default();
    let defect = outcome.defect.as_deref().unwrap_or("healthy");
    let label = escaped(&format!("{}, {defect}: {words}{counted}", outcome.scenario));
    let _ = write!(
        page,
        "<td><a class=\"sign {class}\" href=\"#run-{number}\" title=\"{label}\" aria-label=\"{label}\">{sign}</a></td>"
    );
}
