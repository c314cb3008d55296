//! The clients' side of the world, and the links: bytes in pieces, late, or never.

use crate::client::{Phase, Seen};
use crate::world::{Event, Link, Step, World};
use base::Time;
use check::{Fate, Op, Violation};
use std::collections::VecDeque;
use std::time::Duration;

impl World {
    /// A client does what is due: connects, asks, pings, gives up on a silent server.
    pub(crate) fn client_wakes(&mut self, index: usize) -> Step {
        let (now, settling) = (self.now, self.is_settling());
        let client = &mut self.clients[index];
        if client.gone {
            return Ok(());
        }
        if now < client.silent_until && !settling {
            let at = client.silent_until;
            self.schedule_at(at, Event::Client { client: index });
            return Ok(());
        }
        let patience = match client.phase {
            Phase::Open(_) => client.timeout * 2 / 3,
            Phase::Connecting(_) | Phase::Away => Duration::from_secs(3),
        };
        let (phase, retired, heard) = (client.phase, client.retired, client.last_heard);
        let reads_alone = client.reads_alone();
        match phase {
            Phase::Away if !retired => self.connect(index),
            Phase::Open(link) | Phase::Connecting(link)
                if now.since(heard) > patience && !self.is_held(link) =>
            {
                self.drop_link(link);
            }
            // There may be a server by now that takes writes.
            Phase::Open(link) if reads_alone && (settling || self.rng.one_in(50)) => {
                self.drop_link(link);
            }
            Phase::Open(link) => self.client_asks(index, link, settling),
            Phase::Connecting(_) | Phase::Away => {}
        }
        let pause = self.around(self.options.think).max(Duration::from_micros(50));
        self.schedule(pause, Event::Client { client: index });
        Ok(())
    }

    fn is_held(&self, link: u32) -> bool {
        self.links.get(&link).is_some_and(|link| link.held_until > self.now)
    }

    fn client_asks(&mut self, index: usize, link: u32, settling: bool) {
        let (now, window) = (self.now, self.options.window as usize);
        let client = &mut self.clients[index];
        if client.closed || client.outstanding.back().is_some_and(|(_, op)| *op == Op::Close) {
            return; // nothing more is read on this connection
        }
        let wants = !client.operates || !client.script.is_empty();
        if client.outstanding.len() < window && !settling && wants {
            // A burst now and then, so that batches form.
            let burst = if self.rng.one_in(4) { self.rng.between(1, window as u64) } else { 1 };
            let mut bytes = Vec::new();
            for _ in 0..burst {
                let op = client.next_op(&mut self.rng);
                let ends = op == Op::Close;
                if matches!(op, Op::Reconfig(_)) {
                    self.changed_at = now;
                }
                let told = self.told.must_see(client, &op);
                bytes.extend(client.send(op, now, told));
                let is_done = client.operates && client.script.is_empty();
                if ends || is_done || client.outstanding.len() >= window {
                    break;
                }
            }
            self.send_to_server(link, bytes);
        } else if now.since(client.last_sent) > client.timeout / 3 {
            let told = self.told.must_see(client, &Op::Ping);
            let ping = client.send(Op::Ping, now, told);
            self.send_to_server(link, ping);
        }
    }

    fn connect(&mut self, index: usize) {
        let id = self.next_link;
        self.next_link += 1;
        let now = self.now;
        let member = self.place_for_a_client();
        self.links.insert(
            id,
            Link {
                client: index,
                member,
                connection: None,
                server_up: true,
                client_up: true,
                to_server: VecDeque::new(),
                to_client: VecDeque::new(),
                to_server_at: now,
                to_client_at: now,
                in_flight: 0,
                held_until: Time::ZERO,
            },
        );
        self.reached.reconnects += u64::from(self.clients[index].session != 0);
        self.schedule(Duration::from_micros(30), Event::Accept { link: id });
        if let Some(link) = self.links.get_mut(&id) {
            link.to_server_at = now + Duration::from_micros(31);
        }
        let told = self.told.must_see(&self.clients[index], &Op::Ping);
        let logged = self.ledger.logged();
        let bytes = self.clients[index].connect(id, now, &mut self.rng, (told, logged));
        let alone = self.options.ensemble.is_none();
        if alone && self.sites[member].host.as_ref().is_some_and(|host| host.disk_failed) {
            self.clients[index].disk_failed();
        }
        self.send_to_server(id, bytes);
    }

    /// The member that a client tries next.
    fn place_for_a_client(&mut self) -> usize {
        let places = self.required();
        if places.len() == 1 { places[0] } else { *self.rng.pick(&places) }
    }

    /// Whether nobody asks for anything more.
    pub(crate) fn is_settling(&self) -> bool {
        self.settle_by != Time(u64::MAX)
    }

