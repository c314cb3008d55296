//! Watches: taken out of the registry on request, and off the server once nobody here needs them.
//!
//! A server's watch is shared by all local watchers of its path and type, so it is removed only
//! with the last of them, and not while a request is outstanding that will set it.

use super::link::frame;
use super::requests::{Pending, Work};
use super::{Output, Phase, Session};
use crate::watches::{Event, EventKind, Kind, WatcherId};
use base::Time;
use jute::{put_int, put_string};
use wire::{OpCode, WatcherType};

/// Whom a removal takes out.
#[derive(Clone, Debug)]
pub(super) enum Removal {
    One(WatcherId),
    All(String, WatcherType),
}

impl Session {
    pub(super) fn unwatch(&mut self, now: Time, watcher: WatcherId, out: &mut Vec<Output>) {
        if let Some((kind, path)) = self.watches.remove(watcher) {
            self.release(now, kind, path, out);
        }
    }

    /// Tells the server to forget a watch that nobody here has any more.
    pub(super) fn release(&mut self, now: Time, kind: Kind, path: String, out: &mut Vec<Output>) {
        let which = kind.watcher_type();
        let is_live = matches!(&self.phase, Phase::Live(live) if !live.closing);
        // Without a link there is no watch: it went with its connection.
        if !is_live
            || !self.watches.on(&path, which).is_empty()
            || self.watches.is_pending(&path, which)
        {
            return;
        }
        let removal = Removal::All(path, which);
        if let Some(frame) = self.removal_frame(&removal) {
            let mut pending = Pending::internal(frame, Work::Remove(removal));
            pending.seq = self.take_seq();
            self.send_pending(now, pending, out);
        }
    }

    pub(super) fn is_watched(&self, removal: &Removal) -> bool {
        match removal {
            Removal::One(watcher) => self.watches.get(*watcher).is_some(),
            Removal::All(path, which) => {
                !self.watches.on(path, *which).is_empty() || self.watches.is_pending(path, *which)
            }
        }
    }

    /// The request that removes it from the server. While others here still need the server's
    /// watch it is only checked. `None` if there is nothing to remove.
    pub(super) fn removal_frame(&self, removal: &Removal) -> Option<Vec<u8>> {
        let (op, path, which) = match removal {
            Removal::One(watcher) => {
                let (kind, path) = self.watches.get(*watcher)?;
                let which = kind.watcher_type();
                let shared =
                    self.watches.on(path, which).len() > 1 || self.watches.is_pending(path, which);
                let op = if shared { OpCode::CheckWatches } else { OpCode::RemoveWatches };
                (op, path, self.widest(path, which))
            }
            Removal::All(path, which) => {
                (OpCode::RemoveWatches, path.as_str(), self.widest(path, *which))
            }
        };
        Some(frame(0, op, |out| {
            put_string(out, path);
            put_int(out, which as i32);
        }))
    }

    /// `Any` if nothing else is watched on the path: servers before 3.9 know no narrower type for
    /// the watches that stay.
    fn widest(&self, path: &str, which: WatcherType) -> WatcherType {
        if self.watches.has_others(path, which) { which } else { WatcherType::Any }
    }

    /// Takes the removed watchers out and tells them.
    pub(super) fn take_out(&mut self, removal: &Removal, out: &mut Vec<Output>) {
        let gone = match removal {
            Removal::One(watcher) => vec![*watcher],
            Removal::All(path, which) => self.watches.on(path, *which),
        };
        for watcher in gone {
            if let Some((_, path)) = self.watches.remove(watcher) {
                let path = self.config.servers.chroot.strip(&path).to_owned();
                let event = Event { kind: EventKind::Removed, path, zxid: self.last_zxid };
                out.push(Output::Event { watcher, event });
            }
        }
    }
}
