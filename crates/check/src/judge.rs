//! The verdict: the order is replayed once, and every connection's frames are held against it.
//!
//! Each connection is a lane with a cursor into its requests and one into its frames. At every
//! place of the order a lane must show, in this sequence: the events that its watches are due,
//! the reply to its own write if the place is that write's, then the reads that ran there.

use crate::counts::Counts;
use crate::errors::{
    EPHEMERAL_ON_LOCAL_SESSION, NOT_READ_ONLY, SESSION_EXPIRED, SESSION_MOVED, SYSTEM_ERROR,
    UNIMPLEMENTED,
};
use crate::model::{Change, Model, ModelConfig, permits, split};
use crate::reads::Reader;
use crate::record::{
    Body, Commit, Connection, Fate, Frame, History, Op, Part, Request, Violation, Work, perms,
};
use crate::watches::Watches;
use crate::writes::{Outcome, Place};
use std::collections::BTreeMap;

/// Judges a history of a server that began empty.
///
/// # Errors
/// The first violation in the order of the zxids.
pub fn judge(history: &History, config: ModelConfig) -> Result<Counts, Violation> {
    let mut judge = Judge::new(history, config)?;
    judge.place(0, None)?;
    for commit in &history.commits {
        judge.place(commit.zxid, Some(commit))?;
    }
    judge.end()?;
    Ok(judge.counts)
}

struct Judge<'a> {
    history: &'a History,
    model: Model,
    lanes: Vec<Lane<'a>>,
    /// Which lane and which request of it a write is, by session and xid.
    asked: BTreeMap<(i64, i32), (usize, usize)>,
    next_tree: usize,
    last: i64,
    /// The last sequence number of a parent, by its path and its creation.
    numbers: BTreeMap<(String, i64), i32>,
    /// The last request of each session that took effect: they do so in their order.
    done: BTreeMap<i64, i32>,
    /// Sessions that ever were: no id comes twice.
    sessions: BTreeMap<i64, i64>,
    counts: Counts,
}

struct Lane<'a> {
    index: usize,
    connection: &'a Connection,
    next_request: usize,
    next_frame: usize,
    watches: Watches,
    over: bool,
}

/// What one place of the order did.
struct Effect {
    changes: Vec<Change>,
    /// The lane that asked, its request, and the model's answer.
    answer: Option<(usize, usize, Outcome)>,
}

