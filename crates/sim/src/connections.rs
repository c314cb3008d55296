//! The connections of a member's clients: what the server's tasks for them do.

use crate::hall::Served;
use crate::world::{Event, Step, World};
use base::{ConnectionId, SessionId};
use keeper::{Ask, Connection, Desk, Frame, Frames, Ids, Origin};
use std::time::Duration;

/// The server's end of a link.
pub(crate) struct Wire {
    link: u32,
    frames: Frames,
    input: Vec<u8>,
    /// Whether a session was seen to be open on it.
    pub(crate) opened: bool,
}

/// What a connection's task did.
struct Turn {
    link: u32,
    output: Vec<u8>,
    ends: bool,
    again: bool,
    /// The session that was heard.
    heard: Option<i64>,
}

impl World {
    pub(crate) fn accept(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let site = &mut self.sites[link.member];
        let now = site.clock.local(self.now);
        let Some(host) = &mut site.host else {
            link.server_up = false;
            self.schedule(Duration::from_millis(1), Event::ClientLost { link: id });
            return Ok(());
        };
        host.generation += 1;
        let slot = host.generation % 64;
        let connection = ConnectionId { slot, generation: host.generation };
        link.connection = Some(connection);
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 1000));
        let fresh = Connection::new(connection, remote, now, &site.keeper_config);
        host.hall.0.borrow_mut().table.connections.insert(connection, fresh);
        let frames = Frames::new(site.keeper_config.frame_size_max);
        host.wires.insert(connection, Wire { link: id, frames, input: Vec::new(), opened: false });
        Ok(())
    }

    pub(crate) fn at_server(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let bytes = link.to_server.pop_front().unwrap_or_default();
        if !link.server_up {
            return Ok(());
        }
        let member = link.member;
        let (Some(connection), Some(host)) = (link.connection, &mut self.sites[member].host) else {
            return Ok(());
        };
        let Some(wire) = host.wires.get_mut(&connection) else { return Ok(()) };
        wire.input.extend_from_slice(&bytes);
        self.note("in", u64::from(id), 0, &bytes);
        self.serve(member, connection)
    }

    /// A connection's own task: sends what there is, goes on with reads, takes frames.
    pub(crate) fn serve(&mut self, member: usize, id: ConnectionId) -> Step {
        while let Some(turn) = self.turn(member, id) {
            self.check_gate(member)?;
            self.heard.extend(turn.heard.map(|session| (session, self.now)));
            if !turn.output.is_empty() {
                self.send_to_client(turn.link, turn.output);
            }
            self.wake_for_inbox(member);
            if turn.ends {
                self.close_connection(member, id);
            }
            if !turn.again {
                break;
            }
        }
        Ok(())
    }

    fn turn(&mut self, member: usize, id: ConnectionId) -> Option<Turn> {
        let site = &mut self.sites[member];
        let now = site.clock.local(self.now);
        let host = site.host.as_mut()?;
        let wire = host.wires.get_mut(&id)?;
        let room = self.links.get(&wire.link).is_some_and(|l| l.in_flight < SOCKET_BYTES);
        let config = &site.keeper_config;
        let Served { tree, watches, table } = &mut *host.hall.0.borrow_mut();
        let connection = table.connections.get_mut(&id)?;
        let mut output = Vec::new();
        if room {
            connection.take_output(&mut output);
        }
        let mut desk = Desk { now, config, tree, watches, submissions: &mut host.inbox };
        connection.resume(&mut desk);
        let mut broken = false;
        let mut heard = None;
        let mut took = 0;
        while connection.wants_more() && !broken {
            match wire.frames.next(&wire.input[took..], |_| false) {
                Ok(Frame::Payload(range)) => {
                    let frame = took + range.start..took + range.end;
                    connection.receive(&wire.input[frame.clone()], &mut desk);
                    took = frame.end;
                    if connection.is_open() {
                        heard = Some(connection.session().0);
                        let contact = host.contacts.get_mut(&connection.session().0);
                        contact.into_iter().for_each(|contact| {
                            (contact.earliest, contact.latest) = (now, now);
                        });
                    }
                }
                Ok(Frame::Incomplete { .. } | Frame::Word(_)) => break,
                Err(_) => broken = true,
            }
        }
        wire.input.drain(..took);
        let again = room && connection.has_output();
        let ends = broken || (connection.is_closed() && !connection.has_output());
        Some(Turn { link: wire.link, output, ends, again, heard })
    }

    /// The server's end of a connection goes away: both sides learn of it.
    pub(crate) fn close_connection(&mut self, member: usize, id: ConnectionId) {
        let Some(link) = self.forget_connection(member, id) else { return };
        self.note("close", u64::from(link), 0, &[]);
        if let Some(found) = self.links.get_mut(&link) {
            found.server_up = false;
            let at = found.to_client_at.max(self.now) + Duration::from_micros(100);
            self.schedule_at(at, Event::ClientLost { link });
        }
    }

    fn forget_connection(&mut self, member: usize, id: ConnectionId) -> Option<u32> {
        let site = &mut self.sites[member];
        let arrived = site.clock.local(self.now);
        let host = site.host.as_mut()?;
        let wire = host.wires.remove(&id)?;
        let served = &mut *host.hall.0.borrow_mut();
        served.watches.remove_connection(id);
        let connection = served.table.connections.remove(&id)?;
        let (session, last_heard) = (connection.session(), connection.last_heard());
        if session != SessionId::NONE {
            let ids = Ids::default();
            let origin = Origin { connection: id, session, xid: 0, ids: &ids, arrived };
            host.inbox.ask(origin, Ask::Detach { last_heard });
        }
        Some(wire.link)
    }

    pub(crate) fn server_lost(&mut self, id: u32) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.server_up = false;
        let member = link.member;
        if let Some(connection) = link.connection {
            self.forget_connection(member, connection);
            self.wake_for_inbox(member);
        }
        Ok(())
    }
}

/// What a socket takes before its sender has to wait.
const SOCKET_BYTES: usize = 16 * 1024;
