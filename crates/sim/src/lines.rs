//! The lines of a trace: nothing is kept, the last ones are, or all are written as they come.

use base::Time;
use std::io::Write;

/// Where they go.
#[derive(Default)]
pub(crate) enum Lines {
    #[default]
    Nowhere,
    /// The last ones are kept, so many.
    Kept(Vec<String>, usize),
    Written(Box<dyn Write>),
}

impl Lines {
    /// Keeps the last ones, so many.
    pub(crate) fn last(max: usize) -> Lines {
        if max == 0 { Lines::Nowhere } else { Lines::Kept(Vec::new(), max) }
    }

    pub(crate) fn keep(&mut self, now: Time, line: impl FnOnce() -> String) {
        let at = now.0 as f64 / 1e6;
        match self {
            Lines::Nowhere => {}
            Lines::Kept(kept, max) => {
                kept.push(format!("{at:12.3} {}", line()));
                if kept.len() > *max * 2 {
                    kept.drain(..kept.len() - *max);
                }
            }
            // Who looks at a trace sees that it ends early.
            Lines::Written(to) => drop(writeln!(to, "{at:12.3} {}", line())),
        }
    }

    /// The last of them, oldest first.
    pub(crate) fn into_kept(self) -> Vec<String> {
        let Lines::Kept(mut kept, max) = self else { return Vec::new() };
        let surplus = kept.len().saturating_sub(max);
        kept.drain(..surplus);
        kept
    }
}
