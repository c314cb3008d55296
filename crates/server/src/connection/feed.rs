//! Feeding: frames from the bytes at hand to the connection's core, under one reading of the tree.

use super::ConnectionTask;
use crate::counters::Counters;
use crate::facts;
use crate::hub::Hub;
use crate::service::Service;
use crate::sync::lock;
use base::{SessionId, Zxid};
use keeper::{Connection, Desk, Frame, Frames, Submissions, WatchSource, Watches};
use metrics::Metrics;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::MutexGuard;
use words::{TELNET_INTERRUPT, Word};

thread_local! {
    static SUBMISSIONS: RefCell<Submissions> = RefCell::default();
}

/// What became of the connection.
pub(super) enum Fed {
    GoOn,
    /// It is to be closed without a word.
    Close,
}

/// Why a batch of frames ended.
enum Cut {
    /// The next frame is not there yet; so many bytes are needed.
    Incomplete(usize),
    /// The connection takes no more for now, or others shall have their turn.
    Paused,
    /// A four-letter word with its argument.
    Word(Word, Vec<u8>),
    /// Not our protocol, or over a limit.
    Refused,
}

impl ConnectionTask {
    /// Takes frames from what was left over, or from `fresh` if nothing was.
    pub(super) fn feed(&mut self, fresh: &[u8]) -> Fed {
        let mut input = std::mem::take(&mut self.input);
        let bytes = if input.is_empty() { fresh } else { &input };
        let (consumed, cut) = SUBMISSIONS.with_borrow_mut(|to| {
            to.clear(); // a panic may have left some
            self.cut(bytes, to)
        });
        if input.is_empty() {
            self.input = fresh[consumed..].to_vec();
        } else if consumed < input.len() {
            input.drain(..consumed);
            self.input = input;
        }
        (self.needed, self.has_backlog) = (0, false);
        match cut {
            Cut::Incomplete(needed) => self.needed = needed,
            Cut::Paused => self.has_backlog = !self.input.is_empty(),
            Cut::Word(word, argument) => self.answer(word, &argument),
            Cut::Refused => return Fed::Close,
        }
        Fed::GoOn
    }

    fn cut(&mut self, bytes: &[u8], submissions: &mut Submissions) -> (usize, Cut) {
        // Lent, not cloned: the count of what all workers share would travel between their cores.
        let ConnectionTask { service, worker, entry, frames, remote, large, .. } = self;
        let tree = service.hub.tree();
        let mut state = entry.lock();
        let counters = lock(&worker.counters);
        let mut watches = LazyWatches { hub: &service.hub, guard: None, counters };
        let mut desk = Desk {
            now: service.clock.now(),
            config: &service.settings.keeper,
            tree: &tree,
            watches: &mut watches,
            submissions,
        };
        state.connection.resume(&mut desk);
        let mut cutter = Cutter { service, frames, remote: *remote, large };
        let (consumed, cut) = cutter.cut_frames(bytes, &mut state.connection, &mut desk);
        let LazyWatches { guard, mut counters, .. } = watches;
        drop(guard);
        let tally = state.connection.take_tally();
        counters.connection_did(&tally);
        counters.metrics.counters.bytes_received_count += consumed as u64;
        drop(counters);
        if tally.auth_failures > 0 {
            tracing::warn!(
                %remote,
                "closing a connection: its addAuth names a scheme that is not offered, or reads \
                 that are neither linearizable nor local"
            );
        }
        // Before the connection is let go: what it submits stays in its order.
        if !submissions.is_empty() {
            service.inbox.submit(submissions);
            worker.kick.notify_one();
        }
        (consumed, cut)
    }

    fn answer(&mut self, word: Word, argument: &[u8]) {
        tracing::debug!("Processing {} command from {}", word.name(), self.remote);
        // A word and its answer are packets of both the connection and the server.
        self.entry.lock().connection.stats.received += 1;
        lock(&self.worker.counters).traffic.packets_received += 1;
        let text = if self.service.settings.whitelist.allows(word) {
            facts::answer(&self.service, word, argument)
        } else {
            word.refusal()
        };
        lock(&self.worker.counters).traffic.packets_sent += 1;
        self.outgoing.push(&text);
        self.entry.lock().connection.close();
    }
}

/// The parts of a connection's task that are needed while the others are lent.
struct Cutter<'a> {
    service: &'a Service,
    frames: &'a mut Frames,
    remote: SocketAddr,
    large: &'a mut u64,
}

