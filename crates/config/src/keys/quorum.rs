//! Rows of the keys that make and tune ensembles.
//!
//! Keys that make a server part of an ensemble are refused, for a server that starts alone although
//! its file names peers would split their data. Keys that only tune are ignored with a warning.

use super::Disposition::Inert;
use super::Fallback::{Derived, Is, Unset};
use super::Kind::{Choice, LenientBool, Member, Path, StrictBool, Text, YesNo};
use super::Unit::{Bytes, Count, Milliseconds, Ticks};
use super::{
    INT_MAX, Key, Kind, NO_ENSEMBLE_TO_TUNE, NO_ENSEMBLES, any_int, ignored, ignored_unless, int,
    keys, refused, refused_unless,
};

pub(super) const ROWS: &[Key] = keys! {
    Own "server.*" Member, Unset,
        refused("ensembles are not built yet; a single server is accepted with a warning"),
        "A server of the ensemble";
    Own "group.*" Text, Unset, refused(NO_ENSEMBLES), "Servers of a hierarchical quorum's group";
    Own "weight.*" Text, Unset, refused(NO_ENSEMBLES), "Votes of a server in its group";
    Own "dynamicConfigFile" Path, Unset, refused(NO_ENSEMBLES), "File with the servers";
    Own "standaloneEnabled" StrictBool, Is("true"), refused_unless("true", NO_ENSEMBLES),
        "Whether a single server runs without a quorum";
    Own "peerType" Choice(&["participant", "observer"]), Is("participant"),
        refused_unless("participant", NO_ENSEMBLES), "Whether this server votes";
    Own "electionAlg" Kind::Int { min: 3, max: 3, unit: Count }, Is("3"), Inert(STANDALONE),
        "Election algorithm; there is only one";
    Own "observerMasterPort" any_int(super::Unit::Port), Is("0"), refused_unless("0", NO_ENSEMBLES),
        "Port for observers of a follower";
    Own "oraclePath" Path, Unset, refused(NO_ENSEMBLES), "File that decides for two servers";
    Own "multiAddress.enabled" StrictBool, Is("false"), refused_unless("false", NO_ENSEMBLES),
        "Several addresses for one server";
    Own "sslQuorum" StrictBool, Is("false"), refused_unless("false", NO_ENSEMBLES),
        "TLS between servers";
    Own "portUnification" StrictBool, Is("false"), refused_unless("false", NO_ENSEMBLES),
        "Plain text and TLS between servers";
    Own "quorum.auth.enableSasl" StrictBool, Is("false"), refused_unless("false", NO_ENSEMBLES),
        "SASL between servers";
    Own "quorum.auth.learnerRequireSasl" StrictBool, Is("false"),
        refused_unless("false", NO_ENSEMBLES), "Learners insist on SASL";
    Own "quorum.auth.serverRequireSasl" StrictBool, Is("false"),
        refused_unless("false", NO_ENSEMBLES), "Servers insist on SASL";
};

