//! Proposals that came during synchronization and are not in the log yet.
//!
//! Those that are decided come first, for they are decided in order.

use super::Lost;
use crate::history::follows;
use base::Zxid;
use broadcast::Item;
use std::collections::VecDeque;

/// Proposals in order.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Queue {
    items: VecDeque<(Zxid, Item)>,
    decided: usize,
    last: Option<Zxid>,
}

impl Queue {
    /// Takes a proposal, which goes on from the one before.
    pub(super) fn push(&mut self, after: Zxid, at: Zxid, item: Item) -> Result<(), Lost> {
        match self.last {
            Some(last) if !follows(last, at) => {
                return Err(format!("proposal {at} does not go on from {last}"));
            }
            None if !follows(after, at) => {
                return Err(format!("proposal {at} does not go on from {after}"));
            }
            Some(_) | None => {}
        }
        self.last = Some(at);
        self.items.push_back((at, item));
        Ok(())
    }

    /// The next undecided proposal is decided.
    pub(super) fn decide(&mut self, at: Zxid) -> Result<(), Lost> {
        match self.items.get(self.decided) {
            Some((next, _)) if *next == at => {
                self.decided += 1;
                Ok(())
            }
            Some((next, _)) => Err(format!("commit of {at}, but {next} is next")),
            None => Err(format!("commit of {at}, which was not proposed")),
        }
    }

    /// The next proposal that is decided.
    pub(super) fn pop_decided(&mut self) -> Option<(Zxid, Item)> {
        self.decided = self.decided.checked_sub(1)?;
        self.items.pop_front()
    }

    /// The next proposal of those that are left when the decided ones are taken.
    pub(super) fn pop(&mut self) -> Option<(Zxid, Item)> {
        debug_assert!(self.decided == 0, "decided ones come first");
        self.items.pop_front()
    }
}
