//! Who votes, who only learns, and what is a quorum of them.
//!
//! A change of voters goes through a joint configuration, in which every decision takes a majority
//! of the old voters and one of the new (dissertation, section 4.3); a change of learners alone
//! does not. Invariants: there is a voter; nobody votes and learns at once; a voter that is to
//! become a learner stays a voter of the old half until the joint configuration is left.

use base::NodeId;
use broadcast::Addresses;
use bytes::{Buf, BufMut};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The members of an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Configuration {
    members: BTreeMap<NodeId, Addresses>,
    voters: BTreeSet<NodeId>,
    /// The voters before, while the configuration is joint; else nobody.
    outgoing: BTreeSet<NodeId>,
    learners: BTreeSet<NodeId>,
    /// Voters of the old half that become learners.
    learners_next: BTreeSet<NodeId>,
}

/// Why these members make no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationError {
    /// There is no voter.
    NoVoters,
    /// There are more than [`MEMBERS_MAX`].
    TooMany(usize),
    /// This member is named twice.
    Twice(NodeId),
    /// The bytes are none that [`Configuration::encode`] writes.
    Malformed(&'static str),
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigurationError::NoVoters => write!(f, "a configuration needs a voter"),
            ConfigurationError::TooMany(count) => {
                write!(f, "a configuration has at most {MEMBERS_MAX} members, not {count}")
            }
            ConfigurationError::Twice(node) => write!(f, "member {} is named twice", node.0),
            ConfigurationError::Malformed(what) => write!(f, "no configuration: {what}"),
        }
    }
}

impl std::error::Error for ConfigurationError {}

impl Configuration {
    /// These voters and learners, with where each is reached.
    ///
    /// # Errors
    /// If there is no voter, if there are too many members, or one is named twice.
    pub fn new(
        voters: impl IntoIterator<Item = (NodeId, Addresses)>,
        learners: impl IntoIterator<Item = (NodeId, Addresses)>,
    ) -> Result<Configuration, ConfigurationError> {
        let mut configuration = Configuration::default();
        let voters = voters.into_iter().map(|member| (member, true));
        for ((node, addresses), votes) in
            voters.chain(learners.into_iter().map(|member| (member, false)))
        {
            if configuration.members.insert(node, addresses).is_some() {
                return Err(ConfigurationError::Twice(node));
            }
            let these = if votes { &mut configuration.voters } else { &mut configuration.learners };
            these.insert(node);
        }
        configuration.checked()
    }

    fn checked(self) -> Result<Configuration, ConfigurationError> {
        if self.voters.is_empty() {
            return Err(ConfigurationError::NoVoters);
        }
        if self.members.len() > MEMBERS_MAX {
            return Err(ConfigurationError::TooMany(self.members.len()));
        }
        Ok(self)
    }

