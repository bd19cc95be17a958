//! One page, with nothing outside it: charts, conclusions, the table, the method.

use std::fmt::Write as _;

use super::chart::{Across, Axis, Series, chart};
use super::{conclusions, millis};
use crate::simulate::Figures;
use crate::sweep::Sweep;

const STYLE: &str = "
:root { --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --line: #d9dee5;
  --c0: #c2410c; --c1: #1d4ed8; --c2: #047857; --c3: #7e22ce; --c4: #a16207; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ecf3; --soft: #a3afbf; --paper: #12161c; --line: #313a46;
  --c0: #fb923c; --c1: #7aa2ff; --c2: #34d399; --c3: #d8b4fe; --c4: #facc15; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, li { color: var(--soft); max-width: 60rem; } strong { color: var(--ink); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; display: block; }
.grid line { stroke: var(--line); } .grid text, .axis { fill: var(--soft); font-size: 12px; }
.line polyline { fill: none; stroke-width: 2; } .knee { fill: none; stroke-width: 2; stroke-dasharray: 3 2; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.line polyline, .knee { stroke: var(--c); } .line circle:not(.knee) { fill: var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; }
.legend li::before { content: ''; display: inline-block; width: .9em; height: .9em; margin-right: .4em; border-radius: 50%;
  background: var(--c); vertical-align: -.1em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } .bad { color: var(--c0); font-weight: 600; }
";

/// What the page is told about a strategy that is drawn.
type Value = fn(&Figures) -> f64;

/// The page of a sweep.
pub fn page(sweep: &Sweep) -> String {
    let strategies = sweep.strategies();
    let series = |value: Value| -> Vec<Series> {
        strategies
            .iter()
            .enumerate()
            .map(|(colour, strategy)| Series {
                name: strategy.name(),
                colour: colour % 5,
                points: sweep.of(*strategy).map(|figures| (figures.workers as f64, value(figures))).collect(),
                knee: sweep.knee(*strategy).map(|knee| knee.workers as f64),
            })
            .collect()
    };
    let charts: [(&str, &str, Axis, Value); 5] = [
        ("Latency of a completion, 99th percentile", "ms", Axis::Logarithmic, |figures| figures.p99_ms),
        ("Latency of a completion, median", "ms", Axis::Logarithmic, |figures| figures.p50_ms),
        ("Completions counted a second", "a second", Axis::Logarithmic, |figures| figures.throughput_per_second),
        ("Attempts that were aborted", "of attempts", Axis::Share, Figures::abort_rate),
        ("Completions given up", "of completions", Axis::Share, |figures| {
            figures.failed as f64 / figures.asked.max(1) as f64
        }),
    ];
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><title>Completion contention</title><style>{STYLE}</style></head><body>\n<h1>Completion \
         contention</h1>\n<p>Workers that complete against one batch, {}, seed {}.</p>\n",
        subject(sweep),
        sweep.seed
    );
    html.push_str("<ul class=\"legend\">");
    for (colour, strategy) in strategies.iter().enumerate() {
        let _ = write!(html, "<li class=\"c{}\">{}</li>", colour % 5, strategy.name());
    }
    html.push_str("</ul>\n<h2>What it says</h2>\n<ul>");
    for conclusion in conclusions(sweep) {
        let _ = write!(html, "<li>{}</li>", escape(&conclusion));
    }
    let verdict = if sweep.holds() {
        "No acknowledged completion was lost, none was counted twice, and no safe strategy gave up."
    } else {
        "A strategy that claims to be safe lost, doubled or gave up completions: see the table."
    };
    let _ = write!(
        html,
        "<li><strong>{verdict}</strong></li></ul>\n<h2>Against the number of workers</h2>\n<div class=\"charts\">"
    );
    for (title, unit, axis, value) in charts {
        let _ = write!(
            html,
            "<figure><figcaption>{title}</figcaption>{}</figure>",
            chart(title, unit, axis, Across::Workers, &series(value))
        );
    }
    let _ = write!(
        html,
        "<figure><figcaption>Latency by percentile, at the most workers</figcaption>{}</figure>",
        chart("Latency by percentile", "ms", Axis::Logarithmic, Across::SlowestOneIn, &histograms(sweep))
    );
    html.push_str("</div>\n<p>Dashed circles mark knees. Points have their figures as tooltips.</p>\n<h2>Figures</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Figures\"><table><thead><tr>");
    for column in [
        "strategy",
        "workers",
        "counted",
        "failed",
        "attempts",
        "aborted",
        "lock waits",
        "p50",
        "p90",
        "p99",
        "max",
        "all in",
        "a second",
        "lost",
        "doubled",
    ] {
        let _ = write!(html, "<th scope=\"col\">{column}</th>");
    }
    html.push_str("</tr></thead><tbody>\n");
    for figures in &sweep.figures {
        html.push_str(&row(figures));
    }
    let _ = write!(
        html,
        "</tbody></table></div>\n<h2>Method</h2>\n<p>Latencies count from the intended start of a completion, not from when a worker \
         came to it. {}</p>\n</body></html>\n",
        method(sweep)
    );
    html
}

/// What the figures are of, in half a sentence.
fn subject(sweep: &Sweep) -> String {
    match &sweep.measured {
        Some(measured) => format!("in real time at <strong>{}</strong>", escape(&measured.endpoint)),
        None => format!("under the latency profile <strong>{}</strong>", escape(&sweep.profile)),
    }
}

/// What was done, and what the figures hold for.
fn method(sweep: &Sweep) -> String {
    match &sweep.measured {
        Some(measured) => format!(
            "Time is real: gRPC clients over sockets, {} s for each number of workers at most. What was acknowledged is compared \
             with what is stored. The figures hold for this service on this machine and whatever else it did: {}.",
            measured.within_s,
            escape(&sweep.source)
        ),
        None => format!(
            "In a latency profile, time is virtual: the emulated Firestore's own lock table decides who waits and who is aborted, \
             the profile how long reads, commits and the network take. {}Conclusions hold for the profile, whose figures are: {}.",
            if sweep.whole_way {
                "A worker begins with its load job; its completion is published and pushed. "
            } else {
                ""
            },
            escape(&sweep.source)
        ),
    }
}

/// The latencies of each strategy with the most workers, by percentile.
fn histograms(sweep: &Sweep) -> Vec<Series> {
    let strategies = sweep.strategies().into_iter().enumerate();
    strategies
        .map(|(colour, strategy)| {
            let most = sweep.of(strategy).max_by_key(|figures| figures.workers);
            // Of one in more than there are, nothing is known; the slowest of all has no place on the axis.
            let told = |share: f64, of: usize| share < 1.0 && 1.0 / (1.0 - share) <= of as f64 + 1e-6;
            let points = most.map_or_else(Vec::new, |figures| {
                let points = figures.percentiles.iter().filter(|point| told(point.share, figures.acknowledged));
                points.map(|point| (1.0 / (1.0 - point.share), point.ms)).collect()
            });
            Series { name: strategy.name(), colour: colour % 5, points, knee: None }
        })
        .collect()
}

fn row(figures: &Figures) -> String {
    let count = |count: usize, bad: bool| {
        if bad && count > 0 { format!("<td class=\"bad\">{count}</td>") } else { format!("<td>{count}</td>") }
    };
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td>{}<td>{}</td><td>{:.0}%</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td>{}{}</tr>\n",
        figures.strategy.name(),
        figures.workers,
        figures.acknowledged,
        count(figures.failed, true),
        figures.attempts,
        figures.abort_rate() * 100.0,
        figures.lock_waits.map_or_else(|| "–".to_owned(), |waits| waits.to_string()),
        millis(figures.p50_ms),
        millis(figures.p90_ms),
        millis(figures.p99_ms),
        millis(figures.max_ms),
        millis(figures.elapsed_ms),
        figures.throughput_per_second,
        count(figures.lost, true),
        count(figures.doubled, true)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
