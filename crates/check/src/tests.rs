//! The judge must find what is wrong: each test is a right history, and the same made wrong.

use crate::{
    Acl, Body, Commit, Connection, Fate, Frame, History, Mode, ModelConfig, Op, Request, Stat,
    Work, judge,
};

const S: i64 = 7;

fn create(path: &str, mode: Mode) -> Op {
    let path = path.to_owned();
    Op::Create { path, data: Some(vec![1]), acl: Acl::open(), mode, with_stat: false }
}

fn reply(xid: i32, zxid: i64, body: Body) -> Frame {
    Frame::Reply { xid, zxid, err: 0, body }
}

fn event(zxid: i64, kind: i32, path: &str) -> Frame {
    Frame::Event { zxid, kind, path: path.into() }
}

fn commit(zxid: i64, xid: i32, work: Work) -> Commit {
    Commit { zxid, session: S, xid, time: 1000, work }
}

fn stat(zxid: i64) -> Stat {
    Stat {
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime: 1000,
        mtime: 1000,
        data_length: 1,
        ephemeral_owner: S,
        ..Stat::default()
    }
}

/// A session that watches a path, creates an ephemeral node there, reads it, and expires.
fn history() -> History {
    let ephemeral = Mode { ephemeral: true, ..Mode::default() };
    let ops = [
        Op::Exists { path: "/e".into(), watch: true },
        create("/e", ephemeral),
        Op::GetData { path: "/e".into(), watch: true },
        create("/e", ephemeral),
    ];
    let request = |(i, op)| Request { xid: i as i32 + 1, op, told: 1 };
    let mut history = History::default();
    history.connections.push(Connection {
        session: S,
        began: 0,
        ids: Vec::new(),
        requests: ops.into_iter().enumerate().map(request).collect(),
        frames: vec![
            Frame::Reply { xid: 1, zxid: 1, err: -101, body: Body::Empty },
            event(2, 1, "/e"),
            reply(2, 2, Body::Path("/e".into())),
            reply(3, 2, Body::Data(Some(vec![1]), stat(2))),
            Frame::Reply { xid: 4, zxid: 3, err: -110, body: Body::Empty },
            event(4, 2, "/e"),
        ],
        fate: Fate::Broken,
        disk_failed: false,
        read_only: false,
    });
    history.commits = vec![
        commit(1, 0, Work::Open { timeout_ms: 100 }),
        commit(2, 2, Work::Asked { err: 0 }),
        commit(3, 4, Work::Asked { err: -110 }),
        commit(4, 0, Work::Expire),
    ];
    history
}

fn rule(change: impl FnOnce(&mut History)) -> &'static str {
    let mut history = history();
    change(&mut history);
    match judge(&history, ModelConfig::default()) {
        Ok(_) => "right",
        Err(violation) => violation.rule,
    }
}

