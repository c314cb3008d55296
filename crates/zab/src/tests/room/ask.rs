//! What tests ask of the room, and what it asks of itself.

use super::{Room, item};
use crate::Role;
use crate::config::{ACCEPTED_EPOCH, CURRENT_EPOCH};
use base::Zxid;
use broadcast::{Channel, Context, Decision, Input, Item, LinkId, Proposal, ReadLevel, View};
use jute::Encode;
use trace::{Ensemble as Event, SyncMethod};
use wire::quorum::{Membership, Packet, PacketKind, Rules};
use wire::{Txn, TxnHeader, TxnRecord};

impl Room {
    /// The established leader of the highest epoch.
    pub(in crate::tests) fn leader(&self) -> Option<u64> {
        self.leaders().into_iter().max_by_key(|id| self.marks(*id).current_epoch)
    }

    /// All who think that they lead.
    pub(in crate::tests) fn leaders(&self) -> Vec<u64> {
        let leads = |id: &u64| {
            let status = self.status(*id);
            status.role == Role::Leading && status.serving
        };
        self.members.keys().copied().filter(leads).collect()
    }

    /// Waits for a leader that all running members serve under.
    pub(in crate::tests) fn elect(&mut self) -> u64 {
        self.until("all members serve under one leader", |room| {
            let leader = room.leader();
            leader.is_some() && room.members.keys().all(|id| room.follows(*id, leader))
        });
        self.leader().expect("there is one")
    }

    /// Waits for a leader that these serve under.
    pub(in crate::tests) fn elect_among(&mut self, ids: &[u64]) -> u64 {
        self.until("they serve under one of them", |room| {
            let leader = room.leader().filter(|leader| ids.contains(leader));
            leader.is_some() && ids.iter().all(|id| room.follows(*id, leader))
        });
        self.leader().expect("there is one")
    }

    /// Whether a member serves under that leader.
    pub(in crate::tests) fn follows(&self, id: u64, leader: Option<u64>) -> bool {
        let status = self.status(id);
        status.serving && status.leader.map(|node| node.0) == leader
    }

    pub(in crate::tests) fn runs(&self, id: u64) -> bool {
        self.members.contains_key(&id)
    }

    /// Proposes texts, one batch.
    pub(in crate::tests) fn propose(&mut self, id: u64, texts: &[&str]) -> Vec<Context> {
        self.propose_items(id, texts.iter().map(|text| item(text)).collect())
    }

    pub(in crate::tests) fn propose_items(&mut self, id: u64, items: Vec<Item>) -> Vec<Context> {
        let member = self.members.get_mut(&id).expect("it runs");
        let mut proposals = Vec::new();
        for item in items {
            member.next = member.next.next();
            self.contexts += 1;
            let context = Context(self.contexts);
            proposals.push(Proposal { context, at: member.next, item });
        }
        let contexts = proposals.iter().map(|proposal| proposal.context).collect();
        self.handle(id, Input::Proposed(proposals));
        self.flow();
        contexts
    }

    /// Proposes an item for that place.
    pub(in crate::tests) fn propose_at(&mut self, id: u64, at: Zxid, item: Item) -> Context {
        self.contexts += 1;
        let context = Context(self.contexts);
        self.input(id, Input::Proposed(vec![Proposal { context, at, item }]));
        context
    }

    /// Something happens to a member.
    pub(in crate::tests) fn input(&mut self, id: u64, input: Input) {
        self.handle(id, input);
        self.flow();
    }

    /// From now on the test answers when the member wants to read its log.
    pub(in crate::tests) fn answer_log_by_hand(&mut self, id: u64) {
        self.members.get_mut(&id).expect("it runs").log_by_hand = true;
    }

    /// What other services wrote to that of this member: letters, answers, beats.
    pub(in crate::tests) fn letters(&self, id: u64) -> Vec<Item> {
        self.members[&id].letters.clone()
    }

    /// The link that the last letter of a replica came on.
    pub(in crate::tests) fn forwarder(&self, id: u64) -> LinkId {
        self.members[&id].forwarder.expect("a letter came")
    }

    /// For which link the member wants to read its log.
    pub(in crate::tests) fn asked_for_log(&self, id: u64) -> LinkId {
        self.members[&id].asked_for_log.expect("it asked")
    }

    /// Proposes an ensemble: its version is its place.
    pub(in crate::tests) fn reconfigure(&mut self, id: u64, text: &str) -> Context {
        let at = self.members[&id].next.next();
        let membership = Membership::parse(text, &Rules::DEFAULT).expect("a good text");
        let text = membership.with_version(at.0).to_string();
        let txn = Txn::SetData {
            path: "/zookeeper/config".into(),
            data: Some(text.as_bytes()),
            version: -1,
            reconfig: true,
        };
        let op = txn.op().number();
        let header = TxnHeader { client_id: 1, cxid: 1, zxid: at.0, time: 0, op };
        let mut bytes = Vec::new();
        TxnRecord { header, txn, digest: None }.encode(&mut bytes);
        self.propose_items(id, vec![bytes.into()])[0]
    }

    /// Whether the member's port for this is open.
    pub(in crate::tests) fn listens(&self, id: u64, channel: Channel) -> bool {
        self.members[&id].listening.contains(&channel)
    }

    /// Whether the member's disk has a configuration that is not known to be decided.
    pub(in crate::tests) fn knows_next(&self, id: u64) -> bool {
        self.disks[&id].last_seen().is_some()
    }

    pub(in crate::tests) fn read(&mut self, id: u64, level: ReadLevel) -> Context {
        self.contexts += 1;
        let context = Context(self.contexts);
        self.handle(id, Input::ReadRequested { context, level });
        self.flow();
        context
    }

