//! All metrics of a server as names and values, and as the text of `mntr`.

use std::fmt;

use crate::{Distribution, Gauges, Metrics, Summary, Traffic, java_double};

/// What a server says about itself before its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The full version, as `srvr` shows it.
    pub version: &'a str,
    /// `standalone`, `leader`, `follower`, `observer` or `read-only`.
    pub server_state: &'a str,
    /// What a member of an ensemble is at, as `following - broadcast`.
    pub peer_state: Option<&'a str>,
    /// The server id that an observer follows.
    pub observer_master_id: Option<i64>,
}

/// Everything that a metrics page shows.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Who it is.
    pub identity: Identity<'a>,
    /// What it is looked up to be.
    pub gauges: &'a Gauges,
    /// Packets and latencies of all connections together.
    pub traffic: &'a Traffic,
    /// What all threads counted together.
    pub metrics: &'a Metrics,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Words.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A number that is always shown with decimals.
    Decimal(f64),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Value::Decimal(value)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Integer(number) => number.fmt(f),
            Value::Decimal(number) => f.write_str(&java_double(*number)),
        }
    }
}

impl View<'_> {
    /// Visits every metric, by its name without `zk_`: who it is, gauges, counters, summaries,
    /// and at last the sets.
    pub fn each(&self, visit: &mut dyn FnMut(&str, Value<'_>)) {
        self.identity.each(visit);
        self.gauges.each(visit);
        each_of_traffic(self.traffic, visit);
        let metrics = self.metrics;
        metrics.counters.each(&mut |name, value| visit(name, (*value).into()));
        for (key, value) in metrics.sets.quota_exceeded_error_per_namespace.iter() {
            visit(&format!("{key}_quota_exceeded_error_per_namespace"), (*value).into());
        }
        metrics.summaries.each(&mut |name, summary| each_of_summary(name, summary, visit));
        metrics.distributions.each(&mut |name, value| each_of_distribution(name, value, visit));
        each_of_sets(metrics, visit);
    }
}

impl Identity<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, Value<'_>)) {
        visit("version", Value::Text(self.version));
        visit("server_state", Value::Text(self.server_state));
        if let Some(state) = self.peer_state {
            visit("peer_state", Value::Text(state));
        }
        if let Some(id) = self.observer_master_id {
            visit("observer_master_id", id.into());
        }
    }
}

/// The lines of `mntr`.
#[must_use]
pub fn mntr(view: &View<'_>) -> String {
    let mut text = String::with_capacity(LINES_SIZE);
    view.each(&mut |name, value| text.push_str(&format!("zk_{name}\t{value}\n")));
    text
}

/// About 500 lines of 40 bytes.
const LINES_SIZE: usize = 20 << 10;

