//! What four-letter words tell, gathered from the running service with short locks.

mod member;

use crate::counters::spread;
use crate::environment;
use crate::service::Service;
use crate::standing::Standing;
use crate::sync::lock;
use base::{ConnectionId, SessionId, WallTime, Zxid};
use keeper::Stats;
use metrics::{Gauges, Identity, QuotaGauges, Summary, View};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::Disk;
use wire::OpCode;
use words::{
    Buckets, Conf, Connection, ConnectionSession, DirectorySizes, Dump, Environment, Interest,
    Mode, Server, Source, WatchesByPath, WatchesBySession, WatchesSummary, Word,
};

/// The answer to a word that the whitelist allows.
pub(crate) fn answer(service: &Arc<Service>, word: Word, argument: &[u8]) -> String {
    let standing = service.standing();
    let mode = service.mode();
    words::answer(word, argument, &mut Facts { service, standing, mode })
}

struct Facts<'a> {
    service: &'a Service,
    standing: Option<Arc<Standing>>,
    /// What the server is; `None` while it serves nobody.
    mode: Option<Mode>,
}

impl Source for Facts<'_> {
    fn mode(&self) -> Option<Mode> {
        self.mode
    }

    fn server(&self) -> Server {
        let (zxid, node_count) = {
            let tree = self.service.hub.tree();
            (tree.last_zxid(), tree.node_count() as u64)
        };
        let counters = self.service.counters();
        Server {
            version: self.service.settings.version.clone(),
            traffic: counters.traffic,
            connections: self.service.limits.open(),
            outstanding: self.service.inbox.outstanding() as u64,
            zxid,
            mode: self.known_mode(),
            node_count,
            proposal_sizes: self.leads().then_some(counters.proposal_sizes),
        }
    }

    fn connections(&self) -> Vec<Connection> {
        self.service.hub.table.all().iter().map(|entry| self.connection(&entry.lock())).collect()
    }

    fn conf(&self) -> Conf {
        let config = &self.service.settings.config;
        let dirs = self.service.settings.dirs();
        let ms =
            |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Conf {
            client_port: i32::from(config.listen.port),
            secure_client_port: -1,
            data_dir: absolute(&dirs.snapshots()),
            data_log_dir: absolute(&dirs.logs()),
            sizes: self.directory_sizes(),
            tick_time_ms: ms(config.sessions.tick),
            max_client_connections: config.limits.connections_per_address.map_or(0, i64::from),
            min_session_timeout_ms: ms(config.sessions.timeout_min),
            max_session_timeout_ms: ms(config.sessions.timeout_max),
            client_port_listen_backlog: config.listen.backlog.map_or(-1, i64::from),
            server_id: config.ensemble.as_ref().map_or(0, |ensemble| ensemble.me.0),
            member: self.member_conf(),
        }
    }

    fn directory_sizes(&self) -> DirectorySizes {
        let dirs = self.service.settings.dirs();
        DirectorySizes { data: size_of(&dirs.snapshots()), log: size_of(&dirs.logs()) }
    }

    fn dump(&self) -> Dump {
        let ephemerals = {
            let tree = self.service.hub.tree();
            let sessions = tree.sessions_with_ephemerals();
            sessions.map(|session| (session, tree.ephemerals(session).collect())).collect()
        };
        Dump {
            local_sessions: None,
            sessions: self.sessions(),
            ephemerals,
            connections: self.connections_by_deadline(),
        }
    }

    fn environment(&self) -> Environment {
        environment::environment(&self.service.settings.version)
    }

    fn digests(&self) -> Vec<(Zxid, i64)> {
        self.service.hub.tree().digest_log().map(|(zxid, digest)| (zxid, digest as i64)).collect()
    }

    fn metrics(&self) -> String {
        let counters = self.service.counters();
        let auth_failed_count = i64::try_from(counters.auth_failures).unwrap_or(i64::MAX);
        let leader = self.leader_gauges(counters.proposal_sizes);
        let (quorum_size, synced_observers) = (self.quorum_size(), self.synced_observers());
        let own = self.gauges();
        let gauges = Gauges { auth_failed_count, leader, quorum_size, synced_observers, ..own };
        let version = &self.service.settings.version;
        let (peer_state, observer_master_id) = (self.peer_state(), self.observer_master_id());
        let identity = Identity {
            version,
            server_state: self.known_mode().name(),
            peer_state: peer_state.as_deref(),
            observer_master_id,
        };
        let mut metrics = counters.metrics;
        metrics.counters.digest_mismatches_count = self.service.hub.tree().digest_mismatches();
        metrics::mntr(&View {
            identity,
            gauges: &gauges,
            traffic: &counters.traffic,
            metrics: &metrics,
        })
    }

    fn watches_summary(&self) -> WatchesSummary {
        let (connections, paths, watches) = lock(&self.service.hub.watches).data_summary();
        WatchesSummary { connections, paths, watches }
    }

    fn watches_by_session(&self) -> WatchesBySession {
        let paths = |paths: Vec<Arc<str>>| paths.iter().map(|path| path.to_string()).collect();
        WatchesBySession(
            self.data_watches().into_iter().map(|(session, all)| (session, paths(all))).collect(),
        )
    }

    fn watches_by_path(&self) -> WatchesByPath {
        let mut by_path: BTreeMap<String, Vec<SessionId>> = BTreeMap::new();
        for (session, paths) in self.data_watches() {
            for path in paths {
                by_path.entry(path.to_string()).or_default().push(session);
            }
        }
        WatchesByPath(by_path.into_iter().collect())
    }

    fn trace_mask(&self) -> i64 {
        self.service.trace_mask.load(Ordering::Relaxed)
    }

    fn set_trace_mask(&mut self, mask: i64) {
        self.service.trace_mask.store(mask, Ordering::Relaxed);
    }

    fn reset_connections(&mut self) {
        self.service.hub.table.all().iter().for_each(|entry| entry.lock().connection.stats.reset());
    }

    fn reset_server(&mut self) {
        self.service.reset_counters();
    }
}

