//! The server model: a tree that remembers who changed it when, and connections with watches.

use bytes::Bytes;
use jute::{Decode, Encode, Reader, put_int, put_string};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{
    AddWatchRequest, CheckWatchesRequest, ConnectRequest, ConnectResponse, CreateRequest,
    ErrorCode, EventType, OpCode, PathWatchRequest, ReplyHeader, RequestHeader, SetDataRequest,
    SetWatchesRequest, Stat, WatcherType, encode_event, xid,
};

pub(super) const SESSION: i64 = 0x51;

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
}

impl Node {
    fn stat(&self) -> Stat {
        Stat { mzxid: self.mzxid, pzxid: self.pzxid, ..Stat::default() }
    }
}

pub(super) type Fired = Vec<(EventType, String, i64)>;

#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) zxid: i64,
    /// How often each caller's write was done; 0 is everybody else.
    pub(super) done: BTreeMap<u64, usize>,
    /// The step of each path's last change, of its own and of its children.
    changed: BTreeMap<String, (usize, usize)>,
}

impl Tree {
    pub(super) fn new(root: &str) -> Tree {
        let mut tree = Tree { zxid: 1, ..Tree::default() };
        tree.nodes.insert(root.to_owned(), Node::default());
        tree
    }

    fn note(&mut self, who: u64, path: &str, step: usize) -> i64 {
        self.zxid += 1;
        *self.done.entry(who).or_default() += usize::from(who != 0);
        self.changed.entry(path.to_owned()).or_default().0 = step;
        self.zxid
    }

    fn note_child(&mut self, path: &str, step: usize) -> (EventType, String, i64) {
        let parent = path.rsplit_once('/').unwrap().0.to_owned();
        self.changed.entry(parent.clone()).or_default().1 = step;
        self.nodes.get_mut(&parent).unwrap().pzxid = self.zxid;
        (EventType::NodeChildrenChanged, parent, self.zxid)
    }

    pub(super) fn create(
        &mut self,
        path: &str,
        who: u64,
        step: usize,
    ) -> Result<(Stat, Fired), ErrorCode> {
        if self.nodes.contains_key(path) {
            return Err(ErrorCode::NodeExists);
        }
        let zxid = self.note(who, path, step);
        self.nodes.insert(path.to_owned(), Node { mzxid: zxid, pzxid: zxid });
        let child = self.note_child(path, step);
        let fired = vec![(EventType::NodeCreated, path.to_owned(), zxid), child];
        Ok((self.nodes[path].stat(), fired))
    }

    pub(super) fn set(
        &mut self,
        path: &str,
        who: u64,
        step: usize,
    ) -> Result<(Stat, Fired), ErrorCode> {
        if !self.nodes.contains_key(path) {
            return Err(ErrorCode::NoNode);
        }
        let zxid = self.note(who, path, step);
        let node = self.nodes.get_mut(path).unwrap();
        node.mzxid = zxid;
        Ok((node.stat(), vec![(EventType::NodeDataChanged, path.to_owned(), zxid)]))
    }

    pub(super) fn delete(&mut self, path: &str, step: usize) -> Result<(Stat, Fired), ErrorCode> {
        let Some(node) = self.nodes.remove(path) else { return Err(ErrorCode::NoNode) };
        let zxid = self.note(0, path, step);
        let child = self.note_child(path, step);
        Ok((node.stat(), vec![(EventType::NodeDeleted, path.to_owned(), zxid), child]))
    }

