//! How long each session's client was silent, as the world sees it, and what follows from that.

use crate::world::{Event, Step, World};
use base::{ConnectionId, Time};
use check::{Silence, Violation};
use std::time::Duration;

/// When a session was last heard. A handshake counts from when it came in, or from when it was
/// settled: the world leaves that to the member.
#[derive(Clone, Copy)]
pub(crate) struct Contact {
    pub(crate) earliest: Time,
    pub(crate) latest: Time,
    pub(crate) timeout: Duration,
}

impl World {
    pub(crate) fn check_expiry(&self, session: i64) -> Step {
        let Some(host) = &self.host else { return Ok(()) };
        let Some(contact) = host.contacts.get(&session) else { return Ok(()) };
        let lasted = self.now.since(contact.earliest);
        let silence = Silence { lasted, timeout: contact.timeout };
        if check::may_expire(silence) {
            return Ok(());
        }
        Err(Violation::new("session.expiry", format!("{session:#x} was ended after {silence:?}")))
    }

    /// Closes idle connections, and looks whether sessions have outlived their time.
    pub(crate) fn sweep(&mut self) -> Step {
        let Some(host) = &self.host else { return Ok(()) };
        let idle: Vec<ConnectionId> = host
            .hall
            .0
            .borrow()
            .table
            .connections
            .iter()
            .filter(|(_, c)| c.idle_deadline(Duration::from_secs(10)) <= self.now)
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.close_connection(id);
        }
        self.wake_for_inbox();
        self.check_silences()?;
        self.schedule(Duration::from_millis(200), Event::Sweep { start: self.start });
        Ok(())
    }

    pub(crate) fn check_silences(&self) -> Step {
        let Some(host) = &self.host else { return Ok(()) };
        let calm = self.now.since(self.stalled_at) > Duration::from_millis(500);
        if host.disk_failed || !calm || host.committing {
            return Ok(());
        }
        for (session, contact) in &host.contacts {
            let lasted = self.now.since(contact.latest);
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
