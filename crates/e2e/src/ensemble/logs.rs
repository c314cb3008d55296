//! What members of an ensemble log: read, kept, and the end of it printed.

use super::Ensemble;
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::thread;

/// How much of each member's log a test prints at its end, in lines.
const LINES_PRINTED: usize = 30;

impl Ensemble {
    /// What a member has logged so far, at all its starts.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log_text(&self, n: usize) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_path(n))?).into_owned())
    }

    /// Copies what the members logged to a directory that stays, and gives it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_logs(&self) -> Result<PathBuf> {
        let kept = tempfile::Builder::new().prefix("quorate-e2e-logs-").tempdir()?.keep();
        for n in self.indices().filter(|n| self.log_path(*n).exists()) {
            fs::copy(self.log_path(n), kept.join(format!("{}.log", n + 1)))?;
        }
        Ok(kept)
    }

    /// For who looks into a failure.
    pub(super) fn leave_logs(&self) {
        if thread::panicking()
            && let Ok(kept) = self.keep_logs()
        {
            eprintln!("the members' logs are in {}", kept.display());
        }
        // A test that returns an error has not panicked yet.
        if thread::current().name().is_some_and(|name| name != "main") {
            self.indices().for_each(|n| self.print_end_of_log(n));
        }
    }

    fn print_end_of_log(&self, n: usize) {
        let Ok(text) = self.log_text(n) else { return };
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('\t')).collect();
        eprintln!("member {} ({}) logged last:", n + 1, self.kind(n));
        lines[lines.len().saturating_sub(LINES_PRINTED)..]
            .iter()
            .for_each(|line| eprintln!("{line}"));
    }
}
