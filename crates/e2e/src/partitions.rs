//! An ensemble in namespaces of its own, cut to pieces, killed and paused while clients log what they
//! see; then the histories are judged.
//!
//! A fault begins, lasts for a while and is mended; the next one sometimes begins before the
//! ensemble has found together again. Everything random comes from one seed, but for the clock.

use crate::ensemble::Ensemble;
use crate::network::Network;
use crate::registers::{Load, Shape};
use crate::servers::{Config, Kind};
use anyhow::{Context, Result, bail};
use base::Rng;
use check::registers::{Held, Reads, Registers, judge_registers};
use std::collections::BTreeSet;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// What happens to the members, by their indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// These cannot talk to the others.
    Split(BTreeSet<usize>),
    /// This one hears nobody; what it says arrives.
    Deaf(usize),
    /// Nobody hears this one; it hears all.
    Mute(usize),
    /// The members before this one and those behind it only talk to it.
    Bridge(usize),
    /// What this one says and hears is late, or lost.
    Narrow(usize),
    /// SIGKILL, and it starts again.
    Kill(usize),
    /// SIGKILL to all, and all start again.
    KillAll,
    /// SIGSTOP, and SIGCONT.
    Pause(usize),
}

impl Fault {
    /// Ways that are cut, from whom to whom.
    #[must_use]
    pub fn cuts(&self, size: usize) -> BTreeSet<(usize, usize)> {
        let ways = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
        let is_cut = |(from, to): &(usize, usize)| match self {
            Fault::Split(side) => side.contains(from) != side.contains(to),
            Fault::Deaf(n) => to == n && from != n,
            Fault::Mute(n) => from == n && to != n,
            Fault::Bridge(n) => (from < n && to > n) || (from > n && to < n),
            Fault::Narrow(_) | Fault::Kill(_) | Fault::KillAll | Fault::Pause(_) => false,
        };
        ways.filter(is_cut).collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Split(side) => {
                let side: Vec<_> = side.iter().map(|n| (n + 1).to_string()).collect();
                write!(f, "cut off {}", side.join("+"))
            }
            Fault::Deaf(n) => write!(f, "{} is deaf", n + 1),
            Fault::Mute(n) => write!(f, "{} is mute", n + 1),
            Fault::Bridge(n) => write!(f, "only {} reaches all", n + 1),
            Fault::Narrow(n) => write!(f, "{} has a narrow cable", n + 1),
            Fault::Kill(n) => write!(f, "kill {}", n + 1),
            Fault::KillAll => f.write_str("kill all"),
            Fault::Pause(n) => write!(f, "pause {}", n + 1),
        }
    }
}

/// How long a run is, and of what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the members are.
    pub kinds: Vec<Kind>,
    /// Lines for `zoo.cfg` beside those of [`config`].
    pub lines: Vec<String>,
    /// The clients.
    pub shape: Shape,
    /// The seed.
    pub seed: u64,
    /// Faults happen for so long,
    pub time: Duration,
    /// and until so many calls were answered.
    pub operations: usize,
    /// Which reads must be linearizable.
    pub reads: Reads,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the clients saw.
    pub registers: Registers,
    /// What the history held.
    pub held: Held,
    /// What happened, in order.
    pub faults: Vec<Fault>,
    /// How long the history was judged.
    pub judged_in: Duration,
}

/// How long a fault lasts: from less than it takes to notice to more than an election takes.
const FAULT_TIME_MS: (u64, u64) = (200, 2500);
/// How long members are left alone between two faults.
const CALM_TIME_MS: (u64, u64) = (100, 1000);
/// How much longer than planned a run may take to have its operations, as a factor.
const OVERTIME: u32 = 4;

/// Members that notice within a second that somebody is silent, and so often write a snapshot or
/// forget what others lack that all ways to catch up are taken.
#[must_use]
pub fn config() -> Config {
    let lines = [
        "tickTime=200",
        "initLimit=25",
        "syncLimit=5",
        "maxSessionTimeout=120000",
        "maxClientCnxns=0",
        "4lw.commands.whitelist=*",
        "preAllocSize=64",
        "snapCount=3000",
        "commitLogCount=2000",
    ];
    Config { lines: lines.map(str::to_owned).into(), properties: Vec::new() }
}

/// Members in a network, and what happens to them.
struct Campaign {
    ensemble: Ensemble,
    // Behind the ensemble, so that its processes have ended when the namespaces go.
    network: Network,
    rng: Rng,
    faults: Vec<Fault>,
}

