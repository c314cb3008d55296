//! Liveness: a core that could work is healed, the rest stays as it is, and the core must work.
//!
//! Then nothing is asked for, and nothing but signs of life may happen.

use crate::clock::UNIT;
use crate::engines::judge::{Step, violated};
use crate::engines::subject::Subject;
use crate::engines::world::{Event, World};
use crate::partition::pairs;
use base::Time;
use broadcast::View;
use std::time::Duration;

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Unsafe,
    Healing { since: Time, core: Vec<usize>, probes: Vec<Probe> },
    Quiet { until: Time, roles: u64, frames: u64, core: Vec<usize> },
    Done,
}

/// Something that a member of the core must bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    member: usize,
    reads: bool,
    id: u64,
    asked: Option<Time>,
}

impl<S: Subject> World<S> {
    /// The end of all faults for the core, and of all mercy for the others.
    pub(crate) fn heal(&mut self) -> Step {
        let core = self.choose_core();
        let probe = |member, reads| Probe { member, reads, id: 0, asked: None };
        let probes = core.iter().flat_map(|m| [probe(*m, false), probe(*m, true)]).collect();
        self.phase = Phase::Healing { since: self.now, core: core.clone(), probes };
        self.note(0, &format!("heals {core:?}"));
        self.net.unblock_all();
        for member in 0..self.members.len() {
            if core.contains(&member) {
                self.mend_member(member)?;
            } else {
                self.freeze(member)?;
            }
        }
        let is_core = |member: usize| core.contains(&member);
        let apart: Vec<_> =
            pairs(self.members.len()).filter(|(a, b)| is_core(*a) != is_core(*b)).collect();
        self.net.block(&apart);
        self.net.reflow_all(self.now);
        self.plan_net();
        self.schedule(self.unit / 5, Event::Poll);
        Ok(())
    }

    fn choose_core(&mut self) -> Vec<usize> {
        let mut core: Vec<usize> = (0..self.members.len()).collect();
        if !self.options.core_only {
            return core;
        }
        let setup = &self.options.setup;
        let voters = if setup.changes { self.members.len() } else { setup.voters.len() } as u64;
        let size = self.rng.between(voters / 2 + 1, voters);
        for _ in size..voters {
            let out = self.rng.below(voters) as usize;
            let node = self.members[out].host.node;
            let rest = |member: usize| member != out && core.contains(&member);
            if self.subject.is_replaceable(node) && self.judge.can_elect(rest) {
                core.retain(|member| *member != out);
            }
        }
        core
    }

    fn mend_member(&mut self, index: usize) -> Step {
        let member = &mut self.members[index];
        (member.disk_factor, member.sync_trap, member.crash_loop) = (1, None, 0);
        (member.host.disk.fails_next, member.store_fails, member.host.fuse) = (false, false, None);
        let rate = self.rng.between(UNIT - UNIT / 20, UNIT + UNIT / 20);
        self.set_rate(index, rate);
        self.resume(index)?;
        let host = &self.members[index].host;
        if host.silent {
            return self.crash(index);
        }
        if host.engine.is_none() {
            self.schedule(Duration::ZERO, Event::Start { member: index });
        }
        Ok(())
    }

    /// Whoever is not of the core is down, hangs, or is cut off, and stays so.
    fn freeze(&mut self, index: usize) -> Step {
        match self.rng.below(3) {
            0 => {
                self.crash(index)?;
                self.members[index].frozen = true;
            }
            1 => {
                let member = &mut self.members[index];
                (member.frozen, member.paused) = (true, true);
            }
            _ => {}
        }
        Ok(())
    }

    /// Looks whether the core has come together, and asks it for what it must do.
    pub(crate) fn poll(&mut self) -> Step {
        let phase = std::mem::replace(&mut self.phase, Phase::Done);
        match phase {
            Phase::Unsafe | Phase::Done => Ok(()),
            Phase::Healing { since, core, probes } => self.poll_healing(since, core, probes),
            Phase::Quiet { until, roles, frames, core } => {
                self.judge_quiet(until, roles, frames, core)
            }
        }
    }

