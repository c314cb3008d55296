//! States that go to other members and come from them, and the way back to an earlier one.

use super::Member;
use crate::contract::Output;
use crate::shared::Shared;
use crate::transfer::{SnapshotProgress, SnapshotReceiver};
use base::{Machine, Time, WallTime, Zxid};
use broadcast::{Item, LinkId};
use bytes::Bytes;
use trace::Event;
use tree::Tree;

/// A state under way to this member.
#[allow(missing_debug_implementations)]
pub(super) struct Transfer {
    tree: tree::Config,
    field_size_max: usize,
    fetching: Option<Fetching>,
    installing: Option<Installing>,
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fetching = self.fetching.as_ref().map(|fetching| fetching.link);
        let mut out = f.debug_struct("Transfer");
        out.field("fetching", &fetching)
            .field("installing", &self.installing)
            .finish_non_exhaustive()
    }
}

/// It comes in.
struct Fetching {
    link: LinkId,
    at: Zxid,
    receiver: SnapshotReceiver,
}

/// It is in place, and on its way to the disk.
#[derive(Debug)]
struct Installing {
    link: LinkId,
    at: Zxid,
    /// What came behind it.
    rest: Vec<Bytes>,
    /// Whether its snapshot is being taken: one of the tree before may still be under way.
    begun: bool,
}

impl Transfer {
    pub(super) fn new(tree: tree::Config, field_size_max: usize) -> Transfer {
        Transfer { tree, field_size_max, fetching: None, installing: None }
    }
}

impl<S: Shared> Member<S> {
    /// Sends the tree, with all in it that may be.
    pub(super) fn send_snapshot(&mut self, now: Time, link: LinkId, out: &mut Vec<Output>) {
        self.pass_gates(now);
        if self.sends.push_state(link) {
            out.push(Output::SendSnapshot { link });
        }
    }

    /// What comes next on the link is a state.
    pub(super) fn fetch(
        &mut self,
        now: Time,
        link: LinkId,
        at: Zxid,
        rest: Bytes,
        out: &mut Vec<Output>,
    ) {
        self.gated.clear(); // of a history that is replaced
        let Transfer { tree, field_size_max, .. } = self.transfer;
        let receiver = SnapshotReceiver::new(tree, at).with_length_max(field_size_max);
        self.transfer.fetching = Some(Fetching { link, at, receiver });
        self.feed(now, rest, out);
    }

    pub(super) fn received(
        &mut self,
        now: Time,
        wall: WallTime,
        link: LinkId,
        bytes: Bytes,
        out: &mut Vec<Output>,
    ) {
        if self.transfer.fetching.as_ref().is_some_and(|fetching| fetching.link == link) {
            self.feed(now, bytes, out);
            return self.settle(now, out);
        }
        if let Some(installing) = self.transfer.installing.as_mut().filter(|i| i.link == link) {
            return installing.rest.push(bytes);
        }
        self.told(now, wall, broadcast::Input::Received { link, bytes }, out);
    }

    fn feed(&mut self, now: Time, bytes: Bytes, out: &mut Vec<Output>) {
        let Some(fetching) = &mut self.transfer.fetching else { return };
        let link = fetching.link;
        match fetching.receiver.feed(bytes) {
            Ok(SnapshotProgress::More) => {
                // A sign of life, for who waits.
                let bytes = Bytes::new();
                self.engine_handle(now, broadcast::Input::Received { link, bytes });
            }
            Ok(SnapshotProgress::Done { tree, rest }) => {
                let at = fetching.at;
                self.transfer.fetching = None;
                self.shared.write(|ours, _, _| *ours = *tree);
                let rest = vec![rest];
                self.transfer.installing = Some(Installing { link, at, rest, begun: false });
                self.engine_handle(now, broadcast::Input::SnapshotReceived { link });
                self.install(now, out);
            }
            Err(error) => {
                self.transfer.fetching = None;
                let reason = error.to_string();
                let refused = broadcast::Input::SnapshotRefused { link, reason };
                self.engine_handle(now, refused);
            }
        }
    }

    /// Takes the snapshot of a state that came, unless another one is under way.
    fn install(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(installing) = &mut self.transfer.installing
            && !installing.begun
            && self.snapshots.begin_at_once(now)
        {
            installing.begun = true;
            out.push(Output::BeginInstall { at: installing.at });
            out.push(Output::TakeSnapshot);
        }
    }

    /// A snapshot is complete.
    pub(super) fn snapshot_taken(&mut self, now: Time, zxid: Zxid, out: &mut Vec<Output>) {
        self.snapshots.end(now);
        self.events.push(Event::SnapshotTaken { zxid });
        let Some(Installing { link, at, rest, .. }) =
            self.transfer.installing.take_if(|installing| installing.begun)
        else {
            let checkpointed = broadcast::Input::Checkpointed { at: zxid };
            self.engine_handle(now, checkpointed);
            self.install(now, out);
            return self.settle(now, out);
        };
        let Member { shared, engine, .. } = self;
        shared.read(|tree| engine.replaced(tree));
        // What the disk holds of the history before is void from here on.
        out.push(Output::Install { at });
        let rest = match rest.len() {
            1 => rest.into_iter().next().unwrap_or_default(),
            _ => Bytes::from(rest.concat()),
        };
        self.tell_engine(now, broadcast::Input::SnapshotInstalled { link, at, rest }, out);
    }

    /// A snapshot could not be written.
    pub(super) fn snapshot_failed(
        &mut self,
        now: Time,
        zxid: Zxid,
        reason: String,
        out: &mut Vec<Output>,
    ) {
        self.snapshots.end(now);
        self.events.push(Event::SnapshotFailed { zxid, reason: reason.clone() });
        match self.transfer.installing.take_if(|installing| installing.begun) {
            Some(Installing { link, .. }) => {
                self.tell_engine(now, broadcast::Input::SnapshotRefused { link, reason }, out);
            }
            None => self.install(now, out),
        }
    }

    /// The state goes back to an earlier place.
    pub(super) fn reset(&mut self, at: Zxid, out: &mut Vec<Output>) {
        self.gated.clear();
        out.push(Output::Reload { at });
    }

    pub(super) fn reloaded(
        &mut self,
        now: Time,
        tree: Tree,
        recent: Vec<(Zxid, Item)>,
        out: &mut Vec<Output>,
    ) {
        self.shared.write(|ours, _, _| *ours = tree);
        self.tell_engine(now, broadcast::Input::ResetDone { recent }, out);
    }

    /// The engine wants no more of the link.
    pub(super) fn close(&mut self, link: LinkId, out: &mut Vec<Output>) {
        self.forget(link);
        self.keeper.link_lost(link);
        out.push(Output::Close { link });
    }

    pub(super) fn link_down(
        &mut self,
        now: Time,
        link: LinkId,
        reason: String,
        out: &mut Vec<Output>,
    ) {
        self.forget(link);
        self.keeper.link_lost(link);
        self.tell_engine(now, broadcast::Input::LinkDown { link, reason }, out);
    }

    fn forget(&mut self, link: LinkId) {
        self.sends.forget(link);
        self.transfer.fetching.take_if(|fetching| fetching.link == link);
        // A state that is in place stays there: its snapshot is taken all the same.
    }

    fn engine_handle(&mut self, now: Time, input: broadcast::Input) {
        self.engine.handle(now, input, &mut self.engine_out);
    }
}
