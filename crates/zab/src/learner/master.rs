//! A follower that serves observers, so that the leader need not.
//!
//! In: observers' packets, and what the leader decides and answers. Out: this member's history, then
//! each entry when it is decided (INFORM); letters to the leader, and its answers to whoever
//! asked. Invariants: an observer is told of nothing that is not decided, in order and without a gap;
//! one that knows of more than this member waits until this one has it, and is never cut.
//! Source: the reference's `ObserverMaster`, `LearnerHandler` and `Follower`. Deviation: what an
//! observer lacks comes from the history, in one step; there is no queue beside it.

mod join;
mod relay;

use crate::OBSERVERS;
use crate::core::{Core, tell};
use crate::leader::LISTEN_RETRY;
use crate::leader::peers::{Learner, Learners, Stage};
use base::{Lsn, NodeId, Time};
use broadcast::{LinkId, Output};
use bytes::Bytes;
use relay::Asked;
use std::collections::BTreeMap;
use std::time::Duration;
use trace::Ensemble as Event;
use wire::quorum::{PacketKind, packet_len, put_packet};

/// The observers of a follower that serves.
#[derive(Clone, Debug, Hash)]
pub(crate) struct ObserverMaster {
    /// The epoch that this member has of its leader.
    epoch: i64,
    /// The link to the leader.
    leader: LinkId,
    observers: Learners,
    tick_at: Time,
    listen_at: Option<Time>,
    asked: Asked,
    /// Sessions that observers have heard of, with their time-outs in ms, since the leader was
    /// last told.
    touched: BTreeMap<i64, i32>,
}

impl ObserverMaster {
    /// Opens the port for observers, if this member is to have one.
    pub(super) fn begin(
        core: &Core,
        (epoch, leader): (i64, LinkId),
        now: Time,
        out: &mut Vec<Output>,
    ) -> Option<ObserverMaster> {
        core.observer_port?;
        let mut master = ObserverMaster {
            epoch,
            leader,
            observers: Learners::new(),
            tick_at: now + core.limits.tick / 2,
            listen_at: None,
            asked: Asked::default(),
            touched: BTreeMap::new(),
        };
        master.listen(core, out);
        Some(master)
    }

    fn listen(&mut self, core: &Core, out: &mut Vec<Output>) {
        self.listen_at = None;
        if let Some(addresses) = core.observer_addresses(core.me) {
            let addresses = core.listen_addresses(&addresses);
            out.push(Output::Listen { channel: OBSERVERS, addresses });
        }
    }

    /// The port could not be opened: it is tried again.
    pub(crate) fn listen_failed(&mut self, reason: String, now: Time, out: &mut Vec<Output>) {
        tell(Event::ListenFailed { port: "observer master", reason }, out);
        self.listen_at = Some(now + LISTEN_RETRY);
    }

    /// Whether the link is one of an observer.
    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.observers.contains_key(&link)
    }

    /// Observers that serve.
    pub(crate) fn active(&self) -> Vec<NodeId> {
        let active = |observer: &&Learner| observer.stage == Stage::Active;
        self.observers.values().filter(active).map(|observer| observer.node).collect()
    }

    /// Leaves all observers.
    pub(super) fn end(&self, out: &mut Vec<Output>) {
        out.push(Output::Unlisten { channel: OBSERVERS });
        out.extend(self.observers.keys().map(|&link| Output::Close { link }));
    }

    /// An observer's connection is there.
    pub(crate) fn link_up(&mut self, link: LinkId, now: Time, out: &mut Vec<Output>) {
        if self.observers.len() >= OBSERVERS_MAX {
            return out.push(Output::Close { link });
        }
        self.observers.insert(link, Learner::new(now));
    }

    /// An observer's connection is gone.
    pub(crate) fn link_down(&mut self, link: LinkId, reason: String, out: &mut Vec<Output>) {
        let Some(observer) = self.observers.remove(&link) else { return };
        let event = if observer.stage == Stage::Nameless {
            Event::LinkRefused { link: link.0, peer: None, reason }
        } else {
            Event::LearnerLost { learner: observer.node, reason }
        };
        tell(event, out);
    }

    /// Closes an observer's connection.
    fn close(&mut self, link: LinkId, reason: String, out: &mut Vec<Output>) {
        if self.has(link) {
            out.push(Output::Close { link });
            self.link_down(link, reason, out);
        }
    }

    /// Bytes came from an observer.
    pub(crate) fn received(
        &mut self,
        core: &Core,
        link: LinkId,
        bytes: Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let Some(observer) = self.observers.get_mut(&link) else { return };
        observer.heard = now;
        observer.inbound.push(bytes);
        let limit = core.limits.packet_size_max;
        while let Some(observer) = self.observers.get_mut(&link) {
            let taken = match observer.inbound.next(|bytes| packet_len(bytes, limit)) {
                Ok(Some(frame)) => self.packet(core, link, &frame, now, out),
                Ok(None) => return,
                Err(error) => Err(format!("its packet: {error}")),
            };
            if let Err(reason) = taken {
                self.close(link, reason, out);
            }
        }
    }

    /// When it wants to be asked again.
    pub(super) fn deadline(&self) -> Time {
        self.listen_at.map_or(self.tick_at, |listen| self.tick_at.min(listen))
    }

    /// Time has passed.
    pub(super) fn expired(&mut self, core: &Core, now: Time, out: &mut Vec<Output>) {
        if self.listen_at.is_some_and(|at| at <= now) {
            self.listen(core, out);
        }
        if self.tick_at > now {
            return;
        }
        self.tick_at = now + core.limits.tick / 2;
        let mut frame = Vec::new();
        put_packet(&mut frame, PacketKind::Ping, core.history.committed().0, None);
        self.send_all(frame, out);
        self.drop_silent(core, now, out);
        self.synchronize_all(core, out);
    }

    fn drop_silent(&mut self, core: &Core, now: Time, out: &mut Vec<Output>) {
        let limits = &core.limits;
        let silent: Vec<(LinkId, Duration)> = (self.observers.iter())
            .map(|(link, observer)| (*link, observer.stage, now.since(observer.heard)))
            .filter(|(_, stage, silence)| {
                let joined = *stage == Stage::Active;
                *silence > if joined { limits.sync_time() } else { limits.init_time() }
            })
            .map(|(link, _, silence)| (link, silence))
            .collect();
        for (link, silence) in silent {
            let reason = format!("it was not heard for {} ms", silence.as_millis());
            self.close(link, reason, out);
        }
    }

    /// Sends to all observers that have this member's history.
    fn send_all(&self, frame: Vec<u8>, out: &mut Vec<Output>) {
        let frame = Bytes::from(frame);
        for (&link, observer) in &self.observers {
            if observer.is_forwarded() {
                out.push(Output::Send { link, frame: frame.clone(), after: Lsn::ZERO });
            }
        }
    }
}

/// Links of observers, and of those that want to be.
const OBSERVERS_MAX: usize = 1024;