fn each_of_traffic(traffic: &Traffic, visit: &mut dyn FnMut(&str, Value<'_>)) {
    visit("avg_latency", traffic.latency.average().into());
    visit("min_latency", traffic.latency.min().into());
    visit("max_latency", traffic.latency.max().into());
    visit("packets_received", traffic.packets_received.into());
    visit("packets_sent", traffic.packets_sent.into());
    visit("last_client_response_size", traffic.response_sizes.last.into());
    visit("min_client_response_size", traffic.response_sizes.min.into());
    visit("max_client_response_size", traffic.response_sizes.max.into());
}

fn each_of_summary(name: &str, summary: &Summary, visit: &mut dyn FnMut(&str, Value<'_>)) {
    visit(&format!("avg_{name}"), summary.average().into());
    visit(&format!("min_{name}"), summary.min().into());
    visit(&format!("max_{name}"), summary.max().into());
    visit(&format!("cnt_{name}"), summary.count().into());
    visit(&format!("sum_{name}"), summary.sum().into());
}

fn each_of_distribution(name: &str, value: &Distribution, visit: &mut dyn FnMut(&str, Value<'_>)) {
    each_of_summary(name, value.summary(), visit);
    for (prefix, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
        visit(&format!("{prefix}_{name}"), value.quantile(quantile).into());
    }
}

fn each_of_sets(metrics: &Metrics, visit: &mut dyn FnMut(&str, Value<'_>)) {
    let sets = &metrics.sets;
    for (name, set) in [
        ("read_per_namespace", &sets.read_per_namespace),
        ("write_per_namespace", &sets.write_per_namespace),
        ("learner_handler_qp_size", &sets.learner_handler_qp_size),
    ] {
        for (key, summary) in set.iter() {
            each_of_summary(&format!("{key}_{name}"), summary, visit);
        }
    }
    for (name, set) in [
        ("learner_handler_qp_time_ms", &sets.learner_handler_qp_time_ms),
        ("ack_latency", &sets.ack_latency),
    ] {
        for (key, distribution) in set.iter() {
            each_of_distribution(&format!("{key}_{name}"), distribution, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Identity, View, mntr};
    use crate::{Gauges, LeaderGauges, Metrics, QuotaGauges, Traffic, declared};

    fn identity() -> Identity<'static> {
        Identity { version: "3.9.5-x", server_state: "standalone", ..Identity::default() }
    }

    fn lines(gauges: &Gauges, traffic: &Traffic, metrics: &Metrics) -> Vec<String> {
        let text = mntr(&View { identity: identity(), gauges, traffic, metrics });
        text.lines().map(str::to_owned).collect()
    }

    fn idle() -> Vec<String> {
        lines(&Gauges::default(), &Traffic::default(), &Metrics::default())
    }

    #[test]
    fn the_keys_are_those_of_an_idle_java_server() {
        let keys: BTreeSet<String> =
            idle().iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        let javas: BTreeSet<String> =
            include_str!("../testdata/mntr-keys-3.9.5.txt").lines().map(str::to_owned).collect();
        assert_eq!(javas.difference(&keys).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(keys.difference(&javas).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(idle().len(), keys.len());
    }

    #[test]
    fn every_declared_name_is_shown() {
        let gauges = Gauges {
            quorum_size: Some(3),
            leader: Some(LeaderGauges::default()),
            ..Gauges::default()
        };
        let shown = lines(&gauges, &Traffic::default(), &Metrics::default()).join("\n");
        for row in declared() {
            assert!(shown.contains(&format!("_{}\t", row.name)), "{row:?}");
            assert!(!row.help.is_empty());
        }
    }

    #[test]
    fn values_are_formatted_as_javas() {
        let mut traffic = Traffic::default();
        for latency in [0, 6, 1] {
            traffic.latency.record(latency);
        }
        traffic.response_sizes.record(98);
        let mut metrics = Metrics::default();
        metrics.counters.watch_bytes += 32;
        metrics.summaries.fsynctime.record(3);
        for latency in [1, 1, 2] {
            metrics.distributions.readlatency.record(latency);
        }
        metrics.sets.read_per_namespace.of("a").unwrap().record(76);
        metrics.sets.ack_latency.of("2").unwrap().record(5);
        *metrics.sets.quota_exceeded_error_per_namespace.of("q").unwrap() += 1;
        let shown = lines(&Gauges::default(), &traffic, &metrics);
        assert_eq!(shown[..2], ["zk_version\t3.9.5-x", "zk_server_state\tstandalone"]);
        for line in [
            "zk_connection_drop_probability\t0.0",
            "zk_avg_latency\t2.3333",
            "zk_last_client_response_size\t98",
            "zk_watch_bytes\t32",
            "zk_avg_fsynctime\t3.0",
            "zk_avg_readlatency\t1.3333",
            "zk_cnt_readlatency\t3",
            "zk_p50_readlatency\t1",
            "zk_p999_readlatency\t2",
            "zk_sum_a_read_per_namespace\t76",
            "zk_p95_2_ack_latency\t5",
            "zk_q_quota_exceeded_error_per_namespace\t1",
        ] {
            assert!(shown.iter().any(|shown| shown == line), "{line}");
        }
        assert!(idle().contains(&"zk_last_client_response_size\t-1".to_owned()));
    }

    #[test]
    fn members_and_leaders_have_more() {
        let identity = Identity {
            peer_state: Some("leading - broadcast"),
            observer_master_id: Some(3),
            ..identity()
        };
        let gauges = Gauges {
            quorum_size: Some(3),
            leader: Some(LeaderGauges { learners: 2, ..LeaderGauges::default() }),
            quotas: vec![QuotaGauges {
                namespace: "q".to_owned(),
                count_limit: 7,
                ..QuotaGauges::default()
            }],
            ..Gauges::default()
        };
        let (traffic, metrics) = (Traffic::default(), Metrics::default());
        let text = mntr(&View { identity, gauges: &gauges, traffic: &traffic, metrics: &metrics });
        for line in [
            "zk_peer_state\tleading - broadcast\n",
            "zk_observer_master_id\t3\n",
            "zk_quorum_size\t3\n",
            "zk_learners\t2\n",
            "zk_max_proposal_size\t-1\n",
            "zk_q_quota_count_limit_per_namespace\t7\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }

    #[test]
    fn blocks_merge() {
        let mut one = Metrics::default();
        one.counters.watch_bytes = 1;
        one.summaries.fsynctime.record(1);
        one.distributions.readlatency.record(1);
        let mut both = one.clone();
        both.merge(&one);
        assert_eq!(both.counters.watch_bytes, 2);
        assert_eq!(both.summaries.fsynctime.count(), 2);
        assert_eq!(both.distributions.readlatency.summary().count(), 2);
    }
}