    fn poll_healing(&mut self, since: Time, core: Vec<usize>, mut probes: Vec<Probe>) -> Step {
        self.phase = Phase::Healing { since, core: core.clone(), probes: Vec::new() };
        let leads = |view: Option<View>| matches!(view, Some(View::Primary { .. }));
        // Who the members are may still change.
        let serving: Vec<usize> =
            core.iter().copied().filter(|member| self.judge.is_member(*member)).collect();
        let established = serving.iter().any(|member| leads(self.members[*member].host.view));
        if established {
            probes.retain(|probe| !self.decided_ids.contains(&probe.id));
            for probe in probes.iter_mut().filter(|probe| serving.contains(&probe.member)) {
                if probe.asked.is_none_or(|asked| self.now >= asked + self.unit * 2) {
                    probe.id = self.next_id;
                    probe.asked = Some(self.now);
                    self.ask(*probe)?;
                }
            }
        }
        let frontier = self.judge.frontier();
        let agrees = |member: &usize| {
            let host = &self.members[*member].host;
            host.state.chain == frontier
                && matches!(host.view, Some(View::Primary { .. } | View::Replica { .. }))
        };
        let took = self.now.since(since);
        let is_asked = |probe: &Probe| serving.contains(&probe.member);
        if established && !probes.iter().any(is_asked) && serving.iter().all(agrees) {
            let allowed = self.subject.settles_within().as_nanos().max(1);
            self.counts.slowest.0 = (took.as_nanos() * 1000 / allowed) as u64;
            self.note(0, &format!("has converged in {took:?}"));
            self.begin_quiet(serving);
            return Ok(());
        }
        if took > self.subject.settles_within() {
            return violated("a healed core works", self.describe_core(&core, &probes));
        }
        self.phase = Phase::Healing { since, core, probes };
        self.schedule(self.unit / 5, Event::Poll);
        Ok(())
    }

    fn ask(&mut self, probe: Probe) -> Step {
        self.next_id += 1;
        if probe.reads {
            self.read(probe.member, probe.id)
        } else {
            self.want(probe.member, &[probe.id])
        }
    }

    fn describe_core(&self, core: &[usize], probes: &[Probe]) -> String {
        let decided = self.judge.describe(self.judge.frontier());
        let mut text = format!("decided {decided}, not yet done: {probes:?}");
        for index in core {
            let member = &self.members[*index];
            let (host, view) = (&member.host, member.host.view);
            text += &format!(
                "; node {} {view:?} applied {} logged {}",
                host.node.0,
                host.state.last,
                host.disk.live.tip().0
            );
        }
        text
    }

    fn begin_quiet(&mut self, core: Vec<usize>) {
        let until = self.now + self.unit * QUIET_UNITS;
        let (roles, frames) = (self.roles(&core), self.frames(&core));
        self.phase = Phase::Quiet { until, roles, frames, core };
        self.schedule(self.unit * QUIET_UNITS, Event::Poll);
    }

    /// How often these became primary or replica. Others may still: who is no member any more, or is
    /// cut off.
    fn roles(&self, core: &[usize]) -> u64 {
        core.iter().map(|member| self.members[*member].host.roles).sum()
    }

    fn frames(&self, core: &[usize]) -> u64 {
        core.iter().map(|member| self.members[*member].host.frames).sum()
    }

    fn judge_quiet(&mut self, until: Time, roles: u64, frames: u64, core: Vec<usize>) -> Step {
        assert!(self.now >= until, "it is looked at when it is over");
        // Those that are cut off may look for each other; it is the core that must be still.
        let sent = self.frames(&core) - frames;
        let allowed = u64::from(QUIET_UNITS) * self.subject.frames_per_unit() * core.len() as u64;
        if sent > allowed {
            let evidence = format!("{sent} frames among {} members, allowed {allowed}", core.len());
            return violated("a quiet ensemble is quiet", evidence);
        }
        let news = self.roles(&core) - roles;
        if news > 0 {
            let evidence = format!("new primaries and replicas: {news}");
            return violated("nobody is elected in peace", evidence);
        }
        Ok(())
    }
}

/// How long it is quiet, in units of patience.
const QUIET_UNITS: u32 = 10;
