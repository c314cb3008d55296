//! Rows of the keys for client connections, sessions and overload.

use super::Disposition::Honoured;
use super::Fallback::{Derived, Is, Unset};
use super::Kind::{Address, LenientBool, Ratio, Text};
use super::Unit::{Bytes, Count, Milliseconds, Seconds};
use super::{
    Key, NO_COMPONENT, NO_TLS, PORT, any_int, ignored, ignored_unless, int, keys, refused_unless,
};

pub(super) const ROWS: &[Key] = keys! {
    Own "clientPort" PORT, Unset, Honoured, "Port for clients; 0 is any free port";
    Own "clientPortAddress" Address, Is("0.0.0.0"), Honoured,
        "Address on which clients are served; needs clientPort";
    Own "clientPortListenBacklog" any_int(Count), Is("-1"), Honoured,
        "Connections that wait to be accepted; less than 1 is the system's own limit";
    Own "secureClientPort" PORT, Unset, ignored(NO_TLS), "Port for clients over TLS";
    Own "secureClientPortAddress" Address, Unset, ignored(NO_TLS), "Address of secureClientPort";
    Own "tickTime" int(1, Milliseconds), Is("3000"), Honoured, "Base unit of time";
    Own "minSessionTimeout" int(-1, Milliseconds), Derived("2 x tickTime"), Honoured,
        "Shortest session timeout that is granted; -1 is the default";
    Own "maxSessionTimeout" int(-1, Milliseconds), Derived("20 x tickTime"), Honoured,
        "Longest session timeout that is granted; -1 is the default";
    Own "maxClientCnxns" any_int(Count), Is("60"), Honoured,
        "Connections of one client address; 0 and less is no limit";
    Property "maxCnxns" any_int(Count), Is("0"), Honoured, "Connections of all clients; 0 is no limit";
    Property "nio.sessionlessCnxnTimeout" int(1, Milliseconds), Is("10000"), Honoured,
        "A connection without a session is closed after this time";
    Property "clientTcpKeepAlive" LenientBool, Is("false"), Honoured,
        "Whether TCP keepalive is on for clients";
    Property "serverCnxnFactory" Text, Is("org.apache.zookeeper.server.NIOServerCnxnFactory"),
        ignored_unless("org.apache.zookeeper.server.NIOServerCnxnFactory", OWN_NETWORK),
        "Class of the network layer";
    Property "client.portUnification" LenientBool, Is("false"),
        refused_unless("false", "TLS is not built yet: the port would serve plain text only"),
        "Plain text and TLS on one port";
    Property "client.certReload" LenientBool, Is("false"), ignored_unless("false", NO_TLS),
        "Reads changed certificates while running";
    Property "nio.numSelectorThreads" int(0, Count), Unset, ignored(NO_COMPONENT), "Selector threads";
    Property "nio.numWorkerThreads" int(0, Count), Unset, ignored(NO_COMPONENT), "Worker threads";
    Property "nio.directBufferBytes" int(0, Bytes), Is("65536"), ignored(NO_COMPONENT),
        "Direct buffer of a thread";
    Property "nio.shutdownTimeout" int(0, Milliseconds), Is("5000"), ignored(NO_COMPONENT),
        "Wait for the network threads at the end";
    Property "netty.advancedFlowControl.enabled" LenientBool, Is("false"),
        ignored_unless("false", NO_COMPONENT), "Flow control of the Netty layer";
    Property "netty.server.outstandingHandshake.limit" any_int(Count), Is("-1"),
        ignored_unless("-1", NO_TLS), "TLS handshakes at a time";
    Property "netty.server.earlyDropSecureConnectionHandshakes" LenientBool, Is("false"),
        ignored_unless("false", NO_TLS), "Drops TLS handshakes while not serving";
    Property "maxResponseCacheSize" any_int(Count), Is("400"), ignored(NO_COMPONENT),
        "Cached replies of getData";
    Property "maxGetChildrenResponseCacheSize" any_int(Count), Is("400"), ignored(NO_COMPONENT),
        "Cached replies of getChildren";
    Property "intBufferStartingSizeBytes" int(32, Bytes), Is("1024"), ignored(NO_COMPONENT),
        "First size of a reply's buffer";
    Property "watchManagerName" Text, Is("org.apache.zookeeper.server.watch.WatchManager"),
        ignored(NO_COMPONENT), "Class that keeps the watches";
    Property "watcherCleanThreshold" any_int(Count), Is("1000"), ignored(NO_COMPONENT),
        "Dead watchers per cleaning";
    Property "watcherCleanIntervalInSeconds" any_int(Seconds), Is("600"), ignored(NO_COMPONENT),
        "Time between cleanings";
    Property "watcherCleanThreadsNum" any_int(Count), Is("2"), ignored(NO_COMPONENT),
        "Threads that clean";
    Property "maxInProcessingDeadWatchers" any_int(Count), Is("-1"), ignored(NO_COMPONENT),
        "Dead watchers in hand at a time";
    Property "bitHashCacheSize" any_int(Count), Is("10"), ignored(NO_COMPONENT),
        "Cache of the optimized watch manager";
};

