//! Rows of the keys that make and tune ensembles.
//!
//! A key that would change who is asked, or how peers talk, is refused as long as it is not built.
//! A server that is alone takes all that only tunes an ensemble, without a word.

use super::Disposition::{Honoured, Inert};
use super::Fallback::{Derived, Is, Unset};
use super::Kind::{Choice, Decimal, LenientBool, Member, Path, StrictBool, Text, YesNo};
use super::Unit::{Bytes, Count, Milliseconds, Ticks};
use super::{
    INT_MAX, Key, Kind, NO_COMPONENT, any_int, ignored, ignored_unless, int, keys, refused,
    refused_unless,
};

pub(super) const ROWS: &[Key] = keys! {
    Own "server.*" Member, Unset, Honoured, "A server of the ensemble; a single one runs alone";
    Own "group.*" Text, Unset, Honoured, "Servers of a hierarchical quorum's group";
    Own "weight.*" Text, Unset, Honoured, "Votes of a server in its group";
    Own "dynamicConfigFile" Path, Unset, Honoured,
        "File with the servers, whose name ends in the version";
    Own "standaloneEnabled" StrictBool, Is("true"), Honoured,
        "Whether a single server runs without a quorum";
    Own "engine" Choice(&["zab", "raft"]), Is("zab"), Honoured,
        "What orders transactions: ZooKeeper's protocol, or Raft among Quorate servers; an extension";
    Own "quorate.cluster" Text, Is("quorate"), Honoured,
        "Name of the cluster: under Raft, members and data of another are refused; an extension";
    Own "quorate.join" StrictBool, Is("false"), Honoured,
        "Under Raft: this server has no part in the ensemble until reconfig adds it; an extension";
    Own "quorate.leaseDriftPercent" int(0, Count), Unset, Honoured,
        "Under Raft: linearizable reads by a leader's lease, if no clock is faster by more; an extension";
    Own "peerType" Choice(&["participant", "observer"]), Is("participant"),
        Inert("the server's own line says it; a difference is warned of"),
        "Whether this server votes";
    Own "electionAlg" Kind::Int { min: 3, max: 3, unit: Count }, Is("3"),
        Inert("there is no other"), "Election algorithm";
    Own "observerMasterPort" super::PORT, Is("0"), Honoured,
        "Port for observers of a follower; where an observer looks for followers; 0 is none";
    Own "oraclePath" Path, Unset, refused("the oracle of two servers is not built yet"),
        "File that decides for two servers";
    Own "multiAddress.enabled" StrictBool, Is("false"), Honoured,
        "Several addresses for one server; all servers must agree";
    Own "sslQuorum" StrictBool, Is("false"), refused_unless("false", NO_PEER_TLS),
        "TLS between servers";
    Own "portUnification" StrictBool, Is("false"), refused_unless("false", NO_PEER_TLS),
        "Plain text and TLS between servers";
    Own "quorum.auth.enableSasl" StrictBool, Is("false"), refused_unless("false", NO_PEER_SASL),
        "SASL between servers";
    Own "quorum.auth.learnerRequireSasl" StrictBool, Is("false"),
        refused_unless("false", NO_PEER_SASL), "Learners insist on SASL";
    Own "quorum.auth.serverRequireSasl" StrictBool, Is("false"),
        refused_unless("false", NO_PEER_SASL), "Servers insist on SASL";
};

