//! What tests do and ask.

use super::net::Wire;
use super::{CLUSTER, Room, frame, item};
use crate::frames::{Message, VERSION, messages};
use crate::{Role, Status};
use base::{NodeId, Zxid};
use broadcast::{Context, Decision, Input, LinkId, Proposal, ReadLevel, View};
use std::time::Duration;

/// Whether a leader says that it sends a state.
pub(crate) fn is_state(event: &trace::Ensemble) -> bool {
    let snap = trace::SyncMethod::Snap;
    matches!(event, trace::Ensemble::LearnerSynced { method, .. } if *method == snap)
}

impl Room {
    pub(crate) fn status(&self, id: u64) -> Status {
        self.members[&id].engine.status()
    }

    /// Who says that it is primary, if anybody; the latest term counts.
    pub(crate) fn primary(&self) -> Option<u64> {
        let says = self.members.iter().filter(|(_, m)| matches!(m.view, View::Primary { .. }));
        says.max_by_key(|(_, member)| member.engine.status().term).map(|(id, _)| *id)
    }

    /// Waits for a primary that all running members follow.
    pub(crate) fn elect(&mut self) -> u64 {
        self.until("all serve", |room| {
            room.primary().is_some() && room.members.values().all(|m| m.engine.status().serving)
        });
        self.primary().expect("it was seen")
    }

    /// Waits for a primary.
    pub(crate) fn lead(&mut self) -> u64 {
        self.until("somebody is primary", |room| room.primary().is_some());
        self.primary().expect("it was seen")
    }

    /// Sees to it that this member leads.
    pub(crate) fn elect_one(&mut self, id: u64) {
        let leader = self.elect();
        if leader != id {
            self.give(leader, Input::TransferRequested { to: NodeId(id) });
            self.until("it leads", |room| room.primary() == Some(id));
            self.elect();
        }
    }

    /// Proposes, and lets all happen that can.
    pub(crate) fn propose(&mut self, id: u64, texts: &[&str]) -> Vec<Context> {
        let contexts = self.propose_only(id, texts);
        self.flow();
        contexts
    }

    pub(crate) fn propose_only(&mut self, id: u64, texts: &[&str]) -> Vec<Context> {
        let (mut proposals, mut contexts) = (Vec::new(), Vec::new());
        for text in texts {
            self.contexts += 1;
            let context = Context(self.contexts);
            let member = self.members.get_mut(&id).expect("it runs");
            member.next = member.next.next();
            proposals.push(Proposal { context, at: member.next, item: item(text) });
            contexts.push(context);
        }
        self.give(id, Input::Proposed(proposals));
        contexts
    }

    /// What became of a proposal: `Some(None)` if it was delivered where it was proposed.
    pub(crate) fn outcome(&self, id: u64, context: Context) -> Option<Option<Decision>> {
        self.members[&id].outcomes.get(&context).copied()
    }

    pub(crate) fn read(&mut self, id: u64, level: ReadLevel) -> Context {
        let context = self.read_only(id, level);
        self.flow();
        context
    }

    pub(crate) fn read_only(&mut self, id: u64, level: ReadLevel) -> Context {
        self.contexts += 1;
        let context = Context(self.contexts);
        let bound = match level {
            ReadLevel::Linearizable => self.decided(),
            ReadLevel::Proposed => Zxid::ZERO,
        };
        self.members.get_mut(&id).expect("it runs").asked.insert(context, bound);
        self.give(id, Input::ReadRequested { context, level });
        context
    }

    pub(crate) fn read_at(&self, id: u64, context: Context) -> Option<i64> {
        self.members[&id].ready.get(&context).map(|at| at.0)
    }

    /// What became of a read that cannot run.
    pub(crate) fn refused_read(&self, id: u64, context: Context) -> Option<Option<Decision>> {
        self.members[&id].refused.get(&context).map(|decision| Some(*decision))
    }

    /// All that a member has applied.
    pub(crate) fn state(&self, id: u64) -> Vec<String> {
        let state = self.members[&id].state.iter();
        state.map(|(_, item)| String::from_utf8_lossy(item).into_owned()).collect()
    }

    /// What a member has said since it was asked last.
    pub(crate) fn told(&mut self, id: u64) -> Vec<String> {
        let events = std::mem::take(&mut self.members.get_mut(&id).expect("it runs").events);
        events.into_iter().map(|event| trace::Event::Ensemble(event).to_string()).collect()
    }

    pub(crate) fn assert_all(&self, texts: &[&str]) {
        for id in self.members.keys() {
            assert_eq!(self.state(*id), texts, "member {id}");
        }
    }

    pub(crate) fn hold_disk(&mut self, id: u64) {
        self.disks.entry(id).or_default().held = true;
    }

    pub(crate) fn release_disk(&mut self, id: u64) {
        self.disks.entry(id).or_default().held = false;
        self.flow();
    }

    /// Nothing gets from one to the other; what is sent is kept until it does.
    pub(crate) fn cut(&mut self, one: u64, other: u64) {
        self.net.block(one, other);
        self.net.block(other, one);
    }

