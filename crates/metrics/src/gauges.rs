//! Gauges: values that are looked up at the moment that somebody asks.

use crate::Value;
use crate::table::{Declared, Kind};
use crate::traffic::Sizes;

macro_rules! gauges {
    (
        $(#[$doc:meta])*
        pub struct $block:ident {
            $( $group:ident { $( $name:ident: $value:ty = $help:literal, )* } )*
        }
        and { $( $(#[$field_doc:meta])* $field:ident: $field_type:ty, )* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $block {
            $($( #[doc = $help] pub $name: $value, )*)*
            $( $(#[$field_doc])* pub $field: $field_type, )*
        }

        impl $block {
            /// The rows of the table.
            pub const DECLARED: &'static [Declared] = &[$($( Declared {
                name: stringify!($name),
                kind: Kind::Gauge,
                group: stringify!($group),
                help: $help,
                is_absent: false,
            }, )*)*];

            fn each_plain(&self, visit: &mut dyn FnMut(&str, Value<'_>)) {
                $($( visit(stringify!($name), Value::from(self.$name)); )*)*
            }
        }
    };
}

gauges! {
    /// The values of one server. Latencies, packets and reply sizes are in [`crate::Traffic`].
    pub struct Gauges {
        connections {
            num_alive_connections: i64 = "Connections that are open.",
            outstanding_requests: i64 = "Requests that came and were not answered yet.",
            connection_drop_probability: f64 = "How likely a new connection is refused, 0 to 1.",
            outstanding_tls_handshake: i64 = "TLS handshakes under way.",
            auth_failed_count: i64 = "Connections whose authentication failed.",
            non_mtls_remote_conn_count: i64 = "Remote connections without a client certificate.",
            non_mtls_local_conn_count: i64 = "Local connections without a client certificate.",
            global_sessions: i64 = "Sessions that the whole ensemble knows.",
            local_sessions: i64 = "Sessions that only this server knows.",
        }
        state {
            znode_count: i64 = "Nodes of the tree.",
            watch_count: i64 = "Watches of data and of children.",
            ephemerals_count: i64 = "Ephemeral nodes.",
            approximate_data_size: i64 = "Bytes of all paths and data.",
        }
        process {
            uptime: i64 = "Milliseconds since this server began to serve.",
            open_file_descriptor_count: i64 = "Open file descriptors.",
            max_file_descriptor_count: i64 = "How many there may be.",
        }
    }
    and {
        /// How many voters the ensemble has; `None` on a standalone server.
        quorum_size: Option<i64>,
        /// Observers that follow this follower; `None` if it accepts none.
        synced_observers: Option<i64>,
        /// A leader's values; `None` elsewhere.
        leader: Option<LeaderGauges>,
        /// The values of each namespace that has a quota.
        quotas: Vec<QuotaGauges>,
    }
}

/// The values that only a leader has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderGauges {
    /// Connected followers and observers.
    pub learners: i64,
    /// Voters that are up to date.
    pub synced_followers: i64,
    /// Followers without a vote that are up to date.
    pub synced_non_voting_followers: i64,
    /// Observers that are up to date.
    pub synced_observers: i64,
    /// Syncs that wait for a commit.
    pub pending_syncs: i64,
    /// Milliseconds of this leadership.
    pub leader_uptime: i64,
    /// Bytes of proposals.
    pub proposal_sizes: Sizes,
}

/// The quotas of one namespace, the first component of a path, and how much of them is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaGauges {
    /// Its name.
    pub namespace: String,
    /// Nodes allowed.
    pub count_limit: i64,
    /// Bytes allowed.
    pub bytes_limit: i64,
    /// Nodes that exist.
    pub count_usage: i64,
    /// Bytes that they hold.
    pub bytes_usage: i64,
}

impl Gauges {
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&str, Value<'_>)) {
        self.each_plain(visit);
        if let Some(size) = self.quorum_size {
            visit("quorum_size", size.into());
        }
        if let Some(observers) = self.synced_observers {
            visit("synced_observers", observers.into());
        }
        if let Some(leader) = &self.leader {
            leader.each(visit);
        }
        for quota in &self.quotas {
            quota.each(visit);
        }
    }
}

impl LeaderGauges {
    fn each(&self, visit: &mut dyn FnMut(&str, Value<'_>)) {
        for (name, value) in [
            ("learners", self.learners),
            ("synced_followers", self.synced_followers),
            ("synced_non_voting_followers", self.synced_non_voting_followers),
            ("synced_observers", self.synced_observers),
            ("pending_syncs", self.pending_syncs),
            ("leader_uptime", self.leader_uptime),
            ("last_proposal_size", self.proposal_sizes.last),
            ("max_proposal_size", self.proposal_sizes.max),
            ("min_proposal_size", self.proposal_sizes.min),
        ] {
            visit(name, value.into());
        }
    }
}

impl QuotaGauges {
    fn each(&self, visit: &mut dyn FnMut(&str, Value<'_>)) {
        for (name, value) in [
            ("quota_count_limit_per_namespace", self.count_limit),
            ("quota_bytes_limit_per_namespace", self.bytes_limit),
            ("quota_count_usage_per_namespace", self.count_usage),
            ("quota_bytes_usage_per_namespace", self.bytes_usage),
        ] {
            visit(&format!("{}_{name}", self.namespace), value.into());
        }
    }
}

/// The gauges that [`crate::Traffic`], a member or a leader shows.
pub(crate) const OTHER_GAUGES: &[Declared] = &[
    gauge("avg_latency", "traffic", "Average milliseconds from a request to its reply."),
    gauge("min_latency", "traffic", "The least of them."),
    gauge("max_latency", "traffic", "The greatest of them."),
    gauge("packets_received", "traffic", "Requests that came."),
    gauge("packets_sent", "traffic", "Replies and watch events that went out."),
    gauge("last_client_response_size", "traffic", "Bytes of the last reply."),
    gauge("min_client_response_size", "traffic", "Bytes of the least reply."),
    gauge("max_client_response_size", "traffic", "Bytes of the greatest reply."),
    gauge("quorum_size", "member", "How many voters the ensemble has."),
    gauge("synced_observers", "member", "Observers that are up to date."),
    gauge("learners", "leader", "Connected followers and observers."),
    gauge("synced_followers", "leader", "Voters that are up to date."),
    gauge("synced_non_voting_followers", "leader", "Followers without a vote, up to date."),
    gauge("pending_syncs", "leader", "Syncs that wait for a commit."),
    gauge("leader_uptime", "leader", "Milliseconds of this leadership."),
    gauge("last_proposal_size", "leader", "Bytes of the last proposal."),
    gauge("min_proposal_size", "leader", "Bytes of the least proposal."),
    gauge("max_proposal_size", "leader", "Bytes of the greatest proposal."),
];

const fn gauge(name: &'static str, group: &'static str, help: &'static str) -> Declared {
    Declared { name, kind: Kind::Gauge, group, help, is_absent: false }
}