impl<'a> Judge<'a> {
    fn new(history: &'a History, config: ModelConfig) -> Result<Judge<'a>, Violation> {
        let mut asked = BTreeMap::new();
        for (lane, connection) in history.connections.iter().enumerate() {
            for (index, request) in connection.requests.iter().enumerate() {
                let key = (connection.session, request.xid);
                if request.op.is_write() && asked.insert(key, (lane, index)).is_some() {
                    return Err(Violation::new("history", format!("xid {key:x?} was used twice")));
                }
            }
        }
        let lane = |(index, connection)| Lane {
            index,
            connection,
            next_request: 0,
            next_frame: 0,
            watches: Watches::default(),
            over: false,
        };
        Ok(Judge {
            history,
            model: Model { configuration: history.configuration.clone(), ..Model::new(config) },
            lanes: history.connections.iter().enumerate().map(lane).collect(),
            asked,
            next_tree: 0,
            last: 0,
            numbers: BTreeMap::new(),
            done: BTreeMap::new(),
            sessions: BTreeMap::new(),
            counts: Counts::default(),
        })
    }

    fn place(&mut self, zxid: i64, commit: Option<&Commit>) -> Result<(), Violation> {
        let effect = match commit {
            Some(commit) => self.take(commit)?,
            None => Effect { changes: Vec::new(), answer: None },
        };
        let Judge { lanes, model, counts, .. } = self;
        for lane in lanes.iter_mut().filter(|lane| !lane.over) {
            lane.place(zxid, &effect, model, counts)?;
        }
        if let Some((lane, request, _)) = effect.answer {
            // A write whose reply never came, and which was done all the same.
            counts.unknown_done += u64::from(lanes[lane].next_request <= request);
        }
        let trees = &self.history.trees;
        while let Some(tree) = trees.get(self.next_tree).filter(|tree| tree.zxid <= zxid) {
            self.next_tree += 1;
            self.counts.trees += 1;
            if let Some(difference) = self.model.difference(tree) {
                let what = format!("the tree at {:#x} is not the model's: {difference}", tree.zxid);
                return Err(Violation::new("state", what));
            }
        }
        Ok(())
    }

    /// Does what the order says on the model.
    fn take(&mut self, commit: &Commit) -> Result<Effect, Violation> {
        let Commit { zxid, session, .. } = *commit;
        let leads = commit.work == Work::Lead;
        if !(if leads { zxid > self.last && zxid as u32 == 0 } else { zxid == self.last + 1 }) {
            let what = format!("{zxid:#x} follows {:#x}", self.last);
            return Err(Violation::new("order.gap", what));
        }
        self.last = zxid;
        self.counts.commits += u64::from(!leads);
        let mut changes = Vec::new();
        let mut answer = None;
        match &commit.work {
            Work::Open { timeout_ms } => {
                if self.sessions.insert(session, zxid).is_some() {
                    let what = format!("session {session:#x} was opened twice");
                    return Err(Violation::new("session.id", what));
                }
                self.model.sessions.insert(session, *timeout_ms);
                self.model.opened.insert(session);
            }
            Work::Expire => {
                if !self.model.sessions.contains_key(&session) {
                    let what = format!("session {session:#x} expired twice or never was");
                    return Err(Violation::new("session.expiry", what));
                }
                self.counts.expired += 1;
                self.model.close(session, zxid, &mut changes);
            }
            Work::Reap { path } => {
                self.counts.reaped += 1;
                let reaped = self.model.reap(path, zxid, &mut changes);
                reaped.map_err(|why| Violation::new("reap", format!("at {zxid:#x}: {why}")))?;
            }
            Work::ReapFailed { .. } | Work::Lead => {}
            Work::Asked { err } => answer = Some(self.asked(commit, *err, &mut changes)?),
        }
        Ok(Effect { changes, answer })
    }

    fn asked(
        &mut self,
        commit: &Commit,
        err: i32,
        changes: &mut Vec<Change>,
    ) -> Result<(usize, usize, Outcome), Violation> {
        let Commit { zxid, session, xid, time, .. } = *commit;
        let Some(&(lane, index)) = self.asked.get(&(session, xid)) else {
            let what = format!("{zxid:#x} is of session {session:#x} xid {xid}: nobody asked");
            return Err(Violation::new("order.unasked", what));
        };
        let connection = &self.history.connections[lane];
        let op = &connection.requests[index].op;
        if err == SESSION_MOVED && self.has_moved(commit, lane) {
            return Ok((lane, index, Err(err)));
        }
        // One that comes when its session is over does nothing any more. From where a session was
        // before only its end counts, whenever it comes, and what looks at no session.
        let is_blind = *op == Op::Close
            || err == UNIMPLEMENTED
            || matches!(op, Op::Multi(parts) if parts.is_empty());
        let is_late = err == SESSION_EXPIRED || is_blind && self.has_moved(commit, lane);
        let before = if is_late { None } else { self.done.insert(session, xid) };
        if before.is_some_and(|before| before >= xid) {
            let what = format!("{zxid:#x}: {xid} of {session:#x} comes after {before:?}");
            return Err(Violation::new("session.fifo", what));
        }
        // One that a single server knows has ended, or that one has forgotten it.
        let local = self.model.is_local(session) && err != SESSION_EXPIRED;
        self.counts.local_writes += u64::from(local);
        let at = Place { zxid, time, session, local, ids: &connection.ids };
        let outcome = if let Op::Reconfig(change) = op {
            self.model.reconfigure(change, at, err, changes)
        } else {
            self.model.write(op, at, changes)
        };
        let expected = error_of(&outcome);
        if expected != err {
            let what = format!("{zxid:#x} has error {err}, the model {expected}: {op:?}");
            return Err(Violation::new("order.error", what));
        }
        self.counts.refused_writes += u64::from(expected != 0);
        self.counts.closed += u64::from(*op == Op::Close);
        if matches!(op, Op::Reconfig(_)) {
            self.counts.reconfigured += u64::from(expected == 0);
            self.counts.not_reconfigured += u64::from(expected != 0);
        }
        if matches!(op, Op::Multi(_)) {
            self.counts.multis += 1;
            self.counts.failed_multis += u64::from(expected != 0);
        }
        if matches!(op, Op::Create { mode, .. } if mode.sequential) {
            self.number(&outcome)?;
        }
        Ok((lane, index, outcome))
    }

    /// Whether the session may have gone on on another connection when this was logged: then this
    /// one's writes may be refused. A call that was never answered may be heard at any time later.
    fn has_moved(&self, commit: &Commit, lane: usize) -> bool {
        let is_same = |other: &Connection| other.session == commit.session;
        let moves = |later: &Connection| is_same(later) && later.began < commit.zxid;
        let is_unheard = |earlier: &Connection| is_same(earlier) && earlier.frames.is_empty();
        let connections = &self.history.connections;
        connections[lane + 1..].iter().any(moves) || connections[..lane].iter().any(is_unheard)
    }

    /// Sequence numbers of a parent only rise.
    fn number(&mut self, outcome: &Outcome) -> Result<(), Violation> {
        let Ok(Body::Path(path) | Body::PathStat(path, _)) = outcome else { return Ok(()) };
        let Some((parent, _)) = split(path) else { return Ok(()) };
        let number = path.get(path.len().saturating_sub(10)..).and_then(|n| n.parse().ok());
        let (Some(number), Some(node)) = (number, self.model.node(parent)) else {
            return Err(Violation::new("sequence", format!("{path} has no number")));
        };
        self.counts.sequential += 1;
        let before = self.numbers.insert((parent.into(), node.czxid), number);
        if before.is_some_and(|before| before >= number) {
            let what = format!("{path} does not follow {before:?}");
            return Err(Violation::new("sequence", what));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Violation> {
        for lane in &self.lanes {
            if let Some(frame) = lane.connection.frames.get(lane.next_frame) {
                return Err(lane.violation("order.beyond", self.last, format!("{frame:?}")));
            }
        }
        match self.history.trees.get(self.next_tree) {
            Some(tree) => {
                let what = format!("a tree of {:#x} was seen after {:#x}", tree.zxid, self.last);
                Err(Violation::new("order.beyond", what))
            }
            None => Ok(()),
        }
    }
}

impl Lane<'_> {
    fn place(
        &mut self,
        zxid: i64,
        effect: &Effect,
        model: &Model,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        for change in &effect.changes {
            let is_due = self.watches.takes(change);
            if is_due && permits(&change.acl, &self.connection.ids, perms::READ) {
                self.event(zxid, change, counts)?;
                if self.over {
                    return Ok(());
                }
            }
        }
        if let Some((lane, request, outcome)) = &effect.answer
            && *lane == self.index
        {
            self.write_reply(zxid, *request, outcome, counts)?;
        }
        self.reads(zxid, model, counts)
    }

    fn event(&mut self, at: i64, change: &Change, counts: &mut Counts) -> Result<(), Violation> {
        match self.connection.frames.get(self.next_frame) {
            Some(Frame::Event { zxid, kind, path })
                if *zxid == at && *kind == change.kind as i32 && *path == change.path =>
            {
                self.next_frame += 1;
                counts.events[*kind as usize - 1] += 1;
                Ok(())
            }
            None if self.connection.fate == Fate::Broken => {
                self.over = true;
                Ok(())
            }
            None => Err(self.violation("watch.missing", at, format!("{change:?}"))),
            Some(other) => {
                let what = format!("due: {change:?}, came: {other:?}");
                Err(self.violation("watch.order", at, what))
            }
        }
    }

    fn write_reply(
        &mut self,
        at: i64,
        request: usize,
        outcome: &Outcome,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let Some(frame) = self.connection.frames.get(self.next_frame) else {
            if self.connection.fate == Fate::Whole {
                return Err(self.violation("reply.missing", at, format!("request {request}")));
            }
            self.over = true;
            return Ok(());
        };
        if self.next_request != request {
            let what = format!("write {request} was done before {}", self.next_request);
            return Err(self.violation("session.fifo", at, what));
        }
        let asked = &self.connection.requests[request];
        self.compare(at, asked, outcome, frame)?;
        counts.write_replies += 1;
        self.next_frame += 1;
        self.next_request += 1;
        if asked.op == Op::Close && self.next_frame < self.connection.frames.len() {
            return Err(self.violation("reply.after_close", at, String::new()));
        }
        Ok(())
    }

    /// Takes all replies of reads that ran at this place.
    fn reads(&mut self, at: i64, model: &Model, counts: &mut Counts) -> Result<(), Violation> {
        loop {
            let frames = &self.connection.frames[self.next_frame..];
            let made_up = frames.iter().take_while(|f| matches!(f, Frame::Event { zxid: -1, .. }));
            let made_up = made_up.count();
            let Some(Frame::Reply { xid, zxid, err, .. }) = frames.get(made_up) else {
                return self.stopped_at(frames.get(made_up), at);
            };
            if *zxid > at {
                return Ok(());
            }
            let Some(asked) = self.connection.requests.get(self.next_request) else {
                return Err(self.violation("reply.unasked", at, format!("{:?}", frames[made_up])));
            };
            if asked.xid != *xid {
                let what = format!("reply {xid} came to request {}: {:?}", asked.xid, asked.op);
                return Err(self.violation("reply.order", at, what));
            }
            if *zxid < at {
                return Err(self.violation("session.back", at, format!("{:?}", frames[made_up])));
            }
            if asked.op.is_write() {
                if !self.is_answered_outside(asked, *err, model) {
                    let what = format!("{:?} of {:?}", frames[made_up], asked.op);
                    return Err(self.violation("write.uncommitted", at, what));
                }
                counts.answered_outside += 1;
            } else {
                self.read_reply(at, asked, made_up, model, counts)?;
            }
            self.next_frame += made_up + 1;
            self.next_request += 1;
        }
    }

    /// Whether a write may get this answer without a place in the order.
    fn is_answered_outside(&self, asked: &Request, err: i32, model: &Model) -> bool {
        let is_local = model.is_local(self.connection.session) || self.connection.read_only;
        match err {
            0 => is_local && asked.op == Op::Close,
            SYSTEM_ERROR => self.connection.disk_failed,
            NOT_READ_ONLY => self.connection.read_only,
            EPHEMERAL_ON_LOCAL_SESSION => {
                is_local && matches!(&asked.op, Op::Create { mode, .. } if mode.ephemeral)
            }
            _ => false,
        }
    }

    /// No reply comes next: nothing may be left over for this place.
    fn stopped_at(&mut self, next: Option<&Frame>, at: i64) -> Result<(), Violation> {
        match next {
            Some(Frame::Event { zxid, .. }) if *zxid > at => Ok(()),
            Some(frame) => Err(self.violation("watch.spurious", at, format!("{frame:?}"))),
            None => {
                self.over = self.connection.fate == Fate::Broken;
                // What made up events announce may be cut off with the connection.
                self.next_frame = self.connection.frames.len();
                Ok(())
            }
        }
    }

    fn read_reply(
        &mut self,
        at: i64,
        asked: &Request,
        made_up: usize,
        model: &Model,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let frames = &self.connection.frames[self.next_frame..];
        let who = Reader { session: self.connection.session, ids: &self.connection.ids };
        let mut due = Vec::new();
        if let Op::SetWatches(lists) = &asked.op {
            counts.set_watches += 1;
            due = model.set_watches(lists, &mut self.watches);
        }
        let came: Vec<(i32, String)> = frames[..made_up]
            .iter()
            .filter_map(|frame| match frame {
                Frame::Event { kind, path, .. } => Some((*kind, path.clone())),
                Frame::Reply { .. } => None,
            })
            .collect();
        if due != came {
            let what = format!("setWatches made up {came:?}, due: {due:?} {:?}", asked.op);
            return Err(self.violation("watch.replay", at, what));
        }
        counts.missed_events += made_up as u64;
        counts.reads += 1;
        let is_sync = matches!(asked.op, Op::Sync { .. });
        let outcome = if is_sync && self.connection.read_only {
            Err(NOT_READ_ONLY)
        } else {
            model.read(&asked.op, who, &mut self.watches)
        };
        self.compare(at, asked, &outcome, &frames[made_up])
    }

    fn compare(
        &self,
        at: i64,
        asked: &Request,
        expected: &Outcome,
        came: &Frame,
    ) -> Result<(), Violation> {
        if asked.told > at {
            let what = format!("{:?} shows less than was told: {:#x}", asked.op, asked.told);
            return Err(self.violation("stale", at, what));
        }
        let (err, body) = match expected {
            Ok(body) => (0, body),
            Err(code) => (*code, &Body::Empty),
        };
        let reply = Frame::Reply { xid: asked.xid, zxid: at, err, body: body.clone() };
        if *came == reply {
            return Ok(());
        }
        let what = format!("to {:?}\n  came {came:?}\n  due  {reply:?}", asked.op);
        Err(self.violation("reply.wrong", at, what))
    }

    fn violation(&self, rule: &'static str, at: i64, what: String) -> Violation {
        let session = self.connection.session;
        let what = format!("connection {} of {session:#x} at {at:#x}: {what}", self.index);
        Violation::new(rule, what)
    }
}

/// The error that a transaction names: for a multi that of the part that failed.
fn error_of(outcome: &Outcome) -> i32 {
    match outcome {
        Err(code) => *code,
        Ok(Body::Parts(parts)) => parts
            .iter()
            .find_map(|part| match part {
                Part::Failed(code) if *code != 0 => Some(*code),
                Part::Failed(_) | Part::Done(_) => None,
            })
            .unwrap_or(0),
        Ok(_) => 0,
    }
}
