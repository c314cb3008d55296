//! Credentials: sent once on every link, before anything else, and for as long as the session lives.
//!
//! Servers answer them in order, but beside the queue of requests. One refusal ends the session.

use super::link::frame;
use super::{AUTHS_MAX, Ctx, Output, Phase, Session};
use crate::Error;
use crate::reply::Reply;
use base::Time;
use bytes::Bytes;
use jute::{put_buffer, put_int, put_string};
use wire::{OpCode, xid};

/// Credentials, and who waits for them to be accepted.
#[derive(Debug)]
pub(super) struct Auth {
    scheme: String,
    credentials: Bytes,
    pub(super) waiting: Vec<(Ctx, Option<Time>)>,
    /// Whether this link's server has accepted them.
    pub(super) accepted: bool,
}

/// The scheme by which a session says how it wants its reads: credentials that prove nothing.
/// Servers of Quorate know it; every other refuses it.
pub const READS_SCHEME: &str = "reads";
/// With [`READS_SCHEME`]: a read shows all that was acknowledged to anybody before it.
pub const LINEARIZABLE_READS: &str = "linearizable";

impl Session {
    pub(super) fn note_auth(
        &mut self,
        ctx: Ctx,
        scheme: String,
        credentials: Bytes,
        deadline: Option<Time>,
    ) -> Result<(), Error> {
        let known =
            self.auths.iter().position(|a| a.scheme == scheme && a.credentials == credentials);
        match known {
            Some(i) => self.auths[i].waiting.push((ctx, deadline)),
            None if self.auths.len() >= AUTHS_MAX => return Err(Error::Overloaded),
            None => {
                let waiting = vec![(ctx, deadline)];
                self.auths.push(Auth { scheme, credentials, waiting, accepted: false });
            }
        }
        Ok(())
    }

    /// Sends credentials that were just noted, unless they are known already.
    pub(super) fn offer_auth(&mut self, now: Time, ctx: Ctx, out: &mut Vec<Output>) {
        let waits = |auth: &Auth| auth.waiting.iter().any(|(c, _)| *c == ctx);
        let Some(i) = self.auths.iter().position(waits) else { return };
        if self.auths[i].accepted {
            self.accept_auth(i, out);
        } else if matches!(self.phase, Phase::Live(_)) && !self.auths_in_flight.contains(&i) {
            self.send_auth(now, i, out);
        }
    }

    pub(super) fn send_auth(&mut self, now: Time, i: usize, out: &mut Vec<Output>) {
        let Phase::Live(live) = &self.phase else { return };
        let link = live.link;
        let auth = &self.auths[i];
        let bytes = frame(xid::AUTH, OpCode::Auth, |out| {
            put_int(out, 0);
            put_string(out, &auth.scheme);
            put_buffer(out, Some(&auth.credentials));
        });
        self.auths_in_flight.push_back(i);
        self.send(now, link, bytes, out);
    }

    pub(super) fn take_auth(&mut self, now: Time, err: i32, out: &mut Vec<Output>) {
        match self.auths_in_flight.pop_front() {
            Some(i) if err != 0 && self.auths[i].scheme == READS_SCHEME => {
                self.end(Error::LinearizableReadsRefused, out);
            }
            _ if err != 0 => self.end(Error::AuthFailed, out),
            Some(i) => {
                self.auths[i].accepted = true;
                self.accept_auth(i, out);
            }
            None => self.drop_link(now, out),
        }
    }

    fn accept_auth(&mut self, i: usize, out: &mut Vec<Output>) {
        for (ctx, deadline) in std::mem::take(&mut self.auths[i].waiting) {
            self.forget_deadline(ctx, deadline);
            out.push(Output::Completed { ctx, outcome: Ok(Reply::Done) });
        }
    }

    pub(super) fn abandon_auth(&mut self, ctx: Ctx, error: Error, out: &mut Vec<Output>) {
        for i in 0..self.auths.len() {
            let waiting = &mut self.auths[i].waiting;
            if let Some(at) = waiting.iter().position(|(c, _)| *c == ctx) {
                let (ctx, deadline) = waiting.remove(at);
                self.forget_deadline(ctx, deadline);
                return out.push(Output::Completed { ctx, outcome: Err(error) });
            }
        }
    }
}