/// Runs what is planned, and judges it.
///
/// # Errors
/// If a promise was broken, or the ensemble does not serve again after a fault: what happened, and
/// where the logs are, is in the message.
pub fn run(plan: &Plan) -> Result<Report> {
    let network = Network::new(plan.kinds.len())?;
    let mut config = config();
    config.lines.extend(plan.lines.iter().cloned());
    let ensemble = Ensemble::in_spaces(&plan.kinds, config, &network.spaces)?;
    let rng = Rng::new(plan.seed);
    let mut campaign = Campaign { ensemble, network, rng, faults: Vec::new() };
    let registers = campaign.run(plan).with_context(|| campaign.describe(plan))?;
    let start = Instant::now();
    let held = judge_registers(&registers, plan.reads).map_err(|why| anyhow::anyhow!("{why}"));
    let held = held.with_context(|| campaign.describe(plan))?;
    let judged_in = start.elapsed();
    Ok(Report { registers, held, faults: campaign.faults, judged_in })
}

impl Campaign {
    fn run(&mut self, plan: &Plan) -> Result<Registers> {
        self.ensemble.start_all()?;
        let load = Load::start(&self.ensemble, plan.shape.clone(), self.rng.next_u64())?;
        let start = Instant::now();
        while start.elapsed() < plan.time || load.answered() < plan.operations {
            if start.elapsed() > plan.time * OVERTIME {
                bail!("only {} calls were answered in {:?}", load.answered(), start.elapsed());
            }
            let fault = self.choose();
            self.faults.push(fault.clone());
            self.happen(&fault).with_context(|| fault.to_string())?;
            // Half of the time all is well before the next one.
            if self.rng.one_in(2) {
                self.ensemble.wait_for_all().with_context(|| format!("after: {fault}"))?;
            }
            self.rest(CALM_TIME_MS);
        }
        self.ensemble.wait_for_all()?;
        load.finish(&self.ensemble)
    }

    fn choose(&mut self) -> Fault {
        let size = self.ensemble.size();
        let random = self.rng.below(size as u64) as usize;
        // One of those who believe that they lead, as often as anybody.
        let leaders = self.ensemble.leaders();
        let n = if self.rng.one_in(2) && !leaders.is_empty() {
            *self.rng.pick(&leaders)
        } else {
            random
        };
        match self.rng.below(100) {
            0..16 => Fault::Split(BTreeSet::from([n])),
            16..32 => {
                let side = (0..size).filter(|_| self.rng.one_in(2)).collect();
                Fault::Split(side)
            }
            32..41 => Fault::Deaf(n),
            41..50 => Fault::Mute(n),
            50..60 => Fault::Narrow(n),
            60..70 => Fault::Bridge(self.rng.between(1, size as u64 - 2) as usize),
            70..84 => Fault::Kill(n),
            84..86 => Fault::KillAll,
            _ => Fault::Pause(n),
        }
    }

    /// Does it, waits, and mends it.
    fn happen(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Split(_) | Fault::Deaf(_) | Fault::Mute(_) | Fault::Bridge(_) => {
                self.network.cut(&fault.cuts(self.ensemble.size()))?;
                self.rest(FAULT_TIME_MS);
                self.network.heal()
            }
            Fault::Narrow(n) => {
                self.network.narrow(*n)?;
                self.rest(FAULT_TIME_MS);
                self.network.heal()
            }
            Fault::Kill(n) => {
                self.ensemble.kill(*n)?;
                self.rest(FAULT_TIME_MS);
                self.ensemble.start(*n)
            }
            Fault::KillAll => {
                let all: Vec<usize> = (0..self.ensemble.size()).collect();
                all.iter().try_for_each(|n| self.ensemble.kill(*n))?;
                all.iter().try_for_each(|n| self.ensemble.start(*n))
            }
            Fault::Pause(n) => {
                self.ensemble.pause(*n)?;
                self.rest(FAULT_TIME_MS);
                self.ensemble.resume(*n)
            }
        }
    }

    fn rest(&mut self, (shortest, longest): (u64, u64)) {
        thread::sleep(Duration::from_millis(self.rng.between(shortest, longest)));
    }

    fn describe(&self, plan: &Plan) -> String {
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        let logs = self.ensemble.keep_logs().map_or_else(
            |error| format!("no logs: {error}"),
            |path| format!("the members' logs are in {}", path.display()),
        );
        format!("seed {}; {logs}; {}", plan.seed, faults.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;
    use std::collections::BTreeSet;

    #[test]
    fn ways_are_cut_as_their_names_say() {
        let cuts = |fault: Fault| fault.cuts(3).into_iter().collect::<Vec<_>>();
        let split = Fault::Split(BTreeSet::from([1]));
        assert_eq!(cuts(split), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!(cuts(Fault::Deaf(0)), [(1, 0), (2, 0)]);
        assert_eq!(cuts(Fault::Mute(0)), [(0, 1), (0, 2)]);
        assert_eq!(cuts(Fault::Bridge(1)), [(0, 2), (2, 0)]);
        assert_eq!(cuts(Fault::Narrow(1)), []);
        assert_eq!(cuts(Fault::Kill(1)), []);
    }
}
