//! When sessions expire: deadlines in buckets of one tick.
//!
//! Nothing is moved when a client is heard: its connection keeps the time. When a bucket falls
//! due, each of its sessions is asked when it was last heard, and goes to a later bucket or
//! expires. A request so costs no message to the member, and the outcome is the same. What other
//! members have heard of a session they tell the primary, which notes it the same way.
//! Invariant: every open session that is not closing is in exactly one bucket.

use base::{ConnectionId, SessionId, Time};
use broadcast::LinkId;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire::ErrorCode;

/// Where the requests of a session come from. One that comes from elsewhere is refused, for the
/// client has moved on: it must not overtake, or be overtaken by, what it asked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// From connections of this member.
    Here,
    /// From a replica, as long as this link to it lasts.
    Link(LinkId),
}

/// A session's place on this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// How long it may be silent, as its present connection negotiated.
    pub timeout: Duration,
    /// The connection that it is on, if any.
    pub connection: Option<ConnectionId>,
    /// Where its requests come from, once that is known: only the primary cares.
    pub owner: Option<Owner>,
    /// When it was last heard, as far as the member was told.
    pub last_heard: Time,
    /// Whether its end is under way: it takes no requests any more.
    pub closing: bool,
    bucket: u64,
    /// It fell due when its connection was gone, and the end of that was not told yet.
    awaits_word: bool,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The connection of this member that it is on, if any.
    pub connection: Option<ConnectionId>,
    /// Where its requests come from, if that is known.
    pub owner: Option<Owner>,
}

impl Place {
    /// On a connection of this member.
    #[must_use]
    pub fn on(connection: ConnectionId) -> Place {
        Place { connection: Some(connection), owner: Some(Owner::Here) }
    }

    /// On a connection of a replica.
    #[must_use]
    pub fn behind(link: LinkId) -> Place {
        Place { connection: None, owner: Some(Owner::Link(link)) }
    }
}

/// All sessions by deadline.
#[derive(Debug)]
pub struct Expiry {
    tick_ms: u64,
    sessions: FxHashMap<SessionId, Liveness>,
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
}

impl Expiry {
    /// No sessions yet; deadlines are rounded up to multiples of `tick`.
    #[must_use]
    pub fn new(tick: Duration) -> Expiry {
        let tick_ms = u64::try_from(tick.as_millis()).unwrap_or(u64::MAX).max(1);
        Expiry { tick_ms, sessions: FxHashMap::default(), buckets: BTreeMap::new() }
    }

    /// What is known of a session.
    #[must_use]
    pub fn get(&self, session: SessionId) -> Option<&Liveness> {
        self.sessions.get(&session)
    }

