//! A long run of an ensemble whose members are cut off from each other, killed and paused.

use anyhow::Result;
use check::registers::Reads;
use clap::Parser;
use e2e::partitions::{Plan, run};
use e2e::registers::Shape;
use e2e::servers::Kind;
use std::time::Duration;

/// Cuts, kills and pauses members in network namespaces while clients log what they see, and judges
/// the histories: writes are linearizable, sessions never see less, events come in time. Needs root.
#[derive(Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many calls must be answered at least.
    #[arg(long, default_value_t = 100_000)]
    operations: usize,
    /// A history ends, and is judged, after so many seconds; then the next seed begins.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// What the members are: quorate, raft, java38 or java39.
    #[arg(long, value_delimiter = ',', default_value = "quorate,quorate,quorate")]
    kinds: Vec<String>,
    /// Lines for their `zoo.cfg`, as `quorate.leaseDriftPercent=5`.
    #[arg(long, value_delimiter = ',')]
    lines: Vec<String>,
    /// Clients beside each member.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Groups of three registers.
    #[arg(long, default_value_t = 8)]
    groups: usize,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ask for linearizable reads, and judge all reads so.
    #[arg(long)]
    linearizable_reads: bool,
    /// Judge all reads as linearizable, though no server was asked for that: it must fail.
    #[arg(long)]
    strict: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let kinds = arguments.kinds.iter().map(|k| Kind::parse(k)).collect::<Result<Vec<_>>>()?;
    let linearizable_reads = arguments.linearizable_reads;
    let histories = (60 * arguments.minutes).div_ceil(arguments.seconds).max(1);
    let (mut operations, mut faults) = (0, 0);
    for history in 0..histories {
        let plan = Plan {
            kinds: kinds.clone(),
            lines: arguments.lines.clone(),
            shape: Shape {
                clients: arguments.clients,
                groups: arguments.groups,
                size: 3,
                linearizable_reads,
            },
            seed: arguments.seed + history,
            time: Duration::from_secs(arguments.seconds),
            operations: arguments.operations.div_ceil(usize::try_from(histories)?),
            reads: if linearizable_reads || arguments.strict { Reads::All } else { Reads::Marked },
        };
        let report = run(&plan)?;
        operations += report.held.operations;
        faults += report.faults.len();
        let seed = plan.seed;
        println!("seed {seed}: {} faults, {:?}", report.faults.len(), report.held);
        println!("seed {seed}: judged in {:?}", report.judged_in);
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        println!("seed {seed}: {}", faults.join(", "));
    }
    println!("{histories} histories, {operations} operations, {faults} faults: all is well");
    Ok(())
}