pub(super) const TUNING: &[Key] = keys! {
    Own "initLimit" int(0, Ticks), Unset, Inert(STANDALONE), "Time to join a leader";
    Own "syncLimit" int(0, Ticks), Unset, Inert(STANDALONE), "Time without a sign of life";
    Own "connectToLearnerMasterLimit" int(0, Ticks), Derived("initLimit"), Inert(STANDALONE),
        "Time to connect to a leader";
    Own "localSessionsEnabled" StrictBool, Is("false"), ignored_unless("false", LOCAL),
        "Sessions that only one server knows";
    Own "localSessionsUpgradingEnabled" StrictBool, Is("false"), ignored_unless("false", LOCAL),
        "Local sessions become global when they need to";
    Own "syncEnabled" StrictBool, Is("true"), ignored_unless("true", NO_ENSEMBLE_TO_TUNE),
        "Whether observers write to disk";
    Property "observer.syncEnabled" LenientBool, Is("true"),
        ignored_unless("true", NO_ENSEMBLE_TO_TUNE), "Overrides syncEnabled";
    Own "quorumListenOnAllIPs" StrictBool, Is("false"),
        ignored_unless("false", NO_ENSEMBLE_TO_TUNE), "Peers may come by every address";
    Own "sslQuorumReloadCertFiles" StrictBool, Is("false"),
        ignored_unless("false", NO_ENSEMBLE_TO_TUNE), "Reads changed certificates while running";
    Own "multiAddress.reachabilityCheckEnabled" StrictBool, Is("true"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Tries the addresses of a server";
    Own "multiAddress.reachabilityCheckTimeoutMs" int(0, Milliseconds), Is("1000"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Time for such a trial";
    Own "quorum.auth.learner.saslLoginContext" Text, Is("QuorumLearner"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Section of the JAAS file";
    Own "quorum.auth.server.saslLoginContext" Text, Is("QuorumServer"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Section of the JAAS file";
    Own "quorum.auth.kerberos.servicePrincipal" Text, Is("zkquorum/localhost"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Kerberos name of the servers";
    Own "quorum.cnxn.threads.size" any_int(Count), Is("20"), ignored(NO_ENSEMBLE_TO_TUNE),
        "Threads for connections between servers";
    Property "tcpKeepAlive" LenientBool, Is("false"), ignored_unless("false", NO_ENSEMBLE_TO_TUNE),
        "TCP keepalive between servers";
    Property "cnxTimeout" any_int(Milliseconds), Is("5000"), ignored(NO_ENSEMBLE_TO_TUNE),
        "Time to connect for an election";
    Property "quorumCnxnTimeoutMs" any_int(Milliseconds), Derived("tickTime x syncLimit"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Time to read from an election connection";
    Property "electionPortBindRetry" any_int(Count), Is("3"), ignored(NO_ENSEMBLE_TO_TUNE),
        "Trials to bind the election port";
    Property "fastleader.minNotificationInterval" any_int(Milliseconds), Is("200"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Shortest time between votes";
    Property "fastleader.maxNotificationInterval" any_int(Milliseconds), Is("60000"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Longest time between votes";
    Property "leaderServes" YesNo, Is("yes"), ignored_unless("yes", NO_ENSEMBLE_TO_TUNE),
        "Whether a leader has clients";
    Property "leader.maxConcurrentSnapSyncs" any_int(Count), Is("10"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Snapshots sent at a time";
    Property "leader.maxConcurrentDiffSyncs" any_int(Count), Is("100"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Differences sent at a time";
    Property "leader.maxTimeToWaitForEpoch" any_int(Milliseconds), Is("-1"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Time for the epoch to be agreed";
    Property "leader.ackLoggingFrequency" any_int(Count), Is("1000"), ignored(NO_ENSEMBLE_TO_TUNE),
        "Every how many acknowledgements are measured";
    Property "leader.closeSocketAsync" LenientBool, Is("false"),
        ignored_unless("false", NO_ENSEMBLE_TO_TUNE), "Closes links in the background";
    Property "learner.closeSocketAsync" LenientBool, Is("false"),
        ignored_unless("false", NO_ENSEMBLE_TO_TUNE), "Closes links in the background";
    Property "learner.asyncSending" LenientBool, Is("false"),
        ignored_unless("false", NO_ENSEMBLE_TO_TUNE), "Sends in the background";
    Property "leaderConnectDelayDuringRetryMs" any_int(Milliseconds), Is("100"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Time between trials to connect to a leader";
    Property "observer.reconnectDelayMs" any_int(Milliseconds), Is("0"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Wait of an observer before it comes back";
    Property "observer.election.DelayMs" any_int(Milliseconds), Is("200"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Wait of an observer before it looks for a leader";
    Property "observerMaster.sizeLimit" any_int(Bytes), Is("33554432"),
        ignored(NO_ENSEMBLE_TO_TUNE), "Transactions kept for observers";
    Property "follower.skipLearnerRequestToNextProcessor" LenientBool, Is("false"),
        ignored_unless("false", NO_ENSEMBLE_TO_TUNE), "Shortens a follower's pipeline";
    Property "forward_learner_requests_to_commit_processor_disabled" LenientBool, Is("false"),
        ignored_unless("false", NO_ENSEMBLE_TO_TUNE), "Shortens a leader's pipeline";
    Property "commitProcessor.numWorkerThreads" any_int(Count), Unset,
        ignored(super::NO_COMPONENT), "Threads that serve reads";
    Property "commitProcessor.maxReadBatchSize" any_int(Count), Is("-1"),
        ignored(super::NO_COMPONENT), "Reads between two writes";
    Property "commitProcessor.maxCommitBatchSize" any_int(Count), Is("1"),
        ignored(super::NO_COMPONENT), "Writes between two reads";
    Property "commitProcessor.shutdownTimeout" Kind::Int { min: 0, max: INT_MAX, unit: Milliseconds },
        Is("5000"), ignored(super::NO_COMPONENT), "Wait for those threads at the end";
    Bare "leader.nodelay" LenientBool, Is("true"), ignored(NO_ENSEMBLE_TO_TUNE),
        "TCP_NODELAY on a leader's links";
    Bare "follower.nodelay" LenientBool, Is("true"), ignored(NO_ENSEMBLE_TO_TUNE),
        "TCP_NODELAY on a follower's link";
};

const STANDALONE: &str = "a standalone server does not use it";
const LOCAL: &str = "a standalone server has no local sessions, as in ZooKeeper";
