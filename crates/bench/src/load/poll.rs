//! Waiting for sockets and for a moment, on epoll.
//!
//! Sockets are watched edge-triggered for both directions, once: nothing is re-registered under load. A timer
//! descriptor gives the moments: it is set when the next one changes, where a time-out would be set and taken back
//! at every wait.

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::io;

/// What happened to a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    pub(crate) index: usize,
    pub(crate) generation: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The other side has ended, or the connection has failed.
    pub(crate) is_over: bool,
}

pub(crate) struct Poll {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// The timer's moment; 0 for none.
    set_to: u64,
    events: Vec<epoll::Event>,
}

const TIMER: u64 = u64::MAX;
/// Sockets handled per wake-up; more wait in the kernel.
const EVENTS_MAX: usize = 256;

impl Poll {
    pub(crate) fn new() -> io::Result<Poll> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let interest = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), interest)?;
        Ok(Poll { epoll, timer, set_to: 0, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a socket.
    pub(crate) fn add(&self, fd: impl AsFd, index: usize, generation: u32) -> io::Result<()> {
        let token = (u64::from(generation) << 32) | index as u64;
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), interest)?)
    }

    /// Waits until something happens, until the moment `until` at most, in ns, or a little earlier; `now` is the
    /// present on the same clock. Appends what happened to sockets.
    pub(crate) fn wait(
        &mut self,
        until: u64,
        now: u64,
        out: &mut Vec<Readiness>,
    ) -> io::Result<()> {
        self.events.clear();
        let is_due = until <= now;
        if !is_due {
            self.wake_at(until, now)?;
        }
        let buffer = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, buffer, is_due.then_some(&NO_TIME)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in self.events.drain(..) {
            let token = event.data.u64();
            if token == TIMER {
                self.set_to = 0;
                continue;
            }
            let flags = event.flags;
            let is_over = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
            out.push(Readiness {
                index: token as u32 as usize,
                generation: (token >> 32) as u32,
                is_over,
                readable: is_over || flags.contains(EventFlags::IN),
                writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
            });
        }
        Ok(())
    }

    /// Sets the timer, unless it is set to wake as early.
    fn wake_at(&mut self, at: u64, now: u64) -> io::Result<()> {
        if self.set_to != 0 && self.set_to <= at {
            return Ok(());
        }
        self.set_to = at;
        let value = Itimerspec { it_interval: NO_TIME, it_value: timespec(at - now) };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / NS_PER_S) as i64, tv_nsec: (ns % NS_PER_S) as _ }
}

const NS_PER_S: u64 = 1_000_000_000;
const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
