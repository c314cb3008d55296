//! The member's half of the service: what is asked goes into the order, what comes out of it is
//! applied and answered.
//!
//! A member is primary, replica or apart, as its engine says. The primary turns requests into
//! transactions, its own clients' and those that replicas forward, and ends sessions that nobody
//! hears of. A replica forwards what its clients ask, and answers when it applies what came of it.
//! Apart nobody is served, or, after a while, reads to clients that ask for no more.
//! Invariants: every write that was prepared or forwarded is answered exactly once, in the order
//! of its session, or its connection is closed; while the journal works, nothing is answered
//! before it is delivered; whoever leaves a role closes the connections that it had.

mod apply;
mod batch;
mod letters;
mod locals;
mod outgoing;
mod primary;
mod read_only;
mod reads;
mod replica;
mod results;
mod syncs;
mod waiting;

pub use apply::Section;
pub use letters::Letter;
pub use outgoing::{Outgoing, Refused};

use crate::session::{Expiry, Liveness, Place, SessionIds, password};
use crate::submission::{Ask, Submission, Submissions};
use crate::{AskMembers, Clients, Config, LocalSessions};
use base::{ConnectionId, SessionId, Time, WallTime, Zxid};
use bytes::Bytes;
use primary::Primary;
use replica::Replica;
use std::sync::Arc;
use std::time::Duration;
use trace::Event;
use tree::Tree;
use wire::{ErrorCode, OpCode, PASSWORD_SIZE};

/// The service of one member.
#[derive(Debug)]
pub struct Keeper {
    service: Service,
    role: Role,
}

/// What this member does.
#[derive(Debug)]
enum Role {
    Primary(Box<Primary>),
    Replica(Box<Replica>),
    /// Belongs to nothing: serves nobody. From this time on it reads to those who ask for no more,
    /// if it still looks for others then.
    Apart {
        read_only_at: Option<Time>,
    },
    /// Belongs to nothing for long: serves those who ask for reads alone.
    ReadOnly,
    /// The disk has failed, for good: writes are refused, reads go on.
    Silent,
}

/// What all roles work with.
#[derive(Debug)]
struct Service {
    config: Arc<Config>,
    /// Sessions that all members know.
    sessions: Expiry,
    /// Sessions that only this member knows.
    locals: Expiry,
    /// Sessions that all members knew, and that have ended.
    ended: locals::Ended,
    session_ids: SessionIds,
    ready: Vec<Ready>,
    events: Vec<Event>,
}

/// What requests are prepared against.
#[derive(Clone, Copy)]
struct Moment<'a> {
    tree: &'a Tree,
    now: Time,
    wall: WallTime,
    members: AskMembers<'a>,
}

/// Who asked, and what.
#[derive(Clone, Copy, Debug)]
struct Asked {
    connection: ConnectionId,
    xid: i32,
    op: OpCode,
}

/// What is to be done to a connection at the next chance.
#[derive(Debug)]
enum Ready {
    Established {
        connection: ConnectionId,
        session: SessionId,
        timeout_ms: i32,
    },
    Refused {
        connection: ConnectionId,
    },
    Close {
        connection: ConnectionId,
    },
    /// Its oldest linearizable read may see the tree as it is.
    Confirmed {
        connection: ConnectionId,
    },
    /// Everybody's: the member has left its role.
    CloseAll,
    /// Its turn has come, and it needs no place in the order.
    Answer {
        origin: Asked,
        err: i32,
    },
    /// A sync, of which this is the request's body.
    Synced {
        origin: Asked,
        body: Box<[u8]>,
    },
}

impl Keeper {
    /// A service that serves nobody until it is told its role.
    #[must_use]
    pub fn new(config: Arc<Config>, wall: WallTime) -> Keeper {
        let service = Service {
            sessions: Expiry::new(config.tick),
            locals: Expiry::new(config.tick),
            ended: locals::Ended::default(),
            session_ids: SessionIds::new(config.server_id, wall),
            ready: Vec::new(),
            events: Vec::new(),
            config,
        };
        Keeper { service, role: Role::Apart { read_only_at: None } }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.service.config
    }

    /// The sessions that all members know, by deadline.
    #[must_use]
    pub fn expiry(&self) -> &Expiry {
        &self.service.sessions
    }

    /// The sessions that only this member knows, by deadline.
    #[must_use]
    pub fn local_sessions(&self) -> &Expiry {
        &self.service.locals
    }

