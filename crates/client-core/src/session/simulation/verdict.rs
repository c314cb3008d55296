//! What a run must have come to: outcomes beside what the server did, watchers beside what changed.

use super::{Asked, Waits, Watcher, World};
use crate::{Error, EventKind};

impl World {
    /// Judges a run that has settled; see the parent module for what is checked.
    pub(super) fn verdict(&mut self) {
        for (ctx, (asked, _)) in &self.asked {
            let outcome = self.outcomes.get(ctx);
            assert_ne!(outcome.is_some(), self.cancelled.contains(ctx), "{ctx} {asked:?}");
            let done = self.tree.done.get(ctx).copied().unwrap_or(0);
            assert!(done <= 1, "{ctx} was done {done} times");
            match outcome {
                Some(Ok(_)) if *asked == Asked::Write => assert_eq!(done, 1, "{ctx}"),
                Some(Err(Error::Unknown)) => {
                    assert_eq!(*asked, Asked::Write);
                    self.marks.done_unknown += done;
                    self.marks.undone_unknown += 1 - done;
                }
                Some(Err(Error::TimedOut { outcome_unknown: true })) | None => {}
                Some(Ok(_) | Err(_)) => assert_eq!(done, 0, "{ctx}: {outcome:?}"),
            }
        }
        for (id, watcher) in &self.watchers {
            self.check_watcher(*id, watcher);
        }
    }

    fn check_watcher(&self, id: u64, watcher: &Watcher) {
        let node =
            self.tree.nodes.get(self.session.config.servers.chroot.add(&watcher.path).as_str());
        if watcher.told.iter().any(|(_, kind)| *kind == EventKind::Removed) {
            return;
        }
        match watcher.kind {
            Waits::Data(seen) => {
                assert!(watcher.told.len() <= 1, "{id}: {watcher:?}");
                if watcher.told.is_empty() {
                    assert_eq!(node.map(|n| n.mzxid), seen, "{id} missed a change");
                }
            }
            Waits::Children(seen) => {
                assert!(watcher.told.len() <= 1, "{id}: {watcher:?}");
                if watcher.told.is_empty() {
                    assert_eq!(node.map(|n| n.pzxid), Some(seen), "{id} missed a child");
                }
            }
            Waits::Persistent | Waits::Recursive => {
                let recursive = watcher.kind == Waits::Recursive;
                let path = self.session.config.servers.chroot.add(&watcher.path);
                let last = self.tree.last_change(&path, recursive);
                let told = watcher.told.last().map(|(step, _)| *step).unwrap_or(watcher.since);
                assert!(last <= told, "{id} missed the change of step {last}: {watcher:?}");
            }
        }
    }
}
