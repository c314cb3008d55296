//! The session machine: one session with an ensemble, over one link at a time.
//!
//! In: what links, callers and the clock say. Out: dials, frames, outcomes, events, states.
//! Invariants: at most one link is in use; requests are sent in the order of their submission and
//! `queue` is empty while the session is live; a frame that holds a write is sent once; what is in
//! `in_flight` is answered in that order or settled when the link is lost.
//! Source: the reference's client. Deviations: nothing is sent before the handshake's answer, so
//! that a refused session leaves no outcome unknown; what was queued survives a lost link; reads
//! in flight are sent again; see [`link`] for the zxid that watches are set again with.

mod auth;
mod link;
mod requests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod watching;

use crate::hosts::Hosts;
use crate::reply::Reply;
use crate::watches::{Event, WatcherId, Watches};
use crate::{Config, Error, Host, Identity, Request};
use auth::Auth;
pub use auth::{LINEARIZABLE_READS, READS_SCHEME};
use base::{Machine, Time, Timers};
use bytes::Bytes;
use requests::Pending;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The caller's name of a request. Unique among those outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ctx(pub u64);

/// One attempt at a connection. Never used twice by a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Facts.
#[derive(Clone, Debug)]
pub enum Input {
    /// `now` reached the deadline.
    TimerExpired,
    /// A dial succeeded.
    Connected {
        /// Which.
        link: LinkId,
    },
    /// A dial failed.
    ConnectFailed {
        /// Which.
        link: LinkId,
    },
    /// A link is gone, or its bytes make no frames.
    Disconnected {
        /// Which.
        link: LinkId,
    },
    /// A frame came.
    Received {
        /// On which link.
        link: LinkId,
        /// Its payload, without the length.
        frame: Bytes,
    },
    /// A caller asks.
    Submitted {
        /// How its outcome is named.
        ctx: Ctx,
        /// What for.
        request: Request,
        /// When the caller wants to wait no longer.
        deadline: Option<Time>,
    },
    /// A caller no longer waits: there will be no outcome, and what was not sent never is.
    Cancelled {
        /// Which request.
        ctx: Ctx,
    },
    /// A watcher no longer listens.
    Unwatched {
        /// Which.
        watcher: WatcherId,
    },
    /// A probe was answered.
    Probed {
        /// Whose answer it is.
        host: Host,
        /// Whether it serves writes; false also if it did not answer.
        read_write: bool,
    },
    /// The caller is done with the session.
    CloseRequested,
}

/// Commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect; answer with `Connected` or `ConnectFailed`.
    Dial {
        /// How the link is named.
        link: LinkId,
        /// Where to.
        host: Host,
    },
    /// Close the link, or give up the dial; no answer is needed.
    Hangup {
        /// Which.
        link: LinkId,
    },
    /// Send these bytes, after those before.
    Send {
        /// On which link.
        link: LinkId,
        /// Whole frames with their lengths.
        bytes: Vec<u8>,
    },
    /// Ask that server `isro` on a connection of its own; answer with `Probed`.
    Probe {
        /// Whom.
        host: Host,
    },
    /// A request has its outcome.
    Completed {
        /// Which.
        ctx: Ctx,
        /// Its outcome.
        outcome: Result<Reply, Error>,
    },
    /// A watcher is told.
    Event {
        /// Which.
        watcher: WatcherId,
        /// Of what.
        event: Event,
    },
    /// The session's state changed.
    State(State),
}

/// How the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// There is no session yet.
    Connecting,
    /// Requests are served.
    Connected,
    /// Reads are served, by a server that has lost its quorum.
    ReadOnly,
    /// The link is lost; the session may still live and nobody here can know.
    Suspended,
    /// The session is over. Final.
    Expired,
    /// Credentials were refused, or a wish for linearizable reads. Final.
    AuthFailed,
    /// The session was closed on request. Final.
    Closed,
}

impl State {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, State::Expired | State::AuthFailed | State::Closed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The next dial.
    Redial,
    /// The end of a dial's or a handshake's time.
    Handshake,
    /// Nothing was heard for too long.
    Silence,
    /// Nothing was sent for too long.
    Ping,
    /// The next look for a server that takes writes.
    Probe,
    /// The earliest deadline of a request.
    Request,
    /// No server was heard of for so long that the session is given up.
    Unheard,
}

/// A link that the session is served on.
#[derive(Debug)]
struct Live {
    link: LinkId,
    since: Time,
    read_only: bool,
    /// How many requests to set watches again are unanswered.
    restoring: usize,
    /// Whether the session's end was asked for.
    closing: bool,
    /// The wait after the next probe.
    probe_wait: Duration,
    /// Places in the list to the host that is probed next.
    probe_step: usize,
}

#[derive(Debug)]
enum Phase {
    /// Until the timer says to dial.
    Waiting,
    Dialing(LinkId),
    Handshaking(LinkId),
    Live(Live),
    /// For ever; every request fails with this.
    Ended(Error),
}

