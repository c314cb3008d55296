//! How long each session's client was silent, as the world sees it, and what follows from that.

use crate::client::Phase;
use crate::world::{Act, Step, World};
use base::{ConnectionId, Time};
use check::{Silence, Violation};
use std::time::Duration;

/// When a session was last heard at a member, by its clock. A handshake counts from when it came in, or from when it was
/// settled: the world leaves that to the member.
#[derive(Clone, Copy)]
pub(crate) struct Contact {
    pub(crate) earliest: Time,
    pub(crate) latest: Time,
    pub(crate) timeout: Duration,
}

impl World {
    pub(crate) fn check_expiry(&self, member: usize, session: i64) -> Step {
        self.check_peace(session)?;
        let Some(host) = &self.sites[member].host else { return Ok(()) };
        let Some(contact) = host.contacts.get(&session) else { return Ok(()) };
        let lasted = self.local(member).since(contact.earliest);
        let silence = Silence { lasted, timeout: contact.timeout };
        if check::may_expire(silence) {
            return Ok(());
        }
        Err(Violation::new("session.expiry", format!("{session:#x} was ended after {silence:?}")))
    }

    /// Who leads hears of others' clients now and then, and of some not at all: of those it may end
    /// sessions that are in use. But when all is well, nobody loses a session that is in use: what its client says is with who leads after a
    /// heartbeat, which is less than two ticks.
    fn check_peace(&self, session: i64) -> Step {
        let is_served = |id: u32| {
            let Some(link) = self.links.get(&id).filter(|link| link.server_up) else {
                return false;
            };
            let site = &self.sites[link.member];
            site.serves() && !site.frozen
        };
        let on_the_way = self.options.tick * 2;
        let in_use = |client: &crate::client::Client| {
            let is_open = matches!(client.phase, Phase::Open(link) if is_served(link));
            let silent = self.now.since(client.last_sent);
            // What comes after a long silence may come too late, until who leads has it.
            let was_silent = if silent < on_the_way { client.was_silent } else { Duration::ZERO };
            client.session == session
                && is_open
                && silent.max(was_silent) + on_the_way < client.timeout
        };
        let among_others = self.options.ensemble.is_some();
        if among_others && self.is_settling() && self.clients.iter().any(in_use) {
            return Err(Violation::new("session.peace", format!("{session:#x} was ended")));
        }
        Ok(())
    }

    /// Whether sessions live on that no client has any more. When all is well, each ends in its time:
    /// that begins when it was heard last, or when who leads began to lead; what its members do
    /// takes some ticks, and their clocks differ.
    pub(crate) fn left_behind(&self) -> Result<bool, Violation> {
        let leader = self.core.iter().find(|member| self.sites[**member].leads());
        let Some(site) = leader.map(|leader| &self.sites[*leader]) else { return Ok(false) };
        // Where a leader over Raft begins is not known.
        let is_known = self.options.ensemble.is_some() && !self.options.over_raft();
        let (Some(host), true) = (&site.host, is_known) else {
            return Ok(false);
        };
        let since = self.led_since.max(site.stalled_at).max(self.healed_at);
        let mut some = false;
        for (session, ms) in host.hall.0.borrow().tree.sessions() {
            let session = session.0;
            if self.clients.iter().any(|client| client.session == session && !client.gone) {
                continue;
            }
            let timeout = Duration::from_millis(ms.max(0) as u64);
            let heard = self.heard.get(&session).copied().unwrap_or(Time::ZERO);
            let silence = Silence { lasted: self.now.since(since.max(heard)), timeout };
            let delay = timeout / 10 + self.options.tick * 2 + Duration::from_millis(500);
            if check::has_overslept(silence, self.options.tick, delay) {
                let what = format!("{session:#x} still lives after {silence:?}");
                return Err(Violation::new("session.overslept", what));
            }
            some = true;
        }
        Ok(some)
    }

    /// Closes idle connections, and looks whether sessions have outlived their time.
    pub(crate) fn sweep(&mut self, member: usize) -> Step {
        let now = self.local(member);
        let Some(host) = &self.sites[member].host else { return Ok(()) };
        let idle: Vec<ConnectionId> = host
            .hall
            .0
            .borrow()
            .table
            .connections
            .iter()
            .filter(|(_, c)| c.idle_deadline(Duration::from_secs(10)) <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.close_connection(member, id);
        }
        self.wake_for_inbox(member);
        self.check_silences(member)?;
        self.schedule_act(Duration::from_millis(200), member, Act::Sweep);
        Ok(())
    }

    fn check_silences(&self, member: usize) -> Step {
        let site = &self.sites[member];
        let Some(host) = &site.host else { return Ok(()) };
        let calm = self.now.since(site.stalled_at) > Duration::from_millis(500);
        let among_others = self.options.ensemble.is_some();
        if among_others || host.disk_failed || !calm || host.committing {
            return Ok(());
        }
        for (session, contact) in &host.contacts {
            let lasted = self.local(member).since(contact.latest);
            let silence = Silence { lasted, timeout: contact.timeout };
            let delay = Duration::from_millis(500);
            if check::has_overslept(silence, self.options.tick, delay) {
                let what = format!("{session:#x} still lives after {silence:?}");
                return Err(Violation::new("session.overslept", what));
            }
        }
        Ok(())
    }
}
