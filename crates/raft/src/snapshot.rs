//! States in place of log: sent to who is too far behind, and taken in place of one's own.
//!
//! Before a state comes it is written where the log will begin with it; that is in force once the
//! state is on the disk. So a crash leaves either the old log or the whole new state. While one
//! comes in, this member logs nothing and does not stand for election; it says at each heartbeat
//! interval that it is there, so that its leader does not take it for lost.
//! Source: dissertation, chapter 5.

use crate::configuration::Configuration;
use crate::core::Timer;
use crate::engine::{Raft, Role};
use crate::follower::Bad;
use crate::frames::Message;
use crate::log::Log;
use base::{Time, Zxid};
use broadcast::{LinkId, Output, View};
use bytes::Bytes;
use std::sync::Arc;

/// A state on its way in.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Fetching {
    link: LinkId,
    index: u64,
    term: u64,
    at: Zxid,
    configuration: Arc<Configuration>,
    /// When something of it came last.
    heard: Time,
    /// It is there, and on its way to the disk.
    is_complete: bool,
}

impl Fetching {
    /// Where it comes from.
    pub(crate) fn link(&self) -> LinkId {
        self.link
    }
}

/// What a state is.
pub(crate) struct Snapshot {
    /// The history that it is of, as [`crate::Durable::history`]; 1 of one that began with nothing.
    pub(crate) history: u64,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) at: Zxid,
    pub(crate) configuration: Configuration,
}

impl Raft {
    /// What follows on the link is a state.
    ///
    /// # Errors
    /// If it is not needed: the link cannot go on without it.
    pub(crate) fn fetch(
        &mut self,
        link: LinkId,
        snapshot: Snapshot,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Bad> {
        let core = &mut self.core;
        let Snapshot { history, index, term, at, configuration } = snapshot;
        if core.fetching.is_some() {
            return Err("another state is on its way".to_owned());
        }
        let holds = core.log.term(index) == Some(term);
        if index <= core.log.committed() || holds {
            if holds && index > core.log.committed() {
                core.log.commit(index);
                core.log.deliver(&core.journal, out);
            }
            return Err(format!("the state at {index} is not needed"));
        }
        core.join(history, out);
        Log::announce((index, term, at), &configuration, &mut core.journal, out);
        let configuration = Arc::new(configuration);
        let (heard, is_complete) = (now, false);
        let fetching = Fetching { link, index, term, at, configuration, heard, is_complete };
        core.fetching = Some(fetching);
        core.say(View::Apart, out);
        if let Role::Follower(follower) = &mut self.role {
            follower.forget_letters();
        }
        let core = &mut self.core;
        core.timers.clear(Timer::Election);
        core.timers.set(Timer::Fetch, now + core.config.limits.heartbeat);
        core.links.flush(link, out);
        let rest = core.links.take_rest(link);
        out.push(Output::FetchSnapshot { link, at, rest });
        Ok(())
    }

    /// More of it came.
    pub(crate) fn fetch_goes_on(&mut self, link: LinkId, now: Time) {
        if let Some(fetching) = self.core.fetching.as_mut().filter(|f| f.link == link) {
            fetching.heard = now;
        }
    }

    /// Says that this member is there; gives up a state that stands still.
    pub(crate) fn fetch_due(&mut self, now: Time, out: &mut Vec<Output>) {
        let core = &mut self.core;
        let Some(fetching) = &core.fetching else { return };
        let (link, limits) = (fetching.link, core.config.limits);
        if !fetching.is_complete && now.since(fetching.heard) >= limits.snapshot_patience {
            return self.refuse(link, "the state on its way stands still".to_owned(), now, out);
        }
        core.timers.set(Timer::Fetch, now + limits.heartbeat);
        let is_leaders = matches!(&self.role,
            Role::Follower(follower) if follower.leader.is_some_and(|(_, on)| on == link));
        if is_leaders {
            let message = Message::HeartbeatResponse { term: core.term, round: 0 };
            core.links.send(link, &message, core.hard, out);
        }
    }

    /// It is there, and replaces this member's whatever becomes of the link.
    pub(crate) fn snapshot_received(&mut self, link: LinkId) {
        if let Some(fetching) = self.core.fetching.as_mut().filter(|f| f.link == link) {
            fetching.is_complete = true;
        }
    }

    /// It is on the disk.
    pub(crate) fn snapshot_installed(
        &mut self,
        link: LinkId,
        rest: Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let core = &mut self.core;
        let Some(fetching) = core.fetching.take_if(|f| f.link == link) else { return };
        let Fetching { index, term, at, configuration, .. } = fetching;
        core.log.restart((index, term, at), configuration);
        core.timers.clear(Timer::Fetch);
        core.reset_election(now);
        if let Role::Follower(follower) = &mut self.role
            && follower.installed(link)
        {
            core.matched = index;
        }
        self.received(link, rest, now, out);
    }

    /// There is none, and this member's own is what it was; or it is in place of that, and could not
    /// be stored.
    pub(crate) fn snapshot_refused(
        &mut self,
        link: LinkId,
        reason: String,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let Some(fetching) = self.core.fetching.as_ref().filter(|f| f.link == link) else { return };
        if fetching.is_complete {
            let reason = format!(
                "the state that came could not be stored: {reason}. Mend the disk, and start again"
            );
            return out.push(Output::Fatal { reason });
        }
        self.fetch_ends(now);
        self.refuse(link, reason, now, out);
    }

    /// A link is gone, and with it the rest of what came over it.
    pub(crate) fn fetch_lost(&mut self, link: LinkId, now: Time) {
        let fetching = self.core.fetching.as_ref();
        if fetching.is_some_and(|f| f.link == link && !f.is_complete) {
            self.fetch_ends(now);
        }
    }

    fn fetch_ends(&mut self, now: Time) {
        self.core.fetching = None;
        self.core.timers.clear(Timer::Fetch);
        self.core.reset_election(now);
    }
}
