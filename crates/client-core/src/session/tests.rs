//! Directed tests: one fact at a time, against hand-made answers.

use super::{Ctx, Input, LinkId, Output, Session, State};
use crate::{
    ANY_VERSION, Config, ConnectString, Error, EventKind, Host, LINEARIZABLE_READS, Mode, Op,
    OpResult, READS_SCHEME, Reply, Request, WatcherId,
};
use base::{Machine, Time};
use bytes::Bytes;
use jute::{Decode, Encode, Reader, put_bool, put_int, put_string};
use std::time::Duration;
use wire::{
    Acl, AddWatchMode, ConnectRequest, ConnectResponse, ErrorCode, EventType, OpCode, ReplyHeader,
    RequestHeader, SetWatchesRequest, Stat, WatcherType, encode_event, xid,
};

const T: u64 = 6000;

/// A session, its clock, and what it last said.
struct World {
    session: Session,
    now: Time,
    out: Vec<Output>,
}

/// A frame that the session sent.
struct Sent {
    xid: i32,
    op: OpCode,
    body: Vec<u8>,
}

impl World {
    fn new(servers: &str) -> World {
        World::with(servers, |_| ())
    }

    fn with(servers: &str, change: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::new(servers.parse::<ConnectString>().unwrap());
        config.session_timeout = Duration::from_millis(T);
        change(&mut config);
        World { session: Session::new(config, Time::ZERO), now: Time::ZERO, out: Vec::new() }
    }

    fn give(&mut self, input: Input) -> &mut World {
        self.session.handle(self.now, input, &mut self.out);
        self
    }

    /// Lets time pass up to the next deadline, which must be within `ms`.
    fn wait(&mut self, ms: u64) -> &mut World {
        let at = self.session.deadline().unwrap();
        assert!(at <= self.now + Duration::from_millis(ms), "{at:?} is too late");
        self.now = self.now.max(at);
        self.give(Input::TimerExpired)
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// The one dial that was asked for.
    fn dialed(&mut self) -> (LinkId, Host) {
        let dials: Vec<_> = self
            .take()
            .into_iter()
            .filter_map(
                |o| if let Output::Dial { link, host } = o { Some((link, host)) } else { None },
            )
            .collect();
        assert_eq!(dials.len(), 1);
        dials.into_iter().next().unwrap()
    }

    fn sent(&mut self) -> Vec<Sent> {
        let bytes: Vec<u8> = self
            .take()
            .into_iter()
            .filter_map(|o| if let Output::Send { bytes, .. } = o { Some(bytes) } else { None })
            .flatten()
            .collect();
        let mut r = Reader::new(&bytes);
        let mut frames = Vec::new();
        while !r.is_empty() {
            let mut frame = Reader::new(r.buffer().unwrap().unwrap());
            let header = RequestHeader::decode(&mut frame).unwrap();
            frames.push(Sent {
                xid: header.xid,
                op: OpCode::from_number(header.op).unwrap(),
                body: frame.rest().to_vec(),
            });
        }
        frames
    }

    fn answer(&mut self, link: LinkId, response: &ConnectResponse) {
        let mut frame = Vec::new();
        response.encode(&mut frame);
        self.give(Input::Received { link, frame: frame.into() });
    }

    /// Dials, shakes hands; leaves what is sent after that in `out`.
    fn connect(&mut self) -> LinkId {
        self.wait(2000);
        let (link, _) = self.dialed();
        self.give(Input::Connected { link });
        self.take();
        self.answer(link, &welcome());
        link
    }

    fn reply(&mut self, link: LinkId, xid: i32, zxid: i64, err: i32, body: &[u8]) {
        let mut frame = Vec::new();
        ReplyHeader { xid, zxid, err }.encode(&mut frame);
        frame.extend_from_slice(body);
        self.give(Input::Received { link, frame: frame.into() });
    }

    fn event(&mut self, link: LinkId, zxid: i64, event: EventType, path: &str) {
        let mut frame = Vec::new();
        encode_event(&mut frame, zxid, event, path);
        self.give(Input::Received { link, frame: frame.into() });
    }

    fn submit(&mut self, ctx: u64, request: Request) {
        self.give(Input::Submitted { ctx: Ctx(ctx), request, deadline: None });
    }

    fn completed(&mut self) -> Vec<(u64, Result<Reply, Error>)> {
        self.take()
            .into_iter()
            .filter_map(|o| {
                if let Output::Completed { ctx, outcome } = o {
                    Some((ctx.0, outcome))
                } else {
                    None
                }
            })
            .collect()
    }

    fn events(&mut self) -> Vec<(u64, EventKind, String)> {
        self.take()
            .into_iter()
            .filter_map(|o| {
                if let Output::Event { watcher, event } = o {
                    Some((watcher.0, event.kind, event.path))
                } else {
                    None
                }
            })
            .collect()
    }
}

fn welcome() -> ConnectResponse {
    ConnectResponse {
        timeout_ms: T as i32,
        session_id: 77,
        password: [7; 16],
        read_only: Some(false),
    }
}

fn get(path: &str, watch: Option<u64>) -> Request {
    Request::GetData { path: path.to_owned(), watch: watch.map(WatcherId) }
}

fn exists(path: &str, watch: u64) -> Request {
    Request::Exists { path: path.to_owned(), watch: Some(WatcherId(watch)) }
}

fn set(path: &str) -> Request {
    Request::Write(Op::SetData { path: path.to_owned(), data: None, version: ANY_VERSION })
}

fn lasting(path: &str, watcher: u64) -> Request {
    let mode = AddWatchMode::Persistent;
    Request::AddWatch { path: path.to_owned(), mode, watcher: WatcherId(watcher) }
}

fn stat_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    Stat::default().encode(&mut bytes);
    bytes
}

