//! The line on a terminal that tells how a measurement goes.

use crate::report::outcome::Point;
use crate::report::text::{count, duration};
use std::io::{IsTerminal, Write, stderr};

/// Rewrites one line of stderr, if that is a terminal.
pub(crate) struct Progress {
    title: String,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new(title: String) -> Progress {
        Progress { title, is_shown: stderr().is_terminal() }
    }

    pub(crate) fn show(&self, point: &Point) {
        if self.is_shown {
            let line = line(&self.title, point);
            // A terminal that has gone is no reason to end a measurement.
            let _ = write!(stderr(), "\r\x1b[K{line}");
            let _ = stderr().flush();
        }
    }

    pub(crate) fn finish(&self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

fn line(title: &str, point: &Point) -> String {
    let errors =
        if point.errors == 0 { String::new() } else { format!("  {} errors", point.errors) };
    format!(
        "{title}  {:.1} s  {}/s  p50 {}  p99 {}  max {}{errors}",
        point.at_s,
        count(point.operations_per_s),
        duration(point.p50_us),
        duration(point.p99_us),
        duration(point.max_us),
    )
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::report::outcome::Point;

    #[test]
    fn the_line_says_it_all() {
        let point = Point {
            at_s: 1.5,
            operations_per_s: 123_456.0,
            p50_us: 250.0,
            p99_us: 1800.0,
            max_us: 20_000.0,
            errors: 3,
        };
        let expected = "get a  1.5 s  123,456/s  p50 250 us  p99 1.80 ms  max 20.0 ms  3 errors";
        assert_eq!(line("get a", &point), expected);
    }
}