impl Cutter<'_> {
    fn cut_frames(
        &mut self,
        bytes: &[u8],
        connection: &mut Connection,
        desk: &mut Desk<'_>,
    ) -> (usize, Cut) {
        let mut at = 0;
        for _ in 0..FRAMES_MAX {
            if !connection.wants_more() {
                return (at, Cut::Paused);
            }
            match self.frames.next(&bytes[at..], is_word) {
                Ok(Frame::Incomplete { needed }) => return (at, Cut::Incomplete(needed)),
                Ok(Frame::Word(head)) => return word(head, bytes),
                Ok(Frame::Payload(range)) => {
                    let frame = &bytes[at + range.start..at + range.end];
                    if !self.admit(frame, connection, desk) {
                        return (at, Cut::Refused);
                    }
                    connection.receive(frame, desk);
                    at += range.end;
                }
                Err(error) => {
                    tracing::debug!(
                        remote = %self.remote, length = error.length,
                        "closing a connection: a frame cannot have this length"
                    );
                    return (at, Cut::Refused);
                }
            }
        }
        (at, Cut::Paused)
    }

    /// Whether the limits let a frame in.
    fn admit(&mut self, frame: &[u8], connection: &Connection, desk: &mut Desk<'_>) -> bool {
        let limits = &self.service.limits;
        let counters = &mut desk.watches.metrics().counters;
        if connection.is_fresh() {
            if self.service.mode().is_none() {
                counters.cnxn_closed_without_zk_server_running += 1;
                tracing::debug!(
                    remote = %self.remote,
                    "closing a connection: there is no leader, or the leader takes no clients"
                );
                return false;
            }
            counters.connection_request_count += 1;
            let admitted = limits.admit_session(desk.now, self.tokens(frame));
            counters.connection_drop_count += u64::from(!admitted);
            self.note_future(frame, desk.tree.last_zxid());
            return admitted;
        }
        match limits.admit_large(frame.len()) {
            Ok(size) => {
                *self.large += size;
                true
            }
            Err(()) => {
                counters.large_requests_rejected += 1;
                tracing::warn!(
                    remote = %self.remote, size = frame.len(),
                    "closing a connection: large requests take too much memory"
                );
                false
            }
        }
    }

    /// Logs that a client has seen what this server has not: it will be closed without a word.
    fn note_future(&self, frame: &[u8], last: Zxid) {
        let seen = Zxid(long_at(frame, LAST_ZXID_AT));
        if seen > last {
            let session = SessionId(long_at(frame, SESSION_ID_AT));
            tracing::info!(
                "Refusing session({session}) request for client /{} as it has seen zxid {seen} \
                 our last zxid is {last} client must try another server",
                self.remote
            );
        }
    }

    /// What a connect request costs.
    fn tokens(&self, frame: &[u8]) -> u32 {
        let throttle = &self.service.settings.config.limits.connection_throttle;
        match (throttle.weights, long_at(frame, SESSION_ID_AT) != 0) {
            (false, _) => 1,
            (true, true) => throttle.renewed_session_tokens,
            (true, false) if self.service.settings.has_local_sessions() => {
                throttle.local_session_tokens
            }
            (true, false) => throttle.global_session_tokens,
        }
    }
}

/// A number of a connect request; 0 if it is not there.
fn long_at(frame: &[u8], at: usize) -> i64 {
    let bytes = frame.get(at..).and_then(|rest| rest.first_chunk::<8>());
    bytes.map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

fn is_word(head: [u8; 4]) -> bool {
    head == TELNET_INTERRUPT || Word::parse(&head).is_some()
}

fn word(head: [u8; 4], bytes: &[u8]) -> (usize, Cut) {
    let Some(word) = Word::parse(&head) else { return (0, Cut::Refused) };
    let end = head.len() + word.argument_size();
    match bytes.get(head.len()..end) {
        Some(argument) => (end, Cut::Word(word, argument.to_vec())),
        None => (0, Cut::Incomplete(end)),
    }
}

/// The watch table, locked when a request first needs it, and the worker's counters, which only
/// those who ask for the numbers want as well.
struct LazyWatches<'a> {
    hub: &'a Hub,
    guard: Option<MutexGuard<'a, Watches>>,
    counters: MutexGuard<'a, Counters>,
}

impl WatchSource for LazyWatches<'_> {
    fn watches(&mut self) -> &mut Watches {
        self.guard.get_or_insert_with(|| lock(&self.hub.watches))
    }

    fn metrics(&mut self) -> &mut Metrics {
        &mut self.counters.metrics
    }
}

/// Frames under one reading of the tree: whoever writes waits for them.
const FRAMES_MAX: usize = 128;
/// In a connect request: behind the version.
const LAST_ZXID_AT: usize = 4;
/// In a connect request: behind the version, the last zxid and the time-out.
const SESSION_ID_AT: usize = 16;
