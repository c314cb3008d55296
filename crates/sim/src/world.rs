//! The world: one member, its disk, its clients and the links between them, on one queue of events.
//!
//! Time is simulated and all chance comes from one generator, so that a seed is a run. The
//! member's side of the events is in `server`, the clients' in `crowd`, the faults in `chaos`.

use crate::client::Client;
use crate::options::Options;
use crate::power::PoweredDisk;
use crate::report::{Ending, Reached, Report};
use crate::server::Host;
use base::{ConnectionId, Rng, Time, WallTime};
use check::{Commit, History, ModelConfig, SeenTree, Violation};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use storage::simulated::MetadataMode;
use storage::{Compression, Dirs, LogOptions};

/// What happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A connection reaches the server.
    Accept {
        link: u32,
    },
    /// The next piece on its way arrives.
    ToServer {
        link: u32,
    },
    ToClient {
        link: u32,
    },
    /// One side learns that the link is gone.
    ServerLost {
        link: u32,
    },
    ClientLost {
        link: u32,
    },
    /// The member takes its inbox and looks at its timers.
    Cycle {
        start: u64,
    },
    /// The journal's sync is done.
    Commit {
        start: u64,
    },
    SnapshotStep {
        start: u64,
    },
    /// Idle connections are closed, sessions are looked at.
    Sweep {
        start: u64,
    },
    Start,
    Client {
        client: usize,
    },
    Fault,
    /// Everything is mended from now on.
    Heal,
    /// Are all clients served?
    Settle,
}

/// A link between a client and the server.
pub(crate) struct Link {
    pub(crate) client: usize,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) server_up: bool,
    pub(crate) client_up: bool,
    /// Pieces on their way, oldest first.
    pub(crate) to_server: VecDeque<Vec<u8>>,
    pub(crate) to_client: VecDeque<Vec<u8>>,
    pub(crate) to_server_at: Time,
    pub(crate) to_client_at: Time,
    /// Bytes on their way to the client.
    pub(crate) in_flight: usize,
    /// The client takes nothing before.
    pub(crate) held_until: Time,
}

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), Event>,
    sequence: u64,
    pub(crate) disk: PoweredDisk,
    pub(crate) dirs: Dirs,
    pub(crate) host: Option<Host>,
    /// Which start of the member this is.
    pub(crate) start: u64,
    pub(crate) keeper_config: Arc<keeper::Config>,
    pub(crate) wall_offset: i64,
    pub(crate) clients: Vec<Client>,
    pub(crate) links: BTreeMap<u32, Link>,
    pub(crate) next_link: u32,
    /// What was logged; beyond what is durable it may still be lost.
    pub(crate) commits: Vec<Commit>,
    pub(crate) trees: Vec<SeenTree>,
    /// The last place that was ever applied: nothing up to it may be lost.
    pub(crate) applied: i64,
    /// The highest zxid that any client was told.
    pub(crate) told: i64,
    /// Sessions whose end was logged at some time.
    pub(crate) ended: BTreeSet<i64>,
    pub(crate) paused_until: Time,
    pub(crate) slow_sync_until: Time,
    /// When the member last could not do its work in time.
    pub(crate) stalled_at: Time,
    pub(crate) flipped: bool,
    pub(crate) healed: bool,
    pub(crate) settle_by: Time,
    /// Crashes the member when that many boundaries are passed.
    pub(crate) boundary: Option<u64>,
    /// Boundaries passed so far.
    pub(crate) boundaries: u64,
    pub(crate) recovery_fuse: Option<u64>,
    pub(crate) reached: Reached,
    pub(crate) ending: Option<Ending>,
    hash: u64,
    trace: bool,
}

pub(crate) type Step = Result<(), Violation>;

impl World {
    /// A world before its first start.
    pub(crate) fn new(seed: u64, options: Options, trace: bool) -> World {
        let mode = if options.strict_names { MetadataMode::Strict } else { MetadataMode::Ordered };
        let mut world = World {
            rng: Rng::new(seed ^ 0x5eed),
            now: Time::from_millis(1000),
            queue: BTreeMap::new(),
            sequence: 0,
            disk: PoweredDisk::new(mode),
            dirs: Dirs::single("/data"),
            host: None,
            start: 0,
            keeper_config: Arc::new(keeper_config(&options)),
            wall_offset: 1_700_000_000_000,
            clients: Vec::new(),
            links: BTreeMap::new(),
            next_link: 1,
            commits: Vec::new(),
            trees: Vec::new(),
            applied: 0,
            told: 0,
            ended: BTreeSet::new(),
            paused_until: Time::ZERO,
            slow_sync_until: Time::ZERO,
            stalled_at: Time::ZERO,
            flipped: false,
            healed: false,
            settle_by: Time(u64::MAX),
            boundary: None,
            boundaries: 0,
            recovery_fuse: None,
            reached: Reached::default(),
            ending: None,
            hash: 0xcbf2_9ce4_8422_2325,
            trace,
            options,
        };
        world.schedule(Duration::ZERO, Event::Start);
        world
    }

    pub(crate) fn schedule(&mut self, after: Duration, event: Event) {
        self.schedule_at(self.now + after, event);
    }