    /// Whether the session may still ask for something.
    #[must_use]
    pub fn is_open(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|s| !s.closing)
    }

    /// Whether a request of the session may come from `owner`, which has it from now on if nobody
    /// had.
    ///
    /// # Errors
    /// [`ErrorCode::SessionExpired`] or [`ErrorCode::SessionMoved`].
    pub fn check(&mut self, session: SessionId, owner: Owner) -> Result<(), ErrorCode> {
        match self.sessions.get_mut(&session) {
            Some(liveness) if !liveness.closing => {
                if *liveness.owner.get_or_insert(owner) == owner {
                    Ok(())
                } else {
                    Err(ErrorCode::SessionMoved)
                }
            }
            Some(_) | None => Err(ErrorCode::SessionExpired),
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Adds a session, or moves it to another place: heard at `now`.
    pub fn track(&mut self, session: SessionId, timeout: Duration, place: Place, now: Time) {
        self.remove(session);
        let bucket = bucket_of(now, timeout, self.tick_ms);
        let Place { connection, owner } = place;
        let closing = false;
        let (last_heard, awaits_word) = (now, false);
        let liveness =
            Liveness { timeout, connection, owner, last_heard, closing, bucket, awaits_word };
        self.sessions.insert(session, liveness);
        self.buckets.entry(bucket).or_default().insert(session);
    }

    /// Another member has heard the session's client, which may be silent for `timeout` from
    /// `now` on. Ignored if the session is over, or about to be.
    pub fn touch(&mut self, session: SessionId, timeout: Duration, now: Time) {
        let Some(liveness) = self.sessions.get_mut(&session).filter(|s| !s.closing) else { return };
        liveness.last_heard = liveness.last_heard.max(now);
        if liveness.timeout == timeout {
            return; // its bucket finds out when it falls due
        }
        liveness.timeout = timeout;
        let (before, bucket) = (liveness.bucket, bucket_of(now, timeout, self.tick_ms));
        if bucket < before {
            liveness.bucket = bucket;
            self.leave_bucket(session, before);
            self.buckets.entry(bucket).or_default().insert(session);
        }
    }

    /// The session's connection is gone; it was heard at `last_heard`. Ignored if the session is
    /// on another connection by now; says what is known of it otherwise.
    pub fn detach(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        last_heard: Time,
    ) -> Option<&Liveness> {
        let liveness = self.sessions.get_mut(&session)?;
        if liveness.connection != Some(connection) {
            return None;
        }
        liveness.connection = None;
        liveness.last_heard = liveness.last_heard.max(last_heard);
        Some(liveness)
    }

    /// The session's end is under way. Says whether it was open until now.
    pub fn set_closing(&mut self, session: SessionId) -> bool {
        let Some(liveness) = self.sessions.get_mut(&session) else { return false };
        if std::mem::replace(&mut liveness.closing, true) {
            return false;
        }
        let bucket = liveness.bucket;
        self.leave_bucket(session, bucket);
        true
    }

    /// Forgets a session; gives what was known of it.
    pub fn remove(&mut self, session: SessionId) -> Option<Liveness> {
        let liveness = self.sessions.remove(&session)?;
        self.leave_bucket(session, liveness.bucket);
        Some(liveness)
    }

    /// When the next bucket falls due.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.buckets.keys().next().map(|&bucket| Time::from_millis(bucket * self.tick_ms))
    }

    /// Takes the sessions that expire at `now`. `last_heard` says when a connection last heard
    /// its client; none if it is gone, which [`Expiry::detach`] will say.
    pub fn expired(
        &mut self,
        now: Time,
        mut last_heard: impl FnMut(ConnectionId) -> Option<Time>,
    ) -> Vec<(SessionId, Duration)> {
        let mut expired = Vec::new();
        while let Some(entry) = self.buckets.first_entry()
            && Time::from_millis(entry.key() * self.tick_ms) <= now
        {
            let due = *entry.key();
            for session in entry.remove() {
                let Some(liveness) = self.sessions.get_mut(&session) else { continue };
                let heard = liveness.connection.map(&mut last_heard);
                if let Some(Some(heard)) = heard {
                    liveness.last_heard = liveness.last_heard.max(heard);
                }
                // Of a connection that is no more it is told in a moment when it was heard; if not, its
                // end was told before the session was known to be on it.
                let awaits_word = heard == Some(None) && !liveness.awaits_word;
                liveness.awaits_word = awaits_word;
                let bucket = if awaits_word {
                    bucket_of(now, Duration::ZERO, self.tick_ms)
                } else {
                    bucket_of(liveness.last_heard, liveness.timeout, self.tick_ms)
                };
                if bucket > due {
                    liveness.bucket = bucket;
                    self.buckets.entry(bucket).or_default().insert(session);
                } else {
                    liveness.closing = true;
                    expired.push((session, liveness.timeout));
                }
            }
        }
        expired
    }

    /// The buckets with their sessions, for `dump`: deadline, sessions.
    pub fn buckets(&self) -> impl Iterator<Item = (Time, &BTreeSet<SessionId>)> {
        self.buckets.iter().map(|(bucket, set)| (Time::from_millis(bucket * self.tick_ms), set))
    }

    fn leave_bucket(&mut self, session: SessionId, bucket: u64) {
        if let Some(set) = self.buckets.get_mut(&bucket) {
            set.remove(&session);
            if set.is_empty() {
                self.buckets.remove(&bucket);
            }
        }
    }
}

/// The number of the first tick after the session's time is up.
fn bucket_of(heard: Time, timeout: Duration, tick_ms: u64) -> u64 {
    (heard + timeout).as_millis() / tick_ms + 1
}

#[cfg(test)]
mod tests {
    use super::{Expiry, Owner, Place};
    use base::{ConnectionId, SessionId, Time};
    use broadcast::LinkId;
    use std::time::Duration;
    use wire::ErrorCode;

    const TICK: Duration = Duration::from_secs(1);
    const TIMEOUT: Duration = Duration::from_millis(2500);
    const ON: ConnectionId = ConnectionId { slot: 1, generation: 1 };

    #[test]
    fn a_session_expires_at_the_first_tick_after_its_timeout() {
        let mut expiry = Expiry::new(TICK);
        expiry.track(SessionId(7), TIMEOUT, Place::default(), Time::from_millis(600));
        assert_eq!(expiry.deadline(), Some(Time::from_millis(4000)));
        assert_eq!(expiry.expired(Time::from_millis(3999), |_| None), []);
        let expired = expiry.expired(Time::from_millis(4000), |_| None);
        assert_eq!(expired, [(SessionId(7), TIMEOUT)]);
        assert!(!expiry.is_open(SessionId(7)));
        assert_eq!(expiry.deadline(), None);
    }

