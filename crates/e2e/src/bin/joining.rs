//! What it costs an ensemble that a member fetches a tree of a million nodes.

use anyhow::Result;
use clap::Parser;
use e2e::joining::{Joined, Plan, join};
use e2e::servers::{Config, Kind};
use std::time::Duration;

/// Has the third of three members join a tree under load; prints latencies and memory.
#[derive(Parser)]
struct Arguments {
    /// Which ensembles: quorate, raft, java38 or java39.
    #[arg(long, value_delimiter = ',', default_value = "quorate,java38")]
    kinds: Vec<String>,
    /// Nodes of 100 bytes, in thousands.
    #[arg(long, default_value_t = 1000)]
    thousands: usize,
    /// Clients that write.
    #[arg(long, default_value_t = 10)]
    clients: usize,
    /// Writes a second, of all clients together.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Seconds of load before and after.
    #[arg(long, default_value_t = 10)]
    calm: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let clients = u32::try_from(arguments.clients)?;
    let plan = Plan {
        nodes: arguments.thousands * 1000,
        clients: arguments.clients,
        interval: Duration::from_secs(1) * clients / arguments.rate.max(1),
        calm: Duration::from_secs(arguments.calm),
    };
    for kind in arguments.kinds.iter().map(|k| Kind::parse(k)) {
        let kind = kind?;
        // The joiner may take its time; a JVM needs room for the tree.
        let lines = ["tickTime=2000", "initLimit=60", "syncLimit=5", "maxClientCnxns=0"];
        let config = Config { lines: lines.map(str::to_owned).into(), properties: Vec::new() };
        print(&kind, &join(&kind, config, plan)?);
    }
    Ok(())
}

fn print(kind: &Kind, joined: &Joined) {
    println!("{kind}: joined in {:.2} s", joined.took.as_secs_f64());
    for (when, times) in
        [("before", &joined.before), ("meanwhile", &joined.meanwhile), ("after", &joined.after)]
    {
        let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied();
        let ms = |part: f64| 1000.0 * at(part).unwrap_or_default().as_secs_f64();
        let (p50, p99, p999) = (ms(0.5), ms(0.99), ms(0.999));
        let most = 1000.0 * times.last().copied().unwrap_or_default().as_secs_f64();
        let count = times.len();
        println!(
            "  {when:<10} {count:>7} writes, p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, most {most:.2} ms"
        );
    }
    for (n, [before, most, end]) in joined.memory.iter().enumerate() {
        let mib = |kib: &u64| kib / 1024;
        println!(
            "  member {}: {} MiB before, {} at most, {} at the end",
            n + 1,
            mib(before),
            mib(most),
            mib(end)
        );
    }
}