    /// Those who vote; while it is joint, those of the new half.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().copied()
    }

    /// The old half of a joint configuration; nobody if it is not joint.
    pub fn outgoing(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.outgoing.iter().copied()
    }

    /// Those who learn and do not vote.
    pub fn learners(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.learners.iter().copied()
    }

    /// Everybody.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.keys().copied()
    }

    /// Where a member is reached.
    #[must_use]
    pub fn addresses(&self, node: NodeId) -> Option<&Addresses> {
        self.members.get(&node)
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn is_member(&self, node: NodeId) -> bool {
        self.members.contains_key(&node)
    }

    /// Whether its vote counts, in one of the halves at least.
    #[must_use]
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.outgoing.contains(&node)
    }

    /// Whether decisions take two majorities.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// What comes next on the way to `target`: joint if other members vote there, else the target.
    #[must_use]
    pub fn enter(&self, target: &Configuration) -> Configuration {
        assert!(!self.is_joint() && !target.is_joint(), "one change at a time");
        if target.voters == self.voters {
            return target.clone();
        }
        let mut members = target.members.clone();
        for voter in &self.voters {
            let addresses = self.members[voter].clone();
            members.entry(*voter).or_insert(addresses);
        }
        Configuration {
            members,
            voters: target.voters.clone(),
            learners: &target.learners - &self.voters,
            learners_next: &target.learners & &self.voters,
            outgoing: self.voters.clone(),
        }
    }

    /// What comes behind a joint configuration.
    #[must_use]
    pub fn leave(&self) -> Configuration {
        let learners = &self.learners | &self.learners_next;
        let stays = |node: &NodeId| self.voters.contains(node) || learners.contains(node);
        let mut members = self.members.clone();
        members.retain(|node, _| stays(node));
        let (outgoing, learners_next) = Default::default();
        Configuration { members, voters: self.voters.clone(), learners, outgoing, learners_next }
    }

    /// Whether those of whom this is so are a quorum.
    pub fn is_quorum(&self, is_in: impl Fn(NodeId) -> bool) -> bool {
        self.reached(|node| u64::from(is_in(node))) == 1
    }

    /// The furthest that a quorum has come, by how far each voter is.
    pub fn reached(&self, place: impl Fn(NodeId) -> u64) -> u64 {
        let new = majority(&self.voters, &place);
        if self.is_joint() { new.min(majority(&self.outgoing, &place)) } else { new }
    }

    /// Appends it as bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16_le(u16::try_from(self.members.len()).expect("bounded"));
        for (node, addresses) in &self.members {
            out.put_u64_le(node.0);
            let has = |set: &BTreeSet<NodeId>, bit: u8| u8::from(set.contains(node)) << bit;
            out.put_u8(
                has(&self.voters, 0)
                    | has(&self.outgoing, 1)
                    | has(&self.learners, 2)
                    | has(&self.learners_next, 3),
            );
            out.put_u8(u8::try_from(addresses.len()).expect("few addresses"));
            for address in addresses.iter() {
                out.put_u16_le(u16::try_from(address.len()).expect("a short address"));
                out.put_slice(address.as_bytes());
            }
        }
    }

    /// Reads what [`Configuration::encode`] wrote, all of `bytes`.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn decode(mut bytes: &[u8]) -> Result<Configuration, ConfigurationError> {
        let short = |_| ConfigurationError::Malformed("it is cut short");
        let count = bytes.try_get_u16_le().map_err(short)?;
        let mut configuration = Configuration::default();
        for _ in 0..count {
            let node = NodeId(bytes.try_get_u64_le().map_err(short)?);
            let roles = bytes.try_get_u8().map_err(short)?;
            let mut addresses = Vec::new();
            for _ in 0..bytes.try_get_u8().map_err(short)? {
                let len = usize::from(bytes.try_get_u16_le().map_err(short)?);
                let (address, rest) = bytes
                    .split_at_checked(len)
                    .ok_or(ConfigurationError::Malformed("it is cut short"))?;
                let address = std::str::from_utf8(address)
                    .map_err(|_| ConfigurationError::Malformed("an address is no text"))?;
                addresses.push(address.to_owned());
                bytes = rest;
            }
            configuration.take(node, roles)?;
            if configuration.members.insert(node, addresses.into()).is_some() {
                return Err(ConfigurationError::Twice(node));
            }
        }
        if !bytes.is_empty() {
            return Err(ConfigurationError::Malformed("more bytes than members"));
        }
        configuration.checked()
    }

    fn take(&mut self, node: NodeId, roles: u8) -> Result<(), ConfigurationError> {
        // Whoever votes does not learn; only an old voter can be about to learn.
        if !matches!(roles, 0b0001 | 0b0010 | 0b0011 | 0b0100 | 0b1010) {
            return Err(ConfigurationError::Malformed(
                "a member has roles that exclude each other",
            ));
        }
        let sets = [&mut self.voters, &mut self.outgoing, &mut self.learners];
        for (bit, set) in sets.into_iter().chain([&mut self.learners_next]).enumerate() {
            if roles >> bit & 1 == 1 {
                set.insert(node);
            }
        }
        Ok(())
    }
}

/// The largest place that a majority of these has reached.
fn majority(voters: &BTreeSet<NodeId>, place: impl Fn(NodeId) -> u64) -> u64 {
    let (mut few, mut many) = ([0; FEW], Vec::new());
    let places = few.get_mut(..voters.len()).unwrap_or_else(|| {
        many.resize(voters.len(), 0);
        &mut many
    });
    places.iter_mut().zip(voters).for_each(|(at, voter)| *at = place(*voter));
    // More than half of them have come as far as the one that is so far from the end.
    places.sort_unstable_by(|a, b| b.cmp(a));
    places.get(voters.len() / 2).copied().unwrap_or(0)
}

/// Voters that are counted without allocating: the path of every entry goes there.
const FEW: usize = 16;

/// Members of a configuration, at the most: what the largest ensembles have, several times.
pub const MEMBERS_MAX: usize = 255;

#[cfg(test)]
pub(crate) mod tests {
    use super::{Configuration, ConfigurationError};
    use base::{NodeId, Rng};
    use std::collections::BTreeMap;

