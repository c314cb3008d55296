//! What happens between the members of an ensemble: a few lines that tell an operator what an
//! election did, and why.

use crate::Level;
use base::{NodeId, Zxid};
use std::fmt;

/// How a learner's history was brought to the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncMethod {
    /// By the transactions that it lacked.
    Diff,
    /// By taking away what the leader has not, and then as a difference.
    Trunc,
    /// By the whole state.
    Snap,
}

impl SyncMethod {
    /// The name on the wire and in `mntr`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SyncMethod::Diff => "DIFF",
            SyncMethod::Trunc => "TRUNC",
            SyncMethod::Snap => "SNAP",
        }
    }
}

/// Something that happened to a member of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensemble {
    /// This member looks for a leader.
    ElectionStarted {
        /// The logical clock.
        round: i64,
        /// The end of this member's history.
        zxid: Zxid,
        /// The epoch of this member's history.
        epoch: i64,
    },
    /// This member votes for another one than before.
    VoteChanged {
        /// The logical clock.
        round: i64,
        /// For whom.
        leader: NodeId,
        /// The end of that member's history.
        zxid: Zxid,
        /// The epoch of that member's history.
        epoch: i64,
    },
    /// This member still looks for a leader, and tells everybody again.
    ElectionStalled {
        /// The logical clock.
        round: i64,
        /// For how long it has looked, in ms.
        since_ms: u64,
        /// Voters whose votes of this round count, this member included.
        voted: Vec<NodeId>,
        /// Voters that are silent, or must not vote yet.
        missing: Vec<NodeId>,
    },
    /// The election is over.
    ElectionDecided {
        /// The logical clock.
        round: i64,
        /// Who is to lead.
        leader: NodeId,
        /// The end of that member's history.
        zxid: Zxid,
        /// The epoch of that member's history.
        epoch: i64,
        /// Who voted so.
        supporters: Vec<NodeId>,
        /// Voters to whom there was no way.
        unreachable: Vec<NodeId>,
        /// How long it took this member, in ms.
        took_ms: u64,
    },
    /// As leader, this member has an epoch that nobody had before.
    EpochProposed {
        /// Which.
        epoch: i64,
    },
    /// A quorum has promised to take part in no older epoch.
    EpochAgreed {
        /// Which.
        epoch: i64,
        /// Who promised.
        promised: Vec<NodeId>,
    },
    /// As learner, this member has promised its leader's epoch.
    EpochPromised {
        /// Whose.
        leader: NodeId,
        /// Which.
        epoch: i64,
    },
    /// As leader, this member brings a learner's history to its own.
    LearnerSynced {
        /// Which learner.
        learner: NodeId,
        /// How.
        method: SyncMethod,
        /// The end of the learner's history.
        from: Zxid,
        /// The end of what it is sent at once.
        upto: Zxid,
    },
    /// As leader, this member serves: a quorum has its history.
    Established {
        /// The epoch.
        epoch: i64,
        /// Who has it.
        supporters: Vec<NodeId>,
    },
    /// A learner has caught up and serves.
    LearnerJoined {
        /// Which.
        learner: NodeId,
    },
    /// A learner is gone.
    LearnerLost {
        /// Which.
        learner: NodeId,
        /// Why.
        reason: String,
    },
    /// A voter that elected this member, which waits for a quorum to come, looks for another leader.
    VoterChangedMind {
        /// Which.
        voter: NodeId,
    },
    /// This member leads no more.
    SteppedDown {
        /// The epoch, if it had one.
        epoch: i64,
        /// Why.
        reason: String,
    },
    /// As learner, this member serves: it has the leader's history.
    Joined {
        /// Whose.
        leader: NodeId,
        /// The epoch.
        epoch: i64,
        /// How it was brought there.
        method: SyncMethod,
    },
    /// This member follows no more.
    LeaderLost {
        /// Whom.
        leader: NodeId,
        /// Why.
        reason: String,
    },
    /// A connection of another member was closed for what it said.
    LinkRefused {
        /// Which connection.
        link: u64,
        /// Who it said it was.
        peer: Option<NodeId>,
        /// What was wrong.
        reason: String,
    },
    /// A port for other members could not be opened; it is tried again.
    ListenFailed {
        /// What it is for.
        port: &'static str,
        /// Why.
        reason: String,
    },
    /// The configuration of the ensemble is another one.
    ConfigurationChanged {
        /// Its version.
        version: i64,
    },
}

impl Ensemble {
    pub(crate) fn level(&self) -> Level {
        match self {
            Ensemble::ElectionStalled { .. }
            | Ensemble::LinkRefused { .. }
            | Ensemble::ListenFailed { .. } => Level::Warn,
            Ensemble::ElectionStarted { .. }
            | Ensemble::ElectionDecided { .. }
            | Ensemble::EpochAgreed { .. }
            | Ensemble::LearnerSynced { .. }
            | Ensemble::Established { .. }
            | Ensemble::LearnerJoined { .. }
            | Ensemble::LearnerLost { .. }
            | Ensemble::VoterChangedMind { .. }
            | Ensemble::SteppedDown { .. }
            | Ensemble::Joined { .. }
            | Ensemble::LeaderLost { .. }
            | Ensemble::ConfigurationChanged { .. } => Level::Info,
            Ensemble::VoteChanged { .. }
            | Ensemble::EpochProposed { .. }
            | Ensemble::EpochPromised { .. } => Level::Debug,
        }
    }

