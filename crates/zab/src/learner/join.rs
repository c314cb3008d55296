//! From the leader's epoch to its history.

use super::master::ObserverMaster;
use super::{Learning, Lost, Stage, activation, data_of, is_observer};
use crate::core::{Core, EPOCH_MAX, NOT_INITIALISED, epoch_start, tell};
use base::{Lsn, Time, Zxid};
use broadcast::{Item, LinkId, Output, View};
use bytes::Bytes;
use trace::{Ensemble as Event, SyncMethod};
use wire::quorum::{Packet, PacketKind, encode_epoch_ack, put_packet};

impl Learning {
    /// LEADERINFO: promises the epoch, unless a later one was promised.
    pub(super) fn leader_info(
        &mut self,
        core: &mut Core,
        kind: PacketKind,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if kind != PacketKind::LeaderInfo {
            return Err(format!("{kind:?} came where LEADERINFO was to come"));
        }
        let epoch = i64::from(Zxid(packet.zxid).epoch());
        if epoch > EPOCH_MAX {
            return Err(format!("it leads {epoch:#x}, which is no epoch"));
        }
        let promised = core.accepted_epoch;
        if epoch < promised {
            return Err(format!("its epoch {epoch:#x} is older than the promised {promised:#x}"));
        }
        self.epoch = epoch;
        let current = u32::try_from(core.current_epoch).unwrap_or(u32::MAX);
        let current = if epoch > promised {
            core.promise(epoch, out);
            Some(current)
        } else {
            None // promised before: this does not count as a promise
        };
        // Of a state that came before the leader had sent all is nothing known.
        core.wants_snapshot |= core.is_lost;
        let last = match (core.is_lost, core.wants_snapshot) {
            (true, _) => NOT_INITIALISED,
            (false, true) => Zxid::ZERO,
            (false, false) => core.history.last(),
        };
        let mut frame = Vec::new();
        put_packet(&mut frame, PacketKind::AckEpoch, last.0, Some(&encode_epoch_ack(current)));
        self.send(frame, core.history.lsn(), out);
        self.stage = Stage::Promised;
        tell(Event::EpochPromised { leader: self.leader, epoch }, out);
        Ok(())
    }

    /// DIFF, TRUNC or SNAP.
    pub(super) fn sync_choice(
        &mut self,
        core: &mut Core,
        kind: PacketKind,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let at = Zxid(packet.zxid);
        match kind {
            PacketKind::Diff | PacketKind::Trunc if core.wants_snapshot => {
                let reason = "the leader cannot send its state, and this one's cannot be brought \
                              back to what the leader has: move version-2 aside and start again";
                out.push(Output::Fatal { reason: reason.to_owned() });
                return Err(reason.to_owned());
            }
            PacketKind::Diff => {
                self.method = SyncMethod::Diff;
                self.stage = Stage::Syncing;
            }
            PacketKind::Trunc => return self.truncate(core, at, out),
            PacketKind::Snap => {
                self.method = SyncMethod::Snap;
                self.stage = Stage::Fetching;
                let rest = self.inbound.take_rest();
                out.push(Output::FetchSnapshot { link: self.link, at, rest });
            }
            PacketKind::Ping => {}
            PacketKind::Request
            | PacketKind::Proposal
            | PacketKind::Ack
            | PacketKind::Commit
            | PacketKind::Revalidate
            | PacketKind::Sync
            | PacketKind::Inform
            | PacketKind::CommitAndActivate
            | PacketKind::NewLeader
            | PacketKind::FollowerInfo
            | PacketKind::UpToDate
            | PacketKind::ObserverInfo
            | PacketKind::LeaderInfo
            | PacketKind::AckEpoch
            | PacketKind::InformAndActivate => {
                return Err(format!("{kind:?} came where DIFF, TRUNC or SNAP was to come"));
            }
        }
        Ok(())
    }

    fn truncate(&mut self, core: &mut Core, to: Zxid, out: &mut Vec<Output>) -> Result<(), Lost> {
        let last = core.history.last();
        if to > last {
            return Err(format!("it wants to cut the log at {to}, which ends at {last}"));
        }
        self.method = SyncMethod::Trunc;
        self.stage = Stage::Syncing;
        if core.history.truncate(to, out) {
            self.stage = Stage::Resetting;
            out.push(Output::ResetTo { at: to });
        }
        Ok(())
    }

    /// The state went back to where the log was cut.
    pub(crate) fn reset_done(
        &mut self,
        core: &mut Core,
        recent: Vec<(Zxid, Item)>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if self.stage != Stage::Resetting {
            return Ok(());
        }
        let last = core.history.last();
        core.history.reset(last, recent);
        self.go_on(core, now, out)
    }

    /// The leader's state is in place of ours.
    pub(crate) fn snapshot_installed(
        &mut self,
        core: &mut Core,
        (link, at): (LinkId, Zxid),
        rest: Bytes,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if self.stage != Stage::Storing || self.link != link {
            return Ok(());
        }
        core.history.reset(at, Vec::new());
        core.wants_snapshot = false;
        self.inbound.push(rest);
        self.go_on(core, now, out)
    }

    /// The state is what the history says again.
    fn go_on(&mut self, core: &mut Core, now: Time, out: &mut Vec<Output>) -> Result<(), Lost> {
        self.stage = Stage::Syncing;
        self.heard = now;
        if let Some(reason) = self.lost.take() {
            return Err(reason);
        }
        self.read_on(core, out)
    }

    /// The leader's state is there whole.
    pub(crate) fn snapshot_received(&mut self, link: LinkId) {
        if self.stage == Stage::Fetching && self.link == link {
            self.stage = Stage::Storing;
        }
    }

