//! Rows of the keys for the admin server, metrics, the audit log and diagnostics.

use super::Fallback::{Is, Unset};
use super::Kind::{Address, LenientBool, Text};
use super::Unit::{Count, Milliseconds, Seconds};
use super::{
    Key, NO_ADMIN, NO_COMPONENT, NO_METRICS, PORT, any_int, ignored, ignored_unless, keys,
};

pub(super) const ROWS: &[Key] = keys! {
    Property "admin.enableServer" LenientBool, Is("true"), ignored_unless("false", NO_ADMIN),
        "Whether the admin HTTP server runs";
    Property "admin.serverAddress" Address, Is("0.0.0.0"), ignored(NO_ADMIN), "Its address";
    Property "admin.serverPort" PORT, Is("8080"), ignored(NO_ADMIN), "Its port";
    Property "admin.commandURL" Text, Is("/commands"), ignored(NO_ADMIN), "Path of its commands";
    Property "admin.idleTimeout" any_int(Milliseconds), Is("30000"), ignored(NO_ADMIN),
        "An idle connection is closed after this time";
    Property "admin.httpVersion" any_int(Count), Is("11"), ignored(NO_ADMIN), "Version of HTTP";
    Property "admin.portUnification" LenientBool, Is("false"), ignored_unless("false", NO_ADMIN),
        "HTTP and HTTPS on one port";
    Property "admin.forceHttps" LenientBool, Is("false"), ignored_unless("false", NO_ADMIN),
        "HTTPS only";
    Property "admin.needClientAuth" LenientBool, Is("false"), ignored_unless("false", NO_ADMIN),
        "Clients need a certificate";
    Property "admin.rateLimiterIntervalInMS" any_int(Milliseconds), Is("300000"),
        ignored(NO_ADMIN), "Time between two backups or restores";
    Property "admin.snapshot.enabled" LenientBool, Is("true"), ignored_unless("false", NO_ADMIN),
        "Whether backups can be taken";
    Property "admin.restore.enabled" LenientBool, Is("true"), ignored_unless("false", NO_ADMIN),
        "Whether backups can be restored";
    Own "metricsProvider.className" Text, Is("org.apache.zookeeper.metrics.impl.DefaultMetricsProvider"),
        ignored_unless("org.apache.zookeeper.metrics.impl.DefaultMetricsProvider", NO_METRICS),
        "Class that publishes the metrics";
    Own "metricsProvider.httpHost" Address, Is("0.0.0.0"), ignored(NO_METRICS),
        "Address for Prometheus";
    Own "metricsProvider.httpPort" PORT, Unset, ignored(NO_METRICS), "Port for Prometheus";
    Own "metricsProvider.httpsPort" PORT, Unset, ignored(NO_METRICS), "TLS port for Prometheus";
    Own "metricsProvider.exportJvmInfo" LenientBool, Is("true"), ignored(NO_METRICS),
        "Publishes facts of the JVM";
    Own "metricsProvider.prometheusMetricsSummaryRotateSeconds" any_int(Seconds), Is("60"),
        ignored(NO_METRICS), "Window of the summaries";
    Own "metricsProvider.workerShutdownTimeoutMs" any_int(Milliseconds), Is("1000"),
        ignored(NO_METRICS), "Wait for its threads at the end";
    Own "metricsProvider.numWorkerThreads" any_int(Count), Is("10"), ignored(NO_METRICS),
        "Threads of the provider; deprecated";
    Own "metricsProvider.maxQueueSize" any_int(Count), Is("1000000"), ignored(NO_METRICS),
        "Queue of the provider; deprecated";
    Own "metricsProvider.ssl.keyStore.password" super::Kind::Secret, Unset, ignored(NO_METRICS),
        "Password of the key store";
    Own "metricsProvider.ssl.trustStore.password" super::Kind::Secret, Unset, ignored(NO_METRICS),
        "Password of the trust store";
    Own "metricsProvider.*" Text, Unset, ignored(NO_METRICS), "What the provider defines";
    Property "audit.enable" LenientBool, Is("false"),
        ignored_unless("false", "the audit log is not built yet"), "Writes an audit log";
    Property "audit.impl.class" Text, Is("org.apache.zookeeper.audit.Slf4jAuditLogger"),
        ignored("the audit log is not built yet"), "Class that writes the audit log";
    Property "messageTracker.Enabled" LenientBool, Is("false"),
        ignored_unless("false", NO_COMPONENT), "Keeps the last messages between servers";
    Property "messageTracker.BufferSize" any_int(Count), Is("10"), ignored(NO_COMPONENT),
        "How many messages it keeps";
    Property "pathStats.enabled" LenientBool, Is("false"), ignored_unless("false", NO_COMPONENT),
        "Counts requests by path";
    Property "pathStats.slotCapacity" any_int(Count), Is("60"), ignored(NO_COMPONENT),
        "Slots of the counts";
    Property "pathStats.slotDuration" any_int(Seconds), Is("15"), ignored(NO_COMPONENT),
        "Time of a slot";
    Property "pathStats.maxDepth" any_int(Count), Is("6"), ignored(NO_COMPONENT),
        "Depth of the counted paths";
    Property "pathStats.sampleRate" Text, Is("0.1"), ignored(NO_COMPONENT),
        "Part of the requests that is counted";
    Property "pathStats.initialDelay" any_int(Seconds), Is("5"), ignored(NO_COMPONENT),
        "Time before the first report";
    Property "pathStats.delay" any_int(Seconds), Is("5"), ignored(NO_COMPONENT),
        "Time between reports";
    Property "pathStats.topPathMax" any_int(Count), Is("20"), ignored(NO_COMPONENT),
        "Paths in a report";
};
