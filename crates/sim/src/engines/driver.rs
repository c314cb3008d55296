//! What the world does for hosts: starts and crashes, syncs, connections.

use crate::engines::host::{Effect, Link};
use crate::engines::judge::Step;
use crate::engines::subject::Subject;
use crate::engines::world::{Event, World};
use crate::net::{self, News, What};
use broadcast::Input;
use std::time::Duration;

impl<S: Subject> World<S> {
    pub(crate) fn perform(&mut self, index: usize, effect: Effect) -> Step {
        let run = self.members[index].host.run;
        match effect {
            Effect::Send { link, bytes } => {
                self.mix_bytes(index, &bytes);
                self.net.send(self.now, (index, link), bytes, &mut self.rng);
            }
            Effect::Finish { link } => self.net.finish(self.now, index, link, &mut self.rng),
            Effect::Dial { link, channel, addresses } => {
                self.net.dial(self.now, (index, link), channel, addresses, &mut self.rng);
            }
            Effect::Listen { channel, addresses } => self.net.listen(index, channel, &addresses),
            Effect::Unlisten { channel } => self.net.unlisten(index, Some(channel)),
            Effect::Reset => {
                let delay = self.disk_time(index) * 2;
                self.schedule(delay, Event::Reset { member: index, run });
            }
            Effect::Store { link } => {
                let delay = self.disk_time(index) * 3;
                self.schedule(delay, Event::Stored { member: index, run, link });
            }
            Effect::ReadLog { link, from } => {
                let delay = self.disk_time(index);
                self.schedule(delay, Event::LogRead { member: index, run, link, from });
            }
            Effect::Ended { reason } => {
                let evidence = format!("node {}: {reason}", self.members[index].host.node.0);
                return crate::engines::judge::violated("no engine gives up", evidence);
            }
            Effect::Crash => {}
        }
        self.plan_net();
        Ok(())
    }

    /// What the net wants back comes back.
    pub(crate) fn plan_net(&mut self) {
        for (delay, event) in std::mem::take(&mut self.net.due) {
            self.schedule(delay, Event::Net(event));
        }
    }

    pub(crate) fn net(&mut self, event: net::Event) -> Step {
        let news = self.net.take(self.now, event, &mut self.rng);
        self.plan_net();
        match news {
            Some(news) => self.news(news),
            None => Ok(()),
        }
    }

    fn news(&mut self, News { member, link, what }: News) -> Step {
        match what {
            What::Received(bytes) => {
                self.mix(&[6, member as u64, bytes.len() as u64]);
                self.with(member, |host, now, scene| host.received(now, link, bytes, scene))
            }
            What::Up { channel, accepted, peer } => {
                let host = &mut self.members[member].host;
                host.links.entry(link).or_insert_with(|| Link::new(channel));
                self.mix(&[5, member as u64, peer as u64]);
                if accepted {
                    let theirs = self.members[peer].host.node.0;
                    self.note(member as u64, &format!("accepts {link:?} from {theirs}"));
                }
                self.with(member, |host, now, scene| {
                    host.handle(now, Input::LinkUp { link, channel }, scene)
                })
            }
            What::Down { reason, dialled } => {
                if dialled {
                    self.mix(&[4, member as u64]);
                }
                let reason = reason.to_owned();
                self.with(member, |host, now, scene| host.link_down(now, link, reason, scene))
            }
        }
    }

    pub(crate) fn start(&mut self, index: usize) -> Step {
        let member = &mut self.members[index];
        if member.frozen || member.host.engine.is_some() {
            return Ok(());
        }
        self.counts.starts += 1;
        let mut rng = self.rng.fork();
        self.note(index as u64, "starts");
        self.with(index, |host, now, scene| {
            host.declare(scene)?;
            host.recover(now, &mut rng, scene)
        })?;
        if self.members[index].crash_loop > 0 {
            self.members[index].crash_loop -= 1;
            let (delay, run) =
                (self.between(Duration::ZERO, self.unit), self.members[index].host.run);
            self.schedule(delay, Event::Crash { member: index, run });
        }
        Ok(())
    }

    /// The power goes off at a member.
    pub(crate) fn crash(&mut self, index: usize) -> Step {
        if self.members[index].host.engine.is_none() {
            return Ok(());
        }
        self.counts.crashes += 1;
        self.note(index as u64, "crashes");
        let kept = self.members[index].host.disk.survivors(&mut self.rng);
        let member = &mut self.members[index];
        member.host.crash(kept);
        (member.paused, member.sync_trap, member.store_fails) = (false, None, false);
        let deferred = std::mem::take(&mut member.deferred);
        self.net.abandon_all(self.now, index, &mut self.rng);
        self.plan_net();
        // Bytes that the kernel had taken for the process are gone with it; pipes go on elsewhere.
        for event in deferred {
            if let Event::Net(net::Event::Flow { .. }) = event {
                self.schedule(Duration::ZERO, event);
            }
        }
        self.with(index, |host, _, scene| host.declare(scene))?;
        let delay = self.around(self.unit);
        self.schedule(delay, Event::Start { member: index });
        Ok(())
    }

    /// It goes on; what came meanwhile comes now, and before it, for all that it knows, a read.
    pub(crate) fn resume(&mut self, index: usize) -> Step {
        let member = &mut self.members[index];
        if member.frozen || !std::mem::take(&mut member.paused) {
            return Ok(());
        }
        let id = self.next_id;
        self.next_id += 1;
        self.read(index, id)?;
        let member = &mut self.members[index];
        for event in std::mem::take(&mut member.deferred) {
            self.schedule(Duration::ZERO, event);
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&mut self, index: usize) -> Step {
        let delay = self.around(self.options.checkpoint);
        self.schedule(delay, Event::Checkpoint { member: index });
        let host = &mut self.members[index].host;
        if host.engine.is_none() || host.silent || !host.can_checkpoint() {
            return Ok(());
        }
        let (judge, at) = (&self.judge, host.state.last);
        host.disk.checkpoint(host.state, self.options.kept, |chain| judge.is_decided(chain));
        self.counts.checkpoints += 1;
        self.with(index, |host, now, scene| host.handle(now, Input::Checkpointed { at }, scene))
    }

    pub(crate) fn begin_sync(&mut self, index: usize) -> Step {
        let member = &mut self.members[index];
        if member.host.engine.is_none() || !member.host.disk.begin_sync() {
            return Ok(());
        }
        if member.sync_trap == Some(true) {
            return self.crash(index);
        }
        let run = member.host.run;
        let delay = self.disk_time(index);
        self.schedule(delay, Event::Synced { member: index, run });
        Ok(())
    }

    pub(crate) fn synced(&mut self, index: usize) -> Step {
        let synced = self.members[index].host.disk.end_sync();
        if self.members[index].sync_trap == Some(false) {
            return self.crash(index);
        }
        match synced {
            Ok(upto) => {
                self.mix(&[3, index as u64, upto.0]);
                self.with(index, |host, now, scene| host.durable(now, upto, scene))
            }
            Err(at) => {
                self.with(index, |host, now, scene| {
                    host.handle(now, Input::DiskFailed { at }, scene)
                })?;
                // Somebody mends the disk.
                let (delay, run) = (self.around(self.unit * 2), self.members[index].host.run);
                self.schedule(delay, Event::Crash { member: index, run });
                Ok(())
            }
        }
    }

    fn disk_time(&mut self, index: usize) -> Duration {
        let factor = self.members[index].disk_factor;
        self.around(self.options.sync) * factor as u32
    }
}
