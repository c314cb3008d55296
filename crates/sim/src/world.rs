//! The world: members on their machines, clients and the links between all of them, on one queue
//! of events.
//!
//! A server alone is one member without a net; an ensemble has several. Time is simulated and all
//! chance comes from one generator, so that a seed is a run. The member's side of the events is in
//! `server`, the net's in `peers`, the clients' in `crowd`, the faults in `chaos`.

use crate::chance;
use crate::client::Client;
use crate::ensemble::Ensemble;
use crate::hash::{hash_bytes, mix};
use crate::ledger::Ledger;
use crate::lines::Lines;
use crate::net::{self, Net};
use crate::options::Options;
use crate::report::{Ending, Reached, Report};
use crate::site::Site;
use crate::told::Told;
use base::{ConnectionId, NodeId, Rng, Time, WallTime};
use broadcast::LinkId;
use check::{Connection, Frame, History, ModelConfig, SeenTree, Violation};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use storage::simulated::MetadataMode;
use storage::{Compression, LogOptions};

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
    /// A member does something, unless this start of it is over.
    Member {
        member: usize,
        start: u64,
        act: Act,
    },
    Start {
        member: usize,
    },
    /// Something between members.
    Net(net::Event),
    Client {
        client: usize,
    },
    Fault,
    /// A planned fault, by its number.
    Strike {
        index: usize,
    },
    /// The end of one.
    Mend(crate::troubles::Mend),
    /// Everything is mended from now on.
    Heal,
    /// Are all clients served?
    Settle,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It takes its inbox and looks at its timers.
    Cycle,
    /// The journal's sync is done.
    Commit,
    SnapshotStep,
    /// Idle connections are closed, sessions are looked at.
    Sweep,
    /// The disk is read for it.
    Read,
    /// The next piece of a state that is on its way over the link.
    Piece {
        link: LinkId,
    },
}

/// A link between a client and a server.
pub(crate) struct Link {
    pub(crate) client: usize,
    /// Whose server.
    pub(crate) member: usize,
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
    pub(crate) sites: Vec<Site>,
    pub(crate) net: Net,
    pub(crate) clients: Vec<Client>,
    pub(crate) links: BTreeMap<u32, Link>,
    pub(crate) next_link: u32,
    /// What was logged, and what of it is decided.
    pub(crate) ledger: Ledger,
    pub(crate) trees: Vec<SeenTree>,
    pub(crate) told: Told,
    /// Sessions whose end was logged at some time.
    pub(crate) ended: BTreeSet<i64>,
    /// When each session was heard last, at whatever member.
    pub(crate) heard: BTreeMap<i64, Time>,
    /// When a change of the ensemble was asked for last.
    pub(crate) changed_at: Time,
    /// When a leader began last.
    pub(crate) led_since: Time,
    /// Who is served at the end.
    pub(crate) core: Vec<usize>,
    pub(crate) healed: bool,
    pub(crate) healed_at: Time,
    pub(crate) settle_by: Time,
    pub(crate) reached: Reached,
    pub(crate) ending: Option<Ending>,
    hash: u64,
    pub(crate) lines: Lines,
}

pub(crate) type Step = Result<(), Violation>;

impl World {
    /// A world before its first start.
    pub(crate) fn new(seed: u64, options: Options, lines: Lines) -> World {
        let mode = if options.strict_names { MetadataMode::Strict } else { MetadataMode::Ordered };
        let nodes = options.ensemble.as_ref().map_or(vec![NodeId(1)], Ensemble::everyone);
        let site = |node: &NodeId| Site::new(*node, mode, options.keeper(*node));
        let sites: Vec<Site> = nodes.iter().map(site).collect();
        let ledger = if options.over_raft() { Ledger::by_terms() } else { Ledger::default() };
        let mut world = World {
            rng: Rng::new(seed ^ 0x5eed),
            now: Time::from_millis(1000),
            queue: BTreeMap::new(),
            sequence: 0,
            net: Net::new(sites.len(), options.manners()),
            core: (0..sites.len()).collect(),
            sites,
            clients: Vec::new(),
            links: BTreeMap::new(),
            next_link: 1,
            ledger,
            trees: Vec::new(),
            told: Told::new(options.ensemble.is_none()),
            ended: BTreeSet::new(),
            heard: BTreeMap::new(),
            changed_at: Time::ZERO,
            led_since: Time::ZERO,
            healed: false,
            healed_at: Time::ZERO,
            settle_by: Time(u64::MAX),
            reached: Reached::default(),
            ending: None,
            hash: 0xcbf2_9ce4_8422_2325,
            lines,
            options,
        };
        for member in 0..world.sites.len() {
            world.schedule(Duration::ZERO, Event::Start { member });
        }
        world
    }

    pub(crate) fn schedule(&mut self, after: Duration, event: Event) {
        self.schedule_at(self.now + after, event);
    }

