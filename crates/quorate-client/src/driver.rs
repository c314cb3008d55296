//! The task that owns the session and its socket.
//!
//! It gives the machine one fact after another and does what it says. What callers have queued
//! meanwhile is taken together and leaves in one write. No lock is held anywhere, least of all
//! across I/O.

use crate::handle::{Command, Shared};
use crate::socket::{self, Link};
use crate::status::Status;
use crate::watch::Notifier;
use base::{Machine, Time};
use client_core::{Config, Ctx, Host, Input, LinkId, Output, Reply, Session, WatcherId};
use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Commands that are taken together.
const BATCH_MAX: usize = 1024;
/// Bytes waiting to be written above which no commands are taken: the queue of callers is the
/// bound that they see.
const OUTGOING_MAX_BYTES: usize = 4 * 1024 * 1024;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// See the module.
pub(crate) struct Driver {
    session: Session,
    origin: Instant,
    frame_size_max: usize,
    status: watch::Sender<Status>,
    shared: Arc<Shared>,
    replies: HashMap<Ctx, oneshot::Sender<Result<Reply, client_core::Error>>>,
    watchers: HashMap<WatcherId, Notifier>,
    dial: Option<(LinkId, Boxed<io::Result<TcpStream>>)>,
    link: Option<Link>,
    probe: Option<Boxed<(Host, bool)>>,
    out: Vec<Output>,
}

/// What happened first.
enum Happened {
    Commands(usize),
    Dialed(io::Result<TcpStream>),
    Read(io::Result<()>),
    Wrote(io::Result<()>),
    Probed(Host, bool),
    Expired,
}

impl Driver {
    pub(crate) fn new(
        config: Config,
        frame_size_max: usize,
        status: watch::Sender<Status>,
        shared: Arc<Shared>,
    ) -> Driver {
        Driver {
            session: Session::new(config, Time::ZERO),
            origin: Instant::now(),
            frame_size_max,
            status,
            shared,
            replies: HashMap::new(),
            watchers: HashMap::new(),
            dial: None,
            link: None,
            probe: None,
            out: Vec::new(),
        }
    }

