//! What waits for a member's disk: frames in order on each link, deliveries and views in order.

use super::Room;
use base::Lsn;
use broadcast::{Input, Item, LinkId, Output, View};
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
pub(super) struct Gates {
    pub(super) durable: Lsn,
    /// States, and what comes behind them, are not sent yet.
    states_held: bool,
    links: BTreeMap<LinkId, VecDeque<Output>>,
    stream: VecDeque<Output>,
}

impl Gates {
    pub(super) fn push(&mut self, output: Output) {
        match &output {
            Output::Send { link, .. } | Output::SendSnapshot { link } | Output::Close { link } => {
                self.links.entry(*link).or_default().push_back(output);
            }
            _ => self.stream.push_back(output),
        }
    }

    /// Everything whose gate is open.
    fn open(&mut self) -> Vec<Output> {
        let (durable, states_held) = (self.durable, self.states_held);
        let is_open = |output: &Output| match output {
            Output::Send { after, .. } | Output::Deliver { after, .. } => *after <= durable,
            Output::SendSnapshot { .. } => !states_held,
            _ => true,
        };
        let mut open = Vec::new();
        let queues = self.links.values_mut().chain([&mut self.stream]);
        for queue in queues {
            let count = queue.iter().take_while(|output| is_open(output)).count();
            open.extend(queue.drain(..count));
        }
        self.links.retain(|_, queue| !queue.is_empty());
        open
    }
}

impl Room {
    /// A member takes its time before it sends a state.
    pub(in crate::tests) fn hold_states(&mut self, id: u64) {
        self.members.get_mut(&id).expect("it runs").gates.states_held = true;
    }

    pub(in crate::tests) fn release_states(&mut self, id: u64) {
        self.members.get_mut(&id).expect("it runs").gates.states_held = false;
        self.pump(id);
        self.flow();
    }

    /// Lets out what waits for nothing any more.
    pub(super) fn pump(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        for output in member.gates.open() {
            match output {
                Output::Send { link, frame, .. } => self.send((id, link), &frame),
                Output::SendSnapshot { link } => self.send_state(id, link),
                Output::Close { link } => self.close((id, link)),
                Output::Deliver { at, item, .. } => self.deliver(id, at, item),
                Output::View(view) => self.seen(id, view),
                other => unreachable!("{other:?} has no gate"),
            }
        }
    }

    fn deliver(&mut self, id: u64, at: base::Zxid, item: Item) {
        let member = self.members.get_mut(&id).expect("it runs");
        self.transcript.delivered(self.now, id, at, &item);
        // A state that was sent while it was in use may hold some of what comes behind it.
        if member.state.last().is_some_and(|(last, _)| *last >= at) {
            assert!(member.state.contains(&(at, item)), "{at} is new to the state of {id}");
            return;
        }
        member.state.push((at, item));
        self.applied(id);
    }

    fn seen(&mut self, id: u64, view: View) {
        let member = self.members.get_mut(&id).expect("it runs");
        member.view = view;
        match view {
            View::Primary { last } => {
                member.next = last;
                self.applied(id);
            }
            View::Replica { .. } => self.applied(id),
            View::Apart | View::Silent => {}
        }
    }

    /// Sends all that is applied: its size, then each entry.
    fn send_state(&mut self, id: u64, link: LinkId) {
        let mut body = Vec::new();
        for (at, item) in &self.members[&id].state {
            body.extend_from_slice(&at.0.to_be_bytes());
            body.extend_from_slice(&(item.len() as u64).to_be_bytes());
            body.extend_from_slice(item);
        }
        let mut bytes = (body.len() as u64).to_be_bytes().to_vec();
        bytes.extend_from_slice(&body);
        self.transcript.state_sent(self.now, id, self.members[&id].state.len());
        self.transmit((id, link), bytes.into());
    }

    /// More of a state came in.
    pub(super) fn fetched(&mut self, id: u64, more: &[u8]) {
        let member = self.members.get_mut(&id).expect("it runs");
        let Some(fetching) = &mut member.fetching else { return };
        fetching.bytes.extend_from_slice(more);
        let Some(size) = fetching.bytes.first_chunk().map(|size| u64::from_be_bytes(*size)) else {
            return;
        };
        let end = 8 + size as usize;
        if fetching.bytes.len() < end {
            return;
        }
        let fetching = member.fetching.take().expect("it is there");
        let (mut body, rest) = (&fetching.bytes[8..end], &fetching.bytes[end..]);
        let mut state = Vec::new();
        while let Some((at, more)) = body.split_first_chunk() {
            let (len, more) = more.split_first_chunk().expect("a whole entry");
            let (text, more) = more.split_at(u64::from_be_bytes(*len) as usize);
            state.push((base::Zxid(i64::from_be_bytes(*at)), Item::copy_from_slice(text)));
            body = more;
        }
        let link = fetching.link;
        self.events.push_back((id, Input::SnapshotReceived { link }));
        let rest = Item::copy_from_slice(rest);
        self.disks.entry(id).or_default().store(state, (link, fetching.at), rest);
    }

    /// Makes the next records of a member's disk durable.
    pub(super) fn flush(&mut self, id: u64, count: usize) {
        let disk = self.disks.entry(id).or_default();
        let (durable, facts) = disk.flush(count);
        let Some(member) = self.members.get_mut(&id) else { return };
        if let Some(upto) = durable {
            member.gates.durable = upto;
            self.transcript.durable(self.now, id, upto);
            self.events.push_back((id, Input::Durable { upto }));
        }
        for fact in facts {
            match &fact {
                Input::SnapshotInstalled { .. } | Input::ResetDone { .. } => {
                    member.state.clone_from(&disk.entries);
                }
                _ => {}
            }
            self.transcript.fact(self.now, id, &fact);
            self.events.push_back((id, fact));
        }
        self.pump(id);
    }
}
