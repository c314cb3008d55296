//! The link: dial, handshake, what comes in, pings, loss, and the search for a better server.
//!
//! After the handshake go, in this order: credentials, watches, the queue. The zxid that watches
//! are set again with is not the highest that was seen: one transaction can fire several events,
//! so an event proves only what is before it; and while watches are being set again nothing is
//! proved until the last of those requests is answered.

use super::requests::{Pending, Work};
use super::{
    BACKOFF_MAX, LinkId, Live, Output, PING_INTERVAL_MAX, PROBE_WAIT, Phase, STABLE_AFTER, Session,
    State, Timer,
};
use crate::watches::{Event, EventKind, PathLists};
use crate::{Error, Host, Identity};
use base::Time;
use bytes::Bytes;
use jute::{Decode, Encode, Reader, put_int, put_long, put_string};
use std::time::Duration;
use wire::{
    ConnectRequest, ConnectResponse, EventType, OpCode, REPLY_HEADER_SIZE, ReplyHeader, xid,
};

impl Session {
    pub(super) fn dial(&mut self, now: Time, out: &mut Vec<Output>) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.phase = Phase::Dialing(link);
        out.push(Output::Dial { link, host: self.hosts.advance().clone() });
        let share = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        self.timers.set(Timer::Handshake, now + self.timeout / share);
    }

    /// Opens or renews the session on a link that is up.
    pub(super) fn open(&mut self, now: Time, link: LinkId, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Dialing(dialed) if dialed == link) {
            return;
        }
        self.phase = Phase::Handshaking(link);
        let identity = if self.seen_read_write { self.identity } else { Identity::NONE };
        let timeout_ms = self.config.session_timeout.as_millis();
        let mut bytes = vec![0; 4];
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(timeout_ms).unwrap_or(i32::MAX),
            session_id: identity.session_id,
            password: &identity.password,
            read_only: Some(self.config.read_only),
        }
        .encode(&mut bytes);
        seal(&mut bytes);
        self.send(now, link, bytes, out);
    }

    pub(super) fn receive(
        &mut self,
        now: Time,
        link: LinkId,
        frame: &Bytes,
        out: &mut Vec<Output>,
    ) {
        if self.link() != Some(link) {
            return;
        }
        self.last_heard = now;
        match self.phase {
            Phase::Handshaking(_) => self.welcome(now, link, frame, out),
            Phase::Live(_) => {
                self.timers.set(Timer::Silence, now + self.timeout * 2 / 3);
                self.take_frame(now, frame, out);
            }
            Phase::Waiting | Phase::Dialing(_) | Phase::Ended(_) => {}
        }
    }

    /// The server's answer to the handshake.
    fn welcome(&mut self, now: Time, link: LinkId, frame: &Bytes, out: &mut Vec<Output>) {
        let Ok(answer) = ConnectResponse::decode(&mut Reader::new(frame)) else {
            return self.drop_link(now, out);
        };
        let timeout_ms = match u64::try_from(answer.timeout_ms) {
            Ok(ms) if ms > 0 => ms,
            Ok(_) | Err(_) => return self.end(Error::SessionExpired, out),
        };
        let read_only = answer.read_only.unwrap_or(false);
        if read_only && !self.config.read_only {
            return self.drop_link(now, out);
        }
        self.identity = Identity { session_id: answer.session_id, password: answer.password };
        self.seen_read_write |= !read_only;
        self.timeout = Duration::from_millis(timeout_ms);
        self.timers.clear(Timer::Handshake);
        self.timers.clear(Timer::Unheard);
        self.timers.set(Timer::Silence, now + self.timeout * 2 / 3);
        self.phase = Phase::Live(Live {
            link,
            since: now,
            read_only,
            restoring: 0,
            closing: false,
            probe_wait: PROBE_WAIT.0,
            probe_step: 0,
        });
        if read_only {
            self.timers.set(Timer::Probe, now + PROBE_WAIT.0);
        }
        self.become_state(if read_only { State::ReadOnly } else { State::Connected }, out);
        self.arm_ping(now);
        for i in 0..self.auths.len() {
            self.send_auth(now, i, out);
        }
        self.restore_watches(now, out);
        self.flush(now, out);
    }

    fn restore_watches(&mut self, now: Time, out: &mut Vec<Output>) {
        let frames: Vec<Vec<u8>> = self
            .watches
            .chunks()
            .iter()
            .map(|lists| set_watches_frame(self.watched_zxid, lists))
            .collect();
        if let Phase::Live(live) = &mut self.phase {
            live.restoring = frames.len();
        }
        for frame in frames {
            self.send_pending(now, Pending::internal(frame, Work::SetWatches), out);
        }
    }

    fn take_frame(&mut self, now: Time, frame: &Bytes, out: &mut Vec<Output>) {
        let Ok(header) = ReplyHeader::decode(&mut Reader::new(frame)) else {
            return self.drop_link(now, out);
        };
        match header.xid {
            xid::PING => {}
            xid::NOTIFICATION => self.take_event(now, header.zxid, frame, out),
            xid::AUTH => self.take_auth(now, header.err, out),
            _ => self.take_reply(now, header, frame, out),
        }
    }

    fn take_event(&mut self, now: Time, zxid: i64, frame: &Bytes, out: &mut Vec<Output>) {
        let mut r = Reader::new(&frame[REPLY_HEADER_SIZE..]);
        let (Ok(number), Ok(_state), Ok(Some(path))) = (r.int(), r.int(), r.string()) else {
            return self.drop_link(now, out);
        };
        if zxid > 0 {
            self.last_zxid = self.last_zxid.max(zxid);
            self.note_complete(zxid - 1);
        }
        let (event, kind) = match number {
            1 => (EventType::NodeCreated, EventKind::Created),
            2 => (EventType::NodeDeleted, EventKind::Deleted),
            3 => (EventType::NodeDataChanged, EventKind::DataChanged),
            4 => (EventType::NodeChildrenChanged, EventKind::ChildrenChanged),
            // A later server may know more; nobody here waits for it.
            _ => return,
        };
        let shown = self.config.servers.chroot.strip(&path).to_owned();
        for watcher in self.watches.trigger(event, &path) {
            out.push(Output::Event { watcher, event: Event { kind, path: shown.clone(), zxid } });
        }
    }

    /// Everything that watches could tell up to `zxid` has been told.
    fn note_complete(&mut self, zxid: i64) {
        if matches!(&self.phase, Phase::Live(live) if live.restoring == 0) {
            self.watched_zxid = self.watched_zxid.max(zxid);
        }
    }

    fn take_reply(&mut self, now: Time, header: ReplyHeader, frame: &Bytes, out: &mut Vec<Output>) {
        // A server answers in order: anything else means that one of us is lost.
        let sent = match self.in_flight.pop_front() {
            Some(sent) if sent.xid == header.xid => sent,
            Some(sent) => {
                self.in_flight.push_front(sent);
                return self.drop_link(now, out);
            }
            None => return self.drop_link(now, out),
        };
        if header.zxid > 0 {
            self.last_zxid = self.last_zxid.max(header.zxid);
            self.note_complete(header.zxid);
        }
        match &sent.work {
            Work::SetWatches => self.take_restored(now, header.err, out),
            Work::Close => self.end(Error::Closed, out),
            Work::Read(_) | Work::Write | Work::Remove(_) => {
                self.take_answer(now, sent, header.err, frame, out);
            }
        }
    }

    fn take_restored(&mut self, now: Time, err: i32, out: &mut Vec<Output>) {
        let Phase::Live(live) = &mut self.phase else { return };
        if err != 0 {
            return self.drop_link(now, out);
        }
        live.restoring -= 1;
        if live.restoring > 0 {
            return;
        }
        self.note_complete(self.last_zxid);
        for (watcher, path) in self.watches.lasting() {
            let path = self.config.servers.chroot.strip(&path).to_owned();
            let event = Event { kind: EventKind::Resumed, path, zxid: self.last_zxid };
            out.push(Output::Event { watcher, event });
        }
    }

    pub(super) fn send(&mut self, now: Time, link: LinkId, bytes: Vec<u8>, out: &mut Vec<Output>) {
        out.push(Output::Send { link, bytes });
        if matches!(self.phase, Phase::Live(_)) {
            self.arm_ping(now);
        }
    }

    fn arm_ping(&mut self, now: Time) {
        let third = self.timeout / 3;
        let second = Duration::from_secs(1);
        let interval = if third > 2 * second { third - second } else { third };
        self.timers.set(Timer::Ping, now + interval.min(PING_INTERVAL_MAX));
    }

    pub(super) fn ping(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Phase::Live(live) = &self.phase {
            let link = live.link;
            self.send(now, link, frame(xid::PING, OpCode::Ping, |_| ()), out);
        }
    }

    pub(super) fn send_close(&mut self, now: Time, out: &mut Vec<Output>) {
        let frame = frame(0, OpCode::CloseSession, |_| ());
        let mut pending = Pending::internal(frame, Work::Close);
        pending.seq = self.take_seq();
        self.send_pending(now, pending, out);
    }

    /// Gives up the link.
    pub(super) fn drop_link(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(link) = self.link() {
            out.push(Output::Hangup { link });
            self.lose_link(now, out);
        }
    }

    /// The link is gone: settles what was in flight and plans the next dial.
    pub(super) fn lose_link(&mut self, now: Time, out: &mut Vec<Output>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting);
        for timer in [Timer::Handshake, Timer::Silence, Timer::Ping, Timer::Probe] {
            self.timers.clear(timer);
        }
        let lived = match phase {
            Phase::Live(live) if live.closing => return self.end(Error::Closed, out),
            Phase::Live(live) => Some(now.since(live.since)),
            Phase::Waiting | Phase::Dialing(_) | Phase::Handshaking(_) | Phase::Ended(_) => None,
        };
        self.settle_in_flight(out);
        let wait = if lived.is_some_and(|lived| lived >= STABLE_AFTER) {
            self.hosts.note_success();
            Duration::ZERO
        } else {
            self.hosts.note_failure((self.timeout / 6).clamp(BACKOFF_MAX.0, BACKOFF_MAX.1))
        };
        self.timers.set(Timer::Redial, now + wait);
        if lived.is_some() {
            self.become_state(State::Suspended, out);
            if let Some(unheard) = self.config.expire_unheard_after {
                self.timers.set(Timer::Unheard, self.last_heard + unheard);
            }
        }
    }

    pub(super) fn probe(&mut self, now: Time, out: &mut Vec<Output>) {
        let Phase::Live(live) = &mut self.phase else { return };
        live.probe_step += 1;
        out.push(Output::Probe { host: self.hosts.peek(live.probe_step).clone() });
        self.timers.set(Timer::Probe, now + live.probe_wait);
        live.probe_wait = (live.probe_wait * 2).min(PROBE_WAIT.1);
    }

    /// Moves from a read-only server to one that takes writes.
    pub(super) fn probed(
        &mut self,
        now: Time,
        host: &Host,
        read_write: bool,
        out: &mut Vec<Output>,
    ) {
        let moves = matches!(&self.phase, Phase::Live(l) if l.read_only && !l.closing);
        if moves && read_write {
            self.drop_link(now, out);
            self.hosts.prefer(host);
            self.timers.set(Timer::Redial, now);
        }
    }
}

/// A whole frame: length, header and what `body` appends.
pub(super) fn frame(xid: i32, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&[0; 4]);
    put_int(&mut bytes, xid);
    put_int(&mut bytes, op.number());
    body(&mut bytes);
    seal(&mut bytes);
    bytes
}

/// Writes a frame's length into its first four bytes.
pub(super) fn seal(bytes: &mut [u8]) {
    let length = i32::try_from(bytes.len() - 4).expect("frames are bounded far below 2 GiB");
    bytes[..4].copy_from_slice(&length.to_be_bytes());
}

fn set_watches_frame(zxid: i64, lists: &PathLists<'_>) -> Vec<u8> {
    // Servers before 3.6 know only the three kinds that are used up.
    let lasting = lists[3..].iter().any(|list| !list.is_empty());
    let (op, count) = if lasting { (OpCode::SetWatches2, 5) } else { (OpCode::SetWatches, 3) };
    frame(xid::SET_WATCHES, op, |out| {
        put_long(out, zxid);
        for list in &lists[..count] {
            put_int(out, i32::try_from(list.len()).expect("bounded by the text of a chunk"));
            list.iter().for_each(|path| put_string(out, path));
        }
    })
}
