//! What the world does for hosts: starts and crashes, syncs, connections.

use crate::engines::host::{Effect, Link};
use crate::engines::judge::Step;
use crate::engines::net::{Conn, End, Packet};
use crate::engines::subject::Subject;
use crate::engines::world::{Event, World};
use base::Time;
use broadcast::{Addresses, Channel, Input, LinkId};
use bytes::Bytes;
use std::time::Duration;

impl<S: Subject> World<S> {
    pub(crate) fn perform(&mut self, index: usize, effect: Effect) -> Step {
        let run = self.members[index].host.run;
        match effect {
            Effect::Send { link, bytes } => {
                self.mix_bytes(index, &bytes);
                self.send(index, link, Packet::Bytes(bytes));
            }
            Effect::Finish { link } => self.finish(index, link),
            Effect::Dial { link, channel, addresses } => {
                self.dial(index, link, channel, addresses);
            }
            Effect::Listen { channel, addresses } => {
                self.unlisten(index, Some(channel));
                for address in addresses.iter() {
                    self.net.listening.insert(address.clone(), (index, channel));
                }
            }
            Effect::Unlisten { channel } => self.unlisten(index, Some(channel)),
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
        Ok(())
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
        self.unlisten(index, None);
        let kept = self.members[index].host.disk.survivors(&mut self.rng);
        let member = &mut self.members[index];
        member.host.crash(kept);
        (member.paused, member.sync_trap, member.store_fails) = (false, None, false);
        member.peers.clear();
        let conns = std::mem::take(&mut member.conns);
        let deferred = std::mem::take(&mut member.deferred);
        for (id, side) in conns.into_values() {
            self.abandon(id, side);
        }
        // Bytes that the kernel had taken for the process are gone with it; pipes go on elsewhere.
        for event in deferred {
            if let Event::Flow { conn, side } = event {
                self.schedule(Duration::ZERO, Event::Flow { conn, side });
            }
        }
        self.with(index, |host, _, scene| host.declare(scene))?;
        let delay = self.around(self.unit);
        self.schedule(delay, Event::Start { member: index });
        Ok(())
    }

    pub(crate) fn resume(&mut self, index: usize) -> Step {
        let member = &mut self.members[index];
        if member.frozen || !std::mem::take(&mut member.paused) {
            return Ok(());
        }
        for event in std::mem::take(&mut member.deferred) {
            self.schedule(Duration::ZERO, event);
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&mut self, index: usize) {
        let delay = self.around(self.options.checkpoint);
        self.schedule(delay, Event::Checkpoint { member: index });
        let host = &mut self.members[index].host;
        if host.engine.is_some() && !host.silent && host.can_checkpoint() {
            let judge = &self.judge;
            host.disk.checkpoint(host.state, self.options.kept, |chain| judge.is_decided(chain));
            self.counts.checkpoints += 1;
        }
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

    fn unlisten(&mut self, index: usize, channel: Option<Channel>) {
        self.net.listening.retain(|_, (member, what)| {
            *member != index || channel.is_some_and(|channel| *what != channel)
        });
    }

    fn dial(&mut self, index: usize, link: LinkId, channel: Channel, addresses: Addresses) {
        self.counts.dials += 1;
        let run = self.members[index].host.run;
        let us = End { member: index, run, link, alive: true };
        let them = End { alive: false, ..us };
        let until = self.now + self.between(self.unit / 4, self.unit * 2);
        let (ends, pipes) = ([us, them], Default::default());
        let conn = Conn { ends, pipes, channel, addresses, up: false, until };
        let id = self.net.next;
        self.net.next += 1;
        self.net.conns.insert(id, conn);
        self.members[index].conns.insert(link, (id, 0));
        let delay = self.around(self.options.latency);
        self.schedule(delay, Event::Dialed { conn: id });
    }

    /// The first word of a connection arrives: somebody accepts it, refuses it, or nobody hears it.
    pub(crate) fn dialed(&mut self, id: u64) -> Step {
        let Some(conn) = self.net.conns.get(&id) else { return Ok(()) };
        let (from, until) = (conn.ends[0].member, conn.until);
        let Some((to, channel)) = self.net.acceptor(&conn.addresses) else {
            let refused = self.net.conns.remove(&id).expect("it is there");
            return self.dial_failed(&refused, "connection refused");
        };
        if self.net.blocks(from, to) || self.net.blocks(to, from) {
            if self.now >= until {
                let failed = self.net.conns.remove(&id).expect("it is there");
                return self.dial_failed(&failed, "timed out");
            }
            let again = (self.unit / 8).min(until.since(self.now)).max(Duration::from_nanos(1));
            self.schedule(again, Event::Dialed { conn: id });
            return Ok(());
        }
        let conn = self.net.conns.get_mut(&id).expect("it is there");
        let host = &mut self.members[to].host;
        let link = LinkId::accepted(host.accepted);
        host.accepted += 1;
        conn.ends[1] = End { member: to, run: host.run, link, alive: true };
        (conn.up, conn.channel) = (true, channel);
        self.members[to].conns.insert(link, (id, 1));
        let theirs = self.members[from].host.node;
        self.note(to as u64, &format!("accepts {id} from {}", theirs.0));
        let delay = self.latency(to, from);
        let conn = self.net.conns.get_mut(&id).expect("it is there");
        conn.pipes[1].last = self.now + delay;
        self.schedule(Duration::ZERO, Event::Up { conn: id, side: 1 });
        self.schedule(delay, Event::Up { conn: id, side: 0 });
        Ok(())
    }

    fn dial_failed(&mut self, conn: &Conn, why: &str) -> Step {
        let End { member, run, link, .. } = conn.ends[0];
        self.members[member].conns.remove(&link);
        if self.members[member].host.run != run {
            return Ok(());
        }
        self.mix(&[4, member as u64]);
        let reason = why.to_owned();
        self.with(member, |host, now, scene| host.link_down(now, link, reason, scene))
    }

    pub(crate) fn up(&mut self, id: u64, side: usize) -> Step {
        let Some(conn) = self.net.conns.get(&id) else { return Ok(()) };
        let (us, them) = (conn.ends[side], conn.ends[1 - side]);
        if !us.alive {
            return Ok(());
        }
        let channel = conn.channel;
        let member = &mut self.members[us.member];
        if them.alive {
            member.peers.insert(us.link, them.member);
        }
        member.host.links.entry(us.link).or_insert_with(|| Link::new(channel));
        self.mix(&[5, us.member as u64, them.member as u64]);
        self.with(us.member, |host, now, scene| {
            host.handle(now, Input::LinkUp { link: us.link, channel }, scene)
        })
    }

    fn latency(&mut self, from: usize, to: usize) -> Duration {
        let factor = self.net.slow[self.net.pair(from, to)];
        self.around(self.options.latency) * factor as u32
    }

    fn send(&mut self, index: usize, link: LinkId, packet: Packet) {
        let Some((id, side)) = self.members[index].conns.get(&link).copied() else { return };
        self.push(id, side, packet, Duration::ZERO);
    }

    /// Something more goes into a pipe.
    fn push(&mut self, id: u64, side: usize, packet: Packet, later: Duration) {
        let Some(conn) = self.net.conns.get(&id) else { return };
        if !conn.up || !conn.ends[1 - side].alive {
            return;
        }
        let (from, to) = (conn.ends[side].member, conn.ends[1 - side].member);
        let delay = self.latency(from, to) + later;
        let pipe = &mut self.net.conns.get_mut(&id).expect("it is there").pipes[side];
        let at = pipe.last.max(self.now + delay);
        pipe.last = at;
        pipe.queue.push_back((at, packet));
        if !std::mem::replace(&mut pipe.flowing, true) {
            self.schedule(at.since(self.now), Event::Flow { conn: id, side });
        }
    }

    fn finish(&mut self, index: usize, link: LinkId) {
        let Some((id, side)) = self.members[index].conns.remove(&link) else { return };
        self.members[index].peers.remove(&link);
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        conn.ends[side].alive = false;
        if !conn.up {
            self.net.conns.remove(&id);
            return;
        }
        conn.pipes[1 - side].queue.clear();
        self.push(id, side, Packet::End("closed by the peer"), Duration::ZERO);
        self.forget(id);
    }

    /// A side is gone without a word; the other one learns of it soon, or late.
    fn abandon(&mut self, id: u64, side: usize) {
        let lost = self.rng.one_in(2);
        let late = if self.rng.one_in(4) { self.unit * 3 } else { self.options.latency };
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        conn.ends[side].alive = false;
        conn.pipes[1 - side].queue.clear();
        if lost {
            conn.pipes[side].queue.clear();
        }
        let other = conn.ends[1 - side];
        if !conn.up {
            self.net.conns.remove(&id);
            return;
        }
        self.members[other.member].peers.remove(&other.link);
        self.push(id, side, Packet::End("connection reset"), late);
        self.forget(id);
    }

    /// A connection breaks: both sides learn of it, what is under way is lost.
    pub(crate) fn break_conn(&mut self, id: u64) {
        let late = [0, 1].map(|_| if self.rng.one_in(4) { self.unit } else { Duration::ZERO });
        let Some(conn) = self.net.conns.get_mut(&id).filter(|conn| conn.up) else { return };
        conn.pipes.iter_mut().for_each(|pipe| pipe.queue.clear());
        for (side, late) in late.into_iter().enumerate() {
            self.push(id, side, Packet::End("connection reset"), late);
        }
    }

    fn forget(&mut self, id: u64) {
        if self.net.conns.get(&id).is_some_and(|conn| conn.ends.iter().all(|end| !end.alive)) {
            self.net.conns.remove(&id);
        }
    }

    /// What has arrived is read, in one piece or several, unless the way is blocked.
    pub(crate) fn flow(&mut self, id: u64, side: usize) -> Step {
        let cut = self.options.cuts > 0 && self.rng.percent(self.options.cuts);
        let Some(conn) = self.net.conns.get_mut(&id) else { return Ok(()) };
        let (from, to) = (conn.ends[side].member, conn.ends[1 - side]);
        conn.pipes[side].flowing = false;
        if !to.alive {
            conn.pipes[side].queue.clear();
            return Ok(());
        }
        if self.net.blocks(from, to.member) {
            return Ok(()); // until the way is free
        }
        let conn = self.net.conns.get_mut(&id).expect("it is there");
        let Some(bytes) = conn.pipes[side].take(self.now, cut, &mut self.rng) else {
            self.reflow(id, side);
            return Ok(());
        };
        self.reflow(id, side);
        let link = to.link;
        match bytes {
            Packet::Bytes(bytes) => {
                self.mix(&[6, to.member as u64, bytes.len() as u64]);
                self.with(to.member, |host, now, scene| host.received(now, link, bytes, scene))
            }
            Packet::End(why) => {
                self.lose(id, 1 - side);
                let reason = why.to_owned();
                self.with(to.member, |host, now, scene| host.link_down(now, link, reason, scene))
            }
        }
    }

    /// A side has heard that the connection is gone.
    fn lose(&mut self, id: u64, side: usize) {
        let conn = self.net.conns.get_mut(&id).expect("it is there");
        conn.ends[side].alive = false;
        let End { member, link, .. } = conn.ends[side];
        self.members[member].conns.remove(&link);
        self.members[member].peers.remove(&link);
        self.forget(id);
    }

    fn reflow(&mut self, id: u64, side: usize) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let pipe = &mut conn.pipes[side];
        let Some((at, _)) = pipe.queue.front().filter(|_| !pipe.flowing) else { return };
        let delay = at.since(self.now);
        pipe.flowing = true;
        self.schedule(delay, Event::Flow { conn: id, side });
    }

    /// Ways are free again: what has waited goes on.
    pub(crate) fn reflow_all(&mut self) {
        let ids: Vec<u64> = self.net.conns.keys().copied().collect();
        for id in ids {
            self.reflow(id, 0);
            self.reflow(id, 1);
        }
    }
}

impl crate::engines::net::Pipe {
    /// Takes what has arrived by `now`: several frames together, or only a part of one.
    fn take(&mut self, now: Time, cut: bool, rng: &mut base::Rng) -> Option<Packet> {
        let (_, first) = self.queue.pop_front()?;
        let Packet::Bytes(mut bytes) = first else { return Some(first) };
        let mut together: Vec<u8> = Vec::new();
        while let Some((at, Packet::Bytes(more))) = self.queue.front() {
            if *at > now {
                break;
            }
            if together.is_empty() {
                together.extend_from_slice(&bytes);
            }
            together.extend_from_slice(more);
            self.queue.pop_front();
        }
        if !together.is_empty() {
            bytes = Bytes::from(together);
        }
        if cut && bytes.len() > 1 {
            let rest = bytes.split_off(rng.between(1, bytes.len() as u64 - 1) as usize);
            self.queue.push_front((now, Packet::Bytes(rest)));
        }
        Some(Packet::Bytes(bytes))
    }
}
