//! The summary of a measurement as text, and how numbers are written.

use crate::report::outcome::Outcome;
use std::fmt::Write;

/// A summary of a few lines.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let pace = match load.rate {
        Some(rate) => format!("{} per s", count(rate)),
        None => format!("window {}", load.window),
    };
    let mut text = format!(
        "{} on {}: {} connections, {pace}, {:.1} s\n  {}/s, {} operations, {} errors, {} connections lost\n",
        outcome.workload,
        outcome.target,
        load.connections,
        outcome.seconds,
        count(outcome.operations_per_s),
        count(outcome.operations as f64),
        count(outcome.error_count() as f64),
        outcome.connections_lost,
    );
    for latency in &outcome.latency {
        let columns = [
            ("p50", latency.p50_us),
            ("p90", latency.p90_us),
            ("p99", latency.p99_us),
            ("p99.9", latency.p999_us),
            ("p99.99", latency.p9999_us),
            ("max", latency.max_us),
            ("mean", latency.mean_us),
        ];
        let columns = columns.map(|(name, value)| format!("{name} {}", duration(value)));
        line(&mut text, &format!("{:<8} {}", latency.name, columns.join("  ")));
    }
    for (name, times) in &outcome.errors {
        line(&mut text, &format!("error {name}: {}", count(*times as f64)));
    }
    if let Some(why) = &outcome.last_error {
        line(&mut text, &format!("a connection was lost: {why}"));
    }
    line(
        &mut text,
        &format!(
            "CPU per million operations: client {:.2} s{}",
            outcome.client_cpu_s_per_million,
            outcome
                .server_cpu_s_per_million
                .map_or(String::new(), |s| format!(", server {s:.2} s")),
        ),
    );
    for cost in &outcome.servers {
        let (now, peak) = (bytes(cost.resident_bytes), bytes(cost.resident_peak_bytes));
        line(&mut text, &format!("process {}: {now} resident, {peak} at its peak", cost.pid));
    }
    if let Some(size) = outcome.resident_bytes_per_session {
        line(&mut text, &format!("memory per session: {:.1} KiB", size / 1024.0));
    }
    text
}

fn line(text: &mut String, words: &str) {
    writeln!(text, "  {}", words.trim_end()).expect("a string takes everything");
}

/// A count with its thousands apart; one digit after the point below 100.
#[must_use]
pub fn count(number: f64) -> String {
    if number < 100.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration given in us, with three digits and its unit.
#[must_use]
pub fn duration(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 1e3 => (us, "us"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let decimals = match value {
        value if unit == "us" || value >= 100.0 => usize::from(value < 10.0 && value > 0.0),
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

/// A size in bytes, in MiB.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