fn data_bytes(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    jute::put_buffer(&mut bytes, Some(data));
    Stat::default().encode(&mut bytes);
    bytes
}

#[test]
fn a_session_is_opened_then_renewed_with_what_the_server_gave() {
    let mut world = World::new("a,b");
    world.wait(0);
    let (link, _) = world.dialed();
    world.give(Input::Connected { link });
    let Output::Send { bytes, .. } = &world.take()[0] else { panic!("no handshake") };
    let request = ConnectRequest::decode(&mut Reader::new(&bytes[4..])).unwrap();
    assert_eq!((request.session_id, request.last_zxid_seen, request.timeout_ms), (0, 0, T as i32));
    world.answer(link, &welcome());
    assert_eq!(world.take(), [Output::State(State::Connected)]);
    world.submit(1, get("/a", None));
    world.take();
    world.reply(link, 1, 0x50, 0, &data_bytes(b"x"));
    let data = Some(Bytes::from_static(b"x"));
    assert_eq!(world.completed(), [(1, Ok(Reply::Data(data, Stat::default())))]);

    world.give(Input::Disconnected { link });
    assert_eq!(world.take(), [Output::State(State::Suspended)]);
    world.wait(2000);
    let (link, _) = world.dialed();
    world.give(Input::Connected { link });
    let Output::Send { bytes, .. } = &world.take()[0] else { panic!("no handshake") };
    let request = ConnectRequest::decode(&mut Reader::new(&bytes[4..])).unwrap();
    assert_eq!((request.session_id, request.last_zxid_seen), (77, 0x50));
    assert_eq!(request.password, [7; 16]);
}

#[test]
fn nothing_is_sent_before_the_handshake_is_answered_and_a_refusal_fails_all() {
    let mut world = World::new("a");
    world.submit(1, set("/a"));
    world.wait(0);
    let (link, _) = world.dialed();
    world.give(Input::Connected { link });
    assert_eq!(world.take().len(), 1);
    world.answer(link, &ConnectResponse::refused(Some(false)));
    let out = world.take();
    let failed = Output::Completed { ctx: Ctx(1), outcome: Err(Error::SessionExpired) };
    assert_eq!(out, [Output::Hangup { link }, failed, Output::State(State::Expired)]);
    world.submit(2, get("/a", None));
    assert_eq!(world.completed(), [(2, Err(Error::SessionExpired))]);
    assert_eq!(world.session.deadline(), None);
}

