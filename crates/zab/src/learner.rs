//! A member that follows: its way to the leader's history, and then entry by entry.
//!
//! In: the leader's packets. Invariants: the promise is on the disk before it is told; the whole
//! initial history, then its epoch, are on the disk before NEWLEADER is acknowledged; that
//! acknowledgement leaves before that of any proposal; nothing is delivered before the leader is
//! established, unless it was decided before.
//! Source: the reference's `Learner` and `Follower`. Deviation: what a leader says is decided
//! before it has a quorum is delivered only when it has (UPTODATE).

mod active;
mod join;
pub(crate) mod master;
mod queue;

use crate::core::Core;
use crate::ensemble::sid;
use crate::{OBSERVERS, QUORUM};
use base::{Lsn, NodeId, Time, Zxid};
use broadcast::Inbound;
use broadcast::{LinkId, Output};
use bytes::Bytes;
use jute::{Decode, Encode, Reader};
use master::ObserverMaster;
use queue::Queue;
use std::collections::VecDeque;
use std::time::Duration;
use trace::SyncMethod;
use wire::quorum::{
    Activation, LearnerInfo, Packet, PacketKind, Role, packet_len, put_packet, put_packet_with_data,
};

/// Following a leader.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Learning {
    pub(crate) leader: NodeId,
    /// Whom it learns from: the leader, or an observer a follower that serves observers.
    pub(crate) master: NodeId,
    /// Whom it calls next if that one cannot be reached.
    masters: VecDeque<NodeId>,
    link: LinkId,
    stage: Stage,
    inbound: Inbound,
    /// When this member began to follow.
    began: Time,
    /// When the leader was last heard, or a stage was entered.
    heard: Time,
    /// Time before the next trial to connect.
    retry: Duration,
    epoch: i64,
    method: SyncMethod,
    queue: Queue,
    /// The configuration that came with NEWLEADER.
    configuration: Option<wire::quorum::Membership>,
    /// What is behind this place is acknowledged entry by entry.
    acknowledged: Zxid,
    /// The zxids of pings that are not answered yet.
    pings: VecDeque<i64>,
    /// Why the link is gone, when that had to wait.
    lost: Option<Lost>,
    /// The observers that it serves in turn.
    pub(crate) observers: Option<Box<ObserverMaster>>,
}

/// How far a learner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The leader is being called.
    Dialling,
    /// It could not be reached; it is called again then.
    Pausing(Time),
    /// This member has said who it is.
    Registered,
    /// It has answered the new epoch.
    Promised,
    /// The difference comes in.
    Syncing,
    /// The state comes in.
    Fetching,
    /// It is there, and on its way to the disk: nothing may be done before it is.
    Storing,
    /// The state goes back to an earlier place.
    Resetting,
    /// The history and its epoch are in the log.
    Installed,
    /// It serves.
    Active,
}

/// Why a member follows no more.
pub(crate) type Lost = String;

impl Learning {
    /// Calls the leader.
    pub(crate) fn begin(
        core: &mut Core,
        leader: NodeId,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<Learning, Lost> {
        let mut learning = Learning {
            leader,
            master: leader,
            masters: core.masters(leader),
            link: LinkId(0),
            stage: Stage::Dialling,
            inbound: Inbound::default(),
            began: now,
            heard: now,
            retry: RETRY_FIRST,
            epoch: 0,
            method: SyncMethod::Diff,
            queue: Queue::default(),
            configuration: None,
            acknowledged: Zxid::ZERO,
            pings: VecDeque::new(),
            lost: None,
            observers: None,
        };
        if core.setbacks == 0 {
            learning.call(core, out)?;
        } else {
            // Who is turned away again and again does not call without a pause.
            let doubled = RETRY_FIRST * 2_u32.saturating_pow(core.setbacks.min(16));
            learning.stage = Stage::Pausing(now + doubled.min(core.limits.connect_retry));
        }
        core.setbacks = core.setbacks.saturating_add(1);
        Ok(learning)
    }

    /// Whether the link is the one to the leader.
    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.link == link
    }

    /// Whether this member serves.
    pub(crate) fn is_active(&self) -> bool {
        self.stage == Stage::Active
    }

