//! Faults of an ensemble: what each planned strike does, and what mends it.

use crate::chance::log_uniform;
use crate::clock::UNIT;
use crate::options::Fault;
use crate::partition::Cut;
use crate::world::{Event, Step, World};
use base::Rng;
use std::time::Duration;

/// The end of a fault, or a later part of it.
#[derive(Clone, Debug)]
pub(crate) enum Mend {
    Unblock(Vec<(usize, usize)>),
    Block(Vec<(usize, usize)>, Duration),
    Unslow(usize),
    Rate(usize),
    /// A member is told that it will be stopped.
    Leave(usize),
    /// A member is stopped and started again.
    Restart(usize),
}

impl World {
    /// One of the planned strikes: all chance in it comes from its own seed.
    pub(crate) fn strike_planned(&mut self, index: usize) -> Step {
        let planned = self.options.ensemble.as_ref().and_then(|e| e.strikes.get(index).copied());
        let Some(strike) = planned.filter(|_| !self.healed) else { return Ok(()) };
        let outer = std::mem::replace(&mut self.rng, Rng::new(strike.seed));
        let member = self.rng.below(self.sites.len() as u64) as usize;
        self.strike(member, strike.fault);
        self.rng = outer;
        Ok(())
    }

    /// What only those can meet who have others.
    pub(crate) fn trouble(&mut self, member: usize, fault: Fault) -> bool {
        let count = self.sites.len();
        let patience = self.options.manners().patience;
        let unit = patience.as_nanos() as u64;
        let hold = Duration::from_nanos(log_uniform(&mut self.rng, unit / 10, unit * 10));
        match fault {
            Fault::Isolate => self.cut(Cut::Isolate, member, hold),
            Fault::IsolateLeader => self.cut(Cut::Primary, member, hold),
            Fault::Halves => self.cut(Cut::Halves, member, hold),
            Fault::Bridge => self.cut(Cut::Bridge, member, hold),
            Fault::Ring => self.cut(Cut::Ring, member, hold),
            Fault::OneWay => self.cut(Cut::OneWay, member, hold),
            Fault::OneLink => self.cut(Cut::OneLink, member, hold),
            Fault::Flapping => self.flap(member, hold),
            Fault::SlowPeer => {
                let pair = self.net.pair(member, self.rng.below(count as u64) as usize);
                self.net.slow[pair] = log_uniform(&mut self.rng, 2, 200);
                self.schedule(hold, Event::Mend(Mend::Unslow(pair)));
            }
            Fault::PeerLoss => return self.break_connections(),
            Fault::LeaderBoundary => {
                let Some(leader) = self.leader() else { return false };
                self.sites[leader].boundary = Some(self.rng.below(40));
            }
            Fault::RollingRestart => {
                for member in 0..count {
                    let mut at = hold * member as u32;
                    if self.options.over_raft() {
                        self.schedule(at, Event::Mend(Mend::Leave(member)));
                        at += Duration::from_micros(self.rng.between(0, 20_000));
                    }
                    self.schedule(at, Event::Mend(Mend::Restart(member)));
                }
            }
            Fault::MassRestart => self.crash_all(patience),
            Fault::ClockRate => {
                let rate = self.rng.between(UNIT / 2, UNIT * 2);
                self.set_rate(member, rate);
                self.schedule(hold, Event::Mend(Mend::Rate(member)));
            }
            Fault::TimeJump => {
                let now = self.now;
                self.sites[member].clock.jump(now, hold);
                self.wake_for_deadline(member);
            }
            Fault::Reconfigure => return self.reconfigure(),
            Fault::PowerLoss
            | Fault::Fuse
            | Fault::Kill
            | Fault::RecoveryCrash
            | Fault::LinkLoss
            | Fault::SlowClient
            | Fault::SilentClient
            | Fault::SlowSync
            | Fault::SyncError
            | Fault::WriteError
            | Fault::DiskFull
            | Fault::Pause
            | Fault::ClockJump
            | Fault::BitFlip
            | Fault::Wipe => return false, // done elsewhere
        }
        true
    }

    /// Who leads, if anybody does.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.sites.iter().position(crate::site::Site::leads)
    }

    fn cut(&mut self, cut: Cut, member: usize, hold: Duration) {
        let primary = self.leader().unwrap_or(member);
        let pairs = cut.pairs(self.sites.len(), member, primary, &mut self.rng);
        self.block_for(pairs, hold);
    }

    fn block_for(&mut self, pairs: Vec<(usize, usize)>, hold: Duration) {
        self.net.block(&pairs);
        self.schedule(hold, Event::Mend(Mend::Unblock(pairs)));
    }

    /// A pair is cut off and back, many times.
    fn flap(&mut self, member: usize, hold: Duration) {
        let other = (member + 1) % self.sites.len();
        let times = self.rng.between(3, 12) as u32;
        for turn in 0..times {
            let both = vec![(member, other), (other, member)];
            let at = hold / times * turn;
            self.schedule(at, Event::Mend(Mend::Block(both, hold / times / 2)));
        }
    }

    fn break_connections(&mut self) -> bool {
        let ids: Vec<u64> = self.net.conns.keys().copied().collect();
        if ids.is_empty() {
            return false;
        }
        let (one, all) = (*self.rng.pick(&ids), self.rng.one_in(4));
        for id in ids {
            if id == one || (all && self.rng.one_in(2)) {
                self.net.break_conn(self.now, id, &mut self.rng);
            }
        }
        self.plan_net();
        true
    }

    fn crash_all(&mut self, patience: Duration) {
        let together = self.rng.one_in(2);
        for member in 0..self.sites.len() {
            if together {
                self.crash(member, true);
            } else {
                let at = self.between(Duration::ZERO, patience);
                self.schedule(at, Event::Mend(Mend::Restart(member)));
            }
        }
    }

    pub(crate) fn set_rate(&mut self, member: usize, rate: u64) {
        let now = self.now;
        self.sites[member].clock.set_rate(now, rate);
        self.wake_for_deadline(member);
    }

    pub(crate) fn mend(&mut self, mend: Mend) -> Step {
        if self.healed {
            return Ok(()); // everything is mended already
        }
        match mend {
            Mend::Unblock(pairs) => {
                self.net.unblock(self.now, &pairs);
                self.plan_net();
            }
            Mend::Block(pairs, hold) => self.block_for(pairs, hold),
            Mend::Unslow(pair) => self.net.slow[pair] = 1,
            Mend::Rate(member) => self.set_rate(member, UNIT),
            // As a server that is told to stop: under an engine that hands over it does so.
            Mend::Leave(member) => {
                self.handle(member, node::Input::Leaving)?;
                self.go_on(member);
            }
            Mend::Restart(member) => {
                let power = self.rng.one_in(2);
                self.crash(member, power);
            }
        }
        Ok(())
    }
}