#[test]
fn a_lost_link_leaves_writes_unknown_and_sends_reads_again_before_what_was_queued() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, get("/1", None));
    world.submit(2, set("/2"));
    world.submit(3, get("/3", None));
    assert_eq!(world.sent().iter().map(|s| s.xid).collect::<Vec<_>>(), [1, 2, 3]);
    world.give(Input::Disconnected { link });
    assert_eq!(world.completed(), [(2, Err(Error::Unknown))]);
    world.submit(4, set("/4"));
    let link = world.connect();
    let sent = world.sent();
    let ops: Vec<_> = sent.iter().map(|s| s.op).collect();
    assert_eq!(ops, [OpCode::GetData, OpCode::GetData, OpCode::SetData]);
    world.reply(link, sent[0].xid, 1, 0, &data_bytes(b"1"));
    world.reply(link, sent[1].xid, 1, ErrorCode::NoNode.number(), &[]);
    world.reply(link, sent[2].xid, 2, 0, &stat_bytes());
    let outcomes = world.completed();
    assert_eq!(outcomes.iter().map(|o| o.0).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(outcomes[1].1, Err(Error::Refused(ErrorCode::NoNode)));
}

#[test]
fn a_read_is_sent_again_only_so_often() {
    let mut world = World::with("a", |config| config.read_attempts = 2);
    let link = world.connect();
    world.submit(1, get("/1", None));
    world.give(Input::Disconnected { link });
    assert_eq!(world.completed(), []);
    let link = world.connect();
    world.give(Input::Disconnected { link });
    assert_eq!(world.completed(), [(1, Err(Error::ConnectionLost))]);
}

#[test]
fn an_answer_to_something_else_ends_the_link() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, set("/1"));
    world.take();
    world.reply(link, 9, 1, 0, &stat_bytes());
    let out = world.take();
    assert_eq!(out[0], Output::Hangup { link });
    assert_eq!(out[1], Output::Completed { ctx: Ctx(1), outcome: Err(Error::Unknown) });
    // What the old link still says is heard by nobody.
    world.reply(link, 1, 1, 0, &stat_bytes());
    assert_eq!(world.take(), []);
}

#[test]
fn an_answer_that_cannot_be_read_fails_its_request_and_the_link() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, get("/1", None));
    world.take();
    world.reply(link, 1, 1, 0, &[0, 0]);
    let out = world.take();
    assert_eq!(out[0], Output::Completed { ctx: Ctx(1), outcome: Err(Error::BadReply) });
    assert_eq!(out[1], Output::Hangup { link });
}

#[test]
fn xids_wrap_to_one_and_never_meet_those_with_a_meaning() {
    let mut world = World::new("a");
    world.session.next_xid = i32::MAX;
    let link = world.connect();
    world.submit(1, set("/1"));
    world.submit(2, set("/2"));
    assert_eq!(world.sent().iter().map(|s| s.xid).collect::<Vec<_>>(), [i32::MAX, 1]);
    world.reply(link, i32::MAX, 1, 0, &stat_bytes());
    world.reply(link, 1, 2, 0, &stat_bytes());
    assert_eq!(world.completed().len(), 2);
}

#[test]
fn pings_fill_silence_and_silence_of_the_server_ends_the_link() {
    let mut world = World::new("a");
    let link = world.connect();
    world.take();
    world.wait(2000);
    assert_eq!(world.now, Time::from_millis(2000));
    let sent = world.sent();
    assert_eq!((sent[0].xid, sent[0].op), (xid::PING, OpCode::Ping));
    world.reply(link, xid::PING, 0, 0, &[]);
    world.wait(2000);
    world.wait(2000);
    assert_eq!(world.now, Time::from_millis(6000));
    // Answered at 2 s, two thirds of the time-out before this.
    assert!(world.take().contains(&Output::Hangup { link }));
}

#[test]
fn hosts_share_the_time_to_connect_and_are_tried_in_turn() {
    let mut world = World::new("a,b,c");
    world.wait(0);
    let (first, host) = world.dialed();
    world.wait(T / 3);
    assert_eq!(world.now, Time::from_millis(T / 3));
    assert_eq!(world.out[0], Output::Hangup { link: first });
    let (second, other) = world.dialed();
    assert_ne!(host, other);
    // The first dial is no longer of interest.
    world.give(Input::Connected { link: first });
    assert_eq!(world.take(), []);
    world.give(Input::ConnectFailed { link: second });
    world.wait(0);
    let (third, _) = world.dialed();
    world.give(Input::ConnectFailed { link: third });
    assert!(world.session.deadline().unwrap() > world.now, "a round is followed by a wait");
}