    /// Nobody can be reached by it, nor reach it.
    pub(crate) fn isolate(&mut self, id: u64) {
        let others: Vec<u64> = self.disks.keys().copied().filter(|other| *other != id).collect();
        others.into_iter().for_each(|other| self.cut(id, other));
    }

    /// Everything reaches everybody; what was kept arrives.
    pub(crate) fn heal(&mut self) {
        self.net.unblock_all();
        self.flow();
    }

    /// Everything reaches everybody; what was kept is lost with its connections.
    pub(crate) fn heal_anew(&mut self) {
        self.net.all().into_iter().for_each(|conn| self.net.reset(conn));
        self.heal();
    }

    pub(crate) fn pause(&mut self, id: u64) {
        self.members.get_mut(&id).expect("it runs").paused = true;
    }

    pub(crate) fn resume(&mut self, id: u64) {
        self.members.get_mut(&id).expect("it runs").paused = false;
    }

    /// Lets a member's election timeout pass, and nobody else's.
    pub(crate) fn time_out(&mut self, id: u64) {
        let timeout = self.setup.limits.election_timeout * 2;
        self.pass(id, timeout);
    }

    /// Lets time pass for one member.
    pub(crate) fn pass(&mut self, id: u64, time: Duration) {
        self.now += time;
        self.give(id, Input::TimerExpired);
    }

    pub(crate) fn role(&self, id: u64) -> Role {
        self.status(id).role
    }

    /// The test plays this member: it accepts all that dial it.
    pub(crate) fn play(&mut self, id: u64) {
        self.played.insert(id);
    }

    /// The played member that was dialled greets.
    pub(super) fn welcome(&mut self, conn: u64, id: u64) {
        let from = NodeId(id);
        let welcome = Message::Welcome { version: VERSION, cluster: CLUSTER, history: 0, from };
        let dialler = &mut self.net.conns.get_mut(&conn).expect("it was made")[0];
        dialler.queue.push_back(Wire::Bytes(frame(&welcome)));
    }

    /// A played member dials a real one, and greets.
    pub(crate) fn dial_as(&mut self, id: u64, to: u64) -> LinkId {
        let link = self.dial_silently(id, to);
        let (from, to_node) = (NodeId(id), NodeId(to));
        let (version, cluster, history, to) = (VERSION, CLUSTER, 0, to_node);
        let hello = Message::Hello { version, cluster, history, from, to };
        self.say(id, link, &hello);
        self.heard(id, link);
        link
    }

    /// A played member dials, and says nothing.
    pub(crate) fn dial_silently(&mut self, id: u64, to: u64) -> LinkId {
        self.play(id);
        self.contexts += 1;
        let link = LinkId(1000 + self.contexts);
        self.net.dial((id, link), Some(to));
        self.flow();
        link
    }

    pub(crate) fn say(&mut self, id: u64, link: LinkId, message: &Message) {
        self.say_bytes(id, link, frame(message));
    }

    pub(crate) fn say_bytes(&mut self, id: u64, link: LinkId, bytes: broadcast::Item) {
        self.transmit(id, link, Wire::Bytes(bytes));
        self.flow();
    }

    /// What a played member has heard on a link since it was asked last; `None` if it is closed.
    pub(crate) fn heard(&mut self, id: u64, link: LinkId) -> Option<Vec<Message>> {
        let (conn, side) = self.net.find(id, link)?;
        let queue = std::mem::take(&mut self.net.conns.get_mut(&conn)?[side].queue);
        let mut heard = Vec::new();
        for wire in queue {
            match wire {
                Wire::Bytes(bytes) => heard.extend(messages(&bytes)),
                Wire::Up | Wire::State(_) => {}
                Wire::Down(_) => return None,
            }
        }
        Some(heard)
    }

    /// What a played member has heard from a real one over the connection that that has dialled.
    pub(crate) fn asked_of(&mut self, id: u64, from: u64) -> Vec<Message> {
        let links = self
            .net
            .conns
            .values()
            .filter(|sides| sides[1].node == id && sides[0].node == from && !sides[0].gone);
        let links: Vec<LinkId> = links.map(|sides| sides[1].link).collect();
        let heard = links.into_iter().filter_map(|link| self.heard(id, link));
        heard.collect::<Vec<_>>().concat()
    }

    /// A played member answers on the connection that a real one has dialled.
    pub(crate) fn answer_as(&mut self, id: u64, to: u64, message: &Message) {
        let found = self
            .net
            .conns
            .values()
            .find(|sides| sides[1].node == id && sides[0].node == to && !sides[0].gone);
        let link = found.expect("it has dialled")[1].link;
        self.say(id, link, message);
    }

    /// A played member sends a state behind all that it has said on the link.
    pub(crate) fn say_state(&mut self, id: u64, link: LinkId, state: Vec<(Zxid, broadcast::Item)>) {
        self.transmit(id, link, Wire::State(state));
        self.flow();
    }
}
