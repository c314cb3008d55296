//! Connections to the other members: each dials all others, and says what it wants over its own.
//!
//! So a pair has two, one for what each asks, and no rule about which of them is to live. A
//! connection begins with Hello and Welcome; whoever is of another cluster, version or id, or says
//! what cannot be read, is closed with one reason.

use crate::config::Limits;
use crate::configuration::Configuration;
use crate::frames::{HEADER, Message, VERSION, frame_len};
use base::{Lsn, NodeId, Rng, Time};
use broadcast::{Channel, Inbound, LinkId, Output};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// All that members say to each other.
pub const PEERS: Channel = Channel(0);

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Dialling,
    /// The dialler has said Hello, or the acceptor waits for it.
    Greeting,
    Ready,
}

#[derive(Clone, Debug, Hash)]
struct Link {
    /// Who is at the other end: of an accepted one, once it has said so.
    node: Option<NodeId>,
    stage: Stage,
    since: Time,
    inbound: Inbound,
    outgoing: Vec<u8>,
    gate: Lsn,
}

/// What a link's next frame came to.
pub(crate) enum Next {
    /// A message of this member.
    Message(NodeId, Message),
    /// The connection is ready: one that was dialled, to this member.
    Ready(NodeId),
    /// Nothing to tell of.
    Greeted,
    /// No whole frame is there.
    Nothing,
    /// It cannot go on, and why.
    Bad(String),
}

/// The connections of a member.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Links {
    me: NodeId,
    cluster: u64,
    /// What this member says of its history.
    pub(crate) history: u64,
    limits: Limits,
    links: BTreeMap<LinkId, Link>,
    /// The ones that were dialled.
    dialled: BTreeMap<NodeId, LinkId>,
    /// When members are dialled again.
    retry: BTreeMap<NodeId, Time>,
    numbers: u64,
    /// Whether anything may have been said that has not left yet.
    is_unsent: bool,
}

impl Links {
    pub(crate) fn new(me: NodeId, cluster: u64, limits: Limits) -> Links {
        let (links, dialled, retry) = Default::default();
        let (history, numbers, is_unsent) = (0, 0, false);
        Links { me, cluster, history, limits, links, dialled, retry, numbers, is_unsent }
    }

    /// Nobody is dialled again.
    pub(crate) fn forget_retries(&mut self) {
        self.retry.clear();
    }

    /// Dials the members that are not dialled and may be.
    pub(crate) fn dial(&mut self, members: &Configuration, now: Time, out: &mut Vec<Output>) {
        self.retry.retain(|node, _| members.is_member(*node));
        let me = self.me;
        for node in members.members().filter(|node| *node != me) {
            if self.dialled.contains_key(&node) || self.retry.get(&node).is_some_and(|at| *at > now)
            {
                continue;
            }
            self.retry.remove(&node);
            self.numbers += 1;
            let link = LinkId(self.numbers);
            self.dialled.insert(node, link);
            self.insert(link, Some(node), Stage::Dialling, now);
            let addresses = members.addresses(node).expect("a member").clone();
            out.push(Output::Dial { link, channel: PEERS, addresses });
        }
    }

    /// Leaves those that are no members.
    pub(crate) fn leave(&mut self, members: &Configuration, out: &mut Vec<Output>) {
        let is_member = |node: NodeId| members.is_member(node) && members.is_member(self.me);
        self.retry.retain(|node, _| is_member(*node));
        let gone = self.dialled.iter().filter(|(node, _)| !is_member(**node));
        let gone: Vec<LinkId> = gone.map(|(_, link)| *link).collect();
        gone.into_iter().for_each(|link| self.close(link, out));
    }

    fn insert(&mut self, link: LinkId, node: Option<NodeId>, stage: Stage, since: Time) {
        let (inbound, outgoing, gate) = Default::default();
        self.links.insert(link, Link { node, stage, since, inbound, outgoing, gate });
    }