    /// When a read may run: the place.
    pub(in crate::tests) fn read_at(&self, id: u64, read: Context) -> Option<Zxid> {
        let reads = &self.members[&id].reads;
        reads.iter().find(|(context, _)| *context == read).map(|(_, at)| *at)
    }

    pub(in crate::tests) fn outcome(&self, id: u64, of: Context) -> Option<Decision> {
        let outcomes = &self.members[&id].outcomes;
        outcomes.iter().find(|(context, _)| *context == of).map(|(_, decision)| *decision)
    }

    pub(in crate::tests) fn view(&self, id: u64) -> View {
        self.members[&id].view
    }

    /// What is applied, as texts.
    pub(in crate::tests) fn state(&self, id: u64) -> Vec<String> {
        let texts = self.members[&id].state.iter();
        texts.map(|(_, item)| String::from_utf8_lossy(item).into_owned()).collect()
    }

    /// What is on the disk, as texts.
    pub(in crate::tests) fn on_disk(&self, id: u64) -> Vec<String> {
        let texts = self.disks[&id].entries.iter();
        texts.map(|(_, item)| String::from_utf8_lossy(item).into_owned()).collect()
    }

    /// The epochs on the disk: promised and installed.
    pub(in crate::tests) fn epochs(&self, id: u64) -> (i64, i64) {
        let disk = &self.disks[&id];
        (disk.register(ACCEPTED_EPOCH), disk.register(CURRENT_EPOCH))
    }

    /// Loses the log before this place: only the state at it is left.
    pub(in crate::tests) fn purge(&mut self, id: u64, upto: i64) {
        self.disks.entry(id).or_default().purge(Zxid(upto));
    }

    /// Takes a snapshot of all that is durable: a start finds that, and replays nothing.
    pub(in crate::tests) fn take_snapshot(&mut self, id: u64) {
        let disk = self.disks.entry(id).or_default();
        disk.snapshot = disk.last();
    }

    /// Gives a member that does not run a disk: epochs, and entries.
    pub(in crate::tests) fn give(&mut self, id: u64, epochs: (i64, i64), entries: &[(i64, &str)]) {
        assert!(!self.runs(id), "it has a disk");
        let disk = self.disks.entry(id).or_default();
        disk.registers.insert(ACCEPTED_EPOCH, epochs.0);
        disk.registers.insert(CURRENT_EPOCH, epochs.1);
        disk.entries = entries.iter().map(|(at, text)| (Zxid(*at), item(text))).collect();
    }

    pub(in crate::tests) fn events(&self, id: u64) -> &[Event] {
        &self.members[&id].told
    }

    /// How often a member has told of something.
    pub(in crate::tests) fn count(&self, id: u64, what: &str) -> usize {
        let told = self.events(id).iter().map(|event| trace::Event::Ensemble(event.clone()));
        told.filter(|event| event.to_string().starts_with(what)).count()
    }

    /// The version of the configuration on a member's disk.
    pub(in crate::tests) fn version(&self, id: u64) -> i64 {
        self.disks[&id].committed(&self.setup.membership).version()
    }

    /// How a leader synchronized a learner last.
    pub(in crate::tests) fn method(&self, leader: u64, of: u64) -> Option<SyncMethod> {
        self.events(leader).iter().rev().find_map(|event| match event {
            Event::LearnerSynced { learner, method, .. } if learner.0 == of => Some(*method),
            _ => None,
        })
    }

    /// Why a leader lost learners.
    pub(in crate::tests) fn lost(&self, leader: u64) -> Vec<String> {
        let reasons = self.events(leader).iter().filter_map(|event| match event {
            Event::LearnerLost { learner, reason } => Some(format!("{}: {reason}", learner.0)),
            _ => None,
        });
        reasons.collect()
    }

    /// Why links of the member were closed, or its leader was left.
    pub(in crate::tests) fn refusals(&self, id: u64) -> Vec<String> {
        let reasons = self.events(id).iter().filter_map(|event| match event {
            Event::LinkRefused { reason, .. } | Event::LeaderLost { reason, .. } => {
                Some(reason.clone())
            }
            _ => None,
        });
        reasons.collect()
    }

    pub(in crate::tests) fn fatal(&self, id: u64) -> Option<&str> {
        self.members[&id].fatal.as_deref()
    }

    /// All running members have these texts, and nothing else.
    pub(in crate::tests) fn all_have(&self, texts: &[&str]) {
        for id in self.members.keys() {
            assert_eq!(self.state(*id), texts, "member {id}");
        }
    }

    /// What a packet claims of its sender's disk is there.
    pub(super) fn check_claim(&self, from: u64, piece: &[u8]) {
        if !self.members.contains_key(&from) {
            return; // a peer may lie
        }
        let Ok(packet) = Packet::decode(piece) else { return };
        let disk = &self.disks[&from];
        let at = Zxid(packet.zxid);
        let epoch = i64::from(at.epoch());
        match packet.kind() {
            Some(PacketKind::LeaderInfo) => {
                assert!(disk.register(ACCEPTED_EPOCH) >= epoch, "{from} leads unpromised");
            }
            Some(PacketKind::AckEpoch) => {
                assert!(disk.last() >= at || at.counter() == 0, "{from} has no {at}");
            }
            Some(PacketKind::Ack) if at.counter() == 0 => {
                assert!(disk.register(CURRENT_EPOCH) >= epoch, "{from} did not install {epoch}");
            }
            Some(PacketKind::Ack) => {
                assert!(disk.last() >= at, "{from} acknowledged {at} before it was durable");
            }
            Some(_) | None => {}
        }
    }
}
