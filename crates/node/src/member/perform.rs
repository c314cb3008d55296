//! What the engine wants done, and what the service wants of the engine.

use super::{Gated, Member};
use crate::contract::Output;
use crate::letters::packets;
use crate::shared::Shared;
use base::{Lsn, Machine, Time, Zxid};
use broadcast::{Decision, LinkId, Record, View};
use bytes::Bytes;
use keeper::{Letter, Outgoing};
use trace::Event;
use tree::Tree;
use zab::CONFIGURATION;

impl<S: Shared> Member<S> {
    pub(super) fn send(&mut self, now: Time, out: &mut Vec<Output>) {
        let Member { engine, keeper, outgoing, engine_out, .. } = self;
        if outgoing.is_empty() {
            return;
        }
        let mut tell = |input| engine.handle(now, input, engine_out);
        let Outgoing { proposals, letters, answers, reads, refused } = outgoing;
        if !proposals.is_empty() {
            tell(broadcast::Input::Proposed(std::mem::take(proposals)));
        }
        for (context, level) in reads.drain(..) {
            tell(broadcast::Input::ReadRequested { context, level });
        }
        if !letters.is_empty() {
            tell(broadcast::Input::Forward { letter: Bytes::from(std::mem::take(letters)) });
        }
        for (to, letter) in answers.drain(..) {
            tell(broadcast::Input::Answer { to, letter });
        }
        for keeper::Refused { link, reason } in refused.drain(..) {
            out.push(Output::Close { link });
            keeper.link_lost(link);
            tell(broadcast::Input::LinkDown { link, reason: reason.to_owned() });
        }
    }

    pub(super) fn perform_engine(&mut self, now: Time, out: &mut Vec<Output>) {
        while !self.engine_out.is_empty() {
            let mut engine_out = std::mem::take(&mut self.engine_out);
            engine_out.drain(..).for_each(|output| self.perform(now, output, out));
            if self.engine_out.is_empty() {
                self.engine_out = engine_out;
            }
        }
    }

    fn perform(&mut self, now: Time, output: broadcast::Output, out: &mut Vec<Output>) {
        match output {
            broadcast::Output::Persist { lsn, record } => self.persist(now, lsn, record, out),
            broadcast::Output::Deliver { at, item, after, .. } => {
                self.gated.push_back(Gated::Delivery { at, item, after });
            }
            broadcast::Output::View(view) => self.view_changed(now, view),
            broadcast::Output::Outcome { decision, .. } => {
                let (Decision::Rejected(_) | Decision::Unknown) = decision;
                self.keeper.become_silent();
            }
            broadcast::Output::ReadReady { context, at_least } => {
                self.gated.push_back(Gated::Read { context, at_least });
            }
            broadcast::Output::Forwarded { from, node, letter: bytes } => {
                let letter = |bytes| Letter { from, node, bytes };
                self.letters.extend(packets(bytes).map(letter));
            }
            broadcast::Output::Answered { letter } => {
                self.gated.extend(packets(letter).map(Gated::Letter));
            }
            broadcast::Output::HeartbeatDue { link } => self.heartbeat(now, link),
            broadcast::Output::HeartbeatHeard { from, letter, .. } => {
                self.keeper.heard(from, &letter, now, &mut self.outgoing);
            }
            broadcast::Output::Trace(event) => self.events.push(event),
            broadcast::Output::Send { link, frame, after } => {
                if let Some(frame) = self.sends.push(link, frame, after, self.durable) {
                    out.push(Output::Send { link, frame });
                }
            }
            broadcast::Output::SendSnapshot { link } => self.send_snapshot(now, link, out),
            broadcast::Output::FetchSnapshot { link, at, rest } => {
                self.fetch(now, link, at, rest, out);
            }
            broadcast::Output::ResetTo { at } => self.reset(at, out),
            broadcast::Output::Close { link } => self.close(link, out),
            broadcast::Output::Listen { channel, addresses } => {
                out.push(Output::Listen { channel, addresses });
            }
            broadcast::Output::Unlisten { channel } => out.push(Output::Unlisten { channel }),
            broadcast::Output::Dial { link, channel, addresses } => {
                out.push(Output::Dial { link, channel, addresses });
            }
            broadcast::Output::ReadLog { link, from } => out.push(Output::ReadLog { link, from }),
            broadcast::Output::Fatal { reason } => out.push(Output::Fatal { reason }),
        }
    }

