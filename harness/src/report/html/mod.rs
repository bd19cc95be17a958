//! One page a set of runs: self-contained HTML, nothing loaded from anywhere.
//!
//! Everything that matters is there without script: the grid, the invariants with their evidence, the
//! calls by method. The script draws the timelines of the runs that are opened.

mod cell;
mod course;
mod data;
mod evidence;
mod matrix;

use std::fmt::Write as _;

use super::Tried;
use super::markup::escaped;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Calls in one page, over all its runs: enough for each of a few runs to show thousands, and few
/// enough for a matrix of hundreds of runs to stay a page that opens at once.
const CALLS_A_PAGE: usize = 60_000;
const MOST_CALLS_A_RUN: usize = 5_000;
const FEWEST_CALLS_A_RUN: usize = 100;
/// So many runs are open when the page is.
const OPEN_AT_FIRST: usize = 2;

/// How many calls of each run a page of so many runs has room for.
pub fn calls_a_run(runs: usize) -> usize {
    (CALLS_A_PAGE / runs.max(1)).clamp(FEWEST_CALLS_A_RUN, MOST_CALLS_A_RUN)
}

/// The whole document. `command` is how the runs were asked for, `seconds` how long all took.
pub fn to_html(tried: &[Tried], command: &str, seconds: f64) -> String {
    let bad: usize = tried.iter().map(|one| one.runs.total - one.runs.as_named).sum();
    let verdict = match (tried.len(), bad) {
        (0, _) => "Nothing was run".to_owned(),
        (_, 0) => "All as it should be".to_owned(),
        (_, bad) => format!("{bad} not as they should be"),
    };
    let mut page = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n");
    let _ =
        write!(page, "<title>{} · Scrimmage</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n", escaped(&verdict));
    page.push_str("<header>\n<p class=\"brand\">Scrimmage</p>\n");
    let state = if bad == 0 { "good" } else { "bad" };
    let _ = writeln!(page, "<h1 class=\"{state}\">{}</h1>", escaped(&verdict));
    facts(&mut page, tried, command, seconds);
    page.push_str("</header>\n<main>\n");
    matrix::matrix(&mut page, tried);
    page.push_str("<section aria-labelledby=\"runs\">\n<h2 id=\"runs\">Runs</h2>\n");
    let opened = opened(tried);
    for (number, one) in tried.iter().enumerate() {
        cell::run(&mut page, number, one, opened.contains(&number));
    }
    page.push_str("</section>\n</main>\n<script>\n");
    page.push_str(SCRIPT);
    page.push_str("</script>\n</body>\n</html>\n");
    page
}

/// Those that call for a look; without any, the first.
fn opened(tried: &[Tried]) -> Vec<usize> {
    let bad = tried.iter().enumerate().filter(|(_, one)| !one.is_good());
    let bad: Vec<usize> = bad.map(|(number, _)| number).take(OPEN_AT_FIRST).collect();
    if bad.is_empty() && !tried.is_empty() { vec![0] } else { bad }
}

fn facts(page: &mut String, tried: &[Tried], command: &str, seconds: f64) {
    let runs = |healthy: bool| {
        tried.iter().filter(|one| one.shown.defect.is_none() == healthy).map(|one| one.runs.total).sum::<usize>()
    };
    let each = |of: fn(&Tried) -> &str| {
        let mut names: Vec<&str> = tried.iter().map(of).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    let facts = [
        ("runs", format!("{} healthy, {} with a defect", runs(true), runs(false))),
        ("time", format!("{seconds:.1} s")),
        ("pipeline", each(|one| &one.shown.pipeline)),
        ("stage", each(|one| &one.shown.stage)),
        ("seed", each_seed(tried)),
    ];
    page.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(value));
    }
    page.push_str("</dl>\n");
    let _ = writeln!(page, "<p class=\"command\"><code>{}</code></p>", escaped(command));
}

/// The seeds of the runs: where they were repeated, each had the next.
fn each_seed(tried: &[Tried]) -> String {
    let Some(first) = tried.first() else { return String::new() };
    let (seed, most) = (first.first_seed, tried.iter().map(|one| one.runs.total as u64).max().unwrap_or(1));
    if most < 2 { seed.to_string() } else { format!("{seed} to {}", seed.saturating_add(most - 1)) }
}

/// A duration as people say it.
fn said(duration: std::time::Duration) -> String {
    match duration.as_micros() {
        0 => "0".to_owned(),
        micros @ ..1_000 => format!("{micros} µs"),
        micros @ ..10_000 => format!("{:.1} ms", micros as f64 / 1_000.0),
        micros @ ..1_000_000 => format!("{:.0} ms", micros as f64 / 1_000.0),
        micros => format!("{:.2} s", micros as f64 / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Outcome, Verdict};

    #[test]
    fn markup_in_names_stays_text() {
        let tried = [Outcome::example("<script>alert(1)</script>", Some("a\"b"), Verdict::Broken).into()];
        let page = to_html(&tried, "scrimmage run '<blink>'", 1.0);
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("<blink>") && page.contains("a&quot;b"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = to_html(&[Outcome::example("one", None, Verdict::Holds).into()], "scrimmage run", 1.0);
        for loads in ["src=", "url(", "@import", "http://", "fetch("] {
            let found = page.match_indices(loads).find(|(at, _)| !page[*at..].starts_with("http://www.w3.org/"));
            assert_eq!(found, None, "{loads}");
        }
    }

    #[test]
    fn room_is_shared_among_the_runs() {
        assert_eq!((calls_a_run(0), calls_a_run(1), calls_a_run(60), calls_a_run(100_000)), (5_000, 5_000, 1_000, 100));
    }

    #[test]
    fn durations_are_said_in_a_fitting_unit() {
        let said = |micros| said(std::time::Duration::from_micros(micros));
        assert_eq!(
            [said(0), said(999), said(2_500), said(80_000), said(1_234_000)],
            ["0", "999 µs", "2.5 ms", "80 ms", "1.23 s"]
        );
    }
}