    #[test]
    fn a_client_that_was_heard_meanwhile_gets_its_full_time_again() {
        let mut expiry = Expiry::new(TICK);
        expiry.track(SessionId(7), TIMEOUT, Place::on(ON), Time::from_millis(600));
        let heard = Time::from_millis(3900);
        assert_eq!(expiry.expired(Time::from_millis(4000), |_| Some(heard)), []);
        assert_eq!(expiry.deadline(), Some(Time::from_millis(7000)));
        expiry.detach(SessionId(7), ON, Time::from_millis(4500));
        assert_eq!(expiry.expired(Time::from_millis(7000), |_| None), []);
        let expired = expiry.expired(Time::from_millis(8000), |_| None);
        assert_eq!(expired, [(SessionId(7), TIMEOUT)]);
    }

    #[test]
    fn a_connection_that_is_gone_is_waited_for_until_it_is_known_when_it_was_heard() {
        let mut expiry = Expiry::new(TICK);
        expiry.track(SessionId(7), TIMEOUT, Place::on(ON), Time::from_millis(600));
        assert_eq!(expiry.expired(Time::from_millis(4000), |_| None), [], "the word is on its way");
        assert_eq!(expiry.deadline(), Some(Time::from_millis(5000)));
        expiry.detach(SessionId(7), ON, Time::from_millis(3900));
        assert_eq!(expiry.expired(Time::from_millis(6000), |_| None), []);
        let expired = expiry.expired(Time::from_millis(7000), |_| None);
        assert_eq!(expired, [(SessionId(7), TIMEOUT)]);
        // One whose connection was gone before the session was known to be on it.
        expiry.track(SessionId(8), TIMEOUT, Place::on(ON), Time::from_millis(600));
        assert_eq!(expiry.expired(Time::from_millis(4000), |_| None), []);
        let expired = expiry.expired(Time::from_millis(5000), |_| None);
        assert_eq!(expired, [(SessionId(8), TIMEOUT)]);
    }

    #[test]
    fn a_closing_session_neither_expires_nor_takes_requests() {
        let mut expiry = Expiry::new(TICK);
        expiry.track(SessionId(7), TIMEOUT, Place::default(), Time::ZERO);
        assert!(expiry.set_closing(SessionId(7)));
        assert!(!expiry.set_closing(SessionId(7)));
        assert!(!expiry.is_open(SessionId(7)));
        assert_eq!(expiry.deadline(), None);
        assert!(expiry.remove(SessionId(7)).is_some());
        assert!(expiry.is_empty());
    }
    #[test]
    fn a_request_from_another_owner_is_refused_until_the_session_moves() {
        let mut expiry = Expiry::new(TICK);
        let (here, there) = (Owner::Here, Owner::Link(LinkId(3)));
        assert_eq!(expiry.check(SessionId(7), here), Err(ErrorCode::SessionExpired));
        expiry.track(SessionId(7), TIMEOUT, Place::default(), Time::ZERO);
        assert_eq!(expiry.check(SessionId(7), there), Ok(()), "nobody had it");
        assert_eq!(expiry.check(SessionId(7), there), Ok(()));
        assert_eq!(expiry.check(SessionId(7), here), Err(ErrorCode::SessionMoved));
        expiry.track(SessionId(7), TIMEOUT, Place::on(ON), Time::ZERO);
        assert_eq!(expiry.check(SessionId(7), here), Ok(()));
        expiry.set_closing(SessionId(7));
        assert_eq!(expiry.check(SessionId(7), here), Err(ErrorCode::SessionExpired));
    }

    #[test]
    fn a_touch_gives_the_time_out_that_it_names() {
        let mut expiry = Expiry::new(TICK);
        expiry.track(SessionId(7), TIMEOUT, Place::behind(LinkId(3)), Time::ZERO);
        expiry.touch(SessionId(7), TIMEOUT, Time::from_millis(2000));
        assert_eq!(expiry.expired(Time::from_millis(3000), |_| None), []);
        assert_eq!(expiry.deadline(), Some(Time::from_millis(5000)));
        expiry.touch(SessionId(7), TIMEOUT / 5, Time::from_millis(3000));
        assert_eq!(
            expiry.deadline(),
            Some(Time::from_millis(4000)),
            "a shorter one counts at once"
        );
        expiry.touch(SessionId(8), TIMEOUT, Time::from_millis(3000));
        let expired = expiry.expired(Time::from_millis(4000), |_| None);
        assert_eq!(expired, [(SessionId(7), TIMEOUT / 5)]);
        expiry.touch(SessionId(7), TIMEOUT, Time::from_millis(4000));
        assert_eq!(expiry.deadline(), None, "one that is closing is not brought back");
    }
}
