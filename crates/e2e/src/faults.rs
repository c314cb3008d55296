//! What happens to an ensemble under load: its members are killed, paused and started again,
//! perhaps as another kind of server.
//!
//! Guarantees: a quorum of members is up and has caught up before the next one is taken away, so
//! that a session that outlives an election is never lost.

use crate::ensemble::{Ensemble, Role};
use crate::generate::Dialect;
use crate::load::Load;
use crate::play::SUPER_DIGEST;
use crate::servers::{Config, Kind};
use anyhow::{Context, Result};
use base::Rng;
use std::time::Duration;
use std::{fmt, thread};

/// One thing that happens to a member, by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// SIGKILL.
    Kill(usize),
    /// A leader takes writes that nobody else hears of, and is killed: they must be undone.
    LeaveBehind(usize),
    /// SIGSTOP.
    Pause(usize),
    /// SIGCONT, and SIGSTOP is over.
    Resume(usize),
    /// A member that was killed starts as this kind.
    Start(usize, Kind),
}

/// A load on an ensemble, and what happens to it.
#[derive(Debug)]
pub struct Campaign {
    /// The members.
    pub ensemble: Ensemble,
    /// The clients.
    pub load: Load,
    /// What happened, in order.
    pub happened: Vec<Fault>,
    /// Which kinds a member may start as; the one that it was, if there are none.
    kinds: Vec<Kind>,
    rng: Rng,
}

/// Clients of a campaign.
const WORKERS: usize = 5;
/// How many writes each of them sends in a round.
const WRITES: usize = 500;
/// How many replies are read at most before something happens: servers are far ahead of the reader.
const REPLIES_MAX: u64 = 100;
/// How long a leader is left alone: enough to log, too short to notice.
const ALONE_TIME: Duration = Duration::from_millis(100);

/// How ensembles under test are configured: a leader or a follower that says nothing is given up
/// after two seconds; a member that comes back finds what it lacks in the leader's memory, or is too
/// far behind for that, about as often.
#[must_use]
pub fn config() -> Config {
    let lines = [
        "tickTime=500",
        "initLimit=20",
        "syncLimit=4",
        "maxSessionTimeout=120000",
        "maxClientCnxns=0",
        "4lw.commands.whitelist=*",
        "extendedTypesEnabled=true",
        "preAllocSize=64",
        "snapCount=1500",
        "commitLogCount=6000",
        SUPER_DIGEST,
    ];
    let properties = vec!["znode.container.checkIntervalMs=86400000".to_owned()];
    Config { lines: lines.map(str::to_owned).into(), properties }
}

/// The same for ensembles of a kind: over Raft a leader that says nothing is given up after parts of
/// a tick, so that is longer.
#[must_use]
pub fn config_of(kind: &Kind) -> Config {
    let mut config = config();
    if *kind == Kind::Raft {
        config.lines.retain(|line| !line.starts_with("tickTime="));
        config.lines.extend(["tickTime=2000", "minSessionTimeout=1000"].map(str::to_owned));
    }
    config
}

/// The same where nobody is paused or cut off: a busy machine is no reason to give anybody up.
#[must_use]
pub fn patient_config_of(kind: &Kind) -> Config {
    let mut config = config_of(kind);
    config.lines.retain(|line| !line.starts_with("syncLimit="));
    config.lines.push("syncLimit=40".to_owned());
    config
}

impl Campaign {
    /// Starts an ensemble, led by the last of those that vote, with a load; `kinds` are those that members may start again as.
    ///
    /// # Errors
    /// If it does not serve.
    pub fn start(members: &[(Kind, Role)], kinds: &[Kind], seed: u64) -> Result<Campaign> {
        let mut rng = Rng::new(seed);
        let config = members.first().map_or_else(config, |(kind, _)| config_of(kind));
        let mut ensemble = Ensemble::with_roles(members, config)?;
        let ours =
            members.iter().all(|(kind, _)| kind.is_ours()) && kinds.iter().all(Kind::is_ours);
        let dialect = if ours { Dialect::Since39 } else { Dialect::Since38 };
        let started = ensemble
            .start_led_by_last_voter()
            .and_then(|()| Load::start(ensemble.address(0), rng.next_u64(), WORKERS, dialect));
        let load = match started {
            Ok(load) => load,
            Err(error) => return Err(error.context(kept_logs(&ensemble))),
        };
        Ok(Campaign { ensemble, load, happened: Vec::new(), kinds: kinds.to_vec(), rng })
    }

    /// A round of the load in which a random thing happens.
    ///
    /// # Errors
    /// If a promise to a client was broken; where the logs are is in the message.
    pub fn random_round(&mut self) -> Result<()> {
        let fault = self.choose();
        self.round(fault)
    }