    pub(crate) fn schedule_at(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), event);
    }

    /// The member's own act, unless it is started anew before.
    pub(crate) fn schedule_act(&mut self, after: Duration, member: usize, act: Act) {
        let start = self.sites[member].start;
        self.schedule(after, Event::Member { member, start, act });
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
        self.reached.epochs = self.ledger.epochs() as u64;
        self.reached.dials = self.net.dials;
        Report {
            seed,
            options: self.options,
            ending: violation.map_or(ending, Ending::Violated),
            at: self.now,
            hash: self.hash,
            reached: Reached { simulated: self.now.since(Time::ZERO), runs: 1, ..self.reached },
            lines: self.lines.into_kept(),
        }
    }

    fn take(&mut self, event: Event) -> Step {
        if let Some(member) = self.target(&event)
            && self.now < self.sites[member].paused_until
        {
            let until = self.sites[member].paused_until;
            self.schedule_at(until, event);
            return Ok(());
        }
        match event {
            Event::Accept { link } => self.accept(link),
            Event::ToServer { link } => self.at_server(link),
            Event::ToClient { link } => self.at_client(link),
            Event::ServerLost { link } => self.server_lost(link),
            Event::ClientLost { link } => self.client_lost(link),
            Event::Member { member, start, act } if start == self.sites[member].start => {
                self.act(member, act)
            }
            Event::Member { .. } => Ok(()), // of a member that is gone
            Event::Start { member } => self.start(member),
            Event::Net(event) => self.net_moves(event),
            Event::Client { client } => self.client_wakes(client),
            Event::Fault => self.fault(),
            Event::Strike { index } => self.strike_planned(index),
            Event::Mend(mend) => self.mend(mend),
            Event::Heal => self.heal(),
            Event::Settle => self.settle(),
        }
    }

    fn act(&mut self, member: usize, act: Act) -> Step {
        match act {
            Act::Cycle => self.cycle(member),
            Act::Commit => self.commit(member),
            Act::SnapshotStep => self.snapshot_step(member),
            Act::Sweep => self.sweep(member),
            Act::Read => self.read_disk(member),
            Act::Piece { link } => self.send_piece(member, link),
        }
    }

    /// Whose process must run for this to happen.
    fn target(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Accept { link } | Event::ToServer { link } | Event::ServerLost { link } => {
                Some(self.links.get(link)?.member)
            }
            Event::Member { member, .. } => Some(*member),
            Event::Net(event) => self.net.target(event),
            Event::ToClient { .. }
            | Event::ClientLost { .. }
            | Event::Start { .. }
            | Event::Client { .. }
            | Event::Fault
            | Event::Strike { .. }
            | Event::Mend(_)
            | Event::Heal
            | Event::Settle => None,
        }
    }

    /// Replays the order on the model and holds against it what the clients saw.
    fn judge(&mut self) -> Step {
        for client in &mut self.clients {
            client.disconnected(check::Fate::Broken);
        }
        let connections = self.clients.iter_mut().flat_map(|client| client.history.drain(..));
        let mut trees = std::mem::take(&mut self.trees);
        trees.retain(|tree| self.ledger.is_known(tree.zxid));
        trees.sort_by_key(|tree| tree.zxid);
        // Who serves reads alone shows what its disk has, and of that the end may come to nothing.
        let ledger = &self.ledger;
        let is_void = |c: &Connection| {
            c.read_only && !c.frames.iter().all(|frame| ledger.is_known(place_of(frame)))
        };
        let connections: Vec<Connection> = connections.filter(|c| c.session != 0).collect();
        let (void, connections): (Vec<_>, Vec<_>) = connections.into_iter().partition(is_void);
        self.reached.void_reads += void.len() as u64;
        let history = History {
            connections,
            commits: self.ledger.commits(),
            trees,
            configuration: self.options.configuration(),
        };
        let local_sessions = self.options.local_sessions() != keeper::LocalSessions::Off;
        let config = ModelConfig { ttl_nodes: self.options.ttl_nodes, local_sessions };
        self.reached.judged = check::judge(&history, config)?;
        Ok(())
    }

    pub(crate) fn wall(&self, member: usize) -> WallTime {
        WallTime(self.sites[member].wall_offset + self.local(member).as_millis() as i64)
    }

    /// What the member's clock shows.
    pub(crate) fn local(&self, member: usize) -> Time {
        self.sites[member].clock.local(self.now)
    }

    /// Something went in or out: it counts for the hash, and is shown if that was asked for.
    pub(crate) fn note(&mut self, what: &str, a: u64, b: u64, bytes: &[u8]) {
        let words = [self.now.0, hash_bytes(what.as_bytes()), a, b, hash_bytes(bytes)];
        self.hash = words.iter().fold(self.hash, |hash, word| mix(hash, *word));
        let size = bytes.len();
        self.lines.keep(self.now, || format!("{what:<16} {a:#x} {b:#x} [{size}]"));
    }

    /// Shows a line that is derived from what was noted.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        self.lines.keep(self.now, || format!("| {}", line()));
    }

    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        chance::between(&mut self.rng, low, high)
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

/// The place that a frame is of; 0 of an event that is made up.
fn place_of(frame: &Frame) -> i64 {
    match frame {
        Frame::Reply { zxid, .. } | Frame::Event { zxid, .. } => (*zxid).max(0),
    }
}

/// A run that takes more is one that does not end.
const EVENTS_MAX: u64 = 3_000_000;
