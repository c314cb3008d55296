//! What the simulator must know of an engine beyond the contract.

use crate::engines::change::Members;
use crate::engines::disk::Durable;
use crate::engines::options::Fault;
use base::{NodeId, Rng, Time, Zxid};
use broadcast::{Channel, Engine, Item, Output};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// An engine's durable numbers.
pub type Registers = BTreeMap<&'static str, i64>;

/// Who is in the ensemble, and how its ports are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Those who vote.
    pub voters: Vec<NodeId>,
    /// Those who only listen.
    pub observers: Vec<NodeId>,
    /// Groups of voters with their weights; none if all count alike.
    pub groups: Vec<Vec<(NodeId, u64)>>,
    /// Those who are none of them, and may become it.
    pub spares: Vec<NodeId>,
    /// Whether entries change who the members are.
    pub changes: bool,
}

/// In which seeds entries change who the members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// In none.
    Never,
    /// In all.
    Always,
    /// In half of those without groups.
    Half,
}

impl Setup {
    /// All members, voters first.
    #[must_use]
    pub fn members(&self) -> Vec<NodeId> {
        self.voters.iter().chain(&self.observers).copied().collect()
    }

    /// All who run: members and spares.
    #[must_use]
    pub fn everybody(&self) -> Vec<NodeId> {
        self.members().into_iter().chain(self.spares.iter().copied()).collect()
    }

    /// The address of a port, as every member knows it.
    #[must_use]
    pub fn address(node: NodeId, channel: Channel) -> String {
        format!("10.0.0.{}:{}", node.0, 2000 + u16::from(channel.0))
    }
}

/// What an engine shows of itself, for invariants that the contract does not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The period that it has promised to.
    pub accepted: i64,
    /// The period whose initial history it has.
    pub current: i64,
    /// Whether it leads, with a quorum behind it.
    pub established: bool,
    /// The last entry that it has logged.
    pub logged: Zxid,
    /// The last entry that it knows to be committed.
    pub committed: Zxid,
}

/// What a frame says about the disk of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Everything up to this entry is durable.
    Logged(Zxid),
    /// This register is durable with this value, or with a larger one.
    Register(&'static str, i64),
    /// The promise to this period is durable.
    Promised(i64),
    /// The initial history of this period, and then the period, are durable.
    Installed(i64),
    /// The slots of its own log up to this index are durable.
    Slots(u64),
}

/// What a letter is for: engines that carry letters as packets need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// From a replica's service to the primary's.
    Request,
    /// From the primary's service to a replica's.
    Answer,
    /// A replica's sign of life.
    Heartbeat,
}

/// An engine under test.
pub trait Subject: Clone + Send + Sync + 'static {
    /// The engine.
    type Engine: Engine;

    /// The name on the command line.
    const NAME: &'static str;

    /// Whether a place names one entry for ever, also one that is never delivered.
    const UNIQUE_PLACES: bool;

    /// The fewest voters that it can have.
    const VOTERS_MIN: u64 = 1;

    /// Whether voters may have groups and weights.
    const GROUPS: bool = false;

    /// Whether a voter may come back with an empty disk, and must not vote until it has a state.
    const LOST_VOTERS: bool = false;

    /// Whether a voter that lost its disk may come back, and never votes again.
    const LOST_FOR_EVER: bool = false;

    /// Whether a replica may be asked when a read may run, not only the primary.
    const READS_AT_REPLICAS: bool = false;

    /// When entries change who the members are.
    const CHANGES: Changes = Changes::Never;

    /// Whether the engine turns back a change that may not be made now, and goes on behind it.
    const TURNS_BACK: bool = false;

    /// Whether the later period and then the longer log of its own wins an election.
    const RANKED_BY_LOG: bool = false;

    /// The protocol's own parameters, by seed.
    fn draw(setup: &Setup, rng: &mut Rng) -> Self;

    /// An engine on what is durable.
    fn recover(
        &self,
        node: NodeId,
        durable: &Durable,
        now: Time,
        rng: &mut Rng,
        out: &mut Vec<Output>,
    ) -> Self::Engine;

    /// Whether this may happen to it: what its parameters rule out does not.
    fn bears(&self, _fault: Fault) -> bool {
        true
    }

    /// Whether these may be proposed as the members here.
    fn may_reconfigure(&self, _engine: &Self::Engine, _target: &Members) -> bool {
        false
    }

    /// About how long it takes to notice a loss: the unit of every time in a run.
    fn patience(&self) -> Duration;

    /// In how much time a healed core must have converged.
    fn settles_within(&self) -> Duration;

    /// Whether the others must get on without this member.
    fn is_replaceable(&self, _node: NodeId) -> bool {
        true
    }

    /// How many frames a member may send in a unit of patience when nothing happens.
    fn frames_per_unit(&self) -> u64 {
        200
    }

    /// Up to which entry a restart replays the log into the state.
    fn replayed(&self, durable: &Durable) -> Zxid {
        durable.last()
    }

    /// Where every member's history begins, with what registers, if not with nothing.
    fn begins(&self) -> Option<(Zxid, Registers)> {
        None
    }

    /// Whether a period ends with an entry at this place, for it has no more.
    fn is_end_of_period(&self, _at: Zxid) -> bool {
        false
    }

    /// Takes the chance from an engine: what it draws next is the same in every state.
    fn becalm(&self, _node: NodeId, _engine: &mut Self::Engine) {}

    /// What it shows of itself.
    fn observe(&self, _engine: &Self::Engine) -> Option<Observation> {
        None
    }

    /// What decides whose history wins an election: the larger wins.
    fn rank(&self, _registers: &Registers, _last: Zxid) -> Option<(i64, Zxid)> {
        None
    }

    /// The durable periods: promised and installed. Neither may ever go back.
    fn periods(&self, _registers: &Registers) -> Option<(i64, i64)> {
        None
    }

    /// What a frame says about the disk of its sender.
    fn claims(&self, _channel: Channel, _frame: &Bytes) -> Vec<Claim> {
        Vec::new()
    }

    /// An entry of the order that holds these bytes at this place.
    fn item(&self, _at: Zxid, body: Bytes) -> Item {
        body
    }

    /// The bytes of an entry, if it is one of ours.
    fn contents(&self, item: &Item) -> Option<Bytes> {
        Some(item.clone())
    }

    /// The members that an entry names, if it changes them.
    fn change(&self, item: &Item) -> Option<Members> {
        crate::engines::payload::change(&self.contents(item)?)
    }

    /// A letter that holds these bytes.
    fn letter(&self, _kind: Letter, body: Bytes) -> Bytes {
        body
    }

    /// The bytes of a letter.
    fn body(&self, letter: &Bytes) -> Option<Bytes> {
        Some(letter.clone())
    }

    /// What a frame is, for people.
    fn show(&self, _channel: Channel, _frame: &Bytes) -> String {
        String::new()
    }

    /// A line that describes the parameters drawn.
    fn describe(&self) -> String {
        String::new()
    }
}
