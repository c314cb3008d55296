//! A keeper, a tree and connections whose clients check what they get.
//!
//! Invariants that every step keeps: replies come in request order, each request once; their
//! zxids never go back; a transaction's digest is the tree's. [`House::settle`] checks the rest:
//! nothing stays unanswered, no ephemeral node outlives its session, and the tree is the same
//! after a snapshot of it.

use crate::trees::{self, Fuzzy};
use base::{ConnectionId, SessionId, Time, WallTime};
use jute::{Decode, Encode, Reader};
use keeper::{
    Ask, Clients, Config, Connection, Desk, Keeper, Origin, Outgoing, Proposal, Section,
    Submissions, Watches,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use trace::Event;
use tree::Tree;
use wire::{ConnectRequest, ConnectResponse, OpCode, PASSWORD_SIZE, ReplyHeader, TxnRecord, xid};

/// Clients of a house; a slot's client is replaced when it connects again.
pub(crate) const SLOTS: u8 = 4;

pub(crate) struct House {
    config: Arc<Config>,
    tree: Tree,
    watches: Watches,
    keeper: Keeper,
    now: Time,
    clients: Vec<Client>,
    inbox: Submissions,
    order: VecDeque<Proposal>,
    events: Vec<Event>,
    /// A snapshot under way, and what was delivered since it began.
    snapshot: Option<(Fuzzy, Vec<Proposal>)>,
}

/// A connection and what its client waits for.
struct Client {
    connection: Connection,
    /// The xids of the requests that are to be answered, oldest first.
    asked: VecDeque<i32>,
    /// Whether the answer to the handshake has come.
    greeted: bool,
    /// Whether replies can be told from events: no request had an event's xid.
    is_plain: bool,
    zxid: i64,
    session: SessionId,
    password: [u8; PASSWORD_SIZE],
}

struct Table<'a>(&'a mut [Client]);

impl Clients for Table<'_> {
    fn with(&mut self, id: ConnectionId, act: &mut dyn FnMut(&mut Connection)) {
        if let Some(client) = self.0.get_mut(id.slot as usize)
            && client.connection.id() == id
        {
            act(&mut client.connection);
        }
    }

    fn look_at_all(&mut self, look: &mut dyn FnMut(&Connection)) {
        self.0.iter().for_each(|client| look(&client.connection));
    }
}

impl Client {
    fn new(slot: u32, generation: u32, now: Time, config: &Config) -> Client {
        let remote = ([127, 0, 0, 1], 40000).into();
        Client {
            connection: Connection::new(ConnectionId { slot, generation }, remote, now, config),
            asked: VecDeque::new(),
            greeted: false,
            is_plain: true,
            zxid: 0,
            session: SessionId::NONE,
            password: [0; PASSWORD_SIZE],
        }
    }

    /// Takes what was sent and checks it.
    fn take(&mut self) {
        let mut bytes = Vec::new();
        self.connection.take_output(&mut bytes);
        let mut stream = Reader::new(&bytes);
        while !stream.is_empty() {
            let frame = stream.buffer().expect("a whole frame").expect("a frame is not null");
            if self.greeted { self.check(frame) } else { self.greet(frame) }
        }
    }

    fn greet(&mut self, frame: &[u8]) {
        let response = ConnectResponse::decode(&mut Reader::new(frame)).expect("a response");
        self.greeted = true;
        if response.timeout_ms == 0 {
            assert!(self.connection.is_closed());
            return;
        }
        self.session = SessionId(response.session_id);
        self.password = response.password;
        assert!(self.session == self.connection.session() || self.connection.is_closed());
    }

    fn check(&mut self, frame: &[u8]) {
        let header = ReplyHeader::decode(&mut Reader::new(frame)).expect("a reply has a header");
        if !self.is_plain {
            return;
        }
        if header.xid == xid::NOTIFICATION {
            let mut body = Reader::new(&frame[wire::REPLY_HEADER_SIZE..]);
            let event = body.int().expect("an event's type");
            assert!((1..=4).contains(&event) && body.int() == Ok(3));
            assert!(body.string().expect("an event's path").is_some() && body.is_empty());
            return;
        }
        assert_eq!(self.asked.pop_front(), Some(header.xid), "replies come in request order");
        assert!(header.zxid >= self.zxid, "the client's view never goes back");
        self.zxid = header.zxid;
        assert!(header.err == 0 || wire::ErrorCode::from_number(header.err).is_some());
    }
}

