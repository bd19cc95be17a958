//! One cell: what was asked, what came of it, how often, and why.

use std::fmt::Write as _;

use super::{course, escaped, evidence, matrix};
use crate::invariants::Finding;
use crate::report::Tried;
use crate::run::{Judged, Outcome, Verdict};

/// Writes the run that stands for a cell, folded unless `open`.
pub(super) fn run(page: &mut String, number: usize, tried: &Tried, open: bool) {
    let outcome = &tried.shown;
    let (class, sign, words) = matrix::sign(tried);
    let words = tried.counted().unwrap_or_else(|| words.to_owned());
    let open = if open { " open" } else { "" };
    let _ = writeln!(page, "<details class=\"run\" id=\"run-{number}\"{open}>\n<summary>");
    let _ = write!(page, "<span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span>");
    let _ = write!(page, "<span class=\"what\"><b>{}</b> ", escaped(&outcome.scenario));
    let _ =
        write!(page, "<span class=\"with\">{}</span></span>", escaped(outcome.defect.as_deref().unwrap_or("healthy")));
    let _ = writeln!(page, "<span class=\"words\">{words}</span><span class=\"took\">{:.1} s</span>", outcome.seconds);
    page.push_str("</summary>\n<div class=\"body\">\n");
    if !outcome.title.is_empty() {
        let _ = writeln!(
            page,
            "<p class=\"title\">{} <span>{}</span></p>",
            escaped(&outcome.title),
            escaped(&outcome.incident)
        );
    }
    if let Verdict::NotAsNamed { unbroken, also_broken } = &outcome.verdict {
        for (what, names) in [("Should have broken and did not", unbroken), ("Broke and is not named", also_broken)] {
            if !names.is_empty() {
                let _ = writeln!(page, "<p class=\"surprise\">{what}: <b>{}</b></p>", escaped(&names.join(", ")));
            }
        }
    }
    often(page, tried);
    invariants(page, outcome);
    if !outcome.complaints.is_empty() {
        page.push_str("<h3>What its processes complained of</h3>\n<ul class=\"log\">\n");
        for complaint in &outcome.complaints {
            let _ = writeln!(page, "<li><code>{}</code></li>", escaped(complaint));
        }
        page.push_str("</ul>\n");
    }
    if let Some(record) = &outcome.record {
        course::course(page, number, record);
    }
    let _ = writeln!(page, "<p class=\"repeat\">Once more: <code>{}</code></p>", escaped(&outcome.repeat));
    page.push_str("</div>\n</details>\n");
}

/// How all the runs of a cell ended, where there were several: the rest of its part is about one of them.
fn often(page: &mut String, tried: &Tried) {
    let (Some(counted), runs) = (tried.counted(), &tried.runs) else { return };
    let broken: Vec<String> = runs.broken.iter().map(|(name, count)| format!("{name} {count} times")).collect();
    let broken = if broken.is_empty() { String::new() } else { format!("; broke: {}", broken.join(", ")) };
    let (least, most) = (runs.seconds.least, runs.seconds.most);
    let text = format!("{} runs of {least:.1} to {most:.1} s: {counted}{broken}.", runs.total);
    let _ =
        writeln!(page, "<p class=\"often\">{} Below is the one with seed {}.</p>", escaped(&text), tried.shown.seed);
}

fn invariants(page: &mut String, outcome: &Outcome) {
    let count = |finding: fn(&Finding) -> bool| outcome.invariants.iter().filter(|one| finding(&one.finding)).count();
    let held = count(|finding| matches!(finding, Finding::Holds));
    let broken = count(Finding::is_broken);
    let moot = count(|finding| matches!(finding, Finding::Moot(_)));
    let _ = writeln!(
        page,
        "<h3>Invariants</h3>\n<p class=\"count\">{broken} broken, {held} held, {moot} without a subject</p>"
    );
    // What broke is what the reader came for.
    for (list, wanted) in [("invariants", 0), ("invariants held", 1), ("invariants", 2)] {
        let here: Vec<&Judged> = outcome.invariants.iter().filter(|one| place(&one.finding) == wanted).collect();
        if here.is_empty() {
            continue;
        }
        let _ = writeln!(page, "<ul class=\"{list}\">");
        for one in here {
            invariant(page, one, outcome);
        }
        page.push_str("</ul>\n");
    }
}

fn place(finding: &Finding) -> u8 {
    match finding {
        Finding::Broken(_) => 0,
        Finding::Holds => 1,
        Finding::Moot(_) => 2,
    }
}

fn invariant(page: &mut String, one: &Judged, outcome: &Outcome) {
    let (class, word, text) = match &one.finding {
        Finding::Broken(evidence) => ("broken", "broken", evidence.as_str()),
        Finding::Holds => ("held", "holds", ""),
        Finding::Moot(reason) => ("moot", "moot", reason.as_str()),
    };
    let _ = write!(page, "<li class=\"{class}\"><span class=\"word\">{word}</span> <b>{}</b>", escaped(&one.name));
    if !text.is_empty() {
        let _ = write!(page, " <span class=\"evidence\">{}</span>", escaped(text));
    }
    if let (Finding::Broken(_), Some(record)) = (&one.finding, &outcome.record) {
        evidence::trail(page, text, record);
    }
    page.push_str("</li>\n");
}
