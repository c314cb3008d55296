//! Requests: submitted, sent, answered; cancelled, timed out, or settled when a link is lost.
//!
//! A request that was not sent has no effect, whatever becomes of it. Of those in flight on a lost
//! link, reads go back to the front of the queue, removals of watches are done (the watches went
//! with the link), and writes are reported as of unknown outcome, never sent again.

use super::link::seal;
use super::watching::Removal;
use super::{Ctx, Output, Phase, Session, Timer};
use crate::reply::{Expect, Reply};
use crate::watches::{Kind, Registration};
use crate::{Error, Request};
use base::Time;
use bytes::Bytes;
use std::collections::VecDeque;
use wire::{ErrorCode, xid};

/// What a request does, as far as its outcome goes.
#[derive(Debug)]
pub(super) enum Work {
    /// May be sent again; may set a watch.
    Read(Option<Registration>),
    /// Is sent once.
    Write,
    /// Takes local watchers out when it is answered, or when the link is lost.
    Remove(Removal),
    /// Sets watches again.
    SetWatches,
    /// Ends the session.
    Close,
}

/// A request from its submission to its outcome.
#[derive(Debug)]
pub(super) struct Pending {
    /// Place in the order of submission; 0 for what precedes all requests on a link.
    pub(super) seq: u64,
    /// Who waits; nobody if it was cancelled or is our own.
    ctx: Option<Ctx>,
    /// 0 before it is sent.
    pub(super) xid: i32,
    /// With length and header; the xid is written when it is sent. Empty once it cannot be needed.
    frame: Vec<u8>,
    expect: Expect,
    pub(super) work: Work,
    /// How often it was sent.
    attempts: u32,
    deadline: Option<Time>,
}

impl Pending {
    /// A request of the session's own.
    pub(super) fn internal(frame: Vec<u8>, work: Work) -> Pending {
        Pending {
            seq: 0,
            ctx: None,
            xid: 0,
            frame,
            expect: Expect::Nothing,
            work,
            attempts: 0,
            deadline: None,
        }
    }

    fn registration(&self) -> Option<&Registration> {
        match &self.work {
            Work::Read(registration) => registration.as_ref(),
            Work::Write | Work::Remove(_) | Work::SetWatches | Work::Close => None,
        }
    }
}

impl Session {
    pub(super) fn submit(
        &mut self,
        now: Time,
        ctx: Ctx,
        request: Request,
        deadline: Option<Time>,
        out: &mut Vec<Output>,
    ) {
        assert!(!self.places.contains_key(&ctx), "a request's name is unique");
        match self.admit(ctx, request, deadline) {
            Ok(Some(pending)) => {
                if let Some(registration) = pending.registration() {
                    self.watches.note_pending(registration);
                }
                self.places.insert(ctx, pending.seq);
                self.queue.push_back(pending);
                self.note_deadline(ctx, deadline);
                if matches!(self.phase, Phase::Live(_)) {
                    self.flush(now, out);
                }
            }
            // Credentials: they are kept apart.
            Ok(None) => {
                self.note_deadline(ctx, deadline);
                self.offer_auth(now, ctx, out);
            }
            Err(error) => out.push(Output::Completed { ctx, outcome: Err(error) }),
        }
    }

    /// The request as it waits to be sent; `None` for credentials, which were noted.
    fn admit(
        &mut self,
        ctx: Ctx,
        request: Request,
        deadline: Option<Time>,
    ) -> Result<Option<Pending>, Error> {
        match &self.phase {
            Phase::Ended(error) => return Err(error.clone()),
            Phase::Live(live) if live.closing => return Err(Error::Closed),
            Phase::Live(_) | Phase::Waiting | Phase::Dialing(_) | Phase::Handshaking(_) => {}
        }
        request.validate()?;
        if self.outstanding() >= self.config.outstanding_max {
            return Err(Error::Overloaded);
        }
        if let Request::Auth { scheme, credentials } = request {
            self.note_auth(ctx, scheme, credentials, deadline)?;
            return Ok(None);
        }
        let chroot = &self.config.servers.chroot;
        let registration = request.registration(chroot);
        if registration.is_some() && self.watches.len() >= self.config.watchers_max {
            return Err(Error::Overloaded);
        }
        let mut bytes = vec![0; 12];
        let (op, expect) = request.code();
        request.encode(chroot, &mut bytes);
        bytes[8..12].copy_from_slice(&op.number().to_be_bytes());
        let (size, limit) = (bytes.len() - 4, self.config.frame_size_max_bytes);
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
        seal(&mut bytes);
        let work = if let Request::RemoveWatcher(watcher) = &request {
            Work::Remove(Removal::One(*watcher))
        } else if let Request::RemoveWatches { path, which } = &request {
            Work::Remove(Removal::All(chroot.add(path), *which))
        } else if request.is_write() {
            Work::Write
        } else {
            Work::Read(registration)
        };
        if let Work::Remove(removal) = &work
            && !self.is_watched(removal)
        {
            return Err(Error::Refused(ErrorCode::NoWatcher));
        }
        let seq = self.take_seq();
        let ctx = Some(ctx);
        Ok(Some(Pending { seq, ctx, xid: 0, frame: bytes, expect, work, attempts: 0, deadline }))
    }