    pub(crate) fn of(voters: &[u64], learners: &[u64]) -> Configuration {
        let member = |id: &u64| (NodeId(*id), [format!("m{id}:1")].into());
        Configuration::new(voters.iter().map(member), learners.iter().map(member)).expect("good")
    }

    /// Scenarios 42 and 95: the furthest place of a majority, of one half or of both.
    #[test]
    fn scenarios_42_95_a_place_is_reached_by_majorities() {
        let reached = |configuration: &Configuration, places: &[u64]| {
            let of: BTreeMap<u64, u64> = (1..).zip(places.iter().copied()).collect();
            configuration.reached(|node| of.get(&node.0).copied().unwrap_or(0))
        };
        assert_eq!(reached(&of(&[1], &[]), &[7]), 7);
        assert_eq!(reached(&of(&[1, 2], &[]), &[7, 5]), 5);
        assert_eq!(reached(&of(&[1, 2, 3], &[]), &[7, 5, 3]), 5);
        assert_eq!(reached(&of(&[1, 2, 3, 4], &[]), &[7, 5, 3, 9]), 5);
        assert_eq!(reached(&of(&[1, 2, 3, 4, 5], &[]), &[7, 5, 3, 9, 1]), 5);
        assert_eq!(reached(&of(&[1, 2, 3], &[4, 5]), &[1, 1, 1, 9, 9]), 1, "learners do not count");
        let joint = of(&[1, 2, 3], &[]).enter(&of(&[4, 5, 6], &[]));
        assert_eq!(reached(&joint, &[7, 7, 7, 2, 3, 1]), 2, "disjoint halves");
        let joint = of(&[1, 2, 3], &[]).enter(&of(&[3, 4], &[]));
        assert_eq!(reached(&joint, &[9, 9, 4, 6]), 4, "halves that overlap");
        assert!(joint.is_quorum(|node| node.0 >= 2), "2, 3 of the old and 3, 4 of the new");
        assert!(!joint.is_quorum(|node| node.0 != 4), "all of the old, half of the new");
    }

    #[test]
    fn scenario_91_a_voter_becomes_a_learner_when_the_joint_configuration_is_left() {
        let joint = of(&[1, 2, 3], &[4]).enter(&of(&[1, 2, 4], &[3]));
        assert!(joint.is_joint() && joint.is_voter(NodeId(3)) && joint.is_voter(NodeId(4)));
        assert_eq!(joint.learners().count(), 0, "3 votes until the end");
        assert_eq!(joint.leave(), of(&[1, 2, 4], &[3]));
        let learners_only = of(&[1, 2, 3], &[]).enter(&of(&[1, 2, 3], &[4]));
        assert!(!learners_only.is_joint(), "no decision changes");
    }

    /// Scenario 96: any change through a joint configuration ends where it should.
    #[test]
    fn scenario_96_changes_end_at_their_target_and_codecs_round_trip() {
        let mut rng = Rng::new(96);
        let mut draw = || {
            let (mut voters, mut learners) = (vec![rng.between(1, 8)], Vec::new());
            for id in (1..=8).filter(|id| *id != voters[0]).collect::<Vec<_>>() {
                match rng.below(3) {
                    0 => voters.push(id),
                    1 => learners.push(id),
                    _ => {}
                }
            }
            of(&voters, &learners)
        };
        let mut now = draw();
        for _ in 0..500 {
            let target = draw();
            let entered = now.enter(&target);
            let mut bytes = Vec::new();
            entered.encode(&mut bytes);
            assert_eq!(Configuration::decode(&bytes).as_ref(), Ok(&entered));
            (0..bytes.len()).for_each(|cut| {
                assert!(Configuration::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            });
            now = if entered.is_joint() { entered.leave() } else { entered };
            assert_eq!(now, target);
        }
    }

    #[test]
    fn what_makes_no_configuration_is_refused() {
        let member = |id| (NodeId(id), ["a:1".to_owned()].into());
        let twice = Configuration::new([member(1)], [member(1)]);
        assert_eq!(twice, Err(ConfigurationError::Twice(NodeId(1))));
        assert_eq!(Configuration::new([], [member(1)]), Err(ConfigurationError::NoVoters));
        let many = Configuration::new((0..256).map(member), []);
        assert_eq!(many, Err(ConfigurationError::TooMany(256)));
        let roles = [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0b101, 0];
        assert!(matches!(Configuration::decode(&roles), Err(ConfigurationError::Malformed(_))));
    }
}