    fn view_changed(&mut self, now: Time, view: View) {
        match view {
            // What was delivered before comes first: the service goes on from there.
            View::Primary { last } => {
                self.gated.extend(self.configuration());
                self.gated.push_back(Gated::BecomePrimary { last });
            }
            View::Replica { .. } => {
                self.gated.extend(self.configuration());
                self.gated.push_back(Gated::BecomeReplica);
            }
            // At once, so that no more is proposed; what was delivered is still applied.
            View::Apart => {
                // Who asked for what is decided gets the answer: a change of the members may end
                // the role that decided it.
                self.pass_gates(now);
                self.letters.clear();
                self.gated.retain(|gated| matches!(gated, Gated::Delivery { .. }));
                self.settled = false;
                self.keeper.become_apart();
            }
            View::Silent => {
                self.letters.clear();
                self.gated.clear();
                self.settled = false;
                self.keeper.become_silent();
            }
        }
    }

    /// What the tree is to show as the configuration. One that an entry names which is not
    /// delivered yet comes with that.
    fn configuration(&self) -> Option<Gated> {
        let configuration = self.engine.configuration()?;
        let (version, text) = (Zxid(configuration.version()), configuration.to_string());
        let place = |gated: &Gated| {
            if let Gated::Delivery { at, .. } = gated { Some(*at) } else { None }
        };
        let delivered = self.gated.iter().rev().find_map(place);
        let delivered = delivered.unwrap_or_else(|| self.shared.read(Tree::last_zxid));
        let is_there = version.counter() == 0 || version <= delivered;
        is_there.then_some(Gated::Configuration { version, text })
    }

    fn heartbeat(&mut self, now: Time, link: LinkId) {
        let Member { shared, keeper, .. } = self;
        let letter = shared.with_clients(|_, clients| keeper.heartbeat(clients, now));
        let input = broadcast::Input::Heartbeat { link, letter };
        self.engine.handle(now, input, &mut self.engine_out);
    }

    fn persist(&mut self, now: Time, lsn: Lsn, record: Record, out: &mut Vec<Output>) {
        self.persisted = lsn;
        let size = record.entry().map(|(_, item)| u64::try_from(item.len()).unwrap_or(u64::MAX));
        out.push(match record {
            Record::Entry { at, item: record } => Output::Append { lsn, at, record },
            Record::Truncate { to } => Output::Truncate { lsn, to },
            Record::Register { name, value } => Output::Register { lsn, name, value },
            Record::Text { name, text } => Output::Text { lsn, name, text },
            Record::Slot(slot) => Output::Slot { lsn, slot },
            Record::Cut { from } => Output::Cut { lsn, from },
            Record::Base(base) => Output::Base { lsn, base },
            Record::Announced(base) => Output::Announced { lsn, base },
        });
        if size.is_some_and(|size| self.checkpoint.logged(size)) {
            out.push(Output::Roll);
            self.snapshot_wanted = true;
            self.snapshot_if_wanted(now, out);
        }
    }

    /// Has a configuration written for people and the next start, which an entry has brought.
    pub(super) fn keep_configuration(&mut self, out: &mut Vec<Output>) {
        if let Some(changed) = self.engine.take_changed() {
            let (lsn, text) = (self.persisted, Some(changed.to_string()));
            out.push(Output::Text { lsn, name: CONFIGURATION, text });
        }
    }

    /// Hands over what this member leads.
    pub(super) fn leave(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(to) = self.engine.successor() {
            self.tell_engine(now, broadcast::Input::TransferRequested { to }, out);
        }
    }

    /// Takes a snapshot if one is due, and all of the tree is decided: what a member finds on its
    /// disk may turn out to be void as long as it belongs to nothing.
    pub(super) fn snapshot_if_wanted(&mut self, now: Time, out: &mut Vec<Output>) {
        if !(self.snapshot_wanted && self.settled) {
            return;
        }
        self.snapshot_wanted = false;
        let began = self.snapshots.begin(now);
        let skipped = Output::Event(Event::SnapshotSkipped);
        out.push(if began { Output::TakeSnapshot } else { skipped });
    }
}
