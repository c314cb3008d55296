//! What a host does for an engine: gates, connections, the disk, states.

use super::net::Wire;
use super::{Member, Room};
use base::{Lsn, Zxid};
use broadcast::{Context, Input, Item, LinkId, Output, View};

impl Room {
    pub(super) fn perform(&mut self, id: u64, out: Vec<Output>) {
        for output in out {
            self.note(format!("{id} -> {}", show(&output)));
            self.transcript.output(self.now, id, &output);
            self.act(id, output);
        }
        self.pump(id);
    }

    fn act(&mut self, id: u64, output: Output) {
        let member = self.members.get_mut(&id).expect("it acts");
        match output {
            Output::Persist { lsn, record } => {
                assert!(
                    member.fetching.is_none() || record.entry().is_none(),
                    "nothing is logged behind a state that is to come"
                );
                self.disks.entry(id).or_default().write(lsn, record);
            }
            Output::Send { link, .. } | Output::SendSnapshot { link } | Output::Close { link } => {
                if let Output::Close { link } = output
                    && !self.disks.get(&id).is_some_and(|disk| disk.has_state(link))
                {
                    // One that is there whole is stored all the same.
                    member.fetching.take_if(|(on, _)| *on == link);
                }
                let member = self.members.get_mut(&id).expect("it acts");
                member.links.entry(link).or_default().push_back(output);
            }
            Output::Deliver { .. } | Output::View(_) | Output::Answered { .. } => {
                member.stream.push_back(output);
            }
            Output::Outcome { context, decision } => member.decided(context, Some(decision)),
            Output::ReadReady { context, at_least } => {
                let bound = member.asked.get(&context).expect("it was asked for");
                assert!(at_least >= *bound, "R13: a read at {at_least}, decided was {bound}");
                assert!(member.ready.insert(context, at_least).is_none(), "a read is ready once");
            }
            Output::Forwarded { from, letter, .. } => {
                member.forwarder = Some(from);
                member.letters.push(letter);
            }
            Output::HeartbeatHeard { letter, .. } => member.letters.push(letter),
            Output::HeartbeatDue { link } => {
                let letter = Item::from_static(b"beat");
                self.give(id, Input::Heartbeat { link, letter });
            }
            Output::Listen { .. } | Output::Unlisten { .. } => {}
            Output::Dial { link, addresses, .. } => self.dial(id, link, &addresses[0]),
            Output::FetchSnapshot { link, at, rest } => {
                assert!(rest.is_empty(), "the state comes by itself here");
                assert!(member.fetching.replace((link, at)).is_none(), "one state at a time");
                member.stream.retain(|output| !matches!(output, Output::Deliver { .. }));
            }
            Output::Fatal { reason } => member.fatal = Some(reason),
            Output::Trace(trace::Event::Ensemble(event)) => member.events.push(event),
            Output::Trace(_) => {}
            Output::ResetTo { .. } | Output::ReadLog { .. } => panic!("Raft needs no such thing"),
        }
    }

    fn dial(&mut self, id: u64, link: LinkId, address: &str) {
        let to: u64 = address[1..address.len() - 2].parse().expect("an address of the room");
        let is_there = self.members.contains_key(&to) || self.played.contains(&to);
        let reached = is_there && !self.net.is_blocked(id, to);
        let conn = self.net.dial((id, link), reached.then_some(to));
        if reached && self.played.contains(&to) {
            self.welcome(conn, to);
        }
    }

    /// Something arrives. Says whether anything did.
    pub(crate) fn arrive(&mut self, conn: u64, side: usize) -> bool {
        let Some(sides) = self.net.conns.get_mut(&conn) else { return false };
        let (node, link) = (sides[side].node, sides[side].link);
        if self.played.contains(&node) {
            return false; // the test looks at it itself
        }
        let Some(member) = self.members.get_mut(&node) else { return false };
        let is_state = matches!(sides[side].queue.front(), Some(Wire::State(_)));
        let is_down = matches!(sides[side].queue.front(), Some(Wire::Down(_)));
        let fetches = member.fetching.is_some_and(|(on, _)| on == link);
        if member.paused || (fetches && !is_state && !is_down) {
            return false;
        }
        match sides[side].queue.pop_front().expect("it is deliverable") {
            Wire::Up => self.give(node, Input::LinkUp { link, channel: crate::PEERS }),
            Wire::Bytes(bytes) => self.give(node, Input::Received { link, bytes }),
            Wire::Down(reason) => {
                self.lost(node, link);
                self.net.leave(conn, side);
                self.give(node, Input::LinkDown { link, reason: reason.to_owned() });
            }
            Wire::State(state) => {
                let Some((_, at)) = member.fetching.filter(|_| fetches) else {
                    return true; // it was given up
                };
                let last = state.last().map_or(Zxid::ZERO, |(at, _)| *at);
                assert!(last >= at, "a state named {at} ends at {last}");
                self.disks.get_mut(&node).expect("it runs").store(state, link, at);
                self.give(node, Input::SnapshotReceived { link });
            }
        }
        true
    }

    /// A state whose link is gone does not come; one that is there whole is stored all the same.
    fn lost(&mut self, id: u64, link: LinkId) {
        let member = self.members.get_mut(&id).expect("it runs");
        member.links.remove(&link);
        let is_stored = self.disks[&id].has_state(link);
        member.fetching.take_if(|(on, _)| *on == link && !is_stored);
    }

