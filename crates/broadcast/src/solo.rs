//! The engine of a standalone server: the order is the order of its journal.
//!
//! A proposal is persisted and, once that is durable, delivered. Invariant: what is delivered is
//! durable, in the order of the proposals, without a gap.

use crate::contract::{Input, Output, Proposal};
use crate::record::Record;
use crate::truths::{Engine, Membership, Reads, Truths};
use crate::view::{Decision, Refusal, View};
use base::{Lsn, Machine, Time, Zxid};

/// One member, no peers.
#[derive(Debug)]
pub struct Solo {
    last: Zxid,
    lsn: Lsn,
    failed: bool,
}

impl Solo {
    /// Goes on after `last`, the last place that the recovered history holds; says at once that
    /// it is primary.
    #[must_use]
    pub fn recover(last: Zxid, out: &mut Vec<Output>) -> Solo {
        out.push(Output::View(View::Primary { last }));
        Solo { last, lsn: Lsn::ZERO, failed: false }
    }

    fn propose(&mut self, proposal: Proposal, out: &mut Vec<Output>) {
        let Proposal { context, at, item } = proposal;
        let refusal = if self.failed {
            Some(Refusal::DiskFailed)
        } else if at <= self.last {
            Some(Refusal::OutOfOrder)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            out.push(Output::Outcome { context, decision: Decision::Rejected(refusal) });
            return;
        }
        self.last = at;
        self.lsn = Lsn(self.lsn.0 + 1);
        let (lsn, record) = (self.lsn, Record::Entry { at, item: item.clone() });
        out.push(Output::Persist { lsn, record });
        out.push(Output::Deliver { at, context: Some(context), item, after: lsn });
    }
}

impl Machine for Solo {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, _now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Proposed(proposals) => {
                proposals.into_iter().for_each(|proposal| self.propose(proposal, out));
            }
            Input::ReadRequested { context, .. } => {
                out.push(Output::ReadReady { context, at_least: Zxid::ZERO });
            }
            Input::DiskFailed { .. } => {
                if !self.failed {
                    self.failed = true;
                    out.push(Output::View(View::Silent));
                }
            }
            Input::TimerExpired
            | Input::Durable { .. }
            // There is nobody to have a link to, and nobody who asks for them.
            | Input::Forward { .. }
            | Input::Answer { .. }
            | Input::Heartbeat { .. }
            | Input::TransferRequested { .. }
            | Input::Checkpointed { .. }
            | Input::LinkUp { .. }
            | Input::LinkDown { .. }
            | Input::Received { .. }
            | Input::ListenFailed { .. }
            | Input::SnapshotReceived { .. }
            | Input::SnapshotInstalled { .. }
            | Input::SnapshotRefused { .. }
            | Input::ResetDone { .. }
            | Input::ResetFailed { .. }
            | Input::LogRead { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

impl Engine for Solo {
    const TRUTHS: Truths = Truths {
        name: "solo",
        primary_order: true,
        fifo_links: false,
        membership: Membership::Alone,
        reads: Reads::Always,
    };
}

#[cfg(test)]
mod tests {
    use super::Solo;
    use crate::contract::{Context, Input, Output, Proposal};
    use crate::record::Record;
    use crate::view::{Decision, Refusal, View};
    use base::{Lsn, Machine, Time, Zxid};
    use bytes::Bytes;

    fn propose(solo: &mut Solo, at: i64) -> Vec<Output> {
        let mut out = Vec::new();
        let item = Bytes::from_static(b"item");
        let input = Input::Proposed(vec![Proposal { context: Context(9), at: Zxid(at), item }]);
        solo.handle(Time::ZERO, input, &mut out);
        out
    }

    #[test]
    fn a_proposal_is_delivered_behind_its_own_record() {
        let mut out = Vec::new();
        let mut solo = Solo::recover(Zxid(4), &mut out);
        assert_eq!(out, [Output::View(View::Primary { last: Zxid(4) })]);
        let out = propose(&mut solo, 5);
        let Output::Persist { lsn: Lsn(1), record: Record::Entry { at: Zxid(5), .. } } = &out[0]
        else {
            panic!("{out:?}")
        };
        assert!(matches!(out[1], Output::Deliver { at: Zxid(5), after: Lsn(1), .. }));
    }

    #[test]
    fn a_place_is_never_given_twice() {
        let mut solo = Solo::recover(Zxid(4), &mut Vec::new());
        let rejected = Decision::Rejected(Refusal::OutOfOrder);
        let outcome = Output::Outcome { context: Context(9), decision: rejected };
        assert_eq!(propose(&mut solo, 4), [outcome]);
    }

    #[test]
    fn after_a_failed_disk_nothing_is_taken() {
        let mut solo = Solo::recover(Zxid(4), &mut Vec::new());
        let mut out = Vec::new();
        solo.handle(Time::ZERO, Input::DiskFailed { at: Lsn(1) }, &mut out);
        assert_eq!(out, [Output::View(View::Silent)]);
        let rejected = Decision::Rejected(Refusal::DiskFailed);
        let outcome = Output::Outcome { context: Context(9), decision: rejected };
        assert_eq!(propose(&mut solo, 5), [outcome]);
    }
}
