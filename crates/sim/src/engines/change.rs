//! Changes of the members, as entries of the order write them.

use base::NodeId;
use std::collections::BTreeSet;

/// Who is in the ensemble from an entry on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Those who vote.
    pub voters: BTreeSet<NodeId>,
    /// Those who only listen.
    pub observers: BTreeSet<NodeId>,
}

impl Members {
    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.observers.contains(&node)
    }

    /// What an entry holds behind what all hold.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        for ids in [&self.voters, &self.observers] {
            bytes.push(ids.len() as u8);
            bytes.extend(ids.iter().flat_map(|node| node.0.to_be_bytes()));
        }
        bytes
    }

    /// Reads that; `None` if the entry is no change.
    pub(crate) fn read(bytes: &[u8]) -> Option<Members> {
        let mut rest = bytes.strip_prefix(MARK)?;
        let mut sets = [BTreeSet::new(), BTreeSet::new()];
        for set in &mut sets {
            let (count, behind) = rest.split_first()?;
            let (ids, behind) = behind.split_at_checked(usize::from(*count) * 8)?;
            let ids = ids.chunks_exact(8).filter_map(|id| id.try_into().ok());
            set.extend(ids.map(|id| NodeId(u64::from_be_bytes(id))));
            rest = behind;
        }
        let [voters, observers] = sets;
        Some(Members { voters, observers })
    }
}

/// No filler of other entries looks like this.
const MARK: &[u8] = b"members\n";