    /// Makes the next records durable.
    pub(crate) fn sync(&mut self, id: u64, count: usize) {
        let synced = self.disks.get_mut(&id).expect("it has one").sync(count);
        let state = self.disks[&id].state.clone();
        let Some(member) = self.members.get_mut(&id) else { return };
        if let Some(upto) = synced.upto {
            self.transcript.durable(self.now, id, upto);
            member.durable = upto;
            self.pump(id);
            self.give(id, Input::Durable { upto });
        }
        for (link, at) in synced.installed {
            let member = self.members.get_mut(&id).expect("it runs");
            member.state.clone_from(&state);
            member.fetching = None;
            self.transcript.installed(self.now, id, at);
            let rest = Item::new();
            self.give(id, Input::SnapshotInstalled { link, at, rest });
        }
    }

    /// Lets out what waits for nothing any more.
    pub(super) fn pump(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let durable = member.durable;
        let is_open = |output: &Output| match output {
            Output::Send { after, .. } | Output::Deliver { after, .. } => *after <= durable,
            _ => true,
        };
        let mut open = Vec::new();
        for queue in member.links.values_mut().chain([&mut member.stream]) {
            let count = queue.iter().take_while(|output| is_open(output)).count();
            open.extend(queue.drain(..count));
        }
        // What is delivered comes first: a state that is sent holds it.
        open.sort_by_key(|output| !matches!(output, Output::Deliver { .. } | Output::View(_)));
        for output in open {
            self.open(id, output);
        }
    }

    fn open(&mut self, id: u64, output: Output) {
        match output {
            Output::Send { link, frame, .. } => {
                self.check_claims(id, link, &frame);
                self.transmit(id, link, Wire::Bytes(frame));
            }
            Output::SendSnapshot { link } => {
                let state = self.members[&id].state.clone();
                self.transmit(id, link, Wire::State(state));
            }
            Output::Close { link } => {
                if let Some((conn, side)) = self.net.find(id, link) {
                    self.net.leave(conn, side);
                }
            }
            Output::Deliver { at, context, item, .. } => self.deliver(id, at, context, item),
            Output::View(view) => self.members.get_mut(&id).expect("it runs").viewed(view),
            Output::Answered { letter } => {
                self.members.get_mut(&id).expect("it runs").letters.push(letter);
            }
            other => unreachable!("{other:?} has no gate"),
        }
    }

    pub(super) fn transmit(&mut self, id: u64, link: LinkId, what: Wire) {
        let Some((conn, side)) = self.net.find(id, link) else { return };
        let sides = self.net.conns.get_mut(&conn).expect("it was found");
        let way = (id, sides[1 - side].node);
        match &what {
            Wire::Bytes(bytes) => self.transcript.sent(self.now, way, bytes),
            Wire::State(state) => self.transcript.state_sent(self.now, way, state.len()),
            Wire::Up | Wire::Down(_) => {}
        }
        if !sides[1 - side].gone {
            sides[1 - side].queue.push_back(what);
        }
    }

    fn deliver(&mut self, id: u64, at: Zxid, context: Option<Context>, item: Item) {
        let member = self.members.get_mut(&id).expect("it runs");
        if let Some(context) = context {
            member.decided(context, None);
        }
        // A state that was sent may hold some of what comes behind it.
        if member.state.last().is_some_and(|(last, _)| *last >= at) {
            assert!(member.state.contains(&(at, item)), "{at} is new to the state of {id}");
            return;
        }
        self.transcript.delivered(self.now, id, at, &item);
        member.state.push((at, item));
        self.applied(id);
    }

    /// The state of a member is stored by itself.
    pub(crate) fn checkpoint(&mut self, id: u64) {
        let Some(member) = self.members.get(&id).filter(|m| m.fetching.is_none()) else { return };
        let at = self.disks.get_mut(&id).expect("it runs").checkpoint(&member.state);
        self.give(id, Input::Checkpointed { at });
        self.flow_disk(id);
    }

    fn flow_disk(&mut self, id: u64) {
        if !self.disks[&id].held {
            self.sync(id, usize::MAX);
        }
    }
}

impl Member {
    /// A proposal has its outcome; `None` if it was delivered.
    fn decided(&mut self, context: Context, decision: Option<broadcast::Decision>) {
        if self.asked.contains_key(&context) {
            self.refused.extend(decision.map(|decision| (context, decision)));
            return; // a read that cannot run here
        }
        assert!(self.outcomes.insert(context, decision).is_none(), "one outcome per proposal");
    }

    fn viewed(&mut self, view: View) {
        self.view = view;
        if let View::Primary { last } = view {
            let has = self.state.last().map_or(Zxid::ZERO, |(at, _)| *at);
            assert_eq!(has, last, "a primary has applied all of its log");
            self.next = last;
        }
    }
}

fn show(output: &Output) -> String {
    match output {
        Output::Send { link, frame, after } => {
            format!("Send {link:?} after {:?} {}", after, crate::show(frame))
        }
        Output::Persist { lsn: Lsn(lsn), record } => {
            let mut text = format!("Persist {lsn} {record:?}");
            text.truncate(text.floor_char_boundary(120));
            text
        }
        other => {
            let mut text = format!("{other:?}");
            text.truncate(text.floor_char_boundary(120));
            text
        }
    }
}
