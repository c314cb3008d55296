//! Links to the other members: performs `Listen`, `Dial`, `Send`, `Close`, and tells what came.
//!
//! [`Peers`] is the half that the member's driver has: it performs outputs, never waits, and turns
//! what the links' tasks tell into the member's inputs. The tasks run on the workers' runtimes, as
//! those of clients do: a task that has read leaves the bytes in the inbox, and its worker drives
//! the member behind the tasks that are ready, on the same thread. What the member sends is
//! written by whoever drives it, all frames of a link with one call, so on a path from a link to
//! the member and back no thread is woken. Guarantee: what a link's other side gets is a prefix
//! of what was sent, in order; the member hears of a link from its up to its down, of nothing
//! behind that or a `Close`, and of nothing on a port that it has given up.

mod dial;
mod home;
mod link;
mod listen;
mod outgoing;
mod source;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use home::{Fact, Home, PeerSettings, Place};
pub(crate) use source::Source;

use base::WallTime;
use broadcast::{Addresses, Channel, LinkId};
use bytes::Bytes;
use link::Link;
use listen::Listening;
use node::Input;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinHandle};

/// The links, as the driver has them.
#[derive(Debug)]
pub(crate) struct Peers {
    home: Arc<Home>,
    open: BTreeMap<LinkId, Open>,
    dialling: BTreeMap<LinkId, AbortHandle>,
    ports: BTreeMap<Channel, Port>,
    /// How often ports were opened so far.
    listenings: u64,
    /// Links with frames that are not written yet.
    unsent: Vec<LinkId>,
    /// The link that ended last, and who was at its other side.
    last_gone: Option<(LinkId, SocketAddr)>,
}

#[derive(Debug)]
struct Open {
    link: Arc<Link>,
    /// What the member sends on it in this round.
    frames: Vec<Bytes>,
}

/// A channel's port.
#[derive(Debug)]
struct Port {
    /// What is listened to; `None` if nothing is.
    current: Option<(u64, Addresses)>,
    /// The last task that listened.
    task: JoinHandle<()>,
}

impl Peers {
    pub(crate) fn new(home: Arc<Home>) -> Peers {
        Peers {
            home,
            open: BTreeMap::new(),
            dialling: BTreeMap::new(),
            ports: BTreeMap::new(),
            listenings: 0,
            unsent: Vec::new(),
            last_gone: None,
        }
    }

    /// Who is at the other side of a link that is open, or was the last to end.
    pub(crate) fn remote(&self, link: LinkId) -> Option<SocketAddr> {
        if let Some(open) = self.open.get(&link) {
            return open.link.stream().peer_addr().ok();
        }
        self.last_gone.filter(|(gone, _)| *gone == link).map(|(_, remote)| remote)
    }

    fn remember(&mut self, link: &Link) {
        if let Ok(remote) = link.stream().peer_addr() {
            self.last_gone = Some((link.id, remote));
        }
    }

    /// Collects a frame; [`Peers::flush`] writes it.
    pub(crate) fn send(&mut self, link: LinkId, frame: Bytes) {
        let Some(open) = self.open.get_mut(&link) else { return };
        if frame.is_empty() {
            return;
        }
        if open.frames.is_empty() {
            self.unsent.push(link);
        }
        open.frames.push(frame);
    }

    /// Writes what was collected, as far as the sockets take it; the rest follows by itself.
    pub(crate) fn flush(&mut self) {
        for link in self.unsent.drain(..) {
            if let Some(Open { link, frames }) = self.open.get_mut(&link) {
                link.send(frames);
            }
        }
    }

    /// Sends what the source makes behind all that was sent.
    pub(crate) fn send_source(&mut self, link: LinkId, source: Box<dyn Source>) {
        if let Some(Open { link, frames }) = self.open.get_mut(&link) {
            link.send(frames);
            link.send_source(source);
        }
    }

    /// Dials; a link comes up, or goes down.
    pub(crate) fn dial(&mut self, link: LinkId, channel: Channel, to: Addresses) {
        let place = self.home.place();
        let dial = dial::run(Arc::clone(&self.home), place.clone(), link, channel, to);
        let task = place.runtime.spawn(dial);
        self.dialling.insert(link, task.abort_handle());
    }

    /// Closes a link when what was sent is gone, or gives up dialling it.
    pub(crate) fn close(&mut self, link: LinkId) {
        if let Some(dialling) = self.dialling.remove(&link) {
            return dialling.abort();
        }
        if let Some(Open { link, mut frames }) = self.open.remove(&link) {
            self.remember(&link);
            link.send(&mut frames);
            link.close();
        }
    }

    /// Listens, in place of what was listened to.
    pub(crate) fn listen(&mut self, channel: Channel, addresses: Addresses) {
        let before = match self.ports.remove(&channel) {
            Some(port) if port.current.as_ref().is_some_and(|(_, known)| *known == addresses) => {
                self.ports.insert(channel, port);
                return;
            }
            before => before,
        };
        let before = before.map(|port| {
            port.task.abort();
            port.task
        });
        self.listenings += 1;
        let (home, place, number) = (&self.home, self.home.place(), self.listenings);
        let current = Some((number, Arc::clone(&addresses)));
        let (home, place) = (Arc::clone(home), place.clone());
        let runtime = place.runtime.clone();
        let listening = Listening { home, place, channel, number, addresses };
        let task = runtime.spawn(listening.run(before));
        self.ports.insert(channel, Port { current, task });
    }

    /// Listens no more.
    pub(crate) fn unlisten(&mut self, channel: Channel) {
        if let Some(port) = self.ports.get_mut(&channel) {
            port.current = None;
            port.task.abort();
        }
    }

    /// What the member is to be told of this, if anything.
    pub(crate) fn admit(&mut self, fact: Fact, wall: WallTime) -> Option<Input> {
        match fact {
            Fact::Up { link, listening } => self.up(link, listening),
            Fact::Down { link, reason } => {
                let was_dialling = self.dialling.remove(&link).is_some();
                let open = self.open.remove(&link);
                open.iter().for_each(|open| self.remember(&open.link));
                (was_dialling || open.is_some()).then_some(Input::LinkDown { link, reason })
            }
            Fact::Received { link, bytes } => {
                self.open.get(&link)?.link.handled(bytes.len());
                Some(Input::Received { link, bytes, wall })
            }
            Fact::ListenFailed { channel, listening, reason } => {
                if !self.is_current(channel, listening) {
                    return None;
                }
                self.unlisten(channel);
                Some(Input::ListenFailed { channel, reason })
            }
            Fact::Answer(input) => Some(input),
        }
    }

    fn up(&mut self, link: Arc<Link>, listening: Option<u64>) -> Option<Input> {
        let (id, channel) = (link.id, link.channel);
        let is_wanted = match listening {
            None => self.dialling.remove(&id).is_some(),
            Some(listening) => self.is_current(channel, listening),
        };
        if !is_wanted {
            link.close();
            return None;
        }
        self.open.insert(id, Open { link, frames: Vec::new() });
        Some(Input::LinkUp { link: id, channel })
    }

    fn is_current(&self, channel: Channel, listening: u64) -> bool {
        let current = self.ports.get(&channel).and_then(|port| port.current.as_ref());
        current.is_some_and(|(number, _)| *number == listening)
    }
}