    pub(super) fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    fn note_deadline(&mut self, ctx: Ctx, deadline: Option<Time>) {
        if let Some(at) = deadline {
            self.deadlines.insert((at, ctx));
            self.arm_deadline();
        }
    }

    pub(super) fn forget_deadline(&mut self, ctx: Ctx, deadline: Option<Time>) {
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, ctx));
            self.arm_deadline();
        }
    }

    fn arm_deadline(&mut self) {
        match self.deadlines.first() {
            Some((at, _)) => self.timers.set(Timer::Request, *at),
            None => self.timers.clear(Timer::Request),
        }
    }

    /// Sends all that waits.
    pub(super) fn flush(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(pending) = self.queue.pop_front() {
            if let Work::Remove(removal) = &pending.work {
                // What it was to remove may have fired since.
                let Some(frame) = self.removal_frame(removal) else {
                    let outcome = Err(Error::Refused(ErrorCode::NoWatcher));
                    self.settle(&pending, outcome, out);
                    continue;
                };
                self.send_pending(now, Pending { frame, ..pending }, out);
            } else {
                self.send_pending(now, pending, out);
            }
        }
    }

    /// Sends one request on the live link.
    pub(super) fn send_pending(&mut self, now: Time, mut sent: Pending, out: &mut Vec<Output>) {
        let Phase::Live(live) = &self.phase else { return };
        let link = live.link;
        sent.xid = match sent.work {
            Work::SetWatches => xid::SET_WATCHES,
            Work::Read(_) | Work::Write | Work::Remove(_) | Work::Close => self.take_xid(),
        };
        sent.frame[4..8].copy_from_slice(&sent.xid.to_be_bytes());
        sent.attempts += 1;
        let bytes = match sent.work {
            Work::Read(_) => sent.frame.clone(),
            Work::Write | Work::Remove(_) | Work::SetWatches | Work::Close => {
                std::mem::take(&mut sent.frame)
            }
        };
        self.in_flight.push_back(sent);
        self.send(now, link, bytes, out);
    }

    /// Counts from 1 to the largest and begins again: the others have meanings of their own.
    fn take_xid(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        xid
    }

    /// The answer to a caller's request, or to a removal of our own.
    pub(super) fn take_answer(
        &mut self,
        now: Time,
        sent: Pending,
        err: i32,
        frame: &Bytes,
        out: &mut Vec<Output>,
    ) {
        let outcome =
            sent.expect.outcome(&self.config.servers.chroot, err, frame, wire::REPLY_HEADER_SIZE);
        if let Work::Remove(removal) = &sent.work
            && (err == 0 || err == ErrorCode::NoWatcher.number())
        {
            self.take_out(&removal.clone(), out);
        }
        let is_bad = outcome == Err(Error::BadReply);
        let registration = match &outcome {
            Ok(reply) => sent.registration().cloned().map(|mut registration| {
                if *reply == Reply::Exists(None) {
                    registration.kind = Kind::Exist;
                }
                registration
            }),
            Err(_) => None,
        };
        self.settle(&sent, outcome, out);
        if let Some(Registration { watcher, kind, path }) = registration {
            match watcher {
                Some(watcher) => self.watches.insert(watcher, kind, path),
                None => self.release(now, kind, path, out),
            }
        }
        if is_bad {
            self.drop_link(now, out);
        } else if err == ErrorCode::SessionClosedRequireSaslAuth.number() {
            self.end(Error::AuthFailed, out);
        }
    }

    /// Forgets a request and tells its caller, if there is one.
    fn settle(&mut self, pending: &Pending, outcome: Result<Reply, Error>, out: &mut Vec<Output>) {
        if let Some(registration) = pending.registration() {
            self.watches.note_settled(registration);
        }
        if let Some(ctx) = pending.ctx {
            self.places.remove(&ctx);
            self.forget_deadline(ctx, pending.deadline);
            out.push(Output::Completed { ctx, outcome });
        }
    }

    /// Settles what was in flight on a link that is lost; what may be sent again goes back.
    pub(super) fn settle_in_flight(&mut self, out: &mut Vec<Output>) {
        self.auths_in_flight.clear();
        self.auths.iter_mut().for_each(|auth| auth.accepted = false);
        let mut again = VecDeque::new();
        for sent in std::mem::take(&mut self.in_flight) {
            match &sent.work {
                Work::Read(_) if sent.ctx.is_none() => self.settle(&sent, Ok(Reply::Done), out),
                Work::Read(_) if sent.attempts < self.config.read_attempts => again.push_back(sent),
                Work::Read(_) => self.settle(&sent, Err(Error::ConnectionLost), out),
                Work::Write => self.settle(&sent, Err(Error::Unknown), out),
                Work::Remove(removal) => {
                    self.take_out(&removal.clone(), out);
                    self.settle(&sent, Ok(Reply::Done), out);
                }
                Work::SetWatches | Work::Close => {}
            }
        }
        again.append(&mut self.queue);
        self.queue = again;
    }

    /// Settles everything at the end of the session.
    pub(super) fn settle_all(&mut self, error: &Error, out: &mut Vec<Output>) {
        for sent in std::mem::take(&mut self.in_flight) {
            let is_write = matches!(sent.work, Work::Write);
            let error = if is_write { Error::Unknown } else { error.clone() };
            self.settle(&sent, Err(error), out);
        }
        for pending in std::mem::take(&mut self.queue) {
            self.settle(&pending, Err(error.clone()), out);
        }
        for auth in std::mem::take(&mut self.auths) {
            for (ctx, _) in auth.waiting {
                out.push(Output::Completed { ctx, outcome: Err(error.clone()) });
            }
        }
        self.deadlines.clear();
        self.timers.clear(Timer::Request);
    }

    /// The caller is gone: the request ends like one whose time is over, and nobody is told.
    pub(super) fn cancel(&mut self, ctx: Ctx) {
        self.abandon(ctx, Error::Closed, &mut Vec::new());
    }

    /// Completes every request whose time is over.
    pub(super) fn expire_requests(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some((at, ctx)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, ctx));
            self.abandon(ctx, Error::TimedOut { outcome_unknown: false }, out);
        }
        self.arm_deadline();
    }

    /// Completes a request with `error` before it is answered. What was not sent never is; a sent
    /// one keeps its place, for its answer will come.
    fn abandon(&mut self, ctx: Ctx, error: Error, out: &mut Vec<Output>) {
        let Some(seq) = self.places.get(&ctx).copied() else {
            return self.abandon_auth(ctx, error, out);
        };
        if let Ok(at) = self.queue.binary_search_by_key(&seq, |pending| pending.seq) {
            let pending = self.queue.remove(at).expect("it was found there");
            return self.settle(&pending, Err(error), out);
        }
        let Ok(at) = self.in_flight.binary_search_by_key(&seq, |sent| sent.seq) else { return };
        let sent = &mut self.in_flight[at];
        sent.ctx = None;
        let deadline = sent.deadline.take();
        let error = match (&mut sent.work, error) {
            (Work::Write, Error::TimedOut { .. }) => Error::TimedOut { outcome_unknown: true },
            (Work::Read(Some(registration)), error) => {
                registration.watcher = None;
                error
            }
            (
                Work::Read(None) | Work::Write | Work::Remove(_) | Work::SetWatches | Work::Close,
                error,
            ) => error,
        };
        self.places.remove(&ctx);
        self.forget_deadline(ctx, deadline);
        out.push(Output::Completed { ctx, outcome: Err(error) });
    }
}
