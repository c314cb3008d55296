//! What is true of all logs together, in every state.

use super::small::Small;
use crate::engines::judge::{Step, violated};
use crate::engines::subject::Subject;
use broadcast::Slot;
use std::collections::VecDeque;

impl<S: Subject> Small<S> {
    /// Log matching for a member that has just done something, and leader completeness for all.
    pub(super) fn judge_logs(&self, subject: &S, changed: usize) -> Step {
        let slots = |member: usize| &self.nodes[member].host.disk.live.slots;
        for other in (0..self.nodes.len()).filter(|other| *other != changed) {
            if let Some((ours, theirs)) = mismatch(slots(changed), slots(other)) {
                let evidence =
                    format!("member {changed} has {ours:?}, member {other} has {theirs:?}");
                return violated("logs that share an entry are the same up to it", evidence);
            }
        }
        self.judge_leader(subject)
    }

    /// Who leads the latest period that anybody knows of has all that is decided.
    fn judge_leader(&self, subject: &S) -> Step {
        let promised = |member: usize| {
            let registers = &self.nodes[member].host.disk.live.registers;
            subject.periods(registers).map_or(0, |(promised, _)| promised)
        };
        let latest = (0..self.nodes.len()).map(promised).max().unwrap_or(0);
        for node in &self.nodes {
            let Some(engine) = &node.host.engine else { continue };
            let leads = subject.observe(engine).filter(|seen| seen.established);
            if leads.is_none_or(|seen| seen.current < latest) {
                continue;
            }
            let log = node.host.disk.live.tip().1;
            if self.judge.position(log) < self.judge.decided() {
                let (decided, has) = (self.judge.frontier(), self.judge.describe(log));
                let decided = self.judge.describe(decided);
                let id = node.host.node.0;
                let evidence = format!("node {id} leads {latest} with {has}, decided is {decided}");
                return violated("who leads the latest period has all that is decided", evidence);
            }
        }
        Ok(())
    }
}

/// The first slots that differ though the logs share a later one, or the same one.
fn mismatch<'l>(
    ours: &'l VecDeque<Slot>,
    theirs: &'l VecDeque<Slot>,
) -> Option<(&'l Slot, &'l Slot)> {
    let first = theirs.front()?.index;
    let mut differs = None;
    for slot in ours.iter().filter(|slot| slot.index >= first) {
        let other = theirs.get(usize::try_from(slot.index - first).ok()?)?;
        if slot != other {
            differs.get_or_insert((slot, other));
        }
        if slot.period == other.period && differs.is_some() {
            return differs;
        }
    }
    None
}