    /// Whether clients may read and write here.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        matches!(self.role, Role::Primary(_) | Role::Replica(_))
    }

    /// Whether it may propose, and takes letters of replicas.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        matches!(self.role, Role::Primary(_))
    }

    /// How many writes are prepared or forwarded, and not answered.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        match &self.role {
            Role::Primary(primary) => primary.outstanding(),
            Role::Replica(replica) => replica.outstanding(),
            Role::Apart { .. } | Role::ReadOnly | Role::Silent => 0,
        }
    }

    /// Takes what happened since the last call.
    pub fn take_events(&mut self, into: &mut Vec<Event>) {
        into.append(&mut self.service.events);
    }

    /// This member may propose, from the place after `last` on. Every session gets its full
    /// time-out from `now`. The tree must hold all that was delivered before.
    pub fn become_primary(&mut self, tree: &Tree, last: Zxid, now: Time) {
        self.leave();
        self.service.track_all(tree, now);
        self.role = Role::Primary(Box::new(Primary::new(&self.service.config, last, now)));
    }

    /// This member forwards what is asked to a primary. The tree must hold all that was delivered
    /// before.
    pub fn become_replica(&mut self, tree: &Tree, now: Time) {
        self.leave();
        self.service.track_all(tree, now);
        self.role = Role::Replica(Box::default());
    }

    /// This member belongs to nothing: what is under way is unknown. Sessions go on, elsewhere.
    pub fn become_apart(&mut self) {
        self.leave();
        self.role = Role::Apart { read_only_at: None };
    }

    /// The disk has failed: the outcome of what is under way is unknown, so its connections are
    /// closed. Without other members the rest are read to, and refused what they want to write;
    /// with others they are better served there.
    pub fn become_silent(&mut self) {
        if !self.service.config.alone {
            return self.become_apart();
        }
        if let Role::Primary(primary) = &mut self.role {
            primary.abandon(&mut self.service.ready);
        }
        self.role = Role::Silent;
    }

    /// Leaves a role in which clients were served: they come again, here or elsewhere. Who had a
    /// session that only this member knew gets another.
    fn leave(&mut self) {
        self.service.locals = Expiry::new(self.service.config.tick);
        match self.role {
            Role::Primary(_) | Role::Replica(_) => self.service.ready.push(Ready::CloseAll),
            Role::ReadOnly => {
                self.service.ready.push(Ready::CloseAll);
                self.service.events.push(Event::ReadOnlyEnded);
            }
            Role::Apart { .. } | Role::Silent => {}
        }
    }

    /// Prepares or forwards what connections ask for, in order.
    pub fn prepare(
        &mut self,
        tree: &Tree,
        now: Time,
        wall: WallTime,
        submissions: &Submissions,
        members: AskMembers<'_>,
        out: &mut Outgoing,
    ) {
        let service = &mut self.service;
        match &mut self.role {
            Role::Primary(primary) => {
                primary.prepare(service, Moment { tree, now, wall, members }, submissions, out);
            }
            Role::Replica(replica) => replica.forward(service, tree, now, submissions, out),
            Role::ReadOnly => submissions.iter().for_each(|(submission, _)| {
                service.read_only(submission, tree, now);
            }),
            Role::Apart { .. } => {
                submissions.iter().for_each(|(submission, _)| service.turn_away(submission))
            }
            Role::Silent => {
                submissions.iter().for_each(|(submission, _)| service.refuse(submission, now));
            }
        }
    }

    /// Ends the sessions whose time is up and the nodes that are to go.
    pub fn expire(
        &mut self,
        tree: &Tree,
        now: Time,
        wall: WallTime,
        clients: &mut dyn Clients,
        out: &mut Outgoing,
    ) {
        if let Role::Primary(primary) = &mut self.role {
            let moment = Moment { tree, now, wall, members: &|| None };
            primary.expire(&mut self.service, moment, clients, out);
        }
        self.service.expire_locals(now, clients);
        self.read_only_if_due(now);
    }

    /// What a replica's clients have been heard to say since it was last asked: each session with
    /// its time-out, as [`Keeper::heard`] reads it. Empty in other roles.
    pub fn heartbeat(&mut self, clients: &mut dyn Clients, now: Time) -> Bytes {
        match &mut self.role {
            Role::Replica(replica) => replica.heartbeat(&self.service.locals, clients, now),
            Role::Primary(_) | Role::Apart { .. } | Role::ReadOnly | Role::Silent => Bytes::new(),
        }
    }

    /// Whether [`Keeper::answer_ready`] has something to do.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.service.ready.is_empty()
            || match &self.role {
                Role::Primary(primary) => primary.has_ready(),
                Role::Replica(_) | Role::Apart { .. } | Role::ReadOnly | Role::Silent => false,
            }
    }

    /// When it wants [`Keeper::expire`] to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let locals = self.service.locals.deadline();
        match &self.role {
            Role::Primary(primary) => {
                let globals = self.service.sessions.deadline();
                locals.into_iter().chain(globals).chain([primary.reaper_deadline()]).min()
            }
            Role::Apart { read_only_at } => *read_only_at,
            Role::Replica(_) | Role::ReadOnly | Role::Silent => locals, // nothing else is ended here
        }
    }
}