    fn send_to_server(&mut self, id: u32, bytes: Vec<u8>) {
        for piece in self.pieces(bytes) {
            let delay = self.latency();
            let Some(link) = self.links.get_mut(&id) else { return };
            let at = (self.now + delay).max(link.to_server_at);
            link.to_server_at = at;
            link.to_server.push_back(piece);
            self.schedule_at(at, Event::ToServer { link: id });
        }
    }

    pub(crate) fn send_to_client(&mut self, id: u32, bytes: Vec<u8>) {
        self.note("out", u64::from(id), 0, &bytes);
        for piece in self.pieces(bytes) {
            let delay = self.latency();
            let Some(link) = self.links.get_mut(&id) else { return };
            let at = (self.now + delay).max(link.to_client_at).max(link.held_until);
            link.to_client_at = at;
            link.in_flight += piece.len();
            link.to_client.push_back(piece);
            self.schedule_at(at, Event::ToClient { link: id });
        }
    }

    fn latency(&mut self) -> Duration {
        let high = *self.rng.pick(&[50, 50, 200, 3000]);
        self.between(Duration::from_micros(10), Duration::from_micros(high))
    }

    /// Mostly whole, at times in pieces of any size.
    fn pieces(&mut self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        if bytes.len() < 2 || !self.rng.one_in(4) {
            return vec![bytes];
        }
        let cut = self.rng.between(1, bytes.len() as u64 - 1) as usize;
        let mut rest = bytes;
        let behind = rest.split_off(cut);
        vec![rest, behind]
    }

    pub(crate) fn at_client(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if self.now < link.held_until && link.client_up {
            let at = link.held_until;
            self.schedule_at(at, Event::ToClient { link: id });
            return Ok(());
        }
        let bytes = link.to_client.pop_front().unwrap_or_default();
        link.in_flight -= bytes.len();
        let (index, up, connection) = (link.client, link.client_up, link.connection);
        let member = link.member;
        if up && self.clients[index].link() == Some(id) {
            for seen in self.clients[index].receive(&bytes, self.now)? {
                self.client_saw(index, member, seen)?;
            }
        }
        // There is room again for what the server has for it.
        match connection {
            Some(connection) => self.serve(member, connection),
            None => Ok(()),
        }
    }

    fn client_saw(&mut self, index: usize, member: usize, seen: Seen) -> Step {
        let settling = self.is_settling();
        let client = &mut self.clients[index];
        match seen {
            Seen::Opened { renewed, reads_alone } => {
                self.reached.renewals += u64::from(renewed);
                self.reached.sessions += u64::from(!renewed);
                self.reached.read_only_sessions += u64::from(reads_alone);
            }
            Seen::Refused => {
                let session = client.session;
                client.forget_session();
                self.reached.refusals += 1;
                if session != 0 && !self.ended.contains(&session) && self.knows(member, session) {
                    let what = format!("{session:#x} was refused, but never ended");
                    return Err(Violation::new("session.refused", what));
                }
            }
            // That one may know what nobody else will.
            Seen::Told { .. } if client.reads_alone() => {}
            Seen::Told { zxid, linearizable } => {
                self.told.hear(&self.ledger, zxid);
                self.reached.linearizable_reads += u64::from(linearizable);
            }
            Seen::Closed => {
                client.closed = true;
                client.retired = settling;
            }
            Seen::Nothing => {}
        }
        Ok(())
    }

    /// Whether the member has seen the beginning of the session, which is decided.
    fn knows(&self, member: usize, session: i64) -> bool {
        let host = self.sites[member].host.as_ref();
        let opened = self.ledger.opened(session).filter(|opened| self.ledger.is_known(*opened));
        host.is_some_and(|host| opened.is_some_and(|opened| opened <= host.last()))
    }

    /// The client hears that its link is gone.
    pub(crate) fn client_lost(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.held_until > self.now && link.client_up {
            let at = link.held_until + Duration::from_micros(1);
            self.schedule_at(at, Event::ClientLost { link: id });
            return Ok(());
        }
        link.client_up = false;
        let index = link.client;
        if self.clients[index].link() == Some(id) {
            self.clients[index].disconnected(Fate::Broken);
        }
        Ok(())
    }

    /// The client's end goes away: the server learns of it later, or not at all for a while.
    pub(crate) fn drop_link(&mut self, id: u32) {
        self.note("drop", u64::from(id), 0, &[]);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.client_up = false;
        let index = link.client;
        let sent = link.to_server_at.max(self.now);
        if self.clients[index].link() == Some(id) {
            self.clients[index].disconnected(Fate::Broken);
        }
        let delay = if self.rng.one_in(4) { 800 } else { 1 };
        let delay = self.around(Duration::from_millis(delay));
        // What is on its way arrives before its end does.
        self.schedule_at(sent + delay, Event::ServerLost { link: id });
    }
}