impl House {
    /// Over a tree, with no client connected.
    pub(crate) fn new(tree: Tree, change: impl FnOnce(&mut Config)) -> House {
        let mut config = Config::standalone();
        config.owners = trees::OWNERS;
        change(&mut config);
        let config = Arc::new(config);
        let now = Time::ZERO;
        let mut keeper = Keeper::new(Arc::clone(&config), WallTime(0));
        keeper.become_primary(&tree, tree.last_zxid(), now);
        let clients =
            (0..u32::from(SLOTS)).map(|slot| Client::new(slot, 0, now, &config)).collect();
        House {
            config,
            tree,
            watches: Watches::default(),
            keeper,
            now,
            clients,
            inbox: Submissions::default(),
            order: VecDeque::new(),
            events: Vec::new(),
            snapshot: None,
        }
    }

    /// A client opens a session and has it.
    pub(crate) fn open(&mut self, slot: u8) {
        self.connect(slot, SessionId::NONE, [0; PASSWORD_SIZE]);
        self.prepare();
        self.deliver(usize::MAX);
        self.take(slot);
    }

    /// A client asks for a session over a connection that was only just accepted.
    fn connect(&mut self, slot: u8, session: SessionId, password: [u8; PASSWORD_SIZE]) {
        let mut frame = Vec::new();
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 10_000,
            session_id: session.0,
            password: &password,
            read_only: Some(false),
        }
        .encode(&mut frame);
        self.send(slot, &frame);
    }

    /// The client's connection is lost; it comes back on another with nothing sent.
    pub(crate) fn drop_connection(&mut self, slot: u8) {
        let slot = usize::from(slot % SLOTS);
        let client = &self.clients[slot];
        let (id, session) = (client.connection.id(), client.connection.session());
        let last_heard = client.connection.last_heard();
        self.watches.remove_connection(id);
        if session != SessionId::NONE {
            let ids = keeper::Ids::default();
            let arrived = self.now;
            let origin = Origin { connection: id, session, xid: 0, ids: &ids, arrived };
            self.inbox.ask(origin, Ask::Detach { last_heard });
        }
        let next = Client::new(id.slot, id.generation + 1, self.now, &self.config);
        let Client { session, password, .. } = std::mem::replace(&mut self.clients[slot], next);
        self.clients[slot].session = session;
        self.clients[slot].password = password;
    }

    /// The client connects anew and asks for the session that it had.
    pub(crate) fn reconnect(&mut self, slot: u8) {
        self.drop_connection(slot);
        let client = &self.clients[usize::from(slot % SLOTS)];
        let (session, password) = (client.session, client.password);
        self.connect(slot, session, password);
    }

    /// A client asks for the session of another.
    pub(crate) fn steal(&mut self, slot: u8, from: u8) {
        let client = &self.clients[usize::from(from % SLOTS)];
        let (session, password) = (client.session, client.password);
        self.drop_connection(slot);
        self.connect(slot, session, password);
    }

    /// A frame arrives, if the connection takes any.
    pub(crate) fn send(&mut self, slot: u8, frame: &[u8]) {
        let slot = usize::from(slot % SLOTS);
        let client = &mut self.clients[slot];
        if !client.connection.wants_more() {
            return;
        }
        client.take();
        let was_open = client.connection.is_open();
        let mut desk = Desk {
            now: self.now,
            config: &self.config,
            tree: &self.tree,
            watches: &mut self.watches,
            submissions: &mut self.inbox,
        };
        if was_open && let Some((xid, is_immediate)) = expected(frame) {
            client.is_plain &= xid != xid::NOTIFICATION;
            if is_immediate {
                client.connection.receive(frame, &mut desk);
                return client.take_immediate(xid);
            }
            client.asked.push_back(xid);
        }
        client.connection.receive(frame, &mut desk);
    }

    /// The client takes its output, and the reads that waited for that go on.
    pub(crate) fn take(&mut self, slot: u8) {
        let client = &mut self.clients[usize::from(slot % SLOTS)];
        client.take();
        let mut desk = Desk {
            now: self.now,
            config: &self.config,
            tree: &self.tree,
            watches: &mut self.watches,
            submissions: &mut self.inbox,
        };
        client.connection.resume(&mut desk);
        client.take();
    }

    /// The member prepares what was submitted.
    pub(crate) fn prepare(&mut self) {
        let mut out = Outgoing::default();
        let wall = self.wall();
        let submissions = std::mem::take(&mut self.inbox);
        self.keeper.prepare(&self.tree, self.now, wall, &submissions, &|| None, &mut out);
        self.order.extend(out.proposals);
        self.in_section(|keeper, section| keeper.answer_ready(section));
    }

    /// So many transactions come out of the order.
    pub(crate) fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let Some(proposal) = self.order.pop_front() else { return };
            let Proposal { at, item, .. } = &proposal;
            self.in_section(|keeper, section| keeper.apply(section, *at, item));
            if let Some((_, log)) = &mut self.snapshot {
                log.push(proposal);
            }
            self.keeper.take_events(&mut self.events);
            let diverged = |event: &Event| matches!(event, Event::DigestMismatch { .. });
            assert!(!self.events.iter().any(diverged), "the proposer's digest is the tree's");
            self.events.clear();
        }
    }

    /// Time passes; the member looks for what has had its time.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        let mut out = Outgoing::default();
        let wall = self.wall();
        let mut table = Table(&mut self.clients);
        self.keeper.expire(&self.tree, self.now, wall, &mut table, &mut out);
        self.order.extend(out.proposals);
    }

    /// The disk fails: what is under way is never known, and nothing more is taken.
    pub(crate) fn fail_disk(&mut self) {
        self.order.clear();
        self.keeper.become_silent();
        self.in_section(|keeper, section| keeper.answer_ready(section));
    }

    /// A snapshot begins, in place of one that is under way.
    pub(crate) fn begin_snapshot(&mut self) {
        self.snapshot = Some((Fuzzy::begin(&self.tree), Vec::new()));
    }

    /// It lists so many nodes.
    pub(crate) fn walk_snapshot(&mut self, nodes: usize) {
        if let Some((snapshot, _)) = &mut self.snapshot {
            snapshot.step(&self.tree, nodes);
        }
    }

    /// Ends the snapshot; with the log since it began it must give the tree.
    fn check_snapshot(&mut self) {
        let Some((snapshot, log)) = self.snapshot.take() else { return };
        let mut restored = snapshot.finish(&self.tree);
        for Proposal { item, .. } in &log {
            let record = TxnRecord::decode(item).expect("the order holds transactions only");
            restored.apply(&record, &mut |_| {});
        }
        // The old form of a session's end does not name its nodes: replayed onto a snapshot that lacks
        // them it leaves their parents as they were. The new form was made to mend that.
        if self.config.close_session_txn {
            trees::same(&self.tree, &restored);
        }
    }

    /// Lets everything come to its end, and checks what then holds.
    pub(crate) fn settle(mut self) {
        let is_busy = |house: &House| {
            let waits = |c: &Client| c.connection.outstanding() > 0 && !c.connection.is_closed();
            !house.inbox.is_empty() || !house.order.is_empty() || house.clients.iter().any(waits)
        };
        let mut rounds = 0;
        while is_busy(&self) {
            self.prepare();
            self.deliver(usize::MAX);
            (0..SLOTS).for_each(|slot| self.take(slot));
            rounds += 1;
            assert!(rounds < SETTLE_ROUNDS_MAX, "what is asked is answered");
        }
        assert_eq!(self.keeper.outstanding(), 0);
        for slot in 0..SLOTS {
            self.take(slot);
            let client = &self.clients[usize::from(slot)];
            let is_done = client.asked.is_empty() || client.connection.is_closed();
            assert!(is_done || !client.is_plain, "every request is answered");
        }
        assert_eq!(self.tree.orphan_sessions().count(), 0, "ephemerals go with their session");
        self.check_snapshot();
        trees::check(&self.tree);
    }

    fn wall(&self) -> WallTime {
        WallTime(1_000_000 + i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX / 2))
    }

    fn in_section(&mut self, act: impl FnOnce(&mut Keeper, &mut Section<'_>)) {
        let mut table = Table(&mut self.clients);
        let mut outgoing = Outgoing::default();
        let mut section = Section {
            tree: &mut self.tree,
            watches: &mut self.watches,
            clients: &mut table,
            submissions: &mut self.inbox,
            outgoing: &mut outgoing,
            now: self.now,
        };
        act(&mut self.keeper, &mut section);
    }
}