impl Service {
    /// Forgets where sessions were: each has its full time-out from `now`, on no connection.
    fn track_all(&mut self, tree: &Tree, now: Time) {
        self.sessions = Expiry::new(self.config.tick);
        for (session, timeout_ms) in tree.sessions() {
            self.sessions.track(session, millis(timeout_ms), Place::default(), now);
        }
    }

    /// An id for a new session.
    fn fresh_session(&mut self, tree: &Tree) -> SessionId {
        let Service { sessions, locals, session_ids, .. } = self;
        session_ids.fresh(|id| {
            sessions.get(id).is_some()
                || locals.get(id).is_some()
                || tree.session_timeout(id).is_some()
        })
    }

    /// Whether what the client gave is the session's password; the connection is told if not.
    fn is_password(&mut self, submission: &Submission, given: Option<[u8; PASSWORD_SIZE]>) -> bool {
        let is_right = given == Some(password(submission.session));
        if !is_right {
            self.refuse_session(submission.session, submission.connection);
        }
        is_right
    }

    /// The session is not for this connection.
    fn refuse_session(&mut self, session: SessionId, connection: ConnectionId) {
        self.events.push(Event::SessionRefused { session });
        self.ready.push(Ready::Refused { connection });
    }

    /// The session comes back on this connection, and leaves that which it was on.
    fn renewed(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        timeout_ms: i32,
        now: Time,
    ) {
        self.leave_before(session, connection, now);
        let sessions = if self.is_local(session) { &mut self.locals } else { &mut self.sessions };
        sessions.track(session, millis(timeout_ms), Place::on(connection), now);
        self.events.push(Event::SessionRenewed { session });
        self.ready.push(Ready::Established { connection, session, timeout_ms });
    }

    /// The session comes back on this connection, or is about to: that which it was on is closed,
    /// for the session may have been elsewhere meanwhile, and what the connection still holds must
    /// not come behind what was written there.
    fn leave_before(&mut self, session: SessionId, connection: ConnectionId, now: Time) {
        let sessions = if self.is_local(session) { &mut self.locals } else { &mut self.sessions };
        let before = sessions.get(session).and_then(|liveness| liveness.connection);
        if let Some(before) = before.filter(|before| *before != connection) {
            sessions.detach(session, before, now);
            self.ready.push(Ready::Close { connection: before });
        }
    }

    /// Whether the session is not on the connection that asks, which is closed then.
    fn has_left(&mut self, submission: &Submission) -> bool {
        let Submission { connection, session, .. } = *submission;
        let sessions = if self.is_local(session) { &self.locals } else { &self.sessions };
        let is_elsewhere = |liveness: &Liveness| liveness.connection != Some(connection);
        let has_left = sessions.get(session).is_some_and(is_elsewhere);
        if has_left {
            self.ready.push(Ready::Close { connection });
        }
        has_left
    }

    /// Whether a write has waited too long to be begun.
    fn is_throttled(&self, op: OpCode, submission: &Submission, now: Time) -> bool {
        let limit = self.config.throttled_op_wait;
        op != OpCode::CloseSession
            && limit.is_some_and(|limit| now.since(submission.arrived) > limit)
    }

    /// Nobody is served.
    fn turn_away(&mut self, submission: &Submission) {
        if !matches!(submission.ask, Ask::Detach { .. }) {
            self.ready.push(Ready::Close { connection: submission.connection });
        }
    }

    /// Nothing is written any more.
    fn refuse(&mut self, submission: &Submission, now: Time) {
        let Submission { connection, session, xid, .. } = *submission;
        match submission.ask {
            Ask::Write(op) => {
                let origin = Asked { connection, xid, op };
                let err = ErrorCode::SystemError.number();
                self.ready.push(Ready::Answer { origin, err });
            }
            Ask::Open { .. } => self.ready.push(Ready::Close { connection }),
            Ask::Renew { timeout_ms, password, .. } => {
                if !self.sessions.is_open(session) {
                    self.refuse_session(session, connection);
                } else if self.is_password(submission, password) {
                    self.renewed(session, connection, timeout_ms, now);
                }
            }
            // What is here is all that was ever acknowledged: there are no other members.
            Ask::ReadIndex => self.ready.push(Ready::Confirmed { connection }),
            Ask::Detach { last_heard } => {
                self.sessions.detach(session, connection, last_heard);
            }
        }
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn timeout_ms(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
