//! `sim explore`: every schedule of a small ensemble, up to bounds.

use crate::engines::{Bounds, Explored, ZabSubject, explore};
use clap::Args;

/// What an exploration may hold; without any of it those of the gate are run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Explorations")]
pub(crate) struct Given {
    /// Voting members
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=7))]
    voters: Option<u64>,
    /// Entries that are proposed
    #[arg(long, value_name = "N")]
    proposals: Option<u32>,
    /// Crashes, each at any step
    #[arg(long, value_name = "N")]
    crashes: Option<u32>,
    /// Of the restarts after them: those before all else is at rest
    #[arg(long, value_name = "N")]
    restarts: Option<u32>,
    /// Connections that break
    #[arg(long, value_name = "N")]
    breaks: Option<u32>,
    /// Timers that fire before all else is at rest
    #[arg(long, value_name = "N")]
    timeouts: Option<u32>,
    /// States at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// From the first start on, not from an ensemble that serves
    #[arg(long)]
    cold: bool,
}

impl Given {
    fn bounds(&self) -> Vec<Bounds> {
        let Given { voters, proposals, crashes, restarts, breaks, timeouts, limit, cold } = self;
        let numbers = [*proposals, *crashes, *restarts, *breaks, *timeouts];
        if !cold && voters.or(*limit).is_none() && numbers.iter().all(Option::is_none) {
            return Bounds::GATE.to_vec();
        }
        let mut bounds = Bounds { cold: *cold, ..Bounds::default() };
        bounds.members = voters.unwrap_or(bounds.members);
        bounds.proposals = proposals.unwrap_or(bounds.proposals);
        bounds.crashes = crashes.unwrap_or(bounds.crashes);
        bounds.restarts = restarts.unwrap_or(bounds.restarts);
        bounds.breaks = breaks.unwrap_or(bounds.breaks);
        bounds.timeouts = timeouts.unwrap_or(bounds.timeouts);
        bounds.limit = limit.unwrap_or(bounds.limit);
        vec![bounds]
    }

    /// Explores; whether no invariant was violated, and all was seen before the limit came.
    pub(crate) fn run(&self) -> bool {
        run(&self.bounds())
    }
}

fn run(all: &[Bounds]) -> bool {
    let explore = |bounds: &Bounds| explore(bounds, ZabSubject::small);
    let explored: Vec<Explored> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            all.iter().map(|bounds| scope.spawn(move || explore(bounds))).collect();
        let ends = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ends.map(|explored| explored.expect("it does not panic")).collect()
    });
    let mut is_well = true;
    for (bounds, explored) in all.iter().zip(&explored) {
        println!("{bounds}: {explored}");
        is_well &= explored.finished;
        if let Some((violation, steps)) = &explored.violation {
            steps.iter().for_each(|step| println!("{step}"));
            println!("VIOLATED: {violation}");
        }
    }
    is_well
}
