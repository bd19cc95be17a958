//! Line charts as SVG: logarithmic axes, a line a strategy, knees marked.

use std::fmt::Write as _;

/// One line of a chart.
pub struct Series {
    pub name: &'static str,
    /// Its place among the page's colours.
    pub colour: usize,
    pub points: Vec<(f64, f64)>,
    /// Where to mark it, on the horizontal axis.
    pub knee: Option<f64>,
}

/// How the vertical axis goes.
#[derive(Clone, Copy, PartialEq)]
pub enum Axis {
    Logarithmic,
    /// From nothing to all.
    Share,
}

/// What the horizontal axis counts.
#[derive(Clone, Copy, PartialEq)]
pub enum Across {
    Workers,
    /// One in so many is slower: 10 is the 90th percentile, 100 the 99th.
    SlowestOneIn,
}

impl Across {
    fn title(self) -> &'static str {
        match self {
            Across::Workers => "workers",
            Across::SlowestOneIn => "percentile",
        }
    }

    fn tick(self, value: f64) -> String {
        match self {
            Across::Workers => format!("{value}"),
            // Cut to its digits: 99.99, not 99.99000000000001.
            Across::SlowestOneIn => format!("{}", ((1.0 - 1.0 / value) * 1e6).round() / 1e4),
        }
    }
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;

/// An SVG with its title for screen readers.
pub fn chart(title: &str, unit: &str, axis: Axis, across: Across, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|one| one.points.iter());
    let widest = points().map(|point| point.0).fold(1.0, f64::max);
    let (least, most) = match axis {
        Axis::Share => (0.0, 1.0),
        Axis::Logarithmic => {
            let least = points().map(|point| point.1).filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
            let most = points().map(|point| point.1).fold(1.0, f64::max);
            let least = if least.is_finite() { least } else { 0.1 };
            (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()))
        }
    };
    let decades = widest.log10().ceil().max(1.0);
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * value.max(1.0).log10() / decades;
    let y = |value: f64| {
        let share = match axis {
            Axis::Share => value,
            Axis::Logarithmic => (value.max(least) / least).log10() / (most / least).log10().max(1e-9),
        };
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share.clamp(0.0, 1.0)
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n<g class=\"grid\">"
    );
    for decade in 0..=(decades as i32) {
        let value = 10_f64.powi(decade);
        let at = x(value);
        let _ = write!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0,
            across.tick(value)
        );
    }
    let ticks: Vec<f64> = match axis {
        Axis::Share => vec![0.0, 0.25, 0.5, 0.75, 1.0],
        Axis::Logarithmic => {
            (least.log10() as i32..=most.log10().round() as i32).map(|power| 10_f64.powi(power)).collect()
        }
    };
    for tick in ticks {
        let at = y(tick);
        let label = if axis == Axis::Share { format!("{:.0}%", tick * 100.0) } else { format!("{tick}") };
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
    }
    let _ = write!(
        svg,
        "</g><text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text class=\"axis\" x=\"4\" y=\"12\">{unit}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 6.0,
        across.title()
    );
    for one in series {
        let line: Vec<String> = one.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
        let _ = write!(
            svg,
            "\n<g class=\"line c{}\" data-strategy=\"{}\"><polyline points=\"{}\"/>",
            one.colour,
            one.name,
            line.join(" ")
        );
        for (a, b) in &one.points {
            let _ = write!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}, {} {}: {b:.3} {unit}</title></circle>",
                x(*a),
                y(*b),
                one.name,
                across.title(),
                across.tick(*a)
            );
        }
        if let Some((a, b)) = one.knee.and_then(|knee| one.points.iter().find(|point| point.0 >= knee)) {
            let _ = write!(
                svg,
                "<circle class=\"knee\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"8\"><title>{}: knee</title></circle>",
                x(*a),
                y(*b),
                one.name
            );
        }
        svg.push_str("</g>");
    }
    svg.push_str("\n</svg>");
    svg
}
