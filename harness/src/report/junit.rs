//! JUnit XML: a test suite a scenario, a test case a cell.

use std::fmt::Write as _;

use super::Tried;
use super::markup::escaped;
use crate::run::{Outcome, Verdict};

/// The whole document.
pub fn to_junit(tried: &[Tried]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Tried> = tried.iter().collect();
    let _ = writeln!(text, "<testsuites name=\"scrimmage\" {}>", figures(&all));
    let mut scenarios: Vec<&str> = Vec::new();
    for one in tried {
        if !scenarios.contains(&one.shown.scenario.as_str()) {
            scenarios.push(&one.shown.scenario);
        }
    }
    for scenario in scenarios {
        let of_scenario: Vec<&Tried> = tried.iter().filter(|one| one.shown.scenario == scenario).collect();
        suite(&mut text, scenario, &of_scenario);
    }
    text.push_str("</testsuites>\n");
    text
}

fn figures(tried: &[&Tried]) -> String {
    let failures = tried.iter().filter(|one| !one.is_good()).count();
    let seconds: f64 = tried.iter().map(|one| one.runs.seconds.in_all).sum();
    format!("tests=\"{}\" failures=\"{failures}\" time=\"{seconds:.3}\"", tried.len())
}

fn suite(text: &mut String, scenario: &str, tried: &[&Tried]) {
    let _ = writeln!(text, "  <testsuite name=\"{}\" {}>", escaped(scenario), figures(tried));
    for one in tried {
        case(text, one);
    }
    text.push_str("  </testsuite>\n");
}

fn case(text: &mut String, tried: &Tried) {
    let outcome = &tried.shown;
    let case = escaped(outcome.defect.as_deref().unwrap_or("healthy"));
    let class = escaped(&format!("{}.{}.{}", outcome.stage, outcome.pipeline, outcome.scenario));
    let seconds = tried.runs.seconds.in_all;
    let _ = write!(text, "    <testcase name=\"{case}\" classname=\"{class}\" time=\"{seconds:.3}\"");
    let mut inside = String::new();
    if let Verdict::Skipped(obstacles) = &outcome.verdict {
        let _ = write!(inside, "<skipped message=\"{}\"/>", escaped(&obstacles.join("; ")));
    } else if !outcome.verdict.is_good() {
        let message = tried.counted().into_iter().chain([message(outcome)]).collect::<Vec<_>>().join(": ");
        let _ =
            write!(inside, "\n      <failure type=\"{}\" message=\"{}\">", outcome.verdict.word(), escaped(&message));
        for (name, evidence) in outcome.broken() {
            let _ = writeln!(inside, "{}", escaped(&format!("{name}: {evidence}")));
        }
        inside.push_str("</failure>\n    ");
    }
    if let Some(counted) = tried.counted() {
        let _ = write!(inside, "<system-out>{}</system-out>", escaped(&counted));
    }
    let _ = match inside.as_str() {
        "" => writeln!(text, "/>"),
        inside => writeln!(text, ">{inside}</testcase>"),
    };
}

fn message(outcome: &Outcome) -> String {
    match &outcome.verdict {
        Verdict::NotAsNamed { unbroken, also_broken } => {
            let mut parts = Vec::new();
            if !unbroken.is_empty() {
                parts.push(format!("should have broken and did not: {}", unbroken.join(", ")));
            }
            if !also_broken.is_empty() {
                parts.push(format!("broke and is not named: {}", also_broken.join(", ")));
            }
            parts.join("; ")
        }
        _ => outcome.broken().map(|(name, _)| name).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::Finding;
    use crate::run::Judged;

    #[test]
    fn a_failure_tells_what_broke_and_xml_stays_xml() {
        let judged =
            Judged { name: "keys-unique".into(), finding: Finding::Broken("o'neale & <NULL>\u{1} 2 times".into()) };
        let outcome =
            Outcome { invariants: vec![judged], ..Outcome::example("hyphenated-names", None, Verdict::Broken) };
        let text = to_junit(&[outcome.into()]);
        assert!(text.contains("keys-unique: o&#39;neale &amp; &lt;NULL&gt;\u{fffd} 2 times"), "{text}");
        assert!(!text.contains("system-out"), "{text}");
        assert!(text.contains("tests=\"1\" failures=\"1\" time=\"1.250\""), "{text}");
    }

    #[test]
    fn a_case_that_was_run_often_says_how_often_it_was_what() {
        let mut tried = Tried::from(Outcome::example("one", Some("bug"), Verdict::Caught));
        tried.again(Outcome::example("one", Some("bug"), Verdict::Caught));
        let text = to_junit(&[tried]);
        assert!(text.contains("time=\"2.500\"><system-out>caught 2 of 2</system-out></testcase>"), "{text}");
    }
}
