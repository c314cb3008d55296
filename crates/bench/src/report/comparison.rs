//! Two servers side by side: measured A B A B, told as ratios with their spread.

use crate::report::outcome::Outcome;
use crate::report::text::{count, duration};
use serde::Serialize;
use std::fmt::Write;

/// One workload on two servers.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The workload's name.
    pub workload: String,
    /// Throughput of A over B's.
    pub throughput: Ratio,
    /// Median latency of A over B's.
    pub p50: Ratio,
    /// 99th percentile of A over B's.
    pub p99: Ratio,
    /// 99.9th percentile of A over B's.
    pub p999: Ratio,
    /// Server CPU per operation of A over B's; `None` unless both gave pids.
    pub server_cpu: Option<Ratio>,
    /// Resident memory of A over B's; `None` unless both gave pids.
    pub resident: Option<Ratio>,
    /// The rounds on A.
    pub a: Vec<Outcome>,
    /// The rounds on B.
    pub b: Vec<Outcome>,
}

/// A quotient over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Of the means.
    pub mean: f64,
    /// The least of the rounds' own quotients.
    pub min: f64,
    /// The greatest of them.
    pub max: f64,
}

impl Ratio {
    /// The quotients of `a` over `b`, round by round.
    #[must_use]
    pub fn of(a: &[f64], b: &[f64]) -> Ratio {
        let rounds = a.iter().zip(b).map(|(a, b)| a / b);
        Ratio {
            mean: a.iter().sum::<f64>() / b.iter().sum::<f64>(),
            min: rounds.clone().fold(f64::INFINITY, f64::min),
            max: rounds.fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl Comparison {
    /// Compares the same number of rounds.
    ///
    /// # Panics
    /// If the numbers differ.
    #[must_use]
    pub fn of(workload: &str, a: Vec<Outcome>, b: Vec<Outcome>) -> Comparison {
        assert_eq!(a.len(), b.len(), "rounds come in pairs");
        let ratio = |f: &dyn Fn(&Outcome) -> f64| {
            let values = |side: &[Outcome]| side.iter().map(f).collect::<Vec<_>>();
            Ratio::of(&values(&a), &values(&b))
        };
        let has_pids = a.iter().chain(&b).all(|outcome| !outcome.servers.is_empty());
        let cpu = |outcome: &Outcome| outcome.server_cpu_s_per_million.unwrap_or_default();
        let resident = |outcome: &Outcome| outcome.resident_bytes().unwrap_or_default() as f64;
        Comparison {
            workload: workload.to_owned(),
            throughput: ratio(&|outcome| outcome.operations_per_s),
            p50: ratio(&|outcome| outcome.latency[0].p50_us),
            p99: ratio(&|outcome| outcome.latency[0].p99_us),
            p999: ratio(&|outcome| outcome.latency[0].p999_us),
            server_cpu: has_pids.then(|| ratio(&cpu)),
            resident: has_pids.then(|| ratio(&resident)),
            a,
            b,
        }
    }
}

/// A table of one side: a row per workload.
#[must_use]
pub fn table(rows: &[(String, Vec<Outcome>)]) -> String {
    let head =
        ["workload", "per s", "p50", "p99", "p99.9", "errors", "CPU/M", "client CPU/M", "MiB"];
    let rows = rows.iter().map(|(name, outcomes)| cells(name, outcomes));
    aligned(std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect())
}

fn cells(name: &str, outcomes: &[Outcome]) -> Vec<String> {
    let mean = |f: &dyn Fn(&Outcome) -> f64| {
        outcomes.iter().map(f).sum::<f64>() / outcomes.len().max(1) as f64
    };
    let has_pids = outcomes.iter().all(|outcome| !outcome.servers.is_empty());
    let cost = |text: String| if has_pids { text } else { "-".to_owned() };
    let errors: u64 = outcomes.iter().map(|o| o.error_count() + o.connections_lost).sum();
    vec![
        name.to_owned(),
        count(mean(&|o| o.operations_per_s)),
        duration(mean(&|o| o.latency[0].p50_us)),
        duration(mean(&|o| o.latency[0].p99_us)),
        duration(mean(&|o| o.latency[0].p999_us)),
        count(errors as f64),
        cost(format!("{:.2} s", mean(&|o| o.server_cpu_s_per_million.unwrap_or_default()))),
        format!("{:.2} s", mean(&|o| o.client_cpu_s_per_million)),
        cost(format!(
            "{:.0}",
            mean(&|o| o.resident_bytes().unwrap_or_default() as f64) / f64::from(1 << 20)
        )),
    ]
}

/// A table of ratios A/B, each with its spread over the rounds.
#[must_use]
pub fn ratios(comparisons: &[Comparison]) -> String {
    let head = [
        "workload",
        "A per s",
        "B per s",
        "A/B",
        "p50 A/B",
        "p99 A/B",
        "p99.9 A/B",
        "CPU/op A/B",
        "RSS A/B",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for comparison in comparisons {
        let mean = |side: &[Outcome]| {
            side.iter().map(|o| o.operations_per_s).sum::<f64>() / side.len().max(1) as f64
        };
        rows.push(vec![
            comparison.workload.clone(),
            count(mean(&comparison.a)),
            count(mean(&comparison.b)),
            spread(Some(comparison.throughput)),
            spread(Some(comparison.p50)),
            spread(Some(comparison.p99)),
            spread(Some(comparison.p999)),
            spread(comparison.server_cpu),
            spread(comparison.resident),
        ]);
    }
    aligned(rows)
}

fn spread(ratio: Option<Ratio>) -> String {
    ratio.map_or("-".to_owned(), |r| format!("{:.2} ({:.2}..{:.2})", r.mean, r.min, r.max))
}

/// Columns as wide as they need; the first to the left, the others to the right.
fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        write!(text, "{:<1$}", row[0], widths[0]).expect("a string takes everything");
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(text, "  {cell:>width$}").expect("a string takes everything");
        }
        text.push('\n');
    }
    text
}
