//! Houses of one ensemble: letters and deliveries go from one to the other as a test moves them.

use super::harness::House;
use crate::{Config, Letter};
use base::{NodeId, SessionId, Time, Zxid};
use broadcast::{Context, LinkId, ReadLevel};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::{Index, IndexMut};
use wire::quorum::packet_len;

pub(super) struct Ensemble {
    houses: Vec<House>,
    pub(super) primary: usize,
    epoch: i64,
    /// What is on its way from the primary to each replica, in order.
    pub(super) mail: Vec<VecDeque<Mail>>,
    /// What the primary's engine was asked, with what was proposed or decided by then.
    pub(super) reads: VecDeque<(Context, Zxid)>,
}

#[derive(Clone, Debug)]
pub(super) enum Mail {
    Delivery(Zxid, Bytes),
    Letter(Bytes),
}

impl Ensemble {
    /// Three members, the first of which is primary.
    pub(super) fn new() -> Ensemble {
        Ensemble::with(|_| {})
    }

    pub(super) fn with(change: impl Fn(&mut Config)) -> Ensemble {
        let house = |id: u8| {
            House::apart(|config| {
                config.alone = false;
                config.server_id = id;
                change(config);
            })
        };
        let houses = vec![house(1), house(2), house(3)];
        let mail = vec![VecDeque::new(); houses.len()];
        let mut ensemble = Ensemble { houses, primary: 0, epoch: -1, mail, reads: VecDeque::new() };
        ensemble.elect(0);
        ensemble
    }

    /// Everyone leaves its role; what was proposed and not delivered never will be.
    pub(super) fn part(&mut self) {
        for of in 0..self.houses.len() {
            self.houses[of].keeper.become_apart();
            self.houses[of].order.clear();
            self.houses[of].outgoing = crate::Outgoing::default();
            let mail = std::mem::take(&mut self.mail[of]);
            for mail in mail {
                if let Mail::Delivery(at, item) = mail {
                    self.houses[of].apply(at, &item);
                }
            }
            self.houses[of].answer_ready();
        }
        self.reads.clear();
    }

    /// A new epoch, with new links.
    pub(super) fn elect(&mut self, primary: usize) {
        self.part();
        self.epoch += 1;
        self.primary = primary;
        for (of, house) in self.houses.iter_mut().enumerate() {
            if of == primary {
                house.keeper.become_primary(&house.tree, Zxid(self.epoch << 32), house.now);
            } else {
                house.keeper.become_replica(&house.tree, house.now);
            }
            house.answer_ready();
        }
    }

    /// The link of a replica, as the primary knows it.
    pub(super) fn link(&self, of: usize) -> LinkId {
        LinkId::accepted(u64::try_from(self.epoch).unwrap() * 10 + of as u64)
    }

    fn replicas(&self) -> impl Iterator<Item = usize> + use<> {
        let primary = self.primary;
        (0..self.houses.len()).filter(move |of| *of != primary)
    }

    /// The letters of one replica reach the primary.
    pub(super) fn carry_from(&mut self, of: usize) {
        self.carry_by(of, of);
    }