    /// How its history was brought to the leader's; `None` before that is known.
    pub(crate) fn method(&self) -> Option<SyncMethod> {
        match self.stage {
            Stage::Dialling | Stage::Pausing(_) | Stage::Registered | Stage::Promised => None,
            Stage::Syncing
            | Stage::Fetching
            | Stage::Storing
            | Stage::Resetting
            | Stage::Installed
            | Stage::Active => Some(self.method),
        }
    }

    /// Whether the state is being replaced: this role does not end before it is what the history
    /// says.
    fn is_between_states(&self) -> bool {
        matches!(self.stage, Stage::Storing | Stage::Resetting)
    }

    /// Leaves the leader.
    pub(crate) fn end(&self, out: &mut Vec<Output>) {
        if !matches!(self.stage, Stage::Pausing(_)) {
            out.push(Output::Close { link: self.link });
        }
        if let Some(observers) = &self.observers {
            observers.end(out);
        }
    }

    /// An observer's connection is there.
    pub(crate) fn observer_came(&mut self, link: LinkId, now: Time, out: &mut Vec<Output>) {
        match &mut self.observers {
            Some(observers) => observers.link_up(link, now, out),
            None => out.push(Output::Close { link }), // of a role that is over
        }
    }

    /// Something happened to the observers that this member serves, if it serves any.
    pub(crate) fn with_observers(&mut self, act: impl FnOnce(&mut ObserverMaster)) {
        if let Some(observers) = &mut self.observers {
            act(observers);
        }
    }

    /// When it wants to be asked again.
    pub(crate) fn deadline(&self, core: &Core) -> Time {
        let own = self.own_deadline(core);
        self.observers.as_ref().map_or(own, |observers| own.min(observers.deadline()))
    }

    fn own_deadline(&self, core: &Core) -> Time {
        match self.stage {
            Stage::Pausing(until) => until,
            Stage::Dialling | Stage::Registered => self.heard + core.limits.gather_time(),
            Stage::Promised
            | Stage::Syncing
            | Stage::Fetching
            | Stage::Storing
            | Stage::Resetting => self.heard + core.limits.init_time(),
            Stage::Installed | Stage::Active => self.heard + core.limits.sync_time(),
        }
    }

    /// Time has passed.
    pub(crate) fn expired(
        &mut self,
        core: &mut Core,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if let Some(observers) = &mut self.observers {
            observers.expired(core, now, out);
        }
        if self.own_deadline(core) > now {
            return Ok(());
        }
        if let Stage::Pausing(_) = self.stage {
            return self.call(core, out);
        }
        if self.is_between_states() {
            self.heard = now; // our own disk is what is slow
            return Ok(());
        }
        let ms = now.since(self.heard).as_millis();
        Err(format!("nothing was heard of the leader for {ms} ms"))
    }

    /// Calls the leader, or the next follower that may serve this observer.
    fn call(&mut self, core: &mut Core, out: &mut Vec<Output>) -> Result<(), Lost> {
        if self.masters.is_empty() {
            self.masters = core.masters(self.leader);
        }
        self.master = self.masters.pop_front().unwrap_or(self.leader);
        let (channel, addresses) = match self.master == self.leader {
            true => (QUORUM, core.ensemble.quorum_addresses(self.leader)),
            false => (OBSERVERS, core.observer_addresses(self.master)),
        };
        let addresses = addresses.ok_or("its address is not known")?;
        self.link = core.next_link();
        self.stage = Stage::Dialling;
        out.push(Output::Dial { link: self.link, channel, addresses });
        Ok(())
    }

    /// The link is gone, or could not be made.
    pub(crate) fn link_down(
        &mut self,
        core: &mut Core,
        reason: String,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if self.is_between_states() {
            self.lost = Some(reason);
            return Ok(());
        }
        if self.stage == Stage::Dialling && !self.masters.is_empty() {
            self.heard = now;
            return self.call(core, out);
        }
        if self.stage != Stage::Dialling || now.since(self.began) > DIAL_MAX {
            return Err(reason);
        }
        self.stage = Stage::Pausing(now + self.retry);
        self.retry = (self.retry * 2).min(core.limits.connect_retry);
        Ok(())
    }

