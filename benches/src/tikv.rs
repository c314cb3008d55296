//! The `raft` crate of TiKV: driven as its documentation says, with all proposals that are there in
//! one message, and all messages that are there before the next `Ready`.

use crate::{Applied, Ensemble, Load, RECENT};
use bytes::Bytes;
use protobuf::Message as _;
use slog::{Discard, Logger, o};
use std::collections::VecDeque;
use tikv::eraftpb::{Entry, Message, MessageType};
use tikv::storage::MemStorage;
use tikv::{Config, RawNode, StateRole};

/// What goes over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Messages as they are in memory.
    Structs,
    /// Messages as bytes, without a checksum.
    Bytes,
}

struct Member {
    node: RawNode<MemStorage>,
    applied: Applied,
}

/// Something on its way.
enum Packet {
    Struct(Message),
    Bytes(Bytes),
}

/// Three of them.
pub(crate) struct Members {
    link: Link,
    members: Vec<Member>,
    inbox: Vec<VecDeque<Packet>>,
    next: usize,
    before: u64,
}

impl Members {
    pub(crate) fn start(link: Link) -> Members {
        let logger = Logger::root(Discard, o!());
        let member = |id: u64| {
            let config = Config {
                id,
                election_tick: 10,
                heartbeat_tick: 1,
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: 256,
                check_quorum: true,
                pre_vote: true,
                ..Config::default()
            };
            let store = MemStorage::new_with_conf_state((vec![1, 2, 3], Vec::new()));
            let node = RawNode::new(&config, store, &logger).expect("a good configuration");
            Member { node, applied: Applied::default() }
        };
        let members = (1..=3).map(member).collect();
        let inbox = (0..3).map(|_| VecDeque::new()).collect();
        let mut all = Members { link, members, inbox, next: 0, before: 0 };
        all.members[LEADER].node.campaign().expect("a voter may");
        all.flow(&Load::new(0, 8, 0));
        assert_eq!(all.members[LEADER].node.raft.state, StateRole::Leader);
        all
    }

    /// The next items, as many as may be under way, in one message.
    fn propose(&mut self, load: &Load) {
        let member = &mut self.members[LEADER];
        let under_way = self.next - (member.applied.items - self.before) as usize;
        let free = (load.window - under_way).min(load.items.len() - self.next);
        if free == 0 {
            return;
        }
        let entry = |item: &Bytes| Entry { data: item.clone(), ..Entry::default() };
        let entries: Vec<Entry> =
            load.items[self.next..self.next + free].iter().map(entry).collect();
        let mut message = Message { from: 1, ..Message::default() };
        message.set_msg_type(MessageType::MsgPropose);
        message.entries = entries.into();
        member.node.step(message).expect("the leader takes it");
        self.next += free;
    }

    fn flow(&mut self, load: &Load) {
        loop {
            let mut is_idle = true;
            for id in 0..self.members.len() {
                let node = &mut self.members[id].node;
                for packet in self.inbox[id].drain(..) {
                    let message = match packet {
                        Packet::Struct(message) => message,
                        Packet::Bytes(bytes) => {
                            Message::parse_from_carllerche_bytes(&bytes).expect("good bytes")
                        }
                    };
                    node.step(message).expect("a good message");
                }
                while self.members[id].node.has_ready() {
                    is_idle = false;
                    self.ready(id, load);
                }
            }
            if is_idle {
                return;
            }
        }
    }

    fn ready(&mut self, id: usize, load: &Load) {
        let member = &mut self.members[id];
        let mut ready = member.node.ready();
        let messages = ready.take_messages();
        let committed = ready.take_committed_entries();
        let last = ready.entries().last().map_or(0, |entry| entry.index);
        let mut store = member.node.mut_store().wl();
        store.append(ready.entries()).expect("in order");
        if let Some(hard) = ready.hs() {
            store.set_hardstate(hard.clone());
        }
        if last % RECENT as u64 > 0 && last / RECENT as u64 > (last - 1) / RECENT as u64 {
            store.compact(last - RECENT as u64).expect("it is there");
        }
        drop(store);
        let persisted = ready.take_persisted_messages();
        let mut light = member.node.advance(ready);
        if let Some(commit) = light.commit_index() {
            member.node.mut_store().wl().mut_hard_state().set_commit(commit);
        }
        let more = light.take_messages();
        let before = member.applied.items;
        for entry in committed.into_iter().chain(light.take_committed_entries()) {
            if !entry.data.is_empty() {
                member.applied.apply(&entry.data);
            }
        }
        member.node.advance_apply();
        let has_applied = member.applied.items > before;
        for message in messages.into_iter().chain(persisted).chain(more) {
            self.send(message);
        }
        if id == LEADER && has_applied {
            self.propose(load);
        }
    }

    fn send(&mut self, message: Message) {
        let to = message.to as usize - 1;
        self.inbox[to].push_back(match self.link {
            Link::Structs => Packet::Struct(message),
            Link::Bytes => Packet::Bytes(message.write_to_bytes().expect("in memory").into()),
        });
    }
}

impl Ensemble for Members {
    fn run(&mut self, load: &Load) {
        (self.next, self.before) = (0, self.members[LEADER].applied.items);
        self.propose(load);
        self.flow(load);
    }

    fn applied(&self) -> Vec<Applied> {
        self.members.iter().map(|member| member.applied).collect()
    }
}

/// Who is made to lead.
const LEADER: usize = 0;