    pub(crate) fn message(&self) -> &'static str {
        match self {
            Ensemble::ElectionStarted { .. } => "looking for a leader",
            Ensemble::VoteChanged { .. } => "voting for another member",
            Ensemble::ElectionStalled { .. } => "there is no leader yet: still looking for one",
            Ensemble::ElectionDecided { .. } => "the election is decided",
            Ensemble::EpochProposed { .. } => "proposing a new epoch",
            Ensemble::EpochAgreed { .. } => "a quorum has promised the new epoch",
            Ensemble::EpochPromised { .. } => "promised the leader's epoch",
            Ensemble::LearnerSynced { .. } => "synchronizing a learner",
            Ensemble::Established { .. } => "leading: a quorum has this member's history",
            Ensemble::LearnerJoined { .. } => "a learner has joined",
            Ensemble::LearnerLost { .. } => "a learner is lost",
            Ensemble::VoterChangedMind { .. } => "a voter that elected this member looks again",
            Ensemble::SteppedDown { .. } => "leading no more",
            Ensemble::Joined { .. } => "following: this member has the leader's history",
            Ensemble::LeaderLost { .. } => "following no more",
            Ensemble::LinkRefused { .. } => "a connection to a port for other members was refused",
            Ensemble::ListenFailed { .. } => "a port for other members is not open; trying again",
            Ensemble::ConfigurationChanged { .. } => "the ensemble has a new configuration",
        }
    }
}

/// Members, as `1, 2, 3`.
struct Nodes<'a>(&'a [NodeId]);

impl fmt::Display for Nodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, node) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "," };
            write!(f, "{separator}{}", node.0)?;
        }
        Ok(())
    }
}

impl Ensemble {
    /// Writes what varies.
    pub(crate) fn fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ensemble::ElectionStarted { round, zxid, epoch } => {
                write!(f, " round={round} zxid={zxid} epoch={epoch:#x}")
            }
            Ensemble::VoteChanged { round, leader, zxid, epoch } => {
                write!(f, " round={round} leader={} zxid={zxid} epoch={epoch:#x}", leader.0)
            }
            Ensemble::ElectionStalled { round, since_ms, voted, missing } => {
                let (voted, missing) = (Nodes(voted), Nodes(missing));
                write!(f, " round={round} since_ms={since_ms} voted={voted} missing={missing}")
            }
            Ensemble::ElectionDecided {
                round,
                leader,
                zxid,
                epoch,
                supporters,
                unreachable,
                took_ms,
            } => {
                let (leader, supporters) = (leader.0, Nodes(supporters));
                write!(f, " round={round} leader={leader} zxid={zxid} epoch={epoch:#x}")?;
                write!(f, " supporters={supporters} took_ms={took_ms}")?;
                if unreachable.is_empty() {
                    return Ok(());
                }
                write!(f, " unreachable={}", Nodes(unreachable))
            }
            Ensemble::EpochProposed { epoch } => write!(f, " epoch={epoch:#x}"),
            Ensemble::EpochPromised { leader, epoch } => {
                write!(f, " leader={} epoch={epoch:#x}", leader.0)
            }
            Ensemble::EpochAgreed { epoch, promised } => {
                write!(f, " epoch={epoch:#x} promised={}", Nodes(promised))
            }
            Ensemble::LearnerSynced { learner, method, from, upto } => {
                let (peer, method) = (learner.0, method.name());
                write!(f, " peer={peer} method={method} from={from} upto={upto}")
            }
            Ensemble::Established { epoch, supporters } => {
                write!(f, " epoch={epoch:#x} supporters={}", Nodes(supporters))
            }
            Ensemble::LearnerJoined { learner } => write!(f, " peer={}", learner.0),
            Ensemble::LearnerLost { learner, reason } => {
                write!(f, " peer={} reason={reason:?}", learner.0)
            }
            Ensemble::VoterChangedMind { voter } => write!(f, " peer={}", voter.0),
            Ensemble::SteppedDown { epoch, reason } => {
                write!(f, " epoch={epoch:#x} reason={reason:?}")
            }
            Ensemble::Joined { leader, epoch, method } => {
                write!(f, " leader={} epoch={epoch:#x} method={}", leader.0, method.name())
            }
            Ensemble::LeaderLost { leader, reason } => {
                write!(f, " leader={} reason={reason:?}", leader.0)
            }
            Ensemble::LinkRefused { link, peer, reason } => match peer {
                Some(peer) => write!(f, " link={link:x} peer={} reason={reason:?}", peer.0),
                None => write!(f, " link={link:x} peer=unknown reason={reason:?}"),
            },
            Ensemble::ListenFailed { port, reason } => write!(f, " port={port} reason={reason:?}"),
            Ensemble::ConfigurationChanged { version } => write!(f, " version={version:x}"),
        }
    }
}