    /// The link is there: says who this member is.
    pub(crate) fn link_up(&mut self, core: &Core, now: Time, out: &mut Vec<Output>) {
        self.stage = Stage::Registered;
        self.heard = now;
        let kind =
            if is_observer(core) { PacketKind::ObserverInfo } else { PacketKind::FollowerInfo };
        let version = core.ensemble.committed.version();
        let info = LearnerInfo::new(sid(core.me), version);
        let mut frame = Vec::new();
        let zxid = crate::core::epoch_start(core.accepted_epoch).0;
        put_packet_with_data(&mut frame, kind, zxid, |data| info.encode(data));
        // What it says of itself is on the disk.
        self.send(frame, core.history.lsn(), out);
    }

    fn send(&self, frame: Vec<u8>, after: Lsn, out: &mut Vec<Output>) {
        out.push(Output::Send { link: self.link, frame: Bytes::from(frame), after });
    }

    /// Bytes came from the leader.
    pub(crate) fn received(
        &mut self,
        core: &mut Core,
        bytes: Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        self.heard = now;
        self.inbound.push(bytes);
        self.read_on(core, out)
    }

    /// Takes what came, as far as it may be taken now.
    fn read_on(&mut self, core: &mut Core, out: &mut Vec<Output>) -> Result<(), Lost> {
        let limit = core.limits.packet_size_max;
        while !matches!(self.stage, Stage::Fetching | Stage::Storing | Stage::Resetting) {
            let frame = self.inbound.next(|bytes| packet_len(bytes, limit));
            let frame = frame.map_err(|error| format!("the leader's packet: {error}"))?;
            let Some(frame) = frame else { break };
            self.packet(core, &frame, out)?;
        }
        Ok(())
    }

    fn packet(
        &mut self,
        core: &mut Core,
        frame: &Bytes,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let packet = Packet::decode(frame).map_err(|error| format!("its packet: {error}"))?;
        let Some(kind) = packet.kind() else { return Ok(()) }; // from a later release
        match self.stage {
            Stage::Registered => self.leader_info(core, kind, &packet, out),
            Stage::Promised => self.sync_choice(core, kind, &packet, out),
            Stage::Syncing | Stage::Installed => self.syncing(core, kind, frame, &packet, out),
            Stage::Active => self.active(core, kind, frame, &packet, out),
            Stage::Dialling
            | Stage::Pausing(_)
            | Stage::Fetching
            | Stage::Storing
            | Stage::Resetting => Ok(()),
        }
    }

    /// The service's answer to a ping.
    pub(crate) fn heartbeat(&mut self, letter: &[u8], out: &mut Vec<Output>) {
        let Some(zxid) = self.pings.pop_front() else { return };
        let mut letter = letter.to_vec();
        if let Some(observers) = &mut self.observers {
            observers.touches(&mut letter);
        }
        let mut frame = Vec::new();
        put_packet(&mut frame, PacketKind::Ping, zxid, Some(&letter));
        self.send(frame, Lsn::ZERO, out);
    }

    /// A letter of the service for that of the leader.
    pub(crate) fn forward(&mut self, letter: Bytes, out: &mut Vec<Output>) {
        if self.is_active() {
            if let Some(observers) = &mut self.observers {
                observers.forwarded(&letter);
            }
            out.push(Output::Send { link: self.link, frame: letter, after: Lsn::ZERO });
        }
    }
}

/// Whether this member only observes.
pub(crate) fn is_observer(core: &Core) -> bool {
    let server = core.ensemble.committed.server(sid(core.me));
    server.is_some_and(|server| server.role() == Role::Observer)
}

/// The part of a frame that a packet's data is: no copy.
fn data_of(frame: &Bytes, data: Option<&[u8]>) -> Result<Bytes, Lost> {
    let data = data.ok_or("a proposal has no transaction")?;
    Ok(frame.slice_ref(data))
}

/// What an activation's data says.
fn activation(data: Option<&[u8]>) -> Result<Activation<'_>, Lost> {
    let data = data.ok_or("an activation has no data")?;
    Activation::decode(&mut Reader::new(data)).map_err(|error| format!("its packet: {error}"))
}

/// Time before the second trial to connect: a leader opens its port at once.
const RETRY_FIRST: Duration = Duration::from_millis(2);
/// How long a leader is called that cannot be reached, before another one is looked for.
const DIAL_MAX: Duration = Duration::from_secs(1);
