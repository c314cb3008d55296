//! States that travel, states that are rebuilt, and logs that are read.

use crate::engines::history::State;
use crate::engines::host::{Host, Scene};
use crate::engines::judge::{Step, violated};
use crate::engines::service::{Busy, Queued};
use crate::engines::subject::Subject;
use base::{Machine, Time, Zxid};
use broadcast::{Input, Item, LinkId, Output};
use bytes::Bytes;

/// A state on its way in.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    at: Zxid,
    bytes: Vec<u8>,
    /// It is complete, and how long it is.
    complete: Option<(State, usize)>,
}

impl<E: Machine<Input = Input, Output = Output>> Host<E> {
    /// What comes next on this link is a state.
    pub(crate) fn fetch<S: Subject<Engine = E>>(
        &mut self,
        id: LinkId,
        at: Zxid,
        rest: Bytes,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.fetch = Some(Fetch { at, bytes: Vec::new(), complete: None });
        self.service.queue.push_back(Queued::Install { link: id, mark: self.disk.appended });
        self.more(id, &rest, scene)
    }

    /// Bytes came. Says whether they belong to a state, not to the engine.
    pub(crate) fn received<S: Subject<Engine = E>>(
        &mut self,
        now: Time,
        id: LinkId,
        bytes: Bytes,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        match self.links.get(&id) {
            None => Ok(()),
            Some(link) if link.fetch.is_some() => {
                self.more(id, &bytes, scene)?;
                self.settle(now, scene)
            }
            Some(_) => self.handle(now, Input::Received { link: id, bytes }, scene),
        }
    }

    fn more<S: Subject<Engine = E>>(
        &mut self,
        id: LinkId,
        bytes: &[u8],
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let link = self.links.get_mut(&id).expect("it was looked at");
        let fetch = link.fetch.as_mut().expect("it was looked at");
        fetch.bytes.extend_from_slice(bytes);
        if fetch.complete.is_some() {
            return Ok(());
        }
        match State::decode(&fetch.bytes) {
            Ok(complete) => fetch.complete = complete,
            Err(reason) => {
                let evidence = format!("node {} fetches: {reason}", self.node.0);
                return violated("a state comes where it was announced", evidence);
            }
        }
        if let Some((state, _)) = fetch.complete {
            let (at, has) = (fetch.at, state.last);
            // A place that is no entry's, like the beginning of a period, may be behind the last.
            if scene.judge.lacks(state.chain, at) {
                let evidence = format!("node {}: named {at}, holds {has}", self.node.0);
                return violated("a state holds what its place says", evidence);
            }
        }
        Ok(())
    }

    pub(crate) fn has_fetched(&self, id: LinkId) -> bool {
        let fetch = self.links.get(&id).and_then(|link| link.fetch.as_ref());
        fetch.is_some_and(|fetch| fetch.complete.is_some())
    }

    /// The link is closed or down: the state that was to come is not put in place.
    pub(crate) fn cancel(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.fetch = None;
        }
        let queue = &mut self.service.queue;
        queue.retain(|queued| !matches!(queued, Queued::Install { link, .. } if *link == id));
        if self.service.busy == Some(Busy::Store { link: id }) {
            self.service.busy = None;
        }
    }

    /// The state is on the disk.
    pub(crate) fn stored<S>(&mut self, now: Time, id: LinkId, scene: &mut Scene<'_, S>) -> Step
    where
        S: Subject<Engine = E>,
    {
        if self.service.busy != Some(Busy::Store { link: id }) {
            return Ok(());
        }
        self.handle(now, Input::SnapshotReceived { link: id }, scene)?;
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let Some(Fetch { at, bytes, complete: Some((state, len)) }) = link.fetch.take() else {
            return Ok(());
        };
        let down = link.down.take();
        self.service.busy = None;
        let chain = scene.judge.cut(state.chain, at);
        self.disk.live.install(at, state, chain);
        self.disk.durable.install(at, state, chain);
        self.state = state;
        self.service.fuzzy = state.last;
        self.declare(scene)?;
        let rest = Bytes::copy_from_slice(&bytes[len..]);
        self.handle(now, Input::SnapshotInstalled { link: id, at, rest }, scene)?;
        match down {
            Some(reason) => self.link_down(now, id, reason, scene),
            None => Ok(()),
        }
    }

    /// The state could not be stored: what was is still in place.
    pub(crate) fn not_stored<S>(&mut self, now: Time, id: LinkId, scene: &mut Scene<'_, S>) -> Step
    where
        S: Subject<Engine = E>,
    {
        if self.service.busy != Some(Busy::Store { link: id }) {
            return Ok(());
        }
        let down = self.links.get_mut(&id).and_then(|link| link.down.take());
        self.cancel(id);
        let reason = "no space".to_owned();
        self.handle(now, Input::SnapshotRefused { link: id, reason }, scene)?;
        match down {
            Some(reason) => self.link_down(now, id, reason, scene),
            None => Ok(()),
        }
    }

    /// A connection is gone: heard of behind a state that is being stored.
    pub(crate) fn link_down<S: Subject<Engine = E>>(
        &mut self,
        now: Time,
        id: LinkId,
        reason: String,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if self.service.busy == Some(Busy::Store { link: id }) {
            link.down = Some(reason);
            return Ok(());
        }
        self.cancel(id);
        self.links.remove(&id);
        self.handle(now, Input::LinkDown { link: id, reason }, scene)
    }

    /// The state is rebuilt from the disk.
    pub(crate) fn reset<S>(&mut self, now: Time, scene: &mut Scene<'_, S>) -> Step
    where
        S: Subject<Engine = E>,
    {
        let Some(Busy::Reset { at }) = self.service.busy.take() else { return Ok(()) };
        let work = |item: &Item| scene.subject.contents(item).is_some();
        let Some(state) = self.disk.durable.replay(at, work) else {
            let reason = "no snapshot goes back so far".to_owned();
            return self.handle(now, Input::ResetFailed { reason }, scene);
        };
        self.resets += 1;
        self.state = state;
        self.service.fuzzy = Zxid::ZERO;
        let entries = self.disk.durable.entries.iter().filter(|entry| entry.at <= at);
        let all: Vec<_> = entries.map(|entry| (entry.at, entry.item.clone())).collect();
        let recent = all[all.len().saturating_sub(RECENT)..].to_vec();
        self.handle(now, Input::ResetDone { recent }, scene)
    }

    /// The log is read from the first entry that is not before `from`.
    pub(crate) fn log_read<S: Subject<Engine = E>>(
        &mut self,
        now: Time,
        link: LinkId,
        from: Zxid,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let log = &self.disk.durable;
        let entries = if log.purged.0 == Zxid::ZERO || from > log.purged.0 {
            let wanted = log.entries.iter().filter(|entry| entry.at >= from);
            wanted.map(|entry| (entry.at, entry.item.clone())).collect()
        } else {
            Vec::new()
        };
        self.handle(now, Input::LogRead { link, entries }, scene)
    }

    /// Whether a snapshot of the state could be taken now.
    pub(crate) fn can_checkpoint(&self) -> bool {
        let (last, chain) = self.disk.durable.tip();
        let calm = self.service.busy.is_none() && self.links.values().all(|l| l.fetch.is_none());
        let truncating = self.disk.live.tip().0 < last;
        let held = self.disk.durable.snapshots.last().map_or(Zxid::ZERO, |(at, _)| *at);
        let known = self.disk.durable.entries.iter().rev().any(|e| e.chain == self.state.chain);
        calm && !truncating && self.state.last > held && (known || chain == self.state.chain)
    }
}

/// The most entries that a reset gives back.
const RECENT: usize = 100;
