//! Faults: what each strike does, and what mends it.

use crate::chance::log_uniform;
use crate::clock::UNIT;
use crate::engines::heal::Phase;
use crate::engines::judge::Step;
use crate::engines::options::Fault;
use crate::engines::subject::Subject;
use crate::engines::world::{Event, World};
use crate::partition::{Cut, pairs};
use base::Rng;
use broadcast::View;
use std::time::Duration;

/// The end of a fault.
#[derive(Clone, Debug)]
pub(crate) enum Mend {
    Unblock(Vec<(usize, usize)>),
    Block(Vec<(usize, usize)>, Duration),
    Unslow(usize),
    Disk(usize),
    Rate(usize),
}

impl<S: Subject> World<S> {
    pub(crate) fn strike(&mut self, index: usize) -> Step {
        if self.phase != Phase::Unsafe {
            return Ok(());
        }
        let strike = self.options.strikes[index];
        let mut rng = Rng::new(strike.seed);
        self.note(0, &format!("strike {index} {:?}", strike.fault));
        let count = self.members.len() as u64;
        let member = rng.below(count) as usize;
        let unit = self.unit.as_nanos() as u64;
        let hold = Duration::from_nanos(log_uniform(&mut rng, unit / 10, unit * 20));
        *self.counts.faults.entry(strike.fault).or_default() += 1;
        match strike.fault {
            Fault::Isolate => self.cut(Cut::Isolate, member, hold, &mut rng),
            Fault::Halves => self.cut(Cut::Halves, member, hold, &mut rng),
            Fault::Bridge => self.cut(Cut::Bridge, member, hold, &mut rng),
            Fault::Ring => self.cut(Cut::Ring, member, hold, &mut rng),
            Fault::OneWay => self.cut(Cut::OneWay, member, hold, &mut rng),
            Fault::OneLink => self.cut(Cut::OneLink, member, hold, &mut rng),
            Fault::PrimaryIsolated => self.cut(Cut::Primary, member, hold, &mut rng),
            Fault::Flapping => self.flap(member, hold, &mut rng),
            Fault::Swizzle => self.swizzle(hold, &mut rng),
            Fault::SlowLink => {
                let pair = self.net.pair(member, rng.below(count) as usize);
                self.net.slow[pair] = log_uniform(&mut rng, 2, 200);
                self.schedule(hold, Event::Mend(Mend::Unslow(pair)));
            }
            Fault::LinkReset => self.reset_some(&mut rng),
            Fault::Crash => return self.crash(member),
            Fault::Boundary => {
                self.members[member].host.fuse = Some(rng.below(30) as u32);
            }
            Fault::SyncBoundary => self.members[member].sync_trap = Some(rng.one_in(2)),
            Fault::CrashLoop => {
                self.members[member].crash_loop = rng.between(1, 6) as u32;
                return self.crash(member);
            }
            Fault::MassRestart => self.crash_all(&mut rng),
            Fault::Pause => {
                let member = self.primary().filter(|_| rng.one_in(2)).unwrap_or(member);
                self.members[member].paused = self.members[member].host.engine.is_some();
                self.schedule(hold / 2, Event::Resume { member });
            }
            Fault::SlowDisk => {
                self.members[member].disk_factor = log_uniform(&mut rng, 2, 500);
                self.schedule(hold, Event::Mend(Mend::Disk(member)));
            }
            Fault::DiskFailure => self.members[member].host.disk.fails_next = true,
            Fault::ClockRate => {
                let rate = rng.between(UNIT / 2, UNIT * 2);
                self.set_rate(member, rate);
                self.schedule(hold, Event::Mend(Mend::Rate(member)));
            }
            Fault::ClockJump => {
                let now = self.now;
                self.members[member].clock.jump(now, hold);
                self.unwake(member);
            }
            Fault::Wipe => return self.wipe(member),
            Fault::StoreFailure => self.members[member].store_fails = true,
            Fault::Reconfigure => return self.reconfigure(&mut rng),
            Fault::Transfer => return self.transfer(member),
        }
        Ok(())
    }