impl Client {
    /// The one reply to a request that is answered at arrival, past whatever waits; the output was
    /// empty before. One that cannot be read ends the connection without a word.
    fn take_immediate(&mut self, xid: i32) {
        let mut bytes = Vec::new();
        self.connection.take_output(&mut bytes);
        if bytes.is_empty() && self.connection.is_closed() {
            return;
        }
        let mut stream = Reader::new(&bytes);
        let frame = stream.buffer().expect("a whole frame").expect("a frame is not null");
        let header = ReplyHeader::decode(&mut Reader::new(frame)).expect("a reply has a header");
        assert_eq!(header.xid, xid);
        assert!(stream.is_empty());
    }
}

/// The xid that the answer to a frame will have and whether it comes at once; `None` if the
/// frame is no request.
fn expected(frame: &[u8]) -> Option<(i32, bool)> {
    let header = wire::RequestHeader::decode(&mut Reader::new(frame)).ok()?;
    Some(match OpCode::from_number(header.op) {
        Some(OpCode::Ping) => (xid::PING, false),
        Some(
            OpCode::Auth
            | OpCode::Sasl
            | OpCode::Error
            | OpCode::Check
            | OpCode::CreateSession
            | OpCode::DeleteContainer,
        )
        | None => (header.xid, true),
        Some(_) => (header.xid, false),
    })
}

/// Each round answers at least a gate's worth of each client's requests.
const SETTLE_ROUNDS_MAX: u32 = 10_000;