pub(super) const THROTTLING: &[Key] = keys! {
    Property "globalOutstandingLimit" int(1, Count), Is("1000"), Honoured,
        "Requests in process from which connections are no longer read";
    Property "request_throttle_max_requests" any_int(Count), Is("0"), Honoured,
        "Requests in process from which new ones wait; 0 is off";
    Property "request_throttle_stall_time" int(1, Milliseconds), Is("100"), Honoured,
        "Time between two looks while requests wait";
    Property "request_throttle_drop_stale" LenientBool, Is("true"), Honoured,
        "Whether stale requests are dropped";
    Property "request_stale_connection_check" LenientBool, Is("true"), Honoured,
        "Whether a request is stale once its connection is gone";
    Property "request_stale_latency_check" LenientBool, Is("false"), ignored_unless("false", UNREAD),
        "Whether a request is stale once it is older than the session timeout";
    Property "request_throttler.shutdownTimeout" any_int(Milliseconds), Is("10000"),
        ignored(NO_COMPONENT), "Wait for the throttler at the end";
    Property "throttled_op_wait_time" any_int(Milliseconds), Is("0"), Honoured,
        "A request that waited longer is answered as throttled; 0 is off";
    Property "largeRequestMaxBytes" int(1, Bytes), Is("104857600"), Honoured,
        "Size of all large requests in process";
    Property "largeRequestThreshold" any_int(Bytes), Is("-1"), Honoured,
        "Size from which a request is large; 0 and less is off";
    Property "connection_throttle_tokens" any_int(Count), Is("0"), Honoured,
        "Size of the bucket that pays for connections; 0 is off";
    Property "connection_throttle_fill_time" int(1, Milliseconds), Is("1"), Honoured,
        "Time between two fillings of the bucket";
    Property "connection_throttle_fill_count" int(0, Count), Is("1"), Honoured,
        "Tokens of one filling";
    Property "connection_throttle_freeze_time" any_int(Milliseconds), Is("-1"), Honoured,
        "Time between two changes of the drop probability; less than 0 is no random drop";
    Property "connection_throttle_drop_increase" Ratio, Is("0.02"), Honoured,
        "Step by which the drop probability grows";
    Property "connection_throttle_drop_decrease" Ratio, Is("0.002"), Honoured,
        "Step by which the drop probability falls";
    Property "connection_throttle_decrease_ratio" Ratio, Is("0"), Honoured,
        "Part of the bucket that must be full before the drop probability falls";
    Property "connection_throttle_weight_enabled" LenientBool, Is("false"), Honoured,
        "Whether sessions cost different numbers of tokens";
    Property "connection_throttle_global_session_weight" int(1, Count), Is("3"), Honoured,
        "Tokens of a new global session";
    Property "connection_throttle_renew_session_weight" int(1, Count), Is("2"), Honoured,
        "Tokens of a renewed session";
    Property "connection_throttle_local_session_weight" int(1, Count), Is("1"), Honoured,
        "Tokens of a local session";
};

const UNREAD: &str = "requests wait unread in their sockets, where their age is not known";
const OWN_NETWORK: &str = "Quorate has its own network layer";