pub(super) const TUNING: &[Key] = keys! {
    Own "initLimit" int(0, Ticks), Derived("none in an ensemble's file; 10 without a file"),
        Honoured, "Time to join a leader";
    Own "syncLimit" int(0, Ticks), Derived("none in an ensemble's file; 5 without a file"),
        Honoured, "Time without a sign of life";
    Own "connectToLearnerMasterLimit" int(0, Ticks), Derived("initLimit"),
        Inert("a leader that refuses is called for a second, then an election is held"),
        "Time to connect to a leader; 0 is the default";
    Own "localSessionsEnabled" StrictBool, Is("false"), Honoured,
        "New sessions are known to their server alone";
    Own "localSessionsUpgradingEnabled" StrictBool, Is("false"), Honoured,
        "Local sessions become global with their first ephemeral node, which else they may not make";
    Own "quorate.reads" Choice(&["local", "linearizable"]), Is("local"), Honoured,
        "What clients read: what their server has, or all that was acknowledged; an extension";
    Own "syncEnabled" StrictBool, Is("true"), ignored_unless("true", OBSERVERS_WRITE),
        "Whether observers write to disk";
    Property "observer.syncEnabled" LenientBool, Derived("syncEnabled"),
        ignored_unless("true", OBSERVERS_WRITE),
        "Overrides syncEnabled";
    Own "quorumListenOnAllIPs" StrictBool, Is("false"), Honoured,
        "Peers may come by every address";
    Own "sslQuorumReloadCertFiles" StrictBool, Is("false"), ignored_unless("false", NO_PEER_TLS),
        "Reads changed certificates while running";
    Own "multiAddress.reachabilityCheckEnabled" StrictBool, Is("true"),
        ignored(NO_REACHABILITY_CHECK), "Tries the addresses of a server";
    Own "multiAddress.reachabilityCheckTimeoutMs" int(0, Milliseconds), Is("1000"),
        ignored(NO_REACHABILITY_CHECK), "Time for such a trial";
    Own "quorum.auth.learner.saslLoginContext" Text, Is("QuorumLearner"), ignored(NO_PEER_SASL),
        "Section of the JAAS file";
    Own "quorum.auth.server.saslLoginContext" Text, Is("QuorumServer"), ignored(NO_PEER_SASL),
        "Section of the JAAS file";
    Own "quorum.auth.kerberos.servicePrincipal" Text, Is("zkquorum/localhost"),
        ignored(NO_PEER_SASL), "Kerberos name of the servers";
    Own "quorum.cnxn.threads.size" any_int(Count), Is("20"), ignored(NO_COMPONENT),
        "Threads for connections between servers";
    Property "tcpKeepAlive" LenientBool, Is("false"), Honoured, "TCP keepalive between servers";
    Property "cnxTimeout" int(1, Milliseconds), Is("5000"), Honoured,
        "Time to connect for an election";
    Property "quorumCnxnTimeoutMs" any_int(Milliseconds), Derived("tickTime x syncLimit"), Honoured,
        "Time for the opening of an election connection; 0 and less is the default";
    Property "electionPortBindRetry" any_int(Count), Is("3"),
        ignored_unless("0", "binding the election port is tried until it succeeds"),
        "Trials to bind the election port; 0 is for ever";
    Property "fastleader.minNotificationInterval" int(1, Milliseconds), Is("200"), Honoured,
        "Shortest time between votes";
    Property "fastleader.maxNotificationInterval" int(1, Milliseconds), Is("60000"), Honoured,
        "Longest time between votes";
    Property "leaderServes" YesNo, Is("yes"), Honoured, "Whether a leader has clients";
    Property "leader.maxConcurrentSnapSyncs" int(1, Count), Is("10"), Honoured,
        "Snapshots sent to learners at a time: above it followers get theirs, observers wait";
    Property "leader.maxConcurrentDiffSyncs" int(1, Count), Is("100"), Honoured,
        "Differences sent to learners at a time: above it followers get theirs, observers wait";
    Property "leader.maxTimeToWaitForEpoch" any_int(Milliseconds), Is("-1"), Honoured,
        "Time in which a new leader waits for a voter that looks for another; less than 0 is off";
    Property "leader.ackLoggingFrequency" any_int(Count), Is("1000"), ignored(NO_COMPONENT),
        "Every how many acknowledgements are measured";
    Property "leader.closeSocketAsync" LenientBool, Is("false"), Inert(IN_BACKGROUND),
        "Closes links in the background";
    Property "learner.closeSocketAsync" LenientBool, Is("false"), Inert(IN_BACKGROUND),
        "Closes links in the background";
    Property "learner.asyncSending" LenientBool, Is("false"), Inert(IN_BACKGROUND),
        "Sends in the background";
    Property "leaderConnectDelayDuringRetryMs" int(1, Milliseconds), Is("100"), Honoured,
        "Longest time between trials to connect to a leader";
    Property "observer.reconnectDelayMs" any_int(Milliseconds), Is("0"), Inert(NO_DELAY_NEEDED),
        "Longest wait of an observer before it comes back; added to the next";
    Property "observer.election.DelayMs" any_int(Milliseconds), Is("200"), Inert(NO_DELAY_NEEDED),
        "Longest wait of an observer before it looks for a leader";
    Property "observerMaster.sizeLimit" any_int(Bytes), Is("33554432"),
        Inert("what an observer lacks comes from the history that is kept for all learners"),
        "Transactions kept for observers";
    Property "follower.skipLearnerRequestToNextProcessor" LenientBool, Is("false"),
        ignored_unless("false", NO_COMPONENT), "Shortens a follower's pipeline";
    Property "forward_learner_requests_to_commit_processor_disabled" LenientBool, Is("false"),
        ignored_unless("false", NO_COMPONENT), "Shortens a leader's pipeline";
    Property "snapshotSizeFactor" Decimal, Is("0.33"), Honoured,
        "How much log a leader sends before it prefers a snapshot; less than 0 is none from disk";
    Property "forceSnapshotSync" LenientBool, Is("false"), Honoured,
        "Makes every synchronization a snapshot";
    Property "commitProcessor.numWorkerThreads" any_int(Count), Unset, ignored(NO_COMPONENT),
        "Threads that serve reads";
    Property "commitProcessor.maxReadBatchSize" any_int(Count), Is("-1"), ignored(NO_COMPONENT),
        "Reads between two writes";
    Property "commitProcessor.maxCommitBatchSize" any_int(Count), Is("1"), ignored(NO_COMPONENT),
        "Writes between two reads";
    Property "commitProcessor.shutdownTimeout" Kind::Int { min: 0, max: INT_MAX, unit: Milliseconds },
        Is("5000"), ignored(NO_COMPONENT), "Wait for those threads at the end";
    Bare "leader.nodelay" LenientBool, Is("true"), ignored_unless("true", NO_DELAY),
        "TCP_NODELAY on a leader's links";
    Bare "follower.nodelay" LenientBool, Is("true"), ignored_unless("true", NO_DELAY),
        "TCP_NODELAY on a follower's link";
};

const NO_PEER_TLS: &str = "TLS between servers is not built yet";
const NO_PEER_SASL: &str = "SASL between servers is not built yet";
const NO_REACHABILITY_CHECK: &str = "an address that does not answer is found by connecting to it";
const IN_BACKGROUND: &str = "links are always written and closed in the background";
const NO_DELAY: &str = "TCP_NODELAY is always on between servers";
const OBSERVERS_WRITE: &str = "observers always write to disk";
const NO_DELAY_NEEDED: &str = "observers come back at once, and pause when they are turned away";
