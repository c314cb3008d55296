//! The two timers of a connection: for its silence, and for requests that wait for room.

use super::ConnectionTask;
use crate::clock::Clock;
use crate::sync::lock;
use base::Time;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that may ring early: frames move the deadline, and the timer is only set again once it
/// has rung.
#[derive(Debug, Default)]
pub(super) struct Idle {
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When it rings.
    rings: Time,
    /// Whether the task is woken then.
    is_armed: bool,
}

impl Idle {
    /// Ready once `deadline` has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, clock: &Clock, deadline: Time) -> Poll<()> {
        let at = || Instant::from_std(clock.instant(deadline));
        let timer = self.timer.get_or_insert_with(|| Timer {
            sleep: Box::pin(sleep_until(at())),
            rings: deadline,
            is_armed: false,
        });
        // Mostly the task was woken by something else, and the timer goes on as it is.
        if timer.is_armed && timer.rings <= deadline && clock.now() < timer.rings {
            return Poll::Pending;
        }
        timer.is_armed = false;
        loop {
            // It may have been set for a longer time-out than there is now.
            if timer.rings > deadline {
                timer.set(deadline, at());
            }
            if timer.sleep.as_mut().poll(cx).is_pending() {
                timer.is_armed = true;
                return Poll::Pending;
            }
            if deadline <= clock.now() {
                return Poll::Ready(());
            }
            timer.set(deadline, at());
        }
    }
}

impl Timer {
    fn set(&mut self, rings: Time, at: Instant) {
        self.sleep.as_mut().reset(at);
        self.rings = rings;
    }
}

/// Waiting for room on a server that has too much to do.
#[derive(Debug, Default)]
pub(super) struct Stall {
    since: Option<Time>,
    /// Whether the connection's requests have been counted as stale.
    is_counted: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Whether a connection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It is.
    Go,
    /// Not for the time being.
    Wait,
    /// What has waited is to be dropped, and the connection with it.
    Drop,
}

impl ConnectionTask {
    /// Whether nothing is to be read for the time being, because the server has too many requests
    /// under way. With requests of its own among them, the connection is woken by their answers;
    /// without, it looks again after the stall time.
    pub(super) fn hold(&mut self, cx: &mut Context<'_>, outstanding: usize) -> Hold {
        let limits = &self.service.settings.config.limits;
        let total = self.service.inbox.outstanding();
        if outstanding > 0 && total > limits.outstanding_requests_max as usize {
            return Hold::Wait;
        }
        let is_full = limits.requests.requests_max.is_some_and(|max| total >= max as usize);
        if !is_full {
            self.stall.sleep = None;
            let has_waited = self.stall.since.take().is_some();
            return if has_waited && self.is_stale(cx) { Hold::Drop } else { Hold::Go };
        }
        let stall_time = limits.requests.stall;
        if self.stall.since.is_none() {
            self.stall.since = Some(self.service.clock.now());
            let counters = &mut lock(&self.worker.counters).metrics.counters;
            counters.request_throttle_wait_count += 1;
        }
        let next = || Instant::now() + stall_time;
        let sleep = self.stall.sleep.get_or_insert_with(|| Box::pin(sleep_until(next())));
        while sleep.as_mut().poll(cx).is_ready() {
            sleep.as_mut().reset(next());
        }
        Hold::Wait
    }

    /// Whether requests that have waited are to be dropped, because their client is gone. They
    /// waited unread, so whether there is one or more is not known: they count as one.
    fn is_stale(&mut self, cx: &mut Context<'_>) -> bool {
        let throttle = &self.service.settings.config.limits.requests;
        if !throttle.stale_without_connection || !self.is_client_gone(cx) {
            return false;
        }
        if std::mem::replace(&mut self.stall.is_counted, true) {
            return throttle.drop_stale;
        }
        let counters = &mut lock(&self.worker.counters).metrics.counters;
        if throttle.drop_stale {
            counters.stale_requests_dropped += 1;
        } else {
            counters.stale_requests += 1;
        }
        throttle.drop_stale
    }

    /// Whether the client has closed its side, whatever it sent before.
    fn is_client_gone(&self, cx: &mut Context<'_>) -> bool {
        match pin!(self.stream.ready(Interest::READABLE)).poll(cx) {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }
}