impl Facts<'_> {
    fn connection(&self, state: &crate::table::State) -> Connection {
        let connection = &state.connection;
        let stats = connection.stats;
        let interest = match (connection.wants_more(), state.is_sending) {
            (false, false) => Interest::None,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (true, true) => Interest::Both,
        };
        let session = Some(connection.session()).filter(|id| *id != SessionId::NONE);
        Connection {
            remote: connection.remote(),
            interest,
            queued: connection.outstanding() as u64,
            received: stats.received,
            sent: stats.sent,
            session: session.map(|id| self.session(id, connection, &stats)),
        }
    }

    fn session(
        &self,
        id: SessionId,
        connection: &keeper::Connection,
        stats: &Stats,
    ) -> ConnectionSession {
        let timeout_ms = i32::try_from(connection.timeout().as_millis()).unwrap_or(i32::MAX);
        let latency_ms = u64::try_from(stats.last_latency.as_millis()).unwrap_or(u64::MAX);
        ConnectionSession {
            id,
            last_operation: stats.last_op.map_or("NA", short_name),
            established: self.service.clock.wall_at(stats.established),
            timeout_ms,
            last_cxid: i64::from(stats.last_xid),
            last_zxid: stats.last_zxid,
            last_response_ms: stats.last_response.as_millis(),
            last_latency_ms: latency_ms,
            latency: summary_of(stats),
        }
    }

    fn connections_by_deadline(&self) -> Buckets<(std::net::SocketAddr, SessionId)> {
        let sessionless = self.service.settings.config.limits.sessionless_timeout;
        let tick = self.service.settings.config.sessions.tick.as_nanos().max(1);
        let mut buckets: BTreeMap<WallTime, Vec<_>> = BTreeMap::new();
        for entry in self.service.hub.table.all() {
            let state = entry.lock();
            let connection = &state.connection;
            // Rounded up to the tick, as sessions are.
            let deadline = u128::from(connection.idle_deadline(sessionless).0);
            let rounded = (deadline / tick + 1) * tick;
            let at = base::Time(u64::try_from(rounded).unwrap_or(u64::MAX));
            let one = (connection.remote(), connection.session());
            drop(state);
            buckets.entry(self.service.clock.wall_at(at)).or_default().push(one);
        }
        Buckets(buckets.into_iter().collect())
    }

    /// The watched paths of each session, by session.
    fn data_watches(&self) -> BTreeMap<SessionId, Vec<Arc<str>>> {
        let by_connection = lock(&self.service.hub.watches).data_by_connection();
        let session_of = |id: ConnectionId| {
            let entry = self.service.hub.table.entries().get(id).map(Arc::clone)?;
            let session = entry.lock().connection.session();
            Some(session)
        };
        by_connection
            .into_iter()
            .filter_map(|(connection, paths)| Some((session_of(connection)?, paths)))
            .collect()
    }

    fn gauges(&self) -> Gauges {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let watch_count = count(lock(&self.service.hub.watches).count());
        let (open, max) = environment::file_descriptors();
        let tree = self.service.hub.tree();
        Gauges {
            num_alive_connections: count(self.service.limits.open()),
            outstanding_requests: count(self.service.inbox.outstanding()),
            connection_drop_probability: self.service.limits.drop_probability(),
            global_sessions: count(tree.sessions().count()),
            znode_count: count(tree.node_count()),
            watch_count,
            ephemerals_count: count(tree.ephemerals_count()),
            approximate_data_size: i64::try_from(tree.approximate_data_size()).unwrap_or(i64::MAX),
            uptime: self.uptime_ms(),
            open_file_descriptor_count: open,
            max_file_descriptor_count: max,
            quotas: tree.quotas().map(|quota| quota_gauges(&quota)).collect(),
            ..Gauges::default()
        }
    }
}

fn quota_gauges(quota: &tree::Quota) -> QuotaGauges {
    // The strict limit counts, if both are set.
    let limit = |hard: i64, soft: i64| if hard >= 0 { hard } else { soft };
    QuotaGauges {
        namespace: quota.path.trim_start_matches('/').split('/').next().unwrap_or("").to_owned(),
        count_limit: limit(quota.limits.count_hard, quota.limits.count),
        bytes_limit: limit(quota.limits.bytes_hard, quota.limits.bytes),
        count_usage: quota.usage.count,
        bytes_usage: quota.usage.bytes,
    }
}

/// The spread of all requests of a connection in milliseconds, from what was kept of them.
fn summary_of(stats: &Stats) -> Summary {
    let mut summary = Summary::default();
    let mut all = stats.reads;
    all.merge(&stats.writes);
    spread(&all).into_iter().for_each(|(ms, times)| summary.record_many(ms, times));
    summary
}

/// How `cons` calls an operation.
fn short_name(op: OpCode) -> &'static str {
    match op {
        OpCode::CreateSession => "SESS",
        OpCode::CloseSession => "CLOS",
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetData => "SETD",
        OpCode::GetAcl => "GETA",
        OpCode::SetAcl => "SETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::GetEphemerals => "GETE",
        OpCode::Sync => "SYNC",
        OpCode::Ping => "PING",
        OpCode::Check => "CHEC",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Reconfig => "RECO",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::Error | OpCode::Auth | OpCode::Sasl => "NA",
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The bytes of a directory's files; 0 if it cannot be read.
fn size_of(dir: &Path) -> u64 {
    let entries = crate::StdDisk.list(dir).unwrap_or_default();
    entries.iter().map(|entry| entry.len).sum()
}