#[test]
fn watches_are_set_again_before_the_queue_and_tell_what_was_missed() {
    let mut world = World::new("a/app");
    let link = world.connect();
    world.submit(1, get("/d", Some(1)));
    world.submit(2, exists("/e", 2));
    let children =
        |path: &str, w| Request::Children { path: path.into(), watch: Some(WatcherId(w)) };
    world.submit(3, children("/", 3));
    world.submit(4, lasting("/p", 4));
    world.take();
    world.reply(link, 1, 10, 0, &data_bytes(b""));
    world.reply(link, 2, 11, ErrorCode::NoNode.number(), &[]);
    world.reply(link, 3, 12, 0, &[0; 4]);
    world.reply(link, 4, 12, 0, &[0; 4]);
    assert_eq!(world.completed().len(), 4);
    world.give(Input::Disconnected { link });
    world.submit(5, set("/x"));
    let link = world.connect();
    let sent = world.sent();
    assert_eq!((sent[0].xid, sent[0].op), (xid::SET_WATCHES, OpCode::SetWatches2));
    assert_eq!(sent[1].op, OpCode::SetData);
    let again = SetWatchesRequest::decode2(&mut Reader::new(&sent[0].body)).unwrap();
    let list = |s: wire::Strings<'_>| s.iter().collect::<Vec<_>>().join(" ");
    assert_eq!(again.relative_zxid, 12);
    assert_eq!(list(again.data), "/app/d");
    assert_eq!(list(again.exist), "/app/e");
    assert_eq!(list(again.child), "/app");
    assert_eq!(list(again.persistent), "/app/p");
    world.event(link, -1, EventType::NodeChildrenChanged, "/app");
    world.event(link, -1, EventType::NodeCreated, "/app/e");
    world.reply(link, xid::SET_WATCHES, 20, 0, &[]);
    assert_eq!(
        world.events(),
        [
            (3, EventKind::ChildrenChanged, "/".to_owned()),
            (2, EventKind::Created, "/e".to_owned()),
            (4, EventKind::Resumed, "/p".to_owned()),
        ]
    );
}

#[test]
fn watches_are_set_again_from_where_none_can_be_missing() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, get("/a", Some(1)));
    world.submit(2, get("/b", Some(2)));
    world.take();
    world.reply(link, 1, 10, 0, &data_bytes(b""));
    world.reply(link, 2, 10, 0, &data_bytes(b""));
    // A multi at 15 changed both; the link ends between its two events.
    world.event(link, 15, EventType::NodeDataChanged, "/a");
    world.give(Input::Disconnected { link });
    let link = world.connect();
    let zxid = |sent: &Sent| i64::from_be_bytes(*sent.body.first_chunk().unwrap());
    assert_eq!(zxid(&world.sent()[0]), 14);
    // Nothing is proved until the watches are set again.
    world.event(link, 25, EventType::NodeCreated, "/c");
    world.give(Input::Disconnected { link });
    let link = world.connect();
    assert_eq!(zxid(&world.sent()[0]), 14);
    world.reply(link, xid::SET_WATCHES, 30, 0, &[]);
    world.give(Input::Disconnected { link });
    world.connect();
    assert_eq!(zxid(&world.sent()[0]), 30);
}

#[test]
fn one_server_watch_serves_all_local_watchers_and_goes_with_the_last() {
    let mut world = World::new("a");
    let link = world.connect();
    for (ctx, watcher) in [(1, 1), (2, 2), (3, 3)] {
        world.submit(ctx, get("/a", Some(watcher)));
    }
    world.take();
    for xid in 1..=3 {
        world.reply(link, xid, 10, 0, &data_bytes(b""));
    }
    world.take();
    world.submit(4, Request::RemoveWatcher(WatcherId(1)));
    assert_eq!(world.sent()[0].op, OpCode::CheckWatches);
    world.reply(link, 4, 10, 0, &[]);
    assert_eq!(world.events(), [(1, EventKind::Removed, "/a".to_owned())]);
    world.give(Input::Unwatched { watcher: WatcherId(2) });
    assert_eq!(world.sent().len(), 0);
    world.give(Input::Unwatched { watcher: WatcherId(3) });
    assert_eq!(world.sent()[0].op, OpCode::RemoveWatches);
    world.reply(link, 5, 10, 0, &[]);
    world.submit(6, Request::RemoveWatcher(WatcherId(3)));
    assert_eq!(world.completed(), [(6, Err(Error::Refused(ErrorCode::NoWatcher)))]);
}

