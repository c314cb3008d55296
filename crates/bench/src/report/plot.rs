//! Throughput and latency over time, as SVG; in a page of its own if the file is to be HTML.

use crate::report::outcome::{Outcome, Point};
use crate::report::text::{count, duration};
use std::fmt::Write;
use std::path::Path;

/// Plots for a file of that name: HTML if it ends so, else SVG.
#[must_use]
pub fn document(path: &Path, outcomes: &[Outcome]) -> String {
    let svg = svg(outcomes);
    if path.extension().is_some_and(|extension| extension == "html") {
        let head = "<!doctype html><meta charset=\"utf-8\"><title>quorate bench</title>";
        return format!("{head}\n{svg}");
    }
    svg
}

/// One row of two panels per measurement.
#[must_use]
pub fn svg(outcomes: &[Outcome]) -> String {
    let height = ROW_HEIGHT * outcomes.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (row, outcome) in outcomes.iter().enumerate() {
        let top = row as f64 * ROW_HEIGHT;
        let title = escaped(&format!("{} on {}", outcome.workload, outcome.target));
        text(
            &mut out,
            (MARGIN, top + 18.0),
            &format!("<tspan font-weight=\"bold\">{title}</tspan>"),
        );
        throughput(&mut out, top, outcome);
        latency(&mut out, top, outcome);
    }
    out.push_str("</svg>\n");
    out
}

fn throughput(out: &mut String, top: f64, outcome: &Outcome) {
    let panel = Panel::new(MARGIN, top, &outcome.series);
    let most = outcome.series.iter().map(|p| p.operations_per_s).fold(1.0, f64::max);
    panel.frame(out, "operations per s", &[(0.0, "0".to_owned()), (1.0, count(most))]);
    let height = |point: &Point| point.operations_per_s / most;
    panel.curve(out, &outcome.series, "#1f6fb4", height);
}

fn latency(out: &mut String, top: f64, outcome: &Outcome) {
    let panel = Panel::new(MARGIN * 2.0 + PANEL_WIDTH, top, &outcome.series);
    // The logarithmic scale runs over whole powers of ten.
    let values = outcome.series.iter().flat_map(|p| [p.p50_us, p.max_us]).filter(|v| *v > 0.0);
    let (low, high) = values.fold((f64::MAX, 1.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    let (low, high) = (low.min(high).log10().floor(), high.log10().ceil());
    let span = (high - low).max(1.0);
    let ticks: Vec<_> = (0..=span as i32)
        .map(|power| (f64::from(power) / span, duration(10f64.powf(low + f64::from(power)))))
        .collect();
    panel.frame(out, "latency", &ticks);
    let height = |value: f64| (value.max(10f64.powf(low)).log10() - low) / span;
    panel.curve(out, &outcome.series, "#2a8f4f", |p| height(p.p50_us));
    panel.curve(out, &outcome.series, "#d08a1d", |p| height(p.p99_us));
    panel.curve(out, &outcome.series, "#b83232", |p| height(p.max_us));
    for (at, (name, colour)) in
        [("p50", "#2a8f4f"), ("p99", "#d08a1d"), ("max", "#b83232")].into_iter().enumerate()
    {
        let x = panel.left + PANEL_WIDTH - 110.0 + 40.0 * at as f64;
        let label = format!("<tspan fill=\"{colour}\">{name}</tspan>");
        text(out, (x, panel.top - 6.0), &label);
    }
}

/// A coordinate system; heights go from 0 to 1.
struct Panel {
    left: f64,
    top: f64,
    seconds: f64,
}

impl Panel {
    fn new(left: f64, row_top: f64, series: &[Point]) -> Panel {
        let seconds = series.last().map_or(1.0, |point| point.at_s);
        Panel { left, top: row_top + 44.0, seconds }
    }

    fn frame(&self, out: &mut String, name: &str, ticks: &[(f64, String)]) {
        let Panel { left, top, seconds } = self;
        text(out, (*left, top - 6.0), name);
        let bottom = top + PANEL_HEIGHT;
        for (height, label) in ticks {
            let y = bottom - height * PANEL_HEIGHT;
            writeln!(
                out,
                "<path d=\"M{left:.1} {y:.1}h{PANEL_WIDTH}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                left - 4.0,
                y + 4.0
            )
            .expect("a string takes everything");
        }
        text(out, (*left, bottom + 14.0), "0 s");
        text(out, (left + PANEL_WIDTH - 30.0, bottom + 14.0), &format!("{seconds:.1} s"));
    }

    fn curve(
        &self,
        out: &mut String,
        series: &[Point],
        colour: &str,
        height: impl Fn(&Point) -> f64,
    ) {
        let points: Vec<String> = series
            .iter()
            .map(|point| {
                let x = self.left + point.at_s / self.seconds * PANEL_WIDTH;
                let y = self.top + (1.0 - height(point)) * PANEL_HEIGHT;
                format!("{x:.1},{y:.1}")
            })
            .collect();
        writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            points.join(" ")
        )
        .expect("a string takes everything");
    }
}

fn text(out: &mut String, (x, y): (f64, f64), label: &str) {
    writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>")
        .expect("a string takes everything");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Sizes in px.
const PANEL_WIDTH: f64 = 380.0;
const PANEL_HEIGHT: f64 = 150.0;
const MARGIN: f64 = 70.0;
const WIDTH: f64 = MARGIN * 2.5 + PANEL_WIDTH * 2.0;
const ROW_HEIGHT: f64 = 230.0;
