//! Makes a failing run smaller: fewer kinds of fault, fewer clients, a shorter time.

use crate::options::Options;
use crate::report::Report;
use crate::run;
use std::time::Duration;

/// Shrinks the options of a failing seed as long as the same rule is violated; gives the smallest
/// report that was found, or `None` if the run does not fail.
#[must_use]
pub fn minimize(seed: u64, options: Options) -> Option<Report> {
    let mut best = run(seed, options);
    let rule = best.violation()?.rule;
    loop {
        let smaller = candidates(&best.options).into_iter().find_map(|options| {
            let report = run(seed, options);
            report.violation().is_some_and(|v| v.rule == rule).then_some(report)
        });
        match smaller {
            Some(report) => best = report,
            None => return Some(best),
        }
    }
}

/// The options that are one step smaller.
fn candidates(options: &Options) -> Vec<Options> {
    let mut all = Vec::new();
    for fault in &options.faults {
        let faults = options.faults.iter().copied().filter(|f| f != fault).collect();
        all.push(Options { faults, ..options.clone() });
    }
    let flags: [fn(&mut Options); 6] = [
        |o| o.bulk = false,
        |o| o.auth = false,
        |o| o.purge = false,
        |o| o.overlap = false,
        |o| o.compression = 0,
        |o| o.log_size = None,
    ];
    for clear in flags {
        let mut smaller = options.clone();
        clear(&mut smaller);
        all.push(smaller);
    }
    if options.clients > 1 {
        all.push(Options { clients: options.clients - 1, ..options.clone() });
    }
    if options.window > 1 {
        all.push(Options { window: options.window / 2, ..options.clone() });
    }
    if options.duration > Duration::from_millis(500) {
        all.push(Options { duration: options.duration / 2, ..options.clone() });
        all.push(Options { duration: options.duration * 4 / 5, ..options.clone() });
    }
    all.retain(|smaller| smaller != options);
    all
}