    /// When something is due here.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let opening = self.links.values().filter(|link| link.stage == Stage::Greeting);
        let opening = opening.map(|link| link.since + self.limits.opening).min();
        let retry = self.retry.values().min().copied();
        opening.into_iter().chain(retry).min()
    }

    /// Links that have not said in time whose they are.
    pub(crate) fn silent(&self, now: Time) -> Vec<LinkId> {
        let is_late = |link: &Link| {
            link.stage == Stage::Greeting && now.since(link.since) >= self.limits.opening
        };
        self.links.iter().filter(|(_, link)| is_late(link)).map(|(id, _)| *id).collect()
    }

    /// A connection is there.
    pub(crate) fn up(&mut self, id: LinkId, now: Time, out: &mut Vec<Output>) {
        if id.is_accepted() {
            if self.links.len() >= LINKS_MAX {
                return out.push(Output::Close { link: id });
            }
            return self.insert(id, None, Stage::Greeting, now);
        }
        let (cluster, history, from) = (self.cluster, self.history, self.me);
        match self.links.get_mut(&id) {
            Some(Link { node: Some(to), stage, since, .. }) => {
                (*stage, *since) = (Stage::Greeting, now);
                let to = *to;
                let hello = Message::Hello { version: VERSION, cluster, history, from, to };
                self.send(id, &hello, Lsn::ZERO, out);
            }
            Some(_) | None => out.push(Output::Close { link: id }), // it is wanted no more
        }
    }

    /// A connection is gone, or is given up: says whose it was if it was ready or accepted, and
    /// whether it was dialled.
    pub(crate) fn down(&mut self, id: LinkId, now: Time, rng: &mut Rng) -> Option<(NodeId, bool)> {
        let link = self.links.remove(&id)?;
        let node = link.node?;
        let is_dialled = self.dialled.get(&node) == Some(&id);
        if is_dialled {
            self.dialled.remove(&node);
            let retry = self.limits.connect_retry;
            let wait = rng.below(u64::try_from(retry.as_nanos()).unwrap_or(u64::MAX).max(1));
            self.retry.insert(node, now + retry + Duration::from_nanos(wait));
        }
        (link.stage == Stage::Ready).then_some((node, is_dialled))
    }

    /// Closes a connection behind all that was said on it.
    fn close(&mut self, id: LinkId, out: &mut Vec<Output>) {
        self.flush(id, out);
        if let Some(node) = self.links.remove(&id).and_then(|link| link.node) {
            self.dialled.retain(|_, link| *link != id);
            self.retry.remove(&node);
        }
        out.push(Output::Close { link: id });
    }

    /// Takes bytes.
    pub(crate) fn push(&mut self, id: LinkId, bytes: Bytes) {
        if let Some(link) = self.links.get_mut(&id) {
            link.inbound.push(bytes);
        }
    }

    /// All bytes of a link that are no frames yet.
    pub(crate) fn take_rest(&mut self, id: LinkId) -> Bytes {
        self.links.get_mut(&id).map(|link| link.inbound.take_rest()).unwrap_or_default()
    }

    /// What the next frame of a link is.
    pub(crate) fn next(&mut self, id: LinkId, out: &mut Vec<Output>) -> Next {
        let max = self.limits.frame_size_max;
        let Some(link) = self.links.get_mut(&id) else { return Next::Nothing };
        let (node, stage) = (link.node, link.stage);
        // Strangers get no memory.
        let max = if stage == Stage::Ready { max } else { GREETING_MAX };
        let frame = match link.inbound.next(|bytes| frame_len(bytes, max)) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Next::Nothing,
            Err(error) => return Next::Bad(format!("a frame cannot be read: {error}")),
        };
        let message = match Message::decode(&frame) {
            Ok(message) => message,
            Err(error) => return Next::Bad(format!("a frame cannot be read: {error}")),
        };
        let Some(node) = node.filter(|_| stage == Stage::Ready) else {
            return self.greeted(id, &message, out);
        };
        if message.is_asked() != id.is_accepted() {
            return Next::Bad("it says what the other side says".to_owned());
        }
        if matches!(message, Message::Hello { .. } | Message::Welcome { .. }) {
            return Next::Bad("it greets twice".to_owned());
        }
        Next::Message(node, message)
    }

    fn greeted(&mut self, id: LinkId, message: &Message, out: &mut Vec<Output>) -> Next {
        let (me, cluster, ours) = (self.me, self.cluster, self.history);
        let check = |version: u16, theirs: u64, history: u64| {
            if version != VERSION {
                return Some(format!("it speaks version {version}, this member {VERSION}"));
            }
            if theirs != cluster {
                return Some(format!("it is of cluster {theirs:#x}, this member of {cluster:#x}"));
            }
            // Who has none yet takes that of its leader.
            let are_two = history != ours && history != 0 && ours != 0;
            are_two.then(|| {
                format!(
                    "its log began with another state, {history:#x}, than this member's, \
                     {ours:#x}: move one's data from the other's source, with \
                     `quorate migrate --from-data`"
                )
            })
        };
        if let Message::Hello { version, cluster, history, from, to } = message
            && id.is_accepted()
        {
            if let Some(reason) = check(*version, *cluster, *history) {
                return Next::Bad(reason);
            }
            if *to != me || *from == me {
                let (from, to, me) = (from.0, to.0, me.0);
                return Next::Bad(format!("member {from} looks for {to}, this is {me}"));
            }
            self.welcome(id, *from, out);
            return Next::Greeted;
        }
        if let Message::Welcome { version, cluster, history, from } = message
            && !id.is_accepted()
        {
            let Some(link) = self.links.get_mut(&id) else { return Next::Nothing };
            if let Some(reason) = check(*version, *cluster, *history) {
                return Next::Bad(reason);
            }
            if link.node != Some(*from) {
                return Next::Bad(format!("member {} is at another one's address", from.0));
            }
            link.stage = Stage::Ready;
            return Next::Ready(*from);
        }
        Next::Bad("it does not greet".to_owned())
    }

    /// A member came: its earlier connections are void.
    fn welcome(&mut self, id: LinkId, from: NodeId, out: &mut Vec<Output>) {
        let is_old = |(other, link): &(&LinkId, &Link)| {
            other.is_accepted() && **other != id && link.node == Some(from)
        };
        let old: Vec<LinkId> = self.links.iter().filter(is_old).map(|(old, _)| *old).collect();
        if let Some(link) = self.links.get_mut(&id) {
            (link.node, link.stage) = (Some(from), Stage::Ready);
        }
        let (cluster, history, from) = (self.cluster, self.history, self.me);
        let welcome = Message::Welcome { version: VERSION, cluster, history, from };
        self.send(id, &welcome, Lsn::ZERO, out);
        old.into_iter().for_each(|old| self.close(old, out));
    }

    /// Whether a connection is there to be spoken on.
    pub(crate) fn is_ready(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.stage == Stage::Ready)
    }

    /// Whose a connection is, as far as it is known.
    pub(crate) fn node(&self, id: LinkId) -> Option<NodeId> {
        self.links.get(&id)?.node
    }

    /// The connection on which this member may ask another one.
    pub(crate) fn to(&self, node: NodeId) -> Option<LinkId> {
        self.dialled.get(&node).copied().filter(|link| self.is_ready(*link))
    }

    /// Says something, behind this gate, with all that is said on this link before it ends its turn.
    pub(crate) fn send(
        &mut self,
        id: LinkId,
        message: &Message,
        after: Lsn,
        out: &mut Vec<Output>,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.outgoing.is_empty() && link.gate != after {
            flush(id, link, out);
        }
        link.gate = after;
        self.is_unsent = true;
        message.put(&mut link.outgoing);
    }

    /// Says something that is encoded already, and shared.
    pub(crate) fn send_frame(
        &mut self,
        id: LinkId,
        frame: Bytes,
        after: Lsn,
        out: &mut Vec<Output>,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        flush(id, link, out);
        out.push(Output::Send { link: id, frame, after });
    }

    /// All that was said on this link leaves.
    pub(crate) fn flush(&mut self, id: LinkId, out: &mut Vec<Output>) {
        if let Some(link) = self.links.get_mut(&id) {
            flush(id, link, out);
        }
    }

    /// All that was said leaves.
    pub(crate) fn flush_all(&mut self, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.is_unsent) {
            self.links.iter_mut().for_each(|(id, link)| flush(*id, link, out));
        }
    }

    /// Closes everything.
    pub(crate) fn end(&mut self, out: &mut Vec<Output>) {
        out.push(Output::Unlisten { channel: PEERS });
        out.extend(self.links.keys().map(|link| Output::Close { link: *link }));
        (self.links, self.dialled, self.retry) = Default::default();
    }
}

fn flush(id: LinkId, link: &mut Link, out: &mut Vec<Output>) {
    if !link.outgoing.is_empty() {
        let frame = if link.outgoing.len() <= COPIED_MAX {
            Bytes::copy_from_slice(&link.outgoing)
        } else {
            Bytes::from(std::mem::take(&mut link.outgoing))
        };
        link.outgoing.clear();
        out.push(Output::Send { link: id, frame, after: link.gate });
    }
}

/// So much is copied, in bytes, so that the buffer it was written to is used again.
const COPIED_MAX: usize = 4096;
/// Connections of one member: several for each of the most members that there can be.
const LINKS_MAX: usize = 1024;
/// A greeting is no longer, in bytes.
const GREETING_MAX: usize = 64 - HEADER;
