//! A whole member with its journal and its connections on one thread: what a server does between
//! its sockets and its disk, one step after the other.

use crate::requests::{self, DATA, PARENT, Request};
use crate::sink::Sink;
use base::{ConnectionId, Machine, Rng, Time, WallTime, Zxid};
use jute::{Decode, Reader};
use keeper::{Clients, Connection, Desk, Frame, Frames, Submissions, Watches};
use node::{
    CheckpointConfig, EngineConfig, Input, Journal, Member, Output, Progress, Shared, Start,
};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use storage::{LogOptions, TxnLog};
use tree::Tree;
use wire::{Acls, CreateKind, CreateTxn, ReplyHeader, Txn, TxnHeader, TxnRecord};

/// What the member and the connections share.
struct Served {
    tree: Tree,
    watches: Watches,
    table: Table,
}

/// The connections by slot, each with its frames.
#[derive(Default)]
struct Table(Vec<(Connection, Frames)>);

#[derive(Clone)]
struct Hall(Rc<RefCell<Served>>);

/// The member and all around it.
pub(crate) struct House {
    config: Arc<keeper::Config>,
    hall: Hall,
    member: Member<Hall>,
    journal: Journal<Sink>,
    inbox: Submissions,
    outputs: Vec<Output>,
    /// Its memory goes from one connection to the next, as in a server.
    sent: Vec<u8>,
}

impl House {
    /// With so many nodes and no session.
    pub(crate) fn new(nodes: usize) -> House {
        let config = Arc::new(keeper::Config::standalone());
        let (watches, table) = (Watches::default(), Table::default());
        let hall = Hall(Rc::new(RefCell::new(Served { tree: tree(nodes), watches, table })));
        let checkpoint = CheckpointConfig { txns: u64::from(u32::MAX), log_bytes: None };
        let member_config = node::Config {
            keeper: Arc::clone(&config),
            checkpoint,
            engine: EngineConfig::Solo,
            tree: tree::Config::default(),
            field_size_max: config.field_size_max,
        };
        let mut outputs = Vec::new();
        let shared = hall.clone();
        let rng = Rng::new(1);
        let start = Start::default();
        let member = Member::recover(shared, &member_config, start, NOW, WALL, rng, &mut outputs)
            .expect("a server alone has nothing to refuse");
        let journal = Journal::new(TxnLog::new(Sink::default(), "/log", LogOptions::default()));
        let (inbox, sent) = (Submissions::default(), Vec::new());
        let mut house = House { config, hall, member, journal, inbox, outputs, sent };
        house.perform();
        house
    }

    /// A fresh connection; gives its slot.
    pub(crate) fn accept(&mut self) -> usize {
        let table = &mut self.hall.0.borrow_mut().table;
        let slot = table.0.len();
        let id = ConnectionId { slot: u32::try_from(slot).expect("few"), generation: 1 };
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
        let connection = Connection::new(id, remote, NOW, &self.config);
        table.0.push((connection, Frames::new(self.config.frame_size_max)));
        slot
    }

    /// A connection with an open session.
    pub(crate) fn session(&mut self) -> usize {
        let slot = self.accept();
        let mut frame = Vec::new();
        requests::connect(&mut frame);
        self.receive(slot, &frame);
        self.turn();
        assert!(self.send(slot) > 0 && self.is_open(slot), "a session is open");
        slot
    }

    /// The connection's task has read some bytes.
    pub(crate) fn receive(&mut self, slot: usize, bytes: &[u8]) {
        let Served { tree, watches, table } = &mut *self.hall.0.borrow_mut();
        let (connection, frames) = &mut table.0[slot];
        let submissions = &mut self.inbox;
        let mut desk = Desk { now: NOW, config: &self.config, tree, watches, submissions };
        connection.resume(&mut desk);
        let mut at = 0;
        while let Ok(Frame::Payload(range)) = frames.next(&bytes[at..], |_| false) {
            assert!(connection.wants_more(), "the batch is smaller than any limit");
            connection.receive(&bytes[at + range.start..at + range.end], &mut desk);
            at += range.end;
        }
    }

