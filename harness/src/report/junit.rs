//! JUnit XML: a test suite a scenario, a test case a run.

use std::fmt::Write as _;

use crate::run::{Outcome, Verdict};

/// The whole document.
pub fn to_junit(outcomes: &[Outcome]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let failures = outcomes.iter().filter(|outcome| !outcome.verdict.is_good()).count();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    let tests = outcomes.len();
    let _ = writeln!(
        text,
        "<testsuites name=\"scrimmage\" tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">"
    );
    let mut scenarios: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !scenarios.contains(&outcome.scenario.as_str()) {
            scenarios.push(&outcome.scenario);
        }
    }
    for scenario in scenarios {
        let of_scenario: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.scenario == scenario).collect();
        suite(&mut text, scenario, &of_scenario);
    }
    text.push_str("</testsuites>\n");
    text
}

fn suite(text: &mut String, scenario: &str, outcomes: &[&Outcome]) {
    let failures = outcomes.iter().filter(|outcome| !outcome.verdict.is_good()).count();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    let (name, tests) = (escaped(scenario), outcomes.len());
    let _ =
        writeln!(text, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">");
    for outcome in outcomes {
        let case = escaped(outcome.defect.as_deref().unwrap_or("healthy"));
        let class = escaped(&format!("{}.{}.{scenario}", outcome.stage, outcome.pipeline));
        let _ = write!(text, "    <testcase name=\"{case}\" classname=\"{class}\" time=\"{:.3}\"", outcome.seconds);
        if let Verdict::Skipped(obstacles) = &outcome.verdict {
            let message = escaped(&obstacles.join("; "));
            let _ = writeln!(text, "><skipped message=\"{message}\"/></testcase>");
            continue;
        }
        if outcome.verdict.is_good() {
            text.push_str("/>\n");
            continue;
        }
        let message = escaped(&message(outcome));
        let _ = write!(text, ">\n      <failure type=\"{}\" message=\"{message}\">", outcome.verdict.word());
        for (name, evidence) in outcome.broken() {
            let _ = writeln!(text, "{}", escaped(&format!("{name}: {evidence}")));
        }
        text.push_str("</failure>\n    </testcase>\n");
    }
    text.push_str("  </testsuite>\n");
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

/// Text that is safe in XML, also as an attribute; characters that XML cannot hold at all become `?`.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' | '\t' => safe.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('?'),
            c => safe.push(c),
        }
    }
    safe
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
        let text = to_junit(&[outcome]);
        assert!(text.contains("keys-unique: o&apos;neale &amp; &lt;NULL&gt;? 2 times"), "{text}");
        assert!(text.contains("tests=\"1\" failures=\"1\" time=\"1.250\""), "{text}");
    }
}
