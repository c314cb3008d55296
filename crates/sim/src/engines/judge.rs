//! The judge: knows every history that ever was, which of it is decided, and who holds it.
//!
//! It shares nothing with an engine. What a member delivers or shows must be a prefix of one
//! order; what is decided must be on the disks of a quorum, and whoever could win an election must
//! have it. Source: invariants I1 to I9 of Zab as the published specifications check them.

use crate::engines::change::Members;
use crate::engines::history::Chain;
use crate::engines::quorums::Quorums;
use crate::engines::subject::Setup;
use crate::hash::hash_bytes;
use base::{NodeId, Zxid};
use broadcast::Item;
use std::collections::BTreeMap;
use std::fmt;

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// Both sides of the contradiction.
    pub evidence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.evidence)
    }
}

/// Whether a step was allowed.
pub(crate) type Step = Result<(), Violation>;

/// The verdict on something that must not be.
pub(crate) fn violated(rule: &'static str, evidence: String) -> Step {
    Err(Violation { rule, evidence })
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    at: Zxid,
    item: u64,
    before: Chain,
    /// How many entries there are up to it.
    pub(super) depth: usize,
    /// The last entry up to it that changed the members.
    pub(super) configuration: Chain,
    by: NodeId,
}

/// Who the members are from an entry on.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) members: Members,
    pub(super) quorums: Quorums,
    /// The change before it.
    pub(super) before: Chain,
}

/// What one member has on its disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holding {
    pub(crate) tip: Chain,
    pub(crate) rank: Option<(i64, Zxid)>,
    periods: Option<(i64, i64)>,
}

/// The judge.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    unique: bool,
    pub(super) nodes: Vec<NodeId>,
    pub(super) changes: BTreeMap<Chain, Change>,
    /// The history that each slot of a log of its own ends.
    pub(super) slots: BTreeMap<(u64, u64), Chain>,
    pub(super) entries: BTreeMap<Chain, Entry>,
    places: BTreeMap<Zxid, Chain>,
    /// What is decided.
    pub(super) order: Vec<Chain>,
    pub(crate) holdings: Vec<Holding>,
    established: BTreeMap<i64, NodeId>,
    /// Voters whose disk was wiped and who have no state again: what they held is gone, and they
    /// have no vote.
    pub(crate) lost: Vec<bool>,
}

impl Judge {
    /// Members are numbered, voters first.
    pub(crate) fn new(unique: bool, setup: &Setup) -> Judge {
        let nodes = setup.everybody();
        let members = nodes.len();
        let first = Members {
            voters: setup.voters.iter().copied().collect(),
            observers: setup.observers.iter().copied().collect(),
        };
        let (quorums, before) = (Quorums::of(setup), Chain::ROOT);
        let first = Change { members: first, quorums, before };
        Judge {
            unique,
            nodes,
            changes: BTreeMap::from([(Chain::ROOT, first)]),
            slots: BTreeMap::new(),
            entries: BTreeMap::new(),
            places: BTreeMap::new(),
            order: Vec::new(),
            holdings: vec![Holding::default(); members],
            established: BTreeMap::new(),
            lost: vec![false; members],
        }
    }

    /// How many entries are decided.
    pub(crate) fn decided(&self) -> usize {
        self.order.len()
    }

    /// The last decided entry.
    pub(crate) fn frontier(&self) -> Chain {
        self.order.last().copied().unwrap_or(Chain::ROOT)
    }

    pub(crate) fn place(&self, chain: Chain) -> Zxid {
        self.entries.get(&chain).map_or(Zxid::ZERO, |entry| entry.at)
    }

    /// An entry is in the log of a member, or is delivered there.
    pub(crate) fn entered(
        &mut self,
        by: NodeId,
        before: Chain,
        at: Zxid,
        item: &Item,
    ) -> Result<Chain, Violation> {
        let item = hash_bytes(item);
        let chain = before.then(at, item);
        if self.entries.contains_key(&chain) {
            return Ok(chain);
        }
        let last = self.entries.get(&before);
        let depth = last.map_or(0, |entry| entry.depth) + 1;
        let configuration = last.map_or(Chain::ROOT, |entry| entry.configuration);
        let new = Entry { at, item, before, depth, configuration, by };
        if self.unique {
            if let Some(known) = self.places.get(&at) {
                let (rule, known) = ("I3 a place names one entry, for ever", self.describe(*known));
                let evidence = format!("known {known}, now {}", self.describe_entry(&new));
                return Err(Violation { rule, evidence });
            }
            let last = self.place(before);
            let in_epoch = last.epoch() == at.epoch() && last.counter() + 1 == at.counter();
            let first = last.epoch() < at.epoch() && at.counter() == 1;
            if !in_epoch && !first {
                let evidence = format!("{at} by node {} behind {last}", by.0);
                return Err(Violation { rule: "I4 places follow one another", evidence });
            }
            self.places.insert(at, chain);
        }
        self.entries.insert(chain, new);
        Ok(chain)
    }