    fn cut(&mut self, cut: Cut, member: usize, hold: Duration, rng: &mut Rng) {
        let leads = |view: Option<View>| matches!(view, Some(View::Primary { .. }));
        let primary = self.members.iter().position(|member| leads(member.host.view));
        let pairs = cut.pairs(self.members.len(), member, primary.unwrap_or(member), rng);
        self.block_for(pairs, hold);
    }

    fn block_for(&mut self, pairs: Vec<(usize, usize)>, hold: Duration) {
        self.net.block(&pairs);
        self.schedule(hold, Event::Mend(Mend::Unblock(pairs)));
    }

    fn flap(&mut self, member: usize, hold: Duration, rng: &mut Rng) {
        let count = self.members.len();
        let other = (member + 1) % count;
        let times = rng.between(3, 12) as u32;
        for turn in 0..times {
            let both = vec![(member, other), (other, member)];
            let at = hold / times * turn;
            self.schedule(at, Event::Mend(Mend::Block(both, hold / times / 2)));
        }
    }

    /// Stops members one by one, and restores them in another order.
    fn swizzle(&mut self, hold: Duration, rng: &mut Rng) {
        let count = self.members.len();
        let chosen: Vec<usize> = (0..count).filter(|_| rng.one_in(2)).collect();
        for member in chosen {
            let about = |pair: &(usize, usize)| pair.0 == member || pair.1 == member;
            let cut: Vec<_> = pairs(count).filter(about).collect();
            let begins = hold * rng.below(100) as u32 / 100;
            let lasts = hold * rng.below(100) as u32 / 100;
            self.schedule(begins, Event::Mend(Mend::Block(cut, lasts)));
        }
    }

    fn reset_some(&mut self, rng: &mut Rng) {
        let all = rng.one_in(4);
        let ids: Vec<u64> = self.net.conns.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let one = *rng.pick(&ids);
        for id in ids {
            if id == one || (all && rng.one_in(2)) {
                self.net.break_conn(self.now, id, &mut self.rng);
            }
        }
        self.plan_net();
    }

    fn crash_all(&mut self, rng: &mut Rng) {
        let together = rng.one_in(2);
        for member in 0..self.members.len() {
            let delay = if together { 0 } else { rng.below(self.unit.as_nanos() as u64) };
            let run = self.members[member].host.run;
            self.schedule(Duration::from_nanos(delay), Event::Crash { member, run });
        }
    }

    /// A member loses its disk: a voter only while those that keep theirs are a quorum.
    fn wipe(&mut self, member: usize) -> Step {
        let votes = self.judge.may_have_voted(member);
        if votes
            && !((S::LOST_VOTERS || S::LOST_FOR_EVER)
                && self.judge.can_elect(|other| other != member))
        {
            return Ok(());
        }
        self.crash(member)?;
        self.members[member].host.disk.wipe(votes);
        self.judge.wiped(member);
        self.counts.wiped_voters += u64::from(votes);
        self.with(member, |host, _, scene| host.declare(scene))
    }

    pub(crate) fn set_rate(&mut self, member: usize, rate: u64) {
        let now = self.now;
        self.members[member].clock.set_rate(now, rate);
        self.unwake(member);
    }

    pub(crate) fn mend(&mut self, mend: Mend) -> Step {
        if self.phase != Phase::Unsafe {
            return Ok(()); // everything is mended already
        }
        match mend {
            Mend::Unblock(pairs) => {
                self.net.unblock(self.now, &pairs);
                self.plan_net();
            }
            Mend::Block(pairs, hold) => self.block_for(pairs, hold),
            Mend::Unslow(pair) => self.net.slow[pair] = 1,
            Mend::Disk(member) => self.members[member].disk_factor = 1,
            Mend::Rate(member) => self.set_rate(member, UNIT),
        }
        Ok(())
    }
}