    pub(crate) fn schedule_at(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), event);
    }

    /// Runs until something ends it, and judges what was seen.
    pub(crate) fn run(mut self, seed: u64) -> Report {
        let mut violation = None;
        while self.ending.is_none()
            && let Some(((at, _), event)) = self.queue.pop_first()
        {
            self.now = at;
            self.reached.events += 1;
            if let Err(found) = self.take(event) {
                violation = Some(found);
                break;
            }
            if self.reached.events > EVENTS_MAX {
                violation = Some(Violation::new("liveness", "the world does not come to rest"));
                break;
            }
        }
        let ending = self.ending.take().unwrap_or(Ending::Converged);
        let judged = self.judge();
        let violation = violation.or(judged.err());
        Report {
            seed,
            options: self.options,
            ending: violation.map_or(ending, Ending::Violated),
            at: self.now,
            hash: self.hash,
            reached: Reached { simulated: self.now.since(Time::ZERO), ..self.reached },
        }
    }

    fn take(&mut self, event: Event) -> Step {
        if self.now < self.paused_until && is_servers(&event) {
            self.schedule_at(self.paused_until, event);
            return Ok(());
        }
        match event {
            Event::Accept { link } => self.accept(link),
            Event::ToServer { link } => self.at_server(link),
            Event::ToClient { link } => self.at_client(link),
            Event::ServerLost { link } => self.server_lost(link),
            Event::ClientLost { link } => self.client_lost(link),
            Event::Cycle { start } if start == self.start => self.cycle(),
            Event::Commit { start } if start == self.start => self.commit(),
            Event::SnapshotStep { start } if start == self.start => self.snapshot_step(),
            Event::Sweep { start } if start == self.start => self.sweep(),
            Event::Cycle { .. }
            | Event::Commit { .. }
            | Event::SnapshotStep { .. }
            | Event::Sweep { .. } => Ok(()), // of a member that is gone
            Event::Start => self.start(),
            Event::Client { client } => self.client_wakes(client),
            Event::Fault => self.fault(),
            Event::Heal => self.heal(),
            Event::Settle => self.settle(),
        }
    }

    /// Replays the order on the model and holds against it what the clients saw.
    fn judge(&mut self) -> Step {
        for client in &mut self.clients {
            client.disconnected(check::Fate::Broken);
        }
        let connections = self.clients.iter_mut().flat_map(|client| client.history.drain(..));
        let history = History {
            connections: connections.filter(|c| c.session != 0).collect(),
            commits: std::mem::take(&mut self.commits),
            trees: std::mem::take(&mut self.trees),
        };
        let config = ModelConfig { ttl_nodes: self.options.ttl_nodes };
        self.reached.judged = check::judge(&history, config)?;
        Ok(())
    }

    pub(crate) fn wall(&self) -> WallTime {
        WallTime(self.wall_offset + self.now.as_millis() as i64)
    }

    /// Something went in or out: it counts for the hash, and is shown if that was asked for.
    pub(crate) fn note(&mut self, what: &str, a: u64, b: u64, bytes: &[u8]) {
        let numbers = [self.now.0, a, b, bytes.len() as u64];
        let all = numbers.iter().flat_map(|n| n.to_be_bytes()).chain(bytes.iter().copied());
        for byte in what.bytes().chain(all) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.trace {
            let (at, size) = (self.now.0 as f64 / 1e6, bytes.len());
            println!("{at:12.3} {what:<16} {a:#x} {b:#x} [{size}]");
        }
    }

    /// Shows a line that is derived from what was noted.
    pub(crate) fn show(&self, line: impl FnOnce() -> String) {
        if self.trace {
            println!("{:12.3} | {}", self.now.0 as f64 / 1e6, line());
        }
    }

    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let drawn = self.rng.between(low.as_nanos() as u64, high.as_nanos() as u64);
        Duration::from_nanos(drawn)
    }

    /// Around `mean`, with a long tail.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        let factor = *self.rng.pick(&[1, 3, 10, 10, 20]);
        self.between(Duration::ZERO, mean * factor / 5)
    }

    pub(crate) fn log_options(&self) -> LogOptions {
        LogOptions {
            preallocation: self.options.preallocation,
            size_limit: self.options.log_size,
            ..LogOptions::default()
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        match self.options.compression {
            0 => Compression::None,
            1 => Compression::Gzip,
            _ => Compression::Snappy,
        }
    }
}

fn is_servers(event: &Event) -> bool {
    match event {
        Event::Accept { .. }
        | Event::ToServer { .. }
        | Event::ServerLost { .. }
        | Event::Cycle { .. }
        | Event::Commit { .. }
        | Event::SnapshotStep { .. }
        | Event::Sweep { .. } => true,
        Event::ToClient { .. }
        | Event::ClientLost { .. }
        | Event::Start
        | Event::Client { .. }
        | Event::Fault
        | Event::Heal
        | Event::Settle => false,
    }
}

fn keeper_config(options: &Options) -> keeper::Config {
    let mut config = keeper::Config::standalone();
    config.tick = options.tick;
    config.session_timeout_min = options.tick * 2;
    config.session_timeout_max = options.tick * 20;
    config.owners.extended_types = options.ttl_nodes;
    config.reaper.interval = options.tick * 3;
    config
}

/// A run that takes more is one that does not end.
const EVENTS_MAX: u64 = 3_000_000;