#[test]
fn a_right_history_passes_also_when_its_end_is_cut_off() {
    for length in 0..=6 {
        assert_eq!(rule(|h| h.connections[0].frames.truncate(length)), "right", "{length}");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let frames = |change: fn(&mut Vec<Frame>)| rule(|h| change(&mut h.connections[0].frames));
    assert_eq!(frames(|f| f.swap(1, 2)), "watch.order");
    assert_eq!(frames(|f| drop(f.remove(1))), "watch.order");
    assert_eq!(frames(|f| f.insert(1, event(2, 1, "/e"))), "reply.wrong");
    assert_eq!(frames(|f| f.insert(3, event(2, 1, "/e"))), "watch.spurious");
    assert_eq!(frames(|f| f.swap(2, 3)), "reply.wrong");
    assert_eq!(frames(|f| f[3] = reply(3, 1, Body::Data(None, stat(2)))), "session.back");
    assert_eq!(frames(|f| f[3] = reply(3, 2, Body::Data(Some(vec![2]), stat(2)))), "reply.wrong");
    assert_eq!(frames(|f| f.push(reply(5, 4, Body::Empty))), "reply.unasked");
    assert_eq!(frames(|f| f.push(event(9, 2, "/e"))), "order.beyond");
}

#[test]
fn the_order_itself_is_judged() {
    assert_eq!(rule(|h| h.commits[2].work = Work::Asked { err: 0 }), "order.error");
    assert_eq!(rule(|h| h.commits[2].xid = 3), "order.unasked");
    assert_eq!(rule(|h| drop(h.commits.remove(1))), "order.gap");
    assert_eq!(rule(|h| h.commits[3].session = 8), "session.expiry");
    assert_eq!(rule(|h| h.connections[0].requests[2].told = 3), "stale");
}

#[test]
fn a_whole_connection_must_have_every_event() {
    let whole = |h: &mut History| {
        h.connections[0].fate = Fate::Whole;
        h.connections[0].frames.pop();
    };
    assert_eq!(rule(whole), "watch.missing");
}

#[test]
fn a_seen_tree_is_compared_node_by_node() {
    let tree = crate::SeenTree { zxid: 4, nodes: Vec::new(), sessions: Vec::new() };
    assert_eq!(rule(|h| h.trees.push(tree)), "state");
}

/// The same session goes on elsewhere; what it asked for before is refused by that.
fn moved(began: i64) -> impl FnOnce(&mut History) {
    move |history| {
        let later = Connection {
            began,
            requests: Vec::new(),
            frames: Vec::new(),
            ..history.connections[0].clone()
        };
        history.connections.push(later);
        history.connections[0].frames[4] =
            Frame::Reply { xid: 4, zxid: 3, err: -118, body: Body::Empty };
        history.commits[2].work = Work::Asked { err: -118 };
    }
}

#[test]
fn a_session_has_moved_only_once_its_client_has_called_elsewhere() {
    assert_eq!(rule(moved(2)), "right");
    assert_eq!(rule(moved(3)), "order.error");
}

/// What a session does that one server alone knows: it sets data, may have no ephemeral node, ends.
fn local(change: impl FnOnce(&mut History)) -> &'static str {
    let ephemeral = Mode { ephemeral: true, ..Mode::default() };
    let mut history = History::default();
    let ops = [create("/a", Mode::default()), create("/e", ephemeral), Op::Close];
    let request = |(i, op)| Request { xid: i as i32 + 1, op, told: 0 };
    history.connections.push(Connection {
        session: S,
        began: 0,
        ids: Vec::new(),
        requests: ops.into_iter().enumerate().map(request).collect(),
        frames: vec![
            reply(1, 1, Body::Path("/a".into())),
            Frame::Reply { xid: 2, zxid: 1, err: -120, body: Body::Empty },
            reply(3, 1, Body::Empty),
        ],
        fate: Fate::Whole,
        disk_failed: false,
        read_only: false,
    });
    history.commits = vec![commit(1, 1, Work::Asked { err: 0 })];
    change(&mut history);
    let config = ModelConfig { ttl_nodes: false, local_sessions: true };
    judge(&history, config).err().map_or("right", |violation| violation.rule)
}

#[test]
fn a_session_of_one_server_begins_and_ends_outside_of_the_order() {
    assert_eq!(local(|_| ()), "right");
    let opened = |h: &mut History| {
        h.commits.insert(0, commit(1, 0, Work::Open { timeout_ms: 100 }));
        h.commits[1].zxid = 2;
        h.connections[0].requests.remove(1);
        let created = reply(1, 2, Body::Path("/a".into()));
        h.connections[0].frames = vec![created, reply(3, 2, Body::Empty)];
    };
    assert_eq!(local(opened), "write.uncommitted", "that one's end is for all to know");
    let refused = |h: &mut History| h.commits[0].work = Work::Asked { err: -112 };
    assert_eq!(local(refused), "reply.wrong");
    let made = |h: &mut History| {
        h.connections[0].frames[1] = reply(2, 2, Body::Path("/e".into()));
        h.commits.push(commit(2, 2, Work::Asked { err: 0 }));
    };
    assert_eq!(local(made), "order.error", "an ephemeral node is of a session that all know");
    let denied = |h: &mut History| {
        h.commits.clear();
        h.connections[0].frames.truncate(1);
        h.connections[0].frames[0] = Frame::Reply { xid: 1, zxid: 0, err: -119, body: Body::Empty };
        h.connections[0].fate = Fate::Broken;
    };
    assert_eq!(local(denied), "write.uncommitted", "it serves more than reads");
    let read_only = |h: &mut History| {
        denied(h);
        h.connections[0].read_only = true;
    };
    assert_eq!(local(read_only), "right");
}