    /// The member's turn: prepare, append, commit, apply, answer.
    pub(crate) fn turn(&mut self) {
        let spare = self.member.spare();
        let submissions = std::mem::replace(&mut self.inbox, spare);
        self.handle(Input::Submitted { submissions, wall: WALL });
        while let Ok(Progress::Durable(upto)) = self.journal.commit() {
            self.handle(Input::Durable { upto, wall: WALL });
        }
    }

    /// The connection's task sends; gives how many bytes there were.
    pub(crate) fn send(&mut self, slot: usize) -> usize {
        let table = &mut self.hall.0.borrow_mut().table;
        table.0[slot].0.take_output(&mut self.sent);
        self.sent.len()
    }

    /// How many frames were sent last, none of them an error.
    pub(crate) fn replies(&self) -> usize {
        let mut reader = Reader::new(&self.sent);
        let mut count = 0;
        while let Ok(Some(frame)) = reader.buffer() {
            let header = ReplyHeader::decode(&mut Reader::new(frame)).expect("a reply");
            assert_eq!(header.err, 0, "a request failed");
            count += 1;
        }
        count
    }

    /// Whether a session is open on the connection.
    pub(crate) fn is_open(&self, slot: usize) -> bool {
        self.hall.0.borrow().table.0[slot].0.is_open()
    }

    /// The last transaction that was applied.
    pub(crate) fn last_zxid(&self) -> Zxid {
        self.hall.0.borrow().tree.last_zxid()
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.hall.0.borrow().tree.node_count()
    }

    fn handle(&mut self, input: Input) {
        self.member.handle(NOW, input, &mut self.outputs);
        self.perform();
    }

    fn perform(&mut self) {
        for output in self.outputs.drain(..) {
            self.journal.perform(output).expect("a sink takes everything");
        }
    }
}

impl Shared for Hall {
    fn read<R>(&self, act: impl FnOnce(&Tree) -> R) -> R {
        act(&self.0.borrow().tree)
    }

    fn with_clients<R>(&self, act: impl FnOnce(&Tree, &mut dyn Clients) -> R) -> R {
        let Served { tree, table, .. } = &mut *self.0.borrow_mut();
        act(tree, table)
    }

    fn write<R>(&self, act: impl FnOnce(&mut Tree, &mut Watches, &mut dyn Clients) -> R) -> R {
        let Served { tree, watches, table } = &mut *self.0.borrow_mut();
        act(tree, watches, table)
    }
}

impl Clients for Table {
    fn with(&mut self, connection: ConnectionId, act: &mut dyn FnMut(&mut Connection)) {
        if let Some((found, _)) = self.0.get_mut(connection.slot as usize) {
            act(found);
        }
    }

    fn look_at_all(&mut self, look: &mut dyn FnMut(&Connection)) {
        self.0.iter().for_each(|(connection, _)| look(connection));
    }
}

/// A tree with [`PARENT`] and so many nodes below it.
pub(crate) fn tree(nodes: usize) -> Tree {
    let mut tree = Tree::new(tree::Config::default());
    let parents = PARENT.match_indices('/').skip(1).map(|(at, _)| PARENT[..at].to_owned());
    let paths = parents.chain([PARENT.to_owned()]).chain((0..nodes).map(requests::old));
    for (number, path) in paths.enumerate() {
        let zxid = i64::try_from(number + 1).expect("few nodes");
        let op = Request::Create.op().number();
        let header = TxnHeader { client_id: 0, cxid: 0, zxid, time: WALL.0, op };
        let create = CreateTxn {
            kind: CreateKind::Create,
            path: Cow::Owned(path),
            data: Some(&DATA),
            acl: Acls::OPEN,
            ephemeral: false,
            parent_cversion: -1,
        };
        let record = TxnRecord { header, txn: Txn::Create(create), digest: None };
        let applied = tree.apply(&record, &mut |_| {});
        assert_eq!(applied.results.err(), 0, "the tree is built");
    }
    tree
}

/// Time stands still.
pub(crate) const NOW: Time = Time(1_000_000_000);
/// So does wall time.
pub(crate) const WALL: WallTime = WallTime(1_700_000_000_000);
