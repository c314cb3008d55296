//! `quorate migrate` for members that are down.

use crate::ensemble::Ensemble;
use crate::servers::ours;
use anyhow::{Result, bail};

impl Ensemble {
    /// Calls the command for a member that is down and has run, with these flags behind its
    /// `zoo.cfg`; gives what it prints.
    ///
    /// # Errors
    /// What it says if it does not end well.
    pub fn migrate(&self, n: usize, flags: &[&str]) -> Result<String> {
        // Beside its data, as the start left it.
        let file = self.data_directory(n).with_extension("cfg");
        let output = ours("migrate")?.arg(file).args(flags).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            bail!("member {}: {}: {}", n + 1, output.status, text(&output.stderr));
        }
        Ok(text(&output.stdout))
    }

    /// As [`Ensemble::migrate`], of a call that must be refused; gives why it is.
    ///
    /// # Errors
    /// If it ends well.
    pub fn refused_migration(&self, n: usize, flags: &[&str]) -> Result<String> {
        match self.migrate(n, flags) {
            Ok(printed) => bail!("member {} is moved: {printed}", n + 1),
            Err(why) => Ok(why.to_string()),
        }
    }
}
