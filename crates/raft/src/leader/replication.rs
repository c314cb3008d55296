//! What is sent to followers: entries, commits, states, heartbeats.

use super::Leader;
use crate::core::{Core, tell};
use crate::frames::{self, Message};
use crate::log::{Entry, Log};
use crate::progress::{Progress, Replication};
use base::{Lsn, NodeId, Time};
use broadcast::{LinkId, Output};
use bytes::Bytes;
use trace::{Ensemble as Event, SyncMethod};

/// An encoded append, as followers that are equally far share it.
struct Shared {
    prev: u64,
    last: u64,
    size: usize,
    frame: Bytes,
}

impl Leader {
    /// Sends every follower what it may have by now.
    pub(super) fn replicate(&mut self, core: &mut Core, out: &mut Vec<Output>) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        let mut shared = None;
        for node in nodes {
            if let Some(link) = core.links.to(node) {
                self.replicate_to(core, node, link, &mut shared, out);
            }
        }
    }

    fn replicate_to(
        &mut self,
        core: &mut Core,
        node: NodeId,
        link: LinkId,
        shared: &mut Option<Shared>,
        out: &mut Vec<Output>,
    ) {
        let Some(progress) = self.peers.get_mut(&node) else { return };
        let limits = &core.config.limits;
        let window = (limits.inflight_max, limits.inflight_bytes_max);
        let (last, committed) = (core.log.last_index(), core.log.committed());
        while progress.may_append(last, window) {
            let prev = progress.next - 1;
            let Some(prev_term) = core.log.term(prev) else {
                return self.send_snapshot(core, node, link, out);
            };
            if !progress.holds_entries() {
                let (term, entries) = (core.term, Vec::new());
                let (prev_index, commit) = (prev, committed);
                let probe = Message::Append { term, prev_index, prev_term, commit, entries };
                core.links.send(link, &probe, Lsn::ZERO, out);
                progress.sent(prev, 0);
                break;
            }
            let again = shared.take().filter(|shared| shared.prev == prev);
            let append = again.unwrap_or_else(|| encode(core, prev, prev_term));
            progress.sent(append.last, append.size);
            progress.told = progress.told.max(committed.min(append.last));
            core.links.send_frame(link, append.frame.clone(), Lsn::ZERO, out);
            *shared = Some(append);
        }
        let upto = committed.min(progress.next - 1);
        if progress.state == Replication::Replicate && progress.told < upto {
            progress.told = upto;
            let message = Message::Commit { term: core.term, commit: upto };
            core.links.send(link, &message, Lsn::ZERO, out);
        }
    }

    /// What a follower needs is compacted away: it gets the state.
    fn send_snapshot(
        &mut self,
        core: &mut Core,
        node: NodeId,
        link: LinkId,
        out: &mut Vec<Output>,
    ) {
        let Some(progress) = self.peers.get_mut(&node) else { return };
        let (index, index_term, at, configuration) = core.log.sendable(&core.journal);
        let configuration = (*configuration).clone();
        let (term, history) = (core.term, core.history());
        let message = Message::Snapshot { term, history, index, index_term, at, configuration };
        core.links.send(link, &message, Lsn::ZERO, out);
        core.links.flush(link, out);
        out.push(Output::SendSnapshot { link });
        progress.sent_snapshot(index);
        let (learner, method, upto) = (node, SyncMethod::Snap, at);
        tell(Event::LearnerSynced { learner, method, from: base::Zxid::ZERO, upto }, out);
    }

    /// Asks everybody whether this member still leads.
    pub(super) fn begin_round(
        &mut self,
        core: &mut Core,
        beat: bool,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let round = self.reads.begin_round(now);
        let committed = core.log.committed();
        for (node, progress) in &mut self.peers {
            let Some(link) = core.links.to(*node) else { continue };
            // A follower may differ behind what it is known to share.
            progress.told = progress.told.max(committed.min(progress.matched));
            let message = Message::Heartbeat { term: core.term, commit: committed, round, beat };
            core.links.send(link, &message, Lsn::ZERO, out);
        }
    }
}

/// Says how a follower that was in this state is brought to the leader's log, and when it is there.
pub(super) fn tell_of(
    learner: NodeId,
    progress: &mut Progress,
    before: Replication,
    log: &Log,
    out: &mut Vec<Output>,
) {
    if progress.state == Replication::Replicate && before != Replication::Replicate {
        progress.joins(log.last_index());
        if !progress.takes_state {
            let (from, upto) = (log.at(progress.matched), log.last_at());
            let method = SyncMethod::Diff;
            tell(Event::LearnerSynced { learner, method, from, upto }, out);
        }
    }
    if progress.has_joined() {
        tell(Event::LearnerJoined { learner }, out);
    }
}

/// One append behind `prev`, with as many entries as one may hold.
fn encode(core: &Core, prev: u64, prev_term: u64) -> Shared {
    let mut size = 0;
    let max = core.config.limits.append_size_max;
    let fits = |entry: &&Entry| {
        let before = size;
        size += entry.size();
        before == 0 || size <= max
    };
    let count = core.log.entries_from(prev + 1).take_while(fits).count();
    let entries = || core.log.entries_from(prev + 1).take(count);
    let size: usize = entries().map(Entry::size).sum();
    let words = [core.term, prev, prev_term, core.log.committed()];
    let mut frame = Vec::with_capacity(size + frames::HEADER + frames::APPEND_OVERHEAD);
    frames::frame(&mut frame, |out| frames::put_append(out, words, entries()));
    Shared { prev, last: prev + count as u64, size, frame: frame.into() }
}