    /// They do so on another's link, as those of an observer do on its master's.
    pub(super) fn carry_by(&mut self, of: usize, by: usize) {
        let bytes = Bytes::from(std::mem::take(&mut self.houses[of].outgoing.letters));
        let (from, node) = (self.link(by), NodeId(by as u64 + 1));
        let mut letters = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let end = at + packet_len(&bytes[at..], 1 << 20).unwrap().unwrap();
            letters.push(Letter { from, node, bytes: bytes.slice(at..end) });
            at = end;
        }
        let primary = self.primary;
        self.carry_freed();
        self.houses[primary].forwarded(&letters);
        self.collect();
    }

    /// What waited behind a sync reaches the primary.
    fn carry_freed(&mut self) {
        let primary = self.primary;
        let freed = self.houses[primary].keeper.freed();
        if !freed.is_empty() {
            self.houses[primary].forwarded(&freed);
        }
    }

    /// Letters of the primary are put into the mail, and what it asks its engine is noted.
    pub(super) fn collect(&mut self) {
        let house = &mut self.houses[self.primary];
        let decided = house.tree.last_zxid();
        let proposed = house.order.back().map_or(decided, |last| last.at);
        let must_see = |level| match level {
            ReadLevel::Proposed => proposed,
            ReadLevel::Linearizable => decided,
        };
        let asked = house.outgoing.reads.drain(..);
        self.reads.extend(asked.map(|(context, level)| (context, must_see(level))));
        for (to, letter) in std::mem::take(&mut house.outgoing.answers) {
            let of = self.replicas().find(|of| self.link(*of) == to).unwrap();
            self.mail[of].push_back(Mail::Letter(letter));
        }
    }

    /// The engine answers what it was asked first.
    pub(super) fn answer_read(&mut self) {
        self.collect();
        let Some((context, at_least)) = self.reads.pop_front() else { return };
        let house = &mut self.houses[self.primary];
        house.told(|keeper, section| keeper.read_ready(section, context, at_least));
        self.collect();
    }

    /// The next proposal is decided: the primary applies it, the others will.
    pub(super) fn decide(&mut self) {
        let house = &mut self.houses[self.primary];
        let Some(proposal) = house.order.pop_front() else { return };
        let (at, item) = (proposal.at, proposal.item);
        for of in self.replicas() {
            self.mail[of].push_back(Mail::Delivery(at, item.clone()));
        }
        self.houses[self.primary].apply(at, &item);
        self.collect();
    }

    /// The next of the mail reaches a replica.
    pub(super) fn receive(&mut self, of: usize) {
        match self.mail[of].pop_front() {
            Some(Mail::Delivery(at, item)) => self.houses[of].apply(at, &item),
            Some(Mail::Letter(letter)) => {
                self.houses[of].told(|keeper, section| keeper.answered(section, &letter));
            }
            None => {}
        }
    }

    /// Replicas tell the primary whom they have heard.
    pub(super) fn heartbeat(&mut self) {
        for of in self.replicas() {
            let touches = self.houses[of].heartbeat();
            let (from, now) = (self.link(of), self.houses[of].now);
            let House { keeper, outgoing, .. } = &mut self.houses[self.primary];
            keeper.heard(from, &touches, now, outgoing);
            assert!(outgoing.refused.is_empty());
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.reads.is_empty()
            && self.mail.iter().all(VecDeque::is_empty)
            && self.houses.iter().all(|house| house.order.is_empty() && house.outgoing.is_empty())
    }

    /// Everything goes its way to the end.
    pub(super) fn run(&mut self) {
        loop {
            self.carry_freed();
            self.collect();
            if self.is_quiet() {
                return;
            }
            self.replicas().for_each(|of| self.carry_from(of));
            self.answer_read();
            self.decide();
            self.replicas().for_each(|of| self.receive(of));
        }
    }

    pub(super) fn pass_to(&mut self, now: Time) {
        self.houses.iter_mut().for_each(|house| house.now = now);
    }

    /// A connection with an open session.
    pub(super) fn session(&mut self, of: usize) -> Client {
        let slot = self.houses[of].accept();
        self.houses[of].connect(slot, SessionId::NONE, &[0; 16]);
        self.run();
        let (id, password) = self.houses[of].established(slot);
        Client { of, slot, id, password }
    }

    /// The client asks for its session on another member.
    pub(super) fn reconnect(&mut self, client: Client, of: usize) -> Client {
        let slot = self.houses[of].accept();
        self.houses[of].connect(slot, client.id, &client.password);
        Client { of, slot, ..client }
    }

    pub(super) fn send(&mut self, client: Client, frame: Vec<u8>) {
        self.houses[client.of].send(client.slot, frame);
    }

    /// The xids and errors that the client got.
    pub(super) fn got(&mut self, client: Client) -> Vec<(i32, i32)> {
        let got = self.houses[client.of].got(client.slot);
        got.iter().map(|got| (got.xid(), got.err())).collect()
    }

    pub(super) fn is_closed(&self, client: Client) -> bool {
        self.houses[client.of].closed(client.slot)
    }

    /// All members have the same tree.
    pub(super) fn check_agreement(&self) {
        for house in &self.houses {
            assert_eq!(house.tree.digest(), self.houses[0].tree.digest());
            assert_eq!(house.tree.last_zxid(), self.houses[0].tree.last_zxid());
            assert_eq!(house.tree.digest_mismatches(), 0);
            assert_eq!(house.keeper.outstanding(), 0);
        }
    }
}

/// A client: its member, its connection, its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) of: usize,
    pub(super) slot: usize,
    pub(super) id: SessionId,
    pub(super) password: [u8; 16],
}

impl Index<usize> for Ensemble {
    type Output = House;

    fn index(&self, of: usize) -> &House {
        &self.houses[of]
    }
}

impl IndexMut<usize> for Ensemble {
    fn index_mut(&mut self, of: usize) -> &mut House {
        &mut self.houses[of]
    }
}
