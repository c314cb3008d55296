//! The links of an election: one for each pair of members, dialled by the larger id.
//!
//! A member with the smaller id connects only to be called back. Of messages to a member only the
//! last one counts: what was not sent yet is replaced.
//! Source: the reference's `QuorumCnxManager`.

use super::vote::Heard;
use crate::ELECTION;
use crate::core::{Core, tell};
use crate::ensemble::{node, sid};
use base::{Lsn, NodeId, Time};
use broadcast::Inbound;
use broadcast::{Addresses, LinkId, Output};
use bytes::Bytes;
use jute::Encode;
use std::collections::BTreeMap;
use std::time::Duration;
use trace::Ensemble as Event;
use wire::quorum::{
    Address, Notification, Opening, OpeningForm, PeerAddress, message_len, opening_len,
};

/// All links of the channel.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Mesh {
    links: BTreeMap<LinkId, Link>,
    peers: BTreeMap<NodeId, Peer>,
    /// When the port is to be opened again.
    listen_at: Option<Time>,
    /// Whether the configuration said where, and which version of it was looked at last.
    listens: bool,
    version: i64,
    /// Where this member is called back: as the configuration said last that named it. Those who
    /// do not know it have no other way to one that a change leaves out, and may need it yet.
    own: Vec<Address>,
}

#[derive(Clone, Debug, Hash)]
struct Link {
    stage: Stage,
    inbound: Inbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// We called.
    Dialled(NodeId),
    /// Somebody called and has not said who it is; it has time until then.
    Nameless(Time),
    /// It carries votes.
    Ready(NodeId),
}

/// What is known of a member.
#[derive(Clone, Debug, Default, Hash)]
struct Peer {
    ready: Option<LinkId>,
    dialled: Option<LinkId>,
    /// The last message, for a link that comes up.
    last: Option<Bytes>,
    /// Where it said that it is called back.
    called_from: Option<Addresses>,
    /// Whether the last trial to reach it failed.
    failed: bool,
    /// When it was answered by a member that looks.
    answered: Option<Time>,
}

/// What a link brought.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Message {
    pub(crate) from: NodeId,
    pub(crate) heard: Heard,
    /// The text of the sender's configuration.
    pub(crate) configuration: Option<String>,
}

impl Link {
    fn nameless_until(&self) -> Option<Time> {
        match self.stage {
            Stage::Nameless(until) => Some(until),
            Stage::Dialled(_) | Stage::Ready(_) => None,
        }
    }
}

impl Mesh {
    /// Opens the port.
    pub(crate) fn listen(&mut self, core: &Core, out: &mut Vec<Output>) {
        self.listen_at = None;
        self.version = core.ensemble.committed.version();
        self.look_up_own(core);
        if let Some(addresses) = core.ensemble.election_addresses(core.me) {
            self.listens = true;
            let addresses = core.listen_addresses(&addresses);
            out.push(Output::Listen { channel: ELECTION, addresses });
        }
    }

    /// Who was outside when it started opens the port when it becomes a member.
    pub(crate) fn follow(&mut self, core: &Core, out: &mut Vec<Output>) {
        let version = core.ensemble.committed.version();
        if std::mem::replace(&mut self.version, version) != version && !self.listens {
            self.listen(core, out);
        }
    }

    fn look_up_own(&mut self, core: &Core) {
        if let Some(hosts) = core.ensemble.hosts(core.me) {
            self.own = hosts.iter().map(PeerAddress::election).collect();
        }
    }

    /// The port could not be opened: it is tried again.
    pub(crate) fn listen_failed(&mut self, reason: String, now: Time, out: &mut Vec<Output>) {
        tell(Event::ListenFailed { port: "election", reason }, out);
        self.listen_at = Some(now + LISTEN_RETRY);
    }

