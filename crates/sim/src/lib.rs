//! A whole member in a simulated world: clock, links, disk, faults and clients from one seed.
//!
//! [`run`] plays one seed: a phase in which anything may fail, then one in which nothing does and
//! everyone must be served. What was asked, answered, logged and recovered goes to `check`. The same
//! seed with the same options gives the same run, byte for byte; [`Report::hash`] tells.

mod chaos;
mod client;
mod codec;
mod crowd;
pub mod engines;
mod hall;
mod lifecycle;
mod minimize;
mod observe;
mod options;
mod power;
mod report;
mod server;
mod silence;
mod snapshots;
mod workload;
mod world;

#[cfg(test)]
mod tests;

pub use minimize::minimize;
pub use options::{Fault, Options};
pub use report::{Ending, Reached, Report};

use base::Rng;
use client::Client;
use std::time::Duration;
use world::{Event, World};

/// The options that a seed draws.
#[must_use]
pub fn options(seed: u64) -> Options {
    Options::draw(&mut Rng::new(seed))
}

/// Runs one seed. With `trace`, every event is printed.
#[must_use]
pub fn run(seed: u64, options: Options, trace: bool) -> Report {
    let mut world = World::new(seed, options, trace);
    people(&mut world);
    let first = world.options.fault_every;
    world.schedule(first, Event::Fault);
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
        if index == 0 && world.options.bulk {
            client.script.extend((0..5).map(workload::bulk));
        }
        world.clients.push(client);
        let delay = Duration::from_millis(u64::from(index));
        world.schedule(delay, Event::Client { client: index as usize });
    }
}