    /// The leader's state is none, or could not be stored.
    pub(crate) fn snapshot_refused(
        &mut self,
        link: LinkId,
        reason: String,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if self.link != link {
            return Ok(());
        }
        if self.stage == Stage::Storing {
            // The tree is the leader's, and the disk's is not.
            out.push(Output::Fatal { reason: format!("the leader's state: {reason}") });
        }
        Err(format!("its state could not be taken: {reason}"))
    }

    /// There is no way back: only another member's state can help.
    pub(crate) fn reset_failed(&mut self, core: &mut Core, reason: &str) -> Result<(), Lost> {
        if self.stage != Stage::Resetting {
            return Ok(());
        }
        core.wants_snapshot = true;
        Err(format!("the state cannot go back: {reason}; the whole state is to be fetched"))
    }

    /// Between the choice and UPTODATE.
    pub(super) fn syncing(
        &mut self,
        core: &mut Core,
        kind: PacketKind,
        frame: &Bytes,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let at = Zxid(packet.zxid);
        let last = core.history.last();
        match kind {
            PacketKind::Proposal => self.queue.push(last, at, data_of(frame, packet.data)?),
            PacketKind::Commit | PacketKind::CommitAndActivate => self.queue.decide(at),
            PacketKind::Inform => {
                self.queue.push(last, at, data_of(frame, packet.data)?)?;
                self.queue.decide(at)
            }
            PacketKind::InformAndActivate => {
                let activation = activation(packet.data)?;
                self.queue.push(last, at, frame.slice_ref(activation.txn))?;
                self.queue.decide(at)
            }
            PacketKind::NewLeader if self.stage == Stage::Syncing => {
                self.new_leader(core, packet, out)
            }
            PacketKind::UpToDate if self.stage == Stage::Installed => {
                let before = core.place(self.leader);
                self.up_to_date(core, out);
                if core.place(self.leader) == before {
                    return Ok(());
                }
                core.designate(crate::ensemble::sid(self.leader));
                Err("this member's place changed with the configuration".to_owned())
            }
            PacketKind::UpToDate | PacketKind::NewLeader => {
                Err(format!("{kind:?} came out of turn"))
            }
            PacketKind::Request
            | PacketKind::Ack
            | PacketKind::Ping
            | PacketKind::Revalidate
            | PacketKind::Sync
            | PacketKind::FollowerInfo
            | PacketKind::Diff
            | PacketKind::Trunc
            | PacketKind::Snap
            | PacketKind::ObserverInfo
            | PacketKind::LeaderInfo
            | PacketKind::AckEpoch => Ok(()),
        }
    }

    /// NEWLEADER: the difference is complete. Logged first, then the epoch; and the answer waits
    /// for both.
    fn new_leader(
        &mut self,
        core: &mut Core,
        packet: &Packet<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        let epoch = i64::from(Zxid(packet.zxid).epoch());
        if epoch != self.epoch {
            return Err(format!("NEWLEADER of {epoch:#x} after the epoch {:#x}", self.epoch));
        }
        self.see_configuration(core, packet.data, out);
        while let Some((at, item)) = self.queue.pop_decided() {
            core.append(at, item, None, out);
        }
        self.acknowledged = core.history.last();
        let lsn = core.install(epoch, out);
        self.acknowledge_epoch(lsn, out);
        self.stage = Stage::Installed;
        Ok(())
    }

    fn see_configuration(&mut self, core: &mut Core, data: Option<&[u8]>, out: &mut Vec<Output>) {
        let Some(text) = data.filter(|data| core.reconfig && data.len() > 1) else { return };
        let text = String::from_utf8_lossy(text);
        if let Some(membership) = core.parse_configuration(&text) {
            core.see(membership.clone(), out);
            self.configuration = Some(membership);
        }
    }

    fn acknowledge_epoch(&self, after: Lsn, out: &mut Vec<Output>) {
        let mut frame = Vec::new();
        put_packet(&mut frame, PacketKind::Ack, epoch_start(self.epoch).0, None);
        self.send(frame, after, out);
    }

    /// UPTODATE: the leader is established, so all of its history is decided. A state that was
    /// sent may hold some of what was decided meanwhile, and not the rest: nobody is served before
    /// all of that is applied.
    /// Deviation: the reference serves first, and shows such a mixture.
    fn up_to_date(&mut self, core: &mut Core, out: &mut Vec<Output>) {
        self.stage = Stage::Active;
        let observes = is_observer(core); // so it came, whatever the configuration makes of it
        core.setbacks = 0;
        core.elected.epoch = self.epoch;
        // One that the leader has only proposed takes effect with its decision. Deviation: the
        // reference takes it at once, and tells others that it is in force.
        let decided = core.history.last().max(epoch_start(self.epoch));
        let membership = self.configuration.take();
        if let Some(membership) = membership.filter(|next| next.version() <= decided.0) {
            core.activate(membership, out);
        }
        self.acknowledge_epoch(Lsn::ZERO, out);
        core.history.commit(core.history.last(), out);
        while let Some((at, item)) = self.queue.pop_decided() {
            core.append(at, item, None, out);
            core.commit_next(at, out);
        }
        let (leader, epoch, method) = (self.master, self.epoch, self.method);
        tell(Event::Joined { leader, epoch, method }, out);
        out.push(Output::View(View::Replica { primary: self.leader }));
        while let Some((at, item)) = self.queue.pop() {
            core.append(at, item, None, out);
        }
        debug_assert!(!observes || core.history.undecided().next().is_none());
        if !is_observer(core) {
            let master = ObserverMaster::begin(core, (epoch, self.link), self.heard, out);
            self.observers = master.map(Box::new);
        }
    }
}
