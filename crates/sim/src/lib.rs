//! Whole members in a simulated world: clocks, links, disks, faults and clients from one seed.
//!
//! [`run`] plays one seed of a server alone or of an ensemble: a phase in which anything may fail,
//! then one in which nothing does and everyone must be served. What was asked, answered, logged and
//! recovered goes to `check`. [`engines`] does the like with bare engines. The same seed with the
//! same options gives the same run, byte for byte; [`Report::hash`] tells. [`Arguments`] is the
//! command line of all of that.

mod campaign;
mod chance;
mod chaos;
mod client;
pub mod clock;
mod codec;
mod command;
mod connections;
mod crowd;
mod damage;
pub mod engines;
mod ensemble;
pub mod epochs;
mod exploring;
mod hall;
mod hash;
pub mod ledger;
mod lifecycle;
mod lines;
mod minimize;
mod net;
mod observe;
mod options;
mod partition;
mod peers;
mod power;
mod reconfigure;
mod report;
pub mod scenario;
mod server;
mod settle;
mod silence;
mod site;
mod snapshots;
pub mod strikes;
mod told;
mod troubles;
mod workload;
mod world;

pub use campaign::{Campaign, Ran};
pub use command::{Arguments, What};
pub use ensemble::Ensemble;
pub use minimize::minimize;
pub use options::{Fault, Options};
pub use report::{Ending, Reached, Report};
pub use strikes::Strike;

use base::{Rng, Time};
use client::Client;
use keeper::LocalSessions;
use lines::Lines;
use std::time::Duration;
use world::{Event, World};

/// The options that a seed draws for a server alone.
#[must_use]
pub fn options(seed: u64) -> Options {
    Options::draw(&mut Rng::new(seed))
}

/// The options that a seed draws for an ensemble.
#[must_use]
pub fn members(seed: u64) -> Options {
    Options::draw_ensemble(&mut Rng::new(seed))
}

/// The options that a seed draws for an ensemble whose disks are lost and damaged as well.
#[must_use]
pub fn members_damaged(seed: u64) -> Options {
    Options::draw_damaged(&mut Rng::new(seed))
}

/// The options that a seed draws for an ensemble over Raft.
#[must_use]
pub fn members_over_raft(seed: u64) -> Options {
    Options::draw_over_raft(&mut Rng::new(seed))
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Report {
    run_showing(seed, options, Lines::Nowhere)
}

/// Runs one seed, and keeps so many of its last lines.
#[must_use]
pub fn run_keeping(seed: u64, options: Options, lines: usize) -> Report {
    run_showing(seed, options, Lines::last(lines))
}

/// Runs one seed, and writes a line for all that happens.
#[must_use]
pub fn run_tracing(seed: u64, options: Options, to: Box<dyn std::io::Write>) -> Report {
    run_showing(seed, options, Lines::Written(to))
}

fn run_showing(seed: u64, options: Options, lines: Lines) -> Report {
    let mut world = World::new(seed, options, lines);
    people(&mut world);
    let strikes: Vec<Time> = { world.options.ensemble.iter() }
        .flat_map(|ensemble| ensemble.strikes.iter().map(|strike| strike.at))
        .collect();
    if world.options.ensemble.is_none() {
        let first = world.options.fault_every;
        world.schedule(first, Event::Fault);
    }
    for (index, at) in strikes.into_iter().enumerate() {
        world.schedule(at.since(Time::ZERO), Event::Strike { index });
    }
    let duration = world.options.duration;
    world.schedule(duration, Event::Heal);
    world.run(seed)
}

/// Adds the clients that the options ask for.
fn people(world: &mut World) {
    for index in 0..world.options.clients {
        let (auth, data_max) = (world.options.auth, world.options.data_max);
        let mut rng = world.rng.fork();
        let workload = workload::Workload::draw(&mut rng, auth, data_max);
        let user = (auth && rng.percent(60)).then(|| {
            let credentials = format!("user{}:secret", rng.below(2));
            let id = auth::digest_id(auth::DigestAlg::default(), &credentials);
            (credentials, id)
        });
        let tick = world.options.tick.as_millis() as u64;
        let timeout_ms = tick * rng.between(1, 8);
        let mut client = Client::new(timeout_ms as i32, workload, user);
        if let Some(ensemble) = &world.options.ensemble {
            client.linearizable = rng.percent(ensemble.linearizable);
            client.takes_read_only = ensemble.read_only_after.is_some() && rng.percent(60);
            client.workload.multi_ephemeral = ensemble.local_sessions != LocalSessions::Fixed;
        }
        if index == 0 && world.options.bulk {
            client.script.extend((0..5).map(workload::bulk));
        }
        enter(world, client);
    }
    if world.options.reconfig() {
        let (timeout, data_max) = (world.options.tick * 8, world.options.data_max);
        let operator = reconfigure::operator(timeout, data_max, &mut world.rng);
        enter(world, operator);
    }
}

fn enter(world: &mut World, client: Client) {
    let index = world.clients.len();
    world.clients.push(client);
    let delay = Duration::from_millis(index as u64);
    world.schedule(delay, Event::Client { client: index });
}