#[test]
fn a_watch_that_a_request_is_about_to_share_is_not_taken_off() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, get("/a", Some(1)));
    world.take();
    world.reply(link, 1, 10, 0, &data_bytes(b""));
    world.submit(2, get("/a", Some(2)));
    world.take();
    world.give(Input::Unwatched { watcher: WatcherId(1) });
    assert_eq!(world.sent().len(), 0);
    // The other fails, so nobody is left; what the server still tells reaches nobody.
    world.reply(link, 2, 10, ErrorCode::NoAuth.number(), &[]);
    world.take();
    world.event(link, 11, EventType::NodeDataChanged, "/a");
    assert_eq!(world.take(), []);
}

#[test]
fn a_removal_keeps_its_type_only_if_the_path_is_watched_otherwise() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, get("/a", Some(1)));
    world.submit(2, lasting("/a", 2));
    world.take();
    world.reply(link, 1, 10, 0, &data_bytes(b""));
    world.reply(link, 2, 10, 0, &[0; 4]);
    world.take();
    let remove = |which| Request::RemoveWatches { path: "/a".into(), which };
    let wire_type = |sent: &Sent| i32::from_be_bytes(*sent.body.last_chunk().unwrap());
    world.submit(3, remove(WatcherType::Persistent));
    assert_eq!(wire_type(&world.sent()[0]), WatcherType::Persistent as i32);
    world.reply(link, 3, 10, 0, &[]);
    assert_eq!(world.events(), [(2, EventKind::Removed, "/a".to_owned())]);
    world.submit(4, remove(WatcherType::Data));
    assert_eq!(wire_type(&world.sent()[0]), WatcherType::Any as i32);
    // The link takes the watch with it, so the removal is done all the same.
    world.give(Input::Disconnected { link });
    assert!(world.completed().contains(&(4, Ok(Reply::Done))));
    world.connect();
    assert_eq!(world.sent().len(), 0);
}

#[test]
fn a_cancelled_watch_is_taken_off_the_server() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, lasting("/a", 1));
    world.give(Input::Cancelled { ctx: Ctx(1) });
    world.take();
    world.reply(link, 1, 10, 0, &[0; 4]);
    let out = world.sent();
    assert_eq!(out[0].op, OpCode::RemoveWatches);
    world.event(link, 11, EventType::NodeCreated, "/a");
    assert_eq!(world.take(), []);
}

#[test]
fn credentials_go_first_on_every_link_and_a_refusal_is_final() {
    let mut world = World::new("a");
    let auth = || Request::Auth { scheme: "digest".into(), credentials: Bytes::from("u:p") };
    world.submit(1, auth());
    world.submit(2, get("/a", Some(1)));
    let link = world.connect();
    let ops = |world: &mut World| world.sent().iter().map(|s| s.op).collect::<Vec<_>>();
    assert_eq!(ops(&mut world), [OpCode::Auth, OpCode::GetData]);
    world.reply(link, xid::AUTH, 0, 0, &[]);
    world.reply(link, 1, 5, 0, &data_bytes(b""));
    assert_eq!(world.completed()[0], (1, Ok(Reply::Done)));
    world.submit(3, auth());
    assert_eq!(world.completed(), [(3, Ok(Reply::Done))]);
    world.give(Input::Disconnected { link });
    let link = world.connect();
    assert_eq!(ops(&mut world), [OpCode::Auth, OpCode::SetWatches]);
    world.submit(4, set("/a"));
    world.take();
    world.reply(link, xid::AUTH, 0, ErrorCode::AuthFailed.number(), &[]);
    assert!(world.out.contains(&Output::State(State::AuthFailed)));
    assert_eq!(world.completed(), [(4, Err(Error::Unknown))]);
}

#[test]
fn a_server_without_linearizable_reads_is_told_from_one_that_refuses_credentials() {
    let mut world = World::new("a");
    let credentials = Bytes::from(LINEARIZABLE_READS);
    world.submit(1, Request::Auth { scheme: READS_SCHEME.into(), credentials });
    world.submit(2, get("/a", None));
    let link = world.connect();
    let ops: Vec<_> = world.sent().iter().map(|sent| sent.op).collect();
    assert_eq!(ops, [OpCode::Auth, OpCode::GetData], "it goes before what it is for");
    world.reply(link, xid::AUTH, 0, ErrorCode::AuthFailed.number(), &[]);
    assert!(world.out.contains(&Output::State(State::AuthFailed)));
    let refused = || Err(Error::LinearizableReadsRefused);
    let mut completed = world.completed();
    completed.sort_by_key(|(ctx, _)| *ctx);
    assert_eq!(completed, [(1, refused()), (2, refused())]);
}