    /// The last step that a watch which stays must have told of.
    pub(super) fn last_change(&self, path: &str, recursive: bool) -> usize {
        if recursive {
            let below = format!("{path}/");
            let within = |p: &str| p == path || p.starts_with(&below);
            let own = self.changed.iter().filter(|(p, _)| within(p)).map(|(_, c)| c.0);
            own.max().unwrap_or(0)
        } else {
            self.changed.get(path).map_or(0, |c| c.0.max(c.1))
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Connection {
    open: bool,
    /// By the number of the type that a removal names.
    watches: BTreeMap<i32, BTreeSet<String>>,
    /// How many requests set watches again.
    pub(super) set_watches: usize,
}

impl Connection {
    fn list(&mut self, which: WatcherType) -> &mut BTreeSet<String> {
        self.watches.entry(which as i32).or_default()
    }

    pub(super) fn tell(&mut self, fired: &Fired, out: &mut VecDeque<Bytes>) {
        for (event, path, zxid) in fired {
            let lasting = self.list(WatcherType::Persistent).contains(path);
            let above = |p: &String| path == p || path.starts_with(&format!("{p}/"));
            let recursive = self.list(WatcherType::PersistentRecursive).iter().any(above);
            let own = *event != EventType::NodeChildrenChanged;
            let data = own && self.list(WatcherType::Data).remove(path);
            let child = matches!(event, EventType::NodeChildrenChanged | EventType::NodeDeleted)
                && self.list(WatcherType::Children).remove(path);
            if lasting || (own && recursive) || data || child {
                let mut frame = Vec::new();
                encode_event(&mut frame, *zxid, *event, path);
                out.push_back(frame.into());
            }
        }
    }

    pub(super) fn serve(
        &mut self,
        tree: &mut Tree,
        frame: &Bytes,
        out: &mut VecDeque<Bytes>,
        step: usize,
    ) {
        let mut r = Reader::new(frame);
        let mut reply = Vec::new();
        if !self.open {
            let request = ConnectRequest::decode(&mut r).unwrap();
            assert!(request.last_zxid_seen <= tree.zxid);
            assert!([0, SESSION].contains(&request.session_id));
            self.open = true;
            ConnectResponse {
                timeout_ms: request.timeout_ms,
                session_id: SESSION,
                password: [9; 16],
                read_only: Some(false),
            }
            .encode(&mut reply);
            return out.push_back(reply.into());
        }
        let header = RequestHeader::decode(&mut r).unwrap();
        let op = OpCode::from_number(header.op).unwrap();
        let mut body = Vec::new();
        let err = match self.answer(tree, op, &mut r, &mut body, out, step) {
            Ok(()) => 0,
            Err(code) => {
                body.clear();
                code.number()
            }
        };
        let zxid = tree.zxid;
        ReplyHeader { xid: header.xid, zxid, err }.encode(&mut reply);
        assert!(header.xid > 0 || [xid::PING, xid::SET_WATCHES].contains(&header.xid));
        reply.extend_from_slice(&body);
        out.push_back(reply.into());
    }

    fn answer(
        &mut self,
        tree: &mut Tree,
        op: OpCode,
        r: &mut Reader<'_>,
        body: &mut Vec<u8>,
        out: &mut VecDeque<Bytes>,
        step: usize,
    ) -> Result<(), ErrorCode> {
        let who = |data: Option<&[u8]>| u64::from_be_bytes(data.unwrap().try_into().unwrap());
        if op == OpCode::Create2 {
            let request = CreateRequest::decode(r).unwrap();
            let (stat, fired) = tree.create(&request.path, who(request.data), step)?;
            self.tell(&fired, out);
            put_string(body, &request.path);
            stat.encode(body);
        } else if op == OpCode::SetData {
            let request = SetDataRequest::decode(r).unwrap();
            let (stat, fired) = tree.set(&request.path, who(request.data), step)?;
            self.tell(&fired, out);
            stat.encode(body);
        } else if [OpCode::GetData, OpCode::Exists, OpCode::GetChildren2].contains(&op) {
            let request = PathWatchRequest::decode(r).unwrap();
            let path = request.path.into_owned();
            let node = tree.nodes.get(&path);
            let children = op == OpCode::GetChildren2;
            if request.watch && (node.is_some() || op == OpCode::Exists) {
                let which = if children { WatcherType::Children } else { WatcherType::Data };
                self.list(which).insert(path);
            }
            let stat = node.ok_or(ErrorCode::NoNode)?.stat();
            if op != OpCode::Exists {
                put_int(body, 0);
            }
            stat.encode(body);
        } else if op == OpCode::AddWatch {
            let request = AddWatchRequest::decode(r).unwrap();
            let lasting = [WatcherType::Persistent, WatcherType::PersistentRecursive];
            self.list(lasting[request.mode as usize]).insert(request.path.into_owned());
            put_int(body, 0);
        } else if [OpCode::RemoveWatches, OpCode::CheckWatches].contains(&op) {
            let request = CheckWatchesRequest::decode(r).unwrap();
            let any = request.watcher_type == WatcherType::Any as i32;
            let mut found = false;
            for (which, paths) in &mut self.watches {
                if any || *which == request.watcher_type {
                    found |= paths.contains(&*request.path);
                    if op == OpCode::RemoveWatches {
                        paths.remove(&*request.path);
                    }
                }
            }
            return if found { Ok(()) } else { Err(ErrorCode::NoWatcher) };
        } else if op == OpCode::SetWatches {
            self.restore(tree, &SetWatchesRequest::decode(r).unwrap(), out);
        } else if op == OpCode::SetWatches2 {
            self.restore(tree, &SetWatchesRequest::decode2(r).unwrap(), out);
        } else if op == OpCode::Sync {
            put_string(body, "/c");
        } else {
            assert_eq!(op, OpCode::Ping);
        }
        Ok(())
    }

    fn restore(&mut self, tree: &Tree, request: &SetWatchesRequest<'_>, out: &mut VecDeque<Bytes>) {
        self.set_watches += 1;
        let since = request.relative_zxid;
        let mut tell = |event, path: &str| {
            let mut frame = Vec::new();
            encode_event(&mut frame, -1, event, path);
            out.push_back(frame.into());
        };
        for path in request.data.iter() {
            match tree.nodes.get(&*path) {
                None => tell(EventType::NodeDeleted, &path),
                Some(node) if node.mzxid > since => tell(EventType::NodeDataChanged, &path),
                Some(_) => _ = self.list(WatcherType::Data).insert(path.into_owned()),
            }
        }
        for path in request.exist.iter() {
            match tree.nodes.get(&*path) {
                Some(_) => tell(EventType::NodeCreated, &path),
                None => _ = self.list(WatcherType::Data).insert(path.into_owned()),
            }
        }
        for path in request.child.iter() {
            match tree.nodes.get(&*path) {
                None => tell(EventType::NodeDeleted, &path),
                Some(node) if node.pzxid > since => tell(EventType::NodeChildrenChanged, &path),
                Some(_) => _ = self.list(WatcherType::Children).insert(path.into_owned()),
            }
        }
        let persistent = request.persistent.iter().map(|p| p.into_owned());
        self.list(WatcherType::Persistent).extend(persistent);
        let recursive = request.persistent_recursive.iter().map(|p| p.into_owned());
        self.list(WatcherType::PersistentRecursive).extend(recursive);
    }
}