/// Credentials that one session may hold.
const AUTHS_MAX: usize = 64;
/// A link that was lost sooner than this counts as a failure of its host.
const STABLE_AFTER: Duration = Duration::from_secs(1);
/// The longest silence of a client, whatever the session's time-out, as the reference has it.
const PING_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// Bounds of the wait after a round of hosts that did not answer.
const BACKOFF_MAX: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Bounds of the wait between two probes while read-only.
const PROBE_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// One session. See the module.
#[derive(Debug)]
pub struct Session {
    config: Config,
    hosts: Hosts,
    phase: Phase,
    state: State,
    timers: Timers<Timer>,
    identity: Identity,
    /// Whether the session was ever held by a server that takes writes; one that was not cannot be
    /// renewed elsewhere.
    seen_read_write: bool,
    /// The negotiated session time-out; what is asked for before there is one.
    timeout: Duration,
    /// The highest zxid in any reply or event.
    last_zxid: i64,
    /// Up to where no event can be missing: what watches are set again with.
    watched_zxid: i64,
    last_heard: Time,
    next_link: u64,
    next_xid: i32,
    next_seq: u64,
    /// Not sent; empty while live.
    queue: VecDeque<Pending>,
    /// Sent and not answered, in that order.
    in_flight: VecDeque<Pending>,
    /// The place of each caller's request in the two above.
    places: BTreeMap<Ctx, u64>,
    deadlines: BTreeSet<(Time, Ctx)>,
    auths: Vec<Auth>,
    /// Indices of auths that are sent and not answered.
    auths_in_flight: VecDeque<usize>,
    watches: Watches,
}

impl Session {
    /// A session that dials at `now`: its deadline.
    #[must_use]
    pub fn new(config: Config, now: Time) -> Session {
        let mut timers = Timers::default();
        timers.set(Timer::Redial, now);
        Session {
            hosts: Hosts::new(config.servers.hosts.clone(), config.seed),
            phase: Phase::Waiting,
            state: State::Connecting,
            timers,
            identity: config.resume,
            seen_read_write: config.resume.session_id != 0,
            timeout: config.session_timeout.max(Duration::from_millis(1)),
            last_zxid: 0,
            watched_zxid: 0,
            last_heard: now,
            next_link: 1,
            next_xid: 1,
            next_seq: 1,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            places: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            auths: Vec::new(),
            auths_in_flight: VecDeque::new(),
            watches: Watches::default(),
            config,
        }
    }

    /// How the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What renews the session elsewhere; id 0 before there is one.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The negotiated time-out; what was asked for before there is a session.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Requests queued and in flight, cancelled ones too.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.queue.len() + self.in_flight.len()
    }

    fn link(&self) -> Option<LinkId> {
        match &self.phase {
            Phase::Dialing(link) | Phase::Handshaking(link) => Some(*link),
            Phase::Live(live) => Some(live.link),
            Phase::Waiting | Phase::Ended(_) => None,
        }
    }

    fn become_state(&mut self, state: State, out: &mut Vec<Output>) {
        if self.state != state {
            self.state = state;
            out.push(Output::State(state));
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(timer) = self.timers.expired(now) {
            match timer {
                Timer::Redial => self.dial(now, out),
                Timer::Handshake | Timer::Silence => self.drop_link(now, out),
                Timer::Ping => self.ping(now, out),
                Timer::Probe => self.probe(now, out),
                Timer::Request => self.expire_requests(now, out),
                Timer::Unheard => self.end(Error::SessionExpired, out),
            }
        }
    }

    fn close(&mut self, now: Time, out: &mut Vec<Output>) {
        match &mut self.phase {
            Phase::Live(live) if !live.closing => {
                live.closing = true;
                self.send_close(now, out);
            }
            Phase::Live(_) | Phase::Ended(_) => {}
            // Without a link nobody can be told: the session ends by its time-out.
            Phase::Waiting | Phase::Dialing(_) | Phase::Handshaking(_) => {
                self.end(Error::Closed, out);
            }
        }
    }

    /// Ends the session for ever: everything outstanding is settled with `error`.
    fn end(&mut self, error: Error, out: &mut Vec<Output>) {
        if let Some(link) = self.link() {
            out.push(Output::Hangup { link });
        }
        self.phase = Phase::Ended(error.clone());
        self.timers = Timers::default();
        let state = match error {
            Error::SessionExpired => State::Expired,
            Error::AuthFailed | Error::LinearizableReadsRefused => State::AuthFailed,
            Error::Refused(_)
            | Error::RefusedWith(_)
            | Error::MultiRefused { .. }
            | Error::Unknown
            | Error::ConnectionLost
            | Error::TimedOut { .. }
            | Error::Closed
            | Error::InvalidPath(_)
            | Error::InvalidArgument(_)
            | Error::TooLarge { .. }
            | Error::Overloaded
            | Error::BadReply => State::Closed,
        };
        self.settle_all(&error, out);
        self.watches = Watches::default();
        self.become_state(state, out);
    }
}

impl Machine for Session {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::TimerExpired => self.tick(now, out),
            Input::Connected { link } => self.open(now, link, out),
            Input::ConnectFailed { link } | Input::Disconnected { link } => {
                if self.link() == Some(link) {
                    self.lose_link(now, out);
                }
            }
            Input::Received { link, frame } => self.receive(now, link, &frame, out),
            Input::Submitted { ctx, request, deadline } => {
                self.submit(now, ctx, request, deadline, out);
            }
            Input::Cancelled { ctx } => self.cancel(ctx),
            Input::Unwatched { watcher } => self.unwatch(now, watcher, out),
            Input::Probed { host, read_write } => self.probed(now, &host, read_write, out),
            Input::CloseRequested => self.close(now, out),
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.deadline()
    }
}
