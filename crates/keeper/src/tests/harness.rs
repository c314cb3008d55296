//! A house with a keeper, a tree, and connections whose two ends are byte vectors.

use crate::connection::{Connection, Desk};
use crate::keeper::{Keeper, Section};
use crate::{Access, Clients, Config, Letter, Outgoing, Submissions, Watches};
use base::{ConnectionId, SessionId, Time, WallTime, Zxid};
use broadcast::Proposal;
use jute::{Decode, Reader, put_buffer, put_int, put_string};
use std::collections::VecDeque;
use std::sync::Arc;
use tree::Tree;
use wire::{Acl, ConnectRequest, ConnectResponse, OpCode, ReplyHeader};

pub(super) struct House {
    pub(super) config: Arc<Config>,
    pub(super) tree: Tree,
    pub(super) watches: Watches,
    pub(super) keeper: Keeper,
    pub(super) now: Time,
    pub(super) wall: WallTime,
    /// Whether submissions stay in the inbox.
    pub(super) hold: bool,
    /// Whether clients leave their output where it is.
    pub(super) keep_output: bool,
    /// What the service wants sent, but for proposals.
    pub(super) outgoing: Outgoing,
    /// What the engine tells of the ensemble.
    pub(super) members: Option<crate::Members>,
    connections: Vec<Connection>,
    inbox: Submissions,
    /// What is proposed and not delivered.
    pub(super) order: VecDeque<Proposal>,
    delivered: usize,
}

struct Table<'a>(&'a mut Vec<Connection>);

impl Clients for Table<'_> {
    fn with(&mut self, id: ConnectionId, act: &mut dyn FnMut(&mut Connection)) {
        if let Some(connection) = self.0.get_mut(id.slot as usize) {
            act(connection);
        }
    }

    fn look_at_all(&mut self, look: &mut dyn FnMut(&Connection)) {
        self.0.iter().for_each(look);
    }
}

/// A frame that a client got, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got(Vec<u8>);

impl Got {
    fn header(&self) -> ReplyHeader {
        ReplyHeader::decode(&mut Reader::new(&self.0)).unwrap()
    }

    pub(super) fn xid(&self) -> i32 {
        self.header().xid
    }

    pub(super) fn zxid(&self) -> i64 {
        self.header().zxid
    }

    pub(super) fn err(&self) -> i32 {
        self.header().err
    }

    pub(super) fn data(&self) -> &[u8] {
        Reader::new(&self.0[16..]).buffer().unwrap().unwrap()
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.0[16..]
    }

    pub(super) fn event(&self) -> Option<(i32, String)> {
        let mut r = Reader::new(&self.0[16..]);
        if self.xid() != -1 {
            return None;
        }
        let event = r.int().unwrap();
        assert_eq!(r.int(), Ok(3));
        Some((event, r.string().unwrap().unwrap().into_owned()))
    }
}

impl House {
    pub(super) fn new() -> House {
        House::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> House {
        let mut house = House::apart(change);
        house.keeper.become_primary(&house.tree, house.tree.last_zxid(), Time::ZERO);
        house
    }

    /// Without a role.
    pub(super) fn apart(change: impl FnOnce(&mut Config)) -> House {
        let mut config = Config::standalone();
        change(&mut config);
        let config = Arc::new(config);
        let tree = Tree::new(tree::Config { digest: true, owners: config.owners });
        let keeper = Keeper::new(Arc::clone(&config), WallTime(0));
        House {
            config,
            tree,
            watches: Watches::default(),
            keeper,
            now: Time::ZERO,
            wall: WallTime(0),
            hold: false,
            keep_output: false,
            outgoing: Outgoing::default(),
            members: None,
            connections: Vec::new(),
            inbox: Submissions::default(),
            order: VecDeque::new(),
            delivered: 0,
        }
    }

    pub(super) fn accept(&mut self) -> usize {
        let slot = self.connections.len();
        let id = ConnectionId { slot: u32::try_from(slot).unwrap(), generation: 0 };
        let remote = "127.0.0.1:40000".parse().unwrap();
        self.connections.push(Connection::new(id, remote, self.now, &self.config));
        slot
    }

    /// A connection with an open session.
    pub(super) fn session(&mut self) -> usize {
        let slot = self.accept();
        self.connect(slot, SessionId::NONE, &[0; 16]);
        self.deliver_all();
        self.established(slot);
        slot
    }

    pub(super) fn connect(&mut self, slot: usize, session: SessionId, password: &[u8]) {
        self.connect_with(slot, session, password, Some(false));
    }

    /// Says whether a server that only reads will do.
    pub(super) fn connect_with(
        &mut self,
        slot: usize,
        session: SessionId,
        password: &[u8],
        read_only: Option<bool>,
    ) {
        self.handshake(slot, session, password, 0, read_only);
    }

    pub(super) fn connect_having_seen(&mut self, slot: usize, last_zxid_seen: i64) {
        self.handshake(slot, SessionId::NONE, &[0; 16], last_zxid_seen, Some(false));
    }

    fn handshake(
        &mut self,
        slot: usize,
        session: SessionId,
        password: &[u8],
        seen: i64,
        read_only: Option<bool>,
    ) {
        let mut frame = Vec::new();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: seen,
            timeout_ms: 1,
            session_id: session.0,
            password,
            read_only,
        };
        jute::Encode::encode(&request, &mut frame);
        self.send_raw(slot, &frame);
    }