    /// All histories begin with an entry at this place.
    pub(crate) fn found(&mut self, at: Zxid) -> Chain {
        let chain = Chain::ROOT.then(at, 0);
        let entry = Entry {
            at,
            item: 0,
            before: Chain::ROOT,
            depth: 1,
            configuration: Chain::ROOT,
            by: NodeId(0),
        };
        self.entries.insert(chain, entry);
        self.places.insert(at, chain);
        chain
    }

    /// The places of all that is decided.
    pub(crate) fn decided_places(&self) -> impl Iterator<Item = Zxid> + '_ {
        self.order.iter().map(|chain| self.place(*chain))
    }

    /// Whether a history ends with just this entry.
    pub(crate) fn is_entry(&self, chain: Chain, at: Zxid, item: &Item) -> bool {
        let item = hash_bytes(item);
        self.entries.get(&chain).is_some_and(|entry| entry.at == at && entry.item == item)
    }

    /// Whether a history ends before a place of its own period: then it lacks what is there.
    pub(crate) fn lacks(&self, chain: Chain, at: Zxid) -> bool {
        let last = self.place(chain);
        last < at && last.epoch() == at.epoch()
    }

    /// How many decided entries a history begins with.
    pub(crate) fn position(&self, mut chain: Chain) -> usize {
        while let Some(entry) = self.entries.get(&chain) {
            if self.order.get(entry.depth - 1) == Some(&chain) {
                return entry.depth;
            }
            chain = entry.before;
        }
        0
    }

    /// The part of a history that is not behind `at`.
    pub(crate) fn cut(&self, mut chain: Chain, at: Zxid) -> Chain {
        while let Some(entry) = self.entries.get(&chain) {
            if entry.at <= at {
                break;
            }
            chain = entry.before;
        }
        chain
    }

    /// A member shows this history: all of it is decided.
    pub(crate) fn shown(&mut self, by: NodeId, chain: Chain) -> Step {
        let mut path = Vec::new();
        let mut at = chain;
        while let Some(entry) = self.entries.get(&at) {
            if self.order.get(entry.depth - 1) == Some(&at) {
                break;
            }
            path.push(at);
            at = entry.before;
        }
        if path.is_empty() {
            return Ok(());
        }
        if at != self.frontier() {
            let (ours, theirs) = (self.describe(self.frontier()), self.describe(chain));
            let both = self.place(at);
            let evidence =
                format!("node {} shows {theirs}, decided is {ours}; the same up to {both}", by.0);
            return violated("I5 delivered sequences are prefixes of one another", evidence);
        }
        let decided = self.order.len();
        self.order.extend(path.into_iter().rev());
        for chain in &self.order[decided..] {
            self.judge_change(*chain)?;
        }
        self.durability()
    }

    /// What a member has on its disk has changed.
    pub(crate) fn holds(
        &mut self,
        index: usize,
        tip: Chain,
        rank: Option<(i64, Zxid)>,
        periods: Option<(i64, i64)>,
    ) -> Step {
        let old = self.holdings[index];
        if let (Some(was), Some(is)) = (old.periods, periods)
            && (is.0 < was.0 || is.1 < was.1 || is.0 < is.1)
        {
            let evidence = format!("member {index}: promised, installed {was:?}, then {is:?}");
            return violated("I2 periods never go back, and are promised first", evidence);
        }
        self.holdings[index] = Holding { tip, rank, periods };
        if old.tip == tip && old.rank == rank { Ok(()) } else { self.durability() }
    }

    /// Forgets what a member held: its disk is wiped, and if it may have voted, promises with it.
    pub(crate) fn wiped(&mut self, index: usize) {
        self.lost[index] = self.may_have_voted(index);
        self.holdings[index] = Holding::default();
    }

    /// It has a state again, and its vote.
    pub(crate) fn restored(&mut self, index: usize) {
        self.lost[index] = false;
    }

    /// I9: a quorum holds all that is decided, and no other quorum could elect who does not.
    fn durability(&self) -> Step {
        if self.order.is_empty() {
            return Ok(());
        }
        let positions: Vec<usize> = self.holdings.iter().map(|h| self.position(h.tip)).collect();
        let has_all = |member: usize| positions[member] >= self.order.len();
        let decided = self.describe(self.frontier());
        // What a lost disk held was there: it is the others that must not decide without it.
        let holds = |member: usize| self.lost[member] || has_all(member);
        if !self.configuration(self.frontier()).quorums.is_quorum(holds) {
            let evidence = format!("{decided} is decided and durable up to {positions:?}");
            return violated("I9 what is decided is durable at a quorum", evidence);
        }
        for (index, holding) in self.holdings.iter().enumerate() {
            let Some(rank) = holding.rank.filter(|_| !holds(index)) else { continue };
            // It may stand for election in the last configuration that it knows of; if that is no
            // longer joint, the old half is not asked: nothing is said of that case.
            let own = self.configuration(holding.tip);
            let halves = [&own.quorums, &self.changes[&own.before].quorums];
            let votes = |other: usize| !self.lost[other] && self.holdings[other].rank <= Some(rank);
            if halves.iter().any(|half| half.weighs(index))
                && halves.iter().all(|half| half.is_quorum(votes))
            {
                let ranks: Vec<_> = self.holdings.iter().map(|holding| holding.rank).collect();
                let evidence =
                    format!("member {index} lacks {decided} and with {rank:?} wins: {ranks:?}");
                return violated("I9 who can win an election has what is decided", evidence);
            }
        }
        Ok(())
    }

    /// I8: who becomes primary has all that was decided in earlier periods than its own. One that
    /// comes too late may lack what a later period has decided: it can decide nothing any more.
    pub(crate) fn primary(&self, by: NodeId, log: Chain, last: Zxid) -> Step {
        let earlier = |chain: &Chain| self.place(*chain).epoch() < last.epoch();
        let owed = self.order.partition_point(earlier);
        if self.position(log) >= owed {
            return Ok(());
        }
        let (decided, has) = (self.describe(self.order[owed - 1]), self.describe(log));
        let evidence = format!("node {} is primary with {has}, decided is {decided}", by.0);
        violated("I8 a primary has all that was decided before", evidence)
    }

    /// I1: one established leader in a period.
    pub(crate) fn leads(&mut self, by: NodeId, period: i64) -> Step {
        let first = *self.established.entry(period).or_insert(by);
        if first == by {
            return Ok(());
        }
        let evidence = format!("nodes {} and {} lead period {period}", first.0, by.0);
        violated("I1 a period has one established leader", evidence)
    }

    /// In how many periods somebody led.
    pub(crate) fn periods(&self) -> u64 {
        self.established.len() as u64
    }

    /// All that it remembers and that a later verdict may rest on, apart from what disks hold.
    pub(crate) fn memory(&self) -> impl Iterator<Item = u64> + '_ {
        let led = self.established.iter().flat_map(|(period, by)| [period.cast_unsigned(), by.0]);
        let known = self.entries.keys().map(|chain| chain.0);
        known.chain([self.frontier().0]).chain(led)
    }

    /// Whether all of a history is decided.
    pub(crate) fn is_decided(&self, chain: Chain) -> bool {
        let entry = self.entries.get(&chain);
        entry.is_some_and(|entry| self.order.get(entry.depth - 1) == Some(&chain))
    }

    /// Whether one history begins with all of the other.
    pub(crate) fn begins_with(&self, whole: Chain, part: Chain) -> bool {
        self.cut(whole, self.place(part)) == part
    }

    /// An entry and its predecessor, for people.
    pub(crate) fn describe(&self, chain: Chain) -> String {
        match self.entries.get(&chain) {
            Some(entry) => self.describe_entry(entry),
            None => "nothing".to_owned(),
        }
    }

    fn describe_entry(&self, entry: &Entry) -> String {
        let Entry { at, item, before, by, .. } = entry;
        let before = self.place(*before);
        format!("{at} (item {item:016x} behind {before}, first at node {})", by.0)
    }
}
