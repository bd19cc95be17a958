//! What came of a sweep: a table for the terminal, a page with charts, a comparison of two.

mod chart;
mod page;

use std::fmt::Write as _;

use crate::simulate::Figures;
use crate::sweep::Sweep;

pub use page::page;

/// Milliseconds, with as many digits as say something.
pub fn millis(millis: f64) -> String {
    if millis >= 10_000.0 {
        format!("{:.1} s", millis / 1e3)
    } else if millis >= 100.0 {
        format!("{millis:.0} ms")
    } else if millis >= 1.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.2} ms")
    }
}

/// The head of [`line`]'s columns.
pub fn head() -> String {
    format!(
        "{:<25} {:>7} {:>7} {:>7} {:>8} {:>8} {:>9} {:>9} {:>9} {:>8} {:>5} {:>7}",
        "strategy",
        "workers",
        "counted",
        "failed",
        "attempts",
        "aborted",
        "p50",
        "p99",
        "all in",
        "/s",
        "lost",
        "doubled"
    )
}

/// One line of the table.
pub fn line(figures: &Figures) -> String {
    format!(
        "{:<25} {:>7} {:>7} {:>7} {:>8} {:>7.0}% {:>9} {:>9} {:>9} {:>8.1} {:>5} {:>7}",
        figures.strategy.name(),
        figures.workers,
        figures.acknowledged,
        figures.failed,
        figures.attempts,
        figures.abort_rate() * 100.0,
        millis(figures.p50_ms),
        millis(figures.p99_ms),
        millis(figures.elapsed_ms),
        figures.throughput_per_second,
        figures.lost,
        figures.doubled
    )
}

/// What can be concluded, one line a strategy; then the errors that were no contention.
pub fn conclusions(sweep: &Sweep) -> Vec<String> {
    let errors = sweep.figures.iter().flat_map(|figures| {
        let of = |(error, count): (&String, &u64)| {
            format!("{} with {} workers: {count} × {error}", figures.strategy.name(), figures.workers)
        };
        figures.errors.iter().map(of).collect::<Vec<_>>()
    });
    knees(sweep).into_iter().chain(errors).collect()
}

fn knees(sweep: &Sweep) -> Vec<String> {
    sweep
        .strategies()
        .into_iter()
        .map(|strategy| {
            let most = sweep.of(strategy).map(|figures| figures.workers).max().unwrap_or(0);
            match sweep.knee(strategy) {
                Some(knee) => format!("{}: knee at {} workers: {}", strategy.name(), knee.workers, knee.why),
                None => format!("{}: no knee up to {most} workers", strategy.name()),
            }
        })
        .collect()
}

/// Two sweeps side by side, where both have figures of a strategy and a number of workers.
pub fn compare(before: &Sweep, after: &Sweep) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<25} {:>7} {:>21} {:>21} {:>17} {:>15}",
        "strategy", "workers", "p99", "per second", "aborted", "failed"
    );
    let mut any = false;
    for old in &before.figures {
        let same = |new: &&Figures| new.strategy == old.strategy && new.workers == old.workers;
        let Some(new) = after.figures.iter().find(same) else { continue };
        any = true;
        let _ = writeln!(
            text,
            "{:<25} {:>7} {:>21} {:>21} {:>17} {:>15}",
            old.strategy.name(),
            old.workers,
            format!("{} -> {}", millis(old.p99_ms), millis(new.p99_ms)),
            format!("{:.1} -> {:.1}", old.throughput_per_second, new.throughput_per_second),
            format!("{:.0}% -> {:.0}%", old.abort_rate() * 100.0, new.abort_rate() * 100.0),
            format!("{} -> {}", old.failed, new.failed),
        );
    }
    if !any {
        text.push_str("no strategy with the same number of workers is in both\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::Arrival;
    use crate::profile::Profile;
    use crate::strategy::ALL;
    use crate::sweep::sweep;

    fn swept() -> Sweep {
        sweep(&ALL, &[1, 10, 40], &Arrival::Burst, &Profile::regional(), 1, |_| {}).unwrap()
    }

    #[test]
    fn a_sweep_survives_json_and_compares_with_itself() {
        let sweep = swept();
        let again: Sweep = serde_json::from_str(&serde_json::to_string(&sweep).unwrap()).unwrap();
        assert_eq!(again, sweep);
        let compared = compare(&sweep, &again);
        assert_eq!(compared.lines().count(), 1 + sweep.figures.len(), "{compared}");
    }

    #[test]
    fn the_page_has_a_line_for_each_strategy_and_marks_the_knees() {
        let sweep = swept();
        let page = page(&sweep);
        for strategy in ALL {
            assert!(page.contains(&format!("data-strategy=\"{}\"", strategy.name())), "{}", strategy.name());
        }
        assert!(page.contains("class=\"knee\""));
        assert!(!page.contains("http://") && !page.contains("https://"), "a page of its own");
        assert_eq!(conclusions(&sweep).len(), ALL.len());
    }
}
