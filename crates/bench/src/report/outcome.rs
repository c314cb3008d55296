//! The result of one measurement; its serialized form is the JSON that README.md documents.

use crate::histogram::Histogram;
use crate::load::keys::Distribution;
use crate::load::plan::{Kind, Load};
use crate::load::tally::Tally;
use crate::prepare::error_name;
use crate::target::Target;
use serde::Serialize;
use std::collections::BTreeMap;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The workload's name: its kind, or its row in the suite.
    pub workload: String,
    /// The server's.
    pub target: String,
    /// What was run.
    pub load: Settings,
    /// How long counting lasted.
    pub seconds: f64,
    /// Successful operations.
    pub operations: u64,
    /// Of them, per second.
    pub operations_per_s: f64,
    /// Failed requests by error.
    pub errors: BTreeMap<String, u64>,
    /// Connections lost, and opened again.
    pub connections_lost: u64,
    /// Why one was lost, if any was.
    pub last_error: Option<String>,
    /// A row per kind of request.
    pub latency: Vec<Latency>,
    /// CPU time of the load generator.
    pub client_cpu_s: f64,
    /// Of it, per million operations.
    pub client_cpu_s_per_million: f64,
    /// CPU time of all given server processes, per million operations; `None` without pids.
    pub server_cpu_s_per_million: Option<f64>,
    /// What the servers cost, by process.
    pub servers: Vec<Cost>,
    /// How much the servers' resident memory grew by a session, in bytes; `None` without pids, or where the load
    /// is not just sessions.
    pub resident_bytes_per_session: Option<f64>,
    /// The course of it, by interval.
    pub series: Vec<Point>,
}

/// The settings that a result depends on.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// What the connections did.
    pub kind: Kind,
    /// How many there were.
    pub connections: usize,
    /// Requests under way on each, at most.
    pub window: usize,
    /// The open loop's; `None` for a closed one.
    pub rate: Option<f64>,
    /// Bytes of data per node.
    pub value_size: usize,
    /// Nodes to choose from.
    pub keys: u64,
    /// How they were chosen.
    pub distribution: Distribution,
    /// Reads among 100 requests of `mixed`.
    pub read_percent: u64,
    /// Nodes in one `multi`.
    pub multi_size: usize,
    /// Children of the listed node.
    pub children: u64,
    /// Threads of the load generator.
    pub threads: usize,
    /// Seconds before counting began.
    pub warm_up_s: f64,
}

/// Latencies of one kind of request, in us.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// What was requested.
    pub name: String,
    /// How many succeeded.
    pub count: u64,
    /// Their mean.
    pub mean_us: f64,
    /// Half were not slower.
    pub p50_us: f64,
    /// 90 % were not slower.
    pub p90_us: f64,
    /// 99 % were not slower.
    pub p99_us: f64,
    /// 99.9 % were not slower.
    pub p999_us: f64,
    /// 99.99 % were not slower.
    pub p9999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// What a server process cost.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// The process.
    pub pid: u32,
    /// CPU time while counting, user and system.
    pub cpu_s: f64,
    /// Resident memory at the end.
    pub resident_bytes: u64,
    /// The most that it ever was.
    pub resident_peak_bytes: u64,
}

/// One interval.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Its end, from the beginning of counting.
    pub at_s: f64,
    /// Successful operations per second.
    pub operations_per_s: f64,
    /// Their median latency.
    pub p50_us: f64,
    /// 99 % of them were not slower.
    pub p99_us: f64,
    /// The slowest.
    pub max_us: f64,
    /// Failed requests.
    pub errors: u64,
}

impl Outcome {
    /// Sums up. `costs` are the client's CPU time and the servers'; `course` the intervals and the last error.
    pub(crate) fn new(
        name: &str,
        load: &Load,
        target: &Target,
        total: &Tally,
        seconds: f64,
        costs: (f64, Vec<Cost>),
        course: (Vec<Point>, Option<String>),
    ) -> Outcome {
        let slots = load.kind.slots().iter().zip(&total.slots);
        let counted = &total.slots[..load.kind.counted()];
        let operations = counted.iter().map(Histogram::count).sum::<u64>();
        let per_million = |cpu: f64| cpu * 1e6 / operations.max(1) as f64;
        let (client_cpu_s, servers) = costs;
        let server_cpu_s: f64 = servers.iter().map(|cost| cost.cpu_s).sum();
        let (series, last_error) = course;
        let named = |(code, count): (&i32, &u64)| (error_name(*code), *count);
        Outcome {
            workload: name.to_owned(),
            target: target.label.clone(),
            load: Settings::of(load),
            seconds,
            operations,
            operations_per_s: operations as f64 / seconds,
            errors: total.errors.iter().map(named).collect(),
            connections_lost: total.lost,
            last_error,
            latency: slots.map(|(name, histogram)| Latency::of(name, histogram)).collect(),
            client_cpu_s,
            client_cpu_s_per_million: per_million(client_cpu_s),
            server_cpu_s_per_million: (!servers.is_empty()).then(|| per_million(server_cpu_s)),
            servers,
            resident_bytes_per_session: None,
            series,
        }
    }

    /// Failed requests of all errors.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Resident memory of all given server processes, in bytes; `None` without pids.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let sum = self.servers.iter().map(|cost| cost.resident_bytes).sum();
        (!self.servers.is_empty()).then_some(sum)
    }
}

impl Settings {
    fn of(load: &Load) -> Settings {
        Settings {
            kind: load.kind,
            connections: load.connections,
            window: load.window,
            rate: load.rate,
            value_size: load.value_size,
            keys: load.keys,
            distribution: load.distribution,
            read_percent: load.read_percent,
            multi_size: load.multi_size,
            children: load.children,
            threads: load.threads_in_use(),
            warm_up_s: load.warm_up,
        }
    }
}

impl Latency {
    fn of(name: &str, histogram: &Histogram) -> Latency {
        let percentile = |percent| histogram.percentile(percent) as f64 / 1e3;
        Latency {
            name: name.to_owned(),
            count: histogram.count(),
            mean_us: histogram.mean() / 1e3,
            p50_us: percentile(50.0),
            p90_us: percentile(90.0),
            p99_us: percentile(99.0),
            p999_us: percentile(99.9),
            p9999_us: percentile(99.99),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}
