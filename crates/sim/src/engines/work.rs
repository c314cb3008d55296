//! The clients: they want entries and reads, at whatever member, and never try the same twice.

use crate::engines::heal::Phase;
use crate::engines::judge::Step;
use crate::engines::subject::{Letter, Subject};
use crate::engines::world::{Event, World};
use base::{NodeId, Rng};
use broadcast::{Input, ReadLevel, View};
use bytes::Bytes;

impl<S: Subject> World<S> {
    /// Somebody wants something.
    pub(crate) fn work(&mut self) -> Step {
        if self.phase != Phase::Unsafe {
            return Ok(());
        }
        let delay = self.around(self.options.think);
        self.schedule(delay, Event::Work);
        let member = self.rng.below(self.members.len() as u64) as usize;
        let reads = self.rng.percent(self.options.reads);
        let count = self.rng.between(1, self.options.burst);
        if self.members[member].paused {
            return Ok(());
        }
        let first = self.next_id;
        self.next_id += count;
        if reads {
            let primary = self.primary().filter(|_| self.rng.percent(40));
            return self.read(primary.unwrap_or(member), first);
        }
        let ids: Vec<u64> = (first..first + count).collect();
        // Most clients are where the primary is, so that it has several proposals under way.
        let primary = self.primary().filter(|_| self.rng.one_in(2));
        self.want(primary.unwrap_or(member), &ids)
    }

    /// An operator wants others to be the members: mostly one or two become something else.
    pub(crate) fn reconfigure(&mut self, rng: &mut Rng) -> Step {
        let Some(primary) = self.primary() else { return Ok(()) };
        // Some ask although they should not: they are refused.
        let is_asked = rng.one_in(4) && S::TURNS_BACK;
        let mut target = self.judge.members().clone();
        let all: Vec<NodeId> = self.members.iter().map(|member| member.host.node).collect();
        let edits = if rng.one_in(4) { all.len() as u64 } else { rng.between(1, 2) };
        for _ in 0..edits {
            let node = *rng.pick(&all);
            target.voters.remove(&node);
            target.observers.remove(&node);
            match rng.below(5) {
                0..3 => target.voters.insert(node),
                3 => target.observers.insert(node),
                _ => true,
            };
        }
        let may_be = |engine| is_asked || self.subject.may_reconfigure(engine, &target);
        let engine = self.members[primary].host.engine.as_ref();
        if !self.judge.is_able(&target) || !engine.is_some_and(may_be) {
            return Ok(());
        }
        let id = self.next_id;
        self.next_id += 1;
        self.with(primary, |host, now, scene| {
            match host.service.propose_change(scene.subject, id, &target) {
                Some(input) => host.handle(now, input, scene),
                None => Ok(()),
            }
        })
    }

    /// An operator wants this member to lead.
    pub(crate) fn transfer(&mut self, to: usize) -> Step {
        let Some(primary) = self.primary() else { return Ok(()) };
        let to = self.members[to].host.node;
        self.with(primary, |host, now, scene| {
            host.handle(now, Input::TransferRequested { to }, scene)
        })
    }

    pub(crate) fn primary(&mut self) -> Option<usize> {
        let leads = |view: Option<View>| matches!(view, Some(View::Primary { .. }));
        let mut all = self.members.iter();
        let index = all.position(|member| leads(member.host.view) && !member.paused)?;
        Some(index)
    }

    /// These are to get places in the order, by way of this member.
    pub(crate) fn want(&mut self, index: usize, ids: &[u64]) -> Step {
        let member = &self.members[index];
        if member.host.engine.is_none() || member.paused {
            return Ok(());
        }
        match member.host.view {
            Some(View::Primary { .. }) => {
                self.counts.proposed += ids.len() as u64;
                self.with(index, |host, now, scene| {
                    match host.service.propose(scene.subject, ids) {
                        Some(input) => host.handle(now, input, scene),
                        None => Ok(()),
                    }
                })
            }
            Some(View::Replica { .. }) => {
                self.counts.proposed += ids.len() as u64;
                for id in ids {
                    let body = Bytes::copy_from_slice(&id.to_be_bytes());
                    self.with(index, |host, now, scene| {
                        let letter = scene.subject.letter(Letter::Request, body);
                        host.handle(now, Input::Forward { letter }, scene)
                    })?;
                }
                Ok(())
            }
            Some(View::Apart | View::Silent) | None => Ok(()),
        }
    }

    /// A read is to be allowed at this member.
    pub(crate) fn read(&mut self, index: usize, id: u64) -> Step {
        let member = &self.members[index];
        if member.host.engine.is_none() || member.paused {
            return Ok(());
        }
        let healing = matches!(self.phase, Phase::Healing { .. });
        let linearizable = healing || self.rng.one_in(2);
        let level = if linearizable { ReadLevel::Linearizable } else { ReadLevel::Proposed };
        let bound = self.judge.place(self.judge.frontier());
        let at_replica = matches!(member.host.view, Some(View::Replica { .. }));
        self.counts.replica_reads += u64::from(at_replica);
        let by_letter = at_replica && !(S::READS_AT_REPLICAS && self.rng.one_in(2));
        self.with(index, |host, now, scene| {
            let input = match by_letter {
                true => host.service.read_by_letter(scene.subject, id, level, bound),
                false => host.service.read(id, level, bound),
            };
            host.handle(now, input, scene)
        })
    }
}
