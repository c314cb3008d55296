//! The one table of counters and summaries: fields, merging, and the list for documentation.
//!
//! A metric in an `absent` block belongs to machinery that only the Java server has. It has no
//! field here, costs nothing, and is shown as zero.

use crate::gauges::{Gauges, OTHER_GAUGES};
use crate::{Distribution, Sets, Summary};

/// What a metric's lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One number that only grows.
    Counter,
    /// avg, min, max, cnt and sum.
    Summary,
    /// The same, and p50, p95, p99 and p999.
    Distribution,
    /// One number, looked up when asked for.
    Gauge,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name, without `zk_` and without `avg_` and the like.
    pub name: &'static str,
    /// What its lines are.
    pub kind: Kind,
    /// What it belongs to.
    pub group: &'static str,
    /// What it counts, with the unit.
    pub help: &'static str,
    /// Whether it is always zero here.
    pub is_absent: bool,
}

/// Takes the values of another thread's field.
trait Merge {
    fn merge(&mut self, other: &Self);
}

impl Merge for u64 {
    fn merge(&mut self, other: &Self) {
        *self += other;
    }
}

impl Merge for Summary {
    fn merge(&mut self, other: &Self) {
        self.merge(other);
    }
}

impl Merge for Distribution {
    fn merge(&mut self, other: &Self) {
        self.merge(other);
    }
}