    /// A round of the load in which this happens.
    ///
    /// # Errors
    /// As for [`Campaign::random_round`].
    pub fn round(&mut self, fault: Fault) -> Result<()> {
        if matches!(fault, Fault::Kill(_) | Fault::Pause(_) | Fault::LeaveBehind(_)) {
            self.ensemble.wait_for_all().with_context(|| self.history())?;
        }
        self.happened.push(fault.clone());
        let is_left = matches!(fault, Fault::LeaveBehind(_));
        let replies_max = if is_left { 0 } else { REPLIES_MAX };
        let happening = |ensemble: &mut Ensemble| match fault {
            Fault::None => Ok(()),
            Fault::Kill(n) => ensemble.kill(n),
            Fault::LeaveBehind(n) => leave_behind(ensemble, n),
            Fault::Pause(n) => ensemble.pause(n),
            Fault::Resume(n) => ensemble.resume(n),
            Fault::Start(n, kind) => ensemble.start_as(n, kind),
        };
        let outcome = self.load.round(&mut self.ensemble, WRITES, replies_max, happening);
        outcome.with_context(|| self.history())
    }

    /// Brings all members back, and compares them.
    ///
    /// # Errors
    /// If they are not equal, or anything is lost.
    pub fn finish(&mut self) -> Result<()> {
        for n in 0..self.ensemble.size() {
            if !self.ensemble.is_up(n) {
                self.ensemble.start(n)?;
            } else if !self.ensemble.running().contains(&n) {
                self.ensemble.resume(n)?;
            }
        }
        self.ensemble.wait_for_all().with_context(|| self.history())?;
        self.load.check_members(&self.ensemble).with_context(|| self.history())
    }

    /// The leader, as soon as there is one.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn leader(&self) -> Result<usize> {
        self.ensemble.wait_for_leader().with_context(|| self.history())
    }

    fn choose(&mut self) -> Fault {
        let away: Vec<usize> =
            (0..self.ensemble.size()).filter(|n| !self.ensemble.running().contains(n)).collect();
        let most = (self.ensemble.size() - 1) / 2;
        let returns = self.rng.percent(if away.len() < most { 30 } else { 80 });
        if !away.is_empty() && returns {
            let n = *self.rng.pick(&away);
            return self.bring_back(n);
        }
        if away.len() >= most || self.rng.percent(10) {
            return Fault::None;
        }
        let random = *self.rng.pick(&self.ensemble.running());
        let leader = self.ensemble.leader().filter(|_| self.rng.one_in(2));
        if let Some(leader) = leader
            && self.rng.percent(30)
        {
            return Fault::LeaveBehind(leader);
        }
        let n = leader.unwrap_or(random);
        if self.rng.percent(70) { Fault::Kill(n) } else { Fault::Pause(n) }
    }

    fn bring_back(&mut self, n: usize) -> Fault {
        if self.ensemble.is_up(n) {
            return Fault::Resume(n);
        }
        let same = self.ensemble.kind(n).clone();
        let kind = if self.kinds.is_empty() { same } else { self.rng.pick(&self.kinds).clone() };
        Fault::Start(n, kind)
    }

    fn history(&self) -> String {
        let happened: Vec<String> = self.happened.iter().map(ToString::to_string).collect();
        format!("{}; {}", kept_logs(&self.ensemble), happened.join(", "))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::None => f.write_str("nothing"),
            Fault::Kill(n) => write!(f, "kill {}", n + 1),
            Fault::LeaveBehind(n) => write!(f, "leave {} behind", n + 1),
            Fault::Pause(n) => write!(f, "pause {}", n + 1),
            Fault::Resume(n) => write!(f, "resume {}", n + 1),
            Fault::Start(n, kind) => write!(f, "start {} as {kind}", n + 1),
        }
    }
}

/// Paused members would find in their sockets what the leader sent: they are killed, too.
fn leave_behind(ensemble: &mut Ensemble, n: usize) -> Result<()> {
    let others: Vec<usize> = ensemble.running().into_iter().filter(|other| *other != n).collect();
    others.iter().try_for_each(|other| ensemble.kill(*other))?;
    thread::sleep(ALONE_TIME);
    ensemble.kill(n)?;
    others.iter().try_for_each(|other| ensemble.start(*other))
}

fn kept_logs(ensemble: &Ensemble) -> String {
    match ensemble.keep_logs() {
        Ok(path) => format!("the members' logs are in {}", path.display()),
        Err(error) => format!("no logs: {error}"),
    }
}
