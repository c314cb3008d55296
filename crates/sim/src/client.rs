//! A client: a session over connections that come and go, and a record of all it sees.

use crate::codec;
use crate::workload::Workload;
use base::{Rng, Time};
use check::{Connection, Fate, Frame, Op, Request, Violation};
use jute::{Decode, Encode, Reader};
use std::collections::VecDeque;
use std::time::Duration;
use wire::{ConnectRequest, ConnectResponse, ReplyHeader, xid};

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Away,
    Connecting(u32),
    Open(u32),
}

/// What a frame meant to the client.
pub(crate) enum Seen {
    Opened {
        renewed: bool,
        /// By a server that serves reads alone.
        reads_alone: bool,
    },
    Refused,
    /// A reply or event that tells of this zxid, and whether a linearizable read did.
    Told {
        zxid: i64,
        linearizable: bool,
    },
    /// The session was closed as asked.
    Closed,
    Nothing,
}

pub(crate) struct Client {
    pub(crate) phase: Phase,
    pub(crate) session: i64,
    password: [u8; wire::PASSWORD_SIZE],
    pub(crate) timeout: Duration,
    timeout_asked: i32,
    last_xid: i32,
    pub(crate) last_zxid: i64,
    pub(crate) outstanding: VecDeque<(i32, Op)>,
    input: Vec<u8>,
    record: Option<Connection>,
    pub(crate) last_sent: Time,
    /// How long it had been silent then.
    pub(crate) was_silent: Duration,
    pub(crate) last_heard: Time,
    pub(crate) silent_until: Time,
    pub(crate) workload: Workload,
    /// User and password, and the id that they make.
    pub(crate) user: Option<(String, String)>,
    /// Requests to be sent before any other.
    pub(crate) script: VecDeque<Op>,
    pub(crate) history: Vec<Connection>,
    /// Whether the session was closed as asked.
    pub(crate) closed: bool,
    /// Whether it opens sessions no more.
    pub(crate) retired: bool,
    /// Whether it asks for nothing but changes of the ensemble.
    pub(crate) operates: bool,
    /// Whether its reads are to show all that was acknowledged to anybody.
    pub(crate) linearizable: bool,
    /// Whether it is content with a server that serves reads alone.
    pub(crate) takes_read_only: bool,
    /// Whether it is gone for good without a word.
    pub(crate) gone: bool,
}

impl Client {
    pub(crate) fn new(
        timeout_ms: i32,
        workload: Workload,
        user: Option<(String, String)>,
    ) -> Client {
        Client {
            phase: Phase::Away,
            session: 0,
            password: [0; wire::PASSWORD_SIZE],
            timeout: Duration::ZERO,
            timeout_asked: timeout_ms,
            last_xid: 0,
            last_zxid: 0,
            outstanding: VecDeque::new(),
            input: Vec::new(),
            record: None,
            last_sent: Time::ZERO,
            was_silent: Duration::ZERO,
            last_heard: Time::ZERO,
            silent_until: Time::ZERO,
            workload,
            user,
            script: VecDeque::new(),
            history: Vec::new(),
            closed: false,
            retired: false,
            operates: false,
            linearizable: false,
            takes_read_only: false,
            gone: false,
        }
    }

    pub(crate) fn link(&self) -> Option<u32> {
        match self.phase {
            Phase::Away => None,
            Phase::Connecting(link) | Phase::Open(link) => Some(link),
        }
    }

