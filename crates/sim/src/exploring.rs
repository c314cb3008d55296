//! `sim explore`: every schedule of a small ensemble, up to bounds.

use crate::engines::{Bounds, Explored, RaftSubject, Setup, Subject, ZabSubject, explore};
use clap::Args;
use std::hash::Hash;

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
    /// Timers of any member that fire first, as if the others stood still
    #[arg(long, value_name = "N")]
    stalls: Option<u32>,
    /// States at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// From the first start on, not from an ensemble that serves
    #[arg(long)]
    cold: bool,
}

impl Given {
    fn bounds(&self, gate: &[Bounds]) -> Vec<Bounds> {
        let Given { voters, proposals, crashes, restarts, breaks, timeouts, stalls, limit, cold } =
            self;
        let numbers = [*proposals, *crashes, *restarts, *breaks, *timeouts, *stalls];
        if !cold && voters.or(*limit).is_none() && numbers.iter().all(Option::is_none) {
            return gate.to_vec();
        }
        let mut bounds = Bounds { cold: *cold, ..Bounds::default() };
        bounds.members = voters.unwrap_or(bounds.members);
        bounds.proposals = proposals.unwrap_or(bounds.proposals);
        bounds.crashes = crashes.unwrap_or(bounds.crashes);
        bounds.restarts = restarts.unwrap_or(bounds.restarts);
        bounds.breaks = breaks.unwrap_or(bounds.breaks);
        bounds.timeouts = timeouts.unwrap_or(bounds.timeouts);
        bounds.stalls = stalls.unwrap_or(bounds.stalls);
        bounds.limit = limit.unwrap_or(bounds.limit);
        vec![bounds]
    }

    /// Explores ZAB; whether no invariant was violated, and all was seen before the limit came.
    pub(crate) fn zab(&self) -> bool {
        run(&self.bounds(&Bounds::GATE), ZabSubject::small)
    }

    /// The same of Raft.
    pub(crate) fn raft(&self) -> bool {
        run(&self.bounds(&Bounds::GATE_RAFT), RaftSubject::small)
    }
}

fn run<S: Subject>(all: &[Bounds], build: fn(&Setup) -> S) -> bool
where
    S::Engine: Clone + Hash,
{
    let explore = |bounds: &Bounds| explore(bounds, build);
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
