//! Results for people: a line a run as it ends, and a summary.

use super::Tried;
use crate::run::{Outcome, Verdict};

/// One run in one line, and a line of evidence for each thing that broke where it matters.
pub fn line(outcome: &Outcome, widths: Widths) -> String {
    let what = outcome.defect.as_deref().unwrap_or("healthy");
    let verdict = match &outcome.verdict {
        Verdict::Holds => "holds".to_owned(),
        Verdict::Caught => format!("breaks exactly what it says: {}", names(outcome)),
        Verdict::Broken => format!("BREAKS {}", names(outcome)),
        Verdict::Observed if outcome.broken().next().is_none() => {
            "holds, with a defect that it is not about".to_owned()
        }
        Verdict::Observed => format!("breaks {}", names(outcome)),
        Verdict::Skipped(obstacles) => format!("skipped: {}", obstacles.join("; ")),
        Verdict::NotAsNamed { unbroken, also_broken } => {
            let mut parts = Vec::new();
            if !unbroken.is_empty() {
                parts.push(format!("DOES NOT BREAK {}", unbroken.join(", ")));
            }
            if !also_broken.is_empty() {
                parts.push(format!("ALSO BREAKS {}", also_broken.join(", ")));
            }
            parts.join("; ")
        }
    };
    let Widths { scenario, what: width } = widths;
    let mut text = format!("{:scenario$}  {what:width$}  {:5.1} s  {verdict}", outcome.scenario, outcome.seconds);
    if !outcome.verdict.is_good() {
        for (name, evidence) in outcome.broken() {
            text.push_str(&format!("\n{:scenario$}  {name}: {evidence}", ""));
        }
        for complaint in &outcome.complaints {
            text.push_str(&format!("\n{:scenario$}  {complaint}", ""));
        }
        text.push_str(&format!("\n{:scenario$}  once more: {}", "", outcome.repeat));
    }
    text
}

/// A cell that was run more than once, in one line: how often it was what, what broke how often, how long it took.
pub fn counted_line(tried: &Tried, widths: Widths) -> String {
    let Widths { scenario, what: width } = widths;
    let (outcome, runs) = (&tried.shown, &tried.runs);
    let what = outcome.defect.as_deref().unwrap_or("healthy");
    let counted = tried.counted().unwrap_or_else(|| "once".to_owned());
    let broken: Vec<String> = runs.broken.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let broken = if broken.is_empty() { String::new() } else { format!(": {}", broken.join(", ")) };
    let (least, most) = (runs.seconds.least, runs.seconds.most);
    let mark = if tried.is_good() { "" } else { "  NOT AS IT SHOULD BE" };
    format!("{:scenario$}  {what:width$}  {least:5.1} to {most:.1} s  {counted}{broken}{mark}", outcome.scenario)
}

fn names(outcome: &Outcome) -> String {
    outcome.broken().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// Widths of the first two columns, so that lines printed one by one still line up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Widths {
    pub scenario: usize,
    pub what: usize,
}

impl Widths {
    /// Wide enough for these runs.
    pub fn of<'a>(runs: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Widths {
        runs.fold(Widths::default(), |widths, (scenario, defect)| Widths {
            scenario: widths.scenario.max(scenario.len()),
            what: widths.what.max(defect.unwrap_or("healthy").len()),
        })
    }
}

/// The last line.
pub fn summary(tried: &[Tried], seconds: f64) -> String {
    let runs = |of: fn(&Tried) -> bool| tried.iter().filter(|one| of(one)).map(|one| one.runs.total).sum::<usize>();
    let healthy = runs(|one| one.shown.defect.is_none());
    let defective = runs(|one| one.shown.defect.is_some());
    let skipped = runs(Tried::is_skipped);
    let bad: usize = tried.iter().map(|one| one.runs.total - one.runs.as_named).sum();
    let mut runs = format!("{healthy} healthy and {defective} defective runs in {seconds:.1} s");
    if skipped > 0 {
        runs.push_str(&format!(", {skipped} of them skipped"));
    }
    if bad == 0 { format!("{runs}: all as they should be") } else { format!("{runs}: {bad} not as they should be") }
}