    /// Serves the session to its end.
    pub(crate) async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Command>) {
        let mut batch = Vec::new();
        let mut is_closing = false;
        while !self.session.state().is_final() {
            match self.wait(&mut queue, &mut batch, is_closing).await {
                // Every handle is gone.
                Happened::Commands(0) => {
                    is_closing = true;
                    self.give(Input::CloseRequested);
                }
                Happened::Commands(_) => batch.drain(..).for_each(|command| self.obey(command)),
                Happened::Dialed(outcome) => self.dialed(outcome),
                Happened::Read(outcome) => self.read(outcome),
                Happened::Wrote(Ok(())) => {}
                Happened::Wrote(Err(_)) => self.lose_link(),
                Happened::Probed(host, read_write) => {
                    self.probe = None;
                    self.give(Input::Probed { host, read_write });
                }
                Happened::Expired => self.give(Input::TimerExpired),
            }
            self.send();
        }
        // What was queued meanwhile gets the machine's last word.
        queue.close();
        while let Ok(command) = queue.try_recv() {
            self.obey(command);
        }
    }

    async fn wait(
        &mut self,
        queue: &mut mpsc::UnboundedReceiver<Command>,
        batch: &mut Vec<Command>,
        is_closing: bool,
    ) -> Happened {
        let deadline = self.session.deadline().map(|at| self.origin + at.since(Time::ZERO));
        let Driver { dial, link, probe, .. } = self;
        let (incoming, outgoing) = match link {
            Some(link) => (Some(&mut link.incoming), Some(&mut link.outgoing)),
            None => (None, None),
        };
        let is_full = outgoing.as_ref().is_some_and(|o| o.buffer.len() > OUTGOING_MAX_BYTES);
        tokio::select! {
            taken = queue.recv_many(batch, BATCH_MAX), if !is_closing && !is_full => {
                Happened::Commands(taken)
            }
            outcome = async {
                match dial {
                    Some((_, dial)) => dial.await,
                    None => pending().await,
                }
            } => Happened::Dialed(outcome),
            outcome = async {
                match incoming {
                    Some(incoming) => incoming.read().await,
                    None => pending().await,
                }
            } => Happened::Read(outcome),
            outcome = async {
                match outgoing {
                    Some(outgoing) => outgoing.write().await,
                    None => pending().await,
                }
            } => Happened::Wrote(outcome),
            (host, read_write) = async {
                match probe {
                    Some(probe) => probe.await,
                    None => pending().await,
                }
            } => Happened::Probed(host, read_write),
            () = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => pending().await,
                }
            } => Happened::Expired,
        }
    }

    /// Gives the machine one fact and does all that follows from it.
    fn give(&mut self, input: Input) {
        let now = self.time(Instant::now());
        let mut out = std::mem::take(&mut self.out);
        self.session.handle(now, input, &mut out);
        out.drain(..).for_each(|output| self.perform(output));
        self.out = out;
    }

    fn time(&self, at: Instant) -> Time {
        Time::ZERO + at.saturating_duration_since(self.origin)
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { link, host } => self.dial = Some((link, Box::pin(socket::dial(host)))),
            Output::Hangup { link } => {
                self.dial.take_if(|(dialed, _)| *dialed == link);
                self.link.take_if(|up| up.id == link);
            }
            Output::Send { link, bytes } => {
                if let Some(up) = self.link.as_mut().filter(|up| up.id == link) {
                    up.outgoing.buffer.extend_from_slice(&bytes);
                }
            }
            Output::Probe { host } => self.probe = Some(Box::pin(socket::probe(host))),
            Output::Completed { ctx, outcome } => {
                if let Some(reply) = self.replies.remove(&ctx) {
                    // A caller that is gone has no use for it.
                    let _ = reply.send(outcome);
                }
            }
            Output::Event { watcher, event } => {
                if self.watchers.get(&watcher).is_some_and(|notifier| !notifier.notify(event)) {
                    self.watchers.remove(&watcher);
                }
            }
            Output::State(state) => {
                self.status.send_replace(Status {
                    state,
                    identity: self.session.identity(),
                    session_timeout: self.session.timeout(),
                });
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit { ctx, request, deadline, reply, watcher } => {
                self.shared.queued.fetch_sub(1, Ordering::Relaxed);
                self.replies.insert(ctx, reply);
                self.watchers.extend(watcher);
                let deadline = deadline.map(|at| self.time(at));
                self.give(Input::Submitted { ctx, request, deadline });
            }
            Command::Cancel(ctx) => {
                self.replies.remove(&ctx);
                self.give(Input::Cancelled { ctx });
            }
            Command::Unwatch(watcher) => {
                self.watchers.remove(&watcher);
                self.give(Input::Unwatched { watcher });
            }
            Command::Close => self.give(Input::CloseRequested),
        }
    }

    fn dialed(&mut self, outcome: io::Result<TcpStream>) {
        let Some((link, _)) = self.dial.take() else { return };
        match outcome {
            Ok(socket) => {
                self.link = Some(Link::new(link, socket, self.frame_size_max));
                self.give(Input::Connected { link });
            }
            Err(_) => self.give(Input::ConnectFailed { link }),
        }
    }

    fn read(&mut self, outcome: io::Result<()>) {
        // The machine may hang up at any frame; the rest is then heard by nobody.
        while let Some(link) = &mut self.link {
            let id = link.id;
            match link.incoming.frames.next_frame() {
                Ok(Some(frame)) => self.give(Input::Received { link: id, frame }),
                Ok(None) if outcome.is_ok() => return,
                Ok(None) | Err(_) => return self.lose_link(),
            }
        }
    }

    fn lose_link(&mut self) {
        if let Some(link) = self.link.take() {
            self.give(Input::Disconnected { link: link.id });
        }
    }

    /// Sends what there is, as far as the socket takes it; the rest waits for it.
    fn send(&mut self) {
        if let Some(link) = &mut self.link
            && link.outgoing.write_now().is_err()
        {
            self.lose_link();
        }
    }
}