    pub(super) fn send(&mut self, slot: usize, frame: Vec<u8>) {
        self.send_raw(slot, &frame);
    }

    pub(super) fn send_raw(&mut self, slot: usize, frame: &[u8]) {
        let connection = &mut self.connections[slot];
        if connection.wants_more() {
            let mut desk = Desk {
                now: self.now,
                config: &self.config,
                tree: &self.tree,
                watches: &mut self.watches,
                submissions: &mut self.inbox,
            };
            connection.receive(frame, &mut desk);
        }
        self.prepare();
    }

    fn prepare(&mut self) {
        if self.hold {
            return;
        }
        let House { keeper, tree, inbox, outgoing, .. } = self;
        let members = self.members.clone();
        keeper.prepare(tree, self.now, self.wall, inbox, &|| members.clone(), outgoing);
        inbox.clear();
        self.order.append(&mut self.outgoing.proposals.drain(..).collect());
        self.answer_ready();
    }

    pub(super) fn answer_ready(&mut self) {
        self.in_section(|keeper, section| keeper.answer_ready(section));
    }

    /// The primary takes letters.
    pub(super) fn forwarded(&mut self, letters: &[Letter]) {
        let House { keeper, tree, outgoing, .. } = self;
        let members = self.members.clone();
        keeper.forwarded(tree, self.now, self.wall, letters, &|| members.clone(), outgoing);
        self.order.append(&mut self.outgoing.proposals.drain(..).collect());
        self.answer_ready();
    }

    pub(super) fn heartbeat(&mut self) -> bytes::Bytes {
        self.keeper.heartbeat(&mut Table(&mut self.connections), self.now)
    }

    /// The client's end goes away, and the host notices.
    pub(super) fn detach(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        let (id, session) = (connection.id(), connection.session());
        let (last_heard, ids) = (connection.last_heard(), crate::Ids::default());
        connection.close();
        let origin =
            crate::Origin { connection: id, session, xid: 0, ids: &ids, arrived: self.now };
        self.inbox.ask(origin, crate::Ask::Detach { last_heard });
        self.prepare();
    }

    pub(super) fn expire(&mut self) {
        let House { keeper, tree, connections, outgoing, .. } = self;
        keeper.expire(tree, self.now, self.wall, &mut Table(connections), outgoing);
        self.order.append(&mut self.outgoing.proposals.drain(..).collect());
    }

    pub(super) fn fail_disk(&mut self) {
        self.order.clear();
        self.keeper.become_silent();
        self.in_section(|keeper, section| keeper.answer_ready(section));
    }

    pub(super) fn deliver_all(&mut self) {
        while let Some(Proposal { at, item, .. }) = self.order.pop_front() {
            self.apply(at, &item);
        }
    }

    pub(super) fn apply(&mut self, at: Zxid, item: &[u8]) {
        self.delivered += 1;
        self.told(|keeper, section| keeper.apply(section, at, item));
    }