    /// The first bytes on a new link.
    pub(crate) fn connect(
        &mut self,
        link: u32,
        now: Time,
        rng: &mut Rng,
        (told, logged): (i64, i64),
    ) -> Vec<u8> {
        self.phase = Phase::Connecting(link);
        (self.last_sent, self.last_heard) = (now, now);
        self.was_silent = Duration::ZERO;
        self.input.clear();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: self.timeout_asked,
            session_id: self.session,
            password: &self.password,
            read_only: Some(self.takes_read_only),
        };
        let mut bytes = codec::frame(|out| request.encode(out));
        if self.linearizable {
            bytes.extend(auth_frame("reads", b"linearizable"));
        }
        let mut ids = Vec::new();
        if let Some((credentials, id)) = &self.user {
            ids.push(("digest".into(), id.clone()));
            if self.operates {
                ids.push(("super".into(), String::new()));
            }
            bytes.extend(auth_frame("digest", credentials.as_bytes()));
        }
        self.record = Some(Connection {
            session: self.session,
            began: logged,
            ids,
            requests: Vec::new(),
            frames: Vec::new(),
            fate: Fate::Broken,
            disk_failed: false,
            read_only: false,
        });
        if self.session != 0 && self.workload.watches {
            let lists = crate::workload::set_watches(rng, self.last_zxid);
            bytes.extend(self.send_as(xid::SET_WATCHES, Op::SetWatches(lists), told));
        }
        bytes
    }

    /// The bytes of the next request.
    pub(crate) fn send(&mut self, op: Op, now: Time, told: i64) -> Vec<u8> {
        self.was_silent = now.since(self.last_sent);
        self.last_sent = now;
        let xid = if op == Op::Ping {
            xid::PING
        } else {
            self.last_xid += 1;
            self.last_xid
        };
        self.send_as(xid, op, told)
    }

    fn send_as(&mut self, xid: i32, op: Op, told: i64) -> Vec<u8> {
        let bytes = codec::request(xid, &op);
        if let Some(record) = &mut self.record {
            record.requests.push(Request { xid, op: op.clone(), told });
        }
        self.outstanding.push_back((xid, op));
        bytes
    }

    /// Takes bytes; answers with what the frames in them meant.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Time) -> Result<Vec<Seen>, Violation> {
        self.last_heard = now;
        self.input.extend_from_slice(bytes);
        let mut seen = Vec::new();
        while let Some(head) = self.input.first_chunk::<4>() {
            let end = 4 + u32::from_be_bytes(*head) as usize;
            if self.input.len() < end {
                break;
            }
            let frame: Vec<u8> = self.input.drain(..end).skip(4).collect();
            let one = match self.phase {
                Phase::Connecting(link) => self.opened(&frame, link)?,
                Phase::Open(_) => self.frame(&frame)?,
                Phase::Away => Seen::Nothing,
            };
            seen.push(one);
        }
        Ok(seen)
    }

    fn opened(&mut self, frame: &[u8], link: u32) -> Result<Seen, Violation> {
        let malformed = |_| Violation::new("handshake", format!("{frame:x?}"));
        let response = ConnectResponse::decode(&mut Reader::new(frame)).map_err(malformed)?;
        if response.session_id == 0 {
            return Ok(Seen::Refused);
        }
        if self.session != 0 && response.session_id != self.session {
            let what = format!("{:#x} became {:#x}", self.session, response.session_id);
            return Err(Violation::new("session.id", what));
        }
        let reads_alone = response.read_only == Some(true);
        if reads_alone && !self.takes_read_only {
            let what = format!("{:#x} is to read only", response.session_id);
            return Err(Violation::new("session.read_only", what));
        }
        let renewed = self.session != 0;
        self.phase = Phase::Open(link);
        self.session = response.session_id;
        self.password = response.password;
        self.timeout = Duration::from_millis(response.timeout_ms as u64);
        if let Some(record) = &mut self.record {
            (record.session, record.read_only) = (self.session, reads_alone);
        }
        Ok(Seen::Opened { renewed, reads_alone })
    }

    fn frame(&mut self, frame: &[u8]) -> Result<Seen, Violation> {
        let malformed = |_| Violation::new("frame", format!("{frame:x?}"));
        let mut reader = Reader::new(frame);
        let header = ReplyHeader::decode(&mut reader).map_err(malformed)?;
        if header.xid == xid::AUTH {
            return match header.err {
                0 => Ok(Seen::Nothing),
                err => Err(Violation::new("auth", format!("error {err}"))),
            };
        }
        if header.xid == xid::NOTIFICATION {
            let kind = reader.int().map_err(malformed)?;
            let state = reader.int().map_err(malformed)?;
            let path = reader.string().map_err(malformed)?.unwrap_or_default().into_owned();
            if state != 3 || !reader.is_empty() {
                return Err(Violation::new("frame", format!("{frame:x?}")));
            }
            self.keep(Frame::Event { zxid: header.zxid, kind, path });
            self.last_zxid = self.last_zxid.max(header.zxid);
            return Ok(Seen::Told { zxid: header.zxid, linearizable: false });
        }
        let Some((xid, op)) = self.outstanding.pop_front() else {
            return Err(Violation::new("reply.unasked", format!("{header:?}")));
        };
        if xid != header.xid {
            let what = format!("{header:?} came, {xid} is due: {op:?}");
            return Err(Violation::new("reply.order", what));
        }
        let ReplyHeader { zxid, err, .. } = header;
        let linearizable = self.linearizable && op.shows_nodes();
        let body = codec::body(&op, err, &mut reader);
        self.keep(Frame::Reply { xid, zxid, err, body });
        self.last_zxid = self.last_zxid.max(zxid);
        Ok(if op == Op::Close && err == 0 {
            Seen::Closed
        } else {
            Seen::Told { zxid, linearizable }
        })
    }

    /// Whether the server that it is connected to serves reads alone.
    pub(crate) fn reads_alone(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.read_only)
    }

    fn keep(&mut self, frame: Frame) {
        if let Some(record) = &mut self.record {
            record.frames.push(frame);
        }
    }

    /// Whether writes may be refused from now on.
    pub(crate) fn disk_failed(&mut self) {
        if let Some(record) = &mut self.record {
            record.disk_failed = true;
        }
    }

    /// The link is gone.
    pub(crate) fn disconnected(&mut self, fate: Fate) {
        self.phase = Phase::Away;
        self.outstanding.clear();
        self.input.clear();
        // A session of a server that serves reads alone is none anywhere else.
        if std::mem::take(&mut self.closed) || self.reads_alone() {
            self.forget_session();
        }
        if let Some(mut record) = self.record.take() {
            record.fate = fate;
            self.history.push(record);
        }
    }

    /// The session is over: the next connection opens another.
    pub(crate) fn forget_session(&mut self) {
        self.session = 0;
        self.password = [0; wire::PASSWORD_SIZE];
        self.last_xid = 0;
    }

    /// The next request of its own accord.
    pub(crate) fn next_op(&mut self, rng: &mut Rng) -> Op {
        if let Some(op) = self.script.pop_front() {
            return op;
        }
        let user = self.user.as_ref().map(|(_, id)| id.as_str());
        if rng.one_in(150) { Op::Close } else { self.workload.next(rng, user) }
    }
}

/// A request by which a client says who it is, or how it wants to be served.
fn auth_frame(scheme: &str, auth: &[u8]) -> Vec<u8> {
    codec::frame(|out| {
        wire::RequestHeader { xid: xid::AUTH, op: 100 }.encode(out);
        jute::Writer::new(out).int(0).string(scheme).buffer(Some(auth));
    })
}