macro_rules! metrics {
    (
        $(#[$doc:meta])*
        $block:ident of $value:ty as $kind:ident
        $( $group:ident { $( $name:ident $help:literal, )* } )*
        ; absent $( $why:ident { $( $absent:ident, )* } )*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $block { $($( #[doc = $help] pub $name: $value, )*)* }

        impl $block {
            /// The rows of the table.
            pub const DECLARED: &'static [Declared] = &[
                $($( Declared {
                    name: stringify!($name),
                    kind: Kind::$kind,
                    group: stringify!($group),
                    help: $help,
                    is_absent: false,
                }, )*)*
                $($( Declared {
                    name: stringify!($absent),
                    kind: Kind::$kind,
                    group: stringify!($why),
                    help: "Always zero here.",
                    is_absent: true,
                }, )*)*
            ];

            /// Takes all values of `other`.
            pub fn merge(&mut self, other: &$block) {
                $($( Merge::merge(&mut self.$name, &other.$name); )*)*
            }

            /// Every metric by name, the absent ones with nothing in them.
            pub(crate) fn each(&self, visit: &mut dyn FnMut(&'static str, &$value)) {
                $($( visit(stringify!($name), &self.$name); )*)*
                let nothing = <$value>::default();
                $($( visit(stringify!($absent), &nothing); )*)*
            }
        }
    };
}

metrics! {
    /// What only grows, until it is reset.
    Counters of u64 as Counter
    connections {
        connection_request_count "Sessions that clients asked to open or to resume.",
        connection_rejected "Connections refused for want of room.",
        connection_drop_count "Connections that the limits on rate or outstanding requests closed.",
        connection_revalidate_count "Sessions resumed on another server than before.",
        revalidate_count "Sessions that the leader was asked to confirm.",
        sessionless_connections_expired "Connections closed for never opening a session.",
        stale_sessions_expired "Sessions that ended because their client was silent.",
        unsuccessful_handshake "TLS handshakes that failed.",
        tls_handshake_exceeded "Connections refused for too many TLS handshakes.",
        insecure_admin_count "Plain connections to a port that should be given TLS.",
        cnxn_closed_without_zk_server_running "Connections closed by a server that serves nobody.",
    }
    bytes {
        bytes_received_count "Bytes of requests.",
        response_bytes "Bytes of replies.",
        watch_bytes "Bytes of watch events.",
    }
    requests {
        stale_requests "Requests whose connection was gone, or that waited too long.",
        stale_requests_dropped "Stale requests that were not carried out.",
        stale_replies "Replies whose connection was gone.",
        throttled_ops "Operations refused because the server had too much to do.",
        request_throttle_wait_count "Times that a request waited for room.",
        large_requests_rejected "Large requests refused for want of room.",
        prep_processor_request_queued "Requests that reached preparation.",
        outstanding_changes_queued "Changes of nodes that were prepared.",
        outstanding_changes_removed "Prepared changes that were applied.",
        sync_processor_request_queued "Requests that reached the journal.",
        request_commit_queued "Commits that reached the state.",
    }
    quorum {
        proposal_count "Proposals made as leader.",
        commit_count "Commits made as leader.",
        diff_count "Learners brought up to date by transactions.",
        snap_count "Learners brought up to date by a snapshot.",
        looking_count "Times that this server began to look for a leader.",
        quit_leading_due_to_disloyal_voter "Leaderships given up for a disloyal voter.",
        learner_proposal_received_count "Proposals received as learner.",
        learner_commit_received_count "Commits received as learner.",
    }
    disk {
        snapshot_error_count "Snapshots that failed.",
        snapshot_rate_limited_count "Snapshots by command that came too often.",
        restore_error_count "Restores that failed.",
        restore_rate_limited_count "Restores that came too often.",
    }
    misc {
        digest_mismatches_count "Transactions that gave an unexpected digest.",
        unrecoverable_error_count "Errors that stop the server.",
    }
    ; absent
    commit_processor {
        requests_not_forwarded_to_commit_processor,
        skip_learner_request_to_next_processor_count,
    }
    response_cache {
        response_packet_cache_hits,
        response_packet_cache_misses,
        response_packet_get_children_cache_hits,
        response_packet_get_children_cache_misses,
    }
    dead_watchers_cleaner {
        add_dead_watcher_stall_time,
        dead_watchers_queued,
        dead_watchers_cleared,
    }
    ensemble_auth {
        ensemble_auth_success,
        ensemble_auth_fail,
        ensemble_auth_skip,
    }
}

metrics! {
    /// Averages and extremes. Times are in milliseconds.
    Summaries of Summary as Summary
    disk {
        fsynctime "Time of a sync of the transaction log.",
        snapshottime "Time of writing a snapshot.",
        restore_time "Time of restoring a snapshot by command.",
        dbinittime "Time of loading everything at the start.",
        startup_snap_load_time "Time of loading the snapshot at the start.",
        startup_txns_load_time "Time of replaying the logs at the start.",
        startup_txns_loaded "Transactions replayed at the start.",
        sync_process_time "Time of appending a request to the journal.",
        sync_processor_batch_size "Requests in one sync.",
        sync_processor_queue_size "Requests waiting for the journal, when one is taken.",
    }
    pipeline {
        prep_processor_queue_size "Requests waiting for preparation, when one is taken.",
        prep_process_time "Time of preparing a request.",
        proposal_process_time "Time of proposing a request.",
        commit_process_time "Time of handling a commit.",
    }
    quorum {
        follower_sync_time "Time of bringing this follower up to date.",
        observer_sync_time "Time of bringing this observer up to date.",
        election_time "Time of an election.",
        unavailable_time "Time from losing a quorum to serving again.",
        leader_unavailable_time "Time from losing the leader to finding one.",
        inflight_snap_count "Snapshots being sent to learners, when one starts or ends.",
        inflight_diff_count "Differences being sent to learners, when one starts or ends.",
    }
    watches {
        node_created_watch_count "Watches triggered by a creation.",
        node_deleted_watch_count "Watches triggered by a deletion.",
        node_changed_watch_count "Watches triggered by new data.",
        node_children_watch_count "Watches triggered by a change of children.",
    }
    connections {
        connection_token_deficit "Tokens missing when a new session asks for one.",
        socket_closing_time "Time of closing a learner's connection.",
    }
    ; absent
    commit_processor {
        requests_in_session_queue,
        pending_session_queue_size,
        reads_after_write_in_session_queue,
        reads_issued_from_session_queue,
        session_queues_drained,
        time_waiting_empty_pool_in_commit_processor_read_ms,
        write_batch_time_in_commit_processor,
        concurrent_request_processing_in_commit_processor,
        read_commit_proc_req_queued,
        write_commit_proc_req_queued,
        commit_commit_proc_req_queued,
        read_commit_proc_issued,
        write_commit_proc_issued,
        learner_request_processor_queue_size,
    }
    netty {
        netty_queued_buffer_capacity,
    }
}

metrics! {
    /// Times in milliseconds, with percentiles.
    Distributions of Distribution as Distribution
    latency {
        readlatency "From a read's arrival to its reply.",
        updatelatency "From a write's arrival to its reply.",
        propagation_latency "From a transaction's time stamp to its application here.",
        read_final_proc_time_ms "From a read's arrival at its turn to its execution.",
        write_final_proc_time_ms "From a write's commit to its application.",
        request_throttle_queue_time_ms "From a request's arrival to its admission.",
        prep_processor_queue_time_ms "Waiting for preparation.",
        close_session_prep_time "Preparing the end of a session.",
    }
    disk {
        sync_processor_queue_time_ms "Waiting for the journal.",
        sync_processor_queue_flush_time_ms "From an append to the journal to its sync.",
        sync_processor_queue_and_flush_time_ms "From asking the journal to its sync.",
    }
    quorum {
        proposal_latency "From a transaction's time stamp to a follower's receiving it.",
        proposal_ack_creation_latency "From a transaction's time stamp to the acknowledgement.",
        commit_propagation_latency "From a transaction's time stamp to its commit here.",
        quorum_ack_latency "From a proposal to its quorum.",
    }
    ; absent
    commit_processor {
        read_commitproc_time_ms,
        write_commitproc_time_ms,
        local_write_committed_time_ms,
        server_write_committed_time_ms,
    }
    observer_master {
        om_proposal_process_time_ms,
        om_commit_process_time_ms,
    }
    dead_watchers_cleaner {
        dead_watchers_cleaner_latency,
    }
    jvm {
        jvm_pause_time_ms,
    }
}

/// Everything that is counted: a block per thread, merged into one for those who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// What only grows.
    pub counters: Counters,
    /// Averages and extremes.
    pub summaries: Summaries,
    /// The same with percentiles.
    pub distributions: Distributions,
    /// Metrics with keys.
    pub sets: Sets,
}

impl Metrics {
    /// Takes all values of `other`.
    pub fn merge(&mut self, other: &Metrics) {
        self.counters.merge(&other.counters);
        self.summaries.merge(&other.summaries);
        self.distributions.merge(&other.distributions);
        self.sets.merge(&other.sets);
    }
}

/// Every metric but the sets, for documentation.
pub fn declared() -> impl Iterator<Item = &'static Declared> {
    Counters::DECLARED
        .iter()
        .chain(Summaries::DECLARED)
        .chain(Distributions::DECLARED)
        .chain(Gauges::DECLARED)
        .chain(OTHER_GAUGES)
}
