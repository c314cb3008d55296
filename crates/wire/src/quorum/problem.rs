//! What is wrong with the text of a configuration, and the rules by which it is.
//!
//! Source: `QuorumPeerConfig` and `PrepRequestProcessor` of the reference: which of its exceptions
//! a problem raises decides what the client of a reconfiguration is told.

use crate::ErrorCode;

/// What a member's settings say about the texts that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether a server may have several addresses (`multiAddress.enabled`).
    pub multi_address: bool,
    /// Whether a single participant is no ensemble (`standaloneEnabled`).
    pub standalone: bool,
}

impl Rules {
    /// The rules unless settings say something else.
    pub const DEFAULT: Rules = Rules { multi_address: false, standalone: true };
}

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct MembershipError {
    /// The key that is wrong, such as `server.1`, or what else of a request is.
    pub key: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The key is none of a configuration.
    #[error("no such key in a configuration")]
    UnknownKey,
    /// An id, a weight or a version is not a number.
    #[error("{0:?} is not a number")]
    NotANumber(String),
    /// The description of a server has another form.
    #[error("{0:?} is not host:port:port[:role][;[host:]port[;[host:]port]]")]
    BadSpec(String),
    /// A port is not a number.
    #[error("{0:?} is not a port")]
    BadPort(String),
    /// A port is not from 0 to 65535.
    #[error("{0} is not a port: these go from 0 to 65535")]
    PortOutOfRange(i32),
    /// The role is not known.
    #[error("{0:?} is neither participant nor observer")]
    BadRole(String),
    /// The two ports for members are the same.
    #[error("{0} cannot be both the quorum and the election port")]
    SamePorts(u16),
    /// Several addresses are not enabled.
    #[error("several addresses need multiAddress.enabled")]
    SeveralAddresses,
    /// The addresses of one server have different roles.
    #[error("all addresses must have the same role")]
    MixedRoles,
    /// A server is in more than one group.
    #[error("server {0} is in another group already")]
    InSeveralGroups(i64),
    /// There are groups, and a participant is in none.
    #[error("the server is a participant and in no group")]
    InNoGroup,
    /// A group has a member that has no weight: it is neither a participant nor given one.
    #[error("server {0} is no participant and has no weight")]
    NoWeight(i64),
    /// A weight is negative, or a group's are too large together.
    #[error("weights go from 0 to 2^63 - 1, together too")]
    BadWeight,
    /// There are no participants.
    #[error("there are no participants")]
    NoParticipants,
    /// There are observers, and the only participant runs alone.
    #[error("there are observers, and a single participant is no ensemble")]
    NoEnsemble,
    /// A joining server is not `server.N=` and a description.
    #[error("{0:?} is not server.N=description")]
    BadJoiner(String),
    /// A joining server says nowhere to serve clients.
    #[error("a joining server needs a client port")]
    NoClientAddress,
    /// A joining server listens where another member does.
    #[error("{address} is an address of server {of} already")]
    AddressTaken {
        /// The address that both have.
        address: String,
        /// The other member.
        of: i64,
    },
    /// Members with groups are only replaced as a whole.
    #[error("members in groups can only be replaced as a whole")]
    HasGroups,
    /// Too few participants would be left.
    #[error("{voters} participants are too few, {needed} are needed")]
    TooFewVoters {
        /// How many there would be.
        voters: usize,
        /// How many there must be.
        needed: usize,
    },
}

impl Problem {
    pub(super) fn of(self, key: impl Into<String>) -> MembershipError {
        MembershipError { key: key.into(), problem: self }
    }

    /// What a client is told whose reconfiguration has this problem.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Problem::NotANumber(_)
            | Problem::PortOutOfRange(_)
            | Problem::NoWeight(_)
            | Problem::NoParticipants
            | Problem::NoEnsemble => ErrorCode::MarshallingError,
            Problem::UnknownKey
            | Problem::BadSpec(_)
            | Problem::BadPort(_)
            | Problem::BadRole(_)
            | Problem::SamePorts(_)
            | Problem::SeveralAddresses
            | Problem::MixedRoles
            | Problem::InSeveralGroups(_)
            | Problem::InNoGroup
            | Problem::BadWeight
            | Problem::BadJoiner(_)
            | Problem::NoClientAddress
            | Problem::AddressTaken { .. }
            | Problem::HasGroups
            | Problem::TooFewVoters { .. } => ErrorCode::BadArguments,
        }
    }
}