    /// The service hears of something; what its answers made connections submit is prepared.
    pub(super) fn told(&mut self, hear: impl FnOnce(&mut Keeper, &mut Section<'_>)) {
        self.in_section(hear);
        self.prepare();
    }

    pub(super) fn in_section(&mut self, act: impl FnOnce(&mut Keeper, &mut Section<'_>)) {
        let mut table = Table(&mut self.connections);
        let mut section = Section {
            tree: &mut self.tree,
            watches: &mut self.watches,
            clients: &mut table,
            submissions: &mut self.inbox,
            outgoing: &mut self.outgoing,
            now: self.now,
        };
        act(&mut self.keeper, &mut section);
    }

    pub(super) fn order_length(&self) -> usize {
        self.delivered
    }

    pub(super) fn pending(&self) -> usize {
        self.order.len()
    }

    pub(super) fn closed(&self, slot: usize) -> bool {
        self.connections[slot].is_closed()
    }

    pub(super) fn wants_more(&self, slot: usize) -> bool {
        self.connections[slot].wants_more()
    }

    pub(super) fn frames(&mut self, slot: usize) -> Vec<Vec<u8>> {
        if self.keep_output {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        self.connections[slot].take_output(&mut bytes);
        let mut r = Reader::new(&bytes);
        let mut frames = Vec::new();
        while !r.is_empty() {
            frames.push(r.buffer().unwrap().unwrap().to_vec());
        }
        frames
    }

    pub(super) fn got(&mut self, slot: usize) -> Vec<Got> {
        self.frames(slot).into_iter().map(Got).collect()
    }

    fn response(&mut self, slot: usize) -> ConnectResponse {
        let frames = self.frames(slot);
        assert_eq!(frames.len(), 1);
        ConnectResponse::decode(&mut Reader::new(&frames[0])).unwrap()
    }

    pub(super) fn established(&mut self, slot: usize) -> (SessionId, [u8; 16]) {
        self.established_with(slot, Access::Full)
    }

    pub(super) fn established_with(
        &mut self,
        slot: usize,
        access: Access,
    ) -> (SessionId, [u8; 16]) {
        let response = self.response(slot);
        assert!(response.timeout_ms > 0);
        assert_eq!(response.read_only, Some(access == Access::ReadOnly));
        (SessionId(response.session_id), response.password)
    }

    /// Whether the client has a session now, whichever it was granted.
    pub(super) fn is_renewed(&mut self, slot: usize) -> bool {
        self.response(slot).session_id != 0
    }

    pub(super) fn is_refused(&mut self, slot: usize) -> bool {
        self.is_refused_with(slot, Access::Full)
    }

    pub(super) fn is_refused_with(&mut self, slot: usize, access: Access) -> bool {
        self.response(slot) == ConnectResponse::refused(Some(access == Access::ReadOnly))
    }
}

/// A request's payload.
pub(super) fn request(xid: i32, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    frame(xid, op.number(), body)
}

pub(super) fn frame(xid: i32, op: i32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put_int(&mut out, xid);
    put_int(&mut out, op);
    body(&mut out);
    out
}

pub(super) fn create<'a>(
    path: &'a str,
    data: &'a [u8],
    flags: i32,
) -> impl FnOnce(&mut Vec<u8>) + 'a {
    move |out| create_with(path, data, flags, &Acl::open())(out)
}

pub(super) fn create_with<'a>(
    path: &'a str,
    data: &'a [u8],
    flags: i32,
    acl: &'a [Acl],
) -> impl FnOnce(&mut Vec<u8>) + 'a {
    move |out| {
        put_string(out, path);
        put_buffer(out, Some(data));
        put_int(out, i32::try_from(acl.len()).unwrap());
        acl.iter().for_each(|acl| jute::Encode::encode(acl, out));
        put_int(out, flags);
    }
}

/// A multi of plain creates.
pub(super) fn multi<'a>(creates: &'a [(&'a str, i32)]) -> impl FnOnce(&mut Vec<u8>) + 'a {
    move |out| {
        for (path, flags) in creates {
            put_int(out, OpCode::Create.number());
            out.push(0);
            put_int(out, -1);
            create(path, b"m", *flags)(out);
        }
        put_int(out, -1);
        out.push(1);
        put_int(out, -1);
    }
}