#[test]
fn deadlines_tell_whether_a_write_may_have_been_done() {
    let mut world = World::new("a");
    let at = |ms| Some(Time::from_millis(ms));
    let timed = |ctx, request, deadline| Input::Submitted { ctx: Ctx(ctx), request, deadline };
    world.give(timed(1, set("/1"), at(0)));
    world.wait(0);
    let Output::Dial { link, .. } = world.out[0] else { panic!("no dial") };
    assert_eq!(world.completed(), [(1, Err(Error::TimedOut { outcome_unknown: false }))]);
    world.give(Input::Connected { link }).take();
    world.answer(link, &welcome());
    world.give(timed(2, set("/2"), at(5)));
    world.give(timed(3, get("/3", None), at(5)));
    assert_eq!(world.sent().len(), 2, "the first was never sent");
    world.wait(5);
    assert_eq!(
        world.completed(),
        [
            (2, Err(Error::TimedOut { outcome_unknown: true })),
            (3, Err(Error::TimedOut { outcome_unknown: false })),
        ]
    );
    // Their answers still have their places.
    world.submit(4, set("/4"));
    world.take();
    world.reply(link, 1, 1, 0, &stat_bytes());
    world.reply(link, 2, 1, 0, &data_bytes(b""));
    world.reply(link, 3, 2, 0, &stat_bytes());
    assert_eq!(world.completed(), [(4, Ok(Reply::Stat(Stat::default())))]);
}

#[test]
fn closing_answers_what_was_sent_and_refuses_what_follows() {
    let mut world = World::new("a");
    let link = world.connect();
    world.submit(1, set("/1"));
    world.give(Input::CloseRequested);
    let ops: Vec<_> = world.sent().iter().map(|s| s.op).collect();
    assert_eq!(ops, [OpCode::SetData, OpCode::CloseSession]);
    world.submit(2, set("/2"));
    assert_eq!(world.completed(), [(2, Err(Error::Closed))]);
    world.reply(link, 1, 1, 0, &stat_bytes());
    assert_eq!(world.completed().len(), 1);
    world.reply(link, 2, 2, 0, &[]);
    assert_eq!(world.take(), [Output::Hangup { link }, Output::State(State::Closed)]);
}

#[test]
fn a_read_only_server_serves_until_a_probe_finds_a_better_one() {
    let read_only = ConnectResponse { read_only: Some(true), ..welcome() };
    let mut world = World::new("a,b");
    world.wait(0);
    let (link, _) = world.dialed();
    world.give(Input::Connected { link }).take();
    world.answer(link, &read_only);
    assert_eq!(world.take(), [Output::Hangup { link }], "it was not asked for");

    let mut world = World::with("a,b", |config| config.read_only = true);
    world.wait(0);
    let (link, host) = world.dialed();
    world.give(Input::Connected { link }).take();
    world.answer(link, &read_only);
    assert_eq!(world.take(), [Output::State(State::ReadOnly)]);
    world.wait(100);
    let out = world.take();
    let Output::Probe { host: other } = &out[0] else { panic!("no probe: {out:?}") };
    assert_ne!(*other, host);
    world.give(Input::Probed { host: other.clone(), read_write: false });
    assert_eq!(world.take(), []);
    world.give(Input::Probed { host: other.clone(), read_write: true });
    assert!(world.take().contains(&Output::Hangup { link }));
    world.wait(0);
    let (link, dialed) = world.dialed();
    assert_eq!(dialed, *other);
    world.give(Input::Connected { link });
    let Output::Send { bytes, .. } = &world.take()[0] else { panic!("no handshake") };
    let request = ConnectRequest::decode(&mut Reader::new(&bytes[4..])).unwrap();
    assert_eq!(request.session_id, 0, "a session of read-only servers is not renewed");
}

