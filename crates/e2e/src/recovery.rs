//! How long clients wait for their writes when a member of an ensemble is lost.
//!
//! Clients write one after another, each on a connection to a member of its own, and try again at
//! once. After a leader is lost the time of a client is from then to its first write that was sent
//! behind it and is acknowledged; only clients of the other members count. When a leader is told to
//! end, or a follower is lost and comes back, it is the longest time between two acknowledged writes
//! of a client.

use crate::ensemble::Ensemble;
use crate::load::create;
use crate::network::Network;
use crate::play::Client;
use crate::program::Hello;
use crate::servers::{Config, Kind};
use crate::writers::{Pace, RETRY_INTERVAL, Writer};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How a member is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The leader, by SIGKILL.
    Killed,
    /// The leader, by SIGSTOP: its connections stay and say nothing.
    Paused,
    /// The leader, because its network loses everything.
    CutOff,
    /// The leader, by SIGTERM: it may hand over before it ends.
    Stopped,
    /// A follower, by SIGKILL; it starts again a second later.
    Follower,
}

impl Loss {
    /// Every one, with its name on the command line.
    pub const ALL: [(&str, Loss); 5] = [
        ("kill", Loss::Killed),
        ("pause", Loss::Paused),
        ("cut", Loss::CutOff),
        ("stop", Loss::Stopped),
        ("follower", Loss::Follower),
    ];

    /// The one with that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(name: &str) -> Result<Loss> {
        let found = Loss::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, loss)| *loss).with_context(|| format!("{name} is none of {:?}", Loss::ALL))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Killed => "leader killed",
            Loss::Paused => "leader stopped",
            Loss::CutOff => "leader cut off",
            Loss::Stopped => "leader told to end",
            Loss::Follower => "follower killed, back",
        })
    }
}

/// An ensemble of three in namespaces of its own, to lose members of.
#[derive(Debug)]
pub struct Subject {
    ensemble: Ensemble,
    // Behind the ensemble, so that its processes have ended when the namespaces go.
    network: Network,
    /// Clients of each member.
    clients: usize,
}

/// How long the load runs before a member is lost.
const LOAD_TIME: Duration = Duration::from_millis(1000);
/// How long the survivors may take.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a follower is away, and how long the load goes on when it is back.
const AWAY_TIME: Duration = Duration::from_millis(1000);
/// The node that is written.
const PATH: &str = "/failover";

impl Subject {
    /// Starts three members of a kind.
    ///
    /// # Errors
    /// If they do not serve, or there can be no namespaces.
    pub fn start(kind: &Kind, config: Config, clients: usize) -> Result<Subject> {
        let kinds = vec![kind.clone(); 3];
        let network = Network::new(kinds.len())?;
        let mut ensemble = Ensemble::in_spaces(&kinds, config, &network.spaces)?;
        ensemble.start_all()?;
        let address = ensemble.address(0);
        ensemble.inside(0, || {
            let mut setup = Client::default();
            setup.connect(address, &Hello::new_session(), &[])?;
            create(&mut setup, PATH, "")
        })?;
        Ok(Subject { ensemble, network, clients })
    }

    /// Loses a member under load, and brings it back; gives the clients' times, sorted.
    ///
    /// # Errors
    /// If the others do not take writes in time.
    pub fn round(&mut self, loss: Loss) -> Result<Vec<Duration>> {
        let leader = self.ensemble.wait_for_leader()?;
        let lost = if loss == Loss::Follower { (leader + 1) % 3 } else { leader };
        let stop = Arc::new(AtomicBool::new(false));
        let writers = self.start_writers(lost, &stop);
        thread::sleep(LOAD_TIME);
        let outcome = self.lose(loss, lost).and_then(|at| {
            self.wait_until_recovered(loss, lost, &writers, at)?;
            Ok(at)
        });
        stop.store(true, Ordering::SeqCst);
        for writer in &writers {
            writer.end();
        }
        let at = outcome?;
        let time = |writer: &Writer| match loss {
            Loss::Stopped | Loss::Follower => writer.longest_wait(at),
            Loss::Killed | Loss::Paused | Loss::CutOff => writer.recovered(at),
        };
        let mut times = writers.iter().map(time).collect::<Option<Vec<_>>>().context("no write")?;
        times.sort();
        self.bring_back(loss, lost)?;
        Ok(times)
    }

    fn start_writers(&self, lost: usize, stop: &Arc<AtomicBool>) -> Vec<Writer> {
        let survivors = self.ensemble.running().into_iter().filter(|n| *n != lost);
        let places = survivors.flat_map(|n| vec![n; self.clients]);
        let start = |n| Writer::start(&self.ensemble, n, PATH, Pace::AtOnce, Arc::clone(stop));
        places.map(start).collect()
    }

    /// Loses the member; says when it was lost.
    fn lose(&mut self, loss: Loss, lost: usize) -> Result<Instant> {
        let before = Instant::now();
        match loss {
            Loss::Killed | Loss::Follower => {
                self.ensemble.kill(lost)?;
                return Ok(before);
            }
            Loss::Stopped => {
                self.ensemble.stop(lost)?;
                return Ok(before);
            }
            Loss::Paused => self.ensemble.pause(lost)?,
            Loss::CutOff => {
                let others = (0..self.ensemble.size()).filter(|n| *n != lost);
                let ways: BTreeSet<_> = others.flat_map(|n| [(n, lost), (lost, n)]).collect();
                self.network.cut(&ways)?;
            }
        }
        // Until now writes may have gone through.
        Ok(Instant::now())
    }

    fn wait_until_recovered(
        &mut self,
        loss: Loss,
        lost: usize,
        writers: &[Writer],
        at: Instant,
    ) -> Result<()> {
        if loss == Loss::Follower {
            thread::sleep(AWAY_TIME);
            self.ensemble.start(lost)?;
            self.ensemble.wait_for(lost)?;
            thread::sleep(AWAY_TIME);
            return Ok(());
        }
        if loss == Loss::Stopped {
            thread::sleep(AWAY_TIME);
        }
        while !writers.iter().all(|writer| writer.recovered(at).is_some()) {
            ensure!(at.elapsed() < RECOVERY_TIME_MAX, "no writes after {RECOVERY_TIME_MAX:?}");
            thread::sleep(RETRY_INTERVAL);
        }
        Ok(())
    }

    fn bring_back(&mut self, loss: Loss, lost: usize) -> Result<()> {
        match loss {
            Loss::Killed | Loss::Stopped => self.ensemble.start(lost)?,
            Loss::Paused => self.ensemble.resume(lost)?,
            Loss::CutOff => self.network.heal()?,
            Loss::Follower => {}
        }
        // One that was stopped or cut off serves its old clients until it notices.
        let deadline = Instant::now() + RECOVERY_TIME_MAX;
        while self.ensemble.leaders().len() != 1 {
            ensure!(Instant::now() < deadline, "two lead after {RECOVERY_TIME_MAX:?}");
            thread::sleep(RETRY_INTERVAL);
        }
        self.ensemble.wait_for_all()
    }
}

/// The middle of sorted times, and the longest.
///
/// # Errors
/// If there are none.
pub fn middle_and_worst(times: &[Duration]) -> Result<(Duration, Duration)> {
    match times.last() {
        Some(worst) => Ok((times[times.len() / 2], *worst)),
        None => bail!("no times"),
    }
}