    /// When it wants to be asked again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let nameless = self.links.values().filter_map(Link::nameless_until);
        nameless.chain(self.listen_at).min()
    }

    /// Time has passed.
    pub(crate) fn expired(&mut self, core: &Core, now: Time, out: &mut Vec<Output>) {
        if self.listen_at.is_some_and(|at| at <= now) {
            self.listen(core, out);
        }
        let is_late = |link: &Link| link.nameless_until().is_some_and(|until| until <= now);
        let late = self.links.iter().filter(|(_, link)| is_late(link)).map(|(id, _)| *id);
        for link in late.collect::<Vec<_>>() {
            let ms = core.limits.opening.as_millis();
            self.refuse(link, None, format!("it did not say who it is in {ms} ms"), out);
        }
    }

    /// Whether there is no way to hear of this member: no link, and none is being made.
    pub(crate) fn is_out_of_reach(&self, node: NodeId) -> bool {
        self.peers
            .get(&node)
            .is_some_and(|peer| peer.ready.is_none() && peer.dialled.is_none() && peer.failed)
    }

    /// Whether there is a link to this member.
    pub(crate) fn is_linked(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.ready.is_some())
    }

    /// Says something to a member: now, or when there is a link.
    pub(crate) fn send(
        &mut self,
        core: &mut Core,
        to: NodeId,
        message: Bytes,
        out: &mut Vec<Output>,
    ) {
        let peer = self.peers.entry(to).or_default();
        peer.last = Some(message.clone());
        match peer.ready {
            Some(link) => out.push(Output::Send { link, frame: message, after: Lsn::ZERO }),
            None => self.dial(core, to, out),
        }
    }

    /// Answers a member that looks, if there is a link to it; if there is to be a pause between two
    /// answers, once in that time: it asks again.
    pub(crate) fn answer(
        &mut self,
        core: &mut Core,
        to: NodeId,
        message: Bytes,
        (now, pause): (Time, Option<Duration>),
        out: &mut Vec<Output>,
    ) {
        let peer = self.peers.entry(to).or_default();
        let Some(link) = peer.ready else { return self.dial(core, to, out) };
        if let Some(pause) = pause {
            if peer.answered.is_some_and(|at| now < at + pause) {
                return;
            }
            peer.answered = Some(now);
        }
        out.push(Output::Send { link, frame: message, after: Lsn::ZERO });
    }

    /// Closes all links.
    pub(crate) fn end(&mut self, out: &mut Vec<Output>) {
        out.extend(self.links.keys().map(|&link| Output::Close { link }));
        *self = Mesh::default();
    }

    /// The election is over: what was said in it is not said again.
    pub(crate) fn forget(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.last = None);
    }

    fn dial(&mut self, core: &mut Core, to: NodeId, out: &mut Vec<Output>) {
        let peer = self.peers.entry(to).or_default();
        if peer.ready.is_some() || peer.dialled.is_some() {
            return;
        }
        let known = core.ensemble.election_addresses(to);
        let Some(addresses) = known.or_else(|| peer.called_from.clone()) else { return };
        let link = core.next_link();
        peer.dialled = Some(link);
        self.links.insert(link, Link { stage: Stage::Dialled(to), inbound: Inbound::default() });
        out.push(Output::Dial { link, channel: ELECTION, addresses });
    }

    /// A connection is there.
    pub(crate) fn link_up(
        &mut self,
        core: &mut Core,
        link: LinkId,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let Some(Link { stage: Stage::Dialled(to), .. }) = self.links.get(&link) else {
            if self.links.len() >= LINKS_MAX {
                return out.push(Output::Close { link });
            }
            let stage = Stage::Nameless(now + core.limits.opening);
            let nameless = Link { stage, inbound: Inbound::default() };
            self.links.insert(link, nameless);
            return;
        };
        let to = *to;
        self.look_up_own(core);
        out.push(Output::Send { link, frame: opening(core, &self.own), after: Lsn::ZERO });
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.dialled = None;
        }
        if sid(to) > sid(core.me) {
            // It calls back. If it was lost it stays so until then: what took the connection may be
            // a process that is ending.
            self.links.remove(&link);
            out.push(Output::Close { link });
        } else {
            self.attach(to, link, out);
        }
    }

    /// A connection is gone, or could not be made: gives the member that there is no link to now.
    pub(crate) fn link_down(&mut self, link: LinkId) -> Option<NodeId> {
        let gone = self.links.remove(&link)?;
        let to = match gone.stage {
            Stage::Dialled(to) => {
                self.peers.get_mut(&to)?.dialled = None;
                to
            }
            Stage::Ready(to) => {
                self.peers.get_mut(&to).filter(|peer| peer.ready == Some(link))?.ready = None;
                to
            }
            Stage::Nameless(_) => return None,
        };
        self.peers.get_mut(&to)?.failed = true;
        Some(to)
    }

    /// Whether the link is one of this channel.
    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// From now on votes go this way; an older way is closed.
    fn attach(&mut self, to: NodeId, link: LinkId, out: &mut Vec<Output>) {
        if let Some(found) = self.links.get_mut(&link) {
            found.stage = Stage::Ready(to);
        }
        let peer = self.peers.entry(to).or_default();
        peer.failed = false;
        if let Some(old) = peer.ready.replace(link) {
            self.links.remove(&old);
            out.push(Output::Close { link: old });
        }
        if let Some(frame) = peer.last.clone() {
            out.push(Output::Send { link, frame, after: Lsn::ZERO });
        }
    }

    /// Bytes came: gives what they say.
    pub(crate) fn received(
        &mut self,
        core: &mut Core,
        link: LinkId,
        bytes: Bytes,
        out: &mut Vec<Output>,
    ) -> Vec<Message> {
        let Some(found) = self.links.get_mut(&link) else { return Vec::new() };
        found.inbound.push(bytes);
        let from = match found.stage {
            Stage::Ready(from) => from,
            Stage::Dialled(_) => return Vec::new(),
            Stage::Nameless(_) => match self.name(core, link, out) {
                Some(from) => from,
                None => return Vec::new(),
            },
        };
        self.messages(link, from, out)
    }

    fn messages(&mut self, link: LinkId, from: NodeId, out: &mut Vec<Output>) -> Vec<Message> {
        let mut messages = Vec::new();
        let Some(found) = self.links.get_mut(&link) else { return messages };
        loop {
            match found.inbound.next(message_len) {
                Ok(Some(frame)) => {
                    // What cannot be read is not heard; the link is good.
                    let Ok(said) = Notification::decode(&frame[MESSAGE_HEAD..]) else { continue };
                    let configuration = said.config.map(str::to_owned);
                    messages.push(Message { from, heard: Heard::from_wire(&said), configuration });
                }
                Ok(None) => return messages,
                Err(error) => {
                    let reason = format!("an election message: {error}");
                    self.refuse(link, Some(from), reason, out);
                    return messages;
                }
            }
        }
    }

    /// Who called: gives it if the link carries votes from now on.
    fn name(&mut self, core: &mut Core, link: LinkId, out: &mut Vec<Output>) -> Option<NodeId> {
        let found = self.links.get_mut(&link)?;
        let opening = match found.inbound.next(opening_len) {
            Ok(Some(frame)) => Opening::decode(&frame),
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        let opening = match opening {
            Ok(opening) => opening,
            Err(error) => {
                self.refuse(link, None, format!("an election opening: {error}"), out);
                return None;
            }
        };
        let from = node(opening.server_id);
        if from == core.me {
            let reason = format!("another server has this one's id {}", from.0);
            self.refuse(link, Some(from), reason, out);
            return None;
        }
        if !self.peers.contains_key(&from) && self.peers.len() >= LINKS_MAX {
            self.refuse(link, Some(from), "too many servers have called".to_owned(), out);
            return None;
        }
        let peer = self.peers.entry(from).or_default();
        if !opening.addresses.is_empty() {
            peer.called_from = Some(opening.addresses.iter().map(Address::to_string).collect());
        }
        if opening.server_id > sid(core.me) {
            self.attach(from, link, out);
            return Some(from);
        }
        // The link is ours to make; what there was is nothing to the caller any more.
        let stale = peer.ready.take();
        for link in [Some(link), stale].into_iter().flatten() {
            self.links.remove(&link);
            out.push(Output::Close { link });
        }
        self.dial(core, from, out);
        None
    }

    fn refuse(
        &mut self,
        link: LinkId,
        peer: Option<NodeId>,
        reason: String,
        out: &mut Vec<Output>,
    ) {
        tell(Event::LinkRefused { link: link.0, peer, reason }, out);
        self.link_down(link);
        out.push(Output::Close { link });
    }
}

/// What a caller says first.
fn opening(core: &Core, own: &[Address]) -> Bytes {
    let mut addresses = own.to_vec();
    let form = match (addresses.is_empty(), core.multi_address) {
        (true, _) => OpeningForm::Bare,
        (false, true) => OpeningForm::V2,
        (false, false) => {
            addresses.truncate(1);
            OpeningForm::V1
        }
    };
    let mut bytes = Vec::new();
    Opening { form, server_id: sid(core.me), addresses }.encode(&mut bytes);
    Bytes::from(bytes)
}

/// Bytes of a message's length.
const MESSAGE_HEAD: usize = 4;
/// Time between two trials to open the port.
const LISTEN_RETRY: Duration = Duration::from_secs(1);
/// Links of an ensemble, and of those who try to be part of it.
const LINKS_MAX: usize = 1024;
