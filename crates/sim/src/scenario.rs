//! One client that plays a script to a server alone, and one blow at a place that a test names.

use crate::client::Client;
use crate::lines::Lines;
use crate::workload::Workload;
use crate::world::{Event, World};
use crate::{Options, Report};
use base::Rng;
use check::Op;
use std::time::Duration;
use storage::simulated::Operation;

/// What hits the server, by what it has done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The process ends when it has passed so many boundaries between commands.
    Crash(u64),
    /// The power goes off in the changing operation of the disk after so many.
    PowerLoss(u64),
    /// The same, in an operation of this kind, after so many of it.
    PowerLossIn(Operation, u64),
    /// An operation of this kind fails, after so many of it.
    Error(Operation, u64),
    /// The disk has room for so many bytes.
    Full(u64),
}

/// Plays the script, then goes on with a workload of writes and watches until the world heals.
#[must_use]
pub fn play(options: Options, script: Vec<Op>, blow: Blow) -> Report {
    let mut world = World::new(SEED, options, Lines::Nowhere);
    let mut workload = Workload::draw(&mut Rng::new(3), false, 600);
    (workload.writes, workload.watches) = (70, true);
    let mut client = Client::new(800, workload, None);
    client.script.extend(script);
    world.clients.push(client);
    world.schedule(Duration::ZERO, Event::Client { client: 0 });
    let duration = world.options.duration;
    world.schedule(duration, Event::Heal);
    let site = &mut world.sites[0];
    match blow {
        Blow::Crash(position) => site.boundary = Some(position),
        Blow::PowerLoss(position) => site.disk.set_fuse(Some(position)),
        Blow::PowerLossIn(operation, position) => site.disk.set_fuse_at(operation, position),
        Blow::Error(operation, position) => site.disk.plan_error(operation, position),
        Blow::Full(size) => site.disk.inner().set_capacity(Some(size)),
    }
    world.run(SEED)
}

/// Of what the world draws: any would do.
const SEED: u64 = 7;
