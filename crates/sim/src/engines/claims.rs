//! What frames and engines say of themselves, held against the disk and the others.

use crate::engines::host::{Host, Scene};
use crate::engines::judge::{Step, violated};
use crate::engines::subject::{Claim, Subject};
use base::{Machine, Zxid};
use broadcast::{Input, LinkId, Output};
use bytes::Bytes;

impl<E: Machine<Input = Input, Output = Output>> Host<E> {
    /// A frame leaves: what it says must be on the disk by now.
    pub(crate) fn judge_claims<S: Subject<Engine = E>>(
        &mut self,
        id: LinkId,
        frame: &Bytes,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let Some(channel) = self.links.get(&id).map(|link| link.channel) else { return Ok(()) };
        for claim in scene.subject.claims(channel, frame) {
            match claim {
                Claim::Logged(at) => self.judge_logged(id, at)?,
                Claim::Slots(index) => self.judge_slots(index)?,
                Claim::Register(name, value) => self.judge_register(name, value)?,
                Claim::Promised(period) => self.judge_promised(period, scene)?,
                Claim::Installed(period) => self.judge_installed(id, period, scene)?,
            }
        }
        Ok(())
    }

    /// I13 and I14.
    fn judge_logged(&mut self, id: LinkId, at: Zxid) -> Step {
        let (last, _) = self.disk.durable.tip();
        if last < at {
            let evidence = format!("node {} acknowledges {at}, durable is {last}", self.node.0);
            return violated("I13 what is acknowledged is durable", evidence);
        }
        if self.links.get(&id).is_some_and(|link| !link.installed) {
            let evidence = format!("node {} acknowledges {at} on {id:?}", self.node.0);
            return violated("I14 a period is acknowledged before its entries", evidence);
        }
        Ok(())
    }

    fn judge_slots(&self, index: u64) -> Step {
        let durable = self.disk.durable.end().map_or(0, |(_, index)| index);
        if durable >= index {
            return Ok(());
        }
        let evidence = format!("node {} acknowledges {index}, durable is {durable}", self.node.0);
        violated("I13 what is acknowledged is durable", evidence)
    }

    fn judge_register(&self, name: &str, value: i64) -> Step {
        let durable = self.disk.durable.registers.get(name).copied().unwrap_or(0);
        if value <= durable {
            return Ok(());
        }
        let evidence = format!("node {} says {value}, durable {name} is {durable}", self.node.0);
        violated("I13 what is promised is durable", evidence)
    }

    fn judge_promised<S: Subject<Engine = E>>(&self, period: i64, scene: &Scene<'_, S>) -> Step {
        let registers = &self.disk.durable.registers;
        match scene.subject.periods(registers) {
            Some((promised, _)) if promised < period => {
                let evidence = format!("node {} says {period}, durable is {promised}", self.node.0);
                violated("I13 what is promised is durable", evidence)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// I12: the initial history first, then the period, then this frame.
    fn judge_installed<S: Subject<Engine = E>>(
        &mut self,
        id: LinkId,
        period: i64,
        scene: &Scene<'_, S>,
    ) -> Step {
        if let Some(link) = self.links.get_mut(&id) {
            // The same words come a second time, when broadcast begins.
            if std::mem::replace(&mut link.installed, true) {
                return Ok(());
            }
        }
        let registers = &self.disk.durable.registers;
        if let Some((_, installed)) = scene.subject.periods(registers)
            && installed < period
        {
            let evidence = format!("node {} says {period}, durable is {installed}", self.node.0);
            return violated("I12 an installed period is durable", evidence);
        }
        let Some(peer) = scene.peers.get(&id) else { return Ok(()) };
        let initial = scene.judge.cut(scene.logs[*peer], Zxid((period << 32) - 1));
        let (_, tip) = self.disk.durable.tip();
        if scene.judge.begins_with(tip, initial) {
            return Ok(());
        }
        let (has, should) = (scene.judge.describe(tip), scene.judge.describe(initial));
        let evidence = format!("node {} holds {has}, the primary {should}", self.node.0);
        violated("I12 who installs a period has its initial history", evidence)
    }

    /// What the engine shows of itself.
    pub(crate) fn look<S: Subject<Engine = E>>(&mut self, scene: &mut Scene<'_, S>) -> Step {
        let Some(engine) = &self.engine else { return Ok(()) };
        if self.fuse == Some(0) {
            return Ok(()); // it may have commanded more than was performed
        }
        let Some(seen) = scene.subject.observe(engine) else { return Ok(()) };
        let node = self.node;
        if seen.established {
            scene.judge.leads(node, seen.current)?;
        }
        if seen.accepted < seen.current {
            let evidence = format!("node {}: {seen:?}", node.0);
            return violated("I2 periods never go back, and are promised first", evidence);
        }
        let (logged, beginning) = (self.disk.live.tip().0, self.disk.live.purged.0);
        // Before the beginning nothing can be cut: who was told to waits for a whole state.
        if (beginning..logged).contains(&seen.logged) {
            let evidence = format!("node {}: {seen:?}, its log ends at {logged}", node.0);
            return violated("I2 an engine knows its log", evidence);
        }
        Ok(())
    }
}