#[test]
fn a_session_may_be_given_up_when_no_server_is_heard_of() {
    let limit = Duration::from_millis(T);
    let mut world = World::with("a", |config| config.expire_unheard_after = Some(limit));
    let link = world.connect();
    world.give(Input::Disconnected { link }).take();
    while world.session.state() == State::Suspended {
        world.wait(T);
        for output in world.take() {
            if let Output::Dial { link, .. } = output {
                world.give(Input::ConnectFailed { link });
            }
        }
    }
    assert_eq!((world.session.state(), world.now), (State::Expired, Time::from_millis(T)));
}

#[test]
fn bad_arguments_and_overload_are_refused_and_nothing_is_sent() {
    let mut world = World::with("a", |config| {
        config.outstanding_max = 1;
        config.frame_size_max_bytes = 1000;
    });
    world.connect();
    world.take();
    let create = |path: &str, data: usize, acl: Vec<Acl>, mode| {
        let data = Some(Bytes::from(vec![0; data]));
        Request::Write(Op::Create { path: path.into(), data, acl, mode })
    };
    let refused = |world: &mut World, request| {
        world.submit(1, request);
        let out = world.take();
        assert_eq!(out.len(), 1, "{out:?}");
        let Output::Completed { outcome: Err(error), .. } = &out[0] else { panic!("{out:?}") };
        error.clone()
    };
    let open = Acl::open;
    let path = |p: &str| Error::InvalidPath(p.to_owned());
    assert_eq!(refused(&mut world, get("a", None)), path("a"));
    assert_eq!(refused(&mut world, create("/a/", 0, open(), Mode::Persistent)), path("/a/"));
    let no_acl = refused(&mut world, create("/a", 0, vec![], Mode::Persistent));
    assert!(matches!(no_acl, Error::InvalidArgument(_)));
    let no_ttl = create("/a", 0, open(), Mode::PersistentWithTtl(Duration::ZERO));
    assert!(matches!(refused(&mut world, no_ttl), Error::InvalidArgument(_)));
    let large = refused(&mut world, create("/a", 1000, open(), Mode::Persistent));
    assert!(matches!(large, Error::TooLarge { limit: 1000, .. }));
    world.submit(2, create("/a/", 0, open(), Mode::PersistentSequential));
    assert_eq!(world.sent().len(), 1);
    assert_eq!(refused(&mut world, get("/a", None)), Error::Overloaded);
}

#[test]
fn the_results_of_a_multi_are_all_or_the_one_refusal() {
    let mut world = World::new("a/app");
    let link = world.connect();
    let ops = || {
        let create =
            Op::Create { path: "/a".into(), data: None, acl: Acl::open(), mode: Mode::Container };
        vec![create, Op::Check { path: "/".into(), version: 3 }]
    };
    world.submit(1, Request::Multi(ops()));
    world.submit(2, Request::Multi(ops()));
    let sent = world.sent();
    let mut multi = wire::MultiIter::new(Reader::new(&sent[0].body));
    assert_eq!(multi.next_op().unwrap(), Some(OpCode::CreateContainer.number()));
    let create = wire::CreateRequest::decode(&mut multi.reader).unwrap();
    assert_eq!((&*create.path, create.flags), ("/app/a", 4));
    assert_eq!(multi.next_op().unwrap(), Some(OpCode::Check.number()));
    let check = wire::CheckVersionRequest::decode(&mut multi.reader).unwrap();
    assert_eq!((&*check.path, check.version), ("/app", 3));
    assert_eq!(multi.next_op().unwrap(), None);

    let header = |out: &mut Vec<u8>, op, done, err| {
        put_int(out, op);
        put_bool(out, done);
        put_int(out, err);
    };
    let mut body = Vec::new();
    header(&mut body, 15, false, 0);
    put_string(&mut body, "/app/a");
    Stat::default().encode(&mut body);
    header(&mut body, 13, false, 0);
    header(&mut body, -1, true, -1);
    world.reply(link, 1, 1, 0, &body);
    let mut body = Vec::new();
    for code in [0, -103] {
        header(&mut body, -1, false, code);
        put_int(&mut body, code);
    }
    header(&mut body, -1, true, -1);
    world.reply(link, 2, 2, 0, &body);
    let created = OpResult::Created("/a".into(), Stat::default());
    assert_eq!(
        world.completed(),
        [
            (1, Ok(Reply::Multi(vec![created, OpResult::Checked]))),
            (2, Err(Error::MultiRefused { index: 1, code: -103 })),
        ]
    );
}
