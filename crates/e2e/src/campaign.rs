//! Many programs on few server pairs.
//!
//! Programs run one after the other on a pair, each from an empty tree: what a program leaves, the
//! zxid and the counters of the root, both servers share. A difference ends the pair. It is then
//! looked for again on a fresh pair with that program alone, and made small there; if it does not
//! show, all that the pair has run is the witness.

use crate::compare::{Divergence, Pair};
use crate::coverage::Coverage;
use crate::generate::{self, Dialect};
use crate::play::SUPER_DIGEST;
use crate::program::Program;
use crate::servers::{Config, Kind};
use crate::shrink::shrink;
use anyhow::Result;
use std::fmt;
use std::time::{Duration, Instant};

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The reference, and the server under test.
    pub kinds: (Kind, Kind),
    /// The first program's seed; the others follow.
    pub seed: u64,
    /// How many requests at least.
    pub requests: usize,
    /// Whether a difference is made small.
    pub shrink: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// How many requests were sent to each server.
    pub requests: usize,
    /// How many programs they made up.
    pub programs: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// What was reached.
    pub coverage: Coverage,
    /// The first difference, if there was one.
    pub failure: Option<Failure>,
}

/// A program on which the servers differ.
#[derive(Debug)]
pub struct Failure {
    /// The seed of the program.
    pub seed: u64,
    /// How the servers were configured.
    pub profile: &'static str,
    /// The program, as small as it could be made.
    pub program: Program,
    /// Where the servers differ on it.
    pub divergence: Divergence,
    /// Whether a fresh pair shows it with this program alone.
    pub alone: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# seed {}, profile {}", self.seed, self.profile)?;
        if !self.alone {
            writeln!(f, "# a fresh pair agrees: the programs before this one are needed")?;
        }
        writeln!(f, "{}\n{}", self.program, self.divergence)?;
        match self.program.steps.get(self.divergence.step) {
            Some(step) => write!(f, "that step is\n{step}"),
            None => write!(f, "that is the tree at the end"),
        }
    }
}

/// A way to configure both servers.
#[derive(Debug)]
pub struct Profile {
    /// How reports call it.
    pub name: &'static str,
    lines: &'static [&'static str],
    /// How many of ten programs run under it.
    tenths: usize,
}

/// All switches that change what clients see on; and the defaults.
pub const PROFILES: &[Profile] = &[
    Profile {
        name: "extended",
        lines: &["extendedTypesEnabled=true", "enforceQuota=true"],
        tenths: 7,
    },
    Profile { name: "plain", lines: &["reconfigEnabled=true"], tenths: 3 },
];
/// Lines that every server under test has. Session time-outs are far above a program's duration, so
/// that none expires on one server alone; syncing is off, since no test here cuts the power.
const COMMON: &[&str] = &[
    "tickTime=2000",
    "minSessionTimeout=30000",
    "maxSessionTimeout=120000",
    "maxClientCnxns=0",
    "4lw.commands.whitelist=*",
    "forceSync=no",
    "snapCount=20000",
    SUPER_DIGEST,
];
/// Containers go only when a test waits for it.
const PROPERTIES: &[&str] = &["znode.container.checkIntervalMs=86400000"];
/// After so many programs a pair is replaced: its log is the witness of a difference that needs
/// more than one program.
const PROGRAMS_PER_PAIR: usize = 400;
/// How many programs are tried to make one small.
const SHRINK_ATTEMPTS: usize = 400;

impl Profile {
    /// The configuration of a server.
    #[must_use]
    pub fn config(&self) -> Config {
        let lines = COMMON.iter().chain(self.lines).map(|line| (*line).to_owned()).collect();
        let properties = PROPERTIES.iter().map(|line| (*line).to_owned()).collect();
        Config { lines, properties }
    }
}

impl Campaign {
    /// Runs until the requests are sent or a difference is found. `progress` hears of every program.
    ///
    /// # Errors
    /// If a pair cannot be started.
    pub fn run(&self, mut progress: impl FnMut(&Report)) -> Result<Report> {
        let started = Instant::now();
        let mut report = Report::default();
        let mut seed = self.seed;
        while report.requests < self.requests && report.failure.is_none() {
            for profile in PROFILES {
                let programs = self.programs_of(profile);
                self.run_on_pair(profile, &mut seed, programs, &mut report, |report| {
                    report.elapsed = started.elapsed();
                    progress(report);
                })?;
            }
        }
        report.elapsed = started.elapsed();
        Ok(report)
    }

