//! Progress on large files: percentages on stderr, while someone is looking.
//!
//! Counted where files are read, so that every command has it without doing anything for it.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};

/// Smaller files are done before anyone wonders.
const SIZE_MIN_BYTES: u64 = 64 << 20;
/// How often a line is written, in percent.
const STEP: u64 = 5;

/// How far the reading of one file is.
#[derive(Debug)]
pub(crate) struct Progress {
    name: String,
    size: u64,
    /// The last percentage told.
    told: AtomicU64,
    is_shown: bool,
}

impl Progress {
    /// Of a file with that many bytes.
    pub(crate) fn new(name: String, size: u64) -> Progress {
        Progress::shown(name, size, stderr().is_terminal())
    }

    fn shown(name: String, size: u64, is_terminal: bool) -> Progress {
        let is_shown = size >= SIZE_MIN_BYTES && is_terminal;
        Progress { name, size, told: AtomicU64::new(0), is_shown }
    }

    /// The file was read up to `position`.
    pub(crate) fn reached(&self, position: u64) {
        if let Some(percent) = self.to_tell(position) {
            eprintln!("{}: {percent}%", self.name);
        }
    }

    /// The percentage that is to be told now, if one is.
    fn to_tell(&self, position: u64) -> Option<u64> {
        let percent = percent(position, self.size);
        let is_due = self.is_shown && percent >= self.told.load(Ordering::Relaxed) + STEP;
        is_due.then(|| {
            self.told.store(percent, Ordering::Relaxed);
            percent
        })
    }
}

fn percent(position: u64, size: u64) -> u64 {
    (u128::from(position) * 100 / u128::from(size.max(1))).min(100) as u64
}

#[cfg(test)]
mod tests {
    use super::{Progress, SIZE_MIN_BYTES};

    fn told(size: u64, is_terminal: bool) -> Vec<u64> {
        let progress = Progress::shown("log.1".to_owned(), size, is_terminal);
        (0..=100).filter_map(|part| progress.to_tell(size / 100 * part + part)).collect()
    }

    #[test]
    fn a_large_file_is_told_in_steps_and_only_on_a_terminal() {
        let size = 100 * SIZE_MIN_BYTES;
        assert_eq!(told(size, true), (1..=20).map(|step| step * 5).collect::<Vec<_>>());
        assert!(told(size, false).is_empty());
        assert!(told(SIZE_MIN_BYTES - 1, true).is_empty());
    }

    #[test]
    fn percentages_end_at_a_hundred() {
        assert_eq!(super::percent(0, 10), 0);
        assert_eq!(super::percent(5, 10), 50);
        assert_eq!(super::percent(11, 10), 100);
        assert_eq!(super::percent(u64::MAX, u64::MAX), 100);
        assert_eq!(super::percent(1, 0), 100);
    }
}
