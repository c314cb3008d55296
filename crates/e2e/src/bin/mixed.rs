//! A long run of an ensemble under load, of ours, the reference's or some of each.

use anyhow::Result;
use clap::Parser;
use e2e::ensemble::Role;
use e2e::faults::Campaign;
use e2e::servers::Kind;
use std::time::{Duration, Instant};

/// Kills, pauses and starts members of an ensemble under load, and holds what they show against
/// what the clients know.
#[derive(Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// How many members vote.
    #[arg(long, default_value_t = 3)]
    size: usize,
    /// How many observe.
    #[arg(long, default_value_t = 0)]
    observers: usize,
    /// What members start as: quorate, raft, java38, java39; more than one changes them at each start.
    #[arg(long, value_delimiter = ',', default_value = "quorate,java38")]
    kinds: Vec<String>,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// After how many rounds all members are compared.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let kinds = arguments.kinds.iter().map(|k| Kind::parse(k)).collect::<Result<Vec<_>>>()?;
    let members: Vec<(Kind, Role)> = (0..arguments.size + arguments.observers)
        .map(|n| {
            let role = if n < arguments.size { Role::Participant } else { Role::Observer };
            (kinds[n % kinds.len()].clone(), role)
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(60 * arguments.minutes);
    let mut campaign = Campaign::start(&members, &kinds, arguments.seed)?;
    while Instant::now() < deadline {
        for _ in 0..arguments.rounds {
            campaign.random_round()?;
        }
        campaign.finish()?;
        println!(
            "{} rounds, {} acknowledged, {} done besides, {:?} left",
            campaign.happened.len(),
            campaign.load.acknowledged,
            campaign.load.unacknowledged,
            deadline.saturating_duration_since(Instant::now())
        );
    }
    Ok(())
}
