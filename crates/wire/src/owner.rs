//! The meanings of the stored `ephemeralOwner`.

use crate::CreateMode;
use base::SessionId;

/// The owner of container nodes.
pub const CONTAINER_OWNER: i64 = i64::MIN;
/// The longest time to live, in ms: 40 bits.
pub const TTL_MAX_MS: i64 = 0xff_ffff_ffff;

const EXTENDED_MASK: i64 = 0xff00_0000_0000_0000_u64 as i64;
const FEATURE_MASK: i64 = 0x00ff_ff00_0000_0000;
/// The form of 3.5.3: the top bit and up to 60 bits of time.
const TTL_353_MASK: i64 = 0x0fff_ffff_ffff_ffff;

/// What kind of node an owner makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// Stays until it is deleted.
    Persistent,
    /// Goes with a session.
    Ephemeral(SessionId),
    /// Goes when its last child has gone.
    Container,
    /// Goes after that many ms without children and writes.
    Ttl(i64),
}

/// How owners are read; the same on every server of an ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerRules {
    /// `zookeeper.extendedTypesEnabled`: an owner with 0xff in the top byte is a time to live.
    pub extended_types: bool,
    /// `zookeeper.emulate353TTLNodes`: every other negative owner is one, too.
    pub emulate_353_ttl: bool,
}

impl OwnerRules {
    /// What kind of node `owner` makes.
    ///
    /// An owner with 0xff in the top byte and an unknown feature id counts as a session, where
    /// the reference throws.
    #[must_use]
    pub fn kind(self, owner: i64) -> OwnerKind {
        if owner == 0 {
            return OwnerKind::Persistent;
        }
        if owner == CONTAINER_OWNER {
            return OwnerKind::Container;
        }
        if self.extended_types {
            if self.emulate_353_ttl && owner < 0 && owner & EXTENDED_MASK != EXTENDED_MASK {
                return OwnerKind::Ttl(owner & TTL_353_MASK);
            }
            if owner & EXTENDED_MASK == EXTENDED_MASK && owner & FEATURE_MASK == 0 {
                return OwnerKind::Ttl(owner & TTL_MAX_MS);
            }
        }
        OwnerKind::Ephemeral(SessionId(owner))
    }

    /// What clients are shown: the session of an ephemeral node, 0 for all others.
    #[must_use]
    pub fn visible(self, owner: i64) -> i64 {
        match self.kind(owner) {
            OwnerKind::Ephemeral(session) => session.0,
            OwnerKind::Persistent | OwnerKind::Container | OwnerKind::Ttl(_) => 0,
        }
    }

    /// The stored owner of a node with that time to live in ms.
    #[must_use]
    pub const fn ttl_owner(ttl_ms: i64) -> i64 {
        EXTENDED_MASK | (ttl_ms & TTL_MAX_MS)
    }

    /// The stored owner of a node that `session` creates in `mode`.
    #[must_use]
    pub const fn owner_of(mode: CreateMode, session: SessionId, ttl_ms: i64) -> i64 {
        if mode.ephemeral {
            session.0
        } else if mode.container {
            CONTAINER_OWNER
        } else if mode.ttl {
            OwnerRules::ttl_owner(ttl_ms)
        } else {
            0
        }
    }
}