    /// What both servers understand in the same way.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::between(&self.kinds.0, &self.kinds.1)
    }

    /// How many programs a pair of that profile runs.
    fn programs_of(&self, profile: &Profile) -> usize {
        /// Of a program, on average.
        const REQUESTS: usize = 500;
        let all = (self.requests / REQUESTS + 1).min(PROGRAMS_PER_PAIR);
        (all * profile.tenths).div_ceil(10)
    }

    fn run_on_pair(
        &self,
        profile: &'static Profile,
        seed: &mut u64,
        programs: usize,
        report: &mut Report,
        mut progress: impl FnMut(&mut Report),
    ) -> Result<()> {
        if report.failure.is_some() || report.requests >= self.requests {
            return Ok(());
        }
        let mut pair = Pair::start(&self.kinds, &profile.config())?;
        for _ in 0..programs {
            let program = generate::program(*seed, self.dialect());
            let (divergence, coverage) = pair.run(&program);
            report.coverage.add(&coverage);
            report.requests += program.request_count();
            report.programs += 1;
            progress(report);
            if let Some(divergence) = divergence {
                drop(pair);
                report.failure = Some(self.confirm(*seed, profile, program, divergence)?);
                return Ok(());
            }
            *seed += 1;
            if report.requests >= self.requests {
                return Ok(());
            }
        }
        Ok(())
    }

    fn confirm(
        &self,
        seed: u64,
        profile: &'static Profile,
        program: Program,
        divergence: Divergence,
    ) -> Result<Failure> {
        let profile_name = profile.name;
        let Some(found) = self.run_alone(profile, &program)? else {
            let alone = false;
            return Ok(Failure { seed, profile: profile_name, program, divergence, alone });
        };
        let (program, divergence) = if self.shrink {
            self.shrink_program(profile, &program, &found)?.unwrap_or((program, found))
        } else {
            (program, found)
        };
        Ok(Failure { seed, profile: profile_name, program, divergence, alone: true })
    }

    /// Runs a program on a fresh pair.
    ///
    /// # Errors
    /// If the pair cannot be started.
    pub fn run_alone(&self, profile: &Profile, program: &Program) -> Result<Option<Divergence>> {
        Ok(Pair::start(&self.kinds, &profile.config())?.run(program).0)
    }

    /// The smallest program found that shows a difference, and that difference; `None` if a fresh
    /// pair does not show it.
    ///
    /// # Errors
    /// If a pair cannot be started.
    pub fn shrink_program(
        &self,
        profile: &Profile,
        program: &Program,
        divergence: &Divergence,
    ) -> Result<Option<(Program, Divergence)>> {
        let mut program = program.clone();
        program.steps.truncate(divergence.step + 1);
        // Pairs that have differed are soon ready again, but they no longer share all counters.
        for reuse in [Reuse::AsLongAsTheyRun, Reuse::AsLongAsTheyAgree] {
            let small = self.shrink_on_pairs(profile, &program, reuse)?;
            if let Some(divergence) = self.run_alone(profile, &small)? {
                return Ok(Some((small, divergence)));
            }
        }
        Ok(None)
    }

    fn shrink_on_pairs(&self, profile: &Profile, from: &Program, reuse: Reuse) -> Result<Program> {
        let mut pair = None;
        let mut trouble = None;
        let small = shrink(from, SHRINK_ATTEMPTS, |candidate| {
            let started = match pair.take() {
                Some(pair) => Ok(pair),
                None => Pair::start(&self.kinds, &profile.config()),
            };
            let mut running = match started {
                Ok(running) => running,
                Err(error) => {
                    trouble.get_or_insert(error);
                    return false;
                }
            };
            let found = running.run(candidate).0;
            let usable = match (&found, reuse) {
                (None, _) => true,
                (Some(found), Reuse::AsLongAsTheyRun) => found.complete,
                (Some(_), Reuse::AsLongAsTheyAgree) => false,
            };
            pair = usable.then_some(running);
            found.is_some()
        });
        trouble.map_or(Ok(small), Err)
    }
}

/// When a pair is good for another program.
#[derive(Clone, Copy, Debug)]
enum Reuse {
    AsLongAsTheyRun,
    AsLongAsTheyAgree,
}
